"""The MLflow runs of a training and of a group: their ids are in their directories, so a second start continues them."""

from __future__ import annotations

import math
import numbers
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from layercli.check import ValidConfig
from layercli.config.training.callbacks import MLFLOW_FILE, MLflow
from layercli.errors import LayercliError
from layercli.io.atomic import write_json
from layercli.io.lock import make_lock
from layercli.io.regular import parse_json, read_inside
from layercli.runs.membership import Membership
from layercli.source.nodes import KeyPath, sanitize_text

_ADDRESS: Final = "MLFLOW_TRACKING_URI"
_MAX_VALUE_LENGTH: Final = 500
"""The longest parameter value, in characters, that every MLflow store accepts."""
_MAX_BATCH: Final = 100
"""Most parameters of one call."""
_MAX_BYTES: Final = 4096
_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RUN_TAG: Final = "layercli.run"
"""Tag of the runs that layercli logs; the value is the directory of the run or of the group."""
_GROUP_TAG: Final = "layercli.group"
"""Start of the tags with the group that a run belongs to."""
_PARENT_TAG: Final = "mlflow.parentRunId"
"""MLflow's own tag: its pages show a run below the one with this id."""


class MlflowRun:
    """A run on the MLflow server; after the first error nothing more is sent, and the training continues."""

    def __init__(self, client: Any, run_id: str, logged: Mapping[str, Mapping[int, float]]) -> None:
        self._client, self._run_id = client, run_id
        self._logged = {name: dict(values) for name, values in logged.items()}
        """Values by metric and step that the server has."""
        self._has_failed = False

    def log_metrics(self, values: Mapping[str, Any], step: int) -> None:
        """Log the finite numbers of these values, unless the server has them from before an interruption."""
        for name, value in values.items():
            if not isinstance(value, numbers.Real):  # numpy registers its scalars
                continue
            number = float(value)
            if math.isfinite(number) and self._logged.get(name, {}).get(step) != number:
                self._call("log_metric", name, number, step=step)

    def log_files(self, files: Iterable[Path], folder: str | None = None) -> None:
        """Log files as artifacts."""
        for file in files:
            self._call("log_artifact", str(file), folder)

    def end(self, status: str) -> None:
        """Set the state of the run: FINISHED, FAILED, or KILLED after an interruption."""
        self._call("set_terminated", status)

    def _call(self, method_name: str, *args: Any, **options: Any) -> None:
        from mlflow.exceptions import MlflowException

        if self._has_failed:
            return
        try:
            getattr(self._client, method_name)(self._run_id, *args, **options)
        except (MlflowException, OSError) as error:
            self._has_failed = True
            reason = sanitize_text(str(error), limit=200)
            print(f"warning: Stopped logging to MLflow: {reason}", file=sys.stderr)


def has_mlflow_address() -> bool:
    """Return whether MLflow has an address; without one it uses the database of the current folder, which may be anyone's."""
    mlflow: Any = sys.modules.get("mlflow")  # a program that has set an address has imported it
    return bool(os.environ.get(_ADDRESS)) or (mlflow is not None and bool(mlflow.is_tracking_uri_set()))


def require_mlflow_address(valid: ValidConfig, path: KeyPath) -> None:
    """Check that MLflow has an address, without importing it.

    Raises:
        LayercliError: It has none.
    """
    if not has_mlflow_address():
        message = f"MLflow has no server: the environment variable {_ADDRESS} is not set."
        hint = "Set it to the address of a server or of a database, such as `sqlite:///mlflow.db`, or remove the callback."
        raise LayercliError(valid.make_problem(path, "training-failed", message, hint))


def require_mlflow(callback: MLflow, valid: ValidConfig, path: KeyPath) -> None:
    """Check that MLflow has an address and answers.

    Raises:
        LayercliError: It has none, refuses it, or cannot be reached.
    """
    require_mlflow_address(valid, path)
    with report_mlflow_errors(valid, path):
        from mlflow import MlflowClient

        MlflowClient().get_experiment_by_name(name_experiment(callback, valid))


def name_experiment(callback: MLflow, valid: ValidConfig) -> str:
    """Return the name of the experiment to which a callback logs."""
    return callback.experiment or valid.check_result.name


@contextmanager
def report_mlflow_errors(valid: ValidConfig, path: KeyPath) -> Iterator[None]:
    """Report that MLflow refuses a run or cannot be reached as a problem of the callback at this path.

    Raises:
        LayercliError: MLflow raised an error.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        message = f"MLflow refused the run: {sanitize_text(str(error), limit=300).rstrip('.')}."
        hint = f"Check the environment variable {_ADDRESS}, or remove the callback."
        raise LayercliError(valid.make_problem(path, "training-failed", message, hint)) from None


def start_mlflow_run(
    run_dir: Path,
    experiment: str,
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
    membership: Membership | None = None,
) -> MlflowRun:
    """Continue the MLflow run of a run directory, or create one and write its id there.

    The run of a trial, a fold or a seed is nested in the MLflow run of its group, which the first of them creates.

    Raises:
        MlflowException | OSError: MLflow refuses the run or cannot be reached.
    """
    from mlflow import MlflowClient

    client = MlflowClient()
    texts = {name: str(value)[:_MAX_VALUE_LENGTH] for name, value in parameters.items()}
    earlier = _find_run(client, run_dir)
    if earlier is not None:
        run_id = earlier.info.run_id
        client.update_run(run_id, status="RUNNING")
        known = earlier.data.params
        for name, text in texts.items():  # MLflow does not change parameters
            if known.get(name, text) != text:
                client.set_tag(run_id, f"resumed.{name}", text)
        _log_parameters(client, run_id, {name: text for name, text in texts.items() if name not in known})
        logged = {
            name: {metric.step: metric.value for metric in client.get_metric_history(run_id, name)}
            for name in earlier.data.metrics
        }
        return MlflowRun(client, run_id, logged)
    if membership is not None:
        tags = {
            **tags,
            **_group_tags(membership),
            _PARENT_TAG: _start_parent(client, run_dir.parent, experiment, membership),
        }
    run_id = _create_run(client, run_dir, experiment, tags)
    _log_parameters(client, run_id, texts)
    return MlflowRun(client, run_id, {})


def _start_parent(client: Any, directory: Path, experiment: str, membership: Membership) -> str:
    """Continue the MLflow run of a group, or create it. Return its id. The trainings of the group can call this at once."""
    with make_lock(directory / f".{MLFLOW_FILE}.lock"):
        found = _find_run(client, directory)
        if found is None:
            tags = _group_tags(membership)
            del tags[f"{_GROUP_TAG}.member"]
            return _create_run(client, directory, experiment, tags)
        run_id: str = found.info.run_id
        client.update_run(run_id, status="RUNNING")
        return run_id


def _group_tags(membership: Membership) -> dict[str, str]:
    return {f"{_GROUP_TAG}.{name}": text for name, text in membership.as_json().items()}


def _create_run(client: Any, directory: Path, experiment: str, tags: Mapping[str, str]) -> str:
    """Create an MLflow run, write its id into the directory, and return it."""
    existing = client.get_experiment_by_name(experiment)
    experiment_id = existing.experiment_id if existing is not None else client.create_experiment(experiment)
    name = directory.as_posix()
    run_id: str = client.create_run(experiment_id, run_name=name, tags={_RUN_TAG: name, **tags}).info.run_id
    write_json(directory / MLFLOW_FILE, {"run_id": run_id})
    return run_id


def open_mlflow_run(run_dir: Path) -> MlflowRun | None:
    """Return the MLflow run of a run or group directory; None without one, or if MLflow is missing or cannot be reached."""
    if _read_run_id(run_dir) is None or find_spec("mlflow") is None:
        return None
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    if not has_mlflow_address():
        return None
    with suppress(MlflowException, OSError):
        client = MlflowClient()
        found = _find_run(client, run_dir)
        return None if found is None else MlflowRun(client, found.info.run_id, {})
    return None


def _log_parameters(client: Any, run_id: str, parameters: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    entries = [Param(name, text) for name, text in parameters.items()]
    for start in range(0, len(entries), _MAX_BATCH):
        client.log_batch(run_id, params=entries[start : start + _MAX_BATCH])


def _find_run(client: Any, run_dir: Path) -> Any:
    """Return the run that a run directory names; None if it was removed, or layercli did not log it."""
    from mlflow.exceptions import MlflowException

    run_id = _read_run_id(run_dir)
    if run_id is None:
        return None
    try:
        found = client.get_run(run_id)
    except MlflowException as error:
        if getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    is_ours = _RUN_TAG in found.data.tags and found.info.lifecycle_stage == "active"
    return found if is_ours else None


def _read_run_id(run_dir: Path) -> str | None:
    try:
        document = parse_json(read_inside(run_dir, MLFLOW_FILE, _MAX_BYTES))
    except (OSError, ValueError):
        return None
    run_id = document.get("run_id") if isinstance(document, dict) else None
    return run_id if isinstance(run_id, str) and _RUN_ID.fullmatch(run_id) else None

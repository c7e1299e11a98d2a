"""A run told to MLflow: its config, each epoch's metrics, its model."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layercli.check import ValidConfig
from layercli.config.training.callbacks import MLflow
from layercli.errors import LayercliError
from layercli.source.nodes import KeyPath, sanitize_text

_LONGEST = 500
"""Characters of a parameter's value that every store takes."""


def tracked(declared: MLflow, run: Path, valid: ValidConfig, path: KeyPath) -> Any:
    """The callback, with a run begun at MLflow.

    Raises:
        LayercliError: MLflow refuses it, or cannot be reached.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    name = declared.experiment or valid.check_result.name
    try:
        client = MlflowClient()
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found is not None else client.create_experiment(name)
        begun = client.create_run(experiment, run_name=run.as_posix()).info.run_id
        document = valid.to_resolved_dict()
        for key, value in _parameters({key: document[key] for key in ("seed", "data", "train")}, ""):
            client.log_param(begun, key, value)
    except (MlflowException, OSError) as error:
        said = sanitize_text(str(error), limit=300).rstrip(".")
        hint = "Look at the environment variable MLFLOW_TRACKING_URI, or remove the callback."
        raise LayercliError(
            valid.make_problem(path, "training-failed", f"MLflow refused the run: {said}.", hint)
        ) from None
    return _Tracker(client, begun, log_model=declared.log_model)


class _Tracker(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Tells MLflow of each epoch, and of the end; what goes wrong there does not stop training."""

    def __init__(self, client: Any, begun: str, *, log_model: bool) -> None:
        super().__init__()
        self._client, self._begun, self._log_model = client, begun, log_model
        self._lost = False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        for name, value in (logs or {}).items():
            if np.ndim(value) == 0 and math.isfinite(float(value)):
                self._tell("log_metric", name, float(value), step=epoch + 1)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        if self._log_model:
            with tempfile.TemporaryDirectory(prefix="layercli-") as place:
                file = Path(place, "model.keras")
                self.model.save(file)
                self._tell("log_artifact", str(file), "model")
        self._tell("set_terminated")

    def _tell(self, what: str, *args: Any, **options: Any) -> None:
        from mlflow.exceptions import MlflowException

        if self._lost:
            return
        try:
            getattr(self._client, what)(self._begun, *args, **options)
        except (MlflowException, OSError) as error:
            self._lost = True
            said = sanitize_text(str(error), limit=200)
            print(f"warning: MLflow is told nothing more: {said}", file=sys.stderr)


def _parameters(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Each value that is no mapping, by its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _parameters(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, str(value)[:_LONGEST]

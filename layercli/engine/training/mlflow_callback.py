"""Log a run to MLflow: its config, the metrics of each epoch, and the model."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layercli.check import ValidConfig
from layercli.config.training.callbacks import MLflow
from layercli.errors import LayercliError
from layercli.source.leaves import iterate_leaves, join_path
from layercli.source.nodes import KeyPath, sanitize_text

_MAX_VALUE_LENGTH = 500
"""The longest parameter value, in characters, that every MLflow store accepts."""


def build_mlflow_callback(callback: MLflow, run_dir: Path, valid: ValidConfig, path: KeyPath) -> Any:
    """Start an MLflow run and return the callback that logs to it.

    Raises:
        LayercliError: MLflow refuses the run or cannot be reached.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    name = callback.experiment or valid.check_result.name
    try:
        client = MlflowClient()
        existing = client.get_experiment_by_name(name)
        experiment_id = existing.experiment_id if existing is not None else client.create_experiment(name)
        run_id = client.create_run(experiment_id, run_name=run_dir.as_posix()).info.run_id
        document = valid.to_resolved_dict()
        settings = {key: document[key] for key in ("seed", "data", "train")}
        for path, value in iterate_leaves(settings, lambda _: False):
            if value != {}:
                client.log_param(run_id, join_path(path), str(value)[:_MAX_VALUE_LENGTH])
    except (MlflowException, OSError) as error:
        reason = sanitize_text(str(error), limit=300).rstrip(".")
        hint = "Check the environment variable MLFLOW_TRACKING_URI, or remove the callback."
        raise LayercliError(
            valid.make_problem(path, "training-failed", f"MLflow refused the run: {reason}.", hint)
        ) from None
    return _Tracker(client, run_id, log_model=callback.log_model)


class _Tracker(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Logs each epoch and the end of training to MLflow; an error there does not stop training."""

    def __init__(self, client: Any, run_id: str, *, log_model: bool) -> None:
        super().__init__()
        self._client, self._run_id, self._log_model = client, run_id, log_model
        self._has_failed = False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        for name, value in (logs or {}).items():
            if np.ndim(value) == 0 and math.isfinite(float(value)):
                self._call_client("log_metric", name, float(value), step=epoch + 1)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        if self._log_model:
            with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
                file = Path(folder, "model.keras")
                self.model.save(file)
                self._call_client("log_artifact", str(file), "model")
        self._call_client("set_terminated")

    def _call_client(self, method_name: str, *args: Any, **options: Any) -> None:
        from mlflow.exceptions import MlflowException

        if self._has_failed:
            return
        try:
            getattr(self._client, method_name)(self._run_id, *args, **options)
        except (MlflowException, OSError) as error:
            self._has_failed = True
            reason = sanitize_text(str(error), limit=200)
            print(f"warning: Stopped logging to MLflow: {reason}", file=sys.stderr)

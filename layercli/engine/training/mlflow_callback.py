"""Log the config and the metrics of each epoch to MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from layercli import runtime
from layercli.check import ValidConfig
from layercli.config.training.callbacks import MLflow
from layercli.runs.git_state import parse_git_state
from layercli.runs.manifest import read_manifest_or_none
from layercli.runs.membership import parse_membership
from layercli.runs.mlflow_run import (
    MlflowRun,
    name_experiment,
    report_mlflow_errors,
    require_mlflow_address,
    start_mlflow_run,
)
from layercli.source.leaves import format_key_path, iterate_leaves
from layercli.source.nodes import KeyPath


def build_mlflow_callback(callback: MLflow, run_dir: Path, valid: ValidConfig, path: KeyPath) -> Any:
    """Start or continue the MLflow run of a training and return the callback that logs to it.

    In a group of processes, only the first one logs.

    Raises:
        LayercliError: MLflow has no address, refuses the run or cannot be reached.
    """
    if runtime.cluster is not None and runtime.cluster.rank:
        return _Tracker(None)
    require_mlflow_address(valid, path)
    document = valid.to_resolved_dict()
    settings = {key: document[key] for key in ("seed", "data", "train")}
    parameters = {
        format_key_path(path): value
        for path, value in iterate_leaves(settings, lambda _: False)
        if value != {}
    }
    manifest = read_manifest_or_none(run_dir) or {}
    git = parse_git_state(manifest)
    tags = {} if git is None else {"mlflow.source.git.commit": git["commit"]}
    experiment = name_experiment(callback, valid)
    with report_mlflow_errors(valid, path):
        run = start_mlflow_run(run_dir, experiment, parameters, tags, parse_membership(manifest))
    return _Tracker(run)


class _Tracker(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Logs each epoch; the end of the training is logged when the run directory is complete."""

    def __init__(self, run: MlflowRun | None) -> None:
        super().__init__()
        self._run = run

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._run is not None:
            self._run.log_metrics(logs or {}, step=epoch + 1)

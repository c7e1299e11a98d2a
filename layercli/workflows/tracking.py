"""The end of a training for the programs that track it: MLflow and TensorBoard."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from layercli import runtime
from layercli.check import ValidConfig
from layercli.config.training.callbacks import MLflow, TensorBoard
from layercli.errors import LayercliError
from layercli.reports.formatting import format_number
from layercli.runs import directory as runs
from layercli.schema.component import Component
from layercli.source.scalars import is_number

_Tracked = TypeVar("_Tracked", bound=Component)


@contextmanager
def report_failure_to_mlflow(run_dir: Path, valid: ValidConfig) -> Iterator[None]:
    """Set the state of the MLflow run if the training does not finish: FAILED, or KILLED if it was interrupted."""
    try:
        yield
    except BaseException as error:
        if _find_callbacks(valid, MLflow):
            from layercli.engine.training.mlflow_run import open_mlflow_run

            run = open_mlflow_run(run_dir)
            if run is not None:
                is_error = isinstance(error, LayercliError) and all(
                    problem.code != "interrupted" for problem in error.problems
                )
                run.end("FAILED" if is_error else "KILLED")
        raise


def log_results(run_dir: Path, valid: ValidConfig, summary: Mapping[str, Any]) -> None:
    """Log the results of a finished run: numbers over the test set, the files of the run, the model and the report."""
    numbers = {f"test_{name}": value for name, value in summary["test"].items() if is_number(value)}
    for tensorboard in _find_callbacks(valid, TensorBoard):
        from layercli.engine.training.tensorboard_logs import write_texts

        texts = {"results": _format_results(summary)}
        write_texts(run_dir / tensorboard.log_dir, texts, numbers, summary["epochs"])
    for callback in _find_callbacks(valid, MLflow):
        from layercli.engine.training.mlflow_run import open_mlflow_run

        run = open_mlflow_run(run_dir)
        if run is None:
            continue
        run.log_metrics(numbers, step=summary["epochs"])
        run.log_files([run_dir / name for name in (runs.CONFIG, runs.MANIFEST, runs.SUMMARY)])
        if callback.log_model:
            run.log_files([run_dir / runs.MODEL], "model")
        with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
            report = Path(folder, "report.md")
            report.write_text(_format_results(summary), encoding="utf-8")
            run.log_files([report])
        run.end("FINISHED")


def _find_callbacks(valid: ValidConfig, kind: type[_Tracked]) -> list[_Tracked]:
    """Return the callbacks of a type that this process logs for; of a group of processes only the first one does."""
    train = valid.config.train
    if train is None or (runtime.cluster is not None and runtime.cluster.rank):
        return []
    return [callback for callback, _, _ in train.iterate_callbacks() if isinstance(callback, kind)]


def _format_results(summary: Mapping[str, Any]) -> str:
    """Return the metrics of a summary as a table in Markdown, and its notes."""
    test, baseline = summary["test"], (summary.get("baseline") or {}).get("metrics", {})
    rows = [
        f"| {name} | {format_number(value)} | {format_number(baseline[name]) if name in baseline else ''} |"
        for name, value in test.items()
        if is_number(value)
    ]
    table = ["| test | model | guess |", "| --- | ---: | ---: |", *rows] if rows else []
    notes = [f"- {note}" for note in (summary["stop_reason"], *summary["notes"])]
    return "\n".join([*table, "", *notes])

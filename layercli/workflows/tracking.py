"""The start and the end of a training for the programs that track it: MLflow and TensorBoard."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

from layercli import runtime
from layercli.activity import show_activity
from layercli.check import ValidConfig
from layercli.config.training.callbacks import MLflow, TensorBoard
from layercli.errors import LayercliError
from layercli.page.markdown import escape_markdown
from layercli.reports.formatting import format_number
from layercli.runs import directory as runs
from layercli.runs.mlflow_run import open_mlflow_run, require_mlflow
from layercli.schema.component import Component
from layercli.source.scalars import is_number

_Tracked = TypeVar("_Tracked", bound=Component)
_CALLBACK_PACKAGES: Final = {"TensorBoard": "tensorboard", "MLflow": "mlflow"}
"""Callbacks that require an optional package."""


def require_tracking(valid: ValidConfig) -> None:
    """Check that the callbacks can log, before anything is made and TensorFlow is loaded.

    Raises:
        LayercliError: A package is not installed; or MLflow has no address, refuses it, or cannot be reached.
    """
    train = valid.config.train
    callbacks = () if train is None else tuple(train.iterate_callbacks())
    problems = []
    for callback, path, _ in callbacks:
        package = _CALLBACK_PACKAGES.get(callback.type_name())
        if package is not None and find_spec(package) is None:
            message = (
                f"The callback {callback.type_name()} requires the package {package}, which is not installed."
            )
            hint = f"Install it: `pip install 'layercli[{package}]'`."
            problems.append(valid.make_problem(path, "missing-package", message, hint))
    if problems:
        raise LayercliError(problems)
    for callback, path, _ in callbacks:
        if isinstance(callback, MLflow) and _is_first_process():
            require_mlflow(callback, valid, path)


def _is_first_process() -> bool:
    """Return whether this process logs; in a group of processes only the first one does."""
    return runtime.cluster is None or not runtime.cluster.rank


@contextmanager
def report_failure_to_mlflow(run_dir: Path, valid: ValidConfig) -> Iterator[None]:
    """Set the state of the MLflow run if the training does not finish: FAILED, or KILLED if it was interrupted."""
    try:
        yield
    except BaseException as error:
        if _find_callbacks(valid, MLflow):
            run = open_mlflow_run(run_dir)
            if run is not None:
                run.end("FAILED" if isinstance(error, LayercliError) and _is_failure(error) else "KILLED")
        raise


@contextmanager
def track_group(directory: Path) -> Iterator[dict[str, Any]]:
    """End the MLflow run of a group, if its trainings have started one, with the results that the caller adds by name."""
    results: dict[str, Any] = {}
    status = "FAILED"
    try:
        yield results
        status = "FINISHED"
    except LayercliError as error:
        status = "FAILED" if _is_failure(error) else "KILLED"
        raise
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        run = open_mlflow_run(directory)
        if run is not None:
            run.log_metrics(results, step=0)
            run.end(status)


def list_group_results(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return mean and deviation of each result by the names under which a tracking program shows them."""
    return {
        f"{prefix}_{name}": value for prefix in ("mean", "std") for name, value in summary[prefix].items()
    }


def _is_failure(error: LayercliError) -> bool:
    """Return whether an error is not an interruption."""
    return all(problem.code != "interrupted" for problem in error.problems)


@show_activity("Logging the results")
def log_results(run_dir: Path, valid: ValidConfig, summary: Mapping[str, Any]) -> None:
    """Log the results of a finished run: numbers over the test set, the files of the run, the model and the report."""
    numbers = {f"test_{name}": value for name, value in summary["test"].items() if is_number(value)}
    for tensorboard in _find_callbacks(valid, TensorBoard):
        from layercli.engine.training.tensorboard_logs import write_texts

        texts = {"results": _format_results(summary)}
        write_texts(run_dir / tensorboard.log_dir, texts, numbers, summary["epochs"])
    for callback in _find_callbacks(valid, MLflow):
        run = open_mlflow_run(run_dir)
        if run is None:
            continue
        run.log_metrics(numbers, step=summary["epochs"])
        run.log_files([run_dir / name for name in (runs.CONFIG, runs.MANIFEST, runs.SUMMARY)])
        if callback.log_model:
            run.log_files([run_dir / runs.MODEL], "model")
        with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
            report = Path(folder, "report.md")
            _write_card(run_dir, report, summary)
            run.log_files([report])
        run.end("FINISHED")


def _write_card(run_dir: Path, output: Path, summary: Mapping[str, Any]) -> None:
    """Write the model card of a run; only its results if it cannot be evaluated."""
    from layercli.workflows.report import write_report

    try:
        write_report(
            [str(run_dir)],
            str(output),
            report_format="markdown",
            trust=True,  # the training has run the custom code
            is_locked_by_caller=True,
        )
    except LayercliError:
        output.write_text(_format_results(summary), encoding="utf-8")


def _find_callbacks(valid: ValidConfig, kind: type[_Tracked]) -> list[_Tracked]:
    """Return the callbacks of a type that this process logs for."""
    train = valid.config.train
    if train is None or not _is_first_process():
        return []
    return [callback for callback, _, _ in train.iterate_callbacks() if isinstance(callback, kind)]


def _format_results(summary: Mapping[str, Any]) -> str:
    """Return the metrics of a summary as a table in Markdown, and its notes."""
    test, baseline = summary["test"], (summary.get("baseline") or {}).get("metrics", {})
    rows = [
        f"| {escape_markdown(name)} | {format_number(value)} | {format_number(baseline[name]) if name in baseline else ''} |"
        for name, value in test.items()
        if is_number(value)
    ]
    table = ["| test | model | guess |", "| --- | ---: | ---: |", *rows] if rows else []
    notes = [f"- {escape_markdown(note)}" for note in (summary["stop_reason"], *summary["notes"])]
    return "\n".join([*table, "", *notes])

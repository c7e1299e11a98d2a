"""Average the models of a cross-validation in one model, and write it as a run."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli.check import ValidConfig, check_config, require_valid
from layercli.errors import LayercliError, Problem, make_file_error
from layercli.io.atomic import report_write_errors, write_bytes, write_json
from layercli.io.lock import make_lock
from layercli.reports.formatting import format_number
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.crossval_directory import CrossvalDirectory
from layercli.runs.manifest import is_finished, read_manifest_or_none, require_manifest
from layercli.runs.summary import read_summary
from layercli.source.nodes import sanitize_text
from layercli.workflows.build import assemble_checked_model, save_model
from layercli.workflows.dataset import load_training_data
from layercli.workflows.ensemble_config import branch_prefix, make_ensemble_document, require_averageable
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.preflight import read_memory_limit, require_memory, require_sections

if TYPE_CHECKING:
    from layercli.data.examples import Splits
    from layercli.data.reader_state import ReaderState
    from layercli.engine.assemble import AssembledModel

ENSEMBLE: Final = "ensemble"
"""The run directory of the averaged model, in the directory of the cross-validation, and its key in the manifest."""
_SHOWN_COLUMNS: Final = 4
_STAGING_PREFIX: Final = ".ensemble-"


def write_ensemble(
    directory: CrossvalDirectory, summary: Mapping[str, Any], *, trust: bool
) -> tuple[Path, list[Problem]]:
    """Write the run of the model that averages all folds, unless it exists. Return its directory, and warnings.

    Args:
        directory: A cross-validation whose folds are finished.
        summary: The document of ``crossval --json``.
        trust: Whether custom code may be run.

    Raises:
        LayercliError: The models of the folds have no average, a run was modified, or the directory cannot be written.
    """
    target = directory.path / ENSEMBLE
    paths = [directory.run_path(fold) for fold in directory.list_members()]
    origin = {
        "folds": {path.name: require_manifest(path)["files"].get(runs.MODEL) for path in paths},
        **{key: dict(summary[key]) for key in ("mean", "std", "interval")},
    }
    with report_write_errors("The averaged model", target), make_lock(directory.path / f".{ENSEMBLE}.lock"):
        if _is_complete(target, origin):
            return target, _read_warnings(target)
        folds = [FinishedRun.open(str(path), trust=trust) for path in paths]
        require_averageable(folds[0].valid, count=len(folds))
        _require_same_code(folds)
        state, warnings = _merge_reader_states(folds)
        with _stage_run(target) as staging:
            texts = {"notes": _describe_origin(origin), "problems": [each.as_json() for each in warnings]}
            _write_run(staging, target, folds, state, origin, texts, trust=trust)
    return target, warnings


def _read_warnings(target: Path) -> list[Problem]:
    """Return the warnings of an existing average."""
    problems = read_summary(target).get("problems")
    try:
        return [Problem.from_json(problem) for problem in problems or ()]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _is_complete(target: Path, origin: Mapping[str, Any]) -> bool:
    """Return whether the directory has the average of these models.

    Raises:
        LayercliError: It has something else.
    """
    manifest = read_manifest_or_none(target)
    if manifest is not None and ENSEMBLE in manifest:
        return is_finished(manifest) and bool(manifest[ENSEMBLE] == origin)
    if target.exists():
        message = "The directory of the averaged model already exists, and is not one."
        raise make_file_error(target, "run-directory", message, "Move it to a different folder.")
    return False


@contextmanager
def _stage_run(target: Path) -> Iterator[Path]:
    """Yield a directory that replaces ``target`` on success, and is removed on failure."""
    for abandoned in target.parent.glob(f"{_STAGING_PREFIX}*"):  # of a process that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=target.parent))
    staging = folder / ENSEMBLE
    try:
        staging.mkdir()
        yield staging
        if target.exists():
            target.replace(folder / "replaced")
        staging.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_same_code(folds: Sequence[FinishedRun]) -> None:
    """Check that custom code did not change between the trainings of the folds.

    Raises:
        LayercliError: A file differs.
    """
    contents = [{name: file.read_bytes() for name, file in fold.valid.code_files.items()} for fold in folds]
    for fold, content in zip(folds, contents, strict=True):
        differing = [name for name in contents[0] if content.get(name) != contents[0][name]]
        if differing:
            message = f"{sanitize_text(differing[0])} is not the same in all folds, so one model cannot have all of them."
            hint = "Remove the directory of the cross-validation, and train all folds with the same code."
            raise make_file_error(fold.path / differing[0], "no-average", message, hint)


def _merge_reader_states(folds: Sequence[FinishedRun]) -> tuple[ReaderState, list[Problem]]:
    """Return the state with which new files are read for all folds, and a warning for each value that is a compromise.

    A missing number is replaced by the mean of the replacements that the folds learned.

    Raises:
        LayercliError: The folds read files in different ways.
    """
    import numpy as np

    first, *others = states = [fold.load_reader_state() for fold in folds]
    if first.table_plan is None:
        for fold, state in zip(folds[1:], others, strict=True):
            _require_same_state(fold, first, state)
        return first, []
    plans = [state.table_plan for state in states if state.table_plan is not None]
    for fold, state, plan in zip(folds, states, plans, strict=False):
        _require_same_dates(fold, first.table_plan.dates, plan.dates)
        _require_same_state(
            fold, first, replace(state, table_plan=plan.with_fill_values(first.table_plan.fill_values))
        )
    averages: dict[str, float | str] = dict(first.table_plan.fill_values)
    ranges = []
    for column in averages:
        numbers = [value for plan in plans if not isinstance(value := plan.fill_values[column], str)]
        if len(set(numbers)) > 1:
            averages[column] = float(np.mean(numbers))
            low, high = format_number(min(numbers)), format_number(max(numbers))
            ranges.append(f"`{sanitize_text(column, limit=60)}` {low} to {high}")
    return (
        replace(first, table_plan=first.table_plan.with_fill_values(averages)),
        [_make_inexact_warning(folds[0].valid, ranges)] if ranges else [],
    )


def _make_inexact_warning(valid: ValidConfig, ranges: Sequence[str]) -> Problem:
    """Return the warning that missing numbers have one replacement, although the folds learned different ones."""
    more = f" and {len(ranges) - _SHOWN_COLUMNS} more" if len(ranges) > _SHOWN_COLUMNS else ""
    message = (
        "The averaged model replaces missing numbers by the mean of the replacements that the folds learned "
        f"({', '.join(ranges[:_SHOWN_COLUMNS])}{more}), so its outputs for rows with missing numbers differ a little from "
        "the mean of the folds."
    )
    hint = "For an exact average, name the replacements in `data.missing`, for example `columns: {age: 30}`."
    return valid.make_problem(("data", "missing"), "inexact-average", message, hint, "warning")


def _require_same_state(fold: FinishedRun, first: ReaderState, state: ReaderState) -> None:
    """Check that a fold has the same inputs, classes and columns as the first one.

    Raises:
        LayercliError: It has not.
    """
    one, other = first.to_json(), state.to_json()
    differing = [key for key in one if one[key] != other[key]]
    if differing:
        names = {"class_names": "classes", "plan": "columns"}
        message = (
            f"The {names.get(differing[0], differing[0])} of the data are not the same in all folds, so their outputs "
            "do not mean the same."
        )
        hint = "Check whether the data changed between the trainings of the folds."
        raise make_file_error(fold.path, "no-average", message, hint)


def _require_same_dates(fold: FinishedRun, first: Mapping[str, Any], dates: Mapping[str, Any]) -> None:
    """Check that elapsed days count from the same date in all folds.

    Raises:
        LayercliError: They do not.
    """
    differing = [name for name, number in first.items() if dates.get(name) != number]
    if differing:
        message = (
            f"`{sanitize_text(differing[0], limit=60)}` counts from the first training date, which is not the same in all "
            "folds, so one input cannot serve all of them."
        )
        hint = "Use other numbers of the dates, or `split: {order: COLUMN}`, with which all folds start at the same date."
        raise LayercliError(fold.valid.make_problem(("data", "dates"), "no-average", message, hint))


def _write_run(
    staging: Path,
    target: Path,
    folds: Sequence[FinishedRun],
    state: ReaderState,
    origin: Mapping[str, Any],
    texts: Mapping[str, Any],
    *,
    trust: bool,
) -> None:
    """Write all files of the run; ``texts`` are the notes and the problems of its summary."""
    started_at = time.perf_counter()
    for name, file in folds[0].valid.code_files.items():
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(staging / name, file.read_bytes())
    runs.write_yaml(staging / runs.CONFIG, make_ensemble_document([fold.valid for fold in folds]))
    valid = require_valid(check_config(str(staging / runs.CONFIG)))
    require_memory(valid, copies=1)
    data, section = require_sections(valid)
    _, splits, _ = load_training_data(valid, data, trust=trust)
    assembled = assemble_checked_model(valid, should_be_savable=True)
    from layercli.engine.ensemble import load_branch
    from layercli.engine.gpus import list_gpu_names
    from layercli.engine.load_model import compile_with_optimizer
    from layercli.engine.training.execution_plan import plan_execution

    for number, fold in enumerate(folds, start=1):
        load_branch(assembled, branch_prefix(number), fold.path, fold.valid)
    compile_with_optimizer(assembled, section, valid)
    save_model(assembled.model, staging / runs.MODEL)
    _compare_saved_model(staging, assembled, valid, splits)
    write_json(staging / runs.READER_STATE, state.to_json())
    summary = {
        "ok": True,
        "run": str(target),
        "epochs": 0,
        "history": {},
        "best": {},
        "test": {},
        "baseline": None,
        "seconds": round(time.perf_counter() - started_at, 3),
        "examples_per_second": 0.0,
        "parameters": assembled.model.count_params(),
        "resumed_from": None,
        **texts,
    }
    write_json(staging / runs.SUMMARY, summary)
    manifest = manifests.create_manifest(
        valid,
        counts=tuple(map(len, splits.subsets)),
        fingerprint=splits.fingerprint(),
        execution=plan_execution(valid, splits.train).as_json(),
        memory=read_memory_limit(),
        gpus=list_gpu_names(),
    )
    manifests.write_manifest(staging, {**manifest, ENSEMBLE: origin}, is_finished=True)


def _compare_saved_model(
    staging: Path, assembled: AssembledModel, valid: ValidConfig, splits: Splits
) -> None:
    """Load the saved model again, and compare it with the model in memory.

    Raises:
        LayercliError: They differ.
    """
    from layercli.engine.comparison_inputs import COMPARED_EXAMPLES, examples_to_inputs
    from layercli.engine.saved_model_check import check_saved_model

    batch_size = assembled.model.inputs[0].shape[0] or COMPARED_EXAMPLES
    inputs = examples_to_inputs(next(iter(splits.train.batches(batch_size))), valid.graph)
    check_saved_model(staging / runs.MODEL, assembled, valid, inputs)


def _describe_origin(origin: Mapping[str, Any]) -> list[str]:
    """Return sentences on how the model was made, and how its parts do on examples that they have not seen."""
    count = len(origin["folds"])
    metrics = "; ".join(
        f"{sanitize_text(name, limit=60)} {format_number(mean)} (95 % interval {format_number(origin['interval'][name][0])} "
        f"to {format_number(origin['interval'][name][1])})"
        for name, mean in list(origin["mean"].items())[:6]
    )
    return [
        f"The model is the average of the {count} models of a cross-validation.",
        f"On examples that they had not seen, the single models reach on average: {metrics}.",
        "Each example was in the training set of some of them, so no example is left to test the average.",
    ]

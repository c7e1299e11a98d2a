"""Cross-validation: train a config once for each fold, and combine the results."""

from __future__ import annotations

import csv
import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

from layercli.check import ValidConfig, check_config, require_valid
from layercli.config.training.log_names import collect_limits
from layercli.errors import LayercliError, make_file_error
from layercli.io.atomic import describe_os_error, stage_file
from layercli.io.regular import open_inside
from layercli.reports.group_progress import GroupProgress
from layercli.runs.crossval_directory import (
    PREDICTIONS_FILE,
    CrossvalDirectory,
    Fold,
    open_crossval_directory,
)
from layercli.runs.directory import MANIFEST
from layercli.runs.fold_groups import CONFIDENCE, FoldGroup, list_test_scores
from layercli.runs.listing import read_run
from layercli.runs.manifest import PREDICTIONS_HASH, require_manifest
from layercli.source.nodes import sanitize_text
from layercli.workflows.ensemble_config import require_averageable
from layercli.workflows.preflight import require_sections
from layercli.workflows.run_group import GroupRequest, hash_config, train_group
from layercli.workflows.tracking import list_group_results, require_tracking, track_group
from layercli.workflows.training_run import require_trainable

_ROW = "row"

_MAX_LINE_LENGTH: Final = 1 << 24
"""Characters of a line of predictions, which can have a number for each unit of an output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossvalRequest(GroupRequest):
    """The options of a cross-validation."""

    folds: int
    repeats: int = 1
    ensemble: bool = False
    """Whether the models are averaged in the end, so that a config without an average is refused before."""


@dataclass(frozen=True, slots=True)
class OpenCrossval:
    """A cross-validation with its config and its directory."""

    request: CrossvalRequest
    valid: ValidConfig
    directory: CrossvalDirectory


def open_crossval(request: CrossvalRequest) -> OpenCrossval:
    """Check the config for the folds, and create or open the directory.

    Raises:
        LayercliError: The config cannot be trained so, or the directory has something else.
    """
    first = Fold(1, request.repeats, request.folds)
    valid = require_valid(check_config(request.file, [*request.overrides, *first.overrides]))
    require_sections(valid)
    require_trainable(valid, trust=request.trust)
    require_tracking(valid)
    if request.ensemble:
        require_averageable(valid, count=request.folds * request.repeats)
    document = valid.to_resolved_dict(is_for_run=True)
    document["data"]["split"].pop("fold")
    directory = open_crossval_directory(
        valid.check_result.name,
        request.run_dir,
        folds=request.folds,
        repeats=request.repeats,
        digest=hash_config(document),
    )
    return OpenCrossval(request, valid, directory)


def run_crossval(crossval: OpenCrossval, progress: GroupProgress) -> dict[str, Any]:
    """Train all folds in worker processes. Return the document of ``crossval --json``.

    An interruption stops the workers; the same command trains the rest.

    Raises:
        LayercliError: A fold cannot be trained, or the predictions cannot be written.
    """
    directory = crossval.directory
    folds = list(directory.list_members())
    task = {
        "folds": directory.folds,
        "repeats": directory.repeats,
        "command": ["layercli", "crossval", crossval.request.file],
    }
    with track_group(directory.path) as results:
        train_group(crossval.request, directory, task, progress)
        try:
            summary = _summarize_folds(crossval, folds)
        except (OSError, ValueError, LookupError, ArithmeticError, csv.Error) as error:
            raise _make_damage_error(directory, error) from None
        results |= list_group_results(summary)
    return summary


def _make_damage_error(directory: CrossvalDirectory, error: Exception) -> LayercliError:
    reason = describe_os_error(error) if isinstance(error, OSError) else sanitize_text(str(error), limit=100)
    message = f"The results of the folds cannot be combined: {reason}."
    hint = "Files of the directory were changed. Remove it, and run the command again."
    return make_file_error(directory.path, "run-directory", message, hint)


def _summarize_folds(crossval: OpenCrossval, folds: Sequence[Fold]) -> dict[str, Any]:
    directory = crossval.directory
    runs = [read_run(directory.run_path(fold)) for fold in folds]
    for run in runs:
        if run.note is not None:
            raise ValueError(f"the run {run.path.name} is {run.state}: {run.note}")
    group = FoldGroup(directory.path, runs)
    predictions = directory.path / PREDICTIONS_FILE
    examples = _merge_predictions(directory, folds, predictions)
    _, train = require_sections(crossval.valid)
    limits = collect_limits(train, crossval.valid.graph.output_references)
    return {
        "ok": True,
        "directory": str(directory.path),
        "folds": [
            {
                "run": str(run.path),
                "fold": fold.number,
                "repeat": fold.repeat,
                "metrics": list_test_scores(run),
            }
            for fold, run in zip(folds, runs, strict=True)
        ],
        **group.summarize_results(limits),
        "confidence": CONFIDENCE,
        "examples": examples,
        "predictions": str(predictions),
        "problems": [problem.as_json() for problem in crossval.valid.check_result.problems],
    }


def _merge_predictions(directory: CrossvalDirectory, folds: Sequence[Fold], output: Path) -> int:
    """Write the predictions of all folds to one file, in the order of the data if its rows are known; return the rows.

    Every example that is in a fold has one row in each repetition.
    """
    rows = 0
    with stage_file(output) as staging, staging.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        header: list[str] | None = None
        for repeat in range(1, directory.repeats + 1):
            of_repeat = [fold for fold in folds if fold.repeat == repeat]
            columns = _read_header(directory, of_repeat[0])
            if header is None:
                header = columns
                writer.writerow(
                    [header[0], "fold", *(["repeat"] if directory.repeats > 1 else []), *header[1:]]
                )
            sources = [_iterate_rows(directory, fold) for fold in of_repeat]
            merged: Iterator[list[str]] = (
                heapq.merge(*sources, key=lambda row: int(row[0]))
                if header[0] == _ROW
                else (row for source in sources for row in source)
            )
            for row in merged:
                writer.writerow(row)
                rows += 1
    return rows


def _read_header(directory: CrossvalDirectory, fold: Fold) -> list[str]:
    header = next(csv.reader(_read_lines(directory, fold)), [])
    if not header:
        raise ValueError(f"{directory.predictions_path(fold).name} is empty")
    return header


def _read_lines(directory: CrossvalDirectory, fold: Fold) -> Iterator[str]:
    """Yield the lines of the predictions of a fold, each of which fits into memory; at the end, compare their hash.

    Raises:
        OSError: The file cannot be read.
        ValueError: A line is too long, or the file does not have the hash in the manifest of the fold, if it has one.
    """
    path = directory.predictions_path(fold)
    digest = hashlib.sha256()
    with open_inside(path.parent, path.name) as binary, TextIOWrapper(binary, "utf-8", newline="") as file:
        while line := file.readline(_MAX_LINE_LENGTH):
            if len(line) == _MAX_LINE_LENGTH:
                raise ValueError(f"{path.name} has a line of {_MAX_LINE_LENGTH:,} characters or more")
            digest.update(line.encode())
            yield line
    recorded = require_manifest(directory.run_path(fold)).get(PREDICTIONS_HASH)
    if recorded is not None and recorded != digest.hexdigest():
        raise ValueError(f"{path.name} was modified: its SHA-256 does not match {MANIFEST} of the fold")


def _iterate_rows(directory: CrossvalDirectory, fold: Fold) -> Iterator[list[str]]:
    added = [str(fold.number), *([str(fold.repeat)] if directory.repeats > 1 else [])]
    reader = csv.reader(_read_lines(directory, fold))
    width = len(next(reader, []))
    for row in reader:
        if len(row) != width:
            raise ValueError(f"{directory.predictions_path(fold).name} has a row of another length")
        yield [row[0], *added, *row[1:]]

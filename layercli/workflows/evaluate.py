"""Evaluate the model of a finished run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from layercli.activity import show_activity
from layercli.errors import LayercliError, Problem
from layercli.formats.images.config import Images
from layercli.runs.summary import find_guess, read_summary
from layercli.workflows.dataset import load_splits
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.preflight import require_sections, require_trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layercli.data.examples import Splits, Subset
    from layercli.data.types import Array
    from layercli.graph.target_meaning import TargetMeaning

SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)


@show_activity("Evaluating")
def evaluate_run(
    run: str, *, data: list[str] | None = None, split: SplitName = "test", trust: bool = False
) -> dict[str, Any]:
    """Return the loss, the metrics and the results of a run's model, as ``evaluate --json`` prints them.

    Args:
        run: The directory of a finished run.
        data: Paths of new examples with targets. If given, ``split`` is ignored.
        split: The split of the run's data.
        trust: Whether custom code may be run.

    Raises:
        LayercliError: The run is not finished, its code is not trusted, or the examples do not fit the model.
    """
    finished_run = FinishedRun.open(run, trust=trust)
    _, section = require_sections(finished_run.valid)
    warnings: list[Problem] = []
    if data:
        examples, meanings, warnings = finished_run.read_new_examples(data, has_targets=True)
    else:
        examples, meanings = _load_split(finished_run, split, trust=trust)
    from layercli.data.types import DataError
    from layercli.engine.evaluate import evaluate_model
    from layercli.engine.load_model import load_model
    from layercli.engine.results import collect_results
    from layercli.engine.unfamiliar_values import UnfamiliarValues

    model = load_model(finished_run.path, finished_run.valid)
    if data:
        unfamiliar = UnfamiliarValues.of(model, finished_run.valid, finished_run.count_examples()).count()
        unfamiliar.add_subset(examples)
        warnings = [*warnings, *unfamiliar.list_problems()]
    try:
        metrics = evaluate_model(model, finished_run.valid, section, examples)
        results = collect_results(
            model,
            finished_run.valid,
            section,
            examples,
            meanings,
            reader_state=finished_run.load_reader_state(),
            constants=load_constants(finished_run),
        )
    except DataError as error:  # raised by data that is read lazily
        raise finished_run.valid.error_from_findings(error.findings) from None
    return {
        "ok": True,
        "run": str(finished_run.path),
        "examples": len(examples),
        "metrics": metrics,
        **results,
        "problems": [problem.as_json() for problem in warnings],
    }


def load_constants(finished_run: FinishedRun) -> dict[str, Array]:
    """Return what a guess from the training targets predicts for one example, by output; nothing for older runs."""
    import numpy as np

    constants = {}
    for title, values in find_guess(read_summary(finished_run.path)).items():
        with suppress(TypeError, ValueError, OverflowError):  # a damaged file can contain anything
            array = np.asarray(values, np.float64)
            if array.size and np.isfinite(array).all():
                constants[title] = array
    return constants


def _load_split(
    finished_run: FinishedRun, split: SplitName, *, trust: bool
) -> tuple[Subset, Mapping[str | None, TargetMeaning]]:
    splits = load_run_splits(finished_run, split, trust=trust)
    return getattr(splits, split), splits.target_meanings


def load_run_splits(finished_run: FinishedRun, split: SplitName, *, trust: bool) -> Splits:
    """Return the sets of a run's data.

    Raises:
        LayercliError: Its code is not trusted, its data cannot be read, or the named set is empty.
    """
    valid = finished_run.valid
    data, _ = require_sections(valid)
    require_trust(valid, trust=trust, data=data)
    splits = load_splits(valid, data, trust=trust)[0]
    if not len(getattr(splits, split)):
        message = f"The {split} split of this run is empty."
        others = " or ".join(f"`--part {name}`" for name in SPLIT_NAMES if len(getattr(splits, name)))
        hint = f"Choose a different split with {others}, or name new examples with `--data`."
        raise LayercliError(valid.make_problem(("data", "split"), "bad-split", message, hint))
    return splits


def list_example_files(finished_run: FinishedRun, split: SplitName) -> list[str] | None:
    """Return the files as ``list_set_files``, including images with masks or a table of labels."""
    from layercli.formats.images.reader import list_files_with_targets

    data = finished_run.resolve_data()
    if isinstance(data, Images) and not data.has_class_folders:
        return None if split in data.split.own_files else list(map(str, list_files_with_targets(data)))
    return list_set_files(finished_run, split)


def list_set_files(finished_run: FinishedRun, split: SplitName) -> list[str] | None:
    """Return the files from which the examples of a set were selected; None if a file contains several examples."""
    from layercli.data.class_folders import list_class_files
    from layercli.data.paths import list_held_out_paths

    data = finished_run.resolve_data()
    if data.example_suffixes is None or not getattr(data, "has_class_folders", True):
        return None
    own_files = data.split.own_files
    folders = [data.path]  # type: ignore[attr-defined]  # as all data with example suffixes
    if split != "train" and split in own_files:
        folders = list_held_out_paths(own_files[split], ("data", "split", split), data)
    return [
        str(file)
        for folder in folders
        for file in list_class_files(Path(folder), data.example_suffixes).files
    ]

"""Open a finished run for evaluation and prediction, and read new examples for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem, make_file_error
from layercli.formats.registry import load_new_dataset, select_input_section
from layercli.graph.checks.consistency import check_consistency
from layercli.graph.checks.ids import check_ids, has_id_layers
from layercli.graph.inputs import resolve_model_inputs
from layercli.graph.target_meaning import resolve_target_meanings
from layercli.io.regular import parse_json
from layercli.runs import directory as runs
from layercli.runs.manifest import open_recorded, read_manifest_or_none
from layercli.runs.open_run import open_run
from layercli.workflows.preflight import read_memory_limit, require_data, require_memory, require_trust

if TYPE_CHECKING:
    from layercli.config.data.section import DataConfig
    from layercli.data.examples import Dataset, Subset
    from layercli.data.reader_state import ReaderState
    from layercli.graph.finding import Finding
    from layercli.graph.target_meaning import TargetMeaning


_MAX_STATE_BYTES: Final = 64 << 20
"""Largest state of a reader."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A finished run: its directory and its config."""

    path: Path
    valid: ValidConfig

    @classmethod
    def open(cls, name: str, *, trust: bool) -> FinishedRun:
        """Open the run in a directory.

        Raises:
            LayercliError: The run is not finished, its code is not trusted, or memory is too small.
        """
        path, valid = open_run(name)
        require_trust(valid, trust=trust)
        require_memory(valid, copies=1)
        return cls(path, valid)

    def load_reader_state(self) -> ReaderState:
        """Return the state that the reader learned from the training data.

        Raises:
            LayercliError: The file is missing or damaged.
        """
        from layercli.data.reader_state import ReaderState

        try:
            with open_recorded(self.path, runs.READER_STATE) as file:
                content = file.read(_MAX_STATE_BYTES + 1)
            if len(content) > _MAX_STATE_BYTES:
                raise ValueError("it is too large")
            return ReaderState.from_json(parse_json(content))
        except (ValueError, LookupError, TypeError, AttributeError):
            message = f"{runs.READER_STATE} is missing or cannot be read. It defines how files are converted to examples."
            hint = "Restore it, or train again with this version."
            raise make_file_error(self.path, "run-directory", message, hint) from None

    def count_examples(self) -> int | None:
        """Return the number of examples from which the layers of the model learned, at most; None if it is unknown."""
        if self.valid.config.model.weights is not None:  # layers keep the mean and variance of these weights
            return None
        data = (read_manifest_or_none(self.path) or {}).get("data")
        counts = (
            [data.get(name) for name in ("train", "validation", "test")] if isinstance(data, dict) else []
        )
        known = [count for count in counts if isinstance(count, int) and count > 0]
        return sum(known) or None

    def read_new_examples(
        self, paths: Sequence[str], *, has_targets: bool, keep: Sequence[str] = ()
    ) -> tuple[Subset, Mapping[str | None, TargetMeaning], list[Problem]]:
        """Read new examples, with targets in the form that the loss requires, and the meaning of each; or without targets.

        The last value are the warnings about the data as it was read, such as files that are left out.
        ``keep`` names columns of rows that are read in addition. Without targets, ids are not checked.

        Raises:
            LayercliError: The examples cannot be read or do not fit the model.
        """
        from layercli.data.checks import check_examples, check_readable_inputs, find_value_ranges
        from layercli.data.examples import Splits
        from layercli.data.statistics import compute_statistics
        from layercli.data.target_values import add_target_values
        from layercli.data.targets_and_weights import choose_target_forms, encode_one_hot
        from layercli.data.types import DataError

        valid, data = self.valid, self._make_new_data_section(paths, has_targets=has_targets)
        findings: list[Finding] = []
        try:
            state = self.load_reader_state()
            if keep and state.table_plan is not None:
                state = replace(state, table_plan=replace(state.table_plan, kept_columns=tuple(keep)))
            dataset = load_new_dataset(
                data, paths, state, memory=read_memory_limit(), has_targets=has_targets
            )
            if not len(dataset):
                raise _make_empty_error(dataset, paths[0], "evaluation" if has_targets else "prediction")
            examples: Subset = dataset
            meanings: Mapping[str | None, TargetMeaning] = {}
            facts = dataset.facts()
            findings += resolve_model_inputs(valid.config, facts)[1]
            if not findings and has_targets:
                statistics = compute_statistics(dataset, has_ids=has_id_layers(valid.shapes))
                ranges = find_value_ranges(statistics, list(valid.graph.inputs))
                findings += check_ids(valid.shapes, ranges, is_trained=True)
            if has_targets and not findings:
                facts = add_target_values(facts, statistics.target_values, data)
                findings += check_examples(statistics, data, dataset.locate_row)
                findings += check_consistency(valid.config, valid.shapes, facts)
                meanings = resolve_target_meanings(valid.config, valid.shapes, facts)
                converted = dataset.convert_targets(choose_target_forms(meanings, statistics))
                examples = encode_one_hot(
                    Splits(converted, converted, converted, target_meanings=meanings)
                ).train
        except DataError as error:
            findings += [*error.findings, *check_readable_inputs(error, data)]
        problems = [finding.to_new_data_problem(paths[0]) for finding in findings]
        if any(problem.severity == "error" for problem in problems):
            raise LayercliError(problems)
        return examples, meanings, [finding.to_new_data_problem(paths[0]) for finding in dataset.findings]

    def resolve_data(self) -> DataConfig:
        """Return the data section with absolute paths."""
        return self.valid.resolve_data_paths(require_data(self.valid))

    def make_new_data_section(self, paths: Sequence[str]) -> DataConfig:
        """Return the data section that reads new files without targets."""
        return self._make_new_data_section(paths, has_targets=False)

    def _make_new_data_section(self, paths: Sequence[str], *, has_targets: bool) -> DataConfig:
        """Return the data section that reads new files. Inputs may always be arrays, named after the inputs."""
        data = require_data(self.valid)
        if has_targets:
            return data
        has_named_inputs = bool(self.valid.config.model.inputs)
        return select_input_section(
            data, paths[0], list(self.valid.graph.inputs) if has_named_inputs else None
        )


def _make_empty_error(dataset: Dataset, path: str, purpose: str) -> LayercliError:
    """Return the error that new data has no examples."""
    from layercli.data.tables.windows import WindowedDataset

    message, hint = "The input contains no examples.", None
    if isinstance(dataset, WindowedDataset) and len(dataset.rows):
        windows = dataset.windows
        rows = windows.length if purpose == "prediction" else windows.span
        last = ", its last ones" if purpose == "prediction" else ""
        message = (
            f"The input has too few rows: {'a' if purpose == 'prediction' else 'an'} {purpose} needs {rows} "
            f"consecutive rows of a series{last}."
        )
        hint = "Add the rows before them."
    return make_file_error(path, "unreadable-data", message, hint)

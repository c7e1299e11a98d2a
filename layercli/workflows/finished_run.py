"""A finished run, ready to be used: its config, its model's file, and what it learned of its data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem
from layercli.formats.registry import load_new_dataset, select_input_section
from layercli.graph.inputs import resolve_model_inputs
from layercli.runs import directory as runs
from layercli.runs.open_run import open_run
from layercli.workflows.preflight import read_memory_limit, require_data, require_memory, require_trust

if TYPE_CHECKING:
    from layercli.config.data.section import DataConfig
    from layercli.data.examples import Dataset
    from layercli.data.reader_state import ReaderState
    from layercli.graph.finding import Finding


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A finished run."""

    path: Path
    valid: ValidConfig

    @classmethod
    def open(cls, name: str, *, trust: bool) -> FinishedRun:
        """The run in a directory.

        Raises:
            LayercliError: it is no finished run, its code is not trusted, or this machine is too small.
        """
        path, valid = open_run(name)
        require_trust(valid, trust=trust)
        require_memory(valid, copies=1)
        return cls(path, valid)

    @property
    def model_file(self) -> Path:
        """Its model."""
        return self.path / runs.MODEL

    def load_reader_state(self) -> ReaderState:
        """What it learned of its data.

        Raises:
            LayercliError: it does not say.
        """
        from layercli.data.reader_state import ReaderState

        try:
            return ReaderState.from_json(
                json.loads((self.path / runs.READER_STATE).read_text(encoding="utf-8"))
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            message = f"{runs.READER_STATE} is not there or cannot be read, so nobody knows how new files become examples."
            hint = "Restore it, or train again with this version."
            raise LayercliError(
                Problem(code="run-directory", message=message, hint=hint, file=str(self.path))
            ) from None

    def read_new_examples(self, paths: Sequence[str], *, targets: bool) -> Dataset:
        """Examples that came after training, with targets, or inputs alone.

        Raises:
            LayercliError: they cannot be read, or are not what the model takes.
        """
        from layercli.data.checks import check_examples
        from layercli.data.statistics import compute_statistics
        from layercli.data.types import DataError

        valid, data = self.valid, self._make_new_data_section(paths, targets=targets)
        found: list[Finding] = []
        try:
            source = load_new_dataset(
                data, paths, self.load_reader_state(), memory=read_memory_limit(), has_targets=targets
            )
            found += resolve_model_inputs(valid.config, source.facts())[1]
            if targets and not found:
                found += check_examples(compute_statistics(source), data, {})
        except DataError as error:
            found += error.findings
        problems = [
            Problem(code=one.code, message=one.message, hint=one.hint, severity=one.severity, file=paths[0])
            for one in found
        ]
        if any(problem.severity == "error" for problem in problems):
            raise LayercliError(problems)
        return source

    def list_example_files(self, paths: Sequence[str]) -> list[str] | None:
        """The file of each new example, where each is a file of its own."""
        suffixes = self._make_new_data_section(paths, targets=False).example_suffixes
        if suffixes is None:
            return None
        from layercli.data.class_folders import list_new_files

        return list(map(str, list_new_files(paths, suffixes, (), has_targets=False)[0]))

    def _make_new_data_section(self, paths: Sequence[str], *, targets: bool) -> DataConfig:
        """The data section that reads new files; inputs may always be arrays, each by the name of its input."""
        data = require_data(self.valid)
        if targets:
            return data
        has_named_inputs = bool(self.valid.config.model.inputs)
        return select_input_section(
            data, paths[0], list(self.valid.graph.inputs) if has_named_inputs else None
        )

"""A finished run, ready to be used: its config, its model's file, and what it learned of its data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from layercli.check import ValidConfig
from layercli.config.data.files import ArraysConfig, Images, Npy, Npz, Text
from layercli.errors import LayercliError, Problem
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
        from layercli.data.readers.registry import load_new_dataset
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
        data = self._make_new_data_section(paths, targets=False)
        if not isinstance(data, (Images, Text)) or (isinstance(data, Text) and data.column is not None):
            return None
        from layercli.data.preview import IMAGE_SUFFIXES
        from layercli.data.readers.class_folders import list_new_files

        suffixes = IMAGE_SUFFIXES if isinstance(data, Images) else [".txt"]
        return list(map(str, list_new_files(paths, suffixes, (), has_targets=False)[0]))

    def _make_new_data_section(self, paths: Sequence[str], *, targets: bool) -> DataConfig:
        """The data section that reads new files; inputs may always be arrays, each by the name of its input."""
        data, graph = require_data(self.valid), self.valid.graph
        suffix = Path(paths[0]).suffix.lower()
        if targets or isinstance(data, ArraysConfig) or suffix not in (".npz", ".npy"):
            return data
        inputs = {name: name for name in graph.inputs} if self.valid.config.model.inputs else None
        first_input = "x" if inputs is None else next(iter(inputs))
        settings = {"features": None if inputs else first_input, "inputs": inputs, "target": first_input}
        return (
            Npz.model_validate({"path": paths[0], **settings})
            if suffix == ".npz"
            else Npy.model_validate(settings)
        )

"""A finished run, ready to be used: its config, its model's file, and what it learned of its data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from layercli.check import Valid
from layercli.config.data.files import Arrays, Images, Npy, Npz, Text
from layercli.errors import LayercliError, Problem
from layercli.graph.inputs import model_inputs
from layercli.runs import directory as runs
from layercli.runs.open_run import open_run
from layercli.workflows.preflight import machine_memory, require_data, require_memory, require_trust

if TYPE_CHECKING:
    from layercli.config.data.section import Data
    from layercli.data.reader_state import Learned
    from layercli.data.subset import Source
    from layercli.graph.finding import Finding


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run."""

    path: Path
    valid: Valid

    @classmethod
    def open(cls, name: str, *, trust: bool) -> Trained:
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

    def learned(self) -> Learned:
        """What it learned of its data.

        Raises:
            LayercliError: it does not say.
        """
        from layercli.data.reader_state import Learned

        try:
            return Learned.from_json(json.loads((self.path / runs.LEARNED).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            message = f"{runs.LEARNED} is not there or cannot be read, so nobody knows how new files become examples."
            hint = "Restore it, or train again with this version."
            raise LayercliError(
                Problem(code="run-directory", message=message, hint=hint, file=str(self.path))
            ) from None

    def read_new(self, paths: Sequence[str], *, targets: bool) -> Source:
        """Examples that came after training, with targets, or inputs alone.

        Raises:
            LayercliError: they cannot be read, or are not what the model takes.
        """
        from layercli.data.checks import findings
        from layercli.data.examples import RefusedDataError
        from layercli.data.readers.registry import read_new
        from layercli.data.statistics import survey

        valid, data = self.valid, self._data(paths, targets=targets)
        found: list[Finding] = []
        try:
            source = read_new(data, paths, self.learned(), memory=machine_memory(), targets=targets)
            found += model_inputs(valid.config, source.facts())[1]
            if targets and not found:
                found += findings(survey(source), data, {})
        except RefusedDataError as error:
            found += error.findings
        problems = [
            Problem(code=one.code, message=one.message, hint=one.hint, severity=one.severity, file=paths[0])
            for one in found
        ]
        if any(problem.severity == "error" for problem in problems):
            raise LayercliError(problems)
        return source

    def files(self, paths: Sequence[str]) -> list[str] | None:
        """The file of each new example, where each is a file of its own."""
        data = self._data(paths, targets=False)
        if not isinstance(data, (Images, Text)) or (isinstance(data, Text) and data.column is not None):
            return None
        from layercli.data.preview import IMAGES
        from layercli.data.readers.class_folders import new_files

        suffixes = IMAGES if isinstance(data, Images) else [".txt"]
        return list(map(str, new_files(paths, suffixes, (), targets=False)[0]))

    def _data(self, paths: Sequence[str], *, targets: bool) -> Data:
        """The data section that reads new files; inputs may always be arrays, each by the name of its input."""
        data, graph = require_data(self.valid), self.valid.graph
        suffix = Path(paths[0]).suffix.lower()
        if targets or isinstance(data, Arrays) or suffix not in (".npz", ".npy"):
            return data
        inputs = {name: name for name in graph.inputs} if self.valid.config.model.inputs else None
        one = "x" if inputs is None else next(iter(inputs))
        named = {"features": None if inputs else one, "inputs": inputs, "target": one}
        return (
            Npz.model_validate({"path": paths[0], **named}) if suffix == ".npz" else Npy.model_validate(named)
        )

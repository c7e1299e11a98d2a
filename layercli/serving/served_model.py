"""The model of a run, ready to answer requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from layercli.check import ValidConfig
from layercli.data.examples import Examples
from layercli.data.new_examples import NewExamples
from layercli.data.predictions import ColumnChunk, expand_steps
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array
from layercli.errors import LayercliError, Problem
from layercli.serving.choose_reader import make_reader
from layercli.serving.example_reader import ExampleReader, Prepared
from layercli.serving.tensors import TensorSpec, find_datatype
from layercli.source.nodes import sanitize_text
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.predict import DEFAULT_PREDICTION_BATCH, find_windows

if TYPE_CHECKING:
    from layercli.config.data.tables import WindowsConfig
    from layercli.engine.predict_requests import RequestPredictor
    from layercli.engine.unfamiliar_values import UnfamiliarValues

IDENTITY_COLUMNS = ("row", "file", "error")
"""Columns of ``predict`` that are not outputs of the model."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The predictions for one request."""

    columns: ColumnChunk
    """The columns of ``predict``."""
    warnings: tuple[Problem, ...]
    errors: tuple[str | None, ...]
    """What is wrong with each example; None if nothing is."""

    def list_row_problems(self) -> list[Problem]:
        """Return a problem for each example without a prediction."""
        return [
            Problem(
                code="no-prediction",
                message=f"Row {index + 1} has no prediction: {error}.",
                path=f"rows[{index}]",
                severity="error" if all(self.errors) else "warning",
            )
            for index, error in enumerate(self.errors)
            if error is not None
        ]

    @property
    def outputs(self) -> dict[str, Array]:
        """The columns that the model computed, for the Open Inference Protocol."""
        return {
            name: np.ma.getdata(column)
            for name, column in self.columns.items()
            if name not in IDENTITY_COLUMNS
        }


@dataclass(frozen=True, slots=True)
class _LoadedRun(FinishedRun):
    """A finished run whose files are not read again."""

    reader_state: ReaderState

    def load_reader_state(self) -> ReaderState:
        """Return the state that was read when the run was opened."""
        return self.reader_state


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model of a finished run."""

    valid: ValidConfig
    path: str
    version: str
    """The name of the run's directory."""
    reader: ExampleReader
    predictor: RequestPredictor
    outputs: tuple[TensorSpec, ...]
    windows: WindowsConfig | None
    unfamiliar: UnfamiliarValues

    @classmethod
    def load(cls, name: str, *, trust: bool) -> Self:
        """Load and compile the model of a run.

        Raises:
            LayercliError: The run is not finished, is damaged, or its code is not trusted.
        """
        finished_run = FinishedRun.open(name, trust=trust)
        state = finished_run.load_reader_state()
        loaded = _LoadedRun(finished_run.path, finished_run.valid, state)
        reader = make_reader(loaded)
        from layercli.engine.load_model import load_model
        from layercli.engine.predict import name_columns
        from layercli.engine.predict_requests import RequestPredictor
        from layercli.engine.unfamiliar_values import UnfamiliarValues

        model = load_model(finished_run.path, finished_run.valid)
        predictor = RequestPredictor(model, finished_run.valid, state, DEFAULT_PREDICTION_BATCH)
        empty = _make_empty_examples(state)
        arrays = predictor.compile(empty)
        windows = find_windows(finished_run)
        columns = _add_steps(
            name_columns(finished_run.valid, state, NewExamples(empty, (None,)), arrays), windows
        )
        return cls(
            finished_run.valid,
            str(finished_run.path),
            finished_run.path.resolve().name,
            reader,
            predictor,
            tuple(
                TensorSpec(name, find_datatype(column), (-1, *column.shape[1:]))
                for name, column in columns.items()
                if name not in IDENTITY_COLUMNS
            ),
            windows,
            UnfamiliarValues.of(model, finished_run.valid, finished_run.count_examples()),
        )

    @property
    def name(self) -> str:
        """The name of the model in URLs."""
        return self.valid.check_result.name

    def answer(self, requests: Sequence[Prepared]) -> list[Answer | LayercliError]:
        """Return the predictions for each request; those of a request do not depend on the others."""
        readings = self.reader.read(requests)
        found = [reading for reading in readings if not isinstance(reading, LayercliError)]
        predictions = iter(self.predictor.predict([reading.examples for reading in found]))
        answers: list[Answer | LayercliError] = []
        for reading in readings:
            if isinstance(reading, LayercliError):
                answers.append(reading)
                continue
            columns = next(predictions)
            if isinstance(columns, LayercliError):
                answers.append(columns)
                continue
            unfamiliar = self.unfamiliar.count()
            unfamiliar.add(reading.examples)
            warnings = (*reading.warnings, *unfamiliar.list_problems())
            answers.append(Answer(_add_steps(columns, self.windows), warnings, reading.examples.errors))
        return answers

    def describe(self) -> dict[str, Any]:
        """Return the metadata of the model in the Open Inference Protocol."""
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": "keras",
            "inputs": [spec.as_json() for spec in self.reader.inputs],
            "outputs": [spec.as_json() for spec in self.outputs],
        }

    @property
    def title(self) -> str:
        """The name and the version for people."""
        return f"{sanitize_text(self.name)} {sanitize_text(self.version)}"


def _make_empty_examples(state: ReaderState) -> Examples:
    """Return examples of shape (0, ...) as the reader of the run returns them; sizes of texts are open."""
    arrays: dict[str | None, Array] = {
        name: np.empty((0, *shape), dtype) for name, (shape, dtype) in state.inputs.items()
    }
    x: Any = arrays.get(None, arrays)
    return Examples(x, np.zeros(0, dtype=np.int32))


def _add_steps(columns: ColumnChunk, windows: WindowsConfig | None) -> ColumnChunk:
    """Return a row for each predicted step, as ``predict`` writes them, if the model predicts several."""
    if windows is None:
        return columns
    if windows.steps is not None:
        return expand_steps(columns, windows.steps, windows.horizon)
    return columns

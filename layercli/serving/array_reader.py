"""Read the arrays in requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from layercli.data.examples import Examples
from layercli.data.new_examples import NewExamples, to_object_array
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array
from layercli.errors import LayercliError
from layercli.schema.suggestions import list_names
from layercli.serving.example_reader import (
    ExampleReader,
    Prepared,
    Reading,
    Row,
    describe_inputs,
    require_names,
    require_row_names,
    to_json_value,
)
from layercli.serving.request_errors import RequestError, make_bad_request
from layercli.serving.tensors import TensorSpec, find_datatype
from layercli.source.nodes import sanitize_text
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.predict import (
    check_row_ids,
)


class ArrayReader(ExampleReader):
    """Reads arrays, one for each input."""

    def __init__(self, finished_run: FinishedRun) -> None:
        state = finished_run.load_reader_state()
        self._run = finished_run
        self._names = _name_array_inputs(finished_run, state)
        self._dtypes = {self._names[name]: np.dtype(dtype) for name, (_, dtype) in state.inputs.items()}
        self._is_single = None in state.inputs
        tensors = finished_run.valid.graph.inputs
        self.inputs = tuple(
            TensorSpec(
                name := self._names[key],
                find_datatype(np.empty(0, dtype)),
                (-1, *(-1 if size is None else size for size in tensors[name].shape[1:]))
                if len(tensors[name].shape) == len(shape) + 1
                else (-1, *shape),
            )
            for key, (shape, dtype) in state.inputs.items()
        )

    def prepare_rows(self, rows: Sequence[Row]) -> Prepared:
        """Return the arrays of rows with a list, or a number, for each input.

        Raises:
            RequestError: A row has other names, or values that are not numbers or do not have the shape.
        """
        names = [spec.name for spec in self.inputs]
        for index, row in enumerate(rows):
            require_row_names(index, row, names, describe_inputs(names))
            unknown = [name for name in row if name not in names]
            if unknown:
                message = f"Row {index + 1} has an unknown {list_names(unknown)}."
                raise make_bad_request(message, describe_inputs(names), path=f"rows[{index}]")
        arrays = {}
        for name in names:
            try:
                values = [row[name] for row in rows]
                is_text = self._dtypes[name].kind == "O"
                arrays[name] = _make_text_array(values) if is_text else np.array(values)
            except (ValueError, OverflowError, RecursionError):
                raise self._make_value_error(name) from None
        return self.prepare_tensors(arrays)

    def prepare_tensors(self, tensors: Mapping[str, Array]) -> Prepared:
        """Return the arrays with the dtypes of training.

        Raises:
            RequestError: A name, a shape or a value is wrong.
        """
        count = require_names(tensors, self.inputs)
        arrays = {}
        for spec in self.inputs:
            array = tensors[spec.name]
            shape = spec.shape[1:]
            if array.ndim != len(spec.shape) or any(
                size not in (-1, found) for size, found in zip(shape, array.shape[1:], strict=True)
            ):
                title = sanitize_text(spec.name, limit=60)
                wanted = ["examples", *("any" if size < 0 else size for size in shape)]
                message = f"The input `{title}` must have the shape [{', '.join(map(str, wanted))}], got {list(array.shape)}."
                raise make_bad_request(message, path="inputs")
            arrays[spec.name] = self._convert_array(array, spec.name)
        return Prepared(count, arrays)

    def _convert_array(self, array: Array, name: str) -> Array:
        dtype = self._dtypes[name]
        if dtype.kind == "O":
            if array.dtype.kind != "O":
                raise self._make_value_error(name)
            return to_object_array([to_json_value(value) for value in array.ravel().tolist()]).reshape(
                array.shape
            )
        if array.dtype.kind not in "iufb":
            raise self._make_value_error(name)
        if array.dtype == dtype:
            return array
        with np.errstate(over="ignore", invalid="ignore"):
            converted = array.astype(dtype)
        if dtype.kind in "iub" and not np.array_equal(converted, array):
            raise self._make_value_error(name)
        return converted

    def _make_value_error(self, name: str) -> RequestError:
        spec = next(spec for spec in self.inputs if spec.name == name)
        dtype = self._dtypes[name]
        expected = {
            "O": "texts",
            "f": "numbers",
            "b": "true or false",
        }.get(dtype.kind, f"integers that fit into {spec.datatype}")
        axes = ", ".join("any" if size < 0 else str(size) for size in spec.shape[1:])
        title = sanitize_text(name, limit=60)
        return make_bad_request(
            f"The input `{title}` must contain {expected}, in lists of the shape [{axes}].", path="inputs"
        )

    def read(self, requests: Sequence[Prepared]) -> list[Reading | LayercliError]:
        """Return the examples of each request, with errors for NaN, infinity and ids that a layer does not have."""
        keys = {name: key for key, name in self._names.items()}
        readings: list[Reading | LayercliError] = []
        for request in requests:
            inputs = {keys[name]: array for name, array in request.content.items()}
            x = inputs[None] if self._is_single else inputs
            examples = Examples(x, np.zeros(request.count, dtype=np.int32))  # type: ignore[arg-type]
            columns = {"row": np.arange(1, request.count + 1)}
            piece = NewExamples(examples, (None,) * request.count, columns).without_non_finite()
            [piece] = check_row_ids(self._run, iter([piece]))
            readings.append(Reading(piece))
        return readings


def _name_array_inputs(finished_run: FinishedRun, state: ReaderState) -> dict[str | None, str]:
    """Return the name of each input of the data in requests: that of the model's input."""
    names = list(finished_run.valid.graph.inputs)
    return {key: key if key is not None else names[0] for key in state.inputs}


def _make_text_array(values: Sequence[Any]) -> Array:
    """Return nested lists of texts as an array of objects.

    Raises:
        ValueError: A value is not a text, or lists have different lengths.
    """
    array = np.array(values, dtype=object)
    if not all(isinstance(value, str) for value in array.ravel().tolist()):
        raise ValueError
    return array

"""What the readers of all kinds of data have: prepared requests, and checks of rows and names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np

from layercli.data.new_examples import NewExamples
from layercli.data.types import Array
from layercli.errors import LayercliError, Problem
from layercli.schema.suggestions import list_names
from layercli.serving.request_errors import make_bad_request, make_request_error
from layercli.serving.tensors import BYTES, TensorSpec
from layercli.source.nodes import sanitize_text

MAX_ROWS: Final = 4000
"""Most rows of a request; fewer than ``predict`` reads together from a file, so that both have the same batches."""
Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The examples of one request, ready to be read."""

    count: int
    content: Any
    """The content, of the type that the reader needs."""
    file_names: tuple[str, ...] | None = None
    """The name of each file."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The examples of one request, and warnings about them."""

    examples: NewExamples
    warnings: tuple[Problem, ...] = ()


class ExampleReader(ABC):
    """Reads the examples of one run."""

    inputs: tuple[TensorSpec, ...]
    """The inputs of the model for tensors."""
    has_fixed_rows: ClassVar[bool] = True
    """Whether each row is one example."""

    @abstractmethod
    def prepare_rows(self, rows: Sequence[Row]) -> Prepared:
        """Return the examples of rows of JSON.

        Raises:
            RequestError: The rows cannot be examples.
        """

    @abstractmethod
    def prepare_tensors(self, tensors: Mapping[str, Array]) -> Prepared:
        """Return the examples of tensors of shape (examples, ...).

        Raises:
            RequestError: The tensors cannot be examples.
        """

    @abstractmethod
    def read(self, requests: Sequence[Prepared]) -> list[Reading | LayercliError]:
        """Return the examples of each request, or the error of reading them."""

    def describe_row(self) -> dict[str, Any]:
        """Return the JSON Schema of a row of JSON."""
        return {
            "type": "object",
            "required": [spec.name for spec in self.inputs],
            "properties": {spec.name: describe_value(spec) for spec in self.inputs},
        }


def require_rows(document: Any) -> list[Row]:
    """Return the rows of a request: a list of objects, or an object with the key ``rows``.

    Raises:
        RequestError: They are not, there are none, or too many.
    """
    rows = document
    if isinstance(document, dict):
        unknown = [name for name in document if name != "rows"]
        if "rows" not in document or unknown:
            found = f", got `{sanitize_text(unknown[0], limit=60)}`" if unknown else ""
            message = f"The request must be a list of rows, or an object whose only key is `rows`{found}."
            raise make_bad_request(message, 'Write {"rows": [{...}, ...]}.')
        rows = document["rows"]
    if not isinstance(rows, list) or not rows:
        raise make_bad_request("`rows` must be a list with at least one row.", path="rows")
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise make_bad_request(
                f"Row {index + 1} must be an object with the values by their names.", path=f"rows[{index}]"
            )
    _check_count(len(rows))
    return rows


def _check_count(count: int) -> None:
    if not count:
        raise make_bad_request("The request has no examples.", path="inputs")
    if count > MAX_ROWS:
        message = f"The request has {count:,} examples; the limit is {MAX_ROWS:,}."
        raise make_request_error(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request-too-large", message, "Send several requests."
        )


def describe_value(spec: TensorSpec) -> dict[str, Any]:
    """Return the JSON Schema of a value of a row."""
    kind: dict[str, Any] = (
        {"type": ["string", "number", "boolean", "null"]} if spec.datatype == BYTES else {"type": "number"}
    )
    for size in reversed(spec.shape[1:]):
        kind = {"type": "array", "items": kind}
        if size >= 0:
            kind |= {"minItems": size, "maxItems": size}
    return kind | ({"description": spec.description} if spec.description else {})


def require_names(tensors: Mapping[str, Array], specs: Sequence[TensorSpec]) -> int:
    """Check the names of tensors, and return the number of examples.

    Raises:
        RequestError: A tensor is missing or unknown, or they have different numbers of examples.
    """
    names = [spec.name for spec in specs]
    unknown = [name for name in tensors if name not in names]
    if unknown:
        raise make_bad_request(
            f"The model has no input {list_names(unknown)}.", describe_inputs(names), path="inputs"
        )
    absent = [name for name in names if name not in tensors]
    if absent:
        raise make_bad_request(
            f"The request has no input {list_names(absent)}.", describe_inputs(names), path="inputs"
        )
    counts = {len(array) for array in tensors.values()}
    if len(counts) > 1:
        raise make_bad_request("The inputs must have the same number of examples.", path="inputs")
    _check_count(count := counts.pop())
    return count


def require_row_names(index: int, row: Row, names: Sequence[str], hint: str) -> None:
    """Check that a row has values for all names.

    Raises:
        RequestError: Some are missing.
    """
    absent = [name for name in names if name not in row]
    if absent:
        raise make_bad_request(f"Row {index + 1} has no {list_names(absent)}.", hint, path=f"rows[{index}]")


def describe_inputs(names: Sequence[str]) -> str:
    """Return a sentence with the names of the inputs."""
    return f"The inputs are {list_names(names)}."


def to_json_value(value: Any) -> Any:
    """Return a value of a tensor as JSON has it: bytes as text, and NaN as null.

    Raises:
        RequestError: A text is not UTF-8.
    """
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            message = f"A text must be UTF-8; its byte {error.start + 1} is not."
            raise make_bad_request(message, "Encode texts as UTF-8.", path="inputs") from None
    return None if isinstance(value, float) and np.isnan(value) else value

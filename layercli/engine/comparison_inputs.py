"""Inputs on which two models are compared: real examples, random values and edge cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from layercli.check import ValidConfig
from layercli.data.examples import Examples
from layercli.data.types import Array
from layercli.graph.build import Graph
from layercli.graph.shapes import ModelShapes, infer_graph_shapes
from layercli.layers.shapes import Shape, Tensor

COMPARED_EXAMPLES: Final = 32
"""Examples of the dataset that are compared."""
_BATCH_SIZES: Final = (1, 7)
"""Additional batch sizes, if the batch size is not fixed."""
DEFAULT_LENGTH: Final = 8
"""The size of an axis of unknown length."""
_PROBE_LENGTHS: Final[tuple[int, ...]] = tuple(
    sorted(factor * 2**power for factor in (1, 3, 5) for power in range(3, 15))
)[1:]
"""Larger sizes for models with large windows; divisible by small factors, for models that downsample and upsample."""
EXAMPLE_BATCH_SIZE: Final = 2
_OTHER_LENGTH: Final = 5
"""A second size for axes of unknown length."""
_EDGE_NUMBERS: Final = {"zeros": 0.0, "ones": 1.0, "small": 1e-6, "large": 1e3}
_EDGE_TEXTS: Final = {
    "zeros": "",
    "ones": "a",
    "small": "  The word, the WORD!\t\n",
    "large": "word " * 300,
    "extremes": "Ünïcødé 漢字 🙂 \u200f\x00 \\ \"'",
}
EXTREMES: Final = "extremes"
MISSING: Final = "missing values"
RAW_ROWS: Final = "raw rows"
_RANDOM_TEXTS: Final = ("a word", "the", "of two words", "")
_MAX_RANDOM_INTEGER: Final = 100
_SAFE_INDEX_LIMIT: Final = 2
_NO_INDEX_LIMIT: Final = 2**31
"""The index limit of a model without a lookup table."""


@dataclass(frozen=True, slots=True)
class ComparisonCase:
    """One batch for every input, by name, each of shape (batch, ...)."""

    name: str
    inputs: dict[str, Array]
    is_real: bool = False
    """Whether the batch contains examples of the dataset."""
    examples: int = 0
    """Number of different examples of the dataset in all batches of this case's name."""
    raw_inputs: dict[str, Array] | None = None
    """The same batch with missing values, which were replaced in ``inputs``."""
    columns: dict[str, Array] | None = None
    """The raw columns of a table that become ``inputs``, by the names of the arguments that take them."""

    @property
    def is_typical(self) -> bool:
        """Whether the values are typical inputs, not an edge case."""
        return self.name in ("examples", "drawn")


def find_probe_length(valid: ValidConfig) -> int:
    """Return a size for axes of unknown length with which every layer accepts its input, such as a long window."""
    lengths = (DEFAULT_LENGTH, *_PROBE_LENGTHS)
    return next((length for length in lengths if is_length_accepted(valid, length)), DEFAULT_LENGTH)


def is_length_accepted(valid: ValidConfig, length: int) -> bool:
    """Return whether every layer accepts its input if axes of unknown length have this size."""
    return all(row.error is None for row in infer_length_shapes(valid, length).rows)


def infer_length_shapes(valid: ValidConfig, length: int) -> ModelShapes:
    """Return the static shapes if axes of unknown length have this size."""
    inputs = {
        name: Tensor(fill_shape(x.shape, EXAMPLE_BATCH_SIZE, length), x.dtype)
        for name, x in valid.graph.inputs.items()
    }
    return infer_graph_shapes(replace(valid.graph, inputs=inputs), valid.config.model.dtype)


def infer_run_shapes(valid: ValidConfig, length: int) -> ModelShapes:
    """Return the shapes of a run if axes of unknown length have this size.

    A layer that no longer accepts its input, although Keras may, has the shapes that are declared without the length.
    """
    inferred = infer_length_shapes(valid, length)

    def fill(x: Tensor | None) -> Tensor | None:
        return x and Tensor(fill_shape(x.shape, EXAMPLE_BATCH_SIZE, length), x.dtype)

    rows = []
    for row, declared in zip(inferred.rows, valid.shapes.rows, strict=True):
        if not row.outputs:
            outputs = tuple(filter(None, map(fill, declared.outputs)))
            row = replace(declared, inputs=tuple(map(fill, declared.inputs)), outputs=outputs)
        rows.append(row)
    return ModelShapes(inferred.graph, rows, {row.node.name: row for row in rows})


def examples_to_inputs(examples: Examples, graph: Graph) -> dict[str, Array]:
    """Return the arrays of each model input by its name, in the input's dtype."""
    arrays = examples.x if isinstance(examples.x, Mapping) else {next(iter(graph.inputs)): examples.x}
    return {name: _cast_to_input(arrays[name], tensor) for name, tensor in graph.inputs.items()}


def find_index_limit(valid: ValidConfig, dtype: str = "float32") -> int:
    """Return the exclusive upper bound of the indices of an input: the smallest vocabulary that an input feeds directly.

    A custom layer may have a table of any size, so integers for a model with custom layers are 0 or 1.
    """
    sizes = [_SAFE_INDEX_LIMIT] if valid.custom_layers and "int" in dtype else []
    sizes += [
        node.layer.input_dim
        for node in valid.graph.nodes
        if hasattr(node.layer, "input_dim") and any(name in valid.graph.inputs for name in node.inputs)
    ]
    return min(sizes, default=_NO_INDEX_LIMIT)


def random_inputs(
    valid: ValidConfig,
    *,
    batch_size: int = COMPARED_EXAMPLES,
    length: int = DEFAULT_LENGTH,
    seed: int | None = None,
) -> dict[str, Array]:
    """Return random numbers, indices and words for each input; the default seed is that of the config."""
    rng = np.random.default_rng(valid.config.seed if seed is None else seed)
    return {
        name: random_array(
            tensor,
            rng,
            batch_size=batch_size,
            length=length,
            index_limit=find_index_limit(valid, tensor.dtype),
        )
        for name, tensor in valid.graph.inputs.items()
    }


def random_array(
    tensor: Tensor,
    rng: np.random.Generator,
    *,
    batch_size: int,
    length: int = DEFAULT_LENGTH,
    index_limit: int = _NO_INDEX_LIMIT,
) -> Array:
    """Return random values of shape (batch_size, ...): normal numbers, indices below ``index_limit``, or words."""
    shape = fill_shape(tensor.shape, batch_size, length)
    if tensor.dtype == "string":
        return np.resize(np.array(_RANDOM_TEXTS, dtype=object), shape)
    if tensor.dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "float" in tensor.dtype and index_limit >= _NO_INDEX_LIMIT:
        return _cast_to_input(rng.standard_normal(shape), tensor)
    return _cast_to_input(rng.integers(0, min(index_limit, _MAX_RANDOM_INTEGER), shape), tensor)


def fill_shape(shape: Shape, batch_size: int, length: int = DEFAULT_LENGTH) -> tuple[int, ...]:
    """Return the shape with a batch size, and a length for each axis of unknown length."""
    return (batch_size, *(length if dim is None else dim for dim in shape[1:]))


def build_cases(
    valid: ValidConfig, examples: Examples | None, batch_size: int | None
) -> list[ComparisonCase]:
    """Return typical inputs and edge cases; every batch has ``batch_size`` examples, if that is fixed."""
    inputs = valid.graph.inputs
    base_inputs = random_inputs(valid) if examples is None else examples_to_inputs(examples, valid.graph)
    is_real = examples is not None
    count = 0 if examples is None else _count_compared(len(examples), batch_size)
    cases = [
        ComparisonCase("examples" if is_real else "drawn", batch, is_real, count)
        for batch in _split_batches(base_inputs, batch_size)
    ]
    edge_batch_size = batch_size or _BATCH_SIZES[1]
    for name in (*_EDGE_NUMBERS, EXTREMES):
        edge_inputs = {
            input_name: _edge_array(
                name,
                tensor,
                (edge_batch_size, *base_inputs[input_name].shape[1:]),
                find_index_limit(valid, tensor.dtype),
            )
            for input_name, tensor in inputs.items()
        }
        cases.append(ComparisonCase(name, edge_inputs))
    if any(None in tensor.shape[1:] for tensor in inputs.values()):
        other_inputs = random_inputs(valid, length=_OTHER_LENGTH)
        cases.append(ComparisonCase("another length", next(_split_batches(other_inputs, batch_size))))
    return cases


def make_missing_case(
    case: ComparisonCase, fill_values: Mapping[str, Sequence[float | str | None]]
) -> ComparisonCase | None:
    """Return a case in which every third value of the inputs is missing, or None if nothing replaces missing values.

    Args:
        case: Typical inputs.
        fill_values: Input of shape (batch, ..., columns) -> the replacement of each of its columns.
    """
    filled, raw = dict(case.inputs), dict(case.inputs)
    for name, values in fill_values.items():
        array = case.inputs[name]
        if array.dtype.kind not in "fO" or len(values) != array.shape[-1]:
            continue
        missing: Any = "" if array.dtype.kind == "O" else np.nan
        is_missing = np.arange(array.size).reshape(array.shape) % 3 == 0
        for index, value in enumerate(values):
            if value is None:
                continue
            rows = is_missing[..., index]
            filled[name], raw[name] = filled[name].copy(), raw[name].copy()
            filled[name][..., index][rows] = value
            raw[name][..., index][rows] = missing
    if all(filled[name] is case.inputs[name] for name in filled):
        return None
    return ComparisonCase(MISSING, filled, raw_inputs=raw)


def fill_empty_texts(
    case: ComparisonCase, fill_values: Mapping[str, Sequence[float | str | None]]
) -> ComparisonCase:
    """Return a case in which empty texts mean missing values, which the run replaces.

    ``fill_values`` maps inputs of shape (batch, ..., columns) to the replacement of each of their columns.
    """
    if case.raw_inputs is not None:
        return case
    filled = {}
    for name, values in fill_values.items():
        array = case.inputs[name]
        if array.dtype.kind == "O" and any(values):
            filled[name] = np.where(array == "", np.array([value or "" for value in values], object), array)
    return replace(case, inputs=case.inputs | filled, raw_inputs=dict(case.inputs)) if filled else case


def _split_batches(arrays: Mapping[str, Array], batch_size: int | None) -> Iterator[dict[str, Array]]:
    """Yield all rows in batches of ``batch_size``; if that is None, one batch of all and some of other sizes."""
    samples = len(next(iter(arrays.values())))
    if batch_size is None:
        for size in dict.fromkeys((min(samples, COMPARED_EXAMPLES), *_BATCH_SIZES)):
            yield {name: np.resize(array, (size, *array.shape[1:])) for name, array in arrays.items()}
        return
    for first in range(0, max(min(samples, COMPARED_EXAMPLES) // batch_size, 1) * batch_size, batch_size):
        rows = np.arange(first, first + batch_size) % samples
        yield {name: array[rows] for name, array in arrays.items()}


def _count_compared(samples: int, batch_size: int | None) -> int:
    """Return how many examples ``_split_batches`` yields; a batch may repeat some of them."""
    size = batch_size or 1
    return min(samples, max(min(samples, COMPARED_EXAMPLES) // size, 1) * size)


def _edge_array(kind: str, tensor: Tensor, shape: tuple[int, ...], index_limit: int) -> Array:
    """Return the values of one edge case for one input."""
    if tensor.dtype == "string":
        return np.full(shape, _EDGE_TEXTS[kind], dtype=object)
    if tensor.dtype == "bool":
        return np.full(shape, kind in ("ones", "large"))
    flat = np.arange(int(np.prod(shape))).reshape(shape)
    if index_limit < _NO_INDEX_LIMIT:
        indices = {"zeros": flat * 0, "ones": flat % min(2, index_limit)}
        return _cast_to_input(indices.get(kind, flat * 0 + index_limit - 1), tensor)
    if "float" in tensor.dtype:
        return _cast_to_input(_edge_floats(kind, tensor, flat), tensor)
    limits = np.iinfo(tensor.dtype)
    values: dict[str, Any] = {
        "zeros": flat * 0,
        "ones": flat * 0 + 1,
        "small": flat % 3,
        "large": flat % 100,
    }
    return _cast_to_input(values.get(kind, np.where(flat % 2 == 0, limits.max, limits.min)), tensor)


def _edge_floats(kind: str, tensor: Tensor, flat: Array) -> Array:
    largest = float(np.finfo(np.float16 if tensor.dtype == "bfloat16" else tensor.dtype).max)
    value = largest if kind == EXTREMES else _EDGE_NUMBERS[kind]
    # The values differ along each axis, so that swapped axes change the output.
    spread = flat * 0 + 1.0 if kind in ("zeros", "ones", EXTREMES) else 1 + (flat % 13) / 13
    sign = 1.0 if kind == "ones" else np.where(flat % 2 == 0, 1.0, -1.0)
    return np.asarray(value * spread * sign)


def _cast_to_input(array: Array, tensor: Tensor) -> Array:
    if tensor.dtype == "string":
        return array.astype(object)
    if tensor.dtype == "bfloat16":
        from ml_dtypes import bfloat16

        return array.astype(bfloat16)
    return array.astype(tensor.dtype)

"""Inputs on which an exported model is held against the original: real examples, and edges of what an input may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from layercli.check import ValidConfig
from layercli.data.examples import Examples
from layercli.data.types import Array
from layercli.engine.forward_pass import find_index_limit
from layercli.graph.build import Graph
from layercli.layers.shapes import Tensor

COMPARED_EXAMPLES: Final = 32
"""Examples of the data that are compared."""
_BATCH_SIZES: Final = (1, 7)
"""Batch sizes, where the batch is free."""
_UNKNOWN_LENGTHS: Final = (8, 5)
"""What stands for an axis of unknown length, where the data does not tell one."""
_EDGE_NUMBERS: Final = {"zeros": 0.0, "ones": 1.0, "small": 1e-6, "large": 1e3}
_EDGE_TEXTS: Final = {
    "zeros": "",
    "ones": "a",
    "small": "  The word, the WORD!\t\n",
    "large": "word " * 300,
    "extremes": "Ünïcødé 漢字 🙂 \u200f\x00 \\ \"'",
}
EXTREMES: Final = "extremes"


@dataclass(frozen=True, slots=True)
class ComparisonCase:
    """A batch for every input, by name, each of shape (batch, ...); ``real`` where it is of the data."""

    name: str
    inputs: dict[str, Array]
    is_real: bool = False


def examples_to_inputs(examples: Examples, graph: Graph) -> dict[str, Array]:
    """The examples of each input of the model by its name, in the input's dtype."""
    arrays = examples.x if isinstance(examples.x, Mapping) else {next(iter(graph.inputs)): examples.x}
    return {name: _cast_to_input(arrays[name], tensor) for name, tensor in graph.inputs.items()}


def random_inputs(valid: ValidConfig, *, length: int = _UNKNOWN_LENGTHS[0]) -> dict[str, Array]:
    """Ordinary numbers, indices and words, where no data can be read."""
    rng, index_limit = np.random.default_rng(valid.config.seed), find_index_limit(valid)
    return {
        name: _random_array(tensor, _input_shape(tensor, COMPARED_EXAMPLES, length), rng, index_limit)
        for name, tensor in valid.graph.inputs.items()
    }


def build_cases(
    valid: ValidConfig, examples: Examples | None, batch_size: int | None
) -> list[ComparisonCase]:
    """What is compared; every batch has ``batch_size`` examples where that is fixed."""
    inputs = valid.graph.inputs
    base_inputs = random_inputs(valid) if examples is None else examples_to_inputs(examples, valid.graph)
    is_real = examples is not None
    built_cases = [
        ComparisonCase("examples" if is_real else "drawn", batch, is_real)
        for batch in _split_batches(base_inputs, batch_size)
    ]
    for name in (*_EDGE_NUMBERS, EXTREMES):
        built_cases.append(
            ComparisonCase(
                name,
                _edge_inputs(
                    name, inputs, base_inputs, batch_size or _BATCH_SIZES[1], find_index_limit(valid)
                ),
            )
        )
    if any(None in tensor.shape[1:] for tensor in inputs.values()):
        longer_inputs = random_inputs(valid, length=_UNKNOWN_LENGTHS[1])
        built_cases.append(ComparisonCase("another length", next(_split_batches(longer_inputs, batch_size))))
    return built_cases


def _split_batches(arrays: Mapping[str, Array], batch_size: int | None) -> Iterator[dict[str, Array]]:
    """All of it in batches of one size; where that is free, in one batch, and parts in batches of other sizes."""
    samples = len(next(iter(arrays.values())))
    if batch_size is None:
        for size in dict.fromkeys((min(samples, COMPARED_EXAMPLES), *_BATCH_SIZES)):
            yield {name: np.resize(array, (size, *array.shape[1:])) for name, array in arrays.items()}
        return
    for first in range(0, max(min(samples, COMPARED_EXAMPLES) // batch_size, 1) * batch_size, batch_size):
        rows = np.arange(first, first + batch_size) % samples
        yield {name: array[rows] for name, array in arrays.items()}


def _edge_inputs(
    kind: str,
    inputs: Mapping[str, Tensor],
    base_inputs: Mapping[str, Array],
    batch_size: int,
    index_limit: int,
) -> dict[str, Array]:
    edges = {}
    for name, tensor in inputs.items():
        shape = (batch_size, *base_inputs[name].shape[1:])
        flat = np.arange(int(np.prod(shape))).reshape(shape)
        sign = np.where(flat % 2 == 0, 1.0, -1.0)
        if tensor.dtype == "string":
            edges[name] = np.full(shape, _EDGE_TEXTS[kind], dtype=object)
        elif tensor.dtype == "bool":
            edges[name] = np.full(shape, kind in ("ones", "large"))
        elif index_limit < _NO_INDEX_LIMIT:
            edges[name] = _cast_to_input(
                {"zeros": flat * 0, "ones": flat % min(2, index_limit)}.get(kind, flat * 0 + index_limit - 1),
                tensor,
            )
        elif "float" in tensor.dtype:
            top = float(np.finfo(np.float16 if tensor.dtype == "bfloat16" else tensor.dtype).max)
            value = top if kind == EXTREMES else _EDGE_NUMBERS[kind]
            # Different in each place, so that an axis that is mixed up shows.
            spread = flat * 0 + 1.0 if kind in ("zeros", "ones", EXTREMES) else 1 + (flat % 13) / 13
            edges[name] = _cast_to_input(value * spread * (1.0 if kind == "ones" else sign), tensor)
        else:
            limits = np.iinfo(tensor.dtype)
            low, high = limits.min, limits.max
            values: dict[str, Any] = {
                "zeros": flat * 0,
                "ones": flat * 0 + 1,
                "small": flat % 3,
                "large": flat % 100,
            }
            edges[name] = _cast_to_input(values.get(kind, np.where(flat % 2 == 0, high, low)), tensor)
    return edges


_NO_INDEX_LIMIT = 2**31


def _random_array(
    tensor: Tensor, shape: tuple[int, ...], rng: np.random.Generator, index_limit: int
) -> Array:
    if tensor.dtype == "string":
        return rng.choice(np.array(["a word", "the", "of two words", ""], dtype=object), shape)
    if tensor.dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "float" in tensor.dtype and index_limit > _NO_INDEX_LIMIT:
        return _cast_to_input(rng.standard_normal(shape), tensor)
    return _cast_to_input(rng.integers(0, min(index_limit, 100), shape), tensor)


def _input_shape(tensor: Tensor, batch_size: int, length: int) -> tuple[int, ...]:
    return (batch_size, *(length if dim is None else dim for dim in tensor.shape[1:]))


def _cast_to_input(array: Array, tensor: Tensor) -> Array:
    if tensor.dtype == "string":
        return array.astype(object)
    if tensor.dtype == "bfloat16":
        from ml_dtypes import bfloat16

        return array.astype(bfloat16)
    return array.astype(tensor.dtype)

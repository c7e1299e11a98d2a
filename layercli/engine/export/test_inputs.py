"""Inputs on which an exported model is held against the original: real examples, and edges of what an input may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from layercli.check import ValidConfig
from layercli.data.examples import Array, Examples
from layercli.engine.forward_pass import largest_index
from layercli.graph.build import Graph
from layercli.layers.shapes import Tensor

REAL: Final = 32
"""Examples of the data that are compared."""
_SEVERAL: Final = (1, 7)
"""Batch sizes, where the batch is free."""
_ANY_LENGTH: Final = (8, 5)
"""What stands for an axis of unknown length, where the data does not tell one."""
_NUMBERS: Final = {"zeros": 0.0, "ones": 1.0, "small": 1e-6, "large": 1e3}
_TEXTS: Final = {
    "zeros": "",
    "ones": "a",
    "small": "  The word, the WORD!\t\n",
    "large": "word " * 300,
    "extremes": "Ünïcødé 漢字 🙂 \u200f\x00 \\ \"'",
}
EXTREMES: Final = "extremes"


@dataclass(frozen=True, slots=True)
class Case:
    """A batch for every input, by name, each of shape (batch, ...); ``real`` where it is of the data."""

    name: str
    inputs: dict[str, Array]
    real: bool = False


def real_inputs(examples: Examples, graph: Graph) -> dict[str, Array]:
    """The examples of each input of the model by its name, in the input's dtype."""
    arrays = examples.x if isinstance(examples.x, Mapping) else {next(iter(graph.inputs)): examples.x}
    return {name: _cast(arrays[name], tensor) for name, tensor in graph.inputs.items()}


def drawn_inputs(valid: ValidConfig, *, length: int = _ANY_LENGTH[0]) -> dict[str, Array]:
    """Ordinary numbers, indices and words, where no data can be read."""
    rng, indices = np.random.default_rng(valid.config.seed), largest_index(valid)
    return {
        name: _drawn(tensor, _shape(tensor, REAL, length), rng, indices)
        for name, tensor in valid.graph.inputs.items()
    }


def cases(valid: ValidConfig, examples: Examples | None, batch_size: int | None) -> list[Case]:
    """What is compared; every batch has ``batch_size`` examples where that is fixed."""
    inputs = valid.graph.inputs
    given = drawn_inputs(valid) if examples is None else real_inputs(examples, valid.graph)
    real = examples is not None
    found = [Case("examples" if real else "drawn", part, real) for part in _batches(given, batch_size)]
    for name in (*_NUMBERS, EXTREMES):
        found.append(Case(name, _edges(name, inputs, given, batch_size or _SEVERAL[1], largest_index(valid))))
    if any(None in tensor.shape[1:] for tensor in inputs.values()):
        drawn = drawn_inputs(valid, length=_ANY_LENGTH[1])
        found.append(Case("another length", next(_batches(drawn, batch_size))))
    return found


def _batches(given: Mapping[str, Array], batch_size: int | None) -> Iterator[dict[str, Array]]:
    """All of it in batches of one size; where that is free, in one batch, and parts in batches of other sizes."""
    samples = len(next(iter(given.values())))
    if batch_size is None:
        for size in dict.fromkeys((min(samples, REAL), *_SEVERAL)):
            yield {name: np.resize(array, (size, *array.shape[1:])) for name, array in given.items()}
        return
    for first in range(0, max(min(samples, REAL) // batch_size, 1) * batch_size, batch_size):
        rows = np.arange(first, first + batch_size) % samples
        yield {name: array[rows] for name, array in given.items()}


def _edges(
    kind: str, inputs: Mapping[str, Tensor], given: Mapping[str, Array], batch: int, indices: int
) -> dict[str, Array]:
    edges = {}
    for name, tensor in inputs.items():
        shape = (batch, *given[name].shape[1:])
        flat = np.arange(int(np.prod(shape))).reshape(shape)
        sign = np.where(flat % 2 == 0, 1.0, -1.0)
        if tensor.dtype == "string":
            edges[name] = np.full(shape, _TEXTS[kind], dtype=object)
        elif tensor.dtype == "bool":
            edges[name] = np.full(shape, kind in ("ones", "large"))
        elif indices < _ANY_INDEX:
            edges[name] = _cast(
                {"zeros": flat * 0, "ones": flat % min(2, indices)}.get(kind, flat * 0 + indices - 1), tensor
            )
        elif "float" in tensor.dtype:
            top = float(np.finfo(np.float16 if tensor.dtype == "bfloat16" else tensor.dtype).max)
            value = top if kind == EXTREMES else _NUMBERS[kind]
            # Different in each place, so that an axis that is mixed up shows.
            spread = flat * 0 + 1.0 if kind in ("zeros", "ones", EXTREMES) else 1 + (flat % 13) / 13
            edges[name] = _cast(value * spread * (1.0 if kind == "ones" else sign), tensor)
        else:
            limits = np.iinfo(tensor.dtype)
            low, high = limits.min, limits.max
            values: dict[str, Any] = {
                "zeros": flat * 0,
                "ones": flat * 0 + 1,
                "small": flat % 3,
                "large": flat % 100,
            }
            edges[name] = _cast(values.get(kind, np.where(flat % 2 == 0, high, low)), tensor)
    return edges


_ANY_INDEX = 2**31


def _drawn(tensor: Tensor, shape: tuple[int, ...], rng: np.random.Generator, indices: int) -> Array:
    if tensor.dtype == "string":
        return rng.choice(np.array(["a word", "the", "of two words", ""], dtype=object), shape)
    if tensor.dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "float" in tensor.dtype and indices > _ANY_INDEX:
        return _cast(rng.standard_normal(shape), tensor)
    return _cast(rng.integers(0, min(indices, 100), shape), tensor)


def _shape(tensor: Tensor, batch: int, length: int) -> tuple[int, ...]:
    return (batch, *(length if dim is None else dim for dim in tensor.shape[1:]))


def _cast(array: Array, tensor: Tensor) -> Array:
    if tensor.dtype == "string":
        return array.astype(object)
    if tensor.dtype == "bfloat16":
        from ml_dtypes import bfloat16

        return array.astype(bfloat16)
    return array.astype(tensor.dtype)

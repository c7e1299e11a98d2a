"""The layers of Keras's pretrained models, and what they return for an input."""

import gzip
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from layercli.layers.base import InferredLayer, Layer, Weight
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor

FILE: Final = Path(__file__).parent / "architectures.json.gz"
"""Written by ``python -m tests.application_architectures``."""

Record: TypeAlias = tuple[str, dict[str, Any], Sequence[int]]
"""Type and arguments of a layer, and its inputs, counted back from it: 1 is the layer before it.

Layers without weights, cost and effect on shapes are left out. The argument ``correct_pad`` is the kernel size of
Keras's ``correct_pad``; ``classes`` as a value is the number of classes.
"""


class Head(NamedTuple):
    """The end of a model."""

    include_top: bool
    pooling: str | None
    classes: int

    @property
    def key(self) -> str:
        """The name of the head in the file."""
        return "top" if self.include_top else self.pooling or "none"


def read_architecture(name: str, head: Head) -> list[Record]:
    """Return the layers of an architecture in the file."""
    architecture = _read_file()[name]
    records: list[Record] = [*architecture["layers"], *architecture["heads"][head.key]]
    return records


@cache
def _read_file() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(gzip.decompress(FILE.read_bytes()))
    return content


class TracedLayer(NamedTuple):
    """A layer of an architecture with what it takes and returns."""

    kind: str
    """Its type; LayerScale is not in the catalogue."""
    layer: Layer | None
    sources: tuple[int, ...]
    """The layers that feed it, counted from 0; -1 is the input of the model."""
    inputs: tuple[Tensor, ...]
    inferred: InferredLayer


def trace_architecture(records: Sequence[Record], x: Tensor, head: Head) -> Iterator[TracedLayer]:
    """Yield the layers with their shapes for an input of shape (batch, height, width, channels).

    Raises:
        ShapeError: a layer does not accept its input.
    """
    layers: dict[str, Layer] = {}
    outputs = [x]
    for kind, arguments, sources in records:
        indices = tuple(len(outputs) - source for source in sources)
        inputs = tuple(outputs[index] for index in indices)
        layer: Layer | None = None
        if kind == "LayerScale":
            inferred = InferredLayer(inputs[:1], (Weight("gamma", (_last_size(inputs[0]),)),))
        else:
            if "correct_pad" in arguments:
                arguments = {"padding": _correct_padding(inputs[0], arguments["correct_pad"])}
            key = f"{kind} {arguments}"
            layer = layers.get(key)
            if layer is None:
                layer = layers[key] = LAYERS.load(kind).model_validate(_fill_classes(arguments, head.classes))
            inferred = layer.infer(inputs)
        outputs.append(inferred.outputs[0])
        yield TracedLayer(kind, layer, tuple(index - 1 for index in indices), inputs, inferred)


def infer_architecture(records: Sequence[Record], x: Tensor, head: Head) -> InferredLayer:
    """Return output, weights and cost of the layers for an input of shape (batch, height, width, channels).

    Raises:
        ShapeError: a layer does not accept its input.
    """
    outputs: tuple[Tensor, ...] = (x,)
    weights: list[Weight] = []
    cost: int | None = 0
    for traced in trace_architecture(records, x, head):
        outputs = traced.inferred.outputs[:1]
        weights.extend(traced.inferred.weights)
        added = traced.inferred.multiply_adds
        cost = None if cost is None or added is None else cost + added
    return InferredLayer(outputs, tuple(weights), cost)


def _last_size(x: Tensor) -> int:
    size = x.shape[-1]
    assert size is not None
    return size


def _fill_classes(arguments: dict[str, Any], classes: int) -> dict[str, Any]:
    return {
        key: classes if value == "classes" else [classes] if value == ["classes"] else value
        for key, value in arguments.items()
    }


def _correct_padding(x: Tensor, kernel: int) -> list[list[int]]:
    """Return Keras's ``correct_pad``: the padding before and after the rows and columns of an input."""
    before = [kernel // 2 - (1 if size is None or size % 2 == 0 else 0) for size in x.shape[1:3]]
    if x.shape[1] is None:
        before = [kernel // 2 - 1] * 2
    return [[each, kernel // 2] for each in before]

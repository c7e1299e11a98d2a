"""Evaluate the arithmetic that ``inspect-shapes --explain`` prints, and compare it with given sizes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from layercli.graph.build import GraphNode
from layercli.graph.shapes import NodeShapes
from layercli.layers.base import Layer
from layercli.layers.shapes import Shape, Tensor
from layercli.reports.explanation import Explanation, explain_layer


def explained(layer: Layer, inputs: Sequence[Tensor]) -> Explanation:
    """Return the explanation of a layer for inputs that it accepts."""
    inferred = layer.infer(tuple(inputs))
    names = tuple(f"input_{number}" for number in range(len(inputs)))
    node = GraphNode("layer", layer, names, (), input_indices=(None,) * len(names))
    return explain_layer(NodeShapes(node, tuple(inputs), inferred.outputs, inferred.weights))


def evaluate(text: str, **symbols: int) -> int:
    """Return the value of printed arithmetic: ``4 x ((64 + 32) x 32 + 32)``."""
    for symbol, value in symbols.items():
        text = re.sub(rf"\b{symbol}\b", str(value), text)
    assert re.fullmatch(r"(?:[\d,]+|[-+/()\s]|x|mod|floor|ceil)+", text), text
    code = text.replace(",", "").replace(" x ", " * ").replace(" mod ", " % ")
    value = eval(code, {"__builtins__": {}}, {"floor": math.floor, "ceil": math.ceil})
    assert value == int(value), text
    return int(value)


def evaluate_equation(text: str) -> int:
    """Return the value of ``(8 - 3) / 1 + 1 = 6 with kernel_size 3``, after checking both sides."""
    left, equals, right = re.sub(r" with .*| \([a-z].*| \(\d+ \w+\)", "", text).partition(" = ")
    assert not equals or evaluate(left) == evaluate(right), text
    return evaluate(right or left)


def evaluate_outputs(lines: Sequence[str], inputs: Sequence[Tensor], count: int) -> list[dict[int, int]]:
    """Return the printed size of each axis, by its index, of each of ``count`` outputs."""
    outputs: list[dict[int, int]] = [{} for _ in range(count)]
    for line in lines:
        numbers, text = re.fullmatch(r"(?:outputs? ([\d, and]+), )?(.*)", line).groups()
        chosen = [outputs[int(number)] for number in re.findall(r"\d+", numbers or "0")]
        if text.startswith("feature maps "):  # of a pretrained model: the last one is its output
            last = text.split(" -> ")[-1]
            outputs[0] = {axis: int(size) for axis, size in enumerate(last.split("x"), start=1)}
            continue
        if text == "unchanged":
            axes, size_text = [*range(1, inputs[0].rank)], text
        else:
            where, size_text = text.split(": ")
            if size_text.startswith("the size of the vocabulary"):
                continue
            axes = [int(index) for index in re.findall(r"\d+", where)]
        for index in axes:
            same = (
                {x.shape[index] for x in inputs}
                if size_text == "unchanged"
                else {evaluate_equation(size_text)}
            )
            assert len(same) == 1
            for output in chosen:
                output[index] = same.copy().pop()
    return outputs


def assert_explains(
    layer: Layer, inputs: Sequence[Tensor], outputs: Sequence[Shape], parameters: int
) -> None:
    """Check that the printed arithmetic gives these output shapes and this number of parameters."""
    explanation = explained(layer, inputs)
    assert evaluate_equation(explanation.parameters) == parameters
    if any(None in shape[1:] for shape in [*outputs, *(x.shape for x in inputs)]):
        return  # formulas with unknown lengths are checked with numbers put in
    printed = evaluate_outputs(explanation.shape, inputs, len(outputs))
    for shape, sizes in zip(outputs, printed, strict=True):
        first = 0 if 0 in sizes else 1  # the batch axis is printed only if it is known
        assert sizes == dict(enumerate(shape[first:], first))

"""How the shape and the parameters of each layer follow from its arguments, as arithmetic with the numbers put in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from layercli.graph.adaptable import learns_output_size
from layercli.graph.shapes import ModelShapes, NodeShapes
from layercli.layers.base import InferredLayer
from layercli.layers.custom_layers import CustomLayer
from layercli.layers.families.applications import Application
from layercli.layers.formulas import (
    InputAxis,
    Number,
    format_formula,
    format_total,
    has_unknown_number,
    list_numbers,
)
from layercli.layers.shapes import Dim, Shape, ShapeError, Tensor, format_shape
from layercli.layers.tracing import TracedInt, formula_of, trace_arguments
from layercli.reports.catalogue import layer_summary
from layercli.reports.formatting import format_weights, join_words

if TYPE_CHECKING:
    from rich.console import Console

_EXAMPLE_LENGTH: Final = 720_720
"""The length of an unknown axis while its formula is traced: 1 to 16 divide it, so that most layers accept it."""
_WINDOW_ARGUMENTS: Final = frozenset({"strides", "pool_size", "frame_step", "frame_length"})
"""Arguments of a sliding window; ``padding`` selects its formula."""
_MAX_WEIGHTS: Final = 12
"""Most weights to name for one layer."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The arithmetic of one layer."""

    layer: str
    """One sentence on what the layer does."""
    shape: tuple[str, ...]
    """The sizes of the output's axes: ``axis 1: (8 - 3) / 1 + 1 = 6 with kernel_size 3 and strides 1``."""
    parameters: str
    """The number of parameters: ``64 x 32 + 32 = 2,080``."""
    weights: str
    """The weights with their shapes; empty if there are none."""

    def to_json(self) -> dict[str, str]:
        """Return the texts as ``inspect-shapes --explain --json`` writes them."""
        return {
            "layer": self.layer,
            "shape": "; ".join(self.shape),
            "parameters": self.parameters,
            "weights": self.weights,
        }


def explain_layer(row: NodeShapes) -> Explanation:
    """Return the arithmetic of a layer, which its own rules record while they compute its shapes once more."""
    layer = row.node.layer
    if isinstance(layer, CustomLayer):
        summary = "A custom layer: only its code knows how it computes its output."
    else:
        summary = layer_summary(type(layer))
    if isinstance(layer, Application) and row.weights is not None and row.inputs[0] is not None:
        return _explain_application(row, layer, row.inputs[0], summary)
    traced = _infer_traced(row, has_example_lengths=False)
    shown = format_weights(
        [(w.name, w.shape, w.trainable and layer.is_trainable) for w in (row.weights or ())[:_MAX_WEIGHTS]]
    )
    if len(row.weights or ()) > _MAX_WEIGHTS:
        shown += f" and {len(row.weights or ()) - _MAX_WEIGHTS} more"
    return Explanation(summary, tuple(_explain_outputs(row, traced)), _explain_parameters(row, traced), shown)


def _explain_application(row: NodeShapes, layer: Application, x: Tensor, summary: str) -> Explanation:
    """Return the sizes of the feature maps of a pretrained model, and its parameters by the types of its layers."""
    traced_layers = list(layer.trace_layers(x))
    maps = [
        x.shape[1:],
        *(each.inferred.outputs[0].shape[1:] for each in traced_layers if each.kind != "ZeroPadding2D"),
    ]
    channels: dict[Shape, Dim] = {}
    for shape in maps:
        if len(shape) == 3 and not any(size is not None and size == 1 for size in shape[:2]):
            channels[shape[:2]] = shape[2]  # those of the last map of this size
    if len(maps[-1]) == 1 or maps[-1][:2] not in channels:
        channels[()] = maps[-1][-1]
    texts = [
        "x".join("any" if size is None else str(size) for size in (*key, last))
        for key, last in channels.items()
    ]
    counts = Counter(each.kind for each in traced_layers)
    sizes: Counter[str] = Counter()
    for each in traced_layers:
        sizes[each.kind] += sum(weight.size for weight in each.inferred.weights)
    largest = [(kind, size) for kind, size in sizes.most_common() if size]
    parameters = " + ".join(f"{size:,} ({counts[kind]} {kind})" for kind, size in largest)
    total = f"{sum(sizes.values()):,}"
    if row.node.reuse_of is not None:
        parameters = f"0, since the weights are those of {row.node.reuse_of}"
    elif len(largest) > 1:
        parameters += f" = {total}"
    weights = f"{len(row.weights or ())} weights in {len(traced_layers)} layers"
    return Explanation(summary, (f"feature maps {' -> '.join(texts)}",), parameters, weights)


def _explain_parameters(row: NodeShapes, traced: InferredLayer | None) -> str:
    if row.node.reuse_of is not None and traced is not None and traced.weights:
        return f"0, since the weights are those of {row.node.reuse_of}"
    if row.weights is None:
        example = _infer_traced(row, has_example_lengths=True)
        if example is None or not example.weights:
            return "unknown before the layer is built"
        return format_total([[formula_of(size) for size in weight.shape] for weight in example.weights])
    total = f"{row.parameters:,}"
    if traced is not None and [w.shape for w in traced.weights] == [w.shape for w in row.weights]:
        formulas = [[formula_of(size) for size in weight.shape] for weight in traced.weights]
    else:  # the code of a custom layer created the weights
        formulas = [[Number(size, argument=weight.name) for size in weight.shape] for weight in row.weights]
    text = format_total(formulas)
    return total if text == total else f"{text} = {total}"


def _explain_outputs(row: NodeShapes, traced: InferredLayer | None) -> Iterator[str]:
    """Yield a text for each axis, or for several that are equal."""
    if not row.outputs:
        yield "unknown before the layer is built"
        return
    shapes = [tensor.shape for tensor in row.outputs]
    traced_shapes = shapes
    if traced is not None and [tensor.shape for tensor in traced.outputs] == shapes:
        traced_shapes = [tensor.shape for tensor in traced.outputs]
    if any(None in shape[1:] for shape in shapes):
        traced_shapes = _fill_unknown_axes(row, traced_shapes)
    outputs_by_text: dict[str, list[int]] = {}
    for number, shape in enumerate(traced_shapes):
        for text in _explain_axes(shape, row):
            outputs_by_text.setdefault(text, []).append(number)
    for text, numbers in outputs_by_text.items():
        yield text if len(shapes) == 1 else f"{_name_numbers('output', numbers)}, {text}"
    yield from _explain_symbols(traced_shapes)


def _explain_axes(shape: Shape, row: NodeShapes) -> list[str]:
    axes_by_text: dict[str, list[int]] = {}
    for index, size in enumerate(shape):
        text = _explain_size(size, index, row)
        if index or text not in ("unchanged", "unknown"):
            axes_by_text.setdefault(text, []).append(index)
    if list(axes_by_text) in ([], ["unchanged"]) and all(
        x is not None and len(x.shape) == len(shape) for x in row.inputs
    ):
        return ["unchanged"]
    return [f"{_name_numbers('axis', axes)}: {text}" for text, axes in axes_by_text.items()]


def _name_numbers(noun: Literal["axis", "output"], numbers: Sequence[int]) -> str:
    """Return ``axis 1`` or ``axes 1 and 2``."""
    plural = {"axis": "axes", "output": "outputs"}[noun]
    return f"{noun if len(numbers) == 1 else plural} {join_words([str(number) for number in numbers])}"


def _explain_size(size: Dim, index: int, row: NodeShapes) -> str:
    if size is None and index == len(row.outputs[0].shape) - 1 and learns_output_size(row.node.layer):
        return "the size of the vocabulary, which is learned from the training data"
    if size is None:
        return "unknown"
    formula = formula_of(size)
    if isinstance(formula, Number):
        return _explain_number(formula, index, row)
    text = format_formula(formula)
    if not has_unknown_number(formula):
        text += f" = {formula.value:,}"
    arguments: dict[str, list[str]] = {}
    for number in list_numbers(formula):
        values = arguments.setdefault(number.argument, []) if number.argument else []
        if f"{number.value:,}" not in values:
            values.append(f"{number.value:,}")
    padding = getattr(row.node.layer, "padding", None)
    if isinstance(padding, str) and not _WINDOW_ARGUMENTS.isdisjoint(arguments):
        arguments["padding"] = [padding]
    shown = join_words([f"{name} {join_words(values)}" for name, values in arguments.items()])
    return f"{text} with {shown}" if shown else text


def _explain_number(number: Number, index: int, row: NodeShapes) -> str:
    if number.axis is None:
        return f"{number.value:,} ({number.argument})" if number.argument else f"{number.value:,}"
    lengths = {x.shape[index : index + 1] for x in row.inputs if x is not None}
    if number.axis.index == index and len(lengths) == 1:
        return "unchanged"
    place = _name_axis(number.axis)
    return f"as {place}" if number.symbol else f"{number.value:,} ({place})"


def _name_axis(axis: InputAxis) -> str:
    return f"axis {axis.index} of {axis.source or 'the input'}"


def _explain_symbols(shapes: Sequence[Shape]) -> Iterator[str]:
    """Yield the meaning of each symbol in the formulas."""
    formulas = [formula_of(size) for shape in shapes for size in shape if size is not None]
    numbers = [
        number for formula in formulas if not isinstance(formula, Number) for number in list_numbers(formula)
    ]
    for symbol, axis in dict.fromkeys((number.symbol, number.axis) for number in numbers):
        if symbol and axis:
            yield f"{symbol} is {_name_axis(axis)}"


def _fill_unknown_axes(row: NodeShapes, shapes: Sequence[Shape]) -> list[Shape]:
    """Return the output shapes with formulas for unknown axes where they follow from unknown axes of the input."""
    traced = _infer_traced(row, has_example_lengths=True)
    if traced is None or [len(x.shape) for x in traced.outputs] != [len(shape) for shape in shapes]:
        return list(shapes)
    return [
        tuple(
            example
            if size is None and example is not None and has_unknown_number(formula_of(example))
            else size
            for size, example in zip(shape, x.shape, strict=True)
        )
        for shape, x in zip(shapes, traced.outputs, strict=True)
    ]


def _infer_traced(row: NodeShapes, *, has_example_lengths: bool) -> InferredLayer | None:
    """Return what the layer infers from traced sizes, or None if it does not accept the examples for unknown ones."""
    sources = (
        row.node.input_references if len(set(row.node.input_references)) > 1 else ("",) * len(row.inputs)
    )
    if len(sources) != len(row.inputs):  # a layer with several outputs feeds this one
        sources = tuple(str(number) for number in range(len(row.inputs)))
    unknown_axes = dict.fromkeys(
        InputAxis(source, index)
        for source, x in zip(sources, row.inputs, strict=True)
        for index, size in enumerate(x.shape if x is not None else ())
        if index and size is None
    )
    symbols = {axis: f"n{number}" for number, axis in enumerate(unknown_axes, 1)}
    if len(symbols) == 1:
        symbols = dict.fromkeys(symbols, "n")
    inputs = []
    for source, x in zip(sources, row.inputs, strict=True):
        if x is None:
            return None
        sizes: list[Dim] = []
        for index, size in enumerate(x.shape):
            axis = InputAxis(source, index)
            if size is not None:
                sizes.append(TracedInt(Number(size, axis=axis)))
            elif has_example_lengths and index:
                sizes.append(TracedInt(Number(_EXAMPLE_LENGTH, axis=axis, symbol=symbols[axis])))
            else:
                sizes.append(None)
        inputs.append(Tensor(tuple(sizes), x.dtype))
    try:
        return trace_arguments(row.node.layer).infer_named(tuple(inputs), row.node.input_keys)
    except ShapeError:
        return None


def print_explanations(console: Console, shapes: ModelShapes) -> None:
    """Print the arithmetic of each layer."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    for row in shapes.rows:
        explanation = explain_layer(row)
        console.print()
        console.print(Text(row.node.name, style="bold").append(f"  {row.node.type_name}", style="dim"))
        console.print(Padding(explanation.layer, (0, 0, 0, 2), expand=False))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True, style="dim")
        grid.add_column(overflow="fold")
        grid.add_row("  shape", "\n".join(_list_shape_lines(row, explanation)))
        parameters = [explanation.parameters, *([explanation.weights] if explanation.weights else [])]
        grid.add_row("  parameters", "\n".join(parameters))
        console.print(grid)


def _list_shape_lines(row: NodeShapes, explanation: Explanation) -> list[str]:
    before = [format_shape(x.shape) if x is not None else "?" for x in row.inputs]
    after = [format_shape(x.shape) for x in row.outputs] or ["?"]
    if explanation.shape == ("unchanged",):
        return [f"{after[0]}, unchanged"]
    verb = "becomes" if len(before) == 1 else "become"
    return [f"{join_words(before)} {verb} {join_words(after)}", *explanation.shape]

"""The catalogue of layers as JSON, and as reference pages in the terminal."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from layercli.layers.base import Layer, StandardLayer
from layercli.layers.feature_space import FeatureSpace
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Dim, ShapeError, Tensor, format_shape
from layercli.reports.console import make_table
from layercli.reports.formatting import format_count, format_weights
from layercli.schema.flow_style import format_value
from layercli.schema.strict_model import describe_type, to_plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

DescribedClass: TypeAlias = type[Layer] | type[FeatureSpace]
"""A class that this catalogue describes."""
_SAMPLE_SHAPES: tuple[tuple[Dim, ...], ...] = (
    (10, 16),
    (28, 28, 3),
    (96, 96, 3),
    (16,),
    (10, 28, 28, 3),
    (10, 16, 16, 16, 3),
    (784,),
    (16000, 1),
    (16000,),
    (),
)
"""Sample inputs without the batch axis; every layer accepts at least one of them."""
_AXES_PATTERN = re.compile(r"\(batch([^()]*)\)")
"""The axes of a layer's input, as its input description names them."""


def catalogue_json() -> dict[str, Any]:
    """Return the document of ``layers --json``: every layer by family with its summary, and unavailable layers."""
    families: dict[str, list[dict[str, Any]]] = {}
    for name in (*LAYERS.names, FeatureSpace.type_name()):
        cls = _load_class(name)
        entry = {"type": name, "aliases": _layer_aliases(name), "summary": layer_summary(cls)}
        families.setdefault(cls.family, []).append(entry)
    return {
        "families": [{"family": family, "layers": layers} for family, layers in families.items()],
        "refused": [
            {"type": name, "reason": reason, "hint": hint}
            for name, (reason, hint) in LAYERS.unavailable.items()
        ],
    }


def _load_class(name: str) -> DescribedClass:
    return FeatureSpace if name == FeatureSpace.type_name() else LAYERS.load(name)


def layer_json(cls: DescribedClass) -> dict[str, Any]:
    """Return the document of ``layers TYPE --json``: everything about one layer."""
    summary, *shapes = _split_docstring(cls)
    return {
        "type": cls.type_name(),
        "aliases": _layer_aliases(cls.type_name()),
        "family": cls.family,
        "summary": summary,
        "takes": cls.input_description,
        "shapes": " ".join(shapes) or None,
        "arguments": _argument_rows(cls),
        "example": parse_layer_example(cls.type_name()),
        "example_text": _example_text(cls),
        "on": None
        if cls is FeatureSpace
        else _infer_sample(LAYERS.parse(parse_layer_example(cls.type_name()))),
    }


def parse_layer_example(name: str) -> dict[str, Any]:
    """Return the example in a layer's docstring as the value in a config."""
    example: dict[str, Any] = yaml.safe_load(_example_text(_load_class(name)))
    return example


def _example_text(cls: DescribedClass) -> str:
    return inspect.cleandoc(cls.__doc__ or "").partition("Example:")[2].strip()


def layer_summary(cls: DescribedClass) -> str:
    """Return the first sentence of a layer's docstring."""
    return _split_docstring(cls)[0]


def _split_docstring(cls: DescribedClass) -> list[str]:
    """Return the paragraphs of the docstring before its example."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("Example:")[0].replace("``", "`")
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]


def _layer_aliases(name: str) -> list[str]:
    return [alias for alias, meant in LAYERS.aliases.items() if meant == name]


def _argument_rows(cls: DescribedClass) -> list[dict[str, Any]]:
    """Return required arguments first, then the example's, the layer's own, and those that most layers share."""
    shared_fields = StandardLayer.model_fields
    fields = cls.model_fields
    shown = [*parse_layer_example(cls.type_name()), *fields]
    ordered = sorted(
        fields, key=lambda name: (not fields[name].is_required(), name in shared_fields, shown.index(name))
    )
    return [
        {
            "name": name,
            "takes": describe_type(fields[name]),
            "required": fields[name].is_required(),
            "default": None if fields[name].is_required() else to_plain(fields[name].default),
            "description": fields[name].description,
        }
        for name in ordered
    ]


def _infer_sample(layer: Layer) -> dict[str, Any] | None:
    """Return the output of the example for the first sample input that it accepts."""
    for inputs in iterate_sample_inputs(layer):
        try:
            inferred = layer.infer(inputs)
        except ShapeError:
            continue
        return {
            "inputs": [_tensor_json(x) for x in inputs],
            "outputs": [_tensor_json(x) for x in inferred.outputs],
            "weights": [
                {"name": w.name, "shape": list(w.shape), "trainable": w.trainable and layer.is_trainable}
                for w in inferred.weights
            ],
            "parameters": sum(weight.size for weight in inferred.weights),
            "flops": None if inferred.multiply_adds is None else 2 * inferred.multiply_adds,
        }
    return None


def iterate_sample_inputs(layer: Layer) -> Iterator[tuple[Tensor, ...]]:
    """Yield inputs to try; first those with as many axes as the layer's input description names."""
    layout = _AXES_PATTERN.search(layer.input_description)
    axes = [axis for axis in layout[1].split(",") if axis.strip(" .")] if layout else []
    shapes = sorted(_SAMPLE_SHAPES, key=lambda shape: layout is not None and len(shape) != max(1, len(axes)))
    is_text, is_integer = (
        re.search("text|words", layer.input_description),
        re.search("indices|integers", layer.input_description),
    )
    dtype = "string" if is_text else "int64" if is_integer else "float32"
    for number in (1, 2):
        for shape in shapes:
            yield (Tensor((None, *shape), dtype),) * number


def _tensor_json(x: Tensor) -> dict[str, Any]:
    return {"shape": list(x.shape), "dtype": x.dtype}


def print_catalogue(console: Console, document: Mapping[str, Any]) -> None:
    """Print the families with one line per layer, then the unavailable layers."""
    from rich.text import Text

    for family in document["families"]:
        table = _make_page_table("layer", "", has_header=False)
        for layer in family["layers"]:
            table.add_row(layer["type"], layer["summary"])
        console.print(Text(family["family"].capitalize(), style="bold"))
        console.print(table)
    table = _make_page_table("layer", "", has_header=False)
    for refused in document["refused"]:
        table.add_row(refused["type"], f"{refused['reason'].capitalize()}. {refused['hint']}")
    console.print(Text("Not available", style="bold"))
    console.print(table)
    console.print("Show one layer: layercli layers conv2d")


def print_layer(console: Console, page: Mapping[str, Any]) -> None:
    """Print a layer's page: its summary and arguments, and its shapes and weights for an example."""
    from rich.text import Text

    console.print(Text(page["type"], style="bold").append(f"  {page['family']}", style="dim"))
    console.print(page["summary"])
    if page["aliases"]:
        console.print(f"Also called {', '.join(page['aliases'])}.")
    console.print()
    console.print(page["shapes"] or f"Input: {page['takes']}.")
    console.print()
    is_wide = console.width >= _MIN_WIDE_WIDTH
    table = _make_page_table("argument", "default", *(["takes", ""] if is_wide else [""]))
    for argument in page["arguments"]:
        default = (
            Text("required", style="bold")
            if argument["required"]
            else Text(format_value(argument["default"]))
        )
        takes, meaning = argument["takes"], argument["description"]
        cells = (
            [takes, meaning]
            if is_wide
            else [Text(f"{meaning} ").append(f"{takes[0].upper()}{takes[1:]}.", style="dim")]
        )
        table.add_row(argument["name"], default, *cells)
    console.print(table)
    console.print(Text("Example", style="bold"))
    console.print(f"  - {page['example_text']}")
    if page["on"] is not None:
        console.print(_inference_text(page["on"]))


def _inference_text(inferred: Mapping[str, Any]) -> str:
    """``(None, 16) becomes (None, 64), with 1,088 parameters: kernel (16, 64), bias (64,).``"""
    before = " and ".join(_tensor_text(x) for x in inferred["inputs"])
    after = " and ".join(_tensor_text(x) for x in inferred["outputs"])
    text = f"{before} become{'s' * (len(inferred['inputs']) == 1)} {after}"
    if not inferred["weights"]:
        return f"{text}; the layer has no weights."
    weights = format_weights([(w["name"], w["shape"], w["trainable"]) for w in inferred["weights"]])
    return f"{text}, with {format_count(inferred['parameters'])} parameters: {weights}."


def _tensor_text(x: Mapping[str, Any]) -> str:
    return format_shape(x["shape"]) + ("" if x["dtype"] == "float32" else f" of {x['dtype']}")


def _make_page_table(*columns: str, has_header: bool = True) -> Table:
    """Return a table whose last column takes the remaining width."""
    table = make_table(has_header=has_header)
    for name in columns:
        table.add_column(name, overflow="fold", max_width=_MAX_COLUMN_WIDTHS.get(name))
    return table


_MIN_WIDE_WIDTH = 120
"""Minimum terminal width for showing accepted values and meanings in separate columns."""
_MAX_COLUMN_WIDTHS = {"layer": 30, "argument": 27, "default": 16, "takes": 44}
"""Greatest width of some columns of a table."""

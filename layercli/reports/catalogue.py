"""The catalogue of layers: as JSON, and as pages that a person looks a layer up in."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from layercli.layers.base import Layer, StandardLayer
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Dim, ShapeError, Tensor, format_shape
from layercli.reports.formatting import format_count
from layercli.schema.strict_model import describe_type, format_value, to_plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SAMPLE_SHAPES: tuple[tuple[Dim, ...], ...] = (
    (10, 16),
    (28, 28, 3),
    (16,),
    (10, 28, 28, 3),
    (10, 16, 16, 16, 3),
    (784,),
    (16000, 1),
    (),
)
"""Inputs, without the batch axis, of which some layer takes one each."""
_AXES_PATTERN = re.compile(r"\(batch([^()]*)\)")
"""The axes that a layer takes, as its message names them."""


def catalogue_json() -> dict[str, Any]:
    """Every layer by family with its one line, and those that are refused; what ``layers --json`` prints."""
    families: dict[str, list[dict[str, Any]]] = {}
    for name in LAYERS.names:
        cls = LAYERS.load(name)
        entry = {"type": name, "aliases": _layer_aliases(name), "summary": _docstring_paragraphs(cls)[0]}
        families.setdefault(cls.family, []).append(entry)
    return {
        "families": [{"family": family, "layers": layers} for family, layers in families.items()],
        "refused": [
            {"type": name, "reason": reason, "hint": hint}
            for name, (reason, hint) in LAYERS.unavailable.items()
        ],
    }


def layer_json(cls: type[Layer]) -> dict[str, Any]:
    """All there is to know of one layer; what ``layers TYPE --json`` prints."""
    summary, *shapes = _docstring_paragraphs(cls)
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
        "on": _infer_sample(LAYERS.parse(parse_layer_example(cls.type_name()))),
    }


def parse_layer_example(name: str) -> dict[str, Any]:
    """The example in a layer's docstring, as the value that a config would hold."""
    example: dict[str, Any] = yaml.safe_load(_example_text(LAYERS.load(name)))
    return example


def _example_text(cls: type[Layer]) -> str:
    return inspect.cleandoc(cls.__doc__ or "").partition("Example:")[2].strip()


def _docstring_paragraphs(cls: type[Layer]) -> list[str]:
    """What the docstring says before its example."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("Example:")[0].replace("``", "`")
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]


def _layer_aliases(name: str) -> list[str]:
    return [alias for alias, meant in LAYERS.aliases.items() if meant == name]


def _argument_rows(cls: type[Layer]) -> list[dict[str, Any]]:
    """Required ones first, then the example's, the layer's own, and those that nearly all layers share."""
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
    """What the example makes of the first sample input that it takes."""
    for inputs in _sample_inputs(layer):
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


def _sample_inputs(layer: Layer) -> Iterator[tuple[Tensor, ...]]:
    """Inputs to try, those with as many axes as the layer says it takes first."""
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
    """The families one under the other, a line a layer; those refused last."""
    from rich.text import Text

    for family in document["families"]:
        table = _make_table("layer", "", has_header=False)
        for layer in family["layers"]:
            table.add_row(layer["type"], layer["summary"])
        console.print(Text(family["family"].capitalize(), style="bold"))
        console.print(table)
    table = _make_table("layer", "", has_header=False)
    for refused in document["refused"]:
        table.add_row(refused["type"], f"{refused['reason'].capitalize()}. {refused['hint']}")
    console.print(Text("Not available", style="bold"))
    console.print(table)
    console.print("All about one of them: layercli layers conv2d")


def print_layer(console: Console, page: Mapping[str, Any]) -> None:
    """A layer's page: what it does, its arguments, its shapes and weights on an example."""
    from rich.text import Text

    console.print(Text(page["type"], style="bold").append(f"  {page['family']}", style="dim"))
    console.print(page["summary"])
    if page["aliases"]:
        console.print(f"Also called {', '.join(page['aliases'])}.")
    console.print()
    console.print(page["shapes"] or f"Input: {page['takes']}.")
    console.print()
    is_wide = console.width >= _MIN_WIDE_WIDTH
    table = _make_table("argument", "default", *(["takes", ""] if is_wide else [""]))
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
    weights = ", ".join(
        f"{weight['name']} {format_shape(weight['shape'])}"
        + ("" if weight["trainable"] else " (not trained)")
        for weight in inferred["weights"]
    )
    return f"{text}, with {format_count(inferred['parameters'])} parameters: {weights}."


def _tensor_text(x: Mapping[str, Any]) -> str:
    return format_shape(x["shape"]) + ("" if x["dtype"] == "float32" else f" of {x['dtype']}")


def _make_table(*columns: str, has_header: bool = True) -> Table:
    """A table whose last column takes the room that is left."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD if has_header else None, show_header=has_header, pad_edge=False, padding=(0, 1)
    )
    for name in columns:
        table.add_column(name, overflow="fold", max_width=_MAX_COLUMN_WIDTHS.get(name))
    return table


_MIN_WIDE_WIDTH = 120
"""Columns of a screen that shows what an argument takes beside what it means."""
_MAX_COLUMN_WIDTHS = {"layer": 30, "argument": 27, "default": 16, "takes": 44}
"""The most columns of the screen for some columns of a table."""

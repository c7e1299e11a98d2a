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
from layercli.reports.formatting import count
from layercli.schema.strict_model import describe_type, format_value, to_plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SAMPLES: tuple[tuple[Dim, ...], ...] = (
    (10, 16), (28, 28, 3), (16,), (10, 28, 28, 3), (10, 16, 16, 16, 3), (784,), (16000, 1), (),
)  # fmt: skip
"""Inputs, without the batch axis, of which some layer takes one each."""
_LAYOUT = re.compile(r"\(batch([^()]*)\)")
"""The axes that a layer takes, as its message names them."""


def catalogue_json() -> dict[str, Any]:
    """Every layer by family with its one line, and those that are refused; what ``layers --json`` prints."""
    families: dict[str, list[dict[str, Any]]] = {}
    for name in LAYERS.names:
        cls = LAYERS.load(name)
        entry = {"type": name, "aliases": _aliases(name), "summary": _paragraphs(cls)[0]}
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
    summary, *shapes = _paragraphs(cls)
    return {
        "type": cls.type_name(),
        "aliases": _aliases(cls.type_name()),
        "family": cls.family,
        "summary": summary,
        "takes": cls.input_description,
        "shapes": " ".join(shapes) or None,
        "arguments": _arguments(cls),
        "example": example_of(cls.type_name()),
        "example_text": _example_text(cls),
        "on": _on_sample(LAYERS.parse(example_of(cls.type_name()))),
    }


def example_of(name: str) -> dict[str, Any]:
    """The example in a layer's docstring, as the value that a config would hold."""
    example: dict[str, Any] = yaml.safe_load(_example_text(LAYERS.load(name)))
    return example


def _example_text(cls: type[Layer]) -> str:
    return inspect.cleandoc(cls.__doc__ or "").partition("Example:")[2].strip()


def _paragraphs(cls: type[Layer]) -> list[str]:
    """What the docstring says before its example."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("Example:")[0].replace("``", "`")
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]


def _aliases(name: str) -> list[str]:
    return [alias for alias, meant in LAYERS.aliases.items() if meant == name]


def _arguments(cls: type[Layer]) -> list[dict[str, Any]]:
    """Required ones first, then the example's, the layer's own, and those that nearly all layers share."""
    shared = StandardLayer.model_fields
    fields = cls.model_fields
    shown = [*example_of(cls.type_name()), *fields]
    ordered = sorted(
        fields, key=lambda name: (not fields[name].is_required(), name in shared, shown.index(name))
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


def _on_sample(layer: Layer) -> dict[str, Any] | None:
    """What the example makes of the first sample input that it takes."""
    for inputs in _samples(layer):
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


def _samples(layer: Layer) -> Iterator[tuple[Tensor, ...]]:
    """Inputs to try, those with as many axes as the layer says it takes first."""
    layout = _LAYOUT.search(layer.input_description)
    axes = [axis for axis in layout[1].split(",") if axis.strip(" .")] if layout else []
    shapes = sorted(_SAMPLES, key=lambda shape: layout is not None and len(shape) != max(1, len(axes)))
    text, whole = (
        re.search("text|words", layer.input_description),
        re.search("indices|integers", layer.input_description),
    )
    dtype = "string" if text else "int64" if whole else "float32"
    for number in (1, 2):
        for shape in shapes:
            yield (Tensor((None, *shape), dtype),) * number


def _tensor_json(x: Tensor) -> dict[str, Any]:
    return {"shape": list(x.shape), "dtype": x.dtype}


def print_catalogue(console: Console, document: Mapping[str, Any]) -> None:
    """The families one under the other, a line a layer; those refused last."""
    from rich.text import Text

    for family in document["families"]:
        table = _table("layer", "", headed=False)
        for layer in family["layers"]:
            table.add_row(layer["type"], layer["summary"])
        console.print(Text(family["family"].capitalize(), style="bold"))
        console.print(table)
    table = _table("layer", "", headed=False)
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
    wide = console.width >= _WIDE
    table = _table("argument", "default", *(["takes", ""] if wide else [""]))
    for argument in page["arguments"]:
        default = (
            Text("required", style="bold")
            if argument["required"]
            else Text(format_value(argument["default"]))
        )
        takes, meaning = argument["takes"], argument["description"]
        cells = (
            [takes, meaning]
            if wide
            else [Text(f"{meaning} ").append(f"{takes[0].upper()}{takes[1:]}.", style="dim")]
        )
        table.add_row(argument["name"], default, *cells)
    console.print(table)
    console.print(Text("Example", style="bold"))
    console.print(f"  - {page['example_text']}")
    if page["on"] is not None:
        console.print(_on_text(page["on"]))


def _on_text(found: Mapping[str, Any]) -> str:
    """``(None, 16) becomes (None, 64), with 1,088 parameters: kernel (16, 64), bias (64,).``"""
    before = " and ".join(_tensor(x) for x in found["inputs"])
    after = " and ".join(_tensor(x) for x in found["outputs"])
    text = f"{before} become{'s' * (len(found['inputs']) == 1)} {after}"
    if not found["weights"]:
        return f"{text}; the layer has no weights."
    weights = ", ".join(
        f"{weight['name']} {format_shape(weight['shape'])}"
        + ("" if weight["trainable"] else " (not trained)")
        for weight in found["weights"]
    )
    return f"{text}, with {count(found['parameters'])} parameters: {weights}."


def _tensor(x: Mapping[str, Any]) -> str:
    return format_shape(x["shape"]) + ("" if x["dtype"] == "float32" else f" of {x['dtype']}")


def _table(*columns: str, headed: bool = True) -> Table:
    """A table whose last column takes the room that is left."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD if headed else None, show_header=headed, pad_edge=False, padding=(0, 1))
    for name in columns:
        table.add_column(name, overflow="fold", max_width=_WIDTHS.get(name))
    return table


_WIDE = 120
"""Columns of a screen that shows what an argument takes beside what it means."""
_WIDTHS = {"layer": 30, "argument": 27, "default": 16, "takes": 44}
"""The most columns of the screen for some columns of a table."""

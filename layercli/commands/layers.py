"""``layercli layers``: the catalogue of layers, and all about one of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic_core import PydanticCustomError

from layercli.commands.options import JsonOption
from layercli.errors import LayercliError, Problem
from layercli.layers.registry import LAYERS
from layercli.reports.catalogue import catalogue_json, layer_json, print_catalogue, print_layer
from layercli.reports.console import make_console, print_json


def command(
    type_: Annotated[
        str | None,
        typer.Argument(metavar="[TYPE]", help="A layer to look up, in any spelling; none: all of them."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Look layers up: all of them by family, or one with its arguments, shapes, weights and an example."""
    document = describe_layer(type_) if type_ is not None else catalogue_json()
    if json:
        print_json({"ok": True, **document, "problems": []})
    elif type_ is not None:
        print_layer(make_console(), document)
    else:
        print_catalogue(make_console(), document)


def describe_layer(name: str) -> dict[str, Any]:
    """All there is to know of a layer, by any spelling of its type.

    Raises:
        LayercliError: there is no such layer, or it is refused.
    """
    try:
        cls = LAYERS.look_up(name.removeprefix("keras.layers."))
    except PydanticCustomError as error:
        context = error.context or {}
        raise LayercliError(
            Problem(code=error.type, message=context["message"], hint=context["hint"])
        ) from None
    return layer_json(cls)

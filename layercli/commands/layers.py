"""``layercli layers``: list the layers, or describe one of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic_core import PydanticCustomError

from layercli.command_line.options import JsonOption
from layercli.errors import LayercliError, Problem
from layercli.layers.feature_space import FeatureSpace
from layercli.layers.registry import LAYERS
from layercli.reports.catalogue import catalogue_json, layer_json, print_catalogue, print_layer
from layercli.reports.console import make_console, print_json
from layercli.source.nodes import normalize_type_name


def command(
    type_: Annotated[
        str | None,
        typer.Argument(
            metavar="TYPE", help="The layer to describe, in any spelling. Default: list all layers."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the layers by family, or describe one: its arguments, shapes, weights and an example."""
    document = describe_layer(type_) if type_ is not None else catalogue_json()
    if json:
        print_json({"ok": True, **document, "problems": []})
    elif type_ is not None:
        print_layer(make_console(), document)
    else:
        print_catalogue(make_console(), document)


def describe_layer(name: str) -> dict[str, Any]:
    """Return the description of a layer, by any spelling of its type.

    Raises:
        LayercliError: The layer does not exist or is not supported.
    """
    if normalize_type_name(name.rpartition(".")[2]) == normalize_type_name(FeatureSpace.type_name()):
        return layer_json(FeatureSpace)
    try:
        cls = LAYERS.look_up(name.removeprefix("keras.layers."))
    except PydanticCustomError as error:
        context = error.context or {}
        problem = Problem(code=error.type, message=context["message"], hint=context["hint"])
        raise LayercliError(problem) from None
    return layer_json(cls)

"""Random arguments of layers and other components, drawn from the JSON Schema of configs: legal, or nearly so."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import Any

from layercli.json_schema import config_schema
from tests.security.mutate import VALUES

WRONG = (*VALUES, -3, 7, 2**20, "relu", "same", "3", True, False, [0], [2, 2], [2, 2, 2, 2], "${v}", 1e-9)
"""Values that some argument does not take."""


@cache
def definitions() -> Mapping[str, Any]:
    """Return the definitions of the schema, such as ``layer.Dense``."""
    found: Mapping[str, Any] = config_schema()["$defs"]
    return found


def list_types(kind: str) -> list[str]:
    """Return the types of a kind of component, such as the names of all layers."""
    return [name.split(".", 1)[1] for name in definitions() if name.startswith(f"{kind}.")]


def draw_component(kind: str, name: str, rng: random.Random, *, wrong: float = 0.0) -> dict[str, Any]:
    """Return a component with its required arguments and some others; ``wrong``: the share of odd values."""
    schema = definitions()[f"{kind}.{name}"]
    entry: dict[str, Any] = {"type": name}
    for key, value in schema["properties"].items():
        if key in ("type", "name", "inputs", "repeat", "split"):
            continue
        if "default" in value and rng.random() > 0.2:
            continue
        entry[key] = rng.choice(WRONG) if rng.random() < wrong else draw_value(value, rng)
    if rng.random() < wrong / 2:
        entry[rng.choice(["unit", "Units", "x", ""])] = 3
    return entry


def draw_value(schema: Mapping[str, Any], rng: random.Random, depth: int = 0) -> Any:
    """Return a small value of the schema of one argument."""
    if schema.get("examples") and rng.random() < 0.5:
        return rng.choice(schema["examples"])
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option != {"$ref": "#/$defs/reference"}]
        return draw_value(rng.choice(options), rng, depth + 1)
    if "$ref" in schema:
        return _draw_reference(schema["$ref"].rsplit("/", 1)[-1], rng, depth)
    kinds = schema.get("type", "string")
    kind = rng.choice(kinds) if isinstance(kinds, list) else kinds
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    match kind:
        case "integer":
            return rng.randint(max(lowest, 1), max(lowest, 1) + 4)
        case "number":
            return rng.choice((0.1, 0.5, 0.9, 1, 2, lowest))
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
        case "array":
            item = schema.get("items") or {"type": "integer"}
            return [draw_value(item, rng, depth + 1) for _ in range(rng.randint(1, 3))] if depth < 6 else []
        case "object":
            return {}
    return rng.choice(("a", "relu", "same", "val_loss", "x"))


def _draw_reference(name: str, rng: random.Random, depth: int) -> Any:
    if name == "activation":
        return rng.choice(("relu", "softmax", "tanh", "linear", "gelu", "Sigmoid"))
    names = list_types(name)
    if not names:
        return draw_value(definitions().get(name, {"type": "integer"}), rng, depth + 1) if depth < 6 else None
    chosen = rng.choice(names)
    return draw_component(name, chosen, rng) if depth < 4 else chosen

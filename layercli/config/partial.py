"""The valid parts of an invalid config, for more checks."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from pydantic import ValidationError

from layercli.config.config import Config
from layercli.config.data.section import DATA_TYPES
from layercli.config.layer_entries import LayerEntry, Uncertainty, parse_input_names, parse_layer_entry
from layercli.config.model import (
    MAX_LAYERS,
    ModelSection,
    parse_input_spec,
    parse_input_specs,
    parse_output_names,
)
from layercli.config.names import parse_layer_name
from layercli.config.training.section import TrainSection
from layercli.layers.base import Layer
from layercli.layers.custom_layers import make_unknown_layer
from layercli.layers.registry import LAYERS
from layercli.schema.other_names import find_renamed_key
from layercli.schema.suggestions import find_closest

T = TypeVar("T")


_MAX_REPAIRED_LAYERS = 200
"""Maximum number of malformed layers to repair, because repairs take time."""
_MAX_REPAIRED_KEYS = 100
"""Maximum number of keys of a malformed layer that is repaired."""


def build_partial_config(value: Any, malformed: Collection[Any]) -> Config | None:
    """Return the config without its malformed parts, or None if the valid parts are not enough for a config.

    Args:
        value: The config as plain data.
        malformed: The indices of malformed layers; each becomes a repaired layer or one of unknown shape.
    """
    if not isinstance(value, dict) or not isinstance(value.get("model"), dict):
        return None
    model = value["model"]
    layers = model.get("layers")
    if not isinstance(layers, list) or not 0 < len(layers) <= MAX_LAYERS:
        return None
    data = _parse_or_none(DATA_TYPES.parse, value.get("data"))
    input_spec = _parse_or_none(parse_input_spec, model.get("input"))
    input_specs = _parse_or_none(parse_input_specs, model.get("inputs"))
    if input_spec is None and input_specs is None and ("input" in model or "inputs" in model or data is None):
        return None  # the input is invalid, or both input and data are missing
    repaired_indices = set(sorted(malformed)[:_MAX_REPAIRED_LAYERS])
    return Config.model_construct(
        data=data,
        model=ModelSection.model_construct(
            input=input_spec,
            inputs=input_specs,
            outputs=_parse_or_none(parse_output_names, model.get("outputs")),
            dtype=None,
            weights=None,
            freeze=[],
            lora_rank={},
            layers=[
                parse_layer_entry(item)
                if number not in malformed
                else _make_placeholder(item, should_repair=number in repaired_indices)
                for number, item in enumerate(layers)
            ],
        ),
        train=_parse_or_none(TrainSection.model_validate, value.get("train")),
    )


def _parse_or_none(parse: Callable[[Any], T], value: Any) -> T | None:
    try:
        return None if value is None else parse(value)
    except ValueError:  # a Pydantic error, which is already reported
        return None


def _make_placeholder(item: Any, *, should_repair: bool) -> LayerEntry:
    """Return a layer for a malformed entry: the same type with its valid arguments, or one of unknown shape."""
    name = item.get("name") if isinstance(item, dict) else None
    value = dict(item) if isinstance(item, dict) else {"type": item}
    layer, uncertainty = _repair_layer(value) if should_repair else (None, Uncertainty.RANK)
    sources = _parse_or_none(parse_input_names, value.get("inputs"))
    return LayerEntry(
        layer or make_unknown_layer(), _parse_or_none(parse_layer_name, name), uncertainty, sources
    )


def _repair_layer(value: dict[str, Any]) -> tuple[Layer | None, Uncertainty]:
    """Return the layer with corrected names of arguments and without invalid ones; required ones get their example."""
    class_name = LAYERS.find(value["type"]) if isinstance(value.get("type"), str) else None
    if class_name is None or len(value) > _MAX_REPAIRED_KEYS:
        return None, Uncertainty.RANK
    cls = LAYERS.load(class_name)
    fields = cls.model_fields
    raw_arguments = {key: item for key, item in value.items() if key not in ("type", "name", "inputs")}
    arguments = {
        key if key in fields else find_renamed_key(key, fields) or find_closest(key, fields) or key: item
        for key, item in raw_arguments.items()
    }
    malformed = {key for key in arguments if key not in fields}
    try:
        cls.model_validate({key: item for key, item in arguments.items() if key in fields})
    except ValidationError as error:
        malformed |= {str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"]}
    valid_arguments = {key: item for key, item in arguments.items() if key not in malformed}
    example_arguments = {
        key: field.examples[0] for key, field in fields.items() if field.is_required() and field.examples
    }
    # Required arguments are sizes; optional ones, such as return_sequences, can change the rank.
    return _parse_or_none(
        cls.model_validate, example_arguments | valid_arguments
    ), Uncertainty.RANK if malformed - example_arguments.keys() else Uncertainty.SIZES

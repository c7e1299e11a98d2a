"""What can still be checked of a config that is wrong somewhere: its sound parts."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from pydantic import ValidationError

from layercli.config.config import Config
from layercli.config.custom_layers import unknown_layer
from layercli.config.data.section import DATA
from layercli.config.layer_entries import Doubt, LayerEntry, parse_entry, parse_sources
from layercli.config.model import MAX_LAYERS, ModelSection, parse_input, parse_inputs, parse_outputs
from layercli.config.names import layer_name
from layercli.config.training.section import TrainSection
from layercli.layers.base import Layer
from layercli.layers.registry import LAYERS
from layercli.schema.suggestions import closest

T = TypeVar("T")


_MOST_MENDED = 200
"""Malformed layers of which one by one is told what they may have been; nobody mends more at once."""


def salvage(value: Any, malformed: Collection[Any]) -> Config | None:
    """The config without its malformed parts; a malformed layer becomes one of unknown shape. None: nothing is left.

    ``malformed`` are the indices of such layers.
    """
    if not isinstance(value, dict) or not isinstance(value.get("model"), dict):
        return None
    model = value["model"]
    layers = model.get("layers")
    if not isinstance(layers, list) or not 0 < len(layers) <= MAX_LAYERS:
        return None
    data = _parsed(DATA.parse, value.get("data"))
    declared = _parsed(parse_input, model.get("input"))
    several = _parsed(parse_inputs, model.get("inputs"))
    if declared is None and several is None and ("input" in model or "inputs" in model or data is None):
        return None  # the input is what is wrong, or missing with the data that would tell it
    mended = set(sorted(malformed)[:_MOST_MENDED])
    return Config.model_construct(
        data=data,
        model=ModelSection.model_construct(
            input=declared,
            inputs=several,
            outputs=_parsed(parse_outputs, model.get("outputs")),
            dtype=None,
            weights=None,
            freeze=[],
            layers=[
                parse_entry(item) if number not in malformed else _stand_in(item, mended=number in mended)
                for number, item in enumerate(layers)
            ],
        ),
        train=_parsed(TrainSection.model_validate, value.get("train")),
    )


def _parsed(parse: Callable[[Any], T], value: Any) -> T | None:
    try:
        return None if value is None else parse(value)
    except ValueError:  # Pydantic's errors are ValueErrors; they have been reported already
        return None


def _stand_in(item: Any, *, mended: bool) -> LayerEntry:
    """A layer in place of a malformed one: of the same type with what is sound of its arguments, else of unknown shape."""
    name = item.get("name") if isinstance(item, dict) else None
    value = dict(item) if isinstance(item, dict) else {"type": item}
    layer, doubt = _mended(value) if mended else (None, Doubt.RANK)
    sources = _parsed(parse_sources, value.get("inputs"))
    return LayerEntry(layer or unknown_layer(), _parsed(layer_name, name), doubt, sources)


def _mended(value: dict[str, Any]) -> tuple[Layer | None, Doubt]:
    """The layer with misspelt arguments corrected and malformed ones left out; a required one takes its example."""
    class_name = LAYERS.find(value["type"]) if isinstance(value.get("type"), str) else None
    if class_name is None:
        return None, Doubt.RANK
    cls = LAYERS.load(class_name)
    fields = cls.model_fields
    given = {key: item for key, item in value.items() if key not in ("type", "name", "inputs")}
    arguments = {key if key in fields else closest(key, fields) or key: item for key, item in given.items()}
    malformed = {key for key in arguments if key not in fields}
    try:
        cls.model_validate({key: item for key, item in arguments.items() if key in fields})
    except ValidationError as error:
        malformed |= {str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"]}
    sound = {key: item for key, item in arguments.items() if key not in malformed}
    required = {
        key: field.examples[0] for key, field in fields.items() if field.is_required() and field.examples
    }
    # What must be given is a size; what may be left out, such as return_sequences, can change the number of axes.
    return _parsed(
        cls.model_validate, required | sound
    ), Doubt.RANK if malformed - required.keys() else Doubt.SIZES

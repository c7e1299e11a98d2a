"""What can still be checked of a config that is wrong somewhere: its sound parts."""

from collections.abc import Callable
from typing import Any, TypeVar

from layercli.config.config import Config
from layercli.config.custom import CustomLayer
from layercli.config.data import DATA
from layercli.config.entries import LayerEntry, parse_entry
from layercli.config.model import ModelSection, parse_input
from layercli.config.train import TrainSection

T = TypeVar("T")


def salvage(value: Any) -> Config | None:
    """The config without its malformed parts; a malformed layer becomes one of unknown shape. None: nothing is left."""
    if not isinstance(value, dict) or not isinstance(value.get("model"), dict):
        return None
    model = value["model"]
    layers = model.get("layers")
    if not isinstance(layers, list) or not layers:
        return None
    data = _parsed(DATA.parse, value.get("data"))
    declared = _parsed(parse_input, model.get("input"))
    if declared is None and ("input" in model or data is None):
        return None  # the input is what is wrong, or missing with the data that would tell it
    return Config.model_construct(
        data=data,
        model=ModelSection.model_construct(
            input=declared, layers=[_parsed(parse_entry, item) or _unknown(item) for item in layers]
        ),
        train=_parsed(TrainSection.model_validate, value.get("train")),
    )


def _parsed(parse: Callable[[Any], T], value: Any) -> T | None:
    try:
        return None if value is None else parse(value)
    except ValueError:  # Pydantic's errors are ValueErrors; they have been reported already
        return None


def _unknown(item: Any) -> LayerEntry:
    name = item.get("name") if isinstance(item, dict) else None
    layer = CustomLayer.model_validate({"kind": "keras", "place": "", "class_name": "Unknown"})
    return LayerEntry(layer, name if isinstance(name, str) else None)

"""What can still be checked of a config that is wrong somewhere: its sound parts."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from layercli.config.config import Config
from layercli.config.custom import CustomLayer
from layercli.config.data import DATA
from layercli.config.entries import LayerEntry, parse_entry
from layercli.config.model import MAX_LAYERS, ModelSection, parse_input
from layercli.config.train import TrainSection
from layercli.layers.base import Layer
from layercli.layers.registry import LAYERS

T = TypeVar("T")


def salvage(value: Any) -> Config | None:
    """The config without its malformed parts; a malformed layer becomes one of unknown shape. None: nothing is left."""
    if not isinstance(value, dict) or not isinstance(value.get("model"), dict):
        return None
    model = value["model"]
    layers = model.get("layers")
    if not isinstance(layers, list) or not 0 < len(layers) <= MAX_LAYERS:
        return None
    data = _parsed(DATA.parse, value.get("data"))
    declared = _parsed(parse_input, model.get("input"))
    if declared is None and ("input" in model or data is None):
        return None  # the input is what is wrong, or missing with the data that would tell it
    return Config.model_construct(
        data=data,
        model=ModelSection.model_construct(
            input=declared, layers=[_parsed(parse_entry, item) or _stand_in(item) for item in layers]
        ),
        train=_parsed(TrainSection.model_validate, value.get("train")),
    )


def _parsed(parse: Callable[[Any], T], value: Any) -> T | None:
    try:
        return None if value is None else parse(value)
    except ValueError:  # Pydantic's errors are ValueErrors; they have been reported already
        return None


def _stand_in(item: Any) -> LayerEntry:
    """A layer in place of a malformed one: of the same type with what is sound of its arguments, else of unknown shape."""
    name = item.get("name") if isinstance(item, dict) else None
    value = dict(item) if isinstance(item, dict) else {"type": item}
    layer = _mended(value) or CustomLayer.model_validate({"kind": "keras", "place": "", "class_name": "Unknown"})
    return LayerEntry(layer, name if isinstance(name, str) else None, doubtful=True)


def _mended(value: dict[str, Any]) -> Layer | None:
    """The layer without its malformed arguments; a required one takes its example."""
    class_name = LAYERS.find(value["type"]) if isinstance(value.get("type"), str) else None
    if class_name is None:
        return None
    cls = LAYERS.load(class_name)
    arguments = {key: item for key, item in value.items() if key in cls.model_fields}
    try:
        cls.model_validate(arguments)
    except ValidationError as error:
        for key in {str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"]}:
            arguments.pop(key, None)
    examples = {key: field.examples[0] for key, field in cls.model_fields.items() if field.is_required() and field.examples}
    return _parsed(cls.model_validate, examples | arguments)

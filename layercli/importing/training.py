"""How a model was compiled, as the ``train`` section of a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from layercli.config.registry import LOSSES, METRICS, OPTIMIZERS, SCHEDULES
from layercli.config.train import TrainSection
from layercli.importing.objects import InexpressibleError, is_object, minimal, short_float
from layercli.layers.component import Catalogue, Component
from layercli.layers.strict import plain
from layercli.source.nodes import printable, quoted

_AS_IT_IS: dict[str, Any] = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False, "auto_scale_loss": True,
                             "loss_weights": None, "weighted_metrics": None}  # fmt: skip
"""What `compile` takes besides, and the value at which that means nothing."""
_EXECUTION = ("steps_per_execution", "jit_compile", "auto_scale_loss")
"""What changes how training runs, and not what it learns."""


def train_section(config: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """The ``train`` section for Keras's record of ``compile``, and what of it cannot be said there."""
    if not isinstance(config, Mapping) or not config.get("optimizer"):
        return None, []
    section: dict[str, Any] = {}
    told: list[str] = []

    def take(key: str, value: Any) -> None:
        if value is not None:
            section[key] = value

    for key, read in (("optimizer", _optimizer), ("loss", _loss), ("metrics", _metrics)):
        try:
            take(key, read(config.get(key)))
        except InexpressibleError as error:
            told.append(f"`{key}`: {error}")
    for key, usual in _AS_IT_IS.items():
        value = config.get(key, usual)
        if value not in (usual, None, [], {}, "auto") and key not in _EXECUTION:
            told.append(f"`{key}`: {quoted(value)}")
    if "loss" not in section:
        return None, told
    try:
        TrainSection.model_validate(section)
    except ValidationError as error:
        return None, [*told, *(item["ctx"]["message"] for item in error.errors(include_url=False))]
    return section, told


def _optimizer(value: Any) -> Any:
    return None if value is None else _component("optimizer", value, OPTIMIZERS)


def _loss(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, (list, dict)) and not is_object(value):
        raise InexpressibleError("a loss for each of several outputs")
    return _component("loss", value, LOSSES)


def _metrics(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, list) or any(isinstance(item, list) for item in value):
        raise InexpressibleError("metrics for each of several outputs")
    return [_component("metric", item, METRICS) for item in value]


def _component(noun: str, value: Any, home: Catalogue[Component]) -> Any:
    """A loss, metric or optimizer as a config writes it."""
    if isinstance(value, str):
        return value
    if not is_object(value) or not isinstance(value["config"], dict):
        raise InexpressibleError(f"the {noun} {quoted(value)}")
    name = str(value["class_name"])
    if not str(value.get("module")).startswith("keras.") or home.find(name) is None:
        raise InexpressibleError(f"the {noun} {printable(name, limit=60)}, which a config cannot hold")
    cls = home.load(home.find(name) or name)
    given = {key: _argument(item) for key, item in value["config"].items() if key in cls.model_fields}
    if noun == "optimizer":
        given.pop("name", None)
    if given.get("dtype") == "float32":
        del given["dtype"]
    try:
        written = minimal(cls.model_validate({key: item for key, item in given.items() if item is not None}))
    except ValidationError as error:
        messages = [item["ctx"]["message"] for item in error.errors(include_url=False)]
        raise InexpressibleError(f"the {noun} {name}: {' '.join(messages)}") from None
    written |= {
        key: item for key, item in given.items() if isinstance(item, dict) and key in written
    }  # schedules
    return {"type": name, **written} if written else name


def _argument(value: Any) -> Any:
    if is_object(value):
        name = str(value["class_name"])
        if not str(value.get("module")).startswith("keras.") or SCHEDULES.find(name) is None:
            raise InexpressibleError(f"{printable(name, limit=60)}, which a config cannot hold")
        cls = SCHEDULES.load(SCHEDULES.find(name) or name)
        known = {key: _argument(item) for key, item in value["config"].items() if key in cls.model_fields}
        made = cls.model_validate({key: item for key, item in known.items() if item is not None})
        return {"type": name, **minimal(made)}
    if isinstance(value, float):
        return short_float(value)
    return plain(value) if isinstance(value, (list, dict)) else value

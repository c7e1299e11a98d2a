"""How a model was compiled, as the ``train`` section of a config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from layercli.config.training.registry import LOSSES, METRICS, OPTIMIZERS, SCHEDULES
from layercli.config.training.section import TrainSection
from layercli.importing.keras_config import InexpressibleError, is_object, minimal, short_float
from layercli.schema.component import Catalogue, Component
from layercli.schema.strict_model import to_plain
from layercli.source.nodes import quote_value, sanitize_text


def train_section(
    config: Any, layers: Sequence[str], names: Sequence[str] | None
) -> tuple[dict[str, Any] | None, list[str]]:
    """The ``train`` section for Keras's record of ``compile``, and what of it cannot be said there.

    ``layers`` are the outputs as Keras calls them, ``names`` as the config does.
    """
    if not isinstance(config, Mapping) or not config.get("optimizer"):
        return None, []
    section: dict[str, Any] = {}
    told: list[str] = []

    def take(key: str, value: Any) -> None:
        if value is not None:
            section[key] = value

    def by_output(value: Any, read: Callable[[Any], Any]) -> Any:
        """The same for each output, by the config's names; of a single output without."""
        if isinstance(value, dict) and not is_object(value):
            value = [value.get(layer) for layer in layers]
        if not isinstance(value, list) or len(value) != len(layers):
            raise InexpressibleError(quote_value(value))
        if len(layers) == 1:
            return read(value[0])
        if names is None:
            raise InexpressibleError(
                "one for each of several outputs, not all of which are layers by themselves"
            )
        found = {name: read(item) for name, item in zip(names, value, strict=True)}
        return {name: item for name, item in found.items() if item}

    def losses(value: Any) -> Any:
        several = isinstance(value, (list, dict)) and not is_object(value)
        return by_output(value, _loss) if several else _loss(value)

    def metrics(value: Any) -> Any:
        nested = isinstance(value, list) and any(isinstance(item, list) or item is None for item in value)
        several = nested or (isinstance(value, dict) and not is_object(value))
        return by_output(value, _metrics) if several else _metrics(value)

    def loss_weights(value: Any) -> Any:
        return None if value is None or len(layers) == 1 else by_output(value, lambda item: item)

    reads = {"optimizer": _optimizer, "loss": losses, "loss_weights": loss_weights, "metrics": metrics,
             "weighted_metrics": metrics}  # fmt: skip
    for key, read in reads.items():
        try:
            take(key, read(config.get(key)))
        except InexpressibleError as error:
            told.append(f"`{key}`: {error}")
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            OverflowError,
        ):  # an edited record may hold anything
            told.append(f"`{key}`: its record is malformed")
    if config.get("run_eagerly"):
        told.append("`run_eagerly`: true")
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
    return None if value is None else _component("loss", value, LOSSES)


def _metrics(value: Any) -> Any:
    """A list of metrics; Keras also takes one alone."""
    if value is None:
        return None
    listed = [value] if isinstance(value, str) or is_object(value) else value
    if not isinstance(listed, list):
        raise InexpressibleError(quote_value(value))
    return [_component("metric", item, METRICS) for item in listed]


def _component(noun: str, value: Any, home: Catalogue[Component]) -> Any:
    """A loss, metric or optimizer as a config writes it."""
    if isinstance(value, str):
        return value
    if not is_object(value) or not isinstance(value["config"], dict):
        raise InexpressibleError(f"the {noun} {quote_value(value)}")
    name = str(value["class_name"])
    if not str(value.get("module")).startswith("keras.") or home.find(name) is None:
        raise InexpressibleError(f"the {noun} {sanitize_text(name, limit=60)}, which a config cannot hold")
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
            raise InexpressibleError(f"{sanitize_text(name, limit=60)}, which a config cannot hold")
        cls = SCHEDULES.load(SCHEDULES.find(name) or name)
        known = {key: _argument(item) for key, item in value["config"].items() if key in cls.model_fields}
        made = cls.model_validate({key: item for key, item in known.items() if item is not None})
        return {"type": name, **minimal(made)}
    if isinstance(value, float):
        return short_float(value)
    return to_plain(value) if isinstance(value, (list, dict)) else value

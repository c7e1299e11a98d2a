"""How a model was compiled, as the ``train`` section of a config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from layercli.config.training.registry import LOSSES, METRICS, OPTIMIZERS, SCHEDULES
from layercli.config.training.section import TrainSection
from layercli.importing.keras_config import (
    InexpressibleError,
    is_keras_object,
    shorten_float,
)
from layercli.layers.minimal_arguments import minimal_config
from layercli.schema.component import Catalogue, Component
from layercli.schema.strict_model import to_plain
from layercli.source.nodes import quote_value, sanitize_text


def convert_compile_config(
    config: Any, keras_names: Sequence[str], config_names: Sequence[str] | None
) -> tuple[dict[str, Any] | None, list[str]]:
    """The ``train`` section for Keras's record of ``compile``, and what of it cannot be said there.

    ``layers`` are the outputs as Keras calls them, ``names`` as the config does.
    """
    if not isinstance(config, Mapping) or not config.get("optimizer"):
        return None, []
    section: dict[str, Any] = {}
    skipped: list[str] = []

    def set_key(key: str, value: Any) -> None:
        if value is not None:
            section[key] = value

    def convert_by_output(value: Any, read: Callable[[Any], Any]) -> Any:
        """The same for each output, by the config's names; of a single output without."""
        if isinstance(value, dict) and not is_keras_object(value):
            value = [value.get(layer) for layer in keras_names]
        if not isinstance(value, list) or len(value) != len(keras_names):
            raise InexpressibleError(quote_value(value))
        if len(keras_names) == 1:
            return read(value[0])
        if config_names is None:
            raise InexpressibleError(
                "one for each of several outputs, not all of which are layers by themselves"
            )
        found = {name: read(item) for name, item in zip(config_names, value, strict=True)}
        return {name: item for name, item in found.items() if item}

    def convert_losses(value: Any) -> Any:
        is_by_output = isinstance(value, (list, dict)) and not is_keras_object(value)
        return convert_by_output(value, _convert_loss) if is_by_output else _convert_loss(value)

    def convert_metrics(value: Any) -> Any:
        nested = isinstance(value, list) and any(isinstance(item, list) or item is None for item in value)
        is_by_output = nested or (isinstance(value, dict) and not is_keras_object(value))
        return convert_by_output(value, _convert_metrics) if is_by_output else _convert_metrics(value)

    def convert_loss_weights(value: Any) -> Any:
        return None if value is None or len(keras_names) == 1 else convert_by_output(value, lambda item: item)

    converters = {
        "optimizer": _convert_optimizer,
        "loss": convert_losses,
        "loss_weights": convert_loss_weights,
        "metrics": convert_metrics,
        "weighted_metrics": convert_metrics,
    }
    for key, read in converters.items():
        try:
            set_key(key, read(config.get(key)))
        except InexpressibleError as error:
            skipped.append(f"`{key}`: {error}")
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            OverflowError,
        ):  # an edited record may hold anything
            skipped.append(f"`{key}`: its record is malformed")
    if config.get("run_eagerly"):
        skipped.append("`run_eagerly`: true")
    if "loss" not in section:
        return None, skipped
    try:
        TrainSection.model_validate(section)
    except ValidationError as error:
        return None, [*skipped, *(item["ctx"]["message"] for item in error.errors(include_url=False))]
    return section, skipped


def _convert_optimizer(value: Any) -> Any:
    return None if value is None else _convert_component("optimizer", value, OPTIMIZERS)


def _convert_loss(value: Any) -> Any:
    return None if value is None else _convert_component("loss", value, LOSSES)


def _convert_metrics(value: Any) -> Any:
    """A list of metrics; Keras also takes one alone."""
    if value is None:
        return None
    metrics = [value] if isinstance(value, str) or is_keras_object(value) else value
    if not isinstance(metrics, list):
        raise InexpressibleError(quote_value(value))
    return [_convert_component("metric", item, METRICS) for item in metrics]


def _convert_component(noun: str, value: Any, catalogue: Catalogue[Component]) -> Any:
    """A loss, metric or optimizer as a config writes it."""
    if isinstance(value, str):
        return value
    if not is_keras_object(value) or not isinstance(value["config"], dict):
        raise InexpressibleError(f"the {noun} {quote_value(value)}")
    name = str(value["class_name"])
    if not str(value.get("module")).startswith("keras.") or catalogue.find(name) is None:
        raise InexpressibleError(f"the {noun} {sanitize_text(name, limit=60)}, which a config cannot hold")
    cls = catalogue.load(catalogue.find(name) or name)
    arguments = {
        key: _convert_argument(item) for key, item in value["config"].items() if key in cls.model_fields
    }
    if noun == "optimizer":
        arguments.pop("name", None)
    if arguments.get("dtype") == "float32":
        del arguments["dtype"]
    try:
        shortest = minimal_config(
            cls.model_validate({key: item for key, item in arguments.items() if item is not None})
        )
    except ValidationError as error:
        messages = [item["ctx"]["message"] for item in error.errors(include_url=False)]
        raise InexpressibleError(f"the {noun} {name}: {' '.join(messages)}") from None
    shortest |= {
        key: item for key, item in arguments.items() if isinstance(item, dict) and key in shortest
    }  # schedules
    return {"type": name, **shortest} if shortest else name


def _convert_argument(value: Any) -> Any:
    if is_keras_object(value):
        name = str(value["class_name"])
        if not str(value.get("module")).startswith("keras.") or SCHEDULES.find(name) is None:
            raise InexpressibleError(f"{sanitize_text(name, limit=60)}, which a config cannot hold")
        cls = SCHEDULES.load(SCHEDULES.find(name) or name)
        arguments = {
            key: _convert_argument(item) for key, item in value["config"].items() if key in cls.model_fields
        }
        schedule = cls.model_validate({key: item for key, item in arguments.items() if item is not None})
        return {"type": name, **minimal_config(schedule)}
    if isinstance(value, float):
        return shorten_float(value)
    return to_plain(value) if isinstance(value, (list, dict)) else value

"""Keras's record of ``compile`` as the ``train`` section of a config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    """Return the ``train`` section for Keras's record of ``compile``, and descriptions of the settings it cannot express.

    ``keras_names`` are Keras's names of the outputs, ``config_names`` those of the config; None if an output is not the
    output of a single layer. The section is None if the record has no loss, or an invalid one.
    """
    if not isinstance(config, Mapping) or not config.get("optimizer"):
        return None, []
    section: dict[str, Any] = {}
    skipped: list[str] = []
    for key, convert in _make_converters(_Outputs(keras_names, config_names)).items():
        try:
            value = convert(config.get(key))
        except InexpressibleError as error:
            skipped.append(f"`{key}`: {error}")
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            skipped.append(f"`{key}`: its record is malformed")  # an edited record may contain anything
        else:
            if value is not None:
                section[key] = value
    if config.get("run_eagerly"):
        skipped.append("`run_eagerly`: true")
    if "loss" not in section:
        return None, skipped
    try:
        TrainSection.model_validate(section)
    except ValidationError as error:
        return None, [*skipped, *(item["ctx"]["message"] for item in error.errors(include_url=False))]
    return section, skipped


@dataclass(frozen=True, slots=True)
class _Outputs:
    """The outputs of a model by Keras's names and by those of the config."""

    keras_names: Sequence[str]
    config_names: Sequence[str] | None

    def convert_each(self, value: Any, convert: Callable[[Any], Any]) -> Any:
        """Convert the setting of each output: a mapping by the config's names, or the bare value of a single output."""
        if _is_mapping(value):
            value = [value.get(name) for name in self.keras_names]
        if not isinstance(value, list) or len(value) != len(self.keras_names):
            raise InexpressibleError(quote_value(value))
        if len(self.keras_names) == 1:
            return convert(value[0])
        if self.config_names is None:
            raise InexpressibleError(
                "it differs by output, and not every output is the output of a single layer"
            )
        converted = {name: convert(item) for name, item in zip(self.config_names, value, strict=True)}
        return {name: item for name, item in converted.items() if item}


def _make_converters(outputs: _Outputs) -> dict[str, Callable[[Any], Any]]:
    """Return a function for each setting of ``compile``, from Keras's record to the value in a config."""

    def convert_loss(value: Any) -> Any:
        is_by_output = isinstance(value, list) or _is_mapping(value)
        return outputs.convert_each(value, _convert_loss) if is_by_output else _convert_loss(value)

    def convert_metrics(value: Any) -> Any:
        is_nested = isinstance(value, list) and any(isinstance(item, list) or item is None for item in value)
        is_by_output = is_nested or _is_mapping(value)
        return outputs.convert_each(value, _convert_metrics) if is_by_output else _convert_metrics(value)

    def convert_loss_weights(value: Any) -> Any:
        is_meaningful = value is not None and len(outputs.keras_names) > 1
        return outputs.convert_each(value, lambda weight: weight) if is_meaningful else None

    return {
        "optimizer": _convert_optimizer,
        "loss": convert_loss,
        "loss_weights": convert_loss_weights,
        "metrics": convert_metrics,
        "weighted_metrics": convert_metrics,
    }


def _is_mapping(value: Any) -> bool:
    """Return whether this is a mapping by output, not Keras's record of an object."""
    return isinstance(value, dict) and not is_keras_object(value)


def _convert_optimizer(value: Any) -> Any:
    return None if value is None else _convert_component("optimizer", value, OPTIMIZERS)


def _convert_loss(value: Any) -> Any:
    return None if value is None else _convert_component("loss", value, LOSSES)


def _convert_metrics(value: Any) -> Any:
    """Return a list of metrics; Keras also records a single metric without a list."""
    if value is None:
        return None
    metrics = [value] if isinstance(value, str) or is_keras_object(value) else value
    if not isinstance(metrics, list):
        raise InexpressibleError(quote_value(value))
    return [_convert_component("metric", item, METRICS) for item in metrics]


def _convert_component(noun: str, value: Any, catalogue: Catalogue[Component]) -> Any:
    """Return a loss, metric or optimizer as a config writes it."""
    if isinstance(value, str):
        return value
    if not is_keras_object(value) or not isinstance(value["config"], dict):
        raise InexpressibleError(f"the {noun} {quote_value(value)}")
    name = str(value["class_name"])
    if not str(value.get("module")).startswith("keras.") or catalogue.find(name) is None:
        raise InexpressibleError(f"the {noun} {sanitize_text(name, limit=60)}, which a config cannot express")
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
            raise InexpressibleError(f"{sanitize_text(name, limit=60)}, which a config cannot express")
        cls = SCHEDULES.load(SCHEDULES.find(name) or name)
        arguments = {
            key: _convert_argument(item) for key, item in value["config"].items() if key in cls.model_fields
        }
        schedule = cls.model_validate({key: item for key, item in arguments.items() if item is not None})
        return {"type": name, **minimal_config(schedule)}
    if isinstance(value, float):
        return shorten_float(value)
    return to_plain(value) if isinstance(value, (list, dict)) else value

"""A model as Keras records it: its layers, and each call of them with its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from layercli.importing.keras_config import InexpressibleError
from layercli.schema.component import snake_case
from layercli.source.nodes import sanitize_text

MODEL_CLASSES: Final = ("Functional", "Sequential", "Model")


@dataclass(frozen=True, slots=True)
class KerasTensor:
    """One output of one call."""

    layer: str
    call: int
    index: int
    shape: tuple[int | None, ...] = ()
    dtype: str = "float32"

    @property
    def call_key(self) -> CallKey:
        return self.layer, self.call


CallKey: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class KerasCall:
    """A call with its positional and keyword arguments; tensors are ``KerasTensor``."""

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KerasLayer:
    """A layer as Keras recorded it."""

    name: str
    type: str
    module: str
    config: dict[str, Any]
    calls: list[KerasCall]
    registered_name: str | None = None

    @property
    def is_model(self) -> bool:
        return self.type in MODEL_CLASSES and (self.module == "keras" or self.module.startswith("keras."))

    @property
    def is_operation(self) -> bool:
        return self.module.startswith("keras.src.ops.")


@dataclass(slots=True)
class KerasModel:
    """A Functional or Sequential model."""

    name: str | None
    layers: dict[str, KerasLayer]
    inputs: list[KerasTensor]
    outputs: list[KerasTensor]
    multi_output_layers: set[str] = field(default_factory=set)
    """Layers of which a call uses an output other than the first."""


def parse_model(document: Mapping[str, Any]) -> KerasModel:
    """Return the model in Keras's record.

    Raises:
        InexpressibleError: the model has a different class, or no inputs yet.
        ValueError | KeyError | TypeError | IndexError: the record is malformed.
    """
    kind, module, config = document["class_name"], str(document.get("module")), document["config"]
    if kind not in MODEL_CLASSES or not (module == "keras" or module.startswith("keras.")):
        raise InexpressibleError(
            f"its class {sanitize_text(str(kind), limit=60)} has a `call` method with code; only Keras's "
            "Sequential and Functional models consist only of layers"
        )
    if not isinstance(config.get("layers"), list):
        raise InexpressibleError("its custom class has a `call` method with code")
    return _parse_sequential(document) if kind == "Sequential" else _parse_functional(config)


def _parse_functional(config: Mapping[str, Any]) -> KerasModel:
    layers = {}
    for record in config["layers"]:
        calls = [
            KerasCall(_decode_tensors(node["args"]), _decode_tensors(node["kwargs"]))
            for node in record["inbound_nodes"]
        ]
        if str(record["name"]) in layers:
            raise ValueError(f"two layers named {record['name']}")
        layers[str(record["name"])] = _parse_layer(record, str(record["name"]), calls)
    model = KerasModel(
        config.get("name"),
        layers,
        _parse_tensor_references(config["input_layers"]),
        _parse_tensor_references(config["output_layers"]),
    )
    used_tensors = [
        tensor
        for layer in layers.values()
        for call in layer.calls
        for tensor in iterate_tensors([call.args, call.kwargs])
    ]
    model.multi_output_layers = {tensor.layer for tensor in [*used_tensors, *model.outputs] if tensor.index}
    return model


def _parse_sequential(document: Mapping[str, Any]) -> KerasModel:
    config = document["config"]
    records = list(config["layers"])
    if not records or records[0]["class_name"] != "InputLayer":
        shape = (document.get("build_config") or {}).get("input_shape") or config.get("build_input_shape")
        if not shape:
            raise InexpressibleError(
                "it has no input yet: call it on data, or add a `keras.Input`, and save it again"
            )
        first = {"batch_shape": shape, "dtype": "float32", "name": "input_layer"}
        records.insert(0, {"class_name": "InputLayer", "module": "keras.layers", "config": first})
    layers: dict[str, KerasLayer] = {}
    previous: KerasTensor | None = None
    for number, record in enumerate(records):
        name = str(record["config"].get("name") or f"{snake_case(str(record['class_name']))}_{number}")
        call = KerasCall() if previous is None else KerasCall([previous])
        shape = (record.get("build_config") or {}).get("input_shape")
        if (
            previous is not None
            and isinstance(shape, list)
            and all(dim is None or isinstance(dim, int) for dim in shape)
        ):
            call = KerasCall([KerasTensor(previous.layer, 0, 0, tuple(shape))])
        if name in layers:
            raise ValueError(f"two layers named {name}")
        layers[name] = _parse_layer(record, name, [] if previous is None else [call])
        previous = KerasTensor(name, 0, 0)
    assert previous is not None
    return KerasModel(config.get("name"), layers, [KerasTensor(next(iter(layers)), 0, 0)], [previous])


def _parse_layer(record: Mapping[str, Any], name: str, calls: list[KerasCall]) -> KerasLayer:
    config = record["config"]
    if not isinstance(config, dict):
        raise TypeError("config")
    if record.get("module") is None:
        # `get_config` of a class in a script may omit the name; Keras would make up another one
        config.setdefault("name", name)
    layer_config = dict(config)
    if record.get("build_config") and record["class_name"] == "Sequential":
        layer_config.setdefault("build_input_shape", record["build_config"].get("input_shape"))
    return KerasLayer(
        name,
        str(record["class_name"]),
        str(record.get("module")),
        layer_config,
        calls,
        record.get("registered_name"),
    )


def _decode_tensors(value: Any) -> Any:
    """Return the value with each record of a tensor decoded."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            config = value["config"]
            layer, call, index = config["keras_history"]
            shape = tuple(None if dim is None else int(dim) for dim in config["shape"])
            return KerasTensor(str(layer), int(call), int(index), shape, str(config["dtype"]))
        return {key: _decode_tensors(item) for key, item in value.items()}
    return [_decode_tensors(item) for item in value] if isinstance(value, list) else value


def iterate_tensors(value: Any) -> Iterator[KerasTensor]:
    """Yield the tensors of a call's arguments in order."""
    if isinstance(value, KerasTensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from iterate_tensors(item)
    elif isinstance(value, list):
        for item in value:
            yield from iterate_tensors(item)


def _parse_tensor_references(value: Any) -> list[KerasTensor]:
    """Return inputs or outputs in the order in which Keras flattens them: mappings by sorted keys."""
    if isinstance(value, dict):
        return [tensor for key in sorted(value) for tensor in _parse_tensor_references(value[key])]
    if not isinstance(value, list):
        raise TypeError("reference")
    if value and isinstance(value[0], str):
        layer, call, index = value
        return [KerasTensor(str(layer), int(call), int(index))]
    return [tensor for item in value for tensor in _parse_tensor_references(item)]

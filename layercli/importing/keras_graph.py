"""A model in Keras's own words: its layers, and each call of them with the tensors that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from layercli.importing.keras_config import InexpressibleError
from layercli.source.nodes import sanitize_text

MODELS: Final = ("Functional", "Sequential", "Model")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One output of one call."""

    layer: str
    call: int
    index: int
    shape: tuple[int | None, ...] = ()
    dtype: str = "float32"

    @property
    def caller(self) -> Caller:
        return self.layer, self.call


Caller: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Call:
    """A call: arguments by their order and by name, tensors in place."""

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Described:
    """A layer as Keras wrote it."""

    name: str
    type: str
    module: str
    config: dict[str, Any]
    calls: list[Call]
    registered: str | None = None

    @property
    def is_model(self) -> bool:
        return self.type in MODELS and (self.module == "keras" or self.module.startswith("keras."))

    @property
    def is_operation(self) -> bool:
        return self.module.startswith("keras.src.ops.")


@dataclass(slots=True)
class Model:
    """A Functional or Sequential model."""

    name: str | None
    layers: dict[str, Described]
    inputs: list[Tensor]
    outputs: list[Tensor]
    picked: set[str] = field(default_factory=set)
    """Layers of which some call takes another output than the first."""


def model_of(document: Mapping[str, Any]) -> Model:
    """The model that Keras's record describes.

    Raises:
        InexpressibleError: it is of another kind, or has no inputs yet.
        ValueError | KeyError | TypeError | IndexError: the record is malformed.
    """
    kind, module, config = document["class_name"], str(document.get("module")), document["config"]
    if kind not in MODELS or not (module == "keras" or module.startswith("keras.")):
        raise InexpressibleError(
            f"it is of the class {sanitize_text(str(kind), limit=60)}, whose `call` is code; only models of Keras's kinds "
            "Sequential and Functional consist of layers alone"
        )
    if not isinstance(config.get("layers"), list):
        raise InexpressibleError("it is a model of its own class, whose `call` is code")
    return _sequential(document) if kind == "Sequential" else _functional(config)


def _functional(config: Mapping[str, Any]) -> Model:
    layers = {}
    for raw in config["layers"]:
        calls = [Call(_tensors(node["args"]), _tensors(node["kwargs"])) for node in raw["inbound_nodes"]]
        layers[str(raw["name"])] = _described(raw, str(raw["name"]), calls)
    model = Model(
        config.get("name"), layers, _references(config["input_layers"]), _references(config["output_layers"])
    )
    taken = [
        tensor
        for layer in layers.values()
        for call in layer.calls
        for tensor in tensors_in([call.args, call.kwargs])
    ]
    model.picked = {tensor.layer for tensor in [*taken, *model.outputs] if tensor.index}
    return model


def _sequential(document: Mapping[str, Any]) -> Model:
    config = document["config"]
    raws = list(config["layers"])
    if not raws or raws[0]["class_name"] != "InputLayer":
        shape = (document.get("build_config") or {}).get("input_shape") or config.get("build_input_shape")
        if not shape:
            raise InexpressibleError(
                "it has no input yet: call it on data, or give it a `keras.Input`, and save it anew"
            )
        first = {"batch_shape": shape, "dtype": "float32", "name": "input_layer"}
        raws.insert(0, {"class_name": "InputLayer", "module": "keras.layers", "config": first})
    layers: dict[str, Described] = {}
    before: Tensor | None = None
    for raw in raws:
        name = str(raw["config"]["name"])
        call = Call() if before is None else Call([before])
        shape = (raw.get("build_config") or {}).get("input_shape")
        if (
            before is not None
            and isinstance(shape, list)
            and all(dim is None or isinstance(dim, int) for dim in shape)
        ):
            call = Call([Tensor(before.layer, 0, 0, tuple(shape))])
        if name in layers:
            raise ValueError(f"two layers named {name}")
        layers[name] = _described(raw, name, [] if before is None else [call])
        before = Tensor(name, 0, 0)
    assert before is not None
    return Model(config.get("name"), layers, [Tensor(next(iter(layers)), 0, 0)], [before])


def _described(raw: Mapping[str, Any], name: str, calls: list[Call]) -> Described:
    config = raw["config"]
    if not isinstance(config, dict):
        raise TypeError("config")
    kept = dict(config)
    if raw.get("build_config") and raw["class_name"] == "Sequential":
        kept.setdefault("build_input_shape", raw["build_config"].get("input_shape"))
    return Described(
        name, str(raw["class_name"]), str(raw.get("module")), kept, calls, raw.get("registered_name")
    )


def _tensors(value: Any) -> Any:
    """The value with each record of a tensor as a tensor."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            config = value["config"]
            layer, call, index = config["keras_history"]
            shape = tuple(None if dim is None else int(dim) for dim in config["shape"])
            return Tensor(str(layer), int(call), int(index), shape, str(config["dtype"]))
        return {key: _tensors(item) for key, item in value.items()}
    return [_tensors(item) for item in value] if isinstance(value, list) else value


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors of a call's arguments, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from tensors_in(item)


def _references(value: Any) -> list[Tensor]:
    """Inputs or outputs, in the order in which Keras flattens them: mappings by their keys."""
    if isinstance(value, dict):
        return [tensor for key in sorted(value) for tensor in _references(value[key])]
    if not isinstance(value, list):
        raise TypeError("reference")
    if value and isinstance(value[0], str):
        layer, call, index = value
        return [Tensor(str(layer), int(call), int(index))]
    return [tensor for item in value for tensor in _references(item)]

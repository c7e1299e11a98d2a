"""Keras's record of a model as a list of layers, each of which a config can declare."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from layercli.config.model import DTYPES
from layercli.config.names import RESERVED_NAMES
from layercli.errors import Problem
from layercli.importing.keras_config import InexpressibleError, arguments_of
from layercli.importing.keras_graph import Call, Caller, Described, Model, Tensor, model_of, tensors_in
from layercli.importing.layer_stack import INPUT, Item, Source, Stack, Wire
from layercli.importing.operations import Operand, Step, application_layer, operation
from layercli.layers.registry import LAYERS
from layercli.schema.component import snake_case
from layercli.source.nodes import quote_value, sanitize_text

_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_MASKS: Final = ("mask", "query_mask", "value_mask", "key_mask")
"""What Keras hands on by itself."""
_SAID_ANEW: Final = (*_MASKS, "training")
"""What `fit`, `evaluate` and `predict` say to every layer anew, whatever is recorded."""
_DEEPEST = 20
"""Models inside models."""
_MOST: Final = 10_000
Found = list[tuple[Source, int | None]]


def read_stack(
    document: dict[str, Any], custom: Callable[[Described], str | None]
) -> tuple[Stack, list[Problem]]:
    """The layers of a model, and all in it that a config cannot express.

    ``custom`` gives what a config names a class by that is not Keras's own, or None where that is not allowed.
    """
    reader = _Reader(custom)
    try:
        model = model_of(document)
        stack = reader.read(model)
    except InexpressibleError as error:
        reader.report(None, str(error))
        stack = Stack({}, [], [])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        # What Keras writes has none of these; a record that was edited may have any.
        what = sanitize_text(f"{type(error).__name__}: {error}", limit=100)
        reader.problems.append(
            Problem(code="unreadable-model", message=f"The record of the model is malformed ({what}).")
        )
        stack = Stack({}, [], [])
    return stack, reader.problems


class _Reader:
    def __init__(self, custom: Callable[[Described], str | None]) -> None:
        self.problems: list[Problem] = []
        self._custom = custom
        self._first: dict[tuple[str, ...], Item] = {}
        self._models: dict[tuple[str, ...], Model] = {}
        self._count = 0

    def report(
        self, path: tuple[str, ...] | None, why: str, code: str = "not-expressible", hint: str | None = None
    ) -> None:
        what = "The model" if path is None else f"`{sanitize_text('/'.join(path), limit=100)}`"
        message = f"{what} cannot be written in a config: {why.rstrip('.')}."
        self.problems.append(Problem(code=code, message=message, hint=hint))

    def read(self, model: Model) -> Stack:
        """The whole model."""
        inputs: dict[str, dict[str, Any]] = {}
        places: Found = []
        for tensor in model.inputs:
            layer = model.layers[tensor.layer]
            name = _clean(layer.name, inputs)
            inputs[name] = self._input(layer)
            places.append((name, None))
        if len(inputs) == 1:
            inputs = {INPUT: next(iter(inputs.values()))}
            places = [(INPUT, None)]
        items: list[Item] = []
        outputs = self._emit(model, places, (), items)
        if not items:
            raise InexpressibleError("it has no layers")
        wires = [Wire(source, pick) for source, pick in outputs]
        return Stack(inputs, items, wires, model.name, [tensor.layer for tensor in model.outputs])

    def _input(self, layer: Described) -> dict[str, Any]:
        config = layer.config
        shape, dtype = list(config["batch_shape"][1:]), config.get("dtype") or "float32"
        for key in ("sparse", "ragged", "optional"):
            if config.get(key):
                self.report((layer.name,), f"this input is {key}")
        if dtype not in DTYPES:
            self.report((layer.name,), f"its dtype is {quote_value(dtype)}")
        if config["batch_shape"][0] is not None:
            size = config["batch_shape"][0]
            message = f"The input `{sanitize_text(layer.name)}` takes batches of {size} only; the config leaves their size free."
            self.problems.append(Problem(code="batch-size-freed", message=message, severity="warning"))
        return {"shape": shape, "dtype": dtype}

    def _emit(self, model: Model, given: Found, path: tuple[str, ...], items: list[Item]) -> Found:
        """Write a model's layers, each after those that feed it and branch by branch; returns its outputs."""
        if len(path) > _DEEPEST:
            raise InexpressibleError(f"models stand in models deeper than {_DEEPEST} levels")
        done: dict[Caller, Found] = {
            tensor.caller: [place] for tensor, place in zip(model.inputs, given, strict=True)
        }
        waiting: list[tuple[Caller, bool]] = [(tensor.caller, False) for tensor in reversed(model.outputs)]
        open_: set[Caller] = set()
        while waiting:
            caller, ready = waiting.pop()
            if caller in done:
                continue
            layer = model.layers[caller[0]]
            call = layer.calls[caller[1]]
            taken = _fed(call)
            missing = [tensor.caller for tensor in taken if tensor.caller not in done]
            if not ready and missing:
                if caller in open_:
                    raise ValueError("a layer feeds itself")
                open_.add(caller)
                waiting.append((caller, True))
                waiting.extend((one, False) for one in reversed(missing))
                continue
            done[caller] = self._call(model, layer, call, done, path, items)
            self._count += 1
            if self._count > _MOST:
                raise InexpressibleError(f"it has more than {_MOST:,} layers")
        return [
            done[tensor.caller][min(tensor.index, len(done[tensor.caller]) - 1)] for tensor in model.outputs
        ]

    def _call(
        self,
        model: Model,
        layer: Described,
        call: Call,
        done: dict[Caller, Found],
        path: tuple[str, ...],
        items: list[Item],
    ) -> Found:
        """Write one call."""

        def source(tensor: Tensor) -> tuple[Source, int | None]:
            found = done[tensor.caller]
            return found[min(tensor.index, len(found) - 1)]

        place = (*path, layer.name)
        try:
            if layer.is_model:
                return self._model(layer, [source(tensor) for tensor in _fed(call)], place, items)
            if layer.is_operation:
                return [
                    self._steps(_operation(layer, call), [source(x) for x in _fed(call)], layer, place, items)
                ]
            if layer.module.startswith("keras.src.applications."):
                steps = application_layer(layer.type, layer.config)
                if steps is not None:
                    return [self._steps(steps, [source(x) for x in _fed(call)], layer, place, items)]
            wires = [Wire(*source(tensor), key) for tensor, key in self._wires(layer, call)]
            if not wires:
                raise InexpressibleError("it is called without a tensor")
            item = self._layer(layer, wires, place)
        except InexpressibleError as error:
            self.report(place, str(error), *_advice(layer, str(error)))
            # In its place, so that what follows it can be read.
            wires = [Wire(*source(x)) for x in _fed(call)][:1]
            item = Item("layer", "Identity", wires, origin=place)
        items.append(item)
        several = layer.name in model.picked or _gives_several(layer.config)
        return [(item, index) for index in range(_MOST_OUTPUTS)] if several else [(item, None)]

    def _layer(self, layer: Described, wires: list[Wire], place: tuple[str, ...]) -> Item:
        first = self._first.get(place)
        if first is not None:
            return Item("reuse", first.type, wires, target=first, origin=place)
        own = layer.module == "keras.layers" or layer.module.startswith("keras.src.layers.")
        found = LAYERS.find(layer.type) if own else None
        if found is not None:
            kind, args = found, arguments_of(LAYERS.load(found), layer.config)
            args = _without_settled(args, layer)
        else:
            if own and layer.type in LAYERS.unavailable:
                raise InexpressibleError(f"it is a {layer.type}, and {LAYERS.unavailable[layer.type][0]}")
            named = self._custom(layer)
            if named is None:
                raise InexpressibleError(
                    f"its class {sanitize_text(layer.type, limit=60)} is none of Keras's"
                )
            kind, args = named, _custom_arguments(layer.config)
        item = Item("layer", kind, wires, args, _given(layer), place)
        self._first[place] = item
        return item

    def _wires(self, layer: Described, call: Call) -> list[tuple[Tensor, str | None]]:
        """The tensors that a layer takes, and what it calls them."""
        names = LAYERS.load(layer.type).input_names if LAYERS.find(layer.type) == layer.type else ()
        listed = list(tensors_in(call.args[:1]))
        later = [argument for argument in call.args[1:] if argument is not None]
        wires: list[tuple[Tensor, str | None]] = []
        if names:
            keyed = dict(zip(names, listed, strict=False))
            if len(listed) == 1:
                keyed |= {
                    name: arg
                    for name, arg in zip(names[1:], call.args[1:], strict=False)
                    if isinstance(arg, Tensor)
                }
            keyed |= {
                name: arg for name, arg in call.kwargs.items() if name in names and isinstance(arg, Tensor)
            }
            wires = [(keyed[name], name) for name in names if name in keyed]
            later = call.args[len(names) :] if len(listed) == 1 else later
        else:
            wires = [(tensor, None) for tensor in listed]
        if any(True for argument in later if argument is not None):
            raise InexpressibleError("it is called with more than its inputs")
        for key, value in call.kwargs.items():
            if value is None or value is False or key in names or key in _SAID_ANEW:
                continue
            shown = "a tensor" if any(True for _ in tensors_in(value)) else quote_value(value)
            raise InexpressibleError(f"it is called with `{sanitize_text(key, limit=60)}`: {shown}")
        return wires

    def _steps(
        self, steps: Sequence[Step], given: Found, layer: Described, place: tuple[str, ...], items: list[Item]
    ) -> tuple[Source, int | None]:
        """Write the layers that stand for an operation, or call them again."""
        before: tuple[Source, int | None] = ("", None)
        for number, step in enumerate(steps):
            wires = [Wire(*(before if index < 0 else given[index])) for index in step.takes]
            path = (*place, str(number)) if len(steps) > 1 else place
            first = self._first.get(path) if not layer.is_operation else None
            if first is None:
                item = Item("layer", step.type, wires, _shortest(step), None, path)
                self._first[path] = item
            else:
                item = Item("reuse", step.type, wires, target=first, origin=path)
            items.append(item)
            before = (item, None)
        return before

    def _model(self, layer: Described, given: Found, place: tuple[str, ...], items: list[Item]) -> Found:
        """Write a model that is used as a layer: as a block, or, with several inputs or outputs, layer by layer."""
        inner = self._models.get(place)
        if inner is None:
            document = {"class_name": layer.type, "module": layer.module, "config": layer.config}
            inner = self._models[place] = model_of(document)
        if len(given) != len(inner.inputs):
            raise InexpressibleError(f"it is called with {len(given)} inputs, and has {len(inner.inputs)}")
        if len(inner.inputs) > 1 or len(inner.outputs) > 1:
            return self._emit(inner, given, place, items)
        first = self._first.get(place)
        if first is None:
            body: list[Item] = []
            outputs = self._emit(inner, [(INPUT, None)], place, body)
            if outputs[0][1] is not None or not body or outputs[0][0] is not body[-1]:
                body.append(Item("layer", "Identity", [Wire(*outputs[0])], origin=(*place, "")))
            name = _given(layer)
            first = self._first[place] = Item(
                "block", layer.name, [Wire(*given[0])], {}, name, place, body=body
            )
            items.append(first)
            return [(first, None)]
        item = Item("reuse", first.type, [Wire(*given[0])], target=first, origin=place)
        items.append(item)
        return [(item, None)]


_MOST_OUTPUTS = 16


def _fed(call: Call) -> list[Tensor]:
    """The tensors that a call takes, without the masks that Keras hands on by itself."""
    kwargs = {key: value for key, value in call.kwargs.items() if key not in _MASKS}
    return list(tensors_in([call.args, kwargs]))


def _operation(layer: Described, call: Call) -> list[Step]:
    values: list[Any] = []
    number = 0
    flat = [*call.args, *call.kwargs.values()]
    if len(flat) == 1 and isinstance(flat[0], list):
        flat = flat[0]
    for value in flat:
        if isinstance(value, Tensor):
            values.append(Operand(number, value.shape, value.dtype))
            number += 1
        elif value is not None:
            values.append(value)
    return operation(layer.type, layer.config, values)


def _shortest(step: Step) -> dict[str, Any]:
    return arguments_of(LAYERS.load(step.type), step.args)


def _gives_several(config: dict[str, Any]) -> bool:
    """Whether a recurrent layer gives its states, too, or a bidirectional one both directions apart."""
    inner = config.get("layer")
    inside = inner.get("config", {}) if isinstance(inner, dict) else {}
    apart = "merge_mode" in config and config["merge_mode"] is None
    return bool(config.get("return_state") or inside.get("return_state") or apart)


def _without_settled(args: dict[str, Any], layer: Described) -> dict[str, Any]:
    """The arguments without those that the layer settles by itself when it is made or built."""
    if layer.type == "Bidirectional":
        inner = {key: item for key, item in args["layer"].items() if key != "zero_output_for_mask"}
        back = dict(args.get("backward_layer") or {})
        if str(inner.get("name", "")).startswith("forward_"):
            del inner["name"]
        back.pop("name", None)
        back.pop("zero_output_for_mask", None)
        mirrored = {key: item for key, item in inner.items() if key not in ("name", "go_backwards")}
        if not inner.get("go_backwards"):
            mirrored["go_backwards"] = True
        others = {key: item for key, item in args.items() if key not in ("layer", "backward_layer")}
        return {
            "layer": inner,
            **({} if back == mirrored else {"backward_layer": args["backward_layer"]}),
            **others,
        }
    if layer.type == "MultiHeadAttention":
        ranks = [
            len(tensor.shape) for call in layer.calls[:1] for tensor in tensors_in([call.args, call.kwargs])
        ]
        settled = {
            "value_dim": args.get("key_dim"),
            "attention_axes": [*range(1, ranks[0] - 1)] if ranks else None,
        }
        return {key: item for key, item in args.items() if key not in settled or item != settled[key]}
    return args


def _custom_arguments(config: dict[str, Any]) -> dict[str, Any]:
    implied: dict[str, Any] = {"name": ..., "trainable": True, "dtype": ...}
    kept = {
        key: item for key, item in config.items() if key not in implied or implied[key] not in (..., item)
    }
    if any(isinstance(item, dict) and "class_name" in item for item in kept.values()):
        raise InexpressibleError("an argument of its class is an object")
    return kept


def _advice(layer: Described, why: str) -> tuple[str, str | None]:
    """The code of what is wrong, and how it can be mended."""
    if "is none of Keras's" in why:
        return (
            "custom-class",
            "If you know its code, allow it with `--trust`; its file must stand beside the model or the config.",
        )
    if layer.type in LAYERS.unavailable:
        return "not-expressible", LAYERS.unavailable[layer.type][1]
    if layer.is_operation:
        return (
            "not-expressible",
            "Put it into a layer of your own, and name that in the config: `type: my_layers.py:MyLayer`.",
        )
    return "not-expressible", None


def _given(layer: Described) -> str | None:
    """The name that a person gave, as a config can hold it; None for one that Keras made up."""
    if re.fullmatch(rf"{re.escape(snake_case(layer.type))}(_\d+)?", layer.name):
        return None
    return _clean(layer.name, {}) or None


def _clean(name: str, taken: Any) -> str:
    base = _UNFIT.sub("_", name).strip("_-")[:100] or "layer"
    base = f"{base}_layer" if base in RESERVED_NAMES else base
    cleaned, number = base, 1
    while cleaned in taken:
        number += 1
        cleaned = f"{base}_{number}"
    return cleaned

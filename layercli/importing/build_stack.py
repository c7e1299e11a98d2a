"""Conversion of Keras's record of a model to a stack of layers that a config can declare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from layercli.config.model import DTYPES
from layercli.config.names import RESERVED_NAMES
from layercli.errors import Problem
from layercli.importing.custom_classes import ClassResolver
from layercli.importing.keras_config import (
    CustomClassError,
    InexpressibleError,
    config_arguments,
    custom_arguments,
)
from layercli.importing.keras_graph import (
    CallKey,
    KerasCall,
    KerasLayer,
    KerasModel,
    KerasTensor,
    iterate_tensors,
    parse_model,
)
from layercli.importing.layer_stack import INPUT, LayerStack, StackEntry, Wire, WireSource
from layercli.importing.operations import LayerStep, Operand, convert_application_layer, convert_operation
from layercli.layers.registry import LAYERS
from layercli.schema.component import snake_case
from layercli.source.nodes import quote_value, sanitize_text

_INVALID_CHARACTERS = re.compile(r"[^A-Za-z0-9_-]+")
_MASK_ARGUMENTS: Final = ("mask", "query_mask", "value_mask", "key_mask")
"""Arguments that Keras passes automatically."""
_RUNTIME_ARGUMENTS: Final = (*_MASK_ARGUMENTS, "training")
"""Arguments that `fit`, `evaluate` and `predict` set in every call, regardless of the record."""
_MAX_NESTING = 20
"""Maximum nesting depth of models."""
_MAX_LAYERS: Final = 10_000
_MAX_OUTPUTS: Final = 16
OutputReferences = list[tuple[WireSource, int | None]]


def read_stack(document: dict[str, Any], resolve_class: ClassResolver) -> tuple[LayerStack, list[Problem]]:
    """Return the layers of a model, and a problem for each part that a config cannot express.

    ``resolve_class`` returns a config's name for a custom class, or None if the class is not allowed.
    """
    reader = _StackReader(resolve_class)
    try:
        model = parse_model(document)
        stack = reader.read(model)
    except InexpressibleError as error:
        reader.report(None, str(error))
        stack = LayerStack({}, [], [])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        # Records that Keras writes never raise these; an edited record may.
        reason = sanitize_text(f"{type(error).__name__}: {error}", limit=100)
        reader.problems.append(
            Problem(code="unreadable-model", message=f"The description of the model is malformed ({reason}).")
        )
        stack = LayerStack({}, [], [])
    return stack, reader.problems


class _StackReader:
    """Builds a stack from Keras's record, and collects the problems."""

    def __init__(self, resolve_class: ClassResolver) -> None:
        self.problems: list[Problem] = []
        self._resolve_class = resolve_class
        self._first_entries: dict[tuple[str, ...], StackEntry] = {}
        self._nested_models: dict[tuple[str, ...], KerasModel] = {}
        self._call_count = 0

    def report(
        self,
        path: tuple[str, ...] | None,
        reason: str,
        code: str = "not-expressible",
        hint: str | None = None,
    ) -> None:
        subject = "The model" if path is None else f"`{sanitize_text('/'.join(path), limit=100)}`"
        message = f"{subject} cannot be expressed in a config: {reason.rstrip('.')}."
        self.problems.append(Problem(code=code, message=message, hint=hint))

    def read(self, model: KerasModel) -> LayerStack:
        """Return the stack of the complete model."""
        inputs: dict[str, dict[str, Any]] = {}
        sources: OutputReferences = []
        for tensor in model.inputs:
            layer = model.layers[tensor.layer]
            name = _clean_name(layer.name, inputs)
            inputs[name] = self._read_input(layer)
            sources.append((name, None))
        if len(inputs) == 1:
            inputs = {INPUT: next(iter(inputs.values()))}
            sources = [(INPUT, None)]
        items: list[StackEntry] = []
        outputs = self._emit_layers(model, sources, (), items)
        if not items:
            raise InexpressibleError("it has no layers")
        wires = [Wire(source, pick) for source, pick in outputs]
        return LayerStack(inputs, items, wires, model.name, [tensor.layer for tensor in model.outputs])

    def _read_input(self, layer: KerasLayer) -> dict[str, Any]:
        config = layer.config
        shape, dtype = list(config["batch_shape"][1:]), config.get("dtype") or "float32"
        for key in ("sparse", "ragged", "optional"):
            if config.get(key):
                self.report((layer.name,), f"this input is {key}")
        if dtype not in DTYPES:
            self.report((layer.name,), f"its dtype is {quote_value(dtype)}")
        if config["batch_shape"][0] is not None:
            size = config["batch_shape"][0]
            name = sanitize_text(layer.name)
            message = f"The input `{name}` accepts only batches of {size}; the config accepts any batch size."
            self.problems.append(Problem(code="batch-size-freed", message=message, severity="warning"))
        return {"shape": shape, "dtype": dtype}

    def _emit_layers(
        self, model: KerasModel, sources: OutputReferences, path: tuple[str, ...], items: list[StackEntry]
    ) -> OutputReferences:
        """Append a model's layers, each after its inputs and branch by branch, and return the model's outputs."""
        if len(path) > _MAX_NESTING:
            raise InexpressibleError(f"models are nested deeper than {_MAX_NESTING} levels")
        sources_by_call: dict[CallKey, OutputReferences] = {
            tensor.call_key: [source] for tensor, source in zip(model.inputs, sources, strict=True)
        }
        pending: list[tuple[CallKey, bool]] = [(tensor.call_key, False) for tensor in reversed(model.outputs)]
        in_progress: set[CallKey] = set()
        while pending:
            caller, are_inputs_ready = pending.pop()
            if caller in sources_by_call:
                continue
            layer = model.layers[caller[0]]
            call = layer.calls[caller[1]]
            inputs = _input_tensors(call)
            missing = [tensor.call_key for tensor in inputs if tensor.call_key not in sources_by_call]
            if not are_inputs_ready and missing:
                if caller in in_progress:
                    raise ValueError("a layer feeds itself")
                in_progress.add(caller)
                pending.append((caller, True))
                pending.extend((one, False) for one in reversed(missing))
                continue
            sources_by_call[caller] = self._emit_call(model, layer, call, sources_by_call, path, items)
            self._call_count += 1
            if self._call_count > _MAX_LAYERS:
                raise InexpressibleError(f"it has more than {_MAX_LAYERS:,} layers")
        for layer in model.layers.values():
            # Keras saves only layers and calls that lead to an output, but it would build others too. Operations that
            # compute a mask lead to an output only through the mask arguments of other calls, which are left out here.
            if layer.is_operation:
                continue
            calls = range(max(len(layer.calls), 1))
            if not all((layer.name, number) in sources_by_call for number in calls):
                raise InexpressibleError(
                    f"its layer {sanitize_text(layer.name, limit=60)} does not lead to an output"
                )
        return [
            sources_by_call[tensor.call_key][min(tensor.index, len(sources_by_call[tensor.call_key]) - 1)]
            for tensor in model.outputs
        ]

    def _emit_call(
        self,
        model: KerasModel,
        layer: KerasLayer,
        call: KerasCall,
        sources_by_call: dict[CallKey, OutputReferences],
        path: tuple[str, ...],
        items: list[StackEntry],
    ) -> OutputReferences:
        """Append one call and return its outputs."""

        def find_source(tensor: KerasTensor) -> tuple[WireSource, int | None]:
            found = sources_by_call[tensor.call_key]
            return found[min(tensor.index, len(found) - 1)]

        layer_path = (*path, layer.name)
        try:
            if layer.is_model:
                return self._emit_model(
                    layer, [find_source(tensor) for tensor in _input_tensors(call)], layer_path, items
                )
            if layer.is_operation:
                return [
                    self._emit_steps(
                        _operation_steps(layer, call),
                        [find_source(x) for x in _input_tensors(call)],
                        layer,
                        layer_path,
                        items,
                    )
                ]
            if layer.module.startswith("keras.src.applications."):
                steps = convert_application_layer(layer.type, layer.config)
                if steps is not None:
                    return [
                        self._emit_steps(
                            steps, [find_source(x) for x in _input_tensors(call)], layer, layer_path, items
                        )
                    ]
            wires = [Wire(*find_source(tensor), key) for tensor, key in self._find_input_tensors(layer, call)]
            if not wires:
                raise InexpressibleError("it is called without a tensor")
            item = self._make_entry(layer, wires, layer_path)
            if item.reused_entry is None and LAYERS.find(item.type) == item.type:
                names = LAYERS.load(item.type).call_arguments
                item.args.update({name: True for name in names if call.kwargs.get(name) is True})
        except InexpressibleError as error:
            self.report(layer_path, str(error), *_problem_code_and_hint(layer, error))
            # A placeholder, so that the layers after it can be read.
            wires = [Wire(*find_source(x)) for x in _input_tensors(call)][:1]
            item = StackEntry("layer", "Identity", wires, layer_path=layer_path)
        items.append(item)
        has_several_outputs = layer.name in model.multi_output_layers or _has_several_outputs(layer.config)
        return [(item, index) for index in range(_MAX_OUTPUTS)] if has_several_outputs else [(item, None)]

    def _make_entry(self, layer: KerasLayer, wires: list[Wire], layer_path: tuple[str, ...]) -> StackEntry:
        first = self._first_entries.get(layer_path)
        if first is not None:
            return StackEntry("reuse", first.type, wires, reused_entry=first, layer_path=layer_path)
        is_builtin = layer.module == "keras.layers" or layer.module.startswith("keras.src.layers.")
        class_name = LAYERS.find(layer.type) if is_builtin else None
        if class_name is not None:
            kind, args = (
                class_name,
                config_arguments(LAYERS.load(class_name), layer.config, self._resolve_class),
            )
            args = _drop_derived_arguments(args, layer)
        else:
            if is_builtin and layer.type in LAYERS.unavailable:
                raise InexpressibleError(f"it is a {layer.type}: {LAYERS.unavailable[layer.type][0]}")
            custom_name = self._resolve_class(layer.module, layer.type)
            if custom_name is None:
                name = sanitize_text(layer.type, limit=60)
                raise CustomClassError(f"its class {name} is not a class of Keras")
            kind, args = custom_name, custom_arguments(layer.config, self._resolve_class)
        item = StackEntry("layer", kind, wires, args, _explicit_name(layer), layer_path)
        self._first_entries[layer_path] = item
        return item

    def _find_input_tensors(self, layer: KerasLayer, call: KerasCall) -> list[tuple[KerasTensor, str | None]]:
        """Return the tensors that a layer takes, each with the layer's name for it."""
        is_known = LAYERS.find(layer.type) == layer.type
        names = LAYERS.load(layer.type).input_names if is_known else ()
        names = tuple(name for name in names if name not in _MASK_ARGUMENTS)
        in_call = LAYERS.load(layer.type).call_arguments if is_known else ()
        tensors = list(iterate_tensors(call.args[:1]))
        extra_arguments = [argument for argument in call.args[1:] if argument is not None]
        wires: list[tuple[KerasTensor, str | None]] = []
        if names:
            tensors_by_name = dict(zip(names, tensors, strict=False))
            if len(tensors) == 1:
                tensors_by_name |= {
                    name: arg
                    for name, arg in zip(names[1:], call.args[1:], strict=False)
                    if isinstance(arg, KerasTensor)
                }
            tensors_by_name |= {
                name: arg
                for name, arg in call.kwargs.items()
                if name in names and isinstance(arg, KerasTensor)
            }
            wires = [(tensors_by_name[name], name) for name in names if name in tensors_by_name]
            extra_arguments = call.args[len(names) :] if len(tensors) == 1 else extra_arguments
        else:
            wires = [(tensor, None) for tensor in tensors]
        if any(True for argument in extra_arguments if argument is not None):
            raise InexpressibleError("it is called with arguments besides its inputs")
        for key, value in call.kwargs.items():
            if value is None or value is False or key in (*names, *in_call, *_RUNTIME_ARGUMENTS):
                continue
            shown = "a tensor" if any(True for _ in iterate_tensors(value)) else quote_value(value)
            raise InexpressibleError(
                f"it is called with the argument `{sanitize_text(key, limit=60)}`: {shown}"
            )
        return wires

    def _emit_steps(
        self,
        steps: Sequence[LayerStep],
        sources: OutputReferences,
        layer: KerasLayer,
        layer_path: tuple[str, ...],
        items: list[StackEntry],
    ) -> tuple[WireSource, int | None]:
        """Append the layers that replace an operation, or reuse them, and return the last one's output."""
        previous: tuple[WireSource, int | None] = ("", None)
        for number, step in enumerate(steps):
            wires = [Wire(*(previous if index < 0 else sources[index])) for index in step.input_indices]
            path = (*layer_path, str(number)) if len(steps) > 1 else layer_path
            first = self._first_entries.get(path) if not layer.is_operation else None
            if first is None:
                item = StackEntry("layer", step.type, wires, _step_arguments(step), None, path)
                self._first_entries[path] = item
            else:
                item = StackEntry("reuse", step.type, wires, reused_entry=first, layer_path=path)
            items.append(item)
            previous = (item, None)
        return previous

    def _emit_model(
        self,
        layer: KerasLayer,
        sources: OutputReferences,
        layer_path: tuple[str, ...],
        items: list[StackEntry],
    ) -> OutputReferences:
        """Append a model used as a layer: as a block, or layer by layer if it has several inputs or outputs."""
        nested_model = self._nested_models.get(layer_path)
        if nested_model is None:
            document = {"class_name": layer.type, "module": layer.module, "config": layer.config}
            nested_model = self._nested_models[layer_path] = parse_model(document)
        if len(sources) != len(nested_model.inputs):
            raise InexpressibleError(
                f"it is called with {len(sources)} inputs but has {len(nested_model.inputs)}"
            )
        if len(nested_model.inputs) > 1 or len(nested_model.outputs) > 1:
            return self._emit_layers(nested_model, sources, layer_path, items)
        first = self._first_entries.get(layer_path)
        if first is None:
            body: list[StackEntry] = []
            outputs = self._emit_layers(nested_model, [(INPUT, None)], layer_path, body)
            if outputs[0][1] is not None or not body or outputs[0][0] is not body[-1]:
                body.append(
                    StackEntry("layer", "Identity", [Wire(*outputs[0])], layer_path=(*layer_path, ""))
                )
            name = _explicit_name(layer)
            first = self._first_entries[layer_path] = StackEntry(
                "block", layer.name, [Wire(*sources[0])], {}, name, layer_path, body=body
            )
            items.append(first)
            return [(first, None)]
        item = StackEntry("reuse", first.type, [Wire(*sources[0])], reused_entry=first, layer_path=layer_path)
        items.append(item)
        return [(item, None)]


def _input_tensors(call: KerasCall) -> list[KerasTensor]:
    """Return the tensors of a call, without the masks that Keras passes automatically."""
    kwargs = {key: value for key, value in call.kwargs.items() if key not in _MASK_ARGUMENTS}
    return list(iterate_tensors([call.args, kwargs]))


def _operation_steps(layer: KerasLayer, call: KerasCall) -> list[LayerStep]:
    values: list[Any] = []
    number = 0
    arguments = [*call.args, *call.kwargs.values()]
    if len(arguments) == 1 and isinstance(arguments[0], list):
        arguments = arguments[0]
    for value in arguments:
        if isinstance(value, KerasTensor):
            values.append(Operand(number, value.shape, value.dtype))
            number += 1
        elif value is not None:
            values.append(value)
    return convert_operation(layer.type, layer.config, values)


def _step_arguments(step: LayerStep) -> dict[str, Any]:
    return config_arguments(LAYERS.load(step.type), step.args)


def _has_several_outputs(config: dict[str, Any]) -> bool:
    """Return whether a layer returns its states too, or both directions separately."""
    inner = config.get("layer")
    inner_config = inner.get("config", {}) if isinstance(inner, dict) else {}
    is_unmerged = "merge_mode" in config and config["merge_mode"] is None
    return bool(config.get("return_state") or inner_config.get("return_state") or is_unmerged)


def _drop_derived_arguments(args: dict[str, Any], layer: KerasLayer) -> dict[str, Any]:
    """Return the arguments without those that the layer derives when it is created or built."""
    if layer.type == "Bidirectional":
        inner = {key: item for key, item in args["layer"].items() if key != "zero_output_for_mask"}
        backward = dict(args.get("backward_layer") or {})
        if str(inner.get("name", "")).startswith("forward_"):
            del inner["name"]
        backward.pop("name", None)
        backward.pop("zero_output_for_mask", None)
        mirrored = {key: item for key, item in inner.items() if key not in ("name", "go_backwards")}
        if not inner.get("go_backwards"):
            mirrored["go_backwards"] = True
        others = {key: item for key, item in args.items() if key not in ("layer", "backward_layer")}
        return {
            "layer": inner,
            **({} if backward == mirrored else {"backward_layer": args["backward_layer"]}),
            **others,
        }
    if layer.type == "MultiHeadAttention":
        ranks = [
            len(tensor.shape)
            for call in layer.calls[:1]
            for tensor in iterate_tensors([call.args, call.kwargs])
        ]
        derived = {
            "value_dim": args.get("key_dim"),
            "attention_axes": [*range(1, ranks[0] - 1)] if ranks else None,
        }
        return {key: item for key, item in args.items() if key not in derived or item != derived[key]}
    return args


def _problem_code_and_hint(layer: KerasLayer, error: InexpressibleError) -> tuple[str, str | None]:
    """Return the code of the problem, and how to fix it."""
    if isinstance(error, CustomClassError):
        return (
            "custom-class",
            "If you trust its code, pass `--trust`; a Python file in the folder of the config must define it.",
        )
    if layer.type in LAYERS.unavailable:
        return "not-expressible", LAYERS.unavailable[layer.type][1]
    if layer.is_operation:
        return (
            "not-expressible",
            "Move it into a custom layer, and use that in the config: `type: my_layers.py:MyLayer`.",
        )
    return "not-expressible", None


def _explicit_name(layer: KerasLayer) -> str | None:
    """Return the name that the user chose, as a config can contain it; None if Keras generated it."""
    if re.fullmatch(rf"{re.escape(snake_case(layer.type))}(_\d+)?", layer.name):
        return None
    return _clean_name(layer.name, {}) or None


def _clean_name(name: str, used_names: Any) -> str:
    base = _INVALID_CHARACTERS.sub("_", name).strip("_-")[:100] or "layer"
    base = f"{base}_layer" if base in RESERVED_NAMES else base
    cleaned, number = base, 1
    while cleaned in used_names:
        number += 1
        cleaned = f"{base}_{number}"
    return cleaned

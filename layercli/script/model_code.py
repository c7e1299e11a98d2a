"""The model as Python: Sequential for a plain stack, else the Functional API with a function for each repeated block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from layercli.check import ValidConfig
from layercli.config.names import assign_names
from layercli.graph.build import GraphNode
from layercli.graph.lora import ignores_lora_alpha
from layercli.graph.text_vectors import should_squeeze_texts
from layercli.layers.base import Layer
from layercli.layers.custom_layers import CustomLayer
from layercli.layers.families.applications import Application
from layercli.layers.shapes import Tensor
from layercli.schema.component import snake_case
from layercli.script.application_code import name_application_function, write_applications
from layercli.script.block_functions import (
    BlockFunction,
    LayerGroup,
    NodeOutput,
    group_layers,
)
from layercli.script.keras_calls import argument_expressions, constructor_call
from layercli.script.python_source import (
    INDENT,
    Brackets,
    CallExpression,
    Expression,
    NamedValue,
    UniqueNames,
    quote_string,
    render_inline,
    render_literal,
    render_statement,
    write_module_name,
)

_MIN_LOOP_COUNT: Final = 3
"""Minimum number of equal lines that become a loop."""


def model_lines(valid: ValidConfig, kept_names: Iterable[str]) -> list[str]:
    """Return the lines of ``build_model`` and of its functions; layers in ``kept_names`` keep their names."""
    names = {*kept_names, *_find_significant_names(valid)}
    items, functions = group_layers(valid, names)
    lines = [*write_applications(valid)]
    if not functions and _is_sequential(valid):
        return [*lines, *_sequential_lines(valid, names)]
    writer = _ModelWriter(valid, names)
    for function in functions:
        lines += [*writer.function_lines(function), "", ""]
    return [*lines, *writer.build_model_lines(items)]


def _find_significant_names(valid: ValidConfig) -> set[str]:
    """Return the layers that keep their names: named by the user outside of blocks, or one of several outputs."""
    outputs = valid.graph.outputs
    nodes = valid.graph.nodes
    bases = [snake_case(node.type_name.rpartition(":")[2].rpartition(".")[2]) for node in nodes]
    automatic = assign_names([(None, base) for base in bases], valid.graph.inputs)
    generated = re.compile(r"_\d+$")
    chosen = {
        node.name
        for node, base, automatic_name in zip(nodes, bases, automatic, strict=True)
        if "." not in node.name
        and node.name != automatic_name
        and generated.sub("", node.name) != base
        and node.reuse_of is None
    }
    return chosen | (set(outputs) if len(outputs) > 1 else set())


def _is_sequential(valid: ValidConfig) -> bool:
    """Return whether each layer takes only the output of the previous one, and the last one is the output."""
    graph = valid.graph
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or graph.output_indices[0] is not None:
        return False
    previous = next(iter(graph.inputs))
    for node in graph.nodes:
        has_several_outputs = len(valid.shapes.by_name[node.name].outputs) > 1
        if (
            node.inputs != (previous,)
            or node.input_indices != (None,)
            or node.reuse_of
            or has_several_outputs
            or _is_frozen_by_statement(node)
            or ignores_lora_alpha(node.layer)
            or should_squeeze_texts(node, valid.shapes)
        ):
            return False
        previous = node.name
    return graph.outputs[0] == previous


def _sequential_lines(valid: ValidConfig, names: set[str]) -> list[str]:
    ((_, tensor),) = valid.graph.inputs.items()
    stack = [_input_call(tensor), *(_layer_call(node, names) for node in valid.graph.nodes)]
    call = CallExpression(
        "keras.Sequential",
        (Brackets("[", tuple(stack), "]"), NamedValue("name=", quote_string(valid.check_result.name))),
    )
    return ["def build_model():", *render_statement(call, INDENT, before="return ")]


def _input_call(tensor: Tensor, name: str | None = None) -> CallExpression:
    arguments: list[Expression] = [NamedValue("shape=", render_literal(tuple(tensor.shape[1:])))]
    if name is not None:
        arguments.append(NamedValue("name=", quote_string(name)))
    if tensor.dtype != "float32":
        arguments.append(NamedValue("dtype=", quote_string(tensor.dtype)))
    return CallExpression("keras.Input", tuple(arguments))


def _is_frozen_by_statement(node: GraphNode) -> bool:
    """Return whether a layer is frozen and contains layers that the constructor's flag does not affect."""
    layer = node.layer
    has_inner_layers = any(isinstance(value, (Layer, list)) for value in layer.arguments().values())
    return not layer.is_trainable and (
        has_inner_layers or layer.family in ("applications", "attention", "recurrent", "custom", "wrappers")
    )


def _layer_call(
    node: GraphNode, names: set[str], replacements: dict[str, str] | None = None
) -> CallExpression:
    """Return the call of the layer's constructor, with parameters of a function in place of arguments."""
    if isinstance(node.layer, Application):
        return CallExpression(name_application_function(node))
    call = constructor_call(node.layer, skip=("trainable",) if _is_frozen_by_statement(node) else ())
    if replacements:
        call = CallExpression(
            call.head, tuple(_replace_argument(argument, node, replacements) for argument in call.arguments)
        )
    if node.name in names:
        name = NamedValue("name=", quote_string(node.name))
        call = CallExpression(call.head, (*call.arguments, name))
    return call


def _replace_argument(argument: Expression, node: GraphNode, replacements: dict[str, str]) -> Expression:
    if isinstance(argument, NamedValue):
        name = argument.name.removesuffix("=")
        return NamedValue(argument.name, replacements[name]) if name in replacements else argument
    first = next(iter(argument_expressions(node.layer)))  # the positional argument
    return replacements.get(first, argument)


@dataclass
class _FunctionScope:
    """The body of one function."""

    names: UniqueNames
    statements: list[tuple[str, Expression]] = field(default_factory=list)
    """``x = `` or nothing, and the expression after it."""
    variables: dict[str, str] = field(default_factory=dict)
    """Node or input -> the variable with its output."""


class _ModelWriter:
    """Writes functions and keeps their names."""

    def __init__(self, valid: ValidConfig, names: set[str]) -> None:
        self._valid = valid
        self._kept_names = names
        self._unique_names = UniqueNames()
        self._function_names: dict[int, str] = {}
        self._layer_variables: dict[str, str] = {}
        self._shared_nodes = {node.reuse_of for node in valid.graph.nodes if node.reuse_of}

    def function_lines(self, function: BlockFunction) -> list[str]:
        """Return the lines of a block's function."""
        group = function.groups[0]
        bases = {_strip_number(each.name) for each in function.groups}
        base = (
            bases.pop()
            if len(bases) == 1
            else next((b for b in sorted(bases) if b not in self._kept_names), group.name)
        )
        name = self._unique_names.new(base)
        self._function_names[id(function)] = name
        scope = _FunctionScope(UniqueNames([*self._function_names.values(), *function.parameter_values]))
        sources = list(group.sources)
        later_uses = _count_later_uses(group.items, self._valid)
        parameters = []
        for index, source in enumerate(sources):
            is_used_later = later_uses.get(source[0], 0) > 0
            variable = (
                ("inputs" if is_used_later else "x")
                if index == 0
                else scope.names.new("skip" if index == 1 else "other")
            )
            scope.variables[_variable_key(source)] = variable
            parameters.append(variable)
        node_numbers = {id(node): place for place, node in enumerate(group.nodes)}
        self._write_body(scope, group.items, function, node_numbers, later_uses)
        _add_return(scope, scope.variables[group.last_node.name])
        return [
            f"def {name}({', '.join([*parameters, *function.parameter_values])}):",
            *_loop_repeats(scope.statements),
        ]

    def build_model_lines(self, items: Sequence[GraphNode | LayerGroup]) -> list[str]:
        """Return the lines of ``build_model``."""
        scope = _FunctionScope(UniqueNames(self._function_names.values()))
        graph = self._valid.graph
        is_single_input = len(graph.inputs) == 1
        for name, tensor in graph.inputs.items():
            variable = "inputs" if is_single_input else scope.names.new(name)
            scope.variables[name] = variable
            call = _input_call(tensor, None if is_single_input and name == "input" else name)
            scope.statements.append((f"{variable} = ", call))
        self._write_body(scope, items, None, {}, _count_later_uses(items, self._valid))
        outputs = [
            self._tensor_expression(scope, source)
            for source in zip(graph.outputs, graph.output_indices, strict=True)
        ]
        input_variables = [scope.variables[name] for name in graph.inputs]
        model = CallExpression(
            "keras.Model",
            (
                input_variables[0] if is_single_input else Brackets("[", tuple(input_variables), "]"),
                outputs[0] if len(outputs) == 1 else Brackets("[", tuple(outputs), "]"),
                NamedValue("name=", quote_string(self._valid.check_result.name)),
            ),
        )
        if outputs == ["x"] and scope.statements[-1][0] == "x = ":
            scope.statements[-1] = ("outputs = ", scope.statements[-1][1])
            model = CallExpression(model.head, (model.arguments[0], "outputs", model.arguments[2]))
        scope.statements.append(("return ", model))
        return ["def build_model():", *_loop_repeats(scope.statements)]

    def _write_body(
        self,
        scope: _FunctionScope,
        items: Sequence[GraphNode | LayerGroup],
        function: BlockFunction | None,
        node_numbers: dict[int, int],
        later_uses: dict[str, int],
    ) -> None:
        for item in _inline_groups(items):
            if isinstance(item, LayerGroup):
                assert item.function is not None
                arguments: list[Expression] = [
                    self._tensor_expression(scope, source) for source in item.sources
                ]
                for name, value in item.function.arguments_for(item).items():
                    arguments.append(
                        NamedValue(
                            f"{name}=", self._parameter_value(item, name, value, function, node_numbers)
                        )
                    )
                call = CallExpression(self._function_names[id(item.function)], tuple(arguments))
                self._assign_call(scope, item.last_node.name, item.name, call, later_uses)
            else:
                replacements = {
                    argument: parameter
                    for (place, argument), parameter in (function.parameter_names.items() if function else ())
                    if place == node_numbers[id(item)]
                }
                self._write_node(scope, item, replacements, later_uses)

    def _parameter_value(
        self,
        group: LayerGroup,
        name: str,
        value: Expression,
        function: BlockFunction | None,
        node_numbers: dict[int, int],
    ) -> Expression:
        """Return an argument of an inner function: a parameter of the outer function if it has one for it."""
        if function is None or group.function is None:
            return value
        nodes = list(group.nodes)
        for (place, argument), parameter in group.function.parameter_names.items():
            if parameter == name:
                return function.parameter_names.get((node_numbers[id(nodes[place])], argument), value)
        return value

    def _write_node(
        self, scope: _FunctionScope, node: GraphNode, replacements: dict[str, str], later_uses: dict[str, int]
    ) -> None:
        arguments = self._call_arguments(scope, node)
        owner = node.reuse_of or node.name
        has_statement = _is_frozen_by_statement(node) or ignores_lora_alpha(node.layer)
        if node.reuse_of is None and (node.name in self._shared_nodes or has_statement):
            variable = scope.names.new(f"{node.name}_layer")
            self._layer_variables[node.name] = variable
            call = _layer_call(node, self._kept_names, replacements)
            scope.statements.append((f"{variable} = ", call))
        if owner in self._layer_variables:
            self._assign_call(
                scope,
                node.name,
                node.name,
                CallExpression(self._layer_variables[owner], tuple(arguments)),
                later_uses,
            )
        else:
            call = _layer_call(node, self._kept_names, replacements)
            self._assign_call(
                scope,
                node.name,
                node.name,
                CallExpression(call.head, call.arguments, tuple(arguments)),
                later_uses,
            )
        if node.reuse_of is None and ignores_lora_alpha(node.layer):
            alpha = f"{self._layer_variables[node.name]}.lora_alpha = {node.layer.arguments()['lora_alpha']}"
            scope.statements.append(("", f"{alpha}  # Keras ignores the argument"))
        if node.reuse_of is None and _is_frozen_by_statement(node):
            scope.statements.append(("", f"{self._layer_variables[node.name]}.trainable = False"))

    def _call_arguments(self, scope: _FunctionScope, node: GraphNode) -> list[Expression]:
        """Return the arguments of the layer's call: one tensor, a list, or separate arguments."""
        sources = list(zip(node.inputs, node.input_indices, strict=True))
        has_several = [self._has_several_outputs(source) for source in sources]
        tensors = [self._tensor_expression(scope, source) for source in sources]
        if node.input_keys is not None or any(
            getattr(node.layer, name) for name in node.layer.call_arguments
        ):
            return self._list_named_arguments(node, tensors)
        if should_squeeze_texts(node, self._valid.shapes):
            return [CallExpression("keras.ops.squeeze", (tensors[0], NamedValue("axis=", "-1")))]
        if len(tensors) == 1 and not has_several[0]:
            return [tensors[0]]
        if len(tensors) == 1 and not node.layer.has_separate_inputs:
            return [tensors[0]]
        unpacked: list[Expression] = [
            f"*{render_inline(one)}" if many else one for one, many in zip(tensors, has_several, strict=True)
        ]
        return unpacked if node.layer.has_separate_inputs else [Brackets("[", tuple(unpacked), "]")]

    def _list_named_arguments(self, node: GraphNode, tensors: list[str]) -> list[Expression]:
        """Return the arguments of a call with named inputs, or with arguments such as ``use_causal_mask``."""
        layer = node.layer
        if isinstance(layer, CustomLayer):
            return [NamedValue(f"{key}=", x) for key, x in zip(node.input_keys or (), tensors, strict=True)]
        positional, named = layer.arrange_inputs(tensors, node.input_keys)
        if "key_padding_mask" in named:
            named["key_mask"] = f"keras.ops.logical_not({named.pop('key_padding_mask')})"
        in_call = {name: str(getattr(layer, name)) for name in layer.call_arguments if getattr(layer, name)}
        return [
            *(Brackets("[", tuple(x), "]") if isinstance(x, list) else x for x in positional),
            *(NamedValue(f"{name}=", _mask_expression(x)) for name, x in {**named, **in_call}.items()),
        ]

    def _has_several_outputs(self, source: NodeOutput) -> bool:
        row = self._valid.shapes.by_name.get(source[0])
        return source[1] is None and row is not None and len(row.outputs) > 1

    def _tensor_expression(self, scope: _FunctionScope, source: NodeOutput) -> str:
        name, pick = source
        if _variable_key(source) in scope.variables:
            return scope.variables[_variable_key(source)]
        variable = scope.variables[name]
        row = self._valid.shapes.by_name.get(name)
        return (
            variable if pick is None or (row is not None and len(row.outputs) == 1) else f"{variable}[{pick}]"
        )

    def _assign_call(
        self,
        scope: _FunctionScope,
        name: str,
        preferred: str,
        call: CallExpression,
        later_uses: dict[str, int],
    ) -> None:
        variable = (
            "x"
            if later_uses.get(name, 0) == 0
            else scope.names.new(_strip_number(preferred.rpartition(".")[2]))
        )
        scope.variables[name] = variable
        scope.statements.append((f"{variable} = ", call))


def _mask_expression(value: Any) -> Expression:
    """Return the value of a named argument: a tensor, or the masks of query and value."""
    if isinstance(value, list):
        return Brackets("[", tuple("None" if item is None else item for item in value), "]")
    text: str = value
    return text


def _variable_key(source: NodeOutput) -> str:
    return source[0] if source[1] is None else f"{source[0]}:{source[1]}"


def _strip_number(name: str) -> str:
    """Return the name without its trailing number."""
    return re.sub(r"_\d+$", "", name)


def _inline_groups(items: Iterable[GraphNode | LayerGroup]) -> list[GraphNode | LayerGroup]:
    """Return the items, with groups that are not function calls replaced by their layers."""
    inlined: list[GraphNode | LayerGroup] = []
    for item in items:
        inlined.extend(
            _inline_groups(item.items) if isinstance(item, LayerGroup) and item.function is None else [item]
        )
    return inlined


def _count_later_uses(items: Iterable[GraphNode | LayerGroup], valid: ValidConfig) -> dict[str, int]:
    """Return the uses of each output and source by statements other than the next one."""
    statements = _inline_groups(items)
    statement_numbers = {
        (item.last_node if isinstance(item, LayerGroup) else item).name: place
        for place, item in enumerate(statements)
    }
    later_uses: dict[str, int] = {}
    for statement_index, item in enumerate(statements):
        sources = (
            item.sources
            if isinstance(item, LayerGroup)
            else list(zip(item.inputs, item.input_indices, strict=True))
        )
        for name, _ in sources:
            if statement_index != statement_numbers.get(name, -1) + 1:
                later_uses[name] = later_uses.get(name, 0) + 1
    for name in valid.graph.outputs:
        if name in statement_numbers and statement_numbers[name] != len(statements) - 1:
            later_uses[name] = later_uses.get(name, 0) + 1
    return later_uses


def _add_return(scope: _FunctionScope, variable: str) -> None:
    """Append a ``return`` statement, or return the last call directly if it made the variable."""
    before, value = scope.statements[-1]
    if before == f"{variable} = ":
        scope.statements[-1] = ("return ", value)
    else:
        scope.statements.append(("return ", variable))


def _loop_repeats(statements: list[tuple[str, Expression]]) -> list[str]:
    """Return the lines of the statements in order, with repeated statements as loops."""
    lines: list[str] = []
    for (before, value), same in groupby(statements):
        count = len(list(same))
        is_function = isinstance(value, CallExpression) and value.called_on is None and "." not in value.head
        if before == "x = " and count >= (2 if is_function else _MIN_LOOP_COUNT):
            lines.append(f"{INDENT}for _ in range({count}):")
            lines += render_statement(value, 2 * INDENT, before=before)
        else:
            lines += [line for _ in range(count) for line in render_statement(value, INDENT, before=before)]
    return lines


def custom_code_imports(valid: ValidConfig) -> list[str]:
    """Return the lines that import custom layers, and losses and other objects of the training."""
    layers = [part.layer for part in valid.custom_layers]
    references = {(each.kind, each.module, each.class_name) for each in layers}
    references |= {(custom.kind, custom.module, custom.class_name) for custom, _ in valid.custom_objects}
    import_lines = set()
    for kind, module, class_name in references:
        name = module.removesuffix(".py").replace("/", ".") if kind == "file" else module
        import_lines.add(f"from {write_module_name(name)} import {class_name}")
    return sorted(import_lines)


def register_nested_classes(valid: ValidConfig) -> list[str]:
    """Return the lines that make classes known to Keras that are nested in other layers, which copy them by name."""
    names = sorted({part.layer.class_name for part in valid.custom_layers if part.path != part.node.path})
    return [f"keras.saving.get_custom_objects()[{quote_string(name)}] = {name}" for name in names]

"""The model as Python: a Sequential of a plain stack, else the Functional API with a function for each repeated block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.config.names import assign_names
from layercli.graph.build import GraphNode
from layercli.layers.base import Layer
from layercli.layers.shapes import Tensor
from layercli.schema.component import snake_case
from layercli.script.block_functions import Function, Group, Source, arguments_of, grouped
from layercli.script.keras_calls import made
from layercli.script.python_source import (
    Call,
    Expression,
    Items,
    Named,
    Names,
    flat,
    literal,
    quoted,
    statement,
)

_INDENT: Final = "    "
_REPEATED: Final = 3
"""Equal lines from which on a loop is shorter."""


def model_functions(valid: ValidConfig, named: Iterable[str]) -> list[str]:
    """The lines of ``build_model`` and of the functions that it calls; layers in ``named`` keep their names."""
    names = {*named, *_names_that_count(valid)}
    items, functions = grouped(valid, names)
    if not functions and _is_stack(valid):
        return _sequential(valid, names)
    writer = _Writer(valid, names)
    lines: list[str] = []
    for function in functions:
        lines += [*writer.function(function), "", ""]
    return [*lines, *writer.build_model(items)]


def _names_that_count(valid: ValidConfig) -> set[str]:
    """Layers that keep their names: those that a person has named outside of blocks, and outputs where there are several."""
    outputs = valid.graph.outputs
    nodes = valid.graph.nodes
    bases = [snake_case(node.type_name.rpartition(":")[2].rpartition(".")[2]) for node in nodes]
    automatic = assign_names([(None, base) for base in bases], valid.graph.inputs)
    generated = re.compile(r"_\d+$")
    own = {
        node.name
        for node, base, auto in zip(nodes, bases, automatic, strict=True)
        if "." not in node.name
        and node.name != auto
        and generated.sub("", node.name) != base
        and node.reuse_of is None
    }
    return own | (set(outputs) if len(outputs) > 1 else set())


def _is_stack(valid: ValidConfig) -> bool:
    """Whether each layer takes the one before alone, and the last gives the model's output."""
    graph = valid.graph
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or graph.output_indices[0] is not None:
        return False
    before = next(iter(graph.inputs))
    for node in graph.nodes:
        several = len(valid.shapes.by_name[node.name].outputs) > 1
        if (
            node.inputs != (before,)
            or node.input_indices != (None,)
            or node.reuse_of
            or several
            or _frozen_apart(node)
        ):
            return False
        before = node.name
    return graph.outputs[0] == before


def _sequential(valid: ValidConfig, names: set[str]) -> list[str]:
    ((_, tensor),) = valid.graph.inputs.items()
    stack = [_input(tensor), *(_layer_call(node, names) for node in valid.graph.nodes)]
    call = Call(
        "keras.Sequential", (Items("[", tuple(stack), "]"), Named("name=", quoted(valid.check_result.name)))
    )
    return ["def build_model():", *statement(call, _INDENT, before="return ")]


def _input(tensor: Tensor, name: str | None = None) -> Call:
    arguments: list[Expression] = [Named("shape=", literal(tuple(tensor.shape[1:])))]
    if name is not None:
        arguments.append(Named("name=", quoted(name)))
    if tensor.dtype != "float32":
        arguments.append(Named("dtype=", quoted(tensor.dtype)))
    return Call("keras.Input", tuple(arguments))


def _frozen_apart(node: GraphNode) -> bool:
    """Whether the layer is frozen and has layers inside, which the constructor's flag does not reach."""
    layer = node.layer
    inner = any(isinstance(value, (Layer, list)) for value in layer.arguments().values())
    return not layer.is_trainable and (
        inner or layer.family in ("attention", "recurrent", "custom", "wrappers")
    )


def _layer_call(node: GraphNode, names: set[str], replaced: dict[str, str] | None = None) -> Call:
    """The call that makes the layer, with parameters of a function in place of arguments."""
    call = made(node.layer, leave=("trainable",) if _frozen_apart(node) else ())
    if replaced:
        call = Call(call.head, tuple(_replaced(argument, node, replaced) for argument in call.arguments))
    if node.name in names:
        name = Named("name=", quoted(node.name))
        call = Call(call.head, (*call.arguments, name))
    return call


def _replaced(argument: Expression, node: GraphNode, replaced: dict[str, str]) -> Expression:
    if isinstance(argument, Named):
        name = argument.name.removesuffix("=")
        return Named(argument.name, replaced[name]) if name in replaced else argument
    first = next(iter(arguments_of(node.layer)))  # the one that is written without its name
    return replaced.get(first, argument)


@dataclass
class _Scope:
    """The body of one function."""

    names: Names
    statements: list[tuple[str, Expression]] = field(default_factory=list)
    """``x = ``, or nothing, and what stands behind it."""
    variables: dict[str, str] = field(default_factory=dict)
    """Node or input -> the variable that holds what it gives."""


class _Writer:
    """Writes functions, and remembers what they are called."""

    def __init__(self, valid: ValidConfig, names: set[str]) -> None:
        self._valid = valid
        self._names = names
        self._functions = Names()
        self._called: dict[int, str] = {}
        self._layers: dict[str, str] = {}
        self._shared = {node.reuse_of for node in valid.graph.nodes if node.reuse_of}

    def function(self, function: Function) -> list[str]:
        """The lines of the function that a block becomes."""
        group = function.groups[0]
        bases = {_base(each.name) for each in function.groups}
        base = (
            bases.pop()
            if len(bases) == 1
            else next((b for b in sorted(bases) if b not in self._names), group.name)
        )
        name = self._functions.new(base)
        self._called[id(function)] = name
        scope = _Scope(Names([*self._called.values(), *function.values]))
        sources = list(group.sources)
        flow = _flow(group.items, self._valid)
        parameters = []
        for index, source in enumerate(sources):
            kept = flow.get(source[0], 0) > 0
            variable = (
                ("inputs" if kept else "x")
                if index == 0
                else scope.names.new("skip" if index == 1 else "other")
            )
            scope.variables[_key(source)] = variable
            parameters.append(variable)
        places = {id(node): place for place, node in enumerate(group.nodes)}
        self._body(scope, group.items, function, places, flow)
        _return(scope, scope.variables[group.last.name])
        return [
            f"def {name}({', '.join([*parameters, *function.values])}):",
            *_looped(scope.statements),
        ]

    def build_model(self, items: Sequence[GraphNode | Group]) -> list[str]:
        """The lines of ``build_model``."""
        scope = _Scope(Names(self._called.values()))
        graph = self._valid.graph
        alone = len(graph.inputs) == 1
        for name, tensor in graph.inputs.items():
            variable = "inputs" if alone else scope.names.new(name)
            scope.variables[name] = variable
            call = _input(tensor, None if alone and name == "input" else name)
            scope.statements.append((f"{variable} = ", call))
        self._body(scope, items, None, {}, _flow(items, self._valid))
        outputs = [
            self._taken(scope, source) for source in zip(graph.outputs, graph.output_indices, strict=True)
        ]
        given = [scope.variables[name] for name in graph.inputs]
        model = Call(
            "keras.Model",
            (
                given[0] if alone else Items("[", tuple(given), "]"),
                outputs[0] if len(outputs) == 1 else Items("[", tuple(outputs), "]"),
                Named("name=", quoted(self._valid.check_result.name)),
            ),
        )
        if outputs == ["x"] and scope.statements[-1][0] == "x = ":
            scope.statements[-1] = ("outputs = ", scope.statements[-1][1])
            model = Call(model.head, (model.arguments[0], "outputs", model.arguments[2]))
        scope.statements.append(("return ", model))
        return ["def build_model():", *_looped(scope.statements)]

    def _body(
        self,
        scope: _Scope,
        items: Sequence[GraphNode | Group],
        function: Function | None,
        places: dict[int, int],
        flow: dict[str, int],
    ) -> None:
        for item in _spread(items):
            if isinstance(item, Group):
                assert item.function is not None
                taken: list[Expression] = [self._taken(scope, source) for source in item.sources]
                for name, value in item.function.arguments(item).items():
                    taken.append(Named(f"{name}=", self._parameter(item, name, value, function, places)))
                call = Call(self._called[id(item.function)], tuple(taken))
                self._assign(scope, item.last.name, item.name, call, flow)
            else:
                replaced = {
                    argument: parameter
                    for (place, argument), parameter in (function.names.items() if function else ())
                    if place == places[id(item)]
                }
                self._node(scope, item, replaced, flow)

    def _parameter(
        self, group: Group, name: str, value: Expression, function: Function | None, places: dict[int, int]
    ) -> Expression:
        """What an inner function is called with: a parameter of the outer one where that stands for it."""
        if function is None or group.function is None:
            return value
        nodes = list(group.nodes)
        for (place, argument), parameter in group.function.names.items():
            if parameter == name:
                return function.names.get((places[id(nodes[place])], argument), value)
        return value

    def _node(self, scope: _Scope, node: GraphNode, replaced: dict[str, str], flow: dict[str, int]) -> None:
        taken = self._arguments(scope, node)
        owner = node.reuse_of or node.name
        if node.reuse_of is None and (node.name in self._shared or _frozen_apart(node)):
            variable = scope.names.new(f"{node.name}_layer")
            self._layers[node.name] = variable
            call = _layer_call(node, self._names, replaced)
            scope.statements.append((f"{variable} = ", call))
        if owner in self._layers:
            self._assign(scope, node.name, node.name, Call(self._layers[owner], tuple(taken)), flow)
        else:
            call = _layer_call(node, self._names, replaced)
            self._assign(scope, node.name, node.name, Call(call.head, call.arguments, tuple(taken)), flow)
        if node.reuse_of is None and _frozen_apart(node):
            scope.statements.append(("", f"{self._layers[node.name]}.trainable = False"))

    def _arguments(self, scope: _Scope, node: GraphNode) -> list[Expression]:
        """What the layer is called on: one tensor, a list, or arguments of their own."""
        sources = list(zip(node.inputs, node.input_indices, strict=True))
        several = [self._gives_several(source) for source in sources]
        taken = [self._taken(scope, source) for source in sources]
        if len(taken) == 1 and not several[0]:
            return [taken[0]]
        if len(taken) == 1 and not node.layer.has_separate_inputs:
            return [taken[0]]
        spread: list[Expression] = [
            f"*{flat(one)}" if many else one for one, many in zip(taken, several, strict=True)
        ]
        return spread if node.layer.has_separate_inputs else [Items("[", tuple(spread), "]")]

    def _gives_several(self, source: Source) -> bool:
        row = self._valid.shapes.by_name.get(source[0])
        return source[1] is None and row is not None and len(row.outputs) > 1

    def _taken(self, scope: _Scope, source: Source) -> str:
        name, pick = source
        if _key(source) in scope.variables:
            return scope.variables[_key(source)]
        variable = scope.variables[name]
        row = self._valid.shapes.by_name.get(name)
        return (
            variable if pick is None or (row is not None and len(row.outputs) == 1) else f"{variable}[{pick}]"
        )

    def _assign(self, scope: _Scope, name: str, wish: str, call: Call, flow: dict[str, int]) -> None:
        variable = "x" if flow.get(name, 0) == 0 else scope.names.new(_base(wish.rpartition(".")[2]))
        scope.variables[name] = variable
        scope.statements.append((f"{variable} = ", call))


def _key(source: Source) -> str:
    return source[0] if source[1] is None else f"{source[0]}:{source[1]}"


def _base(name: str) -> str:
    """The name without the number that tells it from others of its kind."""
    return re.sub(r"_\d+$", "", name)


def _spread(items: Iterable[GraphNode | Group]) -> list[GraphNode | Group]:
    """The items, groups that are no calls of a function written out."""
    found: list[GraphNode | Group] = []
    for item in items:
        found.extend(_spread(item.items) if isinstance(item, Group) and item.function is None else [item])
    return found


def _flow(items: Iterable[GraphNode | Group], valid: ValidConfig) -> dict[str, int]:
    """Of what each statement gives, and each source: 0 where the next statement alone takes it, else more."""
    statements = _spread(items)
    gives = {
        (item.last if isinstance(item, Group) else item).name: place for place, item in enumerate(statements)
    }
    later: dict[str, int] = {}
    for place, item in enumerate(statements):
        sources = (
            item.sources
            if isinstance(item, Group)
            else list(zip(item.inputs, item.input_indices, strict=True))
        )
        for name, _ in sources:
            if place != gives.get(name, -1) + 1:
                later[name] = later.get(name, 0) + 1
    for name in valid.graph.outputs:
        if name in gives and gives[name] != len(statements) - 1:
            later[name] = later.get(name, 0) + 1
    return later


def _return(scope: _Scope, variable: str) -> None:
    """End with ``return``, of the last call itself where that is what is returned."""
    before, value = scope.statements[-1]
    if before == f"{variable} = ":
        scope.statements[-1] = ("return ", value)
    else:
        scope.statements.append(("return ", variable))


def _looped(statements: list[tuple[str, Expression]]) -> list[str]:
    """The lines of statements in order; one that follows itself a few times as a loop."""
    lines: list[str] = []
    for (before, value), same in groupby(statements):
        count = len(list(same))
        is_function = isinstance(value, Call) and value.then is None and "." not in value.head
        if before == "x = " and count >= (2 if is_function else _REPEATED):
            lines.append(f"{_INDENT}for _ in range({count}):")
            lines += statement(value, 2 * _INDENT, before=before)
        else:
            lines += [line for _ in range(count) for line in statement(value, _INDENT, before=before)]
    return lines


def custom_imports(valid: ValidConfig) -> list[str]:
    """The lines that import layers of the user's."""
    found = set()
    for node in valid.graph.nodes:
        layer = node.layer
        if isinstance(layer, CustomLayer) and layer.kind != "keras":
            module = (
                layer.module.removesuffix(".py").replace("/", ".") if layer.kind == "file" else layer.module
            )
            found.add(f"from {module} import {layer.class_name}")
    return sorted(found)

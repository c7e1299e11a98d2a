"""Two models side by side: which layers are the same, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from layercli.config.config import Config
from layercli.config.custom_layers import CustomLayer
from layercli.config.names import INPUT
from layercli.graph.align import Pairs, align, is_numbered
from layercli.graph.build import Node, reference
from layercli.graph.shapes import Row, Shapes
from layercli.layers.registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.layers.shapes import show
from layercli.schema.component import Component
from layercli.schema.strict_model import Strict, plain
from layercli.source.nodes import KeyPath, format_path


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs: None where one side has none."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Pair:
    """A layer of the one model and the layer of the other that stands for it; None where there is none."""

    before: Row | None
    after: Row | None
    differences: list[Difference] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """same, changed, renamed, added or removed."""
        if self.before is None or self.after is None:
            return "added" if self.before is None else "removed"
        if self.renamed is not None and len(self.differences) == 1:
            return "renamed"
        return "changed" if self.differences else "same"

    @property
    def renamed(self) -> Difference | None:
        """The two names, where they differ."""
        return next((difference for difference in self.differences if difference.what == "name"), None)

    @property
    def renumbered(self) -> bool:
        """Whether nothing differs but the number in a name that nobody gave."""
        return (
            self.kind == "renamed"
            and self.before is not None
            and self.after is not None
            and is_numbered(self.before.node)
            and is_numbered(self.after.node)
        )


@dataclass(frozen=True, slots=True)
class Carried:
    """Whether a layer of the second model takes its weights, all of them or none, from the first by its name."""

    reason: str | None
    """Why not; None: it does."""
    was: str | None
    """What the layer that it stands for is called in the first model; None: it is new."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models."""

    config: Config
    shapes: Shapes


def compare(before: Side, after: Side) -> list[Pair]:
    """Every layer of both models, in the order of the second; removed ones stand where they stood."""
    old, new = before.shapes, after.shapes
    matched = align(old, new)
    back = {second: first for first, second in matched.items()}
    wiring = _Wiring(old, new, matched)
    pairs: list[Pair] = []
    told = 0
    stops = [len(old.rows)]  # of each layer of the second model: the one of the first before which it stands
    for number in reversed(range(len(new.rows))):
        stops.append(back.get(number, stops[-1]))
    for number, row in enumerate(new.rows):
        stop = stops[len(new.rows) - number]
        pairs.extend(Pair(old.rows[gone], None) for gone in range(told, stop) if gone not in matched)
        told = max(told, stop)
        found = old.rows[back[number]] if number in back else None
        pairs.append(Pair(found, row, [] if found is None else list(_layer_differences(found, row, wiring))))
    left = range(told, len(old.rows))
    return pairs + [Pair(old.rows[gone], None) for gone in left if gone not in matched]


def setting_differences(before: Side, after: Side, pairs: Sequence[Pair]) -> list[Difference]:
    """Where the two configs differ outside their layers: by path, defaults filled in."""
    old, new = (_settings(side.config) for side in (before, after))
    if None in (old["name"], new["name"]):  # of the file; that is no difference
        del old["name"], new["name"]
    found = [*differences(old, new)]
    first, second = _inputs(before), _inputs(after)
    if [*first] == [*second] == [INPUT]:
        found += differences(first[INPUT], second[INPUT], ("model", "input"))
    else:
        found += differences(first, second, ("model", "inputs"))
    names = {pair.before.node.name: pair.after.node.name for pair in pairs if pair.before and pair.after}
    graphs = before.shapes.graph, after.shapes.graph
    picks = graphs[0].output_picks
    moved = [
        reference(names.get(name, name), pick) for name, pick in zip(graphs[0].outputs, picks, strict=True)
    ]
    if tuple(moved) != graphs[1].output_references:
        outputs = [list(graph.output_references) for graph in graphs]
        found.append(Difference("model.outputs", *outputs))
    return found


def carried_over(before: Shapes, after: Shapes, pairs: Sequence[Pair]) -> dict[str, Carried]:
    """Of each layer of the second model with weights, by its name: whether it takes them from the first."""
    stands_for = {pair.after.node.name: pair.before.node.name for pair in pairs if pair.after and pair.before}
    return {
        row.node.name: Carried(
            _unfit(before.by_name.get(row.node.name), row), stands_for.get(row.node.name)
        )
        for row in after.rows
        if row.weights
    }  # fmt: skip


def _unfit(other: Row | None, row: Row) -> str | None:
    """Why the weights of a layer do not fit into the other of the same name; None: they do."""
    if other is None:
        return "no layer has that name"
    if other.weights is None:
        return "what weights the layer has is unknown"
    if not other.weights:
        return "the layer has no weights" if other.node.shares is None else "the layer has none of its own"
    assert row.weights is not None
    wrong = [
        f"{weight.name} {show(was.shape)} -> {show(weight.shape)}"
        for weight, was in zip(row.weights, other.weights, strict=False)
        if weight.shape != was.shape
    ]
    if len(row.weights) != len(other.weights):
        wrong.append(f"{len(other.weights)} -> {len(row.weights)} weights")
    return ", ".join([*wrong[:2], f"and {len(wrong) - 2} more"] if len(wrong) > 2 else wrong) or None


def differences(before: Any, after: Any, path: KeyPath = ()) -> Iterator[Difference]:
    """Where two values of a config differ; objects of two types differ as a whole."""
    if _is_same_type(before, after):
        before, after = before.arguments(), after.arguments()
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from differences(before.get(key), after.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and _has_parts([*before, *after]):
        for index in range(max(len(before), len(after))):
            old, new = (side[index] if index < len(side) else None for side in (before, after))
            yield from differences(old, new, (*path, index))
    else:
        old, new = short(before), short(after)
        if (old != new or type(old) is not type(new)) and not _same_name(old, new):
            yield Difference(format_path(path), old, new)


def short(value: Any) -> Any:
    """A value as a config may write it: without what is left at its default."""
    if isinstance(value, Component):
        fields = type(value).model_fields
        given = {
            name: short(item)
            for name, item in value.arguments().items()
            if name not in fields or item != fields[name].default
        }
        return {"type": _type(value), **given} if given else _type(value)
    if isinstance(value, (list, tuple)):
        return [short(item) for item in value]
    return plain(value)


def _is_same_type(before: Any, after: Any) -> bool:
    """Whether both are mappings with the same keys, so that each key is compared alone."""
    if isinstance(before, Component) and isinstance(after, Component):
        return bool(_type(before) == _type(after))
    return isinstance(before, Strict) and isinstance(after, Strict)


def _type(component: Component) -> Any:
    """The ``type`` under which a config declares it."""
    return component.reference() if isinstance(component, CustomLayer) else component.type_name()


def _same_name(old: Any, new: Any) -> bool:
    """Whether both are names of one object of Keras, such as zeros and Zeros."""
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    found = ((one.find(old), one.find(new)) for one in (INITIALIZERS, REGULARIZERS, CONSTRAINTS))
    return any(first is not None and first == second for first, second in found)


def _has_parts(values: list[Any]) -> bool:
    """Whether any of them has keys, so that each is compared alone."""
    return any(isinstance(value, (Mapping, Component, Strict)) for value in values)


def _inputs(side: Side) -> dict[str, Any]:
    inputs = side.shapes.graph.inputs.items()
    return {name: {"shape": list(tensor.shape[1:]), "dtype": tensor.dtype} for name, tensor in inputs}


def _settings(config: Config) -> dict[str, Any]:
    # Once more through the parser, so that defaults are the objects that they name.
    return {
        key: value
        for key, value in Config.model_validate(config.plain()).arguments().items()
        if key != "model"
    }


def _layer_differences(before: Row, after: Row, wiring: _Wiring) -> Iterator[Difference]:
    old, new = before.node, after.node
    if old.name != new.name:
        yield Difference("name", old.name, new.name)
    if old.type_name != new.type_name:
        yield Difference("type", short(old.layer), short(new.layer))
    else:
        yield from differences(old.layer, new.layer)
    if wiring.differs(old, new):
        yield Difference("inputs", list(old.references), list(new.references))
    shapes = [[list(tensor.shape) for tensor in row.outputs] for row in (before, after)]
    if shapes[0] != shapes[1]:
        yield Difference("output", *shapes)
    if before.parameters != after.parameters:
        yield Difference("parameters", before.parameters, after.parameters)


class _Wiring:
    """Compares what feeds two layers; one that was put in between, or taken out, is no difference of the next."""

    def __init__(self, before: Shapes, after: Shapes, matched: Pairs) -> None:
        self._names = {
            before.rows[first].node.name: after.rows[second].node.name for first, second in matched.items()
        }
        inputs = [*before.graph.inputs], [*after.graph.inputs]
        if len(inputs[0]) == len(inputs[1]) == 1:
            self._names[inputs[0][0]] = inputs[1][0]
        stays = set(matched.values())
        self._before = _sources(before.rows, [number not in matched for number in range(len(before.rows))])
        self._after = _sources(after.rows, [number not in stays for number in range(len(after.rows))])

    def differs(self, before: Node, after: Node) -> bool:
        """Whether the two take different inputs."""
        shared = before.shares and self._names.get(before.shares, before.shares)
        if shared != after.shares:
            return True
        old, new = _taken(self._before, before), _taken(self._after, after)
        return [(self._names.get(name, name), pick) for name, pick in old] != new


_Source: TypeAlias = tuple[str, int | None]


def _sources(rows: Sequence[Row], between: Sequence[bool]) -> dict[str, _Source]:
    """Of each layer between others that gets all from one of them: that one."""
    found: dict[str, _Source] = {}
    for row, is_between in zip(rows, between, strict=True):
        taken = set(_taken(found, row.node))
        if is_between and len(taken) == 1:
            found[row.node.name] = taken.pop()
    return found


def _taken(sources: Mapping[str, _Source], node: Node) -> list[_Source]:
    taken = zip(node.inputs, node.picks, strict=True)
    return [sources.get(name, (name, pick)) for name, pick in taken]

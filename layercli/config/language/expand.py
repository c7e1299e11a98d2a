"""Variables put in place, blocks and repeats written out: the flat list of layers that a config stands for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, NoReturn, TypeAlias

from layercli.config.language.blocks import BLOCKS, Block, parse_blocks
from layercli.config.language.scopes import Scope, implied, names_in
from layercli.config.language.variables import VARS, Values, interpolate, resolve_variables
from layercli.config.model import MAX_LAYERS
from layercli.config.names import INPUT, PREVIOUS, number_names
from layercli.errors import LayercliError, Problem
from layercli.layers.registry import LAYERS
from layercli.schema.component import snake_case
from layercli.schema.suggestions import did_you_mean
from layercli.source.load import MAX_NODES
from layercli.source.nodes import KeyPath, Node, problem_at, problem_in, quoted, seen_from

Kind: TypeAlias = Literal["layer", "block", "reuse"]

_LAYERS: Final[KeyPath] = ("model", "layers")
_EXPANDED: Final = ("block", "repeat", "with")
_BLOCK_KEYS: Final = ("block", "with", "repeat", "name", "inputs")
_DEEPEST: Final = 50
"""Blocks inside blocks."""
_UNKNOWN: Final = "keras.layers.Unknown"
"""Stands where a block cannot be written out: a layer of which nothing is known."""


def expand(document: Node) -> tuple[Node, list[Problem]]:
    """The document without variables, blocks and repeats, each value with its place; and what is wrong with them.

    Raises:
        LayercliError: it stands for more than a config may hold.
    """
    problems: list[Problem] = []
    assert isinstance(document.value, dict)
    values = resolve_variables(document.value.get(VARS), problems)
    blocks = parse_blocks(document, problems)
    sections = {key: node for key, node in document.value.items() if key not in (VARS, BLOCKS)}
    model = sections.get("model")
    layers = model.find(("layers",)) if model is not None else None
    flat = replace(document, value=sections)
    if layers is None or not isinstance(layers.value, list) or not any(map(_is_expanded, layers.value)):
        return interpolate(flat, values, (), problems), problems
    assert model is not None
    assert isinstance(model.value, dict)
    rest = {key: node for key, node in model.value.items() if key != "layers"}
    flat = interpolate(
        replace(flat, value=sections | {"model": replace(model, value=rest)}), values, (), problems
    )
    model = flat.find(("model",))
    assert isinstance(flat.value, dict)
    assert model is not None
    assert isinstance(model.value, dict)
    expander = _Expander(document, blocks, values, problems)
    inputs = model.find(("inputs",))
    named = list(inputs.value) if inputs is not None and isinstance(inputs.value, dict) else []
    written_out = replace(layers, value=expander.written_out(layers.value, named))
    new = {key: written_out if key == "layers" else model.value[key] for key in [*_in_order(document)]}
    if "outputs" in new:
        new["outputs"] = expander.outputs(new["outputs"])
    return replace(flat, value=flat.value | {"model": replace(model, value=new)}), problems


def _in_order(document: Node) -> list[str]:
    model = document.find(("model",))
    return list(model.value) if model is not None and isinstance(model.value, dict) else []


def entry_names(items: list[Node]) -> list[str]:
    """Names by which ``--set`` addresses entries: given ones, else those that layers will have."""
    return number_names([_described(item)[1:] for item in items])


def _is_expanded(item: Node) -> bool:
    return isinstance(item.value, dict) and any(key in item.value for key in _EXPANDED)


def _described(item: Node) -> tuple[Kind, str | None, str]:
    """What an entry is, the name that it is given, and the base of one that it is not given."""
    value = item.value if isinstance(item.value, dict) else {"type": item}
    kind: Kind = (
        "block" if "block" in value else "reuse" if "reuse" in value and "type" not in value else "layer"
    )
    named = value.get("name")
    given = named.value if named is not None and isinstance(named.value, str) else None
    head = value.get({"layer": "type"}.get(kind, kind))
    text = head.value if head is not None and isinstance(head.value, str) else ""
    if kind == "layer":
        text = snake_case(LAYERS.find(text) or text.rpartition(":")[2].rpartition(".")[2])
    return kind, given, text.rpartition(".")[2] or kind


@dataclass(frozen=True, slots=True)
class _Entry:
    """An item of a list of layers, with variables and parameters in place."""

    raw: Node
    node: Node
    path: KeyPath
    kind: Kind
    given: str | None
    base: str
    repeat: int

    @property
    def value(self) -> dict[str, Node]:
        return self.node.value if isinstance(self.node.value, dict) else {"type": self.node}


@dataclass(frozen=True, slots=True)
class _Use:
    """A block with its parameters, and the instances that it stands for."""

    block: Block
    values: Values
    owners: dict[str, Scope | None]
    instances: tuple[str, ...]


class _Expander:
    """Writes entries out one after the other."""

    def __init__(
        self, document: Node, blocks: dict[str, Block], variables: Values, problems: list[Problem]
    ) -> None:
        self._document = document
        self._blocks = blocks
        self._variables = variables
        self._problems = problems
        self._flat: list[Node] = []
        self._size = 0
        self._outputs: dict[str, str] = {}
        self._uses: dict[str, _Use] = {}
        self._open: list[str] = []
        self._last: tuple[str, ...] | None = None
        self._top = Scope("", variables, self._outputs)

    def written_out(self, items: list[Node], inputs: list[str]) -> list[Node]:
        """The layers that the entries stand for; ``inputs`` are names that are taken."""
        self._stack(items, self._top, _LAYERS, inputs)
        return self._flat

    def outputs(self, node: Node) -> Node:
        """``model.outputs`` by the names of layers."""
        if isinstance(node.value, str):
            return replace(node, value=self._top.resolve(node.value)[0])
        if isinstance(node.value, list):
            return replace(node, value=[self.outputs(child) for child in node.value])
        return node

    def _stack(self, items: list[Node], scope: Scope, path: KeyPath, others: list[str] | None = None) -> None:
        entries = [self._entry(item, (*path, index), scope) for index, item in enumerate(items)]
        listed: list[tuple[str | None, str]] = []
        for entry in entries:
            if len(listed) + entry.repeat > MAX_LAYERS:
                self._too_much(entry)
            for number in range(1, entry.repeat + 1):
                numbered = (
                    entry.given if entry.repeat == 1 or entry.given is None else f"{entry.given}_{number}"
                )
                listed.append((numbered, entry.base))
        given = [entry.given for entry in entries if entry.given is not None]
        names = iter(number_names(listed, [*(others or ()), *given]))
        for entry in entries:
            self._emit(entry, tuple(next(names) for _ in range(entry.repeat)), scope)

    def _entry(self, raw: Node, path: KeyPath, scope: Scope) -> _Entry:
        node = interpolate(raw, scope.values, path, self._problems)
        kind, given, base = _described(node)
        entry = _Entry(raw, node, path, kind, given, base, 1)
        repeat = entry.value.get("repeat")
        if repeat is None or repeat.value is None:
            return entry
        if isinstance(repeat.value, int) and not isinstance(repeat.value, bool) and repeat.value > 0:
            return replace(entry, repeat=repeat.value)
        message = f"`repeat` is {quoted(repeat.plain())}; it must be a positive whole number."
        self._report(entry, ("repeat",), "wrong-type", message, "For example `repeat: 3`.")
        return entry

    def _emit(self, entry: _Entry, instances: tuple[str, ...], scope: Scope) -> None:
        use = self._use(entry, scope)
        for number, local in enumerate(instances):
            inputs = self._inputs(entry, scope, first=number == 0)
            if use is None:
                self._add(entry, self._keys(entry, scope), local, inputs, scope)
            else:
                self._block(entry, use, local, inputs, scope)
            assert self._last is not None
            scope.previous = self._last
            self._outputs[scope.prefix + local] = self._last[0]
        if entry.given is not None:
            self._outputs[scope.prefix + entry.given] = self._outputs[scope.prefix + instances[-1]]
            if use is not None and len(instances) > 1:
                made = [self._uses[scope.prefix + local] for local in instances]
                every = tuple(name for one in made for name in one.instances)
                self._uses[scope.prefix + entry.given] = replace(use, instances=every)

    def _add(
        self, entry: _Entry, keys: dict[str, Node], local: str, inputs: Node | None, scope: Scope
    ) -> None:
        """Write one layer out."""
        name = scope.prefix + local
        node, mark = entry.node, entry.node.mark
        if scope.reusing is not None and entry.kind == "layer":
            keys = {"reuse": Node(scope.reusing + local, mark)}
        if entry.given is not None or "name" not in keys:
            keys = keys | {"name": replace(keys.get("name", Node(None, mark)), value=name)}
        if inputs is not None:
            keys = keys | {"inputs": inputs}
        elif "inputs" in keys and len(names_in(keys["inputs"])) == 1:  # of the first repetition only
            keys = {key: child for key, child in keys.items() if key != "inputs"}
        size = 1 + sum(child.size for child in keys.values())
        depth = 1 + max(child.depth for child in keys.values())
        through = " ".join(told for told in (node.through, scope.through) if told) or None
        self._flat.append(Node(keys, mark, node.keys, size, depth, node.written or entry.path, through))
        self._size += size
        self._outputs[name] = name
        self._last = (name,)
        if len(self._flat) > MAX_LAYERS or self._size > MAX_NODES:
            self._too_much(entry)

    def _keys(self, entry: _Entry, scope: Scope) -> dict[str, Node]:
        """The keys of a layer, its wiring apart."""
        if entry.kind == "block":
            return {"type": Node(_UNKNOWN, entry.node.mark)}
        if "with" in entry.value:
            self._report(entry, ("with",), "unknown-key", "`with` gives parameters to a block; this is a layer.",
                         "Write arguments of a layer beside its `type`.", at_key=True)  # fmt: skip
        keys = {key: child for key, child in entry.value.items() if key not in _EXPANDED}
        if entry.kind == "reuse" and isinstance(name := keys["reuse"].value, str):
            keys["reuse"] = replace(
                keys["reuse"], value=scope.owner(entry.raw.find(("reuse",))).resolve(name)[0]
            )
        return keys

    def _block(self, entry: _Entry, use: _Use, local: str, inputs: Node | None, scope: Scope) -> None:
        """Write one instance of a block out, or call all layers of earlier instances again."""
        self._open.append(use.block.name)
        sources = names_in(inputs) if inputs is not None else scope.previous or (INPUT,)
        through = self._through(entry, use.block, scope)
        count = len(use.instances) or 1
        made = []
        for number in range(count):
            prefix = f"{scope.prefix}{local}" + (f"_{number + 1}" if count > 1 else "")
            reusing = f"{use.instances[number]}." if use.instances else None
            if reusing is None and scope.reusing is not None:
                reusing = f"{scope.reusing}{local}."
            inner = Scope(f"{prefix}.", use.values, self._outputs, self._top, inputs=sources, previous=sources,
                          reusing=reusing, through=through)  # fmt: skip
            inner.owners = {name: owner or inner for name, owner in use.owners.items()}
            self._stack(use.block.layers, inner, (*use.block.path, "layers"))
            assert self._last is not None
            sources = self._last
            made.append(prefix)
        self._uses[scope.prefix + local] = replace(use, instances=tuple(made))
        self._open.pop()

    def _through(self, entry: _Entry, block: Block, scope: Scope) -> str:
        inside = f", {scope.through[0].lower()}{scope.through[1:]}" if scope.through else "."
        told = (
            f"In the block `{block.name}`, used at {seen_from(entry.node.mark, block.layers[0].mark)}{inside}"
        )
        return f"{told} {block.through}" if block.through and block.through not in told else told

    def _use(self, entry: _Entry, scope: Scope) -> _Use | None:
        """The block that an entry uses, or calls again; None where it is a layer, or malformed."""
        if entry.kind == "reuse" and isinstance(name := entry.value["reuse"].value, str):
            owner = scope.owner(entry.raw.find(("reuse",)))
            return self._uses.get(owner.prefix + name) or self._uses.get(name)
        if entry.kind != "block":
            return None
        named = entry.value["block"].value
        if not isinstance(named, str) or named not in self._blocks:
            listed = ", ".join(f"`{name}`" for name in self._blocks)
            otherwise = (
                f"Known are {listed}."
                if listed
                else "Declare it at the top: `blocks: {name: {layers: [...]}}`."
            )
            hint = (
                did_you_mean(named, [*self._blocks], otherwise=otherwise)
                if isinstance(named, str)
                else otherwise
            )
            message = f"There is no block {quoted(entry.value['block'].plain())}."
            self._report(entry, ("block",), "unknown-block", message, hint)
            return None
        if len(self._open) >= _DEEPEST:
            self._report(entry, ("block",), "too-deep", f"Blocks stand in blocks deeper than {_DEEPEST} levels here.",
                         "Write some of the layers out.")  # fmt: skip
            return None
        if named in self._open:
            circle = " -> ".join([*self._open[self._open.index(named) :], named])
            self._report(entry, ("block",), "block-cycle", f"The block `{named}` holds itself: {circle}.",
                         "Use another block here, or the layers themselves.")  # fmt: skip
            return None
        return self._parameters(entry, self._blocks[named], scope)

    def _parameters(self, entry: _Entry, block: Block, scope: Scope) -> _Use | None:
        """The block with values for all its parameters; None where one is missing."""
        for key in entry.value:
            if key not in _BLOCK_KEYS:
                hint = f"Give it to the block: `with: {{{key}: ...}}`." if key in block.params else did_you_mean(
                    key, _BLOCK_KEYS, otherwise="Change the layers inside the block, or give it a parameter."
                )  # fmt: skip
                message = f"The use of a block has no key {quoted(key)}."
                self._report(entry, (key,), "unknown-key", message, hint, at_key=True)
        given = entry.value.get("with")
        if given is not None and given.value is not None and not isinstance(given.value, dict):
            message = f"`with` is {quoted(given.plain())}; it must map parameters to values."
            self._report(entry, ("with",), "wrong-type", message, "For example `with: {filters: 64}`.")
            given = None
        values: dict[str, Node] = {}
        owners: dict[str, Scope | None] = {}
        for name, node in given.value.items() if given is not None and isinstance(given.value, dict) else ():
            if name not in block.params:
                listed = ", ".join(f"`{param}`" for param in block.params)
                otherwise = f"It has {listed}." if listed else "It has no parameters."
                self._report(entry, ("with", name), "unknown-key", f"The block `{block.name}` has no parameter {quoted(name)}.",
                             did_you_mean(name, [*block.params], otherwise=otherwise), at_key=True)  # fmt: skip
            values[name] = replace(node, written=node.written or (*entry.path, "with", name))
            owners[name] = scope.owner(entry.raw.find(("with", name)))
        missing = False
        for name, default in block.params.items():
            if name in values:
                continue
            if default is None:
                missing = True
                message = f"The block `{block.name}` needs the parameter `{name}`."
                self._report(entry, ("block",), "missing-key", message, f"Add `with: {{{name}: ...}}`.")
                continue
            values[name] = interpolate(default, self._variables, default.written or (), self._problems)
            owners[name] = None
        return None if missing else _Use(block, Values(values, block.name, self._variables), owners, ())

    def _inputs(self, entry: _Entry, scope: Scope, *, first: bool) -> Node | None:
        """What an instance takes, by the names of layers; None: the layer that is written before it."""
        node = entry.value.get("inputs")
        if node is not None and (first or PREVIOUS in names_in(node)):
            return scope.rewired(node, entry.raw.find(("inputs",)))
        if node is not None and isinstance(node.value, (list, dict)) and len(node.value) > 1:
            message = (
                "With `repeat` one of several inputs must be `previous`, the output of the repetition before."
            )
            self._report(
                entry, ("inputs",), "bad-argument", message, "Write `previous` in place of one of them."
            )
        before = scope.previous if scope.previous != self._last else None
        return None if before is None else implied(before, entry.node.mark)

    def _report(
        self, entry: _Entry, steps: KeyPath, code: str, message: str, hint: str, *, at_key: bool = False
    ) -> None:
        node = replace(entry.node, written=entry.node.written or entry.path)
        self._problems.append(problem_in(node, steps, code, message, hint=hint, at_key=at_key))

    def _too_much(self, entry: _Entry) -> NoReturn:
        most = f"{MAX_NODES:,} values" if self._size > MAX_NODES else f"{MAX_LAYERS:,} layers"
        message = f"Written out, the blocks and repeats of this config have more than {most}."
        problem = problem_at(
            entry.node.mark, "out-of-range", message, hint="Use smaller numbers as `repeat`.", path=entry.path
        )
        raise LayercliError([*self._problems, problem])

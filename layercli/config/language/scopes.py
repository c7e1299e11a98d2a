"""Where a name of a layer is looked up: at the top of the model, or in one instance of a block."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from layercli.config.language.variables import Values, whole_reference
from layercli.config.names import INPUT, PREVIOUS
from layercli.source.nodes import Mark, Node


@dataclass(slots=True)
class Scope:
    """The names of one list of layers; those of a block are its own."""

    prefix: str
    values: Values
    outputs: dict[str, str]
    """Full name of a layer or block, of all that are written out so far -> the layer whose output it stands for."""
    top: Scope | None = None
    """The scope around all blocks; None: this one."""
    owners: dict[str, Scope] = field(default_factory=dict)
    """The scope in which a parameter's value was written, and in which names in it are looked up."""
    inputs: tuple[str, ...] | None = None
    """What `input` is; None: the model's."""
    previous: tuple[str, ...] | None = None
    """What `previous` is; None: the model's input."""
    reusing: str | None = None
    """The prefix of the layers that are called again instead of new ones."""
    through: str | None = None
    """By which block its layers came, as a sentence."""

    def resolve(self, name: str) -> tuple[str, ...]:
        """The layers or inputs that a name stands for here; one that is not known stays as it is."""
        head, colon, index = name.partition(":")
        if head == PREVIOUS and self.previous is not None:
            found: tuple[str, ...] = self.previous
        elif head == INPUT and self.inputs is not None:
            found = self.inputs
        else:
            found = (self.outputs.get(self.prefix + head) or self.outputs.get(head, head),)
        return tuple(f"{one}:{index}" for one in found) if colon else found

    def owner(self, raw: Node | None) -> Scope:
        """The scope in which a value was written: that of a parameter's value, or this one."""
        name = whole_reference(raw) if raw is not None else None
        return self if name is None else self.owners.get(name) or self.top or self

    def rewired(self, node: Node, raw: Node | None) -> Node:
        """``inputs`` by the names of layers; ``raw`` is what stood there before parameters were put in place."""
        owner = self.owner(raw)
        if isinstance(node.value, str):
            return inputs_of(owner.resolve(node.value), node)
        wired: list[tuple[str | int, Node]] = []
        for step, child in node.steps:
            own = owner.owner(raw.find((step,)) if raw is not None and owner is self else None)
            names = own.resolve(child.value) if isinstance(child.value, str) else ()
            wired.append((step, inputs_of(names, child) if names else child))
        if isinstance(node.value, dict):
            return replace(node, value={str(key): child for key, child in wired})
        if isinstance(node.value, list):  # `input` may stand for several
            return replace(node, value=[one for _, child in wired for one in _listed(child)])
        return node


def _listed(node: Node) -> list[Node]:
    return node.value if isinstance(node.value, list) else [node]


def inputs_of(names: tuple[str, ...], node: Node) -> Node:
    """``inputs`` with these names, in place of ``node``."""
    if len(names) == 1:
        return replace(node, value=names[0], size=1, depth=0)
    return replace(node, value=[Node(name, node.mark) for name in names], size=1 + len(names), depth=1)


def implied(names: tuple[str, ...], mark: Mark) -> Node:
    """``inputs`` with these names, where none were written."""
    return inputs_of(names, Node(None, mark))


def names_in(node: Node) -> tuple[str, ...]:
    """The names that an ``inputs`` holds."""
    listed = [child for _, child in node.steps] or [node]
    return tuple(child.value for child in listed if isinstance(child.value, str))

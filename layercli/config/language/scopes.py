"""Scopes of layer names: the top of the model, or one instance of a block."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from layercli.config.language.variables import VariableBindings, match_sole_reference
from layercli.config.names import INPUT, PREVIOUS
from layercli.source.nodes import Mark, YamlNode

MAX_INPUTS: Final = 10_000
"""Most names in ``inputs`` of a layer or block; ``input`` can mean several layers, and multiplies in each block."""


class TooManyInputsError(Exception):
    """More than ``MAX_INPUTS`` names in ``inputs``."""


@dataclass(slots=True)
class NameScope:
    """The names in one list of layers; each instance of a block has a separate scope."""

    prefix: str
    bindings: VariableBindings
    outputs: dict[str, str]
    """Full name of each layer or block expanded so far -> the layer that returns its output."""
    top_scope: NameScope | None = None
    """The scope around all blocks; None for this scope."""
    value_scopes: dict[str, NameScope] = field(default_factory=dict)
    """The scope in which the value of each parameter was written, which resolves the names in it."""
    inputs: tuple[str, ...] | None = None
    """The layers that ``input`` names; None for the model's input."""
    previous: tuple[str, ...] | None = None
    """The layers that ``previous`` names; None for the model's input."""
    reuse_prefix: str | None = None
    """The prefix of the layers to reuse instead of new layers."""
    via: str | None = None
    """A sentence that names the block of its layers."""

    def resolve_name(self, name: str) -> tuple[str, ...]:
        """Return the layers or inputs that a name refers to; an unknown name stays unchanged."""
        head, colon, index = name.partition(":")
        if head == PREVIOUS and self.previous is not None:
            sources: tuple[str, ...] = self.previous
        elif head == INPUT and self.inputs is not None:
            sources = self.inputs
        else:
            sources = (self.outputs.get(self.prefix + head) or self.outputs.get(head, head),)
        return tuple(f"{one}:{index}" for one in sources) if colon else sources

    def find_defining_scope(self, raw: YamlNode | None) -> NameScope:
        """Return the scope in which a value was written: the scope of a parameter's value, or this scope."""
        name = match_sole_reference(raw) if raw is not None else None
        return self if name is None else self.value_scopes.get(name) or self.top_scope or self

    def rewire_inputs(self, node: YamlNode, raw: YamlNode | None) -> YamlNode:
        """Return ``inputs`` with full layer names.

        Args:
            node: The value after parameter substitution.
            raw: The value before parameter substitution.

        Raises:
            TooManyInputsError: there are more than ``MAX_INPUTS`` names.
        """
        node_scope = self.find_defining_scope(raw)
        if isinstance(node.value, str):
            return make_inputs(node_scope.resolve_name(node.value), node)
        rewired: list[tuple[str | int, YamlNode]] = []
        count = 0
        for step, child in node.children:
            child_scope = node_scope.find_defining_scope(
                raw.find((step,)) if raw is not None and node_scope is self else None
            )
            names = child_scope.resolve_name(child.value) if isinstance(child.value, str) else ()
            count += len(names)
            if count > MAX_INPUTS:
                raise TooManyInputsError
            rewired.append((step, make_inputs(names, child) if names else child))
        if isinstance(node.value, dict):
            return replace(node, value={str(key): child for key, child in rewired})
        if isinstance(node.value, list):  # `input` can refer to several layers
            return replace(node, value=[one for _, child in rewired for one in _as_node_list(child)])
        return node


def _as_node_list(node: YamlNode) -> list[YamlNode]:
    return node.value if isinstance(node.value, list) else [node]


def make_inputs(names: tuple[str, ...], node: YamlNode) -> YamlNode:
    """Return ``inputs`` with these names and the position of ``node``."""
    if len(names) == 1:
        return replace(node, value=names[0], size=1, depth=0)
    return replace(node, value=[YamlNode(name, node.mark) for name in names], size=1 + len(names), depth=1)


def make_implied_inputs(names: tuple[str, ...], mark: Mark) -> YamlNode:
    """Return ``inputs`` with these names for an entry without ``inputs``."""
    return make_inputs(names, YamlNode(None, mark))


def list_input_names(node: YamlNode) -> tuple[str, ...]:
    """Return the names in an ``inputs`` value."""
    nodes = [child for _, child in node.children] or [node]
    return tuple(child.value for child in nodes if isinstance(child.value, str))

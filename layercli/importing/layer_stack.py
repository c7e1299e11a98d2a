"""A model as a list of layer entries that refer to each other directly; names are assigned later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

INPUT: Final = "input"


@dataclass(eq=False, slots=True)
class StackEntry:
    """A layer, a use of a block, or a repeated call of either."""

    kind: Literal["layer", "block", "reuse"]
    type: str
    """Keras's class name, or the name of the block; a repeated call has the type of the first call."""
    wires: list[Wire]
    args: dict[str, Any] = field(default_factory=dict)
    """Arguments that differ from their defaults; for a block its parameters, which may be wires."""
    name: str | None = None
    """The name that the user chose; None if Keras generated it."""
    layer_path: tuple[str, ...] = ()
    """Names of the layer and of the models around it in the original model."""
    reused_entry: StackEntry | None = None
    """The entry that is called again."""
    body: list[StackEntry] = field(default_factory=list)
    """The layers of a model that is used as one layer."""
    repeat: int = 1
    name_hint: str | None = None
    """A name to use if other entries refer to this one."""

    def iterate_wires(self) -> Iterator[Wire]:
        """Yield the wires of its inputs, and those in the parameters of a block."""
        yield from self.wires
        yield from (value for value in self.args.values() if isinstance(value, Wire))

    def redirect_wires(self, replacements: Mapping[StackEntry, StackEntry]) -> None:
        """Connect the wires that come from replaced entries to their replacements."""
        self.wires = [wire.redirect(replacements) for wire in self.wires]
        self.args = {
            key: value.redirect(replacements) if isinstance(value, Wire) else value
            for key, value in self.args.items()
        }


@dataclass(frozen=True, slots=True)
class Wire:
    """One input: the source, the index of the source's output, and the layer's name for the input."""

    source: WireSource
    output_index: int | None = None
    input_name: str | None = None

    def redirect(self, replacements: Mapping[StackEntry, StackEntry]) -> Wire:
        """Return the wire from the replacement of its source, or the wire itself."""
        if isinstance(self.source, StackEntry) and self.source in replacements:
            return Wire(replacements[self.source], self.output_index, self.input_name)
        return self


@dataclass(frozen=True, slots=True)
class BlockParameter:
    """A parameter of a block, used as a value or as a source."""

    name: str


WireSource: TypeAlias = StackEntry | BlockParameter | str
"""An entry, a parameter that names one, or an input of the model; inside a block, ``input`` is the block's input."""


@dataclass(slots=True)
class LayerStack:
    """A complete model."""

    inputs: dict[str, dict[str, Any]]
    """Name -> shape without the batch axis, and dtype."""
    items: list[StackEntry]
    outputs: list[Wire]
    name: str | None = None
    keras_output_names: list[str] = field(default_factory=list)
    """Keras's names of the outputs: those of the layers that produce them."""

"""The entries of a list of layers, wired by reference until they get their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

INPUT: Final = "input"


@dataclass(eq=False, slots=True)
class StackEntry:
    """A layer, the use of a block, or a call of either once more."""

    kind: Literal["layer", "block", "reuse"]
    type: str
    """Keras's class name; of a block its name; of a call once more the same as there."""
    wires: list[Wire]
    args: dict[str, Any] = field(default_factory=dict)
    """Arguments that are not the default; of a block its parameters, which may be wires."""
    name: str | None = None
    """The name that was given to it; None: one that Keras made up."""
    layer_path: tuple[str, ...] = ()
    """The layer in the original model, inside the models that hold it."""
    reused_entry: StackEntry | None = None
    """What is called once more."""
    body: list[StackEntry] = field(default_factory=list)
    """The layers of a model that is used as one layer."""
    repeat: int = 1
    name_hint: str | None = None
    """A name for it, where one is needed."""

    def iterate_wires(self) -> Iterator[Wire]:
        """What feeds it, and what its block's parameters name."""
        yield from self.wires
        yield from (value for value in self.args.values() if isinstance(value, Wire))


@dataclass(frozen=True, slots=True)
class Wire:
    """One input: whose output, which of several, and what the layer calls it."""

    source: WireSource
    output_index: int | None = None
    input_name: str | None = None

    @property
    def tensor(self) -> tuple[WireSource, int | None]:
        """The tensor."""
        return self.source, self.output_index


@dataclass(frozen=True, slots=True)
class BlockParameter:
    """A parameter of a block, in place of a value or of a source."""

    name: str


WireSource: TypeAlias = StackEntry | BlockParameter | str
"""An item, a parameter that names one, or an input of the model; `input` inside a block is the block's."""


@dataclass(slots=True)
class LayerStack:
    """A whole model."""

    inputs: dict[str, dict[str, Any]]
    """Name -> shape without the batch axis, and dtype."""
    items: list[StackEntry]
    outputs: list[Wire]
    name: str | None = None
    keras_output_names: list[str] = field(default_factory=list)
    """What Keras calls the outputs: by the layers that give them."""

"""What an output means, by the loss that it was trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from layercli.config.config import Config
from layercli.graph.checks.loss import BINARY_LOSSES, ONE_HOT_LOSSES, SPARSE_LOSSES, resolve_loss_name
from layercli.graph.shapes import ModelShapes


@dataclass(frozen=True, slots=True)
class OutputKind:
    """How the numbers of an output are to be read."""

    kind: Literal["classes", "two", "numbers"]
    """A probability for each class; that of the second of two; or numbers of another kind."""
    is_logits: bool = False
    """Whether they are logits yet, not probabilities."""


def infer_output_kind(config: Config, shapes: ModelShapes, index: int) -> OutputKind:
    """What the output of that number means."""
    graph, train = shapes.graph, config.train
    output = shapes.output(graph.outputs[index], graph.output_indices[index])
    loss = train.loss_of(graph.output_references[index]) if train is not None else None
    if loss is None or output is None or output.rank != 2:
        return OutputKind("numbers")
    name, is_logits = resolve_loss_name(loss, output), bool(getattr(loss, "from_logits", False))
    if name in SPARSE_LOSSES | ONE_HOT_LOSSES - {"CategoricalHinge"} and output.shape[-1] != 1:
        return OutputKind("classes", is_logits)
    return (
        OutputKind("two", is_logits)
        if name in BINARY_LOSSES and output.shape[-1] == 1
        else OutputKind("numbers")
    )

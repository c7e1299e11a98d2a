"""The meaning of an output's values, inferred from its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from layercli.config.config import Config
from layercli.graph.shapes import ModelShapes
from layercli.graph.target_meaning import (
    BINARY_LOSSES,
    MARGIN_LOSSES,
    ONE_HOT_LOSSES,
    SPARSE_LOSSES,
    resolve_loss_name,
)


@dataclass(frozen=True, slots=True)
class OutputKind:
    """The meaning of an output's values."""

    kind: Literal["classes", "two", "sign", "numbers"]
    """One probability for each class, the probability of the second of two classes, a number whose sign is the class, or
    other numbers."""
    is_logits: bool = False
    """Whether the values are logits, not probabilities."""


def infer_output_kind(config: Config, shapes: ModelShapes, index: int) -> OutputKind:
    """Return the kind of the output at an index of ``model.outputs``."""
    graph, train = shapes.graph, config.train
    output = shapes.output(graph.outputs[index], graph.output_indices[index])
    loss = train.loss_of(graph.output_references[index]) if train is not None else None
    if loss is None or output is None or output.rank != 2:
        return OutputKind("numbers")
    name, is_logits = resolve_loss_name(loss, output), bool(getattr(loss, "from_logits", False))
    if name in SPARSE_LOSSES | ONE_HOT_LOSSES - {"CategoricalHinge"} and output.shape[-1] != 1:
        return OutputKind("classes", is_logits)
    if output.shape[-1] == 1 and name in BINARY_LOSSES | MARGIN_LOSSES:
        return OutputKind("two" if name in BINARY_LOSSES else "sign", is_logits)
    return OutputKind("numbers")

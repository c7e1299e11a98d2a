"""The meaning of an output's values, inferred from its loss and the target of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from layercli.config.config import Config
from layercli.graph.target_meaning import (
    BINARY_LOSSES,
    MARGIN_LOSSES,
    ONE_HOT_LOSSES,
    OVERLAP_LOSSES,
    SPARSE_LOSSES,
    TargetKind,
    has_last_class_axis,
    resolve_loss_name,
)
from layercli.layers.shapes import Shape, Tensor


@dataclass(frozen=True, slots=True)
class OutputKind:
    """The meaning of an output's values."""

    kind: Literal["classes", "two", "labels", "sign", "numbers"]
    """One probability for each class, the probability of the second of two classes, one of each label, a number whose sign
    is the class, or other numbers."""
    logits: Literal["sigmoid", "softmax"] | None = None
    """The function that makes probabilities of the values; None if they are not logits."""


def infer_output_kind(
    config: Config,
    title: str,
    shape: Shape,
    *,
    target_kind: TargetKind | None = None,
    activation: str | None = None,
) -> OutputKind:
    """Return the kind of an output.

    Args:
        config: The config of the run.
        title: The output, as ``model.outputs`` names it.
        shape: Its shape, with the batch axis.
        target_kind: What the target was in training; None if it is unknown.
        activation: The activation of its layer; None if it is unknown.
    """
    loss = config.train.loss_of(title) if config.train is not None else None
    if loss is None or len(shape) < 2:
        return OutputKind("numbers")
    name, units, has_positions = resolve_loss_name(loss, Tensor(shape)), shape[-1], len(shape) > 2
    is_logits = bool(getattr(loss, "from_logits", False))
    if not has_last_class_axis(loss, len(shape)):
        return OutputKind("numbers")
    if name in SPARSE_LOSSES | ONE_HOT_LOSSES - {"CategoricalHinge"} and units != 1:
        return OutputKind("classes", "softmax" if is_logits else None)
    if name in MARGIN_LOSSES and units == 1 and not has_positions:
        return OutputKind("sign")
    logits: Literal["sigmoid"] | None = "sigmoid" if is_logits else None
    if name in BINARY_LOSSES and units == 1 and not has_positions and target_kind is None:
        return OutputKind("two", logits)
    if name in BINARY_LOSSES | OVERLAP_LOSSES:
        if units == 1 and target_kind in ("binary", "labels", "multi-label"):
            return OutputKind("two", logits)
        if units != 1 and target_kind in ("one-hot", "multi-label"):
            is_choice = target_kind == "one-hot" and (activation == "softmax" or name in OVERLAP_LOSSES)
            return OutputKind("classes" if is_choice else "labels", logits)
    return OutputKind("numbers", logits if name in BINARY_LOSSES else None)

"""The meaning of an output's values, inferred from its loss and the target of training; predictions and results follow it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from layercli.config.config import Config
from layercli.config.training.custom_objects import CustomObject
from layercli.graph.target_meaning import (
    BINARY_LOSSES,
    EMBEDDING_LOSSES,
    MARGIN_LOSSES,
    ONE_HOT_LOSSES,
    OVERLAP_LOSSES,
    SPARSE_LOSSES,
    TargetKind,
    has_last_class_axis,
    resolve_loss_name,
)
from layercli.layers.shapes import Shape, Tensor
from layercli.schema.component import Component

_PROBABILITY_LOSSES: Final = (
    SPARSE_LOSSES | ONE_HOT_LOSSES - {"CategoricalHinge"} | BINARY_LOSSES | OVERLAP_LOSSES
)
PROBABILITY_ACTIVATIONS: Final = ("sigmoid", "softmax", "hard_sigmoid", "sparse_sigmoid", "sparsemax")


class OutputKind(NamedTuple):
    """The meaning of an output's values."""

    kind: Literal["classes", "two", "labels", "sign", "numbers"]
    """A score of each class, the score of the second of two classes, one of each label, a number whose sign is the class, or
    other numbers."""
    logits: Literal["sigmoid", "softmax"] | None = None
    """The function that makes probabilities of the values; None if they are not logits."""
    has_probabilities: bool = True
    """Whether the scores are probabilities."""
    threshold: float = 0.5
    """A score above it means the second class, or the label."""


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
    if loss is None or len(shape) < 2 or not has_last_class_axis(loss, len(shape)):
        return OutputKind("numbers")
    name = resolve_loss_name(loss, Tensor(shape))
    if name in EMBEDDING_LOSSES:
        return OutputKind("numbers")
    has_probabilities = name in _PROBABILITY_LOSSES or activation in PROBABILITY_ACTIVATIONS
    if shape[-1] == 1:
        is_single = len(shape) == 2
        return _infer_of_one_unit(name, loss, target_kind, has_probabilities, is_single=is_single)
    return _infer_of_several_units(name, loss, target_kind, has_probabilities)


def _infer_of_one_unit(
    name: str,
    loss: str | Component,
    target_kind: TargetKind | None,
    has_probabilities: bool,
    *,
    is_single: bool,
) -> OutputKind:
    is_class = target_kind in ("binary", "labels", "multi-label", "signs") or (
        target_kind is None and is_single
    )
    if name in MARGIN_LOSSES:
        return OutputKind("sign", None, False, 0.0) if is_class else OutputKind("numbers")
    if name in BINARY_LOSSES:
        return OutputKind("two" if is_class else "numbers", _find_logits(name, loss))
    if target_kind == "binary" or (name in OVERLAP_LOSSES and target_kind in ("labels", "multi-label")):
        return OutputKind("two", None, has_probabilities)
    return OutputKind("numbers")


def _infer_of_several_units(
    name: str,
    loss: str | Component,
    target_kind: TargetKind | None,
    has_probabilities: bool,
) -> OutputKind:
    logits = _find_logits(name, loss)
    if name in MARGIN_LOSSES:
        is_label = target_kind in ("signs", "multi-label")
        return OutputKind("labels", None, False, 0.0) if is_label else OutputKind("numbers")
    if target_kind == "multi-label":
        return OutputKind("labels", logits, has_probabilities)
    is_custom_of_classes = isinstance(loss, CustomObject) and target_kind == "labels"
    if name in SPARSE_LOSSES | ONE_HOT_LOSSES or target_kind == "one-hot" or is_custom_of_classes:
        return OutputKind("classes", logits, has_probabilities)
    return OutputKind("numbers", logits if name in BINARY_LOSSES else None)


def _find_logits(name: str, loss: str | Component) -> Literal["sigmoid", "softmax"] | None:
    """Return the function that makes probabilities of the predictions; None if they are not logits."""
    if not getattr(loss, "from_logits", False):
        return None
    return "sigmoid" if name in BINARY_LOSSES else "softmax"


def name_classes(
    kind: OutputKind, size: int, names: Sequence[str] | None, target_kind: TargetKind | None
) -> tuple[str, ...]:
    """Return the names of the classes or labels of an output: those of the data, otherwise their numbers in the data."""
    if names is not None and len(names) == size:
        return tuple(names)
    is_sign = kind.kind == "sign" and target_kind != "binary"
    return ("-1", "1") if is_sign else tuple(map(str, range(size)))

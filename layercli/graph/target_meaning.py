"""The meaning of a target: class numbers, one-hot vectors, several labels, two classes or numbers.

The loss and the output decide, not the dtype: 0.0 and 1.0 are two classes for binary_crossentropy, and the integers 20 to
90 are numbers for mean_squared_error. Checks, splits, class weights, summaries and scripts follow this one decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from layercli.config.config import Config
from layercli.config.data.section import DataFacts, TargetFacts, TargetValues
from layercli.config.training.custom_objects import CustomObject
from layercli.graph.shapes import ModelShapes
from layercli.layers.shapes import Shape, Tensor
from layercli.schema.component import Component

SPARSE_LOSSES: Final = frozenset({"SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"})
ONE_HOT_LOSSES: Final = frozenset(
    {"CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge"}
)
BINARY_LOSSES: Final = frozenset({"BinaryCrossentropy", "BinaryFocalCrossentropy"})
MARGIN_LOSSES: Final = frozenset({"Hinge", "SquaredHinge"})
OVERLAP_LOSSES: Final = frozenset({"Dice", "Tversky"})
EMBEDDING_LOSSES: Final = frozenset({"Circle", "CTC"})
"""Losses for labels and an output of any size."""

_CLASS_AXIS_LOSSES: Final = SPARSE_LOSSES | ONE_HOT_LOSSES | BINARY_LOSSES
_MAX_UNDECLARED_CLASSES: Final = 20
"""Integers from 0 with more distinct values are labels only for a loss for labels, or if the data says so."""

TargetKind: TypeAlias = Literal[
    "labels", "one-hot", "probabilities", "multi-label", "binary", "signs", "numbers"
]
ShapeRelation: TypeAlias = Literal["equal", "one-for-all-units", "different"]


class TargetMeaning(NamedTuple):
    """The meaning of the target of one output, and the form in which training receives it."""

    kind: TargetKind
    """labels: a class number from 0. one-hot: a 1 at the class. probabilities: of each class. multi-label: 0 or 1 for each
    unit. binary: 0 or 1 for one unit. signs: -1 or 1. numbers: all other values."""
    classes: int | None = None
    """Number of classes; None for numbers, and if it is unknown."""
    position_axes: int = 0
    """Number of axes of positions, such as pixels or timesteps, that each have such a value."""
    is_converted: bool = False
    """Whether the data has class numbers, from which layercli makes the one-hot vectors."""
    are_fractions: bool = False
    """Whether the numbers are from 0 to 1, for a loss that takes each of them for a probability."""

    @property
    def has_positions(self) -> bool:
        """Whether an example has such a value for each of several positions."""
        return self.position_axes > 0

    @property
    def is_one_class(self) -> bool:
        """Whether each example has exactly one class: for `stratify`, `class_weight` and the counts of the classes."""
        return self.kind in ("labels", "one-hot", "binary", "signs") and not self.has_positions


def resolve_loss_name(loss: str | Component, output: Tensor, target: Shape | None = None) -> str:
    """Return the name of Keras's class; Keras chooses the class of `crossentropy` by the shapes of output and target.

    Args:
        loss: The loss.
        output: Its output.
        target: The shape of one example of the target; None if it has class numbers, or is unknown.
    """
    if isinstance(loss, Component):
        return loss.type_name()
    if output.shape[-1] == 1:
        return "BinaryCrossentropy"
    has_each_unit = target is not None and len(target) == output.rank - 1 and target[-1] != 1
    return "CategoricalCrossentropy" if has_each_unit else "SparseCategoricalCrossentropy"


def relate_shapes(output: Shape, target: Shape) -> ShapeRelation:
    """Compare the shapes of one example, where Keras adds or drops a last axis of size 1.

    Returns:
        equal: each unit has its own value. one-for-all-units: one value for all units of a position.
    """
    if (
        _have_equal_sizes(output, target)
        or _have_equal_sizes(output, (*target, 1))
        or _have_equal_sizes((*output, 1), target)
    ):
        return "equal"
    is_for_all = bool(output) and (
        _have_equal_sizes(output[:-1], target) or _have_equal_sizes((*output[:-1], 1), target)
    )
    return "one-for-all-units" if is_for_all else "different"


def _have_equal_sizes(output: Shape, target: Shape) -> bool:
    return len(output) == len(target) and all(
        a is None or a == b for a, b in zip(output, target, strict=True)
    )


def interpret_target(
    target: TargetFacts, loss: str | Component | None, output: Tensor | None
) -> TargetMeaning | None:
    """Return the meaning of a target for a loss and an output; None if the loss cannot use a target of this shape."""
    if loss is None or (output is not None and output.rank < 2):
        return _interpret_without_loss(target)
    if output is None:
        return _interpret_without_output(target, loss)
    name, sizes = resolve_loss_name(loss, output, target.shape), output.shape[1:]
    if name in EMBEDDING_LOSSES:
        return TargetMeaning("labels", position_axes=int(name == "CTC"))
    if isinstance(loss, CustomObject):
        return _interpret_for_custom_loss(target, sizes)
    if name in _CLASS_AXIS_LOSSES and not has_last_class_axis(loss, output.rank):
        return TargetMeaning("numbers")
    relation = relate_shapes(sizes, target.shape)
    units, position_axes = sizes[-1], len(sizes) - 1
    if relation == "different":
        return None
    if relation == "one-for-all-units":
        if name in SPARSE_LOSSES:
            return TargetMeaning("labels", units, position_axes)
        if name in ONE_HOT_LOSSES | OVERLAP_LOSSES and units is not None:
            return TargetMeaning("one-hot", units, position_axes, is_converted=True)
        return None
    return _interpret_each_unit(target, name, units, position_axes)


def _interpret_for_custom_loss(target: TargetFacts, sizes: Shape) -> TargetMeaning:
    """Return the meaning that a target most likely has for an output and a loss whose code is not loaded."""
    relation, units = relate_shapes(sizes, target.shape), sizes[-1]
    if relation == "equal":
        return _interpret_each_unit(target, "", units, len(sizes) - 1) or TargetMeaning("numbers")
    is_class = target.kind == "labels" or has_class_numbers(target)
    if relation == "one-for-all-units" and is_class and (units is None or units >= (target.classes or 0)):
        return TargetMeaning("labels", units, len(sizes) - 1)
    return TargetMeaning("numbers")


def _interpret_each_unit(
    target: TargetFacts, loss_name: str, units: int | None, position_axes: int
) -> TargetMeaning | None:
    """Return the meaning of a target with a value for each unit."""
    values = target.values
    if loss_name in SPARSE_LOSSES or (loss_name in ONE_HOT_LOSSES and units == 1):
        return None
    is_zero_or_one = values is None or _is_zero_or_one(values)
    if loss_name in MARGIN_LOSSES:
        if values is None or not is_zero_or_one:
            return TargetMeaning("signs", 2, position_axes + (units != 1))
        return TargetMeaning(*(("binary", 2) if units == 1 else ("multi-label", units)), position_axes)
    if loss_name in BINARY_LOSSES and units == 1:
        if values is None or is_zero_or_one or target.kind == "labels" or values.is_integral:
            return TargetMeaning("binary", 2, position_axes)
        return _interpret_numbers(values, loss_name)
    if units is not None and units > 1 and (values.is_one_hot if values else loss_name in ONE_HOT_LOSSES):
        return TargetMeaning("one-hot", units, position_axes)
    if target.kind != "numbers" and values is not None and is_zero_or_one:
        is_binary = units == 1
        kind: TargetKind = "binary" if is_binary else "multi-label"
        return TargetMeaning(kind, 2 if is_binary else units, position_axes)
    if loss_name in OVERLAP_LOSSES and units == 1:
        return TargetMeaning("binary", 2, position_axes)
    if loss_name in ONE_HOT_LOSSES:
        return TargetMeaning("probabilities", units, position_axes)
    if loss_name in BINARY_LOSSES and values is not None and not values.is_integral:
        return _interpret_numbers(values, loss_name)
    return _interpret_without_loss(target)


def _interpret_numbers(values: TargetValues, loss_name: str) -> TargetMeaning:
    """Return the meaning of numbers that are not all integers."""
    are_fractions = loss_name in BINARY_LOSSES and values.low >= 0 and values.high <= 1
    return TargetMeaning("numbers", are_fractions=are_fractions)


def _interpret_without_loss(target: TargetFacts) -> TargetMeaning:
    """Return the meaning that the values have for a loss for numbers, or without a loss."""
    if has_class_numbers(target):
        return TargetMeaning("labels", target.classes)
    if target.values is not None and target.values.is_one_hot and len(target.shape) == 1:
        return TargetMeaning("one-hot", target.shape[0])
    return TargetMeaning("numbers")


def _interpret_without_output(target: TargetFacts, loss: str | Component) -> TargetMeaning:
    """Return the meaning for an output of unknown shape, such as that of a custom layer."""
    name, values = None if isinstance(loss, str) else loss.type_name(), target.values
    if name in ONE_HOT_LOSSES and has_class_numbers(target):
        return TargetMeaning("one-hot", target.classes, is_converted=True)
    is_bits = target.kind != "numbers" and values is not None and _is_zero_or_one(values)
    if name in BINARY_LOSSES and is_bits and target.shape not in ((), (1,)):
        return TargetMeaning("multi-label", target.shape[-1])
    return _interpret_without_loss(target)


def _is_zero_or_one(values: TargetValues) -> bool:
    return values.is_integral and values.low >= 0 and values.high <= 1


def has_class_numbers(target: TargetFacts) -> bool:
    """Return whether the data has one class number for each example, whatever the loss."""
    return (
        target.classes is not None
        and target.shape in ((), (1,))
        and (target.kind == "labels" or target.classes <= _MAX_UNDECLARED_CLASSES)
    )


def has_last_class_axis(loss: str | Component, rank: int) -> bool:
    """Return whether the classes are on the last axis of an output of this rank."""
    axis = getattr(loss, "axis", None)
    return not isinstance(axis, int) or axis in (-1, rank - 1)


def resolve_target_meanings(
    config: Config, shapes: ModelShapes, facts: DataFacts
) -> Mapping[str | None, TargetMeaning]:
    """Return the meaning of each target, by its output; None is the name of the only target of the data.

    A target that its loss cannot use has no entry; the checks report it.
    """
    graph, train = shapes.graph, config.train
    meanings: dict[str | None, TargetMeaning] = {}
    for name, pick, title in zip(graph.outputs, graph.output_indices, graph.output_references, strict=True):
        target = facts.target_of(title)
        if target is None:
            continue
        loss = None if train is None else train.loss_of(title)
        meaning = interpret_target(target, loss, shapes.output(name, pick))
        if meaning is not None:
            meanings[None if facts.targets is None else title] = meaning
    return meanings

"""Keras's losses."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from layercli.config.training.types import (
    ClassAxis,
    ComputeDType,
    FromLogits,
    LabelSmoothing,
    LossName,
    UnitFloat,
)
from layercli.schema.component import Component
from layercli.schema.field_types import AnyInt, Axes, measure_shape
from layercli.schema.strict_model import ExpectedText, value_error
from layercli.source.nodes import quote_value

Reduction = Annotated[
    Literal["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none"] | None,
    Field(description="How to reduce the losses of a batch to one value."),
]
FocalGamma = Annotated[float, Field(ge=0, description="Down-weighting of easy examples; 0: none.")]
LossAxes = Annotated[Axes | None, Field(description="Axes to sum over; null: all.")]


def _parse_focal_alpha(value: Any) -> float | list[float]:
    shape = measure_shape(value)
    items = list(value) if shape else [value]
    if len(shape) > 1 or not items or any(item < 0 for item in items):
        expected = "a number of at least 0 or a list with one for each class"
        message = f"`alpha` must be {expected}, got {quote_value(value)}."
        raise value_error("out-of-range", message, "For example `alpha: 0.25`.")
    return items if shape else value


FocalAlpha = Annotated[
    float | list[float],
    PlainValidator(_parse_focal_alpha),
    ExpectedText("a number of at least 0 or a list with one for each class"),
]


class Loss(Component):
    """Base class of losses."""

    reduction: Reduction = "sum_over_batch_size"
    name: LossName = None
    dtype: ComputeDType = None


class MeanSquaredError(Loss):
    """Mean of squared differences."""

    name: LossName = "mean_squared_error"


class MeanAbsoluteError(Loss):
    """Mean of absolute differences."""

    name: LossName = "mean_absolute_error"


class MeanAbsolutePercentageError(Loss):
    """Mean of absolute differences, in percent of the target."""

    name: LossName = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(Loss):
    """Mean of squared differences of logarithms."""

    name: LossName = "mean_squared_logarithmic_error"


class CosineSimilarity(Loss):
    """The negative cosine between target and prediction."""

    axis: Annotated[int, Field(ge=-16, le=16, description="The axis of the vectors.")] = -1
    name: LossName = "cosine_similarity"


class Huber(Loss):
    """Squared for small differences, absolute for large ones."""

    delta: Annotated[
        float, Field(gt=0, description="Threshold between squared and absolute differences.")
    ] = 1.0
    name: LossName = "huber_loss"


class LogCosh(Loss):
    """Mean of the logarithm of the difference's hyperbolic cosine."""

    name: LossName = "log_cosh"


class Hinge(Loss):
    """Hinge, for targets of -1 and 1."""

    name: LossName = "hinge"


class SquaredHinge(Loss):
    """Squared hinge, for targets of -1 and 1."""

    name: LossName = "squared_hinge"


class CategoricalHinge(Loss):
    """Hinge, for one-hot targets."""

    name: LossName = "categorical_hinge"


class KLDivergence(Loss):
    """Kullback-Leibler divergence of two distributions."""

    name: LossName = "kl_divergence"


class Poisson(Loss):
    """Negative log-likelihood of counts."""

    name: LossName = "poisson"


class BinaryCrossentropy(Loss):
    """Crossentropy, for targets of 0 and 1."""

    from_logits: FromLogits = False
    label_smoothing: LabelSmoothing = 0.0
    axis: ClassAxis = -1
    name: LossName = "binary_crossentropy"


class BinaryFocalCrossentropy(Loss):
    """Binary crossentropy that weights hard examples more."""

    apply_class_balancing: Annotated[
        bool, Field(description="Whether the classes are weighted by `alpha`.")
    ] = False
    alpha: Annotated[UnitFloat, Field(description="Weight of class 1; class 0 has the weight 1 - alpha.")] = (
        0.25
    )
    gamma: FocalGamma = 2.0
    from_logits: FromLogits = False
    label_smoothing: LabelSmoothing = 0.0
    axis: ClassAxis = -1
    name: LossName = "binary_focal_crossentropy"


class CategoricalCrossentropy(Loss):
    """Crossentropy, for one-hot targets."""

    from_logits: FromLogits = False
    label_smoothing: LabelSmoothing = 0.0
    axis: ClassAxis = -1
    name: LossName = "categorical_crossentropy"


class CategoricalFocalCrossentropy(Loss):
    """Categorical crossentropy that weights hard examples more."""

    alpha: Annotated[FocalAlpha, Field(description="Weight of all classes, or of each class.")] = 0.25
    gamma: FocalGamma = 2.0
    from_logits: FromLogits = False
    label_smoothing: LabelSmoothing = 0.0
    axis: ClassAxis = -1
    name: LossName = "categorical_focal_crossentropy"


class CategoricalGeneralizedCrossEntropy(Loss):
    """Between crossentropy and absolute error, for noisy labels."""

    q: Annotated[float, Field(gt=0, lt=1, description="Near 0: crossentropy; near 1: absolute error.")] = 0.5
    name: LossName = "categorical_generalized_cross_entropy"


class SparseCategoricalCrossentropy(Loss):
    """Crossentropy, for integer targets."""

    from_logits: FromLogits = False
    ignore_class: Annotated[AnyInt | None, Field(description="A label to ignore; null: none.")] = None
    axis: ClassAxis = -1
    name: LossName = "sparse_categorical_crossentropy"


class CTC(Loss):
    """Connectionist temporal classification, for sequences."""

    name: LossName = "ctc"


class Dice(Loss):
    """1 minus twice the overlap, for segmentation."""

    axis: LossAxes = None
    name: LossName = "dice"


class Tversky(Loss):
    """Dice with weights of false positives and false negatives."""

    alpha: Annotated[float, Field(ge=0, description="Weight of false positives.")] = 0.5
    beta: Annotated[float, Field(ge=0, description="Weight of false negatives.")] = 0.5
    axis: LossAxes = None
    name: LossName = "tversky"


class Circle(Loss):
    """Circle loss, for embeddings."""

    gamma: Annotated[float, Field(gt=0, description="Scale of the similarities.")] = 80.0
    margin: Annotated[UnitFloat, Field(description="Relaxation of the decision boundary.")] = 0.4
    remove_diagonal: Annotated[
        bool, Field(description="Whether to exclude the comparison of an example with itself.")
    ] = True
    name: LossName = "circle"

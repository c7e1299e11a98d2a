"""Keras's metrics and their log names."""

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, PlainValidator

from layercli.config.training.registry import SHAPE_DEPENDENT_METRICS
from layercli.config.training.types import ClassAxis, ComputeDType, FromLogits, LabelSmoothing, parse_log_name
from layercli.schema.component import Component, snake_case
from layercli.schema.field_types import AnyInt, NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ExpectedText, value_error
from layercli.source.nodes import quote_value

NON_METRIC_KEYS: Final = ("epoch", "seconds", "examples_per_second")
"""Keys in a line of the history that are not metrics."""
_RESERVED_METRIC_NAMES = frozenset({"loss", "learning_rate", *NON_METRIC_KEYS})
"""Column names of the history that a metric must not have."""


def _parse_metric_name(value: Any) -> str | None:
    name = parse_log_name(value)
    if name is not None and (name in _RESERVED_METRIC_NAMES or name.startswith("val_")):
        message = f"`name` must not be {quote_value(name)}: the history uses this name for another column."
        raise value_error("bad-name", message, f"For example `name: my_{name}`.")
    return name


MetricName = Annotated[
    str | None,
    PlainValidator(_parse_metric_name),
    ExpectedText("a name of letters, digits, `_`, `-` and dots"),
    Field(description="Log name; null: derived from its type."),
]

Direction = Literal["max", "min"] | None


Threshold = Annotated[float, Field(description="A prediction above this value is positive.")]
IgnoreClass = Annotated[AnyInt | None, Field(description="A label to ignore; null: none.")]
ClassAverage = Annotated[
    Literal["micro", "macro", "weighted"] | None,
    Field(description="How to average the classes; null: no average."),
]
FScoreThreshold = Annotated[
    float | None,
    Field(
        gt=0,
        le=1,
        description="Predictions of at least this value are positive; null: only the most probable class.",
    ),
]
TopKCount = Annotated[PositiveInt, Field(description="Number of most probable classes that count as a hit.")]
VectorAxis = Annotated[int, Field(ge=-16, le=16, description="The axis of the vectors.")]


class Metric(Component):
    """Base class of metrics."""

    direction: ClassVar[Direction] = "max"
    """The better direction, as in Keras's ``mode: auto``; None if Keras does not define it."""

    name: MetricName = None
    dtype: ComputeDType = None

    def arguments(self) -> dict[str, Any]:
        """Return every field with its value; an automatic name does not depend on earlier metrics."""
        return super().arguments() | {"name": self.name or snake_case(self.type_name())}


class Accuracy(Metric):
    """Fraction of predictions equal to the target; for the bare name `accuracy`, Keras chooses by shapes."""

    name: MetricName = "accuracy"


class BinaryAccuracy(Metric):
    """Fraction of predictions that match targets of 0 and 1."""

    threshold: Threshold = 0.5
    name: MetricName = "binary_accuracy"


class CategoricalAccuracy(Metric):
    """Fraction of predictions that match one-hot targets."""

    name: MetricName = "categorical_accuracy"


class SparseCategoricalAccuracy(Metric):
    """Fraction of predictions that match integer targets."""

    name: MetricName = "sparse_categorical_accuracy"


class TopKCategoricalAccuracy(Metric):
    """Fraction of one-hot targets among the k most probable classes."""

    k: TopKCount = 5
    name: MetricName = "top_k_categorical_accuracy"


class SparseTopKCategoricalAccuracy(Metric):
    """Fraction of integer targets among the k most probable classes."""

    k: TopKCount = 5
    from_sorted_ids: Annotated[bool, Field(description="Whether predictions are sorted classes.")] = False
    name: MetricName = "sparse_top_k_categorical_accuracy"


class FBetaScore(Metric):
    """Mean of precision and recall, weighted by ``beta``."""

    average: ClassAverage = None
    beta: Annotated[float, Field(gt=0, description="Weight of recall relative to precision.")] = 1.0
    threshold: FScoreThreshold = None
    name: MetricName = "fbeta_score"


class F1Score(Metric):
    """Harmonic mean of precision and recall."""

    average: ClassAverage = None
    threshold: FScoreThreshold = None
    name: MetricName = "f1_score"


class _LowerIsBetter(Metric):
    direction: ClassVar[Direction] = "min"


class Hinge(_LowerIsBetter):
    """Hinge, for targets of -1 and 1."""

    name: MetricName = "hinge"


class SquaredHinge(_LowerIsBetter):
    """Squared hinge, for targets of -1 and 1."""

    name: MetricName = "squared_hinge"


class CategoricalHinge(_LowerIsBetter):
    """Hinge, for one-hot targets."""

    name: MetricName = "categorical_hinge"


class KLDivergence(_LowerIsBetter):
    """Kullback-Leibler divergence of two distributions."""

    name: MetricName = "kl_divergence"


class Poisson(_LowerIsBetter):
    """Negative log-likelihood of counts."""

    name: MetricName = "poisson"


class BinaryCrossentropy(_LowerIsBetter):
    """Crossentropy, for targets of 0 and 1."""

    from_logits: FromLogits = False
    label_smoothing: LabelSmoothing = 0
    name: MetricName = "binary_crossentropy"


class CategoricalCrossentropy(_LowerIsBetter):
    """Crossentropy, for one-hot targets."""

    from_logits: FromLogits = False
    label_smoothing: LabelSmoothing = 0
    axis: ClassAxis = -1
    name: MetricName = "categorical_crossentropy"


class SparseCategoricalCrossentropy(_LowerIsBetter):
    """Crossentropy, for integer targets."""

    from_logits: FromLogits = False
    ignore_class: IgnoreClass = None
    axis: ClassAxis = -1
    name: MetricName = "sparse_categorical_crossentropy"


class MeanSquaredError(_LowerIsBetter):
    """Mean of squared differences."""

    name: MetricName = "mean_squared_error"


class RootMeanSquaredError(_LowerIsBetter):
    """Root of the mean of squared differences."""

    name: MetricName = "root_mean_squared_error"


class MeanAbsoluteError(_LowerIsBetter):
    """Mean of absolute differences."""

    name: MetricName = "mean_absolute_error"


class MeanAbsolutePercentageError(_LowerIsBetter):
    """Mean of absolute differences, in percent of the target."""

    name: MetricName = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(_LowerIsBetter):
    """Mean of squared differences of logarithms."""

    name: MetricName = "mean_squared_logarithmic_error"


class LogCoshError(_LowerIsBetter):
    """Mean of the logarithm of the difference's hyperbolic cosine."""

    name: MetricName = "logcosh"


class CosineSimilarity(Metric):
    """The cosine between target and prediction."""

    axis: VectorAxis = -1
    name: MetricName = "cosine_similarity"


class PearsonCorrelation(Metric):
    """Pearson's correlation of target and prediction."""

    axis: VectorAxis = -1
    name: MetricName = "pearson_correlation"


class ConcordanceCorrelation(Metric):
    """Concordance correlation of target and prediction."""

    axis: VectorAxis = -1
    name: MetricName = "concordance_correlation"


class R2Score(Metric):
    """Coefficient of determination."""

    class_aggregation: Annotated[
        Literal["uniform_average", "variance_weighted_average"] | None,
        Field(description="How to aggregate the outputs; null: no aggregation."),
    ] = "uniform_average"
    num_regressors: Annotated[
        NonNegativeInt, Field(description="Number of variables to adjust R2 for; 0: none.")
    ] = 0
    name: MetricName = "r2_score"


def metric_log_name(metric: str | Component) -> str:
    """Return the name under which Keras logs a metric of ``parse_metric``, without ``val_``."""
    return metric if isinstance(metric, str) else str(metric.arguments()["name"])


def metric_direction(metric: str | Component) -> Direction:
    """Return the better direction of a metric, as in Keras's ``mode: auto``; None if Keras does not define it."""
    if isinstance(metric, str):
        return "max" if metric.lower() in SHAPE_DEPENDENT_METRICS else None
    return metric.direction if isinstance(metric, Metric) else None

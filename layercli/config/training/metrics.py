"""Keras's metrics and their log names; each class declares the targets and predictions that it measures."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, PlainValidator

from layercli.config.training.metric_inputs import (
    FORM_TITLES,
    LogitsActivation,
    MetricInputs,
    MetricMismatchError,
    PredictionForm,
    TargetForm,
)
from layercli.config.training.registry import SHAPE_DEPENDENT_METRICS
from layercli.config.training.types import (
    ClassAxis,
    ComputeDType,
    FromLogits,
    LabelSmoothing,
    parse_metric_name,
)
from layercli.schema.component import Component, snake_case
from layercli.schema.field_types import AnyInt, NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ExpectedText

MetricName = Annotated[
    str | None,
    PlainValidator(parse_metric_name),
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


TargetConversion = Annotated[
    Literal["one_hot", "binary", "round", "output_shape"] | None,
    Field(
        description="Conversion of the targets before measuring. one_hot: class numbers to one-hot targets; binary: values "
        "above 0 to 1, others to 0; round: probabilities above 0.5 to 1, others to 0; output_shape: only to the shape of the "
        "output; null: none."
    ),
]
PredictionActivation = Annotated[
    Literal["sigmoid", "softmax"] | None,
    Field(
        description="Function that converts the predictions to probabilities before measuring; null: none."
    ),
]
_CONVERSIONS: Final = ("targets", "activation", "ignore_class")
"""Arguments of layercli; Keras has only the last one, and only for some metrics."""
COMPLETED_ARGUMENTS: Final = (
    *_CONVERSIONS,
    *("average", "class_id", "dtype", "from_logits", "ignore_class", "multi_label"),
    *("sparse_y_pred", "sparse_y_true", "threshold", "thresholds"),
)
"""Arguments that training completes if they have their defaults."""
_NUMBER_METRICS: Final = "mean_absolute_error or R2Score"


class Metric(Component):
    """Base class of metrics."""

    direction: ClassVar[Direction] = "max"
    """The better direction, as in Keras's ``mode: auto``; None if Keras does not define it."""
    limits: ClassVar[tuple[float, float]] = (0, 1)
    """Its smallest and its largest possible value."""
    target_forms: ClassVar[tuple[TargetForm, ...]]
    """Forms of the target that it measures without a conversion."""
    prediction_form: ClassVar[PredictionForm]
    replacements: ClassVar[Mapping[TargetForm, str]] = {}
    """Other forms of the target -> the metric for them."""
    has_ignore_class: ClassVar[bool] = False
    """Whether Keras's class has the argument `ignore_class`."""
    requires_output_shape: ClassVar[bool] = False
    """Whether Keras compares every target with every prediction if a last axis of size 1 is missing."""

    targets: TargetConversion = None
    activation: PredictionActivation = None
    ignore_class: IgnoreClass = None
    name: MetricName = None
    dtype: ComputeDType = None

    def arguments(self) -> dict[str, Any]:
        """Return every field with its value; an automatic name does not depend on earlier metrics."""
        return super().arguments() | {"name": self.name or snake_case(self.type_name())}

    def keras_arguments(self) -> dict[str, Any]:
        """Return the arguments that Keras has."""
        left_out = _CONVERSIONS[:-1] if self.has_ignore_class else _CONVERSIONS
        return {name: value for name, value in self.arguments().items() if name not in left_out}

    def to_plain(self) -> dict[str, Any]:
        """Return all arguments, but conversions only if there are any."""
        plain = super().to_plain()
        return {
            name: value for name, value in plain.items() if name not in self.conversions or value is not None
        }

    @property
    def conversions(self) -> dict[str, Any]:
        """The arguments that layercli applies before Keras measures."""
        names = _CONVERSIONS[:-1] if self.has_ignore_class else _CONVERSIONS
        return {name: getattr(self, name) for name in names}

    @property
    def converts_inputs(self) -> bool:
        """Whether targets or predictions are converted, or left out, before measuring."""
        return any(value is not None for value in self.conversions.values())

    @property
    def requires_matrix(self) -> bool:
        """Whether targets and predictions must have the shape (values, units)."""
        return False

    @property
    def single_value_argument(self) -> str | None:
        """The argument that makes the result a number; None if it is not a vector."""
        return None

    def adapt(self, inputs: MetricInputs) -> Self:
        """Return the metric with the arguments that measure these inputs correctly.

        Raises:
            MetricMismatchError: it cannot measure them.
        """
        adapted = self._adapt_to_targets(inputs)._adapt_to_predictions(inputs)._adapt_to_ignored(inputs)
        adapted.check_inputs(inputs)
        return adapted

    def check_inputs(self, inputs: MetricInputs) -> None:
        """Check rules of one metric.

        Raises:
            MetricMismatchError: the metric cannot measure the inputs.
        """

    def suggest_replacement(self, inputs: MetricInputs) -> str:
        """Return the metric to use instead for these inputs."""
        otherwise = _NUMBER_METRICS if inputs.form == "numbers" else "`accuracy`"
        return self.replacements.get(inputs.form, otherwise)

    def for_logits(self, inputs: MetricInputs) -> Self:
        """Return the metric for predictions that are logits."""
        return self if self.activation else self.with_arguments(activation=inputs.logits)

    def is_probability_metric(self, inputs: MetricInputs) -> bool:
        """Return whether logits must be converted."""
        has_signs = inputs.form == "signs"  # the logits approximate them
        return self.prediction_form == "probabilities" or (self.prediction_form == "values" and not has_signs)

    def _adapt_to_targets(self, inputs: MetricInputs) -> Self:
        if self.targets is None:
            conversion = self._choose_conversion(inputs)
            return self if conversion is None else self.with_arguments(targets=conversion)
        form = inputs.form
        is_class = form not in ("labels", "numbers", "probabilities")
        can_convert = {
            "one_hot": form == "labels",
            "binary": is_class,
            "round": inputs.are_fractions or is_class,
            "output_shape": form != "labels",
        }
        if not can_convert[self.targets]:
            raise self._targets_mismatch(inputs)
        as_binary = inputs.form_as_binary
        converted_form = {"one_hot": "one-hot", "binary": as_binary, "round": as_binary}.get(
            self.targets, form
        )
        if converted_form not in self.target_forms:
            raise self._form_mismatch(inputs)
        return self

    def _choose_conversion(self, inputs: MetricInputs) -> str | None:
        """Return the conversion of the targets that the metric requires.

        Raises:
            MetricMismatchError: no conversion fits.
        """
        if inputs.form in self.target_forms:
            if self.requires_matrix and (inputs.position_axes or inputs.units == 1):
                return "binary"
            return "output_shape" if self.requires_output_shape and inputs.units == 1 else None
        if inputs.form == "labels" and "one-hot" in self.target_forms and "labels" not in self.replacements:
            return "one_hot"
        if inputs.form == "signs" and "binary" in self.target_forms:
            return "binary"
        raise self._form_mismatch(inputs)

    def _adapt_to_predictions(self, inputs: MetricInputs) -> Self:
        if inputs.logits is not None:
            return self.for_logits(inputs) if self.is_probability_metric(inputs) else self
        argument = "activation" if self.activation else "from_logits"
        if inputs.activation in ("sigmoid", "softmax") and getattr(self, argument, False):
            message = (
                f"{self.type_name()} converts logits to probabilities, but the last layer already applies "
                f"{inputs.activation}."
            )
            raise MetricMismatchError(message, f"Remove `{argument}` from the metric.", argument)
        return self

    def _adapt_to_ignored(self, inputs: MetricInputs) -> Self:
        """Ignore the label that the loss ignores."""
        if "ignore_class" not in self.conversions:
            return self
        if inputs.form != "labels" and self.ignore_class is not None:
            message = f"`ignore_class` ignores a class number, but the metric receives {inputs.title}."
            raise MetricMismatchError(message, "Remove `ignore_class` from the metric.", "ignore_class")
        if inputs.form != "labels" or self.ignore_class is not None:
            return self
        return self.with_arguments(ignore_class=inputs.ignore_class)

    def _form_mismatch(self, inputs: MetricInputs) -> MetricMismatchError:
        titles = [FORM_TITLES[form] for form in self.target_forms]
        expected = f"{', '.join(titles[:-1])} or {titles[-1]}" if len(titles) > 1 else titles[0]
        message = f"{self.type_name()} requires {expected}, but it receives {inputs.title}."
        hint = f"Use {self.suggest_replacement(inputs)}."
        if inputs.are_fractions and "binary" in self.target_forms:
            hint = "Set `targets: round` on the metric, which makes 0 and 1 of the probabilities."
        return MetricMismatchError(message, hint)

    def _targets_mismatch(self, inputs: MetricInputs) -> MetricMismatchError:
        source = {
            "one_hot": "class numbers",
            "binary": "classes of each unit",
            "round": "probabilities of a loss for them",
        }.get(self.targets or "", "a target for each unit")
        message = f"`targets: {self.targets}` converts {source}, but the metric receives {inputs.title}."
        hint = "Use `targets: one_hot`." if inputs.form == "labels" else "Remove `targets` from the metric."
        return MetricMismatchError(message, hint, "targets")


ACCURACY_TYPES: Final = ("BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy")


class Accuracy(Metric):
    """Fraction of correct predictions: BinaryAccuracy, CategoricalAccuracy or SparseCategoricalAccuracy, by the target."""

    target_forms: ClassVar[tuple[TargetForm, ...]] = tuple(FORM_TITLES)
    prediction_form: ClassVar[PredictionForm] = "order"

    name: MetricName = "accuracy"

    @staticmethod
    def choose_type(inputs: MetricInputs) -> str:
        """Return the name of the class for these inputs; Keras would choose by their shapes."""
        if inputs.form == "labels":
            return "SparseCategoricalAccuracy"
        is_each_unit = inputs.units == 1 or inputs.form in ("multi-label", "signs") or inputs.are_fractions
        return "BinaryAccuracy" if is_each_unit else "CategoricalAccuracy"


class ThresholdMetric(Metric):
    """Base class of metrics that compare each unit with one threshold."""

    target_forms: ClassVar[tuple[TargetForm, ...]] = ("binary", "multi-label", "one-hot")
    prediction_form: ClassVar[PredictionForm] = "probabilities"

    threshold: Threshold = 0.5

    def for_logits(self, inputs: MetricInputs) -> Self:
        if self.activation or not 0 < self.threshold < 1:  # otherwise it is a threshold of logits already
            return self
        if self.threshold == 0.5 and inputs.logits == "sigmoid":
            return self.with_arguments(threshold=0.0)  # the logit of 0.5
        return super().for_logits(inputs)

    def check_inputs(self, inputs: MetricInputs) -> None:
        if inputs.has_one_class and inputs.units != 1:  # most units would be right without learning
            message = (
                f"{self.type_name()} compares each unit with a threshold, but the units are the probabilities of one "
                "class among several."
            )
            hint = f"Use {self.suggest_replacement(inputs)}."
            if inputs.form == "multi-label":
                hint = (
                    "The target has several labels of an example: use `activation: sigmoid` in the last layer, and the loss "
                    "binary_crossentropy."
                )
            raise MetricMismatchError(message, hint)


class BinaryAccuracy(ThresholdMetric):
    """Fraction of predictions that match targets of 0 and 1."""

    replacements: ClassVar[Mapping[TargetForm, str]] = {"labels": "`accuracy`"}

    name: MetricName = "binary_accuracy"

    def _choose_conversion(self, inputs: MetricInputs) -> str | None:
        # no prediction of 0 or 1 would equal a probability
        return "round" if inputs.are_fractions else super()._choose_conversion(inputs)


class CategoricalAccuracy(Metric):
    """Fraction of predictions that match one-hot targets."""

    target_forms: ClassVar[tuple[TargetForm, ...]] = ("one-hot", "probabilities")
    prediction_form: ClassVar[PredictionForm] = "order"
    replacements: ClassVar[Mapping[TargetForm, str]] = {
        "labels": "sparse_categorical_accuracy",
        "binary": "binary_accuracy",
        "multi-label": "binary_accuracy",
    }

    name: MetricName = "categorical_accuracy"


class SparseCategoricalAccuracy(Metric):
    """Fraction of predictions that match integer targets."""

    target_forms: ClassVar[tuple[TargetForm, ...]] = ("labels",)
    prediction_form: ClassVar[PredictionForm] = "order"
    replacements: ClassVar[Mapping[TargetForm, str]] = {
        "one-hot": "categorical_accuracy",
        "binary": "binary_accuracy",
        "multi-label": "binary_accuracy",
    }

    name: MetricName = "sparse_categorical_accuracy"


class _TopKAccuracy(Metric):
    prediction_form: ClassVar[PredictionForm] = "order"
    replacements: ClassVar[Mapping[TargetForm, str]] = {
        "binary": "binary_accuracy",
        "multi-label": "binary_accuracy",
    }
    twin: ClassVar[tuple[TargetForm, str]]
    """The other form of classes, and the metric for it."""

    k: TopKCount = 5

    def check_inputs(self, inputs: MetricInputs) -> None:
        if inputs.units is not None and self.k >= inputs.units:
            message = (
                f"`k` is {self.k}, but the output has {inputs.units} units, so every prediction is a hit."
            )
            hint = f"Use {{type: {self.type_name()}, k: {inputs.units - 1}}}."
            raise MetricMismatchError(message, hint, "k")

    def suggest_replacement(self, inputs: MetricInputs) -> str:
        form, name = self.twin
        if inputs.form != form:
            return super().suggest_replacement(inputs)
        k = self.k if inputs.units is None else min(self.k, max(1, inputs.units - 1))
        return f"{{type: {name}, k: {k}}}"


class TopKCategoricalAccuracy(_TopKAccuracy):
    """Fraction of one-hot targets among the k most probable classes."""

    target_forms: ClassVar[tuple[TargetForm, ...]] = ("one-hot", "probabilities")
    replacements: ClassVar[Mapping[TargetForm, str]] = {
        **_TopKAccuracy.replacements,
        "labels": "SparseTopKCategoricalAccuracy",
    }
    twin: ClassVar[tuple[TargetForm, str]] = ("labels", "SparseTopKCategoricalAccuracy")

    name: MetricName = "top_k_categorical_accuracy"


class SparseTopKCategoricalAccuracy(_TopKAccuracy):
    """Fraction of integer targets among the k most probable classes."""

    target_forms: ClassVar[tuple[TargetForm, ...]] = ("labels",)
    twin: ClassVar[tuple[TargetForm, str]] = ("one-hot", "TopKCategoricalAccuracy")

    from_sorted_ids: Annotated[bool, Field(description="Whether predictions are sorted classes.")] = False
    name: MetricName = "sparse_top_k_categorical_accuracy"


class _FScore(Metric):
    target_forms: ClassVar[tuple[TargetForm, ...]] = ("one-hot", "multi-label", "binary")
    prediction_form: ClassVar[PredictionForm] = "probabilities"

    average: ClassAverage = None
    threshold: FScoreThreshold = None

    @property
    def requires_matrix(self) -> bool:
        return True

    @property
    def single_value_argument(self) -> str | None:
        return "average: macro" if self.average is None else None

    def is_probability_metric(self, inputs: MetricInputs) -> bool:
        return self.threshold is not None or inputs.form not in ("labels", "one-hot")

    def adapt(self, inputs: MetricInputs) -> Self:
        adapted = super().adapt(inputs)
        has_yes_or_no = inputs.form in ("binary", "multi-label", "signs")
        if has_yes_or_no and adapted.threshold is None:
            adapted = adapted.with_arguments(threshold=0.5)  # the largest unit would always be positive
        if inputs.units == 1 and adapted.average is None:
            adapted = adapted.with_arguments(average="micro")  # a number, not a vector of one number
        return adapted


class FBetaScore(_FScore):
    """Mean of precision and recall, weighted by ``beta``."""

    beta: Annotated[float, Field(gt=0, description="Weight of recall relative to precision.")] = 1.0
    name: MetricName = "fbeta_score"


class F1Score(_FScore):
    """Harmonic mean of precision and recall."""

    name: MetricName = "f1_score"


class _LowerIsBetter(Metric):
    direction: ClassVar[Direction] = "min"
    limits: ClassVar[tuple[float, float]] = (0, math.inf)


class _BinaryHinge(_LowerIsBetter):
    target_forms: ClassVar[tuple[TargetForm, ...]] = ("signs", "binary", "multi-label")
    requires_output_shape: ClassVar[bool] = True
    prediction_form: ClassVar[PredictionForm] = "margins"
    replacements: ClassVar[Mapping[TargetForm, str]] = {
        "labels": "categorical_hinge",
        "one-hot": "categorical_hinge",
    }


class Hinge(_BinaryHinge):
    """Hinge, for targets of -1 and 1."""

    name: MetricName = "hinge"


class SquaredHinge(_BinaryHinge):
    """Squared hinge, for targets of -1 and 1."""

    name: MetricName = "squared_hinge"


class CategoricalHinge(_LowerIsBetter):
    """Hinge, for one-hot targets."""

    target_forms: ClassVar[tuple[TargetForm, ...]] = ("one-hot",)
    prediction_form: ClassVar[PredictionForm] = "margins"
    replacements: ClassVar[Mapping[TargetForm, str]] = dict.fromkeys(
        ("signs", "binary", "multi-label"), "hinge"
    )

    name: MetricName = "categorical_hinge"


class KLDivergence(_LowerIsBetter):
    """Kullback-Leibler divergence of two distributions."""

    limits: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    target_forms: ClassVar[tuple[TargetForm, ...]] = ("one-hot", "probabilities", "numbers")
    requires_output_shape: ClassVar[bool] = True
    prediction_form: ClassVar[PredictionForm] = "probabilities"
    replacements: ClassVar[Mapping[TargetForm, str]] = dict.fromkeys(
        ("signs", "binary", "multi-label"), "binary_crossentropy"
    )

    name: MetricName = "kl_divergence"


class _ValueComparison(Metric):
    target_forms: ClassVar[tuple[TargetForm, ...]] = (
        "numbers",
        "one-hot",
        "probabilities",
        "multi-label",
        "binary",
        "signs",
    )
    prediction_form: ClassVar[PredictionForm] = "values"
    replacements: ClassVar[Mapping[TargetForm, str]] = {"labels": "`accuracy`"}

    def _form_mismatch(self, inputs: MetricInputs) -> MetricMismatchError:
        message = (
            f"{self.type_name()} compares each unit with its own target, but the target is one class number for "
            f"{inputs.units or 'all'} units."
        )
        hint = (
            f"Use `accuracy`, or {{type: {self.type_name()}, targets: one_hot}} to compare the probability of each "
            "class."
        )
        return MetricMismatchError(message, hint)


class Poisson(_ValueComparison, _LowerIsBetter):
    """Negative log-likelihood of counts."""

    limits: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    requires_output_shape: ClassVar[bool] = True

    name: MetricName = "poisson"


class _Crossentropy(_LowerIsBetter):
    prediction_form: ClassVar[PredictionForm] = "probabilities"
    own_activation: ClassVar[LogitsActivation] = "softmax"
    """The function that ``from_logits`` applies."""

    from_logits: FromLogits = False

    def for_logits(self, inputs: MetricInputs) -> Self:
        if self.activation or self.from_logits:
            return self
        if inputs.logits == self.own_activation:
            return self.with_arguments(from_logits=True)
        return super().for_logits(inputs)


class BinaryCrossentropy(_Crossentropy):
    """Crossentropy, for targets of 0 and 1."""

    own_activation: ClassVar[LogitsActivation] = "sigmoid"
    requires_output_shape: ClassVar[bool] = True
    target_forms: ClassVar[tuple[TargetForm, ...]] = (
        "binary",
        "multi-label",
        "one-hot",
        "probabilities",
        "numbers",
    )
    replacements: ClassVar[Mapping[TargetForm, str]] = {"labels": "sparse_categorical_crossentropy"}

    label_smoothing: LabelSmoothing = 0
    name: MetricName = "binary_crossentropy"


class CategoricalCrossentropy(_Crossentropy):
    """Crossentropy, for one-hot targets."""

    target_forms: ClassVar[tuple[TargetForm, ...]] = ("one-hot", "probabilities")
    replacements: ClassVar[Mapping[TargetForm, str]] = {
        "labels": "sparse_categorical_crossentropy",
        **dict.fromkeys(("signs", "binary", "multi-label"), "binary_crossentropy"),
    }

    label_smoothing: LabelSmoothing = 0
    axis: ClassAxis = -1
    name: MetricName = "categorical_crossentropy"


class SparseCategoricalCrossentropy(_Crossentropy):
    """Crossentropy, for integer targets."""

    has_ignore_class: ClassVar[bool] = True
    target_forms: ClassVar[tuple[TargetForm, ...]] = ("labels",)
    replacements: ClassVar[Mapping[TargetForm, str]] = {
        "one-hot": "categorical_crossentropy",
        **dict.fromkeys(("signs", "binary", "multi-label"), "binary_crossentropy"),
    }

    axis: ClassAxis = -1
    name: MetricName = "sparse_categorical_crossentropy"

    @property
    def conversions(self) -> dict[str, Any]:
        """Also the ignored class, which Keras's class counts as an error of 0."""
        return super().conversions | {"ignore_class": self.ignore_class}


class MeanSquaredError(_ValueComparison, _LowerIsBetter):
    """Mean of squared differences."""

    name: MetricName = "mean_squared_error"


class RootMeanSquaredError(_ValueComparison, _LowerIsBetter):
    """Root of the mean of squared differences."""

    name: MetricName = "root_mean_squared_error"


class MeanAbsoluteError(_ValueComparison, _LowerIsBetter):
    """Mean of absolute differences."""

    name: MetricName = "mean_absolute_error"


class MeanAbsolutePercentageError(_ValueComparison, _LowerIsBetter):
    """Mean of absolute differences, in percent of the target."""

    name: MetricName = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(_ValueComparison, _LowerIsBetter):
    """Mean of squared differences of logarithms."""

    name: MetricName = "mean_squared_logarithmic_error"


class LogCoshError(_ValueComparison, _LowerIsBetter):
    """Mean of the logarithm of the difference's hyperbolic cosine."""

    name: MetricName = "logcosh"


class _VectorComparison(_ValueComparison):
    limits: ClassVar[tuple[float, float]] = (-1, 1)

    axis: VectorAxis = -1

    def check_inputs(self, inputs: MetricInputs) -> None:
        if inputs.units == 1 and not inputs.position_axes and self.axis in (-1, 1):
            message = (
                f"{self.type_name()} compares the values of each example along `axis: {self.axis}`, but the output "
                "has 1 unit."
            )
            raise MetricMismatchError(message, f"Use {_NUMBER_METRICS}.", "axis")


class CosineSimilarity(_VectorComparison):
    """The cosine between target and prediction."""

    name: MetricName = "cosine_similarity"


class PearsonCorrelation(_VectorComparison):
    """Pearson's correlation of target and prediction."""

    name: MetricName = "pearson_correlation"


class ConcordanceCorrelation(_VectorComparison):
    """Concordance correlation of target and prediction."""

    name: MetricName = "concordance_correlation"


class R2Score(_ValueComparison):
    """Coefficient of determination."""

    limits: ClassVar[tuple[float, float]] = (-math.inf, 1)

    class_aggregation: Annotated[
        Literal["uniform_average", "variance_weighted_average"] | None,
        Field(description="How to aggregate the outputs; null: no aggregation."),
    ] = "uniform_average"
    num_regressors: Annotated[
        NonNegativeInt, Field(description="Number of variables to adjust R2 for; 0: none.")
    ] = 0
    name: MetricName = "r2_score"

    @property
    def single_value_argument(self) -> str | None:
        return "class_aggregation: uniform_average" if self.class_aggregation is None else None

    def check_inputs(self, inputs: MetricInputs) -> None:
        if inputs.position_axes:
            message = "R2Score requires an output of shape (batch, units), but this output has a value for each position."
            raise MetricMismatchError(message, "Use mean_absolute_error.")


def metric_log_name(metric: str | Component) -> str:
    """Return the name under which Keras logs a metric, without ``val_``."""
    return metric if isinstance(metric, str) else str(metric.arguments()["name"])


def metric_direction(metric: str | Component) -> Direction:
    """Return the better direction of a metric, as in Keras's ``mode: auto``; None if Keras does not define it."""
    if isinstance(metric, str):
        return "max" if metric.lower() in SHAPE_DEPENDENT_METRICS else None
    return metric.direction if isinstance(metric, Metric) else None


def metric_limits(metric: str | Component) -> tuple[float, float]:
    """Return the smallest and the largest possible value of a metric; infinite if they are unknown."""
    if isinstance(metric, str):
        return (0, 1) if metric.lower() in SHAPE_DEPENDENT_METRICS else (-math.inf, math.inf)
    return metric.limits if isinstance(metric, Metric) else (-math.inf, math.inf)

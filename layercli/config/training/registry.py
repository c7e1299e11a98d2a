"""Every optimizer, schedule, loss, metric and callback there is, by Keras's class name, and its module."""

from typing import Final

from layercli.schema.component import Catalogue, Component
from layercli.schema.strict_model import value_error
from layercli.schema.suggestions import find_closest
from layercli.source.nodes import quote_value

_CATALOGUE_PACKAGE = "layercli.config.training"

_ONE_OPTIMIZER_REASON = ("it assigns optimizers to layers in code", "Use one optimizer for the whole model.")

OPTIMIZERS: Final = Catalogue[Component](
    noun="optimizer",
    package=_CATALOGUE_PACKAGE,
    modules=dict.fromkeys(
        (
            "Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam",
            "Adafactor", "Ftrl", "Lamb", "Lion", "Muon", "ScheduleFreeAdamW",
        ),
        "optimizers",
    ),
    unavailable={
        "Optimizer": ("it is the base class, not an optimizer", "For example `optimizer: Adam`."),
        "LossScaleOptimizer": (
            "it wraps another optimizer, which Keras does by itself for a model under mixed_float16",
            "To scale the loss otherwise, set `loss_scale_factor` on the optimizer itself.",
        ),
        "MultiOptimizer": _ONE_OPTIMIZER_REASON,
        "OptimizerMap": _ONE_OPTIMIZER_REASON,
    },
)  # fmt: skip

SCHEDULES: Final = Catalogue[Component](
    noun="learning-rate schedule",
    package=_CATALOGUE_PACKAGE,
    modules=dict.fromkeys(
        (
            "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay",
            "PiecewiseConstantDecay", "PolynomialDecay",
        ),
        "schedules",
    ),
    unavailable={
        "LearningRateSchedule": (
            "it is the base class, not a schedule",
            "For example {type: CosineDecay, initial_learning_rate: 0.001, decay_steps: 1000}.",
        ),
    },
)  # fmt: skip

_SHORT_NAMES = {
    "bce": "BinaryCrossentropy", "mae": "MeanAbsoluteError", "mape": "MeanAbsolutePercentageError",
    "mse": "MeanSquaredError", "msle": "MeanSquaredLogarithmicError",
}  # fmt: skip

LOSSES: Final = Catalogue[Component](
    noun="loss",
    package=_CATALOGUE_PACKAGE,
    modules=dict.fromkeys(
        (
            "SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy",
            "MeanSquaredError", "MeanAbsoluteError", "Huber", "LogCosh",
            "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "BinaryFocalCrossentropy",
            "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy", "KLDivergence",
            "Poisson", "CosineSimilarity", "Hinge", "SquaredHinge", "CategoricalHinge", "Dice",
            "Tversky", "Circle", "CTC",
        ),
        "losses",
    ),
    aliases=_SHORT_NAMES | {"kld": "KLDivergence"},
    unavailable={"Loss": ("it is the base class, not a loss", "For example `loss: mean_squared_error`.")},
)  # fmt: skip

_CROSSENTROPY_REASON = (
    "Keras chooses among the crossentropies for a loss, not for a metric",
    "Write sparse_categorical_crossentropy, categorical_crossentropy or binary_crossentropy.",
)
_NO_PREDICTIONS_REASON = (
    "it takes values alone, but a metric in training is given targets and predictions",
    "Remove it.",
)

_METRICS_BY_MODULE = {
    "metrics": (
        "Accuracy", "SparseCategoricalAccuracy", "CategoricalAccuracy", "BinaryAccuracy",
        "TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "F1Score", "FBetaScore",
        "MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError", "R2Score",
        "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "LogCoshError",
        "SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy",
        "CosineSimilarity", "PearsonCorrelation", "ConcordanceCorrelation", "KLDivergence",
        "Poisson", "Hinge", "SquaredHinge", "CategoricalHinge",
    ),
    "confusion_metrics": (
        "AUC", "Precision", "Recall", "TruePositives", "TrueNegatives", "FalsePositives",
        "FalseNegatives", "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity",
        "SpecificityAtSensitivity",
    ),
    "segmentation_metrics": ("IoU", "BinaryIoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"),
}  # fmt: skip

METRICS: Final = Catalogue[Component](
    noun="metric",
    package=_CATALOGUE_PACKAGE,
    modules={name: module for module, names in _METRICS_BY_MODULE.items() for name in names},
    aliases=_SHORT_NAMES,
    unavailable={
        "crossentropy": _CROSSENTROPY_REASON,
        "ce": _CROSSENTROPY_REASON,
        "Mean": _NO_PREDICTIONS_REASON,
        "Sum": _NO_PREDICTIONS_REASON,
        "MeanMetricWrapper": ("it wraps a function, which is code", "Name one of Keras's metrics."),
        "Metric": ("it is the base class, not a metric", "For example `metrics: [accuracy]`."),
    },
)  # fmt: skip

_CHECKPOINTS_REASON = (
    "layercli keeps every run's model and checkpoints itself",
    "Remove it; `EarlyStopping` with `restore_best_weights: true` keeps the best epoch, `checkpoints` says when to save.",
)
_HISTORY_REASON = (
    "layercli records and shows every epoch itself",
    "Remove it; the history is in the run directory.",
)

CALLBACKS: Final = Catalogue[Component](
    noun="callback",
    package=_CATALOGUE_PACKAGE,
    modules=dict.fromkeys(
        (
            "EarlyStopping", "ReduceLROnPlateau", "TerminateOnNaN", "SwapEMAWeights", "CSVLogger",
            "TensorBoard", "MLflow",
        ),
        "callbacks",
    ),
    unavailable={
        "LambdaCallback": ("it carries code", "Use EarlyStopping, ReduceLROnPlateau or TerminateOnNaN."),
        "LearningRateScheduler": (
            "it carries code",
            "Declare a schedule: `optimizer: {type: Adam, learning_rate: {type: CosineDecay, ...}}`.",
        ),
        "ModelCheckpoint": _CHECKPOINTS_REASON,
        "BackupAndRestore": _CHECKPOINTS_REASON,
        "OrbaxCheckpoint": _CHECKPOINTS_REASON,
        "RemoteMonitor": (
            "it opens a connection to another machine",
            "Read the history in the run directory.",
        ),
        "History": _HISTORY_REASON,
        "ProgbarLogger": _HISTORY_REASON,
        "CallbackList": ("it is a container, not a callback", "List the callbacks themselves."),
        "Callback": ("it is the base class, not a callback", "For example `callbacks: [EarlyStopping]`."),
    },
)  # fmt: skip

SHAPE_DEPENDENT_METRICS: Final = ("accuracy", "acc")
"""Metrics that Keras chooses by the shapes of targets and predictions; in any case of letters."""
SHAPE_DEPENDENT_LOSSES: Final = ("crossentropy", "ce")
"""Losses that Keras chooses by the shapes of targets and predictions; in any case of letters."""


def parse_loss(value: object) -> str | Component:
    """The loss that a config's value declares; a name that Keras resolves by shapes stays a name.

    Raises:
        ValidationError | PydanticCustomError: the value declares none.
    """
    if isinstance(value, str) and value.lower() in SHAPE_DEPENDENT_LOSSES:
        return value
    return LOSSES.parse(value)


def parse_metric(value: object) -> str | Component:
    """The metric that a config's value declares; a name that Keras resolves by shapes stays a name.

    As in Keras, a bare name is also what the metric is logged under: ``mse`` is logged as ``mse``.

    Raises:
        ValidationError | PydanticCustomError: the value declares none.
    """
    if not isinstance(value, str):
        return METRICS.parse(value)
    if value.lower() in SHAPE_DEPENDENT_METRICS:
        return value
    if (
        METRICS.find(value) is None
        and find_closest(value, [*METRICS.names, *SHAPE_DEPENDENT_METRICS]) in SHAPE_DEPENDENT_METRICS
    ):
        raise value_error(
            "unknown-type", f"There is no metric {quote_value(value)}.", "Did you mean `accuracy`?"
        )
    return METRICS.look_up(value).model_validate({"name": value})

"""The catalogues of optimizers, schedules, losses, metrics and callbacks, by Keras's class name."""

from typing import Final

from layercli.config.training.custom_objects import accept_custom
from layercli.schema.component import Catalogue, Component
from layercli.schema.strict_model import value_error
from layercli.schema.suggestions import suggest_closest
from layercli.source.nodes import quote_value

_CATALOGUE_PACKAGE = "layercli.config.training"

_OPTIMIZER_NAMES = """
    Adam AdamW SGD RMSprop Adagrad Adadelta Adamax Nadam Adafactor Ftrl Lamb Lion Muon
    ScheduleFreeAdamW
"""

_ONE_OPTIMIZER_REASON = ("it assigns optimizers to layers in code", "Use one optimizer for the whole model.")

OPTIMIZERS: Final = Catalogue[Component](
    noun="optimizer",
    package=_CATALOGUE_PACKAGE,
    modules=dict.fromkeys(_OPTIMIZER_NAMES.split(), "optimizers"),
    unavailable={
        "Optimizer": ("it is the base class, not an optimizer", "For example `optimizer: Adam`."),
        "LossScaleOptimizer": (
            "it wraps an optimizer, which Keras does automatically for a mixed_float16 model",
            "To scale the loss yourself, set `loss_scale_factor` on the optimizer.",
        ),
        "MultiOptimizer": _ONE_OPTIMIZER_REASON,
        "OptimizerMap": _ONE_OPTIMIZER_REASON,
    },
)

_SCHEDULE_NAMES = """
    CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay
    PolynomialDecay
"""

SCHEDULES: Final = Catalogue[Component](
    noun="learning-rate schedule",
    package=_CATALOGUE_PACKAGE,
    modules=dict.fromkeys(_SCHEDULE_NAMES.split(), "schedules"),
    unavailable={
        "LearningRateSchedule": (
            "it is the base class, not a schedule",
            "For example {type: CosineDecay, initial_learning_rate: 0.001, decay_steps: 1000}.",
        ),
    },
)

_SHORT_NAMES = {
    "bce": "BinaryCrossentropy",
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "mse": "MeanSquaredError",
    "msle": "MeanSquaredLogarithmicError",
}

_LOSS_NAMES = """
    SparseCategoricalCrossentropy CategoricalCrossentropy BinaryCrossentropy MeanSquaredError
    MeanAbsoluteError Huber LogCosh MeanAbsolutePercentageError MeanSquaredLogarithmicError
    BinaryFocalCrossentropy CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy
    KLDivergence Poisson CosineSimilarity Hinge SquaredHinge CategoricalHinge Dice Tversky
    Circle CTC
"""

LOSSES: Final = Catalogue[Component](
    noun="loss",
    package=_CATALOGUE_PACKAGE,
    modules=dict.fromkeys(_LOSS_NAMES.split(), "losses"),
    aliases=_SHORT_NAMES | {"kld": "KLDivergence"},
    unavailable={"Loss": ("it is the base class, not a loss", "For example `loss: mean_squared_error`.")},
)

_CROSSENTROPY_REASON = (
    "Keras chooses among the crossentropies for a loss, not for a metric",
    "Write sparse_categorical_crossentropy, categorical_crossentropy or binary_crossentropy.",
)
_NO_PREDICTIONS_REASON = (
    "it accepts only values, but training passes targets and predictions to a metric",
    "Remove it.",
)

_METRICS_BY_MODULE = {
    "metrics": """
        Accuracy SparseCategoricalAccuracy CategoricalAccuracy BinaryAccuracy
        TopKCategoricalAccuracy SparseTopKCategoricalAccuracy F1Score FBetaScore
        MeanSquaredError MeanAbsoluteError RootMeanSquaredError R2Score
        MeanAbsolutePercentageError MeanSquaredLogarithmicError LogCoshError
        SparseCategoricalCrossentropy CategoricalCrossentropy BinaryCrossentropy
        CosineSimilarity PearsonCorrelation ConcordanceCorrelation KLDivergence Poisson Hinge
        SquaredHinge CategoricalHinge
    """,
    "confusion_metrics": """
        AUC Precision Recall TruePositives TrueNegatives FalsePositives FalseNegatives
        PrecisionAtRecall RecallAtPrecision SensitivityAtSpecificity SpecificityAtSensitivity
    """,
    "segmentation_metrics": "IoU BinaryIoU MeanIoU OneHotIoU OneHotMeanIoU",
}

METRICS: Final = Catalogue[Component](
    noun="metric",
    package=_CATALOGUE_PACKAGE,
    modules={name: module for module, names in _METRICS_BY_MODULE.items() for name in names.split()},
    aliases=_SHORT_NAMES | {"acc": "Accuracy"},
    unavailable={
        "crossentropy": _CROSSENTROPY_REASON,
        "ce": _CROSSENTROPY_REASON,
        "Mean": _NO_PREDICTIONS_REASON,
        "Sum": _NO_PREDICTIONS_REASON,
        "MeanMetricWrapper": ("it wraps a function, which is code", "Name one of Keras's metrics."),
        "Metric": ("it is the base class, not a metric", "For example `metrics: [accuracy]`."),
    },
)

_CHECKPOINTS_REASON = (
    "layercli saves the model and the checkpoints of every run",
    "Remove it. `EarlyStopping` with `restore_best_weights: true` keeps the best epoch; `checkpoints` sets when to save.",
)
_HISTORY_REASON = (
    "layercli records and shows every epoch",
    "Remove it. The history is in the run directory.",
)

_CALLBACK_NAMES = """
    EarlyStopping ReduceLROnPlateau TerminateOnNaN SwapEMAWeights CSVLogger TensorBoard MLflow
"""

CALLBACKS: Final = Catalogue[Component](
    noun="callback",
    package=_CATALOGUE_PACKAGE,
    modules=dict.fromkeys(_CALLBACK_NAMES.split(), "callbacks"),
    unavailable={
        "LambdaCallback": ("it contains code", "Use EarlyStopping, ReduceLROnPlateau or TerminateOnNaN."),
        "LearningRateScheduler": (
            "it contains code",
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
)

SHAPE_DEPENDENT_METRICS: Final = ("accuracy", "acc")
"""Metrics that Keras chooses by the shapes of targets and predictions; case-insensitive."""
SHAPE_DEPENDENT_LOSSES: Final = ("crossentropy", "ce")
"""Losses that Keras chooses by the shapes of targets and predictions; case-insensitive."""


def parse_loss(value: object) -> str | Component:
    """Return the loss that a value declares; a name that Keras resolves by shapes stays a string.

    Raises:
        ValidationError | PydanticCustomError: the value is not a valid loss.
    """
    name = value.get("type") if isinstance(value, dict) else value
    if isinstance(name, str) and name.lower() in SHAPE_DEPENDENT_LOSSES:
        if isinstance(value, dict) and len(value) > 1:
            raise _shape_dependent_loss_error(name)
        return name
    return LOSSES.parse(value)


def _shape_dependent_loss_error(name: str) -> Exception:
    message = (
        f"The loss {quote_value(name)} does not have arguments, because the targets decide which loss it is."
    )
    hint = (
        "Use the same arguments with SparseCategoricalCrossentropy for class numbers, CategoricalCrossentropy for one-hot "
        "targets, or BinaryCrossentropy for an output of 1 unit."
    )
    return value_error("refused-type", message, hint)


parse_schedule: Final = accept_custom("learning-rate schedule", SCHEDULES.parse)
"""Returns the schedule that a value declares; raises an error if it does not declare one."""


def parse_metric(value: object) -> str | Component:
    """Return the metric that a value declares; a name that Keras resolves by shapes stays a string.

    As in Keras, a bare name is also the log name of the metric: ``mse`` is logged as ``mse``.

    Raises:
        ValidationError | PydanticCustomError: the value is not a valid metric.
    """
    if not isinstance(value, str):
        return METRICS.parse(value)
    if value.lower() in SHAPE_DEPENDENT_METRICS:
        return value
    if METRICS.find(value) is None:
        # `accuracy` is meant, not the metric Accuracy
        names = {name: name for name in ("accuracy", *METRICS.names) if name != "Accuracy"}
        hint = suggest_closest(value, names)
        if hint is not None and hint.replacement == "accuracy":
            raise value_error("unknown-type", f"There is no metric {quote_value(value)}.", hint)
    return METRICS.look_up(value).model_validate({"name": value})

"""Keras's optimizers."""

import math
import re
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from layercli.config.training.registry import parse_schedule
from layercli.schema.component import Component
from layercli.schema.field_types import MAX_INT32, NonNegative, NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText, value_error
from layercli.source.nodes import quote_value
from layercli.source.scalars import is_number

_LEARNING_RATE_EXPECTED = "a number of at least 0 or a learning-rate schedule"


def _is_quoted_number(value: Any) -> bool:
    return (
        isinstance(value, str)
        and re.fullmatch(r"\s*\d{0,20}\.?\d{1,20}(e[+-]?\d{1,3})?\s*", value) is not None
    )


def _parse_learning_rate(value: Any) -> float | Component:
    if isinstance(value, (dict, Component)):
        return parse_schedule(value)
    if isinstance(value, str) and not re.match(r"[\s\d.+-]", value):
        return parse_schedule(value)
    message = f"`learning_rate` must be {_LEARNING_RATE_EXPECTED}, got {quote_value(value)}."
    example = "For example `learning_rate: 0.001`."
    if not is_number(value):
        hint = f"Remove the quotes: `{str(value).strip()[:40]}`." if _is_quoted_number(value) else example
        raise value_error("wrong-type", message, hint)
    if isinstance(value, float) and not math.isfinite(value):
        raise value_error("not-finite", message, example)
    if not 0 <= value <= MAX_INT32:
        raise value_error("out-of-range", message, example)
    return float(value)


LearningRate = Annotated[
    float | Component,
    PlainValidator(_parse_learning_rate),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"$ref": "#/$defs/schedule"}]}),
    ExpectedText(_LEARNING_RATE_EXPECTED),
    Field(description="Step size: a number, or a schedule such as CosineDecay.", examples=[0.001]),
]
Beta1 = Annotated[float, Field(ge=0, lt=1, description="Decay of the running mean of gradients.")]
Beta2 = Annotated[float, Field(ge=0, lt=1, description="Decay of the running mean of squared gradients.")]
Rho = Annotated[float, Field(ge=0, le=1, description="Decay of the running mean of squared gradients.")]
Epsilon = Annotated[NonNegative, Field(description="Added to a divisor to prevent division by zero.")]
Amsgrad = Annotated[bool, Field(description="Whether to use the largest second moment so far.")]
Momentum = Annotated[
    float, Field(ge=0, le=1, description="Fraction of the last step to keep in the next step.")
]
Nesterov = Annotated[bool, Field(description="Whether to use Nesterov momentum.")]
ClipLimit = Annotated[float | None, Field(gt=0)]
WeightDecay = Annotated[float | None, Field(ge=0, description="Decay of the weights per step; null: none.")]
InitialAccumulator = Annotated[
    NonNegative, Field(description="Initial value of the sums of squared gradients.")
]
PenaltyStrength = Annotated[NonNegative, Field(description="Strength of the penalty.")]


class Optimizer(Component):
    """Base class of optimizers."""

    hints: ClassVar[dict[str, str]] = {
        "name": "Remove it: an optimizer does not have a name.",
    }

    learning_rate: LearningRate = 0.001
    weight_decay: WeightDecay = None
    clipnorm: Annotated[
        ClipLimit, Field(description="Maximum norm of each weight's gradient; null: no limit.")
    ] = None
    clipvalue: Annotated[
        ClipLimit, Field(description="Maximum absolute value in a gradient; null: no limit.")
    ] = None
    global_clipnorm: Annotated[
        ClipLimit, Field(description="Maximum norm of all gradients together; null: no limit.")
    ] = None
    use_ema: Annotated[bool, Field(description="Whether to keep a moving average of the weights.")] = False
    ema_momentum: Annotated[float, Field(ge=0, le=1, description="Decay of the moving average.")] = 0.99
    ema_overwrite_frequency: Annotated[
        PositiveInt | None,
        Field(description="Steps after which the average replaces the weights; null: at the end."),
    ] = None
    loss_scale_factor: Annotated[
        float | None,
        Field(gt=0, description="Factor for the loss, divided out of the gradients; null: none."),
    ] = None
    gradient_accumulation_steps: Annotated[
        int | None, Field(ge=2, le=MAX_INT32, description="Batches per optimizer step; null: one.")
    ] = None

    def check(self) -> None:
        """Check that at most one kind of gradient clipping is set."""
        clip_arguments = [
            name for name in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, name) is not None
        ]
        if len(clip_arguments) > 1:
            names = " and ".join(f"`{name}`" for name in clip_arguments)
            raise ArgumentError(
                clip_arguments[1],
                f"Only one way of gradient clipping is possible, got {names}.",
                "Keep one of them.",
            )


class SGD(Optimizer):
    """Gradient descent, with optional momentum."""

    learning_rate: LearningRate = 0.01
    momentum: Momentum = 0.0
    nesterov: Nesterov = False


class RMSprop(Optimizer):
    """Steps divided by a running mean of the gradient's magnitude."""

    rho: Rho = 0.9
    momentum: Momentum = 0.0
    epsilon: Epsilon = 1e-7
    centered: Annotated[
        bool, Field(description="Whether to divide by the gradient's variance, not its square.")
    ] = False


class Adam(Optimizer):
    """Adaptive estimates of the first and second moments of the gradient."""

    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7
    amsgrad: Amsgrad = False


class AdamW(Adam):
    """Adam with decoupled weight decay."""

    weight_decay: Annotated[float, Field(ge=0, description="Decay of the weights per step.")] = 0.004


class Adamax(Optimizer):
    """Adam with the infinity norm."""

    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7


class Nadam(Optimizer):
    """Adam with Nesterov's momentum."""

    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7


class Lamb(Optimizer):
    """Adam with a separate rate for each layer, for large batches."""

    beta_1: Beta1 = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-7


class Lion(Optimizer):
    """The sign of a running mean of the gradient."""

    beta_1: Annotated[float, Field(gt=0, le=1, description="Fraction of the running mean in a step.")] = 0.9
    beta_2: Annotated[float, Field(ge=0, le=1, description="Decay of the running mean of gradients.")] = 0.99


class Adagrad(Optimizer):
    """Steps divided by the root of all squared gradients so far."""

    initial_accumulator_value: InitialAccumulator = 0.1
    epsilon: Epsilon = 1e-7


class Adadelta(Optimizer):
    """Adagrad over a moving window."""

    rho: Rho = 0.95
    epsilon: Epsilon = 1e-7


class Adafactor(Optimizer):
    """Adam with less memory."""

    beta_2_decay: Annotated[
        float, Field(le=0, description="Exponent of the step in the decay of squares.")
    ] = -0.8
    epsilon_1: Epsilon = 1e-30
    epsilon_2: Annotated[
        NonNegative, Field(description="Minimum magnitude of a weight in the scale of its step.")
    ] = 1e-3
    clip_threshold: Annotated[float, Field(gt=0, description="Maximum root mean square of a step.")] = 1.0
    relative_step: Annotated[
        bool, Field(description="Whether the learning rate decreases with the step.")
    ] = True


class Ftrl(Optimizer):
    """Follow the regularized leader, for large and sparse models."""

    learning_rate_power: Annotated[
        float, Field(le=0, description="Exponent of the decrease of the learning rate; 0: constant.")
    ] = -0.5
    initial_accumulator_value: InitialAccumulator = 0.1
    l1_regularization_strength: PenaltyStrength = 0.0
    l2_regularization_strength: PenaltyStrength = 0.0
    l2_shrinkage_regularization_strength: PenaltyStrength = 0.0
    beta: Annotated[NonNegative, Field(description="The paper's beta.")] = 0.0


class ScheduleFreeAdamW(Optimizer):
    """AdamW without a learning-rate schedule."""

    learning_rate: LearningRate = 0.0025
    beta_1: Annotated[
        float, Field(gt=0, le=1, description="Interpolation between the average and the newest weights.")
    ] = 0.9
    beta_2: Beta2 = 0.999
    epsilon: Epsilon = 1e-8
    warmup_steps: Annotated[
        NonNegativeInt, Field(description="Steps over which the learning rate increases.")
    ] = 0


_MAX_REPETITIONS = 2
"""Each repetition in a regular expression multiplies the time of a search by the length of a name."""


def _parse_layer_pattern(value: Any) -> str:
    try:
        if (
            isinstance(value, str)
            and 0 < len(value) <= 100
            and "(" not in value
            and sum(map(value.count, "*+{")) <= _MAX_REPETITIONS
        ):
            re.compile(value)
            return value
    except re.error:
        pass
    raise value_error(
        "bad-pattern",
        "`exclude_layers` must contain parts of layer names, or regular expressions without groups and with at most "
        f"{_MAX_REPETITIONS} repetitions, got {quote_value(value)}.",
        "For example `exclude_layers: [head]`.",
    )


LayerNamePattern = Annotated[
    str, PlainValidator(_parse_layer_pattern), ExpectedText("part of a layer's name or a regular expression")
]
_MuonCoefficient = Annotated[float, Field(description="A coefficient of the Newton-Schulz iteration.")]


class Muon(Optimizer):
    """Orthogonalized steps for matrices, AdamW for all other weights."""

    weight_decay: WeightDecay = 0.004
    adam_beta_1: Beta1 = 0.9
    adam_beta_2: Beta2 = 0.999
    adam_weight_decay: WeightDecay = 0.004
    epsilon: Epsilon = 1e-7
    exclude_layers: Annotated[
        list[LayerNamePattern] | None,
        Field(description="Names of layers that AdamW trains; null: none.", examples=[["head"]]),
    ] = None
    exclude_embeddings: Annotated[bool, Field(description="Whether AdamW trains embeddings.")] = True
    muon_a: _MuonCoefficient = 3.4445
    muon_b: _MuonCoefficient = -4.7750
    muon_c: _MuonCoefficient = 2.0315
    adam_lr_ratio: Annotated[NonNegative, Field(description="AdamW's learning rate, relative to Muon's.")] = 1
    momentum: Momentum = 0.95
    ns_steps: Annotated[int, Field(ge=0, le=100, description="Number of Newton-Schulz iterations.")] = 5
    nesterov: Nesterov = True
    rms_rate: Annotated[
        float | None, Field(ge=0, description="Root mean square of a step; null: not scaled.")
    ] = 0.2

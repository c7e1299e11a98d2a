"""Keras's learning-rate schedules: the learning rate as a function of the step."""

from typing import Annotated

from pydantic import Field

from layercli.schema.component import Component
from layercli.schema.field_types import MAX_INT32, NonNegative, NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ArgumentError

InitialRate = Annotated[NonNegative, Field(description="Learning rate at the first step.", examples=[0.001])]
DecaySteps = Annotated[
    PositiveInt, Field(description="Length of the decay in steps (batches).", examples=[1000])
]
DecayRate = Annotated[NonNegative, Field(description="Strength of the decay.", examples=[0.96])]
Staircase = Annotated[
    bool, Field(description="Whether the rate falls once each `decay_steps`, not at every step.")
]
Alpha = Annotated[NonNegative, Field(description="Lowest learning rate, as a fraction of the initial one.")]


class Schedule(Component):
    """A learning rate that changes with the step."""


class ExponentialDecay(Schedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``."""

    initial_learning_rate: InitialRate
    decay_steps: DecaySteps
    decay_rate: DecayRate
    staircase: Staircase = False


class InverseTimeDecay(Schedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``."""

    initial_learning_rate: InitialRate
    decay_steps: DecaySteps
    decay_rate: DecayRate
    staircase: Staircase = False


class PolynomialDecay(Schedule):
    """From ``initial_learning_rate`` to ``end_learning_rate`` along a polynomial."""

    initial_learning_rate: InitialRate
    decay_steps: DecaySteps
    end_learning_rate: Annotated[NonNegative, Field(description="Learning rate after the decay.")] = 0.0001
    power: Annotated[NonNegative, Field(description="Power of the polynomial; 1: a straight line.")] = 1.0
    cycle: Annotated[bool, Field(description="Whether the decay restarts after `decay_steps`.")] = False


class CosineDecay(Schedule):
    """Half a cosine, after a linear warm-up if ``warmup_target`` is set."""

    initial_learning_rate: InitialRate
    decay_steps: DecaySteps
    alpha: Alpha = 0.0
    warmup_target: Annotated[
        NonNegative | None, Field(description="Learning rate at the end of the warm-up; null: no warm-up.")
    ] = None
    warmup_steps: Annotated[NonNegativeInt, Field(description="Length of the warm-up in steps.")] = 0


class CosineDecayRestarts(Schedule):
    """Repeated half cosines, each ``t_mul`` times as long as the previous one."""

    initial_learning_rate: InitialRate
    first_decay_steps: Annotated[
        PositiveInt, Field(description="Length of the first decay in steps.", examples=[1000])
    ]
    t_mul: Annotated[float, Field(ge=1, description="Factor on the length of each next period.")] = 2.0
    m_mul: Annotated[
        NonNegative, Field(description="Factor on the initial rate of each following period.")
    ] = 1.0
    alpha: Alpha = 0.0


class PiecewiseConstantDecay(Schedule):
    """``values[0]`` up to step ``boundaries[0]``, then ``values[1]``, and so on."""

    boundaries: Annotated[
        list[Annotated[int, Field(ge=0, le=MAX_INT32)]],
        Field(
            min_length=1,
            max_length=1000,
            description="Steps after which the rate changes, in ascending order.",
            examples=[[1000, 2000]],
        ),
    ]
    values: Annotated[
        list[NonNegative],
        Field(description="Learning rates, one more than boundaries.", examples=[[0.1, 0.01, 0.001]]),
    ]

    def check(self) -> None:
        """Check that there is one more value than boundaries, and that boundaries ascend."""
        if len(self.values) != len(self.boundaries) + 1:
            raise ArgumentError(
                "values",
                f"`values` must have one more item than `boundaries`: expected {len(self.boundaries) + 1}, "
                f"got {len(self.values)}.",
                f"Set {len(self.boundaries) + 1} values.",
            )
        if any(
            later <= earlier for earlier, later in zip(self.boundaries, self.boundaries[1:], strict=False)
        ):
            raise ArgumentError("boundaries", "`boundaries` must be in ascending order.", "Sort them.")

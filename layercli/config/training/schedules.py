"""Keras's learning-rate schedules: the learning rate as a function of the step."""

from typing import Annotated

from pydantic import Field

from layercli.schema.component import Component
from layercli.schema.field_types import MAX_INT32, NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ArgumentError

NonNegative = Annotated[float, Field(ge=0)]
InitialRate = Annotated[NonNegative, Field(description="Learning rate at the first step.", examples=[0.001])]
DecaySteps = Annotated[
    PositiveInt, Field(description="Steps (batches) that the decay takes.", examples=[1000])
]
DecayRate = Annotated[NonNegative, Field(description="How strong the decay is.", examples=[0.96])]
Staircase = Annotated[
    bool, Field(description="Whether the rate falls once each `decay_steps`, not at every step.")
]
Alpha = Annotated[
    NonNegative, Field(description="Lowest learning rate, as a fraction of the one decayed from.")
]


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
    cycle: Annotated[bool, Field(description="Whether the decay begins anew after `decay_steps`.")] = False


class CosineDecay(Schedule):
    """Half a cosine, after a linear warm-up if ``warmup_target`` is given."""

    initial_learning_rate: InitialRate
    decay_steps: DecaySteps
    alpha: Alpha = 0.0
    warmup_target: Annotated[
        NonNegative | None, Field(description="Learning rate at the end of the warm-up; null: no warm-up.")
    ] = None
    warmup_steps: Annotated[NonNegativeInt, Field(description="Steps that the warm-up takes.")] = 0


class CosineDecayRestarts(Schedule):
    """Half a cosine again and again, each ``t_mul`` times as long as the one before."""

    initial_learning_rate: InitialRate
    first_decay_steps: Annotated[
        PositiveInt, Field(description="Steps that the first decay takes.", examples=[1000])
    ]
    t_mul: Annotated[float, Field(ge=1, description="Factor on the length of each next period.")] = 2.0
    m_mul: Annotated[NonNegative, Field(description="Factor on the initial rate of each next period.")] = 1.0
    alpha: Alpha = 0.0


class PiecewiseConstantDecay(Schedule):
    """``values[0]`` up to step ``boundaries[0]``, then ``values[1]``, and so on."""

    boundaries: Annotated[
        list[Annotated[int, Field(ge=0, le=MAX_INT32)]],
        Field(
            min_length=1, description="Steps after which the rate changes, rising.", examples=[[1000, 2000]]
        ),
    ]
    values: Annotated[
        list[NonNegative],
        Field(description="Learning rates, one more than boundaries.", examples=[[0.1, 0.01, 0.001]]),
    ]

    def check(self) -> None:
        """One value more than boundaries, and the boundaries rise."""
        if len(self.values) != len(self.boundaries) + 1:
            raise ArgumentError(
                "values",
                f"{len(self.boundaries)} boundaries divide the steps into {len(self.boundaries) + 1} parts, "
                f"but there are {len(self.values)} values.",
                f"Give {len(self.boundaries) + 1} values.",
            )
        if any(
            later <= earlier for earlier, later in zip(self.boundaries, self.boundaries[1:], strict=False)
        ):
            raise ArgumentError("boundaries", "`boundaries` do not rise from each to the next.", "Sort them.")

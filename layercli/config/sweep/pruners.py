"""Optuna's pruners, which stop unpromising trials early."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, PlainValidator

from layercli.schema.component import Catalogue, Component
from layercli.schema.field_types import NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText

_MAX_RUNGS: Final = 30
"""Most rungs to skip: with more, the first one has more epochs than a training can have."""

UnprunedTrials: TypeAlias = Annotated[
    NonNegativeInt, Field(description="Trials that must be complete before one is pruned.")
]
WarmupSteps: TypeAlias = Annotated[NonNegativeInt, Field(description="Epochs in which no trial is pruned.")]
PruningInterval: TypeAlias = Annotated[PositiveInt, Field(description="Epochs between two checks.")]
MinReportedTrials: TypeAlias = Annotated[
    PositiveInt, Field(description="Trials that must reach an epoch before a trial is pruned at this epoch.")
]
BootstrapCount: TypeAlias = Annotated[
    NonNegativeInt, Field(description="Trials that a rung must contain before a trial is promoted.")
]


class NopPruner(Component):
    """Does not prune trials."""


class MedianPruner(Component):
    """Prunes trials worse than the median of earlier trials at the same epoch."""

    n_startup_trials: UnprunedTrials = 5
    n_warmup_steps: WarmupSteps = 0
    interval_steps: PruningInterval = 1
    n_min_trials: MinReportedTrials = 1


class PercentilePruner(Component):
    """Prunes trials outside the best percentile of earlier trials at the same epoch."""

    percentile: Annotated[
        float, Field(ge=0, le=100, description="Percentage of trials to keep.", examples=[25.0])
    ]
    n_startup_trials: UnprunedTrials = 5
    n_warmup_steps: WarmupSteps = 0
    interval_steps: PruningInterval = 1
    n_min_trials: MinReportedTrials = 1


class SuccessiveHalvingPruner(Component):
    """Gives more epochs to the best trials of each rung."""

    min_resource: Annotated[
        PositiveInt | Literal["auto"], Field(description="Epochs of the first rung, or auto.")
    ] = "auto"
    reduction_factor: Annotated[
        int, Field(ge=2, le=1000, description="Promotes one in this many trials.")
    ] = 4
    min_early_stopping_rate: Annotated[
        int, Field(ge=0, le=_MAX_RUNGS, description="Number of rungs to skip.")
    ] = 0
    bootstrap_count: BootstrapCount = 0

    def check(self) -> None:
        if self.bootstrap_count and self.min_resource == "auto":
            raise ArgumentError(
                "bootstrap_count", "`bootstrap_count` requires a number as `min_resource`, got auto."
            )


class HyperbandPruner(Component):
    """Successive halving with several first rungs."""

    min_resource: Annotated[PositiveInt, Field(description="Epochs of the first rung.")] = 1
    max_resource: Annotated[
        PositiveInt | Literal["auto"], Field(description="Epochs of the longest trial, or auto.")
    ] = "auto"
    reduction_factor: Annotated[
        int, Field(ge=2, le=1000, description="Promotes one in this many trials.")
    ] = 3
    bootstrap_count: BootstrapCount = 0

    def check(self) -> None:
        if self.bootstrap_count and self.max_resource == "auto":
            raise ArgumentError(
                "bootstrap_count", "`bootstrap_count` requires a number as `max_resource`, got auto."
            )


class ThresholdPruner(Component):
    """Prunes trials with values outside the bounds."""

    lower: Annotated[float | None, Field(description="Minimum value; null: none.")] = None
    upper: Annotated[float | None, Field(description="Maximum value; null: none.")] = None
    n_warmup_steps: WarmupSteps = 0
    interval_steps: PruningInterval = 1

    def check(self) -> None:
        if self.lower is None and self.upper is None:
            raise ArgumentError(
                "lower",
                "ThresholdPruner requires `lower` or `upper`.",
                "Set one of them, such as `lower: 0.5`.",
            )
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ArgumentError(
                "lower", f"`lower` must be at most `upper`, got {self.lower} and {self.upper}."
            )


class WilcoxonPruner(Component):
    """Prunes trials that are worse than the best trial by a signed-rank test."""

    p_threshold: Annotated[float, Field(ge=0, le=1, description="p-value below which a trial is pruned.")] = (
        0.1
    )
    n_startup_steps: Annotated[NonNegativeInt, Field(description="Epochs in which no trial is pruned.")] = 2


def _parse_wrapped_pruner(value: Any) -> Component | None:
    return None if value is None else PRUNERS.parse(value)


class PatientPruner(Component):
    """Prunes trials like a wrapped pruner, but only after some epochs without improvement."""

    wrapped_pruner: Annotated[
        Component | None,
        PlainValidator(_parse_wrapped_pruner),
        ExpectedText("a pruner"),
        Field(description="The wrapped pruner."),
    ]
    patience: Annotated[NonNegativeInt, Field(description="Epochs to wait.", examples=[2])]
    min_delta: Annotated[float, Field(ge=0, description="Minimum change that counts as an improvement.")] = (
        0.0
    )


_SHORT_NAMES = (
    "Median",
    "Nop",
    "Percentile",
    "SuccessiveHalving",
    "Hyperband",
    "Threshold",
    "Patient",
    "Wilcoxon",
)

PRUNERS: Final = Catalogue[Component](
    noun="pruner",
    package="layercli.config.sweep",
    modules=dict.fromkeys(
        (f"{name}Pruner" for name in _SHORT_NAMES),
        "pruners",
    ),
    aliases={name: f"{name}Pruner" for name in _SHORT_NAMES},
)

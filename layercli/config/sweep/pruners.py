"""Optuna's pruners: which trials end before their last epoch."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, PlainValidator

from layercli.schema.component import Catalogue, Component
from layercli.schema.field_types import NonNegativeInt, PositiveInt
from layercli.schema.strict_model import ArgumentError, ExpectedText

UnprunedTrials: TypeAlias = Annotated[
    NonNegativeInt, Field(description="Trials that must be complete before one is pruned.")
]
WarmupSteps: TypeAlias = Annotated[NonNegativeInt, Field(description="Epochs in which no trial is pruned.")]
PruningInterval: TypeAlias = Annotated[PositiveInt, Field(description="Epochs from one look to the next.")]
MinReportedTrials: TypeAlias = Annotated[
    PositiveInt, Field(description="Trials that must have come to an epoch before one is pruned there.")
]
BootstrapCount: TypeAlias = Annotated[
    NonNegativeInt, Field(description="Trials of a rung that must be there before one is promoted.")
]


class NopPruner(Component):
    """Prunes nothing."""


class MedianPruner(Component):
    """Prunes what is worse than the median of earlier trials at the same epoch."""

    n_startup_trials: UnprunedTrials = 5
    n_warmup_steps: WarmupSteps = 0
    interval_steps: PruningInterval = 1
    n_min_trials: MinReportedTrials = 1


class PercentilePruner(Component):
    """Prunes what is not among the best percentile of earlier trials at the same epoch."""

    percentile: Annotated[
        float, Field(ge=0, le=100, description="Which share is kept, in percent.", examples=[25.0])
    ]
    n_startup_trials: UnprunedTrials = 5
    n_warmup_steps: WarmupSteps = 0
    interval_steps: PruningInterval = 1
    n_min_trials: MinReportedTrials = 1


class SuccessiveHalvingPruner(Component):
    """Gives the best share of the trials more epochs, rung by rung."""

    min_resource: Annotated[
        PositiveInt | Literal["auto"], Field(description="Epochs of the first rung, or auto.")
    ] = "auto"
    reduction_factor: Annotated[int, Field(ge=2, le=1000, description="One of so many goes on.")] = 4
    min_early_stopping_rate: Annotated[NonNegativeInt, Field(description="Rungs that are left out.")] = 0
    bootstrap_count: BootstrapCount = 0

    def check(self) -> None:
        if self.bootstrap_count and self.min_resource == "auto":
            raise ArgumentError("bootstrap_count", "`bootstrap_count` needs a number as `min_resource`.")


class HyperbandPruner(Component):
    """Successive halving with several first rungs."""

    min_resource: Annotated[PositiveInt, Field(description="Epochs of the first rung.")] = 1
    max_resource: Annotated[
        PositiveInt | Literal["auto"], Field(description="Epochs of the longest trial, or auto.")
    ] = "auto"
    reduction_factor: Annotated[int, Field(ge=2, le=1000, description="One of so many goes on.")] = 3
    bootstrap_count: BootstrapCount = 0

    def check(self) -> None:
        if self.bootstrap_count and self.max_resource == "auto":
            raise ArgumentError("bootstrap_count", "`bootstrap_count` needs a number as `max_resource`.")


class ThresholdPruner(Component):
    """Prunes what leaves the bounds."""

    lower: Annotated[float | None, Field(description="Least value; null: none.")] = None
    upper: Annotated[float | None, Field(description="Largest value; null: none.")] = None
    n_warmup_steps: WarmupSteps = 0
    interval_steps: PruningInterval = 1

    def check(self) -> None:
        if self.lower is None and self.upper is None:
            raise ArgumentError(
                "lower", "ThresholdPruner has no bound.", "Set `lower` or `upper`, such as `lower: 0.5`."
            )
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ArgumentError("lower", f"`lower` {self.lower} is above `upper` {self.upper}.")


class WilcoxonPruner(Component):
    """Prunes what is worse than the best trial by a signed-rank test."""

    p_threshold: Annotated[float, Field(ge=0, le=1, description="The test's p below which it prunes.")] = 0.1
    n_startup_steps: Annotated[NonNegativeInt, Field(description="Epochs in which no trial is pruned.")] = 2


def _parse_wrapped_pruner(value: Any) -> Component | None:
    return None if value is None else PRUNERS.parse(value)


class PatientPruner(Component):
    """Prunes as another pruner does, but only what has not become better for some epochs."""

    wrapped_pruner: Annotated[
        Component | None,
        PlainValidator(_parse_wrapped_pruner),
        ExpectedText("a pruner"),
        Field(description="That pruner."),
    ]
    patience: Annotated[NonNegativeInt, Field(description="Epochs to wait.", examples=[2])]
    min_delta: Annotated[float, Field(ge=0, description="How much counts as better.")] = 0.0


PRUNERS: Final = Catalogue[Component](
    noun="pruner",
    package="layercli.config.sweep",
    modules=dict.fromkeys(
        ("MedianPruner", "NopPruner", "PercentilePruner", "SuccessiveHalvingPruner", "HyperbandPruner",
         "ThresholdPruner", "PatientPruner", "WilcoxonPruner"), "pruners"
    ),
    aliases={name: f"{name}Pruner" for name in ("Median", "Nop", "Percentile", "SuccessiveHalving", "Hyperband",
                                                "Threshold", "Patient", "Wilcoxon")},
)  # fmt: skip

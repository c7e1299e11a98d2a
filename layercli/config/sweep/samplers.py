"""Optuna's samplers, which draw the values of a sweep."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from layercli.schema.component import Catalogue, Component
from layercli.schema.field_types import MAX_INT32, NonNegativeInt

_MAX_CANDIDATES: Final = 10_000
"""Most candidates of a value, each of which is compared with all earlier trials."""
_MAX_GENERATION: Final = 10_000
"""Most trials of a generation; Optuna has a number for each in memory."""

Seed: TypeAlias = Annotated[
    int | None,
    Field(ge=0, le=MAX_INT32, description="Random seed; null: different in each sweep.", examples=[1]),
]
RandomTrials: TypeAlias = Annotated[NonNegativeInt, Field(description="Number of initial random trials.")]
Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]

REQUIRED_PACKAGES: Final = {"CmaEsSampler": "cmaes", "GPSampler": "torch", "QMCSampler": "scipy"}
"""Packages that a sampler imports in addition to Optuna."""


class TPESampler(Component):
    """Tree-structured Parzen estimator: draws near good values."""

    n_startup_trials: RandomTrials = 10
    n_ei_candidates: Annotated[
        int, Field(gt=0, le=_MAX_CANDIDATES, description="Number of candidates for each value.")
    ] = 24
    seed: Seed = None
    multivariate: Annotated[
        bool | None, Field(description="Whether to draw values jointly; null: Optuna decides.")
    ] = None
    group: Annotated[bool, Field(description="Whether to draw values in groups; requires multivariate.")] = (
        False
    )
    constant_liar: Annotated[bool, Field(description="Whether running trials count as bad trials.")] = True


class RandomSampler(Component):
    """Draws each value independently at random."""

    seed: Seed = None


class GridSampler(Component):
    """Tries every combination once; each range requires an end and a step."""

    seed: Seed = None


class BruteForceSampler(Component):
    """Tries every combination once, in random order; each range requires an end and a step."""

    seed: Seed = None
    avoid_premature_stop: Annotated[
        bool, Field(description="No effect: a sweep ends when each combination is finished.")
    ] = False


class QMCSampler(Component):
    """Low-discrepancy sequence: fills the space evenly."""

    qmc_type: Annotated[Literal["sobol", "halton"], Field(description="The sequence.")] = "sobol"
    scramble: Annotated[bool, Field(description="Whether the sequence is scrambled.")] = False
    seed: Seed = None


class CmaEsSampler(Component):
    """Covariance matrix adaptation, only for numbers."""

    sigma0: Annotated[
        float | None, Field(gt=0, description="Initial standard deviation; null: a sixth of each range.")
    ] = None
    n_startup_trials: RandomTrials = 1
    seed: Seed = None
    consider_pruned_trials: Annotated[bool, Field(description="Whether pruned trials count.")] = False
    popsize: Annotated[
        int | None,
        Field(
            gt=0,
            le=_MAX_GENERATION,
            description="Trials per generation; null: depends on the size of the space.",
        ),
    ] = None
    use_separable_cma: Annotated[bool, Field(description="Whether to ignore covariances.")] = False
    with_margin: Annotated[bool, Field(description="Whether integers keep a margin.")] = False
    lr_adapt: Annotated[bool, Field(description="Whether its learning rate adapts.")] = False


class GPSampler(Component):
    """Gaussian process, for few, expensive trials."""

    seed: Seed = None
    n_startup_trials: RandomTrials = 10
    deterministic_objective: Annotated[
        bool, Field(description="Whether equal values always give equal results.")
    ] = False


class NSGAIISampler(Component):
    """Genetic algorithm: crosses the best trials."""

    population_size: Annotated[int, Field(ge=2, le=_MAX_GENERATION, description="Trials per generation.")] = (
        50
    )
    mutation_prob: Annotated[
        Probability | None, Field(description="Probability of changing a value; null: 1 / number of values.")
    ] = None
    crossover_prob: Annotated[Probability, Field(description="Probability of crossing two trials.")] = 0.9
    swapping_prob: Annotated[Probability, Field(description="Probability of swapping each value.")] = 0.5
    seed: Seed = None


_SEVERAL_OBJECTIVES_REASON = ("it is for several objectives", "Use NSGAIISampler or TPESampler.")

_SHORT_NAMES = ("TPE", "Random", "Grid", "BruteForce", "QMC", "CmaEs", "GP", "NSGAII")

SAMPLERS: Final = Catalogue[Component](
    noun="sampler",
    package="layercli.config.sweep",
    modules=dict.fromkeys(
        (f"{name}Sampler" for name in _SHORT_NAMES),
        "samplers",
    ),
    aliases={name: f"{name}Sampler" for name in _SHORT_NAMES},
    unavailable={
        "NSGAIIISampler": _SEVERAL_OBJECTIVES_REASON,
        "PartialFixedSampler": ("fixed values belong in the base config", "Use a different sampler."),
    },
)

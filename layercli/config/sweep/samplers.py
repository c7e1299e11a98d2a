"""Optuna's samplers: how a sweep draws its values."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from layercli.schema.component import Catalogue, Component
from layercli.schema.field_types import MAX_INT32, NonNegativeInt, PositiveInt

Seed: TypeAlias = Annotated[
    int | None,
    Field(ge=0, le=MAX_INT32, description="Seed of what is drawn; null: drawn anew each time.", examples=[1]),
]
RandomTrials: TypeAlias = Annotated[
    NonNegativeInt, Field(description="Trials at the beginning that are drawn at random.")
]
Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]

REQUIRED_PACKAGES: Final = {"CmaEsSampler": "cmaes", "GPSampler": "torch", "QMCSampler": "scipy"}
"""Packages that a sampler imports beside Optuna's own."""


class TPESampler(Component):
    """Draws near what was good: a tree-structured Parzen estimator."""

    n_startup_trials: RandomTrials = 10
    n_ei_candidates: Annotated[PositiveInt, Field(description="Candidates of which the best is taken.")] = 24
    seed: Seed = None
    multivariate: Annotated[
        bool | None, Field(description="Whether values are drawn together; null: Optuna decides.")
    ] = None
    group: Annotated[bool, Field(description="Whether values are drawn in groups; needs multivariate.")] = (
        False
    )
    constant_liar: Annotated[bool, Field(description="Whether running trials count as bad ones.")] = True


class RandomSampler(Component):
    """Draws each value by itself, at random."""

    seed: Seed = None


class GridSampler(Component):
    """Every combination once; each range needs an end and a step."""

    seed: Seed = None


class BruteForceSampler(Component):
    """Every combination once, in random order; each range needs an end and a step."""

    seed: Seed = None
    avoid_premature_stop: Annotated[
        bool, Field(description="Changes nothing: a sweep ends when each combination is finished.")
    ] = False


class QMCSampler(Component):
    """Fills the space evenly: a low-discrepancy sequence."""

    qmc_type: Annotated[Literal["sobol", "halton"], Field(description="Which sequence.")] = "sobol"
    scramble: Annotated[bool, Field(description="Whether the sequence is scrambled.")] = False
    seed: Seed = None


class CmaEsSampler(Component):
    """Covariance matrix adaptation: for numbers alone."""

    sigma0: Annotated[float | None, Field(gt=0, description="First standard deviation; null: a sixth.")] = (
        None
    )
    n_startup_trials: RandomTrials = 1
    seed: Seed = None
    consider_pruned_trials: Annotated[bool, Field(description="Whether pruned trials count.")] = False
    popsize: Annotated[
        PositiveInt | None, Field(description="Trials in a generation; null: by the size of the space.")
    ] = None
    use_separable_cma: Annotated[bool, Field(description="Whether covariances are left out.")] = False
    with_margin: Annotated[bool, Field(description="Whether whole numbers keep a margin.")] = False
    lr_adapt: Annotated[bool, Field(description="Whether its learning rate adapts.")] = False


class GPSampler(Component):
    """Draws by a Gaussian process; for few, costly trials."""

    seed: Seed = None
    n_startup_trials: RandomTrials = 10
    deterministic_objective: Annotated[
        bool, Field(description="Whether the same values always give the same result.")
    ] = False


class NSGAIISampler(Component):
    """Crosses the best trials: a genetic algorithm."""

    population_size: Annotated[int, Field(ge=2, le=MAX_INT32, description="Trials in a generation.")] = 50
    mutation_prob: Annotated[
        Probability | None, Field(description="How often a value changes; null: one of all.")
    ] = None
    crossover_prob: Annotated[Probability, Field(description="How often two trials are crossed.")] = 0.9
    swapping_prob: Annotated[Probability, Field(description="How often each value is swapped.")] = 0.5
    seed: Seed = None


_SEVERAL_OBJECTIVES_REASON = ("it is for several objectives", "Use NSGAIISampler or TPESampler.")

SAMPLERS: Final = Catalogue[Component](
    noun="sampler",
    package="layercli.config.sweep",
    modules=dict.fromkeys(
        ("TPESampler", "RandomSampler", "GridSampler", "BruteForceSampler", "QMCSampler", "CmaEsSampler",
         "GPSampler", "NSGAIISampler"), "samplers"
    ),
    aliases={name: f"{name}Sampler" for name in ("TPE", "Random", "Grid", "BruteForce", "QMC", "CmaEs", "GP", "NSGAII")},
    unavailable={
        "NSGAIIISampler": _SEVERAL_OBJECTIVES_REASON,
        "PartialFixedSampler": ("values that are fixed belong into the base config", "Use another sampler."),
    },
)  # fmt: skip

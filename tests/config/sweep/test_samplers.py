"""Comparison of samplers and pruners with Optuna: names, arguments and defaults."""

import inspect

import optuna
import pytest
from pydantic import ValidationError

from layercli.config.sweep.pruners import PRUNERS
from layercli.config.sweep.samplers import SAMPLERS

NO_DATA = {
    "TPESampler": {
        "prior_weight",
        "consider_prior",
        "consider_magic_clip",
        "consider_endpoints",
        "gamma",
        "weights",
    },
    "GridSampler": {"search_space"},
    "CmaEsSampler": {"x0", "restart_strategy", "inc_popsize", "source_trials"},
    "NSGAIISampler": {
        "mutation",
        "crossover",
        "elite_population_selection_strategy",
        "child_generation_strategy",
        "after_trial_strategy",
    },
}
"""Arguments that are functions or objects, follow from the space, or are deprecated."""
NOWHERE = {
    "independent_sampler",
    "constraints_func",
    "warn_independent_sampling",
    "warn_asynchronous_seeding",
}


@pytest.mark.parametrize("name", SAMPLERS.names)
def test_sampler_arguments_and_defaults_match_optuna(name):
    known = parameters(getattr(optuna.samplers, name), NO_DATA.get(name, set()) | NOWHERE)
    assert defaults(SAMPLERS.load(name)) == known


@pytest.mark.parametrize("name", PRUNERS.names)
def test_pruner_arguments_and_defaults_match_optuna(name):
    assert defaults(PRUNERS.load(name)) == parameters(getattr(optuna.pruners, name), set())


@pytest.mark.parametrize(
    "name", [name for name in SAMPLERS.names if name not in ("GridSampler", "GPSampler")]
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_accepts_the_declared_arguments(name):
    getattr(optuna.samplers, name)(**SAMPLERS.parse({"type": name, "seed": 0}).arguments())


@pytest.mark.parametrize(
    ("catalogue", "name", "argument", "most"),
    [
        (SAMPLERS, "TPESampler", "n_ei_candidates", 10_000),
        (SAMPLERS, "CmaEsSampler", "popsize", 10_000),
        (SAMPLERS, "NSGAIISampler", "population_size", 10_000),
        (PRUNERS, "SuccessiveHalvingPruner", "min_early_stopping_rate", 30),
    ],
)
def test_argument_that_sets_an_amount_of_work_is_bounded(catalogue, name, argument, most):
    assert catalogue.parse({"type": name, argument: most}).arguments()[argument] == most
    with pytest.raises(ValidationError, match=f"{most:,}.*, got {most + 1}"):
        catalogue.parse({"type": name, argument: most + 1})


def test_catalogues_cover_all_optuna_samplers_and_pruners():
    known = {*SAMPLERS.names, *SAMPLERS.unavailable, "BaseSampler", "BaseGASampler", "nsgaii"}
    assert known == set(optuna.samplers.__all__)
    assert {*PRUNERS.names, "BasePruner"} == set(optuna.pruners.__all__)


def parameters(cls, left_out):
    found = inspect.signature(cls).parameters
    return {
        name: ... if value.default is value.empty else value.default
        for name, value in found.items()
        if name not in left_out
    }


def defaults(cls):
    return {
        name: ... if field.is_required() else field.default
        for name, field in cls.arguments_model().model_fields.items()
    }

"""Build Optuna's samplers and pruners from the sweep file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import BaseSampler

from layercli.schema.component import Component
from layercli.sweep.plan import SweepPlan
from layercli.sweep.trials import count_earlier_trials

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

_SHARED_SEQUENCE_SAMPLERS = ("GridSampler", "BruteForceSampler", "QMCSampler")
"""Samplers that draw from one sequence, which must be the same in each process."""


def make_sampler(plan: SweepPlan) -> BaseSampler:
    """Return the plan's sampler, which depends only on the trial's number and the earlier trials."""
    return _PerTrialSampler(plan)


def make_pruner(plan: SweepPlan) -> optuna.pruners.BasePruner:
    """Return the plan's pruner."""
    pruner: optuna.pruners.BasePruner = _build_pruner(plan.sweep.declared_pruner)
    return pruner


def _build_pruner(component: Component) -> Any:
    arguments = component.arguments()
    if arguments.get("wrapped_pruner") is not None:
        arguments["wrapped_pruner"] = _build_pruner(arguments["wrapped_pruner"])
    return getattr(optuna.pruners, component.type_name())(**arguments)


def _build_sampler(plan: SweepPlan, number: int) -> BaseSampler:
    declared = plan.sweep.declared_sampler
    kind, arguments = declared.type_name(), declared.arguments()
    if arguments["seed"] is not None and kind not in _SHARED_SEQUENCE_SAMPLERS:
        seed_hash = hashlib.sha256(f"{arguments['seed']} {number}".encode()).digest()
        arguments["seed"] = int.from_bytes(seed_hash[:4]) // 2
    if plan.sweep.combination_count is not None:
        return _CombinationSampler(
            {name: x.grid_values or () for name, x in plan.sweep.parameters.items()}, arguments["seed"]
        )
    sampler: BaseSampler = getattr(optuna.samplers, kind)(**arguments)
    return sampler


class _CombinationSampler(optuna.samplers.GridSampler):
    """A sampler that takes every combination once, in an order that depends on the seed.

    Each trial takes the combination at its own position. Optuna's samplers draw from the remaining combinations, where
    two workers may draw the same one at the same moment.
    """

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        if "grid_id" not in trial.system_attrs:  # a retry may have inherited it
            combination = count_earlier_trials(trial, study.get_trials(deepcopy=False)) % len(self._all_grids)
            for key, value in (("search_space", self._search_space), ("grid_id", combination)):
                study._storage.set_trial_system_attr(trial._trial_id, key, value)


class _PerTrialSampler(BaseSampler):
    """A new sampler for each trial, seeded by the trial's number.

    A sampler for all trials of a process would repeat its values in each process, and after each restart.
    """

    def __init__(self, plan: SweepPlan) -> None:
        self._plan = plan
        self._sampler = _build_sampler(plan, 0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        # Before the first draw: other processes can see from now on that this one is alive.
        study._storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]
        self._sampler = _build_sampler(self._plan, trial.number)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Do nothing: the seed is the trial's number."""

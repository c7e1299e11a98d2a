"""Optuna's samplers and pruners as a sweep declares them."""

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
"""What these draw is one sequence, of which each process must know the same."""


def make_sampler(plan: SweepPlan) -> BaseSampler:
    """The plan's sampler, which draws the same for a trial of the same number and the same trials before."""
    return _PerTrialSampler(plan)


def make_pruner(plan: SweepPlan) -> optuna.pruners.BasePruner:
    """The plan's pruner."""
    pruner: optuna.pruners.BasePruner = _build_pruner(plan.sweep.declared_pruner)
    return pruner


def _build_pruner(declared: Component) -> Any:
    arguments = declared.arguments()
    if arguments.get("wrapped_pruner") is not None:
        arguments["wrapped_pruner"] = _build_pruner(arguments["wrapped_pruner"])
    return getattr(optuna.pruners, declared.type_name())(**arguments)


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
    """Every combination once, in an order that the seed tells: each trial takes the one whose turn it is.

    Optuna's own samplers draw among those that are left, where two workers may draw the same at the same moment.
    """

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        if (
            "grid_id" not in trial.system_attrs
        ):  # what is tried again has it already, if its worker came so far
            combination = count_earlier_trials(trial, study.get_trials(deepcopy=False)) % len(self._all_grids)
            for key, value in (("search_space", self._search_space), ("grid_id", combination)):
                study._storage.set_trial_system_attr(trial._trial_id, key, value)


class _PerTrialSampler(BaseSampler):
    """A sampler made anew for each trial, seeded by the trial's number.

    One that lived as long as its process would draw the same values again in each process, and after each start.
    """

    def __init__(self, plan: SweepPlan) -> None:
        self._plan = plan
        self._sampler = _build_sampler(plan, 0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        # Before anything is drawn: from now on others see that the trial's process lives.
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
        """Nothing: the seed is the trial's number."""

"""Optuna's samplers and pruners as a sweep declares them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import BaseSampler

from layercli.schema.component import Component
from layercli.sweep.plan import Plan
from layercli.sweep.study import turn

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

_SAME_EVERYWHERE = ("GridSampler", "BruteForceSampler", "QMCSampler")
"""What these draw is one sequence, of which each process must know the same."""


def sampler_for(plan: Plan) -> BaseSampler:
    """The plan's sampler, which draws the same for a trial of the same number and the same trials before."""
    return _Numbered(plan)


def made_pruner(plan: Plan) -> optuna.pruners.BasePruner:
    """The plan's pruner."""
    made: optuna.pruners.BasePruner = _pruner(plan.sweep.declared_pruner)
    return made


def _pruner(declared: Component) -> Any:
    arguments = declared.arguments()
    if arguments.get("wrapped_pruner") is not None:
        arguments["wrapped_pruner"] = _pruner(arguments["wrapped_pruner"])
    return getattr(optuna.pruners, declared.type_name())(**arguments)


def _made(plan: Plan, number: int) -> BaseSampler:
    declared = plan.sweep.declared_sampler
    kind, arguments = declared.type_name(), declared.arguments()
    if arguments["seed"] is not None and kind not in _SAME_EVERYWHERE:
        mixed = hashlib.sha256(f"{arguments['seed']} {number}".encode()).digest()
        arguments["seed"] = int.from_bytes(mixed[:4]) // 2
    if plan.sweep.combinations is not None:
        return _Combinations(
            {name: x.values or () for name, x in plan.sweep.parameters.items()}, arguments["seed"]
        )
    made: BaseSampler = getattr(optuna.samplers, kind)(**arguments)
    return made


class _Combinations(optuna.samplers.GridSampler):
    """Every combination once, in an order that the seed tells: each trial takes the one whose turn it is.

    Optuna's own samplers draw among those that are left, where two workers may draw the same at the same moment.
    """

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        if (
            "grid_id" not in trial.system_attrs
        ):  # what is tried again has it already, if its worker came so far
            combination = turn(trial, study.get_trials(deepcopy=False)) % len(self._all_grids)
            for key, value in (("search_space", self._search_space), ("grid_id", combination)):
                study._storage.set_trial_system_attr(trial._trial_id, key, value)


class _Numbered(BaseSampler):
    """A sampler made anew for each trial, seeded by the trial's number.

    One that lived as long as its process would draw the same values again in each process, and after each start.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sampler = _made(plan, 0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        # Before anything is drawn: from now on others see that the trial's process lives.
        study._storage.record_heartbeat(trial._trial_id)  # type: ignore[attr-defined]
        self._sampler = _made(self._plan, trial.number)
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

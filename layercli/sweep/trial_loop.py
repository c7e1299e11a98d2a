"""A worker: runs trials of a study until enough are finished."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from layercli.check import ValidConfig
from layercli.errors import LayercliError
from layercli.sweep.model_limits import Sizes, compute_constraints, find_exceeded_limits, measure_model
from layercli.sweep.plan import SweepPlan
from layercli.sweep.trials import (
    EPOCH_KEY,
    EPOCHS_KEY,
    EXCEEDED,
    LOSS_KEY,
    PROBLEM_KEY,
    RUN_KEY,
    SIZES_KEY,
    SURPLUS_KEY,
    WORKER_KEY,
    StaleTrials,
    Tally,
    identify_process,
    is_surplus,
    silence_optuna,
)

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

_POLL_SECONDS = 0.3
"""Seconds between two checks for trials that need a retry."""


TrainFunction: TypeAlias = Callable[[ValidConfig, Path, Callable[[Mapping[str, Any]], None]], None]
"""Trains a config into a run directory and passes on each epoch's record. The callback may raise an exception."""
SizeReader: TypeAlias = Callable[[ValidConfig], ValidConfig]
"""Completes a config with the sizes that its layers learn from the data."""


class _TrialPrunedError(BaseException):
    """Aborts a training. It is not an ``Exception``, so that no handler treats it as a failure."""


class _TrialFailedError(Exception):
    """A trial ended without a result; its attributes contain the reason."""


def run_worker(
    plan: SweepPlan,
    study: optuna.Study,
    directory: Path,
    train: TrainFunction,
    *,
    deadline: float | None,
    patience: float,
    read_sizes: SizeReader | None = None,
) -> None:
    """Run trials until all workers together have finished the wanted number, or the deadline has passed.

    ``deadline`` is a time of ``time.time``; a worker that is silent for ``patience`` seconds counts as crashed.
    A trial whose model exceeds a limit of the sweep is refused: ``train`` is not called, so TensorFlow is not loaded.
    """
    import optuna

    stale_trials = StaleTrials(patience)
    tally = Tally()
    bounds = plan.sweep.trial_count, plan.sweep.combination_count
    while True:
        with silence_optuna():
            optuna.storages.fail_stale_trials(study)
        trials = study.get_trials(deepcopy=False)
        stale_trials.retry_silent(study, tally.update(trials).open_trials)
        if tally.is_finished(*bounds) or (deadline is not None and time.time() >= deadline):
            return
        if tally.has_waiting or tally.has_room(*bounds):
            with silence_optuna():
                study.optimize(
                    lambda trial: _run_trial(trial, plan, study, tally, directory, train, read_sizes),
                    n_trials=1,
                    catch=(_TrialFailedError,),
                )
        else:
            time.sleep(_POLL_SECONDS)


def _run_trial(
    trial: optuna.Trial,
    plan: SweepPlan,
    study: optuna.Study,
    tally: Tally,
    directory: Path,
    train: TrainFunction,
    read_sizes: SizeReader | None,
) -> Sequence[float]:
    """Run one trial and return the values of the objectives in its best epoch."""
    import optuna

    trial.set_user_attr(WORKER_KEY, [*identify_process(), trial.number])
    trials = study.get_trials(deepcopy=False)
    bounds = plan.sweep.trial_count, plan.sweep.combination_count
    if tally.update(trials).has_surplus(*bounds) and is_surplus(trials[trial.number], trials, *bounds):
        trial.set_user_attr(SURPLUS_KEY, True)
        raise _TrialFailedError
    # A journal is written once for all values of a trial; databases have no such context.
    with getattr(study._storage, "hold_records", nullcontext)():
        drawn_values = {
            name: parameter.suggest_value(trial, name) for name, parameter in plan.sweep.parameters.items()
        }
        check_result = plan.check_values(drawn_values)
        if not check_result.ok or check_result.config is None or check_result.shapes is None:
            trial.set_user_attr(PROBLEM_KEY, _format_first_error(LayercliError(check_result.problems)))
            raise optuna.TrialPruned
        valid = ValidConfig(check_result, check_result.config, check_result.shapes)
        sizes = _measure_trial(valid, plan, read_sizes)
        is_refused = _record_sizes(trial, trials[trial.number], plan, sizes)
    if is_refused:
        return _end_refused_trial(plan)
    run_dir = directory / str(trial.number)
    trial.set_user_attr(RUN_KEY, str(run_dir))
    objective = _ObjectiveTracker(trial, plan, valid, sizes)
    try:
        train(valid, run_dir, objective.report)
    except _TrialPrunedError:
        raise optuna.TrialPruned from None
    except LayercliError as error:
        trial.set_user_attr(PROBLEM_KEY, _format_first_error(error))
        raise _TrialFailedError from None
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        trial.set_user_attr(PROBLEM_KEY, f"{type(error).__name__}: {error}")
        raise _TrialFailedError from None
    if objective.values is None:
        trial.set_user_attr(PROBLEM_KEY, objective.describe_missing())
        raise _TrialFailedError
    trial.set_user_attr(EPOCH_KEY, objective.epoch)
    trial.set_user_attr(LOSS_KEY, objective.loss)
    if plan.sweep.has_several_objectives:  # Optuna records no epochs of such a trial
        trial.set_user_attr(EPOCHS_KEY, objective.last_epoch)
    return objective.values


def _measure_trial(valid: ValidConfig, plan: SweepPlan, read_sizes: SizeReader | None) -> Sizes:
    """Return the sizes of a model, with the help of its data if a limit or an objective needs them."""
    needs_sizes = bool(plan.limits) or any(objective.is_static for objective in plan.objectives)
    if read_sizes is not None and needs_sizes and valid.shapes.size_learners:
        with suppress(LayercliError):  # the training reports it
            valid = read_sizes(valid)
    return measure_model(valid)


def _record_sizes(trial: optuna.Trial, stored: FrozenTrial, plan: SweepPlan, sizes: Sizes) -> bool:
    """Record the sizes of a model, and by how much it exceeds or meets each limit. Return whether it exceeds one."""
    for name, excess in compute_constraints(plan.limits, sizes).items():
        if name not in stored.constraints:  # a retry may have inherited it
            trial.set_constraint(name, excess)
    exceeded = [each.as_json() for each in find_exceeded_limits(plan.limits, sizes)]
    trial.set_user_attr(SIZES_KEY, {**sizes, EXCEEDED: exceeded})
    return bool(exceeded)


def _end_refused_trial(plan: SweepPlan) -> Sequence[float]:
    """End a trial without training, in the state in which the sampler learns from its constraints.

    Genetic algorithms read the constraints of complete trials only. The values are the worst, and rank behind every other.

    Raises:
        TrialPruned: The sampler reads the constraints of pruned trials.
    """
    import optuna

    if plan.sweep.declared_sampler.type_name() != "NSGAIISampler":
        raise optuna.TrialPruned
    return [-math.inf if objective.is_maximizing else math.inf for objective in plan.objectives]


class _ObjectiveTracker:
    """The objectives of a trial over its epochs; the first one that training logs selects the best epoch."""

    def __init__(self, trial: optuna.Trial, plan: SweepPlan, valid: ValidConfig, sizes: Sizes) -> None:
        assert valid.config.train is not None
        self.values: list[float] | None = None
        self.epoch = 0
        self.last_epoch = 0
        self.loss: float | None = None
        self._trial = trial
        self._plan = plan
        self._sizes = sizes
        self._epochs = valid.config.train.epochs
        self._best: float | None = None

    def report(self, record: Mapping[str, Any]) -> None:
        """Report an epoch to the storage, and abort the training if the pruner decides so."""
        self.last_epoch = record["epoch"]
        values = [
            self._sizes[objective.metric] if objective.is_static else record.get(objective.metric)
            for objective in self._plan.objectives
        ]
        numbers = [
            float(value) for value in values if isinstance(value, (int, float)) and math.isfinite(value)
        ]
        if len(numbers) < len(values):
            return
        position = self._plan.leading_position
        value, leading = numbers[position], self._plan.objectives[position]
        if self._best is None or (value > self._best if leading.is_maximizing else value < self._best):
            self._best, self.values, self.epoch = value, numbers, record["epoch"]
            self.loss = self._read_loss(record, leading.metric)
        if self._plan.sweep.has_several_objectives:
            return
        self._trial.report(value, record["epoch"])
        if record["epoch"] < self._epochs and self._trial.should_prune():
            raise _TrialPrunedError

    def describe_missing(self) -> str:
        """Return why the trial has no value."""
        unknown = [x.metric for x in self._plan.objectives if x.is_static and self._sizes[x.metric] is None]
        if unknown:
            return f"The {' and '.join(unknown)} of the model cannot be computed."
        names = " or ".join(x.metric for x in self._plan.objectives if not x.is_static)
        return f"{names} was not a finite number in any epoch."

    @staticmethod
    def _read_loss(record: Mapping[str, Any], metric: str) -> float | None:
        """Return the loss on the examples on which the metric was computed."""
        loss = record.get("val_loss" if metric.startswith("val_") else "loss")
        return float(loss) if isinstance(loss, (int, float)) and math.isfinite(loss) else None


def _format_first_error(error: LayercliError) -> str:
    first = next(problem for problem in error.problems if problem.severity == "error")
    return f"{first.location_prefix}{first.full_message} [{first.code}]"

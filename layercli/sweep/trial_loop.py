"""A worker: runs trials of a study until enough are finished."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from layercli.check import ValidConfig
from layercli.errors import LayercliError
from layercli.sweep.plan import SweepPlan
from layercli.sweep.trials import (
    EPOCH_KEY,
    PROBLEM_KEY,
    RUN_KEY,
    SURPLUS_KEY,
    WORKER_KEY,
    StaleTrials,
    identify_process,
    is_surplus,
    silence_optuna,
    tally_trials,
)

if TYPE_CHECKING:
    import optuna

_POLL_SECONDS = 0.3
"""Seconds between two checks for trials that need a retry."""


TrainFunction: TypeAlias = Callable[[ValidConfig, Path, Callable[[Mapping[str, Any]], None]], None]
"""Trains a config into a run directory and passes on each epoch's record. The callback may raise an exception."""


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
) -> None:
    """Run trials until all workers together have finished the wanted number, or the deadline has passed.

    ``deadline`` is a time of ``time.time``; a worker that is silent for ``patience`` seconds counts as crashed.
    """
    import optuna

    stale_trials = StaleTrials(patience)
    trial_count = plan.sweep.trial_count
    while True:
        with silence_optuna():
            optuna.storages.fail_stale_trials(study)
        trials = study.get_trials(deepcopy=False)
        stale_trials.retry_silent(study, trials)
        progress = tally_trials(trials)
        if progress.finished_count >= trial_count or (deadline is not None and time.time() >= deadline):
            return
        if progress.has_waiting or len(progress.trials) < trial_count:
            with silence_optuna():
                study.optimize(
                    lambda trial: _run_trial(trial, plan, study, directory, train),
                    n_trials=1,
                    catch=(_TrialFailedError,),
                )
        else:
            time.sleep(_POLL_SECONDS)


def _run_trial(
    trial: optuna.Trial, plan: SweepPlan, study: optuna.Study, directory: Path, train: TrainFunction
) -> float:
    """Run one trial and return the best value of the objective over its epochs."""
    import optuna

    trial.set_user_attr(WORKER_KEY, [*identify_process(), trial.number])
    trials = study.get_trials(deepcopy=False)
    if is_surplus(trials[trial.number], trials, plan.sweep.trial_count):
        trial.set_user_attr(SURPLUS_KEY, True)
        raise _TrialFailedError
    drawn_values = {
        name: parameter.suggest_value(trial, name) for name, parameter in plan.sweep.parameters.items()
    }
    check_result = plan.check_values(drawn_values)
    if not check_result.ok or check_result.config is None or check_result.shapes is None:
        trial.set_user_attr(PROBLEM_KEY, _format_first_error(LayercliError(check_result.problems)))
        raise optuna.TrialPruned
    valid = ValidConfig(check_result, check_result.config, check_result.shapes)
    run_dir = directory / str(trial.number)
    trial.set_user_attr(RUN_KEY, str(run_dir))
    objective = _ObjectiveTracker(trial, plan, valid)
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
    if objective.best is None:
        trial.set_user_attr(
            PROBLEM_KEY, f"{plan.sweep.objective.metric} was not a finite number in any epoch."
        )
        raise _TrialFailedError
    trial.set_user_attr(EPOCH_KEY, objective.epoch)
    return objective.best


class _ObjectiveTracker:
    """The objective of a trial over its epochs."""

    def __init__(self, trial: optuna.Trial, plan: SweepPlan, valid: ValidConfig) -> None:
        assert valid.config.train is not None
        self.best: float | None = None
        self.epoch = 0
        self._trial = trial
        self._metric = plan.sweep.objective.metric
        self._choose_better = max if plan.is_maximizing else min
        self._epochs = valid.config.train.epochs

    def report(self, record: Mapping[str, Any]) -> None:
        """Report an epoch to the storage, and abort the training if the pruner decides so."""
        value = record.get(self._metric)
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            return
        if self.best is None or (value != self.best and self._choose_better(value, self.best) == value):
            self.best, self.epoch = float(value), record["epoch"]
        self._trial.report(float(value), record["epoch"])
        if record["epoch"] < self._epochs and self._trial.should_prune():
            raise _TrialPrunedError


def _format_first_error(error: LayercliError) -> str:
    first = next(problem for problem in error.problems if problem.severity == "error")
    return f"{first.location_prefix}{first.full_message} [{first.code}]"

"""A worker: takes trials of a study until enough are finished."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from layercli.check import Valid
from layercli.errors import LayercliError
from layercli.sweep.plan import Plan
from layercli.sweep.study import (
    EPOCH,
    PROBLEM,
    RUN,
    SURPLUS,
    WORKER,
    Overlooked,
    identity_of_process,
    is_surplus,
    quiet,
    tally,
)

if TYPE_CHECKING:
    import optuna

_PAUSE = 0.3
"""Seconds between two looks at whether another worker's trial is to be tried again."""


Train: TypeAlias = Callable[[Valid, Path, Callable[[Mapping[str, Any]], None]], None]
"""Trains a config into a run directory and tells each epoch's record; may be left by an exception."""


class _PrunedError(BaseException):
    """Leaves a training in the middle; no ``Exception``, so that nothing on the way takes it for a failure."""


class _FailedError(Exception):
    """A trial that ended without a result; why stands in its attributes."""


def work(
    plan: Plan, study: optuna.Study, directory: Path, train: Train, *, deadline: float | None, patience: float
) -> None:
    """Run trials until as many as are wanted are finished, by whatever process, or the deadline has passed.

    ``deadline`` is a time of ``time.time``; ``patience`` the seconds after which a silent worker counts as dead.
    """
    import optuna

    overlooked = Overlooked(patience)
    wanted = plan.sweep.wanted
    while True:
        with quiet():
            optuna.storages.fail_stale_trials(study)
        trials = study.get_trials(deepcopy=False)
        overlooked.release(study, trials)
        now = tally(trials)
        if now.finished >= wanted or (deadline is not None and time.time() >= deadline):
            return
        if now.waiting or len(now.counted) < wanted:
            with quiet():
                study.optimize(
                    lambda trial: _run(trial, plan, study, directory, train),
                    n_trials=1,
                    catch=(_FailedError,),
                )
        else:
            time.sleep(_PAUSE)


def _run(trial: optuna.Trial, plan: Plan, study: optuna.Study, directory: Path, train: Train) -> float:
    """One trial: its objective's best value over the epochs."""
    import optuna

    trial.set_user_attr(WORKER, [*identity_of_process(), trial.number])
    trials = study.get_trials(deepcopy=False)
    if is_surplus(trials[trial.number], trials, plan.sweep.wanted):
        trial.set_user_attr(SURPLUS, True)
        raise _FailedError
    drawn = {name: parameter.suggest(trial, name) for name, parameter in plan.sweep.parameters.items()}
    checked = plan.configured(drawn)
    if not checked.ok or checked.config is None or checked.shapes is None:
        trial.set_user_attr(PROBLEM, _told(LayercliError(checked.problems)))
        raise optuna.TrialPruned
    valid = Valid(checked, checked.config, checked.shapes)
    run = directory / str(trial.number)
    trial.set_user_attr(RUN, str(run))
    values = _Values(trial, plan, valid)
    try:
        train(valid, run, values.take)
    except _PrunedError:
        raise optuna.TrialPruned from None
    except LayercliError as error:
        trial.set_user_attr(PROBLEM, _told(error))
        raise _FailedError from None
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        trial.set_user_attr(PROBLEM, f"{type(error).__name__}: {error}")
        raise _FailedError from None
    if values.best is None:
        trial.set_user_attr(PROBLEM, f"{plan.sweep.objective.metric} was never a number.")
        raise _FailedError
    trial.set_user_attr(EPOCH, values.epoch)
    return values.best


class _Values:
    """The objective, epoch by epoch."""

    def __init__(self, trial: optuna.Trial, plan: Plan, valid: Valid) -> None:
        assert valid.config.train is not None
        self.best: float | None = None
        self.epoch = 0
        self._trial = trial
        self._metric = plan.sweep.objective.metric
        self._better = max if plan.maximizes else min
        self._epochs = valid.config.train.epochs

    def take(self, record: Mapping[str, Any]) -> None:
        """Tell the storage, and end the training if the pruner says so."""
        value = record.get(self._metric)
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            return
        if self.best is None or (value != self.best and self._better(value, self.best) == value):
            self.best, self.epoch = float(value), record["epoch"]
        self._trial.report(float(value), record["epoch"])
        if record["epoch"] < self._epochs and self._trial.should_prune():
            raise _PrunedError


def _told(error: LayercliError) -> str:
    first = next(problem for problem in error.problems if problem.severity == "error")
    return f"{first.place}{first.told} [{first.code}]"

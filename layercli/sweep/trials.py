"""Trials of a study: their attributes, owners, order and count."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

WORKER_KEY, RUN_KEY, PROBLEM_KEY, EPOCH_KEY, SURPLUS_KEY = "worker", "run", "problem", "epoch", "surplus"
"""Attributes of a trial: its worker, run directory, reason of failure, best epoch, and whether it is surplus."""
MAX_RETRIES: Final = 5
"""Retries of a trial whose worker crashed: a config that crashes every worker must not repeat forever."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The trials that count towards the total: no retried and no surplus trials."""

    trials: Sequence[FrozenTrial]

    @property
    def finished_count(self) -> int:
        """Number of trials that are complete, pruned or failed."""
        return sum(trial.state.is_finished() for trial in self.trials)

    @property
    def has_waiting(self) -> bool:
        """Whether a trial waits for its retry."""
        return any(trial.state.name == "WAITING" for trial in self.trials)


def tally_trials(trials: Iterable[FrozenTrial]) -> Tally:
    """Select the trials that count towards the total."""
    trials = list(trials)
    retried = {number for trial in trials for number in list_retried_trials(trial)}
    return Tally([x for x in trials if x.number not in retried and SURPLUS_KEY not in x.user_attrs])


def list_retried_trials(trial: FrozenTrial) -> list[int]:
    """Return the numbers of the trials that this one retries, the first try first."""
    return list(trial.system_attrs.get("retry_history", ()))


def is_surplus(trial: FrozenTrial, trials: Iterable[FrozenTrial], trial_count: int) -> bool:
    """Return whether ``wanted`` other trials came first: several workers may start the last trial at the same moment.

    Storages number trials in one order for all workers, so each worker gets the same answer.
    """
    regular_trials = [x for x in trials if SURPLUS_KEY not in x.user_attrs]
    return count_earlier_trials(trial, regular_trials) >= trial_count


def count_earlier_trials(trial: FrozenTrial, trials: Iterable[FrozenTrial]) -> int:
    """Return the number of first tries before the first try of a trial."""
    own_first_try = find_first_try(trial)
    return len({find_first_try(x) for x in trials if find_first_try(x) < own_first_try})


def find_first_try(trial: FrozenTrial) -> int:
    """Return the number of the first try of a trial; its own number if it is not a retry."""
    return next(iter(list_retried_trials(trial)), trial.number)


class StaleTrials:
    """Running trials without an owner: their worker crashed before it recorded its name, so nobody else finds them."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._first_seen: dict[int, float] = {}

    def retry_silent(self, study: optuna.Study, trials: Iterable[FrozenTrial]) -> None:
        """Retry the trials that have had no owner for longer than the patience."""
        now = time.monotonic()
        for trial in trials:
            is_silent = trial.state.name == "RUNNING" and find_owner(trial) is None
            if not is_silent:
                self._first_seen.pop(trial.number, None)
            elif now - self._first_seen.setdefault(trial.number, now) > self._patience:
                retry_trial(study, trial)


def find_owner(trial: FrozenTrial) -> tuple[str, int] | None:
    """Return the host and process that run a trial; None before they are recorded."""
    host, process, number = trial.user_attrs.get(WORKER_KEY, (None, None, None))
    return (host, process) if number == trial.number else None  # a retry inherits attributes


def identify_process() -> tuple[str, int]:
    """Return the name of this host and the id of this process."""
    import socket

    return socket.gethostname(), os.getpid()


def retry_trial(study: optuna.Study, trial: FrozenTrial, *, max_retries: int | None = MAX_RETRIES) -> None:
    """Fail a running trial and queue its values again."""
    import optuna

    with silence_optuna():
        try:
            if study._storage.set_trial_state_values(trial._trial_id, state=optuna.trial.TrialState.FAIL):
                retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=max_retries)
                retry(study, study._storage.get_trial(trial._trial_id))
        except optuna.exceptions.UpdateFinishedTrialError:
            pass  # it has just finished, or another process was faster


def compute_importances(study: optuna.Study) -> dict[str, float]:
    """Return the share of the objective's variance that each parameter explains, largest first.

    The result is empty if too few trials are complete, or all have the same value.
    """
    import optuna

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len({trial.value for trial in complete}) < 2:
        return {}
    try:
        with silence_optuna():
            values = optuna.importance.get_param_importances(study)
    except (ValueError, RuntimeError):  # too few trials, or all drew the same values
        return {}
    return {name: round(float(value), 4) for name, value in values.items()}


@contextmanager
def silence_optuna() -> Iterator[None]:
    """Hide Optuna's notes about experimental features."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield

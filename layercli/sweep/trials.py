"""Trials of a study: their attributes, owners, order and count."""

from __future__ import annotations

import os
import time
import warnings
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

WORKER_KEY, RUN_KEY, PROBLEM_KEY, EPOCH_KEY, SURPLUS_KEY = "worker", "run", "problem", "epoch", "surplus"
"""Attributes of a trial: its worker, run directory, reason of failure, best epoch, and whether it is surplus."""
SIZES_KEY, LOSS_KEY, EPOCHS_KEY = "sizes", "loss", "epochs"
"""Attributes of a trial: the sizes of its model, its loss, and the number of epochs."""
EXCEEDED: Final = "exceeded"
"""Key among the sizes: the limits that the model exceeds."""
MAX_REFUSED_IN_A_ROW: Final = 1_000
"""Refused trials in a row after which a sweep ends: its limits may be impossible to meet."""
MAX_RETRIES: Final = 5
"""Retries of a trial whose worker crashed: a config that crashes every worker must not repeat forever."""


class Tally:
    """Counts of the trials of a study that count towards the total: no retried and no surplus trials.

    A trial that is complete or pruned is read only once, so that a sweep of many trials takes linear time.
    """

    def __init__(self) -> None:
        self._read_count = 0
        self._settled_count = 0
        self._refused_numbers: list[int] = []
        self._last_allowed = -1
        """Number of the last trial whose model meets the limits."""
        self.open_trials: list[FrozenTrial] = []
        """Trials that can still change, or be retried."""
        self._counted_trials: list[FrozenTrial] = []
        self._retried: set[int] = set()

    def update(self, trials: Sequence[FrozenTrial]) -> Self:
        """Read the new trials of a study, and those that could have changed."""
        candidates = [trials[trial.number] for trial in self.open_trials]
        self.open_trials = []
        for trial in chain(candidates, islice(trials, self._read_count, None)):
            if trial.state.name not in ("COMPLETE", "PRUNED"):
                self.open_trials.append(trial)
            elif is_refused(trial):
                self._refused_numbers.append(trial.number)
            else:
                self._settled_count += 1
                self._last_allowed = max(self._last_allowed, trial.number)
        first_new, self._read_count = self._read_count, len(trials)
        for trial in islice(trials, first_new, None):
            self._retried.update(list_retried_trials(trial))
        self._counted_trials = [
            trial
            for trial in self.open_trials
            if trial.number not in self._retried and SURPLUS_KEY not in trial.user_attrs
        ]
        return self

    @property
    def finished_count(self) -> int:
        """Number of trials that are complete, pruned or failed; refused trials do not count."""
        return self._settled_count + sum(trial.state.is_finished() for trial in self._counted_trials)

    @property
    def started_count(self) -> int:
        """Number of trials that are not refused."""
        return self._settled_count + len(self._counted_trials)

    @property
    def has_waiting(self) -> bool:
        """Whether a trial waits for its retry."""
        return any(trial.state.name == "WAITING" for trial in self._counted_trials)

    @property
    def refused_in_a_row(self) -> int:
        """Number of refused trials after the last trial that was allowed."""
        allowed = [
            x.number for x in self._counted_trials if x.state.is_finished() or SIZES_KEY in x.user_attrs
        ]
        last_allowed = max(self._last_allowed, *allowed, -1)
        self._refused_numbers.sort()
        return len(self._refused_numbers) - bisect(self._refused_numbers, last_allowed)

    @property
    def attempt_count(self) -> int:
        """Number of trials, including refused ones."""
        return self.started_count + len(self._refused_numbers)

    def has_room(self, trial_count: int, combination_count: int | None) -> bool:
        """Return whether a new trial can start."""
        return (
            self.started_count < trial_count
            and (combination_count is None or self.attempt_count < combination_count)
            and self.refused_in_a_row < MAX_REFUSED_IN_A_ROW
        )

    def has_surplus(self, trial_count: int, combination_count: int | None) -> bool:
        """Return whether more trials have started than may start."""
        return self.started_count > trial_count or (
            combination_count is not None and self.attempt_count > combination_count
        )

    def is_finished(self, trial_count: int, combination_count: int | None) -> bool:
        """Return whether enough trials are finished, or none is open and no new one can start."""
        if self.finished_count >= trial_count:
            return True
        has_open_trials = any(not trial.state.is_finished() for trial in self._counted_trials)
        return not has_open_trials and not self.has_room(trial_count, combination_count)


def tally_trials(trials: Sequence[FrozenTrial]) -> Tally:
    """Count the trials of a study, by number."""
    return Tally().update(trials)


def list_counted_trials(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that count towards the total, and the refused ones: no retried and no surplus trials."""
    retried = {number for trial in trials for number in list_retried_trials(trial)}
    return [x for x in trials if x.number not in retried and SURPLUS_KEY not in x.user_attrs]


def list_exceeded_limits(trial: FrozenTrial) -> list[dict[str, Any]]:
    """Return the limits that the model of a trial exceeds, as they were recorded."""
    return list(trial.user_attrs.get(SIZES_KEY, {}).get(EXCEEDED, ()))


def is_refused(trial: FrozenTrial) -> bool:
    """Return whether the model of a trial exceeds a limit."""
    return bool(list_exceeded_limits(trial)) and trial.state.is_finished()


def list_retried_trials(trial: FrozenTrial) -> list[int]:
    """Return the numbers of the trials that this one retries, the first try first."""
    return list(trial.system_attrs.get("retry_history", ()))


def is_surplus(
    trial: FrozenTrial, trials: Iterable[FrozenTrial], trial_count: int, combination_count: int | None
) -> bool:
    """Return whether enough other trials came first: several workers may start the last trial at the same moment.

    Storages number trials in one order for all workers, so each worker gets the same answer.

    Args:
        trial: The trial.
        trials: All trials of the study.
        trial_count: The number of trials to run, without refused ones.
        combination_count: The number of trials, including refused ones, after which combinations of values repeat.
    """
    counted_trials = [x for x in trials if SURPLUS_KEY not in x.user_attrs]
    if combination_count is not None and count_earlier_trials(trial, counted_trials) >= combination_count:
        return True
    allowed_trials = [x for x in counted_trials if not is_refused(x)]
    return count_earlier_trials(trial, allowed_trials) >= trial_count


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
    """Return the share of the first objective's variance that each parameter explains, largest first.

    The result is empty if too few trials are complete, or all have the same value.
    """
    import optuna

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len({trial.values[0] for trial in complete if not is_refused(trial)}) < 2:
        return {}
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    try:
        with silence_optuna():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # it says that low values of the target are the good ones
            values = optuna.importance.get_param_importances(
                study, target=lambda trial: sign * trial.values[0]
            )
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

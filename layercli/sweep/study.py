"""Where trials are kept, who runs them, and how many there are: an Optuna study that many processes share."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli.errors import LayercliError, Problem
from layercli.runs import directory as runs
from layercli.sweep.plan import SweepPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    import optuna
    from optuna.trial import FrozenTrial

JOURNAL_FILE = "journal.jsonl"
WORKER_KEY, RUN_KEY, PROBLEM_KEY, EPOCH_KEY, SURPLUS_KEY = "worker", "run", "problem", "epoch", "surplus"
"""Attributes of a trial: who runs it, its run directory, why it failed, its best epoch, whether it is one too many."""

_MAX_RETRIES = 5
"""So often a trial is tried again whose worker died; a config that kills its worker would never end."""
_GRACE_HEARTBEATS = 3
"""After so many heartbeats without one a worker is taken for dead."""


def require_optuna(plan: SweepPlan) -> None:
    """What the sweep needs beside layercli's own packages.

    Raises:
        LayercliError: it is not installed.
    """
    from importlib.util import find_spec

    from layercli.config.sweep.samplers import REQUIRED_PACKAGES

    if any(find_spec(package) is None for package in ("optuna", "plotly", "sqlalchemy")):
        message = "A sweep needs Optuna, which is not installed."
        hint = "Install it: `pip install 'layercli[sweep]'`."
        raise LayercliError(plan.problem((), "missing-package", message, hint))
    kind = plan.sweep.declared_sampler.type_name()
    package = REQUIRED_PACKAGES.get(kind)
    if package is not None and find_spec(package) is None:
        message = f"{kind} needs {package}, which is not installed."
        raise LayercliError(
            plan.problem(("sampler",), "missing-package", message, f"Install it: `pip install {package}`.")
        )


@contextmanager
def silence_optuna() -> Iterator[None]:
    """Optuna without its notes on what may change one day."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def make_sweep_directory(plan: SweepPlan, storage: str | None) -> Path:
    """The sweep's directory, ``runs/<name>``.

    Raises:
        LayercliError: it holds other runs, or cannot be made.
    """
    directory = runs.RUNS_ROOT / plan.name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        is_ours = storage is not None or (directory / JOURNAL_FILE).exists()
        if not is_ours and any(entry.name.isdecimal() for entry in directory.iterdir()):
            message = f"{directory} holds runs that are not of this sweep."
            raise LayercliError(
                plan.problem(("name",), "run-directory", message, "Give the sweep another `name:`.")
            )
    except OSError as error:
        message = f"The sweep's directory cannot be made: {error.strerror}."
        raise LayercliError(Problem(code="run-directory", message=message, file=str(directory))) from None
    return directory


def open_study(plan: SweepPlan, directory: Path, storage: str | None, *, heartbeat: int) -> optuna.Study:
    """The sweep's study: a new one, or the one that was begun.

    Raises:
        LayercliError: the storage cannot be reached, or holds another sweep of this name.
    """
    import optuna

    from layercli.sweep.sampling import make_pruner, make_sampler

    for attempt in range(5):
        try:
            with silence_optuna():
                backend = _open_database(storage, heartbeat) if storage else _open_journal(directory)
                study = optuna.create_study(
                    storage=backend,
                    study_name=plan.name,
                    direction="maximize" if plan.is_maximizing else "minimize",
                    sampler=make_sampler(plan),
                    pruner=make_pruner(plan),
                    load_if_exists=True,
                )
                break
        except LayercliError:
            raise
        except Exception as error:
            # Two machines that begin together both make the tables; one of them is refused, once.
            if attempt == 4 or "OperationalError" in type(error).__name__:
                raise _make_storage_error(storage, directory, error) from None
            time.sleep(0.5)
    recorded_identity = study.user_attrs.get("identity")
    if recorded_identity is None:
        study.set_user_attr("identity", plan.identity)
    elif recorded_identity != plan.identity:
        message = f"A sweep named {plan.name} was begun with another base config, space or objective."
        hint = "Give this one another `name:`, or go on with the files as they were."
        raise LayercliError(plan.problem(("name",), "sweep-changed", message, hint))
    return study


def _make_storage_error(storage: str | None, directory: Path, error: Exception) -> LayercliError:
    from layercli.source.nodes import sanitize_text

    reason = sanitize_text(str(getattr(error, "orig", None) or error).strip().split("\n")[0], limit=200)
    description = "The database of `--storage`" if storage else f"The journal {directory / JOURNAL_FILE}"
    message = f"{description} cannot be used: {reason}"
    return LayercliError(
        Problem(
            code="sweep-storage",
            message=message,
            hint="For example `--storage postgresql://user:password@host/database`." if storage else None,
        )
    )


def _open_database(url: str, heartbeat: int) -> Any:
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            url = "postgresql+psycopg://" + url.removeprefix(scheme)
    return RDBStorage(
        url,
        engine_kwargs={"pool_pre_ping": True},
        heartbeat_interval=heartbeat,
        grace_period=_GRACE_HEARTBEATS * heartbeat,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=_MAX_RETRIES),
    )


def _open_journal(directory: Path) -> Any:
    from layercli.sweep.journal_storage import open_journal

    return open_journal(directory / JOURNAL_FILE, most_tries=_MAX_RETRIES)


@dataclass(frozen=True, slots=True)
class Tally:
    """The trials that count: without those that were tried again, and those that were one too many."""

    trials: Sequence[FrozenTrial]

    @property
    def finished_count(self) -> int:
        """How many have ended, well or not."""
        return sum(trial.state.is_finished() for trial in self.trials)

    @property
    def has_waiting(self) -> bool:
        """Whether one is to be tried again."""
        return any(trial.state.name == "WAITING" for trial in self.trials)


def tally_trials(trials: Iterable[FrozenTrial]) -> Tally:
    """What has come of a study's trials."""
    trials = list(trials)
    replaced = {number for trial in trials for number in list_retried_trials(trial)}
    return Tally([x for x in trials if x.number not in replaced and SURPLUS_KEY not in x.user_attrs])


def list_retried_trials(trial: FrozenTrial) -> list[int]:
    """Trials that this one tries again, the first at the beginning."""
    return list(trial.system_attrs.get("retry_history", ()))


def is_surplus(trial: FrozenTrial, trials: Iterable[FrozenTrial], wanted: int) -> bool:
    """Whether enough others came before: several workers may have begun the last one at the same moment.

    Storages number trials in one order for all, so each worker comes to the same answer by itself.
    """
    regular_trials = [x for x in trials if SURPLUS_KEY not in x.user_attrs]
    return count_earlier_trials(trial, regular_trials) >= wanted


def count_earlier_trials(trial: FrozenTrial, trials: Iterable[FrozenTrial]) -> int:
    """How many of these came before a trial, or before its first try; those that try one again are not counted."""
    own_first_try = find_first_try(trial)
    return len({find_first_try(x) for x in trials if find_first_try(x) < own_first_try})


def find_first_try(trial: FrozenTrial) -> int:
    """The number of the trial that this one tries again; its own, where it tries none again."""
    return next(iter(list_retried_trials(trial)), trial.number)


class StaleTrials:
    """Trials whose worker died before it could say that it lives: seen by nobody else, they would run for ever."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._first_seen: dict[int, float] = {}

    def retry_silent(self, study: optuna.Study, trials: Iterable[FrozenTrial]) -> None:
        """Try those again that have been silent for too long."""
        now = time.monotonic()
        for trial in trials:
            is_silent = trial.state.name == "RUNNING" and find_owner(trial) is None
            if not is_silent:
                self._first_seen.pop(trial.number, None)
            elif now - self._first_seen.setdefault(trial.number, now) > self._patience:
                retry_trial(study, trial)


def find_owner(trial: FrozenTrial) -> tuple[str, int] | None:
    """The host and process that runs a trial, if they have said so."""
    host, process, number = trial.user_attrs.get(WORKER_KEY, (None, None, None))
    return (host, process) if number == trial.number else None  # what is tried again inherits attributes


def retry_trial(study: optuna.Study, trial: FrozenTrial, *, max_retries: int | None = _MAX_RETRIES) -> None:
    """Give up a running trial and put the same values in the queue."""
    import optuna

    with silence_optuna():
        try:
            if study._storage.set_trial_state_values(trial._trial_id, state=optuna.trial.TrialState.FAIL):
                retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=max_retries)
                retry(study, study._storage.get_trial(trial._trial_id))
        except optuna.exceptions.UpdateFinishedTrialError:
            pass  # it has just ended, or another process was faster


def identify_process() -> tuple[str, int]:
    """This host and process."""
    import socket

    return socket.gethostname(), os.getpid()

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
from layercli.sweep.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    import optuna
    from optuna.trial import FrozenTrial

JOURNAL = "journal.jsonl"
WORKER, RUN, PROBLEM, EPOCH, SURPLUS = "worker", "run", "problem", "epoch", "surplus"
"""Attributes of a trial: who runs it, its run directory, why it failed, its best epoch, whether it is one too many."""

_MOST_TRIES = 5
"""So often a trial is tried again whose worker died; a config that kills its worker would never end."""
_GRACE = 3
"""After so many heartbeats without one a worker is taken for dead."""


def require_optuna(plan: Plan) -> None:
    """What the sweep needs beside layercli's own packages.

    Raises:
        LayercliError: it is not installed.
    """
    from importlib.util import find_spec

    from layercli.config.sweep.samplers import needs

    if any(find_spec(package) is None for package in ("optuna", "plotly", "sqlalchemy")):
        message = "A sweep needs Optuna, which is not installed."
        hint = "Install it: `pip install 'layercli[sweep]'`."
        raise LayercliError(plan.problem((), "missing-package", message, hint))
    kind = plan.sweep.declared_sampler.type_name()
    package = needs.get(kind)
    if package is not None and find_spec(package) is None:
        message = f"{kind} needs {package}, which is not installed."
        raise LayercliError(
            plan.problem(("sampler",), "missing-package", message, f"Install it: `pip install {package}`.")
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna without its notes on what may change one day."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def sweep_directory(plan: Plan, storage: str | None) -> Path:
    """The sweep's directory, ``runs/<name>``.

    Raises:
        LayercliError: it holds other runs, or cannot be made.
    """
    directory = runs.ROOT / plan.name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        ours = storage is not None or (directory / JOURNAL).exists()
        if not ours and any(entry.name.isdecimal() for entry in directory.iterdir()):
            message = f"{directory} holds runs that are not of this sweep."
            raise LayercliError(
                plan.problem(("name",), "run-directory", message, "Give the sweep another `name:`.")
            )
    except OSError as error:
        message = f"The sweep's directory cannot be made: {error.strerror}."
        raise LayercliError(Problem(code="run-directory", message=message, file=str(directory))) from None
    return directory


def open_study(plan: Plan, directory: Path, storage: str | None, *, heartbeat: int) -> optuna.Study:
    """The sweep's study: a new one, or the one that was begun.

    Raises:
        LayercliError: the storage cannot be reached, or holds another sweep of this name.
    """
    import optuna

    from layercli.sweep.sampling import made_pruner, sampler_for

    for attempt in range(5):
        try:
            with quiet():
                place = _database(storage, heartbeat) if storage else _journal(directory)
                study = optuna.create_study(
                    storage=place,
                    study_name=plan.name,
                    direction="maximize" if plan.maximizes else "minimize",
                    sampler=sampler_for(plan),
                    pruner=made_pruner(plan),
                    load_if_exists=True,
                )
                break
        except LayercliError:
            raise
        except Exception as error:
            # Two machines that begin together both make the tables; one of them is refused, once.
            if attempt == 4 or "OperationalError" in type(error).__name__:
                raise _unreachable(storage, directory, error) from None
            time.sleep(0.5)
    begun = study.user_attrs.get("identity")
    if begun is None:
        study.set_user_attr("identity", plan.identity)
    elif begun != plan.identity:
        message = f"A sweep named {plan.name} was begun with another base config, space or objective."
        hint = "Give this one another `name:`, or go on with the files as they were."
        raise LayercliError(plan.problem(("name",), "sweep-changed", message, hint))
    return study


def _unreachable(storage: str | None, directory: Path, error: Exception) -> LayercliError:
    from layercli.source.nodes import printable

    said = printable(str(getattr(error, "orig", None) or error).strip().split("\n")[0], limit=200)
    what = "The database of `--storage`" if storage else f"The journal {directory / JOURNAL}"
    message = f"{what} cannot be used: {said}"
    return LayercliError(
        Problem(
            code="sweep-storage",
            message=message,
            hint="For example `--storage postgresql://user:password@host/database`." if storage else None,
        )
    )


def _database(url: str, heartbeat: int) -> Any:
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            url = "postgresql+psycopg://" + url.removeprefix(plain)
    return RDBStorage(
        url,
        engine_kwargs={"pool_pre_ping": True},
        heartbeat_interval=heartbeat,
        grace_period=_GRACE * heartbeat,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=_MOST_TRIES),
    )


def _journal(directory: Path) -> Any:
    from layercli.sweep.journal_storage import journal

    return journal(directory / JOURNAL, most_tries=_MOST_TRIES)


@dataclass(frozen=True, slots=True)
class Tally:
    """The trials that count: without those that were tried again, and those that were one too many."""

    counted: Sequence[FrozenTrial]

    @property
    def finished(self) -> int:
        """How many have ended, well or not."""
        return sum(trial.state.is_finished() for trial in self.counted)

    @property
    def waiting(self) -> bool:
        """Whether one is to be tried again."""
        return any(trial.state.name == "WAITING" for trial in self.counted)


def tally(trials: Iterable[FrozenTrial]) -> Tally:
    """What has come of a study's trials."""
    trials = list(trials)
    replaced = {number for trial in trials for number in history(trial)}
    return Tally([x for x in trials if x.number not in replaced and SURPLUS not in x.user_attrs])


def history(trial: FrozenTrial) -> list[int]:
    """Trials that this one tries again, the first at the beginning."""
    return list(trial.system_attrs.get("retry_history", ()))


def is_surplus(trial: FrozenTrial, trials: Iterable[FrozenTrial], wanted: int) -> bool:
    """Whether enough others came before: several workers may have begun the last one at the same moment.

    Storages number trials in one order for all, so each worker comes to the same answer by itself.
    """
    counted = [x for x in trials if SURPLUS not in x.user_attrs]
    return turn(trial, counted) >= wanted


def turn(trial: FrozenTrial, trials: Iterable[FrozenTrial]) -> int:
    """How many of these came before a trial, or before its first try; those that try one again are not counted."""
    own = first_try(trial)
    return len({first_try(x) for x in trials if first_try(x) < own})


def first_try(trial: FrozenTrial) -> int:
    """The number of the trial that this one tries again; its own, where it tries none again."""
    return next(iter(history(trial)), trial.number)


class Overlooked:
    """Trials whose worker died before it could say that it lives: seen by nobody else, they would run for ever."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._seen: dict[int, float] = {}

    def release(self, study: optuna.Study, trials: Iterable[FrozenTrial]) -> None:
        """Try those again that have been silent for too long."""
        now = time.monotonic()
        for trial in trials:
            silent = trial.state.name == "RUNNING" and owner(trial) is None
            if not silent:
                self._seen.pop(trial.number, None)
            elif now - self._seen.setdefault(trial.number, now) > self._patience:
                try_again(study, trial)


def owner(trial: FrozenTrial) -> tuple[str, int] | None:
    """The host and process that runs a trial, if they have said so."""
    host, process, number = trial.user_attrs.get(WORKER, (None, None, None))
    return (host, process) if number == trial.number else None  # what is tried again inherits attributes


def try_again(study: optuna.Study, trial: FrozenTrial, *, most: int | None = _MOST_TRIES) -> None:
    """Give up a running trial and put the same values in the queue."""
    import optuna

    with quiet():
        try:
            if study._storage.set_trial_state_values(trial._trial_id, state=optuna.trial.TrialState.FAIL):
                retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=most)
                retry(study, study._storage.get_trial(trial._trial_id))
        except optuna.exceptions.UpdateFinishedTrialError:
            pass  # it has just ended, or another process was faster


def identity_of_process() -> tuple[str, int]:
    """This host and process."""
    import socket

    return socket.gethostname(), os.getpid()

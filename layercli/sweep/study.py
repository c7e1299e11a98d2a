"""An Optuna study that many processes share, in a journal file or a database."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli.errors import LayercliError, Problem
from layercli.io.atomic import describe_os_error
from layercli.runs import directory as runs
from layercli.source.nodes import sanitize_text
from layercli.sweep.plan import SweepPlan
from layercli.sweep.sqlite_database import DatabaseError, find_sqlite_file, make_connector
from layercli.sweep.stored_trials import StoredValueError, require_valid_trials
from layercli.sweep.trials import MAX_RETRIES, silence_optuna

if TYPE_CHECKING:
    import optuna

JOURNAL_FILE = "journal.jsonl"
_GRACE_HEARTBEATS: Final = 3
"""Missed heartbeats after which a worker counts as crashed."""
_MAX_ATTEMPTS: Final = 5
"""Attempts to open a study: two machines that start together both create the tables, and one of them fails once."""
_RETRY_SECONDS: Final = 0.5
_MAX_RUNNING_TRIALS: Final = 10_000
"""Most trials that can be unfinished: many more than processes that share a sweep."""
_MAX_JOURNAL_BYTES: Final = 256 << 20
"""Largest journal; Optuna reads a line of any length into memory, and a trial takes about a kilobyte."""


def require_optuna(plan: SweepPlan) -> None:
    """Check that the additional packages for sweeps are installed.

    Raises:
        LayercliError: A package is not installed.
    """
    from importlib.util import find_spec

    from layercli.config.sweep.samplers import REQUIRED_PACKAGES

    missing = [name for name in ("optuna", "matplotlib", "sqlalchemy") if find_spec(name) is None]
    if missing:
        message = f"A sweep requires {' and '.join(missing)}, which must be installed."
        hint = "Install it: `pip install 'layercli[sweep]'`."
        raise LayercliError(plan.problem((), "missing-package", message, hint))
    kind = plan.sweep.declared_sampler.type_name()
    package = REQUIRED_PACKAGES.get(kind)
    if package is not None and find_spec(package) is None:
        message = f"{kind} requires {package}, which is not installed."
        raise LayercliError(
            plan.problem(("sampler",), "missing-package", message, f"Install it: `pip install {package}`.")
        )


def make_sweep_directory(plan: SweepPlan, storage: str | None) -> Path:
    """Create and return the sweep's directory, ``runs/<name>``.

    Raises:
        LayercliError: It contains other runs, or cannot be created.
    """
    directory = runs.RUNS_ROOT / plan.name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        runs.require_own_entries(directory, may_be_link=False)
        is_ours = storage is not None or (directory / JOURNAL_FILE).exists()
        if not is_ours and any(entry.name.isdecimal() for entry in directory.iterdir()):
            message = f"{directory} contains runs of other trainings."
            raise LayercliError(
                plan.problem(("name",), "run-directory", message, "Choose a different `name:` for the sweep.")
            )
    except OSError as error:
        message = f"The sweep's directory cannot be created: {describe_os_error(error)}."
        raise LayercliError(Problem(code="run-directory", message=message, file=str(directory))) from None
    return directory


def open_study(plan: SweepPlan, directory: Path, storage: str | None, *, heartbeat: int) -> optuna.Study:
    """Return the sweep's study: the stored one, or a new one.

    ``heartbeat`` is in seconds, and applies to databases.

    Raises:
        LayercliError: The storage cannot be used, or contains a different sweep of this name.
    """
    import optuna

    from layercli.sweep.results import list_trial_rows
    from layercli.sweep.samplers_and_pruners import make_pruner, make_sampler

    for attempts_left in reversed(range(_MAX_ATTEMPTS)):
        try:
            with silence_optuna():
                backend = _open_database(storage, heartbeat) if storage else _open_journal(directory)
                study = optuna.create_study(
                    storage=backend,
                    study_name=plan.name,
                    directions=[objective.direction for objective in plan.objectives],
                    sampler=make_sampler(plan),
                    pruner=make_pruner(plan),
                    load_if_exists=True,
                )
                recorded_identity = study.user_attrs.get("identity")
                break
        except LayercliError:
            raise
        except Exception as error:
            if (
                not attempts_left
                or isinstance(error, ValueError)
                or "OperationalError" in type(error).__name__
            ):
                raise _make_storage_error(storage, directory, error) from None
            time.sleep(_RETRY_SECONDS)
    if recorded_identity is None:
        study.set_user_attr("identity", plan.identity)
    elif recorded_identity != plan.identity:
        message = (
            f"The sweep {plan.name} was started with a different base config, space, objective or limits."
        )
        hint = "Choose a different `name:` for this sweep, or restore the files to resume the old one."
        raise LayercliError(plan.problem(("name",), "sweep-changed", message, hint))
    try:
        trials = study.get_trials(deepcopy=False)
        require_valid_trials(trials, len(plan.objectives))
        if len(study.directions) != len(plan.objectives):
            raise StoredValueError("its study must have a direction for each objective.")
        list_trial_rows(plan, trials)
    except Exception as error:  # what is stored may have been written by anybody
        raise _make_storage_error(storage, directory, error) from None
    running = sum(trial.state == optuna.trial.TrialState.RUNNING for trial in trials)
    if running > _MAX_RUNNING_TRIALS:  # each is failed and queued again
        reason = f"it has {running:,} running trials; the maximum is {_MAX_RUNNING_TRIALS:,}."
        raise _make_storage_error(storage, directory, StoredValueError(reason))
    return study


def _make_storage_error(storage: str | None, directory: Path, error: Exception) -> LayercliError:
    reason, hint = _explain_storage_error(error, is_database=storage is not None)
    description = "The database of `--storage`" if storage else f"The journal {directory / JOURNAL_FILE}"
    message = f"{description} cannot be used: {reason}"
    return LayercliError(Problem(code="sweep-storage", message=message, hint=hint))


def _explain_storage_error(error: Exception, *, is_database: bool) -> tuple[str, str]:
    """Return why a storage cannot be used, and what to do; the texts of Optuna about broken values say neither."""
    import sqlite3

    kinds = {kind.__name__ for kind in type(error).__mro__}
    cause = getattr(error, "orig", None) or error
    reason = sanitize_text(str(cause).strip().split("\n")[0], limit=200)
    if isinstance(error, OSError):
        return f"{describe_os_error(error)}.", "Check the file, and the permissions of its folder."
    if isinstance(cause, sqlite3.Error):
        return reason, f"Check that no other program uses it. {_NEW_DATABASE_HINT}"
    if is_database and kinds & {"OperationalError", "InterfaceError"}:
        return reason, "Check the address, and that the database runs and accepts its user."
    if is_database and kinds & {"ArgumentError", "ImportError"}:
        return reason, "For example `--storage postgresql://user:password@host/database`."
    if not isinstance(error, (StoredValueError, DatabaseError)):
        reason = "it has a value that no sweep writes."
    return reason, _NEW_DATABASE_HINT if is_database else _NEW_JOURNAL_HINT


_NEW_DATABASE_HINT = "Restore it from a copy, or pass a new database, such as `--storage sqlite:///new.db`."
_NEW_JOURNAL_HINT = "Restore it from a copy, or choose a different `name:` to start a new sweep."


def _open_database(url: str, heartbeat: int) -> Any:
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            url = "postgresql+psycopg://" + url.removeprefix(scheme)
    engine_arguments: dict[str, Any] = {"pool_pre_ping": True}
    if (file := find_sqlite_file(RDBStorage._fill_storage_url_template(url))) is not None:
        engine_arguments["creator"] = make_connector(file)
    return RDBStorage(
        url,
        engine_kwargs=engine_arguments,
        heartbeat_interval=heartbeat,
        grace_period=_GRACE_HEARTBEATS * heartbeat,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES),
    )


def _open_journal(directory: Path) -> Any:
    from layercli.sweep.journal_storage import open_journal

    path = directory / JOURNAL_FILE
    size = path.stat().st_size if path.exists() else 0
    if size > _MAX_JOURNAL_BYTES:
        reason = f"it has {size:,} bytes; the maximum is {_MAX_JOURNAL_BYTES:,}."
        raise _make_storage_error(None, directory, StoredValueError(reason))
    return open_journal(path)

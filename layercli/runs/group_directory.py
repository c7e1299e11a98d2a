"""The directory of several runs of one config, which one command trains: its members and the request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from layercli.errors import make_file_error
from layercli.io.atomic import describe_os_error, remove_partial_files, write_json
from layercli.io.lock import make_lock
from layercli.io.regular import parse_json, read_inside
from layercli.runs.directory import RUNS_ROOT, require_local_path, require_own_entries
from layercli.runs.membership import GroupKind
from layercli.source.nodes import sanitize_text

_MAX_STATE_BYTES: Final = 1 << 16


class Member(Protocol):
    """One run of a group."""

    @property
    def directory_name(self) -> str:
        """The name of its run directory."""

    @property
    def overrides(self) -> list[str]:
        """The changes of the config, as ``--set`` takes them."""


@dataclass(frozen=True)
class GroupDirectory(ABC):
    """The directory of the runs of one config."""

    activity: ClassVar[str]
    """The command's name in messages, such as "cross-validation"."""
    state_file: ClassVar[str]
    kind: ClassVar[GroupKind]

    path: Path

    @abstractmethod
    def list_members(self) -> Iterator[Any]:
        """Yield all members."""

    @abstractmethod
    def is_finished(self, member: Any) -> bool:
        """Return whether nothing is left to do for a member."""

    def run_path(self, member: Member) -> Path:
        """Return the run directory of a member."""
        return self.path / member.directory_name

    def lock_path(self, member: Member) -> Path:
        """Return the file that the process locks that trains a member."""
        return self.path / f".{member.directory_name}.lock"


def open_group_directory(
    kind: type[GroupDirectory],
    name: str,
    run_dir: str | None,
    state: Mapping[str, Any],
    extend: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda found: found,
) -> Path:
    """Create the directory of a group, or open the one that the same command made. Return it.

    Several processes can open it at the same time.

    Args:
        kind: The type of the group.
        name: The name of the directory under ``runs/``, if ``run_dir`` is None.
        run_dir: The directory.
        state: The request; ``config`` is the hash of the config.
        extend: Returns the state to write, for the one in the file.

    Raises:
        LayercliError: It has other files, or another group, or cannot be created.
    """
    require_local_path(run_dir)
    path = Path(run_dir) if run_dir is not None else RUNS_ROOT / name
    try:
        path.mkdir(parents=True, exist_ok=True)
        require_own_entries(path, may_be_link=run_dir is not None)
        lock = state_lock_path(path, kind)
        names = {entry.name for entry in path.iterdir()}
        if names and not names & {kind.state_file, lock.name}:
            found = None
        else:
            with make_lock(lock):
                found = _update_state(path, kind, state, extend)
    except OSError as error:
        message = f"The directory of the {kind.activity} cannot be created: {describe_os_error(error)}."
        raise make_file_error(path, "run-directory", message) from None
    if found is None:
        message = f"The directory is not empty and has no {kind.state_file}."
    elif differing := _list_differences(found, state):
        message = f"The directory has a {kind.activity} that differs in {' and '.join(differing)}."
    else:
        return path
    hint = "Name another directory with `--run-dir`, or remove this one."
    raise make_file_error(path, "run-directory", message, hint)


def state_lock_path(path: Path, kind: type[GroupDirectory]) -> Path:
    """Return the file that a process locks while it reads and writes the state."""
    return path / f".{kind.state_file}.lock"


def _update_state(
    path: Path,
    kind: type[GroupDirectory],
    state: Mapping[str, Any],
    extend: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> dict[str, Any] | None:
    """Write the extended state of a new group, or of one that does not differ. Return the state before; None without one."""
    remove_partial_files(path)
    is_new = {entry.name for entry in path.iterdir()} == {state_lock_path(path, kind).name}
    found = dict(state) if is_new else read_group_state(path, kind)
    if found is not None and not _list_differences(found, state):
        extended = extend(found)
        if is_new or extended != found:
            write_json(path / kind.state_file, extended)
    return found


def _list_differences(found: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
    """Return the values of a directory that differ from the requested ones, in words."""
    return [
        "the config"
        if key == "config"
        else f"{key} ({sanitize_text(str(found.get(key)), limit=20)}, now {value})"
        for key, value in state.items()
        if found.get(key) != value
    ]


def read_group_state(path: Path, kind: type[GroupDirectory]) -> dict[str, Any] | None:
    """Return the request that created the directory; None if it is not a directory of this kind."""
    try:
        document = parse_json(read_inside(path, kind.state_file, _MAX_STATE_BYTES))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None

"""The directory of several runs of one config, which one command trains: its members and what was asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from layercli.errors import make_file_error
from layercli.io.atomic import describe_os_error, write_json
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
) -> tuple[Path, dict[str, Any]]:
    """Create the directory of a group, or open the one that the same command made. Return it and its state.

    Args:
        kind: The type of the group.
        name: The name of the directory under ``runs/``, if ``run_dir`` is None.
        run_dir: The directory.
        state: What was asked for; ``config`` is the hash of the config.

    Raises:
        LayercliError: It has other files, or another group, or cannot be created.
    """
    require_local_path(run_dir)
    path = Path(run_dir) if run_dir is not None else RUNS_ROOT / name
    try:
        path.mkdir(parents=True, exist_ok=True)
        require_own_entries(path, may_be_link=run_dir is not None)
        if not any(path.iterdir()):
            write_json(path / kind.state_file, state)
    except OSError as error:
        message = f"The directory of the {kind.activity} cannot be created: {describe_os_error(error)}."
        raise make_file_error(path, "run-directory", message) from None
    found = read_group_state(path, kind)
    if found is None:
        message = f"The directory is not empty and has no {kind.state_file}."
    elif differing := [
        "the config"
        if key == "config"
        else f"{key} ({sanitize_text(str(found.get(key)), limit=20)}, now {value})"
        for key, value in state.items()
        if found.get(key) != value
    ]:
        message = f"The directory has a {kind.activity} that differs in {' and '.join(differing)}."
    else:
        return path, found
    hint = "Name another directory with `--run-dir`, or remove this one."
    raise make_file_error(path, "run-directory", message, hint)


def read_group_state(path: Path, kind: type[GroupDirectory]) -> dict[str, Any] | None:
    """Return what was asked for when the directory was created; None if it is not a directory of this kind."""
    try:
        document = parse_json(read_inside(path, kind.state_file, _MAX_STATE_BYTES))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None

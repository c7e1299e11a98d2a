"""A directory that a command cannot use, because it contains runs or is a run: what it is, and what to name instead."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Final

from layercli.errors import Problem
from layercli.io.regular import is_file_inside
from layercli.runs.crossval_directory import read_crossval_directory
from layercli.runs.directory import CONFIG
from layercli.runs.listing import Run, find_runs, is_run
from layercli.runs.membership import GroupKind, parse_membership
from layercli.runs.seed_directory import read_seed_directory
from layercli.source.nodes import sanitize_text

_TITLES: Final[Mapping[GroupKind | None, str]] = {
    "sweep": "the directory of a sweep",
    "crossval": "the directory of a cross-validation",
    "seeds": "the directory of several seeds",
    None: "a folder of runs",
}
_SEARCH_DEPTH: Final = 1


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A directory that contains runs."""

    path: Path
    kind: GroupKind | None
    """The group whose directory it is; None for other folders of runs."""
    run: Run
    """One of its runs: the first finished one, or the first one."""

    @property
    def title(self) -> str:
        """A noun for the folder, for messages."""
        return _TITLES[self.kind]

    @property
    def usable_commands(self) -> str:
        """A sentence with the commands that take the directory."""
        shown = quote(sanitize_text(str(self.path)))
        if self._is_reportable():
            return f"`layercli report {shown}` and `layercli runs {shown}` take the directory."
        return f"`layercli runs {shown}` takes the directory."

    def _is_reportable(self) -> bool:
        """Return whether `report` takes the directory: a group whose state file can be read."""
        if self.kind == "crossval":
            directory = read_crossval_directory(self.path)
            return directory is not None and self.run.path in directory.find_runs()
        return self.kind == "seeds" and read_seed_directory(self.path) is not None


def inspect_run_folder(path: Path) -> RunFolder | None:
    """Return the runs in a directory; None if it is a run, or contains none."""
    with suppress(OSError, ValueError):
        if not path.is_dir() or is_run(path):
            return None
        first = None
        for run in find_runs(path, _SEARCH_DEPTH):
            if run.state == "finished":
                first = run
                break
            first = first or run
        if first is not None:
            membership = parse_membership(first.manifest)
            is_group = membership is not None and first.path.parent == path
            return RunFolder(path, membership.kind if membership is not None and is_group else None, first)
    return None


def suggest_run(path: Path) -> str:
    """Return the hint for a directory that is not a run: one of the finished runs in it, or an example of a run."""
    folder = inspect_run_folder(path)
    if folder is None or folder.run.state != "finished":
        return "Pass the directory of a training, such as runs/digits/1; `layercli runs` lists them."
    run = quote(sanitize_text(str(folder.run.path)))
    return f"It is {folder.title}: pass one of its runs, such as {run}. {folder.usable_commands}"


def explain_directory(problem: Problem) -> Problem:
    """Return a problem with a directory that was named as a config, with what the directory is and what to name instead."""
    if problem.code != "unreadable-file" or problem.file is None:
        return problem
    path = Path(problem.file)
    if is_file_inside(path, CONFIG):
        title, config, advice = "the directory of a run", path / CONFIG, ""
    elif (folder := inspect_run_folder(path)) is not None:
        title, config, advice = folder.title, folder.run.path / CONFIG, f" {folder.usable_commands}"
    else:
        return problem
    owner = "its config," if not advice else "the config of one of its runs, such as"
    hint = f"Name {owner} {quote(sanitize_text(str(config)))}.{advice}"
    return replace(problem, message=f"This is {title}, not a config file.", hint=hint)

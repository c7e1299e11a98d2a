"""The directory of a cross-validation: a run for each fold, their predictions, and the request of the command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from layercli.io.regular import is_file_inside
from layercli.runs.group_directory import GroupDirectory, open_group_directory, read_group_state
from layercli.runs.membership import GroupKind

PREDICTIONS_FILE: Final = "predictions.csv"
_NUMBER: Final = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Fold:
    """A fold of a repetition; both numbers are from 1."""

    number: int
    repeat: int
    folds: int

    @property
    def directory_name(self) -> str:
        """The name of its run directory: folds are numbered through all repetitions."""
        return str((self.repeat - 1) * self.folds + self.number)

    @property
    def overrides(self) -> list[str]:
        """The changes of the config, as ``--set`` takes them."""
        value = f"{{number: {self.number}, folds: {self.folds}, repeat: {self.repeat}}}"
        return ["data.split.test=0", f"data.split.fold={value}"]


@dataclass(frozen=True)
class CrossvalDirectory(GroupDirectory):
    """The directory of the folds of one config."""

    activity: ClassVar[str] = "cross-validation"
    state_file: ClassVar[str] = "crossval.json"
    kind: ClassVar[GroupKind] = "crossval"

    folds: int
    repeats: int

    def list_members(self) -> Iterator[Fold]:
        """Yield all folds."""
        for repeat in range(1, self.repeats + 1):
            for number in range(1, self.folds + 1):
                yield Fold(number, repeat, self.folds)

    def find_runs(self) -> list[Path]:
        """Return the run directories of the folds that have started; the numbers in the state file may be any."""
        names = [entry.name for entry in self.path.iterdir() if _NUMBER.fullmatch(entry.name)]
        count = self.folds * self.repeats
        return [self.path / name for name in sorted(names, key=int) if int(name) <= count]

    def predictions_path(self, fold: Fold) -> Path:
        """Return the file of the predictions for the examples of a fold; it exists when the fold is finished."""
        return self.path / f"predictions-{fold.directory_name}.csv"

    def is_finished(self, member: Fold) -> bool:
        """Return whether a fold has its predictions."""
        return is_file_inside(self.path, self.predictions_path(member).name)


def open_crossval_directory(
    name: str, run_dir: str | None, *, folds: int, repeats: int, digest: str
) -> CrossvalDirectory:
    """Create the directory of a cross-validation, or open the one that the same command made.

    Args:
        name: The name of the config; the default is ``runs/<name>-crossval``.
        run_dir: The directory.
        folds: Number of folds.
        repeats: Number of repetitions.
        digest: Hash of the config.

    Raises:
        LayercliError: It has other files, or folds of another config, or cannot be created.
    """
    state = {"version": 1, "folds": folds, "repeats": repeats, "config": digest}
    path = open_group_directory(CrossvalDirectory, f"{name}-crossval", run_dir, state)
    return CrossvalDirectory(path, folds, repeats)


def read_crossval_directory(path: Path) -> CrossvalDirectory | None:
    """Return the directory of a cross-validation at this path; None if it is not one."""
    state = read_group_state(path, CrossvalDirectory) or {}
    folds, repeats = state.get("folds"), state.get("repeats")
    if type(folds) is not int or type(repeats) is not int:
        return None
    return CrossvalDirectory(path, folds, repeats)

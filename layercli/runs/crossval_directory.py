"""The directory of a cross-validation: a run for each fold, their predictions, and what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from layercli.io.regular import is_file_inside
from layercli.runs.group_directory import GroupDirectory, open_group_directory
from layercli.runs.membership import GroupKind

PREDICTIONS_FILE: Final = "predictions.csv"


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

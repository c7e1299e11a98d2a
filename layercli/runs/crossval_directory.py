"""The directory of a cross-validation: a run for each fold, their predictions, and what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layercli.errors import make_file_error
from layercli.io.atomic import describe_os_error, write_json
from layercli.io.regular import is_file_inside, parse_json, read_inside
from layercli.runs.directory import RUNS_ROOT, require_local_path, require_own_entries
from layercli.source.nodes import sanitize_text

STATE_FILE: Final = "crossval.json"
PREDICTIONS_FILE: Final = "predictions.csv"
_MAX_STATE_BYTES: Final = 1 << 16


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


@dataclass(frozen=True, slots=True)
class CrossvalDirectory:
    """The directory of the folds of one config."""

    path: Path
    folds: int
    repeats: int

    def list_folds(self) -> Iterator[Fold]:
        """Yield all folds."""
        for repeat in range(1, self.repeats + 1):
            for number in range(1, self.folds + 1):
                yield Fold(number, repeat, self.folds)

    def run_path(self, fold: Fold) -> Path:
        """Return the run directory of a fold."""
        return self.path / fold.directory_name

    def predictions_path(self, fold: Fold) -> Path:
        """Return the file of the predictions for the examples of a fold; it exists when the fold is finished."""
        return self.path / f"predictions-{fold.directory_name}.csv"

    def lock_path(self, fold: Fold) -> Path:
        """Return the file that the process locks that trains a fold."""
        return self.path / f".{fold.directory_name}.lock"

    def is_finished(self, fold: Fold) -> bool:
        """Return whether a fold has its predictions."""
        return is_file_inside(self.path, self.predictions_path(fold).name)


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
    require_local_path(run_dir)
    path = Path(run_dir) if run_dir is not None else RUNS_ROOT / f"{name}-crossval"
    state = {"version": 1, "folds": folds, "repeats": repeats, "config": digest}
    try:
        path.mkdir(parents=True, exist_ok=True)
        require_own_entries(path, may_be_link=run_dir is not None)
        if not any(path.iterdir()):
            write_json(path / STATE_FILE, state)
    except OSError as error:
        message = f"The directory of the cross-validation cannot be created: {describe_os_error(error)}."
        raise make_file_error(path, "run-directory", message) from None
    found = _read_state(path)
    if found != state:
        if found is None:
            message = f"The directory is not empty and has no {STATE_FILE}."
        else:
            differing = [
                "the config"
                if key == "config"
                else f"{key} ({sanitize_text(str(found.get(key)), limit=20)}, now {state[key]})"
                for key in ("folds", "repeats", "config")
                if found.get(key) != state[key]
            ]
            message = f"The directory has a cross-validation that differs in {' and '.join(differing)}."
        hint = "Name another directory with `--run-dir`, or remove this one."
        raise make_file_error(path, "run-directory", message, hint)
    return CrossvalDirectory(path, folds, repeats)


def _read_state(path: Path) -> dict[str, Any] | None:
    try:
        document = parse_json(read_inside(path, STATE_FILE, _MAX_STATE_BYTES))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None

"""The directory of the runs of one config with several seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from layercli.config.training.seeds import MAX_SEED, MAX_SEEDS
from layercli.errors import make_file_error
from layercli.runs.group_directory import GroupDirectory, open_group_directory, read_group_state
from layercli.runs.lock import is_run_locked
from layercli.runs.manifest import is_finished, read_manifest_or_none
from layercli.runs.membership import GroupKind
from layercli.source.nodes import sanitize_text

_SEEDS_KEY: Final = "seeds"


@dataclass(frozen=True, slots=True)
class SeedRun:
    """The run of one seed."""

    seed: int

    @property
    def directory_name(self) -> str:
        """The name of its run directory: the seed."""
        return str(self.seed)

    @property
    def overrides(self) -> list[str]:
        """The changes of the config, as ``--set`` takes them."""
        return [f"seed={self.seed}", "train.seeds=null"]


@dataclass(frozen=True)
class SeedDirectory(GroupDirectory):
    """The directory of the runs of several seeds."""

    activity: ClassVar[str] = "training of several seeds"
    state_file: ClassVar[str] = "seeds.json"
    kind: ClassVar[GroupKind] = "seeds"

    seeds: tuple[int, ...]

    def list_members(self) -> Iterator[SeedRun]:
        """Yield the runs of all seeds."""
        yield from map(SeedRun, self.seeds)

    def is_finished(self, member: SeedRun) -> bool:
        """Return whether the training of a seed is finished, and its process has released the run."""
        run = self.run_path(member)
        manifest = read_manifest_or_none(run)
        return manifest is not None and is_finished(manifest) and not is_run_locked(run)


def open_seed_directory(
    name: str, run_dir: str | None, *, seeds: Sequence[int], digest: str
) -> SeedDirectory:
    """Create the directory of several seeds, or open the one of the same config, whose other seeds stay.

    Args:
        name: The name of the config; the default is ``runs/<name>-seeds``.
        run_dir: The directory.
        seeds: The seeds to train.
        digest: Hash of the config without its seed.

    Raises:
        LayercliError: It has other files, or runs of another config, or cannot be created.
    """
    state = {"version": 1, "config": digest}

    def add_seeds(found: Mapping[str, Any]) -> Mapping[str, Any]:
        known = _filter_seeds(found.get(_SEEDS_KEY))
        is_known = set(seeds) <= set(known)
        return found if is_known else {**state, _SEEDS_KEY: [*dict.fromkeys([*known, *seeds])]}

    path = open_group_directory(SeedDirectory, f"{name}-seeds", run_dir, state, add_seeds)
    directory = SeedDirectory(path, tuple(seeds))
    for member in directory.list_members():
        _require_seed(directory.run_path(member), member.seed)
    return directory


def _require_seed(run: Path, seed: int) -> None:
    """Check that a run has the seed of its folder's name, so that no training counts for another seed.

    Raises:
        LayercliError: It has a different one.
    """
    manifest = read_manifest_or_none(run)
    if manifest is not None and manifest.get("seed") != seed:
        found = sanitize_text(str(manifest.get("seed")), limit=20)
        message = f"The run in the folder of seed {seed} must have this seed, got {found}."
        raise make_file_error(
            run, "run-directory", message, "Remove this folder, and the seed is trained again."
        )


def read_seed_directory(path: Path) -> SeedDirectory | None:
    """Return the directory of several seeds at this path with all its seeds; None if it is not one."""
    state = read_group_state(path, SeedDirectory)
    seeds = None if state is None else _filter_seeds(state.get(_SEEDS_KEY))
    return SeedDirectory(path, tuple(seeds)) if seeds else None


def _filter_seeds(value: object) -> list[int]:
    """Return the seeds in a state file, which may be from elsewhere."""
    seeds = value if isinstance(value, list) else []
    return [seed for seed in seeds[: 2 * MAX_SEEDS] if type(seed) is int and 0 <= seed <= MAX_SEED]

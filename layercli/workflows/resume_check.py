"""``train --resume``: a run that was begun, opened to go on, and what speaks against going on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layercli.check import Valid, check, require
from layercli.config.training.resume_changes import Changes
from layercli.errors import LayercliError, Problem
from layercli.runs import manifest as manifests
from layercli.runs.directory import CONFIG
from layercli.source.nodes import printable

_ALLOW: Final = "`--allow-changes` goes on all the same, with what the config says now; docs/training.md says what is kept."
_FREE: Final = ("train.checkpoints",)
"""What may change without a trace in the outcome."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that was begun, with the config with which it goes on."""

    run: Path
    valid: Valid
    manifest: dict[str, Any]
    allow_changes: bool
    changed: bool
    """Whether its config is another than it was."""
    replanned: bool
    """Whether it is to be executed in another way."""
    differing: list[Problem]
    """What differs, where that is allowed."""
    changes: Changes | None
    """What of the training's state that touches."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return manifests.is_finished(self.manifest) and not self.changed


def reopen(
    run: str, *, config: str | None = None, overrides: Sequence[str] = (), allow_changes: bool = False
) -> Begun:
    """A run that was begun, to go on with its own config, or with ``config`` and ``overrides`` where these are the same.

    Raises:
        LayercliError: it is no run, or the config, a file or a version is another than it was: everything that differs.
    """
    path = Path(run)
    manifest = manifests.read_manifest(path)
    own = require(check(str(path / CONFIG)))
    valid = require(check(config or str(path / CONFIG), overrides)) if config or overrides else own
    differing = [*_differing(path, manifest, own, valid)]
    if differing and not allow_changes:
        raise LayercliError(differing)
    before, after = own.resolved(kept=True), valid.resolved(kept=True)
    return Begun(
        path,
        valid,
        manifest,
        allow_changes,
        changed=before != after,
        replanned=before["train"]["execution"] != after["train"]["execution"],
        differing=differing,
        changes=Changes.between(before["train"], after["train"]) if differing else None,
    )


def other_data(begun: Begun, fingerprint: str) -> Iterator[Problem]:
    """That the data are not those with which the run was begun, where that is so."""
    was = begun.manifest["data"]["fingerprint"]
    if fingerprint != was:
        message = (
            f"The data are not those with which the run was begun: {fingerprint[:19]}..., not {was[:19]}..."
        )
        yield begun.valid.problem(("data",), "resume-differs", message, _ALLOW)


def _differing(run: Path, manifest: Mapping[str, Any], own: Valid, valid: Valid) -> Iterator[Problem]:
    for name in manifests.changed_files(run, manifest, [CONFIG, *own.code]):
        yield _problem(run / name, f"{name} is not the file with which the run was begun.")
    now = manifests.versions()
    for package, version in manifest["versions"].items():
        if now.get(package) != version:
            message = f"The run was begun with {package} {version}; this is {package} {now.get(package)}."
            yield _problem(run, message)
    if valid is not own:
        before, after = (dict(_flat(each.resolved(kept=True), "")) for each in (own, valid))
        for key in [*before, *(key for key in after if key not in before)]:
            old, new = before.get(key), after.get(key)
            longer = key == "train.epochs" and isinstance(new, int) and isinstance(old, int) and new > old
            if (old != new or type(old) is not type(new)) and not longer and not key.startswith(_FREE):
                message = f"`{key}` is {_shown(new)}; the run was begun with {_shown(old)}."
                yield _problem(run, message)


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The values of a config by their paths."""
    if isinstance(value, (Mapping, list)) and value:
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in pairs:
            step = f"[{key}]" if isinstance(value, list) else f".{key}" if path else str(key)
            yield from _flat(inner, f"{path}{step}")
    else:
        yield path, value


def _shown(value: Any) -> str:
    return printable("nothing" if value is None else str(value), limit=60)


def _problem(path: Path, message: str) -> Problem:
    return Problem(code="resume-differs", message=message, hint=_ALLOW, file=str(path))

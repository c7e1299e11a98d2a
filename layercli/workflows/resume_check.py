"""``train --resume``: a run that was begun, opened to go on, and what speaks against going on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layercli.check import ValidConfig, check_config, require_valid
from layercli.config.training.resume_changes import ResumeChanges
from layercli.errors import LayercliError, Problem
from layercli.runs import manifest as manifests
from layercli.runs.directory import CONFIG
from layercli.source.leaves import iterate_leaves, join_path
from layercli.source.nodes import sanitize_text

_ALLOW_CHANGES_HINT: Final = "`--allow-changes` goes on all the same, with what the config says now; docs/training.md says what is kept."
_IGNORED_KEYS: Final = ("train.checkpoints",)
"""What may change without a trace in the outcome."""


@dataclass(frozen=True, slots=True)
class ResumableRun:
    """A run that was begun, with the config with which it goes on."""

    run_dir: Path
    valid: ValidConfig
    manifest: dict[str, Any]
    allow_changes: bool
    has_changed_config: bool
    """Whether its config is another than it was."""
    has_changed_execution: bool
    """Whether it is to be executed in another way."""
    differences: list[Problem]
    """What differs, where that is allowed."""
    changes: ResumeChanges | None
    """What of the training's state that touches."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return manifests.is_finished(self.manifest) and not self.has_changed_config


def open_for_resume(
    run: str, *, config: str | None = None, overrides: Sequence[str] = (), allow_changes: bool = False
) -> ResumableRun:
    """A run that was begun, to go on with its own config, or with ``config`` and ``overrides`` where these are the same.

    Raises:
        LayercliError: it is no run, or the config, a file or a version is another than it was: everything that differs.
    """
    path = Path(run)
    manifest = manifests.read_manifest(path)
    own_config = require_valid(check_config(str(path / CONFIG)))
    valid = (
        require_valid(check_config(config or str(path / CONFIG), overrides))
        if config or overrides
        else own_config
    )
    differences = [*_find_differences(path, manifest, own_config, valid)]
    if differences and not allow_changes:
        raise LayercliError(differences)
    before, after = own_config.to_resolved_dict(is_for_run=True), valid.to_resolved_dict(is_for_run=True)
    return ResumableRun(
        path,
        valid,
        manifest,
        allow_changes,
        has_changed_config=before != after,
        has_changed_execution=before["train"]["execution"] != after["train"]["execution"],
        differences=differences,
        changes=ResumeChanges.between(before["train"], after["train"]) if differences else None,
    )


def check_data_fingerprint(resumable: ResumableRun, fingerprint: str) -> Iterator[Problem]:
    """That the data are not those with which the run was begun, where that is so."""
    expected = resumable.manifest["data"]["fingerprint"]
    if fingerprint != expected:
        message = f"The data are not those with which the run was begun: {fingerprint[:19]}..., not {expected[:19]}..."
        yield resumable.valid.make_problem(("data",), "resume-differs", message, _ALLOW_CHANGES_HINT)


def _find_differences(
    run: Path, manifest: Mapping[str, Any], own_config: ValidConfig, valid: ValidConfig
) -> Iterator[Problem]:
    for name in manifests.find_changed_files(run, manifest, [CONFIG, *own_config.code_files]):
        yield _make_resume_problem(run / name, f"{name} is not the file with which the run was begun.")
    now = manifests.collect_versions()
    for package, version in manifest["versions"].items():
        if now.get(package) != version:
            message = f"The run was begun with {package} {version}; this is {package} {now.get(package)}."
            yield _make_resume_problem(run, message)
    if valid is not own_config:
        before, after = _config_values(own_config), _config_values(valid)
        for key in [*before, *(key for key in after if key not in before)]:
            old, new = before.get(key), after.get(key)
            is_longer_training = (
                key == "train.epochs" and isinstance(new, int) and isinstance(old, int) and new > old
            )
            if (
                (old != new or type(old) is not type(new))
                and not is_longer_training
                and not key.startswith(_IGNORED_KEYS)
            ):
                message = f"`{key}` is {_format_value(new)}; the run was begun with {_format_value(old)}."
                yield _make_resume_problem(run, message)


def _config_values(valid: ValidConfig) -> dict[str, Any]:
    """Return the values of the resolved config by their paths."""
    leaves = iterate_leaves(valid.to_resolved_dict(is_for_run=True), lambda _: True)
    return {join_path(path): value for path, value in leaves}


def _format_value(value: Any) -> str:
    return sanitize_text("nothing" if value is None else str(value), limit=60)


def _make_resume_problem(path: Path, message: str) -> Problem:
    return Problem(code="resume-differs", message=message, hint=_ALLOW_CHANGES_HINT, file=str(path))

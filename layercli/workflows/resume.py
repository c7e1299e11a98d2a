"""Resume an interrupted run from its last checkpoint."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from layercli.check import ValidConfig, check_config, require_valid
from layercli.config.training.callbacks import iterate_output_paths
from layercli.config.training.resume_changes import ResumeChanges, select_stage
from layercli.errors import LayercliError, Problem, make_file_error
from layercli.graph.adaptable import count_size_learners, read_output_sizes
from layercli.graph.metrics import adopt_completed_metrics
from layercli.io.atomic import describe_os_error, remove_partial_files, write_bytes
from layercli.io.credentials import describe_command
from layercli.io.regular import parse_json, read_inside
from layercli.reports.formatting import count_noun
from layercli.reports.training_progress import SilentProgress
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.checkpoints import Checkpoint, CheckpointDirectory
from layercli.runs.environment import collect_environment, describe_differences
from layercli.runs.lock import lock_run
from layercli.runs.open_run import EXTRA_BYTES, check_run_config, max_weight_bytes, require_own_files
from layercli.runs.resume_command import format_resume_command
from layercli.runs.run_folder import inspect_run_folder
from layercli.runs.seed_directory import read_seed_directory
from layercli.runs.summary import is_printable_summary
from layercli.runs.training_state import check_training_state
from layercli.source.load import MAX_BYTES
from layercli.source.nodes import KeyPath, sanitize_text
from layercli.workflows.batch_size import with_batch_size
from layercli.workflows.preflight import require_sections
from layercli.workflows.tracking import require_tracking
from layercli.workflows.training_run import (
    TrainingInputs,
    TrainingRun,
    load_training_inputs,
    report_disk_errors,
    require_trainable,
)
from layercli.workflows.weight_files import check_weight_files

if TYPE_CHECKING:
    from layercli.engine.training.execution_plan import ExecutionPlan

_ALLOW_CHANGES_HINT: Final = (
    "Pass `--allow-changes` to resume with the new values; docs/training.md lists which state is kept."
)
_CHECKPOINT_COPIES: Final = 12
"""Copies of the weights that a checkpoint may hold: the model, the optimizer's state, and the best weights of callbacks."""
_MAX_SUMMARY_BYTES: Final = 64 << 20
_IGNORED_KEYS: Final = ("train.checkpoints", "train.diagnostics", "train.until")
"""Keys that do not affect the trained model."""


@dataclass(frozen=True, slots=True)
class ResumableRun:
    """A started run and the config to resume it with."""

    run_dir: Path
    valid: ValidConfig
    manifest: dict[str, Any]
    allow_changes: bool
    has_changed_config: bool
    has_changed_execution: bool
    """Whether `train.execution` changed."""
    differences: list[Problem]
    """The changes that ``--allow-changes`` permits."""
    sections: tuple[Mapping[str, Any], Mapping[str, Any]]
    """The ``train`` sections of the run and of the config, with all defaults."""

    def find_changes(self, checkpoint: Checkpoint | None) -> ResumeChanges | None:
        """Return the effect of the differences on the state of the training at a checkpoint.

        Raises:
            LayercliError: The config does not have the stage of the checkpoint.
        """
        starts = checkpoint.state.get("stages", {}).get("starts", [0]) if checkpoint is not None else [0]
        stage = len(starts) - 1
        stages = self.sections[1].get("stages")
        if stage >= max(len(stages or ()), 1):
            path: KeyPath = ("train",) if stages is None else ("train", "stages")
            message = f"The run is in stage {stage + 1}, which the config does not have."
            hint = f"Keep the first {stage + 1} stages of the run under `stages`."
            raise LayercliError(self.valid.make_problem(path, "resume-differs", message, hint))
        if not self.differences:
            return None
        return ResumeChanges.from_sections(*(select_stage(each, stage) for each in self.sections))

    @property
    def is_finished(self) -> bool:
        """Whether the run has no steps left to train."""
        return (
            manifests.is_finished(self.manifest)
            and not manifests.has_reached_limit(self.manifest)
            and not self.has_changed_config
        )


def open_for_resume(
    run: str, *, config: str | None = None, overrides: Sequence[str] = (), allow_changes: bool = False
) -> ResumableRun:
    """Open a started run with its own config, or with ``config`` and ``overrides``.

    Raises:
        LayercliError: This is not a run, or the config, a file or a package version changed and ``allow_changes`` is
            false. Every difference is reported.
    """
    path = Path(run)
    _require_single_run(path)
    require_own_files(path)
    manifest = manifests.require_manifest(path)
    content = _read_own_config(path)
    own_config = check_run_config(path, content)
    _, own_train = require_sections(own_config)
    valid = own_config
    if config or overrides:
        text = None if config else content.decode("utf-8-sig")
        given = require_valid(check_config(config or str(path / runs.CONFIG), overrides, text=text))
        given = _adopt_output_sizes(own_config, given)
        valid = replace(given, config=adopt_completed_metrics(own_config.config, given.config))
        require_sections(valid)
        valid = with_batch_size(valid, own_train.batch_size)  # what the start of the run found
    differences = [*_find_differences(path, manifest, content, own_config, valid)]
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
        sections=(before["train"], after["train"]),
    )


def _adopt_output_sizes(own_config: ValidConfig, given: ValidConfig) -> ValidConfig:
    """Return the given config, with the sizes of vocabularies that the start of the run learned."""
    started = {node.name: node.layer for node in own_config.graph.nodes}
    learners = [node for node in given.graph.nodes if node.name in given.shapes.size_learners]
    sizes = {
        node.name: read_output_sizes(node.layer, started[node.name])
        for node in learners
        if node.name in started
    }
    known = {
        node.name for node in learners if len(sizes.get(node.name, [])) == count_size_learners(node.layer)
    }
    return given.with_output_sizes({name: sizes[name] for name in known}) if known else given


def _require_single_run(path: Path) -> None:
    """Check that a directory does not contain several runs.

    Raises:
        LayercliError: It does.
    """
    folder = inspect_run_folder(path)
    if folder is None and read_seed_directory(path) is not None:  # none of them has started
        message = "This is the directory of several seeds, not a run directory."
        raise make_file_error(path, "run-directory", message, "Run the command that created it again.")
    if folder is not None:
        command = "Run the command that created it again, or resume" if folder.kind else "Resume"
        run = quote(sanitize_text(str(folder.run.path)))
        message = f"This is {folder.title}, not a run directory."
        hint = f"{command} one of its runs, such as {run}."
        raise make_file_error(path, "run-directory", message, hint)


def _read_own_config(run: Path) -> bytes:
    """Return the bytes of the run's config.

    Raises:
        LayercliError: It cannot be read.
    """
    try:
        return read_inside(run, runs.CONFIG, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = describe_os_error(error) if isinstance(error, OSError) else str(error)
        message = f"{runs.CONFIG} cannot be read: {reason}."
        raise make_file_error(run / runs.CONFIG, "run-directory", message) from None


def resume_run(
    resumable: ResumableRun,
    *,
    trust: bool = False,
    progress: SilentProgress | None = None,
    is_interruptible: bool = False,
) -> dict[str, Any]:
    """Resume a run from its last checkpoint and return its summary. A finished run is not trained again.

    The result equals that of an uninterrupted run.

    Raises:
        LayercliError: As for ``train_new_run``; or the data changed, or another process is training the run.
    """
    started_at = time.perf_counter()
    progress = progress or SilentProgress()
    run, valid = resumable.run_dir, resumable.valid
    if resumable.is_finished:
        progress.print_message(
            f"Run {run} is finished; use `--set {_name_epochs(valid)}=N` with more epochs to continue the training."
        )
        return _read_summary(run)
    require_trainable(valid, trust=trust)
    require_tracking(valid)
    with lock_run(run), report_disk_errors(run, valid):
        remove_partial_files(run)
        checkpoint = _load_last_checkpoint(resumable, progress)
        position = (
            {"epoch": checkpoint.epoch, "step": checkpoint.step} if checkpoint else {"epoch": 0, "step": 0}
        )
        progress.print_message(
            f"Run {run}: resuming after {count_noun(position['epoch'], 'epoch')} and "
            f"{count_noun(position['step'], 'step')}."
        )
        _warn_of_other_environment(resumable, progress)
        changes = resumable.find_changes(checkpoint)
        if checkpoint is None and (problems := [*check_weight_files(valid, resumable.manifest)]):
            raise LayercliError(problems)
        inputs = load_training_inputs(valid, progress, should_load_weights=checkpoint is None, trust=trust)
        data_differences = [*_check_data_fingerprint(resumable, inputs.splits.fingerprint())]
        differences = [*resumable.differences, *data_differences]
        if differences and not resumable.allow_changes:
            raise LayercliError(differences)
        for problem in differences:
            progress.print_message(f"Changed: {problem.message}")
        if changes is not None:
            progress.print_message(changes.summary)
            position["step"] = changes.map_step(position["step"])
        if data_differences:
            position["step"] = 0  # steps on the previous examples do not count
        return _train_from_checkpoint(
            resumable,
            inputs,
            checkpoint,
            position,
            changes,
            differences,
            progress,
            started_at=started_at,
            is_interruptible=is_interruptible,
        )


def _name_epochs(valid: ValidConfig) -> str:
    """Return the key of the last epochs of a training."""
    stages = valid.config.train.stages if valid.config.train is not None else None
    return "train.epochs" if stages is None else f"train.stages.{len(stages) - 1}.epochs"


def _read_summary(run: Path) -> dict[str, Any]:
    """Return the summary of a finished run.

    Raises:
        LayercliError: It is missing or was modified.
    """
    with manifests.open_recorded(run, runs.SUMMARY) as file:
        content = file.read(_MAX_SUMMARY_BYTES + 1)
    try:
        summary = parse_json(content)
        if len(content) <= _MAX_SUMMARY_BYTES and is_printable_summary(summary):
            return {**summary, "run": str(run)}
    except ValueError:
        pass
    message = f"{runs.SUMMARY} does not contain the summary of a training."
    raise make_file_error(run / runs.SUMMARY, "run-directory", message)


def _train_from_checkpoint(
    resumable: ResumableRun,
    inputs: TrainingInputs,
    checkpoint: Checkpoint | None,
    position: Mapping[str, int],
    changes: ResumeChanges | None,
    differences: Sequence[Problem],
    progress: SilentProgress,
    *,
    started_at: float,
    is_interruptible: bool,
) -> dict[str, Any]:
    """Record the resume in the run directory and train; restore the files if the checkpoint does not fit."""
    from layercli.engine.training.execution_plan import plan_execution
    from layercli.engine.training.snapshot import IncompatibleSnapshotError

    run, valid = resumable.run_dir, inputs.valid
    execution = (
        plan_execution(valid, inputs.splits.train)
        if resumable.has_changed_execution
        else _parse_execution(resumable)
    )
    resume_record = {
        "command": describe_command(sys.argv),
        **position,
        "versions": manifests.collect_versions(),
        "environment": collect_environment(),
    }
    should_renew_limit = _should_renew_limit(resumable, position)
    if should_renew_limit:
        resume_record["renews_limit"] = True
    if differences:
        resume_record["changes"] = [problem.message for problem in differences]
    manifest = {
        **manifests.with_end(resumable.manifest),
        "execution": execution.as_json(),
        "resumed": [*resumable.manifest.get("resumed", []), resume_record],
    }
    previous_config = _read_own_config(run)
    if resumable.has_changed_config:
        # The process may be killed between the two writes.
        manifests.write_manifest(run, manifest, excluded=runs.CONFIG)
        runs.write_config(run, valid)
    manifests.write_manifest(run, manifest)
    training_run = TrainingRun(
        run,
        inputs,
        execution,
        manifest,
        started_at,
        checkpoint,
        position,
        changes,
        should_renew_limit=should_renew_limit,
    )
    try:
        return training_run.execute(progress, is_interruptible=is_interruptible)
    except IncompatibleSnapshotError as error:
        write_bytes(run / runs.CONFIG, previous_config)
        manifests.write_manifest(run, resumable.manifest)
        message = f"The checkpoint is from a different model: {error}."
        hint = (
            "Start a new run. After this one is finished, `model: {weights: RUN}` loads its weights by name."
        )
        raise LayercliError(valid.make_problem(("model",), "resume-differs", message, hint)) from None


def _should_renew_limit(resumable: ResumableRun, position: Mapping[str, int]) -> bool:
    """Return whether `train.until` applies again from here, because it ended the training here."""
    if manifests.has_reached_limit(resumable.manifest) or resumable.has_changed_config:
        return True
    # A resumed training that was killed before its first checkpoint starts from the same position again.
    last_resume = next(iter(resumable.manifest.get("resumed", [])[-1:]), None)
    return (
        isinstance(last_resume, dict)
        and last_resume.get("renews_limit") is True
        and all(last_resume.get(key) == value for key, value in position.items())
    )


def _parse_execution(resumable: ResumableRun) -> ExecutionPlan:
    """Return the execution plan in the manifest.

    Raises:
        LayercliError: It is malformed.
    """
    from layercli.engine.training.execution_plan import ExecutionPlan

    try:
        return ExecutionPlan.from_json(resumable.manifest["execution"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"`execution` in {runs.MANIFEST} is malformed ({type(error).__name__})."
        hint = "Restore the file, or train the run again."
        raise make_file_error(resumable.run_dir, "run-directory", message, hint) from None


def _load_last_checkpoint(resumable: ResumableRun, progress: SilentProgress) -> Checkpoint | None:
    """Return the newest intact checkpoint, and warn about each damaged one."""
    checkpoints = CheckpointDirectory(resumable.run_dir)
    checkpoints.remove_partial()
    checkpoint, damaged = checkpoints.read_latest(
        max_weight_bytes(resumable.valid, copies=_CHECKPOINT_COPIES), check_training_state
    )
    consequence = (
        "the previous checkpoint is used"
        if checkpoint
        else "there is no previous checkpoint, so training restarts from scratch"
    )
    for reason in damaged:
        message = f"The checkpoint {reason}; {consequence}."
        progress.print_warning(
            Problem(
                code="damaged-checkpoint", severity="warning", message=message, file=str(resumable.run_dir)
            )
        )
    return checkpoint


def _warn_of_other_environment(resumable: ResumableRun, progress: SilentProgress) -> None:
    """Warn that the result will not equal that of an uninterrupted run if the machine or its settings differ."""
    found = describe_differences(resumable.manifest.get("environment"), collect_environment())
    for difference in found:
        message = (
            f"The run started in a different environment: {difference}. "
            "The result can differ in the last bits from that of an uninterrupted run."
        )
        progress.print_warning(
            Problem(
                code="environment-differs",
                severity="warning",
                message=message,
                file=str(resumable.run_dir),
            )
        )


def _check_data_fingerprint(resumable: ResumableRun, fingerprint: str) -> Iterator[Problem]:
    """Yield a problem if the data changed since the run started."""
    expected = resumable.manifest["data"]["fingerprint"]
    if fingerprint != expected:
        message = (
            f"The data changed since the run started: its fingerprint is {fingerprint[:19]}..., "
            f"expected {expected[:19]}..."
        )
        yield resumable.valid.make_problem(("data",), "resume-differs", message, _ALLOW_CHANGES_HINT)


def _find_differences(
    run_dir: Path, manifest: Mapping[str, Any], content: bytes, own_config: ValidConfig, valid: ValidConfig
) -> Iterator[Problem]:
    """Yield a problem for each file, package version and config value that changed since the run started.

    ``content`` holds the bytes from which the run's own config was read.
    """
    max_model_bytes = max_weight_bytes(own_config) + EXTRA_BYTES
    fixed_files = _list_fixed_files(manifest, own_config)
    changed = set(manifests.find_changed_files(run_dir, manifest, fixed_files, max_model_bytes))
    # A kill while a changed config is written leaves it without a hash.
    config_hash = manifest["files"].get(runs.CONFIG)
    if config_hash is not None and hashlib.sha256(content).hexdigest() != config_hash:
        changed.add(runs.CONFIG)
    for name in (sanitize_text(each, limit=100) for each in sorted(changed)):
        yield _make_resume_problem(run_dir / name, f"{name} changed since the run started.")
    current_versions = manifests.collect_versions()
    for package, version in manifest["versions"].items():
        current = current_versions.get(package)
        if current != version:
            message = f"The run started with {package} {version}, but {package} {current} is installed."
            yield _make_resume_problem(run_dir, message)
    if valid is own_config:
        return
    before, after = (
        dict(_flatten_config(each.to_resolved_dict(is_for_run=True), "")) for each in (own_config, valid)
    )
    command = format_resume_command(run_dir, needs_trust=own_config.needs_trust)
    resume_hint = f"To resume with the config of the run: {command}."
    last_epochs = {_name_epochs(own_config)} & {_name_epochs(valid)}
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        is_last = key.replace("[", ".").replace("]", "") in last_epochs
        if not key.startswith(_IGNORED_KEYS) and _is_disallowed_change(old, new, is_last_epochs=is_last):
            message = f"`{key}` is {_format_value(new)}, but the run started with {_format_value(old)}."
            yield replace(_make_resume_problem(run_dir, message), hint=f"{resume_hint} {_ALLOW_CHANGES_HINT}")


def _list_fixed_files(manifest: Mapping[str, Any], own_config: ValidConfig) -> set[str]:
    """Return the names of the run's files that no training changes: all but its history and its callbacks' files."""
    train = own_config.config.train
    callbacks = [] if train is None else [callback for callback, _, _ in train.iterate_callbacks()]
    outputs = list(iterate_output_paths(callbacks))
    recorded = {
        name
        for name in manifest["files"]
        if name not in (runs.CONFIG, runs.HISTORY, runs.DIAGNOSTICS, runs.SUMMARY)
        and not any(name == path or name.startswith(f"{path}/") for path in outputs)
    }
    return recorded | set(own_config.code_files)


def _is_disallowed_change(old: Any, new: Any, *, is_last_epochs: bool) -> bool:
    """Return whether the value changed, except for a higher number of epochs at the end."""
    is_longer_training = is_last_epochs and isinstance(new, int) and isinstance(old, int) and new > old
    return (old != new or type(old) is not type(new)) and not is_longer_training


def _flatten_config(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each value of a config with its path."""
    if isinstance(value, (Mapping, list)) and value:
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in pairs:
            step = f"[{key}]" if isinstance(value, list) else f".{key}" if path else str(key)
            yield from _flatten_config(inner, f"{path}{step}")
    else:
        yield path, value


def _format_value(value: Any) -> str:
    return sanitize_text("nothing" if value is None else str(value), limit=60)


def _make_resume_problem(path: Path, message: str) -> Problem:
    return Problem(code="resume-differs", message=message, hint=_ALLOW_CHANGES_HINT, file=str(path))

"""Train a config once for each of several seeds, and combine the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from layercli.check import ValidConfig, check_config, require_valid
from layercli.config.training.seeds import list_seeds
from layercli.distribution.cluster import is_group_process
from layercli.errors import LayercliError, make_file_error
from layercli.reports.group_progress import GroupProgress
from layercli.runs.listing import Run, read_run
from layercli.runs.seed_directory import SeedDirectory, open_seed_directory
from layercli.runs.seed_groups import SeedGroup, list_scores
from layercli.workflows.preflight import require_sections
from layercli.workflows.run_group import GroupRequest, hash_config, train_group
from layercli.workflows.tracking import list_group_results, require_tracking, track_group
from layercli.workflows.training_run import require_trainable


@dataclass(frozen=True, slots=True)
class OpenSeeds:
    """The trainings of several seeds with their config and their directory."""

    request: GroupRequest
    valid: ValidConfig
    directory: SeedDirectory


def open_seeds(request: GroupRequest, seeds: int | Sequence[int]) -> OpenSeeds:
    """Check the config for one seed, and create or open the directory.

    Args:
        request: The options of the command.
        seeds: A number of seeds from that of the config on, or a list.

    Raises:
        LayercliError: The config cannot be trained so, or the directory has something else.
    """
    valid = require_valid(check_config(request.file, [*request.overrides, "train.seeds=null"]))
    require_sections(valid)
    _require_one_process(valid)
    require_trainable(valid, trust=request.trust)
    require_tracking(valid)
    document = valid.to_resolved_dict(is_for_run=True)
    del document["seed"]
    directory = open_seed_directory(
        valid.check_result.name,
        request.run_dir,
        seeds=list_seeds(seeds if isinstance(seeds, int) else list(seeds), valid.config.seed),
        digest=hash_config(document),
    )
    return OpenSeeds(request, valid, directory)


def _require_one_process(valid: ValidConfig) -> None:
    """Check that several processes do not share each training.

    Raises:
        LayercliError: They do.
    """
    if is_group_process(valid):
        message = "Several seeds cannot be trained by a group of processes that share each batch."
        hint = (
            "Start `layercli train` without `launch` and TF_CONFIG, and with `--set train.distribution=none`."
        )
        raise LayercliError(valid.make_problem(("train", "seeds"), "bad-cluster", message, hint))


def train_seeds(opened: OpenSeeds, progress: GroupProgress) -> dict[str, Any]:
    """Train all seeds in worker processes. Return the document of ``train --seeds --json``.

    An interruption stops the workers; the same command trains the rest.

    Raises:
        LayercliError: A seed cannot be trained.
    """
    directory = opened.directory
    task = {"seeds": list(directory.seeds), "command": ["layercli", "train", opened.request.file]}
    with track_group(directory.path) as results:
        train_group(opened.request, directory, task, progress)
        runs = {member.seed: read_run(directory.run_path(member)) for member in directory.list_members()}
        for run in runs.values():
            _require_undamaged(run)
        summary = SeedGroup(runs).summarize_results()
        results |= list_group_results(summary)
    return {
        "ok": True,
        "directory": str(directory.path),
        "seeds": [
            {"seed": seed, "run": str(run.path), "metrics": list_scores(run)} for seed, run in runs.items()
        ],
        **summary,
        "problems": [problem.as_json() for problem in opened.valid.check_result.problems],
    }


def _require_undamaged(run: Run) -> None:
    """Check that the results of a run can be combined with others.

    Raises:
        LayercliError: A file of the run is damaged, or was modified.
    """
    if run.note is not None:
        message = f"The run is {run.state}: {run.note}."
        hint = "Restore its files, or remove this folder, and the seed is trained again."
        raise make_file_error(run.path, "run-directory", message, hint)

"""Whether this process is one of several that train one model, as ``TF_CONFIG`` and the config say."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from layercli import process
from layercli.check import Valid
from layercli.errors import LayercliError, Problem
from layercli.layers.component import Component
from layercli.runs.directory import write_text
from layercli.source.nodes import KeyPath

TF_CONFIG = "TF_CONFIG"
"""Where TensorFlow's launchers (Kubeflow, ``layercli launch``) say who takes part."""
RUN_FILE = "LAYERCLI_RUN_FILE"
"""A file into which the first process of a group writes its run directory, for who started the group."""


def join(valid: Valid) -> list[Problem]:
    """Make this process one of its group, before TensorFlow is loaded; what will differ from one process, as warnings.

    Raises:
        LayercliError: the config wants a group and there is none, or ``TF_CONFIG`` cannot be read.
    """
    wanted = valid.config.train.distribution if valid.config.train is not None else "none"
    if not process.is_ours or wanted in ("none", "mirrored"):
        return []
    process.cluster = _declared()
    if wanted == "multi_worker" and process.cluster is None:
        message = "`distribution: multi_worker` needs several processes, but TF_CONFIG names none."
        hint = "Start it with `layercli launch --workers 2 -- train CONFIG`, or see docs/distributed.md."
        raise LayercliError(valid.problem(("train", "distribution"), "bad-cluster", message, hint))
    if process.cluster is None:
        return []
    if problems := [*_unshared_losses(valid)]:
        raise LayercliError(problems)
    return [] if process.cluster.rank else [*differences(valid)]


_MEANS: Final = ("sum_over_batch_size", "mean", None)


def _losses(valid: Valid) -> Iterator[tuple[KeyPath, Component]]:
    assert valid.config.train is not None
    loss = valid.config.train.loss
    listed = loss.items() if isinstance(loss, dict) else [(None, loss)]
    for output, each in listed:
        if isinstance(each, Component):
            yield ("train", "loss") if output is None else ("train", "loss", output), each


def _unshared_losses(valid: Valid) -> Iterator[Problem]:
    """Losses that are no means over examples: those of shares do not make that of the whole batch."""
    for path, loss in _losses(valid):
        reduction = getattr(loss, "reduction", None)
        if reduction not in _MEANS:
            message = f"Several workers share batches, for which a loss must be a mean; this one has `reduction: {reduction}`."
            hint = "Write `reduction: sum_over_batch_size`, or `distribution: none`."
            yield valid.problem((*path, "reduction"), "bad-cluster", message, hint)


def _declared() -> process.Cluster | None:
    """The group that ``TF_CONFIG`` declares, where it has more than one process."""
    text = os.environ.get(TF_CONFIG)
    if not text:
        return None
    try:
        document = json.loads(text)
        return _cluster(document)
    except (ValueError, KeyError, TypeError, AttributeError):
        message = "The variable TF_CONFIG names no group of workers that can be understood."
        hint = 'For example {"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}.'
        raise LayercliError(Problem(code="bad-cluster", message=message, hint=hint)) from None


def _cluster(document: dict[str, Any]) -> process.Cluster | None:
    members = document.get("cluster", {})
    chiefs, workers = len(members.get("chief", [])), len(members.get("worker", []))
    size = chiefs + workers
    if size < 2:
        return None
    kind, index = document["task"]["type"], document["task"]["index"]
    rank = {"chief": 0, "worker": chiefs}[kind] + index
    if not isinstance(index, int) or not 0 <= rank < size:
        raise ValueError(rank)
    return process.Cluster(rank, size)


def local_gpus() -> list[str]:
    """The GPUs of this machine that may be used, as ``CUDA_VISIBLE_DEVICES`` names them; nothing is loaded."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        names = [name.strip() for name in named.split(",")]
        return [] if "-1" in names else [name for name in names if name]
    return sorted((path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")), key=int)


def gpus_to_share(valid: Valid) -> int:
    """How many GPUs of this machine share the training, each with a process of its own; 0 where there are no several."""
    wanted = valid.config.train.distribution if valid.config.train is not None else "none"
    grouped = TF_CONFIG in os.environ
    if not process.is_ours or wanted not in ("auto", "mirrored") or grouped:
        return 0
    gpus = len(local_gpus())
    return gpus if gpus > 1 else 0


@contextmanager
def place_of_follower() -> Iterator[str | None]:
    """Where a process that is not the first of its group may write, until it ends; None for all others."""
    if process.cluster is None or process.cluster.rank == 0:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="layercli-") as place:
        yield str(Path(place) / "run")


def copied(run: Path, place: str) -> Path:
    """A copy of a run to go on with, without what the first process may be writing there."""
    shutil.copytree(run, place, ignore=shutil.ignore_patterns(".*"))
    return Path(place)


def tell_run(run: Path) -> None:
    """Tell who started the group where its run is."""
    if (file := os.environ.get(RUN_FILE)) and process.cluster is not None and process.cluster.rank == 0:
        write_text(Path(file), str(run.resolve()))


def differences(valid: Valid) -> Iterator[Problem]:
    """Warnings: what makes the result of a group differ from that of one process."""
    assert process.cluster is not None
    size = process.cluster.size
    for path, loss in _losses(valid):
        if loss.type_name() in ("Dice", "Tversky"):
            message = (
                f"{loss.type_name()} is computed over each of {size} workers' share of a batch by itself."
            )
            yield valid.problem(path, "differs-in-group", message, severity="warning")
    for node in valid.graph.nodes:
        name, layer = node.layer.type_name(), node.layer
        if name == "BatchNormalization":
            message = f"BatchNormalization takes its statistics from each of {size} workers' share of a batch by itself."
            hint = "GroupNormalization or LayerNormalization do not depend on the batch."
        elif any(getattr(layer, rate, 0) for rate in ("rate", "dropout", "recurrent_dropout", "stddev")):
            message = f"{name} draws other random numbers with {size} workers than with one."
            hint = None
        else:
            continue
        yield valid.problem(node.path, "differs-in-group", message, hint, "warning")

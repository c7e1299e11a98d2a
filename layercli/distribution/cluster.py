"""The cluster of this process, as ``TF_CONFIG`` and the config declare it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from layercli import runtime
from layercli.check import ValidConfig
from layercli.distribution.limitations import (
    find_auto_batch_size,
    find_group_differences,
    find_unshared_losses,
)
from layercli.errors import LayercliError, Problem

TF_CONFIG = "TF_CONFIG"
"""Environment variable in which TensorFlow's launchers (Kubeflow, ``layercli launch``) declare the cluster."""


def join_cluster(valid: ValidConfig) -> list[Problem]:
    """Join the cluster, before TensorFlow is loaded; return warnings about differences from one process.

    Raises:
        LayercliError: The config requires a cluster that ``TF_CONFIG`` does not declare, or its value is invalid.
    """
    distribution = valid.config.train.distribution if valid.config.train is not None else "none"
    if not runtime.is_cli_process or distribution in ("none", "mirrored"):
        return []
    runtime.cluster = _parse_tf_config()
    if distribution == "multi_worker" and runtime.cluster is None:
        message = "`distribution: multi_worker` requires several processes, but TF_CONFIG declares none."
        hint = "Start it with `layercli launch --workers 2 -- train CONFIG`, or see docs/distributed.md."
        raise LayercliError(valid.make_problem(("train", "distribution"), "bad-cluster", message, hint))
    if runtime.cluster is None:
        return []
    if problems := [*find_auto_batch_size(valid), *find_unshared_losses(valid)]:
        raise LayercliError(problems)
    return [] if runtime.cluster.rank else [*find_group_differences(valid)]


def is_group_process(valid: ValidConfig) -> bool:
    """Return whether this process is, or must be, one of several that train one model together."""
    distribution = valid.config.train.distribution if valid.config.train is not None else "none"
    return distribution == "multi_worker" or (distribution == "auto" and _parse_tf_config() is not None)


def _parse_tf_config() -> runtime.Cluster | None:
    """Return the cluster of ``TF_CONFIG``; None if it has fewer than two processes."""
    text = os.environ.get(TF_CONFIG)
    if not text:
        return None
    try:
        document = json.loads(text)
        return _parse_cluster(document)
    except (ValueError, KeyError, TypeError, AttributeError):
        message = "TF_CONFIG is not a valid cluster specification."
        hint = 'For example {"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}.'
        raise LayercliError(Problem(code="bad-cluster", message=message, hint=hint)) from None


def _parse_cluster(document: dict[str, Any]) -> runtime.Cluster | None:
    members = document.get("cluster", {})
    chiefs, workers = len(members.get("chief", [])), len(members.get("worker", []))
    size = chiefs + workers
    if size < 2:
        return None
    kind, index = document["task"]["type"], document["task"]["index"]
    rank = {"chief": 0, "worker": chiefs}[kind] + index
    if not isinstance(index, int) or not 0 <= rank < size:
        raise ValueError(rank)
    return runtime.Cluster(rank, size)


def list_local_gpus() -> list[str]:
    """Return the visible GPUs of this machine, as in ``CUDA_VISIBLE_DEVICES``, without loading TensorFlow."""
    visible_devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible_devices is not None:
        names = [name.strip() for name in visible_devices.split(",")]
        return [] if "-1" in names else [name for name in names if name]
    return sorted((path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")), key=int)


def count_shared_gpus(valid: ValidConfig) -> int:
    """Return the number of GPUs of this machine that share the training, one process each; 0 if fewer than two."""
    distribution = valid.config.train.distribution if valid.config.train is not None else "none"
    has_tf_config = TF_CONFIG in os.environ
    if not runtime.is_cli_process or distribution not in ("auto", "mirrored") or has_tf_config:
        return 0
    gpus = len(list_local_gpus())
    return gpus if gpus > 1 else 0

"""Differences between a group of processes and one process, and what a group cannot compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from layercli import runtime
from layercli.check import ValidConfig
from layercli.config.training.batch_size import AutoBatchSize
from layercli.config.training.custom_objects import CustomObject
from layercli.errors import Problem
from layercli.schema.component import Component
from layercli.source.nodes import KeyPath

_MEAN_REDUCTIONS: Final = ("sum_over_batch_size", "mean", None)


def _iterate_losses(valid: ValidConfig) -> Iterator[tuple[KeyPath, Component]]:
    assert valid.config.train is not None
    loss = valid.config.train.loss
    losses = loss.items() if isinstance(loss, dict) else [(None, loss)]
    for output, each in losses:
        if isinstance(each, Component) and not isinstance(each, CustomObject):
            yield ("train", "loss") if output is None else ("train", "loss", output), each


def find_auto_batch_size(valid: ValidConfig) -> Iterator[Problem]:
    """Yield an error for a batch size that each process would find for itself."""
    if valid.config.train is not None and isinstance(valid.config.train.batch_size, AutoBatchSize):
        message = "Several processes that train one model cannot use `batch_size: auto`."
        hint = "Pass a number, such as `--set train.batch_size=32`."
        yield valid.make_problem(("train", "batch_size"), "bad-cluster", message, hint)


def find_unshared_losses(valid: ValidConfig) -> Iterator[Problem]:
    """Report losses that are not a mean over examples: shares of a batch cannot be combined."""
    for path, loss in _iterate_losses(valid):
        reduction = getattr(loss, "reduction", None)
        if reduction not in _MEAN_REDUCTIONS:
            message = f"`reduction` must be a mean because several workers share a batch, got {reduction}."
            hint = "Use `reduction: sum_over_batch_size`, or `distribution: none`."
            yield valid.make_problem((*path, "reduction"), "bad-cluster", message, hint)


def find_group_differences(valid: ValidConfig) -> Iterator[Problem]:
    """Warn about layers and losses whose result in a group differs from that of one process."""
    assert runtime.cluster is not None
    size = runtime.cluster.size
    for path, loss in _iterate_losses(valid):
        if loss.type_name() in ("Dice", "Tversky"):
            message = (
                f"{loss.type_name()} is computed separately on each of {size} workers' share of a batch."
            )
            yield valid.make_problem(path, "differs-in-group", message, severity="warning")
    for node in valid.graph.nodes:
        name, layer = node.layer.type_name(), node.layer
        if name == "BatchNormalization":
            message = f"BatchNormalization computes its statistics separately on each of {size} workers' share of a batch."
            hint = "GroupNormalization or LayerNormalization do not depend on the batch."
        elif any(getattr(layer, rate, 0) for rate in ("rate", "dropout", "recurrent_dropout", "stddev")):
            message = f"{name} draws different random numbers with {size} workers than with one."
            hint = None
        else:
            continue
        yield valid.make_problem(node.path, "differs-in-group", message, hint, "warning")

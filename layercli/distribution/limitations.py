"""What a group of processes computes in another way than one process, and what it cannot compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from layercli import runtime
from layercli.check import ValidConfig
from layercli.errors import Problem
from layercli.schema.component import Component
from layercli.source.nodes import KeyPath

_MEAN_REDUCTIONS: Final = ("sum_over_batch_size", "mean", None)


def _iterate_losses(valid: ValidConfig) -> Iterator[tuple[KeyPath, Component]]:
    assert valid.config.train is not None
    loss = valid.config.train.loss
    losses = loss.items() if isinstance(loss, dict) else [(None, loss)]
    for output, each in losses:
        if isinstance(each, Component):
            yield ("train", "loss") if output is None else ("train", "loss", output), each


def find_unshared_losses(valid: ValidConfig) -> Iterator[Problem]:
    """Losses that are no means over examples: those of shares do not make that of the whole batch."""
    for path, loss in _iterate_losses(valid):
        reduction = getattr(loss, "reduction", None)
        if reduction not in _MEAN_REDUCTIONS:
            message = f"Several workers share batches, for which a loss must be a mean; this one has `reduction: {reduction}`."
            hint = "Write `reduction: sum_over_batch_size`, or `distribution: none`."
            yield valid.make_problem((*path, "reduction"), "bad-cluster", message, hint)


def find_group_differences(valid: ValidConfig) -> Iterator[Problem]:
    """Warnings: what makes the result of a group differ from that of one process."""
    assert runtime.cluster is not None
    size = runtime.cluster.size
    for path, loss in _iterate_losses(valid):
        if loss.type_name() in ("Dice", "Tversky"):
            message = (
                f"{loss.type_name()} is computed over each of {size} workers' share of a batch by itself."
            )
            yield valid.make_problem(path, "differs-in-group", message, severity="warning")
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
        yield valid.make_problem(node.path, "differs-in-group", message, hint, "warning")

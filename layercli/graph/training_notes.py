"""Plain sentences on how a training ended, from its history."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from layercli.config.training.section import TrainSection

_FAR_ABOVE: Final = 4.0
"""The ratio of losses that is far above: errors of twice the size, for a squared error. The training loss is the mean of
an epoch in which the weights still improve, often with dropout, so that the validation loss is lower at first."""
_EXPLODED: Final = 10.0
"""The ratio to the highest training loss of all epochs, which overfitting hardly reaches."""
_OVERFIT_RISE: Final = 1.1
"""The ratio to the lowest validation loss; losses of successive epochs often differ by a few percent."""
_OVERFIT_EPOCHS: Final = 2
"""The number of last epochs that must all show overfitting."""
_SLOW_EPOCHS: Final = 4
"""The smallest number of epochs after the best one that show a slow rise of the validation loss."""
_SLOW_RISE: Final = 1.02
_STEADY_SHARE: Final = 0.75
"""The smallest share of epochs in which the validation loss rises."""
_SMALLEST_GAP: Final = 0.05
"""The smallest difference of crossentropies that matters: 5 percent in the probability of the true class."""


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """Why EarlyStopping stopped a training; epochs count from 1."""

    epoch: int
    """The last epoch."""
    best_epoch: int
    best: float
    monitor: str
    min_delta: float = 0.0
    missed_baseline: float | None = None
    """The baseline, if no epoch was better."""


@dataclass(frozen=True, slots=True)
class LimitStop:
    """The step at which `train.until` ended a training."""

    epochs: int
    """Finished epochs."""
    step: int
    """Steps of the next epoch."""
    steps_per_epoch: int


def describe_training(
    history: Mapping[str, Sequence[float]],
    train: TrainSection,
    *,
    split_sizes: tuple[int, int, int],
    best: Mapping[str, Any],
    restored_epoch: int | None = None,
    early_stop: EarlyStop | None = None,
    limit_stop: LimitStop | None = None,
    stage_epochs: Mapping[int, int] | None = None,
) -> list[str]:
    """Return sentences on how the training ended and how its model does on examples that it was not trained on.

    Args:
        history: The values of each metric over the epochs.
        train: The ``train`` section.
        split_sizes: The numbers of training, validation and test examples.
        best: The best epoch's number and metrics, and its monitor.
        restored_epoch: The epoch whose weights the model has; None for the last one.
        early_stop: Why EarlyStopping stopped the training, if it did.
        limit_stop: Where `until` ended the training, if it did.
        stage_epochs: The number of epochs of each stage, counted from 1.
    """
    notes = [*_describe_short_stages(train, stage_epochs or {})]
    if early_stop is not None:
        notes.append(_describe_early_stop(early_stop))
    if limit_stop is not None:
        notes.append(_describe_limit_stop(limit_stop, train))
    else:
        notes += _describe_first_epoch(history, train, best, restored_epoch)
    notes += _describe_held_out(split_sizes)
    notes += _compare_losses(history, train, restored_epoch)
    return notes


def describe_training_end(
    epochs: int,
    train: TrainSection,
    early_stop: EarlyStop | None,
    limit_stop: LimitStop | None = None,
    stage_epochs: Mapping[int, int] | None = None,
) -> str:
    """Return why the training ended after this number of epochs."""
    if limit_stop is not None:
        return _describe_limit_stop(limit_stop, train)
    if early_stop is not None:
        return _describe_early_stop(early_stop)
    if train.stages is not None and (stage_epochs or {}).get(len(train.stages)) == train.stages[-1].epochs:
        stages = "its stage is" if len(train.stages) == 1 else f"all {len(train.stages)} stages are"
        return f"The training ended because {stages} done, after {epochs} {'epoch' if epochs == 1 else 'epochs'}."
    if epochs == 1:
        return _describe_single_epoch(train)
    if epochs >= train.epochs:
        return f"The training ended because all {epochs} epochs are done."
    return f"A callback stopped the training after epoch {epochs} of {train.epochs}."


def count_stage_epochs(records: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Return the number of epochs of each stage in a history, counted from 1; empty without stages."""
    return dict(Counter(record["stage"] for record in records if type(record.get("stage")) is int))


def _describe_short_stages(train: TrainSection, stage_epochs: Mapping[int, int]) -> Iterator[str]:
    """Yield a sentence for each stage but the last one that a callback ended before its last epoch."""
    for number, stage in enumerate(train.stages or (), start=1):
        epochs = stage_epochs.get(number, stage.epochs)
        if epochs < stage.epochs and number < max(stage_epochs):
            yield f"Stage {number} ended after {epochs} of its {stage.epochs} epochs."


def _describe_limit_stop(stop: LimitStop, train: TrainSection) -> str:
    steps = stop.epochs * stop.steps_per_epoch + stop.step
    where = (
        f"in epoch {stop.epochs + 1} of {train.epochs}, after step {stop.step:,} of {stop.steps_per_epoch:,}"
        if stop.step
        else f"after epoch {stop.epochs} of {train.epochs}"
    )
    return f"`until` ended the training {where} ({steps:,} {'step' if steps == 1 else 'steps'} in total)."


def _describe_single_epoch(train: TrainSection) -> str:
    reason = "since `epochs` is 1" if train.epochs == 1 else f"although `epochs` is {train.epochs}"
    return f"The training ended after its first epoch, {reason}. Most models need more epochs."


def _describe_early_stop(stop: EarlyStop) -> str:
    start = f"EarlyStopping stopped the training after epoch {stop.epoch}: `{stop.monitor}`"
    if not math.isfinite(stop.best):
        return f"{start} was not a finite number in any epoch."
    if stop.missed_baseline is not None:
        return (
            f"{start} was not better than `baseline` {stop.missed_baseline:g} in any epoch; "
            f"the best value was {stop.best:.4g}, in epoch {stop.best_epoch}."
        )
    count = stop.epoch - stop.best_epoch
    epochs = "1 epoch" if count == 1 else f"{count} epochs"
    delta = f" by more than {stop.min_delta:g}" if stop.min_delta else ""
    return f"{start} had not improved{delta} for {epochs}, since epoch {stop.best_epoch} ({stop.best:.4g})."


def _describe_first_epoch(
    history: Mapping[str, Sequence[float]],
    train: TrainSection,
    best: Mapping[str, Any],
    restored_epoch: int | None,
) -> Iterator[str]:
    epochs = max(map(len, history.values()), default=0)
    if epochs == 1:
        yield _describe_single_epoch(train)
    elif best.get("epoch") == 1 and epochs > _OVERFIT_EPOCHS:
        saved = ", and the saved model has its weights" if restored_epoch == 1 else ""
        yield (
            f"The first epoch was the best by `{best['monitor']}`{saved}: more epochs did not improve the model. "
            "Lower the learning rate, and check that the validation examples resemble the training examples."
        )


def _describe_held_out(split_sizes: tuple[int, int, int]) -> Iterator[str]:
    _, validation, test = split_sizes
    if validation:
        return
    if test:
        yield (
            "There is no validation set, so the training does not show when overfitting starts. "
            "Add `validation: 0.1` to `data.split`."
        )
    else:
        yield (
            "No examples are held out, so no metric shows how well the model predicts new examples. "
            "Add `split: {validation: 0.1}` to `data`."
        )


def _compare_losses(
    history: Mapping[str, Sequence[float]], train: TrainSection, restored_epoch: int | None
) -> Iterator[str]:
    """Yield overfitting, or a validation loss that is far above the training loss."""
    losses, validation = history.get("loss", ()), history.get("val_loss", ())
    if not losses or len(losses) != len(validation) or not all(map(_is_usable, (*losses, *validation))):
        return
    smallest_gap = _find_smallest_gap(train)
    epoch = restored_epoch or len(losses)
    loss, val_loss = losses[epoch - 1], validation[epoch - 1]
    pair = f"The validation loss ({val_loss:.4g}) is far above the training loss ({loss:.4g})"
    if val_loss > _EXPLODED * max(losses) and val_loss - loss >= smallest_gap:
        yield (
            f"{pair} of every epoch, so the validation examples differ from the training examples. "
            "Check the columns with `layercli inspect-data`."
        )
        return
    start = find_overfitting(history, train)
    if start is not None:
        yield (
            f"Overfitting since epoch {start}: from there to epoch {len(losses)} the training loss fell from "
            f"{losses[start - 1]:.4g} to {losses[-1]:.4g}, and the validation loss rose from "
            f"{validation[start - 1]:.4g} to {validation[-1]:.4g}."
        )
    elif (start := _find_slow_rise(losses, validation)) is not None:
        yield (
            f"Overfitting may start at epoch {start}: from there to epoch {len(losses)} the validation loss rose from "
            f"{validation[start - 1]:.4g} to {validation[-1]:.4g}, while the training loss fell from {losses[start - 1]:.4g} "
            f"to {losses[-1]:.4g}."
        )
    elif val_loss > _FAR_ABOVE * loss and val_loss - loss >= smallest_gap:
        yield f"{pair}: the model fits the training examples much better than new ones."


def find_overfitting(history: Mapping[str, Sequence[float]], train: TrainSection) -> int | None:
    """Return the epoch after which the validation loss rose while the training loss fell, or None."""
    losses, validation = history.get("loss", ()), history.get("val_loss", ())
    if not losses or len(losses) != len(validation) or not all(map(_is_usable, (*losses, *validation))):
        return None
    smallest_gap = _find_smallest_gap(train)
    best = min(range(len(validation)), key=validation.__getitem__)
    later = validation[best + 1 :]
    if len(later) < _OVERFIT_EPOCHS or losses[-1] >= losses[best]:
        return None
    rise = min(later[-_OVERFIT_EPOCHS:])
    is_clear = rise >= _OVERFIT_RISE * validation[best] and rise - validation[best] >= smallest_gap
    return best + 1 if is_clear else None


def _find_slow_rise(losses: Sequence[float], validation: Sequence[float]) -> int | None:
    """Return the epoch after which the validation loss rose a little in most epochs while the training loss fell, or None."""
    best = min(range(len(validation)), key=validation.__getitem__)
    later = validation[best:]
    steps = [after - before for before, after in pairwise(later)]
    if len(steps) < _SLOW_EPOCHS or losses[-1] >= losses[best]:
        return None
    is_steady = sum(step > 0 for step in steps) >= _STEADY_SHARE * len(steps)
    is_higher = min(later[-_SLOW_EPOCHS // 2 :]) >= _SLOW_RISE * validation[best]
    return best + 1 if is_steady and is_higher else None


def _is_usable(loss: object) -> bool:
    """Return whether ratios of the loss have a meaning: it is finite and not negative."""
    return isinstance(loss, (int, float)) and math.isfinite(loss) and loss >= 0


def _find_smallest_gap(train: TrainSection) -> float:
    """Return the smallest difference of losses that matters."""
    return _SMALLEST_GAP if _is_crossentropy(train) else 0.0


def _is_crossentropy(train: TrainSection) -> bool:
    """Return whether all losses are crossentropies, whose size does not depend on the unit of the targets."""
    losses = train.loss.values() if isinstance(train.loss, dict) else [train.loss]
    names = [loss if isinstance(loss, str) else loss.type_name() for loss in losses]
    return all("crossentropy" in name.replace("_", "").lower() for name in names)

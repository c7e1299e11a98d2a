"""Check that a learning-rate schedule is as long as the training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from layercli.config.config import Config
from layercli.config.data.section import DataFacts, SplitConfig
from layercli.config.training.schedules import CosineDecay, PolynomialDecay
from layercli.graph.finding import Finding

_SMALLEST_SHARE: Final = 0.1
"""The smallest share of the steps without learning that is reported; folds and seeds have slightly different numbers."""


def check_schedule_length(config: Config, facts: DataFacts | None) -> Iterator[Finding]:
    """Yield a finding if the learning rate is 0 long before the training ends, so that the last epochs learn nothing."""
    train, data = config.train, config.data
    if train is None or data is None or facts is None or train.stages is not None:
        return
    schedule = getattr(train.optimizer, "learning_rate", None)
    examples = _count_training_examples(data.split, facts.samples)
    if examples is None or not isinstance(train.batch_size, int):
        return
    if isinstance(schedule, CosineDecay) and schedule.alpha == 0:
        warmup = schedule.warmup_steps if schedule.warmup_target is not None else 0
    elif isinstance(schedule, PolynomialDecay) and schedule.end_learning_rate == 0 and not schedule.cycle:
        warmup = 0
    else:
        return
    steps_per_epoch = -(-examples // train.batch_size)
    steps, end = train.epochs * steps_per_epoch, warmup + schedule.decay_steps
    first_idle_epoch = -(-end // steps_per_epoch) + 1
    if steps - end >= _SMALLEST_SHARE * steps and first_idle_epoch <= train.epochs:
        yield Finding(
            code="idle-epochs",
            message=f"The learning rate is 0 from epoch {first_idle_epoch} of {train.epochs} on, so the model learns nothing "
            f"there: `decay_steps` is {schedule.decay_steps}, but the training has {steps:,} steps.",
            path=("train", "optimizer", "learning_rate", "decay_steps"),
            hint=f"Set `decay_steps: {steps - warmup}`; an epoch has {steps_per_epoch:,} steps.",
            severity="warning",
        )


def _count_training_examples(split: SplitConfig, samples: int) -> int | None:
    """Return about how many examples are in the training set; None if only the data says it."""
    if split.column is not None or split.own_files:
        return None
    outside_fold = samples if split.fold is None else round(samples * (1 - 1 / split.fold.folds))
    return max(1, split.counts(outside_fold)[0])

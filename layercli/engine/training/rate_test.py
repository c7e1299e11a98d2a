"""A learning-rate range test: steps of a training whose rate rises from one to the next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import keras

from layercli.activity import track_items
from layercli.check import ValidConfig
from layercli.config.training.custom_objects import CustomObject
from layercli.config.training.registry import OPTIMIZERS
from layercli.config.training.section import TrainSection
from layercli.data.examples import ShuffleSeed, Splits
from layercli.engine.adapt import adapt_layers
from layercli.engine.assemble import AssembledModel
from layercli.engine.training.execution_plan import ExecutionPlan
from layercli.engine.training.feed import Feed, Span, Tensors, count_steps, make_feed
from layercli.engine.training.fit import find_shuffle_seed, report_model_errors
from layercli.engine.training.loop import TrainingLoop
from layercli.engine.training.paired_augmentation import make_training_step
from layercli.engine.training.stages import StageLayers, compile_stage
from layercli.engine.unknown_ids import check_computed_ids
from layercli.errors import LayercliError
from layercli.graph.rate_proposal import LossSmoother, RateCurve, is_diverged
from layercli.schema.field_types import NameOrComponent

_FIRST_STAGE: Final = 0


def run_rate_test(
    assembled: AssembledModel,
    valid: ValidConfig,
    train: TrainSection,
    splits: Splits,
    plan: ExecutionPlan,
    rates: Sequence[float],
) -> RateCurve:
    """Train one step with each rate, until the loss diverges. Return the losses.

    The steps are those of a training: the same order of examples, weights and frozen layers, in the first stage.

    Args:
        assembled: The model, whose weights change.
        valid: The config.
        train: Its section.
        splits: The examples.
        plan: How the steps are executed.
        rates: The rate of each step.

    Raises:
        LayercliError: The model refuses the data, or the optimizer has no learning rate that can be set.
    """
    with report_model_errors(valid, assembled):
        adapt_layers(assembled, valid, splits.train)
        check_computed_ids(assembled, valid, splits)
        declared, path = train.optimizer_in_stage(_FIRST_STAGE)
        optimizer = with_constant_rate(declared, rates[0])
        stages = None if train.stages is None else [_without_optimizer(stage) for stage in train.stages]
        tested = train.model_copy(update={"optimizer": optimizer, "stages": stages})
        layers = StageLayers(assembled.layers, tested, valid)
        model = assembled.model
        compile_stage(model, tested, valid, layers, _FIRST_STAGE)
        layers.freeze_stage(_FIRST_STAGE)
        if isinstance(model.optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            message = "The custom optimizer sets a schedule itself, so the learning rate cannot be changed."
            hint = "Pass the schedule as `learning_rate` in the config, or test with `--set train.optimizer=Adam`."
            raise LayercliError(valid.make_problem(path, "custom-object", message, hint))
        feed = make_feed(splits.train, train.batch_size, stream=plan.feed == "stream")
        shuffle_seed = find_shuffle_seed(valid)
        loop = TrainingLoop(
            model,
            feed,
            max_steps_per_call=1,
            seed=shuffle_seed,
            train_step=make_training_step(assembled, valid, splits.train),
        )
        return _run_steps(model, loop, _iterate_blocks(feed, shuffle_seed), rates)


def with_constant_rate(optimizer: NameOrComponent, rate: float) -> NameOrComponent:
    """Return an optimizer of the catalogue with a number in place of its learning rate or schedule; a custom one unchanged."""
    component = OPTIMIZERS.parse(optimizer) if isinstance(optimizer, str) else optimizer
    return component if isinstance(component, CustomObject) else component.with_arguments(learning_rate=rate)


def _without_optimizer(stage: Any) -> Any:
    return stage.model_copy(update={"optimizer": None})


def _iterate_blocks(feed: Feed, seed: int | None) -> Iterator[Tensors]:
    """Yield the batches of one epoch after the other, without end."""
    spans = [Span(step, step + 1) for step in range(count_steps(feed))]
    epoch = 0
    while True:
        yield from feed.blocks(spans, None if seed is None else ShuffleSeed(seed, epoch))
        epoch += 1


def _run_steps(
    model: Any, loop: TrainingLoop, blocks: Iterator[Tensors], rates: Sequence[float]
) -> RateCurve:
    losses: list[float] = []
    smoothed: list[float] = []
    smoother, lowest = LossSmoother(), math.inf
    for rate, block in track_items(zip(rates, blocks, strict=False), len(rates)):
        model.optimizer.learning_rate = rate
        model.reset_metrics()  # the loss of this batch only
        losses.append(float(loop.run_block(block)["loss"]))
        smoothed.append(smoother.add(losses[-1]))
        lowest = min(lowest, smoothed[-1]) if math.isfinite(smoothed[-1]) else lowest
        if is_diverged(smoothed[-1], lowest):
            break
    return RateCurve(rates[: len(losses)], losses, smoothed, len(rates))

"""The training loop: like Keras's ``fit``, but in blocks of steps and from any start position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import keras

from layercli.activity import show_activity, track_items
from layercli.data.examples import ShuffleSeed
from layercli.engine.training.feed import Feed, Span, Tensors, count_steps
from layercli.engine.training.fused_steps import FusedSteps, StepFunction
from layercli.engine.training.multi_worker import Workers


class Position(NamedTuple):
    """The progress of a training: complete epochs, and steps of the next one."""

    epoch: int
    step: int


TRAINING_START: Final = Position(0, 0)


class Evaluator:
    """Evaluates a compiled model in blocks of ``max_steps_per_call`` steps; ``step`` replaces its ``test_step``.

    Feeds of at most ``max_eager_steps`` steps are evaluated without tracing a graph.
    """

    def __init__(
        self,
        model: Any,
        *,
        max_steps_per_call: int,
        workers: Workers | None = None,
        step: StepFunction | None = None,
        max_eager_steps: int = 0,
    ) -> None:
        self._model = model
        self._step = step or model.test_step
        self._max_eager_steps = max_eager_steps
        self._max_steps_per_call = max_steps_per_call
        self._workers = workers
        self._test_steps: FusedSteps | None = None

    def evaluate(self, feed: Feed, callbacks: Any = None) -> dict[str, Any]:
        """Return the loss and metrics over a feed; the values equal those of Keras's ``evaluate``."""
        model = self._model
        if self._test_steps is None:
            is_eager = count_steps(feed) <= self._max_eager_steps
            self._test_steps = FusedSteps(model, self._step, feed, workers=self._workers, is_eager=is_eager)
        callback_list = callbacks or keras.callbacks.CallbackList(model=model)
        spans = _split_spans(0, count_steps(feed), self._max_steps_per_call)
        callback_list.on_test_begin()
        model.reset_metrics()
        logs: Mapping[str, Any] = {}
        for span, block in track_items(zip(spans, feed.blocks(spans, None), strict=True), len(spans)):
            callback_list.on_test_batch_begin(span.first)
            logs = self._test_steps(block, feed)
            callback_list.on_test_batch_end(span.last - 1, logs)
        arrays = {name: keras.ops.convert_to_numpy(value) for name, value in logs.items()}
        result = {name: float(value) if value.ndim == 0 else value for name, value in arrays.items()}
        callback_list.on_test_end(result)
        return result


class TrainingLoop:
    """A compiled model and the feeds that it trains on.

    A block has at most ``max_steps_per_call`` steps and never crosses a multiple of ``checkpoint_every`` steps, counted
    from the first epoch, nor the step ``last_step``. ``seed`` shuffles the examples in each epoch; None: their order is
    unchanged. ``train_step`` replaces the model's own.
    """

    def __init__(
        self,
        model: Any,
        feed: Feed,
        *,
        max_steps_per_call: int,
        seed: int | None,
        validation: Feed | None = None,
        jit_compile: bool = False,
        checkpoint_every: int | None = None,
        last_step: int | None = None,
        workers: Workers | None = None,
        train_step: StepFunction | None = None,
    ) -> None:
        self._model = model
        self._feed = feed
        self._validation = validation
        self._max_steps_per_call = max_steps_per_call
        self._seed = seed
        self._checkpoint_every = checkpoint_every
        self._last_step = last_step
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._workers = workers
        if workers is not None:
            workers.attach_model(model)
        self._train_steps = FusedSteps(
            model,
            train_step or model.train_step,
            feed,
            jit_compile=jit_compile and workers is None,
            max_steps_per_call=max_steps_per_call,
            workers=workers,
        )
        self._evaluator = Evaluator(model, max_steps_per_call=max_steps_per_call, workers=workers)

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps in an epoch."""
        return count_steps(self._feed)

    def run(self, callbacks: Sequence[Any], *, epochs: int, start: Position = TRAINING_START) -> None:
        """Train from ``start`` to the end of epoch ``epochs``; calls each callback like Keras, but once per block."""
        model = self._model
        callback_list = keras.callbacks.CallbackList(
            list(callbacks),
            add_history=True,
            model=model,
            epochs=epochs,
            steps=count_steps(self._feed),
            verbose=0,
        )
        model.stop_training = False
        callback_list.on_train_begin()
        logs: dict[str, Any] = {}
        for epoch in range(start.epoch, epochs):
            model.reset_metrics()
            callback_list.on_epoch_begin(epoch)
            if self._workers is not None:
                self._workers.begin_epoch(model)
            is_over = model.stop_training  # a training that is finished without another step
            spans = [] if is_over else self._epoch_spans(epoch, start.step if epoch == start.epoch else 0)
            shuffle = None if self._seed is None else ShuffleSeed(self._seed, epoch)
            for span, block in zip(spans, self._feed.blocks(spans, shuffle), strict=True):
                callback_list.on_train_batch_begin(span.first)
                callback_list.on_train_batch_end(span.last - 1, self.run_block(block))
                if model.stop_training:
                    break
            logs = dict(
                model.get_metrics_result() if self._workers is None else self._workers.epoch_metrics(model)
            )
            if self._validation is not None:
                with show_activity("Validating"):
                    validation_logs = self.evaluate(self._validation, callback_list)
                logs |= {f"val_{name}": value for name, value in validation_logs.items()}
            callback_list.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        model.optimizer.finalize_variable_values(model.trainable_variables)
        callback_list.on_train_end(logs)

    def run_block(self, block: Tensors) -> Mapping[str, Any]:
        """Run the steps of a block; return the metrics since their last reset."""
        if self._workers is None:
            return self._train_steps(block, self._feed)
        return self._workers.run_block(lambda: self._train_steps(block, self._feed))

    def evaluate(self, feed: Feed, callbacks: Any = None) -> dict[str, Any]:
        """Return the loss and metrics over a feed."""
        return self._evaluator.evaluate(feed, callbacks)

    def _epoch_spans(self, epoch: int, first: int) -> list[Span]:
        return _split_spans(
            first,
            self.steps_per_epoch,
            self._max_steps_per_call,
            checkpoint_every=self._checkpoint_every,
            last_step=self._last_step,
            steps_before=epoch * self.steps_per_epoch,
        )


def _split_spans(
    first: int,
    last: int,
    max_steps: int,
    *,
    checkpoint_every: int | None = None,
    last_step: int | None = None,
    steps_before: int = 0,
) -> list[Span]:
    """Split steps into spans of at most ``max_steps`` that end at multiples of ``checkpoint_every`` and at ``last_step``.

    ``steps_before`` are the steps of earlier epochs; multiples and ``last_step`` count them.
    """
    spans = []
    while first < last:
        end = min(first + max_steps, last)
        if checkpoint_every is not None:
            end = min(
                end,
                (steps_before + first) // checkpoint_every * checkpoint_every
                + checkpoint_every
                - steps_before,
            )
        if last_step is not None and first < last_step - steps_before < end:
            end = last_step - steps_before
        spans.append(Span(first, end))
        first = end
    return spans

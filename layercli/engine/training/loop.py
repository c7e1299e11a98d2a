"""The epochs of a training, as Keras's own ``fit`` runs them, but in blocks of steps and from any step on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import keras

from layercli.data.subset import ShuffleSeed
from layercli.engine.training.feed import Feed, Span, Tensors, steps_of
from layercli.engine.training.fused_steps import Fused
from layercli.engine.training.multi_worker import Workers


class Position(NamedTuple):
    """What is done: whole epochs, and steps of the next one."""

    epoch: int
    step: int


BEGINNING: Final = Position(0, 0)


class Evaluation:
    """The loss and metrics of a compiled model over examples, ``most`` steps at a time."""

    def __init__(self, model: Any, *, most: int, workers: Workers | None = None) -> None:
        self._model = model
        self._most = most
        self._workers = workers
        self._test: Fused | None = None

    def over(self, feed: Feed, callbacks: Any = None) -> dict[str, Any]:
        """The loss and metrics over a part: the numbers of Keras's own ``evaluate``."""
        model = self._model
        if self._test is None:
            self._test = Fused(model, model.test_step, feed, workers=self._workers)
        listed = callbacks or keras.callbacks.CallbackList(model=model)
        spans = _divided(0, steps_of(feed), self._most)
        listed.on_test_begin()
        model.reset_metrics()
        logs: Mapping[str, Any] = {}
        for span, block in zip(spans, feed.blocks(spans, None), strict=True):
            listed.on_test_batch_begin(span.first)
            logs = self._test(block, feed)
            listed.on_test_batch_end(span.last - 1, logs)
        found = {name: keras.ops.convert_to_numpy(value) for name, value in logs.items()}
        result = {name: float(value) if value.ndim == 0 else value for name, value in found.items()}
        listed.on_test_end(result)
        return result


class Loop:
    """A compiled model, and what it learns from.

    ``most`` steps at most are a block; none reaches over a multiple of ``cut`` steps, counted from the first epoch.
    ``seed`` orders the examples anew each epoch; None: they come as they are.
    """

    def __init__(
        self,
        model: Any,
        feed: Feed,
        *,
        most: int,
        seed: int | None,
        validation: Feed | None = None,
        jit_compile: bool = False,
        cut: int | None = None,
        workers: Workers | None = None,
    ) -> None:
        self._model = model
        self._feed = feed
        self._validation = validation
        self._most = most
        self._seed = seed
        self._cut = cut
        model.optimizer.build(model.trainable_variables)
        self._workers = workers
        if workers is not None:
            workers.begin(model)
        self._train = Fused(
            model,
            model.train_step,
            feed,
            jit_compile=jit_compile and workers is None,
            most=most,
            workers=workers,
        )
        self._evaluation = Evaluation(model, most=most, workers=workers)

    @property
    def steps(self) -> int:
        """In an epoch."""
        return steps_of(self._feed)

    def run(self, callbacks: Sequence[Any], *, epochs: int, start: Position = BEGINNING) -> None:
        """Train up to ``epochs`` from ``start`` on; ``callbacks`` are called as Keras calls them, once a block."""
        model = self._model
        listed = keras.callbacks.CallbackList(
            list(callbacks),
            add_history=True,
            model=model,
            epochs=epochs,
            steps=steps_of(self._feed),
            verbose=0,
        )
        model.stop_training = False
        listed.on_train_begin()
        logs: dict[str, Any] = {}
        for epoch in range(start.epoch, epochs):
            model.reset_metrics()
            listed.on_epoch_begin(epoch)
            if self._workers is not None:
                self._workers.begin_epoch(model)
            spans = self._spans(epoch, start.step if epoch == start.epoch else 0)
            shuffle = None if self._seed is None else ShuffleSeed(self._seed, epoch)
            for span, block in zip(spans, self._feed.blocks(spans, shuffle), strict=True):
                listed.on_train_batch_begin(span.first)
                listed.on_train_batch_end(span.last - 1, self.step(block))
                if model.stop_training:
                    break
            logs = dict(model.get_metrics_result() if self._workers is None else self._workers.metrics(model))
            if self._validation is not None:
                found = self.evaluate(self._validation, listed)
                logs |= {f"val_{name}": value for name, value in found.items()}
            listed.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        model.optimizer.finalize_variable_values(model.trainable_variables)
        listed.on_train_end(logs)

    def step(self, block: Tensors) -> Mapping[str, Any]:
        """Take the steps of a block of the feed; the metrics since they were last reset."""
        if self._workers is None:
            return self._train(block, self._feed)
        return self._workers.block(lambda: self._train(block, self._feed))

    def evaluate(self, feed: Feed, callbacks: Any = None) -> dict[str, Any]:
        """The loss and metrics over a part."""
        return self._evaluation.over(feed, callbacks)

    def _spans(self, epoch: int, first: int) -> list[Span]:
        return _divided(first, self.steps, self._most, cut=self._cut, before=epoch * self.steps)


def _divided(first: int, last: int, most: int, *, cut: int | None = None, before: int = 0) -> list[Span]:
    """Steps in spans of ``most``, cut where ``before`` and the steps up to there are a multiple of ``cut``."""
    spans = []
    while first < last:
        end = min(first + most, last)
        if cut is not None:
            end = min(end, (before + first) // cut * cut + cut - before)
        spans.append(Span(first, end))
        first = end
    return spans

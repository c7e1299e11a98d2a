"""Many steps as one call: a graph that loops over the batches of a block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import tensorflow as tf

from layercli.engine.training.feed import Feed, Tensors
from layercli.engine.training.multi_worker import Workers

Step: TypeAlias = Callable[[Any], Any]
"""One step on a batch, such as a model's own ``train_step``; what it returns is not looked at."""


class Fused:
    """Runs ``step`` on each batch of a block, one after the other, as Keras would one at a time.

    One graph serves every block of every feed of the same kind, whatever its number of batches and the size of the
    last. With ``jit_compile``, XLA compiles the loop over up to ``most`` full batches, and a smaller last batch alone
    goes the other way: XLA would compile again for its size.
    """

    def __init__(
        self,
        model: Any,
        step: Step,
        feed: Feed,
        *,
        jit_compile: bool = False,
        most: int = 1,
        workers: Workers | None = None,
    ) -> None:
        self._model = model
        self._step = step
        self._feed = feed
        self._size = feed.batch_size
        self._most = most
        self._workers = workers
        self._compiled = None
        self._any: Callable[[Tensors, Tensors], Any] | None = None
        if jit_compile and feed.samples >= feed.batch_size:
            self._compiled = self._traced(self._full_batches, tf.TensorSpec((), tf.int32), jit_compile=True)
        else:
            self._any = self._traced(self._batches)

    def __call__(self, block: Tensors, feed: Feed) -> Mapping[str, Any]:
        """The metrics after the last step of the block."""
        examples = int(block[0].shape[0])
        logs: Mapping[str, Any] = {}
        full = examples // self._size if self._compiled is not None else 0
        if self._compiled is not None and full:
            logs = self._compiled(tf.constant(full), self._padded(block, full), feed.fixed)
        if full * self._size < examples:
            if self._any is None:
                self._any = self._traced(self._batches)
            logs = self._any(tuple(rows[full * self._size :] for rows in block), feed.fixed)
        return logs

    def _traced(self, function: Any, *first: Any, jit_compile: bool = False) -> Any:
        """The function as a graph; making it makes the variables of the metrics."""
        if self._model.run_eagerly:
            return function
        rows = self._feed.rows
        if jit_compile:
            rows = tuple(tf.TensorSpec((self._most * self._size, *row.shape[1:]), row.dtype) for row in rows)
        fixed = tuple(tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in self._feed.fixed)
        graph = tf.function(
            function, autograph=False, jit_compile=jit_compile, input_signature=[*first, rows, fixed]
        )
        return graph.get_concrete_function() and graph

    def _padded(self, block: Tensors, full: int) -> Tensors:
        """The full batches of a block, and nothing up to the size that was compiled."""
        missing = (self._most - full) * self._size
        return tuple(
            tf.pad(rows[: full * self._size], [(0, missing), *((0, 0) for _ in rows.shape[1:])])
            for rows in block
        )

    def _batches(self, block: Tensors, fixed: Tensors) -> Any:
        examples = tf.shape(block[0], out_type=tf.int64)[0]

        def body(first: Any) -> tuple[Any]:
            self._take(tuple(rows[first : first + self._size] for rows in block), fixed)
            return (first + self._size,)

        start = (tf.constant(0, tf.int64),)
        tf.while_loop(lambda first: first < examples, body, start, parallel_iterations=1)
        return self._workers.results(self._model) if self._workers else self._model.get_metrics_result()

    def _full_batches(self, count: Any, block: Tensors, fixed: Tensors) -> Any:
        batches = [tf.reshape(rows, (self._most, self._size, *rows.shape[1:])) for rows in block]

        def body(index: Any) -> tuple[Any]:
            self._take(tuple(rows[index] for rows in batches), fixed)
            return (index + 1,)

        tf.while_loop(lambda index: index < count, body, (tf.constant(0),), parallel_iterations=1)
        return self._model.get_metrics_result()

    def _take(self, rows: Tensors, fixed: Tensors) -> None:
        if self._workers is None:
            self._step(self._data(rows, fixed))
        else:
            rows, whole = self._workers.share(rows)
            self._workers.step(self._model, self._step, self._data(rows, fixed), rows, whole)

    def _data(self, rows: Tensors, fixed: Tensors) -> Any:
        tensors = self._feed.batch(rows, fixed)
        return tf.nest.pack_sequence_as(self._feed.structure, list(tensors))

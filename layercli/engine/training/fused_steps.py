"""Run many steps in one call: a graph that loops over the batches of a block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, TypeAlias

import keras
import tensorflow as tf
from keras.src.backend import compute_output_spec  # not public

from layercli.activity import show_activity
from layercli.engine.training.feed import Feed, Tensors
from layercli.engine.training.multi_worker import Workers
from layercli.engine.training.xla_convolution import use_products
from layercli.engine.training.xla_dropout import use_equal_dropout

StepFunction: TypeAlias = Callable[[Any], Any]
"""One step on a batch, such as a model's ``train_step``; its result is ignored."""


class FusedSteps:
    """Runs ``step`` on each batch of a block in order, with the same result as separate Keras steps.

    One graph serves all blocks of all feeds of the same kind, for any number of batches and size of the last one. With
    ``jit_compile``, XLA compiles the loop over up to ``max_steps_per_call`` full batches; a smaller last batch runs
    without XLA, which would compile again for its size.
    """

    def __init__(
        self,
        model: Any,
        step: StepFunction,
        feed: Feed,
        *,
        jit_compile: bool = False,
        max_steps_per_call: int = 1,
        workers: Workers | None = None,
        is_eager: bool = False,
    ) -> None:
        self._model = model
        self._is_eager = is_eager or model.run_eagerly
        self._step = step
        self._feed = feed
        self._batch_size = feed.batch_size
        self._max_steps_per_call = max_steps_per_call
        self._workers = workers
        self._run_compiled = None
        self._run_any: Callable[[Tensors, Tensors], Any] | None = None
        if jit_compile and feed.samples >= feed.batch_size:
            self._run_compiled = self._trace_steps(
                self._run_full_batches, tf.TensorSpec((), tf.int32), jit_compile=True
            )
        else:
            self._run_any = self._trace_steps(self._run_batches)

    def __call__(self, block: Tensors, feed: Feed) -> Mapping[str, Any]:
        """Run the steps of a block; return the metrics after the last one."""
        examples = int(block[0].shape[0])
        logs: Mapping[str, Any] = {}
        full_batches = examples // self._batch_size if self._run_compiled is not None else 0
        if self._run_compiled is not None and full_batches:
            logs = self._run_compiled(
                tf.constant(full_batches), self._pad_block(block, full_batches), feed.shared_tensors
            )
        if full_batches * self._batch_size < examples:
            if self._run_any is None:
                self._run_any = self._trace_steps(self._run_batches)
            logs = self._run_any(
                tuple(rows[full_batches * self._batch_size :] for rows in block), feed.shared_tensors
            )
        return logs

    @show_activity("Compiling")
    def _trace_steps(self, function: Any, *extra_specs: Any, jit_compile: bool = False) -> Any:
        """Return the function as a graph."""
        if self._is_eager:
            return function
        rows = self._feed.block_spec
        if jit_compile:
            rows = tuple(
                tf.TensorSpec((self._max_steps_per_call * self._batch_size, *row.shape[1:]), row.dtype)
                for row in rows
            )
        shared_tensors = tuple(
            tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in self._feed.shared_tensors
        )
        if self._workers is None:
            self._create_metrics(shared_tensors)
        graph = tf.function(
            function,
            autograph=False,
            jit_compile=jit_compile,
            input_signature=[*extra_specs, rows, shared_tensors],
        )
        with ExitStack() as replacements:
            if jit_compile:
                replacements.enter_context(use_equal_dropout())
            if jit_compile and not tf.config.list_physical_devices("GPU"):
                replacements.enter_context(use_products())
            return graph.get_concrete_function() and graph

    def _create_metrics(self, shared_tensors: Tensors) -> None:
        """Create the variables of the losses and metrics: TensorFlow traces a function twice if it creates some."""
        model, metrics = self._model, self._model._compile_metrics
        parts = [part for part in (model._compile_loss, metrics) if part is not None]
        if all(part.built for part in parts):
            return
        with suppress(Exception):  # the trace of a step reports it
            targets, outputs, *weights = self._find_metric_arguments(shared_tensors)
            for part in parts:
                part.build(targets, outputs)
            if metrics is not None and any(map(_creates_variables_late, metrics.metrics)):
                compute_output_spec(metrics.update_state, targets, outputs, *weights)

    def _find_metric_arguments(self, shared_tensors: Tensors) -> Any:
        """Return symbolic targets, outputs and, if there are any, weights of a batch."""
        model = self._model
        # Keras declares vectors of texts with an axis that they do not have.
        has_texts = any(isinstance(each, keras.layers.TextVectorization) for each in model._flatten_layers())

        def find_arguments(rows: Tensors, shared: Tensors) -> Any:
            inputs, *others = self._make_batch(rows, shared)
            return [*others, model(inputs) if has_texts else []]

        trace = tf.function(find_arguments, autograph=False)
        targets, *weights, outputs = keras.tree.map_structure(
            lambda tensor: keras.KerasTensor(tensor.shape, tensor.dtype.name),
            trace.get_concrete_function(self._feed.block_spec, shared_tensors).structured_outputs,
        )
        if not has_texts:
            outputs = model.outputs if len(model.outputs) > 1 else model.outputs[0]
        return targets, outputs, *weights

    def _pad_block(self, block: Tensors, full_batches: int) -> Tensors:
        """Return the full batches of a block, padded with zeros to the compiled size."""
        missing = (self._max_steps_per_call - full_batches) * self._batch_size
        return tuple(
            tf.pad(rows[: full_batches * self._batch_size], [(0, missing), *((0, 0) for _ in rows.shape[1:])])
            for rows in block
        )

    def _run_batches(self, block: Tensors, shared_tensors: Tensors) -> Any:
        examples = tf.shape(block[0], out_type=tf.int64)[0]

        def body(first: Any) -> tuple[Any]:
            self._run_step(tuple(rows[first : first + self._batch_size] for rows in block), shared_tensors)
            return (first + self._batch_size,)

        start = (tf.constant(0, tf.int64),)
        tf.while_loop(lambda first: first < examples, body, start, parallel_iterations=1)
        return (
            self._workers.reduce_metrics(self._model) if self._workers else self._model.get_metrics_result()
        )

    def _run_full_batches(self, count: Any, block: Tensors, shared_tensors: Tensors) -> Any:
        batches = [
            tf.reshape(rows, (self._max_steps_per_call, self._batch_size, *rows.shape[1:])) for rows in block
        ]

        def body(index: Any) -> tuple[Any]:
            self._run_step(tuple(rows[index] for rows in batches), shared_tensors)
            return (index + 1,)

        tf.while_loop(lambda index: index < count, body, (tf.constant(0),), parallel_iterations=1)
        return self._model.get_metrics_result()

    def _run_step(self, rows: Tensors, shared_tensors: Tensors) -> None:
        if self._workers is None:
            self._step(self._make_batch(rows, shared_tensors))
        else:
            rows, is_replicated = self._workers.take_share(rows)
            self._workers.run_step(
                self._model, self._step, self._make_batch(rows, shared_tensors), rows, is_replicated
            )

    def _make_batch(self, rows: Tensors, shared_tensors: Tensors) -> Any:
        tensors = self._feed.make_batch(rows, shared_tensors)
        return tf.nest.pack_sequence_as(self._feed.structure, list(tensors))


def _creates_variables_late(metric: Any) -> bool:
    """Return whether a metric may create variables when it sees the first batch; of Keras's own, few do."""
    return not getattr(metric, "_built", type(metric).__module__.startswith("keras."))

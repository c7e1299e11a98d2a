"""Train one model in several processes: each computes its share of every batch, and all apply the same update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from layercli import runtime
from layercli.engine.keras_errors import summarize_error
from layercli.engine.training.feed import Tensors
from layercli.errors import LayercliError, Problem

_SUMMABLE_DTYPES = frozenset({"float16", "bfloat16", "float32", "float64", "int32", "int64"})
"""Dtypes that can be summed over processes; other integers are sent as int64."""
_CONDITIONS = 2
"""Conditions that all processes share: a stop request and a time limit."""
_strategy: Any = None


def connect_workers() -> None:
    """Connect to the other processes of ``runtime.cluster``; must run before any other TensorFlow call.

    Raises:
        LayercliError: the port is in use, or the other processes cannot be reached.
    """
    global _strategy
    if runtime.cluster is not None and _strategy is None:
        # A peer that does not answer for 15 s is lost, for example after a network failure; TensorFlow's default is a minute.
        from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended

        CollectiveAllReduceExtended._check_health_interval = 5
        CollectiveAllReduceExtended._check_health_timeout = 5
        try:
            _strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except tf.errors.OpError as error:
            message = f"Cannot connect to the cluster in TF_CONFIG: {summarize_error(error)}"
            hint = "Check that the port of this process is free, and that the other processes are running and reachable."
            raise LayercliError(Problem(code="bad-cluster", message=message, hint=hint)) from error


def is_lost_peer(error: BaseException) -> bool:
    """Return whether an error means that a peer process is lost, not that the model is wrong."""
    lost_peer_errors = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.InternalError,
        tf.errors.FailedPreconditionError,
        tf.errors.DeadlineExceededError,
        tf.errors.UnknownError,
    )
    return isinstance(error, lost_peer_errors)


class Workers:
    """A group of ``size`` processes; this one has the number ``rank``.

    Each process has the whole model as ordinary variables. Gradients, weighted by their numbers of examples, are summed
    before the optimizer applies them. So clipping, decay, averages and accumulation work as in a single process, and all
    variables stay equal. Metrics are sums over examples; the first process keeps the totals.
    """

    def __init__(self) -> None:
        assert runtime.cluster is not None
        assert _strategy is not None
        self.rank, self.size = runtime.cluster.rank, runtime.cluster.size
        self._local_examples: Any = None
        self._averaged_variables: list[Any] = []
        self._reduce_function: Any = None
        self._conditions: list[Callable[[], bool]] = [bool] * _CONDITIONS
        self._local_conditions = tf.Variable([0.0] * _CONDITIONS, trainable=False)
        self._condition_counts = tf.Variable([0.0] * _CONDITIONS, trainable=False)
        self._are_met = [False] * _CONDITIONS
        """Whether a process reported each condition; equal in all processes, and updated between two blocks."""

    def sum_tensors(self, tensors: Sequence[Any]) -> list[Any]:
        """Return each tensor summed over the processes, with one message per dtype."""
        summed: dict[int, Any] = {}
        by_dtype: dict[str, list[int]] = {}
        for index, tensor in enumerate(tensors):
            by_dtype.setdefault(tensor.dtype.name, []).append(index)
        for dtype, indices in by_dtype.items():
            flat = tf.concat([tf.reshape(tensors[index], (-1,)) for index in indices], 0)
            total = _all_reduce(flat if dtype in _SUMMABLE_DTYPES else tf.cast(flat, tf.int64))
            sizes = [tf.size(tensors[index]) for index in indices]
            for index, part in zip(indices, tf.split(total, sizes), strict=True):
                shaped = tf.reshape(tf.cast(part, dtype), tf.shape(tensors[index]))
                shaped.set_shape(tensors[index].shape)
                summed[index] = shaped
        return [summed[index] for index in range(len(tensors))]

    def attach_model(self, model: Any) -> None:
        """Copy the first process's variables to all processes, and share all later gradients."""
        variables = [*model.variables, *model.optimizer.variables]

        def copy_from_first() -> None:
            local_values = [tf.convert_to_tensor(variable.value) for variable in variables]
            first_values = (
                local_values if self.rank == 0 else [tf.zeros_like(value) for value in local_values]
            )
            for variable, value in zip(variables, self.sum_tensors(first_values), strict=True):
                variable.assign(value)

        copy_variables: Any = tf.function(copy_from_first, autograph=False)
        copy_variables()
        layers = model._flatten_layers()
        self._averaged_variables = [
            variable
            for layer in layers
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
            for variable in layer.non_trainable_variables
        ]
        self._reduce_function = None  # the metrics of a stage are new
        if "apply" not in vars(model.optimizer):  # an optimizer can continue in the next stage
            model.optimizer.apply = self._share_gradients(model.optimizer.apply)

    def _share_gradients(self, apply: Callable[..., Any]) -> Callable[..., Any]:
        def apply_shared(gradients: Sequence[Any], variables: Any = None) -> Any:
            local_gradients = [None if each is None else tf.convert_to_tensor(each) for each in gradients]
            examples = tf.cast(self._local_examples, tf.float32)
            moving = [tf.convert_to_tensor(variable.value) for variable in self._averaged_variables]
            parts = [each for each in (*local_gradients, *moving) if each is not None]
            *totals, count = self.sum_tensors(
                [*(each * tf.cast(examples, each.dtype) for each in parts), examples]
            )
            means = iter([total / tf.cast(count, total.dtype) for total in totals])
            mean_gradients = [None if each is None else next(means) for each in local_gradients]
            for variable in self._averaged_variables:
                variable.assign(next(means))
            return apply(mean_gradients, variables)

        return apply_shared

    def take_share(self, rows: Tensors) -> tuple[Tensors, Any]:
        """Return this process's rows of a batch, and whether the batch is so small that each process takes all rows."""
        count = tf.shape(rows[0])[0]
        is_replicated = count < self.size
        first = tf.where(is_replicated, 0, count * self.rank // self.size)
        last = tf.where(is_replicated, count, count * (self.rank + 1) // self.size)
        return tuple(tensor[first:last] for tensor in rows), is_replicated

    def run_step(
        self, model: Any, step_function: Callable[[Any], Any], data: Any, rows: Tensors, is_replicated: Any
    ) -> None:
        """Run one step on this process's share; metrics of a replicated batch count once."""
        self._local_examples = tf.shape(rows[0])[0]
        before = [tf.identity(variable.value) for variable in model.metrics_variables] if self.rank else []
        step_function(data)
        for variable, value in zip(model.metrics_variables, before, strict=False):
            variable.assign(tf.where(is_replicated, value, variable.value))

    def reduce_metrics(self, model: Any) -> Mapping[str, Any]:
        """Return the metrics over all processes; the first process keeps them, the others reset theirs."""
        variables = model.metrics_variables
        *totals, counts = self.sum_tensors(
            [
                *(tf.convert_to_tensor(variable.value) for variable in variables),
                self._local_conditions.read_value(),
            ]
        )
        self._condition_counts.assign(counts)
        for variable, total in zip(variables, totals, strict=True):
            variable.assign(total)
        logs: Mapping[str, Any] = model.get_metrics_result()
        if self.rank:
            for variable, total in zip(variables, totals, strict=True):
                variable.assign(tf.zeros_like(total))
        return logs

    def begin_epoch(self, model: Any) -> None:
        """Keep the restored metrics of an interrupted epoch in the first process only."""
        if self.rank:
            model.reset_metrics()

    def share_stop(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """Return a function that is true in all processes after ``should_stop`` was true in any of them."""
        return self._share_condition(0, should_stop)

    def share_time_limit(self, is_time_up: Callable[[], bool]) -> Callable[[], bool]:
        """Return a function that is true in all processes after ``is_time_up`` was true in any of them."""
        return self._share_condition(1, is_time_up)

    def _share_condition(self, index: int, condition: Callable[[], bool]) -> Callable[[], bool]:
        self._conditions[index] = condition
        return lambda: self._are_met[index]

    def run_block(self, run: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Run a block of steps, and share the stop requests and time limits of all processes."""
        self._local_conditions.assign([float(condition()) for condition in self._conditions])
        logs = run()
        self._are_met = [bool(count > 0) for count in self._condition_counts.numpy()]
        return logs

    def epoch_metrics(self, model: Any) -> Mapping[str, Any]:
        """Return ``reduce_metrics`` outside of a graph."""
        if self._reduce_function is None:
            self._reduce_function = tf.function(lambda: self.reduce_metrics(model), autograph=False)
        logs: Mapping[str, Any] = self._reduce_function()
        return logs


def _all_reduce(flat: Any) -> Any:
    def reduce_sum(tensor: Any) -> Any:
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(tensor))

    return _strategy.run(reduce_sum, args=(flat,))

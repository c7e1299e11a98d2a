"""Several processes that train one model: each takes its share of every batch, and all take the same step."""

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
"""What can be summed over processes; other whole numbers are sent as int64."""
_strategy: Any = None


def connect_workers() -> None:
    """Connect to the other processes of ``runtime.cluster``; must come before anything else of TensorFlow's.

    Raises:
        LayercliError: the port is taken, or the others cannot be reached.
    """
    global _strategy
    if runtime.cluster is not None and _strategy is None:
        # A peer that does not answer for 15 s is gone, as where a cable was pulled; TensorFlow itself takes a minute.
        from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended

        CollectiveAllReduceExtended._check_health_interval = 5
        CollectiveAllReduceExtended._check_health_timeout = 5
        try:
            _strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except tf.errors.OpError as error:
            message = f"The group that TF_CONFIG names cannot be joined: {summarize_error(error)}"
            hint = "The port of this process must be free, and the others must be there and be reachable."
            raise LayercliError(Problem(code="bad-cluster", message=message, hint=hint)) from error


def is_lost_peer(error: Exception) -> bool:
    """Whether an error says that another process has gone, not that the model is wrong."""
    lost_peer_errors = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError,
            tf.errors.FailedPreconditionError, tf.errors.DeadlineExceededError, tf.errors.UnknownError)  # fmt: skip
    return isinstance(error, lost_peer_errors)


class Workers:
    """The processes of a group, of which this one is number ``rank`` of ``size``.

    Each has the whole model as ordinary variables. Gradients, weighted by how many examples each is of, are summed before
    the optimizer sees them; so clipping, decay, averages and accumulation work as in one process, and every
    variable stays the same everywhere. Metrics are sums over examples: the first process keeps those of all.
    """

    def __init__(self) -> None:
        assert runtime.cluster is not None
        assert _strategy is not None
        self.rank, self.size = runtime.cluster.rank, runtime.cluster.size
        self._local_examples: Any = None
        self._averaged_variables: list[Any] = []
        self._reduce_function: Any = None
        self._should_stop: Callable[[], bool] = bool
        self._local_stop = tf.Variable(0.0, trainable=False)
        self._stop_count = tf.Variable(0.0, trainable=False)
        self.is_stopping = False
        """Whether any of the processes was told to stop; the same for all, and changed between two blocks."""

    def sum_tensors(self, tensors: Sequence[Any]) -> list[Any]:
        """Each tensor, summed over the processes: one message for each dtype."""
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
        """Begin with the first process's variables, and share all gradients from now on."""
        variables = [*model.variables, *model.optimizer.variables]

        def copy_from_first() -> None:
            own = [tf.convert_to_tensor(variable.value) for variable in variables]
            firsts = own if self.rank == 0 else [tf.zeros_like(value) for value in own]
            for variable, value in zip(variables, self.sum_tensors(firsts), strict=True):
                variable.assign(value)

        copy_variables: Any = tf.function(copy_from_first, autograph=False)
        copy_variables()
        layers = model._flatten_layers()
        self._averaged_variables = [
            variable
            for layer in layers
            if isinstance(layer, keras.layers.BatchNormalization)
            for variable in layer.non_trainable_variables
        ]
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
        """This process's rows of a batch; of one with fewer rows than processes each takes all, and True is returned."""
        count = tf.shape(rows[0])[0]
        is_replicated = count < self.size
        first = tf.where(is_replicated, 0, count * self.rank // self.size)
        last = tf.where(is_replicated, count, count * (self.rank + 1) // self.size)
        return tuple(tensor[first:last] for tensor in rows), is_replicated

    def run_step(
        self, model: Any, step_function: Callable[[Any], Any], data: Any, rows: Tensors, is_replicated: Any
    ) -> None:
        """One step on this process's share; what every process computes is counted once."""
        self._local_examples = tf.shape(rows[0])[0]
        before = [tf.identity(variable.value) for variable in model.metrics_variables] if self.rank else []
        step_function(data)
        for variable, value in zip(model.metrics_variables, before, strict=False):
            variable.assign(tf.where(is_replicated, value, variable.value))

    def reduce_metrics(self, model: Any) -> Mapping[str, Any]:
        """The metrics over all processes; the first one keeps them, the others begin again."""
        variables = model.metrics_variables
        *totals, stops = self.sum_tensors(
            [*(tf.convert_to_tensor(variable.value) for variable in variables), self._local_stop.read_value()]
        )
        self._stop_count.assign(stops)
        for variable, total in zip(variables, totals, strict=True):
            variable.assign(total)
        logs: Mapping[str, Any] = model.get_metrics_result()
        if self.rank:
            for variable, total in zip(variables, totals, strict=True):
                variable.assign(tf.zeros_like(total))
        return logs

    def begin_epoch(self, model: Any) -> None:
        """What an interrupted epoch had measured was put back; the first process alone counts it."""
        if self.rank:
            model.reset_metrics()

    def share_stop(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """``told`` of any process, once a block is done, for all of them."""
        self._should_stop = should_stop
        return lambda: self.is_stopping

    def run_block(self, run: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Run a block of steps; all processes learn whether one of them is to stop."""
        self._local_stop.assign(float(self._should_stop()))
        logs = run()
        self.is_stopping = bool(self._stop_count.numpy() > 0)
        return logs

    def epoch_metrics(self, model: Any) -> Mapping[str, Any]:
        """``results``, outside of a graph."""
        if self._reduce_function is None:
            self._reduce_function = tf.function(lambda: self.reduce_metrics(model), autograph=False)
        logs: Mapping[str, Any] = self._reduce_function()
        return logs


def _all_reduce(flat: Any) -> Any:
    def reduce_sum(tensor: Any) -> Any:
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(tensor))

    return _strategy.run(reduce_sum, args=(flat,))

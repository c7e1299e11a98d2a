"""Several processes that train one model: each takes its share of every batch, and all take the same step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from layercli import runtime
from layercli.engine.keras_errors import said
from layercli.engine.training.feed import Tensors
from layercli.errors import LayercliError, Problem

_SUMMED = frozenset({"float16", "bfloat16", "float32", "float64", "int32", "int64"})
"""What can be summed over processes; other whole numbers are sent as int64."""
_strategy: Any = None


def join() -> None:
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
            message = f"The group that TF_CONFIG names cannot be joined: {said(error)}"
            hint = "The port of this process must be free, and the others must be there and be reachable."
            raise LayercliError(Problem(code="bad-cluster", message=message, hint=hint)) from error


def is_loss(error: Exception) -> bool:
    """Whether an error says that another process has gone, not that the model is wrong."""
    gone = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError,
            tf.errors.FailedPreconditionError, tf.errors.DeadlineExceededError, tf.errors.UnknownError)  # fmt: skip
    return isinstance(error, gone)


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
        self._examples: Any = None
        self._averaged: list[Any] = []
        self._results: Any = None
        self._asked: Callable[[], bool] = bool
        self._stop = tf.Variable(0.0, trainable=False)
        self._stops = tf.Variable(0.0, trainable=False)
        self.stopping = False
        """Whether any of the processes was told to stop; the same for all, and changed between two blocks."""

    def sums(self, tensors: Sequence[Any]) -> list[Any]:
        """Each tensor, summed over the processes: one message for each dtype."""
        summed: dict[int, Any] = {}
        by_dtype: dict[str, list[int]] = {}
        for index, tensor in enumerate(tensors):
            by_dtype.setdefault(tensor.dtype.name, []).append(index)
        for dtype, indices in by_dtype.items():
            flat = tf.concat([tf.reshape(tensors[index], (-1,)) for index in indices], 0)
            total = _all_reduced(flat if dtype in _SUMMED else tf.cast(flat, tf.int64))
            sizes = [tf.size(tensors[index]) for index in indices]
            for index, part in zip(indices, tf.split(total, sizes), strict=True):
                shaped = tf.reshape(tf.cast(part, dtype), tf.shape(tensors[index]))
                shaped.set_shape(tensors[index].shape)
                summed[index] = shaped
        return [summed[index] for index in range(len(tensors))]

    def begin(self, model: Any) -> None:
        """Begin with the first process's variables, and share all gradients from now on."""
        variables = [*model.variables, *model.optimizer.variables]

        def agree() -> None:
            own = [tf.convert_to_tensor(variable.value) for variable in variables]
            firsts = own if self.rank == 0 else [tf.zeros_like(value) for value in own]
            for variable, value in zip(variables, self.sums(firsts), strict=True):
                variable.assign(value)

        agreed: Any = tf.function(agree, autograph=False)
        agreed()
        layers = model._flatten_layers()
        self._averaged = [
            variable
            for layer in layers
            if isinstance(layer, keras.layers.BatchNormalization)
            for variable in layer.non_trainable_variables
        ]
        model.optimizer.apply = self._shared(model.optimizer.apply)

    def _shared(self, apply: Callable[..., Any]) -> Callable[..., Any]:
        def shared(gradients: Sequence[Any], variables: Any = None) -> Any:
            given = [None if each is None else tf.convert_to_tensor(each) for each in gradients]
            examples = tf.cast(self._examples, tf.float32)
            moving = [tf.convert_to_tensor(variable.value) for variable in self._averaged]
            parts = [each for each in (*given, *moving) if each is not None]
            *totals, count = self.sums([*(each * tf.cast(examples, each.dtype) for each in parts), examples])
            means = iter([total / tf.cast(count, total.dtype) for total in totals])
            mean_gradients = [None if each is None else next(means) for each in given]
            for variable in self._averaged:
                variable.assign(next(means))
            return apply(mean_gradients, variables)

        return shared

    def share(self, rows: Tensors) -> tuple[Tensors, Any]:
        """This process's rows of a batch; of one with fewer rows than processes each takes all, and True is returned."""
        count = tf.shape(rows[0])[0]
        whole = count < self.size
        first = tf.where(whole, 0, count * self.rank // self.size)
        last = tf.where(whole, count, count * (self.rank + 1) // self.size)
        return tuple(tensor[first:last] for tensor in rows), whole

    def step(self, model: Any, step: Callable[[Any], Any], data: Any, rows: Tensors, whole: Any) -> None:
        """One step on this process's share; what every process computes is counted once."""
        self._examples = tf.shape(rows[0])[0]
        before = [tf.identity(variable.value) for variable in model.metrics_variables] if self.rank else []
        step(data)
        for variable, value in zip(model.metrics_variables, before, strict=False):
            variable.assign(tf.where(whole, value, variable.value))

    def results(self, model: Any) -> Mapping[str, Any]:
        """The metrics over all processes; the first one keeps them, the others begin again."""
        variables = model.metrics_variables
        *totals, stops = self.sums(
            [*(tf.convert_to_tensor(variable.value) for variable in variables), self._stop.read_value()]
        )
        self._stops.assign(stops)
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

    def heed(self, told: Callable[[], bool]) -> Callable[[], bool]:
        """``told`` of any process, once a block is done, for all of them."""
        self._asked = told
        return lambda: self.stopping

    def block(self, run: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Run a block of steps; all processes learn whether one of them is to stop."""
        self._stop.assign(float(self._asked()))
        logs = run()
        self.stopping = bool(self._stops.numpy() > 0)
        return logs

    def metrics(self, model: Any) -> Mapping[str, Any]:
        """``results``, outside of a graph."""
        if self._results is None:
            self._results = tf.function(lambda: self.results(model), autograph=False)
        logs: Mapping[str, Any] = self._results()
        return logs


def _all_reduced(flat: Any) -> Any:
    def reduced(tensor: Any) -> Any:
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(tensor))

    return _strategy.run(reduced, args=(flat,))

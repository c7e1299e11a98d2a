"""Choose how to execute a training: the feed, the steps per call, and XLA compilation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self, TypeAlias

import tensorflow as tf

from layercli import runtime
from layercli.check import ValidConfig
from layercli.config.training.callbacks import TensorBoard
from layercli.config.training.registry import LOSSES, METRICS
from layercli.config.training.section import TrainSection
from layercli.data.examples import ASSUMED_TEXT_BYTES, Examples, Subset
from layercli.engine.custom_objects import list_batch_callbacks
from layercli.engine.training.xla_convolution import MAX_WINDOW, is_pooling_by_slices
from layercli.graph.build import GraphNode
from layercli.layers.base import Layer, use_dtype_policy
from layercli.layers.custom_layers import CustomLayer
from layercli.layers.families.convolutional import Conv1D, Conv2D
from layercli.layers.families.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from layercli.layers.shapes import multiply_dims
from layercli.schema.component import Component, snake_case
from layercli.schema.field_types import MAX_INT32


@dataclass(frozen=True, slots=True)
class ExecutionPlan:
    """The execution settings of a training; a resumed run keeps them."""

    feed: str
    steps_per_execution: int
    jit_compile: bool
    device: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return the JSON value in the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Return the plan of an ``as_json`` value.

        Raises:
            KeyError | TypeError | ValueError: the value is malformed.
        """
        plan = cls(**document)
        steps = plan.steps_per_execution
        if (
            plan.feed not in _FEED_NAMES
            or type(steps) is not int
            or not 0 < steps <= MAX_INT32
            or type(plan.jit_compile) is not bool
            or not isinstance(plan.device, str)
            or not isinstance(plan.reason, str)
        ):
            raise ValueError("a value has the wrong type")
        return plan

    @property
    def summary(self) -> str:
        """The plan as one line of text."""
        steps = "1 step" if self.steps_per_execution == 1 else f"{self.steps_per_execution:,} steps"
        compiled = "with XLA" if self.jit_compile else "without XLA"
        return f"{steps} per call, {compiled}, examples in {_FEED_NAMES[self.feed]}: {self.reason}."


_FEED_NAMES: Final = {"memory": "memory", "stream": "a stream"}

_MAX_DEVICE_BYTES: Final = 2 * 1024**3
"""The most bytes of examples that are copied to the device; more are sent block by block."""
_MAX_DEVICE_TEXT_BYTES: Final = 64 * 1024**2
"""The most characters of texts that are copied to the device; more would be in memory twice."""
_MAX_BLOCK_BYTES: Final = 8 * 1024**2
"""The most bytes in a block of streamed examples."""
_SECONDS_PER_EXTRA_CALL: Final = 1e-3
"""The time that a call takes in Python, with its callbacks."""
_SECONDS_PER_CALL: Final = 0.3
"""The target duration of a call: the interval between progress reports and the response time to Ctrl-C."""

# Rough speeds: only the order of magnitude matters.
_FLOPS_PER_SECOND: Final = {"CPU": 3e10, "GPU": 3e12}
_SECONDS_PER_STEP: Final = {"CPU": 1e-4, "GPU": 5e-4}
"""The time in which TensorFlow starts the operations of a step."""
_SECONDS_PER_WEIGHT: Final = 1e-9
_XLA_START_SAVING: Final = 0.85
"""The fraction of the start time that XLA saves."""
_XLA_COMPUTE_SAVING: Final = 0.25
"""The fraction of the remaining time that XLA saves for supported layers."""
_XLA_RECURRENT_SAVING: Final = 0.35
"""The same for models with recurrent layers, which start operations for each time step."""
_RECURRENT_LAYERS: Final = frozenset(["LSTM", "GRU", "SimpleRNN"])
_COMPILE_SECONDS: Final = 0.4
"""The processor time that XLA takes to compile the loss, metrics and optimizer, beyond that of TensorFlow's own graphs."""
_COMPILE_SECONDS_PER_LAYER: Final = 0.1
_RECURRENT_COMPILE_SECONDS: Final = 0.6
_LAST_BATCH_COST: Final = 1.5
"""How much more it costs if a smaller last batch needs a graph without XLA as well."""
_MIN_SAVING: Final = 1.5
"""XLA is used if it saves at least this multiple of its cost: both are estimates."""

_XLA_LAYERS: Final = frozenset(
    [
        "Activation",
        "Add",
        "Average",
        "AveragePooling1D",
        "AveragePooling2D",
        "BatchNormalization",
        "Bidirectional",
        "Concatenate",
        "Conv1D",
        "Conv2D",
        "Dense",
        "Dropout",
        "ELU",
        "Embedding",
        "Flatten",
        "GRU",
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling1D",
        "GlobalMaxPooling2D",
        "Identity",
        "LSTM",
        "LayerNormalization",
        "LeakyReLU",
        "MaxPooling1D",
        "MaxPooling2D",
        "Maximum",
        "Minimum",
        "Multiply",
        "Normalization",
        "ReLU",
        "Rescaling",
        "Reshape",
        "SimpleRNN",
        "Softmax",
        "SpatialDropout1D",
        "Subtract",
    ]
)
"""Layers that XLA speeds up on a CPU, with ``xla_dropout`` and ``xla_convolution``."""
_Windows: TypeAlias = Conv1D | Conv2D | MaxPooling1D | MaxPooling2D | AveragePooling1D | AveragePooling2D
"""Layers that slide a window over their input."""
_MAX_CONVOLUTION_VALUES: Final = 1 << 18
"""The most values of the patches and of the output of a convolution that XLA speeds up: 1 MiB, to fit in a cache."""
_DROPOUT_RATES: Final = ("rate", "dropout", "recurrent_dropout")
_XLA_LOSSES_AND_METRICS: Final = frozenset(
    [
        "accuracy",
        "mean_absolute_error",
        "mean_squared_error",
        "binary_accuracy",
        "categorical_accuracy",
        "sparse_categorical_accuracy",
        "binary_crossentropy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "root_mean_squared_error",
        "huber",
        "log_cosh",
    ]
)
"""Losses and metrics that are tested with XLA."""


def plan_execution(valid: ValidConfig, subset: Subset) -> ExecutionPlan:
    """Choose how to execute a training, by a deterministic rule on the model, the data and the device."""
    train = valid.config.train
    assert train is not None
    settings = train.execution
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    feed = "memory" if fits_in_memory(subset) and settings.feed is None else settings.feed or "stream"
    batch_size = train.batch_size
    steps = -(-len(subset) // batch_size)
    flops = (
        3 * (valid.shapes.flops or 0) * batch_size
    )  # the backward pass takes twice as many as the forward pass
    start_seconds = _SECONDS_PER_STEP[device]
    compute_seconds = flops / _FLOPS_PER_SECOND[device] + (valid.shapes.trainable or 0) * _SECONDS_PER_WEIGHT
    layers = [inner for node in valid.graph.nodes for inner in _walk_layers(node.layer)]
    recurrent = sum(layer.type_name() in _RECURRENT_LAYERS for layer in layers)
    compute_saving = _XLA_RECURRENT_SAVING if recurrent else _XLA_COMPUTE_SAVING
    xla_step_seconds = (1 - _XLA_START_SAVING) * start_seconds + (1 - compute_saving) * compute_seconds
    jit_compile, reason = settings.jit_compile, "the config sets XLA"
    if runtime.cluster is not None:
        jit_compile, reason = False, f"{runtime.cluster.size} workers sum their gradients at each step"
    elif jit_compile is None:
        saved_seconds = train.epochs * steps * (start_seconds + compute_seconds - xla_step_seconds)
        cost = (
            _COMPILE_SECONDS
            + len(layers) * _COMPILE_SECONDS_PER_LAYER
            + recurrent * _RECURRENT_COMPILE_SECONDS
        )
        if len(subset) % batch_size:
            cost *= _LAST_BATCH_COST
        jit_compile, reason = _choose_xla(valid, train, device, saved_seconds, cost)
    steps_per_call = settings.steps_per_execution
    if steps_per_call is None and any(
        _has_per_step_logging(callback) for callback, _, _ in train.iterate_callbacks()
    ):
        steps_per_call, reason = 1, f"TensorBoard records single steps; {reason}"
    elif steps_per_call is None and (batch_callbacks := list_batch_callbacks(valid, train)):
        (name, hook), *_ = batch_callbacks
        steps_per_call, reason = 1, f"`{hook}` of {name} works on each batch; {reason}"
    elif steps_per_call is None:
        steps_per_call = round(
            _SECONDS_PER_CALL / (xla_step_seconds if jit_compile else start_seconds + compute_seconds)
        )
        if feed == "stream":
            steps_per_call = min(steps_per_call, steps_per_block(subset, batch_size))
    return ExecutionPlan(feed, max(1, min(steps_per_call, steps)), jit_compile, device, reason)


def describe_batch_callbacks(
    valid: ValidConfig, train: TrainSection, plan: ExecutionPlan, steps: int
) -> str | None:
    """Return what custom callbacks that work on each batch cost in an epoch of ``steps`` steps; None without one."""
    if plan.steps_per_execution > 1 or train.execution.steps_per_execution is not None or steps < 2:
        return None
    for name, hook in list_batch_callbacks(valid, train)[:1]:
        seconds = steps * _SECONDS_PER_EXTRA_CALL
        return (
            f"`{hook}` of {name} works on each batch, so each step is a separate call: about {seconds:.1g} s more in each "
            "epoch. With `train.execution: {steps_per_execution: 50}` it works after every 50 steps."
        )
    return None


def fits_in_memory(subset: Subset) -> bool:
    """Return whether all examples fit in device memory."""
    if not isinstance(subset, Examples) or example_bytes(subset) * len(subset) > _MAX_DEVICE_BYTES:
        return False
    return _count_text_bytes(subset) <= _MAX_DEVICE_TEXT_BYTES


def _count_text_bytes(examples: Examples) -> int:
    """Return the number of characters of all texts."""
    texts = [array for _, array in examples.inputs if array.dtype.kind == "O"]
    return sum(len(str(text)) for array in texts for text in array.flat)


def steps_per_block(subset: Subset, batch_size: int) -> int:
    """Return the number of batches in a block of streamed examples."""
    return max(1, _MAX_BLOCK_BYTES // max(1, example_bytes(subset) * batch_size))


def example_bytes(subset: Subset) -> int:
    """Return the bytes of one example; a text that is not in memory counts as a pointer, unless texts are known to be large."""
    arrays = [*(array for _, array in subset.empty_batch.inputs), *tf.nest.flatten(subset.empty_batch.y)]
    size: int = sum(math.prod(array.shape[1:]) * array.dtype.itemsize for array in arrays)
    if isinstance(subset, Examples):
        return size + _count_text_bytes(subset) // max(1, len(subset))
    return max(size, subset.count_example_bytes()) if subset.text_bytes > ASSUMED_TEXT_BYTES else size


def _choose_xla(
    valid: ValidConfig, train: TrainSection, device: str, saved_seconds: float, cost: float
) -> tuple[bool, str]:
    """Return whether to use XLA if it saves ``saved_seconds`` and takes ``cost`` seconds to compile, and the reason."""
    for node in valid.graph.nodes:
        for layer in _walk_layers(node.layer):
            name = layer.type_reference() if isinstance(layer, CustomLayer) else layer.type_name()
            if name not in _XLA_LAYERS:
                return False, f"XLA does not speed up {name}"
            with use_dtype_policy(valid.config.model.dtype):
                dtype = layer.compute_dtype
            if dtype != "float32" and any(getattr(layer, rate, 0) for rate in _DROPOUT_RATES):
                return False, f"XLA does not speed up dropout in {dtype}"
            is_slow = isinstance(layer, _Windows) and (
                device != "CPU"
                or dtype != "float32"
                or _is_slow_with_xla(valid, node, layer, train.batch_size)
            )
            if is_slow:
                return False, f"XLA does not speed up this {name}"
    untested = [
        *(custom.type_name() for custom, _ in valid.custom_objects if custom.noun != "callback"),
        *(
            name
            for name in _loss_and_metric_names([train.loss, train.metrics, train.weighted_metrics])
            if name not in _XLA_LOSSES_AND_METRICS
        ),
    ]
    if untested:
        return False, f"XLA is not tested with {untested[0]}"
    if saved_seconds > _MIN_SAVING * cost:
        return True, f"XLA saves about {saved_seconds:,.1f} s and costs {cost:.1f} s"
    return False, f"XLA would save about {saved_seconds:.1f} s and cost {cost:.1f} s"


def _is_slow_with_xla(valid: ValidConfig, node: GraphNode, layer: _Windows, batch_size: int) -> bool:
    """Return whether XLA slows down a layer that slides a window over its input, or could."""
    x = valid.shapes.output(node.inputs[0], next(iter(node.input_indices), None))
    if layer.is_channels_first or x is None:
        return True
    if not isinstance(layer, Conv1D | Conv2D):
        return not is_pooling_by_slices(layer.pool_size, layer.strides or layer.pool_size, layer.padding)
    positions = multiply_dims(batch_size, *layer.output_lengths(x))
    patches = multiply_dims(positions, *layer.kernel_size, layer.channels(x))
    if positions is None or patches is None or layer.groups > 1 or math.prod(layer.kernel_size) > MAX_WINDOW:
        return True
    return max(patches, positions * layer.filters) > _MAX_CONVOLUTION_VALUES


def _walk_layers(layer: Layer) -> Iterator[Layer]:
    yield layer
    for value in layer.arguments().values():
        if isinstance(value, Layer):
            yield from _walk_layers(value)


def _loss_and_metric_names(components: Any) -> Iterator[str]:
    """Yield the names of losses and metrics in snake case."""
    if isinstance(components, str):
        class_name = METRICS.find(components) or LOSSES.find(components)
        yield "accuracy" if components.lower() == "acc" else snake_case(class_name or components)
    elif isinstance(components, Component):
        yield snake_case(components.type_name())
    elif components is not None:
        for component in components.values() if isinstance(components, Mapping) else components:
            yield from _loss_and_metric_names(component)


def _has_per_step_logging(callback: Component) -> bool:
    return isinstance(callback, TensorBoard) and (
        callback.update_freq != "epoch" or callback.profile_batch != 0 or callback.write_steps_per_second
    )

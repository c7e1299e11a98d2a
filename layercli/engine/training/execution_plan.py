"""How a training is carried out: which feed, how many steps a call, whether XLA compiles them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import tensorflow as tf

from layercli import runtime
from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.config.training.callbacks import TensorBoard
from layercli.config.training.section import TrainSection
from layercli.data.examples import Examples
from layercli.data.subset import Subset
from layercli.layers.base import Layer
from layercli.schema.component import Component, snake_case


@dataclass(frozen=True, slots=True)
class Plan:
    """How a training is carried out; a run keeps its plan when it is resumed."""

    feed: str
    steps_per_execution: int
    jit_compile: bool
    device: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        """As the manifest holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """What ``as_json`` gave."""
        return cls(**document)

    @property
    def told(self) -> str:
        """One line for people."""
        steps = "1 step" if self.steps_per_execution == 1 else f"{self.steps_per_execution:,} steps"
        compiled = "with XLA" if self.jit_compile else "without XLA"
        return f"{steps} a call, {compiled}, examples in {_FEEDS[self.feed]}: {self.reason}."


_FEEDS: Final = {"memory": "memory", "stream": "a stream"}

_MOST_IN_MEMORY: Final = 2 * 1024**3
"""Bytes of examples that are copied to the device; more are sent to it block by block."""
_MOST_IN_BLOCK: Final = 8 * 1024**2
"""Bytes of a block of streamed examples."""
_SECONDS_PER_CALL: Final = 0.1
"""What a call should take: so often there is news, and so soon Ctrl-C is heard."""

# Rough speeds; only their order of magnitude matters.
_FLOPS_PER_SECOND: Final = {"CPU": 3e10, "GPU": 3e12}
_SECONDS_PER_STEP: Final = {"CPU": 1e-4, "GPU": 5e-4}
"""What TensorFlow takes to start the operations of a step."""
_SECONDS_PER_WEIGHT: Final = 1e-9
_STARTS_LESS: Final = 0.85
"""What XLA takes off the time for starting operations."""
_COMPUTES_LESS: Final = 0.25
"""What it takes off the rest, where it is good at it at all."""
_SECONDS_TO_COMPILE: Final = 1.5
_SECONDS_MORE: Final = {"LSTM": 2.0, "GRU": 2.0, "SimpleRNN": 2.0}
"""What a layer adds to that."""

_GAINS: Final = frozenset({
    "Activation", "Add", "Average", "BatchNormalization", "Bidirectional", "Concatenate", "Dense", "ELU",
    "Embedding", "Flatten", "GRU", "Identity", "LSTM", "LayerNormalization", "LeakyReLU", "Maximum", "Minimum",
    "Multiply", "Normalization", "ReLU", "Rescaling", "Reshape", "SimpleRNN", "Softmax", "Subtract",
})  # fmt: skip
"""Layers that XLA makes faster on a CPU. It makes convolutions and random numbers (Dropout) slower."""
_KNOWN: Final = frozenset({
    "accuracy", "mae", "mean_absolute_error", "mean_squared_error", "mse", "binary_accuracy", "categorical_accuracy",
    "sparse_categorical_accuracy", "binary_crossentropy", "categorical_crossentropy",
    "sparse_categorical_crossentropy", "root_mean_squared_error", "huber", "log_cosh",
})  # fmt: skip
"""Losses and metrics that were tried under XLA."""


def plan(valid: ValidConfig, part: Subset) -> Plan:
    """How to carry out a training: by a rule on the model, the data and the device, the same wherever they are the same."""
    train = valid.config.train
    assert train is not None
    asked = train.execution
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    feed = "memory" if fits_in_memory(part) and asked.feed is None else asked.feed or "stream"
    batch_size = train.batch_size
    steps = -(-len(part) // batch_size)
    flops = 3 * (valid.shapes.flops or 0) * batch_size  # forward, and twice as much back
    starting = _SECONDS_PER_STEP[device]
    computing = flops / _FLOPS_PER_SECOND[device] + (valid.shapes.trainable or 0) * _SECONDS_PER_WEIGHT
    compiled = (1 - _STARTS_LESS) * starting + (1 - _COMPUTES_LESS) * computing
    jit_compile, reason = asked.jit_compile, "XLA is as the config says"
    if runtime.cluster is not None:
        jit_compile, reason = False, f"{runtime.cluster.size} workers sum their gradients in each step"
    elif jit_compile is None:
        saved = train.epochs * steps * (starting + computing - compiled)
        jit_compile, reason = _xla(valid, train, saved)
    most = asked.steps_per_execution
    if most is None and any(_looks_at_steps(callback) for callback in train.callbacks):
        most, reason = 1, f"TensorBoard looks at single steps; {reason}"
    elif most is None:
        most = round(_SECONDS_PER_CALL / (compiled if jit_compile else starting + computing))
        if feed == "stream":
            most = min(most, steps_in_block(part, batch_size))
    return Plan(feed, max(1, min(most, steps)), jit_compile, device, reason)


def fits_in_memory(part: Subset) -> bool:
    """Whether all examples may lie on the device."""
    return isinstance(part, Examples) and example_bytes(part) * len(part) <= _MOST_IN_MEMORY


def steps_in_block(part: Subset, batch_size: int) -> int:
    """How many batches of streamed examples are a block."""
    return max(1, _MOST_IN_BLOCK // max(1, example_bytes(part) * batch_size))


def example_bytes(part: Subset) -> int:
    """Bytes of one example; a text counts as a pointer."""
    arrays = [*(array for _, array in part.empty_batch.inputs), *tf.nest.flatten(part.empty_batch.y)]
    return sum(math.prod(array.shape[1:]) * array.dtype.itemsize for array in arrays)


def _xla(valid: ValidConfig, train: TrainSection, saved: float) -> tuple[bool, str]:
    """Whether XLA pays where it would save so many seconds, and why."""
    layers = [inner for node in valid.graph.nodes for inner in _with_inner(node.layer)]
    for layer in layers:
        drops = any(getattr(layer, rate, 0) for rate in ("dropout", "recurrent_dropout"))
        name = layer.type_reference() if isinstance(layer, CustomLayer) else layer.type_name()
        if drops or name not in _GAINS:
            return False, f"XLA does not pay for {name}{' with dropout' if drops else ''}"
    unknown = [
        name for name in _names([train.loss, train.metrics, train.weighted_metrics]) if name not in _KNOWN
    ]
    if unknown:
        return False, f"XLA is not tried with {unknown[0]}"
    cost = _SECONDS_TO_COMPILE + sum(_SECONDS_MORE.get(layer.type_name(), 0) for layer in layers)
    if saved > 2 * cost:
        return True, f"XLA saves about {saved:,.0f} s and costs {cost:.0f} s"
    return False, f"XLA would save about {saved:.1f} s and cost {cost:.1f} s"


def _with_inner(layer: Layer) -> Iterator[Layer]:
    yield layer
    for value in layer.arguments().values():
        if isinstance(value, Layer):
            yield from _with_inner(value)


def _names(declared: Any) -> Iterator[str]:
    """Losses and metrics by their names in snake case."""
    if isinstance(declared, str):
        yield declared
    elif isinstance(declared, Component):
        yield snake_case(declared.type_name())
    elif declared is not None:
        for one in declared.values() if isinstance(declared, Mapping) else declared:
            yield from _names(one)


def _looks_at_steps(callback: Component) -> bool:
    return isinstance(callback, TensorBoard) and (
        callback.update_freq != "epoch" or callback.profile_batch != 0 or callback.write_steps_per_second
    )

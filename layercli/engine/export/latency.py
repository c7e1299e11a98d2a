"""Measure the latency of a model in the runtime of each format, and its metrics on held-out examples."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.config.training.section import TrainSection
from layercli.data.examples import Subset
from layercli.data.types import Array
from layercli.engine.adapt import to_keras_inputs
from layercli.engine.comparison_inputs import examples_to_inputs
from layercli.engine.export.deployed_model import DeployedModel
from layercli.engine.export.options import InputBatch, Runner
from layercli.engine.export.quantization_metrics import evaluate_outputs
from layercli.export_formats import EXPORT_FORMATS
from layercli.graph.build import Graph

BATCH_SIZES: Final = (1, 32)
_WARM_CALLS: Final = 5
_MIN_CALLS: Final = 20
_MAX_CALLS: Final = 1000
_MAX_SECONDS: Final = 1.0
_EVALUATED_BATCH: Final = 64


def load_format_runner(name: str, output_path: Path, model: Any) -> Runner:
    """Return the function that runs an exported model in this process; that of a Keras file runs the original model."""
    module = EXPORT_FORMATS[name].module
    assert module is not None
    export_format: Any = import_module(module)
    if hasattr(export_format, "load_runner"):
        runner: Runner = export_format.load_runner(output_path)
        return runner
    return _compile_model(model)


def _compile_model(model: Any) -> Runner:
    specs = [tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in model.inputs]

    @tf.function(input_signature=specs, autograph=False)  # type: ignore[untyped-decorator]
    def call(*tensors: Any) -> Any:
        return model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)

    def run(batch: InputBatch) -> list[Array]:
        tensors = [tf.constant(to_keras_inputs(batch[tensor.name])) for tensor in model.inputs]
        return [
            np.asarray(keras.ops.convert_to_numpy(output)) for output in keras.tree.flatten(call(*tensors))
        ]

    return run


def measure_latency(run: Runner, batch: InputBatch) -> dict[str, float]:
    """Return the median and the 95th percentile of the time of a call, in milliseconds."""
    for _ in range(_WARM_CALLS):
        run(batch)
    times: list[float] = []
    while len(times) < _MIN_CALLS or (len(times) < _MAX_CALLS and sum(times) < _MAX_SECONDS):
        started = time.perf_counter()
        run(batch)
        times.append(time.perf_counter() - started)
    middle, slow = np.percentile(times, (50, 95))
    return {"p50": 1000 * float(middle), "p95": 1000 * float(slow)}


def take_batch(subset: Subset, graph: Graph, deployed: DeployedModel, size: int) -> InputBatch:
    """Return a batch of this size of the inputs of a file, in which examples are repeated if there are too few."""
    inputs = examples_to_inputs(next(subset.batches(size)), graph)
    return deployed.encode_inputs(
        {name: np.resize(array, (size, *array.shape[1:])) for name, array in inputs.items()}
    )


def evaluate_runner(
    run: Runner, model: Any, deployed: DeployedModel, subset: Subset, train: TrainSection, valid: ValidConfig
) -> dict[str, float]:
    """Return loss and metrics of the outputs of a file on a subset."""
    batches = list(subset.batches(_EVALUATED_BATCH))
    outputs = list(_run_batches(run, deployed, [examples_to_inputs(batch, valid.graph) for batch in batches]))
    return evaluate_outputs(model, batches, outputs, train, valid)


def _run_batches(run: Runner, deployed: DeployedModel, batches: list[InputBatch]) -> Iterator[list[Array]]:
    for batch in batches:
        yield run(deployed.encode_inputs(batch))

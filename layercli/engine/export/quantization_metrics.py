"""Compare the loss and metrics of a quantized model with those of the original on held-out examples."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layercli.check import ValidConfig
from layercli.config.training.section import TrainSection
from layercli.data.examples import Examples, Subset
from layercli.data.types import Array
from layercli.engine.compare import run_keras_model
from layercli.engine.comparison_inputs import examples_to_inputs
from layercli.engine.export.options import ExportFormat, ExportOptions, InputBatch
from layercli.engine.training.compile import compile_model
from layercli.graph.build import Graph

CALIBRATION_EXAMPLES = 200
"""Training examples that calibrate the ranges of quantized values."""
_BATCH_SIZE = 64


def calibration_batches(subset: Subset, graph: Graph, batch_size: int | None) -> tuple[InputBatch, ...]:
    """Return training examples in batches of the exported model's batch size."""
    size = batch_size or 1
    batches = islice(subset.batches(size), max(CALIBRATION_EXAMPLES // size, 1))
    return tuple(examples_to_inputs(batch, graph) for batch in batches if len(batch) == size)


def compare_metrics(
    model: Any,
    export_format: ExportFormat,
    output_path: Path,
    subset: Subset,
    train: TrainSection,
    valid: ValidConfig,
    options: ExportOptions,
) -> dict[str, dict[str, float]]:
    """Return loss and metrics over a subset: ``before`` of the original, ``after`` of the exported model."""
    batches = list(subset.batches(options.batch_size or _BATCH_SIZE))
    inputs = [_fill_batch(examples_to_inputs(batch, valid.graph), options.batch_size) for batch in batches]
    return {
        "before": evaluate_outputs(
            model, batches, [run_keras_model(model, batch_inputs) for batch_inputs in inputs], train, valid
        ),
        "after": evaluate_outputs(
            model, batches, export_format.run_model(output_path, inputs, options), train, valid
        ),
    }


def _fill_batch(inputs: InputBatch, batch_size: int | None) -> InputBatch:
    """Repeat the examples of a batch up to the model's fixed batch size."""
    if batch_size is None:
        return inputs
    return {name: np.resize(array, (batch_size, *array.shape[1:])) for name, array in inputs.items()}


def evaluate_outputs(
    model: Any, batches: list[Examples], outputs: list[list[Array]], train: TrainSection, valid: ValidConfig
) -> dict[str, float]:
    """Return loss and metrics of existing outputs, by evaluating a model that passes its inputs through."""
    passthrough_inputs = [
        keras.Input(tensor.shape[1:], name=name, dtype=tensor.dtype)
        for name, tensor in zip(model.output_names, model.outputs, strict=True)
    ]
    passthrough_model = keras.Model(
        passthrough_inputs if len(passthrough_inputs) > 1 else passthrough_inputs[0],
        passthrough_inputs if len(passthrough_inputs) > 1 else passthrough_inputs[0],
    )
    compile_model(passthrough_model, train, valid)

    def concatenate(*arrays: Array) -> Array:
        return np.concatenate(arrays)

    joined_outputs = [
        concatenate(
            *(
                batch_outputs[index][: len(batch)]
                for batch, batch_outputs in zip(batches, outputs, strict=True)
            )
        )
        for index in range(len(outputs[0]))
    ]
    weights = [batch.weights for batch in batches if batch.weights is not None]
    result = passthrough_model.evaluate(
        joined_outputs if len(joined_outputs) > 1 else joined_outputs[0],
        keras.tree.map_structure(concatenate, *(batch.y for batch in batches)),
        sample_weight=concatenate(*weights) if weights else None,
        batch_size=train.batch_size,
        verbose=0,
        return_dict=True,
    )
    return {name: float(np.mean(value)) for name, value in result.items()}

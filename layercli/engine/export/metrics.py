"""What a model that computes otherwise is worth: its loss and metrics on held-out examples, beside the original's."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layercli.config.training.section import TrainSection
from layercli.data.examples import Array, Examples
from layercli.data.subset import Subset
from layercli.engine.export.compare import outputs_of
from layercli.engine.export.options import Format, Inputs, Options
from layercli.engine.export.test_inputs import real_inputs
from layercli.engine.training.compile import compile_model
from layercli.graph.build import Graph

CALIBRATION = 200
"""Training examples from which ranges are learned."""
_BATCH = 64


def calibration(part: Subset, graph: Graph, batch_size: int | None) -> tuple[Inputs, ...]:
    """Training examples in batches of the size that the exported model takes."""
    size = batch_size or 1
    batches = islice(part.batches(size), max(CALIBRATION // size, 1))
    return tuple(real_inputs(batch, graph) for batch in batches if len(batch) == size)


def metrics_of(
    model: Any, form: Format, target: Path, part: Subset, train: TrainSection, graph: Graph, options: Options
) -> dict[str, dict[str, float]]:
    """Loss and metrics on a part, ``before`` of the model and ``after`` of what was exported."""
    batches = list(part.batches(options.batch_size or _BATCH))
    inputs = [_filled(real_inputs(batch, graph), options.batch_size) for batch in batches]
    return {
        "before": _judged(model, batches, [outputs_of(model, given) for given in inputs], train),
        "after": _judged(model, batches, form.run(target, inputs, options), train),
    }


def _filled(given: Inputs, batch_size: int | None) -> Inputs:
    """The batch, its examples repeated until there are as many as the model takes."""
    if batch_size is None:
        return given
    return {name: np.resize(array, (batch_size, *array.shape[1:])) for name, array in given.items()}


def _judged(
    model: Any, batches: list[Examples], outputs: list[list[Array]], train: TrainSection
) -> dict[str, float]:
    """Loss and metrics of outputs that are there already: a model that passes them through is evaluated."""
    passing = [
        keras.Input(tensor.shape[1:], name=name, dtype=tensor.dtype)
        for name, tensor in zip(model.output_names, model.outputs, strict=True)
    ]
    judge = keras.Model(
        passing if len(passing) > 1 else passing[0], passing if len(passing) > 1 else passing[0]
    )
    compile_model(judge, train)

    def joined(*arrays: Array) -> Array:
        return np.concatenate(arrays)

    taken = [
        joined(*(given[index][: len(batch)] for batch, given in zip(batches, outputs, strict=True)))
        for index in range(len(outputs[0]))
    ]
    weights = [batch.weights for batch in batches if batch.weights is not None]
    result = judge.evaluate(
        taken if len(taken) > 1 else taken[0],
        keras.tree.map_structure(joined, *(batch.y for batch in batches)),
        sample_weight=joined(*weights) if weights else None,
        batch_size=train.batch_size,
        verbose=0,
        return_dict=True,
    )
    return {name: float(np.mean(value)) for name, value in result.items()}

"""Find the layer that a runtime refuses, or the first one whose outputs differ."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layercli.engine.compare import compare_outputs, run_references
from layercli.engine.comparison_inputs import ComparisonCase, fill_shape
from layercli.engine.export.options import ExportFormat, ExportOptions, InputBatch
from layercli.engine.export.plain_layers import replace_index_layers


def find_refused_layer(
    export_format: ExportFormat,
    model: Any,
    options: ExportOptions,
    suffix: str,
    *,
    has_plain_layers: bool = False,
) -> tuple[Any, Exception] | None:
    """Return the first layer that is also refused as a single-layer model, and the error; None if there is none."""
    tried: set[str] = set()
    for layer in _single_call_layers(model):
        kind = _layer_signature(layer)
        if kind in tried:
            continue
        tried.add(kind)
        submodel = keras.Model(layer.input, layer.output)
        submodel = replace_index_layers(submodel) if has_plain_layers else submodel
        batch = {tensor.name: _zero_input(tensor, options.batch_size or 2) for tensor in submodel.inputs}
        with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
            target = Path(folder, f"layer{suffix}")
            try:
                export_format.write_model(submodel, target, _layer_options(options, batch))
                export_format.run_model(target, [batch], _layer_options(options, batch))
            except Exception as error:
                return layer, error
    return None


def find_differing_layer(
    export_format: ExportFormat,
    model: Any,
    options: ExportOptions,
    suffix: str,
    case: ComparisonCase,
    tolerance: float,
) -> tuple[Any, float] | None:
    """Return the first layer in model order whose output differs by more than the tolerance, and the difference."""
    layers = list(_single_call_layers(model))
    probe_model = keras.Model(model.inputs, [keras.tree.flatten(layer.output)[0] for layer in layers])
    # As model outputs, intermediate values are not fused away.
    references = run_references(probe_model, [case])
    with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
        target = Path(folder, f"layers{suffix}")
        try:
            export_format.write_model(probe_model, target, _layer_options(options, *options.calibration))
            outputs = export_format.run_model(
                target, [reference.case.inputs for reference in references], options
            )
        except Exception:
            return None  # the model with these outputs cannot be exported
    for difference in compare_outputs(references, outputs, tolerance):
        if difference.is_too_large:
            return layers[difference.output_index], difference.relative_error
    return None


def _single_call_layers(model: Any) -> Iterator[Any]:
    """Yield the layers that are called once; a layer with several calls has no single output."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        try:
            layer.output  # noqa: B018 - raises if there are several
        except (AttributeError, ValueError):
            continue
        yield layer


def _layer_signature(layer: Any) -> str:
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(layer.input)]
    return json.dumps([type(layer).__name__, config, shapes], default=str)


def _zero_input(tensor: Any, batch_size: int) -> Any:
    shape = fill_shape(tensor.shape, batch_size)
    if tensor.dtype == "string":
        return np.full(shape, "", dtype=object)
    return np.zeros(shape, dtype=tensor.dtype)


def _layer_options(options: ExportOptions, *calibration: InputBatch) -> ExportOptions:
    """Return the options for a model of one layer, which has other inputs and outputs."""
    return replace(
        options,
        calibration=calibration,
        column_inputs={},
        has_column_signature=False,
        word_indices={},
        output_names=(),
        output_classes=(),
    )

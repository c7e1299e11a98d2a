"""The LiteRT (formerly TensorFlow Lite) format, written by TensorFlow's converter and run by the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from layercli.data.types import Array
from layercli.engine.export.loops import has_loops
from layercli.engine.export.options import (
    ExportOptions,
    InputBatch,
    Runner,
    input_signature,
    make_argument_names,
)
from layercli.engine.export.saved_model import output_sort_key

TOLERANCE = 1e-4


def write_model(model: Any, output_path: Path, options: ExportOptions) -> None:
    """Write the file with built-in LiteRT operations only; its signature has the model's input names."""
    specs = input_signature(model, options.batch_size)
    if options.batch_size is None:
        model = unroll_model(model)
    names = [spec.name for spec in specs]
    arguments = make_argument_names(names)
    if arguments != names:
        model = _rename_inputs(model, arguments)
        specs = input_signature(model, options.batch_size)
    target_spec: dict[str, Any] = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    settings: dict[str, Any] = {}
    if options.quantize is not None:
        settings["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if options.quantize == "float16":
        target_spec["supported_types"] = [tf.float16]
    if options.quantize == "int8":
        target_spec["supported_ops"].append(tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
        settings["representative_dataset"] = lambda: map(_name_arguments, options.calibration)
    model.export(
        str(output_path),
        format="litert",
        verbose=False,
        input_signature=specs if len(specs) == 1 else [specs],
        target_spec=target_spec,
        **settings,
    )


def run_model(output_path: Path, batches: list[InputBatch], options: ExportOptions) -> list[list[Array]]:  # noqa: ARG001
    """Return the outputs of the LiteRT interpreter for each batch."""
    run = load_runner(output_path)
    return [run(batch) for batch in batches]


def load_runner(output_path: Path) -> Runner:
    """Return the function of a loaded file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_path=str(output_path))
    signature_runner = interpreter.get_signature_runner()

    def run(batch: InputBatch) -> list[Array]:
        outputs = signature_runner(**_name_arguments(batch))
        return [np.array(outputs[name]) for name in sorted(outputs, key=output_sort_key)]

    return run


def unroll_model(model: Any) -> Any:
    """Return the model with unrolled recurrent layers: LiteRT supports loops only for a fixed batch size."""
    if not any(has_loops(layer.get_config()) for layer in model.layers):
        return model
    pairs: list[tuple[Any, Any]] = []

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if not has_loops(config):
            return layer
        _unroll_config(config)
        pairs.append((layer, type(layer).from_config(config)))
        return pairs[-1][1]

    # Not a copy of an inner model from its config: it would lack what Normalization computes from its weights.
    cloned = keras.models.clone_model(model, clone_function=clone, recursive=True)
    for old, new in pairs:
        new.set_weights(old.get_weights())
    return cloned


def _unroll_config(config: Any) -> None:
    if isinstance(config, dict):
        if "unroll" in config:
            config["unroll"] = True
        for value in config.values():
            _unroll_config(value)
    elif isinstance(config, list):
        for value in config:
            _unroll_config(value)


def _name_arguments(batch: InputBatch) -> InputBatch:
    """Return a batch with the names of the signature's arguments."""
    return dict(zip(make_argument_names(list(batch)), batch.values(), strict=True))


def _rename_inputs(model: Any, names: Sequence[str]) -> Any:
    """Return the model with inputs of these names."""
    inputs = [
        keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)
        for tensor, name in zip(model.inputs, names, strict=True)
    ]
    single = inputs if len(inputs) > 1 else inputs[0]
    return keras.Model(single, model(single), name=model.name)

"""LiteRT, formerly TensorFlow Lite: written by TensorFlow's converter, run by the LiteRT interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from layercli.data.examples import Array
from layercli.engine.export.options import Inputs, Options, signature
from layercli.engine.export.saved_model import number

TOLERANCE = 1e-4


def write(model: Any, target: Path, options: Options) -> None:
    """Write the file, of LiteRT's own operations alone; its signature takes the model's inputs by their names."""
    specs = signature(model, options.batch_size)
    if options.batch_size is None:
        model = unrolled(model)
    target_spec: dict[str, Any] = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    settings: dict[str, Any] = {}
    if options.quantize is not None:
        settings["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if options.quantize == "float16":
        target_spec["supported_types"] = [tf.float16]
    if options.quantize == "int8":
        target_spec["supported_ops"].append(tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
        settings["representative_dataset"] = lambda: _calibration(options.calibration)
    model.export(
        str(target),
        format="litert",
        verbose=False,
        input_signature=specs if len(specs) == 1 else [specs],
        target_spec=target_spec,
        **settings,
    )


def run(target: Path, batches: list[Inputs], options: Options) -> list[list[Array]]:  # noqa: ARG001
    """What the LiteRT interpreter gives for each batch."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_path=str(target))
    signature_runner = interpreter.get_signature_runner()
    results = []
    for batch in batches:
        given = signature_runner(**batch)
        results.append([np.array(given[name]) for name in sorted(given, key=number)])
    return results


def unrolled(model: Any) -> Any:
    """The model with its recurrent layers unrolled, if it has some: LiteRT has loops for batches of a fixed size alone."""
    if not any(has_loops(layer.get_config()) for layer in model.layers):
        return model
    pairs: list[tuple[Any, Any]] = []

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if not has_loops(config):
            return layer
        _unroll(config)
        pairs.append((layer, type(layer).from_config(config)))
        return pairs[-1][1]

    cloned = keras.models.clone_model(model, clone_function=clone)
    for old, new in pairs:
        new.set_weights(old.get_weights())
    return cloned


def has_loops(config: Any) -> bool:
    """Whether a layer, or one inside it, runs over time in a loop."""
    if isinstance(config, dict):
        return config.get("unroll") is False or any(has_loops(value) for value in config.values())
    return isinstance(config, list) and any(has_loops(value) for value in config)


def _unroll(config: Any) -> None:
    if isinstance(config, dict):
        if "unroll" in config:
            config["unroll"] = True
        for value in config.values():
            _unroll(value)
    elif isinstance(config, list):
        for value in config:
            _unroll(value)


def _calibration(batches: tuple[Inputs, ...]) -> Iterator[Inputs]:
    yield from batches

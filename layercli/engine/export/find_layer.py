"""Which layer it is that a runtime refuses, or at which what it gives begins to differ."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layercli.engine.export.compare import differences, wanted
from layercli.engine.export.options import Format, Inputs, Options
from layercli.engine.export.test_inputs import Case

_LENGTH = 8
"""What stands for an axis of unknown length."""


def refused_layer(form: Format, model: Any, options: Options, suffix: str) -> tuple[Any, Exception] | None:
    """The first layer that is refused alone, too, and what is said of it."""
    seen: set[str] = set()
    for layer in _layers(model):
        kind = _kind(layer)
        if kind in seen:
            continue
        seen.add(kind)
        alone = keras.Model(layer.input, layer.output)
        batch = {tensor.name: _zeros(tensor, options.batch_size or 2) for tensor in alone.inputs}
        with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
            target = Path(folder, f"layer{suffix}")
            try:
                form.write(alone, target, _of_parts(options, batch))
                form.run(target, [batch], _of_parts(options, batch))
            except Exception as error:
                return layer, error
    return None


def differing_layer(
    form: Format, model: Any, options: Options, suffix: str, case: Case, tolerance: float
) -> tuple[Any, float] | None:
    """The first layer, in the order of the model, whose output differs by more than is allowed; and by how much."""
    layers = list(_layers(model))
    tapped = keras.Model(model.inputs, [keras.tree.flatten(layer.output)[0] for layer in layers])
    # Else a value that is not at the model's output could not be told from one that is fused away.
    wants = wanted(tapped, [case])
    with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
        target = Path(folder, f"layers{suffix}")
        try:
            form.write(tapped, target, _of_parts(options, *options.calibration))
            got = form.run(target, [want.case.inputs for want in wants], options)
        except Exception:
            return None  # the parts cannot be exported as the whole can
    for difference in differences(wants, got, tolerance) if wants else ():
        if difference.is_too_large:
            return layers[difference.output], difference.found
    return None


def _layers(model: Any) -> Iterator[Any]:
    """The layers that stand at one place; one that is called again has no output of its own."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        try:
            layer.output  # noqa: B018 - raises where there are several
        except (AttributeError, ValueError):
            continue
        yield layer


def _kind(layer: Any) -> str:
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(layer.input)]
    return json.dumps([type(layer).__name__, config, shapes], default=str)


def _zeros(tensor: Any, batch: int) -> Any:
    shape = (batch, *(_LENGTH if dim is None else dim for dim in tensor.shape[1:]))
    if tensor.dtype == "string":
        return np.full(shape, "", dtype=object)
    return np.zeros(shape, dtype=tensor.dtype)


def _of_parts(options: Options, *calibration: Inputs) -> Options:
    return Options(options.batch_size, options.opset, options.quantize, calibration, None, options.modules)

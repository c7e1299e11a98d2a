"""LoRA layers of Keras: keep their new updates when weights are loaded, and merge trained updates into the kernels."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import keras

from layercli.check import ValidConfig
from layercli.data.types import Array
from layercli.engine.assemble import AssembledModel, assemble_model
from layercli.engine.compare import compare_outputs, run_keras_model, run_reference
from layercli.engine.comparison_inputs import ComparisonCase
from layercli.engine.load_state import load_bin_boundaries, load_state
from layercli.errors import LayercliError
from layercli.graph.lora import LORA_PATH, has_lora
from layercli.runs.open_run import max_weight_bytes

_TOLERANCES: Final = {"float32": 1e-5, "mixed_bfloat16": 5e-2, "mixed_float16": 5e-3}
"""The largest difference by the dtype policy: with 16 bits, the sum of kernel and update is rounded at a different step."""


def list_lora_layers(model: Any) -> list[Any]:
    """Return the layers of a model that train a low-rank update, including nested ones."""
    return [layer for layer in model._flatten_layers() if getattr(layer, "lora_enabled", False)]


@contextmanager
def keep_lora_updates(model: Any) -> Iterator[None]:
    """Restore the updates after the block loads weights.

    Keras sets both factors of an update to zero when a layer loads weights. Then both gradients are zero, and it would never
    learn.
    """
    variables = [
        (variable, keras.ops.convert_to_numpy(variable))
        for layer in list_lora_layers(model)
        for variable in layer.weights
        if variable.name.startswith("lora_")
    ]
    yield
    for variable, value in variables:
        variable.assign(value)


def merge_trained_lora(trained: AssembledModel, valid: ValidConfig) -> AssembledModel:
    """Return the trained model with each low-rank update in its kernel, as a new model that is not compiled.

    The model itself is returned if it has none.
    """
    if not has_lora(valid.graph):
        return trained
    merged = assemble_model(valid.with_merged_lora())
    with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
        file = Path(folder, "trained.keras")
        trained.model.save(file)  # Keras merges the updates in the file
        with file.open("rb") as content:
            load_bin_boundaries(merged.model, content)
            load_state(merged.model, content, max_weight_bytes(valid) + file.stat().st_size)
    for name, layer in trained.layers.items():
        if not layer.trainable:
            merged.layers[name].trainable = False
    return merged


def describe_merge(
    trained: AssembledModel, merged: AssembledModel, valid: ValidConfig, inputs: Mapping[str, Array]
) -> dict[str, Any]:
    """Return the merged layers, the parameters of the merged model, and the largest relative difference of the outputs.

    Raises:
        LayercliError: It is too large.
    """
    tolerance = _TOLERANCES[valid.config.model.dtype or "float32"]
    reference = run_reference(
        trained.model,
        ComparisonCase("training examples", dict(inputs), is_real=True),
        measure_sensitivity=False,
    )
    differences = compare_outputs([reference], [run_keras_model(merged.model, inputs)], tolerance)
    largest = max(differences, key=lambda each: each.relative_error)
    if largest.is_too_large:
        message = (
            f"The model with merged updates differs from the trained model by {largest.relative_error:.3g} of the largest "
            f"output, and at most {tolerance:g} is rounding."
        )
        hint = "The last checkpoint has the trained weights. Please report this with the config."
        raise LayercliError(valid.make_problem(LORA_PATH, "not-savable", message, hint))
    return {
        "layers": [layer.name for layer in list_lora_layers(trained.model)],
        "parameters": merged.model.count_params(),
        "difference": largest.relative_error,
    }

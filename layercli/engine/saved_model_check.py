"""Load a saved model again, as its users do, and compare its outputs with those of the trained model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layercli.check import ValidConfig
from layercli.data.types import Array
from layercli.engine.assemble import AssembledModel, rebuild_from_config
from layercli.engine.compare import run_keras_model
from layercli.engine.keras_errors import summarize_error
from layercli.engine.load_state import CONFIG_FILE, load_state
from layercli.errors import LayercliError, Problem
from layercli.graph.build import GraphNode
from layercli.io.archives import MAX_JSON_BYTES, Archive
from layercli.runs.open_run import max_weight_bytes

_HINT = "Return all arguments of `__init__` from `get_config`, and create all weights with `self.add_weight`."


def check_saved_model(
    path: Path, assembled: AssembledModel, valid: ValidConfig, inputs: Mapping[str, Array]
) -> list[Problem]:
    """Compare the outputs of a saved model for one batch with those of the trained model, bit for bit.

    Args:
        path: The .keras file.
        assembled: The trained model.
        valid: The config.
        inputs: One array of shape (batch, ...) for each input, by name.

    Returns:
        A warning, if the model itself returns different values for the same inputs.

    Raises:
        LayercliError: Keras cannot load the file, or an output differs.
    """
    try:
        loaded = _load_saved_model(path, assembled, valid)
    except Exception as error:
        node = _find_likely_node(valid)
        message = f"The trained model was saved, but Keras cannot load it: {summarize_error(error)}"
        raise LayercliError(valid.make_problem(node.path, "not-savable", message, _HINT)) from error
    expected = run_keras_model(assembled.model, inputs)
    if _are_equal(expected, run_keras_model(loaded, inputs)):
        return []
    node = _find_different_node(assembled, loaded, valid, inputs) or _find_likely_node(valid)
    if not _are_equal(expected, run_keras_model(assembled.model, inputs)):
        message = (
            f"`{node.name}` returns different values for the same input, so the saved model was not compared."
        )
        return [valid.make_problem(node.path, "not-compared", message, severity="warning")]
    message = f"The saved model differs from the trained model after it is loaded, first at `{node.name}`."
    raise LayercliError(valid.make_problem(node.path, "not-savable", message, _HINT))


def _load_saved_model(path: Path, assembled: AssembledModel, valid: ValidConfig) -> Any:
    """Return a new model from the architecture, weights and vocabularies in a file that this process wrote."""
    with path.open("rb") as file:
        config = json.loads(Archive(file).read(CONFIG_FILE, MAX_JSON_BYTES))
        config.pop("compile_config", None)
        codes = [code for node_codes in assembled.codes.values() for code in node_codes]
        model = rebuild_from_config(config, codes)
        load_state(model, file, max_weight_bytes(valid) + path.stat().st_size)
    return model


def _are_equal(expected: Sequence[Array], received: Sequence[Array]) -> bool:
    """Return whether outputs are equal bit for bit; NaN equals NaN."""
    return len(expected) == len(received) and all(
        one.shape == other.shape
        and one.dtype == other.dtype
        and (np.array_equal(one, other) if one.dtype.kind == "O" else one.tobytes() == other.tobytes())
        for one, other in zip(expected, received, strict=True)
    )


def _find_likely_node(valid: ValidConfig) -> GraphNode:
    """Return the first custom layer, otherwise the last layer."""
    return next((part.node for part in valid.custom_layers), valid.graph.nodes[-1])


def _find_different_node(
    assembled: AssembledModel, loaded: Any, valid: ValidConfig, inputs: Mapping[str, Array]
) -> GraphNode | None:
    """Return the first layer whose outputs differ, or None if the loaded model has other layers."""
    names = {layer.name for layer in loaded.layers}
    for node in valid.graph.nodes:
        if node.name not in names or node.reuse_of is not None:
            continue
        trained_part = keras.Model(assembled.model.inputs, assembled.tensors[node.name])
        loaded_part = keras.Model(loaded.inputs, loaded.get_layer(node.name).output)
        if not _are_equal(run_keras_model(trained_part, inputs), run_keras_model(loaded_part, inputs)):
            return node
    return None

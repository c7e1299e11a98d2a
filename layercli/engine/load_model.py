"""The model of a run, loaded safely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.engine.custom_layers import load_layer_class
from layercli.engine.keras_errors import summarize_error
from layercli.errors import LayercliError, Problem


def load_custom_classes(valid: ValidConfig) -> dict[str, Any]:
    """The user's layer classes by their names; runs the user's code, so the caller has asked for trust before.

    Raises:
        LayercliError: one cannot be loaded.
    """
    return {
        node.layer.class_name: load_layer_class(node.layer, node, valid)
        for node in valid.graph.nodes
        if isinstance(node.layer, CustomLayer)
    }


def load_model(path: Path, valid: ValidConfig) -> Any:
    """The model in a ``.keras`` file of a run, not compiled; code inside the file is never run.

    Raises:
        LayercliError: the file, or a layer of the user's, cannot be loaded.
    """
    classes = load_custom_classes(valid)
    try:
        return keras.models.load_model(path, custom_objects=classes, compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged file, or the user's layer, makes Keras raise
        message = f"The model cannot be loaded: {summarize_error(error)}"
        raise LayercliError(Problem(code="run-directory", message=message, file=str(path))) from error

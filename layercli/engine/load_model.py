"""Load the model of a run in Keras's safe mode."""

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
    """Return the custom layer classes by name; runs the user's code, so the caller must require trust first.

    Raises:
        LayercliError: a class cannot be loaded.
    """
    return {
        node.layer.class_name: load_layer_class(node.layer, node, valid)
        for node in valid.graph.nodes
        if isinstance(node.layer, CustomLayer)
    }


def load_model(path: Path, valid: ValidConfig) -> Any:
    """Load a run's ``.keras`` file without compiling it; code inside the file never runs.

    Raises:
        LayercliError: the file or a custom layer cannot be loaded.
    """
    classes = load_custom_classes(valid)
    try:
        return keras.models.load_model(path, custom_objects=classes, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file or a custom layer can raise anything
        message = f"The model cannot be loaded: {summarize_error(error)}"
        raise LayercliError(Problem(code="run-directory", message=message, file=str(path))) from error

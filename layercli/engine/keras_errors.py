"""What Keras, TensorFlow or the user's code said when they refused, in one line and at the config's line."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import tensorflow as tf

from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.errors import LayercliError
from layercli.graph.build import GraphNode
from layercli.source.nodes import sanitize_text

_KERAS_WRAPPERS = (
    re.compile(r"Exception encountered when calling .*?\x1b\[1m(?P<said>.*?)\x1b\[0m", re.DOTALL),
    re.compile(r"Could not automatically infer the output shape.*?Error encountered:(?P<said>.*)", re.DOTALL),
)
"""How Keras wraps what a layer's ``call`` raises, from the outside in."""
_TRACEBACK_NOISE = re.compile(
    r"Graph execution error:|Detected at node|<stack traces|File \"|\[\[|\d+ root error|\(\d+\) "
)
"""How the lines begin that TensorFlow puts around what a step raises."""
_MAX_MESSAGE_LENGTH = 400


def summarize_error(error: BaseException) -> str:
    """The type of the error and the line of its message that tells what is wrong."""
    text = str(error)
    for wrapping in _KERAS_WRAPPERS:
        if wrapped := wrapping.match(text):
            text = wrapped["said"]
    lines = [line.strip() for line in text.split("\n")]
    line = next((line for line in lines if line and not _TRACEBACK_NOISE.match(line)), "")
    return sanitize_text(
        f"{type(error).__name__}: {line}" if line else type(error).__name__, limit=_MAX_MESSAGE_LENGTH
    )


def model_error_types(valid: ValidConfig) -> tuple[type[Exception], ...]:
    """What a model raises, while it runs, for what the config or the data say; of the user's own code that is anything."""
    return (Exception,) if valid.custom_layers else (ValueError, TypeError, tf.errors.OpError)


def layer_error(node: GraphNode, valid: ValidConfig, summary: str, error: BaseException) -> LayercliError:
    """The problem that a layer was refused, at the layer's line, and where the user's own code failed."""
    hint = None
    if isinstance(node.layer, CustomLayer):
        location = _user_code_location(error, node, valid)
        hint = f"Look at {location}." if location else "Look at the class that the layer names."
    return LayercliError(
        valid.make_problem(node.path, "layer-refused", f"{summary}: {summarize_error(error)}", hint)
    )


def _user_code_location(error: BaseException, node: GraphNode, valid: ValidConfig) -> str | None:
    """The last line of the user's file that ran, if the error passed through it."""
    layer = node.layer
    if not isinstance(layer, CustomLayer) or layer.kind != "file":
        return None
    file = valid.custom_layer_file(node)
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file
    ]
    return f"line {lines[-1]} of {layer.module}" if lines else None

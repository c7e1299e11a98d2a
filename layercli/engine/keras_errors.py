"""Turn exceptions of Keras, TensorFlow and custom layers into one-line problems at the config's line."""

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
    re.compile(r"Exception encountered when calling .*?\x1b\[1m(?P<message>.*?)\x1b\[0m", re.DOTALL),
    re.compile(
        r"Could not automatically infer the output shape.*?Error encountered:(?P<message>.*)", re.DOTALL
    ),
)
"""Patterns of the text that Keras puts around an exception of a layer's ``call``, outermost first."""
_TRACEBACK_NOISE = re.compile(
    r"Graph execution error:|Detected at node|<stack traces|File \"|\[\[|\d+ root error|\(\d+\) "
)
"""The start of lines that TensorFlow adds to an exception of a step."""
_MAX_MESSAGE_LENGTH = 400


def summarize_error(error: BaseException) -> str:
    """Return the error's type and the line of its message that states the cause."""
    text = str(error)
    for wrapper in _KERAS_WRAPPERS:
        if wrapped := wrapper.match(text):
            text = wrapped["message"]
    lines = [line.strip() for line in text.split("\n")]
    line = next((line for line in lines if line and not _TRACEBACK_NOISE.match(line)), "")
    return sanitize_text(
        f"{type(error).__name__}: {line}" if line else type(error).__name__, limit=_MAX_MESSAGE_LENGTH
    )


def model_error_types(valid: ValidConfig) -> tuple[type[Exception], ...]:
    """Return the exception types that mean the config or data is wrong; any exception, if there are custom layers."""
    return (Exception,) if valid.custom_layers else (ValueError, TypeError, tf.errors.OpError)


def layer_error(node: GraphNode, valid: ValidConfig, summary: str, error: BaseException) -> LayercliError:
    """Return the problem that a layer failed, at its line in the config; the hint names the line of custom code."""
    hint = None
    if isinstance(node.layer, CustomLayer):
        location = _user_code_location(error, node, valid)
        hint = f"Check {location}." if location else "Check the class of this layer."
    return LayercliError(
        valid.make_problem(node.path, "layer-refused", f"{summary}: {summarize_error(error)}", hint)
    )


def _user_code_location(error: BaseException, node: GraphNode, valid: ValidConfig) -> str | None:
    """Return the last line of the custom file that ran, if the error passed through the file."""
    layer = node.layer
    if not isinstance(layer, CustomLayer) or layer.kind != "file":
        return None
    file = valid.custom_layer_file(node)
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file
    ]
    return f"line {lines[-1]} of {layer.module}" if lines else None

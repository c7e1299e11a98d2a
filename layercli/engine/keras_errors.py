"""Turn exceptions of Keras, TensorFlow and custom layers into one-line problems at the config's line."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.engine.custom_layer_mistakes import LayerCode, Mistake, explain_error, find_mistakes
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


def layer_error(
    node: GraphNode, valid: ValidConfig, summary: str, error: BaseException, layer: Any
) -> LayercliError:
    """Return the problems that made a layer fail, at its line in the config.

    Args:
        node: The layer.
        valid: The config.
        summary: What failed.
        error: The exception.
        layer: The Keras layer, or its class if it could not be created.
    """
    hint = None
    if isinstance(node.layer, CustomLayer) and node.layer.has_user_code:
        code = (
            LayerCode(node.layer, layer)
            if isinstance(layer, type)
            else LayerCode(node.layer, type(layer), layer)
        )
        line = find_code_line(error, code.file)
        explained = explain_error(error, code, line)
        mistakes = find_mistakes(code)
        if _is_raised_by(error, code.file) and not any(
            mistake.line in code.statement_lines(line) for mistake in mistakes
        ):
            mistakes = []
        mistakes = mistakes or ([] if explained is None else [explained])
        if mistakes:
            return error_from_mistakes(mistakes, node, valid)
        hint = f"Check line {line} of {code.file_name}." if line else "Check the class of this layer."
    return LayercliError(
        valid.make_problem(node.path, "layer-refused", f"{summary}: {summarize_error(error)}", hint)
    )


def error_from_mistakes(mistakes: Iterable[Mistake], node: GraphNode, valid: ValidConfig) -> LayercliError:
    """Return the mistakes in the code of a layer as problems at its line in the config."""
    return LayercliError(
        valid.make_problem(node.path, "layer-refused", str(mistake), mistake.fix) for mistake in mistakes
    )


def _is_raised_by(error: BaseException, file: Path | None) -> bool:
    """Return whether a line of custom code itself raised an exception that does not come from a wrong name or call."""
    frames = traceback.extract_tb(error.__traceback__)
    return (
        not isinstance(error, (NameError, AttributeError, TypeError))
        and bool(frames)
        and Path(frames[-1].filename) == file
    )


def find_code_line(error: BaseException, file: Path | None) -> int | None:
    """Return the last line of a file of custom code that ran before an exception, or the line that cannot be parsed."""
    if isinstance(error, SyntaxError) and error.filename is not None and Path(error.filename) == file:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == file]
    return lines[-1] if lines else None

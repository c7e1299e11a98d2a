"""Turn exceptions of Keras, TensorFlow and custom layers into one-line problems at the config's line."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import tensorflow as tf
from pydantic_core import PydanticCustomError

from layercli.check import ValidConfig
from layercli.engine.custom_layer_exceptions import explain_error
from layercli.engine.custom_layer_mistakes import LayerCode, Mistake, find_mistakes, suggest_import
from layercli.errors import LayercliError, Problem
from layercli.graph.build import GraphNode
from layercli.layers.arguments import parse_activation
from layercli.layers.custom_layers import find_class_beside
from layercli.layers.object_registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.source.nodes import sanitize_text

_KERAS_WRAPPERS = (
    re.compile(r"Exception encountered when calling .*?\x1b\[1m(?P<message>.*?)(?:\x1b\[0m|\Z)", re.DOTALL),
    re.compile(
        r"Could not automatically infer the output shape.*?Error encountered:(?P<message>.*)", re.DOTALL
    ),
)
"""Patterns of the text that Keras puts around an exception of a layer's ``call``; they can be nested."""
_TRACEBACK_NOISE = re.compile(
    r"Graph execution error:|Detected at node|<stack traces|File \"|\[\[|\d+ root error|\(\d+\) "
)
"""The start of lines that TensorFlow adds to an exception of a step."""
_OPERATION_NOISE = re.compile(
    r"\{\{function_node [^}]*\}\} ?| ?\[Op:\w+\](?: name:.*)?|tensorflow\.python\.[\w.]+Error: "
)
"""The parts of a line that name internal functions of TensorFlow."""
_FRAMEWORKS = frozenset({"keras", "tensorflow"})
_MAX_MESSAGE_LENGTH = 400


def read_error_text(error: BaseException) -> str:
    """Return the message of an exception; "" if the class of the exception fails to return it."""
    try:
        return str(error)
    except Exception:
        return ""


def summarize_error(error: BaseException) -> str:
    """Return the error's type and the line of its message that states the cause.

    The type is left out if Keras or TensorFlow raised the error: it does not help the user.
    """
    text = read_error_text(error)
    while wrapped := next(filter(None, (wrapper.match(text) for wrapper in _KERAS_WRAPPERS)), None):
        text = wrapped["message"].strip()
    lines = [line.strip() for line in text.split("\n")]
    line = next((line for line in lines if line and not _TRACEBACK_NOISE.match(line)), "")
    line = _OPERATION_NOISE.sub("", line).strip()
    name = type(error).__name__
    message = line if line and _is_raised_by_framework(error) else f"{name}: {line}" if line else name
    return sanitize_text(message, limit=_MAX_MESSAGE_LENGTH)


def _is_raised_by_framework(error: BaseException) -> bool:
    """Return whether the code of Keras or TensorFlow raised an error, so not custom code or a test."""
    frames = traceback.extract_tb(error.__traceback__)
    folders = Path(frames[-1].filename).parts if frames else ()
    return isinstance(error, tf.errors.OpError) or not _FRAMEWORKS.isdisjoint(folders)


def model_error_types(valid: ValidConfig) -> tuple[type[BaseException], ...]:
    """Return the exception types that mean the config or data is wrong; any exception, if there is custom code."""
    return (
        (Exception, SystemExit)
        if valid.custom_layers or valid.custom_objects
        else (ValueError, TypeError, tf.errors.OpError)
    )


def layer_error(
    node: GraphNode, valid: ValidConfig, summary: str, error: BaseException, codes: Iterable[LayerCode]
) -> LayercliError:
    """Return the problems that made a layer fail, at its line in the config.

    Args:
        node: The layer.
        valid: The config.
        summary: What failed.
        error: The exception.
        codes: The code of the layer, if it is a custom layer, and of the custom layers nested in it.
    """
    hint, path = None, node.path
    code = _find_failed_code(error, [code for code in codes if code.layer.has_user_code])
    if code is not None:
        path = code.part.path
        unknown_name = _find_unknown_name(error, code, valid)
        if unknown_name is not None:
            return LayercliError(unknown_name)
        mistakes = explain_failure(error, code)
        if mistakes:
            return error_from_mistakes(mistakes, code, valid)
        line = find_code_line(error, code.file)
        hint = f"Check line {line} of {code.file_name}." if line else "Check the class of this layer."
    return LayercliError(
        valid.make_problem(path, "layer-refused", f"{summary}: {summarize_error(error)}", hint)
    )


_UNKNOWN_NAME_PATTERN = re.compile(
    r"Could not interpret (?P<kind>activation|initializer|regularizer|constraint)\b[\w ]* identifier: (?P<name>\S+)"
)
_NAME_PARSERS: Mapping[str, Callable[[str], object]] = {
    "activation": parse_activation,
    "initializer": INITIALIZERS.parse_or_name,
    "regularizer": REGULARIZERS.parse_or_name,
    "constraint": CONSTRAINTS.parse_or_name,
}
"""Kind of a Keras object -> a function that raises an error for an unknown name."""


def _find_unknown_name(error: BaseException, code: LayerCode, valid: ValidConfig) -> Problem | None:
    """Return the problem of an argument that does not name a Keras object, such as ``activation: reluu``."""
    match = _UNKNOWN_NAME_PATTERN.search(read_error_text(error))
    for key, value in code.layer.constructor_arguments.items() if match is not None else ():
        if match is None or value != match["name"]:
            continue
        try:
            _NAME_PARSERS[match["kind"]](value)
        except PydanticCustomError as unknown:
            context = unknown.context or {}
            path = (*code.part.path, key)
            return valid.make_problem(path, unknown.type, context["message"], context["hint"])
    return None


def explain_failure(error: BaseException, code: LayerCode) -> list[Mistake]:
    """Return the certain mistakes in the class of a layer that failed, otherwise the one that the exception shows."""
    line = find_code_line(error, code.file)
    mistakes = find_mistakes(code)
    if _is_raised_by(error, code.file) and not any(
        mistake.line in code.statement_lines(line) for mistake in mistakes
    ):
        mistakes = []
    explained = explain_error(error, code, line)
    return mistakes or ([] if explained is None else [explained])


def _find_failed_code(error: BaseException, codes: Sequence[LayerCode]) -> LayerCode | None:
    """Return the code that ran last before an exception, otherwise that of the outermost custom layer."""
    by_file = {code.file: code for code in reversed(codes)}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if (code := by_file.get(Path(frame.filename))) is not None:
            return next((one for one in codes if one.file == code.file and one.has_line(frame.lineno)), code)
    return next(iter(codes), None)


def is_raised_in(error: BaseException, codes: Iterable[LayerCode]) -> bool:
    """Return whether an exception passed custom code, whose line a problem can name."""
    files = {code.file for code in codes if code.layer.has_user_code}
    return any(Path(frame.filename) in files for frame in traceback.extract_tb(error.__traceback__))


def error_from_mistakes(mistakes: Iterable[Mistake], code: LayerCode, valid: ValidConfig) -> LayercliError:
    """Return the mistakes in the code of a layer as problems at its line in the config."""
    return LayercliError(
        valid.make_problem(code.part.path, "layer-refused", str(mistake), mistake.fix) for mistake in mistakes
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


class NamedCode(Protocol):
    """A component whose class a config names by file or module."""

    @property
    def module(self) -> str:
        """The file or module."""

    @property
    def class_name(self) -> str:
        """The name of the class."""


_NAME_PATTERN = re.compile(r"name '(?P<name>\w+)' is not defined")
_OLD_MODULE_PATTERN = re.compile(
    r"No module named '(?:tensorflow\.(?:python\.)?)?keras\.\w+|cannot import name '\w+' from '(?:tensorflow\.)?keras"
)


def suggest_import_fix(error: BaseException, file: Path | None, named: NamedCode, directory: Path) -> str:
    """Return a hint for an exception during the import of custom code."""
    if file is None and (reference := find_class_beside(directory, named.class_name)) is not None:
        return f"Write `type: {reference}`."
    line, module = find_code_line(error, file), named.module
    if line is None:
        return "Fix the error in that code."
    name = _NAME_PATTERN.search(read_error_text(error))
    statement = suggest_import(name["name"]) if name is not None else None
    if statement is not None:
        return f"Add `{statement}` at the top of {module}."
    if _OLD_MODULE_PATTERN.search(read_error_text(error)):
        return f"Keras 3 does not have it. Import `keras` in line {line} of {module}, and use `keras.layers` or `keras.ops`."
    return f"Fix line {line} of {module}."

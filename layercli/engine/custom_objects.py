"""Create losses, metrics, optimizers, schedules and callbacks from custom code; the caller must require trust first."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, Final

import keras

from layercli.check import ValidConfig
from layercli.config.training.custom_objects import CustomObject
from layercli.config.training.log_names import collect_log_names
from layercli.config.training.section import TrainSection
from layercli.data.user_code import import_user_module
from layercli.engine.keras_errors import find_code_line, read_error_text, suggest_import_fix, summarize_error
from layercli.errors import LayercliError
from layercli.schema.suggestions import did_you_mean, list_names
from layercli.source.nodes import KeyPath, quote_value, sanitize_text

_BASE_CLASSES: Final = {
    "loss": ("keras.losses.Loss", keras.losses.Loss),
    "metric": ("keras.metrics.Metric", keras.metrics.Metric),
    "optimizer": ("keras.optimizers.Optimizer", keras.optimizers.Optimizer),
    "learning-rate schedule": (
        "keras.optimizers.schedules.LearningRateSchedule",
        keras.optimizers.schedules.LearningRateSchedule,
    ),
    "callback": ("keras.callbacks.Callback", keras.callbacks.Callback),
}
_FUNCTION_NOUNS: Final = ("loss", "metric")
_REQUIRED_METHODS: Final = {
    "loss": {"call": "self, y_true, y_pred"},
    "metric": {"update_state": "self, y_true, y_pred, sample_weight=None", "result": "self"},
    "learning-rate schedule": {"__call__": "self, step"},
}
"""The methods that a class must define, with their parameters."""
_LOG_HOOKS: Final = dict.fromkeys(
    ("on_train_begin", "on_train_end", "on_test_begin", "on_test_end"), "self, logs=None"
)
_METHOD_PARAMETERS: Final = {
    **_REQUIRED_METHODS,
    "callback": {
        **_LOG_HOOKS,
        "on_epoch_begin": "self, epoch, logs=None",
        "on_epoch_end": "self, epoch, logs=None",
        "on_train_batch_begin": "self, batch, logs=None",
        "on_train_batch_end": "self, batch, logs=None",
        "get_state": "self",
        "set_state": "self, state",
    },
}
"""The parameters of the methods that are called: those without a default by position, for metrics the last one by name."""
_BATCH_HOOKS: Final = (
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_batch_begin",
    "on_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


class _FunctionLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras has no types
    """The mean of a function of targets and predictions."""

    def __init__(self, function: Callable[..., Any], name: str, arguments: dict[str, Any]) -> None:
        super().__init__(name=name)
        self._function = function
        self._arguments = arguments

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self._function(y_true, y_pred, **self._arguments)


def load_custom_class(custom: CustomObject, valid: ValidConfig) -> Any:
    """Return the class or function that a config names; runs the user's code.

    Raises:
        LayercliError: it cannot be loaded, or is not of the kind that the config requires.
    """
    path, file = _find_path(custom, valid), valid.custom_object_file(custom)
    try:
        module = import_user_module(file, custom.module)
    except (Exception, SystemExit) as error:
        directory = valid.check_result.directory_of((*path, "type"))
        hint = suggest_import_fix(error, file, custom, directory)
        raise _make_error(
            custom, valid, f"Cannot import {custom.module}: {summarize_error(error)}", hint
        ) from error
    try:
        found = getattr(module, custom.class_name, None)
    except (Exception, SystemExit) as error:  # of the module's `__getattr__`
        message = f"`__getattr__` of {custom.module} fails: {summarize_error(error)}"
        raise _make_error(custom, valid, message, f"Define {custom.class_name} in that module.") from error
    if found is None:
        names = [name for name, item in vars(module).items() if callable(item) and not name.startswith("_")]
        hint = did_you_mean(
            custom.class_name, names, otherwise=f"The module defines {', '.join(names) or 'no classes'}."
        )
        raise _make_error(custom, valid, f"{custom.module} has no {custom.class_name}.", hint)
    base_name, base = _BASE_CLASSES[custom.noun]
    is_class = isinstance(found, type)
    accepts_function = custom.noun in _FUNCTION_NOUNS
    if not (issubclass(found, base) if is_class else accepts_function and callable(found)):
        hint = f"Derive it from {base_name}" + (
            ", or write a function of y_true and y_pred." if accepts_function else "."
        )
        article = "an" if custom.noun[0] in "aeiou" else "a"
        raise _make_error(
            custom, valid, f"{custom.type_name()} is not {article} {custom.noun} of Keras.", hint
        )
    for method, parameters in _REQUIRED_METHODS.get(custom.noun, {}).items() if is_class else ():
        if getattr(found, method) is getattr(base, method):
            message = f"{custom.type_name()} has no method `{method}`."
            hint = f"Add `def {method}({parameters}):` to {custom.class_name}."
            raise _make_error(custom, valid, message, hint)
    if is_class:
        _check_parameters(found, custom, valid)
    return found


def _check_parameters(found: type, custom: CustomObject, valid: ValidConfig) -> None:
    """Check that the methods of a class take what they are called with.

    Raises:
        LayercliError: One of them does not.
    """
    for method, parameters in _METHOD_PARAMETERS.get(custom.noun, {}).items():
        function = inspect.getattr_static(found, method, None)
        if not inspect.isfunction(function):
            continue
        names = [each.partition("=")[0] for each in parameters.split(", ")]
        by_name = {"sample_weight": None} if names[-1] == "sample_weight" else {}
        signature = inspect.signature(function, follow_wrapped=False)  # a decorator may change the parameters
        try:
            signature.bind(*names[: len(names) - len(by_name)], **by_name)
        except TypeError:
            received = str(signature.replace(return_annotation=inspect.Signature.empty))  # with `*` and `/`
            title = f"{custom.type_name()}.{method}"
            message = f"`{title}` must take ({parameters}), got {sanitize_text(received, limit=100)}."
            is_inherited = function.__globals__.get("__name__") != found.__module__
            file = sanitize_text(function.__code__.co_filename) if is_inherited else custom.module
            hint = (
                f"Write `def {method}({parameters}):` in line {function.__code__.co_firstlineno} of {file}."
            )
            raise _make_error(custom, valid, message, hint) from None


def create_custom_object(custom: CustomObject, arguments: dict[str, Any], valid: ValidConfig) -> Any:
    """Return the Keras object of a custom class or function with its arguments; runs the user's code.

    Raises:
        LayercliError: it cannot be loaded or created.
    """
    found = load_custom_class(custom, valid)
    try:
        created = _create_object(found, custom, arguments)
        if not isinstance(created, _BASE_CLASSES[custom.noun][1]):
            message = f"`__new__` of {custom.type_name()} must return an object of the class, got {type(created).__name__}."
            raise _make_error(custom, valid, message, f"Remove `__new__` from {custom.class_name}.")
        if custom.noun == "metric":
            created.name = custom.log_name  # callbacks and the history refer to it, before the code is loaded
    except LayercliError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, TypeError) and (
            unknown := _find_unknown_argument(found, custom, arguments, valid)
        ):
            raise unknown from error
        line = find_code_line(error, _find_file(found))
        hint = (
            f"Check line {line} of {custom.module}."
            if line
            else f"Compare the arguments with those in {custom.module}."
        )
        message = f"{custom.class_name} cannot be created with these arguments: {summarize_error(error)}"
        raise _make_error(custom, valid, message, hint) from error
    if custom.noun != "callback":
        _require_savable(created, custom, valid)
    if custom.noun in _FUNCTION_NOUNS:
        _check_returned_values(created, found, custom, valid)
    return created


def _check_returned_values(created: Any, found: Any, custom: CustomObject, valid: ValidConfig) -> None:
    """Make a loss or metric refuse what its method returns if it is not a number, such as None."""
    is_function = not isinstance(found, type)
    method = "call" if custom.noun == "loss" else "_fn" if is_function else "result"
    title = custom.type_name() if is_function else f"{custom.type_name()}.{method}"
    original = getattr(created, method)

    @wraps(original)
    def call_and_check(*args: Any, **kwargs: Any) -> Any:
        value = original(*args, **kwargs)
        _require_numbers(value, title, custom, valid)
        return value

    setattr(created, method, call_and_check)


def _require_numbers(value: Any, title: str, custom: CustomObject, valid: ValidConfig) -> None:
    """Check that custom code returned numbers.

    Raises:
        LayercliError: it did not, for example because a method has no `return`.
    """
    try:
        found = keras.backend.standardize_dtype(keras.ops.convert_to_tensor(value).dtype)
    except (ValueError, TypeError):
        found = type(value).__name__
    else:
        if custom.noun == "loss" and found != "string" and not keras.backend.is_float_dtype(found):
            message = f"`{title}` must return floating-point numbers, got {found}: it has no gradient."
            raise _make_error(
                custom, valid, message, "Remove the conversion or comparison, or multiply by a float."
            )
        if found != "string":
            return
    message = f"`{title}` must return numbers, got {'None' if value is None else f'a value of type {found}'}."
    hint = "Check that each path through its code ends with `return`." if value is None else None
    raise _make_error(custom, valid, message, hint or "Return a tensor of numbers, such as float32.")


def check_schedule(optimizer: Any, valid: ValidConfig) -> None:
    """Check what a custom schedule returns for the first step, after a training failed.

    Raises:
        LayercliError: it is not a number.
    """
    schedule = getattr(optimizer, "_learning_rate", None)
    for custom, _ in valid.custom_objects:
        is_schedule = custom.noun == "learning-rate schedule" and type(schedule).__name__ == custom.class_name
        if is_schedule and callable(schedule):
            try:
                value = schedule(keras.ops.zeros((), "int64"))
            except (Exception, SystemExit):
                return  # the error of the training names the line
            _require_numbers(value, f"{custom.type_name()}.__call__", custom, valid)


def _require_savable(created: Any, custom: CustomObject, valid: ValidConfig) -> None:
    """Check that Keras can save an object, as it does after the last step.

    Raises:
        LayercliError: its `get_config` fails, or returns something that a model file cannot contain.
    """
    try:
        json.dumps(keras.saving.serialize_keras_object(created))
    except (Exception, SystemExit) as error:
        message = f"`{custom.type_name()}` cannot be saved with the model: {summarize_error(error)}"
        raise _make_error(custom, valid, message, _suggest_config_method(created, custom, error)) from error


def _suggest_config_method(created: Any, custom: CustomObject, error: BaseException) -> str:
    """Return the change of a class after which Keras can save its objects."""
    cls = type(created)
    line = find_code_line(error, _find_file(cls))
    if line:
        return f"Check line {line} of {custom.module}."
    init, base_init = cls.__init__, _BASE_CLASSES[custom.noun][1].__init__
    needs_init = custom.noun != "learning-rate schedule"
    if (
        needs_init
        and init is not base_init
        and "super" not in getattr(getattr(init, "__code__", None), "co_names", "super")
    ):
        return f"Call `super().__init__()` first in `__init__` of {custom.class_name}."
    if any("get_config" in vars(each) for each in cls.__mro__ if not each.__module__.startswith("keras.")):
        return f"Return the arguments as numbers, texts, lists and mappings in `get_config` of {custom.class_name}."
    arguments = ", ".join(f'"{name}": self.{name}' for name in custom.constructor_arguments)
    return f"Add `def get_config(self): return {{{arguments}}}` to {custom.class_name}."


def _create_object(found: Any, custom: CustomObject, arguments: dict[str, Any]) -> Any:
    is_named_here = not isinstance(found, type) or not _accepts_name(found)
    if custom.noun in _FUNCTION_NOUNS and is_named_here:
        arguments = {key: value for key, value in arguments.items() if key != "name"}
    if isinstance(found, type):
        return found(**arguments)
    inspect.signature(found).bind(None, None, **arguments)
    if custom.noun == "metric":
        return keras.metrics.MeanMetricWrapper(found, name=custom.log_name, **arguments)
    return _FunctionLoss(found, custom.log_name, arguments)


def _find_unknown_argument(
    found: Any, custom: CustomObject, arguments: dict[str, Any], valid: ValidConfig
) -> LayercliError | None:
    """Return the error for the first argument that neither the code nor a class it derives from has, or None."""
    is_class = isinstance(found, type)
    makers = [cls.__dict__.get("__init__") for cls in found.__mro__] if is_class else [found]
    first = 1 if is_class else 2
    parameters = [
        each.name
        for maker in filter(inspect.isfunction, makers)
        for each in list(inspect.signature(maker).parameters.values())[first:]
        if each.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    unknown = next((name for name in arguments if name not in ("name", *parameters)), None)
    if unknown is None:
        return None
    shown = sanitize_text(unknown, limit=60)
    hint = did_you_mean(
        unknown,
        dict.fromkeys(parameters),
        otherwise=f"Remove `{shown}`: it takes {list_names(list(dict.fromkeys(parameters))) or 'no arguments'}.",
    )
    message = f"`{custom.type_name()}` has no argument {quote_value(unknown)}."
    return LayercliError(
        valid.make_problem((*_find_path(custom, valid), unknown), "custom-object", message, hint)
    )


def _accepts_name(cls: type) -> bool:
    parameters = inspect.signature(cls).parameters.values()
    return any(each.name == "name" or each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)


def find_batch_hook(custom: CustomObject, valid: ValidConfig) -> str | None:
    """Return the method of a callback that Keras calls for each batch; None if it only works on epochs."""
    callback_class = load_custom_class(custom, valid)
    return next(
        (
            name
            for name in _BATCH_HOOKS
            if getattr(callback_class, name) is not getattr(keras.callbacks.Callback, name)
        ),
        None,
    )


def explain_custom_error(error: BaseException, valid: ValidConfig) -> LayercliError | None:
    """Return the error in the code of a custom loss, metric, optimizer, schedule or callback, at its line; or None."""
    for cause in _iterate_causes(error):
        for file, line in reversed(_list_lines(cause)):
            custom = _find_object(file, line, valid)
            if custom is not None:
                message = f"`{custom.type_name()}` fails: {summarize_error(cause)}"
                hint = f"Check line {line} of {custom.module}.{_suggest_log_name(cause, custom, valid)}"
                return LayercliError(
                    valid.make_problem(_find_path(custom, valid), "custom-object", message, hint)
                )
    return None


def _suggest_log_name(error: BaseException, custom: CustomObject, valid: ValidConfig) -> str:
    """Return a sentence with the names in `logs` if a callback reads one that they do not have; or an empty string."""
    train, key = valid.config.train, error.args[0] if error.args else None
    if (
        custom.noun != "callback"
        or not isinstance(error, KeyError)
        or not isinstance(key, str)
        or train is None
    ):
        return ""
    logged = collect_log_names(train, valid.graph.output_references)
    names = [*logged, *(f"val_{name}" for name in logged)]
    return f" `logs` can have {list_names(names)}."


def _iterate_causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


_NODE_LINE = re.compile(r'File "(?P<file>[^"\n]{1,4096})", line (?P<line>\d{1,9})')


def _list_lines(error: BaseException) -> list[tuple[Path, int]]:
    """Return the lines of code that an exception passed, and those that created the operation that failed."""
    frames = [
        (Path(frame.filename), frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)
    ]
    nodes = [
        (Path(match["file"]), int(match["line"])) for match in _NODE_LINE.finditer(read_error_text(error))
    ]
    return [*frames, *nodes]


def _find_object(file: Path, line: int, valid: ValidConfig) -> CustomObject | None:
    """Return the custom object whose class or function contains a line of its file, otherwise the first in that file."""
    objects = [custom for custom, _ in valid.custom_objects if _find_module_file(custom, valid) == file]
    return next(
        (custom for custom in objects if _contains_line(file, custom, line)), next(iter(objects), None)
    )


def _find_module_file(custom: CustomObject, valid: ValidConfig) -> Path | None:
    if custom.kind == "file":
        return valid.custom_object_file(custom)
    found = getattr(sys.modules.get(custom.module), "__file__", None)
    return None if found is None else Path(found)


def _contains_line(file: Path, custom: CustomObject, line: int) -> bool:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return False
    return any(
        isinstance(node, (ast.ClassDef, ast.FunctionDef))
        and node.name == custom.class_name
        and node.lineno <= line <= (node.end_lineno or line)
        for node in tree.body
    )


def _find_file(found: Any) -> Path | None:
    try:
        return Path(inspect.getfile(found))
    except (OSError, TypeError):
        return None


def _find_path(custom: CustomObject, valid: ValidConfig) -> KeyPath:
    same = [path for each, path in valid.custom_objects if each is custom]
    equal = [path for each, path in valid.custom_objects if each == custom]
    return next(iter((*same, *equal)), ("train",))


def _make_error(custom: CustomObject, valid: ValidConfig, message: str, hint: str | None) -> LayercliError:
    return LayercliError(valid.make_problem(_find_path(custom, valid), "custom-object", message, hint))


def list_batch_callbacks(valid: ValidConfig, train: TrainSection) -> list[tuple[str, str]]:
    """Return the type of each custom callback that works on batches, and its method."""
    return [
        (callback.type_name(), hook)
        for callback, _, _ in train.iterate_callbacks()
        if isinstance(callback, CustomObject) and (hook := find_batch_hook(callback, valid)) is not None
    ]

"""Common mistakes in the class of a custom layer: what is wrong, in which line, and the change that fixes it."""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

import keras
import tensorflow as tf

from layercli.graph.build import CustomPart
from layercli.layers.base import Layer
from layercli.layers.custom_layers import CustomLayer
from layercli.schema.suggestions import find_closest
from layercli.source.nodes import quote_value

_CALLED_BY_KERAS: Final = ("__init__", "build", "call", "get_config", "compute_output_shape")
_SIGNATURES: Final = {"build": "self, input_shape", "call": "self, inputs"}
_METHODS_OF_OTHERS: Final = {"forward": "call", "__call__": "call", "init": "__init__", "__new__": "__init__"}
"""Names of other frameworks, and those that Keras uses itself -> the method to define."""
IMPORTS: Final = {
    "tf": "import tensorflow as tf",
    "np": "import numpy as np",
    "K": "from keras import backend as K",
    "ops": "from keras import ops",
    "layers": "from keras import layers",
    "activations": "from keras import activations",
    "initializers": "from keras import initializers",
    "Layer": "from keras.layers import Layer",
    **{name: f"import {name}" for name in ("keras", "math", "os", "tensorflow", "numpy", "functools")},
}
"""Usual names of modules -> the statement that defines them."""
_INITIALIZERS: Final = {
    "zeros": "zeros",
    "ones": "ones",
    "normal": "random_normal",
    "random_normal": "random_normal",
    "uniform": "random_uniform",
    "random_uniform": "random_uniform",
    "truncated_normal": "truncated_normal",
}
"""Functions that return initial values -> the initializer of Keras."""


class CreatedVariable(NamedTuple):
    """A TensorFlow variable and the line of the custom code that created it."""

    variable: Any
    file: Path | None
    line: int | None


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in the code of a custom layer."""

    file_name: str
    line: int
    description: str
    fix: str
    """A sentence that can be followed literally."""

    def __str__(self) -> str:
        return f"{self.file_name}, line {self.line}: {self.description}."


@dataclass(frozen=True)
class LayerCode:
    """The class of a custom layer and, if it could be created, the Keras layer; its source may be unreadable."""

    part: CustomPart
    layer_class: Any
    instance: Any = None

    @property
    def layer(self) -> CustomLayer:
        """The layer as the config declares it."""
        return self.part.layer

    @property
    def file_name(self) -> str:
        """The file or module as the config names it."""
        return self.layer.module

    @cached_property
    def file(self) -> Path | None:
        """The file that contains the class."""
        try:
            return Path(inspect.getfile(self.layer_class))
        except (OSError, TypeError):
            return None

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the file; empty if they cannot be read."""
        try:
            return inspect.findsource(self.layer_class)[0]
        except (OSError, TypeError):
            return []

    @cached_property
    def methods(self) -> dict[str, ast.FunctionDef]:
        """The methods that the class itself defines."""
        try:
            tree = ast.parse("".join(self.lines))
        except (SyntaxError, ValueError):
            return {}
        name = self.layer_class.__name__
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
        return {}

    @property
    def module_names(self) -> Mapping[str, Any]:
        """The global names of the module."""
        module = sys.modules.get(self.layer_class.__module__)
        return {} if module is None else vars(module)

    def attribute(self, node: ast.expr) -> Any:
        """Return the value of ``self.name`` on the instance; None for other expressions."""
        is_own = (
            isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
        )
        return getattr(self.instance, node.attr, None) if is_own else None  # type: ignore[attr-defined]

    def has_line(self, line: int | None) -> bool:
        """Return whether a method of the class contains a line of the file."""
        return line is not None and any(
            method.lineno <= line <= (method.end_lineno or line) for method in self.methods.values()
        )

    @property
    def first_line(self) -> int:
        """The line of the ``class`` statement, or 1 if the source cannot be read."""
        pattern = re.compile(rf"\s*class\s+{re.escape(self.layer_class.__name__)}\b")
        return next((number for number, line in enumerate(self.lines, start=1) if pattern.match(line)), 1)

    @property
    def last_line(self) -> int:
        """The last line of the last method, or 1 if the source cannot be read."""
        return max((method.end_lineno or method.lineno for method in self.methods.values()), default=1)

    @property
    def _last_return(self) -> ast.Return | None:
        """The last ``return`` of ``call``."""
        nodes = ast.walk(self.methods["call"]) if "call" in self.methods else ()
        found = [node for node in nodes if isinstance(node, ast.Return)]
        return max(found, key=lambda node: node.lineno, default=None)

    def describe_return(self) -> str:
        """Return where ``call`` returns its output, such as "line 7 of my.py"."""
        last = self._last_return
        return f"`call` in {self.file_name}" if last is None else f"line {last.lineno} of {self.file_name}"

    @property
    def returned_mapping_values(self) -> str | None:
        """The values of the mapping that ``call`` returns, as code; None if it does not return a literal mapping."""
        last = self._last_return
        if last is None or not isinstance(last.value, ast.Dict):
            return None
        return ", ".join(map(ast.unparse, last.value.values))

    def statement_lines(self, line: int | None) -> range:
        """Return the lines of the innermost statement that contains a line."""
        lines = range(line or 0, (line or 0) + 1)
        for method in self.methods.values():
            for node in ast.walk(method):
                if isinstance(node, ast.stmt) and not isinstance(
                    node, (ast.FunctionDef, ast.If, ast.For, ast.With)
                ):
                    found = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                    lines = found if line in found else lines
        return lines

    def line(self, number: int) -> str:
        """Return the text of a line without its indentation."""
        return self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""


def find_mistakes(code: LayerCode) -> list[Mistake]:
    """Return the certain mistakes in the class of a layer that failed, by line."""
    if not code.methods:
        return []
    found = [mistake for find in _SEARCHES for mistake in find(code)]
    return sorted(found, key=lambda mistake: mistake.line)


def find_lost_arguments(code: LayerCode) -> list[Mistake]:
    """Return a mistake for each argument that the config sets and ``get_config`` does not return."""
    method = code.methods.get("get_config")
    returned = code.instance.get_config()
    lost = [name for name in code.layer.constructor_arguments if name not in returned]
    if method is None or not lost:
        return []
    line = next((node.lineno for node in ast.walk(method) if isinstance(node, ast.Return)), method.lineno)
    return [
        Mistake(
            code.file_name,
            line,
            f"`get_config` does not return `{name}`, so a saved model loses it",
            f'Add `"{name}": {format_config_value(name, code)}` to the mapping that `get_config` returns.',
        )
        for name in lost
    ]


def find_unread_layers(code: LayerCode, rebuilt: Any) -> list[Mistake]:
    """Return a mistake for each argument that is a layer, but a mapping after the layer was recreated.

    Args:
        code: The code with the layer.
        rebuilt: The layer of the same class that was recreated from its own config.
    """
    method = code.methods.get("__init__")
    mistakes = []
    for name, value in code.layer.constructor_arguments.items():
        attribute = _find_attribute(name, code)
        if not isinstance(value, Layer) or not isinstance(getattr(rebuilt, attribute, None), dict):
            continue
        line, source = _find_assignment(code, attribute) or (
            code.first_line if method is None else method.lineno,
            name,
        )
        new = f"keras.saving.deserialize_keras_object({source}) if isinstance({source}, dict) else {source}"
        mistakes.append(
            Mistake(
                code.file_name,
                line,
                f"a saved model passes `{name}` as a mapping, which is not a layer",
                f"Write `self.{attribute} = {new}` in line {line}.",
            )
        )
    return mistakes


def format_config_value(name: str, code: LayerCode) -> str:
    """Return the expression that ``get_config`` returns for an argument of ``__init__``."""
    attribute = _find_attribute(name, code)
    value = getattr(code.instance, attribute, None)
    if isinstance(value, keras.layers.Layer):
        return f"keras.saving.serialize_keras_object(self.{attribute})"
    for kind in ("initializer", "regularizer", "constraint", "activation"):
        if kind in name and not isinstance(value, str):
            return f"keras.{kind}s.serialize(self.{attribute})"
    return f"self.{attribute}"


def _find_attribute(name: str, code: LayerCode) -> str:
    """Return the attribute to which ``__init__`` assigns an argument; the name of the argument if there is none."""
    for node in ast.walk(code.methods["__init__"]) if "__init__" in code.methods else ():
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Attribute):
            continue
        if any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node.value)):
            return node.targets[0].attr
    return name


def find_untracked_variables(
    created: Iterable[CreatedVariable], keras_layer: Any, codes: Sequence[LayerCode]
) -> list[tuple[LayerCode, Mistake]]:
    """Return a mistake for each place that created variables that Keras neither trains nor saves.

    Args:
        created: The variables that the layer created.
        keras_layer: The layer.
        codes: The code of the layer and of the custom layers nested in it.
    """
    tracked = {id(variable.value) for variable in keras_layer.variables}
    untracked = [
        item
        for item in created
        # the state of random generators is an integer
        if id(item.variable) not in tracked and item.variable.dtype.is_floating
    ]
    places = {(item.file, item.line): item.variable for item in reversed(untracked)}
    mistakes = []
    for (file, line), variable in places.items():
        code = _find_code(file, line, codes)
        mistakes.append((code, _explain_untracked(line, variable, code)))
    return sorted(mistakes, key=lambda pair: pair[1].line)


def _find_code(file: Path | None, line: int | None, codes: Sequence[LayerCode]) -> LayerCode:
    """Return the code whose class has a line of a file, otherwise code of that file, otherwise the first."""
    in_file = [code for code in codes if code.file == file]
    in_class = [code for code in in_file if code.has_line(line)]
    return (*in_class, *in_file, *codes)[0]


def _explain_untracked(line: int | None, variable: Any, code: LayerCode) -> Mistake:
    for call in ast.walk(code.methods["call"]) if "call" in code.methods else ():
        if (
            isinstance(call, ast.Call)
            and _is_layer_class(ast.unparse(call.func))
            and line in (None, call.lineno)
        ):
            name = ast.unparse(call.func).rpartition(".")[2].lower()
            return Mistake(
                code.file_name,
                call.lineno,
                "`call` creates a new layer each time, so its weights are neither trained nor saved",
                f"Add `self.{name} = {ast.unparse(call)}` at the end of `__init__`, and write `self.{name}` instead "
                f"in line {call.lineno}.",
            )
    description = "Keras does not track this `tf.Variable`, so it is neither trained nor saved"
    for method in code.methods.values():
        for call in ast.walk(method):
            if (
                isinstance(call, ast.Call)
                and call.lineno == line
                and ast.unparse(call.func).endswith("Variable")
            ):
                return Mistake(
                    code.file_name,
                    call.lineno,
                    description,
                    f"Write `{_format_add_weight(call, variable)}` instead of `{ast.unparse(call)}` in line {line}.",
                )
    fallback = min((method.lineno for method in code.methods.values()), default=1)
    return Mistake(
        code.file_name,
        line or fallback,
        "Keras does not track a variable of this layer, so it is neither trained nor saved",
        "Create weights with `self.add_weight` in `build`, and other layers as attributes of `self` in `__init__`.",
    )


def _is_layer_class(name: str) -> bool:
    found = getattr(keras.layers, name.rpartition(".")[2], None)
    return isinstance(found, type) and issubclass(found, keras.layers.Layer)


def _format_add_weight(call: ast.Call, variable: Any) -> str:
    """Return the call of ``add_weight`` that creates the same variable as a call of ``tf.Variable``."""
    value = call.args[0] if call.args else None
    shape, initializer = repr(tuple(variable.shape)), "glorot_uniform" if len(variable.shape) > 1 else "zeros"
    if isinstance(value, ast.Call) and value.args:
        known = _INITIALIZERS.get(ast.unparse(value.func).rpartition(".")[2])
        if known is not None:
            shape, initializer = ast.unparse(value.args[0]), known
    elif isinstance(value, ast.Constant):
        initializer = "ones" if value.value == 1 else initializer
    trainable = "" if variable.trainable else ", trainable=False"
    return f'self.add_weight(shape={shape}, initializer="{initializer}"{trainable})'


@contextmanager
def record_variables(files: Collection[Path | None]) -> Iterator[list[CreatedVariable]]:
    """Record each TensorFlow variable that is created, with the file of ``files`` and the line that was running."""
    created: list[CreatedVariable] = []

    def create(next_creator: Callable[..., Any], **arguments: Any) -> Any:
        variable = next_creator(**arguments)
        frame: FrameType | None = sys._getframe()
        while frame is not None and Path(frame.f_code.co_filename) not in files:
            frame = frame.f_back
        place = (None, None) if frame is None else (Path(frame.f_code.co_filename), frame.f_lineno)
        created.append(CreatedVariable(variable, *place))
        return variable

    with tf.variable_creator_scope(create):
        yield created


def suggest_import(name: str) -> str | None:
    """Return the statement that defines a name by its usual meaning, or None."""
    return IMPORTS.get(name)


def _find_missing_keywords(code: LayerCode) -> Iterator[Mistake]:
    method = code.methods.get("__init__")
    if method is None or method.args.kwarg is not None:
        return
    if len(method.args.posonlyargs) > 1:  # that must change first
        return
    accepted = [argument.arg for argument in (*method.args.args, *method.args.kwonlyargs)]
    missing = [name for name in ("name", "dtype", "trainable") if name not in accepted]
    if not missing:
        return
    first_line = f"def __init__({ast.unparse(_with_keywords(method.args))}):"
    parent = next(_find_parent_calls(method), None)
    also = "" if parent is None else f", and `super().__init__(**kwargs)` in line {parent.lineno}"
    yield Mistake(
        code.file_name,
        method.lineno,
        f"`{code.layer_class.__name__}.__init__` must accept `{missing[0]}`, as every Keras layer does",
        f"Write `{first_line}` in line {method.lineno}{also}.",
    )


def _with_keywords(arguments: ast.arguments) -> ast.arguments:
    return ast.arguments(
        posonlyargs=arguments.posonlyargs,
        args=arguments.args,
        vararg=arguments.vararg,
        kwonlyargs=arguments.kwonlyargs,
        kw_defaults=arguments.kw_defaults,
        kwarg=ast.arg("kwargs"),
        defaults=arguments.defaults,
    )


def _find_parent_calls(method: ast.FunctionDef) -> Iterator[ast.Call]:
    """Yield the calls of ``__init__`` of the base class."""
    for node in ast.walk(method):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "__init__"
        ):
            yield node


def _find_missing_parent_call(code: LayerCode) -> Iterator[Mistake]:
    method = code.methods.get("__init__")
    if method is None or next(_find_parent_calls(method), None) is not None:
        return
    keywords = "**kwargs" if method.args.kwarg is None else f"**{method.args.kwarg.arg}"
    yield Mistake(
        code.file_name,
        method.lineno,
        "`__init__` must call `super().__init__()` before it sets attributes",
        f"Insert `super().__init__({keywords})` below line {method.body[0].lineno - 1}.",
    )


def _find_method_names(code: LayerCode) -> Iterator[Mistake]:
    missing = [name for name in _CALLED_BY_KERAS if name not in code.methods]
    known = set(dir(keras.layers.Layer)) - set(_METHODS_OF_OTHERS)
    for name, method in code.methods.items():
        meant = _METHODS_OF_OTHERS.get(name) or find_closest(name, _CALLED_BY_KERAS)
        if name not in known and meant in missing:
            yield Mistake(
                code.file_name,
                method.lineno,
                f"Keras does not run the method `{name}`, and the class has no `{meant}`",
                f"Rename `{name}` in line {method.lineno} to `{meant}`.",
            )


def _find_parameters(code: LayerCode) -> Iterator[Mistake]:
    for name, signature in _SIGNATURES.items():
        method = code.methods.get(name)
        if method is None or method.args.vararg is not None or method.decorator_list:
            continue
        parameters = [argument.arg for argument in (*method.args.posonlyargs, *method.args.args)]
        if parameters[:1] != ["self"]:
            parameters = ["self", *parameters]
        if len(parameters) == 1:
            parameters = signature.split(", ")
        if len(parameters) > len(method.args.posonlyargs) + len(method.args.args):
            yield Mistake(
                code.file_name,
                method.lineno,
                f"`{name}` must have the parameters `{signature}`",
                f"Write `def {name}({', '.join(parameters)}):` in line {method.lineno}.",
            )


def _find_missing_return(code: LayerCode) -> Iterator[Mistake]:
    method = code.methods.get("call")
    if method is None or any(
        isinstance(node, ast.Raise) or (isinstance(node, ast.Return) and node.value is not None)
        for node in ast.walk(method)
    ):
        return
    names = [
        target.id
        for node in ast.walk(method)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    last = method.body[-1]
    if isinstance(last, ast.Expr) and not isinstance(last.value, ast.Constant):
        fix = f"Write `return {ast.unparse(last.value)}` in line {last.lineno}."
    elif names:
        fix = f"Add `return {names[-1]}` below line {last.end_lineno}."
    else:
        fix = f"Add a `return` with the output below line {last.end_lineno}."
    yield Mistake(
        code.file_name,
        last.end_lineno or last.lineno,
        "`call` must return the output, but it ends without `return`",
        fix,
    )


def _find_weight_arguments(code: LayerCode) -> Iterator[Mistake]:
    for call in _find_own_calls(code, "add_weight"):
        positional = call.args
        if positional and isinstance(positional[0], ast.Constant) and isinstance(positional[0].value, str):
            given = {"name": positional[0]} | dict(
                zip(("shape", "dtype", "initializer"), positional[1:], strict=False)
            )
            keywords = [ast.keyword(key, value) for key, value in given.items()]
            written = ast.unparse(ast.Call(call.func, [], [*keywords, *call.keywords]))
            yield Mistake(
                code.file_name,
                call.lineno,
                "`add_weight` takes the name as `name=`; its first argument is the shape",
                f"Write `{written}` in line {call.lineno}.",
            )
        shapes = [keyword.value for keyword in call.keywords if keyword.arg == "shape"] or positional[:1]
        for shape in shapes:
            size = shape.value if isinstance(shape, ast.Constant) else code.attribute(shape)
            if isinstance(size, int) and not isinstance(size, bool):
                yield Mistake(
                    code.file_name,
                    shape.lineno,
                    f"the shape of a weight must be a tuple, but `({ast.unparse(shape)})` is the number {size}: "
                    "a tuple of one size needs a comma",
                    f"Write `shape=({ast.unparse(shape)},)` in line {shape.lineno}.",
                )


def _find_own_calls(code: LayerCode, name: str | None = None) -> Iterator[ast.Call]:
    """Yield the calls of ``self.name(...)``; without a name, those of all methods and attributes."""
    for method in code.methods.values():
        for node in ast.walk(method):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "self"
                and name in (None, node.func.attr)
            ):
                yield node


def _find_called_names(code: LayerCode) -> Iterator[Mistake]:
    """Yield a mistake for each string that is called, such as ``self.activation``."""
    seen = set()
    for call in _find_own_calls(code):
        value = code.attribute(call.func)
        name = call.func.attr  # type: ignore[attr-defined]
        if not isinstance(value, str) or name in seen:
            continue
        seen.add(name)
        kind = next(
            (kind for kind in ("initializer", "regularizer", "constraint") if kind in name), "activation"
        )
        keras_name = "tf.keras" if "keras" not in code.module_names and "tf" in code.module_names else "keras"
        line, source = _find_assignment(code, name) or (call.lineno, name)
        yield Mistake(
            code.file_name,
            line,
            f"`self.{name}` is the string {quote_value(value)}, but line {call.lineno} calls it as a function",
            f"Write `self.{name} = {keras_name}.{kind}s.get({source})` in line {line}.",
        )


def _find_assignment(code: LayerCode, attribute: str) -> tuple[int, str] | None:
    """Return the line and the right side of ``self.attribute = ...`` in ``__init__``."""
    for node in ast.walk(code.methods["__init__"]) if "__init__" in code.methods else ():
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Attribute) and target.attr == attribute for target in node.targets
        ):
            return node.lineno, ast.unparse(node.value)
    return None


def _find_undefined_names(code: LayerCode) -> Iterator[Mistake]:
    """Yield a mistake for each module that is used but not imported."""
    lines: dict[str, int] = {}
    for function in vars(code.layer_class).values():
        if not inspect.isfunction(function) or function.__globals__ is not code.module_names:
            continue
        for instruction in dis.get_instructions(function):
            name, position = instruction.argval, instruction.positions
            if instruction.opname == "LOAD_GLOBAL" and name in IMPORTS and position and position.lineno:
                lines[name] = min(lines.get(name, position.lineno), position.lineno)
    for name, line in lines.items():
        if name not in code.module_names and not hasattr(builtins, name):
            yield Mistake(
                code.file_name,
                line,
                f"`{name}` is used, but {code.file_name} does not import it",
                f"Add `{IMPORTS[name]}` at the top of {code.file_name}.",
            )


def _find_positional_parameters(code: LayerCode) -> Iterator[Mistake]:
    """Yield a mistake if ``__init__`` takes arguments only by position, since a config gives them by name."""
    method = code.methods.get("__init__")
    names = [] if method is None else [argument.arg for argument in method.args.posonlyargs[1:]]
    if method is None or not names:
        return
    arguments = ast.arguments(
        posonlyargs=[],
        args=[*method.args.posonlyargs, *method.args.args],
        vararg=method.args.vararg,
        kwonlyargs=method.args.kwonlyargs,
        kw_defaults=method.args.kw_defaults,
        kwarg=method.args.kwarg,
        defaults=method.args.defaults,
    )
    yield Mistake(
        code.file_name,
        method.lineno,
        f"`__init__` takes `{names[0]}` only by position, but a config gives arguments by name",
        f"Write `def __init__({ast.unparse(arguments)}):` in line {method.lineno}, without `/`.",
    )


_SEARCHES: Final[tuple[Callable[[LayerCode], Iterator[Mistake]], ...]] = (
    _find_missing_keywords,
    _find_positional_parameters,
    _find_missing_parent_call,
    _find_method_names,
    _find_parameters,
    _find_missing_return,
    _find_weight_arguments,
    _find_called_names,
    _find_undefined_names,
)

"""Common mistakes in the class of a custom layer: what is wrong, in which line, and the change that fixes it."""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

import keras
import tensorflow as tf

from layercli.config.custom_layers import CustomLayer
from layercli.schema.suggestions import did_you_mean, find_closest
from layercli.source.nodes import quote_value, sanitize_text

_CALLED_BY_KERAS: Final = ("__init__", "build", "call", "get_config", "compute_output_shape")
_SIGNATURES: Final = {"build": "self, input_shape", "call": "self, inputs"}
_METHODS_OF_OTHERS: Final = {"forward": "call", "__call__": "call", "init": "__init__", "__new__": "__init__"}
"""Names of other frameworks, and those that Keras uses itself -> the method to define."""
_IMPORTS: Final = {
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
_KERAS_OPERATIONS: Final = {
    "dot": "matmul",
    "batch_dot": "matmul",
    "concat": "concatenate",
    "pow": "power",
}
"""Functions of ``keras.backend``, NumPy and TensorFlow with a different name in ``keras.ops``."""


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

    layer: CustomLayer
    layer_class: Any
    instance: Any = None

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
            f'Add `"{name}": {_format_config_value(name, code.instance)}` to the mapping that `get_config` returns.',
        )
        for name in lost
    ]


def _format_config_value(name: str, instance: Any) -> str:
    """Return the expression that ``get_config`` returns for an argument of ``__init__``."""
    value = getattr(instance, name, None)
    for kind in ("initializer", "regularizer", "constraint", "activation"):
        if kind in name and not isinstance(value, str):
            return f"keras.{kind}s.serialize(self.{name})"
    return f"self.{name}"


def find_untracked_variables(created: Iterable[CreatedVariable], code: LayerCode) -> list[Mistake]:
    """Return a mistake for each place that created variables that Keras neither trains nor saves."""
    tracked = {id(variable.value) for variable in code.instance.variables}
    untracked = [
        item
        for item in created
        # the state of random generators is an integer
        if id(item.variable) not in tracked and item.variable.dtype.is_floating
    ]
    places = {item.line: item.variable for item in reversed(untracked)}
    mistakes = [_explain_untracked(line, variable, code) for line, variable in places.items()]
    return sorted(mistakes, key=lambda mistake: mistake.line)


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


def explain_error(error: BaseException, code: LayerCode, line: int | None) -> Mistake | None:
    """Return the mistake that an exception of the layer at a line of its file shows, or None if it is not a common one."""
    text = str(error)
    for pattern, explain in _EXPLANATIONS:
        match = re.search(pattern, text)
        mistake = explain(match, code, line) if match is not None else None
        if mistake is not None:
            return mistake
    return None


@contextmanager
def record_variables(file: Path | None) -> Iterator[list[CreatedVariable]]:
    """Record each TensorFlow variable that is created, with the line of ``file`` that was running."""
    created: list[CreatedVariable] = []

    def create(next_creator: Callable[..., Any], **arguments: Any) -> Any:
        variable = next_creator(**arguments)
        frame: FrameType | None = sys._getframe()
        while frame is not None and Path(frame.f_code.co_filename) != file:
            frame = frame.f_back
        created.append(CreatedVariable(variable, None if frame is None else frame.f_lineno))
        return variable

    with tf.variable_creator_scope(create):
        yield created


def suggest_import(name: str) -> str | None:
    """Return the statement that defines a name by its usual meaning, or None."""
    return _IMPORTS.get(name)


def _find_missing_keywords(code: LayerCode) -> Iterator[Mistake]:
    method = code.methods.get("__init__")
    if method is None or method.args.kwarg is not None:
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
    """Yield the calls of ``self.name(...)``; of any method or attribute without a name."""
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
            if instruction.opname == "LOAD_GLOBAL" and name in _IMPORTS and position and position.lineno:
                lines[name] = min(lines.get(name, position.lineno), position.lineno)
    for name, line in lines.items():
        if name not in code.module_names and not hasattr(builtins, name):
            yield Mistake(
                code.file_name,
                line,
                f"`{name}` is used, but {code.file_name} does not import it",
                f"Add `{_IMPORTS[name]}` at the top of {code.file_name}.",
            )


_SEARCHES: Final[tuple[Callable[[LayerCode], Iterator[Mistake]], ...]] = (
    _find_missing_keywords,
    _find_missing_parent_call,
    _find_method_names,
    _find_parameters,
    _find_missing_return,
    _find_weight_arguments,
    _find_called_names,
    _find_undefined_names,
)


def _explain_name(match: re.Match[str], code: LayerCode, line: int | None) -> Mistake | None:
    name = match["name"]
    if line is None:
        return None
    if name in _IMPORTS:
        return Mistake(
            code.file_name,
            line,
            f"`{name}` is not defined",
            f"Add `{_IMPORTS[name]}` at the top of {code.file_name}.",
        )
    if code.instance is not None and hasattr(code.instance, name):
        return Mistake(
            code.file_name, line, f"`{name}` is not defined", f"Write `self.{name}` in line {line}."
        )
    known = [*re.findall(r"[A-Za-z_]\w*", "".join(code.lines)), code.layer_class.__name__]
    closest = find_closest(name, [word for word in dict.fromkeys(known) if word != name])
    fix = f"Write `{closest}` in line {line}." if closest else f"Define `{name}` above line {line}."
    return Mistake(code.file_name, line, f"`{name}` is not defined", fix)


def _explain_attribute(match: re.Match[str], code: LayerCode, line: int | None) -> Mistake | None:
    name = match["name"]
    if line is None or code.instance is None or match["owner"] != code.layer_class.__name__:
        return None
    parameters = list(inspect.signature(code.layer_class.__init__).parameters)
    if name in parameters:
        return Mistake(
            code.file_name,
            line,
            f"`self.{name}` is not set",
            f"Add `self.{name} = {name}` at the end of `__init__`.",
        )
    closest = find_closest(name, [key for key in vars(code.instance) if not key.startswith("_")])
    fix = (
        f"Write `self.{closest}` in line {line}."
        if closest
        else f"Set `self.{name}` in `build` or `__init__`."
    )
    return Mistake(code.file_name, line, f"`self.{name}` is not set", fix)


def _explain_operation(match: re.Match[str], code: LayerCode, line: int | None) -> Mistake | None:
    """Explain a function of the old ``keras.backend``."""
    operation = _KERAS_OPERATIONS.get(match["name"], match["name"])
    if line is None or not hasattr(keras.ops, operation):
        return None
    message = f"Keras 3 has no `keras.backend.{match['name']}`"
    return Mistake(
        code.file_name, line, message, f"Write `keras.ops.{operation}` in line {line}{_keras_import(code)}."
    )


def _explain_foreign_functions(_: re.Match[str], code: LayerCode, line: int | None) -> Mistake | None:
    """Explain functions of NumPy and TensorFlow, which do not accept the placeholders of a model."""
    if line is None:
        return None
    names = dict.fromkeys(match[0] for match in _FOREIGN_FUNCTION.finditer(code.line(line)))
    operations = {name: _find_keras_operation(name) for name in names}
    known = {name: operation for name, operation in operations.items() if operation is not None}
    if not known:
        return None
    name = next(iter(known))
    library = "TensorFlow" if name.startswith(("tf.", "tensorflow.")) else "NumPy"
    replacements = " and ".join(f"`keras.ops.{operation}` for `{name}`" for name, operation in known.items())
    return Mistake(
        code.file_name,
        line,
        f"`{name}` is a {library} function, which does not accept the tensors with which Keras connects a model",
        f"Write {replacements} in line {line}{_keras_import(code)}.",
    )


_FOREIGN_FUNCTION: Final = re.compile(r"\b(?:np|numpy|tf|tensorflow)(?:\.\w+)+(?=\()")


def _find_keras_operation(function: str) -> str | None:
    """Return the name in ``keras.ops`` of a function such as ``np.dot`` or ``tf.math.reduce_sum``, or None."""
    name = function.rpartition(".")[2].removeprefix("reduce_")
    operation = _KERAS_OPERATIONS.get(name, name)
    return operation if hasattr(keras.ops, operation) else None


def _keras_import(code: LayerCode) -> str:
    return "" if "keras" in code.module_names else f", and add `import keras` at the top of {code.file_name}"


def _explain_new_state(_: re.Match[str], code: LayerCode, line: int | None) -> Mistake | None:
    if line is None:
        return None
    return Mistake(
        code.file_name,
        line,
        "`call` creates a weight or a layer, which must exist before it runs",
        f"Move line {line} to the end of `build`.",
    )


def _explain_required_argument(match: re.Match[str], code: LayerCode, _: int | None) -> Mistake | None:
    call, name = code.methods.get("call"), match["name"]
    if call is None or name not in [argument.arg for argument in call.args.args[2:]]:
        return None
    default = "False" if name == "training" else "None"
    signature = ast.unparse(call.args)
    fixed = re.sub(rf"\b{re.escape(name)}\b(?!=)", f"{name}={default}", signature, count=1)
    return Mistake(
        code.file_name,
        call.lineno,
        f"the parameter `{name}` of `call` must have a default value",
        f"Write `def call({fixed}):` in line {call.lineno}.",
    )


def _explain_arguments(match: re.Match[str], code: LayerCode, _: int | None) -> Mistake | None:
    """Explain an argument of the config that ``__init__`` does not have, or else a missing one."""
    method = code.methods.get("__init__")
    if method is None:
        return None
    parameters = [argument.arg for argument in (*method.args.args[1:], *method.args.kwonlyargs)]
    unknown = next((name for name in code.layer.constructor_arguments if name not in parameters), None)
    title = f"{code.layer_class.__name__}.__init__"
    if unknown is not None:
        listed = ", ".join(f"`{parameter}`" for parameter in parameters) or "no arguments"
        fix = did_you_mean(
            unknown,
            parameters,
            otherwise=f"Remove `{sanitize_text(unknown, limit=60)}`: it takes {listed}.",
        )
        return Mistake(
            code.file_name, method.lineno, f"`{title}` has no argument {quote_value(unknown)}", fix
        )
    if "missing" not in match[0]:
        return None
    name = match["name"]
    fix = f"Set `{name}` of the layer in the config, or give it a default in line {method.lineno}."
    return Mistake(code.file_name, method.lineno, f"`{title}` requires `{name}`", fix)


_EXPLANATIONS: Final[
    tuple[tuple[str, Callable[[re.Match[str], LayerCode, int | None], Mistake | None]], ...]
] = (
    (r"name '(?P<name>\w+)' is not defined", _explain_name),
    (r"'(?P<owner>\w+)' object has no attribute '(?P<name>\w+)'", _explain_attribute),
    (r"module '[\w.]*backend[\w.]*' has no attribute '(?P<name>\w+)'", _explain_operation),
    (r"to a numpy array|using Keras's own API|KerasTensor cannot be used", _explain_foreign_functions),
    (r"cannot add new elements of state", _explain_new_state),
    (r"missing a required argument: '(?P<name>\w+)'", _explain_required_argument),
    (r"missing \d+ required positional arguments?: '(?P<name>\w+)'", _explain_arguments),
    (r"unexpected keyword argument '(?P<name>\w+)'", _explain_arguments),
    (r"Unrecognized keyword arguments passed to \w+: \{'(?P<name>\w+)'", _explain_arguments),
)
"""Texts of exceptions -> their explanation."""

"""Exceptions of custom layers: the mistake in the class that each shows, with its line and the change that fixes it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from typing import Final

import keras

from layercli.engine.custom_layer_mistakes import IMPORTS, LayerCode, Mistake, format_config_value
from layercli.schema.suggestions import did_you_mean, find_closest, list_names
from layercli.source.nodes import quote_value, sanitize_text

_KERAS_OPERATIONS: Final = {
    "dot": "matmul",
    "batch_dot": "matmul",
    "concat": "concatenate",
    "pow": "power",
}
"""Functions of ``keras.backend``, NumPy and TensorFlow with a different name in ``keras.ops``."""


def explain_error(error: BaseException, code: LayerCode, line: int | None) -> Mistake | None:
    """Return the mistake that an exception of the layer at a line of its file shows, or None if it is not a common one."""
    text = str(error)
    for pattern, explain in _EXPLANATIONS:
        match = re.search(pattern, text)
        mistake = explain(match, code, line) if match is not None else None
        if mistake is not None:
            return mistake
    return None


def _explain_name(match: re.Match[str], code: LayerCode, line: int | None) -> Mistake | None:
    name = match["name"]
    if line is None:
        return None
    if name in IMPORTS:
        return Mistake(
            code.file_name,
            line,
            f"`{name}` is not defined",
            f"Add `{IMPORTS[name]}` at the top of {code.file_name}.",
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
    build = re.match(r"self\.(?P<name>\w+)\.build\(", code.line(line))
    if build is not None:
        return Mistake(
            code.file_name,
            line,
            f"`{build[0]}...)` fails if the layer is already built, as it is in a model that was saved and loaded",
            f"Write `if not self.{build['name']}.built:` before `{code.line(line)}` in line {line}.",
        )
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
    """Explain an argument of the config that ``__init__`` does not have, otherwise a missing one."""
    method = code.methods.get("__init__")
    if method is None:
        return None
    positional = [*method.args.posonlyargs, *method.args.args]
    parameters = [argument.arg for argument in (*positional[1:], *method.args.kwonlyargs)]
    unknown = next((name for name in code.layer.constructor_arguments if name not in parameters), None)
    title = f"{code.layer_class.__name__}.__init__"
    if unknown is not None:
        listed = list_names(parameters) or "no arguments"
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


def _explain_missing_config(_: re.Match[str], code: LayerCode, __: int | None) -> Mistake | None:
    """Explain the lack of ``get_config`` in a class that takes objects, which Keras does not save by itself."""
    if "get_config" in code.methods or not code.layer.constructor_arguments:
        return None
    items = ", ".join(
        f'"{name}": {format_config_value(name, code)}' for name in code.layer.constructor_arguments
    )
    return Mistake(
        code.file_name,
        code.last_line,
        f"`{code.layer_class.__name__}` must have the method `get_config`, because an argument is an object",
        f"Add the method `def get_config(self): return {{**super().get_config(), {items}}}`.",
    )


def _explain_output_shape(_: re.Match[str], code: LayerCode, __: int | None) -> Mistake | None:
    size = "self.units" if hasattr(code.instance, "units") else "SIZE"
    title = code.layer_class.__name__
    return Mistake(
        code.file_name,
        code.last_line,
        f"`{title}` must have the method `compute_output_shape` to be used inside another layer",
        f"Add the method `def compute_output_shape(self, input_shape): return (*input_shape[:-1], {size})`"
        f"{', where SIZE is the last axis of the output' if size == 'SIZE' else ''}.",
    )


def _explain_cell(_: re.Match[str], code: LayerCode, __: int | None) -> Mistake | None:
    method = code.methods.get("__init__")
    size = "units" if hasattr(code.instance, "units") else "SIZE"
    return Mistake(
        code.file_name,
        code.last_line if method is None else method.lineno,
        f"a cell must have `state_size`, the size of its state, but `{code.layer_class.__name__}` has none",
        f"Add `self.state_size = {'self.units' if size == 'units' else 'SIZE'}` at the end of `__init__`, and return "
        "the output and a list of the new states from `call(self, inputs, states)`.",
    )


def _explain_direction(_: re.Match[str], code: LayerCode, __: int | None) -> Mistake | None:
    """Explain a layer in Bidirectional that is not recurrent."""
    if code.part.path[-1] not in ("layer", "backward_layer") or hasattr(code.instance, "go_backwards"):
        return None
    return Mistake(
        code.file_name,
        code.first_line,
        f"Bidirectional needs a recurrent layer, but `{code.layer_class.__name__}` has no `go_backwards`",
        "Derive it from `keras.layers.RNN`, or use TimeDistributed instead of Bidirectional.",
    )


def _explain_read_only(match: re.Match[str], code: LayerCode, line: int | None) -> Mistake | None:
    """Explain an assignment to an attribute that Keras computes, such as ``trainable_weights``."""
    if line is None or "weights" not in match["name"]:
        return None
    return Mistake(
        code.file_name,
        line,
        f"`self.{match['name']}` cannot be set: Keras collects the weights that `self.add_weight` creates",
        f"Remove line {line}, and create each weight in `build` with `self.add_weight(shape=..., initializer=...)`.",
    )


def _explain_kernel(_: re.Match[str], code: LayerCode, __: int | None) -> Mistake | None:
    return Mistake(
        code.file_name,
        code.first_line,
        f"SpectralNormalization needs a layer with `self.kernel`, but `{code.layer_class.__name__}` has none",
        "Name its weight matrix `self.kernel` in `build`.",
    )


_EXPLANATIONS: Final[
    tuple[tuple[str, Callable[[re.Match[str], LayerCode, int | None], Mistake | None]], ...]
] = (
    (r"name '(?P<name>\w+)' is not defined", _explain_name),
    (r"'(?P<owner>\w+)' object has no attribute '(?P<name>\w+)'", _explain_attribute),
    (r"module '[\w.]*backend[\w.]*' has no attribute '(?P<name>\w+)'", _explain_operation),
    (r"to a numpy array|using Keras's own API|KerasTensor cannot be used", _explain_foreign_functions),
    (r"cannot add new elements of state", _explain_new_state),
    (r"property '(?P<name>\w+)' of '\w+' object has no setter", _explain_read_only),
    (r"must override `get_config\(\)`", _explain_missing_config),
    (r"does not have a `compute_output_shape` method", _explain_output_shape),
    (r"RNN cell should have a `state_size` attribute|state_size must be specified", _explain_cell),
    (r"could not be deserialized properly|has no attribute 'go_backwards'", _explain_direction),
    (r"object has no attribute 'kernel' nor 'embeddings'", _explain_kernel),
    (r"missing a required argument: '(?P<name>\w+)'", _explain_required_argument),
    (r"missing \d+ required positional arguments?: '(?P<name>\w+)'", _explain_arguments),
    (r"unexpected keyword argument '(?P<name>\w+)'", _explain_arguments),
    (r"Unrecognized keyword arguments passed to \w+: \{'(?P<name>\w+)'", _explain_arguments),
)
"""Texts of exceptions -> their explanation."""

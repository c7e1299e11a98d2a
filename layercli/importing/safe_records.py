"""Keras's record of a model, checked before Keras reads it: it can name any class or function of Keras."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping
from typing import Any, Final

from layercli.config.model import DTYPES
from layercli.errors import Problem
from layercli.importing.keras_graph import MODEL_CLASSES
from layercli.importing.operations import APPLICATION_LAYERS, OPERATIONS
from layercli.layers.object_registry import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.layers.registry import LAYERS
from layercli.source.nodes import quote_value, sanitize_text

_MODEL_MODULES: Final = (
    "keras",
    "keras.models",
    "keras.src.models.functional",
    "keras.src.models.model",
    "keras.src.models.sequential",
)
_CATALOGUES: Final = {
    "keras.initializers": INITIALIZERS,
    "keras.regularizers": REGULARIZERS,
    "keras.constraints": CONSTRAINTS,
}
_FUNCTION_MODULES: Final = ("builtins", "keras.activations")
_DTYPE_POLICIES: Final = frozenset({*DTYPES, "mixed_float16", "mixed_bfloat16"})
_FILE_KEYS: Final = ("vocabulary", "idf_weights")
"""Arguments that Keras reads from a file if they are a string."""
_MASK_OPERATIONS: Final = frozenset(
    {
        "All",
        "Any",
        "BroadcastTo",
        "Concatenate",
        "ExpandDims",
        "LogicalAnd",
        "LogicalOr",
        "NotEqual",
        "OnesLike",
        "Squeeze",
        "Where",
    }
)
"""Operations with which Keras's layers compute masks; they are in the record of a functional model."""
_ALWAYS_DROPPED: Final = "compile_config"
_BUILD: Final = "build_config"


def find_unsafe_records(document: Any, custom_names: Collection[str] = ()) -> list[Problem]:
    """Return a problem for each object in the record that is not of the catalogue, whether it is used or not.

    ``custom_names`` are the registered names of the trusted custom classes. The ``compile_config`` of models is not
    checked, because ``drop_unused_parts`` removes it.
    """
    reasons = dict.fromkeys(_find_reasons(document, custom_names))
    return [
        Problem(
            code="unsafe-model",
            message=f"The model contains {reason}, so Keras does not load it.",
            hint="Remove this part, or write it as a custom layer class and import with `--trust`.",
        )
        for reason in reasons
    ]


def drop_unused_parts(value: Any, custom_names: Collection[str] = ()) -> Any:
    """Return the record without the parts that Keras would run and the comparison does not need.

    Layers are built by being called; only models and trusted classes are built from their record.
    """
    if isinstance(value, list):
        return [drop_unused_parts(item, custom_names) for item in value]
    if not isinstance(value, dict):
        return value
    is_record = "class_name" in value
    keeps_build = _is_model(value) or _find_registered_name(value) in custom_names
    return {
        key: drop_unused_parts(item, custom_names)
        for key, item in value.items()
        if not (is_record and (key == _ALWAYS_DROPPED or (key == _BUILD and not keeps_build)))
    }


def _find_reasons(document: Any, custom_names: Collection[str]) -> Iterator[str]:
    """Yield what is unsafe, as the object of a sentence."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(value))
        elif isinstance(value, dict):
            for key in _FILE_KEYS:
                if isinstance(value.get(key), str):
                    yield f"`{key}`, {quote_value(value[key])}, which would be read from a file"
            if "class_name" in value and not _is_allowed(value, custom_names):
                yield _describe_record(value)
            pending.extend(item for key, item in reversed(value.items()) if key != _ALWAYS_DROPPED)


def _is_allowed(record: Mapping[str, Any], custom_names: Collection[str]) -> bool:
    """Return whether Keras makes nothing but an object of the catalogue, or data, from a record."""
    name, module, config = record["class_name"], record.get("module"), record.get("config")
    if not isinstance(name, str):
        return False
    if name.startswith("__"):
        return _is_allowed_data(name, record)
    if custom_names and _find_registered_name(record) in custom_names:
        return True
    # A registered name takes precedence over the module; Keras's own objects have none, or repeat the class.
    if not isinstance(module, str) or record.get("registered_name") not in (None, name, config):
        return False
    if name == "function":
        return module in _FUNCTION_MODULES and _is_name_in(config, ACTIVATIONS)
    if not isinstance(config, dict) or record.get("registered_name") not in (None, name):
        return False
    if name == "DTypePolicy":
        return module == "keras" and _is_name_in(config.get("name"), _DTYPE_POLICIES)
    if module == "keras.layers":
        return name in LAYERS.modules or name == "InputLayer"
    if module in _CATALOGUES:
        return name in _CATALOGUES[module].modules
    return (
        (_is_model(record) and _has_one_build_shape(record))
        or (module.startswith("keras.src.ops.") and name in OPERATIONS.get(module, ()))
        or (module == "keras.src.ops.numpy" and name in _MASK_OPERATIONS)
        or APPLICATION_LAYERS.get(name) == module
    )


def _is_allowed_data(name: str, record: Mapping[str, Any]) -> bool:
    """Return whether a record is a tensor reference, a tuple, or an array of plain numbers."""
    config = record.get("config")
    if name == "__tuple__":
        return config is None and isinstance(record.get("items"), list)
    if not isinstance(config, dict):
        return False
    if name in ("__tensor__", "__numpy__", "__keras_tensor__"):
        return _is_name_in(config.get("dtype"), DTYPES)
    return False


def _is_name_in(value: object, names: Container[str]) -> bool:
    """Return whether any JSON value is one of the names; a list or a mapping has no hash."""
    return isinstance(value, str) and value in names


def _is_model(record: Mapping[str, Any]) -> bool:
    return _is_name_in(record.get("class_name"), MODEL_CLASSES) and _is_name_in(
        record.get("module"), _MODEL_MODULES
    )


def _has_one_build_shape(record: Mapping[str, Any]) -> bool:
    """Return whether the shapes with which Keras may build a Sequential model agree."""
    shapes = [
        part[key]
        for part, key in ((record.get(_BUILD), "input_shape"), (record["config"], "build_input_shape"))
        if isinstance(part, dict) and part.get(key)
    ]
    return all(shape == shapes[0] for shape in shapes)


def _find_registered_name(record: Mapping[str, Any]) -> str:
    return str(record.get("registered_name", record.get("class_name")))


def _describe_record(record: Mapping[str, Any]) -> str:
    name, module = record["class_name"], record.get("module")
    kind = sanitize_text(str(name), limit=60)
    if name == "function":
        return f"the function {quote_value(record.get('config'))} of {quote_value(module)}"
    return f"an object of class {kind} of the module {quote_value(module)}"

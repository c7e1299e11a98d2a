"""Custom layers, named by file or module, and Keras layers that the catalogue does not contain yet."""

import re
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from layercli.config.names import DOTTED_NAME, IDENTIFIER
from layercli.layers.base import InferredLayer, Layer
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from layercli.schema.strict_model import value_error
from layercli.source.nodes import normalize_type_name, quote_value

_KERAS_PREFIX = "keras.layers."
_KERAS_CLASS_PATTERN = re.compile(r"[A-Z][A-Za-z0-9]*")
_FILE_TYPE_PATTERN = re.compile(rf"(?P<module>(?:[\w.-]+/)*{IDENTIFIER}\.py):(?P<cls>{IDENTIFIER})", re.ASCII)
_MODULE_TYPE_PATTERN = re.compile(rf"(?P<module>{DOTTED_NAME}):(?P<cls>{IDENTIFIER})", re.ASCII)
_CLASS_PATTERN = re.compile(rf"^class[ \t]+(?P<cls>{IDENTIFIER})[ \t]*\(", re.MULTILINE | re.ASCII)
_MAX_SEARCHED_FILES = 100
_MAX_FILE_BYTES = 1 << 18
"""Largest Python file that is searched for a class."""


class CustomLayer(Layer):
    """A layer whose class is not in the catalogue; its arguments are not validated."""

    family: ClassVar[str] = "custom"

    kind: Literal["file", "module", "keras"]
    module: str
    """The file or module."""
    class_name: str
    constructor_arguments: Annotated[
        dict[str, Any], Field(description="The arguments of the layer's constructor.")
    ] = {}  # noqa: RUF012
    output_shape: Annotated[
        list[Annotated[int, Field(gt=0)] | None] | None,
        Field(
            description="The layer's output shape without the batch axis; null: unknown until the forward pass.",
            examples=[[32]],
        ),
    ] = None

    def type_reference(self) -> str:
        """Return the ``type`` as a config writes it."""
        return (
            f"{_KERAS_PREFIX}{self.class_name}"
            if self.kind == "keras"
            else f"{self.module}:{self.class_name}"
        )

    @property
    def has_user_code(self) -> bool:
        """Return whether building the layer runs code that the config names."""
        return self.kind != "keras"

    def arguments(self) -> dict[str, Any]:
        return self.constructor_arguments | ({"dtype": self.dtype} if self.dtype is not None else {})

    def to_plain(self) -> dict[str, Any]:
        output_shape = {"output_shape": self.output_shape} if self.output_shape is not None else {}
        return {"type": self.type_reference(), **self.arguments(), **output_shape}

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:  # noqa: ARG002 - only a forward pass knows the output
        outputs = (
            () if self.output_shape is None else (Tensor((None, *self.output_shape), self.compute_dtype),)
        )
        return InferredLayer(outputs, (), None, has_known_weights=False)


def make_unknown_layer() -> CustomLayer:
    """Return a layer of unknown shape, as a placeholder for a malformed layer."""
    return CustomLayer.model_validate({"kind": "keras", "module": "", "class_name": "Unknown"})


def is_custom_type(type_name: object) -> bool:
    """Return whether a ``type`` names a class instead of a catalogue entry."""
    return isinstance(type_name, str) and (":" in type_name or type_name.startswith(_KERAS_PREFIX))


def find_class_beside(directory: Path, type_name: str) -> str | None:
    """Return the ``type`` of a class that a Python file in a folder defines, for a ``type`` that lacks the file.

    The files are searched as text; no code runs.
    """
    wanted = {normalize_type_name(word) for word in re.findall(r"[A-Za-z_]\w*", type_name[:200])} - {"py"}
    try:
        files = sorted(islice(directory.glob("*.py"), _MAX_SEARCHED_FILES))
        for file in files:
            if not file.is_file() or file.stat().st_size > _MAX_FILE_BYTES:
                continue
            for match in _CLASS_PATTERN.finditer(file.read_text(encoding="utf-8", errors="replace")):
                reference = f"{file.name}:{match['cls']}"
                if normalize_type_name(match["cls"]) in wanted and _FILE_TYPE_PATTERN.fullmatch(reference):
                    return reference
    except OSError:
        pass
    return None


def parse_custom_layer(type_name: str, arguments: dict[str, Any]) -> Layer:
    """Return the layer for ``file.py:Class``, ``module:Class`` or ``keras.layers.Class`` without loading code.

    Raises:
        ValidationError | PydanticCustomError: the name or an argument is invalid.
    """
    if type_name.startswith(_KERAS_PREFIX):
        cls = type_name.removeprefix(_KERAS_PREFIX)
        if LAYERS.find(cls) or any(cls.lower() == refused.lower() for refused in LAYERS.unavailable):
            return LAYERS.parse({"type": cls, **arguments})
        if _KERAS_CLASS_PATTERN.fullmatch(cls):
            return _make_custom_layer("keras", "keras.layers", cls, arguments)
        hint = "For example `type: keras.layers.Dense`."
        raise value_error(
            "bad-custom-type",
            f"`type` must name a class of keras.layers, got {quote_value(type_name)}.",
            hint,
        )
    for kind, pattern in (("file", _FILE_TYPE_PATTERN), ("module", _MODULE_TYPE_PATTERN)):
        match = pattern.fullmatch(type_name)
        if match and ".." not in match["module"]:
            return _make_custom_layer(kind, match["module"], match["cls"], arguments)
    raise value_error(
        "bad-custom-type",
        f"`type` must name a file relative to the config, or a module, and a class, got {quote_value(type_name)}.",
        "For example `type: my_layers.py:MyLayer` or `type: mypackage.layers:MyLayer`.",
    )


def _make_custom_layer(kind: str, module: str, class_name: str, arguments: dict[str, Any]) -> CustomLayer:
    layer_fields = {key: arguments[key] for key in ("output_shape", "dtype") if key in arguments}
    constructor_arguments = {key: item for key, item in arguments.items() if key not in layer_fields}
    return CustomLayer.model_validate(
        {
            **layer_fields,
            "kind": kind,
            "module": module,
            "class_name": class_name,
            "constructor_arguments": constructor_arguments,
        }
    )

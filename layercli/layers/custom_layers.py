"""Custom layers, named by file or module, and Keras layers that the catalogue does not contain yet."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from layercli.layers.base import InferredLayer, Layer
from layercli.layers.dtypes import ANY_DTYPE
from layercli.layers.shapes import Tensor
from layercli.schema.component import CONTAINERS, Component
from layercli.schema.field_types import DOTTED_NAME, IDENTIFIER
from layercli.schema.strict_model import to_plain
from layercli.source.nodes import KeyPath, normalize_type_name

KERAS_PREFIX = "keras.layers."
FILE_TYPE_PATTERN = re.compile(rf"(?P<module>(?:[\w.-]+/)*{IDENTIFIER}\.py):(?P<cls>{IDENTIFIER})", re.ASCII)
_MODULE_TYPE_PATTERN = re.compile(rf"(?P<module>{DOTTED_NAME}):(?P<cls>{IDENTIFIER})", re.ASCII)
_CLASS_PATTERN = re.compile(rf"^class[ \t]+(?P<cls>{IDENTIFIER})[ \t]*\(", re.MULTILINE | re.ASCII)
_MAX_SEARCHED_FILES = 100
_MAX_FILE_BYTES = 1 << 18
"""Largest Python file in which a class is searched."""


class CustomLayer(Layer):
    """A layer whose class is not in the catalogue; its arguments are not validated."""

    family: ClassVar[str] = "custom"
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE

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
            f"{KERAS_PREFIX}{self.class_name}" if self.kind == "keras" else f"{self.module}:{self.class_name}"
        )

    @property
    def has_user_code(self) -> bool:
        """Return whether building the layer runs code that the config names."""
        return self.kind != "keras"

    def arguments(self) -> dict[str, Any]:
        return self.constructor_arguments | ({"dtype": self.dtype} if self.dtype is not None else {})

    def to_plain(self) -> dict[str, Any]:
        output_shape = {"output_shape": self.output_shape} if self.output_shape is not None else {}
        return {"type": self.type_reference(), **to_plain(self.arguments()), **output_shape}

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        outputs = (
            () if self.output_shape is None else (Tensor((None, *self.output_shape), self.compute_dtype),)
        )
        return InferredLayer(outputs, (), None, has_known_weights=False)


def find_custom_layers(value: object, path: KeyPath = ()) -> Iterator[tuple[CustomLayer, KeyPath]]:
    """Yield a custom layer and those nested in a layer or in other arguments, with their paths, outermost first."""
    if isinstance(value, CustomLayer):
        yield value, path
    if isinstance(value, Component):
        value = value.arguments()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(item, CONTAINERS):  # most arguments are scalars
            yield from find_custom_layers(item, (*path, key))


def has_custom_layers(layer: Layer) -> bool:
    """Return whether a layer is custom or contains a custom layer."""
    return next(find_custom_layers(layer), None) is not None


def make_unknown_layer() -> CustomLayer:
    """Return a layer of unknown shape, as a placeholder for a malformed layer."""
    return CustomLayer.model_validate({"kind": "keras", "module": "", "class_name": "Unknown"})


def split_reference(type_name: str) -> tuple[str, str, str] | None:
    """Return ``file`` or ``module``, its name and that of a class, for a ``type`` that names custom code."""
    for kind, pattern in (("file", FILE_TYPE_PATTERN), ("module", _MODULE_TYPE_PATTERN)):
        match = pattern.fullmatch(type_name)
        # `type:Dense` is a key without a space after the colon.
        if match and ".." not in match["module"] and match["module"] != "type":
            return kind, match["module"], match["cls"]
    return None


def is_custom_type(type_name: object) -> bool:
    """Return whether a ``type`` names a class instead of a catalogue entry."""
    return isinstance(type_name, str) and (":" in type_name or type_name.startswith(KERAS_PREFIX))


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
                if normalize_type_name(match["cls"]) in wanted and FILE_TYPE_PATTERN.fullmatch(reference):
                    return reference
    except OSError:
        pass
    return None

"""Layers of the user's own, named by file or module, and Keras layers that the catalogue does not know yet."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from layercli.layers.base import Inferred, Layer
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from layercli.schema.strict_model import refuse
from layercli.source.nodes import quoted

_KERAS = "keras.layers."
_CLASS = r"[A-Za-z_]\w*"
_KERAS_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*")
_FILE = re.compile(rf"(?P<place>(?:[\w.-]+/)*[A-Za-z_]\w*\.py):(?P<cls>{_CLASS})", re.ASCII)
_MODULE = re.compile(rf"(?P<place>{_CLASS}(?:\.{_CLASS})*):(?P<cls>{_CLASS})", re.ASCII)


class CustomLayer(Layer):
    """A layer whose class is not in the catalogue: its arguments are its own affair."""

    family: ClassVar[str] = "custom"

    kind: Literal["file", "module", "keras"]
    place: str
    """The file or module."""
    class_name: str
    given: Annotated[dict[str, Any], Field(description="The arguments of the layer's constructor.")] = {}  # noqa: RUF012
    output_shape: Annotated[
        list[Annotated[int, Field(gt=0)] | None] | None,
        Field(
            description="The layer's output shape without the batch axis; null: unknown until the forward pass.",
            examples=[[32]],
        ),
    ] = None

    def reference(self) -> str:
        """The ``type`` as it stands in a config."""
        return f"{_KERAS}{self.class_name}" if self.kind == "keras" else f"{self.place}:{self.class_name}"

    @property
    def needs_trust(self) -> bool:
        """Whether building the layer runs code that the config names."""
        return self.kind != "keras"

    def arguments(self) -> dict[str, Any]:
        return self.given | ({"dtype": self.dtype} if self.dtype is not None else {})

    def plain(self) -> dict[str, Any]:
        stated = {"output_shape": self.output_shape} if self.output_shape is not None else {}
        return {"type": self.reference(), **self.arguments(), **stated}

    def infer(self, inputs: tuple[Tensor, ...]) -> Inferred:  # noqa: ARG002 - only running the layer can tell
        outputs = (
            () if self.output_shape is None else (Tensor((None, *self.output_shape), self.compute_dtype),)
        )
        return Inferred(outputs, (), None, complete=False)


def unknown_layer() -> CustomLayer:
    """A layer of which nothing is known, in place of one that is malformed."""
    return CustomLayer.model_validate({"kind": "keras", "place": "", "class_name": "Unknown"})


def is_custom(name: object) -> bool:
    """Whether a ``type`` names a class rather than an entry of the catalogue."""
    return isinstance(name, str) and (":" in name or name.startswith(_KERAS))


def parse_custom(name: str, arguments: dict[str, Any]) -> Layer:
    """The layer that ``file.py:Class``, ``module:Class`` or ``keras.layers.Class`` names; loads nothing.

    Raises:
        ValidationError | PydanticCustomError: the name is malformed, or an argument is.
    """
    if name.startswith(_KERAS):
        cls = name.removeprefix(_KERAS)
        if LAYERS.find(cls) or any(cls.lower() == refused.lower() for refused in LAYERS.refused):
            return LAYERS.parse({"type": cls, **arguments})
        if _KERAS_CLASS.fullmatch(cls):
            return _custom("keras", "keras.layers", cls, arguments)
        hint = "For example `type: keras.layers.Dense`."
        raise refuse(
            "bad-custom-type", f"`type` is {quoted(name)}; a layer of Keras is named by its class.", hint
        )
    for kind, pattern in (("file", _FILE), ("module", _MODULE)):
        match = pattern.fullmatch(name)
        if match and ".." not in match["place"]:
            return _custom(kind, match["place"], match["cls"], arguments)
    raise refuse(
        "bad-custom-type",
        f"`type` is {quoted(name)}; a layer of your own is a file beside the config, or a module, and a class.",
        "For example `type: my_layers.py:MyLayer` or `type: mypackage.layers:MyLayer`.",
    )


def _custom(kind: str, place: str, class_name: str, arguments: dict[str, Any]) -> CustomLayer:
    stated = {key: arguments[key] for key in ("output_shape", "dtype") if key in arguments}
    given = {key: item for key, item in arguments.items() if key not in stated}
    return CustomLayer.model_validate(
        {**stated, "kind": kind, "place": place, "class_name": class_name, "given": given}
    )

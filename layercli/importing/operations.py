"""Keras operations on tensors, and internal layers of Keras's applications, as equivalent layers of the catalogue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from layercli.importing.keras_config import InexpressibleError, shorten_float
from layercli.source.nodes import sanitize_text
from layercli.source.scalars import is_number


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor argument of an operation: its index among the call's tensors, shape with the batch axis, and dtype."""

    index: int
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class LayerStep:
    """One of the layers that replace an operation; -1 in ``input_indices`` is the output of the step before."""

    type: str
    args: dict[str, Any]
    input_indices: tuple[int, ...]


_MERGE_LAYERS: Final = {
    "Add": "Add",
    "Multiply": "Multiply",
    "Subtract": "Subtract",
    "Maximum": "Maximum",
    "Minimum": "Minimum",
}
_ACTIVATION_NAMES: Final = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Selu": "selu",
    "Tanh": "tanh",
    "Exp": "exponential",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "LogSigmoid": "log_sigmoid",
}


_NUMPY_OPERATIONS: Final = (
    *_MERGE_LAYERS,
    *("Concatenate", "Divide", "Negative", "Reshape", "Square", "Tanh", "Exp", "Transpose", "TrueDivide"),
)
_NN_OPERATIONS: Final = (*({*_ACTIVATION_NAMES} - {*_NUMPY_OPERATIONS}), "Gelu", "Softmax")
OPERATIONS: Final = {
    "keras.src.ops.numpy": frozenset(_NUMPY_OPERATIONS),
    "keras.src.ops.nn": frozenset(_NN_OPERATIONS),
}
"""The operations that have a layer, by Keras's module."""
APPLICATION_LAYERS: Final = {
    "LayerScale": "keras.src.applications.convnext",
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
}
"""Internal layers of Keras's applications that have a layer, with their module."""


def convert_operation(name: str, config: dict[str, Any], values: Sequence[Any]) -> list[LayerStep]:
    """Return the layers that compute an operation on ``values``, its tensors and numbers in order.

    Raises:
        InexpressibleError: no layer computes it.
    """
    tensors = [value for value in values if isinstance(value, Operand)]
    numbers = [value for value in values if is_number(value)]
    is_supported = len(tensors) + len(numbers) == len(values) and tensors
    if is_supported and all("float" in tensor.dtype for tensor in tensors):
        dtype = {} if tensors[0].dtype == "float32" else {"dtype": tensors[0].dtype}
        is_same_kind = len({(tensor.dtype, len(tensor.shape)) for tensor in tensors}) == 1
        if name in _MERGE_LAYERS and len(tensors) == 2 and not numbers and is_same_kind:
            return [LayerStep(_MERGE_LAYERS[name], dtype, tuple(tensor.index for tensor in tensors))]
        if len(values) == 2 and len(numbers) == 1 and math.isfinite(numbers[0]):
            rescaling = _make_rescaling_arguments(
                name, shorten_float(float(numbers[0])), is_tensor_first=isinstance(values[0], Operand)
            )
            if rescaling is not None:
                return [LayerStep("Rescaling", rescaling | dtype, (tensors[0].index,))]
        if len(values) == 1:
            step = _convert_unary(name, config, tensors[0])
            if step is not None:
                return [LayerStep(step[0], step[1] | dtype, step[2])]
        if name == "Concatenate" and is_same_kind and not numbers:
            axis = config.get("axis", -1)
            if axis in (0, -len(tensors[0].shape)):
                raise InexpressibleError("it concatenates along the batch axis")
            return [
                LayerStep(
                    "Concatenate",
                    ({} if axis == -1 else {"axis": axis}) | dtype,
                    tuple(tensor.index for tensor in tensors),
                )
            ]
    raise InexpressibleError(f"Keras has no layer for the tensor operation {sanitize_text(name, limit=60)}")


def _make_rescaling_arguments(name: str, number: float, *, is_tensor_first: bool) -> dict[str, Any] | None:
    """Return the arguments of a Rescaling layer for arithmetic with a number; None if there are none."""
    if name == "Add":
        return {"scale": 1.0, "offset": number}
    if name == "Multiply":
        return {"scale": number}
    if name == "Subtract":
        return {"scale": 1.0, "offset": -number} if is_tensor_first else {"scale": -1.0, "offset": number}
    if name in ("Divide", "TrueDivide") and is_tensor_first and number:
        return {"scale": 1 / number}
    return None


def _convert_unary(
    name: str, config: dict[str, Any], x: Operand
) -> tuple[str, dict[str, Any], tuple[int, ...]] | None:
    if name in _ACTIVATION_NAMES:
        return "Activation", {"activation": _ACTIVATION_NAMES[name]}, (x.index,)
    if name == "Gelu" and config.get("approximate") is False:
        return "Activation", {"activation": "gelu"}, (x.index,)
    if name == "Softmax":
        axis = config.get("axis", -1)
        return "Softmax", {} if axis == -1 else {"axis": axis}, (x.index,)
    if name == "Negative":
        return "Rescaling", {"scale": -1.0}, (x.index,)
    if name == "Square":
        return "Multiply", {}, (x.index, x.index)
    if name == "Reshape":
        shape = config.get("newshape")
        if isinstance(shape, list) and shape and shape[0] in (-1, None):
            inner = [size for size in shape[1:] if isinstance(size, int) and size > 0]
            sizes = [size for size in x.shape[1:] if size is not None]
            if (
                len(inner) == len(shape) - 1
                and len(sizes) == len(x.shape) - 1
                and math.prod(inner) == math.prod(sizes)
            ):
                return "Reshape", {"target_shape": inner}, (x.index,)
    if name == "Transpose":
        axes = config.get("axes")
        if isinstance(axes, list) and axes and axes[0] == 0:
            return "Permute", {"dims": axes[1:]}, (x.index,)
    return None


def convert_application_layer(name: str, config: dict[str, Any]) -> list[LayerStep] | None:
    """Return the layers that compute an internal layer of ``keras.applications``; None for other layers."""
    if name == "LayerScale":
        # One factor per image channel; EinsumDense also does that, but confuses height and width if they differ.
        initial = {"type": "Constant", "value": config["init_values"]}
        args = {"kernel_size": 1, "use_bias": False, "depthwise_initializer": initial}
        return [LayerStep("DepthwiseConv2D", args, (0,))]
    if name == "CustomScaleLayer":
        return [LayerStep("Rescaling", {"scale": config["scale"]}, (1,)), LayerStep("Add", {}, (0, -1))]
    return None

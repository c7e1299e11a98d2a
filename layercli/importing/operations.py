"""Keras operations on tensors, and layers inside Keras's own applications, as layers of the catalogue that do the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from layercli.importing.keras_config import InexpressibleError, short_float
from layercli.source.nodes import sanitize_text


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that an operation takes: its place among the call's tensors, shape and dtype."""

    number: int
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Step:
    """A layer that does a part of it; ``takes`` are tensors of the call, -1 is the step before."""

    type: str
    args: dict[str, Any]
    takes: tuple[int, ...]


_MERGES: Final = {"Add": "Add", "Multiply": "Multiply", "Subtract": "Subtract", "Maximum": "Maximum",
                  "Minimum": "Minimum"}  # fmt: skip
_ACTIVATIONS: Final = {
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Silu": "silu", "Softplus": "softplus",
    "Softsign": "softsign", "Selu": "selu", "Tanh": "tanh", "Exp": "exponential", "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu", "LogSigmoid": "log_sigmoid",
}  # fmt: skip


def operation(name: str, config: dict[str, Any], values: Sequence[Any]) -> list[Step]:
    """The layers that do what an operation does; ``values`` are its operands and numbers, in order.

    Raises:
        InexpressibleError: no layer does that.
    """
    tensors = [value for value in values if isinstance(value, Operand)]
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    given = len(tensors) + len(numbers) == len(values) and tensors
    if given and all("float" in tensor.dtype for tensor in tensors):
        dtype = {} if tensors[0].dtype == "float32" else {"dtype": tensors[0].dtype}
        same = len({(tensor.dtype, len(tensor.shape)) for tensor in tensors}) == 1
        if name in _MERGES and len(tensors) == 2 and not numbers and same:
            return [Step(_MERGES[name], dtype, tuple(tensor.number for tensor in tensors))]
        if len(values) == 2 and len(numbers) == 1 and math.isfinite(numbers[0]):
            scaled = _rescaled(name, short_float(float(numbers[0])), first=isinstance(values[0], Operand))
            if scaled is not None:
                return [Step("Rescaling", scaled | dtype, (tensors[0].number,))]
        if len(values) == 1:
            step = _unary(name, config, tensors[0])
            if step is not None:
                return [Step(step[0], step[1] | dtype, step[2])]
        if name == "Concatenate" and same and not numbers:
            axis = config.get("axis", -1)
            if axis in (0, -len(tensors[0].shape)):
                raise InexpressibleError("it puts one batch behind the other")
            return [Step("Concatenate", ({} if axis == -1 else {"axis": axis}) | dtype,
                         tuple(tensor.number for tensor in tensors))]  # fmt: skip
    raise InexpressibleError(
        f"it is the operation {sanitize_text(name, limit=60)} on tensors, for which no layer of Keras stands"
    )


def _rescaled(name: str, number: float, *, first: bool) -> dict[str, Any] | None:
    """Arguments of the Rescaling that does arithmetic with a number; ``first``: the tensor stands before it."""
    if name == "Add":
        return {"scale": 1.0, "offset": number}
    if name == "Multiply":
        return {"scale": number}
    if name == "Subtract":
        return {"scale": 1.0, "offset": -number} if first else {"scale": -1.0, "offset": number}
    if name in ("Divide", "TrueDivide") and first and number:
        return {"scale": 1 / number}
    return None


def _unary(
    name: str, config: dict[str, Any], x: Operand
) -> tuple[str, dict[str, Any], tuple[int, ...]] | None:
    if name in _ACTIVATIONS:
        return "Activation", {"activation": _ACTIVATIONS[name]}, (x.number,)
    if name == "Gelu" and config.get("approximate") is False:
        return "Activation", {"activation": "gelu"}, (x.number,)
    if name == "Softmax":
        axis = config.get("axis", -1)
        return "Softmax", {} if axis == -1 else {"axis": axis}, (x.number,)
    if name == "Negative":
        return "Rescaling", {"scale": -1.0}, (x.number,)
    if name == "Square":
        return "Multiply", {}, (x.number, x.number)
    if name == "Reshape":
        shape = config.get("newshape")
        if isinstance(shape, list) and shape and shape[0] in (-1, None) and -1 not in shape[1:]:
            inner = [size for size in shape[1:] if isinstance(size, int)]
            sizes = [size for size in x.shape[1:] if size is not None]
            if (
                len(inner) == len(shape) - 1
                and len(sizes) == len(x.shape) - 1
                and math.prod(inner) == math.prod(sizes)
            ):
                return "Reshape", {"target_shape": inner}, (x.number,)
    if name == "Transpose":
        axes = config.get("axes")
        if isinstance(axes, list) and axes and axes[0] == 0:
            return "Permute", {"dims": axes[1:]}, (x.number,)
    return None


def application_layer(name: str, config: dict[str, Any]) -> list[Step] | None:
    """The layers that do what a layer of ``keras.applications``' own does; None where it is none of these."""
    if name == "LayerScale":
        # One factor for each channel of an image; Keras's EinsumDense does that, too, but mixes up unlike sides.
        initial = {"type": "Constant", "value": config["init_values"]}
        args = {"kernel_size": 1, "use_bias": False, "depthwise_initializer": initial}
        return [Step("DepthwiseConv2D", args, (0,))]
    if name == "CustomScaleLayer":
        return [Step("Rescaling", {"scale": config["scale"]}, (1,)), Step("Add", {}, (0, -1))]
    return None

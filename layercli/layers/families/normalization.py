"""Keras's layers that normalize their input."""

import math
from typing import Annotated, ClassVar

from pydantic import Field

from layercli.layers.arguments import Constraint, Initializer, Regularizer
from layercli.layers.base import Layer, StandardLayer, Weight
from layercli.layers.dtypes import FLOATS
from layercli.layers.shapes import Shape, ShapeError, Tensor, format_shape, resolve_axis
from layercli.schema.field_types import MAX_INT32, Axes, Axis, Rate
from layercli.schema.strict_model import ArgumentError
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import quote_value

Epsilon = Annotated[float, Field(ge=0, description="Added to the variance, to keep from dividing by zero.")]
Center = Annotated[bool, Field(description="Whether to add an offset, beta, that is trained.")]
Scale = Annotated[bool, Field(description="Whether to multiply by a factor, gamma, that is trained.")]
BetaInitializer = Annotated[Initializer, Field(description="Initializer of beta.")]
GammaInitializer = Annotated[Initializer, Field(description="Initializer of gamma.")]
BetaRegularizer = Annotated[Regularizer | None, Field(description="Penalty on beta, added to the loss.")]
GammaRegularizer = Annotated[Regularizer | None, Field(description="Penalty on gamma, added to the loss.")]
BetaConstraint = Annotated[
    Constraint | None, Field(description="Constraint on beta, applied after each step.")
]
GammaConstraint = Annotated[
    Constraint | None, Field(description="Constraint on gamma, applied after each step.")
]
AxisArgument = Annotated[Axis, Field(description="The axis of the features; -1: the last one.")]
AxesArgument = Annotated[Axes, Field(description="The axis, or list of axes, to normalize over.")]
Momentum = Annotated[
    Rate, Field(description="Share of the moving statistics that each batch leaves as it is.")
]


_CLIPPING_KEYS = ("rmin", "rmax", "dmax")


class NormalizationLayer(StandardLayer):
    """A layer that normalizes its input and keeps the shape."""

    family: ClassVar[str] = "normalization"
    input_description: ClassVar[str] = "any tensor"
    passes_mask: ClassVar[bool] = True

    def feature_axes(self) -> list[int]:
        """Return the axes that the ``axis`` argument names, in the order of the weights' axes."""
        axis: int | list[int] = getattr(self, "axis")  # noqa: B009  # each class has its own type of axis
        return sorted(axis) if isinstance(axis, list) else [axis]

    def output(self, x: Tensor) -> Tensor:
        for axis in self.feature_axes():
            if resolve_axis(axis, x.rank) is None:
                raise ShapeError(
                    f"{self.title()} cannot normalize axis {axis} of {format_shape(x.shape)}.",
                    hint="Axis 0 is the batch, axis -1 is the last one.",
                    argument="axis",
                )
        return Tensor(x.shape, self.compute_dtype)

    def feature_sizes(self, x: Tensor) -> tuple[int, ...]:
        """Return the sizes of the chosen axes.

        Raises:
            ShapeError: a size is unknown.
        """
        for axis in self.feature_axes():
            if resolve_axis(axis, x.rank) == 0 and x.shape[0] is None:
                raise ShapeError(
                    f"{self.title()} cannot normalize axis {axis} of {format_shape(x.shape)}: it is the batch axis.",
                    hint="Use the feature axis: `axis: -1`."
                    if x.rank > 1
                    else "Its input needs a feature axis.",
                    argument="axis",
                )
        return tuple(self.require_size(x, axis) for axis in self.feature_axes())


class _AffineNormalization(NormalizationLayer):
    epsilon: Epsilon = 1e-3
    center: Center = True
    scale: Scale = True
    beta_initializer: BetaInitializer = "zeros"
    gamma_initializer: GammaInitializer = "ones"
    beta_regularizer: BetaRegularizer = None
    gamma_regularizer: GammaRegularizer = None
    beta_constraint: BetaConstraint = None
    gamma_constraint: GammaConstraint = None

    def weights(self, x: Tensor) -> list[Weight]:
        names = ["gamma"] * self.scale + ["beta"] * self.center
        return [Weight(name, self.feature_sizes(x)) for name in names]


class BatchNormalization(_AffineNormalization):
    """Normalizes each feature over the batch; when not training, by moving statistics.

    Input: (batch, ...). Output: the same shape.

    Example:
        {type: BatchNormalization}
    """

    axis: AxisArgument = -1
    momentum: Momentum = 0.99
    moving_mean_initializer: Annotated[Initializer, Field(description="Initializer of the moving mean.")] = (
        "zeros"
    )
    moving_variance_initializer: Annotated[
        Initializer, Field(description="Initializer of the moving variance.")
    ] = "ones"
    renorm: Annotated[bool, Field(description="Whether training uses the moving statistics as well.")] = False
    renorm_clipping: Annotated[
        dict[str, float | None] | None,
        Field(
            description="Bounds on the correction by renorm.",
            examples=[{"rmin": 0.3, "rmax": 3.0, "dmax": 5.0}],
        ),
    ] = None
    renorm_momentum: Annotated[Rate, Field(description="Momentum of the statistics that renorm uses.")] = 0.99
    synchronized: Annotated[
        bool, Field(description="Whether devices that train together share statistics.")
    ] = False

    def check(self) -> None:
        clipping = self.renorm_clipping or {}
        for key in clipping:
            if key not in _CLIPPING_KEYS:
                message = f"`renorm_clipping` must contain only rmin, rmax and dmax, got {quote_value(key)}."
                hint = did_you_mean(key, _CLIPPING_KEYS, otherwise="Remove it.")
                raise ArgumentError("renorm_clipping", message, hint)
        low, high, shift = (clipping.get(key) for key in _CLIPPING_KEYS)
        if self.renorm and low is not None and high is not None and high < low:
            message = f"`renorm_clipping` must have rmin below rmax, got rmin {low:g} and rmax {high:g}."
            raise ArgumentError("renorm_clipping", message, "Increase rmax.")
        if self.renorm and shift is not None and shift < 0:
            message = f"`renorm_clipping` must have dmax of at least 0, got {shift:g}."
            raise ArgumentError("renorm_clipping", message)

    def accepts_mask(self, x: Tensor, mask: Shape) -> bool:
        return len(mask) == x.rank - 1

    def weights(self, x: Tensor) -> list[Weight]:
        names = ["moving_mean", "moving_variance"]
        if self.renorm:
            names += ["moving_stddev", "renorm_mean", "renorm_stddev"]
        moving_weights = [Weight(name, self.feature_sizes(x), trainable=False) for name in names]
        return super().weights(x) + moving_weights


class LayerNormalization(_AffineNormalization):
    """Normalizes each example over its features.

    Input: (batch, ...). Output: the same shape.

    Example:
        {type: LayerNormalization}
    """

    hints: ClassVar[dict[str, str]] = Layer.hints | {
        "rms_scaling": "Deprecated in Keras; use the layer RMSNormalization."
    }

    axis: AxesArgument = -1

    def cast(self, x: Tensor) -> Tensor:
        return x  # Keras turns autocast off


class GroupNormalization(_AffineNormalization):
    """Normalizes each example over groups of its channels.

    Input: (batch, ..., channels). Output: the same shape.

    Example:
        {type: GroupNormalization, groups: 8}
    """

    groups: Annotated[
        int,
        Field(ge=-1, le=MAX_INT32, description="Number of groups of channels; -1: each channel is a group."),
    ] = 32
    axis: AxisArgument = -1

    def check(self) -> None:
        if self.groups == 0:
            message = "`groups` must be a positive integer, or -1 for one group per channel, got 0."
            raise ArgumentError("groups", message)

    def cast(self, x: Tensor) -> Tensor:
        return x  # Keras turns autocast off

    def weights(self, x: Tensor) -> list[Weight]:
        (channels,) = self.feature_sizes(x)
        groups = channels if self.groups == -1 else self.groups
        if groups == 0 or channels % groups or channels < groups:
            raise ShapeError(
                f"GroupNormalization cannot split {channels} channels into {groups} equal groups, "
                f"got {format_shape(x.shape)}.",
                hint=f"Use a divisor of {channels}, such as `groups: {math.gcd(channels, groups)}`.",
                argument="groups",
            )
        return super().weights(x)


class RMSNormalization(NormalizationLayer):
    """Divides each example by the root mean square of its features.

    Input: (batch, ...). Output: the same shape.

    Example:
        {type: RMSNormalization}
    """

    keeps_dtype: ClassVar[bool] = True
    passes_mask: ClassVar[bool] = False

    axis: AxesArgument = -1
    epsilon: Epsilon = 1e-6

    def weights(self, x: Tensor) -> list[Weight]:
        return [Weight("scale", self.feature_sizes(x))]


class UnitNormalization(NormalizationLayer):
    """Divides each example by the length of its vector of features.

    Input: (batch, ...). Output: the same shape.

    Example:
        {type: UnitNormalization}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS

    axis: AxesArgument = -1

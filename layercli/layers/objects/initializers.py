"""Keras's initializers: values of a weight before training."""

from typing import Annotated, Literal

from pydantic import Field

from layercli.layers.arguments import Seed, WindowFunction
from layercli.schema.component import Component
from layercli.schema.field_types import AnyInt

FanAxes = Annotated[
    list[AnyInt] | None,
    Field(description="Axes that count as fan, if both are given; null: derived from the weight's shape."),
]


class Zeros(Component):
    """All zeros."""


class Ones(Component):
    """All ones."""


class Constant(Component):
    """One value everywhere."""

    value: Annotated[float, Field(description="The value.")] = 0.0


class RandomNormal(Component):
    """A normal distribution."""

    mean: Annotated[float, Field(description="Mean of the distribution.")] = 0.0
    stddev: Annotated[float, Field(ge=0, description="Standard deviation of the distribution.")] = 0.05
    seed: Seed = None


class TruncatedNormal(RandomNormal):
    """A normal distribution cut at two standard deviations."""


class RandomUniform(Component):
    """A uniform distribution."""

    minval: Annotated[float, Field(description="Lower bound of the range.")] = -0.05
    maxval: Annotated[float, Field(description="Upper bound of the range.")] = 0.05
    seed: Seed = None


class _FanInitializer(Component):
    seed: Seed = None
    input_axes: FanAxes = None
    output_axes: FanAxes = None


class GlorotUniform(_FanInitializer):
    """Uniform within ±sqrt(6 / (fan_in + fan_out))."""


class GlorotNormal(_FanInitializer):
    """Truncated normal of standard deviation sqrt(2 / (fan_in + fan_out))."""


class HeUniform(_FanInitializer):
    """Uniform within ±sqrt(6 / fan_in)."""


class HeNormal(_FanInitializer):
    """Truncated normal of standard deviation sqrt(2 / fan_in)."""


class LecunUniform(_FanInitializer):
    """Uniform within ±sqrt(3 / fan_in)."""


class LecunNormal(_FanInitializer):
    """Truncated normal of standard deviation sqrt(1 / fan_in)."""


class VarianceScaling(_FanInitializer):
    """Scaled to the weight's fan."""

    scale: Annotated[float, Field(gt=0, description="Factor on the variance.")] = 1.0
    mode: Annotated[
        Literal["fan_in", "fan_out", "fan_avg"], Field(description="Fan that divides the variance.")
    ] = "fan_in"
    distribution: Annotated[
        Literal["normal", "truncated_normal", "untruncated_normal", "uniform"],
        Field(description="Distribution to draw from."),
    ] = "truncated_normal"


class Orthogonal(Component):
    """An orthogonal matrix, times ``gain``."""

    gain: Annotated[float, Field(description="Factor on the matrix.")] = 1.0
    seed: Seed = None


class Identity(Component):
    """The identity matrix, times ``gain``; for weights of two axes."""

    gain: Annotated[float, Field(description="Factor on the matrix.")] = 1.0


class STFT(Component):
    """The kernel of a short-time Fourier transform."""

    side: Annotated[Literal["real", "imag"], Field(description="Part of the transform.")] = "real"
    window: Annotated[WindowFunction | None, Field(description="Window function.")] = "hann"
    scaling: Annotated[Literal["density", "spectrum"] | None, Field(description="Scaling of the result.")] = (
        "density"
    )
    periodic: Annotated[bool, Field(description="Whether the window is periodic.")] = False

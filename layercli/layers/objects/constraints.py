"""Keras's constraints: projections of a weight, applied after each step."""

from typing import Annotated

from pydantic import Field

from layercli.schema.component import Component
from layercli.schema.field_types import Axis, Rate

NormAxes = Annotated[Axis | list[Axis], Field(description="Axes along which norms are taken.")]


class MaxNorm(Component):
    """The norm is at most ``max_value``."""

    max_value: Annotated[float, Field(ge=0, description="Largest norm.")] = 2.0
    axis: NormAxes = 0


class MinMaxNorm(Component):
    """The norm is between ``min_value`` and ``max_value``."""

    min_value: Annotated[float, Field(ge=0, description="Smallest norm.")] = 0.0
    max_value: Annotated[float, Field(ge=0, description="Largest norm.")] = 1.0
    rate: Annotated[Rate, Field(description="Speed at which the norm moves into the range.")] = 1.0
    axis: NormAxes = 0


class NonNeg(Component):
    """No value is negative."""


class UnitNorm(Component):
    """The norm is 1."""

    axis: NormAxes = 0

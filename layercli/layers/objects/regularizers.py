"""Keras's regularizers: penalties on weights or outputs, added to the loss."""

from typing import Annotated, Literal

from pydantic import Field

from layercli.schema.component import Component


class L1(Component):
    """l1 * sum(|x|)."""

    l1: Annotated[float, Field(ge=0, description="Factor of the penalty.")] = 0.01


class L2(Component):
    """l2 * sum(x²)."""

    l2: Annotated[float, Field(ge=0, description="Factor of the penalty.")] = 0.01


class L1L2(Component):
    """l1 * sum(|x|) + l2 * sum(x²)."""

    l1: Annotated[float, Field(ge=0, description="Factor of the L1 penalty.")] = 0.0
    l2: Annotated[float, Field(ge=0, description="Factor of the L2 penalty.")] = 0.0


class OrthogonalRegularizer(Component):
    """Pushes the rows or columns of a matrix towards orthogonality."""

    factor: Annotated[float, Field(ge=0, description="Factor of the penalty.")] = 0.01
    mode: Annotated[Literal["rows", "columns"], Field(description="Vectors that should be orthogonal.")] = (
        "rows"
    )

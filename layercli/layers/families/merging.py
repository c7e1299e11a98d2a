"""Keras's layers that make one tensor of several."""

from typing import Annotated, ClassVar

from pydantic import Field

from layercli.layers.arguments import Axis, AxisPair
from layercli.layers.base import Inferred, StandardLayer
from layercli.layers.shapes import Dim, RankError, Shape, ShapeError, Tensor, axis_index, product, show, times
from layercli.schema.strict_model import ArgumentError


class Merge(StandardLayer):
    """A layer that takes several inputs."""

    family: ClassVar[str] = "merging"
    takes: ClassVar[str] = "several tensors"
    pair: ClassVar[bool] = False
    """Whether the layer takes exactly two inputs."""

    def infer(self, inputs: tuple[Tensor, ...]) -> Inferred:
        if len(inputs) < 2 or (self.pair and len(inputs) > 2):
            count = "exactly two inputs" if self.pair else "two inputs or more"
            raise ShapeError(f"{self.title()} takes {count}; it gets {len(inputs)}.")
        shapes = [x.shape for x in inputs]
        batches = {shape[0] for shape in shapes} - {None}
        if len(batches) > 1:
            raise ShapeError(f"{self.title()} takes inputs of one batch size; it gets {_listed(shapes)}.")
        merged = self.merged(shapes)
        return Inferred((Tensor(merged, self.compute_dtype),), multiply_adds=self.products(shapes, merged))

    def merged(self, shapes: list[Shape]) -> Shape:
        """The output's shape.

        Raises:
            ShapeError: the shapes do not go together.
        """
        raise NotImplementedError

    def products(self, shapes: list[Shape], merged: Shape) -> int | None:
        """Multiply-adds of products, per example."""
        del shapes, merged
        return 0


class _Elementwise(Merge):
    takes: ClassVar[str] = "several tensors of one shape; axes of size 1 stretch"

    def merged(self, shapes: list[Shape]) -> Shape:
        batch = next((shape[0] for shape in shapes if shape[0] is not None), None)
        merged = shapes[0][1:]
        for shape in shapes[1:]:
            long, short = sorted((merged, shape[1:]), key=len, reverse=True)
            lead = len(long) - len(short)
            merged = long[:lead] + tuple(
                self._stretched(pair, shapes) for pair in zip(long[lead:], short, strict=True)
            )
        return (batch, *merged)

    def _stretched(self, pair: tuple[Dim, Dim], shapes: list[Shape]) -> Dim:
        one, other = pair
        if one is None or other is None:
            return None
        if one == 1 or other == 1 or one == other:
            return other if one == 1 else one
        raise ShapeError(
            f"{self.title()} takes inputs of one shape, where axes of size 1 stretch; "
            f"it gets {_listed(shapes)}: {one} and {other} do not match.",
            hint="Give the layers before it outputs of one size, or put them side by side with Concatenate.",
        )


class Add(_Elementwise):
    """Adds its inputs, element by element.

    Input: several tensors of one shape. Output: that shape.

    Example:
        {type: Add}
    """


class Average(_Elementwise):
    """The mean of its inputs, element by element.

    Input: several tensors of one shape. Output: that shape.

    Example:
        {type: Average}
    """


class Maximum(_Elementwise):
    """The largest of its inputs, element by element.

    Input: several tensors of one shape. Output: that shape.

    Example:
        {type: Maximum}
    """


class Minimum(_Elementwise):
    """The smallest of its inputs, element by element.

    Input: several tensors of one shape. Output: that shape.

    Example:
        {type: Minimum}
    """


class Multiply(_Elementwise):
    """Multiplies its inputs, element by element.

    Input: several tensors of one shape. Output: that shape.

    Example:
        {type: Multiply}
    """


class Subtract(_Elementwise):
    """The first input less the second, element by element.

    Input: two tensors of one shape. Output: that shape.

    Example:
        {type: Subtract}
    """

    takes: ClassVar[str] = "two tensors of one shape; axes of size 1 stretch"
    pair: ClassVar[bool] = True


class Concatenate(Merge):
    """Puts its inputs one after the other along an axis.

    Input: several tensors that differ in that axis only. Output: that axis is the sum of theirs.

    Example:
        {type: Concatenate}
    """

    takes: ClassVar[str] = "several tensors that are equal in every axis but one"

    axis: Annotated[Axis, Field(description="The axis to concatenate along; -1: the last one.")] = -1

    def merged(self, shapes: list[Shape]) -> Shape:
        ranks = {len(shape) for shape in shapes}
        if len(ranks) > 1:
            raise RankError(f"{self.title()} takes inputs of one rank; it gets {_listed(shapes)}.")
        (rank,) = ranks
        joined = axis_index(self.axis, rank)
        if joined is None:
            raise ShapeError(
                f"{self.title()} is to join axis {self.axis}; its inputs are {_listed(shapes)}.",
                hint="Count axes from 0, the batch, or from -1, the last one, backwards.",
                argument="axis",
            )
        for axis in range(rank):
            sizes = {shape[axis] for shape in shapes} - {None}
            if axis != joined and len(sizes) > 1:
                raise ShapeError(
                    f"{self.title()} joins axis {self.axis}, so its inputs must be equal in all others; "
                    f"it gets {_listed(shapes)}, which differ in axis {axis}.",
                    hint="Make that axis equal, or choose another axis to join.",
                )
        lengths = [shape[joined] for shape in shapes]
        total = None if None in lengths else sum(length for length in lengths if length is not None)
        return (*shapes[0][:joined], total, *shapes[0][joined + 1 :])


class Dot(Merge):
    """The products of two inputs, summed over one axis of each.

    Input: two tensors. Output: (batch, other axes of the first, other axes of the second), or (batch, 1).

    Example:
        {type: Dot, axes: -1}
    """

    takes: ClassVar[str] = "two tensors"
    pair: ClassVar[bool] = True

    axes: Annotated[
        AxisPair, Field(description="The axis to sum over, or a list: that of each input.", examples=[-1])
    ]
    normalize: Annotated[bool, Field(description="Whether to normalize first, which gives the cosine.")] = (
        False
    )

    def check(self) -> None:
        if 0 in (self.axes if isinstance(self.axes, list) else [self.axes]):
            message = f"`axes` is {self.axes}; Dot cannot sum over axis 0, the batch."
            raise ArgumentError("axes", message, "For the last axis of both inputs write `axes: -1`.")

    def _summed(self, shapes: list[Shape]) -> list[int]:
        if isinstance(self.axes, int):
            # Keras wraps a single negative axis around.
            chosen = [self.axes % len(shape) if self.axes < 0 else self.axes for shape in shapes]
        else:
            chosen = self.axes
        found = [axis_index(axis, len(shape)) for axis, shape in zip(chosen, shapes, strict=True)]
        for axis, shape in zip(found, shapes, strict=True):
            if not axis:
                where = "has no axis" if axis is None else "would be summed over its batch: axis"
                raise ShapeError(
                    f"Dot with `axes: {self.axes}` does not fit {_listed(shapes)}: {show(shape)} {where} "
                    f"{self.axes if axis is None else 0}.",
                    hint="Name an axis of each input that is not the batch; -1 is the last one.",
                    argument="axes",
                )
        return [axis for axis in found if axis is not None]

    def merged(self, shapes: list[Shape]) -> Shape:
        first, second = shapes
        one, other = self._summed(shapes)
        if first[one] != second[other]:
            raise ShapeError(
                f"Dot sums over axis {one} of {show(first)} and axis {other} of {show(second)}, "
                f"which must be equal: {first[one]} and {second[other]}.",
                hint="Choose axes of one size with `axes: [first, second]`.",
                argument="axes",
            )
        rest = (*first[:one], *first[one + 1 :], *second[1:other], *second[other + 1 :])
        return rest if len(rest) > 1 else (*rest, 1)

    def products(self, shapes: list[Shape], merged: Shape) -> int | None:
        return times(product(merged[1:]), shapes[0][self._summed(shapes)[0]])


def _listed(shapes: list[Shape]) -> str:
    shown = [show(shape) for shape in shapes]
    return ", ".join(shown[:-1]) + " and " + shown[-1]

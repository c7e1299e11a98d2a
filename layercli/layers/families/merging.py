"""Keras's merging layers: they combine several tensors into one."""

from typing import Annotated, ClassVar

from pydantic import Field

from layercli.layers.base import InferredLayer, StandardLayer
from layercli.layers.dtypes import ANY_DTYPE, FLOATS, INTEGERS, NUMBERS, TEXT
from layercli.layers.shapes import (
    Dim,
    RankError,
    Shape,
    ShapeError,
    Tensor,
    format_shape,
    multiply_dims,
    product_of,
    resolve_axis,
)
from layercli.schema.field_types import Axis, AxisPair
from layercli.schema.strict_model import ArgumentError


class MergeLayer(StandardLayer):
    """A layer that takes several inputs."""

    family: ClassVar[str] = "merging"
    input_description: ClassVar[str] = "several tensors"
    passes_mask: ClassVar[bool] = True
    is_binary: ClassVar[bool] = False
    """Whether the layer takes exactly two inputs."""

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        if len(inputs) < 2 or (self.is_binary and len(inputs) > 2):
            count = "exactly two inputs" if self.is_binary else "two inputs or more"
            raise ShapeError(f"{self.title()} expects {count}, got {len(inputs)}.")
        shapes = [x.shape for x in inputs]
        batches = {shape[0] for shape in shapes} - {None}
        if len(batches) > 1:
            raise ShapeError(
                f"{self.title()} expects inputs of the same batch size, got {_format_shapes(shapes)}."
            )
        output_shape = self.infer_output_shape(shapes)
        return InferredLayer(
            (Tensor(output_shape, self.compute_dtype),),
            multiply_adds=self.count_multiply_adds(shapes, output_shape),
        )

    def infer_output_shape(self, shapes: list[Shape]) -> Shape:
        """Return the output's shape (with the batch axis).

        Raises:
            ShapeError: the shapes are incompatible.
        """
        raise NotImplementedError

    def count_multiply_adds(self, shapes: list[Shape], output_shape: Shape) -> int | None:
        """Return the multiply-adds per example."""
        del shapes, output_shape
        return 0


class _ElementwiseMerge(MergeLayer):
    input_description: ClassVar[str] = "several tensors of the same shape; axes of size 1 stretch"
    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS | INTEGERS

    def accepts_mask(self, x: Tensor, mask: Shape) -> bool:
        return len(mask) < x.rank

    def output_masks(
        self, masks: tuple[Shape | None, ...], outputs: tuple[Tensor, ...]
    ) -> tuple[Shape | None, ...]:
        del outputs
        return (None,) if None in masks else masks[:1]

    def infer_output_shape(self, shapes: list[Shape]) -> Shape:
        batch = next((shape[0] for shape in shapes if shape[0] is not None), None)
        merged = shapes[0][1:]
        for shape in shapes[1:]:
            if shape[1:] == merged:  # the usual case, checked first for speed
                continue
            long, short = sorted((merged, shape[1:]), key=len, reverse=True)
            lead = len(long) - len(short)
            merged = long[:lead] + tuple(
                self._broadcast_size(pair, shapes) for pair in zip(long[lead:], short, strict=True)
            )
        return (batch, *merged)

    def _broadcast_size(self, pair: tuple[Dim, Dim], shapes: list[Shape]) -> Dim:
        first, second = pair
        if first is None or second is None:
            return None
        if first == 1 or second == 1 or first == second:
            return second if first == 1 else first
        raise ShapeError(
            f"{self.title()} expects inputs of the same shape, or axes of size 1 to stretch, "
            f"got {_format_shapes(shapes)}: {first} and {second} do not match.",
            hint="Give the layers before it outputs of the same size, or join them with Concatenate.",
        )


class Add(_ElementwiseMerge):
    """Adds its inputs, element by element.

    Input: several tensors of the same shape. Output: that shape.

    Example:
        {type: Add}
    """

    accepted_dtypes: ClassVar[frozenset[str]] = FLOATS | INTEGERS | TEXT
    keeps_dtype: ClassVar[bool] = True


class Average(_ElementwiseMerge):
    """The mean of its inputs, element by element.

    Input: several tensors of the same shape. Output: that shape.

    Example:
        {type: Average}
    """


class Maximum(_ElementwiseMerge):
    """The maximum of its inputs, element by element.

    Input: several tensors of the same shape. Output: that shape.

    Example:
        {type: Maximum}
    """

    keeps_dtype: ClassVar[bool] = True


class Minimum(_ElementwiseMerge):
    """The minimum of its inputs, element by element.

    Input: several tensors of the same shape. Output: that shape.

    Example:
        {type: Minimum}
    """

    keeps_dtype: ClassVar[bool] = True


class Multiply(_ElementwiseMerge):
    """Multiplies its inputs, element by element.

    Input: several tensors of the same shape. Output: that shape.

    Example:
        {type: Multiply}
    """

    keeps_dtype: ClassVar[bool] = True


class Subtract(_ElementwiseMerge):
    """The first input less the second, element by element.

    Input: two tensors of the same shape. Output: that shape.

    Example:
        {type: Subtract}
    """

    input_description: ClassVar[str] = "two tensors of the same shape; axes of size 1 stretch"
    is_binary: ClassVar[bool] = True
    keeps_dtype: ClassVar[bool] = True


class Concatenate(MergeLayer):
    """Joins its inputs along an axis.

    Input: several tensors that differ in that axis only. Output: that axis is the sum of theirs.

    Example:
        {type: Concatenate}
    """

    input_description: ClassVar[str] = "several tensors that are equal in all axes except one"
    accepted_dtypes: ClassVar[frozenset[str]] = ANY_DTYPE
    keeps_dtype: ClassVar[bool] = True

    axis: Annotated[Axis, Field(description="The axis to concatenate along; -1: the last one.")] = -1

    def output_masks(
        self, masks: tuple[Shape | None, ...], outputs: tuple[Tensor, ...]
    ) -> tuple[Shape | None, ...]:
        return (None,) if set(masks) == {None} else (outputs[0].shape[:-1],)

    def infer_output_shape(self, shapes: list[Shape]) -> Shape:
        ranks = {len(shape) for shape in shapes}
        if len(ranks) > 1:
            raise RankError(f"{self.title()} expects inputs of the same rank, got {_format_shapes(shapes)}.")
        (rank,) = ranks
        concat_axis = resolve_axis(self.axis, rank)
        if concat_axis is None:
            raise ShapeError(
                f"{self.title()} cannot join axis {self.axis} of {_format_shapes(shapes)}.",
                hint="Axis 0 is the batch, axis -1 is the last one.",
                argument="axis",
            )
        for axis in range(rank):
            sizes = {shape[axis] for shape in shapes} - {None}
            if axis != concat_axis and len(sizes) > 1:
                raise ShapeError(
                    f"{self.title()} joins axis {self.axis}; the inputs must be equal in all other axes, "
                    f"got {_format_shapes(shapes)}, which differ in axis {axis}.",
                    hint=_suggest_equal_axes(shapes),
                )
        lengths = [shape[concat_axis] for shape in shapes]
        total = None if None in lengths else sum(length for length in lengths if length is not None)
        return (*shapes[0][:concat_axis], total, *shapes[0][concat_axis + 1 :])


class Dot(MergeLayer):
    """The products of two inputs, summed over one axis of each.

    Input: two tensors. Output: (batch, other axes of the first, other axes of the second), or (batch, 1).

    Example:
        {type: Dot, axes: -1}
    """

    input_description: ClassVar[str] = "two tensors"
    is_binary: ClassVar[bool] = True
    keeps_dtype: ClassVar[bool] = True

    axes: Annotated[
        AxisPair, Field(description="The axis to sum over, or a list: that of each input.", examples=[-1])
    ]
    normalize: Annotated[bool, Field(description="Whether to normalize first, which gives the cosine.")] = (
        False
    )

    def find_accepted_dtypes(self) -> frozenset[str]:
        return FLOATS if self.normalize else NUMBERS

    def output_masks(
        self, masks: tuple[Shape | None, ...], outputs: tuple[Tensor, ...]
    ) -> tuple[Shape | None, ...]:
        return ()

    def check(self) -> None:
        if 0 in (self.axes if isinstance(self.axes, list) else [self.axes]):
            message = f"`axes` must not contain axis 0, the batch, got {self.axes}."
            raise ArgumentError("axes", message, "Write `axes: -1` for the last axis of both inputs.")

    def _find_summed_axes(self, shapes: list[Shape]) -> list[int]:
        if isinstance(self.axes, int):
            # Keras resolves a single negative axis modulo the rank.
            declared_axes = [self.axes % len(shape) if self.axes < 0 else self.axes for shape in shapes]
        else:
            declared_axes = self.axes
        axes = [resolve_axis(axis, len(shape)) for axis, shape in zip(declared_axes, shapes, strict=True)]
        for axis, shape in zip(axes, shapes, strict=True):
            if not axis:
                where = "has no axis" if axis is None else "would be summed over its batch, axis"
                raise ShapeError(
                    f"`axes` {self.axes} is invalid for {_format_shapes(shapes)}: {format_shape(shape)} {where} "
                    f"{self.axes if axis is None else 0}.",
                    hint="Name an axis of each input that is not the batch; -1 is the last one.",
                    argument="axes",
                )
        return [axis for axis in axes if axis is not None]

    def infer_output_shape(self, shapes: list[Shape]) -> Shape:
        first, second = shapes
        first_axis, second_axis = self._find_summed_axes(shapes)
        if first[first_axis] != second[second_axis]:
            raise ShapeError(
                f"Dot sums axis {first_axis} of {format_shape(first)} and axis {second_axis} of {format_shape(second)}; "
                f"their sizes must be equal, got {first[first_axis]} and {second[second_axis]}.",
                hint=_suggest_equal_sizes(first, second),
                argument="axes",
            )
        rest = (
            *first[:first_axis],
            *first[first_axis + 1 :],
            *second[1:second_axis],
            *second[second_axis + 1 :],
        )
        return rest if len(rest) > 1 else (*rest, 1)

    def count_multiply_adds(self, shapes: list[Shape], output_shape: Shape) -> int | None:
        return multiply_dims(product_of(output_shape[1:]), shapes[0][self._find_summed_axes(shapes)[0]])


def _format_shapes(shapes: list[Shape]) -> str:
    shown = [format_shape(shape) for shape in shapes]
    return ", ".join(shown[:-1]) + " and " + shown[-1]


def _suggest_equal_axes(shapes: list[Shape]) -> str:
    """Return a hint for Concatenate, for shapes that differ in other axes than the joined one."""
    differing = [
        axis for axis in range(1, len(shapes[0])) if len({shape[axis] for shape in shapes} - {None}) > 1
    ]
    if len(differing) == 1:
        return "Make that axis equal, or join another axis."
    return "Give the layers before it outputs of the same size: with `padding: same`, convolutions keep the size."


def _suggest_equal_sizes(first: Shape, second: Shape) -> str:
    """Return a hint for Dot: two axes of the same size, otherwise what to change."""
    for axis, size in enumerate(first):
        if axis and size is not None and size in second[1:]:
            return f"Write `axes: [{axis}, {second.index(size, 1)}]` for the axes of size {size}."
    return "Give the layers before it outputs of the same size."

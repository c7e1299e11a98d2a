"""Keras's recurrent layers and their cells."""

from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, PlainValidator, WithJsonSchema

from layercli.layers.arguments import ActivationName, Constraint, Initializer, Regularizer, Seed
from layercli.layers.base import InferredLayer, StandardLayer, Weight
from layercli.layers.bases.nested import NestingLayer, resolve_inner_weights
from layercli.layers.bases.weight_arguments import (
    ActivationArgument,
    BiasConstraint,
    BiasInitializer,
    BiasRegularizer,
    KernelConstraint,
    KernelInitializer,
    KernelRegularizer,
    UseBias,
)
from layercli.layers.custom_layers import CustomLayer, has_custom_layers
from layercli.layers.dtypes import FLOATS
from layercli.layers.parse_layer import parse_inner_layer
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Dim, RankError, Shape, ShapeError, Tensor, format_shape, multiply_dims
from layercli.schema.component import parse_at_key
from layercli.schema.field_types import PositiveInt, Rate
from layercli.schema.strict_model import ArgumentError, ExpectedText, value_error

RecurrentActivation = Annotated[ActivationName | None, Field(description="Function applied to the gates.")]
RecurrentInitializer = Annotated[Initializer, Field(description="Initializer of the recurrent kernel.")]
RecurrentRegularizer = Annotated[Regularizer | None, Field(description="Penalty on the recurrent kernel.")]
RecurrentConstraint = Annotated[Constraint | None, Field(description="Constraint on the recurrent kernel.")]
InputDropout = Annotated[Rate, Field(description="Share of the inputs that is dropped in training.")]
RecurrentDropout = Annotated[Rate, Field(description="Share of the state that is dropped in training.")]
ForgetBias = Annotated[bool, Field(description="Whether the forget gate's bias starts at 1.")]
UseCudnn = Annotated[
    Literal["auto", True, False], Field(description="Whether to use cuDNN; auto: if it can.")
]
_MAX_UNROLLED_STEPS: Final = 1000
Unroll = Annotated[bool, Field(description="Whether the loop over timesteps is unrolled.")]


class RecurrentStep(StandardLayer):
    """One timestep: the base class of a cell and its recurrent layer."""

    family: ClassVar[str] = "recurrent"

    @property
    def output_size(self) -> int:
        """The number of output features of a timestep."""
        raise NotImplementedError

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The sizes of the states that a timestep passes to the next one."""
        raise NotImplementedError

    def step_weights(self, features: int) -> list[Weight]:
        """Return the weights for inputs with this number of features."""
        raise NotImplementedError

    def step_multiply_adds(self, features: Dim) -> Dim:
        """Return the multiply-adds of one timestep."""
        raise NotImplementedError


class RecurrentCell(RecurrentStep):
    """One timestep of a recurrent layer, to be repeated by ``RNN``."""

    input_description: ClassVar[str] = "one timestep at a time, inside RNN"

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        raise ShapeError(
            f"{self.title()} is a cell, one timestep of a recurrent layer, and cannot be used as a layer.",
            hint=f"Use it inside RNN: {{type: RNN, cell: {{type: {self.type_name()}, ...}}}}.",
        )


class UnitStep(RecurrentStep):
    """A timestep of ``units`` units and some gates."""

    gates: ClassVar[int] = 1

    units: Annotated[PositiveInt, Field(description="Number of features of the output.", examples=[32])]
    activation: ActivationArgument = "tanh"
    use_bias: UseBias = True
    kernel_initializer: KernelInitializer = "glorot_uniform"
    recurrent_initializer: RecurrentInitializer = "orthogonal"
    bias_initializer: BiasInitializer = "zeros"
    kernel_regularizer: KernelRegularizer = None
    recurrent_regularizer: RecurrentRegularizer = None
    bias_regularizer: BiasRegularizer = None
    kernel_constraint: KernelConstraint = None
    recurrent_constraint: RecurrentConstraint = None
    bias_constraint: BiasConstraint = None
    dropout: InputDropout = 0.0
    recurrent_dropout: RecurrentDropout = 0.0
    seed: Seed = None

    @property
    def output_size(self) -> int:
        return self.units

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.units,)

    def bias_shape(self) -> tuple[int, ...]:
        """Return the shape of the bias, if the layer has one."""
        return (self.gates * self.units,)

    def step_weights(self, features: int) -> list[Weight]:
        width = self.gates * self.units
        weights = [Weight("kernel", (features, width)), Weight("recurrent_kernel", (self.units, width))]
        return [*weights, Weight("bias", self.bias_shape())] if self.use_bias else weights

    def step_multiply_adds(self, features: Dim) -> Dim:
        return None if features is None else self.gates * self.units * (features + self.units)


class LSTMStep(UnitStep):
    """A timestep with input, forget and output gate, and a carried state."""

    gates: ClassVar[int] = 4

    recurrent_activation: RecurrentActivation = "sigmoid"
    unit_forget_bias: ForgetBias = True

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.units, self.units)


class GRUStep(UnitStep):
    """A timestep with update and reset gate."""

    gates: ClassVar[int] = 3

    recurrent_activation: RecurrentActivation = "sigmoid"
    reset_after: Annotated[
        bool, Field(description="Whether the reset gate is applied after the matrix product, not before it.")
    ] = True

    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)


class LSTMCell(LSTMStep, RecurrentCell):
    """One timestep of LSTM.

    Example:
        {type: RNN, cell: {type: LSTMCell, units: 32}}
    """


class GRUCell(GRUStep, RecurrentCell):
    """One timestep of GRU.

    Example:
        {type: RNN, cell: {type: GRUCell, units: 32}}
    """


class SimpleRNNCell(UnitStep, RecurrentCell):
    """One timestep of SimpleRNN.

    Example:
        {type: RNN, cell: {type: SimpleRNNCell, units: 32}}
    """


Cell: TypeAlias = RecurrentCell | CustomLayer
_CELL_EXAMPLE = "{type: LSTMCell, units: 32}"


def _parse_cell(value: object) -> Cell:
    layer = parse_inner_layer(value)
    if not isinstance(layer, (RecurrentCell, CustomLayer)):
        message = f"{layer.title()} is not a cell (one timestep of a recurrent layer)."
        hint = f"Cells are LSTMCell, GRUCell, SimpleRNNCell and StackedRNNCells, such as {_CELL_EXAMPLE}."
        cell = f"{layer.type_name()}Cell"
        raise value_error("wrong-type", message, f"Did you mean `{cell}`?" if LAYERS.find(cell) else hint)
    return layer


def _parse_cells(value: object) -> list[Cell]:
    if not isinstance(value, (list, tuple)) or not value:
        raise value_error(
            "wrong-type", "`cells` must be a list of at least one cell.", f"For example [{_CELL_EXAMPLE}]."
        )
    return [parse_at_key(index, _parse_cell, item) for index, item in enumerate(value)]


def _parse_cell_or_cells(value: object) -> Cell | list[Cell]:
    return _parse_cells(value) if isinstance(value, (list, tuple)) else _parse_cell(value)


class StackedRNNCells(RecurrentCell, NestingLayer):
    """Several cells, one on top of the other, as one cell.

    Example:
        {type: RNN, cell: {type: StackedRNNCells, cells: [{type: LSTMCell, units: 32}]}}
    """

    cells: Annotated[
        list[Cell],
        PlainValidator(_parse_cells),
        WithJsonSchema({"type": "array", "items": {"$ref": "#/$defs/layer"}}),
        ExpectedText("a list of cells"),
        Field(description="The cells, lowest first.", examples=[[{"type": "LSTMCell", "units": 32}]]),
    ]

    @property
    def known_cells(self) -> list[RecurrentCell]:
        """The cells that are not custom layers."""
        return _drop_custom_cells(self.cells)

    @property
    def output_size(self) -> int:
        return self.known_cells[-1].output_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return tuple(size for cell in self.known_cells for size in cell.state_sizes)

    def step_weights(self, features: int) -> list[Weight]:
        return cell_stack_weights(self.known_cells, features)

    def step_multiply_adds(self, features: Dim) -> Dim:
        return cell_stack_multiply_adds(self.known_cells, features)


def _drop_custom_cells(cells: list[Cell]) -> list[RecurrentCell]:
    return [cell for cell in cells if isinstance(cell, RecurrentCell)]


def _find_declared_step(cells: list[Cell]) -> Shape | None:
    """Return the shape of a timestep of the output, without the batch axis; None if a custom cell does not declare it."""
    last = cells[-1]
    if isinstance(last, StackedRNNCells):
        return _find_declared_step(last.cells)
    if isinstance(last, CustomLayer):
        return None if last.output_shape is None else tuple(last.output_shape)
    return (last.output_size,)


def cell_stack_weights(cells: list[RecurrentCell], features: int) -> list[Weight]:
    """Return the weights of stacked cells."""
    weights: list[Weight] = []
    for index, cell in enumerate(cells):
        prefix = f"cell_{index}/" if len(cells) > 1 else ""
        weights += resolve_inner_weights(cell, cell.step_weights(features), prefix)
        features = cell.output_size
    return weights


def cell_stack_multiply_adds(cells: list[RecurrentCell], features: Dim) -> Dim:
    """Return the multiply-adds of one timestep of stacked cells."""
    total: Dim = 0
    for cell in cells:
        cell_multiply_adds = cell.step_multiply_adds(features)
        total = None if cell_multiply_adds is None or total is None else total + cell_multiply_adds
        features = cell.output_size
    return total


class RecurrentLayer(RecurrentStep):
    """A layer that repeats a timestep over a sequence."""

    input_description: ClassVar[str] = "sequences of shape (batch, timesteps, features), rank 3"
    rank_range: ClassVar[tuple[int, int | None]] = (3, 3)
    passes_mask: ClassVar[bool] = True

    return_sequences: Annotated[
        bool, Field(description="Whether to return the output of every timestep.")
    ] = False
    return_state: Annotated[bool, Field(description="Whether to return the last states too.")] = False
    go_backwards: Annotated[bool, Field(description="Whether to read the sequence backwards.")] = False
    stateful: Annotated[
        bool, Field(description="Whether a batch continues from the states of the last one.")
    ] = False
    unroll: Unroll = False
    zero_output_for_mask: Annotated[bool, Field(description="Whether masked timesteps return zeros.")] = False

    def find_accepted_dtypes(self) -> frozenset[str]:
        has_dropout = any(getattr(cell, "dropout", 0) > 0 for cell in getattr(self, "cells", [self]))
        return self.accepted_dtypes & FLOATS if has_dropout else self.accepted_dtypes

    def accepts_mask(self, x: Tensor, mask: Shape) -> bool:
        del x
        return len(mask) == 2

    def output_masks(
        self, masks: tuple[Shape | None, ...], outputs: tuple[Tensor, ...]
    ) -> tuple[Shape | None, ...]:
        return masks[:1] if self.return_sequences else ()

    def check_rank(self, shape: Shape) -> None:
        try:
            super().check_rank(shape)
        except RankError as error:
            hint = "To flatten each timestep, use {type: TimeDistributed, layer: {type: Flatten}}."
            if len(shape) == 2:
                hint = (
                    "If the layer before is recurrent, set `return_sequences: true` on it; "
                    "otherwise create a sequence with Embedding or Reshape."
                )
            raise RankError(str(error), hint=hint) from None

    def check_sequence(self, x: Tensor) -> None:
        """Check that a stateful layer has a fixed batch size, and that an unrolled loop is short.

        Raises:
            ShapeError: the layer is stateful and the batch size unknown, or the loop has too many timesteps to be unrolled.
        """
        if self.unroll and x.shape[1] is not None and x.shape[1] > _MAX_UNROLLED_STEPS:
            raise ShapeError(
                f"`unroll` of {self.title()} must be false for more than {_MAX_UNROLLED_STEPS:,} timesteps, "
                f"got {x.shape[1]:,}: each one becomes a part of the graph.",
                hint="Remove `unroll`.",
                argument="unroll",
            )
        if self.stateful and x.shape[0] is None:
            raise ShapeError(
                f"{self.title()} with `stateful: true` needs a fixed batch size, got {format_shape(x.shape)}.",
                hint="Remove `stateful`. To remember more timesteps, use longer sequences: a larger `length` of the data's "
                "windows. Every batch then starts from zero states and may have any size.",
                argument="stateful",
            )

    def build_outputs(
        self, batch: Dim, timesteps: Dim, step: Shape, states: list[Shape]
    ) -> tuple[Tensor, ...]:
        """Return the output and the returned states; ``step`` and ``states`` have no batch axis."""
        shape = (batch, timesteps, *step) if self.return_sequences else (batch, *step)
        shapes = [shape, *((batch, *state) for state in states)] if self.return_state else [shape]
        return tuple(Tensor(each, self.compute_dtype) for each in shapes)

    def output(self, x: Tensor) -> tuple[Tensor, ...]:
        self.check_sequence(x)
        states: list[Shape] = [(size,) for size in self.state_sizes]
        return self.build_outputs(x.shape[0], x.shape[1], (self.output_size,), states)

    def weights(self, x: Tensor) -> list[Weight]:
        return self.step_weights(self.require_size(x, -1))

    def multiply_adds(self, x: Tensor) -> int | None:
        return multiply_dims(x.shape[1], self.step_multiply_adds(x.shape[-1]))


class LSTM(LSTMStep, RecurrentLayer):
    """Long short-term memory: reads a sequence step by step, and gates decide what its states keep.

    Input: (batch, timesteps, features). Output: (batch, units), with return_sequences
    (batch, timesteps, units); with return_state two states of shape (batch, units) too.

    Example:
        {type: LSTM, units: 32}
    """

    use_cudnn: UseCudnn = "auto"


class GRU(GRUStep, RecurrentLayer):
    """Gated recurrent unit: reads a sequence step by step, with one gate and one state fewer than LSTM.

    Input: (batch, timesteps, features). Output: (batch, units), with return_sequences
    (batch, timesteps, units); with return_state the state of shape (batch, units) too.

    Example:
        {type: GRU, units: 32}
    """

    use_cudnn: UseCudnn = "auto"


class SimpleRNN(UnitStep, RecurrentLayer):
    """A fully connected layer that takes its own last output as input too.

    Input: (batch, timesteps, features). Output: (batch, units), with return_sequences
    (batch, timesteps, units); with return_state the state of shape (batch, units) too.

    Example:
        {type: SimpleRNN, units: 32}
    """


class RNN(RecurrentLayer, NestingLayer):
    """A cell, or several on top of each other, repeated over a sequence.

    Input: (batch, timesteps, features). Output: (batch, units), with return_sequences
    (batch, timesteps, units); with return_state the states of every cell, each of shape (batch, units), too.

    Example:
        {type: RNN, cell: {type: LSTMCell, units: 32}}
    """

    input_description: ClassVar[str] = "sequences of shape (batch, timesteps, features), rank 3 or more"
    rank_range: ClassVar[tuple[int, int | None]] = (3, None)

    cell: Annotated[
        Cell | list[Cell],
        PlainValidator(_parse_cell_or_cells),
        WithJsonSchema(
            {"anyOf": [{"$ref": "#/$defs/layer"}, {"type": "array", "items": {"$ref": "#/$defs/layer"}}]}
        ),
        ExpectedText("a cell, or a list of cells"),
        Field(
            description="The cell to repeat; a list is stacked.", examples=[{"type": "LSTMCell", "units": 32}]
        ),
    ]

    @property
    def cells(self) -> list[Cell]:
        """The repeated cells, lowest first."""
        if isinstance(self.cell, list):
            return self.cell
        return self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]

    def check(self) -> None:
        if has_custom_layers(self):  # only Keras knows their states
            return
        nested = [inner for cell in self.cells if isinstance(cell, StackedRNNCells) for inner in cell.cells]
        if self.return_state and any(isinstance(cell, (StackedRNNCells, LSTMStep)) for cell in nested):
            raise ArgumentError(
                "return_state",
                "RNN cannot return the states of nested stacks if a cell has several states.",
                "List all cells in one stack.",
            )

    @property
    def known_cells(self) -> list[RecurrentCell]:
        """The cells that are not custom layers."""
        return _drop_custom_cells(self.cells)

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        if not has_custom_layers(self):
            return super().infer(inputs)
        x = self.require_one_input(inputs)
        self.check_sequence(x)
        step = _find_declared_step(self.cells)
        is_known = step is not None and not self.return_state
        outputs = self.build_outputs(x.shape[0], x.shape[1], step or (), []) if is_known else ()
        return InferredLayer(outputs, (), None, has_known_weights=False)

    @property
    def output_size(self) -> int:
        return self.known_cells[-1].output_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return tuple(size for cell in self.known_cells for size in cell.state_sizes)

    def step_weights(self, features: int) -> list[Weight]:
        return cell_stack_weights(self.known_cells, features)

    def step_multiply_adds(self, features: Dim) -> Dim:
        return cell_stack_multiply_adds(self.known_cells, features)

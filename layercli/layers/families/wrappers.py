"""Keras's wrapper layers: they apply a nested layer.

A nested layer is declared like a layer of the stack; its ``name`` is an argument, as in Keras.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from layercli.layers.base import InferredLayer, Layer, Weight
from layercli.layers.bases.nested import NestingLayer, resolve_inner_weights
from layercli.layers.custom_layers import CustomLayer
from layercli.layers.dtypes import FLOATS
from layercli.layers.families.recurrent import RecurrentLayer
from layercli.layers.parse_layer import InnerLayer
from layercli.layers.shapes import Shape, ShapeError, Tensor, format_shape, multiply_dims
from layercli.schema.strict_model import ArgumentError

_UNKNOWN = InferredLayer((), (), None, has_known_weights=False)
"""A wrapper around a custom layer whose output shape is not declared."""


class Wrapper(NestingLayer):
    """A layer that contains a nested layer."""

    family: ClassVar[str] = "wrappers"

    def infer(self, inputs: tuple[Tensor, ...]) -> InferredLayer:
        return self.infer_wrapped(self.require_one_input(inputs))

    def find_accepted_dtypes(self) -> frozenset[str]:
        layer: Layer = self.layer  # type: ignore[attr-defined]  # each wrapper declares it
        return layer.find_accepted_dtypes()

    def run_dtype(self, declared: str, dtype: str) -> str:
        layer: Layer = self.layer  # type: ignore[attr-defined]
        return layer.run_dtype(declared, dtype)

    def infer_wrapped(self, x: Tensor) -> InferredLayer:
        """Return outputs, weights and cost; infer the nested layer only once.

        Raises:
            ShapeError: this layer or the nested layer does not accept the input.
        """
        raise NotImplementedError


def _infer_inner(
    layer: Layer, x: Tensor, *, argument: str = "layer", message_prefix: str = ""
) -> InferredLayer:
    """Infer the nested layer for an input.

    Raises:
        ShapeError: the nested layer does not accept the input; ``argument`` is the one that declares the layer.
    """
    try:
        return layer.infer((x,))
    except ShapeError as error:
        raise type(error)(message_prefix + str(error), hint=error.hint, argument=argument) from None


def _require_single_output(wrapper: Wrapper, layer: Layer, inferred: InferredLayer) -> Tensor:
    if len(inferred.outputs) != 1:
        count = len(inferred.outputs)
        raise ShapeError(
            f"{wrapper.title()} expects a layer with one output, but {layer.title()} returns {count} here.",
            hint="Remove `return_state`, and set `merge_mode` to a value other than null.",
            argument="layer",
        )
    return inferred.outputs[0]


class TimeDistributed(Wrapper):
    """Applies a layer to every timestep, with the same weights.

    Input: (batch, timesteps, ...). Output: (batch, timesteps, ...), with
    the layer's output for each (batch, ...).

    Example:
        {type: TimeDistributed, layer: {type: Dense, units: 8}}
    """

    input_description: ClassVar[str] = "sequences of shape (batch, timesteps, ...), rank 3 or more"
    rank_range: ClassVar[tuple[int, int | None]] = (3, None)
    passes_mask: ClassVar[bool] = True

    layer: Annotated[
        InnerLayer,
        Field(description="The layer to apply to every timestep.", examples=[{"type": "Dense", "units": 8}]),
    ]

    def accepts_mask(self, x: Tensor, mask: Shape) -> bool:
        step = Tensor((*x.shape[:1], *x.shape[2:]), x.dtype)
        return self.layer.accepts_mask(step, (*mask[:1], *mask[2:]))

    def infer_wrapped(self, x: Tensor) -> InferredLayer:
        if self.layer.type_name() == "Pipeline":  # Keras's Pipeline has no compute_output_shape
            message = "TimeDistributed cannot apply a Pipeline to every timestep."
            raise ShapeError(message, hint="Wrap each layer of the pipeline separately.", argument="layer")
        batch, timesteps, *rest = x.shape
        step = Tensor((batch, *rest), x.dtype)
        message_prefix = (
            f"TimeDistributed passes one timestep at a time to its layer, {format_shape(step.shape)}: "
        )
        inner = _infer_inner(self.layer, step, message_prefix=message_prefix)
        if not inner.outputs:
            return _UNKNOWN
        first, *others = _require_single_output(self, self.layer, inner).shape
        output = Tensor((first, timesteps, *others), self.compute_dtype)
        cost = inner.multiply_adds
        total = 0 if cost == 0 else multiply_dims(timesteps, cost)
        weights = tuple(resolve_inner_weights(self.layer, inner.weights))
        return InferredLayer((output,), weights, total, inner.has_known_weights)


class Bidirectional(Wrapper):
    """Runs one recurrent layer forwards and one backwards over the sequence, and joins their outputs.

    Input: (batch, timesteps, features). Output: that of the layer, its last axis doubled by merge_mode
    concat; two outputs where merge_mode is null. With return_state the states of both layers too.

    Example:
        {type: Bidirectional, layer: {type: LSTM, units: 32}}
    """

    input_description: ClassVar[str] = "sequences of shape (batch, timesteps, features), rank 3"
    passes_mask: ClassVar[bool] = True

    layer: Annotated[
        InnerLayer,
        Field(description="The recurrent layer to run.", examples=[{"type": "LSTM", "units": 32}]),
    ]
    merge_mode: Annotated[
        Literal["concat", "sum", "mul", "ave"] | None,
        Field(description="Combination of the two outputs; null: both are returned."),
    ] = "concat"
    backward_layer: Annotated[
        InnerLayer | None, Field(description="The layer that runs backwards; null: a copy of `layer`.")
    ] = None

    def check(self) -> None:
        forward = _require_recurrent("layer", self.layer)
        if self.backward_layer is None:
            if forward is not None and forward.go_backwards:
                message = "`layer` must run forwards, since Bidirectional adds the backward layer."
                raise ArgumentError("layer", message, "Remove `go_backwards` from the nested layer.")
            return
        backward = _require_recurrent("backward_layer", self.backward_layer)
        if forward is None or backward is None:
            return
        if forward.go_backwards == backward.go_backwards:
            direction = "backwards" if forward.go_backwards else "forwards"
            message = f"Bidirectional needs one layer for each direction, but both layers run {direction}."
            hint = f"Write `go_backwards: {'false' if forward.go_backwards else 'true'}` in `backward_layer`."
            raise ArgumentError("backward_layer", message, hint)
        for key in ("stateful", "return_sequences", "return_state"):
            forward_value, backward_value = getattr(forward, key), getattr(backward, key)
            if forward_value != backward_value:
                message = (
                    f"Bidirectional needs the same `{key}` in both layers, "
                    f"got {str(forward_value).lower()} in `layer` and {str(backward_value).lower()} in `backward_layer`."
                )
                hint = f"Write `{key}: {str(forward_value).lower()}` in `backward_layer`."
                raise ArgumentError("backward_layer", message, hint)

    def accepts_mask(self, x: Tensor, mask: Shape) -> bool:
        return self.layer.accepts_mask(x, mask)

    def output_masks(
        self, masks: tuple[Shape | None, ...], outputs: tuple[Tensor, ...]
    ) -> tuple[Shape | None, ...]:
        returned = self.layer.output_masks(masks, outputs)
        return returned if self.merge_mode else returned * 2

    def infer_wrapped(self, x: Tensor) -> InferredLayer:
        forward = _infer_inner(self.layer, x)
        backward_layer = self.backward_layer or self.layer
        backward = (
            forward
            if backward_layer is self.layer
            else _infer_inner(backward_layer, x, argument="backward_layer")
        )
        if not forward.outputs or not backward.outputs:
            return _UNKNOWN
        merged, *states = (tensor.shape for tensor in forward.outputs)
        if self.merge_mode == "concat" and merged[-1] is not None:
            merged = (*merged[:-1], 2 * merged[-1])
        outputs = [merged] if self.merge_mode else [merged, merged]
        weights = resolve_inner_weights(self.layer, forward.weights, "forward/")
        weights += resolve_inner_weights(backward_layer, backward.weights, "backward/")
        costs = (forward.multiply_adds, backward.multiply_adds)
        return InferredLayer(
            tuple(Tensor(shape, self.compute_dtype) for shape in (*outputs, *states, *states)),
            tuple(weights),
            None if costs[0] is None or costs[1] is None else costs[0] + costs[1],
            forward.has_known_weights and backward.has_known_weights,
        )


def _require_recurrent(argument: str, layer: Layer) -> RecurrentLayer | None:
    """Return a recurrent layer of Keras; None for a custom layer, which Keras checks when it is built.

    Raises:
        ArgumentError: the layer is not recurrent.
    """
    if isinstance(layer, CustomLayer):
        return None
    if not isinstance(layer, RecurrentLayer):
        raise ArgumentError(
            argument,
            f"Bidirectional needs a recurrent layer, but {layer.title()} is not recurrent.",
            "Recurrent layers are LSTM, GRU, SimpleRNN, RNN and ConvLSTM1D, 2D and 3D.",
        )
    return layer


class SpectralNormalization(Wrapper):
    """Divides a layer's kernel by its spectral norm in training.

    Input and output: those of the layer.

    Example:
        {type: SpectralNormalization, layer: {type: Dense, units: 8}}
    """

    layer: Annotated[
        InnerLayer,
        Field(
            description="The layer whose kernel or embeddings to normalize.",
            examples=[{"type": "Dense", "units": 8}],
        ),
    ]
    power_iterations: Annotated[
        int, Field(gt=0, le=100, description="Steps that estimate the spectral norm.")
    ] = 1

    def run_dtype(self, declared: str, dtype: str) -> str:
        return declared if dtype in FLOATS else dtype

    def hands_mask_on(self) -> bool:
        return self.layer.hands_mask_on()  # Keras warns, but the nested layer passes the mask on

    def accepts_mask(self, x: Tensor, mask: Shape) -> bool:
        return self.layer.accepts_mask(x, mask)

    def output_masks(
        self, masks: tuple[Shape | None, ...], outputs: tuple[Tensor, ...]
    ) -> tuple[Shape | None, ...]:
        return self.layer.output_masks(masks, outputs)

    def infer_wrapped(self, x: Tensor) -> InferredLayer:
        inner = _infer_inner(self.layer, x)
        if not inner.outputs:
            return _UNKNOWN
        output = _require_single_output(self, self.layer, inner)
        shaped = Tensor(output.shape, self.compute_dtype)
        if not inner.has_known_weights:
            return InferredLayer((shaped,), (), None, has_known_weights=False)
        weights = resolve_inner_weights(self.layer, inner.weights)
        kernel = next((weight for weight in weights if weight.name in ("kernel", "embeddings")), None)
        if kernel is None or isinstance(self.layer, (RecurrentLayer, TimeDistributed)):
            raise ShapeError(
                f"SpectralNormalization needs a layer with a kernel or embeddings, but {self.layer.title()} has neither.",
                hint="Use it with Dense, EinsumDense, Embedding or a convolution.",
                argument="layer",
            )
        vector = Weight("vector_u", (1, kernel.shape[-1]), trainable=False, dtype=kernel.dtype)
        return InferredLayer((shaped,), (*weights, vector), inner.multiply_adds)

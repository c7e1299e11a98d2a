"""Checks of one output against its loss and its target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from layercli.config.data.section import TargetFacts
from layercli.graph.finding import Finding
from layercli.graph.shapes import ModelShapes, NodeShapes
from layercli.layers.shapes import Tensor, format_shape
from layercli.schema.component import Component, snake_case
from layercli.source.nodes import KeyPath

_LOSS_PATH: KeyPath = ("train", "loss")
SPARSE_LOSSES = frozenset({"SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"})
ONE_HOT_LOSSES = frozenset({"CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge"})
BINARY_LOSSES = frozenset({"BinaryCrossentropy", "BinaryFocalCrossentropy"})
_MARGIN_LOSSES = frozenset({"Hinge", "SquaredHinge"})
_EMBEDDING_LOSSES = frozenset({"Circle", "CTC"})
"""Losses for one label per example and an output of any size."""
_EXPECTED_ACTIVATIONS = {
    **dict.fromkeys(SPARSE_LOSSES | ONE_HOT_LOSSES, "softmax"),
    **dict.fromkeys(BINARY_LOSSES, "sigmoid"),
}
_PASS_THROUGH_LAYERS = frozenset(
    {"Dropout", "Flatten", "Reshape", "Permute", "Identity", "AlphaDropout", "GaussianDropout"}
)


def resolve_loss_name(loss: str | Component, output: Tensor) -> str:
    """Return the name of Keras's class; Keras chooses the class of `crossentropy` by the output's shape."""
    if isinstance(loss, Component):
        return loss.type_name()
    return "BinaryCrossentropy" if output.shape[-1] == 1 else "SparseCategoricalCrossentropy"


@dataclass(frozen=True, slots=True)
class LossCheck:
    """A check of one output against its loss and its target."""

    loss: str | Component
    loss_name: str
    output: Tensor
    last_layer: NodeShapes
    per_position_layer: NodeShapes | None
    target: TargetFacts | None

    def check_output(self) -> Iterator[Finding]:
        """Yield the first mismatch only, because other mismatches follow from it."""
        if self.output.rank > 2 and self.target is not None:
            yield self._too_many_axes_finding()
            return
        size = self.output.shape[-1]
        target_findings = list(
            self._check_target(size) if self.target is not None else self._check_without_target(size)
        )
        yield from target_findings
        if not target_findings:
            yield from self._check_activation()

    def _too_many_axes_finding(self) -> Finding:
        if self.per_position_layer is not None:
            return make_per_position_finding(self.per_position_layer, self.output, self.target)
        before = self.last_layer.inputs[0]
        recurrent = getattr(self.last_layer.node.layer, "return_sequences", False)
        pool = {3: "GlobalAveragePooling1D", 4: "GlobalAveragePooling2D"}.get(before.rank if before else 0)
        hint = "Put Flatten" + (f" or {pool}" if pool else "") + " before the last layer."
        return Finding(
            code="target-mismatch",
            message=f"The model's output has shape {format_shape(self.output.shape)}, "
            "but the target has one value for each example.",
            path=self.last_layer.node.path,
            hint="Set `return_sequences: false` to return only the last timestep." if recurrent else hint,
        )

    def _check_without_target(self, size: int | None) -> Iterator[Finding]:
        """Yield the mismatches that exist for any target."""
        if size == 1 and self.loss_name in SPARSE_LOSSES | ONE_HOT_LOSSES and self.output.rank == 2:
            yield self._wrong_loss_finding(
                f"{snake_case(self.loss_name)} requires one unit for each class, but the model's output has 1 unit.",
                "For two classes, use binary_crossentropy. For more classes, use one unit for each class.",
            )

    def _check_target(self, size: int | None) -> Iterator[Finding]:
        assert self.target is not None
        if self.target.classes is None:
            yield from self._check_number_target(size)
        else:
            yield from self._check_label_target(size, self.target.classes)

    def _check_number_target(self, size: int | None) -> Iterator[Finding]:
        if self.loss_name in SPARSE_LOSSES | ONE_HOT_LOSSES | BINARY_LOSSES | _MARGIN_LOSSES:
            yield self._wrong_loss_finding(
                f"{snake_case(self.loss_name)} compares classes, but the target is a number.",
                "Use `loss: mean_squared_error` or a different loss for numbers.",
            )
        elif size is not None and size != 1:
            yield self._wrong_units_finding(
                f"The target is one number, but the model's output has {size} units.", 1
            )
        elif (squashing := _final_activation(self.last_layer)) in ("sigmoid", "softmax", "tanh"):
            yield Finding(
                code="squashed-output",
                message=f"The target is a number of any size, but {squashing} limits the output to values between "
                f"{-1 if squashing == 'tanh' else 0} and 1.",
                path=argument_path(self.last_layer, "activation"),
                hint="Remove the activation of the last layer.",
                severity="warning",
            )

    def _check_label_target(self, size: int | None, classes: int) -> Iterator[Finding]:
        if self.loss_name in SPARSE_LOSSES | ONE_HOT_LOSSES and size is not None and size != classes:
            hint = None
            if (size, classes) == (1, 2):
                hint = (
                    "Use `loss: binary_crossentropy` with 1 unit and sigmoid, or sparse_categorical_crossentropy with "
                    "2 units and softmax."
                )
            message = f"The data has {classes} classes, but the model's output has {_format_units(size)}."
            yield self._wrong_units_finding(message, classes, hint=hint)
        elif self.loss_name in BINARY_LOSSES | _MARGIN_LOSSES:
            yield from self._check_binary_loss(size, classes)
        elif self.loss_name not in SPARSE_LOSSES | ONE_HOT_LOSSES | _EMBEDDING_LOSSES:
            yield from self._check_label_as_number(size, classes)

    def _check_label_as_number(self, size: int | None, classes: int) -> Iterator[Finding]:
        hint = f"For classes, use `loss: sparse_categorical_crossentropy` with {classes} units and softmax."
        if size is not None and size != 1:
            yield self._wrong_loss_finding(
                f"{snake_case(self.loss_name)} compares the output with the target element by element, but the target has one "
                f"label for each example and the output has {size} units. Keras would compare each unit with the label "
                "without an error.",
                hint,
            )
        elif classes > 2:
            message = f"{snake_case(self.loss_name)} treats the class labels 0-{classes - 1} as quantities."
            yield Finding(code="wrong-loss", message=message, path=_LOSS_PATH, hint=hint, severity="warning")

    def _check_binary_loss(self, size: int | None, classes: int) -> Iterator[Finding]:
        if classes > 2:
            yield self._wrong_loss_finding(
                f"{snake_case(self.loss_name)} supports two classes, but the data has {classes}.",
                f"Use `loss: sparse_categorical_crossentropy` with {classes} units and softmax.",
            )
        elif size is not None and size != 1:
            yield self._wrong_loss_finding(
                f"{snake_case(self.loss_name)} requires an output of 1 unit for labels with one value for each example, "
                f"but the output has {size} units.",
                "Use 1 unit and sigmoid, or `loss: sparse_categorical_crossentropy` with 2 units and softmax.",
            )

    def _check_activation(self) -> Iterator[Finding]:
        expected = _EXPECTED_ACTIVATIONS.get(self.loss_name)
        from_logits = getattr(self.loss, "from_logits", False)
        activation = _final_activation(self.last_layer)
        if expected is None or activation is None:
            return
        if from_logits and activation in ("softmax", "sigmoid"):
            yield Finding(
                code="logits-mismatch",
                message=f"The loss has `from_logits: true`, but the last layer already applies {activation}.",
                path=argument_path(self.last_layer, "activation"),
                hint="Remove the activation or `from_logits`.",
            )
        elif not from_logits and activation == "linear":
            yield Finding(
                code="logits-mismatch",
                message=f"{snake_case(self.loss_name)} requires probabilities, but the last layer has no activation.",
                path=self.last_layer.node.path,
                hint=f"Add `activation: {expected}` to the last layer, or set "
                f"`loss: {{type: {self.loss_name}, from_logits: true}}`.",
            )
        elif (
            not from_logits
            and activation in ("sigmoid", "softmax")
            and activation != expected
            and self.output.shape[-1] != 1
        ):
            yield self._wrong_activation_finding(expected)
        elif not from_logits and activation not in (
            expected,
            "hard_sigmoid",
            "sigmoid",
            "softmax",
            "sparsemax",
            "sparse_sigmoid",
        ):
            yield Finding(
                code="logits-mismatch",
                message=f"{snake_case(self.loss_name)} requires probabilities, but the last layer applies {activation}.",
                path=argument_path(self.last_layer, "activation"),
                hint=f"Use `activation: {expected}`.",
                severity="warning",
            )

    def _wrong_activation_finding(self, expected: str) -> Finding:
        loss = snake_case(self.loss_name)
        message = f"{loss} requires exactly one correct class, but sigmoid allows several active units."
        hint = "Use `activation: softmax`."
        if expected == "sigmoid":
            message = f"{loss} evaluates each unit separately, but softmax allows only one active unit."
            hint = "Use `activation: sigmoid`. If each example has exactly one class, use a different loss."
        path = argument_path(self.last_layer, "activation")
        return Finding(code="activation-mismatch", message=message, path=path, hint=hint, severity="warning")

    def _wrong_loss_finding(self, message: str, hint: str) -> Finding:
        return Finding(code="wrong-loss", message=message, path=_LOSS_PATH, hint=hint)

    def _wrong_units_finding(self, message: str, units: int, *, hint: str | None = None) -> Finding:
        layer = self.last_layer.node.layer
        path = argument_path(self.last_layer, "units")
        if hint is None:
            is_dense = "units" in type(layer).model_fields
            hint = (
                f"Set `units: {units}` on the last layer."
                if is_dense
                else f"Add {{type: Dense, units: {units}}} as the last layer."
            )
        return Finding(code="wrong-units", message=message, path=path, hint=hint)


def find_per_position_dense(shapes: ModelShapes) -> NodeShapes | None:
    """Return the first Dense whose input has a rank above 2, so that it returns one result for each position."""
    for row in shapes.rows:
        first = row.inputs[0] if row.inputs else None
        if row.node.type_name == "Dense" and first is not None and first.rank > 2:
            return row
    return None


def make_per_position_finding(row: NodeShapes, output: Tensor, target: TargetFacts | None) -> Finding:
    """Return the finding for a Dense of ``find_per_position_dense``; without a target it is a warning."""
    x = row.inputs[0]
    assert x is not None
    pool = {3: " or GlobalAveragePooling1D", 4: " or GlobalAveragePooling2D"}.get(x.rank, "")
    return Finding(
        code="dense-on-positions",
        message=f"Dense acts only on the last axis: `{row.node.name}` returns one result for each position of its input "
        f"{format_shape(x.shape)}, so the model's output has shape {format_shape(output.shape)}"
        + (", but the target has one value for each example." if target else "."),
        path=row.node.path,
        hint=f"Put Flatten{pool} before `{row.node.name}`.",
        severity="error" if target else "warning",
    )


def _final_activation(row: NodeShapes) -> str | None:
    """Return the last activation, "linear" if there is none; None if it is unknown."""
    activation = layer_activation(row)
    return activation if row.node.type_name not in _PASS_THROUGH_LAYERS else None


def layer_activation(row: NodeShapes) -> str | None:
    """Return the activation that a layer applies, "linear" if there is none; None if the type does not have one."""
    layer = row.node.layer
    if row.node.type_name == "Softmax":
        return "softmax"
    if row.node.type_name in ("ReLU", "LeakyReLU", "ELU", "PReLU"):
        return snake_case(row.node.type_name)
    if "activation" not in type(layer).model_fields:
        return None
    return getattr(layer, "activation", None) or "linear"


def argument_path(row: NodeShapes, name: str) -> KeyPath:
    """Return the path of an argument of a layer."""
    return (*row.node.path, name)


def _format_units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"

"""Whether an output, its loss and its target fit each other."""

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
"""Losses that take one label for each example and an output of any size."""
_EXPECTED_ACTIVATIONS = {
    **dict.fromkeys(SPARSE_LOSSES | ONE_HOT_LOSSES, "softmax"),
    **dict.fromkeys(BINARY_LOSSES, "sigmoid"),
}
_PASS_THROUGH_LAYERS = frozenset(
    {"Dropout", "Flatten", "Reshape", "Permute", "Identity", "AlphaDropout", "GaussianDropout"}
)


def resolve_loss_name(loss: str | Component, output: Tensor) -> str:
    """Keras's class; for `crossentropy` the one that Keras chooses by the shapes."""
    if isinstance(loss, Component):
        return loss.type_name()
    return "BinaryCrossentropy" if output.shape[-1] == 1 else "SparseCategoricalCrossentropy"


@dataclass(frozen=True, slots=True)
class LossCheck:
    """The model's one output against the loss and the target."""

    loss: str | Component
    loss_name: str
    output: Tensor
    last_layer: NodeShapes
    per_position_layer: NodeShapes | None
    target: TargetFacts | None

    def check_output(self) -> Iterator[Finding]:
        """What does not fit; the first cause alone, since others follow from it."""
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
            message=f"The model's output is {format_shape(self.output.shape)}, but the target is one value for each example.",
            path=self.last_layer.node.path,
            hint="Set `return_sequences: false`, so that the last timestep alone is given."
            if recurrent
            else hint,
        )

    def _check_without_target(self, size: int | None) -> Iterator[Finding]:
        """Without data to look at: what no labels could mend."""
        if size == 1 and self.loss_name in SPARSE_LOSSES | ONE_HOT_LOSSES and self.output.rank == 2:
            yield self._wrong_loss_finding(
                f"{snake_case(self.loss_name)} needs one unit for each class; the model's output has one.",
                "For two classes use binary_crossentropy; for more, as many units as classes.",
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
                "Use `loss: mean_squared_error`, or another loss for numbers.",
            )
        elif size is not None and size != 1:
            yield self._wrong_units_finding(
                f"The target is one number, but the model's output has {size} units.", 1
            )
        elif (squashing := _final_activation(self.last_layer)) in ("sigmoid", "softmax", "tanh"):
            yield Finding(
                code="squashed-output",
                message=f"The target is a number of any size, but {squashing} keeps the output between "
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
                    "Use `loss: binary_crossentropy` with this one unit and sigmoid, or sparse_categorical_crossentropy with "
                    "2 units and softmax."
                )
            message = f"The data has {classes} classes, but the model's output has {_format_units(size)}."
            yield self._wrong_units_finding(message, classes, hint=hint)
        elif self.loss_name in BINARY_LOSSES | _MARGIN_LOSSES:
            yield from self._check_binary_loss(size, classes)
        elif self.loss_name not in SPARSE_LOSSES | ONE_HOT_LOSSES | _EMBEDDING_LOSSES:
            yield from self._check_label_as_number(size, classes)

    def _check_label_as_number(self, size: int | None, classes: int) -> Iterator[Finding]:
        hint = f"For classes use `loss: sparse_categorical_crossentropy` with {classes} units and softmax."
        if size is not None and size != 1:
            yield self._wrong_loss_finding(
                f"{snake_case(self.loss_name)} compares the output with the target number by number, but the target is one label "
                f"for each example and the output has {size} units: Keras would compare each of them with the label in "
                "silence.",
                hint,
            )
        elif classes > 2:
            message = f"{snake_case(self.loss_name)} takes the labels 0 to {classes - 1} for amounts, but they name classes."
            yield Finding(code="wrong-loss", message=message, path=_LOSS_PATH, hint=hint, severity="warning")

    def _check_binary_loss(self, size: int | None, classes: int) -> Iterator[Finding]:
        if classes > 2:
            yield self._wrong_loss_finding(
                f"{snake_case(self.loss_name)} tells two classes apart, but the data has {classes}.",
                f"Use `loss: sparse_categorical_crossentropy` with {classes} units and softmax.",
            )
        elif size is not None and size != 1:
            yield self._wrong_loss_finding(
                f"{snake_case(self.loss_name)} with labels of one value for each example needs an output of 1 unit; it has {size}.",
                "Use 1 unit with sigmoid, or `loss: sparse_categorical_crossentropy` with 2 units and softmax.",
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
                hint="Remove the activation, or `from_logits`.",
            )
        elif not from_logits and activation == "linear":
            yield Finding(
                code="logits-mismatch",
                message=f"{snake_case(self.loss_name)} wants probabilities, but the last layer has no activation.",
                path=self.last_layer.node.path,
                hint=f"Add `activation: {expected}` to it, or write "
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
                message=f"{snake_case(self.loss_name)} wants probabilities, but the last layer applies {activation}.",
                path=argument_path(self.last_layer, "activation"),
                hint=f"Use `activation: {expected}`.",
                severity="warning",
            )

    def _wrong_activation_finding(self, expected: str) -> Finding:
        loss = snake_case(self.loss_name)
        message = f"{loss} is for one class of many, but sigmoid lets several units be right at once."
        hint = "Use `activation: softmax`."
        if expected == "sigmoid":
            message = f"{loss} judges each unit on its own, but softmax lets only one of them be right."
            hint = "Use `activation: sigmoid`; if each example has one class of many, use another loss."
        path = argument_path(self.last_layer, "activation")
        return Finding(code="activation-mismatch", message=message, path=path, hint=hint, severity="warning")

    def _wrong_loss_finding(self, message: str, hint: str) -> Finding:
        return Finding(code="wrong-loss", message=message, path=_LOSS_PATH, hint=hint)

    def _wrong_units_finding(self, message: str, units: int, *, hint: str | None = None) -> Finding:
        layer = self.last_layer.node.layer
        path = argument_path(self.last_layer, "units")
        if hint is None:
            is_dense = "units" in type(layer).model_fields
            hint = f"Set `units: {units}` on the last layer." if is_dense else (
                f"End the stack with {{type: Dense, units: {units}}}."
            )  # fmt: skip
        return Finding(code="wrong-units", message=message, path=path, hint=hint)


def find_per_position_dense(shapes: ModelShapes) -> NodeShapes | None:
    """The first Dense that takes more than vectors, so that it gives one prediction for each position."""
    for row in shapes.rows:
        first = row.inputs[0] if row.inputs else None
        if row.node.type_name == "Dense" and first is not None and first.rank > 2:
            return row
    return None


def make_per_position_finding(row: NodeShapes, output: Tensor, target: TargetFacts | None) -> Finding:
    x = row.inputs[0]
    assert x is not None
    pool = {3: " or GlobalAveragePooling1D", 4: " or GlobalAveragePooling2D"}.get(x.rank, "")
    return Finding(
        code="dense-on-positions",
        message=f"Dense takes the last axis alone, so `{row.node.name}` gives one result for each position of its input "
        f"{format_shape(x.shape)}, and the model's output becomes {format_shape(output.shape)}"
        + (", but the target is one value for each example." if target else "."),
        path=row.node.path,
        hint=f"Put Flatten{pool} before it.",
        severity="error" if target else "warning",
    )


def _final_activation(row: NodeShapes) -> str | None:
    """What is applied last, "linear" for nothing; None where it cannot be told."""
    activation = layer_activation(row)
    return activation if row.node.type_name not in _PASS_THROUGH_LAYERS else None


def layer_activation(row: NodeShapes) -> str | None:
    layer = row.node.layer
    if row.node.type_name == "Softmax":
        return "softmax"
    if row.node.type_name in ("ReLU", "LeakyReLU", "ELU", "PReLU"):
        return snake_case(row.node.type_name)
    if "activation" not in type(layer).model_fields:
        return None
    return getattr(layer, "activation", None) or "linear"


def argument_path(row: NodeShapes, name: str) -> KeyPath:
    return (*row.node.path, name)


def _format_units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"

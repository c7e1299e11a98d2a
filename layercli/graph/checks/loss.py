"""Whether an output, its loss and its target fit each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from layercli.config.data.section import TargetFacts
from layercli.graph.finding import Finding
from layercli.graph.shapes import Row, Shapes
from layercli.layers.shapes import Tensor, show
from layercli.schema.component import Component, snake_case
from layercli.source.nodes import KeyPath

_LOSS: KeyPath = ("train", "loss")
SPARSE = frozenset({"SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"})
ONE_HOT = frozenset({"CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge"})
BINARY = frozenset({"BinaryCrossentropy", "BinaryFocalCrossentropy"})
_MARGIN = frozenset({"Hinge", "SquaredHinge"})
_EMBEDDINGS = frozenset({"Circle", "CTC"})
"""Losses that take one label for each example and an output of any size."""
_PROBABILITIES = {**dict.fromkeys(SPARSE | ONE_HOT, "softmax"), **dict.fromkeys(BINARY, "sigmoid")}
_KEEP_VALUES = frozenset(
    {"Dropout", "Flatten", "Reshape", "Permute", "Identity", "AlphaDropout", "GaussianDropout"}
)


def loss_name(loss: str | Component, output: Tensor) -> str:
    """Keras's class; for `crossentropy` the one that Keras chooses by the shapes."""
    if isinstance(loss, Component):
        return loss.type_name()
    return "BinaryCrossentropy" if output.shape[-1] == 1 else "SparseCategoricalCrossentropy"


@dataclass(frozen=True, slots=True)
class Fit:
    """The model's one output against the loss and the target."""

    loss: str | Component
    name: str
    output: Tensor
    last: Row
    spread: Row | None
    facts: TargetFacts | None

    def findings(self) -> Iterator[Finding]:
        """What does not fit; the first cause alone, since others follow from it."""
        if self.output.rank > 2 and self.facts is not None:
            yield self._too_many_axes()
            return
        size = self.output.shape[-1]
        by_target = list(self._against_target(size) if self.facts is not None else self._alone(size))
        yield from by_target
        if not by_target:
            yield from self._activation()

    def _too_many_axes(self) -> Finding:
        if self.spread is not None:
            return spread_finding(self.spread, self.output, self.facts)
        before = self.last.inputs[0]
        recurrent = getattr(self.last.node.layer, "return_sequences", False)
        pool = {3: "GlobalAveragePooling1D", 4: "GlobalAveragePooling2D"}.get(before.rank if before else 0)
        hint = "Put Flatten" + (f" or {pool}" if pool else "") + " before the last layer."
        return Finding(
            code="target-mismatch",
            message=f"The model's output is {show(self.output.shape)}, but the target is one value for each example.",
            path=self.last.node.path,
            hint="Set `return_sequences: false`, so that the last timestep alone is given."
            if recurrent
            else hint,
        )

    def _alone(self, size: int | None) -> Iterator[Finding]:
        """Without data to look at: what no labels could mend."""
        if size == 1 and self.name in SPARSE | ONE_HOT and self.output.rank == 2:
            yield self._wrong_loss(
                f"{snake_case(self.name)} needs one unit for each class; the model's output has one.",
                "For two classes use binary_crossentropy; for more, as many units as classes.",
            )

    def _against_target(self, size: int | None) -> Iterator[Finding]:
        assert self.facts is not None
        if self.facts.classes is None:
            yield from self._against_numbers(size)
        else:
            yield from self._against_labels(size, self.facts.classes)

    def _against_numbers(self, size: int | None) -> Iterator[Finding]:
        if self.name in SPARSE | ONE_HOT | BINARY | _MARGIN:
            yield self._wrong_loss(
                f"{snake_case(self.name)} compares classes, but the target is a number.",
                "Use `loss: mean_squared_error`, or another loss for numbers.",
            )
        elif size is not None and size != 1:
            yield self._units(f"The target is one number, but the model's output has {size} units.", 1)
        elif (squashing := _final_activation(self.last)) in ("sigmoid", "softmax", "tanh"):
            yield Finding(
                code="squashed-output",
                message=f"The target is a number of any size, but {squashing} keeps the output between "
                f"{-1 if squashing == 'tanh' else 0} and 1.",
                path=argument(self.last, "activation"),
                hint="Remove the activation of the last layer.",
                severity="warning",
            )

    def _against_labels(self, size: int | None, classes: int) -> Iterator[Finding]:
        if self.name in SPARSE | ONE_HOT and size is not None and size != classes:
            hint = None
            if (size, classes) == (1, 2):
                hint = (
                    "Use `loss: binary_crossentropy` with this one unit and sigmoid, or sparse_categorical_crossentropy with "
                    "2 units and softmax."
                )
            message = f"The data has {classes} classes, but the model's output has {_units(size)}."
            yield self._units(message, classes, hint=hint)
        elif self.name in BINARY | _MARGIN:
            yield from self._against_two(size, classes)
        elif self.name not in SPARSE | ONE_HOT | _EMBEDDINGS:
            yield from self._label_as_number(size, classes)

    def _label_as_number(self, size: int | None, classes: int) -> Iterator[Finding]:
        hint = f"For classes use `loss: sparse_categorical_crossentropy` with {classes} units and softmax."
        if size is not None and size != 1:
            yield self._wrong_loss(
                f"{snake_case(self.name)} compares the output with the target number by number, but the target is one label "
                f"for each example and the output has {size} units: Keras would compare each of them with the label in "
                "silence.",
                hint,
            )
        elif classes > 2:
            message = f"{snake_case(self.name)} takes the labels 0 to {classes - 1} for amounts, but they name classes."
            yield Finding(code="wrong-loss", message=message, path=_LOSS, hint=hint, severity="warning")

    def _against_two(self, size: int | None, classes: int) -> Iterator[Finding]:
        if classes > 2:
            yield self._wrong_loss(
                f"{snake_case(self.name)} tells two classes apart, but the data has {classes}.",
                f"Use `loss: sparse_categorical_crossentropy` with {classes} units and softmax.",
            )
        elif size is not None and size != 1:
            yield self._wrong_loss(
                f"{snake_case(self.name)} with labels of one value for each example needs an output of 1 unit; it has {size}.",
                "Use 1 unit with sigmoid, or `loss: sparse_categorical_crossentropy` with 2 units and softmax.",
            )

    def _activation(self) -> Iterator[Finding]:
        wanted = _PROBABILITIES.get(self.name)
        from_logits = getattr(self.loss, "from_logits", False)
        given = _final_activation(self.last)
        if wanted is None or given is None:
            return
        if from_logits and given in ("softmax", "sigmoid"):
            yield Finding(
                code="logits-mismatch",
                message=f"The loss has `from_logits: true`, but the last layer already applies {given}.",
                path=argument(self.last, "activation"),
                hint="Remove the activation, or `from_logits`.",
            )
        elif not from_logits and given == "linear":
            yield Finding(
                code="logits-mismatch",
                message=f"{snake_case(self.name)} wants probabilities, but the last layer has no activation.",
                path=self.last.node.path,
                hint=f"Add `activation: {wanted}` to it, or write "
                f"`loss: {{type: {self.name}, from_logits: true}}`.",
            )
        elif (
            not from_logits
            and given in ("sigmoid", "softmax")
            and given != wanted
            and self.output.shape[-1] != 1
        ):
            yield self._other_probabilities(wanted)
        elif not from_logits and given not in (
            wanted,
            "hard_sigmoid",
            "sigmoid",
            "softmax",
            "sparsemax",
            "sparse_sigmoid",
        ):
            yield Finding(
                code="logits-mismatch",
                message=f"{snake_case(self.name)} wants probabilities, but the last layer applies {given}.",
                path=argument(self.last, "activation"),
                hint=f"Use `activation: {wanted}`.",
                severity="warning",
            )

    def _other_probabilities(self, wanted: str) -> Finding:
        loss = snake_case(self.name)
        message = f"{loss} is for one class of many, but sigmoid lets several units be right at once."
        hint = "Use `activation: softmax`."
        if wanted == "sigmoid":
            message = f"{loss} judges each unit on its own, but softmax lets only one of them be right."
            hint = "Use `activation: sigmoid`; if each example has one class of many, use another loss."
        path = argument(self.last, "activation")
        return Finding(code="activation-mismatch", message=message, path=path, hint=hint, severity="warning")

    def _wrong_loss(self, message: str, hint: str) -> Finding:
        return Finding(code="wrong-loss", message=message, path=_LOSS, hint=hint)

    def _units(self, message: str, units: int, *, hint: str | None = None) -> Finding:
        layer = self.last.node.layer
        path = argument(self.last, "units")
        if hint is None:
            is_dense = "units" in type(layer).model_fields
            hint = f"Set `units: {units}` on the last layer." if is_dense else (
                f"End the stack with {{type: Dense, units: {units}}}."
            )  # fmt: skip
        return Finding(code="wrong-units", message=message, path=path, hint=hint)


def dense_on_positions(shapes: Shapes) -> Row | None:
    """The first Dense that takes more than vectors, so that it gives one prediction for each position."""
    for row in shapes.rows:
        first = row.inputs[0] if row.inputs else None
        if row.node.type_name == "Dense" and first is not None and first.rank > 2:
            return row
    return None


def spread_finding(row: Row, output: Tensor, facts: TargetFacts | None) -> Finding:
    x = row.inputs[0]
    assert x is not None
    pool = {3: " or GlobalAveragePooling1D", 4: " or GlobalAveragePooling2D"}.get(x.rank, "")
    return Finding(
        code="dense-on-positions",
        message=f"Dense takes the last axis alone, so `{row.node.name}` gives one result for each position of its input "
        f"{show(x.shape)}, and the model's output becomes {show(output.shape)}"
        + (", but the target is one value for each example." if facts else "."),
        path=row.node.path,
        hint=f"Put Flatten{pool} before it.",
        severity="error" if facts else "warning",
    )


def _final_activation(row: Row) -> str | None:
    """What is applied last, "linear" for nothing; None where it cannot be told."""
    own = own_activation(row)
    return own if row.node.type_name not in _KEEP_VALUES else None


def own_activation(row: Row) -> str | None:
    layer = row.node.layer
    if row.node.type_name == "Softmax":
        return "softmax"
    if row.node.type_name in ("ReLU", "LeakyReLU", "ELU", "PReLU"):
        return snake_case(row.node.type_name)
    if "activation" not in type(layer).model_fields:
        return None
    return getattr(layer, "activation", None) or "linear"


def argument(row: Row, name: str) -> KeyPath:
    return (*row.node.path, name)


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"

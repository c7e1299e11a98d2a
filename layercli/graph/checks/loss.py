"""Checks of one output against its loss and its target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from layercli.config.data.section import TargetFacts, TargetValues
from layercli.config.training.custom_objects import CustomObject
from layercli.graph.finding import Finding
from layercli.graph.output_activation import layer_activation
from layercli.graph.shapes import ModelShapes, NodeShapes
from layercli.graph.target_meaning import (
    BINARY_LOSSES,
    EMBEDDING_LOSSES,
    MARGIN_LOSSES,
    ONE_HOT_LOSSES,
    OVERLAP_LOSSES,
    SPARSE_LOSSES,
    TargetMeaning,
    has_class_numbers,
    interpret_target,
    relate_shapes,
    resolve_loss_name,
)
from layercli.layers.shapes import Tensor, format_shape
from layercli.schema.component import Component, snake_case
from layercli.source.nodes import KeyPath

_LOSS_PATH: KeyPath = ("train", "loss")
_EXPECTED_ACTIVATIONS = {
    **dict.fromkeys(SPARSE_LOSSES | ONE_HOT_LOSSES - {"CategoricalHinge"}, "softmax"),
    **dict.fromkeys(BINARY_LOSSES, "sigmoid"),
}
_NEGATIVE_ACTIVATIONS = frozenset(
    {
        "linear",
        "tanh",
        "leaky_relu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "swish",
        "mish",
        "softsign",
        "hard_tanh",
    }
    | {"log_softmax", "log_sigmoid", "p_re_lu"}
)
"""Activations with negative outputs."""
_POSITIVE_ACTIVATIONS = frozenset(
    {"sigmoid", "softmax", "hard_sigmoid", "sparse_sigmoid", "sparsemax", "relu", "relu6", "softplus"}
    | {"exponential", "squareplus"}
)
"""Activations without negative outputs."""
_TWO_SIGN_LOSSES = frozenset({"Hinge", "SquaredHinge"})
"""Losses for which the sign of the output is the class."""
_ACTIVATION_RANGES = {"sigmoid": (0, 1), "softmax": (0, 1), "tanh": (-1, 1)}
_PASS_THROUGH_LAYERS = frozenset(
    {"Dropout", "Flatten", "Reshape", "Permute", "Identity", "AlphaDropout", "GaussianDropout"}
)
_LOSSES_WITHOUT_LOGITS = frozenset({"CategoricalGeneralizedCrossEntropy"})
_MAX_LIKELY_CLASSES = 100
"""Integers with more distinct values are more likely numbers than labels, unless the data says otherwise."""
_MAX_LISTED_VALUES = 5
_VOID_LABELS = (-1, 255, -100)
"""Labels that data sets often use for pixels or tokens without a class."""


class LossCheck(NamedTuple):
    """A check of one output against its loss and its target."""

    loss: str | Component
    output: Tensor
    last_layer: NodeShapes
    sized_layer: NodeShapes
    """The layer that determines the number of units."""
    per_position_layer: NodeShapes | None
    target: TargetFacts | None
    output_name: str | None = None
    """The name of the output if the model has several outputs."""
    has_loss_names: bool = False
    """Whether the config has a loss for each output."""

    @property
    def loss_name(self) -> str:
        """The name of Keras's class."""
        return resolve_loss_name(self.loss, self.output, None if self.target is None else self.target.shape)

    @property
    def _title(self) -> str:
        return snake_case(self.loss_name)

    @property
    def _loss_path(self) -> KeyPath:
        return (*_LOSS_PATH, self.output_name) if self.output_name and self.has_loss_names else _LOSS_PATH

    @property
    def _target_path(self) -> KeyPath:
        return ("data", "target") if self.output_name is None else ("data", "target", self.output_name)

    @property
    def _units(self) -> int | None:
        return self.output.shape[-1]

    def check_output(self) -> Iterator[Finding]:
        """Yield the first mismatch only, because other mismatches follow from it; none for a loss from custom code."""
        if isinstance(self.loss, CustomObject):
            return
        findings = list(self._check_values())
        yield from findings
        if not any(finding.severity == "error" for finding in findings):
            yield from self._check_activation()

    def _check_values(self) -> Iterator[Finding]:
        """Yield the mismatches with what is known about the target."""
        if self.target is None:
            yield from self._check_without_target()
        elif self.target == TargetFacts(kind=self.target.kind):
            yield from self._check_declared_value(self.target)
        else:
            yield from self._check_target(self.target)

    def _check_declared_value(self, target: TargetFacts) -> Iterator[Finding]:
        """Yield the mismatches with a target that has one value for each example, before the values are read."""
        findings = list(self._check_without_target())
        yield from findings
        if findings or interpret_target(target, self.loss, self.output) is not None:
            return
        relation = relate_shapes(self.output.shape[1:], target.shape)
        if relation == "one-for-all-units":
            yield self._declared_value_finding(target)
        elif relation == "different":
            yield self._unsuitable_target_finding(target)

    def _declared_value_finding(self, target: TargetFacts) -> Finding:
        """Return the finding for one value, a class or a number, for all units, under a loss that compares each unit."""
        classes_hint = "use `loss: sparse_categorical_crossentropy` with softmax and a unit for each class."
        if self.loss_name in BINARY_LOSSES | MARGIN_LOSSES and target.kind != "numbers":
            hint = f"For two classes, use 1 unit and sigmoid. For more classes, {classes_hint}"
            return self._one_unit_finding(hint)
        if target.kind == "labels":
            return self._each_unit_finding(f"For classes, {classes_hint}")
        noun, hint = "one number", f"Set `{self._size_key}: 1` on {self._sized_title}."
        if target.kind is None:
            noun, hint = (
                "one value for each example",
                f"For a number, {hint[0].lower()}{hint[1:]} For classes, {classes_hint}",
            )
        return self._wrong_units_finding(
            f"The target is {noun}, but the model's output has {_format_units(self._units)}.", 1, hint=hint
        )

    def _one_unit_finding(self, hint: str) -> Finding:
        """Return the finding for several units under a loss for two classes."""
        return self._wrong_loss_finding(
            f"{self._title} requires an output of 1 unit for labels with one value for each "
            f"{self._item}, but the output has {_format_units(self._units)}.",
            hint,
        )

    def _each_unit_finding(self, hint: str) -> Finding:
        """Return the finding for one label under a loss that compares each unit with it."""
        return self._wrong_loss_finding(
            f"{self._title} compares the output with the target element by element, but the target has one "
            f"label for each {self._item} and the output has {_format_units(self._units)}. Keras would compare each unit "
            "with the label without an error.",
            hint,
        )

    def _check_without_target(self) -> Iterator[Finding]:
        """Yield the mismatches that exist for any target."""
        if self._units == 1 and self.loss_name in SPARSE_LOSSES | ONE_HOT_LOSSES and self.output.rank == 2:
            yield self._wrong_loss_finding(
                f"{self._title} requires one unit for each class, but the model's output has 1 unit.",
                "For two classes, use binary_crossentropy. For more classes, use one unit for each class.",
            )
        if self._units == 1 and self.loss_name == "CosineSimilarity" and getattr(self.loss, "axis", -1) == -1:
            yield self._wrong_loss_finding(
                f"{self._title} compares the directions of vectors, but the model's output has 1 unit, so the layer "
                "cannot learn more than a sign.",
                "For one number, use mean_squared_error.",
            )

    def _check_target(self, target: TargetFacts) -> Iterator[Finding]:
        meaning, name = interpret_target(target, self.loss, self.output), self.loss_name
        if meaning is None:
            yield self._unsuitable_target_finding(target)
        elif name in SPARSE_LOSSES or meaning.is_converted:
            yield from self._check_class_numbers(target, meaning)
        elif name in MARGIN_LOSSES or (name in BINARY_LOSSES and meaning.kind == "binary"):
            yield from self._check_two_classes(target, (-1, 1) if name in MARGIN_LOSSES else (0, 1))
        elif name in ONE_HOT_LOSSES | BINARY_LOSSES | OVERLAP_LOSSES:
            yield from self._check_probabilities(target, meaning)
        elif name not in EMBEDDING_LOSSES:
            yield from self._check_numbers(target)

    def _unsuitable_target_finding(self, target: TargetFacts) -> Finding:
        """Return the finding for a target whose shape the loss cannot use."""
        relation = relate_shapes(self.output.shape[1:], target.shape)
        has_one_value = target.shape in ((), (1,))
        if relation == "different" and has_one_value and self.output.rank > 2:
            return self._too_many_axes_finding()
        if relation == "one-for-all-units":
            return self._single_value_finding(target)
        if relation == "equal":  # the loss takes class numbers or one-hot vectors
            return self._single_unit_finding(target) if self._units == 1 else self._one_hot_finding(target)
        return self._wrong_shape_finding(target)

    def _single_value_finding(self, target: TargetFacts) -> Finding:
        """Return the finding for one value for all units of a position, under a loss that compares each unit."""
        units, classes = self._units, _count_likely_classes(target)
        if self.loss_name not in BINARY_LOSSES | MARGIN_LOSSES and not has_class_numbers(target):
            classes = None
        count = _format_units(units)
        if classes is None:
            return self._wrong_units_finding(
                f"The target is one number{self._for_each}, but the model's output has {count}.", 1
            )
        if self.loss_name in BINARY_LOSSES | MARGIN_LOSSES:
            if classes > 2:
                return self._too_many_classes_finding(target, classes)
            return self._one_unit_finding(
                "Use 1 unit and sigmoid, or `loss: sparse_categorical_crossentropy` with 2 units and softmax."
            )
        return self._each_unit_finding(self._sparse_hint(classes))

    def _single_unit_finding(self, target: TargetFacts) -> Finding:
        """Return the finding for an output of one unit under a loss that requires one for each class."""
        classes = _count_likely_classes(target)
        if classes is None:
            return self._number_target_finding()
        hint = None
        if classes <= 2:
            hint = (
                "Use `loss: binary_crossentropy` with 1 unit and sigmoid, or sparse_categorical_crossentropy with "
                "2 units and softmax."
            )
        message = f"The data has {classes} classes, but the model's output has {_format_units(1)}."
        return self._wrong_units_finding(message, classes, hint=hint)

    def _one_hot_finding(self, target: TargetFacts) -> Finding:
        """Return the finding for a value for each unit under a loss that takes one class number for all of them."""
        values = target.values
        hint = "Use `loss: categorical_crossentropy`."
        kind = "a value for each class"
        if values is None:
            kind, hint = (
                "values",
                "Use `loss: mean_squared_error` for numbers, or `loss: binary_crossentropy` for labels.",
            )
        if values is not None and values.is_one_hot:
            kind = "one-hot vectors"
        elif values is not None and _is_within(values, 0, 1) and values.is_integral:
            kind, hint = "several labels", "Use `loss: binary_crossentropy` with `activation: sigmoid`."
        elif values is not None and not _is_within(values, 0, 1):
            kind, hint = "numbers", self._number_loss_hint
        return self._wrong_loss_finding(
            f"{self._title} requires one class number for each {self._item}, but the target has {kind} of shape "
            f"{format_shape((None, *target.shape))}.",
            hint,
        )

    def _wrong_shape_finding(self, target: TargetFacts) -> Finding:
        output, shape = self.output.shape[1:], target.shape
        hint = "Change the last layer so that its output has the shape of the target."
        layer = self.sized_layer.node.layer
        is_size_wrong = len(output) == len(shape) and relate_shapes(output[:-1], shape[:-1]) == "equal"
        if is_size_wrong:
            key = next((key for key in ("units", "filters") if key in type(layer).model_fields), None)
            hint = hint if key is None else f"Set `{key}: {shape[-1]}` on {self._sized_title}."
        expected = ""
        if self.loss_name in SPARSE_LOSSES:
            positions = format_shape((None, *output[:-1]))
            expected = f" {self._title} requires one label for each {self._item}: shape {positions}."
            if target.values is not None and target.values.is_one_hot:
                hint = f"Use `loss: categorical_crossentropy`. {hint}"
            elif len(shape) >= len(output):
                hint = f"Save the target as one class number for each {self._item}."
        return Finding(
            code="target-mismatch",
            message=f"The model's output has shape {format_shape(self.output.shape)}, but the target has shape "
            f"{format_shape((None, *shape))}.{expected}",
            path=self.sized_layer.node.path,
            hint=hint,
        )

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

    def _check_class_numbers(self, target: TargetFacts, meaning: TargetMeaning) -> Iterator[Finding]:
        """Yield a finding if the values are not labels from 0 to the number of units."""
        units, ignored = meaning.classes, getattr(self.loss, "ignore_class", None)
        values = None if target.values is None else _without_value(target.values, ignored)
        if units is None:
            return
        if values is None:
            if target.classes is not None and target.classes != units:
                yield self._wrong_class_count_finding(target.classes)
            return
        if not values.is_integral or (target.kind != "labels" and self._is_probably_number(values, units)):
            yield self._number_target_finding()
        elif target.kind == "labels" and target.classes is not None and target.classes != units:
            yield self._wrong_class_count_finding(target.classes)
        elif values.low < 0 or values.high >= units:
            yield self._wrong_labels_finding(values, units)

    def _is_probably_number(self, values: TargetValues, units: int) -> bool:
        """Return whether values that are not labels for the output are numbers rather than labels."""
        if values.low >= 0 and values.high < units:
            return False
        distinct = values.distinct
        is_label_range = distinct is not None and values.low == 0 and len(distinct) == values.high + 1
        return distinct is None or (not is_label_range and len(distinct) > max(units, _MAX_LIKELY_CLASSES))

    def _wrong_class_count_finding(self, classes: int) -> Finding:
        message = f"The data has {classes} classes, but the model's output has {_format_units(self._units)}."
        return self._wrong_units_finding(message, classes)

    def _wrong_labels_finding(self, values: TargetValues, units: int) -> Finding:
        """Return the finding for labels that are not in the range of the output, with the hint that makes them so."""
        distinct = values.distinct or []
        is_label_range = values.low == 0 and len(distinct) == values.high + 1
        if is_label_range:
            return self._wrong_class_count_finding(len(distinct))
        rule = (
            "at least 0"
            if values.low < 0
            else f"below {units}, because the output has {_format_units(units)}"
        )
        outside = [value for value in distinct if not 0 <= value < units]
        wrong = [value for value in outside if value < 0] or outside
        hint = self._suggest_mapping(distinct, units)
        has_ignore_class = self.loss_name == "SparseCategoricalCrossentropy"
        if has_ignore_class and len(outside) == 1 and _is_likely_void(outside[0], distinct, units):
            hint = (
                f"{self._ignore_hint(int(outside[0]))} {hint.replace('Set `target', 'Otherwise set `target')}"
            )
        return self._bad_label_finding(values, wrong, rule, hint)

    def _ignore_hint(self, label: int) -> str:
        logits = ", from_logits: true" if getattr(self.loss, "from_logits", False) else ""
        loss = f"{{type: {self.loss_name}{logits}, ignore_class: {label}}}"
        return f"If {label} means that there is no class, set `loss: {loss}`."

    def _suggest_mapping(self, distinct: Sequence[float], units: int) -> str:
        """Return the hint to map the labels to class numbers."""
        shown = _list_values(distinct)
        mapping = f"maps the labels {shown} to 0 to {len(distinct) - 1}"
        if len(distinct) <= units:
            hint = f"Set `target_type: labels` under `data:`, which {mapping}."
            if len(distinct) == units:
                return hint
            return f"{hint[:-1]}, and `{self._size_key}: {len(distinct)}` on the last layer."
        return (
            f"Correct the data if it has wrong labels. Otherwise set `target_type: labels` under `data:`, which {mapping}, "
            f"and `{self._size_key}: {len(distinct)}` on the last layer."
        )

    def _check_two_classes(self, target: TargetFacts, pair: tuple[int, int]) -> Iterator[Finding]:
        """Yield a finding if the values are not two classes: 0 and 1, or -1 and 1 for the hinge losses."""
        values = target.values
        if values is None or target.kind == "labels":
            classes = target.classes
            if classes is not None and classes > 2:
                yield self._too_many_classes_finding(target, classes)
            elif classes is None and values is None:
                return
            elif classes is None:
                yield self._number_target_finding()
            return
        distinct = values.distinct
        if distinct is not None and any(
            set(distinct) <= set(allowed) for allowed in {(0.0, 1.0), tuple(map(float, pair))}
        ):
            return
        if not values.is_integral or distinct is None or len(distinct) > _MAX_LIKELY_CLASSES:
            is_single = target.shape in ((), (1,)) or pair != (0, 1)
            yield self._number_target_finding() if is_single else self._outside_range_finding(values)
        elif len(distinct) > 2:
            yield self._too_many_classes_finding(target, len(distinct))
        else:
            allowed_values = "0 or 1" if pair == (0, 1) else "-1 or 1"
            wrong = [value for value in distinct if value not in (0, 1)] or list(distinct)
            hint = (
                f"Set `target_type: labels` under `data:`, which maps the labels {_list_values(distinct)} to "
                f"{'0 and 1' if len(distinct) == 2 else '0'}."
            )
            if set(distinct) <= {-1, 1}:
                hint = f"{hint[:-1]}, or use `loss: hinge` with `activation: tanh`."
            yield self._bad_label_finding(values, wrong, allowed_values, hint)

    def _check_probabilities(self, target: TargetFacts, meaning: TargetMeaning) -> Iterator[Finding]:
        """Yield a finding if the values for each unit are not from 0 to 1, or not one class for a loss that requires it."""
        values = target.values
        if values is None:
            if target.classes is None:
                return
            yield self._single_value_finding(target)
        elif not _is_within(values, 0, 1):
            yield self._outside_range_finding(values)
        elif self.loss_name in ONE_HOT_LOSSES and meaning.kind == "multi-label":
            yield Finding(
                code="wrong-loss",
                message=f"{self._title} requires exactly one class for each {self._item}, but some have several or none.",
                path=self._loss_path,
                hint="For several labels, use `loss: binary_crossentropy` with `activation: sigmoid`.",
                severity="warning",
            )

    def _outside_range_finding(self, values: TargetValues) -> Finding:
        return self._wrong_loss_finding(
            f"{self._title} requires a target from 0 to 1, but its values are from {values.low:g} to "
            f"{values.high:g}.",
            "For numbers, use `loss: mean_squared_error`. For classes or a mask, write 0 and 1.",
        )

    def _check_numbers(self, target: TargetFacts) -> Iterator[Finding]:
        """Yield a finding if labels are compared as numbers, or the activation cannot reach the numbers."""
        classes, values = target.classes, target.values
        if has_class_numbers(target) and classes is not None:
            if classes > 2 and self.loss_name != "Poisson":
                declare = (
                    ""
                    if target.kind == "labels"
                    else " For numbers, set `target_type: numbers` under `data:`."
                )
                yield Finding(
                    code="wrong-loss",
                    message=f"{self._title} treats the class labels 0-{classes - 1} as quantities.",
                    path=self._loss_path,
                    hint=f"{self._sparse_hint(classes)}{declare}",
                    severity="warning",
                )
            return
        squashing = _final_activation(self.last_layer)
        limits = _ACTIVATION_RANGES.get(squashing or "")
        if limits is None or (values is not None and _is_within(values, *limits)):
            return
        if values is None and target.shape not in ((), (1,)):
            return
        received = (
            "is a number of any size"
            if values is None
            else f"has values from {values.low:g} to {values.high:g}"
        )
        yield Finding(
            code="squashed-output",
            message=f"The target {received}, but {squashing} limits the output to values between {limits[0]} "
            f"and {limits[1]}.",
            path=argument_path(self.last_layer, "activation"),
            hint="Remove the activation of the last layer.",
            severity="warning",
        )

    def _number_target_finding(self) -> Finding:
        return self._wrong_loss_finding(
            f"{self._title} compares classes, but the target is a number.", self._number_loss_hint
        )

    @property
    def _number_loss_hint(self) -> str:
        activation = _final_activation(self.last_layer)
        remove = f", and remove `activation: {activation}`" if activation in ("softmax", "sigmoid") else ""
        return f"Use `loss: mean_squared_error` or a different loss for numbers{remove}."

    def _too_many_classes_finding(self, target: TargetFacts, classes: int) -> Finding:
        hint = f"Use `loss: sparse_categorical_crossentropy` with {classes} {self._size_key} and softmax"
        is_mapped = target.kind == "labels" or target.classes is not None
        return self._wrong_loss_finding(
            f"{self._title} supports two classes, but the data has {classes}.",
            f"{hint}." if is_mapped else f"{hint}, and `target_type: labels` under `data:`.",
        )

    def _bad_label_finding(
        self, values: TargetValues, wrong: Sequence[float], rule: str, hint: str
    ) -> Finding:
        first_rows, counts = values.first_rows or {}, values.counts
        first = min(wrong, key=lambda value: first_rows[value])
        total = sum(counts.get(value, 1) for value in wrong)
        what = "rows" if self.target is not None and self.target.shape in ((), (1,)) else "values"
        affected = f" ({total:,} {what} affected)" if total > 1 else ""
        place = values.first_files.get(first) or f"row {first_rows[first] + 1}"
        return Finding(
            code="bad-label",
            message=f"Labels must be {rule}; got {first:g} in {place}{affected}.",
            path=self._target_path,
            hint=hint,
        )

    @property
    def _item(self) -> str:
        return "example" if self.output.rank == 2 else "position"

    @property
    def _for_each(self) -> str:
        return "" if self.output.rank == 2 else " for each position"

    @property
    def _sized_title(self) -> str:
        return "the last layer" if self.sized_layer is self.last_layer else f"`{self.sized_layer.node.name}`"

    @property
    def _size_key(self) -> str:
        return "filters" if "filters" in type(self.sized_layer.node.layer).model_fields else "units"

    def _sparse_hint(self, classes: int) -> str:
        return f"For classes, use `loss: sparse_categorical_crossentropy` with {classes} {self._size_key} and softmax."

    def _check_activation(self) -> Iterator[Finding]:
        expected = _EXPECTED_ACTIVATIONS.get(self.loss_name)
        from_logits = getattr(self.loss, "from_logits", False)
        activation = _final_activation(self.last_layer)
        has_logits = self.loss_name not in _LOSSES_WITHOUT_LOGITS
        yield from self._check_activation_range(activation)
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
                message=f"{self._title} requires probabilities, but the last layer has no activation.",
                path=self.last_layer.node.path,
                hint=f"Add `activation: {expected}` to the last layer"
                + (f", or set `loss: {{type: {self.loss_name}, from_logits: true}}`." if has_logits else "."),
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
                message=f"{self._title} requires probabilities, but the last layer applies {activation}.",
                path=argument_path(self.last_layer, "activation"),
                hint=f"Use `activation: {expected}`.",
                severity="warning",
            )

    def _check_activation_range(self, activation: str | None) -> Iterator[Finding]:
        """Yield a warning if the last activation has values with which a loss other than for classes cannot work."""
        has = "no activation" if activation == "linear" else f"the activation {activation}"
        if self.loss_name == "Poisson" and activation in _NEGATIVE_ACTIVATIONS:
            message = (
                f"{self._title} takes the logarithm of the output, which must be positive, but the last layer has "
                f"{has}. The loss becomes NaN at the first negative output."
            )
            hint = "Use `activation: exponential` or `activation: softplus` on the last layer."
        elif self.loss_name in _TWO_SIGN_LOSSES and activation in _POSITIVE_ACTIVATIONS:
            message = (
                f"{self._title} requires negative outputs for one of the classes, but the last layer has {has}, "
                "which is never negative."
            )
            hint = "Remove the activation, or use `activation: tanh`."
        elif self.loss_name == "KLDivergence" and activation in _NEGATIVE_ACTIVATIONS | {"relu"}:
            message = f"{self._title} compares probabilities, but the last layer has {has}."
            hint = "Use `activation: softmax` on the last layer."
        else:
            return
        path = self.last_layer.node.path
        yield Finding(code="activation-mismatch", message=message, path=path, hint=hint, severity="warning")

    def _wrong_activation_finding(self, expected: str) -> Finding:
        loss = self._title
        message = f"{loss} requires exactly one correct class, but sigmoid allows several active units."
        hint = "Use `activation: softmax`."
        if expected == "sigmoid":
            message = f"{loss} evaluates each unit separately, but softmax allows only one active unit."
            hint = "Use `activation: sigmoid`. If each example has exactly one class, use a different loss."
        path = argument_path(self.last_layer, "activation")
        return Finding(code="activation-mismatch", message=message, path=path, hint=hint, severity="warning")

    def _wrong_loss_finding(self, message: str, hint: str) -> Finding:
        return Finding(code="wrong-loss", message=message, path=self._loss_path, hint=hint)

    def _wrong_units_finding(self, message: str, units: int, *, hint: str | None = None) -> Finding:
        layer = self.sized_layer.node.layer
        key = next((key for key in ("units", "filters") if key in type(layer).model_fields), None)
        path = argument_path(self.sized_layer, key or "units")
        if hint is None:
            hint = (
                f"Add {{type: Dense, units: {units}}} as the last layer."
                if key is None
                else f"Set `{key}: {units}` on {self._sized_title}."
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


def argument_path(row: NodeShapes, name: str) -> KeyPath:
    """Return the path of an argument of a layer."""
    return (*row.node.path, name)


def _is_likely_void(label: float, distinct: Sequence[float], units: int) -> bool:
    """Return whether the only label that is not a class marks what has no class, such as the border of an object."""
    return len(distinct) > units or (len(distinct) > 2 and label in _VOID_LABELS)


def _format_units(count: int | None) -> str:
    return "several units" if count is None else "1 unit" if count == 1 else f"{count} units"


def _count_likely_classes(target: TargetFacts) -> int | None:
    """Return the number of classes of a target with one value for each example or position; None for numbers."""
    if target.classes is not None or target.values is None:
        return target.classes
    values = target.values
    is_number = target.kind == "numbers" or not values.is_integral or values.distinct is None
    return (
        None if is_number or len(values.distinct or ()) > _MAX_LIKELY_CLASSES else len(values.distinct or ())
    )


def _is_within(values: TargetValues, low: float, high: float) -> bool:
    return values.low >= low and values.high <= high


def _without_value(values: TargetValues, ignored: int | None) -> TargetValues:
    """Return the values without the label that the loss ignores."""
    if ignored is None or values.first_rows is None or ignored not in values.first_rows:
        return values
    first_rows = {value: row for value, row in values.first_rows.items() if value != ignored}
    if not first_rows:
        return values
    return replace(values, low=min(first_rows), high=max(first_rows), first_rows=first_rows)


def _list_values(distinct: Sequence[float]) -> str:
    """Return the values as text, at most a few of them."""
    shown = ", ".join(f"{value:g}" for value in distinct[:_MAX_LISTED_VALUES])
    return shown if len(distinct) <= _MAX_LISTED_VALUES else f"{shown}, ..., {distinct[-1]:g}"

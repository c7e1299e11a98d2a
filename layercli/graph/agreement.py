"""Whether model, data and training fit each other: what Keras says late, in its own words, or never."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from layercli.config.config import Config
from layercli.config.data import DataFacts, TargetFacts
from layercli.errors import Severity
from layercli.graph.findings import Finding
from layercli.graph.shapes import Row, Shapes
from layercli.layers.component import Component, snake_case
from layercli.layers.shapes import Shape, Tensor, show
from layercli.layers.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, printable

_LOSS: KeyPath = ("train", "loss")
SPARSE = frozenset({"SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"})
ONE_HOT = frozenset({"CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge"})
BINARY = frozenset({"BinaryCrossentropy", "BinaryFocalCrossentropy"})
_MARGIN = frozenset({"Hinge", "SquaredHinge"})
_EMBEDDINGS = frozenset({"Circle", "CTC"})
"""Losses that take one label for each example and an output of any size."""
_PROBABILITIES = {**dict.fromkeys(SPARSE | ONE_HOT, "softmax"), **dict.fromkeys(BINARY, "sigmoid")}
_SPARSE_METRICS = {
    "SparseCategoricalAccuracy": "CategoricalAccuracy",
    "SparseTopKCategoricalAccuracy": "TopKCategoricalAccuracy",
    "SparseCategoricalCrossentropy": "CategoricalCrossentropy",
}
"""Metrics that take labels, and those that tell the same of one-hot targets."""
_ONE_HOT_METRICS = {wanted: sparse for sparse, wanted in _SPARSE_METRICS.items()} | dict.fromkeys(
    ("CategoricalHinge", "F1Score", "FBetaScore", "OneHotIoU", "OneHotMeanIoU"), None
)
_KEEP_VALUES = frozenset(
    {"Dropout", "Flatten", "Reshape", "Permute", "Identity", "AlphaDropout", "GaussianDropout"}
)


def disagreements(config: Config, shapes: Shapes, facts: DataFacts | None = None) -> Iterator[Finding]:
    """Every place where model, data and training do not fit; ``facts`` are those of data that was read."""
    yield from _single_unit_softmax(shapes, "error" if config.train else "warning")
    if facts is None and config.data is not None:
        facts = config.data.facts()
    outputs = shapes.graph.output_references
    named = list(_unlike_names(config, outputs, facts))
    yield from named
    if facts is not None and (named or (len(outputs) > 1) != (facts.targets is not None)):
        return
    for index in range(len(outputs)):
        yield from _output_disagreements(config, shapes, index, facts)
    yield from _accuracy_of_numbers(config, outputs, facts)
    if facts is not None and len(outputs) == 1:
        yield from _unlike_metrics(config, shapes, facts)
    if facts is not None and config.data is not None and config.data.split.stratify:
        targets = [TargetFacts(facts.classes)] if facts.targets is None else facts.targets.values()
        if all(target.classes is None for target in targets):
            message = "`stratify` needs classes; this data set has numbers as its target."
            yield Finding(
                code="bad-split", message=message, path=("data", "split", "stratify"), hint="Remove it."
            )


def one_hot_units(config: Config, shapes: Shapes, facts: DataFacts) -> dict[str | None, int]:
    """Of each output whose loss takes one-hot targets while its targets are labels, how many units it has.

    Outputs are named as in the config; None where there is one target for the only output.
    """
    graph, units = shapes.graph, {}
    for name, pick, title in zip(graph.outputs, graph.output_picks, graph.output_references, strict=True):
        output, target = shapes.output(name, pick), facts.of(title)
        if config.train is None or output is None or target is None or target.classes is None:
            continue
        size = output.shape[-1]
        loss = config.train.loss_of(title)
        if loss and loss_name(loss, output) in ONE_HOT and not target.shape and size is not None:
            units[None if facts.targets is None else title] = size
    return units


def _unlike_names(config: Config, outputs: Sequence[str], facts: DataFacts | None) -> Iterator[Finding]:
    """Targets by name that are those of no output, and outputs that have none."""
    if config.data is None or config.train is None:
        return
    declared = getattr(config.data, "target", None)
    names = list(declared) if isinstance(declared, dict) else None
    if names is None and facts is not None and facts.targets is not None:
        names = list(facts.targets)
    path: KeyPath = ("data", "target")
    if names is not None:
        listed = ", ".join(f"`{name}`" for name in outputs)
        for name in names:
            if name not in outputs:
                message = f"The data has a target for `{printable(name, limit=60)}`, which is no output of the model."
                hint = did_you_mean(name, outputs, otherwise=f"The outputs are {listed}.")
                yield Finding(
                    code="target-mismatch", message=message, path=(*path, name), hint=hint, at_key=True
                )
        for name in outputs:
            if name not in names:
                message = f"The data has no target for the model's output `{name}`."
                hint = f"Add it: `target: {{{name}: ...}}`."
                yield Finding(code="target-mismatch", message=message, path=path, hint=hint, at_key=True)
    elif len(outputs) > 1 and (facts is not None or declared is not None):
        hint = "Name one output."
        if declared is not None:
            hint = "Give each its own: `target: {" + ", ".join(f"{name}: ..." for name in outputs) + "}`."
        message = f"The model has {len(outputs)} outputs, but the data has one target."
        yield Finding(code="target-mismatch", message=message, path=("model", "outputs"), hint=hint)


def _output_disagreements(
    config: Config, shapes: Shapes, index: int, facts: DataFacts | None
) -> Iterator[Finding]:
    """Where an output, its target and its loss do not fit."""
    graph = shapes.graph
    output = shapes.output(graph.outputs[index], graph.output_picks[index])
    if output is None:
        return
    target = facts.of(graph.output_references[index]) if facts is not None else None
    last = shapes.by_name[graph.outputs[index]]
    if target is not None and target.shape:
        yield from _unlike_target(config, last, output, target.shape)
        return
    spread = _dense_on_positions(shapes) if output.rank > 2 else None
    if (
        target is None and spread is not None and output.rank > 3 and len(graph.outputs) == 1
    ):  # one result for each timestep is often meant
        yield _spread_finding(spread, output, None)
    loss = config.train.loss_of(graph.output_references[index]) if config.train is not None else None
    if loss is not None:
        yield from _Fit(loss, loss_name(loss, output), output, last, spread, target).findings()


def _unlike_target(config: Config, last: Row, output: Tensor, target: Shape) -> Iterator[Finding]:
    """An output of another shape than a target of several numbers: Keras would stretch one over the other."""
    if config.train is None or _fit_together(output.shape[1:], target):
        return
    shown = show((None, *target))
    yield Finding(
        code="target-mismatch",
        message=f"The model's output is {show(output.shape)}, but the target is {shown}.",
        path=last.node.path,
        hint="Let the last layer give the shape of the target.",
    )


def _fit_together(output: Shape, target: Shape) -> bool:
    return len(output) == len(target) and all(
        a is None or a == b for a, b in zip(output, target, strict=True)
    )


def _metrics(config: Config, outputs: Sequence[str]) -> Iterator[tuple[str, KeyPath, str]]:
    """Each metric: the output that it is of, where it stands, and its name."""
    for key in ("metrics", "weighted_metrics"):
        given = getattr(config.train, key, [])
        by_output = given if isinstance(given, dict) else {None: given}
        for output, metrics in by_output.items():
            path: KeyPath = ("train", key) if output is None else ("train", key, output)
            for index, metric in enumerate(metrics):
                name = metric if isinstance(metric, str) else metric.type_name()
                yield output or outputs[0], (*path, index), name


def _accuracy_of_numbers(
    config: Config, outputs: Sequence[str], facts: DataFacts | None
) -> Iterator[Finding]:
    """Metrics that count right classes where the target is a number."""
    for output, path, name in _metrics(config, outputs) if facts is not None else ():
        target = facts.of(output) if facts is not None else None
        if target is None or target.classes is not None:
            continue
        if name.lower() == "acc" or name.lower().endswith("accuracy"):
            yield Finding(
                code="wrong-metric",
                message=f"{name} counts right classes, but the target is a number: it will be near 0.",
                path=path,
                hint="Use mean_absolute_error, or R2Score.",
                severity="warning",
            )


def _unlike_metrics(config: Config, shapes: Shapes, facts: DataFacts) -> Iterator[Finding]:
    """Metrics that take one-hot targets where labels are fed, or the other way round."""
    graph = shapes.graph
    one_hots = one_hot_units(config, shapes, facts)
    places = dict(
        zip(graph.output_references, zip(graph.outputs, graph.output_picks, strict=True), strict=True)
    )
    for title, path, name in _metrics(config, graph.output_references):
        target = facts.of(title)
        output = shapes.output(*places[title]) if title in places else None
        many = output is not None and output.rank == 2 and output.shape[-1] not in (1, None)
        if target is None or target.classes is None or not many:
            continue
        one_hot = (None if facts.targets is None else title) in one_hots
        others = _SPARSE_METRICS if one_hot else _ONE_HOT_METRICS
        if name not in others:
            continue
        fed = "one-hot targets, which the loss takes" if one_hot else "labels"
        wanted = "labels" if one_hot else "one-hot targets"
        same = others[name]
        hint = f"Use {snake_case(same)}." if same else (
            "With `loss: categorical_crossentropy` the labels are made one-hot."
        )  # fmt: skip
        message = f"{name} takes {wanted}, but it is given {fed}."
        yield Finding(code="wrong-metric", message=message, path=path, hint=hint)


def loss_name(loss: str | Component, output: Tensor) -> str:
    """Keras's class; for `crossentropy` the one that Keras chooses by the shapes."""
    if isinstance(loss, Component):
        return loss.type_name()
    return "BinaryCrossentropy" if output.shape[-1] == 1 else "SparseCategoricalCrossentropy"


def _single_unit_softmax(shapes: Shapes, severity: Severity) -> Iterator[Finding]:
    for row in shapes.rows:
        output = shapes.output(row.node.name)
        if (
            output is not None
            and output.rank > 1
            and output.shape[-1] == 1
            and _own_activation(row) == "softmax"
        ):
            yield Finding(
                code="softmax-of-one",
                message=f"softmax over the single unit of `{row.node.name}` is always 1: the layer cannot learn.",
                path=_argument(row, "activation"),
                hint="For two classes use `activation: sigmoid` with the loss binary_crossentropy; for more, one unit for "
                "each class.",
                severity=severity,
            )


@dataclass(frozen=True, slots=True)
class _Fit:
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
            return _spread_finding(self.spread, self.output, self.facts)
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
                path=_argument(self.last, "activation"),
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
                path=_argument(self.last, "activation"),
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
                path=_argument(self.last, "activation"),
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
        path = _argument(self.last, "activation")
        return Finding(code="activation-mismatch", message=message, path=path, hint=hint, severity="warning")

    def _wrong_loss(self, message: str, hint: str) -> Finding:
        return Finding(code="wrong-loss", message=message, path=_LOSS, hint=hint)

    def _units(self, message: str, units: int, *, hint: str | None = None) -> Finding:
        layer = self.last.node.layer
        path = _argument(self.last, "units")
        if hint is None:
            is_dense = "units" in type(layer).model_fields
            hint = f"Set `units: {units}` on the last layer." if is_dense else (
                f"End the stack with {{type: Dense, units: {units}}}."
            )  # fmt: skip
        return Finding(code="wrong-units", message=message, path=path, hint=hint)


def _dense_on_positions(shapes: Shapes) -> Row | None:
    """The first Dense that takes more than vectors, so that it gives one prediction for each position."""
    for row in shapes.rows:
        first = row.inputs[0] if row.inputs else None
        if row.node.type_name == "Dense" and first is not None and first.rank > 2:
            return row
    return None


def _spread_finding(row: Row, output: Tensor, facts: TargetFacts | None) -> Finding:
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
    own = _own_activation(row)
    return own if row.node.type_name not in _KEEP_VALUES else None


def _own_activation(row: Row) -> str | None:
    layer = row.node.layer
    if row.node.type_name == "Softmax":
        return "softmax"
    if row.node.type_name in ("ReLU", "LeakyReLU", "ELU", "PReLU"):
        return snake_case(row.node.type_name)
    if "activation" not in type(layer).model_fields:
        return None
    return getattr(layer, "activation", None) or "linear"


def _argument(row: Row, name: str) -> KeyPath:
    return (*row.node.path, name)


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"

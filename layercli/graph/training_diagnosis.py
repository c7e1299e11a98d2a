"""Warnings about a training, from the statistics of its layers and its history."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from statistics import median
from typing import Any, Final

from layercli.config.training.section import TrainSection
from layercli.graph.build import find_dependencies
from layercli.graph.finding import Finding
from layercli.graph.output_activation import find_unit_activation
from layercli.graph.shapes import ModelShapes, NodeShapes
from layercli.graph.training_notes import find_overfitting
from layercli.schema.component import Component
from layercli.source.nodes import KeyPath

_MOST_UNITS: Final = 0.5
"""The share of dead or saturated units from which a layer loses most of its capacity."""
_LARGE_GAIN: Final = 20.0
"""The ratio of output to input that no initializer of Keras reaches with its default arguments: at most 1.5."""
_LARGE_INPUT: Final = 20.0
"""The root mean square of inputs for which default learning rates and initializers are too large."""
_SMALL_INPUT: Final = 1e-3
_LARGE_UPDATE: Final = 0.05
"""The part of the weights that one step changes; about 0.001 is usual, and 0.01 in the first epochs."""
_LARGE_FIRST_UPDATE: Final = 0.3
_STUCK_UPDATE: Final = 0.1
"""The same, if the model did not learn."""
_DAMAGING_UPDATE: Final = 0.02
"""The same, if most units of a layer died during the training."""
_SMALL_UPDATE: Final = 1e-6
_GRADIENT_RATIO: Final = 1e5
"""The ratio of gradient norms of two layers that makes one of them learn much too slowly or too fast."""
_IMPROVEMENT: Final = 0.01
"""The fraction by which the loss must be below that of a constant prediction, or of the epoch before."""
_MIN_EPOCHS: Final = 3
"""Epochs that show whether a model learns."""
_NORMALIZING: Final = frozenset(
    [
        "BatchNormalization",
        "LayerNormalization",
        "GroupNormalization",
        "RMSNormalization",
        "UnitNormalization",
    ]
)
_RANDOM_INITIALIZERS: Final = ("uniform", "normal", "orthogonal")


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """The observations of a training, without its config."""

    history: Mapping[str, Sequence[float]]
    first: Mapping[str, Any] | None
    """The record of all layers before the first step; None if it is missing."""
    recent: Sequence[Mapping[str, Any]]
    """The records of the last epochs."""
    pretrained: Collection[str] = ()
    """Layers whose weights were loaded from a file."""
    is_diverged: bool = False
    has_best_weights: bool = False
    """Whether the saved model has the weights of the best epoch."""
    constant_loss: float | None = None
    """The training loss of the best constant prediction."""
    constant_targets: Sequence[str | None] = ()
    """Targets with a single value; None is the name of the only target."""
    conflicting_examples: int = 0
    """Training examples with the same inputs as another one, and a different label."""
    examples: int = 0


@dataclass(frozen=True, slots=True)
class _LayerState:
    row: NodeShapes
    first: Mapping[str, Any]
    last: Mapping[str, Any]
    recent: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.row.node.name

    def path(self, *keys: str) -> KeyPath:
        """Return the path of the first of these arguments that differs from its default, or of the layer."""
        given = [key for key in keys if _is_set(self.row.node.layer, key)]
        return (*self.row.node.path, given[0]) if given else self.row.node.path


def diagnose_training(
    shapes: ModelShapes, train: TrainSection, facts: TrainingFacts, *, frozen: Sequence[str] = ()
) -> list[Finding]:
    """Return a warning for each fault that the statistics show, at the line that causes it.

    Symptoms of a fault, such as dead units after a learning rate that is too high, are not reported again.
    ``frozen`` are the names and patterns of ``model.freeze``.
    """
    diagnosis = _Diagnosis(shapes, train, facts, frozen)
    scales = [*diagnosis.find_large_weights(), *diagnosis.find_unscaled_inputs()]
    causes = [
        *diagnosis.find_constant_targets(),
        *diagnosis.find_frozen_layers(),
        *(scales or diagnosis.find_wrong_rate()),
    ]
    findings = (
        causes
        or [*diagnosis.find_dead_units(), *diagnosis.find_saturated_units()]
        or [*diagnosis.find_unequal_gradients()]
        or [*diagnosis.find_no_learning()]
        or [*diagnosis.find_overfitting()]
    )
    return [*findings, *diagnosis.find_label_noise()]


class _Diagnosis:
    def __init__(
        self, shapes: ModelShapes, train: TrainSection, facts: TrainingFacts, frozen: Sequence[str]
    ) -> None:
        self._shapes, self._train, self._facts, self._frozen = shapes, train, facts, frozen
        first = _index_layers(facts.first or {})
        recent = [_index_layers(record) for record in facts.recent]
        last = recent[-1] if recent else first
        self._layers = [
            _LayerState(
                row,
                first.get(row.node.name, {}),
                last.get(row.node.name, {}),
                [each.get(row.node.name, {}) for each in recent],
            )
            for row in shapes.rows
            if row.node.name in last
        ]
        self._outputs = set(shapes.graph.outputs)

    def find_constant_targets(self) -> Iterator[Finding]:
        """Yield a finding for each target that has the same value in all training examples."""
        for target in self._facts.constant_targets:
            subject = (
                "All training examples have the same target"
                if target is None
                else (f"All training examples have the same value of the target `{target}`")
            )
            yield _make_warning(
                "not-learning",
                ("data", "target") if target is None else ("data", "target", target),
                f"{subject}, so there is nothing to learn: a model that ignores its input has no error.",
                "Check the target with `layercli inspect-data`, and how the file was filtered.",
            )

    def find_frozen_layers(self) -> Iterator[Finding]:
        """Yield a finding for each layer with random weights that are never trained."""
        for state in self._layers:
            layer, weights = state.row.node.layer, state.row.weights or ()
            is_frozen = not layer.is_trainable and any(
                weight.trainable and len(weight.shape) > 1 for weight in weights
            )
            is_random = _has_random_kernel(state) and "weights" not in type(layer).model_fields
            if (
                is_frozen
                and is_random
                and state.row.node.reuse_of is None
                and state.name not in self._facts.pretrained
            ):
                patterns = [index for index, one in enumerate(self._frozen) if fnmatchcase(state.name, one)]
                yield _make_warning(
                    "not-learning",
                    ("model", "freeze", patterns[0]) if patterns else state.path("trainable"),
                    f"`{state.name}` does not learn: its weights are frozen, and they are random.",
                    "Remove `trainable: false` or its name in `freeze`, or load weights with `model.weights`.",
                )

    def find_large_weights(self) -> Iterator[Finding]:
        """Yield a finding for each layer that multiplied its input before the first step."""
        for state in self._layers:
            gain = _compute_gain(state)
            if gain is not None and gain > _LARGE_GAIN and state.name not in self._facts.pretrained:
                name = _name_initializer(state)
                yield _make_warning(
                    self._choose_symptom(state, is_first=True),
                    state.path(name),
                    f"The initial weights of `{state.name}` are too large: they multiply its input by about {gain:,.0f}.",
                    f"Remove `{name}`, or choose one that scales with the size of the layer, such as glorot_uniform.",
                )

    def find_unscaled_inputs(self) -> Iterator[Finding]:
        """Yield a finding for each layer that multiplies inputs of the model that are very large or very small."""
        scales = {
            each["input"] if "input" in each else each["layer"]: _root_mean_square(each)
            for each in (
                *(self._facts.first or {}).get("inputs", ()),
                *(self._facts.first or {}).get("layers", ()),
            )
        }
        learned: set[str] = set()
        for row in self._shapes.rows:
            if row.weights or row.node.type_name in _NORMALIZING or learned & set(row.node.inputs):
                learned.add(row.node.name)
        for state in self._layers:
            sources = state.row.node.inputs
            is_kernel = (
                state.first.get("weight_norm") is not None and state.row.node.type_name not in _NORMALIZING
            )
            if not is_kernel or learned & set(sources):
                continue
            scale = max((scales.get(name) or 0.0 for name in sources), default=0.0)
            if scale > _LARGE_INPUT or 0 < scale < _SMALL_INPUT:
                size, code = (
                    ("large", self._choose_symptom(state, is_first=False))
                    if scale > 1
                    else ("small", "vanishing-gradient")
                )
                yield _make_warning(
                    code,
                    state.row.node.path,
                    f"The inputs of `{state.name}` are not scaled: their typical size is {scale:,.4g}, which is too {size} for "
                    "usual initial weights and learning rates.",
                    f"Put `Normalization` before `{state.name}`, or `{{type: Rescaling, scale: {1 / scale:.2g}}}`.",
                )

    def find_wrong_rate(self) -> Iterator[Finding]:
        """Yield a finding if a step changes the weights far too much, or hardly at all."""
        # Small initial embeddings, and kernels that start at zero, make the ratio large.
        layers = [
            state
            for state in self._layers
            if state.row.node.type_name != "Embedding" and state.first.get("weight_norm") != 0
        ]
        first = max((state.first.get("update_ratio") or 0.0 for state in layers), default=0.0)
        typical = max((_find_median(state.recent, "update_ratio") for state in layers), default=0.0)
        is_stuck = self._facts.is_diverged or not self._is_learning()
        limit = _STUCK_UPDATE if is_stuck else _LARGE_FIRST_UPDATE
        if any(self._has_lost_units(state) for state in layers):
            limit = _DAMAGING_UPDATE
        optimizer = self._train.optimizer
        has_rate = isinstance(optimizer, Component) and _is_set(optimizer, "learning_rate")
        path: KeyPath = ("train", "optimizer", "learning_rate") if has_rate else ("train", "optimizer")
        if typical > _LARGE_UPDATE or first > limit:
            yield _make_warning(
                "not-learning" if is_stuck and not self._facts.is_diverged else "exploding-gradient",
                path,
                f"The learning rate is too high: a step changes the weights by {_format_share(max(first, typical))}; "
                "about 0.1 % is usual.",
                "Divide it by 10 to 100.",
            )
        elif (
            typical < _SMALL_UPDATE
            and is_stuck
            and all(state.last.get("gradient_norm") != 0 for state in layers)
        ):
            yield _make_warning(
                "not-learning",
                path,
                f"The learning rate is too low: a step changes the weights by at most {_format_share(typical)}.",
                "Multiply it by 10 to 1000.",
            )

    def find_dead_units(self) -> Iterator[Finding]:
        """Yield a finding for the first layers in which most units output 0 for all examples."""
        for state in self._first_layers(
            state for state in self._layers if (state.last.get("dead") or 0.0) >= _MOST_UNITS
        ):
            source = self._source_of(state)
            was_dead = (state.first.get("dead") or 0.0) >= _MOST_UNITS
            when = "since before the first step" if was_dead else "since training"
            is_zero = source.first.get("weight_norm") == 0
            hint = (
                "Remove the initializer."
                if is_zero
                else "Lower the learning rate, or use `activation: leaky_relu`."
                if not was_dead
                else "Check the initializers of the layer and the scale of its input, or use `activation: leaky_relu`."
            )
            yield _make_warning(
                "dead-units",
                source.path("kernel_initializer", "bias_initializer") if was_dead else source.row.node.path,
                f"{_format_share(state.last['dead'])} of the units of `{state.name}` are dead {when}: "
                "they output 0 for all examples, so their weights do not change.",
                hint,
            )

    def find_saturated_units(self) -> Iterator[Finding]:
        """Yield a finding for the first hidden layers in which most units are at a limit of their activation."""
        for state in self._first_layers(
            state
            for state in self._layers
            if (state.last.get("saturated") or 0.0) >= _MOST_UNITS and state.name not in self._outputs
        ):
            was_saturated = (state.first.get("saturated") or 0.0) >= _MOST_UNITS
            yield _make_warning(
                "saturated",
                state.path("kernel_initializer", "bias_initializer")
                if was_saturated
                else state.row.node.path,
                f"{_format_share(state.last['saturated'])} of the units of `{state.name}` are saturated: "
                f"their output is a limit of `{find_unit_activation(state.row)}`, where its gradient is almost 0.",
                "Scale its input with BatchNormalization before it, lower the learning rate, or use `activation: relu`.",
            )

    def find_unequal_gradients(self) -> Iterator[Finding]:
        """Yield a finding if the gradient of a layer is far smaller or larger than that of the layers after it."""
        trained = [state for state in self._layers if state.last.get("gradient_norm") is not None]
        norms = [
            max(record.get("gradient_norm") or 0.0 for record in (state.first, *state.recent))
            for state in trained
        ]
        largest = max(norms, default=0.0)
        small = [
            state for state, norm in zip(trained, norms, strict=True) if norm * _GRADIENT_RATIO < largest
        ]
        if not small:
            return
        state = small[0]
        others = f" and of {len(small) - 1} more" if len(small) > 1 else ""
        if all(norm == 0 for each, norm in zip(trained, norms, strict=True) if each in small):
            message = f"The gradient of `{state.name}`{others} is 0, so the weights do not change."
            hint = "Check the layers after it: a function without a gradient, or weights that are all 0, stops the gradient."
        else:
            message = f"The gradient of `{state.name}`{others} vanishes: it is less than 1/100,000 of the largest one."
            hint = "Use `activation: relu`, BatchNormalization or skip connections, or fewer layers."
        yield _make_warning("vanishing-gradient", state.row.node.path, message, hint)

    def find_no_learning(self) -> Iterator[Finding]:
        """Yield a finding if the training loss is not below that of a constant prediction."""
        if len(self._facts.history.get("loss", ())) >= _MIN_EPOCHS and not self._is_learning():
            yield _make_warning(
                "not-learning",
                ("train", "loss"),
                "The training loss is not below that of a constant prediction: the model has learned nothing from its inputs.",
                "Check that the inputs determine the target, and try a learning rate that is 10 times higher or lower.",
            )

    def find_overfitting(self) -> Iterator[Finding]:
        """Yield a finding if the saved model is worse on the validation set than an earlier epoch."""
        start = None if self._facts.has_best_weights else find_overfitting(self._facts.history, self._train)
        if start is not None:
            hint = "Add `{type: EarlyStopping, restore_best_weights: true}` to `callbacks`; more data or Dropout also help."
            if self._train.has_schedule:
                hint = "Add data, Dropout or weight decay, or use fewer epochs and a schedule of the same number of steps."
            yield _make_warning(
                "overfitting",
                ("train", "epochs"),
                f"The model overfits since epoch {start}: the validation loss rises while the training loss falls.",
                hint,
            )

    def find_label_noise(self) -> Iterator[Finding]:
        """Yield a finding if equal inputs have different labels."""
        count = self._facts.conflicting_examples
        if count:
            yield _make_warning(
                "label-noise-suspected",
                ("data",),
                f"{count:,} of {self._facts.examples:,} training examples have the inputs of another, but a different label.",
                "Check the labels of these examples, and remove the wrong ones.",
            )

    def _is_learning(self) -> bool:
        """Return whether the training loss is below that of a constant prediction, or still falls; true if unknown."""
        losses = [
            loss for loss in self._facts.history.get("loss", ()) if loss is not None and math.isfinite(loss)
        ]
        constant = self._facts.constant_loss
        if constant is None or not losses or constant <= 0:
            return True
        is_falling = len(losses) > 1 and losses[-1] < (1 - _IMPROVEMENT) * losses[-2]
        return is_falling or min(losses) < (1 - _IMPROVEMENT) * constant

    def _has_lost_units(self, state: _LayerState) -> bool:
        """Return whether most units of a layer died or are saturated, but were not before the first step."""
        keys = ("dead",) if state.name in self._outputs else ("dead", "saturated")
        return any(
            (state.last.get(key) or 0.0) >= _MOST_UNITS > (state.first.get(key) or 0.0) for key in keys
        )

    def _choose_symptom(self, state: _LayerState, *, is_first: bool) -> str:
        """Return the code for what large values do to a layer or those after it."""
        for key, code in (("saturated", "saturated"), ("dead", "dead-units")):
            values = (state.first if is_first else state.last).get(key)
            if (values or 0.0) >= _MOST_UNITS and state.name not in self._outputs:
                return code
        return "exploding-gradient"

    def _first_layers(self, states: Iterable[_LayerState]) -> Iterator[_LayerState]:
        """Yield the layers that do not depend on one of the others."""
        found: set[str] = set()
        for state in states:
            if not find_dependencies(self._shapes.graph, state.row.node.inputs) & found:
                yield state
            found.add(state.name)

    def _source_of(self, state: _LayerState) -> _LayerState:
        """Return the layer with weights whose output an activation layer receives, or the layer itself."""
        by_name = {each.name: each for each in self._layers}
        while (
            not state.row.weights and len(state.row.node.inputs) == 1 and state.row.node.inputs[0] in by_name
        ):
            state = by_name[state.row.node.inputs[0]]
        return state


def _make_warning(code: str, path: KeyPath, message: str, hint: str) -> Finding:
    return Finding(code=code, message=message, path=path, hint=hint, severity="warning")


def _index_layers(record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {each["layer"]: each for each in record.get("layers", ())}


def _root_mean_square(record: Mapping[str, Any]) -> float:
    mean, deviation = record["mean"], record["std"]
    return 0.0 if mean is None or deviation is None else math.hypot(mean, deviation)


def _compute_gain(state: _LayerState) -> float | None:
    """Return the factor by which the initial kernels multiply an input of independent values; None without kernels."""
    kernels = [weight for weight in state.row.weights or () if weight.trainable and len(weight.shape) > 1]
    norm, size = state.first.get("weight_norm"), sum(weight.size for weight in kernels)
    if norm is None or not size:
        return None
    shape = kernels[0].shape
    fan_in = 1 if state.row.node.type_name == "Embedding" else math.prod(shape[:-1])
    return float(norm / math.sqrt(size) * math.sqrt(fan_in))


def _name_initializer(state: _LayerState) -> str:
    """Return the argument for the initial kernels that differs from its default, or the first one."""
    layer = state.row.node.layer
    names = [
        name for name in type(layer).model_fields if name.endswith("_initializer") and "bias" not in name
    ]
    return next((name for name in names if _is_set(layer, name)), (names or ["kernel_initializer"])[0])


def _is_set(component: Component, name: str) -> bool:
    """Return whether an argument exists and differs from its default."""
    return getattr(component, name, None) != getattr(type(component), name, None)


def _has_random_kernel(state: _LayerState) -> bool:
    initializer = getattr(state.row.node.layer, _name_initializer(state), None)
    name = (
        initializer
        if isinstance(initializer, str)
        else initializer.type_name()
        if isinstance(initializer, Component)
        else ""
    )
    return any(word in name.lower() for word in _RANDOM_INITIALIZERS)


def _find_median(records: Iterable[Mapping[str, Any]], key: str) -> float:
    return median([record.get(key) or 0.0 for record in records] or [0.0])


def _format_share(share: float) -> str:
    return f"{100 * share:.3g} %"

"""Facts about the data that a script depends on and that its section of the config does not contain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from layercli.check import ValidConfig
from layercli.config.data.section import DataConfig, DataFacts, TargetFacts
from layercli.graph.checks.consistency import one_hot_units


@dataclass(frozen=True, slots=True)
class ScriptTarget:
    """The facts of one target."""

    is_labels: bool
    """True if it is a class for each example."""
    has_text_labels: bool = False
    """True if the classes are texts in the data."""
    class_names: tuple[str, ...] = ()
    """The classes' names, if they are texts."""
    one_hot_units: int | None = None
    """Number of units of a one-hot target, if the loss requires one-hot targets."""


@dataclass(frozen=True, slots=True)
class ScriptFacts:
    """The facts of all targets, inputs and weights; assumptions from the config if the data cannot be read."""

    targets: Mapping[str | None, ScriptTarget]
    """Each target by its output's name; None is the name of the only target."""
    input_names: tuple[str, ...] = ()
    """The names of the inputs, if there are several arrays of them."""
    has_weights: bool = False
    """True if each example has a weight."""
    has_float_inputs: bool = False
    """True if an input is saved as floating-point numbers."""

    @property
    def first_target(self) -> ScriptTarget:
        """The only target, or the first."""
        return next(iter(self.targets.values()))

    @property
    def array_names(self) -> list[str]:
        """The variables that ``load_data`` returns."""
        return ["x", "y", "weights"] if self.has_weights else ["x", "y"]


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """The facts of a data set that was read."""

    facts: DataFacts
    class_names: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    """The text of each label by target, if the labels are texts."""
    input_names: tuple[str, ...] = ()
    has_weights: bool = False
    has_float_inputs: bool = False


def build_script_facts(valid: ValidConfig, dataset_facts: DatasetFacts | None) -> ScriptFacts:
    """Return the facts of the data; ``dataset_facts`` is None if the data cannot be read."""
    data = valid.config.data
    if data is None:
        return ScriptFacts({None: _assume_target(valid, None, None)})
    facts = data.facts() if dataset_facts is None else dataset_facts.facts
    if facts is None:
        return _assume_facts(valid, data)
    class_names = {} if dataset_facts is None else dataset_facts.class_names
    has_class_folders = data.example_suffixes is not None  # the script itself numbers the folders
    units = one_hot_units(valid.config, valid.shapes, facts)
    target_facts: dict[str | None, TargetFacts] = {None: TargetFacts(facts.classes, facts.target_shape)}
    if facts.targets is not None:
        target_facts = dict(facts.targets.items())
    targets = {
        name: ScriptTarget(
            target.classes is not None,
            has_text_labels=bool(class_names.get(name)) and not has_class_folders,
            class_names=class_names.get(name, ()),
            one_hot_units=units.get(name),
        )
        for name, target in target_facts.items()
    }
    if dataset_facts is None:
        return ScriptFacts(targets)
    return ScriptFacts(
        targets, dataset_facts.input_names, dataset_facts.has_weights, dataset_facts.has_float_inputs
    )


def _assume_facts(valid: ValidConfig, data: DataConfig) -> ScriptFacts:
    target, inputs = data.arguments().get("target"), data.arguments().get("inputs")
    outputs: list[str | None] = [*target] if isinstance(target, dict) else [None]
    return ScriptFacts(
        {name: _assume_target(valid, data, name) for name in outputs},
        tuple(inputs) if inputs and len(valid.graph.inputs) > 1 else (),
        data.arguments().get("weights") is not None,
    )


def _assume_target(valid: ValidConfig, data: DataConfig | None, output: str | None) -> ScriptTarget:
    train = valid.config.train
    loss = None if train is None else train.loss_of(output or valid.graph.output_references[0])
    loss_name = "" if loss is None else loss if isinstance(loss, str) else loss.type_name()
    is_labels = "crossentropy" in loss_name.lower()
    return ScriptTarget(is_labels, is_labels and data is not None and data.has_text_labels)

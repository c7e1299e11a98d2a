"""What the data has told that its section of the config does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from layercli.check import ValidConfig
from layercli.config.data.section import DataFacts, TargetFacts
from layercli.graph.checks.consistency import one_hot_units


@dataclass(frozen=True, slots=True)
class ScriptTarget:
    """What is known of one target."""

    is_label: bool
    """Whether it is a class for each example."""
    has_text_classes: bool = False
    """Whether the classes are texts in the data."""
    class_names: tuple[str, ...] = ()
    """The classes' names, where they are texts."""
    one_hot_size: int | None = None
    """How many units a one-hot target has, where the loss takes that."""


@dataclass(frozen=True, slots=True)
class ScriptFacts:
    """What reading the data has told; all guessed where it could not be read."""

    targets: Mapping[str | None, ScriptTarget]
    """Each target by its output's name; None where there is one alone."""
    input_names: tuple[str, ...] = ()
    """The names of the inputs, where there are several arrays of them."""
    has_weights: bool = False
    """Whether each example has a weight of its own."""
    is_16bit: bool = False
    """Whether images have 16 bits a value."""

    @property
    def first_target(self) -> ScriptTarget:
        """The only target, or the first."""
        return next(iter(self.targets.values()))


@dataclass(frozen=True, slots=True)
class ObservedFacts:
    """What examples are like."""

    data_facts: DataFacts
    class_names: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    """What labels stand for, where they were texts, by target."""
    input_names: tuple[str, ...] = ()
    has_weights: bool = False
    is_16bit: bool = False


def infer_script_facts(valid: ValidConfig, observed: ObservedFacts | None) -> ScriptFacts:
    """What the data tells, or, where it cannot be read, what the config lets expect."""
    data = valid.config.data
    facts = observed.data_facts if observed is not None else data.facts() if data is not None else None
    if data is None or facts is None:
        return _guess_facts(valid)
    one_hot_sizes = one_hot_units(valid.config, valid.shapes, facts)
    names = {} if observed is None else observed.class_names
    # The classes of folders are numbered by the script as it reads them.
    folders = data.type_name() == "images" or (
        data.type_name() == "text" and data.arguments()["column"] is None
    )
    target_facts: dict[str | None, TargetFacts] = {None: TargetFacts(facts.classes, facts.target_shape)}
    if facts.targets is not None:
        target_facts = dict(facts.targets.items())
    targets = {
        name: ScriptTarget(
            target.classes is not None,
            has_text_classes=bool(names.get(name)) and not folders,
            class_names=names.get(name, ()),
            one_hot_size=one_hot_sizes.get(name),
        )
        for name, target in target_facts.items()
    }
    if observed is None:
        return ScriptFacts(targets)
    return ScriptFacts(targets, observed.input_names, observed.has_weights, observed.is_16bit)


def _guess_facts(valid: ValidConfig) -> ScriptFacts:
    data, train = valid.config.data, valid.config.train
    kind = "" if data is None else data.type_name()
    target_setting = None if data is None else data.arguments().get("target")
    outputs: list[str | None] = [*target_setting] if isinstance(target_setting, dict) else [None]
    inputs = None if data is None else data.arguments().get("inputs")
    input_names = tuple(inputs) if inputs and len(valid.graph.inputs) > 1 else ()
    targets = {}
    for name in outputs:
        loss = None if train is None else train.loss_of(name or valid.graph.output_references[0])
        loss_name = "" if loss is None else str(getattr(loss, "type_name", lambda loss=loss: loss)())
        is_label = "crossentropy" in loss_name.lower()
        targets[name] = ScriptTarget(
            is_label, has_text_classes=is_label and kind in ("csv", "parquet", "text")
        )
    has_weights = data is not None and data.arguments().get("weights") is not None
    return ScriptFacts(targets, input_names, has_weights)

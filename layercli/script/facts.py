"""What the data has told that its section of the config does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from layercli.check import ValidConfig
from layercli.config.data.section import DataFacts, TargetFacts
from layercli.graph.checks.consistency import one_hot_units


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of one target."""

    labels: bool
    """Whether it is a class for each example."""
    texts: bool = False
    """Whether the classes are texts in the data."""
    names: tuple[str, ...] = ()
    """The classes' names, where they are texts."""
    one_hot: int | None = None
    """How many units a one-hot target has, where the loss takes that."""


@dataclass(frozen=True, slots=True)
class Known:
    """What reading the data has told; all guessed where it could not be read."""

    targets: Mapping[str | None, Target]
    """Each target by its output's name; None where there is one alone."""
    inputs: tuple[str, ...] = ()
    """The names of the inputs, where there are several arrays of them."""
    weights: bool = False
    """Whether each example has a weight of its own."""
    deep: bool = False
    """Whether images have 16 bits a value."""

    @property
    def target(self) -> Target:
        """The only target, or the first."""
        return next(iter(self.targets.values()))


@dataclass(frozen=True, slots=True)
class Read:
    """What examples are like."""

    facts: DataFacts
    names: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    """What labels stand for, where they were texts, by target."""
    inputs: tuple[str, ...] = ()
    weights: bool = False
    deep: bool = False


def known(valid: ValidConfig, read: Read | None) -> Known:
    """What the data tells, or, where it cannot be read, what the config lets expect."""
    data = valid.config.data
    facts = read.facts if read is not None else data.facts() if data is not None else None
    if data is None or facts is None:
        return _guessed(valid)
    units = one_hot_units(valid.config, valid.shapes, facts)
    names = {} if read is None else read.names
    # The classes of folders are numbered by the script as it reads them.
    folders = data.type_name() == "images" or (
        data.type_name() == "text" and data.arguments()["column"] is None
    )
    found: dict[str | None, TargetFacts] = {None: TargetFacts(facts.classes, facts.target_shape)}
    if facts.targets is not None:
        found = dict(facts.targets.items())
    targets = {
        name: Target(
            each.classes is not None,
            texts=bool(names.get(name)) and not folders,
            names=names.get(name, ()),
            one_hot=units.get(name),
        )
        for name, each in found.items()
    }
    if read is None:
        return Known(targets)
    return Known(targets, read.inputs, read.weights, read.deep)


def _guessed(valid: ValidConfig) -> Known:
    data, train = valid.config.data, valid.config.train
    kind = "" if data is None else data.type_name()
    given = None if data is None else data.arguments().get("target")
    outputs: list[str | None] = [*given] if isinstance(given, dict) else [None]
    inputs = None if data is None else data.arguments().get("inputs")
    several = tuple(inputs) if inputs and len(valid.graph.inputs) > 1 else ()
    targets = {}
    for name in outputs:
        loss = None if train is None else train.loss_of(name or valid.graph.output_references[0])
        said = "" if loss is None else str(getattr(loss, "type_name", lambda loss=loss: loss)())
        labels = "crossentropy" in said.lower()
        targets[name] = Target(labels, texts=labels and kind in ("csv", "parquet", "text"))
    weights = data is not None and data.arguments().get("weights") is not None
    return Known(targets, several, weights)

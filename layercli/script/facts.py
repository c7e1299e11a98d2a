"""Facts about the data that a script depends on and that its section of the config does not contain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layercli.check import ValidConfig
from layercli.config.data.section import DataConfig, DataFacts, TargetFacts
from layercli.config.data.tables import TableConfig, WindowsConfig
from layercli.graph.target_meaning import TargetMeaning, resolve_target_meanings
from layercli.layers.shapes import Shape
from layercli.script.python_source import quote_string

if TYPE_CHECKING:
    from layercli.data.tables.plan import TablePlan


@dataclass(frozen=True, slots=True)
class ScriptTarget:
    """The facts of one target."""

    meaning: TargetMeaning | None
    """None if its loss cannot use it."""
    has_named_labels: bool = False
    """True if the classes are texts in the data, or numbers that are mapped to labels from 0."""
    class_names: tuple[str, ...] = ()
    """The classes' names, if they have any."""
    has_number_names: bool = False
    """True if the classes are numbers in the data."""
    shape: Shape = ()
    """The shape of one example in the data."""
    has_integers: bool = True
    """True if ``load_data`` returns integers."""
    position_axes: int = 0
    """Number of axes of positions, such as timesteps, that the output has."""
    lacks_unit_axis: bool = False
    """True if Keras requires the last axis of size 1 of the output: its mask and weights are for each position."""

    @property
    def is_labels(self) -> bool:
        """True if it is one class for each example."""
        return self.meaning is not None and self.meaning.is_one_class

    @property
    def has_negative_labels(self) -> bool:
        """True if its labels are -1 and 1."""
        return self.meaning is not None and self.meaning.kind == "signs" and not self.has_named_labels

    @property
    def one_hot_units(self) -> int | None:
        """Number of units of a one-hot target that the script makes from labels."""
        meaning = self.meaning
        return meaning.classes if meaning is not None and meaning.is_converted else None

    def write_labels(self, variable: str) -> str:
        """Return the code of the class numbers in a variable: of shape (samples,), or with an axis for each of positions."""
        meaning = self.meaning
        if meaning is not None and meaning.kind == "one-hot" and not meaning.is_converted:
            return f"{variable}.argmax(axis=1)"
        position_axes = 0 if meaning is None else meaning.position_axes
        code = f"{variable}[..., 0]" if len(self.shape) > position_axes else variable
        return code if self.has_integers else f'{code}.astype("int32")'


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
    table_plan: TablePlan | None = None
    """How rows of a table become examples; None for other data, or if it cannot be read."""
    date_formats: Mapping[str, str] = field(default_factory=dict)
    """Column of dates -> the format of ``strptime``; seconds, milliseconds, excel, or timestamp."""
    split_key: str | None = None
    """The key of ``split`` that names a column: group, order or column."""
    order_columns: frozenset[str] = frozenset()
    """Columns of numbers, or of dates in a known format, that can sort the rows."""
    named_sets: frozenset[str] = frozenset()
    """The sets, val and test, that the column of the split names."""
    has_key_in_own_sets: bool = True
    """Whether the sets with separate files have the column that ``split_key`` names."""
    block_rows: int | None = None
    """The number of examples that are split together; None if it is all of them."""
    windows: WindowsConfig | None = None
    """The sequences of rows that are the examples; None if each row is one."""
    own_sets: tuple[str, ...] = ()
    """The sets, val and test, that have separate files; then ``load_data`` takes the files of a set."""

    @property
    def source(self) -> str:
        """The variable of ``load_data`` with the files to read."""
        return "source" if self.own_sets else "DATA"

    def write_class_numbers(self, variable: str, values: str) -> str:
        """Return the statement that assigns class numbers from 0 to a variable; all values if ``main`` numbers them."""
        if self.own_sets:
            return f"{variable} = np.asarray({values})"
        return f"classes, {variable} = np.unique({values}, return_inverse=True)"

    def name_targets(self, suffix: str = "") -> dict[str | None, str]:
        """Return the variable of each target, of all examples or of the set whose suffix is given."""
        y = f"y{suffix}"
        return {name: y if name is None else f"{y}[{quote_string(name)}]" for name in self.targets}

    @property
    def conversions(self) -> Mapping[str, str]:
        """Column of a table -> how its texts become numbers: integer, number or boolean."""
        return {} if self.table_plan is None else self.table_plan.conversions

    @property
    def first_target(self) -> ScriptTarget:
        """The only target, or the first."""
        return next(iter(self.targets.values()))

    @property
    def loaded_names(self) -> list[str]:
        """The variables that ``load_data`` returns."""
        return [*self.set_names, *([] if self.split_key is None else ["keys"])]

    @property
    def set_names(self) -> list[str]:
        """The variables that ``split`` returns for each set."""
        return [*self.array_names, *([] if self.windows is None else ["series"])]

    @property
    def array_names(self) -> list[str]:
        """The arrays of the examples of each set."""
        return ["x", "y", "weights"] if self.has_weights else ["x", "y"]


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """The facts of a data set that was read."""

    facts: DataFacts
    class_names: Mapping[str | None, tuple[str, ...]] = field(default_factory=dict)
    """The text of each label by target, if the labels are texts."""
    input_names: tuple[str, ...] = ()
    number_targets: frozenset[str | None] = frozenset()
    """Targets whose classes are numbers in the data."""
    has_weights: bool = False
    has_float_inputs: bool = False
    table_plan: TablePlan | None = None
    date_formats: Mapping[str, str] = field(default_factory=dict)
    order_columns: frozenset[str] = frozenset()
    named_sets: frozenset[str] = frozenset()
    has_key_in_own_sets: bool = True
    block_rows: int | None = None


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
    meanings = resolve_target_meanings(valid.config, valid.shapes, facts)
    has_weights = dataset_facts is not None and dataset_facts.has_weights
    own_sets = _list_own_sets(data)
    targets = {
        name: ScriptTarget(
            meanings.get(name),
            has_named_labels=bool(class_names.get(name)) and (not has_class_folders or bool(own_sets)),
            class_names=class_names.get(name, ()),
            has_number_names=dataset_facts is not None and name in dataset_facts.number_targets,
            shape=target.shape,
            has_integers=target.has_integers or data.facts() is not None or isinstance(data, TableConfig),
            **_describe_positions(valid, name, target, has_weights=has_weights),
        )
        for name, target in facts.named_targets.items()
    }
    if dataset_facts is None:
        return ScriptFacts(targets, own_sets=own_sets)
    return ScriptFacts(
        targets,
        dataset_facts.input_names,
        dataset_facts.has_weights,
        dataset_facts.has_float_inputs,
        dataset_facts.table_plan,
        dataset_facts.date_formats,
        next(iter(data.split.key_columns), None),
        dataset_facts.order_columns,
        dataset_facts.named_sets,
        dataset_facts.has_key_in_own_sets,
        dataset_facts.block_rows,
        data.windows if isinstance(data, TableConfig) else None,
        own_sets,
    )


def _list_own_sets(data: DataConfig) -> tuple[str, ...]:
    return tuple("val" if name == "validation" else name for name in data.split.own_files)


def _describe_positions(
    valid: ValidConfig, name: str | None, target: TargetFacts, *, has_weights: bool
) -> dict[str, Any]:
    """Return the arguments of ``ScriptTarget`` for an output with a value for each position."""
    graph = valid.graph
    index = 0 if name is None else graph.output_references.index(name)
    output = valid.shapes.output(graph.outputs[index], graph.output_indices[index])
    if output is None or output.rank < 3:
        return {}
    has_mask = any(node.layer.creates_mask for node in graph.nodes)
    lacks_axis = output.shape[-1] == 1 and len(target.shape) == output.rank - 2
    return {
        "position_axes": output.rank - 2,
        "lacks_unit_axis": lacks_axis and (has_mask or has_weights),
    }


def _assume_facts(valid: ValidConfig, data: DataConfig) -> ScriptFacts:
    target, inputs = data.arguments().get("target"), data.arguments().get("inputs")
    outputs: list[str | None] = [*target] if isinstance(target, dict) else [None]
    return ScriptFacts(
        {name: _assume_target(valid, data, name) for name in outputs},
        tuple(inputs) if inputs and len(valid.graph.inputs) > 1 else (),
        data.arguments().get("weights") is not None,
        own_sets=_list_own_sets(data),
    )


def _assume_target(valid: ValidConfig, data: DataConfig | None, output: str | None) -> ScriptTarget:
    train = valid.config.train
    loss = None if train is None else train.loss_of(output or valid.graph.output_references[0])
    loss_name = "" if loss is None else loss if isinstance(loss, str) else loss.type_name()
    is_labels = "crossentropy" in loss_name.lower()
    return ScriptTarget(
        TargetMeaning("labels" if is_labels else "numbers"),
        is_labels and data is not None and data.has_text_labels,
    )

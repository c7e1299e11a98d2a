"""Expansion of FeatureSpace, the first layer of a table's model, into ordinary inputs and layers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from layercli.config.data.section import DATA_TYPES
from layercli.config.data.tables import TableConfig
from layercli.config.layer_entries import is_feature_space
from layercli.config.model import LAYERS_PATH
from layercli.config.names import MAX_LAYER_NAME_LENGTH, RESERVED_NAMES
from layercli.errors import LayercliError, ProblemList
from layercli.layers.feature_space import FEATURE_KINDS, MAX_CROSSES, MAX_FEATURES, FeatureKind, FeatureSpace
from layercli.schema.component import snake_case
from layercli.schema.suggestions import did_you_mean, list_names
from layercli.source.nodes import (
    KeyPath,
    Mark,
    YamlNode,
    measure_nodes,
    problem_in,
    quote_value,
    sanitize_text,
)

_CROSS_KEYS: Final = ("feature_names", "crossing_dim", "output_mode")
_NAME_LENGTH: Final = MAX_LAYER_NAME_LENGTH - 50
"""Most characters of an input's name, which the names of its layers extend."""


def expand_feature_space(document: YamlNode, problems: ProblemList) -> YamlNode:
    """Return the document with the inputs and layers of its FeatureSpace written out, and its columns as inputs of the data.

    Every value has the position of its feature.

    Raises:
        LayercliError: It has no valid feature.
    """
    layers = document.find(LAYERS_PATH)
    if layers is None or not isinstance(layers.value, list):
        return document
    places = [index for index, node in enumerate(layers.value) if is_feature_space(node)]
    for index in places:
        if index:
            message = "FeatureSpace must be the first layer, because its inputs are the columns of the table."
            hint = "Move it to the start of `layers`."
            problems.append(problem_in(document, (*LAYERS_PATH, index), "bad-argument", message, hint=hint))
    if places and places != [0]:
        raise LayercliError(problems)
    return _Expansion(document, problems).expand() if places else document


@dataclass(frozen=True, slots=True)
class _Feature:
    """A feature: its column, its kind and the arguments of its layer."""

    column: str
    input_name: str
    kind: FeatureKind
    arguments: dict[str, YamlNode]
    mark: Mark
    path: KeyPath
    """The path at which it is written."""
    is_index: bool = False
    """Whether its output is the index of its category, not a one-hot vector."""


class _Cross(NamedTuple):
    """Two features that are encoded together."""

    names: tuple[str, str]
    dim: int
    is_index: bool
    mark: Mark
    path: KeyPath


@dataclass
class _Expansion:
    """The inputs and layers of one FeatureSpace."""

    document: YamlNode
    problems: ProblemList
    features: dict[str, _Feature] = field(default_factory=dict)
    layers: list[YamlNode] = field(default_factory=list)
    index_names: set[str] = field(default_factory=set)
    """The names of the layers that return indices for crosses."""
    is_joined: bool = True
    """Whether all features are one vector, not an output for each of them."""

    @property
    def _entry(self) -> YamlNode:
        entry = self.document.find((*LAYERS_PATH, 0))
        assert entry is not None
        return entry

    @property
    def _path(self) -> KeyPath:
        return self._entry.written_path or (*LAYERS_PATH, 0)

    def expand(self) -> YamlNode:
        """Return the document with ordinary inputs and layers."""
        space, name = self._parse_space()
        self.is_joined = space.output_mode == "concat"
        self._parse_features(space)
        crosses = sorted(self._parse_crosses(space), key=lambda cross: "_X_".join(cross.names))
        if not self.features:
            raise LayercliError(self.problems)
        features = [self.features[column] for column in sorted(self.features)]
        encoded = [(self._add_feature_layers(feature), feature) for feature in features]
        crossed = [(self._add_cross(cross), cross) for cross in crosses]
        if self.is_joined:
            inputs = [each for each, _ in (*encoded, *crossed)]
            joined: dict[str, Any] = {"type": "Concatenate" if len(inputs) > 1 else "Identity", "name": name}
            joined["inputs"] = inputs if len(inputs) > 1 else inputs[0]
            self._add_layer(joined, self._entry.mark, self._path)
        else:
            self._check_next_layer(name, features[0])
            outputs = [(each, feature.input_name, feature.mark, feature.path) for each, feature in encoded]
            outputs += [(each, each, cross.mark, cross.path) for each, cross in crossed]
            for each, output, mark, path in outputs:
                keys = {"type": "Identity", "name": f"{name}.{output}", "inputs": each}
                self._add_layer(keys, mark, path)
        return self._insert_into_model(self._insert_into_data(self.document))

    def _check_next_layer(self, name: str, feature: _Feature) -> None:
        """Check that the next layer says which of the outputs is its input.

        Raises:
            LayercliError: It does not; the other layers cannot be checked.
        """
        layers = self.document.find(LAYERS_PATH)
        entries = layers.value if layers is not None and isinstance(layers.value, list) else []
        if len(entries) > 1 and not (isinstance(entries[1].value, dict) and "inputs" in entries[1].value):
            message = "`inputs` is required after FeatureSpace with `output_mode: dict`, which has an output for each feature."
            hint = f"For example `inputs: {name}.{feature.input_name}`."
            path = (*LAYERS_PATH, 1)
            self.problems.append(problem_in(self.document, path, "missing-key", message, hint=hint))
            raise LayercliError(self.problems)

    def _add_problem(
        self, steps: KeyPath, code: str, message: str, hint: str, *, at_key: bool = False
    ) -> None:
        path = (*LAYERS_PATH, 0, *steps)
        self.problems.append(problem_in(self.document, path, code, message, hint=hint, at_key=at_key))

    def _parse_space(self) -> tuple[FeatureSpace, str]:
        """Return the arguments and the name.

        Raises:
            LayercliError: They are invalid.
        """
        value = self._entry.value if isinstance(self._entry.value, dict) else {}
        plain = {key: node.to_plain() for key, node in value.items() if key not in ("type", "name")}
        name = value["name"].to_plain() if "name" in value else None
        try:
            space = FeatureSpace.model_validate(plain)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                context, steps = item["ctx"], tuple(item["loc"])
                self._add_problem(
                    steps, item["type"], context["message"], context["hint"], at_key=context["at_key"]
                )
                plain.pop(str(steps[0]) if steps else "features", None)
            if "features" not in plain:
                raise LayercliError(self.problems) from None
            space = FeatureSpace.model_validate(plain)
        if not space.features:
            message = "`features` must name at least one column."
            self._add_problem(
                ("features",), "empty", message, "For example `features: {age: float_normalized}`."
            )
            raise LayercliError(self.problems)
        if len(space.features) > MAX_FEATURES:
            message = f"`features` must name at most {MAX_FEATURES:,} columns, got {len(space.features):,}."
            hint = (
                "Declare one input of many columns with `data.inputs` instead, and a Normalization after it."
            )
            self._add_problem(("features",), "out-of-range", message, hint)
            raise LayercliError(self.problems)
        return space, name if isinstance(name, str) else "feature_space"

    def _parse_features(self, space: FeatureSpace) -> None:
        node = self._entry.find(("features",))
        assert node is not None
        assert isinstance(node.value, dict)
        used: set[str] = set(RESERVED_NAMES)
        for column, child in node.value.items():
            steps: KeyPath = ("features", column)
            kind_node = child.value.get("type") if isinstance(child.value, dict) else child
            kind_name = None if kind_node is None else kind_node.value
            kind = FEATURE_KINDS.get(snake_case(kind_name)) if isinstance(kind_name, str) else None
            if kind is None:
                self._report_kind(
                    steps if kind_node is None or kind_node is child else (*steps, "type"), kind_name
                )
                continue
            arguments = {
                key: item
                for key, item in (child.value.items() if isinstance(child.value, dict) else ())
                if key != "type"
            }
            if not self._check_arguments(steps, str(kind_name), kind, arguments):
                continue
            mode = arguments.pop("output_mode", None)
            if kind.size_default is not None and "bin_boundaries" not in arguments:
                argument, default = kind.size_default
                arguments.setdefault(argument, _make_node(getattr(space, default), child.mark))
            elif kind.layer == "Rescaling":
                arguments.setdefault("scale", _make_node(1.0, child.mark))
            input_name = _name_input(column, used)
            used.add(input_name)
            mark = node.keys.get(column, child.mark)
            path = child.written_path or (*self._path, *steps)
            is_index = mode is not None and mode.value == "int"
            self.features[column] = _Feature(column, input_name, kind, arguments, mark, path, is_index)

    def _report_kind(self, steps: KeyPath, name: object) -> None:
        hint = f"The types are {list_names(FEATURE_KINDS)}."
        if isinstance(name, str):
            hint = did_you_mean(name, FEATURE_KINDS, otherwise=hint)
            message = f'There is no feature type "{sanitize_text(name, limit=60)}".'
            self._add_problem(steps, "unknown-type", message, hint)
            return
        message = (
            f"`{sanitize_text(str(steps[1]), limit=60)}` must be a feature type, got {quote_value(name)}."
        )
        self._add_problem(steps, "wrong-type", message, hint)

    def _check_arguments(
        self, steps: KeyPath, kind_name: str, kind: FeatureKind, arguments: Mapping[str, YamlNode]
    ) -> bool:
        """Report arguments that a type of feature does not have. Return whether there are none."""
        count = len(self.problems)
        for key in arguments:
            if key not in kind.arguments:
                listed = (
                    f"Its arguments are {list_names(kind.arguments)}."
                    if kind.arguments
                    else "It has no arguments."
                )
                message = f"A feature of type {kind_name} has no argument {quote_value(key)}."
                hint = did_you_mean(key, kind.arguments, otherwise=listed)
                self._add_problem((*steps, key), "unknown-key", message, hint, at_key=True)
        mode = arguments.get("output_mode")
        if mode is not None:
            self._check_mode((*steps, "output_mode"), mode)
        return len(self.problems) == count

    def _check_mode(self, steps: KeyPath, node: YamlNode) -> None:
        """Report an `output_mode` of a feature or a cross that does not exist, or that cannot be joined."""
        if node.value == "one_hot" or (node.value == "int" and not self.is_joined):
            return
        if node.value == "int":
            message = "`output_mode` must be one_hot in a FeatureSpace that joins its features, got int."
            hint = "Remove it, or set `output_mode: dict` of the FeatureSpace, which then has an output for each feature."
            self._add_problem(steps, "unknown-value", message, hint)
            return
        expected = "one_hot" if self.is_joined else "int or one_hot"
        message = f"`output_mode` must be {expected}, got {quote_value(node.value)}."
        self._add_problem(steps, "unknown-value", message, "Remove `output_mode`.")

    def _parse_crosses(self, space: FeatureSpace) -> Iterator[_Cross]:
        """Yield each valid cross."""
        node = self._entry.find(("crosses",))
        declared = self._entry.find(("features",))
        known = declared.value if declared is not None and isinstance(declared.value, dict) else {}
        crosses = node.value if node is not None and isinstance(node.value, list) else []
        if len(crosses) > MAX_CROSSES:
            message = f"`crosses` must list at most {MAX_CROSSES:,} pairs of features, got {len(crosses):,}."
            self._add_problem(("crosses",), "out-of-range", message, "Remove crosses.")
            return
        for index, child in enumerate(crosses):
            steps: KeyPath = ("crosses", index)
            names_node, dim, is_index = child, space.crossing_dim, False
            if isinstance(child.value, dict):
                for key in child.value:
                    if key not in _CROSS_KEYS:
                        hint = did_you_mean(
                            key, _CROSS_KEYS, otherwise=f"The keys are {list_names(_CROSS_KEYS)}."
                        )
                        message = f"A cross has no key {quote_value(key)}."
                        self._add_problem((*steps, key), "unknown-key", message, hint, at_key=True)
                names_node = child.value.get("feature_names", child)
                dim_node, mode = child.value.get("crossing_dim"), child.value.get("output_mode")
                if mode is not None:
                    self._check_mode((*steps, "output_mode"), mode)
                    is_index = mode.value == "int"
                if dim_node is not None:
                    dim = self._parse_dim((*steps, "crossing_dim"), dim_node.value, dim)
                steps = (*steps, "feature_names") if names_node is not child else steps
            names = names_node.to_plain()
            if (
                not isinstance(names, list)
                or len(names) != 2
                or not all(isinstance(each, str) for each in names)
            ):
                message = f"A cross must be a list of two features, got {quote_value(names)}."
                self._add_problem(steps, "wrong-type", message, "For example `crosses: [[job, city]]`.")
            elif self._check_crossed(steps, names, known):
                path = child.written_path or (*self._path, "crosses", index)
                yield _Cross((names[0], names[1]), dim, is_index, child.mark, path)

    def _parse_dim(self, steps: KeyPath, value: object, default: int) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        message = f"`crossing_dim` must be a positive integer, got {quote_value(value)}."
        self._add_problem(steps, "wrong-type", message, "For example `crossing_dim: 32`.")
        return default

    def _check_crossed(self, steps: KeyPath, names: list[str], known: Collection[str]) -> bool:
        """Report features of a cross that do not exist or are numbers. Return whether both are valid."""
        valid = True
        for index, name in enumerate(names):
            if name not in known:
                hint = did_you_mean(name, known, otherwise=f"The features are {list_names(list(known))}.")
                message = f'`crosses` must name features, but there is no feature "{sanitize_text(name, limit=60)}".'
                self._add_problem((*steps, index), "unknown-name", message, hint)
            elif name in self.features and not self.features[name].kind.is_category:
                message = f"A cross must join categories, but `{sanitize_text(name, limit=60)}` is a number."
                hint = f"Use `{{type: float_discretized, num_bins: 10}}` for {quote_value(name)}, or remove the cross."
                self._add_problem((*steps, index), "bad-argument", message, hint)
            valid = valid and name in self.features and self.features[name].kind.is_category
        return valid

    def _add_feature_layers(self, feature: _Feature) -> str:
        """Add the layers of a feature. Return the name of the last one."""
        name = f"{feature.input_name}_preprocessor"
        keys = {"type": feature.kind.layer, "name": name, **feature.arguments}
        if feature.kind.is_category and feature.kind.size_default is None and not feature.is_index:
            keys["output_mode"] = "one_hot"
        self._add_layer(keys | {"inputs": feature.input_name}, feature.mark, feature.path)
        if feature.kind.size_default is None or feature.is_index:
            return name
        encoded_name = f"{feature.input_name}_encoding"
        keys = {"type": "CategoryEncoding", "name": encoded_name, "num_tokens": _count_categories(feature)}
        self._add_layer(keys | {"inputs": name}, feature.mark, feature.path)
        return encoded_name

    def _add_cross(self, cross: _Cross) -> str:
        """Add the layer of a cross, after lookups that return indices for it. Return its name."""
        inputs = [self._add_index_layer(self.features[column]) for column in cross.names]
        name = "_X_".join(self.features[column].input_name for column in cross.names)
        keys = {"type": "HashedCrossing", "name": name, "num_bins": cross.dim, "inputs": inputs}
        keys["output_mode"] = "int" if cross.is_index else "one_hot"
        self._add_layer(keys, cross.mark, cross.path)
        return name

    def _add_index_layer(self, feature: _Feature) -> str:
        """Return the name of the layer that returns the index of a feature's category; add it if it is missing."""
        if feature.kind.size_default is not None or feature.is_index:
            return f"{feature.input_name}_preprocessor"
        name = f"{feature.input_name}_index"
        if name not in self.index_names:
            self.index_names.add(name)
            keys = {"type": feature.kind.layer, "name": name, **feature.arguments}
            self._add_layer(keys | {"inputs": feature.input_name}, feature.mark, feature.path)
        return name

    def _add_layer(self, keys: dict[str, Any], mark: Mark, path: KeyPath) -> None:
        self.layers.append(replace(_make_node(keys, mark), written_path=path))

    def _insert_into_model(self, document: YamlNode) -> YamlNode:
        """Return the document with the inputs and layers in its model."""
        assert isinstance(document.value, dict)
        model = document.value["model"]
        assert isinstance(model.value, dict)
        if model.value.get("input") is not None:
            message = "`input` cannot be combined with FeatureSpace, whose inputs are its columns."
            hint = "Remove `input`."
            self.problems.append(
                problem_in(document, ("model", "input"), "bad-argument", message, hint=hint, at_key=True)
            )
        declared = model.value.get("inputs")
        inputs = {
            feature.input_name: replace(
                _make_node({"shape": [1], "dtype": feature.kind.dtype}, feature.mark),
                written_path=feature.path,
            )
            for feature in self.features.values()
        }
        layers = model.value["layers"]
        assert isinstance(layers.value, list)
        new = {key: node for key, node in model.value.items() if key != "input"}
        new["inputs"] = _merge(declared, inputs, model.mark)
        new["layers"] = replace(layers, value=[*self.layers, *layers.value[1:]])
        return replace(document, value=document.value | {"model": replace(model, value=new)})

    def _insert_into_data(self, document: YamlNode) -> YamlNode:
        """Return the document with the columns as inputs of its data, and as texts if they are categories of texts."""
        assert isinstance(document.value, dict)
        data = document.value.get("data")
        if data is None or not isinstance(data.value, dict):
            return document
        columns = {
            feature.input_name: replace(_make_node(feature.column, feature.mark), written_path=feature.path)
            for feature in self.features.values()
        }
        new = data.value | {"inputs": _merge(data.value.get("inputs"), columns, data.mark)}
        if _is_table(data.value.get("type")):
            texts = {
                feature.column: replace(_make_node("text", feature.mark), written_path=feature.path)
                for feature in self.features.values()
                if feature.kind.dtype == "string"
            }
            if texts:
                new["types"] = _merge(data.value.get("types"), texts, data.mark)
        return replace(document, value=document.value | {"data": replace(data, value=new)})


def _count_categories(feature: _Feature) -> YamlNode | int:
    """Return the number of bins of a feature, as its argument declares it."""
    boundaries = feature.arguments.get("bin_boundaries")
    if boundaries is not None and isinstance(boundaries.value, list):
        return len(boundaries.value) + 1
    return feature.arguments.get("num_bins", 1)


def _name_input(column: str, used: set[str]) -> str:
    """Return the name of the input of a column: the column's name, if Keras accepts it."""
    text = re.sub(r"[^A-Za-z0-9_.-]", "_", column)[:_NAME_LENGTH]
    base = text if text[:1].isalnum() else f"column{text}"
    name, number = base, 2
    while name in used:
        name, number = f"{base}_{number}", number + 1
    return name


def _is_table(kind: YamlNode | None) -> bool:
    """Return whether a value is the ``type`` of tables."""
    name = DATA_TYPES.find(kind.value) if kind is not None and isinstance(kind.value, str) else None
    return name is not None and issubclass(DATA_TYPES.load(name), TableConfig)


def _merge(declared: YamlNode | None, added: Mapping[str, YamlNode], mark: Mark) -> YamlNode:
    """Return a mapping with the declared values, and with those of the added keys that it lacks."""
    if declared is None or declared.value is None:
        declared = YamlNode({}, mark)
    if not isinstance(declared.value, dict):  # reported later
        return declared
    return replace(
        declared,
        value=declared.value | {key: node for key, node in added.items() if key not in declared.value},
        keys={key: node.mark for key, node in added.items()} | declared.keys,
    )


def _make_node(value: Any, mark: Mark) -> YamlNode:
    """Return plain data as nodes at one position; nodes in it are kept."""
    if isinstance(value, YamlNode):
        return value
    if isinstance(value, dict):
        children = {key: _make_node(item, mark) for key, item in value.items()}
        return YamlNode(children, mark, dict.fromkeys(children, mark), *measure_nodes(children.values()))
    if isinstance(value, list):
        items = [_make_node(item, mark) for item in value]
        return YamlNode(items, mark, {}, *measure_nodes(items))
    return YamlNode(value, mark)

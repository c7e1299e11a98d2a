"""What the config language expects at a place of a text: a key of a section, a type, a layer's name, a column."""

from __future__ import annotations

import typing
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Literal, TypeAlias

from pydantic.fields import FieldInfo

from layercli.check import is_sweep
from layercli.config.config import Config
from layercli.config.data.section import SplitConfig
from layercli.config.language.blocks import BLOCKS_KEY
from layercli.config.language.expand import name_entries
from layercli.config.language.variables import VARS_KEY
from layercli.config.model import ModelSection
from layercli.config.sweep.pruners import PRUNERS
from layercli.config.sweep.samplers import SAMPLERS
from layercli.config.sweep.search_space import PARAMETER_TYPES
from layercli.config.sweep.section import Objective, SweepConfig
from layercli.config.training.stages import StageConfig
from layercli.errors import LayercliError
from layercli.json_schema import CATALOGUES, type_schema
from layercli.language_server.positions import ProtocolIndex
from layercli.layers.feature_space import FeatureSpace
from layercli.schema.component import Component
from layercli.schema.strict_model import StrictModel
from layercli.source.extend import EXTENDS
from layercli.source.nodes import KeyPath, YamlNode, normalize_type_name
from layercli.source.overrides import set_node, split_key
from layercli.source.syntax import MAX_DEPTH

Role: TypeAlias = Literal[
    "blocks",
    "block",
    "entry",
    "block name",
    "arguments",
    "reuse",
    "inputs",
    "layer name",
    "monitor",
    "column",
    "path",
    "vars",
    "space",
    "drawn value",
]
Part: TypeAlias = Literal["key", "value", "around"]

COMPONENTS: Final = {**CATALOGUES, "sampler": SAMPLERS, "pruner": PRUNERS}
"""Kind of component -> its catalogue, including those of sweep files."""
_PATH_KEYS: Final = frozenset({"path", "labels_path", "weights", "base"})
_COLUMN_KEYS: Final = frozenset(
    {
        "target",
        "features",
        "inputs",
        "weights",
        "group",
        "order",
        "column",
        "time",
        "series",
        "categories",
        "dates",
        "fill",
        "text",
    }
)
_SPLIT_KEYS: Final = frozenset({"group", "order", "column"})


@dataclass(frozen=True, slots=True)
class Place:
    """The expected content at a path."""

    cls: type[StrictModel] | type[Component] | None = None
    """The class whose fields are the keys of a mapping here."""
    kind: str | None = None
    """The kind of component that is declared here."""
    is_type: bool = False
    """Whether this is only the type of the component."""
    field: FieldInfo | None = None
    """The field whose value is here."""
    options: tuple[Any, ...] = ()
    """The values that the field accepts."""
    item: Place | None = None
    """What a list here contains."""
    value: Place | None = None
    """What a mapping with free keys here contains."""
    role: Role | None = None

    @property
    def fields(self) -> dict[str, FieldInfo]:
        """The keys of a mapping here, without those that every layer has."""
        return dict(self.cls.model_fields) if self.cls is not None else {}


def find_path(index: ProtocolIndex, tree: YamlNode | None, offset: int) -> tuple[KeyPath, Part]:
    """Return the path of the value, or of the key, at an offset; ``around`` is outside of both."""
    if tree is None:
        return (), "around"
    position = index.yaml_position(offset)
    path: KeyPath = ()
    node = tree
    while True:
        found: tuple[tuple[int, int], str | int, YamlNode] | None = None
        for step, child in node.children:
            mark = node.keys.get(step) if isinstance(step, str) else child.mark
            if mark is None or mark.source is not tree.mark.source or mark[1:] < node.mark[1:]:
                continue  # merged from another mapping, or an alias
            if mark[1:] <= position and (found is None or mark[1:] >= found[0]):
                found = mark[1:], step, child
        if found is None:
            return path, "around"
        start, step, child = found
        path = (*path, step)
        if isinstance(step, str) and position <= (start[0], start[1] + len(step)):
            return path, "key"
        is_here = child.mark.source is tree.mark.source and start <= child.mark[1:] <= position
        if not is_here:
            return path, "around"
        if not child.children:
            first, last = index.node_span(child)
            return path, "value" if first <= offset <= last else "around"
        node = child


def find_place(tree: YamlNode | None, path: KeyPath, base: YamlNode | None = None) -> Place:
    """Return what is expected at a path of a config or a sweep file, whose base config is ``base``."""
    place, node = Place(cls=SweepConfig if tree is not None and is_sweep(tree) else Config), tree
    for number, step in enumerate(path):
        is_drawn = number == 3 and path[0] == "space" and path[2] == "choice" and isinstance(step, int)
        base_path = find_drawn_path(base, str(path[1])) if is_drawn and base is not None else None
        place = find_place(base, base_path) if base_path is not None else _enter_place(place, node, step)
        node = node.find((step,)) if node is not None else None
        if place.role == "drawn value":
            place = replace(place, cls=_find_distribution(node))
    return place


def find_drawn_path(base: YamlNode, name: str) -> KeyPath | None:
    """Return the path in a base config that a key of `space` names, or None."""
    steps = split_key(name)
    if steps is None or not isinstance(base.value, dict) or len(steps) > MAX_DEPTH:
        return None
    root = replace(base, value=dict(base.value), keys=dict(base.keys))
    try:
        return set_node(root, steps, YamlNode(None, base.mark), base.mark, name_entries)
    except LayercliError:
        return None


def _find_distribution(node: YamlNode | None) -> type[StrictModel] | None:
    """Return the class of the range or the choice that a value of `space` declares."""
    given = node.value if node is not None and isinstance(node.value, dict) else {}
    return next((cls for key, cls in PARAMETER_TYPES.items() if key in given), None)


def resolve_class(place: Place, node: YamlNode | None) -> type[StrictModel] | type[Component] | None:
    """Return the class that the type of a component names, or the class of a section."""
    if place.kind is None and place.role != "entry":
        return place.cls
    named = node.find(("type",)) if node is not None and isinstance(node.value, dict) else node
    if named is None or not isinstance(named.value, str):
        return None
    return load_component(place.kind or "layer", named.value)


def load_component(kind: str, name: str) -> type[Component] | None:
    """Return the class of a type by any spelling of its name, or None."""
    catalogue = COMPONENTS.get(kind)
    if catalogue is None:
        return None
    bare_name = name.removeprefix("keras.layers.")
    if kind == "layer" and normalize_type_name(bare_name) == normalize_type_name(FeatureSpace.type_name()):
        return FeatureSpace
    class_name = catalogue.find(bare_name)
    return catalogue.load(class_name) if class_name is not None else None


def _enter_place(place: Place, node: YamlNode | None, step: str | int) -> Place:
    """Return what is expected at a step below a place."""
    if isinstance(step, int):
        return place.item or Place()
    if place.role == "blocks":
        return Place(role="block")
    if place.role == "block":
        return Place(item=Place(role="entry")) if step == "layers" else Place()
    if place.role == "entry":
        return _enter_entry(place, node, step)
    if place.kind is not None and step == "type":
        return Place(kind=place.kind, is_type=True)
    cls = resolve_class(place, node)
    if cls is not None:
        found = _enter_class(cls, step)
        is_column = step in (
            _COLUMN_KEYS if place.kind == "data" else _SPLIT_KEYS if cls is SplitConfig else ()
        )
        return _with_columns(found, step) if is_column else found
    return place.value or Place()


def _with_columns(place: Place, key: str) -> Place:
    """Return a place at which a column, a list of columns or a mapping to columns is expected."""
    columns = Place(role="column", item=Place(role="column"))
    value = columns if key in ("target", "inputs") else place.value
    return replace(place, role="column", item=columns.item, value=value)


def _enter_entry(place: Place, node: YamlNode | None, step: str) -> Place:
    names: dict[str, Place] = {
        "type": Place(kind="layer", is_type=True),
        "block": Place(role="block name"),
        "with": Place(role="arguments"),
        "reuse": Place(role="reuse"),
        "inputs": Place(role="inputs", item=Place(role="inputs"), value=Place(role="inputs")),
    }
    if step in names:
        return names[step]
    cls = resolve_class(place, node)
    return _enter_class(cls, step) if cls is not None else Place()


def _enter_class(cls: type[StrictModel] | type[Component], step: str) -> Place:
    special: dict[tuple[Any, str], Place] = {
        (Config, BLOCKS_KEY): Place(role="blocks"),
        (Config, VARS_KEY): Place(role="vars"),
        (Config, EXTENDS): Place(role="path"),
        (Config, "data"): Place(kind="data"),
        (ModelSection, "layers"): Place(item=Place(role="entry")),
        (ModelSection, "outputs"): Place(role="layer name", item=Place(role="layer name")),
        (ModelSection, "freeze"): Place(item=Place(role="layer name")),
        (StageConfig, "freeze"): Place(item=Place(role="layer name")),
        (Objective, "metric"): Place(role="monitor"),
        (SweepConfig, "sampler"): Place(kind="sampler"),
        (SweepConfig, "pruner"): Place(kind="pruner"),
        (SweepConfig, "space"): Place(role="space", value=Place(role="drawn value")),
    }
    field = cls.model_fields.get(step)
    known = special.get((cls, step))
    if known is not None:
        return replace(known, field=field)
    if field is None:
        return Place()
    place = replace(_read_field(typing.cast(Any, cls), step), field=field)
    if step == "monitor":
        return replace(place, role="monitor")
    if step in _PATH_KEYS and str not in place.options:
        return replace(place, role="path")
    return place


@cache
def _read_field(cls: Any, name: str) -> Place:
    """Return what a field accepts, from the schema of its type."""
    field = cls.model_fields[name]
    model = _find_model(field.annotation)
    if model is not None:
        return Place(cls=model)
    return _read_schema(type_schema(field.annotation, list(field.metadata)))


def _find_model(annotation: Any) -> type[StrictModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, StrictModel):
        return annotation
    models = [
        _find_model(part) for part in typing.get_args(annotation) if typing.get_origin(annotation) is not list
    ]
    return next((model for model in models if model is not None), None)


def _read_schema(schema: dict[str, Any]) -> Place:
    place = Place()
    for part in [schema, *schema.get("anyOf", ())]:
        reference = str(part.get("$ref", "")).removeprefix("#/$defs/")
        if reference in CATALOGUES or reference == "activation":
            place = replace(place, kind=place.kind or reference)
        if isinstance(part.get("items"), dict):
            place = replace(place, item=place.item or _read_schema(part["items"]))
        if isinstance(part.get("additionalProperties"), dict):
            place = replace(place, value=place.value or _read_schema(part["additionalProperties"]))
        if part.get("type") == "boolean":
            place = replace(place, options=(*place.options, True, False))
        options = [
            one
            for one in part.get("enum", [part["const"]] if "const" in part else [])
            if one not in place.options
        ]
        if options:
            place = replace(place, options=(*place.options, *options))
        if part is not schema and "anyOf" in part:
            inner = _read_schema(part)
            place = replace(
                place,
                kind=place.kind or inner.kind,
                item=place.item or inner.item,
                value=place.value or inner.value,
                options=(*place.options, *(one for one in inner.options if one not in place.options)),
            )
    return place

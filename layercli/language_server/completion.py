"""Completion: what can be written at the cursor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from layercli.check import CheckResult, check_document
from layercli.config.config import Config
from layercli.config.language.blocks import parse_blocks
from layercli.config.language.variables import VARS_KEY
from layercli.config.names import INPUT, PREVIOUS
from layercli.config.sweep.search_space import PARAMETER_TYPES
from layercli.config.sweep.section import STATIC_METRICS
from layercli.config.training.log_names import collect_log_names
from layercli.config.training.registry import SHAPE_DEPENDENT_METRICS
from layercli.language_server.analysis import Analysis
from layercli.language_server.column_and_file_names import list_columns, list_file_names
from layercli.language_server.completion_context import CompletionContext, find_context
from layercli.language_server.drawable_values import list_drawable_values, suggest_distribution
from layercli.language_server.hover import ENTRY_TEXTS, SECTION_TEXTS, find_entry_path
from layercli.language_server.places import (
    COMPONENTS,
    Place,
    find_drawn_path,
    find_place,
    resolve_class,
)
from layercli.language_server.python_definitions import find_definition, list_definitions
from layercli.language_server.transport import Json
from layercli.layers.custom_layers import split_reference
from layercli.layers.feature_space import FeatureSpace
from layercli.layers.object_registry import ACTIVATIONS
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from layercli.page.markdown import escape_markdown
from layercli.reports.catalogue import layer_summary, parse_layer_example
from layercli.schema.component import snake_case
from layercli.schema.flow_style import format_value
from layercli.schema.strict_model import describe_type, to_plain
from layercli.source.nodes import KeyPath, YamlNode

_MAX_ITEMS: Final = 2000
_KINDS: Final = {
    "key": 10,
    "type": 7,
    "value": 12,
    "name": 6,
    "file": 17,
    "block": 9,
    "column": 5,
    "variable": 21,
}
"""Kind of an item -> the number of its symbol in the protocol."""
_SNIPPET: Final = 2
_LISTED_ROLES: Final = ("path", "column", "monitor", "inputs", "layer name", "block name")
"""Roles whose values are listed, so that examples do not help."""
_KEYS_BY_OUTPUT: Final = (("target",), ("target_type",), ("inputs",))
"""Mappings of `data` whose keys are names of outputs or inputs; those of the others are columns."""
_CUSTOM_KINDS: Final = ("layer", "loss", "metric", "optimizer", "schedule", "callback")
"""Kinds whose types can name custom code."""
_EXAMPLE_ARGUMENTS: Final = ("units", "filters", "kernel_size", "rate", "pool_size")


@dataclass(frozen=True, slots=True)
class Item:
    """One proposal."""

    label: str
    kind: str
    insert: str | None = None
    """The text or snippet to insert; None for the label."""
    detail: str = ""
    documentation: str = ""
    rank: int = 5
    """Its place among the proposals, from 0."""


def list_completions(analysis: Analysis, shapes: Analysis | None, offset: int, *, has_snippets: bool) -> Json:
    """Return the proposals at an offset.

    Args:
        analysis: The current text.
        shapes: The last version whose shapes are known.
        offset: The cursor.
        has_snippets: Whether the editor moves the cursor to the placeholders of a snippet.
    """
    text = analysis.index.text
    context = find_context(analysis.document.path, text, offset)
    if context is None:
        return {"isIncomplete": False, "items": []}
    proposals = _Proposals(analysis, shapes, context)
    place = analysis.index.range_of(context.start, context.end)
    items = [
        _item_json(item, place, has_snippets=has_snippets)
        for item in islice(proposals.list_items(), _MAX_ITEMS)
    ]
    return {"isIncomplete": False, "items": items}


def _item_json(item: Item, place: Json, *, has_snippets: bool) -> Json:
    text = item.insert if item.insert is not None else _escape(item.label)
    shown: Json = {
        "label": item.label,
        "kind": _KINDS[item.kind],
        "sortText": f"{item.rank}{item.label.lower()}",
        "filterText": f"${{{item.label}}}" if item.kind == "variable" else item.label,
        "textEdit": {"range": place, "newText": text if has_snippets else _remove_placeholders(text)},
    }
    if has_snippets:
        shown["insertTextFormat"] = _SNIPPET
    if item.detail:
        shown["detail"] = item.detail
    if item.documentation:
        shown["documentation"] = {"kind": "markdown", "value": item.documentation}
    return shown


def _escape(text: str) -> str:
    """Return a text as a snippet that inserts it."""
    return text.replace("\\", "\\\\").replace("$", "\\$").replace("}", "\\}")


def _remove_placeholders(snippet: str) -> str:
    """Return the text that a snippet inserts if nothing is filled in."""
    text, position = "", 0
    while position < len(snippet):
        char = snippet[position]
        if char == "\\":
            text += snippet[position + 1 : position + 2]
            position += 2
        elif snippet.startswith("${", position):
            end = snippet.index("}", position)
            text += snippet[position:end].partition(":")[2]
            position = end + 1
        elif char == "$" and snippet[position + 1 : position + 2].isdigit():
            position += 2
        else:
            text += char
            position += 1
    return text


class _Proposals:
    """The proposals at one cursor."""

    def __init__(self, analysis: Analysis, shapes: Analysis | None, context: CompletionContext) -> None:
        self._analysis = analysis
        self._shapes = shapes
        self._context = context
        self._tree = context.tree
        written = analysis.result.written or (shapes.result.written if shapes is not None else None)
        self._written = written if written is not None else context.tree
        """The config with the files that it extends."""
        self._base = analysis.load_base(self._tree)
        """The base config of a sweep file."""

    def list_items(self) -> Iterator[Item]:
        """Yield everything that can be written at the cursor."""
        context = self._context
        if context.is_reference:
            yield from self._list_references()
            return
        place = find_place(self._tree, context.path, self._base)
        if context.is_key:
            yield from self._list_keys(place, context.path)
            return
        definitions = list(self._list_definitions(place))
        if definitions:
            yield from definitions
            return
        yield from self._list_values(place, context.path)
        is_below_key = context.path and not isinstance(context.path[-1], int)
        starts_mapping = (
            is_below_key and "\n" in self._analysis.index.text[self._key_offset(context.path) : context.start]
        )
        if starts_mapping or context.is_list_item or not context.path:
            yield from self._list_keys(place, context.path)

    def _key_offset(self, path: KeyPath) -> int:
        return self._analysis.index.mark_offset(self._tree.find_mark(path, key=True))

    def _list_references(self) -> Iterator[Item]:
        """Yield variables, and the parameters of the block around the cursor."""
        path = self._context.path
        names: dict[str, str] = {}
        if path[:1] == ("blocks",) and len(path) > 2 and path[2] == "layers":
            block = parse_blocks(self._tree, []).get(str(path[1]))
            for name, default in block.params.items() if block is not None else ():
                names[name] = (
                    "required parameter"
                    if default is None
                    else f"parameter, default {_show(default.to_plain())}"
                )
        for source in (self._tree, self._written):
            variables = source.find((VARS_KEY,))
            for step, node in variables.children if variables is not None else ():
                names.setdefault(str(step), f"variable, {_show(node.to_plain())}")
        for name, detail in names.items():
            yield Item(name, "variable", _escape(f"${{{name}}}"), detail)

    def _list_keys(self, place: Place, path: KeyPath) -> Iterator[Item]:
        """Yield the keys that a mapping at a path can still have."""
        node = self._tree.find(path)
        given = set(node.value) if node is not None and isinstance(node.value, dict) else set()
        for item in self._list_all_keys(place, path, node):
            if item.label not in given:
                yield item

    def _list_all_keys(self, place: Place, path: KeyPath, node: YamlNode | None) -> Iterator[Item]:
        yield from self._list_keys_without_field(place, path, node)
        if place.kind is not None and not place.is_type:
            yield Item("type", "key", "type: $1", f"the {place.kind}'s type", rank=0)
        cls = resolve_class(place, node)
        if cls is None:
            yield from self._list_custom_arguments(node)
            return
        for name, field in cls.model_fields.items():
            yield _make_key(name, Place(field=field, cls=None))
        if cls is Config:  # these keys have no field
            for name, text in SECTION_TEXTS.items():
                yield Item(name, "key", f"{name}: $1", documentation=text)

    def _list_keys_without_field(self, place: Place, path: KeyPath, node: YamlNode | None) -> Iterator[Item]:
        """Yield the keys that a user names, and those of entries and blocks."""
        if place.role == "space":
            yield from self._list_drawable_paths()
        elif place.role == "drawn value" and place.cls is None:
            yield from _list_distribution_keys()
        elif place.role == "entry":
            yield from self._list_entry_keys(node)
        elif place.role == "block":
            yield Item("params", "key", "params: {$1}", "defaults of the parameters")
            yield Item("layers", "key", "layers:\n  - $1", "the layers of the block")
        elif place.role == "arguments":
            yield from self._list_parameters(path)
        elif place.value is not None and path[:1] == ("data",) and path[1:] not in _KEYS_BY_OUTPUT:
            names = self._list_columns()
            yield from (Item(name, "column", f"{_escape(_show(name))}: $1", "column") for name in names)
        elif path == ("data", "inputs"):
            inputs = self._shapes.result.shapes if self._shapes is not None else None
            names = list(inputs.graph.inputs) if inputs is not None else []
            yield from (Item(name, "name", f"{_escape(name)}: $1", "input") for name in names)
        elif not _has_type(node) and (
            place.value is not None or (path[:1] == ("train",) and place.kind is not None)
        ):
            yield from (Item(name, "name", f"{_escape(name)}: $1", "output") for name in self._list_outputs())

    def _list_definitions(self, place: Place) -> Iterator[Item]:
        """Yield the classes, and for a loss or a metric the functions, of a Python file whose name is typed."""
        file = self._analysis.index.text[self._context.start : self._context.end].rpartition(":")[0]
        is_custom = place.kind in _CUSTOM_KINDS or place.role == "entry"
        if not is_custom or split_reference(f"{file}:X") is None:
            return
        for one in list_definitions(self._analysis.document.path.parent / file):
            if one.is_class or place.kind in ("loss", "metric"):
                required = [name for name, default in (one.arguments or {}).items() if default is None]
                given = ", ".join(f"{name}: ${{{number}}}" for number, name in enumerate(required, 1))
                label = f"{file}:{one.name}"
                insert = f"{{type: {label}, {given}}}" if given and not place.is_type else None
                yield Item(label, "type", insert, "custom code", escape_markdown(one.summary), rank=0)

    def _list_custom_arguments(self, node: YamlNode | None) -> Iterator[Item]:
        """Yield the arguments of a class in custom code, as its source declares them."""
        named = node.find(("type",)) if node is not None and isinstance(node.value, dict) else None
        definition = find_definition(self._analysis.document.path.parent, named.value) if named else None
        for name, default in (definition.arguments or {}).items() if definition is not None else ():
            detail = "required" if default is None else f"default {default}"
            yield Item(name, "key", f"{name}: $1", detail, rank=1 if default is None else 5)

    def _list_drawable_paths(self) -> Iterator[Item]:
        """Yield the values of the base config, each with a range or a choice around it."""
        for one in list_drawable_values(self._base) if self._base is not None else ():
            drawn = _mark_distribution(suggest_distribution(one.value, list_options(one.place)))
            detail = f"{'in the base config' if one.is_written else 'by default'}: {_show(one.value)}"
            description = one.place.field.description if one.place.field is not None else None
            rank = 2 if one.is_written else 5
            yield Item(one.name, "key", f"{_escape(one.name)}: {drawn}", detail, description or "", rank)

    def _list_distributions(self, path: KeyPath) -> Iterator[Item]:
        """Yield a range or a choice around the value of the base config."""
        base_path = find_drawn_path(self._base, str(path[1])) if self._base is not None else None
        if self._base is None or base_path is None:
            return
        node, place = self._base.find(base_path), find_place(self._base, base_path)
        value = node.value if node is not None else _read_default(place)
        if isinstance(value, (bool, int, float, str)):
            text = suggest_distribution(value, list_options(place))
            yield Item(text, "value", _mark_distribution(text), f"around {_show(value)}", rank=0)

    def _list_entry_keys(self, node: YamlNode | None) -> Iterator[Item]:
        given = node.value if node is not None and isinstance(node.value, dict) else {}
        allowed = (
            ("block", "with", "repeat", "name", "inputs")
            if "block" in given
            else ("reuse", "name", "inputs")
            if "reuse" in given and "type" not in given
            else ("name", "inputs", "repeat")
            if "type" in given
            else ("type", "block", "reuse", "name", "inputs", "repeat")
        )
        for name in allowed:
            rank = 0 if name in ("type", "block", "with") else 4
            insert = f"{name}: {{$1}}" if name == "with" else f"{name}: $1"
            yield Item(name, "key", insert, documentation=ENTRY_TEXTS[name], rank=rank)

    def _list_parameters(self, path: KeyPath) -> Iterator[Item]:
        entry = self._tree.find(path[:-1])
        named = entry.find(("block",)) if entry is not None else None
        block = parse_blocks(self._written, []).get(str(named.value)) if named is not None else None
        for name, default in block.params.items() if block is not None else ():
            shown = "" if default is None else _show(default.to_plain())
            detail = "required" if default is None else f"default {shown}"
            yield Item(
                name, "key", f"{name}: ${{1:{_escape(shown)}}}", detail, rank=0 if default is None else 5
            )

    def _list_values(self, place: Place, path: KeyPath) -> Iterator[Item]:
        if place.role == "entry" or (place.kind == "layer" and place.is_type):
            yield from self._list_layers(path, is_entry=place.role == "entry")
        elif place.role in ("inputs", "reuse", "layer name"):
            yield from self._list_layer_names(place, path)
        elif place.role == "block name":
            yield from (Item(name, "block") for name in parse_blocks(self._written, []))
        elif place.role == "monitor":
            yield from (Item(name, "name") for name in self._list_log_names())
        elif place.role == "column":
            yield from (Item(name, "column", _escape(_show(name)), "column") for name in self._list_columns())
        elif place.role == "path":
            typed = self._analysis.index.text[self._context.start : self._context.end]
            names = list_file_names(self._analysis.document.path, typed)
            yield from (Item(name, "file") for name in names)
        elif place.role == "drawn value" and place.cls is None:
            yield from self._list_distributions(path)
        elif place.kind is not None:
            yield from _list_types(place)
        yield from (Item(_show(option), "value", rank=1) for option in place.options)
        if (
            place.field is not None
            and place.kind is None
            and place.cls is None
            and place.role not in _LISTED_ROLES
        ):
            yield from _list_examples(place)

    def _list_layers(self, path: KeyPath, *, is_entry: bool) -> Iterator[Item]:
        """Yield the types of layers, those that take the rank of the input first, and blocks."""
        x = self._find_input(path)
        needs_brackets = is_entry
        for name in LAYERS.names:
            cls = LAYERS.load(name)
            low, high = cls.rank_range
            fits = x is None or (low <= x.rank and (high is None or x.rank <= high))
            yield Item(
                name,
                "type",
                _make_layer_snippet(name) if needs_brackets else _escape(name),
                cls.family,
                layer_summary(cls),
                rank=2 if fits else 8,
            )
        if is_entry:
            yield Item(
                FeatureSpace.type_name(),
                "type",
                "{type: FeatureSpace, features: {$1}}",
                documentation=layer_summary(FeatureSpace),
                rank=8,
            )
            for name, block in parse_blocks(self._written, []).items():
                required = [one for one, default in block.params.items() if default is None]
                given = ", ".join(f"{one}: ${{{number}}}" for number, one in enumerate(required, 1))
                insert = f"{{block: {name}, with: {{{given}}}}}" if given else f"{{block: {name}}}"
                yield Item(name, "block", insert, "block", rank=1)

    def _find_input(self, path: KeyPath) -> Tensor | None:
        """Return the input of an entry: the output of the entry above, as far as it is known."""
        entry_path = find_entry_path(path)
        if entry_path == ("model", "layers", 0) and self._shapes is None:
            return _read_input(self._written)
        if self._shapes is None or entry_path is None or self._shapes.result.shapes is None:
            return None
        index = entry_path[-1]
        assert isinstance(index, int)
        if index == 0:
            inputs = list(self._shapes.result.shapes.graph.inputs.values())
            return inputs[0] if len(inputs) == 1 and entry_path[0] == "model" else None
        above = self._tree.find((*entry_path[:-1], index - 1))
        rows = (
            self._shapes.rows_by_place.get((above.mark.line, above.mark.column), [])
            if above is not None
            else []
        )
        return rows[-1].outputs[0] if rows and len(rows[-1].outputs) == 1 else None

    def _list_layer_names(self, place: Place, path: KeyPath) -> Iterator[Item]:
        """Yield the names of the layers above, the nearest first, and the words for inputs."""
        entry_path = find_entry_path(path)
        names: list[str] = []
        inputs = self._tree.find(("model", "inputs"))
        if place.role == "inputs":
            names += [INPUT, PREVIOUS]
            names += [str(step) for step, _ in inputs.children] if inputs is not None else []
        entries = self._tree.find(entry_path[:-1] if entry_path is not None else ("model", "layers"))
        children = entries.children if entries is not None else []
        last = entry_path[-1] if entry_path is not None else len(children)
        explicit = [
            str(named.value)
            for step, entry in children
            if int(step) < int(last)
            and (named := entry.find(("name",))) is not None
            and isinstance(named.value, str)
        ]
        if entry_path is None or entry_path[0] == "model":
            explicit += self._list_known_names(int(last) if entry_path is not None else None)
        yield from (Item(name, "name", rank=1) for name in names)
        yield from (Item(name, "name", detail="layer", rank=2) for name in dict.fromkeys(reversed(explicit)))

    def _list_known_names(self, last: int | None) -> list[str]:
        """Return the names of all layers of the last valid version, those of the first entries if ``last`` is given."""
        shapes = self._shapes
        if shapes is None or shapes.result.shapes is None:
            return []
        above = self._tree.find(("model", "layers", last)) if last is not None else None
        limit = (above.mark.line, above.mark.column) if above is not None else (1 << 30, 0)
        return [
            row.node.name
            for row, marks in shapes.iterate_rows()
            if not shapes.contains(marks[0]) or (marks[0].line, marks[0].column) < limit
        ]

    def _list_outputs(self) -> Sequence[str]:
        shapes = self._shapes.result.shapes if self._shapes is not None else None
        return shapes.graph.output_references if shapes is not None else ()

    def _list_log_names(self) -> list[str]:
        """Return the logged values, for a sweep file those of its base config, and the values that the config determines."""
        if self._base is not None:
            return [*_list_log_names(check_document(self._base)), *STATIC_METRICS]
        return _list_log_names(self._shapes.result if self._shapes is not None else None)

    def _list_columns(self) -> list[str]:
        """Return the column names of the config's table."""
        return list_columns(self._tree if self._tree.find(("data", "path")) is not None else self._written)


def _read_input(written: YamlNode) -> Tensor | None:
    """Return the input of a model that has no valid layers yet, if it is a list of sizes."""
    node = written.find(("model", "input"))
    sizes = node.to_plain() if node is not None else None
    if not isinstance(sizes, list) or not all(size is None or isinstance(size, int) for size in sizes):
        return None
    return Tensor((None, *sizes))


def list_options(place: Place) -> list[str]:
    """Return the words that are valid at a place."""
    names = ACTIVATIONS if place.kind == "activation" else ()
    return [*names, *(one for one in place.options if isinstance(one, str))]


def _list_log_names(result: CheckResult | None) -> list[str]:
    """Return the values that the training of a config logs."""
    train = result.config.train if result is not None and result.config is not None else None
    if result is None or train is None or result.shapes is None:
        return ["loss", "val_loss"]
    names = list(collect_log_names(train, result.shapes.graph.output_references))
    return [*(f"val_{name}" for name in names), *names]


def _has_type(node: YamlNode | None) -> bool:
    return node is not None and isinstance(node.value, dict) and "type" in node.value


def _read_default(place: Place) -> Any:
    if place.field is None or place.field.is_required():
        return None
    return to_plain(place.field.get_default(call_default_factory=True))


def _mark_distribution(text: str) -> str:
    """Return a range or a choice as a snippet whose values can be filled in."""
    numbers = iter(range(1, 100))
    return re.sub(
        r"(?<=[\[ ])[^\[\]{},: ]+(?=[\],])",
        lambda found: f"${{{next(numbers)}:{_escape(found[0])}}}",
        text,
    )


def _list_distribution_keys() -> Iterator[Item]:
    """Yield the keys of which a value of `space` has one."""
    for key, cls in PARAMETER_TYPES.items():
        values = "${1:1}, ${2:10}" if key == "int" else "${1:0.1}, ${2:1.0}" if key == "float" else "$1"
        description = cls.model_fields[key].description or ""
        yield Item(key, "key", f"{key}: [{values}]", cls.title(), description, rank=1)


def _list_types(place: Place) -> Iterator[Item]:
    """Yield the names of a kind of component."""
    if place.kind == "activation":
        yield from (Item(name, "value", rank=2) for name in ACTIVATIONS)
        return
    catalogue = COMPONENTS[str(place.kind)]
    if place.kind == "metric" and not place.is_type:
        yield Item(SHAPE_DEPENDENT_METRICS[0], "type", documentation="Chosen by the target.", rank=1)
    has_short_names = place.kind in ("loss", "metric", "initializer", "regularizer", "constraint")
    for name in catalogue.names:
        cls = catalogue.load(name)
        label = cls.type_name()
        if place.kind == "metric" and name == "Accuracy" and not place.is_type:
            continue  # `accuracy` is the one that the target chooses
        if has_short_names and not place.is_type and name not in catalogue.not_by_name:
            label = snake_case(label)
        insert = None
        required = [one for one, field in cls.model_fields.items() if field.is_required()]
        if required and not place.is_type:
            given = ", ".join(f"{one}: ${{{number}}}" for number, one in enumerate(required, 1))
            insert = f"{{type: {cls.type_name()}, {given}}}"
        yield Item(label, "type", insert, documentation=layer_summary(cls), rank=2)


def _make_layer_snippet(name: str) -> str:
    """Return an entry with the arguments that the example of a layer gives."""
    example = parse_layer_example(name)
    required = [one for one, field in LAYERS.load(name).model_fields.items() if field.is_required()]
    given = {
        key: value
        for key, value in example.items()
        if key in required or (key in _EXAMPLE_ARGUMENTS and not isinstance(value, (dict, list)))
    }
    if not given:
        return _escape(name)
    shown = ", ".join(
        f"{key}: ${{{number}:{_escape(_show(value))}}}"
        for number, (key, value) in enumerate(given.items(), 1)
    )
    return f"{{type: {name}, {shown}}}"


def _make_key(name: str, place: Place) -> Item:
    field = place.field
    assert field is not None
    default = None if field.is_required() else to_plain(field.get_default(call_default_factory=True))
    shown = "required" if field.is_required() else f"default {_show(default)}"
    is_scalar = isinstance(default, (bool, int, float, str))
    insert = f"{name}: ${{1:{_escape(_show(default))}}}" if is_scalar else f"{name}: $1"
    detail = f"{describe_type(field)}; {shown}"
    return Item(name, "key", insert, detail, field.description or "", rank=1 if field.is_required() else 5)


def _list_examples(place: Place) -> Iterator[Item]:
    """Yield the default and the examples of a field."""
    assert place.field is not None
    values: Iterable[Any] = place.field.examples or ()
    if not place.field.is_required():
        values = [*values, place.field.get_default(call_default_factory=True)]
    shown = [_show(to_plain(value)) for value in values if not isinstance(to_plain(value), dict)]
    for text in dict.fromkeys(shown):
        if text not in [_show(option) for option in place.options]:
            yield Item(text, "value", _escape(text), rank=3)


def _show(value: Any) -> str:
    return format_value(value)

"""Hover: what is known about the word below the pointer, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from layercli.config.language.blocks import BLOCKS_KEY, parse_blocks
from layercli.config.language.variables import VARS_KEY
from layercli.errors import LayercliError
from layercli.graph.shapes import NodeShapes
from layercli.io.paths import is_file
from layercli.language_server.analysis import Analysis
from layercli.language_server.links import find_target
from layercli.language_server.places import (
    Place,
    find_drawn_path,
    find_path,
    find_place,
    resolve_class,
)
from layercli.language_server.python_definitions import Definition, find_definition
from layercli.language_server.transport import Json
from layercli.layers.base import Layer
from layercli.layers.feature_space import FeatureSpace
from layercli.layers.shapes import format_shape
from layercli.page.markdown import escape_markdown
from layercli.reports.catalogue import layer_json, layer_summary
from layercli.reports.explanation import explain_layer
from layercli.reports.formatting import format_count, join_words
from layercli.schema.flow_style import format_value
from layercli.schema.strict_model import describe_type, to_plain
from layercli.source.dump import to_flow_yaml
from layercli.source.extend import EXTENDS, load_extended
from layercli.source.load import use_unsaved_texts
from layercli.source.nodes import KeyPath, YamlNode, describe_position

REFERENCE: Final = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_MAX_LINES: Final = 24
"""Most lines of a list in a hover."""
_MAX_VALUE_LENGTH: Final = 400
ENTRY_TEXTS: Final = {
    "type": "The type of the layer.",
    "name": "Name of the layer; by default the name of its type.",
    "inputs": "Inputs: a name, a list of names, or a mapping of the layer's input names; by default the layer above.",
    "repeat": "Number of repetitions in a row.",
    "block": "Name of the block whose layers are inserted.",
    "with": "Values of the block's parameters.",
    "reuse": "A layer or block above that is called again, with the same weights.",
}
SECTION_TEXTS: Final = {
    "extends": "The config that this one extends: mappings are merged, other values replace those of that file.",
    "vars": "Values that other places use as `${name}`.",
    "blocks": "Stacks of layers with parameters, used as `{block: name, with: {...}}`.",
}


def find_hover(analysis: Analysis, offset: int) -> Json | None:
    """Return the hover at an offset, or None."""
    path, part = find_path(analysis.index, analysis.tree, offset)
    if part == "around" or analysis.tree is None:
        return None
    node = analysis.tree.find(path)
    assert node is not None
    start, end = _find_span(analysis, path, part)
    lines: list[str] = []
    reference = _find_reference(analysis, node, offset) if part == "value" else None
    if reference is not None:
        name, start, end = reference
        lines = list(_describe_reference(analysis, name, path))
    elif part == "key":
        lines = list(_describe_key(analysis, path))
    else:
        lines = list(_describe_value(analysis, path, node))
    if not lines:
        return None
    return {
        "contents": {"kind": "markdown", "value": "\n".join(lines)},
        "range": analysis.index.range_of(start, end),
    }


def _find_span(analysis: Analysis, path: KeyPath, part: str) -> tuple[int, int]:
    assert analysis.tree is not None
    if part == "key":
        start = analysis.index.mark_offset(analysis.tree.find_mark(path, key=True))
        return start, start + len(str(path[-1]))
    node = analysis.tree.find(path)
    assert node is not None
    return analysis.index.node_span(node)


def _find_reference(analysis: Analysis, node: YamlNode, offset: int) -> tuple[str, int, int] | None:
    """Return the name of the `${name}` at an offset inside a value, with its span."""
    start, end = analysis.index.node_span(node)
    for found in REFERENCE.finditer(analysis.index.text, start, end):
        if found.start() <= offset <= found.end():
            return found[1], found.start(), found.end()
    return None


def find_entry_path(path: KeyPath) -> KeyPath | None:
    """Return the path of the entry of a list of layers around a path, or None."""
    for length in (3, 4):
        head = path[:length]
        is_model = length == 3 and head[:2] == ("model", "layers")
        is_block = length == 4 and head[:1] == ("blocks",) and head[2:3] == ("layers",)
        if len(head) == length and (is_model or is_block) and isinstance(head[-1], int):
            return head
    return None


def _describe_value(analysis: Analysis, path: KeyPath, node: YamlNode) -> Iterator[str]:
    place = find_place(analysis.tree, path, analysis.base)
    if place.role in ("entry", "block name") or (
        place.kind == "layer" and place.is_type and find_entry_path(path)
    ):
        yield from _describe_entry(analysis, find_entry_path(path) or path)
        return
    if place.role in ("inputs", "reuse", "layer name") and isinstance(node.value, str):
        yield from _describe_named_layer(analysis, node.value)
        return
    if place.kind is not None:
        cls = resolve_class(place, node)
        if cls is not None:
            yield from describe_class(cls)
        elif isinstance(node.value, str) and place.kind == "activation":
            yield f"Activation `{node.value}`."
        else:
            yield from _describe_definition(node)
        return
    entry_path = find_entry_path(path)
    if place.role == "path":
        yield from _describe_key(analysis, path)
        yield from _describe_file(analysis, path)
    elif entry_path is not None and path[len(entry_path) :] in (("name",), ("repeat",)):
        yield from _describe_entry(analysis, entry_path)
    elif place.field is not None:
        yield from describe_field(_find_key(path), place)
    else:
        yield from _describe_key(analysis, path[:-1] if isinstance(path[-1], int) else path)


def _find_key(path: KeyPath) -> str:
    """Return the name of the value at a path; for an item of a `choice`, the one that is drawn."""
    if path[0] == "space" and len(path) == 4:
        return str(path[1]).rpartition(".")[2]
    return str(path[-1])


def _describe_file(analysis: Analysis, path: KeyPath) -> Iterator[str]:
    """Yield whether the file that a value names exists, and what a config that it names declares."""
    target = find_target(analysis, path)
    if target is None:
        return
    yield ""
    if path[-1] not in (EXTENDS, "base"):
        yield f"The file {'exists' if is_file(target) else 'does not exist'}."
        return
    with use_unsaved_texts(analysis.unsaved_texts):
        try:
            base = load_extended(str(target))
        except LayercliError as error:
            yield f"The file has a problem: {error.problems[0].message}"
            return
    yield "The file declares:"
    for step, node in base.children:
        keys = ", ".join(f"`{key}`" for key, _ in node.children[:_MAX_LINES] if isinstance(key, str))
        yield f"- `{step}`: {keys}" if keys else f"- `{step}`"


def _describe_drawn_path(analysis: Analysis, name: str) -> Iterator[str]:
    """Yield the meaning of the value that a key of `space` names, and its value in the base config."""
    base = analysis.base
    path = find_drawn_path(base, name) if base is not None else None
    if base is None or path is None or analysis.tree is None:
        return
    place, node = find_place(base, path), base.find(path)
    if place.field is not None:
        yield from describe_field(str(path[-1]), place)
        yield ""
    if node is None:
        yield f"The base config does not set `{name}`."
        return
    position = describe_position(base.find_mark(path), analysis.tree.mark)
    yield f"In the base config: `{_shorten_value(node.to_plain())}`, at {position}."


def _describe_key(analysis: Analysis, path: KeyPath) -> Iterator[str]:
    tree = analysis.tree
    assert tree is not None
    key = str(path[-1])
    parent = find_place(tree, path[:-1])
    entry_path = find_entry_path(path)
    if parent.role == "space":
        yield from _describe_drawn_path(analysis, key)
    elif parent.role == "entry" and key in ENTRY_TEXTS:
        if key in ("type", "block", "reuse"):
            yield from _describe_entry(analysis, entry_path or path)
        else:
            yield f"**{key}**: {ENTRY_TEXTS[key]}"
    elif len(path) == 1 and key in SECTION_TEXTS:
        yield f"**{key}**: {SECTION_TEXTS[key]}"
    elif (path[:1] == (VARS_KEY,) and len(path) == 2) or (
        path[:1] == (BLOCKS_KEY,) and path[2:-1] == ("params",)
    ):
        yield from _describe_reference(analysis, key, path)
    elif parent.role == "blocks":
        yield from _describe_block(analysis, key)
    elif parent.role == "arguments" and entry_path is not None:
        named = tree.find((*entry_path, "block"))
        yield f"**{key}**: parameter of the block `{named.value if named is not None else '?'}`."
    else:
        place = find_place(tree, path, analysis.base)
        definition = _find_definition(tree.find(path[:-1]))
        if place.field is not None:
            yield from describe_field(key, place)
        elif definition is not None and key in (definition.arguments or {}):
            default = (definition.arguments or {})[key]
            shown = "required" if default is None else f"default `{_shorten_text(default)}`"
            yield f"**{key}**: argument of `{definition.name}` in custom code; {shown}."
        elif key == "type":
            yield "**type**: the name of the type."


def describe_field(name: str, place: Place) -> Iterator[str]:
    """Yield the meaning, the type and the default of an argument or key."""
    field = place.field
    assert field is not None
    default = (
        "required"
        if field.is_required()
        else f"default `{_shorten_value(to_plain(field.get_default(call_default_factory=True)))}`"
    )
    yield f"**{name}**: {describe_type(field)}; {default}."
    if field.description:
        yield ""
        yield field.description
    if field.examples:
        yield ""
        yield f"Example: `{name}: {_shorten_value(to_plain(field.examples[0]))}`"


def _shorten_value(value: Any) -> str:
    return _shorten_text(format_value(value))


def _shorten_text(text: str) -> str:
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[:_MAX_VALUE_LENGTH]}…"


def describe_class(cls: Any) -> Iterator[str]:
    """Yield what the catalogue shows of a type: its summary, its shapes and its arguments."""
    if issubclass(cls, (Layer, FeatureSpace)):
        page = layer_json(cls)
        yield f"**{page['type']}** ({page['family']})"
        yield ""
        yield page["summary"]
        yield ""
        yield page["shapes"] or f"Input: {page['takes']}."
        yield ""
        yield from _list_arguments(
            [(one["name"], one["default"], one["required"], one["description"]) for one in page["arguments"]]
        )
        return
    title = cls.type_name() if hasattr(cls, "type_name") else cls.title()
    yield f"**{title}**"
    yield ""
    yield layer_summary(cls)
    yield ""
    yield from _list_arguments(
        [
            (
                name,
                None if field.is_required() else to_plain(field.get_default(call_default_factory=True)),
                field.is_required(),
                field.description,
            )
            for name, field in cls.model_fields.items()
        ]
    )


def _list_arguments(arguments: Sequence[tuple[str, Any, bool, str | None]]) -> Iterator[str]:
    for name, default, is_required, description in arguments[:_MAX_LINES]:
        shown = "required" if is_required else f"`{_shorten_value(default)}`"
        yield f"- `{name}` ({shown}): {description or ''}".rstrip(": ")
    if len(arguments) > _MAX_LINES:
        yield f"- and {len(arguments) - _MAX_LINES} more"


def _describe_entry(analysis: Analysis, path: KeyPath) -> Iterator[str]:
    """Yield what is known about an entry: its shapes and arithmetic, then the page of its type."""
    tree = analysis.tree
    node = tree.find(path) if tree is not None else None
    if node is None:
        return
    rows = analysis.rows_by_place.get((node.mark.line, node.mark.column), [])
    is_block = isinstance(node.value, dict) and "block" in node.value
    if is_block and isinstance(node.value, dict):
        yield from _describe_block_use(str(node.value["block"].value), rows)
        return
    for row in rows[-1:]:
        yield from describe_row(row, uses=len(rows))
        yield ""
    cls = resolve_class(Place(role="entry"), node)
    if cls is not None:
        yield from describe_class(cls)
    else:
        yield from _describe_definition(node)


def _find_definition(node: YamlNode | None) -> Definition | None:
    """Return the class or function in custom code that a type, or the type of a component, names."""
    named = node.find(("type",)) if node is not None and isinstance(node.value, dict) else node
    return find_definition(named.mark.source.directory, named.value) if named is not None else None


def _describe_definition(node: YamlNode) -> Iterator[str]:
    """Yield what the source of a class or function in custom code declares."""
    definition = _find_definition(node)
    if definition is None:
        return
    yield f"**{definition.name}** (custom code)"
    yield ""
    if definition.summary:
        yield escape_markdown(definition.summary)
        yield ""
    for name, default in list((definition.arguments or {}).items())[:_MAX_LINES]:
        yield f"- `{name}` ({'required' if default is None else f'`{_shorten_text(default)}`'})"


def describe_row(row: NodeShapes, uses: int = 1) -> Iterator[str]:
    """Yield the input, the output, the parameters with their arithmetic and the FLOPs of a layer."""
    explanation = explain_layer(row)
    inputs = join_words([format_shape(x.shape) if x is not None else "?" for x in row.inputs]) or "?"
    outputs = join_words([format_shape(x.shape) for x in row.outputs]) or "?"
    yield f"`{row.node.name}`: {inputs} → **{outputs}**" + (f", the last of {uses} uses" if uses > 1 else "")
    yield ""
    for line in explanation.shape:
        if line != "unchanged":
            yield f"- {line}"
    yield f"- parameters: {explanation.parameters}" + (
        f" ({explanation.weights})" if explanation.weights else ""
    )
    yield f"- FLOPs for one example: {format_count(row.flops)}"


def _describe_block_use(name: str, rows: Sequence[NodeShapes]) -> Iterator[str]:
    yield from _describe_rows(f"Block `{name}`", rows)


def _describe_rows(title: str, rows: Sequence[NodeShapes]) -> Iterator[str]:
    """Yield the number of layers, the parameters and the shapes of a block's layers."""
    count = [row.parameters for row in rows]
    total = None if None in count else sum(each or 0 for each in count)
    yield f"{title}: {len(rows)} layers, {format_count(total)} parameters"
    yield ""
    for row in rows[:_MAX_LINES]:
        outputs = join_words([format_shape(x.shape) for x in row.outputs]) or "?"
        yield f"- `{row.node.name}` {row.node.type_name} → {outputs}"
    if len(rows) > _MAX_LINES:
        yield f"- and {len(rows) - _MAX_LINES} more"


def _describe_block(analysis: Analysis, name: str) -> Iterator[str]:
    written = analysis.result.written or analysis.tree
    block = parse_blocks(written, []).get(name) if written is not None else None
    if block is None:
        return
    count = len(block.layers)
    yield f"Block `{name}`: {'1 entry' if count == 1 else f'{count} entries'}"
    for parameter, default in block.params.items():
        shown = "required" if default is None else f"`{_shorten_value(default.to_plain())}`"
        yield f"- `{parameter}` ({shown})"


def _describe_named_layer(analysis: Analysis, name: str) -> Iterator[str]:
    shapes = analysis.result.shapes
    bare_name = name.partition(":")[0]
    if shapes is None:
        return
    # A repeated block named `body` inserts `body_1.dense`, `body_2.dense`, and so on.
    uses = (re.compile(re.escape(bare_name) + number) for number in (r"\.", r"_\d+\."))
    found = ([row for row in shapes.rows if use.match(row.node.name)] for use in uses)
    inserted: list[NodeShapes] = next(filter(None, found), [])
    if bare_name in shapes.by_name:
        yield from describe_row(shapes.by_name[bare_name])
    elif inserted:
        yield from _describe_rows(f"Block use `{bare_name}`", inserted)
    elif bare_name in shapes.graph.inputs:
        yield f"Model input `{bare_name}`: {format_shape(shapes.graph.inputs[bare_name].shape)}"


def _describe_reference(analysis: Analysis, name: str, path: KeyPath) -> Iterator[str]:
    """Yield the value and the origin of a variable, or of a parameter of the block around it."""
    written = analysis.result.written or analysis.tree
    if written is None:
        return
    if path[:1] == ("blocks",) and len(path) > 1:
        block = parse_blocks(written, []).get(str(path[1]))
        if block is not None and name in block.params:
            default = block.params[name]
            shown = "no default" if default is None else f"default `{_shorten_value(default.to_plain())}`"
            yield f"`${{{name}}}`: parameter of the block `{block.name}`, {shown}."
            return
    node = written.find((VARS_KEY, name))
    if node is None:
        return
    value = to_flow_yaml(node.to_plain())[:_MAX_VALUE_LENGTH]
    assert analysis.tree is not None
    yield f"`${{{name}}}` = `{value}`"
    yield ""
    yield f"Variable, declared at {describe_position(written.find_mark((VARS_KEY, name), key=True), analysis.tree.mark)}."

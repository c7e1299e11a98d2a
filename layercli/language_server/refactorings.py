"""Changes that keep the meaning of a config: extract and inline a block, write out defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from layercli.check import CheckResult, ValidConfig, check_config, require_valid
from layercli.config.language.blocks import BLOCKS_KEY
from layercli.config.model import LAYERS_PATH
from layercli.errors import LayercliError
from layercli.language_server.analysis import Analysis, parse_text
from layercli.language_server.check_budget import CheckBudget
from layercli.language_server.hover import find_entry_path
from layercli.language_server.places import Place, find_path, find_place, resolve_class
from layercli.schema.strict_model import to_plain
from layercli.source.dump import to_flow_yaml
from layercli.source.nodes import KeyPath, YamlNode
from layercli.source.text_edits import find_entry_lines, replace_entries, set_key
from layercli.source.text_index import TextIndex


def list_refactorings(
    analysis: Analysis, start: int, end: int, budget: CheckBudget
) -> Iterator[tuple[str, str, str]]:
    """Yield the kind and the title of each change of the selected text, and the text after it."""
    tree = analysis.tree
    if tree is None or not analysis.result.ok:
        return
    before = analysis.result
    candidates: list[tuple[str, str, Callable[[], str | None]]] = [
        ("refactor.extract", "Extract to a block", lambda: _extract_block(analysis, tree, start, end)),
        ("refactor.inline", "Inline the block", lambda: _inline_block(analysis, tree, start)),
        ("refactor.rewrite", "Write out defaults", lambda: _write_defaults(analysis, tree, start, budget)),
    ]
    for kind, title, make_text in candidates:
        budget.require_time()
        text = make_text()
        if text is None or text == analysis.index.text:
            continue
        budget.require_time()
        if keeps_meaning(before, analysis.name, text):
            yield kind, title, text


def keeps_meaning(before: CheckResult, name: str, text: str) -> bool:
    """Return whether a text declares the same model, data and training; names of layers may differ."""
    try:
        old, new = require_valid(before), require_valid(check_config(name, text=text))
    except LayercliError:
        return False
    return bool(_resolve_without_names(old) == _resolve_without_names(new))


def _resolve_without_names(valid: ValidConfig) -> Any:
    document = valid.to_resolved_dict()
    model = document.pop("model")
    graph = valid.graph
    numbers = {
        name: number for number, name in enumerate([*graph.inputs, *(node.name for node in graph.nodes)])
    }
    nodes = [
        (
            node.layer.to_plain(),
            [numbers[name] for name in node.inputs],
            node.input_indices,
            node.input_keys,
            None if node.reuse_of is None else numbers[node.reuse_of],
        )
        for node in graph.nodes
    ]
    outputs = [numbers[name] for name in graph.outputs], graph.output_indices
    rest = {key: value for key, value in model.items() if key not in ("layers", "outputs", "freeze")}
    return document, rest, nodes, outputs


def _extract_block(analysis: Analysis, tree: YamlNode, start: int, end: int) -> str | None:
    """Return the text with the selected entries of the model in a new block."""
    paths = [
        find_entry_path(find_path(analysis.index, tree, offset)[0]) for offset in (start, max(start, end - 1))
    ]
    if paths[0] is None or paths[1] is None or paths[0][:-1] != LAYERS_PATH or paths[1][:-1] != LAYERS_PATH:
        return None
    first, last = int(paths[0][-1]), int(paths[1][-1])
    index = analysis.index
    lines = find_entry_lines(index, tree, LAYERS_PATH, first, last)
    if lines is None:
        return None
    name = _choose_name(tree)
    body = [line[len(lines[2]) :] for line in index.text[lines[0] : lines[1]].splitlines()]
    new = replace_entries(index, tree, LAYERS_PATH, first, last, [f"{{block: {name}}}"])
    blocks = tree.find((BLOCKS_KEY,))
    declared = "".join(f"      {line}\n" if line.strip() else "\n" for line in body)
    block = f"  {name}:\n    layers:\n{declared}"
    if new is None or "\r" in new:
        return None
    if blocks is None:
        place = index.offset_of(tree.keys["model"].line, 1)
        return f"{new[:place]}blocks:\n{block}\n{new[place:]}" if place <= lines[0] else None
    if not blocks.children or index.has_brackets(blocks):
        return None
    column = blocks.mark.column - 1
    place = index.line_end(index.yaml_position(index.node_span(blocks)[1])[0])
    if place > lines[0] or blocks.mark.source is not tree.mark.source:
        return None
    shifted = "\n".join(" " * (column - 2) + line if line else "" for line in block.rstrip("\n").split("\n"))
    return f"{new[:place]}\n{shifted}{new[place:]}" if column >= 2 else None


def _choose_name(tree: YamlNode) -> str:
    blocks = tree.find((BLOCKS_KEY,))
    known = {str(step) for step, _ in blocks.children} if blocks is not None else set()
    return next(name for number in range(1, 10_000) if (name := f"block_{number}") not in known)


def _inline_block(analysis: Analysis, tree: YamlNode, offset: int) -> str | None:
    """Return the text with the layers of a block in place of the entry that uses it."""
    path = find_entry_path(find_path(analysis.index, tree, offset)[0])
    node = tree.find(path) if path is not None else None
    document = analysis.result.document
    if path is None or path[:-1] != LAYERS_PATH or node is None or document is None:
        return None
    if not isinstance(node.value, dict) or "block" not in node.value:
        return None
    rows = analysis.rows_by_place.get((node.mark.line, node.mark.column), [])
    entries = [document.find(row.node.path) for row in rows]
    plain = [entry.to_plain() for entry in entries if entry is not None]
    shown = [
        to_flow_yaml(
            {**_in_order(value), "name": row.node.name}
            if isinstance(value, dict)
            else {"type": value, "name": row.node.name}
        )
        for value, row in zip(plain, rows, strict=True)
    ]
    return replace_entries(analysis.index, tree, LAYERS_PATH, int(path[-1]), int(path[-1]), shown)


def _in_order(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry with its type and name first."""
    return {key: entry[key] for key in sorted(entry, key=lambda key: key not in ("type", "reuse"))}


def _write_defaults(analysis: Analysis, tree: YamlNode, offset: int, budget: CheckBudget) -> str | None:
    """Return the text with every default of the component or section at an offset."""
    path, _ = find_path(analysis.index, tree, offset)
    target: KeyPath | None = find_entry_path(path)
    place = Place(role="entry")
    if target is None:
        for length in range(len(path), 0, -1):
            place = find_place(tree, path[:length])
            if not place.is_type and resolve_class(place, tree.find(path[:length])) is not None:
                target = path[:length]
                break
    node = tree.find(target) if target is not None else None
    cls = resolve_class(place, node) if node is not None else None
    if target is None or node is None or cls is None:
        return None
    given = set(node.value) if isinstance(node.value, dict) else set()
    text = analysis.index.text
    for name, field in cls.model_fields.items():
        if name in given or field.is_required():
            continue
        budget.require_time()
        value = to_plain(field.get_default(call_default_factory=True))
        current = parse_text(analysis.document.path, text)
        new = (
            set_key(TextIndex(text), current, target, name, to_flow_yaml(value))
            if current is not None
            else None
        )
        if new is None:
            return None
        text = new
    return text

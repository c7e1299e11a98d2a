"""Changes that the hints of problems ask for: insert a layer, set an argument, use another loss."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from layercli.config.model import LAYERS_PATH
from layercli.errors import Problem
from layercli.language_server.analysis import Analysis, parse_text
from layercli.language_server.column_and_file_names import list_columns, list_file_names
from layercli.language_server.hover import find_entry_path
from layercli.language_server.links import find_target
from layercli.language_server.places import find_path, find_place
from layercli.schema.flow_style import format_value
from layercli.schema.suggestions import find_closest
from layercli.source.nodes import KeyPath
from layercli.source.text_edits import insert_entry, remove_key, set_key
from layercli.source.text_index import TextIndex

_WORD: Final = re.compile(r"[\w.-]+")
_PUT: Final = re.compile(r"\b[Pp]ut (?P<entry>\{type: [^}]*\}|[A-Z]\w+)(?: or [^.,]*?)? before ")
_SET: Final = re.compile(
    r"\b(?:[Ss]et|[Aa]dd|[Uu]se|[Ww]rite|with|and|or) `(?P<key>[a-z_]+): (?P<value>[^`]+)`"
    r"(?=(?P<after>[^`]*(?:`[^`]+`)?))"
)
_REMOVE: Final = re.compile(r"\b[Rr]emove `(?P<key>[a-z_]+)`(?=(?P<after>[^`]*(?:`[^`]+`)?))")
_DECLARE: Final = re.compile(r"`model\.input: (?P<value>\[[^`]*\])`")
_MEANT: Final = re.compile(r"Did you mean `(?P<word>[^`]+)`")
_VALID_NAMES: Final = re.compile(r"(?:Valid names:|It logs|The outputs are) (?P<names>`.*`)\.")
_QUOTED: Final = re.compile(r"`([^`]+)`")
_QUOTED_WORD: Final = re.compile(r"[`\"]([\w.-]{1,100})[`\"]")
_NAMED_LAYER: Final = re.compile(r"\bon `(?P<name>[^`]+)`")
_UNKNOWN_SIZE: Final = re.compile(r"\bN\b")
"""A letter for a number that only the data determines."""
_TRAIN_KEYS: Final = frozenset({"loss", "metrics", "optimizer", "batch_size", "class_weight"})


def suggest_texts(analysis: Analysis, problem: Problem) -> Iterator[tuple[str, str]]:
    """Yield the title of each change that a hint asks for, and the text after it. They are not verified."""
    hint, tree = str(problem.hint or ""), analysis.tree
    path = _find_problem_path(analysis, problem)
    if tree is None or path is None:
        return
    entry_path = find_entry_path(path)
    put = _PUT.search(hint)
    if put is not None:
        target = entry_path or _find_last_entry(analysis)
        new = insert_entry(analysis.index, tree, target, put["entry"]) if target is not None else None
        if new is not None:
            yield f"Insert {put['entry']} before this layer", new
    declared = _DECLARE.search(hint)
    if declared is not None:
        new = set_key(analysis.index, tree, ("model",), "input", declared["value"])
        if new is not None:
            yield f"Declare `input: {declared['value']}`", new
    meant = _MEANT.match(hint)
    if meant is not None:
        yield from ((hint, new) for new in _replace_word(analysis, problem, path, meant["word"]))
    valid = _VALID_NAMES.match(hint)
    if valid is not None:
        yield from _suggest_closest_name(analysis, problem, path, _QUOTED.findall(valid["names"]))
    yield from _suggest_settings(analysis, hint, path, entry_path)
    for found in _REMOVE.finditer(hint):
        for mapping in _list_targets(analysis, found["key"], found["after"], path, entry_path):
            removed = remove_key(analysis.index, tree, mapping, found["key"])
            if removed is not None:
                yield f"Remove `{found['key']}`", removed
                break


def _replace_word(
    analysis: Analysis, problem: Problem, path: KeyPath, word: str, old_word: str | None = None
) -> Iterator[str]:
    """Yield the text with another key or value at a problem, or with another word inside of it.

    Args:
        analysis: The text.
        problem: The problem.
        path: The path of the key or value.
        word: The new word.
        old_word: The word to replace; None for each word that the message quotes, and for the whole key or value.
    """
    text, tree = analysis.index.text, analysis.tree
    start = analysis.index.offset_of(problem.line or 1, problem.column or 1)
    node = tree.find(path) if tree is not None else None
    old = _WORD.match(text, start)
    end = analysis.index.node_span(node)[1] if node is not None else start
    for quoted in _QUOTED_WORD.findall(problem.message) if old_word is None else (old_word,):
        found = list(re.finditer(rf"(?<![\w-]){re.escape(quoted)}(?![\w-])", text[start:end]))
        if len(found) == 1:
            yield text[: start + found[0].start()] + word + text[start + found[0].end() :]
    is_whole = old is not None and node is not None and old[0] in (str(path[-1]) if path else "", node.value)
    if old is not None and is_whole and old_word is None:
        yield text[:start] + word + text[old.end() :]


def _suggest_closest_name(
    analysis: Analysis, problem: Problem, path: KeyPath, names: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield the replacement of the word that a message quotes by the closest of the names that its hint lists."""
    for word in _QUOTED_WORD.findall(problem.message):
        closest = find_closest(word, names)
        if closest is not None:
            title = f"Did you mean `{closest}`?"
            yield from ((title, new) for new in _replace_word(analysis, problem, path, closest, word))


def suggest_names(analysis: Analysis, offset: int) -> Iterator[tuple[str, str]]:
    """Yield the correct spelling of a column or file name at an offset, which only the disk knows."""
    tree = analysis.tree
    path, part = find_path(analysis.index, tree, offset)
    if tree is None or part == "around":
        return
    node, role = tree.find(path), find_place(tree, path).role
    if node is None or not isinstance(node.value, str) or role not in ("column", "path"):
        return
    if role == "column":
        names = list_columns(analysis.result.written or tree)
    else:
        target = find_target(analysis, path)
        is_missing = target is not None and not target.exists()
        names = list_file_names(analysis.document.path, node.value) if is_missing else []
    closest = find_closest(node.value, names) if node.value not in names else None
    if closest is not None and closest.rstrip("/") != node.value.rstrip("/"):
        start, end = analysis.index.node_span(node)
        text = analysis.index.text
        yield f"Did you mean `{closest}`?", text[:start] + format_value(closest) + text[end:]


def _suggest_settings(
    analysis: Analysis, hint: str, path: KeyPath, entry_path: KeyPath | None
) -> Iterator[tuple[str, str]]:
    """Yield the changes of keys that a hint lists: each by itself, and all together."""
    settings = [found for found in _SET.finditer(hint) if not _UNKNOWN_SIZE.search(found["value"])]
    for group in [*([found] for found in settings), *([settings] if len(settings) > 1 else [])]:
        text: str | None = analysis.index.text
        for found in group:
            text = None if text is None else _set_in_text(analysis, text, found, path, entry_path)
        if text is not None:
            titles = [f"`{found['key']}: {found['value']}`" for found in group]
            yield f"Set {' and '.join(titles)}", text


def _set_in_text(
    analysis: Analysis, text: str, found: re.Match[str], path: KeyPath, entry_path: KeyPath | None
) -> str | None:
    """Return a text with the key set that a part of a hint names; None without a mapping for it."""
    tree = parse_text(analysis.document.path, text)
    if tree is None:
        return None
    targets = _list_targets(analysis, found["key"], found["after"], path, entry_path)
    texts = (set_key(TextIndex(text), tree, target, found["key"], found["value"]) for target in targets)
    return next((new for new in texts if new is not None), None)


def _list_targets(
    analysis: Analysis, key: str, after: str, path: KeyPath, entry_path: KeyPath | None
) -> Iterator[KeyPath]:
    """Yield the mappings that a hint about a key can mean, the most likely first."""
    named = _NAMED_LAYER.search(after)
    if named is not None:
        found = _find_layer(analysis, named["name"])
        if found is not None:
            yield found
            return
    if "last layer" in after or key in ("units", "activation", "filters"):
        last = _find_last_entry(analysis)
        if last is not None and entry_path is None:
            yield last
    if key in _TRAIN_KEYS:
        yield ("train",)
    elif "under `data" in after:
        yield ("data",)
    if entry_path is not None:
        yield entry_path
    yield path
    yield path[:-1]


def _find_problem_path(analysis: Analysis, problem: Problem) -> KeyPath | None:
    """Return the path of a problem in the text; None if it is in another file."""
    if (
        problem.file != analysis.name
        or problem.line is None
        or problem.column is None
        or analysis.tree is None
    ):
        return None
    offset = analysis.index.offset_of(problem.line, problem.column)
    return find_path(analysis.index, analysis.tree, offset)[0]


def _find_last_entry(analysis: Analysis) -> KeyPath | None:
    layers = analysis.tree.find(LAYERS_PATH) if analysis.tree is not None else None
    return (*LAYERS_PATH, len(layers.children) - 1) if layers is not None and layers.children else None


def _find_layer(analysis: Analysis, name: str) -> KeyPath | None:
    """Return the path of the entry that declares a layer."""
    for row, marks in analysis.iterate_rows():
        if row.node.name == name and analysis.contains(marks[-1]) and analysis.tree is not None:
            return find_entry_path(
                find_path(analysis.index, analysis.tree, analysis.index.mark_offset(marks[-1]))[0]
            )
    return None

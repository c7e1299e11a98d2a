"""``extends: base.yaml``: deep merge of a config over the file it extends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from layercli.errors import LayercliError
from layercli.io.paths import describe_missing_file
from layercli.source.load import MAX_NODES, STDIN, find_unsaved_text, load_yaml
from layercli.source.nodes import (
    YamlNode,
    measure_nodes,
    normalize_type_name,
    problem_at,
    quote_value,
    sanitize_text,
)
from layercli.source.syntax import MAX_DEPTH

EXTENDS: Final = "extends"
_MAX_FILES = 10
_SUFFIXES = (".yaml", ".yml")


def load_extended(name: str, text: str | None = None) -> YamlNode:
    """Read the config at ``name`` (``-`` is standard input), or ``text`` in its place, merged over the files it extends.

    Raises:
        LayercliError: a file cannot be read, is not a mapping, or extends itself.
    """
    return _load_chain(name, [], MAX_NODES, text)


def _load_chain(
    name: str, chain: list[tuple[Path, str]], max_nodes: int, text: str | None = None
) -> YamlNode:
    """Return the config merged over the files it extends, with at most ``max_nodes`` values."""
    own = load_yaml(name, text)
    assert isinstance(own.value, dict)
    extends_node = own.value.get(EXTENDS)
    shown_name = own.mark.source.name
    chain = [*chain, (Path(name).resolve() if name != STDIN else Path(), shown_name)]
    if own.size > max_nodes:  # before the next file is read
        message = f"The chain of extended files has more than {MAX_NODES:,} values in total."
        raise _extends_error(extends_node or own, message, "Extend a smaller file.", code="too-many-nodes")
    if extends_node is None:
        return own
    base = _load_chain(_find_base(own, extends_node, chain), chain, max_nodes - own.size)
    merged = _merge_nodes(base, own, f"{shown_name} extends this file (line {extends_node.mark.line}).")
    assert isinstance(merged.value, dict)
    del merged.value[EXTENDS]
    return merged


def _find_base(own: YamlNode, extends_node: YamlNode, chain: list[tuple[Path, str]]) -> str:
    """Return the path of the file that a config extends, relative to the working directory.

    Raises:
        LayercliError: ``extends`` is invalid.
    """
    example = "For example `extends: base.yaml`, a file in the same directory."
    if not isinstance(extends_node.value, str) or not extends_node.value:
        raise _extends_error(
            extends_node,
            f"`extends` must be a file name, got {quote_value(extends_node.to_plain())}.",
            example,
        )
    if "${" in extends_node.value:
        message = "`extends` cannot contain variables, since it is read before them."
        raise _extends_error(extends_node, message, "Write the file name without `${...}`.")
    source = own.mark.source
    path = source.directory / extends_node.value
    base_name = (
        str(Path(source.name).parent / extends_node.value) if len(chain[-1][0].parts) else extends_node.value
    )
    shown = sanitize_text(base_name, limit=100)
    if path.suffix not in _SUFFIXES:
        message = (
            f"`extends` must be a file that ends in .yaml or .yml, got {quote_value(extends_node.value)}."
        )
        raise _extends_error(extends_node, message, example)
    reason = None if find_unsaved_text(path) is not None else describe_missing_file(path)
    if reason is not None:
        hint = "Check the name; it is relative to this file."
        raise _extends_error(extends_node, f"The extended file {shown} {reason}.", hint)
    loaded_paths = [loaded_path for loaded_path, _ in chain]
    if path.resolve() in loaded_paths:
        cycle = [name for _, name in chain[loaded_paths.index(path.resolve()) :]]
        message = f"These files extend each other in a circle: {' -> '.join([*cycle, cycle[0]])}."
        raise _extends_error(
            extends_node, message, "Remove `extends` from one of them.", code="extends-cycle"
        )
    if len(chain) >= _MAX_FILES:
        message = f"The chain of extended files has more than {_MAX_FILES} files."
        raise _extends_error(extends_node, message, "Merge some of them.")
    return base_name


def _merge_nodes(base: YamlNode, own: YamlNode, via: str) -> YamlNode:
    """Merge mappings and replace other values; nodes from ``base`` get the sentence ``via``."""
    base_mapping = _as_mapping(base) if isinstance(own.value, dict) else base
    if (
        not isinstance(base_mapping.value, dict)
        or not isinstance(own.value, dict)
        or _has_other_type(base_mapping, own)
    ):
        return own
    value = {
        key: _merge_nodes(child, own.value[key], via) if key in own.value else _mark_inherited(child, via)
        for key, child in base_mapping.value.items()
    }
    value |= {key: child for key, child in own.value.items() if key not in value}
    size, depth = measure_nodes(value.values())
    assert depth <= MAX_DEPTH
    return YamlNode(value, own.mark, base_mapping.keys | own.keys, size, depth, via=own.via)


def _as_mapping(node: YamlNode) -> YamlNode:
    """Return ``{type: name}`` for a bare name, so that arguments can be added."""
    if not isinstance(node.value, str):
        return node
    return YamlNode({"type": node}, node.mark, {"type": node.mark}, 2, 1)


def _has_other_type(base: YamlNode, own: YamlNode) -> bool:
    """Return whether the two mappings have different values of ``type`` and so different arguments."""
    types = [node.value.get("type") if isinstance(node.value, dict) else None for node in (base, own)]
    names = [node.value for node in types if node is not None and isinstance(node.value, str)]
    return len(names) == 2 and normalize_type_name(names[0]) != normalize_type_name(names[1])


def _mark_inherited(node: YamlNode, via: str) -> YamlNode:
    return node if node.via is not None else replace(node, via=via)


def _extends_error(node: YamlNode, message: str, hint: str, *, code: str = "bad-extends") -> LayercliError:
    return LayercliError(problem_at(node.mark, code, message, hint=hint, path=(EXTENDS,)))

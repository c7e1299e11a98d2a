"""``extends: base.yaml``: a config over the one that it extends, merged deeply."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from layercli.errors import LayercliError
from layercli.source.load import MAX_DEPTH, MAX_NODES, STDIN, load_yaml
from layercli.source.nodes import YamlNode, normalize_type_name, problem_at, quote_value, sanitize_text

EXTENDS: Final = "extends"
_MAX_FILES = 10
_SUFFIXES = (".yaml", ".yml")


def load_extended(name: str, text: str | None = None) -> YamlNode:
    """The config at ``name`` (``-`` is standard input), or ``text`` in its place, over all that it extends.

    Raises:
        LayercliError: one of the files cannot be read, is no mapping, or extends itself.
    """
    return _load_chain(name, [], MAX_NODES, text)


def _load_chain(
    name: str, chain: list[tuple[Path, str]], max_nodes: int, text: str | None = None
) -> YamlNode:
    """The config over all that it extends, of at most ``room`` values."""
    own = load_yaml(name, text)
    assert isinstance(own.value, dict)
    extends_node = own.value.get(EXTENDS)
    shown_name = own.mark.source.name
    chain = [*chain, (Path(name).resolve() if name != STDIN else Path(), shown_name)]
    if own.size > max_nodes:  # before another file is read
        message = f"The files that extend one another have more than {MAX_NODES:,} values."
        raise _extends_error(extends_node or own, message, "Extend a smaller one.", code="too-many-nodes")
    if extends_node is None:
        return own
    base = _load_chain(_find_base(own, extends_node, chain), chain, max_nodes - own.size)
    merged = _merge_nodes(base, own, f"{shown_name} extends this file (line {extends_node.mark.line}).")
    assert isinstance(merged.value, dict)
    del merged.value[EXTENDS]
    return merged


def _find_base(own: YamlNode, extends_node: YamlNode, chain: list[tuple[Path, str]]) -> str:
    """The file that a config extends, as it is named from here.

    Raises:
        LayercliError: it cannot be extended.
    """
    example = "For example `extends: base.yaml`, a file beside this one."
    if not isinstance(extends_node.value, str) or not extends_node.value:
        raise _extends_error(
            extends_node,
            f"`extends` is {quote_value(extends_node.to_plain())}; it must be the name of a file.",
            example,
        )
    if "${" in extends_node.value:
        message = "`extends` is read before variables are known."
        raise _extends_error(extends_node, message, "Write the name of the file out.")
    source = own.mark.source
    path = source.directory / extends_node.value
    base_name = (
        str(Path(source.name).parent / extends_node.value) if len(chain[-1][0].parts) else extends_node.value
    )
    shown = sanitize_text(base_name, limit=100)
    if path.suffix not in _SUFFIXES:
        message = (
            f"`extends` is {quote_value(extends_node.value)}; a config is a file that ends in .yaml or .yml."
        )
        raise _extends_error(extends_node, message, example)
    try:
        is_regular, exists = path.is_file(), path.exists()
    except (OSError, ValueError):  # a name too long, or with a character that no name has
        is_regular = exists = False
    if not is_regular:
        what = "is no regular file" if exists else "does not exist"
        hint = "Check the name; it is relative to the file in which it stands."
        raise _extends_error(extends_node, f"{shown}, which this file extends, {what}.", hint)
    loaded_paths = [place for place, _ in chain]
    if path.resolve() in loaded_paths:
        cycle = [name for _, name in chain[loaded_paths.index(path.resolve()) :]]
        message = f"These files extend each other in a circle: {' -> '.join([*cycle, cycle[0]])}."
        raise _extends_error(extends_node, message, "Remove one `extends` of them.", code="extends-cycle")
    if len(chain) >= _MAX_FILES:
        message = f"More than {_MAX_FILES} files extend one another."
        raise _extends_error(extends_node, message, "Merge some of them.")
    return base_name


def _merge_nodes(base: YamlNode, own: YamlNode, via: str) -> YamlNode:
    """Mappings merge, all else replaces; what comes from ``base`` says ``through`` what."""
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
    size = 1 + sum(child.size for child in value.values())
    depth = 1 + max((child.depth for child in value.values()), default=0)
    assert depth <= MAX_DEPTH
    return YamlNode(value, own.mark, base_mapping.keys | own.keys, size, depth, via=own.via)


def _as_mapping(node: YamlNode) -> YamlNode:
    """A bare name stands for ``{type: name}``, so that arguments can be added to it."""
    if not isinstance(node.value, str):
        return node
    return YamlNode({"type": node}, node.mark, {"type": node.mark}, 2, 1)


def _has_other_type(base: YamlNode, own: YamlNode) -> bool:
    """Whether the two declare things of different types, whose arguments have nothing to do with each other."""
    types = [node.value.get("type") if isinstance(node.value, dict) else None for node in (base, own)]
    names = [node.value for node in types if node is not None and isinstance(node.value, str)]
    return len(names) == 2 and normalize_type_name(names[0]) != normalize_type_name(names[1])


def _mark_inherited(node: YamlNode, via: str) -> YamlNode:
    return node if node.via is not None else replace(node, via=via)


def _extends_error(node: YamlNode, message: str, hint: str, *, code: str = "bad-extends") -> LayercliError:
    return LayercliError(problem_at(node.mark, code, message, hint=hint, path=(EXTENDS,)))

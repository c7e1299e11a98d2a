"""``extends: base.yaml``: a config over the one that it extends, merged deeply."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from layercli.errors import LayercliError
from layercli.source.load import MAX_DEPTH, MAX_NODES, STDIN, load
from layercli.source.nodes import Node, fold, printable, problem_at, quoted

EXTENDS: Final = "extends"
_MOST_FILES = 10
_SUFFIXES = (".yaml", ".yml")


def read(name: str, text: str | None = None) -> Node:
    """The config at ``name`` (``-`` is standard input), or ``text`` in its place, over all that it extends.

    Raises:
        LayercliError: one of the files cannot be read, is no mapping, or extends itself.
    """
    return _read(name, [], MAX_NODES, text)


def _read(name: str, chain: list[tuple[Path, str]], room: int, text: str | None = None) -> Node:
    """The config over all that it extends, of at most ``room`` values."""
    own = load(name, text)
    assert isinstance(own.value, dict)
    named = own.value.get(EXTENDS)
    shown = own.mark.source.name
    chain = [*chain, (Path(name).resolve() if name != STDIN else Path(), shown)]
    if own.size > room:  # before another file is read
        message = f"The files that extend one another have more than {MAX_NODES:,} values."
        raise _refusal(named or own, message, "Extend a smaller one.", code="too-many-nodes")
    if named is None:
        return own
    base = _read(_base_of(own, named, chain), chain, room - own.size)
    merged = _merged(base, own, f"{shown} extends this file (line {named.mark.line}).")
    assert isinstance(merged.value, dict)
    del merged.value[EXTENDS]
    return merged


def _base_of(own: Node, named: Node, chain: list[tuple[Path, str]]) -> str:
    """The file that a config extends, as it is named from here.

    Raises:
        LayercliError: it cannot be extended.
    """
    example = "For example `extends: base.yaml`, a file beside this one."
    if not isinstance(named.value, str) or not named.value:
        raise _refusal(
            named, f"`extends` is {quoted(named.plain())}; it must be the name of a file.", example
        )
    if "${" in named.value:
        message = "`extends` is read before variables are known."
        raise _refusal(named, message, "Write the name of the file out.")
    source = own.mark.source
    path = source.directory / named.value
    beside = str(Path(source.name).parent / named.value) if len(chain[-1][0].parts) else named.value
    shown = printable(beside, limit=100)
    if path.suffix not in _SUFFIXES:
        message = f"`extends` is {quoted(named.value)}; a config is a file that ends in .yaml or .yml."
        raise _refusal(named, message, example)
    try:
        regular, exists = path.is_file(), path.exists()
    except (OSError, ValueError):  # a name too long, or with a character that no name has
        regular = exists = False
    if not regular:
        what = "is no regular file" if exists else "does not exist"
        hint = "Check the name; it is relative to the file in which it stands."
        raise _refusal(named, f"{shown}, which this file extends, {what}.", hint)
    known = [place for place, _ in chain]
    if path.resolve() in known:
        circle = [name for _, name in chain[known.index(path.resolve()) :]]
        message = f"These files extend each other in a circle: {' -> '.join([*circle, circle[0]])}."
        raise _refusal(named, message, "Remove one `extends` of them.", code="extends-cycle")
    if len(chain) >= _MOST_FILES:
        message = f"More than {_MOST_FILES} files extend one another."
        raise _refusal(named, message, "Merge some of them.")
    return beside


def _merged(base: Node, own: Node, through: str) -> Node:
    """Mappings merge, all else replaces; what comes from ``base`` says ``through`` what."""
    below = _as_mapping(base) if isinstance(own.value, dict) else base
    if not isinstance(below.value, dict) or not isinstance(own.value, dict) or _other_type(below, own):
        return own
    value = {key: _merged(child, own.value[key], through) if key in own.value else _carried(child, through)
             for key, child in below.value.items()}  # fmt: skip
    value |= {key: child for key, child in own.value.items() if key not in value}
    size = 1 + sum(child.size for child in value.values())
    depth = 1 + max((child.depth for child in value.values()), default=0)
    assert depth <= MAX_DEPTH
    return Node(value, own.mark, below.keys | own.keys, size, depth, through=own.through)


def _as_mapping(node: Node) -> Node:
    """A bare name stands for ``{type: name}``, so that arguments can be added to it."""
    if not isinstance(node.value, str):
        return node
    return Node({"type": node}, node.mark, {"type": node.mark}, 2, 1)


def _other_type(base: Node, own: Node) -> bool:
    """Whether the two declare things of different types, whose arguments have nothing to do with each other."""
    types = [node.value.get("type") if isinstance(node.value, dict) else None for node in (base, own)]
    names = [node.value for node in types if node is not None and isinstance(node.value, str)]
    return len(names) == 2 and fold(names[0]) != fold(names[1])


def _carried(node: Node, through: str) -> Node:
    return node if node.through is not None else replace(node, through=through)


def _refusal(node: Node, message: str, hint: str, *, code: str = "bad-extends") -> LayercliError:
    return LayercliError(problem_at(node.mark, code, message, hint=hint, path=(EXTENDS,)))

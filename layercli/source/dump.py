"""Write plain values as YAML that reads back to the same values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml

from layercli.source.scalars import resolve_scalar


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return YAML from which the config reader reads the same values."""
    return "".join(_write_mapping(document, "")) if document else "{}\n"


_WIDTH = 110
"""Longest line, if the text can be folded."""
_PLAIN = re.compile(r"[A-Za-z_][\w./]*", re.ASCII)
"""Texts that no rule of YAML quotes, unless they are a word such as ``no``."""


def _write_mapping(mapping: Mapping[Any, Any], indent: str) -> Iterator[str]:
    """Yield the lines of a mapping. PyYAML, which is much slower, writes only values that need its rules."""
    for key, value in mapping.items():
        shown_key = _write_scalar(key) if isinstance(key, str) else None
        start = f"{indent}{shown_key}:"
        if shown_key is None:
            yield from _write_by_library({key: value}, indent)
        elif isinstance(value, dict) and value:
            yield f"{start}\n"
            yield from _write_mapping(value, f"{indent}  ")
        elif isinstance(value, list) and value and all(isinstance(item, dict) and item for item in value):
            yield f"{start}\n"
            for item in value:
                first, *others = _write_mapping(item, f"{indent}  ")
                yield f"{indent}- {first[len(indent) + 2 :]}"
                yield from others
        elif (shown := _write_flow(value, start, indent)) is not None:
            yield from shown
        else:
            yield from _write_by_library({key: value}, indent)


def _write_flow(value: Any, start: str, indent: str) -> list[str] | None:
    """Return the lines of a scalar or a list of scalars after ``start``; None if PyYAML must write it."""
    if not isinstance(value, list):
        shown = _write_scalar(value)
        fits = shown is not None and len(start) + len(shown) < _WIDTH - 4
        return [f"{start} {shown}\n"] if fits else None
    lines, width = [f"{start} ["], len(start) + 2
    for number, item in enumerate(value):
        shown = _write_scalar(item)
        if shown is None:
            return None
        if number:
            lines.append(",")
            width += 1
        if width > _WIDTH:
            lines.append(f"\n{indent}  ")
            width = len(indent) + 2
        elif number:
            lines.append(" ")
            width += 1
        lines.append(shown)
        width += len(shown)
    return ["".join([*lines, "]\n"])]


def _write_scalar(value: Any) -> str | None:
    """Return a scalar that needs no quotes; None if PyYAML must write it."""
    if isinstance(value, str):
        return value if _is_plain(value) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return (
        str(value)
        if isinstance(value, int)
        else _write_float(repr(value))
        if isinstance(value, float)
        else None
    )


@lru_cache(maxsize=10_000)
def _is_plain(text: str) -> bool:
    return len(text) < _WIDTH and _PLAIN.fullmatch(text) is not None and text.lower() not in _YAML_1_1_WORDS


_YAML_1_1_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@lru_cache(maxsize=10_000)
def _write_float(written: str) -> str:
    """Return a float, from Python's text of it, which distinguishes -0.0 from 0.0."""
    text: str = yaml.dump(float(written), Dumper=_Dumper)
    return text.split("\n", 1)[0]


def _write_by_library(value: Any, indent: str) -> Iterator[str]:
    """Yield the lines that PyYAML writes for a value at this indentation."""
    depth = len(indent) // 2
    for _ in range(depth):
        value = {"a": value}
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    yield from text.splitlines(keepends=True)[depth:]


class _Dumper(yaml.SafeDumper):
    """Writes lists of scalars on one line and quotes strings that YAML 1.2 would read as other types."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - a repeated value is written out each time
        return True


def _represent_list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    is_flat = all(not isinstance(value, (list, dict)) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=is_flat)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if _is_read_as_text(text) else "'"
    if any(end in text for end in _OTHER_LINE_ENDS):
        style = '"'  # the only style that keeps them, as escapes
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_OTHER_LINE_ENDS = ("\r", "\x85", "\u2028", "\u2029")


def _is_read_as_text(text: str) -> bool:
    """Return whether the config reader reads the unquoted text as a string."""
    try:
        return isinstance(resolve_scalar(text), str)
    except ValueError:
        return False


_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_text)


def to_flow_yaml(value: Any) -> str:
    """Return a value in YAML flow style, on one line."""
    text = yaml.dump(
        value, Dumper=_FlowDumper, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False
    )
    return _QUOTED_REFERENCE.sub(r'"\1"', text.removesuffix("\n").removesuffix("\n..."))


_QUOTED_REFERENCE = re.compile(r"'(\$\{\w+\})'")


class _FlowDumper(_Dumper):
    """Writes everything on one line, with numbers in Python's format."""


def _represent_flow_list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    text = repr(value)
    # PyYAML reads 1e-06 as a string and would tag it as a float; the config reader reads it as a number.
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in text else 'str'}", text)


_FlowDumper.add_representer(list, _represent_flow_list)
_FlowDumper.add_representer(float, _represent_float)

"""Write plain values as YAML that reads back to the same values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from layercli.source.scalars import resolve_scalar


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return YAML from which the config reader reads the same values."""
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


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

"""The picture of a model as text for Mermaid, which GitHub and GitLab draw."""

from __future__ import annotations

from html import escape

from layercli.plot.drawing import Theme
from layercli.plot.picture import Box, Picture

_BRACKETS = {"input": ("([", "])"), "block": ("[[", "]]")}
"""Brackets around the label of a box, by its family; they choose its shape."""


def render_mermaid(picture: Picture, theme: Theme) -> str:
    """Return the picture as a Mermaid flowchart."""
    numbers = {box.key: f"n{number}" for number, box in enumerate(picture.boxes)}
    lines = [f'%%{{init: {{"theme": "{"dark" if theme == "dark" else "neutral"}"}}}}%%', "flowchart TB"]
    group: str | None = None
    group_count = 0
    for box in picture.boxes:
        if box.group != group:
            lines += ["  end"] if group is not None else []
            if box.group is not None:
                group_count += 1
                lines.append(f'  subgraph g{group_count}["{_escape_label(box.group)}"]')
            group = box.group
        opening, closing = _BRACKETS.get(box.family, ("[", "]"))
        indent = "    " if group else "  "
        lines.append(f'{indent}{numbers[box.key]}{opening}"{_format_label(box)}"{closing}')
    lines += ["  end"] if group is not None else []
    lines += [f"  {numbers[source]} --> {numbers[target]}" for source, target in picture.arrows]
    return "\n".join(lines) + "\n"


def _format_label(box: Box) -> str:
    title = f"{box.repeat_count}x {box.title}" if box.repeat_count > 1 else box.title
    lines = [title, *(part for part in (box.name, box.details, box.shape_text, box.parameters_text) if part)]
    return "<br/>".join(map(_escape_label, lines))


def _escape_label(text: str) -> str:
    escaped = escape(text)
    for entity, code in (("&quot;", "#quot;"), ("&#x27;", "#39;"), ("&lt;", "#lt;"), ("&gt;", "#gt;")):
        escaped = escaped.replace(entity, code)
    return escaped.replace("&amp;", "#amp;")

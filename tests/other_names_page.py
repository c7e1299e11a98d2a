"""Render the table of other names. Write it to docs/other-names.md with ``python -m tests.other_names_page``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from layercli.schema.other_names import (
    EXAMPLES_WITH_VALUES,
    EXPLAINED_KEYS,
    EXPLAINED_TYPES,
    LAYER_EXAMPLES_WITH_VALUES,
    RENAMED_KEYS,
    RENAMED_TYPES,
    RENAMED_VALUES,
)

PAGE = Path(__file__).parents[1] / "docs" / "other-names.md"
HEADER = """\
# Names of Keras 1, Keras 2 and PyTorch

Generated from layercli's own table by `python -m tests.other_names_page`. `layercli validate` names what to write today.
`validate --fix` replaces the names in the tables "renamed", and misspelt names: a spelling within two edits of exactly one
valid name, with the same digits, if its value is valid there. Other fixes are unsafe, and only shown.
"""


def render_page() -> str:
    """Return the page as Markdown."""
    sections = [HEADER, "## Keys and arguments, renamed\n", _render_table(RENAMED_KEYS, is_name=True)]
    sections += [
        "## Keys and arguments with another form\n",
        _render_table(EXPLAINED_KEYS | EXAMPLES_WITH_VALUES, is_name=False),
    ]
    sections += ["## Values, renamed\n", _render_table(RENAMED_VALUES, is_name=True)]
    for kind, names in RENAMED_TYPES.items():
        sections += [f"## Types: {kind}, renamed\n", _render_table(names, is_name=True)]
    for kind, names in EXPLAINED_TYPES.items():
        shown = (LAYER_EXAMPLES_WITH_VALUES if kind == "layer" else {}) | dict(names)
        sections += [f"## Types: {kind}, with another form\n", _render_table(shown, is_name=False)]
    return "\n".join(sections)


def _render_table(names: Mapping[str, str], *, is_name: bool) -> str:
    """Return a table of new names; old names with the same new one are in one row."""
    rows: defaultdict[str, list[str]] = defaultdict(list)
    for old, new in names.items():
        rows[new].append(f"`{old}`")
    lines = ["| name | what to write |", "| --- | --- |"]
    for new, old in rows.items():
        is_list = is_name and not new.startswith("{")
        shown = (
            " or ".join(f"`{name}`" for name in new.split()) if is_list else f"`{new}`" if is_name else new
        )
        lines.append(f"| {', '.join(old)} | {shown} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render_page(), encoding="utf-8")

"""HTML elements whose texts are always escaped, and the document around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

from layercli.page.style import STYLE
from layercli.source.nodes import sanitize_text
from layercli.version import __version__

_CONTENT_SECURITY_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Blocks scripts and all loading."""
_VOID_TAGS: Final = frozenset({"br", "col", "img", "meta", "hr"})
_MAX_TEXT_LENGTH: Final = 100_000


class Markup(str):
    """HTML that is inserted as it is; every other text is escaped."""

    __slots__ = ()


class Column(NamedTuple):
    """A column of a table."""

    title: str
    is_number: bool = False


def make_element(tag: str, *children: str, **attributes: str | int | float | bool | None) -> Markup:
    """Return an element; a trailing underscore of an attribute is dropped, and other underscores become hyphens.

    Texts are escaped. An attribute that is None or False is left out; one that is True has no value.
    """
    shown = "".join(
        f" {name.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{escape(sanitize_text(str(value)))}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID_TAGS:
        return Markup(f"<{tag}{shown}>")
    return Markup(f"<{tag}{shown}>{join_markup(children)}</{tag}>")


def join_markup(parts: Iterable[str]) -> Markup:
    """Return texts, escaped, and elements one after the other."""
    return Markup("".join(part if isinstance(part, Markup) else _escape_text(part) for part in parts))


def make_text(text: str) -> Markup:
    """Return a text whose parts in backticks are code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return join_markup([text])
    return join_markup(make_element("code", part) if index % 2 else part for index, part in enumerate(parts))


def make_preformatted(text: str) -> Markup:
    """Return text whose lines and spaces are kept."""
    lines = "\n".join(sanitize_text(line.replace("\t", "    ")) for line in text.split("\n"))
    return make_element("pre", Markup(escape(lines)), tabindex="0")


def make_table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, label: str, has_row_titles: bool = True
) -> Markup:
    """Return a table that scrolls inside the page; ``label`` names it for screen readers."""
    head = make_element(
        "tr",
        *(
            make_element("th", column.title, scope="col", class_="number" if column.is_number else None)
            for column in columns
        ),
    )
    body = [
        make_element(
            "tr",
            *(
                make_element("th", cell, scope="row")
                if has_row_titles and not index
                else make_element("td", cell, class_="number" if column.is_number else None)
                for index, (column, cell) in enumerate(zip(columns, row, strict=True))
            ),
        )
        for row in rows
    ]
    table = make_element("table", make_element("thead", head), make_element("tbody", *body))
    return make_scroll_area(table, label=label)


def make_scroll_area(*children: str, label: str) -> Markup:
    """Return an area that scrolls sideways, by mouse or keyboard."""
    return make_element("div", *children, class_="scroll", role="region", aria_label=label, tabindex="0")


def make_details(title: str, *children: str, is_open: bool = False, class_: str | None = None) -> Markup:
    """Return content that is folded below a title."""
    return make_element("details", make_element("summary", title), *children, open=is_open, class_=class_)


def make_document(title: str, *body: str) -> str:
    """Return a complete page, which loads nothing and runs no script."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_CONTENT_SECURITY_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_escape_text(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f"<body>\n{join_markup(body)}\n</body>\n</html>\n"
    )


def make_footer() -> Markup:
    """Return the last lines of every page."""
    text = f"Written by layercli {__version__}. This file loads nothing from elsewhere and runs no script."
    return make_element("footer", make_element("p", text, class_="muted"))


def _escape_text(text: str) -> str:
    return escape(sanitize_text(text, limit=_MAX_TEXT_LENGTH))

"""The elements of a page as Markdown (GitHub's), in which every text stays a text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

_LEFT_OUT: Final = frozenset({"svg", "figure", "nav", "style", "img"})
"""Elements that Markdown cannot show."""
_DRAWN: Final = "drawn"
"""The class of elements that explain a drawing."""
_HEADINGS: Final = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "summary": 4}
_SPECIAL: Final = re.compile(r"([\\`*_\[\]|~$])")
_LINKS: Final = re.compile(r"(?i)(www)(\.)|(:)(?=//)|(mailto|xmpp)(:)|(@)")
"""Texts that GitHub would turn into a link or a mention."""
_BLOCK_STARTS: Final = re.compile(r"^(#{1,6}(?=\s|$)|[-+=]|\d{1,9}(?=[.)]))")
"""What makes a heading or a list of a line."""


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    escaped = _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;"))
    escaped = escaped.replace("<", "&lt;").replace(">", "&gt;").replace("!\\[", "\\!\\[")
    return _LINKS.sub(lambda found: re.sub(r"([.:@])", r"\\\1", found[0]), escaped)


def make_code_span(text: str) -> str:
    """Return a text as code, between more backticks than it has in a row."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def convert_to_markdown(markup: str) -> str:
    """Return elements of ``make_element`` as Markdown: headings, paragraphs, lists, tables and preformatted text."""
    converter = _Converter()
    converter.feed(markup)
    converter.close()
    return converter.finish()


class _Converter(HTMLParser):
    """Collects blocks of Markdown. It reads only elements that this package wrote, which are complete and nested."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._blocks: list[str] = []
        self._text = ""
        self._left_out = 0
        """The depth within elements that are left out."""
        self._code: str | None = None
        """The text of the code or preformatted element that is read."""
        self._rows: list[list[str]] = []
        self._is_number: list[bool] = []
        """For each column of the table that is read, whether it contains numbers."""
        self._is_in_table = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Start an element."""
        if self._left_out or tag in _LEFT_OUT or dict(attributes).get("class") == _DRAWN:
            self._left_out += tag != "img"
        elif tag in ("pre", "code"):
            self._code = ""
        elif tag == "table":
            self._end_block()
            self._is_in_table, self._rows, self._is_number = True, [], []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td") and len(self._rows) == 1:
            self._is_number.append("number" in dict(attributes).get("class", "").split())  # type: ignore[union-attr]
        elif tag in (*_HEADINGS, "p", "li", "ul"):
            self._end_block()

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if self._left_out:
            self._left_out -= 1
        elif tag == "pre":
            self._add_block(_make_fence(self._code or ""))
            self._code = None
        elif tag == "code":
            span = make_code_span(self._code or "")
            self._text += span.replace("|", "\\|") if self._is_in_table else span
            self._code = None
        elif tag == "strong":
            self._text = f"**{self._text.strip()}**" if self._text.strip() else ""
        elif tag in ("th", "td"):
            self._rows[-1].append(self._take_text())
        elif tag == "table":
            self._is_in_table = False
            self._add_block(self._format_table())
        elif tag in _HEADINGS:
            self._add_block(f"{'#' * _HEADINGS[tag]} {self._take_text()}")
        elif tag == "li":
            self._add_block(f"- {_escape_start(self._take_text())}")
        elif tag in ("p", "div", "section", "header", "main"):
            self._end_block()

    def handle_data(self, data: str) -> None:
        """Add text."""
        if self._left_out:
            return
        if self._code is not None:
            self._code += data
        else:
            self._text += escape_markdown(data)

    def finish(self) -> str:
        """Return all blocks; those of a list without empty lines between them."""
        self._end_block()
        lines: list[str] = []
        for before, block in zip(["", *self._blocks], self._blocks, strict=False):
            is_same_list = before.startswith("- ") and block.startswith("- ")
            lines += [block] if is_same_list or not lines else ["", block]
        return "\n".join(lines) + "\n"

    def _take_text(self) -> str:
        text, self._text = " ".join(self._text.split()), ""
        return text

    def _add_block(self, block: str) -> None:
        self._text = ""
        self._blocks.append(block)

    def _end_block(self) -> None:
        """Add the text so far as a paragraph."""
        if not self._is_in_table and (text := self._take_text()):
            self._add_block(_escape_start(text))

    def _format_table(self) -> str:
        head, *rows = self._rows
        rule = ["---:" if is_number else "---" for is_number in self._is_number]
        width = len(head)
        lines = [head, rule, *([*row, *[""] * (width - len(row))][:width] for row in rows)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escape_start(text: str) -> str:
    """Return a line that is a paragraph: the number of a list is followed by a backslash, other signs are preceded by it."""
    return _BLOCK_STARTS.sub(lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", text)


def _make_fence(text: str) -> str:
    """Return preformatted text between more backticks than it has in a row."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text.rstrip()}\n{fence}"

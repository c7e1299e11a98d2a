"""What is wrong with a text that is not YAML, in place of the sentences of the parser, and how to fix it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import yaml

from layercli.errors import Problem
from layercli.source.nodes import Mark, SourceText, problem_at, sanitize_text

MAX_DEPTH: Final = 100
TOO_DEEP_TEXTS: Final = (
    f"Lists and mappings are nested deeper than {MAX_DEPTH} levels, the limit for configs.",
    "Look for brackets or dashes that are repeated by mistake.",
)
_UNQUOTED_REFERENCE: Final = re.compile(r"[:\[,{]\s*(\$\{[^{}\"']*\})")
"""A reference inside of brackets, where YAML reads its brace as the start of a mapping."""
_KEY: Final = re.compile(r"""(?P<key>"[^"]*"|'[^']*'|[^\s'"#\[\]{},:-][^#:]*?)\s*:(?:\s|$)""")
_DASHES: Final = re.compile(r"(?:-\s+)*")
_KEY_WITHOUT_SPACE: Final = re.compile(r"\s*(?:-\s+)*(?P<key>\w+):(?P<value>[^\s:/\\].*)")
_KEY_WITHOUT_COLON: Final = re.compile(r"\s*(?:-\s+)*(?P<key>\w+)(?:\s+(?P<value>[\[{\w\"'].*))?")
_QUOTES_HINT: Final = "Put quotes around a value that starts with {}."
_DIRECTIVE_HINT: Final = (
    "Delete this line, which a config does not need, or put quotes around a value that starts with `%`."
)
_ESCAPE_HINT: Final = 'Use single quotes: in double quotes a backslash starts an escape such as "\\n".'

Found = tuple[str, str]
"""A message, as the end of a sentence, and a hint."""


class _Place(NamedTuple):
    """The place at which the parser stopped."""

    mark: Mark
    start: Mark | None
    """Where the list, mapping or text begins in which it stopped."""
    reason: str

    @property
    def line(self) -> str:
        """The line as written."""
        return self.mark.excerpt or ""

    @property
    def character(self) -> str:
        """The character at which the parser stopped; empty at the end of a line."""
        return self.line[self.mark.column - 1 : self.mark.column]

    @property
    def is_line_start(self) -> bool:
        """Whether nothing but blanks is before it in its line."""
        return not self.line[: self.mark.column - 1].strip()


class _Entry(NamedTuple):
    """A key or a dash above a line, in the block of which the line could be."""

    column: int
    name: str
    line: int
    is_dash: bool

    @property
    def title(self) -> str:
        """Its name in a hint."""
        return f"the dash in line {self.line}" if self.is_dash else f"`{self.name}` in line {self.line}"


def make_syntax_problem(source: SourceText, error: yaml.MarkedYAMLError) -> Problem:
    """Return the problem of a text that is not YAML."""
    reason = str(error.problem or error.context or "")
    mark, start = _to_mark(source, error.problem_mark), _to_mark(source, error.context_mark)
    if "maximum nesting depth" in reason:  # libyaml's own limit
        return problem_at(
            mark or start or Mark(source, 1, 1), "too-deep", TOO_DEEP_TEXTS[0], hint=TOO_DEEP_TEXTS[1]
        )
    if start is not None and (
        mark is None or "end of stream" in reason or "could not find expected ':'" in reason
    ):
        mark = start  # the unclosed quote, or the line without a colon
    place = _Place(mark or Mark(source, 1, 1), start, reason)
    message, hint = _explain_tabs(place) or _explain_reason(place, str(error.context or ""))
    hint = _suggest_lookalike_fix(place.mark) or hint
    return problem_at(place.mark, "yaml-syntax", f"This is not valid YAML: {message}.", hint=hint)


def _to_mark(source: SourceText, position: Any) -> Mark | None:
    if position is None:
        return None
    if position.line >= len(source.lines):  # something is missing at the end
        return Mark(source, len(source.lines), len(source.lines[-1]) + 1)
    return Mark(source, position.line + 1, position.column + 1)


def _explain_reason(place: _Place, context: str) -> Found:
    """Return what a sentence of the parser means."""
    if "directive" in context or "directive" in place.reason or "incompatible" in place.reason:
        return (
            "a line that starts with `%` is an instruction to YAML, and this one is not known",
            _DIRECTIVE_HINT,
        )
    if "tag" in context or "tag" in place.reason:
        return (
            "a word that starts with `!` is a tag of YAML, and this one is not complete",
            _QUOTES_HINT.format("`!`"),
        )
    return next(
        (explain(place) for part, explain in _EXPLANATIONS.items() if part in place.reason),
        (
            "it cannot be read from here on",
            "Check the indentation, the brackets and the quotes here and on the line above.",
        ),
    )


def _explain_tabs(place: _Place) -> Found | None:
    """Return that lines are indented with tabs; None if this one is not."""
    if "\t" not in place.line[: len(place.line) - len(place.line.lstrip())]:
        return None
    numbers = [
        number
        for number, line in enumerate(place.mark.source.lines, 1)
        if "\t" in line[: len(line) - len(line.lstrip())]
    ]
    others = len([number for number in numbers if number != place.mark.line])
    more = (
        f", and so do {others} other lines" if others > 1 else ", and so does 1 other line" if others else ""
    )
    return "a tab indents this line", f"Indent with spaces: this line starts with a tab{more}."


def _explain_flow(place: _Place) -> Found:
    """Return what is wrong in a list or mapping in brackets."""
    start = place.start
    is_list = start is None or (start.excerpt or "")[start.column - 1 : start.column] == "["
    closing, wrong = ("]", "}") if is_list else ("}", "]")
    noun = "list" if is_list else "mapping"
    at = "" if start is None else f" that opens at line {start.line}, column {start.column}"
    message = f"the {noun}{at} has no comma or `{closing}` here"
    lines = place.mark.source.lines[(start.line if start else place.mark.line) - 1 : place.mark.line]
    if reference := _UNQUOTED_REFERENCE.search(place.line):
        return message, f'Put quotes around the reference: "{reference[1]}".'
    if place.character == wrong:
        return message, f"Write `{closing}` in place of `{wrong}`."
    if re.search(r"\w\([^)]*$", place.line[: place.mark.column - 1]):
        return message, "Write a call of Python as a mapping: {type: Dense, units: 64, activation: relu}."
    if any(line.lstrip().startswith("//") for line in lines):
        return message, "Start comments with `#`: `//` is not a comment of YAML."
    return message, f"Close the bracket{at}, or add a comma."


def _explain_block(place: _Place) -> Found:
    """Return what is wrong with a line that is neither a key nor an item of what is above it."""
    if not place.is_line_start:
        return _explain_rest(place)
    is_dash = place.line.lstrip().startswith(("- ", "-\n")) or place.line.strip() == "-"
    entries = [entry for entry in _list_open_entries(place.mark) if entry.is_dash or not is_dash]
    entries = [entry for entry in entries if entry.is_dash == is_dash]
    column = place.mark.column
    if any(entry.column == column for entry in entries) or not entries:
        noun = "a dash" if is_dash else "a key"
        return (
            f"{noun} cannot start here",
            "Start keys of the same mapping, and dashes of the same list, in the same column.",
        )
    deeper = min(
        (entry for entry in entries if entry.column > column), key=lambda entry: entry.column, default=None
    )
    outer = max(
        (entry for entry in entries if entry.column < column), key=lambda entry: entry.column, default=None
    )
    choices = [
        f"in column {entry.column}, like {entry.title}" for entry in (deeper, outer) if entry is not None
    ]
    noun = "dash" if is_dash else "key"
    return (
        f"no {noun} above starts in column {column}, as this line does",
        f"Start this line {', or '.join(choices)}.",
    )


def _list_open_entries(mark: Mark) -> Iterator[_Entry]:
    """Yield the keys and dashes above a line that no later line ends, from the innermost one on."""
    indent = 1 << 30
    for number in range(mark.line - 1, 0, -1):
        line = mark.source.lines[number - 1]
        text = line.lstrip(" ")
        column = len(line) - len(text) + 1
        if not text.strip() or text.startswith("#") or column >= indent:
            continue
        dashes = _DASHES.match(text)
        length = dashes.end() if dashes is not None else 0
        found = _KEY.match(text, length)
        if found is not None:
            yield _Entry(column + length, sanitize_text(found["key"], limit=40), number, is_dash=False)
        if length:
            yield _Entry(column, "-", number, is_dash=True)
        indent = column if found is not None or length else indent


def _explain_rest(place: _Place) -> Found:
    """Return what is wrong with text after a value that is complete."""
    if place.character in ("]", "}"):
        return f"this `{place.character}` closes nothing", f"Delete this `{place.character}`."
    return (
        "text follows a value that is complete",
        "Delete the text from here on, or put quotes around all of it. A comment starts with a space and `#`.",
    )


def _explain_colon(place: _Place) -> Found:
    """Return what is wrong if a colon is where no key can be."""
    first = _KEY.search(place.line)
    if (
        first is not None
        and first.end("key") < place.mark.column - 1
        and place.line[: place.mark.column - 1].count(":")
    ):
        value = place.line[first.end() :].strip()
        if value.endswith(":"):
            return (
                "a second key follows in the same line",
                f"Write `{sanitize_text(value, limit=60)}` on the next line, indented by two more spaces.",
            )
        return (
            "the value contains a colon and a space",
            f"Put quotes around the value: {_quote(value)}.",
        )
    above = next(
        (n for n in range(place.mark.line - 1, 0, -1) if place.mark.source.lines[n - 1].strip()), None
    )
    if above is not None:
        line = place.mark.source.lines[above - 1]
        if found := _KEY_WITHOUT_SPACE.fullmatch(line):
            written = f"{found['key']}: {found['value']}"
            return (
                f"line {above} has no space after its colon",
                f"Write `{sanitize_text(written, limit=80)}` in line {above}.",
            )
        if _KEY.match(_DASHES.sub("", line.strip(), count=1)) is None and (
            found := _KEY_WITHOUT_COLON.fullmatch(line)
        ):
            value = f" {found['value']}" if found["value"] else ""
            return (
                f"line {above} has no colon",
                f"Write `{sanitize_text(found['key'] + ':' + value, limit=80)}` in line {above}, or delete it.",
            )
    start = Mark(place.mark.source, place.mark.line, len(place.line) - len(place.line.lstrip()) + 1)
    message, hint = _explain_block(place._replace(mark=start))
    if hint.startswith("Start this line"):
        return message, hint
    return (
        "a key cannot start here",
        "Start this line in the same column as its sibling keys, and write a space after every colon.",
    )


def _quote(text: str) -> str:
    """Return a text in quotes."""
    return f"'{text}'" if '"' in text or "\\" in text else f'"{text}"'


def _explain_missing_colon(place: _Place) -> Found:
    text = sanitize_text(place.line.strip(), limit=40)
    return "this line has no colon after its key", f"Write `{text}: ` and a value, or delete the line."


def _explain_token(place: _Place) -> Found:
    """Return which character cannot begin a value."""
    if place.character == "\t":
        return "a tab separates this value", "Write a space in place of the tab."
    if place.line.strip().startswith("```"):
        return "this line belongs to Markdown", "Delete the lines that start with ```."
    name = "a backtick" if place.character == "`" else f"`{place.character}`"
    return f"a value cannot start with {name}", _QUOTES_HINT.format("`@`, `%` or a backtick")


def _explain_content(place: _Place) -> Found:
    """Return what is wrong where a value is expected."""
    if place.character == "-":
        return (
            "a list in brackets has no dashes",
            "Remove the dashes and separate the items by commas, as in `[Flatten, ReLU]`; or remove the brackets.",
        )
    if place.character == ",":
        return "a value is missing before this comma", "Write a value, or delete the comma."
    return "a value is missing here", "Write a value here."


def _explain_document(place: _Place) -> Found:
    """Return what is wrong with text after the end of the config."""
    lines = place.mark.source.lines
    if any(line.startswith("%") for line in lines[: place.mark.line]):
        return (
            "a line that starts with `%` needs a line `---` below it",
            "Delete the line that starts with `%`.",
        )
    first = next((line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    if re.fullmatch(r"\[[\w.\" -]+\]", first):
        return (
            "it looks like TOML",
            f"Write a section as a key with a colon, `{sanitize_text(first.strip('[]'), limit=40)}:`, and its keys below it, "
            "indented, such as `input: [4]`.",
        )
    return (
        "text follows the end of the config",
        "Delete the text from here on, or the closing bracket or `...` before it.",
    )


def _say(message: str, hint: str) -> Callable[[_Place], Found]:
    return lambda _: (message, hint)


_EXPLANATIONS: Final[Mapping[str, Callable[[_Place], Found]]] = {
    "expected ',' or": _explain_flow,
    "expected key": _explain_block,
    "expected '-' indicator": _explain_block,
    "mapping values are not allowed": _explain_colon,
    "could not find expected ':'": _explain_missing_colon,
    "cannot start any token": _explain_token,
    "tab character": _say("a tab indents this line", "Indent with spaces."),
    "expected node content": _explain_content,
    "block sequence entries": _say(
        "a list with dashes cannot start in the line of its key",
        "Write its first dash on the next line, indented; or write the list as `[first, second]`.",
    ),
    "mapping keys are not allowed": _say(
        "a value cannot start with `?`", _QUOTES_HINT.format("`?` and a space")
    ),
    "end of stream": _say("the quote that opens here is not closed", "Close the quote that opens here."),
    "document indicator": _say(
        "a line with `---` or `...` is inside of a text in quotes", "Close the quote above this line."
    ),
    "escape": _say("the text in double quotes has an escape that YAML does not know", _ESCAPE_HINT),
    "hexdecimal": _say("the text in double quotes has an escape that YAML does not know", _ESCAPE_HINT),
    "alphabetic or numeric": _say(
        "a word that starts with `*` or `&` is an alias or anchor of YAML, and this one is not complete",
        "Put quotes around a value that starts with `*`, `&` or `!`, which are YAML syntax.",
    ),
    "comment or line break": _say(
        "only the end of the line can follow `|` or `>`",
        "Put quotes around a value that starts with `|` or `>`; or start the text on the next line, indented.",
    ),
    "indentation indicator": _say(
        "only the end of the line can follow `|` or `>`",
        "Put quotes around a value that starts with `|` or `>`; or start the text on the next line, indented.",
    ),
    "unexpected ':'": _say("this colon has no space after it", "Write a space after the colon."),
    "expected <document start>": _explain_document,
    "whitespace or line break": _say("a blank is missing here", "Write a space here."),
}
"""A part of each sentence of libyaml's scanner and parser -> what it means."""


_LOOKALIKE: Final = re.compile(
    "[\\uff1a\\uff0c\\uff5b\\uff5d\\uff3b\\uff3d\\uff03\\uff0d\\uff02\\uff07\\u00a0\\u3000]"
)
"""Full-width forms of `: , { } [ ] # - " '` and other spaces, which input methods and web pages write; NFKC changes them."""
_QUOTED_OR_COMMENT: Final = re.compile(r"""'[^']*(?:'|$)|"(?:\\.|[^"\\])*(?:"|$)|(?:^|(?<=\s))#.*""")
"""Parts of a line in which full-width characters are right."""
_KEY_END: Final = re.compile(":(?: |$)")


def _suggest_lookalike_fix(mark: Mark) -> str | None:
    """Return the hint for a full-width character in the line of an error, or in the line above if that has no key."""
    lines = mark.source.lines[: mark.line]
    above = next((number for number in range(mark.line - 1, 0, -1) if lines[number - 1].strip()), None)
    for number in (mark.line, above):
        if number is None or number > len(lines):
            continue
        syntax = _QUOTED_OR_COMMENT.sub(lambda found: "." * len(found[0]), lines[number - 1])
        wrong = _LOOKALIKE.search(syntax)
        if wrong is None or (number != mark.line and _KEY_END.search(syntax)):
            continue
        import unicodedata

        plain = unicodedata.normalize("NFKC", wrong[0])
        name = unicodedata.name(wrong[0]).lower()
        place = f"column {wrong.start() + 1}" + (f" of line {number}" if number != mark.line else "")
        return f"Replace the {name} in {place} with {'a space' if plain == ' ' else f'`{plain}`'}."
    return None

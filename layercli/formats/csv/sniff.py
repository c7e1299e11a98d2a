"""The form of a CSV file that has no config yet: encoding, separator, comments, and where its header is."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from layercli.config.data.tables import DEFAULT_MISSING_VALUES
from layercli.data.types import PATH_KEY, raise_data_error
from layercli.formats.csv.config import Csv
from layercli.formats.csv.diagnostics import Header, find_undecodable
from layercli.formats.csv.encodings import guess_encoding
from layercli.formats.csv.source import open_utf8, shell_name
from layercli.io.csv_cells import read_csv
from layercli.source.nodes import sanitize_text

SEPARATORS: Final = ("\t", ";", "|", ",")
"""The separators that are recognized. If several fit equally, the first is used."""
_MIN_BLANK_RATE: Final = 0.95
_SIMILAR_RATE: Final = 0.95
"""A part of the lines can be damaged, so that another character divides a few more of them."""
_SAMPLE_BYTES: Final = 1 << 18
_SAMPLE_LINES: Final = 200
_MIN_SAMPLE_LINES: Final = 8
"""Lines that a sample has, even if they are long, up to ``_MAX_SAMPLE_BYTES``."""
_MAX_SAMPLE_BYTES: Final = 1 << 24
_NUMBER: Final = re.compile(r"[-+]?[$€£]?(?:\d[\d.,']*|[.,]\d+)(?:[eE][-+]?\d+)?%?")
_INTEGER: Final = re.compile(r"\d{1,9}")
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?')
"""The first line with which Excel reads a separator from a file."""
_RELATION: Final = re.compile(r"\s*@relation\b", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"""\s*@attribute\s+(?:'([^']+)'|"([^"]+)"|(\S+))""", re.IGNORECASE)
_RULE_LINE: Final = re.compile(r"[-+=][-+=|]{2,}\s*")
"""A line that is drawn between rows, in lists of SAP and tables of MySQL."""
_IMPORT_ID: Final = re.compile(r"\{\s*\"?ImportId\"?\s*:.*\}", re.DOTALL)
"""A value of the last header row of Qualtrics."""
_RULE: Final = re.compile(r":?(?:-{2,}|={2,}):?")
_UNIT: Final = re.compile(r"[\[(].{1,20}[\])]")
_MIN_TWO_HEADER_ROWS: Final = 4
_MAX_HEADER_ROWS: Final = 4
_MIN_REPEATED_ROWS: Final = 20
_MIN_REPEATS: Final = 10
"""Rows for each text of a column, so that a new text in several such columns is not a value."""
_MIN_COUNTED: Final = 3
"""Fewer integers at equal distances are also the values of a row."""
_NUMERIC_SHARE: Final = 0.9
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_MISSING: Final = frozenset({"", *DEFAULT_MISSING_VALUES})


def sniff_csv(file: Path) -> tuple[Csv, dict[str, Any]]:
    """Return a section that reads a file, without a target, and its keys that are not the defaults.

    Raises:
        DataError: the file is not text.
        OSError | ValueError: the file cannot be read.
    """
    keys: dict[str, Any] = {}
    encoding = guess_encoding(file)
    if encoding != "utf-8":
        keys["encoding"] = encoding
    try:
        lines = read_first_lines(file, make_section(file, keys))
    except UnicodeDecodeError:
        undecodable = find_undecodable(file, encoding)
        if undecodable is None:
            raise
        raise_data_error(
            f"{sanitize_text(str(file))} cannot be read: {undecodable.describe(encoding)}.",
            PATH_KEY,
            "Save it again: it may be incomplete.",
        )
    first = next((line for line in lines if line.strip()), "")
    if first.lstrip().startswith("#") and not _is_header_with_hash(lines):
        keys["comment"] = "#"
        lines = ["" if line.lstrip().startswith("#") else line for line in lines]
    elif (mark := _find_rule_mark(lines)) is not None:
        keys["comment"] = mark
        lines = ["" if line.startswith(mark) else line for line in lines]
    if any(_RELATION.match(line) for line in lines):
        attributes = _read_attributes(lines)
        if attributes is not None:
            _refuse_single_quotes(file, _split_lines(["", *lines[attributes["skip_lines"] :]], ","))
            keys |= attributes
            return make_section(file, keys), keys
    declared = _SEPARATOR_LINE.fullmatch(lines[0].strip()) if lines else None
    lines = ["", *lines[1:]] if declared else lines
    separator = declared[1] if declared else guess_separator(lines)
    _refuse_escaped_quotes(file, lines, separator)
    if separator in (" ", ","):
        _refuse_aligned_columns(file, lines, separator)
    if separator != ",":
        keys["separator"] = separator
    rows = _split_lines(lines, separator)
    width = Counter(len(row) for _, row in rows).most_common(1)[0][0] if rows else 0
    if (
        len(rows) > 2
        and width > 2
        and len(rows[0][1]) == width - 1
        and all(len(row) == width for _, row in rows[1:])
    ):
        names = [name.strip() for name in rows[0][1]]
        _refuse_single_quotes(file, rows)
        if all(not row[-1].strip() for _, row in rows[1:]):
            names.append(f"column_{width}")  # each row, but not the header, ends with a separator
        else:
            names.insert(0, "row")  # R's write.table and others give no name to the column of row names
        keys |= {"skip_lines": rows[0][0], "columns": names}
        return make_section(file, keys), keys
    top = next((number for number, (_, row) in enumerate(rows) if _is_full(row, width)), 0)
    if top or declared:
        keys["skip_lines"] = rows[top][0] - 1 if rows else 1
    return _add_header_keys(file, keys, _list_body(rows[top:], width))


def _list_body(rows: Sequence[tuple[int, list[str]]], width: int) -> list[tuple[int, list[str]]]:
    """Return the line number and the values of each row of the table; a line below its first row is one value for each."""
    body: list[tuple[int, list[str]]] = []
    for line, row in rows:
        is_drawn = len(row) == 1 and len(body) == 1 and _RULE_LINE.fullmatch(row[0])
        values = ["--"] * width if is_drawn else [value.strip() for value in row]
        if len(values) == width:
            body.append((line, values))
    return body


def _add_header_keys(
    file: Path, keys: dict[str, Any], body: Sequence[tuple[int, list[str]]]
) -> tuple[Csv, dict[str, Any]]:
    """Return the section and its keys for a table that begins with header rows, or with none."""
    rows = [row for _, row in body]
    count = _count_header_rows(rows) if len(rows) > _MIN_TWO_HEADER_ROWS else 1
    if count > 1:
        keys["skip_lines"] = body[count][0] - 1
        first, second = rows[:2]
        is_unique = (len(set(first)) == len(first) and all(first)) or all(
            map(_RULE.fullmatch, filter(None, second))
        )
        names = first if is_unique else [f"{a} {b}".strip() for a, b in zip(first, second, strict=True)]
        keys["columns"] = Header(names, 1).names
    elif rows and not _is_header(rows[0], rows[1:]):
        keys["columns"] = [f"column_{number}" for number in range(1, len(rows[0]) + 1)]
    return make_section(file, keys), keys


def _find_rule_mark(lines: Sequence[str]) -> str | None:
    """Return the character with which lines between rows begin, if all rows begin with ``|``; None without such lines."""
    full = [line for line in lines if line.strip()]
    rules = {line for line in full if _RULE_LINE.fullmatch(line)}
    marks = {line[0] for line in full if line in rules or not line.startswith("|")} & {*"-+="}
    rows = sum(line.startswith("|") for line in full)
    others = [line for line in full if line[0] in marks and line not in rules]
    return marks.pop() if len(marks) == 1 and not others and 2 * rows > len(full) else None


def _refuse_aligned_columns(file: Path, lines: Sequence[str], separator: str) -> None:
    """Refuse columns that are aligned with several blanks.

    Raises:
        DataError: they are.
    """
    rows = [line.split() for line in lines if line.strip()]
    counts = Counter(map(len, rows))
    width, count = counts.most_common(1)[0] if counts else (1, 0)
    has_numbers = all(any(map(_NUMBER.fullmatch, row)) for row in rows[1:])
    is_divided = separator == "," and any("," in line for line in lines)
    is_aligned = any("  " in line.rstrip() for line in lines) and len(rows) > 1 and has_numbers
    if is_aligned and not is_divided and width > 1 and count > _MIN_BLANK_RATE * len(rows):
        name = shell_name(file)
        raise_data_error(
            f"The columns of {sanitize_text(str(file))} are aligned with several blanks.",
            PATH_KEY,
            f"Write one blank between values: `sed 's/^ *//; s/ *$//' {name} | tr -s ' ' > table.csv`.",
        )


def _read_attributes(lines: Sequence[str]) -> dict[str, Any] | None:
    """Return the keys of an ARFF file, whose columns are declared above its rows; None if the declaration has no end."""
    names = []
    for number, line in enumerate(lines, 1):
        found = _ATTRIBUTE.match(line)
        if found is not None:
            names.append(found[1] or found[2] or found[3])
        if line.strip().lower() == "@data":
            comment = {"comment": "%"} if any(each.lstrip().startswith("%") for each in lines) else {}
            return comment | {"skip_lines": number, "columns": Header(names, 1).names}
    return None


def _refuse_escaped_quotes(file: Path, lines: Sequence[str], separator: str) -> None:
    """Refuse quoted values in which a backslash is before a quotation mark, as MySQL and others write them.

    Raises:
        DataError: there are such values.
    """
    mark = re.escape(separator)
    escaped = re.compile(rf'(?:^|{mark})\s*"(?:[^"]|"")*\\"(?!"|\s*(?:{mark}|$))')
    for number, line in enumerate(lines, 1):
        if '\\"' in line and escaped.search(line):
            raise_data_error(
                f"{sanitize_text(str(file))} cannot be read: line {number} has a quotation mark after a backslash.",
                PATH_KEY,
                f'Write it twice instead: `sed \'s/\\\\"/""/g\' {shell_name(file)} > table.csv`.',
            )


def _refuse_single_quotes(file: Path, rows: Sequence[tuple[int, list[str]]]) -> None:
    """Refuse values in single quotes that contain the separator.

    Raises:
        DataError: there are such values.
    """
    for line, row in rows[1:]:
        for value, following in pairwise(row):
            if (
                value.lstrip().startswith("'")
                and not value.rstrip().endswith("'")
                and following.rstrip().endswith("'")
            ):
                raise_data_error(
                    f"{sanitize_text(str(file))} cannot be read: line {line} has a value in single quotes that contains the "
                    "separator.",
                    PATH_KEY,
                    f"Write double quotes: `tr \"'\" '\"' < {shell_name(file)} > table.csv`.",
                )


def make_section(file: Path, keys: dict[str, Any]) -> Csv:
    """Return the section of a file with these keys, without a target."""
    return Csv.model_validate({"path": str(file), "target": "-"} | keys)


def guess_separator(lines: Sequence[str]) -> str:
    """Return the character that divides most lines into the same number of values.

    If several divide about as many lines, one that divides the first line is preferred.
    """

    def rate(separator: str) -> tuple[float, bool]:
        widths = [len(row) for _, row in _split_lines(lines, separator)]
        width, count = Counter(widths).most_common(1)[0] if widths else (1, 0)
        return (count / len(widths), widths[0] == width) if width > 1 else (0, False)

    rates = {separator: rate(separator) for separator in SEPARATORS}
    best = max(share for share, _ in rates.values())
    if best:
        similar = {separator: each for separator, each in rates.items() if each[0] >= _SIMILAR_RATE * best}
        return max(similar, key=lambda separator: (rates[separator][1], rates[separator][0]))
    # Blanks also divide words: only a number in every row shows that they divide values.
    rows = _split_lines(lines, " ")[1:]
    has_numbers = all(any(_NUMBER.fullmatch(value) for value in row) for _, row in rows)
    return " " if rows and has_numbers and rate(" ")[0] > _MIN_BLANK_RATE else ","


def suggest_separator(name: str, found: str, wanted: str) -> str:
    """Return the command that writes a file with the required separator; ``name`` is the file."""
    code = "import csv, sys; csv.writer(sys.stdout, delimiter={!r}).writerows(csv.reader(sys.stdin, delimiter={!r}))"
    return f'Convert it: `python -c "{code.format(wanted, found)}" < {name} > converted.csv`.'


def read_first_lines(file: Path, data: Csv) -> list[str]:
    """Return some of the first lines of a file."""
    with open_utf8(file, data) as stream:
        content, size = stream.read(_SAMPLE_BYTES), _SAMPLE_BYTES
        while len(content) == size < _MAX_SAMPLE_BYTES and len(content.splitlines()) <= _MIN_SAMPLE_LINES:
            size *= 2
            content += stream.read(size - len(content))
    lines = _LINE_END.split(content.decode("utf-8-sig", errors="replace"))
    # The last line may be cut.
    return lines[: max(1, min(_SAMPLE_LINES, len(lines) - (len(content) == size)))]


def _split_lines(lines: Sequence[str], separator: str) -> list[tuple[int, list[str]]]:
    """Return the line number and the values of each line that is not empty."""
    reader = read_csv((line + "\n" for line in lines), delimiter=separator, skipinitialspace=True)
    rows, line = [], 1
    try:
        for row in reader:
            if row:
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error:
        pass  # the sample ends here
    return rows


def _is_header_with_hash(lines: Sequence[str]) -> bool:
    """Return whether only the first line begins with # and it has as many values as the next one."""
    full = [line for line in lines if line.strip()]
    if len(full) < 2 or full[1].lstrip().startswith("#"):
        return False
    separator = guess_separator(full[1:])
    counts = [len(row) for _, row in _split_lines(full[:2], separator)]
    return len(counts) == 2 and counts[0] == counts[1] > 1


def _is_full(row: list[str], width: int) -> bool:
    """Return whether a row is not a title above the table."""
    filled = sum(bool(value.strip()) for value in row)
    return len(row) == width and (filled > 1 or width <= 2)


def _count_header_rows(rows: Sequence[list[str]]) -> int:
    """Return the number of rows that belong to the header; 1 even if there may be none."""
    for number in (2, 3):
        if all(map(_IMPORT_ID.fullmatch, rows[number - 1])):
            return number
    count = 2 if _has_two_header_rows(rows) else 1
    while count < _MAX_HEADER_ROWS and len(rows) > count + _MIN_TWO_HEADER_ROWS:
        is_more = _has_names_of_numbers(rows[count], rows[count + 1 :]) if count > 1 else False
        if not (is_more or _has_names_of_categories(rows[count], rows[count + 1 :])):
            break
        count += 1
    return count


def _has_names_of_numbers(row: Sequence[str], body: Sequence[list[str]]) -> bool:
    """Return whether a row below two header rows has words in columns of numbers, and no value that a row below has."""
    columns = list(zip(*body, strict=True))
    words = [
        value
        for value, column in zip(row, columns, strict=True)
        if _is_numeric(column) and value not in _MISSING
    ]
    is_repeated = any(value in column for value, column in zip(row, columns, strict=True) if value)
    return bool(words) and not any(map(_NUMBER.fullmatch, words)) and not is_repeated


def _has_names_of_categories(row: Sequence[str], body: Sequence[list[str]]) -> bool:
    """Return whether a row has a new text in each column of a table in which all texts are repeated."""
    columns = list(zip(*body, strict=True))
    if len(body) < _MIN_REPEATED_ROWS or any(map(_is_numeric, columns)) or any(map(_NUMBER.fullmatch, row)):
        return False
    if any(len(set(column)) * _MIN_REPEATS > len(column) for column in columns):
        return False
    found = [value not in column for value, column in zip(row, columns, strict=True) if value not in _MISSING]
    return len(found) > 1 and all(found)


def _has_two_header_rows(rows: Sequence[list[str]]) -> bool:
    """Return whether the second row belongs to the header: it has units, lines, or the names of columns below groups."""
    first, second, body = rows[0], rows[1], rows[2:]
    if _divides_questions(first, second, body):
        return True
    if all(_RULE.fullmatch(value) for value in second if value) and any(second):
        return True
    columns = list(zip(*body, strict=True))
    numeric = [index for index, column in enumerate(columns) if _is_numeric(column)]
    if any(second[index] in {*columns[index]} - _MISSING for index in {*range(len(columns))} - {*numeric}):
        return False  # a row in which numbers are missing
    found = [second[index] for index in numeric]
    words = [
        value
        for index, value in zip(numeric, found, strict=True)
        if value not in (*_MISSING, *columns[index])
    ]
    if not words or any(_NUMBER.fullmatch(value) for value in found):
        return False
    if not _is_header(first, rows[1:]):
        # Numbers above names, such as years, that are repeated or have gaps.
        return len(numeric) > 1 and len(set(first)) < len(first)
    return len(words) > 1 or bool(_UNIT.fullmatch(words[0]))


def _divides_questions(first: list[str], second: list[str], body: Sequence[list[str]]) -> bool:
    """Return whether the second row names the answers to questions of the first row, as in exports of surveys.

    The first row has no names for more answers to a question. The second row has them, and nothing below names of
    single values, which all other rows have. An answer that can be chosen is the only value of its column.
    """
    columns = [set(column) for column in zip(*body, strict=True)]
    answers = [(answer, column) for answer, column in zip(second, columns, strict=True) if answer]
    has_more_answers = any(not name for name in first[1:]) and all(
        name or answer for name, answer in zip(first[1:], second[1:], strict=True)
    )
    has_single = any(
        name and not answer and "" not in column
        for name, answer, column in zip(first, second, columns, strict=True)
    )
    return (
        has_more_answers
        and has_single
        and not any(_NUMBER.fullmatch(answer) for answer, _ in answers)
        and all(answer not in column or column == {answer, ""} for answer, column in answers)
    )


def _is_numeric(column: Sequence[str]) -> bool:
    known = [value for value in column if value not in _MISSING]
    return bool(known) and sum(bool(_NUMBER.fullmatch(value)) for value in known) >= _NUMERIC_SHARE * len(
        known
    )


def _is_header(row: list[str], body: Sequence[list[str]]) -> bool:
    """Return whether the first row names the columns."""
    names = [value for value in row if value]
    if not names:
        return False
    if any(_NUMBER.fullmatch(value) for value in names):
        return _counts_columns(row) and not any(map(_counts_columns, body))
    columns = list(zip(*body, strict=True)) if body else [()] * len(row)
    has_numbers = any(
        known and sum(bool(_NUMBER.fullmatch(value)) for value in known) * 2 > len(known)
        for column in columns
        if (known := [value for value in column if value not in _MISSING])
    )
    if has_numbers:
        return True
    is_repeated = any(name and name in column for name, column in zip(row, columns, strict=True))
    return len(set(names)) == len(names) and not is_repeated


def _counts_columns(row: Sequence[str]) -> bool:
    """Return whether the numbers of a row are integers at equal distances, such as years above columns."""
    numbers = [value for value in row if _NUMBER.fullmatch(value)]
    if len(numbers) < _MIN_COUNTED or not all(map(_INTEGER.fullmatch, numbers)):
        return False
    steps = {int(after) - int(before) for before, after in pairwise(numbers)}
    return len(steps) == 1 and steps != {0}

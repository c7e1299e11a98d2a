"""A preview of files whose format is not declared, from a bounded part of them: the columns of a table, or images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli.config.data.tables import DEFAULT_MISSING_VALUES, DEFAULT_WORD
from layercli.data.tables.column_facts import ColumnFacts
from layercli.formats.images.color import has_color
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from layercli.data.tables.survey import TableSurvey

ColumnPreview = ColumnFacts
"""A column of a table."""
_MAX_IMAGES = 20_000
"""Images whose headers are read."""
_NONE_WORD: Final = "None"
_USUAL_WORDS: Final = {"NA", "NaN", "null"}
_NONE_SHARE: Final = 50
"""The word None is a value of a column if more than one of this number of rows has it."""
_MAX_LISTED_NAMES: Final = 8
_MAX_LOCATED_ROW: Final = 200_000
"""Later rows have no line number: to count lines takes long."""


@dataclass(frozen=True, slots=True)
class TablePreview:
    """A table, and the keys of a ``data`` section that reads it."""

    survey: TableSurvey
    type_name: str
    keys: dict[str, Any]
    """The keys of the section that are not the defaults, without path, target, inputs and splits."""
    notes: tuple[str, ...] = ()
    """What a person should know about how the file is read, as sentences."""
    nested: tuple[str, ...] = ()
    """Columns of lists, objects or bytes, which are not among the columns."""
    locate: Callable[[int], str] = field(default=lambda row: f"row {row + 1:,}", compare=False)
    """Where a row, from 0, is in the file."""

    @property
    def columns(self) -> list[ColumnFacts]:
        """The columns."""
        return self.survey.columns

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return self.survey.row_count

    @property
    def has_header(self) -> bool:
        """Whether the file names its columns."""
        return "columns" not in self.keys

    @property
    def separator(self) -> str:
        """The character between values."""
        return str(self.keys.get("separator", ","))

    def without(self, name: str) -> TablePreview:
        """Return the preview without a column."""
        columns = [column for column in self.columns if column.name != name]
        return replace(self, survey=replace(self.survey, columns=columns))

    def find_leaks(self, target: str) -> dict[str, str]:
        """Return the columns that probably contain the target, each with the reason as the rest of a sentence."""
        return self.survey.find_leaks(target)


@dataclass(frozen=True, slots=True)
class ImagesPreview:
    """Sizes and colors of some images."""

    image_count: int
    """Number of all images."""
    sizes: Counter[tuple[int, int]]
    """(height, width), upright, of the images whose headers were read."""
    has_color: bool
    is_deep: bool
    """Whether an image has more than 8 bits per value."""
    unreadable_count: int = 0

    def describe_sizes(self) -> str:
        """Return the sizes as the rest of a sentence."""
        if not self.sizes:
            return "of unknown size"
        if len(self.sizes) == 1:
            return f"all {_format_size(next(iter(self.sizes)))}"
        size, count = self.sizes.most_common(1)[0]
        if 2 * count > self.sizes.total():
            return f"mostly {_format_size(size)}"
        by_area = sorted(self.sizes, key=lambda each: (each[0] * each[1], each))
        return f"from {_format_size(by_area[0])} to {_format_size(by_area[-1])}"


def _format_size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


class PreviewError(ValueError):
    """The data cannot be previewed; the message contains the reason."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def preview_table(path: Path, *more: Path) -> TablePreview:
    """Return a preview of all rows of a table.

    ``more`` are other files of the same table, with the same columns.

    Raises:
        PreviewError: it is not a table, or the files have different columns.
    """
    from layercli.data.types import DataError
    from layercli.formats.csv.reader import suggest_after_error
    from layercli.formats.csv.source import READ_ERRORS

    try:
        type_name = _find_type(path)
        if type_name == "csv":
            return _preview_csv(path, *more)
        return _preview_typed(type_name, path, *more)
    except PreviewError:
        raise
    except DataError as error:
        if error.findings[0].path == ("data", "columns"):  # which nobody has written
            message = f"{path} has several rows of names above its values, or below other rows: it has no clear header."
            raise PreviewError(
                message, "Keep one row with the names of the columns as its first line."
            ) from None
        raise PreviewError(
            " ".join(finding.message for finding in error.findings), error.findings[0].hint
        ) from None
    except READ_ERRORS as error:
        raise PreviewError(
            f"{path} cannot be read: {str(error).rstrip('.')}.", suggest_after_error(error)
        ) from None


def _find_type(path: Path) -> str:
    """Return the data type of a table, by its content if its name does not say it.

    Raises:
        DataError: its content is of a format that is not read.
    """
    from layercli.formats.csv.source import are_first_json_lines, open_bytes
    from layercli.formats.table_types import find_binary_type, find_table_type

    with path.open("rb") as raw:
        start = raw.read(4096)
    type_name = (find_binary_type(start) or find_table_type(path)).type_name()
    if type_name == "csv":
        with open_bytes(path, are_json_lines=True) as stream:
            return "jsonl" if are_first_json_lines(stream.read(4096)) else "csv"
    return type_name


def _preview_typed(type_name: str, path: Path, *more: Path) -> TablePreview:
    """Return the preview of a file whose columns have types."""
    from layercli.config.data.section import DATA_TYPES
    from layercli.data.tables.number_texts import NumberFormat
    from layercli.data.tables.survey import survey_table
    from layercli.formats.registry import import_reader

    data: Any = DATA_TYPES.parse(
        {"type": type_name, "path": str(path), "target": "-", "missing": {"values": []}}
    )
    reader: Any = import_reader(data)
    files = reader.make_files(data)

    def survey(words: Sequence[str]) -> TableSurvey:
        return survey_table(_iterate_files(files.iterate_tables, path, *more), NumberFormat.of(data), words)

    found, words = _survey_with_words(survey)
    _require_rows(path, found)
    nested = tuple(files.list_unusable_columns(path))
    found = _mark_ambiguous_words(found)
    notes = [*_describe_columns(found, words, None), *_describe_nested(nested)]
    return TablePreview(found, type_name, _make_column_keys(found, words), tuple(notes), nested)


def _describe_nested(names: Sequence[str]) -> Iterator[str]:
    if names:
        listed = ", ".join(f"`{sanitize_text(name, limit=60)}`" for name in names[:_MAX_LISTED_NAMES])
        more = f" and {len(names) - _MAX_LISTED_NAMES:,} more" if len(names) > _MAX_LISTED_NAMES else ""
        yield f"Not used: {listed}{more}, which {'has' if len(names) == 1 else 'have'} lists, objects or bytes."


def _preview_csv(path: Path, *more: Path) -> TablePreview:
    from layercli.data.tables.number_texts import NumberFormat
    from layercli.data.tables.survey import find_number_format, survey_table
    from layercli.formats.csv.diagnostics import find_line
    from layercli.formats.csv.reader import CsvFiles
    from layercli.formats.csv.sniff import make_section, sniff_csv

    data, keys = sniff_csv(path)
    if len(CsvFiles(data).column_names(path)) < 2:
        raise PreviewError(f"{path} has only one column; a table has several, separated by commas.")

    def survey(words: Sequence[str]) -> TableSurvey:
        section = make_section(path, keys | {"missing": {"values": []}})
        texts = _iterate_files(CsvFiles(section).iterate_texts, path, *more)
        return survey_table(texts, NumberFormat.of(section), words)

    found, words = _survey_with_words(survey)
    better = find_number_format(found, prefers_comma=data.separator == ";")
    if better:
        keys |= better
        found, words = _survey_with_words(survey)
    _require_rows(path, found)
    data = make_section(path, keys)

    def locate(row: int) -> str:
        if more:
            return f"row {row + 1:,}"
        return f"line {find_line(path, data, row)}" if row < _MAX_LOCATED_ROW else f"row {row + 1:,}"

    _require_one_header(path, found, locate, int(keys.get("skip_lines", 0)) + 1)

    found = _mark_ambiguous_words(found)
    notes = (*_describe_form(keys, path), *_describe_columns(found, words, locate))
    return TablePreview(found, "csv", keys | _make_column_keys(found, words), notes, locate=locate)


def _survey_with_words(
    survey: Callable[[Sequence[str]], TableSurvey],
) -> tuple[TableSurvey, list[str] | None]:
    """Return a survey, and the words that mean a missing value in it; None for the default words.

    The word None is a value, and not a missing value, if it is frequent in columns of texts, and in no other column.
    """
    found = survey(DEFAULT_MISSING_VALUES)
    columns = [column for column in found.columns if _NONE_WORD in column.missing_words]
    are_values = columns and all(
        column.kind == "category"
        and not column.is_boolean
        and column.missing_words[_NONE_WORD] * _NONE_SHARE > found.row_count
        for column in columns
    )
    if not are_values:
        return found, None
    known = {word for column in found.columns for word in column.missing_words} | _USUAL_WORDS
    words: list[str] = [word for word in DEFAULT_MISSING_VALUES if word in known and word != _NONE_WORD]
    return survey(words), words


def _mark_ambiguous_words(survey: TableSurvey) -> TableSurvey:
    """Return the survey with a defect of columns that have words among numbers which are values of other columns.

    Words that mean a missing value mean it in all columns.
    """
    owners = {
        value: column.name
        for column in survey.columns
        if column.kind == "category" and not column.is_boolean
        for value in column.values
    }
    columns = []
    for column in survey.columns:
        word = next((stray for stray in column.strays if stray in owners), None)
        if word is not None:
            shown, owner = sanitize_text(word, limit=40), sanitize_text(owners[word], limit=60)
            kind = "dates" if column.kind == "date" else "numbers"
            defect = f'it has "{shown}" among {kind}, which is a value of `{owner}`'
            column = replace(column, kind="unique", values=column.values[:1], strays={}, defect=defect)
        columns.append(column)
    return replace(survey, columns=columns)


def _iterate_files(iterate: Callable[[Path], Iterator[Any]], first: Path, *more: Path) -> Iterator[Any]:
    """Yield the rows of several files, with the columns in the order of the first file.

    Raises:
        PreviewError: a file has different columns.
    """
    names: list[str] | None = None
    for path in (first, *more):
        for table in iterate(path):
            names = names or table.column_names
            repeated = next((name for name, count in Counter(table.column_names).items() if count > 1), None)
            if repeated is not None:
                raise PreviewError(
                    f"{path} has several columns with the name `{sanitize_text(repeated, limit=60)}`.",
                    "Give each column another name.",
                )
            different = sorted({*table.column_names} ^ {*names})
            if different:
                column = sanitize_text(different[0], limit=60)
                missing, present = (path, first) if different[0] in names else (first, path)
                raise PreviewError(
                    f"{missing} has no column `{column}`, but {present} has.",
                    "Name files with the same columns.",
                )
            yield table.select(names)


def _require_one_header(
    path: Path, survey: TableSurvey, locate: Callable[[int], str], header_line: int
) -> None:
    """Check that no row repeats the header, as in files that were joined.

    Raises:
        PreviewError: one does.
    """
    from layercli.formats.csv.source import shell_name

    if survey.header_row is not None:
        name, number = shell_name(path), header_line
        raise PreviewError(
            f"{path} repeats its header in {locate(survey.header_row)}, as if several files were joined.",
            f"Remove it: `awk 'NR == {number} {{h = $0}} NR == {number} || $0 != h' {name} > table.csv`.",
        )


def _require_rows(path: Path, survey: TableSurvey) -> None:
    if not survey.row_count:
        raise PreviewError(f"{path} has no rows of values.")


def _make_column_keys(survey: TableSurvey, words: Sequence[str] | None) -> dict[str, Any]:
    """Return the keys for values that are not numbers in columns of numbers, and for words that are values."""
    strays = dict.fromkeys(
        stray
        for column in survey.columns
        if column.kind in ("number", "integer", "date")
        for stray in column.strays
    )
    footers = [footer.text for footer in survey.footers]
    if not strays and not footers and words is None:
        return {}
    values = dict.fromkeys([*([DEFAULT_WORD] if words is None else words), *strays, *footers])
    dropped = dict.fromkeys((footer.column for footer in survey.footers), "drop")
    return {"missing": {"values": list(values)} | ({"columns": dropped} if dropped else {})}


def _describe_form(keys: Mapping[str, Any], path: Path) -> Iterator[str]:
    from layercli.formats.csv.encodings import find_encoded_word

    example = find_encoded_word(path, keys["encoding"]) if "encoding" in keys else None
    titles = {
        "encoding": "encoding {}"
        + ("" if example is None else f', as in "{sanitize_text(example, limit=40)}"'),
        "separator": "separator {!r}",
        "comment": "comments after {!r}",
        "skip_lines": "the header after line {}",
        "decimal": "decimal sign {!r}",
        "thousands": "thousands separated by {!r}",
    }
    if keys.get("skip_lines") and "columns" in keys:
        titles["skip_lines"] = "the names of the columns up to line {}"
    found = [title.format(keys[key]) for key, title in titles.items() if key in keys]
    if found:
        yield f"Found {', '.join(found)}."
    if keys.get("columns", [""])[:2] == ["column_1", "column_2"]:
        yield "The file has no header line; its columns are column_1, column_2, and so on."


def _describe_columns(
    survey: TableSurvey, words: Sequence[str] | None, locate: Callable[[int], str] | None
) -> Iterator[str]:
    for column in survey.columns:
        name = sanitize_text(column.name, limit=60)
        if column.strays:
            kind = "dates" if column.kind == "date" else "numbers"
            row = min(column.strays.values())
            place = f"row {row + 1:,}" if locate is None else locate(row)
            listed = ", ".join(f'"{sanitize_text(stray, limit=40)}"' for stray in [*column.strays][:4])
            yield (
                f"`{name}` has {kind} except for {_count_values(column)} such as {listed}, first in {place}: "
                "they are read as missing."
            )
        elif column.is_ambiguous_date:
            yield f"The dates of `{name}` are read with the {'day' if column.date_order == 'dmy' else 'month'} first."
        if column.note is not None and not column.is_boolean:
            yield f"`{name}` {column.note}."
        sentinel = survey.find_sentinel(column) if column.kind in ("number", "integer") else None
        if sentinel is not None:
            yield (
                f"`{name}` has {sentinel[0]} in {sentinel[1]:,} rows, unlike its other values: it is read as a number. If it "
                "means a missing value, add it to `values` of `missing`."
            )
        if words is not None and _NONE_WORD in column.values:
            yield f'"{_NONE_WORD}" is a value of `{name}`, and not a missing value.'


def _count_values(column: ColumnFacts) -> str:
    return "1 value" if column.stray_count == 1 else f"{column.stray_count:,} values"


def preview_images(files: Sequence[Path]) -> ImagesPreview:
    """Return the sizes and colors of images, from the headers of some of them."""
    chosen = files[:: max(1, -(-len(files) // _MAX_IMAGES))]
    headers = [header for file in chosen if (header := _read_image_header(file)) is not None]
    return ImagesPreview(
        len(files),
        Counter(header.size for header in headers),
        any(header.has_color for header in headers),
        any(header.is_deep for header in headers),
        len(chosen) - len(headers),
    )


@dataclass(frozen=True, slots=True)
class _ImageHeader:
    """The size and colors of an image."""

    size: tuple[int, int]
    """(height, width)."""
    has_color: bool
    is_deep: bool
    """Whether it has more than 8 bits per value."""


def _read_image_header(file: Path) -> _ImageHeader | None:
    """Return the header of an image without decoding it; None if it cannot be read."""
    from layercli.data.memory import MAX_ITEM_BYTES
    from layercli.formats.images.decode import measure_image, open_image
    from layercli.formats.images.high_bit_depth import is_high_bit_depth

    def read(image: Any) -> _ImageHeader:
        return _ImageHeader(measure_image(image), has_color(image), is_high_bit_depth(image))

    found = open_image(file, read, MAX_ITEM_BYTES, is_decoded=False)
    return found if isinstance(found, _ImageHeader) else None

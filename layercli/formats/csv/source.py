"""The bytes of a CSV file as UTF-8: decompressed, decoded, and without comments and lines above the header."""

from __future__ import annotations

import bz2
import codecs
import gzip
import html
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from layercli.data.data_error import PATH_KEY, raise_data_error
from layercli.formats.csv.config import Csv
from layercli.formats.table_types import find_binary_type
from layercli.io.archives import ArchiveError, open_zip
from layercli.io.folders import is_hidden
from layercli.io.tracked_file import open_tracked
from layercli.source.nodes import sanitize_text

READ_ERRORS: Final = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""The errors of reading a file that is damaged, or that is not in its declared encoding."""
_CONTROL_BYTES: Final = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1b"))
"""Bytes that texts do not contain."""
_MAX_CONTROL_BYTES = 3
_BLOCK_BYTES = 1 << 20
_MAX_GZIP_RATIO = 1032
"""The largest ratio of the sizes of a text and its gzipped file."""
_FREE_EXPANDED_BYTES = 1 << 30
_PLAUSIBLE_RATIO = 100
"""A compressed file that expands to over 1 GiB with a larger ratio was made to take long."""
_MAX_DICTIONARY_BYTES = 1 << 30
"""Memory that the decompression of an xz file may take; `xz -9` needs 65 MiB."""
_HEXADECIMAL = re.compile(rb"0[xX][0-9A-Fa-f]")
_FREE_STREAMS = 100_000
_MIN_STREAM_BYTES = 256
"""A file with more streams of bz2 or xz, most of them smaller than this, was made to take long: each takes some memory."""
_FREE_LINES = 5_000_000
"""A compressed file with more lines, most of them empty, and more lines than bytes, was made to take long."""
_SHORT_LINE_BYTES = 3
"""Bytes of a line that can be empty, such as two quotes or brackets and its end."""
BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMPRESSIONS: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
)


def _write_pandas_command(packages: str, reader: str) -> str:
    code = f"import pandas; pandas.{reader}.to_csv('{{stem}}-table.csv', index=False)"
    return f'pip install {packages} && python -c "{code}"'


def _write_arrow_command(module: str, reader: str) -> str:
    code = (
        f"from pyarrow import {module}, parquet; parquet.write_table({module}.{reader}, '{{stem}}.parquet')"
    )
    return f'python -c "{code}"'


_LFS_POINTER: Final = "a pointer of Git LFS"
_EXCEL_WORKBOOK: Final = "an Excel workbook"
_CONVERSIONS: Final = {
    _EXCEL_WORKBOOK: _write_pandas_command("pandas openpyxl", "read_excel('{name}')"),
    "an old Excel workbook": _write_pandas_command("pandas xlrd", "read_excel('{name}')"),
    "an OpenDocument spreadsheet": _write_pandas_command(
        "pandas odfpy", "read_excel('{name}', engine='odf')"
    ),
    "a JSON document": _write_pandas_command("pandas", "read_json('{name}')"),
    "a Feather file of version 1": _write_arrow_command("feather", "read_table('{name}')"),
    "an ORC file": _write_arrow_command("orc", "read_table('{name}')"),
    "a web page (HTML)": _write_pandas_command("pandas lxml", "read_html('{name}')[0]"),
    "a Stata file": _write_pandas_command("pandas", "read_stata('{name}')"),
    "a SAS file": _write_pandas_command("pandas", "read_sas('{name}', encoding='utf-8')"),
    "an SPSS file": _write_pandas_command("pandas pyreadstat", "read_spss('{name}')"),
    "an HDF5 file": _write_pandas_command("pandas tables", "read_hdf('{name}')"),
}
"""Formats of tables that are not read, and the command that converts a file."""
_SHEET_COMMAND: Final = _write_pandas_command("pandas openpyxl", "read_excel('{name}', sheet_name=0)")
_PLAIN_NAME: Final = re.compile(r"[\w./ -]+")
_SHEET: Final = re.compile(r"<(?:\w+:)?sheet\b[^<>]*?\bname=[\"']([^\"']+)")
_MAX_WORKBOOK_BYTES: Final = 1 << 20
_MAX_DIRECTORY_BYTES: Final = 1 << 20
"""Largest list of members in a zipped table, which has one member; the list is read each time the table is opened."""
_MAX_LISTED_SHEETS: Final = 8
_SIGNATURES: Final = (
    (b"FEA1", "a Feather file of version 1"),
    (b"ORC", "an ORC file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"$FL2", "an SPSS file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\x93NUMPY", "an array of NumPy (.npy)"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"<stata_dta>", "a Stata file"),
    (b"version https://git-lfs.github.com/spec/", _LFS_POINTER),
)


_BINARY_SUFFIXES: Final = {".dta": "a Stata file", ".sas7bdat": "a SAS file"}
"""Formats whose files have no signature."""


@contextmanager
def open_bytes(file: Path, *, are_json_lines: bool = False) -> Iterator[IO[bytes]]:
    """Open a file, plain or compressed; it is a table, or with ``are_json_lines`` one of JSON lines.

    Raises:
        DataError: it is not text, or an archive of several files.
    """
    with file.open("rb") as raw:
        start = raw.read(4096)
        refuse_other_formats(file, start, are_json_lines=are_json_lines)
    with open_tracked(file) as tracked:
        if start.startswith(b"PK\x03\x04"):
            with (
                open_zip(tracked, _MAX_DIRECTORY_BYTES) as archive,
                archive.open(_find_only_member(file, archive)) as member,
            ):
                yield _limit_stream(member, file)
            return
        kind = next((kind for signature, kind in _COMPRESSIONS if start.startswith(signature)), None)
        if kind is None:
            yield tracked
            return
        with _OPENERS[kind](tracked) as opened:
            yield _limit_stream(opened, file)


def _limit_stream(stream: Any, file: Path) -> IO[bytes]:
    """Return the content of a compressed file; reading more than is plausible for its size raises OSError."""
    size = file.stat().st_size
    limited = _LimitedStream(
        stream, max(_FREE_EXPANDED_BYTES, _PLAUSIBLE_RATIO * size), max(_FREE_LINES, size)
    )
    return cast("IO[bytes]", io.BufferedReader(limited, _BLOCK_BYTES))


class _LimitedStream(io.RawIOBase):
    """A stream of which at most ``limit`` bytes and ``max_lines`` lines can be read."""

    def __init__(self, stream: Any, limit: int, max_lines: int) -> None:
        super().__init__()
        self._stream = stream
        self._limit = self._remaining = limit
        self._max_lines = self._remaining_lines = max_lines

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer.

        Raises:
            ArchiveError: the compressed file is damaged.
            OSError: the stream is longer than a limit, or the disk cannot be read.
        """
        try:
            content = self._stream.read(len(buffer))
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            if getattr(error, "errno", None) is not None:
                raise
            raise ArchiveError(str(error).rstrip(".") or "it is damaged") from None
        self._remaining -= len(content)
        if self._remaining < 0:
            raise OSError(f"it expands to more than {self._limit:,} bytes, which is implausible for its size")
        self._remaining_lines -= max(content.count(b"\n"), content.count(b"\r"))
        read_bytes = self._limit - self._remaining
        lines = self._max_lines - self._remaining_lines
        if self._remaining_lines < 0 and read_bytes <= _SHORT_LINE_BYTES * lines:
            raise OSError(f"it has more than {self._max_lines:,} lines that are empty or nearly so")
        buffer[: len(content)] = content
        return len(content)


def max_compression_ratio(file: Path) -> int | None:
    """Return the largest possible ratio of the sizes of a text and its file; None if any is possible."""
    with file.open("rb") as raw:
        start = raw.read(8)
    if start.startswith(b"\x1f\x8b"):
        return _MAX_GZIP_RATIO
    return None if start.startswith((b"PK\x03\x04", *(mark for mark, _ in _COMPRESSIONS))) else 1


def _open_zstd(file: IO[bytes]) -> Any:
    import pyarrow as pa

    return io.BufferedReader(pa.CompressedInputStream(file, "zstd"))


def _make_xz_decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_DICTIONARY_BYTES)


def has_hexadecimal(file: Path) -> bool:
    """Return whether a file contains text such as 0x1F anywhere."""
    end = b""
    with open_bytes(file) as stream:
        while block := stream.read(_BLOCK_BYTES):
            block = end + block
            # Most numeric tables have no x, and this is much faster than the expression.
            if (b"x" in block or b"X" in block) and _HEXADECIMAL.search(block):
                return True
            end = block[-2:]
    return False


class _StreamsReader(io.RawIOBase):
    """The content of a file of several compressed streams; the readers of Python ignore damaged ones after the first."""

    def __init__(self, file: IO[bytes], make_decompressor: Callable[[], Any], padding_unit: int) -> None:
        """Read the streams in ``file``, with multiples of ``padding_unit`` zeros after each; 0: no zeros are permitted."""
        super().__init__()
        self._file = file
        self._make_decompressor = make_decompressor
        self._padding_unit = padding_unit
        self._decompressor = make_decompressor()
        self._count = 1
        self._read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer.

        Raises:
            EOFError: the last stream is incomplete.
            ArchiveError: a stream is damaged, or the file has other bytes after a stream.
        """
        content = b""
        while len(buffer) and not content:
            block = b""
            if self._decompressor.eof:
                block = self._read_start(self._decompressor.unused_data)
                if not block:
                    return 0
                self._decompressor = self._make_decompressor()
                self._count += 1
                if self._count > max(_FREE_STREAMS, self._read_bytes // _MIN_STREAM_BYTES):
                    raise ArchiveError(
                        f"it has more than {self._count - 1:,} compressed streams, most of them tiny"
                    )
            elif self._decompressor.needs_input:
                block = self._read_block()
                if not block:
                    raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            try:
                content = self._decompressor.decompress(block, len(buffer))
            except (OSError, lzma.LZMAError) as error:
                kind = "it" if self._count == 1 else f"compressed stream {self._count} in it"
                raise ArchiveError(f"{kind} is damaged: {error}") from None
        buffer[: len(content)] = content
        return len(content)

    def _read_block(self) -> bytes:
        block = self._file.read(_BLOCK_BYTES)
        self._read_bytes += len(block)
        return block

    def _read_start(self, rest: bytes) -> bytes:
        """Return the first bytes of the next stream, without the zeros before it; none at the end of the file."""
        zeros, start = 0, b""
        while not start and (block := rest or self._read_block()):
            rest = b""
            start = block.lstrip(b"\0") if self._padding_unit else block
            zeros += len(block) - len(start)
        if self._padding_unit and zeros % self._padding_unit:
            raise ArchiveError(
                f"the number of zeros after a stream is {zeros:,}, not a multiple of {self._padding_unit}"
            )
        return start


_OPENERS: Final[dict[str, Callable[[IO[bytes]], Any]]] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "bz2": lambda file: _StreamsReader(file, bz2.BZ2Decompressor, 0),
    "xz": lambda file: _StreamsReader(file, _make_xz_decompressor, 4),
    "zstd": _open_zstd,
}


def _find_only_member(file: Path, archive: zipfile.ZipFile) -> str:
    """Return the name of the only file in an archive.

    Raises:
        DataError: it is an Excel workbook, or has several files.
    """
    names = [
        info.filename
        for info in archive.infolist()
        if not info.is_dir() and not any(map(is_hidden, PurePosixPath(info.filename).parts))
    ]
    if "[Content_Types].xml" in names:
        _refuse_format(file, _EXCEL_WORKBOOK, _list_sheets(archive))
    if "mimetype" in names:
        _refuse_format(file, "an OpenDocument spreadsheet")
    if len(names) != 1:
        listed = ", ".join(sanitize_text(name, limit=40) for name in names[:5])
        raise_data_error(
            f"{sanitize_text(str(file))} must contain one file, got {len(names)}: {listed or 'none'}.",
            PATH_KEY,
            "Extract it, and name the file that is the table.",
        )
    return names[0]


def refuse_other_formats(file: Path, start: bytes, *, are_json_lines: bool = False) -> None:
    """Check that a file that begins with these bytes is compressed, or text that can be a table.

    Raises:
        DataError: it is a file of another format; with the command that converts it.
    """
    if (table_type := find_binary_type(start)) is not None:
        _refuse_type(file, table_type.file_noun, table_type.type_name())
    for signature, title in _SIGNATURES:
        if start.startswith(signature):
            _refuse_format(file, title)
    if _is_binary(start):
        _refuse_format(file, _BINARY_SUFFIXES.get(file.suffix.lower(), "a binary file"))
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if text[:200].lower().startswith((b"<!doctype html", b"<html", b"<?xml")):
        _refuse_format(file, "a web page (HTML)" if b"html" in text[:500].lower() else "an XML document")
    if are_json_lines:
        return
    if are_first_json_lines(text):
        _refuse_type(file, "a file of JSON lines", "jsonl")
    if re.match(rb'\{\s*"[^"\n]*"\s*:', text) or re.match(rb'\[\s*\{\s*"', text):
        _refuse_format(file, "a JSON document")


def are_first_json_lines(start: bytes) -> bool:
    """Return whether a file that begins with these bytes has a JSON object on its first line."""
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    line, is_complete, _ = text.partition(b"\n")
    return re.match(rb'\{\s*"[^"\n]*"\s*:', text) is not None and (
        line.rstrip().endswith(b"}") or not is_complete
    )


def _is_binary(start: bytes) -> bool:
    """Return whether the first bytes of a file are neither compressed nor text in a common encoding."""
    if start.startswith((b"PK\x03\x04", *(mark for mark, _ in (*_COMPRESSIONS, *BYTE_ORDER_MARKS)))):
        return False
    zeros = [start[offset::2].count(0) for offset in (0, 1)]
    if max(zeros) > len(start) // 4 and min(zeros) == 0:
        return False  # UTF-16 without a byte order mark
    control_bytes = len(start) - len(start.translate(None, _CONTROL_BYTES))
    return control_bytes > max(_MAX_CONTROL_BYTES, len(start) // 50)


def _list_sheets(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the sheets of an Excel workbook; none if they cannot be read."""
    try:
        with archive.open("xl/workbook.xml") as member:
            text = member.read(_MAX_WORKBOOK_BYTES).decode(errors="replace")
    except (KeyError, *READ_ERRORS):
        return []
    return [html.unescape(name) for name in _SHEET.findall(text)]


def _refuse_format(file: Path, title: str, sheets: Sequence[str] = ()) -> None:
    """Refuse a file of another format; ``sheets`` are those of a workbook.

    Raises:
        DataError: always; with the command that converts the file.
    """
    shown = sanitize_text(str(file))
    has_sheets = len(sheets) > 1
    if has_sheets:
        listed = ", ".join(sanitize_text(name, limit=40) for name in sheets[:_MAX_LISTED_SHEETS])
        title += f" of {len(sheets)} sheets ({listed}{', ...' if len(sheets) > _MAX_LISTED_SHEETS else ''})"
    hint = "Save the table as CSV or Parquet."
    if title == _LFS_POINTER:
        hint = "Download the table itself: `git lfs pull`."
    command = _SHEET_COMMAND if has_sheets else _CONVERSIONS.get(title)
    if command is not None:
        name = shell_name(file)
        hint = f"Convert it: {command.format(name=name, stem=name.removesuffix(file.suffix))}"
    if has_sheets:
        hint += ". `sheet_name` is the number of the sheet with the table, from 0."
    raise_data_error(f"{shown} is {title}, not a table of text.", PATH_KEY, hint)


def _refuse_type(file: Path, noun: str, type_name: str) -> None:
    """Refuse a table of another data type.

    Raises:
        DataError: always.
    """
    message = f"{sanitize_text(str(file))} is {noun}, not a table of text."
    raise_data_error(message, ("data", "type"), f"Set `type: {type_name}`.")


def shell_name(file: Path) -> str:
    """Return the name of a file for a command; FILE if it has quotes or signs that could change the command."""
    return file.as_posix() if _PLAIN_NAME.fullmatch(file.as_posix()) else "FILE"


def find_encoding(file: Path, data: Csv) -> str:
    """Return the encoding of a file: that of its byte order mark, or the declared one."""
    with open_bytes(file) as stream:
        start = stream.read(4)
    marked = next((name for mark, name in BYTE_ORDER_MARKS if start.startswith(mark)), None)
    return marked or data.encoding


@contextmanager
def open_utf8(file: Path, data: Csv) -> Iterator[IO[bytes]]:
    """Open a file as UTF-8 without byte order mark; skipped lines and comments are empty lines.

    So every line keeps its number.
    """
    encoding = find_encoding(file, data)
    with open_bytes(file) as stream:
        if codecs.lookup(encoding).name == "utf-8" and not data.skip_lines and data.comment is None:
            yield stream
            return
        yield _clean(stream, encoding, data)


def make_peekable(stream: IO[bytes]) -> io.BufferedReader:
    """Return a stream whose next bytes can be seen before they are read."""
    if hasattr(stream, "peek"):
        return cast("io.BufferedReader", stream)
    return io.BufferedReader(cast("io.RawIOBase", stream))


def clean_stream(stream: IO[bytes], data: Csv) -> IO[bytes]:
    """Return an open stream as UTF-8, as ``open_utf8`` returns a file; it may also have JSON lines.

    Raises:
        DataError: it is neither.
    """
    buffered = make_peekable(stream)
    start = buffered.peek(4)
    if start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        return buffered
    refuse_other_formats(Path("-"), start)
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if start.startswith(mark)), data.encoding)
    if codecs.lookup(encoding).name == "utf-8" and not data.skip_lines and data.comment is None:
        return buffered
    return _clean(buffered, encoding, data)


def _clean(stream: IO[bytes], encoding: str, data: Csv) -> IO[bytes]:
    return cast("IO[bytes]", io.BufferedReader(_CleanStream(stream, encoding, data), _BLOCK_BYTES))


class _CleanStream(io.RawIOBase):
    """A stream of UTF-8 with empty lines instead of skipped lines and comments."""

    def __init__(self, stream: IO[bytes], encoding: str, data: Csv) -> None:
        super().__init__()
        self._stream = stream
        decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        self._skipped_lines = data.skip_lines
        self._comment = (
            None if data.comment is None else re.compile(rf"(?m)^[ \t]*{re.escape(data.comment)}[^\n]*")
        )
        self._rest = ""
        self._output = b""
        self._is_finished = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._output and not self._is_finished:
            self._fill_buffer()
        count = min(len(buffer), len(self._output))
        buffer[:count] = self._output[:count]
        self._output = self._output[count:]
        return count

    def _fill_buffer(self) -> None:
        # What is available, so that a pipe does not wait for a whole block.
        block = cast("io.BufferedReader", self._stream).read1(_BLOCK_BYTES)
        self._is_finished = not block
        text = self._rest + self._decoder.decode(cast("Any", block), final=self._is_finished)
        end = len(text) if self._is_finished else text.rfind("\n") + 1
        if not end and len(text) > 16 * _BLOCK_BYTES:
            end = len(text)  # a line without end: it is too long to be a line of a table
        text, self._rest = text[:end], text[end:]
        count, start = 0, 0
        while count < self._skipped_lines and start < len(text):
            start = text.find("\n", start) + 1 or len(text)
            count += 1
        self._skipped_lines -= count
        text = text[start:]
        if self._comment is not None:
            text = self._comment.sub("", text)
        self._output = b"\n" * count + text.encode()

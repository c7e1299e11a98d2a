"""The reader of text data."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from layercli.data.class_folders import list_class_files, list_new_files
from layercli.data.examples import Dataset, Examples
from layercli.data.lazy import LazyDataset
from layercli.data.memory import MAX_ITEM_BYTES, describe_excess, is_too_large_to_load, limit_item_bytes
from layercli.data.paths import hash_content_sample
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array, DataError, make_data_finding
from layercli.formats import registry
from layercli.formats.csv.encodings import (
    guess_encoding,
    guess_text_encoding,
    is_mostly_utf8,
    is_other_utf8,
)
from layercli.formats.csv.reader import suggest_encoding
from layercli.formats.csv.source import BYTE_ORDER_MARKS
from layercli.formats.text.config import TEXT_SUFFIXES, Text
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

_BYTES_PER_STORED_BYTE = 5
"""Memory for a byte of a file while it is decoded: the byte, and a character that may take four."""
_BYTES_PER_TEXT = 100
_MAX_GUESSED_FILES = 10_000
_MAX_GUESSED_BYTES = 1 << 16
_MAX_GUESSED_TEXTS = 100


def read_dataset(data: Text, memory: int | None) -> Dataset:
    """Return all texts as objects of shape (samples, 1), with the label of their folder or the target of their row.

    Raises:
        DataError: a file is not text in UTF-8; there is one finding for each such file.
    """
    table = data.as_table()
    if table is not None:
        try:
            return registry.load_dataset(table, memory=memory)
        except DataError as error:
            findings = {
                _point_to_column(finding) for finding in error.findings
            }  # a set, because each use of the column repeats its finding
            raise DataError(*findings) from None
    found = list_class_files(Path(data.path), TEXT_SUFFIXES)
    return _build_dataset(data, found.files, found.labels, found.class_names, memory, found.warnings)


def read_new_dataset(
    data: Text, paths: Sequence[str], reader_state: ReaderState, memory: int | None, *, has_targets: bool
) -> Dataset:
    """Return texts that are not from training; see ``Reader`` and ``list_new_files``.

    Raises:
        DataError: a file is not text in UTF-8, or has an unknown class.
    """
    table = data.as_table()
    if table is not None:
        return registry.load_new_dataset(table, paths, reader_state, memory=memory, has_targets=has_targets)
    files, labels, warnings = list_new_files(
        paths, TEXT_SUFFIXES, reader_state.single_target_classes(), has_targets=has_targets
    )
    return _build_dataset(data, files, labels, reader_state.single_target_classes(), memory, warnings)


def _build_dataset(
    data: Text,
    files: Sequence[Path],
    labels: Array,
    class_names: tuple[str, ...],
    memory: int | None,
    warnings: tuple[Finding, ...] = (),
) -> Dataset:
    sizes = [file.stat().st_size for file in files]
    row_bytes = _BYTES_PER_STORED_BYTE * max(sizes, default=0)
    texts = _LazyTexts(tuple(files), data.encoding, row_bytes, limit_item_bytes(memory))
    row_indices = np.arange(len(files))
    decoded_bytes = _BYTES_PER_STORED_BYTE * sum(sizes) + _BYTES_PER_TEXT * len(files)
    if is_too_large_to_load(decoded_bytes, max(1, sum(sizes)), memory):
        content_id = hash_content_sample(files)
        return LazyDataset(
            {None: texts}, {None: labels}, content_id, row_indices, class_names, warnings=warnings
        )
    return Examples(texts[row_indices], labels, class_names, warnings=warnings)


def _point_to_column(finding: Finding) -> Finding:
    """Return the finding at the column, if its path is in the section of the table."""
    return replace(finding, path=("data", "column")) if finding.path[1] in ("inputs", "types") else finding


@dataclass(frozen=True, slots=True)
class _LazyTexts:
    """The texts of files, each of which is read when it is needed."""

    paths: tuple[Path, ...]
    encoding: str = "utf-8"
    row_bytes: int = 0
    """Memory that the largest of the texts takes."""
    max_bytes: int = MAX_ITEM_BYTES
    """Memory that reading one text may take."""

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Array) -> Array:
        """Return texts as objects of shape (rows, 1)."""
        texts, findings = np.empty((len(rows), 1), dtype=object), []
        for number, row in enumerate(rows.tolist()):
            text = _read_text(self.paths[row], self.encoding, self.max_bytes)
            if isinstance(text, Finding):
                findings.append(text)
            else:
                texts[number, 0] = text
        if findings:
            if guess_common_encoding(self.paths)[1] is not None:
                hint = f"Save it as {self.encoding}, as other files are."
                findings = [
                    replace(each, hint=hint) if each.hint and "`encoding: " in each.hint else each
                    for each in findings
                ]
            raise DataError(*findings)
        return texts


def _read_text(file: Path, encoding: str, max_bytes: int) -> str | Finding:
    """Return the text of a file, or the finding of a file that cannot be read with this memory."""
    shown = sanitize_text(str(file))
    try:
        needed = _BYTES_PER_STORED_BYTE * file.stat().st_size
        if needed > max_bytes:
            message = f"The text {shown} needs {describe_excess(needed, max_bytes)}."
            return make_data_finding(message, ("data", "path"), "Split it into several files, or remove it.")
        content = file.read_bytes()
        text = decode_text(content, encoding)
        if is_other_utf8(content, encoding):
            return make_data_finding(
                f"The text {shown} is UTF-8, but `encoding` is {encoding}.",
                ("data", "encoding"),
                suggest_encoding(file, "utf-8", encoding),
            )
        return text
    except UnicodeError as error:
        reason = sanitize_text(str(error), limit=150)
        guess = guess_encoding(file)
        hint = f"Set `encoding: {guess}`, which the file seems to have, or save it as {encoding}."
        if guess == encoding:
            hint = f"Save it as {encoding}."
        return make_data_finding(f"Cannot read the text {shown}: {reason}.", ("data", "path"), hint)
    except OSError as error:
        reason = sanitize_text(str(error), limit=150)
        return make_data_finding(f"Cannot read the text {shown}: {reason}.", ("data", "path"), None)


def guess_common_encoding(files: Iterable[Path]) -> tuple[str | None, Path | None]:
    """Return the encoding of files if they are not UTF-8, and the first file that has another encoding than the others."""
    others: list[bytes] = []
    first: dict[bool, Path] = {}
    for file in islice(files, _MAX_GUESSED_FILES):
        with file.open("rb") as stream:
            content = stream.read(_MAX_GUESSED_BYTES)
        if content.isascii() or content.startswith(tuple(mark for mark, _ in BYTE_ORDER_MARKS)):
            continue
        is_utf8 = is_mostly_utf8(content)
        first.setdefault(is_utf8, file)
        if not is_utf8 and len(others) < _MAX_GUESSED_TEXTS:
            others.append(content)
    if not others:
        return None, None
    return (None, first[False]) if True in first else (guess_text_encoding(b"\n".join(others)), None)


def decode_text(content: bytes, encoding: str) -> str:
    """Return the text of a file, with its byte order mark if it has one, and with line ends as in Python.

    Raises:
        UnicodeError: it is not in this encoding.
    """
    marked = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), encoding)
    text = content.decode("utf-8-sig" if codecs.lookup(marked).name == "utf-8" else marked)
    return text.replace("\r\n", "\n").replace("\r", "\n")

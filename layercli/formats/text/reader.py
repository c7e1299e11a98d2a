"""The reader of text data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from layercli.formats.text.config import TEXT_SUFFIXES, Text
from layercli.graph.finding import Finding
from layercli.source.nodes import sanitize_text

_BYTES_PER_STORED_BYTE = 5
"""Memory for a byte of a file while it is decoded: the byte, and a character that may take four."""
_BYTES_PER_TEXT = 100


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
    return _build_dataset(found.files, found.labels, found.class_names, memory, found.warnings)


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
    files, labels = list_new_files(
        paths, TEXT_SUFFIXES, reader_state.single_target_classes(), has_targets=has_targets
    )
    return _build_dataset(files, labels, reader_state.single_target_classes(), memory)


def _build_dataset(
    files: Sequence[Path],
    labels: Array,
    class_names: tuple[str, ...],
    memory: int | None,
    warnings: tuple[Finding, ...] = (),
) -> Dataset:
    sizes = [file.stat().st_size for file in files]
    texts = _LazyTexts(tuple(files), _BYTES_PER_STORED_BYTE * max(sizes, default=0), limit_item_bytes(memory))
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
            text = _read_text(self.paths[row], self.max_bytes)
            if isinstance(text, Finding):
                findings.append(text)
            else:
                texts[number, 0] = text
        if findings:
            raise DataError(*findings)
        return texts


def _read_text(file: Path, max_bytes: int) -> str | Finding:
    """Return the text of a file, or the finding of a file that cannot be read with this memory."""
    shown = sanitize_text(str(file))
    try:
        needed = _BYTES_PER_STORED_BYTE * file.stat().st_size
        if needed > max_bytes:
            message = f"The text {shown} needs {describe_excess(needed, max_bytes)}."
            return make_data_finding(message, ("data", "path"), "Split it into several files, or remove it.")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = sanitize_text(str(error), limit=150)
        return make_data_finding(
            f"Cannot read the text {shown}: {reason}.", ("data", "path"), "Save it as UTF-8."
        )

"""Checks of the columns of record batches before they are converted: Arrow trusts what a file declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from layercli.data.tables.arrow import is_bytes_type, is_text_type
from layercli.data.types import PATH_KEY, Array, raise_data_error
from layercli.source.nodes import sanitize_text

_VIEW_INTEGERS: Final = 4
"""32-bit integers of a view of a text; the first is its length."""


class ColumnCheck:
    """Checks the columns of one file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._dictionaries: dict[int, tuple[list[int], Array | None]] = {}
        """Position of a column -> the addresses and text lengths of its last dictionary, which batches share."""
        self.view_bytes = 0
        """Bytes of all texts in dictionaries of views, which may share memory until they are converted."""

    def measure_rows(self, batch: Any) -> Array:
        """Return the bytes that each row takes in addition to the buffers of the batch, whose texts rows may share.

        Raises:
            DataError: a text is not UTF-8.
            ValueError: a value refers to memory outside the buffers, which would end the process.
        """
        row_bytes = np.zeros(batch.num_rows, dtype=np.int64)
        for position, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
            lengths = self._measure_column(position, name, column)
            if lengths is not None:
                row_bytes += lengths
        return row_bytes

    def _measure_column(self, position: int, name: str, column: Any) -> Array | None:
        import pyarrow as pa

        if not pa.types.is_dictionary(column.type):
            self._validate(name, column)
            return _measure_texts(column) if _is_view_type(column.type) else None
        lengths = self._check_dictionary(position, name, column.dictionary)
        indices = column.indices
        indices.validate(full=True)
        used = indices.drop_null().to_numpy(zero_copy_only=False)
        if used.size and not 0 <= used.min() <= used.max() < len(column.dictionary):
            raise ValueError(
                f"an index of the column `{sanitize_text(name, limit=60)}` is not in its dictionary"
            )
        if lengths is None:
            return None
        row_lengths = np.zeros(len(column), dtype=np.int64)
        row_lengths[np.asarray(indices.is_valid())] = lengths[used]
        return row_lengths

    def _check_dictionary(self, position: int, name: str, dictionary: Any) -> Array | None:
        addresses = [0 if buffer is None else buffer.address for buffer in dictionary.buffers()]
        known = self._dictionaries.get(position)
        if known is None or known[0] != addresses:
            self._validate(name, dictionary)
            lengths = _measure_texts(dictionary)
            known = self._dictionaries[position] = (addresses, lengths)
            if lengths is not None and _is_view_type(dictionary.type):
                self.view_bytes += int(lengths.sum())
        return known[1]

    def _validate(self, name: str, values: Any) -> None:
        import pyarrow as pa

        if pa.types.is_nested(values.type) or isinstance(values.type, pa.BaseExtensionType):
            return  # they are not read
        try:
            values.validate(full=True)
        except pa.ArrowInvalid:
            if not is_text_type(values.type):
                raise
            raise_data_error(
                f"The column `{sanitize_text(name, limit=60)}` of {sanitize_text(str(self._file))} "
                "contains text that is not UTF-8.",
                PATH_KEY,
                "Save the file in UTF-8.",
            )


def _is_view_type(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def _measure_texts(values: Any) -> Array | None:
    """Return the bytes of each text of a valid array, 0 for null; None if its values are of another kind."""
    from pyarrow import compute

    kind = values.type
    if _is_view_type(kind):
        views = np.frombuffer(values.buffers()[1] or b"", np.int32)[
            values.offset * _VIEW_INTEGERS :: _VIEW_INTEGERS
        ]
        lengths: Array = views[: len(values)].astype(np.int64)
        lengths *= np.asarray(values.is_valid())
        return lengths
    if not (is_text_type(kind) or is_bytes_type(kind)):
        return None
    known = compute.binary_length(values).cast("int64").fill_null(0)
    return np.asarray(known.to_numpy(zero_copy_only=False))

"""Tables that do not fit into memory, opened: their rows, or the sequences of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layercli.config.tables import Table
from layercli.data.arrays import Examples
from layercli.data.cache import Cache, digest
from layercli.data.part import Source
from layercli.data.plan import Plan, known
from layercli.data.rows import Files, locator
from layercli.data.stored import Stored
from layercli.data.stream import Stream
from layercli.data.tables import joined_types, make_plan, refuse
from layercli.data.target import TargetSurvey
from layercli.data.windows import Keys, Line, WindowSource, line_of, window_source
from layercli.source.nodes import printable


def open_stream(data: Table, files: Files, paths: Sequence[Path]) -> Source:
    """All rows of a table's files, as they are needed.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    rows = Stored.of(data, [files.parquet(path) for path in paths])
    locate = locator(files, paths, [metadata.num_rows for metadata in rows.metadata])
    plan = make_plan(joined_types(rows.types()), data, locate)
    survey = TargetSurvey(data)
    rows = rows.counted(plan, survey)
    plan = survey.conclude(plan, locate)
    return _rows_or_windows(Stream(rows, plan))


def open_new_stream(data: Table, files: Files, paths: Sequence[Path], plan: Plan) -> Source:
    """All rows of new files, as they are needed, read as the plan says."""
    rows = Stored.of(data, [files.parquet(path) for path in paths]).counted(plan, None)
    return _rows_or_windows(Stream(rows, plan))


def _rows_or_windows(stream: Stream) -> Source:
    return stream if stream.stored.data.windows is None else windows_of(stream)


def windows_of(stream: Stream) -> WindowSource:
    """The sequences of rows of a stream; the rows' numbers are laid out in a file of the cache, of which the system keeps
    in memory what there is room for.

    Raises:
        RefusedDataError: an input is of text.
    """
    stored, plan, windows = stream.stored, stream.plan, stream.stored.data.windows
    assert windows is not None
    for name in plan.inputs:
        if plan.is_text(name):
            refuse(f"The input `{printable(str(name), limit=60)}` is text, of which no windows are streamed.",
                   ("data", "inputs", str(name)), "Leave it out, or read all rows: `stream: never`.")  # fmt: skip
    inputs = list(plan.inputs.items())
    ends = np.cumsum([len(columns) for _, columns in inputs]).tolist()

    def write(target: Path) -> None:
        shape = (len(stream), ends[-1] + 2)
        file = np.lib.format.open_memmap(target, "w+", np.float32, shape)
        first = 0
        for number in range(len(stored.chunks)):
            read = stored.examples(number, plan)
            arrays = dict(read.arrays)
            weights = np.ones(len(read)) if read.weights is None else read.weights
            columns = [*(arrays[name] for name, _ in inputs), np.asarray(read.y)[:, None], weights[:, None]]
            file[first : first + len(read)] = np.concatenate(columns, axis=1)
            first += len(read)
        file.flush()

    name = f"rows-{digest(stored.key(plan))}.npy"
    rows = np.load(Cache.default().entry(name, write), mmap_mode="r")
    x: Any = {
        name: rows[:, end - len(columns) : end] for (name, columns), end in zip(inputs, ends, strict=True)
    }
    y, weights = (np.array(rows[:, ends[-1] + extra]) for extra in range(2))
    examples = Examples(
        x.get(None, x),
        y if plan.classes is None else y.astype(np.int32),
        plan.class_names,
        dict(plan.inputs),
        weights if plan.weights is not None else None,
    )
    return window_source(examples, _line(stored, plan), windows, plan)


def _line(stored: Stored, plan: Plan) -> Line:
    keys, series, kept_rows = Keys(plan.keys), [], []
    for number in range(len(stored.chunks)) if plan.keys or plan.drop else ():
        table = stored.table(number, [*plan.keys, *plan.drop])
        mask = known(table, plan)
        series.append(keys.of(table))
        kept_rows.append(np.ones(len(table), dtype=bool) if mask is None else mask)
    return line_of(
        np.concatenate([own for own in series if own is not None]) if plan.keys and series else None,
        [metadata.num_rows for metadata in stored.metadata],
        np.concatenate(kept_rows) if plan.drop and kept_rows else None,
    )

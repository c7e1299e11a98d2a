"""Tables that do not fit into memory, opened: their rows, or the sequences of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layercli.config.data.tables import Table
from layercli.data.examples import Array, Examples
from layercli.data.labels import alone
from layercli.data.subset import Source
from layercli.data.tables.cache import Cache, digest
from layercli.data.tables.columns import joined_types, make_plan, refuse
from layercli.data.tables.integers import WholeSurvey
from layercli.data.tables.open import Files, locator
from layercli.data.tables.plan import Plan, known
from layercli.data.tables.row_groups import Stored
from layercli.data.tables.streamed import Stream
from layercli.data.tables.target_inference import TargetSurvey, conclude
from layercli.data.tables.windows import Keys, Line, WindowSource, line_of, window_source
from layercli.source.nodes import printable


def open_stream(
    data: Table, files: Files, paths: Sequence[Path], integers: Mapping[str | None, str]
) -> Source:
    """All rows of a table's files, as they are needed.

    Raises:
        RefusedDataError: a file cannot be read, or a column is not there or not of numbers.
    """
    rows = Stored.of(data, [files.parquet(path) for path in paths])
    locate = locator(files, paths, [metadata.num_rows for metadata in rows.metadata])
    plan = make_plan(joined_types(rows.types()), data, locate, integers)
    surveys, whole = [TargetSurvey(data, name) for name in plan.targets], WholeSurvey(plan)
    rows = rows.counted(plan, surveys, whole)
    whole.conclude(locate)
    plan = conclude(surveys, plan, locate)
    return _rows_or_windows(Stream(rows, plan))


def open_new_stream(data: Table, files: Files, paths: Sequence[Path], plan: Plan) -> Source:
    """All rows of new files, as they are needed, read as the plan says."""
    rows = Stored.of(data, [files.parquet(path) for path in paths])
    whole = WholeSurvey(plan)
    counted = rows.counted(plan, (), whole)
    whole.conclude(locator(files, paths, [metadata.num_rows for metadata in rows.metadata]))
    rows = counted
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
    exact = [name for name in plan.inputs if name in plan.integers]
    others = [name for name in plan.inputs if name not in plan.integers]
    rows, x = _laid_out(stream, others, np.float32, targets=True)
    if exact:
        x |= _laid_out(stream, exact, np.int64)[1]
    x = {name: x[name] for name in plan.inputs}
    targets = list(plan.targets) or [None]
    y = {name: np.array(rows[:, index - len(targets) - 1]) for index, name in enumerate(targets)}
    for name, target in plan.targets.items():
        y[name] = y[name] if target.classes is None else y[name].astype(np.int32)
    examples = Examples(
        x.get(None, x),
        alone(y),
        plan.class_names,
        dict(plan.inputs),
        np.array(rows[:, -1]) if plan.weights is not None else None,
    )
    return window_source(examples, _line(stored, plan), windows, plan)


def _laid_out(
    stream: Stream, names: Sequence[str | None], dtype: type[np.generic], *, targets: bool = False
) -> tuple[Array, dict[str | None, Any]]:
    """The rows of some inputs in a file of the cache, with ``targets`` then these and the weight; and each input in it."""
    stored, plan = stream.stored, stream.plan
    ends = np.cumsum([len(plan.inputs[name]) for name in names], dtype=int).tolist()

    def write(target: Path) -> None:
        width = (ends[-1] if ends else 0) + (max(len(plan.targets), 1) + 1 if targets else 0)
        file = np.lib.format.open_memmap(target, "w+", dtype, (len(stream), width))
        first = 0
        for number in range(len(stored.chunks)):
            read = stored.examples(number, plan)
            arrays = dict(read.arrays)
            columns = [arrays[name] for name in names]
            if targets:
                weights = np.ones(len(read)) if read.weights is None else read.weights
                columns += [array[:, None] for array in (*(y for _, y in read.targets), weights)]
            file[first : first + len(read)] = np.concatenate(columns, axis=1)
            first += len(read)
        file.flush()

    key = digest([*stored.key(plan), names, np.dtype(dtype).name])
    rows = np.load(Cache.default().entry(f"rows-{key}.npy", write), mmap_mode="r")
    return rows, {
        name: rows[:, end - len(plan.inputs[name]) : end] for name, end in zip(names, ends, strict=True)
    }


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

"""The code of sequences of consecutive rows: the order of the rows, their split in time, and the sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from layercli.config.data.tables import WindowsConfig
from layercli.script.facts import ScriptFacts
from layercli.script.python_source import (
    INDENT,
    CallExpression,
    quote_string,
    render_literal,
    render_statement,
)


def write_series(windows: WindowsConfig, times: Sequence[str]) -> Iterator[str]:
    """Write the number of each row's series as ``series``, and sort ``table`` by series and time.

    ``times`` are the lines that assign the times of the rows to ``times``; empty if the rows stay in their order.
    """
    if windows.by is None:
        yield f"{INDENT}series = np.zeros(len(table), dtype=int)"
    else:
        if len(windows.by) == 1:
            yield f"{INDENT}names = table[{quote_string(windows.by[0])}].to_pylist()"
        else:
            yield from render_statement(render_literal(list(windows.by)), INDENT, before="columns = ")
            yield f"{INDENT}names = list(zip(*(table[name].to_pylist() for name in columns)))"
        yield f"{INDENT}numbers = {{name: number for number, name in enumerate(dict.fromkeys(names))}}"
        yield f"{INDENT}series = np.array([numbers[name] for name in names])"
    yield from times
    if not times and windows.by is None:
        return
    keys = "np.lexsort((times, series))" if times else 'np.argsort(series, kind="stable")'
    yield f"{INDENT}order = {keys}"
    yield f"{INDENT}table, series = table.take(order), series[order]"


def write_series_parts(sizes: tuple[str, str]) -> list[str]:
    """Return the lines that assign the rows of each set to ``parts``: the last ones of each series are for the test.

    ``sizes`` are the sizes of validation and test as code that depends on ``len(rows)``.
    """
    validation, test = sizes
    return [
        f"{INDENT}parts = [], [], []",
        f"{INDENT}ends = np.flatnonzero(np.diff(series)) + 1",
        f"{INDENT}for rows in np.split(np.arange(len(series)), ends):",
        f"{2 * INDENT}validation, test = {validation}, {test}",
        f"{2 * INDENT}train = len(rows) - validation - test",
        f"{2 * INDENT}for part, some in zip(parts, np.split(rows, [train, train + validation])):",
        f"{3 * INDENT}part.append(some)",
        f"{INDENT}parts = [np.concatenate(part) for part in parts]",
    ]


def write_make_windows(windows: WindowsConfig, facts: ScriptFacts) -> list[str]:
    """Return the lines of a function that makes the sequences of a set from its rows."""
    names = facts.set_names
    rows = "{name: array[rows] for name, array in x.items()}" if facts.input_names else "x[rows]"
    others = [f"{name}[targets]" for name in facts.array_names[1:]]
    targets = "starts" + (f" + {windows.first_target_offset}" if windows.first_target_offset else "")
    stride = f", {windows.stride}" if windows.stride > 1 else ""
    ahead = f" - {windows.span - 1}" if windows.span > 1 else ""
    lines = [
        f"def make_windows({', '.join(names)}):",
        f'{INDENT}"""Return sequences of consecutive rows, each of one series, and their targets."""',
        f"{INDENT}ends = [0, *np.flatnonzero(np.diff(series)) + 1, len(series)]",
        f"{INDENT}pairs = zip(ends, ends[1:])",
        f"{INDENT}starts = [np.arange(first, end{ahead}{stride}) for first, end in pairs]",
        f"{INDENT}starts = np.concatenate(starts)",
        f"{INDENT}rows = starts[:, None] + np.arange({windows.length})",
        f"{INDENT}targets = {targets}",
    ]
    if windows.steps is not None:
        lines.append(f"{INDENT}targets = targets[:, None] + np.arange({windows.steps})")
    return [*lines, f"{INDENT}return {', '.join([rows, *others])}"]


def write_windows_of_sets(facts: ScriptFacts, splits: Sequence[str]) -> Iterator[str]:
    """Write the lines of ``main`` that replace the rows of each set by its sequences."""
    if facts.windows is None:
        return
    for split_name in splits:
        arrays = [f"{name}_{split_name}" for name in facts.array_names]
        call = CallExpression("make_windows", (*arrays, f"series_{split_name}"))
        yield from render_statement(call, INDENT, before=f"{', '.join(arrays)} = ")

"""The function ``split`` of a script, which divides the examples as layercli does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from layercli.config.data.section import SplitConfig, SplitSize
from layercli.script.data_script import INDENT
from layercli.script.facts import ScriptFacts
from layercli.script.python_source import LINE_WIDTH, quote_string


def write_split(split: SplitConfig, facts: ScriptFacts, *, shuffle: bool) -> list[str]:
    """Return the lines of ``split``; several inputs or targets are a dict."""
    variables = {name: "y" if name is None else f"y[{quote_string(name)}]" for name in facts.targets}
    count = f"len({next(iter(variables.values()))})"
    order = f"np.random.default_rng(SEED).permutation({count})" if shuffle else f"np.arange({count})"
    validation, test = _write_size(split.validation, count), _write_size(split.test, count)
    lines = [
        f"def split({', '.join(facts.array_names)}):",
        f'{INDENT}"""Split the examples into training, validation and test sets, the same way each time."""',
        f"{INDENT}order = {order}",
        f"{INDENT}validation, test = {validation}, {test}",
        f"{INDENT}train = {count} - validation - test",
    ]
    labels = [
        target.write_labels(variables[name]) for name, target in facts.targets.items() if target.is_labels
    ]
    if split.stratify and labels:
        lines += _write_stratified_parts(labels, count)
    else:
        lines.append(f"{INDENT}parts = np.split(order, [train, train + validation])")
    lines += [
        f'{INDENT}{variables[name]} = np.eye({target.one_hot_units}, dtype="float32")[{target.write_labels(variables[name])}]'
        for name, target in facts.targets.items()
        if target.one_hot_units is not None
    ]
    lines += _write_position_axes(facts, variables)
    rows = [_write_rows("x", is_mapping=bool(facts.input_names))]
    rows.append(_write_rows("y", is_mapping=any(name is not None for name in facts.targets)))
    rows += [_write_rows(name, is_mapping=False) for name in facts.array_names[2:]]
    return [*lines, *_write_return(rows)]


def _write_position_axes(facts: ScriptFacts, variables: Mapping[str | None, str]) -> Iterator[str]:
    """Write the reshaping of targets and weights for outputs with a value for each position."""
    for name, target in facts.targets.items():
        if target.lacks_unit_axis:
            yield f"{INDENT}{variables[name]} = {variables[name]}[..., None]"
    axes = facts.first_target.position_axes
    if facts.has_weights and axes:
        shape = ", ".join(["-1", *["1"] * axes])
        yield f"{INDENT}weights = np.broadcast_to(weights.reshape({shape}), y.shape[:{axes + 1}])"


def _write_stratified_parts(labels: list[str], count: str) -> Iterator[str]:
    if len(labels) == 1:
        subject, classes = "class", f"{labels[0]}[order]"
    else:
        subject, classes = "combination of classes", "classes[order]"
        yield f"{INDENT}stacked = np.stack([{', '.join(labels)}], axis=1)"
        yield f"{INDENT}_, classes = np.unique(stacked, axis=0, return_inverse=True)"
    yield f"{INDENT}# Spread each {subject} evenly, so that every set has its share."
    yield f"{INDENT}labels, positions = {classes}, np.empty({count})"
    yield f"{INDENT}for label in np.unique(labels):"
    yield f"{2 * INDENT}where = np.flatnonzero(labels == label)"
    yield f"{2 * INDENT}positions[where] = (np.arange(len(where)) + 0.5) / len(where)"
    yield f"{INDENT}spread_order = np.lexsort((labels, positions))"
    yield f"{INDENT}parts = np.split(spread_order, [train, train + validation])"
    yield f"{INDENT}parts = [order[np.sort(part)] for part in parts]"


def _write_rows(name: str, *, is_mapping: bool) -> str:
    return f"{{name: array[rows] for name, array in {name}.items()}}" if is_mapping else f"{name}[rows]"


def _write_return(rows: list[str]) -> list[str]:
    """Return the lines of the return statement, wrapped as a formatter wraps them."""
    line = f"{INDENT}return [({', '.join(rows)}) for rows in parts]"
    if len(line) <= LINE_WIDTH:
        return [line]
    inner = f"{2 * INDENT}({', '.join(rows)}) for rows in parts"
    if len(inner) <= LINE_WIDTH:
        return [f"{INDENT}return [", inner, f"{INDENT}]"]
    body = [f"{3 * INDENT}{row}," for row in rows]
    return [
        f"{INDENT}return [",
        f"{2 * INDENT}(",
        *body,
        f"{2 * INDENT})",
        f"{2 * INDENT}for rows in parts",
        f"{INDENT}]",
    ]


def _write_size(size: SplitSize, count: str) -> str:
    assert not isinstance(size, list)  # refused before
    return str(size) if isinstance(size, int) else f"round({size!r} * {count})"

"""The function ``split`` of a script, which divides the examples as layercli does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from layercli.config.data.section import SplitConfig, SplitSize
from layercli.script.facts import ScriptFacts
from layercli.script.python_source import INDENT, LINE_WIDTH
from layercli.script.window_code import write_series_parts


def write_split(split: SplitConfig, facts: ScriptFacts, *, shuffle: bool) -> list[str]:
    """Return the lines of ``split``; several inputs or targets are a dict."""
    split = split.without_own_files()
    variables = facts.name_targets()
    count = f"len({next(iter(variables.values()))})"
    in_blocks = _should_split_in_blocks(facts, shuffle=shuffle)
    order = f"np.random.default_rng(SEED).permutation({count})" if shuffle else f"np.arange({count})"
    validation, test = _write_size(split.validation, count), _write_size(split.test, count)
    if facts.split_key is not None:
        return [
            f"def split({', '.join(facts.loaded_names)}):",
            f'{INDENT}"""Split the examples into training, validation and test sets, the same way each time."""',
            *_write_key_parts(facts.split_key, count, (validation, test), shuffle=shuffle),
            *_write_conversions(facts, variables),
        ]
    lines = [
        f"def split({', '.join(facts.loaded_names)}):",
        f'{INDENT}"""Split the examples into training, validation and test sets, the same way each time."""',
    ]
    if facts.windows is not None:
        sizes = _write_size(split.validation, "len(rows)"), _write_size(split.test, "len(rows)")
        return [*lines, *write_series_parts(sizes), *_write_conversions(facts, variables)]
    labels = _list_labels(split, facts, variables)
    if in_blocks:
        call = f"split_blocks({count}, {validation}, {test})"
        if labels:
            lines += _write_classes(labels)
            call = f"split_class_blocks(classes, {validation}, {test})"
        return [*lines, f"{INDENT}parts = {call}", *_write_conversions(facts, variables)]
    lines += [
        f"{INDENT}order = {order}",
        f"{INDENT}validation, test = {validation}, {test}",
        f"{INDENT}train = {count} - validation - test",
    ]
    if labels:
        lines += _write_stratified_parts(labels, count)
    else:
        lines.append(f"{INDENT}parts = np.split(order, [train, train + validation])")
    return [*lines, *_write_conversions(facts, variables)]


def _list_labels(split: SplitConfig, facts: ScriptFacts, variables: Mapping[str | None, str]) -> list[str]:
    """Return the code of the class numbers of each target whose classes have their share of each set."""
    if not split.stratify:
        return []
    return [
        target.write_labels(variables[name]) for name, target in facts.targets.items() if target.is_labels
    ]


def _write_conversions(facts: ScriptFacts, variables: Mapping[str | None, str]) -> list[str]:
    """Return the lines that convert targets to the form of their loss, and that return the sets."""
    lines = list(write_target_forms(facts, variables, "weights"))
    rows = [_write_rows("x", is_mapping=bool(facts.input_names))]
    rows.append(_write_rows("y", is_mapping=any(name is not None for name in facts.targets)))
    rows += [_write_rows(name, is_mapping=False) for name in facts.set_names[2:]]
    return [*lines, *_write_return(rows)]


def write_target_forms(
    facts: ScriptFacts, variables: Mapping[str | None, str], weights: str
) -> Iterator[str]:
    """Write the conversion of targets, and of weights, to the form of their loss."""
    for name, target in facts.targets.items():
        if target.one_hot_units is not None:
            labels = target.write_labels(variables[name])
            yield f'{INDENT}{variables[name]} = np.eye({target.one_hot_units}, dtype="float32")[{labels}]'
    yield from _write_position_axes(facts, variables, weights)


def _should_split_in_blocks(facts: ScriptFacts, *, shuffle: bool) -> bool:
    """Return whether each block of examples is divided at random: there are many, in no groups or order."""
    is_by_row = facts.split_key is None and facts.windows is None
    return shuffle and facts.block_rows is not None and is_by_row


def write_split_functions(split: SplitConfig, facts: ScriptFacts, *, is_random: bool) -> list[str]:
    """Return the lines of the function that ``split`` calls; empty if there is none."""
    if _should_split_in_blocks(facts, shuffle=is_random):
        has_classes = split.stratify and any(target.is_labels for target in facts.targets.values())
        functions = _SPLIT_CLASS_BLOCKS if has_classes else _SPLIT_BLOCKS
        return functions.format(rows=facts.block_rows).strip().splitlines()
    key = facts.split_key
    choose_groups = _CHOOSE_RANDOM_GROUPS if is_random else _CHOOSE_LAST_GROUPS
    return {"order": _FIND_CHANGE, "group": choose_groups}.get(key or "", "").strip().splitlines()


_FIND_CHANGE: Final = '''
def find_change(values, position):
    """Return the place nearest to a position at which a new value begins."""
    if position >= len(values):
        return len(values)
    first = np.searchsorted(values, values[position], "left")
    after = np.searchsorted(values, values[position], "right")
    return first if first and position - first <= after - position else after
'''
_SPLIT_BLOCKS: Final = '''
def split_blocks(count, validation, test):
    """Return the rows of each set; every block of {rows:,} rows has its share of each set."""
    train = count - validation - test
    rest = max(count - train, 1)
    parts, taken = ([], [], []), np.zeros(2, dtype=int)
    for block, start in enumerate(range(0, count, {rows})):
        end = min(start + {rows}, count)
        order = start + np.random.default_rng([SEED, block]).permutation(end - start)
        train_end = end * train // count
        validation_end = (end - train_end) * validation // rest
        ends = np.array([train_end, validation_end])
        for part, rows in zip(parts, np.split(order, np.cumsum(ends - taken))):
            part.append(rows)
        taken = ends
    return [np.concatenate(part) for part in parts]
'''
_SPLIT_CLASS_BLOCKS: Final = '''
def spread(totals, count):
    """Return how many of `count` rows each class gets, in proportion to its total."""
    shares = np.maximum(count * totals // totals.sum() - 1, 0)
    while shares.sum() < count:
        shares[np.argmin((shares + 0.5) / totals)] += 1
    return shares


def split_class_blocks(classes, validation, test):
    """Return the rows of each set; every block of {rows:,} rows has its share of each class."""
    _, classes, totals = np.unique(classes, return_inverse=True, return_counts=True)
    train = len(classes) - validation - test
    class_train = spread(totals, train)
    class_validation = spread(totals, train + validation) - class_train
    rest = np.maximum(totals - class_train, 1)
    parts, seen, taken = ([], [], []), np.zeros_like(totals), 0
    for block, start in enumerate(range(0, len(classes), {rows})):
        size = min({rows}, len(classes) - start)
        order = start + np.random.default_rng([SEED, block]).permutation(size)
        labels = classes[order]
        seen = seen + np.bincount(labels, minlength=len(totals))
        train_end = seen * class_train // totals
        ends = np.stack([train_end, (seen - train_end) * class_validation // rest])
        quotas = np.cumsum(ends - taken, axis=0)
        taken = ends
        # Number the rows of each class: the first ones are for training, the last ones for the test.
        by_class = np.argsort(labels, kind="stable")
        labels_in_order = labels[by_class]
        first = np.searchsorted(labels_in_order, labels_in_order)
        ranks = np.empty(size, dtype=int)
        ranks[by_class] = np.arange(size) - first
        sets = (ranks >= quotas[:, labels]).sum(axis=0)
        for number, part in enumerate(parts):
            part.append(order[sets == number])
    return [np.concatenate(part) for part in parts]
'''
_CHOOSE_RANDOM_GROUPS: Final = '''
def choose_groups(counts, groups, size, spare):
    """Return groups with about this number of examples in total; `spare` groups are left."""
    chosen, total = [], 0
    for group in groups:
        if total >= size or len(groups) - len(chosen) <= spare:
            break
        if total + counts[group] - size < size - total:
            chosen.append(group)
            total += counts[group]
    return chosen or [min(groups, key=lambda group: counts[group])]
'''
_CHOOSE_LAST_GROUPS: Final = '''
def choose_groups(counts, groups, size, spare):
    """Return groups with about this number of examples in total; `spare` groups are left."""
    chosen, total = [], 0
    for group in groups:
        is_full = total >= size or len(groups) - len(chosen) <= spare
        if is_full or total + counts[group] - size >= size - total:
            break
        chosen.append(group)
        total += counts[group]
    return chosen or groups[:1]
'''


def _write_key_parts(key: str, count: str, sizes: tuple[str, str], *, shuffle: bool) -> list[str]:
    """Return the lines that assign the rows of each set to ``parts``, by the values in ``keys``."""
    validation, test = sizes
    if key == "column":
        return [
            f"{INDENT}parts = [",
            f"{2 * INDENT}np.flatnonzero(np.isin(keys, names))",
            f'{2 * INDENT}for names in [("train",), ("validation", "val", "valid", "dev"), ("test",)]',
            f"{INDENT}]",
        ]
    lines = [
        f"{INDENT}validation, test = {validation}, {test}",
        f"{INDENT}sets = np.zeros({count}, dtype=int)",
    ]
    if key == "order":
        lines += [
            f'{INDENT}order = np.argsort(keys, kind="stable")',
            f"{INDENT}first_validation = find_change(keys[order], {count} - validation - test)",
            f"{INDENT}first_test = find_change(keys[order], {count} - test)",
            f"{INDENT}first_test = max(first_test, first_validation)",
            f"{INDENT}sets[order[first_validation:]] = 1",
            f"{INDENT}sets[order[first_test:]] = 2",
        ]
    else:
        lines += [
            f"{INDENT}counts = np.bincount(keys)",
            f"{INDENT}groups = np.random.default_rng(SEED).permutation(len(counts)).tolist()"
            if shuffle
            else f"{INDENT}groups = list(range(len(counts)))[::-1]",
        ]
        if test != "0":
            spare = 2 if validation != "0" else 1
            lines += [
                f"{INDENT}chosen = choose_groups(counts, groups, test, {spare})",
                f"{INDENT}sets[np.isin(keys, chosen)] = 2",
                f"{INDENT}groups = [group for group in groups if group not in chosen]",
            ]
        if validation != "0":
            lines += [
                f"{INDENT}chosen = choose_groups(counts, groups, validation, 1)",
                f"{INDENT}sets[np.isin(keys, chosen)] = 1",
            ]
    return [*lines, f"{INDENT}parts = [np.flatnonzero(sets == number) for number in range(3)]"]


def _write_position_axes(
    facts: ScriptFacts, variables: Mapping[str | None, str], weights: str
) -> Iterator[str]:
    """Write the reshaping of targets and weights for outputs with a value for each position."""
    for name, target in facts.targets.items():
        if target.lacks_unit_axis:
            yield f"{INDENT}{variables[name]} = {variables[name]}[..., None]"
    axes = facts.first_target.position_axes
    if facts.has_weights and axes:
        shape = ", ".join(["-1", *["1"] * axes])
        sizes = f"{next(iter(variables.values()))}.shape[:{axes + 1}]"
        yield f"{INDENT}{weights} = np.broadcast_to({weights}.reshape({shape}), {sizes})"


def _write_classes(labels: list[str]) -> list[str]:
    """Return the lines that set ``classes``: a number for each combination of the labels of an example."""
    if len(labels) == 1:
        return [f"{INDENT}classes = {labels[0]}"]
    return [
        f"{INDENT}stacked = np.stack([{', '.join(labels)}], axis=1)",
        f"{INDENT}_, classes = np.unique(stacked, axis=0, return_inverse=True)",
    ]


def _write_stratified_parts(labels: list[str], count: str) -> Iterator[str]:
    if len(labels) == 1:
        subject, classes = "class", f"{labels[0]}[order]"
    else:
        subject, classes = "combination of classes", "classes[order]"
        yield from _write_classes(labels)
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
    assert not isinstance(size, list)  # these sets are not part of the split
    return str(size) if isinstance(size, int) else f"round({size!r} * {count})"

"""The differences between two models, for the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layercli.check import ValidConfig
from layercli.graph.diff import (
    ComparedModel,
    Difference,
    LayerPair,
    compare_layers,
    compare_settings,
    list_stored_weights,
    match_weights,
)
from layercli.graph.shapes import NodeShapes
from layercli.reports.console import make_table
from layercli.reports.formatting import format_count, format_shapes, format_short_count
from layercli.reports.model_shapes import layer_row_json
from layercli.schema.flow_style import format_value
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_KIND_STYLES = {
    "same": (" ", "none"),
    "changed": ("~", "yellow"),
    "renamed": ("~", "yellow"),
    "added": ("+", "green"),
    "removed": ("-", "red"),
}
_COLUMN_DIFFERENCES = ("name", "output", "parameters")
_MIN_WIDE_WIDTH = 110
"""Minimum terminal width for showing the models side by side."""
_MAX_LINES = 20
_MAX_LAYERS = 200
_ROW_KEYS = ("name", "type", "inputs", "output_shape", "trainable", "non_trainable", "flops", "line")


@dataclass(frozen=True, slots=True)
class ConfigComparison:
    """Two configs by their names, and all their differences."""

    names: tuple[str, str]
    before: ValidConfig
    after: ValidConfig
    pairs: list[LayerPair]
    settings: list[Difference]
    overrides: Sequence[str] = ()
    """Values set on the command line in the second config."""

    @classmethod
    def from_configs(
        cls, names: tuple[str, str], before: ValidConfig, after: ValidConfig, overrides: Sequence[str] = ()
    ) -> ConfigComparison:
        """Compare two valid configs."""
        first, second = _comparable_side(before), _comparable_side(after)
        pairs = compare_layers(first, second)
        return cls(names, before, after, pairs, compare_settings(first, second, pairs), overrides)

    @property
    def is_same(self) -> bool:
        """Whether there are no differences."""
        return self.has_same_layers and not self.settings

    @property
    def has_same_layers(self) -> bool:
        """Whether no layer differs."""
        return all(pair.status == "same" for pair in self.pairs)

    @property
    def totals(self) -> dict[str, tuple[int | None, int | None]]:
        """Totals over all layers, before and after."""
        old, new = self.before.shapes, self.after.shapes
        return {
            "layers": (len(old.rows), len(new.rows)),
            "trainable": (old.trainable, new.trainable),
            "non_trainable": (old.non_trainable, new.non_trainable),
            "flops": (old.flops, new.flops),
        }


def _comparable_side(valid: ValidConfig) -> ComparedModel:
    """Return the model with absolute data paths, so that different paths to one file are equal."""
    config = valid.config
    if config.data is not None:
        data = valid.resolve_data_paths(config.data)
        config = config.model_copy(update={"data": data})
    return ComparedModel(config, valid.shapes)


def diff_json(comparison: ConfigComparison) -> dict[str, Any]:
    """Return the document of ``diff --json``, without ``ok`` and ``problems``."""
    sides = zip(("before", "after"), comparison.names, (comparison.before, comparison.after), strict=True)
    carried_weights = match_weights(comparison.before.shapes, comparison.after.shapes, comparison.pairs)
    return {
        "same": comparison.is_same,
        **{key: {"file": name, "model": valid.check_result.name} for key, name, valid in sides},
        "layers": [_pair_json(pair, comparison) for pair in comparison.pairs],
        "totals": {name: {"before": old, "after": new} for name, (old, new) in comparison.totals.items()},
        "settings": [_difference_json(difference) for difference in comparison.settings],
        "weights": {
            name: {
                "carries_over": weight.obstacle is None,
                "reason": weight.obstacle,
                "was": weight.previous_name,
            }
            for name, weight in carried_weights.items()
        },
    }


def _pair_json(pair: LayerPair, comparison: ConfigComparison) -> dict[str, Any]:
    return {
        "kind": pair.status,
        "before": _row_json(pair.before, comparison.before),
        "after": _row_json(pair.after, comparison.after),
        "differences": [_difference_json(difference) for difference in pair.differences],
    }


def _row_json(row: NodeShapes | None, valid: ValidConfig) -> dict[str, Any] | None:
    if row is None:
        return None
    document = layer_row_json(row, valid, None)
    return {key: document[key] for key in _ROW_KEYS}


def _difference_json(difference: Difference) -> dict[str, Any]:
    return {"what": difference.label, "before": difference.before, "after": difference.after}


def print_config_diff(console: Console, comparison: ConfigComparison, *, show_all: bool = False) -> None:
    """Print the changed layers, the totals, other settings, and the weights that carry over."""
    if comparison.is_same:
        console.print("The same model, data and training.")
        if not show_all:
            return
    is_wide = console.width >= _MIN_WIDE_WIDTH
    shown = [
        pair for pair in comparison.pairs if show_all or not (pair.status == "same" or pair.is_renumbered)
    ]
    changes = "".join(f" --set {override}" for override in comparison.overrides)
    below = ", below A where they differ" if shown and not is_wide else ""
    console.print(f"A: {sanitize_text(comparison.names[0])}", soft_wrap=True)
    console.print(f"B: {sanitize_text(comparison.names[1] + changes)}{below}", soft_wrap=True)
    max_layers = len(shown) if show_all else _MAX_LAYERS
    if shown:
        console.print(_layer_table(shown[:max_layers], is_wide=is_wide))
    if len(shown) > max_layers:
        console.print(f"  … and {len(shown) - max_layers:,} more layers that differ; `--all` shows them.")
    for line in () if comparison.is_same else _list_omitted_layers(comparison.pairs, shown):
        console.print(line)
    if not comparison.has_same_layers or show_all:
        console.print(_totals_table(comparison))
    for difference in comparison.settings:
        console.print(f"{sanitize_text(difference.label)}: {_format_change(difference)}", soft_wrap=True)
    lines = [*_weight_lines(comparison)]
    max_lines = len(lines) if show_all else _MAX_LINES
    for line in lines[:max_lines]:
        console.print(line, soft_wrap=True)
    if len(lines) > max_lines:
        console.print(f"  … and {len(lines) - max_lines} more; `--all` shows them.")


def _layer_table(pairs: Sequence[LayerPair], *, is_wide: bool) -> Table:
    """Return a row for each layer: its differences, and the shapes and counts of both models."""
    sides = (" A", " B") if is_wide else ("",)
    table = make_table(
        "  layer",
        *(f"output{side}" for side in sides),
        numbers=[f"{title}{side}" for title in ("params", "FLOPs") for side in sides],
    )
    for pair in pairs:
        rows = (pair.before, pair.after)
        columns = [
            [format_shapes([tensor.shape for tensor in row.outputs]) if row else None for row in rows],
            [format_count(row.parameters) if row else None for row in rows],
            [format_short_count(row.flops) if row else None for row in rows],
        ]
        cells = [
            cell
            for column in columns
            for cell in (_side_by_side(column) if is_wide else [_join_distinct(column)])
        ]
        table.add_row(_pair_title(pair), *cells, style=_KIND_STYLES[pair.status][1])
    return table


def _side_by_side(values: Sequence[str | None]) -> list[str]:
    return [value or "" for value in values]


def _join_distinct(values: Sequence[str | None]) -> str:
    return "\n".join(dict.fromkeys(value for value in values if value is not None))


def _pair_title(pair: LayerPair) -> Text:
    from rich.text import Text

    row = pair.after or pair.before
    assert row is not None
    text = Text(f"{_KIND_STYLES[pair.status][0]} {row.node.name}")
    if pair.name_difference is not None:
        text.append(f", was {pair.name_difference.before}")
    text.append(f"\n    {row.node.type_name}", style="dim" if pair.status == "same" else "")
    for difference in pair.differences:
        if difference.label not in _COLUMN_DIFFERENCES:
            text.append(f"\n    {sanitize_text(difference.label)}: {_format_change(difference)}")
    return text


def _format_change(difference: Difference) -> str:
    return f"{_format_value(difference.before)} -> {_format_value(difference.after)}"


def _format_value(value: Any) -> str:
    return sanitize_text(format_value(value), limit=200)


def _list_omitted_layers(pairs: Sequence[LayerPair], shown: Sequence[LayerPair]) -> Iterator[str]:
    """Yield how many layers are not shown, and why."""
    if len(shown) == len(pairs):
        return
    same = sum(pair.status == "same" for pair in pairs)
    if same:
        yield f"{_layer_count_phrase(same)} the same."
    renumbered = [pair for pair in pairs if pair.is_renumbered]
    if renumbered:
        first = renumbered[0].name_difference
        assert first is not None
        count = _layer_count_phrase(len(renumbered))
        yield f"{count} the same except for numbers in names: {first.before} is now {first.after}."


def _layer_count_phrase(number: int) -> str:
    return "1 layer is" if number == 1 else f"{number:,} layers are"


def _totals_table(comparison: ConfigComparison) -> Table:
    table = make_table("", numbers=("A", "B", "difference"))
    titles = {
        "layers": "layers",
        "trainable": "trainable parameters",
        "non_trainable": "other parameters",
        "flops": "FLOPs",
    }
    for name, (old, new) in comparison.totals.items():
        change = "?" if old is None or new is None else f"{new - old:+,}" if new != old else ""
        table.add_row(titles[name], format_count(old), format_count(new), change)
    return table


def _weight_lines(comparison: ConfigComparison) -> Iterator[str]:
    """Yield how many weights carry over by name and shape, and why others do not."""
    after = comparison.after.shapes
    carried_weights = match_weights(comparison.before.shapes, after, comparison.pairs)
    if comparison.has_same_layers or not carried_weights:
        return
    sizes = {row.node.name: sum(weight.size for weight in list_stored_weights(row)) for row in after.rows}
    carried_names = [name for name, one in carried_weights.items() if one.obstacle is None]
    total = sum(sizes[name] for name in carried_weights)
    yield (
        f"Weights that carry over by name: {len(carried_names)} of {len(carried_weights)} layers, "
        f"{format_count(sum(sizes[name] for name in carried_names))} of {format_count(total)} parameters."
    )
    moved = [name for name in carried_names if carried_weights[name].previous_name != name]
    if moved:
        first = carried_weights[moved[0]].previous_name
        yield (
            f"  {moved[0]}, which {'is new' if first is None else f'was {first}'}, "
            f"{'takes' if len(moved) == 1 else f'and {len(moved) - 1} more take'} the weights of another layer that had "
            "the name. Set a unique `name` for each layer."
        )
    for name, one in carried_weights.items():
        if one.obstacle is not None:
            old_name = f"; it was {one.previous_name}" if one.previous_name not in (name, None) else ""
            yield f"  {name} starts from new weights: {one.obstacle}{old_name}."

"""What differs between two models, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layercli.graph.diff import Difference, Pair, carried_over
from layercli.graph.shapes import Row, Shapes
from layercli.layers.strict import written
from layercli.reports.numbers import count, shapes
from layercli.source.nodes import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_SIGNS = {"same": (" ", ""), "changed": ("~", "yellow"), "added": ("+", "green"), "removed": ("-", "red")}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two configs by their names, and all that is known of how they differ."""

    names: tuple[str, str]
    before: Shapes
    after: Shapes
    pairs: list[Pair]
    settings: list[Difference]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.settings and all(pair.kind == "same" for pair in self.pairs)

    @property
    def totals(self) -> dict[str, tuple[int | None, int | None]]:
        """What is counted over all layers, of the one and of the other."""
        return {
            "layers": (len(self.before.rows), len(self.after.rows)),
            "trainable": (self.before.trainable, self.after.trainable),
            "non_trainable": (self.before.non_trainable, self.after.non_trainable),
            "flops": (self.before.flops, self.after.flops),
        }


def diff_json(comparison: Comparison) -> dict[str, Any]:
    """What ``diff --json`` prints, but for ``ok``."""
    carried = carried_over(comparison.before, comparison.after)
    return {
        "same": comparison.same,
        "layers": [_pair_json(pair) for pair in comparison.pairs],
        "totals": {name: {"before": old, "after": new} for name, (old, new) in comparison.totals.items()},
        "settings": [_difference_json(difference) for difference in comparison.settings],
        "weights": {
            name: {"carries_over": reason is None, "reason": reason} for name, reason in carried.items()
        },
        "problems": [],
    }


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "kind": pair.kind,
        "before": _row_json(pair.before),
        "after": _row_json(pair.after),
        "differences": [_difference_json(difference) for difference in pair.differences],
    }


def _row_json(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "name": row.node.name,
        "type": row.node.type_name,
        "output_shapes": [list(tensor.shape) for tensor in row.outputs],
        "parameters": row.parameters,
        "flops": row.flops,
    }


def _difference_json(difference: Difference) -> dict[str, Any]:
    return {"what": difference.what, "before": difference.before, "after": difference.after}


def print_diff(console: Console, comparison: Comparison, *, unchanged: bool = False) -> None:
    """Layers that differ, totals side by side, other settings, and the weights that carry over."""
    if comparison.same:
        console.print("The same model, data and training.")
        if not unchanged:
            return
    for letter, name in zip("AB", comparison.names, strict=True):
        console.print(f"{letter}: {printable(name)}", soft_wrap=True)
    shown = [pair for pair in comparison.pairs if unchanged or pair.kind != "same"]
    for pair in shown:
        console.print(_pair(pair), soft_wrap=True)
    left_out = len(comparison.pairs) - len(shown)
    if left_out and not comparison.same:
        console.print(f"  {left_out} {'layer is' if left_out == 1 else 'layers are'} the same.")
    _print_totals(console, comparison)
    for difference in comparison.settings:
        console.print(f"{printable(difference.what)}: {_change(difference)}", soft_wrap=True)
    for line in _weights(comparison):
        console.print(line, soft_wrap=True)


def _pair(pair: Pair) -> Text:
    from rich.text import Text

    row = pair.after or pair.before
    assert row is not None
    sign, colour = _SIGNS[pair.kind]
    text = Text(f"{sign} {row.node.name}  ", style=f"bold {colour}".strip())
    outputs = shapes([tensor.shape for tensor in row.outputs])
    text.append(f"{row.node.type_name}  {outputs}  {count(row.parameters)} parameters", style="none")
    for difference in pair.differences:
        if difference.what == "output":
            assert pair.before is not None
            was = shapes([tensor.shape for tensor in pair.before.outputs])
            text.append(f"\n    output: {was} -> {outputs}", style="none")
        else:
            text.append(f"\n    {printable(difference.what)}: {_change(difference)}", style="none")
    if pair.before is not None and pair.after is not None:
        counts = {"parameters": (pair.before.parameters, pair.after.parameters),
                  "FLOPs": (pair.before.flops, pair.after.flops)}  # fmt: skip
        for name, (old, new) in counts.items():
            if old != new:
                text.append(f"\n    {name}: {count(old)} -> {count(new)}", style="none")
    return text


def _change(difference: Difference) -> str:
    return f"{printable(written(difference.before))} -> {printable(written(difference.after))}"


def _print_totals(console: Console, comparison: Comparison) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("")
    for title in ("A", "B", "difference"):
        table.add_column(title, justify="right", no_wrap=True)
    titles = {
        "layers": "layers",
        "trainable": "trainable parameters",
        "non_trainable": "other parameters",
        "flops": "FLOPs",
    }
    for name, (old, new) in comparison.totals.items():
        known = old is not None and new is not None
        change = f"{(new or 0) - (old or 0):+,}" if known and old != new else "" if known else "?"
        table.add_row(titles[name], count(old), count(new), change)
    console.print(table)


def _weights(comparison: Comparison) -> Iterator[str]:
    carried = carried_over(comparison.before, comparison.after)
    if comparison.same or not carried:
        return
    sizes = {row.node.name: row.parameters or 0 for row in comparison.after.rows}
    kept = [name for name, reason in carried.items() if reason is None]
    total = sum(sizes[name] for name in carried)
    yield (
        f"Weights that carry over by name: {len(kept)} of {len(carried)} layers, "
        f"{count(sum(sizes[name] for name in kept))} of {count(total)} parameters."
    )
    for name, reason in carried.items():
        if reason is not None:
            yield f"  {name} starts anew: {reason}."

"""The result of an export, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from layercli.reports.formatting import format_bytes

if TYPE_CHECKING:
    from rich.console import Console


def print_format_benchmark(out: Console, screen: Console, result: Mapping[str, Any]) -> None:
    """Print a row for each format: its size, the latency of batches, and the metrics; warnings go to ``screen``."""
    from rich.table import Table

    _print_warnings(screen, result["problems"])
    rows = result["formats"]
    sizes = list(rows[0]["milliseconds"]) if rows else []
    names = sorted({name for row in rows for name in row["metrics"] if name != "loss"}) or ["loss"]
    table = Table(box=None, pad_edge=False)
    table.add_column("format")
    for title in ("size", *(f"{p} of {size}" for size in sizes for p in ("p50", "p95")), *names):
        table.add_column(title, justify="right")
    for row in rows:
        times = [row["milliseconds"][size][p] for size in sizes for p in ("p50", "p95")]
        metrics = [f"{row['metrics'][name]:.4f}" if name in row["metrics"] else "" for name in names]
        table.add_row(
            row["format"], format_bytes(row["bytes"]), *(f"{each:.2f} ms" for each in times), *metrics
        )
    out.print(table)
    out.print(
        f"Times are for batches of {' and '.join(sizes)} on this machine; metrics are of {result['examples']:,} examples "
        f"of the {'training' if result['set'] == 'train' else result['set']} set."
    )


def print_export_report(out: Console, screen: Console, result: Mapping[str, Any]) -> None:
    """Print the written files, the comparison and the largest difference; warnings go to ``screen``."""
    _print_warnings(screen, result["problems"])
    out.print(f"Wrote {result['output']} ({format_bytes(result['bytes'])}).", soft_wrap=True)
    for path in result["also"]:
        purpose = "describes its inputs and outputs" if path == f"{result['output']}.json" else "it needs"
        out.print(f"Wrote {path}, which {purpose}.", soft_wrap=True)
    compared = result["compared"]
    examples = compared["examples"]
    compared_on = [f"{examples} example{'s' if examples > 1 else ''} of the data"] if examples else []
    if compared["edges"]:
        compared_on.append(f"edges ({', '.join(compared['edges'])})")
    sizes = ", ".join(map(str, compared["batch_sizes"]))
    if compared.get("sets"):
        sizes_of_sets = ", ".join(f"{count:,} {name}" for name, count in compared["sets"].items() if count)
        out.print(f"The script reads the same examples: {sizes_of_sets}.")
    if compared_on:
        out.print(
            f"Loaded and compared with the original on {' and '.join(compared_on)}, in batches of {sizes}."
        )
        out.print(
            f"Largest difference: {compared['largest_difference']:.1e} of the largest output; "
            f"{result['tolerance']:g} is allowed."
        )
    elif compared["largest_difference"] is None:
        out.print("Not compared with the original: the comparison costs too much.")
    else:
        out.print(
            "Loaded. Only the shapes of its weights were compared: a layer has not learned from data yet."
        )
    metrics = result["metrics"]
    if metrics is not None:
        for name, before in metrics["before"].items():
            out.print(f"{name}: {before:.4f} before, {metrics['after'][name]:.4f} after")


def _print_warnings(screen: Console, problems: Sequence[Mapping[str, Any]]) -> None:
    """Print each warning on one line, and its hint on the next."""
    for problem in problems:
        screen.print(f"warning: {problem['message']} [{problem['code']}]", soft_wrap=True)
        if problem["hint"]:
            screen.print(f"  fix: {problem['hint']}", soft_wrap=True)

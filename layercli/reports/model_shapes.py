"""The layers of a model with shapes and counts, as JSON and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from layercli.check import ValidConfig
from layercli.config.training.batch_size import AutoBatchSize
from layercli.graph.shapes import NodeShapes
from layercli.graph.stages import StagePlan, plan_stages
from layercli.graph.training_memory import TrainingMemory, estimate_training_memory
from layercli.layers.shapes import Shape
from layercli.reports.console import make_table, print_plain_table
from layercli.reports.explanation import explain_layer
from layercli.reports.formatting import (
    format_bytes,
    format_count,
    format_shapes,
    format_short_count,
    join_words,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

ForwardShapes = Mapping[str, tuple[Shape, ...]]
"""The actual output shapes of each layer, by its name."""


def inspection_json(
    valid: ValidConfig, forward_shapes: ForwardShapes | None, *, should_explain: bool = False
) -> dict[str, Any]:
    """Return the document of ``inspect-shapes --json``, without ``ok`` and ``problems``."""
    shapes = valid.shapes
    memory = _estimate_memory(valid)
    rows = [layer_row_json(row, valid, forward_shapes) for row in shapes.rows]
    stages = plan_stages(valid.config.train, shapes)
    if should_explain:
        for document, row in zip(rows, shapes.rows, strict=True):
            document["explanation"] = explain_layer(row).to_json()
    return {
        "model": valid.check_result.name,
        "static": forward_shapes is None,
        "inputs": [
            {"name": name, "shape": list(tensor.shape), "dtype": tensor.dtype}
            for name, tensor in shapes.graph.inputs.items()
        ],
        "layers": rows,
        "outputs": list(shapes.graph.output_references),
        **({"unknown_sizes": shapes.size_learners} if shapes.size_learners else {}),
        "totals": {
            "trainable": shapes.trainable,
            "non_trainable": shapes.non_trainable,
            "flops": shapes.flops,
        },
        **({"stages": [stage.as_json() for stage in stages]} if stages else {}),
        "training_memory": None if memory is None else memory.as_json(),
    }


def _estimate_memory(valid: ValidConfig) -> TrainingMemory | None:
    """Return the memory of a training step; None without `train` or if a size is unknown."""
    train = valid.config.train
    return None if train is None else estimate_training_memory(valid.shapes, train)


def layer_row_json(
    row: NodeShapes, valid: ValidConfig, forward_shapes: ForwardShapes | None
) -> dict[str, Any]:
    actual = forward_shapes.get(row.node.name) if forward_shapes is not None else None
    dtype = row.outputs[0].dtype if row.outputs else None
    return {
        "name": row.node.name,
        "type": row.node.type_name,
        "inputs": list(row.node.input_references),
        "input_shapes": [list(tensor.shape) if tensor else None for tensor in row.inputs],
        "output_shape": _unwrap_single([list(tensor.shape) for tensor in row.outputs]),
        "dtype": dtype,
        "trainable": row.trainable,
        "non_trainable": row.non_trainable,
        "flops": row.flops,
        "line": valid.check_result.line_of(row.node.path),
        "forward_shape": _unwrap_single([list(shape) for shape in actual or ()]),
        "agrees": row.matches_forward(actual),
    }


def _unwrap_single(values: list[list[int | None]]) -> Any:
    """Return a single shape, a list of several shapes, or None if there are none."""
    return values[0] if len(values) == 1 else values or None


_MIN_WIDE_WIDTH = 100
"""Minimum terminal width for showing input shapes."""
_MAX_STYLED_LAYERS = 1000
"""Above this number of layers, tables are printed without Rich, which takes half a millisecond for each row."""


def print_inspection(console: Console, valid: ValidConfig, forward_shapes: ForwardShapes | None) -> None:
    """Print a row for each layer: shapes, parameters, FLOPs and the result of the forward pass."""
    from rich.text import Text

    is_wide = console.width >= _MIN_WIDE_WIDTH
    columns = [
        "layer",
        *(["input"] if is_wide else []),
        "output",
        *([] if forward_shapes is None else ["forward"]),
    ]
    numbers = ("params", "FLOPs")
    rows: list[tuple[Text | str, ...]] = []
    for row in valid.shapes.rows:
        actual = forward_shapes.get(row.node.name) if forward_shapes is not None else None
        cells: list[Text | str] = [
            _row_title(row),
            *(
                [format_shapes([tensor.shape for tensor in row.inputs if tensor is not None])]
                if is_wide
                else []
            ),
            format_shapes([tensor.shape for tensor in row.outputs]),
        ]
        if forward_shapes is not None:
            agrees = row.matches_forward(actual)
            mark = (
                Text("✓ ", style="green")
                if agrees
                else Text("✗ " if agrees is False else "  ", style="bold red")
            )
            cells.append(mark.append(format_shapes(actual or ()), style="none"))
        rows.append((*cells, format_count(row.parameters), format_short_count(row.flops)))
    _print_rows(console, columns, numbers, rows)
    _print_totals(console, valid)
    memory = _estimate_memory(valid)
    if memory is not None:
        print_training_memory(console, memory)


def print_training_memory(console: Console, memory: TrainingMemory) -> None:
    """Print the estimated memory of a training step and its parts."""
    note = " (auto is found by training)" if isinstance(memory.batch_size, AutoBatchSize) else ""
    parts = ", ".join(
        f"{name} {format_bytes(size)}" for name, size in memory.parts.items() if size or name != "graph"
    )
    console.print(
        f"Training memory for a batch of {memory.batch_size:,}{note}: about {format_bytes(memory.total)} ({parts})."
    )


def _print_rows(
    console: Console, columns: list[str], numbers: tuple[str, ...], rows: list[tuple[Text | str, ...]]
) -> None:
    """Print a table of layers, without styles if there are very many."""
    if len(rows) > _MAX_STYLED_LAYERS:
        print_plain_table(console, columns, numbers, [tuple(map(str, row)) for row in rows])
        return
    table = make_table(*columns, numbers=numbers)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _row_title(row: NodeShapes) -> Text:
    from rich.text import Text

    subtitle = row.node.type_name if row.node.reuse_of is None else f"{row.node.reuse_of} again"
    return Text(f"{row.node.name}\n").append(f"  {subtitle}", style="dim")


def print_model_summary(console: Console, valid: ValidConfig, batch_size: int) -> None:
    """Print the built model: layers, wiring, shapes, parameters with their shares, FLOPs, totals and memory."""

    shapes = valid.shapes
    rows: list[tuple[Text | str, ...]] = []
    total_parameters = sum(row.parameters or 0 for row in shapes.rows)
    is_wide = console.width >= _MIN_WIDE_WIDTH
    previous_name: str | None = None
    for row in shapes.rows:
        share = (
            f"{100 * row.parameters / total_parameters:.1f}%" if row.parameters and total_parameters else ""
        )
        cells = (
            _row_title(row),
            "\n".join(row.node.input_references)
            if is_wide or row.node.input_references != (previous_name,)
            else "above",
            format_shapes([tensor.shape for tensor in row.outputs]),
            format_count(row.parameters),
            share,
            format_short_count(row.flops),
        )
        rows.append(cells)
        previous_name = row.node.name
    _print_rows(console, ["layer", "from", "output"], ("params", "share", "FLOPs"), rows)
    _print_totals(console, valid)
    activations = format_bytes(shapes.activation_bytes(batch_size))
    weights = format_bytes(shapes.weight_bytes)
    console.print(
        f"Memory: weights {weights}; outputs of all layers for a batch of {batch_size} {activations}."
    )


def describe_stages(stages: Sequence[StagePlan]) -> Iterator[str]:
    """Yield a line for each stage of a training: its epochs, optimizer and trained parameters."""
    for stage in stages:
        last = stage.first_epoch + stage.epochs - 1
        epochs = f"epoch {last}" if stage.epochs == 1 else f"epochs {stage.first_epoch}-{last}"
        state = "" if stage.is_new_optimizer else " (continued)"
        frozen = f"{len(stage.frozen)} {'layer' if len(stage.frozen) == 1 else 'layers'} frozen"
        yield (
            f"Stage {stage.number}: {epochs}, {stage.optimizer}{state}, {format_count(stage.trainable)} parameters "
            f"trained{f', {frozen}' if stage.frozen else ''}."
        )


def _print_totals(console: Console, valid: ValidConfig) -> None:
    shapes = valid.shapes
    trainable, fixed = shapes.trainable, shapes.non_trainable
    parameters = trainable + fixed if trainable is not None and fixed is not None else None
    console.print(
        f"Parameters: {format_count(parameters)} ({format_count(trainable)} trainable, {format_count(fixed)} not); "
        f"FLOPs for one example: {format_count(shapes.flops)}."
    )
    for line in describe_stages(plan_stages(valid.config.train, shapes)):
        console.print(line)
    if shapes.size_learners:
        console.print(f"?: learned from the training data by {_list_learners(shapes.size_learners)}.")


_MAX_LISTED_LEARNERS = 6


def _list_learners(names: list[str]) -> str:
    shown = [f"`{name}`" for name in names[:_MAX_LISTED_LEARNERS]]
    others = len(names) - len(shown)
    return join_words([*shown, f"{others} other layers"] if others > 0 else shown)

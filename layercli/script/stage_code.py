"""The stages of a training in a script: freeze layers, compile and fit, once for each stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from layercli.config.training.section import TrainSection
from layercli.graph.build import Graph
from layercli.graph.stages import find_stage_frozen_names
from layercli.layers.base import Layer
from layercli.layers.custom_layers import CustomLayer
from layercli.layers.families.applications import Application
from layercli.script.python_source import (
    INDENT,
    Brackets,
    CallExpression,
    Expression,
    quote_string,
    render_statement,
)
from layercli.source.nodes import KeyPath


def list_stage_frozen_names(train: TrainSection | None, graph: Graph) -> list[str]:
    """Return the layers that any stage freezes, in their order."""
    if train is None:
        return []
    frozen = {
        name
        for index in range(len(train.stages or ()))
        for name in find_stage_frozen_names(train, graph, index)
    }
    return [node.name for node in graph.nodes if node.name in frozen]


def find_inexpressible_stages(train: TrainSection, graph: Graph) -> Iterator[KeyPath]:
    """Yield the paths of what a script cannot do in stages."""
    if train.stages is None:
        return
    if train.callbacks:  # each `fit` would begin and end them
        yield ("train", "callbacks")
    for index in range(len(train.stages)):
        frozen = set(find_stage_frozen_names(train, graph, index))
        if any(_has_frozen_weights(node.layer) for node in graph.nodes if node.name in frozen):
            yield ("train", "stages", index, "freeze")


def _has_frozen_weights(layer: Layer) -> bool:
    """Return whether `trainable = True` could thaw weights of the layer that stay fixed in every stage."""
    if isinstance(layer, Application):
        return False
    values = layer.arguments()
    return (
        isinstance(layer, CustomLayer)
        or values.get("lora_rank") is not None
        or any(isinstance(value, (Layer, list)) for value in values.values())
    )


def write_stages(
    train: TrainSection,
    graph: Graph,
    make_compile_call: Callable[[Expression], CallExpression],
    make_fit_call: Callable[[int, int, int], CallExpression],
    write_optimizer: Callable[[int], Expression],
) -> Iterator[str]:
    """Yield the lines of all stages.

    Args:
        train: The training.
        graph: The graph of the model.
        make_compile_call: Returns the call of ``compile`` with an optimizer.
        make_fit_call: Returns the call of ``fit`` for a stage, counted from 0, its first epoch and the epoch after it.
        write_optimizer: Returns the optimizer that a stage begins with.
    """
    first_epoch = 0
    frozen: list[str] = []
    for index, stage in enumerate(train.stages or []):
        if index:
            yield ""
        yield f"{INDENT}# Stage {index + 1}"
        shared_stages = train.stages_with_optimizer_of(index)
        wanted = find_stage_frozen_names(train, graph, index)
        if shared_stages.start == index:
            groups = [find_stage_frozen_names(train, graph, each) for each in shared_stages]
            always_frozen = [name for name in wanted if all(name in group for group in groups)]
            yield from _write_freeze(frozen, always_frozen)
            frozen = always_frozen
            yield from render_statement(make_compile_call(write_optimizer(index)), INDENT)
            if len(shared_stages) > 1:
                yield f"{INDENT}model.optimizer.build(model.trainable_variables)"
            yield from _write_freeze(frozen, wanted)
        else:
            yield from _write_freeze(frozen, wanted)
            yield from render_statement(make_compile_call("model.optimizer"), INDENT)
        frozen = wanted
        yield from render_statement(make_fit_call(index, first_epoch, first_epoch + stage.epochs), INDENT)
        first_epoch += stage.epochs


def _write_freeze(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Yield the lines that change which layers are frozen."""
    yield from _write_trainable([name for name in before if name not in after], "True")
    yield from _write_trainable([name for name in after if name not in before], "False")


def _write_trainable(names: Sequence[str], value: str) -> Iterator[str]:
    if len(names) == 1:
        yield f"{INDENT}model.get_layer({quote_string(names[0])}).trainable = {value}"
    elif names:
        listed = Brackets("[", tuple(map(quote_string, names)), "]")
        yield from render_statement(listed, INDENT, before="for name in ", after=":")
        yield f"{2 * INDENT}model.get_layer(name).trainable = {value}"

"""Build a Keras model from a config, and save it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from layercli.activity import show_activity
from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem, has_errors
from layercli.graph.adaptable import learns_vocabulary
from layercli.graph.checks.consistency import check_consistency
from layercli.graph.forward_cost import estimate_forward_cost
from layercli.io.atomic import report_write_errors, stage_file
from layercli.processes.limited_child import MAX_BYTES, run_in_child
from layercli.workflows.initial_weights import load_initial_weights, require_initial_weights
from layercli.workflows.output_sizes import read_output_sizes, try_output_sizes
from layercli.workflows.preflight import read_memory_limit, require_memory, require_trust

if TYPE_CHECKING:
    from layercli.engine.assemble import AssembledModel
    from layercli.engine.transfer_weights import WeightTransfer
    from layercli.reports.model_shapes import ForwardShapes


_WEIGHT_COPIES: Final = 2
"""Copies of the weights that a forward pass may take: an initializer has one of the largest."""


class BuiltModel(NamedTuple):
    """A Keras model, its config with the sizes that building revealed, and its transferred weights."""

    model: Any
    valid: ValidConfig
    transfer: WeightTransfer | None


def build_model(valid: ValidConfig, *, trust: bool = False, should_be_savable: bool = False) -> BuiltModel:
    """Return the Keras model of a config, with weights from the seed or from ``model.weights``.

    Raises:
        LayercliError: Custom code is not trusted, memory is too small, Keras rejects a layer, or the model cannot be
            saved although ``should_be_savable`` is true.
    """
    require_trust(valid, trust=trust)
    require_initial_weights(valid)
    valid = read_output_sizes(valid, trust=trust)
    require_memory(valid, copies=1)
    from layercli.engine.assemble import with_built_weights

    assembled = assemble_checked_model(valid, should_be_savable=should_be_savable)
    return BuiltModel(
        assembled.model, with_built_weights(valid, assembled), load_initial_weights(assembled, valid)
    )


@show_activity("Building the model")
def assemble_checked_model(valid: ValidConfig, *, should_be_savable: bool) -> AssembledModel:
    """Assemble the model and compare its output shapes with the static ones.

    Raises:
        LayercliError: Keras rejects a layer, a shape differs, or the model cannot be saved.
    """
    from layercli.engine.assemble import assemble_model, check_output_shapes, require_savable

    assembled = assemble_model(valid)
    if problems := check_output_shapes(assembled, valid):
        raise LayercliError(problems)
    if should_be_savable:
        require_savable(assembled, valid)
    return assembled


def complete_output_shapes(valid: ValidConfig) -> ValidConfig:
    """Return the config with the shapes from Keras if custom layers leave the shape of an output unknown.

    Then the checks of targets, losses and metrics apply to it as to any other model.

    Raises:
        LayercliError: Keras or a custom layer rejects its input, or the outputs do not fit the loss or the data.
    """
    graph, shapes = valid.graph, valid.shapes
    outputs = [
        shapes.output(name, pick) for name, pick in zip(graph.outputs, graph.output_indices, strict=True)
    ]
    is_known = all(output is not None and output.shape[-1] is not None for output in outputs)
    if is_known or not valid.custom_layers or shapes.size_learners:
        return valid
    from layercli.engine.assemble import assemble_model, check_output_shapes, with_built_weights

    assembled = assemble_model(valid)
    wrong_shapes = check_output_shapes(assembled, valid)
    if wrong_shapes:
        raise LayercliError(wrong_shapes)
    built = with_built_weights(valid, assembled)
    problems = list(map(built.problem_from_finding, check_consistency(built.config, built.shapes)))
    if has_errors(problems):
        raise LayercliError(problems)
    return built


def require_vocabularies(built: BuiltModel) -> None:
    """Check that each lookup layer has a vocabulary: Keras saves a model without one, but cannot load it.

    Raises:
        LayercliError: a lookup layer has not learned its vocabulary.
    """
    loaded = built.transfer.transferred if built.transfer is not None else ()
    problems = []
    for node in built.valid.graph.nodes:
        if node.reuse_of is None and learns_vocabulary(node.layer) and node.name not in loaded:
            message = f"`{node.name}` has no vocabulary yet, and Keras cannot load a saved model without it."
            hint = (
                "Run `layercli train`, which learns it and saves the model, or add `vocabulary` to the layer."
            )
            problems.append(built.valid.make_problem(node.path, "not-savable", message, hint))
    if problems:
        raise LayercliError(problems)


@show_activity("Saving the model")
def save_model(model: Any, output_path: Path) -> None:
    """Save the model to a .keras file. ``target`` is written completely or not at all.

    Raises:
        LayercliError: The file cannot be written.
    """
    with report_write_errors("The model", output_path), stage_file(output_path) as staging:
        model.save(staging)


@show_activity("Running the model")
def check_forward_pass(
    valid: ValidConfig, *, trust: bool = False
) -> tuple[ValidConfig, ForwardShapes | None, list[Problem]]:
    """Run the model once; not if a size is learned from data that cannot be read, or if that costs too much.

    Returns:
        The config with the sizes that building revealed, the actual output shapes of each layer, and the differences
        from the static shapes. The output shapes are None, with a warning, if a forward pass costs too much.

    Raises:
        LayercliError: The model cannot be built on this machine.
    """
    require_trust(valid, trust=trust)
    valid, warnings = try_output_sizes(valid, trust=trust)
    if valid.shapes.size_learners:
        return valid, None, warnings
    require_memory(valid, copies=1)
    max_bytes = MAX_BYTES + _WEIGHT_COPIES * valid.shapes.weight_bytes
    with run_in_child(max_bytes) as reason:
        built, shapes, problems = _run_model(valid) if reason is None else _skip_run(valid, reason)
    return built, shapes, [*warnings, *problems]


def _run_model(valid: ValidConfig) -> tuple[ValidConfig, ForwardShapes | None, list[Problem]]:
    from layercli.engine.comparison_inputs import EXAMPLE_BATCH_SIZE, find_probe_length, infer_run_shapes

    probed = infer_run_shapes(valid, find_probe_length(valid))
    excess = estimate_forward_cost(probed, EXAMPLE_BATCH_SIZE).find_excess(read_memory_limit())
    if excess is not None:
        return _skip_run(valid, excess)
    from layercli.engine.assemble import assemble_model, with_built_weights
    from layercli.engine.forward_pass import run_forward_pass

    assembled = assemble_model(valid)
    built = with_built_weights(valid, assembled)
    shapes, problems = run_forward_pass(assembled, built)
    return built, shapes, [*assembled.warnings, *problems]


def _skip_run(valid: ValidConfig, reason: str) -> tuple[ValidConfig, None, list[Problem]]:
    """Return the config without a forward pass, and the warning that says why."""
    message = f"The shapes were not compared with a forward pass: {reason}."
    hint = "Use smaller inputs or fewer layers to compare them, or pass `--static`."
    return valid, None, [valid.make_problem(("model",), "not-compared", message, hint, "warning")]

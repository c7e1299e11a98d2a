"""Compare an imported model with the model that its config rebuilds."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import keras
import numpy as np
from keras.src.saving.serialization_lib import ObjectSharingScope  # as `load_model` uses it; not public

from layercli.activity import show_activity
from layercli.check import ValidConfig
from layercli.engine.assemble import AssembledModel, accepts_shapes
from layercli.engine.compare import (
    OutputDifference,
    ReferenceOutputs,
    compare_outputs,
    run_keras_model,
    run_reference,
)
from layercli.engine.comparison_inputs import (
    ComparisonCase,
    infer_run_shapes,
    is_length_accepted,
    random_inputs,
)
from layercli.engine.import_weights import (
    CANDIDATE_LENGTHS,
    IMPORT_BATCH_SIZE,
    IMPORT_SEED,
    find_original_layer,
    import_difference_error,
    is_finite_output,
    list_stored_weights,
)
from layercli.engine.keras_errors import summarize_error
from layercli.engine.load_state import load_state
from layercli.errors import LayercliError, Problem
from layercli.graph.forward_cost import estimate_forward_cost
from layercli.importing.build_stack import read_stack
from layercli.importing.custom_classes import ClassResolver
from layercli.importing.flatten import LayerCall, flatten_stack
from layercli.importing.model_file import ModelFile, with_loadable_factors
from layercli.importing.safe_records import drop_unused_parts, find_unsafe_records
from layercli.io.archives import ArchiveError
from layercli.layers.shapes import format_shape
from layercli.runs.open_run import max_weight_bytes

_IMPORT_PASSES: Final = 4
"""Forward passes of an ordinary import: two to compare, two to scale weights; a sensitivity takes three more."""
_OUTPUT_COPIES: Final = 8
"""Copies of the outputs in float64, at most, while they are compared."""
IMPORT_TOLERANCE: Final = 1e-5
"""The largest difference between outputs, relative to the largest output: a different order of sums changes the last digits."""


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """The result of comparing an imported model with the rebuilt one."""

    layer_count: int
    parameter_count: int
    largest_difference: float | None
    """The largest difference between outputs, relative to the largest output; None: not compared."""
    shapes_compared: int
    """Layers whose static output shapes equal those of the original."""
    skip_reason: str = ""
    """Why the outputs were not compared."""
    sensitivity: float | None = None
    """The relative change of the original's outputs when its inputs change in their last digits; None: not measured."""
    is_rebuilt: bool = True
    """Whether Keras built the model of the config, and its layers and wiring were compared."""


@show_activity("Loading the original model")
def load_original(model_file: ModelFile, assembled: AssembledModel, valid: ValidConfig) -> Any:
    """Load the imported model in Keras's safe mode; the only custom classes are those of the config.

    Raises:
        LayercliError: Keras refuses the file, or it is larger than its layers need.
    """
    custom_objects: dict[str, Any] = {}
    custom_names: set[str] = set()
    for code in (code for codes in assembled.codes.values() for code in codes):
        cls = code.layer_class
        custom_objects |= {cls.__name__: cls, keras.saving.get_registered_name(cls): cls}
        custom_names.add(keras.saving.get_registered_name(cls))
    if problems := find_unsafe_records(model_file.document, custom_names):
        raise LayercliError([replace(problem, file=str(model_file.path)) for problem in problems[:20]])
    try:
        document = drop_unused_parts(model_file.document, custom_names)
        with ObjectSharingScope():
            original = keras.saving.deserialize_keras_object(
                document, custom_objects=custom_objects, safe_mode=True
            )
        if model_file.kind == "keras":
            load_state(original, model_file.file, max_weight_bytes(valid))
        return original
    except Exception as error:
        reason = f"{error}." if isinstance(error, ArchiveError) else summarize_error(error)
        message = f"Keras cannot load the model: {reason}"
        raise LayercliError(
            Problem(code="unreadable-model", message=message, file=str(model_file.path))
        ) from error


def find_import_excess(valid: ValidConfig, available: int | None) -> str | None:
    """Return why running the original and the rebuilt model costs too much, or None if it does not.

    ``available`` is the memory that this process can reserve, if it is known.
    """
    costs = [
        estimate_forward_cost(
            infer_run_shapes(valid, length),
            IMPORT_BATCH_SIZE,
            passes=_IMPORT_PASSES,
            output_copies=_OUTPUT_COPIES,
            should_hold_all=True,
        )
        for length in CANDIDATE_LENGTHS
    ]
    return next((excess for cost in costs if (excess := cost.find_excess(available)) is not None), None)


def compare_models(
    original: Any,
    assembled: AssembledModel,
    valid: ValidConfig,
    layer_calls: list[LayerCall],
    outputs: tuple[Any, ...],
    custom: ClassResolver,
    excess: str | None,
) -> ModelComparison:
    """Compare the rebuilt model with the original: layers, wiring, shapes, parameters, and outputs for random inputs.

    With ``excess``, the reason why the models cost too much to run, the outputs are not compared.

    Raises:
        LayercliError: the models differ; the problem names the difference.
    """
    _require_same_graph(assembled, layer_calls, outputs, custom)
    shapes_compared = _require_same_shapes(original, valid, layer_calls)
    parameter_counts = [
        sum(int(np.prod(weight.shape)) for weight in list_stored_weights(model))
        for model in (original, assembled.model)
    ]
    if parameter_counts[0] != parameter_counts[1]:
        raise import_difference_error(
            f"The original has {parameter_counts[0]:,} parameters, but the rebuilt model has {parameter_counts[1]:,}."
        )
    counts = (len(layer_calls), parameter_counts[0])
    if excess is not None:
        return ModelComparison(*counts, None, shapes_compared, f"that costs too much: {excess}.")
    with _silence_tracing():
        reference, skip_reason = _run_original(original, valid)
        if reference is None:
            reason = f"the original model does not run here: {skip_reason}"
            return ModelComparison(*counts, None, shapes_compared, reason)
        largest, sensitivity = _compare_outputs(original, assembled, reference)
    return ModelComparison(*counts, largest, shapes_compared, sensitivity=sensitivity)


def _require_same_graph(
    assembled: AssembledModel,
    layer_calls: list[LayerCall],
    outputs: tuple[Any, ...],
    custom: ClassResolver,
) -> None:
    """Check that importing the rebuilt model gives the same layers and wiring."""
    stack, problems = read_stack(with_loadable_factors(json.loads(assembled.model.to_json())), custom)
    if problems:
        raise import_difference_error(f"The rebuilt model cannot be imported: {problems[0].message}")
    rebuilt_calls, rebuilt_outputs = flatten_stack(stack)
    for original_call, rebuilt_call in zip(layer_calls, rebuilt_calls, strict=False):
        if not original_call.is_same_call(rebuilt_call):
            raise import_difference_error(
                f"`{'/'.join(original_call.layer_path)}` has a different type, arguments or inputs in the rebuilt model."
            )
    if len(layer_calls) != len(rebuilt_calls) or outputs != rebuilt_outputs:
        raise import_difference_error("The rebuilt model has different layers or outputs.")


def _require_same_shapes(original: Any, valid: ValidConfig, layer_calls: list[LayerCall]) -> int:
    """Compare static shapes with those of each layer that the original calls once; return the number of such layers."""
    compared = 0
    for layer_call, node in zip(layer_calls, valid.graph.nodes, strict=True):
        row = valid.shapes.by_name[node.name]
        source = find_original_layer(original, layer_call.layer_path)
        is_operation = layer_call.layer_path[-1].isdigit()
        if source is None or layer_call.first_call is not None or not row.outputs or is_operation:
            continue
        try:
            tensors = keras.tree.flatten(source.output)
        except (AttributeError, ValueError):
            continue  # the layer is called several times
        original_shapes = [tuple(tensor.shape) for tensor in tensors]
        if not accepts_shapes(row, original_shapes):
            shapes = (original_shapes, [tensor.shape for tensor in row.outputs])
            original_text, rebuilt_text = (
                ", ".join(format_shape(shape[1:]) for shape in each) for each in shapes
            )
            raise import_difference_error(
                f"`{'/'.join(layer_call.layer_path)}` has output shape {original_text} in the original, but {rebuilt_text} "
                "in the rebuilt model."
            )
        compared += 1
    return compared


def _run_original(original: Any, valid: ValidConfig) -> tuple[ReferenceOutputs | None, str]:
    """Return the original's outputs for random inputs; None and the reason if it accepts none on this machine.

    Outputs that are empty or not finite prove little, and so do those of a layer whose window is larger than its input:
    TensorFlow returns what was in memory. They are used only if no length gives better ones.
    """
    reason, fallback = "", None
    for length in CANDIDATE_LENGTHS:
        inputs = random_inputs(valid, batch_size=IMPORT_BATCH_SIZE, length=length, seed=IMPORT_SEED)
        try:
            reference = run_reference(original, ComparisonCase("drawn", inputs), measure_sensitivity=False)
        except Exception as error:
            reason = reason or summarize_error(error)
            continue
        if all(map(is_finite_output, reference.outputs)) and is_length_accepted(valid, length):
            return reference, ""
        fallback = fallback or reference
    return fallback, "" if fallback else reason


def _compare_outputs(
    original: Any, assembled: AssembledModel, reference: ReferenceOutputs
) -> tuple[float, float | None]:
    """Return the largest difference between outputs and, if there is one, the sensitivity of the original.

    Raises:
        LayercliError: the rebuilt model does not run, or an output differs by more than rounding explains.
    """
    try:
        outputs = run_keras_model(assembled.model, reference.case.inputs)
    except Exception as error:
        raise import_difference_error(
            f"The rebuilt model fails for random inputs: {summarize_error(error)}"
        ) from error
    differences = compare_outputs([reference], [outputs], IMPORT_TOLERANCE, has_exact_integers=True)
    largest = max((difference.relative_error for difference in differences), default=0.0)
    if largest == 0:
        return 0.0, None
    reference = run_reference(original, reference.case, measure_sensitivity=True)
    differences = compare_outputs([reference], [outputs], IMPORT_TOLERANCE, has_exact_integers=True)
    for difference in differences:
        if difference.is_too_large:
            raise import_difference_error(_describe_difference(difference, reference, outputs))
    return (
        max(difference.relative_error for difference in differences),
        max(difference.sensitivity for difference in differences),
    )


def _describe_difference(
    difference: OutputDifference, reference: ReferenceOutputs, outputs: list[np.ndarray[Any, Any]]
) -> str:
    if difference.mismatch == "shape":
        index = difference.output_index
        shapes = [format_shape(array[index].shape) for array in (reference.outputs, outputs)]
        return f"An output has shape {shapes[0]} in the original, but {shapes[1]} in the rebuilt model."
    if difference.mismatch == "finiteness":
        return "An output has NaN or infinite values in only one of both models."
    if difference.relative_error == float("inf"):
        return "An output differs for the same random inputs."
    return (
        f"For the same random inputs, an output differs by {difference.relative_error:.2g} of the largest output, but at "
        f"most {difference.tolerance:.2g} is allowed. The original itself changes by {difference.sensitivity:.2g} when its "
        "inputs change in their last digits."
    )


@contextmanager
def _silence_tracing() -> Iterator[None]:
    """Suppress the warnings about convolutions that are traced once and about inputs that are passed as a list."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

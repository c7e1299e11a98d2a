"""Export a model, run the result in its own runtime, and compare the outputs with the original model."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import keras

from layercli.activity import show_activity
from layercli.check import ValidConfig
from layercli.engine.compare import OutputDifference, ReferenceOutputs, compare_outputs, run_references
from layercli.engine.comparison_inputs import ComparisonCase
from layercli.engine.export.deployed_model import DeployedModel, deploy_model
from layercli.engine.export.find_layer import find_differing_layer, find_refused_layer
from layercli.engine.export.loops import has_loops
from layercli.engine.export.options import ColumnBatch, ExportFormat, ExportOptions, InputBatch
from layercli.engine.keras_errors import model_error_types, summarize_error
from layercli.errors import LayercliError, Problem
from layercli.export_formats import EXPORT_FORMATS
from layercli.io.atomic import make_write_error
from layercli.layers.base import use_dtype_policy
from layercli.runtime import capture_native_stderr

_QUANTIZED_TOLERANCES: Final = {"float16": 1e-2, "int8": 0.25}
_DTYPE_TOLERANCES: Final = {"float16": 1e-2, "bfloat16": 5e-2}
"""Compute dtypes in which the order of a sum changes the result visibly."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of comparing an exported model with the original."""

    tolerance: float
    differences: tuple[OutputDifference, ...]
    deployed: DeployedModel | None = None
    """The model in the file; None for a script."""
    excess: str | None = None
    """Why the outputs were not compared: the cost that exceeds a limit."""

    @property
    def largest_difference(self) -> float:
        """The largest difference, relative to the largest output."""
        return max((difference.relative_error for difference in self.differences), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON value that ``export --json`` prints."""
        cases = [difference.case for difference in self.differences]
        sizes = {len(next(iter(case.inputs.values()))) for case in cases if case.columns is None}
        return {
            "examples": max((case.examples for case in cases), default=0),
            "edges": list(dict.fromkeys(case.name for case in cases if not case.is_real)),
            "batch_sizes": sorted(sizes),
            "largest_difference": None if self.excess is not None else self.largest_difference,
        }

    def list_warnings(self, valid: ValidConfig) -> list[Problem]:
        """Return the warning that the outputs were not compared, if they were not."""
        if self.excess is None:
            return []
        message = f"The outputs were not compared with those of the original: {self.excess}."
        hint = "Run both models on a few examples, and compare the outputs, before you use the export."
        return [valid.make_problem(("model",), "not-compared", message, hint, "warning")]


def load_format(name: str) -> ExportFormat:
    """Import the module of a format."""
    module = EXPORT_FORMATS[name].module
    assert module is not None
    export_format: ExportFormat = import_module(module)
    return export_format


def default_tolerance(minimum: float, valid: ValidConfig, quantize: str | None = None) -> float:
    """Return the allowed relative difference if the user sets none."""
    with use_dtype_policy(valid.config.model.dtype):
        dtype_tolerances = [
            _DTYPE_TOLERANCES.get(node.layer.compute_dtype, 0.0) for node in valid.graph.nodes
        ]
    return max(minimum, _QUANTIZED_TOLERANCES.get(quantize or "", 0.0), *dtype_tolerances)


@show_activity("Comparing the outputs")
def run_original(model: Any, cases: Sequence[ComparisonCase], valid: ValidConfig) -> list[ReferenceOutputs]:
    """Return the outputs of the original model for each case.

    Raises:
        LayercliError: the model refuses an example, as its layers do for some values or sizes.
    """
    try:
        return run_references(model, cases)
    except model_error_types(valid) as error:
        message = f"The model cannot run, so the export cannot be compared with it: {summarize_error(error)}"
        hint = "Change the layer that refuses its input; `layercli train CONFIG --smoke` shows whether a training runs."
        raise LayercliError(valid.make_problem(("model",), "export-failed", message, hint)) from error


def write_and_verify(
    name: str,
    model: Any,
    valid: ValidConfig,
    output_path: Path,
    *,
    options: ExportOptions,
    cases: Sequence[ComparisonCase],
    tolerance: float | None = None,
    excess: str | None = None,
) -> Verification:
    """Write the model to ``target`` and verify it; the caller removes the output if this raises.

    ``excess`` is the reason why the comparison costs too much: then the file is not run. None: it does not.

    Raises:
        LayercliError: the format cannot represent the model, its runtime refuses it, or the outputs differ.
    """
    export_format = load_format(name)
    allowed = (
        default_tolerance(export_format.TOLERANCE, valid, options.quantize)
        if tolerance is None
        else tolerance
    )
    with silence_runtimes():
        references = run_original(model, cases, valid)
        if excess is None and not any(reference.case.is_typical for reference in references):
            raise LayercliError(
                valid.make_problem(("model",), "export-failed", _NOTHING_COMPARED, _READ_DATA_HINT)
            )
        try:
            deployed = deploy_model(model, options.column_inputs, EXPORT_FORMATS[name])
            file_options = replace(
                options, word_indices=deployed.word_indices, output_names=tuple(model.output_names)
            )
            export_format.write_model(deployed.model, output_path, file_options)
            batches = [
                _choose_batch(reference.case, deployed, has_columns=options.has_column_signature)
                for reference in references
            ]
            outputs = export_format.run_model(output_path, batches, file_options) if batches else []
        except OSError as error:
            raise export_write_error(output_path, error) from None
        except Exception as error:
            raise _export_error(
                name, export_format, model, valid, options, output_path.suffix, error
            ) from error
        all_differences = compare_outputs(references, outputs, allowed)
        too_large = [difference for difference in all_differences if difference.is_too_large]
        if too_large:
            worst = max(
                too_large, key=lambda difference: (difference.case.is_real, difference.relative_error)
            )
            layer = find_differing_layer(
                export_format, model, options, output_path.suffix, worst.case, allowed
            )
            raise export_difference_error(
                name, valid, worst, layer, _INT8_HINT if options.quantize == "int8" else _TOLERANCE_HINT
            )
    return Verification(allowed, tuple(all_differences), deployed, excess)


def _choose_batch(case: ComparisonCase, deployed: DeployedModel, *, has_columns: bool) -> InputBatch:
    """Return the inputs of the file for a case: raw columns if it takes them, and missing values that it replaces."""
    if has_columns and case.columns is not None:
        return ColumnBatch(case.columns)
    raw = case.raw_inputs or {}
    return deployed.encode_inputs(
        case.inputs | {name: array for name, array in raw.items() if name in deployed.filled_inputs}
    )


def export_write_error(output_path: Path, error: OSError) -> LayercliError:
    """Return the problem that a file cannot be written."""
    return make_write_error("The export", output_path, error)


def _export_error(
    name: str,
    export_format: ExportFormat,
    model: Any,
    valid: ValidConfig,
    options: ExportOptions,
    suffix: str,
    error: Exception,
) -> LayercliError:
    """Return the error that a format or its runtime refuses the model, at the refused layer."""
    facts = EXPORT_FORMATS[name]
    refused = find_refused_layer(
        export_format, model, options, suffix, has_plain_layers=not facts.supports_index_layers
    )
    title = facts.title
    hint = "Replace this layer, or export a different format, such as `keras`."
    if name != "saved_model":
        hint = "Export as `saved_model`, which supports every TensorFlow operation, or replace this layer."
    if facts.loop_hint is not None and options.batch_size is None and _has_loops(model):
        hint = facts.loop_hint
    summary = f"cannot be exported as {title}, or {facts.runtime} refuses it"
    if refused is None:
        message = f"The model {summary}: {_explain_error(error, title)}"
        return LayercliError(valid.make_problem(("model",), "export-failed", message, hint))
    layer, reason = refused
    explanation = (
        _explain_error(error, title) if _find_missing_operation(error) else _explain_error(reason, title)
    )
    if not facts.supports_text and _has_texts(layer):
        explanation = f"{title} does not support text."
        hint = (
            "Export as `saved_model`, or train a model with numeric inputs and convert text before the model."
        )
    message = f"`{layer.name}` ({type(layer).__name__}) {summary}: {explanation}"
    return LayercliError(valid.make_problem(_layer_path(layer, valid), "export-failed", message, hint))


_NOTHING_COMPARED: Final = (
    "The export cannot be compared with the original: the data is unreadable, and random inputs are refused."
)
_READ_DATA_HINT: Final = "Make the files of the run's data readable, and export again."
_MISSING_OPERATION: Final = re.compile(r"'tf\.(\w+)' op|No Op registered for (\w+)")
"""Messages of converters and runtimes for an unsupported operation."""


def _find_missing_operation(error: Exception) -> str | None:
    match = _MISSING_OPERATION.search(str(error))
    return (match[1] or match[2]) if match else None


def _explain_error(error: Exception, title: str) -> str:
    operation = _find_missing_operation(error)
    return (
        summarize_error(error)
        if operation is None
        else f"{title} does not support the operation {operation}."
    )


def _has_texts(layer: Any) -> bool:
    """Return whether a layer takes or returns texts; Keras gives the output of an inverted lookup another dtype."""
    returns_texts = isinstance(layer, keras.layers.StringLookup) and layer.invert
    return returns_texts or any(tensor.dtype == "string" for tensor in keras.tree.flatten(layer.input))


def _has_loops(model: Any) -> bool:
    return any(has_loops(layer.get_config()) for layer in model.layers)


def export_difference_error(
    name: str, valid: ValidConfig, worst: OutputDifference, layer: tuple[Any, float] | None, hint: str
) -> LayercliError:
    """Return the error that the outputs of a runtime differ, at the first layer that differs."""
    batch = len(next(iter(worst.case.inputs.values())))
    runtime = EXPORT_FORMATS[name].runtime
    message = (
        f"The outputs of {runtime} {_MISMATCH_TEXTS[worst.mismatch].format(worst.relative_error)}; at most "
        f"{worst.tolerance:.1e} is allowed. The inputs were {batch} examples of the case `{worst.case.name}`."
    )
    if layer is None:
        message += " No single layer differs by that much: rounding errors of several layers add up."
        return LayercliError(valid.make_problem(("model",), "export-differs", message, hint))
    layer_found, relative_error = layer
    message += f" The first layer that differs is `{layer_found.name}` ({type(layer_found).__name__}), by {relative_error:.1e}."
    return LayercliError(valid.make_problem(_layer_path(layer_found, valid), "export-differs", message, hint))


_MISMATCH_TEXTS: Final = {
    "values": "differ from the original by {:.1e} of the largest output",
    "shape": "have a different shape than those of the original",
    "finiteness": "are NaN or infinite where those of the original are finite, or the reverse",
}
_TOLERANCE_HINT = "Replace this layer, export a different format, or raise `--tolerance`."
_INT8_HINT = (
    "int8 has one range for all numbers of a tensor: use `--quantize float16` or raise `--tolerance`."
)


def _layer_path(layer: Any, valid: ValidConfig) -> Any:
    return next((node.path for node in valid.graph.nodes if node.name == layer.name), ("model",))


@contextmanager
def silence_runtimes() -> Iterator[None]:
    """Suppress the output and warnings of converters and runtimes; their errors contain the relevant part."""
    disabled_level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with capture_native_stderr(should_show_on_error=False), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled_level)

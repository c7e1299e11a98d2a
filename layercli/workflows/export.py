"""Export the model of a run: read it, write it, verify it and move it to its path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from layercli.activity import show_activity
from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem
from layercli.export_formats import EXPORT_FORMATS
from layercli.graph.lora import has_lora
from layercli.io.atomic import write_text
from layercli.runs.directory import MODEL
from layercli.runs.open_run import open_run
from layercli.workflows.export_data import (
    choose_held_out_split,
    load_splits_or_warning,
    take_held_out_examples,
)
from layercli.workflows.export_description import (
    describe_export,
    has_column_signature,
    list_column_inputs,
    list_output_classes,
    load_run_reader_state,
    make_preparation_warnings,
)
from layercli.workflows.export_files import (
    copy_code_files,
    measure_output,
    require_free_code_paths,
    require_free_output,
    stage_output,
)
from layercli.workflows.preflight import read_available_memory, require_export_packages, require_trust
from layercli.workflows.raw_rows import build_raw_cases

if TYPE_CHECKING:
    from layercli.data.examples import Splits
    from layercli.data.reader_state import ReaderState
    from layercli.engine.comparison_inputs import ComparisonCase
    from layercli.engine.export.options import ColumnInput, ExportOptions


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The options of an export."""

    run: str
    format: str
    output: Path | None = None
    batch_size: int | None = None
    opset: int | None = None
    quantize: Literal["float16", "int8"] | None = None
    tolerance: float | None = None


@show_activity("Exporting")
def export_run(request: ExportRequest, *, trust: bool = False) -> dict[str, Any]:
    """Convert the model of a run to a different format and verify it. Return the document of ``export --json``.

    Raises:
        LayercliError: The run cannot be opened, the format does not support the model, or the outputs differ.
    """
    run, valid = open_run(request.run)
    require_trust(valid, trust=trust)
    format_name, target = request.format, request.output or _default_output(valid, request.format)
    require_free_output(target, format_name)
    code = valid.layer_code_files if EXPORT_FORMATS[format_name].is_keras_model else {}
    require_free_code_paths(code, target.parent)
    require_export_packages(format_name)
    from layercli.engine.export.comparison_cost import choose_affordable_cases
    from layercli.engine.export.quantization_metrics import compare_metrics
    from layercli.engine.export.verify import load_format, silence_runtimes, write_and_verify
    from layercli.engine.load_model import load_model

    module = load_format(format_name)
    source = load_export_source(run, valid, trust=trust)
    state, column_inputs, splits, warnings = (
        source.state,
        source.column_inputs,
        source.splits,
        source.warnings,
    )
    if request.quantize == "int8" and splits is None:
        raise LayercliError(
            [
                _escalate_warning(
                    warnings[0], "int8 quantization needs training examples to calibrate the ranges"
                )
            ]
        )
    # A .keras file also gets the optimizer's state, so that others can continue its training. Keras loads it only where the
    # classes of the loss, the metrics and the optimizer are known.
    has_keras_classes = all(custom.noun == "callback" for custom, _ in valid.custom_objects)
    # The optimizer of a model with LoRA trained the updates, which are in the kernels now.
    should_compile = format_name == "keras" and has_keras_classes and not has_lora(valid.graph)
    model = load_model(run, valid, train=valid.config.train if should_compile else None)
    options = source.make_options(request, model)
    cases, excess = choose_affordable_cases(valid, source.build_cases(request), read_available_memory())
    metrics = None
    with stage_output(target, format_name) as staging:
        verification = write_and_verify(
            format_name,
            model,
            valid,
            staging,
            options=options,
            cases=cases,
            tolerance=request.tolerance,
            excess=excess,
        )
        assert verification.deployed is not None
        warnings = [*warnings, *verification.list_warnings(valid)]
        description = describe_export(
            valid, state, format_name, verification.deployed, column_inputs, model.outputs
        )
        description_text = json.dumps(description, indent=1, ensure_ascii=False) + "\n"
        if description is not None and hasattr(module, "embed_description"):
            module.embed_description(staging, description_text)
        size = measure_output(staging)
        if request.quantize is not None and splits is not None and valid.config.train is not None:
            held_out_split = choose_held_out_split(splits)
            with silence_runtimes():
                metrics = compare_metrics(
                    model, module, staging, held_out_split, valid.config.train, valid, options
                )
    copied = copy_code_files(code, target.parent)
    if description is not None:
        description_path = target.with_name(f"{target.name}.json")
        write_text(description_path, description_text)
        copied = [*copied, description_path]
        warnings = [*warnings, *make_preparation_warnings(valid, description, description_path)]
    return {
        "ok": True,
        "run": request.run,
        "format": format_name,
        "output": str(target),
        "bytes": size,
        "original_bytes": (run / MODEL).stat().st_size,
        "batch_size": request.batch_size,
        "quantize": request.quantize,
        "compared": verification.as_json(),
        "tolerance": verification.tolerance,
        "metrics": metrics,
        "also": [str(path) for path in copied],
        "problems": [problem.as_json() for problem in warnings],
    }


@dataclass(frozen=True, slots=True)
class ExportSource:
    """The data and states that an export of a run needs in addition to its model."""

    valid: ValidConfig
    state: ReaderState | None
    column_inputs: Mapping[str, ColumnInput]
    splits: Splits | None
    """None if the data cannot be read."""
    warnings: list[Problem]

    def make_options(self, request: ExportRequest, model: Any) -> ExportOptions:
        """Return the options for writing the model."""
        from layercli.engine.export.options import ExportOptions
        from layercli.engine.export.quantization_metrics import calibration_batches

        valid, splits = self.valid, self.splits
        return ExportOptions(
            request.batch_size,
            request.opset,
            request.quantize,
            calibration_batches(splits.train, valid.graph, request.batch_size)
            if request.quantize == "int8" and splits
            else (),
            tuple(valid.layer_code_files.values()),
            self.column_inputs,
            EXPORT_FORMATS[request.format].takes_columns and has_column_signature(valid, self.column_inputs),
            output_classes=list_output_classes(valid, self.state, model.outputs),
        )

    def build_cases(self, request: ExportRequest) -> list[ComparisonCase]:
        """Return the inputs of the comparison."""
        from layercli.engine.comparison_inputs import build_cases

        examples = None if self.splits is None else take_held_out_examples(self.splits)
        cases = build_cases(self.valid, examples, request.batch_size)
        cases = _add_missing_values(self.valid, self.state, self.column_inputs, cases, request.batch_size)
        # Values outside the calibrated ranges of int8 may differ.
        return [case for case in cases if case.is_real] if request.quantize == "int8" else cases


def load_export_source(run: Path, valid: ValidConfig, *, trust: bool) -> ExportSource:
    """Return what the export of a run needs; a warning if its data cannot be read."""
    state = load_run_reader_state(run, valid)
    splits, warnings = load_splits_or_warning(valid, trust=trust)
    return ExportSource(valid, state, list_column_inputs(valid, state), splits, warnings)


def _add_missing_values(
    valid: ValidConfig,
    state: ReaderState | None,
    column_inputs: Mapping[str, ColumnInput],
    cases: list[ComparisonCase],
    batch_size: int | None,
) -> list[ComparisonCase]:
    """Return the cases, with raw rows of a table and with missing values that the run replaces."""
    from layercli.engine.comparison_inputs import fill_empty_texts, make_missing_case

    if state is None or state.table_plan is None or not column_inputs:
        return cases
    fill_values = {
        name: [column_input.fill_values.get(column) for column in column_input.columns]
        for name, column_input in column_inputs.items()
    }
    cases = [fill_empty_texts(case, fill_values) for case in cases]
    if has_column_signature(valid, column_inputs):
        return cases + build_raw_cases(
            valid, state.table_plan, column_inputs, batch_size, is_readable=cases[0].is_real
        )
    missing_case = make_missing_case(cases[0], fill_values)
    return cases if missing_case is None else [*cases, missing_case]


def _default_output(valid: ValidConfig, format_name: str) -> Path:
    return Path(f"{valid.check_result.name}{EXPORT_FORMATS[format_name].suffix or f'_{format_name}'}")


def _escalate_warning(warning: Problem, reason: str) -> Problem:
    """Return the warning as an error, with the reason why the data is required."""
    return replace(warning, severity="error", message=f"{warning.message} However, {reason}.")

"""Import a Keras model: read it, detect blocks, write a config, rebuild the model and compare the two."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli.activity import show_activity
from layercli.check import ValidConfig, check_config, require_valid
from layercli.errors import LayercliError, has_errors, make_file_error
from layercli.importing.block_detection import fold_stack
from layercli.importing.build_stack import read_stack
from layercli.importing.custom_classes import ClassResolver, make_class_resolver
from layercli.importing.flatten import LayerCall, flatten_config, flatten_stack
from layercli.importing.import_problems import (
    custom_module_problem,
    not_compared_warning,
    not_imported_warning,
    with_file,
)
from layercli.importing.model_file import ModelFile, find_foreign_modules, read_model_file
from layercli.importing.safe_records import find_unsafe_records
from layercli.importing.train_section import convert_compile_config
from layercli.importing.write_config import find_output_names, format_config
from layercli.io.atomic import report_write_errors, write_text
from layercli.processes.limited_child import MAX_BYTES, run_in_child
from layercli.reports.import_report import ImportReport
from layercli.runs import directory as runs
from layercli.runs.open_run import open_model_file, open_run, require_weights
from layercli.source.nodes import sanitize_text
from layercli.workflows.build import save_model
from layercli.workflows.preflight import read_memory_limit, require_memory, require_trust

if TYPE_CHECKING:
    from layercli.engine.import_check import ModelComparison

_MAX_SECONDS: Final = 120.0
"""Processor time for building both models and running them several times."""
_WEIGHT_COPIES: Final = 6
"""Copies of the weights that a comparison may take: of both models, of the file, and in float64."""
_DEFAULT_NAME = re.compile(r"(functional|sequential|model)(_\d+)?")
"""Default model names of Keras."""


@show_activity("Importing the model")
def import_model(
    model: str, config: Path, *, weights: Path | None = None, trust: bool = False
) -> ImportReport:
    """Write a config that rebuilds a model, after the rebuilt model was compared with the original.

    Raises:
        LayercliError: The model cannot be read, has parts that a config cannot express (all are listed), or differs.
    """
    content = None
    if Path(model).is_dir() and (Path(model) / runs.MANIFEST).exists():
        content = open_model_file(*open_run(model))
    archive = read_model_file(model, content)
    if weights is not None and archive.kind == "json":
        message = "The JSON of a model contains no weights."
        hint = "Import the .keras file, or remove `--weights`."
        raise make_file_error(sanitize_text(model), "no-weights", message, hint)
    custom = make_class_resolver(config.parent, trust=trust)
    stack, problems = read_stack(archive.document, custom)
    if not has_errors(problems) and not trust:
        problems += [
            custom_module_problem(name)
            for name in find_foreign_modules({"config": archive.document["config"]})
        ]
    if not has_errors(problems) and not trust:
        problems += find_unsafe_records(archive.document)
    if has_errors(problems):
        raise LayercliError([with_file(archive.path, problem) for problem in problems])
    layer_calls, outputs = flatten_stack(stack)
    blocks = fold_stack(stack)
    names = find_output_names(stack)
    train, not_imported_parts = convert_compile_config(
        archive.document.get("compile_config"), stack.keras_output_names, names
    )
    base_name = config.stem
    if isinstance(stack.name, str) and stack.name and not _DEFAULT_NAME.fullmatch(stack.name):
        base_name = stack.name
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", base_name).strip("-_")[:60] or "model"
    check_result = check_config(str(config), text=format_config(stack, blocks, name=name, train=train))
    errors = [problem for problem in check_result.problems if problem.severity == "error"]
    if errors and all(problem.path.startswith("train") for problem in errors):
        not_imported_parts += [problem.message for problem in errors]  # such as an output without a loss
        train = None
        check_result = check_config(str(config), text=format_config(stack, blocks, name=name))
    problems += [not_imported_warning(what) for what in not_imported_parts]
    valid = require_valid(check_result)
    rebuilt_layer_calls, rebuilt_outputs = flatten_config(valid)
    if not (
        len(rebuilt_layer_calls) == len(layer_calls)
        and all(map(LayerCall.is_same_call, layer_calls, rebuilt_layer_calls))
        and rebuilt_outputs == outputs
    ):
        raise AssertionError("the written config describes different layers")
    if archive.kind == "keras":
        require_weights(archive.file, valid, archive.path, "unreadable-model")
    comparison = _compare_with_original(archive, valid, layer_calls, outputs, custom, weights, trust=trust)
    archive.file.close()
    text = format_config(
        stack, blocks, name=name, train=train, weights=None if weights is None else weights.name
    )
    with report_write_errors("The config", config):
        write_text(config, text)
    if comparison.largest_difference is None:
        problems.append(not_compared_warning(comparison.skip_reason, is_rebuilt=comparison.is_rebuilt))
    all_problems = [with_file(archive.path, problem) for problem in problems] + valid.check_result.problems
    return ImportReport(config, weights, valid, len(blocks), comparison, all_problems)


@show_activity("Comparing the outputs")
def _compare_with_original(
    archive: ModelFile,
    valid: ValidConfig,
    layer_calls: list[LayerCall],
    outputs: Any,
    custom: ClassResolver,
    weights: Path | None,
    *,
    trust: bool,
) -> ModelComparison:
    """Rebuild the model and compare it with the original. Save it to ``weights`` unless that is None.

    Raises:
        LayercliError: The models differ, or the weights cannot be saved.
    """
    require_trust(valid, trust=trust)
    require_memory(valid, copies=2)
    max_bytes = MAX_BYTES + _WEIGHT_COPIES * valid.shapes.weight_bytes
    with run_in_child(max_bytes, _MAX_SECONDS) as reason:
        if reason is None:
            return _run_models(archive, valid, layer_calls, outputs, custom, weights)
    if weights is not None:
        message = f"The weights cannot be saved because the rebuilt model does not run here: {reason}."
        raise make_file_error(
            str(archive.path), "too-large", message, "Import the model without `--weights`."
        )
    from layercli.engine.import_check import ModelComparison

    skip_reason = f"the models do not run here: {reason}."
    return ModelComparison(
        len(layer_calls),
        (valid.shapes.trainable or 0) + (valid.shapes.non_trainable or 0),
        None,
        0,
        skip_reason,
        is_rebuilt=False,
    )


def _run_models(
    archive: ModelFile,
    valid: ValidConfig,
    layer_calls: list[LayerCall],
    outputs: Any,
    custom: ClassResolver,
    weights: Path | None,
) -> ModelComparison:
    from layercli.engine.assemble import assemble_model
    from layercli.engine.import_check import compare_models, find_import_excess, load_original
    from layercli.engine.import_weights import copy_original_weights

    assembled = assemble_model(valid)
    original = load_original(archive, assembled, valid)
    excess = find_import_excess(valid, read_memory_limit())
    should_scale = archive.kind == "json" and excess is None
    copy_original_weights(original, assembled, valid, layer_calls, is_untrained=should_scale)
    comparison = compare_models(original, assembled, valid, layer_calls, outputs, custom, excess)
    if weights is not None:
        save_model(assembled.model, weights)
    return comparison

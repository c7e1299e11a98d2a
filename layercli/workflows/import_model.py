"""A config from a Keras model: read, folded, written, rebuilt and held against the model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli.check import ValidConfig, check_config, require_valid
from layercli.errors import LayercliError, Problem, has_errors
from layercli.importing.archive import ModelFile, find_foreign_modules, read_model_file
from layercli.importing.block_detection import fold_stack
from layercli.importing.flatten import LayerCall, flatten_config, flatten_stack
from layercli.importing.import_problems import (
    custom_module_problem,
    make_class_resolver,
    not_compared_warning,
    not_imported_warning,
    with_file,
)
from layercli.importing.keras_graph import KerasLayer
from layercli.importing.read_model import read_stack
from layercli.importing.train_section import convert_compile_config
from layercli.importing.write_config import find_output_names, format_config
from layercli.reports.import_report import ImportReport
from layercli.runs import directory as runs
from layercli.runs.open_run import open_run
from layercli.source.nodes import sanitize_text
from layercli.workflows.preflight import require_memory, require_trust

if TYPE_CHECKING:
    from layercli.engine.import_check import ModelComparison

_DEFAULT_NAME = re.compile(r"(functional|sequential|model)(_\d+)?")
"""Names that Keras gives to models."""


def import_model(
    model: str, config: Path, *, weights: Path | None = None, trust: bool = False
) -> ImportReport:
    """Write a config that rebuilds a model, once the rebuilt one has been found equal.

    Raises:
        LayercliError: the model cannot be read, holds what a config cannot express (all of that), or differs.
    """
    if Path(model).is_dir() and (Path(model) / runs.MANIFEST).exists():
        open_run(model)  # its files are those that the training wrote
    archive = read_model_file(model)
    if weights is not None and archive.kind == "json":
        message = "This is the JSON of a model, which holds no weights."
        hint = "Import the .keras file, or leave `--weights` out."
        raise LayercliError(Problem(code="no-weights", message=message, hint=hint, file=sanitize_text(model)))
    custom = make_class_resolver(config.parent, trust=trust)
    stack, problems = read_stack(archive.document, custom)
    if not has_errors(problems) and not trust:
        problems += [
            custom_module_problem(name)
            for name in find_foreign_modules({"config": archive.document["config"]})
        ]
    if has_errors(problems):
        raise LayercliError([with_file(archive.path, problem) for problem in problems])
    leaves, outputs = flatten_stack(stack)
    blocks = fold_stack(stack)
    names = find_output_names(stack)
    train, not_imported_parts = convert_compile_config(
        archive.document.get("compile_config"), stack.keras_output_names, names
    )
    base_name = stack.name if stack.name and not _DEFAULT_NAME.fullmatch(stack.name) else config.stem
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", base_name).strip("-_")[:60] or "model"
    checked = check_config(str(config), text=format_config(stack, blocks, name=name, train=train))
    errors = [problem for problem in checked.problems if problem.severity == "error"]
    if errors and all(problem.path.startswith("train") for problem in errors):
        not_imported_parts += [problem.message for problem in errors]  # such as an output without a loss
        train = None
        checked = check_config(str(config), text=format_config(stack, blocks, name=name))
    problems += [not_imported_warning(what) for what in not_imported_parts]
    valid = require_valid(checked)
    rebuilt_leaves, rebuilt_outputs = flatten_config(valid)
    if not (
        len(rebuilt_leaves) == len(leaves)
        and all(map(LayerCall.is_same_call, leaves, rebuilt_leaves))
        and rebuilt_outputs == outputs
    ):
        raise AssertionError("the config that was written stands for other layers")
    proof = _compare_with_original(archive, valid, leaves, outputs, custom, weights, trust=trust)
    text = format_config(
        stack, blocks, name=name, train=train, weights=None if weights is None else weights.name
    )
    try:
        runs.write_text(config, text)
    except OSError as error:
        raise _make_write_error(config, error) from None
    if proof.largest_difference is None:
        problems.append(not_compared_warning(proof.skip_reason))
    all_problems = [with_file(archive.path, problem) for problem in problems] + valid.check_result.problems
    return ImportReport(config, weights, valid, len(blocks), proof, all_problems)


def _compare_with_original(
    archive: ModelFile, valid: ValidConfig, leaves: list[LayerCall], outputs: Any, custom: Callable[[KerasLayer], str | None],
    weights: Path | None, *, trust: bool,
) -> ModelComparison:  # fmt: skip
    require_trust(valid, trust=trust)
    require_memory(valid, copies=2)
    from layercli.engine.assemble import assemble_model
    from layercli.engine.import_check import compare_models, copy_weights, load_original

    assembled = assemble_model(valid)
    original = load_original(archive, assembled, valid)
    copy_weights(original, assembled, valid, leaves, is_untrained=archive.kind == "json")
    proof = compare_models(original, assembled, valid, leaves, outputs, custom)
    if weights is not None:
        try:
            with runs.stage_file(weights) as staging:
                assembled.model.save(staging)
        except OSError as error:
            raise _make_write_error(weights, error) from None
    return proof


def _make_write_error(path: Path, error: OSError) -> LayercliError:
    message = f"It cannot be written: {error.strerror or error}."
    return LayercliError(Problem(code="cannot-write", message=message, file=str(path)))

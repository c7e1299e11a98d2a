"""Import a Keras model: read it, detect blocks, write a config, rebuild it and compare the two models."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli.check import ValidConfig, check_config, require_valid
from layercli.errors import LayercliError, has_errors, make_file_error
from layercli.importing.archive import Archive, foreign_modules, read_model
from layercli.importing.block_detection import fold
from layercli.importing.flatten import Leaf, leaves_of, leaves_of_config
from layercli.importing.import_warnings import custom_classes, foreign, in_file, not_carried, not_run
from layercli.importing.keras_graph import Described
from layercli.importing.read_model import read_stack
from layercli.importing.train_section import train_section
from layercli.importing.write_config import output_names, write
from layercli.io.atomic import report_write_errors, write_text
from layercli.reports.import_report import Imported
from layercli.runs import directory as runs
from layercli.runs.open_run import open_run
from layercli.source.nodes import sanitize_text
from layercli.workflows.build import save_model
from layercli.workflows.preflight import require_memory, require_trust

if TYPE_CHECKING:
    from layercli.engine.import_check import ModelComparison

_DEFAULT_NAME = re.compile(r"(functional|sequential|model)(_\d+)?")
"""Default model names of Keras."""


def import_model(model: str, config: Path, *, weights: Path | None = None, trust: bool = False) -> Imported:
    """Write a config that rebuilds a model, after the rebuilt model was compared with the original.

    Raises:
        LayercliError: The model cannot be read, has parts that a config cannot express (all are listed), or differs.
    """
    if Path(model).is_dir() and (Path(model) / runs.MANIFEST).exists():
        open_run(model)  # checks that the files were not modified
    archive = read_model(model)
    if weights is not None and archive.kind == "json":
        message = "The JSON of a model contains no weights."
        hint = "Import the .keras file, or remove `--weights`."
        raise make_file_error(sanitize_text(model), "no-weights", message, hint)
    custom = custom_classes(config.parent, trust=trust)
    stack, problems = read_stack(archive.document, custom)
    if not has_errors(problems) and not trust:
        problems += [foreign(name) for name in foreign_modules({"config": archive.document["config"]})]
    if has_errors(problems):
        raise LayercliError([in_file(archive.path, problem) for problem in problems])
    leaves, outputs = leaves_of(stack)
    blocks = fold(stack)
    names = output_names(stack)
    train, not_imported_parts = train_section(
        archive.document.get("compile_config"), stack.output_layers, names
    )
    base_name = stack.name if stack.name and not _DEFAULT_NAME.fullmatch(stack.name) else config.stem
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", base_name).strip("-_")[:60] or "model"
    checked = check_config(str(config), text=write(stack, blocks, name=name, train=train))
    errors = [problem for problem in checked.problems if problem.severity == "error"]
    if errors and all(problem.path.startswith("train") for problem in errors):
        not_imported_parts += [problem.message for problem in errors]  # such as an output without a loss
        train = None
        checked = check_config(str(config), text=write(stack, blocks, name=name))
    problems += [not_carried(what) for what in not_imported_parts]
    valid = require_valid(checked)
    rebuilt_leaves, rebuilt_outputs = leaves_of_config(valid)
    if not (
        len(rebuilt_leaves) == len(leaves)
        and all(map(Leaf.same, leaves, rebuilt_leaves))
        and rebuilt_outputs == outputs
    ):
        raise AssertionError("the written config describes different layers")
    comparison = _compare_with_original(archive, valid, leaves, outputs, custom, weights, trust=trust)
    text = write(stack, blocks, name=name, train=train, weights=None if weights is None else weights.name)
    with report_write_errors("The config", config):
        write_text(config, text)
    if comparison.largest_difference is None:
        problems.append(not_run(comparison.skip_reason))
    all_problems = [in_file(archive.path, problem) for problem in problems] + valid.check_result.problems
    return Imported(config, weights, valid, len(blocks), comparison, all_problems)


def _compare_with_original(
    archive: Archive,
    valid: ValidConfig,
    leaves: list[Leaf],
    outputs: Any,
    custom: Callable[[Described], str | None],
    weights: Path | None,
    *,
    trust: bool,
) -> ModelComparison:
    """Rebuild the model and compare it with the original. Save it to ``weights`` unless that is None."""
    require_trust(valid, trust=trust)
    require_memory(valid, copies=2)
    from layercli.engine.assemble import assemble_model
    from layercli.engine.import_check import compare_models, copy_weights, load_original

    assembled = assemble_model(valid)
    original = load_original(archive, assembled, valid)
    copy_weights(original, assembled, valid, leaves, is_untrained=archive.kind == "json")
    comparison = compare_models(original, assembled, valid, leaves, outputs, custom)
    if weights is not None:
        save_model(assembled.model, weights)
    return comparison

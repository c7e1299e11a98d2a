"""Export a run or a config as a Keras script."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from layercli.check import ValidConfig, check_config, require_valid
from layercli.errors import LayercliError, Problem, make_file_error
from layercli.formats.registry import make_data_script
from layercli.io.atomic import report_write_errors, write_bytes
from layercli.runs.directory import MANIFEST, MODEL
from layercli.runs.manifest import require_manifest
from layercli.runs.open_run import open_run
from layercli.script.write_script import ScriptFiles, find_inexpressible, write_script
from layercli.workflows.build import build_model
from layercli.workflows.ensemble import ENSEMBLE
from layercli.workflows.export import ExportRequest
from layercli.workflows.export_data import count_sets, list_set_arrays, take_held_out_examples
from layercli.workflows.export_files import copy_code_files, find_data_code, require_free_code_paths
from layercli.workflows.preflight import read_available_memory, require_trust
from layercli.workflows.script_facts import collect_script_facts


def export_script(request: ExportRequest, *, weights: bool, trust: bool = False) -> dict[str, Any]:
    """Write a script with the model, data and training of a run or config, and verify its model.

    Raises:
        LayercliError: The run cannot be opened, a script cannot express part of it, or its model differs.
    """
    is_run = _is_run(request.run)
    run, valid = open_run(request.run) if is_run else (None, require_valid(check_config(request.run)))
    valid = valid if run is None else valid.with_merged_lora()
    if weights and run is None:
        message = "`--weights` requires a run, got a config: a config has no weights."
        hint = "Train it and name the run, or remove `--weights`."
        raise make_file_error(request.run, "run-directory", message, hint)
    require_trust(valid, trust=trust)
    facts, splits, warnings, valid = collect_script_facts(valid, trust=trust)
    if run is not None and ENSEMBLE in require_manifest(run):
        warnings = [*warnings, _make_ensemble_warning(run, valid)]
    data_script = make_data_script(valid, facts)
    if problems := find_inexpressible(valid, facts, data_script):
        raise LayercliError(problems)
    target = request.output or Path(f"{_make_identifier(valid.check_result.name)}.py")
    code = valid.training_code_files | valid.layer_code_files | find_data_code(valid)
    require_free_code_paths(code, target.parent)
    from layercli.engine.comparison_inputs import build_cases
    from layercli.engine.export.comparison_cost import choose_affordable_cases
    from layercli.engine.export.isolated_run import ScriptCheck
    from layercli.engine.export.verify_script import find_stateful_layers, read_learned_states, verify_script
    from layercli.engine.load_model import load_model

    model = build_model(valid, trust=trust)[0] if run is None else load_model(run, valid)
    lookups = find_stateful_layers(valid)
    vocabularies = {} if run is None else read_learned_states(model, lookups)
    test_inputs = build_cases(valid, None if splits is None else take_held_out_examples(splits), None)
    if run is None and lookups:
        test_inputs = []  # a lookup layer returns nothing useful before it is adapted
    test_inputs, excess = choose_affordable_cases(valid, test_inputs, read_available_memory())
    with tempfile.TemporaryDirectory(prefix="layercli-") as name:
        folder = Path(name)
        files = ScriptFiles(
            target.parent,
            f"{target.stem}.weights.h5" if weights else None,
            f"{target.stem}.vocabularies.json" if weights and lookups else None,
        )
        script = folder / target.name
        script.write_text(write_script(valid, facts, files, data_script), encoding="utf-8")
        copy_code_files(code, folder)
        if files.vocabularies_name is not None:
            (folder / files.vocabularies_name).write_text(
                json.dumps(vocabularies, ensure_ascii=False), encoding="utf-8"
            )
        sets = {} if splits is None else list_set_arrays(splits)
        verification = verify_script(
            script,
            model,
            valid,
            test_inputs,
            tolerance=request.tolerance,
            vocabularies=vocabularies,
            check=ScriptCheck(target, sets),
            excess=excess,
        )
        side_files = [
            Path(each) for each in (files.weights_name, files.vocabularies_name) if each is not None
        ]
        copied_files = copy_code_files(code, target.parent)
        for each in (*side_files, Path(target.name)):
            _install_file(folder / each, target.parent / each)
        copied_files += [target.parent / each for each in side_files]
    return {
        "ok": True,
        "run": request.run,
        "format": "python",
        "output": str(target),
        "bytes": target.stat().st_size,
        "original_bytes": None if run is None else (run / MODEL).stat().st_size,
        "batch_size": None,
        "quantize": None,
        "compared": verification.as_json() | {"sets": count_sets(splits) if sets else None},
        "tolerance": verification.tolerance,
        "metrics": None,
        "also": [str(path) for path in copied_files],
        "problems": [problem.as_json() for problem in (*warnings, *verification.list_warnings(valid))],
    }


def _is_run(name: str) -> bool:
    try:
        return (
            Path(name).is_dir()
            or (Path(name) / MANIFEST).exists()
            or Path(name).suffix in (".h5", ".hdf5", ".keras")
        )
    except (OSError, ValueError):  # opening it reports the error
        return False


def _make_ensemble_warning(run: Path, valid: ValidConfig) -> Problem:
    message = (
        "The script trains the averaged model as a whole, on one training set. "
        f"In {run.name}, each branch is a model that layercli trained on its own fold."
    )
    hint = (
        "Add `--weights` to use the trained weights, or export the run of a fold to train as layercli does."
    )
    return valid.make_problem(("model",), "other-training", message, hint, "warning")


def _make_identifier(name: str) -> str:
    """Return a script name that Python can import."""
    base = "".join(char if char.isalnum() else "_" for char in name)
    return f"model_{base}" if base[0].isdigit() else base


def _install_file(source: Path, target: Path) -> None:
    """Copy a verified file to its path.

    Raises:
        LayercliError: The file cannot be written.
    """
    with report_write_errors("The export", target):
        write_bytes(target, source.read_bytes())

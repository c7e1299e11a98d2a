"""A run or a config in, a Keras script out."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli.check import check, require
from layercli.commands.build import build
from layercli.errors import LayercliError, Problem
from layercli.runs.directory import MANIFEST, MODEL, staged
from layercli.runs.open_run import open_run
from layercli.script.write_script import Files, unsaid, write_script
from layercli.workflows.export import Request, examples_of
from layercli.workflows.export_files import copy_files, data_files
from layercli.workflows.preflight import require_trust
from layercli.workflows.script_facts import read_known

if TYPE_CHECKING:
    pass


def export_script(request: Request, *, weights: bool, trust: bool = False) -> dict[str, Any]:
    """Write a script with the model, data and training of a run or config, and prove its model.

    Raises:
        LayercliError: the run cannot be opened, a script cannot say all of it, or its model differs.
    """
    is_run = _is_run(request.run)
    run, valid = open_run(request.run) if is_run else (None, require(check(request.run)))
    if weights and run is None:
        message = "A config has no weights; only a run has."
        hint = "Train it and name the run, or leave out `--weights`."
        raise LayercliError(Problem(code="run-directory", message=message, hint=hint, file=request.run))
    require_trust(valid, trust=trust)
    told, parts, warnings = read_known(valid, trust=trust)
    if problems := unsaid(valid, told):
        raise LayercliError(problems)
    target = request.output or Path(f"{_identifier(valid.checked.name)}.py")
    from layercli.engine.export.script import learned, prove, vocabulary_layers
    from layercli.engine.export.test_inputs import cases
    from layercli.engine.load_model import load_model

    model = build(valid, trust=trust)[0] if run is None else load_model(run / MODEL, valid)
    lookups = vocabulary_layers(valid)
    vocabularies = {} if run is None else learned(model, lookups)
    compared = cases(valid, None if parts is None else examples_of(parts), None)
    if run is None and lookups:
        compared = []  # nothing is looked up before the layers have learned
    code = valid.layer_code | data_files(valid)
    with tempfile.TemporaryDirectory(prefix="layercli-") as name:
        folder = Path(name)
        files = Files(target.parent, f"{target.stem}.weights.h5" if weights else None,
                      f"{target.stem}.vocabularies.json" if weights and lookups else None)  # fmt: skip
        script = folder / target.name
        script.write_text(write_script(valid, told, files), encoding="utf-8")
        copy_files(code, folder)
        if files.learned is not None:
            (folder / files.learned).write_text(
                json.dumps(vocabularies, ensure_ascii=False), encoding="utf-8"
            )
        proof = prove(script, model, valid, compared, tolerance=request.tolerance, vocabularies=vocabularies)
        beside = [Path(each) for each in (files.weights, files.learned) if each is not None]
        also = copy_files(code, target.parent)
        for each in (*beside, Path(target.name)):
            _placed(folder / each, target.parent / each)
        also += [target.parent / each for each in beside]
    return {
        "ok": True,
        "run": request.run,
        "format": "python",
        "output": str(target),
        "bytes": target.stat().st_size,
        "original_bytes": None if run is None else (run / MODEL).stat().st_size,
        "batch_size": None,
        "quantize": None,
        "compared": proof.as_json(),
        "tolerance": proof.tolerance,
        "metrics": None,
        "also": [str(path) for path in also],
        "problems": [problem.as_json() for problem in warnings],
    }


def _is_run(name: str) -> bool:
    try:
        return (
            Path(name).is_dir()
            or (Path(name) / MANIFEST).exists()
            or Path(name).suffix in (".h5", ".hdf5", ".keras")
        )
    except (OSError, ValueError):  # reading it says so
        return False


def _identifier(name: str) -> str:
    """A name for the script that Python can import."""
    base = "".join(char if char.isalnum() else "_" for char in name)
    return f"model_{base}" if base[0].isdigit() else base


def _placed(made: Path, target: Path) -> None:
    """Put a file that is proven in its place.

    Raises:
        LayercliError: it cannot be written there.
    """
    try:
        with staged(target) as staging:
            staging.write_bytes(made.read_bytes())
    except OSError as error:
        message = f"The export cannot be written: {error.strerror or error}."
        raise LayercliError(Problem(code="cannot-write", message=message, file=str(target))) from None

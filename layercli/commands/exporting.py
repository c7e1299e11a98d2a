"""A run in, an exported model out: read, written, proven, put in its place."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from layercli.check import Valid
from layercli.commands.examples import read_parts
from layercli.commands.ready import require_trust
from layercli.config.custom import CustomLayer
from layercli.config.files import Python
from layercli.errors import LayercliError, Problem
from layercli.runs.directory import MODEL, staged
from layercli.runs.opening import open_run

if TYPE_CHECKING:
    from layercli.data.arrays import Examples, Parts

SUFFIXES = {"keras": ".keras", "saved_model": "", "onnx": ".onnx", "litert": ".tflite", "python": ".py"}
"""Form -> how its files end; none where it is a folder."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks for."""

    run: str
    form: str
    output: Path | None = None
    batch_size: int | None = None
    opset: int | None = None
    quantize: Literal["float16", "int8"] | None = None
    tolerance: float | None = None


def export(request: Request, *, trust: bool = False) -> dict[str, Any]:
    """Write the model of a run in another form and prove it; what ``export --json`` prints.

    Raises:
        LayercliError: the run cannot be opened, the form cannot hold the model, or what comes of it differs.
    """
    run, valid = open_run(request.run)
    require_trust(valid, trust=trust)
    form, target = request.form, request.output or _default(valid, request.form)
    _require_place(target, form)
    from layercli.engine.export.cases import cases
    from layercli.engine.export.metrics import calibration, metrics_of
    from layercli.engine.export.options import Options
    from layercli.engine.export.proof import export as write_and_prove
    from layercli.engine.export.proof import load_format, quiet
    from layercli.engine.loading import load_model

    module = load_format(form)
    parts, warnings = read_run_parts(valid, trust=trust)
    if request.quantize == "int8" and parts is None:
        raise LayercliError(
            [problem_of(warnings[0], "int8 needs the training examples to learn ranges from")]
        )
    model = load_model(run / MODEL, valid)
    options = Options(
        request.batch_size,
        request.opset,
        request.quantize,
        calibration(parts.train, valid.graph, request.batch_size)
        if request.quantize == "int8" and parts
        else (),
        run / MODEL,
        tuple(file for _, file in layer_files(valid)),
    )
    compared = cases(valid, None if parts is None else examples_of(parts), request.batch_size)
    if request.quantize == "int8":  # beyond the ranges that were learned nothing is promised
        compared = [case for case in compared if case.real]
    metrics = None
    with _placed(target, form) as staging:
        proof = write_and_prove(
            form, model, valid, staging, options=options, cases=compared, tolerance=request.tolerance
        )
        size = _bytes(staging)
        if request.quantize is not None and parts is not None and valid.config.train is not None:
            part = (
                parts.test if len(parts.test) else parts.validation if len(parts.validation) else parts.train
            )
            with quiet():
                metrics = metrics_of(model, module, staging, part, valid.config.train, valid.graph, options)
    copied = copy_files(layer_files(valid), target.parent) if form == "keras" else []
    return {
        "ok": True,
        "run": request.run,
        "format": form,
        "output": str(target),
        "bytes": size,
        "original_bytes": (run / MODEL).stat().st_size,
        "batch_size": request.batch_size,
        "quantize": request.quantize,
        "compared": proof.as_json(),
        "tolerance": proof.tolerance,
        "metrics": metrics,
        "also": [str(path) for path in copied],
        "problems": [problem.as_json() for problem in warnings],
    }


def _default(valid: Valid, form: str) -> Path:
    return Path(f"{valid.checked.name}{SUFFIXES[form] or '_saved_model'}")


def _require_place(target: Path, form: str) -> None:
    """Refuse to write a folder over another one.

    Raises:
        LayercliError: there is one, and it holds something.
    """
    if SUFFIXES[form] == "" and target.exists() and (not target.is_dir() or any(target.iterdir())):
        message = "There is something under that name already; a folder is not overwritten."
        raise LayercliError(
            Problem(
                code="cannot-write",
                message=message,
                hint="Remove it, or name another by `--output`.",
                file=str(target),
            )
        )


def read_run_parts(valid: Valid, *, trust: bool) -> tuple[Parts | None, list[Problem]]:
    """The run's examples, if they can still be read; else a warning that says why not."""
    data = valid.config.data
    if data is None:
        return None, []
    try:
        return read_parts(valid, data, trust=trust)[0], []
    except LayercliError as error:
        return None, [drawn(valid, error)]


def drawn(valid: Valid, error: LayercliError) -> Problem:
    """The warning that the data cannot be read."""
    first = error.problems[0]
    message = f"The run's data cannot be read, so drawn numbers are compared: {first.message}"
    return valid.problem(("data",), first.code, message, first.hint, "warning")


def problem_of(warning: Problem, why: str) -> Problem:
    """The error that a warning becomes where the data cannot be done without."""
    from dataclasses import replace

    return replace(warning, severity="error", message=f"{warning.message} And {why}.")


def examples_of(parts: Parts) -> Examples:
    """Examples that were held out, if some were."""
    from layercli.engine.export.cases import REAL

    part = parts.test if len(parts.test) else parts.validation if len(parts.validation) else parts.train
    return next(part.batches(REAL))


@contextmanager
def _placed(target: Path, form: str) -> Iterator[Path]:
    """A path to write to, which becomes ``target`` when all is well, or is removed.

    Raises:
        LayercliError: nothing can be written there.
    """
    try:
        if SUFFIXES[form]:
            with staged(target) as staging:
                yield staging
            return
        folder = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
        try:
            yield folder / target.name
            (folder / target.name).replace(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        message = f"The export cannot be written: {error.strerror or error}."
        raise LayercliError(Problem(code="cannot-write", message=message, file=str(target))) from None


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def data_files(valid: Valid) -> list[tuple[str, Path]]:
    """The file of the function that gives the data, as a script imports it, and where it is."""
    data = valid.config.data
    if not isinstance(data, Python) or data.file is None:
        return []
    located = valid.located(data)
    assert isinstance(located, Python)
    assert located.file is not None
    return [(data.file.name, located.file)]


def layer_files(valid: Valid) -> list[tuple[str, Path]]:
    """The files of the user's layers: their places as the config names them, and where they are."""
    found = {
        node.layer.place: valid.file_of(node)
        for node in valid.custom_layers
        if isinstance(node.layer, CustomLayer) and node.layer.kind == "file"
    }
    return list(found.items())


def copy_files(files: list[tuple[str, Path]], folder: Path) -> list[Path]:
    """Put files of the user's code beside what was exported, which needs them; what was copied.

    Raises:
        LayercliError: another file of that name is there.
    """
    copied = []
    for place, file in files:
        target = folder / place
        content = file.read_bytes()
        if target.exists():
            if not target.is_file() or target.read_bytes() != content:
                message = "The export needs the run's file of that name beside it, but another one is there."
                raise LayercliError(
                    Problem(
                        code="cannot-write",
                        message=message,
                        hint="Export into an empty folder.",
                        file=str(target),
                    )
                )
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with staged(target) as staging:
            staging.write_bytes(content)
        copied.append(target)
    return copied

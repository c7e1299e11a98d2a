"""A run in, an exported model out: read, written, proven, put in its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from layercli.check import Valid
from layercli.errors import LayercliError, Problem
from layercli.runs.directory import MODEL
from layercli.runs.open_run import open_run
from layercli.workflows.dataset import read_parts
from layercli.workflows.export_files import SUFFIXES, copy_files, placed, require_place, size_of
from layercli.workflows.preflight import require_packages, require_trust

if TYPE_CHECKING:
    from layercli.data.examples import Examples, Parts


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
    require_place(target, form)
    require_packages(form)
    from layercli.engine.export.metrics import calibration, metrics_of
    from layercli.engine.export.options import Options
    from layercli.engine.export.test_inputs import cases
    from layercli.engine.export.verify import export as write_and_prove
    from layercli.engine.export.verify import load_format, quiet
    from layercli.engine.load_model import load_model

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
        tuple(valid.layer_code.values()),
    )
    compared = cases(valid, None if parts is None else examples_of(parts), request.batch_size)
    if request.quantize == "int8":  # beyond the ranges that were learned nothing is promised
        compared = [case for case in compared if case.real]
    metrics = None
    with placed(target, form) as staging:
        proof = write_and_prove(
            form, model, valid, staging, options=options, cases=compared, tolerance=request.tolerance
        )
        size = size_of(staging)
        if request.quantize is not None and parts is not None and valid.config.train is not None:
            part = (
                parts.test if len(parts.test) else parts.validation if len(parts.validation) else parts.train
            )
            with quiet():
                metrics = metrics_of(model, module, staging, part, valid.config.train, valid.graph, options)
    copied = copy_files(valid.layer_code, target.parent) if form == "keras" else []
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
    from layercli.engine.export.test_inputs import REAL

    part = parts.test if len(parts.test) else parts.validation if len(parts.validation) else parts.train
    return next(part.batches(REAL))

"""Compare the formats of a run's model: size, latency and metrics of each."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from layercli.errors import LayercliError, Problem, make_file_error
from layercli.export_formats import EXPORT_FORMATS
from layercli.runs.open_run import open_run
from layercli.workflows.export import ExportRequest, load_export_source
from layercli.workflows.export_data import choose_held_out_split, choose_split_name
from layercli.workflows.export_files import measure_output
from layercli.workflows.preflight import read_available_memory, require_export_packages, require_trust


def benchmark_formats(name: str, formats: list[str] | None = None, *, trust: bool = False) -> dict[str, Any]:
    """Return the document of ``export --benchmark --json``; no file is kept.

    Args:
        name: The directory of a finished run.
        formats: The formats to compare; None: all, of which those that cannot be exported have their problem.
        trust: Whether custom code may be run.

    Raises:
        LayercliError: The run or its data cannot be read, or a format that is named cannot be exported.
    """
    run, valid = open_run(name)
    require_trust(valid, trust=trust)
    from layercli.engine.export import latency
    from layercli.engine.export.comparison_cost import choose_affordable_cases
    from layercli.engine.export.verify import silence_runtimes, write_and_verify
    from layercli.engine.load_model import load_model

    source = load_export_source(run, valid, trust=trust)
    if source.splits is None:
        message = "The benchmark needs examples of the run."
        raise LayercliError([*source.warnings, make_file_error(name, "unreadable-data", message).problems[0]])
    model, subset = load_model(run, valid), choose_held_out_split(source.splits)
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for format_name in formats or [each for each, facts in EXPORT_FORMATS.items() if facts.module]:
        try:
            require_export_packages(format_name)
            request = ExportRequest(name, format_name)
            with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
                built_cases = source.build_cases(request)
                cases, excess = choose_affordable_cases(valid, built_cases, read_available_memory())
                path = Path(folder, f"model{EXPORT_FORMATS[format_name].suffix}")
                verification = write_and_verify(
                    format_name,
                    model,
                    valid,
                    path,
                    options=source.make_options(request, model),
                    cases=cases,
                    excess=excess,
                )
                problems += verification.list_warnings(valid)
                deployed = verification.deployed
                assert deployed is not None
                with silence_runtimes():
                    call = latency.load_format_runner(format_name, path, model)
                    times = {
                        str(size): latency.measure_latency(
                            call, latency.take_batch(subset, valid.graph, deployed, size)
                        )
                        for size in latency.BATCH_SIZES
                    }
                    train = valid.config.train
                    metrics = (
                        {}
                        if train is None
                        else latency.evaluate_runner(call, model, deployed, subset, train, valid)
                    )
                size = measure_output(path)
            rows.append({"format": format_name, "bytes": size, "milliseconds": times, "metrics": metrics})
        except LayercliError as error:
            if formats is not None:
                raise
            problems += [replace(problem, severity="warning") for problem in error.problems]
    return {
        "ok": True,
        "run": name,
        "examples": len(subset),
        "set": choose_split_name(source.splits),
        "formats": rows,
        "problems": [problem.as_json() for problem in problems],
    }

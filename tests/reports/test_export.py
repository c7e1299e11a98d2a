"""The report of an export on the terminal."""

from io import StringIO

from rich.console import Console

from layercli.errors import Problem
from layercli.reports.export import print_export_report


def test_warnings_have_their_hints():
    screen = StringIO()
    first = Problem(code="preparation-outside", message="One.", hint="See m.json.", severity="warning")
    second = Problem(code="fewer-threads", message="Two.", severity="warning")
    compared = {"examples": 1, "edges": [], "batch_sizes": [1], "largest_difference": 0.0, "sets": {}}
    result = {"output": "m.onnx", "bytes": 2048, "also": [], "compared": compared, "metrics": None}
    problems = [problem.as_json() for problem in (first, second)]
    print_export_report(
        Console(file=StringIO()),
        Console(file=screen, markup=False),
        result | {"tolerance": 1e-5, "problems": problems},
    )
    assert screen.getvalue().splitlines() == [
        "warning: One. [preparation-outside]",
        "  fix: See m.json.",
        "warning: Two. [fewer-threads]",
    ]


def test_report_of_an_export_without_compared_examples():
    out = StringIO()
    compared = {
        "examples": 0,
        "edges": [],
        "batch_sizes": [],
        "largest_difference": 0.0,
        "sets": {"train": 3},
    }
    result = {"problems": [], "output": "m.py", "bytes": 2048, "also": [], "compared": compared}
    print_export_report(
        Console(file=out, width=200), Console(file=out), result | {"tolerance": 1e-5, "metrics": None}
    )
    assert out.getvalue().splitlines() == [
        "Wrote m.py (2.0 KiB).",
        "The script reads the same examples: 3 train.",
        "Loaded. Only the shapes of its weights were compared: a layer has not learned from data yet.",
    ]

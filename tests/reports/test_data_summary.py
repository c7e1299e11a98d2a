"""The table of columns, targets and classes."""

from io import StringIO

import pytest
from rich.console import Console

from layercli.data.summary import FeatureSummary
from layercli.reports.data_summary import data_json, print_data_summary


def column(name, **changes):
    values = {
        "input": None,
        "shape": (),
        "dtype": "float32",
        "missing": 0,
        "different": 3,
        "low": 0.5,
        "mean": 1234.56,
        "high": 2.0,
        "samples": (1.0, float("nan"), 0.25),
    }
    return FeatureSummary(name=name, **{**values, **changes})


def show(features, targets=(), counts=(2, 1, 1), classes=None, width=110):
    console = Console(file=StringIO(), width=width, highlight=False)
    print_data_summary(console, features, targets, counts, classes or {}, {}, lambda _: None)
    lines = console.file.getvalue().splitlines()
    return [" ".join(line.split()) for line in lines if line.strip(" ─")]


def test_wide_table_has_the_first_values():
    texts = column(
        "b", dtype="string", missing=1200, low=None, mean=None, high=None, samples=("x", "", None, 3)
    )
    assert show([column("a"), texts]) == [
        "column type different missing low mean high first values",
        "a float32 3 0.5 1235 2 1, -, 0.25",
        "b string 3 1,200 x, -, -, 3",
        "4 examples: 2 to train on, 1 to validate, 1 to test.",
    ]


def test_narrow_table_has_the_first_values_below():
    assert show([column("a"), column("b", samples=())], width=109) == [
        "column type different missing low mean high",
        "a float32 3 0.5 1235 2",
        "b float32 3 0.5 1235 2",
        "column first values",
        "a 1, -, 0.25",
        "4 examples: 2 to train on, 1 to validate, 1 to test.",
    ]


def test_arrays_have_a_shape_and_inputs_a_line():
    arrays = column(None, input="image", shape=(8, 8), different=None, samples=())
    inputs = [column("a", input="left", samples=()), column("b", input="left", samples=()), arrays]
    found = show([*inputs, column("c", input="c", samples=()), column(None, samples=())])
    assert [line.split()[0] for line in found[1:-1]] == ["left:", "a", "b", "image", "c", "input"]
    assert found[4] == "image float32 (8, 8) 0.5 1235 2"


@pytest.mark.parametrize(("count", "more"), [(60, []), (61, ["… and 1 more columns."])])
def test_many_columns_are_counted(count, more):
    found = show([column(f"c{number}", samples=()) for number in range(count)], [column("y", samples=())])
    assert len(found) == 1 + 60 + 1 + len(more) + 1
    assert found[62:-1] == more
    assert found[61].startswith("y ")


def test_classes_are_counted_in_each_set():
    balance = [(f"k{number}", (1500, 0, number)) for number in range(61)]
    found = show([], counts=(1500, 1, 2), classes={None: balance[:1], "out": balance})
    assert found[1:4] == ["class train validation test", "k0 1,500 0 0", "class of out train validation test"]
    assert found[-2] == "k59 1,500 0 59"
    assert found[-1] == "1,503 examples: 1,500 to train on, 1 to validate, 2 to test."


def test_document_of_the_data():
    document = data_json([column("a")], [], (2, 1, 0), {None: [("x", (1, 2, 3))]}, {}, lambda _: None)
    assert document["examples"] == {"train": 2, "validation": 1, "test": 0}
    assert document["features"][0]["name"] == "a"
    assert document["classes"] == [{"target": "target", "name": "x", "train": 1, "validation": 2, "test": 3}]

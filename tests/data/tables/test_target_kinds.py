"""Kind of a target column: labels from 0, class names, or numbers."""

import numpy as np
import pyarrow as pa
import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.tables import target_inference
from layercli.data.tables.plan import TablePlan, TargetPlan
from layercli.data.tables.target_inference import infer_targets, make_inferences
from layercli.data.types import DataError

PLAN = TablePlan(inputs={None: ("a",)}, text_columns=frozenset(), targets={None: TargetPlan(("y",))})


def infer(*chunks, column="y", **keys):
    data = DATA_TYPES.parse({"type": "csv", "path": "t.csv", "target": column, **keys})
    (inference,) = make_inferences(data)
    start = 0
    for values in chunks:
        inference.add(pa.chunked_array([values]), np.arange(start, start + len(values)))
        start += len(values)
    plan = infer_targets([inference], PLAN, lambda column, row: f"row {row} of {column}")
    return plan.targets[None].classes, plan.targets[None].class_names


def error_of(*chunks, **keys):
    with pytest.raises(DataError) as caught:
        infer(*chunks, **keys)
    (found,) = caught.value.findings
    assert found.path == ("data", "target")
    return found.message


@pytest.mark.parametrize(
    ("values", "declared", "expected"),
    [
        ([0, 1, 2, 1], None, (3, None)),
        ([0, 2], None, (None, None)),
        ([1, 2], None, (None, None)),
        ([-1, 0, 1], None, (None, None)),
        ([0.0, 1.0], None, (None, None)),
        (["b", "a", "c"], None, (3, ("a", "b", "c"))),
        ([True, False], None, (2, ("false", "true"))),
        ([0, 1, 2], "numbers", (None, None)),
        ([10, 9, 200], "labels", (3, ("9", "10", "200"))),
        ([1.5, 0.5], "labels", (2, ("0.5", "1.5"))),
    ],
)
def test_kind_of_a_target(values, declared, expected):
    keys = {} if declared is None else {"target_type": declared}
    assert infer(pa.array(values), **keys) == expected


def test_values_of_all_chunks_count():
    assert infer(pa.array([0, 1]), pa.array([2])) == (3, None)
    assert infer(pa.array([0, 1]), pa.array([1.5])) == (None, None)
    assert infer(pa.array(["b"]), pa.array(["a"])) == (2, ("a", "b"))


def test_first_missing_target_is_named_with_the_count():
    assert error_of(pa.array([0, 1, None])) == "The target `y` is missing in row 2 of y."
    message = "The target `y` is missing in row 3 of y (3 rows affected)."
    assert error_of(pa.array([0, 1]), pa.array([1, None, None]), pa.array([None, 1])) == message


def test_long_name_of_a_column_is_cut_at_60_characters():
    message = error_of(pa.array([0, None]), column="y" * 61)
    assert message.startswith(f"The target `{'y' * 59}\u2026` is missing")
    assert error_of(pa.array([0, None]), column="y" * 60).startswith(f"The target `{'y' * 60}` is missing")


def test_too_many_classes_are_refused(monkeypatch):
    monkeypatch.setattr(target_inference, "_MAX_TEXT_CLASSES", 2)
    assert infer(pa.array(["a", "b"])) == (2, ("a", "b"))
    assert error_of(pa.array(["a", "b", "c"])) == (
        "The target `y` must contain numbers or labels of at most 2 classes, "
        "got text with more than 2 distinct values (row -1 of y)."
    )
    assert infer(pa.array([0, 1, 2])) == (None, None)
    assert error_of(pa.array([0, 1, 2]), target_type="labels").startswith(
        "The target `y` must contain labels of at most 2 classes, got more than 2 distinct values"
    )


def test_text_declared_as_numbers_is_refused():
    assert error_of(pa.array(["a", "b"]), target_type="numbers") == (
        "The target `y` must contain numbers, got text with 2 distinct values (row -1 of y)."
    )

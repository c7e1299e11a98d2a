"""Columns that contain the target."""

import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data import leaks
from layercli.data.leaks import check_leaks, find_leaks
from layercli.formats.registry import load_dataset

ROWS = 60
NUMBERS = np.random.default_rng(0).normal(size=(3, ROWS))
CLASSES = np.arange(ROWS) % 2


def texts(*values):
    return np.array(values, dtype=object)


def test_column_with_one_value_for_each_class_repeats_the_target():
    alive = texts(*np.where(CLASSES, "yes", "no"))
    assert find_leaks({"alive": alive, "x": NUMBERS[0]}, CLASSES.astype(float)) == {
        "alive": "repeats the target"
    }


def test_column_whose_values_have_one_class_each_determines_the_target():
    cause = texts(*(["ice", "fire"][n % 2] + str(n % 6 // 2) for n in range(ROWS)))
    reason = find_leaks({"cause": cause}, CLASSES.astype(float))["cause"]
    assert reason == "determines the target: each of its values has one value of the target"


def test_column_with_one_exception_does_not_determine_the_target():
    values = CLASSES.astype(float).copy()
    values[7] = 1 - values[7]
    assert find_leaks({"x": values}, CLASSES.astype(float)) == {}


def test_ids_and_constant_columns_do_not_determine_the_target():
    columns = {"id": np.arange(ROWS, dtype=float), "same": np.ones(ROWS)}
    assert find_leaks(columns, CLASSES.astype(float)) == {}


def test_sums_and_differences_of_two_columns():
    a, b, c = NUMBERS
    assert set(find_leaks({"a": a, "b": b, "c": c}, a + b)) == {"a", "b"}
    assert "difference of `a` and `c`" in find_leaks({"a": a, "b": b, "c": c}, c - a)["c"]
    assert find_leaks({"a": a, "b": b, "c": c}, a + b + 0.01 * c) == {}


def test_target_in_different_units():
    reason = "is the target in different units"
    assert find_leaks({"eur": NUMBERS[0], "x": NUMBERS[1]}, 1.1 * NUMBERS[0] + 3) == {"eur": reason}
    assert find_leaks({"eur": NUMBERS[0]}, NUMBERS[0] + 0.01 * NUMBERS[1]) == {}


def test_missing_values_and_few_rows():
    known = NUMBERS[0].copy()
    known[:5] = np.nan
    assert set(find_leaks({"a": known, "b": NUMBERS[1]}, 2 * known)) == {"a"}
    assert find_leaks({"a": CLASSES[:19].astype(float)}, CLASSES[:19].astype(float)) == {}


@pytest.fixture
def section(tmp_path):
    """Return the section of a table of hourly rentals, whose target is a sum, and which has two inputs."""
    rows = [f"{n % 7},{n * 5 % 31},{['a', 'b', 'c'][n % 3]},{n % 7 + n * 5 % 31}" for n in range(90)]
    (tmp_path / "t.csv").write_text("\n".join(["casual,registered,kind,cnt", *rows]))
    inputs = {"numbers": ["casual", "registered"], "kind": "kind"}

    def section(**keys):
        data = {"type": "csv", "path": str(tmp_path / "t.csv"), "target": "cnt", "inputs": inputs}
        return DATA_TYPES.parse(data | keys)

    return section


def test_warning_names_the_column_and_its_input(section):
    data = section()
    found = [
        (each.code, each.severity, each.path, each.message) for each in check_leaks(load_dataset(data), data)
    ]
    reason = "is part of the target, which is the sum of `casual` and `registered`."
    assert found == [
        ("probable-leak", "warning", ("data", "inputs", "numbers"), f"`{name}` {reason}")
        for name in ("casual", "registered")
    ]


def test_past_values_of_the_target_in_windows_are_not_reported(section):
    data = section(inputs={"numbers": ["casual", "registered"]}, windows={"length": 3})
    assert list(check_leaks(load_dataset(data), data)) == []


def test_wide_tables_are_compared_in_fewer_rows(section, monkeypatch):
    monkeypatch.setattr(leaks, "_MAX_COMPARED_VALUES", 3 * 19)
    data = section()
    assert list(check_leaks(load_dataset(data), data)) == []  # 19 rows say nothing
    monkeypatch.setattr(leaks, "_MAX_COMPARED_VALUES", 3 * 40)
    assert len(list(check_leaks(load_dataset(data), data))) == 2


def test_one_long_text_does_not_give_each_text_its_size():
    texts = np.array([*"ab"] * 2000, dtype=object)
    target = (texts == "b").astype(np.float64)
    assert list(find_leaks({"t": texts}, target)) == ["t"]
    texts[:2] = "c" * 50_000_000  # 800 GB as an array of NumPy's texts
    assert list(find_leaks({"t": texts}, target)) == []

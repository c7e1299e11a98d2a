"""Permutation importance, next to scikit-learn's own on the same model."""

import numpy as np
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression

from layercli.data.evaluation.classes import ClassResult
from layercli.data.evaluation.errors import ErrorResult
from layercli.data.examples import Examples
from layercli.engine.importance import ImportanceBudgetError, compute_importance, plan_importance
from layercli.engine.result_details import DetailCollector, find_columns
from layercli.engine.results import OutputResults
from layercli.graph.output_kind import OutputKind


def collect(examples, kind, output, result):
    collector = DetailCollector()
    collector.observe("y", OutputResults(OutputKind(kind), None, result), examples, examples.y, output, None)
    return collector


def test_importance_equals_scikit_learn():
    generator = np.random.default_rng(1)
    x = generator.normal(size=(60, 3))
    y = x @ [3.0, 0.5, 0.0] + generator.normal(size=60) * 0.1
    model = LinearRegression().fit(x, y)
    examples = Examples(x, y, columns={None: ("a", "b", "c")})
    collector = collect(examples, "numbers", model.predict(x)[:, None], ErrorResult())
    found = compute_importance(
        lambda rows: [(model.predict(rows.x)[:, None], None)],
        collector.outputs,
        ["y"],
        examples,
        flops=6,
        seed=5,
    )["y"]
    expected = permutation_importance(
        model, x, y, scoring="neg_mean_absolute_error", n_repeats=5, random_state=5
    )
    assert [each.column for each in found.columns] == ["a", "b", "c"]
    assert [each.mean for each in found.columns] == pytest.approx(expected.importances_mean.tolist())
    assert [each.deviation for each in found.columns] == pytest.approx(expected.importances_std.tolist())
    assert found.baseline == pytest.approx(-np.abs(model.predict(x) - y).mean())
    assert (found.measure, found.examples, found.repeats) == ("mean absolute error", 60, 5)


def test_text_columns_and_several_inputs_are_shuffled_one_at_a_time():
    names = np.array([["red", "x"], ["blue", "x"]] * 20, dtype=object)
    numbers = np.arange(40, dtype=np.float32)[:, None]
    y = (names[:, 0] == "red").astype(np.int32)
    examples = Examples(
        {"names": names, "numbers": numbers}, y, columns={"names": ("colour", "other"), "numbers": ("n",)}
    )

    def predict(rows):
        return [((rows.x["names"][:, :1] == "red").astype(float) * 0.8 + 0.1, None)]

    collector = collect(examples, "two", predict(examples)[0][0], ClassResult(("0", "1")))
    found = compute_importance(predict, collector.outputs, ["y"], examples, flops=10)["y"]
    means = {each.column: each.mean for each in found.columns}
    assert found.measure == "ROC-AUC"
    assert found.baseline == 1
    assert means["colour"] > 0.3
    assert means["other"] == means["n"] == 0
    assert names[:2, 0].tolist() == ["red", "blue"]  # the sample is not changed


def test_columns_are_those_of_tables_and_a_few_numbers_without_names():
    x = {
        "a": np.zeros((2, 2)),
        "image": np.zeros((2, 4, 4, 1)),
        "wide": np.zeros((2, 41)),
        "w": np.zeros((2, 5, 3)),
    }
    examples = Examples(x, np.zeros(2), columns={"w": ("p", "q", "r")})
    assert [name for _, _, name in find_columns(examples)] == ["a[0]", "a[1]", "p", "q", "r"]


@pytest.mark.parametrize(
    ("columns", "examples", "flops", "expected"),
    [
        (10, 1000, 1000, (1000, 5)),
        (100, 1000, 1000, (1000, 2)),
        (150, 1000, 1000, (666, 2)),
        (10, 1000, 2_000_000, (500, 2)),
        (10, 30, 1000, (30, 5)),
        (10, 1000, None, (1000, 2)),
    ],
)
def test_budget_limits_examples_and_repeats(columns, examples, flops, expected):
    assert plan_importance(columns, examples, flops) == expected


def test_budget_for_too_many_columns_or_a_large_model():
    for columns, flops in ((2_001, 1000), (10, 40_000_000)):
        with pytest.raises(ImportanceBudgetError):
            plan_importance(columns, 1000, flops)

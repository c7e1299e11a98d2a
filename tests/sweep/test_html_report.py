"""The page of a sweep: its numbers, and names and choices that are text."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from layercli.sweep.html_report import render_report_page
from layercli.sweep.plan import read_sweep_plan
from tests.page.test_html import HOSTILE
from tests.pages import check_page


@pytest.fixture
def plan(iris):
    path = iris.with_name("s.yaml")
    path.write_text(
        "base: iris.yaml\nspace:\n  name: {choice: ['a', 'b']}\nobjective: {metric: loss}\nname: swept\n"
    )
    return read_sweep_plan(str(path))[0]


def row(number, value, params, state="complete", problem=None):
    return {
        "number": number,
        "state": state,
        "value": value,
        "values": [value],
        "loss": None,
        "parameters": None,
        "refused": [],
        "epochs": 3,
        "best_epoch": 2,
        "params": params,
        "seconds": 1.5,
        "run": f"runs/swept/{number}",
        "problem": problem,
    }


def test_page_names_best_trial_and_shows_every_trial(plan):
    name = "model.layers.a-layer-with-quite-a-long-name.units"
    rows = [row(0, 0.5, {name: 16}), row(1, 0.25, {name: 64}), row(2, 0.75, {}, "failed", "NaN")]
    trials = [
        create_trial(
            value=0.5,
            params={"x": 0.5},
            distributions={"x": FloatDistribution(0, 1)},
            intermediate_values={1: 0.9, 2: last},
        )
        for last in (0.5, 0.25)
    ]
    for number, trial in enumerate(trials):
        trial.number = number
    text = render_report_page(plan, rows, trials, {name: 1.0}, test_scores={})
    page = check_page(text)
    assert len(text) < 200_000
    assert "Trial 1 has the lowest loss: 0.25." in page.texts
    assert "3 trials: 2 complete, 1 failed." in page.texts
    assert page.texts.count(name) >= 3  # a caption, a row of the importances and a column: never cut
    assert {"runs/swept/0", "runs/swept/1", "NaN", "trial 0"} <= set(page.texts)
    titles = [attributes["aria-label"] for attributes in page.find("svg", role="img")]
    shown = [str(title).partition(".")[0] for title in titles[:3]]
    assert shown == ["History", "Importance of the parameters", "The best trials"]


def test_page_of_two_objectives_names_the_pareto_set(iris):
    path = iris.with_name("two.yaml")
    path.write_text(
        "base: iris.yaml\nspace:\n  name: {choice: ['a', 'b', 'c']}\n"
        "objectives: [{metric: loss}, {metric: parameters}]\nname: two\n"
    )
    rows = [
        row(number, 0.5, {"name": "a"}) | {"values": [0.5 - number, 10.0 * number]} for number in range(3)
    ]
    page = check_page(render_report_page(read_sweep_plan(str(path))[0], rows, [], {}, test_scores={}))
    assert "Pareto set: loss and parameters" in page.texts


def test_markup_in_names_and_choices_is_text(plan):
    rows = [row(0, 1.0, {HOSTILE: HOSTILE}), row(1, 2.0, {HOSTILE: "b"}), row(2, 3.0, {HOSTILE: "$\\frac$"})]
    trials = [
        create_trial(
            value=1.0, params={"x": HOSTILE}, distributions={"x": CategoricalDistribution([HOSTILE, "b"])}
        )
    ]
    page = check_page(render_report_page(plan, rows, trials, {HOSTILE: 1.0}, test_scores={}))
    assert HOSTILE in page.texts
    assert "$\\frac$" in page.texts


def test_sweep_without_complete_trials(plan):
    page = check_page(render_report_page(plan, [row(0, None, {}, "failed", "no")], [], {}, test_scores={}))
    assert "1 trials: 1 failed." in page.texts

"""The page of a sweep: its numbers, and names and choices that are text."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from layercli.page.html import make_element
from layercli.sweep import html_report
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


@pytest.fixture
def drawn(monkeypatch):
    """The charts of a page, which are not drawn."""
    charts = []
    for draw in ("draw_points", "draw_lines", "draw_bars"):
        monkeypatch.setattr(html_report, draw, lambda chart: charts.append(chart) or make_element("figure"))
    return charts


@pytest.mark.parametrize(
    ("sizes", "is_logarithmic"), [([10, 20, 300], True), ([10, 20, 299], False), ([0, 20, 300], False)]
)
def test_page_of_two_objectives_names_the_pareto_set(iris, drawn, sizes, is_logarithmic):
    path = iris.with_name("two.yaml")
    path.write_text(
        "base: iris.yaml\nspace:\n  name: {choice: ['a', 'b', 'c']}\n"
        "objectives: [{metric: loss}, {metric: parameters}]\nname: two\n"
    )
    losses = [0.123456, 0.5, 0.06]  # the second has a higher loss than the first, and is larger
    rows = [
        row(number, loss, {"name": "a"}) | {"values": [loss, float(size)]}
        for number, (loss, size) in enumerate(zip(losses, sizes, strict=True))
    ]
    page = check_page(render_report_page(read_sweep_plan(str(path))[0], rows, [], {}, test_scores={}))
    chart = drawn[0]
    assert chart.title == "Pareto set: loss and parameters"
    assert chart.x_title == ("parameters (logarithmic)" if is_logarithmic else "parameters")
    assert [(series.name, list(series.x)) for series in chart.series] == [
        ("other trials", [20]),
        ("Pareto set", [sizes[0], sizes[2]]),
    ]
    assert page.texts.count("parameters") == 1  # one column, although it is a size and an objective
    assert {"0.1235", "0.06"} <= set(page.texts)


def test_page_of_a_large_sweep_is_limited(plan, drawn):
    rows = [row(number, 1.0 - number / 2_000, {}) for number in range(1_001)]
    values = {"wide": [1, 30], "narrow": [1, 29], "zero": [0, 30]}
    values |= {"few": [f"c{number}" for number in range(12)], "many": [f"c{number}" for number in range(13)]}
    values |= {f"p{number}": [0.5] for number in range(26)}
    for name, items in values.items():
        for number, item in enumerate(items):
            rows[number]["params"][name] = item
    trials = [create_trial(value=0.5, intermediate_values={1: 0.9, 2: 0.5}) for _ in range(9)]
    trials.append(create_trial(value=0.5, intermediate_values={1: 0.5}))
    for number, trial in enumerate(trials):
        trial.number = number
    importances = {name: 1 / len(values) for name in values}
    page = check_page(render_report_page(plan, rows, trials, importances, test_scores={}))
    assert "1 more trials are not shown." in page.texts
    assert page.texts.count("parameters") == 1
    history, bars, *effects, best = drawn
    assert (history.series[1].y[0], history.series[1].y[-1]) == (1.0, 0.5)
    assert list(bars.names) == [effect.title for effect in effects] == list(values)[:30]  # of 31
    assert [series.name for series in best.series] == [f"trial {number}" for number in range(8, 0, -1)]
    shown = [(effect.x_title, effect.has_log_x, len(effect.x_names)) for effect in effects[:5]]
    assert shown == [
        ("value (logarithmic)", True, 0),  # the largest is 30 times the smallest
        ("value", False, 0),
        ("value", False, 0),
        ("choice", False, 12),
        ("choice", False, 0),
    ]
    assert list(effects[4].series[0].x) == list(range(13))


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

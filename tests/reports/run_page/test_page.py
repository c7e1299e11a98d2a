"""The page of runs, from contents that no training made."""

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from layercli.activity import find_current_activity, show_activity
from layercli.check import check_config, require_valid
from layercli.data.evaluation.calibration import CalibrationRow
from layercli.data.evaluation.curves import ScoreCurves, ThresholdRow
from layercli.data.example_cards import ExampleCard
from layercli.data.summary import FeatureSummary
from layercli.errors import Problem
from layercli.graph.output_kind import OutputKind
from layercli.page.charts import draw_lines
from layercli.reports.run_page import page, training
from layercli.reports.run_page.content import DataContent, EvaluationContent, OutputContent, RunContent
from layercli.reports.run_page.page import MAX_PAGE_BYTES, render_run_page
from layercli.reports.run_page.summary import wilson_interval
from layercli.runs.listing import read_run
from tests.browser import find_browser, visit
from tests.page.test_html import HOSTILE
from tests.pages import check_page

HISTORY = [
    {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 0.9, "val_accuracy": 0.6, "seconds": 1.0},
    {"epoch": 2, "loss": 0.5, "accuracy": 0.75, "val_loss": 0.6, "val_accuracy": 0.7, "seconds": 1.0},
    {"epoch": 3, "loss": 0.4, "accuracy": 0.85, "val_loss": 0.5, "val_accuracy": 0.8, "seconds": 1.0},
]
PNG = b"\x89PNG\r\n\x1a\n"
CLASSES = {
    "classes": ["cat", "dog"],
    "per_class": [
        {"class": "cat", "precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 80},
        {"class": "dog", "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 40},
    ],
    "macro": {"precision": 0.625, "recall": 0.625, "f1": 0.625},
    "weighted": {"precision": 0.667, "recall": 0.6666, "f1": 0.6667},
    "baseline": {"class": "cat", "accuracy": 0.6667},
    "confusion": [[60, 20], [20, 20]],
    "most_confused": [{"class": "cat", "predicted": "dog", "count": 20}],
}


DRAWN_CHARTS = {}
"""The figure of a chart of a training that is drawn for the n-th time in a test; figures of one page have different ids."""


@pytest.fixture(autouse=True)
def equal_charts_are_drawn_once(monkeypatch):
    """Most tests have the same training; drawing its curves takes most of their time."""
    counts = Counter()

    def draw(chart):
        text = repr(chart)
        counts[text] += 1
        key = (text, counts[text])
        if key not in DRAWN_CHARTS:
            DRAWN_CHARTS[key] = draw_lines(chart)
        return DRAWN_CHARTS[key]

    monkeypatch.setattr(training, "draw_lines", draw)


@pytest.fixture
def make_content(tmp_path):
    def make(name="run", *, history=HISTORY, summary=None, **values):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "history.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in history))
        best = {"monitor": "val_loss", **history[-1]} if history else {}
        summary = summary or {"epochs": len(history), "best": best, "test": {}, "seconds": 3.0}
        (folder / "summary.json").write_text(json.dumps(summary))
        return RunContent(read_run(folder), history=history, summary=summary, **values)

    return make


def evaluation(document, kind="classes", examples=120, **values):
    output = OutputContent(None, OutputKind(kind), document, **values)
    return EvaluationContent("test", examples, {"loss": 0.5}, [output])


def page_of(*contents):
    return check_page(render_run_page(contents))


def test_summary_says_whether_the_model_is_better_than_a_guess(make_content):
    text = page_of(make_content(evaluation=evaluation(CLASSES))).shown_text
    assert "On 120 examples of the test set, it is correct in 66.7 % of the cases" in text
    assert 'always guessing "cat" would be correct in 66.7 %. It is not better than this guess.' in text
    better = {**CLASSES, "weighted": {**CLASSES["weighted"], "recall": 0.7}}
    assert "The difference can be chance" in page_of(make_content(evaluation=evaluation(better))).shown_text
    best = {**CLASSES, "weighted": {**CLASSES["weighted"], "recall": 0.9}}
    assert "clearly better than this guess" in page_of(make_content(evaluation=evaluation(best))).shown_text


def test_summary_compares_classes_with_the_last_known_class(make_content):
    def show(recall, naive):
        weighted = {**CLASSES["weighted"], "recall": recall}
        document = {**CLASSES, "weighted": weighted, "naive_forecast": {"accuracy": naive}}
        return page_of(make_content(evaluation=evaluation(document))).shown_text

    assert (
        'always guessing "cat" would be correct in 66.7 %, and repeating the last known class in 85.0 %. '
        "It is not better than repeating the last known class."
    ) in show(0.7, 0.85)
    assert "The difference can be chance" in show(0.9, 0.85)  # the interval starts below 85 %
    assert "in 50.0 %. It is clearly better than this guess" in show(0.9, 0.5)


def test_summary_names_the_weakest_class_and_the_most_frequent_mistake(make_content):
    text = page_of(make_content(evaluation=evaluation(CLASSES))).shown_text
    assert 'Its most frequent mistake is "dog" for "cat": 20 times.' in text
    assert 'The class "dog" is the weakest, with an F1 of 0.5000 over 40 examples.' in text


def test_summary_compares_errors_with_the_mean(make_content):
    document = {
        "errors": {"mae": 2.0, "rmse": 3.0, "r2": 0.75, "quantiles": {"50": 1.0, "90": 4.0, "99": 6.0}},
        "baseline": {"mae": 4.0, "rmse": 6.0},
    }
    text = page_of(make_content(evaluation=evaluation(document, "numbers"))).shown_text
    assert (
        "its predictions differ from the target by 2.0000 on average; "
        "always predicting the mean of these examples would differ by 4.0000" in text
    )
    assert "It explains 75.0 % of the variance (R2 0.7500)." in text
    assert "A few errors are much larger" in text  # 6 is more than five times 1
    worse = {
        "errors": {**document["errors"], "mae": 5.0, "rmse": 7.0, "r2": -0.1},
        "baseline": document["baseline"],
    }
    assert (
        "It is not better than this guess."
        in page_of(make_content(evaluation=evaluation(worse, "numbers"))).shown_text
    )


def test_confidence_interval_is_that_of_wilson():
    # statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson")
    assert wilson_interval(0.8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert wilson_interval(1.0, 0) == (0.0, 1.0)


def test_advice_to_train_longer_only_if_the_last_epoch_is_the_best(make_content):
    assert "--set train.epochs=6" in page_of(make_content()).shown_text
    turned = [*HISTORY, {**HISTORY[-1], "epoch": 4, "val_loss": 0.55}]
    assert "train --resume" not in page_of(make_content(history=turned)).shown_text


def test_unfinished_run_names_the_command_that_resumes_it(make_content):
    content = make_content()
    unfinished = replace(content.run, state="unfinished")
    page = page_of(replace(content, run=unfinished))
    assert f"Resume it with: layercli train --resume {content.title}" in page.shown_text


def test_run_without_an_epoch_has_a_page(make_content):
    page = page_of(
        make_content(history=[], problems=[Problem(code="run-directory", message="It is damaged.")])
    )
    assert "It is damaged." in page.texts
    assert "How the training went" not in page.texts


def test_history_with_values_that_are_not_numbers(make_content):
    history = [{"loss": None, "accuracy": "high", "f1": [0.5, 0.25]}, {"loss": 1e308}, {}, {"loss": True}]
    assert "How the training went" in page_of(make_content(history=history)).texts


def hostile_content(make_content, tmp_path):
    (tmp_path / "c.yaml").write_text(
        "name: x\nmodel:\n  input: [3]\n  layers:\n    - {type: Dense, name: d, units: 2}\n"
    )
    document = json.loads(json.dumps(CLASSES).replace("cat", json.dumps(HOSTILE)[1:-1]))
    curve = ScoreCurves([0, 0.5, 1], [0, 1, 1], 0.8, [0, 1], [1, 0.5], 0.7, 0.5)
    facts = [("true", HOSTILE), ("predicted", HOSTILE)]
    card = ExampleCard(
        HOSTILE, facts, [(HOSTILE, PNG)], [HOSTILE], [(HOSTILE, HOSTILE)], [[(HOSTILE, [1.0, 2.0])]]
    )
    row = ExampleCard(HOSTILE, facts, values=[(HOSTILE, HOSTILE)])
    columns = [
        SimpleNamespace(column=HOSTILE, mean=0.5, deviation=0.1),
        SimpleNamespace(column="$", mean=0, deviation=0),
    ]
    importance = SimpleNamespace(measure="accuracy", baseline=0.9, columns=columns, examples=10, repeats=5)
    output = OutputContent(
        HOSTILE,
        OutputKind("classes"),
        document,
        curve,
        [ThresholdRow(0.5, 1, 1, 1, 1, 1)],
        [(HOSTILE, curve)],
        [CalibrationRow(0, 0.1, 0.05, 0.5, 3)],
        0.4,
        [(1.0, 2.0)],
        [card],
        [row],
        importance,
    )
    feature = FeatureSummary(HOSTILE, HOSTILE, (), HOSTILE, 1, 2, 0.0, 0.5, 1.0, ())
    manifest = {
        "versions": {HOSTILE: HOSTILE},
        "command": ["layercli", HOSTILE],
        "seed": HOSTILE,
        "environment": {"processor": HOSTILE},
        "platform": HOSTILE,
        "execution": {HOSTILE: HOSTILE},
        "data": {"fingerprint": HOSTILE},
        "files": {HOSTILE: HOSTILE},
    }
    history = [{**record, HOSTILE: 1.0} for record in HISTORY]
    diagnostics = [
        {"epoch": epoch, "layers": [{"layer": HOSTILE, "std": 0.5, "dead": 0.1, "gradient_norm": 2.0}]}
        for epoch in (0, 1)
    ]
    return make_content(
        history=history,
        manifest=manifest,
        config_text=HOSTILE,
        diagnostics=diagnostics,
        valid=require_valid(check_config(str(tmp_path / "c.yaml"))),
        evaluation=EvaluationContent("test", 3, {HOSTILE: 0.5}, [output], [HOSTILE]),
        data=DataContent([feature], [feature], (1, 1, 1), {HOSTILE: [(HOSTILE, (1, 1, 1))]}, [HOSTILE]),
        problems=[Problem(code="x", message=HOSTILE, hint=HOSTILE)],
        notes=[HOSTILE],
    )


def test_every_text_of_a_run_stays_text(make_content, tmp_path):
    content = hostile_content(make_content, tmp_path)
    for contents in ([content], [content, make_content("other")]):
        text = render_run_page(contents)
        page = check_page(text)
        assert page.texts.count(HOSTILE) >= 30
        assert "Layers" in page.texts
        assert all(
            "alert(1)" in str(value) for attributes in page.find("img") for value in [attributes["alt"]]
        )
        assert "<script" not in text


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason="no Chromium is installed")
def test_browser_reports_no_error_and_asks_for_nothing(make_content, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(render_run_page([hostile_content(make_content, tmp_path), make_content("other")]))
    seen = visit(path, tmp_path)
    assert seen.console == []
    assert seen.requests == []
    shown = check_page(seen.document)
    assert "How the training went" in shown.texts
    assert len(shown.find("svg")) > 10


def test_page_has_at_most_five_megabytes(make_content):
    cards = [ExampleCard("a", [], [("input", bytes(1_000_000))]) for _ in range(6)]
    contents = [make_content(name, evaluation=evaluation(CLASSES, wrong=cards)) for name in ("a", "b")]
    text = render_run_page(contents)
    assert len(text.encode()) <= MAX_PAGE_BYTES
    page = check_page(text)
    assert sum(text.startswith("This section was left out") for text in page.texts) == 2
    assert page.texts.count("Which classes it confuses") == 2


def test_many_classes_are_cut_to_the_worst(make_content):
    names = [f"class {number}" for number in range(1_000)]
    confusion = [[0] * 1_000 for _ in names]
    for number in range(1_000):
        confusion[number][number] = 10
    confusion[500][700] = 5
    rows = [{"class": name, "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 10} for name in names]
    rows[500]["f1"] = 0.5
    document = {**CLASSES, "classes": names, "confusion": confusion, "per_class": rows}
    document |= {
        "most_confused": [{"class": "class 500", "predicted": "class 700", "count": 5}],
        "baseline": None,
    }
    text = render_run_page([make_content(evaluation=evaluation(document))])
    page = check_page(text)
    assert len(text) < 500_000
    assert "class 500" in page.texts
    assert "class 999" not in page.texts
    assert any("the 30 of 1,000 classes with the most mistakes" in text for text in page.texts)
    assert "These are the 60 of 1,000 classes with the lowest F1." in page.texts


def test_runs_are_compared_by_results_and_configs(make_content, tmp_path):
    contents = []
    for name, units in (("a", 8), ("b", 16)):
        content = make_content(name, evaluation=evaluation(CLASSES))
        (tmp_path / name / "config.yaml").write_text(
            f"model: {{layers: [{{type: Dense, name: d, units: {units}}}]}}\n"
        )
        contents.append(content)
    page = page_of(*contents)
    assert "model.layers.d.units" in page.texts
    assert page.texts.count("macro F1") == 1
    results = page.text.partition('aria-label="Results"')[2].partition("</thead>")[0]
    assert results.count('<th scope="col">') == 1  # the names of the results
    assert results.count('<th scope="col" class="number">') == 2
    assert "Their configs are the same." not in page.texts
    labels = [str(attributes["aria-label"]) for attributes in page.find("svg", role="img")]
    assert any(label.count("training: from 1.0000 to 0.4000") == 2 for label in labels)


def test_seeds_of_foreign_manifests_can_have_any_type(make_content):
    contents = [make_content(name, evaluation=evaluation(CLASSES)) for name in "ab"]
    for content in contents:
        content.manifest = {
            "seed": [1],
            "files": {},
            "versions": {},
            "data": {"fingerprint": content.title},
            "execution": {},
        }
    texts = page_of(*contents).texts
    assert any("were not trained on the same examples" in text for text in texts)


def test_sentences_name_the_output(make_content):
    outputs = [OutputContent(name, OutputKind("classes"), CLASSES) for name in ("left", "right")]
    text = page_of(make_content(evaluation=EvaluationContent("test", 120, {"loss": 0.5}, outputs))).shown_text
    assert 'Its most frequent mistake for left is "dog" for "cat"' in text
    assert 'The class "dog" for right is the weakest' in text


def test_positions_are_not_counted_as_examples(make_content):
    better = {**CLASSES, "weighted": {**CLASSES["weighted"], "recall": 0.9}}
    content = make_content(evaluation=evaluation(better, examples=10, has_positions=True))
    text = page_of(content).shown_text
    assert "it is correct in 90.0 % of the 120 positions; always guessing" in text
    assert "The difference can be chance" in text
    shown = evaluation(CLASSES, examples=10, has_positions=True, position_interval=(0.67, 0.7))
    text = page_of(make_content(evaluation=shown)).shown_text
    assert "(with 95 % confidence 67.0 % to 70.0 %, from the differences between the 10 examples)" in text


def test_colors_of_masks_are_explained(make_content):
    card = ExampleCard("scan.png", [("wrong positions", "5 %")], [("true", PNG)])
    keys = [("cat", "#2563eb"), ("<dog>", "#d9480f")]
    page = page_of(make_content(evaluation=evaluation(CLASSES, wrong=[card], class_keys=keys)))
    assert "Colors of the classes: cat<dog>" in page.shown_text.replace("  ", " ")


SCHEDULED = "{type: Adam, learning_rate: {type: CosineDecay, initial_learning_rate: 0.01, decay_steps: 9}}"
OVERFITTING = ["Overfitting since epoch 2."]


@pytest.mark.parametrize(
    ("train", "notes", "advice"),
    [
        (
            "callbacks: []",
            OVERFITTING,
            "EarlyStopping with `restore_best_weights: true` keeps its best epoch",
        ),
        (
            "callbacks: [EarlyStopping]",
            OVERFITTING,
            "`restore_best_weights: true` of its EarlyStopping keeps its best epoch",
        ),
        (
            "callbacks: [{type: EarlyStopping, restore_best_weights: true}]",
            OVERFITTING,
            "keeps the weights of that epoch",
        ),
        (
            f"optimizer: {SCHEDULED}",
            OVERFITTING,
            "or fewer epochs with a learning-rate schedule of the same number of steps",
        ),
        ("callbacks: []", [], "more epochs may help: layercli train --resume"),
        (
            f"optimizer: {SCHEDULED}",
            [],
            "more epochs may help: train again, with a learning-rate schedule of the same number",
        ),
    ],
)
def test_advice_knows_the_callbacks_and_the_schedule(make_content, train, notes, advice):
    text = "data: {type: sklearn, dataset: iris, split: {validation: 0.2}}\n"
    text += "model: {input: [4], layers: [{type: Dense, units: 3, activation: softmax}]}"
    text += f"\ntrain: {{loss: sparse_categorical_crossentropy, {train}}}\n"
    valid = require_valid(check_config("config.yaml", text=text))
    shown = page_of(make_content(valid=valid, notes=notes)).shown_text
    assert advice.replace("`", "") in shown


@pytest.mark.parametrize(
    ("split", "advice"),
    [
        ("validation: 0.2", "Hold out more examples with data.split.test."),
        ("fold: {number: 1, folds: 5}", "The mean of all folds is less uncertain."),
    ],
)
def test_few_examples_of_a_fold_are_not_called_too_few(make_content, split, advice):
    text = f"data: {{type: sklearn, dataset: iris, split: {{{split}}}}}\n"
    text += "model: {input: [4], layers: [{type: Dense, units: 3, activation: softmax}]}\n"
    valid = require_valid(check_config("config.yaml", text=text))
    shown = page_of(make_content(valid=valid, evaluation=evaluation(CLASSES, examples=10))).shown_text
    assert f"The test set has only 10 examples, so every number here is uncertain. {advice}" in shown


def test_written_runs_are_counted_for_the_line_on_the_terminal(make_content, monkeypatch):
    shown = []
    monkeypatch.setattr(page, "make_training", lambda _: shown.append(find_current_activity()[1]))
    with show_activity("Writing the report"):
        render_run_page([make_content("first"), make_content("second")])
    assert [(activity.done, activity.total) for activity in shown] == [(2, 2), (2, 2)]

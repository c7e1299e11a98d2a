import json
import shutil

import numpy as np
import pytest

from tests.pages import check_page
from tests.running import CONFIGS, invoke, train, write_config


def report(tmp_path, *args):
    output = tmp_path / "page.html"
    result = invoke("report", *args, "--json", "--output", output)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert list(document) == ["ok", "output", "runs", "problems"]
    text = output.read_text(encoding="utf-8")
    assert len(text.encode()) < 5_000_000
    return document, check_page(text)


@pytest.fixture(scope="module")
def digits_page(digits_run, tmp_path_factory):
    return report(tmp_path_factory.mktemp("page"), digits_run.path)


def test_json_names_page_and_runs(digits_run, digits_page):
    document, _ = digits_page
    assert document["ok"] is True
    assert document["runs"] == [str(digits_run.path)]
    assert document["problems"] == []


def test_page_has_every_section_and_the_numbers_of_evaluate(digits_run, digits_page):
    page = digits_page[1]
    headings = [
        "How the training went",
        "How good the model is",
        "Which classes it confuses",
        "Each class",
        "Most wrong",
        "Least certain",
        "The model",
        "The data",
        "How to reproduce this model",
    ]
    assert [text for text in dict.fromkeys(page.texts[::-1]) if text in headings] == headings[::-1]
    evaluated = json.loads(invoke("evaluate", digits_run.path, "--json").stdout)
    loss = f"{evaluated['metrics']['loss']:.4f}"
    assert loss in page.texts
    assert f"{evaluated['macro']['f1']:.4f}" in page.texts
    share = f"{100 * evaluated['metrics']['accuracy']:.1f} %"
    assert f"it is correct in {share} of the cases" in page.shown_text


def test_page_contains_config_versions_and_hashes(digits_run, digits_page):
    page = digits_page[1]
    manifest = json.loads((digits_run.path / "manifest.json").read_text())
    assert set(manifest["files"].values()) <= set(page.texts)
    assert manifest["data"]["fingerprint"] in page.texts
    assert (digits_run.path / "config.yaml").read_text() in page.shown_text


def test_images_have_thumbnails_and_saliency(tmp_path):
    run = train(CONFIGS / "digits_cnn.yaml", tmp_path / "run", "--set", "train.epochs=1")
    _, page = report(tmp_path, run.path)
    pictures = [attributes["alt"] for attributes in page.find("img")]
    # up to 12 most wrong, none of which is right, and 12 least certain, each with its saliency
    assert 24 < len(pictures) <= 48
    assert len(pictures) % 2 == 0
    facts = [alt.partition(": ")[2].replace(",", "").split() for alt in pictures[: len(pictures) - 24]]
    assert all(each[1] != each[3] for each in facts)  # true 4 predicted 8
    assert sum(", saliency: true" in str(alt) for alt in pictures) == len(pictures) // 2


def test_two_runs_of_different_tasks_are_side_by_side(digits_run, tmp_path):
    other = train(CONFIGS / "diabetes_regression.yaml", tmp_path / "run", "--set", "train.epochs=2")
    document, page = report(tmp_path, digits_run.path, other.path)
    assert len(document["runs"]) == 2
    assert "The runs predict different kinds of targets, so their results cannot be compared." in page.texts
    assert {"Results", "Learning curves", "Differences of the configs"} <= set(page.texts)
    assert "train.epochs" in page.texts
    assert f"{digits_run.path.as_posix()} validation" in page.texts  # the legend of the curves


def test_run_without_its_model_shows_what_its_files_say(digits_run, tmp_path):
    shutil.copytree(digits_run.path, tmp_path / "run")
    (tmp_path / "run" / "model.keras").unlink()
    document, page = report(tmp_path, tmp_path / "run")
    assert [problem["code"] for problem in document["problems"]] == ["run-directory"]
    assert "This is not a finished run: it has no model.keras." in page.shown_text
    assert {"How the training went", "The model", "How to reproduce this model"} <= set(page.texts)
    assert "How good the model is" not in page.texts


def test_curves_come_from_the_summary_if_the_history_is_damaged(digits_run, tmp_path):
    shutil.copytree(digits_run.path, tmp_path / "run")
    (tmp_path / "run" / "history.jsonl").write_bytes(b"\xff{")
    _, page = report(tmp_path, tmp_path / "run")
    loss = digits_run.summary["history"]["loss"]
    assert {f"{loss[0]:.4f}", f"{loss[-1]:.4f}"} <= set(page.texts)


def test_data_that_is_gone_or_changed_is_reported(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    data = tmp_path / "data.npz"
    np.savez(data, x=x, y=x[:, 0] * 2)
    layers = [{"type": "Dense", "units": 1}]
    section = {"type": "npz", "path": str(data), "features": "x", "target": "y", "split": {"test": 0.25}}
    model = {"input": [3], "layers": layers}
    config = write_config(tmp_path, layers, model=model, data=section, train={"loss": "mse", "epochs": 2})
    run = train(config, tmp_path / "run").path
    document, page = report(tmp_path, run)
    assert document["problems"] == []
    assert {"Residuals", "Which columns matter", "x[0]"} <= set(page.texts)
    np.savez(data, x=x, y=x[:, 0] * 3)
    document, page = report(tmp_path, run)
    assert [problem["code"] for problem in document["problems"]] == ["data-changed"]
    assert "Residuals" in page.texts
    data.unlink()
    document, page = report(tmp_path, run)
    assert [problem["code"] for problem in document["problems"]] == ["unreadable-data"]
    assert "data.npz does not exist" in page.shown_text
    assert {"How the training went", "The model"} <= set(page.texts)
    assert "Residuals" not in page.texts


def test_series_are_compared_with_the_last_known_value(tmp_path):
    rows = "".join(f"{(number * 7) % 10},{number % 4}\n" for number in range(80))
    (tmp_path / "t.csv").write_text(f"a,b\n{rows}")
    windows = {"length": 4}
    section = {"type": "csv", "path": "t.csv", "target": "a", "inputs": {"w": ["a", "b"]}, "windows": windows}
    model = {"inputs": {"w": [4, 2]}, "layers": [{"type": "Flatten"}, {"type": "Dense", "units": 1}]}
    data = section | {"split": {"test": 0.25}}
    config = write_config(tmp_path, [], model=model, data=data, train={"loss": "mse", "epochs": 1})
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    _, page = report(tmp_path, run.path)
    evaluated = json.loads(invoke("evaluate", run.path, "--json").stdout)
    last = f"{evaluated['naive_forecast']['mae']:.4f}"
    assert "repeating the last value" in page.texts
    assert f"and repeating the last known value by {last}" in page.shown_text
    assert len(page.find("polyline")) == 24  # two columns of each of 12 examples
    assert {"Which columns matter", "a", "b"} <= set(page.texts)


def test_custom_code_is_not_run_without_trust(custom_run, tmp_path):
    document, page = report(tmp_path, custom_run.path)
    assert {problem["code"] for problem in document["problems"]} == {"trust-required"}
    assert "How the training went" in page.texts
    assert "How good the model is" not in page.texts
    document, page = report(tmp_path, custom_run.path, "--trust")
    assert document["problems"] == []
    assert "How good the model is" in page.texts


def test_other_directories_are_refused(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    for name in ("missing", "notes"):
        result = invoke("report", tmp_path / name, "--json", "--output", tmp_path / "page.html")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["problems"][0]["code"] == "run-directory"
    assert not (tmp_path / "page.html").exists()


def test_output_must_be_html(digits_run, tmp_path):
    result = invoke("report", digits_run.path, "--output", tmp_path / "page.pdf")
    assert result.exit_code == 2
    assert "must end in .html" in result.output


def test_missing_package_names_the_extra(digits_run, tmp_path, monkeypatch):
    monkeypatch.setattr("layercli.page.charts.find_spec", lambda _: None)
    result = invoke("report", digits_run.path, "--json", "--output", tmp_path / "page.html")
    assert result.exit_code == 1
    problem = json.loads(result.stdout)["problems"][0]
    assert problem["code"] == "missing-package"
    assert problem["hint"] == "Install it: `pip install 'layercli[report]'`."

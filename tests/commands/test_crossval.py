"""``layercli crossval``: a run for each fold, predictions of every example once, and what a second start does."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from layercli.engine.load_model import load_model
from layercli.runs.crossval_directory import CrossvalDirectory
from layercli.runs.open_run import open_run
from layercli.workflows.group_worker import claim_member
from tests.pages import check_page
from tests.running import invoke, problems
from tests.warm_processes import start_processes_warm

CONFIG = """
name: small
seed: 3
data: {type: csv, path: rows.csv, target: kind, split: {validation: 0.2, test: 0.1, stratify: true}}
model: {input: [2], layers: [Normalization, {type: Dense, units: 2, activation: softmax}]}
train: {loss: sparse_categorical_crossentropy, metrics: [accuracy], epochs: 1, batch_size: 8}
"""


@pytest.fixture(scope="module", autouse=True)
def warm_workers():
    with start_processes_warm():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("crossval")
    rng = np.random.default_rng(0)
    lines = ["a,b,kind"]
    for row in range(31):
        a, b = rng.normal(row % 2, 1, 2)
        lines.append(f"{a:.4f},{b:.4f},{'odd' if row % 2 else 'even'}")
    (path / "rows.csv").write_text("\n".join(lines) + "\n")
    (path / "small.yaml").write_text(CONFIG)
    return path


def crossval(folder, *options):
    return invoke("crossval", folder / "small.yaml", "--folds", 2, "--run-dir", folder / "cv", *options)


@pytest.fixture(scope="module")
def document(folder):
    result = crossval(folder, "--repeats", 2, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def read_rows(document):
    with Path(document["predictions"]).open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_fold_is_a_run(document):
    assert [(each["repeat"], each["fold"]) for each in document["folds"]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    for each in document["folds"]:
        evaluated = json.loads(invoke("evaluate", each["run"], "--json").stdout)
        assert evaluated["metrics"] == pytest.approx(each["metrics"], rel=1e-6)
        group = json.loads(Path(each["run"], "manifest.json").read_text())["group"]
        assert (group["kind"], group["member"]) == ("crossval", Path(each["run"]).name)
    accuracies = [each["metrics"]["accuracy"] for each in document["folds"]]
    assert document["mean"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert document["std"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))


def test_every_example_is_predicted_once_in_each_repetition(document):
    rows = read_rows(document)
    assert document["examples"] == len(rows) == 62
    for repeat in ("1", "2"):
        own_rows = [row for row in rows if row["repeat"] == repeat]
        assert [int(row["row"]) for row in own_rows] == list(range(1, 32))
        assert [row["target"] for row in own_rows] == ["even", "odd"] * 15 + ["even"]
        for fold in (1, 2):
            scores = [row["class"] == row["target"] for row in own_rows if row["fold"] == str(fold)]
            [metrics] = [
                each["metrics"]
                for each in document["folds"]
                if (each["fold"], str(each["repeat"])) == (fold, repeat)
            ]
            assert np.mean(scores) == pytest.approx(metrics["accuracy"], abs=1e-6)


def test_statistics_are_learned_in_each_fold(document):
    means = []
    for each in document["folds"][:2]:
        path, valid = open_run(each["run"])
        layer = next(layer for layer in load_model(path, valid).layers if hasattr(layer, "mean"))
        means.append(np.asarray(layer.mean).ravel().tolist())
    assert means[0] != means[1]


def test_second_start_trains_nothing(folder, document):
    stamps = [(folder / "cv" / str(number) / "model.keras").stat().st_mtime_ns for number in range(1, 5)]
    again = json.loads(crossval(folder, "--repeats", 2, "--json").stdout)
    assert again == document
    assert stamps == [
        (folder / "cv" / str(number) / "model.keras").stat().st_mtime_ns for number in range(1, 5)
    ]


@pytest.mark.parametrize("name", ["predictions-2.csv", "3/summary.json"])
def test_edited_results_of_a_fold_are_not_combined(folder, document, name):
    path = folder / "cv" / name
    before, predictions = path.read_text(), Path(document["predictions"]).read_bytes()
    path.write_text(before.replace("0.", "0.1", 1))
    result = crossval(folder, "--repeats", 2, "--json")
    path.write_text(before)
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert f"{Path(name).name} was modified" in problem["message"]
    assert Path(document["predictions"]).read_bytes() == predictions


def test_predictions_without_a_recorded_hash_are_combined(folder, document):
    for number in "1234":
        path = folder / "cv" / number / "manifest.json"
        manifest = json.loads(path.read_text())
        assert len(manifest.pop("predictions")) == 64
        path.write_text(json.dumps(manifest))
    assert json.loads(crossval(folder, "--repeats", 2, "--json").stdout) == document


def test_killed_fold_is_trained_or_finished(folder, document, tmp_path):
    assert document["ok"]
    copy = tmp_path / "cv"
    shutil.copytree(folder / "cv", copy)
    directory = CrossvalDirectory(copy, 2, 2)
    before, _, third, _ = directory.list_members()
    expected = {fold: directory.predictions_path(fold).read_text() for fold in (before, third)}
    directory.predictions_path(before).unlink()  # killed after the training
    directory.predictions_path(third).unlink()  # killed before its start
    for name in ("manifest.json", "model.keras", "summary.json", "history.jsonl"):
        (copy / "3" / name).unlink()
    shutil.rmtree(copy / "3" / "checkpoints")
    for fold in (before, third):
        claim_member(directory, fold, str(folder / "small.yaml"), [], trust=False)
        assert directory.predictions_path(fold).read_text() == expected[fold]


def test_other_cross_validation_in_the_directory_is_an_error(folder, document):
    assert document["ok"]
    result = crossval(folder, "--repeats", 3, "--json")
    assert [code for code, _ in problems(result)] == ["run-directory"]
    assert "differs in repeats (2, now 3)." in result.stdout
    result = crossval(folder, "--repeats", 2, "--set", "train.epochs=2", "--json")
    assert "differs in the config." in result.stdout
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("kept")
    result = invoke("crossval", folder / "small.yaml", "--run-dir", folder / "mine", "--json")
    assert [code for code, _ in problems(result)] == ["run-directory"]
    assert [path.name for path in (folder / "mine").iterdir()] == ["notes.txt"]


def test_failed_start_leaves_nothing(folder):
    result = invoke("crossval", folder / "small.yaml", "--folds", 30, "--run-dir", folder / "many", "--json")
    assert [code for code, _ in problems(result)] == ["bad-split"]
    assert "30 folds need at least 30 examples of each class, got 16." in result.stdout
    assert not (folder / "many").exists()


def test_text_report_names_mean_deviation_and_interval(folder, document):
    assert document["ok"]
    lines = crossval(folder, "--repeats", 2).stdout.splitlines()
    assert lines[0].endswith("; 4 are finished.")
    assert any(line.split()[:3] == ["metric", "mean", "deviation"] for line in lines)
    assert f"Predictions of 62 examples: {folder / 'cv' / 'predictions.csv'}" in lines


def test_report_of_the_directory_compares_the_folds(folder, document, tmp_path):
    copy = tmp_path / "moved"
    shutil.copytree(folder / "cv", copy)
    shutil.rmtree(copy / "4")
    (copy / "99").mkdir()
    result = invoke("report", copy, "--output", tmp_path / "page.html", "--json")
    assert [Path(run).name for run in json.loads(result.stdout)["runs"]] == ["1", "2", "3"]
    page = check_page((tmp_path / "page.html").read_text(encoding="utf-8"))
    accuracies = [each["metrics"]["accuracy"] for each in document["folds"][:3]]
    assert {"Cross-validation", f"{np.mean(accuracies):.4f}", f"{np.std(accuracies, ddof=1):.4f}"} <= set(
        page.texts
    )
    assert "for 3 folds" in page.shown_text
    assert "were not trained on the same examples" not in page.shown_text
    for state in ('{"folds": 1e9, "repeats": null}', '{"folds": -3, "repeats": 1}'):
        (copy / "crossval.json").write_text(state)
        result = invoke("report", copy, "--output", tmp_path / "page.html", "--json")
        assert [code for code, _ in problems(result)] == ["run-directory"]
        [problem] = json.loads(result.stdout)["problems"]
        assert problem["hint"].endswith(f"`layercli runs {copy}` takes the directory.")
        assert "layercli report" not in problem["hint"]


def test_commands_for_single_runs_and_configs_name_the_cross_validation(folder, document):
    assert document["ok"]
    cv = folder / "cv"
    usable = f"`layercli report {cv}` and `layercli runs {cv}` take the directory."
    for command in ("show", "inspect-shapes", "train"):
        [problem] = json.loads(invoke(command, cv, "--json").stdout)["problems"]
        assert problem["message"] == "This is the directory of a cross-validation, not a config file."
        assert (
            problem["hint"] == f"Name the config of one of its runs, such as {cv / '1/config.yaml'}. {usable}"
        )
    [problem] = json.loads(invoke("evaluate", cv, "--json").stdout)["problems"]
    assert problem["hint"] == (
        f"It is the directory of a cross-validation: pass one of its runs, such as {cv / '1'}. {usable}"
    )
    [problem] = json.loads(invoke("train", "--resume", cv, "--json").stdout)["problems"]
    assert problem["message"] == "This is the directory of a cross-validation, not a run directory."
    [problem] = json.loads(invoke("inspect-shapes", cv / "1", "--json").stdout)["problems"]
    assert problem["message"] == "This is the directory of a run, not a config file."
    assert problem["hint"] == f"Name its config, {cv / '1/config.yaml'}."
    [problem] = json.loads(invoke("show", folder, "--json").stdout)["problems"]
    assert problem["message"] == "This is a folder of runs, not a config file."


@pytest.mark.parametrize("option", [("--folds", "1"), ("--jobs", "0"), ("--repeats", "0")])
def test_wrong_options_are_usage_errors(option, folder):
    assert invoke("crossval", folder / "small.yaml", *option).exit_code == 2

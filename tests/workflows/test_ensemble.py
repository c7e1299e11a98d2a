"""The averaged model of a cross-validation: its outputs are the mean of the outputs of the folds."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from layercli.check import check_config, require_valid
from layercli.engine.compare import run_keras_model
from layercli.engine.load_model import load_model
from layercli.errors import LayercliError
from layercli.graph.adaptable import find_scaled_outputs
from layercli.runs.crossval_directory import CrossvalDirectory
from layercli.runs.open_run import open_run
from layercli.workflows.ensemble import write_ensemble
from layercli.workflows.ensemble_config import make_ensemble_document, require_averageable
from layercli.workflows.group_worker import claim_member
from tests.running import invoke

CONFIG = """
name: sizes
seed: 3
data:
  type: csv
  path: rows.csv
  target: {kind: kind, size: size}
  target_type: {kind: labels, size: numbers}
  inputs: {numbers: [a, b], word: word}
  missing: {numbers: mean}
  split: {validation: 0.2}
model:
  inputs: {numbers: [2], word: {shape: [1], dtype: string}}
  freeze: [shared]
  layers:
    - {type: Normalization, name: scaled, inputs: numbers}
    - {type: Discretization, name: bins, inputs: numbers, num_bins: 3}
    - {type: StringLookup, name: word_ids, inputs: word, output_mode: one_hot}
    - {type: Concatenate, name: joined, inputs: [scaled, bins, word_ids]}
    - {type: Dense, name: stem, units: 4}
    - {type: Dense, name: shared, units: 4}
    - {reuse: shared, inputs: shared, name: again}
    - {type: Dense, name: kind, units: 2, activation: softmax}
    - {type: Dense, name: size_scaled, units: 1, inputs: stem}
    - {type: Normalization, name: size, invert: true}
  outputs: [kind, size]
train:
  loss: {kind: sparse_categorical_crossentropy, size: mean_squared_error}
  metrics: {kind: [accuracy]}
  callbacks: [{type: EarlyStopping, monitor: val_loss}]
  epochs: 1
  batch_size: 8
"""
SUMMARY = {"mean": {"loss": 0.5}, "std": {"loss": 0.1}, "interval": {"loss": [0.2, 0.8]}}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble")
    rng = np.random.default_rng(0)
    lines = ["a,b,word,kind,size"]
    for row in range(40):
        a, b = rng.normal(row % 2, 1, 2)
        first = "" if row == 5 else f"{a:.4f}"
        lines.append(f"{first},{b:.4f},w{row // 3},{'odd' if row % 2 else 'even'},{100 + 10 * a:.2f}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    (folder / "sizes.yaml").write_text(CONFIG)
    found = CrossvalDirectory(folder / "cv", 2, 1)
    found.path.mkdir()
    for fold in found.list_members():
        claim_member(found, fold, str(folder / "sizes.yaml"), [], trust=False)
    return found


@pytest.fixture(scope="module")
def ensemble(directory):
    return write_ensemble(directory, SUMMARY, trust=False)


def run_model(path, inputs):
    run, valid = open_run(str(path))
    return run_keras_model(load_model(run, valid), inputs)


def test_outputs_are_the_mean_of_the_folds(directory, ensemble):
    path, _ = ensemble
    words = np.array([["w1"], ["w8"], ["unknown"]], dtype=object)
    inputs = {"numbers": np.array([[0.5, -1], [2, 0], [-3, 1]], "float32"), "word": words}
    folds = [run_model(directory.run_path(fold), inputs) for fold in directory.list_members()]
    assert not np.allclose(folds[0][1], folds[1][1])
    for index, received in enumerate(run_model(path, inputs)):
        expected = np.mean([outputs[index] for outputs in folds], axis=0)
        np.testing.assert_allclose(received, expected, rtol=1e-6, atol=1e-6)


def test_replacements_of_missing_numbers_are_averaged_with_a_warning(directory, ensemble):
    path, warnings = ensemble
    values = [
        json.loads((directory.run_path(fold) / "data.json").read_text())["plan"]["fill"]["a"]
        for fold in directory.list_members()
    ]
    merged = json.loads((path / "data.json").read_text())["plan"]["fill"]["a"]
    assert values[0] != values[1]
    assert merged == pytest.approx(np.mean(values))
    assert [(problem.code, problem.path) for problem in warnings] == [("inexact-average", "data.missing")]


@pytest.mark.usefixtures("warm_processes")
def test_other_commands_read_the_averaged_model(directory, ensemble, tmp_path):
    path, _ = ensemble
    raw = tmp_path / "new.csv"
    raw.write_text("a,b,word\n0.5,-1,w1\n,0,w9\n")
    predictions = []
    for number, run in enumerate([*map(directory.run_path, directory.list_members()), path]):
        output = tmp_path / f"{number}.jsonl"
        result = invoke("predict", run, "--input", raw, "--output", output)
        assert result.exit_code == 0, result.output
        predictions.append([json.loads(line) for line in output.read_text().splitlines()])
    sizes = [[row["size_prediction"] for row in rows] for rows in predictions]
    assert sizes[2][0] == pytest.approx(np.mean([sizes[0][0], sizes[1][0]]), rel=1e-5)
    evaluated = json.loads(invoke("evaluate", path, "--part", "train", "--json").stdout)
    assert evaluated["examples"] == 40
    assert "test split of this run is empty" in invoke("evaluate", path, "--json").stdout
    listed = json.loads(invoke("runs", directory.path, "--json").stdout)["runs"]
    assert [(each["name"], each["state"]) for each in listed][-1] == ("ensemble", "finished")
    exported = invoke("export", path, "--format", "keras", "--output", tmp_path / "mean.keras", "--json")
    assert exported.exit_code == 0, exported.output


def test_existing_average_is_kept_until_a_fold_changes(directory, ensemble, tmp_path):
    assert ensemble[0].is_dir()
    copy = CrossvalDirectory(tmp_path / "cv", 2, 1)
    shutil.copytree(directory.path, copy.path)
    (copy.path / ".ensemble-old").mkdir()
    stamp = (copy.path / "ensemble" / "model.keras").stat().st_mtime_ns
    path, warnings = write_ensemble(copy, SUMMARY, trust=False)
    assert path == copy.path / "ensemble"
    assert [problem.code for problem in warnings] == ["inexact-average"]
    assert (copy.path / "ensemble" / "model.keras").stat().st_mtime_ns == stamp
    write_ensemble(copy, {**SUMMARY, "mean": {"loss": 0.6}}, trust=False)
    assert (copy.path / "ensemble" / "model.keras").stat().st_mtime_ns != stamp
    assert not list(copy.path.glob(".ensemble-*"))
    assert "0.6" in (copy.path / "ensemble" / "summary.json").read_text()


def test_foreign_directory_is_not_replaced(directory, tmp_path):
    copy = CrossvalDirectory(tmp_path / "cv", 2, 1)
    shutil.copytree(directory.path, copy.path, ignore=shutil.ignore_patterns("ensemble"))
    (copy.path / "ensemble").mkdir()
    (copy.path / "ensemble" / "notes.txt").write_text("kept")
    with pytest.raises(LayercliError, match="already exists"):
        write_ensemble(copy, SUMMARY, trust=False)
    assert (copy.path / "ensemble" / "notes.txt").read_text() == "kept"


def test_folds_of_other_classes_are_refused(directory, tmp_path):
    copy = CrossvalDirectory(tmp_path / "cv", 2, 1)
    shutil.copytree(directory.path, copy.path, ignore=shutil.ignore_patterns("ensemble"))
    state = (copy.path / "2" / "data.json").read_text()
    changed = state.replace('"even"', '"none"')
    assert changed != state
    (copy.path / "2" / "data.json").write_text(changed)
    manifest = json.loads((copy.path / "2" / "manifest.json").read_text())
    manifest["files"]["data.json"] = sha256(changed.encode()).hexdigest()
    (copy.path / "2" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(LayercliError) as caught:
        write_ensemble(copy, SUMMARY, trust=False)
    assert [problem.code for problem in caught.value.problems] == ["no-average"]
    assert not (copy.path / "ensemble").exists()


def check(text, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    return require_valid(check_config(str(tmp_path / "config.yaml")))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("[{type: Hashing, num_bins: 3}]", "The output `hashing` has dtype int64"),
        ("[{type: LSTM, units: 2, return_state: true, name: memory}]", "`memory` is one of several outputs"),
    ],
)
def test_outputs_without_an_average_are_refused(layers, message, tmp_path):
    valid = check(f"model: {{input: [3, 2], layers: {layers}}}", tmp_path)
    with pytest.raises(LayercliError) as caught:
        require_averageable(valid, count=2)
    assert message in str(caught.value.problems[0].message)


def test_too_many_layers_are_refused(tmp_path):
    valid = check("model: {input: [2], layers: [{type: Dense, units: 1}]}", tmp_path)
    require_averageable(valid, count=9_999)
    with pytest.raises(LayercliError, match="10,001 layers"):
        require_averageable(valid, count=10_000)


def test_layers_are_renamed_and_outputs_averaged(directory):
    folds = [open_run(str(directory.run_path(fold)))[1] for fold in directory.list_members()]
    document = make_ensemble_document(folds)
    layers = {layer["name"]: layer for layer in document["model"]["layers"]}
    assert len(layers) == 2 * 10 + 2
    assert layers["fold2.again"] == {
        "reuse": "fold2.shared",
        "name": "fold2.again",
        "inputs": ["fold2.shared"],
    }
    assert layers["fold1.joined"]["inputs"] == ["fold1.scaled", "fold1.bins", "fold1.word_ids"]
    assert layers["size"]["inputs"] == ["fold1.size", "fold2.size"]
    sizes = [layers[f"fold{number}.word_ids"]["max_tokens"] for number in (1, 2)]
    assert sizes[0] != sizes[1]
    assert document["model"]["freeze"] == ["fold1.shared", "fold2.shared"]
    assert document["data"]["split"] == {"validation": 0, "test": 0}
    assert "callbacks" not in document["train"]
    assert all(Path(path).is_absolute() for path in document["data"]["path"])


def test_average_of_scaled_outputs_is_scaled(tmp_path):
    layers = "[{type: Dense, units: 1, name: raw}, {type: Normalization, name: a, invert: true, inputs: raw},"
    layers += " {type: Normalization, name: b, invert: true, inputs: raw}, {type: Average, inputs: [a, b]}]"
    valid = check(f"model: {{input: [2], layers: {layers}}}", tmp_path)
    assert find_scaled_outputs(valid.graph) == {"a": [0], "b": [0]}


def test_only_output_is_named_as_keras_would(tmp_path):
    text = "data: {type: sklearn, dataset: iris}\nmodel: {input: [4], layers: [{type: Dense, units: 3, activation: softmax}]}\n"
    valid = check(text + "train: {loss: sparse_categorical_crossentropy}\n", tmp_path)
    assert make_ensemble_document([valid, valid])["model"]["outputs"] == ["average"]
    valid = check(text + "train: {loss: {dense: sparse_categorical_crossentropy}}\n", tmp_path)
    assert make_ensemble_document([valid, valid])["model"]["outputs"] == ["dense"]

"""``layercli show``: the resolved config with every default, and the origin of each value."""

import json
import re
import zipfile
from pathlib import Path

import pytest
import yaml

from layercli.check import check_config, require_valid
from layercli.reports.show import print_yaml
from tests.running import CONFIGS, invoke, problems

GOLDEN = Path(__file__).parents[1] / "runs/golden/format-1.zip"
ALL = sorted(CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_shown_config_is_equivalent_and_stable(path, tmp_path):
    shown = invoke("show", path).stdout
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    assert invoke("show", again).stdout == shown
    before, after = require_valid(check_config(str(path))), require_valid(check_config(str(again)))
    assert after.to_resolved_dict() == before.to_resolved_dict()
    assert [row.outputs for row in after.shapes.rows] == [row.outputs for row in before.shapes.rows]
    explained = invoke("show", path, "--explain").stdout
    assert yaml.safe_load(explained) == yaml.safe_load(shown)


@pytest.mark.tensorflow
def test_run_config_equals_show_output(digits_run):
    shown = invoke("show", CONFIGS / "digits_dense.yaml", "--set", "train.epochs=3").stdout
    assert (digits_run.path / "config.yaml").read_text() == shown


@pytest.fixture
def explained(tmp_path, monkeypatch):
    """Return each line of the explanation as (value, origin)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text("vars: {n: 1}\ntrain: {loss: mse, epochs: 5}\n")
    (tmp_path / "own.yaml").write_text("""extends: base.yaml
data: {type: sklearn, dataset: diabetes}
blocks:
  b:
    params: {rate: 0.5}
    layers:
      - {type: Dropout, rate: "${rate}"}
model:
  layers:
    - Flatten
    - {block: b}
    - {type: Dense, units: "${n}"}
train:
  optimizer: adam
""")
    lines = invoke("show", "own.yaml", "--explain", "--set", "train.batch_size=8").stdout.splitlines()
    return [tuple(part.strip() for part in line.split("  # ")) for line in lines if "#" in line]


@pytest.mark.parametrize(
    "line",
    [
        ("name: own", "the name of the file"),
        ("seed: 0", "default"),
        ("dataset: diabetes", "own.yaml:2"),
        ("shape: [10]", "the data"),
        ("- type: Flatten", "own.yaml:10"),
        ("name: b.dropout", "generated"),
        ("rate: 0.5", "own.yaml:5, params.rate"),
        ("units: 1", "base.yaml:1, vars.n"),
        ("name: dense", "generated"),
        ("use_bias: true", "default"),
        ("epochs: 5", "base.yaml:2"),
        ("batch_size: 8", "--set train.batch_size=8"),
        ("type: Adam", "own.yaml:14"),
        ("type: MeanSquaredError", "base.yaml:2"),
    ],
)
def test_explain_names_origin_of_each_value(explained, line):
    assert line in explained


@pytest.mark.usefixtures("explained")
def test_json_contains_config_and_origins():
    document = json.loads(invoke("show", "own.yaml", "--explain", "--json").stdout)
    assert document["config"]["model"]["layers"][2]["units"] == 1
    assert document["origins"]["model.layers[2].units"] == {
        "file": "base.yaml",
        "line": 1,
        "from": "base.yaml:1, vars.n",
        "through": "The value comes from the variable `n`, used at line 12 of own.yaml. own.yaml extends "
        "this file (line 1).",
    }
    assert document["origins"]["seed"] == {"file": None, "line": None, "from": "default"}
    assert "origins" not in json.loads(invoke("show", "own.yaml", "--json").stdout)


def test_shown_config_is_valid_on_standard_input():
    shown = invoke("show", CONFIGS / "digits_transformer.yaml").stdout
    assert invoke("validate", "-", stdin=shown).exit_code == 0
    assert invoke("show", "-", stdin=shown).stdout == shown
    assert "same" in invoke("diff", CONFIGS / "digits_transformer.yaml", "-", stdin=shown).stdout


def test_multiline_values_and_literal_references_are_unchanged(tmp_path):
    texts = {
        "long": "word " * 60,
        "lines": "one\ntwo\n\nthree\n",
        "plain": "a" * 200,
        "literal": "$${a} $$${b",
        "numbers": [*range(100, 200)],
        "mixed": ["a", {"b": "x\ny"}, [1, 2], [], {}],
        "empty": {},
    }
    layer = {"type": "mine.py:Mine", **texts}
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps({"model": {"input": [4], "layers": [layer]}}))
    shown, explained = (invoke("show", config, *more).stdout for more in ((), ("--explain",)))
    assert invoke("show", "-", stdin=shown).stdout == shown
    assert invoke("show", "-", stdin=explained).stdout == shown
    assert yaml.safe_load(shown)["model"]["layers"] == [{**layer, "name": "mine"}]
    assert re.search(r"three\n\s+' +# ", explained)


@pytest.mark.parametrize(
    ("layer", "path", "origin"),
    [
        ("{type: Conv2D, filters: 2, kernel_size: 3}", "kernel_size", "<stdin>:3"),
        ("{type: ZeroPadding2D, padding: 1}", "padding[1]", "<stdin>:3"),
        ("{type: ZeroPadding2D}", "padding[1]", "default"),
        ("{type: Dense, units: 2, kernel_regularizer: l2}", "kernel_regularizer", "<stdin>:3"),
        ("{type: Dense, units: 2, kernel_regularizer: {type: L2}}", "kernel_regularizer.l2", "default"),
        ("{type: Bidirectional, layer: {type: LSTM, units: 3}}", "layer.units", "<stdin>:3"),
        ("{type: Bidirectional, layer: {type: LSTM, units: 3}}", "layer.use_bias", "default"),
        ("{type: ReLU, name: mine}", "name", "<stdin>:3"),
        ("{type: ReLU, inputs: input}", "inputs", "<stdin>:3"),
        ("ReLU", "type", "<stdin>:3"),
        ("ReLU", "negative_slope", "default"),
        ("ReLU", "name", "generated"),
        ("{type: ReLU, repeat: 2}", "name", "generated"),
        ("{type: ReLU, name: a, repeat: 2}", "name", "<stdin>:3"),
    ],
)
def test_explain_names_origin_of_layer_arguments(layer, path, origin):
    shape = [8, 3] if "LSTM" in layer else [8, 8, 3]
    text = f"model:\n  input: {shape}\n  layers: [{layer}]\n"
    document = json.loads(invoke("show", "-", "--explain", "--json", stdin=text).stdout)
    assert document["origins"][f"model.layers[0].{path}"]["from"] == origin
    assert document["origins"]["model.input.shape"]["from"] == "<stdin>:2"
    assert document["origins"]["model.input.dtype"]["from"] == "default"


def test_colors_only_on_terminals(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("layercli.reports.show.is_terminal", lambda: True)
    text = "model:\n  input: [4]  # default\n" + f"long: {'x' * 200}\n"
    print_yaml(text)
    shown = capsys.readouterr().out
    assert "\x1b[" in shown
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == text
    monkeypatch.undo()
    print_yaml(text)
    assert capsys.readouterr().out == text


@pytest.fixture
def old_run(tmp_path):
    """A run of an earlier version, whose manifest has no commit and no machine."""
    with zipfile.ZipFile(GOLDEN) as archive:
        archive.extractall(tmp_path / "run")
    return tmp_path / "run"


def test_run_is_shown_with_its_origin(old_run):
    shown = invoke("show", old_run).stdout
    config = yaml.safe_load((old_run / "config.yaml").read_text())
    assert yaml.safe_load(shown)["data"] == config["data"]
    assert "# keras: 3.15.1" in shown.splitlines()
    assert "# commit" not in shown
    manifest = json.loads((old_run / "manifest.json").read_text())
    manifest["git"] = {"commit": "abc", "dirty": False}
    (old_run / "manifest.json").write_text(json.dumps(manifest))
    document = json.loads(invoke("show", old_run, "--json").stdout)
    assert document["provenance"]["commit"] == "abc"


def test_run_is_shown_as_it_was_trained(old_run):
    result = invoke("show", old_run, "--set", "seed=3")
    assert (result.exit_code, "--set" in result.output) == (2, True)
    (old_run / "config.yaml").write_text("model: {}\n")
    assert problems(invoke("show", old_run, "--json")) == [("run-directory", None)]


def test_warnings_are_printed_next_to_the_config(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "model:\n  input: [4]\n  layers:\n    - {type: Dense, units: 1, activation: softmax}\n    - {type: Dense, units: 1}\n"
    )
    result = invoke("show", path)
    assert result.exit_code == 0
    assert "softmax-of-one" in result.stderr
    assert "softmax-of-one" not in result.stdout

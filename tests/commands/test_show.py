"""``layercli show``: what a config stands for, every default written out, and where each value was written."""

import json

import pytest
import yaml

from layercli.check import check, require
from tests.running import CONFIGS, invoke

ALL = sorted(CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_what_is_shown_is_the_same_config_and_shows_itself(path, tmp_path):
    shown = invoke("show", path).stdout
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    assert invoke("show", again).stdout == shown
    before, after = require(check(str(path))), require(check(str(again)))
    assert after.resolved() == before.resolved()
    assert [row.outputs for row in after.shapes.rows] == [row.outputs for row in before.shapes.rows]
    explained = invoke("show", path, "--explain").stdout
    assert yaml.safe_load(explained) == yaml.safe_load(shown)


def test_a_run_s_config_is_what_show_prints(digits_run):
    shown = invoke("show", CONFIGS / "digits_dense.yaml", "--set", "train.epochs=3").stdout
    assert (digits_run.path / "config.yaml").read_text() == shown


@pytest.fixture
def explained(tmp_path, monkeypatch):
    """Each line of the explanation as (value, where it came from)."""
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
        ("name: b.dropout", "own.yaml:7"),
        ("rate: 0.5", "own.yaml:5"),
        ("units: 1", "base.yaml:1"),
        ("use_bias: true", "default"),
        ("epochs: 5", "base.yaml:2"),
        ("batch_size: 8", "--set train.batch_size=8"),
        ("type: Adam", "own.yaml:14"),
        ("type: MeanSquaredError", "base.yaml:2"),
    ],
)
def test_each_value_says_where_it_came_from(explained, line):
    assert line in explained


@pytest.mark.usefixtures("explained")
def test_json_holds_the_config_and_the_origins():
    document = json.loads(invoke("show", "own.yaml", "--explain", "--json").stdout)
    assert document["config"]["model"]["layers"][2]["units"] == 1
    assert document["origins"]["model.layers[2].units"] == {
        "file": "base.yaml", "line": 1, "from": "base.yaml:1",
        "through": "It is the variable `n`, used at line 12 of own.yaml. own.yaml extends this file (line 1).",
    }  # fmt: skip
    assert document["origins"]["seed"] == {"file": None, "line": None, "from": "default"}
    assert "origins" not in json.loads(invoke("show", "own.yaml", "--json").stdout)

"""``layercli diff``: what a person reads, what a program reads, and that TensorFlow stays away."""

import json

from tests.running import CONFIGS, IRIS, invoke


def test_what_differs_is_told_once(iris, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(
        IRIS.replace("units: 8", "units: 16").replace("epochs: 2", "epochs: 9") + "  batch_size: 32\n"
    )
    result = invoke("diff", iris, other)
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0].startswith("A: ")
    assert lines[2:10] == [
        "~ dense  Dense  (None, 16)  80 parameters",
        "    units: 8 -> 16",
        "    output: (None, 8) -> (None, 16)",
        "    parameters: 40 -> 80",
        "    FLOPs: 64 -> 128",
        "~ dense_1  Dense  (None, 3)  51 parameters",
        "    parameters: 27 -> 51",
        "    FLOPs: 48 -> 96",
    ]
    assert "train.epochs: 2 -> 9" in lines
    assert not any("batch_size" in line for line in lines)  # a default that is written out is no difference
    assert "Weights that carry over by name: 0 of 2 layers, 0 of 131 parameters." in lines


def test_json_tells_the_same(iris):
    document = json.loads(invoke("diff", iris, iris, "--set", "model.layers[0].units=5", "--json").stdout)
    assert (document["ok"], document["same"]) == (True, False)
    assert document["layers"][0]["kind"] == "changed"
    assert document["layers"][0]["differences"][0] == {"what": "units", "before": 8, "after": 5}
    assert document["totals"]["trainable"] == {"before": 67, "after": 43}
    assert document["weights"]["dense"] == {
        "carries_over": False,
        "reason": "kernel (4, 5) was (4, 8), and 1 more",
    }


def test_equal_configs_and_their_runs_are_the_same(digits_run):
    config = CONFIGS / "digits_dense.yaml"
    document = json.loads(invoke("diff", config, digits_run.path, "--json").stdout)
    assert document["same"] is False
    assert [change["what"] for change in document["settings"]] == ["train.epochs"]
    assert invoke("diff", config, config).stdout == "The same model, data and training.\n"
    assert json.loads(invoke("diff", config, config, "--json").stdout)["same"] is True


def test_what_is_wrong_with_either_is_told(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(IRIS.replace("units", "unitz"))
    result = invoke("diff", bad, tmp_path / "none.yaml", "--json")
    assert result.exit_code == 1
    assert {problem["code"] for problem in json.loads(result.stdout)["problems"]} == {
        "unknown-key",
        "unreadable-file",
    }

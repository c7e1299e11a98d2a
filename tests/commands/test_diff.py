"""``layercli diff``: text output, JSON output, and imports."""

import json

import pytest

from tests.running import CONFIGS, IRIS, invoke


def test_each_difference_is_shown_once(iris, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(
        IRIS.replace("units: 8", "units: 16").replace("epochs: 2", "epochs: 9") + "  batch_size: 32\n"
    )
    result = invoke("diff", iris, other)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:2] == [f"A: {iris}", f"B: {other}, below A where they differ"]
    assert lines[3:12] == [
        "layer output params FLOPs",
        lines[4],
        "~ dense (None, 8) 40 64",
        "Dense (None, 16) 80 128",
        "units: 8 -> 16",
        "~ dense_1 (None, 3) 27 48",
        "Dense 51 96",
        "",
        "",
    ]
    assert "trainable parameters 67 131 +64" in lines
    assert lines[-4:] == [
        "train.epochs: 2 -> 9",
        "Weights that carry over by name: 0 of 2 layers, 0 of 131 parameters.",
        "dense starts from new weights: kernel (4, 8) -> (4, 16), bias (8,) -> (16,).",
        "dense_1 starts from new weights: kernel (8, 3) -> (16, 3).",
    ]
    assert "batch_size" not in result.stdout  # an explicit default is not a difference


def test_wide_terminal_shows_columns_side_by_side(iris, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    shown = invoke("diff", iris, iris, "--set", "model.layers.dense.units=16").stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "layer output A output B params A params B FLOPs A FLOPs B" in lines
    assert "~ dense (None, 8) (None, 16) 40 80 64 128" in lines


@pytest.fixture
def deep(tmp_path):
    """A config with many layers, and a copy with three differences."""
    paths = []
    for layers in (
        DEEP,
        [*DEEP[:5], "ReLU", *DEEP[5:100], DEEP[100] | {"units": 9}, *DEEP[101:180], *DEEP[181:]],
    ):
        paths.append(tmp_path / f"{len(paths)}.yaml")
        paths[-1].write_text(json.dumps({"model": {"input": [8], "layers": layers}}))
    return paths


DEEP = [{"type": "Dense", "units": 8, "activation": ("relu", "tanh", "gelu")[n % 3]} for n in range(240)]


def test_unchanged_layers_are_hidden_without_all(deep):
    (old, new), shown = deep, invoke("diff", *deep).stdout
    assert [line.split()[:2] for line in shown.splitlines() if line[1:3] in ("+ ", "- ", "~ ")] == [
        ["+", "re_lu"],
        ["~", "dense_100"],
        ["~", "dense_101"],
        ["-", "dense_180"],
    ]
    assert "178 layers are the same.\n" in shown
    assert "59 layers are the same except for numbers in names: dense_181 is now dense_180.\n" in shown
    everything = invoke("diff", old, new, "--all").stdout
    assert everything.count("\n     Dense") == 240
    assert "layers are" not in everything


def test_weights_matched_to_a_different_layer_are_reported(deep):
    old, new = deep
    lines = invoke("diff", old, new).stdout.splitlines()
    assert lines[-4:] == [
        "Weights that carry over by name: 237 of 239 layers, 17,064 of 17,225 parameters.",
        "  dense_180, which was dense_181, and 58 more take the weights of another layer that had the name. "
        "Set a unique `name` for each layer.",
        "  dense_100 starts from new weights: kernel (8, 8) -> (8, 9), bias (8,) -> (9,).",
        "  dense_101 starts from new weights: kernel (8, 8) -> (9, 8).",
    ]
    wider = json.loads(old.read_text())
    wider["model"]["layers"] = [layer | {"units": 7} for layer in wider["model"]["layers"]]
    new.write_text(json.dumps(wider))
    wide_output = invoke("diff", old, new).stdout
    assert "  … and 221 more; `--all` shows them.\n" in wide_output
    assert wide_output.count("\n     Dense") == 200
    assert "  … and 40 more layers that differ; `--all` shows them.\n" in wide_output


def test_json_matches_text(iris):
    result = invoke("diff", iris, iris, "--set", "model.layers[0].units=5", "--json")
    document = json.loads(result.stdout)
    assert list(document) == [
        "ok",
        "same",
        "before",
        "after",
        "layers",
        "totals",
        "settings",
        "weights",
        "problems",
    ]
    assert (document["ok"], document["same"]) == (True, False)
    assert document["before"] == {"file": str(iris), "model": iris.stem}
    assert document["layers"][0]["kind"] == "changed"
    assert document["layers"][0]["differences"] == [
        {"what": "units", "before": 8, "after": 5},
        {"what": "output", "before": [[None, 8]], "after": [[None, 5]]},
        {"what": "parameters", "before": 40, "after": 25},
    ]
    row = document["layers"][0]["after"]
    shapes = json.loads(
        invoke("inspect-shapes", "--static", iris, "--set", "model.layers[0].units=5", "--json").stdout
    )
    assert row.items() <= shapes["layers"][0].items()
    assert document["totals"]["trainable"] == {"before": 67, "after": 43}
    assert document["weights"]["dense"] == {
        "carries_over": False,
        "reason": "kernel (4, 8) -> (4, 5), bias (8,) -> (5,)",
        "was": "dense",
    }


def test_identical_layers_show_no_table(iris):
    shown = invoke("diff", iris, iris, "--set", "seed=9").stdout
    assert shown.splitlines()[:2] == [f"A: {iris}", f"B: {iris} --set seed=9"]
    assert shown.splitlines()[2:] == ["2 layers are the same.", "seed: 3 -> 9"]


def test_one_config_can_be_standard_input(iris):
    assert invoke("diff", "-", iris, stdin=IRIS).stdout == "The same model, data and training.\n"
    both = invoke("diff", "-", "-", stdin=IRIS)
    assert both.exit_code == 2
    assert "only one of A and B can be standard input" in both.output


def test_same_data_file_by_two_paths_is_not_a_difference(tmp_path):
    text = "data: {{type: npz, path: {}, features: x, target: y}}\nmodel: {{input: [4], layers: [ReLU]}}\n"
    (tmp_path / "inner").mkdir()
    here, there = tmp_path / "here.yaml", tmp_path / "inner" / "there.yaml"
    here.write_text(text.format("a.npz"))
    there.write_text(text.format(tmp_path / "a.npz"))
    assert "same" in invoke("diff", here, there).stdout
    there.write_text(text.format("a.npz"))
    settings = json.loads(invoke("diff", here, there, "--json").stdout)["settings"]
    assert [change["what"] for change in settings] == ["data.path"]


def test_names_and_values_are_escaped(tmp_path):
    files = [tmp_path / "[red]a.yaml", tmp_path / "b.yaml"]
    for file, text in zip(files, ("[bold]a", r"\x1b[31mb"), strict=True):
        layer = f'{{type: "a.py:B", text: "{text}"}}'
        file.write_text(f"model: {{input: [4], layers: [{layer}]}}")
    shown = invoke("diff", *files).stdout
    assert "[red]a.yaml" in shown.replace("\n", "")
    assert "text: [bold]a -> \N{REPLACEMENT CHARACTER}[31mb" in shown
    assert "\x1b" not in shown


@pytest.mark.tensorflow
def test_config_equals_its_run(digits_run):
    config = CONFIGS / "digits_dense.yaml"
    document = json.loads(invoke("diff", config, digits_run.path, "--json").stdout)
    assert document["same"] is False
    assert [change["what"] for change in document["settings"]] == ["train.epochs"]
    assert invoke("diff", config, config).stdout == "The same model, data and training.\n"
    assert json.loads(invoke("diff", config, config, "--json").stdout)["same"] is True


def test_problems_of_both_configs_are_reported(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(IRIS.replace("units", "unitz"))
    result = invoke("diff", bad, tmp_path / "none.yaml", "--json")
    assert result.exit_code == 1
    assert {problem["code"] for problem in json.loads(result.stdout)["problems"]} == {
        "unknown-key",
        "unreadable-file",
    }

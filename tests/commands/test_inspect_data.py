"""``layercli inspect-data``: ranges, missing values, classes and warnings, without TensorFlow."""

import json
from pathlib import Path

import pytest

from tests.running import CONFIGS, invoke, problems

CONFIG = """
data: {type: csv, path: t.csv, target: y, inputs: {numbers: [a, b, same], word: word}, split: {test: 2}, shuffle: false,
       missing: {numbers: median}}
model:
  inputs: {numbers: [3], word: {shape: [1], dtype: string}}
  layers:
    - {type: StringLookup, inputs: word, vocabulary: [x, z], output_mode: one_hot}
    - {type: Concatenate, inputs: [numbers, previous]}
    - {type: Dense, units: 3, activation: softmax}
train: {loss: sparse_categorical_crossentropy}
"""
TABLE = "a,b,same,word,y\n1,0.5,7,x,no\n2,?,7,z,yes\n3,1.5,7,,no\n4,2,7,x,yes\n9,3,7,x,maybe\n9,3,7,x,maybe\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path


@pytest.mark.usefixtures("place")
def test_json_has_column_ranges_missing_values_and_class_counts():
    result = invoke("inspect-data", "c.yaml", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0, result.stdout
    rows = {(row["input"], row["name"]): row for row in document["features"]}
    b = rows["numbers", "b"]
    assert (b["missing"], b["low"], b["mean"], b["high"], b["different"]) == (1, 0.5, 2.0, 3.0, 4)
    assert (rows["word", "word"]["missing"], rows["word", "word"]["different"]) == (1, 3)
    assert document["examples"] == {"train": 4, "validation": 0, "test": 2}
    assert document["classes"] == [
        {"target": "target", "name": "maybe", "train": 0, "validation": 0, "test": 2},
        {"target": "target", "name": "no", "train": 2, "validation": 0, "test": 0},
        {"target": "target", "name": "yes", "train": 2, "validation": 0, "test": 0},
    ]
    assert [(found["code"], found["severity"], found["message"]) for found in document["problems"]] == [
        (
            "constant-column",
            "warning",
            "`same` is the same in every example, so nothing can be learned from it.",
        ),
        ("absent-class", "warning", "The training split has no examples of class `maybe`."),
        ("absent-class", "warning", "The test split has no examples of classes `no`, `yes`."),
    ]


@pytest.mark.parametrize(
    ("split", "hint"),
    [
        ("test: 2", "Keep the class proportions in every split: `split: {stratify: true}`."),
        (
            "test: 2, order: a",
            "Use larger sets. If the examples are not a series, replace `order: a` by `stratify: true`.",
        ),
        ("column: part", "Name the test set in `part` for some examples of the class."),
        ("test: [u.csv]", "Add examples of the class to the files of the set."),
    ],
)
def test_hint_for_an_absent_class_fits_the_keys_of_the_split(place, split, hint):
    (place / "c.yaml").write_text(CONFIG.replace("test: 2", split))
    rows = TABLE.splitlines()
    parts = ["part", "train", "train", "val", "train", "test", "test"]
    (place / "t.csv").write_text("".join(f"{row},{part}\n" for row, part in zip(rows, parts, strict=True)))
    (place / "u.csv").write_text("a,b,same,word,y,part\n1,2,7,x,maybe,test\n")
    problems = json.loads(invoke("inspect-data", "c.yaml", "--json").stdout)["problems"]
    assert [found["hint"] for found in problems if found["code"] == "absent-class"][-1] == hint


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("width", ["80", "140"])
def test_first_values_are_shown_at_every_width(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    lines = [line.strip() for line in invoke("inspect-data", "c.yaml").stdout.splitlines()]
    assert any(line.startswith("b ") and line.endswith("0.5, -, 1.5") for line in lines)
    assert any(line.startswith("word ") and line.endswith("x, z, -") for line in lines)


@pytest.mark.usefixtures("place")
def test_table_output():
    lines = invoke("inspect-data", "c.yaml").stdout.splitlines()
    text = "\n".join(" ".join(line.split()) for line in lines)
    assert "same float32 1 7 7 7" in text
    assert "maybe" in text
    assert "6 examples: 4 to train on, 0 to validate, 2 to test." in lines


def test_errors_exit_with_1_and_are_shown_with_the_table(place):
    (place / "c.yaml").write_text(CONFIG.replace(",\n       missing: {numbers: median}", ""))
    result = invoke("inspect-data", "c.yaml")
    assert result.exit_code == 1
    assert "line 3." in result.stdout
    assert "6 examples" in result.stdout


@pytest.mark.tensorflow
def test_constant_column_is_only_a_warning_in_training(place):
    result = invoke("train", "c.yaml", "--run-dir", place / "run")
    assert result.exit_code == 0, result.output
    assert "warning: `same` is the same in every example" in result.output


def test_contact_sheet_of_images(tmp_path):
    from PIL import Image

    sheet = tmp_path / "sheet.png"
    result = invoke("inspect-data", CONFIGS / "digits_cnn.yaml", "--sheet", sheet)
    assert result.exit_code == 0, result.output
    with Image.open(sheet) as picture:
        assert picture.size == (8 * 66, 8 * 80)
        assert picture.getextrema() == ((0, 255),) * 3
    assert invoke("inspect-data", CONFIGS / "digits_dense.yaml", "--sheet", tmp_path / "x.png").exit_code == 1
    assert not (tmp_path / "x.png").exists()


def test_wrong_files_and_values_are_reported_together(tmp_path):
    from PIL import Image

    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            Image.new("L", (8, 8), number).save(tmp_path / folder / f"{number}.png")
    (tmp_path / "images" / "0.png").write_text("<html>")
    (tmp_path / "masks" / "1.png").unlink()
    (tmp_path / "c.yaml").write_text(
        "data: {type: images, path: images, masks: {path: masks}}\n"
        "model:\n  input: [8, 8, 1]\n  layers:\n    - {type: Dense, units: 2, activation: softmax}\n"
        "train: {loss: sparse_categorical_crossentropy}\n"
    )
    found = json.loads(invoke("inspect-data", tmp_path / "c.yaml", "--json").stdout)["problems"]
    assert [(problem["code"], problem["path"]) for problem in found] == [
        ("unreadable-data", "data.masks.path"),
        ("unreadable-data", "data.path"),
        ("bad-label", "data.target"),
    ]


def test_config_without_data_is_reported(tmp_path):
    (tmp_path / "c.yaml").write_text("model: {input: [4], layers: [{type: Dense, units: 3}]}\n")
    document = json.loads(invoke("inspect-data", tmp_path / "c.yaml", "--json").stdout)
    assert document["problems"][0]["message"] == "This command requires the section `data` (the examples)."


IMAGES = """
seed: 4
data: {type: images, path: i, split: {validation: 4, test: 4, stratify: true}}
model: {input: [8, 8, 1], layers: [{type: Rescaling, scale: 0.004}, Flatten, {type: Dense, units: 2, activation: softmax}]}
train: {epochs: 2, batch_size: 4, loss: sparse_categorical_crossentropy, metrics: [accuracy]}
"""


@pytest.mark.tensorflow
def test_lazy_images_are_shown_and_trained_like_images_in_memory(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    for number in range(24):
        path = tmp_path / "i" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number * 10).save(path)
    (tmp_path / "i.yaml").write_text(IMAGES)
    shown, trained = [], []
    for number, memory in enumerate((None, 1000)):
        monkeypatch.setattr("layercli.workflows.dataset.read_memory_limit", lambda memory=memory: memory)
        shown.append(
            json.loads(invoke("inspect-data", "i.yaml", "--json", "--sheet", f"{number}.png").stdout)
        )
        trained.append(
            json.loads(invoke("train", "i.yaml", "--json", "--run-dir", f"run{number}").stdout)["history"]
        )
    assert shown[0] == shown[1]
    assert shown[0]["problems"] == []
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()
    assert trained[0].keys() == trained[1].keys()
    for name, values in trained[0].items():
        assert values == pytest.approx(trained[1][name], rel=1e-5)


@pytest.mark.usefixtures("place")
def test_text_for_a_number_input_is_reported(place):
    (place / "c.yaml").write_text(
        CONFIG.replace("word: {shape: [1], dtype: string}", "word: [1]").replace(
            "{type: StringLookup, inputs: word, vocabulary: [x, z], output_mode: one_hot}",
            "{type: Dense, inputs: word, units: 2}",
        )
    )
    document = json.loads(invoke("inspect-data", "c.yaml", "--json").stdout)
    [found] = [found for found in document["problems"] if found["severity"] == "error"]
    assert found["message"] == "`model.inputs.word` has dtype float32, but the data contains text."
    assert found["hint"].startswith("Write `{shape: [1], dtype: string}`")


IDS = """
data: {type: csv, path: ids.csv, target: y, target_type: numbers, stream: %s}
model:
  input: {shape: [2], dtype: int32}
  layers:
    - {type: Embedding, input_dim: 5, output_dim: 2}
    - Flatten
    - {type: Dense, units: 1}
train: {loss: mean_squared_error}
"""


@pytest.mark.parametrize("stream", ["always", "never"])
@pytest.mark.usefixtures("place")
def test_id_that_is_too_large_names_layer_row_and_column(stream):
    rows = [f"{n % 5},{12 if n == 9 else n % 4},{n / 2}" for n in range(40)]
    Path("ids.csv").write_text("\n".join(["a,b,y", *rows]))
    Path("ids.yaml").write_text(IDS % stream)
    result = invoke("inspect-data", "ids.yaml", "--json")
    assert problems(result) == [("bad-id", 6)]
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["path"] == "model.layers[0].input_dim"
    assert problem["message"] == (
        "`input_dim` of `embedding` must be at least 13, because the largest id is 12 in row 10 of `b`; got 5."
    )
    Path("ids.yaml").write_text(IDS.replace("input_dim: 5", "input_dim: 13") % stream)
    assert invoke("inspect-data", "ids.yaml").exit_code == 0


@pytest.mark.usefixtures("place")
def test_separator_in_no_value_is_reported_before_the_size_of_the_target():
    Path("t.csv").write_text("x,tags\n1,cat dog\n2,dog\n3,cat\n4,cat dog\n")
    Path("c.yaml").write_text(
        'data: {type: csv, path: t.csv, target: tags, label_separators: {tags: ";"}}\n'
        "model: {input: [1], layers: [{type: Dense, units: 2, activation: sigmoid}]}\n"
        "train: {loss: binary_crossentropy}\n"
    )
    codes = [code for code, _ in problems(invoke("inspect-data", "c.yaml", "--json"))]
    assert codes[:2] == ["unused-separator", "target-mismatch"]

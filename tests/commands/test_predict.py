"""Predictions from only a run, for each input and output format."""

import csv
import json
import os
import shutil
from dataclasses import replace
from threading import Thread
from types import SimpleNamespace

import keras
import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from pyarrow import csv as arrow_csv

from layercli.data.class_folders import list_new_files
from layercli.data.predictions import PREDICTION_WRITERS
from layercli.graph.finding import Finding
from layercli.runs.directory import READER_STATE
from layercli.workflows.predict import PREDICTION_SUFFIXES, predict_to_file
from tests.running import invoke, problems, train, write_config

RNG = np.random.default_rng(0)
HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}
NAMES = ("=fig", "plum", "a,b")


def table(path, rows=60, target=True):
    """A table with a missing value and alternating target classes."""
    lines = ["size,weight" + ",kind" * target]
    for row in range(rows):
        size = "" if row == 3 else f"{RNG.normal():.4f}"
        lines.append(f"{size},{row / 10}" + (f',"{NAMES[row % 3]}"' if target else ""))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a table with class names and a missing number. The table was deleted."""
    place = tmp_path_factory.mktemp("run")
    table(place / "t.csv")
    data = {
        "type": "csv",
        "path": "t.csv",
        "target": "kind",
        "missing": {"numbers": "median"},
        "split": {"test": 0.2, "stratify": True},
    }
    config = write_config(
        place, ["Normalization", {"type": "Dense", "units": 8, "activation": "relu"}, HEAD], data=data
    )
    options = ["train.epochs=1", "train.metrics=[accuracy]", "model.input=[2]"]
    found = train(config, place / "run", *(word for option in options for word in ("--set", option)))
    assert found.result.exit_code == 0, found.result.output
    shutil.move(place / "t.csv", place / "kept.csv")
    return found.path


@pytest.fixture
def new(tmp_path):
    return table(tmp_path / "new.csv", rows=7, target=False)


def predicted(run, input_, output, *options):
    result = invoke("predict", run, "--input", input_, "--output", output, "--json", *options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_csv_has_class_and_all_probabilities(run, new, tmp_path):
    document = predicted(run, new, tmp_path / "p.csv")
    assert document == {
        "ok": True,
        "run": str(run),
        "examples": 7,
        "output": str(tmp_path / "p.csv"),
        "problems": [],
    }
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert list(rows[0]) == [
        "row",
        "class",
        "probability",
        "probability_=fig",
        "probability_a,b",
        "probability_plum",
        "error",
    ]
    assert [(row["row"], row["error"]) for row in rows] == [(str(number), "") for number in range(1, 8)]
    model = keras.models.load_model(run / "model.keras")
    read = arrow_csv.read_csv(new)
    x = np.stack([column.to_numpy() for column in read.columns], axis=1).astype("float32")
    plan = json.loads((run / READER_STATE).read_text())["plan"]
    x[3, 0] = plan["fill"]["size"]
    expected = model.predict(x, verbose=0)
    probabilities = np.array([[float(row[name]) for name in list(rows[0])[3:6]] for row in rows])
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    names = ["'=fig", "a,b", "plum"]
    assert [row["class"] for row in rows] == [names[label] for label in expected.argmax(axis=1)]
    assert [float(row["probability"]) for row in rows] == pytest.approx(
        expected.max(axis=1).tolist(), rel=1e-5
    )


def test_every_format_has_equal_content(run, new, tmp_path):
    for suffix in ("csv", "parquet", "jsonl", "npz"):
        predicted(run, new, tmp_path / f"p.{suffix}", "--batch-size", "2")
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pylist() == lines
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        for name, array in arrays.items():
            assert array.tolist() == [line[name] or "" for line in lines]
    cells = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert [float(row["probability"]) for row in cells] == pytest.approx(
        [line["probability"] for line in lines], rel=1e-6
    )


def test_suffixes_match_writers():
    assert set(PREDICTION_SUFFIXES) == set(PREDICTION_WRITERS)


def test_new_examples_are_evaluated_by_class_names(run, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text('size,weight,kind\n1,2,plum\n,3,"a,b"\n0,1,plum\n')
    document = json.loads(invoke("evaluate", run, "--data", path, "--json").stdout)
    assert document["examples"] == 3
    predicted(run, path, tmp_path / "p.jsonl")  # a target column is ignored
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    losses = [
        -np.log(line[f"probability_{name}"])
        for line, name in zip(lines, ("plum", "a,b", "plum"), strict=True)
    ]
    assert document["metrics"]["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert "3 new examples: loss " in invoke("evaluate", run, "--data", path).stdout


def test_hints_for_new_data_do_not_change_the_config_of_the_run():
    finding = Finding(
        code="not-finite",
        message="`x` is missing.",
        path=("data",),
        hint="Remove those rows, or set a replacement: `missing: {numbers: median}`.",
    )
    assert finding.to_new_data_problem("n.csv").hint == (
        "Correct these values in the file, or remove their rows; `missing: {numbers: median}` would need a new training."
    )
    other = replace(finding, hint="Did you mean `missing_days`?")
    assert other.to_new_data_problem("n.csv") == other.to_file_problem("n.csv")


def test_infinite_number_in_new_data_is_corrected_in_the_file(run, tmp_path):
    (tmp_path / "new.csv").write_text("size,weight,kind\n1,inf,plum\n")
    [problem] = json.loads(invoke("evaluate", run, "--data", tmp_path / "new.csv", "--json").stdout)[
        "problems"
    ]
    assert problem["code"] == "not-finite"
    assert problem["hint"].startswith("Correct these values in the file, or remove their rows; `missing: {")


@pytest.mark.parametrize(
    ("name", "suffix"), [("labels.csv", ".csv"), ("a.jsonl", ".jsonl"), ("c.yaml", ".yaml")]
)
def test_table_for_a_model_of_images_names_the_suffixes(image_run, tmp_path, name, suffix):
    (tmp_path / name).write_text("file,kind\n")
    result = invoke(
        "predict", image_run, "--input", tmp_path / name, "--output", tmp_path / "p.csv", "--json"
    )
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["message"] == (
        "The input of this model must be files that end in .png, .jpg, .jpeg, .bmp, .gif, .webp, .tif, .tiff, or a folder "
        f"of them, got {suffix}."
    )
    assert not (tmp_path / "p.csv").exists()


@pytest.mark.parametrize(("name", "received"), [("", "a folder"), ("a.JPG", ".jpg")])
def test_other_data_for_a_model_of_tables_names_the_columns(run, tmp_path, name, received):
    if name:
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    result = invoke("predict", run, "--input", tmp_path / name, "--output", tmp_path / "p.csv", "--json")
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["message"] == (
        f"The input of this model must be a table with the columns `size`, `weight`, got {received}."
    )


def test_table_of_the_labels_is_not_a_skipped_file(tmp_path):
    for name in ("a.png", "labels.csv", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    files, _, warnings = list_new_files(
        [str(tmp_path)], (".png",), (), has_targets=False, ignored_file=tmp_path / "labels.csv"
    )
    assert [file.name for file in files] == ["a.png"]
    assert [finding.message.rpartition(": ")[2] for finding in warnings] == [
        "1 .txt (the first is notes.txt)."
    ]


def test_unknown_class_is_rejected(run, tmp_path):
    (tmp_path / "new.csv").write_text("size,weight,kind\n1,2,pear\n")
    result = invoke("evaluate", run, "--data", tmp_path / "new.csv", "--json")
    assert problems(result)[0][0] in ("bad-label", "unreadable-data")


def test_missing_column_keeps_existing_file(run, tmp_path):
    (tmp_path / "new.csv").write_text("size\n1\n")
    (tmp_path / "p.csv").write_text("older")
    result = invoke("predict", run, "--input", tmp_path / "new.csv", "--output", tmp_path / "p.csv", "--json")
    assert problems(result) == [("unreadable-data", None)]
    assert "weight" in json.loads(result.stdout)["problems"][0]["message"]
    assert (tmp_path / "p.csv").read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.csv", "p.csv"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none.csv", None),
        ("empty.csv", ""),
        ("new.npz", "x"),
    ],
)
def test_unreadable_input_is_reported(run, tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_text(text)
    result = invoke("predict", run, "--input", tmp_path / name, "--output", tmp_path / "p.csv", "--json")
    assert problems(result)[0][0] == "unreadable-data"
    assert not (tmp_path / "p.csv").exists()


def test_table_without_rows_has_no_predictions(run, tmp_path):
    (tmp_path / "head.csv").write_text("size,weight\n")
    result = invoke(
        "predict", run, "--input", tmp_path / "head.csv", "--output", tmp_path / "p.csv", "--json"
    )
    assert json.loads(result.stdout)["examples"] == 0
    assert (tmp_path / "p.csv").read_text().startswith("row,class,probability,")


@pytest.mark.parametrize(
    ("output", "message"),
    [("p.txt", "must end in one of .csv"), ("nowhere/p.csv", "does not exist")],
)
def test_invalid_output_is_a_usage_error(run, new, tmp_path, output, message):
    result = invoke("predict", run, "--input", new, "--output", tmp_path / output)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


@pytest.fixture(scope="module")
def image_run(tmp_path_factory):
    place = tmp_path_factory.mktemp("images")
    for label, name in enumerate(("cat", "dog")):
        (place / "photos" / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(np.full((8, 8), 200 * label + number, np.uint8)).save(
                place / "photos" / name / f"{number}.png"
            )
    config = write_config(
        place,
        [{"type": "Rescaling", "scale": 0.004}, "Flatten", {"type": "Dense", "units": 1}],
        data={"type": "images", "path": "photos", "size": [4, 4], "channels": 1, "split": {"test": 4}},
        train={"epochs": 1, "loss": {"type": "BinaryCrossentropy", "from_logits": True}},
    )
    config.write_text(config.read_text().replace("model:\n", "model:\n  input: [4, 4, 1]\n"))
    run = train(config, place / "run")
    assert run.result.exit_code == 0, run.result.output
    return run.path


def test_image_folder_and_single_image(image_run, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("b.png", "deep/c.png", "a.png"):
        Image.fromarray(RNG.integers(0, 255, (9, 9)).astype(np.uint8)).save(tmp_path / "in" / name)
    predicted(image_run, tmp_path / "in", tmp_path / "p.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [line["file"].removeprefix(f"{tmp_path}/in/") for line in lines] == [
        "a.png",
        "b.png",
        "deep/c.png",
    ]
    for line in lines:
        assert line["probability_cat"] + line["probability_dog"] == pytest.approx(1)
        assert line["class"] == ("dog" if line["probability_dog"] > 0.5 else "cat")
    predicted(image_run, tmp_path / "in" / "b.png", tmp_path / "one.jsonl")
    assert json.loads((tmp_path / "one.jsonl").read_text()) == pytest.approx(lines[1])
    for name in ("bad.png", "._a.png", ".hidden/a.png"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"no image")
    (tmp_path / "in" / "notes.txt").write_text("")
    document = predicted(image_run, tmp_path / "in", tmp_path / "p.jsonl")
    assert [problem["code"] for problem in document["problems"]] == ["skipped-files", "no-prediction"]
    assert document["problems"][0]["message"].endswith("left out: 1 .txt (the first is notes.txt).")
    after = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [*after[:2], after[3]] == [pytest.approx(line) for line in lines]
    assert after[2]["class"] is None
    assert "Cannot read the image" in after[2]["error"]


def test_new_images_in_a_subset_of_class_folders_are_evaluated(image_run, tmp_path):
    (tmp_path / "in" / "dog").mkdir(parents=True)
    Image.fromarray(np.full((8, 8), 210, np.uint8)).save(tmp_path / "in" / "dog" / "1.png")
    document = json.loads(invoke("evaluate", image_run, "--data", tmp_path / "in", "--json").stdout)
    assert document["problems"] == []
    (tmp_path / "in" / "dog" / "notes.txt").write_text("")
    result = invoke("evaluate", image_run, "--data", tmp_path / "in")
    assert result.exit_code == 0
    assert "left out: 1 .txt (the first is dog/notes.txt). [skipped-files]" in " ".join(result.stderr.split())
    predicted(image_run, tmp_path / "in", tmp_path / "p.jsonl")
    line = json.loads((tmp_path / "p.jsonl").read_text())
    assert document["metrics"]["loss"] == pytest.approx(-np.log(line["probability_dog"]), rel=1e-4)
    (tmp_path / "in" / "dog").rename(tmp_path / "in" / "wolf")
    result = invoke("evaluate", image_run, "--data", tmp_path / "in", "--json")
    assert "contains the class wolf" in json.loads(result.stdout)["problems"][0]["message"]


def test_run_on_sklearn_data_predicts_from_arrays(digits_run, tmp_path):
    x = RNG.random((5, 64)).astype("float32") * 16
    np.savez(tmp_path / "new.npz", x=x)
    np.save(tmp_path / "new.npy", x)
    model = keras.models.load_model(digits_run.path / "model.keras")
    for name in ("new.npz", "new.npy"):
        predicted(digits_run.path, tmp_path / name, tmp_path / "p.npz")
        with np.load(tmp_path / "p.npz") as arrays:
            expected = model.predict(x, verbose=0)
            assert arrays["class"].tolist() == expected.argmax(axis=1).tolist()
            np.testing.assert_allclose(arrays["probability_3"], expected[:, 3], rtol=1e-4)
    np.save(tmp_path / "bad.npy", x[:, :9])
    result = invoke(
        "predict", digits_run.path, "--input", tmp_path / "bad.npy", "--output", tmp_path / "p.csv", "--json"
    )
    assert problems(result)[0][0] == "input-mismatch"


def test_several_numeric_outputs_and_shapes(tmp_path):
    x = RNG.random((12, 4)).astype("float32")
    np.savez(tmp_path / "d.npz", x=x, size=x[:, 0], shape=RNG.random((12, 2, 2)).astype("float32"))
    (tmp_path / "c.yaml").write_text("""
data: {type: npz, path: d.npz, features: x, target: {size: size, shape: shape}}
model:
  input: [4]
  layers:
    - {type: Dense, name: hidden, units: 4}
    - {type: Reshape, name: shape, target_shape: [2, 2]}
    - {type: Dense, name: size, units: 1, inputs: hidden}
  outputs: [size, shape]
train: {loss: {size: mse, shape: mse}}
""")
    run = train(tmp_path / "c.yaml", tmp_path / "run").path
    np.savez(tmp_path / "new.npz", x=x)
    predicted(run, tmp_path / "new.npz", tmp_path / "p.csv")
    head = (tmp_path / "p.csv").read_text().splitlines()[0]
    places = ["shape_prediction_0_0", "shape_prediction_0_1", "shape_prediction_1_0", "shape_prediction_1_1"]
    assert head.split(",") == ["row", "size_prediction", *places, "error"]
    predicted(run, tmp_path / "new.npz", tmp_path / "p.parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pylist()
    assert np.array(rows[0]["shape_prediction"]).shape == (2, 2)
    model = keras.models.load_model(run / "model.keras")
    size, shape = model.predict(x, verbose=0)
    np.testing.assert_allclose([row["size_prediction"] for row in rows], size[:, 0], rtol=1e-5)
    np.testing.assert_allclose([row["shape_prediction"] for row in rows], shape, rtol=1e-5)


def test_large_output_is_written_in_order(digits_run, tmp_path):
    x = RNG.random((9000, 64)).astype("float32") * 16
    np.save(tmp_path / "new.npy", x)
    assert predicted(digits_run.path, tmp_path / "new.npy", tmp_path / "p.parquet")["examples"] == 9000
    probabilities = pyarrow.parquet.read_table(tmp_path / "p.parquet")["probability_0"].to_numpy()
    model = keras.models.load_model(digits_run.path / "model.keras")
    np.testing.assert_allclose(probabilities, model.predict(x, verbose=0)[:, 0], rtol=1e-4)


def jsonl(text):
    return [json.loads(line) for line in text.splitlines()]


def test_rows_without_prediction_have_an_error(run, tmp_path):
    (tmp_path / "new.csv").write_text("id,size,weight\na,,2\nb,x,3\n\nc,1\nd,1,\ne,inf,1\n")
    document = predicted(run, tmp_path / "new.csv", tmp_path / "p.jsonl", "--keep", "id")
    rows = jsonl((tmp_path / "p.jsonl").read_text())
    errors = [(row["row"], row["id"], row["error"], row["class"] is None) for row in rows]
    assert errors == [
        (1, "a", None, False),  # training has a median
        (2, "b", '`size` must be a number, got "x"', True),
        (3, "c", "the row has 2 values, but there are 3 columns", True),
        (4, "d", None, False),
        (5, "e", "`size` is infinite", True),
    ]
    [problem] = document["problems"]
    assert (problem["code"], problem["severity"]) == ("no-prediction", "warning")
    assert problem["message"] == (
        '3 of 5 examples have no prediction; the first is example 2: `size` must be a number, got "x".'
    )
    for suffix in ("csv", "parquet", "npz"):
        predicted(run, tmp_path / "new.csv", tmp_path / f"p.{suffix}", "--keep", "id")
    cells = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert [row["probability_plum"] == "" for row in cells] == [False, True, True, False, True]
    assert pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pylist() == rows
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        assert np.isnan(arrays["probability"]).tolist() == [False, True, True, False, True]
        assert arrays["class"].tolist()[1:3] == ["", ""]


def test_all_rows_without_prediction(run, tmp_path):
    (tmp_path / "new.csv").write_text("size,weight\nx,1\n")
    result = invoke("predict", run, "-i", tmp_path / "new.csv", "-o", tmp_path / "p.csv", "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)
    assert [problem["message"] for problem in json.loads(result.stdout)["problems"]] == [
        'The example has no prediction: `size` must be a number, got "x".'
    ]
    head, line = (tmp_path / "p.csv").read_text().splitlines()
    assert head == 'row,class,probability,probability_=fig,"probability_a,b",probability_plum,error'
    assert line == '1,,,,,,"`size` must be a number, got ""x"""'


def test_kept_columns_with_the_name_of_an_output(run, tmp_path):
    (tmp_path / "new.csv").write_text("class,size,weight\n =1,1,2\n")
    predicted(run, tmp_path / "new.csv", tmp_path / "p.jsonl", "--keep", "class", "--keep", "size")
    [row] = jsonl((tmp_path / "p.jsonl").read_text())
    assert list(row)[:4] == ["row", "input_class", "size", "class"]
    assert (row["input_class"], row["size"]) == (" =1", "1")
    result = invoke(
        "predict", run, "-i", tmp_path / "new.csv", "-o", tmp_path / "q.csv", "--keep", "who", "--json"
    )
    assert [(row["message"], row["hint"]) for row in json.loads(result.stdout)["problems"]] == [
        ('Missing column "who"; `--keep` names it.', "The columns are class, size, weight.")
    ]


@pytest.mark.parametrize("stream_format", ["csv", "jsonl"])
def test_standard_streams(run, new, tmp_path, stream_format):
    predicted(run, new, tmp_path / f"p.{stream_format}")
    expected = (tmp_path / f"p.{stream_format}").read_text()
    options = ("-o", "-", "--format", stream_format)
    piped = invoke("predict", run, "-i", "-", *options, stdin=new.read_text())
    assert (piped.exit_code, piped.stdout) == (0, expected)
    lines = [
        dict(zip(("size", "weight"), line.split(","), strict=True)) for line in new.read_text().split()[1:]
    ]
    text = "".join(
        json.dumps({key: float(value) if value else None for key, value in line.items()}) + "\n"
        for line in lines
    )
    assert invoke("predict", run, "-i", "-", *options, stdin=text).stdout == expected
    header = expected.partition("\n")[0] + "\n" if stream_format == "csv" else ""
    assert invoke("predict", run, "-i", "-", *options, stdin="size,weight\n").stdout == header


def test_named_pipes(run, new, tmp_path):
    predicted(run, new, tmp_path / "p.csv")
    for name in ("in", "out"):
        os.mkfifo(tmp_path / name)
    found = []
    threads = [
        Thread(target=(tmp_path / "in").write_text, args=[new.read_text()]),
        Thread(target=lambda: found.append((tmp_path / "out").read_text())),
    ]
    for thread in threads:
        thread.start()
    assert invoke("predict", run, "-i", tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    for thread in threads:
        thread.join()
    assert found == [(tmp_path / "p.csv").read_text()]


def test_first_row_comes_before_the_last_is_read(run):
    """The second row is written only after the prediction of the first was read."""
    (read_in, write_in), (read_out, write_out) = os.pipe(), os.pipe()
    os.write(write_in, b"size,weight\n1,2\n")

    def predict():
        with (
            os.fdopen(read_in, "rb") as source,
            os.fdopen(write_out, "w") as target,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr("sys.stdin", SimpleNamespace(buffer=source))
            predict_to_file(str(run), ["-"], "-", stdout=target)

    thread = Thread(target=predict)
    thread.start()
    with os.fdopen(read_out) as predictions:
        assert predictions.readline().startswith("row,")
        assert predictions.readline().startswith("1,")
        os.write(write_in, b"3,4\n")
        os.close(write_in)
        assert predictions.readline().startswith("2,")
    thread.join()


def test_output_that_is_the_input(run, new):
    before = new.read_text()
    (new.parent / "link.csv").symlink_to(new)
    for output in (new, new.parent / "link.csv"):
        result = invoke("predict", run, "-i", new, "-o", output, "--json")
        assert problems(result) == [("cannot-write", None)]
    assert new.read_text() == before


def test_test_set_of_a_run(run):
    shutil.copy(run.parent / "kept.csv", run.parent / "t.csv")
    output = run.parent / "test.jsonl"
    result = invoke("predict", run, "--part", "test", "-o", output, "--json")
    assert (result.exit_code, json.loads(result.stdout)["examples"]) == (0, 12)
    (run.parent / "t.csv").unlink()
    rows = jsonl(output.read_text())
    assert [row["row"] for row in rows] == sorted({row["row"] for row in rows})
    assert [row["target"] for row in rows] == [NAMES[(row["row"] - 1) % 3] for row in rows]
    predicted(run, run.parent / "kept.csv", run.parent / "all.jsonl")
    every = jsonl((run.parent / "all.jsonl").read_text())
    for row in rows:
        assert row["probability"] == pytest.approx(every[row["row"] - 1]["probability"], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "p.csv"), "give either --input or --part"),
        (("-o", "p.csv", "-i", "a", "--part", "test"), "give either --input or --part"),
        (("-o", "p.csv", "--keep", "a", "--part", "test"), "it needs --input"),
        (("-o", "-", "-i", "a", "--json"), "both would use standard output"),
    ],
)
def test_options_that_contradict(run, options, message):
    result = invoke("predict", run, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_streams_and_kept_columns_of_other_data(image_run, digits_run, tmp_path):
    result = invoke("predict", image_run, "-i", "-", "-o", tmp_path / "p.csv")
    assert "images data cannot be read from a stream." in result.stderr
    np.save(tmp_path / "x.npy", np.full((2, 64), [[np.nan] * 64, [1.0] * 64][0], dtype=np.float32))
    invoke("predict", digits_run.path, "-i", tmp_path / "x.npy", "-o", tmp_path / "p.jsonl")
    assert [row["error"] for row in jsonl((tmp_path / "p.jsonl").read_text())] == ["`input` is missing"] * 2
    result = invoke(
        "predict", digits_run.path, "-i", tmp_path / "x.npy", "-o", tmp_path / "p.csv", "--keep", "a"
    )
    assert "`--keep` names columns of a table" in result.stderr


def test_evaluate_on_other_data_of_scikit_learn(digits_run, tmp_path):
    result = invoke("evaluate", digits_run.path, "--data", tmp_path / "x.npz", "--json")
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["message"] == "sklearn data cannot be read from other files."
    assert problem["hint"].startswith("Evaluate a set of the run: `--part test`")


@pytest.fixture(scope="module")
def series_run(tmp_path_factory):
    """A run that predicts the next two values of each of two series."""
    place = tmp_path_factory.mktemp("series")
    rows = [f"{day},{name},{value + 100 * (name == 'b')}" for name in "ab" for value, day in enumerate(DAYS)]
    (place / "t.csv").write_text("\n".join(["day,who,v", *reversed(rows)]) + "\n")
    windows = {"length": 3, "steps": 2, "time": "day", "by": "who"}
    data = {"type": "csv", "path": "t.csv", "target": "v", "windows": windows, "split": {"test": 0.5}}
    config = write_config(place, ["Flatten", {"type": "Dense", "units": 2}], data=data)
    options = ("train.epochs=1", "train.loss=mse", "train.metrics=[]", "model.input=[3, 1]")
    found = train(config, place / "run", *(word for option in options for word in ("--set", option)))
    assert found.result.exit_code == 0, found.result.output
    return found.path


DAYS = [f"2024-01-{day:02}" for day in range(1, 13)]


def test_predictions_of_series_have_series_time_and_step(series_run, tmp_path):
    (tmp_path / "n.csv").write_text(
        "who,v,day\nb,3,2024-02-03\nb,1,2024-02-01\na,9,2024-02-01\nb,2,2024-02-02\nb,,2024-02-04\n"
    )
    predicted(series_run, tmp_path / "n.csv", tmp_path / "p.jsonl")
    rows = jsonl((tmp_path / "p.jsonl").read_text())
    assert [(row["row"], row["who"], row["day"], row["step"], row["error"]) for row in rows] == [
        (1, "b", "2024-02-03", 1, None),
        (1, "b", "2024-02-03", 2, None),
        (5, "b", "2024-02-04", 1, "`v` is missing"),
        (5, "b", "2024-02-04", 2, "`v` is missing"),
    ]
    model = keras.models.load_model(series_run / "model.keras")
    expected = model.predict(np.array([[[1], [2], [3]]], dtype="float32"), verbose=0)[0]
    assert [row["prediction"] for row in rows[:2]] == pytest.approx(expected.tolist(), rel=1e-5)
    piped = invoke(
        "predict",
        series_run,
        "-i",
        "-",
        "-o",
        "-",
        "--format",
        "jsonl",
        stdin=(tmp_path / "n.csv").read_text(),
    )
    assert jsonl(piped.stdout) == [pytest.approx(row) for row in rows]
    test = invoke("predict", series_run, "--part", "test", "-o", "-", "--format", "jsonl")
    assert [(row["row"], row["step"], row["target"]) for row in jsonl(test.stdout)][:3] == [
        (3, 1, 110),
        (3, 2, 111),
        (4, 1, 109),
    ]


def test_new_series_are_checked_and_keep_columns(series_run, tmp_path):
    rows = ["2024-02-01,a,1,x", "2024-02-02,a,2,y", "2024-02-03,a,3,z"]
    gap = ["2024-02-04,a,3,z", "2024-02-09,a,3,w"]
    (tmp_path / "n.csv").write_text("\n".join(["day,who,v,note", *reversed([*rows, *gap])]) + "\n")
    arguments = ("predict", series_run, "-i", tmp_path / "n.csv", "-o", tmp_path / "p.jsonl", "--json")
    result = invoke(*arguments, "--keep", "note")
    assert result.exit_code == 0
    assert [problem["code"] for problem in json.loads(result.stdout)["problems"]] == ["time-gap"]
    found = jsonl((tmp_path / "p.jsonl").read_text())
    assert [(row["row"], row["day"], row["note"]) for row in found][::2] == [
        (1, "2024-02-09", "w"),
        (2, "2024-02-04", "z"),
        (3, "2024-02-03", "z"),
    ]
    [problem] = json.loads(invoke(*arguments, "--keep", "notes").stdout)["problems"]
    assert problem["message"] == 'Missing column "notes"; `--keep` names it.'


def test_too_few_rows_for_a_sequence(series_run, tmp_path):
    text = "day,who,v\n2024-02-01,a,1\n2024-02-02,a,2\n"
    result = invoke("predict", series_run, "-i", "-", "-o", tmp_path / "p.csv", "--json", stdin=text)
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["message"] == (
        "The input has too few rows: a prediction needs 3 consecutive rows of a series, its last ones."
    )
    text = "day;who;v\n2024-02-01;a;1\n"
    result = invoke("predict", series_run, "-i", "-", "-o", tmp_path / "p.csv", "--json", stdin=text)
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["message"].startswith('standard input has only one column with the separator ","')


def test_new_ids_outside_of_the_table_name_their_row(tmp_path):
    ids = np.arange(16).reshape(8, 2) % 5
    np.savez(tmp_path / "d.npz", x=ids, y=np.zeros(8))
    data = {"type": "npz", "path": "d.npz", "features": "x", "target": "y"}
    layers = [
        {"type": "Embedding", "input_dim": 5, "output_dim": 2},
        "Flatten",
        {"type": "Dense", "units": 1},
    ]
    model = {"input": {"shape": [2], "dtype": "int32"}, "layers": layers}
    config = write_config(tmp_path, layers, data=data, model=model, train={"loss": "mse"})
    run = train(config, tmp_path / "run").path
    np.savez(tmp_path / "new.npz", x=np.where(np.arange(16).reshape(8, 2) == 5, 5, ids), y=np.zeros(8))
    new, output = tmp_path / "new.npz", tmp_path / "p.jsonl"
    result = invoke("evaluate", run, "--data", new, "--json")
    assert problems(result) == [("bad-id", None)]
    message = json.loads(result.stdout)["problems"][0]["message"]
    assert message == "Ids for `embedding` must be below 5, got 5 in row 3."
    assert predicted(run, new, output)["examples"] == 8
    errors = [row["error"] for row in jsonl(output.read_text())]
    assert errors == [None, None, "Ids for `embedding` must be below 5, got 5", *[None] * 5]


def test_rows_with_ids_outside_of_the_table_have_an_error(tmp_path):
    (tmp_path / "t.csv").write_text("k,y\n" + "".join(f"{row % 5},{row % 2}\n" for row in range(10)))
    layers = [
        {"type": "Embedding", "input_dim": 5, "output_dim": 2},
        "Flatten",
        {"type": "Dense", "units": 1},
    ]
    data = {"type": "csv", "path": "t.csv", "target": "y"}
    model = {"input": {"shape": [1], "dtype": "int32"}, "layers": layers}
    config = write_config(tmp_path, layers, data=data, model=model, train={"loss": "mse", "epochs": 1})
    run = train(config, tmp_path / "run").path
    (tmp_path / "n.csv").write_text("k\n1\n5\n-1\nx\n4\n")
    predicted(run, tmp_path / "n.csv", tmp_path / "p.jsonl")
    rows = jsonl((tmp_path / "p.jsonl").read_text())
    assert [row["prediction"] is None for row in rows] == [False, True, True, True, False]
    assert "must be below 5, got 5" in rows[1]["error"]
    assert rows[3]["error"] == '`k` must be a number, got "x"'

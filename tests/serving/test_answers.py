"""The answers of the server are those of ``predict``, for each kind of data."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from layercli.serving.served_model import ServedModel
from tests.running import invoke, train, write_config
from tests.serving.running import make_service, predict_lines, serve

RNG = np.random.default_rng(5)
HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}


def train_run(folder, layers, **sections):
    config = write_config(folder, layers, **sections)
    found = train(config, folder / "run", "--set", "train.epochs=1")
    assert found.result.exit_code == 0, found.result.output
    return found.path


@pytest.fixture(scope="module")
def table_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    rows = [
        f"{RNG.normal():.5f},{RNG.normal():.5f},{'' if row == 3 else row},{'ab,'[row % 2]},{'xyz'[row % 3]}"
        for row in range(60)
    ]
    (folder / "t.csv").write_text("size,weight,count,mark,kind\n" + "\n".join(rows) + "\n")
    data = {
        "type": "csv",
        "path": "t.csv",
        "target": "kind",
        "inputs": {"numbers": ["size", "weight", "count"], "mark": "mark"},
        "missing": {"numbers": "median"},
    }
    layers = [
        {"type": "Normalization", "inputs": "numbers", "name": "scaled"},
        {
            "type": "StringLookup",
            "inputs": "mark",
            "output_mode": "one_hot",
            "max_tokens": 4,
            "name": "words",
        },
        {"type": "Concatenate", "inputs": ["scaled", "words"]},
        {"type": "Dense", "units": 16, "activation": "tanh"},
        HEAD,
    ]
    model = {"inputs": {"numbers": [3], "mark": {"shape": [1], "dtype": "string"}}, "layers": layers}
    return train_run(folder, layers, data=data, model=model)


@pytest.fixture(scope="module")
def table_model(table_run):
    return ServedModel.load(str(table_run), trust=False)


@pytest.fixture(scope="module")
def rows():
    return [
        {"size": round(float(RNG.normal()), 4), "weight": row / 7, "count": row, "mark": "ab"[row % 2]}
        for row in range(150)
    ]


@pytest.fixture
def client(table_run, table_model):
    with serve(make_service(table_run, model=table_model)) as client:
        yield client


def test_unknown_categories_are_warnings_of_the_answer(client, rows):
    answer = client.post("/predict", {"rows": [rows[0], rows[1] | {"mark": "c"}]})
    assert answer.status == 200
    assert [
        (problem["code"], problem["severity"], problem["message"]) for problem in answer.json()["problems"]
    ] == [
        (
            "unlearned-value",
            "warning",
            '`mark` has a value that the model does not know in 1 of 2 examples; the first is "c" in row 2.',
        )
    ]
    assert not client.post("/predict", {"rows": rows[:2]}).json()["problems"]


def test_rows_of_a_request_are_those_of_predict(table_run, client, rows, tmp_path):
    rows = [dict(row) for row in rows]
    rows[2]["size"], rows[3]["count"], rows[4]["weight"] = "many", None, True
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = predict_lines(table_run, tmp_path / "new.jsonl", tmp_path)
    answer = client.post("/predict", {"rows": rows})
    assert answer.status == 200
    assert answer.json()["rows"] == expected
    assert expected[2]["error"] == '`size` must be a number, got "many"'
    assert [problem["path"] for problem in answer.json()["problems"] if problem["path"]] == ["rows[2]"]
    assert list(expected[0]) == [
        *("row", "class", "probability", "probability_x", "probability_y", "probability_z", "error")
    ]


def test_requests_together_have_the_bits_of_separate_ones(table_run, table_model, rows):
    assert table_model.predictor.can_group
    bodies = [rows[start : start + 1 + start % 3] for start in range(40)]
    with serve(make_service(table_run, model=table_model)) as client:
        separate = [client.post("/predict", body).json() for body in bodies]
    service = make_service(table_run, model=table_model, max_delay=1.0, max_batch=70)
    service.batcher._expected_jobs = len(bodies)
    with serve(service) as client, ThreadPoolExecutor(40) as pool:
        together = list(pool.map(lambda body: client.post("/predict", body).json(), bodies))
    assert together == separate
    assert service.metrics.registry.get_sample_value("layercli_batch_requests_count") < 20


def test_one_row_is_predicted_as_with_batches_of_one(table_run, client, rows, tmp_path):
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:5]))
    found = invoke(
        *("predict", table_run, "--input", tmp_path / "new.jsonl", "--output", tmp_path / "p.jsonl"),
        *("--batch-size", 1),
    )
    assert found.exit_code == 0
    expected = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    for row, line in zip(rows, expected, strict=False):
        [answer] = client.post("/predict", [row]).json()["rows"]
        assert answer == line | {"row": 1}


def test_tensors_of_columns_are_rows(client, rows):
    some = rows[:4]
    columns = {name: [row[name] for row in some] for name in some[0]}
    kinds = {"size": "FP64", "weight": "FP64", "count": "INT32", "mark": "BYTES"}
    inputs = [
        {"name": name, "shape": [4], "datatype": kinds[name], "data": values}
        for name, values in columns.items()
    ]
    answer = client.post("/v2/models/config/infer", {"id": "7", "inputs": inputs}).json()
    lines = client.post("/predict", some).json()["rows"]
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("config", "run", "7")
    outputs = {output["name"]: output for output in answer["outputs"]}
    classes = [line["class"] for line in lines]
    assert outputs["class"] == {"name": "class", "datatype": "BYTES", "shape": [4], "data": classes}
    assert outputs["probability_y"]["data"] == [line["probability_y"] for line in lines]
    assert outputs["probability_y"]["datatype"] == "FP32"


def test_metadata_names_columns_and_outputs(client):
    document = client.get("/v2/models/config").json()
    assert document["versions"] == ["run"]
    assert document["inputs"] == [
        {"name": "size", "datatype": "FP64", "shape": [-1]},
        {"name": "weight", "datatype": "FP64", "shape": [-1]},
        {"name": "count", "datatype": "FP64", "shape": [-1]},
        {"name": "mark", "datatype": "BYTES", "shape": [-1]},
    ]
    assert document["outputs"][0] == {"name": "class", "datatype": "BYTES", "shape": [-1]}
    assert client.get("/v2/models/config/versions/run").json() == document


def test_images_are_those_of_predict(tmp_path):
    for name, shade in (("dark", 30), ("light", 200)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(6):
            pixels = RNG.integers(shade - 20, shade + 20, (8, 8, 3)).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    data = {"type": "images", "path": "images", "channels": 3}
    layers = [
        "Flatten",
        {"type": "Rescaling", "scale": 0.01},
        {"type": "Dense", "units": 2, "activation": "softmax"},
    ]
    run = train_run(tmp_path, layers, data=data, model={"input": [8, 8, 3], "layers": layers})
    files = sorted((tmp_path / "images").rglob("*.png"))[3:9]
    new = tmp_path / "new"
    new.mkdir()
    for number, file in enumerate(files):
        (new / f"{number}.png").write_bytes(file.read_bytes())
    (new / "5.png").write_bytes(b"no image")
    expected = predict_lines(run, new, tmp_path)
    contents = [(new / f"{number}.png").read_bytes() for number in range(6)]
    with serve(make_service(run)) as client:
        rows = [
            {"image": base64.b64encode(content).decode(), "file": f"{i}.png"}
            for i, content in enumerate(contents)
        ]
        answer = client.post("/predict", {"rows": rows}).json()
        wrong = client.post("/predict", [{"image": "!"}])
        tensor = {"name": "image", "shape": [5], "datatype": "BYTES"}
        lengths = [len(content).to_bytes(4, "little") + content for content in contents[:5]]
        binary = b"".join(lengths)
        head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(binary)}}]}).encode()
        inferred = client.post(
            "/v2/models/config/infer",
            content=head + binary,
            headers={"Inference-Header-Content-Length": str(len(head))},
        ).json()
    short = [line | {"file": line["file"].rsplit("/", 1)[-1]} for line in expected]
    shown = [line | {"error": line["error"] and line["error"].replace(f"{new}/", "")} for line in short]
    assert answer["rows"] == shown
    assert "Cannot read image 5.png" in answer["rows"][5]["error"] or "5.png" in answer["rows"][5]["error"]
    assert wrong.status == 400
    assert wrong.json()["problems"][0]["path"] == "rows[0].image"
    classes = next(output for output in inferred["outputs"] if output["name"] == "class")
    assert classes["data"] == [line["class"] for line in expected[:5]]


def test_series_are_those_of_predict(tmp_path):
    lines = [f"2024-01-{day:02d},{day * day % 7},{day / 10}" for day in range(1, 29)]
    (tmp_path / "t.csv").write_text("date;load;heat\n".replace(";", ",") + "\n".join(lines) + "\n")
    data = {
        "type": "csv",
        "path": "t.csv",
        "target": "load",
        "inputs": {"rows": ["load", "heat"]},
        "windows": {"length": 4, "time": "date"},
    }
    layers = ["Flatten", {"type": "Dense", "units": 1}]
    run = train_run(
        tmp_path,
        layers,
        data=data,
        model={"inputs": {"rows": [4, 2]}, "layers": layers},
        train={"epochs": 1, "loss": "mse", "optimizer": "Adam"},
    )
    new = tmp_path / "new.csv"
    new.write_text("date,load,heat\n" + "\n".join(lines[5:13]) + "\n")
    expected = predict_lines(run, new, tmp_path)
    rows = [dict(zip(("date", "load", "heat"), line.split(","), strict=True)) for line in lines[5:13]]
    rows = [{**row, "load": int(row["load"]), "heat": float(row["heat"])} for row in rows]
    with serve(make_service(run)) as client:
        assert client.post("/predict", rows).json()["rows"] == expected
        few = client.post("/predict", rows[:3])
        absent = client.post("/predict", [{}])
    assert len(expected) == 5
    assert few.status == absent.status == 400
    assert "4 consecutive rows" in few.json()["error"]
    assert absent.json()["problems"][0]["message"] == "Row 1 has no `load`, `heat`, `date`."

"""The requests and recipes on the page about serving."""

import json
import re
import shlex
import signal

import numpy as np
import pytest
import tensorflow as tf

from tests.docs.pages import PAGES, blocks, train_wine
from tests.running import invoke
from tests.serving.running import make_service, serve

TEXTS = blocks("text", "serve")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return train_wine(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def client(folder):
    with serve(make_service(folder / "runs" / "wine" / "1")) as client:
        yield client


def run_export(folder, monkeypatch, format_name):
    """Run the command of a recipe that exports to this format; return the other lines of the recipe."""
    text = next(text for text in TEXTS if f"--format {format_name}" in text)
    command, _, rest = text.partition("\n")
    monkeypatch.chdir(folder)
    found = invoke(*shlex.split(command)[1:])
    assert found.exit_code == 0, found.output
    return rest


def predict_sizes(client):
    rows = client.post("/predict", [{"size": 3}, {"size": 5}]).json()["rows"]
    return [row["probability_b"] for row in rows]


def test_answer_on_the_page_is_that_of_the_server(client):
    words = shlex.split(blocks("bash", "serve")[0].replace("\\\n", " "))
    assert words[:2] == ["curl", "http://127.0.0.1:8000/predict"]
    name, _, value = words[words.index("-H") + 1].partition(": ")
    answer = client.post("/predict", content=words[-1], headers={name: value}).json()
    shown = json.loads(blocks("json", "serve")[0])
    assert [list(row) for row in answer["rows"]] == [list(row) for row in shown["rows"]]
    assert answer["rows"][1] == shown["rows"][1]
    assert answer | {"rows": []} == shown | {"rows": []}


def test_client_of_the_page_names_the_inputs_and_outputs(client):
    code = blocks("python", "serve")[0]
    document = client.get("/v2/models/wine").json()
    [(name, datatype)] = re.findall(r'InferInput\("(\w+)", \[2\], "(\w+)"\)', code)
    assert document["inputs"] == [{"name": name, "datatype": datatype, "shape": [-1]}]
    outputs = re.findall(r'as_numpy\("(\w+)"\)', code)
    assert {*outputs} < {output["name"] for output in document["outputs"]}


def test_container_starts_the_server(folder, client, monkeypatch):
    lines = dict(line.split(" ", 1) for line in blocks("dockerfile", "serve")[0].splitlines())
    source, target = lines["COPY"].split()
    assert (folder / source / "config.yaml").is_file()
    _, _, code = json.loads(lines["HEALTHCHECK"].removeprefix("CMD "))
    exec(code.replace(":8000", f":{client.port}"), {})
    program, *words = json.loads(lines["CMD"])
    hosts = []

    def stop(_service, listener, *, on_start, **_):
        on_start()
        hosts.append(listener.getsockname())
        return signal.SIGTERM

    monkeypatch.setattr("layercli.serving.server.run_server", stop)
    found = invoke(*(folder / source if word == target else word for word in words))
    assert (program, found.exit_code, hosts) == ("layercli", 143, [("0.0.0.0", 8000)])
    assert "Other machines can reach the server at 0.0.0.0" in found.stderr


def test_tensorflow_serving_gets_columns(folder, client, monkeypatch):
    recipe = run_export(folder, monkeypatch, "saved_model")
    request = json.loads(shlex.split(recipe.splitlines()[-1])[-1])
    signature = tf.saved_model.load("wine").signatures[request["signature_name"]]
    inputs = {name: tf.constant(values, tf.float32) for name, values in request["inputs"].items()}
    [output, *_] = signature(**inputs).values()
    np.testing.assert_allclose(output.numpy()[:, 0], predict_sizes(client), rtol=1e-6)


def test_onnxruntime_in_python_and_a_page(folder, client, monkeypatch, capsys):
    run_export(folder, monkeypatch, "onnx")
    exec(blocks("python", "serve")[1], found := {})
    assert capsys.readouterr().out
    np.testing.assert_allclose(found["probabilities"][:, 0], predict_sizes(client), rtol=1e-6)
    page = blocks("html", "serve")[0]
    session = found["session"]
    assert f"{{ {session.get_inputs()[0].name}: sizes }}" in page
    assert f"outputs.{session.get_outputs()[0].name}.data" in page
    assert 'Tensor("float32", [3, 5], [2, 1])' in page


def test_limits_on_the_page_are_those_of_the_server():
    from layercli.serving.example_reader import MAX_ROWS
    from layercli.serving.protocol import HEAD_SECONDS, BoundedProtocol

    page = PAGES["serve"]
    assert f"at most {MAX_ROWS:,}" in page
    assert f"within {HEAD_SECONDS:g} seconds" in page
    assert f"at most {BoundedProtocol.max_connections:,} connections" in page

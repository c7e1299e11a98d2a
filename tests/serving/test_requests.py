"""Wrong, hostile and slow requests are answered with the problems of the commands."""

import gzip
import json
import socket
import struct
import threading
import time
import zlib

import numpy as np
import pytest
from starlette.requests import Request

from layercli.errors import LayercliError, Problem
from layercli.serving import protocol
from layercli.serving.origins import require_known_origin
from layercli.serving.request_errors import RequestError
from layercli.serving.served_model import ServedModel
from layercli.serving.tensors import parse_inference_request
from tests.running import HANG_SECONDS, train, write_config
from tests.serving.running import make_service, serve

LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/config/infer"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of iris: one input of four numbers, three classes."""
    folder = tmp_path_factory.mktemp("iris")
    layers = [{"type": "Dense", "units": 3, "activation": "softmax"}]
    found = train(write_config(folder, layers), folder / "run", "--set", "train.epochs=1")
    assert found.result.exit_code == 0, found.result.output
    return found.path


@pytest.fixture(scope="module")
def model(run):
    return ServedModel.load(str(run), trust=False)


@pytest.fixture(scope="module")
def client(run, model):
    with serve(make_service(run, model=model)) as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "is_known"),
    [
        ({"Host": "localhost:8000"}, True),
        ({"Host": "app.LOCALHOST"}, True),
        ({"Host": "[::1]:8000", "Origin": "http://127.1.2.3:5000"}, True),
        ({"Host": "proxy.example"}, True),
        ({"Host": "localhost.:8000"}, True),
        ({"Host": "box", "Origin": "https://box"}, True),
        ({"Host": "evil.example:8000"}, False),
        ({"Host": "localhost.evil.example"}, False),
        ({"Host": "127.0.0.1.evil.example"}, False),
        ({"Host": "evil.example@localhost"}, True),
        ({"Host": "[evil"}, False),
        ({"Host": "192.0.2.7:8000"}, True),
        ({"Host": "192.0.2.7:8000", "Origin": "http://192.0.2.7:8000"}, True),
        ({"Host": "192.0.2.7", "Origin": "http://192.0.2.8"}, False),
        ({"Host": "proxy.example", "Origin": "http://proxy.example"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
    ],
)
def test_requests_of_other_web_pages_are_refused(run, model, headers, is_known):
    service = make_service(run, model=model, hosts=frozenset({"proxy.example"}))
    with serve(service) as client:
        answer = client.request("GET", "/v2", headers=headers)
    assert answer.status == (200 if is_known else 403)
    if not is_known:
        assert answer.codes == ["unknown-origin"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "192.0.2.1"])
def test_host_is_checked_at_every_address_of_the_server(address):
    scope = {"type": "http", "server": (address, 80), "headers": [(b"host", b"a.example")]}
    require_known_origin(Request(scope), ("a.example",))
    with pytest.raises(RequestError, match="must name this server"):
        require_known_origin(Request(scope), ())


def tensor(**changes):
    entry = {"name": "input", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4.5]}
    return {key: value for key, value in (entry | changes).items() if value is not None}


def infer(client, *entries, **keys):
    return client.post(INFER, {"inputs": list(entries), **keys})


def test_addresses_of_the_protocol(client):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/config/ready").json() == {"name": "config", "ready": True}
    assert client.get("/v2/models/config").json()["inputs"] == [
        {"name": "input", "datatype": "FP32", "shape": [-1, 4]}
    ]


def test_binary_tensors_equal_those_of_json(client):
    values = np.arange(8, dtype="<f4").reshape(2, 4)
    expected = infer(client, tensor(shape=[2, 4], data=values.tolist())).json()["outputs"]
    head = json.dumps(
        {
            "inputs": [tensor(shape=[2, 4], data=None, parameters={"binary_data_size": 32})],
            "outputs": [
                {"name": "probability_setosa", "parameters": {"binary_data": True}},
                {"name": "class", "parameters": {"binary_data": True}},
                {"name": "probability"},
            ],
        }
    ).encode()
    answer = client.post(INFER, content=head + values.tobytes(), headers={LENGTH: str(len(head))})
    size = int(answer.headers[LENGTH])
    outputs = json.loads(answer.body[:size])["outputs"]
    by_name = {output["name"]: output for output in expected}
    assert [output["name"] for output in outputs] == ["probability_setosa", "class", "probability"]
    assert outputs[0]["parameters"] == {"binary_data_size": 8}
    probabilities = struct.unpack("<2f", answer.body[size : size + 8])
    assert list(probabilities) == by_name["probability_setosa"]["data"]
    first = by_name["class"]["data"][0].encode()
    assert answer.body[size + 8 :].startswith(struct.pack("<I", len(first)) + first)
    assert outputs[2] == by_name["probability"]


def test_all_outputs_can_be_binary(client):
    answer = infer(client, tensor(), parameters={"binary_data_output": True})
    outputs = json.loads(answer.body[: int(answer.headers[LENGTH])])["outputs"]
    assert all(list(output["parameters"]) == ["binary_data_size"] for output in outputs)


@pytest.mark.parametrize(
    ("entries", "path", "words"),
    [
        ([], "inputs", "list of tensors"),
        (["input"], "inputs[0]", "must be an object"),
        ([tensor(name=3)], "inputs[0]", "`name`"),
        ([tensor(name="x")], "inputs", "no input `x`"),
        ([tensor(name="\x1b[31m")], "inputs", "no input"),
        ([tensor(name="\ud800")], "", "half of a character"),
        ([tensor(), tensor()], "inputs[1]", "occurs twice"),
        ([tensor(datatype="FP8")], "inputs[0].datatype", "datatype"),
        ([tensor(datatype=[])], "inputs[0].datatype", "datatype"),
        ([tensor(datatype="BYTES", data=["a"] * 4)], "inputs", "must contain numbers"),
        ([tensor(datatype="INT8", data=[1, 2, 3, 400])], "inputs[0].data", "does not fit into INT8"),
        ([tensor(datatype="INT8", data=[1, 2, 3, 0.5])], "inputs[0].data", "integers"),
        ([tensor(datatype="BOOL")], "inputs[0].data", "true or false"),
        ([tensor(data=[1, 2, 3, True])], "inputs[0].data", "numbers"),
        ([tensor(data=[1, 2, 3, None])], "inputs[0].data", "numbers"),
        ([tensor(data=[1, 2, 3])], "inputs[0].data", "has 3 values"),
        ([tensor(data=[[1, 2], 3, 4])], "inputs[0].data", "has 3 values"),
        ([tensor(data=5)], "inputs[0].data", "must be a list"),
        ([tensor(data=None)], "inputs[0].data", "no `data`"),
        ([tensor(shape=[4])], "inputs", "must have the shape [examples, 4]"),
        ([tensor(shape=[0, 4], data=[])], "inputs", "no examples"),
        ([tensor(shape=[-1, -4])], "inputs[0].shape", "`shape`"),
        ([tensor(shape=[True, 4])], "inputs[0].shape", "`shape`"),
        ([tensor(shape=[2**62, 2**62], data=[])], "inputs[0].data", "has 0 values"),
        ([tensor(shape=[])], "inputs[0].shape", "`shape`"),
        ([tensor(shape=[0, 10**30], data=[])], "inputs[0].shape", "`shape`"),
        ([tensor(shape=[10**4000, 10**4000])], "inputs[0].shape", "`shape`"),
        ([tensor(shape=[0, 2**40, 2**40], data=[])], "inputs[0].shape", "`shape`"),
        ([tensor(parameters=3)], "inputs[0].parameters", "must be an object"),
        ([tensor(parameters={"binary_data_size": 16})], "inputs[0]", "both"),
        (
            [tensor(data=None, parameters={"binary_data_size": 16})],
            "inputs[0].parameters.binary_data_size",
            "0 bytes are left",
        ),
        ([tensor(parameters={"shared_memory_region": "a"})], "inputs[0]", "Shared memory"),
        ([tensor(datatype="FP64", data=[1e999, 1, 1, 1])], "", "not JSON"),
    ],
)
def test_wrong_tensors(client, entries, path, words):
    answer = infer(client, *entries)
    assert answer.status == 400
    assert answer.codes == ["bad-request"]
    [problem] = answer.json()["problems"]
    assert problem["path"] == path
    assert words in problem["message"]
    assert problem["severity"] == "error"


def test_missing_numbers_are_errors_of_rows(client):
    head = json.dumps({"inputs": [tensor(data=None, parameters={"binary_data_size": 16})]}).encode()
    binary = np.array([1, np.nan, 2, np.inf], "<f4").tobytes()
    answer = client.post(INFER, content=head + binary, headers={LENGTH: str(len(head))})
    assert answer.status == 400
    assert answer.codes == ["no-prediction"]
    assert "`input` is missing" in answer.json()["error"]


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 30, "99999"])
def test_wrong_lengths_of_the_json(client, length):
    answer = client.post(INFER, content=json.dumps({"inputs": [tensor()]}), headers={LENGTH: length})
    assert (answer.status, answer.codes) == (400, ["bad-request"])
    assert "number of bytes of the JSON" in answer.json()["error"]


@pytest.mark.parametrize("length", ["10", "0"])
def test_lengths_within_the_json(client, length):
    answer = client.post(INFER, content=json.dumps({"inputs": [tensor()]}), headers={LENGTH: length})
    assert (answer.status, answer.codes) == (400, ["bad-request"])


def test_bytes_after_the_tensors(client):
    head = json.dumps({"inputs": [tensor()]}).encode()
    answer = client.post(INFER, content=head + b"abc", headers={LENGTH: str(len(head))})
    assert "3 bytes follow the last tensor." in answer.json()["error"]


def parse_texts(binary, count):
    entry = tensor(datatype="BYTES", shape=[count], data=None, parameters={"binary_data_size": len(binary)})
    return parse_inference_request({"inputs": [entry]}, binary).tensors["input"].tolist()


def test_binary_texts_follow_their_lengths():
    assert parse_texts(b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0c", 3) == [b"ab", b"", b"c"]
    for binary in (b"\x02\0\0\0a", b"\x02\0\0", b"\xff\xff\xff\xffab"):
        with pytest.raises(RequestError) as error:
            parse_texts(binary, 1)
        assert error.value.problems[0].message == "The input `input` ends within a value."
    with pytest.raises(RequestError) as error:
        parse_texts(b"\x01\0\0\0c", 2)
    assert "has 1 values, but the shape [2] has 2" in error.value.problems[0].message


def test_unknown_outputs(client):
    answer = infer(client, tensor(), outputs=[{"name": "logits"}])
    assert answer.json()["problems"][0]["message"] == "The model has no output `logits`."
    assert infer(client, tensor(), outputs=[{}]).status == 400
    assert infer(client, tensor(), id=7).status == 400


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no body"),
        (b"{", "not JSON"),
        (b"3", "object or a list"),
        (b"\xff\xfe", "must be UTF-8"),
        (b"[" * 200_000, "levels deep"),
        (b'{"rows": ' + b"[" * 70 + b"]" * 70 + b"}", "levels deep"),
        (b'{"rows": [{"input": [1, 2, 3, NaN]}]}', "NaN is not JSON"),
        (b'{"rows": [{"input": [1, 2, 3, Infinity]}]}', "Infinity is not JSON"),
        (b'{"rows": [{"input": 1, "input": 2}]}', "`input` occurs twice"),
        (b'{"rows": [' + b"9" * 5000 + b"]}", "too many digits"),
        (b'{"rows": []}', "at least one row"),
        (b'{"rows": 3}', "at least one row"),
        (b'{"row": []}', "got `row`"),
        (b'{"rows": [[1, 2, 3, 4]]}', "Row 1 must be an object"),
        (b'[{"inputs": [1, 2, 3, 4]}]', "Row 1 has"),
        (b'[{"input": [1, 2, 3, 4]}, {}]', "Row 2 has no `input`"),
        (b'[{"input": [1, 2, 3, 4], "b": 1, "a": 2}]', "Row 1 has an unknown `b`, `a`"),
        (b'[{"input": [1, 2, 3]}]', "must have the shape [examples, 4]"),
        (b'[{"input": [1, 2, 3, [4]]}]', "must contain numbers"),
        (b'[{"input": [1, 2, 3, "4"]}]', "must contain numbers"),
        (b'[{"input": [1, 2, 3, null]}]', "must contain numbers"),
        (b'[{"input": null}]', "must have the shape [examples, 4]"),
        (b'[{"input": {"a": 1}}]', "must have the shape [examples, 4]"),
    ],
)
def test_wrong_rows(client, content, words):
    answer = client.post("/predict", content=content)
    assert (answer.status, answer.codes) == (400, ["bad-request"])
    assert words in answer.json()["problems"][0]["message"]


def test_too_many_rows_and_values(client):
    answer = client.post("/predict", [{"input": [1, 2, 3, 4]}] * 4001)
    assert (answer.status, answer.codes) == (413, ["request-too-large"])
    answer = client.post("/predict", content=b'{"rows": [' + b"[" * 1_000_001)
    assert (answer.status, answer.codes) == (413, ["request-too-large"])


def test_large_bodies_are_refused(client):
    content = b'{"rows": "' + b"x" * (3 << 20) + b'"}'
    answer = client.post("/predict", content=content)
    assert (answer.status, answer.codes) == (413, ["request-too-large"])
    assert "larger than 1 MiB" in answer.json()["error"]
    chunked = client.request("POST", "/predict", iter([content[: 1 << 19]] * 5))
    assert (chunked.status, chunked.codes) == (413, ["request-too-large"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/csv"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Encoding": "br"},
    ],
)
def test_other_types_of_bodies(client, headers):
    answer = client.post("/predict", [{"input": [1, 2, 3, 4]}], headers=headers)
    assert (answer.status, answer.codes) == (415, ["unsupported-type"])


@pytest.mark.parametrize(("name", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies(client, name, compress):
    rows, headers = json.dumps([{"input": [1, 2, 3, 4]}]).encode(), {"Content-Encoding": name}
    answer = client.post("/predict", content=compress(rows), headers=headers)
    assert answer.json() == client.post("/predict", content=rows).json()
    damaged = client.post("/predict", content=compress(rows)[:-3], headers=headers)
    assert (damaged.status, damaged.codes) == (400, ["bad-request"])
    plain = client.post("/predict", content=rows, headers=headers)
    assert (plain.status, plain.codes) == (400, ["bad-request"])
    bomb = client.post("/predict", content=compress(b" " * (1 << 21)), headers=headers)
    assert (bomb.status, bomb.codes) == (413, ["request-too-large"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/x", 404),
        ("GET", "/predict/", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/config/versions/9", 404),
        ("POST", "/v2/models/%1b%5b31m/infer", 404),
        ("GET", "/predict", 405),
        ("DELETE", "/v2", 405),
        ("POST", "/metrics", 405),
    ],
)
def test_unknown_addresses(client, method, path, status):
    answer = client.request(method, path, b"{}")
    assert (answer.status, answer.codes) == (status, ["unknown-address"])
    assert "\x1b" not in answer.json()["error"]


def exchange(port, *parts):
    """Send bytes, and return everything that the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while data := connection.recv(1 << 16):
            received += data
    return received


def test_other_protocols_get_an_error(client):
    answer = exchange(client.port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert json.loads(body)["problems"][0]["code"] == "bad-request"


def test_repeated_lengths_are_refused(client):
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
    assert exchange(client.port, head).startswith(b"HTTP/1.1 400 ")


def test_silent_and_slow_heads_are_closed(client, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    assert_closed(client.port, b"")
    assert_closed(client.port, b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: ")
    whole = b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"
    assert_closed(client.port, whole + b"GET /v2 HT")  # the second head of a connection


def assert_closed(port, content):
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as connection:
        connection.sendall(content)
        with pytest.raises(ConnectionError):
            send_slowly(connection)


def send_slowly(connection):
    while True:
        connection.sendall(b"a")
        time.sleep(0.02)


def test_slow_bodies_time_out(run, model):
    with serve(make_service(run, model=model, timeout=0.2)) as client:
        head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"
        assert exchange(client.port, head).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_too_many_connections_are_refused(run, model, monkeypatch):
    monkeypatch.setattr(protocol.BoundedProtocol, "max_connections", 3)
    with serve(make_service(run, model=model)) as client:
        open_ones = [socket.create_connection(("127.0.0.1", client.port)) for _ in range(3)]
        refused = exchange(client.port, b"")
        for connection in open_ones:
            connection.close()
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"3 connections already" in refused


@pytest.fixture
def slow_model(monkeypatch):
    """The model waits for an event before each batch."""
    release, started = threading.Event(), threading.Event()
    answer = ServedModel.answer

    def wait(self, requests):
        started.set()
        assert release.wait(HANG_SECONDS)
        return answer(self, requests)

    monkeypatch.setattr(ServedModel, "answer", wait)
    yield started, release
    release.set()


ROW = [{"input": [1, 2, 3, 4]}]


def test_a_full_queue_answers_429(run, model, slow_model):
    started, release = slow_model
    service = make_service(run, model=model, max_queue=1)
    answers = []
    with serve(service) as client:
        threads = [
            threading.Thread(target=lambda: answers.append(client.post("/predict", ROW))) for _ in range(2)
        ]
        threads[0].start()
        assert started.wait(HANG_SECONDS)
        threads[1].start()
        while not service.batcher.waiting:
            time.sleep(0.01)
        refused = client.post("/predict", ROW)
        release.set()
        for thread in threads:
            thread.join()
    assert (refused.status, refused.codes) == (429, ["server-busy"])
    assert refused.headers["Retry-After"] == "1"
    assert [answer.status for answer in answers] == [200, 200]


def test_late_answers_time_out(run, model, slow_model):
    with serve(make_service(run, model=model, timeout=0.3)) as client:
        late = client.post("/predict", ROW)
        slow_model[1].set()
        assert (late.status, late.codes) == (503, ["request-timeout"])
        # A busy machine may need longer than this short limit more than once.
        assert any(client.post("/predict", ROW).status == 200 for _ in range(100))


def test_errors_of_one_request_are_not_those_of_others(run, model, monkeypatch):
    """A model that refuses a request, and a bug, are answered; the other requests of the batch are not lost."""
    predict = type(model.predictor)._compute_batch

    def refuse(self, batch):
        if batch.x.max() > 8:
            return LayercliError(Problem(code="prediction-failed", message="The model cannot predict: no."))
        return predict(self, batch)

    monkeypatch.setattr(type(model.predictor), "_compute_batch", refuse)
    monkeypatch.setattr(model.predictor, "can_group", False)
    answers = {}
    service = make_service(run, model=model, max_delay=0.5, max_batch=2)
    service.batcher._expected_jobs = 2
    with serve(service) as client:
        rows = {"good": [1, 2, 3, 4], "wrong": [1, 2, 3, 9]}
        threads = [
            threading.Thread(
                target=lambda name=name, values=values: answers.update(
                    {name: client.post("/predict", [{"input": values}])}
                )
            )
            for name, values in rows.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers["good"].status == 200
    assert (answers["wrong"].status, answers["wrong"].codes) == (400, ["prediction-failed"])


def test_bugs_are_reported_without_a_traceback(run, model, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(ServedModel, "answer", lambda *_: 1 / 0)
    with serve(make_service(run, model=model)) as client:
        answer = client.post("/predict", ROW)
    assert (answer.status, answer.codes) == (500, ["internal-error"])
    assert answer.json()["error"] == "Internal error in layercli: ZeroDivisionError."
    [log] = tmp_path.iterdir()
    assert "ZeroDivisionError: division by zero" in log.read_text()
    assert str(log) in capsys.readouterr().err


def test_figures_for_prometheus(run, model):
    with serve(make_service(run, model=model)) as client:
        client.post("/predict", ROW * 3)
        client.get("/x")
        text = client.get("/metrics").body.decode()
    assert 'layercli_requests_total{route="/predict",status="200"} 1.0' in text
    assert "layercli_examples_total 3.0" in text
    assert "layercli_batch_examples_sum 3.0" in text
    assert 'layercli_model_info{name="config",version="run"} 1.0' in text


def test_page_loads_nothing_and_describes_the_model(client):
    answer = client.get("/")
    page = answer.body.decode()
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "<script" not in page
    assert "src=" not in page
    assert "probability_setosa" in page
    assert f"curl http://127.0.0.1:{client.port}/predict" in page


def test_openapi_document_describes_rows(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert document["components"]["schemas"]["Row"] == {
        "type": "object",
        "required": ["input"],
        "properties": {"input": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}},
    }
    assert set(document["paths"]) >= {"/predict", INFER, "/metrics"}

"""Runs to serve, a server in this process, and a client."""

import asyncio
import http.client
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass

from layercli.serving.batcher import BatchLimits
from layercli.serving.served_model import ServedModel
from layercli.serving.server import BoundedServer, open_socket
from layercli.serving.service import ServerLimits, Service
from tests.running import HANG_SECONDS, invoke


def make_service(
    run,
    *,
    model=None,
    max_queue=64,
    max_delay=0.0,
    timeout=HANG_SECONDS,
    max_body=1 << 20,
    max_batch=128,
    hosts=frozenset(),
):
    """A server's state with the model of a run."""
    limits = ServerLimits(BatchLimits(max_batch, max_delay, max_queue, timeout), max_body, hosts)
    return Service(str(run), model or ServedModel.load(str(run), trust=False), limits, trust=False)


@dataclass(frozen=True)
class Response:
    """A response with its body."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def codes(self):
        """The codes of the problems of an error."""
        document = self.json()
        assert document["ok"] is False
        assert document["error"]
        return [problem["code"] for problem in document["problems"]]


@dataclass(frozen=True)
class Client:
    """A client of a server on this machine."""

    port: int

    def request(self, method, path, content=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_SECONDS)
        try:
            connection.request(method, path, content, headers or {})
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, document=None, *, content=None, headers=None):
        return self.request("POST", path, json.dumps(document) if content is None else content, headers)


@contextmanager
def serve(service):
    """Serve in a thread of this process; yields a client."""
    listener = open_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    started = threading.Event()
    server = BoundedServer(service, started.set)
    thread = threading.Thread(target=lambda: asyncio.run(server.answer_requests(listener)))
    thread.start()
    try:
        assert started.wait(HANG_SECONDS)
        yield Client(port)
    finally:
        server.should_exit = True
        thread.join()


def predict_lines(run, input_, folder):
    """The rows that ``predict`` writes."""
    output = folder / "predicted.jsonl"
    found = invoke("predict", run, "--input", input_, "--output", output, "--json")
    assert found.exit_code == 0, found.output
    return [json.loads(line) for line in output.read_text().splitlines()]

"""The process of ``layercli serve``: its start, its signals and its end."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from layercli.commands import serve as command
from tests.running import HANG_SECONDS, LAYERCLI, invoke, problems, train, write_config
from tests.serving.running import Client

ROWS = {"rows": [{"input": [1, 2, 3, 4]}]}
SLOW_LAYER = """
import os
import time

import keras
import tensorflow as tf


class Mine(keras.layers.Layer):
    def call(self, x):
        def wait(values):
            if values.max() > 50:
                while not os.path.exists(os.environ["RELEASE"]):
                    time.sleep(0.02)
            return values

        return tf.ensure_shape(tf.numpy_function(wait, [x], x.dtype), x.shape)
"""
"""A layer that waits for a file if the inputs are large."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.py").write_text(SLOW_LAYER)
    layers = [
        {"type": "slow.py:Mine", "output_shape": [4]},
        {"type": "Dense", "units": 3, "activation": "softmax"},
    ]
    config = write_config(folder, layers)
    found = train(config, folder / "run", "--trust", "--set", "train.epochs=1")
    assert found.result.exit_code == 0, found.result.output
    return found.path


@contextmanager
def start(run, *options, release=os.devnull):
    """Start the server; yields the process, its first output and a client."""
    process = subprocess.Popen(
        [LAYERCLI, "serve", run, "--port", "0", "--trust", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"RELEASE": str(release)},
    )
    try:
        first = process.stdout.readline()
        while first.startswith("{") and not first.endswith("}\n"):
            first += process.stdout.readline()
        assert first, process.stderr.read()
        port = int(first.partition("http://127.0.0.1:")[2].partition(" ")[0].partition('"')[0])
        yield process, first, Client(port)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.usefixtures("warm_processes")
def test_sighup_loads_the_run_again_and_sigterm_drains(run, tmp_path):
    """No request is lost: each is answered by the old or the new model, or refused by a server that ends."""
    link, second, release = tmp_path / "current", tmp_path / "second", tmp_path / "release"
    link.symlink_to(run)
    shutil.copytree(run, second)
    with start(link, "--json", release=release) as (process, first, client):
        document = json.loads(first)
        with sending(client) as statuses:
            link.unlink()
            link.symlink_to(second)
            process.send_signal(signal.SIGHUP)
            assert process.stderr.readline() == "Loaded config second.\n"
            assert client.get("/v2/models/config").json()["versions"] == ["second"]
            link.unlink()
            process.send_signal(signal.SIGHUP)
            while "The model that was loaded before stays." not in (line := process.stderr.readline()):
                assert line
        assert set(statuses) == {200}
        answers = []
        slow = {"rows": [{"input": [100, 2, 3, 4]}]}
        thread = threading.Thread(target=lambda: answers.append(client.post("/predict", slow)))
        thread.start()
        while b"layercli_active_requests 2.0" not in client.get("/metrics").body:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        while (ready := client.get("/v2/health/ready")).status == 200:
            time.sleep(0.02)
        refused = client.post("/predict", ROWS)
        release.touch()
        thread.join()
        output, errors = process.communicate(timeout=HANG_SECONDS)
    assert document["ok"] is True
    assert (document["model"], document["version"], document["problems"]) == ("config", "run", [])
    assert (ready.status, ready.json()) == (503, {"ready": False})
    assert (refused.status, refused.codes) == (503, ["server-busy"])
    assert [answer.status for answer in answers] == [200]
    assert process.returncode == 143
    assert output == ""
    assert errors == "Stopped; all requests were answered.\n"


@contextmanager
def sending(client):
    """Send requests until the end; yields the list of their statuses."""
    statuses = []
    ended = threading.Event()

    def send():
        while not ended.is_set():
            statuses.append(client.post("/predict", ROWS).status)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        thread.join()


def test_ctrl_c_is_exit_code_130(run, monkeypatch):
    def stop(_service, listener, *, on_start, **_):
        assert listener.getsockname()[0] == "127.0.0.1"
        on_start()
        return signal.SIGINT

    monkeypatch.setattr("layercli.serving.server.run_server", stop)
    found = invoke("serve", run, "--port", 0, "--trust")
    assert found.exit_code == 130
    assert re.fullmatch(r"Serving config run at http://127\.0\.0\.1:\d+ - stop with Ctrl-C\.\n", found.stdout)
    assert found.stderr.endswith("Stopped; all requests were answered.\n")


def test_custom_layers_need_trust(run):
    assert problems(invoke("serve", run, "--json", "--port", 0)) == [("trust-required", 23)]


def test_a_port_in_use_is_reported_before_the_model_is_loaded(run):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = invoke("serve", run, "--json", "--port", port)
    assert problems(found) == [("port-unavailable", None)]
    assert f"cannot use port {port} of 127.0.0.1: Address already in use." in found.stdout


def test_missing_packages_are_named(run, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "uvicorn" else find_spec(name))
    found = invoke("serve", run)
    assert found.exit_code == 1
    assert "uvicorn must be installed for the server." in found.stderr
    assert "`pip install 'layercli[serve]'`" in found.stderr


@pytest.mark.parametrize(("host", "codes"), [("127.0.0.1", []), ("::1", []), ("0.0.0.0", ["public-address"])])
def test_hosts_that_others_can_reach_are_a_warning(host, codes):
    from layercli.serving.server import check_host, open_socket

    with open_socket(host, 0) as listener:
        assert [problem.code for problem in check_host(listener)] == codes

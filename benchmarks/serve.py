"""Requests per second and latency of ``layercli serve`` for numbers of clients, and of a loop without a server.

    python benchmarks/serve.py runs/flowers/1

The argument is a finished run of arrays, or of a table. With ``--url`` and ``--path`` the same load goes to another server
of the Open Inference Protocol.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import time
from statistics import quantiles
from urllib.parse import urlsplit
from urllib.request import urlopen

SECONDS = 4.0
CLIENTS = (1, 8, 32, 128)


def start_server(run: str, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Return the process of the server, and its address."""
    command = [sys.executable, "-m", "layercli", "serve", run, "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    return process, line[line.index("http://") :].split()[0]


def make_requests(url: str) -> tuple[dict[str, bytes], int]:
    """Return a body for each address, with one example of zeros, and its number of inputs."""
    [model] = [path for path in json.load(urlopen(f"{url}/openapi.json"))["paths"] if path.count("/") == 3][
        :1
    ]
    inputs = json.load(urlopen(f"{url}{model}"))["inputs"]
    tensors = [
        {
            "name": entry["name"],
            "shape": [1, *(abs(size) for size in entry["shape"][1:])],
            "datatype": entry["datatype"],
        }
        for entry in inputs
    ]
    for tensor in tensors:
        count = 1
        for size in tensor["shape"]:
            count *= size
        tensor["data"] = ["a" if tensor["datatype"] == "BYTES" else 0] * count
    row = {tensor["name"]: _nest(tensor["data"], tensor["shape"][1:]) for tensor in tensors}
    return {
        "/predict": json.dumps({"rows": [row]}).encode(),
        f"{model}/infer": json.dumps({"inputs": tensors}).encode(),
    }, len(tensors)


def _nest(values: list[object], shape: list[int]) -> object:
    if not shape:
        return values[0]
    size = len(values) // shape[0]
    return [_nest(values[start : start + size], shape[1:]) for start in range(0, len(values), size)]


async def send_load(url: str, path: str, body: bytes, clients: int) -> list[float]:
    """Return the seconds of each request of some clients, each of which sends one request after the other."""
    address = urlsplit(url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    end = time.perf_counter() + SECONDS
    seconds: list[float] = []

    async def send() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        while time.perf_counter() < end:
            start = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            length = next(
                int(line.split(b":")[1])
                for line in answer.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            seconds.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(send() for _ in range(clients)))
    return seconds


def print_load(url: str, title: str, path: str, body: bytes) -> None:
    """Print a line for each number of clients."""
    for clients in CLIENTS:
        seconds = asyncio.run(send_load(url, path, body, clients))
        steps = quantiles(seconds, n=100)
        print(
            f"{title:34} {clients:4} clients {len(seconds) / SECONDS:8.0f} requests/s  p50 {steps[49] * 1e3:7.2f} ms  "
            f"p99 {steps[98] * 1e3:7.2f} ms",
            flush=True,
        )


def print_loop(run: str) -> None:
    """Print the speed of calls of the model without a server, one example at a time and 32 at a time."""
    from layercli.engine.load_model import load_model
    from layercli.workflows.finished_run import FinishedRun

    found = FinishedRun.open(run, trust=False)
    model = load_model(found.path, found.valid)
    import tensorflow as tf

    shapes = [tuple(size or 1 for size in tensor.shape[1:]) for tensor in model.inputs]
    call = tf.function(lambda x: model(x, training=False))
    for rows in (1, 32):
        tensors = [
            tf.fill((rows, *shape), "")
            if tensor.dtype == "string"
            else tf.zeros((rows, *shape), tensor.dtype)
            for shape, tensor in zip(shapes, model.inputs, strict=True)
        ]
        call(tensors if len(tensors) > 1 else tensors[0])
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            tf.nest.map_structure(lambda x: x.numpy(), call(tensors if len(tensors) > 1 else tensors[0]))
            count += rows
        print(
            f"tf.function, {rows} examples a call: {count / (time.perf_counter() - start):.0f} examples/s",
            flush=True,
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--url", help="another server, which is running")
    parser.add_argument("--path", help="the address of its model that infers")
    options = parser.parse_args()
    print_loop(options.run)
    process, url = start_server(options.run)
    try:
        bodies, _ = make_requests(url)
        for path, body in bodies.items():
            print_load(url, "layercli " + path, path, body)
        if options.url:  # in turn with the last one, under the same load of the machine
            print_load(
                options.url,
                "other " + options.path,
                options.path,
                bodies[next(p for p in bodies if "infer" in p)],
            )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


if __name__ == "__main__":
    main()

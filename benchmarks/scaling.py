"""Step time by the number of processes on this host, bytes moved in each step, and a model that extrapolates from them.

    python benchmarks/scaling.py [--workers 2 4] [--json]

Both print the model and what it assumes.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BATCH, EXAMPLES, FEATURES, CLASSES = 256, 4096, 784, 10
MODELS = {"784-128-10": [128], "784-512-512-10": [512, 512]}
LINKS = {
    "1 Gbit/s, 100 us": (125e6, 100e-6),
    "10 Gbit/s, 50 us": (1.25e9, 50e-6),
    "100 Gbit/s, 5 us": (1.25e10, 5e-6),
}
HOSTS = (2, 4, 8)
MODEL = """\
The model: a step on W hosts takes

    compute(batch / W) + constant + 2 (W - 1) latency + 2 (W - 1) / W * bytes / bandwidth

Assumptions: each host computes as fast as this one with a single process (compute is measured with one process on a share of
the batch); gradients go around a ring, after the computation and not during it; links are full duplex and
nobody else's; hosts are equal, and nothing else runs on them; reading data costs nothing. What is measured on one
host is not what the model describes: there the processes share the cores and the memory. The constant is what TensorFlow
takes for an all-reduce of four bytes between two processes here; a link has the latency and bandwidth that are stated with it.
Times are the fastest of several rounds.
"""
ROUNDS, STEPS = 9, 16


def worker() -> None:
    """Measure blocks of steps, and all-reduces without steps, as one process of a group."""
    task = json.loads(sys.stdin.read())
    from layercli import runtime

    runtime.is_cli_process = True
    if task["size"] > 1:
        cluster = {
            "cluster": {"worker": task["addresses"]},
            "task": {"type": "worker", "index": task["rank"]},
        }
        os.environ["TF_CONFIG"] = json.dumps(cluster)
        runtime.cluster = runtime.Cluster(task["rank"], task["size"])
    from layercli.check import check_config, require_valid
    from layercli.engine.assemble import assemble_model
    from layercli.engine.training.compile import compile_model

    valid = require_valid(check_config(task["config"]))
    model = assemble_model(valid).model
    compile_model(model, valid.config.train, valid)
    import numpy as np
    import tensorflow as tf

    from layercli.data.examples import Examples
    from layercli.engine.training.feed import Span, make_feed
    from layercli.engine.training.loop import TrainingLoop
    from layercli.engine.training.multi_worker import Workers

    random = np.random.default_rng(0)
    x = random.normal(size=(EXAMPLES, FEATURES)).astype("float32")
    y = random.integers(0, CLASSES, EXAMPLES)
    workers = Workers() if task["size"] > 1 else None
    taken = {}
    for batch in task["batches"]:
        feed = make_feed(Examples(x, y), batch, stream=False)
        loop = TrainingLoop(model, feed, max_steps_per_call=STEPS, seed=0, workers=workers)
        (block,) = feed.blocks([Span(0, STEPS)], None)
        loop.run_block(block)
        taken[batch] = (loop, block, [])
    for _ in range(ROUNDS):
        for loop, block, seconds in taken.values():
            began = time.perf_counter()
            loop.step(block)
            seconds.append((time.perf_counter() - began) / STEPS)
    steps = {batch: min(seconds) for batch, (_, _, seconds) in taken.items()}
    found = {"steps": steps, "parameters": int(model.count_params())}
    if workers is not None:
        for size in (1, 1_000_000):
            vector = tf.zeros((size,))
            reduced = tf.function(lambda vector=vector: workers.sum_tensors([vector])[0])
            reduced()
            times = []
            for _ in range(20):
                began = time.perf_counter()
                reduced()
                times.append(time.perf_counter() - began)
            found[f"all_reduce_{size}"] = statistics.median(times)
    print(json.dumps(found))


def measured(layers: list[int], size: int, batches: list[int]) -> dict[str, Any]:
    """Return the times of the first of ``size`` processes."""
    sockets = [socket.socket() for _ in range(size)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / "config.yaml"
        config.write_text(
            json.dumps(
                {
                    "model": {
                        "input": [FEATURES],
                        "layers": [
                            *({"type": "Dense", "units": units, "activation": "relu"} for units in layers),
                            {"type": "Dense", "units": CLASSES, "activation": "softmax"},
                        ],
                    },
                    "train": {"loss": "sparse_categorical_crossentropy", "optimizer": "SGD"},
                }
            )
        )
        processes = []
        for rank in range(size):
            process = subprocess.Popen(
                [sys.executable, __file__, "--worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
            )
            task = {
                "rank": rank,
                "size": size,
                "addresses": addresses,
                "batches": batches,
                "config": str(config),
            }
            process.stdin.write(json.dumps(task))
            process.stdin.close()
            processes.append(process)
        outputs = [process.stdout.read() for process in processes]
        assert [process.wait() for process in processes] == [0] * size, outputs
    return json.loads(outputs[0].splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = {}
    for name, layers in MODELS.items():
        here = {size: measured(layers, size, [BATCH]) for size in sorted({2, *options.workers})}
        found = measured(layers, 1, [BATCH // hosts for hosts in (1, *HOSTS)])
        single = {hosts: found["steps"][str(BATCH // hosts)] for hosts in (1, *HOSTS)}
        moved = 4 * (found["parameters"] + 1)  # float32 gradients, and the number of examples
        constant = here[2]["all_reduce_1"]
        predicted = {
            link: {
                hosts: single[hosts]
                + constant
                + 2 * (hosts - 1) * latency
                + 2 * (hosts - 1) / hosts * moved / bandwidth
                for hosts in HOSTS
            }
            for link, (bandwidth, latency) in LINKS.items()
        }
        report[name] = {"here": here, "single": single, "bytes": moved, "predicted": predicted}
    if options.json:
        print(json.dumps({"about": MODEL, "cores": os.cpu_count(), "models": report}, indent=2))
        return
    print(f"{MODEL}\nThis host has {os.cpu_count()} cores.\n")
    for name, found in report.items():
        print(f"{name}, batch {BATCH}: {found['bytes']:,} bytes of gradients a step")
        first = found["single"][1]
        print(f"  measured on this host, 1 process:   {1e3 * first:8.2f} ms a step")
        for size, result in found["here"].items():
            step = result["steps"][str(BATCH)]
            times = f"{1e3 * step:8.2f} ms a step, {first / step:.2f} x one process"
            if "all_reduce_1" in result:
                times += f"; all-reduce of 4 bytes {1e3 * result['all_reduce_1']:.2f} ms, "
                times += f"of 4 MB {1e3 * result['all_reduce_1000000']:.2f} ms"
            print(f"  measured on this host, {size} processes: {times}")
        for link, by_hosts in found["predicted"].items():
            gains = ", ".join(f"{hosts}: {found['single'][1] / step:.2f}" for hosts, step in by_hosts.items())
            print(f"  the model, speedup by hosts over {link}: {gains}")


if __name__ == "__main__":
    worker() if "--worker" in sys.argv else main()

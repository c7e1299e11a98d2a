"""Training speed of ``layercli``, compared with ``model.fit(x, y)`` and, if torch is installed, with a PyTorch loop.

    python benchmarks/train_speed.py [--rounds 3] [--seconds 2] [MODEL ...]

For each of eight models all contenders take turns, round after round, in one process on one set of arrays in memory; a
turn is as many epochs as take about ``--seconds``, after one that is not counted. ``best`` is what was reached by hand, as a
ratio to plain, on the machine where the aims were set. ``share`` is the floating-point operations of the layers per second
of processor time, forward and backward, as a part of those of a product of two large matrices. At the end: a short training,
start to end, as two processes.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

HERE = Path(__file__).resolve().parent
RELU = {"activation": "relu"}
HEAD = {"type": "Dense", "units": 10, "activation": "softmax"}


def dense(units):
    return {"type": "Dense", "units": units, **RELU}


NORMED = ["BatchNormalization", {"type": "Dropout", "rate": 0.3}]
MODELS = {
    # name: (shape of an example, batch size, examples, layers, best ratio by hand)
    "dense 13-32-10": ([13], 32, 32_000, [dense(32)], 1_038_000 / 28_400),
    "dense 784-128-10": ([784], 32, 9_600, [dense(128)], 157_000 / 16_600),
    "dense 784-512x3-10": (
        [784],
        128,
        5_120,
        [dense(512), *NORMED, dense(512), *NORMED, dense(512), *NORMED],
        15_000 / 10_800,
    ),
    "LSTM(64) on 64x16": ([64, 16], 32, 1_600, [{"type": "LSTM", "units": 64}], 5_000 / 2_700),
    "Embedding, BiLSTM(32)": (
        [40],
        32,
        1_600,
        [
            {"type": "Embedding", "input_dim": 1000, "output_dim": 32},
            {"type": "Bidirectional", "layer": {"type": "LSTM", "units": 32}},
        ],
        6_100 / 2_450,
    ),
    "Conv1D(64) on 128x16": (
        [128, 16],
        32,
        3_200,
        [
            {"type": "Conv1D", "filters": 64, "kernel_size": 3, **RELU},
            "GlobalMaxPooling1D",
        ],
        19_000 / 9_600,
    ),
    "Conv2D(32) on 8x8x1": (
        [8, 8, 1],
        32,
        9_600,
        [
            {"type": "Conv2D", "filters": 32, "kernel_size": 3, **RELU},
            "Flatten",
        ],
        94_000 / 22_800,
    ),
    "CNN on 28x28x1": (
        [28, 28, 1],
        32,
        960,
        [
            {"type": "Conv2D", "filters": 32, "kernel_size": 3, **RELU},
            "MaxPooling2D",
            {"type": "Conv2D", "filters": 64, "kernel_size": 3, **RELU},
            "MaxPooling2D",
            "Flatten",
        ],
        3_400 / 2_440,
    ),
}
LONG = 100_000
"""Epochs of the training that layercli plans for: what is measured is a stretch of it."""


def arrays(name):
    shape, _, samples, _, _ = MODELS[name]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 1000, (samples, *shape)) if "Embedding" in name else rng.random((samples, *shape))
    return x.astype("float32"), rng.integers(0, 10, samples)


def config(name, place, *, epochs):
    shape, batch_size, _, layers, _ = MODELS[name]
    x, y = arrays(name)
    np.savez(place / "data.npz", x=x, y=y)
    document = {
        "data": {"type": "npz", "path": str(place / "data.npz"), "features": "x", "target": "y"},
        "model": {"input": shape, "layers": [*layers, HEAD]},
        "train": {
            "epochs": epochs,
            "batch_size": batch_size,
            "optimizer": "Adam",
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        },
    }
    path = place / "config.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def plain(name):
    """Return an epoch of a script written by hand."""
    import keras

    from layercli import api

    _, batch_size, _, _, _ = MODELS[name]
    x, y = arrays(name)
    with tempfile.TemporaryDirectory() as place:
        model = api.build(config(name, Path(place), epochs=1))
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return lambda: model.fit(x, y, batch_size=batch_size, verbose=0)


def ours(name):
    """Return an epoch of the loop of ``layercli train``, executed as in a long training, its plan and its operations."""
    from layercli import api
    from layercli.engine.assemble import assemble_model
    from layercli.engine.training.compile import compile_model
    from layercli.engine.training.execution_plan import plan_execution
    from layercli.engine.training.feed import make_feed
    from layercli.engine.training.loop import Position, TrainingLoop

    with tempfile.TemporaryDirectory() as place:
        valid = api.load(config(name, Path(place), epochs=LONG))
        from layercli.formats.registry import load_dataset

        part = load_dataset(valid.config.data).split(valid.config.data.split, seed=0, shuffle=True).train
        model = assemble_model(valid).model
        compile_model(model, valid.config.train, valid)
        chosen = plan_execution(valid, part)
        feed = make_feed(part, valid.config.train.batch_size, stream=chosen.feed == "stream")
    loop = TrainingLoop(
        model, feed, max_steps_per_call=chosen.steps_per_execution, seed=0, jit_compile=chosen.jit_compile
    )
    epochs = iter(range(LONG))

    def epoch():
        number = next(epochs)
        loop.run([], epochs=number + 1, start=Position(number, 0))

    operations = (
        3 * valid.shapes.flops * MODELS[name][2]
    )  # the backward pass takes twice as many as the forward pass
    return epoch, chosen, operations


def pytorch(name):
    """Return an epoch of a loop in PyTorch, if it is installed and the model has only dense layers."""
    try:
        import torch
    except ImportError:
        return None
    shape, batch_size, samples, layers, _ = MODELS[name]
    if any(not isinstance(layer, dict) or layer["type"] != "Dense" for layer in layers):
        return None
    sizes = [shape[0], *(layer["units"] for layer in layers)]
    stack = []
    for before, after in itertools.pairwise(sizes):
        stack += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    model = torch.nn.Sequential(*stack, torch.nn.Linear(sizes[-1], 10))
    optimizer, loss = torch.optim.Adam(model.parameters()), torch.nn.CrossEntropyLoss()
    x, y = (torch.from_numpy(array) for array in arrays(name))

    def epoch():
        for rows in torch.randperm(samples).split(batch_size):
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()

    return epoch


def rate(epoch, samples, seconds):
    """Return examples per second, measured for about so many seconds in whole epochs."""
    done, began = 0, time.perf_counter()
    while (taken := time.perf_counter() - began) < seconds:
        epoch()
        done += samples
    return done / taken


def operations_per_second(run, operations):
    """Return the operations per second of processor time of all threads."""
    began = time.process_time()
    run()
    return operations / (time.process_time() - began)


def make_large_product():
    """Return a function that multiplies matrices, and its number of operations."""
    import tensorflow as tf

    size, times = 1024, 20
    matrix = tf.ones((size, size))
    return lambda: [tf.matmul(matrix, matrix) for _ in range(times)], 2 * size**3 * times


def compare(name, rounds, seconds):
    samples = MODELS[name][2]
    epoch, chosen, operations = ours(name)
    contenders = {"plain": plain(name), "ours": epoch, "torch": pytorch(name)}
    contenders = {who: run for who, run in contenders.items() if run is not None}
    for run in contenders.values():
        run()
    product, product_operations = make_large_product()
    product()
    share = statistics.median(
        operations_per_second(epoch, operations) / operations_per_second(product, product_operations)
        for _ in range(5 * rounds)
    )
    rates = [{who: rate(run, samples, seconds) for who, run in contenders.items()} for _ in range(rounds)]
    middle = {who: statistics.median(one[who] for one in rates) for who in contenders}
    ratio = statistics.median(one["ours"] / one["plain"] for one in rates)
    against = (
        statistics.median(one["ours"] / one["torch"] for one in rates) if "torch" in contenders else None
    )
    return middle, ratio, against, share, chosen


def short_run(rounds):
    """Compare ``layercli train`` with a script of the same training; below 1 layercli is faster."""
    command = [sys.executable, str(HERE / "end_to_end.py"), "--rounds", str(rounds)]
    subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="part of a name; all of them without")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--no-short-run", action="store_true")
    asked = parser.parse_args()
    chosen = [name for name in MODELS if not asked.models or any(part in name for part in asked.models)]
    print(
        f"{'examples per second':24}{'plain':>10}{'layercli':>12}{'ratio':>8}{'best':>7}{'torch':>8}{'share':>7}  plan"
    )
    ratios = []
    for name in chosen:
        middle, ratio, against, share, plan = compare(name, asked.rounds, asked.seconds)
        ratios.append(ratio)
        torch = "-" if against is None else f"{against:.2f}"
        xla = "XLA" if plan.jit_compile else "no XLA"
        print(
            f"{name:24}{middle['plain']:10,.0f}{middle['ours']:12,.0f}{ratio:8.2f}{MODELS[name][4]:7.2f}{torch:>8}{share:7.2f}"
            f"  {plan.steps_per_execution} steps, {xla}",
            flush=True,
        )
    print(
        f"geometric mean of {len(ratios)}: {math.exp(statistics.fmean(map(math.log, ratios))):.2f}; least {min(ratios):.2f}"
    )
    if not asked.no_short_run:
        short_run(asked.rounds)


if __name__ == "__main__":
    main()

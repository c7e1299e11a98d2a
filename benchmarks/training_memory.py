"""The estimated memory of a training step next to the measured peak, on thirteen models.

Only training steps are measured: the checkpoints and the check of the saved model in `layercli train` need more. Each model
is trained in a new process; the peak of a tiny one, which is that of Python and TensorFlow, and the size of the data are
subtracted.

python benchmarks/training_memory.py [MODEL...]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from layercli.check import check_config, require_valid
from layercli.graph.training_memory import estimate_training_memory

IDS = 5000
HEAD = [{"type": "Dense", "units": 10, "activation": "softmax"}]


def conv(dimensions: int, filters: int, size: int = 3) -> dict[str, object]:
    layer = {"type": f"Conv{dimensions}D", "filters": filters, "kernel_size": size, "padding": "same"}
    return {**layer, "activation": "relu"}


def residual_layers(blocks: int = 4) -> list[object]:
    plain = {"type": "Conv2D", "filters": 32, "kernel_size": 3, "padding": "same"}
    layers: list[object] = [{**plain, "name": "s0"}]
    for index in range(blocks):
        layers += [
            plain,
            "BatchNormalization",
            "ReLU",
            plain,
            {"type": "BatchNormalization", "name": f"n{index}"},
        ]
        layers += [
            {"type": "Add", "inputs": [f"n{index}", f"s{index}"]},
            {"type": "ReLU", "name": f"s{index + 1}"},
        ]
    return [*layers, "GlobalAveragePooling2D", *HEAD]


def transformer_layers(blocks: int = 2) -> list[object]:
    layers: list[object] = [{"type": "Embedding", "input_dim": IDS, "output_dim": 128, "name": "s0"}]
    for index in range(blocks):
        source, norm = f"s{index}", f"n{index}"
        attention = {"type": "MultiHeadAttention", "num_heads": 4, "key_dim": 32, "name": f"a{index}"}
        layers += [
            {**attention, "inputs": [source, source]},
            {"type": "Add", "inputs": [f"a{index}", source]},
        ]
        layers += [
            {"type": "LayerNormalization", "name": norm},
            {"type": "Dense", "units": 512, "activation": "gelu"},
        ]
        layers += [
            {"type": "Dense", "units": 128, "name": f"d{index}"},
            {"type": "Add", "inputs": [f"d{index}", norm]},
        ]
        layers += [{"type": "LayerNormalization", "name": f"s{index + 1}"}]
    return [*layers, "GlobalAveragePooling1D", *HEAD]


def dense(units: int) -> dict[str, object]:
    return {"type": "Dense", "units": units, "activation": "relu"}


def write_backbone(kind: str, **arguments: object) -> list[object]:
    layer = {"type": kind, "include_top": False, "weights": None, "pooling": "avg", **arguments}
    return [layer, *HEAD]


MODELS: dict[str, tuple[list[int], str, list[object], int]] = {
    "tiny": ([4], "float32", HEAD, 32),
    "dense": ([512], "float32", [*[dense(1024)] * 8, *HEAD], 8192),
    "wide dense": ([1024], "float32", [dense(8192), dense(4096), *HEAD], 64),
    "CNN": (
        [64, 64, 3],
        "float32",
        [
            conv(2, 32),
            "MaxPooling2D",
            conv(2, 64),
            "MaxPooling2D",
            conv(2, 128),
            "GlobalAveragePooling2D",
            *HEAD,
        ],
        256,
    ),
    "residual": ([32, 32, 3], "float32", residual_layers(), 256),
    "Conv1D": (
        [1024, 16],
        "float32",
        [
            *(conv(1, 64, 5), conv(1, 64, 5), "MaxPooling1D", conv(1, 128, 5)),
            *({"type": "Dropout", "rate": 0.2}, "GlobalMaxPooling1D", *HEAD),
        ],
        256,
    ),
    "LSTM": (
        [64, 32],
        "float32",
        [{"type": "LSTM", "units": 128, "return_sequences": True}, {"type": "LSTM", "units": 128}, *HEAD],
        1024,
    ),
    "Embedding, GRU": (
        [64],
        "int32",
        [{"type": "Embedding", "input_dim": 20000, "output_dim": 128}, {"type": "GRU", "units": 128}, *HEAD],
        1024,
    ),
    "transformer": ([128], "int32", transformer_layers(), 128),
    "LoRA": (
        [4096],
        "float32",
        [{**dense(8192), "lora_rank": 8}, {**dense(4096), "lora_rank": 8}, *HEAD],
        64,
    ),
    "MobileNetV2": ([96, 96, 3], "float32", write_backbone("MobileNetV2"), 64),
    "ResNet50": ([64, 64, 3], "float32", write_backbone("ResNet50"), 64),
    "EfficientNetB0": ([64, 64, 3], "float32", write_backbone("EfficientNetB0"), 64),
    "frozen MobileNetV2": ([96, 96, 3], "float32", write_backbone("MobileNetV2", trainable=False), 64),
}  # shape, dtype, layers, batch size


def write_files(folder: Path, name: str) -> int:
    """Write the config of a model and data of two batches; return the bytes of the data."""
    shape, dtype, layers, batch_size = MODELS[name]
    rng, count = np.random.default_rng(0), 2 * batch_size
    x = (
        rng.integers(0, IDS, (count, *shape), np.int32)
        if dtype == "int32"
        else rng.random((count, *shape), np.float32)
    )
    y = np.arange(count) % 10
    np.savez(folder / "data.npz", x=x, y=y)
    model = {"input": {"shape": shape, "dtype": dtype}, "layers": layers}
    loss = "sparse_categorical_crossentropy"
    train = {"epochs": 2, "batch_size": batch_size, "optimizer": "Adam", "loss": loss}
    data = {"type": "npz", "path": "data.npz", "features": "x", "target": "y"}
    config = {"data": data, "model": model, "train": train}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return x.nbytes + y.nbytes


def measure_training(name: str) -> tuple[float, float]:
    """Return the peak without the data, and the estimate, both in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        data_bytes = write_files(Path(folder), name)
        valid = require_valid(check_config(str(Path(folder) / "config.yaml"), ()))
        assert valid.config.train is not None
        memory = estimate_training_memory(valid.shapes, valid.config.train)
        assert memory is not None
        process = subprocess.Popen([sys.executable, __file__, "--steps"], cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        return usage.ru_maxrss / 1024 - data_bytes / 2**20, memory.total / 2**20


def run_steps() -> None:
    """Train config.yaml for two epochs, without checkpoints."""
    from layercli.engine.training.compile import compile_model
    from layercli.engine.training.feed import make_feed
    from layercli.engine.training.loop import TrainingLoop
    from layercli.engine.training.paired_augmentation import make_training_step
    from layercli.reports.training_progress import SilentProgress
    from layercli.workflows.training_run import load_training_inputs

    inputs = load_training_inputs(
        require_valid(check_config("config.yaml", ())),
        SilentProgress(),
        should_load_weights=False,
        trust=False,
    )
    valid, train, examples = inputs.valid, inputs.valid.config.train, inputs.splits.train
    assert train is not None
    compile_model(inputs.assembled.model, train, valid)
    loop = TrainingLoop(
        inputs.assembled.model,
        make_feed(examples, train.batch_size, stream=False),
        max_steps_per_call=2,
        seed=0,
        validation=None,
        jit_compile=False,
        checkpoint_every=None,
        last_step=None,
        workers=None,
        train_step=make_training_step(inputs.assembled, valid, examples),
    )
    loop.run([], epochs=2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", help=f"of {', '.join(MODELS)}; all by default")
    parser.add_argument("--steps", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps:
        run_steps()
        return
    names = options.models or [name for name in MODELS if name != "tiny"]
    tiny, _ = measure_training("tiny")
    print(f"{'model':16}{'measured':>10}{'estimated':>11}{'difference':>12}")
    for name in names:
        peak, estimated = measure_training(name)
        measured = peak - tiny
        print(
            f"{name:16}{measured:6,.0f} MiB{estimated:7,.0f} MiB{estimated / measured - 1:+12.0%}", flush=True
        )


if __name__ == "__main__":
    main()

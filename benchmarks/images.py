"""Reading image files: layercli's reader compared with Keras's loader, which decodes with TensorFlow.

Both read the same files, scale them to the same size and return arrays in memory. Keras decodes the files again in each
pass. layercli decodes them once: if they fit into memory, all are in an array before the training; if not, its first pass,
which checks the data before the training, decodes them and keeps them in a temporary file for the epochs.
Passes of all take turns, and the ratios are taken for each turn. Processor time does not depend on other processes.

python benchmarks/images.py [--rounds 5] [--seconds 1.0] [--case jpg-500x375-224x224]...
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

BATCH = 32
CASES = {  # suffix, (width, height) of the files, (height, width) to which they are scaled, files
    "jpg-32x32": ("jpg", (32, 32), (32, 32), 2000),
    "jpg-256x256": ("jpg", (256, 256), (256, 256), 600),
    "jpg-256x256-128x128": ("jpg", (256, 256), (128, 128), 600),
    "jpg-500x375-128x128": ("jpg", (500, 375), (128, 128), 300),
    "jpg-500x375-224x224": ("jpg", (500, 375), (224, 224), 300),
    "jpg-2000x1500-224x224": ("jpg", (2000, 1500), (224, 224), 32),
    "png-32x32": ("png", (32, 32), (32, 32), 2000),
    "png-256x256": ("png", (256, 256), (256, 256), 300),
    "png-256x256-128x128": ("png", (256, 256), (128, 128), 300),
    "png-2000x1500-224x224": ("png", (2000, 1500), (224, 224), 16),
}


def write_images(folder: Path, suffix: str, width: int, height: int, count: int) -> None:
    """Write images like photographs, smooth with some noise, in two classes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / ("even" if number % 2 else "odd") / f"{number:05}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 255, (max(height // 12, 3), max(width // 12, 3), 3), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        pixels = np.asarray(smooth) + rng.normal(0, 4, (height, width, 1))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def measure_case(name: str, rounds: int) -> None:
    import keras

    from layercli.config.data.section import DATA_TYPES
    from layercli.data.examples import ShuffleSeed
    from layercli.formats.registry import load_dataset

    suffix, (width, height), size, count = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), suffix, width, height, count)
        section = DATA_TYPES.parse({"type": "images", "path": folder, "size": list(size), "channels": 3})
        too_little = count * size[0] * size[1]
        theirs = keras.utils.image_dataset_from_directory(
            folder, image_size=size, batch_size=BATCH, seed=1, verbose=False
        )
        seconds: dict[str, list[tuple[float, float]]] = {}
        for turn in range(rounds + 1):
            streamed = load_dataset(section, memory=too_little)
            passes: dict[str, Callable[[], int]] = {
                "keras": lambda: sum(len(labels) for _, labels in theirs),
                "in memory": lambda: len(load_dataset(section, memory=1 << 40)),
                "first pass": lambda: sum(map(len, streamed.batches(BATCH, shuffle=ShuffleSeed(1, 0)))),  # noqa: B023
                "epoch": lambda: sum(map(len, streamed.batches(BATCH, shuffle=ShuffleSeed(1, 1)))),  # noqa: B023
            }
            for kind, run in passes.items():
                began, began_process = time.perf_counter(), time.process_time()
                assert run() == count
                if turn:  # the first passes warm up
                    taken = time.perf_counter() - began, time.process_time() - began_process
                    seconds.setdefault(kind, []).append(taken)
    for kind, times in seconds.items():
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        ratios = [
            statistics.median(
                other[index] / own[index] for own, other in zip(times, seconds["keras"], strict=True)
            )
            for index in range(2)
        ]
        print(
            f"{name:24}{kind:12}{count / medians[0]:9,.0f} images/s ({ratios[0]:5.2f}), "
            f"{medians[1] / count * 1e6:9,.0f} us of processor time per image ({ratios[1]:5.2f})",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", action="append", choices=CASES)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print("in brackets: times Keras's loader")
    for name in options.case or CASES:
        measure_case(name, options.rounds)


if __name__ == "__main__":
    main()

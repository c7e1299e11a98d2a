"""Images per second from a folder of JPEG files: layercli's reader compared with Keras's, which decodes with TensorFlow.

Both read the same files, scale them to the same size and return shuffled batches as arrays in memory. Keras decodes the files
again in each pass. layercli keeps the decoded images in a temporary file if they do not fit into memory: its first pass,
which checks the data before the training, decodes them, and the epochs of the training read them from there. Passes of
all take turns, and the ratios are taken for each turn.

python benchmarks/images.py [--images 2000] [--rounds 5] [--width 320]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZE, BATCH = (160, 160), 32


def write(folder: Path, images: int, width: int = 320) -> None:
    """Write images like photographs: smooth noise, 4 wide to 3 high, in two classes."""
    rng = np.random.default_rng(0)
    for number in range(images):
        path = folder / ("even" if number % 2 else "odd") / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8))
        coarse.resize((width, width * 3 // 4), Image.Resampling.BICUBIC).save(path, quality=90)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=320)
    options = parser.parse_args()
    import keras

    from layercli.config.data.section import DATA_TYPES
    from layercli.data.examples import ShuffleSeed
    from layercli.formats.registry import load_dataset

    with tempfile.TemporaryDirectory() as name:
        write(Path(name), options.images, options.width)
        section = DATA_TYPES.parse({"type": "images", "path": name, "size": list(SIZE), "channels": 3})
        memory = options.images * SIZE[0] * SIZE[1] * 4  # too little to keep the decoded images
        theirs = keras.utils.image_dataset_from_directory(
            name, image_size=SIZE, batch_size=BATCH, seed=1, verbose=False
        )
        seconds: dict[str, list[float]] = {"layercli, first pass": [], "layercli, epochs": [], "keras": []}
        for turn in range(options.rounds + 1):
            ours = load_dataset(section, memory=memory)
            passes = {
                "layercli, first pass": lambda: sum(
                    map(len, ours.batches(BATCH, shuffle=ShuffleSeed(1, 0)))  # noqa: B023 - called in this turn
                ),
                "layercli, epochs": lambda: sum(
                    map(len, ours.batches(BATCH, shuffle=ShuffleSeed(1, 1)))  # noqa: B023
                ),
                "keras": lambda: sum(len(labels) for _, labels in theirs),
            }
            for kind, run in passes.items():
                began = time.perf_counter()
                assert run() == options.images
                if turn:  # the first passes warm up
                    seconds[kind].append(time.perf_counter() - began)
    for kind, times in seconds.items():
        ratios = [keras / own for own, keras in zip(times, seconds["keras"], strict=True)]
        print(
            f"{kind:21}{options.images / statistics.median(times):9,.0f} images/s, "
            f"{statistics.median(ratios):.2f} times Keras ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()

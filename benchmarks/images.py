"""Images per second from a folder of JPEG files: layercli's reader compared with Keras's, which decodes with TensorFlow.

Both read the same files again in each pass, scale them to the same size and return shuffled batches as arrays in memory.
Passes of both take turns, and the ratio is taken for each turn.

python benchmarks/images.py [--images 2000] [--rounds 5]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZE, BATCH = (160, 160), 32


def write(folder: Path, images: int) -> None:
    """Write images like photographs: smooth noise of 240 by 320 pixels, in two classes."""
    rng = np.random.default_rng(0)
    for number in range(images):
        path = folder / ("even" if number % 2 else "odd") / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8))
        coarse.resize((320, 240), Image.Resampling.BICUBIC).save(path, quality=90)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    import keras

    from layercli.config.data.section import DATA_TYPES
    from layercli.data.examples import ShuffleSeed
    from layercli.formats.registry import load_dataset

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, options.images)
        source = load_dataset(
            DATA_TYPES.parse({"type": "images", "path": name, "size": list(SIZE), "channels": 3}), memory=1
        )
        theirs = keras.utils.image_dataset_from_directory(
            name, image_size=SIZE, batch_size=BATCH, seed=1, verbose=False
        )

        def ours_pass(turn: int) -> int:
            return sum(len(batch) for batch in source.batches(BATCH, shuffle=ShuffleSeed(1, turn)))

        def their_pass(turn: int) -> int:  # noqa: ARG001 - it shuffles by itself
            return sum(len(labels) for _, labels in theirs)

        seconds: dict[str, list[float]] = {"layercli": [], "keras": []}
        for turn in range(options.rounds + 1):
            for kind, run in (("layercli", ours_pass), ("keras", their_pass)):
                began = time.perf_counter()
                assert run(turn) == options.images
                if turn:  # the first pass of each warms it up
                    seconds[kind].append(time.perf_counter() - began)
    for kind, times in seconds.items():
        print(f"{kind:9}{options.images / statistics.median(times):8,.0f} images/s")
    ratios = [theirs / ours for ours, theirs in zip(seconds["layercli"], seconds["keras"], strict=True)]
    print(
        f"layercli gives {statistics.median(ratios):.2f} times as many ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()

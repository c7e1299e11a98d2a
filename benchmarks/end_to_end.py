"""Time of ``layercli build`` and ``train``, compared with a Keras script that does the same.

    python benchmarks/end_to_end.py

Each pair is run in turn, several times over; the ratios are taken round by round, of seconds and of processor time.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
CONFIG = str(HERE.parent / "configs" / "digits_cnn.yaml")
SCRIPT = [sys.executable, str(HERE / "plain_script.py")]
LAYERCLI = [str(Path(sys.executable).with_name("layercli"))]
LSTM_CONFIG = """
data: {type: npz, path: sequences.npz, features: x, target: y}
model: {input: [64, 16], layers: [{type: LSTM, units: 64}, {type: Dense, units: 10, activation: softmax}]}
train: {epochs: 5, batch_size: 32, optimizer: Adam, loss: sparse_categorical_crossentropy, metrics: [accuracy]}
"""


def list_pairs(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Return the commands of layercli and the scripts that do the same; the data of some is written to a folder."""
    rng = np.random.default_rng(1)
    data, config = folder / "sequences.npz", folder / "lstm.yaml"
    np.savez(data, x=rng.random((4000, 64, 16), dtype="float32"), y=rng.integers(0, 10, 4000))
    config.write_text(LSTM_CONFIG)
    return {
        "build": ([*LAYERCLI, "build", CONFIG], [*SCRIPT, "--build"]),
        "train, 20 epochs": ([*LAYERCLI, "train", CONFIG, "--set", "train.callbacks.0.patience=20"], SCRIPT),
        "train LSTM, 5 epochs": (
            [*LAYERCLI, "train", str(config)],
            [sys.executable, str(HERE / "plain_lstm.py"), str(data)],
        ),
    }


def measure(command: list[str]) -> tuple[float, float]:
    """Return the seconds of a command, and its processor time."""
    with tempfile.TemporaryDirectory() as place:
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - began, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{'median of ' + str(rounds) + ' runs':20} {'layercli':>9} {'script':>9} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name, (ours, theirs) in list_pairs(Path(folder)).items():
            measure(ours), measure(theirs)  # the first run fills the file cache
            taken = [(measure(ours), measure(theirs)) for _ in range(rounds)]
            for index, kind in enumerate(("", " processor")):
                pairs = [(a[index], b[index]) for a, b in taken]
                ratio = statistics.median(a / b for a, b in pairs)
                a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
                print(f"{name if not index else kind:20} {a:7.2f} s {b:7.2f} s {ratio:7.2f}", flush=True)


if __name__ == "__main__":
    main()

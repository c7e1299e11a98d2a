"""Time of ``layercli build`` and ``train``, compared with a Keras script that does the same.

    python benchmarks/end_to_end.py

Each pair is run in turn, several times over; the ratios are taken round by round.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = str(HERE.parent / "configs" / "digits_cnn.yaml")
SCRIPT = [sys.executable, str(HERE / "plain_script.py")]
LAYERCLI = [str(Path(sys.executable).with_name("layercli"))]
PAIRS = {
    "build": ([*LAYERCLI, "build", CONFIG], [*SCRIPT, "--build"]),
    "train, 20 epochs": ([*LAYERCLI, "train", CONFIG, "--set", "train.callbacks.0.patience=20"], SCRIPT),
}


def seconds(command: list[str]) -> float:
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        subprocess.run(command, check=True, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{'median of ' + str(rounds) + ' runs':20} {'layercli':>9} {'script':>9} {'ratio':>7}")
    for name, (ours, theirs) in PAIRS.items():
        seconds(ours), seconds(theirs)  # the first run fills the file cache
        taken = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
        ratio = statistics.median(a / b for a, b in taken)
        a, b = (statistics.median(column) for column in zip(*taken, strict=True))
        print(f"{name:20} {a:7.2f} s {b:7.2f} s {ratio:7.2f}")


if __name__ == "__main__":
    main()

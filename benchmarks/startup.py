"""Time until layercli answers, compared with ``python -c "import keras"`` on the same machine.

    python benchmarks/startup.py

Every command is run in turn, several times over, so that a machine whose speed drifts slows all of them alike; the
figures are medians of whole processes, and the ratios are taken round by round.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "digits_cnn.yaml"
LAYERCLI = [str(Path(sys.executable).with_name("layercli"))]
COMMANDS = {
    "import keras": [sys.executable, "-c", "import keras"],
    "layercli --help": [*LAYERCLI, "--help"],
    "layercli validate": [*LAYERCLI, "validate", str(CONFIG)],
    "layercli inspect-shapes --static": [*LAYERCLI, "inspect-shapes", "--static", str(CONFIG)],
}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    place = (
        tempfile.gettempdir()
    )  # not the checkout, where Python would find the package before the installed one
    subprocess.run(command, check=True, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for command in COMMANDS.values():
        seconds(command)  # the first run fills the file cache
    taken = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            taken[name].append(seconds(command))
    keras = taken["import keras"]
    print(f"{'median of ' + str(rounds) + ' runs':34} {'seconds':>8} {'of import keras':>16}")
    for name, values in taken.items():
        ratio = statistics.median(value / base for value, base in zip(values, keras, strict=True))
        print(f"{name:34} {statistics.median(values):8.2f} {ratio:16.3f}")


if __name__ == "__main__":
    main()

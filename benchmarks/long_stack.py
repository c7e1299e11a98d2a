"""Time of a check of stacks of many layers: it must grow in proportion to their number.

    python benchmarks/long_stack.py

Each size is checked in a separate process, import included; figures are the best of several rounds.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

SIZES = (1250, 2500, 5000)
STACKS = {
    "Dense": ("[64]", ["{type: Dense, units: 64, activation: relu}"]),
    "residual-free CNN": (
        "[32, 32, 3]",
        [
            "{type: Conv2D, filters: 16, kernel_size: 3, padding: same, use_bias: false}",
            "BatchNormalization",
            "{type: ReLU}",
            "{type: SpatialDropout2D, rate: 0.1}",
        ],
    ),
    "Bidirectional LSTM": (
        "[20, 8]",
        ["{type: Bidirectional, layer: {type: LSTM, units: 4, return_sequences: true}}"],
    ),
    "a mistake on every layer": ("[64]", ["{type: Dense, unit: 64}"]),
}
TIMED = """
import sys, time
began = time.perf_counter()
from layercli.check import check_config
check_config(sys.argv[1])
print(time.perf_counter() - began)
"""


def config(shape: str, layers: list[str], size: int) -> str:
    """Return a stack of ``size`` layers, the given ones in turn."""
    listed = "\n".join(f"    - {layers[index % len(layers)]}" for index in range(size))
    return f"model:\n  input: {shape}\n  layers:\n{listed}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"{'seconds for':26} " + " ".join(f"{size:>8,}" for size in SIZES) + "   5,000 / 1,250")
    with tempfile.TemporaryDirectory() as folder:
        for name, (shape, layers) in STACKS.items():
            best = []
            for size in SIZES:
                path = Path(folder) / "stack.yaml"
                path.write_text(config(shape, layers, size))
                command = [sys.executable, "-c", TIMED, str(path)]
                runs = [float(subprocess.check_output(command)) for _ in range(rounds)]
                best.append(min(runs))
            print(
                f"{name:26} " + " ".join(f"{value:8.2f}" for value in best) + f"   {best[-1] / best[0]:8.2f}"
            )


if __name__ == "__main__":
    main()

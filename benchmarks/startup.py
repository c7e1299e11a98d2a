"""Time until layercli answers, compared with ``python -c "import keras"`` on the same machine.

    python benchmarks/startup.py

Every command is run in turn, several times over, so that a machine whose speed drifts slows all of them alike. The figures
are medians of whole processes: seconds on the clock, and of processor time, which other programs disturb less. The ratios are
those of processor time, taken round by round. "the libraries" are the parts of other packages that ``validate`` needs.
"""

import argparse
import resource
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
    "the libraries": [sys.executable, "-c", "import pydantic.main, rich.console, typer, yaml"],
    "layercli --help": [*LAYERCLI, "--help"],
    "layercli validate": [*LAYERCLI, "validate", str(CONFIG)],
    "layercli inspect-shapes --static": [*LAYERCLI, "inspect-shapes", "--static", str(CONFIG)],
}


def measure_command(command: list[str]) -> tuple[float, float]:
    """Return the seconds on the clock and of processor time that a command takes."""
    # Not in the checkout, where Python would find the package before the installed one.
    place = tempfile.gettempdir()
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for command in COMMANDS.values():
        measure_command(command)  # the first run fills the file cache
    taken = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            taken[name].append(measure_command(command))
    keras = [used for _, used in taken["import keras"]]
    print(f"{'median of ' + str(rounds) + ' runs':34} {'clock':>8} {'CPU':>8} {'of import keras':>16}")
    for name, values in taken.items():
        clock, used = ([pair[index] for pair in values] for index in (0, 1))
        ratio = statistics.median(value / base for value, base in zip(used, keras, strict=True))
        print(f"{name:34} {statistics.median(clock):8.2f} {statistics.median(used):8.2f} {ratio:16.3f}")


if __name__ == "__main__":
    main()

"""How long ``layercli validate`` takes, and how much memory, on files made to hang it or to fill the machine.

python benchmarks/hostile_files.py [NAME...]
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = "model: {input: [4], layers: [Flatten]}\n"


def stack(layer: str, count: int, shape: str = "[4]") -> str:
    """A config with the same line of a layer again and again; ``{n}`` in it is its number."""
    lines = "".join(f"    - {layer.replace('{n}', str(n))}\n" for n in range(count))
    return f"model:\n  input: {shape}\n  layers:\n{lines}"


FILES = {
    "malformed layers": stack("{type: Dense, unit: {n}, activatoin: relu}", 9000),
    "unknown types": stack("{type: Dens{n}, units: 3}", 9000),
    "unknown names": stack("{type: Dense, units: 3, inputs: nolayer{n}}", 9000),
    "one name for all": stack("{type: Dense, units: 3, name: a}", 9000),
    "shapes that do not fit": stack("{type: Conv2D, filters: 3, kernel_size: 3}", 9000),
    "sound layers": stack("{type: Conv2D, filters: 3, kernel_size: 3, padding: same}", 10_000, "[8, 8, 1]"),
    "sound wrappers": stack(
        "{type: Bidirectional, layer: {type: LSTM, units: 3, return_sequences: true}}", 10_000, "[8, 4]"
    ),
    "a repeat": "model: {input: [4], layers: [{type: Dense, units: 3, repeat: 10000}]}\n",
    "a wrong repeat": "model: {input: [4], layers: [{type: Dense, unitss: 3, repeat: 10000}]}\n",
    "wrong blocks": "blocks: {b: {layers: [{type: Dense, unitss: 3}, {type: Conv2D, filters: 3}]}}\n"
    "model: {input: [4], layers: [{block: b, repeat: 5000}]}\n",
    "a long list": "model: {input: [4], layers: [" + "1, " * 190_000 + "]}\n",
    "a long argument": "model: {input: [4], layers: [{type: Reshape, target_shape: ["
    + "1, " * 190_000
    + "]}]}\n",
    "unknown keys": MODEL + "".join(f"key{n}: 1\n" for n in range(75_000)),
    "unknown arguments": "model: {input: [4], layers: [{type: Dense, units: 3, "
    + ", ".join(f"k{n}: 1" for n in range(90_000))
    + "}]}\n",
    "variables": "vars: {"
    + ", ".join(f'v{n}: "${{v{n - 1}}}"' if n % 90 else f"v{n}: 1" for n in range(40_000))
    + "}\n"
    + MODEL,
    "unknown variables": "name: '" + "${a}" * 200_000 + "'\n" + MODEL,
    "unknown outputs": "model:\n  input: [4]\n  layers: [Flatten]\n  outputs: [" + "b, " * 90_000 + "]\n",
    "a long line": "name: '" + "a" * 1_000_000 + "'\n" + MODEL,
    "empty lines": "\n" * 1_000_000 + MODEL,
    "aliases": "a: &a [" + "1, " * 400 + "]\nb: [" + "*a, " * 480 + "]\n" + MODEL,
    "brackets": "[" * 500_000,
}


def measure(text: str) -> tuple[float, int, str]:
    """Seconds, the most memory in MiB, and the last line that it printed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(text)
        begun = time.perf_counter()
        command = [sys.executable, "-m", "layercli", "validate", str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        said = process.stdout.read().strip().splitlines()
        usage = os.wait4(process.pid, 0)[2]
        return time.perf_counter() - begun, usage.ru_maxrss >> 10, said[-1]


def main() -> None:
    for name, text in FILES.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            seconds, memory, said = measure(text)
            print(f"{name:24} {len(text) >> 10:5} KiB {seconds:5.2f} s {memory:4} MiB  {said}", flush=True)


if __name__ == "__main__":
    main()

"""Measure the time and memory of ``layercli validate`` on files that are made to stop it or to fill the memory.

The commands that print every layer are also measured on long models, and ``inspect-shapes`` on models that cost much to run.

python benchmarks/hostile_files.py [NAME...]
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

MODEL = "model: {input: [4], layers: [Flatten]}\n"


def stack(layer: str, count: int, shape: str = "[4]") -> str:
    """Return a config that repeats the line of a layer; ``{n}`` in it is its number."""
    lines = "".join(f"    - {layer.replace('{n}', str(n))}\n" for n in range(count))
    return f"model:\n  input: {shape}\n  layers:\n{lines}"


def many(name: str, count: int) -> str:
    """Return a mapping of so many keys."""
    return "{" + ", ".join(f"{name}{n}: 1" for n in range(count)) + "}"


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
    "names of columns": "data: {type: csv, path: d.csv, target: y, columns: ["
    + ", ".join(f"c{n}" for n in range(60_000))
    + "]}\n"
    + MODEL,
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
    "merge keys": f"a: &a {many('k', 16_000)}\nb:\n" + "  <<: *a\n" * 50_000 + MODEL,
    "lists of merges": f"a: &a {many('k', 16_000)}\nb: {{<<: [" + "*a, " * 190_000 + f"]}}\n{MODEL}",
    "a chain of variables": "vars:\n  v0: 1\n"
    + "".join(f"  v{n}: '${{v{n - 1}}}'\n" for n in range(1, 40_000))
    + MODEL,
    "a long string": "vars: {a: " + "b" * 9000 + "}\nname: '" + "${a}" * 220_000 + "'\n" + MODEL,
    "many long strings": "vars: {a: " + "b" * 9000 + "}\nz: [" + "'x${a}', " * 100_000 + "]\n" + MODEL,
    "many unknown variables": f"vars: {many('var', 30_000)}\nz: '"
    + "".join(f"${{vra{n}}}" for n in range(50_000))
    + f"'\n{MODEL}",
    "unknown blocks": "blocks: {"
    + ", ".join(f"b{n}: {{layers: [Flatten]}}" for n in range(9000))
    + "}\n"
    + stack("{block: c{n}}", 9000),
    "repeated parameters": f"blocks: {{b: {{params: {many('p', 20_000)}, layers: [Flatten]}}}}\n"
    + stack("{block: b}", 9000),
    "inputs that double": "blocks: {"
    + ", ".join(f"b{n}: {{layers: [{{block: b{n + 1}, inputs: [input, input]}}]}}" for n in range(45))
    + ", b45: {layers: [Add]}}\nmodel: {input: [4], layers: [Flatten, {block: b0, inputs: [flatten, flatten]}]}\n",
    "inputs that multiply": "blocks: {b0: {layers: [{block: b1, inputs: ["
    + "input, " * 50_000
    + "]}]}, b1: {layers: [Add]}}\nmodel: {input: [4], layers: [Flatten, {block: b0, inputs: ["
    + "flatten, " * 9_000
    + "]}]}\n",
    "missing values": "data: {type: csv, path: d.csv, target: y, missing: {values: ["
    + ", ".join(f"m{n}" for n in range(90_000))
    + "]}}\n"
    + MODEL,
    "a long layer name": "model: {input: [4], layers: [{type: Dense, units: 3, name: "
    + "x" * 900_000
    + ", repeat: 9000}]}\n",
    "sizes that grow": stack("{type: Concatenate, inputs: [previous, previous]}", 9000),
    "overflowing sizes": stack("{type: UpSampling2D, size: 2147483647}", 9000, "[8, 8, 1]"),
    "many outputs": "model:\n  input: [4]\n  layers:\n"
    + "".join(f"    - {{type: Dense, units: 3, name: n{n}, inputs: input}}\n" for n in range(7000))
    + "  outputs: ["
    + ", ".join(f"n{n}" for n in range(7000))
    + "]\ntrain:\n  loss: {"
    + ", ".join(f"n{n}: mse" for n in range(7000))
    + "}\n",
    "inputs of one layer": "model:\n  input: [4]\n  layers:\n    - {type: Flatten, name: i}\n    - {type: Add, inputs: ["
    + "i, " * 190_000
    + "]}\n",
    "inputs of many layers": "model:\n  input: [4]\n  layers:\n    - {type: Flatten, name: i}\n"
    + ("    - {type: Add, inputs: [" + "i, " * 55 + "]}\n") * 3000,
    "unused blocks": "blocks: {"
    + ", ".join(f"b{n}: {{layers: [{{type: Dense, units: 3}}]}}" for n in range(18_000))
    + "}\n"
    + MODEL,
    "many callbacks": MODEL
    + "train:\n  epochs: 1\n  loss: mse\n  callbacks:\n"
    + "    - {type: EarlyStopping, monitor: loss}\n" * 18_000,
    "duplicate keys": "{" + "a: 1, " * 170_000 + "}",
    "many inputs": "model:\n  inputs: "
    + many("i", 60_000).replace(": 1", ": [4]")
    + "\n  layers: [{type: Flatten, inputs: i0}]\n",
    "uses of a block": "blocks: {b: {params: {u: 3}, layers: [{type: Dense, units: '${u}'}]}}\n"
    + stack("{block: b, with: {u: 4}}", 9900),
    "crosses": "data: {type: csv, path: t.csv, target: y}\nmodel:\n  layers:\n    - {type: FeatureSpace, features: "
    + many("f", 1000).replace(": 1", ": {type: string_categorical}")
    + ", crosses: ["
    + ", ".join(f"[f{n % 1000}, f{(7 * n + 1) % 1000}]" for n in range(40_000))
    + "]}\n",
    "unknown layers to freeze": "model: {input: [4], layers: [Flatten], freeze: [" + "x, " * 180_000 + "]}\n",
    "expressions": "vars: {a: 1}\nz: [" + "'${a + 1 * 2 - (3 // 2)}', " * 33_000 + "]\n" + MODEL,
    "a long expression": "vars: {a: 1}\nz: '${" + "a + " * 220_000 + "a}'\n" + MODEL,
}
FILES["many --set"] = stack("{type: Dense, units: 3, name: a{n}}", 9900)
FILES["one vocabulary"] = (
    "model:\n  input: {shape: [1], dtype: string}\n  layers:\n    - {type: StringLookup, vocabulary: ["
    + ", ".join(f"w{number}" for number in range(110_000))
    + "]}\n"
)
RUN = {
    "a long loop": stack("{type: LSTM, units: 1}", 1, "[1000000, 1]"),
    "a large encoding": stack("{type: CategoryEncoding, num_tokens: 2000000}", 1, "[null, null, 3]"),
    "large steps of a pooling": stack(
        "{type: AdaptiveAveragePooling3D, output_size: [500000, 3, 5]}", 1, "[5, 8, 8, 3]"
    ),
    "large windows of a pooling": stack("{type: AdaptiveMaxPooling1D, output_size: 9}", 1, "[368793, 8]"),
    "a large padding": stack("{type: ZeroPadding1D, padding: [0, 500000000]}", 1, "[null, 1]"),
    "a dilated convolution": stack(
        "{type: Conv2DTranspose, filters: 1000, kernel_size: [33, 1000], dilation_rate: [3, 4096]}",
        1,
        "[null, null, 3]",
    ),
    "a high window": stack("{type: Conv2D, filters: 1, kernel_size: [128, 1]}", 1, "[128, 2000, 1]"),
    "an orthogonal initializer": stack("{type: LSTM, units: 8192}", 1, "[1, 1]"),
    "histograms": stack("{type: ContrastLimitedAdaptiveHistogramEqualization}", 1, "[1024, 1024, 3]"),
    "many texts": stack("{type: Identity}", 1, "{shape: [40000000, 3], dtype: string}").replace(
        "input: {shape: [40000000, 3], dtype: string}", "inputs: {x: {shape: [40000000, 3], dtype: string}}"
    ),
    "outputs near the limit": stack("{type: UpSampling2D, size: 2}", 1, "[4000, 4000, 1]"),
}
"""Models that cost much to run, for ``inspect-shapes``."""
OPTIONS = {
    "many --set": [f"--set=model.layers.a{n * 3}.units={n % 7 + 1}" for n in range(3000)],
}
"""More options of ``validate`` for a file."""
PRINTED = ("sound layers", "sound wrappers", "one vocabulary")
"""Files for the commands that print a complete model."""
PRINTING: dict[str, list[str]] = {"show": [], "inspect-shapes": ["--static"], "diff": []}
SECONDS, MEBIBYTES = 2.0, 300
"""The bounds for any text of at most 1 MiB."""
RUN_SECONDS, RUN_MEBIBYTES = 60.0, 3000
"""The bounds with a forward pass; importing Keras takes 5 s and 600 MiB of them."""


def measure(text: str, options: list[str], command: str = "validate") -> tuple[float, int, str]:
    """Return seconds of the processor, peak memory in MiB, and the last printed line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(text)
        paths = [str(path)] * (2 if command == "diff" else 1)
        arguments = [sys.executable, "-m", "layercli", command, *paths, *options]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        said = process.stdout.read().strip().splitlines()
        usage = os.wait4(process.pid, 0)[2]
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10, said[-1]


def report(
    name: str,
    text: str,
    command: str,
    options: list[str],
    bounds: tuple[float, int] = (SECONDS, MEBIBYTES),
) -> None:
    """Measure one command and print the result."""
    seconds, memory, said = measure(text, options, command)
    mark = "TOO MUCH" if seconds > bounds[0] or memory > bounds[1] else ""
    print(
        f"{name:24} {command:14} {len(text) >> 10:5} KiB {seconds:5.2f} s {memory:4} MiB  {said[:100]} {mark}",
        flush=True,
    )


def main() -> None:
    print(f"Bounds: {SECONDS} s of the processor, {MEBIBYTES} MiB.")
    for name, text in FILES.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            report(name, text, "validate", OPTIONS.get(name, []))
            for command, options in PRINTING.items() if name in PRINTED else ():
                report(name, text, command, options)
    print(f"Bounds of a forward pass: {RUN_SECONDS} s of the processor, {RUN_MEBIBYTES} MiB.")
    for name, text in RUN.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            report(name, text, "inspect-shapes", [], (RUN_SECONDS, RUN_MEBIBYTES))


if __name__ == "__main__":
    main()

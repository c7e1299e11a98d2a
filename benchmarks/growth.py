"""How the time of commands grows with layers, rows, runs and trials; draws a picture of it.

    python benchmarks/growth.py [--part layers rows runs trials] [--largest 10000000] [--picture docs/growth.svg]

Times are seconds of processor time in one process, the fastest of two rounds. The exponent is the slope between the two
largest sizes on logarithmic axes: 1 means that twice the size takes twice the time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.running import invoke

LAYERS = (10, 100, 1_000, 10_000)
ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
RUNS = (10, 100, 1_000, 10_000)
TRIALS = (10, 100, 1_000, 10_000)
Measured = dict[str, list[tuple[int, float]]]


def measure_seconds(work: Callable[[], object], rounds: int = 2) -> float:
    """Return the processor time of the fastest round."""
    seconds = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        seconds.append(time.process_time() - before)
        if seconds[-1] > 10:
            break
    return min(seconds)


def run_command(*arguments: object) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output[:2000]


def write_stack(path: Path, layers: int, units: int = 16) -> Path:
    """Write a residual network: every third layer adds its input."""
    lines = ["model:", "  input: [16]", "  layers:"]
    for index in range(layers):
        if index % 3 == 2:
            lines.append(f"    - {{type: Add, name: add{index}, inputs: [d{index - 1}, d{index - 2}]}}")
        else:
            lines.append(f"    - {{type: Dense, name: d{index}, units: {units}, activation: relu}}")
    path.write_text("\n".join(lines) + "\n")
    return path


def measure_layers(folder: Path, sizes: Sequence[int]) -> Iterator[tuple[str, int, float]]:
    from layercli.check import check_config, require_valid
    from layercli.errors import LayercliError
    from layercli.plot.render import render_plot
    from tests.language_server.editor import Editor

    for size in sizes:
        path = write_stack(folder / f"stack{size}.yaml", size)
        other = write_stack(folder / f"other{size}.yaml", size)
        other.write_text(other.read_text().replace("units: 16, activation: relu}", "units: 16}", size // 4))
        yield "validate", size, measure_seconds(lambda path=path: run_command("validate", path))
        yield (
            "inspect-shapes --static",
            size,
            measure_seconds(lambda path=path: run_command("inspect-shapes", path, "--static")),
        )
        yield "show", size, measure_seconds(lambda path=path: run_command("show", path))
        yield "diff", size, measure_seconds(lambda path=path, other=other: run_command("diff", path, other))
        shapes = require_valid(check_config(str(path))).shapes

        with suppress(LayercliError):  # a picture of very many layers is refused
            drawn = measure_seconds(lambda shapes=shapes: render_plot(shapes, ".svg", title="stack"))
            yield "plot", size, drawn
        editor, text = Editor(), path.read_text()
        editor.open(path)

        def edit(editor: Editor = editor, path: Path = path, text: str = text) -> None:
            editor.change(path, text.replace("units: 16", "units: 17", 1))
            editor.change(path, text)

        yield "lsp, two edits", size, measure_seconds(edit)


def measure_rows(folder: Path, sizes: Sequence[int]) -> Iterator[tuple[str, int, float]]:
    """Time to the end of the first step: reading, checking, splitting, tracing and a checkpoint."""
    import numpy as np

    for size in sizes:
        random = np.random.default_rng(1)
        x = random.random((size, 4), dtype="float32")
        np.save(folder / "x.npy", x)
        np.save(folder / "y.npy", (x.sum(axis=1) > 2).astype("int8"))
        del x
        config = folder / "rows.yaml"
        config.write_text(
            "data: {type: npy, features: x.npy, target: y.npy}\n"
            "model: {input: [4], layers: [Normalization, {type: Dense, units: 1, activation: sigmoid}]}\n"
            "train: {loss: binary_crossentropy, batch_size: 1024, until: {steps: 1}}\n"
        )

        def train(config: Path = config) -> None:
            shutil.rmtree(folder / "run", ignore_errors=True)
            run_command("train", config, "--run-dir", folder / "run", "--quiet")

        if size == sizes[0]:
            train()  # loads TensorFlow
        yield "train to its first step", size, measure_seconds(train)


def measure_runs(folder: Path, sizes: Sequence[int]) -> Iterator[tuple[str, int, float]]:
    import zipfile

    golden = Path(__file__).parents[1] / "tests/runs/golden/format-1.zip"
    with zipfile.ZipFile(golden) as archive:
        archive.extractall(folder / "golden")
    source = next(path.parent for path in (folder / "golden").rglob("manifest.json"))
    names = ("manifest.json", "summary.json", "history.jsonl", "config.yaml")
    for size in sizes:
        root = folder / f"runs{size}"
        for number in range(1, size + 1):
            target = root / str(number)
            target.mkdir(parents=True)
            for name in names:
                if (source / name).exists():
                    os.link(source / name, target / name)
        yield "runs", size, measure_seconds(lambda root=root: run_command("runs", root, "--json"))
        yield "runs, as a table", size, measure_seconds(lambda root=root: run_command("runs", root))
        for number in range(1, size + 1):  # a hostile sender: results and layers that no other run has
            summary = {"epochs": 1, "best": {}, "test": {f"m{number}_{key}": 1.0 for key in range(100)}}
            layers = [{"type": "Dense", "name": f"l{number}_{key}", "units": 1} for key in range(50)]
            for name, document in {
                "summary.json": summary,
                "config.yaml": {"model": {"layers": layers}},
            }.items():
                (root / str(number) / name).unlink(missing_ok=True)
                (root / str(number) / name).write_text(json.dumps(document))
            (root / str(number) / "manifest.json").unlink()
        wide = ("runs", root, "--format", "csv")
        yield "runs, of different keys", size, measure_seconds(lambda wide=wide: run_command(*wide))
        shutil.rmtree(root)


def measure_trials(folder: Path, sizes: Sequence[int]) -> Iterator[tuple[str, int, float]]:
    """Time of trials that end without a training: every second one is over a limit."""
    from layercli.sweep.plan import read_sweep_plan
    from layercli.sweep.results import list_trial_rows
    from layercli.sweep.study import open_study
    from layercli.sweep.trial_loop import run_worker
    from tests.running import IRIS

    (folder / "iris.yaml").write_text(IRIS)
    for size in sizes:
        file = folder / f"s{size}.yaml"
        file.write_text(
            "base: iris.yaml\n"
            "space:\n  model.layers[0].units: {int: [1, 200]}\n"
            "objective: {metric: val_accuracy, direction: maximize}\n"
            "limits: {parameters: 803}\n"
            f"sampler: {{type: RandomSampler, seed: 1}}\npruner: NopPruner\ntrials: {size // 2}\n"
        )
        directory = folder / f"sweep{size}"
        directory.mkdir()

        def sweep(file: Path = file, directory: Path = directory) -> None:
            plan = read_sweep_plan(str(file))[0]
            study = open_study(plan, directory, None, heartbeat=None)

            def train(valid: object, run: object, report: Callable[..., None]) -> None:  # noqa: ARG001
                report({"epoch": 1, "val_accuracy": 0.5, "val_loss": 0.5})

            run_worker(plan, study, directory, train, deadline=None, patience=None)
            list_trial_rows(plan, study.get_trials(deepcopy=False))

        yield "sweep, without trainings", size, measure_seconds(sweep, rounds=1)


def find_exponent(points: Sequence[tuple[int, float]]) -> float:
    """Return the slope between the two largest sizes, on logarithmic axes."""
    (small, before), (large, after) = points[-2:]
    return math.log(max(after, 1e-4) / max(before, 1e-4)) / math.log(large / small)


def draw_picture(measured: Measured, path: Path) -> None:
    """Draw all lines on logarithmic axes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "growth", "svg.fonttype": "none", "font.family": "sans-serif"}
    )
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for (name, points), style in zip(measured.items(), ("-", "--", "-.", ":") * 9, strict=False):
        axes.loglog(*zip(*points, strict=True), style, marker="o", markersize=3, label=name)
    axes.set_xlabel("layers, rows, runs or trials")
    axes.set_ylabel("seconds of processor time")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})


PARTS = {"layers": measure_layers, "rows": measure_rows, "runs": measure_runs, "trials": measure_trials}
SIZES = {"layers": LAYERS, "rows": ROWS, "runs": RUNS, "trials": TRIALS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--largest", type=int, default=10**8, help="Leave out larger sizes.")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--record", type=Path, help="A JSON file that collects the figures of several calls.")
    arguments = parser.parse_args()
    record = arguments.record
    measured: Measured = json.loads(record.read_text()) if record is not None and record.exists() else {}
    for part in arguments.part:
        sizes = [size for size in SIZES[part] if size <= arguments.largest]
        with tempfile.TemporaryDirectory() as folder:
            for name, size, seconds in PARTS[part](Path(folder), sizes):
                if size == sizes[0]:
                    measured[name] = []
                measured[name].append((size, seconds))
                print(f"{name:26} {size:>12,} {seconds:10.3f} s", flush=True)
    if record is not None:
        record.write_text(json.dumps(measured))
    for name, points in measured.items():
        print(f"{name:26} exponent {find_exponent(points):5.2f}")
    if arguments.picture is not None:
        draw_picture(measured, arguments.picture)


if __name__ == "__main__":
    main()

"""Every command answers for any damaged run: no traceback, no exit code 3, no hang."""

import json
import random
import signal

import numpy as np
import pytest

from tests.running import HANG_SECONDS, invoke, train
from tests.security.mutate import copy_run, damage_json, damage_run, list_seeds, rehash

CONFIG = """
seed: 3
data: {type: csv, path: d.csv, target: y, inputs: {t: t, n: n}, split: {validation: 0.2, test: 0.2}}
model:
  inputs: {t: {shape: [1], dtype: string}, n: [1]}
  layers:
    - {type: StringLookup, inputs: t, max_tokens: 6}
    - {type: Embedding, input_dim: 6, output_dim: 2}
    - {type: Flatten, name: words}
    - {type: Discretization, name: bins, inputs: n, num_bins: 3}
    - {type: Normalization, name: scaled, inputs: n}
    - {type: Concatenate, inputs: [words, bins, scaled]}
    - {type: Dropout, rate: 0.1}
    - {type: Dense, units: 2, activation: softmax}
train:
  epochs: 2
  loss: sparse_categorical_crossentropy
  metrics: [accuracy]
  callbacks: [{type: EarlyStopping, patience: 5, restore_best_weights: true}, {type: CSVLogger, filename: log.csv}]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a vocabulary, boundaries, callbacks and a checkpoint."""
    folder = tmp_path_factory.mktemp("fuzz")
    rows = "".join(f"{'abcd'[row % 4]},{row},{row % 2}\n" for row in range(40))
    (folder / "d.csv").write_text(f"t,n,y\n{rows}")
    (folder / "new.csv").write_text("t,n\na,1\nzzz,5\n")
    (folder / "c.yaml").write_text(CONFIG)
    done = train(folder / "c.yaml", folder / "run")
    assert done.result.exit_code == 0, done.result.output
    return done.path


@pytest.fixture
def alarm():
    """Fail instead of hanging."""

    def fail(*_):
        raise TimeoutError("the command hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(HANG_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def list_options(command, run, folder):
    return {
        "runs": ("runs", run.parent, "--json"),
        "evaluate": ("evaluate", run, "--json"),
        "predict": (
            "predict",
            run,
            "--input",
            run.parent.parent / "new.csv",
            "--output",
            folder / "p.csv",
            "--json",
        ),
        "report": ("report", run, "--output", folder / "report.html", "--json"),
        "print": ("train", "--resume", run),
        "table": ("runs", "--format", "csv", run.parent),
        "resume": ("train", "--resume", run, "--json", "--allow-changes", "--set", "train.epochs=3"),
        "export": ("export", run, "--format", "keras", "--output", folder / "m.keras", "--json"),
        "import": ("import", run, "--output", folder / "m.yaml", "--json"),
    }[command]


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize(
    ("command", "count"),
    [
        ("runs", 40),
        ("evaluate", 5),
        ("predict", 3),
        ("resume", 6),
        ("export", 2),
        ("import", 5),
        ("report", 2),
    ],
)
def test_damaged_run_is_answered(run, tmp_path, command, count, capfd):
    for seed in list_seeds(count):
        rng = random.Random(f"{command} {seed}")
        copy = copy_run(run, run.parent / "copies" / "1")
        done = ", ".join(damage_run(copy, rng) for _ in range(rng.choice((1, 1, 2))))
        signal.alarm(HANG_SECONDS)
        with np.errstate(all="ignore"):
            result = invoke(
                *list_options(command, copy, tmp_path), "--force" if command == "import" else "--json"
            )
        shown = f"seed {seed}: {done}\n{result.output[-2000:]}"
        assert result.exit_code in (0, 1), shown
        assert "Traceback" not in result.output, shown
        if command != "resume":
            document = json.loads(result.stdout)
            assert command == "runs" or document["ok"] is (result.exit_code == 0), shown
    capfd.readouterr()


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("name", ["summary.json", "history.jsonl", "manifest.json"])
def test_damaged_results_are_printed_or_refused(run, tmp_path, name, capfd):
    for seed in list_seeds(10):
        rng = random.Random(f"results {name} {seed}")
        copy = copy_run(run, run.parent / "copies" / "1")
        *lines, last = (
            (copy / name).read_text().splitlines() if name.endswith("l") else [(copy / name).read_text()]
        )
        document = json.loads(last)
        for _ in range(rng.choice((1, 2, 4))):
            damage_json(document, rng)
        (copy / name).write_text("\n".join([*lines, json.dumps(document)]))
        rehash(copy, copy / name)
        for command in ("print", "table"):
            signal.alarm(HANG_SECONDS)
            result = invoke(*list_options(command, copy, tmp_path))
            shown = f"seed {seed}: {json.dumps(document)[:1000]}\n{result.output[-2000:]}"
            assert result.exit_code in (0, 1), shown
    capfd.readouterr()


@pytest.mark.usefixtures("alarm")
def test_damaged_state_of_the_reader_is_answered(run, tmp_path, capfd):
    for seed in list_seeds(12):
        rng = random.Random(f"state {seed}")
        copy = copy_run(run, run.parent / "copies" / "1")
        state = copy / "data.json"
        document = json.loads(state.read_text())
        for _ in range(rng.choice((1, 1, 2))):
            damage_json(document, rng)
        state.write_text(json.dumps(document))
        rehash(copy, state)
        signal.alarm(HANG_SECONDS)
        result = invoke(*list_options("predict", copy, tmp_path))
        shown = f"seed {seed}: {json.dumps(document)[:1000]}\n{result.output[-2000:]}"
        assert result.exit_code in (0, 1), shown
    capfd.readouterr()

"""``layercli sweep``: results, files, interruption and problems."""

import json
import signal
import subprocess
import sys
import time

import pytest

from layercli.check import check_config
from tests.pages import check_page
from tests.running import HANG_SECONDS, invoke, problems, train
from tests.warm_processes import start_processes_warm

SWEEP = """
base: iris.yaml
space:
  model.layers.dense:
    choice:
      - {type: Dense, units: 8, activation: relu}
      - {type: Dense, units: 16, activation: "tanh"}
      - {type: LSTM, units: 4}
  train.optimizer.learning_rate: {float: [1e-3, 1e-1], log: true}
objective: {metric: val_accuracy, direction: maximize}
sampler: {type: RandomSampler, seed: 3}
trials: 5
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    from tests.running import IRIS

    place = tmp_path_factory.mktemp("sweep")
    (place / "iris.yaml").write_text(IRIS)
    (place / "s.yaml").write_text(SWEEP)
    return place


@pytest.fixture(scope="module")
def swept(place):
    """The output of a finished sweep with two workers."""
    command = [sys.executable, "-m", "layercli", "sweep", "s.yaml", "--jobs", "2", "--json"]
    with start_processes_warm():
        return subprocess.run(
            command, cwd=place, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
        )


@pytest.mark.slow
def test_trials_are_runs_and_invalid_configs_are_pruned(swept, place):
    assert swept.returncode == 0, swept.stderr
    summary = json.loads(swept.stdout)
    assert len(summary["trials"]) == 5
    by_state = {row["state"]: row for row in summary["trials"]}
    assert set(by_state) == {"complete", "pruned"}
    assert by_state["pruned"]["problem"].startswith("s.yaml:8:")
    assert by_state["pruned"]["run"] is None
    run = place / by_state["complete"]["run"]
    assert (run / "model.keras").exists()
    group = json.loads((run / "manifest.json").read_text())["group"]
    assert (group["kind"], group["member"]) == ("sweep", str(by_state["complete"]["number"]))
    values = [json.loads(line)["val_accuracy"] for line in (run / "history.jsonl").read_text().splitlines()]
    assert by_state["complete"]["value"] == max(values)
    lines = swept.stderr.splitlines()
    assert "warning" in lines[0]
    assert len([line for line in lines if line.startswith("trial ")]) == 5


@pytest.mark.slow
def test_best_config_trains_to_the_same_result(swept, place, tmp_path):
    summary = json.loads(swept.stdout)
    best = place / summary["config"]
    assert not check_config(str(best)).problems
    trained = train(best, tmp_path / "run").summary
    assert max(trained["history"]["val_accuracy"]) == pytest.approx(summary["best"]["value"], abs=1e-6)


@pytest.mark.slow
def test_report_page_contains_plots_and_loads_nothing(swept, place):
    text = (place / json.loads(swept.stdout)["report"]).read_text()
    page = check_page(text)
    assert len(text) < 500_000
    assert {"History", "Effect of each parameter", "Trials"} <= set(page.texts)


@pytest.mark.slow
@pytest.mark.usefixtures("warm_processes")
def test_finished_sweep_only_prints_its_results(swept, place):
    command = [sys.executable, "-m", "layercli", "sweep", "s.yaml"]
    again = subprocess.run(
        command, cwd=place, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "Sweep s: 5 trials in runs/s; 5 are finished." in again.stdout
    best = json.loads(swept.stdout)["best"]
    assert f"Best: trial {best['number']}, val_accuracy" in again.stdout
    assert f"Run: runs/s/{best['number']}" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code", "is_warm"), [(signal.SIGINT, 130, False), (signal.SIGTERM, 143, True)]
)
def test_interrupted_sweep_leaves_no_process_and_retries_its_trial(iris, sent, code, is_warm, request):
    if is_warm:
        request.getfixturevalue("warm_processes")
    place = iris.parent
    iris.write_text(iris.read_text().replace("epochs: 2", "epochs: 100000"))
    (place / "s.yaml").write_text(SWEEP.replace("      - {type: LSTM, units: 4}\n", ""))
    command = [sys.executable, "-m", "layercli", "sweep", "s.yaml"]
    process = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    history = place / "runs" / "s" / "0" / "history.jsonl"
    until = time.monotonic() + HANG_SECONDS
    while not history.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(sent)
    try:
        _, stderr = process.communicate(timeout=HANG_SECONDS)
    finally:
        process.kill()
    assert (process.returncode, "Traceback" in stderr) == (code, False)
    assert "Run the same command again to resume the sweep." in stderr
    length = history.stat().st_size
    time.sleep(0.3)
    assert history.stat().st_size == length  # the worker has ended as well

    from layercli.sweep.plan import read_sweep_plan
    from layercli.sweep.study import open_study

    study = open_study(read_sweep_plan(str(place / "s.yaml"))[0], place / "runs" / "s", None, heartbeat=1)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "WAITING"]
    assert study.trials[1].params == study.trials[0].params


def test_problems_of_a_sweep_file_as_json(iris):
    path = iris.with_name("s.yaml")
    path.write_text(SWEEP.replace("trials: 5", "trial: 5").replace("float: [1e-3, 1e-1]", "float: [0.1]"))
    assert problems(invoke("sweep", path, "--json")) == [("wrong-type", 9), ("unknown-key", 12)]


def test_custom_code_requires_trust(iris, layer_file):
    path = iris.with_name("s.yaml")
    mine = layer_file("def call(self, inputs):\n    return inputs")
    iris.write_text(iris.read_text().replace("  layers:\n", f"  layers:\n    - {{type: '{mine}'}}\n"))
    path.write_text(SWEEP)
    assert [code for code, _ in problems(invoke("sweep", path, "--json"))] == ["trust-required"]


def test_directory_with_other_runs_is_refused(iris, monkeypatch):
    monkeypatch.chdir(iris.parent)
    (iris.parent / "runs" / "s" / "1").mkdir(parents=True)
    iris.with_name("s.yaml").write_text(SWEEP)
    assert [code for code, _ in problems(invoke("sweep", "s.yaml", "--json"))] == ["run-directory"]


def test_missing_optuna_hint_has_the_install_command(iris, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "optuna" else found(name))
    iris.with_name("s.yaml").write_text(SWEEP)
    result = invoke("sweep", iris.with_name("s.yaml"), "--json")
    assert problems(result) == [("missing-package", 2)]
    assert "pip install 'layercli[sweep]'" in result.stdout


def test_trial_line_shortens_parameter_names():
    from layercli.reports.console import make_console
    from layercli.reports.sweep import SweepProgress

    progress = SweepProgress(make_console(), is_live=False, metrics=["loss"], maximize=[False], trial_count=1)
    row = {
        "number": 3,
        "state": "pruned",
        "value": 0.25,
        "values": [0.25],
        "epochs": 1,
        "seconds": 1.23,
        "problem": None,
        "params": {
            "model.layers.a.units": 4,
            "model.layers.b.units": 8,
            "train.optimizer": {"type": "\x1b[2JSGD"},
        },
    }
    assert progress.format_trial(row) == (
        "trial 3  pruned  loss 0.2500  1 epoch  1.2 s  a.units=4  b.units=8  optimizer={type: \N{REPLACEMENT CHARACTER}[2JSGD}"
    )

"""Two machines with two workers each share a sweep over a real PostgreSQL server; one of the workers is killed."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest

from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.study import open_study
from layercli.sweep.trials import find_owner, list_counted_trials
from tests.running import HANG_SECONDS, IRIS

URL = os.environ.get("LAYERCLI_TEST_POSTGRESQL")
TRIALS = 10


@pytest.fixture
def machine(tmp_path):
    """Starts the same command in a separate folder, as on another machine."""
    started = []
    name = f"test-{uuid.uuid4().hex[:8]}"

    def machine(folder):
        place = tmp_path / folder
        place.mkdir()
        (place / "iris.yaml").write_text(IRIS.replace("epochs: 2", "epochs: 1"))
        (place / "s.yaml").write_text(
            f"name: {name}\nbase: iris.yaml\n"
            "space: {train.optimizer.learning_rate: {float: [1e-3, 1e-1]}}\n"
            f"objective: {{metric: val_accuracy}}\nsampler: RandomSampler\ntrials: {TRIALS}\n"
        )
        command = [
            sys.executable,
            "-m",
            "layercli",
            "sweep",
            "s.yaml",
            "--jobs",
            "2",
            "--heartbeat",
            "1",
            "--json",
        ]
        environment = os.environ | {"LAYERCLI_STORAGE": URL}
        process = subprocess.Popen(
            command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return place, process

    yield machine
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.skipif(not URL, reason="LAYERCLI_TEST_POSTGRESQL names no PostgreSQL server; .ci/run starts one")
def test_each_trial_finishes_once_when_a_worker_is_killed(machine):
    (place, first), (_, second) = machine("first"), machine("second")
    plan = read_sweep_plan(str(place / "s.yaml"))[0]
    study = open_study(plan, place, URL, heartbeat=1)

    def running():
        return [trial for trial in study.get_trials() if trial.state.name == "RUNNING" and find_owner(trial)]

    until = time.monotonic() + HANG_SECONDS
    while len({find_owner(trial) for trial in running()}) < 4 and time.monotonic() < until:
        time.sleep(0.05)
    victim = running()[0]
    _, process = find_owner(victim)
    os.kill(process, signal.SIGKILL)
    outputs = [machine.communicate(timeout=HANG_SECONDS) for machine in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs

    trials = study.get_trials()
    assert trials[victim.number].state.name == "FAIL"  # its worker was killed
    again = [trial for trial in trials if trial.system_attrs.get("retry_history") == [victim.number]]
    assert [trial.params for trial in again] == [trials[victim.number].params]
    counted = list_counted_trials(trials)
    assert [trial.state.name for trial in counted] == ["COMPLETE"] * TRIALS
    assert len({find_owner(trial) for trial in counted}) >= 3
    finished = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert len(finished) == len({json.dumps(trial.params) for trial in finished}) == TRIALS
    summaries = [json.loads(output) for output, _ in outputs]
    assert summaries[0]["best"]["number"] == summaries[1]["best"]["number"]
    assert [len(summary["trials"]) for summary in summaries] == [TRIALS, TRIALS]
    study._storage._backend.engine.dispose()

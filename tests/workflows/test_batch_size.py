"""``train.batch_size: auto``: the estimate first, then trials; what is found is in the run's config."""

import json

import pytest
import tensorflow as tf

from layercli.api import load
from layercli.check import check_config, require_valid
from layercli.errors import LayercliError, Problem
from layercli.runs.open_run import open_run
from layercli.workflows import batch_size, preflight
from layercli.workflows.batch_size import (
    AttemptResult,
    find_batch_size,
    find_shared_batch_size,
    largest_power_of_two,
    run_attempt_process,
)
from layercli.workflows.batch_size_attempt import is_memory_error
from layercli.workflows.resume import open_for_resume
from tests.docs.pages import ROOT
from tests.running import IRIS, invoke


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("auto") / "iris.yaml"
    path.write_text(IRIS.replace("epochs: 2", "epochs: 1\n  batch_size: auto"))
    return path


@pytest.fixture
def find(config, monkeypatch):
    """Return a function that finds the size with a stand-in of the memory and of the trials, and lists the trials."""
    monkeypatch.setattr(batch_size, "list_local_gpus", list)

    def find(examples, *, memory=None, bytes_per_example=0, largest=10**9, peak=0, jobs=1):
        trials = []

        def run_attempt(_, size, trust):
            trials.append(size)
            assert not trust
            return AttemptResult(size <= largest, peak * size)

        monkeypatch.setattr(batch_size, "read_available_memory", lambda: memory)
        monkeypatch.setattr(batch_size, "estimate_bytes", lambda _, size: bytes_per_example * size)
        found = find_batch_size(load(config), examples, trust=False, jobs=jobs, run_attempt=run_attempt)
        return found.size, found.limit, trials

    return find


@pytest.mark.parametrize(
    ("examples", "size", "limit"),
    [
        (90, 16, "examples"),
        (3, 1, "examples"),
        (5119, 512, "examples"),
        (5120, 1024, "examples"),
        (10**6, 1024, "maximum"),
    ],
)
def test_an_epoch_has_at_least_five_steps(find, examples, size, limit):
    assert find(examples) == (size, limit, [size])


def test_powers_of_two():
    assert [largest_power_of_two(limit) for limit in (1, 2, 3, 4, 1023, 1024)] == [1, 2, 2, 4, 512, 1024]


def test_estimate_excludes_sizes_before_the_first_trial(find):
    # 80% of 1,000,000 bytes are 800 examples of 1,000 bytes
    assert find(10**6, memory=1_000_000, bytes_per_example=1000) == (512, "memory", [512])
    assert find(10**6, memory=1_000_000, bytes_per_example=1000, jobs=2) == (256, "memory", [256])


def test_no_trial_if_the_estimate_is_below_half_of_the_memory(find):
    assert find(10**6, memory=10_000_000, bytes_per_example=1000) == (1024, "maximum", [])


def test_trials_halve_the_size_until_one_fits(find):
    assert find(10**6, largest=100) == (64, "memory", [1024, 512, 256, 128, 64])


def test_trial_with_too_high_a_peak_does_not_fit(find):
    assert find(10**6, memory=1_000_000, bytes_per_example=700, peak=1000)[::2] == (512, [1024, 512])


def test_trial_far_below_the_memory_is_followed_by_twice_the_size(find):
    # the estimate allows 512 examples; the peak of 250 bytes for each allows 1,024
    assert find(10**6, memory=1_000_000, bytes_per_example=1000, peak=250) == (1024, "maximum", [512, 1024])
    assert find(10**6, memory=1_000_000, bytes_per_example=1000, peak=800) == (512, "memory", [512])
    found = find(10**6, memory=1_000_000, bytes_per_example=1000, peak=250, largest=512)
    assert found == (512, "memory", [512, 1024])


def test_nothing_fits(find):
    with pytest.raises(LayercliError, match="found no size") as caught:
        find(40, largest=0)
    [problem] = caught.value.problems
    assert (problem.code, problem.path, problem.line) == ("too-large", "train.batch_size", 10)


@pytest.mark.parametrize(("size", "fits", "peak"), [(8, True, 8), (16, False, 16), (32, False, None)])
def test_trial_process_may_be_killed(config, monkeypatch, size, fits, peak):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    module = "tests.workflows.batch_size_stand_in"
    found = run_attempt_process(load(config), size, trust=False, module=module)
    assert (found.fits, found.peak_bytes) == (fits, peak)


def test_memory_error_is_recognised_by_its_cause():
    exhausted = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    wrapped = LayercliError(Problem(code="training-failed", message="x"))
    wrapped.__cause__ = exhausted
    assert is_memory_error(exhausted)
    assert is_memory_error(wrapped)
    assert is_memory_error(MemoryError())
    assert is_memory_error(LayercliError(Problem(code="too-large", message="x")))
    assert not is_memory_error(LayercliError(Problem(code="training-failed", message="x")))


@pytest.fixture(scope="module")
def run(config):
    """A run whose size was found with a trial."""
    from tests.warm_processes import start_processes_warm

    path = config.parent / "run"
    with pytest.MonkeyPatch.context() as patch, start_processes_warm():
        patch.setattr(batch_size, "read_available_memory", lambda: None)
        result = invoke("train", config, "--run-dir", path)
    assert result.exit_code == 0, result.output
    assert "Batch size 16: with 90 training examples, an epoch has at least 5 steps." in result.stdout
    return path


def test_found_size_is_in_the_config_of_the_run(run):
    assert open_run(str(run))[1].config.train.batch_size == 16
    recorded = json.loads((run / "manifest.json").read_text())["batch_size"]
    assert (recorded["found"], recorded["limit"], recorded["available_bytes"]) == (16, "examples", None)
    assert recorded["peak_bytes"] > 100 << 20  # of a process with TensorFlow


def test_resume_with_auto_keeps_the_found_size(run, config):
    assert open_for_resume(str(run), config=str(config)).differences == []
    with pytest.raises(LayercliError, match=r"`train.batch_size` is 8, but the run started with 16"):
        open_for_resume(str(run), config=str(config), overrides=["train.batch_size=8"])


def test_runs_of_a_group_share_the_size(config, tmp_path, monkeypatch):
    valid = require_valid(check_config(str(config)))
    monkeypatch.setattr(batch_size, "read_available_memory", lambda: 100 << 30)
    assert find_shared_batch_size(valid, tmp_path, trust=False, jobs=1) == 16
    (tmp_path / "batch_size.json").write_text('{"found": 4}')
    assert find_shared_batch_size(valid, tmp_path, trust=False, jobs=1) == 4
    (tmp_path / "batch_size.json").write_text('{"found": -4}')
    assert find_shared_batch_size(valid, tmp_path, trust=False, jobs=1) == 16


@pytest.mark.parametrize(
    ("value", "code", "received"),
    [
        ("0", "out-of-range", "0"),
        ("2147483648", "out-of-range", "2147483648"),
        ("Auto", "wrong-type", 'the string "Auto"'),
        ("'64'", "wrong-type", 'the string "64"'),
        ("true", "wrong-type", "true"),
        ("[32]", "wrong-type", "[32]"),
    ],
)
def test_wrong_sizes(value, code, received, config):
    result = invoke("validate", config, "--set", f"train.batch_size={value}", "--json")
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["message"] == f"`batch_size` must be a positive integer or auto, got {received}."
    assert problem["code"] == code


def test_other_commands_accept_auto(config):
    assert invoke("validate", config).exit_code == 0
    assert json.loads(invoke("show", config, "--json").stdout)["config"]["train"]["batch_size"] == "auto"
    shown = invoke("inspect-shapes", config, "--static").stdout
    assert "Training memory for a batch of 32 (auto is found by training): about" in shown


def test_available_memory_is_that_of_the_machine_or_of_the_group(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 4000 kB\nMemAvailable: 3000 kB\n")
    monkeypatch.setattr(preflight, "_MEMORY_INFO_FILE", tmp_path / "meminfo")
    monkeypatch.setattr(preflight, "_CGROUP_FOLDERS", {tmp_path: ("memory.max", "memory.current")})
    assert preflight.read_available_memory() == 3_072_000
    (tmp_path / "memory.max").write_text("2000000\n")
    (tmp_path / "memory.current").write_text("1500000\n")
    (tmp_path / "memory.stat").write_text("anon 1000000\ninactive_file 400000\n")
    assert preflight.read_available_memory() == 900_000
    (tmp_path / "memory.max").write_text("max\n")
    assert preflight.read_available_memory() == 3_072_000

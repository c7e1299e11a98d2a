"""Groups: who takes part, what is wrong with that, and how those of one machine are started."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from layercli import process
from layercli.check import check, require
from layercli.commands import cluster
from layercli.errors import LayercliError
from tests.running import IRIS, invoke

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


@pytest.fixture
def valid(iris, monkeypatch):
    """Makes this process layercli's own, with a config of this distribution."""
    monkeypatch.setattr(process, "is_ours", True)
    monkeypatch.setattr(process, "cluster", None)
    monkeypatch.delenv("TF_CONFIG", raising=False)

    def valid(distribution="auto", layers=""):
        text = IRIS.replace("  epochs: 2", f"  epochs: 2\n  distribution: {distribution}")
        iris.write_text(text.replace("  layers:\n", f"  layers:\n{layers}"))
        return require(check(str(iris)))

    return valid


def members(kind, index, **jobs):
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (members("worker", 1, worker=["a:1", "b:1"]), (1, 2)),
        (members("chief", 0, chief=["a:1"], worker=["b:1", "c:1"]), (0, 3)),
        (members("worker", 1, chief=["a:1"], worker=["b:1", "c:1"]), (2, 3)),
        (members("worker", 0, worker=["a:1"]), None),
        ("", None),
        ("{}", None),
    ],
)
def test_tf_config_says_who_takes_part(valid, monkeypatch, text, found):
    monkeypatch.setenv("TF_CONFIG", text)
    cluster.join(valid())
    assert process.cluster == found


@pytest.mark.parametrize(
    "text",
    ["nonsense", "[1]", members("worker", 2, worker=["a:1", "b:1"]), members("ps", 0, worker=["a:1", "b:1"]),
     members("worker", "0", worker=["a:1", "b:1"])],
)  # fmt: skip
def test_a_tf_config_that_makes_no_sense_is_a_problem(valid, monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(LayercliError) as error:
        cluster.join(valid())
    assert [problem.code for problem in error.value.problems] == ["bad-cluster"]


def test_several_workers_that_are_asked_for_must_be_there(valid):
    with pytest.raises(LayercliError) as error:
        cluster.join(valid("multi_worker"))
    (problem,) = error.value.problems
    assert (problem.code, problem.path, problem.line) == ("bad-cluster", "train.distribution", 10)


@pytest.mark.parametrize("distribution", ["none", "mirrored"])
def test_a_config_may_keep_out_of_the_group(valid, monkeypatch, distribution):
    monkeypatch.setenv("TF_CONFIG", members("worker", 1, worker=["a:1", "b:1"]))
    cluster.join(valid(distribution))
    assert process.cluster is None


def test_a_person_who_imports_layercli_is_in_no_group(valid, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", members("worker", 1, worker=["a:1", "b:1"]))
    monkeypatch.setattr(process, "is_ours", False)
    cluster.join(valid())
    assert process.cluster is None


def test_what_differs_in_a_group_is_a_warning_of_the_first_process(valid, monkeypatch):
    layers = "    - BatchNormalization\n    - {type: Dropout, rate: 0.1}\n    - {type: Dropout, rate: 0}\n"
    monkeypatch.setenv("TF_CONFIG", members("worker", 0, worker=["a:1", "b:1"]))
    warnings = cluster.join(valid(layers=layers))
    assert [(problem.code, problem.severity, problem.line) for problem in warnings] == [
        ("differs-in-group", "warning", 6),
        ("differs-in-group", "warning", 7),
    ]
    monkeypatch.setenv("TF_CONFIG", members("worker", 1, worker=["a:1", "b:1"]))
    assert cluster.join(valid(layers=layers)) == []


@pytest.mark.parametrize(
    ("loss", "error", "warnings"),
    [
        ("{type: MeanSquaredError, reduction: sum}", "bad-cluster", None),
        ("{type: MeanSquaredError, reduction: mean}", None, []),
        ("Dice", None, ["differs-in-group"]),
        ("mse", None, []),
    ],
)
def test_a_loss_must_be_a_mean_over_examples(valid, iris, monkeypatch, loss, error, warnings):
    valid()
    text = (
        iris.read_text()
        .replace("sparse_categorical_crossentropy", loss)
        .replace("units: 3, activation: softmax", "units: 1")
    )
    iris.write_text(
        text.replace("iris", "diabetes").replace(", stratify: true", "").replace("[accuracy]", "[]")
    )
    monkeypatch.setenv("TF_CONFIG", members("worker", 0, worker=["a:1", "b:1"]))
    checked = require(check(str(iris)))
    if error is None:
        assert [problem.code for problem in cluster.join(checked)] == warnings
        return
    with pytest.raises(LayercliError) as raised:
        cluster.join(checked)
    assert [(problem.code, problem.path) for problem in raised.value.problems] == [
        (error, "train.loss.reduction")
    ]


@pytest.mark.parametrize(
    ("visible", "distribution", "shared"),
    [("0,1", "auto", 2), ("0,1", "mirrored", 2), ("0,1", "none", 0), ("0", "mirrored", 0), ("-1", "auto", 0), ("", "auto", 0)],
)  # fmt: skip
def test_the_gpus_of_this_machine_share_a_training(valid, monkeypatch, visible, distribution, shared):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert cluster.gpus_to_share(valid(distribution)) == shared
    monkeypatch.setenv("TF_CONFIG", members("worker", 0, worker=["a:1"]))
    assert cluster.gpus_to_share(valid(distribution)) == 0


def test_launch_launches_train_alone():
    result = invoke("launch", "--workers", "2", "--", "build", "config.yaml")
    assert result.exit_code == 2
    assert "layercli launch --workers 2 -- train CONFIG" in re.sub(r"[\s│]+", " ", result.output)


def test_what_is_wrong_with_the_config_ends_the_group_with_its_code(iris):
    iris.write_text(IRIS.replace("units: 8", "unit: 8"))
    command = [sys.executable, "-m", "layercli", "launch", "--workers", "2", "--", "train", str(iris)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert {line[:4] for line in lines if line} == {"[0] ", "[1] "}
    assert sum("[unknown-key]" in line for line in lines) == 2
    document = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=False)
    assert [problem["code"] for problem in json.loads(document.stdout)["problems"]] == ["unknown-key"]


def program(place, name, text):
    path = place / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


@pytest.fixture
def shell(tmp_path):
    """Runs a recipe where ``layercli`` prints what it was started with, and other programs are stand-ins."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    program(bin_, "layercli", 'echo "$TF_CONFIG $*"')

    def shell(*command, programs, **variables):
        for name, text in programs.items():
            program(bin_, name, text)
        environment = os.environ | {"PATH": f"{bin_}:{os.environ['PATH']}", **variables}
        done = subprocess.run(
            ["bash", *map(str, command)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return sorted(done.stdout.splitlines())

    return shell


def test_the_recipe_for_ssh_starts_a_worker_on_each_host(shell, tmp_path):
    fake = {"ssh": 'shift; shift; exec bash -c "$*"'}
    lines = shell(RECIPES / "ssh.sh", "one two", "my config.yaml", programs=fake)
    for index, line in enumerate(lines):
        prefix, task, *arguments = re.fullmatch(r"(\[\d\]) (\{.*\}) (train) (.*)", line).groups()
        assert (prefix, arguments) == (f"[{index}]", ["train", "my config.yaml --run-dir runs/ssh"])
        assert json.loads(task) == {
            "cluster": {"worker": ["one:22222", "two:22222"]},
            "task": {"type": "worker", "index": index},
        }
    assert len(lines) == 2
    (tmp_path / "runs" / "ssh").mkdir(parents=True)
    (tmp_path / "runs" / "ssh" / "manifest.json").touch()
    lines = shell(RECIPES / "ssh.sh", "one two", "my config.yaml", programs=fake)
    assert all(line.endswith("train --resume runs/ssh") for line in lines)


def test_the_recipe_for_slurm_makes_each_task_a_worker(shell):
    fake = {
        "scontrol": "printf 'n1\\nn2\\n'",
        "srun": 'shift; for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done',
    }
    lines = shell(
        RECIPES / "slurm.sh", "config.yaml", programs=fake, SLURM_JOB_ID="7", SLURM_JOB_NODELIST="n[1-2]"
    )
    for index, line in enumerate(lines):
        task, arguments = line.split(" train ")
        assert arguments == "config.yaml --run-dir runs/layercli"
        assert json.loads(task) == {
            "cluster": {"worker": ["n1:20007", "n2:20007"]},
            "task": {"type": "worker", "index": index},
        }
    assert len(lines) == 2


def test_the_recipe_for_kubernetes_is_a_job_of_workers_that_train_or_go_on(shell, tmp_path):
    job = yaml.safe_load((RECIPES / "tfjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    worker = job["spec"]["tfReplicaSpecs"]["Worker"]
    container = worker["template"]["spec"]["containers"][0]
    assert (worker["replicas"], container["name"]) == (2, "tensorflow")  # the name that the operator asks for
    script = tmp_path / "job.sh"
    script.write_text(container["args"][0])
    assert shell(script, programs={}, TF_CONFIG="") == [" train config.yaml --run-dir runs/job"]
    (tmp_path / "runs" / "job").mkdir(parents=True)
    (tmp_path / "runs" / "job" / "manifest.json").touch()
    assert shell(script, programs={}, TF_CONFIG="") == [" train --resume runs/job"]

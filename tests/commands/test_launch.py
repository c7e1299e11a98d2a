"""``layercli launch``: groups on this machine, and the recipes for several machines."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from layercli.cli import make_app
from layercli.distribution.process_group import ProcessGroup
from tests.running import HANG_SECONDS, IRIS, invoke

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


def test_launch_accepts_only_train():
    result = invoke("launch", "--workers", "2", "--", "build", "config.yaml")
    assert result.exit_code == 2
    assert "layercli launch --workers 2 -- train CONFIG" in re.sub(r"[\s│]+", " ", result.output)


def test_invalid_config_ends_the_group_with_its_exit_code(iris):
    iris.write_text(IRIS.replace("units: 8", "unit: 8"))
    command = [sys.executable, "-m", "layercli", "launch", "--workers", "2", "--", "train", str(iris)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert {line[:4] for line in lines if line} == {"[0] ", "[1] "}
    assert sum("[unknown-key]" in line for line in lines) == 2
    document = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert [problem["code"] for problem in json.loads(document.stdout)["problems"]] == ["unknown-key"]


@pytest.mark.parametrize("arguments", [("train", "c.yaml"), ("train", "c.yaml", "--json")])
def test_crash_after_all_restarts_is_a_json_document(arguments, monkeypatch):
    monkeypatch.setattr(ProcessGroup, "_start_processes", lambda *_: None)
    monkeypatch.setattr(ProcessGroup, "_wait_for_exit", lambda _: -9)
    result = invoke("launch", "--workers", "2", "--restarts", "1", "--json", "--", *arguments)
    assert result.exit_code == 1
    [problem] = json.loads(result.stdout)["problems"]
    assert (problem["code"], problem["message"]) == (
        "worker-lost",
        "A worker crashed again after 1 restarts.",
    )


def program(place, name, text):
    path = place / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


@pytest.fixture
def shell(tmp_path):
    """Runs a recipe with replaced programs; ``layercli`` prints its arguments."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    program(bin_, "layercli", 'echo "$TF_CONFIG $*"')

    def shell(*command, programs, **variables):
        for name, text in programs.items():
            program(bin_, name, text)
        path = f"{bin_}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "LC_ALL": "C", **variables}  # bash warns of missing locales
        done = subprocess.run(
            ["bash", *map(str, command)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return sorted(done.stdout.splitlines())

    return shell


def test_ssh_recipe_starts_a_worker_on_each_host(shell, tmp_path):
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


def test_slurm_recipe_makes_each_task_a_worker(shell):
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


def test_kubernetes_recipe_trains_or_resumes(shell, tmp_path):
    job = yaml.safe_load((RECIPES / "tfjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    worker = job["spec"]["tfReplicaSpecs"]["Worker"]
    container = worker["template"]["spec"]["containers"][0]
    assert (worker["replicas"], container["name"]) == (2, "tensorflow")  # the operator requires this name
    script = tmp_path / "job.sh"
    script.write_text(container["args"][0])
    assert shell(script, programs={}, TF_CONFIG="") == [" train config.yaml --run-dir runs/job"]
    (tmp_path / "runs" / "job").mkdir(parents=True)
    (tmp_path / "runs" / "job" / "manifest.json").touch()
    assert shell(script, programs={}, TF_CONFIG="") == [" train --resume runs/job"]


def spoken(path):
    """Return the commands of a recipe that start layercli, split into words; a substitution counts as one word."""
    text = re.sub(r"\$\([^()]*\)", "WORD", path.read_text())
    lines = re.findall(r"(?:exec |command=\")layercli ([^;\"\n]*(?:\"\$\w+\"[^;\"\n]*)*)", text)
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("recipe", sorted(RECIPES.iterdir()), ids=lambda path: path.name)
def test_recipes_use_existing_commands_and_options(recipe):
    if recipe.suffix == ".sh":
        subprocess.run(["bash", "-n", recipe], check=True)
    commands = typer.main.get_command(make_app())
    parsed = []
    for name, *arguments in spoken(recipe):
        found = commands.get_command(typer.Context(commands), name)
        with found.make_context(name, list(arguments)) as context:
            parsed.append({key: value for key, value in context.params.items() if value})
    assert [set(params) for params in parsed] == [{"resume"}, {"config", "run_dir"}]


def test_slurm_headers_come_first_and_are_options():
    lines = (RECIPES / "slurm.sh").read_text().splitlines()
    code = next(index for index, line in enumerate(lines) if line and not line.startswith("#"))
    headers = [line for line in lines if line.startswith("#SBATCH")]
    assert headers == [line for line in lines[:code] if re.fullmatch(r"#SBATCH --[a-z-]+(=[\w@.-]+)?", line)]
    assert len(headers) == 5

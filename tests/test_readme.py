"""The output, commands, configs and code in the README are correct."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from layercli.check import check_config
from layercli.cli import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
CONSOLE = [block.removeprefix("$ ").split("\n", 1) for kind, block in BLOCKS if kind == "console"]
SHELL = [
    line
    for kind, block in BLOCKS
    if kind == "sh"
    for line in block.splitlines()
    if line.startswith("layercli ")
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The run that the README trains."""
    place = tmp_path_factory.mktemp("trained")
    shutil.copytree(ROOT / "configs", place / "configs")
    command = next(command for command, _ in CONSOLE if " train " in command)
    assert run(command, place)[0] == 0
    return place / "runs"


@pytest.fixture
def place(tmp_path, request):
    for name in ("configs", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    if " runs/" in str(request.node.name):
        shutil.copytree(request.getfixturevalue("runs"), tmp_path / "runs")
        np.save(tmp_path / "new.npy", np.zeros((3, 10), "float32"))
    return tmp_path


def run(command, place):
    env = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "GITHUB_ACTIONS")}
    done = subprocess.run(
        command.replace("layercli", f"{shlex.quote(sys.executable)} -m layercli", 1),
        shell=True,
        cwd=place,
        capture_output=True,
        text=True,
        env=env | {"COLUMNS": "80", "TERMINAL_WIDTH": "80"},
    )
    return done.returncode, done.stdout


def masked(text):
    """Return the lines without trailing whitespace and outer blank lines."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n").splitlines()


def without_measures(lines):
    """Return the lines without numbers, which vary between machines."""
    return [re.sub(r"\s+", " ", re.sub(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?", "#", line)) for line in lines]


@pytest.mark.parametrize(("command", "shown"), CONSOLE, ids=[command for command, _ in CONSOLE])
def test_the_output_shown_is_real(command, shown, place):
    code, output = run(command, place)
    assert code == (1 if "broken" in command else 0)
    if " train " in command or " runs/" in command:
        assert without_measures(masked(output)) == without_measures(masked(shown))
    else:
        assert masked(output) == masked(shown)


@pytest.mark.parametrize("command", SHELL)
def test_the_commands_shown_are_accepted(command, place):
    if " sweep " in command:
        return  # tests/test_sweep_page.py reads those files
    command = re.sub(r" launch --workers \d+ --", "", command)
    command = (
        command.replace(" train ", " validate ").replace(" build ", " validate ").replace(" --trust", "")
    )
    assert run(command, place)[0] == 0


def test_the_configs_shown_are_the_examples(place):
    stack, block, hook = (yaml.safe_load(block) for kind, block in BLOCKS if kind == "yaml")
    assert stack == yaml.safe_load((ROOT / "configs" / "digits_lstm.yaml").read_text())
    blocks = yaml.safe_load((ROOT / "configs" / "digits_residual.yaml").read_text())["blocks"]
    assert block["residual"] == blocks["residual"]
    own = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]
    shown = hook["repos"][0]["hooks"][0]
    assert {key: shown[key] for key in shown if key != "language"} == {
        key: own[key] for key in shown if key != "language"
    }
    assert re.search(shown["files"], "configs/a.yaml")
    assert not check_config(str(place / "configs" / "digits_lstm.yaml")).problems


def test_the_python_shown_runs(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    code = next(block for kind, block in BLOCKS if kind == "python" and "import layercli" in block)
    exec(compile(code, "README.md", "exec"), {})
    counts, accuracy = capsys.readouterr().out.splitlines()
    assert [int(number) for number in counts.split()] == [4810, 9472]
    assert 0 < float(accuracy) <= 1


def test_every_command_and_exit_code_is_described():
    for name in COMMANDS:
        assert f"`layercli {name}" in README or f"layercli {name} " in README
    for code in (0, 1, 2, 3, 130):
        assert f"| {code} | " in README


def test_files_that_the_readme_names_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target

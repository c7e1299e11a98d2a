"""The output on the pages is the output of the commands."""

import re
import shlex
import shutil

import numpy as np
import pytest

from tests.docs.pages import BLOCKS, ROOT, complete_configs, run, train_wine
from tests.running import invoke

TRAINING = "layercli train configs/diabetes_regression.yaml --set train.epochs=3"
"""The command of the tutorial that trains the run of the other pages."""
VARYING = (
    " train ",
    " runs --compare ",
    " find-rate ",
    " evaluate ",
    " predict ",
    " export ",
    "predictions.csv",
)
"""Parts of commands whose numbers depend on the machine."""
PAGES = sorted({block.page for block in BLOCKS if block.language == "console"})


@pytest.fixture(scope="module")
def diabetes_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diabetes")
    shutil.copytree(ROOT / "configs", folder / "configs")
    assert run(TRAINING, folder)[0] == 0
    return folder / "runs"


@pytest.fixture(scope="module")
def wine_run(tmp_path_factory):
    """A folder with the run of a table, and with new rows for it."""
    return train_wine(tmp_path_factory.mktemp("wine"))


@pytest.fixture
def folder(tmp_path, request):
    """A folder with the examples, the configs of the page, and the run if the page uses it."""
    page = request.node.callspec.params["page"]
    for name in ("configs", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.md"))
    for name, text in complete_configs(page).items():
        (tmp_path / name).write_text(text)
    commands = " ".join(block.text for block in BLOCKS if block.page == page)
    if "runs/diabetes/" in commands and TRAINING not in commands:
        shutil.copytree(request.getfixturevalue("diabetes_run"), tmp_path / "runs")
        np.save(tmp_path / "new.npy", np.zeros((3, 10), "float32"))
    if "--seeds" in commands:
        request.getfixturevalue("warm_processes")
    return tmp_path


def trim(text):
    """Return the lines without trailing blanks, and without blank lines at both ends."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n").splitlines()


def mask_numbers(lines):
    """Return the lines with # for each number, and without the alignment of columns."""
    return [re.sub(r"\s+", " ", re.sub(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?", "#", line)) for line in lines]


@pytest.mark.parametrize("page", PAGES)
def test_output_on_the_page_is_real(page, folder):
    for block in BLOCKS:
        if block.page != page or block.language != "console":
            continue
        command, _, expected = block.text.removeprefix("$ ").partition("\n")
        code, output = run(command, folder)
        assert code == (1 if "broken" in command else 0), command
        if any(part in command for part in VARYING):
            assert mask_numbers(trim(output)) == mask_numbers(trim(expected)), command
        else:
            assert trim(output) == trim(expected), command


SHELL = [
    (block.page, line)
    for block in BLOCKS
    if block.language == "sh"
    for line in block.text.splitlines()
    if line.startswith("layercli ") and " sweep " not in line and "--resume" not in line
]


@pytest.mark.parametrize(("page", "command"), SHELL, ids=[command for _, command in SHELL])
def test_command_in_a_shell_block_is_accepted(page, command, folder, request, monkeypatch):
    """Commands that train, build or run the model are replaced with ``validate``."""
    if "runs/wine/" in command:
        shutil.copytree(request.getfixturevalue("wine_run"), folder, dirs_exist_ok=True)
    for name, text in complete_configs("sweep").items():  # of a page whose config other pages name
        (folder / name).write_text(text)
    if command.startswith("layercli runs"):  # which checks names of results against those of the runs
        shutil.rmtree(folder / "runs", ignore_errors=True)
        (folder / "runs").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv(
        "HOME", str(folder)
    )  # completion is installed there, for the shell that runs the command
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    command = (
        re.sub(r" launch --workers \d+ --", "", command).replace(" --trust", "").replace(" --static", "")
    )
    command = re.sub(r"layercli (train|build|inspect-shapes) ", "layercli validate ", command)
    command, _, stdin = command.partition(" < ")
    result = invoke(*shlex.split(command)[1:], stdin=(folder / stdin).read_text() if stdin else None)
    assert result.exit_code == 0, f"{page}: {result.output}"

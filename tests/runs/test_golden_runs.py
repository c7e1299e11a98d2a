"""A run of each format that was released can be used; a new format adds a run, and never changes an old one."""

import json
import zipfile
from pathlib import Path

import pytest

from layercli.runs.listing import read_run
from layercli.runs.manifest import FORMAT
from tests.running import invoke

GOLDEN = Path(__file__).parent / "golden"
ACCURACY = {1: 0.1666666716337204}
"""Format -> the accuracy on the test set that its training printed."""


@pytest.fixture(params=sorted(ACCURACY))
def number(request):
    return request.param


@pytest.fixture
def run(number, tmp_path):
    with zipfile.ZipFile(GOLDEN / f"format-{number}.zip") as archive:
        archive.extractall(tmp_path / "run")
    return tmp_path / "run"


def test_every_format_has_a_run():
    assert list(ACCURACY) == list(range(1, FORMAT + 1))


def test_run_of_each_format_is_listed_and_evaluated(number, run):
    assert read_run(run).state == "finished"
    result = invoke("evaluate", run, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["metrics"]["accuracy"] == pytest.approx(ACCURACY[number], abs=0.04)


def test_run_of_each_format_is_resumed(run):
    result = invoke("train", "--resume", run, "--allow-changes", "--set", "train.epochs=2", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["epochs"] == 2

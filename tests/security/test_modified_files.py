"""A file of a finished run that does not have the hash in the manifest is not shown without a warning."""

import hashlib
import json

import pytest

from layercli.errors import LayercliError
from layercli.runs.diagnostics import read_diagnostics
from layercli.runs.history import find_last_stage
from layercli.runs.listing import read_run
from layercli.runs.summary import read_summary
from layercli.workflows.report import _read_files
from tests.running import invoke

RECORDED = ("config.yaml", "diagnostics.jsonl", "history.jsonl", "summary.json")
CONFIG = "model: {input: [4], layers: [{type: Dense, units: 3}]}\ntrain: {epochs: 1, loss: mse}\n"


def record_hashes(run):
    """Write the manifest of a finished run with the hashes that hashlib finds."""
    files = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in RECORDED}
    document = {
        "files": files | {"model.keras": "0" * 64},
        "versions": {},
        "execution": {},
        "data": {"fingerprint": ""},
    }
    (run / "manifest.json").write_text(json.dumps(document))


@pytest.fixture
def run(tmp_path):
    run = tmp_path / "runs" / "a" / "1"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(CONFIG)
    (run / "history.jsonl").write_text('{"epoch": 1, "loss": 0.5, "stage": 1}\n')
    (run / "diagnostics.jsonl").write_text('{"epoch": 0, "inputs": [], "layers": []}\n')
    summary = {"epochs": 1, "best": {"monitor": "loss", "epoch": 1, "loss": 0.5}, "test": {"loss": 0.25}}
    (run / "summary.json").write_text(json.dumps(summary))
    record_hashes(run)
    return run


def edit(path):
    path.write_text(path.read_text().replace("0.5", "0.4") + "\n")


def collect_warnings(run):
    content = _read_files(run, is_locked_by_caller=False)
    assert {problem.severity for problem in content.problems} <= {"warning"}
    return " ".join(problem.message for problem in content.problems)


def test_files_with_their_hashes_are_shown_without_a_warning(run):
    found = read_run(run)
    assert (found.state, found.note, found.test) == ("finished", None, {"loss": 0.25})
    assert collect_warnings(run) == ""
    assert find_last_stage(run, 2) == 0
    assert [record["epoch"] for record in read_diagnostics(run)] == [0]


@pytest.mark.parametrize("name", RECORDED)
def test_report_warns_of_a_modified_file(run, name):
    edit(run / name)
    assert (
        f"{name} was modified after training: its SHA-256 does not match manifest.json."
        in collect_warnings(run)
    )


@pytest.mark.parametrize("name", ["config.yaml", "summary.json"])
def test_listing_warns_of_a_modified_file_and_hides_its_results(run, name):
    edit(run / name)
    (row,) = json.loads(invoke("runs", run, "--json").stdout)["runs"]
    assert (row["state"], row["test"]) == ("damaged", {})
    assert row["note"] == f"{name} was modified after training: its SHA-256 does not match manifest.json"
    assert f"is damaged: {name} was modified" in invoke("runs", run).stdout


@pytest.mark.parametrize(
    "read", [read_summary, lambda run: find_last_stage(run, 2), lambda run: list(read_diagnostics(run))]
)
def test_modified_file_is_not_computed_with(run, read):
    for name in RECORDED:
        edit(run / name)
    with pytest.raises(LayercliError, match="was modified after training"):
        read(run)


def test_files_without_a_recorded_hash_are_used(run):
    for name in RECORDED:
        edit(run / name)
    document = json.loads((run / "manifest.json").read_text())
    for files in ({"model.keras": "0" * 64}, {"model.keras": "0" * 64} | dict.fromkeys(RECORDED, 1)):
        (run / "manifest.json").write_text(json.dumps(document | {"files": files}))
        assert read_run(run).state == "finished"
        assert collect_warnings(run) == ""


def test_history_of_an_unfinished_run_is_used(run):
    document = json.loads((run / "manifest.json").read_text())
    del document["files"]["model.keras"]
    (run / "manifest.json").write_text(json.dumps(document))
    edit(run / "history.jsonl")
    assert _read_files(run, is_locked_by_caller=False).history[0]["loss"] == 0.4


@pytest.mark.parametrize("command", ["diff", pytest.param("build", marks=pytest.mark.tensorflow)])
def test_modified_config_of_a_run_is_not_compared(run, command):
    arguments = (command, run, run) if command == "diff" else (command, run)
    assert "was modified" not in invoke(*arguments).output
    edit(run / "config.yaml")
    result = invoke(*arguments, "--json")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["message"].startswith("config.yaml was modified after training")

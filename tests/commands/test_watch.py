"""``layercli watch`` checks a config again after each change."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from typer.testing import CliRunner

from layercli.cli import make_app
from layercli.reports.console import make_console
from layercli.reports.watch import describe_result, draw_result, watch_json
from layercli.workflows import watch
from layercli.workflows.watch import iterate_checks
from tests.running import HANG_SECONDS, invoke


class EndError(Exception):
    """The last change was made."""


CONFIG = "model: {input: [4], layers: [{type: Dense, units: 3}]}\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def collect(path, *changes):
    """Return what ``watch`` shows if each change is made while it waits."""
    pending = list(changes)

    def wait(_):
        if not pending:
            raise EndError
        pending.pop(0)()

    shown = []
    with suppress(EndError):
        for result in iterate_checks(str(path), wait=wait):
            shown.append(describe_result(result).removeprefix(f"{path.parent}/"))
    return shown


def test_each_change_is_shown_once(path):
    shown = collect(
        path,
        lambda: None,
        lambda: path.write_text(CONFIG.replace("3", "50")),
        lambda: None,
        lambda: path.write_text(CONFIG.replace("units", "unit")),
        path.unlink,
        lambda: path.write_text(CONFIG),
    )
    assert shown == [
        "config.yaml: 1 layer, 15 parameters, 24 FLOPs, no problems.",
        "config.yaml: 1 layer, 250 parameters, 400 FLOPs, no problems.",
        "config.yaml: 1 error.",
        "config.yaml: 1 error.",
        "config.yaml: 1 layer, 15 parameters, 24 FLOPs, no problems.",
    ]


def test_change_during_a_check_is_shown(path, monkeypatch):
    check = watch.check_file

    def check_and_change(*args):
        result = check(*args)
        path.write_text(CONFIG.replace("3", "50"))
        return result

    monkeypatch.setattr(watch, "check_file", check_and_change)
    shown = collect(path, lambda: monkeypatch.undo())
    assert [line.split(", ")[1] for line in shown] == ["15 parameters", "250 parameters"]


def test_changes_of_extended_files_are_shown(path):
    child = path.parent / "child.yaml"
    child.write_text("extends: middle.yaml\n")
    (path.parent / "middle.yaml").write_text("extends: config.yaml\n")
    shown = collect(child, lambda: path.write_text(CONFIG.replace("3", "50")), path.unlink)
    assert shown == [
        "child.yaml: 1 layer, 15 parameters, 24 FLOPs, no problems.",
        "child.yaml: 1 layer, 250 parameters, 400 FLOPs, no problems.",
        "child.yaml: 1 error.",
    ]


def test_document_of_a_change_has_shapes_and_problems(path):
    results = iterate_checks(str(path), wait=lambda _: path.write_text("model: {}"))
    document = watch_json(next(results))
    assert document["ok"]
    assert document["layers"][0]["output_shape"] == [None, 3]
    assert document["totals"] == {"trainable": 15, "non_trainable": 0, "flops": 24}
    malformed = watch_json(next(results))
    assert malformed.keys() == {"ok", "file", "problems"}
    assert not malformed["ok"]


def test_terminal_shows_the_table_with_unknown_shapes(path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    path.write_text(
        "model:\n  input: [4]\n  layers:\n    - {type: Conv2D, filters: 3, kernel_size: 3}\n    - ReLU\n"
    )
    draw_result(make_console(), next(iterate_checks(str(path))))
    shown = capsys.readouterr().out
    assert "conv2d" in shown
    assert "shape-mismatch" in shown
    assert "2 layers, ? parameters, ? FLOPs, 1 error. Watching" in " ".join(shown.split())


def test_process_prints_changes_to_a_pipe_and_ends_with_ctrl_c(path):
    command = [sys.executable, "-m", "layercli", "watch", "--json", path.name]
    with subprocess.Popen(
        command, cwd=path.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert json.loads(process.stdout.readline())["ok"]
        changed = path.with_name("changed")
        changed.write_text("model: {}\n")
        changed.replace(path)  # a file that is being written is empty for a moment
        assert json.loads(process.stdout.readline())["problems"][0]["code"] == "missing-key"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(HANG_SECONDS) == 130


def test_standard_input_cannot_be_watched():
    found = CliRunner().invoke(make_app(["watch", "lsp"]), ["watch", "-"])
    assert found.exit_code == 2
    assert "standard input cannot be watched" in found.output


def test_file_that_does_not_exist_ends_the_command(tmp_path):
    result = invoke("watch", tmp_path / "none.yaml", "--json")
    assert result.exit_code == 1
    assert [problem["code"] for problem in json.loads(result.stdout)["problems"]] == ["unreadable-file"]

import csv
import fcntl
import io
import json
import os
import threading
from datetime import UTC, datetime

import pytest

from layercli.errors import LayercliError
from layercli.runs.listing import find_runs, read_run
from layercli.runs.lock import is_run_locked, lock_run
from layercli.runs.query import Condition
from tests.running import invoke

CONFIG = """
name: small
model: {input: [4], layers: [{type: Dense, name: head, units: UNITS}]}
train: {epochs: 5, loss: mean_squared_error, metrics: [mae], callbacks: []}
"""


def summary(loss, **changes):
    best = {"monitor": "val_loss", "epoch": 3, "loss": loss + 1, "val_loss": loss, "val_mae": loss / 2}
    return {
        "ok": True,
        "run": "x",
        "epochs": 5,
        "history": {},
        "best": best,
        "test": {"loss": loss, "mae": loss},
        "seconds": 2.5,
        "examples_per_second": 100.0,
        "parameters": 10,
    } | changes


def write(folder, loss=0.5, units=3, **changes):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.replace("UNITS", str(units)))
    (folder / "summary.json").write_text(json.dumps(summary(loss, **changes)))
    return folder


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, (loss, units) in enumerate([(0.5, 3), (0.1, 8), (0.9, 3)], start=1):
        write(tmp_path / f"runs/small/{number}", loss, units)
    write(tmp_path / "runs/other/1", 0.3)
    write(tmp_path / "runs/small/10", 0.7)
    return tmp_path


def rows(*args):
    result = invoke("runs", "--json", *args)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["ok"], document["problems"]) == (True, [])
    return [row["run"] for row in document["runs"]]


def test_runs_are_listed_by_name_and_number():
    assert rows() == [f"runs/{name}" for name in ("other/1", "small/1", "small/2", "small/3", "small/10")]


def test_row_has_the_results_of_the_run(place):
    os.utime(place / "runs/small/2/config.yaml", (0, 0))
    (row,) = json.loads(invoke("runs", "--json", "runs/small/2").stdout)["runs"]
    assert row == {
        "run": "runs/small/2",
        "name": "small",
        "state": "finished",
        "note": None,
        "epochs": 5,
        "best": {"monitor": "val_loss", "epoch": 3, "loss": 1.1, "val_loss": 0.1, "val_mae": 0.05},
        "test": {"loss": 0.1, "mae": 0.1},
        "seconds": 2.5,
        "examples_per_second": 100.0,
        "parameters": 10,
        "started": datetime.fromtimestamp(0).astimezone().isoformat(),
        "ended": None,
        "git": None,
    }


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--name", "small"], [1, 2, 3, 10]),
        (["--name", "*1"], [1]),  # by the whole path: runs/small/1
        (["--where", "val_loss<0.6", "--name", "small"], [1, 2]),
        (["--where", "test_mae >= 0.7", "--name", "small"], [3, 10]),
        (["--where", "model.layers.head.units=8"], [2]),
        (["--where", "model.layers.head.units!=3"], [2]),
        (["--where", "val_loss>0.1", "--where", "val_loss<0.6", "--name", "small"], [1]),
        (["--name", "small", "--sort", "val_loss"], [2, 1, 10, 3]),
        (["--name", "small", "--sort", "val_loss", "--reverse"], [3, 10, 1, 2]),
        (["--name", "small", "--sort", "val_loss", "--limit", "2"], [2, 1]),
        (["--name", "small", "--reverse"], [10, 3, 2, 1]),
        (["--where", "train.loss=mean_squared_error", "--name", "small", "--limit", "1"], [1]),
    ],
)
def test_filters_and_sorting(options, found):
    expected = [f"runs/small/{number}" for number in found]
    assert [run for run in rows(*options) if "small" in run] == expected


def test_larger_values_come_first_if_they_are_better(place):
    for number, value in enumerate([0.2, 0.9, 0.4], start=1):
        folder = write(place / f"runs/right/{number}", test={"accuracy": value})
        text = (folder / "config.yaml").read_text()
        (folder / "config.yaml").write_text(text.replace("[mae]", "[accuracy]"))
    assert rows("--name", "right", "--sort", "test_accuracy") == [f"runs/right/{n}" for n in (2, 3, 1)]


def test_comparison_shows_differences_of_configs():
    document = json.loads(invoke("runs", "--json", "--compare", "runs/small/1", "runs/small/2").stdout)
    assert document["differences"] == {"model.layers.head.units": [3, 8]}
    shown = invoke("runs", "--compare", "runs/small/1", "runs/small/2").stdout
    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.strip()}
    assert lines["model.layers.head.units"] == ["3", "8"]
    assert lines["val_loss"] == ["0.5000", "0.1000"]
    assert "Their configs are the same." in invoke("runs", "--compare", "runs/small/1", "runs/small/3").stdout


def test_unfinished_run_shows_its_progress(place):
    run = place / "runs/small/2"
    (run / "summary.json").unlink()
    lines = [{"epoch": n, "loss": 1 / n, "val_loss": abs(n - 2), "seconds": 2.0} for n in (1, 2, 3)]
    (run / "history.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"epoch": 4, "lo')
    found = read_run(run)
    assert (found.state, found.note, found.epochs, found.planned_epochs) == ("unfinished", None, 3, 5)
    assert found.best == {"monitor": "val_loss", "epoch": 2, "loss": 0.5, "val_loss": 0}
    assert found.seconds == 6.0
    shown = invoke("runs", "runs/small").stdout
    assert "3/5" in shown
    assert "unfinished" in shown


def test_locked_run_is_running_and_cannot_be_locked_twice(place):
    for name, epochs in (("1", 3), ("2", 2)):  # a finished one that takes more epochs, and a new one
        run = place / "runs/small" / name
        lines = [{"epoch": n + 1, "loss": 1.0, "seconds": 2.0} for n in range(epochs)]
        (run / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        with lock_run(run):
            found = read_run(run)
            assert (found.state, found.note, found.epochs) == ("running", None, epochs)
            assert "running" in invoke("runs", "runs/small").stdout
            with pytest.raises(LayercliError, match="Another process is training"), lock_run(run):
                pass
        assert read_run(run).state == "finished"


def test_observer_does_not_block_the_lock(place):
    run = place / "runs/small/1"
    with lock_run(run):
        pass
    handle = os.open(run / "checkpoints/.lock", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    threading.Timer(0.06, os.close, [handle]).start()
    with lock_run(run):
        assert is_run_locked(run)
    assert not is_run_locked(run)
    assert not is_run_locked(place)


@pytest.mark.parametrize(
    ("spoil", "state", "said"),
    [
        (lambda run: (run / "summary.json").write_text('{"epochs": 3'), "damaged", "it is not JSON"),
        (lambda run: (run / "summary.json").write_bytes(b"\xff\xfe"), "damaged", "it is not UTF-8 text"),
        (lambda run: (run / "summary.json").write_text("[1]"), "damaged", "it is not a mapping"),
        (lambda run: (run / "summary.json").write_text("[" * 100_000), "damaged", "it is nested too deeply"),
        (lambda run: (run / "summary.json").write_text("{}"), "damaged", "lacks epochs and best and test"),
        (lambda run: (run / "config.yaml").write_text("a: ["), "finished", None),
        (lambda run: (run / "config.yaml").unlink(), "finished", None),
        (lambda run: [file.unlink() for file in run.iterdir()], "empty", "nothing has been written"),
        (
            lambda run: [file.rename(run / f"{file.name}.old") for file in run.iterdir()],
            "foreign",
            "it contains no files of a run",
        ),
    ],
)
def test_damaged_run_is_reported_and_hides_no_other_run(place, spoil, state, said):
    spoil(place / "runs/small/1")
    found = {run.path.as_posix(): run for run in find_runs(place / "runs")}
    spoiled = found[(place / "runs/small/1").as_posix()]
    assert spoiled.state == state
    assert said is None or said in spoiled.note
    assert sum(run.state == "finished" for run in found.values()) == 4 + (state == "finished")
    for options in ([], ["--compare"], ["--sort", "val_loss"], ["--where", "epochs>1"]):
        result = invoke("runs", *options)
        assert result.exit_code == 0, result.output
        if said and options == []:
            assert f"runs/small/1 is {state}: " in result.stdout


@pytest.mark.parametrize("value", ['"no"', "true", "[1]", "{}", "1e999", "null"])
def test_results_of_wrong_types_are_left_out(place, value):
    text = (
        f'{{"epochs": {value}, "best": {value}, "test": {{"loss": {value}, "mae": 1}}, "seconds": {value}, '
        f'"parameters": {value}}}'
    )
    (place / "runs/small/1/summary.json").write_text(text)
    assert invoke("runs").exit_code == 0
    assert invoke("runs", "--json", "--sort", "seconds").exit_code == 0


def write_manifest(run, **values):
    (run / "manifest.json").write_text(json.dumps({"started": "2026-01-02T03:04:05+00:00"} | values))


def test_date_is_the_start_in_the_manifest(place):
    write_manifest(place / "runs/small/2")
    run = read_run(place / "runs/small/2")
    assert run.started == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for started in ("yesterday", 3, None, "0001-01-01T00:00:00+14:00"):
        write_manifest(place / "runs/small/2", started=started)
        assert invoke("runs").exit_code == 0


def test_unfinished_run_shows_why_it_ended_and_how_to_resume(place):
    for number in ("1", "2", "3"):
        (place / f"runs/small/{number}/summary.json").unlink()
    write_manifest(
        place / "runs/small/1", ended={"code": "loss-not-finite", "message": "The loss became nan."}
    )
    write_manifest(
        place / "runs/small/2", ended={"code": "interrupted", "message": "Interrupted at epoch 2."}
    )
    write_manifest(place / "runs/small/3", ended={"message": "a"})
    lines = invoke("runs").stdout.splitlines()[-3:]
    resume = "Resume with `layercli train --resume runs/small"
    assert lines == [
        f"runs/small/1 failed: The loss became nan. {resume}/1 --allow-changes --set KEY=VALUE`.",
        f"runs/small/2 is unfinished: Interrupted at epoch 2. {resume}/2`.",
        f"runs/small/3 is unfinished: its process ended without a message. {resume}/3`.",
    ]
    assert read_run(place / "runs/small/2").as_json()["ended"]["code"] == "interrupted"


def test_failed_run_shows_the_reason_and_what_to_do_first(place):
    for number, code in enumerate(("training-failed", "cannot-write"), start=1):
        run = place / f"runs/small/{number}"
        (run / "summary.json").unlink()
        write_manifest(run, needs_trust=True, ended={"code": code, "message": "The loss raised TypeError"})
    lines = invoke("runs").stdout.splitlines()[-2:]
    start = "failed: The loss raised TypeError. Fix the cause, then resume with `layercli train --resume"
    assert lines == [
        f"runs/small/1 {start} runs/small/1 --allow-changes --trust`.",
        f"runs/small/2 {start} runs/small/2 --trust`.",
    ]
    assert read_run(place / "runs/small/1").as_json()["state"] == "failed"


def test_run_without_the_hash_of_its_model_is_unfinished(place):
    write_manifest(place / "runs/small/1", files={"config.yaml": "0"})
    assert read_run(place / "runs/small/1").state == "unfinished"
    write_manifest(place / "runs/small/1", files={"model.keras": "0"})
    assert read_run(place / "runs/small/1").state == "finished"


@pytest.mark.parametrize("names", [[], [".lock"], [".lock", "../config.yaml", "../data.json"]])
def test_run_killed_while_it_loaded_is_empty_and_not_foreign(place, names):
    run = place / "runs/killed/1"
    (run / "checkpoints").mkdir(parents=True)
    for name in names:
        (run / "checkpoints" / name).touch()
    note = "its process ended before the training started; remove it, and train again"
    assert invoke("runs", run).stdout.replace("\n", "") == f"{run.as_posix()} is empty: {note}."
    for command in (["report", run], ["evaluate", run], ["train", "--resume", run]):
        result = invoke(*command)
        assert result.exit_code == 1
        assert "The training of this run did not start" in result.output
        assert f"`rm -r {run}`" in result.output.replace("\n", "")


def test_csv_has_a_row_for_each_run_with_all_digits(place):
    write(place / "runs/=cmd/1", 1 / 3)
    header, *lines = csv.reader(io.StringIO(invoke("runs", "--format", "csv").stdout))
    found = [dict(zip(header, line, strict=True)) for line in lines]
    assert header[:4] == ["run", "name", "state", "started"]
    assert [row["name"] for row in found] == ["'=cmd", "other", *["small"] * 4]
    assert found[0]["val_loss"] == "0.3333333333333333"
    assert [row["model.layers.head.units"] for row in found] == ["3", "3", "3", "8", "3", "3"]


def test_markdown_is_a_table_with_escaped_bars(place):
    write(place / "runs/a|b/1")
    write(place / "runs/![x](y)<b>/1")
    lines = invoke("runs", "--format", "markdown", "runs/a|b/1", "runs/![x](y)<b>/1").stdout.splitlines()
    assert lines[0].startswith("| run | name | state | started | epochs |")
    assert lines[1].startswith("| --- | --- | --- | --- | ---: |")
    assert lines[2].startswith("| runs/a\\|b/1 | a\\|b | finished | ")
    assert lines[3].startswith("| runs/\\!\\[x\\](y)&lt;b&gt;/1 | \\!\\[x\\](y)&lt;b&gt; | finished | ")
    assert len(lines) == 4


def test_format_cannot_be_used_with_json():
    assert invoke("runs", "--format", "csv", "--json").exit_code == 2


def test_names_from_disk_are_sanitized(place):
    write(place / "runs/small/[red]\x1b[2Jx", best={"monitor": "\x1b[0m", "\x1b[0m": 1.0, "epoch": 1})
    for options in ([], ["--compare"]):
        assert "\x1b" not in invoke("runs", *options).stdout


def test_link_to_a_run_is_not_listed_separately(place):
    (place / "runs/latest").symlink_to(place / "runs/small/2")
    assert len(rows()) == 5
    assert rows("runs/latest") == ["runs/latest"]


def test_folders_without_runs_are_skipped(place):
    (place / "runs/notes/deep").mkdir(parents=True)
    (place / "config.yaml").write_text("model: 1")
    assert len(rows(".")) == 5


def test_no_runs_yet_shows_how_to_create_one(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    assert invoke("runs").stdout == "There are no runs yet; `layercli train CONFIG` creates one.\n"
    assert rows() == []
    result = invoke("runs", "--json", "elsewhere")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"][0]["code"] == "run-directory"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--where", "val_loss"], "is not a condition"),
        (["--where", "val_loss<low"], "does not compare with a number"),
        (["--where", "val_los<1"], "Did you mean `val_loss`?"),
        (["--sort", "val_los"], "Did you mean `val_loss`?"),
    ],
)
def test_invalid_condition_is_a_usage_error(options, said):
    result = invoke("runs", *options)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


def test_condition_value_is_parsed_as_yaml():
    assert Condition.parse("a.b[0].c == 1e-3") == Condition("a.b[0].c", "==", 0.001)
    assert Condition.parse("name=digits") == Condition("name", "=", "digits")
    assert Condition.parse("train.optimizer.use_ema=true").expected is True

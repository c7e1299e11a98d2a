"""``layercli train --seeds``: a run for each seed, what a second start does, and which options exclude each other."""

import json
import shutil
from pathlib import Path

import pytest

from layercli.errors import LayercliError, Problem
from layercli.runs.lock import lock_run
from layercli.runs.seed_directory import SeedDirectory
from tests.running import IRIS, invoke, problems
from tests.warm_processes import start_processes_warm


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("seeds")
    (path / "iris.yaml").write_text(IRIS.replace("epochs: 2", "epochs: 1"))
    return path


def train_seeds(folder, *options):
    return invoke("train", folder / "iris.yaml", "--run-dir", folder / "s", *options)


@pytest.fixture(scope="module")
def document(folder):
    with start_processes_warm():
        result = train_seeds(folder, "--seeds", "8,3", "--jobs", 2, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_each_seed_has_a_run(folder, document):
    assert [(each["seed"], each["run"]) for each in document["seeds"]] == [
        (8, str(folder / "s" / "8")),
        (3, str(folder / "s" / "3")),
    ]
    for each in document["seeds"]:
        config = (Path(each["run"]) / "config.yaml").read_text()
        assert f"\nseed: {each['seed']}\n" in f"\n{config}"
        assert "seeds: null" in config
        group = json.loads((Path(each["run"]) / "manifest.json").read_text())["group"]
        assert group == {"kind": "seeds", "directory": str(folder / "s"), "member": str(each["seed"])}
        summary = json.loads((Path(each["run"]) / "summary.json").read_text())
        assert each["metrics"] == {f"test_{name}": value for name, value in summary["test"].items()}
    first, second = (each["metrics"]["test_loss"] for each in document["seeds"])
    assert first != second
    assert document["mean"]["test_loss"] == pytest.approx((first + second) / 2)
    assert document["std"]["test_loss"] == pytest.approx(abs(first - second) / 2**0.5)


def test_second_start_trains_nothing(folder, document):
    result = train_seeds(folder, "--set", "train.seeds=[8, 3]", "--json")
    assert json.loads(result.stdout) == document
    lines = train_seeds(folder, "--seeds", "8,3").stdout.splitlines()
    assert lines[0] == f"2 seeds in {folder / 's'}; 2 are finished."
    assert any(line.split()[:3] == ["metric", "mean", "deviation"] for line in lines)
    quiet = train_seeds(folder, "--seeds", "8,3", "--quiet")
    assert quiet.stdout.split() == [str(folder / "s")]


def test_edited_results_of_a_seed_are_not_combined(folder, document):
    path = Path(document["seeds"][1]["run"]) / "summary.json"
    before = path.read_text()
    path.write_text(before.replace("0.", "0.1", 1))
    result = train_seeds(folder, "--seeds", "8,3", "--json")
    path.write_text(before)
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["message"].startswith("The run is damaged: summary.json was modified after training")
    assert problem["file"] == str(path.parent)


def test_interrupted_seed_is_resumed(folder, document, tmp_path):
    from layercli.workflows.group_worker import claim_member

    copy = tmp_path / "s"
    shutil.copytree(folder / "s", copy)
    directory = SeedDirectory(copy, (8, 3))
    member = [*directory.list_members()][1]
    for name in ("manifest.json", "model.keras", "summary.json", "history.jsonl"):
        (copy / "3" / name).unlink()
    shutil.rmtree(copy / "3" / "checkpoints")  # killed before its start
    assert [directory.is_finished(each) for each in directory.list_members()] == [True, False]
    claim_member(directory, member, str(folder / "iris.yaml"), [], trust=False)
    assert directory.is_finished(member)
    summary = json.loads((copy / "3" / "summary.json").read_text())
    assert summary["test"]["loss"] == document["seeds"][1]["metrics"]["test_loss"]


def test_seed_is_finished_when_its_process_has_released_it(folder, document):
    assert document["ok"]
    directory = SeedDirectory(folder / "s", (8,))
    [member] = directory.list_members()
    with lock_run(directory.run_path(member)):
        assert not directory.is_finished(member)
    assert directory.is_finished(member)


def test_other_seeds_are_trained_after_one_diverged(tmp_path, monkeypatch):
    from layercli.workflows import group_worker

    trained = []

    def claim(_directory, member, *_, **__):
        trained.append(member.seed)
        if member.seed == 1:
            raise LayercliError(Problem(code="loss-not-finite", message="NaN of seed 1"))

    monkeypatch.setattr(group_worker, "claim_member", claim)
    task = {"directory": str(tmp_path), "seeds": [0, 1, 2], "file": "x", "set": [], "trust": False, "jobs": 1}
    with pytest.raises(LayercliError, match="NaN of seed 1"):
        group_worker._train_members(task)
    assert trained == [0, 1, 2]


def test_changed_config_is_an_error(folder, document):
    assert document["ok"]
    result = train_seeds(folder, "--seeds", "8,3", "--set", "train.epochs=3", "--json")
    assert problems(result) == [("run-directory", None)]
    assert "differs in the config." in result.stdout


def test_report_of_a_directory_shows_all_seeds(folder, document, tmp_path):
    assert document["ok"]
    result = invoke("report", folder / "s", "--output", tmp_path / "card.md", "--json")
    assert json.loads(result.stdout)["runs"] == [str(folder / "s" / "8"), str(folder / "s" / "3")]
    mean = document["mean"]["test_loss"]
    assert f"| test\\_loss | 2 | {mean:.4f} |" in (tmp_path / "card.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], "expected a number of seeds (1 to 1000) or a list of seeds, got 0"),
        (["--seeds", "x"], "expected a number of seeds such as 5"),
        (["--seeds", "1,2,1"], "must be different integers, got 1 more than once"),
        (["--seeds", "1,2147483648"], "got 2147483648 in [1, 2147483648]"),
        (["--seeds", "-3"], "expected a number of seeds such as 5"),
        (["--seeds", "2", "--smoke"], "a smoke test has one seed"),
        (["--seeds", "2", "--resume", "runs/x"], "a resumed run has one seed"),
        (["--jobs", "2"], "--jobs can be used only with several seeds"),
    ],
)
def test_wrong_options_are_usage_errors(options, message, folder):
    result = invoke("train", folder / "iris.yaml", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ("0", "out-of-range", "`seeds` must be a number of seeds (1 to 1000) or a list of seeds, got 0."),
        ("true", "wrong-type", "`seeds` must be a number of seeds (1 to 1000) or a list of seeds, got true."),
        ("2.5", "wrong-type", "`seeds` must be a number of seeds (1 to 1000) or a list of seeds, got 2.5."),
        (
            "'5'",
            "wrong-type",
            '`seeds` must be a number of seeds (1 to 1000) or a list of seeds, got the string "5".',
        ),
        ("[]", "wrong-length", "`seeds` must be a list of 1 to 1000 seeds, got [] of length 0."),
        ("[3, 3]", "bad-argument", "`seeds` must be different integers, got 3 more than once."),
        ("[-1]", "out-of-range", "`seeds` must be a list of seeds, got -1 in [-1]."),
        (
            "{}",
            "wrong-type",
            "`seeds` must be a number of seeds (1 to 1000) or a list of seeds, got a mapping.",
        ),
    ],
)
def test_wrong_seeds_in_a_config(value, code, message, folder):
    result = invoke("validate", folder / "iris.yaml", "--set", f"train.seeds={value}", "--json")
    [problem] = json.loads(result.stdout)["problems"]
    assert (problem["code"], problem["message"]) == (code, message)


@pytest.mark.parametrize("command", ["crossval", "sweep"])
def test_commands_of_one_run_refuse_several_seeds(command, tmp_path):
    config = tmp_path / "several.yaml"
    config.write_text(IRIS.replace("epochs: 2", "epochs: 2\n  seeds: 3").replace("seed: 3", "seed: 1"))
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        "base: several.yaml\nspace: {train.epochs: {int: [1, 2]}}\nobjective: {metric: val_loss}\n"
    )
    result = invoke(command, sweep if command == "sweep" else config, "--json")
    assert problems(result) == [("several-seeds", 10)]
    assert "--set train.seeds=null" in result.stdout


def test_group_of_processes_cannot_train_several_seeds(folder, monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG",
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}',
    )
    result = train_seeds(folder, "--seeds", "2", "--json")
    assert [code for code, _ in problems(result)] == ["bad-cluster"]

"""Run directories from elsewhere: links, pipes and JSON that are made to harm."""

import hashlib
import json
import os
import re
import shutil
import time

import pytest
import yaml

from layercli.data.reader_state import ReaderState
from layercli.errors import LayercliError
from layercli.io.regular import open_inside, parse_json
from layercli.runs import manifest
from layercli.runs.checkpoints import CheckpointDirectory
from layercli.runs.listing import find_runs
from layercli.runs.manifest import find_changed_files, open_recorded, read_manifest_or_none, write_manifest
from layercli.runs.open_run import open_run
from layercli.runs.training_state import check_training_state
from tests.running import invoke
from tests.security.mutate import rehash


@pytest.fixture
def copy(digits_run, tmp_path):
    shutil.copy(digits_run.path / "config.yaml", tmp_path)
    return shutil.copytree(digits_run.path, tmp_path / "run")


@pytest.fixture
def elsewhere(tmp_path):
    """A folder of the user with files that must stay."""
    folder = tmp_path / "home"
    (folder / ".settings").mkdir(parents=True)
    (folder / ".settings" / "key").write_text("mine")
    (folder / ".abcdefgh").mkdir()
    (folder / "notes.txt").write_text("mine")
    return folder


def state_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def replace_by_link(path, target):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize(
    "name",
    ["checkpoints", "logs", "log.csv", "history.jsonl", "config.yaml", "manifest.json", "a/b", "model.keras"],
)
@pytest.mark.parametrize("command", ["resume", "evaluate"])
def test_link_in_a_run_is_refused_and_its_target_stays(copy, elsewhere, name, command):
    before = state_of(elsewhere)
    (copy / name).parent.mkdir(exist_ok=True)
    replace_by_link(copy / name, elsewhere if name in ("checkpoints", "logs") else elsewhere / "notes.txt")
    options = (
        ("train", "--resume", copy, "--json", "--allow-changes")
        if command == "resume"
        else ("evaluate", copy, "--json")
    )
    result = invoke(*options)
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["code"] == "run-directory"
    assert f"{name} is a symbolic link" in problem["message"]
    assert state_of(elsewhere) == before


def test_only_own_names_are_removed_from_checkpoints(tmp_path, elsewhere):
    folder = tmp_path / "run" / "checkpoints"
    shutil.copytree(elsewhere, folder)
    (folder / ".partial-a1b2c3d4").mkdir()
    (folder / ".partial-linked_x").symlink_to(elsewhere)
    CheckpointDirectory(tmp_path / "run").remove_partial()
    assert sorted(path.name for path in folder.iterdir()) == [
        ".abcdefgh",
        ".partial-linked_x",
        ".settings",
        "notes.txt",
    ]
    assert (elsewhere / "notes.txt").exists()


def test_checkpoints_behind_a_link_are_not_read_or_removed(tmp_path, elsewhere):
    (elsewhere / "000001-000000000").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").symlink_to(elsewhere)
    kept = CheckpointDirectory(tmp_path / "run")
    kept.remove_partial()
    assert kept.read_latest() == (None, [])
    assert (elsewhere / "000001-000000000").is_dir()


@pytest.mark.parametrize(
    "name", ["summary.json", "history.jsonl", "config.yaml", "manifest.json", "checkpoints/.lock"]
)
def test_pipe_in_a_run_does_not_stop_the_listing(tmp_path, name):
    good, bad = tmp_path / "runs" / "good", tmp_path / "runs" / "bad"
    for run in (good, bad):
        (run / "checkpoints").mkdir(parents=True)
        (run / "manifest.json").write_text('{"files": {}}')
    (bad / name).unlink(missing_ok=True)
    os.mkfifo(bad / name)
    found = {}
    for run in find_runs(tmp_path / "runs"):
        found[run.path.name] = run.state
        assert run.config == {}
    assert found["good"] == "unfinished"


@pytest.mark.parametrize(
    "content",
    [
        '{"epochs": ' + "9" * 5000 + "}",
        '{"epochs": 1' + "0" * 400 + ', "best": {"loss": 1' + "0" * 400 + '}, "test": {}}',
        "[" * 100_000,
        '{"best": ' + "[]," * 10 + "}",
        '{"epochs": "x", "best": [1], "test": {"a": {"b": 1}}, "seconds": NaN}',
        '{"a": [' + "[]," * 1_100_000 + "[]]}",
    ],
    ids=["digits", "large", "deep", "broken", "types", "many"],
)
@pytest.mark.parametrize("name", ["summary.json", "history.jsonl"])
def test_malformed_results_are_listed_without_failing(tmp_path, name, content):
    run = tmp_path / "runs" / "bad"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("train: {epochs: 3}")
    (run / name).write_text(content)
    result = invoke("runs", tmp_path / "runs", "--json")
    assert result.exit_code == 0
    assert [row["state"] for row in json.loads(result.stdout)["runs"]] != [
        "finished"
    ] or name == "summary.json"


@pytest.mark.parametrize(
    "content",
    [
        '{"files": {}, "versions": [], "data": {"fingerprint": ""}, "execution": {}}',
        '{"files": {"config.yaml": 3}, "versions": {}, "data": {"fingerprint": ""}, "execution": {}}',
        '{"files": {}, "versions": {}, "data": {}, "execution": {}}',
        '{"files": {}, "versions": {}, "data": {"fingerprint": ""}, "execution": {}, "resumed": 3}',
    ],
)
def test_manifest_of_other_types_is_not_read(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    assert read_manifest_or_none(tmp_path) is None


def test_file_outside_a_run_is_not_opened(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "run").mkdir()
    for name in ("../secret", str(tmp_path / "secret")):
        with pytest.raises(OSError, match="outside the directory"):
            open_inside(tmp_path / "run", name)


def test_model_that_is_swapped_after_the_check_is_not_used(copy):
    open_run(str(copy))
    (copy / "model.keras").write_bytes(b"another")
    with pytest.raises(LayercliError, match=r"model\.keras was modified after training"):
        open_recorded(copy, "model.keras")


def test_files_that_are_too_large_are_refused_unread(copy):
    for name in ("model.keras", "config.yaml"):
        with (copy / name).open("rb+") as file:
            file.truncate(1 << 40)  # without a byte on the disk
    started = time.process_time()
    with pytest.raises(LayercliError, match=r"config.yaml .* has 1,099,511,627,776 bytes; the maximum is"):
        open_run(str(copy))
    shutil.copy(copy.parent / "config.yaml", copy / "config.yaml")
    with pytest.raises(LayercliError, match=r"model.keras .* has 1,099,511,627,776 bytes; the maximum is"):
        open_run(str(copy))
    assert time.process_time() - started < 10


def test_small_model_file_does_not_build_a_large_model(copy):
    """The config of a run declares 1.2 GB of weights, and its model file has a few thousand numbers."""
    config = yaml.safe_load((copy / "config.yaml").read_text())
    hidden = next(layer for layer in config["model"]["layers"] if layer["type"] == "Dense")
    hidden["units"] = 4_000_000
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["config.yaml"] = hashlib.sha256((copy / "config.yaml").read_bytes()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(LayercliError, match=r"The model has [\d,]{11,} bytes of weights, but the file has"):
        open_run(str(copy))


def test_checkpoint_that_is_too_large_is_damaged(copy):
    for arrays in (copy / "checkpoints").glob("*/arrays.npz"):
        with arrays.open("rb+") as file:
            file.truncate(1 << 40)
    checkpoint, damaged = CheckpointDirectory(copy).read_latest(1 << 30)
    assert checkpoint is None
    assert "it has 1,099,511,627,776 bytes; the maximum is 1,073,741,824" in damaged[0]


def started(copy):
    """Make a finished run one that was stopped after its last checkpoint, and return the state of that."""
    manifest = json.loads((copy / "manifest.json").read_text())
    for name in ("summary.json", "model.keras"):
        (copy / name).unlink()
        del manifest["files"][name]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return sorted(copy.glob("checkpoints/*/state.json"))[-1]


def rewrite_state(path, state):
    path.write_text(json.dumps(state))
    hashes = path.with_name("hashes.json")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    hashes.write_text(json.dumps(json.loads(hashes.read_text()) | {"state.json": digest}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("records", [{"epoch": "a", "seconds": 1, "loss": 1}]),
        ("records", [{"epoch": 1, "seconds": 1, "loss": 10**400}]),
        ("records", [{"epoch": 1, "seconds": 1, "loss": {"a": 1}}]),
        ("records", [{"epoch": 1, "seconds": 1, "\ud800": 1}]),
        ("records", []),
        ("watch", {"seconds": "x", "before": 0}),
        ("watch", {"seconds": 1}),
        ("elapsed", float("inf")),
        ("elapsed", -1),
        ("layers", 5),
        ("layers", [{"vocabulary": "/etc/hostname", "idf_weights": None}]),  # Keras would read the file
        ("layers", [{"vocabulary": ["a"], "idf_weights": "/etc/hostname"}]),
        ("layers", [{"vocabulary": ["a", None]}]),
        ("layers", [{"bin_boundaries": ["/etc/hostname"]}]),
        ("layers", [{"variables": "12"}]),
        ("layers", [{"variables": [[0.5], ["a"]]}]),
        ("epochs", 1.5),
        ("stopped", 0),
    ],
)
def test_malformed_state_is_a_damaged_checkpoint(copy, key, value):
    path = started(copy)
    state = json.loads(path.read_text())
    epoch = len(state["records"])
    check_training_state(state, epoch)
    if isinstance(value, list) and value:
        value = value * epoch
    rewrite_state(path, state | {key: value})
    _, damaged = CheckpointDirectory(copy).read_latest(None, check_training_state)
    assert damaged[0].startswith(f"{path.parent.name} is damaged (it")


def test_position_outside_the_random_numbers_is_refused(copy):
    path = started(copy)
    state = json.loads(path.read_text())
    rewrite_state(path, state | {"numpy": [1 << 20, 0, 0.0]})  # NumPy would read there, and crash
    result = invoke("train", "--resume", copy, "--json", "--allow-changes", "--set", "train.epochs=9")
    assert result.exit_code == 1
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["message"] == "The checkpoint is from a different model: its state is malformed."


def test_few_damaged_checkpoints_are_tried(tmp_path):
    for epoch in range(100):
        (tmp_path / "checkpoints" / f"{epoch:06}-000000000").mkdir(parents=True)
    checkpoint, damaged = CheckpointDirectory(tmp_path).read_latest()
    assert (checkpoint, len(damaged)) == (None, 20)


def test_sparse_files_are_not_hashed(tmp_path):
    for name in ("a", "b", "model.keras"):
        (tmp_path / name).write_bytes(b"")
    os.truncate(tmp_path / "b", 1 << 40)
    write_manifest(tmp_path, {})
    files = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert list(files) == ["a"]
    os.truncate(tmp_path / "model.keras", 1 << 40)
    expected = {"files": {"b": "x", "model.keras": "x"}}
    assert find_changed_files(tmp_path, expected, expected["files"], 1000) == ["b", "model.keras"]


def test_hashed_bytes_are_bounded_in_total(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "_MAX_HASHED_BYTES", 25)
    for name in "abcd":
        (tmp_path / name).write_text("x" * 10)
    write_manifest(tmp_path, {})
    assert list(json.loads((tmp_path / "manifest.json").read_text())["files"]) == ["a", "b"]


def test_name_that_is_not_utf8_is_not_recorded(tmp_path):
    (tmp_path / os.fsdecode(b"a\xff")).touch()
    (tmp_path / "\u00fc").touch()
    write_manifest(tmp_path, {})
    assert list(json.loads((tmp_path / "manifest.json").read_text())["files"]) == ["\u00fc"]


def test_manifest_of_too_many_files_is_not_read(tmp_path, monkeypatch):
    document = {"files": {"a": "", "b": ""}, "versions": {}, "data": {"fingerprint": ""}, "execution": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    assert read_manifest_or_none(tmp_path) == document
    monkeypatch.setattr(manifest, "MAX_ENTRIES", 1)
    assert read_manifest_or_none(tmp_path) is None


def test_run_with_odd_results_is_listed_and_compared(tmp_path):
    metrics = {f"m{number}": 1.0 for number in range(1000)}
    summary = {"epochs": 1, "best": {"monitor": "\ud800", "epoch": 1, "loss": 1.0}, "test": metrics}
    for number in "12":
        run = tmp_path / "runs" / "odd" / number
        run.mkdir(parents=True)
        (run / "config.yaml").write_text("train: {epochs: 1}")
        (run / "summary.json").write_text(json.dumps(summary))
    assert invoke("runs", tmp_path / "runs").exit_code == 0
    result = invoke("runs", "--compare", *sorted((tmp_path / "runs" / "odd").iterdir()))
    assert result.exit_code == 0
    assert "test_m0" in result.output
    assert re.search("… and 9[0-9]{2} more results.", result.output)
    assert len(result.output.splitlines()) < 100


def test_edited_class_names_stop_a_resumed_run(copy):
    state = json.loads((copy / "data.json").read_text())
    state["class_names"] = state["class_names"][::-1] if state["class_names"] else ["a"]
    (copy / "data.json").write_text(json.dumps(state))
    result = invoke("train", "--resume", copy, "--json", "--set", "train.epochs=4")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["problems"]
    assert [problem["message"] for problem in found] == ["data.json changed since the run started."]


def test_json_with_many_values_is_refused_before_it_is_in_memory():
    with pytest.raises(ValueError, match="too many values"):
        parse_json(b"[" + b"{}," * 1_000_000 + b"1]")


def record_hash(run, name):
    """Record the hash of a changed file, as somebody who sends a run would."""
    document = json.loads((run / "manifest.json").read_text())
    document["files"][name] = hashlib.sha256((run / name).read_bytes()).hexdigest()
    (run / "manifest.json").write_text(json.dumps(document))


def test_config_of_a_run_cannot_name_other_files(copy, elsewhere):
    (elsewhere / "mine.yaml").write_text("name: secret\n")
    config = copy / "config.yaml"
    config.write_text(f"extends: {elsewhere}/mine.yaml\n{config.read_text()}")
    record_hash(copy, "config.yaml")
    message = "`extends` in config.yaml names a file outside the run. layercli writes complete configs."
    for arguments in (["evaluate", copy], ["train", "--resume", copy]):
        result = invoke(*arguments, "--json")
        assert result.exit_code == 1
        assert [problem["message"] for problem in json.loads(result.stdout)["problems"]] == [message]


@pytest.mark.parametrize("section", ["data", "train"])
def test_run_whose_config_lacks_a_section_is_not_resumed(copy, section):
    message = f"This command requires the section `{section}`"
    arguments = ["train", "--resume", copy, "--allow-changes", "--json"]
    without = invoke(*arguments, "--set", f"{section}=null")
    config = copy / "config.yaml"
    document = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({key: value for key, value in document.items() if key != section}))
    record_hash(copy, "config.yaml")
    for result in (without, invoke(*arguments)):
        assert result.exit_code == 1
        [problem] = json.loads(result.stdout)["problems"]
        assert problem["message"].startswith(message)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("class_names",), "abc"),
        (("class_names",), 0.5),
        (("class_names",), [1, 2]),
        (("inputs", 0, "dtype"), "V99999999"),
        (("inputs", 0, "shape"), [-1]),
        (("targets", 0, "kind"), "\x1b[2J"),
        (("targets", 0, "columns"), "ab"),
    ],
)
def test_malformed_state_of_the_reader_is_refused(copy, path, value):
    document = json.loads((copy / "data.json").read_text())
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(ValueError, match="validation error"):
        ReaderState.from_json(document)


def test_name_of_a_changed_file_has_no_control_characters(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["\x1b[31mred"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    result = invoke("train", "--resume", copy, "--set", "train.epochs=4")
    assert result.exit_code == 1
    assert "[31mred changed since the run started" in result.output
    assert "\x1b[31mred" not in result.output


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": -5},
        {"epochs": 99},
        {"epochs": "2"},
        {"history": [1]},
        {"test": 1},
        {"seconds": {}},
        {"examples_per_second": None},
        {"parameters": True},
        {"best": {"epoch": 1}},
        {"best": {"epoch": 1, "monitor": "x"}},
        {"best": {"epoch": "1", "monitor": "loss", "loss": 1}},
        {"baseline": {"predicts": "mean"}},
        {"notes": [1]},
        {"stop_reason": 1},
        {"lora": {}, "trainable_parameters": None},
    ],
)
def test_edited_summary_is_not_printed(copy, change):
    summary = json.loads((copy / "summary.json").read_text()) | change
    (copy / "summary.json").write_text(json.dumps(summary))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["summary.json"] = hashlib.sha256((copy / "summary.json").read_bytes()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    result = invoke("train", "--resume", copy)
    assert result.exit_code == 1
    assert "does not contain the summary of a training" in " ".join(result.output.split())


def test_summary_of_a_run_from_elsewhere_names_this_run(copy):
    summary = json.loads((copy / "summary.json").read_text()) | {"run": "/elsewhere"}
    (copy / "summary.json").write_text(json.dumps(summary))
    rehash(copy, copy / "summary.json")
    result = invoke("train", "--resume", copy)
    assert result.exit_code == 0, result.output
    assert "elsewhere" not in result.output
    assert f"Model: {copy}/model.keras" in result.output

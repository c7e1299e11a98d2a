import hashlib
import json
import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import layercli
from layercli import api
from layercli.errors import LayercliError
from layercli.formats.registry import load_dataset
from layercli.runs import directory as runs
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText
from tests.running import CONFIGS, train


def reread(document, tmp_path):
    """What our own reader makes of the YAML that we write."""
    return parse_yaml(SourceText("c.yaml", runs.to_yaml(document).split("\n"), tmp_path)).to_plain()


def test_a_run_leaves_every_file_of_the_design(digits_run, custom_run):
    files = [
        "checkpoints",
        "config.yaml",
        "data.json",
        "history.jsonl",
        "manifest.json",
        "model.keras",
        "summary.json",
    ]
    assert sorted(path.name for path in digits_run.path.iterdir()) == files
    assert sorted(path.name for path in custom_run.path.iterdir()) == [
        *files[:6],
        "simple_dense.py",
        "summary.json",
    ]


def test_the_summary_is_what_the_command_printed(digits_run):
    assert json.loads((digits_run.path / "summary.json").read_text()) == digits_run.summary


def test_the_history_has_a_line_an_epoch_with_every_metric_and_the_speed(digits_run):
    records = [json.loads(line) for line in (digits_run.path / "history.jsonl").read_text().splitlines()]
    names = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "examples_per_second"]
    assert [list(record) for record in records] == [names] * 3
    assert [record["epoch"] for record in records] == [1, 2, 3]
    for name, values in digits_run.summary["history"].items():
        assert [record[name] for record in records] == values
    assert all(record["seconds"] > 0 and record["examples_per_second"] > 0 for record in records)


def test_the_manifest_tells_what_the_run_was_made_with_and_of(digits_run):
    manifest = json.loads((digits_run.path / "manifest.json").read_text())
    assert list(manifest) == ["versions", "platform", "seed", "command", "execution", "data", "files"]
    assert manifest["versions"]["layercli"] == layercli.__version__
    assert manifest["versions"]["keras"] == keras.__version__
    assert manifest["versions"]["scikit-learn"] == version("scikit-learn")
    assert manifest["seed"] == 7
    config = api.load(CONFIGS / "digits_dense.yaml").config
    parts = load_dataset(config.data).split(config.data.split, seed=7, shuffle=True)
    assert manifest["data"] == {
        "fingerprint": parts.fingerprint(),
        "train": 1437,
        "validation": 180,
        "test": 180,
    }


def test_the_hashes_in_the_manifest_are_those_of_the_files(custom_run):
    files = json.loads((custom_run.path / "manifest.json").read_text())["files"]
    assert set(files) == {path.name for path in custom_run.path.iterdir()} - {"manifest.json", "checkpoints"}
    for name, digest in files.items():
        assert hashlib.sha256((custom_run.path / name).read_bytes()).hexdigest() == digest


def test_the_saved_model_is_the_one_that_was_tested(digits_run):
    config = api.load(digits_run.path / "config.yaml").config
    parts = load_dataset(config.data).split(config.data.split, seed=config.seed, shuffle=True)
    model = keras.models.load_model(digits_run.path / "model.keras")
    loss, accuracy = model.evaluate(parts.test.x, parts.test.y, verbose=0)
    assert accuracy == pytest.approx(digits_run.summary["test"]["accuracy"])
    assert loss == pytest.approx(digits_run.summary["test"]["loss"], rel=1e-4)
    before = api.build(CONFIGS / "digits_dense.yaml").get_weights()
    assert not np.array_equal(before[0], model.get_weights()[0])


@pytest.mark.parametrize("name", ["digits_run", "custom_run"])
def test_the_config_of_a_run_trains_again_by_itself_to_the_same_history(name, request, tmp_path):
    run = request.getfixturevalue(name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in run.path.iterdir():
        if path.name == "config.yaml" or path.suffix == ".py":
            shutil.copy(path, elsewhere)
    again = train(elsewhere / "config.yaml", tmp_path / "again", "--trust")
    assert again.result.exit_code == 0, again.result.output
    for key in ("history", "test", "best"):
        assert again.summary[key] == run.summary[key]
    assert (again.path / "config.yaml").read_text() == (run.path / "config.yaml").read_text()


@pytest.mark.parametrize("name", [path.name for path in sorted(CONFIGS.glob("*.yaml"))])
def test_the_resolved_config_means_the_same_as_the_written_one(name, tmp_path):
    valid = api.load(CONFIGS / name)
    runs.write_config(tmp_path, valid)
    again = api.load(tmp_path / "config.yaml")
    data = valid.config.data
    given = {"model": None, "data": data.with_absolute_paths(CONFIGS).to_plain()}  # its paths hold anywhere
    if data.type_name() == "python":
        given["data"] = data.to_plain()  # the file of its function comes with the run
    assert again.config.to_plain() | {"model": None} == valid.config.to_plain() | given
    written = (tmp_path / "config.yaml").read_text()
    runs.write_config(tmp_path, again)
    assert (tmp_path / "config.yaml").read_text() == written
    assert [row.outputs for row in again.shapes.rows] == [row.outputs for row in valid.shapes.rows]
    assert again.check_result.name == valid.check_result.name


def test_numbers_of_runs_increase_and_gaps_are_not_filled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [runs.create_run("digits", None).as_posix() for _ in range(3)] == [
        f"runs/digits/{n}" for n in (1, 2, 3)
    ]
    (tmp_path / "runs/digits/1").rmdir()
    (tmp_path / "runs/digits/10").mkdir()
    (tmp_path / "runs/digits/notes").mkdir()
    assert runs.create_run("digits", None).name == "11"
    assert runs.create_run("iris", None).name == "1"


def test_runs_that_start_at_once_get_directories_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        paths = list(pool.map(lambda _: runs.create_run("digits", None), range(64)))
    assert sorted(int(path.name) for path in paths) == list(range(1, 65))


def test_a_name_may_not_lead_out_of_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LayercliError, match=r"may not lead out of `runs/`"):
        runs.create_run("../elsewhere", None)


def test_a_run_directory_may_exist_if_it_is_empty(tmp_path):
    (tmp_path / "mine").mkdir()
    assert runs.create_run("digits", str(tmp_path / "mine")) == tmp_path / "mine"
    assert runs.create_run("digits", str(tmp_path / "deep/er")).is_dir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(LayercliError, match="The run directory is not empty"):
        runs.create_run("digits", str(tmp_path / "mine"))
    with pytest.raises(LayercliError, match="The run directory cannot be made: File exists"):
        runs.create_run("digits", str(tmp_path / "mine" / "file"))


def test_only_an_empty_run_directory_is_discarded(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for name in ("empty", "full", "absent"):
        runs.discard_run(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_a_staged_file_appears_whole_with_the_usual_permissions(tmp_path):
    target = tmp_path / "model.keras"
    with runs.stage_file(target) as staging:
        staging.write_text("all")
        assert not target.exists()
        assert (staging.parent, staging.suffix) == (tmp_path, ".keras")
    plain = tmp_path / "plain"
    plain.touch()
    assert target.read_text() == "all"
    assert target.stat().st_mode == plain.stat().st_mode


def stop_after(_, error):
    raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_staged_file_that_fails_leaves_nothing_and_the_older_one(tmp_path, error):
    target = tmp_path / "summary.json"
    target.write_text("older")
    with pytest.raises(error), runs.stage_file(target) as staging:
        stop_after(staging.write_text("half"), error)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    assert target.read_text() == "older"


def test_json_that_json_lacks_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        runs.write_json(tmp_path / "summary.json", {"loss": math.nan})
    assert list(tmp_path.iterdir()) == []


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30) | st.sampled_from(
    ["1e-3", "no", "012", "null", "~", "a: b", "- a", "# a", "0x1F", "0o17", ".inf", "1_000", "1:30", "=",
     "<<",
     "y",
     "", " lead", "trail ", "a\nb", "a\n\nb\n", "tab\tin", "'", '"', "\\n", "ünïcode 図", "🦆",
     "{a}", "[a]", "*a", "&a",
     "!a", "%a", "@a", "`a", "a #b", "long " * 60, "x" * 300, "\u2028", "\x85", "\x7f", "\x1b[0m"]
)  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
keys = texts.filter(lambda key: key not in ("", "<<"))  # an empty key, and a merge, are refused by the reader
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(["a", "b", "name"]), values, min_size=1))
@example({"a": 1e-07, "b": [1e300, 5e-324, -0.0, math.inf, -math.inf, 1e22]})
@example({"a": ["1e-3", "no", "012", "null", "a: b"], "b": {"on": {"1:30": []}}, "name": {}})
def test_yaml_that_is_written_reads_back_to_the_same_values(tmp_path_factory, document):
    again = reread(document, tmp_path_factory.getbasetemp())
    assert again == document
    assert repr(again) == repr(document)  # 1 is not 1.0, nor true


def test_nan_reads_back_as_nan(tmp_path):
    assert math.isnan(reread({"a": math.nan}, tmp_path)["a"])


def test_a_list_of_scalars_is_written_on_one_line_and_a_repeated_value_twice():
    shape = [8, 8, 1]
    assert runs.to_yaml({"a": shape, "b": [{"c": shape}]}) == "a: [8, 8, 1]\nb:\n- c: [8, 8, 1]\n"

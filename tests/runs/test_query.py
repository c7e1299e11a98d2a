"""Runs are filtered by conditions, and sorted from best to worst."""

from pathlib import Path

import pytest

from layercli.runs.listing import Run
from layercli.runs.query import (
    Condition,
    choose_columns,
    filter_by_name,
    find_config_differences,
    limit_columns,
    list_run_keys,
    sort_runs,
)
from layercli.runs.resume_command import format_resume_command


def make_run(name, **test):
    return Run(Path("runs") / name, "finished", epochs=3, test=test)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("test_auc>0.5", "c"),
        ("test_auc >= 0.5", "bc"),
        ("test_auc<0.5", "a"),
        ("test_auc<=0.5", "ab"),
        ("test_auc=0.5", "b"),
        ("test_auc == 0.5", "b"),
        ("test_auc!=0.5", "ac"),
        ("test_auc=null", "d"),
        ("test_auc==null", "d"),
        ("test_auc!=null", "abc"),
        ("name=b", "b"),
        ("name!=b", "acd"),
        ("name>1", ""),
        ("epochs=3", "abcd"),
        ("test_f1>0", ""),
    ],
)
def test_conditions(text, found):
    runs = [make_run("a", auc=0.25), make_run("b", auc=0.5), make_run("c", auc=0.75), make_run("d")]
    condition = Condition.parse(text)
    assert "".join(run.name for run in runs if condition.is_met_by(run)) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auc", "is not a condition"),
        ("=1", "is not a condition"),
        ("auc>high", "does not compare with a number"),
        ("auc<", "does not compare with a number"),
        ("auc>=true", "does not compare with a number"),
    ],
)
def test_texts_that_are_not_conditions(text, message):
    with pytest.raises(ValueError, match=message):
        Condition.parse(text)


def test_long_numbers_are_texts():
    assert Condition.parse("name=" + "9" * 5000).expected == "9" * 5000


def test_names_match_by_run_or_directory():
    runs = [make_run("digits/1"), make_run("iris/2"), make_run("iris")]
    assert filter_by_name(runs, "iris*") == runs[1:]
    assert filter_by_name(runs, "runs/digits/?") == runs[:1]
    assert filter_by_name(runs, "Iris") == []


@pytest.mark.parametrize(("reverse", "names"), [(False, "bcad"), (True, "acbd")])
def test_runs_without_the_value_are_last(reverse, names):
    runs = [make_run("d"), make_run("a", auc=0.75), make_run("b", auc=0.25), make_run("c", auc=0.5)]
    assert "".join(run.name for run in sort_runs(runs, "test_auc", reverse=reverse)) == names


@pytest.mark.parametrize(("reverse", "names"), [(False, "ba"), (True, "ab")])
def test_metrics_that_are_better_when_larger_are_descending(tmp_path, reverse, names):
    runs = []
    for name, value in (("a", 0.25), ("b", 0.75)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("train: {loss: mse, metrics: [auc]}\n")
        runs.append(Run(tmp_path / name, "finished", test={"auc": value}))
    assert "".join(run.name for run in sort_runs(runs, "test_auc", reverse=reverse)) == names


def test_numbers_are_before_texts():
    runs = [make_run("a", x="text"), make_run("b", x=10), make_run("c", x=9)]
    assert "".join(run.name for run in sort_runs(runs, "test_x", reverse=False)) == "cba"


def test_differences_of_configs(tmp_path):
    texts = (
        "seed: 1\nname: x\ntrain: {epochs: 2}\n",
        "seed: 1\nname: x\ntrain: {epochs: 2.0}\n",
        "seed: 1\n",
    )
    for number, text in enumerate(texts):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "config.yaml").write_text(text)
    runs = [Run(tmp_path / str(number), "finished", epochs=1) for number in range(3)]
    assert find_config_differences(runs[:2]) == {"train.epochs": [2, 2.0]}
    assert find_config_differences(runs) == {"name": ["x", "x", None], "train.epochs": [2, 2.0, None]}
    assert find_config_differences(runs[:1]) == {}
    assert list_run_keys(runs[1:]) == ["run", "name", "state", "epochs", "seed", "train.epochs"]


def test_command_that_resumes_a_run():
    assert format_resume_command("runs/a b") == "`layercli train --resume 'runs/a b'`"
    command = format_resume_command(Path("runs/1"), "--quiet", needs_trust=True)
    assert command == "`layercli train --resume runs/1 --quiet --trust`"


@pytest.mark.parametrize(
    ("rows", "columns"), [(0, 5000), (1, 5000), (400, 5000), (500, 4000), (10_000, 200), (50_000, 200)]
)
def test_columns_of_a_table_are_bounded(rows, columns):
    assert limit_columns(rows) == columns


def test_columns_of_most_runs_are_chosen_in_their_order():
    counts = {f"rare{index}": 1 for index in range(300)} | {"a": 7, "rare": 1, "b": 9}
    chosen = choose_columns(counts, 50_000)
    assert chosen == [*(f"rare{index}" for index in range(198)), "a", "b"]


def test_configs_with_very_many_keys_are_compared_in_a_bounded_table():
    runs = [make_run(str(number)) for number in range(2_000)]
    for number, run in enumerate(runs):
        run.__dict__["config"] = {"seed": number, **{f"k{number}_{key}": key for key in range(3)}}
    differences = find_config_differences(runs)
    assert len(differences) == 1_000
    assert differences["seed"] == list(range(2_000))

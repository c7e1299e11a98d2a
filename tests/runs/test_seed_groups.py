"""Runs that differ in their seed: groups, mean and deviation, and the paired test against values of SciPy."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from layercli.errors import LayercliError
from layercli.runs.listing import read_run
from layercli.runs.seed_directory import SeedDirectory, open_seed_directory, read_seed_directory
from layercli.runs.seed_groups import (
    adjust_by_holm,
    compare_by_seed,
    compare_groups,
    find_seed_groups,
    list_scores,
    summarize_scores,
)
from layercli.workflows.report import _list_runs
from tests.running import invoke, problems

FIRST = {1: 0.90, 2: 0.92, 3: 0.88, 4: 0.91, 5: 0.89}
MANIFEST = {"files": {}, "versions": {}, "data": {"fingerprint": ""}, "execution": {}}
SECOND = {1: 0.92, 2: 0.95, 3: 0.89, 4: 0.93, 5: 0.93}


@pytest.fixture
def write_runs(tmp_path, monkeypatch):
    """Write finished runs of a config for seeds with these test accuracies; return them as they are read."""
    monkeypatch.chdir(tmp_path)

    def write(folder, accuracies, *, units=8, validation=None):
        for seed, accuracy in accuracies.items():
            path = Path(folder) / str(seed)
            path.mkdir(parents=True)
            (path / "config.yaml").write_text(
                f"seed: {seed}\nmodel: {{layers: [{{type: Dense, units: {units}}}]}}\n"
            )
            best = {"epoch": 1, "monitor": "loss", "loss": 1.0, **(validation or {})}
            test = {} if accuracy is None else {"accuracy": accuracy}
            summary = {"epochs": 1, "best": best, "test": test}
            (path / "summary.json").write_text(json.dumps(summary))
        return [read_run(Path(folder) / str(seed)) for seed in accuracies]

    return write


def test_paired_test_equals_scipy():
    # scipy.stats.ttest_rel(second, first). By hand: mean 0.024, sd 0.0114018, t = 0.024 / (0.0114018 / sqrt(5)) = 4.7068
    found = compare_by_seed(FIRST, SECOND, "accuracy")
    assert found.seeds == 5
    assert found.difference == pytest.approx(0.024)
    assert found.t == pytest.approx(4.706787243316419)
    assert found.p == pytest.approx(0.009261696759514404)
    assert found.interval == pytest.approx((0.009842852230177286, 0.038157147769822715))
    assert found.differs is True
    document = found.as_json()
    assert document["interval"] == pytest.approx([0.009842852230177286, 0.038157147769822715])
    assert (document["seeds"], document["differs"]) == (5, True)
    assert compare_by_seed(FIRST, {7: 0.9}, "accuracy").as_json()["interval"] is None
    opposite = compare_by_seed(SECOND, FIRST, "accuracy")
    assert (opposite.t, opposite.p) == pytest.approx((-4.706787243316419, 0.009261696759514404))


def test_pairs_are_found_by_seed_not_by_position():
    mixed = dict(reversed(SECOND.items())) | {9: 0.0}
    assert compare_by_seed(FIRST, mixed, "accuracy").t == pytest.approx(4.706787243316419)


def test_small_difference_is_not_beyond_seeds():
    found = compare_by_seed({1: 0.90, 2: 0.92, 3: 0.88}, {1: 0.91, 2: 0.90, 3: 0.89}, "accuracy")
    assert found.p == pytest.approx(1.0)  # the differences 0.01, -0.02 and 0.01 have the mean 0
    assert found.differs is False


@pytest.mark.parametrize(("second", "seeds"), [({7: 0.9}, 0), ({1: 0.95, 7: 0.9}, 1)])
def test_too_few_common_seeds_have_no_answer(second, seeds):
    found = compare_by_seed(FIRST, second, "accuracy")
    assert (found.seeds, found.t, found.p, found.interval, found.differs) == (seeds, None, None, None, None)


def test_equal_results_do_not_differ_and_a_constant_shift_does():
    equal = compare_by_seed({1: 0.5, 2: 0.75}, {1: 0.5, 2: 0.75}, "loss")
    assert (equal.difference, equal.t, equal.p, equal.differs) == (0, None, 1.0, False)
    shifted = compare_by_seed({1: 0.5, 2: 0.75}, {1: 0.75, 2: 1.0}, "loss")
    assert (shifted.difference, shifted.interval, shifted.p, shifted.differs) == (
        0.25,
        (0.25, 0.25),
        0.0,
        True,
    )


def test_holm_equals_the_published_steps():
    # Holm (1979): 3 x 0.01, then max(2 x 0.02), then max(1 x 0.035, 0.04)
    assert adjust_by_holm([0.035, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert adjust_by_holm([0.9, 0.6]) == [1.0, 1.0]


def test_mean_and_deviation():
    found = summarize_scores({"accuracy": [0.8, 0.9, 1.0], "loss": [0.5]})
    assert found["mean"] == pytest.approx({"accuracy": 0.9, "loss": 0.5})
    assert found["std"]["accuracy"] == pytest.approx(0.1)
    assert summarize_scores({"loss": [0.5]})["std"] == {"loss": None}


def test_runs_are_grouped_by_config_without_seed(write_runs):
    runs = write_runs("a", FIRST) + write_runs("b", SECOND, units=16) + write_runs("again", {1: 0.0})
    groups = find_seed_groups(runs)
    assert [(group.title, list(group.runs)) for group in groups] == [
        ("a", [1, 2, 3, 4, 5]),
        ("b", [1, 2, 3, 4, 5]),
    ]
    assert groups[0].scores == {"test_accuracy": FIRST}
    assert find_seed_groups(runs[::5]) == []  # one seed of each config
    assert [list(group.runs) for group in find_seed_groups(runs[:6])] == [[1, 2, 3, 4, 5], [1]]


def test_validation_is_compared_without_a_test_set(write_runs):
    [run] = write_runs("a", {1: None}, validation={"val_loss": 0.25})
    assert list_scores(run) == {"val_loss": 0.25}
    assert list_scores(write_runs("b", {1: None})[0]) == {"loss": 1.0}


def test_p_values_of_several_configs_are_adjusted(write_runs):
    runs = write_runs("a", FIRST) + write_runs("b", SECOND, units=16) + write_runs("c", FIRST, units=32)
    found = compare_groups(find_seed_groups(runs))
    assert [test.group for test in found] == [1, 2]
    assert found[0].p == pytest.approx(2 * 0.009261696759514404)


def test_comparison_says_whether_configs_differ(write_runs):
    write_runs("a", FIRST)
    write_runs("b", SECOND, units=16)
    document = json.loads(invoke("runs", "--compare", "a", "b", "--json").stdout)
    assert [group["name"] for group in document["groups"]] == ["a", "b"]
    assert document["groups"][0]["mean"] == pytest.approx({"test_accuracy": 0.9})
    [test] = document["tests"]
    assert (test["metric"], test["seeds"], test["differs"]) == ("test_accuracy", 5, True)
    text = invoke("runs", "--compare", "a", "b").stdout
    assert "b minus a, over 5 seeds that both have:" in text
    row = next(
        line.split() for line in text.splitlines() if line.startswith(" test_accuracy   ") and " to " in line
    )
    assert row == ["test_accuracy", "0.0240", "0.0098", "to", "0.0382", "0.0093", "yes"]
    assert "Paired t-test by seed: configs differ beyond seeds if p < 0.05." in text


def test_comparison_says_why_there_is_no_test(write_runs):
    write_runs("a", FIRST)
    write_runs("b", {1: 0.5, 8: 0.5}, units=16)
    text = invoke("runs", "--compare", "a", "b").stdout
    assert "`b` is not compared with `a`: they have only one seed in common, and the test needs two." in text
    assert "Paired t-test" not in text
    alone = invoke("runs", "--compare", "a", "--json").stdout
    assert (len(json.loads(alone)["groups"]), json.loads(alone)["tests"]) == (1, [])


def test_configs_without_common_seeds_are_one_sentence(write_runs):
    write_runs("a", FIRST)
    for number, name in enumerate("bcdefg", start=1):
        write_runs(name, {1: 0.5}, units=16 * number)
    write_runs("h", {7: 0.5}, units=3)
    lines = invoke("runs", "--compare", *"abcdefgh").stdout.splitlines()
    assert [line.partition(" in common")[0] for line in lines if "not compared" in line] == [
        "`h/7` is not compared with `a`: they have no seed",
        "`b/1`, `c/1`, `d/1`, `e/1`, `f/1`, `g/1` are not compared with `a`: they have only one seed",
    ]


def test_directory_of_seeds_grows_and_keeps_its_config(tmp_path):
    path = str(tmp_path / "s")
    assert open_seed_directory("x", path, seeds=[1, 2], digest="d") == SeedDirectory(Path(path), (1, 2))
    assert open_seed_directory("x", path, seeds=[2, 3], digest="d").seeds == (2, 3)
    known = read_seed_directory(Path(path))
    assert known is not None
    assert known.seeds == (1, 2, 3)
    with pytest.raises(Exception, match="a training of several seeds that differs in the config"):
        open_seed_directory("x", path, seeds=[9], digest="other")
    assert read_seed_directory(Path(path)) == known


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seeds": 3}', '{"seeds": ["../x", -1, true]}'])
def test_state_file_from_elsewhere_is_not_trusted(content, tmp_path):
    (tmp_path / "seeds.json").write_text(content)
    assert read_seed_directory(tmp_path) is None


def test_resume_of_a_directory_of_seeds_names_its_runs(tmp_path):
    open_seed_directory("x", str(tmp_path / "s"), seeds=[4, 5], digest="d")
    result = invoke("train", "--resume", tmp_path / "s", "--json")
    assert problems(result) == [("run-directory", None)]
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["message"] == "This is the directory of several seeds, not a run directory."
    assert problem["hint"] == "Run the command that created it again."  # no run has started
    (tmp_path / "s" / "4").mkdir()
    (tmp_path / "s" / "4" / "manifest.json").write_text("{}")
    result = invoke("train", "--resume", tmp_path / "s", "--json")
    assert str(tmp_path / "s" / "4") in json.loads(result.stdout)["problems"][0]["hint"]


def test_results_too_large_for_a_test_are_left_out(write_runs):
    first = write_runs("a", {1: 1e308, 2: -1e308})
    second = write_runs("b", {1: -1e308, 2: 1e308}, units=9)
    assert compare_groups(find_seed_groups([*first, *second])) == []


def test_folder_with_the_run_of_another_seed_is_refused(tmp_path):
    folder = str(tmp_path / "s")
    open_seed_directory("x", folder, seeds=[1, 2], digest="d")
    for name, seed in (("1", 1), ("2", 1)):
        (tmp_path / "s" / name).mkdir()
        (tmp_path / "s" / name / "manifest.json").write_text(json.dumps(MANIFEST | {"seed": seed}))
    assert open_seed_directory("x", folder, seeds=[1], digest="d").seeds == (1,)
    with pytest.raises(LayercliError, match="folder of seed 2 must have this seed, got 1"):
        open_seed_directory("x", folder, seeds=[1, 2], digest="d")


def test_seed_is_finished_when_its_manifest_has_the_model(tmp_path):
    directory = open_seed_directory("x", str(tmp_path / "s"), seeds=[1, 2, 3], digest="d")
    for name, files in (("1", {}), ("2", {"model.keras": ""})):
        (directory.path / name).mkdir()
        manifest = MANIFEST | {"seed": int(name), "files": files}
        (directory.path / name / "manifest.json").write_text(json.dumps(manifest))
    assert [directory.is_finished(member) for member in directory.list_members()] == [False, True, False]


def test_report_does_not_follow_a_link_to_a_run_elsewhere(tmp_path, write_runs):
    write_runs("private", {1: 0.5})
    open_seed_directory("x", "s", seeds=[1], digest="d")
    Path("s/1").symlink_to(tmp_path / "private" / "1")
    assert _list_runs(Path("s")) == [Path("s")]


def test_seeds_that_are_started_at_the_same_time_are_all_known(tmp_path):
    folder = str(tmp_path / "s")
    pairs = [[number, number + 100] for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        opened = [pool.submit(open_seed_directory, "x", folder, seeds=pair, digest="d") for pair in pairs]
        assert [each.result().seeds for each in opened] == [tuple(pair) for pair in pairs]
    known = read_seed_directory(Path(folder))
    assert known is not None
    assert sorted(known.seeds) == sorted(seed for pair in pairs for seed in pair)


def test_state_that_a_killed_process_left_half_written_is_written_again(tmp_path):
    (tmp_path / ".seeds.json.lock").touch()
    (tmp_path / ".partial-abcd1234.json").write_text('{"con')
    assert open_seed_directory("x", str(tmp_path), seeds=[1], digest="d").seeds == (1,)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".seeds.json.lock", "seeds.json"]


def test_folder_of_others_gets_no_lock(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(LayercliError, match="is not empty"):
        open_seed_directory("x", str(tmp_path), seeds=[1], digest="d")
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]

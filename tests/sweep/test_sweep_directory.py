"""The directory of a sweep and the packages that it requires."""

import importlib.machinery
import importlib.util

import pytest

from layercli.errors import LayercliError
from layercli.sweep.plan import read_sweep_plan
from layercli.sweep.study import _open_database, make_sweep_directory, require_optuna

SWEEP = """
base: iris.yaml
space:
  model.layers[0].units: {int: [4, 32]}
objective: {metric: loss}
name: swept
sampler: SAMPLER
"""


@pytest.fixture
def make_plan(iris, monkeypatch):
    def make_plan(sampler="RandomSampler"):
        file = iris.with_name("s.yaml")
        file.write_text(SWEEP.replace("SAMPLER", sampler))
        return read_sweep_plan(str(file))[0]

    monkeypatch.chdir(iris.parent)
    return make_plan


@pytest.fixture
def uninstall(monkeypatch):
    """Return a function that makes packages look as if they were not installed, and all others as if they were."""

    def uninstall(*packages):
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name: None if name in packages else importlib.machinery.ModuleSpec(name, None),
        )

    return uninstall


@pytest.mark.parametrize("package", ["optuna", "matplotlib", "sqlalchemy"])
def test_each_package_of_a_sweep_is_required(make_plan, uninstall, package):
    plan = make_plan()
    uninstall()
    require_optuna(plan)
    uninstall(package)
    with pytest.raises(LayercliError) as caught:
        require_optuna(plan)
    (problem,) = caught.value.problems
    assert (problem.code, problem.message) == (
        "missing-package",
        f"A sweep requires {package}, which must be installed.",
    )
    assert problem.hint == "Install it: `pip install 'layercli[sweep]'`."


def test_package_of_the_sampler_is_required(make_plan, uninstall):
    plan, other = make_plan("CmaEsSampler"), make_plan()
    uninstall("cmaes")
    require_optuna(other)
    with pytest.raises(LayercliError) as caught:
        require_optuna(plan)
    (problem,) = caught.value.problems
    assert (problem.line, problem.message) == (7, "CmaEsSampler requires cmaes, which is not installed.")
    assert problem.hint == "Install it: `pip install cmaes`."


@pytest.mark.parametrize(
    ("entries", "storage", "is_ours"),
    [
        ([], None, True),
        (["notes"], None, True),
        (["1"], None, False),
        (["1", "notes"], None, False),
        (["1", "journal.jsonl"], None, True),
        (["1"], "sqlite:///s.db", True),
    ],
)
def test_directory_with_other_runs_is_refused(make_plan, tmp_path, entries, storage, is_ours):
    plan = make_plan()
    for name in entries:
        (tmp_path / "runs/swept" / name).mkdir(parents=True)
    if is_ours:
        assert make_sweep_directory(plan, storage).as_posix() == "runs/swept"
        assert (tmp_path / "runs/swept").is_dir()
        return
    with pytest.raises(LayercliError) as caught:
        make_sweep_directory(plan, storage)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("run-directory", 6)
    assert problem.message == "runs/swept contains runs of other trainings."


def test_directory_that_cannot_be_created_is_a_problem(make_plan, tmp_path):
    plan = make_plan()
    (tmp_path / "runs").write_text("")
    with pytest.raises(LayercliError) as caught:
        make_sweep_directory(plan, None)
    (problem,) = caught.value.problems
    assert problem.code == "run-directory"
    assert problem.message.startswith("The sweep's directory cannot be created: ")


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_worker_of_a_database_is_lost_after_three_heartbeats(tmp_path):
    storage = _open_database(f"sqlite:///{tmp_path}/s.db", 7)
    assert (storage.heartbeat_interval, storage.grace_period) == (7, 21)
    storage.engine.dispose()

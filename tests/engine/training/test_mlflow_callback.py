import json
import sys
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from layercli.check import check_config, require_valid
from layercli.config.training.callbacks import MLflow
from layercli.engine.training.mlflow_callback import build_mlflow_callback
from layercli.errors import LayercliError, Problem
from layercli.runs.mlflow_run import open_mlflow_run
from layercli.workflows.tracking import list_group_results, track_group
from tests.running import invoke, problems, train, write_config

DIABETES = {"type": "sklearn", "dataset": "diabetes"}
HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}


@pytest.fixture
def config(tmp_path):
    section = {
        "epochs": 2,
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "callbacks": [{"type": "MLflow", "experiment": "flowers"}],
    }
    return write_config(tmp_path, [HEAD], train=section)


@pytest.fixture
def fake(monkeypatch):
    """A stand-in for MLflow, which may not be installed: the calls of its client, and those that fail."""
    fake = SimpleNamespace(calls=[], failing=set(), has_address=True)
    run = SimpleNamespace(
        info=SimpleNamespace(run_id="r1", lifecycle_stage="active"),
        data=SimpleNamespace(
            params={"train.epochs": "2"}, metrics={"loss": 0.5}, tags={"layercli.run": "run"}
        ),
    )
    answers = {"create_experiment": "7", "create_run": run, "get_run": run, "get_metric_history": []}

    class Client:
        def __getattr__(self, method):
            def call(*args, **options):
                fake.calls.append((method, args, options))
                if method in fake.failing:
                    raise OSError("No connection to the server.")
                return answers.get(method)

            return call

    mlflow, exceptions, entities = (
        ModuleType(name) for name in ("mlflow", "mlflow.exceptions", "mlflow.entities")
    )
    entities.Param = lambda name, value: (name, value)
    mlflow.MlflowClient, mlflow.__spec__ = Client, ModuleSpec("mlflow", None)
    mlflow.is_tracking_uri_set = lambda: fake.has_address
    exceptions.MlflowException = type("MlflowException", (Exception,), {})
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", exceptions)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.setattr("layercli.runs.mlflow_run.find_spec", lambda _: mlflow)
    return fake


def test_calls_of_the_mlflow_client(config, fake, tmp_path):
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    assert fake.calls[:3] == [
        *[("get_experiment_by_name", ("flowers",), {})] * 2,  # before TensorFlow is loaded, and when it logs
        ("create_experiment", ("flowers",), {}),
    ]
    method, args, options = fake.calls[3]
    assert (method, args, options["run_name"]) == ("create_run", ("7",), str(run.path))
    assert options["tags"]["layercli.run"] == str(run.path)
    assert json.loads((run.path / "mlflow.json").read_text()) == {"run_id": "r1"}
    params = dict(
        param for method, _, options in fake.calls if method == "log_batch" for param in options["params"]
    )
    assert (params["train.epochs"], params["data.dataset"]) == ("2", "iris")
    metrics = [(*args, options) for method, args, options in fake.calls if method == "log_metric"]
    losses = run.summary["history"]["loss"]
    assert [metric for metric in metrics if metric[1] == "loss"] == [
        ("r1", "loss", pytest.approx(losses[0]), {"step": 1}),
        ("r1", "loss", pytest.approx(losses[1]), {"step": 2}),
    ]
    artifacts = [Path(args[1]).name for method, args, _ in fake.calls if method == "log_artifact"]
    assert artifacts == ["config.yaml", "manifest.json", "summary.json", "model.keras", "report.md"]
    assert fake.calls[-1] == ("set_terminated", ("r1", "FINISHED"), {})
    fake.calls.clear()
    resumed = invoke("train", "--resume", run.path, "--set", "train.epochs=3")
    assert resumed.exit_code == 0, resumed.output
    assert fake.calls[1:3] == [("get_run", ("r1",), {}), ("update_run", ("r1",), {"status": "RUNNING"})]
    assert ("set_tag", ("r1", "resumed.train.epochs", "3"), {}) in fake.calls
    steps = [options["step"] for method, args, options in fake.calls if args[1:2] == ("loss",) and options]
    assert steps == [3]
    assert "create_run" not in {method for method, *_ in fake.calls}


def test_trial_of_a_sweep_has_tags_of_the_sweep(config, fake, tmp_path):
    run = tmp_path / "search" / "3"
    run.mkdir(parents=True)
    group = {"kind": "sweep", "directory": "runs/search", "member": "3"}
    manifest = {"files": {}, "versions": {}, "execution": {}, "data": {"fingerprint": ""}, "group": group}
    (run / "manifest.json").write_text(json.dumps(manifest))
    valid = require_valid(check_config(str(config)))
    build_mlflow_callback(MLflow(), run, valid, ("train", "callbacks", 0))
    parent, own = [options["tags"] for method, _, options in fake.calls if method == "create_run"]
    tags = {"layercli.group.kind": "sweep", "layercli.group.directory": "runs/search"}
    assert parent == {"layercli.run": str(run.parent), **tags}
    assert own == {
        "layercli.run": str(run),
        "layercli.group.member": "3",
        "mlflow.parentRunId": "r1",
        **tags,
    }
    fake.calls.clear()
    (run / "mlflow.json").unlink()
    build_mlflow_callback(MLflow(), run, valid, ("train", "callbacks", 0))
    assert fake.calls[1] == ("update_run", ("r1",), {"status": "RUNNING"})  # the parent is found again
    assert [method for method, *_ in fake.calls].count("create_run") == 1


def test_end_of_a_group_ends_its_parent_run(fake, tmp_path):
    interruption = LayercliError(Problem(code="interrupted", message="Interrupted."))
    failure = LayercliError(Problem(code="loss-not-finite", message="The loss is NaN."))
    (tmp_path / "mlflow.json").write_text('{"run_id": "r1"}')
    for error, status in (
        (None, "FINISHED"),
        (interruption, "KILLED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(143), "KILLED"),
        (failure, "FAILED"),
    ):
        fake.calls.clear()
        with suppress(LayercliError, KeyboardInterrupt, SystemExit), track_group(tmp_path) as results:
            results |= list_group_results({"mean": {"loss": 0.5}, "std": {"loss": None}})
            if error is not None:
                raise error
        assert fake.calls[1:] == [
            ("log_metric", ("r1", "mean_loss", 0.5), {"step": 0}),
            ("set_terminated", ("r1", status), {}),
        ]


def test_lost_mlflow_server_does_not_stop_training(config, fake, tmp_path):
    fake.failing = {"log_metric"}
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    warning = "warning: Stopped logging to MLflow: No connection to the server."
    assert [line for line in run.result.stderr.splitlines() if "MLflow" in line] == [warning] * 2
    assert [method for method, *_ in fake.calls].count("log_metric") == 2  # and once at the end
    fake.failing = {"create_run"}
    result = train(config, tmp_path / "again").result
    assert problems(result)[0][0] == "training-failed"
    assert "MLflow refused the run: No connection to the server." in result.stdout


def test_database_of_the_current_folder_is_not_used(config, fake, tmp_path):
    fake.has_address = False
    run = tmp_path / "run"
    result = train(config, run).result
    assert problems(result)[0][0] == "training-failed"
    assert "MLflow has no server: the environment variable MLFLOW_TRACKING_URI is not set." in result.stdout
    assert (run.exists(), "loading TensorFlow" in result.stderr) == (False, False)
    run.mkdir()
    (run / "mlflow.json").write_text('{"run_id": "r1"}')
    assert open_mlflow_run(run) is None
    assert fake.calls == []


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of MLflow in a folder, if MLflow is installed: its client, and the runs of the experiment."""
    mlflow = pytest.importorskip("mlflow")
    address = f"file:{tmp_path / 'store'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(address)
    client = mlflow.MlflowClient(address)

    def list_runs():
        return client.search_runs([client.get_experiment_by_name("flowers").experiment_id])

    return SimpleNamespace(client=client, list_runs=list_runs)


def test_config_metrics_model_and_report_are_logged(config, tmp_path, store):
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    [logged] = store.list_runs()
    assert (logged.info.status, logged.info.run_name) == ("FINISHED", str(run.path))
    assert logged.data.params["train.optimizer.type"] == "RMSprop"
    assert logged.data.params["data.dataset"] == "iris"
    assert logged.data.metrics["test_accuracy"] == pytest.approx(run.summary["test"]["accuracy"])
    history = store.client.get_metric_history(logged.info.run_id, "val_accuracy")
    assert [metric.step for metric in history] == [1, 2]
    assert [metric.value for metric in history] == pytest.approx(run.summary["history"]["val_accuracy"])
    files = {file.path for file in store.client.list_artifacts(logged.info.run_id)}
    assert files == {"config.yaml", "manifest.json", "model", "report.md", "summary.json"}
    card = Path(store.client.download_artifacts(logged.info.run_id, "report.md")).read_text()
    assert "\n# Model card: " in card
    assert "\nfinished · " in card
    [file] = store.client.list_artifacts(logged.info.run_id, "model")
    assert file.path == "model/model.keras"


def test_resumed_training_is_the_same_mlflow_run(config, tmp_path, store):
    run = tmp_path / "run"
    train(config, run)
    result = invoke("train", "--resume", run, "--set", "train.epochs=4")
    assert result.exit_code == 0, result.output
    [logged] = store.list_runs()
    assert logged.info.status == "FINISHED"
    history = store.client.get_metric_history(logged.info.run_id, "loss")
    assert sorted(metric.step for metric in history) == [1, 2, 3, 4]
    assert logged.data.params["train.epochs"] == "2"
    assert logged.data.tags["resumed.train.epochs"] == "4"


def test_diverged_training_has_failed(tmp_path, store):
    section = {
        "epochs": 2,
        "loss": "mse",
        "optimizer": {"type": "SGD", "learning_rate": 1000.0},
        "callbacks": [{"type": "MLflow", "experiment": "flowers"}],
    }
    config = write_config(tmp_path, [{"type": "Dense", "units": 1}], data=DIABETES, train=section)
    assert problems(train(config, tmp_path / "run").result)[0][0] == "loss-not-finite"
    [logged] = store.list_runs()
    assert logged.info.status == "FAILED"


def test_invalid_store_is_reported_before_training(config, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://x")
    mlflow.set_tracking_uri("nonsense://x")
    assert problems(train(config, tmp_path / "run").result)[0][0] == "training-failed"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [("crossval", "--folds", "2"), ("train", "--seeds", "2")])
def test_group_of_trainings_checks_mlflow_before_its_directory(config, fake, tmp_path, options):
    fake.failing = {"get_experiment_by_name"}
    command, *others = options
    result = invoke(command, config, *others, "--run-dir", tmp_path / "group", "--json")
    assert problems(result)[0][0] == "training-failed"
    assert not (tmp_path / "group").exists()


def test_missing_mlflow_reports_install_command(config, tmp_path, monkeypatch):
    monkeypatch.setattr("layercli.workflows.tracking.find_spec", lambda _: None)
    result = train(config, tmp_path / "run").result
    assert not (tmp_path / "run").exists()
    assert problems(result)[0][0] == "missing-package"
    assert "pip install 'layercli[mlflow]'" in result.stdout


def test_tracking_uri_is_not_a_config_key(tmp_path):
    from layercli.check import check_config

    section = {"loss": "mse", "callbacks": [{"type": "MLflow", "tracking_uri": "http://elsewhere"}]}
    found = check_config(str(write_config(tmp_path, [HEAD], train=section))).problems
    [problem] = [problem for problem in found if problem.code == "unknown-key"]
    assert "MLFLOW_TRACKING_URI" in problem.hint

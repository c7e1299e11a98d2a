import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest

from tests.running import problems, train, write_config

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
    fake = SimpleNamespace(calls=[], failing=set())
    answers = {"create_experiment": "7", "create_run": SimpleNamespace(info=SimpleNamespace(run_id="r1"))}

    class Client:
        def __getattr__(self, method):
            def call(*args, **options):
                fake.calls.append((method, args, options))
                if method in fake.failing:
                    raise OSError("No connection to the server.")
                return answers.get(method)

            return call

    mlflow, exceptions = ModuleType("mlflow"), ModuleType("mlflow.exceptions")
    mlflow.MlflowClient, mlflow.__spec__ = Client, ModuleSpec("mlflow", None)
    exceptions.MlflowException = type("MlflowException", (Exception,), {})
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", exceptions)
    return fake


def test_calls_of_the_mlflow_client(config, fake, tmp_path):
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    assert fake.calls[:3] == [
        ("get_experiment_by_name", ("flowers",), {}),
        ("create_experiment", ("flowers",), {}),
        ("create_run", ("7",), {"run_name": str(run.path)}),
    ]
    params = {args[1]: args[2] for method, args, _ in fake.calls if method == "log_param"}
    assert (params["train.epochs"], params["data.dataset"]) == ("2", "iris")
    metrics = [(*args, options) for method, args, options in fake.calls if method == "log_metric"]
    losses = run.summary["history"]["loss"]
    assert [metric for metric in metrics if metric[1] == "loss"] == [
        ("r1", "loss", pytest.approx(losses[0]), {"step": 1}),
        ("r1", "loss", pytest.approx(losses[1]), {"step": 2}),
    ]
    assert [method for method, *_ in fake.calls[-2:]] == ["log_artifact", "set_terminated"]


def test_lost_mlflow_server_does_not_stop_training(config, fake, tmp_path):
    fake.failing = {"log_metric"}
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    warning = "warning: Stopped logging to MLflow: No connection to the server."
    assert [line for line in run.result.stderr.splitlines() if "MLflow" in line] == [warning]
    assert [method for method, *_ in fake.calls].count("log_metric") == 1
    assert "set_terminated" not in {method for method, *_ in fake.calls}
    fake.failing = {"create_run"}
    result = train(config, tmp_path / "again").result
    assert problems(result)[0][0] == "training-failed"
    assert "MLflow refused the run: No connection to the server." in result.stdout


def test_config_metrics_and_model_are_logged(config, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    store = f"file:{tmp_path / 'store'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(store)
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    client = mlflow.MlflowClient(store)
    [logged] = client.search_runs([client.get_experiment_by_name("flowers").experiment_id])
    assert (logged.info.status, logged.info.run_name) == ("FINISHED", str(run.path))
    assert logged.data.params["train.optimizer.type"] == "RMSprop"
    assert logged.data.params["data.dataset"] == "iris"
    history = client.get_metric_history(logged.info.run_id, "val_accuracy")
    assert [metric.step for metric in history] == [1, 2]
    assert [metric.value for metric in history] == pytest.approx(run.summary["history"]["val_accuracy"])
    [file] = client.list_artifacts(logged.info.run_id, "model")
    assert file.path == "model/model.keras"


def test_invalid_store_is_reported_before_training(config, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://x")
    mlflow.set_tracking_uri("nonsense://x")
    assert problems(train(config, tmp_path / "run").result)[0][0] == "training-failed"


def test_missing_mlflow_reports_install_command(config, tmp_path, monkeypatch):
    monkeypatch.setattr("layercli.engine.training.compile.find_spec", lambda _: None)
    result = train(config, tmp_path / "run").result
    assert problems(result)[0][0] == "missing-package"
    assert "pip install 'layercli[mlflow]'" in result.stdout


def test_tracking_uri_is_not_a_config_key(tmp_path):
    from layercli.check import check_config

    section = {"loss": "mse", "callbacks": [{"type": "MLflow", "tracking_uri": "http://elsewhere"}]}
    found = check_config(str(write_config(tmp_path, [HEAD], train=section))).problems
    [problem] = [problem for problem in found if problem.code == "unknown-key"]
    assert "MLFLOW_TRACKING_URI" in problem.hint

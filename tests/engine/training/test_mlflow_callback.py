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

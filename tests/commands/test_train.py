import json
import os
import subprocess

import pytest

from tests.running import CONFIGS, LAYERCLI, invoke, line_of, problems, train, write_config

HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}
SUMMARY = [
    "ok",
    "run",
    "epochs",
    "history",
    "best",
    "test",
    "baseline",
    "seconds",
    "examples_per_second",
    "parameters",
    "trainable_parameters",
    "resumed_from",
    "stop_reason",
    "notes",
    "problems",
]


def test_json_contains_summary(digits_run):
    summary = digits_run.summary
    assert digits_run.result.exit_code == 0
    assert list(summary) == SUMMARY
    assert (summary["ok"], summary["run"], summary["epochs"]) == (True, str(digits_run.path), 3)
    assert summary["resumed_from"] is None
    assert summary["stop_reason"] == "The training ended because all 3 epochs are done."
    assert list(summary["history"]) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 3 for values in summary["history"].values())
    assert list(summary["test"]) == ["loss", "accuracy"]
    assert summary["seconds"] > 0
    assert summary["examples_per_second"] > 0


def test_best_epoch_has_lowest_validation_loss(digits_run):
    history, best = digits_run.summary["history"], digits_run.summary["best"]
    index = min(range(3), key=lambda epoch: history["val_loss"][epoch])
    assert best == {"monitor": "val_loss", "epoch": index + 1} | {
        name: history[name][index] for name in history
    }


def test_json_sends_progress_to_standard_error(digits_run):
    lines = digits_run.result.stderr.splitlines()
    assert lines[0] == f"Run {digits_run.path}: loading TensorFlow and the data."
    assert lines[1] == "1,437 examples to train on, 180 to validate, 180 to test; 45 steps an epoch."
    assert lines[2].split() == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "time", "examples/s"]
    assert [line.split()[0] for line in lines[3:]] == ["1/3", "2/3", "3/3"]


def test_text_shows_progress_and_result(iris, tmp_path):
    result = invoke("train", iris, "--verbose", "--run-dir", tmp_path / "run", "--set", "train.epochs=1")
    assert (result.exit_code, result.stderr) == (0, "")
    words = [line.split()[0] for line in result.stdout.splitlines() if line.strip(" ─")]
    assert words == [
        "Run",
        "90",
        "3",
        "epoch",
        "1/1",
        "Trained",
        "The",
        "Best",
        "metric",
        "loss",
        "accuracy",
        "majority:",
        "Model:",
        "Next:",
        *["layercli"] * words.count("layercli"),
    ]


def test_quiet_prints_only_the_run_directory(iris, tmp_path):
    result = invoke("train", iris, "--quiet", "--run-dir", tmp_path / "run", "--set", "train.epochs=1")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{tmp_path / 'run'}\n", "")


def test_run_directories_are_numbered_by_name(iris, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [
        json.loads(invoke("train", iris, "--json", "--set", "train.epochs=1").stdout)["run"] for _ in range(2)
    ]
    assert runs == ["runs/iris/1", "runs/iris/2"]
    assert (tmp_path / runs[1] / "model.keras").is_file()


def test_nonempty_run_directory_is_rejected_before_loading(iris, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    result = train(iris, tmp_path / "run").result
    assert problems(result) == [("run-directory", None)]
    assert result.stderr == ""
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_seed_determines_history(tmp_path):
    config = write_config(tmp_path, [{"type": "Dense", "units": 8}, {"type": "Dropout", "rate": 0.3}, HEAD])
    first, again = (train(config, tmp_path / name).summary for name in ("first", "again"))
    other = train(config, tmp_path / "other", "--set", "seed=4").summary
    for key in ("history", "best", "test"):
        assert first[key] == again[key]
    assert first["history"] != other["history"]


def test_missing_sections_are_reported():
    result = invoke("train", "-", "--json", stdin="model: {input: [4], layers: [{type: Dense, units: 3}]}")
    assert problems(result) == [("missing-key", 1), ("missing-key", 1)]
    messages = [problem["message"] for problem in json.loads(result.stdout)["problems"]]
    assert messages == [
        "This command requires the section `data` (the examples).",
        "This command requires the section `train` (the training settings).",
    ]


def test_untrusted_code_leaves_no_run_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert problems(invoke("train", CONFIGS / "custom_layer.yaml", "--json")) == [("trust-required", 14)]
    assert list(tmp_path.iterdir()) == []


def test_failed_build_leaves_no_run_directory(tmp_path, layer_file):
    mine = layer_file("def build(self, shape):\n    raise ValueError('no')")
    config = write_config(tmp_path, [{"type": mine}, HEAD])
    assert problems(train(config, tmp_path / "run", "--trust").result) == [("layer-refused", 11)]
    assert not (tmp_path / "run").exists()


def test_nan_loss_exits_with_1_and_history_is_valid_json(tmp_path):
    config = write_config(
        tmp_path,
        [{"type": "Dense", "units": 1}],
        data={"type": "sklearn", "dataset": "diabetes", "split": {"validation": 0.1}},
        train={
            "epochs": 40,
            "loss": "mean_squared_error",
            "optimizer": {"type": "SGD", "learning_rate": 1e9},
        },
    )
    run = train(config, tmp_path / "run")
    assert problems(run.result) == [("loss-not-finite", line_of(config, "loss:"))]
    (problem,) = json.loads(run.result.stdout)["problems"]
    assert problem["message"].startswith("Training stopped: the loss became ")
    records = [
        json.loads(line, parse_constant=pytest.fail)
        for line in (run.path / "history.jsonl").read_text().splitlines()
    ]
    assert 1 <= len(records) < 40
    assert records[-1]["loss"] is None
    assert not (run.path / "model.keras").exists()


def test_failed_operation_of_a_training_is_named_in_one_line(tmp_path, layer_file):
    mine = layer_file(
        "def call(self, inputs, training=False):\n"
        "    if training:\n"
        "        inputs += keras.ops.sum(keras.ops.reshape(inputs, (3, -1)))\n"
        "    return inputs"
    )
    config = write_config(tmp_path, [{"type": mine}, HEAD])
    run = train(config, tmp_path / "run", "--trust")
    assert problems(run.result) == [("training-failed", line_of(config, "train:"))]
    (problem,) = json.loads(run.result.stdout)["problems"]
    assert problem["path"] == "train"
    cause = "Input to reshape is a tensor with 128 values, but the requested shape requires a multiple of 3"
    assert problem["message"] == f"Training stopped: {cause}"


def test_custom_layer_error_in_training_is_quoted(tmp_path, layer_file):
    mine = layer_file(
        "def call(self, inputs, training=False):\n"
        "    if training:\n"
        "        raise RuntimeError('not made for training')\n"
        "    return inputs"
    )
    config = write_config(tmp_path, [{"type": mine}, HEAD])
    result = train(config, tmp_path / "run", "--trust").result
    assert problems(result) == [("layer-refused", line_of(config, "Mine"))]
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["message"] == "`mine` fails in training: RuntimeError: not made for training"
    assert problem["hint"] == f"Check line 7 of {mine.partition(':')[0]}."


def test_wrong_declared_shape_is_found_before_training(tmp_path, layer_file):
    mine = layer_file("def call(self, inputs):\n    return inputs[:, :2]")
    config = write_config(tmp_path, [{"type": mine, "output_shape": [3]}, HEAD])
    assert problems(train(config, tmp_path / "run", "--trust").result) == [("shape-disagrees", 11)]


def test_callback_output_is_not_in_json(iris, tmp_path):
    stop = "train.callbacks=[{type: EarlyStopping, patience: 0, min_delta: 9, verbose: 1}]"
    run = train(iris, tmp_path / "run", "--set", stop)
    assert run.summary["epochs"] == 2
    assert "early stopping" in run.result.stderr


def test_notes_give_the_reason_of_an_early_stop(iris, tmp_path):
    stop = "train.callbacks=[{type: EarlyStopping, patience: 1, min_delta: 9, baseline: 0.001}]"
    run = train(iris, tmp_path / "run", "--set", stop)
    best = run.summary["history"]["val_loss"][0]
    assert run.summary["notes"] == [
        "EarlyStopping stopped the training after epoch 2: `val_loss` was not better than `baseline` 0.001 in any epoch; "
        f"the best value was {best:.4g}, in epoch 1."
    ]
    assert json.loads((run.path / "summary.json").read_text())["notes"] == run.summary["notes"]


def test_unwritable_model_is_a_problem(iris, tmp_path, monkeypatch):
    import keras

    def save(self, path):  # noqa: ARG001
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", save)
    run = train(iris, tmp_path / "run", "--set", "train.epochs=1")
    assert problems(run.result) == [("cannot-write", None)]
    left = ["checkpoints", "config.yaml", "data.json", "history.jsonl", "manifest.json"]
    assert sorted(path.name for path in run.path.iterdir()) == left


@pytest.mark.slow
def test_process_prints_only_one_json_document(tmp_path):
    config = CONFIGS / "diabetes_regression.yaml"  # read through scikit-learn, which Keras did not import
    command = [LAYERCLI, "train", config, "--json", "--set", "train.epochs=2"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == "runs/diabetes/1"
    lines = done.stderr.splitlines()
    assert [line.split()[0] for line in lines] == ["Run", "332", "epoch", "1/2", "2/2"]
    output = done.stdout + done.stderr
    assert not [word for word in ("I0000", "cuda", "oneDNN", "WARNING:", "Traceback") if word in output]

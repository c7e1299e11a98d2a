"""Losses, weights and metrics by output: checks, log names, and agreement with Keras."""

import json

import keras
import numpy as np
import pytest

from layercli import api
from layercli.check import check_config
from layercli.config.training.log_names import collect_log_names
from layercli.engine.assemble import assemble_model
from layercli.engine.training.compile import compile_model
from tests.running import train

CONFIG = """
seed: 1
data: {{type: npz, path: d.npz, features: x, target: {{label: kind, score: size}}, split: {{validation: 8}}}}
model:
  input: [4]
  layers:
    - {{type: Dense, name: hidden, units: 8}}
    - {{type: Dense, name: label, units: 3, activation: softmax}}
    - {{type: Dense, name: score, units: 1, inputs: hidden}}
  outputs: [label, score]
train: {train}
"""
LOSSES = "{label: sparse_categorical_crossentropy, score: mse}"
RNG = np.random.default_rng(0)
X = RNG.random((40, 4)).astype("float32")
Y = {"label": RNG.integers(0, 3, 40), "score": RNG.random(40).astype("float32")}


@pytest.fixture
def config(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, kind=Y["label"], size=Y["score"])

    def config(train):
        (tmp_path / "c.yaml").write_text(CONFIG.format(train=train))
        return tmp_path / "c.yaml"

    return config


def found(path):
    return [(problem.code, problem.message, problem.hint) for problem in check_config(str(path)).problems]


@pytest.mark.parametrize(
    ("section", "message", "hint"),
    [
        (
            "{loss: {lable: mse, score: mse}}",
            "`loss` names `lable`, which is not an output of the model.",
            "Did you mean `label`?",
        ),
        (
            "{loss: {score: mse}}",
            "`loss` is missing the output `label`.",
            "Add `label: mean_squared_error`. Each output requires a loss.",
        ),
        (
            f"{{loss: {LOSSES}, loss_weights: {{label: 2}}}}",
            "`loss_weights` is missing the output `score`.",
            "Add `score: 2.0`. Each output requires a weight.",
        ),
        (
            f"{{loss: {LOSSES}, metrics: [accuracy, mae]}}",
            "The model has 2 outputs, but `metrics` does not name an output.",
            "Assign it to an output: `metrics: {label: [accuracy, mae]}`.",
        ),
        (
            f"{{loss: {LOSSES}, weighted_metrics: {{zzz: [mae]}}}}",
            "`weighted_metrics` names `zzz`, which is not an output of the model.",
            "The model's outputs are `label`, `score`.",
        ),
    ],
)
def test_unknown_output_is_reported(config, section, message, hint):
    assert ("unknown-output", message, hint) in found(config(section))


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ("{loss: {label: sparse_crossentropy, score: mse}}", "unknown-type"),
        (f"{{loss: {LOSSES}, metrics: {{label: [acuracy], score: [mea]}}}}", "unknown-type"),
        (f"{{loss: {LOSSES}, metrics: {{label: accuracy}}}}", "wrong-type"),
        (f"{{loss: {LOSSES}, metrics: {{}}}}", "wrong-length"),
        (f"{{loss: {LOSSES}, loss_weights: {{label: -1, score: 1}}}}", "out-of-range"),
        ("{loss: {label: mse, score: sparse_categorical_crossentropy}}", "wrong-loss"),
    ],
)
def test_malformed_value_is_located(config, section, code):
    problems = check_config(str(config(section))).problems
    assert code in [problem.code for problem in problems]
    assert all(problem.path.startswith(("train.", "model.layers[")) for problem in problems)


def test_two_malformed_metrics_are_reported_together(config):
    problems = check_config(
        str(config(f"{{loss: {LOSSES}, metrics: {{label: [acuracy], score: [mea]}}}}"))
    ).problems
    assert [problem.path for problem in problems] == ["train.metrics.label[0]", "train.metrics.score[0]"]


def test_accuracy_of_numeric_output_is_a_warning(config):
    path = config(f"{{epochs: 1, loss: {LOSSES}, metrics: {{score: [accuracy]}}}}")
    result = train(path, path.parent / "run").result
    assert result.exit_code == 0
    assert "accuracy counts correct classes, but the target is a number" in result.stderr


def test_loss_weights_and_predicted_log_names(config):
    section = f"""
  epochs: 2
  batch_size: 5
  optimizer: {{type: SGD, learning_rate: 0.1}}
  loss: {LOSSES}
  loss_weights: {{label: 1, score: 0.25}}
  metrics: {{label: [accuracy], score: [mae, {{type: MeanSquaredError, name: mae}}]}}
  weighted_metrics: {{label: [accuracy, {{type: SparseCategoricalCrossentropy, name: cross}}]}}
  callbacks: [{{type: EarlyStopping, monitor: val_label_weighted_accuracy, patience: 9}}]
"""
    path = config(section)
    run = train(path, path.parent / "run")
    assert run.result.exit_code == 0, run.result.output
    history = run.summary["history"]
    valid = api.load(path)
    names = set(collect_log_names(valid.config.train, valid.graph.output_references))
    assert set(history) == names | {f"val_{name}" for name in names}
    assert list(history)[:3] == ["loss", "label_loss", "score_loss"]
    assert {"label_loss", "score_loss", "label_accuracy", "label_weighted_accuracy", "score_mae_1"} <= names
    for part in ("", "val_"):
        each = (history[f"{part}{name}"] for name in ("loss", "label_loss", "score_loss"))
        for total, label, score in zip(*each, strict=True):
            assert total == pytest.approx(label + 0.25 * score, rel=1e-5)
    evaluated = keras.models.load_model(run.path / "model.keras").evaluate(X, Y, verbose=0, return_dict=True)
    assert set(evaluated) >= {"label_accuracy", "score_mae"}


def test_one_loss_for_all_outputs_is_logged_like_keras(config):
    valid = api.load(
        config("{loss: mse}"),
        overrides=["model.layers.label.units=1", "model.layers.label.activation=linear"],
    )
    model = assemble_model(valid).model
    compile_model(model, valid.config.train, valid)
    history = model.fit(X, {"label": Y["score"], "score": Y["score"]}, verbose=0).history
    assert set(history) == set(collect_log_names(valid.config.train, valid.graph.output_references))


def test_mapping_for_one_output_is_logged_without_name(iris, tmp_path):
    overrides = [
        "train.loss={dense_1: sparse_categorical_crossentropy}",
        "train.metrics={dense_1: [accuracy]}",
    ]
    options = [option for override in overrides for option in ("--set", override)]
    run = train(iris, tmp_path / "run", *options)
    assert list(run.summary["history"]) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    config = json.loads(json.dumps(api.load(run.path / "config.yaml").config.to_plain()))
    assert config["train"]["metrics"] == {"dense_1": ["accuracy"]}


def test_class_weight_of_several_outputs_is_refused(config):
    hint = "Remove it, or give each example a weight in the data with `weights`."
    [problem] = check_config(str(config(f"{{loss: {LOSSES}, class_weight: balanced}}"))).problems
    assert (problem.path, problem.message, problem.hint) == (
        "train.class_weight",
        "`class_weight` requires a model with one output, but the model has 2.",
        hint,
    )
    nested = check_config(str(config(f"{{loss: {LOSSES}, class_weight: {{label: {{0: 2}}}}}}"))).problems
    assert nested[0].message == "`class_weight` must map classes to weights, got a mapping for `label`."

import json
import shutil

import pytest

from tests.running import CONFIGS, invoke, problems, train, write_config


def evaluated(*args):
    result = invoke("evaluate", "--json", *args)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_test_split_matches_training_summary(digits_run):
    document = evaluated(digits_run.path)
    assert list(document) == [
        *("ok", "run", "examples", "metrics"),
        *("classes", "per_class", "macro", "weighted", "baseline", "confusion", "most_confused"),
        "problems",
    ]
    hits = sum(counts[index] for index, counts in enumerate(document["confusion"]))
    assert document["metrics"]["accuracy"] == pytest.approx(hits / 180)
    assert (document["ok"], document["run"], document["examples"]) == (True, str(digits_run.path), 180)
    assert document["metrics"] == pytest.approx(digits_run.summary["test"], rel=1e-5)
    assert list(document["metrics"]) == ["loss", "accuracy"]


def test_validation_split_matches_last_epoch(digits_run):
    metrics = evaluated(digits_run.path, "--part", "validation")["metrics"]
    last = {name: values[-1] for name, values in digits_run.summary["history"].items()}
    assert metrics == pytest.approx({name: last[f"val_{name}"] for name in metrics}, rel=1e-5)
    assert evaluated(digits_run.path, "--part", "train")["examples"] == 1437


def test_text_output_shows_classes_and_confusion(digits_run):
    result = invoke("evaluate", digits_run.path)
    assert result.stdout.startswith("180 test examples: loss ")
    shown = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}
    document = evaluated(digits_run.path)
    assert shown["macro"] == ["average", *(f"{value:.4f}" for value in document["macro"].values())]
    counts = [f"{count}" if count else "·" for count in document["confusion"][9]]
    assert shown["9"] == counts


def test_several_inputs_and_text(tmp_path):
    rows = "".join(f"{word},{n},{n % 2}\n" for n, word in enumerate(["red", "blue"] * 20))
    (tmp_path / "t.csv").write_text(f"colour,size,y\n{rows}")
    config = write_config(
        tmp_path,
        [
            {
                "type": "StringLookup",
                "inputs": "words",
                "output_mode": "multi_hot",
                "vocabulary": ["red", "blue"],
            },
            {"type": "Concatenate", "inputs": ["previous", "numbers"]},
            {"type": "Dense", "units": 1, "activation": "sigmoid"},
        ],
        data={
            "type": "csv",
            "path": "t.csv",
            "target": "y",
            "split": {"test": 0.25},
            "inputs": {"words": "colour", "numbers": "size"},
        },
        train={"loss": "binary_crossentropy", "metrics": ["accuracy", "auc"]},
    )
    text = config.read_text().replace(
        "model:\n", "model:\n  inputs: {words: {shape: [1], dtype: string}, numbers: [1]}\n"
    )
    config.write_text(text)
    run = train(config, tmp_path / "run")
    assert evaluated(run.path)["metrics"] == pytest.approx(run.summary["test"], rel=1e-5)


def test_empty_split_is_reported(tmp_path):
    config = write_config(
        tmp_path,
        [{"type": "Dense", "units": 3, "activation": "softmax"}],
        data={"type": "sklearn", "dataset": "iris"},
    )
    run = train(config, tmp_path / "run", "--set", "train.epochs=1")
    assert problems(invoke("evaluate", "--json", run.path))[0][0] == "bad-split"
    assert (
        "Choose a different split with `--part train`, or name new examples with `--data`."
        in invoke("evaluate", run.path).stderr
    )


def test_custom_layer_of_run_requires_trust(custom_run):
    assert problems(invoke("evaluate", "--json", custom_run.path))[0][0] == "trust-required"
    assert evaluated(custom_run.path, "--trust")["metrics"] == pytest.approx(
        custom_run.summary["test"], rel=1e-5
    )


def test_modified_model_is_not_loaded(digits_run, tmp_path):
    copy = shutil.copytree(digits_run.path, tmp_path / "run")
    (copy / "model.keras").write_bytes(b"PK")
    assert problems(invoke("evaluate", "--json", copy)) == [("run-directory", None)]


@pytest.mark.parametrize("name", ["nowhere", CONFIGS / "digits_dense.yaml", "bad\0name"])
def test_non_run_is_rejected(name):
    assert problems(invoke("evaluate", "--json", name)) == [("run-directory", None)]

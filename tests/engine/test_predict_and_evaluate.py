"""`predict` writes the classes and numbers that `evaluate` measures, for each kind of output."""

import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, mean_absolute_error, recall_score, roc_auc_score

from tests.running import invoke, train

RANDOM = np.random.default_rng(1)
COUNT = 60
KINDS = RANDOM.integers(0, 3, COUNT)
BITS = RANDOM.integers(0, 2, COUNT)
OUTPUTS = {
    # output: units, activation, loss
    "hinge_bits": (1, "linear", "hinge"),
    "hinge_signs": (1, "tanh", "squared_hinge"),
    "hinge_names": (1, "linear", "hinge"),
    "hinge_kinds": (3, "linear", "categorical_hinge"),
    "square_bits": (1, "linear", "mse"),
    "square_kinds": (3, "softmax", "mse"),
    "logit_bits": (1, "linear", {"type": "BinaryCrossentropy", "from_logits": True}),
    "logit_kinds": (3, "linear", {"type": "CategoricalCrossentropy", "from_logits": True}),
    "one_hot_bits": (3, "sigmoid", "binary_crossentropy"),
    "tags": (2, "sigmoid", "binary_crossentropy"),
    "sizes": (2, "linear", "mae"),
}
CLASSES = {
    "hinge_bits": ["0", "1"],
    "hinge_signs": ["-1", "1"],
    "hinge_names": ["no", "yes"],
    "hinge_kinds": ["ant", "bee", "cow"],
    "square_bits": ["0", "1"],
    "square_kinds": ["first", "second", "third"],
    "logit_bits": ["0", "1"],
    "logit_kinds": ["10", "20", "30"],
    "one_hot_bits": ["low", "middle", "high"],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return what `evaluate` and `predict` say about one run with all outputs."""
    place = tmp_path_factory.mktemp("run")
    columns = {f"x{index}": RANDOM.normal(size=COUNT).round(3) for index in range(4)}
    columns |= {
        "bit": BITS,
        "switch": BITS,
        "answer": BITS,
        "sign": 2 * BITS - 1,
        "name": np.where(BITS, "yes", "no"),
    }
    columns |= {"animal": np.array(["ant", "bee", "cow"])[KINDS], "ten": KINDS * 10 + 10}
    columns |= {name: (index == KINDS) * 1 for index, name in enumerate(["first", "second", "third"])}
    columns |= {name: (index == KINDS) * 1 for index, name in enumerate(["low", "middle", "high"])}
    columns |= {"wet": RANDOM.integers(0, 2, COUNT), "hot": RANDOM.integers(0, 2, COUNT)}
    columns |= {"height": RANDOM.normal(5, 1, COUNT), "age": RANDOM.normal(40, 9, COUNT)}
    rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (place / "t.csv").write_text("\n".join(rows))
    one_hot = ["first", "second", "third"]
    targets = {
        **{"hinge_bits": "bit", "hinge_signs": "sign", "hinge_names": "name", "hinge_kinds": "animal"},
        **{"square_bits": "switch", "square_kinds": one_hot, "logit_bits": "answer", "logit_kinds": "ten"},
        **{"one_hot_bits": ["low", "middle", "high"], "tags": ["wet", "hot"], "sizes": ["height", "age"]},
    }
    layers = [
        {"type": "Dense", "units": units, "activation": activation, "name": name, "inputs": "x"}
        for name, (units, activation, _) in OUTPUTS.items()
    ]
    config = {
        "seed": 2,
        "data": {
            "type": "csv",
            "path": "t.csv",
            "inputs": {"x": ["x0", "x1", "x2", "x3"]},
            "target": targets,
            "target_type": {"logit_kinds": "labels"},
            "split": {"test": 0.5},
        },
        "model": {"inputs": {"x": [4]}, "layers": layers, "outputs": list(OUTPUTS)},
        "train": {"loss": {name: loss for name, (_, _, loss) in OUTPUTS.items()}},
    }
    (place / "c.yaml").write_text(json.dumps(config))
    trained = train(place / "c.yaml", place / "run")
    assert trained.result.exit_code == 0, trained.result.output
    evaluated = invoke("evaluate", trained.path, "--json")
    predicted = invoke("predict", trained.path, "--part", "test", "--output", place / "p.jsonl", "--json")
    assert (evaluated.exit_code, predicted.exit_code) == (0, 0), (evaluated.output, predicted.output)
    rows = [json.loads(line) for line in (place / "p.jsonl").read_text().splitlines()]
    return json.loads(evaluated.stdout)["outputs"], {
        name: np.array([row[name] for row in rows]) for name in rows[0]
    }


@pytest.mark.parametrize("output", CLASSES)
def test_predicted_classes_are_those_of_the_confusion_matrix(run, output):
    evaluated, predicted = run
    assert evaluated[output]["classes"] == CLASSES[output]
    true, found = (predicted[f"{output}_{column}"].astype(str) for column in ("target", "class"))
    assert evaluated[output]["confusion"] == confusion_matrix(true, found, labels=CLASSES[output]).tolist()


@pytest.mark.parametrize(
    ("output", "column"),
    [
        ("hinge_bits", "prediction"),
        ("hinge_signs", "prediction"),
        ("square_bits", "prediction"),
        ("logit_bits", "probability_1"),
    ],
)
def test_predicted_scores_have_the_area_under_the_curve(run, output, column):
    evaluated, predicted = run
    area = roc_auc_score(predicted[f"{output}_target"] == 1, predicted[f"{output}_{column}"])
    assert evaluated[output]["scores"]["roc_auc"] == area
    assert ("brier" in evaluated[output]["scores"]) == (column == "probability_1")


def test_labels_have_the_names_of_their_columns(run):
    evaluated, predicted = run
    for row, name in zip(evaluated["tags"]["per_class"], ["wet", "hot"], strict=True):
        true, found = predicted[f"tags_target_{name}"], predicted[f"tags_prediction_{name}"]
        assert (row["class"], row["recall"]) == (name, recall_score(true, found))


def test_numbers_have_the_names_of_their_columns(run):
    evaluated, predicted = run
    for row, name in zip(evaluated["sizes"]["per_target"], ["height", "age"], strict=True):
        true, found = predicted[f"sizes_target_{name}"], predicted[f"sizes_prediction_{name}"]
        assert row["target"] == name
        assert row["mae"] == pytest.approx(mean_absolute_error(true, found))

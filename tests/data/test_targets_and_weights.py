"""One-hot targets and class weights, for subsets in memory and read on demand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from layercli.data.examples import Examples, ShuffleSeed, Splits
from layercli.data.targets_and_weights import MappedSubset, apply_class_weights, encode_one_hot
from layercli.data.types import DataError
from layercli.graph.target_meaning import TargetMeaning
from tests.running import invoke

LABELS = np.array([0, 1, 1, 2, 1, 1, 0, 1], dtype=np.int32)
EXAMPLES = Examples(np.arange(8.0), LABELS, ("rare", "common", "rarest"))


class Streamed:
    """The same examples as a subset that is not in memory."""

    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return len(self.examples)

    def __getattr__(self, name):
        return getattr(self.examples, name)


def parts_of(examples):
    return Splits(examples, examples, examples.take(np.arange(0)))


@pytest.fixture(params=["memory", "streamed"])
def parts(request):
    made = parts_of(EXAMPLES)
    return made if request.param == "memory" else Splits(*map(Streamed, made.subsets))


def drawn(part):
    return list(part.batches(3, shuffle=ShuffleSeed(1, 0)))


def test_balanced_weights_equalize_classes_with_mean_1(parts):
    found = apply_class_weights(parts, "balanced")
    weights = np.concatenate([batch.weights for batch in drawn(found.train)])
    labels = np.concatenate([batch.y for batch in drawn(found.train)])
    totals = [weights[labels == label].sum() for label in range(3)]
    np.testing.assert_allclose(totals, [8 / 3] * 3, rtol=1e-6)


def test_balanced_weights_equal_those_of_scikit_learn(parts):
    found = apply_class_weights(parts, "balanced")
    batch = next(found.train.batches(8))
    assert (
        batch.weights.tolist()
        == np.float32([8 / 6, 8 / 15, 8 / 15, 8 / 3, 8 / 15, 8 / 15, 8 / 6, 8 / 15]).tolist()
    )
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(batch.weights, expected[LABELS], rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        ([0, 0, 0, 2], ("a", "b", "c"), [2 / 3, 2 / 3, 2 / 3, 2.0]),  # the middle class is empty
        ([0, 0, 0, 1], ("a", "b", "c"), [2 / 3, 2 / 3, 2 / 3, 2.0]),  # the last class is empty
        ([1, 2, 2, 2], ("a", "b", "c"), [2.0, 2 / 3, 2 / 3, 2 / 3]),  # the first class is empty
        ([1, 1], ("a", "b", "c"), [1.0, 1.0]),
        ([], ("a", "b", "c"), []),
    ],
)
def test_balanced_weights_ignore_classes_without_examples(labels, names, expected):
    labels = np.array(labels, dtype=np.int32)
    splits = parts_of(Examples(np.zeros(len(labels)), labels, names))
    weights = apply_class_weights(splits, "balanced").train.weights
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    if len(labels):
        present = np.unique(labels)
        table = dict(zip(present, compute_class_weight("balanced", classes=present, y=labels), strict=True))
        np.testing.assert_allclose(weights, [table[label] for label in labels], rtol=1e-6)


def test_class_weights_by_name_or_label_multiply_example_weights(parts):
    own = replace(EXAMPLES, weights=np.arange(8, dtype=np.float32))
    changed = apply_class_weights(replace(parts, train=own), {"rare": 3.0, "2": 5.0})
    assert changed.train.weights.tolist() == [0, 1, 2, 15, 4, 5, 18, 7]
    found = apply_class_weights(parts, {"rare": 3.0, "2": 5.0})
    rows = np.concatenate([batch.x for batch in drawn(found.train)]).astype(int)
    weights = np.concatenate([batch.weights for batch in drawn(found.train)])
    assert weights[np.argsort(rows)].tolist() == [3, 1, 1, 5, 1, 1, 3, 1]
    assert [batch.weights for batch in drawn(found.validation)] == [None] * 3
    assert found.train.empty_batch.weights.shape == (0,)


def test_unknown_class_in_class_weight_lists_the_classes(parts):
    with pytest.raises(DataError) as caught:
        apply_class_weights(parts, {"rar": 2.0, "7": 1.0})
    assert [(found.message, found.hint) for found in caught.value.findings] == [
        ('Unknown class "rar".', "Did you mean `rare`?"),
        ('Unknown class "7".', "The classes are `rare`, `common`, `rarest`."),
    ]


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (LABELS.astype(np.float32), "the target is a number"),
        (np.eye(3, dtype=np.float32)[LABELS], "the target is a number"),
        ({"a": LABELS, "b": LABELS}, "there are several targets"),
    ],
)
def test_class_weight_requires_one_target_with_classes(y, why):
    with pytest.raises(DataError, match=why):
        apply_class_weights(parts_of(Examples(np.arange(8.0), y)), "balanced")


def test_labels_become_one_hot_in_every_split(parts):
    found = encode_one_hot(
        replace(parts, target_meanings={None: TargetMeaning("one-hot", 4, is_converted=True)})
    )
    for batch in drawn(found.train):
        assert batch.y.dtype == np.float32
        assert batch.y.tolist() == np.eye(4)[LABELS[batch.x.astype(int)]].tolist()
    assert found.validation.empty_batch.y.shape == found.test.empty_batch.y.shape == (0, 4)
    assert isinstance(found.train, MappedSubset) == (not isinstance(parts.train, Examples))
    assert encode_one_hot(parts) is parts


def test_one_hot_only_for_targets_of_the_given_outputs():
    several = parts_of(Examples(np.arange(8.0), {"a": LABELS, "b": LABELS}))
    meanings = {"a": TargetMeaning("labels", 3), "b": TargetMeaning("one-hot", 3, is_converted=True)}
    found = encode_one_hot(replace(several, target_meanings=meanings)).train
    assert (found.y["a"].shape, found.y["b"].shape) == ((8,), (8, 3))


CONFIG = """
seed: 1
data: {type: sklearn, dataset: iris, split: {validation: 0.2, test: 0.2, stratify: true}}
model: {layers: [Normalization, {type: Dense, units: 3, activation: softmax}]}
train:
  epochs: 2
  optimizer: {type: Adam, learning_rate: 0.02}
  loss: {type: CategoricalCrossentropy, label_smoothing: %s}
  metrics: [accuracy]
"""


def trained(place, text, *options):
    (place / "c.yaml").write_text(text)
    result = invoke(
        "train", place / "c.yaml", "--json", "--run-dir", place / f"run{len(list(place.iterdir()))}", *options
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["history"]


@pytest.mark.tensorflow
def test_one_hot_targets_train_like_labels(tmp_path):
    smooth = CONFIG % 0.0
    one_hot_history = trained(tmp_path, smooth)
    labels = trained(
        tmp_path,
        smooth.replace(
            "{type: CategoricalCrossentropy, label_smoothing: 0.0}", "sparse_categorical_crossentropy"
        ),
    )
    np.testing.assert_allclose(one_hot_history["loss"], labels["loss"], rtol=1e-5)
    assert one_hot_history["val_accuracy"] == labels["val_accuracy"]
    smoothed = trained(tmp_path, CONFIG % 0.2)
    assert abs(smoothed["loss"][1] - labels["loss"][1]) > 0.01


@pytest.mark.tensorflow
def test_class_weights_change_training_loss_only(tmp_path):
    same = trained(tmp_path, CONFIG % 0.0, "--set", "train.optimizer.learning_rate=1e-12")
    doubled = trained(
        tmp_path,
        CONFIG % 0.0,
        "--set",
        "train.optimizer.learning_rate=1e-12",
        "--set",
        "train.class_weight={0: 2, 1: 2, 2: 2}",
    )
    np.testing.assert_allclose(doubled["loss"], 2 * np.array(same["loss"]), rtol=1e-4)
    np.testing.assert_allclose(doubled["val_loss"], same["val_loss"], rtol=1e-6)

"""Ids and words that layers compute: unknown ones are errors at the layer, before the first step if possible."""

import json

import numpy as np
import pytest

from tests.running import invoke, train

DATA = "{type: npz, path: ids.npz, inputs: {a: a, b: b, word: word}, target: y, split: {validation: 0.25}, shuffle: false}"
EMBED = "{type: Embedding, input_dim: 5, output_dim: 2}"


@pytest.fixture
def check(tmp_path):
    """Return a function that trains a model with these layers, and returns the path, message and hint of its problems."""
    ids = np.arange(12).reshape(4, 3)
    words = np.array([["cat"], ["dog"], ["cat"], ["zebra"]])
    np.savez(tmp_path / "ids.npz", a=ids, b=ids, word=words, y=np.arange(4.0))
    config = tmp_path / "ids.yaml"

    def run(used, *layers):
        inputs = {
            name: "{shape: [1], dtype: string}" if name == "word" else "{shape: [3], dtype: int64}"
            for name in used.split()
        }
        named = ", ".join(f"{name}: {name}" for name in used.split())
        config.write_text(
            f"data: {DATA.replace('a: a, b: b, word: word', named)}\nmodel:\n  inputs:\n"
            + "".join(f"    {name}: {spec}\n" for name, spec in inputs.items())
            + "  layers:\n"
            + "".join(f"    - {layer}\n" for layer in (*layers, "Flatten", "{type: Dense, units: 1}"))
            + "train: {epochs: 1, loss: mse}\n"
        )
        result = train(config, tmp_path / "run").result
        assert result.exit_code == 1, result.output
        found = json.loads(result.stdout)["problems"]
        assert {each["code"] for each in found} == {"bad-id"}
        return [(each["path"], each["message"], each["hint"]) for each in found]

    return run


def test_sum_of_ids_is_checked_before_training(check):
    assert check("a b", "{type: Add, inputs: [a, b]}", EMBED) == [
        (
            "model.layers[1].input_dim",
            "`input_dim` of `embedding` must be at least 23, because the largest id is 22 "
            "(from `add`, in the validation set); got 5.",
            "Write `input_dim: 23`.",
        )
    ]


def test_computed_negative_and_fractional_ids(check):
    found = check(
        "a", "{type: Rescaling, scale: 0.5, offset: -1.0, inputs: a}", "{type: Rescaling, scale: 0.5}", EMBED
    )
    assert [message for _, message, _ in found] == [
        "`embedding` (Embedding) expects ids of at least 0, got -0.5 (from `rescaling_1`, in the training set).",
        "`embedding` (Embedding) expects integers as ids, got -0.5 (from `rescaling_1`, in the training set). "
        "Keras would cut off the fraction.",
    ]


@pytest.mark.parametrize("mode", ["int", "one_hot"])
def test_word_outside_of_closed_vocabulary(check, mode):
    lookup = f"{{type: StringLookup, inputs: word, vocabulary: [cat, dog], num_oov_indices: 0, output_mode: {mode}}}"
    assert check("word", lookup) == [
        (
            "model.layers[0].num_oov_indices",
            '`string_lookup` has no index for "zebra" in the validation set, because `num_oov_indices` is 0.',
            'Write `num_oov_indices: 1`, or add "zebra" to `vocabulary`.',
        )
    ]


def test_number_outside_of_learned_vocabulary(check):
    (found,) = check(
        "a",
        "{type: IntegerLookup, inputs: a, num_oov_indices: 0}",
        "{type: Embedding, input_dim: 20, output_dim: 2}",
    )
    assert (
        found[1]
        == "`integer_lookup` has no index for 9 in the validation set, because `num_oov_indices` is 0."
    )
    assert found[2] == "Write `num_oov_indices: 1`, or correct the data."


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_id_from_trained_layer_is_explained_when_it_happens(check):
    dense = "{type: Dense, inputs: b, units: 2, kernel_initializer: ones}"
    assert check("b", dense, EMBED) == [
        (
            "model.layers[1].input_dim",
            "`input_dim` of `embedding` must be at least 13, because the largest id is 12 (from `dense`); got 5.",
            "Connect it to ids from the data: `dense` is trained, so its values have no limit.",
        )
    ]


def test_trained_model_reports_unknown_word(tmp_path):
    np.savez(tmp_path / "data.npz", word=np.array([["cat"], ["dog"]] * 2), y=np.arange(4.0))
    config = tmp_path / "words.yaml"
    config.write_text(
        """\
data: {type: npz, path: data.npz, features: word, target: y}
model:
  input: {shape: [1], dtype: string}
  layers:
    - {type: StringLookup, num_oov_indices: 0, output_mode: multi_hot, max_tokens: 2, pad_to_max_tokens: true}
    - {type: Dense, units: 1}
train: {epochs: 1, loss: mse}
"""
    )
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    np.savez(tmp_path / "new.npz", word=np.array([["cat"], ["emu"]]), y=np.arange(2.0))
    for command, *options in (
        ("predict", "--input", tmp_path / "new.npz", "--output", tmp_path / "out.csv"),
        ("evaluate", "--data", tmp_path / "new.npz"),
    ):
        result = invoke(command, run.path, *options, "--json")
        (problem,) = json.loads(result.stdout)["problems"]
        assert problem["message"] == (
            '`string_lookup` has no index for "emu" in the data, because `num_oov_indices` is 0.'
        )
        assert problem["hint"] == "Correct the data, or train a model with `num_oov_indices: 1`."


def test_evaluate_and_predict_find_negative_ids_that_a_layer_computes(tmp_path):
    a, b = np.arange(24).reshape(8, 3) % 5, np.zeros((8, 3), int)
    np.savez(tmp_path / "ids.npz", a=a, b=b, y=np.arange(8.0))
    np.savez(tmp_path / "bad.npz", a=b, b=a, y=np.arange(8.0))
    config = tmp_path / "ids.yaml"
    config.write_text(
        "data: {type: npz, path: ids.npz, inputs: {a: a, b: b}, target: y}\nmodel:\n"
        "  inputs: {a: {shape: [3], dtype: int64}, b: {shape: [3], dtype: int64}}\n  layers:\n"
        f"    - {{type: Subtract, inputs: [a, b]}}\n    - {EMBED}\n    - Flatten\n    - {{type: Dense, units: 1}}\n"
        "train: {epochs: 1, loss: mse}\n"
    )
    run = train(config, tmp_path / "run")
    assert run.result.exit_code == 0, run.result.output
    expected = {
        "code": "bad-id",
        "path": "model.layers[1]",
        "message": "`embedding` (Embedding) expects ids of at least 0, got -4 (from `subtract`).",
        "hint": "Correct the data: the model has learned only the ids of its training.",
    }
    output = ("--output", tmp_path / "out.csv")
    for arguments in (("evaluate", run.path, "--data"), ("predict", run.path, *output, "--input")):
        result = invoke(*arguments, tmp_path / "bad.npz", "--json")
        assert result.exit_code == 1, result.output
        (problem,) = json.loads(result.stdout)["problems"]
        assert {key: problem[key] for key in expected} == expected
        assert invoke(*arguments, tmp_path / "ids.npz").exit_code == 0

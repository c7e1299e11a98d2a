"""The model in a file: imputation and lookups of words inside, other layers of texts outside."""

import keras
import numpy as np
import pytest

from layercli.check import check_config, require_valid
from layercli.engine.export.deployed_model import deploy_model
from layercli.engine.export.options import ColumnInput, WordIndex, make_argument_names
from layercli.export_formats import EXPORT_FORMATS
from layercli.workflows.export_description import _describe_inputs


def lookup_model(**arguments):
    """Return a model that adds 10, 20, 30, ... for the first, second, third index of a word."""
    word = keras.Input((1,), dtype="string", name="word")
    lookup = keras.layers.StringLookup(vocabulary=["red", "green"], name="lookup", **arguments)(word)
    total = keras.layers.Dense(1, use_bias=False, name="total")
    model = keras.Model(word, total(keras.ops.cast(lookup, "float32")))
    size = total.kernel.shape[0]
    total.kernel.assign(10.0 * np.arange(1, size + 1, dtype=np.float32)[:, None])
    return model


def make_text_inputs(*words):
    return {"word": np.array(words, dtype=object)[:, None]}


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_file_without_texts_takes_the_index_of_each_word(mode):
    deployed = deploy_model(lookup_model(output_mode=mode), {}, EXPORT_FORMATS["litert"])
    inputs = deployed.encode_inputs(make_text_inputs("green", "blue", "red"))
    assert inputs["word"].tolist() == [[2], [0], [1]]
    assert inputs["word"].dtype == np.int64
    assert np.asarray(deployed.model(inputs["word"])).tolist() == [[30.0], [10.0], [20.0]]
    assert deployed.outside_indices == {"word": WordIndex("word", ("[UNK]", "red", "green"), 0)}


def test_file_with_lookups_takes_texts():
    deployed = deploy_model(lookup_model(output_mode="one_hot"), {}, EXPORT_FORMATS["onnx"])
    assert deployed.word_indices == {"lookup_index": WordIndex("word", ("[UNK]", "red", "green"), 0)}
    assert deployed.encode_inputs(make_text_inputs("green"))["word"].tolist() == [["green"]]
    assert np.asarray(deployed.model(np.array([[2]]))).tolist() == [[30.0]]


def test_index_of_unknown_words_follows_the_mask_word():
    model = lookup_model(output_mode="int", mask_token="")
    deployed = deploy_model(model, {}, EXPORT_FORMATS["litert"])
    assert deployed.outside_indices["word"] == WordIndex("word", ("", "[UNK]", "red", "green"), 1)
    inputs = deployed.encode_inputs(make_text_inputs("", "blue", "green"))
    assert inputs["word"].tolist() == [[0], [1], [3]]
    assert np.asarray(deployed.model(inputs["word"])).tolist() == [[0.0], [10.0], [30.0]]


@pytest.mark.parametrize(
    "arguments", [{"num_oov_indices": 2}, {"output_mode": "tf_idf", "idf_weights": [1, 2]}]
)
def test_lookup_without_a_single_index_is_computed_outside(arguments):
    model = lookup_model(**{"output_mode": "one_hot"} | arguments)
    deployed = deploy_model(model, {}, EXPORT_FORMATS["onnx"])
    assert not deployed.word_indices
    assert list(deployed.text_layers) == ["word"]
    inputs = deployed.encode_inputs(make_text_inputs("green"))
    assert inputs["word"].shape == (1, 4 if "num_oov_indices" in arguments else 3)
    assert np.asarray(deployed.model(inputs["word"])) == pytest.approx(
        np.asarray(model(np.array([["green"]])))
    )


def test_two_layers_of_one_text_have_an_input_each():
    word = keras.Input((1,), dtype="string", name="word")
    tokens = keras.layers.TextVectorization(vocabulary=["red"], output_sequence_length=2, name="tokens")(word)
    color = keras.layers.StringLookup(vocabulary=["red"], output_mode="one_hot", name="color")(word)
    joined = keras.layers.Concatenate()([keras.ops.cast(tokens, "float32"), color])
    deployed = deploy_model(keras.Model(word, joined), {}, EXPORT_FORMATS["litert"])
    inputs = deployed.encode_inputs(make_text_inputs("Red, blue"))
    assert inputs["tokens_output"].tolist() == [[2, 1]]
    assert inputs["color_output"].tolist() == [[0]]
    assert np.asarray(deployed.model(list(inputs.values()))).tolist() == [[2.0, 1.0, 1.0, 0.0]]


def test_missing_numbers_are_replaced_in_the_file():
    numbers = keras.Input((3,), name="numbers")
    total = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(numbers)
    columns = {"numbers": ColumnInput(("a", "b", "c"), {"a": 5.0, "c": -1.0})}
    deployed = deploy_model(keras.Model(numbers, total), columns, EXPORT_FORMATS["onnx"])
    rows = np.array([[np.nan, 2, np.nan], [1, 2, 3], [1, np.nan, 3]], dtype=np.float32)
    outputs = np.asarray(deployed.model(rows))[:, 0]
    assert outputs[:2].tolist() == [6.0, 6.0]
    assert np.isnan(outputs[2])


def test_model_that_needs_nothing_stays_the_same():
    numbers = keras.Input((2,), name="numbers")
    model = keras.Model(numbers, keras.layers.Dense(1)(numbers))
    columns = {"numbers": ColumnInput(("a", "b"), {"a": 1.0})}
    assert deploy_model(model, {}, EXPORT_FORMATS["onnx"]).model is model
    assert deploy_model(model, columns, EXPORT_FORMATS["keras"]).model is model


def test_argument_names_are_letters_digits_and_underscores():
    names = ["class", "passenger class", "größe", "2nd", "_x", "a b", "a_b", "ok"]
    assert make_argument_names(names) == [
        "class_",
        "passenger_class",
        "gr__e",
        "column_2nd",
        "column_x",
        "a_b",
        "a_b_2",
        "ok",
    ]


def test_description_names_the_column_of_each_lookup_of_a_text(tmp_path):
    word = keras.Input((1,), dtype="string", name="word")
    outputs = [
        keras.layers.StringLookup(vocabulary=["red"], name=name, output_mode="one_hot")(word)
        for name in ("first", "second")
    ]
    model = keras.Model(word, keras.layers.Concatenate()(outputs))
    columns = {"word": ColumnInput(("colour",))}
    deployed = deploy_model(model, columns, EXPORT_FORMATS["litert"])
    config = tmp_path / "c.yaml"
    layers = "[{type: StringLookup, vocabulary: [red], output_mode: one_hot}]"
    config.write_text(f"model: {{inputs: {{word: {{shape: [1], dtype: string}}}}, layers: {layers}}}\n")
    valid = require_valid(check_config(str(config)))
    described = _describe_inputs(valid, "litert", deployed, columns)
    assert [entry["name"] for entry in described] == ["first_output", "second_output"]
    assert [[column["column"] for column in entry["columns"]] for entry in described] == [["colour"]] * 2

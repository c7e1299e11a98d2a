import pytest

from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor
from tests.layers.errors import argument_error
from tests.layers.parity import assert_parity, ran, static

SHAPES = [(None,), (None, 1), (None, 4), (None, None), (None, 4, 1), (None, 1, 4), (None, 2, 3, 4)]


def check(kind, arguments, shapes=SHAPES, dtype="float32"):
    for shape in shapes:
        assert_parity({"type": kind} | arguments, shape, dtype=dtype)


WORDS = {"StringLookup": ["a", "b"], "IntegerLookup": [5, 6], "TextVectorization": ["a", "b"]}
VOCABULARIES = [
    {},
    {"max_tokens": 9},
    {"max_tokens": 9, "pad_to_max_tokens": True},
    {"pad_to_max_tokens": True},
    {"max_tokens": 1},
    {"max_tokens": 2},
]


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count", "tf_idf", "nope"])
@pytest.mark.parametrize("arguments", VOCABULARIES, ids=str)
@pytest.mark.parametrize("given_words", [False, True])
def test_lookups_agree_with_keras(kind, mode, arguments, given_words):
    if given_words:
        arguments = arguments | {"vocabulary": WORDS[kind]}
        arguments |= {"idf_weights": [0.1, 0.2]} if mode == "tf_idf" else {}
    shapes = SHAPES if kind != "TextVectorization" else [(None,), (None, 1)]
    check(kind, arguments | {"output_mode": mode}, shapes, "int64" if kind == "IntegerLookup" else "string")


@pytest.mark.parametrize(
    "arguments",
    [
        {"vocabulary": []},
        {"vocabulary": ["a", "a"]},
        {"vocabulary": ["[UNK]", "a"]},
        {"vocabulary": ["a", "[UNK]"]},
        {"vocabulary": ["a", "[UNK]"], "invert": True},
        {"vocabulary": ["", "a"], "mask_token": ""},
        {"vocabulary": ["", "[UNK]", "a"], "mask_token": ""},
        {"vocabulary": ["a", ""], "mask_token": ""},
        {"vocabulary": ["a", "b"], "max_tokens": 3},
        {"num_oov_indices": -1},
        {"num_oov_indices": 0},
        {"num_oov_indices": 0, "vocabulary": ["a"]},
        {"salt": 3},
        {"salt": [1, 2]},
        {"salt": [1]},
        {"invert": True},
        {"idf_weights": [1.0]},
        {"vocabulary": ["a", "b"], "idf_weights": [1.0]},
        {"oov_token": None},
        {"oov_token": None, "invert": True},
        {"vocabulary": ["[UNK]"]},
        {"vocabulary": ["a", "b"], "mask_token": "", "num_oov_indices": 3},
        {"vocabulary": ["[UNK]", "a"], "idf_weights": [0.1, 0.2]},
        {"vocabulary": [1, 2]},
        {"encoding": "latin-1"},
        {"autocast": False},
        {"trainable": False},
        {"dtype": "float16"},
        {"vocabulary": "words.txt"},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["int", "one_hot", "tf_idf"])
def test_words_agree_with_keras_on_arguments(arguments, mode):
    check("StringLookup", arguments | {"output_mode": mode}, [(None, 1), (None, 3)], "string")


@pytest.mark.parametrize(
    "arguments",
    [
        {"vocabulary": [-1, 5]},
        {"vocabulary": [5, 5]},
        {"vocabulary": [5, -1], "invert": True},
        {"mask_token": 0},
        {"mask_token": 0, "vocabulary": [0, 5]},
        {"mask_token": 0, "vocabulary": [0, -1, 5]},
        {"salt": 3},
        {"salt": 3, "oov_method": "farmhash"},
        {"oov_method": "nope"},
        {"vocabulary_dtype": "int32"},
        {"vocabulary": ["a"]},
        {"num_oov_indices": 3, "vocabulary": [1, 2]},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["int", "multi_hot"])
def test_numbers_agree_with_keras_on_arguments(arguments, mode):
    check("IntegerLookup", arguments | {"output_mode": mode}, [(None, 1), (None, 3)], "int64")


@pytest.mark.parametrize("split", ["whitespace", "character", None, "nope"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"output_mode": "one_hot"},
        {"output_mode": "multi_hot", "max_tokens": 9, "pad_to_max_tokens": True},
        {"output_sequence_length": 7},
        {"output_sequence_length": 7, "output_mode": "count"},
        {"ragged": True},
        {"ragged": True, "output_mode": "count"},
        {"standardize": None},
        {"standardize": "lower"},
        {"standardize": "nope"},
        {"ngrams": 2},
        {"ngrams": "2"},
        {"vocabulary": ["a", ""]},
        {"vocabulary": ["", "[UNK]", "a"]},
        {"vocabulary": ["[UNK]", "a"], "output_mode": "count"},
        {"vocabulary": ["a", "a"]},
        {"sparse": True},
        {"sparse": True, "output_mode": "count"},
        {"dtype": "int64"},
        {"dtype": "string"},
    ],
    ids=str,
)
def test_text_agrees_with_keras_on_arguments(arguments, split):
    check("TextVectorization", arguments | {"split": split}, [(None,), (None, 1), (None, 3)], "string")


def test_large_num_oov_indices_use_no_memory():
    value = {
        "type": "StringLookup",
        "num_oov_indices": 2**31 - 1,
        "vocabulary": ["a"],
        "output_mode": "one_hot",
    }
    outputs, _ = static(value, Tensor((None, 1), "string"))
    assert outputs == (Tensor((None, 2**31)),)


def test_ngrams_are_passed_to_keras_as_a_tuple():
    layer = LAYERS.parse({"type": "TextVectorization", "ngrams": [1, 3]})
    assert layer.arguments()["ngrams"] == (1, 3)
    assert layer.to_plain()["ngrams"] == [1, 3]


def test_a_vocabulary_file_is_explained():
    message, hint, _ = argument_error({"type": "StringLookup", "vocabulary": "words.txt"})
    assert (
        message
        == '`vocabulary` must be a list, got the string "words.txt"; files are not read from a config.'
    )
    assert hint == "List the entries, as in `vocabulary: [cat, dog]`, or remove it to learn it from data."


def test_duplicate_word_is_explained():
    assert argument_error({"type": "StringLookup", "vocabulary": ["a", "a"]}) == (
        '`vocabulary` contains "a" twice.',
        "Remove one.",
        ("vocabulary",),
    )


@pytest.mark.parametrize("mode", ["multi_hot", "count", "tf_idf"])
@pytest.mark.parametrize("shape", [(None,), (None, 1)])
def test_a_text_becomes_one_vector(mode, shape):
    weights = {"idf_weights": [0.5, 2.0]} if mode == "tf_idf" else {}
    value = {"type": "TextVectorization", "output_mode": mode, "vocabulary": ["a", "b"], **weights}
    (output,) = LAYERS.parse(value).infer((Tensor(shape, "string"),)).outputs
    assert output.shape == (None, 3)
    assert ran(value, Tensor(shape, "string"))[0][0][0] == (2, 3)

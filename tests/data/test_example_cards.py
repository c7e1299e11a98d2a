"""Inputs of an example on its card: values, texts and lines."""

from types import SimpleNamespace

import numpy as np
import pytest

from layercli.data.example_cards import ExampleCard, _add_input, _describe_numbers, list_class_keys


def card_of(value, columns=(), name=None):
    card = ExampleCard("row 1", [])
    _add_input(card, name, value, columns)
    return card


def test_columns_are_values_with_their_names():
    assert card_of(np.array([1.5, 2.0]), ("a", "b")).values == [("a", "1.5"), ("b", "2")]
    assert card_of(np.array(["x", "y"], object), ("a", "b")).values == [("a", "x"), ("b", "y")]
    assert card_of(np.array([3.0])).values == [("x", "3")]
    assert card_of(np.array([3.0, 4.0]), name="in").values == [("in[0]", "3"), ("in[1]", "4")]


@pytest.mark.parametrize(("size", "values", "lines"), [(24, 24, 0), (25, 0, 1)])
def test_long_vectors_are_lines(size, values, lines):
    card = card_of(np.arange(size))
    assert (len(card.values), len(card.lines)) == (values, lines)
    named = card_of(np.arange(size), tuple(map(str, range(size))))
    assert (len(named.values), len(named.lines)) == (24, 0)


def test_lines_have_at_most_200_points():
    [[(title, points)]] = card_of(np.arange(200)).lines
    assert (title, points) == ("input", list(map(float, range(200))))
    [[(_, points)]] = card_of(np.arange(201)).lines
    assert points == list(map(float, range(0, 201, 2)))


def test_sequences_have_a_line_for_each_of_six_columns():
    [lines] = card_of(np.arange(16.0).reshape(2, 8)).lines
    assert lines == [(f"x[{column}]", [float(column), column + 8.0]) for column in range(6)]
    assert card_of(np.zeros((2, 3, 4))).values == [("input", "24 numbers, mean 0")]


def test_texts_are_cut_to_500_characters():
    assert [len(text) for text in card_of(np.array(["a" * 501, "b" * 500], object)).texts] == [500, 500]
    assert card_of(np.array("one", object)).texts == ["one"]


def test_errors_of_numbers_are_predicted_minus_true():
    assert _describe_numbers(np.array([1.0]), np.array([0.75])) == [
        ("true", "1"),
        ("predicted", "0.75"),
        ("error", "-0.25"),
    ]
    true, predicted = np.array([0.0, 2.0]), np.array([1.0, -1.0])
    assert _describe_numbers(true, predicted) == [
        ("value 1", "0, predicted 1"),
        ("value 2", "2, predicted -1"),
        ("mean error", "2"),
    ]
    assert _describe_numbers(np.zeros(5), np.ones(5)) == [("mean error", "1")]
    assert len(_describe_numbers(np.zeros(4), np.ones(4))) == 5


@pytest.mark.parametrize(
    ("kind", "names", "expected"),
    [
        ("two", ["no", "yes"], [("no", "#000000"), ("yes", "#ffffff")]),
        ("classes", ["#ff0000", "#00ff80"], [("#ff0000", "#ff0000"), ("#00ff80", "#00ff80")]),
        ("classes", ["#ff0000", "road"], [("#ff0000", "#2563eb"), ("road", "#d9480f")]),
        ("numbers", ["a", "b"], []),
    ],
)
def test_classes_of_masks_have_a_color(kind, names, expected):
    images = SimpleNamespace(inputs=[(None, np.zeros((1, 8, 8, 3), np.uint8))])
    masks = SimpleNamespace(outputs=np.zeros((1, 8, 8, 2)), examples=images)
    assert list_class_keys(masks, SimpleNamespace(kind=kind), names) == expected
    for outputs, examples in ((np.zeros((1, 2)), images), (masks.outputs, None)):
        selected = SimpleNamespace(outputs=outputs, examples=examples)
        assert list_class_keys(selected, SimpleNamespace(kind=kind), names) == []


def test_classes_share_a_color_if_there_are_many():
    images = SimpleNamespace(inputs=[(None, np.zeros((1, 8, 8, 3), np.uint8))])
    masks = SimpleNamespace(outputs=np.zeros((1, 8, 8, 26)), examples=images)
    keys = list_class_keys(masks, SimpleNamespace(kind="classes"), "abcdefghijklmnopqrstuvwxyz")
    assert keys[0] == ("a, i, q and 1 more", "#2563eb")
    assert keys[2] == ("c, k, s", "#0f766e")
    assert len(keys) == 8

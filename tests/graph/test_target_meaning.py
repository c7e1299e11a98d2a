"""The meaning of a target, from its values, the loss and the output."""

import pytest
from pydantic import TypeAdapter

from layercli.config.data.section import TargetFacts, TargetValues
from layercli.config.training.types import LossField
from layercli.graph.target_meaning import TargetMeaning, interpret_target, relate_shapes
from layercli.layers.shapes import Tensor

SPARSE, CATEGORICAL, BINARY = (
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
)
ZERO_ONE = TargetValues(0, 1, is_integral=True, first_rows={0.0: 0, 1.0: 1})
ONE_HOT = TargetValues(0, 1, is_integral=True, is_one_hot=True, first_rows={0.0: 0, 1.0: 0})
SIGNS = TargetValues(-1, 1, is_integral=True, first_rows={-1.0: 0, 1.0: 1})
FRACTIONS = TargetValues(0.1, 0.9, is_integral=False)
NUMBERS = TargetValues(-3.5, 70, is_integral=False)
AGES = TargetValues(20, 90, is_integral=True, first_rows=dict.fromkeys(map(float, range(20, 91)), 0))
THREE = TargetValues.of_classes(3)


def meaning_of(loss, output, shape=(), values=None, **facts):
    parsed = TypeAdapter(LossField).validate_python(loss)
    return interpret_target(
        TargetFacts(shape=shape, values=values, **facts), parsed, Tensor((None, *output), "float32")
    )


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        ((3,), (), "one-for-all-units"),
        ((3,), (1,), "one-for-all-units"),
        ((3,), (3,), "equal"),
        ((3,), (3, 1), "equal"),
        ((1,), (), "equal"),
        ((1,), (1,), "equal"),
        ((3,), (4,), "different"),
        ((8, 8, 3), (8, 8), "one-for-all-units"),
        ((8, 8, 3), (8, 8, 1), "one-for-all-units"),
        ((8, 8, 1), (8, 8), "equal"),
        ((6, 3), (6,), "one-for-all-units"),
        ((6, 3), (), "different"),
        ((None, 3), (6,), "one-for-all-units"),
        ((3,), (1, 1), "different"),
    ],
)
def test_relation_of_the_shapes_of_one_example(output, target, expected):
    assert relate_shapes(output, target) == expected


@pytest.mark.parametrize(
    ("loss", "output", "shape", "values", "expected"),
    [
        (SPARSE, (3,), (), THREE, TargetMeaning("labels", 3)),
        (SPARSE, (3,), (1,), THREE, TargetMeaning("labels", 3)),
        (SPARSE, (8, 8, 3), (8, 8), THREE, TargetMeaning("labels", 3, 2)),
        (SPARSE, (8, 8, 3), (8, 8, 1), THREE, TargetMeaning("labels", 3, 2)),
        (SPARSE, (6, 3), (6,), THREE, TargetMeaning("labels", 3, 1)),
        (SPARSE, (3,), (3,), ONE_HOT, None),
        (CATEGORICAL, (3,), (3,), ONE_HOT, TargetMeaning("one-hot", 3)),
        (CATEGORICAL, (2,), (2,), ONE_HOT, TargetMeaning("one-hot", 2)),
        (CATEGORICAL, (3,), (), THREE, TargetMeaning("one-hot", 3, is_converted=True)),
        (CATEGORICAL, (8, 8, 3), (8, 8), THREE, TargetMeaning("one-hot", 3, 2, is_converted=True)),
        (CATEGORICAL, (3,), (3,), FRACTIONS, TargetMeaning("probabilities", 3)),
        (CATEGORICAL, (3,), (3,), ZERO_ONE, TargetMeaning("multi-label", 3)),
        (BINARY, (1,), (), ZERO_ONE, TargetMeaning("binary", 2)),
        (BINARY, (8, 8, 1), (8, 8), ZERO_ONE, TargetMeaning("binary", 2, 2)),
        (BINARY, (3,), (3,), ZERO_ONE, TargetMeaning("multi-label", 3)),
        (BINARY, (3,), (3,), ONE_HOT, TargetMeaning("one-hot", 3)),
        (BINARY, (1,), (), FRACTIONS, TargetMeaning("numbers", are_fractions=True)),
        (BINARY, (3,), (3,), FRACTIONS, TargetMeaning("numbers", are_fractions=True)),
        (BINARY, (1,), (), NUMBERS, TargetMeaning("numbers")),
        ("mse", (1,), (), FRACTIONS, TargetMeaning("numbers")),
        ("crossentropy", (3,), (), THREE, TargetMeaning("labels", 3)),
        ("crossentropy", (3,), (1,), THREE, TargetMeaning("labels", 3)),
        ("crossentropy", (3,), (3,), ONE_HOT, TargetMeaning("one-hot", 3)),
        ("ce", (3,), (3,), FRACTIONS, TargetMeaning("probabilities", 3)),
        ("crossentropy", (6, 3), (6,), THREE, TargetMeaning("labels", 3, 1)),
        ("crossentropy", (6, 3), (6, 3), ONE_HOT, TargetMeaning("one-hot", 3, 1)),
        ("crossentropy", (1,), (), ZERO_ONE, TargetMeaning("binary", 2)),
        (BINARY, (2,), (), ZERO_ONE, None),
        ("hinge", (1,), (), SIGNS, TargetMeaning("signs", 2)),
        ("mse", (1,), (), AGES, TargetMeaning("numbers")),
        ("mse", (1,), (), NUMBERS, TargetMeaning("numbers")),
        ("mse", (1,), (1,), ZERO_ONE, TargetMeaning("binary", 2)),
        ("mse", (3,), (3,), ONE_HOT, TargetMeaning("one-hot", 3)),
        ("mse", (3,), (1,), NUMBERS, None),
        ("mse", (6, 1), (6,), NUMBERS, TargetMeaning("numbers")),
        ("dice", (8, 8, 3), (8, 8), THREE, TargetMeaning("one-hot", 3, 2, is_converted=True)),
        ("circle", (5,), (), THREE, TargetMeaning("labels")),
        ("ctc", (6, 5), (3,), THREE, TargetMeaning("labels", position_axes=1)),
    ],
)
def test_meaning_depends_on_loss_output_and_values(loss, output, shape, values, expected):
    assert meaning_of(loss, output, shape, values) == expected


def test_declared_numbers_are_not_two_classes():
    assert meaning_of("mse", (1,), (), ZERO_ONE, kind="numbers") == TargetMeaning("numbers")
    assert meaning_of("mse", (1,), (), THREE, classes=3, kind="labels") == TargetMeaning("labels", 3)


def test_integers_from_0_are_labels_for_any_loss_if_there_are_few():
    assert meaning_of("mse", (1,), (), TargetValues.of_classes(20), classes=20) == TargetMeaning("labels", 20)
    assert meaning_of("mse", (1,), (), TargetValues.of_classes(21), classes=21) == TargetMeaning("numbers")


@pytest.mark.parametrize(
    ("meaning", "expected"),
    [
        (TargetMeaning("labels", 3), True),
        (TargetMeaning("one-hot", 3), True),
        (TargetMeaning("binary", 2), True),
        (TargetMeaning("signs", 2), True),
        (TargetMeaning("labels", 3, 2), False),
        (TargetMeaning("multi-label", 3), False),
        (TargetMeaning("probabilities", 3), False),
        (TargetMeaning("numbers"), False),
    ],
)
def test_examples_with_exactly_one_class(meaning, expected):
    assert meaning.is_one_class == expected


@pytest.mark.parametrize(
    ("output", "facts", "expected"),
    [
        ((3,), {"kind": "labels"}, TargetMeaning("labels", 3, 0)),
        ((3,), {"values": THREE, "classes": 3}, TargetMeaning("labels", 3, 0)),
        ((3,), {"values": NUMBERS}, TargetMeaning("numbers")),
        ((3,), {}, TargetMeaning("numbers")),
        ((3,), {"kind": "labels", "classes": 3}, TargetMeaning("labels", 3, 0)),
        ((3,), {"kind": "labels", "classes": 4}, TargetMeaning("numbers")),
        ((8, 8, 5), {"kind": "labels", "classes": 4, "shape": (8, 8)}, TargetMeaning("labels", 5, 2)),
        ((3,), {"kind": "labels", "shape": (4,)}, TargetMeaning("numbers")),
        ((1,), {"values": NUMBERS}, TargetMeaning("numbers")),
    ],
)
def test_target_of_a_custom_loss_is_what_its_values_are(output, facts, expected):
    assert meaning_of("losses.py:focal", output, **facts) == expected

"""Texts of new files become the labels of training; unknown ones are named with their row."""

import io

import numpy as np
import pytest

from layercli.data.named_arrays import (
    NamedArray,
    _read_target,
    encode_known_labels,
    read_array,
    read_array_header,
)
from layercli.data.types import DataError

KEY = ("data", "target")


def test_known_texts_become_their_labels():
    labels = encode_known_labels(np.array(["b", "a", "c", "b"], dtype=object), ("a", "b", "c"), KEY)
    assert (labels.tolist(), labels.dtype) == ([1, 0, 2, 1], np.int32)
    assert encode_known_labels(np.array([], dtype=object), ("a",), KEY).tolist() == []


@pytest.mark.parametrize(
    ("texts", "message", "hint"),
    [
        (
            ["rde", "red"],
            'Row 1 has the class "rde", which is not in the training data.',
            "Did you mean `red`?",
        ),
        (["red", "blue", "7"], 'Row 3 has the class "7", which is not in the training data.', None),
    ],
)
def test_unknown_class_is_named_with_its_row(texts, message, hint):
    with pytest.raises(DataError) as caught:
        encode_known_labels(np.array(texts, dtype=object), ("red", "green", "blue"), KEY)
    (found,) = caught.value.findings
    assert (found.message, found.path) == (message, KEY)
    assert found.hint == (hint or "The classes are red, green, blue.")


def test_hint_lists_at_most_12_classes():
    with pytest.raises(DataError) as caught:
        encode_known_labels(np.array(["?"], dtype=object), tuple(f"c{n}" for n in range(20)), KEY)
    assert (
        caught.value.findings[0].hint == "The classes are c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11."
    )


@pytest.mark.parametrize(
    ("values", "labels", "names"),
    [
        ([[0, 1], [1, 0]], [[0, 1], [1, 0]], None),  # already class numbers of positions
        ([[0, 2], [2, 0]], [[0, 1], [1, 0]], ("0", "2")),
        ([0, 1, 1], [0, 1, 1], ("0", "1")),
        ([[0], [2], [1]], [[0], [2], [1]], None),
    ],
)
def test_declared_labels_are_class_numbers(values, labels, names):
    found, found_names = _read_target(NamedArray(np.array(values), "y", KEY), "labels")
    assert (found[np.arange(len(values))].tolist(), found_names) == (labels, names)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_header_of_an_array(version):
    stream = io.BytesIO()
    array = np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3))
    np.lib.format.write_array(stream, array, version=version)
    size = len(stream.getvalue())
    stream.seek(0)
    header = read_array_header(stream, size, "x", KEY)
    assert (header.shape, header.fortran_order, header.dtype) == ((2, 3), True, np.int16)
    assert size - header.offset == 12
    stream.seek(0)
    with pytest.raises(ValueError, match="the array x declares more values than it contains"):
        read_array_header(stream, size - 1, "x", KEY)


def test_numbers_too_large_for_float32_are_infinite():
    stream = io.BytesIO()
    np.save(stream, np.array([1e300, -1e300, 0.5]))
    size = stream.tell()
    stream.seek(0)
    header = read_array_header(stream, size, "x", KEY)
    stream.seek(0)
    assert read_array(stream, header).tolist() == [np.inf, -np.inf, 0.5]

"""The columns of targets that are written next to predictions."""

import numpy as np

from layercli.data.examples import Examples
from layercli.data.reader_state import ReaderState
from layercli.data.target_columns import list_target_columns

X = np.zeros((2, 1), "float32")


def columns(y, kinds=None, class_names=None, numbers=(), **keys):
    examples = Examples(X, y, class_names, **keys)
    found = list_target_columns(examples, ReaderState({}, target_kinds=kinds or {}), numbers)
    return {name: values.tolist() for name, values in found.items()}


def test_labels_are_the_classes_of_the_data():
    labels = np.array([1, 0])
    assert columns(labels) == {"target": [1, 0]}
    assert columns(labels, class_names=("no", "yes")) == {"target": ["yes", "no"]}
    assert columns(labels, class_names=("3", "8"), numbers=(None,)) == {"target": [8, 3]}


def test_several_targets_have_the_names_of_their_outputs():
    y = {"a": np.array([1, 0]), "b": np.array([0.5, 2.0])}
    assert columns(y, class_names={"a": ("no", "yes")}) == {"a_target": ["yes", "no"], "b_target": [0.5, 2.0]}


def test_one_hot_rows_become_classes():
    one_hot = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    kinds = {None: "one-hot"}
    assert columns(one_hot, kinds) == {"target": [2, 0]}
    assert columns(one_hot, kinds, ("x", "y", "z")) == {"target": ["z", "x"]}
    assert columns(one_hot, kinds, ("x", "y")) == {"target": [2, 0]}
    assert columns(one_hot.astype(int), kinds) == {"target": [[0, 0, 1], [1, 0, 0]]}


def test_target_of_several_columns_has_one_for_each():
    y = np.array([[1.0, 2.0], [3.0, 4.0]])
    names = {None: ("height", "width")}
    assert columns(y, target_columns=names) == {"target_height": [1.0, 3.0], "target_width": [2.0, 4.0]}
    assert columns(y, target_columns={None: ("height",)}) == {"target": [[1.0, 2.0], [3.0, 4.0]]}
    assert columns(y[:, :1], target_columns={None: ("height",)}) == {"target": [[1.0], [3.0]]}

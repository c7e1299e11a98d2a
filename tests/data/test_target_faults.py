import numpy as np

from layercli.data.examples import Examples
from layercli.data.target_averages import average_targets
from layercli.data.target_faults import count_conflicting_labels, find_constant_targets

X = np.arange(40.0).reshape(20, 2)
Y = np.arange(20) % 4


def test_constant_targets_have_one_value():
    targets = {"same": np.full((5, 2), 3), "one": np.zeros(5), "varied": np.arange(5), "rows": np.eye(5)}
    assert find_constant_targets(Examples(np.zeros((5, 1)), targets)) == ["same", "one"]
    assert find_constant_targets(Examples(np.zeros((5, 1)), np.array([1, 1, 1, 1, 2]))) == []
    assert find_constant_targets(Examples(np.zeros((5, 1)), np.ones(5))) == [None]


def test_a_single_example_is_not_a_constant_target():
    assert find_constant_targets(Examples(np.zeros((1, 1)), np.ones(1))) == []


def test_equal_inputs_with_different_labels_are_counted():
    x, y = X.copy(), Y.copy()
    x[1], x[2] = x[0], x[0]  # labels 0, 1 and 2
    x[8] = x[4]  # both have label 0
    assert count_conflicting_labels(Examples(x, y), [None]) == 3
    assert count_conflicting_labels(Examples(x, y), []) == 0
    assert count_conflicting_labels(Examples(X, y), [None]) == 0


def test_equal_texts_with_different_labels_are_counted():
    equal = ["".join(["go", "od"]) for _ in range(2)]  # two objects
    texts = np.array([[equal[0]], [equal[1]], ["bad"], ["fine"]], dtype=object)
    assert count_conflicting_labels(Examples(texts, np.array([0, 1, 0, 1])), [None]) == 2


def test_inputs_with_few_possible_values_have_no_label_noise():
    assert count_conflicting_labels(Examples(np.arange(20) % 5, Y), [None]) == 0


def test_frequencies_and_means_equal_a_calculation_by_hand():
    targets = {"label": np.array([0, 2, 2, 9]), "number": np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]])}
    averages = average_targets(Examples(np.zeros((4, 1)), targets), {"label": 10}, {"label": 9})
    assert averages["label"].tolist() == [1 / 3, 0, 2 / 3, 0, 0, 0, 0, 0, 0, 0]
    assert averages["number"].tolist() == [4.0, 5.0]

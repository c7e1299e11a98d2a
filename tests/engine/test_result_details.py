import numpy as np
import pytest

from layercli.data.evaluation.classes import ClassResult, LabelResult
from layercli.data.evaluation.errors import ErrorResult
from layercli.data.examples import Examples
from layercli.engine.result_details import (
    DetailCollector,
    find_true_values,
    measure_wrongness,
    select_wrong,
)
from layercli.engine.results import OutputResults
from layercli.graph.output_kind import OutputKind

CLASSES, TWO, NUMBERS = OutputKind("classes"), OutputKind("two"), OutputKind("numbers")


def results(kind, classes=3, ignored=None):
    names = tuple(map(str, range(classes)))
    result = {"numbers": lambda: ErrorResult(), "labels": lambda: LabelResult(names)}.get(
        kind.kind, lambda: ClassResult(names)
    )()
    return OutputResults(kind, ignored, result)


def collect(kind, target, output, **options):
    collector = DetailCollector(shown_examples=2)
    examples = Examples(np.zeros((len(target), 60), np.float32), target)
    for start in range(0, len(target), 2):
        part = slice(start, start + 2)
        collector.observe(
            "y", results(kind, **options), examples.take(part), target[part], output[part], None
        )
    return collector.outputs["y"]


def wrongness(kind, target, output, mask=None, **options):
    own = results(kind, **options)
    return measure_wrongness(own, find_true_values(own, target, output), output, mask).tolist()


def test_most_wrong_and_least_certain_classes():
    output = np.array([[0.8, 0.1, 0.1], [0.5, 0.45, 0.05], [0.1, 0.2, 0.7], [0.05, 0.9, 0.05]])
    details = collect(CLASSES, np.array([0, 0, 1, 2]), output)
    assert details.wrong.positions.tolist() == [3, 2]
    assert details.wrong.scores == pytest.approx([0.85, 0.5])
    assert details.wrong.targets.tolist() == [2, 1]
    assert details.uncertain.positions.tolist() == [1, 2]
    assert details.count == 4
    # the first two are right: (|0.8 - 1| + |0.5 - 1| + |0.7 - 0| + |0.9 - 0|) / 4
    assert details.calibration.compute_error() == pytest.approx((0.2 + 0.5 + 0.7 + 0.9) / 4)
    assert [own.values.tolist() for _, own in details.class_scores] == [[0.5, 0.8], [0.2], [0.05]]


def test_logits_are_shown_as_probabilities():
    kind = OutputKind("classes", "softmax")
    details = collect(kind, np.array([0]), np.log(np.array([[0.7, 0.2, 0.1]], np.float32)))
    assert details.wrong.outputs == pytest.approx(np.array([[0.7, 0.2, 0.1]]), rel=1e-5)
    details = collect(OutputKind("two", "sigmoid"), np.array([1]), np.zeros((1, 1), np.float32), classes=2)
    assert details.calibration.list_rows()[0].predicted == 0.5


def test_outputs_that_are_not_probabilities_have_no_calibration():
    details = collect(CLASSES, np.array([0, 1]), np.array([[3.0, -1, 0], [0, 1, 5]]))
    assert details.calibration is None
    assert details.uncertain is None
    assert details.wrong.positions.tolist() == [1, 0]
    assert collect(OutputKind("classes", None, False), np.array([0]), np.eye(3)[:1]).calibration is None


def test_two_classes_are_least_certain_near_one_half():
    details = collect(TWO, np.array([0, 1, 1]), np.array([[0.9], [0.45], [0.8]]), classes=2)
    assert details.wrong.positions.tolist() == [0, 1]
    assert details.uncertain.positions.tolist() == [1, 2]
    assert details.class_scores == []


def test_numbers_are_most_wrong_by_their_mean_error():
    target = np.array([[1.0, 1], [2, 2], [3, 3]])
    output = np.array([[1.5, 1], [2, 2.1], [0, 3]])
    details = collect(NUMBERS, target, output)
    assert details.wrong.positions.tolist() == [2, 0]
    assert details.wrong.scores == pytest.approx([1.5, 0.25])
    assert sorted(map(tuple, details.pairs.pairs.tolist()))[0] == (0, 3)  # prediction, target
    assert details.uncertain is None


def test_positions_are_wrong_by_their_share_without_masked_ones():
    output = np.eye(3)[np.array([[0, 1, 2], [0, 0, 0]])]
    target = np.array([[0, 0, -1], [0, 1, 1]])
    mask = np.array([[True, True, True], [True, True, False]])
    assert wrongness(CLASSES, target, output, mask) == [0.5, 0.5]
    assert wrongness(CLASSES, target, output) == [0.5, pytest.approx(2 / 3)]
    assert wrongness(CLASSES, target, output, ignored=1) == [0.5, 0.0]


def test_labels_outside_the_classes_are_left_out():
    details = collect(CLASSES, np.array([0, -1]), np.array([[0.6, 0.3, 0.1]] * 2))
    assert details.wrong.positions.tolist() == [0]
    assert details.uncertain.positions.tolist() == [0]
    assert details.calibration.list_rows()[0].count == 1


def test_predictions_that_are_not_finite_are_left_out():
    details = collect(TWO, np.array([0, 1]), np.array([[np.nan], [0.25]]), classes=2)
    assert details.wrong.positions.tolist() == details.uncertain.positions.tolist() == [1]
    assert details.calibration.list_rows()[0].count == 1


def test_one_hot_targets():
    details = collect(CLASSES, np.eye(3)[[2, 0]], np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]]))
    assert details.wrong.positions.tolist() == [0, 1]
    assert details.calibration.compute_error() == pytest.approx(0.1)


def test_signs_and_labels_are_wrong_by_their_scores():
    assert wrongness(OutputKind("sign", None, False, 0.0), np.array([-1.0, 1]), np.array([[0.5], [2.0]])) == [
        0.5,
        -2,
    ]
    labels = wrongness(OutputKind("labels"), np.array([[1, 0, 0]]), np.array([[0.75, 0.25, 0.5]]))
    assert labels == pytest.approx([1 / 3])


def wrong_positions(kind, target, output, **options):
    return select_wrong(collect(kind, np.array(target), np.array(output), **options)).positions.tolist()


def test_right_examples_are_not_among_the_wrong_ones():
    assert wrong_positions(CLASSES, [0, 1, 2], [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]]) == [1]
    assert wrong_positions(TWO, [0, 1, 1], [[0.4], [0.45], [0.8]], classes=2) == [1]
    assert wrong_positions(NUMBERS, [[1.0], [2.0], [3.0]], [[1.0], [2.5], [3.0]]) == [1, 0]
    labels = [[1, 0, 0], [0, 1, 1]]
    assert wrong_positions(OutputKind("labels"), labels, [[0.6, 0.4, 0.4], [0.4, 0.4, 0.6]]) == [1]
    positions = np.eye(3)[[[0, 1], [2, 2]]]
    assert wrong_positions(CLASSES, [[0, 1], [2, 0]], positions) == [1]


def test_examples_that_are_all_right_are_kept():
    assert wrong_positions(CLASSES, [0, 1], [[0.8, 0.1, 0.1], [0.1, 0.6, 0.3]]) == [0, 1]


def test_positions_of_an_example_are_not_independent():
    details = collect(CLASSES, np.array([[0, 1], [2, 0]]), np.eye(3)[[[0, 1], [1, 1]]])
    # shares of right positions 1 and 0
    assert details.positions.examples == 2
    assert details.positions.compute_interval() == (0.0, 1.0)

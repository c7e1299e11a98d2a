"""Details of outputs; a loss with logits is one with the attribute that the results look at."""

from types import SimpleNamespace

import numpy as np
import pytest

from layercli.data.evaluation.classes import ClassResult
from layercli.data.evaluation.errors import ErrorResult
from layercli.data.examples import Examples
from layercli.engine.result_details import DetailCollector, measure_wrongness, to_probabilities
from layercli.engine.results import OutputResults
from layercli.graph.target_meaning import TargetMeaning

LOGITS = SimpleNamespace(from_logits=True)


def results(kind, *, loss="mse", position_axes=0, classes=3):
    result = ErrorResult() if kind == "numbers" else ClassResult(tuple(map(str, range(classes))))
    return OutputResults(TargetMeaning(kind, classes, position_axes), loss, result)


def collect(kind, target, output, **options):
    collector = DetailCollector(shown_examples=2)
    examples = Examples(np.zeros((len(target), 60), np.float32), target)
    for start in range(0, len(target), 2):
        part = slice(start, start + 2)
        collector.observe(
            "y", results(kind, **options), examples.take(part), target[part], output[part], None
        )
    return collector.outputs["y"]


def test_most_wrong_and_least_certain_classes():
    output = np.array([[0.8, 0.1, 0.1], [0.5, 0.45, 0.05], [0.1, 0.2, 0.7], [0.05, 0.9, 0.05]])
    details = collect("labels", np.array([0, 0, 1, 2]), output)
    assert details.wrong.positions.tolist() == [3, 2]
    assert details.wrong.scores == pytest.approx([0.85, 0.5])
    assert details.uncertain.positions.tolist() == [1, 2]
    assert details.count == 4
    # the first two are right: (|0.8 - 1| + |0.5 - 1| + |0.7 - 0| + |0.9 - 0|) / 4
    assert details.calibration.compute_error() == pytest.approx((0.2 + 0.5 + 0.7 + 0.9) / 4)
    assert [own.values.tolist() for _, own in details.class_scores] == [[0.5, 0.8], [0.2], [0.05]]


def test_logits_become_probabilities():
    logits = np.log(np.array([[0.7, 0.2, 0.1]]))
    assert to_probabilities(results("labels", loss=LOGITS), logits) == pytest.approx(
        np.array([[0.7, 0.2, 0.1]])
    )
    assert to_probabilities(results("binary", loss=LOGITS), np.array([[0.0], [800.0]])).tolist() == [
        [0.5],
        [1.0],
    ]
    assert to_probabilities(results("labels"), logits) is not logits


def test_outputs_that_are_not_probabilities_have_no_calibration():
    details = collect("labels", np.array([0, 1]), np.array([[3.0, -1, 0], [0, 1, 5]]))
    assert details.calibration is None
    assert details.uncertain is None
    assert details.wrong.positions.tolist() == [1, 0]


def test_two_classes_are_least_certain_near_one_half():
    details = collect("binary", np.array([0, 1, 1]), np.array([[0.9], [0.45], [0.8]]), classes=2)
    assert details.wrong.positions.tolist() == [0, 1]
    assert details.uncertain.positions.tolist() == [1, 2]
    assert details.class_scores == []


def test_numbers_are_most_wrong_by_their_mean_error():
    target = np.array([[1.0, 1], [2, 2], [3, 3]])
    output = np.array([[1.5, 1], [2, 2.1], [0, 3]])
    details = collect("numbers", target, output)
    assert details.wrong.positions.tolist() == [2, 0]
    assert details.wrong.scores == pytest.approx([1.5, 0.25])
    assert sorted(map(tuple, details.pairs.pairs.tolist()))[0] == (0, 3)  # prediction, target
    assert details.uncertain is None


def test_positions_are_wrong_by_their_share_without_masked_ones():
    kind = results("labels", position_axes=1)
    values = np.eye(3)[np.array([[0, 1, 2], [0, 0, 0]])]
    target = np.array([[0, 0, -1], [0, 1, 1]])
    mask = np.array([[True, True, True], [True, True, False]])
    assert measure_wrongness(kind, target, values, mask).tolist() == [0.5, 0.5]
    assert measure_wrongness(kind, target, values, None).tolist() == [0.5, pytest.approx(2 / 3)]


def test_labels_outside_the_classes_are_left_out():
    details = collect("labels", np.array([0, -1]), np.array([[0.6, 0.3, 0.1]] * 2))
    assert details.wrong.positions.tolist() == [0]
    assert details.calibration.list_rows()[0].count == 1


def test_one_hot_targets():
    details = collect("one-hot", np.eye(3)[[2, 0]], np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]]))
    assert details.wrong.positions.tolist() == [0, 1]
    assert details.calibration.compute_error() == pytest.approx(0.1)

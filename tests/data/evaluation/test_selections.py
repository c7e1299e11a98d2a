import numpy as np

from layercli.data.evaluation.selections import RandomPairs, RandomSample, TopExamples
from layercli.data.examples import Examples


def batch(start, size):
    return Examples(np.arange(start, start + size, dtype=np.float32)[:, None], np.arange(start, start + size))


def test_top_examples_are_those_with_the_highest_scores_of_all_batches():
    top = TopExamples(3)
    scores = np.array([0.2, 0.9, np.nan, 0.5, 0.1, 0.95, 0.9, 0.0])
    for start in (0, 3, 6):
        part = scores[start : start + 3]
        examples = batch(start, len(part))
        top.add(part, start, examples, np.arange(start, start + len(part)), part * 10)
    assert top.positions.tolist() == [5, 1, 6]
    assert top.scores.tolist() == [0.95, 0.9, 0.9]
    assert top.targets.tolist() == [5, 1, 6]
    assert top.outputs.tolist() == [9.5, 9, 9]
    assert top.examples.x[:, 0].tolist() == [5, 1, 6]


def test_equal_scores_keep_the_first_examples():
    top = TopExamples(2)
    top.add(np.ones(5), 0, batch(0, 5), np.arange(5), np.arange(5))
    top.add(np.ones(5), 5, batch(5, 5), np.arange(5, 10), np.arange(5))
    assert top.positions.tolist() == [0, 1]


def test_top_examples_without_any_score():
    top = TopExamples(2)
    top.add(np.array([np.nan]), 0, batch(0, 1), np.arange(1), np.arange(1))
    assert top.examples is None


def test_random_sample_is_uniform_and_bounded():
    seen = np.zeros(100)
    for seed in range(300):
        sample = RandomSample(10, seed)
        for start in range(0, 100, 20):
            sample.add(batch(start, 20))
        rows = sample.examples.x[:, 0].astype(int)
        assert len(set(rows)) == 10
        seen[rows] += 1
    assert abs(seen.mean() - 30) < 1e-9
    assert seen.min() > 10
    assert seen.max() < 55


def test_random_sample_keeps_all_of_a_few():
    sample = RandomSample(10)
    sample.add(batch(0, 4))
    assert sorted(sample.examples.x[:, 0].tolist()) == [0, 1, 2, 3]


def test_random_pairs_stay_pairs():
    pairs = RandomPairs(5)
    for start in range(0, 50, 10):
        values = np.arange(start, start + 10.0)
        pairs.add(values, values * 2)
    assert pairs.pairs.shape == (5, 2)
    assert (pairs.pairs[:, 1] == pairs.pairs[:, 0] * 2).all()
    assert pairs.pairs[:, 0].max() >= 10  # not only of the first batch


def test_selected_examples_stay_in_order():
    top = TopExamples(3)
    top.add(np.array([1.0, 3, 2]), 10, batch(0, 3), np.arange(3), np.arange(3) * 2)
    chosen = top.select(np.array([True, False, True]))
    assert chosen.positions.tolist() == [11, 10]
    assert chosen.examples.x[:, 0].tolist() == [1, 0]
    assert (chosen.scores.tolist(), chosen.targets.tolist(), chosen.outputs.tolist()) == (
        [3, 1],
        [1, 0],
        [2, 0],
    )

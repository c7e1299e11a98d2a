"""The order of trials and the Pareto set, compared with sets found by hand and by comparing all pairs."""

import itertools

import pytest

from layercli.sweep.ranking import count_refused, find_pareto_numbers, rank_rows


def make_rows(*values, losses=None, parameters=None):
    return [
        {
            "number": number,
            "state": "complete",
            "values": list(each),
            "loss": losses[number] if losses else None,
            "parameters": parameters[number] if parameters else None,
        }
        for number, each in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "maximize", "numbers"),
    [
        ([(0.9, 100), (0.8, 50), (0.7, 60), (0.9, 120)], [True, False], [0, 1]),
        ([(0.9, 100), (0.9, 100), (0.5, 10)], [True, False], [0, 1, 2]),  # equal trials are all in it
        ([(1, 1), (2, 2), (3, 3)], [False, False], [0]),
        ([(1, 1), (2, 2), (3, 3)], [True, True], [2]),
        ([(1, 3, 5), (2, 2, 5), (2, 2, 4), (3, 1, 6), (3, 3, 3)], [False] * 3, [0, 2, 3, 4]),
        ([], [True, False], []),
    ],
)
def test_pareto_set_found_by_hand(values, maximize, numbers):
    assert find_pareto_numbers(make_rows(*values), maximize) == numbers


@pytest.mark.parametrize("maximize", [[True, False], [False, True], [True, False, False]])
def test_pareto_set_equals_that_of_all_pairs(maximize):
    points = [
        tuple((7 * (row + 1) * (axis + 2) ** 2 + row * row) % 11 for axis in range(len(maximize)))
        for row in range(60)
    ]

    def beats(one, other):
        signs = [1 if is_maximized else -1 for is_maximized in maximize]
        gains = [sign * (a - b) for sign, a, b in zip(signs, one, other, strict=True)]
        return all(gain >= 0 for gain in gains) and any(gain > 0 for gain in gains)

    beaten = {j for i, j in itertools.permutations(range(60), 2) if beats(points[i], points[j])}
    assert sorted(find_pareto_numbers(make_rows(*points), maximize)) == sorted(set(range(60)) - beaten)


def test_unfinished_trials_are_not_in_the_pareto_set():
    rows = make_rows((1, 1), (2, 2), (0, 3))
    rows[0] |= {"state": "refused", "values": [None, None]}
    assert find_pareto_numbers(rows, [False, False]) == [2, 1]


def test_ties_are_broken_by_loss_then_by_parameters():
    rows = make_rows(
        (0.9,),
        (0.9,),
        (0.9,),
        (0.8,),
        (0.9,),
        losses=[0.3, 0.2, 0.2, 0.1, None],
        parameters=[10, 50, 40, 1, 1],
    )
    assert [row["number"] for row in rank_rows(rows, [True])] == [2, 1, 0, 4, 3]


def test_trials_of_the_pareto_set_come_first():
    rows = make_rows((0.9, 100), (0.85, 200), (0.5, 10))
    assert [row["number"] for row in rank_rows(rows, [True, False])] == [0, 2, 1]


def test_refused_trials_are_counted_by_limit():
    rows = [{"refused": [{"limit": name} for name in names]} for names in ("", ["a", "b"], ["a"])]
    assert count_refused(rows) == {"a": 2, "b": 1}

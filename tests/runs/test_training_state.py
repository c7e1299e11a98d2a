"""Values in the state of a checkpoint that a training does not write are refused."""

import pytest

from layercli.runs.training_state import check_training_state

STATE = {"epochs": 9, "stopped": False, "elapsed": 1.0, "watch": {"seconds": 0.0, "before": 0.0}}
RECORD = {"epoch": 1, "seconds": 0.5, "loss": 1.0}
STAGES = {"has_ended": False, "starts": [0, 1], "epochs": [1, 5, 3]}


def check(*records, **keys):
    check_training_state({**STATE, "records": [*records], **keys}, len(records))


@pytest.mark.parametrize("stages", [None, STAGES, STAGES | {"starts": [0]}, STAGES | {"starts": [0, 0, 1]}])
def test_stages_of_a_training_are_accepted(stages):
    check(RECORD, stages=stages)


@pytest.mark.parametrize(
    "stages",
    [
        [],
        {},
        STAGES | {"has_ended": 0},
        STAGES | {"starts": []},
        STAGES | {"starts": [1]},
        STAGES | {"starts": [0, 1, 0]},
        STAGES | {"starts": [0, 2]},  # later than the checkpoint
        STAGES | {"starts": [0, 0, 0, 1]},
        STAGES | {"starts": [0, True]},
        STAGES | {"starts": 0},
        STAGES | {"epochs": [1, -1]},
        STAGES | {"epochs": [1, 2**53 + 1]},
        STAGES | {"epochs": None},
    ],
)
def test_other_stages_are_refused(stages):
    with pytest.raises(ValueError, match="its state of `stages` is malformed"):
        check(RECORD, stages=stages)


@pytest.mark.parametrize("value", [0, 2.5, float("nan"), float("inf"), [1, 0.5], [], -(10**308)])
def test_metrics_are_numbers_or_lists_of_numbers(value):
    check(RECORD | {"loss": value})


@pytest.mark.parametrize("value", [None, "1", True, [1, None], [[1]], {"a": 1}, 10**309, [-(10**309)]])
def test_other_metrics_are_refused(value):
    with pytest.raises(ValueError, match="its records of epochs are malformed"):
        check(RECORD | {"loss": value})


@pytest.mark.parametrize(
    "changes", [{"seconds": -1}, {"seconds": 1.1e12}, {"seconds": float("nan")}, {"epoch": 1.0}]
)
def test_other_records_are_refused(changes):
    with pytest.raises(ValueError, match="its records of epochs are malformed"):
        check(RECORD | changes)


def test_limit_of_steps_and_seconds_is_accepted():
    check(RECORD, until={"seconds": 1e12, "steps": 2**53, "is_reached": True})
    for wrong in ([], {"steps": 2**53 + 1}, {"seconds": None}):
        with pytest.raises(ValueError, match="its state of `until` is malformed"):
            check(RECORD, until={"seconds": 1, "steps": 1, "is_reached": True} | wrong if wrong else wrong)

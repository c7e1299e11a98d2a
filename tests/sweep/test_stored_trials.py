import pytest
from optuna.trial import FrozenTrial, TrialState

from layercli.sweep.stored_trials import StoredValueError, require_valid_trials

EXCESS = {"limit": "flops", "value": 3, "maximum": 2}


def stored_trial(**attributes):
    return FrozenTrial(
        number=0,
        state=TrialState.COMPLETE,
        value=0.5,
        datetime_start=None,
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs=attributes,
        system_attrs={"retry_history": [1, 2]},
        intermediate_values={1: 0.5},
        trial_id=0,
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"worker": ["host", 5, 0], "run": "runs/s/0", "problem": "It stopped.", "epochs": 3, "loss": 0.5},
        {"run": None, "problem": None, "epochs": None, "loss": None, "sizes": {"flops": None}},
        {"epochs": 2**63 - 1, "sizes": {"flops": 3, "exceeded": [EXCESS]}},
    ],
)
def test_values_of_sweeps_are_valid(attributes):
    require_valid_trials([stored_trial(**attributes)], 1)


@pytest.mark.parametrize(
    "attributes",
    [
        {"epochs": 2**63},
        {"epochs": True},
        {"worker": ["host", 5]},
        {"worker": [5, 5, 0]},
        {"worker": ["host", 5, "0"]},
        {"worker": ["host", "5", 0]},
        {"sizes": {"exceeded": "flops"}},
        {"sizes": {"flops": 3, "parameters": "x"}},
        {"sizes": {"exceeded": [EXCESS, {}]}},
        {"sizes": {"exceeded": [EXCESS | {"limit": "other"}]}},
        {"sizes": {"exceeded": [EXCESS | {"value": "3"}]}},
        {"sizes": {"exceeded": [EXCESS | {"maximum": None}]}},
    ],
)
def test_values_that_no_sweep_writes_are_refused(attributes):
    [name] = attributes
    with pytest.raises(StoredValueError, match=f"its trial 0 has an invalid value of `{name}`"):
        require_valid_trials([stored_trial(**attributes)], 1)


def test_trial_of_another_number_or_with_missing_values_is_refused():
    trial = stored_trial()
    with pytest.raises(StoredValueError, match="its trial 1 has the number 0"):
        require_valid_trials([trial, trial], 1)
    with pytest.raises(StoredValueError, match="must have a value for each objective"):
        require_valid_trials([trial], 2)

"""The state of callbacks in a checkpoint."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from layercli.engine.training.callback_state import (
    CallbackStateError,
    get_custom_state,
    has_state_methods,
    read_callback,
    restore_files,
    set_custom_state,
    write_callback,
)


class Callback:
    def __init__(self, state=None):
        self.state = state

    def get_state(self):
        return self.state

    def set_state(self, state):
        self.state = state


def copy_state(state):
    """Return a state after it was written as JSON and arrays, and read again."""
    values, arrays = get_custom_state(Callback(state))
    copied = Callback()
    set_custom_state(copied, json.loads(json.dumps(values)), dict(enumerate(arrays)))
    return copied.state


def test_values_and_arrays_are_restored():
    state = {"a": [1, 2.5, None, True, "x"], "array": {"items": []}, "list": {"value": {"array": 3}}}
    assert copy_state(state) == state
    assert copy_state([np.float32(1.5), np.int64(3), (1, 2)]) == [1.5, 3, [1, 2]]
    first, second = copy_state([np.arange(3, dtype="int16"), tf.constant([[1.0, 2.0]])])
    assert (first.dtype, first.tolist()) == (np.dtype("int16"), [0, 1, 2])
    assert (second.dtype, second.tolist()) == (np.dtype("float32"), [[1.0, 2.0]])


def test_array_is_copied():
    array = np.zeros(2)
    values, arrays = get_custom_state(Callback(array))
    array += 1
    assert arrays[0].tolist() == [0, 0]
    restored = Callback()
    set_custom_state(restored, values, dict(enumerate(arrays)))
    restored.state += 1
    assert arrays[0].tolist() == [0, 0]


def test_number_of_values_is_limited():
    shared = [0] * 1000
    with pytest.raises(CallbackStateError, match="returned more than 1,000,000 values"):
        get_custom_state(Callback([shared] * 1000))


NESTED = []
NESTED.append(NESTED)


@pytest.mark.parametrize("state", [{1, 2}, {1: 2}, {"a": 1, 2: 3}, object(), np.array(["a"]), [b"x"], NESTED])
def test_other_values_are_refused(state):
    with pytest.raises(CallbackStateError, match="`get_state` of Callback must return"):
        get_custom_state(Callback(state))


@pytest.mark.parametrize(
    "state", [{}, {"value": {}}, {"value": [1]}, {"array": 5}, {"what": 1}, {"value": 1, "list": []}, 3]
)
def test_malformed_state_is_refused(state):
    with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
        set_custom_state(Callback(), state, {})


def test_failure_of_set_state_is_reported():
    class Failing(Callback):
        def set_state(self, state):
            raise KeyError(state)

    with pytest.raises(CallbackStateError, match="`set_state` of Failing failed: KeyError: 1"):
        set_custom_state(Failing(), {"value": 1}, {})


def test_both_methods_are_required():
    assert has_state_methods(Callback())
    assert not has_state_methods(object())
    assert not has_state_methods(type("Half", (), {"get_state": lambda _: 1})())


def test_state_of_a_custom_callback_is_restored():
    values, arrays = read_callback(Callback({"seen": np.array([3, 1])}))
    assert list(arrays) == ["state/0"]
    copied = Callback()
    write_callback(copied, json.loads(json.dumps(values)), arrays)
    assert copied.state["seen"].tolist() == [3, 1]


def test_checkpoint_without_the_state_of_a_callback_changes_nothing():
    callback = Callback({"seen": 1})
    write_callback(callback, {}, {})
    assert callback.state == {"seen": 1}


def test_log_is_cut_to_the_checkpoint_and_its_hard_link_is_kept(tmp_path):
    log, link = tmp_path / "log.csv", tmp_path / "link.csv"
    log.write_bytes(b"a,b\n1,2\n3,4\n")
    link.hardlink_to(log)
    callback = keras.callbacks.CSVLogger(str(log))
    restore_files(callback, {"bytes": 8})
    assert (log.read_bytes(), link.read_bytes()) == (b"a,b\n1,2\n", b"a,b\n1,2\n3,4\n")
    assert callback.append

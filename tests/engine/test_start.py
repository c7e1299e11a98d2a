import os

import pytest

from layercli.runtime import capture_native_stderr
from tests.running import CONFIGS, python

HIDDEN = ("sklearn", "scipy", "pandas")


@pytest.mark.slow
def test_a_persons_own_process_keeps_scikit_learn_and_stays_quiet():
    code = f"""
import layercli
layercli.build({str(CONFIGS / "digits_dense.yaml")!r})
import sys, sklearn.datasets, keras
assert all(sys.modules.get(name, sys) is not None for name in {HIDDEN!r})
from keras.wrappers import SKLearnClassifier
import keras.src.wrappers.sklearn_wrapper as wrapper
print(wrapper.sklearn is not None, len(sklearn.datasets.load_iris().target))
"""
    assert python(code) == "True 150\n"


@pytest.mark.slow
def test_our_own_process_starts_keras_without_what_it_never_uses_and_can_import_it_later():
    code = f"""
import os, sys
from layercli import runtime
runtime.is_cli_process = True
import layercli.engine
print(os.environ["KERAS_BACKEND"], [name for name in {HIDDEN!r} if name in sys.modules])
import sklearn
print(sklearn.__name__)
"""
    assert python(code) == "tensorflow []\nsklearn\n"


def test_what_native_code_says_is_held_and_shown_only_if_the_import_fails(capfd):
    with capture_native_stderr():
        os.write(2, b"chatter")
    assert capfd.readouterr().err == ""

    def fail():
        os.write(2, b"why it failed")
        raise ImportError

    with pytest.raises(ImportError), capture_native_stderr():
        fail()
    assert capfd.readouterr().err == "why it failed"

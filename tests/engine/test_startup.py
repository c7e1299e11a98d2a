import os
import subprocess
import sys

import pytest

from layercli.runtime import capture_native_stderr
from tests.running import CONFIGS, HANG_SECONDS, run_python

HIDDEN = ("sklearn", "scipy", "pandas")


@pytest.mark.slow
def test_user_process_keeps_scikit_learn():
    code = f"""
import layercli
layercli.build({str(CONFIGS / "digits_dense.yaml")!r})
import sys, sklearn.datasets, keras
assert all(sys.modules.get(name, sys) is not None for name in {HIDDEN!r})
from keras.wrappers import SKLearnClassifier
import keras.src.wrappers.sklearn_wrapper as wrapper
print(wrapper.sklearn is not None, len(sklearn.datasets.load_iris().target))
import gc
print(gc.isenabled(), gc.get_freeze_count())
"""
    assert run_python(code) == "True 150\nTrue 0\n"


@pytest.mark.slow
def test_cli_process_starts_without_unused_packages():
    code = f"""
import os, sys
from layercli import runtime
runtime.is_cli_process = True
import layercli.engine
print(os.environ["KERAS_BACKEND"], [name for name in {HIDDEN!r} if name in sys.modules])
import sklearn
print(sklearn.__name__)
import gc
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
"""
    assert run_python(code) == "tensorflow []\nsklearn\nTrue True\n"


def test_missing_package_is_reported_before_loading(digits_run, tmp_path):
    code = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *args: None if name == "tf2onnx" else found(name, *args)
from typer.testing import CliRunner
from layercli.cli import make_app
result = CliRunner().invoke(make_app(["export"]), ["export", sys.argv[1], "-f", "onnx", "--json"])
print(result.output, "tensorflow" in sys.modules)
"""
    printed = run_python(code, digits_run.path, cwd=tmp_path)
    assert "pip install 'layercli[onnx]'" in printed
    assert printed.split()[-1] == "False"


def test_native_output_is_shown_only_after_a_failure(capfd):
    with capture_native_stderr():
        os.write(2, b"chatter")
    assert capfd.readouterr().err == ""

    def fail():
        os.write(2, b"why it failed")
        raise ImportError

    with pytest.raises(ImportError), capture_native_stderr():
        fail()
    assert capfd.readouterr().err == "why it failed"


@pytest.mark.slow
def test_vocabularies_are_utf8_in_every_locale(tmp_path):
    code = f"""
import layercli.engine
import keras
layer = keras.layers.StringLookup()
layer.adapt(["K\\xf6ln"])
layer.save_assets({str(tmp_path)!r})
other = keras.layers.StringLookup()
other.load_assets({str(tmp_path)!r})
print(ascii(list(map(str, other.get_vocabulary()))), open({str(tmp_path / "x")!r}, "w").encoding)
"""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )
    assert done.stdout == "['[UNK]', 'K\\xf6ln'] ANSI_X3.4-1968\n"
    assert (tmp_path / "vocabulary.txt").read_bytes() == b"[UNK]\nK\xc3\xb6ln"

import json
import sys

import numpy as np
import pytest

from layercli import api
from tests.running import CONFIGS, invoke, line_of, problems, run_python, write_config

HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}
REFUSES = "Keras cannot connect `mine` to an input of (None, 4):"
SIMPLE = """
model:
  input: [784]
  layers:
    - {type: "simple_dense.py:SimpleDense", units: 32}
"""


@pytest.fixture
def simple(tmp_path):
    (tmp_path / "simple_dense.py").write_bytes((CONFIGS / "simple_dense.py").read_bytes())
    path = tmp_path / "simple.yaml"
    path.write_text(SIMPLE)
    return path


def failure(tmp_path, entry, *args):
    """Return the only problem of building a config whose first layer is ``entry``."""
    config = write_config(tmp_path, [entry, HEAD])
    result = invoke("build", config, "--json", "--trust", *args)
    assert [line for _, line in problems(result)] == [line_of(config, entry["type"])]
    (problem,) = json.loads(result.stdout)["problems"]
    return problem["code"], problem["message"], problem["hint"]


def test_simple_dense_has_25120_parameters(simple):
    model = api.build(simple, trust=True)
    assert model(np.ones((2, 784), "float32")).shape == (2, 32)
    assert model.count_params() == 784 * 32 + 32 == 25_120


def test_simple_dense_computes_its_formula(simple):
    model = api.build(api.load(simple, overrides=["model.layers.0.activation=relu"]), trust=True)
    kernel, bias = model.get_weights()
    model.set_weights([kernel, bias + 0.1])
    x = np.random.default_rng(0).standard_normal((4, 784)).astype("float32")
    np.testing.assert_allclose(model(x), np.maximum(x @ kernel + bias + 0.1, 0), atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("warm_processes")
def test_saved_simple_dense_loads_in_new_process(simple, tmp_path):
    target = tmp_path / "simple.keras"
    assert invoke("build", simple, "--trust", "--output", target).exit_code == 0
    code = """
import sys, keras, numpy, simple_dense
model = keras.models.load_model(sys.argv[1])
print(*model(numpy.ones((2, 784), "float32"))[1].numpy().tolist())
"""
    given = [float(word) for word in run_python(code, target, path=CONFIGS).split()]
    expected = api.build(simple, trust=True)(np.ones((2, 784), "float32"))[1]
    np.testing.assert_allclose(given, expected, atol=1e-5)


def test_simple_dense_trains(custom_run):
    loss = custom_run.summary["history"]["loss"]
    assert loss[1] < loss[0] / 2
    assert custom_run.summary["test"]["accuracy"] > 0.7


def test_custom_layer_has_graph_name(simple):
    assert [layer.name for layer in api.build(simple, trust=True).layers] == ["input", "simple_dense"]


def test_missing_file_is_reported(tmp_path):
    code, message, hint = failure(tmp_path, {"type": "nowhere.py:Mine"})
    assert (code, message) == ("custom-layer", f"The file {tmp_path / 'nowhere.py'} does not exist.")
    assert hint == "The path is relative to the config."


def test_missing_class_suggests_closest_name(tmp_path, layer_file):
    place = layer_file("pass").removesuffix(":Mine")
    code, message, hint = failure(tmp_path, {"type": f"{place}:Mien"})
    assert (code, message, hint) == ("custom-layer", f"{place} has no class Mien.", "Did you mean `Mine`?")


def test_class_that_is_not_a_layer_is_refused(tmp_path, layer_file):
    mine = layer_file("pass", header="class Mine:")
    assert failure(tmp_path, {"type": mine}) == (
        "custom-layer",
        f"{mine} is not a Keras layer.",
        "Derive it from keras.layers.Layer.",
    )


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("import nowhere_at_all\nclass Mine:", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("class Mine(:", "SyntaxError: invalid syntax"),
        (
            "open('weights.npy')\nclass Mine:",
            "FileNotFoundError: [Errno 2] No such file or directory: 'weights",
        ),
        ("raise SystemExit('no main')\nclass Mine:", "SystemExit: no main"),
    ],
)
def test_import_error_of_custom_file_is_reported(tmp_path, layer_file, header, text):
    mine = layer_file("pass", header=header)
    code, message, hint = failure(tmp_path, {"type": mine})
    assert (code, hint) == ("custom-layer", f"Fix line 4 of {mine.removesuffix(':Mine')}.")
    assert message.startswith(f"Cannot import {mine.removesuffix(':Mine')}: {text}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "def __init__(self, **kwargs):\n    1 / 0",
            "Mine cannot be created with these arguments: ZeroDivision",
        ),
        ("def build(self, shape):\n    raise KeyError('axis')", f"{REFUSES} KeyError: 'axis'"),
        ("def call(self, x):\n    raise ValueError('one\\ntwo')", f"{REFUSES} ValueError: one"),
    ],
)
def test_custom_layer_error_names_its_line(tmp_path, layer_file, body, message):
    mine = layer_file(body)
    code, text, hint = failure(tmp_path, {"type": mine})
    assert code == "layer-refused"
    assert text.startswith(message)
    assert hint == f"Check line 6 of {mine.removesuffix(':Mine')}."


def test_unknown_constructor_argument_is_reported(tmp_path):
    (tmp_path / "simple_dense.py").write_bytes((CONFIGS / "simple_dense.py").read_bytes())
    code, message, hint = failure(tmp_path, {"type": "simple_dense.py:SimpleDense", "unit": 4})
    assert code == "layer-refused"
    assert message == 'simple_dense.py, line 10: `SimpleDense.__init__` has no argument "unit".'
    assert hint == "Did you mean `units`?"


@pytest.mark.parametrize(
    ("returned", "given"), [("None", "nothing"), ("{'a': x}", "a dict"), ("[]", "a list")]
)
def test_layer_that_returns_no_tensor_is_refused(tmp_path, layer_file, returned, given):
    mine = layer_file(f"def call(self, x):\n    return {returned}")
    _, message, _ = failure(tmp_path, {"type": mine})
    assert message == f"`mine` must return a tensor or a list of tensors, got {given}."


def test_equal_file_names_are_separate_modules(tmp_path):
    for name, units in (("one", 2), ("two", 5)):
        directory = tmp_path / name
        directory.mkdir()
        body = f"    def __init__(self, **kw):\n        super().__init__({units}, **kw)"
        code = f"import keras\nclass Wide(keras.layers.Dense):\n{body}"
        (directory / "same_name_twice.py").write_text(code)
        write_config(directory, [{"type": "same_name_twice.py:Wide"}, HEAD])
    shapes = [
        api.build(tmp_path / name / "config.yaml", trust=True).layers[1].output.shape
        for name in ("one", "two")
    ]
    assert shapes == [(None, 2), (None, 5)]


def test_file_path_is_relative_to_extended_config(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "simple_dense.py").write_bytes((CONFIGS / "simple_dense.py").read_bytes())
    (tmp_path / "shared" / "base.yaml").write_text(
        "model: {input: [4], layers: [{type: 'simple_dense.py:SimpleDense', units: 3}]}\n"
    )
    (tmp_path / "own.yaml").write_text("extends: shared/base.yaml\n")
    assert api.build(api.load(tmp_path / "own.yaml"), trust=True).output_shape == (None, 3)


def test_custom_file_imports_from_its_folder(tmp_path, layer_file):
    (tmp_path / "beside_a_layer_file.py").write_text("WIDTH = 6")
    header = "from beside_a_layer_file import WIDTH\nclass Mine(keras.layers.Layer):"
    mine = layer_file("def call(self, x):\n    return keras.ops.concatenate([x] * WIDTH)", header=header)
    before = list(sys.path)
    config = write_config(tmp_path, [{"type": mine}, HEAD])
    assert invoke("build", config, "--trust").exit_code == 0
    assert sys.path == before


@pytest.mark.parametrize("name", ["json", "keras"])
def test_file_that_shadows_a_module_is_refused(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("class Mine: pass")
    module = sys.modules[name]
    _, message, _ = failure(tmp_path, {"type": f"{name}.py:Mine"})
    assert message.endswith(f"its name hides the module `{name}`, which other code imports; rename the file")
    assert sys.modules[name] is module


def test_class_of_installed_module(tmp_path, monkeypatch):
    (tmp_path / "package_of_layers.py").write_text("import keras\nclass Same(keras.layers.Identity): pass")
    monkeypatch.syspath_prepend(tmp_path)
    config = write_config(tmp_path, [{"type": "package_of_layers:Same"}, HEAD])
    assert invoke("build", config, "--trust", "--json").exit_code == 0
    _, message, _ = failure(tmp_path, {"type": "no_such_package:Same"})
    assert message == "Cannot import no_such_package: ModuleNotFoundError: No module named 'no_such_package'"

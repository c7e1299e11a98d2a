"""The lesson's layer with each usual mistake: the message names the line, and the hint the right code."""

import json
from itertools import count

import pytest

from tests.running import invoke, write_config

LESSON = """\
import tensorflow as tf
from tensorflow import keras


class SimpleDense(keras.layers.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.W = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        y = tf.matmul(inputs, self.W) + self.b
        if self.activation is not None:
            y = self.activation(y)
        return y
"""
GET_CONFIG = """
    def get_config(self):
        return {**super().get_config(), "units": self.units}
"""
WEIGHT = 'self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal")'
INIT = "def __init__(self, units, activation=None, **kwargs):"
TENSOR = "tf.random.normal((input_shape[-1], self.units))"

MISTAKES = {
    "no_keywords": (INIT, INIT.replace(", **kwargs", ""), 6, "must accept `name`", [INIT, "line 7"]),
    "positional_only": (
        "units, activation=None, **kwargs",
        "units, /, activation=None, **kwargs",
        6,
        "takes `units` only by position",
        [f"`{INIT}` in line 6, without `/`"],
    ),
    "positional_only_with_default": (
        "units, activation=None, **kwargs",
        "units=2, /, activation=None, **kwargs",
        6,
        "takes `units` only by position",
        ["`def __init__(self, units=2, activation=None, **kwargs):`"],
    ),
    "number_as_shape": (
        "(self.units,)",
        "(self.units)",
        13,
        "`(self.units)` is the number 3",
        ["`shape=(self.units,)`"],
    ),
    "activation_by_name": (
        "keras.activations.get(activation)",
        "activation",
        9,
        '`self.activation` is the string "relu", but line 18 calls it',
        ["`self.activation = keras.activations.get(activation)` in line 9"],
    ),
    "missing_import": ("import tensorflow as tf", "", 16, "`tf` is used", ["Add `import tensorflow as tf`"]),
    "no_parent_call": (
        "super().__init__(**kwargs)",
        "pass",
        6,
        "must call `super().__init__()`",
        ["`super().__init__(**kwargs)` below line 6"],
    ),
    "build_without_shape": (
        "build(self, input_shape)",
        "build(self)",
        11,
        "`build` must have the parameters",
        ["`def build(self, input_shape):` in line 11"],
    ),
    "no_return": ("        return y\n", "", 18, "must return the output", ["`return y` below line 18"]),
    "number_as_shape_on_its_own_line": (
        "shape=(self.units,), ",
        "\n            shape=(self.units),\n            ",
        14,
        "is the number 3",
        ["`shape=(self.units,)` in line 14"],
    ),
    "name_first": (
        "add_weight(shape=(input_shape[-1], self.units)",
        'add_weight("W", (input_shape[-1], self.units)',
        12,
        "`add_weight` takes the name as `name=`",
        ["shape=(input_shape[-1], self.units)", "name='W'"],
    ),
    "misspelt_build": ("def build", "def biuld", 11, "does not run the method `biuld`", ["to `build`"]),
    "misspelt_init": ("def __init__", "def __int__", 6, "does not run the method `__int__`", ["`__init__`"]),
    "forward": ("def call", "def forward", 15, "the class has no `call`", ["`forward` in line 15 to `call`"]),
    "call_of_python": ("def call", "def __call__", 15, "the class has no `call`", ["to `call`"]),
    "no_self": ("call(self, inputs)", "call(inputs)", 15, "parameters", ["`def call(self, inputs):`"]),
    "required_training": (
        "call(self, inputs)",
        "call(self, inputs, training)",
        15,
        "`training` of `call` must have a default",
        ["`def call(self, inputs, training=False):`"],
    ),
    "wrong_attribute": (
        "inputs, self.W",
        "inputs, self.w",
        16,
        "`self.w` is not set",
        ["`self.W` in line 16"],
    ),
    "unset_attribute": (
        "        self.units = units\n",
        "",
        11,
        "`self.units` is not set",
        ["Add `self.units = units` at the end of `__init__`"],
    ),
    "numpy": (
        "tf.matmul",
        "__import__('numpy'); import numpy as np; y = np.matmul",
        16,
        "NumPy",
        ["keras.ops.matmul"],
    ),
    "tensorflow_in_compute_mask": (
        "    def call(",
        "    def compute_mask(self, inputs, mask=None):\n"
        "        return tf.math.not_equal(tf.reduce_sum(inputs, axis=-1), 0)\n\n    def call(",
        16,
        "`tf.math.not_equal` is a TensorFlow function",
        ["`keras.ops.not_equal` for `tf.math.not_equal` and `keras.ops.sum` for `tf.reduce_sum` in line 16"],
    ),
    "untracked": (WEIGHT, f"tf.Variable({TENSOR})", 12, "neither trained nor saved", [WEIGHT]),
    "untracked_in_list": (
        f"self.W = {WEIGHT}",
        f"self.W = tf.Variable({TENSOR}) + 0; self.all = [self.W]",
        12,
        "Keras does not track this `tf.Variable`",
        ["self.add_weight"],
    ),
    "layer_in_call": (
        "tf.matmul(inputs, self.W) + self.b",
        "keras.layers.Dense(self.units)(inputs)",
        16,
        "creates a new layer each time",
        ["`self.dense = keras.layers.Dense(self.units)` at the end of `__init__`"],
    ),
    "mapping": (
        "        return y\n",
        '        return {"a": y, "b": 2 * y}\n',
        19,
        None,
        ["Write `return y, 2 * y` in line 19 of", "as `simple_dense:0`, `simple_dense:1`"],
    ),
    "no_batch_axis": (
        "return y",
        "return tf.reduce_sum(y)",
        19,
        None,
        ["Check line 19 of", "not include axis 0"],
    ),
    "weight_in_call": (
        "y = tf.matmul",
        "self.c = self.add_weight(shape=(1,)); y = tf.matmul",
        16,
        "`call` creates a weight",
        ["Move line 16 to the end of `build`"],
    ),
}


@pytest.fixture
def failures(tmp_path, request):
    """Return a function that builds a model with this class and returns its problems."""
    name = "".join(char if char.isalnum() else "_" for char in request.node.name)
    calls = count()

    def failures(code, **arguments):
        stem = f"lesson_{next(calls)}_{name}"
        (tmp_path / f"{stem}.py").write_text(code)
        entry = {"type": f"{stem}.py:SimpleDense", "units": 3, "activation": "relu", **arguments}
        config = write_config(tmp_path, [entry])
        result = invoke("build", config, "--trust", "--json", "--output", tmp_path / f"{stem}.keras")

        assert result.exit_code in (0, 1), result.output
        return stem, json.loads(result.stdout).get("problems", [])

    return failures


def test_correct_lesson_builds_and_can_be_saved(failures):
    assert failures(LESSON)[1] == []


@pytest.mark.parametrize(("right", "wrong", "line", "message", "fixes"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_names_its_line_and_the_right_code(failures, right, wrong, line, message, fixes):
    assert right in LESSON
    stem, (problem,) = failures(LESSON.replace(right, wrong))
    if message is not None:
        assert problem["message"].startswith(f"{stem}.py, line {line}: ")
        assert message in problem["message"]
    for fix in fixes:
        assert fix in problem["hint"]


def test_all_mistakes_of_a_class_are_reported_at_once(failures):
    names = ("no_keywords", "number_as_shape", "activation_by_name", "missing_import")
    code = LESSON
    for name in names:
        code = code.replace(*MISTAKES[name][:2])
    _, found = failures(code.replace("super().__init__(**kwargs)", "super().__init__()"))
    assert [problem["message"].split(" ")[2] for problem in found] == ["6:", "9:", "13:", "16:"]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ({"unit": 4}, '`SimpleDense.__init__` has no argument "unit".', "Did you mean `units`?"),
        ({"colour": 4}, 'has no argument "colour".', "Remove `colour`: it takes `units`, `activation`."),
    ],
)
def test_unknown_argument_suggests_those_of_the_class(failures, arguments, message, hint):
    _, (problem,) = failures(LESSON, **arguments)
    assert problem["message"].endswith(message)
    assert problem["hint"] == hint


def test_argument_that_get_config_loses_is_reported(failures):
    stem, (problem,) = failures(LESSON + GET_CONFIG)
    assert problem["code"] == "not-savable"
    assert problem["message"] == (
        f"{stem}.py, line 22: `get_config` does not return `activation`, so a saved model loses it."
    )
    fix = '"activation": keras.activations.serialize(self.activation)'
    assert f"Add `{fix}`" in problem["hint"]
    assert failures(LESSON + GET_CONFIG.replace("}", f", {fix}}}"))[1] == []


@pytest.mark.parametrize(
    ("first_line", "hint"),
    [
        ("from keras.engine import base_layer", "Keras 3 does not have it. Import `keras` in line 1 of "),
        ("import nowhere_at_all", "Fix line 1 of "),
        ("x = K.floatx()", "Add `from keras import backend as K` at the top of "),
        ("def f(:", "Fix line 1 of "),
    ],
)
def test_import_error_names_its_line(failures, first_line, hint):
    stem, (problem,) = failures(f"{first_line}\n{LESSON}")
    assert problem["code"] == "custom-layer"
    assert problem["hint"].startswith(f"{hint}{stem}.py" if hint.endswith(" ") else hint)


def test_state_of_random_generator_is_accepted(failures):
    code = LESSON.replace("+ self.b", "+ self.b + keras.random.normal((3,))")
    assert failures(code)[1] == []

"""Custom layers inside wrappers, and objects and layers as arguments of custom layers."""

import json

import numpy as np
import pytest

from layercli import api
from tests.running import invoke, train

CLASSES = """\
import keras
from keras import ops


class Scale(keras.layers.Layer):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units))

    def call(self, x):
        return ops.matmul(x, self.w)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Cell(keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units))
        self.u = self.add_weight(shape=(self.units, self.units))

    def call(self, x, states):
        state = ops.tanh(ops.matmul(x, self.w) + ops.matmul(states[0], self.u))
        return state, [state]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Recurrent(keras.layers.RNN):
    def __init__(self, units, **kwargs):
        super().__init__(Cell(units), **kwargs)
        self.units = units

    def get_config(self):
        config = {**super().get_config(), "units": self.units}
        del config["cell"]
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class Regularized(Scale):
    def __init__(self, kernel_regularizer=None, kernel_initializer=None, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )

    def call(self, x):
        return self.activation(super().call(x))

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "activation": keras.activations.serialize(self.activation),
        }


class Twice(keras.layers.Layer):
    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer if not isinstance(layer, dict) else keras.saving.deserialize_keras_object(layer)

    def call(self, x):
        return 2 * self.layer(x)

    def get_config(self):
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}
"""
HEAD = "model:\n  input: [5, 4]\n  layers:\n"
WRAPPED = """\
    - {type: Bidirectional, layer: {type: "inner.py:Recurrent", units: 3, return_sequences: true}}
    - {type: TimeDistributed, layer: {type: "inner.py:Scale", units: 2}}
    - {type: RNN, cell: [{type: LSTMCell, units: 3}, {type: "inner.py:Cell", units: 2}]}
"""


@pytest.fixture
def check(tmp_path):
    """Return a function that runs a command on a config with these layers, and returns its exit code and JSON."""
    (tmp_path / "inner.py").write_text(CLASSES)
    path = tmp_path / "nested.yaml"

    def run(layers, *args, classes=CLASSES, name="inner"):
        (tmp_path / f"{name}.py").write_text(classes)
        path.write_text(HEAD + layers)
        result = invoke(args[0] if args else "inspect-shapes", path, "--json", *(args[1:] or ("--trust",)))
        assert result.exit_code < 2, result.output
        return json.loads(result.stdout)

    return run


def problem(document):
    (found,) = document["problems"]
    return found["line"], found["message"], found["hint"]


def test_wrappers_run_custom_layers(check):
    rows = check(WRAPPED)["layers"]
    assert [row["forward_shape"] for row in rows] == [[2, 5, 6], [2, 5, 2], [2, 2]]
    # 2 x (4 x 3 + 3 x 3), 6 x 2, LSTMCell 4 x ((2 + 3) x 3 + 3) and 3 x 2 + 2 x 2
    assert [row["trainable"] for row in rows] == [42, 12, 72 + 10]


@pytest.mark.parametrize("path", ["layer", "cell", "layers", "inner"])
def test_nested_custom_layer_needs_trust(check, path):
    outer = {
        "layer": "{type: TimeDistributed, layer: CODE}",
        "cell": "{type: RNN, cell: {type: StackedRNNCells, cells: [CODE]}}",
        "layers": "{type: Pipeline, layers: [Flatten, CODE]}",
        "inner": "{type: keras.layers.NewLayer, inner: {deep: [{type: TimeDistributed, layer: CODE}]}}",
    }[path]
    layers = "    - " + outer.replace("CODE", '{type: "inner.py:Scale"}') + "\n"
    (found,) = check(layers, "build", "--set", "seed=1")["problems"]
    assert found["code"] == "trust-required"
    assert "`inner.py:Scale` would load and run" in found["message"]


def test_nested_class_without_its_file_is_suggested(check):
    _, message, hint = problem(check("    - {type: TimeDistributed, layer: {type: Scale}}\n"))
    assert message == 'There is no layer "Scale".'
    assert hint == "Write `type: inner.py:Scale`, and load it with `--trust`."


def test_unknown_output_of_nested_layer_is_unknown_to_validate(check):
    wrapped = (
        '    - {type: TimeDistributed, layer: {type: "inner.py:Scale"SHAPE}}\n    - {type: Dense, units: 2}\n'
    )
    unknown = check(wrapped.replace("SHAPE", ""), "inspect-shapes", "--static")["layers"]
    assert [row["output_shape"] for row in unknown] == [None, None]
    known = check(wrapped.replace("SHAPE", ", output_shape: [3]"), "inspect-shapes", "--static")["layers"]
    assert [row["output_shape"] for row in known] == [[None, 5, 3], [None, 5, 2]]


def test_declared_output_of_cell_is_that_of_the_sequence(check):
    layers = '    - {type: RNN, return_sequences: true, cell: {type: "inner.py:Cell", units: 3, output_shape: [3]}}\n'
    assert check(layers, "inspect-shapes", "--static")["layers"][0]["output_shape"] == [None, 5, 3]


ROLES = {
    "cell": (
        '{type: RNN, cell: {type: "roles.py:Plain"}}',
        "a cell must have `state_size`, the size of its state, but `Plain` has none.",
        "Add `self.state_size = SIZE` at the end of `__init__`",
    ),
    "direction": (
        '{type: Bidirectional, layer: {type: "roles.py:Plain"}}',
        "Bidirectional needs a recurrent layer, but `Plain` has no `go_backwards`.",
        "Derive it from `keras.layers.RNN`, or use TimeDistributed instead of Bidirectional.",
    ),
    "kernel": (
        '{type: SpectralNormalization, layer: {type: "roles.py:Plain"}}',
        "SpectralNormalization needs a layer with `self.kernel`, but `Plain` has none.",
        "Name its weight matrix `self.kernel` in `build`.",
    ),
    "output_shape": (
        '{type: TimeDistributed, layer: {type: "roles.py:Plain"}}',
        "`Plain` must have the method `compute_output_shape` to be used inside another layer.",
        "Add the method `def compute_output_shape(self, input_shape): return (*input_shape[:-1], SIZE)`",
    ),
}
PLAIN = """\
import keras


class Plain(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


@pytest.mark.parametrize(("entry", "message", "hint"), ROLES.values(), ids=ROLES)
def test_wrapper_says_what_the_class_lacks(check, entry, message, hint):
    line, found, fix = problem(check(f"    - {entry}\n", classes=PLAIN, name="roles"))
    assert line == 4
    assert found.startswith("roles.py, line ")
    assert found.endswith(message)
    assert fix.startswith(hint)


BACKEND = """\
import keras
from keras import backend as K


class Centered(keras.layers.Layer):
    def call(self, x):
        return x - K.mean(x, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return input_shape


class Narrow(keras.layers.Layer):
    state_size = 4

    def call(self, x, states):
        return x[:, :1], states


class Old(keras.layers.Layer):
    def build(self, input_shape):
        self.trainable_weights = []

    def call(self, x):
        return x
"""


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        (
            '{type: "backend.py:Centered"}',
            "backend.py, line 7: Keras 3 has no `keras.backend.mean`.",
            "Write `keras.ops.mean` in line 7.",
        ),
        (
            '{type: TimeDistributed, layer: {type: "backend.py:Centered"}}',
            "backend.py, line 7: Keras 3 has no `keras.backend.mean`.",
            "Write `keras.ops.mean` in line 7.",
        ),
        (
            '{type: RNN, cell: {type: "backend.py:Narrow"}}',
            "`rnn` must have output shape (None, 4), got (None, 1).",
            "Set `self.output_size` in `__init__` of the cell: the size of its output, if it is not `state_size`.",
        ),
        (
            '{type: "backend.py:Old"}',
            "backend.py, line 22: `self.trainable_weights` cannot be set: Keras collects the weights that "
            "`self.add_weight` creates.",
            "Remove line 22, and create each weight in `build` with `self.add_weight(shape=..., initializer=...)`.",
        ),
    ],
)
def test_call_is_checked_before_training(check, entry, message, hint):
    _, found, fix = problem(check(f"    - {entry}\n", "build", "--trust", classes=BACKEND, name="backend"))
    assert (found, fix) == (message, hint)


LAYER_ARGUMENTS = {
    "other_attribute": (
        "self.inner = layer",
        "layer = property(lambda self: self.inner)\n\n    def get_config(self):\n        return super().get_config()",
        "`get_config` does not return `layer`, so a saved model loses it.",
        'Add `"layer": keras.saving.serialize_keras_object(self.inner)` to the mapping that `get_config` returns.',
    ),
    "no_config": (
        "self.layer = layer",
        "",
        "`Inner` must have the method `get_config`, because an argument is an object.",
        'return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}`.',
    ),
    "mapping": (
        "self.layer = layer",
        "def get_config(self):\n        return {**super().get_config(), "
        '"layer": keras.saving.serialize_keras_object(self.layer)}',
        "a saved model passes `layer` as a mapping, which is not a layer.",
        "Write `self.layer = keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer` in line 7.",
    ),
    "built_twice": (
        "self.layer = keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer",
        "def build(self, shape):\n        self.layer.build(shape)\n\n    def get_config(self):\n        return "
        '{**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}',
        "fails if the layer is already built, as it is in a model that was saved and loaded.",
        "Write `if not self.layer.built:` before `self.layer.build(shape)` in line 13.",
    ),
}


@pytest.mark.parametrize(
    ("assignment", "methods", "message", "hint"), LAYER_ARGUMENTS.values(), ids=LAYER_ARGUMENTS
)
def test_layer_argument_that_is_lost_is_found_before_training(
    check, tmp_path, request, assignment, methods, message, hint
):
    code = f"""\
import keras


class Inner(keras.layers.Layer):
    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        {assignment}

    def call(self, x):
        return 2 * self.layer(x)

    {methods}
"""
    name = f"lost_{request.node.callspec.id}"
    layers = f'    - {{type: "{name}.py:Inner", layer: {{type: Dense, units: 2}}}}\n'
    output = str(tmp_path / "model.keras")
    _, found, fix = problem(check(layers, "build", "--trust", "--output", output, classes=code, name=name))
    assert message in found
    assert fix.endswith(hint)


SEVERAL = """\
import keras
from keras import ops


class Pair(keras.layers.Layer):
    def call(self, x):
        return x, 2 * x


class Total(keras.layers.Layer):
    def call(self, x):
        return ops.sum(x, axis=(1, 2))
"""


@pytest.mark.parametrize(
    ("layers", "line", "message", "hint"),
    [
        (
            '    - {type: "several.py:Pair"}\n    - {type: Dense, units: 2}\n',
            5,
            "Dense expects one input, got 2.",
            "`pair` has 2 outputs. Write `inputs: pair:0` here for its first output.",
        ),
        (
            '    - {type: "several.py:Pair"}\n    - {type: Dense, units: 2, inputs: "pair:2"}\n',
            5,
            "`pair:2` does not exist: `pair` has 2 outputs, counted from 0.",
            None,
        ),
        (
            '    - {type: "several.py:Pair"}\n  outputs: "pair:2"\n',
            5,
            "`pair` has 2 outputs, so `pair:2` does not exist.",
            "Write `pair:0` for its first output.",
        ),
        (
            '    - {type: "several.py:Total"}\n    - {type: Dense, units: 2, inputs: "total:1"}\n',
            5,
            "`total:1` does not exist: `total` has one output, counted from 0.",
            None,
        ),
        (
            '    - {type: "several.py:Total"}\n    - {type: Dense, units: 2}\n',
            5,
            "Dense expects vectors of shape (batch, ..., features), rank 2 or more, got (None,). "
            "The input comes from `total` (line 4).",
            "Add a feature axis: put {type: Reshape, target_shape: [1]} before Dense.",
        ),
        (
            '    - {type: "several.py:Pair", name: pair}\n    - {type: Conv1D, filters: 2, kernel_size: 9, inputs: "pair:1"}\n',
            5,
            "Conv1D has a window of 9, but its input (None, 5, 4) has only 5 positions. "
            "The input comes from `pair` (line 4).",
            None,
        ),
    ],
)
def test_layers_after_custom_layer_are_explained_by_their_rules(check, layers, line, message, hint):
    found_line, found, fix = problem(check(layers, classes=SEVERAL, name="several"))
    assert (found_line, found) == (line, message)
    assert hint is None or fix == hint


def test_trained_output_must_be_one_tensor(check):
    layers = "    - {type: LSTM, units: 1, return_state: true}\ntrain: {epochs: 1, loss: mse}\n"
    line, message, hint = problem(check(layers, "build"))
    assert line == 4
    assert message == "An output of a model that is trained must be one tensor, but `lstm` returns 3."
    assert hint == "Write `outputs: lstm:0` in `model` to train its first output."


def test_arguments_become_keras_objects(tmp_path):
    (tmp_path / "inner.py").write_text(CLASSES)
    config = tmp_path / "objects.yaml"
    config.write_text(
        HEAD
        + """\
    - type: inner.py:Regularized
      kernel_regularizer: {type: L2, l2: 0.5}
      kernel_initializer: {type: Constant, value: 2}
      activation: {type: LeakyReLU, negative_slope: 0.25}
"""
    )
    model = api.build(config, trust=True)
    x = np.ones((1, 5, 4), "float32")
    np.testing.assert_allclose(model(x), np.full((1, 5, 3), 8.0))  # 4 x 2
    np.testing.assert_allclose(model(-x), np.full((1, 5, 3), -2.0))  # a quarter of it
    np.testing.assert_allclose(float(sum(model.losses)), 0.5 * 12 * 4)  # 12 weights of 2


def test_objects_in_arguments_are_checked_without_code(check):
    layers = """\
    - type: inner.py:Regularized
      kernel_regularizer: {type: L22}
      kernel_initializer: {type: HeNormal, sed: 1}
      extra: [{layer: {type: Dense, units: x}}]
"""
    found = check(layers, "build")["problems"]
    assert [each["path"] for each in found] == [
        "model.layers[0].kernel_regularizer.type",
        "model.layers[0].kernel_initializer.sed",
        "model.layers[0].extra[0].layer.units",
    ]


@pytest.mark.parametrize(
    ("argument", "hint"),
    [("activation: reluu", "Did you mean `relu`?"), ("kernel_regularizer: l22", "Did you mean `L2`?")],
)
def test_unknown_name_is_reported_at_its_argument(check, argument, hint):
    (found,) = check(f'    - {{type: "inner.py:Regularized", {argument}}}\n')["problems"]
    assert (found["path"], found["hint"]) == (f"model.layers[0].{argument.partition(':')[0]}", hint)


@pytest.mark.usefixtures("warm_processes")
def test_training_with_nested_layers_resumes_and_exports(tmp_path):
    (tmp_path / "inner.py").write_text(CLASSES)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=rng.normal(size=(8, 2, 3)).astype("f4"), y=rng.normal(size=8))
    config = tmp_path / "nested.yaml"
    config.write_text(
        """\
data: {type: npz, path: data.npz, features: x, target: y}
model:
  input: [2, 3]
  layers:
    - {type: Bidirectional, layer: {type: "inner.py:Recurrent", units: 1, unroll: true}}
    - {type: "inner.py:Twice", layer: {type: "inner.py:Regularized", units: 1, kernel_regularizer: {type: L2}}}
train: {epochs: 1, loss: mse}
"""
    )
    run = train(config, tmp_path / "run", "--trust")
    assert run.result.exit_code == 0, run.result.output  # the saved model was loaded and compared
    more = ("--allow-changes", "--set", "train.epochs=2")
    resumed = invoke("train", "--resume", run.path, "--trust", "--json", *more)
    assert json.loads(resumed.stdout)["resumed_from"] == {"epoch": 1, "step": 0}
    (tmp_path / "out").mkdir()
    script = tmp_path / "out" / "script.py"
    exported = invoke("export", run.path, "--format", "python", "--output", script, "--trust")
    assert exported.exit_code == 0, exported.output  # the script's model was compared with the run
    assert 'keras.saving.get_custom_objects()["Recurrent"] = Recurrent\n' in script.read_text()

"""``layercli import``: write a config that rebuilds a model."""

import json
import shutil
import zipfile
from collections import Counter
from contextlib import nullcontext

import keras
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from keras import layers

from layercli import api
from layercli.data.user_code import import_user_file
from layercli.engine.import_check import IMPORT_TOLERANCE
from layercli.importing.build_stack import read_stack
from layercli.importing.flatten import flatten_config, flatten_stack
from layercli.importing.model_file import read_model_file
from layercli.workflows import import_model
from tests.running import CONFIGS, invoke
from tests.stacks import document
from tests.stateless import unallocated_weights
from tests.test_stacks import stacks

# orders_features.yaml learns sizes from data, which is not in the folder
EVERY = sorted(path.name for path in CONFIGS.glob("*.yaml") if path.name != "orders_features.yaml")


@pytest.fixture
def imported(tmp_path):
    """Import a model and return the result, the path of the config, and the document."""

    def imported(model, *args):
        source = tmp_path / "model.keras"
        if isinstance(model, keras.Model):
            model.save(source)
        elif model is not None:
            source = model
        target = tmp_path / "imported.yaml"
        result = invoke("import", source, "--output", target, "--json", "--force", *args)
        assert "Traceback" not in result.output
        document = yaml.safe_load(target.read_text()) if target.exists() else None
        return result, json.loads(result.stdout), document

    return imported


def functional(build, *shapes, **options):
    inputs = [keras.Input(shape, **options) for shape in shapes]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], build(*inputs))


def found(result):
    return [(problem["code"], problem["message"]) for problem in result["problems"]]


@pytest.mark.parametrize("name", EVERY)
def test_shipped_configs_survive_the_round_trip(name, tmp_path, imported):
    config = CONFIGS / name
    valid = api.load(config)
    path = tmp_path / "model.json"
    path.write_text(api.build(config, trust=True).to_json())
    if valid.custom_layers:
        (tmp_path / "simple_dense.py").write_text((CONFIGS / "simple_dense.py").read_text())
    result, document, _ = imported(path, "--trust")
    assert result.exit_code == 0, document
    again = api.load(tmp_path / "imported.yaml")
    # Keras does not keep the order of branches; the command itself compares the wiring.
    before, after = (Counter(leaf.type for leaf in flatten_config(one)[0]) for one in (valid, again))
    assert before == after
    assert (valid.shapes.trainable, valid.shapes.flops) == (again.shapes.trainable, again.shapes.flops)
    assert document["largest_difference"] == 0
    assert document["shapes_compared"] > 0


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(stacks())
def test_random_stacks_survive_the_round_trip(tmp_path, stack):
    text = document(*stack)
    (tmp_path / "stack.yaml").write_text(text)
    checked = api.validate(tmp_path / "stack.yaml")
    if not checked.ok or (checked.shapes.weight_bytes > 1 << 24):
        return
    valid = api.load(tmp_path / "stack.yaml")
    (tmp_path / "stack.json").write_text(api.build(valid).to_json())
    result = invoke(
        "import", tmp_path / "stack.json", "--output", tmp_path / "again.yaml", "--json", "--force"
    )
    assert result.exit_code == 0, (result.stdout, text)


def test_model_that_does_not_run_here_is_not_compared(imported, monkeypatch):
    def call(self, inputs):  # noqa: ARG001
        raise ValueError("no kernel for this processor")

    model = keras.Sequential([keras.Input((3, 8, 8)), layers.Conv2D(2, 3, data_format="channels_first")])
    monkeypatch.setattr(layers.Conv2D, "call", call)  # some processors do run channels_first
    result, document, _ = imported(model)
    assert result.exit_code == 0
    assert [problem["code"] for problem in document["problems"]] == ["not-compared"]
    assert "ValueError: no kernel for this processor" in document["problems"][0]["message"]
    assert document["largest_difference"] is None
    assert document["parameters"] == 2 * 3 * 9 + 2


def test_model_that_exceeds_a_limit_is_not_rebuilt(imported, monkeypatch, tmp_path):
    monkeypatch.setattr(
        import_model, "run_in_child", lambda limit, seconds: nullcontext(f"{limit} bytes, {seconds} s")
    )
    result, document, _ = imported(
        keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization()])
    )
    assert result.exit_code == 0
    limit = 3 * 1024**3 + 6 * 4 * 27  # (4 + 1) * 3 weights and 4 * 3
    reason = f"Outputs were not compared because the models do not run here: {limit} bytes, 120.0 s."
    assert found(document) == [("not-compared", reason)]
    assert (document["parameters"], document["largest_difference"]) == (27, None)
    target = tmp_path / "other.yaml"
    result = invoke("import", tmp_path / "model.keras", "--output", target)
    assert "Not rebuilt: 27 parameters." in result.stdout
    assert api.load(target).graph.nodes[0].type_name == "Dense"
    result = invoke("import", tmp_path / "model.keras", "--output", target, "--force", "--weights")
    assert (result.exit_code, target.with_suffix(".weights.keras").exists()) == (1, False)
    assert "[too-large]" in result.stderr


def test_written_config_is_concise(imported, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            *(layers.Dense(16, activation="relu") for _ in range(3)),
            layers.Dense(2, name="head", kernel_regularizer=keras.regularizers.L2(0.02)),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-4), "mse", metrics=["mae"])
    imported(model)
    assert (
        (tmp_path / "imported.yaml").read_text()
        == """\
name: imported
model:
  input: [8]
  layers:
    - {type: Dense, units: 16, activation: relu, repeat: 3}
    - {type: Dense, name: head, units: 2, kernel_regularizer: {type: L2, l2: 0.02}}
train:
  optimizer: {type: Adam, learning_rate: 0.0003}
  loss: mse
  metrics: [mae]
"""
    )


def test_compile_objects_keep_their_arguments(imported):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    model.compile(
        keras.optimizers.SGD(schedule, momentum=0.9),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(curve="PR"), "accuracy"],
    )
    assert imported(model)[2]["train"] == {
        "optimizer": {
            "type": "SGD",
            "learning_rate": {"type": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 100},
            "momentum": 0.9,
        },
        "loss": {"type": "BinaryCrossentropy", "from_logits": True},
        "metrics": [{"type": "AUC", "curve": "PR"}, "accuracy"],
    }


def test_losses_and_metrics_are_written_per_output(imported):
    def two():
        return functional(lambda x: [layers.Dense(1, name="score")(x), layers.Dense(2)(x)], (4,))

    by_order, by_name = two(), two()
    by_order.compile("adam", loss=["mse", "mae"], metrics=[["mae"], []], loss_weights=[1.0, 0.5])
    other = by_name.output_names[1]
    by_name.compile(
        "adam",
        loss={"score": "mse", other: "mae"},
        metrics={"score": ["mae"]},
        loss_weights={"score": 1.0, other: 0.5},
    )
    for model in (by_order, by_name):
        result, document, config = imported(model)
        assert result.exit_code == 0, document
        assert found(document) == []
        assert config["train"] == {
            "optimizer": "Adam",
            "loss": {"score": "mse", "dense": "mae"},
            "loss_weights": {"score": 1.0, "dense": 0.5},
            "metrics": {"score": ["mae"]},
        }


def test_unsupported_compile_argument_is_a_warning(imported):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile(
        "adam",
        loss="mse",
        metrics=["mae", keras.metrics.MeanMetricWrapper(keras.losses.mean_squared_error, name="own")],
    )
    result, document, config = imported(model)
    assert result.exit_code == 0
    assert found(document) == [
        (
            "not-carried",
            "The config does not reproduce all of `compile`: `metrics`: the metric MeanMetricWrapper, "
            "which a config cannot express.",
        ),
    ]
    assert config["train"] == {"optimizer": "Adam", "loss": "mse"}


def test_output_without_loss_omits_train_section(imported):
    model = functional(lambda x: [layers.Dense(1)(x), layers.Dense(2)(x)], (4,))
    model.compile("adam", loss=["mse", None])
    result, document, config = imported(model)
    assert result.exit_code == 0, document
    assert [code for code, _ in found(document)] == ["not-carried"]
    assert "train" not in config


def test_shared_layers_and_models_become_reuse(imported):
    tower = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(3, "relu")], name="tower")
    shared = layers.Dense(3, name="shared")
    result, document, config = imported(
        functional(lambda a, b: layers.Add()([shared(tower(a)), shared(tower(b))]), (4,), (4,))
    )
    assert result.exit_code == 0, document
    assert [entry.get("reuse") for entry in config["model"]["layers"]] == [
        None,
        None,
        "tower",
        "shared",
        None,
    ]
    assert list(config["blocks"]) == ["tower"]
    assert document["parameters"] == 15 + 12 + 12


def test_nested_model_with_two_inputs_is_flattened(imported):
    dense = layers.Dense(3)
    pair = functional(lambda a, b: [dense(a), dense(b)], (4,), (4,))
    result, document, _ = imported(functional(lambda a, b: layers.Concatenate()(pair([b, a])), (4,), (4,)))
    assert result.exit_code == 0, document
    assert document["layers"] == 3
    joined = functional(lambda a, b: layers.Subtract()([a, b]), (4,), (4,))
    result, document, _ = imported(functional(lambda a, b: layers.Dense(2)(joined([b, a])), (4,), (4,)))
    assert (result.exit_code, document["layers"]) == (0, 2), document
    split = functional(lambda x: [layers.Dense(3)(x), layers.Dense(3)(x)], (4,))
    result, document, _ = imported(functional(lambda x: layers.Concatenate()(split(x)), (4,)))
    assert (result.exit_code, document["layers"]) == (0, 3), document


def test_nested_models_have_a_maximum_depth():
    model = layers.Dense(2)
    for _ in range(21):
        model = keras.Sequential([keras.Input((2,)), model])
    deeper = keras.Sequential([keras.Input((2,)), model])
    stack, found = read_stack(json.loads(model.to_json()), lambda _: None)
    assert (len(stack.items), found) == (1, [])
    _, [problem] = read_stack(json.loads(deeper.to_json()), lambda _: None)
    assert "nested deeper than 20 levels" in problem.message


def test_states_masks_and_keyed_inputs(imported):
    def build(x):
        x = layers.Embedding(20, 4, mask_zero=True)(x)
        x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
        x = layers.MultiHeadAttention(2, 2)(x, value=x)
        x, h, c = layers.LSTM(4, return_state=True)(x)
        return layers.Dense(1)(layers.Concatenate()([x, h, c]))

    result, document, config = imported(functional(build, (10,), dtype="int32"))
    assert result.exit_code == 0, document
    assert config["model"]["layers"][1:] == [
        {"type": "Bidirectional", "layer": {"type": "LSTM", "return_sequences": True, "units": 3}},
        {
            "type": "MultiHeadAttention",
            "inputs": {"query": "previous", "value": "previous"},
            "num_heads": 2,
            "key_dim": 2,
        },
        {"type": "LSTM", "name": "lstm", "return_state": True, "units": 4},
        {"type": "Concatenate", "inputs": ["lstm:0", "lstm:1", "lstm:2"]},
        {"type": "Dense", "units": 1},
    ]


def test_tensor_arithmetic_becomes_layers(imported):
    def build(x):
        y = 3 - layers.Dense(4)(x) * 2 / 5
        y = keras.ops.maximum(keras.ops.relu(y) - 1, -x)
        return keras.ops.reshape(keras.ops.concatenate([y, x * x], axis=-1), (-1, 2, 4))

    result, document, config = imported(functional(build, (4,)))
    assert result.exit_code == 0, document
    assert [entry["type"] for entry in config["model"]["layers"][1:]] == [
        "Rescaling",
        "Rescaling",
        "Rescaling",
        "Activation",
        "Rescaling",
        "Rescaling",
        "Maximum",
        "Multiply",
        "Concatenate",
        "Reshape",
    ]
    assert document["largest_difference"] < 1e-6


def test_all_unsupported_features_are_reported_together(imported):
    @keras.saving.register_keras_serializable("elsewhere")
    class Mine(layers.Layer):
        def call(self, x):
            return x

    def build(x):
        y = layers.Lambda(lambda x: x, name="code")(x)
        y = layers.Dense(2, activation=layers.LeakyReLU(), name="leaky")(y)
        y = Mine(name="mine")(y)
        y = layers.LSTM(2, name="lstm")(keras.ops.expand_dims(y, 1), initial_state=[y, y])
        return keras.ops.mean(keras.ops.concatenate([y, y], axis=0), axis=1)

    result, document, config = imported(functional(build, (4,)))
    assert result.exit_code == 1
    assert config is None
    messages = " ".join(f"{code}: {message}" for code, message in found(document))
    for what in (
        "`code`",
        "Lambda",
        "`leaky`",
        "LeakyReLU",
        "custom-class: `mine`",
        "Mine",
        "ExpandDims",
        "`initial_state`: a tensor",
        "operation Mean",
        "batch axis",
    ):
        assert what in messages
    assert len(document["problems"]) == 7


def test_subclassed_and_unbuilt_models_are_refused(imported):
    class Own(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 2)))
    result, document, _ = imported(model)
    assert result.exit_code == 1
    assert "class Own" in found(document)[0][1]
    with pytest.warns(UserWarning, match="not yet been built"):
        result, document, _ = imported(keras.Sequential([layers.Dense(1)]))
    assert result.exit_code == 1
    assert "no input yet" in found(document)[0][1]


def test_custom_class_requires_trust_and_its_file(imported, tmp_path, custom_run):
    result, document, _ = imported(custom_run.path)
    assert result.exit_code == 1
    assert found(document)[0][0] == "custom-class"
    (tmp_path / "simple_dense.py").write_text((CONFIGS / "simple_dense.py").read_text())
    result, document, config = imported(custom_run.path, "--trust")
    assert result.exit_code == 0, document
    assert "simple_dense.py:SimpleDense" in json.dumps(config)


CUSTOM_CLASSES = """
import keras

@keras.saving.register_keras_serializable(package="own")
class Scale(keras.layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.offset = self.add_weight(shape=(shape[-1],), name="offset")

    def call(self, x):
        return x * self.factor + self.offset

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

@keras.saving.register_keras_serializable(package="own")
class Residual(Scale):
    def __init__(self, layer, kernel_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.layer = keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, shape):
        super().build(shape)
        if not self.layer.built:
            self.layer.build(shape)

    def call(self, x):
        return super().call(x) + self.layer(x)

    def get_config(self):
        regularizer = keras.regularizers.serialize(self.kernel_regularizer)
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer, "kernel_regularizer": regularizer}

@keras.saving.register_keras_serializable(package="own")
class Cell(keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x, states):
        h = keras.ops.tanh(x @ self.kernel + states[0])
        return h, [h]

    def get_config(self):
        return {**super().get_config(), "units": self.units}

@keras.saving.register_keras_serializable(package="own")
class Start(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.ops.ones(shape, dtype)

    def get_config(self):
        return {}
"""


def test_nested_custom_classes_are_imported(imported, tmp_path):
    (tmp_path / "own_nested.py").write_text(CUSTOM_CLASSES)
    code = import_user_file(tmp_path / "own_nested.py")
    inner = code.Residual(layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.5)), name="inner")
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.TimeDistributed(code.Scale(3.0)),
            code.Residual(inner, kernel_regularizer="l1", name="outer"),
            layers.Bidirectional(layers.RNN(code.Cell(4))),
        ]
    )
    _, document, _ = imported(model)
    assert [code for code, _ in found(document)] == ["custom-class"] * 3
    assert '`cell` is "Cell" of "own_nested", which is not a class of Keras' in found(document)[2][1]
    result, document, config = imported(model, "--trust")
    assert result.exit_code == 0, document
    assert document["largest_difference"] == 0
    scale, outer, bidirectional = config["model"]["layers"]
    assert scale["layer"] == {"type": "own_nested.py:Scale", "name": "scale", "factor": 3.0}
    assert outer["layer"]["layer"]["kernel_regularizer"] == {"type": "L2", "l2": 0.5}
    assert outer["kernel_regularizer"] == {"type": "L1", "l1": 0.01}
    assert bidirectional["layer"]["cell"] == {"type": "own_nested.py:Cell", "units": 4}


def test_custom_initializer_is_refused_with_what_to_do(imported, tmp_path):
    (tmp_path / "own_start.py").write_text(CUSTOM_CLASSES)
    code = import_user_file(tmp_path / "own_start.py")
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, kernel_initializer=code.Start())])
    result, document, _ = imported(model, "--trust")
    assert result.exit_code == 1
    assert (
        "only layers can be custom classes; use an object of Keras, or write a custom"
        in found(document)[0][1]
    )


def test_class_of_a_script_is_found_next_to_the_config(imported, tmp_path):
    class Twice(layers.Layer):
        def call(self, x):
            return x * 2

    Twice.__module__ = "__main__"
    model = keras.Sequential([keras.Input((3,)), Twice(), layers.Dense(2)])
    result, document, _ = imported(model, "--trust")
    assert found(document)[0][0] == "custom-class"
    text = "import keras\n\nclass Twice(keras.layers.Layer):\n    def call(self, x):\n        return x * 2\n"
    (tmp_path / "doubling.py").write_text(text)
    result, document, config = imported(model, "--trust")
    assert result.exit_code == 0, document
    assert config["model"]["layers"][0] == "doubling.py:Twice"


def test_weights_and_vocabularies_are_saved(imported):
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot"),
            layers.Dense(2),
        ]
    )
    result, document, _ = imported(model, "--weights")
    assert result.exit_code == 0, document
    again = keras.models.load_model(document["weights"])
    words = keras.ops.convert_to_tensor([["b"], ["?"]], dtype="string")
    assert np.array_equal(again(words), model(words))


def test_config_starts_with_saved_weights(imported, tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), *(layers.Dense(4) for _ in range(3)), layers.BatchNormalization()]
    )
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).uniform(0.5, 1.5, weight.shape))
    result, document, config = imported(model, "--weights")
    assert result.exit_code == 0, document
    assert config["model"]["weights"] == "imported.weights.keras"
    rebuilt = api.build(tmp_path / "imported.yaml")
    examples = np.random.default_rng(1).normal(size=(3, 4)).astype("float32")
    assert np.array_equal(rebuilt(examples), model(examples))


def test_json_has_no_weights(imported, tmp_path):
    (tmp_path / "model.json").write_text(keras.Sequential([keras.Input((2,)), layers.Dense(1)]).to_json())
    result, document, config = imported(tmp_path / "model.json", "--weights")
    assert result.exit_code == 1
    assert found(document)[0][0] == "no-weights"
    assert config is None


def test_run_is_imported_unless_modified(imported, digits_run, tmp_path):
    result, document, config = imported(digits_run.path)
    assert result.exit_code == 0, document
    assert config["train"]["metrics"] == ["accuracy"]
    assert document["layers"] == 4
    shutil.copytree(digits_run.path, tmp_path / "run")
    with (tmp_path / "run" / "model.keras").open("ab") as file:
        file.write(b" ")
    assert found(imported(tmp_path / "run")[1])[0][0] == "run-directory"


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"\x89HDF\r\n\x1a\n....", "legacy-model", "HDF5"),
        (b"PK\x03\x04 broken", "unreadable-model", "damaged"),
        (b"[1, 2]", "unreadable-model", "does not describe a Keras model"),
        (b"{", "unreadable-model", "not valid JSON"),
        (b"[" * 200_000, "unreadable-model", "too deeply"),
        (
            b'{"config": {"layers": [{}]}, "class_name": "Functional", "module": "keras"}',
            "unreadable-model",
            "malformed",
        ),
        (
            b'{"config": {"layers": []}, "class_name": "Sequential", "module": "keras"}',
            "not-expressible",
            "no input yet",
        ),
        (
            b'{"config": {"layers": []}, "class_name": "Popen", "module": "subprocess"}',
            "not-expressible",
            "Popen",
        ),
        (
            b'{"config": {"layers": []}, "class_name": "Sequential", "module": "elsewhere"}',
            "not-expressible",
            "its class Sequential",
        ),
        (
            b'{"config": {"layers": []}, "class_name": "Popen", "module": "keras"}',
            "not-expressible",
            "its class Popen",
        ),
    ],
)
def test_invalid_model_files_are_refused(content, code, words, imported, tmp_path):
    path = tmp_path / "hostile.keras"
    path.write_bytes(content)
    result, document, config = imported(path)
    assert result.exit_code == 1
    assert found(document)[0][0] == code
    assert words in found(document)[0][1]
    assert config is None


def archive(path, text, *, weights=b""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", text)
        file.writestr("metadata.json", "{}")
        file.writestr("model.weights.h5", weights)


def test_archive_bomb_is_refused(imported, tmp_path):
    path = tmp_path / "bomb.keras"
    archive(path, b" " * (70 << 20))
    assert "the maximum is 16,777,216" in found(imported(path)[1])[0][1]
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    archive(path, model.to_json(), weights=bytes(300 << 20))
    result, document, _ = imported(path)
    assert result.exit_code == 1
    assert "model.weights.h5 has 314,572,800 bytes; the maximum is 268,435,528." in found(document)[0][1]


def test_foreign_modules_are_not_imported(imported, tmp_path):
    model = json.loads(keras.Sequential([keras.Input((2,)), layers.Dense(1)]).to_json())
    dense = model["config"]["layers"][1]["config"]
    dense["kernel_initializer"] |= {"module": "antigravity"}
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(model))
    result, document, _ = imported(path)
    assert result.exit_code == 1
    assert '"antigravity"' in found(document)[0][1]
    del dense["kernel_initializer"]
    dense["dtype"] |= {"module": "antigravity"}
    path.write_text(json.dumps(model))
    assert found(imported(path)[1])[0][0] == "custom-class"


def test_control_characters_in_names_are_removed(tmp_path):
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(1, name="red\x1b[31m ${x}"), layers.Lambda(abs, name="a\x07b")]
    )
    (tmp_path / "model.json").write_text(model.to_json())
    result = invoke("import", tmp_path / "model.json", "--output", tmp_path / "out.yaml")
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "\x07" not in result.output
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, name="red\x1b[31m ${x}")])
    (tmp_path / "model.json").write_text(model.to_json())
    assert invoke("import", tmp_path / "model.json", "--output", tmp_path / "out.yaml").exit_code == 0
    assert "name: red_31m_x" in (tmp_path / "out.yaml").read_text()


def test_existing_config_is_not_overwritten(tmp_path):
    (tmp_path / "model.json").write_text(keras.Sequential([keras.Input((2,)), layers.Dense(1)]).to_json())
    target = tmp_path / "out.yaml"
    target.write_text("mine")
    assert invoke("import", tmp_path / "model.json", "--output", target).exit_code == 2
    assert target.read_text() == "mine"


def test_fixed_batch_size_is_removed_with_a_warning(imported):
    model = keras.Sequential([keras.Input(batch_shape=(8, 2)), layers.Dense(1)])
    result, document, _ = imported(model)
    assert result.exit_code == 0
    assert [code for code, _ in found(document)] == ["batch-size-freed"]


def test_reading_a_model_imports_no_framework(tmp_path):
    from tests.running import run_python

    keras.Sequential([keras.Input((2,)), layers.Dense(1)]).save(tmp_path / "model.keras")
    code = """
import sys
from layercli.importing.model_file import read_model_file
from layercli.importing.build_stack import read_stack
stack, problems = read_stack(read_model_file(sys.argv[1]).document, lambda layer: None)
print(len(stack.items), problems, sorted({"keras", "tensorflow", "numpy"} & set(sys.modules)))
"""
    assert run_python(code, tmp_path / "model.keras") == "1 [] []\n"


def test_wrong_output_prevents_the_import(imported, monkeypatch, tmp_path):
    from layercli.engine import import_weights

    model = keras.Sequential([keras.Input((2,)), layers.Dense(1), layers.Dense(3)])
    moved = import_weights.copy_original_weights

    def wrong(original, assembled, *args, **options):
        moved(original, assembled, *args, **options)
        assembled.model.layers[-1].bias.assign([0.0, 0.1, 0.0])

    monkeypatch.setattr(import_weights, "copy_original_weights", wrong)
    result, document, config = imported(model, "--weights")
    assert result.exit_code == 1
    assert found(document)[0][0] == "import-differs"
    assert config is None
    assert not (tmp_path / "imported.weights.keras").exists()


def test_wrong_graph_is_reported(monkeypatch, imported):
    from layercli.engine import assemble

    connect = assemble.call_layer

    def crossed(layer, node, taken, **options):
        return connect(layer, node, taken[::-1] if node.layer.type_name() == "Subtract" else taken, **options)

    monkeypatch.setattr(assemble, "call_layer", crossed)
    result, document, _ = imported(
        functional(lambda x: layers.Subtract(name="apart")([layers.Dense(4)(x), x]), (4,))
    )
    assert result.exit_code == 1
    assert found(document) == [
        ("import-differs", "`apart` has a different type, arguments or inputs in the rebuilt model.")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV3Small", "InceptionV3"])
def test_keras_applications_survive_the_round_trip(name, tmp_path):
    with unallocated_weights():
        model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3))
    (tmp_path / "model.json").write_text(model.to_json())
    result = invoke("import", tmp_path / "model.json", "--output", tmp_path / "out.yaml", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0, document
    assert document["parameters"] == model.count_params()
    assert (
        document["largest_difference"] <= IMPORT_TOLERANCE
    )  # 0, if this processor's kernels are deterministic
    assert document["shapes_compared"] > 100
    keras.backend.clear_session()


def test_blocks_of_mobilenet_and_efficientnet_survive_the_round_trip(imported):
    def build(x):
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        y = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.999)(y))
        scale = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(y))
        y = layers.multiply([y, layers.Conv2D(4, 1, activation="sigmoid")(scale)])
        y = layers.Dropout(0.2, noise_shape=(None, 1, 1, 1))(y)
        return layers.add([y, x])

    result, document, config = imported(functional(build, (8, 8, 4)))
    assert result.exit_code == 0, document
    written = {layer["type"]: layer for layer in config["model"]["layers"] if isinstance(layer, dict)}
    assert written["ReLU"]["max_value"] == 6.0
    assert (written["Dropout"]["rate"], written["Dropout"]["noise_shape"]) == (0.2, [None, 1, 1, 1])
    assert document["parameters"] == 3 * 3 * 4 + 4 * 4 + (4 * 4 + 4)
    assert document["largest_difference"] < 1e-6


def test_archive_and_json_have_the_same_layers(tmp_path):
    model = functional(lambda x: layers.Add()([layers.Dense(4)(x), x]), (4,))
    model.save(tmp_path / "model.keras")
    (tmp_path / "model.json").write_text(model.to_json())
    read = [
        read_stack(read_model_file(str(tmp_path / name)).document, lambda _: None)[0]
        for name in ("model.keras", "model.json")
    ]
    assert flatten_stack(read[0]) == flatten_stack(read[1])

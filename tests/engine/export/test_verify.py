"""Exported models in their runtimes have the outputs of the original, and differences are found."""

import keras
import numpy as np
import pytest
import yaml

from layercli import api
from layercli.check import check_config, require_valid
from layercli.config.training.section import TrainSection
from layercli.data.examples import Examples
from layercli.engine.compare import compare_outputs, run_references
from layercli.engine.comparison_inputs import ComparisonCase, build_cases
from layercli.engine.export import quantization_metrics, verify
from layercli.engine.export.isolated_run import run_isolated
from layercli.engine.export.options import ExportOptions
from layercli.errors import LayercliError
from layercli.workflows import preflight

NORMALIZATION = {"type": "Normalization", "mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 9.0]}
MODELS = {
    "dense": ({"input": [3], "layers": [{"type": "Dense", "units": 4, "activation": "relu"}]}),
    "exact gelu": ({"input": [3], "layers": [{"type": "Dense", "units": 4, "activation": "gelu"}]}),
    "normalization": ({"input": [3], "layers": [NORMALIZATION, {"type": "Dense", "units": 2}]}),
    "lstm": ({"input": [5, 3], "layers": [{"type": "LSTM", "units": 4}]}),
    "two directions": (
        {"input": [5, 3], "layers": [{"type": "Bidirectional", "layer": {"type": "GRU", "units": 4}}]}
    ),
    "embedding": (
        {
            "input": {"shape": [6], "dtype": "int32"},
            "layers": [{"type": "Embedding", "input_dim": 9, "output_dim": 3}, "GlobalAveragePooling1D"],
        }
    ),
    "image": (
        {
            "input": {"shape": [8, 8, 3], "dtype": "uint8"},
            "layers": [
                {"type": "Rescaling", "scale": 0.01},
                {"type": "Conv2D", "filters": 4, "kernel_size": 3, "padding": "same"},
                "BatchNormalization",
                "GlobalMaxPooling2D",
            ],
        }
    ),
    "several inputs and outputs": (
        {
            "inputs": {"wide": [3], "deep": [3]},
            "layers": [
                {"type": "Dense", "name": "shared", "units": 3, "inputs": "wide"},
                {"reuse": "shared", "name": "again", "inputs": "deep"},
                {"type": "Concatenate", "name": "both", "inputs": ["shared", "again"]},
                {"type": "Dense", "name": "left", "units": 2},
                {"type": "Dense", "name": "right", "units": 1, "inputs": "both"},
            ],
            "outputs": ["right", "left"],
        }
    ),
}
SUFFIX = {"keras": ".keras", "saved_model": "", "onnx": ".onnx", "litert": ".tflite"}


@pytest.fixture
def made(tmp_path):
    """A checked config and its model."""

    def made(model):
        path = tmp_path / "c.yaml"
        path.write_text(yaml.safe_dump({"model": model}, sort_keys=False))
        valid = require_valid(check_config(str(path)))
        return valid, api.build(valid)

    return made


@pytest.fixture
def export(tmp_path):
    def export(form, valid, model, *, batch_size=None, tolerance=None, **options):
        target = tmp_path / f"exported{SUFFIX[form]}"
        return verify.write_and_verify(
            form,
            model,
            valid,
            target,
            options=ExportOptions(batch_size=batch_size, **options),
            cases=build_cases(valid, None, batch_size),
            tolerance=tolerance,
        )

    return export


def refusal(export, *args, **options):
    with pytest.raises(LayercliError) as caught:
        export(*args, **options)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("form", ["saved_model", "onnx", "litert"])
@pytest.mark.parametrize("name", MODELS)
def test_exported_model_has_the_same_outputs(name, form, made, export):
    found = export(form, *made(MODELS[name]))
    assert 0 <= found.largest_difference <= 1e-5
    document = found.as_json()
    assert document["batch_sizes"] == [1, 7, 32]
    assert set(document["edges"]) == {"drawn", "zeros", "ones", "small", "large", "extremes"}


def test_keras_file_has_the_same_outputs_in_new_process(made, export):
    assert export("keras", *made(MODELS["several inputs and outputs"])).largest_difference <= 1e-6


@pytest.mark.parametrize("form", ["saved_model", "onnx", "litert"])
def test_fixed_batch_size(form, made, export):
    found = export(form, *made(MODELS["lstm"]), batch_size=3)
    assert found.as_json()["batch_sizes"] == [3]


def test_onnx_names_and_opset(made, export, tmp_path):
    import onnx

    export("onnx", *made(MODELS["several inputs and outputs"]), opset=17)
    proto = onnx.load(tmp_path / "exported.onnx")
    assert [value.name for value in proto.graph.input] == ["wide", "deep"]
    assert [value.name for value in proto.graph.output] == ["right", "left"]
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")] == [17]


def test_onnx_outputs_are_renamed_to_unused_names():
    from onnx import TensorProto, helper

    from layercli.engine.export.onnx import _name_outputs

    nodes = [helper.make_node("Relu", ["x"], ["taken"])]
    nodes += [helper.make_node("Neg", ["taken"], [f"Identity:{number}"]) for number in range(5)]
    x, *outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
        for name in ("x", *(node.output[0] for node in nodes[1:]))
    ]
    proto = helper.make_model(helper.make_graph(nodes, "graph", [x], outputs))
    _name_outputs(proto, ["free", "taken", "x", "twice", "twice"])
    names = ["free", *(f"Identity:{number}" for number in range(1, 5))]
    assert [value.name for value in proto.graph.output] == names
    assert [node.output[0] for node in proto.graph.node] == ["taken", *names]


def test_unsupported_layer_is_reported_at_its_line(made, export):
    text = {
        "input": {"shape": [1], "dtype": "int64"},
        "layers": [{"type": "StringLookup", "vocabulary": ["a", "b"], "invert": True}],
    }
    problem = refusal(export, "onnx", *made(text))
    assert problem.code == "export-failed"
    assert problem.message.startswith("`string_lookup` (StringLookup) cannot be exported as ")
    assert problem.message.endswith(" does not support text.")
    assert problem.path == "model.layers[0]"


@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_layer_of_texts_is_left_out(form, made, export):
    text = {
        "input": {"shape": [1], "dtype": "string"},
        "layers": [
            {"type": "TextVectorization", "vocabulary": ["a", "word"], "output_sequence_length": 3},
            {"type": "Embedding", "input_dim": 4, "output_dim": 2},
        ],
    }
    found = export(form, *made(text))
    assert found.largest_difference <= 1e-6
    [tensor] = found.deployed.model.inputs
    assert (tensor.dtype, tensor.shape) == ("int64", (None, 3))


@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_vectors_of_words_are_an_input(form, made, export):
    text = {
        "input": {"shape": [1], "dtype": "string"},
        "layers": [
            {
                "type": "TextVectorization",
                "vocabulary": ["a", "word"],
                "output_mode": "multi_hot",
                "name": "words",
            },
            {"type": "Dense", "units": 4, "activation": "relu"},
            {"type": "Concatenate", "name": "both", "inputs": ["dense", "words"]},
            {"type": "Dense", "units": 1},
        ],
    }
    found = export(form, *made(text))
    assert found.largest_difference <= 1e-6
    assert [tensor.shape for tensor in found.deployed.model.inputs] == [(None, 3)]


def test_saved_model_supports_text(made, export):
    text = {
        "input": {"shape": [1], "dtype": "string"},
        "layers": [{"type": "TextVectorization", "vocabulary": ["a", "word"], "output_sequence_length": 3}],
    }
    assert export("saved_model", *made(text)).largest_difference == 0


def test_first_differing_layer_is_reported(made, export, monkeypatch):
    from layercli.engine.export import saved_model

    honest = saved_model.write_model

    def write_wrong_model(model, target, options):
        wrong = keras.models.clone_model(model)
        wrong.set_weights(
            [
                weight * 1.01 if "second" in weight_path else weight
                for weight, weight_path in zip(
                    model.get_weights(), [weight.path for weight in model.weights], strict=True
                )
            ]
        )
        honest(wrong, target, options)

    monkeypatch.setattr(saved_model, "write_model", write_wrong_model)
    layers = [{"type": "Dense", "name": name, "units": 3} for name in ("first", "second", "third")]
    problem = refusal(export, "saved_model", *made({"input": [3], "layers": layers}))
    assert problem.code == "export-differs"
    assert problem.path == "model.layers[1]"
    assert "The first layer that differs is `second` (Dense), by 1.0e-02." in problem.message
    assert (
        export("saved_model", *made({"input": [3], "layers": layers}), tolerance=0.1).largest_difference
        > 0.005
    )


def test_wrong_shape_and_nan_are_differences(made):
    _, model = made(MODELS["dense"])
    wants = run_references(model, [ComparisonCase("drawn", {"input": np.ones((2, 3), "float32")})])
    good = wants[0].outputs[0]
    for bad in (good[:1], good * np.nan, good.reshape(4, 2)):
        assert [difference.is_too_large for difference in compare_outputs(wants, [[bad]], 0.5)] == [True]
    assert [difference.is_too_large for difference in compare_outputs(wants, [[]], 0.5)] == [True]
    assert [difference.relative_error for difference in compare_outputs(wants, [[good]], 0.5)] == [0.0]
    assert compare_outputs([], [], 0.5) == []


def test_edge_cases_have_extreme_values(made):
    valid, _ = made(MODELS["embedding"])
    indices = {case.name: case.inputs["input"] for case in build_cases(valid, None, None)}
    assert indices["zeros"].max() == 0
    assert indices["extremes"].max() == 8
    valid, _ = made(MODELS["image"])
    pixels = {case.name: case.inputs["input"] for case in build_cases(valid, None, None)}
    assert (pixels["extremes"].min(), pixels["extremes"].max()) == (0, 255)
    valid, _ = made(MODELS["dense"])
    numbers = {case.name: case.inputs["input"] for case in build_cases(valid, None, None)}
    assert numbers["extremes"].max() == np.finfo("float32").max


@pytest.mark.parametrize(
    ("message", "explanation"),
    [
        ("'tf.Roll' op is neither a custom op nor a flex op", "LiteRT does not support the operation Roll."),
        ("[ONNXRuntimeError] No Op registered for Erfc", "LiteRT does not support the operation Erfc."),
        ("Out of space.", "ValueError: Out of space."),
    ],
)
def test_unsupported_operation_is_named(message, explanation):
    assert verify._explain_error(ValueError(message), "LiteRT") == explanation


def test_metrics_of_several_outputs_ignore_repeated_examples(made):
    valid, model = made(MODELS["several inputs and outputs"])
    train = TrainSection.model_validate({"loss": {"right": "mse", "left": "mse"}})
    zeros, ones = np.zeros((3, 1), "float32"), np.ones((3, 2), "float32")
    batches = [
        Examples(zeros[rows], {"right": zeros[rows], "left": ones[rows]}) for rows in (slice(2), slice(1))
    ]
    right = [np.array([[1.0], [2.0]], "float32"), np.array([[3.0], [99.0]], "float32")]
    outputs = [[array, np.zeros((2, 2), "float32")] for array in right]
    found = quantization_metrics.evaluate_outputs(model, batches, outputs, train, valid)
    assert found["loss"] == pytest.approx((1 + 4 + 9) / 3 + 1)


def test_missing_package_is_reported(monkeypatch):
    monkeypatch.setattr(preflight, "find_spec", lambda name: None if name == "tf2onnx" else object())
    with pytest.raises(LayercliError) as refused:
        preflight.require_export_packages("onnx")
    [problem] = refused.value.problems
    assert problem.code == "missing-package"
    assert problem.message == "tf2onnx must be installed for the onnx format."
    assert problem.hint == "Install it: `pip install 'layercli[onnx]'`."


SCRIPT = """
import keras
from keras import layers


def build_model():
    number, text = keras.Input((1,), name="n"), keras.Input((1,), name="t", dtype="string")
    one_hot = layers.StringLookup(vocabulary=["${a}", "$${c}"], output_mode="one_hot")(text)
    return keras.Model([number, text], layers.Concatenate()([number, one_hot]))
"""


@pytest.mark.usefixtures("warm_processes")
def test_script_takes_numbers_next_to_text(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    batch = {"n": np.float32([[2.5]]), "t": np.array([["$${c}"]], object)}
    assert run_isolated("script", tmp_path / "script.py", [batch])[0][0].tolist() == [[2.5, 0.0, 0.0, 1.0]]

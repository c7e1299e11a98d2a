"""Records of models that name other classes and functions than the catalogue's."""

import json

import pytest

from layercli.importing.safe_records import drop_unused_parts, find_unsafe_records


def record(name, config=None, module="keras.layers", **more):
    return {"module": module, "class_name": name, "config": config or {}, "registered_name": None, **more}


def function(name, module):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def model(*layers, **more):
    return record("Functional", {"layers": list(layers)}, "keras.src.models.functional", **more)


DENSE = record(
    "Dense",
    {"units": 3, "activation": "relu", "kernel_initializer": record("Zeros", module="keras.initializers")},
)


def test_usual_model_is_safe():
    assert find_unsafe_records(model(DENSE, record("InputLayer", {"batch_shape": [None, 3]}))) == []


def test_tuples_and_tensors_are_data():
    pair = {"class_name": "__tuple__", "items": [1, 2]}
    tensor = {"class_name": "__keras_tensor__", "config": {"dtype": "float32", "shape": [None, 3]}}
    assert find_unsafe_records(model(DENSE, pair, tensor)) == []
    for damaged in (pair | {"config": {"a": 1}}, {"class_name": "__tuple__"}, tensor | {"config": None}):
        assert find_unsafe_records(model(DENSE, damaged))


@pytest.mark.parametrize(
    "attack",
    [
        record(
            "Lambda",
            {"function": function("TFSMLayer", "keras.layers"), "arguments": {"call_endpoint": "serve"}},
        ),
        record("TFSMLayer", {"filepath": "/tmp/saved"}),
        record("TorchModuleWrapper"),
        record("JaxLayer"),
        record("FlaxLayer"),
        record("Dense", {"units": 3, "activation": function("TFSMLayer", "keras.layers")}),
        record("Dense", {"units": 3, "activation": function("get_file", "keras.utils")}),
        record("Dense", {"units": 3, "activation": function("deserialize", "builtins")}),
        record("Dense", {"units": 3, "activation": function("load_model", "keras.src.saving.saving_api")}),
        record("Dense", {"units": 3, "kernel_initializer": record("Layer", module="keras.layers")}),
        record("Dense", {"dtype": record("QuantizedDTypePolicy", module="keras")}),
        record("Dense", {"dtype": record("DTypePolicy", {"name": "int8_from_float32"}, "keras")}),
        record("Dense", {"dtype": record("DTypePolicy", {"name": ["float32"]}, "keras")}),
        record("Dense", {"activation": function(["relu"], "keras.activations")}),
        {"class_name": "__tensor__", "config": {"value": [1], "dtype": {"name": "float32"}}},
        record("Functional", {"layers": []}, {"name": "keras"}),
        record("Dense", build_config={"input_shape": record("TFSMLayer")}),
        record("Dense", registered_name="package>Dense"),
        record("Dense", module="keras.src.layers.core.lambda_layer"),
        record("Dense", module="os"),
        record("Dense", module=None),
        record("TextVectorization", {"standardize": function("get_file", "keras.utils")}),
        record("TextVectorization", {"vocabulary": "/etc/passwd"}),
        record("StringLookup", {"vocabulary": "/etc/passwd"}),
        record("StringLookup", {"idf_weights": "/etc/passwd"}),
        record("TimeDistributed", {"layer": record("Lambda")}),
        record("GetItem", module="keras.src.ops.numpy"),
        record("Add", module="keras.src.ops.io_utils"),
        {"class_name": "__lambda__", "config": {"value": "code"}},
        {
            "class_name": "__typespec__",
            "config": [],
            "spec_name": "x",
            "module": "keras",
            "registered_name": None,
        },
        {"class_name": "__numpy__", "config": {"value": [""], "dtype": "U1000000000"}},
        {"class_name": "__tuple__", "items": [record("Lambda")]},
        {"class_name": ["Dense"], "config": {}},
        {"class_name": "Dense"},
        model(record("Lambda")),
        model(unused=[{"deep": record("Lambda")}]),
        record(
            "Sequential",
            {"layers": [DENSE], "build_input_shape": [None, 3]},
            "keras",
            build_config={"input_shape": [None, 2**31]},
        ),
        record("Functional", {"layers": []}, "keras.evil"),
    ],
    ids=lambda attack: json.dumps(attack)[:60],
)
def test_record_outside_the_catalogue_is_found_anywhere(attack):
    for document in (attack, model(DENSE, attack), {"x": [attack]}):
        (problem, *_) = find_unsafe_records(document)
        assert problem.code == "unsafe-model"
        assert problem.message.startswith("The model contains ")


def test_trusted_class_is_safe_only_under_its_registered_name():
    own = record("Mine", module="layers", registered_name="layers>Mine")
    assert find_unsafe_records(model(own), {"layers>Mine"}) == []
    assert find_unsafe_records(model(own))
    assert find_unsafe_records(model(own | {"registered_name": "other>Mine"}), {"layers>Mine"})


def test_parts_that_keras_would_run_are_dropped():
    nested = model(
        record("Dense", build_config={"input_shape": [2**31]}), compile_config={"optimizer": record("Lambda")}
    )
    document = model(
        nested, compile_config={"loss": record("Lambda")}, build_config={"input_shape": [None, 3]}
    )
    assert find_unsafe_records(document) == []
    kept = drop_unused_parts(document)
    assert "Lambda" not in json.dumps(kept)
    assert "compile_config" not in json.dumps(kept)
    assert kept["build_config"] == {"input_shape": [None, 3]}
    assert "build_config" not in kept["config"]["layers"][0]["config"]["layers"][0]

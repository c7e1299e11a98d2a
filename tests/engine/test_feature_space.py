"""FeatureSpace in a config gives the outputs of Keras's FeatureSpace on the same data."""

import json

import keras
import numpy as np
import pytest
import yaml

from layercli import api
from layercli.engine.adapt import adapt_layers
from layercli.engine.assemble import assemble_model
from layercli.formats.registry import load_dataset
from layercli.workflows.output_sizes import read_output_sizes
from tests.running import invoke, train

RANDOM = np.random.default_rng(0)
ROWS = 80
COLUMNS = {
    "z age": RANDOM.integers(18, 90, ROWS).astype(np.float32),
    "fare": RANDOM.lognormal(3, 1, ROWS).round(3).astype(np.float32),
    "size": RANDOM.normal(size=ROWS).round(3).astype(np.float32),
    "ratio": RANDOM.normal(size=ROWS).round(3).astype(np.float32),
    "code": RANDOM.integers(-3, 40, ROWS),
    "class": RANDOM.integers(1, 4, ROWS),
    "job": RANDOM.choice(["nurse", "pilot", "cook", "baker", "5"], ROWS),
    "town": RANDOM.choice([f"t{n}" for n in range(12)], ROWS),
}
FEATURES = {
    "z age": "float_normalized",
    "size": "float",
    "ratio": {"type": "float_rescaled", "scale": 0.5, "offset": 2.0},
    "fare": "float_discretized",
    "code": {"type": "integer_hashed", "num_bins": 7},
    "class": "integer_categorical",
    "job": "string_categorical",
    "town": {"type": "string_categorical", "max_tokens": 6, "num_oov_indices": 2},
}
CROSSES = [["job", "class"], ["town", "fare"], {"feature_names": ["code", "job"], "crossing_dim": 9}]


def write(place, features, **keys):
    y = RANDOM.integers(0, 2, ROWS)
    rows = zip(*(COLUMNS[name] for name in features), y, strict=True)
    lines = [",".join([*features, "y"]), *(",".join(map(str, row)) for row in rows)]
    (place / "t.csv").write_text("\n".join(lines) + "\n")
    document = {
        "seed": 3,
        "data": {"type": "csv", "path": str(place / "t.csv"), "target": "y", "split": {"test": 0.2}},
        "model": {
            "layers": [
                {"type": "FeatureSpace", "features": features, **keys},
                {"type": "Dense", "units": 1, "activation": "sigmoid"},
            ]
        },
        "train": {"epochs": 1, "loss": "binary_crossentropy"},
    }
    (place / "c.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return place / "c.yaml"


def encode(config, outputs="feature_space"):
    """Return the outputs of the FeatureSpace for all examples, and the training examples."""
    valid = read_output_sizes(api.load(config))
    data = valid.config.data
    dataset = load_dataset(data, dtypes={name: x.dtype for name, x in valid.graph.inputs.items()})
    part = dataset.split(data.split, seed=valid.config.seed, shuffle=True).train
    assembled = assemble_model(valid)
    adapt_layers(assembled, valid, part)
    tensors = keras.tree.map_structure(assembled.tensors.get, outputs)
    space = keras.Model(assembled.model.inputs, tensors)
    names = list(valid.graph.inputs)
    encoded = space([keras.ops.convert_to_tensor(_tensor(part.x[name])) for name in names])
    return keras.tree.map_structure(np.asarray, encoded), {name: part.x[name] for name in names}


def _tensor(array):
    return array.astype(str) if array.dtype.kind == "O" else array


def keras_space(features, crosses, x, **keys):
    """Return Keras's FeatureSpace, adapted to these examples."""
    made = {
        name: feature
        if isinstance(feature, str)
        else getattr(keras.utils.FeatureSpace, feature["type"])(
            **{key: value for key, value in feature.items() if key != "type"}
        )
        for name, feature in features.items()
    }
    made_crosses = [
        keras.utils.FeatureSpace.cross(**cross) if isinstance(cross, dict) else tuple(cross)
        for cross in crosses
    ]
    space = keras.utils.FeatureSpace(made, crosses=made_crosses, **{"output_mode": "concat", **keys})
    columns = {name: _tensor(x[name.replace(" ", "_")]).ravel() for name in features}
    space.adapt(columns)
    return keras.tree.map_structure(np.asarray, space(columns))


@pytest.mark.parametrize(
    ("names", "crosses", "keys"),
    [
        (list(FEATURES), CROSSES, {}),
        (list(FEATURES)[:4], [], {"num_discretization_bins": 5}),
        (["job"], [], {}),
        (["job", "class"], [["class", "job"], ["job", "class"]], {"crossing_dim": 11}),
    ],
)
def test_outputs_equal_those_of_keras(tmp_path, names, crosses, keys):
    features = {name: FEATURES[name] for name in names}
    outputs, x = encode(write(tmp_path, features, **({"crosses": crosses} if crosses else {}), **keys))
    expected = keras_space(features, crosses, x, **keys)
    assert outputs.shape == expected.shape
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_outputs_of_a_dict_equal_those_of_keras(tmp_path):
    features = {
        "size": "float_normalized",
        "fare": {"type": "float_discretized", "num_bins": 4, "output_mode": "int"},
        "class": {"type": "integer_categorical", "output_mode": "int"},
        "code": {"type": "integer_hashed", "num_bins": 7, "output_mode": "int"},
        "town": "string_categorical",
        "job": {"type": "string_categorical", "output_mode": "int"},
    }
    crosses = [
        {"feature_names": ["job", "class"], "crossing_dim": 9, "output_mode": "int"},
        {"feature_names": ["town", "code"], "crossing_dim": 8},
    ]
    names = [*features, "job_X_class", "town_X_code"]
    config = write(tmp_path, features, crosses=crosses, output_mode="dict")
    floats = ["feature_space.size", "feature_space.town", "feature_space.town_X_code"]
    indices = [f"feature_space.{name}" for name in names if f"feature_space.{name}" not in floats]
    head = [
        {"type": "Concatenate", "inputs": indices},
        {"type": "Rescaling", "name": "scaled", "scale": 0.1},
        {"type": "Concatenate", "inputs": [*floats, "scaled"]},
        {"type": "Dense", "units": 1, "activation": "sigmoid"},
    ]
    document = yaml.safe_load(config.read_text())
    document["model"]["layers"][1:] = head
    config.write_text(yaml.safe_dump(document, sort_keys=False))
    outputs, x = encode(config, {name: f"feature_space.{name}" for name in names})
    expected = keras_space(features, crosses, x, output_mode="dict")
    assert sorted(outputs) == sorted(expected)
    for name in names:
        assert outputs[name].shape == expected[name].shape, name
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("kind", ["string_hashed", "integer_hashed"])
def test_hashed_features_have_the_default_of_keras(tmp_path, kind):
    name = "job" if kind == "string_hashed" else "code"
    features = {name: kind, "size": "float"}
    for keys, size in (({}, 33), ({"hashing_dim": 4}, 5)):
        outputs, x = encode(write(tmp_path, features, **keys))
        assert outputs.shape == (64, size)
        np.testing.assert_array_equal(outputs, keras_space(features, [], x, **keys))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("space")
    config = write(place, FEATURES, crosses=CROSSES)
    done = train(config, place / "run")
    assert done.result.exit_code == 0, done.result.output
    return config, done.path


def test_run_evaluates_and_predicts_rows_of_the_table(run, tmp_path):
    config, path = run
    assert invoke("evaluate", path, "--json").exit_code == 0
    output = tmp_path / "predictions.csv"
    result = invoke("predict", path, "--input", config.parent / "t.csv", "--output", output, "--json")
    assert result.exit_code == 0, result.output
    assert len(output.read_text().splitlines()) == ROWS + 1


@pytest.mark.usefixtures("warm_processes")
def test_script_has_the_same_outputs(run, tmp_path):
    _, path = run
    result = invoke(
        "export", path, "--format", "python", "--weights", "--output", tmp_path / "space.py", "--json"
    )
    assert result.exit_code == 0, result.output
    script = (tmp_path / "space.py").read_text()
    assert 'layers.Concatenate(name="feature_space")' in script or "feature_space" in script
    assert "bin_boundaries = vocabulary" in script


def test_forward_pass_agrees_with_the_static_shapes(run):
    config, _ = run
    document = json.loads(invoke("inspect-shapes", config, "--json").stdout)
    assert document["ok"]
    assert all(layer["agrees"] for layer in document["layers"])

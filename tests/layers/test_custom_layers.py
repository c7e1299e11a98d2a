"""``type: keras.layers.Name``: layers of a newer Keras version that are not in the catalogue."""

import keras
import pytest
from typer.testing import CliRunner

from layercli.check import check_config
from layercli.cli import make_app
from layercli.layers.custom_layers import CustomLayer, find_class_beside, is_custom_type
from layercli.layers.parse_layer import parse_custom_layer
from layercli.layers.registry import LAYERS
from tests.stacks import checked, document

NEW = {"type": "keras.layers.Doubling", "factor": 2}


@pytest.fixture
def newer_keras(monkeypatch):
    """Add a layer to Keras that is not in the catalogue."""

    class Doubling(keras.layers.Layer):
        def __init__(self, factor, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], self.factor * input_shape[-1]))

        def call(self, inputs):
            return keras.ops.matmul(inputs, self.kernel)

    monkeypatch.setattr(keras.layers, "Doubling", Doubling, raising=False)


def test_new_keras_layer_has_unknown_shape_and_no_user_code():
    found = checked(document([4], [NEW, {"type": "Dense", "units": 3}]))
    assert found.problems == []
    new, dense = found.shapes.rows
    assert (new.outputs, new.trainable, new.flops) == ((), None, None)
    assert (dense.outputs, dense.trainable) == ((), None)
    assert new.node.name == "doubling"
    assert new.node.type_name == "keras.layers.Doubling"
    assert isinstance(new.node.layer, CustomLayer)
    assert not new.node.layer.has_user_code


def test_declared_output_shape_of_a_new_layer():
    found = checked(document([4], [NEW | {"output_shape": [8]}, {"type": "Dense", "units": 3}]))
    assert [row.outputs[0].shape for row in found.shapes.rows] == [(None, 8), (None, 3)]
    assert found.shapes.rows[1].trainable == 27


@pytest.mark.usefixtures("newer_keras")
def test_new_keras_layer_builds_without_trust(tmp_path):
    config = tmp_path / "new.yaml"
    config.write_text(document([4], [NEW, {"type": "Dense", "units": 3}]))
    result = CliRunner().invoke(make_app(), ["build", str(config), "--json"])
    assert result.exit_code == 0, result.output
    assert '"trainable": 59' in result.stdout  # 4 x 8, then 8 x 3 + 3


@pytest.mark.parametrize("name", ["Tripling", "InputSpec"])
def test_layer_missing_in_this_keras_version(name, tmp_path):
    config = tmp_path / "new.yaml"
    config.write_text(document([4], [{"type": f"keras.layers.{name}"}]))
    result = CliRunner().invoke(make_app(), ["build", str(config)])
    assert result.exit_code == 1
    assert f"Keras {keras.__version__} has no layer {name}." in result.output


@pytest.mark.parametrize("name", ["Dense", "dense", "MaxPool2D"])
def test_keras_prefix_of_a_catalogue_layer(name):
    arguments = {"Dense": {"units": 3}, "dense": {"units": 3}}.get(name, {})
    layer = parse_custom_layer(f"keras.layers.{name}", arguments)
    assert layer == LAYERS.parse({"type": name, **arguments})
    assert not isinstance(layer, CustomLayer)


@pytest.mark.parametrize("name", [*LAYERS.unavailable, "lambda"])
def test_keras_prefix_of_an_unavailable_layer(name):
    (problem,) = checked(document([4], [{"type": f"keras.layers.{name}"}])).problems
    assert problem.code == "refused-type"
    assert problem.path == "model.layers[0].type"


@pytest.mark.parametrize(
    "name",
    [
        "keras.layers.",
        "keras.layers.os.system",
        "keras.layers.A:B",
        "keras.layers.__dict__",
        "keras.layers.deserialize",
    ],
)
def test_invalid_class_name_is_rejected(name):
    assert is_custom_type(name)
    found = checked(document([4], [{"type": name}]))
    assert [problem.code for problem in found.problems] == ["bad-custom-type"]


@pytest.fixture
def lesson_folder(tmp_path):
    (tmp_path / "simple_dense.py").write_text(
        "raise SystemExit\nclass SimpleDense(keras.layers.Layer):\n    pass\n"
    )
    (tmp_path / "other.py").write_text("class Other(keras.layers.Layer):\n    pass\n")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["SimpleDense", "simple_dense", "simple_dense.py", "simple_dense.SimpleDense", "'simple_dense.py:'"],
)
def test_class_in_a_file_of_the_folder_is_suggested(lesson_folder, name):
    path = lesson_folder / "c.yaml"
    path.write_text(f"model: {{input: [4], layers: [{{type: {name}, units: 3}}]}}\n")
    (problem,) = check_config(str(path)).problems
    assert problem.hint == "Write `type: simple_dense.py:SimpleDense`, and load it with `--trust`."


def test_search_for_a_class_is_bounded(lesson_folder):
    assert find_class_beside(lesson_folder, "other") == "other.py:Other"
    assert find_class_beside(lesson_folder, "Nothing") is None
    assert find_class_beside(lesson_folder / "nowhere", "Other") is None
    (lesson_folder / "other.py").write_text("class Other(Layer):\n" + " " * 300_000)
    assert find_class_beside(lesson_folder, "Other") is None


def test_first_file_by_name_is_suggested(tmp_path, monkeypatch):
    for name in ("b", "a"):
        (tmp_path / f"{name}.py").write_text("class Same(Layer):\n    pass\n")
    monkeypatch.setattr(type(tmp_path), "glob", lambda folder, _: iter([folder / "b.py", folder / "a.py"]))
    assert find_class_beside(tmp_path, "Same") == "a.py:Same"

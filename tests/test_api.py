from pathlib import Path

import keras
import numpy as np
import pytest

import layercli
from tests.running import CONFIGS, run_python

CNN = CONFIGS / "digits_cnn.yaml"


def test_validate_returns_problems_and_never_raises(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("model: {input: [4], layers: [{type: Dens, units: 3}]}")
    checked = layercli.validate(path)
    assert not checked.ok
    assert [(problem.code, problem.line) for problem in checked.problems] == [("unknown-type", 1)]
    assert not layercli.validate(tmp_path / "absent.yaml").ok
    assert layercli.validate(str(CNN)).ok


def test_load_raises_with_every_problem(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("seed: -1\nmodel: {input: [4], layers: [{type: Dense, units: 0}]}")
    with pytest.raises(layercli.LayercliError) as raised:
        layercli.load(path)
    assert [problem.line for problem in raised.value.problems] == [1, 2]
    assert f"{path}:1:7: " in str(raised.value)


def test_load_accepts_overrides_and_loaded_configs():
    valid = layercli.load(CNN, overrides=["train.epochs=3", "model.layers.digit.name=head"])
    assert valid.config.train.epochs == 3
    assert valid.graph.outputs == ("head",)
    assert layercli.load(valid) is valid


def test_infer_shapes_returns_rows_and_totals():
    shapes = layercli.infer_shapes(CNN)
    assert (shapes.trainable, shapes.non_trainable) == (29130, 64)
    assert shapes.by_name["flatten"].outputs[0].shape == (None, 1024)


def test_build_returns_a_keras_model():
    model = layercli.build(CNN)
    assert isinstance(model, keras.Model)
    assert model.input_shape == (None, 8, 8, 1)
    assert model(np.zeros((2, 8, 8, 1))).shape == (2, 10)


def test_build_and_train_require_trust_for_code():
    for function in (layercli.build, layercli.train):
        with pytest.raises(layercli.LayercliError, match="would load and run"):
            function(CONFIGS / "custom_layer.yaml")
    assert layercli.build(CONFIGS / "custom_layer.yaml", trust=True).count_params() == 2410


def test_train_returns_summary_without_output(iris, tmp_path, capfd):
    summary = layercli.train(iris, run_dir=tmp_path / "run")
    assert summary["ok"] is True
    assert summary["run"] == str(tmp_path / "run")
    assert Path(summary["run"], "model.keras").is_file()
    assert capfd.readouterr() == ("", "")


def test_public_names():
    assert all(
        callable(getattr(layercli, name)) for name in layercli.__all__
    )  # a submodule must not hide a public name
    with pytest.raises(AttributeError, match="has no attribute 'evaluate_everything'"):
        _ = layercli.evaluate_everything


def test_import_and_check_load_no_framework():
    code = f"""
import sys, layercli
assert {{name for name in sys.modules if name.startswith("layercli")}} == {{"layercli", "layercli.version"}}
layercli.infer_shapes({str(CNN)!r})
print(sorted({{"keras", "tensorflow", "numpy", "sklearn", "typer"}} & set(sys.modules)))
"""
    assert run_python(code) == "[]\n"

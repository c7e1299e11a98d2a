"""``layercli export`` on runs: outputs, rejected inputs, and cleanup after failures."""

import json
import shutil

import keras
import numpy as np
import pytest
import yaml

from layercli.engine.export.verify import Verification
from layercli.graph.forward_cost import CostLimits
from tests.running import CONFIGS, invoke, problems, run_python, train

pytestmark = pytest.mark.usefixtures("warm_processes")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exported(*args):
    result = invoke("export", *args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("keras", "digits-dense.keras"),
        ("saved_model", "digits-dense_saved_model"),
        ("onnx", "digits-dense.onnx"),
        ("litert", "digits-dense.tflite"),
    ],
)
def test_export_compares_on_the_data_of_the_run(form, name, digits_run, here):
    done = exported(digits_run.path, "--format", form)
    assert done["output"] == name
    assert [path.name for path in here.iterdir()] == [name]
    assert done["bytes"] > 10_000
    assert done["compared"]["examples"] == 32
    assert done["compared"]["edges"] == ["zeros", "ones", "small", "large", "extremes"]
    assert done["compared"]["largest_difference"] <= done["tolerance"] <= 1e-4


@pytest.mark.usefixtures("here")
def test_text_report_names_the_comparison(digits_run):
    result = invoke("export", digits_run.path, "--format", "onnx")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Wrote digits-dense.onnx (")
    text = " ".join(result.stdout.split())
    assert "32 examples of the data and edges (zeros, ones, small, large, extremes)" in text
    assert "0.0001 is allowed" in text


@pytest.mark.usefixtures("here")
def test_costly_comparison_is_left_out_with_a_warning(digits_run, monkeypatch):
    limits = CostLimits(1000, 0, 1 << 30, 0, 0)
    monkeypatch.setattr("layercli.engine.export.comparison_cost.EXPORT_LIMITS", limits)
    result = invoke("export", digits_run.path, "--format", "saved_model")
    assert result.exit_code == 0
    assert "Not compared with the original: the comparison costs too much." in result.stdout
    assert "warning: The outputs were not compared with those of the original: it takes " in result.stderr
    done = exported(digits_run.path, "--format", "keras")
    assert done["compared"] == {"examples": 0, "edges": [], "batch_sizes": [], "largest_difference": None}
    [warning] = done["problems"]
    assert (warning["code"], warning["severity"], warning["path"]) == ("not-compared", "warning", "model")


@pytest.mark.parametrize("kind", ["float16", "int8"])
@pytest.mark.usefixtures("here")
def test_quantized_export_is_smaller_and_reports_metrics(kind, digits_run):
    plain = exported(digits_run.path, "--format", "litert")
    done = exported(digits_run.path, "--format", "litert", "--quantize", kind, "-o", "small.tflite")
    assert done["bytes"] < 0.8 * plain["bytes"]
    before, after = done["metrics"]["before"], done["metrics"]["after"]
    assert before["accuracy"] == pytest.approx(digits_run.summary["test"]["accuracy"], abs=1e-6)
    # Keras computes the loss from logits if it can; otherwise it clips small probabilities.
    assert before["loss"] == pytest.approx(digits_run.summary["test"]["loss"], rel=0.05)
    assert after["accuracy"] == pytest.approx(before["accuracy"], abs=0.05)


def test_failed_export_keeps_the_existing_file(digits_run, here):
    (here / "m.tflite").write_text("older")
    options = ["--quantize", "int8", "--tolerance", "1e-6", "-o", "m.tflite"]
    result = invoke("export", digits_run.path, "--format", "litert", *options, "--json")
    assert [code for code, _ in problems(result)] == ["export-differs"]
    assert [path.name for path in here.iterdir()] == ["m.tflite"]
    assert (here / "m.tflite").read_text() == "older"


def test_custom_layer_export_copies_code_and_requires_trust(custom_run, here):
    assert [code for code, _ in problems(invoke("export", custom_run.path, "-f", "keras", "--json"))] == [
        "trust-required"
    ]
    done = exported(custom_run.path, "-f", "keras", "--trust")
    assert done["also"] == ["simple_dense.py"]
    code = "import simple_dense, keras; print(keras.models.load_model('custom-layer.keras').count_params())"
    assert int(run_python(code, cwd=here, path=here)) > 0
    (here / "custom-layer.keras").write_bytes(b"older")
    (here / "simple_dense.py").write_text("another")
    again = invoke("export", custom_run.path, "-f", "keras", "--trust", "--json")
    assert [code for code, _ in problems(again)] == ["cannot-write"]
    assert (here / "custom-layer.keras").read_bytes() == b"older"


def test_missing_data_is_replaced_by_random_inputs(here):
    data = here / "d.npz"
    rng = np.random.default_rng(0)
    np.savez(data, x=rng.random((40, 4), "float32"), y=rng.integers(0, 2, 40))
    (here / "c.yaml").write_text(
        "data: {type: npz, path: d.npz, features: x, target: y}\n"
        "model: {input: [4], layers: [{type: Dense, units: 2, activation: softmax}]}\n"
        "train: {loss: sparse_categorical_crossentropy}\n"
    )
    assert train("c.yaml", here / "run").result.exit_code == 0
    data.unlink()
    done = exported("run", "-f", "saved_model")
    assert [problem["code"] for problem in done["problems"]] == ["unreadable-data"]
    assert done["compared"]["edges"][0] == "drawn"
    assert done["compared"]["examples"] == 0
    assert problems(invoke("export", "run", "-f", "litert", "--quantize", "int8", "--json"))[0][0] == (
        "unreadable-data"
    )


def test_existing_folder_is_not_overwritten(digits_run, here):
    (here / "out").mkdir()
    (here / "out" / "mine").write_text("kept")
    result = invoke("export", digits_run.path, "-f", "saved_model", "-o", "out", "--json")
    assert [code for code, _ in problems(result)] == ["cannot-write"]
    assert (here / "out" / "mine").read_text() == "kept"


def test_modified_model_is_not_exported(digits_run, here):
    copy = shutil.copytree(digits_run.path, here / "run")
    keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)]).save(copy / "model.keras")
    result = invoke("export", "run", "-f", "onnx", "--json")
    assert [code for code, _ in problems(result)] == ["run-directory"]
    assert [path.name for path in here.iterdir()] == ["run"]


@pytest.mark.parametrize(
    "options",
    [
        ["-f", "onnx", "--quantize", "int8"],
        ["-f", "keras", "--batch-size", "3"],
        ["-f", "litert", "--opset", "15"],
        ["-f", "onnx", "-o", "model.tflite"],
        ["-f", "onnx", "-o", "none/model.onnx"],
        ["-f", "torch"],
        [],
        ["--benchmark", "-f", "python"],
        ["--benchmark", "-o", "model.onnx"],
    ],
)
def test_unsupported_options_are_usage_errors(options, digits_run, here):
    assert invoke("export", digits_run.path, *options).exit_code == 2
    assert list(here.iterdir()) == []


def test_benchmark_compares_formats_and_writes_nothing(digits_run, here):
    done = exported(digits_run.path, "--benchmark", "-f", "onnx")
    [row] = done["formats"]
    assert (row["format"], list(row["milliseconds"])) == ("onnx", ["1", "32"])
    assert 0 < row["milliseconds"]["1"]["p50"] <= row["milliseconds"]["1"]["p95"]
    evaluated = json.loads(invoke("evaluate", digits_run.path, "--json").stdout)
    assert row["metrics"]["accuracy"] == pytest.approx(evaluated["metrics"]["accuracy"])
    assert row["bytes"] > 10_000
    assert list(here.iterdir()) == []


def test_script_of_a_run_loads_weights_without_layercli(digits_run, here):
    done = exported(digits_run.path, "-f", "python", "--weights")
    assert done["output"] == "digits_dense.py"
    assert done["also"] == ["digits_dense.weights.h5"]
    assert done["compared"]["examples"] == 32
    assert done["compared"]["largest_difference"] == 0
    code = (
        "import sys, digits_dense as d; m = d.load_trained(); p = d.split(*d.load_data());"
        "m.compile(loss='sparse_categorical_crossentropy', metrics=['accuracy']);"
        "print(len(p[2][1]), m.evaluate(*p[2], verbose=0)[1], 'layercli' in sys.modules)"
    )
    count, accuracy, loaded = run_python(code, cwd=here, path=here).split()
    assert (count, loaded) == ("180", "False")
    assert float(accuracy) == pytest.approx(digits_run.summary["test"]["accuracy"], abs=1e-6)


def test_script_of_an_averaged_model_trains_otherwise(digits_run, here, monkeypatch):
    verified = Verification(1e-5, ())  # other tests run scripts
    monkeypatch.setattr("layercli.engine.export.verify_script.verify_script", lambda *_, **__: verified)
    shutil.copytree(digits_run.path, here / "ensemble")
    manifest = json.loads((here / "ensemble" / "manifest.json").read_text())
    (here / "ensemble" / "manifest.json").write_text(json.dumps({**manifest, "ensemble": {}}))
    [problem] = exported("ensemble", "-f", "python")["problems"]
    assert (problem["code"], problem["severity"]) == ("other-training", "warning")
    assert "layercli trained on its own fold" in problem["message"]


def test_script_export_copies_custom_layer_file(here):
    config = CONFIGS / "custom_layer.yaml"
    assert [code for code, _ in problems(invoke("export", config, "-f", "python", "--json"))] == [
        "trust-required"
    ]
    done = exported(config, "-f", "python", "--trust")
    assert sorted(path.name for path in here.iterdir()) == ["custom_layer.py", "simple_dense.py"]
    assert done["compared"]["largest_difference"] == 0
    assert "from simple_dense import SimpleDense\n" in (here / "custom_layer.py").read_text()


def test_script_export_copies_data_file_and_sets_dtype_policy(here):
    config, options = CONFIGS / "waves_python.yaml", ["-f", "python", "-o", "waves_model.py"]
    mixed = (here / "mixed.yaml").write_text(f"extends: {config}\nmodel: {{dtype: mixed_float16}}\n")
    assert mixed
    untrusted = invoke("export", "mixed.yaml", *options, "--json")
    assert [code for code, _ in problems(untrusted)] == ["trust-required"]
    done = exported("mixed.yaml", *options, "--trust")
    assert done["also"] == ["waves.py"]
    assert done["tolerance"] == 1e-2
    assert done["compared"]["largest_difference"] < 1e-3
    text = (here / "waves_model.py").read_text()
    assert "from waves import make\n" in text
    assert '\nkeras.config.set_dtype_policy("mixed_float16")\n' in text


def test_wrong_script_is_not_written(digits_run, here, monkeypatch):
    from layercli.workflows import export_script

    honest = export_script.write_script
    monkeypatch.setattr(
        export_script, "write_script", lambda *args: honest(*args).replace("Dense(10", "Dense(11")
    )
    result = invoke("export", digits_run.path, "-f", "python", "--json")
    assert [code for code, _ in problems(result)] == ["export-failed"]
    assert "kernel` has shape (64, 11), expected (64, 10)" in result.stdout
    assert list(here.iterdir()) == []


def test_first_differing_layer_of_a_script_is_reported(here, monkeypatch):
    from layercli.workflows import export_script

    honest = export_script.write_script
    layers = [
        {"type": "Dense", "units": 3},
        {"type": "Dense", "name": "wrong", "units": 2, "activation": "relu"},
        "Flatten",
    ]
    (here / "c.yaml").write_text(yaml.safe_dump({"model": {"input": [4], "layers": layers}}))
    monkeypatch.setattr(
        export_script, "write_script", lambda *args: honest(*args).replace('"relu"', '"tanh"')
    )
    result = invoke("export", "c.yaml", "-f", "python", "--json")
    [problem] = json.loads(result.stdout)["problems"]
    assert (problem["code"], problem["path"]) == ("export-differs", "model.layers[1]")
    assert "The first layer that differs is `wrong` (Dense)" in problem["message"]
    # The worst case is named: tanh of large numbers is 1.
    assert " differ from the original by 1.0e+00 of the largest output" in problem["message"]
    assert [path.name for path in here.iterdir()] == ["c.yaml"]


@pytest.mark.usefixtures("here")
def test_config_can_only_be_exported_as_a_script():
    config = CONFIGS / "digits_dense.yaml"
    for options in (["python", "--weights"], ["onnx"]):
        result = invoke("export", config, "--json", "-f", *options)
        assert [code for code, _ in problems(result)] == ["run-directory"]

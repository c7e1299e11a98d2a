"""From a config or a table to a model that runs without layercli, compared with ``predict``.

    python benchmarks/export_chain.py                           # all example configs
    python benchmarks/export_chain.py --tables FOLDER           # and tables: files of TABLES in a folder
    python benchmarks/export_chain.py --only iris_csv titanic   # some of them

Each table goes through ``init``; then each config through ``train`` (one epoch), ``export`` in every format, and a run of
the result in TensorFlow, onnxruntime, the LiteRT interpreter, Keras or the script. Raw rows of tables are prepared as the
description of the export says; in every second one a fifth of the values are blanked. Examples of other data are the test
set as the script reads it. The figures are the largest difference from ``predict``, as a part of the largest output.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.exported_model import (
    encode_texts,
    prepare_columns,
    prepare_inputs,
    read_description,
    run_litert,
    run_onnx,
    run_saved_model,
)
from tests.running import CONFIGS, invoke

TABLES = {
    "adult-train.csv": None,
    "banknote_authentication.csv": None,
    "bike_sharing.csv": "cnt",
    "daily-min-temperatures.csv": None,
    "housing.csv": "price",
    "pollution.csv": "pm2.5",
    "telco.csv": "Churn",
    "titanic.csv": "survived",
}
"""File -> the target that init is given; None: the one that it finds."""
FORMATS = ("saved_model", "onnx", "litert", "keras", "python")
SUFFIXES = {"saved_model": "", "onnx": ".onnx", "litert": ".tflite", "keras": ".keras", "python": ".py"}
ROWS = 60


def run(*arguments):
    """Run a command that must succeed."""
    result = invoke(*arguments)
    if result.exit_code != 0:
        raise RuntimeError(f"layercli {' '.join(map(str, arguments[:3]))}: {result.output.strip()[:600]}")
    return result


def prepare_table(source, target, folder):
    """Write a config for a table with ``init``."""
    shutil.copy(source, folder / source.name)
    options = ["--target", target] if target else []
    run("init", folder / source.name, *options, "--output", folder / "config.yaml")
    return folder / "config.yaml"


def train(config, folder):
    """Train for one epoch and return the run's directory."""
    rundir = folder / "run"
    run("train", config, "--set", "train.epochs=1", "--run-dir", rundir, "--trust", "--json")
    return rundir


def read_rows(config, document):
    """Return raw rows of the config's table as texts without the target, some of them blanked; None for other data."""
    data = document["data"]
    if data["type"] not in ("csv", "parquet", "text") or (data["type"] == "text" and "column" not in data):
        return None
    path = sorted(config.parent.glob(data["path"]))[0]
    if path.suffix == ".parquet":
        from pyarrow import parquet

        table = parquet.read_table(path).slice(0, ROWS).to_pylist()
        rows = [{name: "" if value is None else str(value) for name, value in row.items()} for row in table]
    else:
        import gzip

        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding=data.get("encoding", "utf-8-sig"), newline="") as file:
            reader = csv.DictReader(
                file, data.get("columns"), delimiter=data.get("separator", ","), skipinitialspace=True
            )
            count = ROWS + (data.get("windows") or {}).get("length", 0)
            rows = [row for row, _ in zip(reader, range(count), strict=False)]
    targets = data["target"] if isinstance(data["target"], list) else [data["target"]]
    windows = data.get("windows")
    rows = [{name: text for name, text in row.items() if windows or name not in targets} for row in rows]
    by = (windows or {}).get("by") or []
    by = [by] if isinstance(by, str) else by
    kept = {*by, (windows or {}).get("time")}
    if windows and "missing" not in data:  # each window has a missing value, which is an error
        kept |= rows[0].keys()
    for index, row in enumerate(rows):
        for place, name in enumerate(row):
            if index % 2 and (index * 7 + place) % 5 == 0 and name not in kept:
                row[name] = ""
    for row in rows:
        row.update({name: rows[1][name] for name in by})
    return rows


def predict(rundir, folder, *source):
    """Return the columns of the predictions."""
    output = folder / "predicted.npz"
    run("predict", rundir, *source, "--output", output, "--trust")
    with np.load(output) as archive:
        return {name: archive[name] for name in archive.files}


def expected_output(predicted, prefix, units):
    """Return the values of an output of shape (rows, ..., units) from the columns of predictions."""
    if f"{prefix}class" in predicted or any(name.startswith(f"{prefix}probability_") for name in predicted):
        columns = [values for name, values in predicted.items() if name.startswith(f"{prefix}probability_")]
        return np.stack(columns[-1:] if units == 1 else columns, axis=-1)
    named = [values for name, values in predicted.items() if name.startswith(f"{prefix}prediction_")]
    return np.stack(named, axis=-1) if named else predicted[f"{prefix}prediction"]


def load_script(file):
    """Import an exported script."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))
    spec.loader.exec_module(module)
    sys.path.remove(str(file.parent))
    return module


def read_test_set(module):
    """Return the inputs of the script's test set in the order of the data, by the code of its ``main``."""

    class StopMainError(Exception):
        pass

    found = {}

    def stop(*_arguments):
        frame = sys._getframe(1)
        found.update(frame.f_locals)
        raise StopMainError

    module.build_model, original = stop, module.build_model
    try:
        module.main()
    except StopMainError:
        pass
    finally:
        module.build_model = original
    arrays = found["x_test"]
    if hasattr(module, "make_windows"):  # they are in the order of their series and times
        return arrays if isinstance(arrays, dict) else np.asarray(arrays)
    x, *others = module.load_data()
    rows = np.arange(len(next(iter(x.values())) if isinstance(x, dict) else x))
    parts = module.split(dict.fromkeys(x, rows) if isinstance(x, dict) else rows, *others)
    test_rows = parts[2][0]
    order = np.argsort(next(iter(test_rows.values())) if isinstance(x, dict) else test_rows)
    if isinstance(arrays, dict):
        return {name: np.asarray(array)[order] for name, array in arrays.items()}
    return np.asarray(arrays)[order]


def sort_windows(module, windows, predicted):
    """Return the predictions of sequences in the order of the script: by series and time."""
    table = module.read_table(module.DATA)
    by = windows.get("by") or []
    columns = [table[name].to_pylist() for name in ([by] if isinstance(by, str) else by)]
    names = list(zip(*columns, strict=True)) or [()] * len(table)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    times = table[windows["time"]].to_pylist() if "time" in windows else list(range(len(table)))
    rows = predicted["row"] - 1
    order = sorted(range(len(rows)), key=lambda index: (numbers[names[rows[index]]], times[rows[index]]))
    return {name: array[order] for name, array in predicted.items()}


def run_script(module, x):
    """Return the outputs of the script's trained model."""
    import keras

    outputs = module.load_trained().predict(to_tensors(x), verbose=0)
    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


def to_tensors(x):
    """Return inputs with texts as tensors, which Keras requires."""
    import tensorflow as tf

    if isinstance(x, dict):
        return {name: to_tensors(array) for name, array in x.items()}
    return tf.constant(x.tolist()) if x.dtype.kind in "OSU" else x


def run_keras(file, inputs, code):
    """Return the outputs of a Keras file."""
    import keras
    import tensorflow as tf

    classes = {
        name: item
        for path in code
        for name, item in vars(load_script(path)).items()
        if isinstance(item, type) and issubclass(item, keras.layers.Layer)
    }
    model = keras.models.load_model(file, custom_objects=classes)
    tensors = {
        name: tf.constant(value.tolist() if value.dtype == object else value)
        for name, value in inputs.items()
    }
    arrays = [tensors.get(tensor.name, next(iter(tensors.values()))) for tensor in model.inputs]
    outputs = model(arrays if len(arrays) > 1 else arrays[0], training=False)
    return [np.asarray(keras.ops.convert_to_numpy(output)) for output in keras.tree.flatten(outputs)]


def difference(predicted, outputs, titles):
    """Return the largest difference of outputs from predictions, as a part of the largest output."""
    errors = predicted.get("error")
    kept = slice(None) if errors is None else np.array([not text for text in errors.tolist()])
    largest = 0.0
    for title, output in zip(titles, outputs, strict=True):
        prefix = f"{title}_" if len(titles) > 1 else ""
        expected = expected_output(predicted, prefix, output.shape[-1]).astype(float)
        output = output.astype(float)
        if len(output) != len(expected):
            raise RuntimeError(f"{len(output)} rows, expected {len(expected)}")
        expected, output = expected[kept], output[kept].reshape(expected[kept].shape)
        if not len(output):
            raise RuntimeError("no row has a prediction")
        largest = max(largest, float(np.abs(output - expected).max() / np.abs(expected).max()))
    return largest


def list_outputs(found, description, form):
    """Return the arrays of named outputs in the model's order, and their titles."""
    if form in ("saved_model", "litert"):
        count = sum(f"output_{index}" in found for index in range(len(found)))
        arrays = [found[f"output_{index}"] for index in range(count)]
    else:
        arrays = list(found.values())
    titles = [entry["output"] for entry in description["outputs"]] or [None] * len(arrays)
    return arrays, titles


def run_format(form, path, rows, x, code):
    """Return the outputs of an exported file for raw rows, or for the inputs ``x`` of other data; and their titles."""
    description = read_description(path)
    if rows is not None and form == "saved_model" and "signatures" in description:
        found = run_saved_model(path, prepare_columns(description, rows), "columns")
        return *list_outputs(found, description, form), found
    if rows is not None:
        inputs = prepare_inputs(description, rows)
    else:
        inputs = x if isinstance(x, dict) else {None: x}
        entries = {entry["name"]: entry for entry in description["inputs"]}
        names = entries if len(inputs) == 1 and entries else inputs
        inputs = dict(zip(names, inputs.values(), strict=True))
        inputs = {
            name: encode_texts(entries.get(name, {"dtype": "float32"}), np.asarray(values))
            for name, values in inputs.items()
        }
    if form == "saved_model":
        inputs = name_single(inputs, path, form)
        found = run_saved_model(path, inputs, "serving_default")
    elif form == "onnx":
        found = run_onnx(path, name_single(inputs, path, form))
    elif form == "litert":
        found = run_litert(path, name_single(inputs, path, form))
    else:
        outputs = run_keras(path, inputs, code)
        titles = [entry["output"] for entry in description["outputs"]] or [None] * len(outputs)
        return outputs, titles, {}
    return *list_outputs(found, description, form), found


def name_single(inputs, path, form):
    """Return the inputs with the name that the file has for its only one, if it is not known."""
    if None not in inputs:
        return inputs
    if form == "onnx":
        import onnxruntime

        [name] = [value.name for value in onnxruntime.InferenceSession(str(path)).get_inputs()]
    elif form == "litert":
        from ai_edge_litert.interpreter import Interpreter

        [name] = Interpreter(model_path=str(path)).get_signature_runner().get_input_details()
    else:
        import tensorflow as tf

        signature = tf.saved_model.load(str(path)).signatures["serving_default"]
        [name] = signature.structured_input_signature[1]
    return {name: inputs[None]}


def run_chain(config, folder):
    """Return the difference of each format, or what went wrong; and the number of rows compared."""
    rundir = train(config, folder)
    document = yaml.safe_load(config.read_text())
    rows = read_rows(config, document)
    results, files, code = {}, {}, []
    for form in FORMATS:
        target = folder / f"out_{form}" / f"model{SUFFIXES[form]}"
        target.parent.mkdir()
        options = ["--weights"] if form == "python" else []
        try:
            done = json.loads(
                run("export", rundir, "-f", form, "-o", target, *options, "--trust", "--json").stdout
            )
            files[form] = target
            code = [Path(path) for path in done["also"] if path.endswith(".py")] if form == "keras" else code
        except Exception as error:
            results[form] = f"export: {error}"
    test, x = {}, None
    if "python" in files:
        try:
            test = predict(rundir, folder, "--part", "test")
            module = load_script(files["python"])
            x = read_test_set(module)
            outputs = run_script(module, x)
            if document["data"].get("windows"):
                test = sort_windows(module, document["data"]["windows"], test)
            titles = list(next(read_description(file) for file in files.values())["outputs"])
            titles = [entry["output"] for entry in titles] or [None] * len(outputs)
            results["python"] = difference(test, outputs, titles)
        except Exception as error:
            print(traceback.format_exc()[-1500:], file=sys.stderr)
            results["python"] = f"run: {str(error)[:300]!r}"
    if rows is not None:
        raw = folder / "raw.csv"
        with raw.open("w", newline="", encoding=document["data"].get("encoding", "utf-8")) as file:
            writer = csv.DictWriter(file, rows[0], delimiter=document["data"].get("separator", ","))
            if "columns" not in document["data"]:
                writer.writeheader()
            writer.writerows(rows)
        name = raw
        if config.parent.joinpath(document["data"]["path"]).suffix == ".parquet":
            name = folder / "raw.parquet"
            import pyarrow as pa
            from pyarrow import parquet
            from pyarrow.csv import read_csv

            table = read_csv(raw)
            del pa
            parquet.write_table(table, name)
        test = predict(rundir, folder, "--input", name)
    for form in FORMATS[:-1]:
        if form not in files:
            continue
        try:
            if rows is None and x is None:
                raise RuntimeError("no examples: the script failed")
            outputs, titles, found = run_format(form, files[form], rows, x, code)
            results[form] = difference(test, outputs, titles)
            if "output_0_class" in found and "class" in test:
                kept = [not text for text in test["error"].tolist()]
                texts = [text.decode() for text in found["output_0_class"][kept].tolist()]
                assert texts == [str(value) for value in test["class"][kept].tolist()], "other classes"
        except Exception as error:
            print(traceback.format_exc()[-1500:], file=sys.stderr)
            results[form] = f"run: {str(error)[:300]!r}"
    errors = test.get("error")
    count = 0 if errors is None else sum(not text for text in errors.tolist())
    return results, count


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=Path, help="A folder with the files of TABLES.")
    parser.add_argument("--only", nargs="+", help="Names of configs and tables, without suffix.")
    parser.add_argument("--output", type=Path, help="A JSON file for the results.")
    arguments = parser.parse_args()
    collected = {}
    with tempfile.TemporaryDirectory(prefix="chain-") as name:
        place = Path(name) / "configs"
        shutil.copytree(CONFIGS, place)
        subprocess.run([sys.executable, place / "make_data.py"], check=True, capture_output=True)
        sources = [(path.stem, path, None) for path in sorted(place.glob("*.yaml"))]
        if arguments.tables:
            tables = [(Path(file).stem, arguments.tables / file, target) for file, target in TABLES.items()]
            sources = [source for source in tables if source[1].exists()] + sources
        print(f"{'':26}{'rows':>5} " + "".join(f"{form:>12}" for form in FORMATS))
        for stem, path, target in sources:
            if arguments.only and stem not in arguments.only:
                continue
            folder = Path(name) / f"work-{stem}"
            folder.mkdir()
            started = time.perf_counter()
            try:
                is_table = path.suffix == ".csv"
                results, count = run_chain(prepare_table(path, target, folder) if is_table else path, folder)
            except Exception as error:
                print(traceback.format_exc()[-1500:], file=sys.stderr)
                results, count = dict.fromkeys(FORMATS, str(error)), 0
            shown = [
                f"{results[form]:.0e}" if isinstance(results[form], float) else "failed" for form in FORMATS
            ]
            print(f"{stem:26}{count:>5} " + "".join(f"{text:>12}" for text in shown), end="")
            print(f"  {time.perf_counter() - started:.0f} s", flush=True)
            for form, result in results.items():
                if not isinstance(result, float):
                    print(f"    {form}: {' '.join(result.split())[:200]}")
            collected[stem] = {"rows": count, **results}
            if arguments.output:
                arguments.output.write_text(json.dumps(collected, indent=1))


if __name__ == "__main__":
    main()

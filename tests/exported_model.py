"""Run exported models as someone without layercli would: with their descriptions, and plain runtimes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

_FORMATS = {
    "ymd": ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d"),
    "dmy": ("%d.%m.%Y %H:%M", "%d.%m.%Y", "%d/%m/%Y"),
    "mdy": ("%m/%d/%Y %H:%M", "%m/%d/%Y"),
    "time": ("%H:%M:%S", "%H:%M"),
}
_FEATURES = {
    "year": lambda date: date.year,
    "month": lambda date: date.month,
    "day": lambda date: date.day,
    "weekday": lambda date: date.weekday(),
    "hour": lambda date: date.hour,
    "minute": lambda date: date.minute,
    "elapsed": lambda date: (date - datetime(1970, 1, 1)).total_seconds() / 86400,
}
Row = Mapping[str, str]


def read_description(path: Path) -> dict[str, Any]:
    """Return the description next to an exported file; without one, inputs and outputs are plain arrays."""
    file = path.with_name(f"{path.name}.json")
    return json.loads(file.read_text()) if file.exists() else {"inputs": [], "outputs": []}


def prepare_columns(description: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Return the arguments of the signature ``columns`` of a SavedModel: texts as they are, numbers as floats."""
    texts, columns = description["texts"], description["signatures"]["columns"]
    return {
        entry["name"]: [row[entry["column"]] for row in rows]
        if entry["dtype"] == "string"
        else np.array([_read_number(row[entry["column"]], texts) for row in rows], entry["dtype"])
        for entry in columns
    }


def prepare_inputs(description: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Return the inputs of a file for raw rows, prepared as its description says."""
    return {
        entry["name"]: prepare_input(entry, description["texts"], rows) for entry in description["inputs"]
    }


def prepare_input(entry: Mapping[str, Any], texts: Mapping[str, Any], rows: Sequence[Row]) -> np.ndarray:
    """Return an input for raw rows; windows of them are all that are complete, one row later each."""
    columns = [[_read_value(row, column, texts) for row in rows] for column in entry["columns"]]
    values = np.stack([np.array(column, object) for column in columns], axis=1)
    if "window" in entry:
        count = entry["window"]["rows"]
        values = np.stack([values[first : first + count] for first in range(len(values) - count + 1)])
    return encode_texts(entry, values)


def encode_texts(entry: Mapping[str, Any], values: np.ndarray) -> np.ndarray:
    """Return an input for values that may be texts which the file does not take."""
    if "lookup" in entry:
        words, unknown = entry["lookup"]["words"], entry["lookup"]["unknown"]
        values = np.vectorize(lambda text: words.index(text) if text in words else unknown)(values)
    if "layer" in entry:
        import keras

        layer = getattr(keras.layers, entry["layer"]["type"])(**entry["layer"]["arguments"])
        layer.set_vocabulary(entry["layer"]["words"])
        import tensorflow as tf

        values = np.asarray(layer(tf.constant(values.tolist())))
    return values if entry["dtype"] == "string" else values.astype(entry["dtype"])


def _read_value(row: Row, column: Mapping[str, Any], texts: Mapping[str, Any]) -> float | str:
    text = row[column.get("source", column["column"])].strip()
    if text in texts["missing"]:
        return np.nan if column["missing"] is None else column["missing"]
    match column["type"]:
        case "text":
            return text
        case "boolean" if text.lower() in texts["true"] + texts["false"]:
            return float(text.lower() in texts["true"])
        case "date":
            return _read_date(text, column)
    return _read_number(text, texts)


def _read_number(text: str, texts: Mapping[str, Any]) -> float:
    text = text.strip()
    if text in texts["missing"]:
        return np.nan
    return float(text.replace(texts["thousands"] or "\0", "").replace(texts["decimal"], "."))


def _read_date(text: str, column: Mapping[str, Any]) -> float:
    if column["order"] in ("seconds", "milliseconds"):
        date = datetime(1970, 1, 1) + timedelta(
            seconds=float(text) / (1 if column["order"] == "seconds" else 1000)
        )
    else:
        found = []
        for form in _FORMATS[column["order"]]:
            try:
                found.append(datetime.strptime(text, form))
            except ValueError:
                continue
        date = found[0]
    return _FEATURES[column["feature"]](date) - (column["first_day"] or 0)


def run_saved_model(path: Path, arguments: Mapping[str, Any], signature: str) -> dict[str, np.ndarray]:
    """Return the outputs of TensorFlow by name."""
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures[signature]
    tensors = {
        name: tf.constant(value.tolist() if getattr(value, "dtype", None) == "O" else value)
        for name, value in arguments.items()
    }
    return {name: value.numpy() for name, value in serve(**tensors).items()}


def run_onnx(path: Path, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the outputs of onnxruntime by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(inputs)), strict=True))


def run_litert(path: Path, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the outputs of the LiteRT interpreter by name."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=str(path)).get_signature_runner()(**inputs)

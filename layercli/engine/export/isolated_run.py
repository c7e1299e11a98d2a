"""Run an exported model in a new Python process without layercli."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from layercli.data.types import Array
from layercli.engine.export.options import InputBatch

_TIMEOUT_SECONDS = 3600

_RUNNER_SCRIPT = """
import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.dont_write_bytecode = True
import numpy as np

kind, target, folder, *modules = sys.argv[1:]
folder = Path(folder)


def import_file(path, location=None):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.append(str(Path(path).parent))  # last: no file next to it replaces an installed module
    module.__file__ = location or module.__file__
    exec(spec.loader.get_code(spec.name), module.__dict__)
    return module


class MainStoppedError(Exception):
    pass


def read_sets(script):
    # The arrays of each set, by their names in the script's main.
    found = {}

    def stop():
        found.update(sys._getframe(1).f_locals)
        raise MainStoppedError

    build_model, script.build_model = script.build_model, stop
    try:
        script.main()
    except MainStoppedError:
        pass
    script.build_model = build_model
    return found


def compare_sets(script):
    # Exit if the script's sets differ from those of the training.
    found = read_sets(script)
    with np.load(folder / "sets.npz") as archive:
        for key in archive.files:
            name, _, part = key.partition("/")
            array = found[name][part] if isinstance(found[name], dict) else found[name]
            array, expected = np.asarray(array), archive[key]
            title = f"`{name}[{part!r}]`" if isinstance(found[name], dict) else f"`{name}`"
            if array.shape != expected.shape:
                sys.exit(f"{title} has shape {array.shape}, expected {expected.shape}")
            if expected.dtype.kind in "US":
                texts = [text.decode() if isinstance(text, bytes) else text for text in array.ravel().tolist()]
                is_equal = np.array(texts, dtype=str).reshape(array.shape) == expected
            else:
                scale = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
                limit = 1e-5 * float(scale) if expected.dtype.kind == "f" else 0
                numbers, expected = array.astype(float), expected.astype(float)
                is_equal = (np.abs(numbers - expected) <= limit) | (np.isnan(numbers) & np.isnan(expected))
            rows = np.flatnonzero(~is_equal.reshape(len(expected), -1).all(axis=1))
            if len(rows):
                sys.exit(f"{title} differs in {len(rows)} of {len(expected)} rows; the first is row {rows[0] + 1}")


# Optional packages that Keras imports if they are installed; they take a third of its startup time.
absent = [name for name in ("sklearn", "scipy", "pandas", "matplotlib") if name not in sys.modules]
sys.modules.update(dict.fromkeys(absent))
import keras
import tensorflow as tf

for name in absent:
    del sys.modules[name]

classes = {}
for path in modules:
    for name, item in vars(import_file(path)).items():
        if isinstance(item, type) and issubclass(item, keras.layers.Layer):
            classes[name] = item
if kind == "keras":
    model = keras.models.load_model(target, custom_objects=classes)
else:
    script = import_file(target, json.loads((folder / "location.json").read_text()))
    for name in ("WEIGHTS", "LEARNED"):
        if hasattr(script, name):
            setattr(script, name, Path(target).parent / getattr(script, name).name)
    if (folder / "sets.npz").exists():
        (folder / "stage").write_text("data")
        compare_sets(script)
    (folder / "stage").write_text("model")
    model = script.build_model()
    with np.load(folder / "weights.npz") as archive:
        weights = [archive[name] for name in archive.files]
    trained = json.loads((folder / "trained.json").read_text())
    for path, weight, variable in zip(trained["paths"], weights, model.weights):
        if weight.shape != tuple(variable.shape):
            sys.exit(f"`{path}` has shape {tuple(variable.shape)}, expected {weight.shape}")
    if len(model.weights) != len(weights):
        sys.exit(f"the model has {len(model.weights)} weights, expected {len(weights)}")
    for name, vocabulary in trained["learned"].items():
        layer = model.get_layer(name)
        if hasattr(layer, "bin_boundaries"):
            layer.bin_boundaries = vocabulary
        elif isinstance(vocabulary, dict):
            layer.set_vocabulary(**vocabulary)
        else:
            layer.set_vocabulary(vocabulary)
    model.set_weights(weights)
    if json.loads((folder / "inputs.json").read_text()):  # else a lookup has nothing to save yet
        saved = getattr(script, "WEIGHTS", folder / "model.weights.h5")
        model.save_weights(saved)
        if hasattr(script, "load_trained"):
            model = script.load_trained()
        else:
            model.load_weights(saved)  # some layers finish their state only when weights are loaded


if kind == "layers":
    outputs = []
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            try:
                outputs.append(keras.tree.flatten(layer.output)[0])
            except (AttributeError, ValueError):
                pass  # the layer is called several times
    model = keras.Model(model.inputs, outputs)


def to_tensor(array):
    return tf.constant(array.tolist() if array.dtype.kind == "U" else array)  # Keras does not mix tensors and arrays


index = json.loads((folder / "inputs.json").read_text())
with np.load(folder / "inputs.npz") as archive:
    outputs = {}
    for number, names in enumerate(index):
        batch = {name: to_tensor(archive[f"{number}_{place}"]) for place, name in enumerate(names)}
        is_named = all(tensor.name in batch for tensor in model.inputs)
        tensors = [batch[tensor.name] for tensor in model.inputs] if is_named else list(batch.values())
        result = model(tensors if len(tensors) > 1 else tensors[0], training=False)
        for place, output in enumerate(keras.tree.flatten(result)):
            if keras.backend.standardize_dtype(output.dtype) == "string":
                outputs[f"{number}_{place}"] = output.numpy().astype("S")
            else:
                outputs[f"{number}_{place}"] = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
np.savez(folder / "outputs.npz", **outputs)
assert not any(name.partition(".")[0] == "layercli" for name in sys.modules)
"""


class IsolatedRunError(Exception):
    """The process failed; the message is the last line of its error output."""

    def __init__(self, message: str, stage: str = "model") -> None:
        super().__init__(message)
        self.stage = stage
        """What failed: "data" or "model"."""


@dataclass(frozen=True, slots=True)
class TrainedState:
    """The trained state that a script's model gets before it runs."""

    weights: list[Array]
    vocabularies: dict[str, list[str] | list[int]]
    """Vocabularies by layer; they are not part of the weights."""
    weight_paths: list[str] = field(default_factory=list)
    """The path of each weight."""


@dataclass(frozen=True, slots=True)
class ScriptCheck:
    """The data that a script must read."""

    location: Path
    """Where the script will be: its data is relative to it."""
    sets: Mapping[str, Array] = field(default_factory=dict)
    """The arrays of each set of examples: "x_train", or "x_train/name" for several inputs."""


def run_isolated(
    kind: str,
    output_path: Path,
    batches: Sequence[InputBatch],
    modules: Sequence[Path] = (),
    *,
    state: TrainedState | None = None,
    script: ScriptCheck | None = None,
) -> list[list[Array]]:
    """Return the outputs of a Keras file, or of a script's ``build_model()``, for each batch.

    ``kind`` is ``keras``, ``script`` or ``layers``; the last returns the output of each layer of a script's model.
    If a script defines ``WEIGHTS``, its weights are saved to a file of that name next to it and its ``load_trained()`` is
    called. ``script`` says what a script must read.

    Raises:
        IsolatedRunError: the model cannot be loaded or run.
    """
    with tempfile.TemporaryDirectory(prefix="layercli-") as name:
        folder = Path(name)
        _write_inputs(folder, batches, state or TrainedState([], {}))
        location = None if script is None else str(script.location.absolute())
        (folder / "location.json").write_text(json.dumps(location), encoding="utf-8")
        if script is not None and script.sets:
            np.savez(folder / "sets.npz", **_to_savable(script.sets))  # type: ignore[arg-type]  # as below
        command = [sys.executable, "-I", "-c", _RUNNER_SCRIPT, kind, str(output_path.absolute()), str(folder)]
        command += [str(module.absolute()) for module in modules]
        finished = subprocess.run(  # noqa: S603 - Python itself with layercli's own files
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
            cwd=folder,
            env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        )
        if finished.returncode != 0:
            lines = [line for line in finished.stderr.splitlines() if line.strip()]
            stage = folder / "stage"
            raise IsolatedRunError(
                lines[-1].strip() if lines else f"the process exited with code {finished.returncode}",
                stage.read_text(encoding="utf-8") if stage.exists() else "model",
            )
        with np.load(folder / "outputs.npz") as archive:
            arrays: dict[str, Any] = dict(archive)
    results: list[list[Array]] = [[] for _ in batches]
    for key in sorted(arrays, key=lambda key: [int(part) for part in key.split("_")]):
        results[int(key.split("_")[0])].append(arrays[key])
    return results


def _write_inputs(folder: Path, batches: Sequence[InputBatch], state: TrainedState) -> None:
    index = [list(batch) for batch in batches]
    (folder / "inputs.json").write_text(json.dumps(index), encoding="utf-8")
    metadata = {"learned": state.vocabularies, "paths": state.weight_paths}
    (folder / "trained.json").write_text(json.dumps(metadata), encoding="utf-8")
    weights = {f"{place:06}": _to_numpy_dtype(weight) for place, weight in enumerate(state.weights)}
    np.savez(folder / "weights.npz", **weights)  # type: ignore[arg-type]  # as below
    arrays = {
        f"{number}_{place}": array
        for number, batch in enumerate(batches)
        for place, array in enumerate(batch.values())
    }
    np.savez(folder / "inputs.npz", **_to_savable(arrays))  # type: ignore[arg-type]  # the keys could shadow allow_pickle, but none does


def _to_savable(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {
        name: array.astype(str) if array.dtype.kind == "O" else _to_numpy_dtype(array)
        for name, array in arrays.items()
    }


def _to_numpy_dtype(array: Array) -> Array:
    """Return the array in a dtype that numpy can write; ``bfloat16`` becomes float32."""
    return array if array.dtype.kind in "biuf" and array.dtype.isbuiltin == 1 else array.astype(np.float32)

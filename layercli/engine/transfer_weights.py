"""Load weights from another model's file into layers of the same name; code in the file never runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.engine.assemble import AssembledModel
from layercli.engine.keras_errors import summarize_error
from layercli.engine.load_state import extract_weights
from layercli.engine.lora import keep_lora_updates
from layercli.errors import LayercliError
from layercli.graph.adaptable import should_adapt
from layercli.io.archives import WEIGHTS_FILE, Archive, check_hdf5
from layercli.layers.shapes import format_shape
from layercli.runs.open_run import max_weight_bytes
from layercli.schema.suggestions import list_names
from layercli.source.nodes import KeyPath, sanitize_text

WEIGHTS_PATH: KeyPath = ("model", "weights")
_VOCABULARY_FILE = "vocabulary.txt"
_MAX_VOCABULARY_BYTES = 1 << 28
_MAX_EXPANSION = 4
"""Most bytes of weights for each byte of a file."""
_SEED_GENERATOR = "seed_generator"
"""The state of a random number generator, which is not a weight."""


@dataclass(frozen=True, slots=True)
class WeightTransfer:
    """The result of a weight transfer, by layer name."""

    transferred: list[str]
    mismatched: dict[str, str]
    """Layers that keep their initial weights although the file has a layer of that name -> reason."""
    not_in_file: list[str]
    """Layers whose names are not in the file."""
    unused: list[str]
    """Layers of the file that are not in this model."""

    def as_json(self) -> dict[str, Any]:
        """Return the JSON value that ``build --json`` prints."""
        return {
            "taken": self.transferred,
            "refused": self.mismatched,
            "new": self.not_in_file,
            "left": self.unused,
        }


def transfer_weights(
    assembled: AssembledModel, valid: ValidConfig, file: Path, content: IO[bytes]
) -> WeightTransfer:
    """Load the weights of each layer that has the name and shapes of a layer in a ``.keras`` or ``.weights.h5`` file.

    ``content`` is the open file.

    Raises:
        LayercliError: the file cannot be read, no layer matches, or Keras cannot save the model before it is adapted.
    """
    import h5py

    model = assembled.model
    _require_storable(valid)
    with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
        own_weights, weights = Path(folder, "own.weights.h5"), Path(folder, WEIGHTS_FILE)
        model.save_weights(own_weights)
        vocabularies: dict[str, bytes] = {}
        try:
            archive = Archive(content) if file.suffix == ".keras" else None
            _extract_weights(archive, content, weights, max_weight_bytes(valid))
            with h5py.File(weights, "r") as source, h5py.File(own_weights, "r+") as target:
                result = _copy_weights(_group_by_layer(source), _group_by_layer(target))
                if archive is not None and (lookup_names := _lookup_names(valid)):
                    vocabularies = _read_vocabularies(archive, source, lookup_names)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            reason = sanitize_text(str(error) or type(error).__name__, limit=200).rstrip(".")
            message = f"Cannot read weights from {sanitize_text(str(file))}: {reason}."
            hint = getattr(error, "hint", None) or _FILE_HINT
            if hint != _FILE_HINT and file.suffix == ".keras":
                hint = 'Save the model again with Keras: `keras.saving.load_model("old.keras").save("new.keras")`.'
            raise LayercliError(valid.make_problem(WEIGHTS_PATH, "unreadable-file", message, hint)) from None
        _transfer_vocabularies(assembled, valid, vocabularies, result)
        if not result.transferred:
            reasons = "; ".join(f"`{name}`: {why}" for name, why in list(result.mismatched.items())[:3])
            names = list_names(result.unused)
            message = f"No layer matches the weights in {sanitize_text(str(file))}" + (
                f" ({reasons})." if reasons else "."
            )
            hint = f"Weights are matched by layer name; the file has {names}." if names else _FILE_HINT
            raise LayercliError(valid.make_problem(WEIGHTS_PATH, "no-weights", message, hint))
        with keep_lora_updates(model):
            model.load_weights(own_weights)
    assembled.transferred.update(result.transferred)
    return result


def _require_storable(valid: ValidConfig) -> None:
    """Refuse layers that Keras cannot save before they are adapted."""
    problems = [
        valid.make_problem(
            node.path,
            "no-weights",
            f"`{node.name}` has `output_mode: tf_idf` and no vocabulary yet; Keras cannot save the weights of such a model.",
            "Use a different `output_mode`, such as `multi_hot`, or remove `model.weights`.",
        )
        for node in valid.graph.nodes
        if should_adapt(node) and getattr(node.layer, "output_mode", None) == "tf_idf"
    ]
    if problems:
        raise LayercliError(problems)


_LOOKUP_LAYERS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})


def _lookup_names(valid: ValidConfig) -> set[str]:
    """Return the names of the lookups that learn their vocabulary."""
    return {
        node.name
        for node in valid.graph.nodes
        if should_adapt(node) and node.layer.type_name() in _LOOKUP_LAYERS
    }


def _transfer_vocabularies(
    assembled: AssembledModel, valid: ValidConfig, vocabularies: dict[str, bytes], result: WeightTransfer
) -> None:
    """Load the vocabulary of each lookup that has the name of one in the file; the file stores it next to the weights."""
    lookup_names = _lookup_names(valid)
    for name in sorted(lookup_names):
        if name not in vocabularies:
            result.not_in_file.append(name)
        elif (why := _load_vocabulary(assembled.layers[name], vocabularies[name])) is None:
            result.transferred.append(name)
        else:
            result.mismatched[name] = why
    result.unused.extend(sorted(vocabularies.keys() - lookup_names - set(result.unused)))


def _read_vocabularies(archive: Archive, weights: Any, wanted: set[str]) -> dict[str, bytes]:
    """Return each layer's vocabulary in the file; empty for a layer that is not ``wanted``."""
    members = set(archive.names)
    found = {}
    for key, group in weights["layers"].items():
        member = f"assets/layers/{key}/{_VOCABULARY_FILE}"
        if "vars" in group and member in members:
            name = str(group["vars"].attrs["name"])
            found[name] = archive.read(member, _MAX_VOCABULARY_BYTES) if name in wanted else b""
    return found


def _load_vocabulary(layer: Any, vocabulary: bytes) -> str | None:
    """Load a vocabulary into a lookup; return the reason if the lookup refuses it, else None."""
    with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
        Path(folder, _VOCABULARY_FILE).write_bytes(vocabulary)
        try:
            layer.load_assets(folder)
        except (ValueError, AttributeError, tf.errors.OpError) as error:
            return summarize_error(error).rstrip(".")
    return None


_FILE_HINT = "Use a run, or a file that Keras saved: `.keras` or `.weights.h5`."


def _extract_weights(archive: Archive | None, content: IO[bytes], target: Path, max_bytes: int) -> None:
    """Write the weights of a file to an HDF5 file, and check it; the other model may be larger than this one."""
    max_bytes = max(max_bytes, _MAX_EXPANSION * content.seek(0, 2))
    if archive is not None:
        extract_weights(archive, target, max_bytes)
        return
    content.seek(0)
    with target.open("xb") as file:
        shutil.copyfileobj(content, file)
    check_hdf5(target, max_bytes)


def _group_by_layer(weights: Any) -> dict[str, dict[str, Any]]:
    """Return the arrays of each layer by path; layers without arrays are skipped."""
    arrays_by_layer = {}
    for group in weights["layers"].values():
        arrays = dict(_walk_arrays(group, ""))
        if arrays:
            name = group["vars"].attrs["name"]
            arrays_by_layer[str(name)] = arrays
    return arrays_by_layer


def _walk_arrays(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    import h5py

    for name in group:
        if name == _SEED_GENERATOR:
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _walk_arrays(item, f"{path}{name}/")
        else:
            yield f"{path}{name}", item


def _copy_weights(source: dict[str, dict[str, Any]], target: dict[str, dict[str, Any]]) -> WeightTransfer:
    """Overwrite the arrays of each layer with those of the same layer name, if the shapes match."""
    transferred, mismatched = [], {}
    for name, arrays in target.items():
        if name not in source:
            continue
        why = _mismatch_reason(source[name], arrays)
        if why is None:
            for weight_path, array in arrays.items():
                array[...] = np.asarray(source[name][weight_path])
            transferred.append(name)
        else:
            mismatched[name] = why
    return WeightTransfer(
        transferred,
        mismatched,
        [name for name in target if name not in source],
        [name for name in source if name not in target],
    )


def _mismatch_reason(source: dict[str, Any], target: dict[str, Any]) -> str | None:
    """Return why a layer's weights do not match, or None if they do."""
    if source.keys() != target.keys():
        return (
            f"the layer has {len(target)} weights and the file has {len(source)}, or the layer types differ"
        )
    for weight_path, array in target.items():
        other = source[weight_path]
        if array.shape != other.shape:
            return (
                f"a weight has shape {format_shape(array.shape)}, but {format_shape(other.shape)} in the file"
            )
        if array.dtype.kind != other.dtype.kind and other.dtype.kind not in "fiuV":
            return f"a weight has dtype {array.dtype}, but {other.dtype} in the file"
    return None

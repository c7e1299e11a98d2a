"""Weights from another model's file, layer by layer, by name; nothing in the file is ever run."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.engine.assemble import Assembled
from layercli.engine.keras_errors import said
from layercli.errors import LayercliError
from layercli.graph.adaptable import should_adapt
from layercli.layers.shapes import format_shape
from layercli.source.nodes import KeyPath, sanitize_text

KEY: KeyPath = ("model", "weights")
_INSIDE = "model.weights.h5"
"""Where a ``.keras`` file keeps its weights."""
_VOCABULARY = "vocabulary.txt"
_MOST_BYTES = 1 << 28
"""Of a vocabulary."""
_RANDOM = "seed_generator"
"""State of random numbers, which is no weight."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What came of it, by names of layers."""

    taken: list[str]
    refused: dict[str, str]
    """Layers that start anew although the file has one of that name -> why."""
    new: list[str]
    """Layers whose names the file does not have."""
    left: list[str]
    """Layers of the file that this model does not have."""

    def as_json(self) -> dict[str, Any]:
        """As ``build --json`` prints it."""
        return {"taken": self.taken, "refused": self.refused, "new": self.new, "left": self.left}


def transfer(assembled: Assembled, valid: ValidConfig, file: Path) -> Transfer:
    """Take over the weights of each layer that has the name and the shapes of one in a ``.keras`` or ``.weights.h5`` file.

    Raises:
        LayercliError: the file cannot be read, no layer fits, or the model cannot be kept before it has learned.
    """
    import h5py

    model = assembled.model
    _check(valid)
    with tempfile.TemporaryDirectory(prefix="layercli-") as place:
        own = Path(place, "own.weights.h5")
        model.save_weights(own)
        try:
            with _weights_of(file) as source, h5py.File(own, "r+") as target:
                found = _copy(_by_layer(source), _by_layer(target))
        except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            said = sanitize_text(str(error) or type(error).__name__, limit=200).rstrip(".")
            message = f"{sanitize_text(str(file))} holds no weights that can be read: {said}."
            raise LayercliError(valid.make_problem(KEY, "unreadable-file", message, _EXPECTED)) from None
        _take_vocabularies(assembled, valid, file, found)
        if not found.taken:
            reasons = "; ".join(f"`{name}`: {why}" for name, why in list(found.refused.items())[:3])
            names = ", ".join(f"`{sanitize_text(name, limit=60)}`" for name in found.left[:8])
            message = f"No layer can take weights from {sanitize_text(str(file))}" + (
                f" ({reasons})." if reasons else "."
            )
            hint = f"Weights go by the names of layers; the file has {names}." if names else _EXPECTED
            raise LayercliError(valid.make_problem(KEY, "no-weights", message, hint))
        model.load_weights(own)
    assembled.taken_over.update(found.taken)
    return found


def _check(valid: ValidConfig) -> None:
    """Refuse what Keras cannot hold while it has not learned."""
    problems = [
        valid.make_problem(
            node.path,
            "no-weights",
            f"`{node.name}` has nothing yet for `output_mode: tf_idf`, and Keras keeps no weights of such a model.",
            "Use another `output_mode`, such as `multi_hot`, or leave out `model.weights`.",
        )
        for node in valid.graph.nodes
        if should_adapt(node) and getattr(node.layer, "output_mode", None) == "tf_idf"
    ]
    if problems:
        raise LayercliError(problems)


_LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})


def _take_vocabularies(assembled: Assembled, valid: ValidConfig, file: Path, found: Transfer) -> None:
    """Take over what each lookup has learned that has the name of one in the file, which keeps it beside the weights."""
    learners = {
        node.name for node in valid.graph.nodes if should_adapt(node) and node.layer.type_name() in _LOOKUPS
    }
    places = _vocabulary_places(file) if learners else {}
    for name in sorted(learners):
        if name not in places:
            found.new.append(name)
        elif (why := _refusal(assembled.layers[name], file, places[name])) is None:
            found.taken.append(name)
        else:
            found.refused[name] = why
    found.left.extend(sorted(places.keys() - learners - set(found.left)))


def _vocabulary_places(file: Path) -> dict[str, str]:
    """Where in a file the vocabulary of each layer lies, by its name."""
    if file.suffix != ".keras":
        return {}
    with _weights_of(file) as weights, zipfile.ZipFile(file) as archive:
        names = {
            key: str(group["vars"].attrs["name"])
            for key, group in weights["layers"].items()
            if "vars" in group
        }
        places = {name: f"assets/layers/{key}/{_VOCABULARY}" for key, name in names.items()}
        held = {entry.filename for entry in archive.infolist() if entry.file_size <= _MOST_BYTES}
    return {name: place for name, place in places.items() if place in held}


def _refusal(layer: Any, file: Path, place: str) -> str | None:
    """Give a lookup the vocabulary; why it does not take it, if it does not."""
    with tempfile.TemporaryDirectory(prefix="layercli-") as folder, zipfile.ZipFile(file) as archive:
        Path(folder, _VOCABULARY).write_bytes(archive.read(place))
        try:
            layer.load_assets(folder)
        except (ValueError, AttributeError, tf.errors.OpError) as error:
            return said(error).rstrip(".")
    return None


_EXPECTED = "It must be a run, or a file that Keras saved: `.keras` or `.weights.h5`."


@contextmanager
def _weights_of(file: Path) -> Iterator[Any]:
    """The weights of a model's file, as HDF5."""
    import h5py

    if file.suffix == ".keras":
        with (
            zipfile.ZipFile(file) as archive,
            archive.open(_INSIDE) as inside,
            h5py.File(inside, "r") as weights,
        ):
            yield weights
    else:
        with h5py.File(file, "r") as weights:
            yield weights


def _by_layer(weights: Any) -> dict[str, dict[str, Any]]:
    """The arrays of each layer by their places in it; layers without any are left out."""
    found = {}
    for group in weights["layers"].values():
        arrays = dict(_arrays(group, ""))
        if arrays:
            name = group["vars"].attrs["name"]
            found[str(name)] = arrays
    return found


def _arrays(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    import h5py

    for name in group:
        if name == _RANDOM:
            continue
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError("it refers to another file")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _arrays(item, f"{path}{name}/")
        elif item.external or item.is_virtual:
            raise ValueError("it refers to another file")
        else:
            yield f"{path}{name}", item


def _copy(source: dict[str, dict[str, Any]], target: dict[str, dict[str, Any]]) -> Transfer:
    """Write the arrays of each layer that fits over those of the same name."""
    taken, refused = [], {}
    for name, arrays in target.items():
        if name not in source:
            continue
        why = _unlike(source[name], arrays)
        if why is None:
            for place, array in arrays.items():
                array[...] = np.asarray(source[name][place])
            taken.append(name)
        else:
            refused[name] = why
    return Transfer(
        taken,
        refused,
        [name for name in target if name not in source],
        [name for name in source if name not in target],
    )


def _unlike(source: dict[str, Any], target: dict[str, Any]) -> str | None:
    """Why a layer's weights do not fit, if they do not."""
    if source.keys() != target.keys():
        return (
            f"it has {len(target)} weights, in the file {len(source)}, or they are of another kind of layer"
        )
    for place, array in target.items():
        other = source[place]
        if array.shape != other.shape:
            return (
                f"a weight has the shape {format_shape(array.shape)}, in the file {format_shape(other.shape)}"
            )
        if array.dtype.kind != other.dtype.kind and other.dtype.kind not in "fiuV":
            return f"a weight is {array.dtype}, in the file {other.dtype}"
    return None

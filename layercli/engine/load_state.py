"""Load the weights and vocabularies of a ``.keras`` file into a model; nothing in the file is deserialized."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import keras

# Private, because the public `Model.load_weights` loads no vocabularies, and `load_model` deserializes the architecture.
# `tests/security/test_model_files.py` compares the result with that of `load_model`, and fails if this function changes.
from keras.src.saving import saving_lib

from layercli.io.archives import MAX_JSON_BYTES, WEIGHTS_FILE, Archive, ArchiveError, check_hdf5
from layercli.io.regular import parse_json
from layercli.runs.open_run import EXTRA_BYTES

CONFIG_FILE: Final = "config.json"
_ASSETS_FOLDER: Final = "assets"


def load_state(model: Any, file: IO[bytes], max_bytes: int) -> None:
    """Load what ``keras.saving.load_model`` would, except for the architecture.

    Raises:
        ArchiveError: the file is damaged or malicious, or has more than ``max_bytes`` of weights.
        ValueError: it does not fit the model.
    """
    archive = Archive(file)
    with tempfile.TemporaryDirectory(prefix="layercli-") as name:
        folder = Path(name)
        extract_weights(archive, folder / WEIGHTS_FILE, max_bytes)
        has_assets = archive.extract_folder(_ASSETS_FOLDER, folder, EXTRA_BYTES)
        errors: dict[int, tuple[Any, Exception]] = {}
        weights = saving_lib.H5IOStore(folder / WEIGHTS_FILE, mode="r")
        try:
            saving_lib._load_state(
                model,
                weights_store=weights,
                assets_store=saving_lib.DiskIOStore(str(folder / _ASSETS_FOLDER), mode="r")
                if has_assets
                else None,
                inner_path="",
                visited_saveables=set(),
                failed_saveables=set(),
                error_msgs=errors,
            )
        finally:
            weights.close()
    if errors:
        layer, error = next(iter(errors.values()))
        raise ValueError(f"{layer.name}: {error}") from error


def extract_weights(archive: Archive, target: Path, max_bytes: int) -> None:
    """Write the weights of a ``.keras`` file to an HDF5 file, and check it.

    Raises:
        ArchiveError: there are no weights, or they are damaged or malicious.
    """
    if WEIGHTS_FILE not in archive.names:
        raise ArchiveError(f"it does not contain {WEIGHTS_FILE}")
    archive.extract(WEIGHTS_FILE, target, max_bytes)
    check_hdf5(target, max_bytes)


def load_bin_boundaries(model: Any, file: IO[bytes], prefix: str = "") -> None:
    """Load the boundaries of each Discretization, which Keras saves in the architecture and not with the weights.

    The names of the model's layers are those in the file after ``prefix``.

    Raises:
        ArchiveError: the file is damaged, or has no boundaries for such a layer.
    """
    learners = {layer.name: found for layer in model.layers if (found := list(_find_discretizations(layer)))}
    if not learners:
        return
    try:
        document = parse_json(Archive(file).read(CONFIG_FILE, MAX_JSON_BYTES))
        records = {record["config"]["name"]: record for record in document["config"]["layers"]}
        for name, layers in learners.items():
            saved = list(_find_boundaries(records[name.removeprefix(prefix)]))
            for layer, boundaries in zip(layers, saved, strict=True):
                layer.bin_boundaries = boundaries
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArchiveError(f"the boundaries of a Discretization are missing or invalid ({error})") from None


def _find_discretizations(layer: Any) -> Iterator[Any]:
    """Yield the Discretization layers in a layer, in the order of its record."""
    if isinstance(layer, keras.layers.Discretization):
        yield layer
    elif isinstance(layer, keras.layers.TimeDistributed):
        yield from _find_discretizations(layer.layer)
    elif isinstance(layer, keras.layers.Pipeline):
        for inner in layer.layers:
            yield from _find_discretizations(inner)


def _find_boundaries(record: Any) -> Iterator[list[float]]:
    """Yield the boundaries of each Discretization in Keras's record of a layer."""
    kind, config = record["class_name"], record["config"]
    if kind == "Discretization":
        boundaries = config["bin_boundaries"]
        if not isinstance(boundaries, list) or not all(
            type(value) in (int, float) and math.isfinite(value) for value in boundaries
        ):
            raise ValueError("a boundary is not a number")
        yield [float(value) for value in boundaries]
    elif kind == "TimeDistributed":
        yield from _find_boundaries(config["layer"])
    elif kind == "Pipeline":
        for inner in config["layers"]:
            yield from _find_boundaries(inner)

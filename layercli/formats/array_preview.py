"""A preview of arrays in npz and npy files: which are the features and the target, and what the target contains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final, Literal

import numpy as np

from layercli.data.labels import format_label
from layercli.data.lazy import LazyArray
from layercli.data.named_arrays import ArrayHeader
from layercli.data.types import PATH_KEY, DataError
from layercli.formats.npy import reader as npy_reader
from layercli.formats.npz import reader as npz_reader
from layercli.formats.preview import PreviewError
from layercli.schema.suggestions import did_you_mean

ARRAY_SUFFIXES: Final = (".npz", ".npy")
_TARGET_KEY: Final = ("data", "target")
_FEATURE_NAMES: Final = (
    "x",
    "features",
    "inputs",
    "data",
    "images",
    "x_train",
    "train_x",
    "xtrain",
    "samples",
    "texts",
)
_TARGET_NAMES: Final = (
    "y",
    "target",
    "targets",
    "labels",
    "label",
    "classes",
    "y_train",
    "train_y",
    "ytrain",
    "train_labels",
)
_MAX_VALUES: Final = 1000
_MIN_IMAGE_SIZE: Final = 8
_MAX_CHANNELS: Final = 4


@dataclass(frozen=True, slots=True)
class NamedHeader:
    """The name, or the file, and the header of an array."""

    name: str
    header: ArrayHeader

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape with the batch axis."""
        return self.header.shape


@dataclass(frozen=True, slots=True)
class ArraysPreview:
    """The features and the target of a training."""

    path: Path | None
    """The npz file; None if each array is in its own npy file."""
    features: NamedHeader
    target: NamedHeader
    values: tuple[str, ...] | None
    """The distinct values of the target in ascending order; None if it has several columns, fractions or very many."""
    has_text_labels: bool

    @property
    def kind(self) -> Literal["vectors", "sequences", "images", "text"]:
        """The kind of one example, by the number of its axes."""
        shape = self.features.shape[1:]
        if self.features.header.dtype.kind in "US":
            return "text"
        if len(shape) == 3 or (len(shape) == 2 and self.are_bytes and min(shape) >= _MIN_IMAGE_SIZE):
            return "images"
        return "sequences" if len(shape) == 2 else "vectors"

    @property
    def are_bytes(self) -> bool:
        """Whether the features are integers from 0 to 255, such as pixels."""
        return self.features.header.dtype == np.uint8


def preview_arrays(path: Path, target: str | None, memory: int | None) -> ArraysPreview:
    """Return the features and the target of an npz file, or of an npy file and the file of its target.

    ``target`` names the array, or the file of the target; ``memory`` is the number of bytes that is available.

    Raises:
        PreviewError: an array cannot be read, or none can be the features or the target.
    """
    try:
        if path.suffix.lower() == ".npz":
            return _preview_npz(path, target, memory)
        return _preview_npy(path, target, memory)
    except DataError as error:
        finding = error.findings[0]
        raise PreviewError(finding.message) from None


def _preview_npz(path: Path, target: str | None, memory: int | None) -> ArraysPreview:
    headers = npz_reader.list_headers(path)
    if len(headers) < 2:
        raise PreviewError(
            f"{path} must contain at least two arrays, the features and the target, got {len(headers)}."
        )
    if target is not None and target not in headers:
        raise PreviewError(
            f'{path} contains no array "{target}". {did_you_mean(target, list(headers), otherwise="")}'
        )
    target = target or _choose_target(headers)
    features = _choose_features(headers, target)
    array = npz_reader.read_arrays(path, [(target, _TARGET_KEY)], memory)[target]
    return _make_preview(path, features, NamedHeader(target, headers[target]), array)


def _choose_target(headers: Mapping[str, ArrayHeader]) -> str:
    by_lower_name = {name.lower(): name for name in headers}
    named = next((by_lower_name[name] for name in _TARGET_NAMES if name in by_lower_name), None)
    return named or min(headers, key=lambda name: prod(headers[name].shape))


def _choose_features(headers: Mapping[str, ArrayHeader], target: str) -> NamedHeader:
    count = headers[target].shape[0]
    fitting = {
        name: header for name, header in headers.items() if name != target and header.shape[0] == count
    }
    if not fitting:
        raise PreviewError(f"No array has as many examples as the target `{target}`, which has {count:,}.")
    by_lower_name = {name.lower(): name for name in fitting}
    named = next((by_lower_name[name] for name in _FEATURE_NAMES if name in by_lower_name), None)
    chosen = named or max(fitting, key=lambda name: prod(fitting[name].shape))
    return NamedHeader(chosen, fitting[chosen])


def _preview_npy(path: Path, target: str | None, memory: int | None) -> ArraysPreview:
    header = npy_reader.read_header(path, str(path), PATH_KEY)
    if target is not None:
        file: Path | None = Path(target)
    else:
        files = {other.stem.lower(): other for other in path.parent.glob("*.npy") if other.name != path.name}
        file = next((files[name] for name in _TARGET_NAMES if name in files), None)
    if file is None or not file.is_file():
        raise PreviewError(
            f"{path} has the features; name the file of the target with --target, such as --target y.npy."
        )
    target_header = npy_reader.read_header(file, str(file), _TARGET_KEY)
    if target_header.shape[0] != header.shape[0]:
        raise PreviewError(
            f"{file} has {target_header.shape[0]:,} examples, but {path} has {header.shape[0]:,}."
        )
    array = npy_reader.read_arrays([(str(file), _TARGET_KEY)], memory)[str(file)]
    return _make_preview(None, NamedHeader(str(path), header), NamedHeader(str(file), target_header), array)


def _make_preview(
    path: Path | None, features: NamedHeader, target: NamedHeader, array: np.ndarray | LazyArray
) -> ArraysPreview:
    is_text = target.header.dtype.kind in "US"
    values = None
    if isinstance(array, np.ndarray) and array.size == len(array):
        distinct = np.unique(array.astype(str) if is_text else array)
        if len(distinct) <= _MAX_VALUES and (is_text or bool((distinct == np.round(distinct)).all())):
            values = tuple(map(format_label, distinct))
    return ArraysPreview(path, features, target, values, is_text)

"""A preview of arrays in npz and npy files: which are the features and the target, and what the target contains."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Final, Literal

import numpy as np

from layercli.data.labels import format_label
from layercli.data.lazy import LazyArray
from layercli.data.named_arrays import ArrayHeader
from layercli.data.types import PATH_KEY, Array, DataError
from layercli.formats.npy import reader as npy_reader
from layercli.formats.npz import reader as npz_reader
from layercli.formats.preview import PreviewError
from layercli.io.folders import SETS_BY_FOLDER
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
_FEATURES_KEY: Final = ("data", "features")
_WEIGHT_NAMES: Final = ("sample_weight", "sample_weights", "weight", "weights")
_MAX_POSITION_CLASSES: Final = 100
_MAX_SEARCHED_EXAMPLES: Final = 200_000
"""Examples in which missing values are searched."""
_BLOCK_EXAMPLES: Final = 1024

ArrayKind = Literal["vectors", "sequences", "images", "text"]


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
    target_form: Literal["value", "one-hot", "multi-label", "positions"]
    """One class or number, or several numbers; a vector with a single 1; several values of 0 or 1; a class for each pixel or
    timestep."""
    values: tuple[str, ...] | None
    """The distinct values of the target in ascending order; None if it has several columns, fractions or very many."""
    has_text_labels: bool
    weights: NamedHeader | None = None
    held_out: dict[str, list[str]] = field(default_factory=dict)
    """The files of sets that have separate files: of the features, then of the target."""
    unused: tuple[NamedHeader, ...] = ()
    missing_count: int = 0
    """The number of features that are NaN or infinite."""
    has_equal_targets: bool = False
    """Whether all examples have the same target, which no model can learn from."""

    @property
    def kind(self) -> ArrayKind:
        """The kind of one example, by the number of its axes."""
        return _find_kind(self.features.header)

    @property
    def are_bytes(self) -> bool:
        """Whether the features are integers from 0 to 255, such as pixels."""
        return self.features.header.dtype == np.uint8


def _find_kind(features: ArrayHeader) -> ArrayKind:
    shape = features.shape[1:]
    if features.dtype.kind in "US":
        return "text"
    is_gray_image = len(shape) == 2 and features.dtype == np.uint8 and min(shape) >= _MIN_IMAGE_SIZE
    if len(shape) == 3 or is_gray_image:
        return "images"
    return "sequences" if len(shape) == 2 else "vectors"


def preview_arrays(path: Path, target: str | None, memory: int | None) -> ArraysPreview:
    """Return the features and the target of an npz file, or of an npy file and the file of its target.

    ``path`` can also be a folder of npy files. ``target`` names the array, or the file of the target; ``memory`` is the number
    of bytes that is available.

    Raises:
        PreviewError: an array cannot be read, or none can be the features or the target.
    """
    try:
        if path.suffix.lower() == ".npz":
            return _preview_npz(path, target, memory)
        return _preview_npy(path, target, memory)
    except DataError as error:
        finding = error.findings[0]
        raise PreviewError(finding.message, finding.hint) from None


def _preview_npz(path: Path, target: str | None, memory: int | None) -> ArraysPreview:
    headers = npz_reader.list_headers(path)
    if len(headers) < 2:
        raise PreviewError(
            f"{path} must contain at least two arrays, the features and the target, got {len(headers)}.",
            "Save both: `numpy.savez('data.npz', x=x, y=y)`.",
        )
    if target is not None and target not in headers:
        raise PreviewError(
            f'{path} contains no array "{target}". {did_you_mean(target, list(headers), otherwise="")}',
            f"The arrays are {', '.join(headers)}.",
        )
    target = target or _choose_target(headers)
    features = _choose_features(headers, target)
    arrays = npz_reader.read_arrays(path, [(target, _TARGET_KEY), (features.name, _FEATURES_KEY)], memory)
    used = (target, features.name)
    weights = next(
        (
            NamedHeader(name, header)
            for name, header in headers.items()
            if name.lower() in _WEIGHT_NAMES
            and name not in used
            and header.shape == headers[target].shape[:1]
        ),
        None,
    )
    preview = _make_preview(
        path, features, NamedHeader(target, headers[target]), arrays[target], arrays[features.name]
    )
    named = {*used, *([weights.name] if weights else [])}
    unused = tuple(NamedHeader(name, header) for name, header in headers.items() if name not in named)
    return replace(preview, weights=weights, unused=unused)


def _choose_target(headers: Mapping[str, ArrayHeader]) -> str:
    by_lower_name = {name.lower(): name for name in headers}
    named = next((by_lower_name[name] for name in _TARGET_NAMES if name in by_lower_name), None)
    return named or min(headers, key=lambda name: prod(headers[name].shape))


def _choose_features(headers: Mapping[str, ArrayHeader], target: str) -> NamedHeader:
    if not headers[target].shape:
        raise PreviewError(f"The array `{target}` is a single value; it must have a value for each example.")
    count = headers[target].shape[0]
    fitting = {
        name: header
        for name, header in headers.items()
        if name != target and header.shape and header.shape[0] == count
    }
    if not fitting:
        raise PreviewError(f"No array has as many examples as the target `{target}`, which has {count:,}.")
    by_lower_name = {name.lower(): name for name in fitting}
    named = next((by_lower_name[name] for name in _FEATURE_NAMES if name in by_lower_name), None)
    chosen = named or max(fitting, key=lambda name: prod(fitting[name].shape))
    return NamedHeader(chosen, fitting[chosen])


def _preview_npy(path: Path, target: str | None, memory: int | None) -> ArraysPreview:
    folder = path if path.is_dir() else path.parent
    others = (other for other in sorted(folder.glob("*.npy")) if other != path and other.is_file())
    files = {other.stem.lower(): other for other in others}
    if path.is_dir():
        found = next((files[name] for name in _FEATURE_NAMES if name in files), None)
        if found is None:
            raise PreviewError(
                f"{path} contains no file {_FEATURE_NAMES[0]}.npy.", "Name the file of the features."
            )
        path = found
    header = npy_reader.read_npy_header(path, str(path), PATH_KEY)
    if target is not None:
        file: Path | None = Path(target)
    else:
        file = next((files[name] for name in _TARGET_NAMES if name in files), None)
    if file is None or not file.is_file():
        raise PreviewError(
            f"{path} has the features; name the file of the target with --target, such as --target y.npy."
        )
    target_header = npy_reader.read_npy_header(file, str(file), _TARGET_KEY)
    if target_header.shape[0] != header.shape[0]:
        raise PreviewError(
            f"{file} has {target_header.shape[0]:,} examples, but {path} has {header.shape[0]:,}."
        )
    arrays = npy_reader.read_arrays([(str(file), _TARGET_KEY), (str(path), _FEATURES_KEY)], memory)
    preview = _make_preview(
        None,
        NamedHeader(str(path), header),
        NamedHeader(str(file), target_header),
        arrays[str(file)],
        arrays[str(path)],
    )
    return replace(preview, held_out=_find_held_out(path, file))


def _find_held_out(features: Path, target: Path) -> dict[str, list[str]]:
    """Return the files of other sets, whose names have a different set in the place of ``train``."""
    held_out: dict[str, list[str]] = {}
    for word, part in SETS_BY_FOLDER.items():
        names = [re.sub("train(ing)?", word, file.stem, flags=re.IGNORECASE) for file in (features, target)]
        files = [file.with_name(f"{name}.npy") for file, name in zip((features, target), names, strict=True)]
        if part != "train" and all(file.is_file() and file not in (features, target) for file in files):
            held_out.setdefault(part, [str(file) for file in files])
    return held_out


def _make_preview(
    path: Path | None,
    features: NamedHeader,
    target: NamedHeader,
    labels: Array | LazyArray,
    inputs: Array | LazyArray,
) -> ArraysPreview:
    is_text = target.header.dtype.kind in "US"
    array = labels if isinstance(labels, np.ndarray) else np.empty(0)
    form = _find_target_form(features.header, target.header, array)
    values = None
    if array.size and (array.size == len(array) or form == "positions"):
        distinct = np.unique(array.astype(str) if is_text else array)
        if len(distinct) <= _MAX_VALUES and (is_text or bool((distinct == np.round(distinct)).all())):
            values = tuple(map(format_label, distinct))
    return ArraysPreview(
        path,
        features,
        target,
        form,
        values,
        is_text,
        missing_count=_count_missing(inputs),
        has_equal_targets=bool(array.size and (array == array[:1]).all()),
    )


def _find_target_form(
    features: ArrayHeader, target: ArrayHeader, labels: Array
) -> Literal["value", "one-hot", "multi-label", "positions"]:
    """Return what the values of an example's target are together.

    Raises:
        PreviewError: ``init`` has no model for them.
    """
    sizes = target.shape[1:] if target.shape[-1:] != (1,) else target.shape[1:-1]
    if not sizes:
        return "value"
    are_integers = target.dtype.kind in "biu"
    position_axes = {"images": 2, "sequences": 1}.get(_find_kind(features), 0)
    positions = features.shape[1 : 1 + position_axes]
    if (
        position_axes
        and sizes == positions
        and are_integers
        and len(np.unique(labels)) <= _MAX_POSITION_CLASSES
    ):
        return "positions"
    if len(sizes) > 1:
        shape = f"[{', '.join(map(str, target.shape[1:]))}]"
        raise PreviewError(
            f"The target of an example has the shape {shape}; init writes models for a class, a number, several numbers, or "
            "a class for each pixel or timestep.",
            "Write a config with an output of this shape.",
        )
    if labels.dtype.kind in "biuf" and set(np.unique(labels).tolist()) == {0, 1}:
        flat = labels.reshape(len(labels), -1)
        return "one-hot" if bool((flat.sum(axis=1) == 1).all()) else "multi-label"
    return "value"


def _count_missing(inputs: Array | LazyArray) -> int:
    """Return the number of values that are NaN or infinite in the first examples."""
    count = min(len(inputs), _MAX_SEARCHED_EXAMPLES)
    total = 0
    for start in range(0, count, _BLOCK_EXAMPLES):
        block = inputs[np.arange(start, min(start + _BLOCK_EXAMPLES, count))]
        if block.dtype.kind != "f":
            return 0
        total += block.size - int(np.isfinite(block).sum())
    return total

"""Layers of indices, written with operations that every format has instead of TensorFlow's own ones."""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

_MAX_CROSSED: Final = 1 << 20
"""The most combinations of indices whose bins are listed."""


def replace_index_layers(model: Any) -> Any:
    """Return the model with plain layers in place of Discretization, CategoryEncoding and HashedCrossing; others are shared."""
    if not any(_is_replaced(layer) for layer in model._flatten_layers()):
        return model
    return keras.models.clone_model(model, clone_function=_make_plain_layer, recursive=True)


def _count_indices(layer: Any) -> int | None:
    """Return the number of different indices that a layer returns; None if it is not known."""
    if isinstance(layer, keras.layers.Discretization):
        return len(layer.bin_boundaries) + 1
    is_lookup = isinstance(layer, (keras.layers.StringLookup, keras.layers.IntegerLookup))
    return int(layer.vocabulary_size()) if is_lookup and layer.output_mode == "int" else None


def _find_index_counts(layer: Any) -> list[int] | None:
    """Return the number of different values of each input of a crossing; None if one is not known or they are too many."""
    try:
        tensors = keras.tree.flatten(layer.input)
    except (AttributeError, ValueError):  # called several times
        return None
    counts = [_count_indices(tensor._keras_history.operation) for tensor in tensors]
    known = [count for count in counts if count is not None]
    return known if len(known) == len(counts) and np.prod(known) <= _MAX_CROSSED else None


def _make_plain_crossing(layer: Any, counts: list[int]) -> Any:
    grids = np.meshgrid(*(np.arange(count) for count in counts), indexing="ij")
    crossing = keras.layers.HashedCrossing(layer.num_bins)
    hashed = crossing([tf.constant(grid.reshape(-1, 1), tf.int64) for grid in grids])
    table = np.asarray(hashed).ravel().astype(int).tolist()
    return PlainCrossing(
        counts, table, layer.num_bins, layer.output_mode, name=layer.name, dtype=layer.dtype_policy
    )


def _is_replaced(layer: Any) -> bool:
    if isinstance(layer, keras.layers.HashedCrossing):
        return not layer.sparse and _find_index_counts(layer) is not None
    if isinstance(layer, keras.layers.Discretization):
        return not layer.sparse
    return isinstance(layer, keras.layers.CategoryEncoding) and not layer.sparse


def _make_plain_layer(layer: Any) -> Any:
    if not _is_replaced(layer):
        return layer
    if isinstance(layer, keras.layers.HashedCrossing):
        return _make_plain_crossing(layer, _find_index_counts(layer) or [])
    if isinstance(layer, keras.layers.CategoryEncoding):
        return PlainEncoding(layer.num_tokens, layer.output_mode, name=layer.name, dtype=layer.dtype_policy)
    boundaries = [float(boundary) for boundary in layer.bin_boundaries]
    return PlainDiscretization(boundaries, layer.output_mode, name=layer.name, dtype=layer.dtype_policy)


class PlainEncoding(keras.layers.Layer):  # type: ignore[misc]
    """Encode indices of shape (..., indices) as vectors of ``depth`` numbers, as CategoryEncoding does."""

    def __init__(self, depth: int, output_mode: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.depth = depth
        self.output_mode = output_mode

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "depth": self.depth, "output_mode": self.output_mode}

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        """Return vectors of shape (..., depth); one-hot vectors of several indices have shape (..., indices, depth)."""
        return encode_indices(inputs, self.depth, self.output_mode, self.compute_dtype, count_weights)


class PlainCrossing(keras.layers.Layer):  # type: ignore[misc]
    """Look up the bin of each combination of indices, each of shape (batch, 1), as HashedCrossing computes it."""

    def __init__(
        self, counts: list[int], table: list[int], num_bins: int, output_mode: str, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.counts = counts
        self.table = table
        self.num_bins = num_bins
        self.output_mode = output_mode

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "counts": self.counts,
            "table": self.table,
            "num_bins": self.num_bins,
            "output_mode": self.output_mode,
        }

    def call(self, inputs: Any) -> Any:
        """Return int64 bins of shape (batch, 1), or vectors of shape (batch, bins)."""
        place: Any = 0
        for count, indices in zip(self.counts, inputs, strict=True):
            place = place * count + keras.ops.cast(indices, "int32")
        bins = keras.ops.take(keras.ops.convert_to_tensor(self.table, "int32"), place)
        if self.output_mode == "int":
            return keras.ops.cast(bins, "int64")
        return encode_indices(bins, self.num_bins, self.output_mode, self.compute_dtype)


class PlainDiscretization(keras.layers.Layer):  # type: ignore[misc]
    """Return the bin of each number, as Discretization does."""

    def __init__(self, boundaries: list[float], output_mode: str, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.boundaries = boundaries
        self.output_mode = output_mode

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "boundaries": self.boundaries, "output_mode": self.output_mode}

    def call(self, inputs: Any) -> Any:
        """Return int64 bins of the shape of the inputs, or vectors as PlainEncoding."""
        boundaries = keras.ops.convert_to_tensor(self.boundaries, "float32")
        is_above = keras.ops.cast(inputs, "float32")[..., None] >= boundaries
        bins = keras.ops.sum(keras.ops.cast(is_above, "int32"), axis=-1)
        if self.output_mode == "int":
            return keras.ops.cast(bins, "int64")
        return encode_indices(bins, len(self.boundaries) + 1, self.output_mode, self.compute_dtype)


def encode_indices(indices: Any, depth: int, output_mode: str, dtype: str, weights: Any = None) -> Any:
    """Return indices as vectors of ``depth`` numbers: one-hot, multi-hot or counts over the last axis."""
    indices = keras.ops.cast(indices, "int32")
    if output_mode == "int":
        return indices
    if output_mode == "one_hot" and indices.shape[-1] != 1:
        indices = indices[..., None]
    vectors = keras.ops.one_hot(indices, depth, dtype=dtype)
    if output_mode == "count":
        counted = vectors if weights is None else vectors * keras.ops.cast(weights, dtype)[..., None]
        return keras.ops.sum(counted, axis=-2)
    return keras.ops.max(vectors, axis=-2)

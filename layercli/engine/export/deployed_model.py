"""The model that a file contains: the model of a run, with the preparation of inputs that a format supports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from layercli.data.types import Array
from layercli.engine.compare import run_keras_model
from layercli.engine.comparison_inputs import fill_shape
from layercli.engine.export.options import ColumnInput, InputBatch, WordIndex
from layercli.engine.export.plain_layers import replace_index_layers
from layercli.export_formats import ExportFormatFacts

_INDEX_MODES: Final = ("int", "one_hot", "multi_hot", "count")
"""Outputs of a lookup that follow from the index of each word."""

_Encoder: TypeAlias = Callable[[Mapping[str, Array]], Array]


@dataclass(frozen=True, slots=True)
class DeployedModel:
    """A model for a file, and how its inputs follow from those of the run's model."""

    model: Any
    encoders: Mapping[str, _Encoder] = field(default_factory=dict)
    """Input of the file that is computed outside -> the function of all inputs of the run's model."""
    word_indices: Mapping[str, WordIndex] = field(default_factory=dict)
    """Inputs of the Keras model for which the file has a lookup."""
    text_layers: Mapping[str, Any] = field(default_factory=dict)
    """Input of the file that is computed outside -> the layer of the run's model that computes it."""
    outside_indices: Mapping[str, WordIndex] = field(default_factory=dict)
    """Input of the file that is computed outside by a lookup of words."""
    filled_inputs: frozenset[str] = frozenset()
    """Inputs of the run's model whose missing values the file replaces."""

    def encode_inputs(self, inputs: Mapping[str, Array]) -> InputBatch:
        """Return the inputs of the file for inputs of the run's model."""
        found: InputBatch = {}
        for tensor in self.model.inputs:
            index = self.word_indices.get(tensor.name)
            name = tensor.name if index is None else index.source
            encode = self.encoders.get(name)
            found[name] = inputs[name] if encode is None else encode(inputs)
        return found


def deploy_model(
    model: Any, column_inputs: Mapping[str, ColumnInput], facts: ExportFormatFacts
) -> DeployedModel:
    """Return the model with imputation of missing numbers, and without layers of texts that a format does not support."""
    fills = _find_fill_values(model, column_inputs) if facts.fills_missing_values else {}
    if not facts.supports_text:
        fills = {name: values for name, values in fills.items() if not isinstance(values[0], str)}
    cuts = () if facts.supports_text else tuple(_find_text_layers(model))
    deployed = DeployedModel(model)
    if fills or cuts:
        deployed = _Deployment(model, column_inputs, facts).build(fills, cuts)
    return (
        deployed
        if facts.supports_index_layers
        else replace(deployed, model=replace_index_layers(deployed.model))
    )


class FillMissingText(keras.layers.Layer):  # type: ignore[misc]
    """Replace empty texts in each column by the value of the column. Shapes (..., columns) stay."""

    def __init__(self, values: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.values = values

    def call(self, inputs: Any) -> Any:
        """Return the inputs without missing texts."""
        return tf.where(inputs == "", tf.constant(self.values), inputs)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return the same shape and dtype."""
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the values with the other arguments."""
        return {**super().get_config(), "values": self.values}


class FillMissing(keras.layers.Layer):  # type: ignore[misc]
    """Replace NaN in each column by the value of the column; NaN keeps it. Shapes (..., columns) stay."""

    def __init__(self, values: list[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.values = values

    def call(self, inputs: Any) -> Any:
        """Return the inputs without missing numbers."""
        return keras.ops.where(
            keras.ops.isnan(inputs), keras.ops.convert_to_tensor(self.values, inputs.dtype), inputs
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the same shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the values with the other arguments."""
        return {**super().get_config(), "values": self.values}


def _find_fill_values(
    model: Any, column_inputs: Mapping[str, ColumnInput]
) -> dict[str, list[float] | list[str]]:
    """Return the fill value of each column of inputs of numbers and texts; NaN for a column of numbers without one."""
    found: dict[str, list[float] | list[str]] = {}
    for tensor in model.inputs:
        column_input = column_inputs.get(tensor.name)
        if column_input is not None and tensor.dtype == "string":
            texts = [str(column_input.fill_values.get(column, "")) for column in column_input.columns]
            found |= {tensor.name: texts} if any(texts) else {}
        if column_input is None or not keras.backend.is_float_dtype(tensor.dtype):
            continue
        values = [column_input.fill_values.get(column, np.nan) for column in column_input.columns]
        if not all(np.isnan(float(value)) for value in values):
            found[tensor.name] = [float(value) for value in values]
    return found


def _find_text_layers(model: Any) -> Iterator[Any]:
    """Yield the layers from texts to numbers."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        try:
            inputs, outputs = keras.tree.flatten(layer.input), keras.tree.flatten(layer.output)
        except (AttributeError, ValueError):  # called several times
            continue
        is_text = any(tensor.dtype == "string" for tensor in inputs)
        if is_text and len(outputs) == 1 and outputs[0].dtype != "string":
            yield layer


class _Deployment:
    """Builds a model around the layers of a run's model, which keep their weights."""

    def __init__(
        self, model: Any, column_inputs: Mapping[str, ColumnInput], facts: ExportFormatFacts
    ) -> None:
        self._model = model
        self._column_inputs = column_inputs
        self._facts = facts
        self._names = {tensor.name for tensor in model.inputs}
        self._inputs: list[Any] = []
        self._encoders: dict[str, _Encoder] = {}
        self._word_indices: dict[str, WordIndex] = {}
        self._text_layers: dict[str, Any] = {}
        self._outside_indices: dict[str, WordIndex] = {}

    def build(self, fills: Mapping[str, list[Any]], cuts: tuple[Any, ...]) -> DeployedModel:
        """Return the model with these fill values, and with new inputs in place of these layers of texts."""
        values = []
        core_inputs = [tensor for tensor in self._model.inputs if not cuts or tensor.dtype != "string"]
        for tensor in core_inputs:
            value = self._add_input(tensor, tensor.name)
            fill = FillMissingText if tensor.dtype == "string" else FillMissing
            values.append(fill(fills[tensor.name])(value) if tensor.name in fills else value)
        values += [self._replace_text_layer(layer) for layer in cuts]
        core = self._model
        if cuts:
            core_inputs += [layer.output for layer in cuts]
            core = keras.Model(core_inputs, self._model.outputs, name=self._model.name)
            # Keras's own shape of text vectors has an axis too many: its layers are called with the new inputs.
            inner = [keras.Input(batch_shape=value.shape, dtype=value.dtype) for value in values]
            core = keras.models.clone_model(core, input_tensors=inner, clone_function=lambda layer: layer)
        outputs = core(values if cuts or len(values) > 1 else values[0])
        inputs = self._inputs if len(self._inputs) > 1 else self._inputs[0]
        return DeployedModel(
            keras.Model(inputs, outputs, name=f"deployed_{self._model.name}"),
            self._encoders,
            self._word_indices,
            self._text_layers,
            self._outside_indices,
            frozenset({*fills, *(index.source for index in self._word_indices.values() if index.missing)}),
        )

    def _add_input(self, tensor: Any, name: str) -> Any:
        placeholder = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)
        self._inputs.append(placeholder)
        return placeholder

    def _replace_text_layer(self, layer: Any) -> Any:
        """Return the output of a layer of texts, computed from a new input: the index of each word if that suffices."""
        tensor = layer.input
        source = tensor.name if not isinstance(tensor, (list, tuple, dict)) else None
        words = _find_words(layer) if source is not None else None
        is_direct = source in self._names
        if words is None or (self._facts.supports_word_lookup and not is_direct):
            name = self._make_name(source if is_direct else None, layer)
            texts = [each for each in self._model.inputs if each.dtype == "string"]
            prefix = keras.Model(texts, layer.output)
            self._encoders[name] = _make_layer_encoder(prefix, layer.output.dtype)
            self._text_layers[name] = layer
            empty = {
                each.name: np.full(fill_shape(each.shape, 1), "", dtype=object) for each in prefix.inputs
            }
            sizes = run_keras_model(prefix, empty)[0].shape[1:]
            known = layer.output.shape[1:]
            open_sizes = known if len(known) == len(sizes) else sizes
            shape = [
                None,
                *(None if known is None else size for known, size in zip(open_sizes, sizes, strict=True)),
            ]
            return self._add_input(keras.KerasTensor(shape, layer.output.dtype), name)
        index = WordIndex(
            source or layer.name,
            words,
            words.index(layer.oov_token),
            _find_missing_indices(self._column_inputs.get(source or ""), words, layer.oov_token),
        )
        if self._facts.supports_word_lookup:
            name = f"{layer.name}_index"
            self._word_indices[name] = index
        else:
            name = self._make_name(source if is_direct else None, layer)
            self._encoders[name] = _make_index_encoder(self._model, tensor, index)
            self._outside_indices[name] = index
        value = self._add_input(keras.KerasTensor(tensor.shape, "int64"), name)
        if layer.output_mode == "int":
            return value
        depth = layer.output.shape[-1]
        return keras.layers.CategoryEncoding(depth, output_mode=layer.output_mode, dtype=layer.dtype_policy)(
            value
        )

    def _make_name(self, source: str | None, layer: Any) -> str:
        """Return the name of the input that replaces a layer: that of the texts, if no other layer reads them."""
        readers = [
            each for each in _find_text_layers(self._model) if getattr(each.input, "name", None) == source
        ]
        return source if source is not None and len(readers) == 1 else f"{layer.name}_output"


def _find_words(layer: Any) -> tuple[str, ...] | None:
    """Return the words of a lookup by index, or None if its output does not follow from a single index of each word."""
    if not isinstance(layer, keras.layers.StringLookup) or layer.num_oov_indices != 1 or layer.invert:
        return None
    if layer.output_mode not in _INDEX_MODES or layer.encoding.lower().replace("-", "") != "utf8":
        return None
    return tuple(map(str, layer.get_vocabulary()))


def _find_missing_indices(
    column_input: ColumnInput | None, words: tuple[str, ...], unknown: str
) -> dict[str, int]:
    """Return the index of the replacement of each text that means a missing value; empty if columns have several ones."""
    fill_value = None if column_input is None else column_input.text_fill_value
    if column_input is None or fill_value is None:
        return {}
    index = words.index(fill_value if fill_value in words else unknown)
    return dict.fromkeys(("", *column_input.missing_words), index)


def _make_layer_encoder(prefix: Any, dtype: str) -> _Encoder:
    """Return the function that computes the output of a layer of texts; Keras's own dtype of vectors is another one."""
    names = [tensor.name for tensor in prefix.inputs]

    def encode(inputs: Mapping[str, Array]) -> Array:
        return run_keras_model(prefix, {name: inputs[name] for name in names})[0].astype(dtype)

    return encode


def _make_index_encoder(model: Any, tensor: Any, word_index: WordIndex) -> _Encoder:
    """Return the function that computes the index of each word of a tensor of texts."""
    indices = {word: index for index, word in enumerate(word_index.words)}
    is_input = any(tensor is each for each in model.inputs)
    prefix = None if is_input else keras.Model(model.inputs, tensor)

    def encode(inputs: Mapping[str, Array]) -> Array:
        texts = inputs[tensor.name] if prefix is None else run_keras_model(prefix, inputs)[0]
        decoded = [
            text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
            for text in texts.ravel().tolist()
        ]
        found = [indices.get(text, word_index.unknown) for text in decoded]
        return np.array(found, dtype=np.int64).reshape(texts.shape)

    return encode

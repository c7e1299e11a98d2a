"""A model from elsewhere beside the one that a config rebuilds: loaded safely, given the same weights, compared."""

from __future__ import annotations

import json
import logging
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.engine.assemble import Assembled
from layercli.engine.forward_pass import example, largest_index
from layercli.engine.keras_errors import said
from layercli.errors import LayercliError, Problem
from layercli.importing.archive import Archive
from layercli.importing.flatten import Leaf, leaves_of
from layercli.importing.keras_graph import Described
from layercli.importing.read_model import read_stack
from layercli.layers.shapes import Tensor, format_shape

TOLERANCE = 1e-5
"""How far outputs may be apart, as a share of the largest; arithmetic in another order moves the last digits."""
_LENGTHS = (8, 64, 224)
"""What stands for an axis of unknown length, the first that the model can take."""
_SPARE = 256 << 20
"""Bytes that an archive may have beyond its weights: vocabularies and descriptions."""
_COPIES = 6
"""Weights once, and several times in an optimizer's state."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found equal."""

    layers: int
    parameters: int
    difference: float | None
    """The largest difference between outputs, as a share of the largest output; 0: equal in every bit; None: the
    original does not run here."""
    shapes: int
    """Layers whose static output shapes are those of the original."""
    reason: str = ""
    """Why the original does not run here."""


def load_original(archive: Archive, assembled: Assembled, valid: ValidConfig) -> Any:
    """The model itself; Keras's safe mode is on, and only classes that the config has loaded are known besides its own.

    Raises:
        LayercliError: Keras refuses it, or it is larger than what it describes.
    """
    known: dict[str, Any] = {}
    for node in valid.graph.nodes:
        if isinstance(node.layer, CustomLayer):
            cls = type(assembled.layers[node.name])
            known |= {cls.__name__: cls, keras.saving.get_registered_name(cls): cls}
    try:
        if archive.kind == "json":
            document = {key: value for key, value in archive.document.items() if key != "compile_config"}
            return keras.saving.deserialize_keras_object(document, custom_objects=known, safe_mode=True)
        _require_small(archive.path, valid)
        return keras.saving.load_model(archive.path, custom_objects=known, compile=False, safe_mode=True)
    except LayercliError:
        raise
    except Exception as error:
        message = f"Keras cannot load it: {said(error)}"
        raise LayercliError(
            Problem(code="unreadable-model", message=message, file=str(archive.path))
        ) from error


def _require_small(path: Path, valid: ValidConfig) -> None:
    """Refuse an archive that inflates to more than its layers can need."""
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    most = _COPIES * valid.shapes.weight_bytes + _SPARE
    if size > most:
        message = f"It unpacks to {size:,} bytes; the layers that it describes need no more than {most:,}."
        raise LayercliError(Problem(code="unreadable-model", message=message, file=str(path)))


def move_weights(
    original: Any, assembled: Assembled, valid: ValidConfig, leaves: list[Leaf], *, fresh: bool
) -> None:
    """Give each layer the weights, vocabularies and statistics of the original's.

    ``fresh``: the original was never trained; its weights are stirred, so that no bias is zero and no scale is one.
    """
    rng = np.random.default_rng(0)
    for leaf, node in zip(leaves, valid.graph.nodes, strict=True):
        source, target = _layer_at(original, leaf.origin), assembled.layers[node.name]
        if leaf.shares is not None or source is None:
            continue
        if fresh:
            for variable in source.weights:
                if "seed" not in variable.name and np.issubdtype(
                    np.dtype(_numpy_dtype(variable)), np.floating
                ):
                    variable.assign(_stirred(np.asarray(variable), rng))
        if getattr(source, "lookup_table", None) is not None or hasattr(source, "get_vocabulary"):
            _move_vocabulary(source, target)
            continue
        if hasattr(source, "bin_boundaries"):
            target.bin_boundaries = source.bin_boundaries
            continue
        given, taken = _weights(source), _weights(target)
        if [int(np.prod(one.shape)) for one in given] != [int(np.prod(one.shape)) for one in taken]:
            shapes = [
                ", ".join(format_shape(tuple(one.shape)) for one in weights) for weights in (given, taken)
            ]
            raise _differs(
                f"`{'/'.join(leaf.origin)}` has weights of {shapes[0]}, and the rebuilt layer of {shapes[1]}."
            )
        for one, other in zip(given, taken, strict=True):
            other.assign(keras.ops.reshape(keras.ops.convert_to_tensor(one), other.shape))
        for layer in (source, target):
            if hasattr(layer, "finalize_state"):
                layer.finalize_state()


def _weights(layer: Any) -> list[Any]:
    return [weight for weight in layer.weights if "seed_generator" not in weight.path]


def _numpy_dtype(variable: Any) -> str:
    dtype = str(variable.dtype)
    return "float32" if dtype == "bfloat16" else dtype


def _stirred(value: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Numbers near these; kernels are random already, and larger ones would drown the outputs."""
    if value.ndim > 1 and np.ptp(value):
        return value
    scale, offset = rng.uniform(1.0, 1.1, value.shape), rng.uniform(0.0, 0.1, value.shape)
    return np.asarray(value * scale + offset, dtype=value.dtype)


def _move_vocabulary(source: Any, target: Any) -> None:
    """Give a lookup the other's words; where that has none yet, both some."""
    if not source.get_vocabulary(include_special_tokens=False):
        numbers = type(source).__name__ == "IntegerLookup"
        source.adapt(np.arange(1, 9) if numbers else np.array(["a", "word"], dtype=object))
    words = source.get_vocabulary(include_special_tokens=False)
    if list(target.get_vocabulary(include_special_tokens=False)) == list(words):
        return
    lookup = getattr(source, "_lookup_layer", source)
    if getattr(lookup, "output_mode", None) != "tf_idf":
        target.set_vocabulary(words)
        return
    weights = np.asarray(lookup.idf_weights_const)
    target.set_vocabulary(words, idf_weights=weights[len(weights) - len(words) :])


def _layer_at(model: Any, origin: tuple[str, ...]) -> Any:
    """The layer of the original, through the models that hold it; None for an operation."""
    layer = model
    for name in origin:
        if not hasattr(layer, "get_layer"):
            return None if name.isdigit() else layer
        try:
            layer = layer.get_layer(name)
        except ValueError:
            return None
    return layer if isinstance(layer, keras.layers.Layer) else None


def prove(
    original: Any,
    assembled: Assembled,
    valid: ValidConfig,
    leaves: list[Leaf],
    outputs: tuple[Any, ...],
    custom: Callable[[Described], str | None],
) -> Proof:
    """Hold the rebuilt model against the original: layers and wiring, shapes, parameters, and outputs on random inputs.

    Raises:
        LayercliError: they differ; the problem says in what.
    """
    _require_same_graph(assembled, leaves, outputs, custom)
    shapes = _require_same_shapes(original, valid, leaves)
    counts = [
        sum(int(np.prod(one.shape)) for one in _weights(model)) for model in (original, assembled.model)
    ]
    if counts[0] != counts[1]:
        raise _differs(f"The original has {counts[0]:,} parameters, the rebuilt model {counts[1]:,}.")
    difference, reason = _difference(original, assembled, valid)
    return Proof(len(leaves), counts[0], difference, shapes, reason)


def _require_same_graph(
    assembled: Assembled,
    leaves: list[Leaf],
    outputs: tuple[Any, ...],
    custom: Callable[[Described], str | None],
) -> None:
    """Read the rebuilt model as the original was read."""
    stack, problems = read_stack(json.loads(assembled.model.to_json()), custom)
    if problems:
        raise _differs(f"The rebuilt model cannot be read: {problems[0].message}")
    rebuilt, ends = leaves_of(stack)
    for one, other in zip(leaves, rebuilt, strict=False):
        if not one.same(other):
            raise _differs(
                f"`{'/'.join(one.origin)}` became another layer, or is wired otherwise, in the rebuilt model."
            )
    if len(leaves) != len(rebuilt) or outputs != ends:
        raise _differs("The rebuilt model has other layers or outputs.")


def _require_same_shapes(original: Any, valid: ValidConfig, leaves: list[Leaf]) -> int:
    """Hold static shapes against Keras's, layer by layer, where the original calls the layer once."""
    compared = 0
    for leaf, node in zip(leaves, valid.graph.nodes, strict=True):
        row = valid.shapes.by_name[node.name]
        source = _layer_at(original, leaf.origin)
        if source is None or leaf.shares is not None or not row.outputs or leaf.origin[-1].isdigit():
            continue
        try:
            tensors = keras.tree.flatten(source.output)
        except (AttributeError, ValueError):
            continue  # called several times
        theirs = [tuple(tensor.shape)[1:] for tensor in tensors]
        ours = [tensor.shape[1:] for tensor in row.outputs]
        if theirs != ours:
            raise _differs(f"`{'/'.join(leaf.origin)}` gives {', '.join(map(format_shape, theirs))} in the original, and "
                           f"{', '.join(map(format_shape, ours))} after the rebuilding.")  # fmt: skip
        compared += 1
    return compared


def _difference(original: Any, assembled: Assembled, valid: ValidConfig) -> tuple[float | None, str]:
    """The largest difference between the outputs of both for the same random inputs; None, and why, where the original
    cannot take any, such as a convolution of channels first on a CPU."""
    reason = ""
    for length in _LENGTHS:
        given = _examples(valid, length)
        try:
            theirs = _outputs(original, given)
        except Exception as error:
            reason = reason or said(error)
            continue
        try:
            ours = _outputs(assembled.model, given)
        except Exception as error:
            raise _differs(f"The rebuilt model fails on random inputs: {said(error)}") from error
        return max((_apart(one, other) for one, other in zip(theirs, ours, strict=True)), default=0.0), ""
    return None, reason


def _examples(valid: ValidConfig, length: int) -> list[Any]:
    rng = np.random.default_rng(1)
    return [
        example(
            Tensor((None, *(length if dim is None else dim for dim in x.shape[1:])), x.dtype),
            rng,
            largest_index(valid),
        )
        for x in valid.graph.inputs.values()
    ]


def _outputs(model: Any, given: list[Any]) -> list[np.ndarray[Any, Any]]:
    logging.getLogger("tensorflow").setLevel(
        logging.ERROR
    )  # it warns of each convolution that is traced once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that inputs come as a list, whatever their structure was
        outputs = model(given if len(given) > 1 else given[0], training=False)
    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


def _apart(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    if one.shape != other.shape:
        raise _differs(
            f"An output is {format_shape(one.shape)} in the original, and {format_shape(other.shape)} after the rebuilding."
        )
    if not np.issubdtype(one.dtype, np.floating) or one.dtype == object:
        if not np.array_equal(one, other):
            raise _differs("An output differs for the same random inputs.")
        return 0.0
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        raise _differs("An output is not finite in one of both.")
    finite = np.isfinite(one)
    if not finite.any():
        return 0.0
    apart = np.abs(one[finite].astype(np.float64) - other[finite]).max()
    share = float(apart / max(np.abs(one[finite].astype(np.float64)).max(), 1e-12))
    if share > TOLERANCE:
        raise _differs(f"For the same random inputs the outputs are apart by {share:.2g} of the largest.")
    return share


def _differs(message: str) -> LayercliError:
    hint = "No config was written. Please report it with the model's file, if you can."
    return LayercliError(Problem(code="import-differs", message=message, hint=hint))

"""Load the weights of Keras's pretrained models: Keras's own download, or a file."""

from __future__ import annotations

import re
import sys
import warnings
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any, Final

import keras
from keras.src.backend import config as keras_settings  # not public

from layercli.check import ValidConfig
from layercli.engine.applications import find_keras_function
from layercli.engine.assemble import AssembledModel
from layercli.engine.keras_errors import summarize_error
from layercli.errors import LayercliError
from layercli.graph.build import GraphNode
from layercli.io.archives import ArchiveError, check_hdf5, count_hdf5_values, require_stored
from layercli.layers.families.applications import IMAGENET, Application
from layercli.runs.open_run import max_weight_bytes
from layercli.source.nodes import sanitize_text

_ADDRESS: Final = re.compile(r"https?://\S+/([\w.+-]+\.h5)")


def load_pretrained_weights(assembled: AssembledModel, valid: ValidConfig) -> None:
    """Load the weights that each pretrained model of a config names.

    Raises:
        LayercliError: weights cannot be downloaded or read, or are those of another model.
    """
    for node in valid.graph.nodes:
        if isinstance(node.layer, Application) and node.layer.weights is not None and node.reuse_of is None:
            shape = assembled.layers[node.name].input_shape[1:]
            source = _build_pretrained_model(node, node.layer, shape, valid)
            copy_weights(source, assembled.layers[node.name])


def _build_pretrained_model(
    node: GraphNode, layer: Application, shape: tuple[int | None, ...], valid: ValidConfig
) -> Any:
    """Return Keras's own model with its weights, without layercli's preprocessing."""
    path = (*node.path, "weights")
    function, arguments = find_keras_function(layer), layer.keras_arguments()
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # the size of the images differs from that of the pretraining
        if layer.weights == IMAGENET:
            try:
                return function(input_shape=shape, **arguments)
            except Exception as error:  # Keras raises a bare Exception
                row = valid.shapes.by_name[node.name]
                message, hint = _describe_failed_download(layer, row.weight_bytes, error)
                raise LayercliError(valid.make_problem(path, "no-weights", message, hint)) from error
        assert layer.weights is not None
        file = valid.check_result.directory_of(node.path) / layer.weights
        hint = f"Name a file that `save_weights` of keras.applications.{layer.type_name()} wrote, with the same arguments."
        if not file.is_file():
            message = f"{sanitize_text(str(file))} does not exist."
            raise LayercliError(valid.make_problem(path, "unreadable-file", message, hint))
        model = function(input_shape=shape, **arguments | {"weights": None})
        try:
            with file.open("rb") as content:
                require_stored(content)
            check_hdf5(file, max_weight_bytes(valid))
            model.load_weights(file)
        except Exception as error:  # Keras has no common error for files of other models
            reason = _explain_failed_load(file, model, error)
            message = f"Cannot load {sanitize_text(str(file))} into {layer.type_name()}: {reason}"
            hint = getattr(error, "hint", None) or hint
            raise LayercliError(valid.make_problem(path, "no-weights", message, hint)) from error
    return model


def _explain_failed_load(file: Path, model: Any, error: Exception) -> str:
    """Return why a file does not fit a model: it has another number of weights, otherwise Keras's reason."""
    if not isinstance(error, ArchiveError):
        with suppress(OSError, RuntimeError):
            found, expected = count_hdf5_values(file), model.count_params()
            if found != expected:
                return f"the file has {found:,} parameters, and this model has {expected:,}."
    return summarize_error(error)


def _describe_failed_download(
    layer: Application, weight_bytes: int | None, error: Exception
) -> tuple[str, str | None]:
    """Return the message and hint for weights that Keras cannot download."""
    found = _ADDRESS.search(str(error))
    if found is None:
        return f"Cannot load the weights of {layer.type_name()}: {summarize_error(error)}", None
    folder = Path(keras_settings.keras_home(), "models")
    size = f", about {max(1, round(weight_bytes / 1e6))} MB" if weight_bytes else ""
    message = f"Cannot download {found[1]}{size}, the weights of {layer.type_name()}, from {found[0]}."
    hint = f"Download the file on a machine with network access, and copy it to {folder / found[1]}."
    return message, hint


def copy_weights(source: Any, target: Any) -> None:
    """Copy the weights of Keras's model to the same model behind its preprocessing."""
    sources, targets = (_list_layers_with_weights(model) for model in (source, target))
    for theirs, ours in zip(sources, targets, strict=True):
        store: dict[str, Any] = {}
        theirs.save_own_variables(store)
        ours.load_own_variables(store)
    scales = [
        layer.scale
        for layer in source.layers
        if isinstance(layer, keras.layers.Rescaling) and isinstance(layer.scale, (list, tuple))
    ]
    if scales:  # EfficientNet scales the channels once more, only with its pretrained weights
        normalization = next(x for x in target.layers if isinstance(x, keras.layers.Normalization))
        scale = keras.ops.convert_to_tensor(scales[0], dtype=normalization.adapt_variance.dtype)
        normalization.adapt_variance.assign(normalization.adapt_variance / keras.ops.square(scale))
        normalization.finalize_state()


def _list_layers_with_weights(model: Any) -> list[Any]:
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if layer._trainable_variables or layer._non_trainable_variables
    ]

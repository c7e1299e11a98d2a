"""One forward pass on real tensors: what each layer really gives."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import keras
import numpy as np

from layercli.check import ValidConfig
from layercli.engine.adapt import adapt_layer
from layercli.engine.assemble import AssembledModel, call_layer, select_output, shape_mismatch_problem
from layercli.engine.keras_errors import layer_error
from layercli.errors import Problem
from layercli.graph.adaptable import should_adapt
from layercli.graph.build import GraphNode
from layercli.layers.shapes import Shape, Tensor, format_shape

EXAMPLE_BATCH_SIZE = 2
_UNKNOWN_LENGTH = 8
"""What stands for an axis of unknown length."""


def run_forward_pass(
    assembled: AssembledModel, valid: ValidConfig
) -> tuple[dict[str, tuple[Shape, ...]], list[Problem]]:
    """Each layer's actual output shapes, and where they differ from the static ones or are not finite.

    Raises:
        LayercliError: a layer fails while it runs.
    """
    rng = np.random.default_rng(valid.config.seed)
    values: dict[str, Any] = {
        name: make_example_batch(tensor, rng, find_index_limit(valid))
        for name, tensor in valid.graph.inputs.items()
    }
    actual: dict[str, tuple[Shape, ...]] = {}
    problems: list[Problem] = []
    mismatched: set[str] = set()
    for node in valid.graph.nodes:
        layer_inputs = [
            select_output(values[name], pick)
            for name, pick in zip(node.inputs, node.input_indices, strict=True)
        ]
        layer = assembled.layers[node.name]
        if should_adapt(node):
            adapt_layer(
                layer, node.layer, partial(iter, layer_inputs[:1])
            )  # else it has no table to look anything up in
        try:
            result = call_layer(layer, node, layer_inputs, training=False)
        except Exception as error:
            shapes = ", ".join(
                format_shape(tuple(tensor.shape)) for tensor in keras.tree.flatten(layer_inputs)
            )
            raise layer_error(node, valid, f"`{node.name}` fails on an input of {shapes}", error) from error
        values[node.name] = result
        outputs = result if isinstance(result, (list, tuple)) else [result]
        actual[node.name] = tuple(tuple(int(dim) for dim in output.shape) for output in outputs)
        row = valid.shapes.by_name[node.name]
        if row.matches_forward(actual[node.name]) is False:
            if not mismatched.intersection(node.inputs):  # else the layer before is to blame
                problems.append(shape_mismatch_problem(row, valid, actual[node.name]))
            mismatched.add(node.name)
        problems.extend(_check_finite(node, valid, outputs))
    return actual, problems


def make_example_batch(tensor: Tensor, rng: np.random.Generator, index_limit: int) -> Any:
    """Two examples for an input: normal numbers, indices below ``indices``, or words."""
    shape = (EXAMPLE_BATCH_SIZE, *(_UNKNOWN_LENGTH if dim is None else dim for dim in tensor.shape[1:]))
    if tensor.dtype == "string":
        return keras.ops.convert_to_tensor(np.full(shape, "a word", dtype=object), dtype="string")
    if "float" in tensor.dtype and index_limit > _NO_INDEX_LIMIT:
        values: Any = rng.standard_normal(shape, dtype=np.float32)
    elif tensor.dtype == "bool":
        values = rng.integers(0, 2, shape).astype(bool)
    else:
        values = rng.integers(0, min(index_limit, 100), shape)
    return keras.ops.convert_to_tensor(values, dtype=tensor.dtype)


_NO_INDEX_LIMIT = 2**31


def find_index_limit(valid: ValidConfig) -> int:
    """Below what every index of an input must stay: the smallest vocabulary that takes the input itself."""
    sizes = [
        node.layer.input_dim
        for node in valid.graph.nodes
        if hasattr(node.layer, "input_dim") and any(name in valid.graph.inputs for name in node.inputs)
    ]
    return min(sizes, default=_NO_INDEX_LIMIT + 1)


def _check_finite(node: GraphNode, valid: ValidConfig, outputs: Iterable[Any]) -> Iterable[Problem]:
    for output in outputs:
        if keras.backend.is_float_dtype(keras.backend.standardize_dtype(output.dtype)) and not bool(
            keras.ops.all(keras.ops.isfinite(output))
        ):
            yield valid.make_problem(
                node.path, "not-finite", f"`{node.name}` gives NaN or infinity for ordinary numbers.",
                "Look for a division by zero, a logarithm of nothing positive, or weights drawn too large."
            )  # fmt: skip
            return

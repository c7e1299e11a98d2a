"""Run one forward pass on random inputs and compare the output shapes with the static ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import keras

from layercli.check import ValidConfig
from layercli.engine.adapt import adapt_node, to_tensor
from layercli.engine.assemble import AssembledModel, call_layer, select_output, shape_mismatch_problem
from layercli.engine.comparison_inputs import EXAMPLE_BATCH_SIZE, find_probe_length, random_inputs
from layercli.engine.keras_errors import layer_error
from layercli.errors import LayercliError, Problem
from layercli.graph.adaptable import should_adapt
from layercli.graph.build import GraphNode
from layercli.graph.forward_cost import find_last_readers
from layercli.layers.shapes import Shape, format_shape


def run_forward_pass(
    assembled: AssembledModel, valid: ValidConfig
) -> tuple[dict[str, tuple[Shape, ...]], list[Problem]]:
    """Return the actual output shapes of each layer, and a problem for each wrong shape or non-finite output.

    The shapes of ``valid`` are those of the built model, so that custom layers without a declared shape are compared too.

    Raises:
        LayercliError: a layer fails.
    """
    length = find_probe_length(valid)
    inputs = random_inputs(valid, batch_size=EXAMPLE_BATCH_SIZE, length=length)
    values: dict[str, Any] = {name: to_tensor(array) for name, array in inputs.items()}
    actual: dict[str, tuple[Shape, ...]] = {}
    problems: list[Problem] = []
    mismatched: set[str] = set()
    released: dict[str, list[str]] = {node.name: [] for node in valid.graph.nodes}
    for name, reader in find_last_readers(valid.graph).items():
        released[reader].append(name)
    for node in valid.graph.nodes:
        layer_inputs = [
            select_output(values[name], pick)
            for name, pick in zip(node.inputs, node.input_indices, strict=True)
        ]
        try:
            values[node.name] = _run_layer(assembled, node, valid, layer_inputs)
        except LayercliError:
            if mismatched.intersection(node.inputs):  # it received another shape than was declared
                raise LayercliError(problems) from None
            raise
        outputs = keras.tree.flatten(values[node.name])
        # An axis of a ragged tensor has no length.
        actual[node.name] = tuple(
            tuple(None if dim is None else int(dim) for dim in output.shape) for output in outputs
        )
        row = valid.shapes.by_name[node.name]
        if row.matches_forward(actual[node.name]) is False:
            if not mismatched.intersection(node.inputs):  # else the error started at an earlier layer
                built = assembled.tensors[node.name]
                problems.append(shape_mismatch_problem(row, valid, actual[node.name], built))
            mismatched.add(node.name)
        problems.extend(_check_finite(node, valid, outputs))
        del layer_inputs, outputs
        for name in released[node.name]:
            del values[name]  # large images of many layers must not fill the memory
    return actual, problems


def _run_layer(assembled: AssembledModel, node: GraphNode, valid: ValidConfig, inputs: Sequence[Any]) -> Any:
    layer = assembled.layers[node.name]
    if should_adapt(node):
        adapt_node(layer, node, valid, partial(iter, inputs[:1]))  # without a vocabulary, a lookup fails
    try:
        return call_layer(layer, node, list(inputs), training=False)
    except Exception as error:
        shapes = ", ".join(format_shape(tuple(tensor.shape)) for tensor in keras.tree.flatten(inputs))
        raise layer_error(
            node,
            valid,
            f"`{node.name}` fails for an input of shape {shapes}",
            error,
            assembled.codes[node.name],
        ) from error


def _check_finite(node: GraphNode, valid: ValidConfig, outputs: Iterable[Any]) -> Iterable[Problem]:
    for output in outputs:
        is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(output.dtype))
        if is_float and not bool(keras.ops.all(keras.ops.isfinite(output))):
            yield valid.make_problem(
                node.path,
                "not-finite",
                f"`{node.name}` returns NaN or infinity for ordinary numbers.",
                "Look for a division by zero, a logarithm of a number that is not positive, or weights that are too large.",
            )
            return

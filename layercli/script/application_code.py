"""Keras's pretrained models in a script: a function for each, with the preprocessing of its input."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from layercli.check import ValidConfig
from layercli.graph.build import GraphNode
from layercli.layers.families.applications import Application
from layercli.script.keras_calls import argument_expressions
from layercli.script.python_source import (
    INDENT,
    CallExpression,
    Expression,
    NamedValue,
    quote_string,
    render_literal,
    render_statement,
)
from layercli.source.nodes import KeyPath

_PREPROCESSING: Final = {
    "tf": ["x = layers.Rescaling(1 / 127.5, -1.0)(images)"],
    "caffe": [
        "x = keras.ops.flip(images, axis=-1)  # from RGB to BGR",
        "x = layers.Rescaling(1.0, [-103.939, -116.779, -123.68])(x)",
    ],
    "torch": [
        "means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)",
        "scale = [1 / (255 * deviation) for deviation in deviations]",
        "offset = [-mean / deviation for mean, deviation in zip(means, deviations)]",
        "x = layers.Rescaling(scale, offset)(images)",
    ],
}
"""The lines that change values from 0 to 255 as ``preprocess_input`` does in each mode."""


def find_inexpressible_applications(valid: ValidConfig) -> Iterator[KeyPath]:
    """Yield the paths of pretrained weights: a script creates the models with random weights only."""
    for node in valid.graph.nodes:
        if isinstance(node.layer, Application) and node.layer.weights is not None and node.reuse_of is None:
            yield (*node.path, "weights")


def name_application_function(node: GraphNode) -> str:
    """Return the name of the function that creates a pretrained model."""
    return f"make_{re.sub(r'[^0-9a-zA-Z]', '_', node.name).lower()}"


def write_applications(valid: ValidConfig) -> Iterator[str]:
    """Yield the lines of the functions, with two empty lines after each."""
    for node in valid.graph.nodes:
        if not isinstance(node.layer, Application) or node.reuse_of is not None:
            continue
        layer, x = node.layer, valid.shapes.by_name[node.name].inputs[0]
        assert x is not None
        shape = render_literal(tuple(x.shape[1:]))
        mode = layer.preprocessing_mode if layer.has_preprocessing else None
        yield f"def {name_application_function(node)}():"
        yield f'{INDENT}"""Return {layer.type_name()}{" with its preprocessing" if mode else ""}."""'
        images = CallExpression("keras.Input", (NamedValue("shape=", shape),))
        yield from render_statement(images, INDENT, before="images = ")
        yield from (f"{INDENT}{line}" for line in _PREPROCESSING.get(mode or "", []))
        arguments: list[Expression] = [
            NamedValue("input_tensor=", "x" if mode else "images"),
            NamedValue("input_shape=", shape),
            NamedValue("weights=", "None"),
        ]
        arguments += [
            NamedValue(f"{name}=", value)
            for name, value in argument_expressions(layer).items()
            if name != "weights"
        ]
        call = CallExpression(f"keras.applications.{layer.type_name()}", tuple(arguments))
        yield from render_statement(call, INDENT, before="model = ")
        yield f"{INDENT}return keras.Model(images, model.output, name={quote_string(node.name)})"
        yield from ("", "")

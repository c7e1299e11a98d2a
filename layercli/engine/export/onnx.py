"""The ONNX format, written by tf2onnx and run by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from layercli.data.types import Array
from layercli.engine.export.options import ExportOptions, InputBatch, Runner, WordIndex, input_signature

TOLERANCE = 1e-4
_LOOKUP_OPSET = 2
"""The version of ai.onnx.ml that has lookups from texts to integers."""


def write_model(model: Any, output_path: Path, options: ExportOptions) -> None:
    """Write the ONNX file; inputs and outputs keep the model's names."""
    import onnx
    import tf2onnx.convert

    specs = input_signature(model, options.batch_size)

    def forward(*tensors: Any) -> Any:
        return model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)

    function = tf.function(forward, autograph=False)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=options.opset)
    graph = function.get_concrete_function(*specs).graph
    constants = {
        placeholder.name: value.numpy()
        for value, placeholder in graph.captures
        if placeholder.dtype != tf.resource
    }
    _embed_constants(proto, constants)
    _replace_erfc(proto)
    _name_outputs(proto, list(options.output_names or model.output_names))
    _add_word_lookups(proto, options.word_indices)
    _name_batch_axis(proto)
    onnx.save(proto, str(output_path))


def run_model(output_path: Path, batches: list[InputBatch], options: ExportOptions) -> list[list[Array]]:  # noqa: ARG001
    """Return the outputs of onnxruntime for each batch, on the CPU."""
    run = load_runner(output_path)
    return [run(batch) for batch in batches]


def load_runner(output_path: Path) -> Runner:
    """Return the function of a loaded file."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session: Any = onnxruntime.InferenceSession(
        str(output_path), settings, providers=["CPUExecutionProvider"]
    )
    return lambda batch: [np.asarray(output) for output in session.run(None, batch)]


def embed_description(output_path: Path, description: str) -> None:
    """Write the description of inputs and outputs to the metadata of the file, as ``layercli``."""
    import onnx

    proto = onnx.load(str(output_path))
    onnx.helper.set_model_props(proto, {"layercli": description})
    onnx.save(proto, str(output_path))


def _embed_constants(proto: Any, constants: dict[str, Any]) -> None:
    """Store captured tensors, such as the mean of Normalization, as initializers; tf2onnx declares them as inputs."""
    from onnx import numpy_helper

    for value in [value for value in proto.graph.input if value.name in constants]:
        proto.graph.initializer.append(numpy_helper.from_array(constants[value.name], value.name))
        proto.graph.input.remove(value)


def _replace_erfc(proto: Any) -> None:
    """Replace ``Erfc``, which exact GELU uses and ONNX lacks, with 1 - Erf."""
    from onnx import helper, numpy_helper

    nodes = list(proto.graph.node)
    if not any(node.op_type == "Erfc" for node in nodes):
        return
    del proto.graph.node[:]
    one = "layercli_one"
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((), dtype=np.float32), one))
    for node in nodes:
        if node.op_type == "Erfc":
            inner = f"{node.output[0]}_erf"
            proto.graph.node.append(helper.make_node("Erf", node.input, [inner], name=f"{node.name}_erf"))
            node = helper.make_node("Sub", [one, inner], node.output, name=node.name)
        proto.graph.node.append(node)


def _name_outputs(proto: Any, names: list[str]) -> None:
    """Rename the outputs from tf2onnx's ``Identity:0`` to the model's names."""
    used_names = {name for node in proto.graph.node for name in node.output}
    used_names |= {value.name for value in proto.graph.input}
    new = {
        value.name: name
        for value, name in zip(proto.graph.output, names, strict=True)
        if name not in used_names and names.count(name) == 1
    }
    for value in proto.graph.output:
        value.name = new.get(value.name, value.name)
    for node in proto.graph.node:
        for names_of in (node.input, node.output):
            for index, name in enumerate(names_of):
                names_of[index] = new.get(name, name)


def _add_word_lookups(proto: Any, word_indices: Mapping[str, WordIndex]) -> None:
    """Compute each input of indices from an input of texts, with the LabelEncoder of ai.onnx.ml."""
    from onnx import TensorProto, helper

    inputs = {value.name: value for value in proto.graph.input}
    for name, index in word_indices.items():
        value = inputs[name]
        indices = {word: position for position, word in enumerate(index.words)} | dict(index.missing)
        sizes = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        proto.graph.input.remove(value)
        if index.source not in {value.name for value in proto.graph.input}:
            proto.graph.input.append(helper.make_tensor_value_info(index.source, TensorProto.STRING, sizes))
        lookup = helper.make_node(
            "LabelEncoder",
            [index.source],
            [name],
            domain="ai.onnx.ml",
            keys_strings=list(indices),
            values_int64s=list(indices.values()),
            default_int64=index.unknown,
        )
        proto.graph.node.insert(0, lookup)
    if word_indices:
        proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", _LOOKUP_OPSET))


def _name_batch_axis(proto: Any) -> None:
    for value in (*proto.graph.input, *proto.graph.output):
        shape = value.type.tensor_type.shape
        if shape.dim and shape.dim[0].HasField("dim_param"):
            shape.dim[0].dim_param = "batch"

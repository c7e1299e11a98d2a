"""The export formats: facts that the command line needs before TensorFlow is imported.

A new format needs its name and entry here, and the module that the entry names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

ExportFormatName: TypeAlias = Literal["keras", "saved_model", "onnx", "litert", "python"]


@dataclass(frozen=True, slots=True)
class ExportFormatFacts:
    """The description of an export format."""

    module: str | None
    """The module that writes and runs it, an ``ExportFormat``; None for a script, which is not a converted model."""
    suffix: str
    """The file suffix; empty if the format is a folder."""
    title: str
    runtime: str
    """The program that runs the exported model."""
    packages: tuple[str, ...] = ()
    """Modules that must be installed; the name of the extra is that of the format."""
    options: tuple[str, ...] = ()
    """The options of ``layercli export`` that apply only to some formats."""
    is_keras_model: bool = False
    """Whether it contains Keras layers, so that custom layers need their code."""
    supports_text: bool = False
    """Whether it contains every layer of texts."""
    takes_columns: bool = False
    """Whether it also takes each raw column of a table by itself."""
    supports_index_layers: bool = False
    """Whether it contains Discretization and CategoryEncoding as Keras writes them."""
    supports_word_lookup: bool = False
    """Whether it contains the lookup of a word, such as StringLookup."""
    fills_missing_values: bool = True
    """Whether it replaces missing numbers, and missing texts that it takes, as the run does."""
    loop_hint: str | None = None
    """The hint if a model with recurrent layers is refused without a fixed batch size."""


EXPORT_FORMATS: Final = {
    "keras": ExportFormatFacts(
        module="layercli.engine.export.keras_file",
        suffix=".keras",
        title="Keras",
        runtime="a new Python process",
        is_keras_model=True,
        supports_index_layers=True,
        supports_text=True,
        fills_missing_values=False,
    ),
    "saved_model": ExportFormatFacts(
        module="layercli.engine.export.saved_model",
        suffix="",
        title="SavedModel",
        runtime="TensorFlow",
        options=("--batch-size",),
        supports_text=True,
        takes_columns=True,
        supports_index_layers=True,
    ),
    "onnx": ExportFormatFacts(
        module="layercli.engine.export.onnx",
        suffix=".onnx",
        title="ONNX",
        runtime="onnxruntime",
        packages=("tf2onnx", "onnx", "onnxruntime"),
        supports_word_lookup=True,
        options=("--batch-size", "--opset"),
    ),
    "litert": ExportFormatFacts(
        module="layercli.engine.export.litert",
        suffix=".tflite",
        title="LiteRT",
        runtime="the LiteRT interpreter",
        packages=("ai_edge_litert",),
        options=("--batch-size", "--quantize"),
        loop_hint="A recurrent layer requires a fixed batch size: add `--batch-size 1`.",
    ),
    "python": ExportFormatFacts(
        module=None,
        suffix=".py",
        title="the script",
        runtime="a new Python process",
        options=("--weights",),
    ),
}
"""Name -> description."""

_TO_ONNX: Final = "Write `--format onnx`, which other programs read or convert."

OTHER_FORMATS: Final = {
    name: hint
    for names, hint in (
        (
            "tflite lite tensorflow_lite edgetpu",
            "Write `--format litert`: LiteRT is the new name of TensorFlow Lite, and the file ends in .tflite.",
        ),
        (
            "tf tensorflow pb protobuf graphdef frozen_graph",
            "Write `--format saved_model`, the format of TensorFlow.",
        ),
        (
            "tfjs tensorflowjs coreml mlmodel mlpackage",
            "Write `--format saved_model`, which the converter of that format reads.",
        ),
        (
            "h5 hdf5 weights",
            "Write `--format keras`; "
            '`keras.saving.load_model("model.keras").save_weights("model.weights.h5")` saves the weights in HDF5.',
        ),
        ("pt pth torch pytorch torchscript jit safetensors", _TO_ONNX),
        ("openvino tensorrt trt ort onnxruntime ncnn mlir", _TO_ONNX),
        ("py script code", "Write `--format python`."),
    )
    for name in names.split()
}
"""Formats and suffixes of other programs -> what to write; ``onnx-17`` and the like are in ``suggest_format``."""


def suggest_format(name: str) -> str | None:
    """Return what to write for the name of a format that does not exist, or None."""
    folded = name.lower().lstrip(".").replace("-", "_").replace(" ", "_")
    version = re.fullmatch(r"onnx_?(?:opset_?)?(\d{1,2})", folded, re.ASCII)
    if version is not None:
        return f"Write `--format onnx --opset {version[1]}`."
    known = {known.replace("_", ""): known for known in EXPORT_FORMATS}.get(folded.replace("_", ""))
    return OTHER_FORMATS.get(folded) if known is None else f"Write `--format {known}`."

"""The export formats: facts that the command line needs before TensorFlow is imported.

A new format needs its name and entry here, and the module that the entry names.
"""

from __future__ import annotations

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

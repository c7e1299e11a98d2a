"""The commands that work for a finished run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from layercli.check import ValidConfig
from layercli.export_formats import EXPORT_FORMATS
from layercli.formats.images.config import Images
from layercli.graph.output_kind import infer_output_kind
from layercli.graph.target_meaning import TargetKind
from layercli.runs.manifest import has_reached_limit, read_manifest_or_none
from layercli.source.nodes import sanitize_text
from layercli.workflows.preflight import require_sections


def format_train_command(config: str, overrides: Sequence[str], *, trust: bool) -> str:
    """Return the command line that trains a config with the same values of ``--set``, quoted for a shell."""
    words = ["layercli", "train", config]
    for override in overrides:
        words += ["--set", override]
    return sanitize_text(shlex.join([*words, *(["--trust"] if trust else [])]))


def list_next_commands(valid: ValidConfig, summary: Mapping[str, Any]) -> list[str]:
    """Return commands that continue, evaluate, use and export the model of a finished run with this summary."""
    data, _ = require_sections(valid)
    run = shlex.quote(sanitize_text(summary["run"]))
    has_data_code = data.path_key == "function"
    trust = " --trust" if valid.needs_trust else ""
    has_validation = any(name.startswith("val_") for name in summary["history"])
    part = "test" if summary["test"] else "validation" if has_validation else "train"
    has_files = data.path_key in type(data).model_fields and not has_data_code
    source = "--input FILE" if has_files else f"--part {part}"
    output = f"predictions.{_choose_suffix(valid)}"
    if isinstance(data, Images) and data.masks is not None and _predicts_classes(valid):
        output = "masks/"
    manifest = read_manifest_or_none(Path(summary["run"]))
    return [
        *([f"layercli train --resume {run}{trust}"] if manifest and has_reached_limit(manifest) else []),
        *([f"layercli evaluate {run}{trust}"] if summary["test"] else []),
        f"layercli report {run}{trust}",
        f"layercli predict {run} {source} --output {output}{trust}",
        f"layercli export {run} --format {_choose_format(valid)}{trust}",
    ]


def _predicts_classes(valid: ValidConfig) -> bool:
    """Return whether the only output has a class for each position."""
    [title, *others] = valid.graph.output_references
    tensor = valid.shapes.output(valid.graph.outputs[0], valid.graph.output_indices[0])
    if others or tensor is None or not tensor.shape:
        return False
    target_kind: TargetKind = "binary" if tensor.shape[-1] == 1 else "labels"
    kind = infer_output_kind(valid.config, title, tensor.shape, target_kind=target_kind)
    return kind.kind in ("classes", "two")


def _choose_suffix(valid: ValidConfig) -> str:
    """Return a file type that can hold the outputs of one example in a row."""
    from layercli.data.predictions import MAX_CSV_COLUMNS

    shapes = [
        tensor.shape[1:]
        for name, pick in zip(valid.graph.outputs, valid.graph.output_indices, strict=True)
        if (tensor := valid.shapes.output(name, pick)) is not None
    ]
    is_small = all(prod(size or MAX_CSV_COLUMNS + 1 for size in shape) <= MAX_CSV_COLUMNS for shape in shapes)
    return "csv" if is_small else "npz"


def _choose_format(valid: ValidConfig) -> str:
    """Return ``onnx`` if its packages are installed and it supports the inputs; otherwise TensorFlow's own format."""
    has_text = any(tensor.dtype == "string" for tensor in valid.graph.inputs.values())
    is_installed = all(find_spec(package) is not None for package in EXPORT_FORMATS["onnx"].packages)
    return "onnx" if is_installed and not has_text else "saved_model"

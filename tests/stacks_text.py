"""Check a stack of layers without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from layercli.check import CheckResult, check_document
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText


def checked_layers(layers: Sequence[Any], dtype: str = "int32", shape: Sequence[int] = (6,)) -> CheckResult:
    """Return the problems of a model; layer number ``n``, counted from 0, is in line ``4 + n``."""
    lines = ["model:", f"  input: {{shape: {list(shape)}, dtype: {dtype}}}", "  layers:"]
    lines += [f"    - {json.dumps(layer)}" for layer in layers]  # JSON is YAML on one line
    return check_document(parse_yaml(SourceText("stack.yaml", lines, directory=Path())))

"""Compare static checks of whole stacks with Keras, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import yaml

from layercli.check import CheckResult, check_document
from layercli.layers.shapes import Shape, Tensor
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText
from tests.layers.parity import judged
from tests.stateless import unallocated_weights

Verdict = tuple[list[Shape], int, int]
"""A layer's output shapes, and its numbers of trainable and other parameters."""


def document(shape: list[int | None], layers: list[Any], dtype: str = "float32") -> str:
    """Return a config that contains the layers."""
    return yaml.safe_dump({"model": {"input": {"shape": shape, "dtype": dtype}, "layers": layers}})


def checked(text: str) -> CheckResult:
    """Return the problems of a config."""
    return check_document(parse_yaml(SourceText("stack.yaml", text.splitlines(), directory=Path())))


def static_verdicts(found: CheckResult) -> list[Verdict]:
    """Return the static result of each layer."""
    rows = found.shapes.rows
    return [([x.shape for x in row.outputs], row.trainable, row.non_trainable) for row in rows]


def keras_verdicts(shape: list[int | None], layers: list[Any], dtype: str = "float32") -> list[Verdict | str]:
    """Return Keras's result of each layer up to the first error, without allocating weights."""
    x = Tensor((None, *shape), dtype)
    verdicts: list[Verdict | str] = []
    for value in layers:
        found = judged({"type": value} if isinstance(value, str) else value, x)
        if isinstance(found, str):
            return [*verdicts, found]
        outputs, weights = found
        counts = [
            sum(_size(each) for each, trained in weights if trained is wanted) for wanted in (True, False)
        ]
        verdicts.append(([y.shape for y in outputs], *counts))
        x = outputs[0]
    return verdicts


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for dim in shape:
        size *= dim
    return size


def application(name: str) -> Any:
    """Return a ``keras.applications`` model without weight values."""
    with unallocated_weights():
        return getattr(keras.applications, name)(weights=None)

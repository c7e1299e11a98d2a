"""Explain errors of TensorFlow about a dtype that an operation of a training does not support."""

from __future__ import annotations

import re
from collections.abc import Iterator

from layercli.check import ValidConfig
from layercli.config.training.section import TrainSection
from layercli.engine.keras_errors import read_error_text
from layercli.errors import Problem
from layercli.layers.base import Layer
from layercli.schema.component import Component
from layercli.source.nodes import KeyPath

_DTYPE_PATTERN = re.compile(
    r"\b(?:DT_)?(bfloat16|float16|half|float64|double)\b|__array__ method not producing an array",
    re.IGNORECASE,
)
"""Texts of TensorFlow and NumPy about a dtype that they do not support; the last is NumPy's about bfloat16."""
_KERAS_NAMES = {"half": "float16", "double": "float64"}


def explain_dtype_error(error: BaseException, valid: ValidConfig) -> Problem | None:
    """Return the problem of a dtype that a layer, loss or metric sets; None if the error has a different cause."""
    found = _DTYPE_PATTERN.search(read_error_text(error))
    if found is None:
        return None
    named = (found[1] or "bfloat16").lower()
    refused = _KERAS_NAMES.get(named, named)
    for subject, path, dtype in _list_dtypes(valid):
        if dtype.removeprefix("mixed_") == refused:
            message = f"Training stopped: TensorFlow cannot train {subject} in {dtype}."
            hint = f"Remove `dtype: {dtype}`, or write `dtype: float32`."
            if not dtype.startswith("mixed_") and dtype != "float64":
                hint += f" `model: {{dtype: mixed_{dtype}}}` computes in {dtype} where it is supported."
            return valid.make_problem(path, "training-failed", message, hint)
    return None


def _list_dtypes(valid: ValidConfig) -> Iterator[tuple[str, KeyPath, str]]:
    """Yield what sets a dtype, its path in the config, and the dtype."""
    for node in valid.graph.nodes:
        if isinstance(node.layer, Layer) and node.layer.dtype is not None:
            yield f"`{node.name}`", (*node.path, "dtype"), node.layer.dtype
    train = valid.config.train
    for name, path, component in _list_components(train) if train is not None else ():
        dtype = getattr(component, "dtype", None)
        if isinstance(dtype, str):
            yield f"the {name} {component.type_name()}", (*path, "dtype"), dtype
    if valid.config.model.dtype is not None:
        yield "the model", ("model", "dtype"), valid.config.model.dtype


def _list_components(train: TrainSection) -> Iterator[tuple[str, KeyPath, Component]]:
    """Yield the losses and metrics: kind, path and component."""
    for kind, key in (("loss", "loss"), ("metric", "metrics"), ("metric", "weighted_metrics")):
        pending: list[tuple[KeyPath, object]] = [(("train", key), getattr(train, key))]
        while pending:
            path, value = pending.pop()
            if isinstance(value, Component):
                yield kind, path, value
            elif isinstance(value, dict):
                pending += [((*path, name), item) for name, item in value.items()]
            elif isinstance(value, (list, tuple)):
                pending += [((*path, index), item) for index, item in enumerate(value)]

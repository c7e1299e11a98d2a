"""The function of a script that makes metrics convert their targets and predictions before they measure them."""

from __future__ import annotations

from collections.abc import Iterator

from layercli.config.training.metrics import Metric
from layercli.config.training.section import TrainSection
from layercli.schema.component import Component
from layercli.script.keras_calls import CONVERT_INPUTS
from layercli.script.python_source import INDENT, quote_string


def write_convert_inputs(train: TrainSection | None, *, has_positions: bool) -> list[str]:
    """Return the lines of the function, with only the conversions that the metrics use; none if they use none.

    Args:
        train: The ``train`` section.
        has_positions: Whether an output has a value for each of several positions.
    """
    metrics = (
        [] if train is None else [metric for metric in _iterate_metrics(train) if metric.converts_inputs]
    )
    if not metrics:
        return []
    targets, activations = {metric.targets for metric in metrics}, {metric.activation for metric in metrics}
    has_ignored = any(metric.conversions.get("ignore_class") is not None for metric in metrics)
    ignored = ", ignore_class=None" if has_ignored else ""
    lines = [
        f"def {CONVERT_INPUTS}(metric, targets=None, activation=None{ignored}):",
        f'{INDENT}"""Make a metric convert its targets and predictions before it measures them."""',
        f"{INDENT}update_state = metric.update_state",
        "",
        f"{INDENT}def update_converted(y_true, y_pred, sample_weight=None):",
    ]
    body = _write_ignored_class() if has_ignored else []
    for name in ("sigmoid", "softmax"):
        if name in activations:
            body += [f'if activation == "{name}":', f"{INDENT}y_pred = keras.ops.{name}(y_pred)"]
    if "one_hot" in targets:
        body += [
            'if targets == "one_hot":',
            f'{INDENT}labels = keras.ops.cast(y_true, "int32")',
            f"{INDENT}labels = keras.ops.reshape(labels, keras.ops.shape(y_pred)[:-1])",
            f"{INDENT}y_true = keras.ops.one_hot(labels, y_pred.shape[-1])",
        ]
    if targets & {"binary", "output_shape"}:
        body += [
            'if targets in ("binary", "output_shape"):',
            f"{INDENT}y_true = keras.ops.reshape(y_true, keras.ops.shape(y_pred))",
        ]
    if "binary" in targets:
        body += ['if targets == "binary":', f'{INDENT}y_true = keras.ops.cast(y_true > 0, "float32")']
    matrix_metrics = sorted({metric.type_name() for metric in metrics if metric.requires_matrix})
    if has_positions and matrix_metrics:
        names = f"({', '.join(map(quote_string, matrix_metrics))}{',' * (len(matrix_metrics) == 1)})"
        body += [
            f"takes_matrix = type(metric).__name__ in {names}",
            "if takes_matrix and len(y_pred.shape) > 2:",
            f"{INDENT}if sample_weight is not None:",
            f"{2 * INDENT}size = keras.ops.shape(y_pred)[0]",
            f"{2 * INDENT}positions = keras.ops.reshape(y_pred[..., 0], (size, -1))",
            f"{2 * INDENT}weights = keras.ops.reshape(sample_weight, (size, -1))",
            f"{2 * INDENT}weights = weights * keras.ops.ones_like(positions)",
            f"{2 * INDENT}sample_weight = keras.ops.reshape(weights, (-1,))",
            f"{INDENT}y_true = keras.ops.reshape(y_true, (-1, y_pred.shape[-1]))",
            f"{INDENT}y_pred = keras.ops.reshape(y_pred, (-1, y_pred.shape[-1]))",
        ]
    body.append("return update_state(y_true, y_pred, sample_weight)")
    lines += [f"{2 * INDENT}{line}" for line in body]
    return [*lines, "", f"{INDENT}metric.update_state = update_converted", f"{INDENT}return metric"]


def _write_ignored_class() -> list[str]:
    """Return the lines that give the weight 0 to the labels of one class."""
    return [
        "if ignore_class is not None:",
        f"{INDENT}y_true = keras.ops.reshape(y_true, keras.ops.shape(y_pred)[:-1])",
        f"{INDENT}is_kept = y_true != keras.ops.cast(ignore_class, y_true.dtype)",
        f"{INDENT}y_true = keras.ops.where(is_kept, y_true, keras.ops.zeros_like(y_true))",
        f'{INDENT}weights = keras.ops.cast(is_kept, "float32")',
        f"{INDENT}if sample_weight is not None:",
        f"{2 * INDENT}shape = keras.ops.shape(y_true)",
        f"{2 * INDENT}weights *= keras.ops.reshape(sample_weight, shape)",
        f"{INDENT}sample_weight = weights",
    ]


def _iterate_metrics(train: TrainSection) -> Iterator[Metric]:
    for section in (train.metrics, train.weighted_metrics):
        lists: list[list[str | Component]] = [*section.values()] if isinstance(section, dict) else [section]
        yield from (metric for metrics in lists for metric in metrics if isinstance(metric, Metric))

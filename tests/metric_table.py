"""The table of metrics in docs/training.md; `python -m tests.metric_table` writes it."""

from __future__ import annotations

from pathlib import Path

from layercli.config.training.metric_inputs import MetricInputs, MetricMismatchError
from layercli.config.training.metrics import Metric
from layercli.config.training.registry import METRICS, parse_metric
from layercli.graph.metrics import adapt_metric

PAGE = Path(__file__).parents[1] / "docs" / "training.md"
COLUMNS = {
    "class numbers": MetricInputs(form="labels", units=7, activation="softmax", has_one_class=True),
    "one-hot": MetricInputs(form="one-hot", units=7, activation="softmax", has_one_class=True),
    "several labels": MetricInputs(form="multi-label", units=7, activation="sigmoid"),
    "0 and 1": MetricInputs(form="binary", units=1, activation="sigmoid"),
    "-1 and 1": MetricInputs(form="signs", units=1, activation="tanh", logits="sigmoid"),
    "numbers": MetricInputs(form="numbers", units=7, activation="linear"),
}
"""Title of a column -> the target and output of it."""
ARGUMENTS = {
    **{name: {"num_classes": 7} for name in ("MeanIoU", "OneHotMeanIoU")},
    **{name: {"num_classes": 7, "target_class_ids": [0]} for name in ("IoU", "OneHotIoU")},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
}
_START, _END = "<!-- metrics: start -->\n", "<!-- metrics: end -->\n"


def write_table() -> str:
    """Return the table: one row for all metrics with the same targets."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for name in ["accuracy", *METRICS.names]:
        cells = tuple(_describe(name, inputs) for inputs in COLUMNS.values())
        if any(cells):
            rows.setdefault(cells, []).append(f"`{name}`")
    head = f"| metric | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 1)}\n"
    return head + "".join(f"| {', '.join(names)} | {' | '.join(cells)} |\n" for cells, names in rows.items())


def _describe(name: str, inputs: MetricInputs) -> str:
    metric = parse_metric(name if name == "accuracy" else {"type": name, **ARGUMENTS.get(name, {})})
    if name.lower() == "accuracy" and inputs.form == "numbers":
        return ""
    try:
        adapted = adapt_metric(metric, inputs)
    except MetricMismatchError:
        return ""
    targets = adapted.targets if isinstance(adapted, Metric) else None
    return "yes" if targets in (None, "output_shape") else f"`{targets}`"


def read_table() -> str:
    """Return the table of the page."""
    return PAGE.read_text(encoding="utf-8").partition(_START)[2].partition(_END)[0]


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_START)
    PAGE.write_text(f"{before}{_START}{write_table()}{_END}{rest.partition(_END)[2]}", encoding="utf-8")

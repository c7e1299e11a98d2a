"""The YAML at the start of a model card, in the words of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from layercli.config.data.tables import TableConfig
from layercli.reports.run_page.content import EvaluationContent, RunContent
from layercli.source.dump import to_yaml
from layercli.source.nodes import sanitize_text
from layercli.source.scalars import is_number

_CLASSIFICATION: Final = ("classes", "two", "labels", "sign")
_SUBJECTS: Final = {"images": "image", "text": "text"}
"""The subject of a task by the type of the data; all types of tables have the same."""
_PREDICTION: Final = {"tabular": "tabular-regression"}
_MAX_METRICS: Final = 20
_MAX_NAME: Final = 200


def format_card_metadata(contents: Sequence[RunContent]) -> str:
    """Return the front matter of the card of these runs: library, task, and results as a model index."""
    tasks = dict.fromkeys(task for content in contents if (task := _find_task(content)) is not None)
    document: dict[str, Any] = {"library_name": "keras", "tags": ["layercli"]}
    if len(tasks) == 1:
        document["pipeline_tag"] = next(iter(tasks))
    index = [
        _make_entry(content, content.evaluation) for content in contents if content.evaluation is not None
    ]
    if index:
        document["model-index"] = index
    return f"---\n{to_yaml(document)}---\n\n"


def _find_task(content: RunContent) -> str | None:
    """Return the task of a model, if the Hub has a name for it."""
    data = content.valid.config.data if content.valid is not None else None
    if data is None:
        return None
    subject = "tabular" if isinstance(data, TableConfig) else _SUBJECTS.get(data.type_name())
    outputs = content.evaluation.outputs if content.evaluation is not None else ()
    if subject is None or len(outputs) != 1:
        return None
    if getattr(data, "windows", None) is not None:
        return "time-series-forecasting"
    if outputs[0].has_positions:
        return "image-segmentation" if subject == "image" else None
    if outputs[0].kind.kind in _CLASSIFICATION:
        return f"{subject}-classification"
    return _PREDICTION.get(subject)


def _make_entry(content: RunContent, evaluation: EvaluationContent) -> dict[str, Any]:
    name = content.valid.check_result.name if content.valid is not None else content.title
    data = content.valid.config.data if content.valid is not None else None
    shown = sanitize_text(name, limit=_MAX_NAME)
    metrics = [
        {"type": sanitize_text(metric, limit=_MAX_NAME), "value": value}
        for metric, value in list(evaluation.metrics.items())[:_MAX_METRICS]
        if is_number(value)
    ]
    dataset = {
        "name": shown,
        "type": data.type_name() if data is not None else "other",
        "split": evaluation.split,
    }
    result = {"task": {"type": _find_task(content) or "other"}, "dataset": dataset, "metrics": metrics}
    return {"name": shown, "results": [result]}

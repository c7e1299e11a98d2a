"""The names under which training logs losses and metrics, with their better direction."""

from collections.abc import Iterator, Mapping, Sequence

from layercli.config.training.metrics import Direction, metric_direction, metric_log_name
from layercli.config.training.section import TrainSection
from layercli.schema.component import Component


def collect_log_names(train: TrainSection, outputs: Sequence[str] = ()) -> dict[str, Direction]:
    """Return the better direction of each name that Keras logs, without ``val_``; None if Keras does not define it.

    Args:
        train: The ``train`` section.
        outputs: The names of the model's outputs; if empty, the outputs that the section names.
    """
    names: dict[str, Direction] = {"loss": "min"}
    sections_by_output = [
        section
        for section in (train.loss, train.metrics, train.weighted_metrics)
        if isinstance(section, dict)
    ]
    outputs = list(outputs) or list(dict.fromkeys(name for section in sections_by_output for name in section))
    has_several_outputs = len(outputs) > 1
    if has_several_outputs:
        names |= dict.fromkeys((f"{output}_loss" for output in outputs), "min")
    counts: dict[str, int] = {}
    for weighted, section in ((False, train.metrics), (True, train.weighted_metrics)):
        for output, metric in _iterate_metrics(section):
            prefix = f"{output}_" if has_several_outputs and output is not None else ""
            name = f"{prefix}{metric_log_name(metric)}"
            if weighted and name in counts:
                name = f"{prefix}weighted_{metric_log_name(metric)}"
            count = counts[name] = counts.get(name, -1) + 1
            names[f"{name}_{count}" if count else name] = metric_direction(metric)
    return names


def _iterate_metrics(
    section: Sequence[str | Component] | Mapping[str, Sequence[str | Component]],
) -> Iterator[tuple[str | None, str | Component]]:
    """Yield each metric with its output, if the section names it."""
    if isinstance(section, Mapping):
        yield from ((output, metric) for output, metrics in section.items() for metric in metrics)
    else:
        yield from ((None, metric) for metric in section)

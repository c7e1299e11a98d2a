"""What training logs: the names of losses and metrics, and which way each is better."""

from collections.abc import Iterator, Mapping, Sequence

from layercli.config.training.metrics import Direction, direction, logged_name
from layercli.config.training.section import TrainSection
from layercli.schema.component import Component


def logged(train: TrainSection, outputs: Sequence[str] = ()) -> dict[str, Direction]:
    """Each name that Keras logs, without ``val_``, and which way it is better; None where Keras cannot tell.

    ``outputs`` are those of the model; where nobody knows them, those that the section names are taken for all.
    """
    names: dict[str, Direction] = {"loss": "min"}
    named = [
        section
        for section in (train.loss, train.metrics, train.weighted_metrics)
        if isinstance(section, dict)
    ]
    outputs = list(outputs) or list(dict.fromkeys(name for section in named for name in section))
    several = len(outputs) > 1
    if several:
        names |= dict.fromkeys((f"{output}_loss" for output in outputs), "min")
    counts: dict[str, int] = {}
    for weighted, section in ((False, train.metrics), (True, train.weighted_metrics)):
        for output, metric in _metrics(section):
            prefix = f"{output}_" if several and output is not None else ""
            name = f"{prefix}{logged_name(metric)}"
            if weighted and name in counts:
                name = f"{prefix}weighted_{logged_name(metric)}"
            count = counts[name] = counts.get(name, -1) + 1
            names[f"{name}_{count}" if count else name] = direction(metric)
    return names


def _metrics(
    section: Sequence[str | Component] | Mapping[str, Sequence[str | Component]],
) -> Iterator[tuple[str | None, str | Component]]:
    """Each metric with the output that it is of, if that is said."""
    if isinstance(section, Mapping):
        yield from ((output, metric) for output, metrics in section.items() for metric in metrics)
    else:
        yield from ((None, metric) for metric in section)

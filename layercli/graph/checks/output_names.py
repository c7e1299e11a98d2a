"""Checks that losses and metrics name outputs of the model, and that each output has a loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from layercli.config.config import Config
from layercli.graph.finding import Finding
from layercli.schema.component import Component, snake_case
from layercli.schema.flow_style import format_value
from layercli.schema.suggestions import did_you_mean, find_closest, list_names
from layercli.source.nodes import KeyPath, sanitize_text


def check_output_names(config: Config, outputs: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding for each loss, weight or metric with an invalid output, and each output without a loss."""
    train = config.train
    if train is None or not outputs:
        return
    if len(outputs) > 1 and train.class_weight is not None:
        yield Finding(
            code="bad-argument",
            message=f"`class_weight` requires a model with one output, but the model has {len(outputs)}.",
            path=("train", "class_weight"),
            hint="Remove it, or give each example a weight in the data with `weights`.",
            at_key=True,
        )
    listed, known_outputs = list_names(outputs), set(outputs)
    for key in ("loss", "loss_weights", "metrics", "weighted_metrics"):
        section = getattr(train, key)
        path: KeyPath = ("train", key)
        if not isinstance(section, dict):
            if section and len(outputs) > 1 and key.endswith("metrics"):
                yield Finding(
                    code="unknown-output",
                    message=f"The model has {len(outputs)} outputs, but `{key}` does not name an output.",
                    path=path,
                    hint=f"Assign it to an output: `{key}: {{{outputs[0]}: {_format_example(section)}}}`.",
                    at_key=True,
                )
            continue
        for name in section:
            if name not in known_outputs:
                yield Finding(
                    code="unknown-output",
                    message=f"`{key}` names `{sanitize_text(name, limit=60)}`, which is not an output of the model.",
                    path=(*path, name),
                    hint=did_you_mean(name, outputs, otherwise=f"The model's outputs are {listed}.")
                    if len(outputs) > 1
                    else f"Write `{key}: {_format_example(section[name])}`, without the name of the output.",
                    at_key=True,
                )
        unknown_names = [name for name in section if name not in known_outputs]
        for name in outputs if key in ("loss", "loss_weights") else ():
            if name not in section and not find_closest(name, unknown_names):
                example = next(iter(section.values()), 1.0)
                yield Finding(
                    code="unknown-output",
                    message=f"`{key}` is missing the output `{name}`.",
                    path=path,
                    hint=f"Add `{name}: {_format_example(example)}`. Each output requires "
                    f"{'a loss' if key == 'loss' else 'a weight'}.",
                    at_key=True,
                )


def _format_example(value: object) -> str:
    """Return a value of the config for a hint; a loss or metric as its name."""
    if isinstance(value, list):
        return f"[{', '.join(map(_format_example, value))}]"
    if isinstance(value, Component):
        return getattr(value, "name", None) or snake_case(value.type_name())
    return format_value(value)

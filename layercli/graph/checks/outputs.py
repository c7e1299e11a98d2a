"""Losses and metrics by the outputs of the model: whether each is of an output, and each output has one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from layercli.config.config import Config
from layercli.graph.finding import Finding
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, sanitize_text


def check_outputs(config: Config, outputs: Sequence[str]) -> Iterator[Finding]:
    """Losses, weights and metrics of what is no output of the model, and outputs that lack a loss."""
    train = config.train
    if train is None or not outputs:
        return
    listed = ", ".join(f"`{name}`" for name in outputs)
    for key in ("loss", "loss_weights", "metrics", "weighted_metrics"):
        section = getattr(train, key)
        path: KeyPath = ("train", key)
        if not isinstance(section, dict):
            if section and len(outputs) > 1 and key.endswith("metrics"):
                yield Finding(
                    code="unknown-output",
                    message=f"The model has {len(outputs)} outputs, but `{key}` does not say of which it is.",
                    path=path,
                    hint=f"Write it by output: `{key}: {{{outputs[0]}: [...]}}`.",
                    at_key=True,
                )
            continue
        for name in section:
            if name not in outputs:
                yield Finding(
                    code="unknown-output",
                    message=f"`{key}` names `{sanitize_text(name, limit=60)}`, which is no output of the model.",
                    path=(*path, name),
                    hint=did_you_mean(
                        name,
                        outputs,
                        otherwise=f"Its output{'s are' if len(outputs) > 1 else ' is'} {listed}.",
                    ),
                    at_key=True,
                )
        for name in outputs:
            if key in ("loss", "loss_weights") and name not in section:
                yield Finding(
                    code="unknown-output",
                    message=f"`{key}` lacks the output `{name}`.",
                    path=path,
                    hint=f"Add `{name}: ...`; each output has {'a loss' if key == 'loss' else 'a weight'}.",
                    at_key=True,
                )

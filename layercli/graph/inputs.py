"""What the model takes: the inputs that the config declares, held against the data's examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from layercli.config.config import Config
from layercli.config.names import INPUT
from layercli.graph.findings import Finding
from layercli.layers.shapes import Shape, Tensor, product, show
from layercli.source.nodes import KeyPath, format_path

_INPUT_PATH: KeyPath = ("model", "input")
_INPUTS_PATH: KeyPath = ("model", "inputs")


def model_inputs(config: Config) -> tuple[dict[str, Tensor] | None, list[Finding]]:
    """The model's inputs by name, the declared ones or the data's (None where neither tells), and what does not fit."""
    declared, several = config.model.input, config.model.inputs
    facts = config.data.facts() if config.data else None
    if several is not None:
        findings: list[Finding] = []
        if facts is not None and config.data is not None and len(several) > 1:
            findings.append(
                Finding(
                    code="input-mismatch",
                    message=f"The model has {len(several)} inputs, but {config.data.title()} gives one.",
                    path=_INPUTS_PATH,
                    hint="Use one input, `model.input`, or leave `data` out.",
                    at_key=True,
                )
            )
        elif facts is not None:
            name, spec = next(iter(several.items()))
            findings.extend(_mismatch(spec.shape, facts.shape, (*_INPUTS_PATH, name), config))
        return {name: spec.tensor() for name, spec in several.items()}, findings
    if declared is None:
        if facts is not None:
            return {INPUT: Tensor((None, *facts.shape))}, []
        return None, [_undeclared()]
    found = [] if facts is None else list(_mismatch(declared.shape, facts.shape, _INPUT_PATH, config))
    return {INPUT: declared.tensor()}, found


def undeclared(value: Any) -> Iterator[Finding]:
    """That no input is declared, of a config of which nothing else can be checked."""
    model = value.get("model")
    if (
        isinstance(model, dict)
        and model.get("layers")
        and model.get("input") is None
        and model.get("inputs") is None
        and value.get("data") is None
    ):
        yield _undeclared()


def _undeclared() -> Finding:
    return Finding(
        code="missing-key",
        message="`model` needs `input`: the shape of one example, without the batch axis.",
        path=_INPUT_PATH,
        hint="Add `input: [28, 28, 1]`, for example.",
        at_key=True,
    )


def _mismatch(declared: Shape, actual: Shape, path: KeyPath, config: Config) -> Iterator[Finding]:
    """A declared input that the data's examples do not fit."""
    if _fits(declared, actual):
        return
    hint = f"Write `input: {list(actual)}`, or leave `input` out."
    has_shape = config.data is not None and "shape" in type(config.data).model_fields
    if has_shape and product(declared) == product(actual):
        hint = f"Write `shape: {list(declared)}` under `data:`, or `input: {list(actual)}` here."
    message = f"`{format_path(path)}` is {show(declared)}, but an example of the data is {show(actual)}."
    yield Finding(code="input-mismatch", message=message, path=path, hint=hint)


def _fits(declared: Sequence[int | None], actual: Sequence[int | None]) -> bool:
    return len(declared) == len(actual) and all(
        a is None or a == b for a, b in zip(declared, actual, strict=True)
    )

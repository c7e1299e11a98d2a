"""The inputs of the model, compared with the examples of the data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from layercli.config.config import Config
from layercli.config.data.section import DataFacts
from layercli.config.model import MAX_RANK, InputSpec
from layercli.config.names import INPUT
from layercli.graph.finding import Finding
from layercli.layers.shapes import Shape, Tensor, format_shape, product_of
from layercli.schema.flow_style import format_value
from layercli.schema.suggestions import did_you_mean, list_names
from layercli.source.nodes import KeyPath, format_path, quote_value, sanitize_text

_INPUT_PATH: KeyPath = ("model", "input")
_INPUTS_PATH: KeyPath = ("model", "inputs")


def resolve_model_inputs(
    config: Config, facts: DataFacts | None = None
) -> tuple[dict[str, Tensor] | None, list[Finding]]:
    """Return the model's inputs by name and the mismatches between declared inputs and data.

    Args:
        config: The config, whose declared inputs take precedence over the shape of its data.
        facts: Facts about the data after reading it; None uses the facts that the config declares.

    Returns:
        The inputs, or None if neither the config nor the facts declare a shape, and the findings.
    """
    input_spec, input_specs = config.model.input, config.model.inputs
    if facts is None and config.data is not None:
        facts = config.data.facts()
    if input_specs is None and input_spec is None:
        if facts is not None and facts.inputs is None:
            return {INPUT: Tensor((None, *facts.shape))}, []
        return None, [_make_missing_input_finding(config)]
    specs = input_specs if input_specs is not None else {INPUT: input_spec} if input_spec is not None else {}
    declared = getattr(config.data, "inputs", None)
    known = None if config.data is None else config.data.declared_input
    findings: list[Finding] = []
    if facts is not None:
        findings += _check_inputs(specs, facts, config)
    elif known is not None and None not in known.shape[1:] and len(specs) == 1:
        [(name, spec)] = specs.items()
        path, shape = _locate_inputs(specs, config)[name], known.shape[1:]
        findings += _check_input_shape(spec.shape, shape, path, config)
        if (
            findings
        ):  # the shape of the data, so that no layer has a problem that only follows from the declaration
            return {name: Tensor((None, *shape), spec.dtype)}, findings
    elif isinstance(declared, dict):
        findings += _check_input_names(specs, declared, config)
    return {name: spec.to_tensor() for name, spec in specs.items()}, findings


def _check_inputs(specs: Mapping[str, InputSpec], facts: DataFacts, config: Config) -> Iterator[Finding]:
    """Yield a finding for each declared input that differs from the data."""
    paths = _locate_inputs(specs, config)
    assert config.data is not None
    if facts.inputs is None:
        if len(specs) > 1:
            message = f"The model has {len(specs)} inputs, but {config.data.title()} provides one."
            hint = "Declare one input as `model.input`, or use data with several inputs: npz and csv accept `inputs`."
            yield Finding(code="input-mismatch", message=message, path=_INPUTS_PATH, hint=hint, at_key=True)
        else:
            [(name, spec)] = specs.items()
            yield from _check_input_shape(spec.shape, facts.shape, paths[name], config)
        return
    for name, shape in facts.inputs.items():
        if name in specs:
            yield from _check_input_shape(specs[name].shape, shape, paths[name], config)
    yield from _check_input_names(specs, facts.inputs, config)


def _locate_inputs(specs: Collection[str], config: Config) -> dict[str, KeyPath]:
    """Return the config key of each input of the model."""
    is_single = config.model.inputs is None
    return {name: _INPUT_PATH if is_single else (*_INPUTS_PATH, name) for name in specs}


def _check_input_names(
    specs: Mapping[str, InputSpec], names: Collection[str], config: Config
) -> Iterator[Finding]:
    """Yield a finding for each input of the data that the model lacks, and for each of the model that the data lacks."""
    paths = _locate_inputs(specs, config)
    if config.model.inputs is None and len(names) == 1 and INPUT not in names:
        [name], [spec] = names, specs.values()
        message = (
            f"The data names its input `{sanitize_text(name, limit=60)}`, so the model must name it, too."
        )
        hint = f"Write `inputs: {{{quote_value(name)[1:-1]}: {list(spec.shape)}}}` instead of `input`."
        yield Finding(code="input-mismatch", message=message, path=_INPUT_PATH, hint=hint, at_key=True)
        return
    for name in names:
        if name not in specs:
            message = f"The data has an input `{sanitize_text(name, limit=60)}`, which is not an input of the model."
            hint = did_you_mean(name, list(specs), otherwise=f"The model's inputs: {list_names(specs)}.")
            yield Finding(
                code="input-mismatch", message=message, path=("data", "inputs", name), hint=hint, at_key=True
            )
    for name in specs:
        if name not in names:
            message = f"The data has no examples for the model's input `{name}`."
            hint = f"The data's inputs: {list_names(names)}."
            yield Finding(code="input-mismatch", message=message, path=paths[name], hint=hint, at_key=True)


def check_missing_input(document: Any) -> Iterator[Finding]:
    """Yield a finding if a config with other errors declares neither an input nor data."""
    model = document.get("model")
    if (
        isinstance(model, dict)
        and model.get("layers")
        and model.get("input") is None
        and model.get("inputs") is None
        and document.get("data") is None
    ):
        yield _make_missing_input_finding(None, _find_layer_input_shape(model["layers"]))


def _find_layer_input_shape(layers: Any) -> list[int | None] | None:
    """Return the shape that Keras code gives the first layer, such as ``input_shape``, or None."""
    first = layers[0] if isinstance(layers, list) else None
    if not isinstance(first, dict):
        return None
    if first.get("type") in ("Input", "InputLayer"):
        shape = first.get("shape", first.get("input_shape"))
    else:
        shape = first.get("input_shape", first.get("input_dim"))
    sizes = [shape] if isinstance(shape, int) else shape
    is_shape = isinstance(sizes, list) and all(
        size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0) for size in sizes
    )
    return sizes if is_shape and sizes and len(sizes) <= MAX_RANK else None


def _make_missing_input_finding(config: Config | None, shape: list[int | None] | None = None) -> Finding:
    data = None if config is None else config.data
    if data is None:
        message = "`model.input` is required: the shape of one example, without the batch axis."
    else:
        reason = "because {} has no declared shape" if data.declared_input is None else "with {}"
        message = (
            "`model.input`, the shape of one example without the batch axis, is required "
            f"{reason.format(data.title())}."
        )
    hint = _suggest_input(config, shape)
    return Finding(code="missing-key", message=message, path=_INPUT_PATH, hint=hint, at_key=True)


def _suggest_input(config: Config | None, shape: list[int | None] | None) -> str:
    """Return the hint with the input of a model that declares none: that of the data, or the shape of Keras code."""
    # Imported here: few configs lack an input.
    from layercli.config.data.tables import TableConfig

    data = None if config is None else config.data
    if isinstance(data, TableConfig):
        length = "" if data.windows is None else f"{data.windows.length}, "
        if not data.inputs or data.dates:
            return f"Add `input: [{length}N]`, where N is the number of input columns."
        sizes = {name: f"[{length}{len(columns)}]" for name, columns in data.inputs.items()}
        if sizes.keys() == {INPUT}:
            return f"Add `input: {sizes[INPUT]}`."
        return f"Add `inputs: {{{', '.join(f'{name}: {size}' for name, size in sizes.items())}}}`."
    if shape is not None:
        return f"Add `input: {quote_value(shape)}`."
    example = _example_shape(config)
    if data is None:
        return f"Add `input: {example}`, for example."
    if data.declared_input is None:
        return (
            f"Add the shape of the examples without their first axis, for example `input: {example}` for "
            f"examples of shape (n, {example[1:-1]})."
        )
    has_channels = None not in data.declared_input.shape[1:]
    end = "." if has_channels else ", where C is the number of channels: 1, 3 or 4."
    return f"Add `input: {_format_input(data.declared_input)}`{end}"


def _format_input(x: Tensor) -> str:
    """Return the value of `model.input` for a tensor with a batch axis."""
    shape = ["C" if size is None else size for size in x.shape[1:]]
    return format_value(shape if x.dtype == "float32" else {"shape": shape, "dtype": x.dtype})


def _example_shape(config: Config | None) -> str:
    """Return an example of an input that the first layer accepts, or of an image."""
    first = config.model.layers[0].layer if config is not None and config.model.layers else None
    lowest_rank = 1 if first is None else first.rank_range[0]
    return {2: "[4]", 3: "[10, 4]", 5: "[10, 28, 28, 1]"}.get(lowest_rank, "[28, 28, 1]")


def _check_input_shape(declared: Shape, actual: Shape, path: KeyPath, config: Config) -> Iterator[Finding]:
    """Yield a finding if the declared shape of an input differs from the shape of an example."""
    if _is_matching_shape(declared, actual):
        return
    name = path[-1]
    is_optional = path == _INPUT_PATH and config.data is not None and config.data.facts() is not None
    hint = f"Set `{name}: {list(actual)}`" + (", or remove `input`." if is_optional else ".")
    has_shape = config.data is not None and "shape" in type(config.data).model_fields
    size = product_of(declared)
    if has_shape and size == product_of(actual):
        hint = f"Set `shape: {list(declared)}` under `data:`, or `{name}: {list(actual)}` here."
    elif size is not None and actual == (size,):  # rows of a table
        reshape = f"{{type: Reshape, target_shape: {list(declared)}}}"
        layer = "the first layer" if path == _INPUT_PATH else f"the layers that receive `{name}`"
        hint = f"Set `{name}: {list(actual)}`, and put {reshape} before {layer}."
    message = (
        f"`{format_path(path)}` declares shape {format_shape(declared)}, "
        f"but an example of the data has shape {format_shape(actual)}."
    )
    yield Finding(code="input-mismatch", message=message, path=path, hint=hint)


def _is_matching_shape(declared: Sequence[int | None], actual: Sequence[int | None]) -> bool:
    return len(declared) == len(actual) and all(
        a is None or a == b for a, b in zip(declared, actual, strict=True)
    )

"""The description of an exported model: inputs, outputs, and what ``predict`` does to examples before the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli.check import ValidConfig
from layercli.config.data.tables import FALSE_WORDS, TRUE_WORDS, TableConfig
from layercli.errors import Problem
from layercli.export_formats import EXPORT_FORMATS
from layercli.formats.images.config import Images
from layercli.graph.output_activation import layer_activation
from layercli.graph.output_kind import OutputKind, infer_output_kind
from layercli.runs.directory import READER_STATE
from layercli.version import __version__
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.raw_rows import require_table

if TYPE_CHECKING:
    from layercli.data.reader_state import ReaderState
    from layercli.engine.export.deployed_model import DeployedModel
    from layercli.engine.export.options import ColumnInput, OutputClasses

DESCRIPTION_VERSION: Final = 1
"""The version of the keys in a description."""


def load_run_reader_state(run: Path, valid: ValidConfig) -> ReaderState | None:
    """Return how the run reads examples, or None if it has no data."""
    if valid.config.data is None or not (run / READER_STATE).is_file():
        return None
    return FinishedRun(run, valid).load_reader_state()


def list_column_inputs(valid: ValidConfig, state: ReaderState | None) -> dict[str, ColumnInput]:
    """Return the inputs of the model whose last axis is the columns of a table."""
    from layercli.engine.export.options import ColumnInput, DateSource

    plan = state.table_plan if state is not None else None
    if plan is None:
        return {}
    data = require_table(valid)
    dates = {
        name: DateSource(
            number.column,
            number.feature,
            # Dates that were not texts in training are written as 2020-12-31 12:30.
            plan.conversions.get(number.column) or data.date_columns[number.column].order or "ymd",
            number.first_day,
        )
        for name, number in plan.dates.items()
    }
    booleans = frozenset(column for column, kind in plan.conversions.items() if kind == "boolean")
    names: dict[str | None, str] = dict(zip(plan.inputs, valid.graph.inputs, strict=False))
    return {
        name if name is not None else names[None]: ColumnInput(
            columns,
            {column: plan.fill_values[column] for column in columns if column in plan.fill_values},
            {column: dates[column] for column in columns if column in dates},
            booleans & {*columns},
            tuple(data.missing.words),
        )
        for name, columns in plan.inputs.items()
        if columns
    }


def list_output_classes(
    valid: ValidConfig, state: ReaderState | None, built_outputs: Sequence[Any]
) -> tuple[OutputClasses | None, ...]:
    """Return the classes of each output; None if they have no names."""
    from layercli.engine.export.options import OutputClasses

    found: list[OutputClasses | None] = []
    for index, tensor in enumerate(built_outputs):
        if state is None:
            found.append(None)
            continue
        kind, names = _find_output(valid, state, index, tensor)
        is_second = kind.kind in ("two", "sign")
        has_classes = kind.kind in ("classes", "two", "sign") and names is not None
        threshold = 0.0 if kind.logits == "sigmoid" else kind.threshold
        found.append(
            OutputClasses(names, threshold if is_second else None) if has_classes and names else None
        )
    return tuple(found)


def _find_output(
    valid: ValidConfig, state: ReaderState, index: int, tensor: Any
) -> tuple[OutputKind, tuple[str, ...] | None]:
    """Return the kind of an output, and the names of its classes if the data has some."""
    titles = valid.graph.output_references
    target = titles[index] if len(titles) > 1 else None
    shape = tuple(tensor.shape)
    kind = infer_output_kind(
        valid.config,
        titles[index],
        shape,
        target_kind=state.target_kinds.get(target),
        activation=layer_activation(valid.shapes.by_name[valid.graph.outputs[index]]),
    )
    names = state.class_names_of(target)
    size = 2 if kind.kind in ("two", "sign") else shape[-1]
    return kind, None if names is None or len(names) != size else tuple(names)


def describe_export(
    valid: ValidConfig,
    state: ReaderState | None,
    format_name: str,
    deployed: DeployedModel,
    column_inputs: Mapping[str, ColumnInput],
    built_outputs: Sequence[Any],
) -> dict[str, Any] | None:
    """Return the document that describes an exported model; None if its inputs and outputs are plain arrays.

    ``built_outputs`` are the outputs of the Keras model, whose shapes are known after a custom layer, too.
    """
    if state is None:
        return None
    has_columns = EXPORT_FORMATS[format_name].takes_columns and has_column_signature(valid, column_inputs)
    outputs = _describe_outputs(valid, state, format_name, built_outputs)
    preparation = list(_list_preparation(valid, state, format_name, deployed, column_inputs))
    if not column_inputs and not preparation and not any(output["classes"] for output in outputs):
        return None
    return {
        "version": DESCRIPTION_VERSION,
        "layercli": __version__,
        "model": valid.check_result.name,
        "format": format_name,
        "inputs": _describe_inputs(valid, format_name, deployed, column_inputs),
        **(_describe_column_signature(valid, column_inputs) if has_columns else {}),
        "outputs": outputs,
        **({"texts": _describe_texts(require_table(valid))} if column_inputs else {}),
        "preparation": preparation,
    }


def make_preparation_warnings(valid: ValidConfig, document: Mapping[str, Any], path: Path) -> list[Problem]:
    """Return a warning if the file does not do everything that ``predict`` does."""
    steps: Sequence[str] = document["preparation"]
    if not steps:
        return []
    more = f" And {len(steps) - 1} more." if len(steps) > 1 else ""
    message = f"The export does not contain what `layercli predict` does before the model. {steps[0]}{more}"
    hint = f"Do it before each call of the model; `preparation` in {path.name} has all steps."
    return [valid.make_problem(("data",), "preparation-outside", message, hint, "warning")]


def _describe_inputs(
    valid: ValidConfig, format_name: str, deployed: DeployedModel, column_inputs: Mapping[str, ColumnInput]
) -> list[dict[str, Any]]:
    tensors: list[tuple[str, str, Sequence[int | None]]] = []
    for tensor in deployed.model.inputs:
        index = deployed.word_indices.get(tensor.name)
        name, dtype = (tensor.name, tensor.dtype) if index is None else (index.source, "string")
        if name not in {name for name, _, _ in tensors}:
            tensors.append((name, dtype, tensor.shape))
    arguments = _name_inputs(format_name, [name for name, _, _ in tensors])
    documents = []
    for name, dtype, shape in tensors:
        document: dict[str, Any] = {"name": arguments[name], "dtype": dtype, "shape": list(shape)}
        layer = deployed.text_layers.get(name)
        index = deployed.outside_indices.get(name)
        source = name if layer is None else getattr(layer.input, "name", name)
        source = source if index is None else index.source
        if source in column_inputs:
            is_text = valid.graph.inputs[source].dtype == "string"
            document["columns"] = _describe_columns(column_inputs[source], is_text=is_text)
        if index is not None:
            document["lookup"] = {"words": list(index.words), "unknown": index.unknown}
        if layer is not None:
            document["layer"] = _describe_text_layer(layer)
        documents.append(document | _describe_examples(valid))
    return documents


def _describe_examples(valid: ValidConfig) -> dict[str, Any]:
    """Return how images and windows of rows become an input."""
    data = valid.config.data
    if isinstance(data, Images):
        height, width = data.size or (None, None)
        return {"image": {"height": height, "width": width, "channels": data.channels, "resize": "bilinear"}}
    if isinstance(data, TableConfig) and data.windows is not None:
        windows = data.windows
        return {"window": {"rows": windows.length, "series": windows.by or [], "time": windows.time}}
    return {}


def _name_inputs(format_name: str, names: Sequence[str]) -> dict[str, str]:
    """Return the name of each input in the file."""
    from layercli.engine.export.options import make_argument_names

    has_arguments = format_name in ("saved_model", "litert")
    return dict(zip(names, make_argument_names(names) if has_arguments else names, strict=True))


def _describe_columns(column_input: ColumnInput, *, is_text: bool) -> list[dict[str, Any]]:
    return [
        {
            "column": column,
            "missing": _describe_fill_value(column_input, column, is_text=is_text),
            **_describe_content(column_input, column, is_text=is_text),
        }
        for column in column_input.columns
    ]


def _describe_fill_value(column_input: ColumnInput, column: str, *, is_text: bool) -> float | str | None:
    return column_input.fill_values.get(column, "" if is_text else None)


def _describe_content(column_input: ColumnInput, column: str, *, is_text: bool) -> dict[str, Any]:
    """Return what a column of an input is; a number of a date also has its source."""
    source = column_input.dates.get(column)
    if source is not None:
        return {
            "type": "date",
            "source": source.column,
            "order": source.order,
            "feature": source.feature,
            "first_day": source.first_day if source.feature == "elapsed" else None,
        }
    return {"type": "text" if is_text else "boolean" if column in column_input.booleans else "number"}


def _describe_texts(data: TableConfig) -> dict[str, Any]:
    """Return how the texts of a table are read."""
    return {
        "missing": ["", *data.missing.words],
        "true": list(TRUE_WORDS),
        "false": list(FALSE_WORDS),
        "decimal": data.decimal,
        "thousands": data.thousands,
    }


def _describe_text_layer(layer: Any) -> dict[str, Any]:
    """Return the arguments of a layer of texts, and its words in the order of their indices."""
    config = layer.get_config()
    arguments = {
        name: value
        for name, value in config.items()
        if isinstance(value, (str, int, float, bool)) and name not in ("name", "dtype", "trainable")
    }
    words = [str(word) for word in layer.get_vocabulary()] if hasattr(layer, "get_vocabulary") else None
    return {"type": type(layer).__name__, "arguments": arguments, "words": words}


def _describe_column_signature(
    valid: ValidConfig, column_inputs: Mapping[str, ColumnInput]
) -> dict[str, Any]:
    """Return the arguments of the signature of columns of a SavedModel."""
    from layercli.engine.export.options import list_raw_columns, make_argument_names
    from layercli.engine.export.saved_model import COLUMNS

    dtypes = {name: tensor.dtype for name, tensor in valid.graph.inputs.items()}
    arguments: dict[Any, dict[str, Any]] = {}
    for (name, column), raw in list_raw_columns(column_inputs, dtypes).items():
        column_input = column_inputs[name]
        fill_value = _describe_fill_value(column_input, column, is_text=raw.kind == "text")
        argument = arguments.setdefault(
            raw,
            {
                "column": raw.name,
                "dtype": raw.dtype,
                "shape": [None],
                "type": raw.kind,
                "missing": fill_value,
            },
        )
        if raw.kind == "date":
            source = column_input.dates[column]
            argument["missing"], argument["order"] = None, source.order
            argument.setdefault("features", {})[source.feature] = fill_value
    names = make_argument_names([raw.name for raw in arguments])
    return {
        "signatures": {
            COLUMNS: [
                {"name": name, **argument} for name, argument in zip(names, arguments.values(), strict=True)
            ]
        }
    }


def has_column_signature(valid: ValidConfig, column_inputs: Mapping[str, ColumnInput]) -> bool:
    """Return whether all inputs of the model are columns of one row of a table."""
    inputs = valid.graph.inputs
    return set(column_inputs) == set(inputs) and all(len(tensor.shape) == 2 for tensor in inputs.values())


def _describe_outputs(
    valid: ValidConfig, state: ReaderState, format_name: str, built_outputs: Sequence[Any]
) -> list[dict[str, Any]]:
    from layercli.engine.export.saved_model import name_class_output

    titles = valid.graph.output_references
    has_numbers = format_name in ("saved_model", "litert")
    classes = list_output_classes(valid, state, built_outputs)
    documents = []
    for index, (title, tensor) in enumerate(zip(titles, built_outputs, strict=True)):
        kind, _ = _find_output(valid, state, index, tensor)
        target = title if len(titles) > 1 else None
        names = state.class_names_of(target)
        columns = state.target_columns_of(target)
        has_class_output = format_name == "saved_model" and classes[index] is not None
        documents.append(
            {
                "name": f"output_{index}" if has_numbers else title,
                "output": title,
                "dtype": tensor.dtype,
                "shape": list(tensor.shape),
                "classes": None if names is None else list(names),
                "columns": None if columns is None else list(columns),
                "kind": kind.kind,
                "logits": kind.logits,
                "threshold": 0.0 if kind.logits == "sigmoid" else kind.threshold,
                "class_output": name_class_output(index) if has_class_output else None,
            }
        )
    return documents


def _list_preparation(
    valid: ValidConfig,
    state: ReaderState,
    format_name: str,
    deployed: DeployedModel,
    column_inputs: Mapping[str, ColumnInput],
) -> Iterator[str]:
    """Yield a sentence for each step of ``predict`` before the model that the file does not contain."""
    data = valid.config.data
    assert data is not None
    yield from data.preparation
    if column_inputs:
        yield from _list_table_preparation(valid, state, format_name, deployed, column_inputs)
    arguments = _name_inputs(format_name, [tensor.name for tensor in deployed.model.inputs])
    for name in deployed.outside_indices:
        yield f"Write each text of the input `{arguments[name]}` as its index in `words`, and another text as `unknown`."
    for name, layer in deployed.text_layers.items():
        yield f"Compute the input `{arguments[name]}` from the texts as {type(layer).__name__} with the given arguments does."


def _list_table_preparation(
    valid: ValidConfig,
    state: ReaderState,
    format_name: str,
    deployed: DeployedModel,
    column_inputs: Mapping[str, ColumnInput],
) -> Iterator[str]:
    plan, data = state.table_plan, require_table(valid)
    assert plan is not None
    used = {plan.source_of(column) for columns in plan.inputs.values() for column in columns}
    for column, conversion in plan.conversions.items():
        if column in used and conversion in ("integer", "number"):
            yield f"Write the numbers of `{column}` without signs such as those of currencies, percent and thousands."
    if not (EXPORT_FORMATS[format_name].takes_columns and has_column_signature(valid, column_inputs)):
        yield from _list_conversions(column_inputs)
    for name, column_input in column_inputs.items():
        if name not in deployed.filled_inputs:
            for column, value in column_input.fill_values.items():
                if value != "":
                    replacement = f"{value:g}" if isinstance(value, float) else value
                    yield f"Write a missing value of `{column}` as {replacement}."
    if data.windows is not None:
        yield (
            f"Pass {data.windows.length} consecutive rows of a series as one example of shape "
            f"({data.windows.length}, columns), the last one at its end."
        )


def _list_conversions(column_inputs: Mapping[str, ColumnInput]) -> Iterator[str]:
    """Yield a sentence for each number of a date, and for each column of boolean words."""
    for column_input in column_inputs.values():
        for column, source in column_input.dates.items():
            if source.feature == "elapsed":
                first = datetime(1970, 1, 1) + timedelta(days=source.first_day or 0)
                day = first.date() if first.time() == time() else first.isoformat(" ", "seconds")
                yield f"Write `{column}` as the days from {day} to the date `{source.column}`."
            else:
                yield f"Write `{column}` as the {source.feature} of the date `{source.column}`."
        for column in column_input.columns:
            if column in column_input.booleans:
                yield f"Write true, yes and on of `{column}` as 1, and false, no and off as 0."

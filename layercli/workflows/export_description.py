"""The description of an exported model: inputs, outputs, and what ``predict`` does to examples before the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layercli.check import ValidConfig
from layercli.config.data.tables import TableConfig
from layercli.errors import Problem
from layercli.export_formats import EXPORT_FORMATS
from layercli.runs.directory import READER_STATE
from layercli.version import __version__
from layercli.workflows.finished_run import FinishedRun

if TYPE_CHECKING:
    from layercli.data.reader_state import ReaderState
    from layercli.data.tables.plan import TablePlan
    from layercli.engine.export.deployed_model import DeployedModel
    from layercli.engine.export.options import ColumnInput

DESCRIPTION_VERSION: Final = 1
"""The version of the keys in a description."""


def load_run_reader_state(run: Path, valid: ValidConfig) -> ReaderState | None:
    """Return how the run reads examples, or None if it has no data."""
    if valid.config.data is None or not (run / READER_STATE).is_file():
        return None
    return FinishedRun(run, valid).load_reader_state()


def list_column_inputs(valid: ValidConfig, state: ReaderState | None) -> dict[str, ColumnInput]:
    """Return the inputs of the model whose last axis is the columns of a table."""
    from layercli.engine.export.options import ColumnInput

    plan = state.table_plan if state is not None else None
    if plan is None:
        return {}
    names: dict[str | None, str] = dict(zip(plan.inputs, valid.graph.inputs, strict=False))
    return {
        name if name is not None else names[None]: ColumnInput(
            columns, {column: plan.fill_values[column] for column in columns if column in plan.fill_values}
        )
        for name, columns in plan.inputs.items()
        if columns
    }


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
    outputs = _describe_outputs(valid, state, format_name, built_outputs)
    preparation = list(_list_preparation(valid, state, format_name, deployed))
    if not column_inputs and not preparation and not any(output["classes"] for output in outputs):
        return None
    return {
        "version": DESCRIPTION_VERSION,
        "layercli": __version__,
        "model": valid.check_result.name,
        "format": format_name,
        "inputs": _describe_inputs(format_name, deployed, column_inputs),
        **(
            _describe_column_signature(valid, column_inputs)
            if format_name == "saved_model" and has_column_signature(valid, column_inputs)
            else {}
        ),
        "outputs": outputs,
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
    format_name: str, deployed: DeployedModel, column_inputs: Mapping[str, ColumnInput]
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
        if name in column_inputs:
            document["columns"] = _describe_columns(column_inputs[name])
        if name in deployed.outside_indices:
            index = deployed.outside_indices[name]
            document["lookup"] = {"words": list(index.words), "unknown": index.unknown}
        if name in deployed.text_layers:
            document["layer"] = _describe_text_layer(deployed.text_layers[name])
        documents.append(document)
    return documents


def _name_inputs(format_name: str, names: Sequence[str]) -> dict[str, str]:
    """Return the name of each input in the file."""
    from layercli.engine.export.options import make_argument_names

    has_arguments = format_name in ("saved_model", "litert")
    return dict(zip(names, make_argument_names(names) if has_arguments else names, strict=True))


def _describe_columns(column_input: ColumnInput) -> list[dict[str, Any]]:
    return [
        {"column": column, "missing": column_input.fill_values.get(column)} for column in column_input.columns
    ]


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
    from layercli.engine.export.options import make_argument_names
    from layercli.engine.export.saved_model import COLUMNS

    columns = [
        (column, valid.graph.inputs[name].dtype, column_input.fill_values.get(column))
        for name, column_input in column_inputs.items()
        for column in column_input.columns
    ]
    arguments = make_argument_names([column for column, _, _ in columns])
    return {
        "signatures": {
            COLUMNS: [
                {"name": argument, "column": column, "dtype": dtype, "shape": [None], "missing": missing}
                for argument, (column, dtype, missing) in zip(arguments, columns, strict=True)
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
    titles = valid.graph.output_references
    has_numbers = format_name in ("saved_model", "litert")
    documents = []
    for index, (title, tensor) in enumerate(zip(titles, built_outputs, strict=True)):
        target = title if len(titles) > 1 else None
        names = state.class_names_of(target)
        columns = state.target_columns_of(target)
        documents.append(
            {
                "name": f"output_{index}" if has_numbers else title,
                "output": title,
                "dtype": tensor.dtype,
                "shape": list(tensor.shape),
                "classes": None if names is None else list(names),
                "columns": None if columns is None else list(columns),
            }
        )
    return documents


def _list_preparation(
    valid: ValidConfig, state: ReaderState, format_name: str, deployed: DeployedModel
) -> Iterator[str]:
    """Yield a sentence for each step of ``predict`` before the model that the file does not contain."""
    data = valid.config.data
    assert data is not None
    yield from data.preparation
    if state.table_plan is not None and isinstance(data, TableConfig):
        yield from _list_table_preparation(state.table_plan, data, format_name)
    arguments = _name_inputs(format_name, [tensor.name for tensor in deployed.model.inputs])
    for name in deployed.outside_indices:
        yield f"Write each text of the input `{arguments[name]}` as its index in `words`, and another text as `unknown`."
    for name, layer in deployed.text_layers.items():
        yield f"Compute the input `{arguments[name]}` from the texts as {type(layer).__name__} with the given arguments does."


def _list_table_preparation(plan: TablePlan, data: TableConfig, format_name: str) -> Iterator[str]:
    used = {plan.source_of(column) for columns in plan.inputs.values() for column in columns}
    for column, number in plan.dates.items():
        if number.feature == "elapsed":
            yield f"Write `{column}` as days since day {number.first_day:g} after 1970-01-01 of the date `{number.column}`."
        else:
            yield f"Write `{column}` as the {number.feature} of the date `{number.column}`."
    for column, conversion in plan.conversions.items():
        if column in used and conversion == "boolean":
            yield f"Write true, yes and on of `{column}` as 1, and false, no and off as 0."
    if not EXPORT_FORMATS[format_name].fills_missing_numbers:
        for column, value in plan.fill_values.items():
            if value != "":
                replacement = f"{value:g}" if isinstance(value, float) else value
                yield f"Write a missing value of `{column}` as {replacement}."
    if data.windows is not None:
        yield (
            f"Pass {data.windows.length} consecutive rows of a series as one example of shape "
            f"({data.windows.length}, columns), the last one at its end."
        )

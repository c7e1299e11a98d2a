"""Collect the facts about the data that an exported script needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from layercli.check import ValidConfig
from layercli.config.data.section import DataFacts
from layercli.config.data.tables import TableConfig
from layercli.errors import LayercliError, Problem
from layercli.graph.metrics import complete_metrics
from layercli.schema.addresses import is_address
from layercli.script.facts import DatasetFacts, ScriptFacts, build_script_facts
from layercli.workflows.dataset import check_dataset
from layercli.workflows.export_data import make_unreadable_data_warning

if TYPE_CHECKING:
    from layercli.data.examples import Splits
    from layercli.data.tables.plan import TablePlan


def collect_script_facts(
    valid: ValidConfig, *, trust: bool = False
) -> tuple[ScriptFacts, Splits | None, list[Problem], ValidConfig]:
    """Return the facts about the data, its splits, warnings, and the config with its metrics completed for the data.

    The only warning is that the data cannot be read.

    Raises:
        LayercliError: The function that returns the data is not trusted.
    """
    data = valid.config.data
    if data is None:
        return build_script_facts(valid, None), None, [], _complete_metrics(valid, None)
    from layercli.data.labels import are_numbers_in_data
    from layercli.data.split import BLOCK_ROWS
    from layercli.workflows.raw_rows import find_date_formats, find_order_columns

    try:
        report = check_dataset(valid, data, trust=trust)
        if report.splits is None or report.valid is None:
            raise LayercliError(report.problems)
    except LayercliError as error:
        if error.problems[0].code == "trust-required":
            raise
        warning = make_unreadable_data_warning(valid, error)
        return build_script_facts(valid, None), None, [warning], _complete_metrics(valid, None)
    valid = report.valid
    empty_batch = report.splits.train.empty_batch
    arrays = [array for _, array in empty_batch.inputs]
    plan = report.splits.table_plan
    formats = {} if plan is None else find_date_formats(valid, plan)
    held_out = {"val": report.splits.validation, "test": report.splits.test}
    dataset_facts = DatasetFacts(
        report.facts,
        {name: empty_batch.class_names_of(name) or () for name, _ in empty_batch.targets},
        tuple(str(name) for name, _ in empty_batch.inputs) if len(arrays) > 1 else (),
        has_weights=empty_batch.weights is not None,
        has_float_inputs=any(array.dtype.kind == "f" for array in arrays),
        number_targets=frozenset(
            name
            for name, _ in empty_batch.targets
            if are_numbers_in_data(data, name, empty_batch.class_names_of(name))
        ),
        table_plan=plan,
        date_formats=formats,
        order_columns=frozenset() if plan is None else find_order_columns(valid, plan, formats),
        named_sets=frozenset(name for name, subset in held_out.items() if len(subset)),
        has_key_in_own_sets=plan is None or _has_key_in_own_sets(valid, plan),
        block_rows=BLOCK_ROWS if len(report.dataset) > BLOCK_ROWS else None,
    )
    facts = build_script_facts(valid, dataset_facts)
    return facts, report.splits, [], _complete_metrics(valid, report.facts)


def _has_key_in_own_sets(valid: ValidConfig, plan: TablePlan) -> bool:
    """Return whether the separate files of sets have the column that splits the rows of the others."""
    from layercli.data.paths import list_held_out_paths
    from layercli.data.types import DataError
    from layercli.formats.registry import iterate_new_rows
    from layercli.workflows.raw_rows import require_table

    data = valid.resolve_data_paths(require_table(valid))
    assert isinstance(data, TableConfig)
    keys = list(data.split.key_columns.values())
    if not keys:
        return True
    for name, patterns in data.split.own_files.items():
        path = list_held_out_paths(patterns, ("data", "split", name), data)[0]  # all have the same columns
        if is_address(path):  # a script cannot read it
            continue
        try:
            first = next(iterate_new_rows(data, [Path(path)], plan, keys))
        except DataError:  # the rows were read before, without the column
            return False
        if all(value is None for value in first.columns[keys[0]]):  # JSON
            return False
    return True


def _complete_metrics(valid: ValidConfig, facts: DataFacts | None) -> ValidConfig:
    return replace(valid, config=complete_metrics(valid.config, valid.shapes, facts))

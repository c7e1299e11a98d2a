"""Read the examples of a config, split them and check them against the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from layercli.activity import show_activity
from layercli.check import ValidConfig
from layercli.config.data.section import DataConfig, DataFacts
from layercli.errors import LayercliError, Problem, has_errors
from layercli.graph.adaptable import learns_normalization
from layercli.graph.checks.consistency import check_consistency
from layercli.graph.checks.ids import check_ids, has_id_layers
from layercli.graph.checks.monitors import check_monitors
from layercli.graph.finding import Finding
from layercli.graph.inputs import resolve_model_inputs
from layercli.graph.metrics import complete_metrics
from layercli.graph.target_meaning import resolve_target_meanings
from layercli.layers.families.lookup import MIN_TOKENS
from layercli.source.nodes import sanitize_text
from layercli.workflows.preflight import read_memory_limit, require_data_trust

if TYPE_CHECKING:
    from layercli.data.examples import Dataset, Splits
    from layercli.data.statistics import Statistics


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """All examples, their statistics, their splits and their problems."""

    dataset: Dataset
    statistics: Statistics
    splits: Splits | None
    """None if the training set would be empty."""
    problems: list[Problem]
    facts: DataFacts
    valid: ValidConfig | None = None
    """The config with the sizes that its layers learn from the training set; None if there are errors."""


@show_activity("Reading the data")
def check_dataset(valid: ValidConfig, data: DataConfig, *, trust: bool = False) -> DatasetReport:
    """Read all examples and collect every problem.

    Raises:
        LayercliError: The examples cannot be read, or the function that returns them is not trusted.
    """
    require_data_trust(valid, data, trust=trust)
    from layercli.data.checks import check_readable_inputs
    from layercli.data.statistics import compute_statistics
    from layercli.data.target_values import add_target_values
    from layercli.data.targets_and_weights import choose_target_forms
    from layercli.data.types import DataError
    from layercli.formats.registry import load_dataset

    try:
        dataset = load_dataset(
            valid.resolve_data_paths(data), memory=read_memory_limit(), dtypes=find_input_dtypes(valid)
        )
        with show_activity("Checking the data"):
            statistics = compute_statistics(dataset.statistics_source, has_ids=has_id_layers(valid.shapes))
        facts = add_target_values(dataset.facts(), statistics.target_values, data)
    except DataError as error:
        findings = [
            *error.findings,
            *_check_readable(valid, data, error.readable),
            *check_readable_inputs(error, data, _map_input_dtypes(valid)),
        ]
        raise valid.error_from_findings(findings) from None
    findings = _check_all_examples(valid, data, dataset, statistics, facts)
    problems = [valid.problem_from_finding(finding) for finding in findings]
    meanings = resolve_target_meanings(valid.config, valid.shapes, facts)
    dataset = dataset.convert_targets(choose_target_forms(meanings, statistics))
    try:
        splits = split_dataset(dataset, data, valid.config.seed)
    except DataError as error:
        problems.extend(valid.problem_from_finding(finding) for finding in error.findings)
        return DatasetReport(dataset, statistics, None, problems, facts)
    splits = replace(splits, target_meanings=meanings)
    if not has_errors(problems):
        findings = _check_sets(valid, data, splits, statistics, facts)
        problems.extend(valid.problem_from_finding(finding) for finding in findings)
    if has_errors(problems):
        return DatasetReport(dataset, statistics, splits, problems, facts)
    if valid.shapes.size_learners:
        try:
            valid = _learn_output_sizes(valid, splits, facts)
        except LayercliError as error:
            return DatasetReport(dataset, statistics, splits, [*problems, *error.problems], facts)
    return DatasetReport(dataset, statistics, splits, problems, facts, valid)


def _check_all_examples(
    valid: ValidConfig, data: DataConfig, dataset: Dataset, statistics: Statistics, facts: DataFacts
) -> list[Finding]:
    """Return the problems of all examples, before they are split."""
    from layercli.data.checks import check_examples, check_input_types, find_value_ranges
    from layercli.data.constant_columns import check_constant_columns
    from layercli.data.leaks import check_leaks

    model_inputs = list(valid.graph.inputs)
    findings = [
        *dataset.findings,  # first, because they can be the cause of a mismatch with the model
        *resolve_model_inputs(valid.config, facts)[1],
        *check_examples(statistics, data, dataset.locate_row),
        *check_constant_columns(
            statistics, data, model_inputs=model_inputs, is_normalized=_is_normalized(valid)
        ),
        *check_ids(valid.shapes, find_value_ranges(statistics, model_inputs)),
        *check_input_types(statistics, {name: x.dtype for name, x in valid.graph.inputs.items()}),
    ]
    if data.facts() is None:  # otherwise the config check reports this
        findings.extend(check_consistency(valid.config, valid.shapes, facts))
    findings.extend(check_leaks(dataset, data))
    findings.extend(_check_held_out(valid, dataset, data, findings))
    return findings


def _check_sets(
    valid: ValidConfig, data: DataConfig, splits: Splits, statistics: Statistics, facts: DataFacts
) -> list[Finding]:
    """Return the problems of the training, validation and test sets."""
    from layercli.data.checks import check_splits
    from layercli.data.constant_columns import check_training_columns

    findings = [
        *check_training_columns(
            splits,
            statistics,
            data,
            model_inputs=list(valid.graph.inputs),
            is_normalized=_is_normalized(valid),
        ),
        *check_splits(splits, data),
    ]
    if data.split.has_validation and not len(splits.validation):
        findings += check_monitors(
            complete_metrics(valid.config, valid.shapes, facts),
            valid.graph.output_references,
            has_validation=False,
        )
    return findings


def _is_normalized(valid: ValidConfig) -> bool:
    """Return whether a layer normalizes numbers by what it learned from the data."""
    return any(learns_normalization(node.layer) for node in valid.graph.nodes)


def _check_readable(valid: ValidConfig, data: DataConfig, dataset: Dataset | None) -> Iterator[Finding]:
    """Yield the errors in the targets of the examples that can be read, if others cannot."""
    from layercli.data.statistics import compute_statistics
    from layercli.data.target_values import add_target_values

    if dataset is not None:
        values = compute_statistics(dataset).target_values
        found = check_consistency(
            valid.config, valid.shapes, add_target_values(dataset.facts(), values, data)
        )
        yield from (finding for finding in found if finding.severity == "error")


def _learn_output_sizes(valid: ValidConfig, splits: Splits, facts: DataFacts) -> ValidConfig:
    """Return the config with the sizes that its layers learn from the training set.

    Raises:
        LayercliError: A layer does not accept such a size, or the output does not fit the target.
    """
    from layercli.engine.output_sizes import learn_output_sizes

    sizes = learn_output_sizes(valid, splits.train)
    for node in valid.graph.nodes:
        if min(sizes.get(node.name, [MIN_TOKENS])) < MIN_TOKENS:
            message = f"`{node.name}` learns a single token from the training set, so its output is constant."
            hint = "Remove it, or set `num_oov_indices: 1` for tokens that the training set lacks."
            raise LayercliError(valid.make_problem(node.path, "unknown-size", message, hint))
    completed = valid.with_output_sizes(sizes)
    findings = list(check_consistency(completed.config, completed.shapes, facts))
    if any(finding.severity == "error" for finding in findings):
        raise completed.error_from_findings(findings)
    return completed


def find_learned_sizes(declared: ValidConfig, completed: ValidConfig | None) -> dict[str, int]:
    """Return the size of the last axis of each layer that learned it from the data, by its name."""
    if completed is None:
        return {}
    rows = completed.shapes.by_name
    sizes = {name: rows[name].outputs[0].shape[-1] for name in declared.shapes.size_learners}
    return {name: size for name, size in sizes.items() if size is not None}


def _check_held_out(
    valid: ValidConfig, dataset: Dataset, data: DataConfig, known: Sequence[Finding]
) -> Iterator[Finding]:
    """Yield the findings in the sets that have separate files, without those that the training examples have, too."""
    from layercli.data.checks import check_examples, find_value_ranges
    from layercli.data.split_datasets import HeldOutDataset
    from layercli.data.statistics import compute_statistics
    from layercli.data.target_values import add_target_values
    from layercli.data.types import DataError

    seen = {(finding.code, finding.message) for finding in known}
    for name, held_out in dataset.held_out.items() if isinstance(dataset, HeldOutDataset) else ():
        try:
            statistics = compute_statistics(held_out.statistics_source, has_ids=has_id_layers(valid.shapes))
        except DataError as error:
            findings = list(error.findings)
        else:
            facts = add_target_values(held_out.facts(), statistics.target_values, data)
            findings = [
                *check_examples(statistics, data, held_out.locate_row),
                *check_ids(valid.shapes, find_value_ranges(statistics, list(valid.graph.inputs))),
                *check_consistency(valid.config, valid.shapes, facts),
                *held_out.findings,
            ]
        for finding in findings:
            if (finding.code, finding.message) not in seen:
                message = f"In the {name} files: {finding.message}"
                yield replace(finding, message=message, path=("data", "split", name))


@show_activity("Splitting the data")
def split_dataset(dataset: Dataset, data: DataConfig, seed: int) -> Splits:
    """Return the training, validation and test examples.

    Raises:
        DataError: the training set is empty, or the examples cannot be split so.
    """
    from layercli.data.folds import assign_fold
    from layercli.data.types import DataError

    size = data.split.counts(len(dataset))[0]
    assigned = (
        assign_fold(dataset, data.split, seed=seed, shuffle=data.shuffle)
        if data.split.fold is not None
        else None
    )
    splits = (
        None if size < 1 else dataset.split(data.split, seed=seed, shuffle=data.shuffle, assigned=assigned)
    )
    if splits is not None and len(splits.train):
        return splits
    reason = f"the other splits use all {len(dataset)} examples"
    hint = "Use smaller splits, such as `split: {validation: 0.1, test: 0.1}`."
    if data.split.column is not None:
        reason = f"`{sanitize_text(data.split.column, limit=60)}` contains `train` for no example"
        hint = "Correct the column."
    message = f"The training set is empty: {reason}."
    raise DataError(Finding(code="bad-split", message=message, path=("data", "split"), hint=hint))


def combine_problems(valid: ValidConfig, report: DatasetReport) -> list[Problem]:
    """Return the problems of a config and its data; those that were found without the data were checked again with it."""
    superseded: list[Problem] = []
    if valid.config.data is not None and valid.config.data.facts() is None:
        superseded = list(map(valid.problem_from_finding, check_consistency(valid.config, valid.shapes)))
    return [
        *(problem for problem in valid.check_result.problems if problem not in superseded),
        *report.problems,
    ]


def _require_batch_memory(valid: ValidConfig, splits: Splits, batch_size: int) -> None:
    """Check that batches of examples fit into memory.

    Raises:
        LayercliError: A batch can take more than half of the memory.
    """
    memory = read_memory_limit()
    size = min(batch_size, max(map(len, splits.subsets)))
    needed = size * splits.train.count_example_bytes()
    if memory is not None and needed > memory // 2:
        message = (
            f"A batch of {size} examples can take {needed:,} bytes of memory, "
            f"but only {memory // 2:,} bytes are available for it."
        )
        hint = "Use a smaller `batch_size`, or smaller examples."
        raise LayercliError(valid.make_problem(("train", "batch_size"), "too-large", message, hint))


def _map_input_dtypes(valid: ValidConfig) -> dict[str, str]:
    return {name: x.dtype for name, x in valid.graph.inputs.items()}


def find_input_dtypes(valid: ValidConfig) -> dict[str | None, str]:
    """Return the dtype of each input by name. That of a single input is also stored under None."""
    dtypes: dict[str | None, str] = {name: x.dtype for name, x in valid.graph.inputs.items()}
    return dtypes | ({None: next(iter(dtypes.values()))} if len(dtypes) == 1 else {})


def load_splits(valid: ValidConfig, data: DataConfig, *, trust: bool = False) -> tuple[Splits, list[Problem]]:
    """Return the train, validation and test examples in the form that the model expects, and warnings.

    Raises:
        LayercliError: The examples cannot be read or do not fit the model. Every finding is included.
    """
    return load_training_data(valid, data, trust=trust)[1:]


def load_training_data(
    valid: ValidConfig, data: DataConfig, *, trust: bool = False
) -> tuple[ValidConfig, Splits, list[Problem]]:
    """Return the config with metrics completed for the data, the examples, and the warnings that are new with the data.

    Raises:
        LayercliError: As for ``load_splits``.
    """
    return complete_training_data(valid, check_dataset(valid, data, trust=trust))


def complete_training_data(
    valid: ValidConfig, report: DatasetReport
) -> tuple[ValidConfig, Splits, list[Problem]]:
    """Return what ``load_training_data`` returns, for data that was read.

    Raises:
        LayercliError: As for ``load_splits``.
    """
    from layercli.data.memory import release_memory
    from layercli.data.targets_and_weights import apply_class_weights, encode_one_hot
    from layercli.data.types import DataError

    if report.splits is None or report.valid is None:
        raise LayercliError(report.problems)
    splits, declared, valid = report.splits, valid, report.valid
    if valid.config.train is not None:
        _require_batch_memory(valid, splits, valid.config.train.batch_size)
        try:
            splits = apply_class_weights(splits, valid.config.train.class_weight)
        except DataError as error:
            raise valid.error_from_findings(error.findings) from None
    completed = replace(valid, config=complete_metrics(valid.config, valid.shapes, report.facts))
    warnings = [problem for problem in report.problems if problem not in declared.check_result.problems]
    encoded = encode_one_hot(splits)
    release_memory()  # TensorFlow, which is loaded next, allocates its own
    return completed, encoded, warnings

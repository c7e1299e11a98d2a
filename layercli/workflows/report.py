"""Collect everything about runs, and write it as one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal

from layercli.activity import show_activity, track_items
from layercli.check import ValidConfig, check_config, require_valid
from layercli.errors import LayercliError, Problem, make_file_error
from layercli.graph.training_notes import describe_training
from layercli.io.atomic import report_write_errors, write_text
from layercli.io.paths import shorten_paths
from layercli.io.regular import read_inside
from layercli.page.charts import require_charts
from layercli.reports.run_page.content import DataContent, EvaluationContent, OutputContent, RunContent
from layercli.reports.run_page.model_card import render_model_card
from layercli.reports.run_page.page import render_run_page
from layercli.reports.target_summary import describe_targets
from layercli.runs.crossval_directory import read_crossval_directory
from layercli.runs.diagnostics import read_diagnostics
from layercli.runs.directory import CONFIG, HISTORY, is_unstarted, make_unstarted_error
from layercli.runs.history import read_records
from layercli.runs.listing import read_run
from layercli.runs.manifest import read_manifest_or_none
from layercli.runs.run_folder import suggest_run
from layercli.runs.seed_directory import read_seed_directory
from layercli.runs.summary import read_summary
from layercli.source.load import MAX_BYTES
from layercli.source.scalars import is_number
from layercli.workflows.dataset import check_dataset, complete_training_data
from layercli.workflows.evaluate import SPLIT_NAMES, SplitName, list_example_files, load_constants
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.missing_values import MissingFinder, make_missing_finder
from layercli.workflows.next_commands import list_next_commands
from layercli.workflows.preflight import require_sections, require_trust

if TYPE_CHECKING:
    from layercli.data.evaluation.selections import TopExamples
    from layercli.data.examples import Splits, Subset
    from layercli.data.types import Array
    from layercli.engine.importance import Importance
    from layercli.engine.output_values import Predictor
    from layercli.engine.result_details import DetailCollector, OutputDetails
    from layercli.workflows.dataset import DatasetReport

ReportFormat = Literal["html", "markdown"]
_SHOWN_EXAMPLES = 12
_SHOWN_EXAMPLES_OF_SEVERAL = 6
"""Examples of each kind that are shown of each of several runs."""


@show_activity("Writing the report")
def write_report(
    runs: Sequence[str],
    output: str,
    *,
    report_format: ReportFormat = "html",
    split: SplitName | None = None,
    trust: bool = False,
    is_locked_by_caller: bool = False,
) -> dict[str, Any]:
    """Write the page or the model card of one or several runs. Return the document of ``report --json``.

    Args:
        runs: The directories of the runs, of several seeds, or of a cross-validation; unfinished and damaged runs are
            shown as far as possible.
        output: The file.
        report_format: "html" for the page, "markdown" for the model card.
        split: The set over which the models are evaluated; None is the first of test, validation and training that is
            not empty.
        trust: Whether custom code may be run.
        is_locked_by_caller: Whether the caller is the training of the run, and has finished it.

    Raises:
        LayercliError: A directory is not a run, a package is missing, or the page cannot be written.
    """
    contents = [
        _read_files(path, is_locked_by_caller=is_locked_by_caller)
        for name in runs
        for path in _list_runs(Path(name))
    ]
    if report_format == "html":
        require_charts()
    shown = _SHOWN_EXAMPLES if len(contents) == 1 else _SHOWN_EXAMPLES_OF_SEVERAL
    for content in track_items(contents, len(contents)):
        _add_results(content, split, trust=trust, shown_examples=shown)
    text = render_run_page(contents) if report_format == "html" else render_model_card(contents)
    with report_write_errors("The report", output):
        write_text(Path(output), shorten_paths(text))
    return {
        "ok": True,
        "output": output,
        "runs": [str(content.run.path) for content in contents],
        "problems": [problem.as_json() for content in contents for problem in content.problems],
    }


def _list_runs(path: Path) -> list[Path]:
    """Return the runs of a directory of several seeds or of a cross-validation, or the path itself."""
    paths: list[Path] = []
    if (seeds := read_seed_directory(path)) is not None:
        paths = [*map(seeds.run_path, seeds.list_members())]
    elif (crossval := read_crossval_directory(path)) is not None:
        paths = crossval.find_runs()
    return [each for each in paths if each.is_dir() and not each.is_symlink()] or [path]


def _read_files(path: Path, *, is_locked_by_caller: bool) -> RunContent:
    """Return what the files of a run say, without its model and its data.

    Raises:
        LayercliError: The directory is not a run.
    """
    hint = suggest_run(path)
    try:
        run = read_run(path, is_locked_by_caller=is_locked_by_caller)
    except (OSError, ValueError):
        raise make_file_error(path, "run-directory", "This is not a run directory.", hint) from None
    if run.state == "empty" and is_unstarted(path):
        raise make_unstarted_error(path)
    if run.state in ("foreign", "empty"):
        raise make_file_error(path, "run-directory", f"This is not a run directory: {run.note}.", hint)
    content = RunContent(run, manifest=read_manifest_or_none(path), config_text=_read_config_text(path))
    with _collect_problems(content):
        content.summary = read_summary(path)
    with _collect_problems(content):
        content.history = read_records(path, HISTORY)
    content.history = content.history or _list_epochs(content.summary)
    with _collect_problems(content), suppress(OSError, ValueError):
        content.diagnostics = list(read_diagnostics(path))
    notes = content.summary.get("notes")
    content.notes = [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    if run.note is not None:
        message = f"The run is {run.state}: {run.note}."
        content.problems.append(
            Problem(code="run-directory", message=message, severity="warning", file=str(path))
        )
    return content


@contextmanager
def _collect_problems(content: RunContent) -> Iterator[None]:
    """Add the problems of an error as warnings; the page is then without what could not be read."""
    try:
        yield
    except LayercliError as error:
        _add_problems(content, error)


def _list_epochs(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a record for each epoch from the history in a summary."""
    history = summary.get("history")
    columns = history if isinstance(history, dict) else {}
    columns = {name: values for name, values in columns.items() if isinstance(values, list)}
    epochs = max(map(len, columns.values()), default=0)
    return [
        {name: values[index] for name, values in columns.items() if index < len(values)}
        for index in range(epochs)
    ]


def _read_config_text(path: Path) -> str | None:
    try:
        return read_inside(path, CONFIG, MAX_BYTES).decode("utf-8-sig", "replace")
    except (OSError, ValueError):
        return None


def _add_results(content: RunContent, split: SplitName | None, *, trust: bool, shown_examples: int) -> None:
    """Add what needs the config, the data or the model of a run; add a problem for each part that is missing."""
    path = content.run.path
    try:
        finished_run = FinishedRun.open(str(path), trust=trust)
    except LayercliError as error:
        _add_problems(content, error)
        if content.config_text is not None:
            with suppress(LayercliError):
                content.valid = require_valid(check_config(str(path / CONFIG), text=content.config_text))
        _complete_notes(content)
        return
    content.valid = valid = finished_run.valid
    content.commands = _list_commands(content, valid)
    _complete_notes(content)
    try:
        data, _ = require_sections(valid)
        require_trust(valid, trust=trust, data=data)
        report = check_dataset(valid, data, trust=trust)
        splits = complete_training_data(valid, report)[1]
        content.data = _summarize_data(report, splits)
        _check_fingerprint(content, splits)
        chosen = split or _choose_split(splits)
        content.evaluation = _evaluate_set(finished_run, splits, chosen, shown_examples)
    except LayercliError as error:
        _add_problems(content, error)


def _list_commands(content: RunContent, valid: ValidConfig) -> list[str]:
    """Return the commands that use the model, without that of this page."""
    results = {"run": content.title, "history": {}, "test": content.run.test}
    report = f"layercli report {quote(content.title)}"
    return [command for command in list_next_commands(valid, results) if not command.startswith(report)]


def _add_problems(content: RunContent, error: LayercliError) -> None:
    content.problems += [
        replace(problem, severity="warning") for problem in error.problems if problem.severity == "error"
    ]


def _complete_notes(content: RunContent) -> None:
    """Add how the training went so far if the run has no summary."""
    if content.notes or content.valid is None or content.valid.config.train is None or not content.history:
        return
    history: dict[str, list[float]] = {}
    for record in content.history:
        for key, value in record.items():
            if is_number(value):
                history.setdefault(key, []).append(value)
    counts = content.manifest["data"] if content.manifest else {}
    sizes = [counts[name] if is_number(counts.get(name)) else 1 for name in SPLIT_NAMES]
    content.notes = describe_training(
        {key: values for key, values in history.items() if key != "epoch"},
        content.valid.config.train,
        split_sizes=(sizes[0], sizes[1], sizes[2]),
        best=content.run.best,
    )


def _choose_split(splits: Splits) -> SplitName:
    """Return the first set of test, validation and training that is not empty."""
    return "test" if len(splits.test) else "validation" if len(splits.validation) else "train"


def _summarize_data(report: DatasetReport, splits: Splits) -> DataContent:
    from layercli.data.summary import compute_class_balances, summarize_features, summarize_targets

    return DataContent(
        summarize_features(report.statistics),
        summarize_targets(report.statistics),
        (len(splits.train), len(splits.validation), len(splits.test)),
        compute_class_balances(splits),
        describe_targets(splits.target_meanings, report.dataset.empty_batch.class_names_of),
    )


def _check_fingerprint(content: RunContent, splits: Splits) -> None:
    """Add a warning if the data is not that of the training."""
    recorded = content.manifest["data"]["fingerprint"] if content.manifest else None
    if recorded is not None and splits.fingerprint() != recorded:
        message = "The data is not the same as in the training, so the results can differ from those of the training."
        content.problems.append(
            Problem(code="data-changed", message=message, severity="warning", file=content.title)
        )


def _evaluate_set(
    finished_run: FinishedRun, splits: Splits, split: SplitName, shown_examples: int
) -> EvaluationContent:
    """Return the results over a set.

    Raises:
        LayercliError: The set is empty, or the model cannot be evaluated.
    """
    from layercli.data.types import DataError
    from layercli.engine.evaluate import evaluate_model
    from layercli.engine.load_model import load_model
    from layercli.engine.output_values import make_predictor
    from layercli.engine.result_details import DetailCollector
    from layercli.engine.results import collect_results

    valid, subset = finished_run.valid, getattr(splits, split)
    if not len(subset):
        message = f"The {split} split of this run is empty, so the page has no results."
        raise LayercliError(valid.make_problem(("data", "split"), "bad-split", message))
    _, section = require_sections(valid)
    model = load_model(finished_run.path, valid)
    predict, collector = make_predictor(model), DetailCollector(shown_examples=shown_examples)
    try:
        metrics = evaluate_model(model, valid, section, subset)
        document = collect_results(
            model,
            valid,
            section,
            subset,
            splits.target_meanings,
            reader_state=finished_run.load_reader_state(),
            observe=collector.observe,
            predict=predict,
            constants=load_constants(finished_run),
        )
    except DataError as error:  # raised by data that is read lazily
        raise valid.error_from_findings(error.findings) from None
    titles = valid.graph.output_references
    documents = document["outputs"] if len(titles) > 1 else {titles[0]: document}
    content = EvaluationContent(split, len(subset), metrics, [])
    importances = _compute_importance(valid, collector, predict, content.notes)
    name_example = _make_namer(finished_run, splits, split, subset)
    find_missing = make_missing_finder(finished_run, splits, split)
    content.outputs = [
        _describe_output(
            title if len(titles) > 1 else None,
            documents[title],
            details,
            importances.get(title),
            _find_saliency(model, valid, titles.index(title), details, content.notes),
            name_example,
            find_missing,
        )
        for title, details in collector.outputs.items()
    ]
    return content


def _compute_importance(
    valid: ValidConfig, collector: DetailCollector, predict: Predictor, notes: list[str]
) -> Mapping[str, Importance]:
    from layercli.engine.importance import MAX_PREDICTIONS, ImportanceBudgetError, compute_importance

    if collector.sample is None:
        return {}
    try:
        return compute_importance(
            predict,
            collector.outputs,
            valid.graph.output_references,
            collector.sample,
            flops=valid.shapes.flops,
            seed=valid.config.seed,
        )
    except ImportanceBudgetError:
        notes.append(
            "The importance of the columns was not computed: the table has too many columns, or the model is too large, for "
            f"the budget of {MAX_PREDICTIONS:,} predictions."
        )
        return {}


def _find_saliency(
    model: Any, valid: ValidConfig, index: int, details: OutputDetails, notes: list[str]
) -> Callable[[TopExamples], dict[str | None, Array]]:
    """Return a function from selected examples to the saliency of their images by input."""
    from layercli.engine.keras_errors import model_error_types
    from layercli.engine.saliency import compute_saliency

    # LookupError: an operation without a gradient
    error_types: tuple[type[BaseException], ...] = (*model_error_types(valid), LookupError)

    def find(selected: TopExamples) -> dict[str | None, Array]:
        if selected.examples is None:
            return {}
        is_choice = details.kind.kind == "classes"
        try:
            found = compute_saliency(
                model,
                selected.examples,
                index,
                is_choice=is_choice,
                is_logits=details.kind.logits is not None,
                seed=valid.config.seed,
            )
        except error_types as error:
            notes.append(f"The saliency of the images was not computed: {type(error).__name__}.")
            return {}
        return {each.input: each.maps for each in found}

    return find


def _make_namer(
    finished_run: FinishedRun, splits: Splits, split: SplitName, subset: Subset
) -> Callable[[int], str]:
    """Return a function from the position of an example in its set to its file, its row or its number."""
    rows = splits.rows[SPLIT_NAMES.index(split)] if splits.rows is not None else None
    if rows is None or len(rows) != len(subset):
        return lambda position: f"{split} example {position + 1}"
    files = list_example_files(finished_run, split)
    if files is not None and max(rows, default=-1) < len(files):
        return lambda position: str(Path(*Path(files[rows[position]]).parts[-2:]))
    return lambda position: f"row {int(rows[position]) + 1}"


def _describe_output(
    title: str | None,
    document: Mapping[str, Any],
    details: OutputDetails,
    importance: Importance | None,
    find_saliency: Callable[[TopExamples], dict[str | None, Array]],
    name_example: Callable[[int], str],
    find_missing: MissingFinder,
) -> OutputContent:
    from layercli.data.evaluation.curves import compute_score_curves, compute_threshold_rows
    from layercli.data.example_cards import list_class_keys, make_cards
    from layercli.engine.result_details import select_wrong

    kind, classes = details.kind, document.get("classes", ())
    content = OutputContent(title, kind, document, importance=importance)
    scores = details.results.scores
    if scores is not None:
        content.curves = compute_score_curves(*scores.counts)
        if kind.kind == "two" and kind.has_probabilities:
            best = document.get("scores", {}).get("best_threshold")
            content.thresholds = compute_threshold_rows(
                *scores.counts, best_threshold=None if best is None else best["threshold"]
            )
    for name, counts in zip(classes, details.class_scores, strict=False):
        curves = compute_score_curves(*counts)
        if curves is not None:
            content.class_curves = [*content.class_curves, (name, curves)]
    if details.calibration is not None:
        content.calibration = details.calibration.list_rows()
        content.calibration_error = details.calibration.compute_error()
    if details.pairs is not None:
        content.pairs = [(a, b) for a, b in details.pairs.pairs.tolist()]
    if details.positions is not None:
        content.has_positions = True
        content.position_interval = details.positions.compute_interval()
    wrong, uncertain = select_wrong(details), details.uncertain
    content.wrong = make_cards(wrong, kind, classes, name_example, find_saliency(wrong), find_missing)
    content.class_keys = list_class_keys(wrong, kind, classes)
    if uncertain is not None:
        content.uncertain = make_cards(
            uncertain, kind, classes, name_example, find_saliency(uncertain), find_missing
        )
    return content

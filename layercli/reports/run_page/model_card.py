"""The model card of runs: what a page says without pictures and examples, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from layercli.page.html import (
    Column,
    Markup,
    join_markup,
    make_element,
    make_preformatted,
    make_table,
    make_text,
)
from layercli.page.markdown import convert_to_markdown
from layercli.reports.formatting import format_number
from layercli.reports.run_page.card_metadata import format_card_metadata
from layercli.reports.run_page.content import EvaluationContent, OutputContent, RunContent
from layercli.reports.run_page.folds import make_folds
from layercli.reports.run_page.model import make_data, make_model, make_origin
from layercli.reports.run_page.results import make_results
from layercli.reports.run_page.seeds import make_seeds
from layercli.reports.run_page.summary import SET_TITLES, make_header, make_summary
from layercli.source.nodes import sanitize_text
from layercli.version import __version__

_MAX_COLUMNS: Final = 40


def render_model_card(contents: Sequence[RunContent]) -> str:
    """Return the model cards of runs, one after the other, below their metadata."""
    footer = make_element("p", f"Written by layercli {__version__}.")
    return format_card_metadata(contents) + convert_to_markdown(
        join_markup([make_folds(contents), make_seeds(contents), *map(_make_card, contents), footer])
    )


def _make_card(content: RunContent) -> Markup:
    sections = {
        "How good the model is": make_results(_without_charts(content)),
        "Compared with a guess": _make_guess_table(content),
        "Which columns matter": _make_importance(content),
        "The model": make_model(content),
        "The data": make_data(content),
        "Limits": _make_limits(content),
        "How to use it": _make_usage(content),
        "How to reproduce this model": make_origin(content),
    }
    name = content.valid.check_result.name if content.valid is not None else content.title
    parts = [
        make_element("h1", f"Model card: {sanitize_text(name, limit=80)}"),
        make_element("p", f"Run {content.title}"),
        make_header(content),
        make_summary(content),
    ]
    parts += [
        join_markup([make_element("h2", title), section]) for title, section in sections.items() if section
    ]
    return join_markup(parts)


def _make_limits(content: RunContent) -> Markup:
    """Return what the results do not show, as far as it follows from the run."""
    evaluation = content.evaluation
    if evaluation is None:
        return Markup()
    kinds = {output.kind.kind for output in evaluation.outputs}
    sentences = [
        "The results apply to examples like those of the training. The section on the data has the range of each column; the "
        "model was not tested outside of it."
    ]
    if evaluation.split != "test":
        sentences.append(
            f"The results are those of the {SET_TITLES[evaluation.split]} set, which the training has used: on new examples "
            "they are probably worse."
        )
    if kinds & {"classes", "two", "sign"}:
        sentences.append("It answers with one of its classes, even if an example belongs to none of them.")
    if "numbers" in kinds:
        sentences.append("It does not return the uncertainty of a predicted number.")
    if content.valid is not None and content.valid.needs_trust:
        sentences.append(
            "It has custom code, which runs with the rights of the user: review it before using `--trust`."
        )
    return make_element("ul", *(make_element("li", make_text(sentence)) for sentence in sentences))


def _make_usage(content: RunContent) -> Markup:
    """Return the commands that use the model."""
    if not content.commands:
        return Markup()
    text = (
        "The run directory has all that a prediction needs: the columns, fill values and class names of the training are "
        "applied to new examples. The model in it, model.keras, is a file of Keras."
    )
    return join_markup([make_preformatted("\n".join(content.commands)), make_element("p", text)])


def _without_charts(content: RunContent) -> RunContent:
    """Return the content without what is only drawn."""
    evaluation = content.evaluation
    if evaluation is None:
        return content
    outputs = [
        replace(output, curves=None, class_curves=(), calibration=(), pairs=())
        for output in evaluation.outputs
    ]
    return replace(content, evaluation=replace(evaluation, outputs=outputs))


def _make_guess_table(content: RunContent) -> Markup:
    """Return the metrics of the model and of a constant prediction, as the training compared them."""
    baseline = content.summary.get("baseline")
    metrics = baseline.get("metrics") if isinstance(baseline, dict) else None
    evaluation = content.evaluation
    if not isinstance(metrics, dict) or evaluation is None or not _is_same_set(evaluation, baseline):
        return Markup()
    rows = [
        [sanitize_text(name), format_number(value), format_number(metrics[name])]
        for name, value in evaluation.metrics.items()
        if isinstance(metrics.get(name), (int, float)) and isinstance(value, (int, float))
    ]
    columns = [Column("metric"), Column("model", is_number=True), Column("guess", is_number=True)]
    text = (
        "The guess predicts the same for every example: the class frequencies, or the mean of the numbers, of the training "
        "set."
    )
    return (
        join_markup([make_table(columns, rows, label="Guess"), make_element("p", text)]) if rows else Markup()
    )


def _is_same_set(evaluation: EvaluationContent, baseline: object) -> bool:
    name = baseline.get("set") if isinstance(baseline, dict) else None
    return {"training": "train"}.get(str(name), name) == evaluation.split


def _make_importance(content: RunContent) -> Markup:
    """Return the importance of the columns for each output as tables."""
    outputs = content.evaluation.outputs if content.evaluation is not None else ()
    return join_markup(
        [_make_importance_table(output) for output in outputs if output.importance is not None]
    )


def _make_importance_table(output: OutputContent) -> Markup:
    assert output.importance is not None
    of = f" for {sanitize_text(output.title, limit=60)}" if output.title else ""
    measure = output.importance.measure
    text = f"How much worse the {measure}{of} becomes if the values of one column are shuffled."
    rows = [
        [sanitize_text(each.column, limit=60), format_number(each.mean), format_number(each.deviation)]
        for each in output.importance.columns[:_MAX_COLUMNS]
    ]
    columns = [Column("column"), Column("importance", is_number=True), Column("deviation", is_number=True)]
    return join_markup([make_element("p", text), make_table(columns, rows, label="Importance")])

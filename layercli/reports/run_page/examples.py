"""Examples that the model gets most wrong or is least certain of, and the columns that matter."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from layercli.page.charts import Bars, draw_bars, draw_sparkline
from layercli.page.html import Column, Markup, join_markup, make_element, make_table
from layercli.reports.formatting import format_number
from layercli.reports.run_page.content import OutputContent, RunContent
from layercli.source.nodes import sanitize_text

if TYPE_CHECKING:
    from layercli.data.example_cards import ExampleCard

_MAX_BARS: Final = 25
_DECREASING: Final = ("accuracy", "ROC-AUC")


def make_examples(content: RunContent) -> Markup:
    """Return the selected examples of each output."""
    if content.evaluation is None:
        return Markup()
    parts: list[Markup] = []
    for output in content.evaluation.outputs:
        of = f", {output.title}" if output.title else ""
        if output.wrong:
            parts.append(make_element("h3", f"Most wrong{of}"))
            parts.append(make_element("p", _explain_wrong(output), class_="muted"))
            parts.append(_make_class_keys(output))
            parts.append(_make_cards(output.wrong))
        if output.uncertain:
            parts.append(make_element("h3", f"Least certain{of}"))
            text = (
                "The examples whose two most probable classes are closest, for correct and wrong predictions."
            )
            parts.append(make_element("p", text, class_="muted"))
            parts.append(_make_cards(output.uncertain))
    return join_markup(parts)


def make_importance(content: RunContent) -> Markup:
    """Return the permutation importance of the columns for each output."""
    outputs = content.evaluation.outputs if content.evaluation else ()
    return join_markup([_draw_importance(output) for output in outputs if output.importance is not None])


def _explain_wrong(output: OutputContent) -> str:
    if output.kind.kind == "numbers":
        return "The examples with the largest error."
    if output.kind.kind == "labels":
        return "The examples whose probabilities are farthest from their labels."
    if any(card.facts and card.facts[0][0] == "wrong positions" for card in output.wrong):
        return "The examples with the largest share of wrong positions."
    if all(dict(card.facts).get("true") == dict(card.facts).get("predicted") for card in output.wrong):
        return "All predictions are correct. These are the examples to whose true class the model gives the least probability."
    return "The examples to whose true class the model gives the least probability. They can also be wrong in the data."


def _make_class_keys(output: OutputContent) -> Markup:
    """Return the colors of the classes in the pictures of masks."""
    if not output.class_keys:
        return Markup()
    keys = [
        make_element(
            "span",
            make_element("span", class_="key", style=f"background: {color}"),
            sanitize_text(name, limit=90),
        )
        for name, color in output.class_keys
    ]
    return make_element("p", "Colors of the classes: ", *keys, class_="keys")


def _make_cards(cards: Sequence[ExampleCard]) -> Markup:
    if all(card.values and not card.pictures and not card.texts and not card.lines for card in cards):
        return _make_row_table(cards)
    is_wide = any(card.texts or card.lines for card in cards)
    return make_element(
        "div", *(_make_card(card) for card in cards), class_="cards wide" if is_wide else "cards"
    )


def _make_row_table(cards: Sequence[ExampleCard]) -> Markup:
    """Return examples of a table as rows: target and prediction first, then their columns."""
    facts = list(dict.fromkeys(name for card in cards for name, _ in card.facts))
    values = list(dict.fromkeys(name for card in cards for name, _ in card.values))
    columns = [
        Column("example"),
        *(Column(name) for name in facts),
        *(Column(sanitize_text(name, limit=30)) for name in values),
    ]
    rows = [
        [
            card.name,
            *(dict(card.facts).get(name, "") for name in facts),
            *(dict(card.values).get(name, "") for name in values),
        ]
        for card in cards
    ]
    return make_table(columns, rows, label="Examples")


def _make_card(card: ExampleCard) -> Markup:
    parts: list[Markup] = []
    if card.pictures:
        facts = ", ".join(f"{name} {value}" for name, value in card.facts)
        pictures = [
            make_element(
                "span",
                make_element(
                    "img",
                    src=f"data:image/png;base64,{b64encode(content).decode()}",
                    alt=f"{card.name}, {caption}: {facts}",
                ),
                caption if len(card.pictures) > 1 else "",
            )
            for caption, content in card.pictures
        ]
        parts.append(make_element("div", *pictures, class_="pictures"))
    for text in card.texts:
        parts.append(make_element("blockquote", text))
    for lines in card.lines:
        names = ", ".join(name for name, _ in lines)
        parts.append(draw_sparkline(lines, f"{names} of {card.name}, {len(lines[0][1])} steps"))
    items = [
        make_element("div", make_element("dt", name), make_element("dd", value))
        for name, value in [("example", card.name), *card.facts, *card.values]
    ]
    return make_element("div", *parts, make_element("dl", *items), class_="card")


def _draw_importance(output: OutputContent) -> Markup:
    importance = output.importance
    assert importance is not None
    shown = importance.columns[:_MAX_BARS]
    change = "loss of" if importance.measure in _DECREASING else "increase of the"
    unit = f"{change} {importance.measure}"
    of = f" for {output.title}" if output.title else ""
    note = (
        f"How much worse the model becomes if the values of one column are shuffled among {importance.examples:,} "
        f"random examples, {importance.repeats} times; the thin lines are the deviation. Without shuffling, the "
        f"{importance.measure} is {format_number(abs(importance.baseline))}."
    )
    most = shown[0].column if shown else "none"
    chart = draw_bars(
        Bars(
            f"Importance of the columns{of}",
            f"A bar for each column, its {unit}. The most important one is {sanitize_text(most, limit=40)}.",
            unit,
            [each.column for each in shown],
            [each.mean for each in shown],
            [each.deviation for each in shown],
            note=note,
        )
    )
    parts = [make_element("div", chart, class_="charts")]
    if len(importance.columns) > len(shown):
        hidden = len(importance.columns) - len(shown)
        parts.append(make_element("p", f"{hidden} less important columns are not shown.", class_="muted"))
    text = (
        "Columns with the same information share their importance: each looks unimportant, because the model can use the "
        "other one."
    )
    parts.append(make_element("p", text, class_="muted"))
    return join_markup(parts)

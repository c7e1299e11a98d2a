"""The summary of a run in plain sentences: what it learned, how well, and what to look at next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from shlex import quote
from typing import Any, Final

from layercli.config.training.callbacks import EarlyStopping
from layercli.layers.shapes import format_shape
from layercli.page.html import Markup, join_markup, make_element, make_text
from layercli.reports.formatting import format_count, format_duration, format_number, join_words
from layercli.reports.run_page.content import OutputContent, RunContent
from layercli.reports.runs import describe_run_end
from layercli.source.nodes import sanitize_text
from layercli.source.scalars import is_number

_FEW_EXAMPLES: Final = 100
_MIN_SUPPORT: Final = 5
"""Examples of a class from which its results mean something."""
_LARGE_CALIBRATION_ERROR: Final = 0.05
_SMALL_IMPORTANCE: Final = 0.01
"""A column is hardly used if its importance is below this share of the largest."""
_WEAK_CLASS: Final = 0.85
"""A class is named if its F1 is below this share of the average."""
SET_TITLES: Final = {"train": "training", "validation": "validation", "test": "test"}


def make_header(content: RunContent) -> Markup:
    """Return a line of facts: state, date, epochs, time."""
    run = content.run
    facts: list[str] = [run.state]
    if (started := _find_date(content)) is not None:
        facts.append(started)
    if run.epochs is not None:
        facts.append("1 epoch" if run.epochs == 1 else f"{run.epochs:,} epochs")
    if run.seconds is not None:
        facts.append(format_duration(run.seconds))
    if run.parameters is not None:
        facts.append(f"{format_count(run.parameters)} parameters")
    return make_element("p", " · ".join(facts), class_="muted")


def make_summary(content: RunContent) -> Markup:
    """Return the sentences, and why parts of the page are missing."""
    sentences = [*_describe_task(content), *_describe_results(content)]
    sentences += [sanitize_text(note) for note in content.notes]
    advice = list(_list_advice(content))
    parts = [make_element("p", make_element("strong", "In short"))]
    parts.append(make_element("ul", *(make_element("li", make_text(sentence)) for sentence in sentences)))
    if advice:
        parts.append(make_element("p", make_element("strong", "What to look at next")))
        parts.append(make_element("ul", *(make_element("li", make_text(each)) for each in advice)))
    notices = [
        make_element(
            "p",
            make_text(sanitize_text(problem.message, limit=600)),
            *((" ", make_text(sanitize_text(problem.hint, limit=400))) if problem.hint else ()),
            class_="notice",
        )
        for problem in content.problems
    ]
    return join_markup([make_element("div", *parts, class_="summary"), *notices])


def _find_date(content: RunContent) -> str | None:
    """Return the day on which the files of the run were written."""
    try:
        changed = max(
            (content.run.path / name).stat().st_mtime
            for name in ("config.yaml", "summary.json", "history.jsonl")
            if (content.run.path / name).exists()
        )
    except (OSError, ValueError):
        return None
    return datetime.fromtimestamp(changed).strftime("%Y-%m-%d %H:%M")


def _describe_task(content: RunContent) -> Iterator[str]:
    valid, outputs = content.valid, content.evaluation.outputs if content.evaluation else ()
    if valid is not None:
        inputs = [format_shape(x.shape[1:]) for x in valid.graph.inputs.values()]
        count = len(valid.graph.nodes)
        layers = "1 layer" if count == 1 else f"{count:,} layers"
        shown = join_words(inputs[:4]) + (" and more" if len(inputs) > 4 else "")
        learned = (
            join_words([_describe_target(output, content) for output in outputs]) if outputs else "its target"
        )
        parameters = "" if content.run.parameters is None else f" and {content.run.parameters:,} parameters"
        yield f"A model with {layers}{parameters} learned {learned} from inputs of shape {shown}."
    counts = content.manifest.get("data", {}) if content.manifest else {}
    numbers = {name: counts[name] for name in SET_TITLES if is_number(counts.get(name))}
    if len(numbers) == 3:
        yield (
            f"It was trained on {numbers['train']:,} examples, with {numbers['validation']:,} examples for validation "
            f"and {numbers['test']:,} for testing."
        )
    transfer = content.manifest.get("weights") if content.manifest else None
    taken = transfer.get("taken") if isinstance(transfer, dict) else None
    if valid is not None and valid.config.model.weights is not None and isinstance(taken, list) and taken:
        source = sanitize_text(valid.config.model.weights, limit=200)
        yield f"Its training started with the weights of {source} in {len(taken):,} of its layers."


def _describe_target(output: OutputContent, content: RunContent) -> str:
    of = f" of {sanitize_text(output.title, limit=40)}" if output.title else ""
    names = [sanitize_text(name, limit=30) for name in output.document.get("classes", ())]
    if output.kind.kind == "labels":
        return f"to predict {len(names)} labels{of}"
    if output.kind.kind == "numbers" or not names:
        column = getattr(content.valid.config.data, "target", None) if content.valid else None
        if isinstance(column, str) and not of:
            return f"to predict {_quote_name(column)}"
        return f"to predict numbers{of}"
    if len(names) > 6:
        return f"to distinguish {len(names):,} classes{of} ({', '.join(names[:4])}, …)"
    return f"to distinguish the classes{of} {join_words(names)}"


def _describe_results(content: RunContent) -> Iterator[str]:
    evaluation = content.evaluation
    if evaluation is None:
        if content.run.best:
            best = content.run.best
            monitor = str(best.get("monitor", "loss"))
            yield f"Its best epoch was {best.get('epoch', '?')}, with {monitor} {format_number(best.get(monitor))}."
        return
    examples = "1 example" if evaluation.examples == 1 else f"{evaluation.examples:,} examples"
    where = f"On {examples} of the {SET_TITLES[evaluation.split]} set"
    if evaluation.split == "train":
        where += " (on which it was trained)"
    for output in evaluation.outputs:
        yield from _describe_output(output, f"{where}{_name_output(output)}", evaluation.examples)


def _describe_output(output: OutputContent, where: str, examples: int) -> Iterator[str]:
    document = output.document
    of = _name_output(output)
    if "errors" in document:
        yield _describe_errors(document, where)
    elif "confusion" in document or "most_confused" in document:
        yield _describe_accuracy(output, where, examples)
        if pairs := document.get("most_confused"):
            first = pairs[0]
            yield (
                f"Its most frequent mistake{of} is {_quote_name(first['predicted'])} for {_quote_name(first['class'])}: "
                f"{'once' if first['count'] == 1 else format(first['count'], ',') + ' times'}."
            )
    elif "per_class" in document:
        text = f"{where}, the average F1 of its labels is {format_number(document['macro']['f1'])}"
        if guess := document.get("baseline"):
            text += (
                f"; predicting the more frequent value of each label would have {format_number(guess['f1'])}"
            )
        yield f"{text}."
    if output.calibration_error is not None and examples >= _FEW_EXAMPLES:
        yield (
            f"Its probabilities{of} differ from the observed frequencies by "
            f"{100 * output.calibration_error:.1f} percentage points "
            "on average (expected calibration error)."
        )


def _name_output(output: OutputContent) -> str:
    """Return " for NAME" if the model has several outputs."""
    return f" for {sanitize_text(output.title, limit=40)}" if output.title else ""


def _describe_accuracy(output: OutputContent, where: str, examples: int) -> str:
    document = output.document
    total = sum(row["support"] for row in document["per_class"])
    accuracy = document["weighted"]["recall"]
    low, high = (
        output.position_interval or (0.0, 1.0) if output.has_positions else wilson_interval(accuracy, total)
    )
    text = f"{where}, it is correct in {_format_percent(accuracy)}"
    if output.has_positions:
        text += f" of the {total:,} positions"
        if output.position_interval is not None:
            text += (
                f" (with 95 % confidence {_format_percent(low)} to {_format_percent(high)}, from the differences between the "
                f"{examples:,} examples)"
            )
    elif total:
        text += f" of the cases (with 95 % confidence {_format_percent(low)} to {_format_percent(high)})"
    baseline = document.get("baseline")
    if not baseline:
        return f"{text}."
    guess = baseline["accuracy"]
    text += f"; always guessing {_quote_name(baseline['class'])} would be correct in {_format_percent(guess)}"
    if naive := document.get("naive_forecast"):
        text += f", and repeating the last known class in {_format_percent(naive['accuracy'])}"
        if naive["accuracy"] >= max(guess, accuracy):
            return f"{text}. It is not better than repeating the last known class."
        guess = max(guess, naive["accuracy"])
    if accuracy <= guess:
        return f"{text}. It is not better than this guess."
    if low <= guess:
        return f"{text}. The difference can be chance, because the set is small."
    return f"{text}. It is clearly better than this guess."


def _describe_errors(document: Mapping[str, Any], where: str) -> str:
    errors, baseline = document["errors"], document.get("baseline", {})
    text = f"{where}, its predictions differ from the target by {format_number(errors['mae'])} on average"
    guess = baseline.get("mae")
    if guess is not None:
        whose = "the training targets" if baseline.get("targets") == "training" else "these examples"
        text += f"; always predicting the mean of {whose} would differ by {format_number(guess)}"
    if (last := document.get("naive_forecast")) is not None:
        text += f", and repeating the last known value by {format_number(last['mae'])}"
    if (errors.get("r2") or 0) > 0:
        text += f". It explains {_format_percent(errors['r2'])} of the variance (R2 {format_number(errors['r2'])})"
    ratio = errors["rmse"] / baseline["rmse"] if baseline.get("rmse") else None
    if last is not None and errors["mae"] >= last["mae"]:
        return f"{text}. It is not better than repeating the last known value."
    if guess is not None and errors["mae"] >= guess and (ratio is None or ratio >= 1):
        return f"{text}. It is not better than this guess."
    return f"{text}."


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share of ``count`` examples (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    z = 1.959963984540054
    center = (share + z * z / (2 * count)) / (1 + z * z / count)
    width = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, center - width), min(1.0, center + width)


def _list_advice(content: RunContent) -> Iterator[str]:
    evaluation = content.evaluation
    if content.run.state == "unfinished":
        yield f"The training is not finished. Resume it with: layercli train --resume {content.title}"
    if content.run.state == "failed":
        yield describe_run_end(content.run)
    yield from _advise_on_training(content)
    if evaluation is None:
        return
    if evaluation.split == "test" and evaluation.examples < _FEW_EXAMPLES:
        split = content.valid.config.data.split if content.valid and content.valid.config.data else None
        advice = "Hold out more examples with `data.split.test`."
        if split is not None and split.fold is not None:
            advice = "The mean of all folds is less uncertain."
        yield f"The test set has only {evaluation.examples:,} examples, so every number here is uncertain. {advice}"
    for output in evaluation.outputs:
        yield from _advise_on_output(output)


def _advise_on_training(content: RunContent) -> Iterator[str]:
    losses = [record.get("val_loss") for record in content.history]
    known = [value for value in losses if is_number(value) and math.isfinite(value)]
    if (
        content.run.state == "finished"
        and len(known) > 2
        and len(known) == len(losses)
        and min(known) == known[-1]
    ):
        yield f"The validation loss was lowest in the last epoch, so more epochs may help{_advise_on_more_epochs(content)}"
    if any(note.startswith("Overfitting") for note in content.notes):
        yield _advise_on_overfitting(content)


def _advise_on_more_epochs(content: RunContent) -> str:
    """Return how to train for more epochs; a learning-rate schedule has ended, so resuming would change little."""
    train = content.valid.config.train if content.valid is not None else None
    if train is not None and train.has_schedule:
        return ": train again, with a learning-rate schedule of the same number of steps."
    key, epochs = "train.epochs", 2 * len(content.history)
    if train is not None and train.stages is not None:
        key, epochs = f"train.stages.{len(train.stages) - 1}.epochs", 2 * train.stages[-1].epochs
    return f": layercli train --resume {quote(content.title)} --set {key}={epochs}"


def _advise_on_overfitting(content: RunContent) -> str:
    train = content.valid.config.train if content.valid is not None else None
    stops = [
        each
        for each, _, _ in (train.iterate_callbacks() if train is not None else ())
        if isinstance(each, EarlyStopping)
    ]
    remedies = "more training examples, augmentation, Dropout, weight decay or a smaller model"
    if any(stop.restore_best_weights for stop in stops):
        return (
            "The model overfits after its best epoch, and keeps the weights of that epoch. "
            f"{remedies[0].upper()}{remedies[1:]} can improve it."
        )
    if train is not None and train.has_schedule:
        return (
            f"The model overfits: {remedies} usually help, or fewer epochs with a learning-rate schedule of the same "
            "number of steps."
        )
    early = (
        "`restore_best_weights: true` of its EarlyStopping"
        if stops
        else "EarlyStopping with `restore_best_weights: true`"
    )
    return f"The model overfits: {remedies} usually help, and {early} keeps its best epoch."


def _advise_on_output(output: OutputContent) -> Iterator[str]:
    document, of = output.document, _name_output(output)
    unit = "positions" if output.has_positions else "examples"
    rows = [row for row in document.get("per_class", ()) if row["support"] >= _MIN_SUPPORT]
    if len(rows) > 1:
        weakest = min(rows, key=lambda row: row["f1"])
        if weakest["f1"] < _WEAK_CLASS * document["macro"]["f1"]:
            yield (
                f"The class {_quote_name(weakest['class'])}{of} is the weakest, with an F1 of "
                f"{format_number(weakest['f1'])} over {weakest['support']:,} {unit}. Look at its most wrong examples."
            )
    if (output.calibration_error or 0) > _LARGE_CALIBRATION_ERROR and output.calibration:
        count = sum(row.count for row in output.calibration)
        gap = sum((row.predicted - row.observed) * row.count for row in output.calibration) / count
        tendency = "too high" if gap > 0 else "too low"
        yield (f"Its probabilities{of} are {tendency} by {100 * abs(gap):.1f} percentage points on average.")
    scores = document.get("scores", {})
    best = scores.get("best_threshold")
    if best is not None and rows and len(rows) == 2 and best["f1"] > rows[1]["f1"] + 0.02:
        yield (
            f"The threshold {format_number(best['threshold'])}{of} instead of 0.5 would raise the F1 of "
            f"{_quote_name(rows[1]['class'])} from {format_number(rows[1]['f1'])} to {format_number(best['f1'])}."
        )
    if output.importance is not None:
        columns = output.importance.columns
        largest = max((each.mean for each in columns), default=0.0)
        useless = [
            each.column for each in columns if each.mean <= max(each.deviation, _SMALL_IMPORTANCE * largest)
        ]
        if useless and len(useless) < len(columns):
            shown = join_words([sanitize_text(name, limit=30) for name in useless[:6]])
            more = f" and {len(useless) - 6} more" if len(useless) > 6 else ""
            them = "it" if len(useless) == 1 else "them"
            yield f"The model hardly uses {shown}{more}{of}; it may be as good without {them}."
    errors = document.get("errors", {})
    if errors and errors["quantiles"].get("99", 0) > 5 * errors["quantiles"].get("50", math.inf):
        yield f"A few errors{of} are much larger than the others. Look at the most wrong examples."


def _format_percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _quote_name(name: str) -> str:
    return f'"{sanitize_text(name, limit=40)}"'

"""The results of a model over examples, for each output by the meaning of its target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from layercli.activity import track_items
from layercli.check import ValidConfig
from layercli.config.data.tables import TableConfig
from layercli.config.training.section import TrainSection
from layercli.data.evaluation.classes import ClassResult, LabelResult
from layercli.data.evaluation.errors import MAX_TARGETS, ErrorResult
from layercli.data.evaluation.scores import ScoreResult
from layercli.data.examples import Examples, Subset
from layercli.data.reader_state import ReaderState
from layercli.data.types import Array, iterate_named
from layercli.engine.output_values import Predictor, find_output_kind, interpret_output, make_predictor
from layercli.graph.output_kind import OutputKind, name_classes
from layercli.graph.target_meaning import TargetKind, TargetMeaning

MAX_MEASURED_CLASSES: Final = 50_000
"""Largest number of classes for which results of each class are computed."""
Result: TypeAlias = ClassResult | LabelResult | ErrorResult


@dataclass(slots=True)
class OutputResults:
    """The results of one output; ``scores`` only for two classes, ``naive`` only for numbers and classes of series."""

    kind: OutputKind
    ignored_class: int | None
    result: Result
    scores: ScoreResult | None = None
    naive: ErrorResult | ClassResult | None = None
    invalid: int = field(default=0, init=False)
    """Number of predictions that are NaN or infinite; they are left out."""

    def add(self, target: Array, output: Array, mask: Array | None, last_target: Array | None) -> None:
        """Add a batch.

        Args:
            target: The target of an output, of shape (samples, ...).
            output: The output, of shape (samples, ..., units).
            mask: The mask of its positions, of shape (samples, positions).
            last_target: The last known value before each target, of shape (samples, ...).
        """
        is_used: Array = find_used_positions(output, mask)
        is_finite = np.isfinite(output).all(axis=-1)
        self.invalid += int((is_used & ~is_finite).sum())
        is_used &= is_finite
        values = interpret_output(output, self.kind)
        if isinstance(self.result, ErrorResult):
            true = target.reshape(output.shape)
            if mask is None:
                is_used = np.asarray(is_used.reshape(len(output), -1).all(axis=1))
            self.result.add(true[is_used], values.scores[is_used])
            if isinstance(self.naive, ErrorResult) and last_target is not None:
                naive = _repeat_last(last_target, true)
                is_known = is_used & np.isfinite(naive).reshape(*is_used.shape, -1).all(axis=-1)
                self.naive.add(true[is_known], naive[is_known])
            return
        assert values.predicted is not None
        if isinstance(self.result, LabelResult):
            true = target.reshape(output.shape) > self.kind.threshold
            self.result.add(true[is_used], values.predicted[is_used])
            return
        true = self.find_true_classes(target, values.predicted, output.shape[-1])
        if self.kind.kind == "classes":
            is_used &= (true >= 0) & (true < output.shape[-1]) & (true != self.ignored_class)
        self.result.add(true[is_used], values.predicted[is_used])
        if isinstance(self.naive, ClassResult) and last_target is not None:
            last = _repeat_last(last_target, target)
            naive_classes = self.find_true_classes(last, values.predicted, output.shape[-1])
            is_known = is_used & np.isfinite(last.reshape(*is_used.shape, -1)).all(axis=-1)
            if self.kind.kind == "classes":
                is_known &= (naive_classes >= 0) & (naive_classes < output.shape[-1])
            self.naive.add(true[is_known], naive_classes[is_known])
        if self.scores is not None:
            self.scores.add(true[is_used] == 1, values.scores[..., 0][is_used])

    def find_true_classes(self, target: Array, predicted: Array, units: int) -> Array:
        """Return the class numbers of a target: of the shape of the predicted ones."""
        if self.kind.kind != "classes":
            return (target.reshape(predicted.shape) > self.kind.threshold).astype(np.int64)
        is_for_each_unit = target.size == predicted.size * units and target.shape[-1] == units
        labels = target.argmax(axis=-1) if is_for_each_unit else target.astype(np.int64)
        return labels.reshape(predicted.shape)

    def to_json(self) -> dict[str, Any]:
        """Return the results; without values if no position has one."""
        document = {} if self.result.is_empty else self.result.to_json()
        if document and self.scores is not None:
            document["scores"] = self.scores.to_json()
        if document and self.naive is not None and not self.naive.is_empty:
            _add_naive_forecast(document, self.naive.to_json())
        return document | ({"invalid_predictions": self.invalid} if self.invalid else {})


Observer: TypeAlias = Callable[[str, OutputResults, Examples, Array, Array, Array | None], None]
"""Gets the name and the results of an output, and a batch with the target, the output and the mask of its positions."""


def find_used_positions(output: Array, mask: Array | None) -> Array:
    """Return which positions are not masked: bool of the shape of an output without its units."""
    shape = output.shape[:-1]
    if mask is None or mask.shape != shape[: mask.ndim]:
        return np.ones(shape, bool)
    return np.broadcast_to(mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim)), shape).astype(bool)


def _repeat_last(last_target: Array, true: Array) -> Array:
    """Return the last known value of each series for each predicted step: of the shape of the target."""
    samples, columns = len(true), prod(last_target.shape[1:])
    steps = true.size // (samples * columns)
    repeated: Array = np.repeat(last_target.reshape(samples, 1, columns), steps, axis=1).reshape(true.shape)
    return repeated


def _add_naive_forecast(document: dict[str, Any], naive: Mapping[str, Any]) -> None:
    """Add the results of the last known value or class, as a forecast, to those of the model."""
    if "errors" not in naive:
        document["naive_forecast"] = {"accuracy": naive["weighted"]["recall"]}
        return
    document["naive_forecast"] = naive["errors"]
    rows = zip(document.get("per_target", []), naive.get("per_target", []), strict=False)
    for row, naive_row in rows:
        row["naive_forecast"] = {key: naive_row[key] for key in ("mae", "rmse", "r2")}


def collect_results(
    model: Any,
    valid: ValidConfig,
    train: TrainSection,
    subset: Subset,
    meanings: Mapping[str | None, TargetMeaning],
    *,
    reader_state: ReaderState | None = None,
    observe: Observer | None = None,
    predict: Predictor | None = None,
    constants: Mapping[str, Array] | None = None,
) -> dict[str, Any]:
    """Return the results of each output whose target has a meaning: in ``outputs``; without names for a single output.

    Weights of examples are not used.

    Args:
        model: The model.
        valid: Its config.
        train: The ``train`` section.
        subset: The examples.
        meanings: The meaning of each target.
        reader_state: What training knew about the targets.
        observe: Gets each batch of each such output.
        predict: The model as ``make_predictor`` returns it, if it is used elsewhere, too.
        constants: What a guess from the training targets predicts for one example, by output.
    """
    titles = valid.graph.output_references
    results: dict[str, OutputResults | None] = {}
    predict = predict or make_predictor(model)
    for batch in track_items(subset.batches(train.batch_size), len(subset), count=len):
        targets = dict(batch.targets)
        last_targets = {} if batch.last_targets is None else dict(iterate_named(batch.last_targets))
        for index, (title, (output, mask)) in enumerate(zip(titles, predict(batch), strict=True)):
            key = title if title in targets else None
            if key not in targets or key not in meanings:
                continue
            if title not in results:
                described = _describe_target(key, meanings[key].kind, batch, reader_state)
                results[title] = _make_results(
                    valid,
                    index,
                    output,
                    targets[key],
                    described,
                    has_mask=mask is not None,
                    has_naive=key in last_targets,
                    constant=(constants or {}).get(title),
                )
            result = results[title]
            if result is not None:
                result.add(targets[key], output, mask, last_targets.get(key))
                if observe is not None:
                    observe(title, result, batch, targets[key], output, mask)
    documents = {title: result.to_json() for title, result in results.items() if result is not None}
    return {"outputs": documents} if len(titles) > 1 else documents.get(titles[0], {})


class _MeasuredTarget(NamedTuple):
    """The properties of a target, from the training if possible, otherwise from the examples."""

    kind: TargetKind
    class_names: tuple[str, ...] | None
    columns: tuple[str, ...] | None = None


def _describe_target(
    name: str | None, kind: TargetKind, examples: Examples, reader_state: ReaderState | None
) -> _MeasuredTarget:
    class_names = examples.class_names_of(name)
    if reader_state is None:
        return _MeasuredTarget(kind, class_names)
    return _MeasuredTarget(
        reader_state.target_kinds.get(name, kind),
        reader_state.class_names_of(name) or class_names,
        reader_state.target_columns_of(name),
    )


def _make_results(
    valid: ValidConfig,
    index: int,
    output: Array,
    values: Array,
    target: _MeasuredTarget,
    *,
    has_mask: bool,
    has_naive: bool,
    constant: Array | None,
) -> OutputResults | None:
    """Return empty results for an output of shape (samples, ..., units); None if it has none, or too many classes."""
    title = valid.graph.output_references[index]
    kind = find_output_kind(valid, index, output, target.kind)
    loss = None if valid.config.train is None else valid.config.train.loss_of(title)
    ignored = getattr(loss, "ignore_class", None)
    if kind.kind == "numbers":
        if values.size != output.size:
            return None  # such as the labels of a loss for embeddings
        shape = output.shape[-1:] if has_mask else output.shape[1:]
        names = _name_numbers(valid, shape, target.columns)
        naive = ErrorResult(names) if has_naive else None
        return OutputResults(kind, ignored, ErrorResult(names, constant=constant), naive=naive)
    size = 2 if kind.kind in ("two", "sign") else output.shape[-1]
    if size > MAX_MEASURED_CLASSES:
        return None
    if kind.kind == "labels":
        names = name_classes(kind, size, target.columns, target.kind)
        majority = _find_majority(constant, kind, size)
        return OutputResults(kind, ignored, LabelResult(names, majority=majority))
    has_score = kind.kind in ("two", "sign")
    scores = ScoreResult(is_probability=kind.has_probabilities) if has_score else None
    names = name_classes(kind, size, target.class_names, target.kind)
    majority = _find_majority(constant, kind, output.shape[-1])
    result = ClassResult(
        names, has_positions=output.ndim > 2, majority=None if majority is None else int(majority)
    )
    naive_classes = ClassResult(names) if has_naive else None
    return OutputResults(kind, ignored, result, scores, naive_classes)


def _find_majority(constant: Array | None, kind: OutputKind, units: int) -> Any:
    """Return the class that a guess predicts, or whether it predicts each label; None if it is unknown."""
    if constant is None or not constant.size or constant.size % units:
        return None
    predicted = interpret_output(constant.reshape(-1, units)[:1], kind).predicted
    return None if predicted is None else predicted[0]


def _name_numbers(
    valid: ValidConfig, shape: Sequence[int], columns: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Return the name of each number of an output, by its column and its step; none if there is only one, or too many."""
    if not 2 <= prod(shape) <= MAX_TARGETS:
        return ()
    data = valid.config.data
    windows = data.windows if isinstance(data, TableConfig) else None
    axes = []
    for axis, size in enumerate(shape):
        if axis == len(shape) - 1 and columns is not None and len(columns) == size:
            axes.append(columns)
        elif axis == 0 and windows is not None and windows.steps == size:
            axes.append(tuple(f"step {windows.horizon + step}" for step in range(size)))
        elif size > 1:
            axes.append(tuple(map(str, range(size))))
    return tuple(", ".join(reversed(parts)) for parts in product(*axes))

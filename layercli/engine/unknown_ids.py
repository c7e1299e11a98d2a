"""Ids and words that no layer has an entry for: found before the first step, or in an exception of TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.data.examples import Splits, Subset, iterate_batches
from layercli.data.statistics import IdExtremes
from layercli.engine.adapt import layer_inputs, to_tensor
from layercli.engine.assemble import AssembledModel, call_layer, select_output
from layercli.engine.keras_errors import model_error_types, read_error_text
from layercli.errors import LayercliError
from layercli.graph.build import GraphNode, find_dependencies
from layercli.graph.checks.ids import (
    Extreme,
    IdRange,
    check_lookup,
    find_closed_lookups,
    find_computed_lookups,
    find_id_lookups,
    make_unknown_word_finding,
)
from layercli.graph.finding import Finding

_OPERATION: Final = re.compile(r"\bnode (?P<path>[^\s{}]+)")
"""The place in a TensorFlow graph at which an operation failed."""
_BAD_INDEX: Final = re.compile(r"indices\S* = (?P<id>-?\d+) is not in \[0, (?P<size>\d+)\)")
_UNKNOWN_WORD: Final = re.compile(r"found OOV values \[\\?\"?(?P<word>[^\s\"\\\]]*)")


def check_computed_ids(assembled: AssembledModel, valid: ValidConfig, splits: Splits) -> None:
    """Compute the ids that layers receive from layers without weights, for all examples, and check them.

    Raises:
        LayercliError: An id is negative, too large or not an integer, or a word is not in a closed vocabulary.
    """
    findings: list[Finding] = []
    for node in find_closed_lookups(valid.shapes):
        if _is_computed_from_data(node, assembled, valid):
            findings += _check_words(node, assembled, valid, splits)
    if not findings:  # else the layers below a lookup cannot run
        for node in find_computed_lookups(valid.shapes):
            if _is_computed_from_data(node, assembled, valid):
                findings += _check_ids(node, assembled, valid, splits)
    if findings:
        raise valid.error_from_findings(findings)


def check_trained_ids(model: Any, valid: ValidConfig, subset: Subset) -> None:
    """Compute the ids that layers of a trained model receive from other layers, for all examples, and check them.

    Raises:
        LayercliError: An id is negative, too large or not an integer.
    """
    nodes = find_computed_lookups(valid.shapes)
    if not nodes:
        return
    extremes = {node.name: IdExtremes() for node in nodes}
    above = find_dependencies(valid.graph, [node.inputs[0] for node in nodes])
    steps = [node for node in valid.graph.nodes if node.name in above]
    for batch in iterate_batches(subset):
        arrays = batch.x if isinstance(batch.x, Mapping) else dict.fromkeys(valid.graph.inputs, batch.x)
        values: dict[str, Any] = {name: to_tensor(arrays[name]) for name in valid.graph.inputs}
        try:
            for step in steps:
                layer = model.get_layer(step.reuse_of or step.name)
                values[step.name] = call_layer(layer, step, _select_inputs(step, values), training=False)
        except model_error_types(valid):
            return  # the model itself fails too, with an error that names the examples
        for node in nodes:
            array = np.asarray(_select_inputs(node, values)[0])
            if array.dtype.kind in "iuf":
                extremes[node.name].add(array)
    findings: list[Finding] = []
    for node in nodes:
        found, source = extremes[node.name], f"(from `{node.input_references[0]}`)"
        if found.low is None or found.high is None:
            continue
        ends = Extreme(found.low[0], source), Extreme(found.high[0], source)
        fraction = Extreme(found.fraction[0], source) if found.fraction is not None else None
        findings += check_lookup(node, IdRange(*ends, fraction, is_computed=True), is_trained=True)
    if findings:
        raise valid.error_from_findings(findings)


def _select_inputs(node: GraphNode, values: Mapping[str, Any]) -> list[Any]:
    pairs = zip(node.inputs, node.input_indices, strict=True)
    return [select_output(values[name], pick) for name, pick in pairs]


def _is_computed_from_data(node: GraphNode, assembled: AssembledModel, valid: ValidConfig) -> bool:
    """Return whether the input of a node is the same in each epoch: no layer above it has weights that are trained."""
    above = find_dependencies(valid.graph, node.inputs) - set(valid.graph.inputs)
    return not any(assembled.layers[name].trainable_variables for name in above)


def _iterate_sets(splits: Splits) -> Iterator[tuple[str, Subset]]:
    for title, subset in zip(("training", "validation", "test"), splits.subsets, strict=True):
        if len(subset):
            yield f"in the {title} set", subset


def _check_ids(
    node: GraphNode, assembled: AssembledModel, valid: ValidConfig, splits: Splits
) -> Iterator[Finding]:
    low, high, fraction = [], [], []
    for place, subset in _iterate_sets(splits):
        extremes = IdExtremes()
        for batch in layer_inputs(assembled, valid, node, subset):
            array = np.asarray(batch)
            if array.dtype.kind not in "iuf":
                return
            extremes.add(array)
        source = f"(from `{node.input_references[0]}`, {place})"
        low += [Extreme(extremes.low[0], source)] if extremes.low else []
        high += [Extreme(extremes.high[0], source)] if extremes.high else []
        fraction += [Extreme(extremes.fraction[0], source)] if extremes.fraction else []
    if low and high:
        ends = min(low, key=lambda end: end.value), max(high, key=lambda end: end.value)
        yield from check_lookup(node, IdRange(*ends, next(iter(fraction), None), is_computed=True))


def _check_words(
    node: GraphNode, assembled: AssembledModel, valid: ValidConfig, splits: Splits
) -> Iterator[Finding]:
    layer = assembled.layers[node.name]
    for place, subset in _iterate_sets(splits):
        try:
            for batch in layer_inputs(assembled, valid, node, subset):
                layer(batch)
        except tf.errors.InvalidArgumentError as error:
            word = _UNKNOWN_WORD.search(str(error))
            if word is None:
                raise
            yield make_unknown_word_finding(node, _read_token(word["word"]), place)
            return


def explain_id_error(
    error: BaseException, valid: ValidConfig, *, is_trained: bool = False
) -> LayercliError | None:
    """Return the problem of the layer that received an unknown id or word, or None for another exception.

    Args:
        error: An exception of TensorFlow while the model ran.
        valid: The config.
        is_trained: Whether the model is trained, so that only the data can change.
    """
    if not isinstance(error, tf.errors.InvalidArgumentError):
        return None
    text = read_error_text(error)
    index, word = _BAD_INDEX.search(text), _UNKNOWN_WORD.search(text)
    candidates = find_id_lookups(valid.shapes) if index is not None else find_closed_lookups(valid.shapes)
    node = _find_node(text, candidates)
    if node is None:
        return None
    if index is not None:
        place = Extreme(int(index["id"]), f"(from `{node.input_references[0]}`)")
        values = IdRange(place, place, is_computed=True)
        findings = list(check_lookup(node, values, is_trained=is_trained))
        trained = None if is_trained else _find_trained_layer(node, valid)
        if trained is not None:
            hint = f"Connect it to ids from the data: `{trained}` is trained, so its values have no limit."
            findings = [replace(finding, hint=hint) for finding in findings]
        return valid.error_from_findings(findings) if findings else None
    if word is not None:
        token = _read_token(word["word"])
        finding = make_unknown_word_finding(node, token, "in the data", is_trained=is_trained)
        return valid.error_from_findings([finding])
    return None


def _read_token(text: str) -> str | int:
    return int(text) if re.fullmatch(r"-?\d{1,19}", text) else text


def _find_trained_layer(node: GraphNode, valid: ValidConfig) -> str | None:
    """Return the first layer above a node that is trained, or None if there is none."""
    above = find_dependencies(valid.graph, node.inputs)
    return next(
        (row.node.name for row in valid.shapes.rows if row.node.name in above and row.trainable), None
    )


def _find_node(text: str, candidates: Sequence[GraphNode]) -> GraphNode | None:
    """Return the node whose operation failed; without the name of the operation, the only candidate."""
    operation = _OPERATION.search(text)
    if operation is None:
        return candidates[0] if len(candidates) == 1 else None
    steps = set(operation["path"].split("/"))
    # Keras adds numbers to the names of layers that run again
    shortened = {re.sub(r"_\d+$", "", step) for step in steps}
    named = [node for names in (steps, shortened) for node in candidates if node.name in names]
    return next(iter(named), None)

"""Write a model in another form, have the runtime of that form run it, and hold what it gives against the original."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import keras

from layercli.check import ValidConfig
from layercli.engine.export.compare import Difference, differences, wanted
from layercli.engine.export.find_layer import differing_layer, refused_layer
from layercli.engine.export.options import Format, Options
from layercli.engine.export.test_inputs import Case
from layercli.engine.keras_errors import said
from layercli.errors import LayercliError, Problem
from layercli.layers.base import use_dtype_policy
from layercli.runtime import capture_native_stderr

FORMATS: Final = {
    "keras": "layercli.engine.export.keras_file",
    "saved_model": "layercli.engine.export.saved_model",
    "onnx": "layercli.engine.export.onnx",
    "litert": "layercli.engine.export.litert",
}
"""Form -> the module that writes and runs it."""
_TITLES: Final = {
    "keras": ("a fresh Python process", "Keras"),
    "saved_model": ("TensorFlow", "SavedModel"),
    "onnx": ("onnxruntime", "ONNX"),
    "litert": ("the LiteRT interpreter", "LiteRT"),
    "python": ("a fresh Python process", "the script"),
}
_QUANTIZED: Final = {"float16": 1e-2, "int8": 0.25}
_COARSE: Final = {"float16": 1e-2, "bfloat16": 5e-2}
"""Dtypes of computation in which the order of a sum shows."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared, and how far apart it was at most."""

    tolerance: float
    differences: tuple[Difference, ...]

    @property
    def largest(self) -> float:
        """The largest difference, as a part of the largest output."""
        return max((difference.found for difference in self.differences), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """What was compared, as ``export --json`` prints it."""
        cases = [difference.case for difference in self.differences]
        sizes = {id(case): len(next(iter(case.inputs.values()))) for case in cases}
        real = {id(case): sizes[id(case)] for case in cases if case.real}
        return {
            "examples": max(real.values(), default=0),
            "edges": list(dict.fromkeys(case.name for case in cases if not case.real)),
            "batch_sizes": sorted(set(sizes.values())),
            "largest_difference": self.largest,
        }


def load_format(name: str) -> Format:
    """The module of a form."""
    form: Format = import_module(FORMATS[name])
    return form


def tolerance_of(least: float, valid: ValidConfig, quantize: str | None = None) -> float:
    """The largest difference that is allowed, where nobody says another."""
    with use_dtype_policy(valid.config.model.dtype):
        coarse = [_COARSE.get(node.layer.compute_dtype, 0.0) for node in valid.graph.nodes]
    return max(least, _QUANTIZED.get(quantize or "", 0.0), *coarse)


def export(
    name: str,
    model: Any,
    valid: ValidConfig,
    target: Path,
    *,
    options: Options,
    cases: Sequence[Case],
    tolerance: float | None = None,
) -> Proof:
    """Write the model to ``target`` and prove it; the caller removes what was written if this raises.

    Raises:
        LayercliError: the form cannot hold the model, its runtime refuses it, or what that gives differs.
    """
    form = load_format(name)
    allowed = tolerance_of(form.TOLERANCE, valid, options.quantize) if tolerance is None else tolerance
    with quiet():
        wants = wanted(model, cases)
        try:
            form.write(model, target, options)
            got = form.run(target, [want.case.inputs for want in wants], options)
        except OSError as error:
            raise cannot_write(target, error) from None
        except Exception as error:
            raise _refused(name, form, model, valid, options, target.suffix, error) from error
        found = differences(wants, got, allowed)
        wrong = [difference for difference in found if difference.is_too_large]
        if wrong:
            worst = max(wrong, key=lambda difference: (difference.case.real, difference.found))
            layer = differing_layer(form, model, options, target.suffix, worst.case, allowed)
            raise differs(name, valid, worst, layer, _INT8 if options.quantize == "int8" else _TOLERANT)
    return Proof(allowed, tuple(found))


def cannot_write(target: Path, error: OSError) -> LayercliError:
    """The problem that a file cannot be written."""
    message = f"The export cannot be written: {error.strerror or error}."
    return LayercliError(Problem(code="cannot-write", message=message, file=str(target)))


def _refused(
    name: str, form: Format, model: Any, valid: ValidConfig, options: Options, suffix: str, error: Exception
) -> LayercliError:
    """The problem that a form, or its runtime, refuses a model, at the layer that is refused."""
    blamed = refused_layer(form, model, options, suffix)
    runtime, title = _TITLES[name]
    hint = "Export it as `saved_model`, which holds all that TensorFlow can do, or replace that layer."
    if name == "litert" and options.batch_size is None and _has_loops(model):
        hint = "A loop over time needs a fixed batch: add `--batch-size 1`."
    what = f"cannot be exported as {title}, or {runtime} refuses it"
    if blamed is None:
        message = f"The model {what}: {_reason(error, title)}"
        return LayercliError(valid.make_problem(("model",), "export-failed", message, hint))
    layer, reason = blamed
    told = _reason(error, title) if _lacking(error) else _reason(reason, title)
    if name != "saved_model" and any(tensor.dtype == "string" for tensor in keras.tree.flatten(layer.input)):
        told = f"{title} cannot work on text."
        hint = "Export it as `saved_model`, or train a model that takes numbers, and turn text into them before it."
    message = f"`{layer.name}` ({type(layer).__name__}) {what}: {told}"
    return LayercliError(valid.make_problem(_path(layer, valid), "export-failed", message, hint))


_LACKING: Final = re.compile(r"'tf\.(\w+)' op|No Op registered for (\w+)")
"""How converters and runtimes say that they do not have an operation."""


def _lacking(error: Exception) -> str | None:
    found = _LACKING.search(str(error))
    return (found[1] or found[2]) if found else None


def _reason(error: Exception, title: str) -> str:
    lacking = _lacking(error)
    return said(error) if lacking is None else f"{title} cannot do the operation {lacking}."


def _has_loops(model: Any) -> bool:
    from layercli.engine.export.litert import has_loops

    return any(has_loops(layer.get_config()) for layer in model.layers)


def differs(
    name: str, valid: ValidConfig, worst: Difference, layer: tuple[Any, float] | None, hint: str
) -> LayercliError:
    """The problem that what a runtime gives differs, at the first layer that does."""
    runtime, _ = _TITLES[name]
    batch = len(next(iter(worst.case.inputs.values())))
    what = (
        "a batch of other shape"
        if worst.found == float("inf")
        else f"{worst.found:.1e} of the largest output"
    )
    message = (
        f"What {runtime} gives differs from the original by {what}, of which {worst.allowed:.1e} is allowed, "
        f"on {batch} inputs of the kind `{worst.case.name}`."
    )
    if layer is None:
        message += " No single layer differs by as much: the rounding of several adds up."
        return LayercliError(valid.make_problem(("model",), "export-differs", message, hint))
    first, apart = layer
    message += f" The first layer that differs is `{first.name}` ({type(first).__name__}), by {apart:.1e}."
    return LayercliError(valid.make_problem(_path(first, valid), "export-differs", message, hint))


_TOLERANT = "Replace that layer, export another format, or allow more with `--tolerance`."
_INT8 = "int8 has one range for all numbers of a tensor: try `--quantize float16`, or allow more with `--tolerance`."


def _path(layer: Any, valid: ValidConfig) -> Any:
    return next((node.path for node in valid.graph.nodes if node.name == layer.name), ("model",))


@contextmanager
def quiet() -> Iterator[None]:
    """Without what converters and runtimes print and warn of; what matters of it is in their errors."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with capture_native_stderr(should_show_on_error=False), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

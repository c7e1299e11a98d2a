"""A Keras script, whose model is built in a fresh Python process and held against the original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras

from layercli.check import ValidConfig
from layercli.data.examples import Array
from layercli.engine.export.compare import differences, wanted
from layercli.engine.export.find_layer import differing_layer
from layercli.engine.export.isolated_run import FreshProcessError, Trained, run_fresh
from layercli.engine.export.options import Inputs, Options
from layercli.engine.export.test_inputs import Case
from layercli.engine.export.verify import Proof, differs, quiet, tolerance_of
from layercli.engine.keras_errors import said
from layercli.errors import LayercliError
from layercli.graph.adaptable import should_adapt
from layercli.graph.build import GraphNode

TOLERANCE: Final = 1e-5
_HINT: Final = "This is a bug in layercli; please report it with the config."


def learned(model: Any, nodes: Sequence[GraphNode]) -> dict[str, list[Any]]:
    """The vocabularies of these layers, which are not among the weights."""
    return {
        node.name: [
            word if isinstance(word, str) else int(word)
            for word in model.get_layer(node.name).get_vocabulary(include_special_tokens=False)
        ]
        for node in nodes
    }


def vocabulary_layers(valid: ValidConfig) -> list[GraphNode]:
    """The layers that learn a vocabulary before training."""
    return [node for node in valid.graph.nodes if should_adapt(node) and hasattr(node.layer, "vocabulary")]


@dataclass(frozen=True, slots=True)
class _Layers:
    """The script's layers, as a form that gives what each of them gives."""

    script: Path
    trained: Trained
    TOLERANCE: float = TOLERANCE

    def write(self, model: Any, target: Path, options: Options) -> None:
        """Nothing: the script is there."""

    def run(self, target: Path, batches: list[Inputs], options: Options) -> list[list[Array]]:  # noqa: ARG002 - a form's
        """What each layer that stands at one place gives, in the order of the model."""
        return run_fresh("layers", self.script, batches, trained=self.trained)


def prove(
    script: Path,
    model: Any,
    valid: ValidConfig,
    cases: Sequence[Case],
    *,
    tolerance: float | None,
    vocabularies: dict[str, Any],
) -> Proof:
    """Give the script's model the weights of the original, and hold what it gives against that.

    Raises:
        LayercliError: the script does not run, its weights have other shapes, or its outputs differ.
    """
    allowed = tolerance_of(TOLERANCE, valid) if tolerance is None else tolerance
    with quiet():
        wants = wanted(model, cases) if cases else []
        weights: list[Array] = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
        trained = Trained(weights, vocabularies, [weight.path for weight in model.weights])
        try:
            got = run_fresh("script", script, [want.case.inputs for want in wants], trained=trained)
        except FreshProcessError as error:
            message = f"The script does not give the model: {said(error)}"
            raise LayercliError(valid.make_problem(("model",), "export-failed", message, _HINT)) from error
        found = differences(wants, got, allowed) if wants else []
        wrong = [difference for difference in found if difference.is_too_large]
        if wrong:
            worst = max(wrong, key=lambda each: each.found)
            layer = differing_layer(_Layers(script, trained), model, Options(), "", worst.case, allowed)
            raise differs("python", valid, worst, layer, _HINT)
    return Proof(allowed, tuple(found))

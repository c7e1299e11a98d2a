"""Verify an exported Keras script: build its model in a new Python process and compare it with the original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras

from layercli.check import ValidConfig
from layercli.data.types import Array
from layercli.engine.adapt import read_vocabulary
from layercli.engine.compare import compare_outputs
from layercli.engine.comparison_inputs import ComparisonCase
from layercli.engine.export.find_layer import find_differing_layer
from layercli.engine.export.isolated_run import IsolatedRunError, ScriptCheck, TrainedState, run_isolated
from layercli.engine.export.options import ExportOptions, InputBatch
from layercli.engine.export.verify import (
    Verification,
    default_tolerance,
    export_difference_error,
    run_original,
    silence_runtimes,
)
from layercli.engine.keras_errors import summarize_error
from layercli.errors import LayercliError
from layercli.graph.adaptable import should_adapt
from layercli.graph.build import GraphNode

TOLERANCE: Final = 1e-5
_BUG_HINT: Final = "This is a bug in layercli; please report it with the config."
_DATA_HINT: Final = "Export the trained model in another format, or save the data as Parquet or .npz."


def read_learned_states(model: Any, nodes: Sequence[GraphNode]) -> dict[str, Any]:
    """Return the vocabularies or bin boundaries of these layers; they are not part of the weights.

    With ``output_mode: tf_idf``, a vocabulary is a mapping with its weights.
    """
    return {node.name: _read_learned_state(model.get_layer(node.name)) for node in nodes}


def _read_learned_state(layer: Any) -> Any:
    if hasattr(layer, "bin_boundaries"):
        return [float(boundary) for boundary in layer.bin_boundaries]
    state = read_vocabulary(layer)
    return state["vocabulary"] if state["idf_weights"] is None else state


def find_stateful_layers(valid: ValidConfig) -> list[GraphNode]:
    """Return the layers that learn a vocabulary or bin boundaries before training."""
    return [
        node
        for node in valid.graph.nodes
        if should_adapt(node) and (hasattr(node.layer, "vocabulary") or hasattr(node.layer, "bin_boundaries"))
    ]


@dataclass(frozen=True, slots=True)
class _ScriptLayers:
    """A script as an export format that returns the output of each layer."""

    script: Path
    state: TrainedState
    TOLERANCE: float = TOLERANCE

    def write_model(self, model: Any, output_path: Path, options: ExportOptions) -> None:
        """Do nothing: the script exists."""

    def run_model(
        self, output_path: Path, batches: list[InputBatch], options: ExportOptions
    ) -> list[list[Array]]:
        """Return the output of each layer that is called once, in model order."""
        return run_isolated("layers", self.script, batches, state=self.state)


def verify_script(
    script: Path,
    model: Any,
    valid: ValidConfig,
    cases: Sequence[ComparisonCase],
    *,
    tolerance: float | None,
    vocabularies: dict[str, Any],
    check: ScriptCheck | None = None,
    excess: str | None = None,
) -> Verification:
    """Compare the examples that the script reads, and the outputs of its model with the weights of the original.

    With ``excess``, the reason why running the model costs too much, the outputs are not compared.

    Raises:
        LayercliError: the script does not run, reads other examples, its weights have different shapes, or its outputs differ.
    """
    allowed = default_tolerance(TOLERANCE, valid) if tolerance is None else tolerance
    with silence_runtimes():
        references = run_original(model, cases, valid)
        weights: list[Array] = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
        state = TrainedState(weights, vocabularies, [weight.path for weight in model.weights])
        try:
            outputs = run_isolated(
                "script",
                script,
                [reference.case.inputs for reference in references],
                state=state,
                script=check,
            )
        except IsolatedRunError as error:
            is_data = error.stage == "data"
            message = f"The script cannot {'read the same data' if is_data else 'build the model'}: {summarize_error(error)}"
            hint = _DATA_HINT if is_data else _BUG_HINT
            path = ("data",) if is_data else ("model",)
            raise LayercliError(valid.make_problem(path, "export-failed", message, hint)) from error
        all_differences = compare_outputs(references, outputs, allowed)
        too_large = [difference for difference in all_differences if difference.is_too_large]
        if too_large:
            worst = max(too_large, key=lambda each: each.relative_error)
            layer = find_differing_layer(
                _ScriptLayers(script, state), model, ExportOptions(), "", worst.case, allowed
            )
            raise export_difference_error("python", valid, worst, layer, _BUG_HINT)
    return Verification(allowed, tuple(all_differences), excess=excess)

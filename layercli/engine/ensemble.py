"""Load the models of folds into the branches of an averaged model."""

from __future__ import annotations

from pathlib import Path

import keras

from layercli.check import ValidConfig
from layercli.engine.assemble import AssembledModel
from layercli.engine.keras_errors import summarize_error
from layercli.engine.load_state import load_bin_boundaries, load_state
from layercli.errors import LayercliError, Problem
from layercli.runs.directory import MODEL
from layercli.runs.open_run import max_weight_bytes, open_model_file


def load_branch(assembled: AssembledModel, prefix: str, run: Path, fold: ValidConfig) -> None:
    """Load weights and vocabularies of a run into the layers whose names start with ``prefix``.

    Raises:
        LayercliError: The run's model was modified, is damaged or does not fit.
    """
    outputs = [assembled.tensors[f"{prefix}{name}"] for name in fold.graph.outputs]
    branch = keras.Model(assembled.model.inputs, outputs if len(outputs) > 1 else outputs[0])
    with open_model_file(run, fold) as file:
        try:
            load_bin_boundaries(branch, file, prefix)
            load_state(branch, file, max_weight_bytes(fold))
        except Exception as error:  # a damaged file or a custom layer can raise anything
            message = f"The model cannot be loaded: {summarize_error(error)}"
            raise LayercliError(
                Problem(code="run-directory", message=message, file=str(run / MODEL))
            ) from error

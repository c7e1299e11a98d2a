"""Load the models of folds into the branches of an averaged model."""

from __future__ import annotations

from pathlib import Path

import keras

from layercli.check import ValidConfig
from layercli.engine.assemble import AssembledModel
from layercli.engine.load_model import load_model_state


def load_branch(assembled: AssembledModel, prefix: str, run: Path, fold: ValidConfig) -> None:
    """Load weights and vocabularies of a run into the layers whose names start with ``prefix``.

    Raises:
        LayercliError: The run's model was modified, is damaged or does not fit.
    """
    outputs = [assembled.tensors[f"{prefix}{name}"] for name in fold.graph.outputs]
    branch = keras.Model(assembled.model.inputs, outputs if len(outputs) > 1 else outputs[0])
    load_model_state(run, fold, branch, prefix)

"""Rebuild the model of a run from its config, and load its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from layercli.check import ValidConfig
from layercli.config.training.section import TrainSection
from layercli.engine.assemble import AssembledModel, assemble_model
from layercli.engine.keras_errors import summarize_error
from layercli.engine.load_state import load_bin_boundaries, load_state
from layercli.engine.training.stages import StageLayers, compile_stage
from layercli.errors import LayercliError, Problem
from layercli.runs.directory import MODEL
from layercli.runs.history import find_last_stage
from layercli.runs.open_run import max_weight_bytes, open_model_file


def compile_with_optimizer(
    assembled: AssembledModel, train: TrainSection, valid: ValidConfig, *, stage: int | None = None
) -> None:
    """Compile the model, and create the state of its optimizer, so that it can be loaded or saved.

    ``stage`` is the one whose optimizer the model has, counted from 0; None: the last one.
    """
    index = max(len(train.stages or ()) - 1, 0) if stage is None else stage
    compile_stage(assembled.model, train, valid, StageLayers(assembled.layers, train, valid), index)


def load_model(run: Path, valid: ValidConfig, *, train: TrainSection | None = None) -> Any:
    """Return the model of a run's config with the run's weights, read from the bytes that were hashed.

    The architecture in the model file is never deserialized: it could name any class of Keras. With ``train``, the
    model is compiled and the state of its optimizer is loaded too. Low-rank updates are in the kernels.

    Raises:
        LayercliError: the file was modified, is damaged or does not fit the config, or a custom layer cannot be loaded.
    """
    assembled = assemble_model(valid.with_merged_lora())
    model = assembled.model
    if train is not None:
        compile_with_optimizer(assembled, train, valid, stage=find_last_stage(run, len(train.stages or ())))
    load_model_state(run, valid, model)
    return model


def load_model_state(run: Path, valid: ValidConfig, model: Any, prefix: str = "") -> None:
    """Load the weights and the learned state of a run into its model; ``prefix`` precedes its names of layers.

    Raises:
        LayercliError: the file was modified, is damaged or does not fit the model.
    """
    with open_model_file(run, valid) as file:
        try:
            load_bin_boundaries(model, file, prefix)
            load_state(model, file, max_weight_bytes(valid))
        except Exception as error:  # a damaged file or a custom layer can raise anything
            message = f"The model cannot be loaded: {summarize_error(error)}"
            raise LayercliError(
                Problem(code="run-directory", message=message, file=str(run / MODEL))
            ) from error

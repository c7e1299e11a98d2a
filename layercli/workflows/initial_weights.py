"""Load the weights that ``model.weights`` names, and summarize the transfer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from layercli.check import ValidConfig
from layercli.errors import LayercliError
from layercli.io.archives import ArchiveError, require_stored
from layercli.io.atomic import describe_os_error
from layercli.layers.families.applications import Application
from layercli.runs import directory as runs
from layercli.runs.open_run import open_model_file, open_run
from layercli.source.nodes import KeyPath, sanitize_text

if TYPE_CHECKING:
    from layercli.engine.assemble import AssembledModel
    from layercli.engine.transfer_weights import WeightTransfer

_WEIGHTS_PATH: KeyPath = ("model", "weights")


def require_initial_weights(valid: ValidConfig) -> Path | None:
    """Check that ``model.weights`` names a folder or a file of Keras, without loading TensorFlow. Return its path.

    Raises:
        LayercliError: It does not exist, or is not a file that Keras saved.
    """
    name = valid.config.model.weights
    if name is None:
        return None
    path = valid.check_result.directory_of(_WEIGHTS_PATH) / name
    if path.is_dir():
        return path
    code, shown = "unreadable-file", sanitize_text(str(path))
    message = f"{shown} {'is not a weights file' if path.is_file() else 'does not exist'}."
    if path.is_file() and path.name.endswith((".keras", ".weights.h5")):
        try:
            with path.open("rb") as file:
                require_stored(file)
            return path
        except ArchiveError as error:
            message = f"Cannot read weights from {shown}: {error}."
        except OSError as error:
            message = f"Cannot read {shown}: {describe_os_error(error)}."
    elif path.is_file() and path.suffix in (".h5", ".hdf5"):
        code = "legacy-model"
    hint = "Name a run, or a file that Keras saved (`.keras` or `.weights.h5`). The path is relative to the config."
    raise LayercliError(valid.make_problem(_WEIGHTS_PATH, code, message, hint))


def load_initial_weights(assembled: AssembledModel, valid: ValidConfig) -> WeightTransfer | None:
    """Load pretrained weights, and those that ``model.weights`` names. Return None if the key is absent.

    Raises:
        LayercliError: Pretrained weights are missing. The run or file does not exist or was modified, or no layer matches.
    """
    if any(isinstance(node.layer, Application) for node in valid.graph.nodes):
        from layercli.engine.pretrained_weights import load_pretrained_weights

        load_pretrained_weights(assembled, valid)
    path = require_initial_weights(valid)
    if path is None:
        return None
    run, run_config = open_run(str(path)) if path.is_dir() else (None, None)
    from layercli.engine.transfer_weights import transfer_weights

    try:
        with (
            path.open("rb")
            if run is None or run_config is None
            else open_model_file(run, run_config) as content
        ):
            return transfer_weights(assembled, valid, path if run is None else run / runs.MODEL, content)
    except OSError as error:
        message = f"Cannot read {sanitize_text(str(path))}: {describe_os_error(error)}."
        raise LayercliError(valid.make_problem(_WEIGHTS_PATH, "unreadable-file", message)) from None


def describe_transfer(transfer: WeightTransfer, valid: ValidConfig) -> Iterator[str]:
    """Yield lines that list the transferred and the skipped layers."""
    count = len(transfer.transferred)
    total = count + len(transfer.mismatched) + len(transfer.not_in_file)
    yield f"Weights from {sanitize_text(str(valid.config.model.weights))}: {count} of {total} layers with weights."
    for name, why in transfer.mismatched.items():
        yield f"  {sanitize_text(name)} starts from new weights: {why}."
    if transfer.not_in_file:
        yield f"  Not in the file, start from new weights: {_join_names(transfer.not_in_file)}."
    if transfer.unused:
        yield f"  In the file, but not in the model: {_join_names(transfer.unused)}."


def _join_names(names: list[str]) -> str:
    shown = ", ".join(sanitize_text(name, limit=60) for name in names[:12])
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown

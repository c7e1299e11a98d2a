"""Keras's callbacks, and MLflow."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, PlainValidator

from layercli.schema.component import Component
from layercli.schema.field_types import MAX_INT32, NonNegativeInt
from layercli.schema.strict_model import ExpectedText, value_error
from layercli.source.nodes import quote_value

MLFLOW_FILE: Final = "mlflow.json"
"""The file in the run directory with the id of the MLflow run."""
RESERVED_RUN_FILES: Final = frozenset(
    {
        "checkpoints",
        "config.yaml",
        "data.json",
        "diagnostics.jsonl",
        "history.jsonl",
        "manifest.json",
        MLFLOW_FILE,
        "model.keras",
        "summary.json",
    }
)
"""Files and folders that layercli writes into a run directory."""

_PATH_PART = re.compile(r"\w(?:[\w .-]*[\w-])?")
_MAX_PATH_LENGTH = 200
_WINDOWS_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


def parse_output_path(value: Any) -> str:
    """Return a path that a callback can write: inside the run directory, and not a file of layercli.

    Raises:
        PydanticCustomError: the path is outside the run directory, reserved or not a string.
    """
    example = "For example `logs/training`."
    if not isinstance(value, str) or not value:
        raise value_error("wrong-type", f"Expected a path as a string, got {quote_value(value)}.", example)
    parts = value.removesuffix("/").split("/")
    if len(value) > _MAX_PATH_LENGTH or any(
        _WINDOWS_DEVICES.fullmatch(part) or not _PATH_PART.fullmatch(part) for part in parts
    ):
        raise value_error(
            "bad-path",
            "Expected a relative path inside the run directory, with names of letters, digits, `_`, `-`, dots and "
            f"spaces, separated by `/`, without `..`, got {quote_value(value)}.",
            example,
        )
    first = unicodedata.normalize("NFKC", parts[0]).casefold()  # as some file systems compare names
    if first in RESERVED_RUN_FILES or parts[-1].lower().endswith(".py"):
        message = f"Expected a path that layercli itself does not write, got {quote_value(value)}."
        raise value_error("bad-path", message, "Choose a different name.")
    return "/".join(parts)


def _parse_embeddings_metadata(value: Any) -> str | dict[str, str]:
    if not isinstance(value, dict):
        return parse_output_path(value)
    for layer in value:
        if not isinstance(layer, str):
            raise value_error(
                "wrong-type",
                f"`embeddings_metadata` must have layer names as keys, got {quote_value(layer)}.",
            )
    return {layer: parse_output_path(path) for layer, path in value.items()}


def _parse_update_freq(value: Any) -> str | int:
    if value in ("epoch", "batch") or (type(value) is int and 0 < value <= MAX_INT32):
        return value  # type: ignore[no-any-return]
    code = "out-of-range" if type(value) is int else "unknown-value"
    message = f"`update_freq` must be epoch, batch or a positive integer, got {quote_value(value)}."
    raise value_error(code, message, "For example `update_freq: epoch`.")


_MAX_PROFILED_BATCHES: Final = 1000
"""Most batches to profile: what they do is in memory until the last one."""


def _parse_profile_batch(value: Any) -> int | list[int]:
    pair = list(value) if isinstance(value, (list, tuple)) else [value]
    are_integers = all(type(item) is int and 0 <= item <= MAX_INT32 for item in pair)
    if not are_integers or (
        isinstance(value, (list, tuple)) and (len(pair) != 2 or not 0 < pair[0] <= pair[1])
    ):
        expected = "an integer of at least 0 or a list of the first and the last batch"
        message = f"`profile_batch` must be {expected}, got {quote_value(value)}."
        raise value_error("bad-argument", message, "For example `profile_batch: [10, 20]`.")
    if pair[-1] - pair[0] >= _MAX_PROFILED_BATCHES:
        message = f"`profile_batch` must be at most {_MAX_PROFILED_BATCHES:,} batches, got {pair[-1] - pair[0] + 1:,}."
        hint = f"Write `profile_batch: [{pair[0]}, {min(pair[0] + 10, MAX_INT32)}]`."
        raise value_error("out-of-range", message, hint)
    return pair if isinstance(value, (list, tuple)) else value


def _parse_separator(value: Any) -> str:
    if isinstance(value, str) and len(value) == 1 and value not in '"\r\n\0':
        return value
    message = f"`separator` must be one character, not a quote or a line break, got {quote_value(value)}."
    raise value_error("bad-argument", message, 'For example `separator: ";"`.')


OutputPath = Annotated[
    str, PlainValidator(parse_output_path), ExpectedText("a relative path inside the run directory")
]
Monitor = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="Monitored value: `loss` or a metric, with `val_` for validation.",
    ),
]
Mode = Annotated[
    Literal["auto", "min", "max"],
    Field(description="Whether lower or higher is better; auto: depends on the monitored value."),
]
Verbose = Annotated[Literal[0, 1], Field(description="Whether to print messages.")]
Patience = Annotated[
    NonNegativeInt, Field(description="Number of epochs without improvement before the callback acts.")
]
MinDelta = Annotated[float, Field(ge=0, description="Minimum change that counts as an improvement.")]


class EarlyStopping(Component):
    """Stops training when the monitored value stops improving."""

    monitor: Monitor = "val_loss"
    min_delta: MinDelta = 0
    patience: Patience = 0
    verbose: Verbose = 0
    mode: Mode = "auto"
    baseline: Annotated[float | None, Field(description="Value to improve on; null: the best so far.")] = None
    restore_best_weights: Annotated[
        bool, Field(description="Whether to restore the weights of the best epoch.")
    ] = False
    start_from_epoch: Annotated[
        NonNegativeInt, Field(description="Number of epochs before monitoring starts.")
    ] = 0


class ReduceLROnPlateau(Component):
    """Reduces the learning rate when the monitored value stops improving."""

    monitor: Monitor = "val_loss"
    factor: Annotated[float, Field(gt=0, lt=1, description="Factor for the learning rate.")] = 0.1
    patience: Patience = 10
    verbose: Verbose = 0
    mode: Mode = "auto"
    min_delta: MinDelta = 1e-4
    cooldown: Annotated[NonNegativeInt, Field(description="Number of epochs to wait after a reduction.")] = 0
    min_lr: Annotated[float, Field(ge=0, description="Lowest learning rate.")] = 0.0


class TerminateOnNaN(Component):
    """Stops training when the loss is NaN or infinite."""

    raise_error: Annotated[bool, Field(description="Whether to raise an error instead of only stopping.")] = (
        False
    )


class SwapEMAWeights(Component):
    """Evaluates with the optimizer's averaged weights; requires `use_ema: true` on the optimizer."""

    swap_on_epoch: Annotated[
        bool, Field(description="Whether to also use the averaged weights between epochs.")
    ] = False


class CSVLogger(Component):
    """Writes each epoch as a line of a CSV file in the run directory."""

    filename: Annotated[
        OutputPath, Field(description="The file, in the run directory.", examples=["log.csv"])
    ]
    separator: Annotated[
        str,
        PlainValidator(_parse_separator),
        ExpectedText("one character"),
        Field(description="The separator of the columns."),
    ] = ","
    append: Annotated[bool, Field(description="Whether to append to an existing file.")] = False


class TensorBoard(Component):
    """Writes TensorBoard logs into the run directory."""

    log_dir: Annotated[OutputPath, Field(description="The folder, in the run directory.")] = "logs"
    histogram_freq: Annotated[NonNegativeInt, Field(description="Epochs between histograms; 0: none.")] = 0
    write_graph: Annotated[bool, Field(description="Whether to write the model's graph.")] = True
    write_images: Annotated[bool, Field(description="Whether to write weights as images.")] = False
    write_steps_per_second: Annotated[bool, Field(description="Whether to write the steps per second.")] = (
        False
    )
    update_freq: Annotated[
        str | int,
        PlainValidator(_parse_update_freq),
        ExpectedText("epoch, batch or a positive integer"),
        Field(description="When to write metrics: each epoch, each batch, or after this number of batches."),
    ] = "epoch"
    profile_batch: Annotated[
        int | list[int],
        PlainValidator(_parse_profile_batch),
        ExpectedText("an integer of at least 0 or a list of the first and the last batch"),
        Field(description="The batches to profile; 0: none."),
    ] = 0
    embeddings_freq: Annotated[NonNegativeInt, Field(description="Epochs between embeddings; 0: none.")] = 0
    embeddings_metadata: Annotated[
        str | dict[str, str] | None,
        PlainValidator(lambda value: None if value is None else _parse_embeddings_metadata(value)),
        ExpectedText("a relative path or a mapping of layers to relative paths"),
        Field(description="File with the labels of the embeddings, or one file for each layer; null: none."),
    ] = None


class MLflow(Component):
    """Logs the config, the metrics and the model to the MLflow server in `MLFLOW_TRACKING_URI`."""

    hints: ClassVar[dict[str, str]] = dict.fromkeys(
        ("tracking_uri", "uri"),
        "Set the environment variable MLFLOW_TRACKING_URI: a config cannot open connections.",
    )

    experiment: Annotated[
        str | None,
        Field(min_length=1, max_length=200, description="Name of the experiment; null: the config's `name`."),
    ] = None
    log_model: Annotated[bool, Field(description="Whether to also log the model, as a .keras file.")] = True


def iterate_output_paths(callbacks: Iterable[Component]) -> Iterator[str]:
    """Yield the path of each file or folder that the callbacks write in the run directory."""
    for callback in callbacks:
        if isinstance(callback, CSVLogger):
            yield callback.filename
        elif isinstance(callback, TensorBoard):
            yield callback.log_dir
        elif isinstance(callback, MLflow):
            yield MLFLOW_FILE


def get_monitor(callback: Component) -> str | None:
    """Return the value that a callback monitors, such as ``val_loss``, or None."""
    return callback.monitor if isinstance(callback, (EarlyStopping, ReduceLROnPlateau)) else None

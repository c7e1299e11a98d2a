"""Keras's callbacks: what watches and steers training."""

import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, PlainValidator

from layercli.schema.component import Component
from layercli.schema.field_types import MAX_INT32, NonNegativeInt
from layercli.schema.strict_model import ExpectedText, value_error
from layercli.source.nodes import quote_value

RESERVED_RUN_FILES: Final = frozenset(
    {"config.yaml", "manifest.json", "history.jsonl", "model.keras", "summary.json"}
)
"""What layercli itself writes into a run directory."""

_PATH_PART = re.compile(r"\w(?:[\w .-]*[\w-])?")
_MAX_PATH_LENGTH = 200
_WINDOWS_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


def parse_output_path(value: Any) -> str:
    """A path that a callback may write: inside the run directory, and none of layercli's own files.

    Raises:
        PydanticCustomError: it leads elsewhere, or is not a path at all.
    """
    example = "For example `logs/training`."
    if not isinstance(value, str) or not value:
        raise value_error("wrong-type", f"{quote_value(value)} is no path; it must be text.", example)
    parts = value.removesuffix("/").split("/")
    if len(value) > _MAX_PATH_LENGTH or any(
        _WINDOWS_DEVICES.fullmatch(part) or not _PATH_PART.fullmatch(part) for part in parts
    ):
        raise value_error(
            "bad-path",
            f"{quote_value(value)} does not lie inside the run directory; it must be a relative path, of names of "
            "letters, digits, `_`, `-`, dots and spaces divided by `/`, without `..`.",
            example,
        )
    if parts[0].lower() in RESERVED_RUN_FILES or parts[-1].lower().endswith(".py"):
        message = f"{quote_value(value)} is a file that layercli itself writes."
        raise value_error("bad-path", message, "Choose another name.")
    return "/".join(parts)


def _parse_embeddings_metadata(value: Any) -> str | dict[str, str]:
    if not isinstance(value, dict):
        return parse_output_path(value)
    for layer in value:
        if not isinstance(layer, str):
            raise value_error("wrong-type", f"{quote_value(layer)} is no layer's name; it must be text.")
    return {layer: parse_output_path(path) for layer, path in value.items()}


def _parse_update_freq(value: Any) -> str | int:
    if value in ("epoch", "batch") or (type(value) is int and 0 < value <= MAX_INT32):
        return value  # type: ignore[no-any-return]
    code = "out-of-range" if type(value) is int else "unknown-value"
    message = f"`update_freq` is {quote_value(value)}; it must be epoch, batch or a positive whole number."
    raise value_error(code, message, "For example `update_freq: epoch`.")


def _parse_profile_batch(value: Any) -> int | list[int]:
    pair = list(value) if isinstance(value, (list, tuple)) else [value]
    are_integers = all(type(item) is int and 0 <= item <= MAX_INT32 for item in pair)
    if not are_integers or (
        isinstance(value, (list, tuple)) and (len(pair) != 2 or not 0 < pair[0] <= pair[1])
    ):
        expected = "a whole number of at least 0, or a list of the first and the last batch"
        message = f"`profile_batch` is {quote_value(value)}; it must be {expected}."
        raise value_error("bad-argument", message, "For example `profile_batch: [10, 20]`.")
    return pair if isinstance(value, (list, tuple)) else value


def _parse_separator(value: Any) -> str:
    if isinstance(value, str) and len(value) == 1 and value not in '"\r\n\0':
        return value
    message = f"`separator` is {quote_value(value)}; it must be one character, no quote and no end of line."
    raise value_error("bad-argument", message, 'For example `separator: ";"`.')


OutputPath = Annotated[
    str, PlainValidator(parse_output_path), ExpectedText("a relative path inside the run directory")
]
Monitor = Annotated[
    str,
    Field(min_length=1, max_length=200, description="What is watched: `loss`, a metric, or `val_` and one."),
]
Mode = Annotated[
    Literal["auto", "min", "max"],
    Field(description="Whether less or more is better; auto: by what is watched."),
]
Verbose = Annotated[Literal[0, 1], Field(description="Whether it says what it does.")]
Patience = Annotated[NonNegativeInt, Field(description="Epochs without improvement after which it acts.")]
MinDelta = Annotated[float, Field(ge=0, description="Least change that counts as an improvement.")]


class EarlyStopping(Component):
    """Stops training when what is watched no longer improves."""

    monitor: Monitor = "val_loss"
    min_delta: MinDelta = 0
    patience: Patience = 0
    verbose: Verbose = 0
    mode: Mode = "auto"
    baseline: Annotated[
        float | None, Field(description="What must be improved on; null: the best so far.")
    ] = None
    restore_best_weights: Annotated[bool, Field(description="Whether the best epoch's weights are kept.")] = (
        False
    )
    start_from_epoch: Annotated[NonNegativeInt, Field(description="Epochs before it begins to watch.")] = 0


class ReduceLROnPlateau(Component):
    """Lowers the learning rate when what is watched no longer improves."""

    monitor: Monitor = "val_loss"
    factor: Annotated[float, Field(gt=0, lt=1, description="Factor on the learning rate.")] = 0.1
    patience: Patience = 10
    verbose: Verbose = 0
    mode: Mode = "auto"
    min_delta: MinDelta = 1e-4
    cooldown: Annotated[NonNegativeInt, Field(description="Epochs of rest after it has acted.")] = 0
    min_lr: Annotated[float, Field(ge=0, description="Lowest learning rate.")] = 0.0


class TerminateOnNaN(Component):
    """Stops training when the loss is no number."""

    raise_error: Annotated[bool, Field(description="Whether that is an error, not just an end.")] = False


class SwapEMAWeights(Component):
    """Evaluates with the optimizer's averaged weights; needs `use_ema: true` on the optimizer."""

    swap_on_epoch: Annotated[bool, Field(description="Whether they are in place between epochs, too.")] = (
        False
    )


class CSVLogger(Component):
    """Writes each epoch as a line of a CSV file in the run directory."""

    filename: Annotated[
        OutputPath, Field(description="The file, in the run directory.", examples=["log.csv"])
    ]
    separator: Annotated[
        str,
        PlainValidator(_parse_separator),
        ExpectedText("one character"),
        Field(description="What divides the columns."),
    ] = ","
    append: Annotated[bool, Field(description="Whether an existing file is continued.")] = False


class TensorBoard(Component):
    """Writes what TensorBoard shows into the run directory."""

    log_dir: Annotated[OutputPath, Field(description="The folder, in the run directory.")] = "logs"
    histogram_freq: Annotated[NonNegativeInt, Field(description="Epochs between histograms; 0: none.")] = 0
    write_graph: Annotated[bool, Field(description="Whether the model's graph is written.")] = True
    write_images: Annotated[bool, Field(description="Whether weights are written as images.")] = False
    write_steps_per_second: Annotated[bool, Field(description="Whether the speed is written.")] = False
    update_freq: Annotated[
        str | int,
        PlainValidator(_parse_update_freq),
        ExpectedText("epoch, batch or a positive whole number"),
        Field(description="When metrics are written: each epoch, each batch, or after so many batches."),
    ] = "epoch"
    profile_batch: Annotated[
        int | list[int],
        PlainValidator(_parse_profile_batch),
        ExpectedText("a whole number of at least 0, or a list of the first and the last batch"),
        Field(description="The batches that are profiled; 0: none."),
    ] = 0
    embeddings_freq: Annotated[NonNegativeInt, Field(description="Epochs between embeddings; 0: none.")] = 0
    embeddings_metadata: Annotated[
        str | dict[str, str] | None,
        PlainValidator(lambda value: None if value is None else _parse_embeddings_metadata(value)),
        ExpectedText("a relative path, or a mapping of layers to relative paths"),
        Field(description="File of the embeddings' labels, or one for each layer; null: none."),
    ] = None


class MLflow(Component):
    """Logs the run to MLflow, where `MLFLOW_TRACKING_URI` says: its config, each epoch's metrics, the model."""

    hints: ClassVar[dict[str, str]] = dict.fromkeys(
        ("tracking_uri", "uri"),
        "A config opens no connections; set the environment variable MLFLOW_TRACKING_URI.",
    )

    experiment: Annotated[
        str | None,
        Field(min_length=1, max_length=200, description="Name of the experiment; null: the config's `name`."),
    ] = None
    log_model: Annotated[bool, Field(description="Whether the model is logged, too, as a .keras file.")] = (
        True
    )


def get_monitor(callback: Component) -> str | None:
    """What a callback watches, such as ``val_loss``; None where it watches nothing."""
    return callback.monitor if isinstance(callback, (EarlyStopping, ReduceLROnPlateau)) else None

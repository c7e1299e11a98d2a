"""The text of a new config, with comments that explain it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from layercli.reports.template_layers import (
    FEW_EXAMPLES,
    has_channels_first,
    list_first_layers,
    list_output_layers,
)
from layercli.reports.template_quotes import quote_class_name, quote_yaml_text

ExampleKind = Literal["vectors", "sequences", "images", "text"]
ModelSize = Literal["small", "medium", "large"]
TemplateTarget = Literal["value", "one-hot", "multi-label", "positions"]
"""One class or number, or several numbers; a vector with a single 1; several values of 0 or 1; a class for each position."""

DEFAULT_SHAPES: Final[dict[ExampleKind, tuple[int, ...]]] = {
    "vectors": (20,),
    "sequences": (50, 8),
    "images": (64, 64, 3),
    "text": (),
}
"""Default shape of one example, without the batch axis."""
AXIS_NAMES: Final[dict[ExampleKind, str]] = {
    "vectors": "features",
    "sequences": "timesteps, features",
    "images": "height, width, channels",
    "text": "",
}
_BATCH_SIZES: Final = {32: 2_000, 64: 8_000, 256: 200_000}
"""Batch size -> the number of examples from which it is larger."""
_MAX_BATCH_SIZE: Final = 1024
_FEW_IMAGES: Final = 256
_FEW_IMAGES_BATCH_SIZE: Final = 8
"""With fewer images, batches of 32 make so few steps that early stopping ends the training before it has learned."""
_MIN_TEST_ROWS: Final = 100
"""Data with fewer examples has no test set."""
_MAX_LISTED_CLASSES: Final = 5


@dataclass(frozen=True, slots=True)
class ConfigTemplate:
    """The choices for a new config."""

    name: str
    kind: ExampleKind
    shape: tuple[int, ...]
    class_count: int | None
    """None if the target is a number."""
    size: ModelSize = "medium"
    data_lines: list[str] = field(default_factory=list)
    """Lines of the `data` section; empty if the data is not known yet."""
    model_lines: list[str] = field(default_factory=list)
    """Lines of `model` up to the output layers, if the data needs other lines than its kind."""
    output_lines: list[str] = field(default_factory=list)
    """Lines of the output layers, if the data needs other ones than its target."""
    class_names: tuple[str, ...] = ()
    """The classes in the order of their numbers; empty if they are not known."""
    row_count: int | None = None
    """Number of examples; None if it is not known."""
    is_table: bool = False
    is_scaled: bool = False
    """Whether the values of images or arrays are not integers from 0 to 255."""
    output_units: int = 1
    """Numbers that the model returns for each example, if the target is not a class."""
    target_form: TemplateTarget = "value"
    ignored_class: int | None = None
    """The class of positions that do not count."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A data set that is included in scikit-learn."""

    dataset: str
    kind: ExampleKind
    shape: tuple[int, ...]
    class_count: int | None
    row_count: int


SAMPLES: Final[dict[str, Sample]] = {
    "iris": Sample("iris", "vectors", (4,), 3, 150),
    "wine": Sample("wine", "vectors", (13,), 3, 178),
    "breast_cancer": Sample("breast_cancer", "vectors", (30,), 2, 569),
    "digits": Sample("digits", "images", (8, 8, 1), 10, 1797),
    "diabetes": Sample("diabetes", "vectors", (10,), None, 442),
}
"""Data sets to try."""
KIND_SAMPLES: Final[dict[ExampleKind, Sample]] = {
    "vectors": SAMPLES["iris"],
    "sequences": Sample("digits", "sequences", (8, 8), 10, 1797),
    "images": SAMPLES["digits"],
}
"""Kind of data -> a data set of this kind."""


def template_from_sample(name: str, sample: Sample, size: ModelSize) -> ConfigTemplate:
    """Return choices that fit a built-in data set."""
    shape = f"[{', '.join(map(str, sample.shape))}]"
    stratify = "" if sample.class_count is None else ", stratify: true"
    data = [
        "  # A data set to try. For a table: {type: csv, path: FILE, target: COLUMN}, or layercli init FILE.",
        "  type: sklearn",
        f"  dataset: {sample.dataset}",
        *[f"  shape: {shape}"] * (len(sample.shape) > 1),
        f"  split: {{validation: 0.1, test: 0.1{stratify}}}",
    ]
    return ConfigTemplate(
        name,
        sample.kind,
        sample.shape,
        sample.class_count,
        size,
        data,
        row_count=sample.row_count,
        is_scaled=True,
    )


def render_config(template: ConfigTemplate) -> str:
    """Return the text of the config file."""
    data = template.data_lines or [
        "  # Save your arrays with numpy: np.savez('data.npz', x=x, y=y); the first axis is the batch axis.",
        "  type: npz",
        "  path: data.npz",
        "  features: x",
        "  target: y" + " " * 19 + ("# integers from 0" if template.class_count else "# numbers"),
        "  split: {validation: 0.1, test: 0.1}",
    ]
    shape = f"[{', '.join(map(str, template.shape))}]"
    input_lines = (
        [f"  input: {{shape: {shape}, dtype: string}}   # one text for each example"]
        if template.kind == "text"
        else [f"  input: {shape:<20} # one example: {_name_axes(template)}, without the batch axis"]
    )
    model = template.model_lines or [*input_lines, "  layers:", *list_first_layers(template)]
    return "\n".join(
        [
            f"# {_describe_purpose(template)}",
            "# Check it: layercli validate; see its shapes: layercli inspect-shapes; train it: layercli train.",
            f"name: {quote_yaml_text(template.name)}",
            "seed: 1                        # the same seed gives the same split, weights and order",
            "",
            "data:",
            *data,
            "",
            "model:",
            *model,
            *(template.output_lines or list_output_layers(template)),
            "",
            "train:",
            *_list_training_lines(template),
            "",
        ]
    )


def _name_axes(template: ConfigTemplate) -> str:
    if has_channels_first(template.shape):
        return "channels, height, width"
    names = AXIS_NAMES[template.kind]
    return "height, width" if template.kind == "images" and len(template.shape) == 2 else names


def format_split(
    rows: int,
    *,
    is_stratified: bool,
    group: str | None = None,
    order: str | None = None,
    files: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return the line of the split for a number of examples.

    ``group`` is the column of groups, ``order`` that of the time; ``files`` are those of the sets that have separate files.
    """
    stratify = ", stratify: true" if is_stratified else ""
    if group is not None:
        stratify += f", group: {group}"
    if order is not None:
        stratify = f", order: {order}"
    if files:
        parts = []
        for part in ("validation", "test"):
            paths = [*map(quote_yaml_text, files.get(part, ()))]
            if paths:
                parts.append(f"{part}: {paths[0]}" if len(paths) == 1 else f"{part}: [{', '.join(paths)}]")
            elif part == "validation" or rows >= _MIN_TEST_ROWS:
                parts.append(f"{part}: 0.1")
        return f"  split: {{{', '.join(parts)}{stratify * (len(files) == 1)}}}"
    if rows < _MIN_TEST_ROWS:
        return f"  split: {{validation: 0.2{stratify}}}   # too few examples for a test set"
    # Early stopping needs enough examples to see the best epoch.
    return f"  split: {{validation: {0.2 if rows < FEW_EXAMPLES else 0.1}, test: 0.1{stratify}}}"


def _describe_purpose(template: ConfigTemplate) -> str:
    if template.target_form == "multi-label":
        target = f"{template.class_count} values of 0 or 1"
    elif template.class_count is None:
        target = "a number" if template.output_units == 1 else f"{template.output_units} numbers"
    else:
        position = "pixel" if template.kind == "images" else "timestep"
        each = f" for each {position}" if template.target_form == "positions" else ""
        target = f"one of {template.class_count} classes{each}"
    source = "a table" if template.is_table else template.kind
    return f"Input: {source}. Output: {target}."


def describe_target(class_names: tuple[str, ...] | None) -> str:
    """Return a comment on a target with these classes; None if it is a number."""
    if class_names is None:
        return "a number"
    names = ", ".join(map(quote_class_name, class_names[:_MAX_LISTED_CLASSES]))
    more = len(class_names) - _MAX_LISTED_CLASSES
    return f"{len(class_names)} classes: {names}{f' and {more:,} more' if more > 0 else ''}"


def _list_training_lines(template: ConfigTemplate) -> list[str]:
    rows = template.row_count or 0
    batch_size = next((size for size, limit in _BATCH_SIZES.items() if rows < limit), _MAX_BATCH_SIZE)
    if template.kind == "images" and 0 < rows < _FEW_IMAGES:
        batch_size = _FEW_IMAGES_BATCH_SIZE
    weight_decay = 1.0 if template.is_table and rows < FEW_EXAMPLES else 0.05
    loss, metrics = _choose_loss(template)
    return [
        "  epochs: 100                  # EarlyStopping stops earlier if val_loss stops improving",
        f"  batch_size: {batch_size}",
        f"  optimizer: {{type: AdamW, learning_rate: 2e-3, weight_decay: {weight_decay}}}   # tune the learning rate first",
        f"  loss: {loss}",
        f"  metrics: [{metrics}]",
        "  callbacks:",
        "    - {type: EarlyStopping, patience: 12, restore_best_weights: true}",
        "    - {type: ReduceLROnPlateau, patience: 5, factor: 0.3}   # smaller steps near the optimum",
    ]


def _choose_loss(template: ConfigTemplate) -> tuple[str, str]:
    """Return the loss and the metrics that fit the target."""
    if template.class_count is None:
        return "mean_squared_error", "mean_absolute_error"
    if template.target_form == "multi-label":
        return "binary_crossentropy", "accuracy"
    if template.target_form == "one-hot":
        return "categorical_crossentropy", "accuracy"
    if template.target_form == "positions":
        loss, ignored = "sparse_categorical_crossentropy", template.ignored_class
        if ignored is not None:
            loss = f"{{type: SparseCategoricalCrossentropy, ignore_class: {ignored}}}"
        metrics = "accuracy"
        if template.kind == "images":
            metrics += f", {{type: MeanIoU, num_classes: {template.class_count}}}"
        return loss, metrics
    if template.class_count == 2:
        return "binary_crossentropy", "accuracy"
    return "sparse_categorical_crossentropy", "accuracy"

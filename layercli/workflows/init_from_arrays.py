"""Inspect npz and npy files for ``layercli init``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from layercli.config.model import MAX_RANK
from layercli.formats.array_preview import ArraysPreview, NamedHeader, preview_arrays
from layercli.io.folders import SETS_BY_FOLDER
from layercli.reports.config_template import (
    ConfigTemplate,
    ModelSize,
    describe_target,
    format_split,
)
from layercli.reports.template_quotes import quote_yaml_text
from layercli.source.nodes import sanitize_text
from layercli.workflows.init_paths import make_init_error, make_relative
from layercli.workflows.preflight import read_memory_limit
from layercli.workflows.table_columns import choose_class_count, list_number_classes

_MAX_NAMED_ARRAYS = 6


def make_array_template(
    path: Path, config_folder: Path, name: str, targets: Sequence[str], size: ModelSize
) -> tuple[ConfigTemplate, list[str]]:
    """Return a config template for an npz file, an npy file or a folder of these, and notes; see ``make_template``.

    Raises:
        LayercliError: several targets are named, or training would refuse the values.
        PreviewError: the arrays cannot be read, or do not fit each other.
    """
    if len(targets) > 1:
        message = f"Arrays have one target, got {', '.join(map(sanitize_text, targets))}."
        raise make_init_error(
            path, message, "Name one with --target, or write `target: {output: array}` yourself."
        )
    arrays = preview_arrays(path, targets[0] if targets else None, read_memory_limit())
    if not arrays.features.shape[1:] and arrays.kind != "text":
        message = f"`{_show_name(arrays.features)}` has one number for each example, but it must have an axis of features."
        raise make_init_error(path, message, "Save it as a column: `x[:, numpy.newaxis]`.")
    if arrays.has_equal_targets:
        value = f", {sanitize_text(arrays.values[0], limit=40)}" if arrays.values else ""
        message = f"All examples have the same target in `{_show_name(arrays.target)}`{value}, so a model has nothing to learn."
        raise make_init_error(
            path, message, "Add examples with other targets, or name a different array with --target."
        )
    if len(arrays.features.shape) - 1 > MAX_RANK:
        axes = len(arrays.features.shape) - 1
        message = (
            f"An example of `{_show_name(arrays.features)}` must have at most {MAX_RANK} axes, got {axes}."
        )
        raise make_init_error(path, message, "Reshape the array before you save it.")
    if arrays.missing_count:
        values = "value that is" if arrays.missing_count == 1 else "values that are"
        message = f"`{_show_name(arrays.features)}` has {arrays.missing_count:,} {values} NaN or infinite."
        raise make_init_error(
            path, message, "Fill them in before you save the array, for example with `numpy.nan_to_num(x)`."
        )
    template = _make_template(arrays, config_folder, name, size)
    return template, _describe_arrays(arrays, template)


def _make_template(arrays: ArraysPreview, config_folder: Path, name: str, size: ModelSize) -> ConfigTemplate:
    target, rows = arrays.target, arrays.features.shape[0]
    class_names, target_type, class_count, ignored = _choose_classes(arrays)
    weights = [arrays.weights] if arrays.weights is not None else []
    used = [arrays.features, target, *weights]
    names = [
        array.name if arrays.path is not None else make_relative(Path(array.name), config_folder)
        for array in used
    ]
    data = [
        f"  # {rows:,} examples of shape {list(arrays.features.shape[1:])}.",
        f"  type: {'npz' if arrays.path is not None else 'npy'}",
    ]
    if arrays.path is not None:
        data.append(f"  path: {quote_yaml_text(make_relative(arrays.path, config_folder))}")
    data += [
        f"  features: {quote_yaml_text(names[0])}",
        f"  target: {quote_yaml_text(names[1])}   # {_describe_meaning(arrays, class_names)}",
        *[f"  target_type: {target_type}"] * (target_type is not None),
        *[f"  weights: {quote_yaml_text(name)}" for name in names[2:]],
        _format_split(
            arrays, config_folder, is_stratified=class_names is not None and arrays.target_form == "value"
        ),
    ]
    return ConfigTemplate(
        name,
        arrays.kind,
        arrays.features.shape[1:],
        class_count,
        size,
        data,
        class_names=class_names or (),
        row_count=rows,
        is_scaled=not arrays.are_bytes,
        output_units=target.shape[1] if len(target.shape) > 1 else 1,
        target_form=arrays.target_form,
        ignored_class=ignored,
    )


def _choose_classes(
    arrays: ArraysPreview,
) -> tuple[tuple[str, ...] | None, str | None, int | None, int | None]:
    """Return the names of the classes, the target type, the number of classes, and the class that does not count."""
    form, values = arrays.target_form, arrays.values
    if form in ("one-hot", "multi-label"):
        return None, None, arrays.target.shape[1], None
    if form == "positions" and values is not None:
        return _choose_position_classes(list(map(int, map(float, values))))
    if values is not None and not arrays.has_text_labels:
        values = list_number_classes(Path(arrays.target.name).stem, values, arrays.target.shape[0])
    if values is None:
        return None, "numbers", None, None
    return values, None if arrays.has_text_labels else "labels", len(values), None


def _choose_position_classes(
    values: Sequence[int],
) -> tuple[tuple[str, ...], str | None, int, int | None]:
    """Return the same for the classes of pixels or timesteps, which may have any values."""
    count, ignored = choose_class_count(values)
    if count is None:
        return tuple(map(str, values)), "labels", max(len(values), 2), None
    return tuple(map(str, range(count))), None, count, ignored


def _describe_meaning(arrays: ArraysPreview, class_names: tuple[str, ...] | None) -> str:
    if arrays.target_form == "one-hot":
        return f"one-hot vectors of {arrays.target.shape[1]} classes"
    if arrays.target_form == "multi-label":
        return f"{arrays.target.shape[1]} values of 0 or 1"
    if class_names is None and len(arrays.target.shape) > 1 and arrays.target.shape[1] > 1:
        return f"{arrays.target.shape[1]} numbers"
    each = f" for each {'pixel' if arrays.kind == 'images' else 'timestep'}" * (
        arrays.target_form == "positions"
    )
    return describe_target(class_names) + each


def _format_split(arrays: ArraysPreview, config_folder: Path, *, is_stratified: bool) -> str:
    files = {
        part: [make_relative(Path(file), config_folder) for file in files]
        for part, files in arrays.held_out.items()
    }
    return format_split(arrays.features.shape[0], is_stratified=is_stratified, files=files)


def _describe_arrays(arrays: ArraysPreview, template: ConfigTemplate) -> list[str]:
    rows, shape = arrays.features.shape[0], list(arrays.features.shape[1:])
    meaning = _describe_meaning(arrays, template.class_names or None)
    notes = [
        f"Found {rows:,} examples of shape {shape} in `{_show_name(arrays.features)}`. "
        f"Target: `{_show_name(arrays.target)}`, {meaning}."
    ]
    if arrays.weights is not None:
        notes.append(f"`{_show_name(arrays.weights)}` are the weights of the examples.")
    notes += [f"The {part} set is {' and '.join(files)}." for part, files in arrays.held_out.items()]
    if arrays.unused:
        listed = [
            f"`{_show_name(array)}` of shape {list(array.shape)}"
            for array in arrays.unused[:_MAX_NAMED_ARRAYS]
        ]
        more = f" and {len(arrays.unused) - len(listed)} more" if len(arrays.unused) > len(listed) else ""
        notes.append(f"Not used: {', '.join(listed)}{more}.")
        notes += _suggest_sets(arrays)
        if any(array.shape[:1] == (rows,) for array in arrays.unused):
            notes.append("A model of several arrays has the keys `inputs`, and `target` by output.")
    return notes


def _suggest_sets(arrays: ArraysPreview) -> list[str]:
    """Return how unused arrays of another set, such as ``x_test`` and ``y_test``, become that set."""
    unused = {array.name for array in arrays.unused}
    notes = []
    for word, part in SETS_BY_FOLDER.items():
        names = [array.name.replace("train", word) for array in (arrays.features, arrays.target)]
        if part != "train" and unused.issuperset(names) and arrays.path is not None:
            saved = ", ".join(
                f"{array.name}=d['{name}']"
                for array, name in zip((arrays.features, arrays.target), names, strict=True)
            )
            file = f"{arrays.path.stem}_{word}.npz"
            notes.append(
                f"A {part} set needs a separate file: d = numpy.load('{arrays.path.name}'); "
                f"numpy.savez('{file}', {saved}); then write `split: {{{part}: {file}}}`."
            )
    return notes


def _show_name(array: NamedHeader) -> str:
    return sanitize_text(array.name, limit=60)

"""Inspect a folder of images or texts for ``layercli init``: classes, sets, a table of labels, or masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_low
from typing import Final

from layercli.data.class_folders import list_class_files, list_files
from layercli.data.memory import limit_item_bytes
from layercli.data.tables.arrow import list_values
from layercli.data.types import DataError
from layercli.errors import LayercliError
from layercli.formats.folder_layout import FolderLayout, find_folder_layout
from layercli.formats.images.config import IMAGE_SUFFIXES, Images
from layercli.formats.images.labels import FileIndex, normalize_file_name, read_labels
from layercli.formats.images.masks import ImageMasks, find_threshold, read_masks
from layercli.formats.preview import ImagesPreview, TablePreview, preview_images, preview_table
from layercli.formats.text.config import TEXT_SUFFIXES
from layercli.formats.text.reader import guess_common_encoding
from layercli.io.folders import walk_files
from layercli.io.paths import compose_name
from layercli.reports.config_template import (
    ConfigTemplate,
    ModelSize,
    TemplateTarget,
    describe_target,
    format_split,
)
from layercli.reports.template_layers import SIZE_MULTIPLE
from layercli.reports.template_quotes import quote_always, quote_yaml_text
from layercli.source.nodes import sanitize_text
from layercli.workflows.init_paths import convert_data_error, make_init_error, make_relative
from layercli.workflows.label_lists import describe_label_list
from layercli.workflows.preflight import read_memory_limit
from layercli.workflows.table_columns import choose_class_count, choose_label_columns

_MAX_IMAGE_SIZE: Final = 128
"""Maximum height and width; larger images are scaled down."""
_MAX_LISTED_CLASSES: Final = 8
_MAX_MASK_VALUES: Final = 32
"""Masks with more values may be black and white with smooth edges."""
_SOUND_HINT: Final = (
    "layercli does not read sounds. Read each file as an array, cut all to one length, save the arrays as `x` and the labels "
    "as `y` with numpy.savez_compressed, and run `layercli init FILE.npz`."
)
_VIDEO_HINT: Final = "layercli does not read videos. Save frames as images, in a folder for each class."
_DOCUMENT_HINT: Final = (
    "layercli does not read documents. Save each as plain text (.txt), in a folder for each class."
)
_OTHER_CONTENT: Final = (
    dict.fromkeys((".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aiff"), _SOUND_HINT)
    | dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".webm"), _VIDEO_HINT)
    | dict.fromkeys((".pdf", ".doc", ".docx", ".odt", ".html", ".md"), _DOCUMENT_HINT)
)
"""Suffix of files that layercli does not read -> what to do with them."""
_MIN_MATCHES: Final = 0.5
"""Share of the values of a column of a table that must be images for it to be the column of files."""
_MATCHED_ROWS: Final = 100


def make_folder_template(
    folder: Path, config_folder: Path, name: str, targets: Sequence[str], size: ModelSize
) -> tuple[ConfigTemplate, list[str]]:
    """Return a config template for a folder of images or texts, and what a person should know about it, as sentences.

    Args:
        folder: The folder.
        config_folder: The folder of the config, to which paths are relative.
        name: The name of the model.
        targets: The target columns of a table of labels; empty if they are chosen.
        size: The size of the model.

    Raises:
        LayercliError: The files cannot be read, or have no labels.
    """
    suffixes = _choose_suffixes(folder)
    layout = find_folder_layout(folder, suffixes)
    maker = _FolderTemplate(layout, folder, config_folder, name, size)
    try:
        if layout.kind == "classes":
            return maker.from_classes(suffixes)
        if layout.kind == "masks" and suffixes == IMAGE_SUFFIXES:
            return maker.from_masks()
        if layout.kind == "table" and suffixes == IMAGE_SUFFIXES:
            for table in layout.tables:
                found = maker.from_table(table, targets)
                if found is not None:
                    return found
    except DataError as error:
        raise convert_data_error(error) from None
    raise _make_unlabelled_error(layout, suffixes)


def make_label_table_template(
    table: Path,
    preview: TablePreview,
    config_folder: Path,
    name: str,
    targets: Sequence[str],
    size: ModelSize,
) -> tuple[ConfigTemplate, list[str]] | None:
    """Return a config template for a table with a row for each image in its folder; None if it is a different table."""
    columns = preview.survey.sample
    first_texts = (str(value) for column in columns.slice(0, 3).columns for value in list_values(column))
    if not any(text.lower().endswith(IMAGE_SUFFIXES) for text in first_texts):
        return None
    layout = FolderLayout("table", table.parent, tables=(table,))
    maker = _FolderTemplate(layout, table.parent, config_folder, name, size)
    try:
        return maker.from_table(table, targets)
    except DataError as error:
        raise convert_data_error(error) from None


def _choose_suffixes(folder: Path) -> tuple[str, ...]:
    """Return the suffixes of images or of texts, whichever the folder has more of."""
    counts = Counter(file.suffix.lower() for file in walk_files(folder))
    images, texts = (sum(counts[suffix] for suffix in each) for each in (IMAGE_SUFFIXES, TEXT_SUFFIXES))
    if not images and not texts:
        listed = ", ".join(
            f"{count:,} {suffix or 'without a suffix'}" for suffix, count in counts.most_common(4)
        )
        raise make_init_error(
            folder,
            f"{sanitize_text(str(folder))} contains no images or texts ({', '.join((*IMAGE_SUFFIXES, *TEXT_SUFFIXES))})"
            f"{f', only files that are {sanitize_text(listed)}' if listed else ''}.",
            _OTHER_CONTENT.get(
                next(iter(counts.most_common(1)), ("", 0))[0],
                "Name a table, a file of arrays, or a folder of images or texts.",
            ),
        )
    return TEXT_SUFFIXES if texts > images else IMAGE_SUFFIXES


def _make_unlabelled_error(layout: FolderLayout, suffixes: Sequence[str]) -> LayercliError:
    """Return the error of examples without labels."""
    folder = layout.examples
    files = list_files(folder, suffixes).files
    noun = "images" if suffixes == IMAGE_SUFFIXES else "texts"
    inner = {file.relative_to(folder).parts[0] for file in files if file.parent != folder}
    shown = sanitize_text(str(folder))
    message = f"{shown} contains {len(files):,} {noun} but no labels."
    if len(inner) == 1 and not any(file.parent == folder for file in files):
        message = f"{shown} contains {noun} of only one class, {sanitize_text(inner.pop(), limit=60)}."
    hint = f"Move the {noun} of each class to a folder with the name of the class"
    if noun == "images":
        hint += "; or add a table labels.csv with the columns `file` and `label`; or, for a class of each pixel, folders "
        hint += "`images` and `masks`"
    else:
        hint += "; or save the texts and their labels as two columns of a table"
    return make_init_error(folder, message, f"{hint}.")


@dataclass(frozen=True, slots=True)
class _FolderTemplate:
    """The choices that all templates of a folder share."""

    layout: FolderLayout
    folder: Path
    config_folder: Path
    name: str
    size: ModelSize

    def from_classes(self, suffixes: Sequence[str]) -> tuple[ConfigTemplate, list[str]]:
        """Return the template of a folder with a folder for each class.

        Raises:
            DataError: the folders are not classes, or those of a set are others.
        """
        found = list_class_files(self.layout.examples, suffixes)
        if len(found.class_names) < 2:
            raise _make_unlabelled_error(self.layout, suffixes)
        has_images = suffixes == IMAGE_SUFFIXES
        summary = (
            f"{len(found.files):,} {'images' if has_images else 'texts'} of {len(found.class_names)} classes"
        )
        classes = _list_classes(found.class_names)
        notes = [finding.message for finding in found.warnings]
        sets, set_notes = self._list_class_sets(suffixes, found.class_names)
        split = self._format_split(len(found.files), sets, is_stratified=True)
        arguments = {"class_names": found.class_names, "row_count": len(found.files)}
        if has_images:
            preview = preview_images(found.files)
            notes += _describe_unreadable(preview)
            summary += f", {preview.describe_sizes()}"
            template = self._make_image_template(preview, [f"  # {summary}: {classes}."], [], split)
            template = replace(template, class_count=len(found.class_names), class_names=found.class_names)
        else:
            encoding, other = guess_common_encoding(found.files)
            data = [
                f"  # {summary}: {classes}.",
                "  type: text",
                f"  path: {self._quote(self.layout.examples)}",
                *[f"  encoding: {encoding}"] * (encoding is not None),
                split,
            ]
            if encoding is not None:
                notes.append(f"Found encoding {encoding}.")
            elif other is not None:
                notes.append(
                    f"{sanitize_text(str(other))} is not UTF-8, but other files are: save all as UTF-8."
                )
            template = ConfigTemplate(
                self.name,
                "text",
                (1,),
                len(found.class_names),
                self.size,
                data,
                **arguments,  # type: ignore[arg-type]
            )
        return template, [f"Found {summary}: {classes}.", *notes, *set_notes, *self._describe_sets(sets)]

    def _list_class_sets(
        self, suffixes: Sequence[str], class_names: Sequence[str]
    ) -> tuple[dict[str, tuple[Path, ...]], list[str]]:
        """Return the sets that have only classes of the training set, and notes about the others."""
        sets, notes = {}, []
        for part, folders in self.layout.sets.items():
            try:
                names = list_class_files(folders[0], suffixes).class_names
            except DataError as error:
                notes.append(f"Not used: {sanitize_text(str(folders[0]))}. {error.findings[0].message}")
                continue
            known = {*map(compose_name, class_names)}
            unknown = [name for name in names if compose_name(name) not in known]
            if unknown:
                notes.append(
                    f"Not used: {sanitize_text(str(folders[0]))}, because {sanitize_text(unknown[0], limit=60)} is not a "
                    "class of the training set."
                )
            else:
                sets[part] = folders
        return sets, notes

    def from_masks(self) -> tuple[ConfigTemplate, list[str]]:
        """Return the template of images with masks.

        Raises:
            DataError: a mask is missing, has a different size, or cannot be read.
        """
        masks = self.layout.masks
        assert masks is not None
        found = self._read_masks(masks)
        classes = _MaskTarget.from_masks(found)
        preview = preview_images(found.files)
        summary = f"{len(found.files):,} images, {preview.describe_sizes()}, with masks of {len(classes.names)} classes"
        names = _list_classes(classes.names)
        threshold = "" if found.threshold is None else f", threshold: {found.threshold}"
        keys = [f"  masks: {{path: {self._quote(masks)}{threshold}}}"]
        if classes.are_mapped and not found.classes.is_mapped:
            keys.append(
                "  target_type: labels          # the values become class numbers from 0, in ascending order"
            )
        split = self._format_split(len(found.files), self.layout.sets, is_stratified=False)
        template = self._make_image_template(
            preview, [f"  # {summary}: {names}."], keys, split, multiple=SIZE_MULTIPLE
        )
        template = replace(
            template,
            class_count=len(classes.names),
            class_names=classes.names,
            target_form="positions",
            ignored_class=classes.ignored,
        )
        ignored = "" if classes.ignored is None else f"; pixels of {classes.ignored} do not count"
        notes = [f"Found {summary}: {names}{ignored}.", *(finding.message for finding in found.warnings)]
        if found.threshold is not None:
            notes.append(
                "The masks are black and white with smooth edges or losses of JPEG: a pixel whose gray value is at least "
                f"{found.threshold} has the class 255, any other the class 0 (`masks.threshold`)."
            )
        notes += [
            f"Only {sanitize_text(str(mask))} has the value {classes.show(value)}: correct it if it is not a class."
            for value, mask in [*found.rare_values.items()][:_MAX_LISTED_CLASSES]
        ]
        return template, [*notes, *self._describe_sets(self.layout.sets)]

    def _read_masks(self, masks: Path) -> ImageMasks:
        """Return the masks: each value is a class, unless they are black and white apart from smooth edges or JPEG losses.

        Raises:
            DataError: a mask is missing, has a different size, or cannot be read.
        """
        images, limit = self.layout.examples, limit_item_bytes(read_memory_limit())

        def read(threshold: int | None) -> ImageMasks:
            section = {"path": str(images), "masks": {"path": str(masks), "threshold": threshold}}
            found = read_masks(Images.model_validate(section), images, masks, limit)
            if found.errors:
                raise DataError(*found.errors, *found.warnings)
            return found

        try:
            found = read(None)
        except DataError:
            threshold = find_threshold(images, masks, limit)
            if threshold is None:
                raise
            return read(threshold)
        if len(found.classes.values) <= _MAX_MASK_VALUES:
            return found
        threshold = find_threshold(images, masks, limit)
        return found if threshold is None else read(threshold)

    def from_table(self, table: Path, targets: Sequence[str]) -> tuple[ConfigTemplate, list[str]] | None:
        """Return the template of images with a table of labels; None if the table does not name the images.

        Raises:
            DataError: the table names images that do not exist, or has no target for some.
        """
        listing = list_files(self.layout.examples, IMAGE_SUFFIXES)
        preview = preview_table(table)
        index = FileIndex(listing, table.parent)
        file_column = _find_file_column(preview, index)
        if file_column is None:
            return None
        chosen = choose_label_columns(table, preview.without(file_column), targets)
        names = [column.name for column in chosen.columns]
        labels = {"path": str(table), "file": file_column, "target": names, "separator": chosen.separator}
        arguments = {"path": str(self.layout.examples), "labels": labels}
        if chosen.target_type is not None:
            arguments["target_type"] = chosen.target_type
        found = read_labels(Images.model_validate(arguments), listing)
        if found.errors:
            raise DataError(*found.errors, *found.warnings)
        images = preview_images(found.files)
        summary = f"{len(found.files):,} images, {images.describe_sizes()}, with labels in {table.name}"
        listed = (
            quote_yaml_text(names[0]) if len(names) == 1 else f"[{', '.join(map(quote_yaml_text, names))}]"
        )
        separator = "" if chosen.separator is None else f", separator: {quote_always(chosen.separator)}"
        keys = [
            f"  labels: {{path: {self._quote(table)}, file: {quote_yaml_text(file_column)}, target: {listed}{separator}}}"
        ]
        if chosen.target_type is not None:
            keys.append(f"  target_type: {chosen.target_type}")
        stratified = chosen.form == "value" and chosen.class_names is not None
        sets = {
            part: folders for part, folders in self.layout.sets.items() if (folders[0] / table.name).is_file()
        }
        split = self._format_split(len(found.files), sets, is_stratified=stratified)
        template = self._make_image_template(images, [f"  # {summary}."], keys, split)
        template = replace(
            template,
            class_count=None if chosen.class_names is None else len(chosen.class_names),
            class_names=chosen.class_names or (),
            target_form=chosen.form,
            output_units=len(names),
        )
        target = ", ".join(f"`{sanitize_text(each, limit=60)}`" for each in names[:_MAX_LISTED_CLASSES])
        meaning = _describe_form(chosen.form, chosen.class_names, len(names))
        if chosen.separator is not None:
            meaning = describe_label_list(chosen.separator, describe_target(chosen.class_names))
        notes = [
            f"Found {summary}.",
            f"Files: `{sanitize_text(file_column, limit=60)}`. Target: {target} ({chosen.reason}), {meaning}.",
            *(finding.message for finding in found.warnings),
            *_describe_unreadable(images),
        ]
        if chosen.unused:
            unused = ", ".join(
                f"`{sanitize_text(each, limit=60)}`" for each in chosen.unused[:_MAX_LISTED_CLASSES]
            )
            notes.append(f"Not used: {unused}. Choose other targets with --target, once for each.")
        return template, [*notes, *self._describe_sets(sets)]

    def _make_image_template(
        self,
        preview: ImagesPreview,
        comments: Sequence[str],
        keys: Sequence[str],
        split: str,
        *,
        multiple: int = 1,
    ) -> ConfigTemplate:
        height, width, is_scaled = _choose_size(preview, multiple)
        channels = 3 if preview.has_color else 1
        size = (
            f"  size: [{height}, {width}]             # height and width; every image is scaled to this size"
        )
        data = [
            *comments,
            "  type: images",
            f"  path: {self._quote(self.layout.examples)}",
            *keys,
            *[size] * is_scaled,
            f"  channels: {channels}                  # {'color' if channels == 3 else 'grayscale'}",
            split,
        ]
        return ConfigTemplate(
            self.name,
            "images",
            (height, width, channels),
            None,
            self.size,
            data,
            row_count=preview.image_count,
            is_scaled=preview.is_deep,
        )

    def _format_split(self, count: int, sets: Mapping[str, tuple[Path, ...]], *, is_stratified: bool) -> str:
        """Return the line of the split, with the folders of the sets that have some."""
        files = {
            part: [make_relative(folder, self.config_folder) for folder in folders]
            for part, folders in sets.items()
        }
        return format_split(count, is_stratified=is_stratified, files=files)

    def _describe_sets(self, sets: Mapping[str, tuple[Path, ...]]) -> list[str]:
        notes = [
            f"The {part} set is {sanitize_text(str(folders[0]))}."
            for part, folders in sorted(sets.items(), reverse=True)
        ]
        notes += [
            f"Not used: {sanitize_text(str(folder))}, which has no labels." for folder in self.layout.unused
        ]
        return notes

    def _quote(self, path: Path) -> str:
        return quote_yaml_text(make_relative(path, self.config_folder))


@dataclass(frozen=True, slots=True)
class _MaskTarget:
    """The classes of the pixels of masks."""

    names: tuple[str, ...]
    are_mapped: bool
    """Whether the first value is class 0, the second is class 1, and so on."""
    ignored: int | None = None

    def show(self, value: int) -> str:
        """Return a value of a pixel: a number, or a color such as #ff0000."""
        return f"#{value:06x}" if self.names[0].startswith("#") else str(value)

    @classmethod
    def from_masks(cls, masks: ImageMasks) -> _MaskTarget:
        """Return the classes that a model of these masks has."""
        if masks.classes.names is not None:
            return cls(masks.classes.names, are_mapped=True)
        values = masks.classes.values
        count, ignored = choose_class_count(values)
        if count is None:
            return cls(tuple(map(str, values)), are_mapped=True)
        return cls(tuple(map(str, range(count))), are_mapped=False, ignored=ignored)


def _describe_unreadable(preview: ImagesPreview) -> list[str]:
    count = preview.unreadable_count
    if not count:
        return []
    return [
        f"{count:,} {'image' if count == 1 else 'images'} cannot be read; `layercli inspect-data` names them."
    ]


def _describe_form(form: TemplateTarget, class_names: tuple[str, ...] | None, count: int) -> str:
    if form == "one-hot":
        return f"one-hot vectors of {count} classes"
    if form == "multi-label":
        return "values of 0 or 1"
    return describe_target(class_names) if count == 1 else f"{count} numbers"


def _find_file_column(table: TablePreview, index: FileIndex) -> str | None:
    """Return the column whose values are the names of images; None if there is none."""
    best, best_share = None, _MIN_MATCHES
    for column in table.columns:
        values = list_values(table.survey.sample.column(column.name).slice(0, _MATCHED_ROWS))
        texts = [normalize_file_name(str(value)) for value in values if value not in (None, "")]
        found = sum(bool(index.find(text)) for text in texts)
        if texts and found / len(texts) >= best_share and (best is None or found / len(texts) > best_share):
            best, best_share = column.name, found / len(texts)
    return best


def _choose_size(preview: ImagesPreview, multiple: int) -> tuple[int, int, bool]:
    """Return the height and width of the model's images, and whether images must be scaled to it."""
    sizes = [*preview.sizes.elements()] or [(_MAX_IMAGE_SIZE, _MAX_IMAGE_SIZE)]
    height, width = (median_low(size[axis] for size in sizes) for axis in (0, 1))
    factor = min(1, _MAX_IMAGE_SIZE / max(height, width))
    scaled = [max(multiple, round(side * factor / multiple) * multiple) for side in (height, width)]
    return scaled[0], scaled[1], preview.sizes.keys() != {(scaled[0], scaled[1])}


def _list_classes(classes: Sequence[str]) -> str:
    shown = ", ".join(sanitize_text(name, limit=60) for name in classes[:_MAX_LISTED_CLASSES])
    more = len(classes) - _MAX_LISTED_CLASSES
    return f"{shown}{f' and {more:,} more' if more > 0 else ''}"

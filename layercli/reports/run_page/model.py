"""The model's picture and layers, its data, and what is needed to get it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any, Final

from layercli.io.credentials import describe_command
from layercli.layers.shapes import format_shape
from layercli.page.html import (
    Column,
    Markup,
    join_markup,
    make_details,
    make_element,
    make_preformatted,
    make_scroll_area,
    make_table,
)
from layercli.plot.drawing import Theme
from layercli.plot.layout import PictureTooLargeError
from layercli.plot.render import render_plot
from layercli.reports.formatting import format_count, format_short_count
from layercli.reports.provenance import describe_provenance
from layercli.reports.run_page.content import DataContent, RunContent
from layercli.source.nodes import sanitize_text
from layercli.source.scalars import is_number

_MAX_ROWS: Final = 300
_MAX_CLASSES: Final = 60
_THEMES: Final[tuple[Theme, ...]] = ("light", "dark")


def make_model(content: RunContent) -> Markup:
    """Return the picture that ``build --plot`` draws, and the table of layers."""
    valid = content.valid
    if valid is None:
        return Markup()
    shapes = valid.shapes
    total = sum(row.parameters or 0 for row in shapes.rows)
    rows = []
    for row in shapes.rows[:_MAX_ROWS]:
        share = f"{100 * row.parameters / total:.1f} %" if row.parameters and total else ""
        outputs = ", ".join(format_shape(tensor.shape) for tensor in row.outputs) or "?"
        line = valid.check_result.line_of(row.node.path)
        rows.append(
            [
                row.node.name,
                row.node.type_name,
                ", ".join(row.node.input_references),
                outputs,
                format_count(row.parameters),
                share,
                format_short_count(row.flops),
                "" if line is None else str(line),
            ]
        )
    columns = [
        *(Column(title) for title in ("layer", "type", "from", "output")),
        *(Column(title, is_number=True) for title in ("parameters", "share", "FLOPs", "line of config")),
    ]
    totals = (
        f"{format_count(shapes.trainable)} trainable parameters, {format_count(shapes.non_trainable)} non-trainable ones, "
        f"{format_count(shapes.flops)} FLOPs for one example."
    )
    parts = [
        _draw_picture(content),
        make_element("h4", "Layers"),
        make_table(columns, rows, label="Layers"),
        make_element("p", totals),
    ]
    if len(shapes.rows) > _MAX_ROWS:
        parts.insert(
            -1,
            make_element("p", f"{len(shapes.rows) - _MAX_ROWS:,} more layers are not shown.", class_="muted"),
        )
    return join_markup(parts)


def _draw_picture(content: RunContent) -> Markup:
    assert content.valid is not None
    title = f"The layers of {content.valid.check_result.name} and their connections"
    try:
        pictures = [
            render_plot(content.valid.shapes, ".svg", title=title, theme=theme).decode() for theme in _THEMES
        ]
    except PictureTooLargeError:
        text = "The model has too many layers and connections for a picture."
        return make_element("p", text, class_="notice")
    drawn = [
        make_element("div", Markup(picture), class_=f"{theme}-only")  # plot/svg.py escapes its texts
        for theme, picture in zip(_THEMES, pictures, strict=True)
    ]
    return make_scroll_area(*drawn, label="Picture of the model")


def make_data(content: RunContent) -> Markup:
    """Return the summary of the data, as ``inspect-data`` has it."""
    data = content.data
    if data is None:
        return Markup()
    train, validation, test = data.counts
    sizes = (
        f"{sum(data.counts):,} examples: {train:,} to train on, {validation:,} to validate, {test:,} to test."
    )
    sentences = [make_element("p", sentence) for sentence in (sizes, *data.sentences)]
    return join_markup([*sentences, _make_feature_table(data), *_make_class_tables(data)])


def _make_feature_table(data: DataContent) -> Markup:
    columns = [
        Column("column"),
        Column("type"),
        *(Column(title, is_number=True) for title in ("different", "missing", "low", "mean", "high")),
    ]
    rows = []
    for feature in [*data.features[:_MAX_ROWS], *data.targets]:
        is_array = feature.different is None
        rows.append(
            [
                feature.name or feature.input or "input",
                f"{feature.dtype} {format_shape(feature.shape)}" if is_array else feature.dtype,
                "" if feature.different is None else f"{feature.different:,}",
                f"{feature.missing:,}" if feature.missing else "",
                *(
                    "" if value is None else f"{value:.4g}"
                    for value in (feature.low, feature.mean, feature.high)
                ),
            ]
        )
    parts = [make_table(columns, rows, label="Columns of the data")]
    if len(data.features) > _MAX_ROWS:
        parts.append(
            make_element(
                "p", f"{len(data.features) - _MAX_ROWS:,} more columns are not shown.", class_="muted"
            )
        )
    return join_markup(parts)


def _make_class_tables(data: DataContent) -> Iterator[Markup]:
    for target, balance in data.class_counts.items():
        title = "class" if target is None else f"class of {target}"
        columns = [Column(title), *(Column(name, is_number=True) for name in ("train", "validation", "test"))]
        rows = [[name, *(f"{count:,}" for count in counts)] for name, counts in balance[:_MAX_CLASSES]]
        yield make_table(columns, rows, label="Examples of each class")
        if len(balance) > _MAX_CLASSES:
            yield make_element(
                "p", f"{len(balance) - _MAX_CLASSES:,} more classes are not shown.", class_="muted"
            )


def make_origin(content: RunContent) -> Markup:
    """Return the commands, the config, the versions and the hashes."""
    run, parts = content.title, []
    if content.config_text is not None:
        text = (
            "The config below has every default written out. With the same data, versions and machine, this trains the "
            "same model again:"
        )
        parts += [make_element("p", text), make_preformatted(f"layercli train {quote(f'{run}/config.yaml')}")]
        parts.append(make_details("config.yaml", make_preformatted(content.config_text), class_="printed"))
    if content.manifest is not None:
        parts += [make_element("h4", "Versions and hashes"), _make_manifest_table(content.manifest)]
    return join_markup(parts)


def _make_manifest_table(manifest: Mapping[str, Any]) -> Markup:
    rows = [[title, value] for title, value in describe_provenance(manifest).items()]
    rows.append(["seed", _format_value(manifest.get("seed"))])
    command = manifest.get("command")
    if isinstance(command, list):
        rows.append(["command", " ".join(describe_command([str(argument) for argument in command]))])
    execution = manifest["execution"]
    rows += [[f"execution: {name}", _format_value(value)] for name, value in execution.items()]
    data = manifest["data"]
    rows += [
        [f"{name} examples", f"{data[name]:,}"]
        for name in ("train", "validation", "test")
        if is_number(data.get(name))
    ]
    rows += [[f"SHA-256 of {name}", digest] for name, digest in manifest["files"].items()]
    shown = [
        [sanitize_text(name, limit=80), sanitize_text(value, limit=300)] for name, value in rows[:_MAX_ROWS]
    ]
    return make_table([Column("what"), Column("value")], shown, label="Versions and hashes")


def _format_value(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

"""``layercli init``: write a first config, from answers, options or data."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from layercli.commands.options import ForceOption, JsonOption, require_parent_directory
from layercli.io.atomic import report_write_errors, write_text
from layercli.reports.config_template import (
    AXIS_NAMES,
    DEFAULT_SHAPES,
    ConfigTemplate,
    render_config,
    template_from_table,
)
from layercli.reports.console import make_console, print_json


class KindChoice(StrEnum):
    """The kind of data in one example."""

    VECTORS = "vectors"
    SEQUENCES = "sequences"
    IMAGES = "images"
    TEXT = "text"


class SizeChoice(StrEnum):
    """The size of the model."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


def command(
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help="A CSV file, or a folder with one folder of images per class."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The config to write.")
    ] = "config.yaml",
    kind: Annotated[
        KindChoice | None, typer.Option("--kind", help="The kind of data in one example.")
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            "--shape",
            metavar="SIZES",
            help="The shape of one example without the batch axis, such as 28x28x1.",
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option("--classes", min=0, help="Number of classes. 0 means that the target is a number."),
    ] = None,
    size: Annotated[SizeChoice, typer.Option("--size", help="The size of the model.")] = SizeChoice.MEDIUM,
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="The target column.")
    ] = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write a first config from a CSV file, a folder of images, options, or questions on a terminal."""
    path = Path(output)
    if path.exists() and not force:
        raise typer.BadParameter(
            f"{output} already exists; name a different file with --output, or pass --force to overwrite it."
        )
    require_parent_directory(output)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-") or "model"
    note = None
    if data is not None:
        start, note = _inspect_data(Path(data), path, name, target, str(size))
    else:
        start = _collect_answers(name, kind, shape, classes, str(size), should_ask=is_interactive(json))
    with report_write_errors("The config", output):
        write_text(path, render_config(start))
    if json:
        print_json({"ok": True, "output": output, "note": note, "problems": []})
        return
    out = make_console()
    if note:
        out.print(note, soft_wrap=True)
    next_commands = "".join(
        f"\n  layercli {name} {output}" for name in ("validate", "inspect-shapes", "train")
    )
    out.print(f"Wrote {output}. Next:{next_commands}", soft_wrap=True)


def is_interactive(json: bool) -> bool:
    """Return whether a person at a terminal can answer questions."""
    return not json and sys.stdin.isatty() and sys.stdout.isatty()


def _collect_answers(
    name: str, kind: KindChoice | None, shape: str | None, classes: int | None, size: str, *, should_ask: bool
) -> ConfigTemplate:
    """Return the values of the options, and prompt for missing ones if ``should_ask``."""
    missing = [flag for flag, value in (("--kind", kind), ("--classes", classes)) if value is None]
    if missing and not should_ask:
        raise typer.BadParameter(f"{' and '.join(missing)} must be given without a terminal.")
    chosen: Any = str(
        kind or _prompt_value("Kind of one example: " + ", ".join(DEFAULT_SHAPES), "vectors", _parse_kind)
    )
    sizes = DEFAULT_SHAPES[chosen]
    if chosen != "text":
        if shape is not None:
            sizes = _parse_shape(shape, chosen)
        elif should_ask:
            default = "x".join(map(str, sizes))
            question = f"Shape of one example, {AXIS_NAMES[chosen]}"
            sizes = _prompt_value(question, default, lambda text: _parse_shape(text, chosen))
    if classes is None:
        classes = _prompt_value("Number of classes (0: the target is a number)", "2", _parse_class_count)
    if classes == 1:
        raise typer.BadParameter(
            "the number of classes must be 0 (the target is a number), 2 or more, got 1."
        )
    return ConfigTemplate(name, chosen, sizes, classes or None, size)  # type: ignore[arg-type]  # checked by Typer


def _prompt_value(question: str, default: str, parse: Any) -> Any:
    return typer.prompt(question, default=default, value_proc=parse)


def _parse_kind(text: str) -> str:
    matching_kinds = [
        name for name in DEFAULT_SHAPES if text.strip() and name.startswith(text.strip().lower())
    ]
    if len(matching_kinds) != 1:
        raise typer.BadParameter(f"expected one of {', '.join(DEFAULT_SHAPES)}, got {text!r}.")
    return matching_kinds[0]


def _parse_class_count(text: str) -> int:
    if not text.strip().isdecimal() or int(text) == 1 or len(text) > 6:
        raise typer.BadParameter(f"the number of classes must be 0, 2 or more, got {text!r}.")
    return int(text)


def _parse_shape(text: str, kind: Any) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in re.findall(r"\d{1,9}", text))
    rank = len(DEFAULT_SHAPES[kind])
    if len(numbers) != rank or not all(numbers) or not re.fullmatch(r"[\d\sx,\[\]()]+", text):
        example = "x".join(map(str, DEFAULT_SHAPES[kind]))
        raise typer.BadParameter(
            f"the shape of {kind} must be {AXIS_NAMES[kind]}, such as {example}, got {text!r}."
        )
    return numbers


def _inspect_data(
    data: Path, config: Path, name: str, target: str | None, size: Any
) -> tuple[ConfigTemplate, str | None]:
    """Return a config template for a data file or folder, and a note about its content."""
    from layercli.workflows.init_from_data import (
        make_image_template,
        read_table_and_target,
        require_input_columns,
    )

    data_path, folder = data.resolve(), config.resolve().parent
    relative = str(data_path.relative_to(folder) if data_path.is_relative_to(folder) else data_path)
    if data.is_dir():
        return make_image_template(data, relative, name, size)
    table, column = read_table_and_target(data, target)
    require_input_columns(data, table, column)
    return template_from_table(name, relative, table, column, size), None

"""``layercli init``: a first config, from a few answers or from a look at the data."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from layercli.errors import LayercliError, Problem
from layercli.reports.config_template import (
    AXIS_NAMES,
    DEFAULT_SHAPES,
    ConfigTemplate,
    render_config,
    template_from_table,
)
from layercli.reports.console import make_console, print_json
from layercli.runs import directory as runs


class KindChoice(StrEnum):
    """What one example is."""

    VECTORS = "vectors"
    SEQUENCES = "sequences"
    IMAGES = "images"
    TEXT = "text"


class SizeChoice(StrEnum):
    """How large the model is."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


def command(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]", help="A CSV file, or a folder with a folder of images for each class."
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The config to write.")
    ] = "config.yaml",
    kind: Annotated[KindChoice | None, typer.Option("--kind", help="What one example is.")] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            "--shape", metavar="SIZES", help="Shape of one example, as 28x28x1; without the batch axis."
        ),
    ] = None,
    classes: Annotated[
        int | None, typer.Option("--classes", min=0, help="Number of classes; 0: the target is a number.")
    ] = None,
    size: Annotated[SizeChoice, typer.Option("--size", help="Size of the model.")] = SizeChoice.MEDIUM,
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="Column of the target.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")] = False,
) -> None:
    """Write a first config: asks on a terminal, takes options elsewhere, or looks at a CSV file or a folder of images."""
    path = Path(output)
    if path.exists() and not force:
        raise typer.BadParameter(
            f"{output} is there already; name another file by --output, or allow it by --force."
        )
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no directory {path.parent}.")
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-") or "model"
    note = None
    if data is not None:
        start, note = _inspect_data(Path(data), path, name, target, str(size))
    else:
        start = _collect_answers(name, kind, shape, classes, str(size), should_ask=is_interactive(json))
    try:
        runs.write_text(path, render_config(start))
    except OSError as error:
        message = f"The config cannot be written: {error.strerror or error}."
        raise LayercliError(Problem(code="cannot-write", message=message, file=output)) from None
    if json:
        print_json({"ok": True, "output": output, "note": note, "problems": []})
        return
    out = make_console()
    if note:
        out.print(note, soft_wrap=True)
    out.print(f"Wrote {output}. Next:\n  layercli validate {output}\n  layercli inspect-shapes {output}\n"
              f"  layercli train {output}", soft_wrap=True)  # fmt: skip


def is_interactive(json: bool) -> bool:
    """Whether somebody is there to answer questions."""
    return not json and sys.stdin.isatty() and sys.stdout.isatty()


def _collect_answers(
    name: str, kind: KindChoice | None, shape: str | None, classes: int | None, size: str, *, should_ask: bool
) -> ConfigTemplate:
    """What the options say; what they do not is asked, where somebody is there to answer."""
    missing = [flag for flag, value in (("--kind", kind), ("--classes", classes)) if value is None]
    if missing and not should_ask:
        raise typer.BadParameter(f"without a terminal to ask on, {' and '.join(missing)} must be given.")
    chosen: Any = str(
        kind or _prompt_value("What is one example? " + ", ".join(DEFAULT_SHAPES), "vectors", _parse_kind)
    )
    sizes = DEFAULT_SHAPES[chosen]
    if chosen != "text":
        default = "x".join(map(str, sizes))
        sizes = _parse_shape(shape, chosen) if shape is not None else (
            _prompt_value(f"Its shape, {AXIS_NAMES[chosen]}", default, lambda text: _parse_shape(text, chosen)) if should_ask else sizes
        )  # fmt: skip
    if classes is None:
        classes = _prompt_value("How many classes? 0: the target is a number", "2", _parse_class_count)
    if classes == 1:
        raise typer.BadParameter("one class leaves nothing to tell apart; 0 stands for a number.")
    return ConfigTemplate(name, chosen, sizes, classes or None, size)  # type: ignore[arg-type]  # checked by Typer


def _prompt_value(question: str, default: str, parse: Any) -> Any:
    return typer.prompt(question, default=default, value_proc=parse)


def _parse_kind(text: str) -> str:
    found = [name for name in DEFAULT_SHAPES if text.strip() and name.startswith(text.strip().lower())]
    if len(found) != 1:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(DEFAULT_SHAPES)}.")
    return found[0]


def _parse_class_count(text: str) -> int:
    if not text.strip().isdecimal() or int(text) == 1 or len(text) > 6:
        raise typer.BadParameter(f"{text!r} is no number of classes; it is 0, 2 or more.")
    return int(text)


def _parse_shape(text: str, kind: Any) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in re.findall(r"\d{1,9}", text))
    rank = len(DEFAULT_SHAPES[kind])
    if len(numbers) != rank or not all(numbers) or not re.fullmatch(r"[\d\sx,\[\]()]+", text):
        example = "x".join(map(str, DEFAULT_SHAPES[kind]))
        raise typer.BadParameter(f"{text!r} is no shape of {kind}: {AXIS_NAMES[kind]}, such as {example}.")
    return numbers


def _inspect_data(
    data: Path, config: Path, name: str, target: str | None, size: Any
) -> tuple[ConfigTemplate, str | None]:
    from layercli.workflows.init_from_data import make_image_template, read_table_and_target

    data_path, folder = data.resolve(), config.resolve().parent
    relative = str(data_path.relative_to(folder) if data_path.is_relative_to(folder) else data_path)
    if data.is_dir():
        return make_image_template(data, relative, name, size)
    table, column = read_table_and_target(data, target)
    return template_from_table(name, relative, table, column, size), None

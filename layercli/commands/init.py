"""``layercli init``: write a first config, from answers, options or data."""

from __future__ import annotations

import glob
import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from layercli.command_line.optional_values import LISTED
from layercli.command_line.options import ForceOption, JsonOption, require_parent_directory
from layercli.config.data.tables import TABLE_FORMATS
from layercli.io.atomic import report_write_errors, write_text
from layercli.reports.code_templates import CODE_KINDS, render_code_template
from layercli.reports.config_template import (
    AXIS_NAMES,
    DEFAULT_SHAPES,
    KIND_SAMPLES,
    SAMPLES,
    ConfigTemplate,
    render_config,
    template_from_sample,
)
from layercli.reports.console import make_console, make_table, print_json
from layercli.schema.addresses import is_address
from layercli.workflows.examples import find_example, list_examples, write_example


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
        list[str] | None,
        typer.Argument(
            metavar="DATA",
            help=f"A table ({TABLE_FORMATS}), or several files of one; arrays (.npz, .npy); or a folder of images or texts.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The config to write. Default: config.yaml, or the name of the example.",
        ),
    ] = None,
    example: Annotated[
        str | None,
        typer.Option(
            "--example",
            metavar="NAME",
            help="Write an example config, with the data that it reads. Without NAME, list the examples.",
        ),
    ] = None,
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
        list[str] | None,
        typer.Option(
            "--target",
            metavar="COLUMN",
            help="The target: a column of the table, or an array; once for each target.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer", metavar="FILE", help="Write a Python file with a custom layer, not a config."
        ),
    ] = None,
    loss: Annotated[
        str | None, typer.Option("--loss", metavar="FILE", help="Write a Python file with a custom loss.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="FILE", help="Write a Python file with a custom metric.")
    ] = None,
    callback: Annotated[
        str | None,
        typer.Option("--callback", metavar="FILE", help="Write a Python file with a custom callback."),
    ] = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write a first config from a table, arrays, a folder of images or texts, options, or questions on a terminal.

    A folder has a folder for each class, optionally in folders such as train and test; or images with a table of labels; or the
    folders images and masks. --example writes one of the examples of layercli.
    """
    if example is not None and (data or kind or shape or classes is not None or target):
        raise typer.BadParameter("cannot be used with data or other choices.", param_hint="--example")
    if example == LISTED:
        _list_examples(json=json)
        return
    code_files = dict(zip(CODE_KINDS, (layer, loss, metric, callback), strict=True))
    if any(file is not None for file in code_files.values()):
        if data or kind is not None or example is not None:
            raise typer.BadParameter(
                "data, --kind and --example cannot be used with a file of code: write the config first."
            )
        _write_code_files({kind: file for kind, file in code_files.items() if file is not None}, force, json)
        return
    if output is None:
        output = "config.yaml" if example is None else f"{find_example(example).name}.yaml"
    path = Path(output)
    _require_free_path(output, "--output", force=force)
    if example is not None:
        _write_example(example, path, force=force, json=json)
        return
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-") or "model"
    should_ask = is_interactive(json)
    if not data and kind is None and should_ask:
        data, kind = _ask_for_data()
    if data:
        start, note = _inspect_data(data, path, name, target or (), str(size))
    else:
        start, note = _collect_answers(name, kind, shape, classes, str(size), should_ask=should_ask)
    with report_write_errors("The config", output):
        write_text(path, render_config(start))
    if json:
        print_json({"ok": True, "output": output, "note": note, "problems": []})
        return
    _print_next_commands(note, output)


def _print_next_commands(note: str | None, output: str, options: str = "") -> None:
    out = make_console()
    if note:
        out.print(note, soft_wrap=True)
    next_commands = "".join(
        f"\n  layercli {name} {quote(output)}{options if name != 'validate' else ''}"
        for name in ("validate", "inspect-shapes", "train")
    )
    out.print(f"Wrote {output}. Next:{next_commands}", soft_wrap=True)


def _list_examples(*, json: bool) -> None:
    examples = list_examples()
    if json:
        rows = [{"name": example.name, "summary": example.summary} for example in examples]
        print_json({"ok": True, "examples": rows, "problems": []})
        return
    table = make_table("example", "", has_header=False)
    for example in examples:
        table.add_row(example.name, example.summary)
    make_console().print(table)
    make_console().print(f"Write one of them: layercli init --example {examples[0].name}", soft_wrap=True)


def _write_example(name: str, path: Path, *, force: bool, json: bool) -> None:
    example = find_example(name)
    files = [file.as_posix() for file in write_example(example, path, force=force)]
    if json:
        print_json({"ok": True, "output": str(path), "note": None, "files": files, "problems": []})
        return
    note = f"Wrote also {', '.join(files)}." if files else None
    _print_next_commands(note, str(path), " --trust" if example.code_files else "")


def _require_free_path(path: str, option: str, *, force: bool) -> None:
    if Path(path).exists() and not force:
        raise typer.BadParameter(
            f"{path} already exists; name a different file with {option}, or pass --force to overwrite it."
        )
    require_parent_directory(path)


def _write_code_files(files: Mapping[str, str], force: bool, json: bool) -> None:
    """Write a Python file with a class of each kind, and print the lines of a config that use them."""
    templates = {file: render_code_template(kind, file) for kind, file in files.items()}
    if len(templates) < len(files):
        raise typer.BadParameter("each kind of code requires a different file.")
    for kind, file in files.items():
        if templates[file] is None:
            example = f"my_{kind}.py"
            raise typer.BadParameter(
                f"--{kind} must be a Python file with letters, digits and `_` in its name, such as {example}, got {file!r}."
            )
        _require_free_path(file, f"--{kind}", force=force)
    rendered = {file: template for file, template in templates.items() if template is not None}
    for file, template in rendered.items():
        with report_write_errors("The code", file):
            write_text(Path(file), template.text)
    if json:
        print_json(
            {
                "ok": True,
                "output": next(iter(rendered)),
                "files": [*rendered][1:],
                "note": "\n".join(template.usage for template in rendered.values()),
                "problems": [],
            }
        )
        return
    lines = "".join(f"\n  {template.usage}" for template in rendered.values())
    make_console().print(
        f"Wrote {', '.join(rendered)}. In a config next to it, which needs `--trust`:{lines}",
        soft_wrap=True,
        markup=False,
    )


def is_interactive(json: bool) -> bool:
    """Return whether a person at a terminal can answer questions."""
    return not json and sys.stdin.isatty() and sys.stdout.isatty()


def _ask_for_data() -> tuple[list[str] | None, KindChoice | None]:
    """Return the path or the built-in data set that a person names, or the kind of data that is not saved yet."""
    make_console().print(
        f"Your data: a file or a folder. Without data: a data set to try ({', '.join(SAMPLES)}), "
        f"or the kind of data that you will save ({', '.join(KindChoice)}).",
        soft_wrap=True,
    )
    answer = _prompt_value("Data", next(iter(SAMPLES)), _parse_data)
    return (None, KindChoice(answer)) if answer in set(KindChoice) else ([answer], None)


def _collect_answers(
    name: str, kind: KindChoice | None, shape: str | None, classes: int | None, size: str, *, should_ask: bool
) -> tuple[ConfigTemplate, str | None]:
    """Return the values of the options, and a note; prompt for missing ones if ``should_ask``."""
    missing = [flag for flag, value in (("--kind", kind), ("--classes", classes)) if value is None]
    if missing and not should_ask:
        raise typer.BadParameter(f"{' and '.join(missing)} must be given without a terminal.")
    chosen: Any = str(kind)
    sizes = DEFAULT_SHAPES[chosen]
    sample = KIND_SAMPLES.get(chosen)
    if chosen != "text":
        if shape is not None:
            sizes = _parse_shape(shape, chosen)
        elif should_ask:
            default = "x".join(map(str, sizes if sample is None else sample.shape))
            question = f"Shape of one example, {AXIS_NAMES[chosen]}"
            sizes = _prompt_value(question, default, lambda text: _parse_shape(text, chosen))
    if classes is None:
        default = "2" if sample is None else str(sample.class_count)
        classes = _prompt_value("Number of classes (0: the target is a number)", default, _parse_class_count)
    if classes == 1:
        raise typer.BadParameter(
            "the number of classes must be 0 (the target is a number), 2 or more, got 1."
        )
    if should_ask and sample is not None and (sample.shape, sample.class_count) == (sizes, classes):
        note = f"No data yet: the config uses the built-in data set {sample.dataset}; replace it with yours."
        return template_from_sample(name, sample, size), note  # type: ignore[arg-type]  # checked by Typer
    template = ConfigTemplate(name, chosen, sizes, classes or None, size)  # type: ignore[arg-type]
    return template, "Save your arrays in data.npz; see `data` in the config." if should_ask else None


def _prompt_value(question: str, default: str, parse: Any) -> Any:
    return typer.prompt(question, default=default, value_proc=parse)


def _parse_data(text: str) -> str:
    """Return a kind, a built-in data set, or the path of data that exists."""
    answer = text.strip()
    known = [name for name in (*SAMPLES, *DEFAULT_SHAPES) if answer and name.startswith(answer.lower())]
    if answer and Path(answer).exists():
        return answer
    if answer.lower() in known or len(known) == 1:
        return answer.lower() if answer.lower() in known else known[0]
    raise typer.BadParameter(
        f"not a file, a folder or a data set to try; for a kind, expected one of {', '.join(DEFAULT_SHAPES)}, "
        f"got {text!r}."
    )


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
    data: Sequence[str], config: Path, name: str, targets: Sequence[str], size: Any
) -> tuple[ConfigTemplate, str | None]:
    """Return a config template for a built-in data set, files or a folder, and a note about their content."""
    if len(data) == 1 and data[0] in SAMPLES and not Path(data[0]).exists():
        sample = SAMPLES[data[0]]
        return template_from_sample(
            name, sample, size
        ), f"The data set {data[0]} is included in scikit-learn."
    from layercli.workflows.init_from_data import make_template

    paths = [path for each in data for path in _expand_pattern(each)]
    template, notes = make_template(paths, config.resolve().parent, name, targets, size)
    return template, "\n".join(notes)


def _expand_pattern(text: str) -> list[Path]:
    """Return the files of a pattern, sorted; or the path itself if it is not a pattern or matches nothing."""
    if is_address(text):
        from layercli.workflows.init_paths import fetch_for_init

        return fetch_for_init(text)
    if Path(text).exists() or not glob.has_magic(text):
        return [Path(text)]
    return [Path(match) for match in sorted(glob.glob(text))] or [Path(text)]  # noqa: PTH207 - the pattern is a path

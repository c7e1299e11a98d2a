"""Shell completion, from a table of all commands: importing a command takes longer than a person waits for a key.

Typer's ``--install-completion`` and ``--show-completion`` write the scripts that call this program with the command line in
variables. Typer would load Pydantic for the answer.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from layercli.errors import LayercliError
from layercli.io.regular import parse_json, read_inside
from layercli.reports.console import print_text
from layercli.source.nodes import normalize_type_name

COMPLETION_VARIABLE: Final = "_LAYERCLI_COMPLETE"
"""The shell sets it, to ``complete_bash`` for example."""
TABLE_FILE: Final = Path(__file__).with_name("completion.json")
"""Commands with their parameters, keys of configs with their values, components with their arguments. It is written by
``python -m tests.cli_reference``."""
_RUNS: Final = Path("runs")
_MAX_PATHS: Final = 2000
_MAX_READ_RUNS: Final = 20
_MAX_SUMMARY_BYTES: Final = 10_000_000
_NO_METRICS: Final = ("epoch", "monitor")
_MAX_KEYS: Final = 40
_RESULT_KEYS: Final = (
    "name",
    "state",
    "epochs",
    "best_epoch",
    "seconds",
    "examples_per_second",
    "parameters",
)

_SAFE_VALUE: Final = re.compile(r"[\w./=:+@%,-]+")
"""Values that need no quotes. Shells evaluate what they read, and names of files and layers can be from strangers."""

Table: TypeAlias = Mapping[str, Any]


class CommandLine(NamedTuple):
    """A command line whose last word is completed."""

    table: Table
    values: Mapping[str, Sequence[str]]
    """The values before the last word, by the names of the command's parameters."""
    incomplete: str


Completer: TypeAlias = Callable[[CommandLine], Iterable[str]]


def print_completions(command_names: Sequence[str]) -> int:
    """Print what can follow the command line in the variables of a shell; return the exit code."""
    shell = os.environ[COMPLETION_VARIABLE].removeprefix("complete_")
    if shell == "bash":
        words = os.environ.get("COMP_WORDS", "").split()
        current = os.environ.get("COMP_CWORD", "")
        words, prefix = _join_at_equals_signs([*words, ""][: int(current) + 1 if current.isdecimal() else 0])
    else:
        text = os.environ.get("_TYPER_COMPLETE_ARGS", "")
        words, prefix = _split_words(text), ""
        if not text or text.endswith(" "):
            words.append("")
    choices = complete_words(words[1:], command_names) if len(words) > 1 else {}
    if os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if choices else 1  # 1: fish offers files
    shown = {value.removeprefix(prefix): text for value, text in choices.items()}
    print_text(_format_choices(shown, shell))
    return 0


def _split_words(text: str) -> list[str]:
    """Return the words of a command line, of which a quote may still be open."""
    with suppress(ValueError):
        return shlex.split(text)
    return text.split()


def _join_at_equals_signs(words: Sequence[str]) -> tuple[list[str], str]:
    """Join words that bash splits at ``=``. Return also the start of the last word, which bash does not replace."""
    joined: list[str] = []
    for index, word in enumerate(words):
        if index > 1 and "=" in (word, words[index - 1]):
            joined[-1] += word
        else:
            joined.append(word)
    is_split = len(words) > 2 and "=" in words[-2:]
    return joined, joined[-1][: joined[-1].rfind("=") + 1] if is_split else ""


def complete_words(words: Sequence[str], command_names: Sequence[str]) -> dict[str, str]:
    """Return the completions of the last word, each with its description."""
    table: Table = json.loads(TABLE_FILE.read_text(encoding="utf-8"))
    *before, incomplete = words
    commands = {name: table["commands"].get(name, {"help": "", "parameters": []}) for name in command_names}
    if not before or before[0] not in commands:
        choices = {name: command["help"] for name, command in commands.items()}
        if incomplete.startswith("-"):
            choices = {"--version": "Print the version and exit.", "--help": _HELP_TEXT}
        return {} if before else {name: text for name, text in choices.items() if name.startswith(incomplete)}
    parameters = commands[before[0]]["parameters"]
    options = {option: parameter for parameter in parameters for option in parameter.get("options", ())}
    values, parameter = _parse_words(before[1:], parameters, options)
    if incomplete.startswith("-") and (parameter is None or "options" not in parameter):
        offered = {name: option.get("help", "") for name, option in options.items()} | {"--help": _HELP_TEXT}
        return {name: text for name, text in offered.items() if name.startswith(incomplete)}
    completer = None if parameter is None else _find_completer(parameter)
    found: list[str] = []
    with suppress(
        OSError, ValueError, LayercliError
    ):  # nothing is offered if a file or folder cannot be read
        found += completer(CommandLine(table, values, incomplete)) if completer else ()
    return {value: "" for value in found if value.startswith(incomplete) and _SAFE_VALUE.fullmatch(value)}


_HELP_TEXT: Final = "Show this message and exit."


def _parse_words(
    words: Sequence[str], parameters: Sequence[Table], options: Mapping[str, Table]
) -> tuple[dict[str, list[str]], Table | None]:
    """Return the values of parameters, and the parameter to which the next word belongs; None if there is none."""
    values: dict[str, list[str]] = {}
    arguments = [parameter for parameter in parameters if "options" not in parameter]
    waiting: Table | None = None
    for word in words:
        name, equals, value = word.partition("=")
        if waiting is not None:
            values.setdefault(waiting["name"], []).append(word)
            waiting = None
        elif name in options and equals:
            values.setdefault(options[name]["name"], []).append(value)
        elif name in options:
            waiting = None if "is_flag" in options[name] else options[name]
        elif not word.startswith("-") and arguments:
            values.setdefault(arguments[0]["name"], []).append(word)
            arguments = arguments if "is_repeated" in arguments[0] else arguments[1:]
    return values, waiting or (arguments[0] if arguments else None)


def _format_choices(choices: Mapping[str, str], shell: str) -> str:
    """Return completions as the script of the shell expects them."""
    if shell == "zsh":
        quoted = [
            f'"{_quote_for_zsh(value)}"' + (f':"{_quote_for_zsh(text)}"' if text else "")
            for value, text in choices.items()
        ]
        return f"_arguments '*: :(({chr(10).join(quoted)}))'\n" if quoted else "_files\n"
    separator = {"fish": "\t", "powershell": ":::", "pwsh": ":::"}.get(shell)
    return "".join(
        f"{value}{separator}{text or ' '}\n" if separator and (text or shell != "fish") else f"{value}\n"
        for value, text in choices.items()
    )


def _quote_for_zsh(text: str) -> str:
    for char, quoted in {'"': '""', "'": "''", "$": "\\$", "`": "\\`", ":": "\\\\:"}.items():
        text = text.replace(char, quoted)
    return text


def _find_completer(parameter: Table) -> Completer | None:
    """Return the function that offers the values of a parameter."""
    if "choices" in parameter:
        return lambda _: parameter["choices"]
    keys = (*parameter.get("options", ()), re.sub(r"[^A-Z]", "", parameter.get("metavar", "")))
    return next((completer for name, completer in _COMPLETERS.items() if name in keys), None)


def complete_configs(line: CommandLine) -> Iterator[str]:
    """Offer config files, and folders on the way to them."""
    return complete_paths(line.incomplete, lambda path: path.suffix in (".yaml", ".yml") and path.is_file())


def complete_runs(line: CommandLine) -> Iterator[str]:
    """Offer the runs below ``runs/``, otherwise the runs and folders at the path."""
    found = [run.as_posix() for run in islice(_find_runs(_RUNS), _MAX_PATHS)]
    matching = [run for run in found if run.startswith(line.incomplete)]
    return iter(matching or complete_paths(line.incomplete, _is_run))


def complete_configs_and_runs(line: CommandLine) -> Iterator[str]:
    """Offer config files and runs."""
    yield from dict.fromkeys([*complete_configs(line), *complete_runs(line)])


def complete_paths(incomplete: str, is_wanted: Callable[[Path], bool]) -> Iterator[str]:
    """Offer paths and folders. A folder that is the only choice is opened, so that no blank follows it."""
    parent, slash, start = incomplete.rpartition("/")
    entries = [
        entry
        for entry in islice(Path(parent or slash or ".").iterdir(), _MAX_PATHS)
        if entry.name.startswith(start) and entry.name.startswith(".") == start.startswith(".")
    ]
    wanted = [entry for entry in entries if is_wanted(entry)]
    folders = [f"{parent}{slash}{entry.name}/" for entry in entries if entry not in wanted and entry.is_dir()]
    if len(folders) == 1 and not wanted:
        yield from [*complete_paths(folders[0], is_wanted)] or folders
    else:
        yield from sorted([*folders, *(f"{parent}{slash}{entry.name}" for entry in wanted)])


def _is_run(path: Path) -> bool:
    return (path / "manifest.json").is_file()


def _find_runs(folder: Path, depth: int = 3) -> Iterator[Path]:
    """Yield the folders with the manifest of a run, the newest first in each folder."""
    if not folder.is_dir() or not depth:
        return
    for entry in sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name), reverse=True):
        if _is_run(entry):
            yield entry
        else:
            yield from _find_runs(entry, depth - 1)


def complete_result_keys(line: CommandLine) -> Iterator[str]:
    """Offer the results of runs, and their metrics."""
    folders = [Path(path) for path in line.values.get("paths", [str(_RUNS)])]
    runs = (run for folder in folders for run in ([folder] if _is_run(folder) else _find_runs(folder)))
    keys = dict.fromkeys(_RESULT_KEYS)
    for run in islice(runs, _MAX_READ_RUNS):
        with suppress(OSError, ValueError):
            summary = parse_json(read_inside(run, "summary.json", _MAX_SUMMARY_BYTES))
            for section, prefix in (("best", ""), ("test", "test_")):
                values = summary.get(section) if isinstance(summary, dict) else None
                keys |= dict.fromkeys(f"{prefix}{name}" for name in values or () if name not in _NO_METRICS)
    return iter(keys)


def complete_examples(_: CommandLine) -> Iterator[str]:
    """Offer the names of the example configs."""
    from layercli.workflows.examples import find_examples_folder

    return iter(sorted(path.stem for path in find_examples_folder().glob("*.yaml")))


def complete_layers(line: CommandLine) -> Iterator[str]:
    """Offer the types of layers; lower-case letters also match capital ones."""
    typed = line.incomplete
    names = line.table["components"]["layers"]
    return (typed + name[len(typed) :] for name in names if name.lower().startswith(typed.lower()))


def complete_overrides(line: CommandLine) -> Iterator[str]:
    """Offer the keys of a config, those of its layers included, and after ``=`` the values of a key.

    A key that is the only choice is offered with and without its value, so that no blank follows it.
    """
    [config] = line.values.get("config", [""])[:1]
    values = {**line.table["keys"], **_list_keys_of_config(line.table, config)}
    key, equals, _ = line.incomplete.partition("=")
    if equals:
        return (f"{key}={value}" for value in values.get(key, ()))
    matching = [each for each in values if each.startswith(key)]
    if len(matching) == 1:
        [only] = matching
        return iter([f"{only}=", *(f"{only}={value}" for value in values[only] or ("VALUE",))])
    if len(matching) > _MAX_KEYS:  # then only up to the next dot
        steps = (each.split(".") for each in matching)
        length = key.count(".") + 1
        return iter(dict.fromkeys(".".join(each[:length]) + "." * (len(each) > length) for each in steps))
    return iter(matching)


def _list_keys_of_config(table: Table, config: str) -> dict[str, list[str]]:
    """Return the keys of a config and of its components, each with its value and other valid ones."""
    from layercli.source.leaves import has_mappings, iterate_leaves
    from layercli.source.load import load_yaml

    if not config or not Path(config).is_file():
        return {}
    document = load_yaml(config).to_plain()
    keys: dict[str, list[str]] = {}
    for path, value in iterate_leaves(document, has_mappings, use_item_names=True):
        *parent, last = path
        name = ".".join(map(str, path))
        choices = table["keys"].get(name, [])
        if last == "type" and isinstance(value, str):
            choices = choices or list(table["components"].get("layers" if "layers" in parent else "", ()))
            components = _find_components(table, parent)
            arguments = components.get(normalize_type_name(value), ())
            keys |= {".".join(map(str, (*parent, argument))): [] for argument in arguments}
        shown = [_format_value(value)] if isinstance(value, (str, int, float, bool)) else []
        keys[name] = list(dict.fromkeys([*shown, *choices]))
    return dict(sorted(keys.items()))


def _find_components(table: Table, path: Sequence[Any]) -> Table:
    """Return the arguments of the types of layers, data or optimizers, whichever is at this place."""
    place = "layers" if "layers" in path else ".".join(map(str, path))
    components: Table = table["components"].get(place, {})
    return {normalize_type_name(name): arguments for name, arguments in components.items()}


def _format_value(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_COMPLETERS: Final[Mapping[str, Completer]] = {
    "--set": complete_overrides,
    "--sort": complete_result_keys,
    "--where": complete_result_keys,
    "--example": complete_examples,
    "--resume": complete_runs,
    "--command": lambda line: line.table["commands"],
    "RUN": complete_runs,
    "DIR": complete_runs,
    "A": complete_configs_and_runs,
    "B": complete_configs_and_runs,
    "CONFIG": complete_configs,
    "SWEEP": complete_configs,
    "TYPE": complete_layers,
}
"""Option, or metavar of an argument -> the function that offers its values."""

"""Write a learning rate into a config, whose other text stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from layercli.check import ValidConfig, check_config
from layercli.errors import LayercliError
from layercli.schema.component import Component
from layercli.source.load import load_yaml
from layercli.source.nodes import KeyPath
from layercli.source.text_edits import set_key
from layercli.source.text_index import TextIndex
from layercli.workflows.autofix import write_fixed_file
from layercli.workflows.preflight import require_sections

_RATE = "learning_rate"


def change_rate(file: str, valid: ValidConfig, rate: float, overrides: Sequence[str]) -> str:
    """Return the text of a config with this learning rate for its first optimizer.

    Args:
        file: The config.
        valid: What was read from it.
        rate: The learning rate.
        overrides: The values of ``--set``, with which the new text must have this rate too.

    Raises:
        LayercliError: The optimizer is written in another file or in a variable, or ``--set`` replaces it.
    """
    _, section = require_sections(valid)
    _, path = section.optimizer_in_stage(0)
    with Path(file).open(encoding="utf-8", newline="") as stream:
        text = stream.read()
    changed = _set_rate(file, text, path, rate)
    if changed is not None and _has_rate(file, changed, rate, overrides):
        return changed
    message = (
        "The learning rate cannot be written: the optimizer is in another file, in a variable or in `--set`."
    )
    hint = f"Run the command without `--write`, and change `{'.'.join(map(str, path))}.{_RATE}` yourself."
    raise LayercliError(valid.make_problem((*path, _RATE), "cannot-write", message, hint))


def write_rate(file: str, valid: ValidConfig, rate: float, overrides: Sequence[str]) -> None:
    """Write a learning rate into a config.

    Raises:
        LayercliError: As for ``change_rate``; or the file cannot be written.
    """
    write_fixed_file(file, change_rate(file, valid, rate, overrides))


def _set_rate(file: str, text: str, path: KeyPath, rate: float) -> str | None:
    tree = load_yaml(file, text.removeprefix("\ufeff"))
    index = TextIndex(text)
    if tree.find(path) is not None:
        return set_key(index, tree, path, _RATE, f"{rate:g}")
    value = f"{{type: RMSprop, {_RATE}: {rate:g}}}"  # the default of `optimizer`
    return set_key(index, tree, path[:-1], str(path[-1]), value)


def _has_rate(file: str, text: str, rate: float, overrides: Sequence[str]) -> bool:
    """Return whether a text is a valid config with this learning rate."""
    result = check_config(file, overrides, text=text.removeprefix("\ufeff"))
    train = result.config.train if result.ok and result.config is not None else None
    optimizer = None if train is None else train.optimizer_in_stage(0)[0]
    arguments = optimizer.arguments() if isinstance(optimizer, Component) else {}
    return arguments.get(_RATE) == float(f"{rate:g}")

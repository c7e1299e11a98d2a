"""Names that people give to runs and layers."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import PlainValidator

from layercli.schema.strict_model import Expected, refuse
from layercli.source.nodes import quoted

PREVIOUS, INPUT = "previous", "input"
RESERVED = (PREVIOUS, INPUT)
"""Words that wiring uses; no layer may have them as its name."""

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_LAYER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LONGEST = 100
_LONGEST_LAYER = 250
"""With the names of the blocks around it."""


def _run_name(value: Any) -> str:
    if isinstance(value, str) and len(value) <= _LONGEST and _RUN.fullmatch(value):
        return value
    raise refuse(
        "bad-name",
        f"`name` is {quoted(value)}; it names a folder, so it must be of at most {_LONGEST} letters, digits, `_`, `-` and "
        "single dots, and begin with a letter or digit.",
        "For example `name: digits-cnn`.",
    )


def layer_name(value: Any) -> str:
    """The name, if Keras and the wiring can take it.

    Raises:
        PydanticCustomError: they cannot.
    """
    if not isinstance(value, str) or len(value) > _LONGEST_LAYER or not _LAYER.fullmatch(value):
        raise refuse(
            "bad-name",
            f"`name` is {quoted(value)}; a layer's name must be of at most {_LONGEST_LAYER} letters, digits, `_`, `-` and "
            "dots, and begin with a letter or digit.",
            "For example `name: head`.",
        )
    if value in RESERVED:
        raise refuse(
            "bad-name", f"`{value}` is a reserved word of the wiring.", f"For example `name: {value}_layer`."
        )
    return value


def number_names(listed: Sequence[tuple[str | None, str]], others: Iterable[str] = ()) -> list[str]:
    """Give each pair of (given name, base name) a name; a given one, or one of others, is never handed out again.

    Without a given name it is the base name with the next free number, as in Keras.
    """
    taken = {given for given, _ in listed if given is not None} | set(others)
    counts: Counter[str] = Counter()
    names = []
    for given, base in listed:
        if given is not None:
            names.append(given)
            continue
        while True:
            name = f"{base}_{counts[base]}" if counts[base] else base
            counts[base] += 1
            if name not in taken:
                break
        names.append(name)
        taken.add(name)  # another base may be this name, such as block_2
    return names


RunName = Annotated[
    str, PlainValidator(_run_name), Expected("a name of letters, digits, `_`, `-` and single dots")
]

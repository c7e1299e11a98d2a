"""Names that people give to runs and layers."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import PlainValidator

from layercli.schema.strict_model import ExpectedText, value_error
from layercli.source.nodes import quote_value

PREVIOUS, INPUT = "previous", "input"
RESERVED_NAMES = (PREVIOUS, INPUT)
"""Words that wiring uses; no layer may have them as its name."""

_RUN_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_LAYER_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MAX_RUN_NAME_LENGTH = 100
_MAX_LAYER_NAME_LENGTH = 250
"""With the names of the blocks around it."""


def _parse_run_name(value: Any) -> str:
    if isinstance(value, str) and len(value) <= _MAX_RUN_NAME_LENGTH and _RUN_NAME_PATTERN.fullmatch(value):
        return value
    raise value_error(
        "bad-name",
        f"`name` is {quote_value(value)}; it names a folder, so it must be of at most {_MAX_RUN_NAME_LENGTH} letters, digits, `_`, `-` and "
        "single dots, and begin with a letter or digit.",
        "For example `name: digits-cnn`.",
    )


def parse_layer_name(value: Any) -> str:
    """The name, if Keras and the wiring can take it.

    Raises:
        PydanticCustomError: they cannot.
    """
    if (
        not isinstance(value, str)
        or len(value) > _MAX_LAYER_NAME_LENGTH
        or not _LAYER_NAME_PATTERN.fullmatch(value)
    ):
        raise value_error(
            "bad-name",
            f"`name` is {quote_value(value)}; a layer's name must be of at most {_MAX_LAYER_NAME_LENGTH} letters, digits, `_`, `-` and "
            "dots, and begin with a letter or digit.",
            "For example `name: head`.",
        )
    if value in RESERVED_NAMES:
        raise value_error(
            "bad-name", f"`{value}` is a reserved word of the wiring.", f"For example `name: {value}_layer`."
        )
    return value


def assign_names(requests: Sequence[tuple[str | None, str]], reserved: Iterable[str] = ()) -> list[str]:
    """Give each pair of (given name, base name) a name; a given one, or one of others, is never handed out again.

    Without a given name it is the base name with the next free number, as in Keras.
    """
    used_names = {given for given, _ in requests if given is not None} | set(reserved)
    counts: Counter[str] = Counter()
    names = []
    for explicit_name, base_name in requests:
        if explicit_name is not None:
            names.append(explicit_name)
            continue
        while True:
            name = f"{base_name}_{counts[base_name]}" if counts[base_name] else base_name
            counts[base_name] += 1
            if name not in used_names:
                break
        names.append(name)
        used_names.add(name)  # another base may be this name, such as block_2
    return names


RunName = Annotated[
    str, PlainValidator(_parse_run_name), ExpectedText("a name of letters, digits, `_`, `-` and single dots")
]

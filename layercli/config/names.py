"""Names of runs, of layers and in Python code."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import PlainValidator

from layercli.schema.strict_model import ExpectedText, value_error
from layercli.source.nodes import quote_value

PREVIOUS, INPUT = "previous", "input"
RESERVED_NAMES = (PREVIOUS, INPUT)
"""Reserved words in ``inputs``, which are not valid layer names."""

_RUN_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_LAYER_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MAX_RUN_NAME_LENGTH = 100
MAX_LAYER_NAME_LENGTH = 250
"""Including the names of enclosing blocks."""


def _parse_run_name(value: Any) -> str:
    if isinstance(value, str) and len(value) <= _MAX_RUN_NAME_LENGTH and _RUN_NAME_PATTERN.fullmatch(value):
        return value
    raise value_error(
        "bad-name",
        f"`name` must be a folder name of at most {_MAX_RUN_NAME_LENGTH} letters, digits, `_`, `-` and single dots that "
        f"starts with a letter or digit, got {quote_value(value)}.",
        "For example `name: digits-cnn`.",
    )


def parse_layer_name(value: Any) -> str:
    """Return the name if it is valid in Keras and in ``inputs``.

    Raises:
        PydanticCustomError: the name is invalid.
    """
    if (
        not isinstance(value, str)
        or len(value) > MAX_LAYER_NAME_LENGTH
        or not _LAYER_NAME_PATTERN.fullmatch(value)
    ):
        raise value_error(
            "bad-name",
            f"`name` must be a layer name of at most {MAX_LAYER_NAME_LENGTH} letters, digits, `_`, `-` and dots that "
            f"starts with a letter or digit, got {quote_value(value)}.",
            "For example `name: head`.",
        )
    if value in RESERVED_NAMES:
        raise value_error(
            "bad-name",
            f"`name` must not be the reserved word `{value}`.",
            f"For example `name: {value}_layer`.",
        )
    return value


def assign_names(requests: Sequence[tuple[str | None, str]], reserved: Iterable[str] = ()) -> list[str]:
    """Return a name for each pair of explicit name and base name.

    Without an explicit name it is the base name with the next free number, as in Keras. Explicit and reserved names are
    never assigned automatically.

    Args:
        requests: An explicit name or None, and a base name, for each layer.
        reserved: Names that are already in use.
    """
    used_names = {explicit_name for explicit_name, _ in requests if explicit_name is not None} | set(reserved)
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
        used_names.add(name)  # another base name can equal it, such as block_2
    return names


RunName = Annotated[
    str, PlainValidator(_parse_run_name), ExpectedText("a name of letters, digits, `_`, `-` and single dots")
]

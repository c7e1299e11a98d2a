"""Names and patterns of layers that training leaves unchanged: ``freeze`` of the model and of a stage."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from layercli.schema.strict_model import ArgumentError

_MAX_PATTERNS: Final = 100
_MAX_PATTERN_LENGTH: Final = 250


def has_wildcard(pattern: str) -> bool:
    """Return whether a pattern of ``freeze`` can match other names than itself."""
    return any(char in pattern for char in "*?[")


def require_short_patterns(freeze: Sequence[str]) -> None:
    """Check that matching the patterns takes little time.

    Raises:
        ArgumentError: There are too many, or one is too long.
    """
    patterns = [pattern for pattern in freeze if has_wildcard(pattern)]
    if len(patterns) > _MAX_PATTERNS or any(len(one) > _MAX_PATTERN_LENGTH for one in patterns):
        message = f"`freeze` must have at most {_MAX_PATTERNS} patterns of at most {_MAX_PATTERN_LENGTH} characters."
        raise ArgumentError("freeze", message, "Write shorter patterns, such as `conv*`.")


def find_frozen_names(freeze: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Yield the names of layers that match ``freeze``; one that matches twice can occur twice."""
    exact_names = set(freeze)
    yield from (name for name in names if name in exact_names)
    for pattern in filter(has_wildcard, freeze):
        yield from (name for name in names if fnmatchcase(name, pattern))


def find_unmatched_patterns(freeze: Sequence[str], names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield each name or pattern that matches no layer, once, with its index."""
    checked = set(names)
    for index, pattern in enumerate(freeze):
        if pattern in checked:
            continue
        checked.add(pattern)
        if not has_wildcard(pattern) or not any(fnmatchcase(name, pattern) for name in names):
            yield index, pattern

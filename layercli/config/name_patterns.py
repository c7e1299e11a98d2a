"""Names and patterns of layers in ``freeze`` and ``lora_rank``; * and ? match any text."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from layercli.schema.strict_model import ArgumentError

_MAX_PATTERNS: Final = 100
_MAX_PATTERN_LENGTH: Final = 250
_MAX_WORK: Final = 100_000_000
"""Most characters of the names times characters of the patterns: comparing takes time in proportion to it."""


def has_wildcard(pattern: str) -> bool:
    """Return whether a pattern can match other names than itself."""
    return any(char in pattern for char in "*?[")


def require_short_patterns(key: str, patterns: Collection[str]) -> None:
    """Check that matching the patterns of a key takes little time.

    Raises:
        ArgumentError: There are too many, or one is too long.
    """
    wildcards = [pattern for pattern in patterns if has_wildcard(pattern)]
    if len(wildcards) > _MAX_PATTERNS or any(len(one) > _MAX_PATTERN_LENGTH for one in wildcards):
        message = (
            f"`{key}` must have at most {_MAX_PATTERNS} patterns of at most {_MAX_PATTERN_LENGTH} characters."
        )
        raise ArgumentError(key, message, "Write shorter patterns, such as `conv*`.")


def require_little_matching(key: str, patterns: Iterable[str], names: Iterable[str]) -> None:
    """Check that comparing the names of all layers with patterns takes little time.

    Raises:
        ArgumentError: It takes too long; the argument is ``key``.
    """
    length = sum(len(pattern) for pattern in patterns if has_wildcard(pattern))
    if length and length * sum(map(len, names)) > _MAX_WORK:
        message = f"`{key}` must have fewer or shorter patterns: all of them are compared with the name of each layer."
        raise ArgumentError(
            key, message, "Write shorter patterns, such as `conv*`, or shorter names of layers."
        )


def find_matching_names(patterns: Collection[str], names: Sequence[str]) -> Iterator[str]:
    """Yield the names of layers that match; one that matches twice can occur twice."""
    exact_names = set(patterns)
    yield from (name for name in names if name in exact_names)
    for pattern in filter(has_wildcard, patterns):
        yield from (name for name in names if fnmatchcase(name, pattern))


def find_unmatched_patterns(patterns: Iterable[str], names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield each name or pattern that matches no layer, once, with its index."""
    checked = set(names)
    for index, pattern in enumerate(patterns):
        if pattern in checked:
            continue
        checked.add(pattern)
        if not has_wildcard(pattern) or not any(fnmatchcase(name, pattern) for name in names):
            yield index, pattern

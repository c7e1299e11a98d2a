"""Suggestions for misspelt names."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

_suggestions_left: ContextVar[int | None] = ContextVar("suggestions left", default=None)


@contextmanager
def limit_suggestions(limit: int) -> Iterator[None]:
    """Limit the number of searches for a closest choice, since each takes time."""
    token = _suggestions_left.set(limit)
    try:
        yield
    finally:
        _suggestions_left.reset(token)


def find_closest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that is closest to the word, or None."""
    left = _suggestions_left.get()
    if left is not None:
        if left <= 0:
            return None
        _suggestions_left.set(left - 1)
    return _find_closest(word, tuple(choices))


@lru_cache(maxsize=1000)  # the same typo often occurs on every layer
def _find_closest(word: str, choices: tuple[str, ...]) -> str | None:
    by_key = {_normalize_word(choice): choice for choice in choices}
    folded = _normalize_word(word)
    if folded in by_key:
        return by_key[folded]
    best = _find_most_similar(folded[:60], tuple(by_key))
    if best is not None:
        return by_key[best]
    starts = [choice for key, choice in by_key.items() if len(folded) >= 3 and key.startswith(folded)]
    return starts[0] if len(starts) == 1 else None


@lru_cache(maxsize=256)
def _find_most_similar(word: str, choices: tuple[str, ...]) -> str | None:
    """Return the first of the most similar choices, or None if none is similar enough."""
    matcher = difflib.SequenceMatcher(b=word)
    best, score = None, 0.599
    for choice in choices:
        matcher.set_seq1(choice)
        if (
            min(matcher.real_quick_ratio(), matcher.quick_ratio()) > score
            and (ratio := matcher.ratio()) > score
        ):
            best, score = choice, ratio
    return best


def did_you_mean(word: str, choices: Sequence[str], *, otherwise: str) -> str:
    """Return a hint: the closest choice, or ``otherwise``."""
    match = find_closest(word, choices)
    return f"Did you mean `{match}`?" if match else otherwise


def _normalize_word(word: str) -> str:
    return re.sub(r"[\s_-]", "", word).lower()

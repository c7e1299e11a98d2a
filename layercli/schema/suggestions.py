"""Suggestions for misspelt names."""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice

from layercli.source.nodes import sanitize_text

_MAX_LISTED_NAMES = 12
_CHOICES_PER_SEARCH = 250
"""Average number of choices in the searches of one check."""

_work_left: ContextVar[tuple[int, int] | None] = ContextVar("work left", default=None)
"""Number of searches, and number of choices in all of them; None without a limit."""


@contextmanager
def limit_suggestions(limit: int) -> Iterator[None]:
    """Limit the work of searches for a closest choice: the number of searches, and of choices in all of them."""
    token = _work_left.set((limit, limit * _CHOICES_PER_SEARCH))
    try:
        yield
    finally:
        _work_left.reset(token)


def find_closest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that is closest to the word, or None."""
    left = _work_left.get()
    if left is not None and left[0] <= 0:
        return None
    choices = tuple(choices)
    if left is not None:
        if len(choices) > left[1]:
            _work_left.set((0, 0))  # later searches do not even collect their choices
            return None
        _work_left.set((left[0] - 1, left[1] - len(choices)))
    return _find_closest(word, choices)


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


def did_you_mean(word: str, choices: Iterable[str], *, otherwise: str) -> str:
    """Return a hint: the closest choice, or ``otherwise``."""
    match = find_closest(word, choices)
    return f"Did you mean `{match}`?" if match else otherwise


def list_names(names: Iterable[str]) -> str:
    """Return names for a message: at most 12, in backticks, cut to 60 characters."""
    first = [f"`{sanitize_text(name, limit=60)}`" for name in islice(names, _MAX_LISTED_NAMES + 1)]
    return ", ".join([*first[:_MAX_LISTED_NAMES], *(["…"] if len(first) > _MAX_LISTED_NAMES else [])])


def _normalize_word(word: str) -> str:
    return re.sub(r"[\s_-]", "", word).lower()

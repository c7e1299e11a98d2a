"""Suggestions for misspelt names."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import Any, Self

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


def _is_work_left() -> bool:
    left = _work_left.get()
    return left is None or left[0] > 0


def find_closest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that is closest to the word, or None."""
    if not _is_work_left():
        return None
    choices = tuple(choices)
    if (left := _work_left.get()) is not None:
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


class Suggestion(str):
    """A hint that states the replacement of the word or value at the problem's position."""

    replacement: str
    reason_against: str | None
    """Why the replacement may change the meaning of the config; None: it is safe."""

    def __new__(cls, text: str, replacement: str = "", reason_against: str | None = None) -> Self:
        """Return the hint; copies without a replacement get it from their attributes."""
        hint = super().__new__(cls, text)
        hint.replacement, hint.reason_against = replacement, reason_against
        return hint


def suggest_space(mapping: Mapping[Any, object], keys: Iterable[str]) -> Suggestion | None:
    """Return a hint for the first key without a space after its colon, such as ``{units:10}``: YAML reads it as one word.

    Args:
        mapping: The mapping that may have such a key, with null as its value.
        keys: The keys that the mapping can have.
    """
    for name, value in mapping.items():
        key, colon, text = str(name).partition(":")
        if value is None and colon and text and key in keys:
            written = sanitize_text(f"{key}: {text}", limit=60)
            return Suggestion(f"Write a space after the colon: `{written}`.", f"{key}: {text}")
    return None


def did_you_mean(word: str, choices: Iterable[str], *, otherwise: str) -> str:
    """Return a hint: the closest choice, or ``otherwise``. It is safe if no other choice is within two edits."""
    if not _is_work_left():  # then not even collect the choices
        return otherwise
    return suggest_closest(word, {choice: choice for choice in choices}) or otherwise


def suggest_closest(word: str, choices: Mapping[str, str]) -> Suggestion | None:
    """Return a hint for a misspelt word.

    Args:
        word: The word.
        choices: Each correct spelling, and the name to suggest for it.
    """
    match = find_closest(word, choices)
    if match is None:
        return None
    near = list(dict.fromkeys(name for choice, name in choices.items() if is_near(word, choice)))
    name, reason = choices[match], None
    if len(near) == 1:
        name = near[0]
    elif _normalize_word(word) != _normalize_word(match):
        others = ", ".join(f"`{other}`" for other in near if other != name)
        reason = f"it could be {others}, too" if others else f"`{name}` is not similar enough"
    return Suggestion(f"Did you mean `{name}`?", name, reason)


@lru_cache(maxsize=10_000)
def is_near(word: str, choice: str) -> bool:
    """Return whether a word is a misspelling of a choice: at most two edits, and the same digits.

    An edit inserts, removes or replaces a character, or exchanges two neighbours. Short words have at most one edit.
    """
    one, other = _normalize_word(word), _normalize_word(choice)
    if min(len(one), len(other)) < _MIN_NEAR_LENGTH or re.findall(r"\d", one) != re.findall(r"\d", other):
        return False
    return _count_edits(one, other) <= (1 if min(len(one), len(other)) == _MIN_NEAR_LENGTH else 2)


_MIN_NEAR_LENGTH = 3


def _count_edits(one: str, other: str) -> int:
    """Return the number of edits between two words; 3 if there are more than two."""
    if abs(len(one) - len(other)) > 2:
        return 3
    before: list[int] = []
    row = list(range(len(other) + 1))
    for index, char in enumerate(one, start=1):
        before, previous, row = row, before, [index]
        for column, other_char in enumerate(other, start=1):
            cost = min(before[column] + 1, row[column - 1] + 1, before[column - 1] + (char != other_char))
            if index > 1 and column > 1 and (char, one[index - 2]) == (other[column - 2], other_char):
                cost = min(cost, previous[column - 2] + 1)
            row.append(cost)
        if min(row) > 2:
            return 3
    return min(row[-1], 3)


def list_names(names: Iterable[str]) -> str:
    """Return names for a message: at most 12, in backticks, cut to 60 characters."""
    first = [f"`{sanitize_text(name, limit=60)}`" for name in islice(names, _MAX_LISTED_NAMES + 1)]
    return ", ".join([*first[:_MAX_LISTED_NAMES], *(["…"] if len(first) > _MAX_LISTED_NAMES else [])])


def _normalize_word(word: str) -> str:
    return re.sub(r"[\s_-]", "", word).lower()

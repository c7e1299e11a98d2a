"""What a column of a table contains, for a new config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ColumnKind = Literal["number", "integer", "category", "text", "date", "unique"]


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """The contents of one column."""

    name: str
    kind: ColumnKind
    values: tuple[str, ...]
    """The distinct values, the most frequent first; numbers in ascending order, and only the extremes if there are many."""
    missing_count: int
    distinct_count: int | None = None
    """None if there are too many."""
    is_boolean: bool = False
    """Whether the texts are words such as yes and no, which are 1 and 0 as numbers."""
    id_reason: str | None = None
    """Why the column is an id or a row number, which a model should not use; None if it is not."""
    strays: Mapping[str, int] = field(default_factory=dict)
    """The values that are not numbers, or not dates, of a column that otherwise is -> the row of the first, from 0."""
    stray_count: int = 0
    date_order: str | None = None
    """The form of its dates; see ``DATE_ORDERS``."""
    is_ambiguous_date: bool = False
    """Whether its dates are valid with the day first and with the month first."""
    is_code: bool = False
    """Whether it has numbers such as 01234, which are texts."""
    defect: str | None = None
    """Why its values can neither be numbers nor dates, although most of them seem to be, as a sentence after its name."""
    note: str | None = None
    """What a person should know about its texts, as a sentence after its name."""
    is_quantity: bool = False
    """Whether its texts are many numbers with units or in a notation that is not read as numbers; ``note`` says which."""
    missing_words: Mapping[str, int] = field(default_factory=dict)
    """The words that mean a missing value -> the number of rows that have each."""
    first_missing: tuple[int, ...] = ()
    """The first rows without a value, from 0."""

    def list_missing_rows(self, limit: int) -> list[int]:
        """Return the first rows without a value, including those with a value that is not a number or a date."""
        return sorted({*self.first_missing, *self.strays.values()})[:limit]

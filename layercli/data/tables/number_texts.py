"""Numbers and booleans that are written as texts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from layercli.config.data.tables import FALSE_WORDS, TRUE_WORDS, TableConfig
from layercli.data.types import Array

BOOLEAN_WORDS: Final = tuple(map(frozenset, zip(TRUE_WORDS, FALSE_WORDS, strict=True)))
"""The pairs of words, in lower case, that mean 1 and 0."""
_CURRENCIES: Final = "$€£¥\uffe5₹₩₽\\\\"
"""As a part of a regular expression. The byte of the backslash is the sign of the yen in Japanese encodings."""
_MINUS_SIGNS: Final = "\u2212\u2013\u2012"
_ANY_SIGN: Final = rf"[{_MINUS_SIGNS}(%{_CURRENCIES}]|-$"
"""What texts with a sign contain, which ``_remove_signs`` changes; others may contain it, too."""
_MAX_STRAYS: Final = 8
_PROBED_VALUES: Final = 64
"""Texts that are read as numbers before all texts are."""
_MAX_NUMBER_BYTES: Final = 256
"""The longest text with signs that can be a number."""
_CALL_DIGITS: Final = 7


class NumberFormat(NamedTuple):
    """The characters in numbers."""

    decimal: str = "."
    thousands: str | None = None

    @classmethod
    def of(cls, data: TableConfig) -> NumberFormat:
        """Return the format that a section declares."""
        return cls(data.decimal, data.thousands)

    @property
    def pattern(self) -> str:
        """The regular expression of a number without signs of currencies and percent."""
        decimal, digits = re.escape(self.decimal), r"\d+"
        if self.thousands is not None:
            thousands = re.escape(self.thousands)
            digits = rf"(?:\d{{1,3}}(?:{thousands}\d{{2,3}})*{thousands}\d{{3}}|\d+)"
        number = rf"(?:{digits}(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
        return rf"^[+-]?(?:{number}|(?i:inf|infinity|nan))$"


class PlainNumbers(NamedTuple):
    """Texts without the signs of their format."""

    texts: Any
    """Arrow texts: plain numbers, and null where a text is not a number."""
    has_percent: Any
    """Arrow booleans: whether each text ends with a percent sign."""
    symbols: Any
    """Arrow texts: the sign of the currency of each text, or the empty text."""


def strip_signs(texts: Any, number_format: NumberFormat) -> PlainNumbers:
    """Return the plain numbers in Arrow texts, which are trimmed, and their signs."""
    import pyarrow as pa

    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    encoded = texts.cast(pa.string()).dictionary_encode()
    if 2 * len(encoded.dictionary) > len(texts):
        return _strip_signs(texts, number_format)
    # Each distinct text once.
    distinct = _strip_signs(encoded.dictionary, number_format)
    return PlainNumbers(*(values.take(encoded.indices) for values in distinct))


def _strip_signs(texts: Any, number_format: NumberFormat) -> PlainNumbers:
    import pyarrow as pa
    from pyarrow import compute as pc

    texts = texts.cast(pa.string())
    # Long texts are not numbers, and would be copied again and again.
    texts = pc.if_else(
        pc.greater(pc.binary_length(texts), _MAX_NUMBER_BYTES), pa.scalar(None, pa.string()), texts
    )
    if pc.any(pc.match_substring_regex(texts, _ANY_SIGN)).as_py():
        plain, has_percent, symbols = _remove_signs(texts)
    else:  # most columns have none, and looking for each sign takes most of the time of a request to a service
        plain = texts
        has_percent = pc.if_else(texts.is_valid(), False, None)
        symbols = pa.nulls(len(texts), pa.string())
    if number_format.thousands == " ":
        plain = pc.replace_substring_regex(plain, "[\u00a0\u202f\u2009]", " ")
    elif number_format.thousands == "'":
        plain = pc.replace_substring(plain, "\u2019", "'")
    is_number = pc.match_substring_regex(plain, number_format.pattern)
    if number_format.thousands is not None:
        plain = pc.replace_substring(plain, number_format.thousands, "")
    if number_format.decimal != ".":
        plain = pc.replace_substring(plain, number_format.decimal, ".")
    return PlainNumbers(pc.if_else(is_number, plain, pa.scalar(None, pa.string())), has_percent, symbols)


def _remove_signs(texts: Any) -> tuple[Any, Any, Any]:
    """Return texts without signs of currencies and percent, whether each has a percent sign, and the currencies."""
    from pyarrow import compute as pc

    plain = pc.replace_substring_regex(texts, f"[{_MINUS_SIGNS}]", "-")
    plain = pc.replace_substring_regex(plain, r"^\(\s*(.+?)\s*\)$", r"-\1")
    plain = pc.replace_substring_regex(plain, r"^([\d.,' ]*\d[\d.,' ]*)-$", r"-\1")  # as SAP writes it
    has_percent = pc.ends_with(plain, "%")
    plain = pc.replace_substring_regex(plain, r"\s*%$", "")
    symbols = pc.struct_field(pc.extract_regex(plain, f"(?P<symbol>[{_CURRENCIES}])"), "symbol")
    plain = pc.replace_substring_regex(plain, rf"^([+-]?)\s*[{_CURRENCIES}]\s*([+-]?)", r"\1\2")
    plain = pc.replace_substring_regex(plain, rf"\s*[{_CURRENCIES}]$", "")
    return plain, has_percent, symbols


def convert_numbers(texts: Any, number_format: NumberFormat) -> Any:
    """Return Arrow texts that are numbers as int64 if all of them are integers, and as float64 otherwise."""
    plain = cast_plain_numbers(texts, number_format)
    return _cast_numbers(strip_signs(texts, number_format).texts) if plain is None else plain


def cast_plain_numbers(texts: Any, number_format: NumberFormat, *, is_integral: bool = True) -> Any:
    """Return Arrow texts as numbers if all of them are plain numbers; None otherwise. It is faster than the general way."""
    import pyarrow as pa

    if number_format.decimal != ".":
        return None
    try:
        _cast_numbers(texts[:_PROBED_VALUES])  # Arrow writes a message for each value that is not a number
        return _cast_numbers(texts) if is_integral else texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def has_hexadecimal_values(texts: Any) -> bool:
    """Return whether Arrow texts include one such as 0x1F, which Arrow would cast to an integer; numbers do not."""
    import pyarrow as pa
    from pyarrow import compute as pc

    is_text = pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)
    return is_text and bool(pc.any(pc.match_substring_regex(texts, r"^\s*[+-]?0[xX]")).as_py())


def _cast_numbers(texts: Any) -> Any:
    import pyarrow as pa

    if has_hexadecimal_values(texts):
        return texts.cast(pa.float64())  # which refuses them
    try:
        return texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return texts.cast(pa.float64(), safe=False)


def convert_booleans(texts: Any) -> Any:
    """Return Arrow texts that are boolean words as int64: 1 for true."""
    import pyarrow as pa
    from pyarrow import compute as pc

    words = pc.utf8_lower(texts.cast(pa.string()))
    numbers = pc.is_in(words, pa.array(TRUE_WORDS)).cast(pa.int64())
    return pc.if_else(words.is_valid(), numbers, pa.scalar(None, pa.int64()))


@dataclass(slots=True)
class TextContent:
    """The kinds of texts in a column, counted some rows at a time in constant memory."""

    number_format: NumberFormat
    values: int = 0
    """Number of values that are not missing."""
    numbers: int = 0
    percents: int = 0
    """Number of numbers with a percent sign."""
    symbols: set[str] = field(default_factory=set)
    """The signs of currencies, and the empty text for numbers without one."""
    first_symbols: dict[str, tuple[int, str]] = field(default_factory=dict)
    """The first number with each of these signs, and its row."""
    words: set[str] | None = field(default_factory=set)
    """The words in lower case while they can be a pair of boolean words; None otherwise."""
    strays: dict[str, int] = field(default_factory=dict)
    """The first distinct values that are not numbers -> the first row of each."""
    stray_count: int = 0
    max_strays: int = _MAX_STRAYS
    has_more_strays: bool = False
    """Whether there are more distinct values that are not numbers."""
    first_percent: tuple[int, str] | None = None
    """The first number with a percent sign, and its row."""
    is_integral: bool = True
    """Whether no number has a fraction."""
    leading_zeros: int = 0
    """Number of integers that begin with a zero that is not their only digit, such as 01234."""
    call_numbers: int = 0
    """Number of integers with a plus sign and at least seven digits, such as telephone numbers."""

    def add(self, texts: Any, rows: Array) -> Any:
        """Add Arrow texts, and the row numbers of shape (rows,); return them as numbers if all are plain numbers."""
        import pyarrow as pa
        from pyarrow import compute as pc

        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        known = len(texts) - texts.null_count
        if not known:
            return None
        self.values += known
        numbers = cast_plain_numbers(texts, self.number_format, is_integral=self.is_integral)
        # Arrow reads +4930123456 only as a number with a fraction.
        has_plus_signs = (
            self.is_integral
            and numbers is not None
            and pa.types.is_floating(numbers.type)
            and pc.any(pc.starts_with(texts, "+")).as_py()
        )
        if numbers is not None and not has_plus_signs:
            self._add_plain(texts, numbers, known, rows)
            return numbers
        plain = strip_signs(texts, self.number_format)
        is_number = plain.texts.is_valid()
        count = pc.sum(is_number).as_py() or 0
        self.numbers += count
        if count < known:
            self._add_strays(texts, pc.and_(texts.is_valid(), pc.invert(is_number)), rows)
        if count:
            self._add_numbers(plain, texts, is_number, rows)
        if self.words is not None:
            self.words |= {
                word.lower() for word in pc.unique(pc.utf8_slice_codeunits(texts, 0, 6)).to_pylist() if word
            }
            if not any(pair >= self.words for pair in BOOLEAN_WORDS):
                self.words = None
        return None

    def _add_plain(self, texts: Any, numbers: Any, known: int, rows: Array) -> None:
        """Add texts that are plain numbers, and the numbers."""
        import pyarrow as pa
        from pyarrow import compute as pc

        self.numbers += known
        self.words = None
        if "" not in self.symbols:
            self.symbols.add("")
            index = pc.index(texts.is_valid(), True).as_py()
            self.first_symbols[""] = (int(rows[index]), texts[index].as_py())
        if not pa.types.is_integer(numbers.type):
            self.is_integral = False
        else:
            is_padded = pc.and_(pc.starts_with(texts, "0"), pc.greater(pc.binary_length(texts), 1))
            self.leading_zeros += pc.sum(is_padded).as_py() or 0

    def _add_strays(self, texts: Any, is_stray: Any, rows: Array) -> None:
        import pyarrow.compute as pc

        self.stray_count += pc.sum(is_stray).as_py()
        if self.has_more_strays:
            return
        strays = texts.filter(is_stray)
        stray_rows = rows[is_stray.to_numpy(zero_copy_only=False)]
        for text in pc.unique(strays)[: self.max_strays + 1].to_pylist():
            if text not in self.strays and len(self.strays) == self.max_strays:
                self.has_more_strays = True
            elif text not in self.strays:
                self.strays[text] = int(stray_rows[pc.index(strays, text).as_py()])

    def _add_numbers(self, plain: PlainNumbers, texts: Any, is_number: Any, rows: Array) -> None:
        import pyarrow.compute as pc

        has_percent = pc.and_(is_number, pc.fill_null(plain.has_percent, False))
        percents = pc.sum(has_percent).as_py() or 0
        if percents and self.first_percent is None:
            index = pc.index(has_percent, True).as_py()
            self.first_percent = (int(rows[index]), texts[index].as_py())
        self.percents += percents
        symbols = pc.fill_null(plain.symbols, "")
        for symbol in set(pc.unique(symbols.filter(is_number)).to_pylist()) - self.symbols:
            self.symbols.add(symbol)
            index = pc.index(pc.if_else(is_number, symbols, None), symbol).as_py()
            self.first_symbols[symbol] = (int(rows[index]), texts[index].as_py())
        numbers = plain.texts.filter(is_number)
        if self.is_integral:
            self.is_integral = bool(pc.all(pc.match_substring_regex(numbers, r"^[+-]?\d+$")).as_py())
        self.leading_zeros += pc.sum(pc.match_substring_regex(numbers, r"^0\d+$")).as_py() or 0
        is_call_number = pc.match_substring_regex(numbers, rf"^\+\d{{{_CALL_DIGITS},}}$")
        self.call_numbers += pc.sum(is_call_number).as_py() or 0

    @property
    def are_numbers(self) -> bool:
        """Whether all values are numbers, in one format."""
        return (
            0 < self.values == self.numbers
            and self.percents in (0, self.values)
            and len(self.symbols - {""}) <= 1
        )

    @property
    def are_booleans(self) -> bool:
        """Whether all values are words of one pair of boolean words."""
        return self.values > 0 and bool(self.words)

    @property
    def first_stray(self) -> tuple[int, str] | None:
        """The row and text of the first value that is not a number like the others; None if there is none."""
        found = [(row, text) for text, row in self.strays.items()]
        if self.percents < self.numbers and self.first_percent is not None:
            found.append(self.first_percent)
        if not found and len(self.symbols - {""}) > 1:
            found = list(self.first_symbols.values())
        return min(found, default=None)

    @property
    def are_mostly_numbers(self) -> bool:
        """Whether more than half of the values, but not all of them, are numbers."""
        return not self.are_numbers and self.numbers * 2 > self.values

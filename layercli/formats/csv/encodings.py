"""The encoding of a text, guessed from its bytes."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from layercli.formats.csv.source import BYTE_ORDER_MARKS, READ_ERRORS, open_bytes

_SAMPLE_BYTES: Final = 1 << 20
_GUESSED_BYTES: Final = 1 << 17
"""Bytes of a text that is not UTF-8 that are compared with other encodings."""
_MIN_EVIDENCE: Final = 0.8
_FREQUENT_LEADS: Final[Mapping[str, bytes]] = {
    "cp932": bytes((0x82, 0x83, *range(0x88, 0x98))),
    "euc_kr": bytes(range(0xB0, 0xC9)),
    "gb18030": bytes(range(0xB0, 0xD8)),
    "euc_jp": bytes((0xA4, 0xA5, *range(0xB0, 0xD0))),
    "big5": bytes(range(0xA4, 0xC7)),
}
"""Encoding with two bytes for a character -> the first bytes of the frequent ones. Among equal fits, the first is used."""
_ASCII_SECOND_BYTES: Final = ("cp932", "big5")
"""Encodings whose frequent characters may end with the byte of an ASCII letter."""
_CYRILLIC: Final = ("cp1251", "koi8_r", "cp866")
_RUSSIAN_WORD: Final = re.compile(
    "[\u0410-\u042f\u0401\u0430-\u044f\u0451][\u0430-\u044f\u0451]+|[\u0410-\u042f\u0401]{2,}"
)
_WORD: Final = re.compile(r"[^\W\d_]+")


def guess_encoding(file: Path) -> str:
    """Return the probable encoding of the first bytes of a file."""
    return guess_text_encoding(_read_sample(file))


def guess_text_encoding(content: bytes) -> str:
    """Return the probable encoding of a text, of which the last character may be cut."""
    for mark, name in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return name
    zeros = [content[offset::2].count(0) for offset in (0, 1)]
    if sum(zeros) > len(content) // 4:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    if is_mostly_utf8(content):
        return "utf-8"
    start = content[:_GUESSED_BYTES]
    return _guess_two_byte(start) or _guess_one_byte(start, content)


def is_mostly_utf8(content: bytes) -> bool:
    """Return whether a text is ASCII or UTF-8, apart from bad bytes; other encodings have almost no characters of UTF-8."""
    valid, bad = _count_utf8(content)
    return bad <= valid


def is_utf8_file(file: Path, encoding: str) -> bool:
    """Return whether the first bytes of a file are UTF-8, although another encoding is declared; see ``is_other_utf8``."""
    return is_other_utf8(_read_sample(file), encoding)


def is_other_utf8(content: bytes, encoding: str) -> bool:
    """Return whether a text is UTF-8, although an encoding with one byte for each character is declared."""
    try:
        has_one_byte = len(_decode("ä".encode(), encoding, "replace")) == len("ä".encode())
    except UnicodeError:  # UTF-16 without a byte order mark
        return False
    if not has_one_byte:
        return False
    valid, bad = _count_utf8(content)
    return valid > 0 and bad == 0


def find_encoded_word(file: Path, encoding: str) -> str | None:
    """Return the first word of a file with other letters than ASCII; None if there is none."""
    text = _decode(_read_sample(file), encoding, "replace")
    return next((word for word in _WORD.findall(text) if not word.isascii()), None)


def _read_sample(file: Path) -> bytes:
    try:
        with open_bytes(file) as stream:
            return stream.read(_SAMPLE_BYTES)
    except READ_ERRORS:
        return b""


def _count_utf8(content: bytes) -> tuple[int, int]:
    """Return the number of characters of several bytes, and of bytes that are not UTF-8."""
    text = _decode(content, "utf-8", "surrogateescape")
    bad = sum("\udc80" <= char <= "\udcff" for char in text) if not content.isascii() else 0
    return sum(char > "\x7f" for char in text) - bad, bad


def _decode(content: bytes, encoding: str, errors: str) -> str:
    """Return the text without a character that is cut at the end.

    Raises:
        UnicodeDecodeError: ``errors`` is strict, and the text is not in this encoding.
    """
    return codecs.getincrementaldecoder(encoding)(errors).decode(content)


def _guess_two_byte(content: bytes) -> str | None:
    """Return the encoding of Chinese, Japanese or Korean in which most characters are frequent; None for other texts."""
    scores = {encoding: _rate_two_byte(content, encoding) for encoding in _FREQUENT_LEADS}
    best = max(scores, key=lambda encoding: scores[encoding])
    return best if scores[best] >= _MIN_EVIDENCE else None


def _rate_two_byte(content: bytes, encoding: str) -> float:
    """Return the share of frequent characters among the characters that are not ASCII."""
    try:
        text = _decode(content, encoding, "strict")
    except UnicodeDecodeError:
        return 0
    leads, frequent, others, unclear = _FREQUENT_LEADS[encoding], 0, 0, 0
    for char in filter(lambda char: char > "\x7f", text):
        code = char.encode(encoding)
        has_letter = len(code) == 2 and code[1:].isalpha()
        if unicodedata.category(char)[0] != "L":
            continue
        if has_letter and encoding in _ASCII_SECOND_BYTES:
            unclear += 1  # in a text with one byte for each character, a quotation mark or accented letter before a letter
            continue
        if len(code) == 2 and code[0] in leads and not has_letter:
            frequent += 1
        else:
            others += 1
    return frequent / (frequent + others) if frequent > unclear else 0


def _guess_one_byte(start: bytes, content: bytes) -> str:
    """Return the encoding of a text with one byte for each character; ``start`` is compared with Cyrillic ones."""
    cyrillic = max(_CYRILLIC, key=lambda encoding: _rate_cyrillic(start, encoding))
    if _rate_cyrillic(start, cyrillic) >= _MIN_EVIDENCE:
        return cyrillic
    try:
        _decode(content, "cp1252", "strict")
    except UnicodeDecodeError:
        return "latin-1"
    # cp1252 is latin-1 with letters and signs for most of the control characters.
    return "cp1252"


def _rate_cyrillic(content: bytes, encoding: str) -> float:
    """Return the share of the letters of Russian words among the characters that are not ASCII."""
    text = _decode(content, encoding, "replace")
    # Capital letters inside of words are those of another Cyrillic encoding.
    words = [word for word in _WORD.findall(text) if _RUSSIAN_WORD.fullmatch(word)]
    return sum(map(len, words)) / max(1, sum(char > "\x7f" for char in text))

"""The dtypes of real inputs that Keras's layers compute with.

A symbolic call accepts every dtype and declares the compute dtype, so only a real call shows these limits.
"""

from typing import Final

FLOATS: Final = frozenset({"float16", "bfloat16", "float32", "float64"})
SMALL_INTEGERS: Final = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16"})
"""Integers that TensorFlow can pool and resize."""
INTEGERS: Final = SMALL_INTEGERS | {"uint32", "uint64"}
BOOL: Final = frozenset({"bool"})
TEXT: Final = frozenset({"string"})
NUMBERS: Final = FLOATS | INTEGERS | BOOL
ANY_DTYPE: Final = NUMBERS | TEXT

_DESCRIPTIONS: Final = {
    FLOATS: "floating-point numbers",
    FLOATS | SMALL_INTEGERS: "floating-point numbers or integers of at most 64 bits (unsigned: 16)",
    FLOATS | INTEGERS: "numbers",
    FLOATS | INTEGERS | TEXT: "numbers or text",
    INTEGERS | TEXT: "integers or text",
    NUMBERS: "numbers",
    INTEGERS: "integers",
    FLOATS | {"int32", "int64", "bool"}: "floating-point numbers, int32, int64 or bool",
    FLOATS | {"int32", "int64", "uint32", "uint64"}: "floating-point numbers or integers of 32 or 64 bits",
    INTEGERS | BOOL: "integers",
    TEXT: "text",
}


def describe_dtypes(dtypes: frozenset[str]) -> str:
    """Return the dtypes in words, such as "floating-point numbers"."""
    return _DESCRIPTIONS.get(dtypes) or "values of dtype " + ", ".join(sorted(dtypes))

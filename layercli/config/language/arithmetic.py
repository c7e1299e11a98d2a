"""Integer arithmetic in ``${...}``: ``+ - * // %`` and parentheses on names and integers; no code is evaluated."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from layercli.schema.field_types import MAX_INT32

_MAX_LENGTH: Final = 200
_MAX_DEPTH: Final = 20
"""Most parentheses and signs inside each other."""
_TOKEN: Final = re.compile(r"\s*(?:(?P<name>[A-Za-z_]\w*)|(?P<number>\d+)|(?P<symbol>//|[-+*%()]))", re.ASCII)
_SUMS: Final[dict[str, Callable[[int, int], int]]] = {"+": operator.add, "-": operator.sub}
_PRODUCTS: Final[dict[str, Callable[[int, int], int]]] = {
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
_NEGATE: Final = "negate"


class ExpressionError(Exception):
    """An expression that cannot be read, or has no value; the text says why, without a full stop."""


class _Operation(NamedTuple):
    symbol: str
    column: int
    """The position of its symbol in the expression, from 1."""


_Instruction: TypeAlias = int | str | _Operation
"""An integer, a name, or an operation on the last values."""


@dataclass(frozen=True, slots=True)
class ArithmeticExpression:
    """A sum or product of integers and names, in postfix order."""

    text: str
    instructions: tuple[_Instruction, ...]

    @property
    def names(self) -> list[str]:
        """The names in it, in their order."""
        return [each for each in self.instructions if isinstance(each, str)]

    def evaluate(self, numbers: Mapping[str, int]) -> int:
        """Return its value; ``//`` and ``%`` round down, as in Python.

        Raises:
            ExpressionError: it divides by zero, or a value has more than 32 bits.
        """
        stack: list[int] = []
        for instruction in self.instructions:
            if isinstance(instruction, str):
                value = numbers[instruction]
            elif isinstance(instruction, int):
                value = instruction
            elif instruction.symbol == _NEGATE:
                value = -stack.pop()
            else:
                right = stack.pop()
                if right == 0 and instruction.symbol in ("//", "%"):
                    raise ExpressionError(f"it divides by zero at character {instruction.column}")
                value = (_SUMS | _PRODUCTS)[instruction.symbol](stack.pop(), right)
            if abs(value) > MAX_INT32:
                raise ExpressionError(f"a value in it is not between -{MAX_INT32:,} and {MAX_INT32:,}")
            stack.append(value)
        return stack.pop()


def parse_expression(text: str) -> ArithmeticExpression:
    """Return the expression of a text such as ``width * 2``.

    Raises:
        ExpressionError: the text is not an expression.
    """
    if len(text) > _MAX_LENGTH:
        raise ExpressionError(f"it has {len(text):,} characters, more than {_MAX_LENGTH}")
    return ArithmeticExpression(text.strip(), _Parser(text).parse())


class _Parser:
    """Reads an expression by recursive descent; products bind stronger than sums."""

    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._position = 0
        self._depth = 0
        self._instructions: list[_Instruction] = []

    def parse(self) -> tuple[_Instruction, ...]:
        self._parse_sum()
        if self._position < len(self._text):
            raise self._make_error("an operator")
        return tuple(self._instructions)

    def _parse_sum(self) -> None:
        self._parse_operations(_SUMS, self._parse_product)

    def _parse_product(self) -> None:
        self._parse_operations(_PRODUCTS, self._parse_operand)

    def _parse_operations(
        self, operations: Mapping[str, Callable[[int, int], int]], parse_operand: Callable[[], None]
    ) -> None:
        """Read operands with operators of one rank between them, from left to right."""
        parse_operand()
        while (match := self._match_token()) is not None and match["symbol"] in operations:
            self._position = match.end()
            parse_operand()
            self._instructions.append(_Operation(match["symbol"], match.start("symbol") + 1))

    def _parse_operand(self) -> None:
        match = self._match_token()
        if match is None or match["symbol"] not in (None, "-", "("):
            raise self._make_error("a name, an integer, `-` or `(`")
        self._position = match.end()
        if match["symbol"] is None:
            self._instructions.append(match["name"] or int(match["number"]))
            return
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExpressionError(f"it has more than {_MAX_DEPTH} parentheses and signs inside each other")
        if match["symbol"] == "-":
            self._parse_operand()
            self._instructions.append(_Operation(_NEGATE, match.start("symbol") + 1))
        else:
            self._parse_sum()
            closing = self._match_token()
            if closing is None or closing["symbol"] != ")":
                raise self._make_error("an operator or `)`")
            self._position = closing.end()
        self._depth -= 1

    def _match_token(self) -> re.Match[str] | None:
        """Return the next name, number or symbol; None at the end and for other characters."""
        return _TOKEN.match(self._text, self._position)

    def _make_error(self, expected: str) -> ExpressionError:
        """Return the error that the next characters are not what was expected."""
        rest = self._text[self._position :].lstrip()
        if not rest:
            return ExpressionError(f"expected {expected} at its end")
        match = self._match_token()
        found = match.group().strip() if match is not None else rest[0]
        column = len(self._text) - len(rest) + 1
        return ExpressionError(f"expected {expected} at character {column}, got `{found}`")

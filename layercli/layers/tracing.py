"""Integers that remember how they were computed, so that a layer's own rules explain its sizes."""

from __future__ import annotations

from typing import Any, Final, Self, TypeGuard, TypeVar

from layercli.layers.base import Layer
from layercli.layers.formulas import Formula, Number, Operation, Sign
from layercli.schema.component import Component


class TracedInt(int):
    """An integer with its formula; arithmetic with it returns traced integers.

    It is an ordinary integer for every rule: an operation that is missing here returns a plain integer.
    """

    formula: Formula

    def __new__(cls, formula: Formula) -> Self:
        new = super().__new__(cls, formula.value)
        new.formula = formula
        return new

    def __add__(self, other: int) -> int:
        return _trace_operation("+", self, other, int.__add__(self, other))

    def __radd__(self, other: int) -> int:
        return _trace_operation("+", other, self, int.__radd__(self, other))

    def __sub__(self, other: int) -> int:
        return _trace_operation("-", self, other, int.__sub__(self, other))

    def __rsub__(self, other: int) -> int:
        return _trace_operation("-", other, self, int.__rsub__(self, other))

    def __mul__(self, other: int) -> int:
        return _trace_operation("x", self, other, int.__mul__(self, other))

    def __rmul__(self, other: int) -> int:
        return _trace_operation("x", other, self, int.__rmul__(self, other))

    def __floordiv__(self, other: int) -> int:
        return _trace_operation("/", self, other, int.__floordiv__(self, other))

    def __rfloordiv__(self, other: int) -> int:
        return _trace_operation("/", other, self, int.__rfloordiv__(self, other))

    def __mod__(self, other: int) -> int:
        return _trace_operation("mod", self, other, int.__mod__(self, other))

    def __rmod__(self, other: int) -> int:
        return _trace_operation("mod", other, self, int.__rmod__(self, other))

    def __neg__(self) -> int:
        """Return the negated integer; ``-(-a // b)``, Python's division that rounds up, is one operation."""
        formula, value = self.formula, int.__neg__(self)
        if isinstance(formula, Operation) and formula.sign == "/" and _is_negated(formula.left):
            return TracedInt(Operation("ceil", formula.left.right, formula.right, value))
        return TracedInt(Operation("-", Number(0), formula, value))


def _is_negated(formula: Formula) -> TypeGuard[Operation]:
    return isinstance(formula, Operation) and formula.sign == "-" and formula.left == Number(0)


def _trace_operation(sign: Sign, left: int, right: int, value: int) -> int:
    """Return the traced result of an operation."""
    if value is NotImplemented:  # the other operand is not an integer
        return NotImplemented  # type: ignore[no-any-return]
    start = {"+": 0, "x": 1}.get(sign)  # of ``sum`` and ``math.prod``
    for constant, other in ((left, right), (right, left)):
        if constant == start and not isinstance(constant, TracedInt):
            return other
    operation = Operation(sign, formula_of(left), formula_of(right), value)
    return TracedInt(operation) if operation.depth <= _MAX_DEPTH else value


_MAX_DEPTH: Final = 100
"""The largest depth of a formula; a sum of more numbers continues from its value."""


def formula_of(number: int) -> Formula:
    """Return how the number was computed; a plain integer is a constant."""
    return number.formula if isinstance(number, TracedInt) else Number(number)


C = TypeVar("C", bound=Component)


def trace_arguments(component: C) -> C:
    """Return a copy of a layer whose integer arguments, including those of nested layers, are traced."""
    traced = {name: _trace_value(value, name) for name, value in vars(component).items()}
    return component.with_arguments(**traced)


def _trace_value(value: Any, argument: str) -> Any:
    if type(value) is int:
        return TracedInt(Number(value, argument=argument))
    if isinstance(value, Layer):
        return trace_arguments(value)
    if type(value) in (list, tuple):
        return type(value)(_trace_value(item, argument) for item in value)
    return value

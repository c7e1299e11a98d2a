"""Formulas: the arithmetic behind a size, as text with the numbers put in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Sign: TypeAlias = Literal["+", "-", "x", "/", "ceil", "mod"]
"""``/`` rounds down and ``ceil`` rounds up, where the division has a rest."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number at which a formula starts: an argument, an axis of an input or a constant of a rule."""

    value: int
    argument: str | None = None
    """The argument of the layer that has this value."""
    axis: InputAxis | None = None
    """The axis of an input that has this length."""
    symbol: str | None = None
    """The text of a number that is unknown; ``value`` is then an example."""


@dataclass(frozen=True, slots=True)
class InputAxis:
    """An axis of an input of a layer."""

    source: str
    """The name of the input; empty if there is only one."""
    index: int


@dataclass(frozen=True, slots=True)
class Operation:
    """Two formulas that are combined to one."""

    sign: Sign
    left: Formula
    right: Formula
    value: int
    depth: int = field(init=False, compare=False)
    """The number of operations on the longest way to a number."""

    def __post_init__(self) -> None:
        depths = [part.depth for part in (self.left, self.right) if isinstance(part, Operation)]
        object.__setattr__(self, "depth", 1 + max(depths, default=0))


Formula: TypeAlias = Number | Operation


def list_numbers(formula: Formula) -> Iterator[Number]:
    """Yield the numbers of a formula from left to right."""
    if isinstance(formula, Number):
        yield formula
        return
    yield from list_numbers(formula.left)
    yield from list_numbers(formula.right)


def has_unknown_number(formula: Formula) -> bool:
    """Return whether a number of the formula is unknown."""
    return any(number.symbol for number in list_numbers(formula))


_ATOM = 4
_PRECEDENCES: dict[Sign, tuple[int, int, int]] = {
    "+": (1, 1, 1),
    "-": (1, 1, 2),
    "/": (2, 2, _ATOM),
    "ceil": (2, 2, _ATOM),
    "x": (3, 2, 3),
    "mod": (0, _ATOM, _ATOM),
}
"""The precedence of each operation, and the lowest precedence of its operands that need no parentheses."""


def format_formula(formula: Formula) -> str:
    """Return the formula as text: ``(8 - 3) / 2 + 1``, with ``floor`` or ``ceil`` where a division has a rest."""
    return _format_formula(formula, 0)


def _format_formula(formula: Formula, precedence: int) -> str:
    """Return the text, in parentheses if its precedence is below the given one."""
    if isinstance(formula, Number):
        return formula.symbol or f"{formula.value:,}"
    own, left, right = _PRECEDENCES[formula.sign]
    if formula.sign == "-" and formula.left == Number(0):
        text = f"-{_format_formula(formula.right, _ATOM)}"
    else:
        sign = "/" if formula.sign == "ceil" else formula.sign
        text = f"{_format_formula(formula.left, left)} {sign} {_format_formula(formula.right, right)}"
    if formula.sign in ("/", "ceil") and not _divides_exactly(formula):
        return f"{'floor' if formula.sign == '/' else 'ceil'}({text})"
    return f"({text})" if own < precedence else text


def _divides_exactly(formula: Operation) -> bool:
    if isinstance(formula.right, Number) and formula.right.value == 1:
        return True
    return not has_unknown_number(formula) and formula.left.value % formula.right.value == 0


_MAX_TERMS: Final = 50
"""The largest number of different terms that a reader can follow."""


def format_total(shapes: Iterable[Sequence[Formula]]) -> str:
    """Return the sum of the products of several shapes as text, with equal terms and constants combined.

    ``4 x ((64 + 32) x 32 + 32)`` is that of an LSTM: kernel (64, 4 x 32), recurrent kernel (32, 4 x 32) and bias (4 x 32).
    """
    counts: dict[_Product, int] = {}
    for shape in shapes:
        product = tuple(factor for size in shape for factor in _list_factors(size) if factor != Number(1))
        counts[product] = counts.get(product, 0) + 1
    if not counts:
        return "0"
    if len(counts) > _MAX_TERMS:
        total = sum(
            count * math.prod(factor.value for factor in product) for product, count in counts.items()
        )
        return f"{total:,}"
    outer, counts = _take_out_constants(counts)
    terms = [_format_product(product, count) for product, count in _combine_products(counts)]
    text = " + ".join(terms)
    if not outer:
        return text
    before = " x ".join(f"{factor:,}" for factor in outer)
    return f"{before} x ({text})" if len(terms) > 1 else f"{before} x {text}" if text != "1" else before


_Product: TypeAlias = tuple[Formula, ...]


def _list_factors(formula: Formula) -> Iterator[Formula]:
    if isinstance(formula, Operation) and formula.sign == "x":
        yield from _list_factors(formula.left)
        yield from _list_factors(formula.right)
    elif isinstance(formula, Operation) and formula.sign == "/" and formula.right.value == 1:
        yield from _list_factors(formula.left)  # such as the channels in 1 group
    else:
        yield formula


def _take_out_constants(counts: dict[_Product, int]) -> tuple[list[int], dict[_Product, int]]:
    """Return the constants that divide every term, and the terms without them."""
    divisor = math.gcd(*counts.values())
    outer = [divisor] if divisor > 1 else []
    products = list(counts)
    for factor in dict.fromkeys(products[0]):
        if len(products) > 1 and _is_constant(factor) and all(factor in product for product in products):
            outer.append(factor.value)
            products = [_remove_factor(product, factor) for product in products]
    return outer, {
        product: count // divisor for product, count in zip(products, counts.values(), strict=True)
    }


def _is_constant(formula: Formula) -> bool:
    """Return whether the formula is a number of a layer's rule, such as the 4 gates of LSTM."""
    return formula == Number(formula.value)


def _remove_factor(product: _Product, factor: Formula) -> _Product:
    index = product.index(factor)
    return product[:index] + product[index + 1 :]


def _combine_products(counts: dict[_Product, int]) -> list[tuple[_Product, int]]:
    """Combine products that differ in one factor other than the last: ``64 x 32 + 32 x 32`` is ``(64 + 32) x 32``."""
    combined: list[tuple[_Product, int]] = []
    for product, count in counts.items():
        for index, (other, other_count) in enumerate(combined):
            place = _find_only_difference(other, product)
            if place is not None and count == other_count:
                total = Operation(
                    "+", other[place], product[place], other[place].value + product[place].value
                )
                combined[index] = ((*other[:place], total, *other[place + 1 :]), count)
                break
        else:
            combined.append((product, count))
    return combined


def _find_only_difference(one: _Product, other: _Product) -> int | None:
    """Return the index of the only factor that differs, unless it is the last one or a constant."""
    if len(one) != len(other):
        return None
    places = [index for index, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]
    if len(places) != 1 or places[0] == len(one) - 1:
        return None
    return None if _is_constant(one[places[0]]) or _is_constant(other[places[0]]) else places[0]


def _format_product(product: _Product, count: int) -> str:
    factors = [Number(count), *product] if count > 1 else list(product)
    if len(factors) == 1:
        return format_formula(factors[0])
    return " x ".join(_format_formula(factor, _ATOM) for factor in factors) or "1"

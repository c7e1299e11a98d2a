import math

import pytest

from layercli.layers.formulas import Number, format_formula, format_total
from layercli.layers.tracing import TracedInt, formula_of


def traced(value, argument="a"):
    return TracedInt(Number(value, argument=argument))


def text_of(number):
    return format_formula(formula_of(number))


@pytest.mark.parametrize(
    ("number", "text", "value"),
    [
        ((traced(8) - traced(3)) // traced(1) + 1, "(8 - 3) / 1 + 1", 6),
        ((traced(8) - traced(3)) // traced(2) + 1, "floor((8 - 3) / 2) + 1", 3),
        (-(-traced(7) // traced(2)), "ceil(7 / 2)", 4),
        (-(-traced(8) // traced(2)), "8 / 2", 4),
        (-traced(8) + 10, "-8 + 10", 2),
        (traced(9) - (traced(3) - traced(1)), "9 - (3 - 1)", 7),
        (traced(9) + (traced(3) - traced(1)), "9 + 3 - 1", 11),
        (traced(2) * (traced(3) * traced(4)), "2 x 3 x 4", 24),
        (traced(2) * (traced(4) // traced(2)), "2 x (4 / 2)", 4),
        ((traced(7) - 1) * traced(2) + traced(3) % 2, "(7 - 1) x 2 + (3 mod 2)", 13),
        (100 - traced(30) // 3, "100 - 30 / 3", 90),
        (5 % traced(3) + 3 // traced(2), "(5 mod 3) + floor(3 / 2)", 3),
        (traced(10_000) * 64, "10,000 x 64", 640_000),
    ],
)
def test_arithmetic_is_recorded_with_few_parentheses(number, text, value):
    assert (text_of(number), number) == (text, value)


def test_traced_integer_equals_and_hashes_like_its_value():
    assert traced(3) == 3
    assert {traced(3), 3} == {3}
    assert (1,) * traced(2) == (1, 1)
    assert [7, 8][traced(1)] == 8
    assert traced(3) * 0.5 == 1.5


def test_sum_and_product_have_no_start_value():
    assert text_of(sum([traced(3), traced(4)])) == "3 + 4"
    assert text_of(math.prod([traced(3), traced(4)])) == "3 x 4"
    assert text_of(traced(1) * traced(4)) == "1 x 4"


def total(*shapes):
    return format_total([[formula_of(size) for size in shape] for shape in shapes])


def test_long_sums_have_a_bounded_depth():
    total = sum(traced(2, f"a{number}") for number in range(5000))
    assert total == 10_000
    assert text_of(total).startswith(("2 + ", "9,", "10,"))


FEATURES, UNITS = traced(64, "features"), traced(32, "units")


def test_total_of_lstm_takes_out_the_gates():
    width = 4 * UNITS
    assert total((FEATURES, width), (UNITS, width), (width,)) == "4 x ((64 + 32) x 32 + 32)"


def test_total_counts_equal_weights():
    assert total((UNITS,), (UNITS,), (UNITS,), (UNITS,)) == "4 x 32"
    assert total((UNITS,), (UNITS,), ()) == "2 x 32 + 1"


def test_total_counts_equal_sums():
    width = 4 * UNITS
    both = [(FEATURES, width), (UNITS, width), (width,)] * 2
    assert total(*both) == "2 x 4 x ((64 + 32) x 32 + 32)"


def test_total_drops_factors_of_one_except_arguments():
    assert total((1, 1, FEATURES // traced(1, "groups"), UNITS)) == "64 x 32"
    assert total((traced(1, "kernel_size"), FEATURES)) == "1 x 64"


def test_total_of_no_weights_and_of_a_scalar():
    assert total() == "0"
    assert total(()) == "1"
    assert total((), ()) == "2"


def test_total_of_very_many_different_weights_is_a_number():
    assert total(*((traced(size, "a"), FEATURES) for size in range(1, 61))) == f"{64 * 60 * 61 // 2:,}"

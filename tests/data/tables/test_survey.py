"""The texts of numbers in surveys of tables."""

import math

import pyarrow as pa
import pytest

from layercli.data.tables.number_texts import NumberFormat
from layercli.data.tables.survey import _format_number, _to_float, survey_table


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3.0, "3"),
        (-0.5, "-0.5"),
        (2.0**53 - 1, "9007199254740991"),
        (2.0**53, "9007199254740992.0"),  # from here on, not every integer is a float
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_integers_have_no_fraction(number, text):
    assert _format_number(number) == text


@pytest.mark.parametrize(("text", "number"), [("1e3", 1000.0), ("x", None), ("inf", None), ("nan", None)])
def test_text_is_a_finite_number_or_none(text, number):
    assert _to_float(text) == number


def test_only_a_column_of_few_numbers_lists_them():
    columns = {
        "many": [f"{number}.5" for number in range(101)],
        "few": [f"{number % 100}.5" for number in range(101)],
        "integers": [str(number) for number in range(101)],
        "mixed": ["1", None, "$2"] + ["3"] * 98,
    }
    batch = pa.table(columns)
    found = survey_table(
        [batch[:0], batch, pa.table(columns | {"many": pa.nulls(101, pa.string())})], NumberFormat()
    )
    counts = {column.name: (len(column.values), column.distinct_count) for column in found.columns}
    assert counts == {"many": (2, None), "few": (100, 100), "integers": (101, 101), "mixed": (2, 3)}
    assert found.columns[0].values == ("0.5", "100.5")
    assert set(found.plain_numbers) == {"many", "few", "integers"}
    assert found.plain_numbers["many"].tolist()[:101] == [number + 0.5 for number in range(101)]
    assert all(map(math.isnan, found.plain_numbers["many"][101:]))

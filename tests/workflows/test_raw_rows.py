"""Raw rows of a table: formats of dates, and values as texts."""

from datetime import date
from types import SimpleNamespace

import pytest

from layercli.workflows import raw_rows
from layercli.workflows.batch_size import AttemptResult, FoundBatchSize


@pytest.mark.parametrize(
    ("values", "order", "form"),
    [
        (["2024-01-31", "2023-12-01"], None, "%Y-%m-%d"),
        (["2024-01-31 10:20"], None, "%Y-%m-%d %H:%M"),
        (["2024-01"], None, "%Y-%m"),
        (["10:20"], None, "%H:%M"),
        (["31/01/2024"], None, "%d/%m/%Y"),
        (["01/31/2024"], None, "%m/%d/%Y"),
        (["01/02/2024"], None, "%d/%m/%Y"),
        (["01/02/2024"], "mdy", "%m/%d/%Y"),
        (["31/01/2024"], "mdy", None),
        (["01/31/2024 1:02:03"], "mdy", "%m/%d/%Y %H:%M:%S"),
        ([None, " ? ", "", " 2024-01-31 "], None, "%Y-%m-%d"),
        (["2024-01-31", "x"], None, None),
        (["?"], None, None),
        ([None], None, None),
        ([], None, None),
        ([None, date(2024, 1, 31)], None, "timestamp"),
        ([3], None, None),
    ],
)
def test_format_of_dates(values, order, form):
    assert raw_rows._find_date_format(values, order, ["?"]) == form


def test_numbers_and_texts_of_values():
    assert [raw_rows._is_number(value) for value in ("1.5", 3, "nan", "inf", "x", None)] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    values = [None, float("nan"), True, 3, 1.5, "a"]
    assert [raw_rows._to_row_text(value) for value in values] == ["", "", "true", "3", "1.5", "a"]


def test_random_rows_have_a_value_for_each_kind_of_column():
    orders = {
        f"d_{order}": SimpleNamespace(column=f"d_{order}", order=order) for order in raw_rows._DRAWN_DATES
    }
    columns = [*orders, "text", "flag", "number"]
    plan = SimpleNamespace(
        inputs={None: columns},
        source_of=lambda column: column,
        text_columns={"text"},
        conversions={"flag": "boolean"},
    )
    valid = SimpleNamespace(config=SimpleNamespace(seed=3))
    rows = raw_rows._RawTable(valid, plan, {"x": SimpleNamespace(dates=orders)}).draw()
    assert (len(rows), list(rows[0])) == (32, columns)
    assert {row["text"] for row in rows} == {"a word", "the", "", "of two words"}
    assert {row["flag"] for row in rows} == {"yes", "no"}
    assert {row["number"] for row in rows} == {"0", "1"}
    for order, form in (("ymd", "%Y-%m-%d %H:%M"), ("dmy", "%d.%m.%Y %H:%M"), ("mdy", "%m/%d/%Y %H:%M")):
        assert all(raw_rows._has_format(row[f"d_{order}"], form) for row in rows)
    assert all(2001 <= int(row["d_ymd"][:4]) <= 2012 for row in rows)
    assert all(10**9 <= int(row["d_seconds"]) < 1.7e9 for row in rows)
    assert all(10**12 <= int(row["d_milliseconds"]) < 1.7e12 for row in rows)


def test_sentence_on_the_batch_size():
    found = FoundBatchSize(1024, "memory", 3 << 30, 2 << 30, None)
    assert found.describe(5000) == (
        "Batch size 1,024: the largest power of 2 that fits into memory. The training needs about 2.0 GiB of 3.0 GiB."
    )
    measured = FoundBatchSize(16, "examples", None, 2 << 30, 1 << 30)
    assert measured.describe(5000) == (
        "Batch size 16: with 5,000 training examples, an epoch has at least 5 steps. The training needs 1.0 GiB."
    )
    assert AttemptResult(True, 10).fits_into(10)
    assert not AttemptResult(True, 11).fits_into(10)
    assert AttemptResult(True, 11).fits_into(None)
    assert AttemptResult(True).fits_into(0)
    assert not AttemptResult(False, 1).fits_into(10)

"""Files with a header for a table without one, and files without a header for a table with one."""

import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.types import DataError
from layercli.formats.csv.header_check import check_header

NUMBERS = [["0.5", "1"], ["-2", "3"]]
TEXTS = [["red", "s"], ["blue", "m"]] * 5
NAMES = ["column_1", "column_2"]


def find_problem(rows, *, is_new=True, **keys):
    """Return the message and the hint about the header of a file with these rows, or None."""
    data = DATA_TYPES.parse({"type": "csv", "path": "t.csv", "target": "y"} | keys)
    names = data.columns or rows[0]
    try:
        check_header(rows, names[: len(rows[0])] if rows else names, data, "new.csv", is_new=is_new)
    except DataError as error:
        return error.findings[0].message, error.findings[0].hint
    return None


def test_names_above_numbers_are_refused_for_a_table_without_a_header():
    message, hint = find_problem([["a", "b"], *NUMBERS], columns=NAMES)
    assert message == (
        "new.csv begins with the names of its columns (a, b), but the data of the training has no header line."
    )
    assert hint == (
        "Check that its columns are those of the training in the same order: column_1, column_2. "
        "Then remove its first line."
    )


def test_names_in_the_data_of_the_training_are_refused():
    message, hint = find_problem([["a", "b"], *NUMBERS], is_new=False, columns=NAMES)
    assert message.endswith("but `columns` says that it has no header line.")
    assert hint.startswith("Remove the first line of the file; or remove `columns`")


@pytest.mark.parametrize(
    "rows",
    [
        [["size", "kind"], *TEXTS],
        [["column_2", "column_1"]],
        [["a", "b"], ["1", "x"], ["2", "y"]],
        [["a", "b"], ["1", "x"], ["", "y"]],
        [["a", "b"], *[["1", "x"]] * 9, ["oops", "x"]],
    ],
)
def test_rows_that_begin_with_names(rows):
    assert find_problem(rows, columns=NAMES) is not None


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[]],
        NUMBERS,
        TEXTS,
        [["green", "l"]],
        [["green", "l"], *TEXTS[:9]],  # too few rows to know
        [["green", "s"], *TEXTS],
        [["green", "s"], ["1", "s"], ["2", "m"]],  # one row has a word in place of a number
        [["green", ""], *NUMBERS],
        [["NA", "x"], *NUMBERS],
        [["a", "a"], *NUMBERS],
        [["2020-01-01", "x"], ["2020-01-02", "y"]],
        [["$1", "x"], ["$2", "y"]],
        [["a", "text one"], *[["a b", str(number) + " words"] for number in range(20)]],
        [["green", "text one"], *[["red", str(number) + " words"] for number in range(20)]],
        [["a", "b"], *[["x", "1"], ["y", "oops"]] * 4],
    ],
)
def test_rows_that_begin_with_values(rows):
    assert find_problem(rows, columns=NAMES) is None


def test_single_row_has_names_if_it_lacks_two_numbers_of_training():
    row = [["size", "kind"]]
    assert find_problem(row, columns=NAMES, types=dict.fromkeys(NAMES, "number")) is not None
    assert find_problem(row, columns=NAMES, types={"column_1": "number", "column_2": "text"}) is None
    dates = {"columns": NAMES, "types": {"column_1": "number"}, "dates": {"column_2": ["year"]}}
    assert find_problem(row, **dates) is not None


def test_values_instead_of_names_are_refused_for_a_table_with_a_header():
    message, hint = find_problem(NUMBERS, types={"age": "number", "job": "text"})
    assert message == (
        "new.csv must begin with the names of its columns, as the data of the training does; its first line is a row (0.5, 1)."
    )
    assert hint == "Add a line with the names above it. The model was trained with age, job."


def test_other_names_and_names_that_are_numbers_are_names():
    assert find_problem([["age", "2019"], *NUMBERS], types={"age": "number"}) is None
    assert find_problem([["2019", "2020"], *NUMBERS], types={"2019": "number"}) is None
    assert find_problem([["2019", "2020"], *NUMBERS], dates={"2019": ["year"]}) is None
    assert find_problem([["old", "name"], *NUMBERS], types={"age": "number"}) is None
    assert find_problem(NUMBERS, is_new=False) is None


def test_long_rows_are_shortened():
    row = [f"name{number}" for number in range(30)]
    columns = [f"c{number}" for number in range(30)]
    message, hint = find_problem([row, ["1"] * 30], columns=columns)
    assert "(name0, name1, name2, name3, name4, name5, ...)" in message
    assert "c18, c19. Then" in hint

"""Lines of defects in CSV files, counted by hand, with and without a header."""

import gzip

import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.types import DataError
from layercli.formats.csv import diagnostics
from layercli.formats.registry import load_dataset

HEADER = ["a", "b", "y"]


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Write a file and return it with its ``data`` section."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(text, **keys):
        (tmp_path / "t.csv").write_text(text)
        return tmp_path / "t.csv", DATA_TYPES.parse({"type": "csv", "path": "t.csv", "target": "y"} | keys)

    return make


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("a,b,y\n1,2,0\n3,4,1\n5,6,1\n", None, [2, 3, 4, None]),
        ("1,2,0\n3,4,1\n5,6,1\n", HEADER, [1, 2, 3, None]),
        ("\n\na,b,y\n\n1,2,0\n\n3,4,1\n", None, [5, 7, None]),
        ("\n1,2,0\n\n3,4,1\n", HEADER, [2, 4, None]),
        ('a,b,y\n"1\n\n",2,0\n3,4,1\n', None, [2, 5, None]),
        ('"1\n\n",2,0\n3,4,1\n', HEADER, [1, 4, None]),
    ],
)
def test_line_of_a_row(make, text, columns, lines):
    file, data = make(text, columns=columns)
    assert [diagnostics.find_line(file, data, row) for row in range(len(lines))] == lines


@pytest.mark.parametrize(
    ("text", "columns", "found"),
    [
        ("a,b,y\n1,2,0\n3,x,1\n", None, 'line 3 has "x"'),
        ("1,2,0\n3,x,1\n", HEADER, 'line 2 has "x"'),
        ("1,x,0\n3,4,1\n", HEADER, 'line 1 has "x"'),
        ("a,b,y\n1,?,0\n3,,1\n5\n7, nan ,1\n9,1e3,1\n", None, None),
        (" a , b ,y\n1,2 x,0\n", None, 'line 2 has "2 x"'),
        ("a,c,y\n1,x,0\n", None, None),
    ],
)
def test_first_value_that_is_not_a_number(make, text, columns, found):
    file, data = make(text, columns=columns)
    assert diagnostics.find_non_number(file, data, "b") == found


@pytest.mark.parametrize(
    ("text", "columns", "found"),
    [
        ("a,b,y\n1,2,0\n3,4\n", None, "line 3 has 2 values, but there are 3 columns"),
        ("1,2,0\n3\n", HEADER, "line 2 has 1 value, but there are 3 columns"),
        ("1,2,0,5\n", HEADER, "line 1 has 4 values, but there are 3 columns"),
        (
            "1,2\n" + "1,2,0\n" * 10 + "1\n" + "1,2,0\n" * 10,
            HEADER,
            "line 1 has 2 values, but there are 3 columns; line 12 also has another number",
        ),
        (
            "1,2\n" * 7 + "1,2,0\n",
            HEADER,
            "line 1 has 2 values, but there are 3 columns; lines 2, 3, 4, 5 and 2 more also have another number",
        ),
        ("a,b,y\n\n1,2,0\n", None, None),
    ],
)
def test_first_line_with_another_number_of_values(make, text, columns, found):
    file, data = make(text, columns=columns)
    defect = diagnostics.find_ragged_line(file, data)
    assert (defect and defect.message) == found


def test_gzipped_file_with_a_byte_order_mark_is_read(make, tmp_path):
    _, data = make("")
    file = tmp_path / "t.csv.gz"
    file.write_bytes(gzip.compress(b"\xef\xbb\xbfa,b,y\n1,2,0\n"))
    assert diagnostics.read_header(file, data).names == HEADER
    assert diagnostics.find_line(file, data, 0) == 2


@pytest.mark.parametrize("stream", ["never", "always"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv has no rows of values."),
        ("1,2,0\n3,4,\n", "The target `y` is missing in t.csv, line 2."),
        ("1,2,\n3,4,0\n", "The target `y` is missing in t.csv, line 1."),
        ("1,2,0\n3,4\n", "t.csv cannot be read: line 2 has 2 values, but there are 3 columns."),
        (
            "1,2,0\n3,x,1\n",
            'The column `b` must contain numbers, got text (t.csv, line 2 has "x"); '
            "an input with several columns takes only numbers.",
        ),
    ],
)
def test_lines_of_a_table_without_header_count_from_1(make, text, message, stream):
    _, data = make(text, columns=HEADER, stream=stream)
    with pytest.raises(DataError) as caught:
        load_dataset(data)
    assert [found.message for found in caught.value.findings] == [message]

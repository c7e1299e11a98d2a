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


@pytest.mark.parametrize(
    ("content", "encoding", "described"),
    [
        (b"a,b\n1,\xff2\n", "utf-8", "line 2, column 3 has the byte ff, which is not utf-8"),
        (b"a\r\nb\r\xff", "utf-8", "line 3, column 1 has the byte ff, which is not utf-8"),
        (b"\xc3\xa9\xe2(", "utf-8", "line 1, column 2 has the byte e2, which is not utf-8"),
        (b"a\n\xe2\x82(", "utf-8", "line 2, column 1 has the bytes e2 82, which are not utf-8"),
        (b"a\xe2\x82", "utf-8", "line 1, column 2 ends within a character of utf-8"),
        (b"a\x81", "cp1252", "line 1, column 2 has the byte 81, which is not cp1252"),
        (b"a\nb\n", "utf-8", None),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 4, 1000])
def test_bytes_that_are_not_in_the_encoding(tmp_path, monkeypatch, content, encoding, described, block_bytes):
    monkeypatch.setattr(diagnostics, "_BLOCK_BYTES", block_bytes)
    (tmp_path / "t.csv").write_bytes(content)
    found = diagnostics.find_undecodable(tmp_path / "t.csv", encoding)
    assert (found and found.describe(encoding)) == described


@pytest.mark.parametrize(
    ("text", "place"), [("a;b\n", (1, 2)), ("a\n\nb,;\n;", (3, 3)), ("a,b\n", None), (";", (1, 1))]
)
def test_place_of_a_character(make, text, place):
    file, data = make(text)
    assert diagnostics.find_character(file, data, ";") == place


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,y\n1,"2\n3,4\n', 2),
        ('a,y\n1,"2\n3"\n', None),
        ('a,y\n"1""",2\n3,"4""\n\n', 3),
        ("a,y\n1,2\n", None),
        ("", None),
    ],
)
def test_quotation_mark_that_is_not_closed(make, text, line):
    file, data = make(text)
    assert diagnostics.find_open_quote(file, data) == line


def test_other_lines_with_another_number_of_values_are_listed():
    most = diagnostics._MAX_LISTED_LINES
    assert diagnostics._describe_other_lines([]) == ""
    assert diagnostics._describe_other_lines([1200]) == "; line 1,200 also has another number"
    assert diagnostics._describe_other_lines([3, 5]) == "; lines 3, 5 also have another number"
    listed = ", ".join(str(number) for number in range(1, most + 1))
    assert (
        diagnostics._describe_other_lines([*range(1, most + 1)])
        == f"; lines {listed} also have another number"
    )
    more = diagnostics._describe_other_lines([*range(1, most + 2)])
    assert more == f"; lines {listed} and 1 more also have another number"


@pytest.mark.parametrize("count", [1, 2])
def test_lines_of_text_at_the_end_are_a_footer(make, count):
    file, data = make("a,b,y\n1,2,0\n3,4,1\n" + "Source: x\n" * count)
    found = diagnostics.find_ragged_line(file, data)
    assert found.message == 'line 4 has 1 value ("Source: x"), but there are 3 columns'
    rows = file.with_name("t-rows.csv")
    assert found.hint == f"If it is a footer below the table, remove it: `head -n 3 {file} > {rows}`."


def test_text_is_a_footer_only_if_rows_precede_it_and_none_follow(make):
    for text in ("a,b,y\nTotal\n", "a,b,y\n1,2,0\nTotal\n3,4,1\n", "a,b,y\n1,2,0\n7\n"):
        file, data = make(text)
        assert "footer" not in diagnostics.find_ragged_line(file, data).hint
    most = diagnostics._MAX_FOOTER_LINES
    for count, is_footer in ((most, True), (most + 1, False)):
        file, data = make("a,b,y\n1,2,0\n" + "x\n" * count)
        assert ("footer" in diagnostics.find_ragged_line(file, data).hint) is is_footer


def test_first_rows_are_compared_with_the_header(make):
    file, data = make("a,b,y\n1,2,0\n3,4\n")
    assert diagnostics.find_ragged_line(file, data, rows=1) is None
    assert (
        diagnostics.find_ragged_line(file, data, rows=2).message
        == "line 3 has 2 values, but there are 3 columns"
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Report\na,b,y\n1,2,0\n", "If the lines above line 2 are a title, set `skip_lines: 1`."),
        (
            "a,b,y\nr1,1,2,0\n",
            "The header has one name less than the rows have values, as in files with row names. Name all columns: "
            "`columns: [row, a, b, y]` and `skip_lines: 1`.",
        ),
        (
            "a,b,c,d,e,f,y\nr1,1,2,3,4,5,6,0\n",
            "The header has one name less than the rows have values, as in files with row names. Name all columns: "
            "`columns: [row, a, b, c, d, e, f, ...]` and `skip_lines: 1`.",
        ),
        (
            "a,b,y\n1,2,3,4,5\n",
            "Each line must have one value for each column; quote a value that contains the separator.",
        ),
        (
            "a,b,y\n1,2,0\n1,2,3,4\n",
            "Each line must have one value for each column; quote a value that contains the separator.",
        ),
        ("a,b,y\n# 1\n", 'If lines with # are comments, set `comment: "#"`.'),
        (
            'a,b,y\n1, "2,3",0\n',
            "Remove the blanks before the quotation marks: only a mark directly after the separator quotes a value.",
        ),
        (
            'a,b,y\n1,2\\",0,1\n1,2,0\n',
            'Write a quotation mark within a quoted value twice, as "", instead of with a backslash.',
        ),
    ],
)
def test_hint_for_a_line_with_another_number_of_values(make, text, hint):
    file, data = make(text)
    assert diagnostics.find_ragged_line(file, data).hint == hint

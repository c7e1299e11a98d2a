"""CSV files in other encodings, compressed, with comments and titles, in memory and streamed."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import subprocess
import zipfile

import pyarrow as pa
import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.examples import load_examples
from layercli.data.types import DataError
from layercli.formats.csv.encodings import guess_encoding
from layercli.formats.csv.sniff import sniff_csv
from layercli.formats.csv.source import open_bytes
from layercli.formats.preview import preview_table
from layercli.formats.registry import load_dataset

HOW = pytest.mark.parametrize("stream", ["never", "always"])
TABLE = "größe,y\n1,ja\n2,nein\n3,schön\n"


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Write a file and return its ``data`` section."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(content, stream="never", name="t.csv", **keys):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return DATA_TYPES.parse({"type": "csv", "path": name, "target": "y", "stream": stream} | keys)

    return make


def refusal(data):
    with pytest.raises(DataError) as caught:
        load_dataset(data)
    [found] = caught.value.findings
    return found.path, found.message, found.hint


@HOW
@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (TABLE.encode("utf-8-sig"), {}),
        (TABLE.encode("utf-16"), {}),
        (codecs.BOM_UTF16_BE + TABLE.encode("utf-16-be"), {"encoding": "latin-1"}),
        (TABLE.encode("utf-16-le"), {"encoding": "utf-16-le"}),
        (TABLE.encode("cp1252"), {"encoding": "cp1252"}),
        (TABLE.encode("latin-1").replace(b"\n", b"\r\n"), {"encoding": "latin-1"}),
        (TABLE.encode("mac-roman"), {"encoding": "mac-roman"}),
        (gzip.compress(TABLE.encode(), mtime=0), {}),
        (bz2.compress(TABLE.encode()), {}),
        (lzma.compress(TABLE.encode()), {}),
        (gzip.compress(TABLE.encode("cp1252"), mtime=0), {"encoding": "cp1252"}),
        (f"# made by hand\n{TABLE}# the end\n", {"comment": "#"}),
        (TABLE.replace("2,", "  # why?\n2,"), {"comment": "#"}),
        (f"Sizes, 2020\n\n{TABLE}", {"skip_lines": 2}),
        (f"Sizes, 2020\n{TABLE}", {"skip_lines": 2, "columns": ["größe", "y"]}),
        (f"# hand\nTitle\n\n{TABLE}", {"comment": "#", "skip_lines": 2}),
    ],
)
def test_same_table_in_other_forms(make, stream, content, keys):
    examples = load_examples(load_dataset(make(content, stream, **keys)))
    assert examples.columns == {None: ("größe",)}
    assert examples.class_names == ("ja", "nein", "schön")
    assert examples.x.tolist() == [[1], [2], [3]]


def compress_zstd(text: bytes) -> bytes:
    return pa.compress(text, codec="zstd", asbytes=True)


def zip_text(text: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("t.csv", text)
    return content.getvalue()


DAMAGED = "The compressed file is incomplete or damaged: download or copy it again."
COMPRESSIONS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": compress_zstd}
PARTS = (b"a,y\n1,0\n2,1\n", b"3,0\n4,1\n")


@HOW
@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_compressed_streams_after_each_other(make, stream, kind):
    first, second = map(COMPRESSIONS[kind], PARTS)
    for padding in (b"", bytes(8)) if kind in ("gz", "xz") else (b"",):
        data = make(first + padding + second + padding, stream)
        assert load_examples(load_dataset(data)).x.tolist() == [[1], [2], [3], [4]]


@HOW
@pytest.mark.parametrize("kind", [*COMPRESSIONS, "zip"])
def test_damage_after_the_first_compressed_stream(make, stream, kind):
    first, second = map(COMPRESSIONS.get(kind, zip_text), PARTS)
    for rest in (b"\x00" + second[1:], second[:1], second[:5], second[:-1], b"rows", bytes(8) + b"rows"):
        _, message, hint = refusal(make(first + rest, stream))
        assert message.startswith("t.csv ")
        assert hint == DAMAGED


def test_reason_of_a_damaged_stream(make):
    first, second = map(lzma.compress, PARTS)
    prefix = "t.csv cannot be read: "
    damaged = refusal(make(first + b"\xff" + second[1:], "never"))[1]
    assert damaged == f"{prefix}compressed stream 2 in it is damaged: Input format not supported by decoder."
    padded = refusal(make(first + bytes(6) + second, "never"))[1]
    assert padded == f"{prefix}the number of zeros after a stream is 6, not a multiple of 4."


def test_joined_zip_archives_are_refused(make):
    first, second = map(zip_text, PARTS)
    _, message, _ = refusal(make(first + second, "never"))
    assert message == (
        f"t.csv cannot be read: it has {len(first)} bytes before its first member; "
        "extract archives that were joined one by one."
    )
    assert "it has other bytes after its end" in refusal(make(first + b"\n", "never"))[1]


def test_very_many_tiny_streams_are_refused(make, monkeypatch):
    monkeypatch.setattr("layercli.formats.csv.source._FREE_STREAMS", 20)
    first, _ = map(bz2.compress, PARTS)
    content = first + 19 * bz2.compress(b"")
    assert load_examples(load_dataset(make(content, "never"))).x.tolist() == [[1], [2]]
    message = refusal(make(content + bz2.compress(b""), "never"))[1]
    assert message == "t.csv cannot be read: it has more than 20 compressed streams, most of them tiny."


def test_stream_that_is_read_in_small_pieces(monkeypatch, tmp_path):
    monkeypatch.setattr("layercli.formats.csv.source._BLOCK_BYTES", 3)
    first, second = map(lzma.compress, PARTS)
    (tmp_path / "t.csv").write_bytes(first + bytes(12) + second)
    with open_bytes(tmp_path / "t.csv") as content:
        assert content.read(1) + content.read() == b"".join(PARTS)


@HOW
def test_zip_and_zstd(make, stream, tmp_path):
    data = make("", stream, name="t.zip")
    with zipfile.ZipFile(tmp_path / "t.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/t.csv", TABLE)
        for other in ("__MACOSX/inner/._t.csv", "inner/Thumbs.db", ".git/config"):
            archive.writestr(other, b"\0")
    assert load_examples(load_dataset(data)).x.tolist() == [[1], [2], [3]]
    data = make("", stream, name="t.csv.zst")
    with pa.output_stream(tmp_path / "t.csv.zst", compression="zstd") as file:
        file.write(TABLE.encode())
    assert load_examples(load_dataset(data)).x.tolist() == [[1], [2], [3]]


@HOW
def test_lines_are_those_of_the_file(make, stream):
    data = make("# a\nTitle\na,y\n# b\n1,0\n\nx,1\n", stream, comment="#", skip_lines=2)
    assert refusal(data)[1].startswith(
        'The column `a` must contain numbers, got text (t.csv, line 7 has "x")'
    )


@HOW
def test_comment_at_the_end_of_a_block_of_bytes(make, stream, monkeypatch):
    monkeypatch.setattr("layercli.formats.csv.source._BLOCK_BYTES", 7)
    text = "".join(f"{n},{n % 2}\n" + "# note\n" * (n % 3) for n in range(40))
    examples = load_examples(load_dataset(make(f"a,y\n{text}".encode("utf-16"), stream, comment="#")))
    assert examples.x.ravel().tolist() == list(range(40))


@HOW
@pytest.mark.parametrize(
    ("content", "keys", "path", "message", "hint"),
    [
        (
            TABLE.encode("cp1252"),
            {},
            ("data", "encoding"),
            "t.csv cannot be read: line 1, column 3 has the byte f6, which is not utf-8.",
            "Set `encoding: cp1252`, which the file seems to have, or save it as UTF-8.",
        ),
        (
            b"a,y\n1,ja\n2,sch\xf6n\n",
            {},
            ("data", "encoding"),
            "t.csv cannot be read: line 3, column 6 has the byte f6, which is not utf-8.",
            "Set `encoding: cp1252`, which the file seems to have, or save it as UTF-8.",
        ),
        (
            TABLE.encode("utf-16-le"),
            {"encoding": "ascii"},
            ("data", "encoding"),
            "t.csv cannot be read: line 1, column 5 has the byte f6, which is not ascii.",
            "Set `encoding: utf-16-le`, which the file seems to have, or save it as UTF-8.",
        ),
        (
            "größe,y\n1,schön\n2,".encode() + b"sch\xf6n\n",
            {},
            ("data", "encoding"),
            "t.csv cannot be read: line 3, column 6 has the byte f6, which is not utf-8.",
            "Correct it in an editor, as the other characters are UTF-8; or remove such bytes: "
            "`iconv -c -f UTF-8 -t UTF-8 t.csv > t-utf8.csv`.",
        ),
        (
            TABLE.encode(),
            {"encoding": "cp1252"},
            ("data", "encoding"),
            "t.csv is UTF-8, but `encoding` is cp1252.",
            "Remove `encoding`.",
        ),
        (
            "größe,y\n1,0\n2,ö".encode()[:-1],
            {},
            ("data", "encoding"),
            "t.csv cannot be read: line 3, column 3 ends within a character of utf-8.",
            "Save it again: it may be incomplete.",
        ),
        (
            "a;b;y\n1;2;0\n",
            {},
            ("data", "separator"),
            't.csv has only one column with the separator ","; the file seems to be separated by ";".',
            'Set `separator: ";"`.',
        ),
        (
            "a\tb\ty\n1\t2\t0\n",
            {},
            ("data", "separator"),
            't.csv has only one column with the separator ","; the file seems to be separated by "\\t".',
            'Set `separator: "\\t"`.',
        ),
        (
            "Sales\n\na,b,y\n1,2,0\n",
            {},
            ("data", "path"),
            "t.csv cannot be read: line 3 has 3 values, but there is 1 column.",
            "If the lines above line 3 are a title, set `skip_lines: 2`.",
        ),
        (
            "# sales\n# 2020\na,y\n1,0\n",
            {},
            ("data", "comment"),
            "t.csv has only one column, whose name begins with #.",
            'If lines with # are comments, set `comment: "#"`.',
        ),
        (
            "a,y\n1,0\n# note\n2,1\n",
            {},
            ("data", "path"),
            "t.csv cannot be read: line 3 has 1 value, but there are 2 columns.",
            'If lines with # are comments, set `comment: "#"`.',
        ),
        (
            '"a","y"\n"1",5,0\n',
            {},
            ("data", "path"),
            "t.csv cannot be read: line 2 has 3 values, but there are 2 columns.",
            "The header has one name less than the rows have values, as in files with row names. Name all columns: "
            "`columns: [row, a, y]` and `skip_lines: 1`.",
        ),
        (
            gzip.compress(TABLE.encode(), mtime=0)[:-9],
            {},
            ("data", "path"),
            "t.csv cannot be read: Compressed file ended before the end-of-stream marker was reached.",
            "The compressed file is incomplete or damaged: download or copy it again.",
        ),
        (
            "a,y\n1,0\n2,1\0\n",
            {},
            ("data", "path"),
            "t.csv cannot be read: line 3, column 4 is a NUL byte.",
            "The file is damaged; remove such bytes: `tr -d '\\000' < t.csv > t-clean.csv`.",
        ),
        (
            'a,y\n1,b\n2,"c\n3,d\n',
            {},
            ("data", "path"),
            "t.csv cannot be read: the quotation mark in line 3 is not closed.",
            "Close it, or write it twice within quotation marks if it is part of the value.",
        ),
        (
            'a,y\n1,b\n"2,c\n3,d\n',
            {},
            ("data", "path"),
            "t.csv cannot be read: the quoted value that begins in line 3 continues up to line 4, and so the row has 1 value "
            "instead of 2.",
            "Close the quotation mark in line 3, or write it twice if it is part of the value.",
        ),
        (
            "a,b,y\n1,2,c\n3,4,d\nTotal: 2 rows\n",
            {},
            ("data", "path"),
            't.csv cannot be read: line 4 has 1 value ("Total: 2 rows"), but there are 3 columns.',
            "If it is a footer below the table, remove it: `head -n 3 t.csv > t-rows.csv`.",
        ),
        (
            'a,y\n1, "b, c"\n',
            {},
            ("data", "path"),
            "t.csv cannot be read: line 2 has 3 values, but there are 2 columns.",
            "Remove the blanks before the quotation marks: only a mark directly after the separator quotes a value.",
        ),
        (
            'a,y\n1,"say \\"b, c\\" ok"\n',
            {},
            ("data", "path"),
            "t.csv cannot be read: line 2 has 3 values, but there are 2 columns.",
            'Write a quotation mark within a quoted value twice, as "", instead of with a backslash.',
        ),
        (
            bytes(range(256)) * 4,
            {},
            ("data", "path"),
            "t.csv is a binary file, not a table of text.",
            "Save the table as CSV or Parquet.",
        ),
        (
            b"PAR1",
            {},
            ("data", "type"),
            "t.csv is a Parquet file, not a table of text.",
            "Set `type: parquet`.",
        ),
    ],
)
def test_files_that_need_a_key(make, stream, content, keys, path, message, hint):
    assert refusal(make(content, stream, **keys)) == (path, message, hint)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"plain", "utf-8"),
        ("schön".encode(), "utf-8"),
        ("schön".encode("utf-8-sig"), "utf-8"),
        ("schön".encode("utf-16"), "utf-16"),
        ("schön, €".encode("cp1252"), "cp1252"),
        (b"sch\xf6n \x81", "latin-1"),
        ("plain text".encode("utf-16-be"), "utf-16-be"),
        ("schön, größe".encode() + b", \xfc", "utf-8"),
        ("sch\xf6n".encode() + b", \xfc \xfc", "cp1252"),
        ("it\u2019s, “Hello”, don\u2019t, that\u2019s".encode("cp1252"), "cp1252"),
        ("ÄÖÜ, Ärger".encode("cp1252"), "cp1252"),
        ("it\u2019s, don\u2019t, that\u2019s".encode("cp1252"), "cp1252"),
        ("prix, 5 €, 20 °C".encode("cp1252"), "cp1252"),
        ("город, цена, Москва".encode("cp1251"), "cp1251"),
        ("город, цена, Москва".encode("koi8_r"), "koi8_r"),
        ("город, цена, Москва".encode("cp866"), "cp866"),
        ("都市, 値, 購入, はい, いいえ".encode("cp932"), "cp932"),
        ("都市, 値, 購入, はい, いいえ".encode("euc_jp"), "euc_jp"),
        ("城市, 价格, 购买, 北京, 上海".encode("gb18030"), "gb18030"),
        ("城市, 價格, 購買, 臺北, 高雄".encode("big5"), "big5"),
        ("도시, 가격, 구매, 서울, 부산".encode("euc_kr"), "euc_kr"),
    ],
)
def test_probable_encoding(tmp_path, content, encoding):
    (tmp_path / "t.csv").write_bytes(content)
    assert guess_encoding(tmp_path / "t.csv") == encoding


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"encoding": "klingon"}, 'Unknown encoding "klingon".'),
        ({"encoding": "base64"}, 'Unknown encoding "base64".'),
        ({"encoding": "Punycode"}, 'Unknown encoding "Punycode".'),
        ({"encoding": "unicode-escape"}, 'Unknown encoding "unicode-escape".'),
        (
            {"thousands": "."},
            '`thousands` and `decimal` must be different characters, got "." twice.',
        ),
        ({"columns": ["a", "b", "a"]}, "`columns` names `a` twice: columns 1 and 3."),
    ],
)
def test_invalid_keys(make, keys, message):
    with pytest.raises(ValueError, match="validation error") as caught:
        make("", **keys)
    assert message in str(caught.value)


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"'])
def test_line_with_the_separator_of_excel_is_not_the_header(tmp_path, line):
    file = tmp_path / "t.csv"
    file.write_text(f"{line}\r\nregion;sales\r\nN;1\r\nS;2\r\n", encoding="utf-8-sig")
    section, keys = sniff_csv(file)
    assert (keys["separator"], keys["skip_lines"], section.columns) == (";", 1, None), keys


def test_separator_at_the_end_of_rows_is_an_empty_column(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("age,bp,kind\n20,119,sick,\n30,120,well,\n22,130,sick,\n")
    assert sniff_csv(file)[1]["columns"] == ["age", "bp", "kind", "column_4"]


def test_first_column_without_a_name_has_the_names_of_rows(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("age,bp,kind\na,20,119,sick\nb,30,120,well\nc,22,130,\n")
    assert sniff_csv(file)[1]["columns"] == ["row", "age", "bp", "kind"]


def test_quotation_mark_within_a_value_is_not_open(make):
    examples = load_examples(load_dataset(make('a,y\n1,5" pipe\n2,b\n')))
    assert examples.class_names == ('5" pipe', "b")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("time,mass,y\n[s],[kg],\n" + "1,2.5,a\n2,3.5,b\n" * 3, ["time", "mass", "y"]),
        ("n,y\n(kg),\n" + "1,a\n2,b\n" * 3, ["n", "y"]),
        ("2020,2020,2021,\np,q,p,y\n" + "1,2,3,a\n4,5,6,b\n" * 3, ["2020 p", "2020 q", "2021 p", "y"]),
        ("A,A,B,y\np,q,p,y\n" + "1,2,3,a\n4,5,6,b\n" * 3, ["A p", "A q", "B p", "y y"]),
        ("| n | y |\n|---|--:|\n" + "| 1 | a |\n| 2 | b |\n" * 3, ["column_1", "n", "y", "column_4"]),
    ],
)
def test_second_row_of_a_header_is_not_an_example(tmp_path, text, columns):
    file = tmp_path / "t.csv"
    file.write_text(text)
    keys = sniff_csv(file)[1]
    assert (keys["skip_lines"], keys["columns"]) == (2, columns)


@pytest.mark.parametrize(
    "text",
    [
        "n,y\nunknown,a\n" + "1,a\n2,b\n" * 3,
        "n,m,y\n?,?,a\n" + "1,2,a\n2,3,b\n" * 3,
        "n,m,y\nnone,none,a\n" + "1,2,a\nnone,none,b\n" + "1,2,a\n" * 20,
        "n,m,y\nlow,5,a\n" + "1,2,a\n2,3,b\n" * 3,
    ],
)
def test_first_row_with_missing_values_is_a_row(tmp_path, text):
    file = tmp_path / "t.csv"
    file.write_text(text)
    assert sniff_csv(file)[1] == {}


@pytest.mark.parametrize("text", ['"say \\"a\\", b",1\n', '1,"a \\" b"\n', '"a",  "b\\"c"\n'])
def test_backslashes_before_quotation_marks_are_refused(tmp_path, text):
    file = tmp_path / "t.csv"
    file.write_text(f"n,y\n{text}")
    with pytest.raises(DataError, match="line 2 has a quotation mark after a backslash") as caught:
        sniff_csv(file)
    command = re.search("`(sed .*) > table.csv`", caught.value.findings[0].hint)[1]
    corrected = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
    assert corrected == f"n,y\n{text}".replace('\\"', '""')


@pytest.mark.parametrize("text", ['"C:\\",1\n', '"C:\\"""\n', 'a\\"b,1\n', '"a","C:\\"\n'])
def test_backslashes_at_the_end_of_values_are_not_escapes(tmp_path, text):
    file = tmp_path / "t.csv"
    file.write_text(f"n,y\n{text}")
    assert sniff_csv(file)[0].separator == ","


ARFF = """% a comment
@RELATION 'flowers'

@attribute 'petal width' numeric
@ATTRIBUTE "kind"  {a, b}
@attribute y real
@DATA
% another comment
1.5,a,2
?,b,3.5
"""


def test_columns_of_arff_files_have_their_names(tmp_path):
    file = tmp_path / "t.arff"
    file.write_text(ARFF)
    names = ["petal width", "kind", "y"]
    assert sniff_csv(file)[1] == {"comment": "%", "skip_lines": 7, "columns": names}
    table = preview_table(file)
    assert [(column.name, column.kind, column.missing_count) for column in table.columns] == [
        ("petal width", "number", 1),
        ("kind", "category", 0),
        ("y", "number", 0),
    ]
    file.write_text(ARFF.replace("1.5,a", "1.5,'a, b'").replace("?,b", "1,'c, d'"))
    with pytest.raises(DataError, match="single quotes"):
        sniff_csv(file)
    file.write_text(ARFF.partition("@DATA")[0])
    assert "columns" not in sniff_csv(file)[1]


def test_values_in_single_quotes_are_refused(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("n,y\n1,'a, b'\n2,'c, d'\n3,'e, f'\n")
    with pytest.raises(DataError, match="line 2 has a value in single quotes that contains the separator"):
        sniff_csv(file)

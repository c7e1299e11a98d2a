"""Previews of tables as pandas, R, spreadsheets and databases write them."""

import gzip
import json
import re
import subprocess
import zipfile

import pyarrow as pa
import pytest
from pyarrow import feather, orc, parquet

from layercli.formats.preview import PreviewError, preview_table

BODY = "".join(f"{n % 7}.5,{n % 3},{'yes' if n % 2 else 'no'}\n" for n in range(40))
TABLE = f"a,b,y\n{BODY}"
NUMBERED = "".join(f"{n},{line}\n" for n, line in enumerate(BODY.splitlines()))


def preview(folder, text, name="t.csv", encoding="utf-8"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return preview_table(folder / name)


def kinds(table):
    return {column.name: column.kind for column in table.columns}


@pytest.mark.parametrize(
    ("text", "encoding", "keys"),
    [
        (TABLE, "utf-8", {}),
        (TABLE, "utf-8-sig", {}),
        (TABLE, "utf-16", {"encoding": "utf-16"}),
        (TABLE, "utf-16-le", {"encoding": "utf-16-le"}),
        (TABLE.replace("yes", "schön"), "cp1252", {"encoding": "cp1252"}),
        (TABLE.replace(",", "\t"), "utf-8", {"separator": "\t"}),
        (TABLE.replace(",", "|"), "utf-8", {"separator": "|"}),
        (TABLE.replace(",", ";").replace(".", ","), "utf-8", {"separator": ";", "decimal": ","}),
        (f"# made by hand\n{TABLE}", "utf-8", {"comment": "#"}),
        (f"Sales 2020\n\n{TABLE}", "utf-8", {"skip_lines": 2}),
        (f"Sales 2020,,\n{TABLE}", "utf-8", {"skip_lines": 1}),
    ],
)
def test_form_of_a_file(tmp_path, text, encoding, keys):
    table = preview(tmp_path, text, encoding=encoding)
    assert table.keys == keys
    assert kinds(table) == {"a": "number", "b": "integer", "y": "category"}
    assert table.row_count == 40


def test_file_that_ends_within_a_character_is_located(tmp_path):
    with pytest.raises(PreviewError, match="line 41, column 6 ends within a character of utf-16") as caught:
        preview(tmp_path, TABLE.encode("utf-16")[:-9])
    assert caught.value.hint == "Save it again: it may be incomplete."


def test_separator_divides_the_header_even_if_rows_are_damaged(tmp_path):
    rows = "".join(f"{n},5;{n},2;{n % 2}\n" for n in range(40))
    with pytest.raises(PreviewError, match=r"line 42 has 2 values .*, but there are 3 columns"):
        preview(tmp_path, f"a;b;y\n{rows}1,0;2,0\n")
    assert preview(tmp_path, f"a;b;y\n{rows}").keys == {"separator": ";", "decimal": ","}
    lists = "".join(f"{n},x;{n},{n % 2}\n" for n in range(40))
    assert preview(tmp_path, f"a,tags,y\n{lists}").keys == {}


def test_files_without_header(tmp_path):
    assert preview(tmp_path, BODY).keys == {"columns": ["column_1", "column_2", "column_3"]}
    texts = "".join(f"{'pxs'[n % 3]},{'pn'[n % 2]},{'pe'[n % 2]}\n" for n in range(30))
    assert preview(tmp_path, texts).keys == {"columns": ["column_1", "column_2", "column_3"]}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f",a,b,y\n{NUMBERED}", ["column_1", "a", "b", "y"]),
        (f'"","a","b","y"\n{NUMBERED}', ["column_1", "a", "b", "y"]),
        (f"a,b,y\n{NUMBERED}", ["row", "a", "b", "y"]),
        (f"a,a,a\n{BODY}", ["a", "a.1", "a.2"]),
        (f"größe in m,a.b,y\n{BODY}", ["größe in m", "a.b", "y"]),
    ],
)
def test_names_of_columns(tmp_path, text, names):
    table = preview(tmp_path, text)
    assert [column.name for column in table.columns] == names
    if len(names) == 4:
        assert table.columns[0].id_reason == "it numbers the rows"


@pytest.mark.parametrize(
    ("values", "kind", "keys"),
    [
        (["$1,200", "$3", "($4)"], "integer", {"thousands": ","}),
        (["12.5%", "3 %"], "number", {}),
        (["1.234,50 €", "-3 €"], "number", {"decimal": ",", "thousands": "."}),
        (["\u2212", "4", "5"], "integer", {"missing": {"values": ["default", "\u2212"]}}),
        (["1,234"], "integer", {"thousands": ","}),
        (["\u22121.5", "4"], "number", {}),
        (["N/A", "#N/A", "3", " "], "integer", {}),
        (["3", "4", "n.v."], "integer", {"missing": {"values": ["default", "n.v."]}}),
        (["TRUE", "false"], "category", {}),
        (["31.12.2020", "01.02.2021"], "date", {}),
        (["3/14/2020 1:05 PM", "12/31/2020 1:00 AM"], "date", {}),
    ],
)
def test_values_of_a_column(tmp_path, values, kind, keys):
    rows = "".join(f'"{values[n % len(values)]}",{n % 5}\n' for n in range(40))
    table = preview(tmp_path, f"v,y\n{rows}")
    assert (table.columns[0].kind, table.keys) == (kind, keys)


def test_value_that_is_not_a_number_is_found_after_the_first_megabyte(tmp_path):
    table = preview(tmp_path, "v,y\n" + "1.5,2\n" * 200_000 + "unknown,2\n")
    assert dict(table.columns[0].strays) == {"unknown": 200_000}
    assert table.notes == (
        '`v` has numbers except for 1 value such as "unknown", first in row 200,001: they are read as missing.',
    )


@pytest.mark.parametrize(
    ("names", "value", "reason"),
    [
        ("x,y", lambda n: 10 + n, "it numbers the rows"),
        ("x,y", lambda n: n * n, "an id in the order of the rows"),  # the first column
        ("y,x", lambda n: n * n, None),
        ("y,user_id", lambda n: n * n, "an id in the order of the rows"),
        ("y,x", lambda n: n * 7 % 40, "an id, different in every row"),
        ("y,x", lambda n: n * 7 % 41 * 9 + n % 2, None),
        ("y,x", lambda n: n // 2, None),
        ("y,mobile_number", lambda n: 1_700_000_000 + n // 2 * 7919, "a telephone number"),
        ("y,phone", lambda n: n // 2, None),
    ],
)
def test_reason_to_take_integers_for_an_id(tmp_path, names, value, reason):
    order = slice(None, None, 1 if names.startswith("x") else -1)
    rows = [",".join([str(value(n)), str(n % 2)][order]) for n in range(40)]
    facts = {column.name: column for column in preview(tmp_path, "\n".join([names, *rows])).columns}
    assert facts[next(name for name in facts if name != "y")].id_reason == reason


def test_names_of_several_words_differ_from_free_text(tmp_path):
    rows = [f"San Jose {n},a word and {n} more,{n % 2}" for n in range(30)]
    rows[0] = "Rancho Santa Fe X,a word and more,0"
    table = preview(tmp_path, "\n".join(["city,review,y", *rows]))
    assert kinds(table) == {"city": "unique", "review": "text", "y": "integer"}


def test_booleans_dates_and_ids(tmp_path):
    rows = "".join(
        f"{7 * n + 2**53},{['t', 'f'][n % 2]},{n % 9 + 1}/{n % 8 + 1}/2020,{1577836800 + n}\n"
        for n in range(30)
    )
    number, flag, when, time = preview(tmp_path, f"user_id,ok,when,time\n{rows}").columns
    assert number.id_reason == "an id in the order of the rows"
    assert flag.is_boolean
    assert (when.date_order, when.is_ambiguous_date) == ("dmy", True)
    assert (time.kind, time.date_order) == ("date", "seconds")


def test_leaks(tmp_path):
    rows = "".join(f"{n % 7},{n * 5 % 31},{n % 7 + n * 5 % 31}\n" for n in range(77))
    assert set(preview(tmp_path, f"casual,registered,cnt\n{rows}").find_leaks("cnt")) == {
        "casual",
        "registered",
    }


def test_compressed_files(tmp_path):
    assert preview(tmp_path, gzip.compress(TABLE.encode()), "t.csv").row_count == 40
    with pa.output_stream(tmp_path / "t.csv.zst", compression="zstd") as file:
        file.write(TABLE.encode())
    assert preview_table(tmp_path / "t.csv.zst").row_count == 40
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", TABLE)
    assert preview_table(tmp_path / "t.zip").row_count == 40


def test_parquet(tmp_path):
    parquet.write_table(
        pa.table({"a": [1.5, 2], "ok": [True, False], "l": [[1], [2]]}), tmp_path / "t.parquet"
    )
    (tmp_path / "t.csv").write_bytes((tmp_path / "t.parquet").read_bytes())
    for name in ("t.parquet", "t.csv"):  # the content decides
        table = preview_table(tmp_path / name)
        assert (table.type_name, kinds(table)) == ("parquet", {"a": "number", "ok": "category"})


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"\x00\x01\x02\x03" * 100, "is a binary file", "Save the table as CSV or Parquet."),
        (b"<!DOCTYPE html><html>", "is a web page (HTML)", "pandas.read_html('t.csv')[0]"),
        (b"FEA1....", "is a Feather file of version 1", "feather.read_table('t.csv')"),
        (b"  a    y\n  1    2\n 10   20\n", "are aligned with several blanks", "tr -s ' ' > table.csv"),
        (b'[{"a": 1}]', "is a JSON document", "pandas.read_json('t.csv')"),
        (b'{\n"a": [1, 2]\n}', "is a JSON document", "pandas.read_json('t.csv')"),
        (b"\x80\x04\x95\x00", "is a pickle", "Save the table as CSV or Parquet."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an old Excel workbook", "pip install pandas xlrd && python"),
        (b"$FL2@(#) SPSS", "is an SPSS file", "pandas.read_spss('t.csv')"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "is a pointer of Git LFS",
            "Download the table itself: `git lfs pull`.",
        ),
        (b"PAR1....", "Cannot read the Parquet file t.csv", ""),
        (b"a,y\n1,2\n3\n", "line 3 has 1 value, but there are 2 columns", "quote a value"),
        (
            gzip.compress(TABLE.encode(), mtime=0)[:-9],
            "t.csv cannot be read: Compressed file ended",
            "download or copy it again",
        ),
    ],
)
def test_files_that_are_not_tables_of_text(tmp_path, monkeypatch, content, message, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(PreviewError) as caught:
        preview_table((tmp_path / "t.csv").relative_to(tmp_path))
    assert message in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_archives_that_are_not_one_table(tmp_path):
    for names, message in (
        (["[Content_Types].xml", "xl/workbook.xml"], "is an Excel workbook"),
        (["mimetype", "content.xml"], "is an OpenDocument spreadsheet"),
        (["a.csv", "b.csv"], "must contain one file, got 2: a.csv, b.csv."),
    ):
        with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
            for name in names:
                archive.writestr(name, TABLE)
        with pytest.raises(PreviewError, match=re.escape(message)):
            preview_table(tmp_path / "t.xlsx")


@pytest.mark.parametrize(
    ("workbook", "title", "arguments"),
    [
        (
            '<workbook><sheets><sheet name="Info &amp; more" sheetId="1"/><x:sheet sheetId="2" name="Data"/></sheets>',
            "is an Excel workbook of 2 sheets (Info & more, Data), not",
            "read_excel('t.xlsx', sheet_name=0)",
        ),
        ('<sheets><sheet name="Data"/></sheets>', "is an Excel workbook, not", "read_excel('t.xlsx')"),
        (None, "is an Excel workbook, not", "read_excel('t.xlsx')"),
    ],
)
def test_sheets_of_a_workbook_are_named(tmp_path, monkeypatch, workbook, title, arguments):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("t.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        if workbook is not None:
            archive.writestr("xl/workbook.xml", workbook)
    with pytest.raises(PreviewError) as caught:
        preview_table((tmp_path / "t.xlsx").relative_to(tmp_path))
    assert title in str(caught.value)
    assert arguments in caught.value.hint
    assert ("is the number of the sheet" in caught.value.hint) == ("2 sheets" in title)


def test_name_with_quotes_is_not_in_a_command(tmp_path):
    (tmp_path / "a'b.csv").write_text('[{"a": 1}]\n')
    with pytest.raises(PreviewError) as caught:
        preview_table(tmp_path / "a'b.csv")
    assert "pandas.read_json('FILE')" in caught.value.hint


def test_orc_is_refused_with_a_conversion_that_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    orc.write_table(pa.table({"a": [1, 2], "y": [1, 2]}), "t.orc")
    with pytest.raises(PreviewError) as caught:
        preview_table((tmp_path / "t.orc").relative_to(tmp_path))
    code = caught.value.hint.partition('-c "')[2].removesuffix('"')
    exec(code)
    assert preview_table(tmp_path / "t.parquet").row_count == 2


def test_header_of_joined_files_is_refused_with_a_command_that_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(TABLE * 2)
    with pytest.raises(PreviewError) as caught:
        preview_table((tmp_path / "t.csv").relative_to(tmp_path))
    assert str(caught.value) == "t.csv repeats its header in line 42, as if several files were joined."
    subprocess.run(caught.value.hint.split("`")[1], shell=True, check=True)
    assert preview_table(tmp_path / "table.csv").row_count == 80


def test_repeated_header_of_free_texts_and_columns_without_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{n},{n % 3},the words of row {n}\n" for n in range(1100))
    (tmp_path / "t.csv").write_text(f"A title\n,a,note\n{rows},a,note\n{rows}")
    with pytest.raises(PreviewError) as caught:
        preview_table((tmp_path / "t.csv").relative_to(tmp_path))
    assert str(caught.value) == "t.csv repeats its header in line 1103, as if several files were joined."
    subprocess.run(caught.value.hint.split("`")[1], shell=True, check=True)
    table = preview_table(tmp_path / "table.csv")
    assert (table.row_count, table.keys["skip_lines"]) == (2200, 1)


QUALTRICS = """Duration (in seconds),Q1,Q2
Duration (in seconds),"How old
are you?",Would you buy it?
"{""ImportId"":""duration""}","{""ImportId"":""QID1_TEXT""}","{""ImportId"":""QID2""}"
"""
SURVEYMONKEY = """Respondent ID,Role,,Tools,,Buy
,Response,Other (please specify),Excel,R,Response
"""


@pytest.mark.parametrize(
    ("header", "row", "line", "names"),
    [
        (QUALTRICS, "{n},{part},yes", 4, ["Duration (in seconds)", "Q1", "Q2"]),
        (
            SURVEYMONKEY,
            "{n},Chief,,{tool},,yes",
            2,
            ["Respondent ID", "Role Response", "Other (please specify)", "Tools Excel", "R", "Buy Response"],
        ),
    ],
)
def test_header_rows_of_surveys(tmp_path, header, row, line, names):
    rows = "".join(row.format(n=n + 100, part=n % 7, tool="Excel" * (n % 2)) + "\n" for n in range(30))
    table = preview(tmp_path, header + rows)
    assert table.keys == {"skip_lines": line, "columns": names}
    assert table.row_count == 30


def test_row_with_gaps_below_a_column_without_name_is_a_row(tmp_path):
    rows = "".join(f"{n},{'xz'[n % 2]},{'pq'[n % 2]}\n" for n in range(30))
    for first in (",x,p", ",w,p", ",x,r", ",7,r", "1,x,", "1,,r"):
        assert preview(tmp_path, f"n,,y\n{first}\n{rows}").row_count == 31
    assert preview(tmp_path, f"n,,y\n,Other,Response\n{rows}").row_count == 30
    named = "".join(f"p{n},{'xz'[n % 2]},{'pq'[n % 2]}\n" for n in range(30))
    assert preview(tmp_path, f"n,,y\np99,Other,Response\n{named}").row_count == 31


def test_one_value_with_an_import_id_is_not_a_header(tmp_path):
    rows = "".join(f"{n},x,{n % 2}\n" for n in range(30))
    assert preview(tmp_path, f'n,v,y\n100,"{{""ImportId"":1}}",1\n{rows}').row_count == 31


@pytest.mark.parametrize("header", ["country,code,1990,1995,2000", ",0,1,2,label"])
def test_integers_at_equal_distances_name_columns(tmp_path, header):
    rows = "".join(f"{'pq'[n % 2]},x{n % 3},{n}.5,{n * n},{n % 7}\n" for n in range(30))
    table = preview(tmp_path, f"{header}\n{rows}")
    assert (table.keys, table.row_count) == ({}, 30)


@pytest.mark.parametrize("first", ["q,7,8,9", "q,1,2,4", "q,7,7,7", "q,1.5,2.5,3.5", "q,-1,0,1"])
def test_numbers_of_a_first_row_are_values(tmp_path, first):
    rows = "".join(f"p,{n},{n + 1},{n + 2 + n // 20}\n" for n in range(30))
    table = preview(tmp_path, f"{first}\n{rows}")
    assert table.keys == {"columns": ["column_1", "column_2", "column_3", "column_4"]}
    assert table.row_count == 31


def test_row_with_words_for_numbers_and_a_known_text_is_a_row(tmp_path):
    rows = "".join(f"{n}.5,{n * n % 11},{'pq'[n % 2]}\n" for n in range(30))
    assert preview(tmp_path, f"a,b,y\nlow,none,p\n{rows}").row_count == 31
    assert preview(tmp_path, f"a,b,y\nfloat,int,str\n{rows}").row_count == 30


@pytest.mark.parametrize("blank", [" ", ""])
def test_line_below_the_header_of_psql(tmp_path, blank):
    rows = "".join(f"{blank}{n}{blank}|{blank}{n % 2}{blank}\n" for n in range(-5, 30))
    table = preview(tmp_path, f"{blank}a{blank}|{blank}y{blank}\n---+---\n{rows}")
    assert table.keys == {"separator": "|", "skip_lines": 2, "columns": ["a", "y"]}
    assert table.row_count == 35


def test_few_rows_have_one_header(tmp_path):
    assert preview(tmp_path, "a,b\n1,2\n3,4\n").keys == {}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("List 1\n\n----\n|a|b |\n----\n{rows}----\n", {"comment": "-", "skip_lines": 3}),
        ("+--+--+\n|a|b |\n+--+--+\n{rows}+--+--+\n", {"comment": "+"}),
    ],
)
def test_lines_between_rows_are_comments(tmp_path, text, keys):
    rows = "".join(f"|{n % 7}| -{n % 2}|\n" for n in range(40))
    table = preview(tmp_path, text.format(rows=rows))
    assert table.keys == keys | {"separator": "|"}
    assert kinds(table) == {"column_1": "category", "a": "integer", "b": "integer", "column_4": "category"}
    assert table.row_count == 40


def test_dashes_that_begin_a_row_are_not_comments(tmp_path):
    with pytest.raises(PreviewError, match="line 42 has 3 values"):
        preview(tmp_path, "|a|b|\n" + "|1|2|\n" * 40 + "-1|3|4\n----\n")


def test_word_among_numbers_that_is_a_value_of_another_column_is_a_defect(tmp_path):
    rows = "".join(f"{n if n else 'yes'},{'yes' if n % 2 else 'maybe'}\n" for n in range(40))
    table = preview(tmp_path, f"a,y\n{rows}")
    assert table.columns[0].defect == 'it has "yes" among numbers, which is a value of `y`'
    assert table.keys == {}


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "t.ndjson.gz", "t.feather", "t.ARROW"])
def test_json_lines_and_feather_are_known_by_name_or_content(tmp_path, name):
    rows = [{"a": n % 5, "in": {"b": f"0{n % 3}"}, "l": [n]} for n in range(30)]
    lines = "".join(map("{}\n".format, map(json.dumps, rows))).encode()
    if name.endswith(("feather", "ARROW")):
        flat = [{"a": row["a"], "in.b": row["in"]["b"], "l": row["l"]} for row in rows]
        feather.write_feather(pa.Table.from_pylist(flat), tmp_path / name)
        type_name = "feather"
    else:
        (tmp_path / name).write_bytes(gzip.compress(lines, mtime=0) if name.endswith("gz") else lines)
        type_name = "jsonl"
    table = preview_table(tmp_path / name)
    assert (table.type_name, kinds(table)) == (type_name, {"a": "integer", "in.b": "category"})
    assert "Not used: `l`, which has lists, objects or bytes." in table.notes


@pytest.mark.usefixtures("cache")
def test_bytes_that_are_texts_are_texts_and_others_are_not_used(tmp_path):
    rows = [[b"red", b"blu\xc3\xa9"][n % 2] for n in range(30)]
    table = pa.table({"t": pa.array(rows), "b": pa.array([b"\xff", *rows[1:]]), "y": range(30)})
    parquet.write_table(table, tmp_path / "t.parquet")
    found = preview_table(tmp_path / "t.parquet")
    assert kinds(found) == {"t": "category", "y": "integer"}
    assert sorted(found.columns[0].values) == ["blu\u00e9", "red"]
    assert found.notes == ("Not used: `b`, which has lists, objects or bytes.",)


@pytest.mark.usefixtures("cache")
def test_column_of_a_type_that_parquet_lacks_is_not_used(tmp_path):
    spans = pa.array([(1, 2, 3)] * 30, pa.month_day_nano_interval())
    feather.write_feather(pa.table({"a": range(30), "span": spans}), tmp_path / "t.feather", "uncompressed")
    found = preview_table(tmp_path / "t.feather")
    assert (kinds(found), found.notes) == (
        {"a": "integer"},
        ("Not used: `span`, which has lists, objects or bytes.",),
    )


def describe(folder, values, name="v"):
    """Return the facts of a column with these values, repeated to 60 rows, and the notes."""
    rows = "".join(f'"{values[n % len(values)]}",{n % 7}\n' for n in range(max(60, len(values))))
    table = preview(folder, f"{name},y\n{rows}")
    return table.columns[0], table.notes


@pytest.mark.parametrize(
    ("values", "defect"),
    [
        (["$3", "€4"], 'its numbers have different currency signs, such as "$3", "€4"'),
        (["$3", "4"], None),
        (["3%", "4", "5"], 'only 20 of its 60 numbers have a percent sign, such as "3%"'),
        (["3%", "4 %"], None),
        (
            ["2021-01-05", "05.01.2021", "2021-02-06"],
            '20 of its 60 values are not dates of the same form as the others, such as "05.01.2021"',
        ),
        (
            ["10:30", "11:30", "12:30", "31:20"],
            '15 of its 60 values are not times of day as the others, such as "31:20"',
        ),
    ],
)
def test_values_that_cannot_be_compared_are_a_defect(tmp_path, values, defect):
    assert describe(tmp_path, values)[0].defect == defect


@pytest.mark.parametrize(
    ("name", "values", "is_code"),
    [
        ("zip", ["01006", "10001"], True),
        ("zip", ["01006", *["10001"] * 59], True),
        ("month", ["01", "02", "12"], False),
        ("n", ["0", "10"], False),
        ("contact", ["+4930123456", "+33123456789"], True),
        ("change", ["+5", "-3"], False),
        ("change", ["+1500000", "-2500000", "-3500000"], False),
    ],
)
def test_integers_with_leading_zeros_or_plus_signs_are_texts(tmp_path, name, values, is_code):
    column, _ = describe(tmp_path, values, name)
    assert (column.is_code, column.kind) == (is_code, "category" if is_code else "integer")


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (["170 cm", "180 cm", *(f"{n} cm" for n in range(9))], 'it has numbers with the unit "cm"'),
        (
            [*(f"{n} {'cm' if n % 2 else 'in'}" for n in range(9))],
            'it has numbers with different units: "in", "cm"',
        ),
        ([f"{n}.5D+0{n}" for n in range(9)], 'numbers with the exponent D in place of E, such as "'),
        ([f"0x4{n}f" for n in range(9)], 'hexadecimal numbers, such as "0x4'),
        ([f"0x{n}" for n in range(10, 40)], 'hexadecimal numbers, such as "0x'),
        (["Yes", "yes", "No", "maybe"], 'has different values for "Yes" and "yes"'),
        (["10-20", "20-30"], None),
        (
            [*map(str, range(40)), *(f"{letter}x" for letter in "abcdefghijklmnopqrstuvwxyz12345678")],
            "is read as text: only",
        ),
    ],
)
def test_striking_texts_have_a_note(tmp_path, values, note):
    column, notes = describe(tmp_path, values)
    assert column.kind == "category" or column.kind == "unique"
    assert (note is None) == (column.note is None)
    assert note is None or note in notes[0]


@pytest.mark.parametrize(("repeats", "kind"), [(10, "category"), (9, "unique")])
def test_many_texts_are_categories_if_each_is_in_several_rows(tmp_path, repeats, kind):
    rows = "".join(f"shop {n % 1001},{n % 2}\n" for n in range(1001 * repeats))
    column = preview(tmp_path, f"v,y\n{rows}").columns[0]
    assert (column.kind, column.distinct_count, column.id_reason) == (kind, 1001, None)
    assert kind == "unique" or (len(column.values), column.values[:2]) == (1001, ("shop 0", "shop 1"))


@pytest.mark.parametrize(("mark", "unit"), [("° N", "° N"), (" kg", "kg")])
def test_different_numbers_with_units_are_a_defect(tmp_path, mark, unit):
    table = preview(tmp_path, "v,y\n" + "".join(f"{n}.25{mark},{n % 2}\n" for n in range(40)))
    column = table.columns[0]
    assert (column.kind, column.note, column.is_quantity) == ("unique", None, True)
    assert (
        column.defect == f'it has numbers with the unit "{unit}"; numbers without a unit are read as numbers'
    )


def test_signs_between_numbers_are_gaps(tmp_path):
    column, notes = describe(tmp_path, ["-", "-", "-", "12", "15"])
    assert (column.kind, column.stray_count, dict(column.strays)) == ("integer", 36, {"-": 0})
    assert 'such as "-", first in line 2: they are read as missing.' in notes[0]


def test_none_is_a_value_of_texts(tmp_path):
    rows = "".join(f"{n},{['None', 'A', 'B'][n % 3]},{'NA' if n == 7 else n % 5}\n" for n in range(60))
    table = preview(tmp_path, f"a,kind,b\n{rows}")
    assert set(table.columns[1].values) == {"None", "A", "B"}
    assert table.keys == {"missing": {"values": ["NA", "null", "NaN"]}}
    assert table.notes == ('"None" is a value of `kind`, and not a missing value.',)
    table = preview(
        tmp_path, "a,b,kind\n" + "".join(f"{n},{'None' if n % 9 else n},x{n % 2}\n" for n in range(60))
    )
    assert table.keys == {}
    assert dict(table.columns[1].missing_words) == {"None": 53}


def test_bad_dates_are_missing_values(tmp_path):
    rows = "".join(f"2021-01-{n % 28 + 1:02},{n % 5}\n" for n in range(60))
    table = preview(tmp_path, f"when,y\n{rows}2021-02-30,1\n,2\ntbd,3\n")
    when = table.columns[0]
    assert (when.kind, when.missing_count, when.stray_count) == ("date", 1, 2)
    assert dict(when.strays) == {"2021-02-30": 60, "tbd": 62}
    assert table.keys == {"missing": {"values": ["default", "2021-02-30", "tbd"]}}


def test_integers_such_as_20210304_are_dates(tmp_path):
    column, _ = describe(tmp_path, ["20210304", "20201231", "19990101"])
    assert (column.kind, column.date_order) == ("date", "ymd")
    assert describe(tmp_path, ["20210304", "20201232"])[0].kind == "integer"


@pytest.mark.parametrize(
    ("name", "values", "order"),
    [
        ("order_date", ["44197", "44198.5"], "excel"),
        ("created", ["44197", "20000"], "excel"),
        ("amount", ["44197", "44198"], None),
        ("updates", ["44197", "44198"], None),
        ("date", ["19000", "20000"], None),  # days since 1970
        ("date", ["44197", "70000"], None),
    ],
)
def test_numbers_of_excel_are_dates_if_their_name_says_so(tmp_path, name, values, order):
    column, notes = describe(tmp_path, values, name)
    assert (column.kind, column.date_order) == (("date", "excel") if order else (column.kind, None))
    assert order is None or name != "order_date" or "44197 is 2021-01-01" in notes[0]


@pytest.mark.parametrize(
    ("header", "row", "names"),
    [
        ("x,y,kind\nm,kg,\nfirst,second,third\n", "{n},{n},{k}", ["x", "y", "kind"]),
        ("Q1,Q2,Q3\nHow old,How tall,Which kind\n{a},{b},{c}\n", "{n},{n},{k}", ["Q1", "Q2", "Q3"]),
        ("A,,B\nx,y,kind\nm,kg,-\n", "{n},{n},{k}", ["A x", "y", "B kind"]),
        ("color,sold\nColour of it,Was it sold\n", "{k},{k}", ["color", "sold"]),
        ("Q1,Q2\nColour of it,Was it sold\n(x),(y)\n", "{k},{k}", ["Q1", "Q2"]),
        ("a,b,c,d\n", "{k},{k},{k},{k}", None),
    ],
)
def test_all_header_rows_are_recognized(tmp_path, header, row, names):
    rows = "".join(row.format(n=n * 7 % 31, k="pq"[n % 2]) + "\n" for n in range(60))
    text = header.replace("{a},{b},{c}", "<a>,<b>,<c>") + rows
    table = preview(tmp_path, text)
    assert table.row_count == 60
    assert table.keys.get("columns") == names
    assert table.keys.get("skip_lines") == (header.count("\n") if names else None)


def test_too_many_header_rows_have_a_hint_without_a_config(tmp_path):
    header = "x,y,kind\n" + "".join(f"{c}1,{c}2,{c}3\n" for c in "abcde")
    with pytest.raises(PreviewError, match="has several rows of names above its values") as caught:
        preview(tmp_path, header + "".join(f"{n},{n},p\n" for n in range(60)))
    assert caught.value.hint == "Keep one row with the names of the columns as its first line."


def test_row_of_a_total_is_named(tmp_path):
    rows = "".join(f"2021-01-{n % 28 + 1:02},{n}\n" for n in range(60))
    table = preview(tmp_path, f"when,y\n{rows}Total,1770\n")
    assert table.keys == {"missing": {"values": ["default", "Total"], "columns": {"when": "drop"}}}
    assert [(footer.row, footer.column, footer.is_total) for footer in table.survey.footers] == [
        (60, "when", True)
    ]
    assert preview(tmp_path, f"when,y\n{rows}").survey.footers == ()
    words = "".join(f"{'sum' if n % 2 else 'mean'},{n}\n" for n in range(60))
    assert preview(tmp_path, f"how,y\n{words}").survey.footers == ()


def test_footers_are_totals_and_notes_that_no_other_row_has(tmp_path):
    rows = "".join(f"{'ab'[n % 2]},{n},{n % 7}\n" for n in range(60))
    table = preview(tmp_path, f"kind,x,y\n{rows}Total,,210\n,,\nSource: Office,,\n")
    assert [(footer.row, footer.text, footer.is_total) for footer in table.survey.footers] == [
        (60, "Total", True),
        (62, "Source: Office", False),
    ]
    assert sorted(table.columns[0].values) == ["a", "b"]
    assert table.keys["missing"] == {
        "values": ["default", "Total", "Source: Office"],
        "columns": {"kind": "drop"},
    }
    # the last row is an example without numbers
    assert preview(tmp_path, f"kind,x,y\n{rows}a,,\n").survey.footers == ()
    assert preview(tmp_path, f"kind,x,y\n{rows},,300\n").survey.footers == ()


def test_one_word_and_missing_values_are_a_text(tmp_path):
    assert not describe(tmp_path, ["yes", ""])[0].is_boolean
    assert describe(tmp_path, ["yes", "no", ""])[0].is_boolean


def test_binary_formats_without_signature_are_known_by_their_suffix(tmp_path):
    (tmp_path / "t.dta").write_bytes(b"r\x02\x01\x00" * 100)
    with pytest.raises(PreviewError, match="is a Stata file") as caught:
        preview_table(tmp_path / "t.dta")
    assert "pandas.read_stata(" in caught.value.hint


@pytest.mark.parametrize(
    ("values", "is_sentinel"),
    [
        (["-9999", "50", "60", "70"], True),
        (["999", "1", "2", "3"], True),
        (["99", "20", "40", "70"], False),
        (["-99", "0", "400", "70"], True),
        (["-99", "-1", "400", "70"], False),
        (["-9998", "50", "60", "70"], False),
    ],
)
def test_number_unlike_the_others_is_named(tmp_path, values, is_sentinel):
    column, notes = describe(tmp_path, values)
    assert column.kind == "integer"
    assert [
        note.startswith(f"`v` has {values[0]} in 15 rows, unlike its other values") for note in notes
    ] == [True] * is_sentinel


def test_names_longer_than_the_usual_sample_are_read_whole(tmp_path):
    names = [f"{'gene' * 60}{number}" for number in range(1200)]  # 290 KB
    rows = "".join(",".join([str(row % 7)] * 1200) + "\n" for row in range(30))
    table = preview(tmp_path, ",".join(names) + "\n" + rows)
    assert [column.name for column in table.columns] == names
    assert table.row_count == 30

"""Records of CSV and JSON Lines from bytes that arrive in any pieces."""

import csv
import io
import os
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercli.formats.csv import records as module
from layercli.formats.csv.records import (
    BadRecordError,
    is_live,
    iterate_record_batches,
    join_batches,
    parse_fields,
    parse_json_record,
    to_csv_value,
    write_record,
)


class Pieces:
    """A stream from which each read returns the next piece."""

    def __init__(self, pieces):
        self.pieces = list(pieces)

    def read1(self, _size):
        return self.pieces.pop(0) if self.pieces else b""


def batches(*pieces, separator=","):
    return list(iterate_record_batches(Pieces(pieces), separator))


def test_a_batch_has_what_arrived():
    assert batches(b"a,b\n1,2\n3", b",4\n", b"5,6") == [[b"a,b\n", b"1,2\n"], [b"3,4\n"], [b"5,6"]]


def test_blank_lines_and_line_ends():
    assert batches(b"\n1\r\n\r\n 2\r3\n \t\n4") == [[b"1\r\n", b" 2\r", b"3\n"], [b"4"]]


def test_line_breaks_in_quotes():
    assert batches(b'1,"a\n', b'b ""c"" \n', b'"\n2,x"y\n3,z\n') == [
        [b'1,"a\nb ""c"" \n"\n', b'2,x"y\n', b"3,z\n"]
    ]


def test_a_quote_that_never_ends_joins_few_lines(monkeypatch):
    monkeypatch.setattr(module, "_MAX_RECORD_LINES", 3)
    assert batches(b'1,"a\n2\n3\n4\n5\n') == [[b'1,"a\n2\n3\n', b"4\n", b"5\n"]]


def test_lines_of_a_quoted_value_are_read_once(monkeypatch):
    read = []
    is_complete = module._is_complete
    monkeypatch.setattr(
        module, "_is_complete", lambda text, separator: read.append(text) or is_complete(text, separator)
    )
    lines = [b'1,"a\n', *[b'x"",y\n'] * 100, b'z"\n', b'2,"b"\n']
    assert batches(b"".join(lines)) == [[b"".join(lines[:-1]), b'2,"b"\n']]
    assert len(b"".join(read)) <= 2 * len(b"".join(lines))


def test_carriage_return_at_the_end_waits_for_its_line_feed():
    assert batches(b"1\r", b"\n2\r", b"3\n") == [[b"1\r\n"], [b"2\r", b"3\n"]]


def test_long_lines_are_divided(monkeypatch):
    monkeypatch.setattr(module, "_MAX_RECORD_BYTES", 4)
    assert batches(b"12", b"345", b"6\n7\n") == [[b"12345"], [b"6\n", b"7\n"]]


def test_batches_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_BATCH_RECORDS", 2)
    assert [len(batch) for batch in batches(b"1\n2\n3\n4\n5\n")] == [2, 2, 1]


CELLS = st.text(st.sampled_from('a",;\n\r é '), min_size=1, max_size=6).map(lambda text: f"x{text}")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=5), st.lists(st.integers(0, 60))
)
def test_records_are_those_of_the_csv_module(rows, cuts):
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    content = text.getvalue().encode()
    edges = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    pieces = [content[first:last] for first, last in pairwise(edges)]
    found = [parse_fields(record, ",") for batch in batches(*pieces) for record in batch]
    assert found == rows


def test_values_of_json_as_csv():
    record = b'{"b": "x,\\"y", "a": 1.5, "c": null, "d": true, "other": [1]}'
    names = ["a", "b", "c", "d"]
    values = [*map(to_csv_value, names, parse_json_record(record, names))]
    assert values == ["1.5", 'x,"y', "", "true"]
    assert write_record(values, ",") == b'1.5,"x,""y",,true\n'


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"{", "not JSON: Expecting property name"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"a": 1}', "it has no `b`"),
        (b"{}", "it has no `a`, `b`"),
    ],
)
def test_bad_json(record, message):
    with pytest.raises(BadRecordError, match=message):
        parse_json_record(record, ["a", "b"])


def test_list_is_refused_as_a_value_of_a_table():
    with pytest.raises(BadRecordError, match="`b` must be a number or a text"):
        to_csv_value("b", [2])


def test_batches_of_a_file_do_not_depend_on_its_pieces(monkeypatch):
    monkeypatch.setattr(module, "MAX_BATCH_RECORDS", 3)
    for pieces in ([[b"1"], [b"2", b"3", b"4"], [b"5"]], [[b"1", b"2", b"3"], [b"4", b"5"]]):
        assert list(join_batches(pieces)) == [[b"1", b"2", b"3"], [b"4", b"5"]]
    monkeypatch.setattr(module, "_MAX_BATCH_BYTES", 3)
    assert list(join_batches([[b"11", b"22"], [b"3"]])) == [[b"11", b"22"], [b"3"]]


def test_only_pipes_are_live(tmp_path):
    reader, writer = os.pipe()
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert is_live(pipe)
    file = tmp_path / "t.csv"
    file.write_bytes(b"1")
    with file.open("rb") as opened:
        assert not is_live(opened)
    assert not is_live(io.BytesIO())


def test_all_missing_names_of_an_object_are_listed():
    names = [f"n{number}" for number in range(22)]
    with pytest.raises(BadRecordError) as raised:
        parse_json_record(b'{"n0": 1}', names[:7])
    assert str(raised.value) == "it has no `n1`, `n2`, `n3`, `n4`, `n5`, `n6`"
    with pytest.raises(BadRecordError, match=r"`n19`, `n20` and 1 more$"):
        parse_json_record(b'{"n0": 1}', names)


@pytest.mark.parametrize("length", [131_073, 1_000_000])
def test_values_longer_than_the_limit_of_python_are_read(length):
    text = "x" * length
    assert parse_fields(f'1,"{text}\n",2'.encode(), ",") == ["1", f"{text}\n", "2"]
    record = f'1,"{text}\n,{text}"\n'.encode()
    assert batches(record) == [[record]]

"""The type of a table, from the name of its file or its first bytes."""

from pathlib import Path

import pytest

from layercli.formats.table_types import find_binary_type, find_table_type, has_table_suffix


@pytest.mark.parametrize(
    ("name", "type_name"),
    [
        ("a.csv", "csv"),
        ("a.TSV", "csv"),
        ("a.parquet", "parquet"),
        ("a.pq", "parquet"),
        ("a.jsonl", "jsonl"),
        ("folder.csv/a.ndjson.gz", "jsonl"),
        ("a.feather", "feather"),
        ("a.arrow", "feather"),
        ("a.csv.zip", "csv"),
        ("a.parquet.txt", "csv"),
        ("a.gz", "csv"),
        ("a", "csv"),
    ],
)
def test_type_by_the_name_of_the_file(name, type_name):
    assert find_table_type(name).type_name() == type_name


@pytest.mark.parametrize(
    ("start", "type_name"),
    [
        (b"PAR1\x15\x00", "parquet"),
        (b"ARROW1\x00\x00", "feather"),
        (b"FEA1", None),
        (b"x,PAR1", None),
        (b"", None),
    ],
)
def test_type_by_the_first_bytes(start, type_name):
    found = find_binary_type(start)
    assert (None if found is None else found.type_name()) == type_name


def test_suffixes_of_tables():
    names = ["a.csv", "a.tsv", "a.Parquet", "a.pq", "a.jsonl", "a.ndjson", "a.feather", "a.arrow"]
    others = ["a.csv.gz", "a.orc", "a.npz", "a.txt", "csv", ""]
    assert [name for name in [*names, *others] if has_table_suffix(Path(name))] == names

"""Names and values in data cannot become references, numbers or syntax in the config that ``init`` writes."""

import csv
import os

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from layercli.check import check_config
from layercli.reports.template_quotes import quote_yaml_text
from tests.running import invoke


def test_column_name_is_not_a_reference():
    assert quote_yaml_text("${v}") == '"$${v}"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u2028b", '"a\\u2028b"'),
        ("a\x85b", '"a\\u0085b"'),
        ("\x7f", '"\\u007f"'),
        ("\u202eb", '"\\u202eb"'),
        ("\U000e0001", '"\\U000e0001"'),
        ("😀", '"😀"'),
        ("null", '"null"'),
        ("2020", '"2020"'),
    ],
)
def test_special_characters_are_escaped(text, expected):
    assert quote_yaml_text(text) == expected
    assert yaml.safe_load(expected) == text


def test_config_of_a_table_with_hostile_names_is_valid(tmp_path):
    names = ["${v}", "0x1", "scaled", "a", "a_vector", "dense", "numbers", "x: y", "null"]
    values = ["${a}", "$${c}", "😀", "\x85z"]
    with (tmp_path / "d.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["size", *names, "${y}"])
        rows.writerows(
            [row, *[values[(row + column) % 4] for column in range(len(names))], "${p}" if row % 2 else "q"]
            for row in range(40)
        )
    config = tmp_path / "2020.yaml"
    result = invoke("init", tmp_path / "d.csv", "--target", "${y}", "--output", config)
    assert result.exit_code == 0, result.output
    checked = check_config(str(config))
    assert checked.problems == []
    assert checked.config.name == "2020"
    assert checked.config.data.target == "${y}"
    lookups = [entry.layer for entry in checked.config.model.layers if "StringLookup" in str(entry.layer)]
    assert len(lookups) == len(names)
    assert all({"${a}", "$${c}", "😀"} <= set(lookup.vocabulary) for lookup in lookups)


def test_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "d.csv")
    result = invoke("init", tmp_path / "d.csv", "--output", tmp_path / "c.yaml")
    assert result.exit_code == 1
    assert "The file is not a regular file." in result.output
    (tmp_path / "arrays").mkdir()
    os.mkfifo(tmp_path / "arrays" / "x.npy")
    result = invoke("init", tmp_path / "arrays", "--output", tmp_path / "c.yaml")
    assert result.exit_code == 1
    assert "contains no file x.npy" in result.output.replace("\n", " ")


def test_arrays_with_more_axes_than_a_config_can_declare_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((9, *[1] * 9)), y=np.arange(9))
    result = invoke("init", tmp_path / "a.npz", "--output", tmp_path / "c.yaml")
    assert result.exit_code == 1
    assert "must have at most 8 axes, got 9" in result.output


def test_parquet_file_that_expands_to_more_than_a_gibibyte_is_refused(tmp_path):
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2000, "int32")), pa.array(["x" * 1_000_000]))
    table = pa.table({" t ": words, "n": np.arange(2000), "y": np.arange(2000) % 2})
    parquet.write_table(table, tmp_path / "d.parquet")
    result = invoke("init", tmp_path / "d.parquet", "--target", "y", "--output", tmp_path / "c.yaml")
    assert result.exit_code == 1
    assert "bytes of memory, but only 1,073,741,824 bytes are available for it" in " ".join(
        result.output.split()
    )

"""csv data: parsing, label inference, missing values."""

import gzip

import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.formats.registry import load_dataset
from tests.formats.helpers import csv, refusal


def test_table_with_quotes_blanks_and_missing_values(place):
    text = 'a, b ,name,y\n1, 2.5,"x, y" ,no\n3,?,z , yes\n\n4,5,NA,no\n'
    examples = load_dataset(
        DATA_TYPES.parse(csv(place, text, inputs={"numbers": ["a", "b"], "name": "name"}))
    )
    assert examples.class_names == ("no", "yes")
    assert examples.y.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(
        examples.x["numbers"], np.array([[1, 2.5], [3, np.nan], [4, 5]], np.float32)
    )
    assert examples.x["name"].tolist() == [["x, y"], ["z"], [""]]


def test_gzipped_files_without_header_with_other_separator(place):
    for number in range(3):
        with gzip.open(place / f"part{number}.csv.gz", "wt") as file:
            file.write(f"{number};1\n{number};2\n")
    data = {"type": "csv", "path": "part*.csv.gz", "target": "y", "separator": ";", "columns": ["a", "y"]}
    examples = load_dataset(DATA_TYPES.parse(data))
    assert examples.x.ravel().tolist() == [0, 0, 1, 1, 2, 2]
    assert examples.y.dtype == np.float32  # integers from 1 are not labels
    assert load_dataset(DATA_TYPES.parse(data | {"target_type": "labels"})).class_names == ("1", "2")


def test_integers_without_gaps_are_labels_by_default(place):
    data = csv(place, "a,y\n1,0\n2,1\n3,2\n")
    assert load_dataset(DATA_TYPES.parse(data)).facts().classes == 3
    assert load_dataset(DATA_TYPES.parse(data | {"target_type": "numbers"})).facts().classes is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,y\n1,0\n2\n", "t.csv cannot be read: line 3 has 1 value, but there are 2 columns."),
        ("a,b\n1,0\n", 'Unknown column "y".'),
        ("a,y\n1,0\n2,\n", "The target `y` is missing in t.csv, line 3."),
        (
            "a,y\nx,0\n",
            'The column `a` must contain numbers, got text (t.csv, line 2 has "x"); '
            "an input with several columns takes only numbers.",
        ),
        ("y\n0\n", "The table has no input columns, only the target."),
        ("", "t.csv cannot be read: it is empty."),
    ],
)
def test_invalid_table(place, text, message):
    assert refusal(**csv(place, text))[1] == message


def test_missing_numbers_are_filled_with_training_mean(place):
    rows = "".join(f"{'NA' if n % 4 == 0 else n},{n % 2},{n % 3}\n" for n in range(40))
    data = csv(place, "a,b,y\n" + rows, missing={"numbers": "mean"}, split={"test": 0.5}, shuffle=False)
    parsed = DATA_TYPES.parse(data)
    parts = load_dataset(parsed).split(parsed.split, seed=0, shuffle=False)
    known = [n for n in range(20) if n % 4]
    assert parts.train.x[0, 0] == parts.test.x[0, 0] == pytest.approx(sum(known) / len(known))
    assert not np.isnan(parts.test.x).any()

"""Texts of tables as numbers, booleans and dates: in memory and streamed, in training and in new files."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.data.examples import load_examples
from layercli.data.reader_state import ReaderState
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset, load_new_dataset

HOW = pytest.mark.parametrize("stream", ["never", "always"])


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Write a file and return its ``data`` section."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(text, stream="never", name="t.csv", **keys):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return DATA_TYPES.parse({"type": "csv", "path": name, "target": "y", "stream": stream} | keys)

    return make


def read(data, **dtypes):
    return load_examples(load_dataset(data, dtypes=dtypes))


def findings(data, **dtypes):
    with pytest.raises(DataError) as caught:
        load_dataset(data, dtypes=dtypes)
    return [(found.message, found.hint) for found in caught.value.findings]


@HOW
@pytest.mark.parametrize(
    ("values", "keys", "numbers"),
    [
        (["TRUE", "False", "true"], {}, [1, 0, 1]),
        (["yes", "no", "Yes"], {}, [1, 0, 1]),
        (["12%", "3 %", "0.5%"], {}, [12, 3, 0.5]),
        (["$5", "($2)", "7"], {}, [5, -2, 7]),
        (["\u22125", "5", "6"], {}, [-5, 5, 6]),
        (['"1,234.5"', "7", "8"], {"thousands": ","}, [1234.5, 7, 8]),
        (['"1.234,5"', '"7,25"', "8"], {"decimal": ",", "thousands": "."}, [1234.5, 7.25, 8]),
        (['"7,25"', "8", '"-1,5"'], {"decimal": ","}, [7.25, 8, -1.5]),
        (["1", " ", "3"], {}, [1, np.nan, 3]),
        (["1", "   ", "3"], {}, [1, np.nan, 3]),
        (["1", "N/A", "#N/A"], {}, [1, np.nan, np.nan]),
        (["None", "<NA>", "2"], {}, [np.nan, np.nan, 2]),
        (["1", "-", "2"], {"missing": {"values": ["default", "-"]}}, [1, np.nan, 2]),
        (["inf", "-inf", "1"], {}, [np.inf, -np.inf, 1]),
    ],
)
def test_numbers_of_an_input(make, stream, values, keys, numbers):
    rows = "".join(f"{value},{row % 2}\n" for row, value in enumerate(values))
    np.testing.assert_array_equal(read(make(f"a,y\n{rows}", stream, **keys)).x.ravel(), np.float32(numbers))


@HOW
def test_classes_and_texts_keep_their_spelling(make, stream):
    data = make("flag,zip,y\nTRUE,01234,True\nfalse,99,False\n", stream, inputs={"f": "flag", "z": "zip"})
    examples = read(data, f="string", z="string")
    assert examples.class_names == ("False", "True")
    assert [examples.x["f"].tolist(), examples.x["z"].tolist()] == [
        [["TRUE"], ["false"]],
        [["01234"], ["99"]],
    ]
    assert read(data, f="float32", z="int64").x["f"].tolist() == [[1], [0]]


@HOW
def test_ids_beyond_float_precision_are_exact_as_texts(make, stream):
    data = make("id,y\n9007199254740993,0\n123456789012345678901234567890,1\n", stream, inputs={"id": "id"})
    assert read(data, id="string").x["id"].ravel().tolist() == [
        "9007199254740993",
        "123456789012345678901234567890",
    ]


@HOW
@pytest.mark.parametrize(
    ("values", "keys", "message", "hint"),
    [
        (
            ["1", "2", "n.v."],
            {},
            'The column `a` must contain numbers, got text (t.csv, line 4 has "n.v."); 2 of its 3 values are numbers.',
            'If this means a missing value, set `missing: {values: [default, "n.v."]}`; if the column is text, '
            "set `types: {a: text}`.",
        ),
        (
            ['"1,5"', '"2,5"'],
            {},
            'The column `a` must contain numbers, got text (t.csv, line 2 has "1,5"); its values seem to be numbers in '
            "another format.",
            'Set `decimal: ","`.',
        ),
        (
            ['"1.234,5"', "3"],
            {},
            'The column `a` must contain numbers, got text (t.csv, line 2 has "1.234,5"); its values seem to be numbers in '
            "another format.",
            'Set `decimal: ","` and `thousands: "."`.',
        ),
        (
            ["5%", "6%", "7"],
            {},
            'The column `a` must contain numbers, got text (t.csv, line 2 has "5%"); 3 of its 3 values are numbers.',
            "Write all of its values with the same sign, or read it as text: `types: {a: text}`.",
        ),
        (
            ["31.12.2020", "01.02.2021"],
            {},
            'The column `a` must contain numbers, got dates (t.csv, line 2 has "31.12.2020").',
            "Set `dates: {a: [year, month, weekday, hour, elapsed]}`.",
        ),
        (
            ["2020-12-31", "2021-02-01"],
            {},
            "The column `a` must contain numbers, got dates (`a`).",
            "Set `dates: {a: [year, month, weekday, hour, elapsed]}`.",
        ),
        (
            ["yes", "no", "perhaps"],
            {},
            'The column `a` must contain numbers, got text (t.csv, line 4 has "perhaps"); '
            "an input with several columns takes only numbers.",
            "Use a separate input, as in `inputs: {a: a}`, and start it with a StringLookup layer.",
        ),
        (
            ["31.12.2020", "30.02.2021", "soon", "01.01.2021", "02.01.2021"],
            {"dates": {"a": ["year"]}},
            'The column `a` must contain dates, got "30.02.2021" in t.csv, line 3 (2 rows affected).',
            'Correct it, or set `missing: {values: [default, "30.02.2021"]}` if it means a missing value.',
        ),
        (
            ["red", "blue"],
            {"dates": {"a": ["year"]}},
            "The column `a` must contain dates (t.csv, line 2).",
            "Write the dates as 2020-12-31, 31.12.2020, 12/31/2020 or seconds since 1970; or remove the column from `dates`.",
        ),
    ],
)
def test_values_that_cannot_be_read(make, stream, values, keys, message, hint):
    rows = "".join(f"{value},{row % 2}\n" for row, value in enumerate(values))
    found = findings(make(f"a,y\n{rows}", stream, **keys))
    assert found == [(message.replace("(`a`)", '(t.csv, line 2 has "2020-12-31")'), hint)]


@HOW
def test_value_that_is_not_a_number_is_found_in_late_rows(make, stream):
    text = "a,y\n" + "1.5,0\n" * 300_000 + "unknown,1\n"
    [(message, _)] = findings(make(text, stream))
    assert message.startswith(
        'The column `a` must contain numbers, got text (t.csv, line 300002 has "unknown");'
    )
    warnings = load_dataset(make(text, stream, inputs={"a": "a"}), dtypes={"a": "string"}).findings
    assert [(found.code, found.severity, found.message) for found in warnings] == [
        (
            "mixed-column",
            "warning",
            '`a` is read as text, although 300,000 of its 300,001 values are numbers: t.csv, line 300002 has "unknown".',
        )
    ]
    quiet = make(text, stream, inputs={"a": "a"}, types={"a": "text"})
    assert load_dataset(quiet, dtypes={"a": "string"}).findings == ()


@HOW
def test_texts_of_parquet_files(make, stream, tmp_path):
    make("")
    table = pa.table({"a": ["1", "2", "?"], "b": ["t", "f", "t"], "c": [2, 1, 0], "y": [0, 1, 0]})
    parquet.write_table(table, tmp_path / "t.parquet")
    data = DATA_TYPES.parse({"type": "parquet", "path": "t.parquet", "target": "y", "stream": stream})
    np.testing.assert_array_equal(read(data).x, np.float32([[1, 1, 2], [2, 0, 1], [np.nan, 1, 0]]))
    named = data.with_arguments(inputs={"c": ["c"]})
    assert read(named, c="string").x["c"].ravel().tolist() == ["2", "1", "0"]
    parquet.write_table(table.set_column(0, "a", pa.array(["1", "2", "x"])), tmp_path / "t.parquet")
    assert findings(data)[0][0] == (
        'The column `a` must contain numbers, got text (t.parquet, row 3 has "x"); 2 of its 3 values are numbers.'
    )


DATES = "when,a,y\n" + "".join(f"{day:02}/01/2021 06:00,{day},{day % 2}\n" for day in range(10, 20))


@HOW
def test_dates_become_numbers_in_place(make, stream):
    data = make(DATES, stream, dates={"when": ["month", "weekday", "hour", "elapsed"]})
    examples = read(data)
    assert examples.columns == {None: ("when.month", "when.weekday", "when.hour", "when.elapsed", "a")}
    np.testing.assert_array_equal(examples.x[:2], np.float32([[1, 6, 6, 0, 10], [1, 0, 6, 1, 11]]))
    named = make(
        DATES, stream, dates={"when": ["month", "hour"]}, inputs={"n": ["a", "when"], "h": "when.hour"}
    )
    assert read(named).columns == {"n": ("a", "when.month", "when.hour"), "h": ("when.hour",)}


@HOW
def test_elapsed_days_count_from_the_first_training_date(make, stream):
    data = make(
        DATES, stream, dates={"when": ["elapsed"]}, inputs={"n": "when"}, split={"test": 0.5}, shuffle=True
    )
    dataset = load_dataset(data)
    splits = dataset.split(SplitConfig(test=0.5), seed=0, shuffle=True)
    train, test = (load_examples(subset).x["n"].ravel() for subset in (splits.train, splits.test))
    assert train.min() == 0
    assert test.min() < 0  # the first day is in the test set
    # New rows are read as those of training: the order of day and month too, which 03/02 does not show.
    state = ReaderState.from_json(ReaderState.from_splits(splits).to_json())
    make("when,a,y\n03/02/2021 06:00,1,0\n", name="new.csv")
    new = load_examples(load_new_dataset(data, ["new.csv"], state, has_targets=False))
    assert new.x["n"].tolist() == [[24 - (-test.min())]]


@HOW
def test_missing_dates_follow_the_policy_of_their_column(make, stream):
    text = "when,y\n2021-01-01,0\n,1\n2021-01-05,0\n2021-01-03,1\n"
    keys = {"dates": {"when": ["day", "elapsed"]}}
    filled = make(text, stream, missing={"columns": {"when": "median"}}, **keys)
    splits = load_dataset(filled).split(SplitConfig(), seed=0, shuffle=False)
    assert load_examples(splits.train).x.tolist() == [[1, 0], [3, 2], [5, 4], [3, 2]]
    constant = make(text, stream, missing={"columns": {"when": -1}}, **keys)
    splits = load_dataset(constant).split(SplitConfig(), seed=0, shuffle=False)
    assert load_examples(splits.train).x.tolist() == [[1, 0], [-1, -1], [5, 4], [3, 2]]
    dropped = make(text, stream, missing={"columns": {"when": "drop"}}, **keys)
    assert len(load_dataset(dropped)) == 3


@HOW
def test_ambiguous_dates_are_reported(make, stream):
    text = "when,y\n01/02/2021,0\n05/04/2020,1\n01/03/2021,0\n"
    [found] = load_dataset(make(text, stream, dates={"when": ["month"]})).findings
    assert (found.code, found.hint) == (
        "ambiguous-dates",
        "Declare it: `when: {order: dmy, features: [month]}`, or `order: mdy`.",
    )
    declared = make(text, stream, dates={"when": {"order": "mdy", "features": ["month"]}})
    assert load_dataset(declared).findings == ()
    assert read(declared).x.ravel().tolist() == [1, 5, 1]


@HOW
def test_new_rows_may_have_other_words_and_signs(make, stream):
    data = make("flag,share,y\nTRUE,5%,0\nFALSE,6%,1\n", stream)
    state = ReaderState.from_splits(load_dataset(data).split(SplitConfig(), seed=0, shuffle=False))
    make("flag,share\nno,7\nyes,8%\n", name="new.csv")
    assert load_examples(load_new_dataset(data, ["new.csv"], state, has_targets=False)).x.tolist() == [
        [0, 7],
        [1, 8],
    ]
    make("flag,share\n1,7\n0,8\n", name="new.csv")
    assert load_examples(load_new_dataset(data, ["new.csv"], state, has_targets=False)).x.tolist() == [
        [1, 7],
        [0, 8],
    ]
    make("flag,share\nyes,7\nno,8\nperhaps,x\n", name="bad.csv")
    with pytest.raises(DataError) as caught:
        load_new_dataset(data, ["bad.csv"], state, has_targets=False)
    assert [found.message for found in caught.value.findings] == [
        'The column `flag` must contain numbers, got text (bad.csv, line 4 has "perhaps").',
        'The column `share` must contain numbers, got text (bad.csv, line 4 has "x"); 2 of its 3 values are numbers.',
    ]


@HOW
def test_repeated_and_empty_names(make, stream):
    dataset = load_dataset(make(",a,a,y\n0,1,2,0\n1,3,4,1\n", stream))
    assert dataset.empty_batch.columns == {None: ("column_1", "a", "a.1")}
    assert [found.message for found in dataset.findings] == [
        "t.csv names the columns 2 and 3 `a`; the later ones are `a.1` here."
    ]
    assert load_examples(dataset).x.tolist() == [[0, 1, 2], [1, 3, 4]]


@HOW
def test_name_of_a_number_of_a_date_must_be_free(make, stream):
    data = make("when,when.year,y\n2021-01-01,1,0\n", stream, dates={"when": ["year"]})
    assert findings(data) == [
        ("The name `when.year` is both a column and a number of a date.", "Rename the column in the file.")
    ]

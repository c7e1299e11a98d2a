"""Windows have consecutive rows and a target, and never span a boundary."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import csv
from pydantic import ValidationError

from layercli.config.data.section import DATA_TYPES, SplitConfig
from layercli.config.data.tables import WindowsConfig
from layercli.data.examples import ShuffleSeed, load_examples
from layercli.data.reader_state import ReaderState
from layercli.data.tables import windows as windows_module
from layercli.data.tables.plan import TablePlan
from layercli.data.tables.row_order import SeriesIds, order_rows
from layercli.data.tables.windows import find_window_starts, split_segments
from layercli.data.types import DataError
from layercli.formats.csv import reader as csv_reader
from layercli.formats.registry import load_dataset, load_new_dataset
from tests.formats.helpers import refusal


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(csv_reader, "_MAX_GROUP_ROWS", 7)


def section(tmp_path, table, *, files=1, **keys):
    """Return a data section of a table that is split over several files."""
    table = pa.table(table)
    for number, rows in enumerate(np.array_split(np.arange(len(table)), files)):
        csv.write_csv(table.take(rows), tmp_path / f"t{number}.csv")
    data = {"type": "csv", "path": str(tmp_path / "t*.csv"), "target": "v", "inputs": {"x": ["v", "u"]}}
    return DATA_TYPES.parse(data | {"windows": {"length": 3}} | keys)


def series(count, rows):
    """Return rows with their index in column v and their series in column u."""
    return {"v": np.arange(count * rows), "u": np.repeat(np.arange(count), rows)}


@pytest.mark.parametrize("how", ["never", "always"])
@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ({"length": 3}, [2, 3, 4, 5, 6, 7, 8]),
        ({"length": 3, "horizon": 2, "stride": 2}, [2, 4, 6]),
        ({"length": 3, "horizon": 0}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"length": 1}, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ({"length": 1, "horizon": 0}, None),
        ({"length": 2, "steps": 3, "by": "u"}, [1, 6]),
        ({"length": 1, "horizon": 0, "steps": 2}, None),
    ],
)
def test_last_target_before_those_to_predict(tmp_path, how, windows, expected):
    rows = series(2, 5) if "by" in windows else series(1, 10)
    inputs = {"inputs": {"x": ["u"]}}  # without the target, which is in the last row if the horizon is 0
    data = section(tmp_path, rows, windows=windows, target_type="numbers", stream=how, **inputs)
    source = load_dataset(data)
    examples = load_examples(source)
    last = examples.last_targets
    assert (None if last is None else last.tolist()) == expected
    if last is not None:
        assert examples.take(np.array([1, 0])).last_targets.tolist() == [expected[1], expected[0]]
        split = source.split(data.split, seed=0, shuffle=False)
        assert load_examples(split.train).last_targets.tolist() == expected


@pytest.mark.parametrize("how", ["never", "always"])
def test_window_has_the_rows_before_its_target(tmp_path, how):
    data = section(
        tmp_path,
        series(1, 10),
        windows={"length": 3, "horizon": 2, "stride": 2},
        target_type="numbers",
        stream=how,
    )
    source = load_dataset(data)
    assert (source.facts().inputs, source.facts().samples) == ({"x": (3, 2)}, 3)
    assert load_examples(source).x["x"][:, :, 0].tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert load_examples(source).y.tolist() == [4, 6, 8]
    at_once = load_dataset(
        data.with_arguments(windows=WindowsConfig(length=3, horizon=0), inputs={"x": ["u"]})
    )
    assert load_examples(at_once).y.tolist() == list(range(2, 10))


@pytest.mark.parametrize("how", ["never", "always"])
def test_no_window_spans_files_series_or_dropped_rows(tmp_path, how):
    table = series(2, 12)
    mixed = np.random.default_rng(0).permutation(np.repeat([0, 1], 12))  # interleaved rows of two stations
    order = np.argsort(np.argsort(mixed, kind="stable"))
    table = {name: column[order] for name, column in table.items()}
    v = pa.array(table["v"], mask=table["v"] == 5)
    table = {"v": v, "u": table["u"], "station": np.where(table["u"], "a", "b"), "w": table["v"]}
    data = section(
        tmp_path,
        table,
        files=2,
        stream=how,
        target_type="numbers",
        weights="w",
        windows={"length": 3, "by": "station"},
        missing={"columns": {"v": "drop"}},
    )
    found = load_examples(load_dataset(data))
    files = [csv.read_csv(tmp_path / f"t{number}.csv")["w"].to_pylist() for number in range(2)]
    first = {row: number for number, rows in enumerate(files) for row in rows}
    expected = [
        [row, row + 1, row + 2]
        for row in range(24)
        if all(
            r < 24 and r // 12 == row // 12 and r != 5 and first[r] == first[row] for r in range(row, row + 4)
        )
    ]
    assert sorted(found.x["x"][:, :, 0].tolist()) == expected
    assert (found.x["x"][:, -1, 0] + 1).tolist() == found.y.tolist() == found.weights.tolist()


@settings(max_examples=200)
@example(keys=[0], cuts=1, dropped={0}, length=1, horizon=0, stride=1, keyed=True, validation=0.0, test=0.0)
@given(
    keys=st.lists(st.integers(0, 3), min_size=1, max_size=80),
    cuts=st.integers(1, 4),
    dropped=st.sets(st.integers(0, 79)),
    length=st.integers(1, 6),
    horizon=st.integers(0, 3),
    stride=st.integers(1, 4),
    keyed=st.booleans(),
    validation=st.floats(0, 0.4),
    test=st.floats(0, 0.4),
)
def test_windows_stay_in_one_split_one_series_and_one_file(
    keys, cuts, dropped, length, horizon, stride, keyed, validation, test
):
    keys = np.array(keys)
    files = [len(part) for part in np.array_split(keys, cuts)]
    file_of = np.repeat(np.arange(cuts), files)
    kept = np.array([row not in dropped for row in range(len(keys))])
    line = order_rows(keys if keyed else None, files, kept if dropped else None)
    rows = np.flatnonzero(kept) if dropped else np.arange(len(keys))  # table row of each kept row
    span = length + horizon
    split = SplitConfig(validation=validation, test=test)
    seen = []
    for part in split_segments(line, len(rows), split):
        used = set()
        for start in find_window_starts(part, span, stride):
            places = np.arange(start, start + span)
            own = rows[places if line.permutation is None else line.permutation[places]]
            assert len(set(file_of[own])) == 1
            if keyed:
                assert len(set(keys[own])) == 1
                between = np.flatnonzero(keys == keys[own[0]])
                assert np.array_equal(between[(between >= own[0]) & (between <= own[-1])], own)
            else:
                assert np.array_equal(np.diff(own), np.ones(span - 1))
            used |= set(own.tolist())
        seen.append(used)
    assert sum(map(len, seen)) == len(set().union(*seen))
    order = np.arange(len(rows)) if line.permutation is None else line.permutation
    for key in set(keys[rows]) if keyed else [None]:
        own = [row for row in order if key is None or keys[rows[row]] == key]
        counts = split.counts(len(own))
        ends = np.cumsum(counts)
        where = {rows[row]: np.searchsorted(ends, place, side="right") for place, row in enumerate(own)}
        assert all(where[row] == part for part in range(3) for row in seen[part] if row in where)


def test_splits_are_in_time_order_and_filled_from_training_rows(tmp_path):
    v = np.arange(20.0)
    table = {"v": pa.array(v, mask=v % 5 == 0), "u": np.zeros(20)}
    data = section(
        tmp_path,
        table,
        missing={"numbers": "mean", "columns": {"v": "mean"}},
        target_type="numbers",
        weights=None,
        target="u",
        inputs={"x": ["v"]},
    )
    results = []
    for how in ("never", "always"):
        parts = load_dataset(data.with_arguments(stream=how)).split(
            SplitConfig(validation=0.25, test=0.25), seed=0, shuffle=True
        )
        results.append([load_examples(part).x["x"][..., 0].tolist() for part in parts.subsets])
        assert parts.table_plan.fill_values == {"v": np.mean([n for n in range(10) if n % 5])}
    train, validation, test = results[0]
    assert train[0] == [parts.table_plan.fill_values["v"], 1, 2]
    assert (len(train), validation[0][1:], test[-1]) == (7, [11, 12], [16, 17, 18])
    assert results[0] == results[1]


@pytest.mark.parametrize("shuffle", [ShuffleSeed(1, 2), None])
def test_gathered_windows_equal_windows_in_memory(tmp_path, monkeypatch, shuffle):
    data = section(tmp_path, series(3, 30), windows={"length": 4, "by": ["u"]}, target_type="numbers")
    laid_out = load_dataset(data).split(SplitConfig(test=0.3), seed=0, shuffle=True).train
    monkeypatch.setattr(windows_module, "_MAX_MEMORY_BYTES", 0)
    lazy = (
        load_dataset(data.with_arguments(stream="always"))
        .split(SplitConfig(test=0.3), seed=0, shuffle=True)
        .train
    )
    assert (len(laid_out), type(lazy).__name__) == (3 * 17, "WindowedExamples")
    for start in (0, 3):
        pairs = zip(
            *(part.batches(8, shuffle=shuffle, start=start) for part in (laid_out, lazy)), strict=True
        )
        for one, other in pairs:
            np.testing.assert_array_equal(one.x["x"], other.x["x"])
            np.testing.assert_array_equal(one.y, other.y)
    monkeypatch.setattr(windows_module, "_DIGEST_BATCH", 10)
    assert laid_out.digest() != lazy.digest()
    monkeypatch.setattr(windows_module, "_MAX_MEMORY_BYTES", 1 << 20)
    assert laid_out.digest() == lazy.digest()


def test_windows_are_in_memory_only_if_all_sets_are_small(tmp_path, monkeypatch):
    data = section(tmp_path, series(1, 30), windows={"length": 4}, target_type="numbers")
    split = SplitConfig(validation=0.2, test=0.2)  # windows of 4 rows of 2 columns

    def kinds(limit):
        monkeypatch.setattr(windows_module, "_MAX_MEMORY_BYTES", limit)
        subsets = load_dataset(data).split(split, seed=0, shuffle=False).subsets
        return [(len(subset), type(subset).__name__) for subset in subsets]

    size = 4 * 2 * 4
    assert kinds(14 * size) == [(count, "TableExamples") for count in (14, 2, 2)]
    assert {kind for _, kind in kinds(14 * size - 1)} == {"WindowedExamples"}


@pytest.mark.parametrize("how", ["never", "always"])
def test_windows_of_new_rows_need_no_targets(tmp_path, how):
    data = section(
        tmp_path,
        series(2, 10) | {"station": ["a"] * 10 + ["b"] * 10},
        target_type="numbers",
        inputs={"x": ["u"]},
        windows={"length": 3, "horizon": 2, "by": "station"},
        stream=how,
    )
    plan = TablePlan.from_json(
        json.loads(
            json.dumps(load_dataset(data).split(SplitConfig(), seed=0, shuffle=True).table_plan.to_json())
        )
    )
    (tmp_path / "new.csv").write_text("u,station\n1,a\n2,a\n3,a\n4,b\n5,b\n6,b\n7,b\n")
    found = load_examples(
        csv_reader.read_new_dataset(
            data, [str(tmp_path / "new.csv")], ReaderState({}, table_plan=plan), None, has_targets=False
        )
    )
    assert found.x["x"][..., 0].tolist() == [[1, 2, 3], [4, 5, 6], [5, 6, 7]]


def test_short_table_has_no_windows(tmp_path):
    source = load_dataset(section(tmp_path, series(1, 3)))
    assert (len(source), source.facts().samples) == (0, 0)


def test_text_is_not_streamed_in_windows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("t,y\na,1\nb,2\n")
    keys = {"type": "csv", "path": "t.csv", "target": "y", "inputs": {"t": "t"}, "windows": {"length": 1}}
    assert (
        refusal(**keys, stream="always")[1]
        == "The input `t` contains text, but streamed windows support only numbers."
    )
    assert load_examples(load_dataset(DATA_TYPES.parse(keys))).x["t"].tolist() == [[["a"]]]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"windows": {"length": 2}, "split": {"test": 5}},
            "With `windows`, split sizes must be fractions of the time, got 5 examples.",
        ),
        (
            {"windows": {"length": 2}, "split": {"test": 0.1, "stratify": True}},
            "With `windows`, the sets are consecutive in time",
        ),
        (
            {"windows": {"length": 2, "horizon": 0}, "inputs": {"x": ["v"]}},
            "`v` is the target; it cannot be part",
        ),
        ({"weights": "v"}, "`v` is the target; it cannot also be the weights."),
        (
            {"missing": {"columns": {"w": 0, "v": True}}},
            "The replacement of `v` must be a text or a number, got true.",
        ),
        ({"missing": {"columns": ["v"]}}, "`columns` must map columns to replacements"),
        ({"types": {"v": "date"}}, "`types` must be one of 'number' or 'text', got \"date\"."),
    ],
)
def test_conflicting_keys_are_reported_without_reading_data(keys, message):
    with pytest.raises(ValueError, match=message):
        DATA_TYPES.parse({"type": "csv", "path": "t.csv", "target": "v"} | keys)


HOURS = np.datetime64("2024-01-01T00", "s") + np.arange(24).astype("timedelta64[h]")


def hourly(count=10, **columns):
    return {"v": np.arange(count), "u": np.zeros(count, int), "when": HOURS[:count]} | columns


def shuffled(table, seed=0):
    order = np.random.default_rng(seed).permutation(len(table["v"]))
    return {name: np.asarray(column)[order] for name, column in table.items()}


hows = pytest.mark.parametrize("how", ["never", "always"])


@hows
def test_target_of_several_steps(tmp_path, how):
    windows = {"length": 3, "horizon": 2, "steps": 3}
    data = section(tmp_path, series(1, 10), windows=windows, target_type="numbers", stream=how)
    source = load_dataset(data)
    found = load_examples(source)
    assert found.y.tolist() == [[4, 5, 6], [5, 6, 7], [6, 7, 8], [7, 8, 9]]
    assert source.facts().target.shape == (3,)
    assert [batch.tolist() for batch in source.target_batches()] == [found.y.tolist()]
    splits = source.split(SplitConfig(test=0.5), seed=0, shuffle=True)
    assert [len(subset) for subset in splits.subsets] == [0, 0, 0]  # 7 rows are needed, each set has 5
    one = section(tmp_path, series(1, 10), windows=windows | {"steps": 1}, target_type="numbers", stream=how)
    assert load_examples(load_dataset(one)).y.tolist()[0] == [4]


@hows
def test_rows_are_sorted_by_time_in_each_series_over_files(tmp_path, how):
    table = {name: np.concatenate([column, column]) for name, column in hourly().items()}
    table["v"] = np.arange(20)
    table["s"] = np.repeat(["a", "b"], 10)
    data = section(
        tmp_path,
        shuffled(table),
        files=3,
        windows={"length": 3, "time": "when", "by": "s"},
        split={"test": 0.5},
        target_type="numbers",
        stream=how,
    )
    dataset = load_dataset(data)
    assert dataset.findings == ()
    splits = dataset.split(data.split, seed=0, shuffle=True)
    assert sorted(load_examples(splits.train).y.tolist()) == [3, 4, 13, 14]
    assert sorted(load_examples(splits.test).y.tolist()) == [8, 9, 18, 19]
    written = np.concatenate([csv.read_csv(tmp_path / f"t{n}.csv")["v"].to_numpy() for n in range(3)])
    assert [written[rows].tolist() for rows in splits.rows] == [
        (load_examples(subset).y - 1).tolist() if len(subset) else [] for subset in splits.subsets
    ]


@hows
def test_duplicate_times_and_gaps_are_reported(tmp_path, how):
    table = hourly(12)
    kept = [0, 1, 2, 3, 3, 4, 5, 6, 9, 10, 11]
    table = {name: column[kept] for name, column in table.items()}
    data = section(tmp_path, table, windows={"length": 3, "time": "when"}, stream=how)
    duplicate, gap = load_dataset(data).findings
    place = tmp_path / "t0.csv"
    assert (duplicate.code, duplicate.severity) == ("duplicate-time", "warning")
    assert (
        duplicate.message
        == f"1 row has the same `when` as another row of the series, first in {place}, line 6."
    )
    assert (gap.code, gap.severity, gap.path) == ("time-gap", "warning", ("data", "windows", "time"))
    assert gap.message == (
        "`when` has 1 gap larger than the usual step of 1 hour; the largest, 3 hours, "
        f"ends in {place}, line 10."
    )


def test_times_of_numbers_and_months(tmp_path):
    table = hourly(6, when=[2, 4, 6, 16, 18, 30])
    [gap] = load_dataset(section(tmp_path, table, windows={"length": 2, "time": "when"})).findings
    assert "2 gaps larger than the usual step of 2; the largest, 12, ends in" in gap.message
    months = np.arange("2023-01", "2025-01", dtype="datetime64[M]").astype("datetime64[D]").astype(str)
    table = hourly(24, when=months)
    assert load_dataset(section(tmp_path, table, windows={"length": 2, "time": "when"})).findings == ()


@hows
def test_bad_times_are_located(tmp_path, how):
    when = HOURS[:6].astype(str).astype(object)
    when[1], when[4] = "", "noon"
    data = section(tmp_path, hourly(6, when=when), windows={"length": 2, "time": "when"}, stream=how)
    with pytest.raises(DataError) as caught:
        load_dataset(data)
    assert [finding.message for finding in caught.value.findings] == [
        f"`when` is missing ({tmp_path}/t0.csv, line 3).",
        f'`when` must be a number or a date, got "noon" ({tmp_path}/t0.csv, line 6).',
    ]


@hows
@pytest.mark.parametrize(
    ("value", "received"),
    [
        ("inf", "must be a number or a date, got .inf"),
        ("-1e400", "must be a number or a date, got -.inf"),
        ("nan", "is missing"),
    ],
)
def test_times_that_are_not_finite_are_located(tmp_path, how, value, received):
    when = np.array(["0.5", "1", value, "3", "4", "5"], dtype=object)
    data = section(tmp_path, hourly(6, when=when), windows={"length": 2, "time": "when"}, stream=how)
    (tmp_path / "t0.csv").write_text((tmp_path / "t0.csv").read_text().replace('"', ""))
    with pytest.raises(DataError) as caught:
        load_dataset(data)
    [finding] = caught.value.findings
    assert finding.message == f"`when` {received} ({tmp_path}/t0.csv, line 4)."


@hows
def test_times_with_fractions_of_seconds_keep_their_order(tmp_path, how):
    when = 1_700_000_000.5 - np.arange(6)  # float32 has one number in 128 of these seconds
    source = load_dataset(
        section(tmp_path, hourly(6, when=when), windows={"length": 2, "time": "when"}, stream=how)
    )
    assert source.findings == ()
    assert [window[:, 0].tolist() for window in load_examples(source).x["x"]] == [
        [5, 4],
        [4, 3],
        [3, 2],
        [2, 1],
    ]


def test_first_eight_bad_times_are_reported(tmp_path):
    when = [*HOURS[:12].astype(str), *(f"x{row}" for row in range(12, 22))]
    with pytest.raises(DataError) as caught:
        load_dataset(section(tmp_path, hourly(22, when=when), windows={"length": 2, "time": "when"}))
    messages = [finding.message for finding in caught.value.findings]
    assert [message.split(" (")[0] for message in messages] == [
        f'`when` must be a number or a date, got "x{row}"' for row in range(12, 20)
    ]


@hows
def test_new_windows_have_their_series_and_time(tmp_path, how):
    table = {name: np.concatenate([column, column]) for name, column in hourly(4).items()}
    table["s"] = np.repeat(["a", "b"], 4)
    windows = {"length": 3, "time": "when", "by": "s", "steps": 2}
    data = section(tmp_path, table, windows=windows, stream=how)
    state = ReaderState.from_dataset(load_dataset(data))
    state = ReaderState.from_json(json.loads(json.dumps(state.to_json())))
    csv.write_csv(pa.table({name: table[name] for name in ("v", "u", "when", "s")}), tmp_path / "n.csv")
    new = load_new_dataset(data, [str(tmp_path / "n.csv")], state, has_targets=False)
    columns = {name: [str(value) for value in column] for name, column in new.last_row_columns.items()}
    assert columns == {
        "row": ["3", "4", "7", "8"],
        "s": ["a", "a", "b", "b"],
        "when": ["2024-01-01 02:00:00", "2024-01-01 03:00:00"] * 2,
    }


def test_windows_of_new_rows_are_in_the_order_of_their_last_rows(tmp_path):
    data = section(tmp_path, hourly(6), windows={"length": 3, "time": "when"})
    state = ReaderState.from_dataset(load_dataset(data))
    latest_first = pa.table({name: column[3::-1] for name, column in hourly(6).items()})
    csv.write_csv(latest_first, tmp_path / "n.csv")
    new = load_new_dataset(data, [str(tmp_path / "n.csv")], state, has_targets=False)
    assert [str(row) for row in new.last_row_columns["row"]] == ["1", "2"]
    assert [str(time)[11:] for time in new.last_row_columns["when"]] == ["03:00:00", "02:00:00"]


@hows
def test_a_split_column_divides_windows(tmp_path, how):
    table = hourly(10, part=["train"] * 5 + ["val"] * 1 + ["test"] * 4)
    data = section(tmp_path, table, windows={"length": 2}, split={"column": "part"}, stream=how)
    splits = load_dataset(data).split(data.split, seed=0, shuffle=True)
    targets = [load_examples(subset).y.tolist() for subset in splits.subsets]
    assert targets == [[2, 3, 4], [], [8, 9]]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"windows": {"length": 2, "time": "s", "by": "s"}}, "`time` and `by` name the same column, `s`."),
        (
            {"windows": {"length": 2, "steps": 2}, "weights": "w"},
            "`weights` cannot be used with `steps`: a sequence has several target rows.",
        ),
    ],
)
def test_keys_of_windows_that_contradict(tmp_path, keys, message):
    with pytest.raises(ValidationError) as caught:
        section(tmp_path, hourly(), **keys)
    assert [error["msg"] for error in caught.value.errors()] == [message]


def test_rows_of_sets_are_those_of_the_file(tmp_path):
    v = pa.array(np.arange(10), mask=np.arange(10) == 2)
    data = section(
        tmp_path,
        {"v": v, "u": np.zeros(10, int)},
        windows={"length": 2},
        missing={"columns": {"v": "drop"}},
        split={"test": 0.4},
    )
    splits = load_dataset(data).split(data.split, seed=0, shuffle=True)
    assert [rows.tolist() for rows in splits.rows] == [[4], [], [7, 8]]
    assert [load_examples(subset).y.tolist() for subset in splits.subsets] == [[5], [], [8, 9]]


def test_series_of_many_columns_with_many_values_stay_different():
    numbers = np.arange(8192)  # 8192 ** 5 is 2 ** 65
    columns = dict.fromkeys("abcde", numbers)
    table = pa.table(columns | {"a": np.roll(numbers, 1)})
    assert SeriesIds(list(table.column_names)).assign(table).tolist() == numbers.tolist()
    # The first two rows differ only in the first column, whose code is multiplied by 2 ** 64.
    first = {"a": [0, 1, *range(65536)], **{name: [0, 0, *range(65536)] for name in "bcde"}}
    ids = SeriesIds(list("abcde")).assign(pa.table(first))
    assert ids[:3].tolist() == [0, 1, 0]
    assert len(np.unique(ids)) == 65537


@pytest.mark.parametrize(
    ("key", "is_refused"), [(2.0**53 - 1, False), (2.0**53, True), (-(2.0**70), True), (np.inf, False)]
)
def test_rounded_keys_of_series_are_refused(key, is_refused):
    table = pa.table({"sim": [1.5, key]})
    if not is_refused:
        assert SeriesIds(["sim"]).assign(table).tolist() == [0, 1]
        return
    with pytest.raises(DataError) as caught:
        SeriesIds(["sim"]).assign(table)
    (finding,) = caught.value.findings
    assert finding.message.startswith(
        "`sim` has keys of more than 15 digits, which are rounded as numbers, such as "
    )
    assert finding.hint == "Set `types: {sim: text}`."

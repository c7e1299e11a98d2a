"""What ``init`` takes each column of a table for."""

import pytest

from layercli.errors import LayercliError
from layercli.formats.preview import preview_table
from layercli.workflows.table_columns import assign_columns, list_number_classes


def assign(tmp_path, header, rows, target=None):
    path = tmp_path / "t.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return assign_columns(path, preview_table(path), target)


def names(columns):
    return [column.name for column in columns]


@pytest.mark.parametrize(
    ("header", "target", "reason"),
    [
        ("a,b,c", "c", "the last column"),
        ("price,b,c", "price", "by its name"),
        ("survived,class,c", "survived", "by its name"),
        ("y,b,class", "class", "by its name and place"),
        ("class,b,c", "class", "by its name"),
        ("Churn,b,c", "Churn", "by its name"),
    ],
)
def test_target_is_chosen_by_name_or_place(tmp_path, header, target, reason):
    columns = assign(tmp_path, header, ["1,2,no", "2,4,yes", "3,5,no"])
    assert (columns.target.name, columns.target_reason) == (target, reason)


def test_last_column_that_can_be_a_target_is_chosen(tmp_path):
    rows = [f"{n % 7},{'no' if n % 3 else 'yes'},x{n}z,,1" for n in range(30)]
    columns = assign(tmp_path, "a,b,name,empty,one", rows)
    assert columns.target.name == "b"
    assert columns.target_reason == (
        "the last column that can be a target; `name`: its values are a different text in every row; `empty`: it is empty"
    )
    assert columns.class_names == ("no", "yes")
    assert columns.left_out == {
        "name": "a different text in every row",
        "empty": "empty in every row",
        "one": "the same number in every row",
    }


def test_column_of_many_texts_is_an_input_and_not_a_target(tmp_path):
    rows = [f"shop {n % 1001},{n % 2},{n % 17 / 4}" for n in range(10010)]
    assert names(assign(tmp_path, "shop,a,b", rows).categories) == ["shop"]
    with pytest.raises(
        LayercliError, match="it has 1,001 different texts, and a target at most 1,000 classes"
    ):
        assign(tmp_path, "shop,a,b", rows, "shop")


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("one", "`one` cannot be the target: every row has the same value."),
        ("empty", "`empty` cannot be the target: it is empty."),
        ("name", "`name` cannot be the target: its values are a different text in every row."),
        ("day", "`day` cannot be the target: it is a date."),
        ("n", "`n` cannot be the target: it numbers the rows."),
        ("nam", 'The table has no column "nam".'),
    ],
)
def test_column_that_cannot_be_the_target_is_refused(tmp_path, target, problem):
    rows = [f"{n},{n % 7},x{n}z,,1,2024-01-{n % 28 + 1:02}" for n in range(30)]
    with pytest.raises(LayercliError) as raised:
        assign(tmp_path, "n,a,name,empty,one,day", rows, target)
    assert raised.value.problems[0].message == problem


@pytest.mark.parametrize(
    ("values", "target", "expected"),
    [
        ([f"{n}.5 mg" for n in range(25)], None, "b"),
        (
            [f"{n}.5 mg" for n in range(25)],
            "v",
            '`v` cannot be the target: it has numbers with the unit "mg"',
        ),
        ([f"0x{n:x}" for n in range(25)], "v", "`v` cannot be the target: it has hexadecimal numbers"),
        ([f"{n}00 ml" for n in range(20)], None, "v"),  # few sizes are classes
    ],
)
def test_numbers_with_units_are_not_classes(tmp_path, values, target, expected):
    rows = [f"{n % 7},{'no' if n % 3 else 'yes'},{values[n % len(values)]}" for n in range(50)]
    if target is None:
        assert assign(tmp_path, "a,b,v", rows).target.name == expected
        return
    with pytest.raises(LayercliError) as raised:
        assign(tmp_path, "a,b,v", rows, target)
    [problem] = raised.value.problems
    assert problem.message.startswith(expected)
    assert problem.hint == "Write its values as plain numbers, or name a different column with --target."


@pytest.mark.parametrize(("rows", "count"), [(["1,2,no", "2,4,yes"], 2), (["1,2,no", "2,4,yes", "3,4,"], 2)])
def test_fewer_than_three_rows_are_refused(tmp_path, rows, count):
    with pytest.raises(LayercliError) as raised:
        assign(tmp_path, "a,b,y", rows)
    assert raised.value.problems[0].message == f"At least 3 rows must have a value of `y`, got {count}."


def test_column_of_lists_cannot_be_the_target(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"a": {n % 7}, "b": {n % 3}, "y": [{n}]}}\n' for n in range(30)))
    with pytest.raises(LayercliError) as raised:
        assign_columns(path, preview_table(path), "y")
    assert raised.value.problems[0].message == "`y` cannot be the target: it has lists, objects or bytes."


def test_columns_are_numbers_categories_dates_and_texts(tmp_path):
    rows = [
        f"{n * 7 % 31}.5,{'True' if n % 4 else 'False'},{['red', 'blue', 'green'][n % 3]},"
        f"2024-0{n % 9 + 1}-03,the {n} words of a text,{n % 2}"
        for n in range(40)
    ]
    columns = assign(tmp_path, "size,big,color,day,text,y", rows)
    assert names(columns.numbers) == ["size", "big"]
    assert names(columns.categories) == ["color"]
    assert names(columns.texts) == ["text"]
    assert columns.dates["day"].features == ("month", "weekday", "elapsed")
    assert columns.number_names == ["size", "big", "day.month", "day.weekday", "day.elapsed"]


def test_only_unique_texts_become_words(tmp_path):
    columns = assign(tmp_path, "name,y", [f"x{n} z{n % 4},{n % 2}" for n in range(40)])
    assert names(columns.texts) == ["name"]
    assert columns.left_out == {}


def test_leaks_and_ids_are_left_out(tmp_path):
    rows = [f"{n},{n % 5},{n % 2},{['no', 'yes'][n % 2]}" for n in range(60)]
    columns = assign(tmp_path, "index,x,y,copy", rows)
    assert columns.left_out == {"index": "it numbers the rows", "copy": "it repeats the target"}


@pytest.mark.parametrize(
    ("name", "values", "rows", "classes"),
    [
        ("y", ["0", "1"], 4, ("0", "1")),
        ("y", ["-1", "1"], 4, ("-1", "1")),
        ("y", ["10", "30", "20"], 3, ("10", "20", "30")),
        ("y", ["0.0", "1.0"], 9, ("0.0", "1.0")),
        ("y", ["0.5", "1.0"], 9, None),
        ("count", ["0", "1", "2", "3"], 900, None),
        ("rooms_number", ["1", "2", "3"], 900, None),
        ("price", ["0", "1"], 900, ("0", "1")),
        ("y", [str(n) for n in range(10)], 12, tuple(str(n) for n in range(10))),
        ("y", [str(n) for n in range(20)], 100, tuple(str(n) for n in range(20))),
        ("y", [str(n) for n in range(19, -1, -1)], 100, tuple(str(n) for n in range(20))),
        ("y", [str(n) for n in range(20)], 99, None),
        ("y", [str(2 * n) for n in range(20)], 1000, None),
        ("y", [str(n) for n in range(21)], 1000, None),
    ],
)
def test_few_integers_are_classes(name, values, rows, classes):
    assert list_number_classes(name, values, rows) == classes


@pytest.mark.parametrize(("highest", "target"), [(17, "column_1"), (3, "column_34")])
def test_first_column_is_the_target_if_only_the_others_are_pixels(tmp_path, highest, target):
    rows = [
        ",".join([str(n % 3), "0", *(str(n * k % highest) for k in range(1, 33)), "0"]) for n in range(40)
    ]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(rows) + "\n")
    columns = assign_columns(path, preview_table(path), None)
    assert columns.target.name == target
    assert columns.class_names == ("0", "1", "2")
    assert len(columns.numbers) == 34
    assert columns.left_out == {}


def test_series_without_other_columns_is_a_forecast(tmp_path):
    rows = [f"2024-01-01 {n // 60:02}:{n % 60:02},{n % 9}.5" for n in range(120)]
    assert assign(tmp_path, "when,level", rows).is_forecast
    assert not assign(tmp_path, "when,level", [*rows[1:], rows[0]]).is_forecast
    assert not assign(tmp_path, "when,level", rows[:49]).is_forecast
    wide = assign(tmp_path, "when,level,y", [f"{row},{n * n % 11}.5" for n, row in enumerate(rows)])
    assert wide.series == "when"
    assert not wide.is_forecast


def test_columns_that_determine_the_target_are_used_if_there_are_no_others(tmp_path):
    columns = assign(tmp_path, "n,size,y", [f"{n},{'SML'[n % 3]},{n % 3 % 2}" for n in range(60)])
    assert names(columns.categories) == ["size"]
    assert columns.left_out == {"n": "it numbers the rows"}


@pytest.mark.parametrize(
    ("name", "is_left_out"),
    [("patient_id", True), ("Customer", True), ("store_id", False), ("shape", None)],
)
def test_repeated_ids_are_a_group(tmp_path, name, is_left_out):
    rows = [f"p{n // 4},{n % 7},{'no' if n % 3 else 'yes'}" for n in range(120)]
    columns = assign(tmp_path, f"{name},a,y", rows)
    assert columns.group == (None if is_left_out is None else name)
    assert (name in columns.left_out) == bool(is_left_out)
    assert columns.is_grouped == bool(is_left_out)


def test_several_series_are_a_forecast_by_their_key(tmp_path):
    rows = [f"2024-01-{n // 2 + 1:02},{'ab'[n % 2]},{n % 9}.5" for n in range(60)]
    columns = assign(tmp_path, "day,store,sales", rows)
    assert (columns.series, columns.series_keys, columns.is_forecast) == ("day", ("store",), True)
    columns = assign(
        tmp_path, "day,store,n,sales", [f"{row[:13]}{n * 7 % 31},{row[13:]}" for n, row in enumerate(rows)]
    )
    assert (columns.series, columns.series_keys, columns.is_forecast) == ("day", ("store",), False)


@pytest.mark.parametrize(
    ("header", "change", "targets"),
    [
        ("time,heat,load", lambda n: (n, n * 7 % 31), ["heat", "load"]),
        ("time,heat,target", lambda n: (n, n * 7 % 31), ["target"]),
        ("time,heat,load", lambda n: (n, n % 2), ["load"]),
        ("time,heat,load", lambda n: ("ab"[n % 2], n * 7 % 31), ["load"]),
        ("time,heat,load", lambda n: (3, n * 7 % 31), ["load"]),
        ("time,heat,load", lambda n: ("" if n < 2 else n, n * 7 % 31), ["heat", "load"]),
        ("time,heat,load", lambda n: ("" if n < 3 else n, n * 7 % 31), ["load"]),
    ],
)
def test_numbers_over_time_without_a_target_are_all_forecast(tmp_path, header, change, targets):
    rows = []
    for n in range(100):
        heat, load = change(n)
        heat = heat if isinstance(heat, str) else f"{heat * 3 % 17}.5"
        rows.append(f"2024-{n // 28 + 1:02}-{n % 28 + 1:02},{heat},{load}")
    columns = assign(tmp_path, header, rows)
    assert names(columns.targets) == targets
    if len(targets) > 1:
        assert columns.is_forecast
        assert not columns.left_out
        assert columns.target_reason == (
            "each number of the next row, because no name says which column is the target"
        )


def test_years_and_a_number_are_a_forecast(tmp_path):
    rows = [f"{1950 + n},{n % 9}.5" for n in range(60)]
    columns = assign(tmp_path, "year,level", rows)
    assert (columns.series, columns.is_forecast) == ("year", True)
    with pytest.raises(LayercliError):
        assign(tmp_path, "apples,level", rows)


def test_column_with_a_defect_is_neither_target_nor_input(tmp_path):
    rows = [f"{n % 7},{'$€'[n % 2]}{n}" for n in range(60)]
    with pytest.raises(LayercliError, match="`price`: its numbers have different currency signs"):
        assign(tmp_path, "n,price", rows)
    columns = assign(tmp_path, "n,m,price", [f"{n * 3 % 11},{row}" for n, row in enumerate(rows)])
    assert columns.target.name == "m"
    assert "`price`: its numbers have different currency signs" in columns.target_reason
    assert list(columns.left_out) == ["price"]


def test_amounts_that_seem_to_be_ids_can_be_a_named_target(tmp_path):
    rows = [f"{n % 5},{100 + n * 7 % 30}" for n in range(30)]
    assert assign(tmp_path, "a,sales", rows, "sales").target.name == "sales"


def test_rows_of_years_are_split_in_their_order(tmp_path):
    rows = [f"{1960 + n},{n * 7 % 11},{n % 9}.5" for n in range(60)]
    columns = assign(tmp_path, "year,births,rate", rows, "rate")
    assert (columns.series, columns.is_ordered, columns.is_forecast) == ("year", True, False)


@pytest.mark.parametrize(
    ("name", "values", "split_column", "reason"),
    [
        ("part", ["train", "Val", "test"], "part", "it names the set of each row"),
        ("part", ["train", "dev"], "part", "it names the set of each row"),
        ("part", ["train", "test"], None, "it names the set of each row, but no row is validation"),
        (
            "split",
            ["0", "1", "2"],
            None,
            "it seems to number the sets, which must be train, validation and test",
        ),
        ("floors", ["0", "1", "2"], None, None),
        ("part", ["train", "bus", "test"], None, None),
    ],
)
def test_column_of_sets_is_neither_input_nor_target(tmp_path, name, values, split_column, reason):
    rows = [f"{n * n % 17},{'no' if n % 5 else 'yes'},{values[n % len(values)]}" for n in range(40)]
    columns = assign(tmp_path, f"a,b,{name}", rows)
    assert columns.split_column == split_column
    assert columns.target.name == ("b" if reason else name)
    assert columns.left_out == ({name: reason} if reason else {})

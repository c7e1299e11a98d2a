"""``layercli init`` on several files of a table, on files of sets, and with several targets."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

import layercli
from layercli.check import check_config
from layercli.data.tables.arrow import list_values
from tests.running import invoke

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path, header="a,b,price", start=0, count=30):
    rows = "".join(f"{n % 7},{n * 13 % 11},{n % 9}.5\n" for n in range(start, start + count))
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(f"{header}\n{rows}")


def init(*arguments):
    """Return the `data` section that ``init`` writes, its target layer, and the notes; the data has no problems."""
    result = invoke("init", *arguments, "--json", "--force")
    assert result.exit_code == 0, result.output
    assert check_config("config.yaml").problems == []
    inspected = invoke("inspect-data", "config.yaml")
    assert inspected.exit_code == 0, inspected.output
    config = yaml.safe_load(Path("config.yaml").read_text())
    return config, json.loads(result.stdout)["note"]


@pytest.mark.parametrize("arguments", [["d/a.csv", "d/b.csv"], ["d/*.csv"], ["d"]])
def test_several_files_are_one_table(arguments):
    table("d/a.csv")
    table("d/b.csv", start=30)
    config, note = init(*arguments)
    assert config["data"]["path"] == ["d/a.csv", "d/b.csv"]
    assert note.startswith("Read 60 rows. Target: `price` ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.csv", "b.csv"], "b.csv has no column `b`, but a.csv has."),
        (["b.csv", "a.csv"], "b.csv has no column `b`, but a.csv has."),
        (["a.csv", "none.csv"], "The file does not exist."),
        (["a.csv", "c.parquet"], "Files of different types, csv and parquet, cannot be one table."),
        (["a.csv", "x.npy"], "x.npy is not a table."),
        (["a.csv", "folder"], "folder is not a table."),
    ],
)
def test_files_of_different_tables_are_refused(arguments, message):
    table("a.csv")
    table("b.csv", "a,c,price")
    Path("folder").mkdir()
    Path("x.npy").touch()
    Path("c.parquet").touch()
    result = invoke("init", *arguments, "--json")
    assert [problem["message"] for problem in json.loads(result.stdout)["problems"]] == [message]


def test_files_of_sets_are_separate():
    table("d/Train.csv", count=120)
    table("d/valid.csv", count=10)
    table("d/test.csv", "a,b,other", count=10)
    config, note = init("d")
    assert config["data"]["path"] == "d/Train.csv"
    assert config["data"]["split"] == {"validation": "d/valid.csv", "test": 0.1}
    assert "The validation set is d/valid.csv." in note
    assert "Not used: d/test.csv, because it has no column `price`." in note


def test_several_numbers_are_one_target():
    table("t.csv")
    config, note = init("t.csv", "--target", "price", "--target", "b")
    assert config["data"]["target"] == ["price", "b"]
    assert config["model"]["layers"][-2]["units"] == 2
    assert "Target: `price`, `b` (as --target says), 2 numbers." in note


@pytest.mark.parametrize(
    ("row", "loss"), [("{0},{1}", "binary_crossentropy"), ("{0},{2}", "categorical_crossentropy")]
)
def test_several_columns_of_0_and_1_are_labels(row, loss):
    rows = [f"{n % 7}," + row.format(n % 2, n // 2 % 2, 1 - n % 2) for n in range(40)]
    Path("t.csv").write_text("\n".join(["x,rain,snow", *rows]))
    config, _ = init("t.csv", "--target", "rain", "--target", "snow")
    assert config["train"]["loss"] == loss
    assert config["model"]["layers"][-1]["units"] == 2


@pytest.mark.tensorflow
def test_forecast_starts_with_the_last_number():
    days = [f"2024-{n // 28 + 1:02}-{n % 28 + 1:02}" for n in range(112)]
    Path("t.csv").write_text("day,y\n" + "".join(f"{day},{n % 9}.5\n" for n, day in enumerate(days)))
    init("t.csv")
    length = yaml.safe_load(Path("config.yaml").read_text())["data"]["windows"]["length"]
    past = np.array([[3.0] * (length - 1) + [7.5], [1.0] * (length - 1) + [-2.0]], np.float32)[..., None]
    # Before training, Normalization has the mean 0 and the variance 1.
    assert layercli.build("config.yaml").predict(past, verbose=0).tolist() == [[7.5], [-2.0]]


@pytest.mark.tensorflow
def test_forecast_of_several_columns_starts_with_their_last_numbers():
    rows = [f"2024-{n // 28 + 1:02}-{n % 28 + 1:02},{n % 9}.5,{n * 7 % 31}" for n in range(112)]
    Path("t.csv").write_text("\n".join(["day,heat,load", *rows]))
    config, note = init("t.csv")
    assert (
        "`heat`, `load` (each number of the next row, because no name says which column is the target)"
        in note
    )
    assert config["data"]["target"] == config["data"]["inputs"]["past"] == ["heat", "load"]
    assert config["data"]["windows"]["horizon"] == 1
    past = np.zeros((1, config["data"]["windows"]["length"], 2), np.float32)
    past[0, -1] = [7.5, -2.0]
    assert layercli.build("config.yaml").predict(past, verbose=0).tolist() == [[7.5, -2.0]]


@pytest.mark.parametrize(
    ("labels", "separator"),
    [
        (["cat;dog", "cat", "dog;bird", "bird"], ";"),
        (["cat, dog", "bird, cat", "bird, dog"], ","),
        (["a b c", "a b", "a", "b c", "c", "c a", "b", "a c b", "b a"], " "),
        (["a b", "a", "b c", "c", "a c", "a b c"], " "),
        (["very good", "good", "bad", "very bad"], None),
        (["red,big", "red,small", "blue,big", "blue,small"], None),
        (["Smith, John", "Miller, Ann", "Jones, Bo"], None),
        (["a;b", "a", "b"], None),
        (["cat", "dog", "bird"], None),
    ],
)
def test_target_of_lists_has_a_value_for_each_label(labels, separator):
    rows = "".join(f'{n % 7},{n * 13 % 11},"{labels[n % len(labels)]}"\n' for n in range(60))
    Path("pets.csv").write_text(f"a,b,tags\n{rows}60,1,\n")
    config, note = init("pets.csv")
    data, output = config["data"], config["model"]["layers"][-1]
    if separator is None:
        assert "label_separators" not in data
        return
    assert data["label_separators"] == {"tags": separator}
    assert "missing" not in data
    assert (output["units"], output["activation"], config["train"]["loss"]) == (
        3,
        "sigmoid",
        "binary_crossentropy",
    )
    assert f'several labels in each value, with "{separator}" between them, of 3 classes' in note
    assert "Rows without a label have a 0 for each." in note


def test_footers_are_left_out_and_rows_without_a_target_have_their_lines():
    examples = "".join(f"{'abc'[n % 3]},{n * 7 % 31},{n * 3}\n" for n in range(60))
    Path("t.csv").write_text(f"kind,size,price\n{examples}a,5,\nTotal,,5310\nSource: Office,,\n")
    config, note = init("t.csv")
    assert config["data"]["missing"] == {
        "values": ["default", "Total", "Source: Office"],
        "numbers": "median",
        "columns": {"kind": "drop", "price": "drop"},
    }
    assert (
        'A row near the end, line 63, seems to be a total of the others, as it has "Total": it is left out.'
        in note
    )
    assert 'The last row, line 64, has only "Source: Office": it is left out.' in note
    assert "2 rows have no target and are left out: lines 62 and 64." in note
    summary = invoke("inspect-data", "config.yaml").stdout
    assert "60 examples:" in summary
    lines = [f"{Path('t.csv').resolve()}, line {number}" for number in (62, 63, 64)]
    assert f"3 rows are left out, as `missing` says: {'; '.join(lines)}." in summary.replace("\n", "")


def test_dates_after_the_year_9999_are_texts():
    far = pa.array([253_402_300_800_000_000 * 3] * 60, pa.timestamp("us"))
    columns = {"n": [n * 7 % 31 for n in range(60)], "when": far, "y": [n % 2 for n in range(60)]}
    parquet.write_table(pa.table(columns), "t.parquet")
    config, note = init("t.parquet")
    assert config["data"]["target"] == "y"
    assert "`when` (every date is the same)" in note
    assert list_values(far[:1]) == ["26059-12-31 00:00:00.000000"]


@pytest.mark.parametrize(
    ("last", "losses"),
    [
        ("Total,,30.1,", "Total"),  # a value of `loss`, too
        ("Count Basie,none,0.3,0.4", "none"),
        ("Balance,none,0.3,0.4", "none"),
        ("Gesamtschule,,0.1,0.2", "none"),
    ],
)
def test_rows_that_may_be_examples_are_kept(last, losses):
    rows = "".join(f"{'abc'[n % 3]},{(losses, 'x')[n % 2]},{n * 7 % 31},{n * 3}\n" for n in range(60))
    Path("t.csv").write_text(f"city,loss,b,y\n{rows}{last}\n")
    config, note = init("t.csv", "--target", "y")
    assert "values" not in config["data"].get("missing", {})
    assert "is left out" not in note or "1 row has no target and is left out" in note


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"t": [*range(100)], "k": ["a", "b"] * 50}, "No column besides the target `k` can be an input."),
        (
            {"x": [1, 2] * 50, "x ": [2, 1] * 50, "k": [0, 1] * 50},
            "t.parquet has several columns with the name `x`.",
        ),
    ],
)
def test_table_without_a_usable_input_is_refused(columns, reason):
    names = [name.strip() for name in columns]
    parquet.write_table(pa.table([pa.array(values) for values in columns.values()], names), "t.parquet")
    result = invoke("init", "t.parquet", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"][0]["message"].startswith(reason)


def test_ids_that_only_look_like_numbers_and_dates_without_end_are_read():
    ids = [f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in range(100)]
    days = pa.array([2**31 - 5] * 50 + [1] * 50, pa.date32())
    columns = {"t": ids, "d": days, "x": [n * 7 % 31 for n in range(100)], "k": [n % 2 for n in range(100)]}
    parquet.write_table(pa.table(columns), "t.parquet")
    config, _ = init("t.parquet")
    assert config["data"]["target"] == "k"


@pytest.mark.parametrize(("name", "is_guess"), [("vibration", True), ("label", False)])
def test_target_that_is_only_the_last_column_is_a_guess(tmp_path, name, is_guess):
    rows = [f"{index % 7},{index % 5 / 3}" for index in range(40)]
    (tmp_path / "t.csv").write_text("\n".join([f"speed,{name}", *rows]))
    output = invoke("init", tmp_path / "t.csv", "--output", tmp_path / "c.yaml").output
    assert ("No name says which column is the target: `--target COLUMN`" in output) == is_guess

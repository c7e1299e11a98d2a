"""The script reads and splits data as layercli does: the arrays of its ``main`` are those of a training."""

import gzip
import json
import sys

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow.csv import write_csv

from layercli.check import check_config, require_valid
from layercli.formats.registry import make_data_script
from layercli.script.write_script import find_inexpressible
from layercli.workflows.export_data import list_set_arrays
from layercli.workflows.script_facts import collect_script_facts
from tests.script.running import assert_formatted, defined, script_of

ROWS = 40
NUMBERS = [f"{row * 7 % 23}" for row in range(ROWS)]
KINDS = ["ab"[row * 5 % 3 % 2] for row in range(ROWS)]
SPLIT = {"validation": 0.2, "test": 0.25}


def lines(*columns, separator=",", header=None):
    rows = [separator.join(values) for values in zip(*columns, strict=True)]
    return "\n".join(([header] if header else []) + rows) + "\n"


def every(step, values, other):
    return [other if row % step == 0 else value for row, value in enumerate(values)]


DATES = [f"{1 + row * 3 % 28:02}.{1 + row % 12:02}.20{10 + row % 9}" for row in range(ROWS)]
PATIENTS = [f"p{row * row % 11}" for row in range(ROWS)]
SETS = [("Train", "dev ", "test", "train")[row % 4] for row in range(ROWS)]
TIMES = [f"2020-0{1 + row * 5 % 9}-11 0{row % 10}:30" for row in range(ROWS)]

CASES = {
    "blanks after commas": (
        lines(NUMBERS, [f" {kind} " for kind in KINDS], [f"  {kind}" for kind in KINDS], header="n, t, y"),
        {"inputs": {"n": "n", "t": "t"}},
    ),
    "labels with blanks": (lines(NUMBERS, every(3, KINDS, " a"), header="n,y"), {}),
    "decimal commas": (
        lines([f"{number},5" for number in NUMBERS], KINDS, separator=";", header="n;y"),
        {"separator": ";", "decimal": ","},
    ),
    "thousands": (
        lines(
            [f"1.{int(number):03}.{int(number):03},25" for number in NUMBERS],
            KINDS,
            separator=";",
            header="n;y",
        ),
        {"separator": ";", "decimal": ",", "thousands": "."},
    ),
    "missing words": (
        lines(every(4, every(5, NUMBERS, "?"), "-"), every(3, KINDS, "n/a"), KINDS, header="n,t,y"),
        {
            "inputs": {"n": "n", "t": "t"},
            "missing": {"values": ["default", "-"], "numbers": "median", "texts": "no"},
        },
    ),
    "replacements of columns": (
        lines(*(every(step, NUMBERS, "") for step in (3, 4, 5, 6)), KINDS, header="a,b,c,d,y"),
        {"missing": {"numbers": "mean", "columns": {"b": 3.5, "c": "zero", "d": "median"}}},
    ),
    "lists of labels": (
        lines(NUMBERS, every(4, every(3, KINDS, " b|a"), "NA"), header="n,y"),
        {"label_separators": {"y": "|"}},
    ),
    "dropped rows": (
        lines(every(3, NUMBERS, ""), NUMBERS, KINDS, header="n,m,y"),
        {"missing": {"numbers": "drop"}},
    ),
    "one column that drops rows": (
        lines(every(3, NUMBERS, ""), every(7, NUMBERS, "NA"), KINDS, header="n,m,y"),
        {"missing": {"numbers": "mean", "columns": {"m": "drop"}}},
    ),
    "boolean words": (
        lines(every(2, ["Yes"] * ROWS, "no"), every(3, ["T"] * ROWS, "f"), KINDS, header="n,m,y"),
        {},
    ),
    "currencies and percent": (
        lines(
            [f"${number}" for number in NUMBERS], [f"{number} %" for number in NUMBERS], KINDS, header="n,m,y"
        ),
        {},
    ),
    "dates": (
        lines(every(6, DATES, ""), KINDS, header="when,y"),
        {"dates": {"when": ["year", "month", "day", "weekday", "elapsed"]}, "missing": {"numbers": "median"}},
    ),
    "times": (
        lines(TIMES, NUMBERS, KINDS, header="when,n,y"),
        {"inputs": {"x": ["n", "when"]}, "dates": {"when": ["hour", "minute", "elapsed"]}},
    ),
    "dates of a column that is not read": (
        lines(TIMES, NUMBERS, KINDS, header="when,n,y"),
        {"inputs": {"x": ["n"]}, "dates": {"when": ["month"]}},
    ),
    "seconds since 1970": (
        lines([f"{1_600_000_000 + 86_400 * row}" for row in range(ROWS)], KINDS, header="when,y"),
        {"dates": {"when": ["year", "weekday"]}},
    ),
    "groups": (lines(PATIENTS, NUMBERS, KINDS, header="who,n,y"), {"split": SPLIT | {"group": "who"}}),
    "groups in order": (
        lines(PATIENTS, NUMBERS, KINDS, header="who,n,y"),
        {"split": SPLIT | {"group": "who"}, "shuffle": False},
    ),
    "order of numbers": (
        lines(NUMBERS, NUMBERS, KINDS, header="rank,n,y"),
        {"split": SPLIT | {"order": "rank"}},
    ),
    "order of dates": (
        lines(TIMES, NUMBERS, KINDS, header="when,n,y"),
        {"split": {"test": 9, "order": "when"}},
    ),
    "split column": (lines(SETS, NUMBERS, KINDS, header="set,n,y"), {"split": {"column": "set"}}),
    "latin-1 with a title": (
        "Größe\n" + lines(NUMBERS, [kind.replace("a", "ä") for kind in KINDS], header="n,ö"),
        {"target": "ö", "encoding": "latin-1", "skip_lines": 1},
    ),
    "UTF-16": (lines(NUMBERS, KINDS, header="n,y"), {"encoding": "utf-16"}),
    "weights and several targets": (
        lines(NUMBERS, NUMBERS, NUMBERS, every(2, NUMBERS, "1"), header="n,y,z,w"),
        {"target": ["y", "z"], "weights": "w"},
    ),
    "labels that are numbers": (
        lines(NUMBERS, every(3, ["10"] * ROWS, "9"), header="n,y"),
        {"target_type": "labels", "split": SPLIT | {"stratify": True}},
    ),
    "no header": (lines(NUMBERS, KINDS), {"columns": ["n", "y"]}),
    "quoted line breaks": (
        lines(NUMBERS, every(4, KINDS, '"a\nb, c"'), KINDS, header="n,t,y"),
        {"inputs": {"n": "n", "t": "t"}},
    ),
}


WIDTHS = {
    "replacements of columns": 4,
    "dropped rows": 2,
    "one column that drops rows": 2,
    "boolean words": 2,
    "currencies and percent": 2,
    "dates": 5,
    "times": 4,
    "seconds since 1970": 2,
}
"""The columns of the only input, if there are several."""


def read_csv(file):
    from pyarrow import csv

    return csv.read_csv(file)


def write_typed(table, folder, kind):
    """Write a table as a file of a type, and return the name of the file."""
    from pyarrow import feather, parquet

    if kind == "jsonl":
        text = "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist())
        (folder / "d.jsonl.gz").write_bytes(gzip.compress(text.encode()))
        return "d.jsonl.gz"
    (parquet.write_table if kind == "parquet" else feather.write_feather)(table, folder / f"d.{kind}")
    return f"d.{kind}"


def write_case(folder, name, *, kind="csv"):
    """Write the data and the config of a case, and return the config."""
    text, changes = CASES[name]
    encoding = changes.get("encoding", "utf-8")
    data = {"type": "csv", "path": "d.csv", "target": "y", "split": SPLIT} | changes
    width = WIDTHS.get(name, 1)
    (folder / "d.csv").write_bytes(text.encode(encoding))
    if kind != "csv":
        data |= {"type": kind, "path": write_typed(read_csv(folder / "d.csv"), folder, kind)}
    has_texts = "t" in data.get("inputs", {})
    model = {"input": [width], "layers": [{"type": "Dense", "units": 2, "name": "out"}]}
    if has_texts:
        model = {
            "inputs": {"n": [1], "t": {"shape": [1], "dtype": "string"}},
            "layers": [
                {"type": "StringLookup", "inputs": "t", "output_mode": "one_hot"},
                {"type": "Concatenate", "inputs": ["previous", "n"]},
                {"type": "Dense", "units": 2},
            ],
        }
    elif "inputs" in data:
        model = {"inputs": {"x": [width]}, "layers": model["layers"]}
    loss = {"type": "SparseCategoricalCrossentropy", "from_logits": True}
    has_numbers = isinstance(data["target"], list) or "label_separators" in data
    train = {"loss": "mse" if has_numbers else loss}
    config = folder / "c.yaml"
    config.write_text(yaml.safe_dump({"data": data, "model": model, "train": train}, allow_unicode=True))
    return config


def read_main(names):
    """Return the variables of ``main`` before the model is built."""
    found = {}

    def stop():
        found.update(sys._getframe(1).f_locals)
        raise InterruptedError

    names["build_model"] = stop
    with pytest.raises(InterruptedError):
        names["main"]()
    return found


def assert_same_sets(config, sets=frozenset({"train", "test"})):
    valid = require_valid(check_config(str(config)))
    facts, splits, warnings, valid = collect_script_facts(valid)
    assert splits is not None, warnings
    assert find_inexpressible(valid, facts, make_data_script(valid, facts)) == []
    text = script_of(valid, facts, config.parent)
    assert_formatted(text)
    found = read_main(defined(text, config.parent / "script.py"))
    expected = list_set_arrays(splits)
    assert {name.split("_")[1].partition("/")[0] for name in expected} >= sets
    for name, array in expected.items():
        variable, _, part = name.partition("/")
        ours = np.asarray(found[variable][part] if part else found[variable])
        if array.dtype.kind == "O":
            texts = [text.decode() if isinstance(text, bytes) else text for text in ours.ravel().tolist()]
            assert texts == array.ravel().tolist()
        else:
            np.testing.assert_allclose(ours, array, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_script_reads_and_splits_the_same_rows(name, tmp_path):
    assert_same_sets(write_case(tmp_path, name))


TYPED = ["missing words", "dates", "boolean words", "replacements of columns", "times", "split column"]


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize("kind", ["parquet", "feather", "jsonl"])
def test_script_reads_typed_columns_as_layercli(kind, name, tmp_path):
    assert_same_sets(write_case(tmp_path, name, kind=kind))


@pytest.mark.parametrize("kind", ["parquet", "feather", "jsonl"])
@pytest.mark.parametrize("name", ["labels with blanks", "weights and several targets"])
def test_script_reads_numbers_of_typed_files(kind, name, tmp_path):
    assert_same_sets(write_case(tmp_path, name, kind=kind))


@pytest.mark.parametrize("kind", ["parquet", "feather"])
@pytest.mark.parametrize("text", ["large_string", "dictionary"])
def test_script_reads_texts_of_other_arrow_types(kind, text, tmp_path):
    config = write_case(tmp_path, "labels with blanks", kind=kind)
    labels = pa.array(every(3, KINDS, " a"))
    labels = labels.dictionary_encode() if text == "dictionary" else labels.cast(pa.large_string())
    write_typed(pa.table({"n": list(map(float, NUMBERS)), "y": labels}), tmp_path, kind)
    assert_same_sets(config)


JSON_LINES = {
    "numbers in texts": [{"n": every(3, NUMBERS, row)[row], "y": KINDS[row]} for row in range(ROWS)],
    "labels of both types": [{"n": row, "y": [1, "b"][row % 2]} for row in range(ROWS)],
    "inner objects": [{"n": {"of": {"x": row / 2}}, "y": KINDS[row]} for row in range(ROWS)],
    "a list that is not used": [{"n": row, "y": KINDS[row], "z": [row]} for row in range(ROWS)],
}


@pytest.mark.parametrize("name", JSON_LINES)
def test_script_reads_json_lines_as_layercli(name, tmp_path):
    config = write_case(tmp_path, "labels with blanks")
    text = "\n\n".join(map(json.dumps, JSON_LINES[name]))
    (tmp_path / "d.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    column = "n.of.x" if name == "inner objects" else "n"
    document = yaml.safe_load(config.read_text(encoding="utf-8"))
    document["data"] |= {"type": "jsonl", "path": "d.jsonl", "inputs": {"n": column}}
    document["model"] = {"inputs": {"n": [1]}, "layers": document["model"]["layers"]}
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert_same_sets(config)


@pytest.mark.parametrize("kind", ["parquet", "feather", "jsonl"])
def test_script_reads_several_typed_files(kind, tmp_path):
    config = write_case(tmp_path, "replacements of columns", kind=kind)
    floats = read_csv(tmp_path / "d.csv").set_column(0, "a", pa.array([row / 2 for row in range(ROWS)]))
    integers = read_csv(tmp_path / "d.csv").slice(0, 5)
    for number, table in enumerate((floats, integers)):
        name = write_typed(table, tmp_path, kind)
        (tmp_path / name).rename(tmp_path / f"{number}{name}")
    config.write_text(config.read_text().replace(f"path: {name}", f"path: '*{name}'"))
    assert_same_sets(config)


HOURS = [f"2020-03-{1 + row * 7 % 20:02}T{row % 24:02}:30" for row in range(ROWS)]
HALVES = [f"{row // 20}" for row in range(ROWS)]
VALUES = lines(PATIENTS, SETS, HALVES, HOURS, every(6, NUMBERS, ""), NUMBERS, header="who,set,half,when,n,y")
WINDOWS = {
    "one series": {"length": 3},
    "series by two columns": {"length": 2, "by": ["set", "half"], "time": "when", "horizon": 0},
    "series by time": {"length": 2, "by": "set", "time": "when"},
    "series in the order of the file": {"length": 2, "horizon": 0, "by": "set"},
    "steps and stride by a number": {"length": 2, "horizon": 2, "stride": 2, "steps": 2, "time": "y"},
}
REFUSED = {
    "dropped rows": ({"missing": {"numbers": "drop"}}, "data.missing"),
    "a group": ({"split": {"group": "who", "test": 0.4}}, "data.split.group"),
    "several files": ({"path": ["d.csv", "d.csv"]}, "data.windows"),
}


def write_windows(folder, windows, **changes):
    (folder / "d.csv").write_text(VALUES, encoding="utf-8")
    data = {"type": "csv", "path": "d.csv", "target": "y", "inputs": {"past": ["n"]}, "windows": windows}
    data |= {"missing": {"numbers": "median"}, "split": {"validation": 0.2, "test": 0.4}} | changes
    layers = [{"type": "Flatten"}, {"type": "Dense", "units": windows.get("steps", 1)}]
    model = {"inputs": {"past": [windows["length"], 1]}, "layers": layers}
    config = folder / "c.yaml"
    config.write_text(yaml.safe_dump({"data": data, "model": model, "train": {"loss": "mse"}}))
    return config


@pytest.mark.parametrize("name", WINDOWS)
def test_script_makes_the_same_windows(name, tmp_path):
    assert_same_sets(write_windows(tmp_path, WINDOWS[name]))


@pytest.mark.parametrize("name", REFUSED)
def test_script_names_settings_that_windows_exclude(name, tmp_path):
    changes, path = REFUSED[name]
    assert find_refused(write_windows(tmp_path, {"length": 2}, **changes)) == [path]


def rewrite_config(config, **changes):
    """Change keys of the data section of a config, and return the config."""
    document = yaml.safe_load(config.read_text(encoding="utf-8"))
    document["data"] |= changes
    config.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return config


OWN_ROWS = "y,n\n b,3.5\nb,4\n"
"""Two rows of a set of its own: one of two classes, and columns in another order."""
OWN_SETS = {
    "a test file": {"validation": 0.2, "test": "own.csv"},
    "both files": {"validation": "own.csv", "test": ["own.csv", "own/b.csv"]},
    "a folder and classes": {"validation": 0.25, "test": "own", "stratify": True},
    "a pattern and order": {"validation": "own/*.csv", "test": 0.2, "order": "n"},
}


@pytest.mark.parametrize("name", OWN_SETS)
def test_script_reads_separate_files_of_a_set(name, tmp_path):
    config = rewrite_config(
        write_case(tmp_path, "labels with blanks"), split=OWN_SETS[name], inputs={"x": "n"}
    )
    document = yaml.safe_load(config.read_text(encoding="utf-8"))
    document["model"] = {"inputs": {"x": [1]}, "layers": document["model"]["layers"]}
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    (tmp_path / "own").mkdir()
    for file in ("own.csv", "own/a.csv", "own/b.csv"):
        (tmp_path / file).write_text(OWN_ROWS, encoding="utf-8")
    assert_same_sets(config, {"train", "val", "test"})


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("key", ["group", "order"])
def test_separate_files_without_the_column_of_the_split_are_refused(key, kind, tmp_path):
    table = pa.table({"n": [float(i) for i in range(20)], "k": [i // 2 for i in range(20)], "y": [0.5] * 20})
    files = {}
    for name, columns in (("full", table), ("less", table.drop_columns("k")), ("d", table)):
        written = "d.csv" if kind == "csv" else write_typed(columns, tmp_path, kind)
        if kind == "csv":
            write_csv(columns, tmp_path / written)
        files[name] = (tmp_path / written).rename(tmp_path / f"{name}{written[1:]}").name
    data = {"type": kind, "path": files["d"], "target": "y", "inputs": {"x": "n"}}
    model = {"inputs": {"x": [1]}, "layers": [{"type": "Dense", "units": 1}]}
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"data": data, "model": model, "train": {"loss": "mse"}}))
    split = {"validation": 0.2, key: "k"}
    assert find_refused(rewrite_config(config, split={**split, "test": files["full"]})) == []
    assert find_refused(rewrite_config(config, split={**split, "test": files["less"]})) == [
        f"data.split.{key}"
    ]


@pytest.mark.parametrize("kind", ["parquet", "feather", "jsonl"])
@pytest.mark.parametrize("name", ["missing words", "dates", "weights and several targets"])
def test_script_reads_separate_typed_files_of_a_set(kind, name, tmp_path):
    config = write_case(tmp_path, name, kind=kind)
    own = write_typed(read_csv(tmp_path / "d.csv").slice(5, 9), tmp_path, kind)
    (tmp_path / own).rename(tmp_path / f"own{own[1:]}")
    write_case(tmp_path, name, kind=kind)
    assert_same_sets(rewrite_config(config, split={"validation": 0.2, "test": f"own{own[1:]}"}))


COMMENTS = {
    "comments": ({"comment": "#"}, "utf-8"),
    "comments and a title": ({"comment": "#", "skip_lines": 2}, "utf-8"),
    "comments in UTF-16": ({"comment": "#", "encoding": "utf-16"}, "utf-16"),
    "comments in separate files": ({"comment": "#", "split": {"test": "own.csv"}}, "utf-8"),
}


@pytest.mark.parametrize("name", COMMENTS)
def test_script_skips_comments(name, tmp_path):
    changes, encoding = COMMENTS[name]
    config = rewrite_config(write_case(tmp_path, "labels with blanks"), **changes)
    title = "# first\nfrom a machine\n" if "skip_lines" in changes else "# first\n"
    rows = lines(NUMBERS, every(3, KINDS, " a"), header="n,y").splitlines()
    text = title + "\n".join([*rows[:9], " \t# a,comment", *rows[9:], "#end"])
    for file in ("d.csv", "own.csv"):
        (tmp_path / file).write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert_same_sets(config)


WINDOW_DATA = {
    "several files by time": ("csv", {"path": ["d.csv", "e.csv"]}),
    "several files of a typed format": ("parquet", {"path": "?.parquet"}),
    "weights": ("csv", {"weights": "half"}),
    "a separate test file": ("csv", {"split": {"validation": 0.2, "test": "e.csv"}}),
    "separate typed files": ("jsonl", {"split": {"validation": "e.jsonl.gz", "test": 0.4}}),
}


@pytest.mark.parametrize("name", WINDOW_DATA)
def test_script_makes_the_same_windows_of_other_data(name, tmp_path):
    kind, changes = WINDOW_DATA[name]
    windows = {"length": 2, "by": ["set"], "time": "when", "horizon": 0}
    config = write_windows(tmp_path, windows)
    header, *rows = VALUES.splitlines()
    for file, kept in (("e", rows[1::2]), ("d", rows)):
        (tmp_path / "d.csv").write_text("\n".join([header, *kept]), encoding="utf-8")
        if kind == "csv":
            (tmp_path / "d.csv").replace(tmp_path / f"{file}.csv")
        else:
            typed = write_typed(read_csv(tmp_path / "d.csv"), tmp_path, kind)
            (tmp_path / typed).replace(tmp_path / f"{file}{typed[1:]}")
    path = "d.csv" if kind == "csv" else f"d{typed[1:]}"
    assert_same_sets(rewrite_config(config, **({"type": kind, "path": path} | changes)))


def write_arrays(folder, name, rows):
    x, y = np.arange(rows * 2.0).reshape(rows, 2), np.array(["b", "a", "b"])[np.arange(rows) % 3]
    np.savez(folder / f"{name}.npz", x=x, y=y, w=x[:, 0])
    np.save(folder / f"{name}x.npy", x)
    np.save(folder / f"{name}y.npy", y[:rows])


ARRAYS = {
    "npz": {"path": "d.npz", "features": "x", "target": "y", "weights": "w", "split": {"test": "own.npz"}},
    "npy": {
        "features": "dx.npy",
        "target": "dy.npy",
        "split": {"test": ["ownx.npy", "owny.npy"], "validation": 9, "stratify": True},
    },
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_script_reads_separate_arrays_of_a_set(kind, tmp_path):
    config = write_case(tmp_path, "labels with blanks")
    write_arrays(tmp_path, "d", 30)
    write_arrays(tmp_path, "own", 1)
    document = yaml.safe_load(config.read_text(encoding="utf-8"))
    document["data"] = {"type": kind} | ARRAYS[kind]
    document["model"]["input"] = [2]
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert_same_sets(config)


def test_script_reads_separate_folders_of_a_set(tmp_path):
    for folder, names in (("train", "cab"), ("test", "b")):
        for name in names:
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(4):
                text = f"{name * number} of {folder}"
                (tmp_path / folder / name / f"{number}.txt").write_text(text, encoding="utf-8")
    layers = [
        {"type": "TextVectorization", "output_mode": "multi_hot", "max_tokens": 20},
        {"type": "Dense", "units": 3, "activation": "softmax"},
    ]
    model = {"input": {"shape": [1], "dtype": "string"}, "layers": layers}
    data = {"type": "text", "path": "train", "split": {"test": "test", "validation": 3}}
    document = {"data": data, "model": model, "train": {"loss": "sparse_categorical_crossentropy"}}
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert_same_sets(config, {"train", "val", "test"})
    assert find_refused(rewrite_config(config, split={"test": ["test", "train"]})) == ["data.split.test"]


def find_refused(config):
    """Return the paths of the settings that a script cannot express."""
    valid = require_valid(check_config(str(config)))
    facts, _, warnings, valid = collect_script_facts(valid)
    assert warnings == []
    return [problem.path for problem in find_inexpressible(valid, facts, make_data_script(valid, facts))]

"""``layercli init``: valid configs from options, answers and data."""

import json

import pytest
import yaml

from layercli.check import check_config, require_valid
from tests.running import invoke, train

SHAPES = {"vectors": "7", "sequences": "20x3", "images": "28x28x1", "text": None}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("size", ["small", "medium", "large"])
@pytest.mark.parametrize("classes", [0, 2, 5])
@pytest.mark.parametrize("kind", SHAPES)
def test_every_choice_gives_a_valid_config(kind, classes, size):
    shape = ["--shape", SHAPES[kind]] if SHAPES[kind] else []
    result = invoke("init", "--kind", kind, "--classes", classes, "--size", size, *shape)
    assert result.exit_code == 0, result.output
    checked = check_config("config.yaml")
    assert checked.problems == []
    last = require_valid(checked).shapes.rows[-1].outputs[0].shape
    assert last == (None, classes if classes > 2 else 1)
    assert "layercli train config.yaml" in result.stdout


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("shape", ["1x1x3", "2x5x1", "3x100x1", "224, 224, 3", "(8, 8, 1)"])
def test_pooling_fits_any_image_size(shape):
    assert (
        invoke("init", "--kind", "images", "--classes", 3, "--shape", shape, "--size", "large").exit_code == 0
    )
    assert check_config("config.yaml").problems == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--kind and --classes must be given"),
        (["--kind", "images"], "--classes must be given"),
        (["--kind", "images", "--classes", "1"], "must be 0 (the target is a number), 2 or more"),
        (["--kind", "images", "--classes", "3", "--shape", "28x28"], "the shape of images must be"),
        (["--kind", "images", "--classes", "3", "--shape", "28x0x1"], "the shape of images must be"),
        (["--kind", "sounds", "--classes", "3"], "'sounds' is not one of"),
        (["--output", "none/c.yaml"], "directory none does not exist"),
    ],
)
def test_missing_or_invalid_options_are_usage_errors(place, arguments, message):
    result = invoke("init", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
    assert list(place.iterdir()) == []


def test_overwriting_requires_force(place):
    (place / "config.yaml").write_text("mine")
    options = ["--kind", "vectors", "--classes", 0]
    assert invoke("init", *options).exit_code == 2
    assert (place / "config.yaml").read_text() == "mine"
    assert invoke("init", *options, "--force").exit_code == 0
    assert check_config("config.yaml").ok


@pytest.fixture
def terminal(place, monkeypatch):
    monkeypatch.setattr("layercli.commands.init.is_interactive", lambda _: True)
    return place


def test_prompts_repeat_after_invalid_answers(terminal):
    result = invoke("init", stdin="pictures\nim\n28x28\n28x28x1\n1\nten\n10\n")
    assert result.exit_code == 0, result.output
    assert "expected one of vectors, sequences, images, text, got 'pictures'" in result.stdout
    assert "the shape of images must be" in result.stdout
    assert "must be 0, 2 or more, got '1'" in result.stdout
    assert yaml.safe_load((terminal / "config.yaml").read_text())["model"]["input"] == [28, 28, 1]


@pytest.mark.parametrize(
    ("answers", "data"),
    [
        ("\n", {"type": "sklearn", "dataset": "iris"}),
        ("diab\n", {"type": "sklearn", "dataset": "diabetes"}),
        ("vectors\n\n\n", {"type": "sklearn", "dataset": "iris"}),
        ("sequences\n\n\n", {"type": "sklearn", "dataset": "digits", "shape": [8, 8]}),
        ("images\n\n\n", {"type": "sklearn", "dataset": "digits", "shape": [8, 8, 1]}),
        ("t.csv\n", {"type": "csv", "path": "t.csv"}),
        ("text\n\n", {"type": "npz", "path": "data.npz"}),
    ],
)
def test_answers_choose_data(terminal, answers, data):
    (terminal / "t.csv").write_text("a,y\n1,no\n2,yes\n3,no\n")
    result = invoke("init", stdin=answers)
    assert result.exit_code == 0, result.output
    assert check_config("config.yaml").problems == []
    written = yaml.safe_load((terminal / "config.yaml").read_text())["data"]
    assert {key: written[key] for key in data} == data


def test_aborted_prompt_writes_nothing(terminal):
    assert invoke("init", stdin="images\n").exit_code == 130
    assert list(terminal.iterdir()) == []


JOBS, PAID = ("nurse", "cook", "null"), ("no", "yes")
TABLE = "age;job;when;id;paid\n" + "".join(
    f"{20 + n % 30};{JOBS[n % 3]};2020-01-{n % 28 + 1:02};x{n}y;{PAID[n % 2]}\n" for n in range(60)
).replace("\n22;", "\nNA;")


@pytest.mark.tensorflow
def test_config_from_table_trains(place):
    (place / "people.csv").write_text(TABLE)
    result = invoke("init", "people.csv", "--output", "people.yaml")
    assert result.exit_code == 0, result.output
    checked = check_config("people.yaml")
    assert checked.problems == []
    config = yaml.safe_load((place / "people.yaml").read_text())
    numbers = ["age", "when.day", "when.weekday", "when.elapsed"]
    assert config["data"]["inputs"] == {"numbers": numbers, "job": "job"}
    assert config["data"]["missing"] == {"numbers": "median"}
    layers = {layer.get("name"): layer for layer in config["model"]["layers"]}
    assert layers["job_vector"]["vocabulary"] == ["nurse", "cook"]
    text = (place / "people.yaml").read_text()
    assert "# not used: id, a different text in every row" in text
    run = train("people.yaml", place / "run", "--set", "train.epochs=2")
    assert run.result.exit_code == 0, run.result.output


def test_columns_with_one_value_are_left_out(place):
    rows = "".join(
        f"2013,7.0,FR,,{word},{n % 9},{n % 5}.5\n" for n, word in enumerate(["low", "", "high"] * 9)
    )
    (place / "t.csv").write_text(f"year,size,country,nothing,level,number,y\n{rows}".replace("7.0", "7", 3))
    assert invoke("init", "t.csv").exit_code == 0
    assert check_config("config.yaml").problems == []
    text = (place / "config.yaml").read_text()
    assert yaml.safe_load(text)["data"]["inputs"] == {"numbers": ["number"], "level": "level"}
    assert [line.strip() for line in text.splitlines() if "not used" in line] == [
        "# not used: year, the same number in every row",
        "# not used: size, the same number in every row",
        "# not used: country, the same text in every row",
        "# not used: nothing, empty in every row",
    ]


def test_column_that_varies_only_in_later_rows_is_used(place):
    rows = "".join(f"{2013 + n // 90_000},{n % 100},{n % 7}.5\n" for n in range(100_000))
    (place / "t.csv").write_text(f"year,x,y\n{rows}")
    assert invoke("init", "t.csv").exit_code == 0
    assert "not used" not in (place / "config.yaml").read_text()


def test_table_without_a_usable_column_is_refused(place):
    (place / "t.csv").write_text("year,when,y\n2013,2020-01-01,1.5\n2013,2020-01-01,2.5\n")
    result = invoke("init", "t.csv", "--json")
    assert json.loads(result.stdout)["problems"][0]["message"] == (
        "No column besides the target `y` can be an input. "
        "`year`: the same number in every row; `when`: every date is the same."
    )
    assert not (place / "config.yaml").exists()


@pytest.mark.parametrize(
    ("text", "target", "loss", "units"),
    [
        ("a,b,y\n1,2,0\n2,3,1\n3,1,2\n", None, "sparse_categorical_crossentropy", 3),
        ("a,b,y\n1,2,3\n2,3,5\n3,1,3\n", None, "binary_crossentropy", 1),
        ("a,b,y\n1,2,0.5\n2,3,1\n3,1,2\n", None, "mean_squared_error", 1),
        ("y,a,b\nno,2,0\nyes,3,1\nno,1,2\n", None, "binary_crossentropy", 1),
        ("a,b,c\n1,2,x\n2,3,y\n3,1,z\n", "a", "sparse_categorical_crossentropy", 3),
        ("1,2,x\n2,3,y\n3,1,z\n", "column_3", "sparse_categorical_crossentropy", 3),
        ('\ufeff"a b","é, è",y\n1,2,0\n2,3,1\n3,1,1\n', None, "binary_crossentropy", 1),
    ],
)
def test_target_determines_loss(place, text, target, loss, units):
    (place / "t.csv").write_text(text)
    result = invoke("init", "t.csv", *(["--target", target] if target else []))
    assert result.exit_code == 0, result.output
    checked = check_config("config.yaml")
    assert checked.problems == []
    config = yaml.safe_load((place / "config.yaml").read_text())
    assert config["train"]["loss"] == loss
    assert require_valid(checked).shapes.rows[-1].outputs[0].shape[-1] == units


def repeat(*rows, count=60):
    """Lines of a table: a number that varies, and one of the rows."""
    return "".join(f"{n * 7 % 31},{rows[n % len(rows)]}\n" for n in range(count))


@pytest.mark.parametrize(
    ("text", "name", "line"),
    [
        (
            "a,v,y\n" + repeat("$3,p", "€4,q"),
            "config.yaml",
            "# not used: v, its numbers have different currency",
        ),
        ("a,v,y\n" + repeat("3%,p", "4,q", "5,p"), "config.yaml", "# not used: v, only 20 of its 60 numbers"),
        (
            "a,v,y\n"
            + repeat("2024-01-05,p", "2024-02-07,q", "2024-01-05,q", "2024-05-11,q")
            + "1,2024-02-30,p\n2,soon,q\n",
            "config.yaml",
            'missing: {values: [default, "2024-02-30", soon], numbers: median}   # medians',
        ),
        (
            "a,v,y\n" + repeat("2024-01-05,p", "2024-01-06,q", "05.01.2024,q"),
            "config.yaml",
            "# not used: v, 20 of its 60 values",
        ),
        ("a,zip,y\n" + repeat("01006,p", "10001,q", "10001,p"), "config.yaml", "types: {zip: text}"),
        ("a,v,y\n" + repeat("x,None", "y,A", "z,B"), "config.yaml", 'missing: {values: [NA, "null", NaN]}'),
        (
            "a,y\n" + repeat("p", "q", ""),
            "config.yaml",
            "missing: {columns: {y: drop}}   # their rows are left out",
        ),
        (
            "a,user_id,y\n" + "".join(f"{n % 9},u{n // 3},{'pq'[n % 2]}\n" for n in range(90)),
            "config.yaml",
            "split: {validation: 0.2, group: user_id}",
        ),
        (
            "day,b,y\n"
            + "".join(f"2024-{n // 28 + 1:02}-{n % 28 + 1:02},{n * 7 % 31},{n}.5\n" for n in range(112)),
            "config.yaml",
            "split: {validation: 0.2, test: 0.1, order: day}",
        ),
        (
            "day,y\n" + "".join(f"{n % 28 + 1:02}/{n // 28 + 1:02}/2024,{n}.5\n" for n in range(112)),
            "config.yaml",
            "day: {order: dmy, features: [elapsed]}",
        ),
        (
            "day,y\n"
            + "".join(f"2024-{n // 28 + 1:02}-{n % 28 + 1:02},{n if n % 9 else ''}\n" for n in range(112)),
            "config.yaml",
            "windows: {length: 3, horizon: 1, time: day}",
        ),
        (
            "day,s,t,y\n"
            + "".join(f"2024-01-{n // 4 + 1:02},{'ab'[n % 2]},{n // 2 % 2},{n}.5\n" for n in range(112)),
            "config.yaml",
            "time: day, by: [s, t]}",
        ),
        (
            "user_id,y\n" + "".join(f"u{n // 3},{n % 7}.5\n" for n in range(90)),
            "config.yaml",
            "user_id: user_id",
        ),
        ("a,v,y\n[m],[s],\n" + repeat("3,p", "4,q"), "config.yaml", "columns: [a, v, y]"),
        ("a,v,y\n" + repeat("3,p", "4,q"), "configs/config.yaml", 'path: "../t.csv"'),
    ],
)
def test_config_of_a_messy_table_fits_it(place, text, name, line):
    (place / "configs").mkdir()
    (place / "t.csv").write_text(text)
    assert invoke("init", "t.csv", "-o", name).exit_code == 0
    assert line in (place / name).read_text()
    result = invoke("inspect-data", name, "--json")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n1\n2\n", "t.csv has only one column"),
        (b"a,b\n", "t.csv has no rows of values"),
        (b"\xff\xfe\x00,\x00", "t.csv cannot be read: line 1, column 2 ends within a character of utf-16."),
        (b"", "t.csv cannot be read: it is empty."),
    ],
)
def test_non_table_is_rejected(place, content, message):
    (place / "t.csv").write_bytes(content)
    result = invoke("init", "t.csv", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"][0]["message"].startswith(message)
    assert not (place / "config.yaml").exists()


IMAGES = {
    "png": ("L", [20, 30, 1]),
    "PNG": ("RGB", [20, 30, 3]),
    "gif": ("RGB", [20, 30, 3]),
    "bmp": ("L", [20, 30, 1]),
    "jpg": ("RGB", [20, 30, 3]),
}


@pytest.mark.parametrize("suffix", IMAGES)
def test_image_folder_determines_input_shape(place, suffix):
    from PIL import Image

    mode, shape = IMAGES[suffix]
    for name in ("cat", "dog", "hen"):
        (place / "pets" / name).mkdir(parents=True)
        for number in range(3):
            Image.new(mode, (30, 20)).save(place / "pets" / name / f"{number}.{suffix}")
    result = invoke("init", "pets")
    assert result.exit_code == 0, result.output
    assert "Found 9 images of 3 classes, all 20x30: cat, dog, hen." in result.stdout
    checked = check_config("config.yaml")
    assert checked.problems == []
    config = yaml.safe_load((place / "config.yaml").read_text())
    assert config["model"]["input"] == shape
    assert config["data"]["channels"] == shape[2]
    assert "size" not in config["data"]
    assert require_valid(checked).shapes.rows[-1].outputs[0].shape == (None, 3)


@pytest.mark.tensorflow
def test_images_of_mixed_sizes_are_scaled_and_train(place):
    from PIL import Image

    for number in range(20):
        for name in ("cat", "dog"):
            (place / "pets" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20 + number, 16)).save(place / "pets" / name / f"{number}.png")
    assert invoke("init", "pets", "--size", "small").exit_code == 0
    config = yaml.safe_load((place / "config.yaml").read_text())
    assert (config["data"]["path"], config["data"]["size"]) == ("pets", [16, 29])
    run = train("config.yaml", place / "run", "--set", "train.epochs=1")
    assert run.result.exit_code == 0, run.result.output


def test_folder_without_images_or_texts_is_rejected(place):
    (place / "pets" / "cat").mkdir(parents=True)
    document = json.loads(invoke("init", "pets", "--json").stdout)
    assert document["problems"][0]["message"].startswith("pets contains no images or texts (.png")
    assert invoke("init", "nowhere.csv", "--json").exit_code == 1


def make_pixels():
    rows = (",".join(str((n % 3) * k * n % 17) for k in range(36)) + f",{n % 3}" for n in range(60))
    return "\n".join([",".join(f"p{k}" for k in range(36)) + ",label", *rows])


TABLES = {
    "booleans and a missing target": "a,b,y\n"
    + "".join(f"{n % 7},{n % 2 == 0},{'' if n == 5 else n % 3 == 0}\n" for n in range(40)),
    "dates and infinite numbers": "when,a,price\n"
    + "".join(f"2024-{n % 12 + 1:02}-03,{'inf' if n == 7 else n % 5},{n % 9 * 50_000}\n" for n in range(40)),
    "a series": "day,level\n"
    + "".join(f"2024-{n // 28 + 1:02}-{n % 28 + 1:02},{n % 7}.5\n" for n in range(112)),
    "texts": "review,mood\n"
    + "".join(f"it was {n} a {'good' if n % 2 else 'bad'} day,{n % 2}\n" for n in range(40)),
    "pixels": make_pixels(),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", TABLES)
def test_configs_of_many_tables_train(place, name):
    (place / "t.csv").write_text(TABLES[name])
    result = invoke("init", "t.csv")
    assert result.exit_code == 0, result.output
    assert check_config("config.yaml").problems == []
    run = train(
        "config.yaml", place / "run", "--set", "train.epochs=1", "--set", "train.checkpoints.epochs=1"
    )
    assert run.result.exit_code == 0, run.result.output
    assert "almost zero" not in run.result.stderr

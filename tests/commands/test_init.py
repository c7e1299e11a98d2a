"""``layercli init`` writes configs without a problem: from options, from answers, and from a look at the data."""

import json
import struct
import sys
import zlib

import pytest
import yaml

from layercli.check import check_config, require_valid
from layercli.data.preview import preview_table
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
def test_every_choice_gives_a_config_without_a_problem(kind, classes, size):
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
def test_images_of_any_size_are_not_pooled_away(shape):
    assert (
        invoke("init", "--kind", "images", "--classes", 3, "--shape", shape, "--size", "large").exit_code == 0
    )
    assert check_config("config.yaml").problems == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--kind and --classes must be given"),
        (["--kind", "images"], "--classes must be given"),
        (["--kind", "images", "--classes", "1"], "one class leaves nothing to tell apart"),
        (["--kind", "images", "--classes", "3", "--shape", "28x28"], "no shape of images"),
        (["--kind", "images", "--classes", "3", "--shape", "28x0x1"], "no shape of images"),
        (["--kind", "sounds", "--classes", "3"], "'sounds' is not one of"),
        (["--output", "none/c.yaml"], "there is no directory none"),
    ],
)
def test_what_is_missing_or_wrong_is_usage(place, arguments, said):
    result = invoke("init", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())
    assert list(place.iterdir()) == []


def test_a_file_is_never_overwritten_unless_allowed(place):
    (place / "config.yaml").write_text("mine")
    options = ["--kind", "vectors", "--classes", 0]
    assert invoke("init", *options).exit_code == 2
    assert (place / "config.yaml").read_text() == "mine"
    assert invoke("init", *options, "--force").exit_code == 0
    assert check_config("config.yaml").ok


def test_a_person_is_asked_and_asked_again(place, monkeypatch):
    monkeypatch.setattr(sys, "stdin", sys.stdin)
    monkeypatch.setattr("layercli.commands.init.is_asked", lambda _: True)
    result = invoke("init", stdin="pictures\nim\n28x28\n28x28x1\n1\nten\n10\n")
    assert result.exit_code == 0, result.output
    assert "'pictures' is none of" in result.stdout
    assert "'28x28' is no shape of images" in result.stdout
    assert "'1' is no number of classes" in result.stdout
    assert yaml.safe_load((place / "config.yaml").read_text())["model"]["input"] == [28, 28, 1]


def test_leaving_in_the_middle_leaves_nothing(place, monkeypatch):
    monkeypatch.setattr("layercli.commands.init.is_asked", lambda _: True)
    assert invoke("init", stdin="images\n").exit_code == 130
    assert list(place.iterdir()) == []


JOBS, PAID = ("nurse", "cook", "null"), ("no", "yes")
TABLE = "age;job;when;id;paid\n" + "".join(
    f"{20 + n % 30};{JOBS[n % 3]};2020-01-{n % 28 + 1:02};x{n}y;{PAID[n % 2]}\n" for n in range(60)
).replace("\n22;", "\nNA;")


def test_a_table_is_looked_at_and_its_config_trains(place):
    (place / "people.csv").write_text(TABLE)
    result = invoke("init", "people.csv", "--output", "people.yaml")
    assert result.exit_code == 0, result.output
    checked = check_config("people.yaml")
    assert checked.problems == []
    config = yaml.safe_load((place / "people.yaml").read_text())
    assert config["data"]["inputs"] == {"numbers": ["age"], "job": "job"}
    assert config["data"]["missing"] == {"numbers": "median"}
    assert config["model"]["layers"][1]["vocabulary"] == ["nurse", "cook"]
    text = (place / "people.yaml").read_text()
    assert "# not used: when, a date" in text
    assert "# not used: id, a different text in every row" in text
    run = train("people.yaml", place / "run", "--set", "train.epochs=2")
    assert run.result.exit_code == 0, run.result.output


@pytest.mark.parametrize(
    ("text", "target", "loss", "units"),
    [
        ("a,b,y\n1,2,0\n2,3,1\n3,1,2\n", None, "sparse_categorical_crossentropy", 3),
        ("a,b,y\n1,2,3\n2,3,5\n3,1,3\n", None, "binary_crossentropy", 1),
        ("a,b,y\n1,2,0.5\n2,3,1\n3,1,2\n", None, "mean_squared_error", 1),
        ("y,a,b\nno,2,0\nyes,3,1\nno,1,2\n", None, "binary_crossentropy", 1),
        ("a,b,c\n1,2,x\n2,3,y\n3,1,z\n", "a", "sparse_categorical_crossentropy", 3),
        ("1,2,x\n2,3,y\n3,1,z\n", "column_3", "sparse_categorical_crossentropy", 3),
        ('\ufeff"a b","é, è",y\n1,2,0\n2,3,1\n', None, "binary_crossentropy", 1),
    ],
)
def test_the_target_decides_the_loss(place, text, target, loss, units):
    (place / "t.csv").write_text(text)
    result = invoke("init", "t.csv", *(["--target", target] if target else []))
    assert result.exit_code == 0, result.output
    checked = check_config("config.yaml")
    assert checked.problems == []
    config = yaml.safe_load((place / "config.yaml").read_text())
    assert config["train"]["loss"] == loss
    assert require_valid(checked).shapes.rows[-1].outputs[0].shape[-1] == units


def test_only_the_beginning_of_a_large_table_is_read(place):
    (place / "big.csv").write_text("a,b\n" + "1.5,0\n" * 400_000)
    table = preview_table(place / "big.csv")
    assert not table.is_complete
    assert table.row_count < 200_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n1\n2\n", "t.csv has one column"),
        (b"a,b\n", "t.csv has no line of values"),
        (b"\xff\xfe\x00,\x00", "t.csv is no table of text"),
        (b"", "t.csv has one column"),
    ],
)
def test_what_is_no_table_says_so(place, content, message):
    (place / "t.csv").write_bytes(content)
    result = invoke("init", "t.csv", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"][0]["message"].startswith(message)
    assert not (place / "config.yaml").exists()


def png(width, height, colour):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


IMAGES = {
    "png": (png(30, 20, 0), [20, 30, 1]),
    "PNG": (png(30, 20, 2), [20, 30, 3]),
    "gif": (b"GIF89a" + struct.pack("<HH", 30, 20) + b"\0", [20, 30, 3]),
    "bmp": (b"BM" + b"\0" * 16 + struct.pack("<ii", 30, -20), [20, 30, 3]),
    "jpg": (b"\xff\xd8\xff\xe0\0\4\0\0\xff\xc0\0\x11\x08" + struct.pack(">HH", 20, 30) + b"\3" + b"\0" * 9, [20, 30, 3]),
}  # fmt: skip


@pytest.mark.parametrize("suffix", IMAGES)
def test_a_folder_of_images_gives_a_model_of_their_size(place, suffix):
    content, shape = IMAGES[suffix]
    for name in ("cat", "dog", "hen"):
        (place / "pets" / name).mkdir(parents=True)
        for number in range(3):
            (place / "pets" / name / f"{number}.{suffix}").write_bytes(content)
    result = invoke("init", "pets")
    assert result.exit_code == 0, result.output
    assert "Saw 9 images of 3 classes, all of 20x30." in result.stdout
    checked = check_config("config.yaml")
    assert checked.problems == []
    config = yaml.safe_load((place / "config.yaml").read_text())
    assert config["model"]["input"] == shape
    assert config["data"]["channels"] == shape[2]
    assert "size" not in config["data"]
    assert require_valid(checked).shapes.rows[-1].outputs[0].shape == (None, 3)


def test_images_of_several_sizes_are_scaled_and_train(place):
    from PIL import Image

    for number in range(20):
        for name in ("cat", "dog"):
            (place / "pets" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20 + number, 16)).save(place / "pets" / name / f"{number}.png")
    assert invoke("init", "pets", "--size", "small").exit_code == 0
    config = yaml.safe_load((place / "config.yaml").read_text())
    assert (config["data"]["path"], config["data"]["size"]) == ("pets", [20, 20])
    run = train("config.yaml", place / "run", "--set", "train.epochs=1")
    assert run.result.exit_code == 0, run.result.output


def test_a_folder_without_images_says_what_was_expected(place):
    (place / "pets" / "cat").mkdir(parents=True)
    document = json.loads(invoke("init", "pets", "--json").stdout)
    assert document["problems"][0]["message"].startswith("pets has no folders with images")
    assert invoke("init", "nowhere.csv", "--json").exit_code == 1

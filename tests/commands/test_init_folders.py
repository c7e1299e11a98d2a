"""``layercli init`` on folders of images and texts: classes, sets, tables of labels and masks."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from layercli.check import check_config
from tests.running import invoke, train

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def image(path, size=(8, 8), mode="RGB", value=7):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "I;16") else (value,) * 3).save(path)


def text(path, content):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)


def init(*arguments):
    """Return the config that ``init`` writes, which has no problems, and the notes."""
    result = invoke("init", *arguments, "--json")
    assert result.exit_code == 0, result.output
    assert check_config("config.yaml").problems == []
    return yaml.safe_load(Path("config.yaml").read_text()), json.loads(result.stdout)["note"]


def refusal(*arguments):
    result = invoke("init", *arguments, "--json")
    assert result.exit_code == 1, result.output
    assert not Path("config.yaml").exists()
    return [problem["message"] for problem in json.loads(result.stdout)["problems"]]


def make_masks(values, folder="d", count=10, size=(16, 8)):
    for number in range(count):
        image(f"{folder}/images/{number}.png", size)
        mask = np.resize(np.array(values, np.uint8), (size[1], size[0]))
        Path(folder, "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(f"{folder}/masks/{number}.png")


@pytest.mark.parametrize(
    ("values", "units", "target_type", "loss"),
    [
        ([0, 1, 2], 3, None, "sparse_categorical_crossentropy"),
        ([0, 255], 2, None, "sparse_categorical_crossentropy"),
        ([0, 1, 255], 2, None, {"type": "SparseCategoricalCrossentropy", "ignore_class": 255}),
        ([0, 100, 200], 3, "labels", "sparse_categorical_crossentropy"),
        ([1, 2, 3], 3, "labels", "sparse_categorical_crossentropy"),
        ([0, 128, 255], 3, "labels", "sparse_categorical_crossentropy"),
        ([0], 2, None, "sparse_categorical_crossentropy"),
    ],
)
def test_masks_determine_the_classes_of_pixels(values, units, target_type, loss):
    make_masks(values)
    config, note = init("d")
    assert config["data"]["path"] == "d/images"
    assert config["data"]["masks"] == {"path": "d/masks"}
    assert config["data"].get("target_type") == target_type
    assert config["model"]["layers"][-1]["filters"] == units
    assert (config["train"]["loss"], config["train"]["batch_size"]) == (loss, 8)
    assert f"10 images, all 8x16, with masks of {units} classes" in note


def make_smooth_masks(suffix, **options):
    """Write images, and masks of a white square with gray edges."""
    for number in range(10):
        image(f"d/images/{number}.png", (32, 16))
        mask = np.zeros((16, 32), np.uint8)
        mask[4:12, 4 + number : 18 + number] = 255
        mask[4, 4 + number : 18 + number] = np.linspace(3, 200, 14) + number
        Path("d/masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(f"d/masks/{number}{suffix}", **options)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_smooth_black_and_white_masks_have_two_classes(suffix):
    make_smooth_masks(suffix)
    config, note = init("d")
    assert config["data"]["masks"] == {"path": "d/masks", "threshold": 128}
    assert config["model"]["layers"][-1]["filters"] == 2
    assert "a pixel whose gray value is at least 128 has the class 255, any other the class 0" in note


def test_jpeg_masks_of_gray_values_are_refused():
    make_smooth_masks(".jpg")
    Image.new("L", (32, 16), 100).save("d/masks/3.jpg")
    Image.new("L", (32, 16), 100).save("d/masks/4.jpg")
    [message] = refusal("d")
    assert message.startswith("10 masks are JPEG files, which do not keep class numbers: d/masks/0.jpg, ")


def test_folder_of_sounds_is_refused():
    Path("sounds/low").mkdir(parents=True)
    Path("sounds/low/a.wav").write_bytes(b"RIFF")
    result = invoke("init", "sounds", "--json")
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["message"].endswith("only files that are 1 .wav.")
    assert problem["hint"].startswith("layercli does not read sounds. ")


def test_masks_of_colors():
    make_masks([0])
    for number in range(10):
        Image.new("RGB", (16, 8), (255, 0, 0) if number else (0, 0, 255)).save(f"d/masks/{number}.png")
    config, note = init("d")
    assert config["model"]["layers"][-1]["filters"] == 2
    assert "2 classes: #0000ff, #ff0000." in note


def test_images_with_masks_are_scaled_to_sizes_that_can_be_halved():
    make_masks([0, 1], size=(50, 30))
    config, _ = init("d")
    assert config["data"]["size"] == [32, 48]


def test_masks_of_sets():
    for part in ("train", "val", "test"):
        make_masks([0, 1], f"d/{part}", 2)
    config, note = init("d")
    assert config["data"]["path"] == "d/train/images"
    assert config["data"]["split"] == {"validation": "d/val", "test": "d/test"}
    assert "The validation set is d/val.\nThe test set is d/test." in note


def test_masks_next_to_their_images_and_a_rare_value_are_named():
    for number in range(10):
        image(f"d/{number}.png", (8, 8))
        mask = np.arange(64, dtype=np.uint8).reshape(8, 8) % 2
        mask[0, 0] = 77 if number == 7 else 0
        Image.fromarray(mask).save(f"d/{number}_mask.png")
    config, note = init("d")
    assert (config["data"]["path"], config["data"]["masks"]) == ("d", {"path": "d"})
    assert "Only d/7_mask.png has the value 77: correct it if it is not a class." in note


def test_encoding_of_texts_is_found():
    for label in "ab":
        for number in range(3):
            path = Path(f"d/{label}/{number}.txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"Größe {number}".encode("cp1252"))
    config, note = init("d")
    assert config["data"]["encoding"] == "cp1252"
    assert "Found encoding cp1252." in note
    Path("config.yaml").unlink()
    text("d/a/1.txt", "Größe")
    config, note = init("d")
    assert "encoding" not in config["data"]
    assert "d/a/0.txt is not UTF-8, but other files are: save all as UTF-8." in note


def test_wrong_masks_are_reported_before_a_config_is_written():
    make_masks([0, 1], count=3)
    Path("d/masks/0.png").unlink()
    Image.new("L", (3, 3)).save("d/masks/1.png")
    assert refusal("d")[0] == "The image d/images/0.png has no mask in d/masks."


TABLES = {
    "classes": (["file,label", "0.png,cat", "1.png,dog"], "label", 1, "binary_crossentropy"),
    "numbers": (["image;price", "0;7.5", "1;8.5"], "price", 1, "mean_squared_error"),
    "several": (["image,a,b", "./0.png,1,1", "1,0,0"], ["a", "b"], 2, "binary_crossentropy"),
    "one-hot": (
        ["id,a,b,c", "0,1,0,0", "1,0,1,0", "2,0,0,1"],
        ["a", "b", "c"],
        3,
        "categorical_crossentropy",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_table_of_labels_determines_the_target(name):
    rows, target, units, loss = TABLES[name]
    for number in range(3):
        image(f"d/{number}.png")
    text("d/labels.csv", "\n".join(rows))
    config, note = init("d")
    assert config["data"]["labels"]["target"] == target
    assert config["train"]["loss"] == loss
    assert [layer["units"] for layer in config["model"]["layers"] if "units" in layer] == [units]
    assert f"Files: `{rows[0].replace(';', ',').split(',')[0]}`. Target: `" in note


def test_table_is_recognized_by_itself_and_by_its_folder():
    for number in range(10):
        image(f"d/img/{number}.png")
    rows = "\n".join(f"img/{number}.png,{number % 2},{number}.5" for number in range(10))
    text("d/list.csv", f"file,label,weight\n{rows}\n")
    config, note = init("d/list.csv")
    assert config["data"]["labels"] == {"path": "d/list.csv", "file": "file", "target": "label"}
    assert "Not used: `weight`." in note
    config, _ = init("d", "--force", "--target", "label", "--target", "weight")
    assert config["data"]["labels"]["target"] == ["label", "weight"]
    assert config["model"]["layers"][-2]["units"] == 2


def test_rows_without_images_are_reported_before_a_config_is_written():
    for number in range(4):
        image(f"d/{number}.png")
    text("d/labels.csv", "file,label\n0.png,a\n1.png,b\n2.png,a\n9.png,b\n8.png,a\n")
    assert refusal("d") == [
        'd/labels.csv, line 5: the image "9.png" does not exist.',
        'd/labels.csv, line 6: the image "8.png" does not exist.',
        "1 image in d has no row in d/labels.csv and is left out: 3.png.",
    ]


def test_texts_are_not_several_targets():
    for number in range(4):
        image(f"d/{number}.png")
    text("d/labels.csv", "file,a,b\n" + "".join(f"{n}.png,{'xy'[n % 2]},{n % 3}\n" for n in range(4)))
    assert refusal("d", "--target", "a", "--target", "b") == [
        "Several targets must be columns of numbers, but `a` contains texts."
    ]


@pytest.mark.parametrize("suffix", ["png", "txt"])
def test_sets_of_classes_become_separate_files(suffix):
    for part, count in (("train", 6), ("valid", 2), ("test", 2)):
        for name in ("cat", "dog"):
            for number in range(count):
                path = f"d/{part}/{name}/{number}.{suffix}"
                if suffix == "png":
                    image(path)
                else:
                    text(path, f"a {name} {number}")
    config, note = init("d")
    assert config["data"]["path"] == "d/train"
    assert config["data"]["split"] == {"validation": "d/valid", "test": "d/test"}
    assert "Found 12 " in note


def test_set_without_labels_and_set_with_other_classes_are_not_used():
    for name in ("train/cat", "train/dog", "val/hen"):
        image(f"d/{name}/1.png")
    image("d/test/1.png")
    config, note = init("d")
    assert config["data"]["split"] == {"validation": 0.2, "stratify": True}
    assert "Not used: d/val, because hen is not a class of the training set." in note
    assert "Not used: d/test, which has no labels." in note


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["d/only/1.png"], "d contains images of only one class, only."),
        (["d/1.png", "d/2.png"], "d contains 2 images but no labels."),
        (["d/1.txt"], "d contains 1 texts but no labels."),
    ],
)
def test_folder_without_labels_is_rejected(paths, message):
    for path in paths:
        image(path) if path.endswith("png") else text(path, "a")
    assert refusal("d") == [message]


def test_few_texts_among_images_are_left_out_and_counted():
    for name in ("cat", "dog"):
        for number in range(3):
            image(f"d/{name}/{number}.png")
    text("d/cat/notes.txt", "hello")
    Path("d/hen").mkdir()
    config, note = init("d")
    assert config["data"]["type"] == "images"
    assert "1 file in d is left out: 1 .txt (the first is cat/notes.txt)." in note
    assert "1 folder contains no files" in note


def test_deep_images_are_normalized():
    for name in ("cat", "dog"):
        image(f"d/{name}/1.png", mode="I;16", value=3000)
    config, _ = init("d")
    assert config["model"]["layers"][0] == {"type": "Normalization", "axis": None}


@pytest.mark.tensorflow
def test_config_of_masks_trains_and_predicts():
    make_masks([0, 1, 1], count=12)
    init("d", "--size", "small")
    run = train("config.yaml", Path("run"), "--set", "train.epochs=1")
    assert run.result.exit_code == 0, run.result.output
    result = invoke("predict", "run", "--input", "d/images", "--output", "predicted/")
    assert result.exit_code == 0, result.output
    with Image.open("predicted/3.png") as mask:
        assert mask.size == (16, 8)

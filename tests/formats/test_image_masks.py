"""images data with masks: numbers, colors, sizes and files without a partner."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from layercli.config.data.section import DATA_TYPES
from layercli.data.reader_state import ReaderState
from layercli.data.statistics import compute_statistics
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset, load_new_dataset
from tests.formats.helpers import image

pytestmark = pytest.mark.usefixtures("place")

CLASSES = np.array([[0, 1, 2, 1], [2, 2, 0, 0], [1, 0, 0, 2]], np.uint8)
"""A mask of 3 rows and 4 columns."""
RED_GREEN_BLACK = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)


def section(**keys):
    return DATA_TYPES.parse({"type": "images", "path": "images", "masks": {"path": "masks"}} | keys)


def write(mask, name="a.png", *, size=(4, 3), folder="masks", suffix=".png", **options):
    """Write a mask, and an image of (width, height)."""
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    picture.save(path, **options)
    image(Path("images") / Path(name).with_suffix(suffix), size=size)


def palette():
    picture = Image.fromarray(CLASSES).convert("L")
    stored = Image.new("P", picture.size)
    stored.putdata(CLASSES.ravel().tolist())
    stored.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    return stored


def read(**keys):
    return load_dataset(section(**keys))


def errors(**keys):
    with pytest.raises(DataError) as caught:
        read(**keys)
    return [found.message for found in caught.value.findings]


@pytest.mark.parametrize(
    "mask",
    [CLASSES, palette(), CLASSES.astype(np.uint16), np.repeat(CLASSES[..., None], 3, axis=2)],
    ids=["gray", "palette", "16 bits", "gray as colors"],
)
def test_numbers_are_classes(mask):
    write(mask)
    examples = read()
    assert (examples.y.dtype, examples.class_names) == (np.uint8, None)
    assert np.array_equal(examples.y[0], CLASSES)


def test_mask_may_have_composed_or_decomposed_letters():
    write(CLASSES, "a\u0308.png")
    Path("masks/a\u0308.png").rename("masks/\u00e4_mask.png")
    assert np.array_equal(read().y[0], CLASSES)


def test_numbers_above_255_are_kept():
    write(CLASSES.astype(np.uint16) * 300)
    assert (read().y.dtype, read().y.max()) == (np.int32, 600)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colors_are_classes_in_ascending_order(mode):
    write(Image.fromarray(RED_GREEN_BLACK[CLASSES]).convert(mode))
    examples = read()
    assert examples.class_names == ("#000000", "#00ff00", "#ff0000")
    assert np.array_equal(examples.y[0], np.array([0, 2, 1])[CLASSES])


def test_a_gray_mask_among_colors_is_a_color():
    write(RED_GREEN_BLACK[CLASSES])
    write(np.zeros((3, 4), np.uint8), "b.png")
    assert read().class_names == ("#000000", "#00ff00", "#ff0000")
    assert read().y[1].max() == 0


@pytest.mark.parametrize("mask", [CLASSES % 2 * 255, CLASSES % 2 > 0], ids=["0 and 255", "1 bit"])
def test_two_values(mask):
    write(mask)
    examples = read()
    assert examples.class_names == (("0", "255") if mask.dtype == np.uint8 else None)
    assert np.array_equal(examples.y[0], CLASSES % 2)


def test_target_type_labels_maps_numbers():
    write(CLASSES * 7)
    assert read().y.max() == 14
    assert read(target_type="labels").class_names == ("0", "7", "14")
    assert np.array_equal(read(target_type="labels").y[0], CLASSES)


@pytest.mark.parametrize("size", [[6, 8], [2, 3], [1, 2]])
def test_masks_are_scaled_to_the_nearest_pixel(size):
    write(CLASSES)
    nearest = Image.fromarray(CLASSES).resize(size[::-1], Image.Resampling.NEAREST)
    assert np.array_equal(read(size=size).y[0], np.asarray(nearest))


def test_streamed_masks_equal_those_in_memory():
    for number in range(12):
        mask = np.kron(np.roll(CLASSES, number), np.ones((70, 70), np.uint8))
        write(mask, f"{number}.png", size=(280, 210))
    whole, streamed = read(), load_dataset(section(), memory=1 << 22)
    assert type(streamed).__name__ == "LazyDataset"
    batch = streamed.take(np.array([7, 2]))
    assert np.array_equal(batch.y, whole.y[[7, 2]])
    assert compute_statistics(streamed).target_values[None].distinct == [0, 1, 2]


def test_masks_are_found_by_path_or_name():
    write(CLASSES, "x/a.png", suffix=".jpg")
    write(CLASSES * 0, "y/a.png", suffix=".jpg")
    assert [mask.max() for mask in read().y] == [2, 0]
    Path("masks/x/a.png").rename("masks/a.png")
    Path("images/y/a.jpg").unlink()
    Path("masks/y/a.png").unlink()
    assert [mask.max() for mask in read().y] == [2]


@pytest.mark.parametrize(
    ("image_name", "mask_name"),
    [
        ("a (1)", "a (1)_mask"),
        ("a", "mask_a"),
        ("b_1", "b_1_segmentation"),
        ("a_sat", "a_mask"),
        ("c_leftImg8bit", "c_gtFine_labelIds"),
        ("0001", "0001_L"),
    ],
)
def test_masks_may_have_a_word_more_than_their_image(image_name, mask_name):
    write(CLASSES, f"{image_name}.png", suffix=".jpg")
    Path(f"masks/{image_name}.png").rename(f"masks/{mask_name}.png")
    assert read().y.max() == 2


def test_masks_next_to_their_images_are_not_images():
    write(CLASSES, "a.png")
    Path("masks/a.png").rename("images/a_mask.png")
    examples = load_dataset(section(masks={"path": "images"}))
    assert (examples.x.shape, examples.y.tolist()) == ((1, 3, 4, 1), [CLASSES.tolist()])
    files = [Path("images/a.png"), Path("images/a_mask.png"), Path("images/b_mask.png")]
    assert section(masks={"path": "images"}).select_examples(files) == [files[0], files[2]]


@pytest.mark.parametrize("memory", [None, 100])
def test_first_mask_with_a_value_is_known(memory):
    for name in "abc":
        write(CLASSES, f"{name}.png")
    write(CLASSES + 5, "b.png")
    values = compute_statistics(load_dataset(section(), memory=memory)).target_values[None]
    assert values.first_files == {
        value: f"masks/{'b' if value > 2 else 'a'}.png" for value in [0, 1, 2, 5, 6, 7]
    }


def test_masks_in_the_folder_of_images_are_not_images():
    write(CLASSES, "a.png", folder="images/masks")
    assert load_dataset(section(masks={"path": "images/masks"})).x.shape == (1, 3, 4, 1)


def test_all_wrong_masks_are_reported_together():
    write(CLASSES, "a.png")
    write(CLASSES, "b.png", size=(5, 3))
    write(CLASSES, "c.jpg")
    write(CLASSES, "d.png")
    Path("masks/d.png").write_text("<html>")
    assert errors(size=[2, 2]) == [
        "The mask masks/b.png is 3x4, but its image images/b.png is 3x5.",
        "Cannot read the mask masks/d.png: it is an HTML page, not an image.",
        "The mask is a JPEG file, which does not keep class numbers: masks/c.jpg.",
    ]


def test_jpeg_masks_are_reported_together():
    for name in "edcba":
        write(CLASSES, f"{name}.jpg")
    assert errors() == [
        "5 masks are JPEG files, which do not keep class numbers: masks/a.jpg, masks/b.jpg, masks/c.jpg and 2 more."
    ]


@pytest.mark.parametrize(
    ("mask", "threshold"),
    [
        (np.array([[0, 127, 128, 255]], np.uint8), 128),
        (np.array([[0, 299, 300, 65535]], np.uint16), 300),
        (np.array([[[9, 0, 0], [0, 0, 255], [0, 255, 0], [200, 200, 200]]], np.uint8), 128),
    ],
    ids=["gray", "16 bits", "colors"],
)
def test_threshold_makes_two_classes(mask, threshold):
    write(mask, size=(4, 1))
    masks = {"path": "masks", "threshold": threshold}
    data = read(masks=masks)
    assert (data.y.tolist(), data.class_names) == ([[[0, 0, 1, 1]]], ("0", "255"))
    state = ReaderState({None: ((1, 4, 1), "uint8")}, data.class_names)
    new = load_new_dataset(section(masks=masks), ["."], state, has_targets=True)
    assert new.y.tolist() == [[[0, 0, 1, 1]]]


def test_threshold_reads_jpeg_masks():
    square = np.zeros((16, 16), np.uint8)
    square[4:12, 4:12] = 255
    write(square, "a.jpg", size=(16, 16), quality=30)
    with Image.open("masks/a.jpg") as saved:
        assert len(np.unique(np.asarray(saved))) > 2
    data = read(masks={"path": "masks", "threshold": 128})
    assert np.array_equal(data.y[0], square // 255)


def test_all_kinds_of_problems_are_reported_together():
    for name in "abc":
        write(CLASSES, f"{name}.png")
    Path("masks/a.png").unlink()
    Path("masks/b.png").rename("masks/b.tif")
    write(CLASSES, "b.gif", suffix=".png")
    Path("images/c.png").write_bytes(Path("images/c.png").read_bytes()[:45])
    write(CLASSES, "d.png", size=(3, 3))
    write(CLASSES, "e.png")
    Image.fromarray(CLASSES).save("masks/f.png")
    assert errors() == [
        "The image images/a.png has no mask in masks.",
        "The image images/b.png has several masks: masks/b.gif and masks/b.tif.",
        "The mask masks/d.png is 3x4, but its image images/d.png is 3x3.",
        "Cannot read the image images/c.png: image file is truncated.",
        "1 mask in masks has no image and is left out: f.png.",
    ]


def test_masks_without_images_are_left_out():
    for name in "abcdef":
        write(CLASSES, f"{name}.png")
        Path(f"images/{name}.png").unlink()
    write(CLASSES, "g.png")
    assert [found.message for found in read().warnings] == [
        "6 masks in masks have no image and are left out: a.png, b.png, c.png and 3 more."
    ]


def test_too_many_colors():
    colors = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    write(colors, size=(40, 30))
    [message] = errors()
    assert message.startswith("The masks have 1,200 colors")


def test_turned_image_with_upright_mask():
    exif = Image.Exif()
    exif[0x0112] = 6
    write(CLASSES)
    Image.new("L", (3, 4)).save("images/a.png", exif=exif)
    assert read().x.shape == (1, 3, 4, 1)


def new_section(names):
    return section(), ReaderState({None: ((3, 4, 1), "uint8")}, names)


def test_new_masks_have_the_classes_of_training():
    write(RED_GREEN_BLACK[CLASSES])
    data, state = new_section(("#000000", "#0000ff", "#00ff00", "#ff0000"))
    for paths in (["images", "masks"], ["."]):
        examples = load_new_dataset(data, paths, state, has_targets=True)
        assert np.array_equal(examples.y[0], np.array([0, 3, 2])[CLASSES])
    data, state = new_section(("#000000", "#00ff00"))
    with pytest.raises(DataError, match="have the value #ff0000, which is not in the training data"):
        load_new_dataset(data, ["."], state, has_targets=True)
    with pytest.raises(DataError, match="images must contain the folders images and masks"):
        load_new_dataset(data, ["images"], state, has_targets=True)


def test_new_masks_of_numbers():
    write(CLASSES * 255)
    data, state = new_section(None)
    assert load_new_dataset(data, ["."], state, has_targets=True).y.max() == 255
    write(RED_GREEN_BLACK[CLASSES])
    with pytest.raises(DataError, match="have the value #000000, which is not in the training data"):
        load_new_dataset(data, ["."], state, has_targets=True)

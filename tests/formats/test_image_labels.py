"""images data with labels from a table."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from layercli.config.data.section import DATA_TYPES
from layercli.data.reader_state import ReaderState
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset, load_new_dataset
from tests.formats.helpers import image

pytestmark = pytest.mark.usefixtures("flowers")


TEXTS = csv.ConvertOptions(strings_can_be_null=True)


LISTS = {"path": "labels.csv", "file": "file", "target": "kind", "separator": " "}


@pytest.fixture
def flowers(place):
    """Four images whose gray value is their number."""
    for number, name in enumerate(("a/1", "a/2", "b/3", "4"), 1):
        image(place / "flowers" / f"{name}.png", value=number)
    return place


def section(target="kind", file="file", **keys):
    labels = {"path": "labels.csv", "file": file, "target": target}
    return DATA_TYPES.parse({"type": "images", "path": "flowers", "labels": labels} | keys)


def read(table, **keys):
    Path("labels.csv").write_text(table)
    return load_dataset(section(**keys))


def findings(table, **keys):
    with pytest.raises(DataError) as caught:
        read(table, **keys)
    return [found.message for found in caught.value.findings if found.severity == "error"]


def numbers(examples):
    return examples.x[:, 0, 0, 0].tolist()


def test_texts_are_classes_in_the_order_of_the_rows():
    examples = read("file,kind\nb/3.png,rose\na/1.png,iris\n4.png,rose\na/2.png,iris\n")
    assert numbers(examples) == [3, 1, 4, 2]
    assert (examples.y.tolist(), examples.class_names) == ([1, 0, 1, 0], ("iris", "rose"))
    assert examples.warnings == ()


def test_numbers_are_numbers():
    examples = read("file,kind\n4.png,0.5\na/1.png,-2\n")
    assert (examples.y.dtype, examples.y.tolist(), examples.class_names) == (np.float32, [0.5, -2], None)


def test_several_columns_are_one_target():
    examples = read("file,red,big\n4.png,1,0\na/1.png,0,0\na/2.png,1,1\n", target=["red", "big"])
    assert (examples.y.dtype.kind, examples.y.tolist()) == ("i", [[1, 0], [0, 0], [1, 1]])
    assert examples.target_columns == {None: ("red", "big")}
    examples = read("file,x,y\n4.png,1,0.5\na/1.png,7,0\n", target=["x", "y"])
    assert examples.y.tolist() == [[1, 0.5], [7, 0]]
    assert findings("file,x,y\n4.png,1,low\na/1.png,0,high\n", target=["x", "y"]) == [
        "Several target columns must contain numbers, but `y` contains texts."
    ]


def test_lists_of_labels_are_zeros_and_ones():
    examples = read("file,kind\na/1.png,red big\na/2.png,small\nb/3.png,\n4.png,big red\n", labels=LISTS)
    assert examples.y.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 1, 0]]
    assert examples.target_columns == {None: ("big", "red", "small")}
    state, data = ReaderState.from_dataset(examples), section(labels=LISTS)
    Path("new.csv").write_text("file,kind\na/2.png,small red\n")
    assert load_new_dataset(data, ["new.csv"], state, has_targets=True).y.tolist() == [[0, 1, 1]]
    Path("new.csv").write_text("file,kind\na/2.png,smal\n")
    with pytest.raises(DataError) as caught:
        load_new_dataset(data, ["new.csv"], state, has_targets=True)
    [found] = caught.value.findings
    assert (found.message, found.hint) == (
        'new.csv has the label "smal", which is not in the training data.',
        "Did you mean `small`?",
    )


def test_booleans_and_other_separators():
    examples = read("file;red;big\n4.png;True;no\na/1.png;False;no\n", target=["red", "big"])
    assert examples.y.tolist() == [[1, 0], [0, 0]]
    assert read("4.png,1\na/1.png,7\n", file="column_1", target="column_2").y.tolist() == [1, 7]
    assert read("file\tred\n4.png\t0.5\na/1.png\t2\n", target="red").y.tolist() == [0.5, 2]


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ("file,kind\n4,x;y\n1,y\n", 'Write `separator: ";"`, which 1 of 2 values contain.'),
        ("file,kind\n4,x\n1,y\n", "Remove `separator`: then the values are classes."),
        ("file,kind\n4,x y\n1,y\n", None),
    ],
)
def test_separator_that_never_occurs_is_a_warning(table, hint):
    dataset = read(table, labels=LISTS)
    found = [each for each in dataset.findings if each.code != "skipped-files"]
    assert [(each.code, each.path, each.hint) for each in found] == (
        [] if hint is None else [("unused-separator", ("data", "labels", "separator"), hint)]
    )


@pytest.mark.parametrize(
    "name", ["A/1.PNG", "a/1.png", "a/1", "1.png", "1", "flowers/a/1.png", "./a/1.png", "a\\1.png"]
)
def test_files_may_be_named_in_several_ways(name):
    assert numbers(read(f"file,kind\n{name},x\n4,y\n")) == [1, 4]


def test_name_may_have_composed_or_decomposed_letters(flowers):
    image(flowers / "flowers" / "a\u0308.png", value=7)
    image(flowers / "flowers" / "\u00fc.png", value=8)
    assert numbers(read("file,kind\n\u00e4.png,x\nu\u0308.png,y\n")) == [7, 8]


def test_names_of_digits_keep_their_zeros(flowers):
    image(flowers / "flowers" / "007.png", value=7)
    assert numbers(read("file,kind\n007,x\n4,y\n")) == [7, 4]


def test_ambiguous_name_is_refused(flowers):
    image(flowers / "flowers" / "c" / "1.png")
    assert findings("file,kind\n1.png,x\n4,y\n") == [
        'labels.csv, line 2: "1.png" can be flowers/a/1.png and flowers/c/1.png.'
    ]


def test_every_wrong_row_is_reported_with_its_line():
    assert findings("file,kind\n9.png,x\n4,y\n\n,x\n4.png,y\n") == [
        'labels.csv, line 2: the image "9.png" does not exist.',
        "The file is missing in labels.csv, line 5.",
        'labels.csv, line 6: the image "4.png" is already in labels.csv, line 3.',
    ]
    many = findings("file,kind\n" + "".join(f"m{number},x\n" for number in range(25)))
    assert len(many) == 21
    assert many[-1] == "5 more rows have the same kinds of problems."


def test_missing_target_and_column_are_reported_at_labels():
    with pytest.raises(DataError) as caught:
        read("file,kind\n4,\na/1,y\n")
    found = caught.value.findings[0]
    assert (found.message, found.path) == (
        "The target `kind` is missing in labels.csv, line 2.",
        ("data", "labels", "target"),
    )
    assert found.hint == "Fill in the target, or remove the row."
    with pytest.raises(DataError) as caught:
        read("file,kind\n4,x\n", file="name")
    assert [found.path for found in caught.value.findings] == [("data", "labels", "file")]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_all_kinds_of_problems_are_reported_together(flowers, suffix):
    (flowers / "flowers" / "b" / "3.png").write_text("<html>")
    table = "file,kind,size\n4,,\n9,x,1\n,x,1\na/1,y,1\n3,x,1\na/1,x,\n"
    Path("labels.csv").write_text(table)
    places = [f"labels.csv, line {line}" for line in range(2, 8)]
    if suffix == "parquet":
        parquet.write_table(csv.read_csv("labels.csv", convert_options=TEXTS), "labels.parquet")
        places = [f"labels.parquet, row {row}" for row in range(1, 7)]
    labels = {"path": f"labels.{suffix}", "file": "file", "target": "kind"}
    with pytest.raises(DataError) as caught:
        load_dataset(section(labels=labels))
    assert [(found.message, found.severity) for found in caught.value.findings] == [
        (f"The target `kind` is missing in {places[0]}.", "error"),
        (f'{places[1]}: the image "9" does not exist.', "error"),
        (f"The file is missing in {places[2]}.", "error"),
        (f'{places[5]}: the image "a/1" is already in {places[3]}.', "error"),
        ("Cannot read the image flowers/b/3.png: it is an HTML page, not an image.", "error"),
        (
            "1 image in flowers has no row in labels.csv and is left out: a/2.png.".replace("csv", suffix),
            "warning",
        ),
    ]


def test_missing_values_of_every_target_are_reported():
    assert findings("file,kind,size\n4,1,\na/1,,2\n9,1,2\n", target=["kind", "size"]) == [
        "The target `kind` is missing in labels.csv, line 3.",
        "The target `size` is missing in labels.csv, line 2.",
        'labels.csv, line 4: the image "9" does not exist.',
    ]


def test_table_without_rows_is_refused():
    assert findings("file,kind\n") == ["labels.csv has no rows of values."]


def test_images_without_a_row_are_reported(flowers):
    (flowers / "flowers" / "notes.md").write_text("")
    (flowers / "flowers" / "._4.png").write_text("")
    assert [found.message for found in read("file,kind\n4,x\na/1,y\n").warnings] == [
        "1 file in flowers is left out: 1 .md (the first is notes.md).",
        "2 images in flowers have no row in labels.csv and are left out: a/2.png, b/3.png.",
    ]


def test_table_in_the_folder_of_images_is_not_reported(flowers):
    (flowers / "flowers" / "labels.csv").write_text("file,kind\n1,x\n2,y\n3,x\n4,y\n")
    labels = {"path": "flowers/labels.csv", "file": "file", "target": "kind"}
    data = DATA_TYPES.parse({"type": "images", "path": "flowers", "labels": labels})
    assert load_dataset(data).warnings == ()


def test_target_type_labels_maps_numbers():
    examples = read("file,kind\n4,30\na/1,10\n", target_type="labels")
    assert (examples.y.tolist(), examples.class_names) == ([1, 0], ("10", "30"))


def test_new_table_has_the_classes_of_training(flowers):
    read("file,kind\n4,rose\na/1,iris\n")
    state = ReaderState({None: ((4, 6, 1), "uint8")}, ("iris", "rose"))
    image(flowers / "new" / "n.png", value=9)
    (flowers / "new" / "labels.csv").write_text("file,kind\nn.png,rose\n")
    for path in ("new", "new/labels.csv"):
        examples = load_new_dataset(section(), [path], state, has_targets=True)
        assert (numbers(examples), examples.y.tolist()) == ([9], [1])
    (flowers / "new" / "labels.csv").write_text("file,kind\nn.png,lily\n")
    with pytest.raises(DataError, match='Row 1 has the class "lily", which is not in the training data'):
        load_new_dataset(section(), ["new"], state, has_targets=True)


def test_new_table_of_numbers(flowers):
    (flowers / "new.csv").write_text("file,kind\n4,3.5\n")
    state = ReaderState({None: ((4, 6, 1), "uint8")})
    examples = load_new_dataset(section(), ["new.csv"], state, has_targets=True)
    assert (numbers(examples), examples.y.tolist()) == ([4], [3.5])


def test_parquet_table():
    parquet.write_table(pa.table({"file": ["4", "a/1"], "kind": ["x", "y"]}), "labels.parquet")
    labels = {"path": "labels.parquet", "file": "file", "target": "kind"}
    examples = load_dataset(DATA_TYPES.parse({"type": "images", "path": "flowers", "labels": labels}))
    assert (numbers(examples), examples.class_names) == ([4, 1], ("x", "y"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"target_type": "labels"}, "`target_type` must be left out for class folders"),
        (
            {"labels": {"path": "a", "file": "f", "target": "y"}, "masks": {"path": "m"}},
            "`labels` and `masks` cannot be used together",
        ),
        ({"labels": {"path": "a", "file": "f", "target": "f"}}, "`f` contains the files"),
        (
            {"labels": {"path": "a", "file": "f", "target": ["y", "y"]}},
            "`target` names the same column twice",
        ),
        (
            {"labels": {"path": "a", "file": "f", "target": ["y", "z"]}, "target_type": "labels"},
            "`target_type: labels` requires one target column",
        ),
        (
            {"labels": {"path": "a", "file": "f", "target": ["y", "z"], "separator": ";"}},
            "`separator` requires a target of one column",
        ),
        (
            {"labels": LISTS, "target_type": "labels"},
            "`target_type: labels` contradicts `separator`",
        ),
        (
            {"labels": {"path": "a", "file": "f", "target": "y"}, "target_type": {"a": "labels"}},
            "`target_type` must be labels or numbers",
        ),
    ],
)
def test_invalid_sections(keys, message):
    with pytest.raises(ValueError, match=message.replace("(", "\\(")):
        DATA_TYPES.parse({"type": "images", "path": "i"} | keys)

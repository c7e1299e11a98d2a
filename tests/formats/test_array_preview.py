"""Features and targets that ``init`` finds in files of arrays."""

import numpy as np
import pytest

from layercli.formats.array_preview import preview_arrays
from layercli.formats.preview import PreviewError

X, LABELS = np.zeros((6, 4)), np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    ("arrays", "target", "expected"),
    [
        ({"x": X, "y": LABELS}, None, ("x", "y")),
        ({"big": X, "small": LABELS}, None, ("big", "small")),
        (
            {"x_train": X, "y_train": LABELS, "x_test": X[:2], "y_test": LABELS[:2]},
            None,
            ("x_train", "y_train"),
        ),
        ({"images": X, "labels": LABELS, "ids": LABELS}, None, ("images", "labels")),
        ({"x": X, "y": LABELS, "z": LABELS}, "z", ("x", "z")),
    ],
)
def test_arrays_are_chosen_by_name_or_size(tmp_path, arrays, target, expected):
    np.savez(tmp_path / "a.npz", **arrays)
    preview = preview_arrays(tmp_path / "a.npz", target, None)
    assert (preview.features.name, preview.target.name) == expected
    assert preview.values == ("0", "1", "2")


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [
        ((6, 4), "float32", "vectors"),
        ((6, 4, 2), "float32", "sequences"),
        ((6, 28, 28), "uint8", "images"),
        ((6, 28, 28, 3), "float32", "images"),
        ((6,), "<U5", "text"),
    ],
)
def test_kind_follows_from_shape_and_dtype(tmp_path, shape, dtype, kind):
    np.savez(tmp_path / "a.npz", x=np.ones(shape, dtype), y=LABELS)
    preview = preview_arrays(tmp_path / "a.npz", None, None)
    assert preview.kind == kind
    assert preview.are_bytes == (dtype == "uint8")


@pytest.mark.parametrize(
    ("target", "values"),
    [
        (np.array(["b", "a"] * 3), ("a", "b")),
        (np.array([0.0, 1.0] * 3), ("0", "1")),
        (np.linspace(0, 1, 6), None),
        (np.zeros((6, 2)), None),
        (LABELS[:, None], ("0", "1", "2")),
    ],
)
def test_values_of_the_target(tmp_path, target, values):
    np.savez(tmp_path / "a.npz", x=X, y=target)
    assert preview_arrays(tmp_path / "a.npz", None, None).values == values


def test_file_of_the_target_is_found_by_its_name(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(PreviewError, match="name the file of the target with --target"):
        preview_arrays(tmp_path / "x.npy", None, None)
    np.save(tmp_path / "labels.npy", LABELS)
    preview = preview_arrays(tmp_path / "x.npy", None, None)
    assert preview.path is None
    assert preview.target.name == str(tmp_path / "labels.npy")
    np.save(tmp_path / "other.npy", LABELS[:5])
    with pytest.raises(PreviewError, match="has 5 examples, but"):
        preview_arrays(tmp_path / "x.npy", str(tmp_path / "other.npy"), None)


@pytest.mark.parametrize(
    ("arrays", "target", "message"),
    [
        ({"x": X}, None, "must contain at least two arrays"),
        ({"x": X, "y": LABELS[:4]}, None, "No array has as many examples as the target `y`, which has 4."),
        ({"x": X, "y": LABELS}, "z", 'contains no array "z"'),
        ({"x": X, "y": np.array([{}] * 6)}, None, "contains Python objects"),
    ],
)
def test_unusable_arrays_are_refused(tmp_path, arrays, target, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(PreviewError, match=message):
        preview_arrays(tmp_path / "a.npz", target, None)


IMAGES = np.zeros((6, 4, 8, 3), "uint8")
ONE_HOT = np.eye(3)[LABELS]


@pytest.mark.parametrize(
    ("x", "y", "form"),
    [
        (X, LABELS, "value"),
        (X, np.linspace(0, 9, 12).reshape(6, 2), "value"),
        (X, np.zeros((6, 2)), "value"),
        (X, ONE_HOT, "one-hot"),
        (X, ONE_HOT.astype(bool), "one-hot"),
        (X, 1 - ONE_HOT, "multi-label"),
        (IMAGES, np.arange(6 * 4 * 8).reshape(6, 4, 8) % 3, "positions"),
        (IMAGES, np.arange(6 * 4 * 8).reshape(6, 4, 8, 1) % 3, "positions"),
        (np.zeros((6, 4, 2)), LABELS.repeat(4).reshape(6, 4), "positions"),
        (np.zeros((6, 4, 2)), np.linspace(0, 9, 24).reshape(6, 4), "value"),
    ],
)
def test_form_of_the_target(tmp_path, x, y, form):
    np.savez(tmp_path / "a.npz", x=x, y=y)
    assert preview_arrays(tmp_path / "a.npz", None, None).target_form == form


@pytest.mark.parametrize("y", [np.zeros((6, 4, 5)), np.linspace(0, 1, 6 * 4 * 8).reshape(6, 4, 8)])
def test_number_for_each_pixel_is_refused(tmp_path, y):
    np.savez(tmp_path / "a.npz", x=IMAGES, y=y)
    with pytest.raises(PreviewError, match=r"The target of an example has the shape \[4, "):
        preview_arrays(tmp_path / "a.npz", None, None)


def test_missing_features_are_counted(tmp_path):
    x = X.copy()
    x[1, 2], x[5, 0] = np.nan, np.inf
    np.savez(tmp_path / "a.npz", x=x, y=LABELS)
    assert preview_arrays(tmp_path / "a.npz", None, None).missing_count == 2


def test_weights_and_unused_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=LABELS, Sample_Weight=np.ones(6), ids=LABELS, x_test=X[:2])
    preview = preview_arrays(tmp_path / "a.npz", None, None)
    assert preview.weights.name == "Sample_Weight"
    assert [array.name for array in preview.unused] == ["ids", "x_test"]
    np.savez(tmp_path / "b.npz", x=X, y=LABELS, weights=X)
    assert preview_arrays(tmp_path / "b.npz", None, None).weights is None


def test_sets_have_separate_files(tmp_path):
    for name, array in {"X_train": X, "y_train": LABELS, "X_test": X, "y_test": LABELS, "X_val": X}.items():
        np.save(tmp_path / f"{name}.npy", array)
    preview = preview_arrays(tmp_path, None, None)
    assert preview.features.name == str(tmp_path / "X_train.npy")
    assert preview.held_out == {"test": [str(tmp_path / f"{name}_test.npy") for name in "Xy"]}


def test_folder_without_features_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(PreviewError, match=r"contains no file x\.npy"):
        preview_arrays(tmp_path, None, None)

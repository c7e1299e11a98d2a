"""Small data files and the errors of reading them."""

import numpy as np
import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset

MODEL = """
model:
  input: [2]
  layers:
    - {type: Dense, units: 3, activation: softmax}
train: {loss: sparse_categorical_crossentropy}
"""


def refusal(memory=None, **data):
    with pytest.raises(DataError) as caught:
        load_dataset(DATA_TYPES.parse(data), memory=memory)
    [found] = caught.value.findings
    return found.path, found.message


def csv(place, text, **keys):
    (place / "t.csv").write_text(text)
    return {"type": "csv", "path": "t.csv", "target": "y"} | keys


def save(place, name="d.npz", **arrays):
    np.savez(place / name, **arrays)
    return {"type": "npz", "path": name, "target": "y"}


X = np.arange(12, dtype=np.float64).reshape(6, 2)


Y = np.array([0, 1, 2, 0, 1, 2])


def image(path, size=(6, 4), mode="L", value=7):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "I;16", "P") else (value,) * len(mode)).save(path)

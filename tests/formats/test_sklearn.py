import numpy as np
import pytest
from sklearn import datasets

from layercli.config.data.section import DATA_TYPES
from layercli.formats.registry import load_dataset
from layercli.formats.sklearn import reader
from tests.running import run_python

ALL = ["digits", "iris", "wine", "breast_cancer", "diabetes"]


@pytest.mark.parametrize("name", ALL)
def test_examples_equal_those_of_scikit_learn(name):
    examples = load_dataset(DATA_TYPES.parse({"type": "sklearn", "dataset": name}))
    loaded = getattr(datasets, f"load_{name}")()
    np.testing.assert_array_equal(examples.x, loaded.data.astype("float32"))
    np.testing.assert_array_equal(examples.y, loaded.target)


@pytest.mark.parametrize("name", ALL)
def test_facts_without_reading_match_the_examples(name):
    data = DATA_TYPES.parse({"type": "sklearn", "dataset": name})
    facts, examples = data.facts(), load_dataset(data)
    assert (facts.samples, facts.shape) == (len(examples), examples.x.shape[1:])
    assert examples.x.dtype == np.float32
    if facts.classes is None:
        assert examples.y.dtype == np.float32
    else:
        assert examples.y.dtype == np.int32
        assert sorted(set(examples.y.tolist())) == list(range(facts.classes))


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_classes_have_the_names_of_scikit_learn(name):
    examples = load_dataset(DATA_TYPES.parse({"type": "sklearn", "dataset": name}))
    assert examples.class_names == tuple(getattr(datasets, f"load_{name}")().target_names)
    mapped = load_dataset(DATA_TYPES.parse({"type": "sklearn", "dataset": name, "target_type": "labels"}))
    assert mapped.class_names == tuple(map(str, range(len(examples.class_names))))


def test_examples_have_the_declared_shape():
    examples = load_dataset(DATA_TYPES.parse({"type": "sklearn", "dataset": "digits", "shape": [8, 8, 1]}))
    assert examples.x.shape == (1797, 8, 8, 1)
    np.testing.assert_array_equal(examples.x[7, :, :, 0], datasets.load_digits().images[7])


def test_moved_files_are_loaded_with_scikit_learn(monkeypatch):
    monkeypatch.setattr(reader, "_TABLE_FILES", {"iris": ("moved.csv", 1)})
    assert len(load_dataset(DATA_TYPES.parse({"type": "sklearn", "dataset": "iris"}))) == 150


def test_tables_are_read_without_importing_scikit_learn():
    code = """
import sys
from layercli.config.data.section import DATA_TYPES
from layercli.formats.registry import load_dataset
for name in ("digits", "iris", "wine", "breast_cancer"):
    load_dataset(DATA_TYPES.parse({"type": "sklearn", "dataset": name}))
print(sorted({"sklearn", "tensorflow", "pandas"} & set(sys.modules)))
"""
    assert run_python(code) == "[]\n"


def test_declared_type_of_the_target_decides_its_values():
    labels = DATA_TYPES.parse({"type": "sklearn", "dataset": "diabetes", "target_type": "labels"})
    values, indices = np.unique(datasets.load_diabetes().target, return_inverse=True)
    examples = load_dataset(labels)
    assert (labels.facts().classes, examples.class_names) == (214, tuple(str(int(value)) for value in values))
    np.testing.assert_array_equal(examples.y, indices)
    numbers = DATA_TYPES.parse({"type": "sklearn", "dataset": "digits", "target_type": "numbers"})
    assert (numbers.facts().classes, load_dataset(numbers).y.dtype) == (None, np.float32)

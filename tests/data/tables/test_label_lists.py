"""A target whose values list several labels: a 0 or 1 for each label, in memory and streamed."""

import json
from pathlib import Path

import numpy as np
import pytest

from layercli.check import check_config
from layercli.config.data.section import DATA_TYPES
from layercli.data.reader_state import ReaderState
from layercli.data.tables import target_inference
from layercli.data.types import DataError
from layercli.formats.registry import load_dataset, load_new_dataset

ROWS = "n,tags\n1,dog; cat\n2,\n3,cat\n4,cat;cat;\n5,NA\n6,owl;dog\n"
# As sklearn.preprocessing.MultiLabelBinarizer returns them for these rows.
ENCODED = [[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1]]
each_reading = pytest.mark.parametrize("stream", ["never", "always"])


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("t.csv").write_text(ROWS)


def section(stream="never", **keys):
    data = {
        "type": "csv",
        "path": "t.csv",
        "target": "tags",
        "label_separators": {"tags": ";"},
        "stream": stream,
    }
    return DATA_TYPES.parse(data | keys)


def load(stream="never", **keys):
    return load_dataset(section(stream, **keys), memory=1 << 30)


def refusal(**keys):
    with pytest.raises(DataError) as caught:
        load(**keys)
    return [(found.message, found.hint) for found in caught.value.findings]


@each_reading
def test_each_label_is_a_zero_or_one(stream):
    dataset = load(stream)
    [examples] = dataset.batches(100)
    assert (examples.y.tolist(), examples.y.dtype) == (ENCODED, np.float32)
    assert (examples.target_columns, examples.class_names) == ({None: ("cat", "dog", "owl")}, None)
    assert (dataset.facts().target.shape, dataset.facts().target.classes) == ((3,), None)


def test_rows_without_labels_can_be_dropped():
    [examples] = load(missing={"columns": {"tags": "drop"}}).batches(100)
    assert examples.y.tolist() == [row for row in ENCODED if any(row)]


def test_numbers_are_labels_too():
    Path("t.csv").write_text("n,tags\n1,7|10\n2,10\n3,7\n")
    [examples] = load(label_separators={"tags": "|"}).batches(100)
    assert (examples.y.tolist(), examples.target_columns) == ([[1, 1], [1, 0], [0, 1]], {None: ("10", "7")})


@each_reading
def test_new_rows_have_the_labels_of_training(stream):
    data = section(stream)
    state = ReaderState.from_json(json.loads(json.dumps(ReaderState.from_dataset(load()).to_json())))
    assert state.target_columns_of(None) == ("cat", "dog", "owl")
    Path("new.csv").write_text("n,tags\n1,owl\n2,\n")
    new = load_new_dataset(data, ["new.csv"], state, has_targets=True)
    assert [batch.y.tolist() for batch in new.batches(100)] == [[[0, 0, 1], [0, 0, 0]]]
    Path("new.csv").write_text("n,tags\n1,owl\n2,cat;yak\n3,yak;emu\n")
    with pytest.raises(DataError) as caught:
        list(load_new_dataset(data, ["new.csv"], state, has_targets=True).batches(100))
    assert [found.message for found in caught.value.findings] == [
        'The target `tags` has the class "yak", which is not in the training data (new.csv, line 3).',
        'The target `tags` has the class "emu", which is not in the training data (new.csv, line 4).',
    ]


def test_too_many_or_no_labels_are_refused(monkeypatch):
    Path("t.csv").write_text("n,tags\n1,;\n2,\n")
    assert refusal() == [
        (
            'The target `tags` must have 1 to 1,000 different labels, got 0 (t.csv, line 2 has ";").',
            'Correct the separator, ";", or leave out rare labels.',
        )
    ]
    Path("t.csv").write_text(ROWS)
    monkeypatch.setattr(target_inference, "MAX_CLASSES", 2)
    assert (
        refusal()[0][0]
        == 'The target `tags` must have 1 to 2 different labels, got more (t.csv, line 2 has "dog; cat").'
    )
    monkeypatch.setattr(target_inference, "MAX_CLASSES", 3)
    monkeypatch.setattr(target_inference, "_MAX_LABEL_VALUES", 18)
    assert load().facts().target.shape == (3,)
    monkeypatch.setattr(target_inference, "_MAX_LABEL_VALUES", 17)
    assert refusal()[0][0] == (
        'The target `tags` must have at most 17 values of 0 or 1, got 3 labels in 6 rows (t.csv, line 2 has "dog; cat").'
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("target: n", "`label_separators` names `tags`, which is not a target."),
        (
            "target: [tags, n]",
            "`label_separators` requires a target of one column, got several columns with `tags`.",
        ),
        (
            "target: tags, target_type: labels",
            "`label_separators` contradicts `target_type: labels`: `tags` has several labels.",
        ),
        ("target: tags, windows: {length: 2}", "`label_separators` cannot be used with `windows`."),
        (
            'target: tags, label_separators: {tags: ""}',
            'The separator of `tags` must be a text of 1 to 8 characters, got "".',
        ),
    ],
)
def test_wrong_sections_are_refused(keys, message):
    separators = "" if "label_separators" in keys else ', label_separators: {tags: ";"}'
    Path("c.yaml").write_text(
        f"data: {{type: csv, path: t.csv, {keys}{separators}}}\nmodel: {{input: [1], layers: [Dense]}}\n"
    )
    assert message in " ".join(problem.message for problem in check_config("c.yaml").problems)


@each_reading
@pytest.mark.parametrize(
    ("separator", "hint"),
    [
        ("|", 'Write `label_separators: {tags: ";"}`, which 3 of 6 values contain.'),
        (";", None),
    ],
)
def test_separator_that_never_occurs_is_a_warning(stream, separator, hint):
    dataset = load(stream, label_separators={"tags": separator})
    found = [(finding.code, finding.severity, finding.hint) for finding in dataset.findings]
    assert found == ([] if hint is None else [("unused-separator", "warning", hint)])


@each_reading
def test_only_label_names_both_classes(stream):
    Path("t.csv").write_text("n,tags\n1,cat\n2,\n3,cat\n")
    dataset = load(stream)
    [finding] = dataset.findings
    assert (
        finding.message
        == 'The separator ";" is in no value of the target `tags`, so each value is one label.'
    )
    assert finding.hint == "Remove `label_separators`: then the values are classes."
    assert ReaderState.from_dataset(dataset).class_names_of(None) == ("not cat", "cat")

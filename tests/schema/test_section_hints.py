"""Keys that sections of a config do not have: what to write in their place, and that it is valid."""

import re
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from layercli.check import check_config
from layercli.config.data.section import DATA_TYPES
from layercli.errors import LayercliError
from layercli.schema.other_names import EXPLAINED_TYPES
from layercli.schema.section_hints import (
    ARRAYS_HINTS,
    CONFIG_HINTS,
    CSV_HINTS,
    IMAGES_HINTS,
    MISSING_HINTS,
    MODEL_HINTS,
    OBJECTIVE_HINTS,
    SPLIT_HINTS,
    SWEEP_HINTS,
    TEXT_HINTS,
    TRAIN_HINTS,
    WINDOWS_HINTS,
    fill_examples,
)
from layercli.sweep.plan import read_sweep_plan

CSV = {"type": "csv", "path": "t.csv", "target": "price"}
SECTIONS = {
    "config": (CONFIG_HINTS, {"data": CSV}, ()),
    "model": (MODEL_HINTS, {"data": CSV}, ("model",)),
    "train": (TRAIN_HINTS, {"data": CSV}, ("train",)),
    "split": (SPLIT_HINTS, {"data": CSV | {"split": {"test": 0.1}}}, ("data", "split")),
    "windows": (WINDOWS_HINTS, {"data": CSV | {"windows": {"length": 3}}}, ("data", "windows")),
    "missing": (MISSING_HINTS, {"data": CSV | {"missing": {}}}, ("data", "missing")),
    "csv": (CSV_HINTS, {"data": CSV}, ("data",)),
    "images": (IMAGES_HINTS, {"data": {"type": "images", "path": "i", "size": [8, 8]}}, ("data",)),
    "text": (TEXT_HINTS, {"data": {"type": "text", "path": "t"}}, ("data",)),
    "npz": (
        ARRAYS_HINTS,
        {"data": {"type": "npz", "path": "a.npz", "features": "x", "target": "y"}},
        ("data",),
    ),
}
"""The hints of a section, a config that has it, and its path."""
PLACES = (
    dict.fromkeys(("split", "windows", "label_separators", "masks", "labels", "channels", "size"), ("data",))
    | dict.fromkeys(("class_weight", "until", "callbacks", "distribution"), ("train",))
    | {"train": (), "vars": (), "dtype": ("model",), "layers": ("model",)}
)
"""The path of keys that belong into another section than that of the wrong key."""


def make_config(data, place, **keys):
    layers = [{"type": "Flatten"}, {"type": "Dense", "units": 1}]
    config = deepcopy({"model": {"layers": layers}, "train": {"loss": "mse"}} | data)
    section = config
    for key in place:
        section = section[key]
    section.update(keys)
    return config


def list_problems(config):
    Path("c.yaml").write_text(yaml.safe_dump(config))
    return [
        problem
        for problem in check_config("c.yaml").problems
        if problem.code in ("unknown-key", "unknown-type", "wrong-type", "bad-argument", "unknown-value")
    ]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", SECTIONS)
def test_each_key_has_its_hint(name):
    hints, data, place = SECTIONS[name]
    config = make_config(data, place, **dict.fromkeys(hints, 3))
    found = {problem.path.rpartition(".")[2]: problem.hint for problem in list_problems(config)}
    assert {key: found.get(key) for key in hints} == {
        key: fill_examples(hints[key], key, {key: 3}) for key in hints
    }


@pytest.mark.parametrize(
    ("section", "hint"),
    [
        ({"max_steps": 7}, "Write `until: {steps: 7}`, next to `epochs`."),
        ({"max_steps": True}, "Write `until: {steps: 1000}`, next to `epochs`."),
        (
            {"optimizer": "AdamW", "weight_decay": 0.1},
            "It belongs to the optimizer: `train: {optimizer: {type: AdamW, weight_decay: 0.1}}`.",
        ),
        (
            {"optimizer": {"type": "SGD"}, "weight_decay": "x"},
            "It belongs to the optimizer: `train: {optimizer: {type: Adam, weight_decay: 0.01}}`.",
        ),
    ],
)
def test_hints_have_the_values_of_the_config(section, hint):
    [problem] = list_problems(make_config({"data": CSV}, ("train",), **section))
    assert problem.hint == hint


@pytest.mark.parametrize("name", EXPLAINED_TYPES["data type"])
def test_hints_for_types_of_data_are_valid(name):
    # A section with a path needs only the type; `test_other_names` has these hints.
    config = make_config({"data": {"type": name, "target": "y"}}, ())
    [hint] = [problem.hint for problem in list_problems(config) if problem.code == "unknown-type"]
    sections = [yaml.safe_load(text) for text in re.findall(r"\{type: [^}]+\}", hint)]
    assert sections
    for section in sections:
        assert DATA_TYPES.parse(section).type_name().lower() == section["type"]


def test_objective_of_a_config_is_the_value_to_monitor():
    [problem] = list_problems(make_config({"data": CSV}, ("train",), objective="val_mae"))
    assert "{type: EarlyStopping, monitor: val_mae, restore_best_weights: true}" in problem.hint
    assert "`objective: {metric: val_mae}` belongs in a sweep file" in problem.hint


SWEEP = {
    "base": "c.yaml",
    "space": {"train.epochs": {"int": [1, 3]}},
    "objective": {"metric": "val_mae", "direction": "minimize"},
}


def check_sweep(sweep):
    config = make_config({"data": CSV | {"split": {"validation": 0.5}}}, ("train",), metrics=["mae"])
    config["model"]["input"] = [3]
    Path("c.yaml").write_text(yaml.safe_dump(config))
    Path("s.yaml").write_text(yaml.safe_dump(sweep))
    try:
        return read_sweep_plan("s.yaml")[1]
    except LayercliError as error:
        return list(error.problems)


@pytest.mark.parametrize(
    ("objective", "hint"),
    [
        ("val_mae", "Write {metric: val_mae}."),
        ("minimize", "Write {metric: val_accuracy, direction: minimize}."),
        ("Max", "Write {metric: val_accuracy, direction: maximize}."),
        ("the loss", "Write {metric: val_accuracy}."),
    ],
)
def test_objective_that_is_a_name(objective, hint):
    for keys in ({"objective": objective}, {"objectives": [objective], "objective": None}):
        [problem] = [each for each in check_sweep(SWEEP | keys) if each.code == "wrong-type"]
        assert problem.hint == hint
    named = yaml.safe_load(hint.removeprefix("Write ").removesuffix("."))
    assert check_sweep(SWEEP | {"objective": named | {"metric": "val_mae"}}) == []


@pytest.mark.parametrize("hints", [SWEEP_HINTS, OBJECTIVE_HINTS])
def test_hints_of_sweep_files_are_valid(hints):
    for name, hint in hints.items():
        wrong = {name: 3} if hints is SWEEP_HINTS else {"objective": SWEEP["objective"] | {name: "max"}}
        [problem] = check_sweep(SWEEP | wrong)
        assert problem.hint == fill_examples(hint, name, {name: 3})
        for snippet in re.findall(r"`([a-z_]+: [^`]+)`", problem.hint):
            [(key, value)] = yaml.safe_load(snippet).items()
            if key == "objective":
                keys = {key: value | {"metric": "val_mae"}}
            elif hints is OBJECTIVE_HINTS:
                keys = {"objective": SWEEP["objective"] | {key: "val_mae" if key == "metric" else value}}
            else:
                keys = {key: "c.yaml" if key == "base" else value}
            assert check_sweep(SWEEP | keys) == [], snippet


@pytest.mark.parametrize("name", SECTIONS)
def test_what_hints_say_is_valid(name):
    hints, data, place = SECTIONS[name]
    written = [fill_examples(hint, "", {}) for hint in hints.values()]
    snippets = {snippet for hint in written for snippet in re.findall(r"`([a-z_]+: [^`]+)`", hint)}
    for snippet in snippets - {"extends: base.yaml", "type: layers.py:Scale"}:
        keys = yaml.safe_load(
            snippet.replace(
                "COLUMN", "price" if "labels" in snippet or "label_" in snippet else "day"
            ).replace("[HEIGHT, WIDTH]", "[8, 8]")
        )
        [key] = keys
        config = make_config(data, PLACES.get(key, place), **keys)
        assert list_problems(config) == [], snippet


@pytest.mark.parametrize(
    ("hints", "wrong"), [(hints, key) for hints, *_ in SECTIONS.values() for key in hints]
)
def test_layers_of_hints_exist(hints, wrong):
    for entry in re.findall(r"\{type: [A-Z][^`]*?\}(?=[ .,]|$)", fill_examples(hints[wrong], "", {})):
        layer = yaml.safe_load(entry)
        if layer["type"] in ("EarlyStopping", "Adam", "CosineDecay"):
            continue
        model = {"input": [8, 8, 3], "layers": [layer]}
        assert list_problems({"model": model}) == [], entry

"""``layercli init --example``: example configs with the files that they read."""

import json
import re

import pytest
import yaml

from layercli.check import check_config
from layercli.workflows import examples
from tests.running import CONFIGS, invoke

NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    examples._make_data(folder)
    return folder


@pytest.fixture
def place(data, tmp_path, monkeypatch):
    """The current folder; the data of the examples is made only once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(examples, "_make_data", lambda folder: folder.symlink_to(data))
    return tmp_path


@pytest.mark.parametrize("arguments", [("--example",), ("--example", "list"), ("--example", "--json")])
def test_examples_are_listed(arguments):
    result = invoke("init", *arguments)
    assert result.exit_code == 0
    if "--json" in arguments:
        rows = json.loads(result.stdout)["examples"]
        assert [row["name"] for row in rows] == NAMES
        assert rows[0]["summary"] == "Two classes: one unit with sigmoid, and binary_crossentropy."
    else:
        assert re.findall(r"^(\w+)  ", result.stdout, re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_example_is_valid_without_the_repository(place, name):
    result = invoke("init", "--example", name)
    assert result.exit_code == 0, result.output
    written = place / f"{name}.yaml"
    assert check_config(str(written)).problems == []
    text = written.read_text()
    assert yaml.safe_load(text) == yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert "configs/" not in text
    assert "make_data" not in text
    for path in re.findall(r"\bdata/[\w.*-]+", text):
        assert list(place.glob(path)), path
    for path in re.findall(r"\b(\w+\.py):", text):
        assert (place / path).read_text() == (CONFIGS / path).read_text()
    assert ("train " + written.name + " --trust" in result.stdout) == bool(list(place.glob("*.py")))


def test_only_the_data_of_the_example_is_written(place):
    result = invoke("init", "--example", "orders_stream", "--output", "orders/my.yaml")
    assert result.exit_code == 2  # the folder does not exist
    (place / "orders").mkdir()
    document = json.loads(
        invoke("init", "--example", "orders_stream", "--output", "orders/my.yaml", "--json").stdout
    )
    assert document["files"] == ["orders/data/orders-1.csv.gz", "orders/data/orders-2.csv.gz"]
    assert sorted(path.name for path in (place / "orders").rglob("*.*")) == [
        "my.yaml",
        "orders-1.csv.gz",
        "orders-2.csv.gz",
    ]
    assert invoke("inspect-data", "orders/my.yaml").exit_code == 0


def test_file_with_another_content_is_kept(place):
    (place / "simple_dense.py").write_text("mine")
    result = invoke("init", "--example", "custom_layer", "--json")
    assert result.exit_code == 1
    assert [problem["code"] for problem in json.loads(result.stdout)["problems"]] == ["cannot-write"]
    assert not (place / "custom_layer.yaml").exists()
    assert (place / "simple_dense.py").read_text() == "mine"
    assert invoke("init", "--example", "custom_layer", "--force").exit_code == 0
    assert (place / "simple_dense.py").read_text() == (CONFIGS / "simple_dense.py").read_text()


def test_changed_file_in_a_folder_of_data_is_kept(place):
    changed = place / "data" / "texts" / "fruit" / "000.txt"
    changed.parent.mkdir(parents=True)
    changed.write_text("mine")
    assert invoke("init", "--example", "topics_text").exit_code == 1
    assert changed.read_text() == "mine"


def test_example_is_written_again_next_to_equal_files(place):
    for _ in range(2):
        assert invoke("init", "--example", "topics_text").exit_code == 0
        (place / "topics_text.yaml").unlink()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", ["digits_cn", "../pyproject", "/etc/passwd"])
def test_unknown_example_is_a_problem(name):
    result = invoke("init", "--example", name, "--json")
    assert result.exit_code == 1
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["code"] == "unknown-example"
    assert problem["hint"] == (
        "Did you mean `digits_cnn`?"
        if name == "digits_cn"
        else "`layercli init --example` lists the examples."
    )


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "other", [("data.csv",), ("--kind", "images"), ("--classes", "0"), ("--target", "y")]
)
def test_example_excludes_other_choices(other):
    assert invoke("init", "--example", "digits_cnn", *other).exit_code == 2


def test_installed_package_has_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "_PACKAGE", tmp_path / "layercli")
    assert examples.find_examples_folder() == tmp_path / "configs"
    (tmp_path / "layercli" / "examples").mkdir(parents=True)
    assert examples.find_examples_folder() == tmp_path / "layercli" / "examples"

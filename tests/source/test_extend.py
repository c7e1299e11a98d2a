"""``extends``: deep merge, positions of all values, and invalid targets."""

import os
import threading

import pytest

from layercli.check import check_config, require_valid
from layercli.errors import LayercliError
from layercli.source.extend import load_extended
from tests.running import HANG_SECONDS, invoke


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text)

    return write


def refused(name):
    """Code, file, line and message of the one problem."""
    with pytest.raises(LayercliError) as caught:
        load_extended(name)
    [problem] = caught.value.problems
    return problem.code, problem.file, problem.line, problem.message


def test_extends_merges_mappings_and_replaces_other_values(write):
    write(
        base="a: {b: 1, c: {d: [1, 2], e: x}}\nf: 1\ng: [1, 2]\nh: {i: 1}\n",
        own="extends: base.yaml\na: {c: {d: [3]}, j: 2}\ng: {k: 1}\nh: 5\nf: null\n",
    )
    assert load_extended("own.yaml").to_plain() == {
        "a": {"b": 1, "c": {"d": [3], "e": "x"}, "j": 2},
        "f": None,
        "g": {"k": 1},
        "h": 5,
    }


def test_arguments_of_a_different_type_are_not_merged(write):
    write(
        base="a: {type: SGD, momentum: 0.9}\nb: {type: LSTM, units: 3}\nc: adam\n",
        own="extends: base.yaml\na: {type: Adam, beta_1: 0.8}\nb: {type: lstm, dropout: 0.1}\nc: {epsilon: 1}\n",
    )
    assert load_extended("own.yaml").to_plain() == {
        "a": {"type": "Adam", "beta_1": 0.8},
        "b": {"type": "lstm", "units": 3, "dropout": 0.1},
        "c": {"type": "adam", "epsilon": 1},
    }


def test_a_chain_is_followed_relative_to_each_file(write, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yaml").write_text("x: 1\ny: 1\nz: 1\n")
    (tmp_path / "deep" / "b.yml").write_text("extends: a.yaml\ny: 2\nz: 2\n")
    write(c="extends: deep/b.yml\nz: 3\n")
    assert load_extended("c.yaml").to_plain() == {"x": 1, "y": 2, "z": 3}


MODEL = "model:\n  input: [4]\n  layers:\n    - {type: Dense, units: 3}\n"


def test_error_points_into_the_right_file(write):
    write(
        base=MODEL.replace("3", "-3") + "seed: x\n",
        middle="extends: base.yaml\n",
        own="extends: middle.yaml\nname: a b\n",
    )
    found = [
        (problem.file, problem.line, problem.path, problem.full_message)
        for problem in check_config("own.yaml").problems
    ]
    assert found[0][:3] == ("own.yaml", 2, "name")
    assert found[1] == (
        "base.yaml",
        4,
        "model.layers[0].units",
        "`units` must be a positive integer, got -3. middle.yaml extends this file (line 1).",
    )
    assert found[2][:3] == ("base.yaml", 5, "seed")


def test_variables_and_blocks_are_inherited(write):
    write(
        base='vars: {n: 3, m: 1}\nblocks: {b: {layers: [{type: Dense, units: "${n}"}]}}\n'
        "model: {input: [4], layers: [{block: b}]}\n",
        own="extends: base.yaml\nvars: {n: 7}\n",
    )
    assert require_valid(check_config("own.yaml")).shapes.rows[0].outputs[0].shape == (None, 7)
    assert require_valid(check_config("own.yaml", ["vars.n=9"])).shapes.rows[0].outputs[0].shape == (None, 9)


def test_misspelt_variable_of_an_extended_file_is_reported(write):
    write(
        base='vars: {width: 3, spare: 1}\nmodel: {input: [4], layers: [{type: Dense, units: "${width}"}]}\n',
        own="extends: base.yaml\nvars: {widht: 7}\n",
    )
    assert check_config("base.yaml").problems == []
    [problem] = check_config("own.yaml").problems
    assert (problem.code, problem.file, problem.line) == ("unknown-variable", "own.yaml", 2)
    assert problem.hint == "Did you mean `width`?"


def test_standard_input_extends_a_file_of_this_directory(write):
    write(base=MODEL)
    result = invoke("inspect-shapes", "--static", "--json", "-", stdin="extends: base.yaml\nname: piped\n")
    assert result.exit_code == 0
    assert '"model": "piped"' in result.stdout


def test_a_circle_is_shown(write):
    write(a="extends: b.yaml\n", b="extends: ./c.yaml\n", c="extends: a.yaml\n")
    assert refused("a.yaml") == (
        "extends-cycle",
        "c.yaml",
        1,
        "These files extend each other in a circle: a.yaml -> b.yaml -> c.yaml -> a.yaml.",
    )
    write(d="name: x\nextends: d.yaml\n")
    assert refused("d.yaml")[1:3] == ("d.yaml", 2)


def test_a_long_chain_is_refused(write):
    write(**{f"f{n}": f"extends: f{n + 1}.yaml\n" for n in range(12)}, f12="name: x\n")
    assert refused("f0.yaml") == (
        "bad-extends",
        "f9.yaml",
        1,
        "The chain of extended files has more than 10 files.",
    )


def test_total_size_limit_applies_before_reading_all_files(write, monkeypatch):
    monkeypatch.setattr("layercli.source.load.MAX_NODES", 200)
    monkeypatch.setattr("layercli.source.extend.MAX_NODES", 200)
    write(
        a="extends: b.yaml\na: [" + "1, " * 150 + "]\n",
        b="extends: c.yaml\nb: [" + "1, " * 150 + "]\n",
        c="c: [",
    )
    assert refused("a.yaml")[:3] == ("too-many-nodes", "b.yaml", 1)
    write(a="extends: d.yaml\na: [" + "1, " * 150 + "]\n", d="d: [" + "1, " * 150 + "]\n")
    assert refused("a.yaml")[:2] == ("too-many-nodes", "d.yaml")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("none.yaml", "The extended file none.yaml does not exist."),
        ("3", "`extends` must be a file name, got 3."),
        ("[a.yaml]", '`extends` must be a file name, got ["a.yaml"].'),
        ("null", "`extends` must be a file name, got null."),
        ("/etc/passwd", '`extends` must be a file that ends in .yaml or .yml, got "/etc/passwd".'),
        ("folder.yaml", "The extended file folder.yaml is a folder, not a file."),
        ('"${name}.yaml"', "`extends` cannot contain variables, since it is read before them."),
        ("x" * 5000 + ".yaml", None),
        ('"a\\0.yaml"', None),
    ],
)
def test_invalid_extends_is_located(write, tmp_path, value, message):
    (tmp_path / "folder.yaml").mkdir()
    write(own=f"name: x\nextends: {value}\n")
    code, file, line, said = refused("own.yaml")
    assert (code, file, line) == ("bad-extends", "own.yaml", 2)
    assert message is None or said == message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_extending_a_pipe_does_not_block(write, tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    write(own="extends: pipe.yaml\n")
    waiting = threading.Thread(target=lambda: refused("own.yaml"), daemon=True)
    waiting.start()
    waiting.join(HANG_SECONDS)
    assert not waiting.is_alive()


def test_errors_in_the_base_are_located_there(write):
    write(base="a: [1\n", own="extends: base.yaml\n")
    assert refused("own.yaml")[:2] == ("yaml-syntax", "base.yaml")


@pytest.mark.parametrize(("limit", "is_refused"), [(8, False), (7, True)])
def test_total_size_may_equal_the_limit(write, monkeypatch, limit, is_refused):
    # The values: a mapping, `extends`, a list and two items; then a mapping, a list and an item.
    write(own="extends: base.yaml\na: [1, 2]\n", base="b: [1]\n")
    monkeypatch.setattr("layercli.source.extend.MAX_NODES", limit)
    if is_refused:
        assert refused("own.yaml")[:2] == ("too-many-nodes", "base.yaml")
    else:
        assert load_extended("own.yaml").to_plain() == {"a": [1, 2], "b": [1]}

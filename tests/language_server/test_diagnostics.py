"""Diagnostics equal the problems of ``validate`` on the same text."""

import random
import re
from pathlib import Path

import pytest

from layercli.language_server.documents import uri_from_path
from layercli.workflows.config_files import find_problems
from tests.language_server.editor import Editor, place_of

ROOT = Path(__file__).parents[2]
CONFIGS = [*sorted((ROOT / "configs").glob("*.yaml")), *sorted((ROOT / "configs" / "sweeps").glob("*.yaml"))]
PAGE = (ROOT / "docs" / "problems.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def editor():
    return Editor()


def list_problems(path):
    """Return the problems of ``validate``, with the line and column from 0."""
    return [
        (one.code, one.full_message, one.file, max((one.line or 1) - 1, 0), (one.column or 1) - 1)
        for one in find_problems(str(path))
    ]


def list_diagnostics(editor):
    """Return the diagnostics of a file, and of those that it extends."""
    return [
        (one["code"], one["message"], uri, one["range"]["start"]["line"], one["range"]["start"]["character"])
        for uri, published in editor.diagnostics.items()
        for one in published["diagnostics"]
    ]


def assert_equal_problems(editor, path):
    problems = list_problems(path)
    shown = [(*one[:2], uri_from_path(one[2] or path), *one[3:]) for one in problems]
    assert sorted(list_diagnostics(editor)) == sorted(shown)
    return problems


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_have_the_problems_of_validate(editor, path):
    editor.open(path)
    assert_equal_problems(editor, path)


def test_documented_examples_have_the_problems_of_validate(tmp_path):
    found = 0
    path = tmp_path / "config.yaml"
    for text in EXAMPLES:
        editor = Editor()
        path.write_text(text)
        editor.open(path, language="layercli")
        found += len(assert_equal_problems(editor, path))
    assert found > 60


def mutate(text, chance):
    """Return a text with one change of the kind that happens while somebody types."""
    lines = text.split("\n")
    number = chance.randrange(len(lines))
    line = lines[number]
    place = chance.randrange(len(line) + 1)
    lines[number] = chance.choice(
        [
            line[:place],
            line[:place] + line[place + 1 :],
            line[:place] + chance.choice("x1{}:- ü") + line[place:],
            "",
            line * 2,
        ]
    )
    return "\n".join(lines)


def test_mutated_configs_have_the_problems_of_validate(tmp_path):
    chance, with_problems = random.Random(7), 0
    path = tmp_path / "config.yaml"
    for _ in range(80):
        editor = Editor(options={"files": ["*.yaml"]})
        text = mutate(chance.choice(CONFIGS).read_text(), chance)
        path.write_text(text)
        editor.open(path, "model: {}")
        editor.change(path, text)
        with_problems += bool(assert_equal_problems(editor, path))
    assert with_problems > 30


def test_edits_of_two_files_in_one_session_have_the_problems_of_validate(editor, tmp_path):
    chance = random.Random(11)
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    valid = {
        base: (ROOT / "configs" / "digits_residual.yaml").read_text(),
        child: "extends: base.yaml\nname: x\n",
    }
    texts = dict(valid)
    for path, text in texts.items():
        path.write_text(text)
        editor.open(path)
    with_problems = 0
    for number in range(150):
        path = base if chance.random() < 0.7 else child
        length = len(texts[path])
        if number % 4 == 3:  # otherwise errors would add up until no text is valid YAML
            start, end, new = 0, length, valid[path]
        else:
            start = chance.randrange(length + 1)
            end = min(start + chance.choice((0, 0, 1, 3)), length)
            new = chance.choice(("", "x", "1", " ", ": ", "\n", "${a}", "ü", "- ReLU\n"))
        first, last = (place_of(texts[path], "", offset=offset) for offset in (start, end))
        places = [dict(zip(("line", "character"), place, strict=True)) for place in (first, last)]
        texts[path] = texts[path][:start] + new + texts[path][end:]
        path.write_text(texts[path])
        editor.change(path, {"range": {"start": places[0], "end": places[1]}, "text": new})
        shown = {(uri, code, *place) for code, _, uri, *place in list_diagnostics(editor)}
        expected = {
            (uri_from_path(file or root), code, *place)
            for root in texts
            for code, _, file, *place in list_problems(root)
        }
        assert shown == expected, f"edit {number}"
        with_problems += bool(expected)
    assert 60 < with_problems < 150


def test_unsaved_text_of_an_extended_file_counts(editor, tmp_path):
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    base.write_text("model: {input: [4], layers: [{type: Dense, units: 3}]}\n")
    child.write_text("extends: base.yaml\nname: child\n")
    assert editor.open(child) == []
    editor.open(base)
    editor.change(base, "model: {input: [4], layers: [{type: Dense, unit: 3}]}\n")
    (problem,) = editor.problems(base)
    assert problem["code"] == "unknown-key"
    assert problem["range"]["start"] == {"line": 0, "character": 43}
    editor.close(base)
    editor.wait_for_checks()
    assert editor.problems(base) == []


def test_file_that_was_never_saved_can_be_extended(editor, tmp_path):
    child = tmp_path / "child.yaml"
    editor.open(tmp_path / "base.yaml", "model: {input: [4], layers: [{type: Dense, units: 3}]}\n")
    assert editor.open(child, "extends: base.yaml\n") == []


def test_extended_file_that_disappears_is_reported(tmp_path):
    editor = Editor()
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    base.write_text("model: {input: [4], layers: [{type: Dense, units: 3}]}\n")
    assert editor.open(child, "extends: base.yaml\n") == []
    base.unlink()
    editor.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": uri_from_path(base), "type": 3}]})
    editor.wait_for_checks()
    assert [one["code"] for one in editor.problems(child)] == ["bad-extends"]


def test_positions_count_utf16_units(editor, tmp_path):
    text = (
        'name: x\nvars: {"ü😀": 1}\nmodel: {input: [4], layers: [{type: Dense, units: 3}]}  # 😀\n"😀": 1\n'
    )
    problems = editor.open(tmp_path / "config.yaml", text)
    assert [(one["code"], one["range"]["start"], one["range"]["end"]["character"]) for one in problems] == [
        ("bad-name", {"line": 1, "character": 7}, 12),
        ("unknown-key", {"line": 3, "character": 0}, 4),
    ]
    inside = editor.open(
        tmp_path / "other.yaml", 'model: {"😀": 1, input: [4], layers: [{type: Dense, units: "😀"}]}\n'
    )
    assert [one["range"]["start"]["character"] for one in inside] == [8, 59]


def test_line_separators_of_yaml_are_not_lines_of_the_editor(editor, tmp_path):
    text = "# a\u2028# b\x85\nmodel: {input: [4], layers: [{type: Dense, unit: 3}]}\n"
    (problem,) = editor.open(tmp_path / "config.yaml", text)
    assert problem["range"]["start"] == {"line": 1, "character": 43}


def test_shape_mismatch_names_the_layer_of_the_shape(editor, tmp_path):
    layers = "    - {type: Dense, units: 3}\n    - ReLU\n    - {type: Conv2D, filters: 2, kernel_size: 3}\n"
    problems = editor.open(tmp_path / "config.yaml", f"model:\n  input: [8]\n  layers:\n{layers}")
    (mismatch,) = [one for one in problems if one["code"] == "shape-mismatch"]
    assert mismatch["relatedInformation"][-1]["message"] == "`re_lu` returns (None, 3)."
    assert mismatch["relatedInformation"][-1]["location"]["range"]["start"] == {"line": 4, "character": 6}
    assert mismatch["relatedInformation"][0]["message"].startswith("Fix: ")
    assert mismatch["codeDescription"]["href"].endswith("/problems.html#shape-mismatch")
    assert mismatch["source"] == "layercli"


def test_other_yaml_files_have_no_diagnostics(editor, tmp_path):
    path = tmp_path / "compose.yaml"
    assert editor.open(path, "services:\n  web: {image: nginx}\n") == []
    assert editor.diagnostics == {}
    assert editor.ask("hover", path, (0, 1)) is None
    editor.change(path, "model:\n  layer: 1\n")
    assert [one["code"] for one in editor.problems(path)] == ["unknown-key"]


def test_half_typed_config_stays_a_config(editor, tmp_path):
    path = tmp_path / "config.yaml"
    editor.open(path, "model: {input: [4], layers: [ReLU]}\n")
    assert [one["code"] for one in editor.change(path, "mod")] == ["not-a-mapping"]


def test_setting_names_the_files_that_are_checked(tmp_path):
    editor = Editor(options={"layercli": {"files": ["**/models/*.yaml"]}})
    text = "model: {input: [4], layer: [ReLU]}\n"
    assert editor.open(tmp_path / "other.yaml", text) == []
    assert editor.open(tmp_path / "models" / "one.yaml", text) != []


def test_closed_file_has_no_diagnostics(editor, tmp_path):
    path = tmp_path / "config.yaml"
    assert editor.open(path, "model: {}\n")
    editor.close(path)
    assert editor.diagnostics[uri_from_path(path)]["diagnostics"] == []


def test_diagnostics_carry_the_version_of_the_text(editor, tmp_path):
    path = tmp_path / "config.yaml"
    editor.open(path, "model: {}\n")
    editor.change(path, "model: {input: [4]}\n")
    assert editor.diagnostics[uri_from_path(path)]["version"] == 2


def test_opened_file_has_no_problems_of_its_text_on_the_disk(editor, tmp_path):
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    base.write_text("model: [\n")
    editor.open(child, "extends: base.yaml\n")
    assert [one["code"] for one in editor.problems(base)] == ["yaml-syntax"]
    assert editor.open(base, "model: {input: [4], layers: [ReLU]}\n") == []
    editor.wait_for_checks()
    assert editor.problems(base) == editor.problems(child) == []
    editor.change(base, "model: {input: [4], layers: [Relux]}\n")
    assert [one["code"] for one in editor.problems(base)] == ["unknown-type"]


def test_unsaved_base_of_a_sweep_counts(editor, tmp_path):
    base, sweep = tmp_path / "base.yaml", tmp_path / "sweep.yaml"
    text = (ROOT / "configs" / "digits_dense.yaml").read_text()
    space = "space:\n  model.layers.dense.units: {int: [8, 16]}\n"
    editor.open(sweep, f"base: base.yaml\n{space}objective: {{metric: val_loss}}\n")
    assert [one["code"] for one in editor.problems(sweep)] == ["unreadable-file"]
    editor.open(base, text)  # never saved
    editor.wait_for_checks()
    assert editor.problems(sweep) == []
    editor.change(base, text.replace("Dense, units: 64", "Dense, unit: 64"))
    assert [one["code"] for one in editor.problems(base)] == ["unknown-key"]
    editor.close(base)
    editor.wait_for_checks()
    assert [one["code"] for one in editor.problems(sweep)] == ["unreadable-file"]

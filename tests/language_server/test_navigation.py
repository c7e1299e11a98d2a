"""Definition, references and rename of layers, blocks, parameters, variables and extended files."""

import pytest

from layercli.check import check_config
from layercli.language_server.documents import uri_from_path
from tests.language_server.editor import Editor, apply_edits, place_of

TEXT = """\
vars: {width: 32, "two": 2}
blocks:
  pair:
    params: [units, {rate: 0.1}]
    layers:
      - {type: Dense, units: "${units}", name: inner}
      - {type: Dropout, rate: "${rate}", inputs: inner}
      - {type: Add, inputs: [inner, previous]}
model:
  inputs: {left: [8], right: [8]}
  layers:
    - {type: Concatenate, inputs: [left, right]}
    - {type: Dense, units: "${width}", name: stem}
    - {block: pair, name: body, repeat: 2, with: {units: 32}}
    - ReLU
    - {type: Add, inputs: [stem, body, body_1, body_2.inner, re_lu]}
    - {type: Dense, units: "${two}", name: head}
    - {reuse: stem, inputs: concatenate}
  outputs: [head, stem_1]
  freeze: [stem]
train:
  loss: {head: mse, stem_1: mse}
"""


@pytest.fixture
def editor():
    return Editor()


@pytest.fixture
def path(editor, tmp_path):
    path = tmp_path / "config.yaml"
    assert editor.open(path, TEXT) == []
    return path


def show_places(text, locations):
    """Return the text at each location, with its line from 1."""
    lines = text.splitlines()
    ranges = [(one["range"]["start"], one["range"]["end"]) for one in locations]
    return [
        (start["line"] + 1, lines[start["line"]][start["character"] : end["character"]])
        for start, end in ranges
    ]


@pytest.mark.parametrize(
    ("word", "number", "expected"),
    [
        ("${width}", 0, (1, "width")),
        ("${two}", 0, (1, "two")),
        ("${units}", 0, (4, "units")),
        ("${rate}", 0, (4, "rate")),
        ("units: 32}", 0, (4, "units")),
        ("pair, name", 0, (3, "pair")),
        ("inner}\n", 1, (6, "inner")),
        ("inner, previous", 0, (6, "inner")),
        ("stem, body", 0, (13, "stem")),
        ("body, body_1", 0, (14, "body")),
        ("body_1", 0, (14, "body")),
        ("inner, re_lu", 0, (6, "inner")),
        ("re_lu", 0, (15, "")),
        ("left, right", 0, (10, "left")),
        ("stem, inputs", 0, (13, "stem")),
        ("concatenate", 0, (12, "")),
        ("head, stem", 0, (17, "head")),
        ("head: mse", 0, (17, "head")),
        ("stem]", 0, (13, "stem")),
    ],
)
def test_definition_of_a_name(editor, path, word, number, expected):
    found = editor.ask("definition", path, place_of(TEXT, word, number=number, offset=2))
    assert show_places(TEXT, found) == [expected]


def test_words_without_a_declaration_have_no_definition(editor, path):
    assert editor.ask("definition", path, place_of(TEXT, "previous")) == []
    assert editor.ask("definition", path, place_of(TEXT, "Dropout")) == []


def test_references_are_all_uses(editor, path):
    position = place_of(TEXT, "name: stem", offset=7)
    found = editor.ask("references", path, position, context={"includeDeclaration": False})
    assert show_places(TEXT, found) == [(16, "stem"), (18, "stem"), (20, "stem")]
    with_declaration = editor.ask("references", path, position, context={"includeDeclaration": True})
    assert len(with_declaration) == 4
    assert len(editor.ask("documentHighlight", path, position)) == 4


@pytest.mark.parametrize(
    ("word", "new", "count"),
    [
        ("body_1", "tail", 4),
        ("inner}\n", "core", 4),
        ("${width}", "size", 2),
        ("${units}", "n", 3),
        ("pair, name", "double-layer", 2),
        ("left, right", "image", 2),
        ("head: mse", "result", 3),
    ],
)
def test_rename_changes_every_use_and_keeps_the_config_valid(editor, path, word, new, count):
    position = place_of(TEXT, word, offset=2)
    ready = editor.ask("prepareRename", path, position)
    assert ready["placeholder"] in TEXT
    edits = editor.ask("rename", path, position, newName=new)["changes"][uri_from_path(path)]
    assert len(edits) == count
    renamed = apply_edits(TEXT, edits)
    assert check_config(str(path), text=renamed).problems == []
    assert renamed != TEXT


@pytest.mark.parametrize(
    ("word", "new", "message"),
    [
        ("stem, body", "head", "The name `head` is used already."),
        ("stem, body", "a b", "`name` must be a layer name"),
        ("${width}", "two", "The name `two` is used already."),
        ("${width}", "2", "A variable name must consist of letters"),
        ("stem, body", "trunk", 'The config would become invalid: There is no layer or input "stem_1"'),
        ("re_lu", "act", "Its name is automatic."),
        ("previous", "x", "The cursor must be on a name"),
    ],
)
def test_rename_that_cannot_work_is_refused(editor, path, word, new, message):
    line, character = place_of(TEXT, word, offset=2)
    params = {"textDocument": {"uri": uri_from_path(path)}, "newName": new}
    answer = editor.answer(
        "textDocument/rename", {**params, "position": {"line": line, "character": character}}
    )
    assert answer["error"]["message"].startswith(message)


def test_rename_of_an_undeclared_variable_of_a_sweep_is_refused(editor, tmp_path):
    sweep = tmp_path / "sweep.yaml"
    editor.open(sweep, "base: none.yaml\nspace: {vars.width: {choice: [1]}}\n")
    position = {"line": 1, "character": 14}
    params = {"textDocument": {"uri": uri_from_path(sweep)}, "position": position, "newName": "size"}
    answer = editor.answer("textDocument/rename", params)
    assert answer["error"]["message"] == "The config does not declare this variable."


def test_names_of_extended_files_are_found(editor, tmp_path):
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    base.write_text('vars: {width: 32}\nmodel: {input: [8], layers: [{type: Dense, units: "${width}"}]}\n')
    text = "extends: base.yaml\nvars: {width: 64}\nname: child\n"
    editor.open(child, text)
    (found,) = editor.ask("definition", child, place_of(text, "base.yaml"))
    assert found["uri"] == uri_from_path(base)
    changes = editor.ask("rename", child, place_of(text, "width"), newName="size")["changes"]
    assert {uri: len(edits) for uri, edits in changes.items()} == {
        uri_from_path(base): 2,
        uri_from_path(child): 1,
    }


def test_uses_in_open_files_that_extend_a_file_are_found(editor, tmp_path):
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    base.write_text("vars: {width: 32}\nmodel: {input: [8], layers: [ReLU]}\n")
    editor.open(child, "extends: base.yaml\nmodel: {layers: [{type: Dense, units: '${width}'}]}\n")
    editor.open(base)
    editor.wait_for_checks()
    found = editor.ask("references", base, (0, 8), context={"includeDeclaration": False})
    assert [one["uri"] for one in found] == [uri_from_path(child)]


@pytest.mark.parametrize(("word", "new"), [("width:", "size"), ("stem", "trunk")])
def test_rename_changes_open_sweep_files(editor, tmp_path, word, new):
    base, sweep = tmp_path / "base.yaml", tmp_path / "sweep.yaml"
    text = "vars: {width: 8}\nmodel: {input: [4], layers: [{type: Dense, units: '${width}', name: stem}]}\n"
    base.write_text(text + "train: {loss: mse}\n")
    space = "base: base.yaml\nspace:\n  vars.width: [8, 16]\n  model.layers.stem.use_bias: [true, false]\n"
    editor.open(sweep, space)
    editor.open(base)
    editor.wait_for_checks()
    changes = editor.ask("rename", base, place_of(text, word), newName=new)["changes"]
    renamed = apply_edits(space, changes[uri_from_path(sweep)])
    assert renamed == space.replace(word.rstrip(":"), new)


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize(("word", "place"), [("width", "width: 8"), ("stem", "stem}")])
def test_names_in_a_sweep_file_are_those_of_its_base(editor, tmp_path, word, place, is_open):
    base, sweep = tmp_path / "base.yaml", tmp_path / "sweep.yaml"
    text = "vars: {width: 8}\nmodel: {input: [4], layers: [{type: Dense, units: '${width}', name: stem}]}\n"
    if is_open:  # the unsaved text counts
        base.write_text("model: {}\n")
        editor.open(base, text)
    else:
        base.write_text(text)
    space = "base: base.yaml\nspace:\n  vars.width: {choice: [8]}\n  model.layers.stem.use_bias: {choice: [true]}\n"
    editor.open(sweep, space)
    position = place_of(space, word)
    (found,) = editor.ask("definition", sweep, position)
    line, character = place_of(text, place, offset=0)
    assert found["uri"] == uri_from_path(base)
    assert found["range"]["start"] == {"line": line, "character": character}
    assert editor.ask("prepareRename", sweep, position)["placeholder"] == word
    changes = editor.ask("rename", sweep, position, newName="fresh")["changes"]
    assert apply_edits(space, changes[uri_from_path(sweep)]) == space.replace(word, "fresh")
    assert apply_edits(text, changes[uri_from_path(base)]) == text.replace(word, "fresh")

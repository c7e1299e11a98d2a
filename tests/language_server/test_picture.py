"""The picture of a model next to its text: the SVG of ``build --plot`` and the line of each box."""

import re

import pytest

from layercli.check import check_config, require_valid
from layercli.language_server.documents import uri_from_path
from layercli.plot.render import render_plot
from tests.language_server.editor import Editor

TEXT = """\
blocks:
  pair:
    layers:
      - {type: Dense, units: 8}
      - ReLU
model:
  input: [8]
  layers:
    - {type: Dense, units: 8, name: stem}
    - {block: pair, repeat: 2}
    - {type: Add, inputs: [pair, previous]}
"""


@pytest.fixture
def editor():
    return Editor()


def draw(editor, path, **options):
    params = {"textDocument": {"uri": uri_from_path(path)}, **options}
    return editor.request("layercli/modelPicture", params)


def list_lines(picture):
    """Return the line, from 1, of each box from the top to the bottom."""
    boxes = sorted(picture["boxes"], key=lambda box: (box["y"], box["x"]))
    return [box["position"]["line"] + 1 for box in boxes]


@pytest.mark.parametrize("unfold", [False, True])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_picture_is_that_of_the_plot(editor, tmp_path, unfold, theme):
    path = tmp_path / "config.yaml"
    path.write_text(TEXT)
    editor.open(path)
    valid = require_valid(check_config(str(path)))
    expected = render_plot(valid.shapes, ".svg", title="config", unfold=unfold, theme=theme)
    picture = draw(editor, path, unfold=unfold, theme=theme)
    assert picture["svg"] == expected.decode()
    assert (picture["isCurrent"], picture["message"]) == (True, None)


def test_boxes_have_the_lines_of_their_entries(editor, tmp_path):
    path = tmp_path / "config.yaml"
    editor.open(path, TEXT)
    folded = draw(editor, path)
    assert list_lines(folded) == [7, 9, 10, 10, 11]
    assert list_lines(draw(editor, path, unfold=True)) == [7, 9, 4, 5, 4, 5, 11]
    assert {box["uri"] for box in folded["boxes"]} == {uri_from_path(path)}
    assert folded["boxes"][1]["position"]["character"] == 6


def test_boxes_cover_the_boxes_of_the_picture(editor, tmp_path):
    path = tmp_path / "config.yaml"
    editor.open(path, TEXT)
    picture = draw(editor, path)
    drawn = set(re.findall(r'<rect x="([^"]+)" y="([^"]+)" width="([^"]+)" height="([^"]+)"', picture["svg"]))
    for box in picture["boxes"]:
        area = tuple(f"{box[key]:.1f}".removesuffix(".0") for key in ("x", "y", "width", "height"))
        assert area in drawn


def test_last_valid_picture_stays_while_a_line_is_half_typed(editor, tmp_path):
    path = tmp_path / "config.yaml"
    editor.open(path, TEXT)
    before = draw(editor, path)
    editor.change(path, f"# a comment\n{TEXT.replace('{type: Add, inputs: [pair, previous]}', '{type: Ad')}")
    picture = draw(editor, path)
    assert picture["svg"] == before["svg"]
    assert picture["isCurrent"] is False
    assert list_lines(picture) == []


def test_lines_of_the_last_valid_picture_follow_the_text(editor, tmp_path):
    path = tmp_path / "config.yaml"
    editor.open(path, TEXT)
    editor.change(
        path, TEXT.replace("- {type: Dense, units: 8, name", "- R\n    - {type: Dense, units: 8, name")
    )
    picture = draw(editor, path)
    assert picture["isCurrent"] is False
    assert list_lines(picture) == [7, 10, 11, 11, 12]


def test_boxes_of_extended_files_are_in_those_files(editor, tmp_path):
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    base.write_text(TEXT)
    editor.open(child, "extends: base.yaml\nname: child\n")
    boxes = draw(editor, child)["boxes"]
    assert {box["uri"] for box in boxes} == {uri_from_path(base)}
    assert boxes[1]["position"] == {"line": 8, "character": 6}


@pytest.mark.parametrize("text", ["model: {}\n", "model:\n  layers: [Dense]\n", "model: [\n"])
def test_config_without_shapes_has_a_message(editor, tmp_path, text):
    path = tmp_path / "config.yaml"
    editor.open(path, text)
    picture = draw(editor, path)
    assert picture["svg"] is None
    assert picture["message"] == "The picture appears when the config has no errors."


def test_other_files_have_no_picture(editor, tmp_path):
    path = tmp_path / "compose.yaml"
    editor.open(path, "services: {}\n")
    assert draw(editor, path) is None

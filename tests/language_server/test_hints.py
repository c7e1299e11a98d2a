"""Inlay hints show the shapes of layers, also while a config is half typed."""

import pytest

from layercli.language_server.hints import find_moved_lines
from tests.language_server.editor import Editor

TEXT = """\
blocks:
  pair:
    params: [units]
    layers:
      - {type: Dense, units: "${units}"}
      - ReLU
model:
  input: [8]
  layers:
    - {type: Dense, units: 16}  # first
    - {block: pair, with: {units: 5}}
    - {block: pair, repeat: 2, with: {units: 6}}
    - type: Dense
      units: 3
"""


@pytest.fixture
def editor():
    return Editor()


@pytest.fixture
def path(editor, tmp_path):
    path = tmp_path / "config.yaml"
    assert editor.open(path, TEXT) == []
    return path


def test_each_entry_shows_the_shape_of_its_output(editor, path):
    assert editor.hints(path) == [
        ('- {type: Dense, units: "${units}"}', "→ (None, 5) | (None, 6)"),
        ("- ReLU", "→ (None, 5) | (None, 6)"),
        ("- {type: Dense, units: 16}  # first", "→ (None, 16)"),
        ("- {block: pair, with: {units: 5}}", "→ (None, 5)"),
        ("- {block: pair, repeat: 2, with: {units: 6}}", "→ (None, 6)"),
        ("- type: Dense", "→ (None, 3)"),
    ]


def test_hint_is_at_the_end_of_its_entry(editor, path):
    shown = {"start": {"line": 9, "character": 0}, "end": {"line": 9, "character": 9}}
    (hint,) = editor.ask("inlayHint", path, range=shown)
    assert hint["position"] == {"line": 9, "character": 30}
    assert hint["tooltip"]["value"] == "`dense` Dense: (None, 16), 144 parameters"
    shown = {"start": {"line": 10, "character": 0}, "end": {"line": 10, "character": 9}}
    (hint,) = editor.ask("inlayHint", path, range=shown)
    assert hint["position"]["line"] == 10


def test_entries_on_one_line_have_separate_hints(editor, tmp_path):
    path = tmp_path / "one.yaml"
    editor.open(path, "model: {input: [8], layers: [{type: Dense, units: 4}, ReLU]}\n")
    hints = editor.ask("inlayHint", path, range={})
    assert [hint["position"]["character"] for hint in hints] == [52, 58]


def test_setting_adds_the_parameters(tmp_path):
    editor, path = Editor(options={"inlayHints": {"parameters": True}}), tmp_path / "config.yaml"
    editor.open(path, TEXT)
    assert [label for _, label in editor.hints(path)][-2:] == [
        "→ (None, 6) · 78 parameters",
        "→ (None, 3) · 21 parameters",
    ]
    editor.notify(
        "workspace/didChangeConfiguration", {"settings": {"layercli": {"inlayHints": {"shapes": False}}}}
    )
    assert editor.hints(path) == []


def test_unknown_sizes_are_question_marks(editor, tmp_path):
    path = tmp_path / "text.yaml"
    layers = (
        "[TextVectorization, {type: Embedding, input_dim: 100, output_dim: 4}, {type: nets.py:Mine}, Flatten]"
    )
    editor.open(path, f"model: {{input: {{shape: [], dtype: string}}, layers: {layers}}}\n")
    assert [hint["label"] for hint in editor.ask("inlayHint", path, range={})] == [
        "→ (None, None)",
        "→ (None, None, 4)",
        "→ ?",
        "→ ?",
    ]


@pytest.mark.parametrize(
    "half", ["- {type: Dense, units: ", "- {type: Den", "- ", "- {type: Dense, units: 1", '- "']
)
def test_half_typed_line_keeps_the_shapes_of_the_others(editor, path, half):
    before = [hint for hint in editor.hints(path) if not hint[0].endswith("# first")]
    editor.change(path, TEXT.replace("- {type: Dense, units: 16}  # first", half))
    after = [hint for hint in editor.hints(path) if hint[0] != half.strip()]
    assert after == before


def test_new_half_typed_line_moves_the_shapes_below(editor, path):
    before = editor.hints(path)
    editor.change(path, TEXT.replace("    - type: Dense", "    - {type:\n    - type: Dense"))
    assert editor.hints(path) == before


def test_valid_text_replaces_old_shapes(editor, path):
    editor.change(path, TEXT.replace("input: [8]", "input: [8, 8]"))
    assert editor.hints(path)[-1] == ("- type: Dense", "→ (None, 8, 3)")
    editor.change(
        path, TEXT.replace("      - ReLU\n", "      - {type: Conv2D, filters: 2, kernel_size: 3}\n")
    )
    assert editor.hints(path)[-1] == ("- type: Dense", "→ ?")


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ("abc", "abc", [1, 2, 3]),
        ("abc", "axbc", [1, 3, 4]),
        ("abc", "ac", [1, None, 2]),
        ("abc", "xbc", [None, 2, 3]),
        ("abc", "abx", [1, 2, None]),
        ("abc", "", [None, None, None]),
        ("aa", "aaa", [1, 2]),
    ],
)
def test_lines_before_and_after_a_change(before, after, moved):
    move_line = find_moved_lines([*before], [*after])
    assert [move_line(line) for line in range(1, len(before) + 1)] == moved

import io
import re

from rich.console import Console

from layercli import api
from layercli.reports.model_shapes import inspection_json, print_inspection, print_model_summary

TEXT = """
model:
  input: [8, 8, 1]
  layers:
    - {type: Conv2D, filters: 4, kernel_size: 3, name: a_layer_with_a_rather_long_name_that_takes_room}
    - Flatten
    - {type: Dense, units: 10}
"""


def valid_model(tmp_path, text=TEXT):
    path = tmp_path / "model.yaml"
    path.write_text(text)
    return api.load(path)


def shown(width, show, *args):
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    show(console, *args)
    return console.file.getvalue()


def test_input_column_only_on_wide_screen(tmp_path):
    valid = valid_model(tmp_path)
    wide = shown(140, print_inspection, valid, None)
    assert wide.splitlines()[1].split() == ["layer", "input", "output", "params", "FLOPs"]
    narrow = shown(60, print_inspection, valid, None)
    assert all(len(line.rstrip()) <= 60 for line in narrow.splitlines()[:-1])
    for text in (wide, narrow):
        assert "1,450" in text
        assert "2.59 k" in text


def test_missing_forward_shape_has_no_verdict(tmp_path):
    valid = valid_model(tmp_path)
    text = shown(120, print_inspection, valid, {"flatten": ((2, 144),), "dense": ((2, 9),)})
    assert "✓ (2, 144)" in text
    assert "✗ (2, 9)" in text
    rows = inspection_json(valid, {"flatten": ((2, 144),), "dense": ((2, 9),)})["layers"]
    assert [row["agrees"] for row in rows] == [None, True, False]


def test_summary_shows_parameter_shares(tmp_path):
    text = shown(140, print_model_summary, valid_model(tmp_path), 8)
    assert re.findall(r"[\d.]+%", text) == ["2.7%", "97.3%"]
    assert "outputs of all layers for a batch of 8 9.3 KiB." in text


def test_unknown_counts_are_question_marks(tmp_path):
    text = "model: {input: [4], layers: [{type: 'mine.py:Mine'}]}"
    shown_text = shown(100, print_inspection, valid_model(tmp_path, text), None)
    assert "Parameters: ? (? trainable, ? not); FLOPs for one example: ?." in shown_text


def test_many_layers_are_printed_as_few(tmp_path, monkeypatch):
    valid = valid_model(tmp_path)
    forward = {"flatten": ((2, 144),), "dense": ((2, 9),)}
    cases = [(print_inspection, None), (print_inspection, forward), (print_model_summary, 8)]
    styled = [shown(200, show, valid, argument) for show, argument in cases]
    monkeypatch.setattr("layercli.reports.model_shapes._MAX_STYLED_LAYERS", 2)
    assert [shown(200, show, valid, argument) for show, argument in cases] == styled

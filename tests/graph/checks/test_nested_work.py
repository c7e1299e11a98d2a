"""The limit of nested layers and long lists, which a short config could call very often."""

from pathlib import Path

import pytest

from layercli.check import check_document
from layercli.graph.checks import nested_work
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText


def problems_of(text):
    found = check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path())))
    return [(problem.path, problem.message) for problem in found.problems if problem.severity == "error"]


PIPELINE = """
model:
  input: [8, 8, 3]
  layers:
    - {type: Pipeline, name: flips, layers: [RandomFlip, RandomFlip, {type: RandomFlip, mode: vertical}]}
    - {reuse: flips}
    - {reuse: flips}
"""
CELLS = """
model:
  input: [4, 3]
  layers:
    - {type: RNN, name: cells, return_sequences: true, cell: [{type: GRUCell, units: 3}, {type: GRUCell, units: 3}]}
    - {type: Bidirectional, layer: {type: GRU, units: 3, return_sequences: true}, merge_mode: sum}
    - {reuse: cells}
"""
BOUNDARIES = """
model:
  input: [2]
  layers:
    - {type: Discretization, name: bins, bin_boundaries: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]}
    - {reuse: bins, inputs: input}
    - {type: Add, inputs: [bins, previous]}
"""
# A list counts its values, and a nested layer as many as 50: 3 + 3 * 50; 2 + 2 * 50, 50 and 2 + 2 * 50; 13 for each call.
CASES = [(PIPELINE, 459, "[2]"), (CELLS, 254, "[2]"), (BOUNDARIES, 26, "[1]")]


@pytest.mark.parametrize(("text", "work", "place"), CASES)
def test_calls_with_too_many_nested_layers_or_values_are_refused(monkeypatch, text, work, place):
    monkeypatch.setattr(nested_work, "_MAX_NESTED_LAYERS", work / 50)
    assert problems_of(text) == []
    monkeypatch.setattr(nested_work, "_MAX_NESTED_LAYERS", (work - 1) / 50)
    [(path, _)] = problems_of(text)
    assert path == f"model.layers{place}"


def test_layers_of_a_pretrained_model_are_nested_layers(monkeypatch):
    text = """
model:
  input: [64, 64, 3]
  layers: [{type: VGG16, include_top: false, weights: null}]
"""
    monkeypatch.setattr(nested_work, "_MAX_NESTED_LAYERS", 18)  # 13 convolutions and 5 poolings
    assert problems_of(text) == []
    monkeypatch.setattr(nested_work, "_MAX_NESTED_LAYERS", 17)
    assert len(problems_of(text)) == 1


def test_thousands_of_calls_of_a_long_pipeline_are_refused():
    flips = ", ".join(["RandomFlip"] * 7_000)
    text = (
        f"model:\n  input: [8, 8, 3]\n  layers:\n    - {{type: Pipeline, name: flips, layers: [{flips}]}}\n"
    )
    [(path, message)] = problems_of(text + "    - {reuse: flips}\n" * 4_000)
    assert path == "model.layers[2]"
    assert message == (
        "`layers` must have at most 20,000 nested layers, or 1,000,000 values in lists; the layers of a pretrained "
        "model are nested, and `reuse` counts them again."
    )

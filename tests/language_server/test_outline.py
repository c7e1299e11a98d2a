"""Symbols, folding ranges, links, semantic tokens and code lenses."""

import pytest

from layercli.language_server.documents import uri_from_path
from tests.language_server.editor import Editor

TEXT = """\
vars: {width: 32}
data:
  type: csv
  path: data/table.csv
  target: price
  split: {validation: more.csv, test: 0.1}
blocks:
  pair:
    layers:
      - {type: Dense, units: "${width}"}
      - ReLU
model:
  input: [8]
  layers:
    - {type: layers.py:Mine, name: first}
    - block: pair
    - {type: Dense, units: 1, name: head}
  weights: runs/1
train:
  loss: mse
"""


@pytest.fixture(scope="module")
def editor():
    return Editor()


@pytest.fixture(scope="module")
def path(editor, tmp_path_factory):
    path = tmp_path_factory.mktemp("outline") / "config.yaml"
    editor.open(path, TEXT)
    return path


def test_symbols_are_sections_blocks_and_layers(editor, path):
    found = editor.ask("documentSymbol", path)
    assert [one["name"] for one in found] == ["vars", "data", "blocks", "model", "train"]
    model = found[3]
    assert [(one["name"], one["detail"]) for one in model["children"]] == [
        ("first", "layers.py:Mine ?"),
        ("pair", "?"),
        ("head", "Dense ?"),
    ]
    (block,) = found[2]["children"]
    assert [one["name"] for one in block["children"]] == ["Dense", "ReLU"]
    assert model["range"]["start"] == {"line": 11, "character": 0}
    assert model["range"]["end"] == {"line": 17, "character": 17}


def test_sections_and_lists_can_be_folded(editor, path):
    found = [(one["startLine"], one["endLine"]) for one in editor.ask("foldingRange", path)]
    assert found == [(1, 5), (6, 10), (7, 10), (8, 10), (11, 17), (13, 16), (18, 19)]


def test_links_lead_to_the_files_that_the_config_names(editor, path):
    found = [one["target"] for one in editor.ask("documentLink", path)]
    folder = path.parent
    assert found == [
        uri_from_path(folder / name) for name in ("data/table.csv", "more.csv", "layers.py", "runs/1")
    ]


def test_files_of_other_machines_have_no_links(editor, tmp_path):
    path = tmp_path / "remote.yaml"
    editor.open(
        path, TEXT.replace("data/table.csv", "https://example.com/t.csv").replace("more.csv", "//host/x.csv")
    )
    assert len(editor.ask("documentLink", path)) == 2


def test_semantic_tokens_name_types_and_references(editor, tmp_path):
    path = tmp_path / "tokens.yaml"
    editor.open(path, 'vars: {w: 3}\nmodel: {input: [4], layers: [{type: Dense, units: "${w}", name: a}]}\n')
    assert editor.ask("semanticTokens/full", path)["data"] == [
        *(0, 7, 1, 3, 0),
        *(1, 36, 5, 0, 0),
        *(0, 17, 1, 3, 0),
        *(0, 11, 1, 2, 0),
    ]


def test_code_lens_shows_totals_and_the_training(editor, tmp_path):
    path = tmp_path / "lens.yaml"
    text = TEXT.replace("layers.py:Mine", "ReLU").replace("  weights: runs/1\n", "")
    editor.open(path, text)
    model, train = editor.ask("codeLens", path)
    assert model["command"]["title"] == "321 parameters · 576 FLOPs · 4 layers"
    assert train["command"]["command"] == "layercli.train"
    editor.request("workspace/executeCommand", train["command"])
    shown = editor.notifications[-1]["params"]["message"]
    assert shown == f"Train in a terminal: layercli train {path}"


def test_other_commands_are_refused(editor):
    answer = editor.answer("workspace/executeCommand", {"command": "rm", "arguments": ["file:///x"]})
    assert answer["error"]["code"] == -32803

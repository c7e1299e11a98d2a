"""Completion proposes what is valid at the cursor, also in text that is half typed."""

import pytest

from layercli.check import check_config
from layercli.errors import has_errors
from layercli.language_server.completion import _read_input
from layercli.language_server.drawable_values import suggest_distribution
from layercli.layers.shapes import Tensor
from layercli.source.load import load_yaml
from layercli.workflows.config_files import find_problems
from tests.language_server.editor import Editor, apply_edits

TEXT = """\
vars: {width: 32}
blocks:
  pair:
    params: [units, {rate: 0.1}]
    layers:
      - {type: Dense, units: "${units}"}
      - {type: Dropout, rate: "${rate}"}
data: {type: csv, path: table.csv, target: price}
model:
  input: [2]
  layers:
    - {type: Dense, units: 16, name: first}
    - {block: pair, with: {units: 8}}
    - {type: Dense, units: 1}
train:
  epochs: 3
  loss: mse
  metrics: [mae]
"""
SNIPPETS = {"textDocument": {"completion": {"completionItem": {"snippetSupport": True}}}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "table.csv").write_text('size,"floor, level",price\n1,2,3\n')
    (tmp_path / "other.yaml").write_text("name: x\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.csv").write_text("a,b\n")
    return tmp_path


@pytest.fixture
def complete(folder):
    """Complete at the `|` in a text; return the items in their order."""
    editor, path = Editor(capabilities=SNIPPETS), folder / "config.yaml"
    editor.open(path, TEXT)

    def complete(text):
        before, _, after = text.partition("|")
        editor.change(path, TEXT)
        editor.change(path, before + after)
        position = before.count("\n"), len(before.rpartition("\n")[2])
        return sorted(editor.ask("completion", path, position)["items"], key=lambda item: item["sortText"])

    return complete


def replace(old, new):
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def labels(items):
    return [item["label"] for item in items]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|", ["model", "blocks", "data", "extends", "name", "seed", "train", "vars"]),
        (replace("  epochs: 3\n", "  |\n"), ["batch_size", "callbacks", "checkpoints"]),
        (replace("  epochs: 3\n", "  epochs: 3\n  ba|\n"), ["batch_size", "callbacks"]),
        (replace("  metrics: [mae]\n", "  ba|\n"), ["batch_size", "callbacks"]),
        (replace("units: 1}", "units: 1, |}"), ["inputs", "name", "repeat", "activation"]),
        (replace("units: 1}", "units: 1, act|"), ["inputs", "name", "repeat", "activation"]),
        (replace("units: 1}", "activation: |}"), ["celu", "elu"]),
        (replace("units: 1}", "activation: re"), []),
        (replace("units: 1}", "use_bias: |"), ["false", "true"]),
        (replace("units: 1}", "kernel_initializer: |}"), ["Constant", "glorot_normal"]),
        (
            replace("    - {type: Dense, units: 1}", "    - {|"),
            ["block", "type", "inputs", "name", "repeat", "reuse"],
        ),
        (replace("{block: pair, ", "{block: |, "), ["pair"]),
        (replace("with: {units: 8}", "with: {|}"), ["units", "rate"]),
        (replace('"${units}"', '"${|}"'), ["rate", "units", "width"]),
        (replace("units: 1}", 'units: "${|'), ["width"]),
        (
            replace("units: 1}", "units: 1, inputs: [|]}"),
            ["input", "previous", "first", "pair.dense", "pair.dropout"],
        ),
        (replace("epochs: 3", "distribution: |"), ["auto", "mirrored", "multi_worker", "none"]),
        (replace("loss: mse", "loss: |"), ["binary_crossentropy"]),
        (replace("metrics: [mae]", "metrics: [|]"), ["accuracy", "auc"]),
        (replace("metrics: [mae]", "optimizer: {type: |}"), ["Adadelta", "Adafactor"]),
        (
            replace("metrics: [mae]", "metrics: [mae]\n  callbacks: [{type: EarlyStopping, monitor: |}]"),
            ["loss", "mae", "val_loss", "val_mae"],
        ),
        (replace("target: price", "target: |"), ["floor, level", "price", "size"]),
        (replace("target: price", "target: [|]"), ["floor, level", "price", "size"]),
        (replace("target: price", "target: price, inputs: {input: [|]}"), ["floor, level", "price", "size"]),
        (replace("target: price", "target: price, inputs: {|}"), ["input"]),
        (replace("target: price", "target: price, split: {group: |}"), ["floor, level", "price", "size"]),
        (replace("target: price", "target: price, types: {|}"), ["floor, level", "price", "size"]),
        (replace("path: table.csv", "path: |"), ["other.yaml", "sub/", "table.csv"]),
        (replace("path: table.csv", "path: sub/|"), ["sub/more.csv"]),
        (replace("path: table.csv", "path: ../|"), []),
        (replace("path: table.csv", "path: /|"), []),
        (replace("vars:", "extends: |\nvars:"), ["other.yaml", "sub/", "table.csv"]),
        (
            replace("type: csv", "type: |"),
            ["csv"],
        ),
        (replace("    params: [units, {rate: 0.1}]\n", "    |\n"), ["params"]),
        (TEXT + "  # |", []),
        (TEXT + "a: b: c: |", []),
    ],
)
def test_place_has_these_proposals_first(complete, text, expected):
    if "|" not in text:
        text += "|"
    found = labels(complete(text))
    assert found[: len(expected)] == expected
    assert bool(found) == bool(expected)


def test_layers_that_fit_the_input_come_first(complete):
    found = labels(complete(replace("    - {type: Dense, units: 1}", "    - |")))
    assert found[:3] == ["block", "type", "pair"]
    assert found.index("Dense") < found.index("Conv2D")
    assert found.index("LayerNormalization") < found.index("LSTM")


def test_snippets_place_the_cursor(complete):
    items = {item["label"]: item for item in complete(replace("    - {type: Dense, units: 1}", "    - |"))}
    assert items["Dense"]["textEdit"]["newText"] == "{type: Dense, units: ${1:64}}"
    assert items["Dense"]["insertTextFormat"] == 2
    assert items["pair"]["textEdit"]["newText"] == "{block: pair, with: {units: ${1}}}"
    assert items["ReLU"]["textEdit"]["newText"] == "ReLU"


def test_key_has_its_type_default_and_meaning(complete):
    (item,) = [one for one in complete(replace("  epochs: 3\n", "  |\n")) if one["label"] == "batch_size"]
    assert item["detail"] == "a positive integer or auto; default 32"
    assert item["documentation"]["value"].startswith("Examples per training step; auto: ")
    assert item["textEdit"]["newText"] == "batch_size: ${1:32}"


def test_inserted_layers_are_valid_in_editors_without_snippets(folder):
    editor, path = Editor(), folder / "config.yaml"
    text = "model:\n  input: [8, 8, 3]\n  layers:\n    - \n"
    editor.open(path, text)
    for item in editor.ask("completion", path, (3, 6))["items"]:
        if item["label"] in ("Conv2D", "Flatten", "Dropout", "MaxPooling2D", "Rescaling"):
            new = apply_edits(text, [item["textEdit"]])
            assert check_config(str(path), text=new).problems == []


def test_reference_replaces_its_opening(folder):
    editor, path = Editor(), folder / "config.yaml"
    text = TEXT.replace("units: 1}", 'units: "${wi}"}')
    editor.open(path, text)
    line = text[: text.index("${wi}")].count("\n")
    column = text.splitlines()[line].index("${wi}") + 4
    (item,) = editor.ask("completion", path, (line, column))["items"]
    assert (
        apply_edits(text, [item["textEdit"]]).splitlines()[line] == '    - {type: Dense, units: "${width}"}'
    )


@pytest.mark.parametrize(("sizes", "fitting"), [("8, 3", "1D"), ("8, 8, 3", "2D"), ("8, 8, 8, 3", "3D")])
def test_first_layer_of_a_new_config_fits_the_input(folder, sizes, fitting):
    editor, path = Editor(), folder / "config.yaml"
    start = f"model:\n  input: [{sizes}]\n  layers:\n    - "
    editor.open(path, start)
    items = sorted(editor.ask("completion", path, (3, 6))["items"], key=lambda item: item["sortText"])
    pooling = [label for label in labels(items) if label.startswith("MaxPooling")]
    assert pooling[0] == f"MaxPooling{fitting}"


VALID = """\
data: {type: sklearn, dataset: digits, split: {validation: 0.1}}
model:
  layers:
    - {type: Dense, units: 16, activation: relu, name: first}
    - {type: Dropout, rate: 0.2}
    - {type: Dense, units: 10, activation: softmax}
train: {epochs: 3, loss: crossentropy, optimizer: {type: Adam, learning_rate: 3e-3}}
"""
SWEEP = """\
base: config.yaml
space:
  model.layers.first.units: {int: [8, 32]}
  model.layers.first.activation: {choice: [relu, tanh]}
objective: {metric: val_loss}
sampler: {type: TPESampler, seed: 1}
"""


@pytest.fixture
def complete_sweep(folder):
    """Complete at the `|` in a sweep file; return the inserted text of each item, by its label."""
    (folder / "config.yaml").write_text(TEXT)
    (folder / "code.py").write_text(
        "class Scale(Layer):\n    def __init__(self, factor, axis=1):\n        1 / 0\n\n"
        "class Plain(Layer): pass\ndef focal(y_true, y_pred): pass\nclass _Hidden: pass\n"
    )
    editor = Editor(capabilities=SNIPPETS)

    def complete_sweep(text, name="sweep.yaml"):
        path = folder / name
        before, _, after = text.partition("|")
        editor.open(path, before + after)
        position = before.count("\n"), len(before.rpartition("\n")[2])
        found = editor.ask("completion", path, position)["items"]
        found.sort(key=lambda item: item["sortText"])
        return {item["label"]: item["textEdit"]["newText"] for item in found}

    return complete_sweep


@pytest.mark.parametrize("place", ["  |\nobjective", "  mod|\nobjective"])
def test_paths_of_the_base_config_with_their_ranges(complete_sweep, place):
    found = complete_sweep(SWEEP.replace("objective", place))
    written = ["model.layers.pair.with.units", "train.epochs", "train.loss"]
    assert list(found)[:4] == [*written, "vars.width"]
    assert "model.layers.first.units" not in found
    assert found["vars.width"] == "vars.width: {int: [${1:16}, ${2:64}]}"
    assert (
        found["model.layers.dense.use_bias"]
        == "model.layers.dense.use_bias: {choice: [${1:false}, ${2:true}]}"
    )


def test_proposed_paths_are_valid_in_editors_without_snippets(folder):
    editor, path = Editor(), folder / "sweep.yaml"
    (folder / "config.yaml").write_text(VALID)
    text = "base: config.yaml\nspace:\n  \nobjective: {metric: val_loss}\n"
    editor.open(path, text)
    items = editor.ask("completion", path, (2, 2))["items"]
    assert len(items) > 15
    for item in items:
        path.write_text(apply_edits(text, [item["textEdit"]]))
        assert not has_errors(find_problems(str(path))), item


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("{int: [8, 32]}", "|", {"{int: [8, 32]}": "{int: [${1:8}, ${2:32}]}"}),
        ("{choice: [relu, tanh]}", "|", {"{choice: [false, true]}": None}),
        ("{int: [8, 32]}", "{int: [8, 32], |}", {"log": "log: ${1:false}", "step": "step: $1"}),
        ("{int: [8, 32]}", "{|}", {"int": "int: [${1:1}, ${2:10}]", "choice": "choice: [$1]"}),
        ("tanh", "|", {"selu": "selu", "softmax": "softmax"}),
        ("TPESampler", "|", {"GridSampler": "GridSampler"}),
        ("{type: TPESampler, seed: 1}", "|", {"GridSampler": "GridSampler"}),
        ("seed: 1", "|", {"multivariate": "multivariate: $1"}),
        ("val_loss", "|", {"val_mae": "val_mae", "parameters": "parameters", "flops": "flops"}),
        ("objective", "pru|\nobjective", {"pruner": "pruner: ${1:MedianPruner}"}),
    ],
)
def test_values_of_a_sweep_file(complete_sweep, old, new, expected):
    assert SWEEP.count(old) == 1
    found = complete_sweep(SWEEP.replace(old, new).replace("first.activation: |", "first.use_bias: |"))
    assert [one for one in expected if one not in found] == []
    assert all(found[label] == text for label, text in expected.items() if text is not None)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    - {type: Dense, units: 1}", "    - code.py:|", {"code.py:Plain": "code.py:Plain"}),
        (
            "    - {type: Dense, units: 1}",
            "    - code.py:S|",
            {"code.py:Scale": "{type: code.py:Scale, factor: ${1}}"},
        ),
        ("type: Dense, units: 1", "type: code.py:|", {"code.py:Scale": "code.py:Scale"}),
        ("type: Dense, units: 1", "type: code.py:Scale, |", {"factor": "factor: $1", "axis": "axis: $1"}),
        ("loss: mse", "loss: code.py:|", {"code.py:focal": "code.py:focal"}),
    ],
)
def test_classes_and_arguments_of_custom_code(complete_sweep, old, new, expected):
    found = complete_sweep(TEXT.replace(old, new), "custom.yaml")
    assert {label: found.get(label) for label in expected} == expected
    assert not [label for label in found if "Hidden" in label]
    assert "code.py:focal" not in found or "loss" in old


def test_classes_come_only_from_files_in_the_folder(complete_sweep, folder):
    (folder.parent / "outside.py").write_text("class Secret: pass\n")
    for name in ("../outside.py", str(folder.parent / "outside.py"), "missing.py", "sub.py"):
        assert not [one for one in complete_sweep(TEXT.replace("mse", f"{name}:|")) if "Secret" in one]


@pytest.mark.parametrize(
    "code",
    [
        "",
        "x = 1\n",
        "class A(B):\n    def __init__(self, " + "(" * 5000,
        "class A(B):\n    def __init__(self, a=" + "-" * 1900 + "1): pass\n",
    ],
    ids=["empty", "no class", "brackets", "signs"],
)
def test_strange_code_has_no_arguments(complete_sweep, folder, code):
    (folder / "strange.py").write_text(code)
    found = complete_sweep(TEXT.replace("type: Dense, units: 1", "type: strange.py:A, |"), "custom.yaml")
    assert {"name", "inputs"} <= set(found)
    assert "a" not in found


@pytest.mark.parametrize(
    ("value", "suggested"),
    [
        (True, "{choice: [false, true]}"),
        (32, "{int: [16, 64]}"),
        (1, "{int: [1, 2]}"),
        (0, "{int: [0, 10]}"),
        (-3, "{int: [-6, 10]}"),
        (0.5, "{float: [0.25, 0.75]}"),  # half way to 1
        (0.06, "{float: [0.03, 0.12]}"),
        (0.05, "{float: [0.005, 0.5], log: true}"),
        (1.0, "{float: [0.1, 10.0], log: true}"),
        (0.0, "{float: [0.0, 1.0]}"),
        (-0.25, "{float: [-0.5, 1.0]}"),
        ("relu", "{choice: [relu, elu, gelu, selu]}"),
    ],
)
def test_range_around_a_value(value, suggested):
    assert suggest_distribution(value, ["elu", "relu", "gelu", "selu", "tanh"]) == suggested


@pytest.mark.parametrize(
    ("shown", "shape"),
    [("[8, null]", (None, 8, None)), ("[]", (None,)), ("[8, x]", None), ("8", None), ("{a: [8]}", None)],
)
def test_input_of_a_model_without_valid_layers(shown, shape):
    found = _read_input(load_yaml("c.yaml", f"model: {{input: {shown}}}"))
    assert found == (None if shape is None else Tensor(shape))
    assert _read_input(load_yaml("c.yaml", "model: {}")) is None

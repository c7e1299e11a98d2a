"""Hover explains the word below the pointer."""

import pytest

from tests.language_server.editor import Editor, place_of

TEXT = """\
vars: {width: 32}
blocks:
  pair:
    params: {units: 4}
    layers:
      - {type: Dense, units: "${units}"}
      - ReLU
model:
  input: [8]
  layers:
    - {type: Dense, units: "${width}", activation: relu, name: first}
    - {block: pair, repeat: 2}
    - {type: Add, inputs: [pair, previous]}
    - {block: pair, repeat: 2, name: body}
    - {type: Add, inputs: [body, previous]}
train:
  epochs: 3
  loss: mse
  metrics: [mae]
  optimizer: {type: Adam, learning_rate: {type: CosineDecay, initial_learning_rate: 0.1, decay_steps: 5}}
  callbacks: [{type: EarlyStopping, patience: 2}]
"""


@pytest.fixture(scope="module")
def hover(tmp_path_factory):
    editor, path = Editor(), tmp_path_factory.mktemp("hover") / "config.yaml"
    editor.open(path, TEXT)

    def hover(word, number=0):
        found = editor.ask("hover", path, place_of(TEXT, word, number=number))
        return found and found["contents"]["value"]

    return hover


def test_layer_shows_its_shapes_and_arithmetic(hover):
    shown = hover("Dense", 1)
    assert "`first`: (None, 8) → **(None, 32)**" in shown
    assert "- parameters: 8 x 32 + 32 = 288 (kernel (8, 32), bias (32,))" in shown
    assert "- FLOPs for one example: 512" in shown
    assert "- `units` (required): Size of the output" in shown


@pytest.mark.parametrize(
    ("word", "number", "text"),
    [
        ("activation", 0, "**activation**: the name of an activation or null; default `null`."),
        ("relu", 0, "Activation `relu`."),
        ("${width}", 0, "`${width}` = `32`\n\nVariable, declared at line 1."),
        ("${units}", 0, "`${units}`: parameter of the block `pair`, default `4`."),
        ("width", 0, "`${width}` = `32`"),
        ("pair, repeat", 0, "Block `pair`: 4 layers, "),
        ("pair:", 0, "Block `pair`: 2 entries\n- `units` (`4`)"),
        ("repeat", 0, "Number of repetitions in a row."),
        ("mse", 0, "**MeanSquaredError**\n\nMean of squared differences."),
        ("mae", 0, "**MeanAbsoluteError**"),
        ("Adam", 0, "**Adam**"),
        ("CosineDecay", 0, "**CosineDecay**"),
        ("type: Adam", 0, "**type**: the name of the type."),
        ("EarlyStopping", 0, "Stops training when the monitored value stops improving."),
        ("patience", 0, "**patience**: "),
        ("epochs", 0, "Number of passes over the training examples; with `stages`, "),
        ("blocks", 0, "Stacks of layers with parameters"),
        ("type: Add", 0, "Add"),
        ("pair, previous", 0, "Block use `pair`: 2 layers, 132 parameters"),
        ("body, previous", 0, "Block use `body`: 4 layers, 40 parameters"),
    ],
)
def test_words_are_explained(hover, word, number, text):
    assert text in (hover(word, number) or "")


def test_space_has_no_hover(hover):
    assert hover("\n  input") is None


CODE = """\
import keras


class Scale(keras.layers.Layer):
    \"\"\"Multiplies by a factor.\"\"\"

    def __init__(self, factor, *, axis=(1, 2), **kwargs):
        raise SystemExit("never runs")


def focal(y_true, y_pred, gamma: float = 2.0):
    return y_true
"""
CUSTOM = """\
extends: base.yaml
blocks:
  pair: {params: {n: 3}, layers: [{type: Dense, units: "${n}"}]}
model:
  input: [4]
  layers:
    - {type: layers.py:Scale, factor: 2, name: scaled, output_shape: [4]}
    - {block: pair, repeat: 2, with: {n: 7}, name: twice}
train:
  loss: {type: layers.py:focal, gamma: 3}
"""
SWEEP = """\
base: base.yaml
space:
  model.layers.dense.units: {int: [16, 256], log: true}
  model.layers.dense.activation: {choice: [relu, tanh]}
  train.optimizer.learning_rate: {float: [1e-4, 1e-1]}
  train.nothing.here: {int: [1, 2]}
objective: {metric: val_loss}
sampler: {type: TPESampler, seed: 1}
"""


@pytest.fixture(scope="module")
def hover_in(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "layers.py").write_text(CODE)
    base = "model:\n  input: [4]\n  layers:\n    - {type: Dense, units: 64}\ntrain: {loss: mse}\n"
    (folder / "base.yaml").write_text("seed: 3\n" + base)
    editor = Editor()

    def hover_in(text, word):
        path = folder / ("sweep.yaml" if text is SWEEP else "config.yaml")
        editor.open(path, text)
        found = editor.ask("hover", path, place_of(text, word))
        return (found and found["contents"]["value"]) or ""

    return hover_in


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("base.yaml", "The file declares:\n- `seed`\n- `model`: `input`, `layers`\n- `train`: `loss`"),
        ("Scale", "Multiplies by a factor.\n\n- `factor` (required)\n- `axis` (`(1, 2)`)"),
        ("factor", "**factor**: argument of `Scale` in custom code; required."),
        ("2, name", "**factor**: argument of `Scale`"),
        ("scaled", "`scaled`: (None, 4) → **(None, 4)**"),
        ("2, with", "Block `pair`: 2 layers, 91 parameters"),
        ("7}", "**n**: parameter of the block `pair`."),
        ("n: 3", "`${n}`: parameter of the block `pair`, default `3`."),
        ("focal", "- `gamma` (`2.0`)"),
        ("gamma", "**gamma**: argument of `focal` in custom code; default `2.0`."),
        ("4]\n", "Shape of one example"),
    ],
)
def test_values_and_custom_code_are_explained(hover_in, word, text):
    assert text in hover_in(CUSTOM, word)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("base.yaml", "The config to vary, relative to this file."),
        ("base.yaml", "- `train`: `loss`"),
        ("model.layers.dense.units", "Size of the output's last axis."),
        ("model.layers.dense.units", "In the base config: `64`, at line 5 of "),
        ("train.optimizer", "The base config does not set `train.optimizer.learning_rate`."),
        ("int", "The minimum and the maximum."),
        ("16", "The minimum and the maximum."),
        ("log", "Whether to draw on a logarithmic scale."),
        ("choice", "**choice**: a list; required."),
        ("tanh", "Activation `tanh`."),
        ("TPE", "Tree-structured Parzen estimator"),
        ("seed", "Random seed"),
    ],
)
def test_sweep_files_are_explained(hover_in, word, text):
    assert text in hover_in(SWEEP, word)

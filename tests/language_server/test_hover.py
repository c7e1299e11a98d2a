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

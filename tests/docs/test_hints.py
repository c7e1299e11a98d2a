"""Hints work: a config that follows a hint literally has no such problem and no new one."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from layercli.check import check_config
from tests.docs.test_problems import SHOWN

EXAMPLES = {code: invalid for code, invalid, _ in SHOWN}
"""Each code with its failing example in docs/problems.md."""


class Edit(NamedTuple):
    """What a hint says, and the change that follows it."""

    hint: str
    """A part of the hint."""
    old: str
    new: str


DENSE = "{type: Dense, units: 3}"
MODEL = f"model: {{input: [4], layers: [{DENSE}]}}"
LONG_NUMBER = EXAMPLES["number-too-long"].partition("units: ")[2].partition("}")[0]
EDITS = {
    "yaml-syntax": Edit("Close the bracket that opens at line 4", "units: 3", "units: 3}"),
    "not-a-mapping": Edit(f"`{MODEL}`", f"- {DENSE}", MODEL),
    "two-documents": Edit("Delete the `---` line", "---\n", ""),
    "duplicate-key": Edit("Keep one of them", "name: two\n", ""),
    "empty-key": Edit("Write a key", ", '': 2", ", trainable: true"),
    "key-not-text": Edit("delete the extra bracket", ", [a]: 2", ""),
    "ambiguous-number": Edit("Write 10 for the number", "010", "10"),
    "number-too-long": Edit("Write at most 300 characters", LONG_NUMBER, "10"),
    "bad-merge": Edit("Write its contents as keys", "<<: 3", "units: 3"),
    "unknown-alias": Edit("Write `&size` before the value", "*size", "&size 3"),
    "self-reference": Edit("write its value out", "*model", DENSE),
    "nothing-to-train": Edit("`top` from `freeze`", "[body, top]", "[body]"),
    "random-kernel": Edit("Add `weights` to `model`", "model:\n", "model:\n  weights: runs/digits/1\n"),
    "tag-refused": Edit("Remove the tag", "!!python/object/apply:os.getpid []", "3"),
    "unknown-key": Edit("Did you mean `units`?", "unit:", "units:"),
    "unknown-type": Edit("Did you mean `Dense`?", "Dens,", "Dense,"),
    "refused-type": Edit("`type: my_layers.py:MyLayer`", "Lambda, function: f", "my_layers.py:MyLayer"),
    "unknown-value": Edit("`padding: valid`", "padding: full", "padding: valid"),
    "missing-key": Edit("Add `units: 64`", "Dense}", "Dense, units: 64}"),
    "wrong-type": Edit("`units: 3`", 'units: "3"', "units: 3"),
    "out-of-range": Edit("`units: 64`", "units: 0", "units: 64"),
    "not-finite": Edit("`rate: 0.5`", "rate: .nan", "rate: 0.5"),
    "wrong-length": Edit("For example [3, 3]", "[3, 3, 3]", "[3, 3]"),
    "empty": Edit("Add `- {type: Dense, units: 10}`", "[]", "[{type: Dense, units: 10}]"),
    "bad-argument": Edit("Remove `dilation_rate`", ", dilation_rate: 2", ""),
    "bad-name": Edit("`name: head`", "name: my layer", "name: head"),
    "bad-path": Edit("`logs/training`", "../log.csv", "logs/training"),
    "bad-pattern": Edit("`exclude_layers: [head]`", "exclude_layers: ['dense(']", "exclude_layers: [head]"),
    "bad-custom-type": Edit("`type: my_layers.py:MyLayer`", "'my layers:MyLayer'", "my_layers.py:MyLayer"),
    "unknown-variable": Edit("Did you mean `width`?", "widht", "width"),
    "variable-cycle": Edit("Set one of them to a value", 'a: "${b}"', "a: 3"),
    "unknown-block": Edit("Did you mean `unit`?", "block: units", "block: unit"),
    "block-cycle": Edit("write the layers", "{block: unit}]", "Flatten]"),
    "shape-mismatch": Edit(
        "Set `return_sequences: true` on `lstm` (line 4)",
        "units: 8}\n    - {",
        "units: 8, return_sequences: true}\n    - {",
    ),
    "dense-on-positions": Edit(
        "Put Flatten or GlobalAveragePooling2D before `dense`",
        "    - {type: Dense",
        "    - Flatten\n    - {type: Dense",
    ),
    "unknown-name": Edit("Did you mean `stem`?", "steam", "stem"),
    "unknown-output": Edit("Did you mean `right`?", "rigth", "right"),
    "duplicate-name": Edit("Rename one of them", "{type: Dense, name: a", "{type: Dense, name: b"),
    "unused-layer": Edit("or remove it", "    - {type: Dense, name: a, units: 4}\n", ""),
    "unused-input": Edit("or remove it", ", b: [4]", ""),
    "dtype-mismatch": Edit(
        "Put {type: Rescaling, scale: 1.0} before Conv2D",
        "    - {type: Conv2D",
        "    - {type: Rescaling, scale: 1.0}\n    - {type: Conv2D",
    ),
    "scaled-twice": Edit("Remove `rescaling`", "    - {type: Rescaling, scale: 0.00392156862745098}\n", ""),
    "channels-first-input": Edit("Declare `model.input: [32, 32, 3]`", "[3, 32, 32]", "[32, 32, 3]"),
    "dropped-mask": Edit("Remove `mask_zero`", ", mask_zero: true", ""),
    "idle-epochs": Edit("Set `decay_steps: 120`", "decay_steps: 40", "decay_steps: 120"),
    "input-mismatch": Edit("or `input: [64]` here", "input: [8, 8]", "input: [64]"),
    "wrong-units": Edit("Set `units: 10`", "units: 9", "units: 10"),
    "wrong-loss": Edit(
        "Use `loss: mean_squared_error`", "sparse_categorical_crossentropy", "mean_squared_error"
    ),
    "logits-mismatch": Edit("Add `activation: softmax`", "units: 10", "units: 10, activation: softmax"),
    "activation-mismatch": Edit("Use `activation: softmax`", "sigmoid", "softmax"),
    "softmax-of-one": Edit("use `activation: sigmoid`", "softmax", "sigmoid"),
    "squashed-output": Edit("Remove the activation", ", activation: sigmoid", ""),
    "target-mismatch": Edit("Set `return_sequences: false`", "true", "false"),
    "target-scale": Edit(
        "`mean: 0.0` and `variance: 1.0`", "invert: true", "invert: true, mean: 0.0, variance: 1.0"
    ),
    "wrong-metric": Edit("Use `accuracy`", "[binary_accuracy]", "[accuracy]"),
    "moved-target": Edit(
        "Move it to the start of the model",
        "    - {type: Conv2D, filters: 8, kernel_size: 3, padding: same, activation: relu}\n    - RandomFlip\n",
        "    - RandomFlip\n    - {type: Conv2D, filters: 8, kernel_size: 3, padding: same, activation: relu}\n",
    ),
    "bad-id": Edit("Write `input_dim: 1000`", "input_dim: 500", "input_dim: 1000"),
    "bad-split": Edit("Remove `stratify`", ", stratify: true", ""),
    "unknown-monitor": Edit("Training logs `loss`, `val_loss`", "val_acuracy", "val_loss"),
    "vector-monitor": Edit(
        "{type: F1Score, average: macro, name: f1_score}",
        "[f1_score]",
        "[{type: F1Score, average: macro, name: f1_score}]",
    ),
    "unknown-mode": Edit("Add `mode: max`", "monitor: hits", "monitor: hits, mode: max"),
    "schedule-clash": Edit("or remove ReduceLROnPlateau", "{type: ReduceLROnPlateau, monitor: loss}", ""),
}
LOOK_AT = {
    "too-deep": "Look for brackets",
    "too-many-nodes": "Remove aliases of values that contain aliases",
    "bad-reference": "Write a name, as in",
    "bad-extends": "Check the name",
}
"""Codes whose hint says what to look at, because no change is certain."""

CSV = "{type: csv, path: table.csv, target: y}"
DIGITS = "{type: sklearn, dataset: digits}"
HEAD = "{type: Dense, units: 10, activation: softmax}"
CONV = "{type: Conv2D, filters: 4, kernel_size: 3}"


def config(*layers: str, input: str = "[64]", data: str = "", train: str = "") -> str:
    lines = [f"data: {data}"] * bool(data)
    lines += ["model:", f"  input: {input}", "  layers:", *(f"    - {layer}" for layer in layers)]
    return "\n".join([*lines, *[f"train: {train}"] * bool(train)]) + "\n"


SPARSE = "{loss: sparse_categorical_crossentropy}"
MORE = {
    "ConvLSTM2D on one image": (
        config("{type: ConvLSTM2D, filters: 4, kernel_size: 3}", "Flatten", HEAD, input="[28, 28, 1]"),
        Edit("Use Conv2D for single images", "ConvLSTM2D", "Conv2D"),
    ),
    "ConvLSTM2D on one image, as a sequence": (
        config("{type: ConvLSTM2D, filters: 4, kernel_size: 3}", "Flatten", HEAD, input="[28, 28, 1]"),
        Edit("declare `model.input: [10, 28, 28, 1]`", "[28, 28, 1]", "[10, 28, 28, 1]"),
    ),
    "Conv3D on one image": (
        config("{type: Conv3D, filters: 4, kernel_size: 3}", "Flatten", HEAD, input="[28, 28, 3]"),
        Edit("Use Conv2D for single images", "Conv3D", "Conv2D"),
    ),
    "an unknown batch axis": (
        config(CONV, "Flatten", HEAD, input="[null, 28, 28, 1]"),
        Edit("`model.input: [28, 28, 1]`", "[null, 28, 28, 1]", "[28, 28, 1]"),
    ),
    "a batch axis of 32": (
        config(CONV, "Flatten", HEAD, input="[32, 28, 28, 1]"),
        Edit(
            "If 32 is the batch size, remove it: `model.input: [28, 28, 1]`", "[32, 28, 28, 1]", "[28, 28, 1]"
        ),
    ),
    "a batch axis of sequences": (
        config("{type: LSTM, units: 4}", HEAD, input="[32, 10, 8]"),
        Edit("remove it: `model.input: [10, 8]`", "[32, 10, 8]", "[10, 8]"),
    ),
    "a batch axis with data": (
        config(HEAD, input="[32, 64]", data=DIGITS, train=SPARSE),
        Edit("Set `input: [64]`", "[32, 64]", "[64]"),
    ),
    "images with the channels first": (
        config(CONV, "{type: MaxPooling2D, pool_size: 2}", "Flatten", HEAD, input="[3, 32, 32]"),
        Edit("Declare `model.input: [32, 32, 3]`", "[3, 32, 32]", "[32, 32, 3]"),
    ),
    "metrics by a name for one output": (
        config(HEAD, data=DIGITS, train=SPARSE.replace("}", ", metrics: {a: accuracy}}")),
        Edit("Write `metrics: [accuracy]` if", "metrics: {a: accuracy}", "metrics: [accuracy]"),
    ),
    "a list of metrics by a name for one output": (
        config(HEAD, data=DIGITS, train=SPARSE.replace("}", ", metrics: {a: [accuracy]}}")),
        Edit("Write `metrics: [accuracy]`, without", "metrics: {a: [accuracy]}", "metrics: [accuracy]"),
    ),
    "a metric that is not in a list": (
        config(HEAD, data=DIGITS, train=SPARSE.replace("}", ", metrics: accuracy}")),
        Edit("Write `metrics: [accuracy]`.", "metrics: accuracy", "metrics: [accuracy]"),
    ),
    "a Poisson loss with a linear output": (
        config(
            "{type: Dense, units: 1}",
            input="[10]",
            data="{type: sklearn, dataset: diabetes}",
            train="{loss: poisson}",
        ),
        Edit("`activation: exponential`", "units: 1", "units: 1, activation: exponential"),
    ),
    "a loss for one of two outputs": (
        config(
            "{type: Dense, name: stem, units: 4}",
            "{type: Dense, name: left, units: 1}",
            "{type: Dense, name: right, units: 1, inputs: stem}",
            train="{loss: {left: mse}}",
        ).replace("train:", "  outputs: [left, right]\ntrain:"),
        Edit("Add `right: mean_squared_error`", "{left: mse}", "{left: mse, right: mean_squared_error}"),
    ),
    "metrics for two outputs without a name": (
        config(
            "{type: Dense, name: stem, units: 4}",
            "{type: Dense, name: left, units: 1}",
            "{type: Dense, name: right, units: 1, inputs: stem}",
            train="{loss: {left: mse, right: mse}, metrics: [mae]}",
        ).replace("train:", "  outputs: [left, right]\ntrain:"),
        Edit("`metrics: {left: [mae]}`", "metrics: [mae]", "metrics: {left: [mae]}"),
    ),
    "a first layer of two inputs": (
        config(HEAD).replace("input: [64]", "inputs: {a: [4], b: [5]}"),
        Edit(
            "Put {type: Concatenate, inputs: [a, b]} before it",
            "    - {",
            "    - {type: Concatenate, inputs: [a, b]}\n    - {",
        ),
    ),
    "a layer for one input with two": (
        config("{type: Dense, units: 3, inputs: [a, b]}").replace("input: [64]", "inputs: {a: [4], b: [5]}"),
        Edit(
            "Put {type: Concatenate, inputs: [a, b]} before Dense, and remove `inputs`",
            "    - {type: Dense, units: 3, inputs: [a, b]}",
            "    - {type: Concatenate, inputs: [a, b]}\n    - {type: Dense, units: 3}",
        ),
    ),
    "groups that do not divide the filters": (
        config("{type: Conv2D, filters: 8, kernel_size: 3, groups: 3}", "Flatten", HEAD, input="[8, 8, 4]"),
        Edit("Use `groups: 1`", "groups: 3", "groups: 1"),
    ),
    "images of different sizes": (
        config(
            "{type: Conv2D, name: a, filters: 4, kernel_size: 3}",
            "{type: Conv2D, name: b, filters: 4, kernel_size: 5, inputs: input}",
            "{type: Concatenate, inputs: [a, b]}",
            input="[8, 8, 1]",
        ),
        Edit("`padding: same`", "filters: 4,", "filters: 4, padding: same,"),
    ),
    "a window larger than its input": (
        config("{type: Conv2D, filters: 4, kernel_size: 9}", "Flatten", HEAD, input="[8, 8, 1]"),
        Edit("`padding: same`", "kernel_size: 9", "kernel_size: 9, padding: same"),
    ),
    "a vector for Conv1D": (
        config("{type: Conv1D, filters: 4, kernel_size: 3}", "Flatten", HEAD),
        Edit("declare `model.input: [64, 1]`", "[64]", "[64, 1]"),
    ),
    "vectors for attention": (
        config(
            "{type: MultiHeadAttention, num_heads: 2, key_dim: 4, inputs: [input, input]}", "Flatten", HEAD
        ),
        Edit("declare `model.input: [64, 1]`", "[64]", "[64, 1]"),
    ),
    "an image without channels": (
        config(CONV, "Flatten", HEAD, input="[8, 8]"),
        Edit("declare `model.input: [8, 8, 1]`", "[8, 8]", "[8, 8, 1]"),
    ),
    "a convolution after Flatten": (
        config("Flatten", CONV, HEAD, input="[8, 8, 1]"),
        Edit("Put Conv2D before `flatten`", f"Flatten\n    - {CONV}", f"{CONV}\n    - Flatten"),
    ),
    "an LSTM on images": (
        config("{type: LSTM, units: 4}", HEAD, input="[28, 28, 1]"),
        Edit(
            "use {type: TimeDistributed, layer: {type: Flatten}}",
            "    - {type: LSTM",
            "    - {type: TimeDistributed, layer: {type: Flatten}}\n    - {type: LSTM",
        ),
    ),
    "a Reshape to another size": (
        config("{type: Reshape, target_shape: [8, 7]}", "Flatten", HEAD),
        Edit("`target_shape: [8, 8]`", "[8, 7]", "[8, 8]"),
    ),
    "groups of a normalization": (
        config("{type: GroupNormalization, groups: 7}", HEAD),
        Edit("`groups: 1`", "groups: 7", "groups: 1"),
    ),
    "two kinds of gradient clipping": (
        config(HEAD, train=SPARSE.replace("}", ", optimizer: {type: Adam, clipnorm: 1, clipvalue: 1}}")),
        Edit("Keep one of them", ", clipvalue: 1", ""),
    ),
    "a monitor without validation examples": (
        config(HEAD, data=DIGITS, train=SPARSE.replace("}", ", callbacks: [EarlyStopping]}")),
        Edit("`split` such as {validation: 0.1}", "digits}", "digits, split: {validation: 0.1}}"),
    ),
    "a number as the input": (config(HEAD, input="64"), Edit("Write `[64]`", "input: 64", "input: [64]")),
    "a tuple as the input": (config(HEAD, input="(64,)"), Edit("Write `[64]`", "(64,)", "[64]")),
    "labels for binary_crossentropy with ten classes": (
        config(HEAD, data=DIGITS, train="{loss: binary_crossentropy}"),
        Edit(
            "`loss: sparse_categorical_crossentropy`",
            "binary_crossentropy",
            "sparse_categorical_crossentropy",
        ),
    ),
    "states of an LSTM": (
        config("{type: LSTM, units: 4, return_state: true}", HEAD, input="[6, 4]"),
        Edit("Remove `return_state`", ", return_state: true", ""),
    ),
    "a sum of different sizes": (
        config(
            "{type: Dense, name: a, units: 4}",
            "{type: Dense, name: b, units: 5, inputs: input}",
            "{type: Add, inputs: [a, b]}",
        ),
        Edit("join them with Concatenate", "type: Add", "type: Concatenate"),
    ),
}
"""Other wrong configs, each with the change that its hint states."""


@pytest.fixture
def check(tmp_path):
    def check(text):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return check_config(str(path)).problems

    return check


def follow_hint(check, text, code, edit):
    """Return the codes before and after the change that a hint states."""
    before = check(text)
    hints = [problem.hint for problem in before if code in (None, problem.code)]
    assert any(edit.hint in (hint or "") for hint in hints), hints
    assert edit.old in text
    return [problem.code for problem in before], [
        problem.code for problem in check(text.replace(edit.old, edit.new))
    ]


def test_every_code_has_a_hint_to_follow():
    assert sorted([*EDITS, *LOOK_AT]) == sorted(EXAMPLES)


@pytest.mark.parametrize("code", EDITS)
def test_config_that_follows_the_hint_has_no_problem(check, code):
    text = EXAMPLES[code]
    if code == "duplicate-name":  # the first of two equal texts
        text = text.replace("{type: Dense, name: a", "{type: Dense,  name: a", 1)
    before, after = follow_hint(check, text, code, EDITS[code])
    assert code in before
    assert after == []


@pytest.mark.parametrize("code", LOOK_AT)
def test_hint_without_a_certain_change_says_what_to_look_at(check, code):
    assert any(LOOK_AT[code] in (problem.hint or "") for problem in check(EXAMPLES[code]))


@pytest.mark.parametrize(("text", "edit"), MORE.values(), ids=MORE)
def test_other_config_that_follows_its_hint_has_no_problem(check, text, edit):
    before, after = follow_hint(check, text, None, edit)
    assert before != []
    assert after == []

"""Common errors: each is reported at its line, and its hint fixes it."""

from pathlib import Path

import pytest

from layercli.check import check_config
from layercli.config.config import Config
from layercli.config.model import ModelSection
from layercli.config.training.section import TrainSection

DIGITS = "data: {type: sklearn, dataset: digits}\n"
IMAGES = "data: {type: sklearn, dataset: digits, shape: [8, 8, 1]}\n"
CANCER = "data: {type: sklearn, dataset: breast_cancer}\n"
DIABETES = "data: {type: sklearn, dataset: diabetes}\n"


@pytest.fixture
def problems(tmp_path):
    """Return the code, line, message and hint of every problem in a text."""

    def problems(text):
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return [
            (found.code, found.line, found.message, found.hint) for found in check_config(str(path)).problems
        ]

    return problems


def model(shape, *layers):
    """Return a model section. At the top of a file, its input is on line 2 and its layers start on line 4."""
    declared = f"  input: {shape}\n" if shape else "  # the data determines the input\n"
    return "model:\n" + declared + "  layers:\n" + "".join(f"    - {layer}\n" for layer in layers)


def dense(units, activation=None):
    return f"{{type: Dense, units: {units}{f', activation: {activation}' if activation else ''}}}"


def loss(name, metrics="[]"):
    return (
        f"train: {{loss: {name}, metrics: {metrics}}}\n" if metrics != "[]" else f"train: {{loss: {name}}}\n"
    )


LSTM = "{type: LSTM, units: 4}"
LSTM_EXPECTS = "LSTM expects sequences of shape (batch, timesteps, features), rank 3, got"
CONV2D = "{type: Conv2D, filters: 4, kernel_size: 3}"
CONV2D_EXPECTS = "Conv2D expects images of shape (batch, height, width, channels), rank 4, got"
CONV1D = "{type: Conv1D, filters: 4, kernel_size: 3}"
LAST_STEP = "Without it, the layer returns only the last timestep."

SHAPES = {
    "a second LSTM": (
        model("[8, 8]", LSTM, LSTM),
        (
            5,
            f"{LSTM_EXPECTS} (None, 4). The input comes from `lstm` (line 4).",
            f"Set `return_sequences: true` on `lstm` (line 4). {LAST_STEP}",
        ),
        ("units: 4}\n    - {type: LSTM", "units: 4, return_sequences: true}\n    - {type: LSTM"),
    ),
    "a convolution after an LSTM": (
        model("[8, 8]", LSTM, CONV1D),
        (
            5,
            "Conv1D expects sequences of shape (batch, steps, channels), rank 3, got (None, 4). The input "
            "comes from `lstm` (line 4).",
            f"Set `return_sequences: true` on `lstm` (line 4). {LAST_STEP}",
        ),
        ("units: 4}", "units: 4, return_sequences: true}"),
    ),
    "a second LSTM behind a Dropout": (
        model("[8, 8]", "{type: GRU, units: 4}", "{type: Dropout, rate: 0.5}", "BatchNormalization", LSTM),
        (
            7,
            f"{LSTM_EXPECTS} (None, 4). The input comes from `batch_normalization` (line 6).",
            f"Set `return_sequences: true` on `gru` (line 4). {LAST_STEP}",
        ),
        ("GRU, units: 4}", "GRU, units: 4, return_sequences: true}"),
    ),
    "an LSTM after a Bidirectional one": (
        model("[8, 8]", "{type: Bidirectional, layer: {type: GRU, units: 4}}", LSTM),
        (
            5,
            f"{LSTM_EXPECTS} (None, 8). The input comes from `bidirectional` (line 4).",
            f"Set `return_sequences: true` on the GRU inside `bidirectional` (line 4). {LAST_STEP}",
        ),
        ("GRU, units: 4}", "GRU, units: 4, return_sequences: true}"),
    ),
    "a Bidirectional LSTM after an LSTM": (
        model("[8, 8]", LSTM, "{type: Bidirectional, layer: {type: GRU, units: 4}}"),
        (
            5,
            "GRU expects sequences of shape (batch, timesteps, features), rank 3, got (None, 4). The "
            "input comes from `lstm` (line 4).",
            f"Set `return_sequences: true` on `lstm` (line 4). {LAST_STEP}",
        ),
        ("LSTM, units: 4}", "LSTM, units: 4, return_sequences: true}"),
    ),
    "a layer after states": (
        model("[8, 8]", "{type: LSTM, units: 4, return_state: true}", dense(3)),
        (
            5,
            "Dense expects one input, got 3.",
            "Remove `return_state` from `lstm` (line 4). With it, the layer also returns its states.",
        ),
        (", return_state: true", ""),
    ),
    "Conv2D on an image without channels": (
        model("[8, 8]", CONV2D),
        (
            4,
            f"{CONV2D_EXPECTS} (None, 8, 8). That is the model input.",
            "Add a channel axis: declare `model.input: [8, 8, 1]`, or put {type: Reshape, target_shape: [8, "
            "8, 1]} before "
            "Conv2D.",
        ),
        ("[8, 8]", "[8, 8, 1]"),
    ),
    "Conv2D on an image of any size without channels": (
        model("[null, null]", CONV2D),
        (
            4,
            f"{CONV2D_EXPECTS} (None, None, None). That is the model input.",
            "Add a channel axis: declare `model.input: [null, null, 1]`.",  # Reshape infers one axis
        ),
        ("[null, null]", "[null, null, 1]"),
    ),
    "Conv2D on data without channels": (
        IMAGES.replace(", 1]", "]") + model("", CONV2D, "Flatten"),
        (
            5,
            f"{CONV2D_EXPECTS} (None, 8, 8). That is the model input.",
            "Add a channel axis: put {type: Reshape, target_shape: [8, 8, 1]} before Conv2D.",
        ),
        ("    - {type: Conv2D", "    - {type: Reshape, target_shape: [8, 8, 1]}\n    - {type: Conv2D"),
    ),
    "Conv2D on a sequence from a layer": (
        model("[8, 8]", CONV1D, CONV2D),
        (
            5,
            f"{CONV2D_EXPECTS} (None, 6, 4). The input comes from `conv1d` (line 4).",
            "Add a channel axis: put {type: Reshape, target_shape: [6, 4, 1]} before Conv2D.",
        ),
        ("    - {type: Conv2D", "    - {type: Reshape, target_shape: [6, 4, 1]}\n    - {type: Conv2D"),
    ),
    "Conv2D on a vector": (
        model("[64]", CONV2D),
        (
            4,
            f"{CONV2D_EXPECTS} (None, 64). That is the model input.",
            "Declare `model.input: [height, width, channels]`, or put {type: Reshape, target_shape: [height, "
            "width, "
            "channels]} before Conv2D, where height x width x channels is 64.",
        ),
        ("[64]", "[8, 8, 1]"),
    ),
    "Conv2D on a vector from a layer": (
        model("[8]", dense(64), CONV2D),
        (
            5,
            f"{CONV2D_EXPECTS} (None, 64). The input comes from `dense` (line 4).",
            "Put {type: Reshape, target_shape: [height, width, channels]} before Conv2D, where height x width "
            "x channels is "
            "64.",
        ),
        ("    - {type: Conv2D", "    - {type: Reshape, target_shape: [4, 4, 4]}\n    - {type: Conv2D"),
    ),
    "Conv2D behind Flatten": (
        model("[8, 8, 1]", "Flatten", CONV2D),
        (
            5,
            f"{CONV2D_EXPECTS} (None, 64). The input comes from `flatten` (line 4).",
            "Put Conv2D before `flatten` (line 4), which reduces each example to a vector.",
        ),
        (f"    - Flatten\n    - {CONV2D}\n", f"    - {CONV2D}\n    - Flatten\n"),
    ),
    "LSTM on a vector": (
        model("[64]", LSTM),
        (
            4,
            f"{LSTM_EXPECTS} (None, 64). That is the model input.",
            "For a time series, declare `model.input: [64, 1]`. For word indices, put Embedding before LSTM.",
        ),
        ("[64]", "[64, 1]"),
    ),
    "LSTM on indices": (
        model("{shape: [64], dtype: int32}", LSTM),
        (
            4,
            f"{LSTM_EXPECTS} (None, 64). That is the model input.",
            "Put {type: Embedding, input_dim: 10000, output_dim: 64} before LSTM. It maps each index to a "
            "vector.",
        ),
        ("    - ", "    - {type: Embedding, input_dim: 10000, output_dim: 64}\n    - "),
    ),
    "LSTM on a vector of data": (
        DIGITS + model("", LSTM),
        (
            5,
            f"{LSTM_EXPECTS} (None, 64). That is the model input.",
            "Add a feature axis: put {type: Reshape, target_shape: [64, 1]} before LSTM.",
        ),
        ("    - ", "    - {type: Reshape, target_shape: [64, 1]}\n    - "),
    ),
    "LSTM on a vector from a layer": (
        model("[64]", dense(8), LSTM),
        (
            5,
            f"{LSTM_EXPECTS} (None, 8). The input comes from `dense` (line 4).",
            "Add a feature axis: put {type: Reshape, target_shape: [8, 1]} before LSTM.",
        ),
        ("    - {type: LSTM", "    - {type: Reshape, target_shape: [8, 1]}\n    - {type: LSTM"),
    ),
    "LSTM on images": (
        model("[8, 8, 1]", LSTM),
        (
            4,
            f"{LSTM_EXPECTS} (None, 8, 8, 1). That is the model input.",
            "To flatten each timestep, use {type: TimeDistributed, layer: {type: Flatten}}.",
        ),
        ("    - ", "    - {type: TimeDistributed, layer: {type: Flatten}}\n    - "),
    ),
    "a convolution of each timestep, without channels": (
        model("[5, 8, 8]", f"{{type: TimeDistributed, layer: {CONV2D}}}"),
        (
            4,
            f"TimeDistributed passes one timestep at a time to its layer, (None, 8, 8): {CONV2D_EXPECTS} (None, "
            f"8, 8).",
            "Add a channel axis: declare `model.input: [5, 8, 8, 1]`, or put {type: Reshape, target_shape: "
            "[5, 8, 8, 1]} "
            "before TimeDistributed.",
        ),
        ("[5, 8, 8]", "[5, 8, 8, 1]"),
    ),
    "Conv1D on images": (
        model("[8, 8, 3]", CONV1D),
        (
            4,
            "Conv1D expects sequences of shape (batch, steps, channels), rank 3, got (None, 8, 8, 3). "
            "That is the model input.",
            "Put {type: Reshape, target_shape: [8, 24]} before Conv1D.",
        ),
        ("    - ", "    - {type: Reshape, target_shape: [8, 24]}\n    - "),
    ),
    "an input with its batch axis": (
        model("[null, 28, 28, 1]", CONV2D),
        (
            4,
            f"{CONV2D_EXPECTS} (None, None, 28, 28, 1). That is the model input.",
            "Remove the batch axis: `model.input: [28, 28, 1]`.",
        ),
        ("[null, 28, 28, 1]", "[28, 28, 1]"),
    ),
    "an input without axes": (
        model("[]", dense(3)),
        (
            4,
            "Dense expects vectors of shape (batch, ..., features), rank 2 or more, got (None,). That is "
            "the model input.",
            "Add a feature axis: declare `model.input: [1]`, or put {type: Reshape, target_shape: [1]} before "
            "Dense.",
        ),
        ("[]", "[1]"),
    ),
    "a Reshape that does not fit": (
        model("[8, 8, 1]", "{type: Reshape, target_shape: [7, 7]}"),
        (
            4,
            "Reshape cannot arrange 64 values in (7, 7): (7, 7) holds 49, and its input is (None, 8, 8, "
            "1). That is the model input.",
            "The axes of `target_shape` must multiply to 64; the batch axis does not count.",
        ),
        ("[7, 7]", "[16, 4]"),
    ),
    "a kernel larger than the image": (
        model("[8, 8, 1]", "{type: Conv2D, filters: 4, kernel_size: 9}"),
        (
            4,
            "Conv2D has a window of 9 x 9, but its input (None, 8, 8, 1) has only 8 x 8 positions. That is "
            "the model input.",
            "Use a smaller `kernel_size`, `padding: same`, or fewer shrinking layers before it.",
        ),
        ("kernel_size: 9", "kernel_size: 9, padding: same"),
    ),
    "one pooling too many": (
        model("[4, 4, 1]", "MaxPooling2D", "MaxPooling2D", "MaxPooling2D"),
        (
            6,
            "MaxPooling2D has a window of 2 x 2, but its input (None, 1, 1, 1) has only 1 x 1 positions. "
            "The input comes from "
            "`max_pooling2d_1` (line 5).",
            "Use a smaller `pool_size`, `padding: same`, or fewer shrinking layers before it.",
        ),
        ("    - MaxPooling2D\n", "", 1),
    ),
    "a cell on its own": (
        model("[8, 8]", "{type: LSTMCell, units: 4}"),
        (
            4,
            "LSTMCell is a cell, one timestep of a recurrent layer, and cannot be used as a layer.",
            "Use it inside RNN: {type: RNN, cell: {type: LSTMCell, ...}}.",
        ),
        ("{type: LSTMCell, units: 4}", "{type: RNN, cell: {type: LSTMCell, units: 4}}"),
    ),
}


@pytest.mark.parametrize(("text", "found", "fix"), SHAPES.values(), ids=SHAPES)
def test_layer_rejects_its_input(problems, text, found, fix):
    line, message, hint = found
    assert problems(text) == [("shape-mismatch", line, message, hint)]
    assert problems(text.replace(*fix)) == []


SOFTMAX_OF_ONE = (
    "softmax-of-one",
    5,
    "softmax over the single unit of `dense` is always 1, so the layer cannot learn.",
    "For two classes, use `activation: sigmoid` and the loss binary_crossentropy. For more classes, use "
    "one unit for each class.",
)
SPARSE, CATEGORICAL, BINARY, MSE = (
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
    "mean_squared_error",
)
SPREAD = (
    "Dense acts only on the last axis: `dense` returns one result for each position of its input "
    "(None, 8, 8, 1), so the model's output has shape (None, 8, 8, 10)"
)


def compared_with_labels(units, name=MSE):
    return (
        f"{name} compares the output with the target element by element, but the target has one label for each example and "
        f"the output has {units} units. Keras would compare each unit with the label without an error."
    )


AGREEMENT = {
    "fewer units than classes": (
        DIGITS + model("", dense(9, "softmax")) + loss(SPARSE),
        [
            (
                "wrong-units",
                5,
                "The data has 10 classes, but the model's output has 9 units.",
                "Set `units: 10` on the last layer.",
            )
        ],
        ("units: 9", "units: 10"),
    ),
    "no unit for each class": (
        DIGITS + model("", dense(16, "relu"), "{type: Dropout, rate: 0.1}") + loss(SPARSE),
        [
            (
                "wrong-units",
                6,
                "The data has 10 classes, but the model's output has 16 units.",
                "Add {type: Dense, units: 10} as the last layer.",
            )
        ],
        ("rate: 0.1}\n", "rate: 0.1}\n    - {type: Dense, units: 10, activation: softmax}\n"),
    ),
    "one unit for two classes": (
        CANCER + model("", dense(1, "sigmoid")) + loss(SPARSE),
        [
            (
                "wrong-units",
                5,
                "The data has 2 classes, but the model's output has 1 unit.",
                "Use `loss: binary_crossentropy` with 1 unit and sigmoid, or "
                "sparse_categorical_crossentropy with 2 units and softmax.",
            )
        ],
        (SPARSE, BINARY),
    ),
    "softmax over one unit": (
        CANCER + model("", dense(1, "softmax")) + loss(BINARY),
        [SOFTMAX_OF_ONE],
        ("softmax", "sigmoid"),
    ),
    "one-hot loss and wrong units": (
        DIGITS + model("", dense(3, "softmax")) + loss(CATEGORICAL),
        [
            (
                "wrong-units",
                5,
                "The data has 10 classes, but the model's output has 3 units.",
                "Set `units: 10` on the last layer.",
            )
        ],
        ("units: 3", "units: 10"),
    ),
    "a metric of labels beside a loss that makes them one-hot": (
        DIGITS + model("", dense(10, "softmax")) + loss(CATEGORICAL, "[sparse_categorical_accuracy]"),
        [
            (
                "wrong-metric",
                6,
                "SparseCategoricalAccuracy requires labels, but it receives one-hot targets, because the "
                "loss requires them.",
                "Use categorical_accuracy.",
            )
        ],
        ("sparse_categorical_accuracy", "categorical_accuracy"),
    ),
    "two-class loss for ten classes": (
        DIGITS + model("", dense(10, "softmax")) + loss(BINARY),
        [
            (
                "wrong-loss",
                6,
                "binary_crossentropy supports two classes, but the data has 10.",
                "Use `loss: sparse_categorical_crossentropy` with 10 units and softmax.",
            )
        ],
        (BINARY, SPARSE),
    ),
    "two-class loss on two units": (
        CANCER + model("", dense(2, "softmax")) + loss(BINARY),
        [
            (
                "wrong-loss",
                6,
                "binary_crossentropy requires an output of 1 unit for labels with one value for each "
                "example, but the output has 2 units.",
                "Use 1 unit and sigmoid, or `loss: sparse_categorical_crossentropy` with 2 units and "
                "softmax.",
            )
        ],
        (BINARY, SPARSE),
    ),
    "probabilities expected, none given": (
        DIGITS + model("", dense(10)) + loss(SPARSE),
        [
            (
                "logits-mismatch",
                5,
                "sparse_categorical_crossentropy requires probabilities, but the last layer has no "
                "activation.",
                "Add `activation: softmax` to the last layer, or set `loss: {type: "
                "SparseCategoricalCrossentropy, from_logits: true}`.",
            )
        ],
        (SPARSE, "{type: SparseCategoricalCrossentropy, from_logits: true}"),
    ),
    "no sigmoid for two classes": (
        CANCER + model("", dense(1)) + loss(BINARY),
        [
            (
                "logits-mismatch",
                5,
                "binary_crossentropy requires probabilities, but the last layer has no activation.",
                "Add `activation: sigmoid` to the last layer, or set `loss: {type: BinaryCrossentropy, "
                "from_logits: true}`.",
            )
        ],
        ("units: 1", "units: 1, activation: sigmoid"),
    ),
    "probabilities given, logits expected": (
        CANCER + model("", dense(1, "sigmoid")) + loss("{type: BinaryCrossentropy, from_logits: true}"),
        [
            (
                "logits-mismatch",
                5,
                "The loss has `from_logits: true`, but the last layer already applies sigmoid.",
                "Remove the activation or `from_logits`.",
            )
        ],
        (", activation: sigmoid", ""),
    ),
    "relu before a crossentropy": (
        DIGITS + model("", dense(10, "relu")) + loss(SPARSE),
        [
            (
                "logits-mismatch",
                5,
                "sparse_categorical_crossentropy requires probabilities, but the last layer applies relu.",
                "Use `activation: softmax`.",
            )
        ],
        ("relu", "softmax"),
    ),
    "sigmoid for one class of many": (
        DIGITS + model("", dense(10, "sigmoid")) + loss(SPARSE),
        [
            (
                "activation-mismatch",
                5,
                "sparse_categorical_crossentropy requires exactly one correct class, but sigmoid allows "
                "several active units.",
                "Use `activation: softmax`.",
            )
        ],
        ("sigmoid", "softmax"),
    ),
    "softmax for labels that may hold together": (
        model("[4]", dense(3, "softmax")) + loss(BINARY),
        [
            (
                "activation-mismatch",
                4,
                "binary_crossentropy evaluates each unit separately, but softmax allows only one active "
                "unit.",
                "Use `activation: sigmoid`. If each example has exactly one class, use a different loss.",
            )
        ],
        ("softmax", "sigmoid"),
    ),
    "one unit for a categorical loss, without data": (
        model("[4]", dense(1, "sigmoid")) + loss(CATEGORICAL),
        [
            (
                "wrong-loss",
                5,
                "categorical_crossentropy requires one unit for each class, but the model's output has 1 "
                "unit.",
                "For two classes, use binary_crossentropy. For more classes, use one unit for each class.",
            )
        ],
        (CATEGORICAL, BINARY),
    ),
    "a number under a crossentropy": (
        DIABETES + model("", dense(1)) + loss(BINARY),
        [
            (
                "wrong-loss",
                6,
                "binary_crossentropy compares classes, but the target is a number.",
                "Use `loss: mean_squared_error` or a different loss for numbers.",
            )
        ],
        (BINARY, MSE),
    ),
    "three units for one number": (
        DIABETES + model("", dense(3)) + loss("mse"),
        [
            (
                "wrong-units",
                5,
                "The target is one number, but the model's output has 3 units.",
                "Set `units: 1` on the last layer.",
            )
        ],
        ("units: 3", "units: 1"),
    ),
    "labels against an output of three under MSE": (
        "data: {type: sklearn, dataset: iris}\n" + model("", dense(3, "softmax")) + loss("mse"),
        [
            (
                "wrong-loss",
                6,
                compared_with_labels(3),
                "For classes, use `loss: sparse_categorical_crossentropy` with 3 units and softmax.",
            )
        ],
        ("mse", SPARSE),
    ),
    "labels under a divergence": (
        DIGITS + model("", dense(10, "softmax")) + loss("kl_divergence"),
        [
            (
                "wrong-loss",
                6,
                compared_with_labels(10, "kl_divergence"),
                "For classes, use `loss: sparse_categorical_crossentropy` with 10 units and softmax.",
            )
        ],
        ("kl_divergence", SPARSE),
    ),
    "labels taken for amounts": (
        DIGITS + model("", dense(1)) + loss("mse"),
        [
            (
                "wrong-loss",
                6,
                "mean_squared_error treats the class labels 0-9 as quantities.",
                "For classes, use `loss: sparse_categorical_crossentropy` with 10 units and softmax.",
            )
        ],
        (f"units: 1}}\n{loss('mse')}", f"units: 10, activation: softmax}}\n{loss(SPARSE)}"),
    ),
    "a squashed number": (
        DIABETES + model("", dense(1, "sigmoid")) + loss("mse"),
        [
            (
                "squashed-output",
                5,
                "The target has values from 25 to 346, but sigmoid limits the output to values between 0 "
                "and 1.",
                "Remove the activation of the last layer.",
            )
        ],
        (", activation: sigmoid", ""),
    ),
    "Dense straight on images": (
        IMAGES + model("", dense(10, "softmax")) + loss(SPARSE),
        [
            (
                "dense-on-positions",
                5,
                f"{SPREAD}, but the target has one value for each example.",
                "Put Flatten or GlobalAveragePooling2D before `dense`.",
            )
        ],
        ("    - ", "    - Flatten\n    - "),
    ),
    "Dense straight on images, without data": (
        model("[8, 8, 1]", dense(10, "softmax")),
        [
            (
                "dense-on-positions",
                4,
                f"{SPREAD}.",
                "Put Flatten or GlobalAveragePooling2D before `dense`.",
            )
        ],
        ("    - ", "    - GlobalAveragePooling2D\n    - "),
    ),
    "a sequence out, one label in": (
        IMAGES.replace(", 1]", "]")
        + model("", "{type: LSTM, units: 10, return_sequences: true, activation: softmax}")
        + loss(SPARSE),
        [
            (
                "target-mismatch",
                5,
                "The model's output has shape (None, 8, 10), but the target has one value for each example.",
                "Set `return_sequences: false` to return only the last timestep.",
            )
        ],
        ("return_sequences: true", "return_sequences: false"),
    ),
    "a layer of two outputs at the end": (
        IMAGES.replace(", 1]", "]")
        + model("", "{type: GRU, units: 10, activation: softmax, return_state: true}")
        + loss(SPARSE),
        [
            (
                "shape-mismatch",
                5,
                "An output of a model that is trained must be one tensor, but `gru` returns 2.",
                "Write `outputs: gru:0` in `model` to train its first output.",
            )
        ],
        (", return_state: true", ""),
    ),
    "images out, one label in": (
        IMAGES + model("", "{type: Conv2D, filters: 10, kernel_size: 3, activation: softmax}") + loss(SPARSE),
        [
            (
                "target-mismatch",
                5,
                "The model's output has shape (None, 6, 6, 10), but the target has one value for each "
                "example.",
                "Put Flatten or GlobalAveragePooling2D before the last layer.",
            )
        ],
        None,
    ),
    "an input that is not the data's": (
        DIGITS + model("[8, 8, 1]", "Flatten", dense(10)),
        [
            (
                "input-mismatch",
                3,
                "`model.input` declares shape (8, 8, 1), but an example of the data has shape (64,).",
                "Set `shape: [8, 8, 1]` under `data:`, or `input: [64]` here.",
            )
        ],
        ("digits}", "digits, shape: [8, 8, 1]}"),
    ),
    "an input of another size than the data's": (
        DIGITS + model("[32]", dense(10)),
        [
            (
                "input-mismatch",
                3,
                "`model.input` declares shape (32,), but an example of the data has shape (64,).",
                "Set `input: [64]`, or remove `input`.",
            )
        ],
        ("[32]", "[64]"),
    ),
}


@pytest.mark.parametrize(("text", "found", "fix"), AGREEMENT.values(), ids=AGREEMENT)
def test_inconsistent_model_data_and_training(problems, text, found, fix):
    assert problems(text) == found
    if fix is not None:
        assert problems(text.replace(*fix)) == []


@pytest.mark.parametrize("name", ["CategoricalGeneralizedCrossEntropy", "sparse_categorical_crossentropy"])
def test_integer_label_losses_accept_integer_labels(problems, name):
    assert problems(DIGITS + model("", dense(10, "softmax")) + loss(name)) == []


def test_output_per_timestep_is_allowed(problems):
    assert problems(model("[8, 4]", "{type: LSTM, units: 4, return_sequences: true}", dense(3))) == []


MISSPELT = {
    "a type": (
        "{type: Dens, units: 3}",
        ("unknown-type", 'There is no layer "Dens".', "Did you mean `Dense`?"),
    ),
    "a type without its rank": (
        "{type: Conv, units: 3}",
        ("unknown-type", 'There is no layer "Conv".', "Write `Conv1D` or `Conv2D` or `Conv3D`."),
    ),
    "a type that does not exist": (
        "Foo",
        (
            "unknown-type",
            'There is no layer "Foo".',
            "Known names: Dense, Embedding, EinsumDense, ReversibleEmbedding, Identity, Masking, "
            "Activation, ReLU, LeakyReLU, PReLU, ELU, Softmax and others.",
        ),
    ),
    "a type that runs code": (
        "{type: Lambda, function: x}",
        (
            "refused-type",
            "Lambda is not available in a config: it carries code.",
            "Write a custom layer class and name it as `type: my_layers.py:MyLayer`.",
        ),
    ),
    "class_name": (
        "{class_name: Dense, config: {units: 3}}",
        (
            "missing-key",
            "The layer is missing `type`.",
            "Write {type: Dense, units: 3} instead of `class_name` and `config`.",
        ),
    ),
    "kind": (
        "{activation: relu, kind: lstm, units: 3}",
        ("missing-key", "The layer is missing `type`.", "Write `type: LSTM` instead of `kind`."),
    ),
    "no type": ("{units: 3}", ("missing-key", "The layer is missing `type`.", "For example {type: Dense}.")),
    "a required key, once": (
        "{type: Dense, unit: 3}",
        ("unknown-key", 'Dense has no argument "unit".', "Did you mean `units`?"),
    ),
    "a key": (
        "{type: Dense, units: 3, activaton: relu}",
        ("unknown-key", 'Dense has no argument "activaton".', "Did you mean `activation`?"),
    ),
    "the key `name`": (
        "{type: Dense, units: 3, nam: x}",
        ("unknown-key", 'Dense has no argument "nam".', "Did you mean `name`?"),
    ),
    "a key from Keras that stands elsewhere": (
        "{type: Dense, units: 3, input_shape: [4]}",
        (
            "unknown-key",
            'Dense has no argument "input_shape".',
            "Remove it, and declare the input's shape once, as `model.input`, without the batch axis.",
        ),
    ),
    "an activation": (
        "{type: Dense, units: 3, activation: rulu}",
        ("unknown-type", 'There is no activation "rulu".', "Did you mean `relu`?"),
    ),
    "a required key, missing": (
        "Dense",
        (
            "missing-key",
            "Dense needs `units`: size of the output's last axis.",
            "Add `units: 64`, for example.",
        ),
    ),
    "a call with its module": (
        "keras.layers.Dense(3, activation='relu')",
        (
            "unknown-type",
            """There is no layer "Dense(3, activation='relu')".""",
            "Write {type: Dense, units: 3, activation: relu}.",
        ),
    ),
    "a call in add": (
        "model.add(Dense(3))",
        ("unknown-type", 'There is no layer "model.add(Dense(3))".', "Write {type: Dense, units: 3}."),
    ),
    "a call without constants": (
        "Dense(units)",
        (
            "unknown-type",
            'There is no layer "Dense(units)".',
            "Write {type: Dense, ...}, with each argument as a key.",
        ),
    ),
    "a type as key": (
        "Dense: {units: 3, activation: relu}",
        (
            "missing-key",
            'Layer is missing `type`; "Dense" was used as a key.',
            "Write {type: Dense, units: 3, activation: relu}.",
        ),
    ),
    "a misspelt type as key": (
        "Dens: {units: 3}",
        (
            "missing-key",
            'Layer is missing `type`; "Dens" was used as a key.',
            "Write {type: Dense, units: 3}.",
        ),
    ),
    "a type as key beside others": (
        "{name: x, Dense: {units: 3}}",
        (
            "missing-key",
            'Layer is missing `type`; "Dense" was used as a key.',
            "Write {type: Dense, name: x, units: 3}.",
        ),
    ),
    "a list": (
        "[Dense]",
        (
            "wrong-type",
            'A layer must be a type or a mapping such as {type: Dense, units: 10}, got ["Dense"].',
            None,
        ),
    ),
    "a name of two words": (
        "{type: Dense, units: 3, name: a b}",
        (
            "bad-name",
            "`name` must be a layer name of at most 250 letters, digits, `_`, `-` and dots that starts "
            'with a letter or digit, got "a b".',
            "For example `name: head`.",
        ),
    ),
    "a reserved name": (
        "{type: Dense, units: 3, name: input}",
        ("bad-name", "`name` must not be the reserved word `input`.", "For example `name: input_layer`."),
    ),
    "negative units": (
        "{type: Dense, units: -3}",
        ("out-of-range", "`units` must be a positive integer, got -3.", "For example `units: 64`."),
    ),
    "a rate in percent": (
        "{type: Dropout, rate: 50}",
        ("out-of-range", "`rate` must be a number between 0 and 1, got 50.", "For example `rate: 0.5`."),
    ),
    "a switch as in YAML 1.1": (
        "{type: Dense, units: 3, use_bias: no}",
        ("wrong-type", '`use_bias` must be true or false, got the string "no".', "Write `use_bias: false`."),
    ),
    "parameters without a block": (
        "{type: Dense, units: 3, with: {units: 2}}",
        (
            "unknown-key",
            "`with` is only valid for a block, but this entry is a layer.",
            "Write the layer's arguments next to its `type`.",
        ),
    ),
}


@pytest.mark.parametrize(("layer", "found"), MISSPELT.values(), ids=MISSPELT)
def test_malformed_layer(problems, layer, found):
    code, message, hint = found
    assert problems(model("[4]", layer)) == [(code, 4, message, hint)]


@pytest.mark.parametrize("layer", ["Dense: {units: 3, activation: relu}", "{name: x, Dense: {units: 3}}"])
def test_hint_for_type_as_key_can_be_copied(problems, layer):
    ((_, _, _, hint),) = problems(model("[4]", layer))
    assert problems(model("[4]", hint.removeprefix("Write ").removesuffix("."))) == []


def test_duplicate_layer_name_reports_both_lines(problems):
    text = model("[4]", "{type: Dense, units: 3, name: a}", "Flatten", "{type: Dense, units: 3, name: a}")
    message = "Two layers are named `a`: this one and the one at line 4."
    assert problems(text) == [("duplicate-name", 6, message, "Rename one of them.")]


def test_explicit_name_is_not_generated_again(problems):
    assert problems(model("[4]", dense(3), "{type: Dense, units: 3, name: dense}", dense(3))) == []


EXAMPLE = "For example `input: [28, 28, 1]`, without the batch axis."
SIZES = "Invalid size: expected a positive integer or null, got"


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ("4", ("wrong-type", "Expected a list of sizes, got 4.", "Write `[4]`.")),
        (
            "(28, 28)",
            ("wrong-type", 'Expected a list of sizes, got "(28, 28)".', "Write `[28, 28]`."),
        ),
        ("28x28", ("wrong-type", 'Expected a list of sizes, got "28x28".', "Write `[28, 28]`.")),
        ("-1", ("wrong-type", "Expected a list of sizes, got -1.", EXAMPLE)),
        ("{shape: 4}", ("wrong-type", "Expected a list of sizes, got 4.", "Write `[4]`.")),
        ("[4.5]", ("wrong-type", f"{SIZES} 4.5.", EXAMPLE)),
        ("[0]", ("out-of-range", f"{SIZES} 0.", EXAMPLE)),
        (
            "[-1, 4]",
            (
                "out-of-range",
                f"{SIZES} -1.",
                "Remove the batch axis. For another axis of any length, write null.",
            ),
        ),
        (
            "[9999999999]",
            (
                "out-of-range",
                "Invalid size: expected a positive integer of at most 2,147,483,647 or null, got 9999999999.",
                EXAMPLE,
            ),
        ),
        (
            "[1, 1, 1, 1, 1, 1, 1, 1, 1]",
            (
                "out-of-range",
                "Expected at most 8 axes, the limit of TensorFlow's layers, got 9.",
                "Merge some axes.",
            ),
        ),
        ("{shap: [4]}", ("unknown-key", 'An input has no key "shap".', "Did you mean `shape`?")),
        (
            "{dtype: int32}",
            (
                "missing-key",
                "An input needs `shape`: shape of one example, without the batch axis; null: any length.",
                "Add `shape: [28, 28, 1]`, for example.",
            ),
        ),
        (
            "{shape: [4], dtype: float}",
            (
                "unknown-value",
                "`dtype` must be one of float32, float16, bfloat16, float64, int8, int16, int32, int64, "
                'uint8, uint16, uint32, uint64, bool, string, got "float".',
                "Did you mean `float32`?",
            ),
        ),
    ],
)
def test_input_that_is_not_a_shape(problems, shape, found):
    code, message, hint = found
    assert problems(model(shape, dense(3))) == [(code, 2, message, hint)]


NO_INPUT = (
    "missing-key",
    "`model.input` is required: the shape of one example, without the batch axis.",
    "Add `input: [28, 28, 1]`, for example.",
)


def test_missing_input(problems):
    code, message, hint = NO_INPUT
    text = model("", "Flatten")
    assert problems(text) == [(code, 1, message, hint)]
    assert problems(text.replace("  #", "  input: [28, 28, 1]  #")) == []


def test_missing_input_with_a_second_error(problems):
    assert [(code, line) for code, line, _, _ in problems(model("", "Dens"))] == [
        ("missing-key", 1),
        ("unknown-type", 4),
    ]


def test_missing_input_is_not_reported_with_invalid_data(problems):
    found = problems("data: {type: sklearn, dataset: digit}\n" + model("", dense(3)))
    assert [(code, line) for code, line, _, _ in found] == [("unknown-value", 1)]


DASH = "Start each layer with a dash, as in `- {type: Dense, units: 10}`."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "model: {input: [4], layers: []}",
            (
                "empty",
                1,
                "`layers` must contain at least one layer, got an empty list.",
                "Add `- {type: Dense, units: 10}`.",
            ),
        ),
        (
            "model:\n  input: [4]\n  layers:\n    type: Dense\n    units: 3",
            ("wrong-type", 3, "`layers` must be a list, got a mapping.", DASH),
        ),
        (
            "model: {input: [4], layers: Dense}",
            ("wrong-type", 1, '`layers` must be a list, got "Dense".', DASH),
        ),
        ("model:\n  input: [4]\n  layers:", ("wrong-type", 3, "`layers` must be a list, got null.", DASH)),
        (
            "model: {input: [4]}",
            (
                "missing-key",
                1,
                "`model` needs `layers`: the stack of layers.",
                "Add `layers: [{type: Dense, units: 10}]`, for example.",
            ),
        ),
        (
            "name: x",
            (
                "missing-key",
                1,
                "A config needs `model`: the layers.",
                "Add `model: {input: [4], layers: [...]}`, for example.",
            ),
        ),
    ],
)
def test_model_without_layers(problems, text, found):
    assert problems(text) == [found]


@pytest.mark.parametrize(
    ("line", "key", "hint"),
    [
        ("epochs: 3", "epochs", "It belongs under `train:`."),
        ("layers: []", "layers", "It belongs under `model:`."),
        ("dataset: digits", "dataset", "It belongs under `data:`."),
        ("target: y", "target", "It belongs under `data:`."),
        (
            "learning_rate: 0.1",
            "learning_rate",
            "It belongs to the optimizer: `train: {optimizer: {type: Adam, learning_rate: 0.001}}`.",
        ),
        ("modell: 3", "modell", "Did you mean `model`?"),
        (
            "graphics: {}",
            "graphics",
            "A config takes `model`, `name`, `seed`, `data`, `train`, `extends`, `vars`, `blocks`.",
        ),
    ],
)
def test_key_at_wrong_level(problems, line, key, hint):
    assert problems(model("[4]", dense(3)) + line) == [
        ("unknown-key", 5, f'A config has no key "{key}".', hint)
    ]


@pytest.mark.parametrize(
    ("section", "other", "place"),
    [
        (TrainSection, ModelSection, "under `model:`"),
        (ModelSection, TrainSection, "under `train:`"),
        (Config, ModelSection, "under `model:`"),
        (Config, TrainSection, "under `train:`"),
        (ModelSection, Config, "next to `model:`"),
        (TrainSection, Config, "next to `train:`"),
    ],
)
def test_every_key_of_another_section_has_a_hint(section, other, place):
    keys = other.model_fields.keys() - section.model_fields.keys()
    itself = {ModelSection: "model", TrainSection: "train"}.get(section)
    assert [key for key in keys if key != itself and place not in section.hints[key]] == []


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("epochs", "It belongs under `train:`."),
        ("name", "The model's name is the config's `name`, next to `model:`."),
        ("layer", "Did you mean `layers`?"),
        (
            "graphics",
            "`model` takes `layers`, `input`, `inputs`, `outputs`, `dtype`, `weights`, `freeze`, `lora_rank`.",
        ),
    ],
)
def test_unknown_model_key(problems, key, hint):
    text = model("[4]", dense(3)) + f"  {key}: 3"
    assert problems(text) == [("unknown-key", 5, f'`model` has no key "{key}".', hint)]


@pytest.mark.parametrize(
    ("section", "found"),
    [
        (
            "data: digits",
            (
                "wrong-type",
                '`data` must be a mapping with a `type`, got "digits".',
                "For example `data: {type: sklearn, dataset: digits}`.",
            ),
        ),
        (
            "data: {dataset: digits}",
            (
                "missing-key",
                "`data` is missing `type`.",
                "For example `data: {type: sklearn, dataset: digits}`.",
            ),
        ),
        (
            "data: {type: sklearn, dataset: digit}",
            (
                "unknown-value",
                '`dataset` must be one of digits, iris, wine, breast_cancer, diabetes, got "digit".',
                "Did you mean `digits`?",
            ),
        ),
        (
            "data: {type: sklearn, dataset: digits, shape: [8, 7]}",
            (
                "bad-argument",
                "An example of digits has 64 features, but the shape (8, 7) has 56.",
                "The sizes must multiply to 64, as in `shape: [8, 8, 1]`.",
            ),
        ),
        (
            "data: {type: sklearn, dataset: digits, split: {validation: 0.6, test: 0.5}}",
            (
                "bad-argument",
                "validation and test must sum to less than 1, got 1.1: no training examples remain.",
                "Reduce validation or test.",
            ),
        ),
        (
            "data: {type: sklearn, dataset: digits, split: {train: 0.8}}",
            (
                "unknown-key",
                '`split` has no key "train".',
                "Remove it: the training set contains all remaining examples, or the files of `path`.",
            ),
        ),
        (
            "data: {type: sklearn, dataset: iris, split: {validation: 100, test: 50}}",
            (
                "bad-argument",
                "iris has 150 examples; 100 for validation and 50 for testing leave none for training.",
                "Use smaller fractions, such as `split: {validation: 0.1, test: 0.1}`.",
            ),
        ),
    ],
)
def test_malformed_data_section(problems, section, found):
    code, message, hint = found
    assert problems(f"{section}\n" + model("[4]", dense(3))) == [(code, 1, message, hint)]


@pytest.mark.parametrize(
    ("section", "found"),
    [
        (
            "{loss: sparse_categorical_crosentropy}",
            (
                "unknown-type",
                'There is no loss "sparse_categorical_crosentropy".',
                "Did you mean `SparseCategoricalCrossentropy`?",
            ),
        ),
        (
            "{loss: mse, optimizer: adm}",
            ("unknown-type", 'There is no optimizer "adm".', "Did you mean `Adam`?"),
        ),
        (
            "{loss: mse, metrics: [acuracy]}",
            ("unknown-type", 'There is no metric "acuracy".', "Did you mean `accuracy`?"),
        ),
        (
            "{loss: mse, metrics: accuracy}",
            (
                "wrong-type",
                "`metrics` must be a list of metrics or a mapping of outputs to lists of metrics, got the "
                'string "accuracy".',
                "Write `metrics: [accuracy]`.",
            ),
        ),
        ("{loss: mse, epoch: 3}", ("unknown-key", '`train` has no key "epoch".', "Did you mean `epochs`?")),
        ("{los: mse}", ("unknown-key", '`train` has no key "los".', "Did you mean `loss`?")),
        (
            "{loss: mse, learning_rate: 0.1}",
            (
                "unknown-key",
                '`train` has no key "learning_rate".',
                "It belongs to the optimizer: `optimizer: {type: Adam, learning_rate: 0.1}`.",
            ),
        ),
        (
            "{loss: mse, validation_split: 0.1}",
            (
                "unknown-key",
                '`train` has no key "validation_split".',
                "Remove it, and write `split: {validation: 0.1}` in `data`.",
            ),
        ),
        (
            "{loss: mse, batch_size: 0}",
            (
                "out-of-range",
                "`batch_size` must be a positive integer or auto, got 0.",
                "For example `batch_size: 32`.",
            ),
        ),
        (
            "{epochs: 3}",
            (
                "missing-key",
                "`train` needs `loss`: the loss that training minimizes.",
                "Add `loss: sparse_categorical_crossentropy`, for example.",
            ),
        ),
        (
            "{loss: mse, optimizer: {type: Adam, lr: 0.1}}",
            ("unknown-key", 'Adam has no argument "lr".', "Keras calls it `learning_rate`."),
        ),
    ],
)
def test_malformed_train_section(problems, section, found):
    code, message, hint = found
    assert problems(model("[4]", dense(3)) + f"train: {section}\n") == [(code, 5, message, hint)]


def test_every_section_is_reported_in_one_run(problems):
    text = "nme: x\ndata: {type: sklearn, dataset: digit}\n" + model(
        "[4]", "{type: Dense, unit: 3}", "Dens", LSTM
    )
    found = problems(text + "train: {los: mse, epochs: 0}\nseed: -1\n")
    assert [(code, line) for code, line, _, _ in found] == [
        ("unknown-key", 1),
        ("unknown-value", 2),
        ("unknown-key", 6),
        ("unknown-type", 7),
        ("unknown-key", 9),
        ("out-of-range", 9),
        ("out-of-range", 10),
    ]


def lines_of(found):
    return [line for code, line, _, _ in found if code == "shape-mismatch"]


def test_independent_shape_errors_are_all_reported(problems):
    text = model("[8, 8, 1]", "{type: Conv2D, filters: 2, kernel_size: 9}", "Flatten", dense(3), CONV2D)
    found = problems(text)
    assert lines_of(found) == [4, 7]
    assert found[1][2] == f"{CONV2D_EXPECTS} (None, 3). The input comes from `dense` (line 6)."


def test_every_recurrent_layer_without_sequences_is_named(problems):
    found = problems(
        model("[8, 8]", LSTM, "{type: Dropout, rate: 0.1}", LSTM, "{type: Dropout, rate: 0.1}", LSTM)
    )
    assert [(line, hint) for _, line, _, hint in found] == [
        (6, f"Set `return_sequences: true` on `lstm` (line 4). {LAST_STEP}"),
        (8, f"Set `return_sequences: true` on `lstm_1` (line 6). {LAST_STEP}"),
    ]


@pytest.mark.parametrize(
    "layers",
    [
        (CONV2D, CONV2D, "MaxPooling2D", "Flatten", dense(3)),
        (CONV2D, "MaxPooling1D", "Flatten", dense(3)),
        ("{type: Reshape, target_shape: [7, 7]}", "Flatten", "{type: Reshape, target_shape: [64]}", dense(3)),
    ],
)
def test_consequential_errors_are_not_reported(problems, layers):
    assert lines_of(problems(model("[8, 8]", *layers))) == [4]


def test_malformed_layer_causes_no_second_error(problems):
    found = problems(model("[8, 8]", "{type: LSTM, units: 3, return_sequence: true}", LSTM, CONV1D))
    assert [(code, line) for code, line, _, _ in found] == [("unknown-key", 4), ("shape-mismatch", 6)]


def test_malformed_units_are_not_compared_with_data(problems):
    found = problems(DIGITS + model("", "{type: Dense, unit: 10, activation: softmax}") + loss(SPARSE))
    assert [(code, line) for code, line, _, _ in found] == [("unknown-key", 5)]


def test_shape_error_and_malformed_layer_are_both_reported(problems):
    found = problems(model("[8]", LSTM, "{type: Dense, unit: 3}"))
    assert [(code, line) for code, line, _, _ in found] == [("shape-mismatch", 4), ("unknown-key", 5)]


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[1].glob("configs/*.yaml")), ids=lambda path: path.stem
)
def test_examples_have_no_problems(path):
    assert check_config(str(path)).problems == []


def test_accuracy_of_numeric_target_is_a_warning(problems):
    text = DIABETES + model(None, dense(1)) + "train: {loss: mse, metrics: [mae, accuracy]}\n"
    assert problems(text) == [
        (
            "wrong-metric",
            6,
            "accuracy counts correct classes, but the target is a number. The metric will be near 0.",
            "Use mean_absolute_error or R2Score.",
        )
    ]


def test_layers_of_equal_names_are_numbered():
    text = "model:\n  input: [4]\n  layers:\n" + "    - {type: Dense, name: a, units: 3}\n" * 2
    assert [row.node.name for row in check_config("c.yaml", text=text).shapes.rows] == ["a", "a (layer 2)"]

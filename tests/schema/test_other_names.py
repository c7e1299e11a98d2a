"""Names of Keras 1, Keras 2 and PyTorch: what to write today, and which ones ``validate --fix`` replaces."""

import pytest

from layercli.check import check_config
from layercli.config.training.registry import CALLBACKS, LOSSES, METRICS, OPTIMIZERS, SCHEDULES
from layercli.layers.object_registry import INITIALIZERS, REGULARIZERS
from layercli.layers.registry import LAYERS
from layercli.schema.other_names import EXPLAINED_TYPES, RENAMED_KEYS, RENAMED_TYPES, explain_type
from layercli.workflows.autofix import compute_fixes, find_unsafe_fixes

CATALOGUES = (CALLBACKS, LAYERS, LOSSES, METRICS, OPTIMIZERS, SCHEDULES, INITIALIZERS, REGULARIZERS)
SECTION_KEYS = {
    "path",
    "target",
    "separator",
    "size",
    "epochs",
    "loss",
    "input",
    "train",
    "seed",
    "validation",
    "test",
    "jit_compile",
}

FIXED = {
    # Keras 1
    "{type: Convolution2D, nb_filter: 4, kernel_size: 3}": "{type: Convolution2D, filters: 4, kernel_size: 3}",
    "{type: Conv2D, filters: 4, kernel_size: 3, border_mode: same, subsample: 2}": (
        "{type: Conv2D, filters: 4, kernel_size: 3, padding: same, strides: 2}"
    ),
    "{type: Conv2D, filters: 4, kernel_size: 3, dim_ordering: tf}": (
        "{type: Conv2D, filters: 4, kernel_size: 3, data_format: channels_last}"
    ),
    "{type: Dense, output_dim: 4, init: uniform, W_regularizer: l2, b_constraint: NonNeg}": (
        "{type: Dense, units: 4, kernel_initializer: uniform, kernel_regularizer: l2, bias_constraint: NonNeg}"
    ),
    "{type: Dropout, p: 0.5}": "{type: Dropout, rate: 0.5}",
    "{type: GaussianNoise, sigma: 0.5}": "{type: GaussianNoise, stddev: 0.5}",
    "{type: TimeDistributedDense, output_dim: 4}": "{type: Dense, units: 4}",
    # Keras 2
    "{type: LeakyReLU, alpha: 0.1}": "{type: LeakyReLU, negative_slope: 0.1}",
    "{type: tf.keras.layers.Dense, units: 4}": "{type: Dense, units: 4}",
    "Dense(64)": "{type: Dense, units: 64}",
    "Dense(64, activation='relu')": "{type: Dense, units: 64, activation: relu}",
    "Conv2D(32, (3, 3), padding='same')": ("{type: Conv2D, filters: 32, kernel_size: [3, 3], padding: same}"),
    "Flatten()": "Flatten",
    "Dense(4, input_shape=(8,))": "{type: Dense, units: 4}",
    # PyTorch
    "{type: Linear, out_features: 4}": "{type: Dense, units: 4}",
    "{type: Conv2d, out_channels: 4, kernel_size: 3, stride: 2, padding: 0, bias: false}": (
        "{type: Conv2d, filters: 4, kernel_size: 3, strides: 2, padding: valid, use_bias: false}"
    ),
    "{type: MaxPool2d, kernel_size: 2}": "{type: MaxPool2d, pool_size: 2}",
    "{type: Dropout2d, p: 0.2}": "{type: SpatialDropout2D, rate: 0.2}",
    "{type: Tanh}": "{type: Activation, activation: tanh}",
    "{name: a, type: Tanh}": "{name: a, type: Activation, activation: tanh}",
    "type: Tanh\n      name: a": "type: Activation\n      activation: tanh\n      name: a",
    "ReLU6": "{type: ReLU, max_value: 6}",
    "nn.Linear(3, 4)": None,
}
"""A layer for images as others write it -> what ``--fix`` writes; None: nothing."""

FIXED_SEQUENCES = {
    "{type: CuDNNLSTM, units: 4}": "{type: LSTM, units: 4}",
    "{type: CuDNNGRU, units: 4}": "{type: GRU, units: 4}",
    "{type: LSTM, output_dim: 4, inner_activation: tanh, dropout_U: 0.1}": (
        "{type: LSTM, units: 4, recurrent_activation: tanh, recurrent_dropout: 0.1}"
    ),
    "{type: LSTM, hidden_size: 4}": "{type: LSTM, units: 4}",
    "{type: Conv1D, nb_filter: 4, filter_length: 3, border_mode: causal}": (
        "{type: Conv1D, filters: 4, kernel_size: 3, padding: causal}"
    ),
}

FIXED_TRAINING = {
    "{nb_epoch: 3, loss: mse}": "{epochs: 3, loss: mse}",
    "{loss: MSELoss}": "{loss: mean_squared_error}",
    "{criterion: mse}": "{loss: mse}",
    "{loss: mse, optimizer: {type: Adam, lr: 0.1, eps: 0.001}}": (
        "{loss: mse, optimizer: {type: Adam, learning_rate: 0.1, epsilon: 0.001}}"
    ),
    "{loss: mse, optimizer: tf.keras.optimizers.Adam}": "{loss: mse, optimizer: Adam}",
    "{loss: mse, optimizer: Adam()}": "{loss: mse, optimizer: Adam}",
    "{loss: mse, metrics: [rmse]}": "{loss: mse, metrics: [RootMeanSquaredError]}",
    "{loss: mse, metrics: [accurracy]}": "{loss: mse, metrics: [accuracy]}",
    "{loss: mse, metrics: [accuracy], callbacks: [{type: EarlyStopping, monitor: acc}]}": (
        "{loss: mse, metrics: [accuracy], callbacks: [{type: EarlyStopping, monitor: accuracy}]}"
    ),
}

NOT_FIXED = {
    "{type: Dense, units: 4, regularizer: l2}": "it needs a decision",
    "{type: Dense, units: 4, activation: rulu}": "it could be ",
    "{type: Conv5D, filters: 4, kernel_size: 3}": "is not similar enough",
    "{type: BatchNorm2d}": "it needs a decision",
    "{type: Conv2D, filters: 4, nb_row: 3, kernel_size: 3}": "it needs a decision",
    "{type: Dense, units: 4, use_bas: 7}": "`use_bias` must be true or false, got 7",
    "{type: Dense, units: 4, unit: 4}": "units",
    "{type: Sequential}": None,
    "{type: Dense, units: 4, in_features: 3}": None,
}
"""A layer with an error -> the reason why its fix is unsafe; None: the hint does not state a text to write."""


def write(tmp_path, layer, input_shape="[8, 8, 3]", train=""):
    path = tmp_path / "c.yaml"
    path.write_text(f"model:\n  input: {input_shape}\n  layers:\n    - {layer}\n{train}")
    return path


@pytest.mark.parametrize(("old", "new"), FIXED.items(), ids=FIXED)
def test_fix_writes_the_name_of_today(tmp_path, old, new):
    path = write(tmp_path, old)
    before, after = compute_fixes(str(path))
    assert after == (before if new is None else before.replace(old, new))


@pytest.mark.parametrize(("old", "new"), FIXED_SEQUENCES.items(), ids=FIXED_SEQUENCES)
def test_fix_writes_the_name_of_today_for_sequences(tmp_path, old, new):
    before, after = compute_fixes(str(write(tmp_path, old, "[8, 3]")))
    assert after == before.replace(old, new)


@pytest.mark.parametrize(("old", "new"), FIXED_TRAINING.items(), ids=FIXED_TRAINING)
def test_fix_writes_the_name_of_today_for_training(tmp_path, old, new):
    path = write(tmp_path, "{type: Dense, units: 3}", "[4]", f"train: {old}\n")
    before, after = compute_fixes(str(path))
    assert after == before.replace(old, new)


@pytest.mark.parametrize(("layer", "reason"), NOT_FIXED.items(), ids=NOT_FIXED)
def test_unsafe_fix_is_only_shown(tmp_path, layer, reason):
    path = write(tmp_path, layer)
    before, after = compute_fixes(str(path))
    assert after == before
    reasons = [fix.reason for fix in find_unsafe_fixes(str(path))]
    assert reasons == [] if reason is None else reason in reasons[0]


def test_fix_of_an_old_key_replaces_those_of_sections(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "random_seed: 3\ndata: {type: sklearn, dataset: iris, split: {val: 0.1, test_size: 0.2}}\n"
        "model: {input_shape: [4], layers: [{type: Dense, units: 3, activation: softmax}]}\n"
        "train: {loss: sparse_categorical_crossentropy, execution: {xla: false}}\n"
    )
    assert compute_fixes(str(path))[1] == (
        "seed: 3\ndata: {type: sklearn, dataset: iris, split: {validation: 0.1, test: 0.2}}\n"
        "model: {input: [4], layers: [{type: Dense, units: 3, activation: softmax}]}\n"
        "train: {loss: sparse_categorical_crossentropy, execution: {jit_compile: false}}\n"
    )


def test_fix_of_an_old_section_keeps_what_needs_a_decision(tmp_path):
    train = "fit:\n  nb_epoch: 3\n  objective: mse\n  lr: 0.1\n"
    before, after = compute_fixes(str(write(tmp_path, "{type: Dense, units: 3}", "[4]", train)))
    assert after == before.replace("fit:", "train:").replace("nb_epoch", "epochs").replace(
        "objective", "loss"
    )


def test_old_section_is_not_called_a_name_of_keras(tmp_path):
    (problem,) = check_config(
        str(write(tmp_path, "{type: Dense, units: 3}", "[4]", "fit: {loss: mse}\n"))
    ).problems
    assert problem.hint == "Write `train`."


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("test_size: 0.2", "Remove it, and write `split: {test: 0.2}` in `data`."),
        ("val: 100", "Remove it, and write `split: {validation: 100}` in `data`."),
        (
            "validation_data: held/out.csv",
            "Remove it, and write `split: {validation: held/out.csv}` in `data`.",
        ),
        ("valid_size: [1]", "Remove it, and write `split: {validation: 0.1}` in `data`."),
        ("train_size: 0.7", "Remove it: the training set contains all remaining examples."),
        ("x: a", "Write `features`."),
        ("y: a", "Write `target`."),
        ("random_state: 3", "Write `seed` at the top of the config, outside of `data`."),
        ("batch_size: 3", "Write `batch_size` in `train`."),
        ("optimizer: Adam", "Write `optimizer` in `train`."),
        ("layers: []", "Write `layers` in `model`."),
    ],
)
def test_key_of_data_is_explained(tmp_path, key, hint):
    path = tmp_path / "c.yaml"
    target = "" if key.startswith("y:") else "target: t, "
    features = "" if key.startswith("x:") else "features: f, "
    path.write_text(
        f"data: {{type: npz, path: a.npz, {features}{target}{key}}}\n"
        "model: {input: [4], layers: [{type: Dense, units: 3}]}\n"
    )
    assert hint in [problem.hint for problem in check_config(str(path)).problems]


def test_data_without_features_does_not_suggest_them(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "data: {type: sklearn, dataset: iris, x: a}\nmodel: {layers: [{type: Dense, units: 3}]}\n"
    )
    (problem,) = check_config(str(path)).problems
    assert problem.hint.startswith("sklearn data takes `dataset`")


def test_new_keys_of_the_table_exist():
    names = SECTION_KEYS.union(
        *(catalogue.load(name).model_fields for catalogue in CATALOGUES for name in catalogue.modules)
    )
    assert {new for old in RENAMED_KEYS.values() for new in old.split()} - names == set()


@pytest.mark.parametrize(
    ("kind", "old", "new"), [(kind, *item) for kind, names in RENAMED_TYPES.items() for item in names.items()]
)
def test_new_types_of_the_table_exist(tmp_path, kind, old, new):
    entry = {
        "layer": old,
        "activation": f"{{type: Dense, units: 3, activation: {old}}}",
        "initializer": f"{{type: Dense, units: 3, kernel_initializer: {old}}}",
        "regularizer": f"{{type: Dense, units: 3, kernel_regularizer: {old}}}",
    }.get(kind, "{type: Dense, units: 3}")
    train = f"train: {{loss: {old if kind == 'loss' else 'mse'}, metrics: [{old if kind == 'metric' else 'mse'}]}}\n"
    path = write(tmp_path, entry, "[4]", train)
    assert compute_fixes(str(path))[1] == path.read_text().replace(
        f"[{old}]" if kind == "metric" else f"- {old}\n" if kind == "layer" else f": {old}",
        f"[{new}]" if kind == "metric" else f"- {new}\n" if kind == "layer" else f": {new}",
    )


@pytest.mark.parametrize("name", [name for names in EXPLAINED_TYPES.values() for name in names])
def test_explained_types_are_not_types_of_today(name):
    kinds = [kind for kind, names in EXPLAINED_TYPES.items() if name in names]
    assert [
        kind for kind in kinds for catalogue in CATALOGUES if catalogue.noun == kind and catalogue.find(name)
    ] == []


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("decay: 0", "Remove it."),
        ("betas: [0.8, 0.99]", "Write `beta_1: 0.8` and `beta_2: 0.99` instead."),
        ("max_grad_norm: 5", "write `global_clipnorm: 5` among the arguments of the optimizer."),
        ("schedule_decay: 0.1", "Remove it: Keras 3 does not need it."),
    ],
)
def test_argument_with_another_form_is_explained(tmp_path, key, hint):
    train = f"train: {{loss: mse, optimizer: {{type: Adam, {key}}}}}\n"
    (problem,) = check_config(str(write(tmp_path, "{type: Dense, units: 3}", "[4]", train))).problems
    assert hint in problem.hint


def test_hint_for_decay_has_the_values_of_the_config(tmp_path):
    # Keras 2: the rate at step n is learning_rate / (1 + decay * n)
    schedule = "{type: InverseTimeDecay, initial_learning_rate: 0.05, decay_steps: 1, decay_rate: 0.002}"
    train = "train: {loss: mse, optimizer: {type: SGD, learning_rate: 0.05, decay: 0.002}}\n"
    (problem,) = check_config(str(write(tmp_path, "{type: Dense, units: 3}", "[4]", train))).problems
    assert problem.hint == f"Remove it, and write `learning_rate: {schedule}`."
    train = f"train: {{loss: mse, optimizer: {{type: SGD, learning_rate: {schedule}}}}}\n"
    assert check_config(str(write(tmp_path, "{type: Dense, units: 3}", "[4]", train))).problems == []


@pytest.mark.parametrize(
    ("layer", "hint"),
    [
        (
            "{type: LSTM, units: 8, bidirectional: true, return_sequences: true}",
            "Remove it, and write {type: Bidirectional, layer: {type: LSTM, units: 8, return_sequences: true}}.",
        ),
        ("{type: GRU, units: 8, bidirectional: false}", "Remove it."),
        (
            "{type: GRU, units: 8, bidirectional: true, kernel_regularizer: {type: L2}}",
            "Remove it, and write {type: Bidirectional, layer: {type: GRU, units: 8}}.",
        ),
        (
            "{type: LSTM, units: [8], bidirectional: true}",
            "Remove it, and write {type: Bidirectional, layer: {type: LSTM, units: 64}}.",
        ),
        (
            "{type: MultiHeadAttention, num_heads: 4, embed_dim: 64}",
            "Write `key_dim: 16` instead: it is the size of one head.",
        ),
        (
            "{type: MultiHeadAttention, num_heads: 1, embed_dim: 64}",
            "Write `key_dim: 64` instead: it is the size of one head.",
        ),
        (
            "{type: MultiHeadAttention, num_heads: 3, embed_dim: 64}",
            "Write `key_dim`, the size of one head: `embed_dim` divided by `num_heads`.",
        ),
        (
            "{type: Conv1D, filters: 4, nb_row: 3, nb_col: 5}",
            "Write both as one list: `kernel_size: [3, 5]`.",
        ),
        (
            "{type: GroupNorm, num_groups: 3, eps: 0.01}",
            "Write {type: GroupNormalization, groups: 3, epsilon: 0.01}.",
        ),
        ("{type: nn.GroupNorm}", "Write {type: GroupNormalization, groups: 8, epsilon: 0.00001}."),
        ("{type: InstanceNorm1d}", "Write {type: GroupNormalization, groups: -1, epsilon: 0.00001}."),
        ("{type: RMSNorm, eps: 0.000001}", "Write {type: RMSNormalization, epsilon: 0.000001}."),
        (
            "{type: ThresholdedReLU, theta: 0.25}",
            "Write {type: ReLU, threshold: 0.25}: `threshold` was called `theta`.",
        ),
        (
            "{type: BatchNorm1d, momentum: 0.3}",
            "Write {type: BatchNormalization, momentum: 0.7, epsilon: 0.00001}: its momentum is 1 minus that of PyTorch.",
        ),
        (
            "{type: SyncBatchNorm, momentum: 0.01, eps: 0.1}",
            "Write {type: BatchNormalization, momentum: 0.99, epsilon: 0.1, synchronized: true}: "
            "its momentum is 1 minus that of PyTorch.",
        ),
        ("{type: Upsample, scale_factor: 3}", "Write {type: UpSampling2D, size: 3}."),
        (
            "{type: Upsample, scale_factor: 4, mode: bilinear}",
            "Write {type: UpSampling2D, size: 4, interpolation: bilinear}.",
        ),
        ("{type: Unflatten, unflattened_size: [4, 2]}", "Write {type: Reshape, target_shape: [4, 2]}."),
        ("{type: Unflatten, unflattened_size: four}", "Write {type: Reshape, target_shape: [8, 8, 1]}."),
        (
            "{type: RandomHeight, factor: 0.3}",
            "Write {type: RandomZoom, height_factor: 0.3}, which keeps the size of the images.",
        ),
        ("{type: Merge, mode: ave}", "Write {type: Average} with the same `inputs`."),
        (
            "{type: Merge, mode: concat, concat_axis: 1}",
            "Write {type: Concatenate, axis: 1} with the same `inputs`.",
        ),
        ("{type: Merge, mode: dot}", "Write {type: Dot, axes: -1} with the same `inputs`."),
        (
            "{type: Merge}",
            "Write the layer for its `mode`: Add, Multiply, Average, Maximum, Concatenate or Dot, with `inputs`.",
        ),
        ("{type: Softmax, dim: 1}", "Keras calls it `axis`."),
        ("{type: Conv1D, filters: 4, kernel_size: 3x5}", "Write a list in square brackets: [3, 5]."),
        ("{type: Dense, units: 4, use_bias: 0}", "Write `use_bias: false`."),
        ("{type: Dense, units: 4, use_bias: 1}", "Write `use_bias: true`."),
        ("{type: Dense, units: 4, use_bias: 2}", None),
        ("{type: Dense, units: 4, kernel_regularizer: l2(0.01)}", "Write {type: L2, l2: 0.01}."),
        (
            "{type: Dense, units: 4, kernel_regularizer: 'keras.regularizers.L1L2(l1=0.1, l2=0.2)'}",
            "Write {type: L1L2, l1: 0.1, l2: 0.2}.",
        ),
    ],
)
def test_hint_has_the_values_of_the_config(tmp_path, layer, hint):
    problems = check_config(str(write(tmp_path, layer, "[8, 3]"))).problems
    assert hint in [problem.hint for problem in problems]


@pytest.mark.parametrize(
    ("train", "hint"),
    [
        ("validation_split: 0.2", "Remove it, and write `split: {validation: 0.2}` in `data`."),
        (
            "patience: 3",
            "Write `callbacks: [{type: EarlyStopping, monitor: val_loss, patience: 3}]` instead.",
        ),
        ("optimizer: Adam(lr=0.01)", "Write {type: Adam, learning_rate: 0.01}."),
        ("optimizer: 'SGD(0.1, momentum=0.9)'", "Write {type: SGD, learning_rate: 0.1, momentum: 0.9}."),
        ("metrics: [f1]", "Write {type: F1Score, average: macro}."),
        (
            "optimizer: sgd, learning_rate: 0.5",
            "It belongs to the optimizer: `optimizer: {type: sgd, learning_rate: 0.5}`.",
        ),
        ("lr: 0.5", "It belongs to the optimizer: `optimizer: {type: Adam, learning_rate: 0.5}`."),
        ("optimizer: {adam: {lr: 0.1}}", "Write {type: Adam, ...} with the same arguments."),
        ("optimizer: {adam: null}", "Write `Adam`."),
        ("optimizer: {unknown: 3}", "For example {type: Adam}."),
        ("callbacks: {type: EarlyStopping}", "Write a list: `callbacks: [{type: EarlyStopping, ...}]`."),
        ("callbacks: {early_stopping: {patience: 3}}", "Write a list: `callbacks: [...]`."),
    ],
)
def test_hint_for_training_has_the_values_of_the_config(tmp_path, train, hint):
    path = write(tmp_path, "{type: Dense, units: 3}", "[4]", f"train: {{loss: mse, {train}}}\n")
    (problem,) = check_config(str(path)).problems
    assert problem.hint == hint


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ("type: csv, file: x.csv, target: y", "Write `path`."),
        ("type: csv, path: x.csv, label: y", "Write `target`."),
        ("type: csv, path: x.csv, target: y, delimiter: '|'", "Write `separator`."),
        ("type: images, path: x, target_size: [8, 8]", "Write `size`."),
        (
            "type: csv, path: x.csv, target: y, header: 0",
            "Remove it: the first line of a file has the names; for a file without them, list them in `columns`.",
        ),
        (
            "type: csv, path: x.csv, target: y, separator: '\\t'",
            'Write it in double quotes: `separator: "\\t"`.',
        ),
        ("type: csv, path: x.csv, target: y, split: {test: 5%}", "Write 0.05."),
        ("type: csv, path: x.csv, target: y, split: {test: 5 %}", "Write 0.05."),
        (
            "type: csv, path: x.csv, target: y, split: {test: 1.5}",
            "For example `validation: 0.1`, or `validation: validation.csv`.",
        ),
    ],
)
def test_names_of_other_readers_are_explained(tmp_path, data, hint):
    path = tmp_path / "c.yaml"
    path.write_text(f"data: {{{data}}}\nmodel: {{layers: [{{type: Dense, units: 1}}]}}\n")
    problems = check_config(str(path)).problems
    assert hint in [problem.hint for problem in problems]


def test_variable_of_the_shell_is_explained(tmp_path):
    path = write(tmp_path, "{type: Dense, units: $width}", train="vars: {width: 3}\n")
    assert [problem.hint for problem in check_config(str(path)).problems] == [
        "Write `${width}` for the variable `width`."
    ]


@pytest.mark.parametrize(
    ("layer", "hint"),
    [
        ("{type: Dense, units: 3, input_dim: 7}", "Add `input: [7]`."),
        ("{type: Dense, units: 3, input_shape: [7, 2]}", "Add `input: [7, 2]`."),
        ("{type: LSTM, units: 3, input_shape: [null, 2]}", "Add `input: [null, 2]`."),
        ("{type: Input, shape: [7]}", "Add `input: [7]`."),
        ("{type: InputLayer, input_shape: [7]}", "Add `input: [7]`."),
        ("{type: Dense, units: 3, input_dim: 0}", "Add `input: [28, 28, 1]`, for example."),
        ("{type: Dense, units: 3, input_shape: [true]}", "Add `input: [28, 28, 1]`, for example."),
        ("{type: Dense, units: 3, input_shape: []}", "Add `input: [28, 28, 1]`, for example."),
        (
            "{type: Dense, units: 3, input_shape: [1, 1, 1, 1, 1, 1, 1, 1, 1]}",
            "Add `input: [28, 28, 1]`, for example.",
        ),
        ("Dens", "Add `input: [28, 28, 1]`, for example."),
    ],
)
def test_missing_input_has_the_shape_of_the_first_layer(tmp_path, layer, hint):
    path = tmp_path / "c.yaml"
    path.write_text(f"model:\n  layers:\n    - {layer}\n    - {{type: Dense, units: 1}}\n")
    assert hint in [problem.hint for problem in check_config(str(path)).problems]


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("kernel_size: (3, 5)", "Write a list in square brackets: [3, 5]."),
        ("kernel_size: (7, 5, 3)", "Write a list in square brackets: [7, 5, 3]."),
        ("kernel_size: '(3, 5)'", "Write a list in square brackets: [3, 5]."),
        ("kernel_size: (3)", "Write 3."),
        ("kernel_size: (a, b)", "Write a list in square brackets, such as [3, 3]."),
    ],
)
def test_parentheses_are_one_problem(tmp_path, argument, hint):
    path = write(tmp_path, f"{{type: Conv2D, filters: 4, {argument}, padding: same}}")
    (problem,) = check_config(str(path)).problems
    assert (problem.code, problem.hint) == ("wrong-type", hint)


def test_unknown_key_next_to_parentheses_is_reported(tmp_path):
    path = write(tmp_path, "{type: Conv2D, filters: 4, kernel_size: (3, 5), pading: same}")
    problems = check_config(str(path)).problems
    assert [problem.hint for problem in problems if problem.code == "unknown-key"] == [
        "Did you mean `padding`?"
    ]


def test_fix_never_changes_the_meaning_of_a_valid_value(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "model:\n  input: {shape: [20], dtype: string}\n  layers:\n    - {type: StringLookup, max_tokens: 1000}\n"
        "    - {type: Embedding, input_dim: 500, output_dim: 8}\n"
    )
    (problem,) = check_config(str(path)).problems
    assert problem.hint == "Write `input_dim: 1000`."
    before, after = compute_fixes(str(path))
    assert before == after


def test_names_of_types_are_compared_by_a_table(monkeypatch):
    assert explain_type("layer", "no such layer") is None
    monkeypatch.setattr("layercli.schema.other_names.RENAMED_TYPES", None)  # built once for each kind
    assert explain_type("layer", "another name") is None


def test_missing_space_after_a_colon_is_explained_and_fixed(tmp_path):
    path = tmp_path / "c.yaml"
    lines = [
        "model:",
        "  input: [4]",
        "  layers:",
        "    - {type: Dense, units:8, name:wide}",
        "    - {type:Dense, units: 3}",
        "    - type:Flatten",
        "train: {loss:mse, optimizer: {type:Adam}, callbacks: ['type:TerminateOnNaN']}",
    ]
    path.write_text("\n".join(lines))
    problems = check_config(str(path)).problems
    assert [(problem.line, problem.hint) for problem in problems] == [
        (4, "Write a space after the colon: `units: 8`."),
        (4, "Write a space after the colon: `name: wide`."),
        (5, "Write a space after the colon: `type: Dense`."),
        (6, "Write a space after the colon: `type: Flatten`."),
        (7, "Write a space after the colon: `loss: mse`."),
        (7, "Write a space after the colon: `type: Adam`."),
        (7, "Write a space after the colon: `type: TerminateOnNaN`."),
    ]
    fixed = compute_fixes(str(path))[1].splitlines()
    assert fixed[3] == "    - {type: Dense, units: 8, name: wide}"
    assert fixed[6].startswith("train: {loss: mse, ")


def test_missing_space_in_data_is_explained(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("data: {type:sklearn, dataset: iris}\nmodel: {layers: [{type: Dense, units: 3}]}\n")
    hints = [problem.hint for problem in check_config(str(path)).problems]
    assert hints[0] == "Write a space after the colon: `type: sklearn`."


@pytest.mark.parametrize("name", ["cross_entropy", "logloss"])
def test_crossentropy_without_its_kind_names_all_kinds(tmp_path, name):
    path = tmp_path / "c.yaml"
    path.write_text(f"model: {{input: [4], layers: [{{type: Dense, units: 3}}]}}\ntrain: {{loss: {name}}}\n")
    (problem,) = check_config(str(path)).problems
    assert problem.hint == (
        "Write `sparse_categorical_crossentropy` for class numbers, `categorical_crossentropy` for one-hot targets, or "
        "`binary_crossentropy` for two classes or several labels."
    )


@pytest.mark.parametrize(
    ("section", "entry", "hint"),
    [
        (
            "layer",
            "{class_name: keras.layers.Dense, config: {units: 3, activation: relu}}",
            "Write {type: Dense, units: 3, activation: relu} instead of `class_name` and `config`.",
        ),
        (
            "layer",
            "{class_name: Flatten, config: {}}",
            "Write `Flatten` instead of `class_name` and `config`.",
        ),
        (
            "layer",
            "{class_name: Dense, config: {units: 3, dtype: {class_name: DTypePolicy}}}",
            "Write `type: Dense` instead of `class_name`, and the arguments of `config` next to it.",
        ),
        ("layer", "{name: Dense}", "Write `type: Dense` instead of `name`."),
        ("layer", "{name: Dense, units: 3}", "Write `type: Dense` instead of `name`."),
        ("layer", "{name: hidden, units: 3}", "For example {type: Dense}."),
        (
            "layer",
            "{type: Dense, params: {units: 3}}",
            "Write the keys of `params` next to `type`, without `params`.",
        ),
        (
            "loss",
            "{class_name: MeanSquaredError, config: {reduction: sum}}",
            "Write {type: MeanSquaredError, reduction: sum} instead of `class_name` and `config`.",
        ),
        ("train", "validation: 0.1", "Remove it, and write `split: {validation: 0.1}` in `data`."),
        ("train", "test: 0.2", "Remove it, and write `split: {test: 0.2}` in `data`."),
        ("train", "stratify: true", "Write `split: {stratify: true}` in `data`."),
    ],
)
def test_component_of_another_tool_has_one_hint(section, entry, hint):
    layer = entry if section == "layer" else "{type: Dense, units: 1}"
    train = (
        f"loss: {entry}"
        if section == "loss"
        else f"loss: mse, {entry}"
        if section == "train"
        else "loss: mse"
    )
    text = f"model: {{input: [4], layers: [{layer}]}}\ntrain: {{{train}}}\n"
    assert [problem.hint for problem in check_config("c.yaml", text=text).problems] == [hint]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("image", "Write `type: images`."),
        ("pq", "Write `type: parquet`."),
        (
            "json",
            "Write {type: jsonl, path: rows.jsonl, target: label}: the file has an object in each line.",
        ),
        ("iris", "Write {type: sklearn, dataset: iris}."),
    ],
)
def test_section_with_a_path_needs_only_another_type(name, hint):
    assert explain_type("data type", name, {"type": name, "path": "p"}) == hint
    assert "{type: " in str(explain_type("data type", name, {"type": name}))


def test_size_of_images_is_described_by_its_axes():
    text = "data: {type: images, path: p, size: 32}\nmodel: {input: [32, 32, 3], layers: [Flatten]}\n"
    [problem] = check_config("c.yaml", text=text).problems
    assert problem.message == "`size` must be a list [height, width], or null, got 32."

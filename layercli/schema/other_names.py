"""Names of earlier versions of Keras and of PyTorch, and what to write today.

A name in a ``RENAMED`` table has exactly one meaning today, so ``validate --fix`` replaces it. The other tables explain
names that need a decision or another structure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from typing import Final, Literal

from layercli.schema.flow_style import format_value
from layercli.schema.suggestions import Suggestion
from layercli.source.nodes import normalize_type_name


def split_names(*entries: tuple[str, str]) -> dict[str, str]:
    """Return a table of single old names from entries of several old names, separated by spaces."""
    return {name: text for names, text in entries for name in names.split()}


RENAMED_KEYS: Final = split_names(
    # Keras 1
    ("nb_filter out_channels", "filters"),
    ("filter_length", "kernel_size"),
    ("border_mode", "padding"),
    ("subsample subsample_length stride", "strides"),
    ("atrous_rate dilation", "dilation_rate"),
    ("dim_ordering", "data_format"),
    ("init", "kernel_initializer embeddings_initializer alpha_initializer"),
    ("inner_init", "recurrent_initializer"),
    ("inner_activation", "recurrent_activation"),
    ("W_regularizer", "kernel_regularizer embeddings_regularizer"),
    ("U_regularizer", "recurrent_regularizer"),
    ("b_regularizer", "bias_regularizer"),
    ("W_constraint", "kernel_constraint embeddings_constraint"),
    ("U_constraint", "recurrent_constraint"),
    ("b_constraint", "bias_constraint"),
    ("dropout_W", "dropout"),
    ("dropout_U", "recurrent_dropout"),
    ("bias", "use_bias"),
    ("output_dim out_features hidden_size num_units", "units"),
    ("p", "rate"),
    ("sigma", "stddev"),
    ("pool_length kernel_size", "pool_size"),
    ("length", "size"),
    ("dims", "target_shape"),
    ("bins", "bin_boundaries"),
    ("beta_init", "beta_initializer"),
    ("gamma_init", "gamma_initializer"),
    ("m", "max_value"),
    ("l", "l1 l2"),
    ("scale", "stddev"),
    ("nb_epoch nb_epochs n_epochs num_epochs max_epochs", "epochs"),
    ("objective criterion loss_fn", "loss"),
    # Keras 2 and PyTorch
    ("lr", "learning_rate"),
    ("eps", "epsilon"),
    ("epsilon", "min_delta"),
    ("alpha", "negative_slope rho"),
    ("max_tokens", "num_tokens"),
    ("num_embeddings", "input_dim"),
    ("vocab_size vocabulary_size num_words", "input_dim max_tokens"),
    ("embedding_dim embedding_size", "output_dim"),
    ("dim", "output_dim axis"),
    ("ignore_index", "ignore_class"),
    ("xla jit", "jit_compile"),
    ("head_size", "key_dim"),
    ("metric", "monitor"),
    ("wait", "patience"),
    ("tolerance tol", "min_delta"),
    ("min_epochs", "start_from_epoch"),
    ("restore_best", "restore_best_weights"),
    # sections
    ("input_shape", "input"),
    ("training fit trainer", "train"),
    ("random_seed random_state", "seed"),
    ("val valid validation_split val_split", "validation"),
    ("test_size test_split", "test"),
    # data
    ("file filename filepath file_path csv_file data_path data_dir directory folder root url", "path"),
    ("label label_column target_column class_column y_col", "target"),
    ("sep delimiter delim", "separator"),
    ("image_size img_size target_size", "size"),
)
"""Old key -> the keys that replace it, separated by spaces; the one that exists in the mapping is meant."""

_FROM_PREVIOUS: Final = "Remove it: Keras takes the size from the previous layer."
_NOT_NEEDED: Final = "Remove it: Keras 3 does not need it."
_EPOCH_LENGTH: Final = "Remove it: an epoch is one pass over the training examples."
_WITH_THE_DATA: Final = "It is declared with the data: `data: {split: {validation: 0.1}}`."

EXPLAINED_KEYS: Final = split_names(
    ("in_channels in_features num_features input_size normalized_shape", _FROM_PREVIOUS),
    ("schedule_decay dampening inplace fused renorm virtual_batch_size", _NOT_NEEDED),
    ("track_running_stats padding_mode ceil_mode time_major implementation consume_less", _NOT_NEEDED),
    ("input_length batch_first", "Remove it: the shape of the input has the length, as `[steps, features]`."),
    (
        "num_layers",
        "Remove it, and write one layer for each, with `return_sequences: true` except on the last.",
    ),
    ("forget_bias_init", "Write `unit_forget_bias: true` for ones, or false for zeros."),
    ("nonlinearity", "Write `activation: tanh` or `activation: relu`."),
    ("affine elementwise_affine", "Write `center: true` and `scale: true`, or false for both."),
    (
        "return_attention_scores",
        "Remove it: it is an argument of the call in Python code, and only such code can use the scores.",
    ),
    (
        "input_features output_features",
        "Declare the columns in `data`, with `inputs` and `target`, and the layers in `model`.",
    ),
    (
        "class_name",
        "Write `type`; a whole model of Keras is imported with `layercli import model.json --output config.yaml`.",
    ),
    ("combiner", "Join layers with a layer: {type: Concatenate, inputs: [a, b]}."),
    ("padding_idx", "Write `mask_zero: true` to ignore the index 0."),
    ("regularizer", "Write `kernel_regularizer`, `bias_regularizer` or `activity_regularizer`."),
    ("initializer", "Write `kernel_initializer` or `bias_initializer`."),
    ("constraint", "Write `kernel_constraint` or `bias_constraint`."),
    ("validation_data", _WITH_THE_DATA),
    (
        "header skiprows",
        "Remove it: the first line of a file has the names; for a file without them, list them in `columns`.",
    ),
    (
        "index_col usecols feature_columns features",
        "Remove it, and list the columns of the model in `inputs`, such as `inputs: {input: [age, hours]}`.",
    ),
    ("na_values missing_values null_values", "Write `missing: {values: [NA]}` instead."),
    ("dropna", "Write `missing: {numbers: drop}` instead."),
    ("samples_per_epoch steps_per_epoch nb_val_samples validation_steps", _EPOCH_LENGTH),
    (
        "verbose run_eagerly workers nb_worker max_queue_size max_q_size use_multiprocessing pickle_safe class_mode "
        "theano_mode",
        "Remove it: layercli does not need it.",
    ),
    ("show_accuracy", "Write `metrics: [accuracy]`."),
    ("initial_epoch", "Remove it, and continue a run with `layercli train --resume RUN`."),
    (
        "sample_weight sample_weight_mode",
        "The weights of examples are declared with the data: `data: {weights: NAME}`.",
    ),
)
"""Old key -> a hint, for keys that are not replaced by exactly one other key."""


def _choose_number(mapping: Mapping[str, object], names: str, default: float) -> float:
    """Return the first number that the mapping has for one of these names, separated by spaces."""
    for name in names.split():
        value = mapping.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
    return default


def _explain_decay(mapping: Mapping[str, object], _: str) -> str:
    rate, decay = (
        _choose_number(mapping, "learning_rate lr", 0.01),
        _choose_number(mapping, "decay", 0.0001),
    )
    schedule = (
        f"{{type: InverseTimeDecay, initial_learning_rate: {rate}, decay_steps: 1, decay_rate: {decay}}}"
    )
    return f"Remove it, and write `learning_rate: {schedule}`." if decay else "Remove it."


def _explain_betas(mapping: Mapping[str, object], _: str) -> str:
    betas = mapping.get("betas")
    pair = dict(enumerate(betas)) if isinstance(betas, (list, tuple)) else {}
    first, second = (
        _choose_number({"beta": pair.get(0)}, "beta", 0.9),
        _choose_number({"beta": pair.get(1)}, "beta", 0.999),
    )
    return f"Write `beta_1: {first}` and `beta_2: {second}` instead."


def _explain_kernel_sides(mapping: Mapping[str, object], _: str) -> str:
    rows, columns = (
        _choose_number(mapping, "nb_row nb_col", 3),
        _choose_number(mapping, "nb_col nb_row", 3),
    )
    return f"Write both as one list: `kernel_size: [{rows}, {columns}]`."


def _is_short(value: object) -> bool:
    """Return whether a value is one word or number, which a hint can repeat."""
    return isinstance(value, (bool, int, float)) or (
        isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w{0,39}", value, re.ASCII) is not None
    )


def _explain_bidirectional(mapping: Mapping[str, object], title: str) -> str:
    if mapping.get("bidirectional") is False:
        return "Remove it."
    arguments = {key: value for key, value in mapping.items() if key != "bidirectional"}
    if not all(_is_short(value) for value in arguments.values()):
        arguments = {"units": arguments.get("units")}
    inner = {"type": title, **(arguments if _is_short(arguments.get("units")) else {"units": 64})}
    return f"Remove it, and write {{type: Bidirectional, layer: {format_value(inner)}}}."


def _explain_gradient_norm(mapping: Mapping[str, object], _: str) -> str:
    norm = _choose_number(mapping, "max_grad_norm grad_clip gradient_clip", 1.0)
    return f"Remove it, and write `global_clipnorm: {norm}` among the arguments of the optimizer."


def _explain_embedding_size(mapping: Mapping[str, object], _: str) -> str:
    size, heads = _choose_number(mapping, "embed_dim d_model", 0), _choose_number(mapping, "num_heads", 0)
    if heads > 0 and size >= heads and size % heads == 0:
        return f"Write `key_dim: {size // heads}` instead: it is the size of one head."
    return "Write `key_dim`, the size of one head: `embed_dim` divided by `num_heads`."


def _explain_validation_split(mapping: Mapping[str, object], _: str) -> str:
    share = _choose_number(mapping, "validation_split val_split", 0.1)
    return f"Remove it, and write `split: {{validation: {share}}}` in `data`."


def _explain_patience(mapping: Mapping[str, object], _: str) -> str:
    patience = _choose_number(mapping, "early_stop early_stopping patience", 5)
    return f"Write `callbacks: [{{type: EarlyStopping, monitor: val_loss, patience: {patience}}}]` instead."


_METRIC_NAME: Final = re.compile(r"\w{1,60}", re.ASCII)


def _explain_monitor(metric: str) -> str:
    shown = metric if _METRIC_NAME.fullmatch(metric) else "val_loss"
    return (
        f"Write `callbacks: [{{type: EarlyStopping, monitor: {shown}, restore_best_weights: true}}]` for the weights of "
        f"the best epoch; `objective: {{metric: {shown}}}` belongs in a sweep file."
    )


def _explain_learning_rate(mapping: Mapping[str, object], _: str) -> str:
    rate, optimizer = _choose_number(mapping, "learning_rate lr", 0.001), mapping.get("optimizer", "Adam")
    written = f"{{type: {optimizer if _is_short(optimizer) else 'Adam'}, learning_rate: {rate}}}"
    return f"It belongs to the optimizer: `optimizer: {written}`."


def _format_share(mapping: Mapping[str, object], key: str, name: str) -> str:
    """Return the hint for the size of a set, which belongs into ``split``."""
    value = mapping.get(key)
    written = format_value(value) if _is_short(value) else "0.1"
    if isinstance(value, str) and "\n" not in value and len(value) <= _MAX_PATH_LENGTH:
        written = format_value(value)
    return f"Remove it, and write `split: {{{name}: {written}}}` in `data`."


_MAX_PATH_LENGTH: Final = 100
_SET_KEYS: Final = {
    **dict.fromkeys(("val", "valid", "val_size", "valid_size", "validation_size"), "validation"),
    **dict.fromkeys(("validation", "validation_data"), "validation"),
    **dict.fromkeys(("test", "test_size", "test_split", "test_data"), "test"),
}
"""A key of ``data`` for the size or the files of a set -> the key of ``split``."""
_ARRAY_KEYS: Final = {
    **dict.fromkeys(("x", "X", "x_train", "X_train"), "features"),
    **dict.fromkeys(("y", "Y", "y_train", "Y_train", "labels", "targets"), "target"),
}
"""A key of ``data`` for the inputs or the targets -> the key today, if the type of data has it."""
_DATA_KEYS: Final = {
    "train_size": "Remove it: the training set contains all remaining examples.",
    "stratify": "Write `split: {stratify: true}` in `data`.",
    "random_state": "Write `seed` at the top of the config, outside of `data`.",
    "seed": "Write `seed` at the top of the config, outside of `data`.",
    **{
        name: f"Write `{name}` in `train`."
        for name in ("batch_size", "callbacks", "epochs", "loss", "metrics", "optimizer")
    },
    "layers": "Write `layers` in `model`.",
}
"""A key of ``data`` -> a hint with its place today."""


def _explain_data_key(name: str, known_keys: Collection[str], mapping: Mapping[str, object]) -> str | None:
    """Return a hint for a key of ``data`` that belongs elsewhere, or None."""
    if name in _SET_KEYS and "split" in known_keys:
        return _format_share(mapping, name, _SET_KEYS[name])
    if _ARRAY_KEYS.get(name) in known_keys:
        new = _ARRAY_KEYS[name]
        return Suggestion(f"Write `{new}`.", new)
    return _DATA_KEYS.get(name)


ARGUMENT_KEYS: Final = ("config", "params", "parameters", "kwargs", "args", "arguments", "options")
"""Keys of other tools for the arguments of a type."""


def _explain_train_key(name: str, mapping: Mapping[str, object]) -> str | None:
    """Return a hint for a key of ``train`` that belongs to the split, or None."""
    if name in _SET_KEYS and name != "validation_data":
        return _format_share(mapping, name, _SET_KEYS[name])
    return _DATA_KEYS.get(name) if name in ("train_size", "stratify") else None


def _explain_momentum(mapping: Mapping[str, object], title: str) -> str:
    if title in ("Adam", "AdamW", "Adamax", "Nadam", "Lamb", "Lion"):
        return (
            f"Write `beta_1: {_choose_number(mapping, 'momentum', 0.9)}`, which is the momentum of {title}."
        )
    return "Remove it, or use the optimizer SGD or RMSprop, which have a momentum."


_EXPLAIN_WITH_VALUES: Final[Mapping[str, Callable[[Mapping[str, object], str], str]]] = {
    "momentum": _explain_momentum,
    "decay": _explain_decay,
    "betas": _explain_betas,
    "nb_row": _explain_kernel_sides,
    "nb_col": _explain_kernel_sides,
    "bidirectional": _explain_bidirectional,
    "max_grad_norm": _explain_gradient_norm,
    "grad_clip": _explain_gradient_norm,
    "gradient_clip": _explain_gradient_norm,
    "embed_dim": _explain_embedding_size,
    "d_model": _explain_embedding_size,
    "validation_split": _explain_validation_split,
    "val_split": _explain_validation_split,
    "early_stop": _explain_patience,
    "early_stopping": _explain_patience,
    "patience": _explain_patience,
    "learning_rate": _explain_learning_rate,
    "lr": _explain_learning_rate,
}
"""Old key -> a function that returns a hint, from the mapping that has the key and the name of its type."""

EXAMPLES_WITH_VALUES: Final = {key: explain({}, "LSTM") for key, explain in _EXPLAIN_WITH_VALUES.items()}
"""Old key -> its hint with example values."""


def _explain_activation_layers(names: str) -> dict[str, str]:
    """Return {``Tanh``: ``{type: Activation, activation: tanh}``} for pairs such as ``Tanh:tanh``."""
    pairs = (pair.partition(":") for pair in names.split())
    return {old: f"{{type: Activation, activation: {new}}}" for old, _, new in pairs}


RENAMED_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "layer": {
        **split_names(
            ("TimeDistributedDense Linear LazyLinear", "Dense"),
            ("CuDNNLSTM", "LSTM"),
            ("CuDNNGRU", "GRU"),
            ("AtrousConvolution1D AtrousConv1D", "Conv1D"),
            ("AtrousConvolution2D AtrousConv2D", "Conv2D"),
            ("ConvTranspose1d", "Conv1DTranspose"),
            ("Deconvolution2D Deconv2D ConvTranspose2d", "Conv2DTranspose"),
            ("Deconvolution3D Deconv3D ConvTranspose3d", "Conv3DTranspose"),
            ("Dropout1d", "SpatialDropout1D"),
            ("Dropout2d", "SpatialDropout2D"),
            ("Dropout3d", "SpatialDropout3D"),
            ("AvgPooling1D", "AveragePooling1D"),
            ("AvgPooling2D", "AveragePooling2D"),
            ("AvgPooling3D", "AveragePooling3D"),
            ("AdaptiveAvgPool1d", "AdaptiveAveragePooling1D"),
            ("AdaptiveAvgPool2d", "AdaptiveAveragePooling2D"),
            ("AdaptiveAvgPool3d", "AdaptiveAveragePooling3D"),
            ("AdaptiveMaxPool1d", "AdaptiveMaxPooling1D"),
            ("AdaptiveMaxPool2d", "AdaptiveMaxPooling2D"),
            ("AdaptiveMaxPool3d", "AdaptiveMaxPooling3D"),
            ("ZeroPad1d", "ZeroPadding1D"),
            ("ZeroPad2d", "ZeroPadding2D"),
            ("ZeroPad3d", "ZeroPadding3D"),
            ("BatchNormalizationV1 BatchNormalizationV2", "BatchNormalization"),
        ),
        **_explain_activation_layers(
            "Sigmoid:sigmoid Tanh:tanh GELU:gelu SiLU:silu Swish:silu SELU:selu CELU:celu Mish:mish "
            "Softplus:softplus Softsign:softsign Hardswish:hard_swish Hardsigmoid:hard_sigmoid "
            "Hardtanh:hard_tanh LogSigmoid:log_sigmoid LogSoftmax:log_softmax Softshrink:soft_shrink "
            "Hardshrink:hard_shrink Tanhshrink:tanh_shrink"
        ),
        "ReLU6": "{type: ReLU, max_value: 6}",
        "SyncBatchNormalization": "{type: BatchNormalization, synchronized: true}",
    },
    "loss": split_names(
        ("MSELoss", "mean_squared_error"),
        ("L1Loss", "mean_absolute_error"),
        ("BCELoss", "binary_crossentropy"),
        ("SmoothL1Loss HuberLoss", "huber"),
        ("kullback_leibler_divergence", "kl_divergence"),
        ("sparse_crossentropy sparse_cross_entropy", "sparse_categorical_crossentropy"),
    )
    | {"BCEWithLogitsLoss": "{type: BinaryCrossentropy, from_logits: true}"},
    "metric": split_names(
        ("rmse root_mean_square_error", "RootMeanSquaredError"),
        ("r2", "R2Score"),
        ("roc_auc auroc", "AUC"),
        ("kullback_leibler_divergence", "KLDivergence"),
        ("sensitivity", "Recall"),
    )
    | {"f1": "{type: F1Score, average: macro}"},
    "activation": split_names(
        ("identity none", "linear"),
        ("lrelu", "leaky_relu"),
    ),
    "initializer": split_names(
        ("xavier_uniform", "glorot_uniform"),
        ("xavier_normal", "glorot_normal"),
        ("kaiming_uniform", "he_uniform"),
        ("kaiming_normal", "he_normal"),
        ("gaussian", "random_normal"),
    ),
    "regularizer": split_names(("activity_l1", "l1"), ("activity_l2", "l2")),
}
"""Kind of type -> old name -> the type, or the whole entry in braces."""

_AS_CUSTOM_LAYER: Final = (
    "Keras 3 does not have it. Write it as a custom layer, and name it as `type: my_layers.py:MyLayer`."
)

EXPLAINED_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "layer": split_names(
        (
            "CategoryCrossing",
            "Write {type: HashedCrossing, num_bins: 1000}, with as many bins as there can be combinations or fewer.",
        ),
        ("LocallyConnected1D LocallyConnected2D Highway MaxoutDense SReLU", _AS_CUSTOM_LAYER),
        ("ParametricSoftplus DenseFeatures PixelShuffle TransformerEncoderLayer", _AS_CUSTOM_LAYER),
        (
            "Sequential Model ModuleList",
            "List its layers under `layers`, or declare them as a block under `blocks`.",
        ),
    ),
    "loss": split_names(
        (
            "CrossEntropyLoss",
            "Write {type: SparseCategoricalCrossentropy, from_logits: true} for class numbers, or "
            "{type: CategoricalCrossentropy, from_logits: true} for one-hot targets.",
        ),
        (
            "cross_entropy softmax_cross_entropy log_loss logloss",
            "Write `sparse_categorical_crossentropy` for class numbers, `categorical_crossentropy` for one-hot targets, or "
            "`binary_crossentropy` for two classes or several labels.",
        ),
        (
            "NLLLoss nll",
            "Write `sparse_categorical_crossentropy`, with `activation: softmax` on the last layer.",
        ),
        ("KLDivLoss", "Write `kl_divergence`, with `activation: softmax` on the last layer."),
        ("PoissonNLLLoss", "Write `poisson`, with `activation: exponential` on the last layer."),
        ("CTCLoss", "Write `ctc`."),
        ("cosine_proximity cosine", "Write `cosine_similarity`, which Keras minimizes too."),
        ("rmse root_mean_squared_error", "Write `mean_squared_error`: it has the same minimum."),
    ),
    "metric": split_names(
        ("cosine_proximity cosine", "Write `cosine_similarity`."),
        ("pr_auc", "Write {type: AUC, curve: PR}."),
        ("matthews_correlation fmeasure", "Write {type: F1Score, average: macro}."),
    ),
    "activation": split_names(("prelu", "Write a layer: {type: PReLU}.")),
    "initializer": split_names(
        ("xavier glorot", "Write `glorot_uniform` or `glorot_normal`."),
        ("kaiming he", "Write `he_uniform` or `he_normal`."),
        ("lecun", "Write `lecun_uniform` or `lecun_normal`."),
    ),
    "data type": split_names(
        *(
            (name, f"Write {{type: sklearn, dataset: {name}}}.")
            for name in ("digits", "iris", "wine", "breast_cancer", "diabetes")
        ),
        (
            "mnist fashion_mnist cifar10 cifar100 imdb reuters boston_housing california_housing kmnist svhn",
            'layercli has no download for it. Save its arrays with `numpy.savez("data.npz", x=x, y=y)`, and write '
            "{type: npz, path: data.npz, features: x, target: y}.",
        ),
        (
            "folder image_folder ImageFolder images_folder image_dir image_directory image_dataset directory dir imagenet "
            "image_dataset_from_directory folder_dataset class_folders",
            "Write {type: images, path: photos, size: [64, 64]} for a folder of images for each class, or "
            "{type: text, path: texts} for one of texts.",
        ),
        (
            "image img picture png jpg jpeg",
            "Write {type: images, path: photos, size: [64, 64]}.",
        ),
        (
            "text_folder text_directory txt text_dataset_from_directory nlp",
            "Write {type: text, path: texts}.",
        ),
        (
            "csv_file csv_files table tabular tsv delimited text_table dataframe pandas pandas_csv file",
            "Write {type: csv, path: table.csv, target: label}; a DataFrame is saved with "
            '`df.to_csv("table.csv", index=False)`.',
        ),
        (
            "excel xlsx xls spreadsheet sql sqlite database",
            "Save the table as a CSV file, and write {type: csv, path: table.csv, target: label}.",
        ),
        (
            "json json_lines ndjson",
            "Write {type: jsonl, path: rows.jsonl, target: label}: the file has an object in each line.",
        ),
        ("arrow ipc", "Write {type: feather, path: table.feather, target: label}."),
        ("parquet_file pq", "Write {type: parquet, path: table.parquet, target: label}."),
        (
            "numpy array arrays numpy_array ndarray npz_file tensor tensors mat matlab hdf5 h5 pickle pkl pt",
            'Save the arrays with `numpy.savez("data.npz", x=x, y=y)`, and write '
            "{type: npz, path: data.npz, features: x, target: y}.",
        ),
        (
            "tfds tensorflow_datasets huggingface hf datasets torchvision torch tfrecord tfrecords tf_data keras builtin "
            "custom function generator audio video wav dataloader dataset",
            "Write a function that returns `(x, y)` as arrays in a file data.py, and {type: python, function: data.py:load}; "
            "run with --trust.",
        ),
        (
            "url http https s3 gcs web remote local",
            "Write the format of the file, such as {type: csv, path: table.csv, target: label}.",
        ),
    ),
    "optimizer": split_names(
        ("RAdam", "Write {type: Adam, learning_rate: 0.001}."),
        ("LBFGS Rprop ASGD", "Keras does not have it. Write `Adam`, for example."),
    ),
}
"""Kind of type -> old name -> a hint, for names that need a decision."""

RENAMED_VALUES: Final = {
    "tf": "channels_last",
    "th": "channels_first",
    "nhwc": "channels_last",
    "nchw": "channels_first",
    "binary": "multi_hot",
}
"""Old option of a key -> the option today, where the key has it."""

_KERAS_MODULES: Final = (
    "layers",
    "optimizers",
    "losses",
    "metrics",
    "callbacks",
    "activations",
    "initializers",
    "regularizers",
    "constraints",
)
_MODULES: Final = (
    *[f"{root}keras.{kind}." for root in ("tf.", "tensorflow.", "") for kind in _KERAS_MODULES],
    *[f"{kind}." for kind in _KERAS_MODULES],
    *("torch.nn.functional.", "torch.nn.", "torch.optim.", "tf.nn.", "nn.", "optim.", "F."),
    *("legacy.", "experimental.", "preprocessing."),
)
"""Modules that code puts before a name, in the order in which they are removed."""


def find_renamed_key(name: str, known_keys: Iterable[str]) -> str | None:
    """Return the key that replaces an old one in a mapping with these keys, or None."""
    found = set(RENAMED_KEYS.get(name, "").split()).intersection(known_keys)
    return found.pop() if len(found) == 1 else None


def explain_key(
    name: str, known_keys: Iterable[str], mapping: Mapping[str, object], title: str
) -> str | None:
    """Return a hint for an old key, or None if the key is not an old name of one.

    Args:
        name: The old key.
        known_keys: The keys that the mapping can have.
        mapping: The mapping that has the key, with its values.
        title: The name of the type of the mapping, such as LSTM.
    """
    new = find_renamed_key(name, known_keys)
    if name == "objective" and new == "loss" and str(mapping.get(name)).startswith("val_"):
        return _explain_monitor(str(mapping[name]))
    if new is not None:
        is_keras_object = not title.startswith(("`", "A ")) and not title.endswith(" data")
        return Suggestion(f"{'Keras calls it' if is_keras_object else 'Write'} `{new}`.", new)
    if title.endswith(" data") and (hint := _explain_data_key(name, list(known_keys), mapping)) is not None:
        return hint
    if title == "`train`" and (hint := _explain_train_key(name, mapping)) is not None:
        return hint
    if name in ARGUMENT_KEYS and isinstance(mapping.get(name), dict) and not title.startswith("`"):
        return f"Write the keys of `{name}` next to `type`, without `{name}`."
    explain = _EXPLAIN_WITH_VALUES.get(name)
    return EXPLAINED_KEYS.get(name) if explain is None else explain(mapping, title)


def _explain_batch_normalization(mapping: Mapping[str, object]) -> str:
    momentum = round(1 - _choose_number(mapping, "momentum", 0.1), 10)
    return (
        f"Write {{type: BatchNormalization, momentum: {momentum}, epsilon: {_format_epsilon(mapping)}}}: "
        "its momentum is 1 minus that of PyTorch."
    )


def _explain_synchronized_normalization(mapping: Mapping[str, object]) -> str:
    momentum = round(1 - _choose_number(mapping, "momentum", 0.1), 10)
    written = f"momentum: {momentum}, epsilon: {_format_epsilon(mapping)}, synchronized: true"
    return f"Write {{type: BatchNormalization, {written}}}: its momentum is 1 minus that of PyTorch."


def _format_epsilon(mapping: Mapping[str, object]) -> str:
    """Return the epsilon of a PyTorch layer as a decimal; without one, PyTorch's default."""
    return f"{_choose_number(mapping, 'eps epsilon', 0.00001):.12f}".rstrip("0")


def _explain_group_normalization(mapping: Mapping[str, object]) -> str:
    groups = _choose_number(mapping, "num_groups groups", 8)
    return f"Write {{type: GroupNormalization, groups: {groups}, epsilon: {_format_epsilon(mapping)}}}."


def _explain_instance_normalization(mapping: Mapping[str, object]) -> str:
    return f"Write {{type: GroupNormalization, groups: -1, epsilon: {_format_epsilon(mapping)}}}."


def _explain_rms_normalization(mapping: Mapping[str, object]) -> str:
    return f"Write {{type: RMSNormalization, epsilon: {_format_epsilon(mapping)}}}."


def _explain_thresholded_relu(mapping: Mapping[str, object]) -> str:
    theta = _choose_number(mapping, "theta threshold", 1.0)
    return f"Write {{type: ReLU, threshold: {theta}}}: `threshold` was called `theta`."


def _explain_upsampling(mapping: Mapping[str, object]) -> str:
    size = _choose_number(mapping, "scale_factor size", 2)
    modes = {"bilinear": "bilinear", "bicubic": "bicubic"}
    mode = modes.get(str(mapping.get("mode")))
    interpolation = f", interpolation: {mode}" if mode else ""
    return f"Write {{type: UpSampling2D, size: {int(size)}{interpolation}}}."


def _explain_reshape(mapping: Mapping[str, object]) -> str:
    sizes = mapping.get("unflattened_size")
    is_list = isinstance(sizes, (list, tuple)) and all(type(size) is int for size in sizes)
    return f"Write {{type: Reshape, target_shape: {format_value(list(sizes)) if is_list else '[8, 8, 1]'}}}."  # type: ignore[call-overload]


def _explain_random_zoom(mapping: Mapping[str, object]) -> str:
    factor = _choose_number(mapping, "factor", 0.2)
    return f"Write {{type: RandomZoom, height_factor: {factor}}}, which keeps the size of the images."


_MERGE_LAYERS: Final = {
    "sum": "Add",
    "mul": "Multiply",
    "concat": "Concatenate",
    "ave": "Average",
    "max": "Maximum",
    "min": "Minimum",
    "dot": "Dot",
}
"""The ``mode`` of Keras 1's Merge -> the layer today."""


def _explain_merge_layer(mapping: Mapping[str, object]) -> str:
    layer = _MERGE_LAYERS.get(str(mapping.get("mode")))
    if layer is None:
        return "Write the layer for its `mode`: Add, Multiply, Average, Maximum, Concatenate or Dot, with `inputs`."
    if layer == "Concatenate":
        return f"Write {{type: Concatenate, axis: {_choose_number(mapping, 'concat_axis', -1)}}} with the same `inputs`."
    if layer == "Dot":
        return f"Write {{type: Dot, axes: {_choose_number(mapping, 'dot_axes', -1)}}} with the same `inputs`."
    return f"Write {{type: {layer}}} with the same `inputs`."


_EXPLAIN_LAYERS_WITH_VALUES: Final[Mapping[str, Callable[[Mapping[str, object]], str]]] = {
    **dict.fromkeys(
        ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LazyBatchNorm2d"), _explain_batch_normalization
    ),
    "SyncBatchNorm": _explain_synchronized_normalization,
    "GroupNorm": _explain_group_normalization,
    **dict.fromkeys(
        ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "InstanceNormalization"),
        _explain_instance_normalization,
    ),
    "RMSNorm": _explain_rms_normalization,
    "ThresholdedReLU": _explain_thresholded_relu,
    "Upsample": _explain_upsampling,
    "Unflatten": _explain_reshape,
    **dict.fromkeys(("RandomHeight", "RandomWidth"), _explain_random_zoom),
    "Merge": _explain_merge_layer,
}
"""Old name of a layer -> a function that returns a hint with the values of its arguments."""

LAYER_EXAMPLES_WITH_VALUES: Final = {
    name: explain({}) for name, explain in _EXPLAIN_LAYERS_WITH_VALUES.items()
}
"""Old name of a layer -> its hint with the defaults of its arguments."""


def explain_type(kind: str, name: str, mapping: Mapping[str, object] | None = None) -> str | None:
    """Return a hint for the old name of a type, such as an optimizer, or None.

    Args:
        kind: The kind of type, such as "layer".
        name: The old name.
        mapping: The entry with its arguments, whose values a hint repeats.
    """
    wanted = normalize_type_name(name)
    explain = _explain_layers_by_key().get(wanted) if kind == "layer" else None
    if explain is not None:
        return explain(mapping or {})
    if (new := _type_names_by_key("renamed", kind).get(wanted)) is not None:
        return Suggestion(f"Write {new}." if new.startswith("{") else f"Keras calls it `{new}`.", new)
    hint = _type_names_by_key("explained", kind).get(wanted)
    if hint is None or kind != "data type" or "path" not in (mapping or {}):
        return hint
    only = _DATA_ENTRY.fullmatch(hint)
    return hint if only is None else Suggestion(f"Write `type: {only[1]}`.", only[1])


_DATA_ENTRY: Final = re.compile(r"Write \{type: (\w+), path: [^}]*\}\.")
"""A hint that is only the entry of a data type with a path; a section that has one needs only the type."""


@cache
def _type_names_by_key(table: Literal["renamed", "explained"], kind: str) -> dict[str, str]:
    """Return the entries of a table of types for one kind, by their names without case and separators."""
    entries = (RENAMED_TYPES if table == "renamed" else EXPLAINED_TYPES).get(kind, {})
    return {normalize_type_name(old): text for old, text in reversed(list(entries.items()))}


@cache
def _explain_layers_by_key() -> dict[str, Callable[[Mapping[str, object]], str]]:
    """Return the functions of old layers, by their names without case and separators."""
    return {normalize_type_name(old): explain for old, explain in _EXPLAIN_LAYERS_WITH_VALUES.items()}


def strip_module(name: str) -> str:
    """Return a name without the module that code puts before it: ``Dense`` for ``tf.keras.layers.Dense``."""
    for prefix in _MODULES:
        name = name.removeprefix(prefix)
    return name


def explain_value(key: str, value: object, options: Collection[object]) -> str | None:
    """Return a hint for the old name of an option of a key, or for PyTorch's padding, or None."""
    if key == "padding" and type(value) is int and "same" in options:
        if value == 0:
            return Suggestion("Keras calls it `valid`.", "valid")
        return "Write `padding: same`, which keeps the size if `strides` is 1."
    new = RENAMED_VALUES.get(value.lower()) if isinstance(value, str) else None
    return Suggestion(f"Keras calls it `{new}`.", new) if new is not None and new in options else None


def explain_monitor(monitor: str, logged_names: Collection[str]) -> str | None:
    """Return a hint for the old name of a logged value, such as ``val_acc``, or None."""
    new = re.sub(r"\bacc$|(?<=^val_)acc$", "accuracy", monitor)
    is_renamed = new != monitor and new in logged_names
    return Suggestion(f"Keras calls it `{new}`.", new) if is_renamed else None

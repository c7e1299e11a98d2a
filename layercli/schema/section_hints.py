"""Keys that people write in the sections of a config, by habit or from other tools, and what to write in their place.

In a hint, ``<1000>`` is an example that is replaced by the number of the key, and ``<Adam>`` by the optimizer next to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from layercli.schema.other_names import split_names

_EXAMPLE: Final = re.compile(r"<([\w.]+)>")
_TYPE_NAME: Final = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)


def fill_examples(hint: str, name: str, mapping: Mapping[str, object]) -> str:
    """Return a hint with what a mapping has for the key, or the optimizer, in place of an example."""

    def replace_example(match: re.Match[str]) -> str:
        value = mapping.get(name if match[1][0].isdigit() else "optimizer")
        is_given = (
            isinstance(value, (int, float)) and not isinstance(value, bool)
            if match[1][0].isdigit()
            else isinstance(value, str) and _TYPE_NAME.fullmatch(value) is not None
        )
        return str(value) if is_given else match[1]

    return _EXAMPLE.sub(replace_example, hint) if "<" in hint else hint  # a fix stays one


_NOT_NEEDED: Final = "Remove it: layercli does not need it."
_INPUT_COLUMNS: Final = (
    "Remove it, and list the columns of the model in `inputs`, such as `inputs: {input: [age, hours]}`."
)
_IN_OPTIMIZER: Final = "It belongs to the optimizer: `train: {{optimizer: {{type: <Adam>, {}}}}}`.".format
_WINDOWS: Final = (
    "Write `windows: {length: 24, horizon: 1}`: 24 rows are an input, and the target is in the next row."
)
_EXPERIMENT: Final = "Remove it; a comment starts with `#`."
_VARIABLES: Final = 'Write `vars: {width: 64}`, and use a variable as "${width}".'
_BASE: Final = "Write `extends: base.yaml`."
_PRETRAINED: Final = (
    "Write it as the first layer, such as {type: MobileNetV2, weights: imagenet, include_top: false}."
)
_OUTPUT_DIRECTORY: Final = (
    "Remove it, and name the directory with `layercli train config.yaml --run-dir DIRECTORY`."
)

CONFIG_HINTS: Final = split_names(
    ("network net architecture", "Write `model`."),
    ("compile", "Write `loss`, `optimizer` and `metrics` under `train:`."),
    ("test evaluate", "Declare the test set in `data`, as `split: {test: 0.2}`."),
    ("seed_everything", "Write `seed`."),
    ("description title author version notes", _EXPERIMENT),
    ("output output_dir log_dir save_dir", _OUTPUT_DIRECTORY),
    ("hyperparameters hparams params variables parameters", _VARIABLES),
    ("include base inherit defaults", _BASE),
    (
        "sweep search space trials objective objectives sampler pruner",
        "Write a sweep in a separate file; `layercli sweep --help` describes it.",
    ),
    (
        "imports custom_objects",
        "Name own code where it is used, such as `type: layers.py:Scale`, and run with --trust.",
    ),
    ("trust", "Remove it, and run with --trust."),
    ("gpu gpus device devices", "Remove it: Keras uses a GPU if there is one."),
    (
        "mlflow wandb tensorboard logging",
        "Write `train: {callbacks: [TensorBoard]}` or `train: {callbacks: [MLflow]}`.",
    ),
)
"""Key at the top of a config -> a hint."""

MODEL_HINTS: Final = split_names(
    ("type sequential functional", "Remove it: a model is its `layers`."),
    ("architecture backbone base base_model pretrained", _PRETRAINED),
    ("weights_path checkpoint", "Write `weights: FILE`."),
    ("output_shape num_classes", "Remove it: the `units` of the last layer are the number of outputs."),
    (
        "activation dropout hidden hidden_layers units head encoder decoder",
        "Write layers, such as `layers: [{type: Dense, units: 64, activation: relu}]`.",
    ),
    ("compile", "Write `loss`, `optimizer` and `metrics` under `train:`."),
    ("blocks vars", "It belongs to the config, next to `model:`."),
)
"""Key of ``model`` -> a hint."""

TRAIN_HINTS: Final = split_names(
    ("max_steps steps iterations", "Write `until: {steps: <1000>}`, next to `epochs`."),
    ("max_time timeout", "Write `until: {minutes: <30>}`, next to `epochs`."),
    ("loss_function cost", "Write `loss`."),
    (
        "save_best checkpoint save_best_only",
        "Write `callbacks: [{type: EarlyStopping, restore_best_weights: true}]`.",
    ),
    ("checkpoint_dir save_dir output output_dir", _OUTPUT_DIRECTORY),
    ("log_dir logs tensorboard", "Write `callbacks: [TensorBoard]`."),
    ("mlflow", "Write `callbacks: [MLflow]`."),
    ("wandb", "Remove it; MLflow and TensorBoard are supported, such as `callbacks: [MLflow]`."),
    (
        "gpu gpus device devices",
        "Remove it: Keras uses a GPU if there is one. For several, write `distribution: mirrored`.",
    ),
    ("log_every log_interval validation_freq", _NOT_NEEDED),
    ("bs", "Write `batch_size`."),
    ("clip_norm", _IN_OPTIMIZER("global_clipnorm: <1.0>")),
    ("gradient_accumulation_steps", _IN_OPTIMIZER("gradient_accumulation_steps: <4>")),
    ("swa", _IN_OPTIMIZER("use_ema: true")),
    ("logger", "Write `callbacks: [TensorBoard]` or `callbacks: [MLflow]`."),
    ("save_every save_freq", "Write `checkpoints: {epochs: 1}`."),
    ("reduce_lr", "Write `callbacks: [{type: ReduceLROnPlateau, patience: <5>}]`."),
    (
        "label_smoothing",
        "It belongs to the loss, such as `loss: {type: CategoricalCrossentropy, label_smoothing: <0.1>}`.",
    ),
    (
        "from_logits",
        "It belongs to the loss, such as `loss: {type: SparseCategoricalCrossentropy, from_logits: true}`.",
    ),
    ("strategy multi_gpu", "Write `distribution: mirrored` for all GPUs of this machine."),
    ("jit_compile", "Write `execution: {jit_compile: true}`."),
    ("num_workers prefetch", _NOT_NEEDED),
    ("precision mixed_precision amp fp16", "Write `dtype: mixed_float16` under `model:`."),
    ("weight_decay", _IN_OPTIMIZER("weight_decay: <0.01>")),
    ("clipnorm clip", _IN_OPTIMIZER("global_clipnorm: <1.0>")),
    (
        "accumulate gradient_accumulation accumulate_grad_batches",
        _IN_OPTIMIZER("gradient_accumulation_steps: <4>"),
    ),
    ("ema", _IN_OPTIMIZER("use_ema: true")),
    (
        "scheduler lr_scheduler lr_schedule schedule learning_rate_schedule",
        _IN_OPTIMIZER("learning_rate: {type: CosineDecay, initial_learning_rate: 0.001, decay_steps: 1000}"),
    ),
    (
        "warmup warmup_steps",
        _IN_OPTIMIZER(
            "learning_rate: {type: CosineDecay, initial_learning_rate: 0.0, decay_steps: 1000, warmup_target: 0.001, "
            "warmup_steps: 100}"
        ),
    ),
    ("deterministic", "Remove it: a training on a CPU repeats itself exactly with the same `seed`."),
    ("balanced balance", "Write `class_weight: balanced`."),
    ("monitor mode", "It is an argument of a callback, such as {type: EarlyStopping, monitor: val_loss}."),
    ("resume resume_from", "Remove it, and continue a run with `layercli train --resume RUN`."),
    (
        "l1 l2 regularization",
        "Write it at a layer, such as {type: Dense, units: 64, kernel_regularizer: l2}.",
    ),
    ("dropout", "Write a layer, such as {type: Dropout, rate: <0.5>}."),
    (
        "augment augmentation",
        "Write layers at the start of the model, such as RandomFlip and {type: RandomRotation, factor: 0.1}.",
    ),
)
"""Key of ``train`` -> a hint."""

SPLIT_HINTS: Final = split_names(
    ("train", "Remove it: the training set contains all remaining examples, or the files of `path`."),
    ("train_size ratio", "Remove it: the training set contains all remaining examples."),
    ("groups", "Write `group`, and the name of one column."),
    (
        "k folds n_splits cv kfold",
        "Remove it, and train on each fold with `layercli crossval config.yaml --folds <5>`.",
    ),
    ("random_state seed random_seed", "Write `seed` at the top of the config, outside of `data`."),
    ("shuffle", "Write `shuffle` in `data`, next to `split`."),
    (
        "time date time_column date_column by method strategy",
        "Write `order: COLUMN`: the last rows in this order are the test set.",
    ),
    ("eval", "Write `test: <0.2>`."),
    ("dev val_size validation_size", "Write `validation: <0.1>`."),
    ("holdout", "Write `test: <0.2>`."),
)
"""Key of ``split`` -> a hint."""

WINDOWS_HINTS: Final = split_names(
    (
        "size window window_size lookback look_back sequence_length seq_len timesteps n_steps",
        "Write `length`.",
    ),
    ("step shift", "Write `stride`."),
    (
        "ahead steps_ahead forecast lookahead",
        "Write `horizon: 5` for one row that follows 5 rows later, or `steps: 5` for the next 5 rows.",
    ),
    ("group groups stations by_column series", "Write `by: COLUMN`."),
    ("column date datetime date_column time_column timestamp", "Write `time: COLUMN`."),
    ("overlap", "Write `stride`: the rows from the start of a sequence to the next."),
)
"""Key of ``windows`` -> a hint."""

MISSING_HINTS: Final = split_names(
    (
        "strategy method fill value default number median mean",
        "Write `numbers: median`, or mean, zero, drop or refuse.",
    ),
    ("drop dropna", "Write `numbers: drop`, or `columns: {COLUMN: drop}`."),
    ("words na_values markers", "Write `values: [default, unknown]`."),
    ("categorical text category", "Write `texts: unknown`."),
)
"""Key of ``missing`` -> a hint."""

_PREPROCESSING: Final = split_names(
    (
        "normalize standardize scale rescale scaler normalization",
        "Remove it, and write a layer: Normalization, or {type: Rescaling, scale: 0.00392157} for pixels.",
    ),
    (
        "augment augmentation",
        "Remove it, and write layers, such as RandomFlip and {type: RandomRotation, factor: 0.1}.",
    ),
    ("num_workers cache prefetch buffer_size shuffle_buffer", _NOT_NEEDED),
    ("class_weight class_weights balance balanced", "Write `class_weight: balanced` in `train`."),
    ("classes num_classes class_names", "Remove it: the data has the classes."),
    ("input_shape", "Write `input` in `model`."),
)

TABLE_HINTS: Final = _PREPROCESSING | split_names(
    (
        "sequence sequence_length seq_len seq_length lookback look_back timesteps time_steps window window_size n_steps lags "
        "horizon",
        _WINDOWS,
    ),
    ("drop drop_columns ignore ignore_columns exclude exclude_columns", _INPUT_COLUMNS),
    ("nrows limit max_rows sample", "Remove it: all rows are read. For fewer, save a smaller file."),
    ("parse_dates date_columns", "Write `dates: {COLUMN: [year, month, weekday]}`."),
    ("x numeric numerical", _INPUT_COLUMNS),
    ("train_test_split", "Write `split: {test: 0.2}`."),
    ("fillna impute imputation imputer", "Write `missing: {numbers: median}`."),
    (
        "categorical categorical_columns categories cat_features one_hot onehot encode",
        "Remove it: `layercli init FILE` writes a model with an input and a StringLookup for each column of texts.",
    ),
    (
        "multilabel multi_label tags",
        'Write `label_separators: {COLUMN: ";"}` with the target, if its values list several labels.',
    ),
    (
        "train train_path train_file",
        "Write `path`, and the files of the other sets as `split: {test: test.csv}`.",
    ),
    ("val_path val_file validation_path", "Write `split: {validation: FILE}`."),
    ("test_path test_file", "Write `split: {test: FILE}`."),
)
"""Key of a table -> a hint."""

CSV_HINTS: Final = TABLE_HINTS | split_names(
    ("names column_names", "Write `columns`, if the file has no names in its first line."),
    ("quotechar quoting", 'Remove it: a value in " may contain the separator.'),
)
"""Key of a CSV file -> a hint."""

IMAGES_HINTS: Final = _PREPROCESSING | split_names(
    ("height width img_height img_width resize", "Write `size: [HEIGHT, WIDTH]`."),
    (
        "color_mode colour_mode grayscale greyscale gray grey rgb",
        "Write `channels: 1` for gray, or `channels: 3` for color.",
    ),
    ("extension extensions format", "Remove it: the suffix of a file decides."),
    ("crop", "Remove it, and write a layer, such as {type: CenterCrop, height: 64, width: 64}."),
    (
        "label labels_csv labels_file csv",
        "Write `labels: {path: labels.csv, file: filename, target: label}`.",
    ),
    ("mask mask_path mask_dir segmentation", "Write `masks: {path: masks}`."),
    ("label_mode interpolation subset", _NOT_NEEDED),
    (
        "transform transforms",
        "Remove it, and write layers, such as RandomFlip and {type: Rescaling, scale: 0.00392157}.",
    ),
    ("mean std", "Remove it, and write the layer Normalization, which learns them."),
    (
        "bbox boxes annotations coco",
        "Object detection is not supported; `labels` has one target for each image.",
    ),
)
"""Key of images -> a hint."""

TEXT_HINTS: Final = _PREPROCESSING | split_names(
    ("text texts text_column", "Write `column`."),
    (
        "tokenizer max_length maxlen sequence_length vocab_size max_tokens lowercase stopwords",
        "It belongs to the layer, such as {type: TextVectorization, max_tokens: 10000, output_sequence_length: 100}.",
    ),
    ("language", _NOT_NEEDED),
)
"""Key of texts -> a hint."""

ARRAYS_HINTS: Final = _PREPROCESSING | split_names(
    ("key keys array", "Write the names of arrays as `features: x` and `target: y`."),
    ("shape reshape", "Remove it, and write a layer, such as {type: Reshape, target_shape: [28, 28, 1]}."),
    ("dtype", "Remove it: the array has a dtype."),
    ("one_hot onehot", "Remove it: `categorical_crossentropy` makes one-hot vectors of class numbers."),
    (
        "x_test y_test x_val y_val X_test X_val",
        "Save these arrays in a separate file with the same names, and write `split: {test: FILE}`.",
    ),
)
"""Key of arrays -> a hint."""

_OBJECTIVE: Final = "Write `objective: {metric: val_accuracy, direction: maximize}`."

SWEEP_HINTS: Final = split_names(
    ("memory", "Write `limits: {memory_mib: 512}`."),
    ("metric monitor direction mode goal maximize minimize optimize target", _OBJECTIVE),
    ("config model_config", "Write `base: config.yaml`."),
    (
        "parameters search_space params hyperparameters",
        "Write `space: {train.batch_size: {choice: [16, 32]}}`.",
    ),
    ("n_trials num_trials max_trials count run_cap num_samples budget", "Write `trials: <50>`."),
    ("method algorithm search_alg strategy", "Write `sampler: RandomSampler` or `sampler: TPESampler`."),
    ("early_terminate scheduler", "Write `pruner: MedianPruner` or `pruner: HyperbandPruner`."),
    ("jobs", "It is an option of the command: `--jobs 4`."),
    ("storage", "It is an option of the command: `--storage postgresql://...`."),
)
"""Key of a sweep file -> a hint."""

OBJECTIVE_HINTS: Final = split_names(
    (
        "name monitor value key target",
        "Write `metric: val_accuracy`, with the name of a value that training logs.",
    ),
    (
        "goal mode order maximize minimize",
        "Write `direction: maximize` or `direction: minimize`, next to `metric`.",
    ),
)
"""Key of ``objective`` -> a hint."""

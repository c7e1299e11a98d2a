"""The config of an averaged model: renamed copies of the layers of each fold, and the average of their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from layercli.check import ValidConfig
from layercli.config.model import MAX_LAYERS
from layercli.errors import LayercliError, Problem
from layercli.graph.build import GraphNode, format_reference
from layercli.source.nodes import KeyPath

_OUTPUTS_PATH: Final[KeyPath] = ("model", "outputs")
_TRAINING_KEYS: Final = ("callbacks", "diagnostics", "checkpoints", "stages", "until")
"""Keys of `train` that act only during a training."""
_TRAINED_KEYS: Final = ("weights", "freeze", "lora_rank")
"""Keys of `model` that act only during a training."""
_OUTPUT_KEYS: Final = ("loss", "loss_weights", "metrics", "weighted_metrics")
_AVERAGE: Final = "average"


def branch_prefix(number: int) -> str:
    """Return what the names of the layers of a fold start with in the averaged model; folds are numbered from 1."""
    return f"fold{number}."


def require_averageable(valid: ValidConfig, *, count: int) -> None:
    """Check that the outputs of models of this config have an average, and that ``count`` models fit into a config.

    Raises:
        LayercliError: They have none. Contains every problem.
    """
    problems = [*_find_output_problems(valid)]
    layers = count * len(valid.graph.nodes) + len(valid.graph.outputs)
    if layers > MAX_LAYERS:
        message = (
            f"The average of {count} models has {layers:,} layers, but a model has at most {MAX_LAYERS:,}."
        )
        hint = "Use fewer folds or repetitions."
        problems.append(valid.make_problem(("model", "layers"), "no-average", message, hint))
    if problems:
        raise LayercliError(problems)


def _find_output_problems(valid: ValidConfig) -> Sequence[Problem]:
    """Return a problem for each output that cannot be averaged."""
    problems = []
    by_name = {node.name: node for node in valid.graph.nodes}
    for name, pick in zip(valid.graph.outputs, valid.graph.output_indices, strict=True):
        reference = format_reference(name, pick)
        if name not in by_name:
            message = (
                f"The output `{reference}` is an input of the model, so the folds have nothing to average."
            )
            problems.append(
                valid.make_problem(_OUTPUTS_PATH, "no-average", message, "Name a layer as the output.")
            )
            continue
        outputs = valid.shapes.by_name[name].outputs
        tensor = outputs[pick or 0] if (pick or 0) < len(outputs) else None
        path = by_name[name].path
        if pick is not None or len(outputs) > 1:
            message = f"`{reference}` is one of several outputs of a layer, so its average cannot have the same name."
            hint = f"Add `{{type: Identity, name: NAME, inputs: {reference}}}`, and make it the output."
            problems.append(valid.make_problem(path, "no-average", message, hint))
        elif tensor is not None and not tensor.dtype.startswith(("float", "bfloat")):
            message = f"The output `{reference}` has dtype {tensor.dtype}, and the average of such values has no meaning."
            hint = "Let the model return probabilities or numbers, without the layer that makes integers or texts of them."
            problems.append(valid.make_problem(path, "no-average", message, hint))
    return problems


def make_ensemble_document(folds: Sequence[ValidConfig]) -> dict[str, Any]:
    """Return the config, as YAML values, of the model that averages these configs of the same model."""
    document = folds[0].to_resolved_dict(is_for_run=True)
    layers = [
        _rename_entry(entry, node, branch_prefix(number), fold.graph.inputs)
        for number, fold in enumerate(folds, start=1)
        for entry, node in zip(
            fold.to_resolved_dict(is_for_run=True)["model"]["layers"], fold.graph.nodes, strict=True
        )
    ]
    output_names = _name_outputs(folds[0], document["train"])
    for name, output_name in output_names.items():
        inputs = [f"{branch_prefix(number)}{name}" for number in range(1, len(folds) + 1)]
        dtype = folds[0].shapes.by_name[name].outputs[0].dtype
        layers.append({"type": "Average", "name": output_name, "inputs": inputs, "dtype": dtype})
    frozen = [
        f"{branch_prefix(number)}{node.name}"
        for number, fold in enumerate(folds, start=1)
        for node in fold.graph.nodes
        if fold.config.model.freeze and node.reuse_of is None and not node.layer.is_trainable
    ]
    model = {key: value for key, value in document["model"].items() if key not in _TRAINED_KEYS}
    train = {key: value for key, value in document["train"].items() if key not in _TRAINING_KEYS}
    split = {"validation": 0, "test": 0}  # each example was in the training set of a fold
    return {
        **document,
        "name": f"{document['name']}-ensemble",
        "data": {**document["data"], "split": split},
        "model": {**model, "layers": layers, "outputs": list(output_names.values()), "freeze": frozen},
        "train": train,
    }


def _name_outputs(valid: ValidConfig, train: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of the average of each output.

    Keys of losses, metrics and targets use the names of outputs, so they stay. The only output has no such keys: it is
    named as Keras would, because a name such as `dense_2` is also that of another layer in a script.
    """
    names = {name: name for name in valid.graph.outputs}
    has_keys = any(isinstance(train.get(key), dict) and "type" not in train[key] for key in _OUTPUT_KEYS)
    is_free = _AVERAGE not in valid.graph.inputs
    return {valid.graph.outputs[0]: _AVERAGE} if len(names) == 1 and not has_keys and is_free else names


def _rename_entry(
    entry: Mapping[str, Any], node: GraphNode, prefix: str, model_inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a resolved layer entry with a prefix before all names of layers; each input is written out."""
    sources = [
        format_reference(name if name in model_inputs else f"{prefix}{name}", pick)
        for name, pick in zip(node.inputs, node.input_indices, strict=True)
    ]
    inputs = sources if node.input_keys is None else dict(zip(node.input_keys, sources, strict=True))
    renamed = {**entry, "name": f"{prefix}{node.name}", "inputs": inputs}
    return {**renamed, "reuse": f"{prefix}{node.reuse_of}"} if node.reuse_of is not None else renamed

"""Random layers on real inputs: the check accepts what Keras runs, and knows shapes, dtypes and dropped masks."""

import random
import re
import warnings

import pytest
import tensorflow as tf

from layercli.check import ValidConfig
from layercli.engine.adapt import to_tensor
from layercli.engine.assemble import assemble_model, call_layer, select_output
from layercli.engine.comparison_inputs import random_inputs
from layercli.errors import LayercliError
from tests.stacks_text import checked_layers

SEQUENCE_LAYERS = [
    {"type": "LSTM", "units": 4, "return_sequences": True},
    {"type": "GRU", "units": 4, "return_sequences": True, "dropout": 0.2},
    {"type": "Bidirectional", "layer": {"type": "LSTM", "units": 2, "return_sequences": True}},
    {"type": "TimeDistributed", "layer": {"type": "Dense", "units": 4}},
    {"type": "TimeDistributed", "layer": "Softmax"},
    {"type": "SpectralNormalization", "layer": {"type": "Dense", "units": 4}},
    {"type": "Conv1D", "filters": 4, "kernel_size": 2},
    {"type": "MaxPooling1D", "pool_size": 2},
    {"type": "AveragePooling1D", "pool_size": 2},
    {"type": "EinsumDense", "equation": "abc,cd->abd", "output_shape": [None, 4]},
    {"type": "EinsumDense", "equation": "ab,bc->ac", "output_shape": 4},
    {"type": "Activation", "activation": "relu"},
    {"type": "Activation", "activation": "gelu"},
    {"type": "Dropout", "rate": 0.5},
    {"type": "Rescaling", "scale": 0.5},
    {"type": "Reshape", "target_shape": [-1, 2]},
    *("BatchNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization", "Masking"),
    *("Softmax", "PReLU", "ZeroPadding1D", "UpSampling1D", "Identity", "GlobalMaxPooling1D"),
]
MERGES = [
    *("Add", "Multiply", "Concatenate", "Attention", "AdditiveAttention"),
    {"type": "Attention", "score_mode": "concat", "use_causal_mask": True},
    {"type": "MultiHeadAttention", "num_heads": 2, "key_dim": 2},
    {"type": "MultiHeadAttention", "num_heads": 2, "key_dim": 2, "use_causal_mask": True, "dropout": 0.1},
    {"type": "GroupQueryAttention", "head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1},
]
STARTS = [
    ("int32", {"type": "Embedding", "input_dim": 100, "output_dim": 4, "mask_zero": True}),
    ("int32", {"type": "RepeatVector", "n": 3}),
    ("string", {"type": "Hashing", "num_bins": 9, "output_mode": "multi_hot"}),
    ("string", {"type": "StringLookup", "vocabulary": ["a", "the"], "output_mode": "one_hot"}),
    ("bool", {"type": "Reshape", "target_shape": [3, 2]}),
    ("float32", {"type": "Reshape", "target_shape": [3, 2]}),
]


def draw_stack(seed):
    """Return a dtype and layers; the first one makes a sequence."""
    draw = random.Random(seed)
    dtype, first = draw.choice(STARTS)
    layers = [{**first, "name": "layer0"}]
    for number in range(1, draw.randint(2, 4)):
        is_merge = draw.random() < 0.25
        value = draw.choice(MERGES if is_merge else SEQUENCE_LAYERS)
        layer = {"type": value} if isinstance(value, str) else dict(value)
        names = [each["name"] for each in layers]
        wiring = {"inputs": [draw.choice(names), draw.choice(names)]} if is_merge else {}
        layers.append({**layer, "name": f"layer{number}", **wiring})
    return dtype, layers


def run_in_keras(valid):
    """Return the output shapes of each layer and the layers that drop a mask; raise what Keras raises."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layers = assemble_model(valid).layers
        for is_training in (True, False):
            values = {name: to_tensor(x) for name, x in random_inputs(valid, batch_size=2).items()}
            for node in valid.graph.nodes:
                sources = zip(node.inputs, node.input_indices, strict=True)
                inputs = [select_output(values[name], pick) for name, pick in sources]
                values[node.name] = call_layer(layers[node.name], node, inputs, training=is_training)
    found = [re.match(r"Layer '(layer\d)' .*does not support masking", str(each.message)) for each in caught]
    return {name: tuple(x.shape) for name, x in values.items()}, {match[1] for match in found if match}


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_check_agrees_with_real_runs(first):
    for seed in range(first, first + 20):
        dtype, layers = draw_stack(seed)
        found = checked_layers(layers, dtype)
        errors = [problem for problem in found.problems if problem.severity == "error"]
        shown = f"{seed}: {dtype} {layers} {[problem.message for problem in errors]}"
        try:
            shapes, dropping = run_in_keras(ValidConfig(found, found.config, found.shapes))
        except (LayercliError, ValueError, TypeError, tf.errors.OpError):
            assert errors, shown
            continue
        assert not errors, shown
        for row in found.shapes.rows:
            assert row.matches_forward([shapes[row.node.name]]), shown
        warned = {each.message.split("`")[1] for each in found.problems if each.code == "dropped-mask"}
        assert warned == {name for name in dropping if not is_spectral(layers, name)}, shown


def is_spectral(layers, name):
    """Return whether the layer passes the mask on although Keras warns about it."""
    return any(each["name"] == name and each["type"] == "SpectralNormalization" for each in layers)

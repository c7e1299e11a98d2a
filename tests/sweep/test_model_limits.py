"""Sizes of models and exceeded limits, compared with sizes calculated by hand."""

import math

import pytest

from layercli.check import check_config, require_valid
from layercli.sweep.model_limits import (
    compute_constraints,
    describe_exceeded,
    find_exceeded_limits,
    measure_model,
)

SIZES = {"parameters": 67, "flops": None, "memory_mib": 0.25}


def test_sizes_of_two_dense_layers(iris):
    sizes = measure_model(require_valid(check_config(str(iris))))
    # 4 inputs, 8 units, 3 units; biases, activations and the batch of 32 as the layers have them
    assert sizes["parameters"] == (4 * 8 + 8) + (8 * 3 + 3)
    assert sizes["flops"] == 2 * (4 * 8 + 8 * 3)


@pytest.mark.parametrize(
    ("train", "mib"),
    [("", 1.915), ("train: {loss: mse, batch_size: 64}\n", 2.036)],  # (501,502 + n * 502) * 4 / 2**20
)
def test_memory_is_that_of_the_weights_and_the_outputs_of_a_batch(train, mib):
    layers = "[{type: Dense, units: 500, name: a}, {type: Dense, units: 2}]"
    text = f"model: {{input: [1000], layers: {layers}}}\n{train}"
    assert measure_model(require_valid(check_config("x.yaml", text=text)))["memory_mib"] == mib


def test_memory_of_unknown_layers_is_unknown():
    text = "model: {input: [4], layers: [{type: 'own.py:Own', output_shape: [4]}]}\n"
    assert measure_model(require_valid(check_config("x.yaml", text=text)))["memory_mib"] is None


def test_only_larger_sizes_exceed_a_limit():
    limits = {"parameters": 66, "flops": 1, "memory_mib": 0.25}
    assert find_exceeded_limits(limits, SIZES) == [("parameters", 67, 66)]
    assert find_exceeded_limits({"parameters": 67}, SIZES) == []
    assert find_exceeded_limits(limits, SIZES)[0].as_json() == {
        "limit": "parameters",
        "value": 67,
        "maximum": 66,
    }


def test_constraints_are_positive_only_above_the_limit():
    found = compute_constraints({"parameters": 67, "flops": 1, "memory_mib": 0.125}, SIZES)
    assert found == pytest.approx({"parameters": 0, "flops": 0, "memory_mib": math.log(2)})


def test_sentence_about_an_exceeded_limit():
    assert describe_exceeded("flops", 12345, 10000) == "12,345 FLOPs exceed the limit of 10,000."
    assert describe_exceeded("memory_mib", 1.5, 1) == "1.5 MiB of memory exceed the limit of 1."

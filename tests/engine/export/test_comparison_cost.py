"""Limits of the comparison of an export with the original model."""

import numpy as np
import pytest

from layercli.check import ValidConfig, check_config, require_valid
from layercli.engine.comparison_inputs import ComparisonCase
from layercli.engine.export.comparison_cost import choose_affordable_cases, estimate_case_costs

_MEMORY = 20 << 30


def make_cases(layers: str, shape: str, *, length: int = 1) -> tuple[ValidConfig, list[ComparisonCase]]:
    """Return the config and its cases: batches of 32, 1 and 7 examples, and an edge case of 7."""
    text = f"model: {{input: {shape}, layers: [{layers}]}}"
    valid = require_valid(check_config("model.yaml", text=text))
    [x] = valid.graph.inputs.values()
    sizes = [length if size is None else size for size in x.shape[1:]]

    def make_batch(rows: int) -> dict[str, np.ndarray]:
        return {"input": np.broadcast_to(np.float32(0), (rows, *sizes))}  # it takes no memory

    cases = [ComparisonCase("examples", make_batch(rows), True, 32) for rows in (32, 1, 7)]
    return valid, [*cases, ComparisonCase("zeros", make_batch(7))]


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ("{type: ResNet50, weights: null}", "[224, 224, 3]"),
        ("{type: ConvNeXtXLarge, weights: null}", "[224, 224, 3]"),
        ("{type: LSTM, units: 64}", "[5000, 16]"),
        ("{type: LSTM, units: 2048}", "[100, 300]"),
    ],
)
def test_honest_models_are_compared_on_all_examples(layers: str, shape: str) -> None:
    valid, cases = make_cases(layers, shape)
    assert choose_affordable_cases(valid, cases, _MEMORY) == (cases, None)


def test_batches_that_need_too_much_memory_are_left_out() -> None:
    convolution = "{type: Conv2D, filters: 64, kernel_size: 3, padding: same}"
    valid, cases = make_cases(", ".join([convolution] * 3), "[512, 512, 3]")
    kept, excess = choose_affordable_cases(valid, cases, _MEMORY)
    assert excess is None
    assert [(case.name, len(case.inputs["input"]), case.examples) for case in kept] == [
        ("examples", 1, 7),
        ("examples", 7, 7),
        ("zeros", 7, 0),
    ]
    assert choose_affordable_cases(valid, cases, 100 << 20) == (
        [],
        "it needs 40.4 GiB for the outputs of the layers, and the limit is 0.0977 GiB",
    )


@pytest.mark.parametrize(
    ("layers", "shape", "reason"),
    [
        (
            "{type: LSTM, units: 1}",
            "[70000, 1]",
            "it has 700,000 timesteps in loops, and the limit is 500,000",
        ),
        (
            "{type: Dense, units: 100000}, {type: Dense, units: 10}",
            "[8000000]",
            "operations, and the limit is 5.0e+13",
        ),
    ],
)
def test_comparison_of_costly_models_is_left_out(layers: str, shape: str, reason: str) -> None:
    valid, cases = make_cases(layers, shape)
    kept, excess = choose_affordable_cases(valid, cases, None)
    assert kept == []
    assert excess is not None
    assert reason in excess


def test_unknown_axes_have_the_length_of_the_examples() -> None:
    valid, cases = make_cases("{type: LSTM, units: 1}", "[null, 1]", length=1234)
    # The original and the export; for an edge case, also twice the original with changed inputs.
    assert [cost.loop_steps for cost in estimate_case_costs(valid, cases)] == [2468, 2468, 2468, 4936]


def test_weights_and_initializers_cost_nothing() -> None:
    layers = "{type: Dense, units: 2000, kernel_initializer: orthogonal, use_bias: false}"
    valid, cases = make_cases(layers, "[2000]")
    cost = estimate_case_costs(valid, cases)[1]
    assert cost.operations < 2000**3  # the initializer would take that number
    assert cost.weight_bytes == 0


def test_no_cases_have_no_cost() -> None:
    valid, _ = make_cases("{type: Dense, units: 1}", "[1]")
    assert choose_affordable_cases(valid, [], _MEMORY) == ([], None)

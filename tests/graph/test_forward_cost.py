"""Limits of forward passes that only compare shapes or outputs."""

import pytest

from layercli.check import check_config, require_valid
from layercli.graph.forward_cost import ForwardCost, estimate_forward_cost
from layercli.workflows.build import check_forward_pass
from layercli.workflows.preflight import check_memory


def find_excess(layers: str, shape: str) -> str | None:
    valid = require_valid(check_config("model.yaml", text=f"model: {{input: {shape}, layers: [{layers}]}}"))
    return estimate_forward_cost(valid.shapes, 2).find_excess()


@pytest.mark.parametrize(
    ("layers", "shape", "reason"),
    [
        ("{type: LSTM, units: 1}", "[1000000, 1]", "it has 1,000,000 timesteps"),
        ("{type: Bidirectional, layer: {type: GRU, units: 1}}", "[20000, 1]", "it has 40,000 timesteps"),
        ("{type: TimeDistributed, layer: {type: SimpleRNN, units: 1}}", "[200, 200, 1]", "40,000 timesteps"),
        ("{type: ConvLSTM1D, filters: 1, kernel_size: 1}", "[31000, 1, 1]", "it has 31,000 timesteps"),
        (
            "{type: RNN, cell: [{type: LSTMCell, units: 1}, {type: GRUCell, units: 1}]}",
            "[20000, 1]",
            "40,000 timesteps",
        ),
        ("{type: RepeatVector, n: 500000000}", "[1]", "3.7 GiB for the outputs"),
        (
            "{type: MultiHeadAttention, num_heads: 8, key_dim: 1, inputs: [input, input]}",
            "[20000, 1]",
            "47.7 GiB for the outputs",
        ),
        ("{type: MobileNetV2, weights: null}", "[4096, 4096, 3]", "38.6 GiB for the outputs"),
        ("{type: Dense, units: 1000000}", "[1000000]", "4.0e+12 operations"),
        ("{type: MaxPooling2D, pool_size: 2000, strides: 1, padding: same}", "[2000, 2000, 1]", "operations"),
    ],
)
def test_small_configs_cannot_cost_much(layers: str, shape: str, reason: str) -> None:
    excess = find_excess(layers, shape)
    assert excess is not None
    assert reason in excess


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ("{type: ResNet50, weights: null}", "[224, 224, 3]"),
        ("{type: ResNet50, weights: null}", "[1024, 1024, 3]"),
        ("{type: LSTM, units: 64}", "[5000, 16]"),
        ("{type: MultiHeadAttention, num_heads: 12, key_dim: 64, inputs: [input, input]}", "[512, 768]"),
        ("{type: Conv2D, filters: 64, kernel_size: 3, padding: same}", "[1024, 1024, 3]"),
    ],
)
def test_honest_models_are_within_the_limits(layers: str, shape: str) -> None:
    assert find_excess(layers, shape) is None


def test_outputs_without_later_readers_are_released() -> None:
    layers = "{type: ReLU, name: a}, {type: ReLU}, {type: ReLU}, {type: ReLU}"
    text = f"model: {{input: [1000], layers: [{layers}, {{type: Add, inputs: [a, previous]}}]}}"
    shapes = require_valid(check_config("model.yaml", text=text)).shapes
    live, all_held = (
        estimate_forward_cost(shapes, 2, should_hold_all=is_held).memory_bytes for is_held in (False, True)
    )
    assert live == 8000 * (1 + 3)  # the input; `a` with the input and the output of a layer
    assert all_held == 8000 * (1 + 5)


def test_limits_themselves_are_allowed() -> None:
    assert ForwardCost(1_500_000_000_000, 20_000, 3 << 30).find_excess() is None


def test_costly_forward_pass_is_left_out_with_a_warning() -> None:
    text = "model: {input: [40000, 1], layers: [{type: LSTM, units: 1}]}"
    _, forward, [warning] = check_forward_pass(require_valid(check_config("model.yaml", text=text)))
    assert forward is None
    assert (warning.code, warning.severity) == ("not-compared", "warning")
    assert warning.message == (
        "The shapes were not compared with a forward pass: it has 40,000 timesteps in loops, and the limit is 20,000."
    )


@pytest.mark.parametrize(("channels", "is_refused"), [(1, True), (3, False)])
def test_windows_that_abort_onednn_are_refused(
    channels: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("layercli.workflows.preflight.read_memory_limit", lambda: 16 << 30)
    text = f"model: {{input: [64, 64, {channels}], layers: [{{type: Conv2D, filters: 1, kernel_size: 200, padding: same}}]}}"
    problem = check_memory(require_valid(check_config("model.yaml", text=text)), copies=1)
    assert (problem is not None) == is_refused

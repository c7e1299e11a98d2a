"""Limits of forward passes that only compare shapes or outputs."""

import pytest

from layercli.check import check_config, require_valid
from layercli.graph.forward_cost import ForwardCost, count_convolution_scratch, estimate_forward_cost
from layercli.workflows.build import check_forward_pass
from layercli.workflows.preflight import check_memory


def find_excess(layers: str, shape: str) -> str | None:
    text = f"model: {{inputs: {{x: {shape}}}, layers: [{layers}]}}".replace("[input, input]", "[x, x]")
    valid = require_valid(check_config("model.yaml", text=text))
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
        ("{type: RepeatVector, n: 500000000}", "[1]", "7.5 GiB for the outputs"),
        (
            "{type: MultiHeadAttention, num_heads: 8, key_dim: 1, inputs: [input, input]}",
            "[20000, 1]",
            "47.7 GiB for the outputs",
        ),
        ("{type: MobileNetV2, weights: null}", "[4096, 4096, 3]", "38.6 GiB for the outputs"),
        ("{type: Dense, units: 2000000}", "[1000000]", "8.0e+12 operations"),
        ("{type: CategoryEncoding, num_tokens: 200000}", "[1200]", "for the outputs"),
        ("{type: AdaptiveAveragePooling3D, output_size: [500000, 3, 5]}", "[5, 8, 8, 3]", "for the outputs"),
        ("{type: ContrastLimitedAdaptiveHistogramEqualization}", "[1024, 1024, 3]", "for the outputs"),
        ("{type: TimeDistributed, layer: {type: Dense, units: 92054}}", "[205, 8, 8]", "for the outputs"),
        ("{type: Dense, units: 4, activation: sparsemax}", "[50000000, 1]", "for the outputs"),
        (
            "{type: MelSpectrogram, fft_length: 3, sequence_stride: 2, sequence_length: 3, max_freq: 0.5}",
            "[2938000]",
            "8.6 GiB for the outputs",
        ),
        ("{type: Identity}", "{shape: [40000000, 3], dtype: string}", "for the outputs"),
        ("{type: Dense, units: 1000000}", "[1000]", "3.7 GiB for the weights, and the limit is 1.5 GiB"),
        (
            "{type: Dense, units: 100000, kernel_initializer: orthogonal}",
            "[4000]",
            "it takes 8.0e+12 operations",
        ),
        ("{type: AdaptiveMaxPooling1D, output_size: 9}", "[368793, 8]", "operations"),
        ("{type: MaxPooling2D, pool_size: 900, strides: 1, padding: same}", "[2000, 2000, 1]", "operations"),
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
        ("{type: ResNet50, weights: null}", "[512, 512, 3]"),
        ("{type: LSTM, units: 64}", "[5000, 16]"),
        ("{type: MultiHeadAttention, num_heads: 12, key_dim: 64, inputs: [input, input]}", "[512, 768]"),
        ("{type: Conv2D, filters: 64, kernel_size: 3, padding: same, activation: relu}", "[1024, 1024, 3]"),
        ("{type: LSTM, units: 2048}", "[100, 300]"),
        ("{type: ConvNeXtXLarge, weights: null}", "[224, 224, 3]"),
        (
            "{type: Conv2D, filters: 64, kernel_size: 3}, {type: BatchNormalization}, {type: ReLU}",
            "[512, 512, 3]",
        ),
        ("{type: Dense, units: 50257, activation: softmax}", "[1024, 768]"),
        ("{type: Conv2D, filters: 32, kernel_size: [128, 1]}", "[128, 200, 1]"),
        ("{type: MelSpectrogram}", "[480000]"),
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
    drawn = 2000 * 16  # the input: random numbers in float64, and cast twice
    inside = 8000 * 3  # tensors inside a ReLU
    assert live == drawn + inside + 8000 * 3  # `a` with the input and the output of a layer
    assert all_held == drawn + inside + 8000 * 5


def find_memory(layer: str, shape: str) -> int:
    text = f"model: {{inputs: {{x: {shape}}}, layers: [{layer}]}}"
    return estimate_forward_cost(require_valid(check_config("model.yaml", text=text)).shapes, 1).memory_bytes


def test_only_encodings_hold_a_vector_for_each_index() -> None:
    indices = "{shape: [100], dtype: int64}"
    vectors = 2 * 100 * 50 * 4  # two float32 vectors of 50 values for each of 100 indices
    encoded = find_memory("{type: CategoryEncoding, num_tokens: 50}", indices)
    hashed = find_memory("{type: Hashing, num_bins: 50, output_mode: multi_hot}", indices)
    assert vectors < hashed == encoded < vectors + 10_000
    assert find_memory("{type: Hashing, num_bins: 50}", indices) < 10_000
    lookup = "{type: IntegerLookup, vocabulary: [1, 2, 3], output_mode: multi_hot}"
    assert 2 * 100 * 4 * 4 < find_memory(lookup, indices) < 10_000
    assert find_memory("{type: Dense, units: 50}", "[100]") < 10_000


def test_limits_themselves_are_allowed() -> None:
    assert ForwardCost(6_000_000_000_000, 20_000, 2 << 30).find_excess() is None


def test_costly_forward_pass_is_left_out_with_a_warning() -> None:
    text = "model: {input: [40000, 1], layers: [{type: LSTM, units: 1}]}"
    _, forward, [warning] = check_forward_pass(require_valid(check_config("model.yaml", text=text)))
    assert forward is None
    assert (warning.code, warning.severity) == ("not-compared", "warning")
    assert warning.message == (
        "The shapes were not compared with a forward pass: it has 40,000 timesteps in loops, and the limit is 20,000."
    )


def test_cost_of_layers_that_refuse_the_length_is_counted() -> None:
    text = "model: {input: [null, null, 3], layers: [{type: CategoryEncoding, num_tokens: 2000000}]}"
    _, forward, [warning] = check_forward_pass(require_valid(check_config("model.yaml", text=text)))
    assert forward is None
    assert "GiB for the outputs of the layers" in warning.message


@pytest.mark.parametrize(
    ("kernel_size", "shape", "others", "mebibytes"),
    [
        ([40, 1], [40, 1000, 1], "", 1057),
        ([64, 1], [64, 200, 1], "", 1057),
        ([80, 5], [80, 1000, 1], "", 4225),
        ([128, 1], [128, 20, 1], "", 1057),
        ([128, 1], [128, 200, 1], "", 8449),
        ([128, 1], [128, 500, 1], "", 16897),
        ([128, 1], [128, 200, 1], ", strides: 4", 16897),
        ([128, 1], [128, 200, 1], ", padding: same", 16899),
        ([200, 1], [200, 100, 1], "", 16897),
    ],
)
def test_convolution_scratch_is_at_least_the_measured_one(
    kernel_size: list[int], shape: list[int], others: str, mebibytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    layer = f"{{type: Conv2D, filters: 8, kernel_size: {kernel_size}{others}}}"
    valid = require_valid(check_config("model.yaml", text=f"model: {{input: {shape}, layers: [{layer}]}}"))
    scratch = count_convolution_scratch(valid.shapes.rows[0]) >> 20
    assert mebibytes <= scratch <= 2.1 * mebibytes


def test_reserved_memory_must_fit_into_the_machine() -> None:
    cost = ForwardCost(1, 0, 1, reserved_bytes=9 << 30)
    assert cost.find_excess() is None
    assert cost.find_excess(9 << 30) is None
    assert cost.find_excess(8 << 30) == "a convolution reserves 9.0 GiB, and this machine has 8.0 GiB"


@pytest.mark.parametrize(("channels", "is_refused"), [(1, True), (3, False)])
def test_windows_that_abort_onednn_are_refused(
    channels: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("layercli.workflows.preflight.read_memory_limit", lambda: 8 << 30)
    text = f"model: {{input: [64, 64, {channels}], layers: [{{type: Conv2D, filters: 1, kernel_size: 200, padding: same}}]}}"
    problem = check_memory(require_valid(check_config("model.yaml", text=text)), copies=1)
    assert (problem is not None) == is_refused

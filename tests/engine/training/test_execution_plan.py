import json

import numpy as np
import pytest

from layercli import api
from layercli.data.examples import Examples
from layercli.engine.training import execution_plan
from layercli.engine.training.execution_plan import (
    ExecutionPlan,
    example_bytes,
    fits_in_memory,
    plan_execution,
    steps_per_block,
)
from layercli.formats.registry import load_dataset
from tests.running import train, write_config

HEAD = {"type": "Dense", "units": 3, "activation": "softmax"}
LOSS = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}


def planned(tmp_path, layers, *, samples=None, **section):
    valid = api.load(write_config(tmp_path, layers, train=LOSS | section))
    examples = load_dataset(valid.config.data).split(valid.config.data.split, seed=0, shuffle=True).train
    if samples is not None:
        examples = examples.take([0] * samples)
    return plan_execution(valid, examples)


def test_xla_is_used_for_long_trainings_only(tmp_path):
    short = planned(tmp_path, [HEAD], epochs=5)
    long = planned(tmp_path, [HEAD], epochs=5, samples=1_000_000)
    assert (short.jit_compile, long.jit_compile) == (False, True)
    assert (
        short.reason == "XLA would save about 0.0 s and cost 0.8 s"
    )  # 90 examples have a smaller last batch
    assert long.reason == "XLA saves about 13.3 s and costs 0.5 s"  # 85 microseconds in each of 156,250 steps


def test_recurrent_layers_save_more_and_compile_longer(tmp_path):
    layers = [{"type": "Reshape", "target_shape": [4, 1]}, {"type": "LSTM", "units": 64}, HEAD]
    found = [planned(tmp_path, layers, epochs=1, samples=32 * steps) for steps in (3_000, 5_000)]
    # Each step has 133,504 x 3 x 32 operations and 17,091 weights: 0.1 + 0.444 ms, of which XLA saves 0.085 + 0.155 ms.
    assert [each.reason for each in found] == [
        "XLA would save about 0.7 s and cost 1.3 s",
        "XLA would save about 1.2 s and cost 1.3 s",
    ]
    long = planned(tmp_path, layers, epochs=1, samples=32 * 9_000)
    assert (long.jit_compile, long.reason) == (True, "XLA saves about 2.2 s and costs 1.3 s")


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ({"type": "GaussianNoise", "stddev": 0.5}, "XLA does not speed up GaussianNoise"),
        (
            {"type": "Dropout", "rate": 0.5, "dtype": "mixed_float16"},
            "XLA does not speed up dropout in float16",
        ),
    ],
)
def test_layers_that_xla_slows_down_are_not_compiled(tmp_path, layer, reason):
    found = planned(tmp_path, [layer, HEAD], epochs=5, samples=1_000_000)
    assert (found.jit_compile, found.reason) == (False, reason)


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "Dropout", "rate": 0.5},
        {"type": "LSTM", "units": 4, "dropout": 0.1},
        {"type": "LSTM", "units": 4, "dtype": "float64"},
    ],
)
def test_dropout_is_compiled(tmp_path, layer):
    layers = [{"type": "Reshape", "target_shape": [4, 1]}, layer, {"type": "Flatten"}, HEAD]
    assert planned(tmp_path, layers, epochs=5, samples=1_000_000).jit_compile


def planned_convolution(tmp_path, *layers, shape=(4, 1), **section):
    layers = [{"type": "Reshape", "target_shape": list(shape)}, *layers, "Flatten", HEAD]
    return planned(tmp_path, layers, epochs=5, samples=1_000_000, **section)


def test_small_convolutions_and_pooling_are_compiled(tmp_path):
    convolution = {"type": "Conv1D", "filters": 8, "kernel_size": 2}
    pooling = ["MaxPooling1D", {"type": "AveragePooling1D", "pool_size": 1}]
    assert planned_convolution(tmp_path, convolution, *pooling).jit_compile
    image = [{"type": "Conv2D", "filters": 4, "kernel_size": 1}, "MaxPooling2D", "GlobalAveragePooling2D"]
    assert planned_convolution(tmp_path, *image, shape=(2, 2, 1)).jit_compile


@pytest.mark.parametrize(
    ("layer", "batch_size", "is_compiled"),
    [
        # Three windows of two values and their 8 outputs: 24 values for each example, 1 << 18 of a batch are the limit.
        ({"filters": 8, "kernel_size": 2}, 10_922, True),
        ({"filters": 8, "kernel_size": 2}, 10_923, False),
        ({"filters": 1, "kernel_size": 2}, 43_690, True),  # 6 values in the windows of each example
        ({"filters": 1, "kernel_size": 2}, 43_691, False),
        ({"filters": 1, "kernel_size": 2, "data_format": "channels_first"}, 32, False),
        ({"filters": 1, "kernel_size": 2, "dtype": "float64"}, 32, False),
        ({"filters": 1, "kernel_size": 65, "padding": "same"}, 32, False),
    ],
)
def test_size_of_convolution_decides_about_xla(tmp_path, layer, batch_size, is_compiled):
    shape = (1, 4) if "data_format" in layer else (4, 1)
    found = planned_convolution(tmp_path, {"type": "Conv1D"} | layer, shape=shape, batch_size=batch_size)
    assert (found.reason == "XLA does not speed up this Conv1D") is not is_compiled


def test_grouped_convolution_is_not_compiled(tmp_path):
    layer = {"type": "Conv1D", "filters": 2, "kernel_size": 1, "groups": 2}
    found = planned_convolution(tmp_path, layer, shape=(2, 2))
    assert found.reason == "XLA does not speed up this Conv1D"


@pytest.mark.parametrize("pooling", [{"strides": 1}, {"padding": "same"}, {"data_format": "channels_first"}])
def test_pooling_of_overlapping_windows_is_not_compiled(tmp_path, pooling):
    found = planned_convolution(tmp_path, {"type": "MaxPooling1D"} | pooling, shape=(2, 2))
    assert found.reason == "XLA does not speed up this MaxPooling1D"


def test_convolutions_on_a_gpu_are_not_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(execution_plan.tf.config, "list_physical_devices", lambda kind: [kind])
    found = planned_convolution(tmp_path, {"type": "Conv1D", "filters": 8, "kernel_size": 2})
    assert (found.device, found.reason) == ("GPU", "XLA does not speed up this Conv1D")


@pytest.mark.parametrize("rate", ["dropout", "recurrent_dropout"])
def test_wrapped_layer_decides_about_xla(tmp_path, rate):
    wrapped = {"type": "Bidirectional", "layer": {"type": "LSTM", "units": 4, "dtype": "float64", rate: 0.1}}
    layers = [{"type": "Reshape", "target_shape": [4, 1]}, wrapped, HEAD]
    found = planned(tmp_path, layers, epochs=5, samples=1_000_000)
    assert found.reason == "XLA does not speed up dropout in float64"
    del wrapped["layer"][rate]
    assert planned(tmp_path, layers, epochs=5, samples=1_000_000).jit_compile


def test_untested_metric_disables_xla(tmp_path):
    metrics = ["accuracy", {"type": "SparseTopKCategoricalAccuracy", "k": 2}]
    found = planned(tmp_path, [HEAD], epochs=5, samples=1_000_000, metrics=metrics)
    assert found.reason == "XLA is not tested with sparse_top_k_categorical_accuracy"


@pytest.mark.parametrize("name", ["acc", "ACC", "SparseCategoricalAccuracy"])
def test_short_names_of_metrics_are_tested_with_xla(tmp_path, name):
    assert planned(tmp_path, [HEAD], epochs=5, samples=1_000_000, metrics=[name]).jit_compile


def test_config_sets_each_field_of_the_plan(tmp_path):
    asked = {"feed": "stream", "steps_per_execution": 2, "jit_compile": True}
    found = planned(tmp_path, [HEAD], execution=asked)
    assert found == ExecutionPlan("stream", 2, True, "CPU", "the config sets XLA")
    assert planned(tmp_path, [HEAD], execution="auto") == planned(tmp_path, [HEAD])


def test_steps_per_call(tmp_path):
    assert planned(tmp_path, [HEAD]).steps_per_execution == 3  # 90 examples
    many = planned(tmp_path, [HEAD], samples=100_000, epochs=1)
    large = planned(tmp_path, [{"type": "Dense", "units": 20_000}, HEAD], samples=100_000, epochs=5)
    assert many.steps_per_execution == 2997  # 0.3 s by 0.1 ms and 24 x 3 x 32 operations at 30 GFLOPS
    # A step takes 0.1 + 0.896 + 0.16 ms: its start, 280,000 x 3 x 32 operations, 160,003 weights at 1 ns.
    # XLA saves 85 % of the first and 25 % of the others, 0.349 ms in each of 15,625 steps.
    assert large.reason == "XLA saves about 5.5 s and costs 0.6 s"
    assert large.steps_per_execution == 372  # of 0.807 ms


def test_examples_above_the_limit_are_streamed(tmp_path, monkeypatch):
    for limit, feed in ((1800, "memory"), (1799, "stream")):  # 90 examples of four float32 and an int32
        monkeypatch.setattr(execution_plan, "_MAX_DEVICE_BYTES", limit)
        assert planned(tmp_path, [HEAD]).feed == feed


def test_per_step_callback_gets_every_step(tmp_path):
    callback = {"type": "TensorBoard", "update_freq": 10}
    found = planned(tmp_path, [HEAD], callbacks=[callback])
    assert found.steps_per_execution == 1
    assert found.reason.startswith("TensorBoard records single steps; ")
    by_epoch = planned(tmp_path, [HEAD], callbacks=[callback | {"update_freq": "epoch"}])
    assert by_epoch.steps_per_execution == 3


def test_bytes_of_an_example(tmp_path):
    valid = api.load(write_config(tmp_path, [HEAD]))
    examples = load_dataset(valid.config.data)
    assert example_bytes(examples) == (examples.x.nbytes + examples.y.nbytes) / len(examples)


def test_plan_is_printed_and_saved_in_manifest(tmp_path):
    config = write_config(tmp_path, [HEAD])
    execution = "train.execution={steps_per_execution: 2, feed: stream}"
    run = train(config, tmp_path / "run", "--verbose", "--set", execution)
    kept = json.loads((run.path / "manifest.json").read_text())["execution"]
    assert kept == {
        "feed": "stream",
        "steps_per_execution": 2,
        "jit_compile": False,
        "device": "CPU",
        "reason": "XLA would save about 0.0 s and cost 0.8 s",
    }
    assert ExecutionPlan.from_json(kept).summary in run.result.stderr.splitlines()
    same = train(config, tmp_path / "again")
    assert same.summary["history"] == run.summary["history"]


def test_large_texts_are_streamed_in_blocks_of_their_characters(monkeypatch):
    texts = Examples(np.array([["word"], ["words"]] * 4, dtype=object), np.zeros(8, np.int32))
    assert fits_in_memory(texts)
    assert example_bytes(texts) == 8 + 4 + 4  # a pointer, 36 characters of 8 texts, a label
    monkeypatch.setattr(execution_plan, "_MAX_DEVICE_TEXT_BYTES", 36)
    assert fits_in_memory(texts)
    monkeypatch.setattr(execution_plan, "_MAX_DEVICE_TEXT_BYTES", 35)
    assert not fits_in_memory(texts)
    monkeypatch.setattr(execution_plan, "_MAX_BLOCK_BYTES", 100)
    assert steps_per_block(texts, batch_size=2) == 3

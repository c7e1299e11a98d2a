import json

import pytest

from layercli import api
from layercli.engine.training.execution_plan import ExecutionPlan, example_bytes, plan_execution
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


def test_a_long_training_of_dense_layers_is_compiled_and_a_short_one_is_not(tmp_path):
    short = planned(tmp_path, [HEAD], epochs=5)
    long = planned(tmp_path, [HEAD], epochs=5, samples=1_000_000)
    assert (short.jit_compile, long.jit_compile) == (False, True)
    assert short.reason == "XLA would save about 0.0 s and cost 1.5 s"
    assert long.reason == "XLA saves about 13 s and costs 2 s"


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        ({"type": "Dropout", "rate": 0.5}, "XLA does not pay for Dropout"),
        ({"type": "GaussianNoise", "stddev": 0.5}, "XLA does not pay for GaussianNoise"),
    ],
)
def test_what_xla_makes_slower_is_never_compiled(tmp_path, layer, told):
    found = planned(tmp_path, [layer, HEAD], epochs=5, samples=1_000_000)
    assert (found.jit_compile, found.reason) == (False, told)


def test_a_layer_inside_a_wrapper_counts(tmp_path):
    wrapped = {"type": "Bidirectional", "layer": {"type": "LSTM", "units": 4, "dropout": 0.1}}
    layers = [{"type": "Reshape", "target_shape": [4, 1]}, wrapped, HEAD]
    found = planned(tmp_path, layers, epochs=5, samples=1_000_000)
    assert found.reason == "XLA does not pay for LSTM with dropout"
    del wrapped["layer"]["dropout"]
    assert planned(tmp_path, layers, epochs=5, samples=1_000_000).jit_compile


def test_a_metric_that_was_never_tried_keeps_xla_away(tmp_path):
    metrics = ["accuracy", {"type": "SparseTopKCategoricalAccuracy", "k": 2}]
    found = planned(tmp_path, [HEAD], epochs=5, samples=1_000_000, metrics=metrics)
    assert found.reason == "XLA is not tried with sparse_top_k_categorical_accuracy"


def test_each_part_of_the_plan_can_be_set_by_hand(tmp_path):
    asked = {"feed": "stream", "steps_per_execution": 2, "jit_compile": True}
    found = planned(tmp_path, [HEAD], execution=asked)
    assert found == ExecutionPlan("stream", 2, True, "CPU", "XLA is as the config says")
    assert planned(tmp_path, [HEAD], execution="auto") == planned(tmp_path, [HEAD])


def test_a_call_takes_about_a_tenth_of_a_second_and_never_more_than_an_epoch(tmp_path):
    assert planned(tmp_path, [HEAD]).steps_per_execution == 3  # 90 examples
    many = planned(tmp_path, [HEAD], samples=100_000)
    large = planned(tmp_path, [{"type": "Dense", "units": 20_000}, HEAD], samples=100_000)
    assert 100 < many.steps_per_execution < 3125
    assert large.steps_per_execution < many.steps_per_execution / 2


def test_a_callback_that_looks_at_steps_gets_every_one(tmp_path):
    callback = {"type": "TensorBoard", "update_freq": 10}
    found = planned(tmp_path, [HEAD], callbacks=[callback])
    assert found.steps_per_execution == 1
    assert found.reason.startswith("TensorBoard looks at single steps; ")
    by_epoch = planned(tmp_path, [HEAD], callbacks=[callback | {"update_freq": "epoch"}])
    assert by_epoch.steps_per_execution == 3


def test_the_bytes_of_an_example_are_those_of_its_arrays(tmp_path):
    valid = api.load(write_config(tmp_path, [HEAD]))
    examples = load_dataset(valid.config.data)
    assert example_bytes(examples) == (examples.x.nbytes + examples.y.nbytes) / len(examples)


def test_the_plan_is_told_and_kept_in_the_manifest(tmp_path):
    config = write_config(tmp_path, [HEAD])
    run = train(config, tmp_path / "run", "--set", "train.execution={steps_per_execution: 2, feed: stream}")
    kept = json.loads((run.path / "manifest.json").read_text())["execution"]
    assert kept == {
        "feed": "stream", "steps_per_execution": 2, "jit_compile": False, "device": "CPU",
        "reason": "XLA would save about 0.0 s and cost 1.5 s",
    }  # fmt: skip
    assert ExecutionPlan.from_json(kept).summary in run.result.stderr.splitlines()
    same = train(config, tmp_path / "again")
    assert same.summary["history"] == run.summary["history"]

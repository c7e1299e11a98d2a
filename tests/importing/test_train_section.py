"""Records of ``compile`` as Keras writes them, as the ``train`` section."""

import pytest

from layercli.importing.train_section import convert_compile_config

RECORD = {"optimizer": "adam", "loss": "mse", "loss_weights": None, "metrics": None, "run_eagerly": False}


def keras_object(module, cls, **config):
    return {"module": f"keras.{module}", "class_name": cls, "config": config, "registered_name": None}


def convert_section(*outputs, names=None, **changes):
    return convert_compile_config(RECORD | changes, outputs or ("out",), outputs or names or ("out",))


def test_words_are_kept():
    assert convert_section(metrics=["mae"]) == ({"optimizer": "adam", "loss": "mse", "metrics": ["mae"]}, [])


@pytest.mark.parametrize("record", [None, [], {}, {"optimizer": None, "loss": "mse"}])
def test_model_that_was_not_compiled_has_no_section(record):
    assert convert_compile_config(record, ("out",), ("out",)) == (None, [])


def test_arguments_that_equal_defaults_are_left_out():
    adam = keras_object("optimizers", "Adam", name="adam", learning_rate=0.0010000000474974513, beta_1=0.9)
    assert convert_section(optimizer=adam)[0]["optimizer"] == "Adam"
    schedule = keras_object(
        "optimizers.schedules", "ExponentialDecay", initial_learning_rate=0.5, decay_steps=9, decay_rate=0.75
    )
    sgd = keras_object("optimizers", "SGD", name="mine", learning_rate=schedule, nesterov=True)
    assert convert_section(optimizer=sgd)[0]["optimizer"] == {
        "type": "SGD",
        "learning_rate": {
            "type": "ExponentialDecay",
            "initial_learning_rate": 0.5,
            "decay_steps": 9,
            "decay_rate": 0.75,
        },
        "nesterov": True,
    }


def test_loss_keeps_its_arguments_except_the_default_dtype():
    loss = keras_object("losses", "Huber", delta=2.0, name="huber_loss", dtype="float32")
    assert convert_section(loss=loss)[0]["loss"] == {"type": "Huber", "delta": 2.0}


def test_single_metric_without_a_list():
    assert convert_section(metrics="mae")[0]["metrics"] == ["mae"]
    auc = keras_object("metrics", "AUC", name="auc", curve="PR")
    assert convert_section(metrics=auc)[0]["metrics"] == [{"type": "AUC", "curve": "PR"}]


def test_lists_of_a_single_output_are_bare():
    section = convert_section(
        loss=["mae"], metrics=[["mse"]], weighted_metrics={"out": ["mae"]}, loss_weights=[2.0]
    )
    expected = {"optimizer": "adam", "loss": "mae", "metrics": ["mse"], "weighted_metrics": ["mae"]}
    assert section == (expected, [])


def test_settings_of_each_output_are_mappings():
    section, skipped = convert_section(
        "a", "b", loss={"a": "mse", "b": "mae"}, metrics=[["mae"], None], loss_weights=[1.0, 0.5]
    )
    assert skipped == []
    assert section == {
        "optimizer": "adam",
        "loss": {"a": "mse", "b": "mae"},
        "loss_weights": {"a": 1.0, "b": 0.5},
        "metrics": {"a": ["mae"]},
    }


@pytest.mark.parametrize(
    ("changes", "skipped"),
    [
        ({"metrics": 3}, "`metrics`: 3"),
        ({"metrics": [["mae"], ["mae"]]}, "`metrics`: [[…], […]]"),
        ({"metrics": [keras_object("metrics", "Unknown")]}, "`metrics`: the metric Unknown, which a config"),
        ({"metrics": [{"class_name": "AUC", "config": 3}]}, "`metrics`: "),
        (
            {"metrics": [keras_object("metrics", "AUC") | {"module": "mine.AUC"}]},
            "`metrics`: the metric AUC, which",
        ),
        ({"run_eagerly": True}, "`run_eagerly`: true"),
        (
            {"optimizer": keras_object("optimizers", "SGD", learning_rate=keras_object("x", "Own"))},
            "`optimizer`: Own, which a config cannot express",
        ),
    ],
)
def test_settings_that_a_config_cannot_express_are_named(changes, skipped):
    section, [found] = convert_section(**changes)
    assert found.startswith(skipped)
    assert section["loss"] == "mse"


def test_output_of_several_layers_has_no_name_for_its_settings():
    section, [skipped] = convert_compile_config(RECORD | {"loss": ["mse", "mae"]}, ("a", "b"), None)
    assert section is None
    assert skipped.startswith("`loss`: it differs by output, and not every output is the output")


def test_invalid_section_is_left_out_with_its_reason():
    section, [skipped] = convert_section(optimizer=keras_object("optimizers", "SGD", learning_rate=-1.0))
    assert section is not None  # without the optimizer
    assert "`optimizer`: the optimizer SGD: " in skipped
    assert convert_section(loss=None) == (None, [])

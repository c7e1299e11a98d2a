"""Sweep files: all problems are reported with their lines before training."""

import pytest

from layercli.check import check_config
from layercli.errors import LayercliError
from layercli.sweep.plan import read_sweep_plan
from tests.running import IRIS

SWEEP = """
base: iris.yaml
space:
  model.layers[0].units: {int: [4, 32], log: true}
  train.optimizer.learning_rate: {float: [1e-3, 1e-1], log: true}
  model.layers.dense.activation: {choice: [relu, tanh]}
objective: {metric: val_accuracy}
"""


@pytest.fixture
def plan(iris):
    def plan(text=SWEEP, *overrides):
        path = iris.with_name("s.yaml")
        path.write_text(text)
        return read_sweep_plan(str(path), overrides)

    return plan


def found(plan, text):
    with pytest.raises(LayercliError) as error:
        plan(text)
    return [(problem.code, problem.line, problem.column) for problem in error.value.problems]


def test_values_are_inserted_by_index_and_by_name(plan):
    made, warnings = plan()
    assert (warnings, made.name, made.objectives[0].is_maximizing) == ([], "s", True)
    drawn = {
        "model.layers[0].units": 7,
        "train.optimizer.learning_rate": 0.05,
        "model.layers.dense.activation": "tanh",
    }
    config = made.check_values(drawn).config
    assert (config.model.layers[0].layer.units, config.train.optimizer.learning_rate) == (7, 0.05)
    assert config.model.layers[0].layer.activation == "tanh"
    assert made.base.config.model.layers[0].layer.units == 8


def test_choices_of_whole_layers(plan):
    made, _ = plan("""
base: iris.yaml
space:
  model.layers.dense:
    choice:
      - {type: Dense, units: 5}
      - {type: Dropout, rate: 0.5}
  model.layers.dense_1.use_bias: {choice: [true, false]}
objective: {metric: loss}
""")
    labels = made.sweep.parameters["model.layers.dense"].labels
    assert labels == ["{type: Dense, units: 5}", "{type: Dropout, rate: 0.5}"]
    drawn = {"model.layers.dense": labels[1], "model.layers.dense_1.use_bias": "false"}
    config = made.check_values(drawn).config
    assert [entry.layer.type_name() for entry in config.model.layers] == ["Dropout", "Dense"]
    assert config.model.layers[1].layer.use_bias is False
    assert made.value_of("model.layers.dense", labels[1]) == {"type": "Dropout", "rate": 0.5}
    assert not made.objectives[0].is_maximizing


def test_all_problems_are_reported_with_their_lines(plan):
    text = """
base: iris.yaml
space:
  model.layers[0].units: {int: [32, 4]}
  train.optimizer.learning_rate: {floats: [1e-3, 1e-1]}
  train.batch_size: [16, 32]
  train.epochs: {int: [1, 2], choice: [3]}
  model.layers.missing.units: {int: [1, 2]}
objective: {metric: val_acc, directions: maximize}
sampler: TPESampel
pruner: {type: MedianPruner, n_startup_trials: "5"}
trial: 3
"""
    assert found(plan, text) == [
        ("bad-argument", 4, 32),
        ("bad-space", 5, 34),
        ("wrong-type", 6, 21),
        ("bad-space", 7, 17),
        ("unknown-key", 9, 30),
        ("unknown-type", 10, 10),
        ("wrong-type", 11, 48),
        ("unknown-key", 12, 1),
        ("bad-override", 8, 3),
        ("unknown-monitor", 9, 21),
    ]


@pytest.mark.parametrize(
    ("line", "code", "hint"),
    [
        ("train.optimizer.learning_rat: {float: [0.1, 0.2]}", "unknown-key", "learning_rate"),
        ("model.layers.dens.units: {int: [1, 2]}", "bad-override", "dense"),
        ("model.layers[9].units: {int: [1, 2]}", "bad-override", "0 to 1"),
        ("model.layers.dense.activation: {choice: [relu, sofmax]}", "unknown-type", "softmax"),
        ("model.layers.dense.units: {int: [0, 2]}", "out-of-range", None),
        ("model..units: {int: [1, 2]}", "bad-space", "model.layers"),
    ],
)
def test_paths_and_values_are_checked_against_the_base_config(plan, line, code, hint):
    text = f"base: iris.yaml\nspace:\n  {line}\nobjective: {{metric: loss}}\n"
    with pytest.raises(LayercliError) as error:
        plan(text)
    (problem,) = error.value.problems
    assert (problem.code, problem.line, problem.file.endswith("s.yaml")) == (code, 3, True)
    assert hint is None or hint in problem.hint


def test_first_hundred_parameters_are_checked(plan):
    lines = "".join(f"  a..b{number}: {{int: [1, 2]}}\n" for number in range(101))
    problems = found(plan, f"base: iris.yaml\nspace:\n{lines}objective: {{metric: loss}}\n")
    assert [(line, column) for code, line, column in problems if code == "bad-space"] == [
        (line, 3) for line in range(3, 103)
    ]


def test_nested_paths_are_refused(plan):
    text = """
base: iris.yaml
space:
  model.layers.dense.units: {int: [1, 2]}
  model.layers[0]: {choice: [Flatten]}
  model.layers[0].units: {int: [1, 2]}
objective: {metric: loss}
"""
    assert {(code, line) for code, line, _ in found(plan, text)} == {("bad-space", 4), ("bad-space", 6)}


def test_value_with_an_invalid_config_is_a_warning(plan):
    _, warnings = plan("""
base: iris.yaml
space:
  model.layers.dense: {choice: [{type: Dense, units: 4}, {type: LSTM, units: 4}]}
objective: {metric: loss}
""")
    assert [(problem.severity, problem.code, problem.line) for problem in warnings] == [
        ("warning", "bad-space", 4)
    ]
    assert "LSTM expects sequences" in warnings[0].message


@pytest.mark.parametrize(
    ("objective", "code", "says"),
    [
        ("{metric: val_acuracy}", "unknown-monitor", "Did you mean `val_accuracy`?"),
        ("{metric: val_f1}", "unknown-monitor", "It logs `loss`, `accuracy`, `val_loss`, `val_accuracy`."),
    ],
)
def test_objective_must_be_logged(plan, objective, code, says):
    with pytest.raises(LayercliError) as error:
        plan(SWEEP.replace("{metric: val_accuracy}", objective))
    (problem,) = error.value.problems
    assert (problem.code, problem.hint) == (code, says)


def test_objective_must_be_a_number(plan, iris):
    iris.write_text(IRIS.replace("[accuracy]", "[f1_score]"))
    with pytest.raises(LayercliError) as error:
        plan(SWEEP.replace("val_accuracy", "val_f1_score"))
    (problem,) = error.value.problems
    assert (problem.code, problem.line) == ("vector-monitor", 7)
    assert problem.hint == (
        "In the base config, set `average: macro` on the metric, for example {type: F1Score, average: macro, name: "
        "f1_score}."
    )


def test_validation_objective_requires_validation_examples(plan, iris):
    iris.write_text(IRIS.replace("validation: 0.2, ", ""))
    with pytest.raises(LayercliError, match="there are none"):
        plan()


def test_problems_of_the_base_config_name_its_file(plan, iris):
    iris.write_text(IRIS.replace("units: 8", "unit: 8"))
    with pytest.raises(LayercliError) as error:
        plan(SWEEP.replace("[relu, tanh]", "[]"))
    places = [(problem.code, problem.file.rpartition("/")[2]) for problem in error.value.problems]
    assert places[0][1] == "s.yaml"
    assert ("unknown-key", "iris.yaml") in places


def test_base_that_does_not_exist_is_named_at_its_key(plan):
    with pytest.raises(LayercliError) as error:
        plan(SWEEP.replace("iris.yaml", "none.yaml"))
    [problem] = error.value.problems
    assert (problem.code, problem.line) == ("unreadable-file", 2)
    assert problem.hint == "Check the path; it is relative to the folder of the sweep file."


def test_variable_that_the_base_config_does_not_use_is_an_error(plan, iris):
    iris.write_text("vars: {width: 8}\n" + IRIS.replace("units: 8", 'units: "${width}"'))
    space = "\nbase: iris.yaml\nspace: {vars.NAME: {choice: [4, 8]}}\nobjective: {metric: val_accuracy}\n"
    with pytest.raises(LayercliError) as error:
        plan(space.replace("NAME", "widht"))
    [problem] = error.value.problems
    assert (problem.code, problem.line, problem.column) == ("unknown-variable", 3, 9)
    assert problem.hint == "Did you mean `width`?"
    plan(space.replace("NAME", "width"))


def test_grid_requires_enumerable_values(plan):
    grid = SWEEP + "sampler: GridSampler\n"
    assert [(code, line) for code, line, _ in found(plan, grid)] == [("bad-space", 4), ("bad-space", 5)]
    made, _ = plan("""
base: iris.yaml
space:
  model.layers[0].units: {int: [4, 8], step: 2}
  train.optimizer.learning_rate: {float: [0.1, 0.3], step: 0.1}
sampler: GridSampler
objective: {metric: loss}
trials: 100
""")
    assert made.sweep.trial_count == 9
    assert made.sweep.parameters["train.optimizer.learning_rate"].grid_values == pytest.approx(
        [0.1, 0.2, 0.3]
    )


def test_identity_depends_on_space_objective_and_base(plan, iris):
    first = plan()[0].identity
    assert plan(SWEEP + "trials: 9\nsampler: RandomSampler\n")[0].identity == first
    first_key = "  model.layers[0].units: {int: [4, 32], log: true}\n"
    reordered = SWEEP.replace(first_key, "").replace("objective:", f"{first_key}objective:")
    assert plan(reordered)[0].identity == first
    assert plan(SWEEP.replace("32", "64"))[0].identity != first
    assert plan(SWEEP, "train.epochs=7")[0].identity != first
    iris.write_text(IRIS.replace("units: 8", "units: 9"))
    assert plan()[0].identity != first


@pytest.mark.parametrize(
    ("objectives", "code", "line", "says"),
    [
        ("[{metric: val_acuracy}, {metric: flops}]", "unknown-monitor", 7, "Did you mean `val_accuracy`?"),
        ("[{metric: val_accuracy}, {metric: parametrs}]", "unknown-monitor", 7, "Did you mean `parameters`?"),
        ("[{metric: loss}, {metric: loss}]", "bad-argument", 7, "Remove one."),
        (
            "[{metric: parameters}, {metric: flops}]",
            "bad-argument",
            7,
            "Add one of `loss`, `accuracy`, `val_loss`, `val_accuracy` to `objectives`.",
        ),
        (
            "[{metric: loss}, {metric: flops}]\npruner: MedianPruner",
            "bad-argument",
            8,
            "Remove `pruner`: no trial is pruned with several objectives.",
        ),
        (
            "[{metric: loss}, {metric: flops}]\nsampler: CmaEs",
            "bad-argument",
            8,
            "Use NSGAIISampler or TPESampler.",
        ),
    ],
)
def test_objectives_that_cannot_be_optimized(plan, objectives, code, line, says):
    text = SWEEP.replace("objective: {metric: val_accuracy}", f"objectives: {objectives}")
    text = text.replace(
        "  model.layers.dense.activation: {choice: [relu, tanh]}", "  train.epochs: {int: [1, 2]}"
    )
    with pytest.raises(LayercliError) as error:
        plan(text)
    (problem,) = error.value.problems
    assert (problem.code, problem.line, problem.hint) == (code, line, says)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("{metric: val_accuracy}", '{metric: ""}', "wrong-type"),
        ("objective: {metric: val_accuracy}", "objectives: []", "wrong-length"),
        ("objective: {metric: val_accuracy}", "trials: 3", "missing-key"),
        ("{metric: val_accuracy}", "{metric: loss}\nobjectives: [{metric: loss}]", "bad-argument"),
    ],
)
def test_missing_empty_or_double_objective(plan, old, new, code):
    assert [found_code for found_code, _, _ in found(plan, SWEEP.replace(old, new))] == [code]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ("{parameters: 0}", "out-of-range"),
        ("{flops: 1.5}", "wrong-type"),
        ("{memory_mib: -1}", "out-of-range"),
        ("{memory: 5}", "unknown-key"),
        ("100", "wrong-type"),
    ],
)
def test_invalid_limits(plan, limits, code):
    assert [(found_code, line) for found_code, line, _ in found(plan, f"{SWEEP}limits: {limits}\n")] == [
        (code, 8)
    ]


def test_limits_need_a_sampler_that_learns_them_and_known_sizes(plan, iris, layer_file):
    text = SWEEP + "limits: {parameters: 100}\n"
    assert found(plan, text + "sampler: GPSampler\n") == [("bad-argument", 9, 10)]
    mine = layer_file("def call(self, inputs):\n    return inputs")
    iris.write_text(IRIS.replace("  layers:\n", f"  layers:\n    - {{type: '{mine}'}}\n"))
    warnings = plan(text.replace("layers[0]", "layers[1]"))[1]
    assert [(problem.code, problem.severity, problem.line) for problem in warnings] == [
        ("unknown-size", "warning", 8)
    ]
    assert "unknown" in warnings[0].message


def test_choice_without_a_valid_value_is_an_error(plan):
    text = """
base: iris.yaml
space:
  model.layers.dense: {choice: [{type: LSTM, units: 4}, {type: Conv1D, filters: 2, kernel_size: 3}]}
  train.epochs: {int: [1, 9]}
objective: {metric: loss}
"""
    assert found(plan, text) == [("bad-space", 4, 23)]


def test_choices_that_are_valid_only_together_are_warnings(plan, iris):
    iris.write_text(
        IRIS.replace("layers:\n", "layers:\n    - {type: Reshape, name: r, target_shape: [4]}\n", 1)
    )
    warnings = plan("""
base: iris.yaml
space:
  model.layers.r.target_shape: {choice: [[4, 1], [2, 2]]}
  model.layers.dense: {choice: [{type: Dense, units: 8}, {type: LSTM, units: 8}]}
objective: {metric: loss}
""")[1]
    assert {problem.line for problem in warnings} == {4, 5}


def test_problems_in_values_are_reported_with_those_of_other_keys(plan):
    text = SWEEP.replace("[relu, tanh]", "[relu, sofmax]").replace(
        "{int: [4, 32], log: true}", "{int: [0, 2]}"
    )
    problems = found(plan, text.replace("val_accuracy", "val_acc") + "trial: 3\n")
    assert sorted((line, code) for code, line, _ in problems) == [
        (4, "out-of-range"),
        (6, "unknown-type"),
        (7, "unknown-monitor"),
        (8, "unknown-key"),
    ]


def test_problems_of_base_and_sweep_are_reported_together(plan, iris):
    iris.write_text(IRIS.replace("units: 8", "unit: 8"))
    problems = found(plan, SWEEP.replace("model.layers.dense.", "model.layers.dens."))
    assert {"bad-override", "unknown-key"} <= {code for code, _, _ in problems}


def test_config_in_place_of_a_sweep_file(iris):
    with pytest.raises(LayercliError) as error:
        read_sweep_plan(str(iris))
    (problem,) = error.value.problems
    assert problem.code == "other-file-type"
    assert problem.hint.startswith(f"Train it with `layercli train {iris}`")


def test_sweep_file_in_place_of_a_config(plan, iris):
    plan()
    (problem,) = check_config(str(iris.with_name("s.yaml"))).problems
    assert (problem.code, problem.line) == ("other-file-type", 3)
    assert f"`layercli sweep {iris.with_name('s.yaml')}`" in problem.hint

"""Losses, metrics, optimizers, schedules and callbacks from a file: exact, checked, exported, with errors at their line."""

import json
import shutil
from pathlib import Path

import pytest

from tests.interrupting import Killed, assert_same, at_block, kill, outcome
from tests.running import invoke, line_of, problems, train

OWN = """
import keras
from keras import ops



class Focal(keras.losses.Loss):
    def __init__(self, gamma=2.0, name="focal", **kwargs):
        super().__init__(name=name, **kwargs)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        p = ops.sum(y_pred * ops.one_hot(labels, y_pred.shape[-1]), axis=-1)
        return -((1 - p) ** self.gamma) * ops.log(p + 1e-7)


def focal(y_true, y_pred, gamma=2.0):
    labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
    p = ops.sum(y_pred * ops.one_hot(labels, y_pred.shape[-1]), axis=-1)
    return -((1 - p) ** gamma) * ops.log(p + 1e-7)


class Sureness(keras.metrics.Metric):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(ops.sum(ops.max(y_pred, axis=-1)))
        self.count.assign_add(ops.cast(ops.shape(y_pred)[0], "float32"))

    def result(self):
        return self.total / self.count


def top(y_true, y_pred):
    return ops.max(y_pred, axis=-1)


class Momentum(keras.optimizers.Optimizer):
    def __init__(self, learning_rate=0.01, beta=0.9, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta = beta

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.moments = [self.add_variable_from_reference(v, "moment") for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        moment = self.moments[self._get_variable_index(variable)]
        moment.assign(self.beta * moment + gradient)
        variable.assign_sub(ops.cast(learning_rate, variable.dtype) * moment)


class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, rate, steps):
        self.rate, self.steps = rate, steps

    def __call__(self, step):
        return self.rate * ops.minimum(1.0, (ops.cast(step, "float32") + 1) / self.steps)

    def get_config(self):
        return {"rate": self.rate, "steps": self.steps}


class Tracker(keras.callbacks.Callback):
    def __init__(self, every=1):
        super().__init__()
        self.every = every
        self.seen = []
        self.average = None

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(float(logs["loss"]))
        weights = self.model.get_weights()[0]
        self.average = weights if self.average is None else 0.5 * self.average + 0.5 * weights

    def get_state(self):
        return {"seen": self.seen, "average": self.average, "n": (1, None, "x")}

    def set_state(self, state):
        self.seen, self.average = state["seen"], state["average"]


class PerBatch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass
"""
CONFIG = """
seed: 3
data: {type: sklearn, dataset: iris, split: {validation: 0.2, test: 0.2, stratify: true}}
model:
  layers:
    - {type: Dense, units: 8, activation: relu}
    - {type: Dense, units: 3, activation: softmax}
train:
  epochs: 3
  optimizer: {type: own.py:Momentum, learning_rate: {type: own.py:Warmup, rate: 0.05, steps: 10}}
  loss: {type: own.py:Focal, gamma: 1.5}
  metrics: [accuracy, own.py:Sureness, {type: own.py:top, name: best}]
  callbacks:
    - {type: own.py:Tracker, every: 2}
    - {type: EarlyStopping, monitor: val_sureness, mode: max, patience: 9}
  execution: {steps_per_execution: 1}
  checkpoints: {steps: 1, keep: 50}
"""


def write(directory, code=OWN, config=CONFIG):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "own.py").write_text(code)
    path = directory / "c.yaml"
    path.write_text(config)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of a training that was not interrupted."""
    directory = tmp_path_factory.mktemp("whole")
    run = train(write(directory), directory / "run", "--trust")
    assert run.result.exit_code == 0, run.result.output
    return run


def test_validate_and_show_load_no_code(tmp_path):
    config = write(tmp_path, "raise SystemExit")
    assert invoke("validate", config).exit_code == 0
    assert "type: own.py:Warmup" in invoke("show", config).stdout
    found = problems(invoke("train", config, "--json", "--run-dir", tmp_path / "run"))
    assert found == [("trust-required", line) for line in (10, 10, 11, 12, 12, 14)]


def test_killed_and_moved_run_equals_uninterrupted_training(whole, tmp_path):
    config = write(tmp_path / "before")
    with pytest.MonkeyPatch.context() as patch:
        at_block(patch, 4, kill)
        with pytest.raises(Killed):
            train(config, tmp_path / "before" / "run", "--trust")
    run = tmp_path / "after"
    shutil.move(tmp_path / "before" / "run", run)
    shutil.rmtree(tmp_path / "before")
    assert [code for code, _ in problems(invoke("train", "--resume", run, "--json"))] == [
        "trust-required"
    ] * 6
    result = invoke("train", "--resume", run, "--json", "--trust")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["resumed_from"] == {"epoch": 1, "step": 1}
    assert_same(outcome(run), outcome(whole.path))
    state = outcome(run)["callbacks"][0]["state"]["items"]
    assert len(state["seen"]["list"]) == 3
    assert state["n"] == {"list": [{"value": 1}, {"value": None}, {"value": "x"}]}


def test_changed_code_of_a_run_is_refused(whole, tmp_path):
    run = shutil.copytree(whole.path, tmp_path / "run")
    (run / "own.py").write_text(OWN + "# changed")
    assert [code for code, _ in problems(invoke("evaluate", run, "--trust", "--json"))] == ["run-directory"]


def test_evaluate_measures_what_training_measured(whole):
    evaluated = json.loads(invoke("evaluate", whole.path, "--trust", "--json").stdout)
    test = whole.summary["test"]
    assert list(test) == ["loss", "accuracy", "sureness", "best"]
    assert test["sureness"] == pytest.approx(test["best"], abs=1e-6)
    assert {name: evaluated["metrics"][name] for name in test} == pytest.approx(test, abs=1e-6)
    assert [row["class"] for row in evaluated["per_class"]] == ["setosa", "versicolor", "virginica"]


def test_function_equals_class(whole, tmp_path):
    config = write(tmp_path, config=CONFIG.replace("own.py:Focal,", "own.py:focal,"))
    run = train(config, tmp_path / "run", "--trust")
    assert run.summary["history"]["loss"] == pytest.approx(whole.summary["history"]["loss"], abs=1e-6)


@pytest.mark.usefixtures("warm_processes")
def test_script_imports_the_code(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke("export", whole.path, "--format", "python", "--output", "script.py", "--trust")
    assert result.exit_code == 0, result.output
    script = Path("script.py").read_text()
    assert "from own import Focal\nfrom own import Momentum\n" in script
    assert "loss=Focal(gamma=1.5)" in script
    assert 'keras.metrics.MeanMetricWrapper(top, name="best")' in script
    assert "Momentum(learning_rate=Warmup(rate=0.05, steps=10))" in script
    assert Path("own.py").read_text() == OWN


FAILING_HOOKS = {
    "loss": ("def call(self, y_true, y_pred):\n        labels", "own.py:Focal"),
    "metric": (
        "def update_state(self, y_true, y_pred, sample_weight=None):\n        self.total",
        "own.py:Sureness",
    ),
    "result": ("def result(self):\n        return", "own.py:Sureness"),
    "optimizer": (
        "def update_step(self, gradient, variable, learning_rate):\n        moment",
        "own.py:Momentum",
    ),
    "schedule": ("def __call__(self, step):\n        return", "own.py:Warmup"),
    "epoch": ("def on_epoch_end(self, epoch, logs=None):\n        self", "own.py:Tracker"),
    "state": ("def get_state(self):\n        return", "own.py:Tracker"),
    "init": ("def __init__(self, every=1):\n        super", "own.py:Tracker"),
}


@pytest.mark.parametrize("name", FAILING_HOOKS)
def test_error_in_a_hook_names_its_line(name, tmp_path):
    found, reference = FAILING_HOOKS[name]
    first, _, rest = found.partition("\n")
    code = OWN.replace(found, f"{first}\n        int('x')\n{rest}")
    assert code != OWN
    config = write(tmp_path, code)
    line = line_of(tmp_path / "own.py", "int('x')")
    result = invoke("train", config, "--smoke", "--trust", "--json")
    assert result.exit_code == 1, result.output
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["code"] == "custom-object"
    assert problem["hint"] == f"Check line {line} of own.py."
    assert problem["line"] == line_of(config, reference)
    assert "ValueError: invalid literal for int()" in problem["message"]


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ("own.py:Trackr", "own.py has no Trackr.", "Did you mean `Tracker`?"),
        ("own.py:Tracker", "own.py:Tracker is not a loss of Keras.", "Derive it from keras.losses.Loss, or"),
        ("{type: own.py:Focal, power: 1}", 'has no argument "power".', "it takes `gamma`, `name`,"),
        (
            "{type: own.py:focal, gama: 1}",
            '`own.py:focal` has no argument "gama".',
            "Did you mean `gamma`?",
        ),
        ("gone.py:Focal", "gone.py does not exist.", "The path is relative to the config."),
        (
            "no_such_module:Focal",
            "Cannot import no_such_module: ModuleNotFoundError",
            "Write `type: own.py:Focal`.",
        ),
    ],
)
def test_wrong_reference_is_explained(config, message, hint, tmp_path):
    config = write(tmp_path, config=CONFIG.replace("{type: own.py:Focal, gamma: 1.5}", config))
    result = invoke("train", config, "--trust", "--json", "--run-dir", tmp_path / "run")
    assert problems(result) == [("custom-object", 11)]
    (problem,) = json.loads(result.stdout)["problems"]
    assert message in problem["message"]
    assert hint in problem["hint"]


def test_name_of_a_metric_is_checked_and_a_class_in_a_file_is_suggested(tmp_path):
    for name, code in (("loss", "bad-name"), ("a/b", "bad-name"), ("5", "bad-name")):
        entry = f"[{{type: own.py:Sureness, name: {name}}}]"
        result = invoke("validate", write(tmp_path), "--json", "--set", f"train.metrics={entry}")
        assert code in [found for found, _ in problems(result)]
    result = invoke(
        "validate", write(tmp_path, config=CONFIG.replace("own.py:Tracker,", "Tracker,")), "--json"
    )
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["code"], problem["line"]) == ("unknown-type", 14)
    assert problem["hint"] == "Write `type: own.py:Tracker`, and load it with `--trust`."


TRACKED = '{"seen": self.seen, "average": self.average, "n": (1, None, "x")}'
RETURNED_CONFIG = 'return {"rate": self.rate, "steps": self.steps}'
WARMUP_CONFIG = f"    def get_config(self):\n        {RETURNED_CONFIG}\n"
INIT_OF_MOMENTUM = "super().__init__(learning_rate=learning_rate, **kwargs)\n        self.beta = beta"
BAD_TEXT = "class Odd(Exception):\n    def __str__(self):\n        return 1 / 0\n\n\nraise Odd"
REFUSED_CODE = {
    "set": (TRACKED, "{1, 2}", "own.py:Tracker", "but returned set."),
    "integer": (TRACKED, "10**5000", "own.py:Tracker", "an integer of more than 10,000 bits."),
    "exit": (f"return {TRACKED}", "raise SystemExit(0)", "own.py:Tracker", "fails: SystemExit: 0"),
    "hook": ("self.seen.append(", "raise SystemExit(", "own.py:Tracker", "fails: SystemExit: "),
    "no config": (
        WARMUP_CONFIG,
        "",
        "own.py:Warmup",
        "cannot be saved with the model: Learning rate schedule",
    ),
    "bad config": (
        RETURNED_CONFIG,
        "return {1: object()}",
        "own.py:Warmup",
        "cannot be saved with the model",
    ),
    "no super": (INIT_OF_MOMENTUM, "pass", "own.py:Momentum", "cannot be saved with the model"),
    "new": (WARMUP_CONFIG, "    def __new__(cls, **_):\n        return 'x'\n", "own.py:Warmup", "got str."),
    "getattr": ("def top(", "def __getattr__(name):\n    1 / 0\n\n\ndef t(", "own.py:top", "`__getattr__`"),
    "text": ("import keras\n", f"import keras\n{BAD_TEXT}\n", "own.py:Momentum", "Cannot import own.py: Odd"),
}


@pytest.mark.parametrize("name", REFUSED_CODE)
def test_code_that_cannot_be_used_is_named(name, tmp_path):
    found, replacement, reference, message = REFUSED_CODE[name]
    code = OWN.replace(found, replacement, 1)
    assert code != OWN
    config = write(tmp_path, code)
    result = invoke("train", config, "--smoke", "--trust", "--json")
    assert result.exit_code == 1, result.output
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["code"], problem["line"]) == ("custom-object", line_of(config, reference))
    assert message in problem["message"]


WRONG_METHODS = {
    "loss": (
        "call(self, y_true, y_pred)",
        "call(self, y_pred)",
        "`own.py:Focal.call` must take (self, y_true, y_pred), got (self, y_pred).",
    ),
    "metric": (
        "update_state(self, y_true, y_pred, sample_weight=None)",
        "update_state(self, y_true, y_pred)",
        "`own.py:Sureness.update_state` must take (self, y_true, y_pred, sample_weight=None), got (self, y_true, y_pred).",
    ),
    "schedule": (
        "__call__(self, step)",
        "__call__(self)",
        "`own.py:Warmup.__call__` must take (self, step), got (self).",
    ),
    "callback": (
        "on_epoch_end(self, epoch, logs=None)",
        "on_epoch_end(self, epoch)",
        "`own.py:Tracker.on_epoch_end` must take (self, epoch, logs=None), got (self, epoch).",
    ),
    "state": (
        "set_state(self, state)",
        "set_state(self)",
        "`own.py:Tracker.set_state` must take (self, state), got (self).",
    ),
}


@pytest.mark.parametrize("name", WRONG_METHODS)
def test_method_that_does_not_take_what_it_is_called_with_is_named(name, tmp_path):
    found, replacement, message = WRONG_METHODS[name]
    assert found in OWN
    config = write(tmp_path, OWN.replace(found, replacement))
    [problem] = json.loads(invoke("train", config, "--smoke", "--trust", "--json").stdout)["problems"]
    assert problem["message"] == message
    line = OWN[: OWN.index(found)].count("\n") + 1
    assert problem["hint"] == f"Write `def {found}:` in line {line} of own.py."


def test_loss_of_integers_has_no_gradient(tmp_path):
    statement = "return -((1 - p) ** self.gamma) * ops.log(p + 1e-7)"
    config = write(tmp_path, OWN.replace(statement, 'return ops.cast(p, "int32")'))
    [problem] = json.loads(invoke("train", config, "--smoke", "--trust", "--json").stdout)["problems"]
    assert problem["message"] == (
        "`own.py:Focal.call` must return floating-point numbers, got int32: it has no gradient."
    )


def test_callback_that_reads_a_wrong_name_lists_the_names(tmp_path):
    found = "def on_epoch_end(self, epoch, logs=None):\n"
    assert found in OWN
    config = write(tmp_path, OWN.replace(found, found + "        logs['acuracy']\n"))
    [problem] = json.loads(invoke("train", config, "--smoke", "--trust", "--json").stdout)["problems"]
    assert problem["message"] == "`own.py:Tracker` fails: KeyError: 'acuracy'"
    assert "`logs` can have `loss`, " in problem["hint"]
    assert "`val_loss`" in problem["hint"]


RETURNED_VALUES = {
    "loss": ("return -((1 - p) ** self.gamma) * ops.log(p + 1e-7)", "own.py:Focal", "own.py:Focal.call"),
    "metric": ("return self.total / self.count", "own.py:Sureness", "own.py:Sureness.result"),
    "function": ("return ops.max(y_pred, axis=-1)", "own.py:top", "own.py:top"),
    "schedule": (
        'return self.rate * ops.minimum(1.0, (ops.cast(step, "float32") + 1) / self.steps)',
        "own.py:Warmup",
        "own.py:Warmup.__call__",
    ),
}


@pytest.mark.parametrize("name", RETURNED_VALUES)
@pytest.mark.parametrize(("returned", "found"), [("None", "None"), ("'x'", "a value of type string")])
def test_method_that_returns_nothing_or_a_text_is_named(name, returned, found, tmp_path):
    statement, reference, method = RETURNED_VALUES[name]
    code = OWN.replace(statement, f"return {returned}")
    assert code != OWN
    config = write(tmp_path, code)
    result = invoke("train", config, "--smoke", "--trust", "--json")
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["code"], problem["line"]) == ("custom-object", line_of(config, reference))
    assert problem["message"] == f"`{method}` must return numbers, got {found}."


def test_missing_method_is_named(tmp_path):
    config = write(tmp_path, OWN.replace("def result(self)", "def results(self)"))
    result = invoke("train", config, "--smoke", "--trust", "--json")
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["message"] == "own.py:Sureness has no method `result`."
    assert problem["hint"] == "Add `def result(self):` to Sureness."


def test_hints_write_the_missing_method(tmp_path):
    changes = {
        WARMUP_CONFIG: 'Add `def get_config(self): return {"rate": self.rate, "steps": self.steps}` to Warmup.',
        INIT_OF_MOMENTUM: "Call `super().__init__()` first in `__init__` of Momentum.",
    }
    for number, (found, hint) in enumerate(changes.items()):
        config = write(tmp_path / str(number), OWN.replace(found, "pass" if number else ""))
        result = invoke("train", config, "--smoke", "--trust", "--json")
        assert json.loads(result.stdout)["problems"][0]["hint"] == hint


def test_error_while_the_model_is_saved_is_a_problem(tmp_path):
    method = "    def save_own_variables(self, store):\n        raise SystemExit(0)\n"
    config = write(tmp_path, OWN.replace("    def build(self", f"{method}\n    def build(self"))
    result = invoke("train", config, "--trust", "--json", "--run-dir", tmp_path / "run")
    assert problems(result) == [("custom-object", 10)]


@pytest.mark.usefixtures("warm_processes")
def test_keras_file_loads_without_the_code(whole, tmp_path):
    result = invoke("export", whole.path, "--format", "keras", "--output", tmp_path / "m.keras", "--trust")
    assert result.exit_code == 0, result.output


def test_callback_of_batches_says_what_it_costs(tmp_path):
    changed = CONFIG.replace("{type: own.py:Tracker, every: 2}", "own.py:PerBatch")
    changed = changed.replace("  execution: {steps_per_execution: 1}\n", "")
    result = invoke("train", write(tmp_path, config=changed), "--smoke", "--trust", "--verbose")
    assert result.exit_code == 0, result.output
    assert (
        "`on_train_batch_end` of own.py:PerBatch works on each batch, so each step is a separate call"
        in result.output
    )
    assert "1 step per call" in result.output


def test_written_classes_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [
        part for kind in ("layer", "loss", "metric", "callback") for part in (f"--{kind}", f"my_{kind}.py")
    ]
    written = invoke("init", *options)
    assert written.exit_code == 0, written.output
    assert "loss: {type: my_loss.py:MyLoss, limit: 2.0}" in written.stdout
    Path("c.yaml").write_text("""
data: {type: sklearn, dataset: diabetes, split: {validation: 0.2}}
model:
  layers:
    - Normalization
    - {type: my_layer.py:MyLayer, units: 8, activation: relu}
    - {type: Dense, units: 1}
    - {type: Normalization, invert: true}
train:
  epochs: 4
  loss: {type: my_loss.py:MyLoss, limit: 200.0}
  metrics: [{type: my_metric.py:MyMetric, tolerance: 60}]
  callbacks: [{type: my_callback.py:MyCallback, monitor: loss, goal: 10000}]
""")
    run = train("c.yaml", tmp_path / "run", "--trust")
    assert run.result.exit_code == 0, run.result.output
    assert run.summary["epochs"] == 1
    assert run.summary["history"]["loss"][0] <= 10000
    assert 0.2 < run.summary["history"]["my_metric"][0] < 1
    assert invoke("init", "--loss", "my_loss.py").exit_code == 2


EPOCH_ONLY = """    def with_epoch_only(function):
        import functools

        @functools.wraps(function)
        def call(self, epoch, logs=None):
            return function(self, epoch)

        return call

    @with_epoch_only
"""


def test_parameters_are_those_of_the_function_that_is_called(tmp_path):
    method = "    def on_epoch_end(self, epoch, logs=None):\n"
    assert method in OWN
    decorated = OWN.replace(
        method, EPOCH_ONLY + '    def on_epoch_end(self, epoch):\n        logs = {"loss": 0.0}\n'
    )
    result = invoke("train", write(tmp_path, decorated), "--smoke", "--trust", "--json")
    assert result.exit_code == 0, result.output

    base = (
        "class Base(keras.callbacks.Callback):\n    def on_epoch_end(self, *, epoch, logs):\n        pass\n"
    )
    file = tmp_path / "inherited" / "base_of_tracker.py"
    inherited = OWN + "\n\nfrom base_of_tracker import Base\n\n\nclass Tracker(Base):\n    pass\n"
    config = write(file.parent, inherited)
    file.write_text("import keras\n\n\n" + base)
    result = invoke("train", config, "--smoke", "--trust", "--json")
    [problem] = json.loads(result.stdout)["problems"]
    assert problem["message"] == (
        "`own.py:Tracker.on_epoch_end` must take (self, epoch, logs=None), got (self, *, epoch, logs)."
    )
    assert problem["hint"] == f"Write `def on_epoch_end(self, epoch, logs=None):` in line 5 of {file}."

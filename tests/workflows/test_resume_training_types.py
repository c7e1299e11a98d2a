"""Every optimizer, schedule and callback resumes exactly after a kill inside an epoch."""

import shutil
from itertools import zip_longest

import pytest
import yaml

from layercli.config.training.registry import CALLBACKS, OPTIMIZERS, SCHEDULES
from layercli.runs.checkpoints import CheckpointDirectory
from tests.interrupting import assert_same, at_block, outcome
from tests.running import IRIS, invoke, train

SCHEDULED = {
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 7, "cycle": True},
    "PiecewiseConstantDecay": {"boundaries": [3, 6], "values": [0.1, 0.05, 0.01]},
    "CosineDecay": {"initial_learning_rate": 0.0, "warmup_target": 0.1, "warmup_steps": 4, "decay_steps": 9},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 3},
}
OPTIMIZER_TYPES = [name for name in OPTIMIZERS.names if name != "LossScaleOptimizer"]
LEARNING_RATES = [{"type": name, **schedule} for name, schedule in SCHEDULED.items()]
OPTIONS = {
    "Adam": {"clipvalue": 0.1, "amsgrad": True},
    "AdamW": {"clipnorm": 0.1, "weight_decay": 0.01},
    "SGD": {"global_clipnorm": 0.1, "momentum": 0.9, "nesterov": True},
    "RMSprop": {"loss_scale_factor": 8.0},
    "Adagrad": {"use_ema": True, "ema_overwrite_frequency": 2},
    "Nadam": {"use_ema": True, "ema_momentum": 0.5, "gradient_accumulation_steps": 5},
}
STREAMED = {"execution": {"feed": "stream", "steps_per_execution": 2}}
CSV = {"type": "CSVLogger", "filename": "log.csv"}
STOPPING = {"type": "EarlyStopping", "monitor": "val_accuracy", "restore_best_weights": True, "patience": 2}
PLATEAU = {"type": "ReduceLROnPlateau", "patience": 1, "min_delta": 9}
SECTIONS = {
    "Adadelta": {"class_weight": "balanced", "weighted_metrics": ["accuracy"]},
    "Adamax": STREAMED,
    "Nadam": {"callbacks": ["SwapEMAWeights"]},
    "Adafactor": {"callbacks": [CSV, STOPPING]},
    "Ftrl": {"callbacks": [PLATEAU, "TerminateOnNaN"]},
    "Lamb": {"callbacks": [{"type": "TensorBoard", "update_freq": 2}]},
    "Lion": {"dtype": "mixed_bfloat16"},
}
"""What else a training with this optimizer has, so that few trainings cover all."""
CASES = {
    # Each optimizer once: the first ones with a schedule.
    **{
        f"{name}, {rate['type'] if isinstance(rate, dict) else rate}": {
            "optimizer": {"type": name, "learning_rate": rate, **OPTIONS.get(name, {})},
            **SECTIONS.get(name, {}),
        }
        for name, rate in zip_longest(OPTIMIZER_TYPES, LEARNING_RATES, fillvalue=0.01)
    },
    "mixed_float16": {"dtype": "mixed_float16"},
    "XLA": {"execution": {"jit_compile": True, "steps_per_execution": 2}, "callbacks": []},
}


def test_all_schedules_and_callbacks_are_covered():
    assert {*OPTIONS, *SECTIONS} <= set(OPTIMIZER_TYPES)
    assert set(SCHEDULED) == {SCHEDULES.load(name).type_name() for name in SCHEDULES.names}
    case = yaml.safe_dump(list(CASES.values()))
    apart = {"MLflow"}  # needs a server: tests/engine/training/test_mlflow_callback.py
    assert [name for name in CALLBACKS.names if name not in case] == sorted(apart)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_resume_is_bit_exact(case, tmp_path, monkeypatch):
    document = yaml.safe_load(IRIS)
    section = dict(CASES[case])
    document["model"]["dtype"] = section.pop("dtype", None)
    document["model"]["layers"].insert(1, {"type": "Dropout", "rate": 0.2})
    document["train"] |= {
        "epochs": 3,
        "batch_size": 16,
        "execution": {"steps_per_execution": 2},
        "checkpoints": {"steps": 2},
        **section,
    }
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(document))
    at_block(  # as a kill in the second block of the last epoch leaves it
        monkeypatch, 7, lambda: shutil.copytree(tmp_path / "alone", tmp_path / "run")
    )
    alone = train(config, tmp_path / "alone")
    assert alone.result.exit_code == 0, alone.result.output
    monkeypatch.undo()
    assert not (tmp_path / "run" / "model.keras").exists()
    checkpoint, _ = CheckpointDirectory(tmp_path / "run").read_latest()
    assert (checkpoint.epoch, checkpoint.step) == (2, 2)
    resumed = invoke("train", "--resume", tmp_path / "run")
    assert resumed.exit_code == 0, resumed.output
    assert_same(outcome(tmp_path / "run"), outcome(alone.path))

"""Mistakes in ``train.stages``, and what each stage trains."""

import pytest
import yaml

from layercli.check import check_config
from layercli.graph.stages import plan_stages

DOCUMENT = """
data: {type: sklearn, dataset: digits, split: {validation: 0.1}}
model:
  layers:
    - {type: Dense, name: body_1, units: 4}
    - {type: BatchNormalization, name: body_2}
    - {type: Dense, name: top, units: 10, activation: softmax}
train: {loss: sparse_categorical_crossentropy}
"""


def check(tmp_path, stages, **section):
    document = yaml.safe_load(DOCUMENT)
    document["train"] |= {"stages": stages, **section}
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(document))
    return check_config(str(path))


@pytest.mark.parametrize(
    ("stages", "section", "code", "path"),
    [
        ([{"epochs": 1, "freeze": ["boddy_1"]}], {}, "unknown-name", ("freeze", 0)),
        ([{"epochs": 1, "freeze": ["bo*", "top"]}], {}, "nothing-to-train", ("freeze",)),
        ([{"epochs": 1, "batch_size": 8}], {}, "unknown-key", ("batch_size",)),
        ([{"epochs": 1, "callbacks": ["MLflow"]}], {}, "bad-argument", ("callbacks", 0)),
        (
            [{"epochs": 1, "callbacks": [{"type": "EarlyStopping", "monitor": "los"}]}],
            {},
            "unknown-monitor",
            None,
        ),
        ([{"epochs": 1, "callbacks": ["SwapEMAWeights"]}], {}, "missing-key", None),
        ([{"epochs": 1, "freeze": ["a*" * 200]}], {}, "bad-argument", ("freeze",)),
        ([{"freeze": ["top"]}], {}, "missing-key", None),
        ([], {}, "wrong-length", None),
        ([{"epochs": 1}, {"epochs": 2}], {"epochs": 4}, "bad-argument", None),
        (
            [{"epochs": 1, "callbacks": [{"type": "CSVLogger", "filename": "log.csv"}]}],
            {"callbacks": [{"type": "CSVLogger", "filename": "log.csv"}]},
            "bad-path",
            ("callbacks", 0, "filename"),
        ),
    ],
)
def test_mistake_is_reported_at_its_key(stages, section, code, path, tmp_path):
    problem, *others = check(tmp_path, stages, **section).problems
    assert (problem.code, others) == (code, [])
    if path is not None:
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        assert problem.path == f"train.stages[0]{steps}"


def test_averages_cannot_continue_with_other_layers(tmp_path):
    stages = [{"epochs": 1, "freeze": ["top"]}, {"epochs": 1}]
    averages = {"type": "Adam", "use_ema": True}
    assert [each.path for each in check(tmp_path, stages, optimizer=averages).problems] == ["train.stages[1]"]
    assert check(tmp_path, [stages[0], {"epochs": 1, "freeze": ["top"]}], optimizer=averages).ok
    assert check(tmp_path, [stages[0], {"epochs": 1, "optimizer": averages}], optimizer=averages).ok


def test_keys_that_a_stage_cannot_change_name_those_it_can(tmp_path):
    from layercli.config.training.section import TrainSection
    from layercli.config.training.stages import StageConfig

    own = {"epochs", "optimizer", "callbacks", "stages"}
    assert set(TrainSection.model_fields) - own <= set(StageConfig.hints)
    (problem,) = check(tmp_path, [{"epochs": 1, "metrics": []}]).problems
    assert "only `epochs`, `freeze`, `optimizer` and `callbacks`" in problem.hint


def test_plan_counts_what_each_stage_trains(tmp_path):
    stages = [
        {"epochs": 2, "freeze": ["body*"]},
        {"epochs": 3, "optimizer": "SGD"},
        {"epochs": 1, "freeze": ["top"]},
    ]
    checked = check(tmp_path, stages, optimizer="Adam")
    first, second, third = plan_stages(checked.config.train, checked.shapes)
    assert [each.first_epoch for each in (first, second, third)] == [1, 3, 6]
    assert (first.trainable, second.trainable, third.trainable) == (50, 318, 268)
    assert (first.frozen, second.frozen) == (("body_1", "body_2"), ())
    assert [each.optimizer for each in (first, second, third)] == ["Adam", "SGD", "SGD"]
    assert [each.is_new_optimizer for each in (first, second, third)] == [True, True, False]
    assert checked.config.train.epochs == 6

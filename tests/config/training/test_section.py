"""Stages that share an optimizer, counted by hand."""

from layercli.config.training.section import TrainSection


def test_stages_share_the_optimizer_of_the_last_stage_that_sets_one():
    adam, none = {"epochs": 1, "optimizer": "Adam"}, {"epochs": 1}
    section = TrainSection.model_validate({"loss": "mse", "stages": [none, none, adam, none, adam]})
    shared = [section.stages_with_optimizer_of(index) for index in range(5)]
    assert shared == [range(0, 2), range(0, 2), range(2, 4), range(2, 4), range(4, 5)]


def test_stage_without_an_optimizer_has_that_of_the_stage_before():
    stages = [{"epochs": 1}, {"epochs": 1, "optimizer": "SGD"}, {"epochs": 1}]
    section = TrainSection.model_validate({"loss": "mse", "optimizer": "Adam", "stages": stages})
    found = [section.optimizer_in_stage(stage) for stage in range(3)]
    assert [path for _, path in found] == [
        ("train", "optimizer"),
        ("train", "stages", 1, "optimizer"),
        ("train", "stages", 1, "optimizer"),
    ]

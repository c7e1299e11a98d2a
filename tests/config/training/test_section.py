"""Stages that share an optimizer, counted by hand."""

import math

import pytest
from pydantic import TypeAdapter, ValidationError

from layercli.config.training.section import TrainSection
from layercli.config.training.types import ClassWeightField


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


def test_class_weights_are_numbers_of_at_least_0():
    parse = TypeAdapter(ClassWeightField).validate_python
    assert parse({"rare": 5, "common": 0}) == {"rare": 5.0, "common": 0.0}
    assert (parse("balanced"), parse(None)) == ("balanced", None)


@pytest.mark.parametrize(
    ("weight", "shown"), [("5", '"5"'), (-1, "-1"), (math.inf, ".inf"), (math.nan, ".nan"), (True, "true")]
)
def test_other_class_weights_are_refused(weight, shown):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(ClassWeightField).validate_python({"common": 1, "rare": weight})
    (error,) = caught.value.errors()
    assert error["msg"] == f"The weight of `rare` must be a number of at least 0, got {shown}."
    assert error["ctx"]["hint"] == "For example `rare: 2.5`."

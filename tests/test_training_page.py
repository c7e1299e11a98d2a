"""The examples of docs/training.md are whole configs that train; the page has every key and callback."""

import re
from pathlib import Path

import pytest

from layercli.check import check_config
from layercli.config.training.optimizers import Optimizer
from layercli.config.training.registry import CALLBACKS, SCHEDULES
from layercli.config.training.section import TrainSection
from tests.running import train

PAGE = (Path(__file__).parents[1] / "docs" / "training.md").read_text()
EXAMPLES = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
NEEDS_MORE = {"outputs.yaml": "data", "transfer.yaml": "a run"}
"""Examples that do not train by themselves, and what they lack."""


@pytest.fixture
def write(tmp_path):
    def write(name):
        (tmp_path / name).write_text(EXAMPLES[name])
        return tmp_path / name

    return write


def test_every_example_is_found():
    assert len(EXAMPLES) == PAGE.count("```yaml")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_no_problem(write, name):
    assert check_config(str(write(name))).problems == []


@pytest.mark.parametrize("name", EXAMPLES.keys() - NEEDS_MORE.keys())
def test_an_example_trains(write, name):
    path = write(name)
    run = train(path, path.parent / "run")
    assert run.result.exit_code == 0, run.result.output
    history = run.summary["history"]
    assert all(value == value for values in history.values() for value in values)


@pytest.mark.parametrize("key", TrainSection.model_fields)
def test_every_key_has_a_row_and_stands_in_an_example(key):
    assert f"\n| `{key}` |" in PAGE
    assert any(re.search(rf"\b{key}:", text) for text in EXAMPLES.values())


@pytest.mark.parametrize("name", [*Optimizer.model_fields, *CALLBACKS.names, *SCHEDULES.names])
def test_every_argument_of_optimizers_every_callback_and_schedule_is_on_the_page(name):
    assert f"`{name}`" in PAGE

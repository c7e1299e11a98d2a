"""The examples in docs/training.md are complete configs that train; the page has every key and callback."""

import re
from pathlib import Path

import pytest

from layercli.check import check_config
from layercli.config.training.optimizers import Optimizer
from layercli.config.training.registry import CALLBACKS, SCHEDULES
from layercli.config.training.section import TrainSection
from tests.metric_table import read_table, write_table
from tests.running import train

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
EXAMPLES = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
NEEDS_MORE = {"outputs.yaml": "data", "transfer.yaml": "a run", "stages.yaml": "a run"}
"""Examples that need more than the config to train."""


@pytest.fixture
def write(tmp_path):
    def write(name):
        (tmp_path / name).write_text(EXAMPLES[name])
        return tmp_path / name

    return write


def test_all_examples_are_collected():
    assert len(EXAMPLES) == PAGE.count("```yaml")


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_valid(write, name):
    assert check_config(str(write(name))).problems == []


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in NEEDS_MORE])
def test_example_trains(write, name):
    path = write(name)
    run = train(path, path.parent / "run")
    assert run.result.exit_code == 0, run.result.output
    history = run.summary["history"]
    assert all(value == value for values in history.values() for value in values)


@pytest.mark.parametrize("key", TrainSection.model_fields)
def test_every_key_has_row_and_example(key):
    assert f"\n| `{key}` |" in PAGE
    assert any(re.search(rf"\b{key}:", text) for text in EXAMPLES.values())


@pytest.mark.parametrize("name", [*Optimizer.model_fields, *CALLBACKS.names, *SCHEDULES.names])
def test_page_lists_optimizer_arguments_callbacks_and_schedules(name):
    assert f"`{name}`" in PAGE


def test_table_of_metrics_is_current():
    assert read_table() == write_table(), "run python -m tests.metric_table"

"""The examples of docs/sweep.md and configs/sweeps are valid and do what the page says."""

import re
from pathlib import Path

import pytest

from layercli.check import check_config
from layercli.config.sweep.pruners import PRUNERS
from layercli.config.sweep.samplers import SAMPLERS
from layercli.config.sweep.section import SweepConfig
from layercli.sweep.plan import read_sweep_plan

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sweep.md").read_text()
EXAMPLES = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def place(tmp_path):
    for name, text in EXAMPLES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_all_examples_are_found_and_the_base_config_is_valid(place):
    assert len(EXAMPLES) == PAGE.count("```yaml") == 5
    assert not check_config(str(place / "config.yaml")).problems


@pytest.mark.parametrize(("name", "wanted"), [("sweep.yaml", 50), ("blocks.yaml", 24), ("small.yaml", 30)])
def test_example_has_no_problem(place, name, wanted):
    plan, warnings = read_sweep_plan(str(place / name))
    assert not warnings
    assert plan.sweep.trial_count == wanted


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs" / "sweeps").glob("*.yaml")), ids=lambda path: path.name
)
def test_sweeps_in_configs_have_no_problem(path):
    assert not read_sweep_plan(str(path))[1]


def test_page_documents_every_key_sampler_and_pruner():
    for name in (*SweepConfig.model_fields, *SAMPLERS.names, *PRUNERS.names):
        assert f"`{name}`" in PAGE, name

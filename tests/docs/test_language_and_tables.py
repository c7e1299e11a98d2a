"""The examples of docs/language.md and docs/tables.md are valid configs and behave as the pages describe."""

import re
from pathlib import Path

import pytest

from layercli.check import check_config, require_valid

PAGES = [(Path(__file__).parents[2] / "docs" / name).read_text() for name in ("language.md", "tables.md")]
EXAMPLES = dict(
    found for page in PAGES for found in re.findall(r"```yaml\n# (\S+)\n(.*?)```", page, re.DOTALL)
)


@pytest.fixture
def valid(tmp_path):
    for name, text in EXAMPLES.items():
        (tmp_path / name).write_text(text)

    def valid(name, *overrides):
        checked = check_config(str(tmp_path / name), overrides)
        assert not checked.problems, checked.problems
        return require_valid(checked)

    return valid


def test_every_example_is_found():
    assert len(EXAMPLES) == sum(page.count("```yaml") for page in PAGES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_no_problem(valid, name):
    valid(name)


def test_names_match_the_page(valid):
    names = [node.name for node in valid("blocks.yaml").graph.nodes]
    assert "pair.residual_1.normalized" in names
    assert {"stem.normalized", "dense", "dense_1"} <= set(names)


def test_extends_changes_only_overridden_values(valid):
    base, wide = valid("base.yaml").config, valid("wide.yaml").config
    assert wide.model.layers[0].layer.units == 512
    assert (wide.train.epochs, wide.train.optimizer.learning_rate) == (20, 1e-4)
    assert wide.train.loss == base.train.loss


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("base.yaml", "vars.width=128"),
        ("states.yaml", "model.layers.encoder.units=8"),
        ("base.yaml", "model.layers[0].units=8"),
        ("blocks.yaml", "blocks.residual.layers.normalized.momentum=0.9"),
        ("blocks.yaml", "model.layers.stem.with.kernel_size=1"),
    ],
)
def test_set_values_match_the_page(valid, name, override):
    assert valid(name, override).config != valid(name).config

"""The examples of docs/language.md and docs/tables.md are valid configs and behave as the pages describe."""

import gzip
import re
from pathlib import Path

import pytest

from layercli.check import check_config, require_valid
from layercli.workflows.dataset import check_dataset

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


def test_files_of_the_page_are_read_as_it_describes(valid, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(f"{day:02}.12.2020 08:30;1.234,50 €;{day} %;{day % 3}" for day in range(10, 30))
    text = f"Sales\n\nwhen;price;discount;sold\n{rows}\n# the end\n-;-;-;7\n"
    Path("sales.csv.gz").write_bytes(gzip.compress(text.encode("cp1252")))
    config = valid("sales.yaml", "data.shuffle=false")
    report = check_dataset(config, config.config.data)
    batch = next(iter(report.splits.train.batches(99)))
    first = [2020, 12, 3, 8, 0, 1234.5, 10]  # a Thursday
    assert batch.x["numbers"][0].tolist() == first
    assert batch.x["numbers"][-1].tolist() == [2020, 12, 3, 8, 9.5, 1234.5, 19.5]  # the medians
    Path("visits.csv").write_text("when,age,minutes\n02/01/2021,5,1.5\n03/01/2021,6,2.5\n")
    config = valid("visits.yaml")
    report = check_dataset(config, config.config.data)
    assert next(iter(report.dataset.batches(1))).x.tolist() == [[2, 0, 5]]  # a Monday in February


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

"""The training that a new config declares."""

import pytest
import yaml

from layercli.reports.config_template import ConfigTemplate, format_split, render_config


@pytest.mark.parametrize(("rows", "decay_steps"), [(3, 100), (400, 1000), (401, 1100), (999, 2500)])
def test_small_tables_train_for_all_epochs_with_a_falling_rate(rows, decay_steps):
    template = ConfigTemplate("t", "vectors", (2,), None, is_table=True, row_count=rows)
    train = yaml.safe_load(render_config(template))["train"]
    assert (train["epochs"], train["batch_size"], "callbacks" in train) == (100, 32, False)
    rate = train["optimizer"]["learning_rate"]
    # 0.8 of the rows are the training set, in batches of 32, rounded up; times 100 epochs.
    assert (rate["type"], rate["decay_steps"]) == ("CosineDecay", decay_steps)
    assert format_split(rows, is_stratified=False, stops_early=False).startswith(
        "  split: {validation: 0.2}" if rows < 100 else "  split: {validation: 0.1, test: 0.1}"
    )


@pytest.mark.parametrize(("rows", "is_table"), [(1000, True), (500, False)])
def test_other_data_stops_early(rows, is_table):
    template = ConfigTemplate("t", "vectors", (2,), None, is_table=is_table, row_count=rows)
    train = yaml.safe_load(render_config(template))["train"]
    assert train["callbacks"][0] == {"type": "EarlyStopping", "patience": 12, "restore_best_weights": True}
    assert "CosineDecay" not in str(train["optimizer"])
    assert format_split(500, is_stratified=False) == "  split: {validation: 0.2, test: 0.1}"

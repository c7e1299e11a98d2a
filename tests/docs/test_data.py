"""docs/data.md: its examples are complete valid configs, and its tables list every key of each type."""

import re
from pathlib import Path

import pytest

from layercli.check import check_config
from layercli.config.data.section import DATA_TYPES, DataConfig

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
EXAMPLES = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
SECTIONS = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
TYPES = [
    (kind, title)
    for title in SECTIONS
    for kind in re.findall(r"`(\w+)`", title)
    if DATA_TYPES.find(kind) is not None
]


def test_every_example_is_found():
    assert len(EXAMPLES) == PAGE.count("```yaml")


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_has_no_problem(tmp_path, name):
    (tmp_path / name).write_text(EXAMPLES[name])
    assert check_config(str(tmp_path / name)).problems == []


@pytest.mark.parametrize(("kind", "title"), TYPES)
def test_page_lists_exactly_the_keys_of_each_type(kind, title):
    fields = set(DATA_TYPES.look_up(kind).model_fields) - set(DataConfig.model_fields)
    rows = set(re.findall(r"^\| `(\w+)` \|", SECTIONS[title], re.MULTILINE))
    others = {key for other, at in TYPES if at == title for key in DATA_TYPES.look_up(other).model_fields}
    assert rows <= others
    documented = rows or set(re.findall(r"`(\w+)`", SECTIONS[title]))
    assert fields <= documented

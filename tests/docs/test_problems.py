"""docs/problems.md documents every problem code; its examples have the problem, and the fixed ones have none."""

import re
from pathlib import Path

import pytest

import layercli
from layercli.check import check_config

PAGE = (Path(__file__).parents[2] / "docs" / "problems.md").read_text()
SHOWN = re.findall(r"### `([\w-]+)`\n\n.*?```yaml\n(.*?)```\n\nFixed:\n\n```yaml\n(.*?)```", PAGE, re.DOTALL)
LISTED = [
    code
    for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    for code in re.findall(r"`([\w-]+)`", row)
]
NO_CODES = {
    *("utf-8", "utf-8-sig", "inspect-shapes", "inspect-data", "scikit-learn"),
    *("cross-validation", "find-rate", "one-hot", "multi-label", "one-for-all-units"),
    *("aria-label", "color-scheme"),
    *("utf-16", "utf-16-le", "utf-16-be", "latin-1"),
    *("is-args", "content-length", "no-referrer"),
    *("image-segmentation", "tabular-regression", "time-series-forecasting", "model-index"),
    *("ls-files", "packed-refs", "ml-dtypes"),
}
"""Words with a hyphen in the source that are not problem codes."""
ONE_WORD = {"empty", "interrupted", "overfitting", "saturated"}


@pytest.fixture
def codes(tmp_path):
    def codes(text):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return [problem.code for problem in check_config(str(path)).problems]

    return codes


def test_documented_codes_equal_the_codes_in_the_source():
    source = "".join(path.read_text() for path in Path(layercli.__file__).parent.rglob("*.py"))
    words = set(re.findall(r'"([a-z]+(?:-[a-z0-9]+)+)"', source)) - NO_CODES
    documented = [code for code, _, _ in SHOWN] + LISTED
    assert sorted(documented) == sorted(words | ONE_WORD)


@pytest.mark.parametrize(("code", "invalid", "fixed"), SHOWN, ids=[code for code, _, _ in SHOWN])
def test_example_has_the_problem_and_fixed_example_has_none(codes, code, invalid, fixed):
    assert code in codes(invalid)
    assert codes(fixed) == []

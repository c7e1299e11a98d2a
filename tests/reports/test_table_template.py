"""Lines of a new config for a table."""

from types import SimpleNamespace

import pytest

from layercli.reports import table_template


@pytest.mark.parametrize(
    ("kind", "class_names", "written"),
    [
        ("integer", None, ["  target_type: numbers"]),
        ("integer", ["0", "1"], ["  target_type: labels"]),
        ("number", None, []),
        ("number", ["0", "1"], ["  target_type: labels"]),
        ("text", ["a", "b"], []),
    ],
)
def test_meaning_of_numbers_is_written(kind, class_names, written):
    target = SimpleNamespace(name="y", kind=kind)
    columns = SimpleNamespace(
        target=target, targets=[target], more_targets=[], class_names=class_names, label_separator=None
    )
    first, *others = table_template._list_target_keys(columns)
    assert first.startswith("  target: y ")
    assert others == written

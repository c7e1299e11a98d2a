"""Counterparts of layers in a changed model."""

import pytest

from layercli.check import check_config, require_valid
from layercli.graph import align

FIRST = "{type: Dense, units: 8, activation: relu, use_bias: false}"
CHANGED = "{type: Dense, units: 9, activation: relu, use_bias: false}"
OTHER = "{type: Dense, units: 64, activation: tanh}"
HEAD = "{type: Dense, units: 3}"


def shapes_of(*layers):
    text = "model:\n  input: [4]\n  layers:\n" + "".join(f"    - {layer}\n" for layer in layers)
    return require_valid(check_config("config.yaml", text=text)).shapes


def match_layers(before, after):
    return align.align_layers(shapes_of(*before), shapes_of(*after))


def test_changed_layers_are_paired_around_equal_ones():
    other_head = HEAD.replace("3", "5")
    assert match_layers([FIRST, HEAD], [OTHER, FIRST, other_head]) == {0: 1, 1: 2}
    assert match_layers([OTHER, FIRST, other_head], [FIRST, HEAD]) == {1: 0, 2: 1}


@pytest.mark.parametrize(("cells", "expected"), [(6, {0: 1, 1: 2}), (0, {0: 1})])
def test_rest_of_large_ranges_is_matched_by_name(monkeypatch, cells, expected):
    monkeypatch.setattr(align, "_MAX_TABLE_CELLS", cells)
    # Two and three layers have six pairs. The heads are `dense_1` and `dense_2`.
    assert match_layers([FIRST, HEAD], [OTHER, FIRST, HEAD.replace("3", "5")]) == expected


def test_equal_layers_divide_large_ranges(monkeypatch):
    monkeypatch.setattr(align, "_MAX_TABLE_CELLS", 1)
    before = [FIRST, "{type: Dropout, rate: 0.5}", FIRST, HEAD]
    after = [CHANGED, "{type: Dropout, rate: 0.5}", CHANGED, HEAD]
    assert match_layers(before, after) == {0: 0, 1: 1, 2: 2, 3: 3}


def test_named_layers_match_in_any_order():
    named = [layer.replace("Dense,", f"Dense, name: {name},") for layer, name in ((FIRST, "a"), (HEAD, "b"))]
    assert match_layers(named, named[::-1]) == {0: 1, 1: 0}
    assert match_layers([named[0], HEAD], [CHANGED.replace("Dense,", "Dense, name: c,"), HEAD]) == {
        0: 0,
        1: 1,
    }
    assert match_layers([FIRST, HEAD], ["{type: Dropout, rate: 0.5}", HEAD]) == {1: 1}

"""Layers that learn from data, nested in layers that do not adapt them."""

import pytest

from layercli.graph.checks.learners import check_learners
from tests.stacks_text import checked_layers

NORMALIZATION = {"type": "Normalization"}
CUSTOM = {"type": "mine.py:Mine"}


def found(layer):
    graph = checked_layers([layer], "float32", (5, 4)).shapes.graph
    return [(finding.message, finding.path[3:], finding.hint) for finding in check_learners(graph)]


def test_normalization_in_custom_layer_is_an_error():
    assert found(CUSTOM | {"layer": NORMALIZATION}) == [
        (
            "Normalization learns from the data, which it cannot as an argument of `mine`.",
            ("layer",),
            "Put it before `mine` in `layers`, or write `mean` and `variance` here.",
        )
    ]


def test_lookup_in_a_list_of_a_wrapped_custom_layer_names_its_path():
    inner = CUSTOM | {"steps": [{"type": "TimeDistributed", "layer": {"type": "IntegerLookup"}}]}
    ((_, path, hint),) = found({"type": "TimeDistributed", "layer": inner})
    assert path == ("layer", "steps", 0, "layer")
    assert hint.endswith("or write `vocabulary` here.")


@pytest.mark.parametrize(
    "layer",
    [
        NORMALIZATION,
        {"type": "TimeDistributed", "layer": NORMALIZATION},
        {"type": "Pipeline", "layers": [NORMALIZATION]},
        CUSTOM | {"layer": NORMALIZATION | {"mean": 0.0, "variance": 1.0}},
        CUSTOM | {"layer": {"type": "Dense", "units": 3}},
    ],
)
def test_layers_that_adapt_or_need_not(layer):
    assert found(layer) == []

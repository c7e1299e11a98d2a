"""Inputs that the expansion writes count as the values that a person would write."""

from pathlib import Path

from layercli.check import check_document
from layercli.config.language.scopes import make_inputs
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText


def test_inputs_have_the_size_and_depth_of_their_values():
    node = parse_yaml(SourceText("c.yaml", ["[a, b, c]"], Path()))
    single, several = make_inputs(("x",), node), make_inputs(("x", "y"), node)
    assert (single.to_plain(), single.size, single.depth) == ("x", 1, 0)
    assert (several.to_plain(), several.size, several.depth) == (["x", "y"], 3, 1)
    assert (single.mark, several.mark) == (node.mark, node.mark)


def test_type_as_key_is_named_in_the_message():
    text = "model: {input: [4], layers: [{Dense: {units: 10}}, {type: Dense, units: 3}]}"
    found = check_document(parse_yaml(SourceText("c.yaml", [text], Path())))
    (problem,) = found.problems
    assert (problem.code, problem.path) == ("missing-key", "model.layers[0]")
    assert problem.message == 'Layer is missing `type`; "Dense" was used as a key.'
    assert problem.hint == "Write {type: Dense, units: 10}."

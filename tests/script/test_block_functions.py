"""Functions of a script for repeated blocks, and their names."""

from pathlib import Path

from layercli.check import check_document, require_valid
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText
from tests.script.running import script_of

BLOCKS = """
blocks:
  pair:
    params: [units]
    layers:
      - {type: Dense, units: "${units}"}
      - {type: Dropout, rate: 0.5}
model:
  input: [4]
  layers:
"""


def functions_of(*layers):
    text = BLOCKS + "".join(f"    - {layer}\n" for layer in layers)
    valid = require_valid(check_document(parse_yaml(SourceText("c.yaml", text.split("\n"), Path()))))
    return [line for line in script_of(valid).splitlines() if line.startswith("def ")]


def write_block_use(name, units):
    return f"{{block: pair, name: {name}, with: {{units: {units}}}}}"


def test_function_of_several_names_has_the_first_one():
    assert (
        functions_of(write_block_use("stem", 3), write_block_use("tail", 3), write_block_use("body", 4))[0]
        == "def body(x, units):"
    )


def test_function_of_numbered_names_has_the_name_without_a_number():
    found = functions_of(
        write_block_use("wide_1", 3), write_block_use("wide_2", 3), {"block": "pair", "with": {"units": 3}}
    )
    assert found[0] == "def pair(x):"
    assert (
        functions_of(write_block_use("wide_1", 3), write_block_use("wide_2", 4))[0] == "def wide(x, units):"
    )


def test_block_that_is_used_once_has_no_function():
    assert functions_of(write_block_use("body", 3)) == ["def build_model():", "def main():"]


def test_layer_with_the_name_of_a_block_is_not_part_of_it():
    found = functions_of(
        "{type: Dense, units: 2, name: body}", write_block_use("body", 3), write_block_use("tail", 3)
    )
    assert found[0] == "def tail(x):"

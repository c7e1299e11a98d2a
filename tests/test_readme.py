"""The README is short, starts with two lines to copy, and lists every command."""

import re

from layercli.cli import COMMANDS
from tests.docs.pages import PAGES, blocks

README = PAGES["README"]


def test_readme_is_short():
    assert len(README.splitlines()) <= 200


def test_readme_starts_with_a_sentence_and_two_lines_to_copy():
    assert README.split("\n\n")[1] == "layercli turns a YAML file into a trained Keras model."
    train, test = (text.strip() for text in blocks("sh", "README")[:2])
    assert train.endswith("layercli train configs/digits_cnn.yaml")
    assert ".[dev]" in test
    assert test.endswith("pytest -q")


def test_table_lists_every_command_in_the_order_of_help():
    assert re.findall(r"^\| `layercli ([\w-]+)` \|", README, re.MULTILINE) == list(COMMANDS)

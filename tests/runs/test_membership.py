"""A run of a group names the group in its manifest."""

from pathlib import Path

import pytest

from layercli.runs.membership import Membership, describe_membership, parse_membership

ENTRY = {"kind": "sweep", "directory": "runs/search", "member": "3"}


def test_membership_of_a_run_in_the_directory_of_its_group():
    membership = describe_membership("sweep", Path("runs/search/3"))
    assert membership.as_json() == ENTRY
    assert parse_membership({"group": ENTRY}) == membership


def test_run_without_a_group():
    assert parse_membership({}) is None


@pytest.mark.parametrize(
    "entry", [None, [], "sweep", {**ENTRY, "kind": "other"}, {**ENTRY, "kind": []}, {**ENTRY, "member": 3}]
)
def test_entry_that_layercli_does_not_write_is_ignored(entry):
    assert parse_membership({"group": entry}) is None


def test_control_characters_of_a_manifest_are_removed():
    found = parse_membership({"group": {**ENTRY, "directory": "a\x1b[31mb"}})
    assert isinstance(found, Membership)
    assert "\x1b" not in found.directory

"""The origin of a run in words."""

from pathlib import Path

import pytest

from layercli.reports.provenance import describe_provenance
from layercli.reports.runs import print_run_comparison
from layercli.runs.listing import Run
from tests.reports.test_runs import shown

MANIFEST = {
    "git": {"commit": "0123456789abcdef", "dirty": True},
    "data": {"fingerprint": "sha256:fedcba9876543210"},
    "platform": "Linux",
    "environment": {"processor": "EPYC", "OMP_NUM_THREADS": None},
    "machine": {"memory": 25769803776, "gpus": ["A100", "A100"], "image": "keras:1"},
    "versions": {"keras": "3.15.1"},
    "packages": {"pyarrow": "26.0.1"},
}


def test_every_value_has_a_title():
    assert describe_provenance(MANIFEST) == {
        "commit": "0123456789abcdef with changed files",
        "data fingerprint": "sha256:fedcba9876543210",
        "platform": "Linux",
        "processor": "EPYC",
        "memory": "24.0 GiB",
        "GPUs": "A100, A100",
        "image": "keras:1",
        "keras": "3.15.1",
        "pyarrow": "26.0.1",
    }


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"git": 3, "data": [], "environment": "x", "machine": None, "versions": [1], "packages": True},
        {"git": {"commit": ["a"]}, "machine": {"memory": "x", "gpus": "y", "image": 1}, "platform": {}},
    ],
)
def test_values_of_another_type_are_left_out(manifest):
    assert describe_provenance(manifest) == {}


def test_long_and_hostile_values_are_cut_and_cleaned():
    found = describe_provenance({"versions": {f"p{number}": "\x1b[31m" + "x" * 999 for number in range(100)}})
    assert len(found) == 60
    assert all(len(value) <= 200 and "\x1b" not in value for value in found.values())


def test_comparison_shows_commits_and_what_is_known_to_differ():
    other = MANIFEST | {
        "git": {"commit": "89abcdef0123", "dirty": None},
        "versions": {"keras": "3.16.0"},
        "packages": {},
        "data": {"fingerprint": "sha256:0000000000000"},
    }
    runs = [
        Run(Path("a"), "finished", manifest=MANIFEST),
        Run(Path("b"), "finished", manifest=other),
        Run(Path("c"), "finished"),
    ]
    lines = [" ".join(line.split()) for line in shown(print_run_comparison, runs, {}, width=150).splitlines()]
    assert "commit 0123456789 with changed files 89abcdef01 (changes unknown)" in lines
    assert "data fingerprint fedcba9876 0000000000" in lines
    assert "keras 3.15.1 3.16.0" in lines
    assert not [line for line in lines if line.startswith(("pyarrow", "processor"))]

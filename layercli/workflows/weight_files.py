"""The files with initial weights of a training: recorded by their hashes, so that a resume notices other ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from layercli.check import ValidConfig
from layercli.errors import Problem
from layercli.io.paths import hash_file
from layercli.layers.families.applications import IMAGENET, Application
from layercli.runs import directory as runs
from layercli.source.nodes import KeyPath, sanitize_text


def _list_weight_files(valid: ValidConfig) -> Iterator[tuple[KeyPath, Path]]:
    """Yield the path of each key that names weights, and the file with them."""
    for node in valid.graph.nodes:
        weights = node.layer.weights if isinstance(node.layer, Application) else None
        if weights not in (None, IMAGENET) and node.reuse_of is None:
            yield (*node.path, "weights"), valid.check_result.directory_of(node.path) / str(weights)
    if valid.config.model.weights is not None:
        path: KeyPath = ("model", "weights")
        named = valid.check_result.directory_of(path) / valid.config.model.weights
        yield path, named / runs.MODEL if named.is_dir() else named


def hash_weight_files(valid: ValidConfig) -> dict[str, str]:
    """Return the SHA-256 of each file with initial weights, by its absolute path."""
    return {str(file.absolute()): hash_file(file) for _, file in _list_weight_files(valid) if file.is_file()}


def check_weight_files(valid: ValidConfig, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each file that is missing, or that has other weights than when the run started."""
    known = manifest.get("weight_files")
    for path, file in _list_weight_files(valid):
        expected = known.get(str(file.absolute())) if isinstance(known, dict) else None
        if not isinstance(expected, str) or (file.is_file() and hash_file(file) == expected):
            continue
        state = "was modified after" if file.is_file() else "does not exist any more, as it did when"
        message = f"{sanitize_text(str(file))} {state} the run started, which has no checkpoint."
        hint = f"Restore the file with the SHA-256 {sanitize_text(expected, limit=64)}, or start a new run."
        yield valid.make_problem(path, "resume-differs", message, hint)

"""Where a run came from, in words: commit, data, machine and versions, as its manifest has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from layercli.reports.formatting import format_bytes
from layercli.runs.git_state import parse_git_state
from layercli.source.nodes import sanitize_text

COMMIT: Final = "commit"
DATA: Final = "data fingerprint"
_MAX_VALUES: Final = 60
_MAX_TEXT: Final = 200
_FILE_NOTES: Final = {True: " with changed files", False: "", None: " (changes unknown)"}


def describe_provenance(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what a manifest says of the origin of a run, by title; values of another type are left out."""
    git = parse_git_state(manifest)
    machine = _as_mapping(manifest.get("machine"))
    environment = _as_mapping(manifest.get("environment"))
    memory, gpus = machine.get("memory"), machine.get("gpus")
    values = {
        COMMIT: None if git is None else git["commit"] + _FILE_NOTES[git["dirty"]],
        DATA: _as_mapping(manifest.get("data")).get("fingerprint"),
        "platform": manifest.get("platform"),
        **environment,
        "memory": format_bytes(memory) if type(memory) is int and memory > 0 else None,
        "GPUs": ", ".join(map(str, gpus[:_MAX_VALUES])) if isinstance(gpus, list) else None,
        "container": machine.get("container"),
        "image": machine.get("image"),
        **_as_mapping(manifest.get("versions")),
        **_as_mapping(manifest.get("packages")),
    }
    texts = {
        sanitize_text(str(title), limit=80): sanitize_text(value, limit=_MAX_TEXT)
        for title, value in values.items()
        if isinstance(value, str) and value
    }
    return dict(list(texts.items())[:_MAX_VALUES])


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

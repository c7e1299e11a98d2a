"""Detect loops over time, which some formats support only for a fixed batch size."""

from __future__ import annotations

from typing import Any


def has_loops(config: Any) -> bool:
    """Return whether a layer config, or an inner one, contains a loop over time."""
    if isinstance(config, dict):
        return config.get("unroll") is False or any(has_loops(value) for value in config.values())
    return isinstance(config, list) and any(has_loops(value) for value in config)

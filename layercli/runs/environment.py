"""The parts of a machine that change the last bits of a result: processor, threads and settings of the libraries."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from layercli.source.nodes import sanitize_text

_CPU_FILE: Final = Path("/proc/cpuinfo")
_MAX_BYTES: Final = 1 << 16
_SETTINGS: Final = (
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "XLA_FLAGS",
    "TF_XLA_FLAGS",
)
"""Environment variables that change how sums are divided or which instructions are used."""


def collect_environment() -> dict[str, str | None]:
    """Return the processor, the number of its cores that may be used, and the settings of the libraries."""
    return {
        "processor": _read_processor(),
        "cores": str(_count_cores()),
        **{name: os.environ.get(name) for name in _SETTINGS},
    }


def describe_differences(recorded: Any, current: Mapping[str, str | None]) -> Iterator[str]:
    """Describe each value that differs from a recorded environment; unknown values are not compared."""
    if not isinstance(recorded, dict):
        return
    for name, value in current.items():
        if name in recorded and recorded[name] != value:
            yield f"{name} was {_format_value(recorded[name])} and is {_format_value(value)}"


def _format_value(value: Any) -> str:
    return "not set" if value is None else sanitize_text(str(value), limit=80)


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_processor() -> str:
    """Return the name of the processor's model."""
    with suppress(OSError), _CPU_FILE.open(encoding="utf-8", errors="replace") as file:
        for line in file.read(_MAX_BYTES).splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()

"""The machine of a training: what changes the last bits of a result, and what it was."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from layercli.io.credentials import hide_credentials
from layercli.runtime import count_cores
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

IMAGE_VARIABLE: Final = "LAYERCLI_IMAGE"
"""Environment variable with the name of the container image, which a container cannot know itself."""
_CONTAINER_VARIABLE: Final = "container"
"""Set by systemd-nspawn, LXC and Podman."""
_PODMAN_FILE: Final = Path("/run/.containerenv")
_DOCKER_FILE: Final = Path("/.dockerenv")
_PODMAN_IMAGE: Final = re.compile(r'^image="([^"]*)"$', re.MULTILINE)
_MAX_TEXT: Final = 200


def collect_environment() -> dict[str, str | None]:
    """Return the processor, the number of its cores that may be used, and the settings of the libraries."""
    return {
        "processor": _read_processor(),
        "cores": str(count_cores()),
        **{name: os.environ.get(name) for name in _SETTINGS},
    }


def collect_machine(*, memory: int | None, gpus: Sequence[str]) -> dict[str, Any]:
    """Return what is known of memory in bytes, GPUs, and the container and its image."""
    container, image = _find_container()
    found = {"memory": memory, "gpus": list(gpus) or None, "container": container, "image": image}
    return {key: value for key, value in found.items() if value is not None}


def _find_container() -> tuple[str | None, str | None]:
    """Return the kind of the container and the name of its image, as far as they are known."""
    image = os.environ.get(IMAGE_VARIABLE) or None
    kind = os.environ.get(_CONTAINER_VARIABLE) or None
    if any(os.environ.get(f"{name}_CONTAINER") for name in ("APPTAINER", "SINGULARITY")):
        kind = "apptainer"
    elif _PODMAN_FILE.is_file():
        kind = "podman"
        with suppress(OSError), _PODMAN_FILE.open(encoding="utf-8", errors="replace") as file:
            found = _PODMAN_IMAGE.search(file.read(_MAX_BYTES))
            image = image or (found[1] if found else None)
    elif _DOCKER_FILE.exists():
        kind = "docker"
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        kind = "kubernetes"
    clean = (
        None if text is None else sanitize_text(hide_credentials(text), limit=_MAX_TEXT)
        for text in (kind, image)
    )
    kind, image = clean
    return kind, image


def describe_differences(recorded: Any, current: Mapping[str, str | None]) -> Iterator[str]:
    """Describe each value that differs from a recorded environment; unknown values are not compared."""
    if not isinstance(recorded, dict):
        return
    for name, value in current.items():
        if name in recorded and recorded[name] != value:
            yield f"{name} was {_format_value(recorded[name])} and is {_format_value(value)}"


def _format_value(value: Any) -> str:
    return "not set" if value is None else sanitize_text(str(value), limit=80)


def _read_processor() -> str:
    """Return the name of the processor's model."""
    with suppress(OSError), _CPU_FILE.open(encoding="utf-8", errors="replace") as file:
        for line in file.read(_MAX_BYTES).splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()

"""Checks before a model is built: sections, custom code, trust, packages and memory."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from layercli.check import ValidConfig
from layercli.config.data.section import DataConfig
from layercli.config.training.batch_size import AutoBatchSize
from layercli.config.training.custom_objects import CustomObject
from layercli.config.training.section import TrainSection
from layercli.errors import LayercliError, Problem, Severity
from layercli.graph.forward_cost import count_convolution_scratch
from layercli.graph.shapes import NodeShapes, tensor_bytes
from layercli.reports.formatting import format_bytes
from layercli.source.nodes import KeyPath, sanitize_text

_MEMORY_INFO_FILE = Path("/proc/meminfo")
_CGROUP_FOLDERS = {
    Path("/sys/fs/cgroup"): ("memory.max", "memory.current"),
    Path("/sys/fs/cgroup/memory"): ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}
"""Folder of a control group -> its files with the limit and the usage, in versions 2 and 1."""
_CGROUP_LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def require_trust(valid: ValidConfig, *, trust: bool, data: DataConfig | None = None) -> None:
    """Check that custom code exists and that ``--trust`` permits it.

    The code is that of layers, of losses and other objects of the training, and of the function of ``data`` if given.

    Raises:
        LayercliError: Contains one problem for each layer or function.
    """
    problems = [] if data is None else _check_data_trust(valid, data, trust=trust)
    for part in valid.custom_layers:
        layer = part.layer
        path: KeyPath = (*part.path, "type")
        file = valid.custom_layer_file(part) if layer.kind == "file" else None
        if file is not None and not file.is_file():
            message = f"The file {sanitize_text(str(file))} does not exist."
            problems.append(
                valid.make_problem(path, "custom-layer", message, "The path is relative to the config.")
            )
        elif not trust:
            code = str(file or f"the module {layer.module}")
            problems.append(_make_trust_problem(valid, path, layer.type_reference(), code))
    for custom, custom_path in valid.custom_objects:
        file = valid.custom_object_file(custom)
        problems += _check_object_trust(valid, custom, custom_path, file, trust=trust)
    if problems:
        raise LayercliError(problems)


def _check_object_trust(
    valid: ValidConfig, custom: CustomObject, path: KeyPath, file: Path | None, *, trust: bool
) -> list[Problem]:
    if file is not None and not file.is_file():
        message = f"The file {sanitize_text(str(file))} does not exist."
        return [valid.make_problem(path, "custom-object", message, "The path is relative to the config.")]
    if trust:
        return []
    return [_make_trust_problem(valid, path, custom.type_name(), str(file or f"the module {custom.module}"))]


def require_export_packages(format_name: str) -> None:
    """Check that the packages for an export format are installed, without importing them.

    Raises:
        LayercliError: A package is not installed.
    """
    from layercli.export_formats import EXPORT_FORMATS

    missing = [name for name in EXPORT_FORMATS[format_name].packages if find_spec(name) is None]
    if missing:
        message = f"{' and '.join(missing)} must be installed for the {format_name} format."
        hint = f"Install it: `pip install 'layercli[{format_name}]'`."
        raise LayercliError(Problem(code="missing-package", message=message, hint=hint))


def require_data_trust(valid: ValidConfig, data: DataConfig, *, trust: bool) -> None:
    """Check only the function that returns the data, as ``require_trust`` does.

    Raises:
        LayercliError: The function is not trusted, or its file is missing.
    """
    problems = _check_data_trust(valid, data, trust=trust)
    if problems:
        raise LayercliError(problems)


def _check_data_trust(valid: ValidConfig, data: DataConfig, *, trust: bool) -> list[Problem]:
    path: KeyPath = ("data", data.path_key)
    declared, resolved = data.user_function, valid.resolve_data_paths(data).user_function
    if declared is None or resolved is None:
        return []
    file = resolved.file
    if file is not None and not file.is_file():
        message = f"The file {sanitize_text(str(file))} does not exist."
        return [valid.make_problem(path, "custom-data", message, "The path is relative to the config.")]
    if trust:
        return []
    code = str(file or f"the module {declared.module}")
    return [_make_trust_problem(valid, path, declared.reference, code)]


def _make_trust_problem(valid: ValidConfig, path: KeyPath, reference: str, code: str) -> Problem:
    """Return the problem that the custom code of a reference must be permitted."""
    message = f"`{sanitize_text(reference)}` would load and run {sanitize_text(code)}."
    return valid.make_problem(path, "trust-required", message, "Review the code, then pass `--trust`.")


_SECTION_HELP = {
    "data": ("the examples", "{type: sklearn, dataset: digits, split: {validation: 0.1, test: 0.1}}"),
    "train": (
        "the training settings",
        "{epochs: 5, loss: sparse_categorical_crossentropy, metrics: [accuracy]}",
    ),
}
"""Optional sections: a description and an example."""


def require_data(valid: ValidConfig) -> DataConfig:
    """Return the data section of the config.

    Raises:
        LayercliError: The section is missing.
    """
    if valid.config.data is None:
        raise LayercliError(_make_missing_section_problem(valid, "data"))
    return valid.config.data


def _make_missing_section_problem(valid: ValidConfig, key: str) -> Problem:
    meaning, example = _SECTION_HELP[key]
    message = f"This command requires the section `{key}` ({meaning})."
    return valid.make_problem((key,), "missing-key", message, f"Add, for example, `{key}: {example}`.")


def require_sections(valid: ValidConfig) -> tuple[DataConfig, TrainSection]:
    """Return the data and train sections of the config.

    Raises:
        LayercliError: A section is missing.
    """
    data, train = valid.config.data, valid.config.train
    if data is not None and train is not None:
        return data, train
    raise LayercliError(
        _make_missing_section_problem(valid, key)
        for key in _SECTION_HELP
        if getattr(valid.config, key) is None
    )


def require_memory(valid: ValidConfig, *, copies: int) -> None:
    """Check that ``copies`` copies of the weights fit into memory.

    Raises:
        LayercliError: The model does not fit. The message names the largest layer.
    """
    problem = check_memory(valid, copies=copies)
    if problem is not None:
        raise LayercliError([*valid.check_result.problems, problem])


def check_memory(valid: ValidConfig, *, copies: int, severity: Severity = "error") -> Problem | None:
    """Return a problem if the model does not fit into the memory of this machine."""
    needed = copies * valid.shapes.weight_bytes
    declared = valid.config.train.batch_size if valid.config.train and copies > 1 else 1
    batch_size = 1 if isinstance(declared, AutoBatchSize) else declared
    needed += valid.shapes.activation_bytes(batch_size)
    # The estimate is up to twice what is reserved; a model that may fit is not refused.
    needed += max(map(count_convolution_scratch, valid.shapes.rows), default=0) // 2
    available = read_memory_limit()
    if available is None or needed <= available:
        return None
    largest = max(valid.shapes.rows, key=_count_layer_bytes)
    return valid.make_problem(
        largest.node.path,
        "too-large",
        f"The model needs about {format_bytes(needed)} of memory, but this machine has {format_bytes(available)}. "
        f"The largest layer is `{largest.node.name}`, with {format_bytes(_count_layer_bytes(largest))} of weights and outputs.",
        "Use a smaller model or a machine with more memory.",
        severity,
    )


def read_memory_limit() -> int | None:
    """Return the memory limit of this process in bytes, or None if it is unknown."""
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (ValueError, OSError, AttributeError):
        return None
    with suppress(ImportError):  # Windows
        import resource

        address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
        limits += [address_space] if address_space != resource.RLIM_INFINITY else []
    for path in _CGROUP_LIMIT_FILES:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):
            continue  # the control group is absent or has no limit
    return min(limits)


def read_available_memory() -> int | None:
    """Return the bytes that this process and its children can use in addition, or None if they are unknown.

    It is the smaller of the free memory of the machine, and of what the control group has left; pages of files that can be
    dropped count as free.
    """
    found = []
    with suppress(OSError, ValueError, LookupError):
        lines = _MEMORY_INFO_FILE.read_text().splitlines()
        [line] = [line for line in lines if line.startswith("MemAvailable:")]
        found.append(1024 * int(line.split()[1]))
    for folder, (limit_name, usage_name) in _CGROUP_FOLDERS.items():
        with suppress(OSError, ValueError):
            limit, usage = (int((folder / name).read_text()) for name in (limit_name, usage_name))
            fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            dropped = int(fields.get("total_inactive_file") or fields.get("inactive_file") or 0)
            found.append(max(0, limit - usage + dropped))
    return min(found, default=read_memory_limit())


def read_peak_memory() -> int | None:
    """Return the largest memory that this process has had, in bytes, or None if the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _count_layer_bytes(row: NodeShapes) -> int:
    outputs = sum(tensor_bytes(tensor, 1) for tensor in row.outputs)
    return (row.weight_bytes or 0) + outputs + count_convolution_scratch(row) // 2

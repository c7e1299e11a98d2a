"""What must hold before a model is made: the user's code is there and trusted, and there is room for it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from layercli.check import ValidConfig
from layercli.config.custom_layers import CustomLayer
from layercli.config.data.section import DataConfig
from layercli.config.training.section import TrainSection
from layercli.errors import LayercliError, Problem, Severity
from layercli.graph.shapes import NodeShapes, tensor_bytes
from layercli.reports.formatting import format_bytes
from layercli.source.nodes import KeyPath, sanitize_text

_CGROUP_LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def require_trust(valid: ValidConfig, *, trust: bool, data: DataConfig | None = None) -> None:
    """Refuse to load the user's code unless ``--trust`` was given, or where its file is missing.

    Layers are told, and the function of ``data`` where that is to be read.

    Raises:
        LayercliError: one problem for each layer or function that would run.
    """
    problems = [] if data is None else _check_data_trust(valid, data, trust=trust)
    for node in valid.custom_layers:
        layer = node.layer
        assert isinstance(layer, CustomLayer)
        path: KeyPath = (*node.path, "type")
        file = valid.custom_layer_file(node) if layer.kind == "file" else None
        if file is not None and not file.is_file():
            message = f"There is no file {sanitize_text(str(file))}."
            problems.append(
                valid.make_problem(path, "custom-layer", message, "The path is relative to the config.")
            )
        elif not trust:
            message = f"`{layer.type_reference()}` would load and run {file or f'the module {layer.module}'}."
            hint = "Read that code; then allow it with `--trust`."
            problems.append(valid.make_problem(path, "trust-required", message, hint))
    if problems:
        raise LayercliError(problems)


_EXPORT_PACKAGES = {"onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
"""Form of an export, and the extra of its name -> what must be installed."""


def require_export_packages(format_name: str) -> None:
    """Find what an export in this form needs; nothing is imported.

    Raises:
        LayercliError: a package is not installed.
    """
    missing = [name for name in _EXPORT_PACKAGES.get(format_name, ()) if find_spec(name) is None]
    if missing:
        message = f"This format needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed."
        hint = f"Install it: `pip install 'layercli[{format_name}]'`."
        raise LayercliError(Problem(code="missing-package", message=message, hint=hint))


def require_data_trust(valid: ValidConfig, data: DataConfig, *, trust: bool) -> None:
    """Refuse to call the user's function that gives the data, as ``require_trust`` does; no layer is loaded.

    Raises:
        LayercliError: it is not trusted, or its file is missing.
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
        message = f"There is no file {sanitize_text(str(file))}."
        return [valid.make_problem(path, "custom-data", message, "The path is relative to the config.")]
    if trust:
        return []
    code = sanitize_text(str(file or f"the module {declared.module}"))
    message = f"`{sanitize_text(declared.reference)}` would load and run {code}."
    hint = "Read that code; then allow it with `--trust`."
    return [valid.make_problem(path, "trust-required", message, hint)]


_SECTION_HELP = {
    "data": ("what to learn from", "{type: sklearn, dataset: digits, split: {validation: 0.1, test: 0.1}}"),
    "train": ("how to learn", "{epochs: 5, loss: sparse_categorical_crossentropy, metrics: [accuracy]}"),
}
"""Sections that a config may lack: what each says, and an example."""


def require_data(valid: ValidConfig) -> DataConfig:
    """The config's data.

    Raises:
        LayercliError: it has none.
    """
    if valid.config.data is None:
        raise LayercliError(_make_missing_section_problem(valid, "data"))
    return valid.config.data


def _make_missing_section_problem(valid: ValidConfig, key: str) -> Problem:
    meaning, example = _SECTION_HELP[key]
    message = f"This needs `{key}`: {meaning}."
    return valid.make_problem((key,), "missing-key", message, f"Add `{key}: {example}`, for example.")


def require_sections(valid: ValidConfig) -> tuple[DataConfig, TrainSection]:
    """What a training needs of a config.

    Raises:
        LayercliError: a section is missing.
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
    """Refuse a model whose weights, ``copies`` times, do not fit into this machine's memory.

    Raises:
        LayercliError: it does not fit; the largest layer is named.
    """
    problem = check_memory(valid, copies=copies)
    if problem is not None:
        raise LayercliError([*valid.check_result.problems, problem])


def check_memory(valid: ValidConfig, *, copies: int, severity: Severity = "error") -> Problem | None:
    """Why the model does not fit into this machine's memory, if it does not."""
    needed = copies * valid.shapes.weight_bytes
    batch_size = valid.config.train.batch_size if valid.config.train and copies > 1 else 1
    needed += valid.shapes.activation_bytes(batch_size)
    available = read_memory_limit()
    if available is None or needed <= available:
        return None
    largest = max(valid.shapes.rows, key=_count_layer_bytes)
    return valid.make_problem(
        largest.node.path,
        "too-large",
        f"The model needs about {format_bytes(needed)} of memory; this machine has {format_bytes(available)}. "
        f"`{largest.node.name}` alone has weights and outputs of {format_bytes(_count_layer_bytes(largest))}.",
        "Make it smaller, or use a machine with more memory.",
        severity,
    )


def read_memory_limit() -> int | None:
    """Bytes of memory that this process may use; None where the system does not tell."""
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (ValueError, OSError, AttributeError):
        return None
    for path in _CGROUP_LIMIT_FILES:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):
            continue  # no such control group, or no limit in it
    return min(limits)


def _count_layer_bytes(row: NodeShapes) -> int:
    return (row.weight_bytes or 0) + sum(tensor_bytes(tensor, 1) for tensor in row.outputs)

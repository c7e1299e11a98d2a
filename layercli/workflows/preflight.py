"""What must hold before a model is made: the user's code is there and trusted, and there is room for it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from layercli.check import Valid
from layercli.config.custom_layers import CustomLayer
from layercli.config.data.files import Python
from layercli.config.data.section import Data
from layercli.config.training.section import TrainSection
from layercli.errors import LayercliError, Problem, Severity
from layercli.graph.shapes import Row, tensor_bytes
from layercli.reports.formatting import byte_count
from layercli.source.nodes import KeyPath, printable

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def require_trust(valid: Valid, *, trust: bool, data: Data | None = None) -> None:
    """Refuse to load the user's code unless ``--trust`` was given, or where its file is missing.

    Layers are told, and the function of ``data`` where that is to be read.

    Raises:
        LayercliError: one problem for each layer or function that would run.
    """
    problems = _data_trust(valid, data, trust=trust) if isinstance(data, Python) else []
    for node in valid.custom_layers:
        layer = node.layer
        assert isinstance(layer, CustomLayer)
        path: KeyPath = (*node.path, "type")
        file = valid.file_of(node) if layer.kind == "file" else None
        if file is not None and not file.is_file():
            message = f"There is no file {printable(str(file))}."
            problems.append(
                valid.problem(path, "custom-layer", message, "The path is relative to the config.")
            )
        elif not trust:
            message = f"`{layer.reference()}` would load and run {file or f'the module {layer.place}'}."
            hint = "Read that code; then allow it with `--trust`."
            problems.append(valid.problem(path, "trust-required", message, hint))
    if problems:
        raise LayercliError(problems)


_PACKAGES = {"onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
"""Form of an export, and the extra of its name -> what must be installed."""


def require_packages(form: str) -> None:
    """Find what an export in this form needs; nothing is imported.

    Raises:
        LayercliError: a package is not installed.
    """
    missing = [name for name in _PACKAGES.get(form, ()) if find_spec(name) is None]
    if missing:
        message = f"This format needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed."
        hint = f"Install it: `pip install 'layercli[{form}]'`."
        raise LayercliError(Problem(code="missing-package", message=message, hint=hint))


def require_data_trust(valid: Valid, data: Data, *, trust: bool) -> None:
    """Refuse to call the user's function that gives the data, as ``require_trust`` does; no layer is loaded.

    Raises:
        LayercliError: it is not trusted, or its file is missing.
    """
    problems = _data_trust(valid, data, trust=trust) if isinstance(data, Python) else []
    if problems:
        raise LayercliError(problems)


def _data_trust(valid: Valid, data: Python, *, trust: bool) -> list[Problem]:
    path: KeyPath = ("data", "function")
    located = valid.located(data)
    assert isinstance(located, Python)
    file = located.file
    if file is not None and not file.is_file():
        message = f"There is no file {printable(str(file))}."
        return [valid.problem(path, "custom-data", message, "The path is relative to the config.")]
    if trust:
        return []
    message = f"`{printable(data.function)}` would load and run {printable(str(file or f'the module {data.place}'))}."
    hint = "Read that code; then allow it with `--trust`."
    return [valid.problem(path, "trust-required", message, hint)]


_MISSING = {
    "data": ("what to learn from", "{type: sklearn, dataset: digits, split: {validation: 0.1, test: 0.1}}"),
    "train": ("how to learn", "{epochs: 5, loss: sparse_categorical_crossentropy, metrics: [accuracy]}"),
}
"""Sections that a config may lack: what each says, and an example."""


def require_data(valid: Valid) -> Data:
    """The config's data.

    Raises:
        LayercliError: it has none.
    """
    if valid.config.data is None:
        raise LayercliError(_missing(valid, "data"))
    return valid.config.data


def _missing(valid: Valid, key: str) -> Problem:
    meaning, example = _MISSING[key]
    message = f"This needs `{key}`: {meaning}."
    return valid.problem((key,), "missing-key", message, f"Add `{key}: {example}`, for example.")


def require_sections(valid: Valid) -> tuple[Data, TrainSection]:
    """What a training needs of a config.

    Raises:
        LayercliError: a section is missing.
    """
    data, train = valid.config.data, valid.config.train
    if data is not None and train is not None:
        return data, train
    raise LayercliError(_missing(valid, key) for key in _MISSING if getattr(valid.config, key) is None)


def require_memory(valid: Valid, *, copies: int) -> None:
    """Refuse a model whose weights, ``copies`` times, do not fit into this machine's memory.

    Raises:
        LayercliError: it does not fit; the largest layer is named.
    """
    problem = memory_problem(valid, copies=copies)
    if problem is not None:
        raise LayercliError([*valid.checked.problems, problem])


def memory_problem(valid: Valid, *, copies: int, severity: Severity = "error") -> Problem | None:
    """Why the model does not fit into this machine's memory, if it does not."""
    needed = copies * valid.shapes.weight_bytes
    batch_size = valid.config.train.batch_size if valid.config.train and copies > 1 else 1
    needed += valid.shapes.activation_bytes(batch_size)
    there = machine_memory()
    if there is None or needed <= there:
        return None
    largest = max(valid.shapes.rows, key=_weight_of)
    return valid.problem(
        largest.node.path,
        "too-large",
        f"The model needs about {byte_count(needed)} of memory; this machine has {byte_count(there)}. "
        f"`{largest.node.name}` alone has weights and outputs of {byte_count(_weight_of(largest))}.",
        "Make it smaller, or use a machine with more memory.",
        severity,
    )


def machine_memory() -> int | None:
    """Bytes of memory that this process may use; None where the system does not tell."""
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (ValueError, OSError, AttributeError):
        return None
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):
            continue  # no such control group, or no limit in it
    return min(limits)


def _weight_of(row: Row) -> int:
    return (row.weight_bytes or 0) + sum(tensor_bytes(tensor, 1) for tensor in row.outputs)

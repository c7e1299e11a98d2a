"""The Python API: the functions behind the commands, for config files or loaded configs."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any

from layercli.check import CheckResult, ValidConfig, check_config, require_valid
from layercli.graph.shapes import ModelShapes

ConfigLike = str | PathLike[str] | ValidConfig
"""A config file, or a config that ``load`` returned."""


def validate(config: str | PathLike[str], *, overrides: Sequence[str] = ()) -> CheckResult:
    """Read a config and return its problems in ``.problems``. Never raise for an invalid config.

    ``overrides`` have the form of ``--set``: ``["train.epochs=3"]``. TensorFlow is not loaded.
    """
    return check_config(fspath(config), overrides)


def load(config: ConfigLike, *, overrides: Sequence[str] = ()) -> ValidConfig:
    """Read and check a config. TensorFlow is not loaded.

    Raises:
        LayercliError: The config is invalid; ``.problems`` lists every problem with its location.
    """
    if isinstance(config, ValidConfig):
        if overrides:
            raise TypeError("overrides require a config file, got a loaded config")
        return config
    return require_valid(validate(config, overrides=overrides))


def infer_shapes(config: ConfigLike) -> ModelShapes:
    """Return the shapes (with the batch axis), parameters and FLOPs of every layer. TensorFlow is not loaded.

    Raises:
        LayercliError: The config is invalid.
    """
    return load(config).shapes


def build(config: ConfigLike, *, trust: bool = False) -> Any:
    """Return the ``keras.Model`` of a config, with weights from the seed or from ``model.weights``.

    Raises:
        LayercliError: The config is invalid, or it names code and ``trust`` is false.
    """
    from layercli.workflows.build import build_model

    return build_model(load(config), trust=trust).model


def train(
    config: ConfigLike, *, run_dir: str | PathLike[str] | None = None, trust: bool = False
) -> dict[str, Any]:
    """Train a config and write a run directory. Return the document of ``layercli train --json``.

    Raises:
        LayercliError: The config or the data is invalid, or the loss became NaN.
    """
    from layercli.workflows.train import train_new_run

    return train_new_run(load(config), run_dir=None if run_dir is None else fspath(run_dir), trust=trust)


def resume(
    run: str | PathLike[str],
    *,
    overrides: Sequence[str] = (),
    trust: bool = False,
    allow_changes: bool = False,
) -> dict[str, Any]:
    """Resume an interrupted run. Return the document of ``layercli train --resume --json``.

    ``overrides`` can raise the number of epochs: ``["train.epochs=30"]``.

    Raises:
        LayercliError: As for ``train``; or the config, the data or a package version changed and ``allow_changes`` is false.
    """
    from layercli.workflows.resume import open_for_resume, resume_run

    return resume_run(
        open_for_resume(fspath(run), overrides=overrides, allow_changes=allow_changes), trust=trust
    )

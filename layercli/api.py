"""layercli from Python: the functions behind the commands, on files or on configs that were loaded."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any

from layercli.check import CheckResult, ValidConfig, check_config, require_valid
from layercli.graph.shapes import ModelShapes

ConfigLike = str | PathLike[str] | ValidConfig
"""A config file, or what ``load`` made of one."""


def validate(config: str | PathLike[str], *, overrides: Sequence[str] = ()) -> CheckResult:
    """Read a config and find all that is wrong with it: ``.problems``; never raises for a wrong config.

    ``overrides`` are as after ``--set``: ``["train.epochs=3"]``. TensorFlow is not loaded.
    """
    return check_config(fspath(config), overrides)


def load(config: ConfigLike, *, overrides: Sequence[str] = ()) -> ValidConfig:
    """Read and check a config. TensorFlow is not loaded.

    Raises:
        LayercliError: something is wrong with it; ``.problems`` says what and where.
    """
    if isinstance(config, ValidConfig):
        if overrides:
            raise TypeError("overrides apply to a file; this config is loaded already")
        return config
    return require_valid(validate(config, overrides=overrides))


def infer_shapes(config: ConfigLike) -> ModelShapes:
    """Shapes (with the batch axis), parameters and FLOPs of every layer. TensorFlow is not loaded.

    Raises:
        LayercliError: something is wrong with the config.
    """
    return load(config).shapes


def build(config: ConfigLike, *, trust: bool = False) -> Any:
    """The ``keras.Model`` of a config, its weights drawn from the config's seed.

    Raises:
        LayercliError: something is wrong with the config, or it names code and ``trust`` is false.
    """
    from layercli.commands.build import build_model as build_model

    return build_model(load(config), trust=trust)[0]


def train(
    config: ConfigLike, *, run_dir: str | PathLike[str] | None = None, trust: bool = False
) -> dict[str, Any]:
    """Train a config and leave a run directory; returns what ``layercli train --json`` prints.

    Raises:
        LayercliError: something is wrong with the config or the data, or the loss became NaN.
    """
    from layercli.workflows.train import train_new_run as train_model

    return train_model(load(config), run_dir=None if run_dir is None else fspath(run_dir), trust=trust)


def resume(
    run: str | PathLike[str],
    *,
    overrides: Sequence[str] = (),
    trust: bool = False,
    allow_changes: bool = False,
) -> dict[str, Any]:
    """Go on with a run that was interrupted, from its directory; returns what ``layercli train --resume --json`` prints.

    ``overrides`` may say more epochs: ``["train.epochs=30"]``.

    Raises:
        LayercliError: as ``train``; or the config, the data or a version is another, and ``allow_changes`` is false.
    """
    from layercli.workflows.resume import resume_run
    from layercli.workflows.resume_check import open_for_resume

    return resume_run(
        open_for_resume(fspath(run), overrides=overrides, allow_changes=allow_changes), trust=trust
    )

"""Shared fixtures: runs that are trained once per session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time, however slow the machine; others are drawn with --hypothesis-profile=default.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # numbers that tests compare come from one kind of device


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    """Keep the cache of streamed tables separate from the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory):
    """A run of ``configs/digits_dense.yaml`` with three epochs."""
    from tests.running import CONFIGS, train

    return train(
        CONFIGS / "digits_dense.yaml", tmp_path_factory.mktemp("digits") / "run", "--set", "train.epochs=3"
    )


@pytest.fixture(scope="session")
def custom_run(tmp_path_factory: pytest.TempPathFactory):
    """A run of ``configs/custom_layer.yaml`` with two epochs."""
    from tests.running import CONFIGS, train

    run_dir = tmp_path_factory.mktemp("custom") / "run"
    return train(CONFIGS / "custom_layer.yaml", run_dir, "--trust", "--set", "train.epochs=2")


@pytest.fixture
def iris(tmp_path: Path) -> Path:
    """A config that trains in a second."""
    from tests.running import IRIS

    path = tmp_path / "iris.yaml"
    path.write_text(IRIS, encoding="utf-8")
    return path


@pytest.fixture
def layer_file(tmp_path: Path, request: pytest.FixtureRequest):
    """Return a function that writes a class ``Mine`` to a unique file and returns its ``type`` in a config."""
    stem = "layers_" + "".join(char if char.isalnum() else "_" for char in request.node.name)

    def write(body: str, *, header: str = "class Mine(keras.layers.Layer):") -> str:
        indented = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
        (tmp_path / f"{stem}.py").write_text(f"import keras\n\n\n{header}\n{indented}", encoding="utf-8")
        return f"{stem}.py:Mine"

    return write

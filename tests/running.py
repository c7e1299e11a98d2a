"""Run layercli in tests: in this process, where TensorFlow is loaded once, or in a new process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from layercli.cli import make_app_for

CONFIGS = Path(__file__).parents[1] / "configs"
LAYERCLI = Path(sys.executable).with_name("layercli")
"""The installed command, for tests that need a new process."""
HANG_SECONDS = 600
"""Seconds after which a process or a thread counts as hanging, however slow and busy the machine is."""

IRIS = """
seed: 3
data: {type: sklearn, dataset: iris, split: {validation: 0.2, test: 0.2, stratify: true}}
model:
  layers:
    - {type: Dense, units: 8, activation: relu}
    - {type: Dense, units: 3, activation: softmax}
train:
  epochs: 2
  optimizer: {type: Adam, learning_rate: 0.02}
  loss: sparse_categorical_crossentropy
  metrics: [accuracy]
"""
"""A config that trains in a second."""


@dataclass(frozen=True)
class Run:
    """A finished ``train --json``: its output and its run directory."""

    result: Result
    path: Path

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.result.stdout)


def invoke(*args: object, stdin: str | None = None, env: Mapping[str, str | None] | None = None) -> Result:
    """Run a command in this process; a variable of ``env`` that is None is not set."""
    arguments = [str(arg) for arg in args]
    return CliRunner().invoke(make_app_for(arguments), arguments, input=stdin, env=env)


def train(config: object, run_dir: Path, *args: object) -> Run:
    """Run ``layercli train --json`` into a run directory."""
    return Run(invoke("train", config, "--json", "--run-dir", run_dir, *args), run_dir)


def problems(result: Result) -> list[tuple[str, int | None]]:
    """Return code and line of each problem of a ``--json`` command that exited with 1 and without a traceback."""
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    document = json.loads(result.stdout)
    assert document["ok"] is False
    return [(problem["code"], problem["line"]) for problem in document["problems"]]


def line_of(config: Path, text: str) -> int:
    """Return the number of the first line of a file that contains the text."""
    lines = config.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def write_config(directory: Path, layers: list[object], **changes: object) -> Path:
    """Write the iris config with these layers and changed sections (None removes a section)."""
    document = yaml.safe_load(IRIS)
    document["model"]["layers"] = layers
    document |= changes
    path = directory / "config.yaml"
    kept = {key: value for key, value in document.items() if value is not None}
    path.write_text(yaml.safe_dump(kept, sort_keys=False), encoding="utf-8")
    return path


def run_python(code: str, *args: object, path: Path | None = None, cwd: Path | None = None) -> str:
    """Run code in another Python process that must succeed, and return its output."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {}) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout

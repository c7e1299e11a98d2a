"""Python files in the current folder never run, however layercli starts Python."""

import os
import subprocess
import sys

import pytest

from tests.running import IRIS, LAYERCLI

PLANTED = (
    "typer",
    "optuna",
    "yaml",
    "json",
    "keras",
    "numpy",
    "pydantic",
    "pyarrow",
    "sklearn",
    "rich",
    "re",
)
SWEEP = """
base: config.yaml
space: {train.batch_size: {choice: [16, 32]}}
objective: {metric: val_accuracy, direction: maximize}
trials: 1
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with configs, and modules that write the file ``ran`` when they are imported."""
    folder = tmp_path / "folder"
    folder.mkdir()
    marker = tmp_path / "ran"
    for name in PLANTED:
        (folder / f"{name}.py").write_text(
            f"open({str(marker)!r}, 'w').write({name!r})\nraise SystemExit(9)\n"
        )
    (folder / "config.yaml").write_text(IRIS.replace("epochs: 2", "epochs: 1"))
    (folder / "sweep.yaml").write_text(SWEEP)
    for number in range(30):
        (folder / f"{number}.yaml").write_text(IRIS)
    return folder


def assert_safe(folder, command, code=0):
    environment = os.environ | {"PYTHONSAFEPATH": ""}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert not (folder.parent / "ran").exists(), done.stderr
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["validate", "."], id="validate"),
        pytest.param(
            ["launch", "--workers", "1", "--", "train", "config.yaml", "--run-dir", "runs/a"],
            id="launch",
            marks=pytest.mark.tensorflow,
        ),
        pytest.param(["sweep", "sweep.yaml", "--jobs", "2"], id="sweep", marks=pytest.mark.tensorflow),
        pytest.param(
            ["export", "config.yaml", "--format", "python"], id="export", marks=pytest.mark.tensorflow
        ),
    ],
)
def test_planted_modules_do_not_run(folder, arguments):
    assert_safe(folder, [LAYERCLI, *arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["layers"],
        pytest.param(["build", "config.yaml"], marks=pytest.mark.tensorflow),
    ],
)
def test_planted_modules_do_not_run_with_m(folder, arguments):
    for name in ("re", "json"):  # before layercli starts, Python itself imports `re`
        (folder / f"{name}.py").unlink()
    assert_safe(folder, [sys.executable, "-m", "layercli", *arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["build", "config.yaml"], marks=pytest.mark.tensorflow),
        pytest.param(["-c", "from layercli.runtime import import_outside_folder as x; x('matplotlib')"]),
    ],
)
def test_settings_of_matplotlib_in_the_folder_are_not_read(folder, arguments):
    for name in PLANTED:
        (folder / f"{name}.py").unlink()
    os.mkfifo(folder / "matplotlibrc")  # reading it would wait for ever
    module = [] if arguments[0] == "-c" else ["-m", "layercli"]
    assert_safe(folder, [sys.executable, "-P", *module, *arguments])


def test_child_processes_of_libraries_ignore_the_folder(folder):
    code = "import sys; from layercli.cli import main; sys.argv[1:] = ['--version']; main()"
    child = "subprocess.run([sys.executable, '-c', 'import json'])"
    check = f"import subprocess; import atexit, sys; atexit.register(lambda: {child})"
    assert_safe(folder, [sys.executable, "-P", "-c", f"{check}; {code}"])

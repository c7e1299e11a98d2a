"""Shared fixtures: runs that are trained once per session."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, however slow the machine; others are drawn with --hypothesis-profile=default.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # numbers that tests compare come from one kind of device
# Expected output has the colours and the width of a terminal that the tests know.
for name in (
    *("FORCE_COLOR", "NO_COLOR", "PY_COLORS", "CLICOLOR_FORCE", "GITHUB_ACTIONS", "TTY_COMPATIBLE"),
    *("COLUMNS", "LINES"),
):
    os.environ.pop(name, None)
if os.environ.get("TERM") in ("dumb", "unknown"):
    os.environ["TERM"] = "xterm"
# Without their bytecode, pytest and each child process of a test compile the same files again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Jobs in the background of a shell ignore Ctrl-C, and so would the processes that tests end with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Collecting makes many objects and hardly any garbage; pytest_collection_finish ends this.
gc.disable()

IS_TENSORFLOW_IMPORTED = pytest.StashKey[bool]()
"""Whether a quick test has imported TensorFlow."""
TENSORFLOW_FILES = (
    "commands/test_build.py",
    "commands/test_crossval.py",
    "commands/test_evaluate.py",
    "commands/test_export.py",
    "commands/test_export_tables.py",
    "commands/test_find_rate.py",
    "commands/test_import.py",
    "commands/test_inspect_shapes.py",
    "commands/test_predict.py",
    "commands/test_report.py",
    "commands/test_train.py",
    "commands/test_train_seeds.py",
    "config/training",
    "docs/test_console.py",
    "docs/test_serve.py",
    "engine",
    "graph/checks/test_compute_dtypes.py",
    "graph/checks/test_output_names.py",
    "graph/test_build.py",
    "graph/test_forward_cost.py",
    "graph/test_published_architectures.py",
    "layers",
    "runs/test_golden_runs.py",
    "script/test_application_code.py",
    "script/test_metric_code.py",
    "script/test_script_data.py",
    "script/test_stage_code.py",
    "script/test_write_script.py",
    "security/test_advisories.py",
    "security/test_fuzz_runs.py",
    "security/test_model_files.py",
    "security/test_run_directories.py",
    "serving/test_answers.py",
    "serving/test_requests.py",
    "serving/test_server.py",
    "sweep/test_postgresql.py",
    "sweep/test_study.py",
    "test_api.py",
    "test_real_stacks.py",
    "test_resume_streams.py",
    "test_stacks.py",
    "workflows",
)
"""Folders and files whose tests all need TensorFlow. In other files, mark such a test `tensorflow`."""

LONG_FILES = (
    "test_configs.py",
    "engine/training/test_multi_worker.py",
    "engine/training/test_fused_steps.py",
    "workflows/test_resume_training_types.py",
    "commands/test_import.py",
    "workflows/test_signals.py",
    "script/test_write_script.py",
    "workflows/test_resume.py",
    "security/test_import_path.py",
    "engine/export/test_verify.py",
    "workflows/test_training_run.py",
    "workflows/test_until.py",
    "docs/test_console.py",
    "commands/test_export.py",
    "workflows/test_custom_objects.py",
    "security/test_fuzz_runs.py",
    "workflows/test_diagnostics.py",
    "test_stacks.py",
    "commands/test_train.py",
    "workflows/test_completed_metrics.py",
    "commands/test_export_tables.py",
    "engine/test_startup.py",
    "layers/test_applications.py",
    "commands/test_sweep.py",
    "commands/test_predict.py",
    "engine/training/test_stages.py",
    "commands/test_report.py",
    "workflows/test_resume_changes.py",
    "layers/test_attention.py",
    "workflows/test_ensemble.py",
    "engine/training/test_position_weights.py",
    "engine/training/test_compile.py",
    "security/test_text.py",
    "security/test_hostile_data.py",
    "test_english.py",
    "test_json_schema.py",
    "test_light_imports.py",
    "reports/run_page/test_page.py",
    "data/tables/test_streamed.py",
    "commands/test_layers.py",
)
"""Files that take longest. They start first, so that no process waits for one of them at the end."""


def is_quick_session(config: pytest.Config) -> bool:
    """Return whether the command line selects only quick tests: ``pytest -m quick``."""
    return config.option.markexpr == "quick"


@cache
def needs_tensorflow(path: Path) -> bool:
    """Return whether a folder or file is in ``TENSORFLOW_FILES``."""
    tests = Path(__file__).parent
    return path.is_relative_to(tests) and path.relative_to(tests).as_posix().startswith(TENSORFLOW_FILES)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import files that need TensorFlow for ``-m quick``: it takes seconds."""
    return True if is_quick_session(config) and needs_tensorflow(collection_path) else None


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test `quick` that neither needs TensorFlow nor is slow; move tests of long files to the front."""
    if is_quick_session(config) and "tensorflow" in sys.modules:
        raise pytest.UsageError(
            "A test file imports TensorFlow: add it to TENSORFLOW_FILES in tests/conftest.py."
        )
    for item in items:
        marked = any(item.get_closest_marker(name) for name in ("tensorflow", "slow"))
        if not marked and not needs_tensorflow(item.path):
            item.add_marker("quick")
    tests = Path(__file__).parent
    positions = {tests / name: position for position, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: positions.get(item.path, len(positions)))


def pytest_collection_finish() -> None:
    """Leave what was collected out of garbage collections, which start now, but seldom: graphs have many objects."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before the fixtures
def pytest_runtest_setup() -> None:
    """Give a test the same random numbers, whatever ran before it. Keras draws the seeds of weights from Python's."""
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail the first test of ``-m quick`` that imports TensorFlow. A fixture of each test would take longer."""
    yield
    if (
        is_quick_session(item.config)
        and "tensorflow" in sys.modules
        and not item.session.stash.get(IS_TENSORFLOW_IMPORTED, False)
    ):
        item.session.stash[IS_TENSORFLOW_IMPORTED] = True
        pytest.fail("This test imports TensorFlow: mark it `tensorflow`.", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    """Keep the cache of streamed tables separate from the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """Leave files in the memory of the system, which keeps them after a kill: a training writes many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # fails for a file that is closed, as fsync
        yield


@pytest.fixture(scope="session", autouse=True)
def json_documents_match_their_schemas() -> Iterator[None]:
    """Compare every document that a test prints with ``--json`` with its published schema."""
    from typer.testing import CliRunner

    from tests.json_documents import run_and_check

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CliRunner, "invoke", run_and_check(CliRunner.invoke))
        yield


@pytest.fixture
def warm_processes() -> Iterator[None]:
    """Start the Python processes of a test with Keras imported already."""
    from tests.warm_processes import start_processes_warm

    with start_processes_warm():
        yield


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

"""Paths of the processes of a group: the first one writes the run directory."""

from pathlib import Path

import pytest

from layercli import runtime
from layercli.distribution.run_paths import RUN_FILE_VARIABLE, make_scratch_run_path, publish_run_path


@pytest.mark.parametrize(
    ("cluster", "is_first"), [(None, False), (runtime.Cluster(0, 2), True), (runtime.Cluster(1, 2), False)]
)
def test_first_process_of_a_group_publishes_its_run(tmp_path, monkeypatch, cluster, is_first):
    file = tmp_path / "file"
    monkeypatch.setattr(runtime, "cluster", cluster)
    monkeypatch.setenv(RUN_FILE_VARIABLE, str(file))
    publish_run_path(tmp_path / "run")
    assert (file.read_text() if file.exists() else None) == (str(tmp_path / "run") if is_first else None)
    monkeypatch.delenv(RUN_FILE_VARIABLE)
    file.unlink(missing_ok=True)
    publish_run_path(tmp_path / "run")
    assert not file.exists()


@pytest.mark.parametrize(
    ("cluster", "is_scratch"), [(None, False), (runtime.Cluster(0, 2), False), (runtime.Cluster(1, 2), True)]
)
def test_other_processes_write_to_a_temporary_folder(monkeypatch, cluster, is_scratch):
    monkeypatch.setattr(runtime, "cluster", cluster)
    with make_scratch_run_path() as path:
        assert (path is not None) == is_scratch
    assert path is None or not Path(path).parent.exists()

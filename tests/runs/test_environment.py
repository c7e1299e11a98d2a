"""The environment of a run: recorded, and compared when it is resumed."""

import json
from types import SimpleNamespace

from layercli.reports.progress import SilentProgress
from layercli.runs import environment
from layercli.runs.environment import collect_environment, describe_differences
from layercli.workflows.resume import _warn_of_other_environment


def test_environment_is_json_and_equals_itself():
    current = collect_environment()
    assert list(current)[:2] == ["processor", "cores"]
    assert list(describe_differences(json.loads(json.dumps(current)), current)) == []


def test_other_settings_cores_and_processors_are_described(monkeypatch):
    recorded = collect_environment() | {"processor": "Other", "cores": "64"}
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setattr(environment, "_count_cores", lambda: 2)
    monkeypatch.setattr(environment, "_read_processor", lambda: "This")
    assert list(describe_differences(recorded, collect_environment())) == [
        "processor was Other and is This",
        "cores was 64 and is 2",
        "TF_ENABLE_ONEDNN_OPTS was not set and is 0",
    ]


def test_processor_is_the_model_name_of_the_first_core(monkeypatch, tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD: EPYC 7B13\nmodel name\t: Other\n")
    monkeypatch.setattr(environment, "_CPU_FILE", file)
    assert collect_environment()["processor"] == "AMD: EPYC 7B13"


def test_runs_without_a_valid_record_are_not_compared():
    for recorded in (None, [], "x", {}):
        assert list(describe_differences(recorded, collect_environment())) == []


def test_resume_warns_of_each_difference():
    warnings = []

    class Progress(SilentProgress):
        def print_warning(self, problem):
            warnings.append(problem)

    manifest = {"environment": collect_environment() | {"OMP_NUM_THREADS": "7"}}
    _warn_of_other_environment(SimpleNamespace(manifest=manifest, run_dir="runs/a/1"), Progress())
    [warning] = warnings
    assert (warning.code, warning.severity, warning.file) == ("environment-differs", "warning", "runs/a/1")
    assert warning.message.endswith(
        "The result can differ in the last bits from that of an uninterrupted run."
    )

"""The environment of a run: recorded, and compared when it is resumed."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from layercli.reports.training_progress import SilentProgress
from layercli.runs import environment
from layercli.runs.environment import collect_environment, collect_machine, describe_differences
from layercli.workflows.resume import _warn_of_other_environment


def test_environment_is_json_and_equals_itself():
    current = collect_environment()
    assert list(current)[:2] == ["processor", "cores"]
    assert list(describe_differences(json.loads(json.dumps(current)), current)) == []


def test_other_settings_cores_and_processors_are_described(monkeypatch):
    recorded = collect_environment() | {"processor": "Other", "cores": "64"}
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setattr(environment, "count_cores", lambda: 2)
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


@pytest.fixture
def no_container(monkeypatch):
    for name in ("container", "LAYERCLI_IMAGE", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for name in ("_PODMAN_FILE", "_DOCKER_FILE"):
        monkeypatch.setattr(environment, name, Path("/absent"))


@pytest.mark.usefixtures("no_container")
def test_unknown_parts_of_a_machine_are_left_out():
    assert collect_machine(memory=None, gpus=[]) == {}
    assert collect_machine(memory=5, gpus=["A100"]) == {"memory": 5, "gpus": ["A100"]}


@pytest.mark.usefixtures("no_container")
def test_image_of_podman_is_read_from_its_file(monkeypatch, tmp_path):
    file = tmp_path / "containerenv"
    file.write_text('engine="podman-4"\nimage="quay.io/me/keras:2"\nimageid="ab"\n')
    monkeypatch.setattr(environment, "_PODMAN_FILE", file)
    podman = {"container": "podman", "image": "quay.io/me/keras:2"}
    assert collect_machine(memory=None, gpus=[]) == podman
    monkeypatch.setenv("LAYERCLI_IMAGE", "https://me:secret@reg.io/x")
    assert collect_machine(memory=None, gpus=[])["image"] == "https://***@reg.io/x"
    monkeypatch.setenv("LAYERCLI_IMAGE", "x" * 201)
    assert collect_machine(memory=None, gpus=[])["image"] == "x" * 199 + "…"


@pytest.mark.usefixtures("no_container")
@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("container", "systemd-nspawn", "systemd-nspawn"),
        ("APPTAINER_CONTAINER", "/home/me/x.sif", "apptainer"),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1", "kubernetes"),
    ],
)
def test_containers_are_known_by_their_variables(monkeypatch, name, value, kind):
    monkeypatch.setenv(name, value)
    assert collect_machine(memory=None, gpus=[]) == {"container": kind}


@pytest.mark.usefixtures("no_container")
def test_docker_is_known_by_its_file(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "_DOCKER_FILE", tmp_path)
    assert collect_machine(memory=None, gpus=[]) == {"container": "docker"}

"""Clusters: declaration, problems and warnings."""

import json

import pytest

from layercli import runtime
from layercli.check import check_config, require_valid
from layercli.distribution import cluster
from layercli.errors import LayercliError
from tests.running import IRIS


@pytest.fixture
def valid(iris, monkeypatch):
    """Makes this process that of the command, and returns a config with this distribution."""
    monkeypatch.setattr(runtime, "is_cli_process", True)
    monkeypatch.setattr(runtime, "cluster", None)
    monkeypatch.delenv("TF_CONFIG", raising=False)

    def valid(distribution="auto", layers=""):
        text = IRIS.replace("  epochs: 2", f"  epochs: 2\n  distribution: {distribution}")
        iris.write_text(text.replace("  layers:\n", f"  layers:\n{layers}"))
        return require_valid(check_config(str(iris)))

    return valid


def members(kind, index, **jobs):
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (members("worker", 1, worker=["a:1", "b:1"]), (1, 2)),
        (members("chief", 0, chief=["a:1"], worker=["b:1", "c:1"]), (0, 3)),
        (members("worker", 1, chief=["a:1"], worker=["b:1", "c:1"]), (2, 3)),
        (members("worker", 0, worker=["a:1"]), None),
        ("", None),
        ("{}", None),
    ],
)
def test_tf_config_declares_the_cluster(valid, monkeypatch, text, found):
    monkeypatch.setenv("TF_CONFIG", text)
    cluster.join_cluster(valid())
    assert runtime.cluster == found


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[1]",
        members("worker", 2, worker=["a:1", "b:1"]),
        members("ps", 0, worker=["a:1", "b:1"]),
        members("worker", "0", worker=["a:1", "b:1"]),
    ],
)
def test_invalid_tf_config_is_a_problem(valid, monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(LayercliError) as error:
        cluster.join_cluster(valid())
    assert [problem.code for problem in error.value.problems] == ["bad-cluster"]


def test_multi_worker_requires_a_cluster(valid):
    with pytest.raises(LayercliError) as error:
        cluster.join_cluster(valid("multi_worker"))
    (problem,) = error.value.problems
    assert (problem.code, problem.path, problem.line) == ("bad-cluster", "train.distribution", 10)


@pytest.mark.parametrize("distribution", ["none", "mirrored"])
def test_config_can_ignore_the_cluster(valid, monkeypatch, distribution):
    monkeypatch.setenv("TF_CONFIG", members("worker", 1, worker=["a:1", "b:1"]))
    cluster.join_cluster(valid(distribution))
    assert runtime.cluster is None


def test_imported_layercli_joins_no_cluster(valid, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", members("worker", 1, worker=["a:1", "b:1"]))
    monkeypatch.setattr(runtime, "is_cli_process", False)
    cluster.join_cluster(valid())
    assert runtime.cluster is None


def test_only_the_first_process_warns_of_differences(valid, monkeypatch):
    layers = "    - BatchNormalization\n    - {type: Dropout, rate: 0.1}\n    - {type: Dropout, rate: 0}\n"
    monkeypatch.setenv("TF_CONFIG", members("worker", 0, worker=["a:1", "b:1"]))
    warnings = cluster.join_cluster(valid(layers=layers))
    assert [(problem.code, problem.severity, problem.line) for problem in warnings] == [
        ("differs-in-group", "warning", 6),
        ("differs-in-group", "warning", 7),
    ]
    monkeypatch.setenv("TF_CONFIG", members("worker", 1, worker=["a:1", "b:1"]))
    assert cluster.join_cluster(valid(layers=layers)) == []


def test_group_cannot_find_a_batch_size(valid, iris, monkeypatch):
    valid()
    iris.write_text(iris.read_text().replace("  epochs: 2", "  epochs: 2\n  batch_size: auto"))
    monkeypatch.setenv("TF_CONFIG", members("worker", 1, worker=["a:1", "b:1"]))
    with pytest.raises(LayercliError, match="cannot use `batch_size: auto`") as raised:
        cluster.join_cluster(require_valid(check_config(str(iris))))
    assert [problem.path for problem in raised.value.problems] == ["train.batch_size"]


@pytest.mark.parametrize(
    ("loss", "error", "warnings"),
    [
        ("{type: MeanSquaredError, reduction: sum}", "bad-cluster", None),
        ("{type: MeanSquaredError, reduction: mean}", None, []),
        ("Dice", None, ["differs-in-group"]),
        ("mse", None, []),
    ],
)
def test_loss_must_be_a_mean_over_examples(valid, iris, monkeypatch, loss, error, warnings):
    valid()
    text = (
        iris.read_text()
        .replace("sparse_categorical_crossentropy", loss)
        .replace("units: 3, activation: softmax", "units: 1")
    )
    iris.write_text(text.replace("iris", "breast_cancer").replace("[accuracy]", "[]"))
    monkeypatch.setenv("TF_CONFIG", members("worker", 0, worker=["a:1", "b:1"]))
    checked = require_valid(check_config(str(iris)))
    if error is None:
        assert [problem.code for problem in cluster.join_cluster(checked)] == warnings
        return
    with pytest.raises(LayercliError) as raised:
        cluster.join_cluster(checked)
    assert [(problem.code, problem.path) for problem in raised.value.problems] == [
        (error, "train.loss.reduction")
    ]


@pytest.mark.parametrize(
    ("visible", "distribution", "shared"),
    [
        ("0,1", "auto", 2),
        ("0,1", "mirrored", 2),
        ("0,1", "none", 0),
        ("0", "mirrored", 0),
        ("-1", "auto", 0),
        ("", "auto", 0),
    ],
)
def test_gpus_of_this_machine_share_a_training(valid, monkeypatch, visible, distribution, shared):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert cluster.count_shared_gpus(valid(distribution)) == shared
    monkeypatch.setenv("TF_CONFIG", members("worker", 0, worker=["a:1"]))
    assert cluster.count_shared_gpus(valid(distribution)) == 0


@pytest.mark.parametrize(
    ("distribution", "text", "expected"),
    [
        ("multi_worker", "", True),
        ("auto", members("worker", 0, worker=["a:1", "b:1"]), True),
        ("auto", members("worker", 0, worker=["a:1"]), False),
        ("auto", "", False),
        ("none", members("worker", 0, worker=["a:1", "b:1"]), False),
    ],
)
def test_process_of_a_group_is_declared_by_the_config_or_tf_config(
    valid, monkeypatch, distribution, text, expected
):
    config = valid(distribution)
    monkeypatch.setenv("TF_CONFIG", text)
    assert cluster.is_group_process(config) is expected


def test_config_without_training_belongs_to_no_group(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", members("worker", 0, worker=["a:1", "b:1"]))
    text = "model: {input: [4], layers: [{type: Dense, units: 1}]}"
    assert not cluster.is_group_process(require_valid(check_config("c.yaml", text=text)))

"""Errors of TensorFlow about a dtype name the layer, loss, metric or model that sets it."""

import pytest
import tensorflow as tf

from layercli.check import check_config, require_valid
from layercli.engine.training.dtype_errors import explain_dtype_error

CONFIG = """\
data: {type: sklearn, dataset: iris}
model:
  dtype: %s
  layers:
    - {type: Dense, units: 3, name: head, dtype: %s}
train:
  epochs: 1
  loss: {type: SparseCategoricalCrossentropy, from_logits: true, dtype: %s}
  metrics: [{type: SparseCategoricalAccuracy, dtype: %s}]
"""


def catch_error(dtype):
    """Return the error of an operation that TensorFlow does not have for a dtype."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its class depends on TensorFlow
        tf.linalg.lu(tf.zeros([2, 2], dtype))
    return caught.value


@pytest.fixture
def explain_error(tmp_path):
    def explain_error(error, *dtypes):
        (tmp_path / "config.yaml").write_text(CONFIG % dtypes)
        return explain_dtype_error(error, require_valid(check_config(str(tmp_path / "config.yaml"))))

    return explain_error


@pytest.mark.parametrize(
    ("dtype", "dtypes", "line", "subject"),
    [
        ("bfloat16", ("null", "bfloat16", "null", "null"), 5, "`head` in bfloat16"),
        ("float16", ("null", "float16", "null", "null"), 5, "`head` in float16"),
        (
            "float16",
            ("null", "null", "float16", "null"),
            8,
            "the loss SparseCategoricalCrossentropy in float16",
        ),
        (
            "bfloat16",
            ("null", "float16", "null", "bfloat16"),
            9,
            "the metric SparseCategoricalAccuracy in bfloat16",
        ),
        ("bfloat16", ("mixed_bfloat16", "null", "null", "null"), 3, "the model in mixed_bfloat16"),
    ],
)
def test_problem_is_at_the_dtype_that_tensorflow_refuses(explain_error, dtype, dtypes, line, subject):
    problem = explain_error(catch_error(dtype), *dtypes)
    assert (problem.code, problem.line) == ("training-failed", line)
    assert problem.message == f"Training stopped: TensorFlow cannot train {subject}."
    assert "`dtype: float32`" in problem.hint


def test_operation_without_a_kernel_is_explained(explain_error):
    with pytest.raises(tf.errors.NotFoundError, match="DT_BFLOAT16") as caught:
        tf.math.digamma(tf.zeros([2], "bfloat16"))
    assert explain_error(caught.value, "null", "bfloat16", "null", "null").line == 5


def test_other_causes_are_not_explained(explain_error):
    assert explain_error(catch_error("bfloat16"), "null", "float16", "null", "null") is None
    assert explain_error(ValueError("shapes differ"), "null", "bfloat16", "null", "null") is None

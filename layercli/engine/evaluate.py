"""Evaluate a model: its loss and metrics over examples."""

from __future__ import annotations

from typing import Any

from layercli.check import ValidConfig
from layercli.config.training.log_names import collect_log_names
from layercli.config.training.section import TrainSection
from layercli.data.examples import Subset
from layercli.data.types import DataError
from layercli.engine.custom_objects import explain_custom_error
from layercli.engine.keras_errors import model_error_types, summarize_error
from layercli.engine.training.compile import compile_model
from layercli.engine.training.execution_plan import fits_in_memory, steps_per_block
from layercli.engine.training.feed import make_feed
from layercli.engine.training.log_values import order_logs
from layercli.engine.training.loop import Evaluator
from layercli.engine.unknown_ids import check_trained_ids, explain_id_error
from layercli.errors import LayercliError


def evaluate_model(model: Any, valid: ValidConfig, train: TrainSection, subset: Subset) -> dict[str, Any]:
    """Return the loss, then the metrics of the ``train`` section, over a subset.

    Raises:
        LayercliError: Keras or a custom layer refuses the examples.
    """
    check_trained_ids(model, valid, subset)
    compile_model(model, train, valid)
    feed = make_feed(subset, train.batch_size, stream=not fits_in_memory(subset))
    try:
        logs = Evaluator(model, max_steps_per_call=steps_per_block(subset, train.batch_size)).evaluate(feed)
    except (LayercliError, DataError):
        raise
    except model_error_types(valid) as error:
        id_error = explain_id_error(error, valid, is_trained=True)
        if id_error is not None:
            raise id_error from error
        custom_error = explain_custom_error(error, valid)
        if custom_error is not None:
            raise custom_error from error
        message = f"The model cannot be evaluated: {summarize_error(error)}"
        hint = "Check that the examples match the model's inputs, and the targets match the loss and metrics."
        raise LayercliError(valid.make_problem(("data",), "training-failed", message, hint)) from error
    return order_logs(logs, list(collect_log_names(train, valid.graph.output_references)))

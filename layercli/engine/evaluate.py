"""The loss and metrics of a model over examples."""

from __future__ import annotations

from typing import Any

from layercli.check import ValidConfig
from layercli.config.training.log_names import collect_log_names
from layercli.config.training.section import TrainSection
from layercli.data.examples import DataError
from layercli.data.subset import Subset
from layercli.engine.keras_errors import refusals, said
from layercli.engine.training.compile import compile_model
from layercli.engine.training.execution_plan import fits_in_memory, steps_in_block
from layercli.engine.training.feed import feed_for
from layercli.engine.training.logs import loss_first
from layercli.engine.training.loop import Evaluation
from layercli.errors import LayercliError


def evaluate(model: Any, valid: ValidConfig, train: TrainSection, part: Subset) -> dict[str, Any]:
    """The loss and the metrics of the ``train`` section, the loss first, over a part; a batch at a time.

    Raises:
        LayercliError: Keras, or a layer of the user's, refuses the examples.
    """
    compile_model(model, train)
    feed = feed_for(part, train.batch_size, stream=not fits_in_memory(part))
    try:
        logs = Evaluation(model, most=steps_in_block(part, train.batch_size)).over(feed)
    except (LayercliError, DataError):
        raise
    except refusals(valid) as error:
        message = f"The model cannot be evaluated: {said(error)}"
        hint = "The examples must fit the model's inputs, and the loss and metrics the targets."
        raise LayercliError(valid.make_problem(("data",), "training-failed", message, hint)) from error
    return loss_first(logs, list(collect_log_names(train, valid.graph.output_references)))

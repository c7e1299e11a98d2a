"""Find a learning rate by a range test, show it, and write it into the config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layercli.check import ValidConfig
from layercli.config.training.custom_objects import CustomObject
from layercli.errors import LayercliError, Problem
from layercli.graph.rate_proposal import NoRateError, RateCurve, list_rates, propose_rate
from layercli.io.atomic import report_write_errors, write_text
from layercli.page.charts import Chart, Series, draw_svg_file
from layercli.reports.training_progress import SilentProgress
from layercli.schema.component import Component
from layercli.source.nodes import KeyPath
from layercli.workflows.preflight import require_sections
from layercli.workflows.training_run import load_training_inputs, require_trainable


@dataclass(frozen=True, slots=True)
class RateTest:
    """A finished range test."""

    valid: ValidConfig
    """With the batch size that was found, if it is `auto`."""
    curve: RateCurve
    proposal: float | None
    reason: str | None
    """Why no rate is proposed; None with a proposal."""
    warnings: list[Problem]

    @property
    def rate_path(self) -> KeyPath:
        """The path of the learning rate in the config."""
        _, section = require_sections(self.valid)
        return (*section.optimizer_in_stage(0)[1], "learning_rate")

    def as_json(self) -> dict[str, Any]:
        """Return the document of ``find-rate --json``, without the files that are written."""
        curve = self.curve
        return {
            "ok": True,
            "rate": self.proposal,
            "key": ".".join(map(str, self.rate_path)),
            "steps": len(curve.rates),
            "diverged": curve.has_diverged,
            "curve": {
                "rates": list(curve.rates),
                "losses": list(curve.losses),
                "smoothed": list(curve.smoothed),
            },
            "problems": [problem.as_json() for problem in self.warnings],
        }


def find_rate(
    valid: ValidConfig,
    *,
    lowest: float,
    highest: float,
    steps: int,
    trust: bool,
    progress: SilentProgress,
) -> RateTest:
    """Run a range test of the learning rate. Nothing is written.

    Raises:
        LayercliError: The config cannot be trained.
    """
    require_trainable(valid, trust=trust)
    progress.print_message("Loading TensorFlow and the data.")
    inputs = load_training_inputs(valid, progress, should_load_weights=True, trust=trust)
    from layercli.engine.training.execution_plan import plan_execution
    from layercli.engine.training.rate_test import run_rate_test

    _, section = require_sections(inputs.valid)
    curve = run_rate_test(
        inputs.assembled,
        inputs.valid,
        section,
        inputs.splits,
        plan_execution(inputs.valid, inputs.splits.train),
        list_rates(lowest, highest, steps),
    )
    warnings = [*valid.check_result.problems, *inputs.warnings]
    try:
        return RateTest(inputs.valid, curve, propose_rate(curve), None, warnings)
    except NoRateError as error:
        return RateTest(inputs.valid, curve, None, str(error), warnings)


def describe_replaced_schedule(valid: ValidConfig) -> str | None:
    """Return a sentence if the config has a schedule, which the test replaces; None for a number."""
    _, section = require_sections(valid)
    optimizer, _ = section.optimizer_in_stage(0)
    rate = getattr(optimizer, "learning_rate", None)
    if isinstance(optimizer, CustomObject) or not isinstance(rate, Component):
        return None
    return f"The test replaces the schedule {rate.type_name()}: the proposal is a constant rate."


def make_no_rate_error(test: RateTest) -> LayercliError:
    """Return the error that no rate can be proposed."""
    message = f"No learning rate can be proposed: {test.reason}."
    hint = (
        "Scale the inputs (Rescaling or Normalization), and check the loss and the targets; "
        "or test other rates with `--from` and `--to`, or more steps with `--steps`."
    )
    problem = test.valid.make_problem(test.rate_path, "no-learning-rate", message, hint)
    return LayercliError([*test.warnings, problem])


def write_curve(test: RateTest, output: str) -> None:
    """Write the chart of the losses as an SVG file.

    Raises:
        LayercliError: matplotlib is not installed, or the file cannot be written.
    """
    curve = test.curve
    name = test.valid.check_result.name
    found = "no proposal" if test.proposal is None else f"proposal {test.proposal:g}"
    chart = Chart(
        title=f"Learning rate of {name}: {found}",
        description=f"The loss of {len(curve.rates)} steps with rates from {curve.rates[0]:g} to {curve.rates[-1]:g}.",
        x_title="learning rate",
        y_title="loss",
        series=[
            Series("loss", curve.rates, curve.losses, color=1),
            Series("smoothed loss", curve.rates, curve.smoothed),
        ],
        marked_x=test.proposal,
        has_log_scale=all(loss > 0 for loss in curve.losses),
        has_log_x=True,
    )
    with report_write_errors("The chart", output):
        write_text(Path(output), draw_svg_file(chart))

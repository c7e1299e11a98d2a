"""Complete a config with the sizes of outputs that its layers learn from the data."""

from __future__ import annotations

from layercli.check import ValidConfig
from layercli.errors import LayercliError, Problem
from layercli.schema.suggestions import list_names
from layercli.workflows.dataset import check_dataset


def read_output_sizes(valid: ValidConfig, *, trust: bool = False) -> ValidConfig:
    """Return the config with the sizes that its layers learn, if there are such layers.

    Raises:
        LayercliError: The config has no data, or its data cannot be read or does not fit.
    """
    learners = valid.shapes.size_learners
    if not learners:
        return valid
    node = next(node for node in valid.graph.nodes if node.name == learners[0])
    if valid.config.data is None:
        message = (
            f"The size of the output of `{node.name}` is learned from data, but the config has no `data`."
        )
        hint = "Add the section `data` with examples to learn it from."
        raise LayercliError(valid.make_problem(node.path, "unknown-size", message, hint))
    report = check_dataset(valid, valid.config.data, trust=trust)
    if report.valid is None:
        raise LayercliError(report.problems)
    return report.valid


def try_output_sizes(valid: ValidConfig, *, trust: bool = False) -> tuple[ValidConfig, list[Problem]]:
    """Return the config with the sizes that its layers learn; without them and with a warning if they are unknown."""
    try:
        return read_output_sizes(valid, trust=trust), []
    except LayercliError as error:
        errors = [problem for problem in error.problems if problem.severity == "error"]
        if any(_is_fatal(problem) for problem in errors):
            raise
        first = errors[0]
        names = list_names(valid.shapes.size_learners)
        message = f"The sizes that {names} learn are unknown, so the model cannot be run: {first.message}"
        return valid, [valid.make_problem(("data",), "unknown-size", message, first.hint, "warning")]


def _is_fatal(problem: Problem) -> bool:
    """Return whether a problem is more than a size that is not known: the model is wrong, or code is not trusted."""
    return problem.code == "trust-required" or (
        problem.path.startswith("model") and problem.code != "unknown-size"
    )

"""Read a sweep file and check it against its base config. TensorFlow is not loaded."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, product
from operator import is_
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from layercli.check import (
    CheckResult,
    ValidConfig,
    check_document,
    collect_validation_problems,
    is_sweep,
    require_one_seed,
    require_valid,
)
from layercli.config.language.expand import name_entries
from layercli.config.language.variables import VARS_KEY, list_used_names, make_unused_problem
from layercli.config.model import MAX_LAYERS
from layercli.config.sweep.search_space import Choice, SearchParameter, parse_search_parameter
from layercli.config.sweep.section import SweepConfig
from layercli.errors import LayercliError, Problem, has_errors
from layercli.io.paths import is_file
from layercli.source.extend import load_extended
from layercli.source.load import STDIN, find_unsaved_text, load_yaml
from layercli.source.nodes import KeyPath, YamlNode, problem_in, quote_value, sanitize_text
from layercli.source.overrides import apply_overrides, set_node, split_key
from layercli.sweep.model_limits import SIZE_NOUNS, measure_model
from layercli.sweep.objectives import RankedObjective, check_objectives, rank_objective

_VALUE_PROBLEM_CODES: Final = frozenset(
    (
        "bad-name",
        "bad-override",
        "not-finite",
        "out-of-range",
        "refused-type",
        "unknown-key",
        "unknown-type",
        "unknown-value",
        "wrong-length",
        "wrong-type",
    )
)
"""Codes of problems that do not depend on the values of other parameters."""


_MAX_PARAMETERS: Final = 100
_MAX_COMBINATIONS: Final = 100_000
_MAX_PROBES: Final = 500
_MAX_PROBE_WORK: Final = 30_000
"""Values and layers that all probes may check; trials check the other values."""


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A sweep, its base config, and the position of each parameter in it."""

    sweep: SweepConfig
    document: YamlNode
    """The sweep file, with line numbers."""
    base_file: str
    base_document: YamlNode
    base: ValidConfig
    parameter_paths: Mapping[str, KeyPath]
    """Each parameter's path in the base config, with indices instead of layer names."""

    @property
    def name(self) -> str:
        """The name of the sweep; by default that of its file."""
        if self.sweep.name is not None:
            return self.sweep.name
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(self.document.mark.source.name).stem).strip("-")
        return stem or "sweep"

    @property
    def title(self) -> str:
        """The word and the name of the sweep, which is not repeated if a file without a name is called sweep.yaml."""
        return "Sweep" if self.sweep.name is None and self.name.lower() == "sweep" else f"Sweep {self.name}"

    @property
    def objectives(self) -> Sequence[RankedObjective]:
        """The objectives with their directions."""
        assert self.base.config.train is not None
        return [rank_objective(each, self.base.config.train) for each in self.sweep.declared_objectives]

    @property
    def leading_position(self) -> int:
        """Position of the first objective that training logs; it selects a trial's best epoch."""
        return next(index for index, objective in enumerate(self.objectives) if not objective.is_static)

    @property
    def limits(self) -> Mapping[str, float]:
        """The largest allowed size of a model, by its name."""
        return {} if self.sweep.limits is None else self.sweep.limits.declared

    @property
    def identity(self) -> str:
        """Hash of the base config, space, objectives and limits: a resumed sweep must have the same."""
        sweep = self.sweep.to_plain()
        # Sweeps of earlier versions had only the first two keys, and must remain resumable.
        optional = {key: sweep[key] for key in ("objectives", "limits") if sweep[key] is not None}
        identifying = {
            **{key: sweep[key] for key in ("space", "objective")},
            **optional,
            "base": self.base_document.to_plain(),
        }
        return hashlib.sha256(json.dumps(identifying, sort_keys=True).encode()).hexdigest()

    def check_values(self, values: Mapping[str, Any]) -> CheckResult:
        """Check the base config with the drawn values."""
        try:
            return check_document(_insert_values(self, values))
        except LayercliError as error:
            return CheckResult(self.base_file, error.problems)

    def value_of(self, name: str, drawn_value: Any) -> Any:
        """Return the config's value for a drawn one: for a choice, the value of its label."""
        parameter = self.sweep.parameters[name]
        return (
            parameter.choice[parameter.labels.index(drawn_value)]
            if isinstance(parameter, Choice)
            else drawn_value
        )

    def problem(self, path: KeyPath, code: str, message: str, hint: str | None = None) -> Problem:
        """Return a problem with its position in the sweep file."""
        return problem_in(self.document, path, code, message, hint=hint)


def read_sweep_plan(file: str, overrides: Sequence[str] = ()) -> tuple[SweepPlan, list[Problem]]:
    """Read a sweep file; return warnings about values whose configs are invalid.

    Raises:
        LayercliError: All problems of the sweep file and its base config.
    """
    document = load_yaml(file)
    if isinstance(document.value, dict) and "model" in document.value and not is_sweep(document):
        message = "This is the config of a model, because it has `model`. It is not a sweep file."
        hint = f"Train it with `layercli train {file}`, or write a sweep file with `base: {Path(file).name}` and `space`."
        raise LayercliError(
            problem_in(document, ("model",), "other-file-type", message, hint=hint, at_key=True)
        )
    problems: list[Problem] = []
    sweep: SweepConfig | None = None
    try:
        sweep = SweepConfig.model_validate(document.to_plain())
    except ValidationError as error:
        problems += collect_validation_problems(document, error)
    base = document.find(("base",))
    if base is None or not isinstance(base.value, str):
        raise LayercliError(problems)
    base_path = Path(base.value) if Path(base.value).is_absolute() else Path(file).parent / base.value
    base_file = f"./{STDIN}" if str(base_path) == STDIN else str(base_path)  # a file of that name
    try:
        is_on_disk = find_unsaved_text(base_path) is None
        if is_on_disk and not base_path.exists():
            message = f"`base` must be an existing config, got {quote_value(base.value)}."
            hint = "Check the path; it is relative to the folder of the sweep file."
            raise LayercliError(problem_in(document, ("base",), "unreadable-file", message, hint=hint))
        if is_on_disk and not is_file(base_path):  # a pipe would wait for a writer
            message = f"`base` must be a regular file, got {quote_value(base.value)}."
            raise LayercliError(problem_in(document, ("base",), "unreadable-file", message))
        base_document = load_extended(base_file)
        apply_overrides(base_document, overrides, name_entries)
    except LayercliError as error:
        raise LayercliError([*problems, *error.problems]) from None
    parameter_paths = _find_parameter_paths(document, base_document, problems)
    try:
        valid = require_valid(check_document(base_document))
        require_one_seed(valid)
    except LayercliError as error:
        raise LayercliError([*problems, *error.problems]) from None
    if valid.config.train is None or valid.config.data is None:
        missing = "train" if valid.config.train is None else "data"
        message = f"The base config has no `{missing}`, so there is nothing to sweep."
        hint = f"Add `{missing}:` to {base_file}."
        problems.append(problem_in(document, ("base",), "missing-key", message, hint=hint))
        raise LayercliError(problems)
    problems += check_objectives(document, valid)
    plan = SweepPlan(
        sweep or _drop_invalid_parts(document), document, base_file, base_document, valid, parameter_paths
    )
    if sweep is not None and sweep.objective is None and sweep.objectives is None:
        message = "A sweep needs `objective`, the value to optimize."
        hint = "Add, for example, `objective: {metric: val_loss}`."
        problems.append(problem_in(document, (), "missing-key", message, hint=hint))
    problems += _check_sampler(plan)
    problems += _check_probes(plan, are_alone=not has_errors(problems))
    problems += _check_limits(plan)
    if has_errors(problems):
        raise LayercliError(problems)
    return plan, problems


def _drop_invalid_parts(document: YamlNode) -> SweepConfig:
    """Return the valid keys and parameters of a sweep file that has errors, so that these are checked too."""
    values = document.to_plain()
    values = values if isinstance(values, dict) else {}
    sweep = SweepConfig.model_construct(base="", space={})
    for key in SweepConfig.model_fields:
        if key in values and key != "space":
            with suppress(ValidationError):
                parsed = SweepConfig.model_validate(
                    {"base": "x", "space": {"x": {"int": [1, 2]}}, key: values[key]}
                )
                sweep = sweep.model_copy(update={key: getattr(parsed, key)})
    space = {}
    named = values.get("space")
    for name, value in islice(named.items(), _MAX_PARAMETERS) if isinstance(named, dict) else ():
        with suppress(ValidationError, PydanticCustomError):
            space[name] = parse_search_parameter(value)
    return sweep.model_copy(update={"space": space})


def _copy_root(root: YamlNode) -> YamlNode:
    assert isinstance(root.value, dict)
    return replace(root, value=dict(root.value), keys=dict(root.keys))


def _insert_values(plan: SweepPlan, values: Mapping[str, Any]) -> YamlNode:
    """Return the base config with these values, which keep their positions in the sweep file."""
    root = _copy_root(plan.base_document)
    for name, drawn_value in values.items():
        path: KeyPath = ("space", name)
        mark = plan.document.find_mark(path, key=True)
        parameter = plan.sweep.parameters[name]
        if isinstance(parameter, Choice):
            new = plan.document.find((*path, "choice", parameter.labels.index(drawn_value)))
            assert new is not None
        else:
            new = YamlNode(drawn_value, plan.document.find_mark(path))
        set_node(root, [str(step) for step in plan.parameter_paths[name]], new, mark, name_entries)
    return root


class _NamedItems:
    """The names of the entries of a list, computed once for all parameters that look into it."""

    def __init__(self) -> None:
        self._known: list[tuple[list[YamlNode], list[str]]] = []

    def __call__(self, items: list[YamlNode]) -> list[str]:
        for known_items, names in self._known:
            if len(known_items) == len(items) and all(map(is_, known_items, items)):
                return names
        names = name_entries(items)
        self._known.append((list(items), names))
        return names


def _find_parameter_paths(document: YamlNode, base: YamlNode, problems: list[Problem]) -> dict[str, KeyPath]:
    """Return each parameter's path in the base config. Report unknown and nested paths."""
    paths: dict[str, KeyPath] = {}
    name_items = _NamedItems()
    space = document.find(("space",))
    used_names = list_used_names(base)
    for name in (
        islice(space.value, _MAX_PARAMETERS) if space is not None and isinstance(space.value, dict) else ()
    ):
        path: KeyPath = ("space", name)
        steps = split_key(name)
        if steps is None or len(steps) > 100:
            message = f"`{sanitize_text(name, limit=60)}` is not a path of a config."
            hint = "For example `model.layers.head.units` or `train.optimizer.learning_rate`."
            problems.append(problem_in(document, path, "bad-space", message, hint=hint, at_key=True))
            continue
        mark = document.find_mark(path, key=True)
        try:
            paths[name] = set_node(_copy_root(base), steps, YamlNode(None, mark), mark, name_items)
        except LayercliError as error:
            problems += error.problems
            continue
        variable = str(paths[name][1]) if len(paths[name]) == 2 and paths[name][0] == VARS_KEY else None
        if variable is not None and variable not in used_names:
            problems.append(make_unused_problem(variable, used_names, mark, path))
    for name, inner in paths.items():
        for other, outer in paths.items():
            if name != other and inner[: len(outer)] == outer and (inner != outer or name > other):
                message = (
                    f"`{sanitize_text(name)}` is inside `{sanitize_text(other)}`, which is drawn as a whole."
                )
                hint = "Draw only one of them."
                path = ("space", name)
                problems.append(problem_in(document, path, "bad-space", message, hint=hint, at_key=True))
    return paths


def _check_sampler(plan: SweepPlan) -> list[Problem]:
    """Check that the sampler can draw every parameter."""
    kind = plan.sweep.declared_sampler.type_name()
    problems = []
    if (plan.sweep.combination_count or 0) > _MAX_COMBINATIONS:
        message = f"{kind} lists every combination of the space, of which there are more than {_MAX_COMBINATIONS:,}."
        hint = "Use larger steps or fewer choices, or use TPESampler or RandomSampler."
        problems.append(plan.problem(("space",), "bad-space", message, hint))
    if kind == "CmaEsSampler" and plan.sweep.has_several_objectives:
        message = "CmaEsSampler does not support several objectives."
        problems.append(
            plan.problem(("sampler",), "bad-argument", message, "Use NSGAIISampler or TPESampler.")
        )
    for name, parameter in plan.sweep.parameters.items():
        if plan.sweep.combination_count is not None and parameter.grid_size is None:
            message = f"{kind} tries every combination, but the values of `{sanitize_text(name)}` cannot be enumerated."
            hint = "Give the range a `step` and no `log`, or use `choice`."
            problems.append(plan.problem(("space", name), "bad-space", message, hint))
        if kind == "CmaEsSampler" and isinstance(parameter, Choice):
            message = f"CmaEsSampler draws only numbers, but `{sanitize_text(name)}` is a choice."
            problems.append(plan.problem(("space", name), "bad-space", message, "Use TPESampler."))
    return problems


def _check_probes(plan: SweepPlan, *, are_alone: bool) -> list[Problem]:
    """Check single values, with the others as in the base config.

    If ``are_alone``, also report the values that are invalid only in combination.
    """
    problems: list[Problem] = []
    warnings: list[Problem] = []
    file = plan.document.mark.source.name
    budget = _ProbeBudget()
    for name, parameter in plan.sweep.parameters.items():
        if name not in plan.parameter_paths:
            continue  # reported already
        results = []
        own_warnings = []
        for probe in parameter.probe_values:
            if budget.is_used:
                return [*problems, *(warnings if are_alone else ())]
            result = plan.check_values({name: probe})
            budget.count_check(plan, result)
            results.append(result)
            errors = [problem for problem in result.problems if problem.severity == "error"]
            value_errors = [
                problem for problem in errors if problem.file == file and problem.code in _VALUE_PROBLEM_CODES
            ]
            problems += [problem for problem in value_errors if problem not in problems]
            if errors and not value_errors:
                own_warnings.append(_make_probe_warning(plan, name, parameter, probe, errors[0]))
        if are_alone and len(own_warnings) == len(results):
            always_invalid = _check_combinations(plan, name, results[0], budget)
            problems += always_invalid
            own_warnings = [] if always_invalid else own_warnings
        warnings += own_warnings
    return [*problems, *(warnings if are_alone else ())]


class _ProbeBudget:
    """The limit on the cost of all checks of values."""

    def __init__(self) -> None:
        self.probes_left = _MAX_PROBES
        self._work_left = _MAX_PROBE_WORK

    @property
    def is_used(self) -> bool:
        return not self.probes_left or self._work_left <= 0

    def count_check(self, plan: SweepPlan, result: CheckResult) -> None:
        self.probes_left -= 1
        self._work_left -= plan.base_document.size + _count_layers(result)


def _check_combinations(
    plan: SweepPlan, name: str, first: CheckResult, budget: _ProbeBudget
) -> list[Problem]:
    """Return an error if no value of a parameter is valid, whatever the others are.

    Ranges are represented by their ends. Nothing is reported if there are too many combinations to check.
    """
    parameters = {each: plan.sweep.parameters[each] for each in plan.parameter_paths}
    count = math.prod(len(parameter.probe_values) for parameter in parameters.values())
    if count > budget.probes_left:
        return []
    for values in product(*(parameter.probe_values for parameter in parameters.values())):
        if budget.is_used:
            return []
        result = plan.check_values(dict(zip(parameters, values, strict=True)))
        budget.count_check(plan, result)
        if result.ok:
            return []
    reason = next(problem for problem in first.problems if problem.severity == "error")
    message = f"The config is invalid with every value of `{sanitize_text(name)}`. The first one: {reason.full_message}"
    hint = "Change the values, or the base config."
    return [plan.problem(("space", name), "bad-space", message, hint)]


def _check_limits(plan: SweepPlan) -> list[Problem]:
    """Check that the limits can be checked: a sampler must learn from refused trials, and the sizes must be known."""
    if not plan.limits:
        return []
    kind = plan.sweep.declared_sampler.type_name()
    if kind == "GPSampler":
        message = (
            "GPSampler does not learn from trials that the limits refuse, so it would draw them repeatedly."
        )
        hint = "Use TPESampler or NSGAIISampler, or remove `limits`."
        return [plan.problem(("sampler",), "bad-argument", message, hint)]
    if plan.base.shapes.size_learners:
        return []  # a trial reads the data
    return [
        problem_in(
            plan.document,
            ("limits", name),
            "unknown-size",
            f"`{name}` cannot be checked: the {SIZE_NOUNS[name]} of the base config's model are unknown.",
            hint="Custom layers have no static size. Remove the limit, or the layers.",
            severity="warning",
        )
        for name in plan.limits
        if measure_model(plan.base)[name] is None
    ]


def _count_layers(result: CheckResult) -> int:
    """Return the number of layers that a check has expanded; the maximum if it did not finish."""
    layers = result.document.find(("model", "layers")) if result.document is not None else None
    return len(layers.value) if layers is not None and isinstance(layers.value, list) else MAX_LAYERS


def _make_probe_warning(
    plan: SweepPlan, name: str, parameter: SearchParameter, probe: Any, problem: Problem
) -> Problem:
    path: KeyPath = ("space", name)
    if isinstance(parameter, Choice):
        path = (*path, "choice", parameter.labels.index(probe))
    value = sanitize_text(str(probe), limit=60)
    message = f"With `{sanitize_text(name)}: {value}` the config is invalid: {problem.full_message}"
    hint = "Trials with an invalid config are pruned before they start."
    return problem_in(plan.document, path, "bad-space", message, hint=hint, severity="warning")

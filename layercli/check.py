"""A file in, everything that is wrong with it out; no framework is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from layercli.config.config import Config
from layercli.config.custom_layers import CustomLayer
from layercli.config.data.section import DataConfig
from layercli.config.language.expand import expand_document, name_entries
from layercli.config.language.variables import escape_references
from layercli.config.names import INPUT
from layercli.config.partial import build_partial_config
from layercli.errors import LayercliError, Problem, Severity, has_errors
from layercli.graph.build import Graph, build_graph
from layercli.graph.build import GraphNode as GraphNode
from layercli.graph.checks import consistency, hints
from layercli.graph.checks.monitors import check_monitors
from layercli.graph.checks.outputs import check_outputs
from layercli.graph.finding import Finding
from layercli.graph.inputs import check_missing_input, resolve_model_inputs
from layercli.graph.shapes import ModelShapes, NodeShapes, infer_graph_shapes
from layercli.layers.shapes import format_shape
from layercli.schema.suggestions import limit_suggestions
from layercli.source.extend import load_extended
from layercli.source.load import STDIN
from layercli.source.nodes import KeyPath, YamlNode, problem_in
from layercli.source.overrides import apply_overrides


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A config that was read, with what is known of it and what is wrong with it."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    document: YamlNode | None = None
    config: Config | None = None
    shapes: ModelShapes | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; warnings do not count."""
        return not has_errors(self.problems)

    def directory_of(self, path: KeyPath) -> Path:
        """The folder that a file named at ``path`` is relative to: that of the file in which the name stands."""
        return self.document.find_mark(path).source.directory if self.document else Path.cwd()

    @property
    def name(self) -> str:
        """The model's name: the config's, else the file's."""
        if self.config is not None and self.config.name is not None:
            return self.config.name
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(self.file).stem).strip("-")
        return stem if stem and self.file != "<stdin>" else "model"

    def line_of(self, path: KeyPath) -> int | None:
        """The line on which ``path`` stands."""
        if self.document is None:
            return None
        mark = self.document.find_mark(path)
        return mark.line if mark.source.has_positions else None


@dataclass(frozen=True, slots=True)
class ValidConfig:
    """A config without errors: what ``build`` and ``train`` work from."""

    check_result: CheckResult
    config: Config
    shapes: ModelShapes

    @property
    def graph(self) -> Graph:
        """The model as nodes."""
        return self.shapes.graph

    def make_problem(
        self, path: KeyPath, code: str, message: str, hint: str | None = None, severity: Severity = "error"
    ) -> Problem:
        """A problem that points at ``path`` in the config."""
        return problem_in(self.check_result.document, path, code, message, hint=hint, severity=severity)

    def problem_from_finding(self, finding: Finding) -> Problem:
        """A finding at its place in the config."""
        assert self.check_result.document is not None
        return _problem_from_finding(self.check_result.document, finding)

    def to_resolved_dict(self, *, is_for_run: bool = False) -> dict[str, Any]:
        """The config with every default written out; it stands for the same model, data and training.

        With ``kept`` the user's code that gives the data is named as a run keeps it, beside the config.
        """
        # Once more through the parser, so that defaults stand in the same words as what was given.
        document = Config.model_validate(self.config.to_plain()).to_plain() | {"name": self.check_result.name}
        inputs = {
            name: {"shape": list(x.shape[1:]), "dtype": x.dtype} for name, x in self.graph.inputs.items()
        }
        if self.config.data is not None:
            code_path = self._find_data_code()[0] if is_for_run else None
            data = self.config.data
            document["data"] = (
                self.resolve_data_paths(data) if code_path is None else data.with_code_path(code_path)
            ).to_plain()
        document["model"] |= {"inputs": inputs} if self.config.model.inputs else {"input": inputs[INPUT]}
        if self.config.model.weights is not None:
            directory = self.check_result.directory_of(("model", "weights"))
            document["model"]["weights"] = str(directory / self.config.model.weights)
        layers = zip(document["model"]["layers"], self.graph.nodes, strict=True)
        document["model"]["layers"] = [_insert_name(entry, node.name) for entry, node in layers]
        resolved: dict[str, Any] = escape_references(document)
        return resolved

    def resolve_data_paths(self, data: DataConfig) -> DataConfig:
        """The data section with absolute paths."""
        return data.with_absolute_paths(self.check_result.directory_of(("data", data.path_key)))

    @property
    def custom_layers(self) -> list[GraphNode]:
        """Layers whose classes are loaded from the user's code."""
        return [node for node in self.graph.nodes if node.has_user_code and node.reuse_of is None]

    @property
    def code_files(self) -> dict[str, Path]:
        """The files of the user's code: where a run keeps each, and where it is."""
        place, file = self._find_data_code()
        return self.layer_code_files | ({} if place is None or file is None else {place: file})

    @property
    def layer_code_files(self) -> dict[str, Path]:
        """The files of the user's layers: the place of each as the config names it, and where it is."""
        return {
            node.layer.module: self.custom_layer_file(node)
            for node in self.custom_layers
            if isinstance(node.layer, CustomLayer) and node.layer.kind == "file"
        }

    def _find_data_code(self) -> tuple[str | None, Path | None]:
        """Where a run keeps the file that gives the data, and where it is."""
        data = self.config.data
        code_path = None if data is None else data.code_path
        if data is None or code_path is None:
            return None, None
        file: Path = self.resolve_data_paths(data).file  # type: ignore[attr-defined]  # what has a place of code has that
        layer_file = self.layer_code_files.get(code_path)
        return code_path if layer_file in (None, file) else f"data_{file.name}", file

    def custom_layer_file(self, node: GraphNode) -> Path:
        """The file of a layer of the user's; its place is relative to the file of the config in which it stands."""
        assert isinstance(node.layer, CustomLayer)
        return self.check_result.directory_of((*node.path, "type")) / node.layer.module


def check_config(file: str, overrides: Sequence[str] = (), *, text: str | None = None) -> CheckResult:
    """Find everything that is wrong with the config at ``file`` (``-`` for standard input), or with ``text`` in its place."""
    try:
        document = load_extended(file, text)
        apply_overrides(document, overrides, name_entries)
        return check_document(document)
    except LayercliError as error:
        name = "<stdin>" if file == STDIN else file
        return CheckResult(name, _sort_unique_problems(error.problems, name))


def require_valid(check_result: CheckResult) -> ValidConfig:
    """The config, if nothing is wrong with it.

    Raises:
        LayercliError: with every problem, if something is.
    """
    if not check_result.ok or check_result.config is None or check_result.shapes is None:
        raise LayercliError(check_result.problems)
    return ValidConfig(check_result, check_result.config, check_result.shapes)


def check_document(document: YamlNode) -> CheckResult:
    """Check a config whose nodes are read already."""
    with limit_suggestions(_MAX_SUGGESTIONS):
        return _check_document(document)


_MAX_SUGGESTIONS = 200


def _check_document(document: YamlNode) -> CheckResult:
    file = document.mark.source.name
    document, problems = expand_document(document)
    value = document.to_plain()
    unresolved = {(problem.file, problem.line, problem.column) for problem in problems}
    config: Config | None
    try:
        config = Config.model_validate(value)
    except ValidationError as error:
        items = error.errors(include_url=False)
        found = collect_validation_problems(document, error)
        problems += [
            problem for problem in found if (problem.file, problem.line, problem.column) not in unresolved
        ]
        config = build_partial_config(
            value, {item["loc"][2] for item in items if item["loc"][:2] == ("model", "layers") != item["loc"]}
        )
    is_malformed = bool(problems)
    if config is None:
        problems.extend(_problem_from_finding(document, found) for found in check_missing_input(value))
        return CheckResult(file, _sort_unique_problems(problems, file), document)
    inputs, input_findings = resolve_model_inputs(config)
    problems.extend(_problem_from_finding(document, found) for found in input_findings)
    if inputs is None:
        return CheckResult(file, _sort_unique_problems(problems, file), document)
    graph, findings = build_graph(config, inputs)
    problems.extend(_problem_from_finding(document, found) for found in findings)
    shapes = infer_graph_shapes(graph, config.model.dtype)
    problems.extend(_convert_shape_errors(document, shapes, input_is_editable=config.data is None))
    has_no_errors = not has_errors(problems)
    problems.extend(
        _problem_from_finding(document, found) for found in check_outputs(config, graph.output_references)
    )
    problems.extend(
        _problem_from_finding(document, found) for found in check_monitors(config, graph.output_references)
    )
    if has_no_errors or is_malformed:
        problems.extend(
            _problem_from_finding(document, found) for found in consistency.check_consistency(config, shapes)
        )
    if is_malformed:
        return CheckResult(file, _sort_unique_problems(problems, file), document)
    return CheckResult(file, _sort_unique_problems(problems, file), document, config, shapes)


def _insert_name(entry: dict[str, Any], name: str) -> dict[str, Any]:
    """The entry with its name behind what it is."""
    (head, layer_type), *others = entry.items()
    return {head: layer_type, "name": name, **dict(others)}


def _problem_from_finding(document: YamlNode, finding: Finding) -> Problem:
    """A finding at its place in the file."""
    message = finding.message
    if finding.other_path is not None:
        mark = document.find_mark(finding.other_path, key=True)
        message = message.format(f"line {mark.line}" if mark.source.has_positions else "an earlier place")
    return problem_in(document, finding.path, finding.code, message,
                      hint=finding.hint, severity=finding.severity, at_key=finding.at_key)  # fmt: skip


def _convert_shape_errors(
    document: YamlNode, shapes: ModelShapes, *, input_is_editable: bool
) -> Iterator[Problem]:
    lines = {row.node.name: _find_line(document, row.node.path) for row in shapes.rows}
    for row in shapes.rows:
        if row.error is None:
            continue
        path = row.node.path if row.error.argument is None else (*row.node.path, row.error.argument)
        message = (
            f"{row.error} {_describe_input_source(row, lines)}".strip()
            if _is_input_shape_error(row)
            else str(row.error)
        )
        hint = hints.suggest_fix(row, shapes, lines, input_is_editable=input_is_editable)
        yield problem_in(document, path, "shape-mismatch", message, hint=hint)


def _find_line(document: YamlNode, path: KeyPath) -> int | None:
    mark = document.find_mark(path)
    return mark.line if mark.source.has_positions and mark.source is document.mark.source else None


def _is_input_shape_error(row: NodeShapes) -> bool:
    """Whether the error tells the shape of an input, so that one asks where it comes from."""
    return any(x is not None and format_shape(x.shape) in str(row.error) for x in row.inputs)


def _describe_input_source(row: NodeShapes, lines: dict[str, int | None]) -> str:
    """Which layer gave the input that does not fit."""
    sources = [name for name in row.node.inputs if name in lines]
    if not sources:
        return "That is the model's input."
    described = [f"`{name}`" + (f" (line {lines[name]})" if lines.get(name) else "") for name in sources]
    return f"That comes from {' and '.join(described)}."


def collect_validation_problems(document: YamlNode, error: ValidationError) -> list[Problem]:
    """What a ``Strict`` model refused of a document, each at its place."""
    return [_problem_from_validation(document, item) for item in error.errors(include_url=False)]


def _problem_from_validation(document: YamlNode, error: Any) -> Problem:
    context = error["ctx"]
    path = tuple(error["loc"])
    return problem_in(
        document, path, error["type"], context["message"], hint=context["hint"], at_key=context["at_key"]
    )


def _sort_unique_problems(problems: list[Problem], file: str) -> list[Problem]:
    """The problems by their places, the file's own first; what is wrong with a block is told once for all its uses."""
    unique_problems: dict[object, Problem] = {}
    for problem in problems:
        identity = (problem.code, problem.file, problem.line, problem.column)
        unique_problems.setdefault(identity if problem.via else (*identity, problem.message), problem)
    return sorted(
        unique_problems.values(),
        key=lambda problem: (
            problem.file != file,
            problem.file or "",
            problem.line or 0,
            problem.column or 0,
        ),
    )

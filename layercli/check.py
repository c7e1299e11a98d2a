"""Check a config file and collect every problem, without loading a framework."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from layercli.activity import show_activity
from layercli.config.config import Config
from layercli.config.data.section import DataConfig
from layercli.config.language.expand import expand_document, name_entries
from layercli.config.language.variables import escape_references
from layercli.config.layer_entries import ErrorLimit
from layercli.config.model import LAYERS_PATH
from layercli.config.names import INPUT
from layercli.config.partial import build_partial_config
from layercli.config.training.custom_objects import CUSTOM_NOUNS, CustomObject, find_custom_objects
from layercli.errors import (
    MAX_PROBLEMS,
    InvalidConfigError,
    LayercliError,
    Problem,
    Severity,
    TooManyProblemsError,
    has_errors,
)
from layercli.graph.adaptable import with_output_sizes
from layercli.graph.build import CustomPart, Graph, build_graph
from layercli.graph.build import GraphNode as GraphNode
from layercli.graph.checks import consistency, hints
from layercli.graph.checks.channels import check_image_channels
from layercli.graph.checks.ids import check_ids
from layercli.graph.checks.learners import check_learners
from layercli.graph.checks.monitors import check_monitors
from layercli.graph.checks.nested_work import find_excess_calls
from layercli.graph.checks.output_names import check_output_names
from layercli.graph.checks.runtime import check_runtime
from layercli.graph.finding import Finding
from layercli.graph.inputs import check_missing_input, resolve_model_inputs
from layercli.graph.lora import check_lora_kernels, merge_lora
from layercli.graph.metrics import complete_metrics
from layercli.graph.shapes import ModelShapes, NodeShapes, infer_graph_shapes
from layercli.layers.custom_layers import find_class_beside
from layercli.layers.shapes import format_shape
from layercli.schema.suggestions import limit_suggestions
from layercli.source.extend import EXTENDS, load_extended
from layercli.source.load import STDIN
from layercli.source.nodes import KeyPath, YamlNode, problem_in
from layercli.source.overrides import apply_overrides


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of checking a config: its problems and, as far as they are known, its parts."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    document: YamlNode | None = None
    config: Config | None = None
    shapes: ModelShapes | None = None
    """Also known in part if the config is malformed; then ``config`` is None."""
    written: YamlNode | None = None
    """The document before variables, blocks and repeats were expanded."""

    @property
    def ok(self) -> bool:
        """Whether the config has no errors. Warnings are allowed."""
        return not has_errors(self.problems)

    def directory_of(self, path: KeyPath) -> Path:
        """Return the folder of the file that contains ``path``; file names there are relative to it."""
        return self.document.find_mark(path).source.directory if self.document else Path.cwd()

    @property
    def name(self) -> str:
        """The name of the model, from the config, otherwise from the file name."""
        if self.config is not None and self.config.name is not None:
            return self.config.name
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(self.file).stem).strip("-")
        return stem if stem and self.file != "<stdin>" else "model"

    def line_of(self, path: KeyPath) -> int | None:
        """Return the line number of ``path``, or None if it is unknown."""
        if self.document is None:
            return None
        mark = self.document.find_mark(path)
        return mark.line if mark.source.has_positions else None


@dataclass(frozen=True, slots=True)
class ValidConfig:
    """A config without errors: the input of ``build`` and ``train``."""

    check_result: CheckResult
    config: Config
    shapes: ModelShapes

    @property
    def graph(self) -> Graph:
        """The model as a graph of nodes."""
        return self.shapes.graph

    def with_output_sizes(self, sizes: Mapping[str, Sequence[int]]) -> ValidConfig:
        """Return the config whose layers that learn the size of their output have these sizes, by node.

        Raises:
            LayercliError: A layer does not accept the sizes.
        """
        entries = list(self.config.model.layers)
        for node in self.graph.nodes:
            if node.name in sizes:
                index = node.path[2]
                assert isinstance(index, int)
                layer = with_output_sizes(node.layer, iter(sizes[node.name]))
                entries[index] = replace(entries[index], layer=layer)
        model = self.config.model.model_copy(update={"layers": entries})
        assert self.check_result.document is not None
        config = self.config.model_copy(update={"model": model})
        return require_valid(_check_config_in(self.check_result.document, config, []))

    def with_merged_lora(self) -> ValidConfig:
        """Return the config of the same model without low-rank updates, as a training saves it."""
        graph = merge_lora(self.graph)
        if graph is self.graph:
            return self
        return replace(self, shapes=infer_graph_shapes(graph, self.config.model.dtype))

    def make_problem(
        self, path: KeyPath, code: str, message: str, hint: str | None = None, severity: Severity = "error"
    ) -> Problem:
        """Return a problem located at ``path`` in the config."""
        return problem_in(self.check_result.document, path, code, message, hint=hint, severity=severity)

    def problem_from_finding(self, finding: Finding) -> Problem:
        """Return a finding as a problem with its location in the config."""
        assert self.check_result.document is not None
        return _problem_from_finding(self.check_result.document, finding)

    def error_from_findings(self, findings: Iterable[Finding]) -> LayercliError:
        """Return an error with one problem for each finding."""
        return LayercliError(self.problem_from_finding(finding) for finding in findings)

    def to_resolved_dict(self, *, is_for_run: bool = False) -> dict[str, Any]:
        """Return the config with every default included; it describes the same model, data and training.

        If ``is_for_run``, the data code is named by its path in the run directory.
        """
        # Parse again, to write defaults in the same form as given values.
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
        document["model"]["layers"] = [
            _insert_name(entry, node.name) | self._resolve_weights_file(node) for entry, node in layers
        ]
        resolved: dict[str, Any] = escape_references(document)
        return resolved

    def _resolve_weights_file(self, node: GraphNode) -> dict[str, str]:
        """Return the absolute path of a pretrained model's own file of weights; nothing without one."""
        file = getattr(node.layer, "weights_file", None)
        return {"weights": str(self.check_result.directory_of(node.path) / file)} if file is not None else {}

    def problem_from_shape_error(self, row: NodeShapes, shapes: ModelShapes) -> Problem:
        """Return the error of a row as a problem; ``shapes`` has the rows before it."""
        document = self.check_result.document
        assert document is not None
        lines = {name: _find_line(document, each.node.path) for name, each in shapes.by_name.items()}
        return _convert_shape_error(document, row, shapes, lines, input_is_editable=self.config.data is None)

    def resolve_data_paths(self, data: DataConfig) -> DataConfig:
        """Return the data section with absolute paths."""
        resolved = data.with_absolute_paths(self.check_result.directory_of(("data", data.path_key)))
        split = resolved.split
        for name in split.own_files:
            split = split.with_absolute_paths(self.check_result.directory_of(("data", "split", name)), name)
        return resolved.with_arguments(split=split) if split.own_files else resolved

    @property
    def custom_layers(self) -> list[CustomPart]:
        """The layers whose classes are loaded from custom code, including nested ones."""
        return [
            part
            for node in self.graph.nodes
            if node.reuse_of is None
            for part in node.custom_parts
            if part.layer.has_user_code
        ]

    @property
    def needs_trust(self) -> bool:
        """Whether the config names custom code, so that commands need ``--trust``."""
        data = self.config.data
        has_data_code = data is not None and data.user_function is not None
        return bool(self.custom_layers) or bool(self.custom_objects) or has_data_code

    @property
    def code_files(self) -> dict[str, Path]:
        """The files of custom code: path in the run directory -> current path."""
        run_path, file = self._find_data_code()
        return (
            self.training_code_files
            | self.layer_code_files
            | ({} if run_path is None or file is None else {run_path: file})
        )

    @property
    def layer_code_files(self) -> dict[str, Path]:
        """The files of custom layers: path in the config -> current path."""
        return {
            part.layer.module: self.custom_layer_file(part)
            for part in self.custom_layers
            if part.layer.kind == "file"
        }

    @property
    def custom_objects(self) -> list[tuple[CustomObject, KeyPath]]:
        """The losses, metrics, optimizers, schedules and callbacks from custom code, with their paths."""
        train = self.config.train
        return [] if train is None else [*find_custom_objects(train.arguments(), ("train",))]

    @property
    def training_code_files(self) -> dict[str, Path]:
        """The files of these objects: path in the config -> current path."""
        files = {custom.module: self.custom_object_file(custom) for custom, _ in self.custom_objects}
        return {name: file for name, file in files.items() if file is not None}

    def custom_object_file(self, custom: CustomObject) -> Path | None:
        """Return the file of a custom object, relative to the config file that names it; None for a module."""
        if custom.kind != "file":
            return None
        paths = [path for each, path in self.custom_objects if each == custom]
        path = next((each for each in paths), ("train",))
        return self.check_result.directory_of((*path, "type")) / custom.module

    def _find_data_code(self) -> tuple[str | None, Path | None]:
        """Return the path of the data code in the run directory and its current path."""
        data = self.config.data
        code_path = None if data is None else data.code_path
        if data is None or code_path is None:
            return None, None
        file: Path = self.resolve_data_paths(data).file  # type: ignore[attr-defined]  # a section with `code_path` has it
        layer_file = (self.training_code_files | self.layer_code_files).get(code_path)
        return code_path if layer_file in (None, file) else f"data_{file.name}", file

    def custom_layer_file(self, part: CustomPart) -> Path:
        """Return the file of a custom layer. It is relative to the config file that contains the layer."""
        return self.check_result.directory_of((*part.path, "type")) / part.layer.module


@show_activity("Checking the config")
def check_config(file: str, overrides: Sequence[str] = (), *, text: str | None = None) -> CheckResult:
    """Check the config at ``file`` (``-`` for standard input), or ``text`` instead of the file's content."""
    try:
        document = load_extended(file, text)
        apply_overrides(document, overrides, name_entries)
        return check_document(document)
    except LayercliError as error:
        name = "<stdin>" if file == STDIN else file
        return CheckResult(name, _sort_unique_problems(error.problems, name))


def is_sweep(document: YamlNode) -> bool:
    """Return whether a file declares a sweep of another config."""
    keys = document.value if isinstance(document.value, dict) else {}
    return ("base" in keys or "space" in keys) and not {"model", EXTENDS} & keys.keys()


def require_valid(check_result: CheckResult) -> ValidConfig:
    """Return the config if it has no errors.

    Raises:
        InvalidConfigError: The config has errors. Contains every problem.
    """
    if not check_result.ok or check_result.config is None or check_result.shapes is None:
        raise InvalidConfigError(check_result.problems)
    return ValidConfig(check_result, check_result.config, check_result.shapes)


def require_one_seed(valid: ValidConfig) -> None:
    """Check that `train.seeds` does not ask for several runs, where a config is trained once.

    Raises:
        LayercliError: It does.
    """
    if valid.config.train is not None and valid.config.train.seeds is not None:
        message = "`seeds` asks for several runs, but here a config is trained once."
        hint = "Pass `--set train.seeds=null`. To train all seeds, run `layercli train CONFIG`."
        raise LayercliError(valid.make_problem(("train", "seeds"), "several-seeds", message, hint))


def check_document(document: YamlNode) -> CheckResult:
    """Check a parsed config."""
    try:
        with limit_suggestions(_MAX_SUGGESTIONS):
            return replace(_check_document(document), written=document)
    except TooManyProblemsError as error:
        file = document.mark.source.name
        return CheckResult(file, _sort_unique_problems(error.problems, file), document, written=document)


def _make_sweep_problem(document: YamlNode) -> Problem:
    """Return the problem that a sweep file is not the config of a model."""
    key = next(key for key in ("space", "base") if document.find((key,)) is not None)
    message = f"This is a sweep file, because it has `{key}`. It is not the config of a model."
    name = document.mark.source.name
    hint = f"Run it with `layercli sweep {name}`, or name its base config instead."
    return problem_in(document, (key,), "other-file-type", message, hint=hint, at_key=True)


_MAX_SUGGESTIONS = 200


def _check_document(document: YamlNode) -> CheckResult:
    file = document.mark.source.name
    if is_sweep(document):
        return CheckResult(file, [_make_sweep_problem(document)], document)
    document, problems = expand_document(document)
    value = document.to_plain()
    unresolved = {(problem.file, problem.line, problem.column) for problem in problems}
    config: Config | None
    error_limit = ErrorLimit(MAX_PROBLEMS)
    try:
        config = Config.model_validate(value, context=error_limit)
    except ValidationError as error:
        items = error.errors(include_url=False)
        found = [_problem_from_validation(document, item) for item in items[:MAX_PROBLEMS]]
        problems.extend(
            problem for problem in found if (problem.file, problem.line, problem.column) not in unresolved
        )
        if error_limit.is_reached:
            raise TooManyProblemsError(problems) from None
        config = build_partial_config(
            value, {item["loc"][2] for item in items if item["loc"][:2] == LAYERS_PATH != item["loc"]}
        )
    is_malformed = bool(problems)
    if config is None:
        problems.extend(_problem_from_finding(document, found) for found in check_missing_input(value))
        return CheckResult(file, _sort_unique_problems(problems, file), document)
    return _check_config_in(document, config, problems, is_malformed=is_malformed)


def _check_config_in(
    document: YamlNode, config: Config, problems: list[Problem], *, is_malformed: bool = False
) -> CheckResult:
    """Check the model, data and training of a config that the document declares, after these problems."""
    file = document.mark.source.name
    inputs, input_findings = resolve_model_inputs(config)
    problems.extend(_problem_from_finding(document, found) for found in input_findings)
    if inputs is None:
        return CheckResult(file, _sort_unique_problems(problems, file), document)
    graph, findings = build_graph(config, inputs)
    problems.extend(_problem_from_finding(document, found) for found in findings)
    excess = find_excess_calls(graph)
    if excess is not None:
        problems.append(_problem_from_finding(document, excess))
        return CheckResult(file, _sort_unique_problems(problems, file), document)
    shapes = infer_graph_shapes(graph, config.model.dtype)
    problems.extend(_convert_shape_errors(document, shapes, input_is_editable=config.data is None))
    problems.extend(_problem_from_finding(document, found) for found in check_learners(graph))
    problems.extend(_problem_from_finding(document, found) for found in check_runtime(shapes))
    problems.extend(
        _problem_from_finding(document, found)
        for found in check_image_channels(shapes, input_is_editable=config.data is None)
    )
    if any(row.node.layer.family == "applications" for row in shapes.rows):
        from layercli.graph.checks.pretrained import check_pretrained_inputs

        problems.extend(_problem_from_finding(document, found) for found in check_pretrained_inputs(shapes))
    problems.extend(
        _problem_from_finding(document, found) for found in check_lora_kernels(config.model, graph)
    )
    problems.extend(_problem_from_finding(document, found) for found in check_ids(shapes, {}))
    has_no_errors = not has_errors(problems)
    problems.extend(
        _problem_from_finding(document, found)
        for found in check_output_names(config, graph.output_references)
    )
    completed = complete_metrics(config, shapes, None)
    problems.extend(
        _problem_from_finding(document, found) for found in check_monitors(completed, graph.output_references)
    )
    if config.train is not None and config.train.stages is not None:
        from layercli.graph.checks.stages import check_stages

        problems.extend(
            _problem_from_finding(document, found) for found in check_stages(config.train, shapes)
        )
    if has_no_errors or is_malformed:
        problems.extend(
            _problem_from_finding(document, found) for found in consistency.check_consistency(config, shapes)
        )
    problems = _sort_unique_problems(problems, file)
    return CheckResult(file, problems, document, None if is_malformed else config, shapes)


def _insert_name(entry: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the layer entry with its name after its type."""
    (head, layer_type), *others = entry.items()
    return {head: layer_type, "name": name, **dict(others)}


def _problem_from_finding(document: YamlNode, finding: Finding) -> Problem:
    """Return a finding as a problem with its location in the document."""
    message = finding.message
    if finding.other_path is not None:
        mark = document.find_mark(finding.other_path, key=True)
        message = message.format(
            f"line {mark.line}" if mark.source.has_positions else "an earlier occurrence"
        )
    return problem_in(
        document,
        finding.path,
        finding.code,
        message,
        hint=finding.hint,
        severity=finding.severity,
        at_key=finding.at_key,
    )


def _convert_shape_errors(
    document: YamlNode, shapes: ModelShapes, *, input_is_editable: bool
) -> Iterator[Problem]:
    lines = {row.node.name: _find_line(document, row.node.path) for row in shapes.rows}
    for row in shapes.rows:
        if row.error is not None:
            yield _convert_shape_error(document, row, shapes, lines, input_is_editable=input_is_editable)


def _convert_shape_error(
    document: YamlNode,
    row: NodeShapes,
    shapes: ModelShapes,
    lines: dict[str, int | None],
    *,
    input_is_editable: bool,
) -> Problem:
    assert row.error is not None
    path = row.node.path if row.error.argument is None else (*row.node.path, row.error.argument)
    message = (
        f"{row.error} {_describe_input_source(row, lines)}".strip()
        if _is_input_shape_error(row)
        else str(row.error)
    )
    hint = hints.suggest_fix(row, shapes, lines, input_is_editable=input_is_editable)
    return problem_in(document, path, "shape-mismatch", message, hint=hint)


def _find_line(document: YamlNode, path: KeyPath) -> int | None:
    mark = document.find_mark(path)
    return mark.line if mark.source.has_positions and mark.source is document.mark.source else None


def _is_input_shape_error(row: NodeShapes) -> bool:
    """Return whether the error message contains the shape of an input, so that its source is useful."""
    return any(x is not None and format_shape(x.shape) in str(row.error) for x in row.inputs)


def _describe_input_source(row: NodeShapes, lines: dict[str, int | None]) -> str:
    """Return a sentence that names the source of the input."""
    sources = [name for name in row.node.inputs if name in lines]
    if not sources:
        return "That is the model input."
    described = [f"`{name}`" + (f" (line {lines[name]})" if lines.get(name) else "") for name in sources]
    return f"The input comes from {' and '.join(described)}."


def collect_validation_problems(document: YamlNode, error: ValidationError) -> list[Problem]:
    """Return the validation errors of a document as problems with their locations."""
    return [_problem_from_validation(document, item) for item in error.errors(include_url=False)]


def _problem_from_validation(document: YamlNode, error: Any) -> Problem:
    context = error["ctx"]
    path = tuple(error["loc"])
    hint = context["hint"]
    is_custom = error["type"] == "bad-custom-type" or context.get("noun") in CUSTOM_NOUNS
    if (path[:2] == ("model", "layers") or path[:1] == ("train",)) and is_custom:
        hint = _suggest_custom_type(document, path) or hint
    return problem_in(document, path, error["type"], context["message"], hint=hint, at_key=context["at_key"])


def _suggest_custom_type(document: YamlNode, path: KeyPath) -> str | None:
    """Return a hint that names the class in a file next to the config, if a layer's type lacks the file."""
    node = document.find(path)
    directory = document.find_mark(path).source.directory
    if node is None or not isinstance(node.value, str) or (len(path) > 3 and path[-1] != "type"):
        return None
    reference = find_class_beside(directory, node.value)
    return f"Write `type: {reference}`, and load it with `--trust`." if reference is not None else None


def _sort_unique_problems(problems: list[Problem], file: str) -> list[Problem]:
    """Sort problems by location, the main file first. Keep one problem per location for all uses of a block."""
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

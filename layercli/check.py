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
from layercli.config.data.section import Data
from layercli.config.language.expand import entry_names, expand
from layercli.config.language.variables import literal
from layercli.config.names import INPUT
from layercli.config.partial import salvage
from layercli.errors import LayercliError, Problem, Severity, has_errors
from layercli.graph.build import Graph, build
from layercli.graph.build import Node as GraphNode
from layercli.graph.checks import consistency, hints
from layercli.graph.checks.monitors import monitor_findings
from layercli.graph.checks.outputs import output_findings
from layercli.graph.finding import Finding
from layercli.graph.inputs import model_inputs, undeclared
from layercli.graph.shapes import Row, Shapes, infer
from layercli.layers.shapes import show
from layercli.schema.suggestions import limited_suggestions
from layercli.source.extend import read
from layercli.source.load import STDIN
from layercli.source.nodes import KeyPath, Node, problem_in
from layercli.source.overrides import apply_overrides


@dataclass(frozen=True, slots=True)
class Checked:
    """A config that was read, with what is known of it and what is wrong with it."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    document: Node | None = None
    config: Config | None = None
    shapes: Shapes | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; warnings do not count."""
        return not has_errors(self.problems)

    def directory_of(self, path: KeyPath) -> Path:
        """The folder that a file named at ``path`` is relative to: that of the file in which the name stands."""
        return self.document.locate(path).source.directory if self.document else Path.cwd()

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
        mark = self.document.locate(path)
        return mark.line if mark.source.numbered else None


@dataclass(frozen=True, slots=True)
class Valid:
    """A config without errors: what ``build`` and ``train`` work from."""

    checked: Checked
    config: Config
    shapes: Shapes

    @property
    def graph(self) -> Graph:
        """The model as nodes."""
        return self.shapes.graph

    def problem(
        self, path: KeyPath, code: str, message: str, hint: str | None = None, severity: Severity = "error"
    ) -> Problem:
        """A problem that points at ``path`` in the config."""
        return problem_in(self.checked.document, path, code, message, hint=hint, severity=severity)

    def placed(self, found: Finding) -> Problem:
        """A finding at its place in the config."""
        assert self.checked.document is not None
        return _placed(self.checked.document, found)

    def resolved(self, *, kept: bool = False) -> dict[str, Any]:
        """The config with every default written out; it stands for the same model, data and training.

        With ``kept`` the user's code that gives the data is named as a run keeps it, beside the config.
        """
        # Once more through the parser, so that defaults stand in the same words as what was given.
        document = Config.model_validate(self.config.plain()).plain() | {"name": self.checked.name}
        inputs = {
            name: {"shape": list(x.shape[1:]), "dtype": x.dtype} for name, x in self.graph.inputs.items()
        }
        if self.config.data is not None:
            place = self._data_code()[0] if kept else None
            own = self.config.data
            document["data"] = (self.located(own) if place is None else own.with_code_at(place)).plain()
        document["model"] |= {"inputs": inputs} if self.config.model.inputs else {"input": inputs[INPUT]}
        if self.config.model.weights is not None:
            directory = self.checked.directory_of(("model", "weights"))
            document["model"]["weights"] = str(directory / self.config.model.weights)
        layers = zip(document["model"]["layers"], self.graph.nodes, strict=True)
        document["model"]["layers"] = [_named(entry, node.name) for entry, node in layers]
        resolved: dict[str, Any] = literal(document)
        return resolved

    def located(self, data: Data) -> Data:
        """The data section with absolute paths."""
        return data.located(self.checked.directory_of(("data", data.names_files)))

    @property
    def custom_layers(self) -> list[GraphNode]:
        """Layers whose classes are loaded from the user's code."""
        return [node for node in self.graph.nodes if node.loads_code and node.shares is None]

    @property
    def code(self) -> dict[str, Path]:
        """The files of the user's code: where a run keeps each, and where it is."""
        place, file = self._data_code()
        return self.layer_code | ({} if place is None or file is None else {place: file})

    @property
    def layer_code(self) -> dict[str, Path]:
        """The files of the user's layers: the place of each as the config names it, and where it is."""
        return {
            node.layer.place: self.file_of(node)
            for node in self.custom_layers
            if isinstance(node.layer, CustomLayer) and node.layer.kind == "file"
        }

    def _data_code(self) -> tuple[str | None, Path | None]:
        """Where a run keeps the file that gives the data, and where it is."""
        data = self.config.data
        place = None if data is None else data.code_place
        if data is None or place is None:
            return None, None
        file: Path = self.located(data).file  # type: ignore[attr-defined]  # what has a place of code has that
        taken = self.layer_code.get(place)
        return place if taken in (None, file) else f"data_{file.name}", file

    def file_of(self, node: GraphNode) -> Path:
        """The file of a layer of the user's; its place is relative to the file of the config in which it stands."""
        assert isinstance(node.layer, CustomLayer)
        return self.checked.directory_of((*node.path, "type")) / node.layer.place


def check(file: str, overrides: Sequence[str] = (), *, text: str | None = None) -> Checked:
    """Find everything that is wrong with the config at ``file`` (``-`` for standard input), or with ``text`` in its place."""
    try:
        document = read(file, text)
        apply_overrides(document, overrides, entry_names)
        return check_document(document)
    except LayercliError as error:
        name = "<stdin>" if file == STDIN else file
        return Checked(name, _sorted(error.problems, name))


def require(checked: Checked) -> Valid:
    """The config, if nothing is wrong with it.

    Raises:
        LayercliError: with every problem, if something is.
    """
    if not checked.ok or checked.config is None or checked.shapes is None:
        raise LayercliError(checked.problems)
    return Valid(checked, checked.config, checked.shapes)


def check_document(document: Node) -> Checked:
    """Check a config whose nodes are read already."""
    with limited_suggestions(_MOST_SUGGESTIONS):
        return _check_document(document)


_MOST_SUGGESTIONS = 200


def _check_document(document: Node) -> Checked:
    file = document.mark.source.name
    document, problems = expand(document)
    value = document.plain()
    unresolved = {(problem.file, problem.line, problem.column) for problem in problems}
    config: Config | None
    try:
        config = Config.model_validate(value)
    except ValidationError as error:
        items = error.errors(include_url=False)
        found = refusals(document, error)
        problems += [
            problem for problem in found if (problem.file, problem.line, problem.column) not in unresolved
        ]
        config = salvage(
            value, {item["loc"][2] for item in items if item["loc"][:2] == ("model", "layers") != item["loc"]}
        )
    malformed = bool(problems)
    if config is None:
        problems.extend(_placed(document, found) for found in undeclared(value))
        return Checked(file, _sorted(problems, file), document)
    inputs, unfit = model_inputs(config)
    problems.extend(_placed(document, found) for found in unfit)
    if inputs is None:
        return Checked(file, _sorted(problems, file), document)
    graph, findings = build(config, inputs)
    problems.extend(_placed(document, found) for found in findings)
    shapes = infer(graph, config.model.dtype)
    problems.extend(_shape_problems(document, shapes, free_input=config.data is None))
    fits = not has_errors(problems)
    problems.extend(_placed(document, found) for found in output_findings(config, graph.output_references))
    problems.extend(_placed(document, found) for found in monitor_findings(config, graph.output_references))
    if fits or malformed:
        problems.extend(_placed(document, found) for found in consistency.disagreements(config, shapes))
    if malformed:
        return Checked(file, _sorted(problems, file), document)
    return Checked(file, _sorted(problems, file), document, config, shapes)


def _named(entry: dict[str, Any], name: str) -> dict[str, Any]:
    """The entry with its name behind what it is."""
    (head, what), *others = entry.items()
    return {head: what, "name": name, **dict(others)}


def _placed(document: Node, found: Finding) -> Problem:
    """A finding at its place in the file."""
    message = found.message
    if found.other is not None:
        mark = document.locate(found.other, key=True)
        message = message.format(f"line {mark.line}" if mark.source.numbered else "an earlier place")
    return problem_in(document, found.path, found.code, message,
                      hint=found.hint, severity=found.severity, at_key=found.at_key)  # fmt: skip


def _shape_problems(document: Node, shapes: Shapes, *, free_input: bool) -> Iterator[Problem]:
    lines = {row.node.name: _line(document, row.node.path) for row in shapes.rows}
    for row in shapes.rows:
        if row.error is None:
            continue
        path = row.node.path if row.error.argument is None else (*row.node.path, row.error.argument)
        message = f"{row.error} {_from(row, lines)}".strip() if _shows_input(row) else str(row.error)
        hint = hints.hint_for(row, shapes, lines, free_input=free_input)
        yield problem_in(document, path, "shape-mismatch", message, hint=hint)


def _line(document: Node, path: KeyPath) -> int | None:
    mark = document.locate(path)
    return mark.line if mark.source.numbered and mark.source is document.mark.source else None


def _shows_input(row: Row) -> bool:
    """Whether the error tells the shape of an input, so that one asks where it comes from."""
    return any(x is not None and show(x.shape) in str(row.error) for x in row.inputs)


def _from(row: Row, lines: dict[str, int | None]) -> str:
    """Which layer gave the input that does not fit."""
    sources = [name for name in row.node.inputs if name in lines]
    if not sources:
        return "That is the model's input."
    named = [f"`{name}`" + (f" (line {lines[name]})" if lines.get(name) else "") for name in sources]
    return f"That comes from {' and '.join(named)}."


def refusals(document: Node, error: ValidationError) -> list[Problem]:
    """What a ``Strict`` model refused of a document, each at its place."""
    return [_problem(document, item) for item in error.errors(include_url=False)]


def _problem(document: Node, error: Any) -> Problem:
    context = error["ctx"]
    path = tuple(error["loc"])
    return problem_in(
        document, path, error["type"], context["message"], hint=context["hint"], at_key=context["at_key"]
    )


def _sorted(problems: list[Problem], file: str) -> list[Problem]:
    """The problems by their places, the file's own first; what is wrong with a block is told once for all its uses."""
    told: dict[object, Problem] = {}
    for problem in problems:
        place = (problem.code, problem.file, problem.line, problem.column)
        told.setdefault(place if problem.through else (*place, problem.message), problem)
    return sorted(
        told.values(),
        key=lambda problem: (
            problem.file != file,
            problem.file or "",
            problem.line or 0,
            problem.column or 0,
        ),
    )

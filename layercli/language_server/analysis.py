"""What is known about one version of a text: its values, problems and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from layercli.check import CheckResult, is_sweep
from layercli.errors import LayercliError
from layercli.graph.shapes import NodeShapes
from layercli.language_server.documents import Document, OpenDocuments, is_remote
from layercli.language_server.positions import ProtocolIndex
from layercli.source.extend import load_extended
from layercli.source.load import MAX_BYTES, parse_yaml, split_lines, use_unsaved_texts
from layercli.source.nodes import Mark, SourceText, YamlNode
from layercli.source.text_index import BYTE_ORDER_MARK
from layercli.workflows.config_files import check_file

_UNREADABLE: Final = frozenset(("yaml-syntax", "bad-character", "not-utf8", "file-too-large", "too-deep"))
"""Codes of problems with which no value of a text can be read."""


@dataclass
class Analysis:
    """One version of a text and the result of its check."""

    document: Document
    version: int | None
    index: ProtocolIndex
    result: CheckResult
    tree: YamlNode | None
    """The values of only this file, as written; None if it is not valid YAML."""
    read_paths: frozenset[Path]
    """The files that the check has read, or looked for."""
    unsaved_texts: Mapping[Path, str]
    """The texts that replaced files in the check, by their resolved paths."""

    @property
    def name(self) -> str:
        """The name of the file in problems and marks."""
        return self.document.name

    @property
    def is_complete(self) -> bool:
        """Whether the config is valid enough that the shapes of all layers are known as far as they can be."""
        return self.result.config is not None

    @cached_property
    def base(self) -> YamlNode | None:
        """The config that a sweep file varies, with the files that it extends; None for other texts."""
        return self.load_base(self.tree)

    def load_base(self, tree: YamlNode | None) -> YamlNode | None:
        """Return the config that ``tree``, a version of this text, varies; None if it is not a sweep file."""
        named = tree.find(("base",)) if tree is not None and is_sweep(tree) else None
        if named is None or not isinstance(named.value, str) or is_remote(named.value):
            return None
        with use_unsaved_texts(self.unsaved_texts):
            try:
                return load_extended(str(self.document.path.parent / named.value))
            except LayercliError:
                return None

    @cached_property
    def rows_by_place(self) -> dict[tuple[int, int], list[NodeShapes]]:
        """The layers that an entry of this file declares or inserts, by the line and column of the entry."""
        rows: dict[tuple[int, int], list[NodeShapes]] = {}
        for row, marks in self.iterate_rows():
            for place in dict.fromkeys((mark.line, mark.column) for mark in marks if self.contains(mark)):
                rows.setdefault(place, []).append(row)
        return rows

    def iterate_rows(self) -> Iterator[tuple[NodeShapes, tuple[Mark, ...]]]:
        """Yield each layer with the positions of the entries that insert it, the outermost first, and its own."""
        document, shapes = self.result.document, self.result.shapes
        if document is None or shapes is None:
            return
        for row in shapes.rows:
            node = document.find(row.node.path)
            if node is not None:
                is_listed = bool(node.uses) and node.uses[-1][1:] == node.mark[1:]
                yield row, node.uses if is_listed else (*node.uses, node.mark)

    def contains(self, mark: Mark) -> bool:
        """Return whether a mark is in this file."""
        return mark.source.name == self.name and mark.source.has_positions


def analyze_document(document: Document, documents: OpenDocuments) -> Analysis:
    """Check a text; other open texts replace the files that it extends."""
    version, index, texts = document.version, document.index, documents.unsaved_texts
    with use_unsaved_texts(texts) as files:
        result = check_file(document.name)
        tree = _load_tree(document, result)
    return Analysis(document, version, index, result, tree, frozenset(files.read_paths), texts)


def _load_tree(document: Document, result: CheckResult) -> YamlNode | None:
    """Return the values of the file itself: those of the check, unless it has merged other files into them."""
    if result.written is not None and result.written.end is not None:
        return result.written
    if not _UNREADABLE.isdisjoint(
        problem.code for problem in result.problems if problem.file == document.name
    ):
        return None
    return parse_text(document.path, document.index.text)


def parse_text(path: Path, text: str) -> YamlNode | None:
    """Return the values of a text, or None if it is not valid YAML."""
    if len(text) > MAX_BYTES:
        return None
    lines = split_lines(text.removeprefix(BYTE_ORDER_MARK))
    try:
        return parse_yaml(SourceText(str(path), lines, path.parent), is_lenient=True)
    except (LayercliError, UnicodeEncodeError):
        return None

"""Read a file or standard input into nodes; report invalid or hostile text with its position."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from layercli import runtime
from layercli.errors import LayercliError, Problem, ProblemList
from layercli.source import scalars
from layercli.source.calls import find_script, join_call
from layercli.source.nodes import (
    TEXT_PER_NODE,
    Mark,
    SourceText,
    YamlNode,
    measure_text,
    problem_at,
    sanitize_text,
)
from layercli.source.syntax import MAX_DEPTH, TOO_DEEP_TEXTS, make_syntax_problem

MAX_BYTES = 1 << 20
MAX_NODES = 200_000
STDIN = "-"

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""The line breaks of libyaml, so that line numbers agree with it."""

_make_mark: Final[Callable[[tuple[SourceText, int, int]], Mark]] = partial(tuple.__new__, Mark)
"""Like ``Mark._make``, several times as fast."""
_CORE_TAGS = {f"tag:yaml.org,2002:{name}": name for name in ("str", "seq", "map")}
YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class FileTexts:
    """Texts in place of files, and which files were read."""

    unsaved: Mapping[Path, str]
    """The text of each file that an editor has changed and not saved, by its resolved path."""
    read_paths: set[Path] = field(default_factory=set)
    """The resolved paths of the files that were read or looked for."""


_file_texts: ContextVar[FileTexts | None] = ContextVar("file texts", default=None)


@contextmanager
def use_unsaved_texts(texts: Mapping[Path, str]) -> Iterator[FileTexts]:
    """Read texts in place of the files with these resolved paths, and record which files are read.

    Texts that are used already stay in use for other files.
    """
    outer = _file_texts.get()
    file_texts = FileTexts(texts if outer is None else {**outer.unsaved, **texts})
    token = _file_texts.set(file_texts)
    try:
        yield file_texts
    finally:
        _file_texts.reset(token)


def find_unsaved_text(path: Path) -> str | None:
    """Return the text that replaces the content of a file, or None."""
    file_texts = _file_texts.get()
    if file_texts is None:
        return None
    try:
        resolved = path.resolve()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or a loop of links
        return None
    file_texts.read_paths.add(resolved)
    return file_texts.unsaved.get(resolved)


def load_yaml(name: str, text: str | None = None) -> YamlNode:
    """Read the config at ``name`` (``-`` is standard input), or ``text`` in its place.

    Raises:
        LayercliError: the text cannot be read or is not a single YAML mapping.
    """
    source = (
        _read_source(name)
        if text is None
        else _decode_source(text.encode("utf-8", "surrogatepass"), name, Path(name).resolve().parent)
    )
    script = find_script(source)
    if script is not None:
        raise LayercliError(script)
    root = parse_yaml(source)
    if not isinstance(root.value, dict):
        kind = (
            "a list" if isinstance(root.value, list) else "empty" if root.value is None else "a single value"
        )
        raise LayercliError(
            problem_at(
                root.mark,
                "not-a-mapping",
                f"The file must contain a mapping with the key `model`, but it is {kind}.",
                hint="For example `model: {input: [4], layers: [{type: Dense, units: 3}]}`.",
            )
        )
    return root


def parse_yaml(source: SourceText, *, is_lenient: bool = False) -> YamlNode:
    """Parse one YAML document into nodes.

    Args:
        source: The text.
        is_lenient: Whether to accept problems that leave the other values readable, such as a key that occurs twice.

    Raises:
        LayercliError: the text is not valid YAML, or uses a YAML feature that is not allowed.
    """
    text = "\n".join(source.lines)
    builder = _NodeBuilder(source)
    loader = YamlLoader(text)
    try:
        for event in iter(loader.get_event, None):
            builder.add_event(event)
    except yaml.MarkedYAMLError as error:
        raise LayercliError(make_syntax_problem(source, error)) from None
    except yaml.reader.ReaderError as error:
        raise LayercliError(_character_problem(source, text, error)) from None
    finally:
        loader.dispose()
    if builder.problems and not is_lenient:
        raise LayercliError(builder.problems)
    return builder.root or YamlNode(None, Mark(source, 1, 1))


def _refuse_named_pipe(path: Path) -> None:
    """Raise ValueError for a pipe in a folder, which may wait for a writer without end.

    Pipes that the shell opens for this process, such as ``/dev/stdin`` and ``<(command)``, have a writer.
    """
    if path.is_fifo() and path.parts[:2] not in (("/", "dev"), ("/", "proc")):
        raise ValueError("it is a pipe; pass `-` to read standard input")


def _read_source(name: str) -> SourceText:
    shown_name = "<stdin>" if name == STDIN else sanitize_text(name)
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
            directory = Path.cwd()
        elif (unsaved := find_unsaved_text(Path(name))) is not None:
            data = unsaved.encode("utf-8", "surrogatepass")
            directory = Path(name).resolve().parent
        else:
            _refuse_named_pipe(Path(name))
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            directory = Path(name).resolve().parent
    except FileNotFoundError:
        raise _unreadable_file_error(
            shown_name, "The file does not exist.", "Check the path; it is relative to the working directory."
        ) from None
    except IsADirectoryError:
        raise _unreadable_file_error(
            shown_name, "This is a directory, not a config file.", "Name a file in the directory."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unreadable_file_error(
            shown_name, f"The file cannot be read: {sanitize_text(reason)}.", None
        ) from None
    return _decode_source(data, shown_name, directory)


def _decode_source(data: bytes, name: str, directory: Path) -> SourceText:
    """Return the text of a file.

    Raises:
        LayercliError: it is too large, or not UTF-8.
    """
    source = SourceText(name, [], directory)
    if len(data) > MAX_BYTES:
        raise LayercliError(
            problem_at(
                Mark(source, 1, 1),
                "file-too-large",
                f"The file is larger than {MAX_BYTES >> 20} MiB, the limit for configs.",
                hint="If it is a data file, name it under `data:` of a config.",
            )
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise LayercliError(
            problem_at(
                Mark(source, line, column),
                "not-utf8",
                f"The file is not UTF-8 text: byte 0x{data[error.start]:02x} is invalid here.",
                hint="Save it as UTF-8.",
            )
        ) from None
    source.lines.extend(split_lines(text))
    return source


def split_lines(text: str) -> list[str]:
    """Split a text into lines by YAML's line breaks, without the breaks."""
    return LINE_BREAK.split(text)


def _unreadable_file_error(name: str, message: str, hint: str | None) -> LayercliError:
    return LayercliError(Problem(code="unreadable-file", message=message, hint=hint, file=name))


def _character_problem(source: SourceText, text: str, error: yaml.reader.ReaderError) -> Problem:
    position = error.position if isinstance(error.position, int) else 0
    before = text.encode("utf-8", "surrogatepass")[:position].decode("utf-8", "ignore")
    mark = Mark(source, before.count("\n") + 1, len(before) - before.rfind("\n"))
    return problem_at(
        mark,
        "bad-character",
        "The file contains a control character that YAML does not allow.",
        hint='Delete it, or write it as an escape such as "\\t" in a quoted string.',
    )


class _NodeBuilder:
    """Builds nodes from YAML events without recursion, so that deep nesting cannot exhaust the stack."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.root: YamlNode | None = None
        self.problems = ProblemList()
        self._open_nodes: list[tuple[YamlNode, tuple[str, Mark] | None, str | None]] = []
        """Open lists and mappings, each with its key in the parent and its anchor."""
        self._parent: YamlNode | None = None
        """The innermost open list or mapping."""
        self._is_in_mapping = False
        self._pending_key: tuple[str, Mark] | None = None
        self._anchors: dict[str, YamlNode | None] = {}
        self._document_count = 0
        self._merged_count = 0
        """Number of keys that merge keys have read, including those that the mapping had already."""
        self._quoted_merge_keys: set[tuple[int, int]] = set()
        """Positions of quoted `<<` keys, which are not merge keys."""

    def add_event(self, event: Any) -> None:
        """Add the node of an event to the tree."""
        kind = type(event)  # a config has up to a million events, for which isinstance is too slow
        if kind is yaml.ScalarEvent:
            self._add_scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._open_collection(event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close_collection(event)
        elif kind is yaml.AliasEvent:
            self._add_node(self._resolve_alias(event))
        elif kind is yaml.DocumentStartEvent:
            self._document_count += 1
            if self._document_count > 1:
                self._raise_problem(
                    self._mark_of(event),
                    "two-documents",
                    "A config must be a single YAML document, but a second one starts here.",
                    "Delete the `---` line, or move the second document into a separate file.",
                )

    def _mark_of(self, event: Any) -> Mark:
        start = event.start_mark
        return _make_mark((self.source, start.line + 1, start.column + 1))

    def _raise_problem(self, mark: Mark, code: str, message: str, hint: str | None) -> NoReturn:
        raise LayercliError([*self.problems, problem_at(mark, code, message, hint=hint)])

    def _open_collection(self, event: Any) -> None:
        runtime.stop_if_cancelled()
        mark = self._mark_of(event)
        if len(self._open_nodes) >= MAX_DEPTH:
            self._raise_problem(mark, "too-deep", *TOO_DEEP_TEXTS)
        if event.tag and event.tag not in _CORE_TAGS:
            self._refuse_tag(event)
        if self._is_key_expected:
            self._refuse_key(mark)
        node = YamlNode({} if isinstance(event, yaml.MappingStartEvent) else [], mark)
        if event.anchor:
            self._anchors[event.anchor] = None  # open: an alias would contain itself
        self._open_nodes.append((node, self._pending_key, event.anchor))
        self._pending_key = None
        self._update_parent()

    def _update_parent(self) -> None:
        self._parent = self._open_nodes[-1][0] if self._open_nodes else None
        self._is_in_mapping = self._parent is not None and isinstance(self._parent.value, dict)

    def _close_collection(self, event: Any) -> None:
        node, self._pending_key, anchor = self._open_nodes.pop()
        node.end = event.end_mark.line + 1, event.end_mark.column + 1
        self._update_parent()
        if anchor:
            self._anchors[anchor] = node
        self._add_node(node)

    @property
    def _is_key_expected(self) -> bool:
        """Return whether the next node is the key of an open mapping."""
        return self._is_in_mapping and self._pending_key is None

    def _refuse_key(self, mark: Mark) -> NoReturn:
        self._raise_problem(
            mark,
            "key-not-text",
            "A key must be a string, got a list or a mapping.",
            "Put quotes around it if it is a string; delete the extra bracket if it is not a key.",
        )

    def _resolve_alias(self, event: Any) -> YamlNode:
        mark = self._mark_of(event)
        if event.anchor not in self._anchors:
            name = sanitize_text(event.anchor, limit=60)
            self._raise_problem(
                mark,
                "unknown-alias",
                f"The alias `*{name}` has no anchor `&{name}` above it.",
                f'Write `&{name}` before the value to repeat, or put quotes around "*{name}" if it is a string.',
            )
        node = self._anchors[event.anchor]
        if node is None:
            name = sanitize_text(event.anchor, limit=60)
            self._raise_problem(
                mark,
                "self-reference",
                f"The alias `*{name}` is inside the value that it repeats, `&{name}`.",
                "Remove the alias, or write its value out.",
            )
        if self._is_key_expected and isinstance(node.value, (dict, list)):
            self._refuse_key(mark)
        return node

    def _add_scalar(self, event: Any) -> None:
        mark, text = self._mark_of(event), event.value
        is_key = self._is_in_mapping and self._pending_key is None
        value: Any = text
        if event.tag and event.tag != "!" and _CORE_TAGS.get(event.tag) != "str":
            self._refuse_tag(event)
            value = text if is_key else None
        elif event.style or not event.implicit[0]:  # quoted, or tagged as text
            if event.style and text == "<<":
                self._quoted_merge_keys.add((mark.line, mark.column))
        elif not is_key:
            value = self._resolve_scalar(text, mark)
        if is_key and not event.anchor:
            self._pending_key = (self._check_key(text, mark), mark)
            return
        node = YamlNode(value, mark, {}, measure_text(text))
        node.end = event.end_mark.line + 1, event.end_mark.column + 1
        if event.anchor:
            self._anchors[event.anchor] = node
        self._add_node(node)

    def _resolve_scalar(self, text: str, mark: Mark) -> bool | int | float | str | None:
        """Return the value of an unquoted scalar; None for a number that is refused."""
        try:
            return scalars.resolve_scalar(text)
        except scalars.AmbiguousNumberError:
            sign = "-" if text.startswith("-") else ""
            number = sign + (text.lstrip("+-").lstrip("0") or "0")
            self.problems.append(
                problem_at(
                    mark,
                    "ambiguous-number",
                    f"{sanitize_text(text, limit=40)} is ambiguous: some YAML readers treat a leading zero as octal.",
                    hint=f'Write {sanitize_text(number, limit=40)} for the number, or "{sanitize_text(text, limit=40)}" '
                    "in quotes for a string.",
                )
            )
        except scalars.NumberTooLongError:
            self.problems.append(
                problem_at(
                    mark,
                    "number-too-long",
                    f"The number has {len(text):,} characters, which is too long.",
                    hint=f"Write at most {scalars.MAX_NUMBER_LENGTH} characters, or put quotes around it if it is a string.",
                )
            )
        return None

    def _refuse_tag(self, event: Any) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        self.problems.append(
            problem_at(
                self._mark_of(event),
                "tag-refused",
                f"The tag `{sanitize_text(tag, limit=60)}` is not allowed: a config is plain data and cannot run code.",
                hint="Remove the tag. Name a custom layer as `type: file.py:ClassName`.",
            )
        )

    def _add_node(self, node: YamlNode) -> None:
        parent = self._parent
        if parent is None:
            self.root = node
            return
        items = parent.value
        if isinstance(items, list):
            if not (items and join_call(parent, items[-1], None, node)):
                items.append(node)
            self._grow_parent(parent, node)
        elif isinstance(items, dict):
            if self._pending_key is None:
                text = (
                    node.value if isinstance(node.value, str) else str(node.value)
                )  # an alias may refer to a number
                self._pending_key = (self._check_key(text, node.mark), node.mark)
            else:
                self._put_item(parent, items, *self._pending_key, node)
                self._pending_key = None

    def _check_key(self, text: str, mark: Mark) -> str:
        if not text:
            self.problems.append(
                problem_at(
                    mark,
                    "empty-key",
                    "The key before this colon is empty.",
                    hint="Write a key, or delete the colon.",
                )
            )
        return text

    def _put_item(
        self, parent: YamlNode, mapping: dict[str, YamlNode], key: str, mark: Mark, node: YamlNode
    ) -> None:
        if key == "<<" and (mark.line, mark.column) not in self._quoted_merge_keys:
            self._merge_mappings(parent, mapping, node)
        elif mapping and join_call(parent, next(reversed(mapping.values())), key, node):
            self._grow_parent(parent, node)
        elif key in parent.keys:
            first = parent.keys[key]
            self.problems.append(
                problem_at(
                    mark,
                    "duplicate-key",
                    f"The key `{sanitize_text(key, limit=60)}` occurs twice: here and at line {first.line}, "
                    f"column {first.column}.",
                    hint="Keep one of them.",
                )
            )
        else:
            mapping[key] = node
            parent.keys[key] = mark
            parent.size += len(key) // TEXT_PER_NODE
            self._grow_parent(parent, node)

    def _merge_mappings(self, parent: YamlNode, mapping: dict[str, YamlNode], node: YamlNode) -> None:
        for base in node.value if isinstance(node.value, list) else [node]:
            if not isinstance(base.value, dict):
                message = "The merge key `<<` must be an alias of a mapping, such as `<<: *name`."
                hint = "Write its contents as keys of this mapping instead."
                self.problems.append(problem_at(base.mark, "bad-merge", message, hint=hint))
                continue
            self._merged_count += 1 + len(base.value)
            if self._merged_count > MAX_NODES:
                message = f"The merge keys of this file merge more than {MAX_NODES:,} keys."
                self._raise_problem(
                    base.mark, "too-many-nodes", message, "Remove merge keys of long mappings."
                )
            for key, child in base.value.items():
                if key not in mapping:
                    mapping[key] = child
                    parent.size += measure_text(key) - 1
                    self._grow_parent(parent, child)

    def _grow_parent(self, parent: YamlNode, child: YamlNode) -> None:
        parent.size += child.size
        if child.depth >= parent.depth:
            parent.depth = child.depth + 1
        if parent.size > MAX_NODES:
            message = f"The file has more than {MAX_NODES:,} values once its aliases are written out."
            hint = "Remove aliases of values that contain aliases."
            self._raise_problem(child.mark, "too-many-nodes", message, hint)
        if parent.depth > MAX_DEPTH:
            self._raise_problem(child.mark, "too-deep", *TOO_DEEP_TEXTS)

"""A file, or standard input, read into nodes; hostile text is refused with its position."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

import yaml

from layercli.errors import LayercliError, Problem
from layercli.source import scalars
from layercli.source.nodes import Mark, Node, Source, printable, problem_at

MAX_BYTES = 1 << 20
MAX_DEPTH = 100
MAX_NODES = 200_000
STDIN = "-"

_CORE_TAGS = {f"tag:yaml.org,2002:{name}": name for name in ("str", "seq", "map")}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(name: str) -> Node:
    """Read the config at ``name`` (``-`` is standard input).

    Raises:
        LayercliError: the text cannot be read or is not a single YAML mapping.
    """
    source = _read(name)
    root = parse(source)
    if not isinstance(root.value, dict):
        kind = "a list" if isinstance(root.value, list) else "empty" if root.value is None else "a single value"
        raise LayercliError(
            problem_at(
                root.mark,
                "not-a-mapping",
                f"The file is {kind}; a config is a mapping with the key `model`.",
                hint="Start from one of the files in configs/.",
            )
        )
    return root


def parse(source: Source) -> Node:
    """The nodes of one YAML document.

    Raises:
        LayercliError: not YAML, or YAML that is refused.
    """
    text = "\n".join(source.lines)
    builder = _Builder(source)
    loader = _Loader(text)
    try:
        while loader.check_event():
            builder.take(loader.get_event())
    except yaml.MarkedYAMLError as error:
        raise LayercliError(_syntax_problem(source, error)) from None
    except yaml.reader.ReaderError as error:
        raise LayercliError(_character_problem(source, text, error)) from None
    finally:
        loader.dispose()
    if builder.problems:
        raise LayercliError(builder.problems)
    return builder.root or Node(None, Mark(source, 1, 1))


def _read(name: str) -> Source:
    shown = "<stdin>" if name == STDIN else printable(name)
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
            directory = Path.cwd()
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            directory = Path(name).resolve().parent
    except FileNotFoundError:
        raise _unreadable(shown, "There is no such file.", "Check the path; it is relative to this directory.")
    except IsADirectoryError:
        raise _unreadable(shown, "This is a directory, not a config file.", "Name a file in it.")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unreadable(shown, f"The file cannot be read: {printable(reason)}.", None)
    source = Source(shown, [], directory)
    if len(data) > MAX_BYTES:
        raise LayercliError(
            problem_at(
                Mark(source, 1, 1),
                "file-too-large",
                f"The file is larger than {MAX_BYTES >> 20} MiB; no config needs that.",
                hint="Is it a data file? Data is named under `data:`, not passed as a config.",
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
                f"The file is not UTF-8 text: byte 0x{data[error.start]:02x} cannot stand here.",
                hint="Save it as UTF-8.",
            )
        ) from None
    source.lines.extend(text.replace("\r\n", "\n").split("\n"))
    return source


def _unreadable(name: str, message: str, hint: str | None) -> LayercliError:
    return LayercliError(Problem(code="unreadable-file", message=message, hint=hint, file=name))


def _syntax_problem(source: Source, error: yaml.MarkedYAMLError) -> Problem:
    said = error.problem or error.context or "it cannot be read"
    place: Any = error.problem_mark or error.context_mark
    if "end of stream" in said and error.context_mark:
        place = error.context_mark  # where the unclosed quote or bracket began
    mark = Mark(source, place.line + 1, place.column + 1) if place else Mark(source, 1, 1)
    line = mark.excerpt or ""
    hint = "Check the indentation, the brackets and the quotes here and on the line above."
    if "\t" in line[: len(line) - len(line.lstrip())]:
        hint = "YAML is indented with spaces; this line starts with a tab."
    elif "mapping values are not allowed" in said:
        hint = "A value that contains `: ` must be quoted; a missing space or indent also reads like this."
    elif "undefined alias" in said:
        hint = "An alias `*name` needs an anchor `&name` above it."
    elif "block end" in said or "did not find expected" in said:
        hint = "Indent sibling keys by the same number of spaces, and close every bracket and quote."
    return problem_at(mark, "yaml-syntax", f"This is not valid YAML: {printable(said)}.", hint=hint)


def _character_problem(source: Source, text: str, error: yaml.reader.ReaderError) -> Problem:
    position = error.position if isinstance(error.position, int) else 0
    before = text.encode("utf-8", "surrogatepass")[:position].decode("utf-8", "ignore")
    mark = Mark(source, before.count("\n") + 1, len(before) - before.rfind("\n"))
    return problem_at(
        mark,
        "bad-character",
        "The file holds a control character that YAML does not allow.",
        hint="Delete it; in a quoted text write it as an escape such as \"\\t\".",
    )


class _Builder:
    """Events in, nodes out: no recursion, so that no nesting can exhaust the stack."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._stack: list[tuple[Node, tuple[str, Mark] | None, str | None]] = []
        """Open lists and mappings, each with the key it will stand under and its anchor."""
        self._key: tuple[str, Mark] | None = None
        self._anchors: dict[str, Node | None] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        """Add what the event brings to the tree."""
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(
                        self._mark(event),
                        "two-documents",
                        "A second YAML document starts here; a config is one document.",
                        "Delete the `---` line, or move what follows into a file of its own.",
                    )
            case yaml.AliasEvent():
                self._add(self._alias(event))
            case yaml.ScalarEvent():
                node = self._scalar(event)
                if event.anchor:
                    self._anchors[event.anchor] = node
                self._add(node)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()

    def _mark(self, event: Any) -> Mark:
        return Mark(self.source, event.start_mark.line + 1, event.start_mark.column + 1)

    def _stop(self, mark: Mark, code: str, message: str, hint: str | None) -> NoReturn:
        raise LayercliError([*self.problems, problem_at(mark, code, message, hint=hint)])

    def _open(self, event: Any) -> None:
        mark = self._mark(event)
        if len(self._stack) >= MAX_DEPTH:
            self._stop(mark, "too-deep", f"Nested deeper than {MAX_DEPTH} levels.", "No config needs that.")
        if event.tag and event.tag not in _CORE_TAGS:
            self._refuse_tag(event)
        self._expect_key_is_text(mark)
        node = Node({} if isinstance(event, yaml.MappingStartEvent) else [], mark)
        if event.anchor:
            self._anchors[event.anchor] = None  # open: an alias to it would hold itself
        self._stack.append((node, self._key, event.anchor))
        self._key = None

    def _close(self) -> None:
        node, self._key, anchor = self._stack.pop()
        if anchor:
            self._anchors[anchor] = node
        self._add(node)

    def _expect_key_is_text(self, mark: Mark) -> None:
        if self._stack and isinstance(self._stack[-1][0].value, dict) and self._key is None:
            self._stop(mark, "key-not-text", "A key must be a word; here a list or mapping is used as a key.", None)

    def _alias(self, event: Any) -> Node:
        mark = self._mark(event)
        if event.anchor not in self._anchors:
            self._stop(mark, "yaml-syntax", f"There is no anchor `&{printable(event.anchor)}` above.", None)
        node = self._anchors[event.anchor]
        if node is None:
            self._stop(mark, "self-reference", f"The anchor `&{printable(event.anchor)}` holds itself.", None)
        self._expect_key_is_text(mark)
        return node

    def _scalar(self, event: Any) -> Node:
        mark = self._mark(event)
        tag = event.tag
        if tag and tag != "!" and _CORE_TAGS.get(tag) != "str":
            self._refuse_tag(event)
            return Node(None, mark)
        if event.style or not event.implicit[0]:  # quoted, or tagged as text
            return Node(event.value, mark)
        try:
            return Node(scalars.resolve(event.value), mark)
        except scalars.AmbiguousNumber:
            number = event.value.lstrip("+-").lstrip("0") or "0"
            self.problems.append(
                problem_at(
                    mark,
                    "ambiguous-number",
                    f"{printable(event.value, limit=40)} is ambiguous: some YAML readers take a leading zero for octal.",
                    hint=f'Write {printable(number, limit=40)} for the number, or "{printable(event.value, limit=40)}" '
                    "in quotes for text.",
                )
            )
        except scalars.NumberTooLong:
            self.problems.append(
                problem_at(mark, "number-too-long", f"A number of {len(event.value):,} characters is no size or rate.")
            )
        return Node(None, mark)

    def _refuse_tag(self, event: Any) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        self.problems.append(
            problem_at(
                self._mark(event),
                "tag-refused",
                f"The tag `{printable(tag, limit=60)}` is refused: a config is plain data and runs no code.",
                hint="Remove the tag. A layer of your own is named as `type: file.py:ClassName`.",
            )
        )

    def _add(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1][0]
        if isinstance(parent.value, list):
            parent.value.append(node)
            self._grow(parent, node)
        elif isinstance(parent.value, dict):
            if self._key is None:
                self._key = (self._key_text(node), node.mark)
            else:
                self._put(parent, parent.value, *self._key, node)
                self._key = None

    def _key_text(self, node: Node) -> str:
        if isinstance(node.value, str):
            return node.value
        if node.value is None:
            self.problems.append(problem_at(node.mark, "key-not-text", "A key is missing before the colon."))
        return str(node.plain()).lower() if isinstance(node.value, bool) else str(node.plain())

    def _put(self, parent: Node, mapping: dict[str, Node], key: str, mark: Mark, node: Node) -> None:
        if key == "<<":
            self._merge(parent, mapping, node)
        elif key in parent.keys:
            first = parent.keys[key]
            self.problems.append(
                problem_at(
                    mark,
                    "duplicate-key",
                    f"The key `{printable(key, limit=60)}` stands twice: here and at line {first.line}, "
                    f"column {first.column}.",
                    hint="Keep one of them.",
                )
            )
        else:
            mapping[key] = node
            parent.keys[key] = mark
            self._grow(parent, node)

    def _merge(self, parent: Node, mapping: dict[str, Node], node: Node) -> None:
        for base in node.value if isinstance(node.value, list) else [node]:
            if not isinstance(base.value, dict):
                message = "The merge key `<<` takes an alias of a mapping, such as `<<: *name`."
                self.problems.append(problem_at(base.mark, "bad-merge", message))
                continue
            for key, child in base.value.items():
                if key not in mapping:
                    mapping[key] = child
                    self._grow(parent, child)

    def _grow(self, parent: Node, child: Node) -> None:
        parent.size += child.size
        if parent.size > MAX_NODES:
            message = f"The file has more than {MAX_NODES:,} values once its aliases are written out."
            self._stop(child.mark, "too-many-nodes", message, "No config needs that.")

"""A file, or standard input, read into nodes; hostile text is refused with its position."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from layercli.errors import LayercliError, Problem
from layercli.source import scalars
from layercli.source.nodes import Mark, SourceText, YamlNode, problem_at, sanitize_text

MAX_BYTES = 1 << 20
MAX_DEPTH = 100
MAX_NODES = 200_000
STDIN = "-"

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What libyaml takes for the end of a line, so that its line numbers are ours."""

_CORE_TAGS = {f"tag:yaml.org,2002:{name}": name for name in ("str", "seq", "map")}
YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(name: str, text: str | None = None) -> YamlNode:
    """Read the config at ``name`` (``-`` is standard input), or ``text`` as if it stood there.

    Raises:
        LayercliError: the text cannot be read or is not a single YAML mapping.
    """
    source = (
        _read_source(name)
        if text is None
        else SourceText(name, split_lines(text), Path(name).resolve().parent)
    )
    root = parse_yaml(source)
    if not isinstance(root.value, dict):
        kind = (
            "a list" if isinstance(root.value, list) else "empty" if root.value is None else "a single value"
        )
        raise LayercliError(
            problem_at(
                root.mark,
                "not-a-mapping",
                f"The file is {kind}; a config is a mapping with the key `model`.",
                hint="For example `model: {input: [4], layers: [{type: Dense, units: 3}]}`.",
            )
        )
    return root


def parse_yaml(source: SourceText) -> YamlNode:
    """The nodes of one YAML document.

    Raises:
        LayercliError: not YAML, or YAML that is refused.
    """
    text = "\n".join(source.lines)
    builder = _NodeBuilder(source)
    loader = YamlLoader(text)
    try:
        while loader.check_event():
            builder.add_event(loader.get_event())
    except yaml.MarkedYAMLError as error:
        raise LayercliError(_syntax_problem(source, error)) from None
    except yaml.reader.ReaderError as error:
        raise LayercliError(_character_problem(source, text, error)) from None
    finally:
        loader.dispose()
    if builder.problems:
        raise LayercliError(builder.problems)
    return builder.root or YamlNode(None, Mark(source, 1, 1))


def _read_source(name: str) -> SourceText:
    shown_name = "<stdin>" if name == STDIN else sanitize_text(name)
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
            directory = Path.cwd()
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            directory = Path(name).resolve().parent
    except FileNotFoundError:
        raise _unreadable_file_error(
            shown_name, "There is no such file.", "Check the path; it is relative to this directory."
        ) from None
    except IsADirectoryError:
        raise _unreadable_file_error(
            shown_name, "This is a directory, not a config file.", "Name a file in it."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unreadable_file_error(
            shown_name, f"The file cannot be read: {sanitize_text(reason)}.", None
        ) from None
    source = SourceText(shown_name, [], directory)
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
    source.lines.extend(split_lines(text))
    return source


def split_lines(text: str) -> list[str]:
    """The lines of a text as YAML counts them, without their ends."""
    return _LINE_BREAK.split(text)


def _unreadable_file_error(name: str, message: str, hint: str | None) -> LayercliError:
    return LayercliError(Problem(code="unreadable-file", message=message, hint=hint, file=name))


def _syntax_problem(source: SourceText, error: yaml.MarkedYAMLError) -> Problem:
    reason = str(error.problem or error.context or "it cannot be read")
    position: Any = error.problem_mark or error.context_mark
    if "end of stream" in reason and error.context_mark:
        position = error.context_mark  # where the unclosed quote or bracket began
    mark = Mark(source, position.line + 1, position.column + 1) if position else Mark(source, 1, 1)
    if mark.line > len(source.lines):  # what is missing is missing at the end
        mark = Mark(source, len(source.lines), len(source.lines[-1]) + 1)
    if "maximum nesting depth" in reason:  # of libyaml, which looks ahead
        return problem_at(mark, "too-deep", _TOO_DEEP_TEXTS[0], hint=_TOO_DEEP_TEXTS[1])
    hint = _suggest_syntax_fix(reason, mark, error.context_mark)
    return problem_at(mark, "yaml-syntax", f"This is not valid YAML: {sanitize_text(reason)}.", hint=hint)


def _suggest_syntax_fix(reason: str, mark: Mark, start: Any) -> str:
    line = mark.excerpt or ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "YAML is indented with spaces; this line starts with a tab."
    if "cannot start any token" in reason:
        return "Put quotes around a value that starts with `@`, `%` or a backtick."
    if "escape" in reason:
        return 'Between double quotes a backslash begins an escape such as "\\n"; single quotes keep it as it is.'
    if "alphabetic or numeric" in reason:
        return "Put quotes around a value that starts with `*`, `&` or `!`; YAML gives these a meaning of their own."
    if "mapping values are not allowed" in reason:
        return (
            "Start this line in the same column as the keys beside it, write a space after every colon, and put quotes "
            "around a value that contains `: `."
        )
    if "end of stream" in reason:
        return "Close the quote that opens here."
    if "expected ',' or" in reason and start:
        return f"Close the bracket that opens at line {start.line + 1}, column {start.column + 1}, or add a comma."
    if "did not find expected" in reason:
        return "Start keys that belong together in the same column, and look for a bracket or quote too many or too few."
    return "Check the indentation, the brackets and the quotes here and on the line above."


def _character_problem(source: SourceText, text: str, error: yaml.reader.ReaderError) -> Problem:
    position = error.position if isinstance(error.position, int) else 0
    before = text.encode("utf-8", "surrogatepass")[:position].decode("utf-8", "ignore")
    mark = Mark(source, before.count("\n") + 1, len(before) - before.rfind("\n"))
    return problem_at(
        mark,
        "bad-character",
        "The file holds a control character that YAML does not allow.",
        hint='Delete it; in a quoted text write it as an escape such as "\\t".',
    )


_TOO_DEEP_TEXTS: Final = (
    f"Lists and mappings are nested deeper than {MAX_DEPTH} levels here; no config needs that.",
    "Look for brackets or dashes that are repeated by mistake.",
)


class _NodeBuilder:
    """Events in, nodes out: no recursion, so that no nesting can exhaust the stack."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.root: YamlNode | None = None
        self.problems: list[Problem] = []
        self._open_nodes: list[tuple[YamlNode, tuple[str, Mark] | None, str | None]] = []
        """Open lists and mappings, each with the key it will stand under and its anchor."""
        self._pending_key: tuple[str, Mark] | None = None
        self._anchors: dict[str, YamlNode | None] = {}
        self._document_count = 0
        self._quoted_merge_keys: set[tuple[int, int]] = set()
        """Places of keys that are the text `<<`, which merge nothing."""

    def add_event(self, event: Any) -> None:
        """Add what the event brings to the tree."""
        match event:
            case yaml.DocumentStartEvent():
                self._document_count += 1
                if self._document_count > 1:
                    self._raise_problem(
                        self._mark_of(event),
                        "two-documents",
                        "A second YAML document starts here; a config is one document.",
                        "Delete the `---` line, or move what follows into a file of its own.",
                    )
            case yaml.AliasEvent():
                self._add_node(self._resolve_alias(event))
            case yaml.ScalarEvent():
                node = self._build_scalar(event)
                if event.anchor:
                    self._anchors[event.anchor] = node
                self._add_node(node)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open_collection(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close_collection()

    def _mark_of(self, event: Any) -> Mark:
        return Mark(self.source, event.start_mark.line + 1, event.start_mark.column + 1)

    def _raise_problem(self, mark: Mark, code: str, message: str, hint: str | None) -> NoReturn:
        raise LayercliError([*self.problems, problem_at(mark, code, message, hint=hint)])

    def _open_collection(self, event: Any) -> None:
        mark = self._mark_of(event)
        if len(self._open_nodes) >= MAX_DEPTH:
            self._raise_problem(mark, "too-deep", *_TOO_DEEP_TEXTS)
        if event.tag and event.tag not in _CORE_TAGS:
            self._refuse_tag(event)
        if self._is_key_expected:
            self._refuse_key(mark)
        node = YamlNode({} if isinstance(event, yaml.MappingStartEvent) else [], mark)
        if event.anchor:
            self._anchors[event.anchor] = None  # open: an alias to it would hold itself
        self._open_nodes.append((node, self._pending_key, event.anchor))
        self._pending_key = None

    def _close_collection(self) -> None:
        node, self._pending_key, anchor = self._open_nodes.pop()
        if anchor:
            self._anchors[anchor] = node
        self._add_node(node)

    @property
    def _is_key_expected(self) -> bool:
        """Whether what comes next is the key of an open mapping."""
        return (
            bool(self._open_nodes)
            and isinstance(self._open_nodes[-1][0].value, dict)
            and self._pending_key is None
        )

    def _refuse_key(self, mark: Mark) -> NoReturn:
        self._raise_problem(
            mark,
            "key-not-text",
            "A key must be a word; here a list or mapping is used as a key.",
            "Put quotes around it if it is text; delete the extra bracket if it is not a key.",
        )

    def _resolve_alias(self, event: Any) -> YamlNode:
        mark = self._mark_of(event)
        if event.anchor not in self._anchors:
            name = sanitize_text(event.anchor, limit=60)
            self._raise_problem(
                mark,
                "unknown-alias",
                f"The alias `*{name}` has no anchor `&{name}` above it.",
                f'Write `&{name}` before the value that it stands for, or put quotes around "*{name}" if it is text.',
            )
        node = self._anchors[event.anchor]
        if node is None:
            name = sanitize_text(event.anchor, limit=60)
            self._raise_problem(
                mark,
                "self-reference",
                f"The alias `*{name}` stands inside the value that it repeats, `&{name}`.",
                "Remove the alias, or write out what it stands for.",
            )
        if self._is_key_expected and isinstance(node.value, (dict, list)):
            self._refuse_key(mark)
        return node

    def _build_scalar(self, event: Any) -> YamlNode:
        mark = self._mark_of(event)
        tag = event.tag
        if tag and tag != "!" and _CORE_TAGS.get(tag) != "str":
            self._refuse_tag(event)
            return YamlNode(event.value if self._is_key_expected else None, mark)
        if event.style or not event.implicit[0] or self._is_key_expected:  # quoted, tagged as text, or a key
            if event.style and event.value == "<<":
                self._quoted_merge_keys.add((mark.line, mark.column))
            return YamlNode(event.value, mark)
        try:
            return YamlNode(scalars.resolve_scalar(event.value), mark)
        except scalars.AmbiguousNumberError:
            sign = "-" if event.value.startswith("-") else ""
            number = sign + (event.value.lstrip("+-").lstrip("0") or "0")
            self.problems.append(
                problem_at(
                    mark,
                    "ambiguous-number",
                    f"{sanitize_text(event.value, limit=40)} is ambiguous: some YAML readers take a leading zero for octal.",
                    hint=f'Write {sanitize_text(number, limit=40)} for the number, or "{sanitize_text(event.value, limit=40)}" '
                    "in quotes for text.",
                )
            )
        except scalars.NumberTooLongError:
            self.problems.append(
                problem_at(
                    mark,
                    "number-too-long",
                    f"A number of {len(event.value):,} characters is no size or rate.",
                    hint="Write a number of a few digits, or put quotes around it if it is text.",
                )
            )
        return YamlNode(None, mark)

    def _refuse_tag(self, event: Any) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        self.problems.append(
            problem_at(
                self._mark_of(event),
                "tag-refused",
                f"The tag `{sanitize_text(tag, limit=60)}` is refused: a config is plain data and runs no code.",
                hint="Remove the tag. A layer of your own is named as `type: file.py:ClassName`.",
            )
        )

    def _add_node(self, node: YamlNode) -> None:
        if not self._open_nodes:
            self.root = node
            return
        parent = self._open_nodes[-1][0]
        if isinstance(parent.value, list):
            parent.value.append(node)
            self._grow_parent(parent, node)
        elif isinstance(parent.value, dict):
            if self._pending_key is None:
                self._pending_key = (self._key_text(node), node.mark)
            else:
                self._put_item(parent, parent.value, *self._pending_key, node)
                self._pending_key = None

    def _key_text(self, node: YamlNode) -> str:
        text = (
            node.value if isinstance(node.value, str) else str(node.value)
        )  # an alias may stand for a number
        if not text:
            self.problems.append(
                problem_at(
                    node.mark,
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
        elif key in parent.keys:
            first = parent.keys[key]
            self.problems.append(
                problem_at(
                    mark,
                    "duplicate-key",
                    f"The key `{sanitize_text(key, limit=60)}` stands twice: here and at line {first.line}, "
                    f"column {first.column}.",
                    hint="Keep one of them.",
                )
            )
        else:
            mapping[key] = node
            parent.keys[key] = mark
            self._grow_parent(parent, node)

    def _merge_mappings(self, parent: YamlNode, mapping: dict[str, YamlNode], node: YamlNode) -> None:
        for base in node.value if isinstance(node.value, list) else [node]:
            if not isinstance(base.value, dict):
                message = "The merge key `<<` takes an alias of a mapping, such as `<<: *name`."
                hint = "Write what it names as keys of this mapping instead."
                self.problems.append(problem_at(base.mark, "bad-merge", message, hint=hint))
                continue
            for key, child in base.value.items():
                if key not in mapping:
                    mapping[key] = child
                    self._grow_parent(parent, child)

    def _grow_parent(self, parent: YamlNode, child: YamlNode) -> None:
        parent.size += child.size
        parent.depth = max(parent.depth, child.depth + 1)
        if parent.size > MAX_NODES:
            message = f"The file has more than {MAX_NODES:,} values once its aliases are written out."
            hint = "Remove aliases that stand for values with aliases in them."
            self._raise_problem(child.mark, "too-many-nodes", message, hint)
        if parent.depth > MAX_DEPTH:
            self._raise_problem(child.mark, "too-deep", *_TOO_DEEP_TEXTS)

"""``blocks``: stacks of layers with parameters, declared once and used where they are named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from layercli.config.language.variables import NAME
from layercli.errors import Problem
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, Node, problem_in, quoted

BLOCKS: Final = "blocks"
_KEYS = ("params", "layers")
_EXAMPLE = "For example `blocks: {residual: {params: {filters: 64}, layers: [...]}}`."


@dataclass(frozen=True, slots=True)
class Block:
    """A declared block."""

    name: str
    params: dict[str, Node | None]
    """Each parameter's default; None: it must be given."""
    layers: list[Node]
    through: str | None
    """How the block came from another file."""

    @property
    def path(self) -> KeyPath:
        """Where the block stands."""
        return (BLOCKS, self.name)


def parse_blocks(document: Node, problems: list[Problem]) -> dict[str, Block]:
    """The blocks that a document declares, by name; a malformed one is left out, with a problem."""
    declared = document.find((BLOCKS,))
    if declared is None or declared.value is None:
        return {}
    if not isinstance(declared.value, dict):
        message = f"`blocks` is {quoted(declared.plain())}; it must be a mapping of names to blocks."
        problems.append(problem_in(document, (BLOCKS,), "wrong-type", message, hint=_EXAMPLE))
        return {}
    parsed = {name: _Parser(document, name, problems).block() for name in declared.value}
    return {name: block for name, block in parsed.items() if block is not None}


class _Parser:
    """Reads one block."""

    def __init__(self, document: Node, name: str, problems: list[Problem]) -> None:
        self._document = document
        self._name = name
        self._path: KeyPath = (BLOCKS, name)
        self._problems = problems

    def block(self) -> Block | None:
        node = self._document.find(self._path)
        assert node is not None
        if not NAME.fullmatch(self._name.replace("-", "_")):
            message = (
                f"{quoted(self._name)} is no name for a block; it must be of letters, digits, `_` and `-`."
            )
            self._report((), "bad-name", message, "For example `residual`.", at_key=True)
            return None
        if not isinstance(node.value, dict):
            self._report((), "wrong-type", f"The block is {quoted(node.plain())}; it must be a mapping with `layers`.",
                         _EXAMPLE)  # fmt: skip
            return None
        for key in node.value:
            if key not in _KEYS:
                hint = did_you_mean(key, _KEYS, otherwise="A block takes `params` and `layers`.")
                self._report((key,), "unknown-key", f"A block has no key {quoted(key)}.", hint, at_key=True)
        layers = node.value.get("layers")
        if layers is None or not isinstance(layers.value, list) or not layers.value:
            found = "has no `layers`" if layers is None else f"has {quoted(layers.plain())} as its `layers`"
            message = f"The block `{self._name}` {found}; it must have a list of them."
            code = "missing-key" if layers is None else "wrong-type"
            self._report(
                () if layers is None else ("layers",), code, message, _EXAMPLE, at_key=layers is None
            )
            return None
        through = self._document.origin((*self._path, "layers"))[1]
        return Block(self._name, self._params(node.value.get("params")), layers.value, through)

    def _params(self, declared: Node | None) -> dict[str, Node | None]:
        """The parameters: names with defaults, or a list in which a bare name has none."""
        if declared is None or declared.value is None:
            return {}
        params: dict[str, Node | None] = {}
        items = declared.value if isinstance(declared.value, list) else [declared]
        for index, item in enumerate(items):
            steps: KeyPath = ("params",) if item is declared else ("params", index)
            if isinstance(item.value, str) and item is not declared:
                self._add(params, item.value, None, steps)
            elif isinstance(item.value, dict):
                for name, default in item.value.items():
                    self._add(params, name, default, (*steps, name))
            else:
                message = (
                    f"`params` holds {quoted(item.plain())}; it must map names to defaults, or list names."
                )
                self._report(
                    steps,
                    "wrong-type",
                    message,
                    "For example `params: {filters: 64}`, or `params: [filters]`.",
                )
        return params

    def _add(self, params: dict[str, Node | None], name: str, default: Node | None, steps: KeyPath) -> None:
        if not NAME.fullmatch(name):
            message = f"{quoted(name)} is no name for a parameter; it must be of letters, digits and `_`."
            self._report(steps, "bad-name", message, "For example `filters`.", at_key=True)
        elif name in params:
            self._report(
                steps, "duplicate-name", f"The parameter `{name}` stands twice.", "Keep one of them."
            )
        else:
            written = self._document.origin((*self._path, *steps))
            if default is not None:
                default = Node(default.value, default.mark, default.keys, default.size, default.depth,
                               default.written or written[0], default.through or written[1])  # fmt: skip
            params[name] = default

    def _report(self, steps: KeyPath, code: str, message: str, hint: str, *, at_key: bool = False) -> None:
        path = (*self._path, *steps)
        self._problems.append(problem_in(self._document, path, code, message, hint=hint, at_key=at_key))

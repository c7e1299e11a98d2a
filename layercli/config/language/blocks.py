"""``blocks``: stacks of layers with parameters, declared once and used where they are named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from layercli.config.language.variables import NAME_PATTERN
from layercli.errors import Problem
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, YamlNode, problem_in, quote_value

BLOCKS_KEY: Final = "blocks"
_BLOCK_KEYS = ("params", "layers")
_BLOCKS_EXAMPLE = "For example `blocks: {residual: {params: {filters: 64}, layers: [...]}}`."


@dataclass(frozen=True, slots=True)
class BlockDefinition:
    """A declared block."""

    name: str
    params: dict[str, YamlNode | None]
    """Each parameter's default; None: it must be given."""
    layers: list[YamlNode]
    via: str | None
    """How the block came from another file."""

    @property
    def path(self) -> KeyPath:
        """Where the block stands."""
        return (BLOCKS_KEY, self.name)


def parse_blocks(document: YamlNode, problems: list[Problem]) -> dict[str, BlockDefinition]:
    """The blocks that a document declares, by name; a malformed one is left out, with a problem."""
    declared = document.find((BLOCKS_KEY,))
    if declared is None or declared.value is None:
        return {}
    if not isinstance(declared.value, dict):
        message = f"`blocks` is {quote_value(declared.to_plain())}; it must be a mapping of names to blocks."
        problems.append(problem_in(document, (BLOCKS_KEY,), "wrong-type", message, hint=_BLOCKS_EXAMPLE))
        return {}
    parsed = {name: _BlockParser(document, name, problems).parse() for name in declared.value}
    return {name: block for name, block in parsed.items() if block is not None}


class _BlockParser:
    """Reads one block."""

    def __init__(self, document: YamlNode, name: str, problems: list[Problem]) -> None:
        self._document = document
        self._name = name
        self._path: KeyPath = (BLOCKS_KEY, name)
        self._problems = problems

    def parse(self) -> BlockDefinition | None:
        node = self._document.find(self._path)
        assert node is not None
        if not NAME_PATTERN.fullmatch(self._name.replace("-", "_")):
            message = f"{quote_value(self._name)} is no name for a block; it must be of letters, digits, `_` and `-`."
            self._report_problem((), "bad-name", message, "For example `residual`.", at_key=True)
            return None
        if not isinstance(node.value, dict):
            self._report_problem((), "wrong-type", f"The block is {quote_value(node.to_plain())}; it must be a mapping with `layers`.",
                         _BLOCKS_EXAMPLE)  # fmt: skip
            return None
        for key in node.value:
            if key not in _BLOCK_KEYS:
                hint = did_you_mean(key, _BLOCK_KEYS, otherwise="A block takes `params` and `layers`.")
                self._report_problem(
                    (key,), "unknown-key", f"A block has no key {quote_value(key)}.", hint, at_key=True
                )
        layers = node.value.get("layers")
        if layers is None or not isinstance(layers.value, list) or not layers.value:
            defect = (
                "has no `layers`"
                if layers is None
                else f"has {quote_value(layers.to_plain())} as its `layers`"
            )
            message = f"The block `{self._name}` {defect}; it must have a list of them."
            code = "missing-key" if layers is None else "wrong-type"
            self._report_problem(
                () if layers is None else ("layers",), code, message, _BLOCKS_EXAMPLE, at_key=layers is None
            )
            return None
        via = self._document.find_origin((*self._path, "layers"))[1]
        return BlockDefinition(self._name, self._parse_params(node.value.get("params")), layers.value, via)

    def _parse_params(self, declared: YamlNode | None) -> dict[str, YamlNode | None]:
        """The parameters: names with defaults, or a list in which a bare name has none."""
        if declared is None or declared.value is None:
            return {}
        params: dict[str, YamlNode | None] = {}
        items = declared.value if isinstance(declared.value, list) else [declared]
        for index, item in enumerate(items):
            steps: KeyPath = ("params",) if item is declared else ("params", index)
            if isinstance(item.value, str) and item is not declared:
                self._add_param(params, item.value, None, steps)
            elif isinstance(item.value, dict):
                for name, default in item.value.items():
                    self._add_param(params, name, default, (*steps, name))
            else:
                message = f"`params` holds {quote_value(item.to_plain())}; it must map names to defaults, or list names."
                self._report_problem(
                    steps,
                    "wrong-type",
                    message,
                    "For example `params: {filters: 64}`, or `params: [filters]`.",
                )
        return params

    def _add_param(
        self, params: dict[str, YamlNode | None], name: str, default: YamlNode | None, steps: KeyPath
    ) -> None:
        if not NAME_PATTERN.fullmatch(name):
            message = (
                f"{quote_value(name)} is no name for a parameter; it must be of letters, digits and `_`."
            )
            self._report_problem(steps, "bad-name", message, "For example `filters`.", at_key=True)
        elif name in params:
            self._report_problem(
                steps, "duplicate-name", f"The parameter `{name}` stands twice.", "Keep one of them."
            )
        else:
            origin = self._document.find_origin((*self._path, *steps))
            if default is not None:
                default = YamlNode(default.value, default.mark, default.keys, default.size, default.depth,
                               default.written_path or origin[0], default.via or origin[1])  # fmt: skip
            params[name] = default

    def _report_problem(
        self, steps: KeyPath, code: str, message: str, hint: str, *, at_key: bool = False
    ) -> None:
        path = (*self._path, *steps)
        self._problems.append(problem_in(self._document, path, code, message, hint=hint, at_key=at_key))

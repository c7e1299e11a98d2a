"""``blocks``: reusable stacks of layers with parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from layercli.config.language.variables import is_variable_name
from layercli.errors import Problem
from layercli.schema.suggestions import did_you_mean
from layercli.source.nodes import KeyPath, YamlNode, problem_in, quote_value

BLOCKS_KEY: Final = "blocks"
_BLOCK_KEYS = ("params", "layers")
_BLOCKS_EXAMPLE = "For example `blocks: {residual: {params: {filters: 64}, layers: [...]}}`."


class BlockDefinition(NamedTuple):
    """A declared block."""

    name: str
    params: dict[str, YamlNode | None]
    """The default of each parameter; None for a required parameter."""
    layers: list[YamlNode]
    via: str | None
    """The origin of the block if another file declares it."""

    @property
    def path(self) -> KeyPath:
        """Return the path of the block in the config."""
        return (BLOCKS_KEY, self.name)


def parse_blocks(document: YamlNode, problems: list[Problem]) -> dict[str, BlockDefinition]:
    """Return the blocks of a document by name; report and skip malformed ones."""
    declared = document.find((BLOCKS_KEY,))
    if declared is None or declared.value is None:
        return {}
    if not isinstance(declared.value, dict):
        message = f"`blocks` must be a mapping of names to blocks, got {quote_value(declared.to_plain())}."
        problems.append(problem_in(document, (BLOCKS_KEY,), "wrong-type", message, hint=_BLOCKS_EXAMPLE))
        return {}
    parsed = {name: _BlockParser(document, name, problems).parse() for name in declared.value}
    return {name: block for name, block in parsed.items() if block is not None}


class _BlockParser:
    """Parses one block."""

    def __init__(self, document: YamlNode, name: str, problems: list[Problem]) -> None:
        self._document = document
        self._name = name
        self._path: KeyPath = (BLOCKS_KEY, name)
        self._problems = problems

    def parse(self) -> BlockDefinition | None:
        node = self._document.find(self._path)
        assert node is not None
        if not is_variable_name(self._name.replace("-", "_")):
            message = (
                f"A block name must consist of letters, digits, `_` and `-`, got {quote_value(self._name)}."
            )
            self._report_problem((), "bad-name", message, "For example `residual`.", at_key=True)
            return None
        if not isinstance(node.value, dict):
            message = f"The block `{self._name}` must be a mapping with `layers`, got {quote_value(node.to_plain())}."
            self._report_problem((), "wrong-type", message, _BLOCKS_EXAMPLE)
            return None
        for key in node.value:
            if key not in _BLOCK_KEYS:
                hint = did_you_mean(
                    key, _BLOCK_KEYS, otherwise="The keys of a block are `params` and `layers`."
                )
                self._report_problem(
                    (key,), "unknown-key", f"A block has no key {quote_value(key)}.", hint, at_key=True
                )
        layers = node.value.get("layers")
        if layers is None:
            message = f"The block `{self._name}` is missing `layers`: a list of layers."
            self._report_problem((), "missing-key", message, _BLOCKS_EXAMPLE, at_key=True)
            return None
        if not isinstance(layers.value, list) or not layers.value:
            message = (
                f"`layers` of the block `{self._name}` must be a list of layers, "
                f"got {quote_value(layers.to_plain())}."
            )
            self._report_problem(("layers",), "wrong-type", message, _BLOCKS_EXAMPLE)
            return None
        via = self._document.find_origin((*self._path, "layers"))[1]
        return BlockDefinition(self._name, self._parse_params(node.value.get("params")), layers.value, via)

    def _parse_params(self, declared: YamlNode | None) -> dict[str, YamlNode | None]:
        """Return the parameters of a mapping of names to defaults, or of a list of names and such mappings."""
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
                received = quote_value(item.to_plain())
                message = (
                    f"`params` must be a mapping of names to defaults or a list of names, got {received}."
                )
                self._report_problem(
                    steps,
                    "wrong-type",
                    message,
                    "For example `params: {filters: 64}` or `params: [filters]`.",
                )
        return params

    def _add_param(
        self, params: dict[str, YamlNode | None], name: str, default: YamlNode | None, steps: KeyPath
    ) -> None:
        if not is_variable_name(name):
            message = f"A parameter name must consist of letters, digits and `_`, got {quote_value(name)}."
            self._report_problem(steps, "bad-name", message, "For example `filters`.", at_key=True)
        elif name in params:
            self._report_problem(
                steps, "duplicate-name", f"The parameter `{name}` is declared twice.", "Remove one of them."
            )
        else:
            origin = self._document.find_origin((*self._path, *steps))
            if default is not None:
                written_path, via = default.written_path or origin[0], default.via or origin[1]
                default = replace(default, written_path=written_path, via=via)
            params[name] = default

    def _report_problem(
        self, steps: KeyPath, code: str, message: str, hint: str, *, at_key: bool = False
    ) -> None:
        path = (*self._path, *steps)
        self._problems.append(problem_in(self._document, path, code, message, hint=hint, at_key=at_key))

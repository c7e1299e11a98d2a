"""Expansion of variables, blocks and repeats into a flat list of layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, NoReturn, TypeAlias

from layercli import runtime
from layercli.config.language.blocks import BLOCKS_KEY, BlockDefinition, parse_blocks
from layercli.config.language.scopes import (
    MAX_INPUTS,
    NameScope,
    TooManyInputsError,
    list_input_names,
    make_implied_inputs,
)
from layercli.config.language.variables import (
    VARS_KEY,
    VariableBindings,
    find_unused_overrides,
    resolve_variables,
    substitute_variables,
)
from layercli.config.layer_entries import is_feature_space
from layercli.config.model import LAYERS_PATH, MAX_LAYERS
from layercli.config.names import INPUT, MAX_LAYER_NAME_LENGTH, PREVIOUS, assign_names
from layercli.errors import LayercliError, Problem, ProblemList
from layercli.layers.registry import LAYERS
from layercli.schema.component import snake_case
from layercli.schema.suggestions import did_you_mean, list_names
from layercli.source.load import MAX_NODES
from layercli.source.nodes import (
    KeyPath,
    Mark,
    YamlNode,
    describe_position,
    measure_nodes,
    problem_at,
    problem_in,
    quote_value,
    shorten_via,
)

EntryKind: TypeAlias = Literal["layer", "block", "reuse"]

_EXPANSION_KEYS: Final = ("block", "repeat", "with")
_BLOCK_USE_KEYS: Final = ("block", "with", "repeat", "name", "inputs")
_MAX_WORK: Final = 4 * MAX_NODES
"""Values that the expansion may read, even if few of them are in the result."""
_MAX_BLOCK_DEPTH: Final = 50
"""Maximum nesting of blocks."""
_UNKNOWN_LAYER_TYPE: Final = "keras.layers.Unknown"
"""The type of the placeholder for a block that cannot be expanded."""


def expand_document(document: YamlNode) -> tuple[YamlNode, ProblemList]:
    """Return the document without variables, blocks, repeats and FeatureSpace, and the problems found in them.

    Every value keeps its position in the file.

    Raises:
        LayercliError: the expanded document is too large, or FeatureSpace has no valid feature.
    """
    problems = ProblemList()
    document = _expand_blocks(document, problems)
    if any(is_feature_space(node) for _, node in (document.find(LAYERS_PATH) or document).children):
        # Imported here: few configs have one.
        from layercli.config.language.feature_space import expand_feature_space

        document = expand_feature_space(document, problems)
    return document, problems


def _expand_blocks(document: YamlNode, problems: ProblemList) -> YamlNode:
    """Return the document without variables, blocks and repeats."""
    assert isinstance(document.value, dict)
    values = resolve_variables(document.value.get(VARS_KEY), problems)
    problems.extend(find_unused_overrides(document))
    blocks = parse_blocks(document, problems)
    sections = {key: node for key, node in document.value.items() if key not in (VARS_KEY, BLOCKS_KEY)}
    model = sections.get("model")
    layers = model.find(("layers",)) if model is not None else None
    flat = replace(document, value=sections)
    if layers is None or not isinstance(layers.value, list) or not any(map(_is_expandable, layers.value)):
        return substitute_variables(flat, values, (), problems)
    assert model is not None
    assert isinstance(model.value, dict)
    rest = {key: node for key, node in model.value.items() if key != "layers"}
    flat = substitute_variables(
        replace(flat, value=sections | {"model": replace(model, value=rest)}), values, (), problems
    )
    model = flat.find(("model",))
    assert isinstance(flat.value, dict)
    assert model is not None
    assert isinstance(model.value, dict)
    expander = _Expander(document, blocks, values, problems)
    inputs = model.find(("inputs",))
    input_names = list(inputs.value) if inputs is not None and isinstance(inputs.value, dict) else []
    expanded_layers = replace(layers, value=expander.expand_layers(layers.value, input_names))
    expanded_model = {
        key: expanded_layers if key == "layers" else model.value[key] for key in [*_model_keys(document)]
    }
    if "outputs" in expanded_model:
        expanded_model["outputs"] = expander.resolve_outputs(expanded_model["outputs"])
    return replace(flat, value=flat.value | {"model": replace(model, value=expanded_model)})


def _model_keys(document: YamlNode) -> list[str]:
    model = document.find(("model",))
    return list(model.value) if model is not None and isinstance(model.value, dict) else []


def name_entries(items: list[YamlNode]) -> list[str]:
    """Return the names that ``--set`` accepts for entries: explicit names, or the future names of their first layers.

    An automatic name that depends on a `repeat` which is not a number yet, such as ``${depth}``, is unknown: its entry has
    its index.
    """
    requested_names: list[tuple[str | None, str]] = []
    positions: list[int | None] = []
    unknown_bases = set()
    for item in items:
        _, explicit_name, base_name = _classify_entry(item)
        is_known = explicit_name is not None or base_name not in unknown_bases
        positions.append(len(requested_names) if is_known else None)
        repeat_node = item.find(("repeat",)) if isinstance(item.value, dict) else None
        repeat = 1 if repeat_node is None else repeat_node.value
        if not isinstance(repeat, int):
            unknown_bases.add(base_name)
            repeat = 1
        room = MAX_LAYERS - len(requested_names)
        requested_names += [(explicit_name, base_name)] * max(min(repeat, room), 1)
    names = assign_names(requested_names)
    return [str(index) if position is None else names[position] for index, position in enumerate(positions)]


def _is_expandable(item: YamlNode) -> bool:
    return isinstance(item.value, dict) and any(key in item.value for key in _EXPANSION_KEYS)


def _classify_entry(item: YamlNode) -> tuple[EntryKind, str | None, str]:
    """Return the kind of an entry, its explicit name and the base of an automatic name."""
    value = item.value if isinstance(item.value, dict) else {"type": item}
    kind: EntryKind = (
        "block" if "block" in value else "reuse" if "reuse" in value and "type" not in value else "layer"
    )
    name_node = value.get("name")
    explicit_name = name_node.value if name_node is not None and isinstance(name_node.value, str) else None
    type_node = value.get({"layer": "type"}.get(kind, kind))
    text = type_node.value if type_node is not None and isinstance(type_node.value, str) else ""
    if explicit_name is not None and len(explicit_name) > MAX_LAYER_NAME_LENGTH:
        explicit_name = None  # reported later; no numbers are appended to it
    text = text[-MAX_LAYER_NAME_LENGTH:]
    if kind == "layer":
        text = snake_case(LAYERS.find(text) or text.rpartition(":")[2].rpartition(".")[2])
    return kind, explicit_name, text.rpartition(".")[2] or kind


@dataclass(frozen=True, slots=True)
class _Entry:
    """An item of a list of layers, after substitution of variables and parameters."""

    raw: YamlNode
    node: YamlNode
    path: KeyPath
    kind: EntryKind
    explicit_name: str | None
    base_name: str
    repeat: int

    @property
    def value(self) -> dict[str, YamlNode]:
        return self.node.value if isinstance(self.node.value, dict) else {"type": self.node}


@dataclass(frozen=True, slots=True)
class _BlockUse:
    """A block with values for its parameters, and the prefixes of its instances."""

    block: BlockDefinition
    bindings: VariableBindings
    value_scopes: dict[str, NameScope]
    instance_prefixes: tuple[str, ...]


class _Expander:
    """Expands entries one after the other."""

    def __init__(
        self,
        document: YamlNode,
        blocks: dict[str, BlockDefinition],
        variables: VariableBindings,
        problems: list[Problem],
    ) -> None:
        self._document = document
        self._blocks = blocks
        self._variables = variables
        self._problems = problems
        self._expanded_layers: list[YamlNode] = []
        self._value_count = 0
        self._work = 0
        self._output_layers: dict[str, str] = {}
        self._block_uses: dict[str, _BlockUse] = {}
        self._block_defaults: dict[str, tuple[dict[str, YamlNode], list[str]]] = {}
        self._open_blocks: list[str] = []
        self._open_uses: list[Mark] = []
        """The positions of the entries that are being expanded."""
        self._last_outputs: tuple[str, ...] | None = None
        self._top_scope = NameScope("", variables, self._output_layers)

    def expand_layers(self, items: list[YamlNode], taken_names: list[str]) -> list[YamlNode]:
        """Return the expanded layers.

        Args:
            items: The entries.
            taken_names: Names that automatic names must not repeat.
        """
        self._expand_entries(items, self._top_scope, LAYERS_PATH, taken_names)
        return self._expanded_layers

    def resolve_outputs(self, node: YamlNode) -> YamlNode:
        """Return ``model.outputs`` with full layer names."""
        if isinstance(node.value, str):
            return replace(node, value=self._top_scope.resolve_name(node.value)[0])
        if isinstance(node.value, list):
            return replace(node, value=[self.resolve_outputs(child) for child in node.value])
        return node

    def _expand_entries(
        self, items: list[YamlNode], scope: NameScope, path: KeyPath, taken_names: list[str] | None = None
    ) -> None:
        entries = [self._parse_entry(item, (*path, index), scope) for index, item in enumerate(items)]
        requested_names: list[tuple[str | None, str]] = []
        for entry in entries:
            if len(requested_names) + entry.repeat > MAX_LAYERS:
                self._raise_too_large(entry)
            for number in range(1, entry.repeat + 1):
                numbered = (
                    entry.explicit_name
                    if entry.repeat == 1 or entry.explicit_name is None
                    else f"{entry.explicit_name}_{number}"
                )
                requested_names.append((numbered, entry.base_name))
        explicit_names = [entry.explicit_name for entry in entries if entry.explicit_name is not None]
        names = iter(assign_names(requested_names, [*(taken_names or ()), *explicit_names]))
        for entry in entries:
            self._emit_entry(entry, tuple(next(names) for _ in range(entry.repeat)), scope)

    def _parse_entry(self, raw: YamlNode, path: KeyPath, scope: NameScope) -> _Entry:
        self._count_work(raw, path, raw.size)
        node = substitute_variables(raw, scope.bindings, path, self._problems)
        kind, explicit_name, base_name = _classify_entry(node)
        entry = _Entry(raw, node, path, kind, explicit_name, base_name, 1)
        repeat = entry.value.get("repeat")
        if repeat is None or repeat.value is None:
            return entry
        if isinstance(repeat.value, int) and not isinstance(repeat.value, bool) and repeat.value > 0:
            return replace(entry, repeat=repeat.value)
        message = f"`repeat` must be a positive integer, got {quote_value(repeat.to_plain())}."
        self._report_problem(entry, ("repeat",), "wrong-type", message, "For example `repeat: 3`.")
        return entry

    def _emit_entry(self, entry: _Entry, instance_names: tuple[str, ...], scope: NameScope) -> None:
        runtime.stop_if_cancelled()
        use = self._resolve_block(entry, scope)
        self._open_uses.append(entry.raw.mark)
        for number, local_name in enumerate(instance_names):
            inputs = self._resolve_inputs(entry, scope, is_first=number == 0)
            if use is None:
                self._emit_layer(entry, self._layer_keys(entry, scope), local_name, inputs, scope)
            else:
                self._emit_block(entry, use, local_name, inputs, scope)
            assert self._last_outputs is not None
            scope.previous = self._last_outputs
            self._output_layers[scope.prefix + local_name] = self._last_outputs[0]
        self._open_uses.pop()
        if entry.explicit_name is not None:
            self._output_layers[scope.prefix + entry.explicit_name] = self._output_layers[
                scope.prefix + instance_names[-1]
            ]
            if use is not None and len(instance_names) > 1:
                instance_uses = [self._block_uses[scope.prefix + local] for local in instance_names]
                all_prefixes = tuple(name for one in instance_uses for name in one.instance_prefixes)
                self._block_uses[scope.prefix + entry.explicit_name] = replace(
                    use, instance_prefixes=all_prefixes
                )

    def _emit_layer(
        self,
        entry: _Entry,
        keys: dict[str, YamlNode],
        local_name: str,
        inputs: YamlNode | None,
        scope: NameScope,
    ) -> None:
        """Append one layer."""
        name = scope.prefix + local_name
        node, mark = entry.node, entry.node.mark
        if scope.reuse_prefix is not None and entry.kind == "layer":
            keys = {"reuse": YamlNode(scope.reuse_prefix + local_name, mark)}
        if entry.explicit_name is not None or "name" not in keys:
            keys = keys | {"name": replace(keys.get("name", YamlNode(None, mark)), value=name)}
        if inputs is not None:
            keys = keys | {"inputs": inputs}
        elif (
            "inputs" in keys and len(list_input_names(keys["inputs"])) == 1
        ):  # only the first repetition uses them
            keys = {key: child for key, child in keys.items() if key != "inputs"}
        size, depth = measure_nodes(keys.values())
        via = shorten_via(" ".join(sentence for sentence in (node.via, scope.via) if sentence)) or None
        self._expanded_layers.append(
            YamlNode(
                keys,
                mark,
                node.keys,
                size,
                depth,
                node.written_path or entry.path,
                via,
                node.end,
                tuple(self._open_uses),
            )
        )
        self._value_count += size
        self._output_layers[name] = name
        self._last_outputs = (name,)
        if len(self._expanded_layers) > MAX_LAYERS or self._value_count > MAX_NODES:
            self._raise_too_large(entry)

    def _layer_keys(self, entry: _Entry, scope: NameScope) -> dict[str, YamlNode]:
        """Return the keys of a layer without its inputs."""
        if entry.kind == "block":
            return {"type": YamlNode(_UNKNOWN_LAYER_TYPE, entry.node.mark)}
        if "with" in entry.value:
            message = "`with` is only valid for a block, but this entry is a layer."
            hint = "Write the layer's arguments next to its `type`."
            self._report_problem(entry, ("with",), "unknown-key", message, hint, at_key=True)
        keys = {key: child for key, child in entry.value.items() if key not in _EXPANSION_KEYS}
        if entry.kind == "reuse" and isinstance(name := keys["reuse"].value, str):
            keys["reuse"] = replace(
                keys["reuse"],
                value=scope.find_defining_scope(entry.raw.find(("reuse",))).resolve_name(name)[0],
            )
        return keys

    def _emit_block(
        self, entry: _Entry, use: _BlockUse, local_name: str, inputs: YamlNode | None, scope: NameScope
    ) -> None:
        """Append the layers of one instance of a block, or reuse the layers of earlier instances."""
        self._open_blocks.append(use.block.name)
        sources = list_input_names(inputs) if inputs is not None else scope.previous or (INPUT,)
        via = self._describe_block_use(entry, use.block, scope)
        count = len(use.instance_prefixes) or 1
        prefixes = []
        for number in range(count):
            # Names in `inputs` can mean several layers, which can double in each block.
            self._count_work(entry.node, entry.path, len(sources) + len(use.bindings.nodes))
            prefix = f"{scope.prefix}{local_name}" + (f"_{number + 1}" if count > 1 else "")
            reuse_prefix = f"{use.instance_prefixes[number]}." if use.instance_prefixes else None
            if reuse_prefix is None and scope.reuse_prefix is not None:
                reuse_prefix = f"{scope.reuse_prefix}{local_name}."
            block_scope = NameScope(
                f"{prefix}.",
                use.bindings,
                self._output_layers,
                self._top_scope,
                inputs=sources,
                previous=sources,
                reuse_prefix=reuse_prefix,
                via=via,
            )
            block_scope.value_scopes = dict.fromkeys(use.bindings.nodes, block_scope) | use.value_scopes
            self._expand_entries(use.block.layers, block_scope, (*use.block.path, "layers"))
            assert self._last_outputs is not None
            sources = self._last_outputs
            prefixes.append(prefix)
        self._block_uses[scope.prefix + local_name] = replace(use, instance_prefixes=tuple(prefixes))
        self._open_blocks.pop()

    def _describe_block_use(self, entry: _Entry, block: BlockDefinition, scope: NameScope) -> str:
        """Return a sentence with the position at which a block is used, and the blocks around it."""
        outer = f", {scope.via[0].lower()}{scope.via[1:]}" if scope.via else "."
        position = describe_position(entry.node.mark, block.layers[0].mark)
        sentence = f"In the block `{block.name}`, used at {position}{outer}"
        return shorten_via(f"{sentence} {block.via}" if block.via and block.via not in sentence else sentence)

    def _resolve_block(self, entry: _Entry, scope: NameScope) -> _BlockUse | None:
        """Return the block that an entry uses or reuses; None for a layer or a malformed entry."""
        if entry.kind == "reuse" and isinstance(name := entry.value["reuse"].value, str):
            defining_scope = scope.find_defining_scope(entry.raw.find(("reuse",)))
            return self._block_uses.get(defining_scope.prefix + name) or self._block_uses.get(name)
        if entry.kind != "block":
            return None
        block_name = entry.value["block"].value
        if not isinstance(block_name, str) or block_name not in self._blocks:
            listed = list_names(self._blocks)
            otherwise = (
                f"Known names: {listed}."
                if listed
                else "Declare it at the top: `blocks: {name: {layers: [...]}}`."
            )
            hint = (
                did_you_mean(block_name, self._blocks, otherwise=otherwise)
                if isinstance(block_name, str)
                else otherwise
            )
            message = f"There is no block {quote_value(entry.value['block'].to_plain())}."
            self._report_problem(entry, ("block",), "unknown-block", message, hint)
            return None
        if len(self._open_blocks) >= _MAX_BLOCK_DEPTH:
            message = f"Blocks must not be nested deeper than {_MAX_BLOCK_DEPTH} levels."
            hint = "Replace some of the blocks with their layers."
            self._report_problem(entry, ("block",), "too-deep", message, hint)
            return None
        if block_name in self._open_blocks:
            cycle = " -> ".join([*self._open_blocks[self._open_blocks.index(block_name) :], block_name])
            message = f"The block `{block_name}` contains itself: {cycle}."
            hint = "Use a different block here, or write the layers."
            self._report_problem(entry, ("block",), "block-cycle", message, hint)
            return None
        return self._bind_parameters(entry, self._blocks[block_name], scope)

    def _bind_parameters(self, entry: _Entry, block: BlockDefinition, scope: NameScope) -> _BlockUse | None:
        """Return the block with values for all its parameters; None if one is missing."""
        self._count_work(entry.node, entry.path, len(block.params))
        self._check_block_keys(entry, block)
        values: dict[str, YamlNode] = {}
        value_scopes: dict[str, NameScope] = {}
        for name, node in self._block_arguments(entry).items():
            if name not in block.params:
                listed = list_names(block.params)
                otherwise = f"Its parameters: {listed}." if listed else "It has no parameters."
                message = f"The block `{block.name}` has no parameter {quote_value(name)}."
                hint = did_you_mean(name, block.params, otherwise=otherwise)
                self._report_problem(entry, ("with", name), "unknown-key", message, hint, at_key=True)
            values[name] = replace(node, written_path=node.written_path or (*entry.path, "with", name))
            value_scopes[name] = scope.find_defining_scope(entry.raw.find(("with", name)))
        defaults, required = self._resolve_defaults(block)
        missing = [name for name in required if name not in values]
        for name in missing:
            message = f"The block `{block.name}` requires the parameter `{name}`."
            self._report_problem(entry, ("block",), "missing-key", message, f"Add `with: {{{name}: ...}}`.")
        if missing:
            return None
        bindings = VariableBindings(
            defaults | values, block.name, self._variables, self._variables.text_budget
        )
        return _BlockUse(block, bindings, value_scopes, ())

    def _resolve_defaults(self, block: BlockDefinition) -> tuple[dict[str, YamlNode], list[str]]:
        """Return the defaults of a block's parameters with variables replaced, and the parameters without default."""
        if block.name not in self._block_defaults:
            defaults = {
                name: substitute_variables(
                    default, self._variables, default.written_path or (), self._problems
                )
                for name, default in block.params.items()
                if default is not None
            }
            required = [name for name, default in block.params.items() if default is None]
            self._block_defaults[block.name] = defaults, required
        return self._block_defaults[block.name]

    def _check_block_keys(self, entry: _Entry, block: BlockDefinition) -> None:
        """Report each key that an entry with a block must not have."""
        for key in entry.value:
            if key in _BLOCK_USE_KEYS:
                continue
            if key in block.params:
                hint = f"Pass it to the block: `with: {{{key}: ...}}`."
            else:
                otherwise = "Change the layers in the block, or declare a parameter of the block."
                hint = did_you_mean(key, _BLOCK_USE_KEYS, otherwise=otherwise)
            message = f"An entry with `block` has no key {quote_value(key)}."
            self._report_problem(entry, (key,), "unknown-key", message, hint, at_key=True)

    def _block_arguments(self, entry: _Entry) -> dict[str, YamlNode]:
        """Return the values of ``with``; report and ignore a malformed one."""
        arguments = entry.value.get("with")
        if arguments is None or arguments.value is None:
            return {}
        if isinstance(arguments.value, dict):
            return arguments.value
        message = (
            f"`with` must be a mapping of parameters to values, got {quote_value(arguments.to_plain())}."
        )
        self._report_problem(entry, ("with",), "wrong-type", message, "For example `with: {filters: 64}`.")
        return {}

    def _resolve_inputs(self, entry: _Entry, scope: NameScope, *, is_first: bool) -> YamlNode | None:
        """Return the inputs of an instance with full layer names; None for the previous layer in the list."""
        node = entry.value.get("inputs")
        if node is not None and (is_first or PREVIOUS in list_input_names(node)):
            try:
                return scope.rewire_inputs(node, entry.raw.find(("inputs",)))
            except TooManyInputsError:
                message = (
                    f"`inputs` must name at most {MAX_INPUTS:,} layers; in a block, `input` can name several."
                )
                self._report_problem(entry, ("inputs",), "out-of-range", message, "Remove some of them.")
                raise LayercliError(self._problems) from None
        if node is not None and isinstance(node.value, (list, dict)) and len(node.value) > 1:
            message = "With `repeat`, one of several `inputs` must be `previous`, the output of the previous repetition."
            self._report_problem(
                entry, ("inputs",), "bad-argument", message, "Replace one of them with `previous`."
            )
        before = scope.previous if scope.previous != self._last_outputs else None
        return None if before is None else make_implied_inputs(before, entry.node.mark)

    def _report_problem(
        self, entry: _Entry, steps: KeyPath, code: str, message: str, hint: str, *, at_key: bool = False
    ) -> None:
        node = replace(entry.node, written_path=entry.node.written_path or entry.path)
        self._problems.append(problem_in(node, steps, code, message, hint=hint, at_key=at_key))

    def _count_work(self, node: YamlNode, path: KeyPath, count: int) -> None:
        self._work += count
        if self._work > _MAX_WORK:
            message = f"The blocks and repeats of this config read more than {_MAX_WORK:,} values."
            hint = "Use smaller values of `repeat`."
            problem = problem_at(node.mark, "out-of-range", message, hint=hint, path=path)
            raise LayercliError([*self._problems, problem])

    def _raise_too_large(self, entry: _Entry) -> NoReturn:
        limit = f"{MAX_NODES:,} values" if self._value_count > MAX_NODES else f"{MAX_LAYERS:,} layers"
        message = f"The blocks and repeats of this config expand to more than {limit}."
        problem = problem_at(
            entry.node.mark, "out-of-range", message, hint="Use smaller values of `repeat`.", path=entry.path
        )
        raise LayercliError([*self._problems, problem])

"""The config language as JSON Schema (2020-12) for editors; it accepts every config that validation accepts."""

from __future__ import annotations

import inspect
import re
import types
import typing
from typing import Any, Final

from pydantic import BaseModel, BeforeValidator, PlainValidator, WithJsonSchema
from pydantic.fields import FieldInfo

from layercli.config.config import Config
from layercli.config.data.section import DATA_TYPES
from layercli.config.language.blocks import BLOCKS_KEY
from layercli.config.language.variables import VARS_KEY
from layercli.config.model import ModelSection
from layercli.config.training.registry import CALLBACKS, LOSSES, METRICS, OPTIMIZERS, SCHEDULES
from layercli.layers.feature_space import FeatureSpace
from layercli.layers.object_registry import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS
from layercli.layers.registry import LAYERS
from layercli.schema.component import Catalogue, Component, snake_case
from layercli.schema.strict_model import StrictModel, describe_type, flatten_metadata, to_plain
from layercli.source.extend import EXTENDS

JsonSchema = dict[str, Any]

CATALOGUES: Final[dict[str, Catalogue[Any]]] = {
    "layer": LAYERS,
    "initializer": INITIALIZERS,
    "regularizer": REGULARIZERS,
    "constraint": CONSTRAINTS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "loss": LOSSES,
    "metric": METRICS,
    "callback": CALLBACKS,
    "data": DATA_TYPES,
}
"""Kind of component, as references of the schema name it -> its catalogue."""
_SHORT_NAME_KINDS: Final = ("loss", "metric")
"""Kinds with short names in Keras, which depend on the target."""
_CUSTOM_KINDS: Final = ("loss", "metric", "optimizer", "schedule", "callback")
"""Kinds whose types can also name custom code, as those of layers."""
_FREE_NAME_KINDS: Final = ("initializer", "regularizer", "constraint")
"""Kinds whose bare names are passed to Keras unchanged."""
_LIMIT_KEYWORDS: Final = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
}
_REFERENCE_SCHEMA: Final = {"$ref": "#/$defs/reference"}
_INPUTS_SCHEMA: Final = {
    "description": "Inputs of this layer: a name, a list of names, or a mapping from the layer's input names.",
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        {"type": "object", "additionalProperties": {"type": ["string", "array"]}},
    ],
}
_ENTRY_PROPERTIES: Final = {
    "name": {
        "type": ["string", "null"],
        "description": "Name of the layer; defaults to the name of its type.",
    },
    "inputs": _INPUTS_SCHEMA,
    "repeat": {
        "description": "Number of repetitions in a row.",
        "anyOf": [{"type": "integer", "minimum": 1}, _REFERENCE_SCHEMA, {"type": "null"}],
    },
}


def config_schema() -> JsonSchema:
    """Return the schema of a complete config."""
    definitions: JsonSchema = {
        "reference": {
            "type": "string",
            "pattern": r"\$\{",
            "description": "${name} of a variable or parameter, or integer arithmetic such as ${name * 2}.",
        },
        "activation": {
            "anyOf": [{"enum": list(ACTIVATIONS)}, _any_case_schema(ACTIVATIONS), _REFERENCE_SCHEMA]
        },
    }
    for kind, catalogue in CATALOGUES.items():
        definitions |= _catalogue_definitions(kind, catalogue)
    definitions["entry"] = _entry_schema()
    definitions["block"] = _block_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://layercli.dev/config.schema.json",
        "title": "layercli config",
        "description": inspect.getdoc(Config),
        "type": "object",
        "properties": {key: {} for key in (*Config.model_fields, *Config.extra_keys)},
        "additionalProperties": False,
        # A config that extends a base may omit keys that the base has.
        "if": {"required": [EXTENDS]},
        "then": {"properties": {EXTENDS: _extends_schema()}},
        "else": {"$ref": "#/$defs/config"},
        "$defs": definitions | {"config": _top_level_schema(), "model": _model_schema()},
    }


def _top_level_schema() -> JsonSchema:
    properties = {
        name: _field_schema(field)
        for name, field in Config.model_fields.items()
        if name not in ("data", "model")
    }
    return {
        "properties": properties
        | {
            "data": {"anyOf": [{"$ref": "#/$defs/data"}, {"type": "null"}]},
            "model": {"$ref": "#/$defs/model"},
            VARS_KEY: {
                "type": ["object", "null"],
                "description": "Values of the variables, used as `${name}` or `${name * 2}` anywhere in the config.",
            },
            BLOCKS_KEY: {
                "type": ["object", "null"],
                "description": "Stacks of layers with parameters, used as {block: name, with: {...}}.",
                "additionalProperties": {"$ref": "#/$defs/block"},
            },
        },
        "required": ["model"],
    }


def _extends_schema() -> JsonSchema:
    return {
        "type": "string",
        "description": "Base config: mappings are merged, other values replace those of the base.",
    }


def _model_schema() -> JsonSchema:
    shape = {
        "anyOf": [
            {"type": "array", "items": {"anyOf": [{"type": ["integer", "null"]}, _REFERENCE_SCHEMA]}},
            {"type": "object", "required": ["shape"]},
            _REFERENCE_SCHEMA,
            {"type": "null"},
        ]
    }
    fields: dict[str, JsonSchema] = {
        name: {"description": field.description} for name, field in ModelSection.model_fields.items()
    }
    fields["input"] |= shape
    fields["inputs"] |= {
        "anyOf": [{"type": "object", "additionalProperties": shape}, _REFERENCE_SCHEMA, {"type": "null"}]
    }
    fields["layers"] |= {"type": "array", "items": {"$ref": "#/$defs/entry"}, "minItems": 1}
    fields |= {
        name: _field_schema(ModelSection.model_fields[name])
        for name in ("dtype", "weights", "freeze", "lora_rank")
    }
    fields["outputs"] |= {"type": ["string", "array", "null"]}
    return {"type": "object", "properties": fields, "required": ["layers"], "additionalProperties": False}


def _entry_schema() -> JsonSchema:
    """Return the schema of a list item: a layer, a use of a block, or a repeated call."""
    return {
        "if": {"type": "object", "required": ["block"]},
        "then": {
            "properties": {
                "block": {"type": "string", "description": "Name of the block."},
                "with": {"type": ["object", "null", "string"], "description": "Values of its parameters."},
                **_ENTRY_PROPERTIES,
            },
            "additionalProperties": False,
        },
        "else": {
            "if": {"type": "object", "required": ["reuse"], "not": {"required": ["type"]}},
            "then": {
                "properties": {
                    "reuse": {
                        "type": "string",
                        "description": "An earlier layer or block to call again.",
                    },
                    **_ENTRY_PROPERTIES,
                },
                "additionalProperties": False,
            },
            "else": {"$ref": "#/$defs/layer"},
        },
    }


def _block_schema() -> JsonSchema:
    params = {
        "description": "Defaults of the parameters; in a list, a bare name is a required parameter.",
        "anyOf": [{"type": ["object", "null"]}, {"type": "array", "items": {"type": ["string", "object"]}}],
    }
    layers = {"type": "array", "items": {"$ref": "#/$defs/entry"}, "minItems": 1}
    return {
        "type": "object",
        "properties": {"params": params, "layers": layers},
        "required": ["layers"],
        "additionalProperties": False,
    }


def _catalogue_definitions(kind: str, catalogue: Catalogue[Any]) -> JsonSchema:
    """Return a definition for each type of a kind, and one that selects among them by ``type``."""
    classes: dict[str, tuple[str, type[Component]]] = {
        catalogue.load(name).type_name(): (name, catalogue.load(name)) for name in catalogue.names
    }
    if kind == "layer":
        classes[FeatureSpace.type_name()] = (FeatureSpace.type_name(), FeatureSpace)
    patterns = {
        written: _make_spelling_pattern(written, name, catalogue) for written, (name, _) in classes.items()
    }
    choices: list[JsonSchema] = [
        {"enum": list(classes)},
        {"pattern": f"^(?:{'|'.join(patterns.values())})$"},
        _REFERENCE_SCHEMA,
    ]
    if kind == "layer":
        choices.append({"pattern": r":|^keras\.layers\."})
    elif kind in _CUSTOM_KINDS:
        choices.append({"pattern": ":"})
    names: JsonSchema = {"anyOf": choices, "type": "string"}
    conditions = [
        {
            "if": {"properties": {"type": {"type": "string", "pattern": f"^(?:{patterns[name]})$"}}},
            "then": {"$ref": f"#/$defs/{kind}.{name}"},
        }
        for name in classes
    ]
    name_schema = names
    if kind in _SHORT_NAME_KINDS:
        name_schema = {"type": "string", "anyOf": [{"enum": [snake_case(name) for name in classes]}, {}]}
    elif kind in _FREE_NAME_KINDS:
        name_schema = {"type": "string"}
    union = {
        "if": {"type": "object"},
        "then": {"properties": {"type": names}, "required": ["type"], "allOf": conditions},
        "else": name_schema,
    }
    return {kind: union} | {
        f"{kind}.{name}": _component_schema(cls, kind) for name, (_, cls) in classes.items()
    }


def _component_schema(cls: type[Component], kind: str) -> JsonSchema:
    fields = cls.model_fields
    properties = {name: _field_schema(field) for name, field in fields.items()}
    entry = _ENTRY_PROPERTIES if kind == "layer" else {}
    example = inspect.cleandoc(cls.__doc__ or "").partition("Example:")[0].replace("``", "`")
    return {
        "title": cls.type_name(),
        "description": " ".join(example.split()),
        "type": "object",
        "properties": {"type": {}, **entry, **properties},
        "required": ["type", *(name for name, field in fields.items() if field.is_required())],
        "additionalProperties": False,
    }


def _field_schema(field: FieldInfo) -> JsonSchema:
    """Return the schema of an argument with its description, default and examples."""
    schema = type_schema(field.annotation, list(field.metadata))
    choices = [schema, _REFERENCE_SCHEMA] if schema else []
    described_schema: JsonSchema = {"anyOf": choices} if choices else {}
    described_schema["description"] = (
        f"{field.description or ''} {describe_type(field).capitalize()}.".strip()
    )
    if not field.is_required():
        described_schema["default"] = to_plain(field.get_default(call_default_factory=True))
    if field.examples:
        described_schema["examples"] = [to_plain(example) for example in field.examples]
    return described_schema


def type_schema(annotation: Any, metadata: list[Any]) -> JsonSchema:
    """Return the schema of a type; empty, which accepts anything, if only a function validates it."""
    for item in metadata:
        if isinstance(item, WithJsonSchema):
            return dict(item.json_schema or {})
    if any(isinstance(item, PlainValidator) for item in metadata):
        return {}
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        inner, *extra = arguments
        return type_schema(inner, [*metadata, *flatten_metadata(extra)])
    if origin in (typing.Union, types.UnionType):
        parts = [
            {"type": "null"} if part is type(None) else type_schema(part, metadata) for part in arguments
        ]
        return {"anyOf": parts} if all(parts) else {}
    if origin is typing.Literal:
        texts = [item for item in arguments if isinstance(item, str)]
        any_case = any(isinstance(item, BeforeValidator) for item in metadata)
        choices: JsonSchema = {"enum": list(arguments)}
        return {"anyOf": [choices, _any_case_schema(texts)]} if any_case and texts else choices
    if any(isinstance(item, BeforeValidator) for item in metadata):
        return {}
    if origin in (list, tuple):
        inner = arguments[0] if arguments else Any
        items = type_schema(inner, []) if origin is list or len(set(arguments) - {...}) == 1 else {}
        return {"type": "array", "items": {"anyOf": [items, _REFERENCE_SCHEMA]} if items else {}}
    return _scalar_schema(annotation, metadata)


def _scalar_schema(annotation: Any, metadata: list[Any]) -> JsonSchema:
    scalars: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
    if annotation in scalars:
        limits = {
            keyword: getattr(item, name)
            for item in metadata
            for name, keyword in _LIMIT_KEYWORDS.items()
            if getattr(item, name, None) is not None
        }
        return {"type": scalars[annotation], **limits}
    if annotation is dict or typing.get_origin(annotation) is dict:
        return {"type": "object"}
    if isinstance(annotation, type) and issubclass(annotation, StrictModel):
        return _strict_model_schema(annotation)
    return {}


def _strict_model_schema(cls: type[BaseModel]) -> JsonSchema:
    fields = cls.model_fields
    return {
        "type": "object",
        "properties": {name: _field_schema(field) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.is_required()],
        "additionalProperties": False,
    }


def _any_case_schema(words: typing.Iterable[str]) -> JsonSchema:
    return {"type": "string", "pattern": f"^(?:{'|'.join(map(_word_pattern, words))})$"}


def _make_spelling_pattern(type_name: str, class_name: str, catalogue: Catalogue[Any]) -> str:
    """Return a pattern of every spelling of a type: any case, optional ``_`` and ``-``, and Keras's aliases."""
    aliases = [alias for alias, meant in catalogue.aliases.items() if meant == class_name]
    return "|".join(dict.fromkeys(_word_pattern(name) for name in (type_name, class_name, *aliases)))


def _word_pattern(word: str) -> str:
    letters = re.sub("[_-]", "", word)
    any_case = (f"[{char.lower()}{char.upper()}]" if char.isalpha() else re.escape(char) for char in letters)
    return "[-_]*" + "".join(f"{char}[-_]*" for char in any_case)

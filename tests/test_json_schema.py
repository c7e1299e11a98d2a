"""The JSON Schema accepts every valid config and rejects common errors."""

import json
import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from layercli.check import check_config
from layercli.config.training.registry import CALLBACKS, LOSSES, METRICS, OPTIMIZERS
from layercli.json_schema import config_schema
from layercli.layers.registry import LAYERS
from layercli.reports.catalogue import parse_layer_example
from tests.docs.test_language_and_tables import EXAMPLES
from tests.running import CONFIGS, invoke


@cache
def validator():
    """Return a validator of configs. Building the schema takes a second, which processes save that only collect."""
    return Draft202012Validator(config_schema())


def errors(document):
    return [error.message for error in validator().iter_errors(document)]


def layer_errors(layer):
    """Return the errors of a layer by the definition of its type; a whole config tries the names of all types."""
    name = LAYERS.load(layer["type"]).type_name()
    definition = {"$ref": f"#/$defs/layer.{name}", "$defs": validator().schema["$defs"]}
    return [error.message for error in Draft202012Validator(definition).iter_errors(layer)]


def stack(*layers, **sections):
    return {"model": {"input": [4], "layers": list(layers)}, **sections}


def own_example(name):
    """Return the example of a layer, without the layer that runs it."""
    example = parse_layer_example(name)
    if example["type"] == name:
        return example
    return example["cell"] if "cell" in example else example["layers"][0]


def test_schema_is_valid():
    schema, seen = deepcopy(validator().schema), set()
    for definition in schema["$defs"].values():
        fields = definition.get("properties", {})
        for key, field in fields.items():
            text = json.dumps(field)
            if text in seen:
                fields[key] = True  # many layers have the same argument; checking it takes time
            seen.add(text)
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configs_match_schema(path):
    assert errors(yaml.load(path.read_text(), Loader=_Loader)) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_language_examples_match_schema(name):
    assert errors(yaml.load(EXAMPLES[name], Loader=_Loader)) == []


class _Loader(yaml.SafeLoader):
    """PyYAML with the numbers of YAML 1.2."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+"),
    list("-+0123456789"),
)


@pytest.mark.parametrize("name", LAYERS.names)
def test_layer_examples_match_and_unknown_arguments_fail(name):
    assert errors(stack(parse_layer_example(name))) == []
    example = own_example(name)
    assert layer_errors(example | {"no_such_argument": 1})
    required = [key for key, field in LAYERS.load(name).model_fields.items() if field.is_required()]
    for key in required:
        assert layer_errors({k: v for k, v in example.items() if k != key}), key


@pytest.mark.parametrize("name", LAYERS.names)
def test_layer_defaults_match_schema(name):
    written = LAYERS.parse(parse_layer_example(name)).to_plain()
    assert layer_errors(written) == []


@pytest.mark.parametrize(
    ("key", "catalogue"),
    [("optimizer", OPTIMIZERS), ("loss", LOSSES), ("metrics", METRICS), ("callbacks", CALLBACKS)],
)
def test_training_components_as_name_or_mapping(key, catalogue):
    for name in catalogue.names:
        fields = catalogue.load(name).model_fields
        required = {key: field.examples[0] for key, field in fields.items() if field.is_required()}
        for value in [{"type": name, **required}] + ([name, name.lower()] if not required else []):
            train = {"loss": "mse", key: value if key in ("optimizer", "loss") else [value]}
            assert errors(stack("Flatten", train=train)) == [], value
        wrong = {"type": name, **required, "no_such_argument": 1}
        train = {"loss": "mse", key: wrong if key in ("optimizer", "loss") else [wrong]}
        assert errors(stack("Flatten", train=train)), name


SPELLINGS = [
    "dense",
    "DENSE",
    "conv_2d",
    "max_pooling2d",
    "MaxPool2D",
    "max-pool-2d",
    "lstm",
    "Conv-2D",
    "re_lu",
    "ReLU",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_type_spellings_keep_their_arguments(spelling):
    cls = LAYERS.look_up(spelling)
    required = {key: field.examples[0] for key, field in cls.model_fields.items() if field.is_required()}
    assert errors(stack({"type": spelling, **required})) == []
    assert errors(stack({"type": spelling, **required, "no_such_argument": 1}))


VALUES = [
    0,
    1,
    -1,
    3,
    2.5,
    "relu",
    "3",
    "same",
    "SAME",
    "channels_first",
    True,
    None,
    [1, 2],
    [3, 3],
    [],
    {"type": "L2"},
    "${x}",
]


@pytest.mark.parametrize("name", LAYERS.names)
def test_schema_accepts_every_valid_argument(name):
    """Try many values for every argument: the schema may accept more than the check, never less."""
    cls, example = LAYERS.load(name), own_example(name)
    for key in cls.model_fields:
        for value in VALUES:
            layer = example | {key: value}
            if key == "use_cudnn" and value in (0, 1):
                continue  # 0 and 1 equal false and true in Python
            taken = "${" in str(value)
            try:
                LAYERS.parse(layer)
                taken = True
            except ValueError:
                pass
            if taken:
                assert layer_errors(layer) == [], layer


@pytest.mark.parametrize(
    "document",
    [
        stack("Dens"),
        stack({"type": "Dens", "units": 3}),
        stack({"type": "Dense", "units": "3"}),
        stack({"type": "Dense", "units": -3}),
        stack({"type": "Dense", "units": 3, "activation": "sofmax"}),
        stack({"type": "LSTM", "units": 3, "return_sequences": "yes"}),
        stack({"type": "Bidirectional", "layer": {"type": "LSTM", "unit": 3}}),
        stack({"block": "b", "units": 3}),
        stack({"reuse": "b", "units": 3}),
        stack("Flatten", trian={}),
        stack("Flatten", train={"epochs": 3}),
        stack("Flatten", train={"loss": "mse", "optimizer": "adamm"}),
        stack("Flatten", train={"loss": "mse", "epochs": 0}),
        stack("Flatten", data={"type": "sklearn", "dataset": "moons"}),
        stack("Flatten", blocks={"b": {"layer": []}}),
        {"model": {"input": [4]}},
        {"name": "x"},
        {"extends": 3},
        {"extends": "base.yaml", "modle": {}},
    ],
)
def test_schema_rejects_invalid_configs(document, tmp_path):
    assert errors(document)
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(document))
    assert not check_config(str(path)).ok


def test_descriptions_and_references_are_complete():
    text = json.dumps(validator().schema)
    for part in text.split('"$ref": "#/$defs/')[1:]:
        assert part.partition('"')[0] in validator().schema["$defs"]
    for name, definition in validator().schema["$defs"].items():
        if "." in name:
            assert definition["description"], name
            for key, field in definition["properties"].items():
                assert key == "type" or field["description"], (name, key)


def test_schema_command_prints_or_writes(tmp_path):
    printed = invoke("schema").stdout
    assert json.loads(printed) == json.loads(json.dumps(validator().schema))
    assert invoke("schema", "--json").stdout == printed
    assert invoke("schema", "--output", tmp_path / "s.json").exit_code == 0
    assert (tmp_path / "s.json").read_text() == printed
    assert invoke("schema", "--output", tmp_path / "none" / "s.json").exit_code == 1
    assert list(Path(tmp_path).iterdir()) == [tmp_path / "s.json"]

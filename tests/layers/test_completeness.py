"""Keras's public names and arguments against the catalogue: new names in Keras fail this test."""

import inspect

import keras
import pytest
import yaml

from layercli.engine.keras_objects import keras_object
from layercli.layers.object_registry import (
    ACTIVATIONS,
    CONSTRAINTS,
    INITIALIZERS,
    REGULARIZERS,
    UNUSABLE_ACTIVATIONS,
)
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import ShapeError, Tensor
from layercli.reports.catalogue import parse_layer_example
from layercli.source.nodes import normalize_type_name
from tests.layers.parity import assert_parity, static

OTHERS = [
    (INITIALIZERS, keras.initializers),
    (REGULARIZERS, keras.regularizers),
    (CONSTRAINTS, keras.constraints),
]

NO_LAYERS = {"InputSpec"}
"""Classes in ``keras.layers`` that are not layers."""

BY_OTHER_MEANS = {
    "name": "a reserved key of an entry",
    "weights": "numbers are no part of a config",
    "quantization_config": "an object that only code can make",
    "bounding_box_format": "a stack hands images on, not boxes",
}
"""Arguments that no class of the catalogue has as a field."""

SET_BY_KERAS = {
    "cell": "the layer makes its own cell",
    "rank": "part of the class's name",
    "pool_dimensions": "part of the class's name",
    "pool_mode": "part of the class's name",
    "factor": "refused by classes that have factors of their own",
}
"""Arguments of base classes that their subclasses set themselves."""

NO_USE_FOR_FACTOR = {
    "ContrastLimitedAdaptiveHistogramEqualization",
    "Equalization",
    "MaxNumBoundingBoxes",
    "MixUp",
    "RandomColorJitter",
    "RandomCrop",
}
"""Classes that take a factor only since their base does."""

LEFT_OUT = {
    "EinsumDense": {"gptq_unpacked_column_size"},  # for weights that are quantized already
    "AdditiveAttention": {"score_mode"},  # the other scores are those of Attention
    "ActivityRegularization": {"activity_regularizer"},  # made of l1 and l2
    "HashedCrossing": {"activity_regularizer", "trainable", "autocast"},  # has neither weights nor floats
    "IntegerLookup": {"activity_regularizer", "autocast"},  # has no floats
    "StringLookup": {"activity_regularizer", "autocast", "vocabulary_dtype"},  # the dtype is text
}
"""Arguments of single classes that would do nothing."""

ONLY_OURS = {"Pipeline": {"dtype"}}
"""Keras's class takes it by ``**kwargs`` of no base that names it."""

LAYER_NAMES = [name for name, module in LAYERS.modules.items() if module != "applications"]
"""Types that are classes of ``keras.layers``; tests/layers/test_applications.py tests the others."""

SHAPES = [
    (None, 8),
    (None, 8, 6),
    (None, 8, 8, 3),
    (None, 6, 8, 8, 3),
    (None, 4, 6, 8, 8, 3),
    (None,),
    (None, 784),
    (None, 32, 32, 3),
    (None, 16000, 1),
    (None, 16000),
]
"""Some layer's input each."""


def public_classes(home):
    return [name for name in dir(home) if not name.startswith("_") and inspect.isclass(getattr(home, name))]


def arguments_of(cls):
    """Each argument that a constructor takes, by name or for a base by ``**kwargs``, with its default."""
    found = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(parameter.name, parameter.default)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def alike(value):
    """Return a default in comparable form: one size per axis, normalized names."""
    if isinstance(value, (list, tuple)):
        items = [alike(item) for item in value]
        return items[0] if items and all(item == items[0] for item in items) else items
    return (
        normalize_type_name(value)
        if isinstance(value, str)
        else "required"
        if value is inspect.Parameter.empty
        else value
    )


def assert_same_arguments(catalogue, home, name, left_out=frozenset()):
    fields = catalogue.load(name).model_fields
    theirs = {
        key: alike(value) for key, value in arguments_of(getattr(home, name)).items() if key not in left_out
    }
    ours = {key: "required" if field.is_required() else alike(field.default) for key, field in fields.items()}
    assert {key for key in theirs if key not in ours} == set(), f"Keras's {name} has arguments that we lack"
    in_call = set(getattr(catalogue.load(name), "call_arguments", ()))
    extra = {key for key in ours if key not in theirs} - ONLY_OURS.get(name, set()) - in_call
    assert extra == set(), f"our {name} has arguments that Keras's lacks"
    if name == "CategoryEncoding":
        theirs["num_tokens"] = "required"  # None is refused by Keras's constructor
    differing = {key: (ours[key], theirs[key]) for key in theirs if ours[key] != theirs[key]}
    assert differing == {}, f"{name}: defaults of ours, and of Keras"


def test_every_public_layer_is_in_the_catalogue_or_refused():
    missing = [
        name
        for name in public_classes(keras.layers)
        if name not in NO_LAYERS and LAYERS.find(name) is None and name not in LAYERS.unavailable
    ]
    assert missing == [], "Keras has layers that layercli neither describes nor refuses"


@pytest.mark.parametrize("name", [name for name in public_classes(keras.layers) if LAYERS.find(name)])
def test_layer_names_resolve_to_keras_classes(name):
    cls = getattr(keras.layers, name)
    assert getattr(keras.layers, LAYERS.find(name)) is cls
    for spelling in (name.lower(), keras.src.utils.naming.to_snake_case(name), name.upper()):
        assert LAYERS.find(spelling) == LAYERS.find(name)


def test_described_and_unavailable_layers_are_disjoint_keras_names():
    assert not set(LAYERS.names) & set(LAYERS.unavailable)
    ours = [*LAYER_NAMES, *LAYERS.aliases, *LAYERS.unavailable]
    assert [name for name in ours if not hasattr(keras.layers, name)] == ["BatchNorm", "LayerNorm"]


@pytest.mark.parametrize("name", LAYER_NAMES)
def test_a_layer_has_the_arguments_and_defaults_of_keras(name):
    cls = getattr(keras.layers, name)
    fixed = {key for key in SET_BY_KERAS if key not in inspect.signature(cls).parameters}
    if getattr(cls, "_USE_BASE_FACTOR", False) and name not in NO_USE_FOR_FACTOR:
        fixed -= {"factor"}
    assert_same_arguments(LAYERS, keras.layers, name, set(BY_OTHER_MEANS) | fixed | LEFT_OUT.get(name, set()))


@pytest.mark.parametrize("name", LAYER_NAMES)
def test_layer_accepts_its_keras_config(name):
    layer = keras_object(
        next(layer for layer in held(LAYERS.parse(parse_layer_example(name))) if layer.type_name() == name)
    )
    settled = {
        "LayerNormalization": {"rms_scaling"},  # deprecated; another layer does it
        "IntegerLookup": {"vocabulary_size"},
        "StringLookup": {"vocabulary_size"},
        "TextVectorization": {"vocabulary_size"},  # counted by Keras
    }.get(name, set())
    written = set(layer.get_config()) - set(BY_OTHER_MEANS) - settled
    assert written - set(LAYERS.load(name).model_fields) == set()


@pytest.mark.parametrize(("catalogue", "home"), OTHERS, ids=lambda item: getattr(item, "noun", ""))
def test_initializers_regularizers_and_constraints_are_those_of_keras(catalogue, home):
    bases = {"Initializer", "Regularizer", "Constraint"}
    assert [name for name in public_classes(home) if name not in bases and catalogue.find(name) is None] == []
    aliases = [
        name for name in dir(home) if not name.startswith("_") and inspect.isclass(getattr(home, name))
    ]
    for name in set(aliases) - bases:
        assert getattr(home, catalogue.find(name)) is getattr(home, name)
    for name in catalogue.names:
        assert_same_arguments(catalogue, home, name)
        cls = catalogue.load(name)
        assert cls.__doc__
        assert not [key for key, field in cls.model_fields.items() if not field.description]
        assert keras_object(catalogue.parse(name)).get_config() == getattr(home, name)().get_config()


@pytest.mark.parametrize(
    "name", ["uniform", "normal", "zero", "one", "glorot_uniform", "l1", "l1l2", "max_norm"]
)
def test_short_names_match_keras(name):
    for catalogue, home in OTHERS:
        if catalogue.find(name):
            assert type(home.get(name)) is getattr(home, catalogue.find(name))


def test_activations_are_those_of_keras():
    functions = {name for name in dir(keras.activations) if not name.startswith("_")}
    assert functions - {"get", "serialize", "deserialize"} == {*ACTIVATIONS, *UNUSABLE_ACTIVATIONS}


@pytest.mark.parametrize("name", LAYERS.names)
def test_a_layer_is_documented(name):
    cls = LAYERS.load(name)
    lines = (cls.__dict__["__doc__"] or "").strip().splitlines()
    assert lines[0].endswith(".")
    assert len(lines[0]) <= 120
    assert not [key for key, field in cls.model_fields.items() if not field.description]
    assert parse_layer_example(name) == yaml.safe_load(cls.__doc__.split("Example:")[1])
    assert [
        key for key, field in cls.model_fields.items() if field.is_required() and not field.examples
    ] == []


@pytest.mark.parametrize("name", LAYER_NAMES)
def test_the_example_of_a_layer_runs_and_agrees_with_keras(name):
    example = parse_layer_example(name)
    assert any(layer.type_name() == name for layer in held(LAYERS.parse(example)))
    count = 2 if LAYERS.modules[name] in ("merging", "attention") or name == "HashedCrossing" else 1
    call = (lambda layer, tensors: layer(*tensors)) if "Query" in name or "MultiHead" in name else None
    accepted = 0
    for dtype in ("float32", "int64", "string"):
        for shape in SHAPES:
            if not isinstance(static(example, *[Tensor(shape, dtype)] * count), str):
                accepted += 1
                assert_parity(example, *[shape] * count, dtype=dtype, call=call)
        if accepted:
            return
    raise AssertionError(f"no input fits the example of {name}")


def held(layer):
    """A layer, and those inside it."""
    yield layer
    for value in layer.arguments().values():
        for item in value if isinstance(value, list) else [value]:
            if hasattr(item, "infer"):
                yield from held(item)


def test_error_for_a_cell_as_a_layer():
    with pytest.raises(ShapeError, match="cannot be used as a layer"):
        LAYERS.parse({"type": "LSTMCell", "units": 2}).infer((Tensor((None, 3)),))

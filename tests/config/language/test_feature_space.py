"""FeatureSpace is written out as inputs and layers, and its problems are at the line of the feature."""

import json

import pytest

from layercli.check import check_config
from layercli.layers.feature_space import FEATURE_KINDS
from tests.running import invoke

DATA = "data: {type: csv, path: t.csv, target: y}\n"
HEAD = "    - {type: Dense, units: 1}\n"


@pytest.fixture
def check(tmp_path):
    def check(space, *, data=DATA, head=HEAD, model=""):
        lines = "".join(f"      {line}\n" for line in space.strip().splitlines())
        path = tmp_path / "c.yaml"
        path.write_text(f"{data}model:\n{model}  layers:\n    - type: FeatureSpace\n{lines}{head}")
        return check_config(str(path))

    return check


def layers(checked):
    assert checked.problems == [], checked.problems
    return [
        (row.node.name, row.node.type_name, row.node.input_references, row.outputs[0].shape[1])
        for row in checked.shapes.rows
    ]


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("float", [("a_preprocessor", "Identity", 1)]),
        ("float_rescaled", [("a_preprocessor", "Rescaling", 1)]),
        ("{type: float_rescaled, scale: 0.1, offset: 1}", [("a_preprocessor", "Rescaling", 1)]),
        ("float_normalized", [("a_preprocessor", "Normalization", 1)]),
        (
            "float_discretized",
            [("a_preprocessor", "Discretization", 1), ("a_encoding", "CategoryEncoding", 32)],
        ),
        (
            "{type: float_discretized, bin_boundaries: [0.0, 1.0]}",
            [("a_preprocessor", "Discretization", 1), ("a_encoding", "CategoryEncoding", 3)],
        ),
        ("integer_categorical", [("a_preprocessor", "IntegerLookup", None)]),
        ("string_categorical", [("a_preprocessor", "StringLookup", None)]),
        ("integer_hashed", [("a_preprocessor", "Hashing", 1), ("a_encoding", "CategoryEncoding", 32)]),
        (
            "{type: string_hashed, num_bins: 5}",
            [("a_preprocessor", "Hashing", 1), ("a_encoding", "CategoryEncoding", 5)],
        ),
    ],
)
def test_layers_of_a_feature(check, feature, expected):
    checked = check(f"features: {{a: {feature}}}")
    (*found, joined, _) = layers(checked)
    assert [(name, kind, size) for name, kind, _, size in found] == expected
    assert joined[:2] == ("feature_space", "Identity")
    kind = feature.strip("{").removeprefix("type: ").split(",")[0]
    assert checked.config.model.inputs["a"].dtype == FEATURE_KINDS[kind].dtype


def test_defaults_of_sizes_are_arguments_of_the_space(check):
    checked = check(
        "features: {a: float_discretized, b: string_hashed}\n"
        "crosses: [[a, b]]\nnum_discretization_bins: 4\nhashing_dim: 6\ncrossing_dim: 9\nname: all"
    )
    assert layers(checked)[-3:] == [
        ("a_X_b", "HashedCrossing", ("a_preprocessor", "b_preprocessor"), 9),
        ("all", "Concatenate", ("a_encoding", "b_encoding", "a_X_b"), 19),
        ("dense", "Dense", ("all",), 1),
    ]


def test_features_are_joined_by_name_then_crosses(check):
    space = (
        "features: {z: float, b: string_categorical, a: {type: integer_categorical, max_tokens: 7}}\n"
        "crosses: [[b, a], {feature_names: [a, b], crossing_dim: 8, output_mode: one_hot}]"
    )
    found = layers(check(space))
    joined = found[-2]
    assert joined[2] == ("a_preprocessor", "b_preprocessor", "z_preprocessor", "a_X_b", "b_X_a")
    assert [name for name, *_ in found].count("a_index") == 1
    crossed = {name: (inputs, size) for name, kind, inputs, size in found if kind == "HashedCrossing"}
    assert crossed == {"a_X_b": (("a_index", "b_index"), 8), "b_X_a": (("b_index", "a_index"), 32)}


def test_columns_become_inputs_of_the_data(check):
    checked = check(
        'features: {"full name": string_categorical, "previous": float, "_x": float, "über": float}'
    )
    data = checked.config.data
    assert data.inputs == {
        "full_name": ["full name"],
        "previous_2": ["previous"],
        "column_x": ["_x"],
        "column_ber": ["über"],
    }
    assert data.types == {"full name": "text"}
    assert list(checked.config.model.inputs) == list(data.inputs)


@pytest.mark.parametrize("data_type", ["csv", "Parquet", "jsonl", "feather"])
def test_text_columns_of_every_type_of_table_stay_texts(check, data_type):
    data = f"data: {{type: {data_type}, path: t.table, target: y}}\n"
    checked = check("features: {a: string_categorical, b: float}", data=data)
    assert checked.config.data.types == {"a": "text"}


def test_declared_inputs_and_types_are_kept(check):
    data = "data: {type: csv, path: t.csv, target: y, inputs: {a: a, more: [c, d]}, types: {b: number}}\n"
    head = "    - {type: Concatenate, inputs: [feature_space, more]}\n    - {type: Dense, units: 1}\n"
    checked = check(
        "features: {a: float, b: string_categorical}", data=data, head=head, model="  inputs: {more: [2]}\n"
    )
    assert checked.problems == []
    assert checked.config.data.inputs == {"a": ["a"], "more": ["c", "d"], "b": ["b"]}
    assert checked.config.data.types == {"b": "number"}


def test_variables_and_blocks_are_expanded_first(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        f"vars: {{bins: 6}}\n{DATA}blocks: {{unit: {{layers: [{{type: Dense, units: 3}}]}}}}\nmodel:\n  layers:\n"
        "    - {type: FeatureSpace, features: {a: {type: float_discretized, num_bins: '${bins}'}, b: float}}\n"
        "    - {block: unit, repeat: 2}\n"
    )
    checked = check_config(str(path))
    assert [(row.node.name, row.outputs[0].shape[1]) for row in checked.shapes.rows][-3:] == [
        ("feature_space", 7),
        ("unit.dense", 3),
        ("unit_1.dense", 3),
    ]


@pytest.mark.parametrize(
    ("space", "code", "path", "line", "hint"),
    [
        ("features:\n  a: flaot", "unknown-type", "features.a", 6, "Did you mean `float`?"),
        ("features:\n  a: {type: strings}", "unknown-type", "features.a.type", 6, None),
        ("features:\n  a: 3", "wrong-type", "features.a", 6, None),
        ("features:\n  a: {scale: 3}", "wrong-type", "features.a", 6, None),
        (
            "features:\n  a: {type: float_discretized, bins: 3}",
            "unknown-key",
            "features.a.bins",
            6,
            "Did you mean `num_bins`?",
        ),
        (
            "features:\n  a: {type: float, num_bins: 3}",
            "unknown-key",
            "features.a.num_bins",
            6,
            "It has no arguments.",
        ),
        (
            "features:\n  a: {type: string_hashed, output_mode: int}",
            "unknown-value",
            "features.a.output_mode",
            6,
            "Remove it, or set `output_mode: dict` of the FeatureSpace, which then has an output for each feature.",
        ),
        (
            "features:\n  b: float\n  a: {type: string_categorical, max_tokens: 1}",
            "out-of-range",
            "features.a.max_tokens",
            7,
            None,
        ),
        ("features: {a: float}\nbins: 3", "unknown-key", "bins", 6, None),
        ("features: {a: float}\noutput_mode: list", "unknown-value", "output_mode", 6, None),
        ("features: {}", "empty", "features", 5, "For example `features: {age: float_normalized}`."),
        ("features: [a]", "wrong-type", "features", 5, None),
        ("feature: {a: float}", "unknown-key", "feature", 5, "Did you mean `features`?"),
        (
            "features: {a: string_hashed, b: float}\ncrosses: [[a, c]]",
            "unknown-name",
            "crosses[0][1]",
            6,
            None,
        ),
        (
            "features: {a: string_hashed, b: float}\ncrosses: [[a, b]]",
            "bad-argument",
            "crosses[0][1]",
            6,
            'Use `{type: float_discretized, num_bins: 10}` for "b", or remove the cross.',
        ),
        (
            "features: {a: string_hashed}\ncrosses: [[a]]",
            "wrong-type",
            "crosses[0]",
            6,
            "For example `crosses: [[job, city]]`.",
        ),
        (
            "features: {a: string_hashed, b: string_hashed}\ncrosses: [{feature_names: [a, b], crossing_dim: 0}]",
            "wrong-type",
            "crosses[0].crossing_dim",
            6,
            "For example `crossing_dim: 32`.",
        ),
        (
            "features: {a: string_hashed, b: string_hashed}\ncrosses: [{feature_names: [a, b], output_mode: none}]",
            "unknown-value",
            "crosses[0].output_mode",
            6,
            "Remove `output_mode`.",
        ),
        (
            "features: {a: string_hashed, b: string_hashed}\ncrosses: [{feature_names: [a, b], dim: 3}]",
            "unknown-key",
            "crosses[0].dim",
            6,
            None,
        ),
    ],
)
def test_problem_is_at_the_line_of_the_feature(check, space, code, path, line, hint):
    (problem,) = check(space).problems
    assert (problem.code, problem.path, problem.line) == (code, f"model.layers[0].{path}", line)
    assert hint is None or problem.hint == hint


DICT = """
output_mode: dict
features:
  a: {type: string_categorical, output_mode: int}
  b: {type: float_discretized, output_mode: int}
  c: {type: string_hashed, num_bins: 5}
crosses: [[a, c], {feature_names: [a, b], crossing_dim: 8, output_mode: int}]
"""


def test_dict_has_an_output_for_each_feature_and_cross(check):
    head = """\
    - {type: Concatenate, inputs: [feature_space.a, feature_space.b, feature_space.a_X_b]}
    - {type: Rescaling, scale: 0.1}
    - {type: Concatenate, name: all, inputs: [rescaling, feature_space.c, feature_space.a_X_c]}
"""
    rows = {name: (inputs, size) for name, _, inputs, size in layers(check(DICT, head=head + HEAD))}
    assert rows["feature_space.a"] == (("a_preprocessor",), 1)
    assert rows["feature_space.c"] == (("c_encoding",), 5)
    assert rows["feature_space.a_X_b"] == (("a_X_b",), 1)
    assert rows["a_X_b"] == (("a_preprocessor", "b_preprocessor"), 1)
    assert rows["all"] == (("rescaling", "feature_space.c", "feature_space.a_X_c"), 3 + 5 + 32)


def test_layer_after_a_dict_must_name_its_input(check):
    (problem,) = check(DICT).problems
    assert (problem.code, problem.line) == ("missing-key", 11)
    assert problem.hint == "For example `inputs: feature_space.a`."


def test_every_mistake_is_reported_once(check):
    found = check(
        "features:\n  a: flaot\n  b: {type: float, x: 1}\n  c: string_hashed\ncrosses: [[c, d], [c, b]]\ndim: 3"
    ).problems
    assert [(problem.code, problem.line) for problem in found] == [
        ("unknown-type", 6),
        ("unknown-key", 7),
        ("unknown-name", 9),
        ("unknown-key", 10),
    ]


def test_space_after_other_layers_is_an_error(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "model:\n  layers:\n    - {type: Dense, units: 1}\n    - {type: feature_space, features: {a: float}}\n"
    )
    (problem,) = check_config(str(tmp_path / "c.yaml")).problems
    assert (problem.code, problem.line, problem.hint) == (
        "bad-argument",
        4,
        "Move it to the start of `layers`.",
    )


def test_single_input_cannot_be_combined(check):
    (problem,) = check("features: {a: float}", model="  input: [3]\n").problems
    assert (problem.code, problem.path, problem.hint) == ("bad-argument", "model.input", "Remove `input`.")


def test_missing_and_text_columns_are_reported_at_the_feature(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(f"{n},t{n},{n}\n" for n in range(20)))
    for feature, line in (("bb: float", 6), ("b: float", 6)):
        (tmp_path / "c.yaml").write_text(
            f"{DATA}model:\n  layers:\n    - type: FeatureSpace\n      features:\n        {feature}\n        a: float\n"
            f"{HEAD}train: {{loss: mse}}\n".replace("t.csv", str(tmp_path / "t.csv"))
        )
        document = json.loads(invoke("inspect-data", tmp_path / "c.yaml", "--json").stdout)
        assert not document["ok"]
        errors = [problem for problem in document["problems"] if problem["severity"] == "error"]
        assert {problem["line"] for problem in errors} == {line}


def test_too_many_features_are_refused(check):
    names = ", ".join(f"c{n}: float" for n in range(2001))
    (problem,) = check(f"features: {{{names}}}").problems
    assert (problem.code, problem.path) == ("out-of-range", "model.layers[0].features")


def test_layers_command_describes_it():
    for spelling in ("FeatureSpace", "feature_space", "keras.utils.FeatureSpace"):
        document = json.loads(invoke("layers", spelling, "--json").stdout)
        assert [argument["name"] for argument in document["arguments"]] == [
            "features",
            "output_mode",
            "crosses",
            "crossing_dim",
            "hashing_dim",
            "num_discretization_bins",
        ]
    assert "FeatureSpace" in invoke("layers").stdout

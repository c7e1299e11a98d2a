"""Expansion of blocks, repeats and variables, and positions of problems in them."""

from pathlib import Path

import pytest

from layercli.check import check_config, require_valid
from layercli.config.language.expand import name_entries
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText

UNIT = """
blocks:
  unit:
    params: {width: 8, act: relu}
    layers:
      - {type: Dense, name: dense, units: "${width}"}
      - {type: Activation, activation: "${act}"}
"""


@pytest.fixture
def checked(tmp_path):
    def checked(text, *overrides, **files):
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return check_config(str(path), overrides)

    return checked


@pytest.fixture
def layers(checked):
    """Return a function that lists name, inputs and output shape of each expanded layer."""

    def layers(text, *overrides, **files):
        found = checked(text, *overrides, **files)
        assert not found.problems, found.problems
        return [
            (row.node.name, row.node.input_references, row.outputs[0].shape[1:])
            for row in require_valid(found).shapes.rows
        ]

    return layers


@pytest.fixture
def problems(checked):
    def problems(text, *overrides, **files):
        return [
            (found.code, found.line, found.full_message, found.hint)
            for found in checked(text, *overrides, **files).problems
        ]

    return problems


def stack(*entries, top="", shape="[4]", outputs=""):
    """Return a config; without ``top``, its input is on line 2 and its first layer on line 4."""
    lines = "".join(f"    - {entry}\n" for entry in entries)
    return f"{top.lstrip()}model:\n  input: {shape}\n  layers:\n{lines}{outputs}"


def test_block_prefixes_layer_names(layers):
    assert layers(stack("{block: unit}", "{block: unit, with: {width: 3, act: tanh}}", top=UNIT)) == [
        ("unit.dense", ("input",), (8,)),
        ("unit.activation", ("unit.dense",), (8,)),
        ("unit_1.dense", ("unit.activation",), (3,)),
        ("unit_1.activation", ("unit_1.dense",), (3,)),
    ]


def test_repeated_layers_are_numbered_in_order(layers):
    text = stack("{type: Dense, units: 2}", "{type: Dense, units: 3, repeat: 2}", "{type: Dense, units: 1}")
    assert [name for name, _, _ in layers(text)] == ["dense", "dense_1", "dense_2", "dense_3"]


def test_name_of_a_repeat_refers_to_the_last_repetition(layers):
    text = stack(
        "{type: Dense, name: stem, units: 2}",
        "{type: Dense, name: hidden, units: 2, repeat: 2}",
        "{block: unit, name: stage, repeat: 2, with: {width: 2}}",
        "{type: Add, inputs: [stem, hidden, stage, stage_1]}",
        top=UNIT,
    )
    assert layers(text)[-1] == ("add", ("stem", "hidden_2", "stage_2.activation", "stage_1.activation"), (2,))


def test_input_in_a_block_refers_to_the_block_input(layers):
    top = """
blocks:
  residual:
    layers:
      - {type: Dense, name: dense, units: 4}
      - {type: Add, inputs: [input, dense]}
"""
    text = stack(
        "{type: Dense, name: stem, units: 4}",
        "{type: Dense, name: side, units: 4}",
        "{block: residual, inputs: stem, repeat: 2}",
        "{type: Add, inputs: [previous, side]}",
        top=top,
    )
    assert [(name, inputs) for name, inputs, _ in layers(text)][2:] == [
        ("residual.dense", ("stem",)),
        ("residual.add", ("stem", "residual.dense")),
        ("residual_1.dense", ("residual.add",)),
        ("residual_1.add", ("residual.add", "residual_1.dense")),
        ("add", ("residual_1.add", "side")),
    ]


def test_first_block_uses_the_model_input(layers):
    top = "blocks: {skip: {layers: [{type: Dense, units: 4}, {type: Add, inputs: [previous, input]}]}}\n"
    assert layers(stack("{block: skip}", top=top))[-1] == ("skip.add", ("skip.dense", "input"), (4,))


def test_block_with_several_inputs(layers):
    top = "blocks: {meet: {layers: [Concatenate, {type: Dense, units: 1}]}}\n"
    text = stack(
        "{type: Dense, name: a, units: 2}",
        "{type: Dense, name: b, units: 3, inputs: input}",
        "{block: meet, inputs: [a, b]}",
        top=top,
    )
    assert layers(text)[2] == ("meet.concatenate", ("a", "b"), (5,))


def test_nested_blocks_with_parameters(layers):
    top = """
vars: {act: tanh}
blocks:
  inner: {params: [units], layers: [{type: Dense, name: d, units: "${units}", activation: "${act}"}]}
  outer:
    params: {size: 2}
    layers:
      - {block: inner, name: first, with: {units: "${size}"}}
      - {block: inner, with: {units: 7}, inputs: first}
"""
    text = stack(
        "{block: outer, with: {size: 5}}",
        "{type: Concatenate, inputs: [previous, outer.first, outer.first.d]}",
        top=top,
    )
    assert layers(text) == [
        ("outer.first.d", ("input",), (5,)),
        ("outer.inner.d", ("outer.first.d",), (7,)),
        ("concatenate", ("outer.inner.d", "outer.first.d", "outer.first.d"), (17,)),
    ]


def test_layer_name_as_parameter_resolves_in_the_outer_scope(layers):
    """The block also has a layer of this name, which the parameter must not refer to."""
    top = """
blocks:
  join:
    params: [skip]
    layers:
      - {type: Dense, name: a, units: 4}
      - {type: Add, name: add, inputs: [previous, "${skip}"]}
  twice:
    params: [other]
    layers:
      - {block: join, with: {skip: "${other}"}}
"""
    text = stack("{type: Dense, name: a, units: 4}", "{block: twice, with: {other: a}}", top=top)
    assert layers(text)[-1] == ("twice.join.add", ("twice.join.a", "a"), (4,))


def test_list_of_layer_names_as_parameter(layers):
    top = 'blocks: {join: {params: [these], layers: [{type: Add, inputs: "${these}"}]}}\n'
    text = stack("{type: Dense, name: a, units: 4}", "{block: join, with: {these: [input, a]}}", top=top)
    assert layers(text)[-1] == ("join.add", ("input", "a"), (4,))


def test_block_name_in_outputs(checked):
    found = checked(
        stack(
            "{block: unit, name: left}",
            "{block: unit, inputs: input}",
            top=UNIT,
            outputs="  outputs: [left, unit]\n",
        )
    )
    assert require_valid(found).graph.outputs == ("left.activation", "unit.activation")


def test_reused_block_shares_all_weights(checked):
    text = stack(
        "{block: unit, name: encoder, repeat: 2}",
        "{reuse: encoder, name: twin, inputs: input}",
        "{type: Subtract, inputs: [encoder, twin]}",
        top=UNIT,
        shape="[8]",
    )
    shapes = require_valid(checked(text)).shapes
    assert shapes.trainable == 2 * (8 * 8 + 8)
    assert {row.node.name: row.node.reuse_of for row in shapes.rows if row.node.reuse_of} == {
        "twin_1.dense": "encoder_1.dense",
        "twin_1.activation": "encoder_1.activation",
        "twin_2.dense": "encoder_2.dense",
        "twin_2.activation": "encoder_2.activation",
    }
    assert shapes.rows[-1].node.inputs == ("encoder_2.activation", "twin_2.activation")


def test_inputs_apply_to_the_first_repetition_only(layers):
    text = stack(
        "{type: Dense, name: a, units: 4}",
        "{type: Dense, units: 2}",
        "{type: Dense, name: b, inputs: a, units: 3, repeat: 2}",
        "{type: Concatenate, inputs: [b, dense]}",
    )
    assert [inputs for _, inputs, _ in layers(text)][2:4] == [("a",), ("b_1",)]


def test_repeat_with_previous_keeps_the_other_inputs(layers):
    text = stack("{type: Dense, name: a, units: 4}", "{type: Add, inputs: [a, previous], repeat: 3}")
    assert [inputs for _, inputs, _ in layers(text)][1:] == [("a", "a"), ("a", "add"), ("a", "add_1")]


def test_variables_keep_their_type_and_format_inside_strings(checked):
    text = stack(
        '{type: Dense, name: "head_${n}", units: "${n}", activation: "${act}"}',
        '{type: Reshape, target_shape: "${shape}"}',
        top='vars: {n: 6, act: null, shape: [2, "${half}"], half: 3}\n',
    )
    rows = require_valid(checked(text)).shapes.rows
    assert rows[0].node.name == "head_6"
    assert rows[1].outputs[0].shape == (None, 2, 3)


def test_escaped_reference():
    from layercli.config.language.variables import VariableBindings, substitute_variables
    from layercli.source.load import parse_yaml
    from layercli.source.nodes import SourceText

    node = parse_yaml(SourceText("x", ["$${a} $a ${b}"], None))
    value = parse_yaml(SourceText("x", ["1.5"], None))
    assert substitute_variables(node, VariableBindings({"b": value}), (), []).to_plain() == "${a} $a 1.5"


def test_overrides_apply_before_substitution(layers):
    text = stack('{type: Dense, units: "${n}"}', "{block: unit}", top="vars: {n: 6}\n" + UNIT)
    assert layers(text, "vars.n=9")[0][2] == (9,)
    assert layers(text, "blocks.unit.layers.dense.units=5")[1][2] == (5,)
    assert layers(text, "model.layers.unit.with.width=2")[1][2] == (2,)
    assert layers(text, "model.layers[1].repeat=2")[-1][0] == "unit_1.activation"


ARITHMETIC = (
    "Write a name, as in `${width}`, or integers and names with `+`, `-`, `*`, `//`, `%` and parentheses, as in "
    "`${width * 2}`. A config cannot read environment variables."
)
IN_UNIT = "In the block `unit`, used at line"

WRONG = {
    "an argument inside a block": (
        stack(
            "{block: unit, repeat: 3}",
            "{block: unit}",
            top=UNIT.replace("name: dense, units", "nam: dense, unit"),
        ),
        [
            ("unknown-key", 5, f'Dense has no argument "unit". {IN_UNIT} 10.', "Did you mean `units`?"),
            ("unknown-key", 5, f'Dense has no argument "nam". {IN_UNIT} 10.', "Did you mean `name`?"),
        ][::-1],
    ),
    "a parameter's value": (
        stack("{block: unit, with: {width: -8}}", top=UNIT),
        [
            (
                "out-of-range",
                10,
                "`units` must be a positive integer, got -8. The value comes from the parameter `width` "
                "of the block `unit`, used at line 5.",
                "For example `units: 64`.",
            )
        ],
    ),
    "a parameter's default": (
        stack("{block: unit}", top=UNIT.replace("width: 8", "width: x")),
        [
            (
                "wrong-type",
                3,
                '`units` must be a positive integer, got the string "x". The value comes from the '
                "parameter `width` of the block `unit`, used at line 5.",
                "For example `units: 64`.",
            )
        ],
    ),
    "a variable's value": (
        stack('{type: Dense, units: "${n}"}', top="vars: {n: 0}\n"),
        [
            (
                "out-of-range",
                1,
                "`units` must be a positive integer, got 0. The value comes from the variable `n`, used "
                "at line 5.",
                "For example `units: 64`.",
            )
        ],
    ),
    "an unknown variable": (
        stack('{type: Dense, units: "${widht}"}', top="vars: {width: 3}\n"),
        [("unknown-variable", 5, "There is no variable `widht`.", "Did you mean `width`?")],
    ),
    "an unknown reference in a block": (
        stack("{block: unit}", top=UNIT.replace('"${width}"', '"${with}"')),
        [("unknown-variable", 5, "There is no parameter or variable `with`.", "Did you mean `width`?")],
    ),
    "an environment variable": (
        stack('{type: Dense, units: "${env:HOME}"}', top="vars: {n: 3}\n"),
        [
            (
                "bad-reference",
                5,
                "`${env:HOME}` is not a name or an integer expression: expected an operator at character 4, got `:`.",
                ARITHMETIC,
            )
        ],
    ),
    "an expression of a fraction": (
        stack('{type: Dense, units: "${n * 2}"}', top="vars: {n: 0.5}\n"),
        [
            (
                "bad-reference",
                5,
                "`n` in `${n * 2}` must be an integer, got 0.5.",
                "Set `n` to an integer, or write the result in place of the expression.",
            )
        ],
    ),
    "a division by zero in a string": (
        stack('{type: Dense, units: 3, name: "a${n // (n - 3)}"}', top="vars: {n: 3}\n"),
        [
            (
                "bad-reference",
                5,
                "`${n // (n - 3)}` has no value: it divides by zero at character 3.",
                "Change the expression, or the values of its names.",
            )
        ],
    ),
    "an unknown name in an expression": (
        stack('{type: Dense, units: "${widht * 2}"}', top="vars: {width: 3}\n"),
        [("unknown-variable", 5, "There is no variable `widht`.", "Did you mean `width`?")],
    ),
    "an expression in a cycle": (
        stack("{type: Dense, units: 3}", top='vars: {a: "${b * 2}", b: "${a + 1}"}\n'),
        [
            (
                "variable-cycle",
                1,
                "These variables reference each other in a cycle: a -> b -> a.",
                "Set one of them to a value without references to the others.",
            )
        ],
    ),
    "a result that is out of range": (
        stack('{type: Dense, units: "${n - m * 1}"}', top="vars: {n: 3, m: 3}\n"),
        [
            (
                "out-of-range",
                5,
                "`units` must be a positive integer, got 0. The value is `${n - m * 1}` with m = 3, n = 3.",
                "For example `units: 64`.",
            )
        ],
    ),
    "an unclosed reference": (
        stack('{type: Dense, units: 3, name: "a${n"}', top="vars: {n: 3}\n"),
        [("bad-reference", 5, "`${` is not closed by `}`.", "Write `${name}`, or `$${` for a literal `${`.")],
    ),
    "a list inside a string": (
        stack('{type: Dense, units: 3, name: "a${n}"}', top="vars: {n: [3]}\n"),
        [
            (
                "bad-reference",
                5,
                "`${n}` inside a string must not be a list or mapping, got [3].",
                "Use `${n}` as the whole value.",
            )
        ],
    ),
    "a cycle of variables": (
        stack("{type: Dense, units: 3}", top='vars: {a: "${b}", b: ["${c}"], c: "${a}"}\n'),
        [
            (
                "variable-cycle",
                1,
                "These variables reference each other in a cycle: a -> b -> c -> a.",
                "Set one of them to a value without references to the others.",
            )
        ],
    ),
    "a misspelt block": (
        stack("{block: unti}", top=UNIT),
        [("unknown-block", 10, 'There is no block "unti".', "Did you mean `unit`?")],
    ),
    "a block without declarations": (
        stack("{block: unit}"),
        [
            (
                "unknown-block",
                4,
                'There is no block "unit".',
                "Declare it at the top: `blocks: {name: {layers: [...]}}`.",
            )
        ],
    ),
    "an unknown parameter": (
        stack("{block: unit, with: {widht: 3}}", top=UNIT),
        [("unknown-key", 10, 'The block `unit` has no parameter "widht".', "Did you mean `width`?")],
    ),
    "a missing parameter": (
        stack("{block: unit}", top=UNIT.replace("{width: 8, act: relu}", "[width, {act: relu}]")),
        [
            (
                "missing-key",
                10,
                "The block `unit` requires the parameter `width`.",
                "Add `with: {width: ...}`.",
            )
        ],
    ),
    "a parameter outside `with`": (
        stack("{block: unit, width: 3}", top=UNIT),
        [
            (
                "unknown-key",
                10,
                'An entry with `block` has no key "width".',
                "Pass it to the block: `with: {width: ...}`.",
            )
        ],
    ),
    "a cycle of blocks": (
        stack("{block: a}", top="blocks: {a: {layers: [{block: b}]}, b: {layers: [{block: a}]}}\n"),
        [
            (
                "block-cycle",
                1,
                "The block `a` contains itself: a -> b -> a.",
                "Use a different block here, or write the layers.",
            )
        ],
    ),
    "a block without layers": (
        stack("Flatten", top="blocks: {a: {params: {b: 1}}}\n", shape="[4, 2]"),
        [
            (
                "missing-key",
                1,
                "The block `a` is missing `layers`: a list of layers.",
                "For example `blocks: {residual: {params: {filters: 64}, layers: [...]}}`.",
            )
        ],
    ),
    "a repeat of 0": (
        stack("{type: Dense, units: 3, repeat: 0}"),
        [("wrong-type", 4, "`repeat` must be a positive integer, got 0.", "For example `repeat: 3`.")],
    ),
    "a repeat without `previous`": (
        stack(
            "{type: Dense, name: a, units: 4}",
            "{type: Dense, units: 4}",
            "{type: Add, inputs: [a, input], repeat: 2}",
            "{type: Concatenate, inputs: [add, dense, previous]}",
        ),
        [
            (
                "bad-argument",
                6,
                "With `repeat`, one of several `inputs` must be `previous`, the output of the "
                "previous repetition.",
                "Replace one of them with `previous`.",
            )
        ],
    ),
    "a misspelt name in a block": (
        stack("{block: unit}", top=UNIT.replace('act}"}', 'act}", inputs: dens}')),
        [("unknown-name", 6, f'There is no layer or input "dens". {IN_UNIT} 10.', "Did you mean `dense`?")],
    ),
    "a block declared below": (
        stack("{type: Dense, units: 3, inputs: later}", "{block: unit, name: later}", top=UNIT),
        [
            (
                "unknown-name",
                10,
                "`inputs` must name layers above, but `later` is declared below.",
                "Move `later` above this layer.",
            )
        ],
    ),
    "a shape mismatch in a block": (
        stack(
            "{block: conv}",
            "{block: conv}",
            top="blocks: {conv: {layers: [{type: LSTM, units: 2}]}}\n",
            shape="[4, 2]",
        ),
        [
            (
                "shape-mismatch",
                1,
                "LSTM expects sequences of shape (batch, timesteps, features), rank 3, got (None, 2). The "
                "input comes from `conv.lstm` (line 1). In the block `conv`, used at line 6.",
                "Set `return_sequences: true` on `conv.lstm` (line 1). Without it, the layer returns only the "
                "last timestep.",
            )
        ],
    ),
    "an unknown reused layer": (
        stack("{type: Dense, name: head, units: 4}", "{reuse: haed}"),
        [("unknown-name", 5, 'There is no layer "haed".', "Did you mean `head`?")],
    ),
    "a reused layer with arguments": (
        stack("{type: Dense, name: head, units: 4}", "{reuse: head, units: 4}"),
        [
            (
                "unknown-key",
                5,
                'A reused layer must not have arguments, got "units".',
                "Remove it, or set it where the layer is declared.",
            )
        ],
    ),
    "a reused layer with a different input size": (
        stack("{type: Dense, name: head, units: 3}", "{reuse: head}"),
        [
            (
                "shape-mismatch",
                5,
                "`head` has weights for an input of (None, 4), but this call receives (None, 3). The "
                "input comes from `head` (line 4).",
                "Use an input of the same size, or declare a new layer here.",
            )
        ],
    ),
    "a reused input": (
        stack("{type: Dense, units: 4}", "{reuse: input}"),
        [
            (
                "unknown-name",
                5,
                "`reuse` must name a layer, got the model input `input`.",
                "Use the name of a layer above.",
            )
        ],
    ),
    "an unknown output index": (
        stack("{type: Dense, name: head, units: 4}", "{type: Dense, units: 4, inputs: head:1}"),
        [("shape-mismatch", 5, "`head:1` does not exist: `head` has one output, counted from 0.", None)],
    ),
    "an output reference without a number": (
        stack("{type: Dense, name: head, units: 4}", "{type: Dense, units: 4, inputs: head:last}"),
        [
            (
                "unknown-name",
                5,
                'Output references must end in an output number, counted from 0, got "head:last".',
                "Write `head:0` for the first output.",
            )
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_problem_at_the_original_position(problems, text, expected):
    assert problems(text) == expected


def test_problem_has_the_original_path(checked):
    text = stack("Flatten", "{block: unit, with: {width: x}}", top=UNIT.replace('"${act}"', "xrelu"))
    assert [problem.path for problem in checked(text).problems] == [
        "blocks.unit.layers[1].activation",
        "model.layers[1].with.width",
    ]


def test_block_nesting_limit(problems):
    chain = "".join(f"  b{n}: {{layers: [{{block: b{n + 1}}}]}}\n" for n in range(2000))
    text = stack("{block: b0}", top=f"blocks:\n{chain}  b2000: {{layers: [Flatten]}}\n", shape="[2, 2]")
    assert [problem[:2] for problem in problems(text)] == [("too-deep", 51)]
    deep = text.replace("{block: b0}", "{block: b1980}")
    assert problems(deep) == []


def test_variables_may_nest_a_hundred_levels(problems):
    def codes(lists):
        nested = "".join(f', a{n}: ["${{a{n - 1}}}"]' for n in range(1, lists + 1))
        found = problems(
            stack(
                f'{{type: Reshape, target_shape: "${{a{lists}}}"}}',
                top=f"vars: {{a0: 1{nested}}}\n",
                shape="[1]",
            )
        )
        return [(code, message) for code, _, message, _ in found if code == "too-many-nodes"]

    assert codes(96) == []  # inside the document, `model`, `layers` and the layer
    assert codes(97) == [
        ("too-many-nodes", "This value has more than 100 levels after variable substitution.")
    ]


def test_invalid_parameter_name_is_located_at_the_name(checked):
    top = "blocks:\n  unit:\n    params: {width: 8, a b: 9}\n    layers: [Flatten]\n"
    [problem] = checked(stack("{block: unit}", top=top)).problems
    assert (problem.code, problem.line, problem.column) == ("bad-name", 3, 24)


def test_unknown_variable_in_a_block_is_reported_once(problems):
    text = stack("{block: unit, repeat: 3}", top=UNIT.replace("${act}", "${atc}"))
    assert [problem[:3] for problem in problems(text)] == [
        ("unknown-variable", 6, "There is no parameter or variable `atc`.")
    ]


def test_expansion_limits(problems):
    many_repeats = ["{type: Dense, units: 1, repeat: 9000}"] * 500
    assert problems(stack(*many_repeats))[0][:2] == ("out-of-range", 5)
    many = "{block: b9}"
    top = "blocks:\n  b0: {layers: [Flatten, Flatten]}\n" + "".join(
        f"  b{n}: {{layers: [{{block: b{n - 1}, repeat: 10}}]}}\n" for n in range(1, 10)
    )
    [(code, line, message, _)] = problems(stack(many, top=top))
    assert (code, line) == ("out-of-range", 2)
    assert message == "The blocks and repeats of this config expand to more than 10,000 layers."
    doubling = (
        "vars: {a0: [1, 1], "
        + ", ".join(f'a{n}: ["${{a{n - 1}}}", "${{a{n - 1}}}"]' for n in range(1, 40))
        + "}\n"
    )
    assert problems(stack('{type: Reshape, target_shape: "${a39}"}', top=doubling))[0][0] == "too-many-nodes"
    text = "vars: {a0: xx, " + ", ".join(f'a{n}: "${{a{n - 1}}}${{a{n - 1}}}"' for n in range(1, 40)) + "}\n"
    assert problems(stack("Flatten", top=text, shape="[2, 2]"))[0][0] == "bad-reference"
    huge = "{type: Dense, units: 1, repeat: 999999999}"
    assert problems(stack(huge))[0][:3] == (
        "out-of-range",
        4,
        "The blocks and repeats of this config expand to more than 10,000 layers.",
    )


def test_repeated_entry_has_the_name_of_its_first_layer():
    dense = "{type: Dense, units: 3}"
    entries = [
        dense,
        dense.replace("}", ", repeat: 2}"),
        dense,
        dense.replace("}", ", repeat: 999999999}"),
        dense,
    ]
    document = parse_yaml(SourceText("c.yaml", [f"[{', '.join(entries)}]"], Path()))
    assert name_entries(document.value) == ["dense", "dense_1", "dense_3", "dense_4", "dense_10000"]


def test_entry_after_an_unknown_number_of_copies_has_its_index():
    items = (
        '[{type: Dense, repeat: "${n}"}, Flatten, {type: Dense}, {type: Dense, name: head}, {block: Dense}]'
    )
    document = parse_yaml(SourceText("c.yaml", [items], Path()))
    assert name_entries(document.value) == ["dense", "flatten", "2", "head", "Dense"]


def test_repeated_blocks_have_names_with_numbers():
    items = "[{block: pair, repeat: 2}, {block: pair}, {type: Dense, name: stem, repeat: 2}, {type: Dense}]"
    document = parse_yaml(SourceText("c.yaml", [items], Path()))
    assert name_entries(document.value) == ["pair", "pair_2", "stem", "dense"]


def test_entries_have_names_before_they_are_checked():
    items = "[{type: Dense, reuse: a}, {reuse: b}, {name: x}, Flatten, {}, {block: stem}, Flatten]"
    document = parse_yaml(SourceText("c.yaml", [items], Path()))
    assert name_entries(document.value) == ["dense", "b", "x", "flatten", "layer", "stem", "flatten_1"]

"""Blocks, repeats and variables are written out as a person would, and every error finds its way back."""

import pytest

from layercli.check import check_config, require_valid

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
    """Name, inputs and output shape of each layer that a config stands for."""

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
    """A config; where nothing else is at its top, its input is on line 2 and its first layer on line 4."""
    lines = "".join(f"    - {entry}\n" for entry in entries)
    return f"{top.lstrip()}model:\n  input: {shape}\n  layers:\n{lines}{outputs}"


def test_a_block_stands_for_its_layers_whose_names_it_scopes(layers):
    assert layers(stack("{block: unit}", "{block: unit, with: {width: 3, act: tanh}}", top=UNIT)) == [
        ("unit.dense", ("input",), (8,)),
        ("unit.activation", ("unit.dense",), (8,)),
        ("unit_1.dense", ("unit.activation",), (3,)),
        ("unit_1.activation", ("unit_1.dense",), (3,)),
    ]


def test_a_repeated_layer_is_numbered_as_if_it_were_written_out(layers):
    text = stack("{type: Dense, units: 2}", "{type: Dense, units: 3, repeat: 2}", "{type: Dense, units: 1}")
    assert [name for name, _, _ in layers(text)] == ["dense", "dense_1", "dense_2", "dense_3"]


def test_the_name_of_what_is_repeated_stands_for_the_last_one(layers):
    text = stack(
        "{type: Dense, name: stem, units: 2}",
        "{type: Dense, name: hidden, units: 2, repeat: 2}",
        "{block: unit, name: stage, repeat: 2, with: {width: 2}}",
        "{type: Add, inputs: [stem, hidden, stage, stage_1]}",
        top=UNIT,
    )
    assert layers(text)[-1] == ("add", ("stem", "hidden_2", "stage_2.activation", "stage_1.activation"), (2,))


def test_input_inside_a_block_is_what_the_block_takes(layers):
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


def test_a_block_that_begins_the_model_takes_the_model_s_input(layers):
    top = "blocks: {skip: {layers: [{type: Dense, units: 4}, {type: Add, inputs: [previous, input]}]}}\n"
    assert layers(stack("{block: skip}", top=top))[-1] == ("skip.add", ("skip.dense", "input"), (4,))


def test_a_block_takes_several_inputs_as_one_list(layers):
    top = "blocks: {meet: {layers: [Concatenate, {type: Dense, units: 1}]}}\n"
    text = stack(
        "{type: Dense, name: a, units: 2}",
        "{type: Dense, name: b, units: 3, inputs: input}",
        "{block: meet, inputs: [a, b]}",
        top=top,
    )
    assert layers(text)[2] == ("meet.concatenate", ("a", "b"), (5,))


def test_blocks_nest_and_pass_their_parameters_on(layers):
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


def test_a_name_given_as_a_parameter_is_looked_up_where_it_was_given(layers):
    """Not inside the block, though the block has a layer of that name."""
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


def test_a_list_of_names_may_be_a_parameter(layers):
    top = 'blocks: {join: {params: [these], layers: [{type: Add, inputs: "${these}"}]}}\n'
    text = stack("{type: Dense, name: a, units: 4}", "{block: join, with: {these: [input, a]}}", top=top)
    assert layers(text)[-1] == ("join.add", ("input", "a"), (4,))


def test_outputs_may_name_a_block(checked):
    found = checked(stack("{block: unit, name: left}", "{block: unit, inputs: input}", top=UNIT,
                          outputs="  outputs: [left, unit]\n"))  # fmt: skip
    assert require_valid(found).graph.outputs == ("left.activation", "unit.activation")


def test_a_block_called_again_shares_all_its_weights(checked):
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


def test_only_the_first_repetition_takes_what_inputs_names(layers):
    text = stack(
        "{type: Dense, name: a, units: 4}", "{type: Dense, units: 2}", "{type: Dense, name: b, inputs: a, units: 3, repeat: 2}",
        "{type: Concatenate, inputs: [b, dense]}",
    )  # fmt: skip
    assert [inputs for _, inputs, _ in layers(text)][2:4] == [("a",), ("b_1",)]


def test_repeat_goes_on_from_previous_and_keeps_the_other_inputs(layers):
    text = stack("{type: Dense, name: a, units: 4}", "{type: Add, inputs: [a, previous], repeat: 3}")
    assert [inputs for _, inputs, _ in layers(text)][1:] == [("a", "a"), ("a", "add"), ("a", "add_1")]


def test_a_variable_keeps_its_type_and_stands_inside_text(checked):
    text = stack(
        '{type: Dense, name: "head_${n}", units: "${n}", activation: "${act}"}',
        '{type: Reshape, target_shape: "${shape}"}',
        top='vars: {n: 6, act: null, shape: [2, "${half}"], half: 3}\n',
    )
    rows = require_valid(checked(text)).shapes.rows
    assert rows[0].node.name == "head_6"
    assert rows[1].outputs[0].shape == (None, 2, 3)


def test_two_dollars_are_one():
    from layercli.config.language.variables import VariableBindings, substitute_variables
    from layercli.source.load import parse_yaml
    from layercli.source.nodes import SourceText

    node = parse_yaml(SourceText("x", ["$${a} $a ${b}"], None))
    value = parse_yaml(SourceText("x", ["1.5"], None))
    assert substitute_variables(node, VariableBindings({"b": value}), (), []).to_plain() == "${a} $a 1.5"


def test_a_value_is_set_before_variables_are_put_in_place(layers):
    text = stack('{type: Dense, units: "${n}"}', "{block: unit}", top="vars: {n: 6}\n" + UNIT)
    assert layers(text, "vars.n=9")[0][2] == (9,)
    assert layers(text, "blocks.unit.layers.dense.units=5")[1][2] == (5,)
    assert layers(text, "model.layers.unit.with.width=2")[1][2] == (2,)
    assert layers(text, "model.layers[1].repeat=2")[-1][0] == "unit_1.activation"


IN_UNIT = "In the block `unit`, used at line"

WRONG = {
    "an argument inside a block": (
        stack("{block: unit, repeat: 3}", "{block: unit}", top=UNIT.replace("name: dense, units", "nam: dense, unit")),
        [("unknown-key", 5, f'Dense has no argument "unit". {IN_UNIT} 10.', "Did you mean `units`?"),
         ("unknown-key", 5, f'Dense has no argument "nam". {IN_UNIT} 10.', "Did you mean `name`?")][::-1],
    ),
    "a parameter's value": (
        stack("{block: unit, with: {width: -8}}", top=UNIT),
        [("out-of-range", 10, "`units` is -8; it must be a positive whole number. It is the parameter `width` of the "
          "block `unit`, used at line 5.", "For example `units: 64`.")],
    ),
    "a parameter's default": (
        stack("{block: unit}", top=UNIT.replace("width: 8", "width: x")),
        [("wrong-type", 3, '`units` is "x"; it must be a positive whole number. It is the parameter `width` of the '
          "block `unit`, used at line 5.", "For example `units: 64`.")],
    ),
    "a variable's value": (
        stack('{type: Dense, units: "${n}"}', top="vars: {n: 0}\n"),
        [("out-of-range", 1, "`units` is 0; it must be a positive whole number. It is the variable `n`, used at line 5.",
          "For example `units: 64`.")],
    ),
    "a variable that is not there": (
        stack('{type: Dense, units: "${widht}"}', top="vars: {width: 3}\n"),
        [("unknown-variable", 5, "There is no variable `widht`.", "Did you mean `width`?")],
    ),
    "a parameter that is not there": (
        stack("{block: unit}", top=UNIT.replace('"${width}"', '"${with}"')),
        [("unknown-variable", 5, "There is no parameter or variable `with`.", "Did you mean `width`?")],
    ),
    "an expression": (
        stack('{type: Dense, units: "${n * 2}"}', top="vars: {n: 3}\n"),
        [("bad-reference", 5, "`${n * 2}` is no name; nothing is calculated or looked up elsewhere.",
          "Declare a variable for the value, as in `vars: {width: 64}`, and write `${width}`.")],
    ),
    "a brace that is not closed": (
        stack('{type: Dense, units: 3, name: "a${n"}', top="vars: {n: 3}\n"),
        [("bad-reference", 5, "`${` is not closed by `}`.", "Write `${name}`, or `$${` for the text itself.")],
    ),
    "a list inside a text": (
        stack('{type: Dense, units: 3, name: "a${n}"}', top="vars: {n: [3]}\n"),
        [("bad-reference", 5, "`${n}` stands for [3], which cannot be put inside a text.", "Write `${n}` alone.")],
    ),
    "variables in a circle": (
        stack('{type: Dense, units: 3}', top='vars: {a: "${b}", b: ["${c}"], c: "${a}"}\n'),
        [("variable-cycle", 1, "These variables stand for each other in a circle: a -> b -> c -> a.",
          "Give one of them a value of its own.")],
    ),
    "a block that is not there": (
        stack("{block: unti}", top=UNIT),
        [("unknown-block", 10, 'There is no block "unti".', "Did you mean `unit`?")],
    ),
    "a block without any": (
        stack("{block: unit}"),
        [("unknown-block", 4, 'There is no block "unit".', "Declare it at the top: `blocks: {name: {layers: [...]}}`.")],
    ),
    "a parameter that the block has not": (
        stack("{block: unit, with: {widht: 3}}", top=UNIT),
        [("unknown-key", 10, 'The block `unit` has no parameter "widht".', "Did you mean `width`?")],
    ),
    "a parameter that the block needs": (
        stack("{block: unit}", top=UNIT.replace("{width: 8, act: relu}", "[width, {act: relu}]")),
        [("missing-key", 10, "The block `unit` needs the parameter `width`.", "Add `with: {width: ...}`.")],
    ),
    "a parameter beside the block": (
        stack("{block: unit, width: 3}", top=UNIT),
        [("unknown-key", 10, 'The use of a block has no key "width".', "Give it to the block: `with: {width: ...}`.")],
    ),
    "a block in itself": (
        stack("{block: a}", top="blocks: {a: {layers: [{block: b}]}, b: {layers: [{block: a}]}}\n"),
        [("block-cycle", 1, "The block `a` holds itself: a -> b -> a.",
          "Use another block here, or the layers themselves.")],
    ),
    "a block without layers": (
        stack("Flatten", top="blocks: {a: {params: {b: 1}}}\n", shape="[4, 2]"),
        [("missing-key", 1, "The block `a` has no `layers`; it must have a list of them.",
          "For example `blocks: {residual: {params: {filters: 64}, layers: [...]}}`.")],
    ),
    "a repeat of nothing": (
        stack("{type: Dense, units: 3, repeat: 0}"),
        [("wrong-type", 4, "`repeat` is 0; it must be a positive whole number.", "For example `repeat: 3`.")],
    ),
    "a repeat that does not say how it goes on": (
        stack("{type: Dense, name: a, units: 4}", "{type: Dense, units: 4}", "{type: Add, inputs: [a, input], repeat: 2}",
              "{type: Concatenate, inputs: [add, dense, previous]}"),
        [("bad-argument", 6, "With `repeat` one of several inputs must be `previous`, the output of the repetition "
          "before.", "Write `previous` in place of one of them.")],
    ),
    "a name inside a block that is misspelt": (
        stack("{block: unit}", top=UNIT.replace("act}\"}", "act}\", inputs: dens}")),
        [("unknown-name", 6, f'There is no layer or input "dens". {IN_UNIT} 10.', "Did you mean `dense`?")],
    ),
    "a block that stands below": (
        stack("{type: Dense, units: 3, inputs: later}", "{block: unit, name: later}", top=UNIT),
        [("unknown-name", 10, "`later` stands below; a layer takes inputs from layers above it.",
          "Move `later` above this layer.")],
    ),
    "shapes that do not fit inside a block": (
        stack("{block: conv}", "{block: conv}", top="blocks: {conv: {layers: [{type: LSTM, units: 2}]}}\n", shape="[4, 2]"),
        [("shape-mismatch", 1, "LSTM takes sequences of shape (batch, timesteps, features), rank 3; it gets (None, 2). "
          "That comes from `conv.lstm` (line 1). In the block `conv`, used at line 6.",
          "Set `return_sequences: true` on `conv.lstm` (line 1): without it the layer gives only its last timestep.")],
    ),
    "a layer called again that is not there": (
        stack("{type: Dense, name: head, units: 4}", "{reuse: haed}"),
        [("unknown-name", 5, 'There is no layer "haed".', "Did you mean `head`?")],
    ),
    "a layer called again with arguments": (
        stack("{type: Dense, name: head, units: 4}", "{reuse: head, units: 4}"),
        [("unknown-key", 5, 'A layer that is called again takes no arguments; it has "units".',
          "Remove it, or give it to the layer where it is declared.")],
    ),
    "a layer called again on another size": (
        stack("{type: Dense, name: head, units: 3}", "{reuse: head}"),
        [("shape-mismatch", 5, "`head` has weights for an input of (None, 4); called again it gets (None, 3). That comes "
          "from `head` (line 4).", "Give it an input of the same size, or declare a layer of its own here.")],
    ),
    "an input called again": (
        stack("{type: Dense, units: 4}", "{reuse: input}"),
        [("unknown-name", 5, "`input` is an input of the model; only a layer can be called again.", "Name a layer.")],
    ),
    "an output that a layer has not": (
        stack("{type: Dense, name: head, units: 4}", "{type: Dense, units: 4, inputs: head:1}"),
        [("shape-mismatch", 5, "`head` has one output, counted from 0; there is no `head:1`.", None)],
    ),
    "an output without a number": (
        stack("{type: Dense, name: head, units: 4}", "{type: Dense, units: 4, inputs: head:last}"),
        [("unknown-name", 5, '"head:last" names no output; after the colon stands its number, counted from 0.',
          "Write `head:0` for the first output.")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_where_it_was_written(problems, text, expected):
    assert problems(text) == expected


def test_the_path_of_a_problem_is_the_one_that_was_written(checked):
    text = stack("Flatten", "{block: unit, with: {width: x}}", top=UNIT.replace('"${act}"', "xrelu"))
    assert [problem.path for problem in checked(text).problems] == [
        "blocks.unit.layers[1].activation", "model.layers[1].with.width",
    ]  # fmt: skip


def test_blocks_in_blocks_have_a_limit(problems):
    chain = "".join(f"  b{n}: {{layers: [{{block: b{n + 1}}}]}}\n" for n in range(2000))
    text = stack("{block: b0}", top=f"blocks:\n{chain}  b2000: {{layers: [Flatten]}}\n", shape="[2, 2]")
    assert [problem[:2] for problem in problems(text)] == [("too-deep", 51)]
    deep = text.replace("{block: b0}", "{block: b1980}")
    assert problems(deep) == []


def test_a_wrong_reference_in_a_block_is_told_once(problems):
    text = stack("{block: unit, repeat: 3}", top=UNIT.replace("${act}", "${atc}"))
    assert [problem[:3] for problem in problems(text)] == [
        ("unknown-variable", 6, "There is no parameter or variable `atc`.")
    ]


def test_a_config_cannot_grow_without_end(problems):
    many_repeats = ["{type: Dense, units: 1, repeat: 9000}"] * 5000
    assert problems(stack(*many_repeats))[0][:2] == ("out-of-range", 5)
    many = "{block: b9}"
    top = "blocks:\n  b0: {layers: [Flatten, Flatten]}\n" + "".join(
        f"  b{n}: {{layers: [{{block: b{n - 1}, repeat: 10}}]}}\n" for n in range(1, 10)
    )
    [(code, line, message, _)] = problems(stack(many, top=top))
    assert (code, line) == ("out-of-range", 2)
    assert message == "Written out, the blocks and repeats of this config have more than 10,000 layers."
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
        "out-of-range", 4, "Written out, the blocks and repeats of this config have more than 10,000 layers.",
    )  # fmt: skip

"""Folded and written stacks: the config has the same layers and wiring as the stack."""

from hypothesis import given, settings
from hypothesis import strategies as st

from layercli.check import ValidConfig, check_config, require_valid
from layercli.importing.block_detection import fold_stack
from layercli.importing.flatten import flatten_config, flatten_stack
from layercli.importing.layer_stack import INPUT, LayerStack, StackEntry, Wire
from layercli.importing.write_config import format_config


def written(stack: LayerStack) -> str:
    return format_config(stack, fold_stack(stack), name="folded")


def read(text: str) -> ValidConfig:
    return require_valid(check_config("folded.yaml", text=text))


def assert_same(stack: LayerStack) -> str:
    """Fold, write and read a stack, assert that nothing changed, and return the config."""
    calls, outputs = flatten_stack(stack)
    text = written(stack)
    read_calls, read_outputs = flatten_config(read(text))
    assert [(one.type, dict(one.args), one.inputs, one.first_call) for one in calls] == [
        (one.type, dict(one.args), one.inputs, one.first_call) for one in read_calls
    ], text
    assert outputs == read_outputs
    return text


def stack_of(items: list[StackEntry], *outputs: StackEntry) -> LayerStack:
    inputs = {INPUT: {"shape": [8, 8, 4], "dtype": "float32"}}
    return LayerStack(inputs, items, [Wire(item) for item in outputs or items[-1:]])


def chain(*layers: tuple[str, dict]) -> list[StackEntry]:
    items: list[StackEntry] = []
    for kind, args in layers:
        items.append(StackEntry("layer", kind, [Wire(items[-1] if items else INPUT)], dict(args)))
    return items


def residual(items: list[StackEntry], width: int, rate: float | None, named: str | None = None) -> None:
    """Append a block of two convolutions with a residual connection."""
    source = items[-1] if items else INPUT
    before = source
    for _ in range(2):
        for kind, args in (
            ("Conv2D", {"filters": width, "kernel_size": 3, "padding": "same"}),
            ("BatchNormalization", {}),
        ):
            items.append(StackEntry("layer", kind, [Wire(before)], args))
            before = items[-1]
    if rate is not None:
        items.append(StackEntry("layer", "Dropout", [Wire(before)], {"rate": rate}))
        before = items[-1]
    items.append(StackEntry("layer", "Add", [Wire(source), Wire(before)], name=named))


def test_equal_layers_become_one_line_with_repeat():
    text = assert_same(stack_of(chain(*[("Dense", {"units": 4})] * 100)))
    assert "    - {type: Dense, units: 4, repeat: 100}\n" in text
    assert "blocks:" not in text


def test_repeated_pattern_becomes_block_with_repeat():
    text = assert_same(stack_of(chain(*[("Dense", {"units": 4}), ("Dropout", {"rate": 0.1})] * 50)))
    assert (
        text
        == """\
name: folded
blocks:
  hidden:
    layers:
      - {type: Dense, units: 4}
      - {type: Dropout, rate: 0.1}
model:
  input: [8, 8, 4]
  layers:
    - {block: hidden, repeat: 50}
"""
    )


def test_differing_argument_becomes_parameter():
    items: list[StackEntry] = []
    for rate in (0.1, 0.2, 0.3, 0.3):
        residual(items, 4, rate)
    text = assert_same(stack_of(items))
    assert (
        text
        == """\
name: folded
blocks:
  residual:
    params: {rate: 0.3}
    layers:
      - {type: Conv2D, filters: 4, kernel_size: 3, padding: same}
      - BatchNormalization
      - {type: Conv2D, filters: 4, kernel_size: 3, padding: same}
      - BatchNormalization
      - {type: Dropout, rate: "${rate}"}
      - {type: Add, inputs: [input, previous]}
model:
  input: [8, 8, 4]
  layers:
    - {block: residual, with: {rate: 0.1}}
    - {block: residual, with: {rate: 0.2}}
    - {block: residual, repeat: 2}
"""
    )


def test_referenced_layer_gets_name():
    items = chain(("Dense", {"units": 4}), ("Dense", {"units": 4}), ("ReLU", {}))
    items.append(StackEntry("layer", "Add", [Wire(items[0]), Wire(items[2])]))
    text = assert_same(stack_of(items, items[3], items[1]))
    assert "- {type: Add, name: add, inputs: [dense, previous]}" in text
    assert "outputs: [add, dense_2]" in text


def test_reserved_and_duplicate_names_are_changed():
    items = chain(("Dense", {"units": 4}), ("Dense", {"units": 3}), ("Dense", {"units": 4}))
    for item, name in zip(items, ("input", "twin", "twin"), strict=True):
        item.name = name
    text = assert_same(stack_of(items))
    assert [line.split("name: ")[1].split(",")[0] for line in text.splitlines() if "name: " in line][1:] == [
        "input_2",
        "twin",
        "twin_2",
    ]


def test_shared_layer_stays_outside_blocks():
    items: list[StackEntry] = []
    shared = StackEntry("layer", "Dense", [Wire(INPUT)], {"units": 4})
    items.append(shared)
    for _ in range(3):
        items.append(StackEntry("layer", "ReLU", [Wire(items[-1])]))
        items.append(StackEntry("reuse", "Dense", [Wire(items[-1])], reused_entry=shared))
    assert "reuse: dense" in assert_same(stack_of(items))


def test_shared_submodel_becomes_reused_block():
    body = chain(("Flatten", {}), ("Dense", {"units": 3}))
    inputs = {name: {"shape": [4], "dtype": "float32"} for name in ("left", "right")}
    tower = StackEntry("block", "tower", [Wire("left")], name="tower", body=body)
    twin = StackEntry("reuse", "tower", [Wire("right")], reused_entry=tower)
    last = StackEntry("layer", "Subtract", [Wire(tower), Wire(twin)])
    text = assert_same(LayerStack(inputs, [tower, twin, last], [Wire(last)]))
    assert "- {block: tower, name: tower, inputs: left}\n    - {reuse: tower, inputs: right}\n" in text


def test_second_input_of_block_becomes_parameter():
    items = chain(("Dense", {"units": 4}), ("Dense", {"units": 4, "activation": "tanh"}))
    cells = [items[0], items[1]]
    for _ in range(5):
        before, last = cells[-2:]
        items.append(StackEntry("layer", "ReLU", [Wire(last)]))
        items.append(StackEntry("layer", "LayerNormalization", [Wire(items[-1])]))
        items.append(StackEntry("layer", "Dense", [Wire(items[-1])], {"units": 4}))
        items.append(StackEntry("layer", "Add", [Wire(before), Wire(items[-1])]))
        cells.append(items[-1])
    text = assert_same(stack_of(items))
    assert "- {block: residual, name: residual_2, with: {skip: dense_2}}" in text
    assert '- {type: Add, inputs: ["${skip}", previous]}' in text


def test_third_input_stays_outside_blocks():
    items = chain(("Dense", {"units": 4}), ("Dense", {"units": 4, "activation": "tanh"}))
    first, second = items
    for _ in range(5):
        items.append(StackEntry("layer", "ReLU", [Wire(items[-1])]))
        items.append(StackEntry("layer", "LayerNormalization", [Wire(items[-1])]))
        items.append(StackEntry("layer", "Add", [Wire(first), Wire(items[-1])]))
        items.append(StackEntry("layer", "Multiply", [Wire(second), Wire(items[-1])]))
    text = assert_same(stack_of(items))
    assert text.count("Add") == 1  # in the block, with its second input
    assert text.count("Multiply") == 5


def test_common_names_become_names_in_the_block():
    items: list[StackEntry] = []
    for number in range(3):
        for kind, args, name in (
            ("Dense", {"units": 4}, f"unit_{number}_up"),
            ("Dropout", {"rate": 0.1}, f"unit_{number}_{'xyz'[number]}"),
            ("Dense", {"units": 3}, f"unit_{number}_down"),
        ):
            items.append(StackEntry("layer", kind, [Wire(items[-1] if items else INPUT)], args, name))
    text = assert_same(stack_of(items))
    assert (
        """\
  hidden:
    layers:
      - {type: Dense, name: up, units: 4}
      - {type: Dropout, rate: 0.1}
      - {type: Dense, name: down, units: 3}
"""
        in text
    )


def test_second_block_of_the_same_kind_is_numbered():
    first = [("Dense", {"units": 4}), ("Dropout", {"rate": 0.1})] * 9
    second = [("Dense", {"units": 4, "activation": "tanh"}), ("LayerNormalization", {})] * 5
    text = assert_same(stack_of(chain(*first, *second)))
    assert text.endswith("    - {block: hidden, repeat: 9}\n    - {block: hidden_2, repeat: 5}\n")


def test_block_is_residual_only_if_it_adds_its_input():
    items: list[StackEntry] = []
    for _ in range(4):
        first = StackEntry("layer", "Dense", [Wire(items[-1] if items else INPUT)], {"units": 4})
        second = StackEntry("layer", "Dense", [Wire(first)], {"units": 4, "activation": "tanh"})
        items += [first, second, StackEntry("layer", "Add", [Wire(first), Wire(second)])]
    text = assert_same(stack_of(items))
    assert "block: hidden" in text
    assert "residual" not in text


ARGS = {
    "Dense": st.fixed_dictionaries(
        {"units": st.just(4)}, optional={"activation": st.sampled_from(["relu", "tanh"])}
    ),
    "Dropout": st.fixed_dictionaries({"rate": st.sampled_from([0.1, 0.25])}),
    "ReLU": st.just({}),
    "LayerNormalization": st.just({}),
}


@st.composite
def graphs(draw):
    """Draw pieces, and repeat them with connections around and between them."""
    pieces = draw(
        st.lists(
            st.lists(
                st.tuples(st.sampled_from(sorted(ARGS)), st.integers(0, 3), st.booleans()),
                min_size=1,
                max_size=5,
            ),
            min_size=1,
            max_size=3,
        )
    )
    order = draw(st.lists(st.integers(0, len(pieces) - 1), min_size=1, max_size=9))
    items: list[StackEntry] = []
    for which in order:
        begin = len(items)
        for kind, back, joins in pieces[which]:
            source = items[-1] if items else INPUT
            if joins and len(items) > begin + 1:
                other = items[max(begin, len(items) - 1 - back)]
                items.append(StackEntry("layer", "Add", [Wire(other), Wire(source)]))
            else:
                items.append(StackEntry("layer", kind, [Wire(source)], draw(ARGS[kind])))
        if draw(st.booleans()):
            around = items[begin - 1] if begin else INPUT
            items.append(StackEntry("layer", "Average", [Wire(around), Wire(items[-1])]))
        if draw(st.integers(0, 4)) == 0 and len(items) > 3:
            items.append(StackEntry("layer", "Maximum", [Wire(items[-3]), Wire(items[-1])]))
    dense = StackEntry("layer", "Dense", [Wire(INPUT)], {"units": 4})
    for item in items:  # all have four channels
        item.wires = [Wire(dense) if wire.source == INPUT else wire for wire in item.wires]
    items.insert(0, dense)
    for item in items:
        if draw(st.integers(0, 9)) == 0:
            item.name = draw(st.sampled_from(["one", "two", "block_1_a", "block_2_a", "dense_1", "hidden_2"]))
    return items


@settings(max_examples=60)
@given(graphs())
def test_folded_config_flattens_to_same_layers(items):
    assert_same(stack_of(items))


def test_pattern_that_occurs_twice_becomes_block():
    pattern = [("Dropout", {"rate": number / 16}) for number in range(1, 9)]
    text = assert_same(stack_of(chain(*pattern, ("Flatten", {}), *pattern)))
    assert text.count("type: Dropout") == 8
    assert text.count("block: ") == 2


def test_order_of_keys_in_arguments_is_irrelevant():
    args = {"type": "L2", "l2": 0.5}, {"l2": 0.5, "type": "L2"}
    items = chain(*[("Dense", {"units": 4, "kernel_regularizer": args[number % 2]}) for number in range(6)])
    assert "repeat: 6" in assert_same(stack_of(items))

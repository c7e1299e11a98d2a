"""Code actions: each does what its title says, and the result was checked."""

from itertools import count

import pytest

from layercli.check import check_config, require_valid
from layercli.language_server import check_budget
from layercli.language_server.documents import uri_from_path
from tests.language_server.editor import Editor, apply_edits, place_of


@pytest.fixture
def act(tmp_path):
    """Return the text after each action at a word, by its title."""
    path = tmp_path / "config.yaml"

    def act(text, word, kind="quickfix", *, until=None, trigger=1):
        editor = Editor()
        editor.open(path, text)
        (line, character), end = place_of(text, word), place_of(text, until or word)
        shown = {
            "start": {"line": line, "character": character},
            "end": {"line": end[0], "character": end[1]},
        }
        context = {"diagnostics": [], "triggerKind": trigger, **({"only": [kind]} if kind else {})}
        found = editor.ask("codeAction", path, range=shown, context=context)
        return {one["title"]: apply_edits(text, one["edit"]["changes"][uri_from_path(path)]) for one in found}

    act.path = path
    return act


def layers(*lines, before="model:\n  input: [8, 8, 1]\n  layers:\n", after=""):
    return before + "".join(f"    - {line}\n" for line in lines) + after


def test_safe_fix_of_a_problem(act):
    text = layers("{type: Dense, unit: 3}", "{type: Relu6}")
    assert act(text, "unit") == {
        "Did you mean `units`?": text.replace("unit:", "units:"),
    }


def test_word_that_could_be_another_is_replaced_on_request_only(act):
    text = layers("{type: Flatten}", "{type: Dense, units: 2, activation: rleu}")
    assert act(text, "rleu") == {"Did you mean `relu`?": text.replace("rleu", "relu")}
    assert act(text, "rleu", "source.fixAll") == {}


def test_key_of_a_sweep_file_is_replaced(act):
    act.path.with_name("base.yaml").write_text("model: {}\n")
    text = "base: base.yaml\ntrial: 3\nspace: {}\n"
    assert act(text, "trial")["Did you mean `trials`?"] == text.replace("trial", "trials")


TABLE = "data: {type: csv, path: prices.csv, target: price}\nmodel:\n  input: [2]\n  layers: [{type: Dense, units: 1}]\n"
TRAIN = "train: {loss: mse, metrics: [mae]}\n"
DENSE = "{type: Dense, units: 3, name: first}"


@pytest.mark.parametrize(
    ("text", "wrong", "right"),
    [
        (layers(DENSE, "{type: Add, inputs: [first, previous]}"), "[first", "[frist"),
        (layers(DENSE, after="  outputs: first\n"), "outputs: first", "outputs: firts"),
        (layers(DENSE, after="  freeze: [first]\n"), "[first]", "[frst]"),
        ("vars: {width: 3}\n" + layers('{type: Dense, units: "${width}"}'), "${width}", "${widht}"),
        ("vars: {width: 3}\n" + layers('{type: Dense, units: "${width * 2}"}'), "${width", "${wdth"),
        ("blocks:\n  pair: {layers: [ReLU]}\n" + layers("{block: pair}"), "{block: pair", "{block: piar"),
        (TABLE + TRAIN, "target: price", "target: prices"),
        (TABLE.replace("price}", "[size, price]}"), "[size", "[siez"),
        (TABLE, "prices.csv", "price.csv"),
        ("extends: base.yaml\n" + layers("ReLU"), "base.yaml", "bsae.yaml"),
        (
            TABLE + TRAIN.replace("}", ", callbacks: [{type: EarlyStopping, monitor: mae}]}"),
            "r: mae",
            "r: mea",
        ),
        (
            "data: {type: sklearn, dataset: digits, split: {validation: 0.1}}\nmodel:\n  layers: [{type: Dense, units: 10}]\n"
            "train: {loss: crossentropy, metrics: [accuracy], callbacks: [{type: EarlyStopping, monitor: val_accuracy}]}\n",
            "val_accuracy",
            "val_acuracy",
        ),
    ],
)
def test_misspelt_names_are_replaced(act, text, wrong, right):
    act.path.with_name("prices.csv").write_text("size,price\n1,2\n")
    act.path.with_name("base.yaml").write_text("seed: 1\n")
    assert text.count(wrong) == 1
    misspelt = text.replace(wrong, right)
    found = act(misspelt, right)
    assert [title for title, new in found.items() if new == text and title.startswith("Did you mean")]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("dense.units", "dens.units"),
        ("train.epochs", "train.epoch"),
        ("{int: [4, 8]}", "{itn: [4, 8]}"),
        ("val_loss", "val_los"),
        ("TPESampler", "TPESamplr"),
        ("base.yaml", "bse.yaml"),
        ("trials", "trial"),
    ],
)
def test_misspelt_names_of_a_sweep_file_are_replaced(act, wrong, right):
    base = "data: {type: sklearn, dataset: digits, split: {validation: 0.1}}\nmodel:\n  layers:\n"
    train = "train: {loss: crossentropy}\n"
    act.path.with_name("base.yaml").write_text(
        layers(
            "{type: Dense, units: 4}",
            "{type: Dense, units: 10, activation: softmax}",
            before=base,
            after=train,
        )
    )
    text = (
        "base: base.yaml\nspace:\n  model.layers.dense.units: {int: [4, 8]}\n  train.epochs: {int: [1, 3]}\n"
        "objective: {metric: val_loss}\nsampler: {type: TPESampler}\ntrials: 3\n"
    )
    assert text.count(wrong) == 1
    found = act(text.replace(wrong, right), right)
    assert text in found.values()


def test_correct_names_have_no_actions(act):
    act.path.with_name("prices.csv").write_text("size,price\n1,2\n")
    assert act(TABLE + TRAIN, "price}") == {}
    assert act(TABLE + TRAIN, "prices.csv") == {}


def test_size_that_only_the_data_knows_is_not_inserted(act):
    act.path.with_name("prices.csv").write_text("size,price\n1,2\n")
    assert act((TABLE + TRAIN).replace("  input: [2]\n", ""), "model") == {}


def test_all_safe_fixes_together(act):
    text = layers('{type: Dens, units: "3"}', "{type: Flatten}", "{type: Dense, unit: 3}")
    fixed = layers("{type: Dense, units: 3}", "{type: Flatten}", "{type: Dense, units: 3}")
    assert act(text, "model", "source.fixAll") == {"Apply all safe fixes": fixed}


def test_insert_flatten(act):
    text = layers("{type: Dense, units: 3}")
    assert act(text, "Dense")["Insert Flatten before this layer"] == layers(
        "Flatten", "{type: Dense, units: 3}"
    )


def test_set_return_sequences_on_the_layer_above(act):
    text = layers("LSTM", "{type: LSTM, units: 4}").replace("[8, 8, 1]", "[8, 1]")
    text = text.replace("- LSTM\n", "- {type: LSTM, units: 3}\n")
    fixed = text.replace("units: 3}", "units: 3, return_sequences: true}")
    assert act(text, "units: 4")["Set `return_sequences: true`"] == fixed


def test_set_a_key_of_a_layer_on_several_lines(act):
    text = layers("type: LSTM\n      units: 3  # many", "{type: LSTM, units: 4}").replace(
        "[8, 8, 1]", "[8, 1]"
    )
    fixed = text.replace("# many\n", "# many\n      return_sequences: true\n")
    assert act(text, "units: 4")["Set `return_sequences: true`"] == fixed


def test_right_units_and_loss(act):
    data = "data: {type: sklearn, dataset: digits}\nmodel:\n  layers:\n"
    text = layers(
        "{type: Dense, units: 9, activation: softmax}",
        before=data,
        after="train: {loss: sparse_categorical_crossentropy}\n",
    )
    assert act(text, "units")["Set `units: 10`"] == text.replace("9", "10")
    wrong = text.replace("9", "10").replace("sparse_categorical_crossentropy", "mse")
    right = act(wrong, "loss")
    assert text.replace("9", "10") in right.values()


def test_remove_a_key(act):
    text = layers("{type: Conv2D, filters: 2, kernel_size: 3, strides: 2, dilation_rate: 2}")
    assert act(text, "dilation_rate")["Remove `dilation_rate`"] == text.replace(", dilation_rate: 2", "")


def test_extract_to_a_block_and_inline_it_again(act):
    text = layers("Flatten", "{type: Dense, units: 3}  # one", "type: Dense\n      units: 4", "ReLU")
    extracted = act(text, "Dense", "refactor.extract", until="units: 4")["Extract to a block"]
    assert extracted == (
        "blocks:\n"
        "  block_1:\n"
        "    layers:\n"
        "      - {type: Dense, units: 3}  # one\n"
        "      - type: Dense\n"
        "        units: 4\n"
        "\n" + layers("Flatten", "{block: block_1}", "ReLU")
    )
    inlined = act(extracted, "{block", "refactor.inline")["Inline the block"]
    assert inlined.endswith(
        layers(
            "Flatten",
            "{type: Dense, units: 3, name: block_1.dense}",
            "{type: Dense, units: 4, name: block_1.dense_1}",
            "ReLU",
        )
    )


def test_second_block_is_added_below_the_first(act):
    text = "blocks:\n  block_1:\n    layers: [ReLU]\n" + layers(
        "Flatten", "{block: block_1}", "{type: Dense, units: 3}"
    )
    extracted = act(text, "{type: Dense", "refactor.extract")["Extract to a block"]
    added = "  block_2:\n    layers:\n      - {type: Dense, units: 3}\n"
    assert (
        extracted
        == text.replace("[ReLU]\n", "[ReLU]\n" + added)
        .replace("    - {type: Dense, units: 3}\n    - ", "")
        .rpartition("    - {type")[0]
        + "    - {block: block_2}\n"
    )


def test_block_with_a_name_that_others_use_is_not_extracted(act):
    text = layers("{type: Flatten, name: flat}", "{type: Dense, units: 3, inputs: flat}")
    assert act(text, "Flatten", "refactor.extract") == {}
    assert "Extract to a block" in act(text, "Dense", "refactor.extract")


def test_inline_repeated_block_with_parameters(act):
    entries = "      - {type: Dense, units: '${n}'}\n      - {type: Add, inputs: [input, previous]}\n"
    before = f"blocks:\n  pair:\n    params: [n]\n    layers:\n{entries}"
    text = before + layers(
        "Flatten", "{type: Dense, units: 4}", "{block: pair, repeat: 2, with: {n: 4}}", "ReLU"
    )
    inlined = act(text, "{block", "refactor.inline")["Inline the block"]
    assert inlined == before + layers(
        "Flatten",
        "{type: Dense, units: 4}",
        "{type: Dense, units: 4, name: pair.dense}",
        "{type: Add, inputs: [dense, pair.dense], name: pair.add}",
        "{type: Dense, units: 4, name: pair_1.dense}",
        "{type: Add, inputs: [pair.add, pair_1.dense], name: pair_1.add}",
        "ReLU",
    )


@pytest.mark.parametrize("word", ["Dense", "ReLU", "Adam", "EarlyStopping"])
def test_write_out_defaults_keeps_the_resolved_config(act, word):
    text = (
        "data: {type: sklearn, dataset: digits, split: {validation: 0.1}}\n"
        + layers("{type: Dense, units: 10}", "ReLU", before="model:\n  layers:\n")
        + "train:\n  loss: crossentropy\n  optimizer: Adam\n  callbacks:\n    - type: EarlyStopping\n      patience: 3\n"
    )
    (written,) = act(text, word, "refactor.rewrite").values()
    resolve = [
        require_valid(check_config(str(act.path), text=one)).to_resolved_dict() for one in (text, written)
    ]
    assert resolve[0] == resolve[1]
    assert len(written) > len(text) + 30


def test_automatic_requests_only_ask_for_quick_fixes(act):
    text = layers("Flatten", "{type: Dense, units: 3}")
    assert act(text, "Dense", None, trigger=2) == {}
    assert set(act(text, "Dense", None)) == {"Extract to a block", "Write out defaults"}


def test_actions_of_a_slow_text_are_those_checked_in_time(act, monkeypatch):
    text = layers("{type: Flatten}", "{type: Dense, units: 2, activation: rleu}")
    clock = count(step=0.6)
    monkeypatch.setattr(check_budget.time, "process_time", lambda: next(clock))
    assert act(text, "rleu") == {"Did you mean `relu`?": text.replace("rleu", "relu")}
    clock = count(step=1.1)
    assert act(text, "rleu") == {}
    assert act(text, "rleu", None) == {}

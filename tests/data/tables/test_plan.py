"""Plans of tables: their columns, their selections and their documents."""

import json
from dataclasses import replace

from layercli.config.data.section import DataFacts, TargetFacts
from layercli.data.tables.plan import TablePlan, TargetPlan

PLAN = TablePlan(
    inputs={"n": ("a", "b"), "t": ("word",)},
    text_columns=frozenset({"word"}),
    targets={"size": TargetPlan(("y", "v")), "kind": TargetPlan(("z",), 2, ("p", "q"))},
    weight_column="w",
    required_columns=("b", "c"),
    series_columns=("s",),
    time_column="t",
    fill_values={"a": 1.5},
    fill_statistics={"b": "mean"},
    integer_dtypes={"n": "int32"},
)


def test_columns_are_listed_once_in_order():
    assert PLAN.columns == ["a", "b", "word", "y", "v", "z", "w", "c", "s", "t"]
    assert PLAN.without_target().columns == ["a", "b", "word", "s", "t"]
    assert (PLAN.is_text("n"), PLAN.is_text("t")) == (False, True)


def test_selected_inputs_keep_only_their_columns():
    selected = PLAN.select_inputs({"b", "other"})
    assert selected.inputs == {"n": ("b",)}
    assert (selected.integer_dtypes, selected.weight_column, selected.series_columns) == ({}, None, ())
    assert selected.targets == PLAN.targets
    assert PLAN.select_inputs(()).inputs == {None: ()}


def test_learned_values_replace_their_statistics():
    learned = PLAN.with_fill_values({"b": 2.5})
    assert (learned.fill_values, learned.fill_statistics) == ({"a": 1.5, "b": 2.5}, {})


def test_class_names_by_target():
    assert PLAN.class_names == {"kind": ("p", "q")}
    single = TablePlan(inputs={}, text_columns=frozenset(), targets={None: TargetPlan(("y",), 2, ("p", "q"))})
    assert single.class_names == ("p", "q")
    assert PLAN.without_target().class_names is None


def test_facts_of_one_and_of_several_targets():
    base = DataFacts(1, (3,), None)
    assert PLAN.data_facts(base, 9).targets == {
        "size": TargetFacts(None),
        "kind": TargetFacts(2, kind="labels", has_integers=True),
    }
    single = TablePlan(inputs={}, text_columns=frozenset(), targets={None: TargetPlan(("y",), 4)})
    assert (single.data_facts(base, 9).classes, single.data_facts(base, 9).samples) == (4, 9)
    facts = PLAN.without_target().data_facts(base, 9)
    assert (facts.classes, facts.targets) == (None, None)


def test_document_of_a_plan_reads_back():
    document = json.loads(json.dumps(PLAN.to_json()))
    assert document == {
        "input": None,
        "inputs": {"n": ["a", "b"], "t": ["word"]},
        "texts": ["word"],
        "targets": [["size", ["y", "v"], None, None], ["kind", "z", 2, ["p", "q"]]],
        "labels": [],
        "weights": "w",
        "drop": ["b", "c"],
        "keys": ["s"],
        "time": "t",
        "fill": {"a": 1.5},
        "integers": [["n", "int32"]],
        "dates": {},
        "conversions": {},
    }
    again = TablePlan.from_json(document)
    assert again.to_json() == document
    assert (again.inputs, again.targets, again.columns) == (PLAN.inputs, PLAN.targets, PLAN.columns)
    single = TablePlan(inputs={None: ("a",)}, text_columns=frozenset(), targets={None: TargetPlan(("y",))})
    assert TablePlan.from_json(json.loads(json.dumps(single.to_json()))) == single
    lists = replace(single, targets={None: TargetPlan(("y",), label_separator=";", labels=("a", "b"))})
    document = json.loads(json.dumps(lists.to_json()))
    assert (document["targets"], document["labels"]) == ([[None, "y", None, None]], [[None, ";", ["a", "b"]]])
    assert TablePlan.from_json(document) == lists

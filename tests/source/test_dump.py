"""YAML that layercli writes."""

import math

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from layercli.source.dump import _Dumper, to_yaml
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText


def reread(document, tmp_path):
    """Write YAML and read it with our own reader."""
    return parse_yaml(SourceText("c.yaml", to_yaml(document).split("\n"), tmp_path)).to_plain()


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30) | st.sampled_from(
    [
        "1e-3",
        "no",
        "012",
        "null",
        "~",
        "a: b",
        "- a",
        "# a",
        "0x1F",
        "0o17",
        ".inf",
        "1_000",
        "1:30",
        "=",
        "<<",
        "y",
        "",
        " lead",
        "trail ",
        "a\nb",
        "a\n\nb\n",
        "tab\tin",
        "'",
        '"',
        "\\n",
        "ünïcode 図",
        "🦆",
        "{a}",
        "[a]",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "a #b",
        "long " * 60,
        "x" * 300,
        "\u2028",
        "\x85",
        "\x7f",
        "\x1b[0m",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
keys = texts.filter(lambda key: key not in ("", "<<"))  # an empty key, and a merge, are refused by the reader
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(["a", "b", "name"]), values, min_size=1))
@example({"a": 1e-07, "b": [1e300, 5e-324, -0.0, math.inf, -math.inf, 1e22]})
@example({"a": ["1e-3", "no", "012", "null", "a: b"], "b": {"on": {"1:30": []}}, "name": {}})
def test_written_yaml_reads_back_to_the_same_values(tmp_path_factory, document):
    again = reread(document, tmp_path_factory.getbasetemp())
    assert again == document
    assert repr(again) == repr(document)  # 1 is not 1.0, nor true


def test_nan_reads_back_as_nan(tmp_path):
    assert math.isnan(reread({"a": math.nan}, tmp_path)["a"])


def test_list_of_scalars_is_one_line_without_aliases():
    shape = [8, 8, 1]
    assert to_yaml({"a": shape, "b": [{"c": shape}]}) == "a: [8, 8, 1]\nb:\n- c: [8, 8, 1]\n"


def test_lines_are_those_of_the_yaml_library():
    words = ["relu", "no", "Off", "a b", "1e-3", "012", "", "x" * 120, "é", "_x", "a/b.c", "2024-01-31"]
    lists = [[], [1, 2.5, True, None], words, [{"a": 1}, {}], [[1], [2]], ["word"] * 40]
    numbers = [0, -5, 10**30, 1e-07, 1e300, math.inf, -0.0, 0.0, True, None]
    document = {
        "flat": dict(zip(map(str, range(99)), [*numbers, *words, *lists], strict=False)),
        "layers": [{word or "empty": [value]} for word in words for value in (*numbers, *words)],
        "mixed": [1, {"a": [2, [3]]}, "b"],
        "folded": {f"key{length}": {"b": ["w" * (length % 9 + 1)] * length} for length in range(1, 80)},
        "deep": {"a": {"b": [{"c": {"d": words, "e": lists, "f": "word " * 40}, "g": {}}]}},
    }
    assert to_yaml(document) == yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110
    )
    assert to_yaml({}) == "{}\n"


def test_yaml_library_is_not_called_for_plain_values(monkeypatch):
    monkeypatch.setattr(yaml, "dump", None)
    layer = {"type": "Dense", "name": "dense_1", "units": 3, "shape": [8, None, 1], "activation": None}
    assert to_yaml({"model": {"layers": [layer]}}) == (
        "model:\n  layers:\n  - type: Dense\n    name: dense_1\n    units: 3\n    shape: [8, null, 1]\n"
        "    activation: null\n"
    )

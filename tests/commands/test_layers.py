"""``layercli layers``: the list and the page of each layer."""

import json
import re
import subprocess
import sys

import pytest
from rich.console import Console

from layercli.check import check_document
from layercli.cli import main
from layercli.commands.layers import describe_layer
from layercli.layers.registry import LAYERS
from layercli.layers.shapes import Tensor, format_shape
from layercli.reports.catalogue import (
    catalogue_json,
    layer_json,
    parse_layer_example,
    print_catalogue,
    print_layer,
)
from layercli.source.load import parse_yaml
from layercli.source.nodes import SourceText


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["layercli", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    return stop.value.code or 0, out, err


def rendered(print_page, page, width):
    console = Console(width=width, markup=False, highlight=False, emoji=False, force_terminal=False)
    with console.capture() as capture:
        print_page(console, page)
    return capture.get()


@pytest.mark.parametrize("name", LAYERS.names)
def test_every_layer_page_is_complete_and_fits_the_terminal(name):
    page = layer_json(LAYERS.load(name))
    for width in (80, 140):
        text = rendered(print_layer, page, width)
        assert max(map(len, text.splitlines())) <= width
        assert "\x1b" not in text
        joined = re.sub(r"\s+", "", text)
        for argument in page["arguments"]:
            assert argument["name"] in joined
        assert re.sub(r"\s+", "", page["example_text"]) in joined


@pytest.mark.parametrize("name", LAYERS.names)
def test_every_layer_json_is_complete(name):
    page = json.loads(json.dumps(layer_json(LAYERS.load(name)), allow_nan=False))
    assert {argument["name"] for argument in page["arguments"]} == set(LAYERS.load(name).model_fields)
    assert all(argument["description"] and argument["takes"] for argument in page["arguments"])
    required = [argument["required"] for argument in page["arguments"]]
    assert required == sorted(required, reverse=True)
    assert page["family"] in {family["family"] for family in catalogue_json()["families"]}
    assert page["summary"].endswith(".")
    assert page["on"] is not None


@pytest.mark.parametrize("name", LAYERS.names)
def test_every_page_example_runs(name):
    on = layer_json(LAYERS.load(name))["on"]
    if len(on["inputs"]) > 1:
        outputs = LAYERS.parse(parse_layer_example(name)).infer(
            tuple(Tensor((*x["shape"],), x["dtype"]) for x in on["inputs"])
        )
        assert [list(x.shape) for x in outputs.outputs] == [x["shape"] for x in on["outputs"]]
        return
    (x,) = on["inputs"]
    shape = ["null" if dim is None else dim for dim in x["shape"][1:]]
    text = layer_json(LAYERS.load(name))["example_text"]
    lines = ["model:", f"  input: {{shape: {shape}, dtype: {x['dtype']}}}", "  layers:", f"    - {text}"]
    checked = check_document(parse_yaml(SourceText("example.yaml", lines, directory=None)))
    assert checked.problems == []
    (row,) = checked.shapes.rows
    assert [format_shape(y.shape) for y in row.outputs] == [format_shape(y["shape"]) for y in on["outputs"]]
    assert row.parameters == on["parameters"]


def test_list_has_all_layers_and_unsupported_types_by_family():
    document = catalogue_json()
    listed = [layer["type"] for family in document["families"] for layer in family["layers"]]
    assert sorted(listed) == sorted([*LAYERS.names, "FeatureSpace"])
    assert [refused["type"] for refused in document["refused"]] == list(LAYERS.unavailable)
    for width in (80, 140):
        text = rendered(print_catalogue, document, width)
        assert max(map(len, text.splitlines())) <= width
        joined = re.sub(r"\s+", "", text)
        assert all(name in joined or name[:30] in joined for name in [*listed, *LAYERS.unavailable])


@pytest.mark.parametrize(
    "spelling", ["Conv2D", "conv2d", "conv_2d", "conv-2d", "Convolution2D", "keras.layers.Conv2D"]
)
def test_any_spelling_finds_the_layer(spelling, monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, "layers", spelling, "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["ok"] is True
    assert document["type"] == "Conv2D"
    assert document["aliases"] == ["Convolution2D"]
    assert document["arguments"][:2] == [
        {
            "name": "filters",
            "takes": "a positive integer",
            "required": True,
            "default": None,
            "description": "Number of channels of the output.",
        },
        {
            "name": "kernel_size",
            "takes": "a positive integer or a list of 2 positive integers",
            "required": True,
            "default": None,
            "description": "Size of the window.",
        },
    ]
    assert document["on"]["parameters"] == 3 * 3 * 3 * 32 + 32


def test_page_layout(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(monkeypatch, capsys, "layers", "RepeatVector")
    assert code == 0
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[:4] == [
        "RepeatVector  reshaping",
        "Makes a sequence of one vector, repeated.",
        "",
        "Input: (batch, features). Output: (batch, n, features).",
    ]
    assert " n                      required   Length of the sequence." in "\n".join(lines)
    assert lines[-3:] == [
        "Example",
        "  - {type: RepeatVector, n: 3}",
        "(None, 16) becomes (None, 3, 16); the layer has no weights.",
    ]


def test_unknown_type_suggests_the_closest(monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, "layers", "Denze")
    assert code == 1
    assert 'There is no layer "Denze".' in out + err
    assert "Did you mean `Dense`?" in out + err


@pytest.mark.parametrize("name", LAYERS.unavailable)
def test_unsupported_type_gives_reason_and_alternative(name, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "layers", name.lower(), "--json")
    assert code == 1
    document = json.loads(out)
    assert document["ok"] is False
    (problem,) = document["problems"]
    reason, hint = LAYERS.unavailable[name]
    assert problem["message"] == f"{name} is not available in a config: {reason}."
    assert (problem["code"], problem["hint"]) == ("refused-type", hint)


def test_no_framework_is_loaded():
    code = (
        "import sys; from layercli.commands.layers import describe_layer;"
        "from layercli.reports.catalogue import catalogue_json; describe_layer('conv2d'); catalogue_json();"
        "print(sorted({'keras', 'tensorflow', 'numpy', 'sklearn', 'pyarrow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_description_from_python():
    assert describe_layer("dense")["type"] == "Dense"

"""Pictures show every layer and arrow without overlaps, and load no other files."""

import io
import json
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from PIL import Image

from layercli import api
from layercli.check import check_config, require_valid
from layercli.plot.drawing import THEMES, Drawing, estimate_text_width
from layercli.plot.layout import layout_boxes
from layercli.plot.mermaid import render_mermaid
from layercli.plot.picture import Box, Picture, build_picture
from layercli.plot.render import render_plot
from layercli.plot.svg import render_svg
from tests.running import CONFIGS, invoke, run_python

EVERY = sorted(path.name for path in CONFIGS.glob("*.yaml"))
SVG = "{http://www.w3.org/2000/svg}"


def shapes_of(text):
    return require_valid(check_config("plot.yaml", text=text)).shapes


def placed(drawn):
    sizes = {box.key: (150.0, 46.0) for box in drawn.boxes}
    return layout_boxes(sizes, drawn.arrows, {box.key: box.group for box in drawn.boxes}), sizes


def assert_apart(found, sizes):
    """Assert that no boxes overlap."""
    boxes = [(x, y, x + sizes[key][0], y + sizes[key][1]) for key, (x, y) in found.box_positions.items()]
    for index, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[index + 1 :]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
        assert left >= -0.01
        assert right <= found.width + 0.01
        assert bottom <= found.height + 0.01


@pytest.mark.parametrize("name", EVERY)
def test_every_layer_and_arrow_is_placed(name):
    shapes = api.infer_shapes(CONFIGS / name)
    drawn = build_picture(shapes, unfold=True)
    assert len(drawn.boxes) == len(shapes.graph.nodes) + len(shapes.graph.inputs)
    assert set(drawn.arrows) == {(source, node.name) for node in shapes.graph.nodes for source in node.inputs}
    found, sizes = placed(drawn)
    assert_apart(found, sizes)
    for (source, target), points in found.routes.items():
        width, height = sizes[source]
        (x, y), (to, into) = found.box_positions[source], found.box_positions[target]
        assert points[0] == pytest.approx((x + width / 2, y + height))
        assert points[-1][1] == pytest.approx(into)
        assert to < points[-1][0] < to + sizes[target][0]
        if (source, target) not in found.column_changes:
            assert all(one[1] <= other[1] for one, other in pairwise(points))


def test_repeated_block_is_one_box():
    drawn = build_picture(api.infer_shapes(CONFIGS / "digits_residual.yaml"), unfold=False)
    assert [(box.title, box.repeat_count, box.name, box.shape, box.parameters) for box in drawn.boxes] == [
        ("Input", 1, "", "8 x 8 x 1", ""),
        ("Rescaling", 1, "", "8 x 8 x 1", ""),
        ("stem", 1, "2 layers", "8 x 8 x 16", "208"),
        ("residual", 3, "7 layers", "8 x 8 x 16", "14,208"),
        ("GlobalAveragePooling2D", 1, "", "16", ""),
        ("Dense", 1, "", "10", "170"),
    ]
    assert len(drawn.arrows) == 5
    assert drawn.boxes[-1].is_output


@pytest.mark.parametrize(
    ("layer", "details"),
    [
        ("{type: Dense, units: 1}", "1 unit"),
        ("{type: Dense, units: 3, activation: tanh}", "3 units, tanh"),
        (
            "{type: Conv2D, filters: 4, kernel_size: [3, 1], strides: 2}",
            "4 filters, kernel 3 x 1, stride 2 x 2",
        ),
        ("{type: AveragePooling2D, pool_size: 3, strides: 1}", "pool 3 x 3"),
        ("{type: SpatialDropout2D, rate: 0.25}", "rate 0.25"),
        ("{type: TimeDistributed, layer: {type: Dense, units: 2, activation: relu}}", "Dense, 2 units, relu"),
        ("{type: BatchNormalization}", ""),
    ],
)
def test_box_shows_the_main_arguments(layer, details):
    drawn = build_picture(shapes_of(f"model: {{input: [8, 8, 3], layers: [{layer}]}}"), unfold=False)
    assert drawn.boxes[1].details == details


def test_a_run_is_drawn_from_its_config(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text((CONFIGS / "digits_dense.yaml").read_text())
    assert invoke("build", run, "--plot", tmp_path / "model.svg").exit_code == 0
    assert "output 10" in (tmp_path / "model.svg").read_text()


def test_shared_layers_are_marked_and_not_merged():
    drawn = build_picture(api.infer_shapes(CONFIGS / "digits_siamese.yaml"), unfold=False)
    assert [(box.title, box.parameters) for box in drawn.boxes if box.family == "block"] == [
        ("first", "25,984"),
        ("second", "shared"),
    ]


def test_only_equal_layers_are_merged():
    drawn = build_picture(
        shapes_of(
            "model:\n  input: [8]\n  layers:\n    - {type: Dense, units: 8, repeat: 100}\n    - {type: Dense, units: 4}\n"
        ),
        unfold=False,
    )
    assert [(box.title, box.repeat_count, box.parameters) for box in drawn.boxes[1:]] == [
        ("Dense", 100, "7,200"),
        ("Dense", 1, "36"),
    ]


def stack(count):
    layers = "".join(
        f"    - {{type: Dense, units: {8 + index % 3}}}\n    - {{type: Dropout, rate: 0.1}}\n"
        for index in range(count // 2)
    )
    return shapes_of(f"model:\n  input: [8]\n  layers:\n{layers}")


def test_long_stack_is_split_into_columns():
    found, sizes = placed(build_picture(stack(100), unfold=True))
    assert_apart(found, sizes)
    assert 0.8 < found.width / found.height < 2.5
    columns = {round(x) for x, _ in found.box_positions.values()}
    assert len(found.column_changes) == len(columns) - 1 > 3


def test_arrows_between_adjacent_rows_are_straight():
    found, sizes = placed(build_picture(api.infer_shapes(CONFIGS / "digits_residual.yaml"), unfold=True))
    arrows = [arrow for arrow, points in found.routes.items() if len(points) == 2]
    straight = [
        arrow
        for arrow in arrows
        if found.routes[arrow][0][0] == pytest.approx(found.routes[arrow][1][0], abs=1)
    ]
    assert len(straight) == len(arrows) > 15
    del sizes


def texts(svg):
    root = ElementTree.fromstring(svg)
    return [item.text for item in root.iter(f"{SVG}text")]


def test_svg_shows_layers_and_loads_nothing():
    svg = render_plot(api.infer_shapes(CONFIGS / "digits_cnn.yaml"), ".svg", title="digits")
    shown = texts(svg)
    for text in (
        "Conv2D",
        "32 filters, kernel 3 x 3, relu",
        "output 8 x 8 x 32",
        "320 parameters",
        "output 10",
    ):
        assert text in shown
    assert not re.search(rb"href|url\(|<script|<image|<style|@import", svg)
    assert svg.count(b"http") == 1  # the name of the format


def test_names_are_escaped():
    hostile = '</text><script>alert("x")</script>&'
    drawn = Picture([Box("a", hostile, hostile, hostile, hostile, hostile, group=hostile)], [])
    svg = render_svg(Drawing(drawn, "light"), hostile)
    assert "<script" not in svg
    assert sum(hostile in text for text in texts(svg)) == 6
    mermaid = render_mermaid(drawn, "light")
    assert "<script" not in mermaid
    assert mermaid.count('"') == 2 + 2 + 4


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_png_background_of_theme(theme):
    png = render_plot(api.infer_shapes(CONFIGS / "digits_cnn.yaml"), ".png", title="digits", theme=theme)
    image = Image.open(io.BytesIO(png))
    assert "#{:02x}{:02x}{:02x}".format(*image.getpixel((0, 0))) == THEMES[theme].background
    assert len(image.getcolors(1 << 24)) > 20
    assert image.width > 200


def test_estimated_text_width_is_sufficient():
    from PIL import ImageFont

    font = ImageFont.load_default(100)
    for text in (
        "GlobalAveragePooling2D",
        "BatchNormalization",
        "112 x 112 x 64",
        "1,234,567",
        "convolution_1.conv2d",
        "WWW",
    ):
        assert font.getlength(text) <= estimate_text_width(text, 100) * 1.08


def test_mermaid_of_model_with_blocks():
    shapes = api.infer_shapes(CONFIGS / "digits_residual.yaml")
    assert (
        render_plot(shapes, ".mmd", title="digits").decode()
        == """\
%%{init: {"theme": "neutral"}}%%
flowchart TB
  n0(["Input<br/>shape 8 x 8 x 1"])
  n1["Rescaling<br/>output 8 x 8 x 1"]
  n2[["stem<br/>2 layers<br/>output 8 x 8 x 16<br/>208 parameters"]]
  n3[["3x residual<br/>7 layers<br/>output 8 x 8 x 16<br/>14,208 parameters"]]
  n4["GlobalAveragePooling2D<br/>output 16"]
  n5["Dense<br/>10 units, softmax<br/>output 10<br/>170 parameters"]
  n0 --> n1
  n1 --> n2
  n2 --> n3
  n3 --> n4
  n4 --> n5
"""
    )
    unfolded = render_plot(shapes, ".mmd", title="digits", unfold=True, theme="dark").decode()
    assert unfolded.count("subgraph") == unfolded.count("  end") == 4
    assert '"theme": "dark"' in unfolded


def test_picture_in_docs_is_current():
    shapes = api.infer_shapes(CONFIGS / "digits_residual.yaml")
    shown = CONFIGS.parent / "docs" / "residual.svg"
    assert shown.read_bytes() == render_plot(shapes, ".svg", title="digits-residual", unfold=True)


def test_plot_without_framework(tmp_path):
    code = """
import sys
from typer.testing import CliRunner
from layercli.cli import make_app
result = CliRunner().invoke(make_app(["build"]), ["build", sys.argv[1], "--plot", sys.argv[2], "--unfold", "--json"])
print(result.stdout, sorted({"keras", "tensorflow", "numpy"} & set(sys.modules)))
"""
    target = tmp_path / "model.svg"
    printed, _, modules = run_python(code, CONFIGS / "digits_cnn.yaml", target).rpartition("[")
    assert modules == "]\n"
    document = json.loads(printed)
    assert document["plot"] == str(target)
    assert document["output"] is None
    assert "Conv2D" in texts(target.read_bytes())


def test_invalid_plot_path_is_usage_error(tmp_path):
    result = invoke("build", CONFIGS / "digits_cnn.yaml", "--plot", tmp_path / "model.jpg")
    assert result.exit_code == 2
    assert invoke("build", CONFIGS / "digits_cnn.yaml", "--plot", tmp_path / "a" / "model.svg").exit_code == 2


def test_plot_of_layer_with_unknown_shape(tmp_path):
    result = invoke("build", CONFIGS / "custom_layer.yaml", "--plot", tmp_path / "model.mmd")
    assert result.exit_code == 0, result.output
    assert "SimpleDense" in (tmp_path / "model.mmd").read_text()

"""Pictures show every layer and arrow without overlaps, and load no other files."""

import io
import json
import re
from itertools import pairwise
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from PIL import Image

from layercli import api
from layercli.check import check_config, require_valid
from layercli.plot import layout, png
from layercli.plot.drawing import THEMES, Drawing, estimate_text_width
from layercli.plot.layout import PictureTooLargeError, layout_boxes
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
        ("{type: AveragePooling2D, pool_size: 3, strides: [1, 2]}", "pool 3 x 3, stride 1 x 2"),
        ("{type: Conv2D, filters: 1, kernel_size: 3}", "1 filter, kernel 3 x 3"),
        ("{type: Dense, units: 1, activation: linear}", "1 unit"),
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


def test_shapes_and_parameters_are_named():
    one = Box("a", "Dense", shape="10", parameters="1")
    assert (one.shape_text, one.parameters_text) == ("output 10", "1 parameter")
    assert Box("a", "x", shape="10", parameters="21", family="input").shape_text == "shape 10"
    assert Box("a", "x", parameters="21").parameters_text == "21 parameters"
    assert [Box("a", "x", parameters=text).parameters_text for text in ("", "?", "shared")] == [
        "",
        "?",
        "shared",
    ]
    assert Box("a", "x").shape_text == ""


def layout_of(*arrows, **groups):
    """The layout of boxes of 100 x 40 pixels."""
    keys = sorted({key for arrow in arrows for key in arrow})
    return layout_boxes(dict.fromkeys(keys, (100.0, 40.0)), arrows, {key: groups.get(key) for key in keys})


def test_positions_and_routes_of_two_branches():
    found = layout_of("ab", "ac", "bd", "cd")
    # Rows are 38 pixels apart, boxes in a row 24; a and d are in the middle.
    assert found.box_positions == {"a": (62, 0), "b": (0, 78), "c": (124, 78), "d": (62, 156)}
    assert (found.width, found.height) == (224, 196)
    # Two arrows enter a box 16 pixels apart.
    assert found.routes == {
        ("a", "b"): [(112, 40), (50, 78)],
        ("a", "c"): [(112, 40), (174, 78)],
        ("b", "d"): [(50, 118), (104, 156)],
        ("c", "d"): [(174, 118), (120, 156)],
    }


def test_boxes_of_a_row_have_the_same_middle():
    sizes = {"a": (100.0, 40.0), "b": (100.0, 40.0), "c": (100.0, 60.0), "d": (100.0, 40.0)}
    found = layout_boxes(sizes, ["ab", "ac", "bd", "cd"], dict.fromkeys(sizes))
    assert [y for _, y in found.box_positions.values()] == [0, 78 + 10, 78, 78 + 60 + 38]
    assert found.routes["a", "b"][1] == (50, 88)


def test_boxes_of_other_blocks_are_further_apart():
    found = layout_of("ab", "ac", "bd", "cd", b="block")
    assert found.box_positions["c"][0] - found.box_positions["b"][0] == 100 + 24 + 24


def test_arrow_past_a_box_enters_next_to_the_straight_one():
    found = layout_of("ab", "bc", "ac")
    assert found.box_positions["a"][0] == pytest.approx(found.box_positions["b"][0], abs=0.2)
    middle = found.box_positions["c"][0] + 50
    assert found.routes["b", "c"][-1] == (middle, 156)
    assert found.routes["a", "c"][-1] == (middle + 16, 156)
    [(x, top), (_, bottom)] = found.waypoints["a", "c"]
    assert (top, bottom) == (78, 118)
    # The arrow is 10 pixels wide, 24 pixels next to the box.
    assert x - 5 - (found.box_positions["b"][0] + 100) == pytest.approx(24)


def test_many_arrows_into_a_box_stay_inside():
    found = layout_of(*(f"{key}z" for key in "abcdefgh"))
    ends = [found.routes[key, "z"][-1][0] for key in "abcdefgh"]
    assert ends == sorted(ends)
    assert [b - a for a, b in pairwise(ends)] == pytest.approx([70 / 8] * 7)
    assert sum(ends) / 8 == pytest.approx(found.box_positions["z"][0] + 50)


def test_boxes_change_places_where_arrows_would_cross():
    found = layout_of("ac", "ad", "bd", "ce", "df", "cf", "be")
    positions = {key: x for key, (x, _) in found.box_positions.items()}
    straight = layout_of("ad", "bc")
    x = {key: x for key, (x, _) in straight.box_positions.items()}
    assert (x["a"] < x["b"]) is (x["d"] < x["c"])
    assert len(set(positions.values())) > 1


def test_input_without_sources_is_directly_above_its_target():
    found = layout_of("ac", "ce", "de")
    assert found.box_positions["d"][1] == found.box_positions["c"][1] == 78


def test_pictures_with_too_many_arrows_side_by_side_are_refused(monkeypatch):
    # Between the rows of a, b, c and d: 2 + 2 + 2 arrows, and 4 + 4 + 4 pairs of them.
    arrows = ("ab", "bc", "cd", "ad")
    monkeypatch.setattr(layout, "_MAX_CELLS", 6)
    monkeypatch.setattr(layout, "_MAX_CROSSINGS", 12)
    layout_of(*arrows)
    monkeypatch.setattr(layout, "_MAX_CROSSINGS", 11)
    with pytest.raises(PictureTooLargeError):
        layout_of(*arrows)
    monkeypatch.setattr(layout, "_MAX_CROSSINGS", 12)
    monkeypatch.setattr(layout, "_MAX_CELLS", 5)
    with pytest.raises(PictureTooLargeError):
        layout_of(*arrows)


class Recorder:
    """A canvas that keeps what is drawn."""

    def __init__(self):
        self.rectangles, self.texts, self.arrows = [], [], []

    def draw_rectangle(self, *rectangle):
        self.rectangles.append(rectangle)

    def draw_text(self, *text):
        self.texts.append(text)

    def draw_arrow(self, pieces, color):
        self.arrows.append((pieces, color))


def draw(*boxes, arrows=()):
    drawing, canvas = Drawing(Picture(list(boxes), list(arrows)), "light"), Recorder()
    drawing.draw(canvas)
    return drawing, canvas


def test_box_of_a_repeated_block():
    box = Box("a", "stem", "head", "10", "170", family="block", repeat_count=3, is_output=True)
    drawing, canvas = draw(box)
    # The wider one of two lines: each has two texts and 22 pixels between them.
    lower = estimate_text_width("output 10", 11) + 22 + estimate_text_width("170 parameters", 11)
    upper = estimate_text_width("stem", 13) * 1.14 + 22 + estimate_text_width("head", 11)
    upper += 16 + estimate_text_width("3x", 13)
    width = 2 * 12 + 6 + max(lower, upper)
    assert drawing.box_areas == {"a": (0, 0, pytest.approx(width), 46)}
    white, grey, family = "#ffffff", "#cbd5e1", "#4f46e5"
    assert canvas.rectangles == [
        (4, 4, width, 46, 7, white, grey),
        (0, 0, width, 46, 7, white, family, 2.0),
        (5, 8, 3.5, 30, 1.75, family),
    ]
    count_width = (0.57 + 0.57) * 13
    assert [text[:3] for text in canvas.texts] == [
        ("stem", 16, 19.5),
        ("3x", width - 12, 19.5),
        ("head", pytest.approx(width - 12 - 12 - count_width), 19.5),
        ("output 10", 16, 36.5),
        ("170 parameters", width - 12, 36.5),
    ]
    assert [text[-1] for text in canvas.texts] == [600, 600, 400, 400, 400]
    assert drawing.bounds == pytest.approx((-28, -28, width + 56, 46 + 56))


def test_box_with_arguments_has_a_third_line():
    drawing, canvas = draw(Box("a", "Dense", shape="10", details="10 units"))
    assert drawing.box_areas == {"a": (0, 0, 132, 63)}  # the smallest width
    assert [text[:3] for text in canvas.texts] == [
        ("Dense", 16, 19.5),
        ("10 units", 16, 36.5),
        ("output 10", 16, 53.5),
    ]
    assert canvas.rectangles == [
        (0, 0, 132, 63, 7, "#ffffff", "#cbd5e1", 1.0),
        (5, 8, 3.5, 47, 1.75, "#2563eb"),
    ]


def test_frame_around_a_block_is_as_wide_as_its_name():
    for name, width in (("block", 132 + 20), ("w" * 40, 40 * 0.9 * 11 + 6 + 10)):
        _, canvas = draw(Box("a", "Dense", group=name))
        x, y, frame_width, height, radius, fill, edge = canvas.rectangles[0]
        assert (x, y, height, radius, fill, edge) == (-10, -10, 46 + 30, 10, "#f1f5f9", "#cbd5e1")
        assert frame_width == pytest.approx(width)
        assert canvas.texts[0][:3] == (name, 0, 59)


def test_points_of_a_curve():
    """The Bernstein polynomials by hand, at a quarter, the half and the end."""
    points = png._curve_points([(0, 0), (0, 1), (1, 1), (1, 0)])
    assert len(points) == 16
    assert points[3] == pytest.approx((3 * 0.75 / 16 + 1 / 64, 3 * 0.5625 / 4 + 3 * 0.75 / 16))
    assert points[7] == pytest.approx((0.5, 0.75))
    assert points[15] == (1, 0)


def render_pixels(bounds, draw):
    scene = SimpleNamespace(bounds=bounds, colors=SimpleNamespace(background="#ffffff"), draw=draw)
    return Image.open(io.BytesIO(png.render_png(scene)))


def test_png_has_two_pixels_for_each_unit(monkeypatch):
    def draw(canvas):
        canvas.draw_rectangle(20, 40, 10, 5, 0, "#ff0000")

    image = render_pixels((10, 30, 50, 25), draw)
    assert image.size == (100, 50)
    red = [(x, y) for x in range(100) for y in range(50) if image.getpixel((x, y)) == (255, 0, 0)]
    assert (min(red), max(red)) == ((20, 20), (40, 30))
    monkeypatch.setattr(png, "_MAX_PIXELS", 1250)
    assert render_pixels((10, 30, 50, 25), draw).size == (50, 25)
    monkeypatch.setattr(png, "_MAX_PIXELS", 1)
    assert render_pixels((0, 0, 1000, 1), draw).size == (32, 1)


def test_lines_and_texts_of_a_png():
    def draw(canvas):
        canvas.draw_rectangle(2, 2, 20, 20, 0, "#ffffff", "#0000ff", 2.0)
        canvas.draw_arrow([[(30, 0), (30, 20)]], "#ff0000")

    image = render_pixels((0, 0, 40, 30), draw)
    blue = [x for x in range(80) if image.getpixel((x, 20)) == (0, 0, 255)]
    assert blue == [4, 5, 6, 7, 41, 42, 43, 44]
    red = [x for x in range(80) if image.getpixel((x, 10)) == (255, 0, 0)]
    assert len(red) == 3  # 1.4 units
    assert image.getpixel((60, 39)) == (255, 0, 0)
    # The head is 6 units high and 8 units wide.
    assert [x for x in range(80) if image.getpixel((x, 28)) == (255, 0, 0)] == list(range(52, 69))

    def write(canvas):
        canvas.draw_text("M", 20, 20, 10, "#000000")
        canvas.draw_text("M", 20, 40, 10, "#000000", "end")

    image = render_pixels((0, 0, 40, 45), write)
    dark = [(x, y) for x in range(80) for y in range(90) if image.getpixel((x, y)) == (0, 0, 0)]
    assert min(x for x, y in dark if y < 45) >= 40 > max(x for x, y in dark if y > 45)
    assert max(y for _, y in dark) == 79  # the baseline at 40

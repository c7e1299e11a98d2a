"""Elements of pages as Markdown, read again with an independent parser of CommonMark."""

import pytest
from markdown_it import MarkdownIt

from layercli.page.html import (
    Column,
    join_markup,
    make_details,
    make_element,
    make_preformatted,
    make_table,
    make_text,
)
from layercli.page.markdown import convert_to_markdown, escape_markdown, make_code_span
from tests.page.test_html import HOSTILE

NAMES = [
    HOSTILE,
    "a|b",
    "`code` ``x",
    "*bold* _it_ ~~gone~~",
    "[link](http://x.y) ![image](z.png)",
    "https://evil.example www.evil.example me@evil.example",
    "<script>alert(1)</script>",
    "\\",
    "# title",
    "- item",
    "1. item",
    "&lt;b&gt;",
    "line\nbreak",
]


def parse(text):
    return MarkdownIt("commonmark").enable("table").parse(text)


def texts_of(text):
    """The shown texts, and the types of all tokens."""
    texts, kinds = [], set()
    for token in parse(text):
        kinds.add(token.type)
        if token.type == "inline":
            kinds.update(child.type for child in token.children)
            texts.append("".join(child.content for child in token.children))
        elif token.type == "fence":
            texts.append(token.content)
    return texts, kinds


@pytest.mark.parametrize("name", NAMES)
def test_every_text_stays_a_text(name):
    table = make_table([Column(name), Column("n", True)], [[name, "1"]], label="t")
    markup = join_markup(
        [
            make_element("p", name),
            make_element("h2", name),
            make_element("ul", make_element("li", name)),
            table,
        ]
    )
    texts, kinds = texts_of(convert_to_markdown(markup))
    shown = " ".join(name.split())
    assert texts == [shown, shown, shown, shown, "n", shown, "1"]
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "em_open", "strong_open"}


def test_blocks_become_those_of_markdown():
    markup = join_markup(
        [
            make_element("h1", "Title"),
            make_element("p", make_element("strong", "Short"), ": ", make_text("set `a_b` now")),
            make_element("ul", make_element("li", "one"), make_element("li", "two")),
            make_element("figure", "a chart"),
            make_element("p", "Rows.", make_element("span", " Dark cells.", class_="drawn")),
            make_details("More", make_preformatted("x: 1\n  y: `2`")),
            make_table([Column("a"), Column("b", True)], [["x", "1"], ["y", "2"]], label="t"),
        ]
    )
    assert convert_to_markdown(markup) == (
        "# Title\n\n**Short**: set `a_b` now\n\n- one\n- two\n\nRows.\n\n#### More\n\n```\nx: 1\n  y: `2`\n```\n\n"
        "| a | b |\n| --- | ---: |\n| x | 1 |\n| y | 2 |\n"
    )


def test_links_of_github_are_escaped():
    assert escape_markdown("https://x.y") == "https\\://x.y"
    assert escape_markdown("www.x.y a@b.c") == "www\\.x.y a\\@b.c"
    assert escape_markdown("10:30, a.b") == "10:30, a.b"


def test_fences_are_longer_than_those_of_the_text():
    markup = make_preformatted("a\n```\n# not a title\n````")
    [token] = parse(convert_to_markdown(markup))
    assert (token.type, token.content) == ("fence", "a\n```\n# not a title\n````\n")
    assert make_code_span("a`b``") == "``` a`b`` ```"
    assert make_code_span("") == ""


def test_bars_in_code_of_a_table_stay_in_their_cell():
    cells = [make_element("code", "a|b"), make_element("code", "\\`|[x](http://e.f)|`")]
    texts, kinds = texts_of(
        convert_to_markdown(make_table([Column("h"), Column("i")], [cells, ["c", "d"]], label="t"))
    )
    assert "link_open" not in kinds
    assert texts == ["h", "i", "a|b", "\\`|[x](http://e.f)|`", "c", "d"]


def test_headings_keep_their_level():
    markup = join_markup([make_element(f"h{level}", f"Title {level}") for level in range(1, 5)])
    found = [(token.tag, token.type) for token in parse(convert_to_markdown(markup)) if token.nesting == 1]
    assert found == [(f"h{level}", "heading_open") for level in range(1, 5)]


def test_text_before_a_block_is_a_paragraph():
    for tag in ("p", "ul", "h2"):
        inner = make_element("li", "one") if tag == "ul" else "one"
        markup = join_markup(["before", make_element(tag, inner), "after"])
        found = convert_to_markdown(markup).split("\n\n")
        assert found[0] == "before"
        assert found[-1] == "after\n"
    table = make_table([Column("a")], [["x"]], label="t")
    assert convert_to_markdown(join_markup(["before", table])) == "before\n\n| a |\n| --- |\n| x |\n"


def test_drawn_elements_are_left_out_with_their_content():
    drawn = make_element("figure", make_element("p", "in"), make_element("img", alt="x"), "also in")
    after = make_element("p", "out", make_element("img", alt="x"), "side")
    assert convert_to_markdown(join_markup([drawn, after])) == "outside\n"


def test_rows_of_markdown_are_as_long_as_the_head():
    markup = (
        "<table><tr><th>a</th><th class='wide number'>b</th></tr>"
        "<tr><td class='number'>1</td></tr><tr><td>2</td><td>3</td><td>4</td></tr></table>"
    )
    assert convert_to_markdown(markup) == "| a | b |\n| --- | ---: |\n| 1 |  |\n| 2 | 3 |\n"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("1. a", "1\\. a"),
        ("1234567890. a", "1234567890. a"),
        ("1a", "1a"),
        ("###### a", "\\###### a"),
        ("####### a", "####### a"),
        ("#a", "#a"),
        ("- a", "\\- a"),
        ("= a", "\\= a"),
    ],
)
def test_starts_of_blocks_are_escaped(text, escaped):
    assert convert_to_markdown(make_element("p", text)) == f"{escaped}\n"

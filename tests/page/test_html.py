import pytest

from layercli.page.html import (
    Column,
    Markup,
    make_details,
    make_document,
    make_element,
    make_preformatted,
    make_table,
    make_text,
)
from tests.pages import check_page

HOSTILE = "</td></script><script>alert(1)</script><img src=x onerror=alert(1)>\"' &amp; $x^2$ {}"


def test_texts_and_attributes_are_escaped():
    element = make_element("p", HOSTILE, title=HOSTILE)
    page = check_page(
        make_document(HOSTILE, element, make_preformatted(HOSTILE), make_text(f"a `{HOSTILE}`"))
    )
    assert page.find("p")[0]["title"] == HOSTILE
    assert page.texts.count(HOSTILE) == 4
    assert page.find("title") == [{}]


def test_tables_escape_titles_and_cells():
    page = check_page(
        make_document("t", make_table([Column(HOSTILE), Column("n", True)], [[HOSTILE, "1"]], label=HOSTILE))
    )
    assert page.texts.count(HOSTILE) == 2
    assert page.find("div", role="region")[0]["aria-label"] == HOSTILE
    assert page.find("th", scope="row") == [{"scope": "row"}]


def test_control_characters_and_half_characters_are_replaced():
    page = make_document("t", make_element("p", "a\x00b\x1b[31m\ud800\u202ec"))
    assert page.encode("utf-8")
    assert not set("\x00\x1b\u202e") & set(page)


def test_backticks_are_code():
    assert make_text("use `a<b` now") == "use <code>a&lt;b</code> now"
    assert make_text("one ` only") == "one ` only"


def test_attributes_without_a_value_are_left_out():
    assert make_element("details", open=True, class_=None) == "<details open></details>"
    assert make_element("details", open=False, class_="a") == '<details class="a"></details>'
    assert make_element("img", alt="x") == '<img alt="x">'


def test_markup_is_inserted_as_it_is():
    assert make_element("p", Markup("<b>x</b>"), "<b>") == "<p><b>x</b>&lt;b&gt;</p>"


def test_policy_blocks_scripts_and_loading():
    policy = check_page(make_document("t")).find("meta")[1]["content"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_first_column_of_a_table_names_its_rows():
    columns = [Column("a"), Column("b", True), Column("c")]
    table = make_table(columns, [["x", "1", "y"]], label="t")
    assert table == (
        '<div class="scroll" role="region" aria-label="t" tabindex="0"><table><thead><tr><th scope="col">a</th>'
        '<th scope="col" class="number">b</th><th scope="col">c</th></tr></thead><tbody><tr><th scope="row">x</th>'
        '<td class="number">1</td><td>y</td></tr></tbody></table></div>'
    )
    plain = make_table(columns, [["x", "1", "y"]], label="t", has_row_titles=False)
    assert '<td>x</td><td class="number">1</td>' in plain
    with pytest.raises(ValueError, match="zip"):
        make_table(columns, [["x"]], label="t")


def test_long_texts_and_lines_of_code():
    assert len(make_element("p", "a" * 100_001)) == 100_000 + len("<p></p>")
    assert make_preformatted("a\tb\n  c") == '<pre tabindex="0">a    b\n  c</pre>'
    assert make_details("t", "x", is_open=True) == "<details open><summary>t</summary>x</details>"
    assert make_details("t", "x", class_="c") == '<details class="c"><summary>t</summary>x</details>'

from layercli.page.html import (
    Column,
    Markup,
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

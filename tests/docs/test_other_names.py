"""The generated table of other names in docs/other-names.md."""

from tests.other_names_page import PAGE, render_page


def test_page_of_other_names_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == render_page(), "run: python -m tests.other_names_page"

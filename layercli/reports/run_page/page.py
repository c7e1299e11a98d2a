"""The page of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from layercli.activity import track_items
from layercli.page.html import Markup, make_document, make_element, make_footer
from layercli.reports.run_page.comparison import make_comparison
from layercli.reports.run_page.content import RunContent
from layercli.reports.run_page.diagnostics import make_diagnostics
from layercli.reports.run_page.examples import make_examples, make_importance
from layercli.reports.run_page.model import make_data, make_model, make_origin
from layercli.reports.run_page.results import make_results
from layercli.reports.run_page.summary import make_header, make_summary
from layercli.reports.run_page.training import make_training

MAX_PAGE_BYTES: Final = 5_000_000
_LEFT_OUT: Final = "This section was left out, because the page would be larger than 5 MB. Name fewer runs."


class _Section:
    """A section of the page with its heading."""

    def __init__(self, name: str, title: str, body: Markup) -> None:
        self.name, self.title, self.body = name, title, body

    def render(self, level: str) -> Markup:
        heading = make_element(level, self.title, id=self.name)
        return make_element("section", heading, self.body)

    @property
    def size(self) -> int:
        return len(self.body.encode())


def render_run_page(contents: Sequence[RunContent]) -> str:
    """Return the HTML page of one run, or of several next to each other; it has at most 5 MB."""
    sections = [
        _make_sections(content, number, len(contents))
        for number, content in enumerate(track_items(contents, len(contents)), start=1)
    ]
    comparison = make_comparison(contents) if len(contents) > 1 else None
    while True:
        page = _assemble_page(contents, sections, comparison)
        if len(page.encode()) <= MAX_PAGE_BYTES:
            return page
        largest = max((section for each in sections for section in each), key=lambda section: section.size)
        largest.body = make_element("p", _LEFT_OUT, class_="notice")


def _make_sections(content: RunContent, number: int, total: int) -> list[_Section]:
    prefix = f"run{number}-" if total > 1 else ""
    bodies = {
        "training": ("How the training went", make_training(content)),
        "results": ("How good the model is", make_results(content)),
        "examples": ("Examples", make_examples(content)),
        "importance": ("Which columns matter", make_importance(content)),
        "diagnostics": ("Diagnostics of the layers", make_diagnostics(content)),
        "model": ("The model", make_model(content)),
        "data": ("The data", make_data(content)),
        "origin": ("How to reproduce this model", make_origin(content)),
    }
    return [_Section(prefix + name, title, body) for name, (title, body) in bodies.items() if body]


def _assemble_page(
    contents: Sequence[RunContent], sections: Sequence[Sequence[_Section]], comparison: Markup | None
) -> str:
    if comparison is None:
        content = contents[0]
        return make_document(
            f"Report of {content.title}",
            make_element(
                "header",
                make_element("h1", content.title),
                make_header(content),
                _make_navigation(sections[0]),
            ),
            make_element("main", make_summary(content), *(section.render("h2") for section in sections[0])),
            make_footer(),
        )
    links = [
        make_element("a", content.title, href=f"#run{number}")
        for number, content in enumerate(contents, start=1)
    ]
    runs = [
        make_element(
            "article",
            make_element("h2", content.title, id=f"run{number}"),
            make_header(content),
            _make_navigation(own),
            make_summary(content),
            *(section.render("h3") for section in own),
        )
        for number, (content, own) in enumerate(zip(contents, sections, strict=True), start=1)
    ]
    return make_document(
        f"Report of {len(contents)} runs",
        make_element(
            "header",
            make_element("h1", f"{len(contents)} runs"),
            make_element(
                "nav", make_element("ul", *(make_element("li", link) for link in links)), aria_label="Runs"
            ),
        ),
        make_element("main", comparison, *runs),
        make_footer(),
    )


def _make_navigation(sections: Sequence[_Section]) -> Markup:
    links = (
        make_element("li", make_element("a", section.title, href=f"#{section.name}")) for section in sections
    )
    return make_element("nav", make_element("ul", *links), aria_label="Sections")

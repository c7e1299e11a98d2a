"""Read HTML pages in tests, with Python's own parser."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"br", "col", "hr", "img", "meta", "link", "input"}
_LOADING = {"src", "href", "xlink:href", "srcset", "poster", "data", "action", "background", "formaction"}


@dataclass
class Page(HTMLParser):
    """The elements of a page with their attributes, its texts, and the references that a browser would load."""

    text: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.text)
        self.close()
        assert self.open_tags == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def shown_text(self) -> str:
        return "".join(self.texts)

    @property
    def loaded(self) -> list[str]:
        """References to anything outside the page."""
        return [
            value
            for _, attributes in self.tags
            for name, value in attributes.items()
            if name in _LOADING and value and not value.startswith(("#", "data:image/png;base64,"))
        ]

    def find(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.tags
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]


def check_page(text: str) -> Page:
    """Return a page after checks that hold for every page: nothing is loaded or run, and each picture has a text."""
    page = Page(text)
    assert page.loaded == []
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "iframe", "object", "embed", "link", "form", "base"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "url(http" not in text
    assert "@import" not in text
    for tag, attributes in page.tags:
        if tag == "svg":
            assert (
                attributes.get("aria-label")
                or attributes.get("aria-hidden")
                or attributes.get("role") == "img"
            )
        if tag == "img":
            assert attributes["alt"]
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    targets = [attributes["href"] for tag, attributes in page.tags if tag in ("a", "use")]
    assert {str(target)[1:] for target in targets} <= set(ids)
    return page

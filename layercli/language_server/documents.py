"""The texts that an editor has open."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from layercli.language_server.positions import ProtocolIndex
from layercli.workflows.config_files import looks_like_config

_UNTITLED_FOLDER = "untitled"


def path_from_uri(uri: str) -> Path | None:
    """Return the path of a local file; None for a file of another machine, and for a malformed URI."""
    try:
        uri.encode()  # a lone surrogate is in no path
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme == "untitled":  # a text without a file
        return Path.cwd() / _UNTITLED_FOLDER / (re.sub(r"[^\w.-]+", "-", unquote(parts.path))[:100] or "text")
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or path.startswith(("//", "\\\\")):
        return None
    if os.name == "nt":
        path = path.lstrip("/")
    return Path(path) if path and "\0" not in path else None


def is_remote(path: str) -> bool:
    """Return whether the name of a file in a config is one of another machine."""
    return "://" in path or path.startswith(("//", "\\\\"))


def uri_from_path(path: str | Path) -> str:
    """Return the URI of a file."""
    shown = Path(os.path.normpath(Path(path).absolute())).as_posix()  # links stay as they are written
    return f"file://{'' if shown.startswith('/') else '/'}{quote(shown, safe='/:~')}"


@dataclass(slots=True)
class Settings:
    """The settings of a user in the editor."""

    shows_shapes: bool = True
    shows_parameters: bool = False
    files: tuple[str, ...] = ()
    """Patterns of the files that are checked; empty: those that look like a config."""

    @classmethod
    def from_json(cls, value: Any) -> Settings:
        """Return the settings in a message; values of a wrong type are ignored."""
        section = value.get("layercli", value) if isinstance(value, Mapping) else {}
        section = section if isinstance(section, Mapping) else {}
        hints = section.get("inlayHints")
        hints = hints if isinstance(hints, Mapping) else {}
        files = section.get("files")
        return cls(
            shows_shapes=hints.get("shapes") is not False,
            shows_parameters=hints.get("parameters") is True,
            files=tuple(one for one in files if isinstance(one, str)) if isinstance(files, list) else (),
        )


@dataclass
class Document:
    """A text that an editor has open, in one version."""

    uri: str
    path: Path
    version: int | None
    text: str
    language: str = "yaml"
    is_known_config: bool = False
    """Whether an earlier version was a config: the text may be half typed now."""

    @cached_property
    def index(self) -> ProtocolIndex:
        """The positions in the text."""
        return ProtocolIndex(self.text)

    @property
    def name(self) -> str:
        """The name of the file in problems."""
        return str(self.path)

    def replace_text(self, text: str, version: int | None) -> None:
        """Set the text of a newer version."""
        self.text, self.version = text, version
        self.__dict__.pop("index", None)


@dataclass
class OpenDocuments:
    """All texts that an editor has open, by URI."""

    settings: Settings = field(default_factory=Settings)
    folders: list[Path] = field(default_factory=list)
    by_uri: dict[str, Document] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Document]:
        return iter(list(self.by_uri.values()))

    def open(self, uri: str, language: str, version: int | None, text: str) -> Document | None:
        """Add a text; None if it is on another machine."""
        path = path_from_uri(uri)
        if path is None:
            return None
        document = self.by_uri[uri] = Document(uri, path, version, text, language)
        return document

    def change(self, uri: str, version: int | None, changes: list[Any]) -> Document | None:
        """Apply changes to a text; None if it is not open, or if the changes are older than the text."""
        document = self.by_uri.get(uri)
        if document is None or (
            version is not None and document.version is not None and version <= document.version
        ):
            return None
        for change in changes:
            if isinstance(change, dict):
                document.replace_text(document.index.apply_change(change), document.version)
        document.version = version
        return document

    def close(self, uri: str) -> Document | None:
        """Remove a text and return it."""
        return self.by_uri.pop(uri, None)

    @property
    def unsaved_texts(self) -> dict[Path, str]:
        """The text of each file, which replaces its content on the disk."""
        return {document.path.resolve(): document.text for document in self}

    def is_config(self, document: Document) -> bool:
        """Return whether a text is a config or a sweep file: by the settings, or by its content."""
        if self.settings.files:
            return any(self._matches(document.path, pattern) for pattern in self.settings.files)
        if not document.is_known_config:
            document.is_known_config = document.language == "layercli" or looks_like_config(document.text)
        return document.is_known_config

    def _matches(self, path: Path, pattern: str) -> bool:
        relative = [path.relative_to(folder) for folder in self.folders if path.is_relative_to(folder)]
        flat_pattern = pattern.removeprefix("./").replace("**/", "*")
        return any(fnmatchcase(one.as_posix(), flat_pattern) for one in (path, *relative))

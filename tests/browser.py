"""A headless browser for tests of pages: Chromium, if it is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.running import HANG_SECONDS

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_OWN = re.compile(
    r"(data|chrome|devtools|file|about):|https?://([\w-]+\.)*(google|googleapis|gvt1|gstatic)\.com[/:]"
)
"""Addresses of the page itself, and those that Chromium asks for whatever the page is."""


class Visit(NamedTuple):
    """A page as a browser shows it."""

    document: str
    """Its HTML after loading."""
    console: list[str]
    """What the page wrote to the console, errors of the policy included."""
    requests: list[str]
    """The addresses other than its own that it asked for."""


def find_browser() -> str | None:
    """Return the path of a browser, or None."""
    return next((path for name in _NAMES if (path := shutil.which(name)) is not None), None)


def visit(page: Path, folder: Path, *options: str) -> Visit:
    """Open a page without a network, and return what it did; ``folder`` is for the files of the browser."""
    log = folder / "net.json"
    completed = _run(page, folder, "--dump-dom", f"--log-net-log={log}", *options)
    urls = set(re.findall(r'"url":"([^"]+)"', log.read_text(encoding="utf-8", errors="replace")))
    console = [line for line in completed.stderr.splitlines() if "CONSOLE" in line]
    return Visit(completed.stdout, console, [url for url in urls if not _OWN.match(url)])


def take_picture(page: Path, picture: Path, folder: Path, *, width: int, height: int) -> None:
    """Write a PNG of the top of a page."""
    _run(page, folder, f"--window-size={width},{height}", f"--screenshot={picture}", "--hide-scrollbars")


def _run(page: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    browser = find_browser()
    assert browser is not None
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        *options,
        page.as_uri(),
    ]
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=HANG_SECONDS,
        check=True,
        env=environment,
    )

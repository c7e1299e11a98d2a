"""The commit of the repository that contains a config, and whether its files differ from it.

The repository can be untrusted: a setting can name a program that git runs (hooks, filters, monitors), so only settings with
a few fixed values are used. The commit is read from its files; git compares the files in a temporary repository that shares
only objects and index.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layercli.io.paths import is_file
from layercli.io.regular import open_regular
from layercli.source.nodes import sanitize_text

_MAX_BYTES: Final = 16 << 20
"""Largest file of a repository that is read: a list of all its branches."""
_MAX_LEVELS: Final = 64
"""Most folders above the config in which a repository is searched."""
_MAX_COMMIT: Final = 64
_SECONDS: Final = 2.0
"""After this time it is unknown whether files changed."""
_SETTINGS: Final = re.compile(
    r"core\.(?:filemode|symlinks|ignorecase|precomposeunicode) (?:true|false)|core\.autocrlf (?:true|false|input)"
)
"""Settings that say how files differ from their commit on this file system."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class GitState:
    """A commit, and whether tracked files or the config differ from it; None if that is unknown."""

    commit: str
    is_dirty: bool | None

    def as_json(self) -> dict[str, Any]:
        """Return the entry of the manifest."""
        return {"commit": self.commit, "dirty": self.is_dirty}


def read_git_state(file: Path) -> GitState | None:
    """Return the state of the repository that contains a file; None without repository or commit."""
    with suppress(OSError, ValueError, RuntimeError):
        root = _find_root(file.resolve(strict=True).parent)
        if root is None:
            return None
        git_dir = _find_git_dir(root)
        shared_dir = _follow_pointer(git_dir / "commondir", git_dir)
        commit = _read_commit(git_dir, shared_dir)
        if commit is not None:
            name = file.resolve().relative_to(root).as_posix()
            return GitState(commit, _has_changes(root, git_dir, shared_dir, commit, name))
    return None


def parse_git_state(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return commit and state of the files in a manifest; None if it has none, or not as layercli writes them."""
    git = manifest.get("git")
    if not isinstance(git, dict) or not isinstance(git.get("commit"), str):
        return None
    dirty = git.get("dirty")
    return {
        "commit": sanitize_text(git["commit"], limit=_MAX_COMMIT),
        "dirty": dirty if isinstance(dirty, bool) else None,
    }


def _find_root(folder: Path) -> Path | None:
    """Return the nearest folder that has a repository."""
    for candidate in [folder, *folder.parents][:_MAX_LEVELS]:
        if os.path.lexists(candidate / ".git"):
            return candidate
    return None


def _find_git_dir(root: Path) -> Path:
    """Return the folder with HEAD and index: ``.git``, or the one that a file of this name refers to."""
    path = root / ".git"
    return path if path.is_dir() else _follow_pointer(path, root, prefix="gitdir: ")


def _follow_pointer(file: Path, base: Path, prefix: str = "") -> Path:
    """Return the folder that a file names, relative to ``base``; ``base`` itself if the file does not exist."""
    if not file.exists():
        return base
    return base / _read_text(file).strip().removeprefix(prefix)


def _read_text(file: Path) -> str:
    """Return the text of a regular file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large, or is not text.
    """
    with open_regular(file) as opened:
        content = opened.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError("it is too large")
    return content.decode()


def _read_commit(git_dir: Path, shared_dir: Path) -> str | None:
    """Return the commit that HEAD names directly or by a branch."""
    head = _read_text(git_dir / "HEAD").strip()
    if not head.startswith("ref: "):
        return head if _COMMIT.fullmatch(head) else None
    reference = head.removeprefix("ref: ")
    if not reference.startswith("refs/") or ".." in Path(reference).parts:
        return None
    with suppress(OSError):
        commit = _read_text(shared_dir / reference).strip()
        return commit if _COMMIT.fullmatch(commit) else None
    with suppress(OSError):
        for line in _read_text(shared_dir / "packed-refs").splitlines():
            commit, _, name = line.partition(" ")
            if name == reference and _COMMIT.fullmatch(commit):
                return commit
    return None


def _has_changes(root: Path, git_dir: Path, shared_dir: Path, commit: str, name: str) -> bool | None:
    """Return whether a tracked file differs from the commit, or the file ``name`` is not tracked."""
    git = shutil.which("git")
    if git is None:
        return None
    with tempfile.TemporaryDirectory(prefix="layercli-") as folder:
        own = Path(folder)
        is_sha256 = len(commit) == 64
        extensions = "[extensions]\n\tobjectFormat = sha256\n" if is_sha256 else ""
        (own / "config").write_text(f"[core]\n\trepositoryFormatVersion = {int(is_sha256)}\n{extensions}")
        (own / "HEAD").write_text(f"{commit}\n")
        (own / "refs").mkdir()
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
            "GIT_DIR": folder,
            "GIT_WORK_TREE": str(root),
            "GIT_OBJECT_DIRECTORY": str(shared_dir / "objects"),
            "GIT_INDEX_FILE": str(git_dir / "index"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_OPTIONAL_LOCKS": "0",
        }
        # Git does not search for untracked files, except the config: there can be millions of them.
        settings = _read_settings(git, shared_dir / "config", root, environment)
        for arguments in (
            ["ls-files", "--error-unmatch", "--", f":(top,literal){name}"],
            ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"],
        ):
            done = _run_git([git, *settings, *arguments], root, environment)
            if done is not None and arguments[0] == "ls-files" and done.returncode == 1:
                return True
            if done is None or done.returncode:
                return None
    return done is not None and bool(done.stdout)


def _read_settings(git: str, file: Path, root: Path, environment: Mapping[str, str]) -> list[str]:
    """Return the arguments of git for the settings of a repository that name no program or file."""
    if not is_file(file) or file.stat().st_size > _MAX_BYTES:
        return []
    arguments = ["config", "--file", str(file), "--no-includes", "--get-regexp", r"^core\."]
    done = _run_git([git, *arguments], root, environment)
    lines = [] if done is None else done.stdout.decode(errors="replace").splitlines()
    return [part for line in lines if _SETTINGS.fullmatch(line) for part in ("-c", line.replace(" ", "="))]


def _run_git(
    command: list[str], root: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes] | None:
    """Run git and return its output; None if it takes too long."""
    try:
        return subprocess.run(  # noqa: S603 - git without the programs that settings of the repository name
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None

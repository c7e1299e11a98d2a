"""Random damage to files and run directories, the same for the same seed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""Cases of each test, from other seeds each time; 0: few cases, the same each time."""

VALUES = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, 0.5, 1e308, float("nan"), "", "a", "../x", "/etc/passwd",
    "\ud800", "\x1b[1m", "a" * 100_000, [], {}, [[]], [1, 2], ["a"], {"a": {}}, {"class_name": "Lambda"},
)  # fmt: skip


def list_seeds(count: int) -> list[int]:
    """Return the seeds of a test's cases."""
    start = random.SystemRandom().randrange(10**9) if EXAMPLES else 0
    return list(range(start, start + (EXAMPLES or count)))


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip, cut, insert, repeat or overwrite bytes."""
    rng = random.Random(rng.random())  # what follows does not depend on the length of the content
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((1, 2, 4, 8, 100)))
        match rng.randrange(6):
            case 0:
                for position in range(start, end):
                    data[position] ^= 1 << rng.randrange(8)
            case 1:
                data[start:end] = rng.randbytes(end - start)
            case 2:
                data[start:end] = rng.choice((b"\xff", b"\0")) * (end - start)
            case 3:
                del data[start:]
            case 4:
                data[start:start] = rng.choice((b"\0", b"\xff\xff\xff\xff", b"PK\x01\x02", b"{", b"[" * 300))
            case _:
                data[start:start] = data[start : start + 500]
    return bytes(data)


def damage_json(document: Any, rng: random.Random) -> Any:
    """Replace or delete a value anywhere in a JSON document, which changes."""
    rng = random.Random(rng.random())  # as above
    holder: Any = document
    while isinstance(holder, (dict, list)) and holder:
        step = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if isinstance(holder[step], (dict, list)) and holder[step] and rng.random() < 0.7:
            holder = holder[step]
            continue
        if rng.random() < 0.2:
            del holder[step]
        else:
            holder[step] = rng.choice(VALUES)
        break
    return document


def damage_run(run: Path, rng: random.Random) -> str:
    """Damage one file of a run, perhaps with the hashes of the new content, and return what was done."""
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    states = [path for path in files if path.name == "state.json"]
    path = states[-1] if states and rng.random() < 0.2 else rng.choice(files)
    kind = rng.choice(
        (
            "bytes",
            "bytes",
            "json",
            "json",
            "json",
            "swap",
            "link",
            "pipe",
            "folder",
            "delete",
            "empty",
            "sparse",
            "bytes name",
        )
    )
    if kind == "json" and (path.suffix not in (".json", ".jsonl") or not path.stat().st_size):
        kind = "bytes"
    if kind == "bytes":
        path.write_bytes(damage_bytes(path.read_bytes(), rng))
    elif kind == "json":
        lines = (
            path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        )
        number = rng.randrange(len(lines))
        lines[number] = json.dumps(damage_json(json.loads(lines[number]), rng))
        path.write_text("\n".join(lines), encoding="utf-8")
    elif kind == "sparse":
        os.truncate(path, 1 << 40)  # a terabyte without a byte on the disk
    elif kind == "bytes name":
        (path.parent / os.fsdecode(b"\xff\x1b[1m")).touch()
    elif kind == "swap":
        path.write_bytes(rng.choice(files).read_bytes())
    else:
        path.unlink()
        replace: dict[str, Callable[[], object]] = {
            "link": lambda: path.symlink_to(rng.choice(("/etc/passwd", "/dev/zero", path.name, "missing"))),
            "pipe": lambda: os.mkfifo(path),
            "folder": path.mkdir,
            "delete": lambda: None,
            "empty": path.touch,
        }
        replace[kind]()
    is_readable = path.is_file() and not path.is_symlink() and kind != "sparse"
    is_rehashed = is_readable and rng.random() < 0.7
    if is_rehashed:
        rehash(run, path)
    return f"{kind} {path.relative_to(run)}{', rehashed' if is_rehashed else ''}"


def rehash(run: Path, path: Path) -> None:
    """Record the hash of a changed file, as somebody who sends a run would."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    hashes = path.parent / "hashes.json"
    if hashes.is_file() and path.name in ("arrays.npz", "state.json"):
        document = json.loads(hashes.read_text())
        hashes.write_text(json.dumps(document | {path.name: digest}))
    elif path.name != "manifest.json" and (run / "manifest.json").is_file():
        manifest = json.loads((run / "manifest.json").read_text())
        manifest["files"][path.relative_to(run).as_posix()] = digest
        (run / "manifest.json").write_text(json.dumps(manifest))


def copy_run(run: Path, target: Path) -> Path:
    """Return a copy of a run at ``target``, which is replaced."""
    if target.exists():
        shutil.rmtree(target)
    return Path(shutil.copytree(run, target))

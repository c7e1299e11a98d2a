"""Cache of converted data files: complete entries, written once, removed when unused."""

import hashlib
import os
import threading

import pyarrow as pa
import pytest
from pyarrow import parquet

from layercli.data.cache import Cache
from layercli.data.types import DataError


def test_concurrent_threads_write_an_entry_once(tmp_path):
    cache, made, found = Cache(tmp_path), [], []

    def make(target):
        made.append(1)
        target.write_text("half")
        threading.Event().wait(0.05)
        target.write_text("whole")

    threads = [
        threading.Thread(target=lambda: found.append(cache.get_entry("e.txt", make).read_text()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["whole"] * 8
    assert len(made) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.txt", "e.txt.sha256"]


def test_failed_entry_leaves_no_files(tmp_path):
    def make(target):
        target.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Cache(tmp_path).get_entry("e.txt", make)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        Cache(tmp_path / "file").get_entry("e.txt", make)


def test_pipe_or_link_in_place_of_a_hash_is_replaced(tmp_path):
    cache = Cache(tmp_path)
    path = cache.get_entry("e.txt", lambda target: target.write_text("whole"))
    path.write_text("another")
    digest = tmp_path / "e.txt.sha256"
    digest.unlink()
    os.mkfifo(digest)
    assert cache.get_entry("e.txt", lambda target: target.write_text("whole")).read_text() == "whole"
    path.write_text("another one")
    digest.unlink()
    digest.symlink_to("/dev/zero")
    assert cache.get_entry("e.txt", lambda target: target.write_text("whole")).read_text() == "whole"
    assert not digest.is_symlink()


def plant_entry(path, content):
    """Replace an entry, with the hash that belongs to its new content."""
    path.write_bytes(content)
    path.with_name(f"{path.name}.sha256").write_text(hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    "planted",
    ["[]", "1", "[" * 100_000, "no JSON", '"text"', "{}", '{"hash": 3}', '{"hash": "b", "other": "c"}'],
)
def test_planted_document_is_computed_again(tmp_path, planted):
    cache = Cache(tmp_path)
    assert cache.get_texts("key", lambda: {"hash": "a"}, ["hash"]) == {"hash": "a"}
    (path,) = tmp_path.glob("*.json")
    plant_entry(path, planted.encode())
    assert cache.get_texts("key", lambda: {"hash": "c"}, ["hash"]) == {"hash": "c"}


def test_planted_table_is_written_again(tmp_path):
    source, other = tmp_path / "source.csv", tmp_path / "other.parquet"
    source.touch()
    parquet.write_table(pa.table({"b": [1]}), other)
    cache, table = Cache(tmp_path / "cache"), pa.table({"a": [1, 2]})

    def get_path():
        return cache.get_file(source, "csv", [], lambda path: parquet.write_table(table, path), ["a"])

    path = get_path()
    for content in (b"", b"PAR1", b"PAR1" * 9, other.read_bytes(), path.read_bytes()[:-9]):
        plant_entry(path, content)
        assert parquet.read_table(get_path()).equals(table)


def test_unused_entries_are_removed_when_an_entry_is_written(tmp_path):
    cache, old = Cache(tmp_path), 70 * 24 * 3600
    names = ("unused.json", "used.json", ".half")
    for name in names:
        cache.get_entry(name, lambda path: path.write_text("{}"))
    for path in tmp_path.iterdir():
        status = path.stat()
        os.utime(path, (status.st_atime - old, status.st_mtime - old))
    written = (tmp_path / "used.json").stat().st_mtime_ns
    cache.get_entry("used.json", lambda path: path.write_text("another"))
    assert (tmp_path / "used.json").stat().st_mtime_ns == written
    cache.get_entry("new.json", lambda path: path.write_text("{}"))
    kept = ["new.json", "new.json.sha256", "used.json", "used.json.sha256"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


@pytest.mark.parametrize("damage", [b"whale", b"whole and more", b""])
def test_damaged_entry_is_written_again(tmp_path, damage):
    cache, made = Cache(tmp_path), []

    def make(target):
        made.append(1)
        target.write_text("whole")

    path = cache.get_entry("e.txt", make)
    status = path.stat()
    path.write_bytes(damage)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert cache.get_entry("e.txt", make).read_text() == "whole"
    assert len(made) == 2
    (tmp_path / "e.txt.sha256").unlink()
    (tmp_path / "e.txt").unlink()
    (tmp_path / "e.txt").symlink_to(tmp_path / "elsewhere")
    assert cache.get_entry("e.txt", make).read_text() == "whole"
    assert not (tmp_path / "elsewhere").exists()


def test_damaged_document_is_computed_again(tmp_path):
    cache = Cache(tmp_path)
    assert cache.get_texts("key", lambda: {"sha256": "a"}, ["sha256"]) == {"sha256": "a"}
    [path] = tmp_path.glob("*.json")
    path.write_text('{"sha256": "changed"}')
    assert cache.get_texts("key", lambda: {"sha256": "a"}, ["sha256"]) == {"sha256": "a"}
    path.write_text("{")
    assert cache.get_texts("key", lambda: {"sha256": "a"}, ["sha256"]) == {"sha256": "a"}

"""Files and JSON of untrusted directories."""

import hashlib
import io
import os
from pathlib import Path

import pytest

from layercli.io import regular
from layercli.io.regular import create_folder_inside, parse_json


def test_integers_that_no_float_can_hold_are_refused():
    longest = "9" * 300
    assert parse_json(b"[%s, 1]" % longest.encode()) == [int(longest), 1]
    assert float(longest) == 1e300
    with pytest.raises(ValueError, match="a number of 301 digits"):
        parse_json(b"[%s9]" % longest.encode())


def test_removed_file_is_not_irregular(tmp_path):
    (tmp_path / "file").touch()
    with os.scandir(tmp_path) as entries:
        [entry] = entries
    (tmp_path / "file").unlink()
    assert regular._describe_irregular_entry("file", entry) is None


def test_folder_that_is_removed_during_the_scan_is_left_out(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    names = []
    for name, _ in regular.scan_entries(tmp_path):
        names.append(name)
        if len(names) == 2:
            (tmp_path / "first").rmdir()
    assert sorted(names) == ["first", "second"]
    with pytest.raises(FileNotFoundError):
        list(regular.scan_entries(tmp_path / "absent"))


def test_values_of_a_json_text_are_counted_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(regular, "_MAX_JSON_VALUES", 3)
    regular.require_few_values(b'[1,{"a":2}]')  # a comma, a bracket and a brace
    for text in (b'[1,{"a":[]}]', b"[1,2,3,4]", b"[[[[", b"{{{{"):
        with pytest.raises(ValueError, match="it has too many values"):
            regular.require_few_values(text)


def test_json_text_has_at_most_a_million_values():
    regular.require_few_values(b"," * 1_000_000)
    with pytest.raises(ValueError, match="it has too many values"):
        regular.require_few_values(b"," * 1_000_001)


def test_irregular_files_are_listed_by_name(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "c")
    for name in "bca":
        os.mkfifo(tmp_path / name)
    (tmp_path / "d").symlink_to("file")
    pipes = ["a is a pipe", "b is a pipe", "c is a pipe", "d is a symbolic link"]
    assert regular.find_irregular_files(tmp_path) == pipes
    assert regular.find_irregular_entries(tmp_path) == [*pipes, "folder/c is a pipe"]


def test_copy_with_hash_has_a_largest_size(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    for max_bytes in (3, None):
        with (tmp_path / "file").open("rb") as file:
            copy, digest = regular.copy_with_hash(file, max_bytes)
        # The test vector of FIPS 180-2 for "abc".
        assert digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        assert copy.read() == b"abc"
    with (tmp_path / "file").open("rb") as file, pytest.raises(OSError, match="3 bytes; the maximum is 2"):
        regular.copy_with_hash(file, 2)


@pytest.mark.parametrize(("size", "is_in_memory"), [(10, True), (11, False), (20, False)])
def test_large_copies_are_on_disk(tmp_path, monkeypatch, size, is_in_memory):
    monkeypatch.setattr(regular, "_COPY_IN_MEMORY", 10)
    monkeypatch.setattr(regular, "_CHUNK_BYTES", 4)
    content = bytes(range(size))
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as file:
        copy, digest = regular.copy_with_hash(file)
    with copy:
        assert isinstance(copy, io.BytesIO) is is_in_memory
        assert copy.read() == content
    assert digest == hashlib.sha256(content).hexdigest()


def test_folder_is_created_below_a_named_one_that_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "named").symlink_to("real")
    create_folder_inside(tmp_path / "named", Path("a/b"))
    create_folder_inside(tmp_path / "named", Path("a/b"))
    create_folder_inside(tmp_path / "new" / "one", Path())
    assert (tmp_path / "real" / "a" / "b").is_dir()
    assert (tmp_path / "new" / "one").is_dir()


@pytest.mark.parametrize("name", ["link", "link/x", "link/x/y", "dangling", "file", "../x", "/x"])
def test_folder_is_not_created_through_a_link(tmp_path, name):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "link").symlink_to(elsewhere)
    (root / "dangling").symlink_to(elsewhere / "missing")
    (root / "file").touch()
    with pytest.raises(OSError, match=r"is a symbolic link|is a file|is outside the directory"):
        create_folder_inside(root, Path(name))
    assert not list(elsewhere.iterdir())
    assert not (tmp_path / "x").exists()

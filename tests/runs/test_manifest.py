"""Manifests of hand-made runs, with published SHA-256 values."""

import hashlib
import json

import pytest

from layercli.errors import LayercliError
from layercli.runs import manifest as manifests
from layercli.runs.listing import read_run
from layercli.runs.manifest import open_verified
from layercli.runs.open_run import open_run

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""SHA-256 of no bytes and of ``abc``, as in FIPS 180-4."""


@pytest.fixture
def run(tmp_path):
    for name in ("zz.py", "model.keras", "sub/b.py", "sub/a.py", "checkpoints/x", "config.yaml", "m.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"abc" if name.endswith("py") else b"")
    return tmp_path


REQUIRED = {"versions": {}, "data": {"fingerprint": ""}, "execution": {}}
"""The keys that a manifest must have beside its files."""


def read_files(run):
    return json.loads((run / "manifest.json").read_text())["files"]


def test_manifest_hashes_all_files_in_order(run):
    manifests.write_manifest(run, {"seed": 3}, is_finished=True)
    hashes = {
        "config.yaml": EMPTY,
        "m.txt": EMPTY,
        "model.keras": EMPTY,
        "sub/a.py": ABC,
        "sub/b.py": ABC,
        "zz.py": ABC,
    }
    document = json.loads((run / "manifest.json").read_text())
    assert document == {"format": 1, "seed": 3, "files": hashes}
    assert list(document["files"]) == list(hashes)
    manifests.write_manifest(run, {"seed": 3}, is_finished=True)  # its own file is not one of them
    assert read_files(run) == hashes


def test_unfinished_run_has_no_hash_of_its_model(run):
    manifests.write_manifest(run, REQUIRED)
    assert "model.keras" not in read_files(run)
    assert not manifests.is_finished(manifests.require_manifest(run))
    manifests.write_manifest(run, REQUIRED, is_finished=True, excluded="sub")
    assert list(read_files(run)) == ["config.yaml", "m.txt", "model.keras", "zz.py"]
    assert manifests.is_finished(manifests.require_manifest(run))


def test_changed_and_missing_files_are_found(run):
    manifests.write_manifest(run, REQUIRED)
    manifest = manifests.require_manifest(run)
    (run / "sub/a.py").write_text("abd")
    (run / "zz.py").unlink()
    (run / "m.txt").unlink()
    (run / "m.txt").mkdir()
    names = ["config.yaml", "zz.py", "sub/a.py", "sub/b.py", "m.txt", "unknown"]
    assert manifests.find_changed_files(run, manifest, names) == ["zz.py", "sub/a.py", "m.txt", "unknown"]


@pytest.mark.parametrize(
    ("limit", "bytes_", "files"),
    [
        ("_MAX_RECORDED_BYTES", 3, {"a.py": ABC, "b.py": ABC}),
        ("_MAX_RECORDED_BYTES", 2, {}),
        ("_MAX_HASHED_BYTES", 6, {"a.py": ABC, "b.py": ABC}),
        ("_MAX_HASHED_BYTES", 5, {"a.py": ABC}),
    ],
)
def test_files_within_the_limits_are_hashed(tmp_path, monkeypatch, limit, bytes_, files):
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("abc")
    monkeypatch.setattr(manifests, limit, bytes_)
    manifests.write_manifest(tmp_path, REQUIRED)
    assert {name: digest for name, digest in read_files(tmp_path).items() if digest} == files


@pytest.mark.parametrize(("spare", "is_read"), [(0, True), (-1, False)])
def test_manifest_may_be_as_large_as_the_limit(tmp_path, monkeypatch, spare, is_read):
    document = {**REQUIRED, "files": {}}
    text = json.dumps(document)
    (tmp_path / "manifest.json").write_text(text)
    monkeypatch.setattr(manifests, "_MAX_BYTES", len(text) + spare)
    assert manifests.read_manifest_or_none(tmp_path) == (document if is_read else None)


def test_largest_manifest_has_16_mebibytes():
    assert manifests._MAX_BYTES == 16_777_216


@pytest.mark.parametrize("text", [None, "", "[]", "{", "{}", '{"files": []}'])
def test_unreadable_manifest_is_not_a_run(tmp_path, text):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(LayercliError, match="This is not the directory of a started run"):
        manifests.require_manifest(tmp_path)


def test_newer_format_is_named(run):
    manifests.write_manifest(run, REQUIRED | {"format": 7, "versions": {"layercli": "9.1"}})
    message = "was written by layercli 9.1 in format 7, but layercli 0.1.0 reads formats up to 1"
    with pytest.raises(LayercliError, match=message):
        manifests.require_manifest(run)
    with pytest.raises(LayercliError, match=message):
        open_run(str(run))
    assert (read_run(run).state, read_run(run).note) == ("damaged", f"it {message}")


@pytest.mark.parametrize("number", [1, 0, "7", None, True, 1.5])
def test_other_values_of_the_format_are_ignored(run, number):
    manifests.write_manifest(run, REQUIRED | {"format": number})
    assert manifests.require_manifest(run)["format"] == number


def test_run_of_a_version_without_formats_is_read(run):
    manifests.write_manifest(run, REQUIRED)
    document = json.loads((run / "manifest.json").read_text())
    del document["format"]
    (run / "manifest.json").write_text(json.dumps(document))
    assert manifests.require_manifest(run) == document


def test_huge_number_of_a_format_is_not_printed(run):
    (run / "manifest.json").write_text(json.dumps({"format": 10**19, "versions": 3}))
    with pytest.raises(LayercliError, match="by a newer layercli in format unknown,"):
        manifests.require_manifest(run)


def test_file_is_verified_if_the_manifest_has_its_hash(tmp_path):
    (tmp_path / "summary.json").write_text("a")
    digest = hashlib.sha256(b"a").hexdigest()
    with open_verified(tmp_path, "summary.json") as file:  # of a version without manifests
        assert file.read() == b"a"
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"files": {"model.keras": digest, "summary.json": digest}}))
    with open_verified(tmp_path, "summary.json") as file:
        assert file.read() == b"a"
    (tmp_path / "summary.json").write_text("b")
    with pytest.raises(LayercliError, match="modified after training"):
        open_verified(tmp_path, "summary.json")
    manifest.write_text("{")
    with pytest.raises(LayercliError, match="cannot be read, so the files"):
        open_verified(tmp_path, "summary.json")

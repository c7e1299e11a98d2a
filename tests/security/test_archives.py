"""Model files and checkpoints that are made to fill memory, or to read other files."""

import io
import os
import re
import struct
import time
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.lib import format as npy

from layercli.io import archives
from layercli.io.archives import Archive, ArchiveError, check_hdf5, read_npz, require_stored

ANY = re.compile(".*")


def zipped(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    file.seek(0)
    return file


def test_members_are_read_within_limits():
    archive = Archive(zipped([("config.json", b"{}"), ("model.weights.h5", b"x" * 100)]))
    assert archive.read("config.json", 2) == b"{}"
    with pytest.raises(ArchiveError, match="has 100 bytes; the maximum is 99"):
        archive.read("model.weights.h5", 99)


def test_member_that_expands_is_refused():
    archive = Archive(zipped([("config.json", bytes(50 << 20))], zipfile.ZIP_DEFLATED))
    with pytest.raises(ArchiveError, match="expands to 52,428,800 bytes"):
        archive.read("config.json", 1 << 30)


def test_member_may_expand_to_the_limit(monkeypatch):
    archive = Archive(zipped([("a", b"x" * 10)]))  # ten stored bytes
    monkeypatch.setattr(archives, "_MAX_RATIO", 2)
    monkeypatch.setattr(archives, "_FREE_BYTES", -10)
    assert archive.read("a", 10) == b"x" * 10
    monkeypatch.setattr(archives, "_FREE_BYTES", -11)
    with pytest.raises(ArchiveError, match="expands to 10 bytes from 10"):
        archive.read("a", 10)


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_unusual_compression_is_refused(compression):
    with pytest.raises(ArchiveError, match="compressed in a way that Keras does not use"):
        Archive(zipped([("config.json", b"{}")], compression)).read("config.json", 10)


def test_two_members_of_one_name_are_refused():
    with pytest.warns(UserWarning, match="Duplicate name"):
        file = zipped([("config.json", b"{}"), ("config.json", b"[]")])
    with pytest.raises(ArchiveError, match="two members of the same name"):
        Archive(file)


def test_long_list_of_members_is_refused_before_it_is_read():
    content = bytearray(zipped([("a", b"")]).getvalue())
    struct.pack_into("<L", content, len(content) - 10, 9 << 20)  # the size of the list
    with pytest.raises(ArchiveError, match="too many members"):
        Archive(io.BytesIO(content))


def test_list_of_members_may_have_the_largest_size(monkeypatch):
    file = zipped([("a", b"")])
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 47)  # a header of 46 bytes and the name
    assert Archive(file).names == ["a"]
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 46)
    with pytest.raises(ArchiveError, match="too many members"):
        Archive(file)


def test_damaged_list_of_members_is_refused():
    content = zipped([("a", b"")]).getvalue().replace(b"PK\x01\x02", b"PK\x01\x03")
    with pytest.raises(ArchiveError, match="Bad magic number for central directory"):
        Archive(io.BytesIO(content))


@pytest.mark.parametrize("name", ["assets/../../x", "assets//etc/x", "assets/a\\..\\x"])
def test_asset_is_not_written_elsewhere(tmp_path, name):
    with pytest.raises(ArchiveError, match="invalid name"):
        Archive(zipped([(name, b"x")])).extract_folder("assets", tmp_path, 100)
    assert list(tmp_path.iterdir()) == []


def hdf5(path, build):
    with h5py.File(path, "w") as file:
        build(file)
    return path


def double_links(file):
    """A folder with two names in each of 30 levels: 2^30 ways to one array."""
    group = file.create_group("end")
    group["weight"] = np.zeros(1000)
    for level in range(30):
        outer = file.create_group(f"level{level}")
        outer["left"] = outer["right"] = group
        group = outer


def compressed_twice(file):
    """Eight numbers in a part that expands to 32 MiB before HDF5 compares it with them."""
    array = file.create_dataset("a", (8,), "f4", chunks=(8,), compression="gzip")
    array.id.write_direct_chunk((0,), zlib.compress(bytes(32 << 20)))


def make_virtual(file):
    """An array whose values are those of another file."""
    layout = h5py.VirtualLayout((8,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "secret", (8,))
    file.create_virtual_dataset("a", layout)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (double_links, "contain an object twice"),
        (lambda file: file.__setitem__("a", h5py.SoftLink("/")), "refers to a different file or object"),
        (lambda file: file.__setitem__("a", h5py.ExternalLink("b.h5", "/")), "refers to a different file"),
        (
            lambda file: file.create_dataset("a", (8,), "f4", external=[("/etc/hostname", 0, 32)]),
            "refers to a different file",
        ),
        (make_virtual, "refers to a different file"),
        (lambda file: file.create_dataset("a", (1 << 40,), "f4"), "the maximum"),
        (lambda file: file.create_dataset("a", (200 << 20,), "u1"), "expand to 209,715,200"),
        (
            lambda file: file.create_dataset("a", (8,), "f4", chunks=(1 << 28,), maxshape=(None,)),
            "compressed or stored in parts",
        ),
        (compressed_twice, "compressed or stored in parts"),
        (lambda file: file.create_dataset("a", data=h5py.Empty("f4")), "something other than arrays"),
        (lambda file: file.create_dataset("a", (4,), h5py.string_dtype()), "does not contain numbers"),
        (lambda file: file.create_dataset("a", (4,), h5py.ref_dtype), "does not contain numbers"),
        (
            lambda file: file.attrs.create("name", ["x"] * 2000, dtype=h5py.string_dtype()),
            "attribute of the weights is too large",
        ),
    ],
    ids=[
        "double",
        "soft",
        "external",
        "raw",
        "virtual",
        "huge",
        "empty",
        "chunk",
        "filter",
        "null",
        "text",
        "reference",
        "attribute",
    ],
)
def test_harmful_weights_are_refused_quickly(tmp_path, build, text):
    path = hdf5(tmp_path / "m.weights.h5", build)
    start = time.process_time()
    with pytest.raises(ArchiveError, match=text):
        check_hdf5(path, 1 << 30)
    assert time.process_time() - start < 10


def test_usual_weights_pass(tmp_path):
    def build(file):
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "dense"
        group["0"], group["1"] = np.zeros((4, 8), "f4"), np.int64(3)

    check_hdf5(hdf5(tmp_path / "m.weights.h5", build), 1000)


def test_weights_with_too_many_objects_are_refused(tmp_path, monkeypatch):
    path = hdf5(tmp_path / "m.weights.h5", lambda file: [file.create_group(name) for name in "abc"])
    monkeypatch.setattr(archives, "_MAX_OBJECTS", 4)  # the file itself is one
    check_hdf5(path, 1000)
    monkeypatch.setattr(archives, "_MAX_OBJECTS", 3)
    with pytest.raises(ArchiveError, match="more than 3 objects"):
        check_hdf5(path, 1000)


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(4096), "declares 1,099,511,627,776 bytes, but only"),
        (b"", "does not begin like a file of Keras"),
    ],
    ids=["tail", "hole"],
)
def test_sparse_file_is_refused_before_it_is_read(tmp_path, head, text):
    path = tmp_path / "m.weights.h5"
    path.write_bytes(head)
    os.truncate(path, 1 << 40)
    with path.open("rb") as file, pytest.raises(ArchiveError, match=text):
        require_stored(file)


def test_stored_file_is_read_from_its_start(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"PK\x03\x04" + bytes(2 << 20))
    with path.open("rb") as file:
        require_stored(file)
        assert file.tell() == 0


def npz(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    file.seek(0)
    return file


def test_arrays_come_back_as_they_were_saved():
    given = {
        "a/0": np.arange(6.0).reshape(2, 3),
        "b": np.asfortranarray(np.ones((2, 3), "u2")),
        "c": np.int64(3),
    }
    found = read_npz(npz(**given), ANY)
    assert list(found) == ["a/0", "b", "c"]
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].flags.writeable


def test_unwanted_arrays_are_not_read():
    with pytest.raises(ArchiveError, match="other than the arrays of a training"):
        read_npz(npz(a=np.zeros(2), extra=np.zeros(2)), re.compile("a"))


def test_compressed_arrays_are_refused():
    with pytest.raises(ArchiveError, match="compressed"):
        read_npz(npz(np.savez_compressed, extra=np.zeros(1 << 20)), ANY)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }", "another size"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (True, 2), }", "numbers"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "numbers"),
        ("{'descr': '<f8'}", "invalid header"),
    ],
)
def test_array_with_a_false_header_is_refused(header, text):
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(16)
    with pytest.raises(ArchiveError, match=text):
        read_npz(zipped([("a.npy", content)]), ANY)


def test_folder_of_many_small_files_is_not_extracted(tmp_path, monkeypatch):
    monkeypatch.setattr("layercli.io.archives._MAX_EXTRACTED_FILES", 2)
    few = Archive(zipped([(f"assets/{number}.txt", b"") for number in range(2)]))
    assert few.extract_folder("assets", tmp_path / "few", 100)
    many = Archive(zipped([(f"assets/{number}.txt", b"") for number in range(3)]))
    with pytest.raises(ArchiveError, match="it has 3 files in assets; the maximum is 2"):
        many.extract_folder("assets", tmp_path / "many", 100)
    assert not (tmp_path / "many").exists()


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_both_header_versions_are_read(version, order):
    stream = io.BytesIO()
    npy.write_array(stream, np.array([[1, 2, 3], [4, 5, 6]], order=order), version=version)
    assert archives._read_npy(stream.getvalue(), npy, np).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_array_of_other_versions_is_refused():
    stream = io.BytesIO()
    npy.write_array(stream, np.zeros(2), version=(3, 0))
    with pytest.raises(archives.ArchiveError, match="an array has an invalid header: KeyError"):
        archives._read_npy(stream.getvalue(), npy, np)


def test_compressed_weights_are_converted_as_the_docs_show(tmp_path, monkeypatch):
    values = np.arange(6, dtype="float32").reshape(2, 3)

    def build(file):
        file.attrs["keras_version"] = "3"
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "dense"
        group.create_dataset("0", data=values, compression="gzip").attrs["unit"] = "m"
        group.create_dataset("1", data=np.float32(7))

    with pytest.raises(ArchiveError) as caught:
        check_hdf5(hdf5(tmp_path / "weights.h5", build), 1000)
    assert "h5repack -f NONE -l CONTI weights.h5 plain.weights.h5" in caught.value.hint
    page = (Path(__file__).parents[2] / "docs" / "pretrained.md").read_text()
    [code] = re.findall(r"```python\n(import h5py\n.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    check_hdf5(tmp_path / "plain.weights.h5", 1000)
    with h5py.File("plain.weights.h5") as file:
        group = file["layers/dense/vars"]
        assert (file.attrs["keras_version"], group.attrs["name"], group["0"].attrs["unit"]) == (
            "3",
            "dense",
            "m",
        )
        assert (group["0"][()].tolist(), group["1"][()]) == (values.tolist(), 7)

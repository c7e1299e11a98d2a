"""Archives from elsewhere: ``.keras`` (zip), weights (HDF5) and arrays (npz), checked before anything is read."""

from __future__ import annotations

import math
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

MAX_DIRECTORY_BYTES: Final = 8 << 20
"""Largest list of members in a zip archive."""
MAX_JSON_BYTES: Final = 16 << 20
"""Largest architecture of a model; that of NASNetLarge has one million bytes."""
_MAX_RATIO: Final = 100
"""Most bytes that one stored byte may expand to; weights hardly compress."""
_FREE_BYTES: Final = 1 << 20
"""Bytes that may expand from anything."""
_MAX_OBJECTS: Final = 50_000
"""Most groups and datasets of an HDF5 file; NASNetLarge has 5,000, and reading each takes a tenth of a millisecond."""
_MAX_ATTRIBUTE_ITEMS: Final = 1024
_MAX_EXTRACTED_FILES: Final = 10_000
"""Most files of a folder in an archive; a lookup layer has one."""
_CHUNK_BYTES: Final = 1 << 20
_BLOCK_BYTES: Final = 512
"""The unit of `st_blocks`."""
_SIGNATURE_BYTES: Final = 8
_PLAIN_NAME: Final = re.compile(r"[\w.\- ]+(/[\w.\- ]+)*")
_ENCRYPTED: Final = 1


WEIGHTS_FILE: Final = "model.weights.h5"
"""The member of a ``.keras`` file with the weights."""


class ArchiveError(ValueError):
    """A damaged or malicious archive."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


def require_stored(file: IO[bytes]) -> None:
    """Check that the bytes of a file are on the disk: a sparse file can declare any size.

    Raises:
        ArchiveError: most of them are not.
    """
    status = os.fstat(file.fileno())
    stored = getattr(status, "st_blocks", 0) * _BLOCK_BYTES
    # Some file systems report no blocks for any file. A file without data has zeros at its start.
    if stored and status.st_size > _MAX_RATIO * stored + _FREE_BYTES:
        raise ArchiveError(f"it declares {status.st_size:,} bytes, but only {stored:,} are on the disk")
    file.seek(0)
    if not any(file.read(_SIGNATURE_BYTES)):
        raise ArchiveError("it does not begin like a file of Keras")
    file.seek(0)


def open_zip(file: IO[bytes], max_directory_bytes: int | None = None) -> zipfile.ZipFile:
    """Open a zip archive whose list of members has at most ``max_directory_bytes``, by default 8 MiB; ``file`` stays open.

    Raises:
        ArchiveError: this is not a zip archive, its list of members is too long, or it has bytes before or after it.
    """
    try:
        # zipfile reads the complete list into memory, whatever its size; only this function knows it before.
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
        if end is None:
            raise ArchiveError("it is not a zip archive")
        if end[5] > (max_directory_bytes or MAX_DIRECTORY_BYTES):
            raise ArchiveError("it has too many members")
        if end[9] + 22 + end[7] != file.seek(0, os.SEEK_END):
            raise ArchiveError("it has other bytes after its end")
        archive = zipfile.ZipFile(file)
        # zipfile finds the last of several archives, and skips the bytes before it.
        if first := min((info.header_offset for info in archive.infolist()), default=0):
            raise ArchiveError(
                f"it has {first:,} bytes before its first member; extract archives that were joined one by one"
            )
        return archive
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, EOFError) as error:
        if isinstance(error, ArchiveError):
            raise
        raise ArchiveError(str(error) or type(error).__name__) from None


class Archive:
    """A zip archive of which single members are read, each within limits."""

    def __init__(self, file: IO[bytes]) -> None:
        """Open the archive in ``file``, which stays open.

        Raises:
            ArchiveError: this is not a zip archive, or its list of members is too long or has a name twice.
        """
        self._zip = open_zip(file)
        self._members = {info.filename: info for info in self._zip.infolist()}
        if len(self._members) != len(self._zip.infolist()):
            raise ArchiveError("it has two members of the same name")

    @property
    def names(self) -> list[str]:
        """The names of all members."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Return the size that the archive declares for a member."""
        return self._members[name].file_size

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the content of a member.

        Raises:
            KeyError: there is no such member.
            ArchiveError: it is damaged, larger than ``max_bytes``, or compressed in an unusual way.
        """
        return b"".join(self._iterate_chunks(name, max_bytes))

    def extract(self, name: str, target: Path, max_bytes: int) -> None:
        """Write the content of a member to a new file.

        Raises:
            KeyError | ArchiveError: as for ``read``.
        """
        with target.open("xb") as file:
            for chunk in self._iterate_chunks(name, max_bytes):
                file.write(chunk)

    def extract_folder(self, folder: str, target: Path, max_bytes: int) -> bool:
        """Write the members below ``folder`` to a directory; return whether there are any.

        Raises:
            ArchiveError: a name leads elsewhere, a member is damaged, or there are too many members or bytes.
        """
        names = [name for name in self._members if name.startswith(f"{folder}/") and not name.endswith("/")]
        if len(names) > _MAX_EXTRACTED_FILES:
            raise ArchiveError(
                f"it has {len(names):,} files in {folder}; the maximum is {_MAX_EXTRACTED_FILES:,}"
            )
        for name in names:
            if not _PLAIN_NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
                raise ArchiveError("it has a member with an invalid name")
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self.extract(name, path, max_bytes)
            max_bytes -= path.stat().st_size
        return bool(names)

    def _iterate_chunks(self, name: str, max_bytes: int) -> Iterator[bytes]:
        info = self._members[name]
        if info.flag_bits & _ENCRYPTED or info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise ArchiveError(f"{name} is encrypted or compressed in a way that Keras does not use")
        if info.file_size > max_bytes:
            raise ArchiveError(f"{name} has {info.file_size:,} bytes; the maximum is {max_bytes:,}")
        if info.file_size > _MAX_RATIO * info.compress_size + _FREE_BYTES:
            raise ArchiveError(f"{name} expands to {info.file_size:,} bytes from {info.compress_size:,}")
        try:
            with self._zip.open(info) as member:
                while chunk := member.read(_CHUNK_BYTES):  # at most the declared size
                    yield chunk
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise ArchiveError(f"{name} is damaged: {error}") from None
        except Exception as error:  # zlib.error has no common base
            raise ArchiveError(f"{name} is damaged: {type(error).__name__}") from None


def check_hdf5(path: Path, max_bytes: int) -> None:
    """Check that an HDF5 file contains only plain arrays stored in it, each reached once, of at most ``max_bytes``.

    Raises:
        ArchiveError: it does not.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _check_objects(file, path.stat().st_size, max_bytes)
    except ArchiveError:
        raise
    except Exception as error:  # h5py has no common error for damaged files
        raise ArchiveError(f"the weights are damaged: {error}") from None


def count_hdf5_values(path: Path) -> int:
    """Return the number of values in all arrays of a file that ``check_hdf5`` accepts."""
    import h5py

    sizes: list[int] = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None)
    return sum(sizes)


def _check_objects(file: Any, file_bytes: int, max_bytes: int) -> None:
    import h5py

    pending, visited = [file], {h5py.h5o.get_info(file.id).addr}
    expanded = stored = 0
    while pending:
        group = pending.pop()
        _check_attributes(group)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ArchiveError("it refers to a different file or object")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in visited:
                raise ArchiveError("the weights contain an object twice")
            visited.add(address)
            if len(visited) > _MAX_OBJECTS:
                raise ArchiveError(f"the weights have more than {_MAX_OBJECTS:,} objects")
            if isinstance(item, h5py.Group):
                pending.append(item)
                continue
            if not isinstance(item, h5py.Dataset) or item.shape is None:
                raise ArchiveError("the weights contain something other than arrays")
            _check_dataset(item)
            expanded += item.nbytes
            stored += item.id.get_storage_size()
            if expanded > max_bytes:
                raise ArchiveError(f"the weights have more than {max_bytes:,} bytes, the maximum")
    if stored > file_bytes:
        raise ArchiveError("arrays of the weights overlap")
    if expanded > _MAX_RATIO * file_bytes + _FREE_BYTES:
        raise ArchiveError(f"the weights expand to {expanded:,} bytes from {file_bytes:,}")


def _check_dataset(item: Any) -> None:
    _check_attributes(item)
    if item.external or item.is_virtual:
        raise ArchiveError("it refers to a different file")
    if item.dtype.kind not in "biufV" or item.dtype.names or item.dtype.subdtype:
        raise ArchiveError("an array of the weights does not contain numbers")
    # A compressed part expands to any size before HDF5 compares it with that of the array; Keras writes no parts.
    if item.chunks is not None or item.id.get_create_plist().get_nfilters():
        raise ArchiveError(
            "an array of the weights is compressed or stored in parts, which Keras does not do",
            "Write the file without: `h5repack -f NONE -l CONTI weights.h5 plain.weights.h5`, or as docs/pretrained.md shows.",
        )


def _check_attributes(item: Any) -> None:
    """Refuse attributes that are large when they are read."""
    for name in item.attrs:
        attribute = item.attrs.get_id(name)
        if math.prod(attribute.shape or ()) > (1 if attribute.dtype.hasobject else _MAX_ATTRIBUTE_ITEMS):
            raise ArchiveError("an attribute of the weights is too large")


def read_npz(file: IO[bytes], names: re.Pattern[str]) -> dict[str, Any]:
    """Return the arrays of an npz file that was written by ``numpy.savez``; memory is at most the file's size.

    Raises:
        ArchiveError: it is damaged, compressed, has an array that no name matches, or one of another size than declared.
    """
    import numpy as np
    from numpy.lib import format as npy

    archive = Archive(file)
    infos = [archive._members[name] for name in archive.names]
    file_bytes = file.seek(0, 2)
    if any(
        info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size for info in infos
    ):
        raise ArchiveError("its arrays are compressed")
    if sum(info.file_size for info in infos) > file_bytes:
        raise ArchiveError("its arrays overlap")
    arrays = {}
    for name in archive.names:
        if not name.endswith(".npy") or not names.fullmatch(name.removesuffix(".npy")):
            raise ArchiveError("it contains something other than the arrays of a training")
        content = archive.read(name, file_bytes)
        arrays[name.removesuffix(".npy")] = _read_npy(content, npy, np)
    return arrays


def _read_npy(content: bytes, npy: Any, np: Any) -> Any:
    import io

    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, is_fortran, dtype = read_header(stream)
    except Exception as error:  # NumPy parses the header as Python, which can raise anything
        raise ArchiveError(f"an array has an invalid header: {type(error).__name__}") from None
    if dtype.kind not in "biuf" or any(type(size) is not int or size < 0 for size in shape):
        raise ArchiveError("an array does not contain numbers")
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ArchiveError("an array declares another size than it has")
    flat = np.frombuffer(content, dtype, offset=stream.tell())
    array = flat.reshape(shape, order="F" if is_fortran else "C")
    return array.copy()  # writable, and without the rest of the file

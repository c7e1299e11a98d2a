"""Decode image files."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Final, TypeVar

import numpy as np

from layercli.data.memory import MAX_ITEM_BYTES, ByteBudget, describe_excess
from layercli.data.types import PATH_KEY, Array, make_data_finding
from layercli.formats.images.color import has_color
from layercli.formats.images.config import IMAGE_FORMATS, PILLOW_MODES
from layercli.formats.images.header_check import CountedBytes, CountedFile, check_tiff_directories
from layercli.formats.images.high_bit_depth import decode_high_bit_depth, is_high_bit_depth
from layercli.graph.finding import Finding
from layercli.source.nodes import KeyPath, sanitize_text

_MAX_SHARED_FILE_BYTES = 1 << 25
"""Larger files are opened one after the other, because their headers may be as large as the file."""
_MIN_RESERVED_BYTES = 1 << 22
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Mode of Pillow -> the bytes of a pixel in its memory; 4 in all other modes."""
_CONVERTED_BYTES_PER_PIXEL = 8
"""Memory for a pixel that was converted, and for its copy in an array."""
_MAX_SCANNED_PIXELS = 1 << 31
"""Most pixels of a JPEG file times its scans; each scan passes through all pixels, and a file can have any number."""
JPEG_FORMATS: Final = ("JPEG", "MPO")
"""What Pillow calls JPEG files; those that list more images, such as previews of a camera, are MPO files."""
_SCAN_MARKER = b"\xff\xda"
_MIN_SCAN_BYTES = 10
"""Bytes of the shortest scan: its marker, its length, one component and its range of coefficients."""
_CHUNK_BYTES = 1 << 20
_HIGH_DEPTH_BYTES_PER_PIXEL = 48
"""Memory for a pixel of 16 bits per colour: its four integers, and copies as float32 while it is converted."""
_ORIENTATION_TAG = 0x0112
_TAG_WARNINGS: Final = ("ignore", None, UserWarning, re.compile(r"PIL\.TiffImagePlugin"), 0)
"""The filter for warnings about damaged entries, of which a file can have thousands; most are of no use here."""
_STARTS = {
    b"version https://git-lfs": "it is a pointer of Git LFS, not the image; run `git lfs pull`",
    b"%pdf": "it is a PDF document",
    b"<svg": "it is an SVG drawing; save it as PNG",
    b"<?xml": "it is an XML document, such as an SVG drawing; save it as PNG",
}
"""First bytes of files that are not images, in lower case -> the reason."""

_FREE_PIXELS = 1 << 20
"""Pixels of an image that any file may have, such as a blank one."""
_PLAUSIBLE_PIXELS_PER_BYTE = 512
"""Photos have less than 10, and drawings and masks that are not blank less than this number."""
_MAX_EXCESS_PIXELS = 1 << 31
"""Most pixels above these limits in all images of a data set; decoding them takes about 20 seconds of processor time."""
_CHEAP_MODES = frozenset({"1", "L", "P"})
_CHEAP_PIXELS = 5
"""Pixels of one byte or bit, such as those of masks, that count as one; decoding all of them takes about 40 seconds."""

Result = TypeVar("Result")
budget = ByteBudget(MAX_ITEM_BYTES)
"""Memory of all images that are being decoded."""


class ExcessPixels:
    """The pixels in the images of a data set that are implausible for the sizes of their files, such as blank ones."""

    def __init__(self) -> None:
        self._files: set[Path] = set()
        self._total = 0
        self._lock = Lock()

    def clear(self) -> None:
        """Begin a different data set."""
        with self._lock:
            self._files.clear()
            self._total = 0

    def add(self, file: Path, image: Any, file_bytes: int) -> bool:
        """Add an image of Pillow, which counts once; return False if all would have too many such pixels together."""
        pixels = image.width * image.height
        excess = pixels - _FREE_PIXELS - _PLAUSIBLE_PIXELS_PER_BYTE * file_bytes
        if excess <= 0:
            return True
        if image.mode in _CHEAP_MODES and not image.info.get("interlace"):
            excess //= _CHEAP_PIXELS
        with self._lock:
            if file in self._files:
                return True
            if self._total + excess > _MAX_EXCESS_PIXELS:
                return False
            self._files.add(file)
            self._total += excess
            return True


excess_pixels = ExcessPixels()


def decode_image(
    file: Path, size: Sequence[int] | None, channels: int | None, max_bytes: int
) -> Array | Finding:
    """Return the pixels, scaled to ``size`` (height, width): of shape (height, width, channels).

    Return the finding of a file that cannot be read. ``max_bytes`` is the memory that decoding may take.
    """

    def read(image: Any) -> Array:
        turn = _find_turn(image)
        scaled = size[::-1] if size and turn in _TURNS_THAT_SWAP_SIDES else size
        is_deep = is_high_bit_depth(image)
        if image.format == "TIFF":
            image.load()  # Pillow turns it upright, and only then knows its size
        if is_deep:
            pixels = decode_high_bit_depth(file, image, channels, scaled)
        else:
            wanted = channels or (3 if has_color(image) else 1)
            pixels = _read_pixels(convert_mode(image, PILLOW_MODES[wanted]), scaled)
        return pixels if turn is None else _TURNS[turn](pixels)

    return open_image(file, read, max_bytes, size)


def _read_pixels(image: Any, size: Sequence[int] | None) -> Array:
    """Return the pixels of an image of 8 bits per value, scaled to ``size``: uint8 of shape (height, width, channels)."""
    if size is not None and image.size != (size[1], size[0]):
        from PIL import Image

        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def open_image(
    file: Path,
    read: Callable[[Any], Result],
    max_bytes: int,
    size: Sequence[int] | None = None,
    *,
    noun: str = "image",
    key: KeyPath = PATH_KEY,
    is_decoded: bool = True,
) -> Result | Finding:
    """Return the result of ``read``, called with the opened image within the memory budget; or the finding of an error.

    Args:
        file: The image file.
        read: A function of the image that Pillow opened.
        max_bytes: The memory that decoding may take.
        size: The height and width to which ``read`` scales the image; a large JPEG file is decoded at a reduced size.
        noun: What messages call the file.
        key: The config key that names the file.
        is_decoded: False if ``read`` only reads the header.
    """
    from PIL import Image, UnidentifiedImageError

    if _TAG_WARNINGS not in warnings.filters:
        warnings.filterwarnings("ignore", category=UserWarning, module=_TAG_WARNINGS[3].pattern)
        # The memory and the pixels of images have limits here.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        with file.open("rb", buffering=0) as opened:
            file_bytes = os.fstat(opened.fileno()).st_size
            if file_bytes > max_bytes:
                return _make_size_finding(file, file_bytes, max_bytes, noun, key)
            is_alone = file_bytes > _MAX_SHARED_FILE_BYTES
            # Given a name, Pillow 13 maps rotated TIFF files into memory in the wrong shape.
            is_read_whole = is_decoded and not is_alone
            stream = CountedBytes(opened.readall()) if is_read_whole else CountedFile(opened)
            check_tiff_directories(stream)
            with (
                stream,
                budget.reserve(budget.size) if is_alone else nullcontext(),
                Image.open(stream, formats=IMAGE_FORMATS) as image,
            ):
                stream.end_header()
                is_jpeg = image.format in JPEG_FORMATS
                if is_jpeg and is_decoded:
                    _check_scans(stream, file_bytes, image.width * image.height)
                if size is not None and is_jpeg:  # decode only what the requested size needs
                    height, width = size[::-1] if _find_turn(image) in _TURNS_THAT_SWAP_SIDES else size
                    image.draft(None, (width, height))
                if is_decoded and not excess_pixels.add(file, image, file_bytes):
                    return make_data_finding(
                        f"The {noun} {sanitize_text(str(file))} has {image.width * image.height:,} pixels in only "
                        f"{file_bytes:,} bytes; the data has too many of this kind to decode.",
                        key,
                        "Save smaller versions of them, or remove those that are blank.",
                    )
                needed = _count_decode_bytes(image, file_bytes, size) if is_decoded else 0
                if needed > max_bytes:
                    return _make_size_finding(file, needed, max_bytes, noun, key)
                with nullcontext() if is_alone or needed < _MIN_RESERVED_BYTES else budget.reserve(needed):
                    return read(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = sanitize_text(str(getattr(error, "strerror", None) or error), limit=150).rstrip(".")
        if isinstance(error, UnidentifiedImageError):
            reason = _describe_unknown_content(file)
        return make_data_finding(
            f"Cannot read the {noun} {sanitize_text(str(file))}: {reason}.", key, "Repair or remove it."
        )


def measure_image(image: Any) -> tuple[int, int]:
    """Return (height, width) of an opened image that is not loaded, turned upright."""
    width, height = image.size
    turn = image.getexif().get(_ORIENTATION_TAG) if image.format == "TIFF" else _find_turn(image)
    return (width, height) if turn in _TURNS_THAT_SWAP_SIDES else (height, width)


def turn_upright(pixels: Array, image: Any) -> Array:
    """Return the pixels of an opened image, of shape (height, width, ...), turned as its EXIF data says."""
    turn = _find_turn(image)
    return pixels if turn is None else _TURNS[turn](pixels)


_TURNS: Final[dict[int, Callable[[Array], Array]]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, 3),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}
"""Orientation in the EXIF data -> the function that turns pixels of shape (height, width, ...) upright."""
_TURNS_THAT_SWAP_SIDES: Final = (5, 6, 7, 8)


def _find_turn(image: Any) -> int | None:
    """Return the orientation of an opened image; None if it is upright."""
    if "exif" not in image.info or image.format == "TIFF":  # Pillow itself turns TIFF images
        return None
    orientation = image.getexif().get(_ORIENTATION_TAG)
    return orientation if orientation in _TURNS else None


def convert_mode(image: Any, mode: str) -> Any:
    """Return an image in a mode of Pillow with 8 bits per value."""
    if image.mode == mode:
        return image
    if image.mode == "P" and "transparency" in image.info and mode != "RGBA":
        image = image.convert("RGBA")  # Pillow warns about other modes
    return image.convert(mode)


def _describe_unknown_content(file: Path) -> str:
    """Return the reason why Pillow does not know the content of a file."""
    with file.open("rb") as stream:
        start = stream.read(512).lstrip().lower()
    if not start:
        return "it is empty"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")):
        return "it is an HTML page, not an image"
    if start[4:8] == b"ftyp":
        return "it is HEIC or AVIF, or a video; save it as JPEG or PNG"
    known = next((reason for prefix, reason in _STARTS.items() if start.startswith(prefix)), None)
    return known or f"its content is not {', '.join(IMAGE_FORMATS[:-1])} or {IMAGE_FORMATS[-1]}"


def _check_scans(stream: BinaryIO, file_bytes: int, pixels: int) -> None:
    """Check the work of decoding a JPEG file by the number of its scans; its position stays.

    Raises:
        ValueError: it has too many.
    """
    if file_bytes // _MIN_SCAN_BYTES * pixels <= _MAX_SCANNED_PIXELS:
        return
    position = stream.tell()
    stream.seek(0)
    scans = 0
    last = b""
    while chunk := stream.read(_CHUNK_BYTES):
        scans += _count_scan_markers(last + chunk)
        last = chunk[-1:]
    stream.seek(position)
    if scans * pixels > _MAX_SCANNED_PIXELS:
        raise ValueError(f"it has {scans:,} scans of {pixels:,} pixels, which would take very long to decode")


def _count_scan_markers(content: bytes) -> int:
    """Return how often the marker of a scan is in bytes; numpy finds it faster in pairs of bytes than ``bytes.count``."""
    values = np.frombuffer(content, np.uint8)
    (marker,) = np.frombuffer(_SCAN_MARKER, np.uint16)
    pairs = (values[start : len(values) - (len(values) - start) % 2].view(np.uint16) for start in range(2))
    return sum(int(np.count_nonzero(each == marker)) for each in pairs)


def _count_decode_bytes(image: Any, file_bytes: int, size: Sequence[int] | None) -> int:
    """Return the most memory that decoding an opened image takes: its pixels, converted and as an array."""
    pixels = image.width * image.height
    scaled_pixels = 0 if size is None else size[0] * size[1]
    if is_high_bit_depth(image):
        return int((pixels + scaled_pixels) * _HIGH_DEPTH_BYTES_PER_PIXEL + 2 * file_bytes)
    return int(
        pixels * _BYTES_PER_PIXEL.get(image.mode, 4) + (pixels + scaled_pixels) * _CONVERTED_BYTES_PER_PIXEL
    )


def _make_size_finding(file: Path, needed: int, available: int, noun: str, key: KeyPath) -> Finding:
    message = f"The {noun} {sanitize_text(str(file))} needs {describe_excess(needed, available)}."
    return make_data_finding(message, key, "Save a smaller version of it, or remove it.")

"""Data that is built to fill the memory, to start programs, or to take forever."""

import bz2
import gzip
import io
import lzma
import os
import struct
import threading
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from pydantic import ValidationError

from layercli.config.data.section import DATA_TYPES
from layercli.data.examples import load_examples
from layercli.data.memory import ByteBudget, is_too_large_to_load
from layercli.data.statistics import compute_statistics
from layercli.data.tables import parquet_sizes
from layercli.data.tables.arrow import normalize_table
from layercli.data.tables.streamed import StreamedRows
from layercli.data.types import DataError
from layercli.formats.csv import reader as csv_reader
from layercli.formats.csv import source as csv_source
from layercli.formats.images import decode as image_decoder
from layercli.formats.images.header_check import check_tiff_directories
from layercli.formats.jsonl import convert as jsonl_converter
from layercli.formats.parquet import reader as parquet_reader
from layercli.formats.preview import preview_images
from layercli.formats.registry import load_dataset

MEMORY = 8 << 30


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def load(memory=MEMORY, **section):
    return load_dataset(DATA_TYPES.parse(section), memory=memory)


def refusal(memory=MEMORY, **section):
    with pytest.raises(DataError) as caught:
        compute_statistics(load(memory, **section))
    return caught.value.findings[0].message


def repeat_text(rows, text):
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))


@pytest.mark.parametrize("column", ["t", "y"])
def test_repeated_long_text_is_refused(column):
    rows = 2000
    other = "y" if column == "t" else "t"
    table = pa.table({column: repeat_text(rows, "a" * 1_000_000), other: np.zeros(rows, np.int64)})
    parquet.write_table(table, "d.parquet", compression="zstd")
    message = refusal(type="parquet", path="d.parquet", target="y", inputs={"t": "t"})
    assert message == (
        "The table in d.parquet needs 2,000,152,000 bytes of memory, "
        "but only 1,073,741,824 bytes are available for it."
    )


def test_texts_with_a_shared_prefix_are_measured():
    texts = [f"{'a' * 50_000}{number}" for number in range(200)]
    parquet.write_table(
        pa.table({"t": texts, "y": [0, 1] * 100}),
        "d.parquet",
        use_dictionary=False,
        column_encoding={"t": "DELTA_BYTE_ARRAY", "y": "PLAIN"},
    )
    [size] = parquet_sizes.measure_groups(Path("d.parquet"), ["t"])
    assert size.decoded_bytes == sum(map(len, texts)) + 200 * 64


def test_numbers_of_a_row_group_are_measured():
    table = pa.table(
        {
            "bool": [True] * 10,
            "int32": pa.array([1] * 10, pa.int32()),
            "int64": [1] * 10,
            "float": pa.array([1.0] * 10, pa.float32()),
            "double": [1.0] * 10,
            "int96": pa.array([1] * 10, pa.timestamp("ns")),
        }
    )
    parquet.write_table(table, "d.parquet", use_deprecated_int96_timestamps=True)
    [size] = parquet_sizes.measure_groups(Path("d.parquet"), None)
    # In memory, and 4 bytes of each number as float32.
    assert size.max_row_bytes == 1 + 4 + 8 + 4 + 8 + 8 + 6 * 4
    assert (size.rows, size.decoded_bytes) == (10, 570)


def test_large_page_is_refused(monkeypatch):
    monkeypatch.setattr(parquet_sizes, "_MAX_PAGE_BYTES", 1 << 16)
    parquet.write_table(pa.table({"t": ["a" * 100_000], "y": [1]}), "d.parquet", use_dictionary=False)
    message = refusal(type="parquet", path="d.parquet", target="y", inputs={"t": "t"})
    assert message == (
        "Cannot read the Parquet file d.parquet: a page of the column `t` needs 100,010 bytes of memory, "
        "but only 65,536 bytes are available for it."
    )


def test_every_page_with_statistics_is_measured(monkeypatch):
    # 10,000 integers of 8 bytes; the smallest and the largest value are in the header of each page.
    schema = pa.schema([pa.field("v", pa.int64(), nullable=False)])
    table = pa.table({"v": np.arange(10_000) * 256}, schema=schema)
    parquet.write_table(
        table,
        "d.parquet",
        use_dictionary=False,
        compression="none",
        data_page_size=8_000,
        write_batch_size=100,
    )
    with parquet.ParquetFile("d.parquet") as source, Path("d.parquet").open("rb") as raw:
        pages = parquet_sizes._read_pages(raw, source.metadata.row_group(0).column(0))
    assert pages == [(0, 8_000)] * 10
    texts = ["a" * 100] * 2000 + ["b" * 100_000]
    parquet.write_table(
        pa.table({"t": texts}), "d.parquet", use_dictionary=False, data_page_size=8_000, write_batch_size=10
    )
    monkeypatch.setattr(parquet_sizes, "_MAX_PAGE_BYTES", 1 << 16)
    with pytest.raises(DataError, match="a page of the column `t` needs 1"):
        parquet_sizes.measure_groups(Path("d.parquet"), None)


def test_constant_row_group_is_divided(monkeypatch):
    monkeypatch.setattr(parquet_reader, "_MAX_GROUP_BYTES", 1 << 12)
    monkeypatch.setattr(parquet_reader, "_BATCH_BYTES", 1 << 10)
    rows = 2000
    parquet.write_table(pa.table({"v": np.ones(rows), "y": np.zeros(rows)}), "d.parquet")
    dataset = load(type="parquet", path="d.parquet", target="y", inputs={"v": "v"}, stream="always")
    assert isinstance(dataset, StreamedRows)
    assert max(group.rows for group in dataset.row_groups.groups) < 200
    assert sum(len(batch) for batch in dataset.batches(100)) == rows


def test_constant_columns_are_streamed():
    rows = 1_000_000
    parquet.write_table(
        pa.table({f"c{number}": np.zeros(rows) for number in range(50)} | {"y": np.zeros(rows)}), "d.parquet"
    )
    assert isinstance(load(type="parquet", path="d.parquet", target="y"), StreamedRows)


def test_nested_column_is_refused_unread(monkeypatch):
    values = pa.array(np.zeros(10_000_000, np.int8))
    offsets = pa.array(np.arange(0, 11, dtype=np.int32) * 1_000_000)
    column = pa.ListArray.from_arrays(offsets, values)
    parquet.write_table(pa.table({"v": column, "y": np.zeros(10)}), "d.parquet")
    columns_read = []

    def record(read):
        def read_and_record(*args, columns=None, **options):
            columns_read.append(columns)
            return read(*args, columns=columns, **options)

        return read_and_record

    for name in ("read", "read_row_group", "read_row_groups", "iter_batches"):
        monkeypatch.setattr(parquet.ParquetFile, name, record(getattr(parquet.ParquetFile, name)))
    message = refusal(type="parquet", path="d.parquet", target="y")
    assert "must contain numbers or text, got list<" in message
    assert columns_read == [["y"]]


def test_gzipped_table_is_measured_by_its_content(monkeypatch):
    monkeypatch.setattr(csv_reader, "_MAX_UNCOUNTED_BYTES", 0)
    with gzip.open("d.csv.gz", "wb") as file:
        file.write(b"v,y\n" + b"1,0\n" * 1_000_000)
    section = {"type": "csv", "path": "d.csv.gz", "target": "y"}
    assert isinstance(load(100_000_000, **section), StreamedRows)
    assert not isinstance(load(150_000_000, **section), StreamedRows)


def test_one_long_line_in_gzip_is_refused():
    with gzip.open("d.csv.gz", "wb") as file:
        for _ in range(40):
            file.write(b"a" * 1_000_000)
    assert refusal(type="csv", path="d.csv.gz", target="y") == (
        "d.csv.gz cannot be read: a line is longer than 16,777,216 characters."
    )


@pytest.mark.parametrize("name", ["d.csv.bz2", "d.csv.xz", "d.csv.zst"])
def test_other_compressed_tables_are_always_measured_by_their_content(name):
    content = b"v,y\n" + b"1,0\n" * 1_000_000
    compress = {
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".zst": lambda text: pa.compress(text, codec="zstd", asbytes=True),
    }[Path(name).suffix]
    Path(name).write_bytes(compress(content))
    section = {"type": "csv", "path": name, "target": "y"}
    assert isinstance(load(100_000_000, **section), StreamedRows)
    assert not isinstance(load(150_000_000, **section), StreamedRows)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("|U0", (10**12,)), ("|S0", (10**12,)), ("|V0", (10**12,)), ("<f4", (10**12, 0))]
)
def test_arrays_without_bytes_are_refused(dtype, shape):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": False, "shape": shape})
    with Path("x.npy").open("wb") as file:
        file.write(content.getvalue())
    with zipfile.ZipFile("d.npz", "w") as archive:
        archive.writestr("x.npy", content.getvalue())
        archive.writestr("y.npy", content.getvalue())
    expected = f"declares 1,000,000,000,000 examples without values: its shape is {shape}"
    assert expected in refusal(type="npz", path="d.npz", features="x", target="y")
    assert expected in refusal(type="npy", features="x.npy", target="x.npy")


@pytest.mark.parametrize("shape", [(True, 2), (-1, 2), (1 << 70, 0)])
def test_invalid_shapes_are_refused(shape):
    with Path("x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.write(bytes(64))
    assert refusal(type="npy", features="x.npy", target="x.npy").endswith("has an invalid shape.")


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_sparse_array_of_too_many_examples_is_refused(name):
    rows = 1 << 22
    np.save("y.npy", np.arange(4))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (rows, 2)})
    if name == "x.npy":
        with Path(name).open("wb") as file:
            file.write(header.getvalue())
            file.truncate(header.tell() + 2 * rows)
        message = refusal(1 << 20, type="npy", features=name, target="y.npy")
    else:
        with zipfile.ZipFile(name, "w") as archive, archive.open("x.npy", "w", force_zip64=True) as member:
            member.write(header.getvalue())
            for _ in range(2 * rows >> 20):
                member.write(bytes(1 << 20))
        message = refusal(1 << 20, type="npz", path=name, features="x", target="x")
    assert f"needs {rows * 24:,} bytes of memory, but only 1,048,576 bytes are available" in message


def test_text_arrays_count_their_objects():
    np.savez_compressed("d.npz", x=np.zeros((1_000_000, 1), "S2"), y=np.zeros(1_000_000, np.int8))
    message = refusal(100_000_000, type="npz", path="d.npz", features="x", target="y")
    assert message == (
        "d.npz cannot be read batch by batch and needs 93,000,000 bytes of memory, "
        "but only 50,000,000 bytes are available for it."
    )


def write_png(path, width, height):
    """Write a PNG of 16 bits per colour, all of them 0."""

    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    pixels = zlib.compress(bytes(1 + width * 8) * height)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "i" / "a"
    folder.mkdir(parents=True)
    return folder


def test_image_that_needs_too_much_memory_is_refused(images):
    write_png(images / "1.png", 1000, 1000)
    message = refusal(100 << 20, type="images", path="i", size=[8, 8])
    size = (images / "1.png").stat().st_size
    needed = (1_000_000 + 64) * 48 + 2 * size
    assert message == (
        f"The image i/a/1.png needs {needed:,} bytes of memory, "
        "but only 26,214,400 bytes are available for it."
    )


def test_sparse_files_are_refused_unread(images):
    for name in ("1.png", "1.txt"):
        with (images / name).open("wb") as file:
            file.truncate(100 << 30)
    assert refusal(type="images", path="i") == (
        "The image i/a/1.png needs 107,374,182,400 bytes of memory, "
        "but only 1,073,741,824 bytes are available for it."
    )
    assert refusal(type="text", path="i") == (
        "The text i/a/1.txt needs 536,870,912,000 bytes of memory, "
        "but only 1,073,741,824 bytes are available for it."
    )


def test_images_of_other_formats_are_not_opened(images, monkeypatch):
    from PIL import EpsImagePlugin

    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **_: started.append(args))
    eps = io.BytesIO()
    Image.new("RGB", (4, 4)).save(eps, "EPS")
    (images / "1.png").write_bytes(eps.getvalue())
    Image.new("RGB", (4, 4)).save(images / "2.png", "PPM")
    with pytest.raises(DataError) as caught:
        load(type="images", path="i")
    assert [found.message[:26] for found in caught.value.findings] == [
        "Cannot read the image i/a/",
        "Cannot read the image i/a/",
    ]
    assert not preview_images(sorted(images.iterdir())).sizes
    assert started == []


@pytest.mark.parametrize("section", [{}, {"masks": {"path": "masks"}}], ids=["images", "masks"])
def test_many_large_images_in_tiny_files_are_refused(images, monkeypatch, section):
    weight = 5 if section else 1
    monkeypatch.setattr(image_decoder, "_MAX_EXCESS_PIXELS", 6_000_000 // weight)
    Path("masks").mkdir()
    for number in range(4):
        if section:
            Image.effect_noise((2000, 2000), 9).save(images / f"{number}.jpg", quality=1)
            Image.new("1", (2000, 2000)).save(Path("masks") / f"{number}.png")
        else:
            Image.new("RGB", (2000, 2000)).save(images / f"{number}.webp", lossless=True)
    messages = load_with_errors(type="images", path="i", size=[8, 8], **section)
    noun = "mask masks/" if section else "image i/a/"
    assert len(messages) == 2  # each file has 2.6 million pixels too many
    assert messages[0].startswith(f"The {noun}")
    assert "has 4,000,000 pixels in only" in messages[0]
    monkeypatch.setattr(image_decoder, "_MAX_EXCESS_PIXELS", 12_000_000 // weight)
    for _ in range(2):  # a file counts once
        examples = load(type="images", path="i", size=[8, 8], **section)
        assert len(load_examples(examples).x) == len(load_examples(examples).x) == 4


@pytest.mark.parametrize(
    ("mode", "info", "most"),
    [("1", {}, 1050), ("P", {}, 1050), ("1", {"interlace": 1}, 200), ("RGB", {}, 200)],
)
def test_a_thousand_blank_masks_of_12_megapixels_pass(mode, info, most):
    image = SimpleNamespace(width=4000, height=3000, mode=mode, info=info)
    budget = image_decoder.ExcessPixels()
    passed = sum(budget.add(Path(f"{number}.png"), image, 1536) for number in range(2000))
    assert most <= passed < most * 1.06


def load_with_errors(**data):
    with pytest.raises(DataError) as caught:
        compute_statistics(load(**data))
    return [found.message for found in caught.value.findings if found.severity == "error"]


def test_large_image_is_read_without_a_warning(images, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.new("L", (4, 4)).save(images / "1.png")
    assert load(type="images", path="i").x.shape == (1, 4, 4, 1)
    assert preview_images([images / "1.png"]).sizes == {(4, 4): 1}


def make_tiff(order, is_big, entries, extra=()):
    """Return a gray TIFF of 4x4 pixels with more entries; ``extra`` are those of a directory for the camera."""

    def pack(entries):
        length, entry = ("Q", "HHQQ") if is_big else ("H", "HHII")
        packed = [struct.pack(order + entry, *each) for each in entries]
        return struct.pack(order + length, len(entries)) + b"".join(packed) + bytes(8 if is_big else 4)

    start = 16 if is_big else 8
    mark = {"<": b"II", ">": b"MM"}[order]
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if is_big else struct.pack(f"{order}HI", 42, 8)
    sizes = [(256, 4, 1, 4), (257, 4, 1, 4), (262, 4, 1, 1), (273, 4, 1, 0), (278, 4, 1, 4), (279, 4, 1, 16)]
    sub = 1000 if extra else 0
    main = pack(sorted([*sizes, *entries, *([(34665, 4, 1, sub)] if extra else [])]))
    return (mark + head).ljust(start) + main.ljust(1000 - start, b"\0") + pack(extra)


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_many_numbers_is_refused_before_it_is_opened(order, is_big, images, monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was opened"))
    most = 1 << 18
    for content in (
        make_tiff(order, is_big, [(258, 3, most + 1, 0)]),
        make_tiff(order, is_big, [], [(40000, 3, most + 1, 0)]),
    ):
        (images / "1.tif").write_bytes(content)
        message = refusal(type="images", path="i")
        assert message == "Cannot read the image i/a/1.tif: an entry of its header has 262,145 numbers."
        assert not preview_images([images / "1.tif"]).sizes


@pytest.mark.parametrize("entry", [(258, 3, 1 << 18, 0), (700, 7, 1 << 30, 0), (270, 2, 1 << 30, 0)])
def test_usual_directories_of_tiff_pass(entry):
    stream = io.BytesIO(make_tiff("<", False, [entry], [entry]))
    check_tiff_directories(stream)
    assert stream.tell() == 0


@pytest.mark.parametrize(
    "content", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0+", b"II+\0".ljust(16, b"\xff")]
)
def test_damaged_start_of_tiff_is_an_error_without_warnings(images, content):
    (images / "1.tif").write_bytes(content)
    assert refusal(type="images", path="i").startswith("Cannot read the image i/a/1.tif: ")


@pytest.mark.parametrize("shared_bytes", [1 << 25, 0])
def test_image_whose_header_has_many_parts_is_refused(images, monkeypatch, shared_bytes):
    monkeypatch.setattr(image_decoder, "_MAX_SHARED_FILE_BYTES", shared_bytes)
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "JPEG")
    content = buffer.getvalue()
    for parts, is_refused in (
        (b"\xff\xfe\0\2" * 20_000, False),
        (b"\xff\xfe\0\2" * 100_000, True),
        (b"\xff" * 250_000, True),
    ):
        (images / "1.jpg").write_bytes(content[:2] + parts + content[2:])
        assert bool(preview_images([images / "1.jpg"]).sizes) != is_refused
        if is_refused:
            message = refusal(type="images", path="i")
            assert message == "Cannot read the image i/a/1.jpg: its header has too many parts."
        else:
            assert load(type="images", path="i").x.shape == (1, 4, 4, 1)


def write_scans(path, scans):
    """Write a progressive JPEG of 64x64 pixels whose last scan, without content, is repeated."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 7).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    start = content.rindex(b"\xff\xda")
    empty = content[start : start + 2 + int.from_bytes(content[start + 2 : start + 4])]
    path.write_bytes(content[:-2] + empty * (scans - content.count(b"\xff\xda")) + b"\xff\xd9")


@pytest.mark.parametrize("chunk_bytes", [1, 2, 7, 1 << 20])
def test_jpeg_of_many_scans_is_refused(images, monkeypatch, chunk_bytes):
    monkeypatch.setattr(image_decoder, "_CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(image_decoder, "_MAX_SCANNED_PIXELS", 64 * 64 * 50)
    write_scans(images / "1.jpg", 50)
    assert load(type="images", path="i").x.shape == (1, 64, 64, 1)
    message = "1.jpg: it has 51 scans of 4,096 pixels, which would take very long to decode."
    write_scans(images / "1.jpg", 51)
    assert refusal(type="images", path="i").endswith(message)
    with_preview = io.BytesIO()  # a file that lists a second image, as cameras write them
    image = Image.new("L", (64, 64))
    image.save(with_preview, "MPO", save_all=True, append_images=[image])
    listing = with_preview.getvalue()
    start = listing.index(b"\xff\xe2")
    end = start + 2 + int.from_bytes(listing[start + 2 : start + 4])
    content = (images / "1.jpg").read_bytes()
    (images / "1.jpg").write_bytes(content[:2] + listing[start:end] + content[2:])
    with Image.open(images / "1.jpg") as opened:
        assert opened.format == "MPO"
    assert refusal(type="images", path="i").endswith(message)


def test_gzipped_table_that_is_mostly_empty_is_refused(monkeypatch):
    with gzip.open("d.csv.gz", "wb") as file:
        file.write(b"v,y\n1,0\n" + b"\n" * 300_000)
    assert len(load(type="csv", path="d.csv.gz", target="y")) == 1
    monkeypatch.setattr(csv_source, "_FREE_EXPANDED_BYTES", 200_000)
    message = refusal(type="csv", path="d.csv.gz", target="y")
    assert message.endswith("it expands to more than 200,000 bytes, which is implausible for its size.")


def test_zip_of_very_many_members_is_refused():
    with zipfile.ZipFile("d.csv.zip", "w") as archive:
        archive.writestr("d.csv", "v,y\n1,0\n")
        for number in range(20_000):
            archive.writestr(f"__MACOSX/{number}", b"")
    message = refusal(type="csv", path="d.csv.zip", target="y")
    assert message == "d.csv.zip cannot be read: it has too many members."


def test_sheets_of_a_workbook_are_found_in_linear_time():
    text = "<sheet " * 3000 + 'name=x <w:sheet id="1" name="A &amp; B"/>'
    assert csv_source._SHEET.findall(text) == ["A &amp; B"]
    assert csv_source._SHEET.findall("<sheet <sheets name='a'> <sheet name='b'/>") == ["b"]
    # A search that passes the start of another sheet would look at the text again for each of them.
    assert csv_source._SHEET.search("<sheet " * 3 + "name='a'").start() == 14


def test_file_names_that_are_not_utf8_are_read():
    name = os.fsdecode(b"d\xff.csv")
    Path(name).write_text("v,y\n1,0\n2,1\n")
    with gzip.open(f"{name}.gz", "wb") as file:
        file.write(b"v,y\n3,0\n")
    assert len(load(type="csv", path="*.csv*", target="y")) == 3


def test_most_missing_values_do_not_crash_arrow():
    # Without a common prefix, so that Arrow's tree of prefixes is as large as it can be.
    values = [chr(0x1000 + 9 * number) for number in range(1000)]
    Path("d.csv").write_text(f"v,y\n1,0\n{values[7]},1\n")
    data = load(type="csv", path="d.csv", target="y", missing={"values": values, "numbers": "zero"})
    assert data.x.tolist() == [[1.0], [0.0]]


@pytest.mark.parametrize("values", [["a"] * 1001, ["a" * 4097], ["\u00fc" * 2049]])
def test_more_missing_values_are_refused(values):
    with pytest.raises(ValidationError, match=r"must be at most 1,000 texts of 4,096 bytes in total"):
        DATA_TYPES.parse({"type": "csv", "path": "d.csv", "target": "y", "missing": {"values": values}})


def test_large_texts_are_read_in_small_batches(images):
    for number in range(8):
        (images / f"{number}.txt").write_text("a" * 2_000_000)
    dataset = load(100_000_000, type="text", path="i")
    assert dataset.text_bytes == 10_000_000
    assert compute_statistics(dataset).inputs[None].row_count == 8


class ColumnsOnly:
    """A table that gives away all columns at once, and counts how often: asking for each one is quadratic."""

    def __init__(self, table):
        self._table = table
        self.copies = 0

    @property
    def column_names(self):
        self.copies += 1
        return self._table.column_names

    @property
    def columns(self):
        self.copies += 1
        return self._table.columns


def test_columns_of_a_wide_table_are_copied_once():
    table = ColumnsOnly(pa.table({f"c{number}": [1.0] for number in range(50)}))
    data = DATA_TYPES.parse({"type": "csv", "path": "d.csv", "target": "c1"})
    assert normalize_table(table, data).num_columns == 50
    assert table.copies == 2


def test_byte_budget_makes_threads_wait():
    budget, order = ByteBudget(10), []

    def use():
        with budget.reserve(8):
            order.append("second")

    with budget.reserve(8):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    with budget.reserve(100):
        order.append("more than all")
    assert order == ["first", "second", "more than all"]


@pytest.mark.parametrize(
    ("decoded", "stored", "expected"),
    [(1 << 28, 10, False), (1 << 30, 10, True), (1 << 30, 1 << 28, False), (3 << 30, 3 << 30, True)],
)
def test_implausible_sizes_are_read_batch_by_batch(decoded, stored, expected):
    assert is_too_large_to_load(decoded, stored, MEMORY) is expected
    assert is_too_large_to_load(decoded, stored, None) is False


@pytest.mark.parametrize("line_end", [b"\n", b"\r"])
def test_compressed_table_with_implausibly_many_lines_is_refused(monkeypatch, line_end):
    rows = [b"v,y", *[b"%d,0" % row for row in range(10)]]
    Path("d.csv.gz").write_bytes(gzip.compress(line_end.join(rows) + line_end * 2_000))
    monkeypatch.setattr(csv_source, "_FREE_LINES", 2_010)
    assert len(load(type="csv", path="d.csv.gz", target="y")) == 10
    monkeypatch.setattr(csv_source, "_FREE_LINES", 2_009)
    message = refusal(type="csv", path="d.csv.gz", target="y")
    assert message.endswith("it has more than 2,009 lines that are empty or nearly so.")


def test_compressed_table_with_a_byte_for_each_line_is_read(monkeypatch):
    rows = b"v,y\n" + b"".join(b"%d,0\n" % (row * 7919 % 1000) for row in range(300))
    Path("d.csv.gz").write_bytes(gzip.compress(rows))
    assert Path("d.csv.gz").stat().st_size >= 301
    monkeypatch.setattr(csv_source, "_FREE_LINES", 1)
    assert len(load(type="csv", path="d.csv.gz", target="y")) == 300


def test_many_skipped_lines_are_skipped_without_copies_of_the_rest():
    Path("d.csv").write_bytes(b"\n" * 700_000 + b"v,y\n1,0\n2,1\n")
    data = DATA_TYPES.parse({"type": "csv", "path": "d.csv", "target": "y", "skip_lines": 699_999})
    with csv_source.open_utf8(Path("d.csv"), data) as stream:
        assert stream.read() == b"\n" * 700_000 + b"v,y\n1,0\n2,1\n"


def test_json_lines_whose_cells_are_mostly_empty_are_refused(monkeypatch):
    Path("d.jsonl").write_text("".join(f'{{"k{row % 50}": 1, "y": 0}}\n' for row in range(100)))
    monkeypatch.setattr(jsonl_converter, "_FREE_CELLS", 5_100)  # 100 lines of 50 names and y
    assert len(load(type="jsonl", path="d.jsonl", target="y", missing={"numbers": "zero"})) == 100
    monkeypatch.setattr(jsonl_converter, "_FREE_CELLS", 5_099)
    os.utime("d.jsonl", (1, 1))
    message = refusal(type="jsonl", path="d.jsonl", target="y")
    assert message == "d.jsonl has 100 lines and 51 columns, but only 200 values."


def test_json_lines_with_a_value_in_each_tenth_cell_are_read(monkeypatch):
    monkeypatch.setattr(jsonl_converter, "_FREE_CELLS", 1)
    Path("d.jsonl").write_text("".join(f'{{"k{row % 19}": 1, "y": 0}}\n' for row in range(100)))
    assert len(load(type="jsonl", path="d.jsonl", target="y", missing={"numbers": "zero"})) == 100

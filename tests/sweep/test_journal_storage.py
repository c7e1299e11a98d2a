"""A journal file keeps its complete lines whatever was half-written behind them."""

import pytest

from layercli.sweep.journal_storage import _JournalLock


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"", b""),
        (b"a\n", b"a\n"),
        (b"a\nb\n", b"a\nb\n"),
        (b"a\nb", b"a\n"),
        (b"a", b""),
        (b"a\n" + b"x" * 4094, b"a\n"),
        (b"a\n" + b"x" * 4095, b"a\n"),
        (b"a\n" + b"x" * 4096, b"a\n"),
        (b"a\n" + b"x" * 10_000, b"a\n"),
        (b"x" * 10_000, b""),
        (b"x" * 5_000 + b"\n" + b"y" * 5_000 + b"\nz", b"x" * 5_000 + b"\n" + b"y" * 5_000 + b"\n"),
    ],
)
def test_only_the_half_written_last_line_is_removed(tmp_path, content, kept):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    lock = _JournalLock(path)
    assert lock.acquire()
    lock.release()
    assert path.read_bytes() == kept

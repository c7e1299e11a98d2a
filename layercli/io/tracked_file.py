"""A file of which the current work shows how much is read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from layercli.activity import Activity, show_activity

_BUFFER_BYTES: Final = 1 << 17


@contextmanager
def open_tracked(file: Path) -> Iterator[IO[bytes]]:
    """Open a file to read its bytes; the position in it is the progress of the work."""
    with (
        show_activity(None, file.stat().st_size) as activity,
        io.BufferedReader(_TrackedFile(file, activity), _BUFFER_BYTES) as stream,
    ):
        yield stream


class _TrackedFile(io.FileIO):
    """A file that counts the bytes up to its position."""

    def __init__(self, file: Path, activity: Activity) -> None:
        super().__init__(file, "rb")
        self._activity = activity

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        count = super().readinto(buffer)
        self._activity.done = self.tell()
        return count

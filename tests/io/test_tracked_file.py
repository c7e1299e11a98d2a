"""The progress of reading a file."""

import pytest

from layercli.activity import find_current_activity, show_activity
from layercli.io.tracked_file import open_tracked


def test_position_in_the_file_is_the_progress(tmp_path):
    file = tmp_path / "table.csv"
    file.write_bytes(bytes(400_000))
    with show_activity("Reading the data"), open_tracked(file) as stream:
        label, activity = find_current_activity()
        assert (label, activity.done, activity.total) == ("Reading the data", 0, 400_000)
        assert len(stream.read(1000)) == 1000
        assert activity.done == 131_072  # one buffer
        assert len(stream.read(399_000)) == 399_000
        assert activity.done == 400_000
        stream.seek(0)
        stream.read(1)
        assert activity.done == 131_072


def test_reading_ends_with_the_file(tmp_path):
    with show_activity("Reading the data"):
        with pytest.raises(FileNotFoundError), open_tracked(tmp_path / "missing.csv"):
            pass
        assert find_current_activity()[1].total is None

"""The line that says what a command is doing, on a real pseudo terminal."""

import io
import os
import pty
import re
import sys
import termios
import time
from contextlib import nullcontext
from threading import Thread

import pytest
import typer

from layercli import cli
from layercli.activity import Activity, find_current_activity, show_activity, track_items
from layercli.reports import activity_line
from layercli.reports.activity_line import ActivityLine, describe_activity
from tests.running import HANG_SECONDS

ERASE = "\r\x1b[2K"


class Screen:
    """A pseudo terminal whose output a test reads until it contains a text."""

    def __init__(self):
        self.reader, self.writer = pty.openpty()
        self.text = ""

    def read_until(self, pattern):
        while not re.search(pattern, self.text):
            self.text += os.read(self.reader, 1000).decode()
        return self.text


@pytest.fixture
def open_screen(monkeypatch):
    """Return a function that makes a screen the standard output and error of the rest of the test."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(activity_line, "_DELAY_SECONDS", 0)
    monkeypatch.setattr(activity_line, "_INTERVAL_SECONDS", 0.01)
    screen = Screen()
    streams = [os.fdopen(os.dup(screen.writer), "w", buffering=1) for _ in range(2)]

    def open_screen():
        for name, stream in zip(("stdout", "stderr"), streams, strict=True):
            monkeypatch.setattr(sys, name, stream)
        return screen

    yield open_screen
    for stream in streams:
        stream.close()
    os.close(screen.reader)
    os.close(screen.writer)


def test_output_of_a_forked_process_does_not_wait_for_the_line(open_screen, monkeypatch):
    open_screen()
    with ActivityLine(is_shown=True) as line:
        monkeypatch.setattr(os, "getpid", lambda: 0)
        with line._lock:
            writer = Thread(target=print, args=("from a worker",), daemon=True)
            writer.start()
            writer.join(HANG_SECONDS)
            assert not writer.is_alive()


def test_line_is_erased_before_output_and_at_the_end(open_screen):
    screen = open_screen()
    with ActivityLine(is_shown=True), show_activity("Reading the data"):
        screen.read_until(r"Reading the data: \d+\.\d s")
        print("150 rows")
        assert re.search(re.escape(ERASE) + r"150 rows\r\n", screen.read_until("rows\r\n"))
        screen.read_until(r"rows\r\n.*Reading")
    print("end")
    assert screen.read_until("end\r\n").endswith(f"{ERASE}end\r\n")


def test_question_is_not_overwritten(open_screen):
    screen = open_screen()
    with ActivityLine(is_shown=True), show_activity("Working"):
        screen.read_until("Working")
        sys.stdout.write("Target? ")
        sys.stdout.flush()
        screen.read_until(r"\? ")
        time.sleep(0.05)  # several intervals
        print("thanks")
        assert "Target? thanks" in screen.read_until("thanks")


def test_standard_error_is_that_of_the_terminal_while_it_is_captured(open_screen):
    screen = open_screen()
    with ActivityLine(is_shown=True), show_activity("Loading TensorFlow"):
        sys.stderr = io.StringIO()
        screen.read_until("Loading TensorFlow")


@pytest.mark.parametrize("is_shown", [True, False])
def test_nothing_is_drawn_into_pipes_or_if_it_is_not_wanted(open_screen, is_shown, monkeypatch):
    screen = open_screen()
    if is_shown:
        monkeypatch.setattr(sys, "stdout", io.StringIO())
    with ActivityLine(is_shown=is_shown), show_activity("Working"):
        time.sleep(0.05)  # several intervals
    print("end", file=sys.stderr)
    assert screen.read_until("end\r\n") == "end\r\n"


def test_work_with_its_own_display_hides_the_line():
    with show_activity("Training"):
        assert find_current_activity()[0] == "Training"
        with show_activity(""), show_activity("Compiling"):
            assert find_current_activity() is None
    assert find_current_activity() is None


def test_progress_is_that_of_the_part_with_the_label_around_it():
    seen = []
    with show_activity("Reading the data"):
        for _ in track_items([3, 4, 5], 20, count=int, done=2):
            label, part = find_current_activity()
            seen.append((label, part.done, part.total))
    assert seen == [("Reading the data", done, 20) for done in (2, 5, 9)]


def test_progress_is_that_of_the_outermost_part_with_several_units():
    with show_activity("Predicting"), show_activity(None, 1), show_activity(None, 40), show_activity(None, 3):
        label, part = find_current_activity()
        assert (label, part.total) == ("Predicting", 40)
        with show_activity("Loading TensorFlow"):
            assert find_current_activity()[0] == "Loading TensorFlow"
            assert find_current_activity()[1].total is None


def test_display_shows_the_work_inside_it():
    assert find_current_activity(of_display=True) is None
    with show_activity("Training", 5):
        assert find_current_activity(of_display=True) is None
        with show_activity(""), show_activity(None, 7):
            assert find_current_activity(of_display=True) is None
            with show_activity("Validating"), show_activity(None, 9):
                label, part = find_current_activity(of_display=True)
                assert (label, part.total) == ("Validating", 9)


@pytest.mark.parametrize(
    ("room", "text"),
    [
        (44, "Checking the data: 25%, 6.0 s, 18.0 s left"),
        (42, "Checking the data: 25%, 6.0 s, 18.0 s left"),
        (41, "Checking the data: 25%, 18.0 s left"),
        (35, "Checking the data: 25%, 18.0 s left"),
        (34, "Checking the data: 18.0 s left"),
        (29, "Checking the da…: 18.0 s left"),
        (15, "C…: 18.0 s left"),
        (14, "18.0 s left"),
        (4, "18.0"),
    ],
)
def test_text_fits_the_terminal_and_keeps_the_time_left(room, text):
    activity = Activity("Checking the data", 40)
    activity.done, activity.started_at = 10, 100.0
    assert describe_activity("Checking the data", activity, 106.0, room) == text
    assert len(text) <= room


def test_narrow_text_without_a_total_keeps_the_time():
    activity = Activity("Comparing", None)
    activity.started_at = 100.0
    assert describe_activity("Comparing", activity, 106.0, 16) == "Comparing: 6.0 s"
    assert describe_activity("Comparing", activity, 106.0, 15) == "Compari…: 6.0 s"


def test_line_leaves_room_for_the_echo_of_an_interruption(open_screen):
    screen = open_screen()
    termios.tcsetwinsize(screen.writer, (24, 20))
    with ActivityLine(is_shown=True), show_activity("Comparing the outputs"):
        text = screen.read_until(r" s(?=\r)")
    assert {len(line) for line in text.split(ERASE) if line} == {17}  # 20 columns with ^C and the cursor


def test_every_command_that_ends_has_a_label():
    endless = {name for name in cli.COMMANDS if name not in cli._LABELS}
    assert endless == {"watch", "lsp", "launch", "serve"}
    assert cli._LABELS.keys() <= cli.COMMANDS.keys()


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (0, None, "Reading: 6.0 s"),
        (0, 40, "Reading: 0%, 6.0 s"),
        (10, 40, "Reading: 25%, 6.0 s, 18.0 s left"),
        (40, 40, "Reading: 100%, 6.0 s, 0.0 s left"),
        (99, 40, "Reading: 100%, 6.0 s, 0.0 s left"),
    ],
)
def test_text_has_the_share_and_the_time_left(done, total, text):
    activity = Activity("Reading", total)
    activity.done, activity.started_at = done, 100.0
    assert describe_activity("Reading", activity, 106.0, 80) == text


def test_estimate_counts_only_what_was_done_since_the_start():
    activity = Activity("Reading", 40, done=20)
    activity.done, activity.started_at = 30, 100.0
    assert activity.estimate_seconds_left(106.0) == 6.0  # ten units took six seconds, and ten are left


@pytest.mark.parametrize(
    ("command", "options", "is_shown"),
    [
        ("diff", {}, True),
        ("train", {"json": False, "quiet": False}, True),
        ("train", {"quiet": True}, False),
        ("runs", {"json": True}, False),
        ("lsp", {}, False),
        ("serve", {}, False),
    ],
)
def test_json_quiet_and_servers_show_no_line(monkeypatch, command, options, is_shown):
    shown = []
    monkeypatch.setattr(cli, "ActivityLine", lambda is_shown: shown.append(is_shown) or nullcontext())
    cli.catch_errors(lambda **_: None, command)(**options)
    assert shown == [is_shown]


def test_lack_of_memory_is_a_problem(capsys):
    def allocate(**_):
        raise MemoryError

    with pytest.raises(typer.Exit) as stopped:
        cli.catch_errors(allocate)(json=True)
    assert stopped.value.exit_code == 1
    assert '"code": "too-large"' in capsys.readouterr().out


def test_line_is_not_drawn_on_a_terminal_that_cannot_erase(open_screen, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    screen = open_screen()
    stdout = sys.stdout
    with ActivityLine(is_shown=True):
        assert sys.stdout is stdout
    print("end")
    assert screen.read_until("end\r\n") == "end\r\n"

"""JSON of untrusted directories."""

import pytest

from layercli.io.regular import parse_json


def test_integers_that_no_float_can_hold_are_refused():
    longest = "9" * 300
    assert parse_json(b"[%s, 1]" % longest.encode()) == [int(longest), 1]
    assert float(longest) == 1e300
    with pytest.raises(ValueError, match="a number of 301 digits"):
        parse_json(b"[%s9]" % longest.encode())

"""Every reader is behind one protocol, in one registry."""

from importlib import import_module
from inspect import signature

import pytest

from layercli.config.data.section import DATA_TYPES
from layercli.formats.registry import READERS, Reader, TableReader


def test_every_type_of_data_has_a_reader():
    assert sorted(READERS) == sorted(DATA_TYPES.load(name).type_name() for name in DATA_TYPES.names)


@pytest.mark.parametrize("kind", READERS)
def test_a_reader_has_what_the_protocol_says(kind):
    module = import_module(READERS[kind])
    without_files = {"read_new"} if kind in ("sklearn", "python") else set()
    assert {name for name in ("read", "read_new") if not hasattr(module, name)} == without_files
    protocol = TableReader if kind in ("csv", "parquet") else Reader
    for name in {"read", "read_new"} - without_files:
        assert list(signature(getattr(module, name)).parameters) == list(
            signature(getattr(protocol, name)).parameters
        )

"""Every reader is behind one protocol, in one registry."""

from importlib import import_module
from inspect import signature

import pytest

from layercli.config.data import DATA
from layercli.data.readers import READERS, Reader


def test_every_type_of_data_has_a_reader():
    assert sorted(READERS) == sorted(DATA.load(name).type_name() for name in DATA.names)


@pytest.mark.parametrize("kind", READERS)
def test_a_reader_has_what_the_protocol_says(kind):
    module = import_module(READERS[kind])
    for name in (name for name in vars(Reader) if not name.startswith("_")):
        assert list(signature(getattr(module, name)).parameters) == list(
            signature(getattr(Reader, name)).parameters
        )

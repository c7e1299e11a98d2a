"""The modules of every type of data provide what the rest of the package asks of them."""

from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

from layercli import formats
from layercli.config.data.section import DATA_TYPES, DataConfig
from layercli.config.data.tables import TableConfig
from layercli.formats.registry import Reader, TableReader, select_input_section
from layercli.script.data_script import DataScript

TYPES = ["sklearn", "npz", "npy", "csv", "parquet", "jsonl", "feather", "images", "text", "python"]
WITHOUT_FILES = ("sklearn", "python")


def test_catalogue_lists_every_folder():
    folders = {path.parent.name for path in Path(formats.__file__).parent.glob("*/config.py")}
    assert folders == set(TYPES)
    assert {DATA_TYPES.load(name).type_name() for name in DATA_TYPES.names} == folders


@pytest.mark.parametrize("type_name", TYPES)
def test_config_is_the_type_of_its_folder(type_name):
    config = DATA_TYPES.look_up(type_name)
    assert issubclass(config, DataConfig)
    assert config.__module__ == f"layercli.formats.{type_name}.config"


@pytest.mark.parametrize("type_name", TYPES)
def test_reader_has_the_functions_of_the_protocol(type_name):
    module = import_module(f"layercli.formats.{type_name}.reader")
    expected = ["read_dataset"] if type_name in WITHOUT_FILES else ["read_dataset", "read_new_dataset"]
    assert [name for name in ("read_dataset", "read_new_dataset") if hasattr(module, name)] == expected
    protocol = TableReader if issubclass(DATA_TYPES.look_up(type_name), TableConfig) else Reader
    for name in expected:
        assert list(signature(getattr(module, name)).parameters) == list(
            signature(getattr(protocol, name)).parameters
        )


@pytest.mark.parametrize("type_name", TYPES)
def test_script_expresses_keys_of_its_config(type_name):
    script = import_module(f"layercli.formats.{type_name}.script").Script
    assert issubclass(script, DataScript)
    assert script.expressible_keys
    assert script.expressible_keys <= set(DATA_TYPES.look_up(type_name).model_fields)


def test_arrays_of_inputs_are_read_for_every_type_of_data():
    table = DATA_TYPES.parse({"type": "csv", "path": "t.csv", "target": "y"})
    assert select_input_section(table, "new.csv", None) is table
    assert select_input_section(table, "new.dat", None) is table
    array = select_input_section(table, "new.NPY", None)
    assert (array.type_name(), array.features) == ("npy", "x")  # the reader gets the path
    named = select_input_section(table, "new.npz", ["a", "b"])
    assert (named.type_name(), named.path, set(named.inputs)) == ("npz", "new.npz", {"a", "b"})
    archive = DATA_TYPES.parse({"type": "npz", "path": "d.npz", "features": "x", "target": "y"})
    assert select_input_section(archive, "new.npy", None) is archive

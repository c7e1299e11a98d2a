"""The table of export formats is complete and names existing modules and options."""

from pathlib import Path
from typing import get_args

import layercli
from layercli.export_formats import EXPORT_FORMATS, ExportFormatName


def test_every_format_name_has_an_entry():
    assert tuple(EXPORT_FORMATS) == get_args(ExportFormatName)


def test_modules_of_formats_exist():
    modules = [facts.module for facts in EXPORT_FORMATS.values() if facts.module is not None]
    assert len(modules) == 4
    files = [Path(layercli.__file__).parents[1] / f"{module.replace('.', '/')}.py" for module in modules]
    assert [file for file in files if not file.is_file()] == []  # importing them needs TensorFlow


def test_python_is_the_only_format_with_weights():
    assert [name for name, facts in EXPORT_FORMATS.items() if "--weights" in facts.options] == ["python"]

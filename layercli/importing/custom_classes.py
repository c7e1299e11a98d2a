"""The `type` of custom classes in an imported config."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from layercli.layers.custom_layers import find_class_beside
from layercli.schema.field_types import DOTTED_NAME

ClassResolver: TypeAlias = Callable[[str, str], str | None]
"""Returns the `type` in a config for the module and the name of a custom class, or None if it cannot be used."""
_SCRIPT_MODULES: Final = ("__main__", "None")
"""What Keras records for classes that the script or notebook defined itself that saved the model."""


def refuse_custom_class(_module: str, _class_name: str) -> None:
    """Return None: no custom class can be used."""


def make_class_resolver(folder: Path, *, trust: bool) -> ClassResolver:
    """Return a function that maps a custom class to its `type` in a config: a file in the folder or an installed module.

    A class whose module does not exist is searched in all Python files of the folder. The function returns None if
    no class is found, or without ``trust``.
    """

    def resolve_class(module: str, class_name: str) -> str | None:
        if not trust or not class_name.isidentifier() or not re.fullmatch(DOTTED_NAME, module):
            return None
        module_path = Path(*module.split(".")).with_suffix(".py")
        if (folder / module_path).is_file():
            return f"{module_path.as_posix()}:{class_name}"
        try:
            module_spec = None if module in _SCRIPT_MODULES else importlib.util.find_spec(module)
        except (ImportError, ValueError):
            module_spec = None
        return find_class_beside(folder, class_name) if module_spec is None else f"{module}:{class_name}"

    return resolve_class

"""The `type` of custom classes in an imported config."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from layercli.importing.keras_graph import KerasLayer
from layercli.schema.field_types import DOTTED_NAME


def make_class_resolver(folder: Path, *, trust: bool) -> Callable[[KerasLayer], str | None]:
    """Return a function that maps a custom class to its `type` in a config: a file or an installed module.

    The function returns None if the module does not exist, or without ``trust``.
    """

    def resolve_class(layer: KerasLayer) -> str | None:
        if not trust or not re.fullmatch(DOTTED_NAME, layer.module):
            return None
        module_path = Path(*layer.module.split(".")).with_suffix(".py")
        if (folder / module_path).is_file():
            return f"{module_path.as_posix()}:{layer.type}"
        try:
            module_spec = importlib.util.find_spec(layer.module)
        except (ImportError, ValueError):
            module_spec = None
        return None if module_spec is None else f"{layer.module}:{layer.type}"

    return resolve_class

"""Import of custom Python files and modules; the caller checks before that they are trusted."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_LOADED_NAMES: set[str] = set()
"""Names of modules that were imported from files; another file of the same name may replace one."""


def import_user_file(path: Path) -> ModuleType:
    """Return the module of a file, importable under the file's name, because Keras imports it to load a saved model.

    Raises:
        Exception: any exception of its code, or ImportError if its name is in use.
    """
    name = path.stem
    shadowed = sys.modules.get(name)
    if shadowed is not None and getattr(shadowed, "__file__", None) == str(path):
        return shadowed
    if name in sys.stdlib_module_names or (shadowed is not None and name not in _LOADED_NAMES):
        raise ImportError(f"its name hides the module `{name}`, which other code imports; rename the file")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # it may import modules from its folder, as a script does
    sys.modules[name] = module
    previous_setting, sys.dont_write_bytecode = (
        sys.dont_write_bytecode,
        True,
    )  # no cache files in a run directory
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        if shadowed is not None:
            sys.modules[name] = shadowed
        raise
    finally:
        sys.dont_write_bytecode = previous_setting
        sys.path.remove(str(path.parent))
    _LOADED_NAMES.add(name)
    return module


def import_user_module(file: Path | None, module: str) -> ModuleType:
    """Return the module of a file, or the module of that name if there is no file.

    Raises:
        Exception: any exception of its code.
    """
    return import_user_file(file) if file is not None else importlib.import_module(module)

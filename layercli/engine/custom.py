"""Layers of the user's own, loaded from their file or module; the caller has asked for trust before."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from layercli.check import Valid
from layercli.config.custom import CustomLayer
from layercli.engine.refusals import said
from layercli.errors import LayercliError
from layercli.graph.build import Node
from layercli.layers.suggestions import did_you_mean


def load_class(layer: CustomLayer, node: Node, valid: Valid) -> Any:
    """The layer class that a config names; runs the user's code.

    Raises:
        LayercliError: it cannot be loaded, or is no Keras layer.
    """
    if layer.kind == "keras":
        found = getattr(keras.layers, layer.class_name, None)
        if not (isinstance(found, type) and issubclass(found, keras.layers.Layer)):
            raise _problem(node, valid, f"Keras {keras.__version__} has no layer {layer.class_name}.", None)
        return found
    try:
        module = _load_file(valid.file_of(node)) if layer.kind == "file" else (
            importlib.import_module(layer.place)
        )  # fmt: skip
    except (Exception, SystemExit) as error:
        raise _problem(
            node, valid, f"{layer.place} cannot be loaded: {said(error)}", "Mend that code first."
        ) from error
    found = getattr(module, layer.class_name, None)
    if found is None:
        classes = [name for name, item in vars(module).items() if isinstance(item, type)]
        hint = did_you_mean(
            layer.class_name, classes, otherwise=f"It has {', '.join(classes) or 'no classes'}."
        )
        raise _problem(node, valid, f"{layer.place} has no class {layer.class_name}.", hint)
    if not (isinstance(found, type) and issubclass(found, keras.layers.Layer)):
        raise _problem(
            node, valid, f"{layer.reference()} is no Keras layer.", "Derive it from keras.layers.Layer."
        )
    return found


_LOADED: set[str] = set()
"""Names of modules that were loaded from files; another file of the same name may take the place of one."""


def _load_file(path: Path) -> ModuleType:
    """The module of a file; importable under the file's name, as Keras needs it to load a saved model."""
    name = path.stem
    shadowed = sys.modules.get(name)
    if shadowed is not None and getattr(shadowed, "__file__", None) == str(path):
        return shadowed
    if name in sys.stdlib_module_names or (shadowed is not None and name not in _LOADED):
        raise ImportError(f"its name hides the module `{name}`, which others import; rename the file")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # it may import what stands beside it, as a script does
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        if shadowed is not None:
            sys.modules[name] = shadowed
        raise
    finally:
        sys.path.remove(str(path.parent))
    _LOADED.add(name)
    return module


def _problem(node: Node, valid: Valid, message: str, hint: str | None) -> LayercliError:
    return LayercliError(valid.problem((*node.path, "type"), "custom-layer", message, hint))

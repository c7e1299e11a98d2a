"""A YAML file declares a stack of Keras layers; layercli checks, builds and trains it.

The same as the commands, from Python; nothing below loads TensorFlow before ``build`` or ``train`` is called:

    import layercli

    config = layercli.load("configs/digits_cnn.yaml", overrides=["train.epochs=3"])
    layercli.infer_shapes(config).trainable
    model = layercli.build(config)
    summary = layercli.train(config, run_dir="runs/mine")
"""

from typing import TYPE_CHECKING, Any

from layercli.version import __version__ as __version__

if TYPE_CHECKING:
    from layercli.api import build, infer_shapes, load, resume, train, validate
    from layercli.errors import LayercliError, Problem

__all__ = ["LayercliError", "Problem", "build", "infer_shapes", "load", "resume", "train", "validate"]

_HOMES = {"LayercliError": "layercli.errors", "Problem": "layercli.errors"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that ``import layercli`` costs next to nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "layercli.api")), name)

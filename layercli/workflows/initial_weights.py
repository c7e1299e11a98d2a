"""``model.weights``: which file it is, and what a person is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from layercli.check import Valid
from layercli.errors import LayercliError
from layercli.runs import directory as runs
from layercli.runs.open_run import open_run
from layercli.source.nodes import KeyPath, printable

if TYPE_CHECKING:
    from layercli.engine.assemble import Assembled
    from layercli.engine.transfer_weights import Transfer

_KEY: KeyPath = ("model", "weights")


def take_weights(assembled: Assembled, valid: Valid) -> Transfer | None:
    """Take over the weights that ``model.weights`` names; None where it names none.

    Raises:
        LayercliError: there is no such run or file, it was changed, or no layer fits.
    """
    name = valid.config.model.weights
    if name is None:
        return None
    path = valid.checked.directory_of(_KEY) / name
    if path.is_dir():
        path = open_run(str(path))[0] / runs.MODEL
    elif not path.is_file() or not path.name.endswith((".keras", ".weights.h5")):
        what = "is no file of weights" if path.is_file() else "does not exist"
        message = f"{printable(str(path))} {what}."
        hint = "Name a run, or a file that Keras saved: `.keras` or `.weights.h5`; the path is relative to the config."
        code = "legacy-model" if path.is_file() and path.suffix in (".h5", ".hdf5") else "unreadable-file"
        raise LayercliError(valid.problem(_KEY, code, message, hint))
    from layercli.engine.transfer_weights import transfer

    return transfer(assembled, valid, path)


def told(transfer: Transfer, valid: Valid) -> Iterator[str]:
    """What was taken over and what was not, in lines."""
    count = len(transfer.taken)
    total = count + len(transfer.refused) + len(transfer.new)
    yield f"Weights from {printable(str(valid.config.model.weights))}: {count} of {total} layers with weights."
    for name, why in transfer.refused.items():
        yield f"  {printable(name)} starts anew: {why}."
    if transfer.new:
        yield f"  Start anew, not in the file: {_listed(transfer.new)}."
    if transfer.left:
        yield f"  In the file, but not here: {_listed(transfer.left)}."


def _listed(names: list[str]) -> str:
    shown = ", ".join(printable(name, limit=60) for name in names[:12])
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown

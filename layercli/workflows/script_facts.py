"""What reading the data tells of itself, for a script that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layercli.check import Valid
from layercli.errors import LayercliError, Problem, has_errors
from layercli.script.facts import Known, Read, known
from layercli.workflows.dataset import examine
from layercli.workflows.export import drawn

if TYPE_CHECKING:
    from layercli.data.examples import Parts


def read_known(valid: Valid, *, trust: bool = False) -> tuple[Known, Parts | None, list[Problem]]:
    """What the data tells of itself, its parts, and a warning where it cannot be read.

    Raises:
        LayercliError: a function of the user's gives the data, and it is not trusted.
    """
    data = valid.config.data
    if data is None:
        return known(valid, None), None, []
    from layercli.data.split import BLOCK

    try:
        examined = examine(valid, data, trust=trust)
        if examined.parts is None or has_errors(examined.problems):
            raise LayercliError(examined.problems)
    except LayercliError as error:
        if error.problems[0].code == "trust-required":
            raise
        return known(valid, None), None, [drawn(valid, error)]
    like = examined.parts.train.like
    arrays = [array for _, array in like.arrays]
    read = Read(
        examined.source.facts(),
        {name: like.names_of(name) or () for name, _ in like.targets},
        tuple(str(name) for name, _ in like.arrays) if len(arrays) > 1 else (),
        weights=like.weights is not None,
        deep=data.type_name() == "images" and arrays[0].dtype.kind == "f",
    )
    warnings = []
    if data.shuffle and len(examined.source) > BLOCK:
        message = f"layercli divides {len(examined.source):,} examples block by block; the script's parts hold other ones."
        hint = "Do not judge trained weights on the script's test part: they have seen some of it."
        warnings.append(valid.problem(("data", "split"), "other-parts", message, hint, "warning"))
    return known(valid, read), examined.parts, warnings

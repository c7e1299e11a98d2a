"""What a sweep draws for one place of its base config: a whole number, a number, or one of several values."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field, PlainValidator

from layercli.layers.arguments import LARGEST
from layercli.schema.strict_model import ArgumentError, Expected, Strict, refuse, written
from layercli.schema.suggestions import closest
from layercli.source.nodes import printable, quoted

_EXAMPLE = "For example `{int: [16, 256], log: true}`, `{float: [1e-4, 1e-1]}` or `{choice: [relu, tanh]}`."
_LONGEST = 80


def _ends(value: Any, kinds: tuple[type, ...], noun: str) -> list[Any]:
    example = "[16, 256]" if int is kinds[0] else "[1e-4, 1e-1]"
    well_formed = isinstance(value, list) and len(value) == 2
    if not well_formed or any(isinstance(end, bool) or not isinstance(end, kinds) for end in value):
        message = f"{quoted(value)} is no range of {noun}; it must be a list of its two ends."
        raise refuse("wrong-type", message, f"For example `{example}`.")
    if any(not -1e300 < end < 1e300 for end in value) or (
        int is kinds[0] and any(abs(end) > LARGEST for end in value)
    ):
        raise refuse("out-of-range", f"The range {quoted(value)} is too wide.", f"For example `{example}`.")
    return list(value)


_WholeEnds: TypeAlias = Annotated[
    list[int],
    PlainValidator(lambda value: _ends(value, (int,), "whole numbers")),
    Expected("the two ends of a range"),
]
_Ends: TypeAlias = Annotated[
    list[float],
    PlainValidator(lambda value: _ends(value, (float, int), "numbers")),
    Expected("the two ends of a range"),
]
_Step: TypeAlias = Annotated[int, Field(gt=0, le=LARGEST, description="What lies between values.")]
_Width: TypeAlias = Annotated[float, Field(gt=0, description="What lies between values.")]
_Log: TypeAlias = Annotated[bool, Field(description="Whether small values are drawn as often as large ones.")]


def _check_range(kind: str, ends: list[Any], step: float | None, *, log: bool) -> None:
    low, high = ends
    if low > high:
        raise ArgumentError(kind, f"The range begins at {low} and ends at {high}.", f"Write [{high}, {low}].")
    if log and low <= 0:
        raise ArgumentError(kind, f"A logarithmic range begins above 0; this one begins at {low}.")
    if log and step is not None:
        raise ArgumentError("step", "A logarithmic range has no step.", "Leave out `step` or `log`.")


class IntRange(Strict):
    """A whole number, both ends included."""

    int: Annotated[_WholeEnds, Field(description="The least and the largest.", examples=[[16, 256]])]
    log: _Log = False
    step: _Step | None = None

    @classmethod
    def title(cls) -> str:
        return "A range of whole numbers"

    def check(self) -> None:
        _check_range("int", self.int, self.step, log=self.log)

    @property
    def probes(self) -> list[Any]:
        """Values that stand for all: the ends."""
        return list(dict.fromkeys(self.int))

    @property
    def values(self) -> list[Any] | None:
        """All values, where they can be counted."""
        low, high = self.int
        return None if self.log else [*range(low, high + 1, self.step or 1)]

    def suggest(self, trial: Any, name: str) -> Any:
        """Draw a value."""
        return trial.suggest_int(name, *self.int, step=self.step or 1, log=self.log)


class FloatRange(Strict):
    """A number, both ends included."""

    float: Annotated[_Ends, Field(description="The least and the largest.", examples=[[1e-4, 1e-1]])]
    log: _Log = False
    step: _Width | None = None

    @classmethod
    def title(cls) -> str:
        return "A range of numbers"

    def check(self) -> None:
        _check_range("float", self.float, self.step, log=self.log)

    @property
    def probes(self) -> list[Any]:
        """Values that stand for all: the ends."""
        return [end * 1.0 for end in dict.fromkeys(self.float)]

    @property
    def values(self) -> list[Any] | None:
        """All values, where they can be counted."""
        if self.step is None:
            return None
        low, high = self.float
        return [low + self.step * index for index in range(round((high - low) / self.step - 0.499999) + 1)]

    def suggest(self, trial: Any, name: str) -> Any:
        """Draw a value."""
        return trial.suggest_float(name, *self.float, step=self.step, log=self.log)


class Choice(Strict):
    """One of several values, which may be whole blocks."""

    choice: Annotated[
        list[Any],
        Field(min_length=1, max_length=200, description="The values.", examples=[["relu", "tanh"]]),
    ]

    @classmethod
    def title(cls) -> str:
        return "A choice"

    def check(self) -> None:
        whole = [written(value) for value in self.choice]
        for index, value in enumerate(whole):
            if value in whole[:index]:
                raise ArgumentError("choice", f"{quoted(self.choice[index])} stands twice.", "Remove one.")

    @property
    def labels(self) -> list[str]:
        """Each value as text on one line, by which storages and tables know it."""
        short = [printable(written(value), limit=_LONGEST) for value in self.choice]
        return [
            f"{label} ({index})" if short.count(label) > 1 else label for index, label in enumerate(short)
        ]

    @property
    def probes(self) -> list[Any]:
        """All of them."""
        return self.labels

    @property
    def values(self) -> list[Any] | None:
        """All of them."""
        return self.labels

    def suggest(self, trial: Any, name: str) -> Any:
        """Draw a value's label."""
        return trial.suggest_categorical(name, self.labels)


Parameter: TypeAlias = IntRange | FloatRange | Choice

_KINDS: Final[Mapping[str, type[IntRange | FloatRange | Choice]]] = {
    "int": IntRange,
    "float": FloatRange,
    "choice": Choice,
}


def parse_parameter(value: Any) -> Parameter:
    """What a place of the space declares.

    Raises:
        ValidationError | PydanticCustomError: it declares nothing.
    """
    if not isinstance(value, dict):
        raise refuse("wrong-type", f"{quoted(value)} says not what to draw.", _EXAMPLE)
    kinds = [kind for kind in _KINDS if kind in value]
    if len(kinds) == 1:
        return _KINDS[kinds[0]].model_validate(value)
    if kinds:
        raise refuse("bad-space", f"It is {' and '.join(kinds)} at once; write one of them.", _EXAMPLE)
    meant = next((match for key in value if (match := closest(str(key), [*_KINDS]))), None)
    message = "It is neither `int` nor `float` nor `choice`."
    raise refuse("bad-space", message, f"Did you mean `{meant}`?" if meant else _EXAMPLE)


Drawn: TypeAlias = Annotated[Any, PlainValidator(parse_parameter), Expected("what to draw")]
